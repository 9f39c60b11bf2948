"""From two radiographs to surfaces on the CPU, stage by stage: one vertebra, then a spine of 17. Seconds and memory.

    python benchmarks/pipeline.py [--size 128] [--threads 2] [--rounds 5] [--vertebrae 17] [--spine-rounds 3]

The radiographs are those of a made-up spine, T1 to L5. The network is EAR of width 16 with random weights: speed does
not depend on them. But its output is noise, and the mask and the surface of noise take other times than those of bone.
So the network runs in full, and then its volume is replaced by the CT of one vertebra of that spine; in the spine, of
the same one at every place. All else is the program as users have it.

Each run has a process of its own. A process's first vertebra is reported apart, because it also prepares the
convolutions. Batch sizes take turns. Writes pipeline.csv beside this file; README.md explains its columns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "EARReconstruction"), str(ROOT / "EARTraining")]

from EARReconstructionLib.bundle import Bundle, load_bundle, save_bundle  # noqa: E402
from EARReconstructionLib.case import read_case  # noqa: E402
from EARReconstructionLib.geometry import cube_affine  # noqa: E402
from EARReconstructionLib.model_card import ModelCard  # noqa: E402
from EARReconstructionLib.networks import build  # noqa: E402
from EARReconstructionLib.networks.network import NetworkOutput, ReconstructionNetwork  # noqa: E402
from EARReconstructionLib.reconstruction import largest_piece, network_input, reconstruct, run_network  # noqa: E402
from EARReconstructionLib.spine import stitch  # noqa: E402
from EARReconstructionLib.surface import isosurface  # noqa: E402
from EARReconstructionLib.volume_io import Volume  # noqa: E402
from EARTrainingLib.datasets.cases import case_of  # noqa: E402
from EARTrainingLib.datasets.phantom import LEVELS, PhantomSpine, ct, random_spine  # noqa: E402
from networks import Turn, circumstances, in_own_process, measured, print_table, write_csv  # noqa: E402

#: Side of the cube that the network fills, mm, and room around the bone so that the outermost cubes are covered too.
CUBE_MM, MARGIN_MM = 128.0, 32.0

HU_MEAN, HU_SD, THRESHOLD_HU = -900.0, 300.0, 100.0

BATCH_SIZES = (1, 4)

SEED = 7

#: The stage that happens once however many vertebrae there are.
LOADING = "load the model"

#: Stage -> what it took.
Stages = dict[str, Turn]


class Shown(ReconstructionNetwork):
    """A network that does all its work and then shows another volume (N, N, N), z-scored."""

    input_kind = "volumes"

    def __init__(self, network: ReconstructionNetwork, volume: torch.Tensor) -> None:
        super().__init__()
        self.network, self.volume = network, volume

    def forward(self, x: torch.Tensor) -> NetworkOutput:
        output = self.network(x)
        return NetworkOutput(self.volume.expand_as(output.volume).clone(), output.edges)


@dataclass(frozen=True)
class ShownBundle(Bundle):
    """A bundle with such a network."""

    volume: torch.Tensor = field(default_factory=lambda: torch.zeros(1))

    def network(self) -> ReconstructionNetwork:
        return Shown(super().network(), self.volume)


def prepare(folder: Path, size: int, vertebrae: int) -> None:
    """Write what every run reads: a case, a bundle, and the CT of the middle vertebra as the network shows it."""
    rng = np.random.default_rng(SEED)
    levels = LEVELS[-vertebrae:]
    spine = random_spine(rng, levels, scoliosis_deg=12.0)
    low, high = spine.bounding_box_mm()
    low, high = low - MARGIN_MM, high + MARGIN_MM
    affine = np.eye(4)
    affine[:3, 3] = low
    hu, labels = ct(spine, affine, [int(n) for n in np.ceil(high - low)[::-1]], rng)
    case = read_case(case_of("benchmark", hu, Volume(labels, affine), levels, folder / "case", seed=SEED))

    middle = case.rois[vertebrae // 2]
    cube = cube_affine(middle.centre_ras_mm, size, CUBE_MM / size)
    alone, _ = ct(PhantomSpine((spine[middle.level],)), cube, (size,) * 3, rng)
    np.save(folder / "vertebra.npy", (alone - np.float32(HU_MEAN)) / np.float32(HU_SD))

    torch.manual_seed(SEED)
    network = build("EAR", width=16)
    card = ModelCard(
        name="EAR, random weights",
        architecture="EAR",
        arguments=network.arguments,
        size=size,
        spacing_mm=CUBE_MM / size,
        lift="backproject",
        hu_mean=HU_MEAN,
        hu_sd=HU_SD,
        threshold_hu=THRESHOLD_HU,
        angle_range_deg=(80, 100),
        sod_range_mm=(500, 1600),
        protocol="column",
        levels=levels,
        data_licence="none: not trained",
    )
    save_bundle(folder / "ear.safetensors", card, network)


def load(folder: Path) -> ShownBundle:
    """The bundle, to show the middle vertebra."""
    volume = torch.from_numpy(np.load(folder / "vertebra.npy"))
    return ShownBundle(**vars(load_bundle(folder / "ear.safetensors")), volume=volume)


def limit(threads: int) -> None:
    """Let no library use more threads. VTK's wheels use one anyway, and so do NumPy and SciPy here."""
    torch.set_num_threads(threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


def one_vertebra(folder: Path, threads: int, rounds: int) -> list[Stages]:
    """The middle vertebra from crop to surface, once to warm up and then ``rounds`` times."""
    limit(threads)
    case = read_case(folder / "case")
    roi = case.rois[len(case.rois) // 2]
    times: list[Stages] = []
    for n in range(rounds + 1):
        stages: Stages = {}
        if n == 0:
            with measured() as stages[LOADING]:
                bundle = load(folder)
                network = bundle.network()
            card = bundle.card
        with measured() as stages["crop and lift"]:
            seen = network_input(case.radiographs, case.geometry, roi, card)
        with measured() as stages["network"]:
            output = run_network(network, [seen], "cpu")
        with measured() as stages["HU"]:
            volume = output.volume[0, 0].numpy() * np.float32(card.hu_sd) + np.float32(card.hu_mean)
        with measured() as stages["mask"]:
            largest_piece(volume > card.threshold_hu)
        with measured() as stages["surface"]:
            isosurface(volume, seen.ras_from_ijk, card.threshold_hu)
        times.append(stages)
    return times


def whole_spine(folder: Path, threads: int, batch_size: int) -> Stages:
    """Every vertebra of the case, and the spine made of them."""
    limit(threads)
    case = read_case(folder / "case")
    stages: Stages = {}
    with measured() as stages[LOADING]:
        bundle = load(folder)
    with measured() as stages["reconstruct"]:
        rebuilt = reconstruct(case.radiographs, case.geometry, case.rois, bundle, device="cpu", batch_size=batch_size)
    with measured() as stages["stitch"]:
        stitch(rebuilt)
    return stages


def table(
    task: str, batch_size: int, rounds: Sequence[Stages], *, skip: int = 0, unit_s: float | None = None
) -> list[dict[str, Any]]:
    """A row per stage, and one for their sum without loading the model, which is done once.

    skip: rounds at the start that only ``first_s`` reports. unit_s: what ``ratio`` is relative to; None: the sum.
    """
    steps = [stage for stage in rounds[-1] if stage != LOADING]
    turns = {stage: [one[stage] for one in rounds if stage in one] for stage in rounds[0]}
    turns["total"] = [
        Turn(
            sum(one[stage].wall_s for stage in steps),
            sum(one[stage].cpu_s for stage in steps),
            peak_mb=max(one[stage].peak_mb for stage in steps),
        )
        for one in rounds
    ]
    warm = {stage: own[skip:] or own for stage, own in turns.items()}
    unit_s = unit_s or statistics.median(turn.wall_s for turn in warm["total"])
    rows = []
    for stage, own in warm.items():
        seconds = statistics.median(turn.wall_s for turn in own)
        rows.append(
            {
                "task": task,
                "stage": stage,
                "batch_size": batch_size,
                "first_s": f"{turns[stage][0].wall_s:.3f}",
                "median_s": f"{seconds:.3f}",
                "ratio": f"{seconds / unit_s:.3f}",
                "cpu_s": f"{statistics.median(turn.cpu_s for turn in own):.3f}",
                "peak_mb": f"{max(turn.peak_mb for turn in turns[stage]):.0f}",
            }
        )
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=128, help=f"voxels per side of {CUBE_MM:g} mm, divisible by 32")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5, help="of the single vertebra, after the first")
    parser.add_argument("--vertebrae", type=int, default=len(LEVELS), help="of the spine, counted from L5 upwards")
    parser.add_argument("--spine-rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    given = parser.parse_args()
    if min(given.rounds, given.spine_rounds) < 1 or not 1 <= given.vertebrae <= len(LEVELS):
        parser.error(f"rounds must be at least 1 and vertebrae 1 to {len(LEVELS)}")
    limit(given.threads)

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder, given.size, given.vertebrae)
        vertebra = in_own_process(one_vertebra, folder, given.threads, given.rounds)
        vertebra_load = os.getloadavg()[0]
        spines: dict[int, list[Stages]] = {batch_size: [] for batch_size in BATCH_SIZES}
        spine_loads = []
        for _ in range(given.spine_rounds):
            for batch_size, own in spines.items():
                own.append(in_own_process(whole_spine, folder, given.threads, batch_size))
                spine_loads.append(os.getloadavg()[0])

    one = circumstances(given.threads, given.rounds, [vertebra_load])
    rows = [{**row, "size": given.size, **one} for row in table("one vertebra", 1, vertebra, skip=1)]
    many = circumstances(given.threads, given.spine_rounds, spine_loads)
    unit_s = None
    for batch_size, own in spines.items():
        part = table(f"spine of {given.vertebrae}", batch_size, own, unit_s=unit_s)
        unit_s = unit_s or float(part[-1]["median_s"])
        rows += [{**row, "size": given.size, **many} for row in part]
    write_csv(given.out, rows)

    print_table(rows, list(rows[0])[:8])
    loads = f"load average {vertebra_load:.1f}, then {statistics.mean(spine_loads):.1f}"
    print(f"{given.threads} threads of {os.cpu_count()} CPUs, {loads}.")
    by_stage = {row["stage"]: row for row in rows if row["task"] == "one vertebra"}
    print(
        f"Expected: EAR of width 16 at 128^3 within 3 s on 2 cores and 2 GB. Measured at {given.size}^3: network "
        f"{by_stage['network']['median_s']} s, crop to surface {by_stage['total']['median_s']} s "
        f"({by_stage['total']['cpu_s']} s of CPU time over all threads), "
        f"{float(by_stage['total']['peak_mb']) / 1000:.2f} GB."
    )
    for batch_size, own in spines.items():
        seconds = statistics.median(sum(s.wall_s for n, s in one.items() if n != LOADING) for one in own)
        print(f"Spine of {given.vertebrae}, batch size {batch_size}: {seconds / given.vertebrae:.2f} s per vertebra.")


if __name__ == "__main__":
    main()
