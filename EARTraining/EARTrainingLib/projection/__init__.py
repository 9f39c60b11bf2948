"""From a CT to radiographs: line integrals, materials, spectrum, detector, and the engines that put them together."""

from .acquisition import ACQUISITIONS, Acquisition, Exposure
from .calibration import Calibrated, Calibration
from .detector import detect
from .engine import ENGINES, TorchEngine, XrayEngine, area_densities, make_engine, xray_pair
from .errors import EngineError
from .materials import MATERIALS, density_from_hu, material_densities
from .raymarcher import crop_to_content, line_integrals, project
from .spectrum import SPECTRA, Spectrum, load_spectrum

__all__ = [
    "ACQUISITIONS",
    "ENGINES",
    "MATERIALS",
    "SPECTRA",
    "Acquisition",
    "Calibrated",
    "Calibration",
    "EngineError",
    "Exposure",
    "Spectrum",
    "TorchEngine",
    "XrayEngine",
    "area_densities",
    "crop_to_content",
    "density_from_hu",
    "detect",
    "line_integrals",
    "load_spectrum",
    "make_engine",
    "material_densities",
    "project",
    "xray_pair",
]
