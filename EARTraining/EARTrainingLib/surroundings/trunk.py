"""The organs and bones of a trunk, one after the other, from the inside to the skin."""

from __future__ import annotations

import numpy as np
import torch

from ..datasets.scenes import AIR_HU
from .painter import MUSCLE_HU, REACH_MM, VOXEL_MM, Painter
from .pelvis import paint_pelvis
from .shoulder import paint_shoulders

FAT_HU, GAS_HU = -100.0, -1000.0

#: Blood, HU; and the share of bodies with contrast medium in it, and how dense it is then. CTs of the chest often have
#: it, and a heart of 300 HU hides the middle thoracic vertebrae in a frontal view.
BLOOD_HU, CONTRAST, CONTRAST_HU = (35.0, 60.0), 0.35, (100.0, 420.0)

#: Cortex of shoulder, skull, jaw and hips, HU.
CORTEX_HU = 250.0, 600.0

#: Semi-axes of the rib cage beside that of the trunk, at rib 1, 3, 6, 9 and 12.
_CAGE = ((1, 3, 6, 9, 12), (0.42, 0.70, 0.86, 0.90, 0.78))


class Trunk(Painter):
    """Fat, muscle, lungs, heart, gas, kidneys, ribs, shoulder and hip around one vertebra."""

    def paint_all(self) -> None:
        """From the inside to the skin."""
        front = 2 * self.depth - self.back
        behind = self.column - self.back
        before = front + self.uniform(0.1, 0.9) * self.column  # the chest leans less than the column
        self.centre = (before + behind) / 2
        self.depth = ((before - behind) / 2).clamp_min(55)
        self.blood = self.uniform(*(CONTRAST_HU if self.uniform(0, 1) < CONTRAST else BLOOD_HU))
        power = self.uniform(2.0, 2.7)
        round_share = ((self.x / self.width).abs() ** power + ((self.y - self.centre) / self.depth).abs() ** power) ** (
            1 / power
        )
        self.skin = (round_share - 1) * torch.minimum(self.width, self.depth)
        self.fat_mm = self.uniform(4, 30)
        self._abdomen()
        self._muscles()
        self._chest()
        self._neck()
        self.hu += self.uneven(self.uniform(5, 30), self.uniform(10, 30))
        self._bones()
        self.paint(-(self.skin + self.fat_mm * (1 - 0.3 * (self.x / self.width).abs().clamp(max=1))), FAT_HU)
        hu = self.uniform(*CORTEX_HU)
        self._head_and_hip_bones(hu)
        self.paint(-self.skin, AIR_HU)
        paint_shoulders(self, self.skin, hu)

    def _abdomen(self) -> None:
        """Organs in more or less fat, kidneys, gas in stomach and bowel."""
        top = self.at("T10")
        inner = torch.maximum(self.skin + self.uniform(15, 35), 12.0 - self.ahead)
        organs = self.uniform(-60, 45) + self.uneven(self.uniform(10, 60), self.uniform(20, 45))
        self.paint(torch.maximum(inner, self.z - top), organs)
        for side in (-1, 1):
            r, ahead, z = side * self.uniform(50, 72), self.uniform(-20, 10), self.at("L1", self.uniform(-1.5, 1.0))
            place = r, self.spine(z) + ahead, z
            self.ellipsoid(place, (38, 33, 65), FAT_HU + self.uniform(0, 40))
            self.ellipsoid(place, (27, 24, 54), self.uniform(20, 60) + 0.4 * self.blood)
        for _ in range(int(self.rng.integers(0, 12))):
            r, ahead = self.uniform(-110, 110), self.uniform(35, 130)
            z = self.uniform(self.at("L5") - 60, self.at("T12"))
            place = r, self.spine(z) + ahead, z
            radii = self.uniform(6, 30) * self.rng.uniform(0.6, 1.6, 3)
            self.ellipsoid(place, radii, self.uniform(GAS_HU, -500), within=self.skin + 25)

    def _muscles(self) -> None:
        """Psoas beside the lumbar bodies, in fat; the long muscles of the back."""
        t = ((self.at("T12") - self.z) / (self.at("T12") - self.at("L5"))).clamp(-0.2, 1.2)
        size = self.uniform(0.8, 1.25)
        for side in (-1, 1):
            x = side * (26 + 18 * t)
            wide, deep = size * (8 + 16 * t), size * (10 + 14 * t)
            round_share = (((self.x - x) / wide.clamp_min(3)) ** 2 + ((self.ahead + 4) / deep.clamp_min(3)) ** 2).sqrt()
            psoas = torch.maximum((round_share - 1) * 10, self.z - self.at("T12"))
            self.paint(psoas - 8, self.uniform(-100, -20))
            self.paint(psoas, MUSCLE_HU)
            y, wide, deep = -0.5 * self.back - 12, self.uniform(28, 40), 0.34 * self.back
            round_share = (((self.x - side * 36) / wide) ** 2 + ((self.ahead - y) / deep) ** 2).sqrt()
            erector = (round_share - 1) * 20
            self.paint(erector - self.uniform(2, 8), self.uniform(-100, 20))
            self.paint(erector, self.uniform(30, 60))

    def _chest(self) -> None:
        """Lungs over domes of the diaphragm, heart and aorta between them."""
        hu, close = self.uniform(-900, -650), self.uniform(16, 30)
        top, low = self.at("T1", self.uniform(-0.5, 1.0)), self.at("T11", self.uniform(-2.0, 1.0))
        dome = self.uniform(25, 60)
        across = (self.x.abs() / self.width - 0.5) / 0.5
        along = (self.y - self.centre) / self.depth
        floor = low + dome * (1 - across**2 - along**2) - 20
        apex = ((top - self.z) / 70).clamp(0.02, 1).sqrt()
        wall = self.skin + (self.fat_mm + self.uniform(18, 30)) + (1 - apex) * 70
        ahead = self.ahead
        mediastinum = torch.where(ahead > 0, close + 0.25 * ahead.clamp(max=60), close + 0.2 * ahead.clamp(min=-60))
        lungs = torch.maximum(
            torch.maximum(wall, floor - self.z), torch.maximum(self.z - top, mediastinum - self.x.abs())
        )
        lungs = torch.maximum(lungs, -ahead - 0.75 * self.back)
        texture = self.uneven(self.uniform(10, 50), 15)
        self.paint(lungs, hu + texture)
        z = self.at("T8", self.uniform(-1.0, 1.0))
        heart = np.array((-self.uniform(15, 40), self.spine(z) + self.uniform(60, 90), z))
        self.ellipsoid(heart, self.rng.uniform((45, 38, 45), (65, 55, 65)), 0.5 * (45 + self.blood))
        for _ in range(3):  # chambers
            self.ellipsoid(heart + self.rng.uniform(-25, 25, 3), self.rng.uniform(15, 32, 3), self.blood)
        self._vessels()

    def _vessels(self) -> None:
        """The aorta with its arch, the great veins, and the vessels of the lungs."""
        x, near = -self.uniform(14, 28), self.uniform(12, 30)
        way = (("T8", 8, 75), ("T5", 14, 72), ("T4", 4, 58), ("T3", -8, 38), ("T4", x, near + 4))
        below = (("T6", x, near), ("T9", x, near), ("T12", 0.4 * x, near + 6), ("L4", -4, 34))
        self.tube([(right, *self.above(level, ahead)) for level, right, ahead in way + below], self.uniform(9, 16))
        self.tube([(24, *self.above("T1", 50)), (24, *self.above("T8", 70))], self.uniform(7, 12))
        self.tube([(18, *self.above("T11", 40)), (14, *self.above("L4", 38))], self.uniform(8, 14))
        for side in (-1, 1):
            for _ in range(int(self.rng.integers(3, 8))):
                z = self.at("T6", self.uniform(-1.5, 2.0))
                place = side * self.uniform(22, 75), self.spine(z) + self.uniform(10, 75), z
                self.ellipsoid(place, self.rng.uniform(4, 11, 3), self.blood)

    def tube(self, points: list[tuple[float, float, float]], radius_mm: float) -> None:
        """A vessel full of blood along a line of points, mm from the vertebra."""
        self.strand(np.array(points), radius_mm, self.blood * self.uniform(0.8, 1.2))

    def above(self, level: str, ahead_mm: float) -> tuple[float, float]:
        """A and S in mm from the vertebra of a place so far in front of the column at a level."""
        z = self.at(level)
        return self.spine(z) + ahead_mm, z

    def _neck(self) -> None:
        """The airway, from the throat to where it divides."""
        x, radius = self.uniform(-5, 5), self.uniform(6, 10)
        airway = ((self.x - x) ** 2 + (self.ahead - self.uniform(28, 38)) ** 2).sqrt() - radius
        self.paint(torch.maximum(airway, self.at("T5") - self.z), GAS_HU)

    def _bones(self) -> None:
        """Ribs from each thoracic vertebra, and the breastbone."""
        radius, hu = self.uniform(4.0, 6.0), self.uniform(180, 480)
        drop, turn = self.uniform(30, 95), self.uniform(20, 32)
        missing = self.uniform(0, 1) < 0.05  # some have no twelfth rib
        for n in range(1, 13 - missing):
            z = self.at(f"T{n}", 0.35 if n < 11 else 0.1)
            if abs(z) > REACH_MM[2] + drop:
                continue
            row = self.row(z)
            scale = np.interp(n, *_CAGE)
            wide = scale * (float(self.width[row]) - self.fat_mm)
            deep = scale * (float(self.depth[row]) - 0.5 * self.fat_mm)
            behind = self.spine(z) - self.uniform(36, 46)  # of the vertebra's body, where the ribs are farthest back
            end = np.radians(self.uniform(120, 150) if n < 11 else self.uniform(35, 85))
            angles = np.linspace(np.radians(turn), end, 40)
            progress = (1 - np.cos(angles)) / 2
            for side in (-1.0, 1.0):
                ring = np.stack(
                    [side * wide * np.sin(angles), behind + deep * (1 - np.cos(angles)), z - drop * progress - 6], -1
                )
                reach = 0.5 * (11 + 1.3 * n) + self.uniform(6, 9)
                head = [side * reach, self.spine(z) - self.uniform(8, 15), z + self.uniform(-2, 4)]
                neck = [side * self.uniform(26, 32), behind + self.uniform(2, 8), z - 3]
                self.strand(np.concatenate([[head], [neck], ring]), radius * self.uniform(0.9, 1.1), hu)
        z = self.at("T6")
        row = self.row(z)
        sternum = (0.0, float(self.centre[row]) + 0.8 * float(self.depth[row]), z)
        self.ellipsoid(sternum, (20, 7, 80), self.uniform(100, 250))

    def row(self, z: float) -> int:
        """The slice of the grid nearest to a height."""
        return int(np.clip(round((z + REACH_MM[2]) / VOXEL_MM), 0, self.shape[0] - 1))

    def _head_and_hip_bones(self, hu: float) -> None:
        """Skull, lower jaw, hip bones and sacrum: where they lie over vertebrae."""
        for side in (-1.0, 1.0):
            jaw = np.array([[6, 85, -8], [32, 70, -4], [46, 35, 4], [50, 12, 40]])
            jaw += (0, round(self.spine(self.at("C3"))), round(self.at("C3")))
            self.strand(jaw * (side, 1, 1), 6.0, 1.5 * hu)
        paint_pelvis(self, hu)
        skull = (0.0, self.spine(self.at("C1")) + self.uniform(5, 25), self.at("C1") + self.uniform(78, 88))
        self.ellipsoid(skull, (68, 88, 74), 1000.0, shell_mm=3.5)
