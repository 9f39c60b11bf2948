"""The rules: which vertebrae are kept, and each reason why one is not."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from EARReconstructionLib.vertebra import VERSE_LABEL
from EARReconstructionLib.volume_io import Volume
from EARTrainingLib.datasets.readers import LoadedScan, Scan
from EARTrainingLib.datasets.vertebrae import LARGEST_SHARE, examine, largest_share

SCAN = Scan("pairs", "p", "p", Path("ct.nii.gz"), Path("mask.nii.gz"))
MASK_ONLY = replace(SCAN, ct=None)
AFFINE = np.diag([-1.5, 1.5, 2.0, 1.0])


def labels_of(**boxes):
    """Labels on a grid of (k, j, i) = (40, 30, 36); a level's (k, j, i) box each."""
    labels = np.zeros((40, 30, 36), np.uint8)
    for level, ((k0, k1), (j0, j1), (i0, i1)) in boxes.items():
        labels[k0:k1, j0:j1, i0:i1] = VERSE_LABEL[level]
    return Volume(labels, AFFINE)


L2 = (10, 20), (5, 20), (8, 20)


def with_ct(labels, bone=300, around=40):
    hu = np.where(labels.array > 0, bone, around) + np.random.default_rng(0).integers(-20, 20, labels.array.shape)
    return LoadedScan(Volume(hu.astype(np.int16), labels.ras_from_ijk), labels)


def only(vertebrae):
    (one,) = vertebrae
    return one


def test_whole_ones_are_kept_from_head_to_foot():
    labels = labels_of(L2=L2, T12=((26, 36), (5, 20), (8, 20)), C3=((2, 8), (5, 20), (8, 20)))
    found = examine(SCAN, with_ct(labels))
    assert [(v.level, v.label, v.reason, v.flags) for v in found] == [
        ("C3", 3, "", ""),
        ("T12", 19, "", ""),
        ("L2", 21, "", ""),
    ]
    assert found[2].box == tuple(slice(*side) for side in L2)


@pytest.mark.parametrize("side", range(6))
def test_two_voxels_are_needed_to_every_border(side):
    shape = (40, 30, 36)
    for room, kept in ((0, False), (1, False), (2, True)):
        box = [list(pair) for pair in L2]
        axis, end = divmod(side, 2)
        box[axis][end] = shape[axis] - room if end else room
        one = only(examine(SCAN, with_ct(labels_of(L2=box))))
        assert (one.reason == "") == kept
        if not kept:
            assert one.reason == f"cut by the border of the scan: {room} voxels from it"


def test_the_border_does_not_matter_where_the_grid_or_the_source_says_so():
    cut = LoadedScan(None, labels_of(L2=((0, 10), (5, 20), (8, 20))))
    assert only(examine(MASK_ONLY, cut)).reason.startswith("cut")
    assert not only(examine(replace(MASK_ONLY, mask=None, meshes=(("L2", Path("x.ply")),)), cut)).reason
    assert not only(examine(replace(MASK_ONLY, mask=None, phantom_seed=1), cut)).reason
    assert not only(examine(replace(MASK_ONLY, targets=("L2",)), cut)).reason


def test_fragments_are_too_small():
    one = only(examine(SCAN, with_ct(labels_of(L2=((10, 15), (5, 10), (8, 16))))))
    assert one.reason == "too small: 0.90 cm3 are labelled"  # 5 * 5 * 8 voxels of 4.5 mm3
    assert not only(examine(SCAN, with_ct(labels_of(L2=((10, 15), (5, 10), (8, 17)))))).reason


def test_pieces():
    labels = labels_of(L2=L2)
    labels.array[30:33, 5:15, 10:13] = VERSE_LABEL["L2"]  # 90 voxels beside 1800: 95.2 %
    assert not only(examine(SCAN, with_ct(labels))).reason
    labels.array[33, 5:15, 10:12] = VERSE_LABEL["L2"]  # 110 beside 1800: 94.2 %
    assert only(examine(SCAN, with_ct(labels))).reason == "in pieces: the largest holds 94 % of it"


def test_corners_hold_together():
    mask = np.zeros((6, 6, 6), bool)
    mask[:3, :3, :3] = mask[3:, 3:, 3:] = True
    assert largest_share(mask) == 1
    mask[3, 3, 3] = False
    assert largest_share(mask) == pytest.approx(27 / 53) != LARGEST_SHARE


def test_what_the_source_does_not_list():
    labels = labels_of(L2=L2, T12=((26, 36), (5, 20), (8, 20)))
    found = examine(replace(SCAN, targets=("T12", "L3")), with_ct(labels))
    assert [(v.level, v.reason) for v in found] == [
        ("T12", ""),
        ("L2", "the source does not list it as whole"),
        ("L3", "missing: it is listed, but no voxel has its label"),
    ]


@pytest.mark.parametrize("level", ["T13", "L6"])
def test_rare_levels_are_kept_and_flagged(level):
    one = only(examine(SCAN, with_ct(labels_of(**{level: L2}))))
    assert (one.reason, one.flags) == ("", "rare level")


class TestDefectiveCT:
    def test_air_where_bone_should_be(self):
        one = only(examine(SCAN, with_ct(labels_of(L2=L2), bone=-900)))
        assert one.reason.startswith("defective CT: a median of -9")

    def test_a_constant(self):
        labels = labels_of(L2=L2)
        hu = Volume(np.full(labels.array.shape, 300, np.int16), AFFINE)
        assert only(examine(SCAN, LoadedScan(hu, labels))).reason == "defective CT: 300 HU everywhere inside the mask"

    def test_fat_marrow_is_bone_still(self):
        assert not only(examine(SCAN, with_ct(labels_of(L2=L2), bone=-60))).reason

    def test_only_the_defective_vertebra_goes(self):
        loaded = with_ct(labels_of(L2=L2, T12=((26, 36), (5, 20), (8, 20))))
        loaded.hu.array[25:] = -1000  # the upper slices were never filled
        assert [bool(v.reason) for v in examine(SCAN, loaded)] == [True, False]


def test_sacrum_is_no_vertebra():
    labels = labels_of(L2=L2)
    labels.array[25:35, 5:20, 8:20] = 26
    assert only(examine(SCAN, with_ct(labels))).level == "L2"
