"""The vertebral arch as solids: pedicles, laminae, articular, transverse and spinous processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .implicit import Bar, SagittalPlate, Solid, Vector

if TYPE_CHECKING:
    from .shape import VertebraShape

_FLAT_MM = 1.4  # how much of an articular process the plane of its facet cuts away


@dataclass(frozen=True)
class _Plan:
    """Places shared by the parts of one arch, in the vertebra's frame (mm)."""

    shape: VertebraShape
    back_y: float  # posterior wall of the body

    @property
    def canal_back_y(self) -> float:
        return self.back_y - self.shape.body.canal_depth_mm

    @property
    def pedicle_z(self) -> float:
        body = self.shape.body
        return body.posterior_height_mm / 2 - body.pedicle_height_mm / 2 - 1.2

    @property
    def lamina_z(self) -> float:
        return self.pedicle_z - (0.36 + 0.12 * self.shape.arch.lumbar_character) * self.shape.arch.lamina_height_mm

    def pedicle_width(self, side: int) -> float:
        return self.shape.body.pedicle_width_mm * (self.shape.left_pedicle_scale if side < 0 else 1.0)

    def pillar(self, side: int) -> NDArray[np.float64]:
        """Where pedicle, lamina and the processes of one side meet (side 1 right, -1 left)."""
        body = self.shape.body
        aside = np.tan(np.radians(body.pedicle_angle_deg)) * 0.3 * body.canal_depth_mm
        x = body.canal_width_mm / 2 + self.pedicle_width(side) / 2 + aside
        behind = (0.6 + 0.12 * self.shape.arch.lumbar_character) * body.canal_depth_mm
        return np.array([side * x, self.back_y - behind, self.pedicle_z])


def _vector(values: NDArray[np.float64]) -> Vector:
    return float(values[0]), float(values[1]), float(values[2])


@dataclass(frozen=True)
class _Facet:
    """One facet: centre of its face, outward normal, directions of its width and height, and how lumbar it is."""

    face: NDArray[np.float64]
    normal: NDArray[np.float64]
    width: NDArray[np.float64]
    height: NDArray[np.float64]
    lumbar: float


def _facet(plan: _Plan, side: int, upper: bool) -> _Facet:
    """The facet of a superior (``upper``) or inferior articular process; the joint lies at mid-disc.

    Its normal looks away from the process.
    """
    shape = plan.shape
    joint = shape.above if upper else shape.below
    turn = shape.left_facet_turn_deg if side < 0 else 0.0
    facing, leaning = np.radians(joint.facing_deg + turn), np.radians(joint.leaning_deg)
    # Thoracic joints lie in a coronal plane beside the canal, lumbar ones nearly sagittal and behind it.
    lumbar = float(np.clip((60 - joint.facing_deg) / 20, 0, 1))
    aside, behind = -side * np.cos(facing), -np.sin(facing)
    normal = np.array([aside * np.cos(leaning), behind * np.cos(leaning), np.sin(leaning)])
    width = np.array([side * np.sin(facing), -np.cos(facing), 0.0])
    height = np.cross(normal, width)
    height *= np.sign(height[2])
    y = plan.canal_back_y - 0.5 + (0.30 - 0.34 * lumbar) * shape.body.canal_depth_mm
    z = (shape.height_mm + joint.disc_mm) / 2
    if not upper:
        normal, z = -normal, -z
    face = np.array([side * joint.spacing_mm / 2, y, z]) - normal * shape.joint_gap_mm / 2
    return _Facet(face, normal, width, height, lumbar)


def _pedicle(plan: _Plan, side: int) -> list[Solid]:
    body = plan.shape.body
    pillar = plan.pillar(side)
    slope = np.tan(np.radians(body.pedicle_angle_deg))
    forward = plan.back_y + 3.0
    start = np.array([pillar[0] - side * slope * (forward - pillar[1]), forward, plan.pedicle_z])
    wide, high = plan.pedicle_width(side) / 2, body.pedicle_height_mm / 2
    return [Bar(_vector(start), _vector(pillar), (wide, wide), (high * 0.95, high * 0.95))]


def _lamina(plan: _Plan, side: int) -> list[Solid]:
    shape = plan.shape
    half, thick = shape.arch.lamina_height_mm / 2, 2.8 + 0.9 * shape.arch.lumbar_character
    forward = 3.0 - 4.0 * shape.arch.lumbar_character
    lateral = np.array([side * (shape.body.canal_width_mm / 2 + 1.0), plan.canal_back_y + forward, plan.lamina_z + 1.0])
    medial = np.array([side * 0.5, plan.canal_back_y - thick * 0.9, plan.lamina_z])
    return [Bar(_vector(lateral), _vector(medial), (thick, thick * 1.15), (half * 0.9, half), up=(0.0, 0.22, 1.0))]


def _superior_process(plan: _Plan, side: int) -> list[Solid]:
    joint, facet, pillar = plan.shape.above, _facet(plan, side, upper=True), plan.pillar(side)
    thick, half_width = 2.6 + 1.8 * facet.lumbar, joint.facet_width_mm / 2
    reach = joint.facet_height_mm / 2 - 0.8 * half_width
    tip = facet.face - facet.normal * (thick - _FLAT_MM) + facet.height * reach
    root = np.array([(pillar[0] + tip[0]) / 2, pillar[1], plan.pedicle_z - 1.0])
    process = Bar(
        _vector(root),
        _vector(tip),
        semi_width_mm=(thick * 1.15, thick * 0.9),
        semi_height_mm=(half_width, half_width * 0.85),
        up=_vector(facet.width),
        cut=(_vector(facet.face), _vector(facet.normal)),
    )
    if facet.lumbar < 0.5:
        return [process]
    # Mammillary process: the bump on the outer, rear border of a lumbar superior articular process.
    bump = tip - facet.normal * 2.0 - facet.height * 4.0 - np.array([0.0, 3.0, 0.0])
    return [process, Bar(_vector(bump - facet.height * 3), _vector(bump + facet.height * 2), (2.6, 2.2), (2.6, 2.2))]


def _inferior_process(plan: _Plan, side: int) -> list[Solid]:
    joint, facet = plan.shape.below, _facet(plan, side, upper=False)
    thick, half_width = 2.7 + 1.2 * facet.lumbar, joint.facet_width_mm / 2
    reach = joint.facet_height_mm / 2 - 0.8 * half_width
    tip = facet.face - facet.normal * (thick - _FLAT_MM) - facet.height * reach
    root_x = 0.6 * tip[0] + 0.4 * plan.pillar(side)[0]
    root = np.array([root_x, plan.canal_back_y + 1.0 - 2.0 * facet.lumbar, plan.pedicle_z - 4.0])
    return [
        Bar(
            _vector(root),
            _vector(tip),
            semi_width_mm=(thick * 1.1, thick * 0.9),
            semi_height_mm=(half_width * (1.05 - 0.2 * facet.lumbar), half_width * 0.8),
            up=_vector(facet.width),
            cut=(_vector(facet.face), _vector(facet.normal)),
        )
    ]


def _transverse_process(plan: _Plan, side: int) -> list[Solid]:
    shape, arch = plan.shape, plan.shape.arch
    lumbar = float(arch.lumbar_character >= 1)
    back, up = np.radians(arch.transverse_back_deg), np.radians(arch.transverse_up_deg)
    pillar = plan.pillar(side)
    root = pillar + np.array([0.0, -2.0 + 5.0 * lumbar, -1.0])
    span = arch.transverse_span_mm / 2 + (shape.left_transverse_extra_mm if side < 0 else 0.0)
    end = 3.2 - 0.7 * lumbar
    run = max(span - end - abs(root[0]), 2.0)
    tip = root + np.array([side * run, -run * np.tan(back), run * np.tan(up)])
    if lumbar:
        bulk = shape.body.pedicle_width_mm / 9.0
        return [Bar(_vector(root), _vector(tip), (2.6 * bulk, 2.0), (4.6 * bulk, 3.4), up=(0.0, 0.0, 1.0))]
    facet = np.array([side * 0.45, 0.85, 0.25]) / np.linalg.norm([0.45, 0.85, 0.25])
    return [
        Bar(_vector(root), _vector(tip), (3.7, 2.7), (5.0, 3.6)),
        # The end is a club; its front is cut flat where the tubercle of the rib rests.
        Bar(
            _vector(tip - 0.25 * (tip - root)), _vector(tip), (3.3, 3.7), (4.2, 4.4),
            cut=(_vector(tip + facet * 2.0), _vector(facet)),
        ),
    ]  # fmt: skip


def _spinous_process(plan: _Plan) -> list[Solid]:
    shape, arch = plan.shape, plan.shape.arch
    slope = np.radians(arch.spinous_slope_deg)
    front = plan.canal_back_y - 2.0
    drift = shape.spinous_deviation_mm
    if arch.lumbar_character >= 0.4:
        top = plan.lamina_z + arch.lamina_height_mm * 0.30
        back = front - arch.spinous_length_mm
        fall = arch.spinous_length_mm * np.tan(slope)
        half = arch.spinous_height_mm
        outline = (
            (front, top), (back + 2.5, top - fall), (back, top - fall - 0.25 * half), (back + 1.5, top - fall - half),
            (back + 8.0, top - fall - half), (front, top - 0.75 * half),
        )  # fmt: skip
        return [SagittalPlate(outline, (3.0, 4.6), 2.4, lean=drift / arch.spinous_length_mm)]
    root = np.array([0.0, front, plan.lamina_z + 0.06 * arch.lamina_height_mm])
    tip = root + arch.spinous_length_mm * np.array([0.0, -np.cos(slope), -np.sin(slope)])
    tip[0] = drift
    half = arch.spinous_height_mm / 2
    return [
        Bar(_vector(root), _vector(tip), (3.6, 2.5), (half * 1.4, half * 0.62)),
        Bar(_vector(tip + 0.10 * (root - tip)), _vector(tip), (3.0, 3.3), (half * 0.7, half * 0.8)),
    ]


def arch_parts(shape: VertebraShape, back_y_mm: float) -> tuple[Solid, ...]:
    """Every solid behind the body whose posterior wall lies at ``back_y_mm``."""
    plan = _Plan(shape, back_y_mm)
    parts: list[Solid] = []
    for side in (1, -1):
        for build in (_pedicle, _lamina, _superior_process, _inferior_process, _transverse_process):
            parts += build(plan, side)
    return (*parts, *_spinous_process(plan))
