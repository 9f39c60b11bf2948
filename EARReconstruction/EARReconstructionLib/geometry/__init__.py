"""Geometry: one convention, used everywhere (frames, views, cropping, lifting)."""

from .biplanar import PRESETS, BiplanarGeometry
from .cropping import crop_image, crop_view
from .frames import LPS_FROM_RAS, Affine, cube_affine, inverse, transform_points, voxel_sizes_mm
from .lifting import LIFTS, as_displayed, backproject, lift, replicate
from .views import View

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
