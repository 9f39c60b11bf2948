"""Where the files that come with SlicerEAR are: models and the sample case."""

from __future__ import annotations

from pathlib import Path

from .errors import BundleError

#: Beside the package in Slicer and in a checkout, inside it in an installed wheel.
_HERE = Path(__file__).resolve().parent
RESOURCES = next((p for p in (_HERE / "Resources", _HERE.parent / "Resources") if p.is_dir()), _HERE / "Resources")

MODELS = RESOURCES / "Models"
SAMPLE_CASE = RESOURCES / "SampleCase"

#: The model that everyone gets who names none.
DEFAULT_MODEL = "e2e-situ-64"


def find_model(name_or_path: str) -> Path:
    """The bundle of an installed model's name, or the file itself. Raises BundleError when there is neither."""
    installed = MODELS / f"{name_or_path}.safetensors"
    if installed.is_file():
        return installed
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = ", ".join(p.stem for p in sorted(MODELS.glob("[!.]*.safetensors"))) or "none"
    raise BundleError(
        name_or_path, "there is no such model", f"Give the path of a bundle, or an installed model ({names})"
    )
