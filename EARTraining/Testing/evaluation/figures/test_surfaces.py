"""Figures of surfaces: red inside and blue outside, one camera for a row, letters where the sides are, one legend."""

from contextlib import contextmanager

import matplotlib.image
import numpy as np
import pytest
from EARReconstructionLib.colours import distance_colours
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.report import rendering
from EARTrainingLib.evaluation.figures.anatomy import draw_spine, draw_vertebrae
from EARTrainingLib.evaluation.figures.surfaces import distance_range_mm, draw_distances, draw_reconstructions
from EARTrainingLib.evaluation.prediction import Prediction


@contextmanager
def watched_cameras():
    """Cameras and ranges of all pictures that are made meanwhile, in their order."""
    used = []
    picture = rendering.Studio.picture

    def kept(self, surfaces, camera, range_mm=None):
        used.append((camera, range_mm))
        return picture(self, surfaces, camera, range_mm)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering.Studio, "picture", kept)
        yield used


@pytest.fixture
def cameras():
    with watched_cameras() as used:
        yield used


@pytest.fixture(scope="module")
def distances(truths, make_grown, watched_sheets, tmp_path_factory):
    """The figure of two vertebrae, each too small and too large by 2 mm; its cameras; its file."""
    examples = {
        f"{t.row.level}, {kind}\n{t.row.patient}": {"Small": make_grown(t, -2.0), "Large": make_grown(t, 2.0)}
        for t, kind in zip(truths[1:3], ("best", "worst"), strict=True)
    }
    assd = {(m, t.row.id): 1.25 for t in truths for m in ("Small", "Large")}
    path = tmp_path_factory.mktemp("figures") / "distances.png"
    with watched_sheets() as sheets, watched_cameras() as used:
        draw_distances(path, examples, assd, "Some words. " * 20)
        return sheets[path.name], list(used), path


def pictures_of(figure):
    """The rendered pictures, in the order in which they were drawn."""
    return [axis.images[0].get_array() for axis in figure.axes if axis.images and axis.images[0].get_array().ndim == 3]


def body_of(picture):
    return picture[(255 - picture.astype(int)).sum(-1) > 30].astype(float)


def legends_of(figure):
    return [axis for axis in figure.axes if "mm]" in axis.get_xlabel()]


class TestDistances:
    @pytest.fixture
    def figure(self, distances):
        return distances[0]

    def test_red_where_it_lies_inside_and_blue_outside(self, figure):
        pictures = pictures_of(figure)
        assert len(pictures) == 12  # two vertebrae from two sides, truth and two methods
        for _, small, large in zip(pictures[::3], pictures[1::3], pictures[2::3], strict=True):
            red, _, blue = body_of(small).mean(0)
            assert red > blue + 40
            red, _, blue = body_of(large).mean(0)
            assert blue > red + 40

    def test_the_truth_has_the_colour_of_bone(self, figure):
        for truth in pictures_of(figure)[::3]:
            red, green, blue = body_of(truth).mean(0)
            assert red > green > blue
            assert red < blue + 90

    def test_one_camera_for_a_row_and_one_scale_for_all(self, distances):
        figure, cameras, _ = distances
        rows = [cameras[n + 1 : n + 4] for n in range(0, 12, 3)]  # the first picture is the test of the renderer
        for row in rows:
            assert len({camera for camera, _ in row}) == 1
        assert len({camera.height_mm for row in rows for camera, _ in row}) == 1
        assert {shading.high_mm for row in rows for _, shading in row[1:]} == {distance_range(figure)}
        assert {row[0][1] for row in rows} == {None}

    def test_there_is_one_legend_in_mm_and_it_is_symmetric(self, figure):
        (legend,) = legends_of(figure)
        assert "red: inside" in legend.get_xlabel()
        assert "blue: outside" in legend.get_xlabel()
        low, high = legend.get_xlim()
        assert low == -high
        assert legend.collections[-1].get_cmap()(0.0)[:3] == pytest.approx(distance_colours()[0])

    def test_words(self, figure):
        texts = [text.get_text() for text in figure.texts]
        for word in ("Truth", "Small", "Large", "L1, best\np4"):
            assert word in texts
        beside = [text.get_text() for axis in figure.axes for text in axis.texts]
        assert beside.count("ASSD 1.25 mm") == 4
        assert any(text.endswith(" mm") and text.split()[0].isdigit() for text in beside)  # the scale bar
        assert any(text.startswith("Some words.") and "\n" in text for text in texts)

    def test_what_was_saved_shows_both_colours(self, distances):
        pixels = matplotlib.image.imread(distances[2])[..., :3]
        red, green, blue = np.moveaxis(pixels, -1, 0)
        assert ((red - np.maximum(green, blue)) > 0.25).mean() > 0.01
        assert ((blue - np.maximum(red, green)) > 0.15).mean() > 0.01


def distance_range(figure):
    return legends_of(figure)[0].get_xlim()[1]


class TestRange:
    def test_it_is_a_round_number_that_holds_nearly_all(self, truths, make_grown):
        two = [make_grown(truths[1], by_mm) for by_mm in (-2.0, 2.0)]
        assert 2 <= distance_range_mm(two) <= 4
        assert distance_range_mm([]) == 1
        assert distance_range_mm([make_grown(truths[1], 0.0)]) in (1, 1.5)


def test_what_could_not_be_measured_is_no_bone_and_no_number(truths, sheets, tmp_path):
    nothing = Prediction(truths[1], np.full_like(truths[1].volume_hu, -1000), None, 0.0)
    draw_distances(tmp_path / "d.png", {"L1": {"A": nothing}}, {("A", truths[1].row.id): np.nan}, "Words.")
    beside = [text.get_text() for axis in sheets["d.png"].axes for text in axis.texts]
    assert beside.count("no bone") == 2
    assert not any("nan" in text or "ASSD" in text for text in beside)


class TestReconstructions:
    def test_missing_bone_is_said_and_nothing_is_coloured(self, truths, make_grown, sheets, cameras, tmp_path):
        nothing = Prediction(truths[1], np.full_like(truths[1].volume_hu, -1000), None, 0.0)
        draw_reconstructions(tmp_path / "r.png", {"L1": {"A": make_grown(truths[1], 0.0), "B": nothing}}, "Words.")
        figure = sheets["r.png"]
        pictures = pictures_of(figure)
        assert len(body_of(pictures[0])) > 100
        assert len(body_of(pictures[1])) > 100
        assert len(body_of(pictures[2])) == 0
        assert [t.get_text() for axis in figure.axes for t in axis.texts].count("no bone") == 2
        assert {range_mm for _, range_mm in cameras} == {None}
        assert not legends_of(figure)


class TestAnatomy:
    def test_letters_stand_where_the_asymmetric_bone_says(self, truths, make_grown, sheets, tmp_path):
        """The bone has one long process, on the patient's left: on our right from the front, and left from behind."""
        draw_vertebrae(tmp_path / "v.png", {"L1, median\np4": make_grown(truths[1], 0.0)}, "EAR", "Words.")
        axes = [axis for axis in sheets["v.png"].axes if axis.images]
        first = {}  # heading -> axis of the truth: columns are drawn one after the other, truth first
        for heading, axis in zip(("Front", "Left side", "Back", "Oblique", "Above"), axes[::2], strict=True):
            first[heading] = axis
        for heading, letter in (("Front", "L"), ("Back", "L"), ("Above", "L")):
            placed = {t.get_text(): t.get_position()[0] for t in first[heading].texts}
            picture = first[heading].images[0].get_array()
            columns = np.flatnonzero((255 - picture.astype(int)).sum(-1).max(0) > 30)
            mass = np.nonzero((255 - picture.astype(int)).sum(-1) > 30)[1]
            # The camera frames the bone, so its long thin side is the one further from the centre of mass.
            thin_right = columns.max() - np.median(mass) > np.median(mass) - columns.min()
            assert (placed[letter] > 0.5) == thin_right
        assert {t.get_text() for t in first["Left side"].texts} >= {"A", "P", "S", "I"}

    def test_a_spine_stands_in_its_frame_and_not_one_bone_upon_the_other(self, truths, make_grown, sheets, tmp_path):
        spine = [make_grown(t, 2.0) for t in truths[:3]]
        draw_spine(tmp_path / "s.png", spine, "EAR", "Words.")
        figure = sheets["s.png"]
        pictures = pictures_of(figure)
        assert len(pictures) == 12
        one = [make_grown(truths[0], 2.0)]
        draw_spine(tmp_path / "one.png", one, "EAR", "Words.")
        alone = pictures_of(sheets["one.png"])[0]
        extent = np.array([len(body_of(pictures[0])), len(body_of(alone))]) / pictures[0][..., 0].size
        assert extent[0] > 0
        assert extent[0] < extent[1]  # three bones far apart leave more room than one that fills the picture
        red, _, blue = body_of(pictures[2]).mean(0)
        assert blue > red + 40
        assert len(legends_of(figure)) == 1

    def test_a_place_that_cannot_be_written_to_is_told(self, truths, make_grown, sheets, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.raises(EARError, match="could not be written"):
            draw_vertebrae(tmp_path / "file" / "v.png", {"L1": make_grown(truths[1], 0.0)}, "EAR", "")
