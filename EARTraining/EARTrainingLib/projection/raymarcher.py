"""Line integrals of a volume along the rays of a view, in torch: differentiable, the same on CPU and CUDA.

Joseph's method (IEEE Trans. Med. Imaging 1, 192-196, 1982). A ray is sampled where it crosses the planes of voxel
centres of one volume axis, the one it crosses most often, by bilinear interpolation within the plane; each sample
counts for the length of ray between two planes. Beyond the outermost voxel centres the volume falls to zero within
one voxel, so nothing has to be clipped. Interpolation in planes is what torch vectorises on CPU: at the same accuracy
it is several times faster than trilinear sampling along the ray.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.geometry import Affine, View, transform_points
from numpy.typing import NDArray

#: Ray samples held at once (per channel), so that memory does not grow with volume or detector.
SAMPLES_PER_CHUNK = 1 << 20


def project(volume: torch.Tensor, ras_from_ijk: Affine, views: Sequence[View]) -> torch.Tensor:
    """Line integrals of (C, D, H, W) in several views of one detector size: (V, C, h, w). See line_integrals."""
    if not volume.requires_grad:
        volume, ras_from_ijk = crop_to_content(volume, ras_from_ijk)
    return torch.stack([_integrate_view(volume, ras_from_ijk, view) for view in views])


def line_integrals(volume: torch.Tensor, ras_from_ijk: Affine, view: View) -> torch.Tensor:
    """Integral of each channel of (C, D, H, W) from the source to every pixel centre: (C, h, w) in [channel * mm].

    ras_from_ijk: (4, 4) from voxel centres to RAS mm, any invertible affine. All of the volume is taken to lie before
    the detector. Rays that miss give exactly 0. Empty borders are cut off first, unless a gradient is asked for: it
    reaches empty voxels too.

    Raises GeometryError when the volume reaches behind the source.
    """
    return project(volume, ras_from_ijk, [view])[0]


def crop_to_content(volume: torch.Tensor, ras_from_ijk: Affine) -> tuple[torch.Tensor, Affine]:
    """The bounding box of the voxels of (C, D, H, W) that are not 0 in every channel, uncopied, and its affine."""
    box = [slice(0, 0)] * 3
    if volume.numel():
        largest = volume.abs().amax(0)  # maxima, because torch's any() and nonzero() take ten times as long
        above = largest.amax(0)
        for axis, profile in enumerate((largest.amax((1, 2)), above.amax(1), above.amax(0))):
            index = torch.nonzero(profile)
            if len(index):
                box[axis] = slice(int(index[0]), int(index[-1]) + 1)
    affine = np.array(ras_from_ijk, float)
    affine[:3, 3] = transform_points(affine, [side.start for side in box[::-1]])
    return volume[:, box[0], box[1], box[2]], affine


def _integrate_view(volume: torch.Tensor, ras_from_ijk: Affine, view: View) -> torch.Tensor:
    """(C, D, H, W) -> (C, h, w): the rays that can meet the volume, each along the axis that it crosses most often."""
    out = volume.new_zeros(volume.shape[0], view.height, view.width)
    if not volume.numel():
        return out
    rows, columns = _footprint(volume.shape[1:], ras_from_ijk, view)
    rays = view.rays()[rows, columns]
    if not rays.size:
        return out
    ijk_from_ras = np.linalg.inv(ras_from_ijk).astype(float)
    source = transform_points(ijk_from_ras, view.source_ras_mm)
    directions = rays.reshape(-1, 3) @ ijk_from_ras[:3, :3].T  # voxels per mm
    axes = np.abs(directions).argmax(-1)
    window = volume.new_zeros(volume.shape[0], len(directions))
    for axis in range(3):
        chosen = np.flatnonzero(axes == axis)
        if len(chosen):
            integrals = _integrate_planes(volume, source, directions[chosen], axis)
            window = window.index_copy(1, torch.as_tensor(chosen, device=volume.device), integrals)
    out[:, rows, columns] = window.reshape(-1, *rays.shape[:2])
    return out


def _footprint(shape: Sequence[int], ras_from_ijk: Affine, view: View) -> tuple[slice, slice]:
    """Rows and columns of the detector that rays through a volume (D, H, W) can reach, its falling border included."""
    corners = np.array([(i, j, k) for i in (-1, shape[2]) for j in (-1, shape[1]) for k in (-1, shape[0])])
    pixels, depth = view.project(transform_points(ras_from_ijk, corners))
    if depth.min() <= 0:
        raise GeometryError(
            "volume",
            f"it reaches {-depth.min():.0f} mm behind the X-ray source",
            "Increase the source-object distance (SOD) or move the isocentre",
        )
    (u0, v0), (u1, v1) = np.floor(pixels.min(0)).astype(int), np.ceil(pixels.max(0)).astype(int)
    return (
        slice(min(max(v0, 0), view.height), max(min(v1, view.height), 0)),
        slice(min(max(u0, 0), view.width), max(min(u1, view.width), 0)),
    )


def _integrate_planes(
    volume: torch.Tensor, source: NDArray[np.float64], directions: NDArray[np.float64], axis: int
) -> torch.Tensor:
    """Integrals along R rays across the planes of one axis (0, 1, 2 = i, j, k): (C, R).

    source: (3,) in voxels. directions: (R, 3) in voxels per mm, none parallel to the planes.
    """
    planes = volume.movedim(3 - axis, 0).contiguous()  # (N, C, slow, fast)
    n = planes.shape[0]
    fast, slow = (a for a in range(3) if a != axis)
    size = np.array([planes.shape[3], planes.shape[2]])
    per_plane = directions[:, (fast, slow)] / directions[:, axis : axis + 1]
    first = source[[fast, slow]] - source[axis] * per_plane  # where each ray crosses plane 0, in float64
    start, step, mm_per_plane = (
        torch.as_tensor(a).to(volume)  # grid_sample's [-1, 1] spans the voxels' edges
        for a in ((2 * first + 1) / size - 1, 2 * per_plane / size, 1 / np.abs(directions[:, axis]))
    )
    total = volume.new_zeros(volume.shape[0], len(directions))
    chunk = max(1, SAMPLES_PER_CHUNK // len(directions))
    for begin in range(0, n, chunk):
        k = torch.arange(begin, min(begin + chunk, n), device=volume.device, dtype=volume.dtype)
        grid = torch.addcmul(start, k[:, None, None], step)[:, None]  # (chunk, 1, R, 2)
        samples = F.grid_sample(planes[begin : begin + chunk], grid, padding_mode="zeros", align_corners=False)
        total = total + samples[:, :, 0].sum(0)
    return total * mm_per_plane
