"""X-rays on disk: what is in the files, how the pictures lie, and what is never overwritten."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.geometry import cube_affine
from EARReconstructionLib.radiograph import read_radiograph
from EARReconstructionLib.volume_io import Volume, read_volume
from EARTrainingLib.projection import drr_files
from EARTrainingLib.projection.drr import images_of, views_around
from EARTrainingLib.projection.drr_files import write_images

ANGLES = [(0.0, 0.0), (90.0, 0.0), (180.0, 10.0), (-30.0, 0.0)]


@pytest.fixture(scope="module")
def volume():
    """A cube of water with a bone right of, in front of and above its middle."""
    hu = np.full((32, 32, 32), -1000, np.float32)
    hu[6:26, 6:26, 6:26] = 0
    hu[20:24, 19:24, 18:24] = 3000
    return Volume(hu, cube_affine((5, -60, 20), 32, 2.0))


@pytest.fixture(scope="module")
def views(volume):
    return views_around(volume, ANGLES, sod_mm=1000, sdd_mm=1300)


def written(folder, volume, views, quantity="attenuation", **options):
    images = images_of(volume, views, quantity=quantity, photons=None)
    return images, write_images(folder, images, views, quantity, {"spectrum": "a tube"}, **options)


def picture(folder, said):
    """(h, w) grey values, and (u, v) of what is much brighter than the rest, from the middle."""
    grey = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / said["picture"]))).astype(float)
    v, u = np.nonzero(grey > 0.9 * grey.max())
    return grey, (u.mean() - grey.shape[1] / 2, v.mean() - grey.shape[0] / 2)


class TestFiles:
    def test_images_come_back_with_their_views(self, tmp_path, volume, views):
        images, told = written(tmp_path / "out", volume, views)
        for image, view, said in zip(images, views, told["views"], strict=True):
            radiograph = read_radiograph(tmp_path / "out" / said["image"], said["role"])
            assert radiograph.view == view
            assert radiograph.quantity == "attenuation"
            np.testing.assert_array_equal(radiograph.pixels, image.numpy())

    def test_views_json_holds_all_matrices_and_files(self, tmp_path, volume, views):
        _, told = written(tmp_path / "out", volume, views)
        read = json.loads((tmp_path / "out" / "views.json").read_text())
        assert read == told
        assert read["spectrum"] == "a tube"
        assert read["quantity"] == "attenuation"
        assert {*read["files"], "views.json"} == {path.name for path in (tmp_path / "out").iterdir()}
        assert [said["role"] for said in read["views"]] == ["frontal", "lateral", "frontal", "frontal"]
        for view, said in zip(views, read["views"], strict=True):
            np.testing.assert_allclose(np.array(said["K"]) @ said["camera_from_ras"], said["P"])
            np.testing.assert_allclose(said["P"], view.P)

    def test_intensity_is_read_as_intensity(self, tmp_path, volume, views):
        _, told = written(tmp_path / "out", volume, views[:1], "intensity")
        (said,) = told["views"]
        radiograph = read_radiograph(tmp_path / "out" / said["image"], "frontal")
        assert radiograph.quantity == "intensity"
        still = images_of(volume, views[:1], photons=None)[0]
        np.testing.assert_allclose(radiograph.attenuation(), still.numpy(), atol=1e-4)

    def test_area_densities_are_a_stack_of_materials(self, tmp_path, volume, views):
        images, told = written(tmp_path / "out", volume, views[:2], "area-density")
        assert told["materials"] == ["soft", "bone"]
        for image, view, said in zip(images, views, told["views"], strict=False):
            stack = read_volume(tmp_path / "out" / said["image"])
            np.testing.assert_array_equal(stack.array, image.numpy())
            assert json.loads(stack.metadata["view"])["P"] == view.P.tolist()


class TestPictures:
    @pytest.mark.parametrize("quantity", ["attenuation", "intensity", "area-density"])
    def test_the_patient_s_right_is_on_the_left_and_anterior_on_the_right(self, tmp_path, volume, views, quantity):
        _, told = written(tmp_path / "out", volume, views, quantity)
        ap, lateral, pa, oblique = (picture(tmp_path / "out", said) for said in told["views"])
        for _, (right, down) in (ap, pa, oblique):
            assert right < -3
            assert down < -3
        assert lateral[1][0] > 3
        assert lateral[1][1] < -3
        assert [said["picture_is_mirrored"] for said in told["views"]] == [False, False, True, False]

    def test_the_open_beam_is_black_and_bone_is_bright(self, tmp_path, volume, views):
        _, told = written(tmp_path / "out", volume, views[:1])
        grey, _ = picture(tmp_path / "out", told["views"][0])
        assert grey[0, 0] == 0
        assert grey.max() == 255
        assert 0 < np.median(grey[grey > 0]) < 200


class TestPlace:
    def test_earlier_images_are_replaced_when_asked(self, tmp_path, volume, views):
        written(tmp_path / "out", volume, views)
        with pytest.raises(EARError, match="--overwrite"):
            written(tmp_path / "out", volume, views[:1])
        _, told = written(tmp_path / "out", volume, views[:1], overwrite=True)
        assert {*told["files"], "views.json"} == {path.name for path in (tmp_path / "out").iterdir()}
        assert [path.name for path in tmp_path.iterdir()] == ["out"]

    def test_nothing_else_is_touched(self, tmp_path, volume, views):
        written(tmp_path / "out", volume, views[:1])
        (tmp_path / "out" / "thesis.txt").write_text("years of work")
        with pytest.raises(EARError, match=r"thesis\.txt"):
            written(tmp_path / "out", volume, views[:1], overwrite=True)
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "views.json").write_text("{}")
        with pytest.raises(EARError, match="something else"):
            written(tmp_path / "mine", volume, views[:1], overwrite=True)
        (tmp_path / "file").write_text("")
        with pytest.raises(EARError, match="a file"):
            written(tmp_path / "file", volume, views[:1])

    def test_a_failure_leaves_the_earlier_images(self, tmp_path, volume, views, monkeypatch):
        written(tmp_path / "out", volume, views[:1])
        before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(drr_files, "_write_picture", full)
        with pytest.raises(EARError, match="No space left"):
            written(tmp_path / "out", volume, views, overwrite=True)
        assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
