"""Every network beside the others in one interleaved run: parameters, seconds, peak memory. Inference on the CPU.

    python benchmarks/networks.py [--size 128] [--threads 2] [--rounds 5]

One vertebra at a time (batch 1), random weights: neither speed nor memory depends on them. In each round every network
takes one turn, so that whatever else the machine does slows them alike; the first turn, which also prepares the
convolutions, is not counted. Memory is measured before, each network in a process of its own, because the peak of one
process says nothing about its parts. Writes networks.csv beside this file; README.md explains its columns.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "EARReconstruction"), str(ROOT / "EARTraining")]

from EARReconstructionLib.networks import build, parameter_count  # noqa: E402
from EARReconstructionLib.networks.network import ReconstructionNetwork  # noqa: E402

#: (network, arguments). EAR first: the paper's; then with its extra level at full resolution.
CANDIDATES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("EAR", {}),
    ("EAR", {"stem_stride": 1}),
    ("PSR", {"width": 0.25}),
    ("SIT", {}),
    ("E2E", {}),
    ("BX2S", {}),
)

#: The network whose time is the unit of ``ratio``.
UNIT = "E2E"

#: Networks that work on images have their size built in.
SIZED = ("PSR", "SIT")

T = TypeVar("T")


@dataclass
class Turn:
    """One turn at some work: seconds on the clock, CPU seconds of all threads, MB of the process before and at most."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    before_mb: float = 0.0
    peak_mb: float = 0.0


@contextmanager
def measured() -> Iterator[Turn]:
    """Measure a block. Where the system does not let the peak start anew, it is that of the process so far."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    turn = Turn(before_mb=_memory_mb("VmRSS"))
    wall, cpu = time.perf_counter(), time.process_time()
    yield turn
    turn.wall_s, turn.cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    turn.peak_mb = _memory_mb("VmHWM")


def _memory_mb(field: str) -> float:
    """A figure of this process from Linux. Not from getrusage: there a child's peak starts at its parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(f"{field}:"))


def in_own_process(work: Callable[..., T], *arguments: Any) -> T:
    """The result of a function of this program, run in a fresh Python."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def circumstances(threads: int, rounds: int, loads: Sequence[float]) -> dict[str, Any]:
    """The columns that say where and how a row was measured."""
    return {
        "threads": threads,
        "rounds": rounds,
        "cpu_count": os.cpu_count(),
        "load_average": f"{statistics.mean(loads):.1f}",
        "torch": torch.__version__,
    }


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of equal columns."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    """Some columns of rows, the first to the left and the others to the right."""
    lines = [list(columns), *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for first, *others in lines:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  ".join([first.ljust(widths[0]), *cells]))


def prepared(name: str, arguments: Mapping[str, Any], size: int) -> tuple[ReconstructionNetwork, torch.Tensor]:
    """A network in evaluation mode, and an input of batch 1 for it."""
    torch.manual_seed(0)
    network = build(name, **arguments, **({"size": size} if name in SIZED else {})).eval()
    return network, torch.randn(1, 2, *[size] * (2 if network.input_kind == "images" else 3))


@torch.inference_mode()
def alone(name: str, arguments: Mapping[str, Any], size: int, threads: int) -> Turn:
    """A network made and run in this process, for its memory."""
    torch.set_num_threads(threads)
    with measured() as turn:
        network, x = prepared(name, arguments, size)
        for _ in range(2):
            network(x)
    return turn


@torch.inference_mode()
def interleaved(size: int, rounds: int) -> tuple[list[list[Turn]], list[float]]:
    """Turns of each candidate, and the machine's load average after each round."""
    candidates = [prepared(name, arguments, size) for name, arguments in CANDIDATES]
    turns: list[list[Turn]] = [[] for _ in candidates]
    loads = []
    for one_round in range(rounds + 1):
        for (network, x), own in zip(candidates, turns, strict=True):
            with measured() as turn:
                network(x)
            if one_round:
                own.append(turn)
        loads.append(os.getloadavg()[0])
    return turns, loads


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=128, help="voxels per side, divisible by 32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds must be at least 1")
    torch.set_num_threads(given.threads)

    memory = [in_own_process(alone, name, arguments, given.size, given.threads) for name, arguments in CANDIDATES]
    turns, loads = interleaved(given.size, given.rounds)
    wall = [statistics.median(turn.wall_s for turn in own) for own in turns]
    cpu = [statistics.median(turn.cpu_s for turn in own) for own in turns]
    unit = [name for name, _ in CANDIDATES].index(UNIT)
    rows = []
    for n, (name, arguments) in enumerate(CANDIDATES):
        network, _ = prepared(name, arguments, given.size)
        rows.append(
            {
                "network": " ".join([name, *(f"{key}={value}" for key, value in arguments.items())]),
                "size": given.size,
                "parameters": parameter_count(network),
                "median_s": f"{wall[n]:.3f}",
                "fastest_s": f"{min(turn.wall_s for turn in turns[n]):.3f}",
                "ratio": f"{wall[n] / wall[unit]:.2f}",
                "cpu_s": f"{cpu[n]:.3f}",
                "cpu_ratio": f"{cpu[n] / cpu[unit]:.2f}",
                "peak_mb": f"{memory[n].peak_mb:.0f}",
                "peak_without_libraries_mb": f"{memory[n].peak_mb - memory[n].before_mb:.0f}",
                **circumstances(given.threads, given.rounds, loads),
            }
        )
    write_csv(given.out, rows)
    print_table(rows, list(rows[0])[:10])
    print(
        f"{given.rounds} rounds on {given.threads} threads of {os.cpu_count()} CPUs, load average "
        f"{statistics.mean(loads):.1f}; ratios to {UNIT}."
    )
    print(
        f"Expected: EAR of width 16 at 128^3 within 3 s on 2 cores and 2 GB. Measured at {given.size}^3: "
        f"{wall[0]:.2f} s ({cpu[0]:.2f} s of CPU time over all threads), {memory[0].peak_mb / 1000:.2f} GB."
    )


if __name__ == "__main__":
    main()
