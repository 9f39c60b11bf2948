"""X-ray engines behind one interface, and the pair of radiographs that they are for.

An engine stops at area densities. Spectrum, exposure and noise come afterwards (``detect``), so that one stored
projection serves for all of them and engines can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import torch
from EARReconstructionLib.geometry import Affine, BiplanarGeometry, View

from .deepdrr_engine import DeepDRREngine
from .detector import detect
from .errors import EngineError
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

    def close(self) -> None:
        """Nothing to end: for ``contextlib.closing``, which other engines need."""


#: Name -> engine class, for settings and the command line.
ENGINES: dict[str, type[TorchEngine] | type[DeepDRREngine]] = {"torch": TorchEngine, "deepdrr": DeepDRREngine}


def make_engine(name: str, python: str | Path | None = None) -> TorchEngine | DeepDRREngine:
    """An engine by its name in ENGINES; close it when the work is done.

    python: the interpreter that has DeepDRR, for "deepdrr" only. Raises EngineError.
    """
    if name not in ENGINES:
        raise EngineError(f"engine {name!r}", "there is no such X-ray engine", f"Use one of {', '.join(ENGINES)}")
    return DeepDRREngine(python) if name == "deepdrr" else TorchEngine()


def area_densities(
    engine: XrayEngine, volume_hu: torch.Tensor, ras_from_ijk: Affine, views: Sequence[View]
) -> list[torch.Tensor]:
    """Area densities (M, h, w) of each view; the views may differ in size."""
    images: dict[int, torch.Tensor] = {}
    for size in dict.fromkeys((view.height, view.width) for view in views):
        chosen = [n for n, view in enumerate(views) if (view.height, view.width) == size]
        images.update(zip(chosen, engine.project(volume_hu, ras_from_ijk, [views[n] for n in chosen]), strict=True))
    return [images[n] for n in range(len(views))]


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
    spectrum = spectrum or load_spectrum()
    frontal, lateral = (
        detect(area, spectrum, photons, generator)
        for area in area_densities(engine or TorchEngine(), volume_hu, ras_from_ijk, geometry.views)
    )
    return frontal, lateral
