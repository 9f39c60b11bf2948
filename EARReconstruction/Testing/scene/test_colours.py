"""Colours and names of levels."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from EARReconstructionLib.colours import distance_colours, error_colours, level_colour
from EARReconstructionLib.scene.terminology import VERTEBRA_CODES, terminology_entry
from EARReconstructionLib.vertebra import LEVELS


def test_neighbours_look_different() -> None:
    for upper, lower in pairwise(LEVELS):
        assert np.abs(np.subtract(level_colour(upper), level_colour(lower))).max() > 0.3


def test_red_inside_pale_where_it_fits_blue_outside() -> None:
    inside, fits, outside = distance_colours(3)
    assert inside[0] > 0.5 > 5 * inside[2] * 0.8
    assert fits.min() > 0.9
    assert outside[2] > 0.5 > outside[0]


def test_the_less_sure_the_darker_and_neither_red_nor_blue() -> None:
    colours = error_colours(20)
    assert colours[0].min() > 0.9
    assert (np.diff(colours.sum(1)) < 0).all()
    assert (colours[1:, 1] > colours[1:, [0, 2]].max(1) - 0.01).all()


def test_every_common_level_has_its_own_code() -> None:
    assert set(VERTEBRA_CODES) == set(LEVELS) - {"T13", "L6"}
    assert len(set(VERTEBRA_CODES.values())) == 24


def test_entry_has_seven_parts_and_names_the_vertebra() -> None:
    for level in LEVELS:
        assert len(terminology_entry(level).split("~")) == 7
    assert "~SCT^123037004^Anatomical Structure~SCT^14293000^L2 vertebra~" in terminology_entry("L2")
    assert "~SCT^51282000^Vertebra~" in terminology_entry("T13")
