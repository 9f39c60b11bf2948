"""X-ray engines behind one interface, and the pair of radiographs that they are for.

An engine stops at area densities. Spectrum, exposure and noise come afterwards (``detect``), so that one stored
projection serves for all of them and engines can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from EARReconstructionLib.geometry import Affine, BiplanarGeometry, View

from .detector import detect
from .materials import material_densities
from .raymarcher import project
from .spectrum import Spectrum, load_spectrum


class XrayEngine(Protocol):
    """Something that projects a CT."""

    def project(self, volume_hu: torch.Tensor, ras_from_ijk: Affine, views: Sequence[View]) -> torch.Tensor:
        """HU (D, H, W) -> area densities (V, M, h, w) in g/cm3 * mm, materials as in MATERIALS.

        Views share one detector size. Outside the volume there is air.
        """
        ...


class TorchEngine:
    """Our own ray-marcher: on the device of the volume, differentiable."""

    def project(self, volume_hu: torch.Tensor, ras_from_ijk: Affine, views: Sequence[View]) -> torch.Tensor:
        """See XrayEngine."""
        return project(material_densities(volume_hu), ras_from_ijk, views)


#: Name -> engine class, for settings and the command line.
ENGINES: dict[str, type[XrayEngine]] = {"torch": TorchEngine}


def xray_pair(
    volume_hu: torch.Tensor,
    ras_from_ijk: Affine,
    geometry: BiplanarGeometry,
    spectrum: Spectrum | None = None,
    photons: float | None = None,
    generator: torch.Generator | None = None,
    engine: XrayEngine | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Frontal and lateral attenuation images (h, w) of a CT (D, H, W) in HU.

    spectrum: the paper's unless given. photons, generator: see ``detect``. engine: TorchEngine unless given.
    """
    engine, spectrum = engine or TorchEngine(), spectrum or load_spectrum()
    sizes = {(view.height, view.width) for view in geometry.views}
    batches = [geometry.views] if len(sizes) == 1 else [(view,) for view in geometry.views]
    images = [
        image
        for views in batches
        for image in detect(engine.project(volume_hu, ras_from_ijk, views), spectrum, photons, generator)
    ]
    return images[0], images[1]
