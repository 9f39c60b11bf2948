"""Times of X-ray projectors on the CPU, in one interleaved run: our own, nanodrr, and DiffDRR and RTK where installed.

    python benchmarks/xrays.py [--repeats 9] [--threads 1]

One AP and lateral pair, 128 x 128 pixels from 128^3 voxels of 1 mm; medians. One thread, because cases are prepared by
processes of one thread each. Engines take turns, so that whatever else the machine does slows them alike: trust the
ratios, which are of CPU time, more than the milliseconds. Writes xrays.csv beside this file.

``deviation``: root mean square difference from our own image, in percent of its maximum. It shows that all project the
same scene. Siddon's method takes voxels for blocks of one value; RTK ends the volume at the outermost voxel centres,
where the others let it fade over one voxel more, and agrees to 1e-6 on content away from the border.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "EARReconstruction"), str(ROOT / "EARTraining")]

from EARReconstructionLib.geometry import BiplanarGeometry, View, cube_affine  # noqa: E402
from EARTrainingLib.projection import line_integrals, material_densities  # noqa: E402

SIZE = 128
AFFINE = cube_affine((0, 0, 0), SIZE, 1.0)
VIEWS = BiplanarGeometry.from_preset(height=SIZE, width=SIZE).views

Projector = Callable[[View], torch.Tensor]


def body_hu() -> torch.Tensor:
    """(D, H, W) HU of a vertebra-like shape in an uneven body that fills the volume."""
    s, a, r = torch.meshgrid(*[torch.arange(SIZE) - (SIZE - 1) / 2] * 3, indexing="ij")
    hu = 40 + 30 * torch.randn(SIZE, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    hu[bone := ((r / 24) ** 2 + ((a - 18) / 17) ** 2 < 1) & (s.abs() < 14)] = 500.0
    hu[spine := (r.abs() < 4) & (a > -45) & (a < 5) & (s.abs() < 9)] = 800.0
    hu[~(bone | spine) & (r.abs() < 40) & ((a + 10).abs() < 5) & (s.abs() < 5)] = 700.0
    return hu


def own(volume: torch.Tensor) -> Projector:
    """The ray-marcher on (C, D, H, W)."""
    return lambda view: line_integrals(volume, AFFINE, view)


def nanodrr(volume: torch.Tensor, samples: int) -> Projector:
    """nanodrr's torch backend, trilinear, on (1, D, H, W)."""
    from nanodrr.data import Subject
    from nanodrr.drr import render

    matrix = torch.as_tensor(AFFINE, dtype=torch.float32)
    grid = Subject._make_voxel_to_grid(volume[None].shape)
    subject = Subject(
        volume[None],
        torch.zeros_like(volume[None]),
        matrix,
        matrix.inverse(),
        grid,
        torch.zeros(3),
        max_label=0,
        convert_to_mu=False,
    )

    def single(matrix: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(np.linalg.inv(matrix), dtype=torch.float32)[None]

    return lambda view: render(
        subject,
        single(view.K),
        single(view.camera_from_ras),
        torch.tensor([view.sdd_mm]),
        view.height,
        view.width,
        n_samples=samples,
        backend="torch",
    )[0]


def diffdrr(volume: torch.Tensor, method: str) -> Projector:
    """DiffDRR's renderers on (1, D, H, W), with rays of ours."""
    from diffdrr import renderers

    renderer = getattr(renderers, method)(voxel_shift=0.5)
    by_ijk = volume[0].permute(2, 1, 0).contiguous()
    ijk_from_ras = np.linalg.inv(AFFINE)

    def render(view: View) -> torch.Tensor:
        rays = view.rays().reshape(-1, 3)
        lengths = view.sdd_mm / (rays @ view.direction)
        ends = view.source_ras_mm + rays * lengths[:, None]
        source, target = (
            torch.as_tensor(points @ ijk_from_ras[:3, :3].T + ijk_from_ras[:3, 3], dtype=torch.float32)[None]
            for points in (view.source_ras_mm[None], ends)
        )
        image = renderer(by_ijk, source, target, torch.as_tensor(lengths, dtype=torch.float32)[None, None])
        return image.reshape(1, view.height, view.width)

    return render


def rtk_joseph(volume: torch.Tensor, threads: int) -> Projector:
    """RTK's Joseph projector on (1, D, H, W); ITK's physical space is taken for RAS, which changes nothing here."""
    import itk
    from itk import RTK as rtk

    itk.MultiThreaderBase.SetGlobalMaximumNumberOfThreads(threads)
    image = itk.image_from_array(np.ascontiguousarray(volume[0].numpy()))
    image.SetOrigin(AFFINE[:3, 3].tolist())
    kind = type(image)

    def render(view: View) -> torch.Tensor:
        right, down = view.camera_from_ras[0, :3], view.camera_from_ras[1, :3]
        geometry = rtk.ThreeDCircularProjectionGeometry.New()
        geometry.AddProjection(
            view.source_ras_mm.tolist(),
            (view.source_ras_mm + view.sdd_mm * view.direction).tolist(),
            right.tolist(),
            down.tolist(),
        )
        stack = itk.image_from_array(np.zeros((1, view.height, view.width), np.float32))
        stack.SetSpacing([view.pixel_mm, view.pixel_mm, 1.0])
        stack.SetOrigin([-view.pixel_mm * (n - 1) / 2 for n in (view.width, view.height)] + [0.0])
        joseph = rtk.JosephForwardProjectionImageFilter[kind, kind].New(geometry=geometry)
        joseph.SetNumberOfWorkUnits(threads)
        joseph.SetInput(0, stack)
        joseph.SetInput(1, image)
        joseph.Update()
        return torch.as_tensor(itk.array_from_image(joseph.GetOutput()).copy())

    return render


def candidates(threads: int) -> dict[tuple[str, str], Callable[[], Projector]]:
    """(engine, scene) -> what prepares its projector; an ImportError there leaves it out."""
    hu = body_hu()
    materials = material_densities(hu)
    density = materials.sum(0, keepdim=True)
    bone = material_densities(torch.where(hu > 300, hu, -1000.0))
    return {
        ("own", "full, density"): lambda: own(density),
        ("own", "full, soft and bone"): lambda: own(materials),
        ("own", "vertebra alone, soft and bone"): lambda: own(bone),
        ("nanodrr, 140 samples", "full, density"): lambda: nanodrr(density, 140),
        ("nanodrr, 500 samples (its default)", "full, density"): lambda: nanodrr(density, 500),
        ("DiffDRR, trilinear", "full, density"): lambda: diffdrr(density, "Trilinear"),
        ("DiffDRR, Siddon", "full, density"): lambda: diffdrr(density, "Siddon"),
        ("RTK, Joseph", "full, density"): lambda: rtk_joseph(density, threads),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    projectors, images = {}, {}
    for name, prepare in candidates(arguments.threads).items():
        try:
            projectors[name] = prepare()
        except ImportError as error:
            print(f"left out: {name[0]} ({error})")
            continue
        images[name] = torch.stack([projectors[name](view) for view in VIEWS])  # also warms up

    wall: dict[tuple[str, str], list[float]] = {name: [] for name in projectors}
    cpu: dict[tuple[str, str], list[float]] = {name: [] for name in projectors}
    for _ in range(arguments.repeats):
        for name, projector in projectors.items():
            start = time.perf_counter(), time.process_time()
            for view in VIEWS:
                projector(view)
            wall[name].append(1000 * (time.perf_counter() - start[0]))
            cpu[name].append(1000 * (time.process_time() - start[1]))

    reference = ("own", "full, density")
    rows = []
    for engine, scene in projectors:
        pair_ms, cpu_ms = (statistics.median(times[engine, scene]) for times in (wall, cpu))
        same = scene == reference[1]
        difference = (images[engine, scene] - images[reference]).square().mean().sqrt() if same else None
        rows.append(
            {
                "engine": engine,
                "scene": scene,
                "pair_ms": f"{pair_ms:.0f}",
                "cpu_ms": f"{cpu_ms:.0f}",
                "ratio": f"{cpu_ms / statistics.median(cpu[reference]):.2f}",
                "deviation_percent": "" if difference is None else f"{100 * difference / images[reference].max():.2f}",
                "threads": arguments.threads,
                "repeats": arguments.repeats,
                "torch": torch.__version__,
            }
        )
    with Path(__file__).with_suffix(".csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    columns = {"engine": 36, "scene": 32, "pair_ms": 10, "cpu_ms": 10, "ratio": 8, "deviation_percent": 19}
    for row in [{name: name for name in columns}, *rows]:
        print("".join(f"{row[name]:<{n}}" if n > 20 else f"{row[name]:>{n}}" for name, n in columns.items()))
    print(f"{arguments.threads} thread(s), {arguments.repeats} repeats, torch {torch.__version__}")


if __name__ == "__main__":
    main()
