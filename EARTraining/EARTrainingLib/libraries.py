"""`python -m EARTrainingLib.libraries`: what a Python has of the libraries that the commands `ear` need.

Imports none of them, so that it answers at once and under any Python. It prints one event as EARTrainingLib.cli.common
describes them: {"event": "end", "python": version, "libraries": {name: version, "" where there is none}}.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform

#: Package -> what pip is to be given, for all that pip may install.
REQUIREMENTS = {
    "safetensors": "safetensors>=0.4",
    "typer": "typer>=0.12",
    "rich": "rich>=13",
    "matplotlib": "matplotlib>=3.8",
    "lightning": "lightning>=2.6",
    "pandas": "pandas>=2.1",
    "joblib": "joblib>=1.4",
    "psutil": "psutil>=5.9",
}

#: What has to be there before: PyTorch for its many builds, the others since 3D Slicer is built with them.
FOUNDATION = ("torch", "numpy", "scipy", "SimpleITK", "vtk")


def versions() -> dict[str, str]:
    """Package -> version, "" where there is none. Of the Python that runs."""
    return {name: _version(name) for name in (*FOUNDATION, *REQUIREMENTS)}


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return _module_version(name)


def _module_version(name: str) -> str:
    """Of a package that was built with 3D Slicer and not installed by pip: such have no metadata."""
    try:
        return "built in" if importlib.util.find_spec(name) else ""
    except (ImportError, ValueError):
        return ""


if __name__ == "__main__":
    print(json.dumps({"event": "end", "python": platform.python_version(), "libraries": versions()}))
