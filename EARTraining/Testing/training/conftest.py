"""A tiny prepared data set, a recipe small enough to be run many times, and readers of what a run writes."""

from dataclasses import replace

import pytest
import torch
from EARReconstructionLib.networks import NETWORKS
from EARReconstructionLib.networks.network import NetworkOutput, ReconstructionNetwork
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.training import pictures
from EARTrainingLib.training.recipe import PRESETS
from EARTrainingLib.training.run import train

#: Five training and three validation vertebrae.
PEOPLE = (
    ("p1", "train", "VerSe20", ("T12", "L1")),
    ("p2", "train", "phantom", ("L1", "L2", "L3")),
    ("p3", "validation", "VerSe20", ("L1", "L2")),
    ("p4", "validation", "phantom", ("L1",)),
)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, small_dataset):
    """The folder of a data set of five training and three validation vertebrae. Read only."""
    return small_dataset.write_dataset(tmp_path_factory.mktemp("prepared"), PEOPLE)


@pytest.fixture(scope="session")
def dataset(prepared):
    return PreparedDataset.open(prepared)


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in another order would not be bit for bit the same."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Plain(ReconstructionNetwork):
    """Two convolutions without normalisation: a batch may be split without changing what it teaches."""

    input_kind = "volumes"

    def __init__(self, width: int = 2) -> None:
        super().__init__(width=width)
        self.layers = torch.nn.Sequential(
            torch.nn.Conv3d(2, width, 3, padding=1), torch.nn.LeakyReLU(), torch.nn.Conv3d(width, 1, 3, padding=1)
        )

    def forward(self, x):
        return NetworkOutput(self.layers(x))


@pytest.fixture
def recipe(monkeypatch):
    """Two epochs of two steps of the network "Plain", which is registered."""
    monkeypatch.setitem(NETWORKS, "Plain", Plain)
    return replace(PRESETS["ours"], architecture="Plain", epochs=2, xrays="disk")


@pytest.fixture
def normalising(recipe):
    """The same of a network with BatchNorm."""
    return replace(recipe, architecture="E2E", arguments={"width": 2})


@pytest.fixture
def undrawn(monkeypatch):
    """No pictures, which take longer than the training."""
    monkeypatch.setattr(pictures, "draw", lambda *_: None)


@pytest.fixture
def run(prepared, undrawn):
    """train() on the prepared data, to the end or for one step: (recipe, folder, ...) -> path or None."""

    def started(recipe, out, one_step=False, **options):
        return train(recipe, prepared, out, max_time_s=0 if one_step else None, **options)

    return started


@pytest.fixture
def checkpoint():
    """Contents of a run's last checkpoint."""
    return lambda out, name="last": torch.load(out / f"{name}.ckpt", weights_only=True)


@pytest.fixture
def rows():
    """A CSV file of numbers: path -> a dictionary per row."""

    def read(path):
        heading, *lines = path.read_text().splitlines()
        return [dict(zip(heading.split(","), map(float, line.split(",")), strict=True)) for line in lines]

    return read


@pytest.fixture
def assert_same():
    """Two nested contents are the same bit for bit."""

    def check(a, b, where=""):
        assert type(a) is type(b), where
        if isinstance(a, torch.Tensor):
            assert torch.equal(a, b), where
        elif isinstance(a, dict):
            assert a.keys() == b.keys(), where
            for name in a:
                check(a[name], b[name], f"{where}.{name}")
        elif isinstance(a, (list, tuple)):
            assert len(a) == len(b), where
            for n, (one, other) in enumerate(zip(a, b, strict=True)):
                check(one, other, f"{where}.{n}")
        else:
            assert a == b, where

    return check
