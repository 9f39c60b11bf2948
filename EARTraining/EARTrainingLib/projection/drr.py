"""X-ray images of a CT from any side: views that hold it, and what their detectors show.

The paper's "general way to generate X-ray images from different view angles".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.geometry import View, transform_points
from EARReconstructionLib.volume_io import Volume
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from .detector import detect
from .engine import TorchEngine, XrayEngine, area_densities
from .materials import AIR_HU, AIR_RAMP_HU
from .spectrum import Spectrum, load_spectrum

#: -log(I/I0), I/I0, or the matter that the rays passed, g/cm3 * mm of each of MATERIALS.
QUANTITIES = ("attenuation", "intensity", "area-density")

#: Photons per pixel of the open beam; the paper has "more than 1e6".
PHOTONS = 2e6

#: Pixel size seen at the isocentre, mm.
ISO_PIXEL_MM = 0.8

#: Pixels along a side: no detector has more, and a slip in a distance would ask for millions.
LARGEST_SIDE = 8192


def views_around(
    volume: Volume,
    angles_deg: Sequence[tuple[float, float]],
    *,
    sod_mm: float,
    sdd_mm: float,
    pixel_mm: float | None = None,
    size: tuple[int, int] | None = None,
    isocentre_ras_mm: ArrayLike | None = None,
) -> list[View]:
    """A view of a volume for each (alpha, beta).

    pixel_mm: on the detector; 0.8 mm at the isocentre unless given. size: (height, width) in pixels; unless given, each
    detector just holds the volume. isocentre_ras_mm: the volume's middle unless given.

    Raises GeometryError when the source or the detector would lie in the volume (the detector may reach into its air),
    or the detector would be too large.
    """
    corners, matter = corners_ras_mm(volume), corners_ras_mm(_without_air(volume))
    centre = (corners.min(0) + corners.max(0)) / 2 if isocentre_ras_mm is None else np.asarray(isocentre_ras_mm, float)
    r, a, s = np.round(centre, 1).tolist()
    pixel = ISO_PIXEL_MM * sdd_mm / sod_mm if pixel_mm is None else pixel_mm
    views = []
    for alpha, beta in angles_deg:
        # Two pixels square at first, its middle at (1, 1): where the corners fall tells the size.
        view = View(alpha, beta, sod_mm, sdd_mm, pixel, 2, 2, (r, a, s))
        _, depth = view.project(corners)
        name = f"view {alpha:g},{beta:g}"
        if depth.min() <= 0:
            raise GeometryError(
                name,
                f"the X-ray source lies {-depth.min():.0f} mm inside the CT",
                "Increase the SOD or move the centre",
            )
        beyond = view.project(matter)[1].max() - sdd_mm
        if beyond >= 0:
            inside = f"the detector lies {beyond:.0f} mm inside the patient"
            raise GeometryError(name, inside, "Increase the SDD or move the centre")
        half = np.ceil(np.abs(view.project(corners)[0] - 1).max(0)) + 2
        height, width = size or (int(2 * half[1]), int(2 * half[0]))
        if max(height, width) > LARGEST_SIDE:
            raise GeometryError(
                name, f"a detector of {height} x {width} pixels", "Give larger pixels, a larger SOD or a --size"
            )
        views.append(View(alpha, beta, sod_mm, sdd_mm, pixel, height, width, (r, a, s)))
    return views


def corners_ras_mm(volume: Volume) -> NDArray[np.float64]:
    """(8, 3) outer corners of a volume, RAS mm."""
    ends = [(-0.5, n - 0.5) for n in volume.array.shape[::-1]]
    return transform_points(volume.ras_from_ijk, [[i, j, k] for i in ends[0] for j in ends[1] for k in ends[2]])


def _without_air(volume: Volume) -> Volume:
    """The bounding box of all that is denser than air; the volume itself when nothing is."""
    matter = volume.array > AIR_HU - AIR_RAMP_HU
    (box,) = ndimage.find_objects(matter.astype(np.uint8)) or [None]
    if box is None:
        return volume
    affine = np.array(volume.ras_from_ijk, float)
    affine[:3, 3] = transform_points(affine, [float(side.start) for side in box[::-1]])
    return Volume(volume.array[box], affine)


def images_of(
    volume: Volume,
    views: Sequence[View],
    *,
    quantity: str = QUANTITIES[0],
    spectrum: Spectrum | None = None,
    photons: float | None = PHOTONS,
    seed: int = 0,
    engine: XrayEngine | None = None,
) -> list[torch.Tensor]:
    """Images (h, w) of a volume in HU, or area densities (M, h, w), one per view.

    spectrum: the paper's unless given. photons: None for no noise; area densities have none. engine: TorchEngine unless
    given. Raises GeometryError for a view that shows nothing, EngineError.
    """
    hu = torch.from_numpy(np.ascontiguousarray(volume.array, np.float32))
    areas = area_densities(engine or TorchEngine(), hu, volume.ras_from_ijk, views)
    for view, area in zip(views, areas, strict=True):
        if not area.any():
            raise GeometryError(
                f"view {view.alpha_deg:g},{view.beta_deg:g}", "nothing is in its image", "Move the centre or widen it"
            )
    if quantity == "area-density":
        return areas
    generator = torch.Generator().manual_seed(seed)
    images = [detect(area, spectrum or load_spectrum(), photons, generator) for area in areas]
    return [torch.exp(-image) for image in images] if quantity == "intensity" else images
