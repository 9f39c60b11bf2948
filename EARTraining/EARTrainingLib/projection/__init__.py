"""From a CT to radiographs: line integrals, materials, spectrum, detector, and the engines that put them together."""

from .detector import detect
from .engine import ENGINES, TorchEngine, XrayEngine, xray_pair
from .materials import MATERIALS, density_from_hu, material_densities
from .raymarcher import crop_to_content, line_integrals, project
from .spectrum import SPECTRA, Spectrum, load_spectrum

__all__ = [
    "ENGINES",
    "MATERIALS",
    "SPECTRA",
    "Spectrum",
    "TorchEngine",
    "XrayEngine",
    "crop_to_content",
    "density_from_hu",
    "detect",
    "line_integrals",
    "load_spectrum",
    "material_densities",
    "project",
    "xray_pair",
]
