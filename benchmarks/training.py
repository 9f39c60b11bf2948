"""Training: what the loader costs, X-ray pairs per second, and the memory that each network takes.

    python benchmarks/training.py [--size 64] [--memory-size 128] [--steps 12] [--threads 2] [--device cpu]

Three measurements, three files beside this one; README.md explains their columns.
training-loader.csv: samples per second of EAR with one batch held in memory, with X-rays from disk, and with X-rays
    made live, each from a loader with one worker. A turn each in every round.
training-xrays.csv: X-ray pairs made per second on one thread, crop and lift included, for each protocol.
training-memory.csv: peak memory of a training step of each network at batch 2, each in a process of its own.
On CUDA also bf16 and compiled.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from networks import SIZED, circumstances, in_own_process, measured, print_table, write_csv

from EARReconstructionLib.networks import build, parameter_count  # isort: skip
from EARTrainingLib.datasets.make_example_tree import make_example_tree  # isort: skip
from EARTrainingLib.datasets.prepared import PreparedDataset  # isort: skip
from EARTrainingLib.datasets.preparation import prepare  # isort: skip
from EARTrainingLib.datasets.readers import read_sources  # isort: skip
from EARTrainingLib.datasets.settings import PreparationSettings  # isort: skip
from EARTrainingLib.losses import LossWeights, total_loss  # isort: skip
from EARTrainingLib.samples import Sample, Samples, stacked  # isort: skip
from EARTrainingLib.simulation import PROTOCOLS, Simulation, simulate  # isort: skip

HERE = Path(__file__).parent
BATCH = 2
WEIGHTS = LossWeights(edge_scale=1.0)
NETWORKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("EAR", {}),
    ("PSR", {"width": 0.25}),
    ("SIT", {}),
    ("E2E", {}),
    ("BX2S", {}),
)


class Trained:
    """A network with its optimiser; ``step`` is one training step."""

    def __init__(self, name: str, arguments: dict[str, Any], size: int, device: str, precision: str = "32") -> None:
        torch.manual_seed(0)
        self.network = build(name, **arguments, **({"size": size} if name in SIZED else {})).to(device)
        if self.network.input_kind == "volumes":
            self.network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.optimizer = torch.optim.AdamW(self.network.parameters())
        self.device, self.autocast = device, precision == "bf16"

    def step(self, batch: Sample) -> None:
        images, lifted, target, _ = (part.to(self.device) for part in batch)
        x = images if self.network.input_kind == "images" else lifted.contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.autocast):
            output = self.network(x)
        loss, _ = total_loss(output.volume.float(), target / 500, WEIGHTS)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        if self.device == "cuda":
            torch.cuda.synchronize()


def batches(samples: Samples) -> Iterator[Sample]:
    """Batches without end from one worker, as in training."""
    loader = torch.utils.data.DataLoader(
        samples,
        BATCH,
        collate_fn=stacked,
        num_workers=1,
        persistent_workers=True,
        worker_init_fn=lambda _: torch.set_num_threads(1),
    )
    while True:
        yield from loader


def loader(data: PreparedDataset, given: argparse.Namespace) -> list[dict[str, Any]]:
    """Samples per second with and without loading."""
    live = Simulation(protocol="column")
    sources = {
        "disk": Samples(data, "train", lift="backproject", count=10_000),
        "live": Samples(data, "train", lift="backproject", simulation=live, count=10_000),
    }
    held = stacked([sources["disk"][n] for n in range(BATCH)])
    streams: dict[str, Iterator[Sample]] = {"held in memory": iter(lambda: held, None)}
    streams |= {name: batches(samples) for name, samples in sources.items()}
    ways: dict[str, tuple[str, bool]] = {"32": ("32", False)}
    if given.device == "cuda":
        ways |= {"bf16": ("bf16", False), "32 compiled": ("32", True), "bf16 compiled": ("bf16", True)}
    rows = []
    for way, (precision, compiled) in ways.items():
        trained = Trained("EAR", {}, data.size, given.device, precision)
        if compiled:
            trained.network.compile()
        for stream in streams.values():  # the first steps prepare convolutions and fill the queue
            for batch in islice(stream, 2):
                trained.step(batch)
        seconds: dict[str, list[float]] = {name: [] for name in streams}
        loads = []
        for _ in range(given.rounds):
            for name, stream in streams.items():
                began = time.perf_counter()
                for batch in islice(stream, given.steps):
                    trained.step(batch)
                seconds[name].append(time.perf_counter() - began)
            loads.append(os.getloadavg()[0])
        unit = statistics.median(seconds["held in memory"])
        rows += [
            {
                "samples": name,
                "size": data.size,
                "precision": way,
                "samples_per_s": f"{BATCH * given.steps / statistics.median(times):.2f}",
                "ratio": f"{statistics.median(times) / unit:.2f}",
                "device": given.device,
                **circumstances(given.threads, given.rounds, loads),
            }
            for name, times in seconds.items()
        ]
    return rows


def xrays(data: PreparedDataset, given: argparse.Namespace) -> list[dict[str, Any]]:
    """X-ray pairs per second, one thread."""
    torch.set_num_threads(1)
    scenes = [data.scene(row) for row in data.rows_of("train")[:4]]
    seconds: dict[str, list[float]] = {name: [] for name in PROTOCOLS}
    loads = []
    for number in range(given.rounds + 1):
        for name in PROTOCOLS:
            simulation = Simulation(protocol=name)
            began = time.perf_counter()
            for n in range(given.steps):
                simulate(scenes[n % len(scenes)], simulation, data.size, "backproject", (number, n), given.device)
            if number:
                seconds[name].append(time.perf_counter() - began)
        loads.append(os.getloadavg()[0])
    torch.set_num_threads(given.threads)
    unit = statistics.median(seconds["isolated"])
    return [
        {
            "protocol": name,
            "size": data.size,
            "pairs_per_s": f"{given.steps / statistics.median(times):.2f}",
            "ratio": f"{statistics.median(times) / unit:.2f}",
            "device": given.device,
            **circumstances(1, given.rounds, loads),
        }
        for name, times in seconds.items()
    ]


def memory_of(name: str, arguments: dict[str, Any], size: int, threads: int, device: str) -> tuple[float, float, int]:
    """Peak MB of two training steps, MB before, and parameters."""
    torch.set_num_threads(threads)
    cube = (BATCH, 1, size, size, size)
    batch = Sample(
        torch.randn(BATCH, 2, size, size),
        torch.randn(BATCH, 2, size, size, size),
        torch.randn(cube),
        torch.ones(cube) > 0,
    )
    with measured() as turn:
        trained = Trained(name, arguments, size, device)
        for _ in range(2):
            trained.step(batch)
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6, 0.0, parameter_count(trained.network)
    return turn.peak_mb, turn.before_mb, parameter_count(trained.network)


def memory(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak memory of each network in training."""
    rows = []
    for name, arguments in NETWORKS:
        peak, before, parameters = in_own_process(
            memory_of, name, arguments, given.memory_size, given.threads, given.device
        )
        rows.append(
            {
                "network": " ".join([name, *(f"{key}={value}" for key, value in arguments.items())]),
                "size": given.memory_size,
                "batch": BATCH,
                "parameters": parameters,
                "peak_mb": f"{peak:.0f}",
                "peak_without_libraries_and_batch_mb": f"{peak - before:.0f}",
                "device": given.device,
                **circumstances(given.threads, 1, [os.getloadavg()[0]]),
            }
        )
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--memory-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as temporary:
        settings = PreparationSettings(size=given.size, spacing_mm=96 / given.size, protocol="column")
        tree, folder = Path(temporary) / "verse20", Path(temporary) / "prepared"
        make_example_tree(tree)
        prepare(read_sources([str(tree)]), settings, folder, jobs=2)
        data = PreparedDataset.open(folder)
        parts = {"loader": loader(data, given), "xrays": xrays(data, given)}
    parts["memory"] = memory(given)
    suffix = "" if given.device == "cpu" else f"-{given.device}"
    for name, rows in parts.items():
        write_csv(HERE / f"training-{name}{suffix}.csv", rows)
        print_table(rows, list(rows[0])[:6])
        print()


if __name__ == "__main__":
    main()
