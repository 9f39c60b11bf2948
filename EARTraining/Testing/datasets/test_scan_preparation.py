"""One scan: what is written lies at its millimetres, opens elsewhere, and shows what the protocol says."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from EARReconstructionLib.geometry import transform_points
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import write_volume
from EARTrainingLib.datasets import scan_preparation
from EARTrainingLib.datasets.manifest import Row
from EARTrainingLib.datasets.prepared import PreparedDataset
from EARTrainingLib.datasets.readers import Scan, load_scan
from EARTrainingLib.datasets.scan_preparation import OutputError, prepare_scan, random_seed, written_files
from EARTrainingLib.datasets.scenes import grid_affine
from EARTrainingLib.datasets.settings import PreparationSettings
from EARTrainingLib.projection import TorchEngine
from EARTrainingLib.surroundings import shown
from EARTrainingLib.surroundings.body import Body
from scipy import ndimage

TURN = np.linalg.qr(np.random.default_rng(5).standard_normal((3, 3)))[0]
GRIDS = {
    "flipped, anisotropic": np.diag([-2.0, -1.6, 2.4]),
    "permuted": np.array([[0, 0, 2.0], [-2.4, 0, 0], [0, 2.0, 0]]),
    "oblique": TURN @ np.diag([2.0, 2.2, 2.4]),
}
MIDDLE = np.array([14.0, -37.0, 120.0])
BEAD = np.add(MIDDLE, (4.0, 3.0, -1.5))
SETTINGS = PreparationSettings(size=36, spacing_mm=2.0, acquisition="ours")


def write_scan(folder, axes, *, bead=0.0, levels=("L1", "L2"), ct=True):
    """L1 around MIDDLE and others below: a body, a rod to the left, one to the back. Soft tissue everywhere."""
    counts = np.ceil(np.abs(np.linalg.inv(axes)) @ (92, 92, 50 + 28 * len(levels))).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = MIDDLE - (0, 0, 14 * (len(levels) - 1)) - axes @ ((counts - 1) / 2)
    k, j, i = np.indices(tuple(counts[::-1]))
    where = transform_points(affine, np.stack([i, j, k], -1)) - MIDDLE
    labels, hu = np.zeros(k.shape, np.uint8), np.full(k.shape, 40.0)
    for n, level in enumerate(levels):
        at = np.add(where, (0, 0, 28 * n))
        bone = ((at / (17, 14, 11)) ** 2).sum(-1) < 1
        bone |= (np.abs(at - (-20, -4, 2)) < (9, 4, 4)).all(-1) | (np.abs(at - (0, -20, -4)) < (3, 9, 4)).all(-1)
        labels[bone] = VERSE_LABEL[level]
        hu[bone] = 600
    hu += np.random.default_rng(0).integers(-10, 11, hu.shape)  # one value everywhere is no CT
    hu += bead * np.exp(-((where + MIDDLE - BEAD) ** 2).sum(-1) / (2 * 2.2**2))
    write_volume(folder / "ct.nrrd", np.rint(hu).astype(np.int16), affine)
    write_volume(folder / "mask.nrrd", labels, affine)
    return Scan("pairs", "p", "p", folder / "ct.nrrd" if ct else None, folder / "mask.nrrd", licence="CC0")


def prepared(scan, settings, out):
    """Prepare one scan; its rows, and the folder opened as a data set."""
    prepare_scan(scan, settings, TorchEngine(), out)
    marker = json.loads((out / "scans" / f"{scan.key}.json").read_text())
    rows = [Row.from_dict(row) for row in marker["rows"]]
    return rows, PreparedDataset(out, settings.to_dict(), tuple(r for r in rows if r.status == "kept"), (0.0, 1.0))


def heavy(image):
    return np.array([(image * n).sum() / image.sum() for n in np.indices(image.shape)])


@pytest.mark.parametrize("kind", ["cube", "paper"])
@pytest.mark.parametrize("name", GRIDS)
def test_a_bead_lies_at_its_millimetres_in_volume_mask_and_xrays(tmp_path, name, kind):
    settings = replace(SETTINGS, field=kind)
    (tmp_path / "plain").mkdir()
    (tmp_path / "bead").mkdir()
    found = []
    for folder, bead in (("plain", 0.0), ("bead", 900.0)):
        scan = write_scan(tmp_path / folder, GRIDS[name], bead=bead)
        rows, data = prepared(scan, settings, tmp_path / f"{folder}-out")
        found.append((rows[0], data.volume(rows[0]), data.mask(rows[0]), data.xrays(rows[0])))
    (row, plain, mask, without), (_, with_bead, _, xrays) = found
    volume = with_bead.array.astype(float) - plain.array
    np.testing.assert_allclose(transform_points(with_bead.ras_from_ijk, heavy(volume)[::-1]), BEAD, atol=0.15)
    i, j, k = np.rint(transform_points(np.linalg.inv(with_bead.ras_from_ijk), BEAD)).astype(int)
    assert mask[k, j, i]
    assert (with_bead.array[~mask] == -1000).all()
    assert with_bead.array.dtype == np.int16
    size = settings.size
    for image, view in zip((xrays.area_density - without.area_density).sum(1), xrays.views, strict=True):
        (u, v), _ = view.project(BEAD)
        np.testing.assert_allclose(heavy(image)[::-1] + 0.5, (u * size / view.width, v * size / view.height), atol=0.06)
    np.testing.assert_allclose(row.centre_ras_mm, np.add(MIDDLE, (-6, -7.5, 0)), atol=1.2)
    middle = (np.array(with_bead.array.shape[::-1]) - 1) / 2
    np.testing.assert_allclose(transform_points(with_bead.ras_from_ijk, middle), row.centre_ras_mm, atol=1e-3)


def test_other_programs_read_the_files(tmp_path):
    scan = write_scan(tmp_path, GRIDS["oblique"], bead=900.0)
    rows, _ = prepared(scan, SETTINGS, tmp_path / "out")
    assert [row.id for row in rows] == ["pairs-p-L1", "pairs-p-L2"]
    image = sitk.ReadImage(str(tmp_path / "out" / "volumes" / "pairs-p-L1.nrrd"))
    assert image.GetSpacing() == (2, 2, 2)
    lps = (-BEAD[0], -BEAD[1], BEAD[2])
    inside = sitk.GetArrayFromImage(image)
    k, j, i = np.unravel_index(inside.argmax(), inside.shape)
    np.testing.assert_allclose(image.TransformPhysicalPointToContinuousIndex(lps), (i, j, k), atol=1.0)
    mask = sitk.ReadImage(str(tmp_path / "out" / "masks" / "pairs-p-L2.seg.nrrd"))
    assert mask.GetMetaData("Segment0_Name") == "L2"
    assert mask.GetMetaData("Segment0_LabelValue") == "21"
    assert set(np.unique(sitk.GetArrayFromImage(mask))) == {0, 21}
    for row in rows:
        assert all((tmp_path / "out" / name).is_file() for name in written_files(row.id, SETTINGS))


@pytest.mark.parametrize("protocol", ["isolated", "column", "in-situ"])
def test_protocols(tmp_path, protocol):
    scan = write_scan(tmp_path, GRIDS["permuted"])
    rows, data = prepared(scan, replace(SETTINGS, protocol=protocol, acquisition="nominal"), tmp_path / "out")
    area = data.xrays(rows[0]).area_density.sum(1)
    below = area[:, -6:].max()  # the lowest rows hold L2
    assert (below > 5) == (protocol != "isolated")
    beside = area[0, 18, :2].max(), area[0, 18, -2:].max()
    assert (min(beside) > 5) == (protocol == "in-situ")
    assert rows[0].engine == "torch"


class TestRow:
    def test_of_a_kept_vertebra(self, tmp_path):
        scan = write_scan(tmp_path, GRIDS["permuted"])
        rows, data = prepared(scan, SETTINGS, tmp_path / "out")
        xrays = data.xrays(rows[1])
        assert rows[1].status == "kept"
        assert (rows[1].level, rows[1].label, rows[1].density, rows[1].licence) == ("L2", 21, "ct", "CC0")
        assert rows[1].ct.endswith("ct.nrrd")
        assert rows[1].mask.endswith("mask.nrrd")
        frontal, lateral = xrays.views
        told = (rows[1].alpha1_deg, rows[1].beta1_deg, rows[1].alpha2_deg, rows[1].beta2_deg)
        np.testing.assert_allclose(
            told, (frontal.alpha_deg, frontal.beta_deg, lateral.alpha_deg, lateral.beta_deg), atol=6e-4
        )
        assert (rows[1].sod_mm, rows[1].sdd_mm) == (round(frontal.sod_mm, 3), round(frontal.sdd_mm, 3))
        off = np.subtract(frontal.isocentre_ras_mm, rows[1].centre_ras_mm)
        np.testing.assert_allclose((rows[1].off_r_mm, rows[1].off_a_mm, rows[1].off_s_mm), off, atol=2e-3)
        assert np.abs(off).max() > 5
        assert (rows[1].spectrum, rows[1].photons) == (xrays.spectrum, round(xrays.photons))
        np.testing.assert_allclose(rows[1].size_mm, (46, 43, 22), atol=4)

    def test_levels_have_their_own_set_up(self, tmp_path):
        rows, _ = prepared(write_scan(tmp_path, GRIDS["permuted"]), SETTINGS, tmp_path / "out")
        assert rows[0].sod_mm != rows[1].sod_mm


def test_a_lone_vertebra_gets_neighbours_in_a_column(tmp_path):
    scan = write_scan(tmp_path, GRIDS["flipped, anisotropic"], levels=("L1",))
    nominal = replace(SETTINGS, acquisition="nominal", size=40)
    pictures = {}
    for protocol in ("isolated", "column"):
        (row,), data = prepared(scan, replace(nominal, protocol=protocol), tmp_path / protocol)
        pictures[protocol] = data.xrays(row).area_density.sum(1)
        assert row.flags == ("neighbours are copies" if protocol == "column" else "")
        scene = data.scene(row)
        assert (scene.others_mm < 0).sum() > 0.5 * (scene.target_mm < 0).sum()
        assert scene.hu is not None
        assert set(np.unique(data.volume(row).array[data.mask(row)])) <= set(range(0, 700))
    upper, lower = slice(0, 6), slice(-6, None)
    for rows in (upper, lower):
        assert pictures["isolated"][:, rows].max() == 0
        assert pictures["column"][:, rows].max() > 20


class TestWithoutCT:
    def test_bone_is_made_up(self, tmp_path):
        scan = write_scan(tmp_path, GRIDS["flipped, anisotropic"], ct=False)
        rows, data = prepared(scan, SETTINGS, tmp_path / "out")
        assert [row.density for row in rows] == ["made-up", "made-up"]
        volume, mask = data.volume(rows[0]), data.mask(rows[0])
        inside = volume.array[mask]
        assert inside.min() > -100  # no air mixed in at the surface
        assert inside.max() >= 550
        assert data.scene(rows[0]).hu is None
        assert data.xrays(rows[0]).area_density.max() > 5

    @pytest.mark.parametrize("kind", ["cube", "paper"])
    @pytest.mark.parametrize("name", GRIDS)
    def test_in_situ_it_lies_at_its_millimetres(self, tmp_path, monkeypatch, name, kind):
        """Where the body is air, the same X-rays as those of a column, which a bead has checked: as long, as dense."""
        air = torch.full((50, 100, 100), -1000.0)
        body = Body(air, grid_affine((0, 0, 0), (50, 100, 100), 4.0), (-1e3,) * 3, (1e3,) * 3)
        monkeypatch.setattr(shown, "made_up_body", lambda *_: body)
        monkeypatch.setattr(shown, "discs", lambda target_mm, *_: torch.full_like(target_mm, 99.0))
        monkeypatch.setattr(scan_preparation, "BRIGHT", scan_preparation.LIKE_CT)
        scan = write_scan(tmp_path, GRIDS[name], ct=False)
        settings = replace(SETTINGS, protocol="in-situ", field=kind)
        rows, data = prepared(scan, settings, tmp_path / "out")
        bare, column = prepared(scan, replace(settings, protocol="column"), tmp_path / "column")
        for row, other in zip(rows, bare, strict=True):
            assert row.centre_ras_mm == other.centre_ras_mm
            assert (data.mask(row) == column.mask(other)).all()
            for one, two in zip(
                *(d.xrays(r).area_density.sum(1) for d, r in ((data, row), (column, other))), strict=True
            ):
                near = ndimage.gaussian_filter(np.stack([one, two]), (0, 1, 1))
                off = np.abs(near[0] - near[1]).mean() / two.mean()
                assert off < 0.12
                assert one.sum() == pytest.approx(two.sum(), rel=0.1)
                for turned in (near[1][:, ::-1], near[1][::-1], np.roll(near[1], 2, 0), np.roll(near[1], 2, 1)):
                    assert np.abs(near[0] - turned).mean() / two.mean() > 1.5 * off

    def test_in_situ_it_lies_within_a_made_up_body(self, tmp_path):
        scan = write_scan(tmp_path, GRIDS["permuted"], ct=False)
        rows, data = prepared(scan, replace(SETTINGS, protocol="in-situ"), tmp_path / "out")
        bare, column = prepared(scan, SETTINGS, tmp_path / "bare")
        for row, other in zip(rows, bare, strict=True):
            assert (row.density, row.flags, row.engine) == ("made-up", "the body around it is made up", "torch")
            assert row.photons == pytest.approx(10 * other.photons, abs=6)
            for one, two in zip(data.xrays(row).area_density, column.xrays(other).area_density, strict=True):
                assert one.sum(0).mean() > 3 * two.sum(0).mean()

    def test_in_situ_it_is_as_dim_as_in_a_ct(self, tmp_path):
        scan = write_scan(tmp_path, GRIDS["oblique"], ct=False)
        rows, data = prepared(scan, replace(SETTINGS, protocol="in-situ"), tmp_path / "out")
        inside = data.volume(rows[0]).array[data.mask(rows[0])]
        assert 0 < np.median(inside) < inside.max() <= 700
        assert data.scene(rows[0]).hu is None
        assert data.scene(rows[0]).shape == (48, 48, 48)  # bodies are made up anew at each training step

    def test_in_situ_it_is_the_same_in_every_run(self, tmp_path):
        scan = write_scan(tmp_path, GRIDS["permuted"], ct=False)
        settings = replace(SETTINGS, protocol="in-situ")
        one, two, three = (
            prepared(scan, replace(settings, seed=seed), tmp_path / name)[1]
            for name, seed in (("one", 0), ("two", 0), ("three", 1))
        )
        first, again, other = (data.xrays(data.rows[0]).area_density for data in (one, two, three))
        assert (first == again).all()
        assert (first != other).any()

    def test_in_situ_a_lone_vertebra_has_neighbours(self, tmp_path):
        scan = write_scan(tmp_path, GRIDS["permuted"], levels=("L1",), ct=False)
        rows, data = prepared(scan, replace(SETTINGS, protocol="in-situ"), tmp_path / "out")
        assert rows[0].flags == "neighbours are copies; the body around it is made up"
        assert (data.scene(rows[0]).others_mm < 0).any()


def test_what_does_not_fit_the_cube_is_left_out(tmp_path):
    scan = write_scan(tmp_path, GRIDS["flipped, anisotropic"])
    rows, _ = prepared(scan, replace(SETTINGS, size=20), tmp_path / "out")
    for row in rows:
        assert row.status == "excluded"
        assert row.rule == "larger than the cube"
        assert "do not fit into 40 mm" in row.reason
        assert row.id == ""


def test_scenes(tmp_path):
    scan = write_scan(tmp_path, GRIDS["flipped, anisotropic"])
    rows, data = prepared(scan, SETTINGS, tmp_path / "with")
    scene = data.scene(rows[0])
    margin = (scene.shape[0] - SETTINGS.size) // 2
    inner = (slice(margin, margin + SETTINGS.size),) * 3
    np.testing.assert_allclose(scene.centre_ras_mm, rows[0].centre_ras_mm, atol=6e-4)
    shared = (scene.target_mm[inner] < 0) == data.mask(rows[0])
    assert shared.mean() > 0.999
    assert (scene.others_mm < 0).any()
    for settings in (replace(SETTINGS, scenes=False), replace(SETTINGS, field="paper")):
        out = tmp_path / settings.field
        prepared(scan, settings, out)
        assert not (out / "scenes").exists()


def test_a_scene_in_situ_reaches_to_the_skin(tmp_path):
    scan = write_scan(tmp_path, GRIDS["flipped, anisotropic"])
    rows, data = prepared(scan, replace(SETTINGS, protocol="in-situ"), tmp_path / "out")
    scene = data.scene(rows[0])
    ct = load_scan(scan).hu
    assert scene.shape[2] * 2.0 >= 90
    assert (scene.hu > 0).sum() * 2.0**3 > 0.5 * ct.array.size * 2.0 * 1.6 * 2.4


def test_a_full_disk_is_not_mistaken_for_a_written_file(tmp_path, monkeypatch):
    """ITK says nothing when the end of a compressed file does not fit."""
    scan = write_scan(tmp_path, GRIDS["permuted"])
    write = sitk.WriteImage

    def cut_short(image, path, *args, **kwargs):
        write(image, path, *args, **kwargs)
        if path.endswith(".nrrd"):
            with open(path, "r+b") as stream:
                stream.truncate(stream.seek(0, 2) - 40)

    monkeypatch.setattr(sitk, "WriteImage", cut_short)
    with pytest.raises(OutputError, match=r"volumes.*disk is full.*room"):
        prepare_scan(scan, SETTINGS, TorchEngine(), tmp_path / "out")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_seeds_are_of_names_not_of_order():
    assert random_seed(0, "a", "L1") == random_seed(0, "a", "L1")
    seeds = {tuple(random_seed(*x)) for x in ((0, "a", "L1"), (1, "a", "L1"), (0, "a", "L2"), (0, "aL", "1"))}
    assert len(seeds) == 4
