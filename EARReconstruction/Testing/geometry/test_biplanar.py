"""Pairs of views: presets, angles, validation, storage."""

import dataclasses
import json

import numpy as np
import pytest
from EARReconstructionLib.errors import GeometryError
from EARReconstructionLib.geometry import PRESETS, BiplanarGeometry


@pytest.mark.parametrize(
    ("name", "distances"), [("default", (1000, 1300)), ("c-arm", (530, 1020)), ("long-film", (1500, 1800))]
)
def test_presets_have_the_distances_of_the_devices_they_name(name, distances):
    geometry = BiplanarGeometry.from_preset(name)
    assert PRESETS[name] == distances
    for view in geometry.views:
        assert (view.sod_mm, view.sdd_mm) == distances


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_pixel_has_its_size_at_the_isocentre(name):
    geometry = BiplanarGeometry.from_preset(name, iso_pixel_mm=0.5, height=200, width=100, isocentre_ras_mm=(5, 6, 7))
    for view, step in zip(geometry.views, ((-10, 0, 0), (0, 10, 0)), strict=True):
        assert (view.height, view.width) == (200, 100)
        pixel, _ = view.project(np.add((5, 6, 7), step))
        np.testing.assert_allclose(pixel, (50 + 20, 100))


def test_the_frontal_view_comes_first():
    geometry = BiplanarGeometry.from_preset()
    assert geometry.views == (geometry.frontal, geometry.lateral)
    assert [view.alpha_deg for view in geometry.views] == [0, 90]


@pytest.mark.parametrize(("angle", "alpha"), [(60, 30), (90, 0), (120, -30), (140, -50)])
def test_view_two_stays_lateral_and_view_one_turns(angle, alpha):
    geometry = BiplanarGeometry.from_preset(angle_deg=angle)
    assert geometry.frontal.alpha_deg == pytest.approx(alpha)
    assert geometry.lateral.alpha_deg == 90
    assert geometry.angle_deg == pytest.approx(angle)


@pytest.mark.parametrize("angle", [0, 10, 170, 180])
def test_two_views_of_one_direction_are_refused(angle):
    with pytest.raises(GeometryError, match="same direction"):
        BiplanarGeometry.from_preset(angle_deg=angle)


def test_an_unknown_preset_names_those_that_exist():
    with pytest.raises(GeometryError, match="c-arm"):
        BiplanarGeometry.from_preset("o-arm")


def test_json_round_trip():
    geometry = BiplanarGeometry.from_preset("c-arm", angle_deg=75, isocentre_ras_mm=(1.5, -2, 300))
    geometry = dataclasses.replace(
        geometry, frontal=dataclasses.replace(geometry.frontal, principal_point=(10.0, 20.0), beta_deg=5.0)
    )
    assert BiplanarGeometry.from_dict(json.loads(json.dumps(geometry.to_dict()))) == geometry


@pytest.mark.parametrize("fields", [{}, {"frontal": {}}, {"frontal": {}, "lateral": {}}, None, []], ids=str)
def test_incomplete_fields_are_refused(fields):
    with pytest.raises(GeometryError):
        BiplanarGeometry.from_dict(fields)
