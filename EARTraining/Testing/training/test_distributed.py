"""Two processes take the steps that one process takes with the same batches."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[3]

#: BatchNorm sees only its own process's half on a CPU, so the network has none.
SCRIPT = """
import os
import sys
from pathlib import Path

import torch
from EARReconstructionLib.networks import NETWORKS
from EARReconstructionLib.networks.network import NetworkOutput, ReconstructionNetwork
from EARTrainingLib.training import pictures
from EARTrainingLib.training.recipe import Recipe
from EARTrainingLib.training.run import train


class Plain(ReconstructionNetwork):
    input_kind = "volumes"

    def __init__(self, width=2):
        super().__init__(width=width)
        self.layers = torch.nn.Sequential(
            torch.nn.Conv3d(2, width, 3, padding=1), torch.nn.LeakyReLU(), torch.nn.Conv3d(width, 1, 3, padding=1)
        )

    def forward(self, x):
        return NetworkOutput(self.layers(x))


NETWORKS["Plain"] = Plain
pictures.draw = lambda *_: None
torch.set_num_threads(1)
data, out, settings = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]
recipe = Recipe(architecture="Plain", xrays="disk", epochs=2).with_overrides(settings)
said = []
first = train(recipe, data, out, max_time_s=0, progress=said.append)
lines = [f"stopped {first} {[event['step'] for event in said]}", f"ended {train(recipe, data, out)}"]
Path(f"{out}-{os.environ['RANK']}.txt").write_text("\\n".join(lines))  # what both print would get mixed
"""


def torchrun(folder, data, *settings):
    """Run the script in two processes; returns what each of them says, line by line."""
    script = folder / "two.py"
    script.write_text(SCRIPT)
    folders = os.pathsep.join(str(ROOT / name) for name in ("EARReconstruction", "EARTraining"))
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launcher, str(script), str(data), str(folder / "two"), *settings],
        env={**os.environ, "PYTHONPATH": folders, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for rank in (0, 1) for line in (folder / f"two-{rank}.txt").read_text().splitlines()]


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch was built without gloo")
def test_two_processes_are_one(run, prepared, recipe, checkpoint, rows, tmp_path):
    """Equal weights, averages and logged losses; stopped after a step and resumed on the way."""
    said = torchrun(tmp_path, prepared)
    path = run(recipe, tmp_path / "one")
    ended = f"ended {tmp_path / 'two' / path.name}"
    assert said == ["stopped None [1]", ended, "stopped None []", ended]  # one of them tells the progress
    one, two = (checkpoint(tmp_path / name) for name in ("one", "two"))
    assert one["global_step"] == two["global_step"] == 4
    assert one["state_dict"].keys() == two["state_dict"].keys()
    for name, value in one["state_dict"].items():
        torch.testing.assert_close(value, two["state_dict"][name], rtol=1e-4, atol=1e-6)
    for name in ("steps.csv", "history.csv"):
        for ours, theirs in zip(rows(tmp_path / "one" / name), rows(tmp_path / "two" / name), strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4)
