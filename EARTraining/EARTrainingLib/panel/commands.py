"""From the panel's parameters to the arguments of the commands `ear`. No Slicer, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

# What the commands let one choose. The lists of the commands themselves need torch, which Slicer may not have; the
# tests compare them.
NETWORKS = ("EAR", "PSR", "SIT", "E2E", "BX2S")
PRESETS = ("ours", "paper")
PROTOCOLS = ("isolated", "column", "in-situ")
ACQUISITIONS = ("nominal", "paper", "ours")
ENGINES = ("torch", "deepdrr")
SPLITS = ("test", "validation", "train", "all")


def prepare(parameters: Any, deepdrr_python: str = "") -> list[str]:
    """`ear prepare` of the sources."""
    options = {
        "--output": parameters.dataFolder,
        "--size": parameters.size,
        "--spacing": f"{parameters.spacingMm:g}",
        "--protocol": parameters.protocol,
        "--acquisition": parameters.acquisition,
        "--engine": parameters.engine,
        "--jobs": parameters.jobs,
        **_deepdrr(parameters.engine, deepdrr_python),
    }
    scenes = "--scenes" if parameters.scenes else "--no-scenes"
    return ["prepare", *_flat(options), scenes, "--", *parameters.sources]


def check_engine(parameters: Any, deepdrr_python: str = "") -> list[str]:
    """`ear xray --check-engine`."""
    return ["xray", *_flat({"--check-engine": parameters.engine, **_deepdrr(parameters.engine, deepdrr_python)})]


def train(parameters: Any, device: str) -> list[str]:
    """`ear train` on the prepared data set."""
    options = {
        "--output": parameters.runFolder,
        "--preset": parameters.preset,
        "--network": parameters.network,
        "--epochs": parameters.epochs,
        "--device": device,
    }
    if parameters.timeLimitH > 0:
        options["--max-time"] = clock(parameters.timeLimitH)
    return ["train", *_flat(options), *parameters.furtherOptions.split(), "--", parameters.dataFolder]


def evaluate(parameters: Any, device: str) -> list[str]:
    """`ear evaluate` of the chosen models on the prepared data set."""
    options = {
        "--data": parameters.dataFolder,
        "--output": parameters.evaluationFolder,
        "--split": parameters.split,
        "--device": device,
        "--jobs": parameters.jobs,
    }
    figures = "--figures" if parameters.figures else "--no-figures"
    named = [part for method, path in _named(parameters.models).items() for part in ("--name", f"{method}={path}")]
    return ["evaluate", *_flat(options), figures, *named]


def _named(files: Sequence[str]) -> dict[str, str]:
    """A name for the table -> file: the file's, with its folder's where two are called the same."""
    stems = [Path(file).stem for file in files]
    return {
        stem if stems.count(stem) == 1 else f"{stem} ({Path(file).parent.name})": file
        for stem, file in zip(stems, files, strict=True)
    }


def clock(hours: float) -> str:
    """Hours as --max-time takes them: HH:MM:SS."""
    minutes, seconds = divmod(round(3600 * hours), 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"


def _deepdrr(engine: str, python: str) -> dict[str, str]:
    return {"--deepdrr-python": python} if engine == "deepdrr" and python else {}


def _flat(options: dict[str, Any]) -> list[str]:
    return [str(part) for option in options.items() for part in option]
