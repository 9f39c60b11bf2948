"""A data set from many scans: the same whatever the order, the processes and the interruptions."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from EARReconstructionLib.errors import Cancelled, EARError
from EARReconstructionLib.volume_io import read_volume, write_volume
from EARTrainingLib.claim import Claimed, alone
from EARTrainingLib.datasets import preparation
from EARTrainingLib.datasets.preparation import make_plan, prepare
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.datasets.readers import DatasetError, Scan, read_sources
from EARTrainingLib.datasets.settings import PreparationSettings
from EARTrainingLib.datasets.split import read_split

SETTINGS = PreparationSettings(size=24, spacing_mm=3.0, protocol="column")
SCANS = ("sub-verse500", "sub-verse501_split-verse201", "sub-verse501_split-verse253", "sub-verse502_dir-sag")


@pytest.fixture(scope="module")
def tree(tmp_path_factory, trees):
    """Four scans of three people in VerSe20's layout, three vertebrae each. Read only."""
    return trees.verse(tmp_path_factory.mktemp("verse"), SCANS)


@pytest.fixture(scope="module")
def whole(tree, tmp_path_factory):
    """That tree prepared without interruption: (folder, summary). Read only."""
    out = tmp_path_factory.mktemp("whole") / "out"
    return out, prepare(read_sources([tree]), SETTINGS, out)


def test_a_second_run_in_the_folder_is_refused(tree, tmp_path):
    with alone(tmp_path / "out"), pytest.raises(Claimed, match=r"out: .* is at work on it"):
        prepare(read_sources([tree]), SETTINGS, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def contents(folder):
    """Every file of a folder and what is in it."""
    files = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class TestWhole:
    def test_what_is_on_disk(self, whole):
        out, summary = whole
        assert (summary.scans, summary.failed, len(summary.kept)) == (4, 0, 12)
        assert {path.name for path in out.iterdir()} == {
            "dataset.json", "manifest.csv", "split.csv", "scans", "volumes", "masks", "xrays", "scenes",
        }  # fmt: skip
        for folder in ("volumes", "masks", "xrays", "scenes"):
            assert len(list((out / folder).iterdir())) == 12
        assert len(list((out / "scans").iterdir())) == 4

    def test_it_opens(self, whole):
        out, summary = whole
        data = PreparedDataset.open(out)
        assert data.rows == summary.kept
        assert (data.size, data.spacing_mm) == (24, 3.0)
        for row in data.rows:
            assert data.volume(row).array.shape == data.mask(row).shape == (24, 24, 24)
            assert data.xrays(row).area_density.shape == (2, 2, 24, 24)
            assert data.scene(row).person == row.patient

    def test_each_patient_is_in_one_split(self, whole):
        out, summary = whole
        split = read_split(out / "split.csv")
        assert set(split) == {"verse500", "verse501", "verse502"}
        assert sorted(split.values()) == ["test", "train", "validation"]
        assert all(row.split == split[row.patient] for row in summary.kept)

    def test_statistics_are_those_of_the_training_volumes(self, whole):
        out, _ = whole
        data = PreparedDataset.open(out)
        values = np.stack([data.volume(row).array for row in data.rows_of("train")]).astype(float)
        np.testing.assert_allclose(data.hu_statistics, (values.mean(), values.std()), rtol=1e-12)

    def test_again_changes_nothing(self, tree, whole):
        out, summary = whole
        before = contents(out)
        stamps = {path: path.stat().st_mtime_ns for path in (out / "volumes").iterdir()}
        again = prepare(read_sources([tree]), SETTINGS, out)
        assert contents(out) == before
        assert {path: path.stat().st_mtime_ns for path in (out / "volumes").iterdir()} == stamps
        assert again == summary


def test_order_and_processes_change_nothing(tree, whole, tmp_path):
    found = read_sources([tree])[::-1]
    told = []
    prepare(found, SETTINGS, tmp_path / "two", jobs=2, progress=lambda *x: told.append(x))
    assert contents(tmp_path / "two") == contents(whole[0])
    assert [(done, total) for done, total, _ in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {key for *_, key in told} == {scan.key for scan in found}


PROGRAM = """
import sys
from EARTrainingLib.datasets.preparation import prepare
from EARTrainingLib.datasets.readers import read_sources
from EARTrainingLib.datasets.settings import PreparationSettings
prepare(read_sources([sys.argv[1]]), PreparationSettings(size=24, spacing_mm=3.0, protocol="column"), sys.argv[2])
"""


def environment():
    root = Path(__file__).resolve().parents[3]
    folders = os.pathsep.join(str(root / name) for name in ("EARReconstruction", "EARTraining"))
    return {**os.environ, "PYTHONPATH": folders, "OMP_NUM_THREADS": "1"}


def test_a_killed_run_goes_on_and_ends_with_the_same_files(tree, whole, tmp_path):
    out = tmp_path / "killed"
    run = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tree), str(out)], env=environment())
    deadline = time.monotonic() + 60
    while not list(out.glob("scans/*.json")):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    run.send_signal(signal.SIGKILL)
    run.wait(10)
    assert 1 <= len(list(out.glob("scans/*.json"))) < 4
    assert not (out / "manifest.csv").exists()
    with pytest.raises(DatasetError, match="not finished"):
        PreparedDataset.open(out)
    (out / "volumes" / f".{'0af3' * 8}.nrrd").write_bytes(b"half")  # whatever it was doing at that moment
    (out / "scans" / "VerSe20-x.started").touch()
    prepare(read_sources([tree]), SETTINGS, out)
    assert contents(out) == contents(whole[0])


class TestDifferentRun:
    def test_other_settings_are_refused_by_name(self, tree, whole):
        out, _ = whole
        before = contents(out)
        other = replace(SETTINGS, spacing_mm=2.0, acquisition="nominal", seed=4)
        with pytest.raises(DatasetError) as caught:
            prepare(read_sources([tree]), other, out)
        text = str(caught.value)
        assert "spacing_mm: 3.0 earlier, 2.0 now" in text
        assert "seed: 0 earlier, 4 now" in text
        assert "acquisition beta_error_deg: 5.0 earlier, 0.0 now" in text
        assert "size" not in text
        assert contents(out) == before

    def test_a_folder_with_other_files_is_refused(self, tree, tmp_path):
        (tmp_path / "thesis.docx").touch()
        with pytest.raises(DatasetError, match="other files"):
            prepare(read_sources([tree]), SETTINGS, tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]

    def test_earlier_sources_must_stay(self, tree, whole):
        found = [scan for scan in read_sources([tree]) if scan.patient != "verse500"]
        with pytest.raises(DatasetError, match=r"1 of its scans.*VerSe20-sub-verse500"):
            prepare(found, SETTINGS, whole[0])

    def test_more_sources_leave_the_old_patients_where_they_are(self, tree, tmp_path):
        found = read_sources([tree])
        first = [scan for scan in found if scan.patient != "verse502"]
        prepare(first, SETTINGS, tmp_path / "out")
        before = read_split(tmp_path / "out" / "split.csv")
        assert before == {"verse500": "train", "verse501": "train"}
        prepare(found, SETTINGS, tmp_path / "out")
        after = read_split(tmp_path / "out" / "split.csv")
        assert {name: after[name] for name in before} == before
        assert set(after) == {"verse500", "verse501", "verse502"}

    def test_a_file_that_was_deleted_is_made_again(self, tree, whole, tmp_path):
        found = read_sources([tree])
        prepare(found, SETTINGS, tmp_path / "out")
        next((tmp_path / "out" / "xrays").iterdir()).unlink()
        assert len(make_plan(found, SETTINGS, tmp_path / "out").todo) == 1
        prepare(found, SETTINGS, tmp_path / "out")
        assert contents(tmp_path / "out") == contents(whole[0])


class TestBadScans:
    def test_each_has_its_reason_and_the_rest_goes_on(self, trees, tmp_path):
        folder = trees.verse(tmp_path / "data", SCANS)
        raw = folder / "dataset-01training" / "rawdata"
        (raw / "sub-verse500" / "sub-verse500_ct.nii.gz").write_bytes(b"no NIfTI at all")
        masks = folder / "dataset-01training" / "derivatives" / "sub-verse502"
        (masks / "sub-verse502_dir-sag_seg-vert_msk.nii.gz").unlink()
        cut = folder / "dataset-01training" / "derivatives" / "sub-verse501"
        trees.write_pair(
            raw / "sub-verse501" / "sub-verse501_split-verse253_ct.nii.gz",
            cut / "sub-verse501_split-verse253_seg-vert_msk.nii.gz",
            seed=2,
            margin_mm=3.0,
        )
        summary = prepare(read_sources([folder]), SETTINGS, tmp_path / "out")
        assert (summary.scans, summary.failed, len(summary.kept)) == (2, 1, 3)
        left_out = {(row.series, row.level): row.reason for row in summary.rows if row.status == "excluded"}
        assert left_out.pop(("sub-verse500", "")).startswith("failed: ")
        assert "mask" in left_out.pop(("sub-verse502_dir-sag", ""))
        assert {level for _, level in left_out} == {"T12", "L1", "L2"}
        assert all(reason == "cut by the border of the scan: 1 voxels from it" for reason in left_out.values())
        # The failed scan is tried again, and nothing else.
        trees.write_pair(
            raw / "sub-verse500" / "sub-verse500_ct.nii.gz",
            folder / "dataset-01training" / "derivatives" / "sub-verse500" / "sub-verse500_seg-vert_msk.nii.gz",
        )
        told = []
        again = prepare(read_sources([folder]), SETTINGS, tmp_path / "out", progress=lambda *x: told.append(x))
        assert told == [(3, 3, "VerSe20-sub-verse500")]
        assert (again.failed, len(again.kept)) == (0, 6)

    def test_what_nobody_foresaw_is_told_too(self, tree, tmp_path, monkeypatch):
        original = preparation.prepare_scan

        def odd(scan, *others):
            if scan.patient == "verse500":
                raise MemoryError("4 GiB")
            original(scan, *others)

        monkeypatch.setattr(preparation, "prepare_scan", odd)
        summary = prepare(read_sources([tree]), SETTINGS, tmp_path / "out")
        (row,) = (row for row in summary.rows if row.status == "excluded")
        assert (row.patient, row.reason) == ("verse500", "failed: MemoryError: 4 GiB")
        assert list(tmp_path.rglob("*.started")) == []

    def test_no_vertebra_left(self, tree, tmp_path):
        with pytest.raises(DatasetError, match=r"no vertebra is left.*manifest\.csv"):
            prepare(read_sources([tree]), replace(SETTINGS, size=8), tmp_path / "out")
        assert "larger than the cube" in (tmp_path / "out" / "manifest.csv").read_text()
        with pytest.raises(DatasetError, match="not finished"):
            PreparedDataset.open(tmp_path / "out")


class TestFullDisk:
    def test_it_stops_at_once_and_goes_on_later(self, tree, whole, tmp_path, monkeypatch):
        out, written = tmp_path / "out", np.savez_compressed
        count = []

        def full(path, **arrays):
            count.append(path)
            if len(count) == 5:
                Path(path).write_bytes(b"half")
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            written(path, **arrays)

        monkeypatch.setattr(np, "savez_compressed", full)
        with pytest.raises(EARError, match=r"out/(xrays|scenes)/VerSe20-.*npz: .*No space left.*goes on"):
            prepare(read_sources([tree]), SETTINGS, out)
        assert len(count) == 5
        assert all(json.loads(path.read_text())["rows"] for path in out.glob("scans/*.json"))
        assert not [path for path in out.rglob(".*")]
        assert not list(out.rglob("*.started"))
        monkeypatch.undo()
        prepare(read_sources([tree]), SETTINGS, out)
        assert contents(out) == contents(whole[0])

    def test_no_room_for_the_settings(self, tree, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(EARError, match="file/out"):
            prepare(read_sources([tree]), SETTINGS, tmp_path / "file" / "out")


def test_cancelled(tree, whole, tmp_path):
    asked = iter((False, True))
    with pytest.raises(Cancelled):
        prepare(read_sources([tree]), SETTINGS, tmp_path / "out", cancel=lambda: next(asked))
    assert len(list((tmp_path / "out" / "scans").iterdir())) == 2
    prepare(read_sources([tree]), SETTINGS, tmp_path / "out")
    assert contents(tmp_path / "out") == contents(whole[0])


def test_a_worker_that_dies_is_told_with_its_scan(tree, whole, tmp_path):
    def kill(done, total, key):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):  # one that was killed before may still be listed
                if any("popen_loky" in word for word in child.cmdline()):
                    child.kill()

    found = read_sources([tree])
    out = tmp_path / "out"
    died = r"worker process: it died during (VerSe20-sub-verse50|an unknown).*finished is kept"
    with pytest.raises(EARError, match=died):
        prepare(found, SETTINGS, out, jobs=2, progress=kill)
    assert not (out / "manifest.csv").exists()
    prepare(found, SETTINGS, out)
    assert contents(out) == contents(whole[0])


def test_what_a_kill_left_half_written_is_no_marker(tree, whole, tmp_path):
    """Of a scan's marker, the file that was not renamed yet."""
    out = tmp_path / "out"
    shutil.copytree(whole[0], out)
    (out / "scans" / f".{'0a' * 16}.json").write_text('{"source": "Ver')
    prepare(read_sources([tree]), SETTINGS, out)
    assert contents(out) == contents(whole[0])


def test_an_engine_that_cannot_start_stops_before_the_work(tree, tmp_path):
    settings = replace(SETTINGS, engine="deepdrr")
    with pytest.raises(EARError, match="python"):
        prepare(read_sources([tree]), settings, tmp_path / "out", deepdrr_python=tmp_path / "no-python")
    assert not list((tmp_path / "out").rglob("*.npz"))


class TestPlan:
    def test_it_counts_and_writes_nothing(self, tree, whole, tmp_path):
        found = read_sources([tree])
        plan = make_plan(found, SETTINGS, tmp_path / "out")
        assert (len(plan.todo), len(plan.done), len(plan.excluded)) == (4, 0, 0)
        assert not (tmp_path / "out").exists()
        plan = make_plan(found, SETTINGS, whole[0])
        assert (len(plan.todo), len(plan.done)) == (0, 4)


class TestSettings:
    @pytest.mark.parametrize(
        "wrong",
        [{"field": "sphere"}, {"protocol": "real"}, {"acquisition": "theirs"}, {"engine": "drr"}, {"size": 4},
         {"spacing_mm": 0.0}, {"margin_mm": -1.0}],
    )  # fmt: skip
    def test_impossible_ones(self, wrong):
        with pytest.raises(EARError):
            PreparationSettings(**wrong)

    def test_ranges_of_one_s_own(self):
        ranges = replace(SETTINGS.ranges, sod_mm=(600.0, 700.0))
        settings = replace(SETTINGS, acquisition=ranges)
        assert settings.ranges is ranges
        assert settings.to_dict()["acquisition"]["sod_mm"] == [600.0, 700.0]
        assert json.loads(json.dumps(settings.to_dict())) == settings.to_dict()

    def test_a_name_and_its_ranges_are_one_setting(self):
        assert replace(SETTINGS, acquisition=SETTINGS.ranges).to_dict() == SETTINGS.to_dict()


def test_a_data_set_for_tests_only_has_statistics(tree, tmp_path):
    found = [replace(scan, split="test") for scan in read_sources([tree])][:1]
    summary = prepare(found, SETTINGS, tmp_path / "out")
    assert {row.split for row in summary.kept} == {"test"}
    values = np.stack([read_volume(path).array for path in (tmp_path / "out" / "volumes").iterdir()]).astype(float)
    np.testing.assert_allclose(
        PreparedDataset.open(tmp_path / "out").hu_statistics, (values.mean(), values.std()), rtol=1e-12
    )


def test_masks_meshes_and_phantoms(tmp_path, trees):
    """A mask without CT that ends at its border is cut; a listed one is not."""
    _, labels = trees.spine(("L1",), margin_mm=0.0)
    write_volume(tmp_path / "mask.nrrd", labels.array, labels.ras_from_ijk)
    scan = Scan("masks", "p", "p", None, tmp_path / "mask.nrrd")
    listed = Scan("masks", "q", "q", None, tmp_path / "mask.nrrd", targets=("L1",))
    summary = prepare([scan, listed], SETTINGS, tmp_path / "out")
    assert [(row.patient, row.status, row.rule) for row in summary.rows] == [
        ("p", "excluded", "cut by the border of the scan"),
        ("q", "kept", ""),
    ]
    assert summary.kept[0].flags == "neighbours are copies"
