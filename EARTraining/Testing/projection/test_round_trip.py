"""Every flip and transposition shows: left, right, front, back, up and down through projection, crop and lift."""

import numpy as np
import pytest
import torch
from EARReconstructionLib.geometry import (
    BiplanarGeometry,
    backproject,
    crop_image,
    crop_view,
    cube_affine,
    transform_points,
)
from EARTrainingLib.projection import line_integrals

SIZE, SPACING_MM = 48, 2.0

#: (R, A, S) of a bead towards each side, none on an axis and no two alike in any coordinate.
SIDES = {
    "right": (35.0, 3.0, -5.0),
    "left": (-31.0, -7.0, 9.0),
    "front": (5.0, 33.0, 3.0),
    "back": (-3.0, -37.0, -7.0),
    "up": (7.0, -5.0, 31.0),
    "down": (-9.0, 5.0, -33.0),
}
CENTRES = {"central": (0.0, 0.0, 0.0), "vertebra 180 mm up": (15.0, -20.0, 180.0)}


def volume_with(bead, affine):
    """(1, N, N, N) with one voxel set, and its (i, j, k)."""
    i, j, k = np.rint(transform_points(np.linalg.inv(affine), bead)).astype(int)
    volume = torch.zeros(1, SIZE, SIZE, SIZE)
    volume[0, k, j, i] = 1
    return volume, (int(i), int(j), int(k))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("preset", "angle"), [("default", 90), ("c-arm", 90), ("c-arm", 60)])
@pytest.mark.parametrize("centre", CENTRES.values(), ids=CENTRES.keys())
def test_a_bead_comes_back_to_its_voxel(side, preset, angle, centre):
    geometry = BiplanarGeometry.from_preset(preset, angle_deg=angle, iso_pixel_mm=1.0, height=560, width=220)
    affine = cube_affine(centre, SIZE, SPACING_MM)
    volume, ijk = volume_with(np.add(centre, SIDES[side]), affine)
    product = torch.ones(SIZE, SIZE, SIZE)
    for view in geometry.views:
        crop = crop_view(view, centre, 64, SPACING_MM)
        radiograph = line_integrals(volume, affine, view)[0]
        cut, coverage = crop_image(radiograph, view, crop)
        assert coverage == 1
        product = product * backproject(cut, crop, affine, (SIZE,) * 3)
    k, j, i = np.unravel_index(int(product.argmax()), product.shape)
    assert (i, j, k) == ijk


#: (column, row) in which each bead's image must lie from the middle, as a radiologist sees it; 0: near the middle.
SEEN_FROM_THE_FRONT = {"right": (-1, 0), "left": (1, 0), "front": (0, 0), "back": (0, 0), "up": (0, -1), "down": (0, 1)}
SEEN_FROM_THE_RIGHT = {"right": (0, 0), "left": (0, 0), "front": (1, 0), "back": (-1, 0), "up": (0, -1), "down": (0, 1)}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("index", "expected"), [(0, SEEN_FROM_THE_FRONT), (1, SEEN_FROM_THE_RIGHT)], ids=["AP", "lateral"]
)
def test_each_side_lies_where_a_radiologist_looks_for_it(side, index, expected):
    """Independent of P: an error shared by projection and lift would come back to its voxel all the same."""
    affine = cube_affine((0, 0, 0), SIZE, SPACING_MM)
    volume, _ = volume_with(SIDES[side], affine)
    view = BiplanarGeometry.from_preset(iso_pixel_mm=1.0, height=128, width=128).views[index]
    image = line_integrals(volume, affine, view)[0]
    row, column = np.unravel_index(int(image.argmax()), image.shape)
    assert (
        tuple(np.where(np.abs(d := np.array([column, row]) - 63.5) < 15, 0, np.sign(d)).astype(int)) == expected[side]
    )


def test_the_sides_nearer_to_the_source_are_larger():
    """AP from the front, left lateral from the right: the same bead is magnified more on the source's side."""
    affine = cube_affine((0, 0, 0), SIZE, SPACING_MM)
    geometry = BiplanarGeometry.from_preset("c-arm", iso_pixel_mm=0.5, height=256, width=256)
    for view, near, far in [(geometry.frontal, "front", "back"), (geometry.lateral, "right", "left")]:
        area = [line_integrals(volume_with(SIDES[s], affine)[0], affine, view)[0].gt(0).sum() for s in (near, far)]
        assert area[0] > 1.15 * area[1]
