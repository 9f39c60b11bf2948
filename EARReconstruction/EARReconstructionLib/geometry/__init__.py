"""Geometry: one convention, used everywhere (frames, views, cropping, lifting).

What needs torch is imported when it is first used: a panel shows radiographs and ROIs before torch is installed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .biplanar import LIFTS, PRESETS, BiplanarGeometry
from .frames import LPS_FROM_RAS, Affine, cube_affine, inverse, transform_points, voxel_sizes_mm
from .views import View, crop_view

if TYPE_CHECKING:
    from .cropping import crop_image
    from .lifting import as_displayed, backproject, lift, replicate

_WITH_TORCH = {
    "crop_image": ".cropping",
    "as_displayed": ".lifting",
    "backproject": ".lifting",
    "lift": ".lifting",
    "replicate": ".lifting",
}


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WITH_TORCH[name], __name__), name)


__all__ = [
    "LIFTS",
    "LPS_FROM_RAS",
    "PRESETS",
    "Affine",
    "BiplanarGeometry",
    "View",
    "as_displayed",
    "backproject",
    "crop_image",
    "crop_view",
    "cube_affine",
    "inverse",
    "lift",
    "replicate",
    "transform_points",
    "voxel_sizes_mm",
]
