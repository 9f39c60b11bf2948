"""A made-up body around a spine that has no CT: skin, fat, muscle, lungs, heart, gas, kidneys, ribs, shoulder and hip.

What a radiograph in situ shows besides the column hides the bone more than it shows: edges of lungs and gas across the
body, ribs that start at the vertebra itself, skulls and hips over its ends. None of it is anatomy to be measured. Sizes
are drawn from ranges that hold small and large adults, from what atlases and CTs show, by eye. The frame is that of a
scene: RAS mm from the middle of the vertebra's box; all is placed relative to the vertebra's body and the level.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from EARReconstructionLib.geometry import Affine, inverse, transform_points
from EARReconstructionLib.vertebra import LEVELS
from numpy.typing import ArrayLike, NDArray

from .datasets.scenes import AIR_HU, Shape, grid_affine

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

Box = tuple[slice, slice, slice]
_ALL = slice(None)

FAT_HU, MUSCLE_HU, GAS_HU = -100.0, 55.0, -1000.0

#: Semi-axes of the rib cage beside that of the trunk, at rib 1, 3, 6, 9 and 12.
_CAGE = ((1, 3, 6, 9, 12), (0.42, 0.70, 0.86, 0.90, 0.78))


#: Shares of bodies whose CT ends close above and below the vertebra, and close to its sides; how far from it, mm.
CUT_ALONG, CUT_ACROSS = 0.3, 0.3
SPARE_MM = (2.0, 70.0)


class Body(NamedTuple):
    """HU (D, H, W) on a grid around a vertebra, air outside the skin, and the grid's affine to the scene's RAS mm.

    low_mm, high_mm: (R, A, S) of the box outside which nothing is shown, as beyond the end of a CT.
    """

    hu: torch.Tensor
    ras_from_ijk: Affine
    low_mm: tuple[float, float, float]
    high_mm: tuple[float, float, float]

    def sampled(self, shape: Shape, ras_from_ijk: Affine) -> torch.Tensor:
        """HU (D, H, W) on another axis-aligned grid within this one, linear between voxels."""
        x, y, z = _sides(shape, ras_from_ijk)
        to = inverse(self.ras_from_ijk)
        axes = [(to[n, n] * side + to[n, 3]) * 2 / (self.hu.shape[2 - n] - 1) - 1 for n, side in enumerate((x, y, z))]
        k, j, i = torch.meshgrid(*axes[::-1], indexing="ij")
        grid = torch.stack([i, j, k], -1)[None].to(self.hu)
        return F.grid_sample(self.hu[None, None], grid, padding_mode="border", align_corners=True)[0, 0]

    def outside_mm(self, shape: Shape, ras_from_ijk: Affine) -> torch.Tensor:
        """Distance (D, H, W) to the box that is shown, negative inside, largest along one axis."""
        x, y, z = (
            torch.maximum(low - side, side - high)
            for side, low, high in zip(_sides(shape, ras_from_ijk), self.low_mm, self.high_mm, strict=True)
        )
        return torch.maximum(torch.maximum(x, y[:, None]), z[:, None, None]).to(self.hu)


def _sides(shape: Shape, ras_from_ijk: Affine) -> list[torch.Tensor]:
    """R, A and S in mm of an axis-aligned grid's voxel centres (D, H, W), one after the other."""
    return [
        torch.from_numpy(ras_from_ijk[n, 3] + ras_from_ijk[n, n] * np.arange(count)).float()
        for n, count in enumerate(shape[::-1])
    ]


def made_up_body(
    level: str,
    middle_ras_mm: ArrayLike,
    half_mm: ArrayLike,
    rng: np.random.Generator,
    generator: torch.Generator,
    device: torch.device | str = "cpu",
) -> Body:
    """One random body around a vertebra, without the vertebra and its neighbours.

    middle_ras_mm: of the vertebra's body (the bone's front part) in the frame of the scene. half_mm: (R, A, S) how far
    the vertebra reaches from the frame's origin; all of it is always shown. Left is left: the heart and
    the stomach lie there. Raises ValueError for a level that is no vertebra of LEVELS.
    """
    built = _Builder(level, middle_ras_mm, rng, generator, torch.device(device))
    built.paint_all()
    ends = np.full((2, 3), np.inf)
    cuts = np.repeat(rng.uniform(size=2) < (CUT_ACROSS, CUT_ALONG), (2, 1))
    ends[:, cuts] = (np.asarray(half_mm, float) + rng.uniform(*SPARE_MM, (2, 3)))[:, cuts]
    body = Body(built.hu, built.affine, tuple(-ends[0]), tuple(ends[1]))
    if cuts.any():
        built.paint(-body.outside_mm(built.shape, built.affine), AIR_HU)
    return body


class _Builder:
    """Paints one organ after the other into the HU of a grid; what comes later lies over what came before."""

    def __init__(
        self,
        level: str,
        middle_ras_mm: ArrayLike,
        rng: np.random.Generator,
        generator: torch.Generator,
        device: torch.device,
    ) -> None:
        self.rng, self.generator, self.device = rng, generator, device
        w, h, d = (2 * round(reach / VOXEL_MM) for reach in REACH_MM)
        self.shape: Shape = (d, h, w)
        self.affine = grid_affine((0, 0, 0), self.shape, VOXEL_MM)
        self.middle = np.asarray(middle_ras_mm, float)
        sides = (self.affine[n, 3] + VOXEL_MM * torch.arange(c) for n, c in enumerate((w, h, d)))
        r, a, s = (side.float().to(device) for side in sides)
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
        self.lean, self.curve = rng.uniform(-0.12, 0.12), rng.uniform(-8e-4, 8e-4)
        build = rng.uniform(0.85, 1.2)
        self.width = self._along(WIDTH_MM) * build * rng.uniform(0.92, 1.08)
        self.depth = self._along(DEPTH_MM) * build * rng.uniform(0.92, 1.12)
        self.back = self._along(BACK_MM) * (0.5 + 0.5 * build) * rng.uniform(0.95, 1.1)
        self.hu = torch.full(self.shape, MUSCLE_HU, device=device)

    def at(self, level: str, share: float = 0.0) -> float:
        """Height in mm above the vertebra of a level's middle, and a share of its pitch more."""
        n = COLUMN.index(level)
        return float(self.heights[n] + share * (self.heights[n - 1] - self.heights[n] if n else 16.0))

    def spine(self, z: float) -> float:
        """How far the column lies in front of the vertebra at a height, mm."""
        return self.lean * z + self.curve * z * z

    def _along(self, table: dict[str, float]) -> torch.Tensor:
        """A table's values at the heights of the grid, (D, 1, 1)."""
        values = _between(table, np.arange(len(COLUMN)))
        z = self.z.flatten().cpu().numpy()
        found = np.interp(z, self.heights[::-1], values[::-1])
        return torch.from_numpy(found).float().to(self.device)[:, None, None]

    def _uniform(self, low: float, high: float) -> float:
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
        i, j, k = (
            slice(*np.searchsorted(axis.flatten().numpy(), (middle - half - spare, middle + half + spare)))
            for axis, middle, half in zip((self.x, self.y, self.z), (x, y, z), (a, b, c), strict=True)
        )
        parts = ((self.x[..., i] - x) / a) ** 2, ((self.y[:, j] - y) / b) ** 2, ((self.z[k] - z) / c) ** 2
        distance = ((parts[0] + parts[1] + parts[2]).sqrt() - 1) * min(a, b, c)
        if shell_mm is not None:
            distance = distance.abs() - shell_mm
        if within is not None:
            distance = torch.maximum(distance, within.expand(self.shape)[k, j, i])
        self.paint(distance, hu, (k, j, i))

    def paint(self, distance: torch.Tensor, hu: float | torch.Tensor, box: Box = (_ALL, _ALL, _ALL)) -> None:
        """HU wherever a distance is negative, half a voxel of partial volume around it; box (k, j, i): only there."""
        part = self.hu[box]
        part.lerp_(torch.as_tensor(hu, dtype=part.dtype).expand(part.shape), (0.5 - distance / VOXEL_MM).clamp_(0, 1))

    def strand(self, points: NDArray[np.float64], radius_mm: float, hu: float) -> None:
        """A round strand of bone along a line of points (N, 3) in mm from the vertebra."""
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
        part.lerp_(torch.full_like(part, hu), most.to(self.device))

    def paint_all(self) -> None:
        """From the inside to the skin."""
        front = 2 * self.depth - self.back
        self.centre = (front - self.back) / 2 + self.lean * self.z + self.curve * self.z**2
        power = self._uniform(2.0, 2.7)
        round_share = ((self.x / self.width).abs() ** power + ((self.y - self.centre) / self.depth).abs() ** power) ** (
            1 / power
        )
        self.skin = (round_share - 1) * torch.minimum(self.width, self.depth)
        self.fat_mm = self._uniform(4, 30)
        self._abdomen()
        self._muscles()
        self._chest()
        self._neck()
        self.hu += self._uneven(self._uniform(5, 30), self._uniform(10, 30))
        self._bones()
        self.paint(-(self.skin + self.fat_mm * (1 - 0.3 * (self.x / self.width).abs().clamp(max=1))), FAT_HU)
        self._shoulder_and_hip_bones()
        self.paint(-self.skin, AIR_HU)

    def _uneven(self, hu: float, cell_mm: float) -> torch.Tensor:
        """Smooth noise of an SD in HU."""
        cells = [max(2, round(n * VOXEL_MM / cell_mm)) for n in self.shape]
        coarse = torch.randn(1, 1, *cells, generator=self.generator).to(self.device) * hu
        return F.interpolate(coarse, size=self.shape, mode="trilinear", align_corners=True)[0, 0]

    def _abdomen(self) -> None:
        """Organs in more or less fat, kidneys, gas in stomach and bowel."""
        top = self.at("T10")
        inner = torch.maximum(self.skin + self._uniform(15, 35), 12.0 - self.y)
        organs = self._uniform(-60, 45) + self._uneven(self._uniform(10, 60), self._uniform(20, 45))
        self.paint(torch.maximum(inner, self.z - top), organs)
        for side in (-1, 1):
            place = (side * self._uniform(50, 72), self._uniform(-20, 10), self.at("L1", self._uniform(-1.5, 1.0)))
            self.ellipsoid(place, (38, 33, 65), FAT_HU + self._uniform(0, 40))
            self.ellipsoid(place, (27, 24, 54), self._uniform(20, 60))
        for _ in range(int(self.rng.integers(0, 12))):
            place = (
                self._uniform(-110, 110),
                self._uniform(35, 130),
                self._uniform(self.at("L5") - 60, self.at("T12")),
            )
            radii = self._uniform(6, 30) * self.rng.uniform(0.6, 1.6, 3)
            self.ellipsoid(place, radii, self._uniform(GAS_HU, -500), within=self.skin + 25)

    def _muscles(self) -> None:
        """Psoas beside the lumbar bodies, in fat; the long muscles of the back."""
        t = ((self.at("T12") - self.z) / (self.at("T12") - self.at("L5"))).clamp(-0.2, 1.2)
        size = self._uniform(0.8, 1.25)
        for side in (-1, 1):
            x = side * (26 + 18 * t)
            wide, deep = size * (8 + 16 * t), size * (10 + 14 * t)
            round_share = (((self.x - x) / wide.clamp_min(3)) ** 2 + ((self.y + 4) / deep.clamp_min(3)) ** 2).sqrt()
            psoas = torch.maximum((round_share - 1) * 10, self.z - self.at("T12"))
            self.paint(psoas - 8, self._uniform(-100, -20))
            self.paint(psoas, MUSCLE_HU)
            y, wide, deep = -0.5 * self.back - 12, self._uniform(28, 40), 0.34 * self.back
            round_share = (((self.x - side * 36) / wide) ** 2 + ((self.y - y) / deep) ** 2).sqrt()
            erector = (round_share - 1) * 20
            self.paint(erector - self._uniform(2, 8), self._uniform(-100, 20))
            self.paint(erector, self._uniform(30, 60))

    def _chest(self) -> None:
        """Lungs over domes of the diaphragm, heart and aorta between them."""
        hu, close = self._uniform(-900, -650), self._uniform(16, 30)
        top, low = self.at("T1", self._uniform(-0.5, 1.0)), self.at("T11", self._uniform(-2.0, 1.0))
        dome = self._uniform(25, 60)
        across = (self.x.abs() / self.width - 0.5) / 0.5
        along = (self.y - self.centre) / self.depth
        floor = low + dome * (1 - across**2 - along**2) - 20
        apex = ((top - self.z) / 70).clamp(0.02, 1).sqrt()
        wall = self.skin + (self.fat_mm + self._uniform(18, 30)) + (1 - apex) * 70
        mediastinum = torch.where(self.y > 0, close + 0.25 * self.y.clamp(max=60), close + 0.2 * self.y.clamp(min=-60))
        lungs = torch.maximum(
            torch.maximum(wall, floor - self.z), torch.maximum(self.z - top, mediastinum - self.x.abs())
        )
        lungs = torch.maximum(lungs, -self.y - 0.75 * self.back)
        texture = self._uneven(self._uniform(10, 50), 15)
        self.paint(lungs, hu + texture)
        heart = (-self._uniform(15, 35), self._uniform(60, 80), self.at("T8", self._uniform(-1.0, 1.0)))
        self.ellipsoid(heart, self.rng.uniform((45, 38, 45), (65, 55, 65)), 45.0)
        vessel = (((self.x + self._uniform(18, 28)) ** 2 + (self.y - self._uniform(5, 30)) ** 2).sqrt()) - 12
        self.paint(torch.maximum(vessel, self.z - self.at("T4")), self._uniform(40, 90))

    def _neck(self) -> None:
        """The airway, from the throat to where it divides."""
        x, radius = self._uniform(-5, 5), self._uniform(6, 10)
        y = self._uniform(28, 38) + self.lean * self.z + self.curve * self.z**2
        airway = ((self.x - x) ** 2 + (self.y - y) ** 2).sqrt() - radius
        self.paint(torch.maximum(airway, self.at("T5") - self.z), GAS_HU)

    def _bones(self) -> None:
        """Ribs from each thoracic vertebra, and the breastbone."""
        radius, hu = self._uniform(4.0, 6.0), self._uniform(180, 480)
        drop, turn = self._uniform(30, 95), self._uniform(20, 32)
        missing = self._uniform(0, 1) < 0.05  # some have no twelfth rib
        for n in range(1, 13 - missing):
            z = self.at(f"T{n}", 0.35 if n < 11 else 0.1)
            if abs(z) > REACH_MM[2] + drop:
                continue
            row = int(np.clip(round((z + REACH_MM[2]) / VOXEL_MM), 0, self.shape[0] - 1))
            scale = np.interp(n, *_CAGE)
            wide = scale * (float(self.width[row]) - self.fat_mm)
            deep = scale * (float(self.depth[row]) - 0.5 * self.fat_mm)
            behind = self.spine(z) - self._uniform(36, 46)  # of the vertebra's body, where the ribs are farthest back
            end = np.radians(self._uniform(120, 150) if n < 11 else self._uniform(35, 85))
            angles = np.linspace(np.radians(turn), end, 40)
            progress = (1 - np.cos(angles)) / 2
            for side in (-1.0, 1.0):
                ring = np.stack(
                    [side * wide * np.sin(angles), behind + deep * (1 - np.cos(angles)), z - drop * progress - 6], -1
                )
                reach = 0.5 * (11 + 1.3 * n) + self._uniform(6, 9)
                head = [side * reach, self.spine(z) - self._uniform(8, 15), z + self._uniform(-2, 4)]
                neck = [side * self._uniform(26, 32), behind + self._uniform(2, 8), z - 3]
                self.strand(np.concatenate([[head], [neck], ring]), radius * self._uniform(0.9, 1.1), hu)
        sternum = (0.0, float(self.centre[self.shape[0] // 2]) + 0.8 * float(self.depth.mean()), self.at("T6"))
        self.ellipsoid(sternum, (20, 7, 80), self._uniform(100, 250))

    def _shoulder_and_hip_bones(self) -> None:
        """Shoulder blades, collarbones, skull, lower jaw, hip bones and sacrum: where they lie over vertebrae."""
        hu = self._uniform(250, 600)
        for side in (-1.0, 1.0):
            blade = (side * self._uniform(80, 110), -self._uniform(30, 50), self.at("T4", self._uniform(-1, 1)))
            self.ellipsoid(blade, (42, 5, 60), 0.6 * hu)
            collar = np.array([[12, 70, self.at("T2")], [60, 55, self.at("T1")], [140, -5, self.at("C7")]])
            self.strand(collar * (side, 1, 1), 6.0, hu)
            wing = (side * self._uniform(78, 92), self._uniform(-25, 5), self.at("L5") - self._uniform(50, 75))
            size, thick = self.rng.uniform((42, 58, 68), (58, 74, 84)), self._uniform(2.5, 4.5)
            self.ellipsoid(wing, size, hu, shell_mm=thick, within=20 - self.x * side)
            jaw = np.array([[6, 85, -8], [32, 70, -4], [46, 35, 4], [50, 12, 40]])
            jaw[:, 2] += round(self.at("C3"))
            self.strand(jaw * (side, 1, 1), 6.0, 1.5 * hu)
        sacrum = (0.0, self.spine(self.at("L5")) - self._uniform(18, 30), self.at("L5") - self._uniform(58, 68))
        self.ellipsoid(sacrum, (48, 20, 40), self._uniform(120, 300))
        skull = (0.0, self._uniform(5, 25), self.at("C1") + self._uniform(78, 88))
        self.ellipsoid(skull, (68, 88, 74), 1000.0, shell_mm=3.5)


def _between(table: dict[str, float], number: NDArray[np.int64]) -> NDArray[np.float64]:
    """A table's values at the numbers of levels, from 0 for C1, by straight lines."""
    return np.interp(number, [COLUMN.index(name) for name in table], list(table.values()))
