"""The self-check of the engine ``deepdrr``: each piece that it needs, what was found, and what to do about it."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from .deepdrr_process import DEEPDRR_VERSION, run_worker
from .errors import EngineError

#: Seconds for the programs that are asked for their versions.
TIMEOUT_S = 120.0

#: Package -> what pip is to be given, and the versions that will do: [first, beyond).
PACKAGES: dict[str, tuple[str, tuple[int, ...], tuple[int, ...] | None]] = {
    "deepdrr": (f"deepdrr=={DEEPDRR_VERSION}", (1, 2, 2), (1, 2, 3)),
    "numpy": ("numpy<2", (1,), (2,)),
    "cupy-cuda12x": ("cupy-cuda12x<14", (1,), (14,)),
    "cuda-python": ("cuda-python<13", (12,), (13,)),
    "numba": ("numba", (0,), None),
    "killeengeo": ("killeengeo", (0,), None),
}


@dataclass(frozen=True)
class Piece:
    """One thing that DeepDRR needs. found: "" when it is not there. advice: "" when it will do."""

    name: str
    found: str
    needed: str
    advice: str

    @property
    def there(self) -> bool:
        """Whether it will do."""
        return not self.advice


def check_deepdrr(python: str | Path) -> list[Piece]:
    """Every piece that the engine needs under a Python. Raises EngineError when that Python cannot be run."""
    facts = _facts(Path(python))
    release = re.search(r"release (\d+)\.(\d+)", facts["nvcc"])
    cuda = f"{release[1]}.{release[2]}" if release else ""
    pieces = [
        _piece("system", facts["system"], "Linux", facts["system"] == "Linux", "DeepDRR runs on Linux only"),
        _piece(
            "NVIDIA driver",
            " ".join(facts["driver"].split()),
            "a GPU that nvidia-smi lists",
            bool(facts["driver"]),
            "Install the driver of the graphics card",
        ),
        _piece(
            "CUDA toolkit (nvcc)",
            cuda,
            "12.x",
            cuda.startswith("12."),
            "Install a CUDA 12 toolkit and let CUDA_PATH name its folder",
        ),
        _piece("EGL", facts["egl"], "libEGL.so.1", bool(facts["egl"]), "Install libegl1 (Debian, Ubuntu)"),
    ]
    for package, (requirement, first, beyond) in PACKAGES.items():
        found = facts[package]
        number = tuple(int(part) for part in re.findall(r"\d+", found)[:3])
        fits = bool(found) and first <= number and (beyond is None or number < beyond)
        pieces.append(_piece(package, found, requirement, fits, f'pip install "{requirement}"'))
    return pieces


def _piece(name: str, found: str, needed: str, there: bool, advice: str) -> Piece:
    return Piece(name, found, needed, "" if there else advice)


def _facts(python: Path) -> dict[str, str]:
    process = run_worker(python, "--facts")
    try:
        out, said = process.communicate(timeout=TIMEOUT_S)
        facts = json.loads(out)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise EngineError(python, f"it did not answer within {TIMEOUT_S:g} s", "Try it by hand") from error
    except ValueError as error:
        last = said.strip().splitlines()[-1:] or ["it printed nothing"]
        raise EngineError(python, f"it is no usable Python ({last[0]})", "Give a Python 3.8 or newer") from error
    return {str(name): str(value) for name, value in facts.items()}
