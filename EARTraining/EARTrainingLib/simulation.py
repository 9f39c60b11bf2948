"""From a scene to a training sample: deform the shapes, fill them with bone, take two X-rays, crop and lift.

Everything random comes from one seed, so a sample is the same on every machine and after every resume; only the photon
noise is drawn on the device, and differs between a CPU and a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from EARReconstructionLib.geometry import View, cube_affine, lift
from EARReconstructionLib.reconstruction import standardise

from .datasets.density import LIVE, Bone
from .datasets.scenes import AIR_HU, Scene, grid_affine
from .deformation import UNDEFORMED, Deformation, Shapes, body, column_lean, deformed
from .projection.acquisition import ACQUISITIONS, Acquisition
from .projection.detector import detect
from .projection.materials import material_densities
from .projection.raymarcher import project
from .projection.spectrum import load_spectrum
from .surroundings.shown import BODY_EXPOSURE, ahead_mm, facing_along, in_body, inside

#: What an X-ray shows: the vertebra alone, all vertebrae, or everything that the CT holds.
PROTOCOLS = ("isolated", "column", "in-situ")

#: X-rays of bones within a body that is not theirs are blurred by a Gaussian of up to so many pixels.
BLUR_PIXELS = 1.0

#: A shell is at least so much denser than its core, HU.
SHELL_ABOVE_HU = 50.0

#: Where the arch begins: so many halves of the body's height behind its middle.
ARCH = 1.3


class Sample(NamedTuple):
    """One vertebra for a network. images (2, N, N) z-scored, frontal first; lifted (2, N, N, N); target_hu and mask
    (1, N, N, N): HU with air outside the target, and the target. A batch has a leading axis."""

    images: torch.Tensor
    lifted: torch.Tensor
    target_hu: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True)
class Simulation:
    """What varies between samples that are made during training.

    protocol: one of PROTOCOLS. In situ a scene shows all that its CT holds; one without CT shows its bones within a
    body, in a share ``surroundings`` of the samples, and else as a ``column``. Bodies are made up, or in a share
    ``lent`` of them those of somebody with a CT, where there is one. soft_tissue: the share of the samples of columns
    that lie behind a smooth, uneven haze of 20 to 220 mm. bone: of scenes without CT.

    Raises ValueError for an unknown protocol or a share outside 0 to 1.
    """

    protocol: str = "column"
    acquisition: Acquisition = ACQUISITIONS["ours"]
    deformation: Deformation = field(default_factory=Deformation)
    surroundings: float = 0.7
    lent: float = 0.4
    soft_tissue: float = 0.6
    bone: Bone = LIVE

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol {self.protocol!r}; known: {', '.join(PROTOCOLS)}")
        for name in ("surroundings", "lent", "soft_tissue"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a share of samples, 0 to 1, got {getattr(self, name)}")

    def undeformed(self) -> Simulation:
        """The same X-rays of shapes as they are, for validation."""
        return replace(self, deformation=UNDEFORMED)


def simulate(
    scene: Scene,
    simulation: Simulation,
    size: int,
    lift_kind: str,
    seed: tuple[int, ...],
    device: torch.device | str = "cpu",
    lender: Scene | None = None,
) -> Sample:
    """One training sample of a scene, a cube of ``size`` voxels of the scene's spacing, made on a device.

    lender: a scene with a CT whose body is shown around bones without one, where they are shown within a body.

    Raises ValueError unless each side of the scene has an even number of voxels more than the cube: else their centres
    would not coincide.
    """
    spare = [n - size for n in scene.shape]
    if min(spare) < 0 or any(n % 2 for n in spare):
        raise ValueError(f"a scene of {scene.shape} voxels does not hold a centred cube of {size}")
    device = torch.device(device)
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    noise = generator if device.type == "cpu" else torch.Generator(device).manual_seed(int(rng.integers(2**62)))
    shapes = deformed(scene, simulation.deformation, rng, generator, device)
    target_hu, shown_hu = _densities(shapes, scene.spacing_mm, simulation, rng, generator)
    exposure = simulation.acquisition.draw(rng)
    crops = exposure.crops((0.0, 0.0, 0.0), size, scene.spacing_mm)
    area, within = _areas(scene, shapes, shown_hu, crops, simulation, rng, generator, lender)
    photons = exposure.photons if exposure.photons is None or not within else exposure.photons * BODY_EXPOSURE
    pair = xray_images(area, exposure.spectrum, photons, noise)
    middle = tuple(slice(n // 2, n // 2 + size) for n in spare)
    return Sample(
        pair,
        lift(lift_kind, pair, crops, cube_affine((0.0, 0.0, 0.0), size, scene.spacing_mm), size),
        target_hu[middle][None].contiguous(),
        (shapes.target_mm[middle] < 0)[None],
    )


def _areas(
    scene: Scene,
    shapes: Shapes,
    shown_hu: torch.Tensor,
    crops: Sequence[View],
    simulation: Simulation,
    rng: np.random.Generator,
    generator: torch.Generator,
    lender: Scene | None,
) -> tuple[torch.Tensor, bool]:
    """Area densities (2, M, N, N) of what the X-rays show, and whether that is bone within another body."""
    grid = grid_affine((0, 0, 0), scene.shape, scene.spacing_mm)
    situ = simulation.protocol == "in-situ"
    if situ and scene.hu is None and rng.uniform() < simulation.surroundings:
        shown = in_body(
            scene.level, shapes.target_mm, shapes.others_mm, shown_hu, scene.spacing_mm, rng, generator, lender=lender
        )
        area = shown.area_densities(crops)
        return _blurred(area, rng.uniform(0, BLUR_PIXELS)), True
    area = project(material_densities(shown_hu), grid, crops)
    if simulation.protocol == "column" or (situ and scene.hu is None):
        area[:, 0] += _haze(crops[0].width, simulation.soft_tissue, rng, generator).to(area)
    return area, False


def _blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Images (..., N, N) smoothed by a Gaussian of so many pixels: thick slices, a large focal spot, movement."""
    taps = torch.arange(-3, 4).to(images)
    weights = (-0.5 * (taps / max(sigma, 1e-3)) ** 2).exp()
    weights /= weights.sum()
    flat = F.pad(images.flatten(0, -3)[:, None], (3, 3, 3, 3), mode="replicate")
    return F.conv2d(F.conv2d(flat, weights[None, None, None]), weights[None, None, :, None]).view(images.shape)


def xray_images(
    area_density: torch.Tensor, spectrum: str, photons: float | None, generator: torch.Generator | None
) -> torch.Tensor:
    """Area densities (2, M, N, N) -> the z-scored images (2, N, N) that a network sees."""
    images = detect(area_density, load_spectrum(spectrum), photons, generator)
    return torch.stack([standardise(image) for image in images])


def _densities(
    shapes: Shapes,
    spacing_mm: float,
    simulation: Simulation,
    rng: np.random.Generator,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """HU of the target in air, and of all that the X-ray shows. Half a voxel of partial volume around each bone."""
    if shapes.hu is None:
        bone = _made_up_bone(shapes, spacing_mm, simulation.bone, rng, generator)
    else:
        bone = [shapes.hu, shapes.hu]
    target, others = (
        AIR_HU + inside(distance, spacing_mm) * (density - AIR_HU)
        for distance, density in zip((shapes.target_mm, shapes.others_mm), bone, strict=True)
    )
    if simulation.protocol == "isolated":
        return target, target
    if simulation.protocol == "in-situ" and shapes.hu is not None:
        return target, shapes.hu
    return target, torch.maximum(target, others)


def _made_up_bone(
    shapes: Shapes, spacing_mm: float, ranges: Bone, rng: np.random.Generator, generator: torch.Generator
) -> list[torch.Tensor]:
    """HU inside the target and inside the others, where no CT says them: a dense shell around an uneven core.

    Medians of ten vertebrae of three people in CTs of 1 to 3 mm: bodies 156 to 284 HU to a depth of 1.6 mm and 42 to
    124 from 4 mm on; arches 182 to 477 HU to 1.6 mm, a tenth of that above 360 to 950, and 48 to 227 from 4 mm on. So
    the arch's shell is denser, and its marrow is not: seen along a pedicle, that is a ring. The body's shell is thinner
    where it does not face up or down, at its waist, and uneven; its endplates are denser (210 and 314 HU where the
    walls of two people have 187 and 222). Shells are drawn by the logarithm of their HU: dim bone is as common as
    bright bone, and soft tissue hides it far better.
    """
    shell_mm, core_hu = rng.uniform(*ranges.shell_mm), rng.uniform(*ranges.core_hu)
    dim, bright = np.log(np.maximum(ranges.shell_hu, core_hu + SHELL_ABOVE_HU))
    shell_hu = float(np.exp(rng.uniform(dim, bright)))
    waist, arch_hu, arch_shell = rng.uniform(0.2, 1.0), rng.uniform(-60, 200), rng.uniform(1.1, 2.2)
    endplate = rng.uniform(1.0, 1.5)
    shape, device = shapes.target_mm.shape, shapes.target_mm.device
    texture, thickness, patches = (
        _smooth(shape, cell_mm / spacing_mm, generator).to(device) * rng.uniform(*most)
        for cell_mm, most in ((4.5, ranges.grain_hu), (15.0, (0.0, 0.4)), (9.0, ranges.patches))
    )
    (_, front, up), half_height = body(shapes.target_mm, spacing_mm)
    lean = column_lean(shapes.target_mm, shapes.others_mm, spacing_mm)
    ahead = ahead_mm(shapes.target_mm, spacing_mm, lean) - front + lean * up
    arch = torch.sigmoid(-(ahead + ARCH * half_height) / 2)[..., None]
    core = core_hu + texture + arch_hu * arch
    least = waist + (1 - waist) * arch
    bones = []
    for distance in (shapes.target_mm, shapes.others_mm):
        facing = facing_along(distance, spacing_mm, lean)
        local_mm = shell_mm * (least + (1 - least) * facing) * thickness.exp()
        shell = (0.5 + (local_mm + distance) / spacing_mm).clamp(0, 1)
        dense = shell_hu * (1 + (arch_shell - 1) * arch + (endplate - 1) * facing * (1 - arch)) * patches.exp()
        bones.append(core + (dense - core).clamp_min(0) * shell)
    return bones


def _smooth(shape: Sequence[int], cell_voxels: float, generator: torch.Generator) -> torch.Tensor:
    """Noise of SD 1 at points so many voxels apart, smooth between them."""
    coarse = torch.randn(1, 1, *(max(round(n / cell_voxels), 2) for n in shape), generator=generator)
    return F.interpolate(coarse, size=tuple(shape), mode="trilinear", align_corners=False)[0, 0]


def _haze(size: int, share: float, rng: np.random.Generator, generator: torch.Generator) -> torch.Tensor:
    """(2, N, N) area density in g/cm3 mm of soft tissue in front of and behind the bone; 0 in the other samples."""
    haze = torch.zeros(2, size, size)
    if rng.uniform() >= share:
        return haze
    soft_mm = rng.uniform(20, 220)
    for image in haze:
        cells = int(rng.integers(2, 7))
        coarse = torch.randn(1, 1, cells, cells, generator=generator)
        uneven = F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)[0, 0]
        image += (soft_mm * (1 + rng.uniform(0, 0.12) * uneven)).clamp_min(0)
    return haze
