"""Where a point or a box of the patient appears on a radiograph that stands in the scene, and the way back.

A radiograph stands in the plane through the isocentre across its beam, each pixel as large as it is there. So a point,
its place on the radiograph and the X-ray source lie on one line, and what is nearer to the source looks larger.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import GeometryError
from ..geometry.frames import Affine, transform_points
from ..geometry.views import View
from ..vertebra import SIZE_RANGE_MM, VertebraROI

#: What a radiograph leaves open: moving a box in it keeps this coordinate (0 = R, 1 = A) of the box's centre.
DEPTH_AXIS = {"frontal": 1, "lateral": 0}

#: Rays closer than this (sine) to the plane that they shall meet have no usable crossing.
_GRAZING = 0.05


def plane_affine(view: View, thickness_mm: float = 1.0) -> Affine:
    """(4, 4) voxel centres (column, row, 0) of a radiograph to RAS mm in the plane through the isocentre."""
    right, down, beam = view.camera_from_ras[:3, :3]
    pixel = view.pixel_mm * view.sod_mm / view.sdd_mm
    u0, v0 = view.K[0, 2], view.K[1, 2]
    affine = np.eye(4)
    affine[:3, :3] = np.stack([right * pixel, down * pixel, beam * thickness_mm], axis=1)
    affine[:3, 3] = view.isocentre_ras_mm + affine[:3, 0] * (0.5 - u0) + affine[:3, 1] * (0.5 - v0)
    return affine


def slice_to_ras(view: View) -> Affine:
    """(4, 4) plane of a slice view that shows a radiograph as displayed, its origin in the middle of the image."""
    image = plane_affine(view)
    plane = np.eye(4)
    plane[:3, :3] = (view.camera_from_ras[:3, :3] * [[1], [-1], [-1]]).T
    plane[:3, 3] = transform_points(image, [(view.width - 1) / 2, (view.height - 1) / 2, 0])
    return plane


def magnification(view: View, point_ras_mm: ArrayLike) -> float:
    """Size on the standing radiograph over true size at a point: 1 at the isocentre, more towards the source.

    Raises GeometryError for a point that does not lie between source and detector.
    """
    depth = float((np.asarray(point_ras_mm, float) - view.source_ras_mm) @ view.direction)
    if not 0 < depth < view.sdd_mm:
        raise GeometryError(
            "vertebra ROI",
            f"it is {depth:.0f} mm from the source, not between source and detector",
            "Move the ROI, or correct SOD and SDD",
        )
    return view.sod_mm / depth


def on_plane(view: View, point_ras_mm: ArrayLike) -> NDArray[np.float64]:
    """(3,) where a point appears on the standing radiograph, RAS mm. Raises GeometryError as ``magnification``."""
    point = np.asarray(point_ras_mm, float)
    return view.source_ras_mm + (point - view.source_ras_mm) * magnification(view, point)


def along_ray(view: View, point_on_plane: ArrayLike, axis: int, value_mm: float) -> NDArray[np.float64]:
    """(3,) the point of a ray, source to ``point_on_plane``, whose coordinate ``axis`` (R, A or S) is ``value_mm``.

    Raises GeometryError when the ray runs along that plane.
    """
    ray = np.asarray(point_on_plane, float) - view.source_ras_mm
    if abs(ray[axis]) < _GRAZING * np.linalg.norm(ray):
        raise GeometryError(
            "view", f"its rays do not cross the plane {'RAS'[axis]} = {value_mm:.0f} mm", "Correct the angles"
        )
    point: NDArray[np.float64] = view.source_ras_mm + ray * (value_mm - view.source_ras_mm[axis]) / ray[axis]
    point[axis] = value_mm
    return point


def box_on_plane(view: View, roi: VertebraROI) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Centre (3,) in RAS mm, width and height in mm, of a ROI as it appears on the standing radiograph.

    Width and height are those of the box at the depth of its centre: its front face appears a few percent larger, its
    back face smaller (5 % for 90 mm at 1 m). Raises GeometryError as ``magnification``.
    """
    scale = magnification(view, roi.centre_ras_mm)
    across = np.abs(view.camera_from_ras[:2, :3]) @ roi.size_mm
    return on_plane(view, roi.centre_ras_mm), (float(across[0] * scale), float(across[1] * scale))


def box_from_plane(
    view: View, role: str, roi: VertebraROI, centre_on_plane: ArrayLike, size_on_plane: tuple[float, float]
) -> VertebraROI:
    """The ROI that appears with this centre (RAS mm), width and height (mm) on the standing radiograph of ``role``.

    A frontal radiograph sets R and S of centre and size and keeps A, a lateral one sets A and S and keeps R. The way
    back of ``box_on_plane``, oblique views included. Sizes stay between 1 and 200 mm. Raises GeometryError.
    """
    kept, sought = DEPTH_AXIS[role], 1 - DEPTH_AXIS[role]
    centre = along_ray(view, centre_on_plane, kept, roi.centre_ras_mm[kept])
    scale = magnification(view, centre)
    right, down = np.abs(view.camera_from_ras[:2, :3])
    size = np.array(roi.size_mm, float)
    size[sought] = (size_on_plane[0] / scale - right[kept] * size[kept]) / right[sought]
    size[sought] = np.clip(size[sought], *SIZE_RANGE_MM)
    size[2] = np.clip((size_on_plane[1] / scale - down[:2] @ size[:2]) / down[2], *SIZE_RANGE_MM)
    r, a, s = (float(x) for x in centre)
    return VertebraROI(roi.level, (r, a, s), (float(size[0]), float(size[1]), float(size[2])))


def crop_share(view: View, centre_ras_mm: ArrayLike, side_mm: float) -> float:
    """Share, 0 to 1, of a model's crop around a point that lies inside the image.

    side_mm: of the cube that the model rebuilds. Raises GeometryError as ``magnification``.
    """
    side = side_mm * magnification(view, centre_ras_mm) * view.sdd_mm / view.sod_mm / view.pixel_mm
    (u, v), _ = view.project(centre_ras_mm)
    inside = 1.0
    for place, length in ((float(u), view.width), (float(v), view.height)):
        inside *= max(min(place + side / 2, length) - max(place - side / 2, 0.0), 0.0) / side
    return min(inside, 1.0)
