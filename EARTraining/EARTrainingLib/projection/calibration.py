"""Where an X-ray engine really draws things: a bead of known place and mass, projected and looked up.

A bead is measured in two unlike grids and three views each. An engine that moves everything by the same few tenths of
a voxel, as DeepDRR's kernel does by one voxel along every axis, is corrected; any other fault is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from EARReconstructionLib.geometry import Affine, View, transform_points
from numpy.typing import NDArray

from .errors import EngineError
from .materials import material_densities

if TYPE_CHECKING:
    from .engine import XrayEngine

#: Largest error of a bead's place that is accepted, pixels of 1.3 mm at SDD / SOD = 1.3, hence mm at the bead.
TOLERANCE_PX = 0.1

#: Shifts up to this many voxels are corrected; farther, an engine might cut off what lies at the volume's border.
LARGEST_SHIFT = 2.0

#: Largest error of a bead's mass that is accepted. Perspective alone makes a thousandth.
MASS_TOLERANCE = 0.02

_SIZE = 40  # voxels per side
_SIGMA_MM = 3.0
_PEAK_DENSITY = 1.5  # g/cm3: soft tissue outside, bone inside
_ANGLES = ((0.0, 0.0), (90.0, 0.0), (35.0, 20.0))  # AP, lateral, oblique

#: Axes of the two grids (columns are the steps along i, j and k, RAS mm), and where in them the bead lies, voxels.
_GRIDS = (
    (((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), (24.3, 16.6, 22.8)),
    (((0.0, 0.0, -1.2), (-0.9, 0.0, 0.0), (0.0, 1.4, 0.0)), (15.7, 23.4, 17.2)),
)


@dataclass(frozen=True)
class Calibration:
    """What beads tell of an engine.

    shift_voxels: how far along i, j and k everything appears from its place. error_px: the largest distance of a bead
    from P X; unexplained_px: what a shift cannot explain of it. mass: measured over true, the one farthest from 1.
    """

    shift_voxels: tuple[float, float, float]
    error_px: float
    unexplained_px: float
    mass: float


class Calibrated:
    """An engine with its shift taken back. measured: before the correction; left: after it.

    Raises EngineError when the engine draws beads more than 0.1 px from their place and a constant shift does not
    explain it, or when their mass is wrong.
    """

    def __init__(self, engine: XrayEngine) -> None:
        self._engine, self._shift = engine, np.zeros(3)
        self.measured = self.left = measure(engine)
        if self.measured.error_px > TOLERANCE_PX:
            self._shift = np.array(self.measured.shift_voxels)
            if self.measured.unexplained_px > TOLERANCE_PX or np.abs(self._shift).max() > LARGEST_SHIFT:
                raise _refusal(engine, f"draws a bead {self.measured.error_px:.2f} px from where it is")
            self.left = measure(self)
            if self.left.error_px > TOLERANCE_PX:
                raise _refusal(engine, f"draws a bead {self.left.error_px:.2f} px from where it is, corrected as it is")
        if abs(self.left.mass - 1) > MASS_TOLERANCE:
            raise _refusal(engine, f"finds {self.left.mass:.3f} times the mass that is there")

    def project(self, volume_hu: torch.Tensor, ras_from_ijk: Affine, views: Sequence[View]) -> torch.Tensor:
        """See XrayEngine."""
        affine = np.array(ras_from_ijk, float)
        affine[:3, 3] = transform_points(affine, -self._shift)
        return self._engine.project(volume_hu, affine, views)


def measure(engine: XrayEngine) -> Calibration:
    """Project the beads and look where they are. Raises EngineError when an image shows none."""
    shifts, errors, unexplained, masses = [], [], [], []
    for axes, bead in _GRIDS:
        volume, affine, mass = _bead(np.array(axes), np.array(bead))
        views = [_view(alpha, beta, affine) for alpha, beta in _ANGLES]
        images = engine.project(volume, affine, views).sum(1).double().cpu().numpy()
        places = np.stack([_centroid(image, engine) for image in images])
        shift, residual = _shift(places, views, affine, np.array(bead))
        shifts.append(shift)
        unexplained.append(residual)
        errors.append(np.linalg.norm(places - _places(views, affine, np.array(bead)), axis=-1).max())
        for image, view in zip(images, views, strict=True):
            depth = view.project(transform_points(affine, bead))[1]
            masses.append(image.sum() * (view.pixel_mm * depth / view.sdd_mm) ** 2 / mass)
    # Voxels of about 1 mm: half of how far the two grids disagree is left over when their mean is taken back.
    unexplained.append(float(np.linalg.norm(shifts[0] - shifts[1])) / 2)
    i, j, k = np.mean(shifts, 0).tolist()
    return Calibration(
        (i, j, k), float(max(errors)), float(max(unexplained)), float(max(masses, key=lambda m: abs(m - 1)))
    )


def _bead(axes: NDArray[np.float64], bead: NDArray[np.float64]) -> tuple[torch.Tensor, Affine, float]:
    """HU (D, H, W) of a bead whose density is a Gaussian, its affine, and its mass in g/cm3 * mm3."""
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = (11.0, -7.0, 23.0) - axes @ np.full(3, (_SIZE - 1) / 2)
    k, j, i = np.indices((_SIZE,) * 3)
    offset = (np.stack([i, j, k], -1) - bead) @ axes.T
    density = _PEAK_DENSITY * np.exp(-(offset**2).sum(-1) / (2 * _SIGMA_MM**2))
    hu = torch.linspace(-900, 1500, 4801)  # below, there is no density
    curve = material_densities(hu[:, None, None, None])[..., 0, 0, 0].sum(-1)
    volume = np.interp(density, curve.numpy(), hu.numpy()).astype(np.float32)
    return torch.from_numpy(volume), affine, float(density.sum() * abs(np.linalg.det(axes)))


def _view(alpha: float, beta: float, affine: Affine) -> View:
    r, a, s = transform_points(affine, np.full(3, (_SIZE - 1) / 2)).tolist()
    return View(alpha, beta, 1000.0, 1300.0, 1.3, 72, 64, (r, a, s))


def _centroid(image: NDArray[np.float64], engine: XrayEngine) -> NDArray[np.float64]:
    """(u, v) in pixels of an image's mass."""
    total = image.sum()
    if not np.isfinite(total) or total <= 0:
        raise _refusal(engine, "shows nothing where a bead is")
    v, u = np.indices(image.shape) + 0.5
    return np.array([(image * u).sum(), (image * v).sum()]) / total


def _places(views: Sequence[View], affine: Affine, ijk: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V, 2) pixels onto which P sends a voxel."""
    return np.stack([view.project(transform_points(affine, ijk))[0] for view in views])


def _shift(
    places: NDArray[np.float64], views: Sequence[View], affine: Affine, bead: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """The shift of the bead in voxels that explains its places best, and the largest error it leaves, pixels."""
    shift = np.zeros(3)
    for _ in range(4):  # Gauss-Newton: the projection is almost linear in a few millimetres
        now = _places(views, affine, bead + shift)
        step = 1e-3
        slopes = [(_places(views, affine, bead + shift + step * axis) - now).ravel() / step for axis in np.eye(3)]
        shift = shift + np.linalg.lstsq(np.stack(slopes, -1), (places - now).ravel(), rcond=None)[0]
    left = np.linalg.norm(places - _places(views, affine, bead + shift), axis=-1).max()
    return shift, float(left)


def _refusal(engine: XrayEngine, what: str) -> EngineError:
    return EngineError(
        f"engine {type(engine).__name__}",
        f"it {what}",
        "Do not use it on this machine: its images would not fit their geometry. Use the engine torch",
    )
