"""scripts/rough_labels.py, on a made-up column that leans, with a process on one side and a vessel on the other."""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from EARReconstructionLib.geometry import transform_points
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import read_volume, write_volume
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
SPACING_MM = 2.0
SHAPE = (80, 80, 70)

#: Bodies' middles, RAS in mm: the column leans to the front upwards.
MIDDLES = {"L1": (6.0, 14.0, 34.0), "L2": (6.0, 8.0, 0.0), "L3": (6.0, 2.0, -34.0)}


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = util.spec_from_file_location("rough_labels", ROOT / "scripts" / "rough_labels.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def affine() -> NDArray[np.float64]:
    made = np.diag([-SPACING_MM, -SPACING_MM, SPACING_MM, 1.0])  # LPS order, as from DICOM
    made[:3, 3] = SPACING_MM * (np.array(SHAPE[::-1]) - 1) / 2 * (1, 1, -1)
    return made


@pytest.fixture(scope="module")
def places(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """RAS in mm of every voxel, (k, j, i, 3)."""
    k, j, i = np.meshgrid(*map(np.arange, SHAPE), indexing="ij")
    return np.asarray(transform_points(affine, np.stack([i, j, k], -1)))


@pytest.fixture(scope="module")
def hu(places: NDArray[np.float64]) -> NDArray[np.float32]:
    made = np.full(SHAPE, 40.0, np.float32)
    for middle in MIDDLES.values():
        r, a, s = np.moveaxis(places - middle, -1, 0)
        made[(np.hypot(r / 23, a / 15) < 1) & (np.abs(s) < 13)] = 200
        made[(np.abs(r) < 5) & (np.abs(a + 40) < 16) & (np.abs(s) < 8)] = 400  # a spinous process
        made[(np.abs(r - 20) < 12) & (np.abs(a + 28) < 4) & (np.abs(s) < 5)] = 400  # a transverse one, right
        made[(np.abs(r - 52) < 8) & (np.abs(a + 28) < 4) & (np.abs(s) < 5)] = 400  # a rib
        made[np.hypot(r + 44, a - 8) < 10] = 350  # contrast medium in a vessel, left
    return made


@pytest.fixture(scope="module")
def labels(
    tool: ModuleType, hu: NDArray[np.float32], affine: NDArray[np.float64], tmp_path_factory: pytest.TempPathFactory
) -> NDArray[np.uint8]:
    """As the command writes them."""
    folder = tmp_path_factory.mktemp("rough")
    write_volume(folder / "ct.nii.gz", hu, affine)
    lines = [f"{level},{','.join(map(str, middle))}" for level, middle in MIDDLES.items()]
    (folder / "middles.csv").write_text("\n".join(["level,r,a,s", *lines]), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sys, "argv", ["", str(folder / "ct.nii.gz"), str(folder / "middles.csv"), str(folder / "m.seg.nrrd")]
        )
        tool.main()
    written = read_volume(folder / "m.seg.nrrd")
    np.testing.assert_allclose(written.ras_from_ijk, affine, atol=1e-6)
    return np.asarray(written.array).astype(np.uint8)


def label_at(labels: NDArray[np.uint8], affine: NDArray[np.float64], point: NDArray[np.float64]) -> int:
    i, j, k = np.rint(transform_points(np.linalg.inv(affine), point)).astype(int)
    return int(labels[k, j, i])


@pytest.mark.parametrize("level", MIDDLES)
class TestEachLevel:
    def test_its_body_and_its_processes_are_its_own(
        self, labels: NDArray[np.uint8], affine: NDArray[np.float64], level: str
    ) -> None:
        for offset in ((0, 0, 0), (15, 0, 0), (-15, 0, 0), (0, 11, 0), (0, -38, 0), (26, -28, 0)):
            assert label_at(labels, affine, np.add(MIDDLES[level], offset)) == VERSE_LABEL[level], offset

    def test_rib_vessel_and_what_is_not_dense_are_not(
        self, labels: NDArray[np.uint8], affine: NDArray[np.float64], level: str
    ) -> None:
        for offset in ((52, -28, 0), (-44, 8, 0), (-26, -28, 0), (0, 30, 0)):
            assert label_at(labels, affine, np.add(MIDDLES[level], offset)) == 0, offset

    def test_most_of_it_is_found(
        self, labels: NDArray[np.uint8], places: NDArray[np.float64], hu: NDArray[np.float32], level: str
    ) -> None:
        near = np.abs(places[..., 2] - MIDDLES[level][2]) < 12
        bone = near & (hu > 150) & (np.abs(places[..., 0] - 6) < 34)
        assert (labels[bone] == VERSE_LABEL[level]).mean() > 0.9


def test_discs_stay(labels: NDArray[np.uint8], affine: NDArray[np.float64]) -> None:
    for upper, lower in (("L1", "L2"), ("L2", "L3")):
        assert label_at(labels, affine, np.add(MIDDLES[upper], MIDDLES[lower]) / 2) == 0


def test_nothing_lies_above_and_below(labels: NDArray[np.uint8], places: NDArray[np.float64]) -> None:
    assert not labels[np.abs(places[..., 2]) > 34 + 17 + 8].any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("level,r,a,s\nL1,0,0,0\nL2,0,0,-30\n", "three levels"),
        ("level,r,a,s\nL3,0,0,0\nL2,0,0,30\nL1,0,0,60\n", "from head to tail"),
        ("name,r,a,s\nL1,0,0,0\n", "level"),
        ("level,r,a,s\nL1,900,0,60\nL2,900,0,30\nL3,900,0,0\n", "outside"),
    ],
)
def test_what_cannot_be_used_is_refused(
    tool: ModuleType,
    hu: NDArray[np.float32],
    affine: NDArray[np.float64],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
    said: str,
) -> None:
    write_volume(tmp_path / "ct.nii.gz", hu, affine)
    (tmp_path / "middles.csv").write_text(text, encoding="utf-8")
    monkeypatch.setattr(
        sys, "argv", ["", *(str(tmp_path / name) for name in ("ct.nii.gz", "middles.csv", "m.seg.nrrd"))]
    )
    with pytest.raises(SystemExit):
        tool.main()
    assert said in capsys.readouterr().err
    assert not (tmp_path / "m.seg.nrrd").exists()
