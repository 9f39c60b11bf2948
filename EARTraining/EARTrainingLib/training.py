"""The training loop: scenes in, a bundle out. Every run can be killed and resumed.

python -m EARTrainingLib.training SCENES.npz --validation OTHER.npz --out runs/ear --architecture EAR --steps 3000
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from EARReconstructionLib.bundle import Bundle, ModelCard, save_bundle
from EARReconstructionLib.networks import build
from torch.utils.data import DataLoader, Dataset, Subset

from .datasets.scenes import Scene, load_scenes
from .losses import projection_loss, reconstruction_loss
from .simulation import Sample, Simulation, simulate


@dataclass(frozen=True)
class Recipe:
    """How to train. Weights of the losses as in eq. 10; ema: decay of the averaged weights that are kept."""

    architecture: str = "EAR"
    arguments: dict[str, Any] = field(default_factory=dict)
    steps: int = 3000
    batch_size: int = 2
    learning_rate: float = 1e-3
    weight_decay: float = 1e-5
    warm_up: int = 100
    projection_weight: float = 0.1
    ema: float = 0.995
    real_share: float = 0.5
    seed: int = 0
    simulation: Simulation = field(default_factory=Simulation)


class Samples(Dataset[Sample]):
    """Sample n of a run, drawn half from real shapes and half from phantoms, levels evenly."""

    def __init__(self, scenes: Sequence[Scene], recipe: Recipe) -> None:
        self.scenes, self.recipe = scenes, recipe
        self.groups = [_by_level(s for s in scenes if (s.source == "PHANTOM") == made) for made in (False, True)]

    def __len__(self) -> int:
        return self.recipe.steps * self.recipe.batch_size

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng((self.recipe.seed, index))
        real, made = self.groups
        group = real if real and (not made or rng.uniform() < self.recipe.real_share) else made
        scenes = group[list(group)[int(rng.integers(len(group)))]]
        scene = scenes[int(rng.integers(len(scenes)))]
        return simulate(scene, self.recipe.simulation, (self.recipe.seed, index, 1))


def _by_level(scenes: Any) -> dict[str, list[Scene]]:
    groups: dict[str, list[Scene]] = {}
    for scene in scenes:
        groups.setdefault(scene.level, []).append(scene)
    return groups


def hu_statistics(samples: Dataset[Sample], count: int = 64) -> tuple[float, float]:
    """Mean and SD in HU over the first target volumes of a run: the z-score that its bundle carries."""
    volumes = torch.stack([samples[n].target_hu for n in range(min(count, len(samples)))])  # type: ignore[arg-type]
    return float(volumes.mean()), float(volumes.std())


def train(
    scenes: Sequence[Scene],
    recipe: Recipe,
    out: Path,
    *,
    workers: int = 1,
    max_minutes: float | None = None,
) -> torch.nn.Module | None:
    """Train to recipe.steps, from ``out/checkpoint.pt`` if there is one; returns the averaged network.

    Stops early after max_minutes with a checkpoint and returns None. Writes ``log.csv`` (step, loss, seconds).
    Raises ValueError when a checkpoint is of another recipe, and FloatingPointError when the loss is no number.
    """
    out.mkdir(parents=True, exist_ok=True)
    samples = Samples(scenes, recipe)
    torch.manual_seed(recipe.seed)
    network = build(recipe.architecture, **recipe.arguments)
    averaged = build(recipe.architecture, **recipe.arguments).requires_grad_(False)
    averaged.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(
            (step + 1) / recipe.warm_up, 0.5 * (1 + float(np.cos(np.pi * min(step / recipe.steps, 1)))) + 1e-3
        ),
    )
    state = _Checkpoint(out / "checkpoint.pt", recipe)
    parts = {"network": network, "averaged": averaged, "optimizer": optimizer, "schedule": schedule}
    step, (hu_mean, hu_sd) = state.load(parts) or (0, hu_statistics(samples))
    _forget_after(step, out / "log.csv")
    volumetric = network.input_kind == "volumes"
    if volumetric:
        network.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    loader = DataLoader(
        Subset(samples, range(step * recipe.batch_size, len(samples))),
        batch_size=recipe.batch_size,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_one_thread,
    )
    began = time.monotonic()
    network.train()
    log: list[dict[str, float]] = []
    for sample in loader:
        x = sample[1].contiguous(memory_format=torch.channels_last_3d) if volumetric else sample[0]
        target = (sample[2] - hu_mean) / hu_sd
        predicted = network(x).volume
        loss = reconstruction_loss(predicted, target) + recipe.projection_weight * projection_loss(predicted, target)
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss of step {step} is no number; the last checkpoint is kept")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        _average(averaged, network, min(recipe.ema, (step + 1) / (step + 10)))
        step += 1
        log.append({"step": step, "loss": loss.item(), "seconds": time.monotonic() - began})
        late = max_minutes is not None and time.monotonic() - began > 60 * max_minutes
        if step % 100 == 0 or step == recipe.steps or late:
            _append(out / "log.csv", log)
            state.save(parts, step, (hu_mean, hu_sd))
            print(f"step {step}/{recipe.steps} loss {np.mean([r['loss'] for r in log]):.4f}", flush=True)
            log = []
            if late and step < recipe.steps:
                return None
    return averaged.eval()


class _Checkpoint:
    """All that it takes to go on as if nothing had happened, written beside and renamed."""

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.path, self.recipe = path, json.dumps(asdict(recipe), sort_keys=True)

    def load(self, parts: dict[str, Any]) -> tuple[int, tuple[float, float]] | None:
        if not self.path.exists():
            return None
        saved = torch.load(self.path, weights_only=True)
        if saved["recipe"] != self.recipe:
            raise ValueError(f"{self.path} was made with another recipe; give another folder")
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        return int(saved["step"]), (float(saved["hu"][0]), float(saved["hu"][1]))

    def save(self, parts: dict[str, Any], step: int, hu: tuple[float, float]) -> None:
        beside = self.path.with_suffix(".part")
        states = {name: part.state_dict() for name, part in parts.items()}
        torch.save({"recipe": self.recipe, "step": step, "hu": list(hu), **states}, beside)
        os.replace(beside, self.path)


def _average(averaged: torch.nn.Module, network: torch.nn.Module, decay: float) -> None:
    with torch.no_grad():
        for a, b in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
            if a.is_floating_point():
                a.lerp_(b, 1 - decay)
            else:
                a.copy_(b)


def _append(path: Path, rows: list[dict[str, float]]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, ["step", "loss", "seconds"])
        if new:
            writer.writeheader()
        writer.writerows(rows)


def _forget_after(step: int, path: Path) -> None:
    """Drop the rows of steps that a run logged and was killed before it could save them: they come again."""
    if path.exists():
        heading, *rows = path.read_text().splitlines(keepends=True)
        beside = path.with_suffix(".part")
        beside.write_text("".join([heading, *(row for row in rows if int(row.split(",")[0]) <= step)]))
        os.replace(beside, path)


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def best_threshold(
    network: torch.nn.Module, scenes: Sequence[Scene], simulation: Simulation, hu: tuple[float, float]
) -> tuple[float, float]:
    """(threshold in HU, mean Dice there) that serves validation scenes best; one threshold for all."""
    candidates = np.arange(-700.0, 151.0, 50.0)
    dice = []
    for n, scene in enumerate(scenes):
        sample = simulate(scene, simulation, (1, n))
        x = sample.lifted if getattr(network, "input_kind", "volumes") == "volumes" else sample.images
        with torch.inference_mode():
            volume = network(x[None]).volume[0] * hu[1] + hu[0]
        margin = (scene.target_mm.shape[-1] - simulation.size) // 2
        inner = slice(margin, margin + simulation.size)
        truth = torch.from_numpy(scene.target_mm[inner, inner, inner] < 0)[None]
        dice.append([float(2 * ((volume > t) & truth).sum() / ((volume > t).sum() + truth.sum())) for t in candidates])
    mean = np.mean(dice, axis=0)
    return float(candidates[mean.argmax()]), float(mean.max())


def export(network: torch.nn.Module, recipe: Recipe, card: dict[str, Any], path: Path) -> Bundle:
    """Write a trained network as a bundle. card: name, hu_mean, hu_sd, threshold_hu, levels, licence, provenance."""
    simulation = recipe.simulation
    spread = 2 * simulation.angle_error_deg
    return save_bundle(
        path,
        ModelCard(
            architecture=recipe.architecture,
            arguments=getattr(network, "arguments", recipe.arguments),
            size=simulation.size,
            spacing_mm=simulation.spacing_mm,
            lift=simulation.lift,
            angle_range_deg=(90 - spread, 90 + spread),
            sod_range_mm=simulation.sod_mm,
            protocol="column",
            **card,
        ),
        network,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, choose the threshold on the validation scenes and write ``OUT/NAME.safetensors``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("scenes", type=Path, nargs="+")
    parser.add_argument("--validation", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--architecture", default="EAR")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--learning-rate", type=float, default=Recipe.learning_rate)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--max-minutes", type=float)
    parser.add_argument("--licence", default="not stated")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    scenes = [scene for path in given.scenes for scene in load_scenes(path)]
    recipe = Recipe(architecture=given.architecture, steps=given.steps, learning_rate=given.learning_rate)
    network = train(scenes, recipe, given.out, workers=given.workers, max_minutes=given.max_minutes)
    if network is None:
        print(f"stopped after {given.max_minutes} minutes; run the same command again to go on")
        return
    hu = _Checkpoint(given.out / "checkpoint.pt", recipe).load({}) or (0, (0.0, 1.0))
    threshold, dice = best_threshold(network, load_scenes(given.validation), Simulation(augment=False), hu[1])
    people = sorted({f"{s.source} {s.person}" for s in scenes if s.source != "PHANTOM"})
    bundle = export(
        network,
        recipe,
        {
            "name": f"{recipe.architecture.lower()}-column-{recipe.simulation.size}",
            "hu_mean": hu[1][0],
            "hu_sd": hu[1][1],
            "threshold_hu": threshold,
            "levels": tuple(sorted({s.level for s in scenes}, key=lambda x: (x[0] != "T", int(x[1:])))),
            "data_licence": given.licence,
            "provenance": {
                "shapes": people,
                "phantoms": sum(s.source == "PHANTOM" for s in scenes),
                "steps": recipe.steps,
                "batch_size": recipe.batch_size,
                "validation_dice": round(dice, 4),
            },
        },
        given.out / f"{recipe.architecture.lower()}-column-{recipe.simulation.size}.safetensors",
    )
    print(f"{bundle.path}: threshold {threshold:.0f} HU, Dice {dice:.3f} on the validation scenes")


if __name__ == "__main__":
    main()
