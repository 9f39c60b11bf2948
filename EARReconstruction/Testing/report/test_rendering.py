"""Cameras and their letters: which side of the body is drawn on which side of the picture."""

import numpy as np
import pytest
import vtk
from EARReconstructionLib.colours import distance_colours
from EARReconstructionLib.distance import with_distances
from EARReconstructionLib.geometry.frames import side_letters
from EARReconstructionLib.report.rendering import (
    Camera,
    NoRendererError,
    Studio,
    at_one_scale,
    distance_shading,
    framed,
)
from EARReconstructionLib.surface import points_of

SIZE = (120, 90)


def ball(centre, radius):
    source = vtk.vtkSphereSource()
    source.SetCenter(*centre)
    source.SetRadius(radius)
    source.SetThetaResolution(24)
    source.SetPhiResolution(24)
    source.Update()
    return source.GetOutput()


@pytest.fixture(scope="module")
def studio():
    with Studio(SIZE) as opened:
        yield opened


def seen(picture):
    """Pixels that are no background."""
    return (255 - picture.astype(int)).sum(-1) > 30


class TestLetters:
    @pytest.mark.parametrize(
        ("towards", "sides"),
        [
            ((0, 1, 0), ("R", "L", "S", "I")),  # face to face: the patient's right is on our left
            ((0, -1, 0), ("L", "R", "S", "I")),
            ((-1, 0, 0), ("A", "P", "S", "I")),  # from the patient's left: he looks to our left
            ((1, 0, 0), ("P", "A", "S", "I")),
            ((0, 0, 1), ("L", "R", "A", "P")),
            ((0, 0, -1), ("R", "L", "A", "P")),
            ((0.62, 0.70, 0.40), ("RP", "LA", "S", "I")),
            ((-0.62, -0.70, 0.40), ("LA", "RP", "S", "I")),
        ],
    )
    def test_sides_of_a_view(self, towards, sides):
        found = Camera(towards, (0, 0, 0), 1.0).letters
        assert tuple(set(a) for a in found) == tuple(set(b) for b in sides)

    @pytest.mark.parametrize("towards", [(0, 1, 0), (0, -1, 0), (1, 0, 0), (-1, 0, 0), (0, 0, 1), (0.62, 0.7, 0.25)])
    def test_a_ball_on_a_side_is_drawn_at_its_letter(self, studio, towards):
        """A small ball away from a large one, in turn at every edge: the letter there names its direction."""
        camera = Camera(towards, (0, 0, 0), 120.0)
        edges = (-camera.right, camera.right, camera.up, -camera.up)
        for letter, edge in zip(camera.letters, edges, strict=True):
            picture = seen(studio.picture([ball(40 * edge, 8)], camera))
            rows, columns = np.nonzero(picture)
            across, along = columns.mean() / SIZE[0] - 0.5, 0.5 - rows.mean() / SIZE[1]
            drawn_towards = across * camera.right * SIZE[0] / SIZE[1] + along * camera.up
            assert side_letters(drawn_towards) == letter

    def test_two_balls_tell_left_from_right(self, studio):
        camera = framed([ball((30, 0, 0), 14), ball((-30, 0, 0), 5)], (0, 1, 0), SIZE)
        assert camera.letters[0] == "R"
        picture = seen(studio.picture([ball((30, 0, 0), 14), ball((-30, 0, 0), 5)], camera))
        assert picture[:, : SIZE[0] // 2].sum() > 3 * picture[:, SIZE[0] // 2 :].sum()


class TestFraming:
    @pytest.mark.parametrize("towards", [(0, 1, 0), (0.62, 0.7, 0.4), (0, 0, 1)])
    def test_everything_is_seen_and_fills_the_picture(self, studio, towards):
        shapes = [ball((30, 10, -5), 10), ball((-20, 0, 25), 4)]
        rows, columns = np.nonzero(seen(studio.picture(shapes, framed(shapes, towards, SIZE))))
        assert rows.min() > 0
        assert columns.min() > 0
        assert rows.max() < SIZE[1] - 1
        assert columns.max() < SIZE[0] - 1
        assert max(np.ptp(rows) / SIZE[1], np.ptp(columns) / SIZE[0]) > 0.8

    def test_millimetres_are_what_the_camera_says(self, studio):
        camera = Camera((0, 1, 0), (5, 0, 0), 100.0)
        rows, columns = np.nonzero(seen(studio.picture([ball((5, 0, 0), 20)], camera)))
        for extent in (np.ptp(rows), np.ptp(columns)):
            assert (extent + 1) * 100.0 / SIZE[1] == pytest.approx(40, abs=2)

    def test_one_scale(self):
        cameras = [Camera((0, 1, 0), (0, 0, 0), 50.0), Camera((1, 0, 0), (1, 2, 3), 80.0)]
        scaled = at_one_scale(cameras)
        assert [c.height_mm for c in scaled] == [80, 80]
        assert scaled[1] == cameras[1]
        assert scaled[0].towards == (0, 1, 0)


class TestPictures:
    @pytest.mark.parametrize(("signed_mm", "channel"), [(-3.0, 0), (3.0, 2)])
    def test_inside_is_red_and_outside_blue(self, studio, signed_mm, channel):
        surface = ball((0, 0, 0), 20)
        coloured = with_distances(surface, np.full(len(points_of(surface)), signed_mm))
        picture = studio.picture([coloured], framed([surface], (0, 1, 0), SIZE), distance_shading(3.0))
        mean = picture[seen(picture)].mean(0)
        assert mean.argmax() == channel
        assert mean[channel] > mean[2 - channel] + 50

    @pytest.mark.parametrize("share", [-1.0, -0.5, 0.5, 1.0])
    def test_colours_run_over_the_range_in_mm(self, studio, share):
        """Light makes them darker, but leaves how much of each channel there is."""
        surface = ball((0, 0, 0), 20)
        coloured = with_distances(surface, np.full(len(points_of(surface)), 3.0 * share))
        picture = studio.picture([coloured], framed([surface], (0, 1, 0), SIZE), distance_shading(3.0))
        mean = np.median(picture[seen(picture)], axis=0)
        expected = distance_colours(201)[round(100 + 100 * share)]
        assert mean / mean.sum() == pytest.approx(expected / expected.sum(), abs=0.03)

    def test_a_window_serves_many_pictures(self, studio):
        one, other = ball((0, 0, 0), 20), ball((0, 0, 0), 10)
        camera = framed([one], (0, 1, 0), SIZE)
        first = studio.picture([one], camera)
        assert seen(studio.picture([other], camera)).sum() < seen(first).sum() / 2
        np.testing.assert_array_equal(studio.picture([one], camera), first)

    def test_nothing_is_white(self, studio):
        assert (studio.picture([], Camera((0, 1, 0), (0, 0, 0), 10.0)) == 255).all()

    def test_a_machine_without_a_renderer_is_told_at_once(self, monkeypatch):
        monkeypatch.setattr(Studio, "picture", lambda *_: np.zeros((4, 4, 3), np.uint8))
        with pytest.raises(NoRendererError, match="software renderer"):
            Studio(SIZE)
