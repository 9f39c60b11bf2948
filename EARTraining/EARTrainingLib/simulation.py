"""From a scene to a training sample: bend the shapes, fill them with bone, take two X-rays, crop and lift.

Everything random comes from one seed, so sample n of a run is the same on every machine and after every resume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from EARReconstructionLib.geometry import View, crop_view, cube_affine, lift
from EARReconstructionLib.reconstruction import standardise

from .datasets.scenes import Scene
from .projection.detector import detect
from .projection.materials import material_densities
from .projection.raymarcher import line_integrals
from .projection.spectrum import SPECTRA, load_spectrum

AIR_HU = -1000.0


@dataclass(frozen=True)
class Simulation:
    """What varies between samples. Ranges are uniform unless said otherwise; lengths in mm, angles in degrees.

    size, spacing_mm: the network's cube. lift: how images become volumes. augment: False keeps shape, pose and
    bone at their middle and only takes the X-rays (for validation).
    """

    size: int = 64
    spacing_mm: float = 1.5
    lift: str = "backproject"
    augment: bool = True
    rotation_deg: float = 8.0
    scale: tuple[float, float] = (0.85, 1.15)
    stretch: float = 0.06
    bend_mm: float = 1.5
    roi_error_mm: float = 3.0
    angle_error_deg: float = 8.0
    tilt_deg: float = 5.0
    sod_mm: tuple[float, float] = (530.0, 1600.0)
    magnification: tuple[float, float] = (1.15, 1.9)
    off_centre_mm: tuple[float, float, float] = (40.0, 40.0, 250.0)
    soft_tissue: float = 0.6
    photons: tuple[float, float] = (1e5, 1e7)


class Sample(NamedTuple):
    """images (2, N, N) z-scored, frontal first; lifted (2, N, N, N); target_hu (1, N, N, N), air outside the target."""

    images: torch.Tensor
    lifted: torch.Tensor
    target_hu: torch.Tensor


def simulate(scene: Scene, simulation: Simulation, seed: tuple[int, ...]) -> Sample:
    """One training sample of a scene.

    Raises ValueError unless the scene's grid has the simulation's spacing and an even number of voxels more per side:
    else their centres would not coincide.
    """
    spare = scene.target_mm.shape[-1] - simulation.size
    if spare < 0 or spare % 2 or scene.spacing_mm != simulation.spacing_mm:
        raise ValueError(
            f"a grid of {scene.target_mm.shape[-1]} x {scene.spacing_mm:g} mm does not hold a centred cube of "
            f"{simulation.size} x {simulation.spacing_mm:g} mm"
        )
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    target, others = _bent(scene, simulation, rng, generator)
    hu = _bone_hu(torch.stack([target, others]), scene.spacing_mm, simulation, rng, generator)
    size = target.shape[-1]
    inner = slice(spare // 2, spare // 2 + simulation.size)
    ras_from_ijk = cube_affine((0.0, 0.0, 0.0), size, scene.spacing_mm)
    channels = material_densities(hu.amax(0))
    views = _views(simulation, rng)
    soft_mm = _soft_tissue(simulation, rng)
    spectrum = load_spectrum(SPECTRA[int(rng.integers(len(SPECTRA)))] if simulation.augment else SPECTRA[0])
    photons = float(np.exp(rng.uniform(*np.log(simulation.photons)))) if simulation.augment else None
    images = []
    for view in views:
        area = line_integrals(channels, ras_from_ijk, view)
        area[0] += _haze(soft_mm, simulation, rng, generator)
        images.append(standardise(detect(area, spectrum, photons, generator)))
    pair = torch.stack(images)
    cube = cube_affine((0.0, 0.0, 0.0), simulation.size, simulation.spacing_mm)
    return Sample(pair, lift(simulation.lift, pair, views, cube, simulation.size), hu[0, inner, inner, inner][None])


def _bent(
    scene: Scene, simulation: Simulation, rng: np.random.Generator, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both distances after mirroring, rotation, scale, a smooth bend and the error of a hand-placed ROI."""
    distances = torch.from_numpy(np.stack([scene.target_mm, scene.others_mm]).astype(np.float32))
    if not simulation.augment:
        return distances[0], distances[1]
    size = distances.shape[-1]
    half = size * scene.spacing_mm / 2
    angles = np.radians(rng.uniform(-1, 1, 3) * simulation.rotation_deg)
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles), np.sin(angles)
    rotation = (
        np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    )
    scale = rng.uniform(*simulation.scale) * (1 + rng.uniform(-1, 1, 3) * simulation.stretch)
    mirror = rng.choice([-1.0, 1.0])
    matrix = rotation @ np.diag([mirror, 1, 1] / scale)
    shift = rng.uniform(-1, 1, 3) * simulation.roi_error_mm / half
    theta = torch.tensor(np.column_stack([matrix, shift]), dtype=torch.float32)
    grid = F.affine_grid(theta[None], [1, 1, size, size, size], align_corners=False)
    coarse = torch.randn(1, 3, 6, 6, 6, generator=generator) * simulation.bend_mm * rng.uniform(0, 1.5) / half
    bend = F.interpolate(coarse, size=(size,) * 3, mode="trilinear", align_corners=True)
    grid = grid + bend.permute(0, 2, 3, 4, 1)
    bent = F.grid_sample(distances[None], grid, padding_mode="border", align_corners=False)[0]
    bent *= float(scale.mean())  # a larger bone has larger distances
    return bent[0], torch.maximum(bent[1], 0.5 * scene.spacing_mm - bent[0])  # neighbours keep off the target


def _bone_hu(
    distances: torch.Tensor,
    spacing_mm: float,
    simulation: Simulation,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> torch.Tensor:
    """HU of each distance map: a dense shell around a lighter, uneven core, air outside, partial volume between."""
    vary = (
        (lambda low, high: float(rng.uniform(low, high))) if simulation.augment else lambda low, high: (low + high) / 2
    )
    shell_mm, shell_hu, core_hu = vary(1.0, 2.2), vary(450, 950), vary(60, 320)
    texture = torch.zeros(())
    if simulation.augment:
        noise = torch.randn(1, 1, *(n // 3 for n in distances.shape[1:]), generator=generator) * vary(10, 70)
        texture = F.interpolate(noise, size=distances.shape[1:], mode="trilinear", align_corners=False)[0]
    occupied = (0.5 - distances / spacing_mm).clamp(0, 1)
    shell = (0.5 + (shell_mm + distances) / spacing_mm).clamp(0, 1)
    bone = core_hu + texture + (shell_hu - core_hu) * shell
    return AIR_HU + occupied * (bone - AIR_HU)


def _views(simulation: Simulation, rng: np.random.Generator) -> tuple[View, View]:
    """Frontal and lateral crops around the ROI's centre (the origin), which lies off the central ray."""
    if not simulation.augment:
        sod, sdd, offset, errors = 1000.0, 1300.0, np.zeros(3), np.zeros(4)
    else:
        sod = float(np.exp(rng.uniform(*np.log(simulation.sod_mm))))
        sdd = sod * rng.uniform(*simulation.magnification)
        offset = rng.uniform(-1, 1, 3) * np.minimum(simulation.off_centre_mm, 0.22 * sod)
        a, t = simulation.angle_error_deg, simulation.tilt_deg
        errors = rng.uniform(-1, 1, 4) * (a, t, a, t)
    n, mm = simulation.size, simulation.spacing_mm
    isocentre = (float(offset[0]), float(offset[1]), float(offset[2]))
    frontal, lateral = (
        crop_view(View(alpha, beta, sod, sdd, 1.0, n, n, isocentre), (0.0, 0.0, 0.0), n, mm)
        for alpha, beta in ((errors[0], errors[1]), (90 + errors[2], errors[3]))
    )
    return frontal, lateral


def _soft_tissue(simulation: Simulation, rng: np.random.Generator) -> float:
    """Millimetres of soft tissue around this column; 0 for bare bone."""
    if not simulation.augment or rng.uniform() > simulation.soft_tissue:
        return 0.0
    return float(rng.uniform(20, 220))


def _haze(soft_mm: float, simulation: Simulation, rng: np.random.Generator, generator: torch.Generator) -> torch.Tensor:
    """(N, N) area density in g/cm3 mm of smooth, uneven soft tissue in front of and behind the bone."""
    n = simulation.size
    if not soft_mm:
        return torch.zeros(n, n)
    cells = int(rng.integers(2, 7))
    coarse = torch.randn(1, 1, cells, cells, generator=generator)
    uneven = F.interpolate(coarse, size=(n, n), mode="bicubic", align_corners=True)[0, 0]
    return (soft_mm * (1 + float(rng.uniform(0, 0.12)) * uneven)).clamp_min(0)
