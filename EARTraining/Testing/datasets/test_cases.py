"""Cases made of label maps: images, ROIs and reference show one spine in one place."""

import numpy as np
import pytest
import torch
from EARReconstructionLib.case import read_case
from EARReconstructionLib.comparison import reference_shapes
from EARReconstructionLib.geometry import PRESETS, transform_points
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume, read_volume
from EARTrainingLib.datasets.cases import case_of, geometry_around, phantom_case, roi_of
from EARTrainingLib.datasets.readers.scan import DatasetError
from EARTrainingLib.datasets.scenes import box_ras_mm
from EARTrainingLib.datasets.subjects import MARKER_MM
from EARTrainingLib.projection import load_spectrum
from scipy import ndimage

GRIDS = {
    "along RAS": np.diag([1.5, 1.5, 1.5]),
    "flipped, anisotropic": np.diag([-1.2, -1.5, 2.0]),
    "permuted": np.array([[0, 0, 1.5], [-1.4, 0, 0], [0, 1.6, 0]]),
}


def points(affine, shape):
    k, j, i = np.indices(shape)
    return transform_points(affine, np.stack([i, j, k], -1))


def column(axes, levels=("T12", "L1", "L2")):
    """A body per level with a rod to the right and one to the back, so that each view knows its sides."""
    affine = np.eye(4)
    affine[:3, :3] = axes
    counts = np.ceil(np.abs(np.linalg.inv(axes)) @ (70, 66, 30 * len(levels) + 10)).astype(int)
    affine[:3, 3] = np.array([13, -25, 60]) - axes @ ((counts - 1) / 2)
    where = points(affine, tuple(counts[::-1])) - (13, -25, 60)
    labels = np.zeros(where.shape[:3], np.uint8)
    for n, level in enumerate(levels):
        at = where - (0, 8, 15 * (len(levels) - 1) - 30 * n)
        body = ((at / (14, 11, 9)) ** 2).sum(-1) < 1
        right = (np.abs(at - (20, -2, 0)) < (10, 3, 3)).all(-1)
        back = (np.abs(at - (0, -22, -2)) < (3, 12, 3)).all(-1)
        labels[body | right | back] = VERSE_LABEL[level]
    return Volume(labels, affine)


def silhouette(labels, level, view):
    """(N, 2) pixels onto which a level's voxels are projected."""
    k, j, i = np.nonzero(labels.array == VERSE_LABEL[level])
    return view.project(transform_points(labels.ras_from_ijk, np.stack([i, j, k], -1)))[0]


def coarse(labels):
    """A geometry with larger pixels."""
    return geometry_around(labels, iso_pixel_mm=1.2)


class TestGeometryAround:
    @pytest.mark.parametrize("name", GRIDS)
    @pytest.mark.parametrize("preset", PRESETS)
    def test_the_detectors_just_hold_the_volume(self, name, preset):
        labels = column(GRIDS[name])
        geometry = geometry_around(labels, preset)
        far = np.array(labels.array.shape[::-1]) - 0.5
        corners = [[i, j, k] for i in (-0.5, far[0]) for j in (-0.5, far[1]) for k in (-0.5, far[2])]
        ras = transform_points(labels.ras_from_ijk, corners)
        assert geometry.angle_deg == pytest.approx(90)
        for view, alpha in zip(geometry.views, (0, 90), strict=True):
            assert view.alpha_deg == alpha
            assert (view.sod_mm, view.sdd_mm) == PRESETS[preset]
            assert view.pixel_mm * view.sod_mm / view.sdd_mm == pytest.approx(0.8)
            np.testing.assert_allclose(view.isocentre_ras_mm, (ras.min(0) + ras.max(0)) / 2, atol=0.051)
            uv, _ = view.project(ras)
            size = np.array([view.width, view.height])
            assert (uv > 0).all()
            assert (uv < size).all()
            assert np.minimum(uv.min(0), (size - uv).min(0)).max() < 6


class TestCaseOf:
    @pytest.mark.parametrize("name", GRIDS)
    def test_rois_lie_where_the_images_show_the_bones(self, tmp_path, name):
        labels = column(GRIDS[name])
        hu = np.where(labels.array > 0, 300.0, -1000.0).astype(np.float32)
        case = read_case(case_of("c", hu, labels, ("L1", "L2"), tmp_path / "case", geometry=coarse(labels)))
        assert [roi.level for roi in case.rois] == ["L1", "L2"]
        for radiograph, view in zip(case.radiographs, case.geometry.views, strict=True):
            image = radiograph.attenuation()
            assert image.shape == (view.height, view.width)
            for roi in case.rois:
                box = box_ras_mm(labels.array == VERSE_LABEL[roi.level], labels.ras_from_ijk)
                np.testing.assert_allclose(roi.centre_ras_mm, (box[0] + box[1]) / 2, atol=0.006)
                np.testing.assert_allclose(roi.size_mm, box[1] - box[0], atol=0.006)
                shadow = silhouette(labels, roi.level, view)
                # Attenuation grows with the length of bone, and so does the number of voxels on a pixel.
                rows = slice(int(shadow[:, 1].min()) - 1, int(np.ceil(shadow[:, 1].max())) + 2)
                part = image[rows] - np.median(image)
                v, u = (grid + 0.5 for grid in np.mgrid[rows, 0 : view.width])
                bright = np.where(part > 0.15, part, 0)
                centre = np.array([(bright * u).sum(), (bright * v).sum()]) / bright.sum()
                np.testing.assert_allclose(centre, shadow.mean(0), atol=0.8)
                (u_roi, v_roi), _ = view.project(roi.centre_ras_mm)
                assert shadow[:, 0].min() < u_roi < shadow[:, 0].max()
                assert shadow[:, 1].min() < v_roi < shadow[:, 1].max()

    def test_the_rod_on_the_right_is_seen_on_the_left_of_the_ap_image(self, tmp_path):
        labels = column(GRIDS["flipped, anisotropic"], ("L1",))
        hu = np.where(labels.array > 0, 300.0, -1000.0).astype(np.float32)
        case = read_case(case_of("c", hu, labels, ("L1",), tmp_path / "case", geometry=coarse(labels)))
        for radiograph, sign in zip(case.radiographs, (-1, -1), strict=True):  # lateral: posterior is left
            profile = np.clip(radiograph.attenuation() - np.median(radiograph.attenuation()) - 0.15, 0, None).sum(0)
            used = np.flatnonzero(profile > 0.3)
            heavy = (profile * np.arange(len(profile))).sum() / profile.sum()
            assert sign * ((used[0] + used[-1]) / 2 - heavy) > 2

    def test_the_reference_is_the_label_map(self, tmp_path):
        labels = column(GRIDS["flipped, anisotropic"])
        labels.array[0, 0, 0] = 255  # a copy of with_neighbours has no name
        hu = np.where(labels.array > 0, 300.0, -1000.0).astype(np.float32)
        case = read_case(case_of("c", hu, labels, ("L1",), tmp_path / "case"))
        truth = read_volume(case.reference.segmentation)
        np.testing.assert_array_equal(truth.array, np.where(labels.array == 255, 0, labels.array))
        np.testing.assert_allclose(truth.ras_from_ijk, labels.ras_from_ijk, atol=1e-5)
        (shape,) = reference_shapes(case).values()
        box = np.reshape(shape.surface.GetBounds(), (3, 2))
        np.testing.assert_allclose(box.mean(1), case.rois[0].centre_ras_mm, atol=0.6)

    def test_one_seed_makes_one_case(self, tmp_path):
        labels = column(GRIDS["along RAS"], ("L1",))
        hu = np.where(labels.array > 0, 300.0, -1000.0).astype(np.float32)
        first, again, other = (
            read_case(case_of("c", hu, labels, ("L1",), tmp_path / str(n), seed=seed))
            for n, seed in enumerate((1, 1, 2))
        )
        np.testing.assert_array_equal(first.frontal.pixels, again.frontal.pixels)
        assert (first.frontal.pixels != other.frontal.pixels).any()

    def test_beam_and_engine_can_be_chosen(self, tmp_path):
        labels = column(GRIDS["along RAS"], ("L1",))
        hu = np.where(labels.array > 0, 300.0, -1000.0).astype(np.float32)

        class Fog:
            def project(self, volume_hu, ras_from_ijk, views):
                area = torch.ones(len(views), 2, views[0].height, views[0].width)
                area[..., 0] = 2
                return area

        case = read_case(case_of("c", hu, labels, ("L1",), tmp_path / "fog", photons=None, engine=Fog()))
        assert np.ptp(case.frontal.pixels[:, 1:]) == 0
        hard = load_spectrum("80kV-2.5mmAl")
        soft, stiff = (
            read_case(case_of("c", hu, labels, ("L1",), tmp_path / str(n), photons=None, spectrum=spectrum))
            for n, spectrum in enumerate((None, hard))
        )
        assert stiff.frontal.pixels.max() < soft.frontal.pixels.max()

    def test_a_level_that_is_not_there(self, tmp_path):
        labels = column(GRIDS["along RAS"], ("L1",))
        with pytest.raises(DatasetError, match="T3"):
            roi_of("T3", labels)
        with pytest.raises(DatasetError, match="no voxel"):
            case_of("c", np.zeros(labels.array.shape, np.float32), labels, ("nose",), tmp_path / "case")
        assert not (tmp_path / "case").exists()


class TestPhantom:
    def test_the_sample(self, tmp_path):
        path = phantom_case(tmp_path / "case", 7, ("L4", "L5"))
        case = read_case(path)
        assert [roi.level for roi in case.rois] == ["L4", "L5"]
        truth = read_volume(case.reference.segmentation)
        assert set(np.unique(truth.array)) == {0, *(VERSE_LABEL[n] for n in ("L3", "L4", "L5"))}
        for roi in case.rois:
            low, high = box_ras_mm(truth.array == VERSE_LABEL[roi.level], truth.ras_from_ijk)
            np.testing.assert_allclose(roi.centre_ras_mm, (low + high) / 2, atol=0.006)
        for radiograph, view in zip(case.radiographs, case.geometry.views, strict=True):
            shadow = np.concatenate([silhouette(truth, level, view) for level in ("L3", "L4", "L5")]).astype(int)
            image = radiograph.attenuation()
            hit = np.zeros(image.shape, bool)
            hit[shadow[:, 1], shadow[:, 0]] = True
            hit = ndimage.binary_dilation(hit, iterations=2)  # voxels are larger than pixels
            assert np.median(image[hit]) > np.median(image[~hit]) + 0.3
            bright = image > np.median(image[~hit]) + 0.5
            assert (bright & hit).sum() / bright.sum() > 0.99

    def test_left_is_marked(self, tmp_path):
        truth = read_volume(read_case(phantom_case(tmp_path / "case", 7, ("L3",))).reference.segmentation)
        k, j, i = np.nonzero(truth.array == VERSE_LABEL["L3"])
        right = transform_points(truth.ras_from_ijk, np.stack([i, j, k], -1))[:, 0]
        body = np.median(right)
        assert (body - right.min()) - (right.max() - body) > 0.3 * MARKER_MM

    @pytest.mark.parametrize(("levels", "shown"), [(("L1",), ("T12", "L1")), (("T1",), ("T1",))])
    def test_the_neighbour_above_is_the_one_that_spines_have(self, tmp_path, levels, shown):
        truth = read_volume(read_case(phantom_case(tmp_path / "case", 3, levels)).reference.segmentation)
        assert set(np.unique(truth.array)) == {0, *(VERSE_LABEL[n] for n in shown)}
