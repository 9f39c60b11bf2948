"""A prepared data set opens with everything in its place, and says what is wrong with one that does not."""

import json
import shutil

import numpy as np
import pytest
from EARReconstructionLib.geometry import transform_points
from EARTrainingLib.datasets.prepared import SPLITS, PreparedDataset
from EARTrainingLib.datasets.readers.scan import DatasetError


@pytest.fixture
def copy(prepared_folder, tmp_path):
    """A data set that a test may break."""
    return shutil.copytree(prepared_folder, tmp_path / "broken")


def test_rows_splits_and_statistics(prepared_folder):
    data = PreparedDataset.open(prepared_folder)
    assert [len(data.rows_of(split)) for split in SPLITS] == [4, 1, 2]
    assert len(data.rows) == 7  # not the excluded one
    assert (data.size, data.spacing_mm) == (32, 3.0)
    volumes = np.stack([data.volume(row).array for row in data.rows_of("train")]).astype(float)
    assert data.hu_statistics == pytest.approx((volumes.mean(), volumes.std()))


def test_lenders_are_in_no_split(prepared_folder, copy):
    whole = PreparedDataset.open(prepared_folder)
    patient = whole.rows_of("train")[0].patient
    table = copy / "manifest.csv"
    lines = table.read_text(encoding="utf-8").splitlines()
    table.write_text(
        "\n".join(line.replace(",train,", ",surroundings,") if patient in line else line for line in lines),
        encoding="utf-8",
    )
    data = PreparedDataset.open(copy)
    assert {row.patient for row in data.lenders} == {patient}
    assert {row.id for row in data.lenders} == {row.id for row in whole.rows if row.patient == patient}
    assert set(data.rows) == {row for row in whole.rows if row.patient != patient}
    assert data.between("C1", "L6").lenders == data.lenders


def test_a_part_of_the_levels(prepared_folder):
    data = PreparedDataset.open(prepared_folder)
    levels = {row.level for row in data.rows}
    assert {row.level for row in data.between("C1", "L6").rows} == levels
    part = data.between("L1", "L2")
    assert [row for row in data.rows if row.level in ("L1", "L2")] == list(part.rows)
    assert 0 < len(part.rows) < len(data.rows)
    assert part.fingerprint == data.fingerprint
    with pytest.raises(DatasetError, match=r"split 'validation' has no vertebra from T12 to T12.*`levels`"):
        data.between("T12", "T12")


def test_volume_mask_scene_and_xrays_of_a_vertebra_share_one_place(prepared_folder):
    """Each by its own file and affine: the tip of the left process, and the voxel that the X-rays send it to."""
    data = PreparedDataset.open(prepared_folder)
    for row in data.rows:
        volume, mask, scene, xrays = data.volume(row), data.mask(row), data.scene(row), data.xrays(row)
        k, j, i = np.nonzero(mask)
        points = transform_points(volume.ras_from_ijk, np.stack([i, j, k], -1))
        middle = (points.min(0) + points.max(0)) / 2
        np.testing.assert_allclose(middle, row.centre_ras_mm, atol=3.0)
        np.testing.assert_allclose(scene.centre_ras_mm, row.centre_ras_mm)
        assert (volume.array[~mask] == -1000).all()
        assert (volume.array[mask] > -700).all()
        leftmost = points[points[:, 0] < points[:, 0].min() + 6].mean(0)
        frontal = xrays.area_density[0].sum(0)
        (u, v), _ = xrays.views[0].project(leftmost)
        assert frontal[int(v), int(u)] > 0.1 * frontal.max()
        (u, v), _ = xrays.views[0].project(np.add(row.centre_ras_mm, (31, 0, 0)))  # nothing so far to the right
        assert frontal[int(v), int(u)] < 0.02 * frontal.max()


def test_the_fingerprint_tells_data_sets_apart(prepared_folder, copy):
    first, second = PreparedDataset.open(prepared_folder), PreparedDataset.open(copy)
    assert first.fingerprint == second.fingerprint
    text = (copy / "manifest.csv").read_text()
    (copy / "manifest.csv").write_text(text.replace(",test,", ",train,", 1))
    assert PreparedDataset.open(copy).fingerprint != first.fingerprint


class TestBroken:
    def test_no_data_set(self, tmp_path):
        with pytest.raises(DatasetError, match="ear prepare"):
            PreparedDataset.open(tmp_path)

    def test_header_cut_short(self, copy):
        (copy / "dataset.json").write_text('{"format": "EAR')
        with pytest.raises(DatasetError, match=r"dataset.json.*cannot be read"):
            PreparedDataset.open(copy)

    @pytest.mark.parametrize("change", [{"version": 2}, {"format": "EAR case"}])
    def test_another_version_or_kind(self, copy, change):
        header = json.loads((copy / "dataset.json").read_text())
        (copy / "dataset.json").write_text(json.dumps(header | change))
        with pytest.raises(DatasetError, match=r"version|EAR case"):
            PreparedDataset.open(copy)

    def test_not_finished(self, copy):
        header = json.loads((copy / "dataset.json").read_text())
        del header["statistics"]
        (copy / "dataset.json").write_text(json.dumps(header))
        with pytest.raises(DatasetError, match="not finished"):
            PreparedDataset.open(copy)

    def test_a_split_without_vertebrae(self, prepared_folder):
        with pytest.raises(DatasetError, match="'holdout'"):
            PreparedDataset.open(prepared_folder).rows_of("holdout")

    @pytest.mark.parametrize("kind", ["volume", "mask", "xrays", "scene"])
    @pytest.mark.parametrize("how", ["missing", "cut short", "something else"])
    def test_a_file_of_a_vertebra(self, copy, kind, how):
        data = PreparedDataset.open(copy)
        row = data.rows[0]
        folder = {"volume": "volumes", "mask": "masks", "xrays": "xrays", "scene": "scenes"}[kind]
        (path,) = (copy / folder).glob(f"{row.id}*")
        whole = path.read_bytes()
        path.unlink()
        if how != "missing":
            path.write_bytes(whole[: len(whole) // 2] if how == "cut short" else b"hello")
        with pytest.raises(DatasetError, match=f"{folder}/{row.id}") as raised:
            getattr(data, kind)(row)
        assert "ear prepare" in str(raised.value)

    def test_prepared_without_scenes(self, copy):
        shutil.rmtree(copy / "scenes")
        data = PreparedDataset.open(copy)
        with pytest.raises(DatasetError, match="without scenes"):
            data.scene(data.rows[0])
