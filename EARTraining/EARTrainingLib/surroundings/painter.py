"""Painting into the HU of a body's grid, in mm from the vertebra: to the right, to the front and upwards."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from EARReconstructionLib.geometry import inverse, transform_points
from EARReconstructionLib.vertebra import LEVELS
from numpy.typing import ArrayLike, NDArray

from ..datasets.scenes import Shape, grid_affine

#: Voxels of the body, and how far it reaches from the vertebra to each side (R, A, S), mm: farther than any beam that
#: reaches a crop, of a source 530 mm away and 250 mm off the vertebra's plane, meets it.
VOXEL_MM = 4.0
REACH_MM = (200.0, 200.0, 140.0)

#: Distance from one vertebra to the next: mm at some levels, straight lines between them.
PITCH_MM = {"C1": 16.0, "C7": 17.0, "T1": 19.0, "T12": 26.0, "L5": 37.0}

#: Half widths and half depths of the trunk and how far the skin of the back lies behind the middle of the vertebra's
#: body, mm: at some levels, straight lines between them. Shoulders are without arms.
WIDTH_MM = {"C1": 62.0, "C6": 62.0, "T1": 150.0, "T3": 165.0, "T8": 150.0, "L2": 145.0, "L5": 165.0}
DEPTH_MM = {"C1": 75.0, "C6": 62.0, "T1": 75.0, "T5": 105.0, "T8": 112.0, "L2": 110.0, "L5": 110.0}
BACK_MM = {"C1": 60.0, "C6": 62.0, "T1": 70.0, "T5": 68.0, "T12": 75.0, "L3": 88.0, "L5": 92.0}

#: The column of most people; who has a vertebra more has one of these twice.
COLUMN = tuple(level for level in LEVELS if level not in ("T13", "L6"))
_TWICE = {"T13": "T12", "L6": "L5"}

#: A column that leans at one vertebra does so less and less above and below it: mm.
BENDS_BACK_MM = 80.0

Box = tuple[slice, slice, slice]
_ALL = slice(None)

MUSCLE_HU = 55.0


class Painter:
    """Paints one organ after the other into the HU of a grid; what comes later lies over what came before."""

    def __init__(
        self,
        level: str,
        middle_ras_mm: ArrayLike,
        lean: float,
        rng: np.random.Generator,
        generator: torch.Generator,
    ) -> None:
        self.rng, self.generator = rng, generator
        w, h, d = (2 * round(reach / VOXEL_MM) for reach in REACH_MM)
        self.shape: Shape = (d, h, w)
        self.affine = grid_affine((0, 0, 0), self.shape, VOXEL_MM)
        self.middle = np.asarray(middle_ras_mm, float)
        sides = (self.affine[n, 3] + VOXEL_MM * torch.arange(c) for n, c in enumerate((w, h, d)))
        r, a, s = (side.float() for side in sides)
        # From the vertebra's body: to the right, to the front, upwards.
        self.x = (r - self.middle[0])[None, None, :]
        self.y = (a - self.middle[1])[None, :, None]
        self.z = (s - self.middle[2])[:, None, None]
        number = np.arange(len(COLUMN))
        steps = _between(PITCH_MM, number) * rng.uniform(0.88, 1.12)
        heights = -np.concatenate([[0.0], np.cumsum((steps[1:] + steps[:-1]) / 2)])
        if level not in LEVELS:
            raise ValueError(f"level {level!r} is no vertebra; known: {', '.join(LEVELS)}")
        self.heights = heights - heights[COLUMN.index(_TWICE.get(level, level))]
        self.lean, self.curve = lean + rng.uniform(-0.08, 0.08), rng.uniform(-8e-4, 8e-4)
        # Where the column is at each height, and what lies in front of it, whichever way it leans.
        self.column = self.lean * BENDS_BACK_MM * (self.z / BENDS_BACK_MM).tanh() + self.curve * self.z.square()
        self.ahead = self.y - self.column
        build = rng.uniform(0.85, 1.2)
        self.width = self.along(WIDTH_MM) * build * rng.uniform(0.92, 1.08)
        self.depth = self.along(DEPTH_MM) * build * rng.uniform(0.92, 1.12)
        self.back = self.along(BACK_MM) * (0.5 + 0.5 * build) * rng.uniform(0.95, 1.1)
        self.hu = torch.full(self.shape, MUSCLE_HU)

    def at(self, level: str, share: float = 0.0) -> float:
        """Height in mm above the vertebra of a level's middle, and a share of its pitch more."""
        n = COLUMN.index(level)
        return float(self.heights[n] + share * (self.heights[n - 1] - self.heights[n] if n else 16.0))

    def spine(self, z: float) -> float:
        """How far the column lies in front of the vertebra at a height, mm."""
        return float(self.lean * BENDS_BACK_MM * np.tanh(z / BENDS_BACK_MM) + self.curve * z * z)

    def along(self, table: dict[str, float]) -> torch.Tensor:
        """A table's values at the heights of the grid, (D, 1, 1)."""
        values = _between(table, np.arange(len(COLUMN)))
        z = self.z.flatten().numpy()
        found = np.interp(z, self.heights[::-1], values[::-1])
        return torch.from_numpy(found).float()[:, None, None]

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def ellipsoid(
        self,
        centre: ArrayLike,
        radii: ArrayLike,
        hu: float,
        *,
        within: torch.Tensor | None = None,
        shell_mm: float | None = None,
    ) -> None:
        """Paint an ellipsoid, or a shell of it, mm to both sides of its surface; within: where this is negative."""
        (x, y, z), (a, b, c) = np.asarray(centre, float), np.asarray(radii, float)
        spare = VOXEL_MM + (shell_mm or 0.0)
        box = self.box((x, y, z), np.add((a, b, c), spare))
        k, j, i = box
        parts = ((self.x[..., i] - x) / a) ** 2, ((self.y[:, j] - y) / b) ** 2, ((self.z[k] - z) / c) ** 2
        distance = ((parts[0] + parts[1] + parts[2]).sqrt() - 1) * min(a, b, c)
        if shell_mm is not None:
            distance = distance.abs() - shell_mm
        if within is not None:
            distance = torch.maximum(distance, within.expand(self.shape)[box])
        self.paint(distance, hu, box)

    def block(self, centre: ArrayLike, radii: ArrayLike, lean_deg: float, hu: float) -> None:
        """Paint a block with round corners, half sides in mm along R, A and S before its top leans to the front.

        Nothing where a half side is 0 or less: the core of what is all cortex.
        """
        (x, y, z), (a, b, c) = np.asarray(centre, float), np.asarray(radii, float)
        if min(a, b, c) <= 0:
            return
        reach = np.array([a, np.hypot(b, c), np.hypot(b, c)]) + VOXEL_MM
        box = self.box((x, y, z), reach)
        k, j, i = box
        cos, sin = np.cos(np.radians(lean_deg)), np.sin(np.radians(lean_deg))
        r, forward, up = self.x[..., i] - x, self.y[:, j] - y, self.z[k] - z
        along, across = cos * up + sin * forward, cos * forward - sin * up
        share = ((r / a).abs() ** 3 + (across / b).abs() ** 3 + (along / c).abs() ** 3) ** (1 / 3)
        self.paint((share - 1) * min(a, b, c), hu, box)

    def paint(self, distance: torch.Tensor, hu: float | torch.Tensor, box: Box = (_ALL, _ALL, _ALL)) -> None:
        """HU wherever a distance is negative, half a voxel of partial volume around it; box (k, j, i): only there."""
        part = self.hu[box]
        part.lerp_(torch.as_tensor(hu, dtype=part.dtype).expand(part.shape), (0.5 - distance / VOXEL_MM).clamp_(0, 1))

    def box(self, centre: ArrayLike, half: ArrayLike) -> Box:
        """The voxels within half sides of a place, (R, A, S) in mm: slices (k, j, i)."""
        low, high = np.subtract(centre, half), np.add(centre, half)
        i, j, k = (
            slice(*np.searchsorted(axis.flatten().numpy(), (low[n], high[n])))
            for n, axis in enumerate((self.x, self.y, self.z))
        )
        return k, j, i

    def strand(self, points: NDArray[np.float64], radius_mm: float, hu: float) -> None:
        """A round strand, a rib or a vessel, along a line of points (N, 3) in mm from the vertebra."""
        gaps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        length = np.concatenate([[0.0], np.cumsum(gaps)])
        fine = np.arange(0.0, length[-1], 0.6 * VOXEL_MM)
        line = np.stack([np.interp(fine, length, points[:, n]) for n in range(3)], -1) + self.middle
        ijk = torch.from_numpy(transform_points(inverse(self.affine), line)).float()
        inside = ((ijk > -1) & (ijk < torch.tensor(self.shape[::-1]))).all(-1)
        ijk = ijk[inside]
        reach = int(np.ceil(radius_mm / VOXEL_MM + 0.5))
        offsets = torch.cartesian_prod(*[torch.arange(-reach, reach + 1)] * 3)
        voxels = ijk.round().long()[:, None] + offsets
        distance = (voxels - ijk[:, None]).norm(dim=-1) * VOXEL_MM - radius_mm
        share = (0.5 - distance / VOXEL_MM).clamp(0, 1)
        size = torch.tensor(self.shape[::-1])
        seen = (share > 0) & ((voxels >= 0) & (voxels < size)).all(-1)
        if not seen.any():
            return
        i, j, k = voxels[seen].unbind(-1)
        low, high = voxels[seen].amin(0), voxels[seen].amax(0) + 1
        w, h, d = (high - low).tolist()
        index = ((k - low[2]) * h + j - low[1]) * w + i - low[0]
        most = torch.zeros(d * h * w).scatter_reduce_(0, index, share[seen], "amax").view(d, h, w)
        box = tuple(slice(int(first), int(last)) for first, last in zip(low, high, strict=True))[::-1]
        part = self.hu[box]
        part.lerp_(torch.full_like(part, hu), most)

    def uneven(self, hu: float, cell_mm: float) -> torch.Tensor:
        """Smooth noise of an SD in HU."""
        cells = [max(2, round(n * VOXEL_MM / cell_mm)) for n in self.shape]
        coarse = torch.randn(1, 1, *cells, generator=self.generator) * hu
        return F.interpolate(coarse, size=self.shape, mode="trilinear", align_corners=True)[0, 0]


def _between(table: dict[str, float], number: NDArray[np.int64]) -> NDArray[np.float64]:
    """A table's values at the numbers of levels, from 0 for C1, by straight lines."""
    return np.interp(number, [COLUMN.index(name) for name in table], list(table.values()))
