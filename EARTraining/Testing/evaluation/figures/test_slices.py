"""Slices, edge attention and spectra: sides of the body, truths and differences in their places."""

import numpy as np
import pytest
from EARReconstructionLib.geometry import cube_affine, transform_points
from EARTrainingLib.evaluation.figures.attention import draw_attention, true_edges
from EARTrainingLib.evaluation.figures.frequency import draw_frequency, radial_spectrum
from EARTrainingLib.evaluation.figures.slices import PLANES, Window, draw_slice
from EARTrainingLib.evaluation.prediction import Prediction, Truth
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

STATISTICS = (-900.0, 300.0)


@pytest.fixture(scope="module")
def truth(truths):
    return truths[1]


def drawn_at(volume, window, plane, index):
    """Where the bright pixels of a drawn slice are: (across, along) from its middle, -1 to 1."""
    figure = Figure(figsize=(2, 2), dpi=50)
    axis = figure.add_axes((0, 0, 1, 1))
    draw_slice(axis, volume, window, plane, index, cmap="gray", vmin=0, vmax=1)
    axis.set_facecolor("black")  # what lies beyond the grid is white otherwise
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    rows, columns = np.nonzero(np.asarray(canvas.buffer_rgba())[..., 0] > 128)
    return columns.mean() / 49.5 - 1, 1 - rows.mean() / 49.5


class TestSlices:
    @pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (1.0, 1.5, 2.0)])
    def test_a_point_is_drawn_towards_its_side(self, truth, spacing_mm):
        """A voxel off the middle along each axis, in the planes that show it, with voxels of any shape."""
        affine = cube_affine((0, 0, 0), 31, 1.0) @ np.diag([*spacing_mm, 1.0])
        affine[:3, 3] = -15 * np.array(spacing_mm)
        mask = np.zeros((31,) * 3, bool)
        mask[5:26, 5:26, 5:26] = True
        window = Window.around(Truth(truth.row, mask.astype(np.float32), mask, affine))
        assert window.centre == (15, 15, 15)
        for axis, letter in ((2, "R"), (1, "A"), (0, "S")):
            place = [15, 15, 15]
            place[axis] = 21
            volume = np.zeros((31,) * 3, np.float32)
            volume[tuple(place)] = 1
            mm = abs(transform_points(affine, place[::-1])).max()
            for plane, (cut, sides) in PLANES.items():
                if cut == axis:
                    continue
                across, along = drawn_at(volume, window, plane, place[cut])
                edge = sides.index(letter)  # left, right, upper, lower
                towards = ((-1, 0), (1, 0), (0, 1), (0, -1))[edge]
                share = mm / (window.side_mm / 2)
                assert across == pytest.approx(towards[0] * share, abs=0.06), (plane, letter)
                assert along == pytest.approx(towards[1] * share, abs=0.06), (plane, letter)

    def test_opposite_edges_have_opposite_letters(self):
        for _, (left, right, top, bottom) in PLANES.values():
            assert {left, right} in ({"R", "L"}, {"A", "P"})
            assert {top, bottom} in ({"A", "P"}, {"S", "I"})

    def test_cuts_go_through_the_bone(self, truth):
        window = Window.around(truth)
        for plane, (cut, _) in PLANES.items():
            used = np.flatnonzero(truth.mask.any(tuple(a for a in range(3) if a != cut)))
            assert window.index(plane, 0.0) == used[0]
            assert window.index(plane, 1.0) == used[-1]
            assert used[0] < window.index(plane, 0.3) < window.index(plane, 0.7) < used[-1]


class TestAttention:
    def test_edges_of_the_truth_lie_on_its_border(self, truth):
        from scipy import ndimage

        edges = true_edges(truth.volume_hu, STATISTICS)
        border = truth.mask & ~ndimage.binary_erosion(truth.mask)
        far = ndimage.distance_transform_edt(~truth.mask) > 3
        assert edges[border].mean() > 0.6
        assert edges[far].max() < 0.05

    def test_rows_are_truth_its_edges_and_every_method(self, truth, sheets, tmp_path):
        edges = np.linspace(0, 1, truth.mask.size, dtype=np.float32).reshape(truth.mask.shape)
        made = {name: Prediction(truth, truth.volume_hu, e, 0.0) for name, e in (("A", edges), ("B", 1 - edges))}
        draw_attention(tmp_path / "e.png", made, STATISTICS, "Words.")
        figure = sheets["e.png"]
        words = [text.get_text() for text in figure.texts]
        for word in ("Truth", "Edges of the truth", "Attention of A", "Attention of B", "Axial, 50 %"):
            assert word in words
        shown = [axis for axis in figure.axes if axis.images]
        assert len(shown) == 20
        window = Window.around(truth)
        index = window.index("axial", 0.5)
        np.testing.assert_array_equal(shown[1].images[0].get_array(), truth.volume_hu[index])
        np.testing.assert_array_equal(shown[11].images[0].get_array(), edges[index])
        np.testing.assert_array_equal(shown[16].images[0].get_array(), 1 - edges[index])
        assert {image.images[0].get_clim() for image in shown[5:]} == {(0, 1)}  # one scale
        assert {t.get_text() for t in shown[0].texts} >= {"R", "L", "A", "P"}
        (legend,) = (axis for axis in figure.axes if "Edge probability" in axis.get_xlabel())
        assert legend.get_xlim() == (0, 1)


class TestSpectrum:
    @pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (1.0, 1.0, 2.0)])
    def test_a_wave_has_its_frequency_in_cycles_per_mm(self, spacing_mm):
        x = np.arange(32) * spacing_mm[2]
        wave = np.broadcast_to(np.cos(2 * np.pi * x / 8), (32, 32, 32)).astype(np.float32)
        frequencies, amplitude = radial_spectrum(wave, spacing_mm)
        assert frequencies[amplitude.argmax()] == pytest.approx(1 / 8, abs=0.02)
        assert frequencies[-1] <= 0.5 / max(spacing_mm) + 1e-9

    def test_it_holds_the_power_of_noise(self):
        """White noise of SD 3 has the amplitude 3 everywhere (ortho norm, Parseval); a constant has none."""
        noise = np.random.default_rng(0).normal(100, 3, (32, 32, 32)).astype(np.float32)
        _, amplitude = radial_spectrum(noise, (1.0, 1.0, 1.0))
        np.testing.assert_allclose(amplitude[2:], 3, rtol=0.15)
        assert radial_spectrum(np.full((16,) * 3, 7, np.float32), (1.0,) * 3)[1].max() < 1e-4


class TestFrequency:
    def test_difference_in_hu_and_spectra(self, truths, sheets, tmp_path):
        """Without FEM the error is ten times larger at every frequency: 20 dB."""
        rng = np.random.default_rng(1)
        noise = [rng.normal(0, 20, t.volume_hu.shape).astype(np.float32) for t in truths[1:3]]
        better = [Prediction(t, t.volume_hu + n, None, 0.0) for t, n in zip(truths[1:3], noise, strict=True)]
        worse = [Prediction(t, t.volume_hu + 10 * n, None, 0.0) for t, n in zip(truths[1:3], noise, strict=True)]
        draw_frequency(tmp_path / "f.png", better, worse, ("EAR", "No FEM"), "Words.")
        figure = sheets["f.png"]
        shown = [axis for axis in figure.axes if axis.images]
        assert len(shown) == 12
        window = Window.around(truths[1])
        difference = shown[3].images[0]
        np.testing.assert_allclose(difference.get_array(), -9 * noise[0][window.index("axial", 0.5)], atol=1e-3)
        low, high = difference.get_clim()
        assert low == -high
        assert high >= 9 * 20
        (legend,) = (axis for axis in figure.axes if "[HU]" in axis.get_xlabel())
        assert legend.get_xlabel() == "EAR minus No FEM [HU]"
        spectrum, gain = (next(a for a in figure.axes if a.get_title().startswith(t)) for t in ("Spectrum", "Error"))
        assert [line.get_label() for line in spectrum.lines] == ["EAR", "No FEM", "Truth"]
        np.testing.assert_allclose(gain.lines[0].get_ydata(), 20, atol=0.2)
        assert gain.get_title() == "Error No FEM / error EAR"

    def test_sets_of_different_vertebrae_are_refused(self, truths, tmp_path):
        one, other = ([Prediction(t, t.volume_hu, None, 0.0)] for t in truths[:2])
        with pytest.raises(ValueError, match="different vertebrae"):
            draw_frequency(tmp_path / "f.png", one, other, ("A", "B"), "")
        with pytest.raises(ValueError, match="different vertebrae"):
            draw_frequency(tmp_path / "f.png", [], [], ("A", "B"), "")
