"""Frames: voxel centres, RAS and LPS."""

import numpy as np
import SimpleITK as sitk
from EARReconstructionLib.geometry import LPS_FROM_RAS, cube_affine, transform_points, voxel_sizes_mm
from EARReconstructionLib.geometry.frames import side_letters


def test_cube_is_centred_between_its_middle_voxels():
    affine = cube_affine((10.0, -20.0, 300.0), 128, 1.5)
    np.testing.assert_allclose(transform_points(affine, (63.5, 63.5, 63.5)), (10.0, -20.0, 300.0))
    np.testing.assert_allclose(transform_points(affine, (0, 0, 0)), np.array([10.0, -20.0, 300.0]) - 1.5 * 63.5)


def test_cube_axes_are_right_anterior_superior():
    affine = cube_affine((0, 0, 0), 4, 2.0)
    steps = transform_points(affine, np.eye(3)) - transform_points(affine, (0, 0, 0))
    np.testing.assert_allclose(steps, 2.0 * np.eye(3))


def test_transform_points_keeps_the_leading_shape():
    affine = cube_affine((1.0, 2.0, 3.0), 3, 1.0)
    assert transform_points(affine, np.zeros((2, 5, 3))).shape == (2, 5, 3)


def test_voxel_sizes_of_a_rotated_anisotropic_affine():
    angle = np.radians(30)
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag([0.4, 0.5, 2.0])
    np.testing.assert_allclose(voxel_sizes_mm(affine), (0.4, 0.5, 2.0))


def test_lps_turns_right_to_left_and_anterior_to_posterior_and_back():
    np.testing.assert_array_equal(transform_points(LPS_FROM_RAS, (1.0, 2.0, 3.0)), (-1.0, -2.0, 3.0))
    np.testing.assert_array_equal(LPS_FROM_RAS @ LPS_FROM_RAS, np.eye(4))


def test_an_itk_image_with_our_affine_in_lps_has_its_voxels_where_we_say():
    affine = cube_affine((10.0, -20.0, 300.0), 8, 1.5)
    lps = LPS_FROM_RAS @ affine
    image = sitk.Image(8, 8, 8, sitk.sitkUInt8)
    image.SetOrigin(lps[:3, 3])
    image.SetSpacing(voxel_sizes_mm(affine))
    image.SetDirection((lps[:3, :3] / voxel_sizes_mm(affine)).ravel())
    index = (1, 5, 7)
    point = transform_points(LPS_FROM_RAS, image.TransformIndexToPhysicalPoint(index))
    np.testing.assert_allclose(point, transform_points(affine, index), atol=1e-9)


def test_the_main_side_comes_first():
    assert side_letters((-0.8, 0.6, 0)) == "LA"
    assert side_letters((-0.6, 0.8, 0)) == "AL"
    assert side_letters((0, 20, 90)) == "S"
    assert side_letters((0, -0.2, -0.9)) == "I"
