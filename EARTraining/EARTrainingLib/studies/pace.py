"""How long a training step takes."""

from __future__ import annotations

import json
import platform
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from EARReconstructionLib.volume_io import written_whole


@dataclass(frozen=True)
class Pace:
    """Median seconds from one training step to the next, data included, over some steps on a device, in words."""

    step_s: float
    steps: int
    device: str


class Stopwatch:
    """Takes the times of a run from the events of its training, and keeps them in a file through interruptions.

    A step is timed from the end of the one before it in the same epoch: what a first step or a validation costs is not
    in it. One call of ``train`` is one session; ``read`` gives the one with most steps.
    """

    def __init__(self, path: Path, device: torch.device) -> None:
        self.path = path
        self._device = torch.cuda.get_device_name() if device.type == "cuda" else _processor()
        self._earlier = _sessions(path)
        self._seconds: list[float] = []
        self._last: tuple[int, int, float] | None = None

    def note(self, event: dict[str, Any]) -> None:
        """An event as ``training.history.Progress`` tells them."""
        if event["event"] != "step":
            self._write()
            return
        now = (event["epoch"], event["step"], event["seconds"])
        if self._last is not None and now[:2] == (self._last[0], self._last[1] + 1):
            self._seconds.append(now[2] - self._last[2])
        self._last = now

    def _write(self) -> None:
        if not self._seconds:
            return
        own = Pace(statistics.median(self._seconds), len(self._seconds), self._device)
        with written_whole(self.path) as beside:
            beside.write_text(json.dumps([*self._earlier, asdict(own)], indent=1), encoding="utf-8")


def read_pace(path: Path) -> Pace | None:
    """The pace of a run over its longest session; None where no step was timed."""
    paces = [Pace(**session) for session in _sessions(path)]
    return max(paces, key=lambda pace: pace.steps, default=None)


def _sessions(path: Path) -> list[dict[str, Any]]:
    try:
        return list(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return []


def _processor() -> str:
    threads = torch.get_num_threads()
    return f"{platform.machine()} CPU, {threads} thread{'s' * (threads > 1)}"
