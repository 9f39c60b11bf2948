"""`ear prepare` on made-up scans in VerSe's layout: seconds per scan with one job and with two.

    python benchmarks/preparation.py [--scans 8] [--size 128] [--rounds 2]

In each round both take a turn on an empty folder, so that whatever else the machine does slows them alike. Writes
preparation.csv beside this file; README.md explains its columns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from pathlib import Path

from networks import circumstances, measured, print_table, write_csv  # puts our packages on the path

from EARTrainingLib.datasets.make_example_tree import make_example_tree  # isort: skip
from EARTrainingLib.datasets.preparation import prepare  # isort: skip
from EARTrainingLib.datasets.readers import read_sources  # isort: skip
from EARTrainingLib.datasets.settings import PreparationSettings  # isort: skip

JOBS = (1, 2)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scans", type=int, default=8, help="by fours: three patients, 17 vertebrae")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".csv"))
    given = parser.parse_args()
    settings = PreparationSettings(size=given.size, spacing_mm=128 / given.size)
    walls: dict[int, list[float]] = {jobs: [] for jobs in JOBS}
    loads, kept, megabytes = [], 0, 0.0
    with tempfile.TemporaryDirectory() as temporary:
        tree = Path(temporary) / "verse20"
        make_example_tree(tree, given.scans)
        found = read_sources([str(tree)])
        for number in range(given.rounds):
            for jobs in JOBS:
                out = Path(temporary) / f"{number}-{jobs}"
                with measured() as turn:
                    summary = prepare(found, settings, out, jobs=jobs)
                walls[jobs].append(turn.wall_s)
                kept = len(summary.kept)
                megabytes = sum(path.stat().st_size for path in out.rglob("*") if path.is_file()) / 1e6
            loads.append(os.getloadavg()[0])
    unit = statistics.median(walls[1])
    rows = [
        {
            "jobs": jobs,
            "scans": given.scans,
            "vertebrae": kept,
            "size": given.size,
            "s_per_scan": f"{statistics.median(walls[jobs]) / given.scans:.2f}",
            "fastest_s_per_scan": f"{min(walls[jobs]) / given.scans:.2f}",
            "ratio": f"{statistics.median(walls[jobs]) / unit:.2f}",
            "mb_per_vertebra": f"{megabytes / max(kept, 1):.2f}",
            **circumstances(1, given.rounds, loads),
        }
        for jobs in JOBS
    ]
    write_csv(given.out, rows)
    print_table(rows, list(rows[0])[:8])


if __name__ == "__main__":
    main()
