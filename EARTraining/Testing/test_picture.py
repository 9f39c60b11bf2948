"""The picture: drawn at all, with sides and colours that cannot be taken for each other."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from EARReconstructionLib.colours import distance_colours
from EARReconstructionLib.distance import with_distances
from EARReconstructionLib.expected_error import with_expected_errors
from EARReconstructionLib.geometry import BiplanarGeometry, View, cube_affine, transform_points
from EARReconstructionLib.radiograph import Radiograph
from EARReconstructionLib.report import rendering
from EARReconstructionLib.report.rendering import distance_shading
from EARReconstructionLib.surface import mask_surface, points_of
from EARReconstructionLib.vertebra import VertebraROI
from EARTrainingLib import picture as module
from EARTrainingLib.picture import CAMERAS, draw_result, render_surfaces
from matplotlib.figure import Figure


def view(alpha, beta=0.0):
    return View(alpha, beta, 1000.0, 1300.0, 1.3, 100, 80)


class TestSides:
    @pytest.mark.parametrize(
        ("alpha", "sides"),
        [
            (0, ("R", "L")),  # AP, as radiologists look at it
            (180, ("L", "R")),  # PA as its detector saw it
            (90, ("P", "A")),  # left lateral
            (-90, ("A", "P")),  # right lateral
            (270, ("A", "P")),
            (30, ("R", "L")),
            (-30, ("R", "L")),
            (70, ("P", "A")),
        ],
    )
    @pytest.mark.parametrize("beta", [0, 15, -15])
    def test_letters_at_the_left_and_right_edge(self, alpha, beta, sides):
        assert module._sides(view(alpha, beta)) == sides

    @pytest.mark.parametrize("alpha", [0, 180, 90, -90, 40])
    def test_letters_are_where_these_sides_of_the_body_are_projected(self, alpha):
        towards = {"R": (60, 0, 0), "L": (-60, 0, 0), "A": (0, 60, 0), "P": (0, -60, 0)}
        left, right = module._sides(view(alpha))
        (u_left, _), (u_right, _) = (view(alpha).project(towards[side])[0] for side in (left, right))
        assert u_left < 40 < u_right

    def test_the_letters_are_drawn_at_their_edges(self):
        axis = Figure().add_subplot()
        pixels = np.random.default_rng(0).uniform(0, 1, (100, 80)).astype(np.float32)
        rois = [VertebraROI("L1", (20.0, 0.0, 15.0), (20.0, 20.0, 10.0))]
        module._draw_radiograph(axis, radiograph(pixels, view(0), "frontal"), view(0), rois, "AP")
        placed = {text.get_text(): text for text in axis.texts}
        assert placed["R"].get_position()[0] < 0.1
        assert placed["L"].get_position()[0] > 0.9
        # The ROI lies to the patient's right and above: left of the middle and in the upper half of the image.
        (box,) = axis.lines
        assert box.get_xdata().max() < 40
        assert box.get_ydata().max() < 50
        assert "L1" in placed
        assert axis.get_ylim() == (100, 0)
        assert axis.images[0].get_array()[0, 0] == pixels[0, 0]


class TestColours:
    def test_negative_is_red_and_positive_blue(self):
        low, middle, high = distance_colours(3)
        assert low[0] > 3 * max(low[1], low[2])
        assert high[2] > 2 * max(high[0], high[1])
        assert middle.min() > 0.85
        half_red, half_blue = distance_colours(5)[[1, 3]]
        assert half_red[0] > half_red[2] + 0.3
        assert half_blue[2] > half_blue[0] + 0.3

    @pytest.mark.parametrize(("signed_mm", "channel"), [(-3.0, 0), (3.0, 2)])
    def test_the_heat_map_uses_them(self, signed_mm, channel):
        surface = ball()
        coloured = with_distances(surface, np.full(surface.GetNumberOfPoints(), signed_mm))
        seen = body_of(render_surfaces([coloured], CAMERAS["from the front"], distance_shading(4.0), (80, 120)))
        mean = seen.mean(0)
        assert mean[channel] == mean.max()
        assert mean[channel] > mean[2 - channel] + 50

    def test_the_scale_beside_it_has_red_at_its_lower_end(self, drawn):
        bars = [axis for axis in drawn.axes if "mm" in axis.get_ylabel()]
        assert len(bars) == 1
        (bar,) = bars
        assert "red: inside" in bar.get_ylabel()
        assert "blue: outside" in bar.get_ylabel()
        assert bar.get_ylim() == (-4, 4)


def ball(centre=(0.0, 0.0, 0.0), radius=12.0):
    affine = cube_affine(centre, 32, 1.0)
    k, j, i = np.indices((32,) * 3)
    points = transform_points(affine, np.stack([i, j, k], -1))
    return mask_surface(np.linalg.norm(points - centre, axis=-1) < radius, affine)


def body_of(pixels):
    """(N, 3) pixels that are no background."""
    background = pixels[0, 0].astype(int)
    return pixels[np.abs(pixels.astype(int) - background).sum(-1) > 30]


def columns_of(pixels):
    background = pixels[0, 0].astype(int)
    return np.flatnonzero((np.abs(pixels.astype(int) - background).sum(-1) > 30).any(0))


class TestRendering:
    def test_it_is_not_blank_and_fits(self):
        pixels = render_surfaces([ball()], CAMERAS["from the front"], size=(90, 130))
        assert pixels.shape == (130, 90, 3)
        seen = body_of(pixels)
        assert 0.1 < len(seen) / (130 * 90) < 0.8
        assert seen.mean() > 100  # bone is bright
        columns = columns_of(pixels)
        assert columns[0] > 0
        assert columns[-1] < 89

    @pytest.mark.parametrize(
        ("camera", "left_edge", "right_edge"),
        [
            ("from the front", (20, 0, 0), (-20, 0, 0)),  # the patient's right is on our left
            ("from behind", (-20, 0, 0), (20, 0, 0)),
            ("from the right", (0, -20, 0), (0, 20, 0)),  # the patient looks to our right
        ],
    )
    def test_cameras_stand_where_they_say(self, camera, left_edge, right_edge):
        """A large and a small ball tell the sides apart."""
        for large, small, larger_on_the_left in ((left_edge, right_edge, True), (right_edge, left_edge, False)):
            pixels = render_surfaces([ball(large, 12), ball(small, 5)], CAMERAS[camera], size=(160, 100))
            background = pixels[0, 0].astype(int)
            body = np.abs(pixels.astype(int) - background).sum(-1) > 30
            assert (body[:, :80].sum() > body[:, 80:].sum()) == larger_on_the_left

    def test_up_is_up(self):
        pixels = render_surfaces(
            [ball((0, 0, 25), 12), ball((0, 0, -25), 4)], CAMERAS["from the front"], size=(90, 160)
        )
        body = np.abs(pixels.astype(int) - pixels[0, 0].astype(int)).sum(-1) > 30
        assert body[:80].sum() > 2 * body[80:].sum()

    def test_a_machine_that_draws_nothing_is_told_apart(self, monkeypatch):
        monkeypatch.setattr(rendering.Studio, "picture", lambda *_: np.zeros((20, 20, 3), np.uint8))
        with pytest.raises(rendering.NoRendererError, match="software renderer"):
            render_surfaces([ball()], (0, 1, 0), size=(20, 20))


def radiograph(pixels, view_, role):
    return Radiograph(
        pixels, "attenuation", view_.pixel_mm, role, (view_.alpha_deg, view_.beta_deg), view_, Path(f"{role}.nrrd")
    )


@pytest.fixture(scope="module")
def parts():
    geometry = BiplanarGeometry.from_preset(height=120, width=90)
    rng = np.random.default_rng(2)
    radiographs = [
        radiograph(rng.uniform(0, 2, (120, 90)).astype(np.float32), v, role)
        for v, role in zip(geometry.views, ("frontal", "lateral"), strict=True)
    ]
    rois = [VertebraROI("L1", (0.0, 0.0, 0.0), (26.0, 26.0, 26.0))]
    surface = ball()
    coloured = with_distances(surface, np.linspace(-3, 3, surface.GetNumberOfPoints()))
    assert len(points_of(surface)) == coloured.GetNumberOfPoints()
    return radiographs, geometry.views, rois, surface, coloured


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is made from now on, as it was saved."""
    made = []

    class Kept(Figure):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(module, "Figure", Kept)
    return made


@pytest.fixture
def drawn(parts, tmp_path, figures):
    """The figure of a measured result."""
    radiographs, views, rois, _, coloured = parts
    draw_result(tmp_path / "p.png", "A case", radiographs, views, rois, {"L1": coloured})
    return figures[0]


class TestPicture:
    @pytest.mark.parametrize("measured", [True, False])
    def test_a_png_with_every_panel(self, parts, tmp_path, measured):
        radiographs, views, rois, surface, coloured = parts
        path = tmp_path / "picture.png"
        draw_result(path, "A case", radiographs, views, rois, {"L1": coloured if measured else surface})
        assert path.read_bytes().startswith(b"\x89PNG")
        pixels = matplotlib.image.imread(path)[..., :3]
        panels = 5 if measured else 4
        width = pixels.shape[1] // panels
        for n in range(panels):
            assert pixels[:, n * width : (n + 1) * width].std() > 0.03, f"panel {n} is blank"
        red, green, blue = np.moveaxis(pixels, -1, 0)
        for coloured_so in (red - np.maximum(green, blue) > 0.25, blue - np.maximum(red, green) > 0.15):
            assert (coloured_so.mean() > 1e-3) == measured  # the heat map and its legend
        assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]

    def test_expected_errors_have_the_place_of_distances(self, parts, tmp_path, figures):
        """Dark green where the surface may be far off, pale where not, beside the scale that says so."""
        radiographs, views, rois, surface, coloured = parts
        voxels = np.zeros((32, 32, 32), np.float32)
        voxels[16:] = 4.0  # above
        marked = {"L1": with_expected_errors(surface, voxels, cube_affine((0, 0, 0), 32, 1.0))}
        draw_result(tmp_path / "p.png", "A case", radiographs, views, rois, marked)
        titles = [axis.get_title() for axis in figures[-1].axes]
        assert titles[2:5] == [
            "Reconstruction, from the right",
            "Expected error, from the right",
            "Expected error, from behind",
        ]
        (bar,) = [axis for axis in figures[-1].axes if "mm" in axis.get_ylabel()]
        assert bar.get_ylim() == (0, 4)
        assert "dark" in bar.get_ylabel()
        pixels = figures[-1].axes[3].images[0].get_array()
        rows = np.flatnonzero((np.abs(pixels.astype(int) - pixels[0, 0]).sum(-1) > 30).any(1))
        upper, lower = (body_of(half).mean(0) for half in np.split(pixels, [int(rows.mean())]))
        assert lower.min() > 120
        assert upper[1] > upper[0] + 20
        assert upper.mean() < lower.mean() / 2
        both = {"L1": with_expected_errors(coloured, voxels, cube_affine((0, 0, 0), 32, 1.0))}
        draw_result(tmp_path / "p.png", "A case", radiographs, views, rois, both)
        assert "Distance to the reference, from behind" in [axis.get_title() for axis in figures[-1].axes]

    def test_it_says_what_it_is(self, drawn):
        words = " ".join(axis.get_title() for axis in drawn.axes) + drawn.get_suptitle()
        for word in ("A case", "AP", "Lateral", "Reconstruction", "Distance to the reference", "not a medical device"):
            assert word in words

    def test_a_machine_without_3d_leaves_a_note_and_no_file(self, parts, tmp_path, monkeypatch):
        from types import SimpleNamespace

        radiographs, views, rois, surface, _ = parts
        case = SimpleNamespace(name="c", radiographs=radiographs, geometry=SimpleNamespace(views=views), rois=rois)

        def fails(*_, **__):
            raise rendering.NoRendererError("nothing was drawn: install a software renderer")

        monkeypatch.setattr(module, "render_surfaces", fails)
        (note,) = module.draw_picture(SimpleNamespace(case=case, surfaces={"L1": surface}), tmp_path)
        assert "no picture" in note
        assert "software renderer" in note
        assert not any(tmp_path.iterdir())
        assert module.draw_picture(SimpleNamespace(case=case, surfaces={}), tmp_path) == []
