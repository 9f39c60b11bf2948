"""All figures of an evaluation together: which are drawn, with what captions, and what happens where none can be."""

import json
from types import SimpleNamespace

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from EARReconstructionLib.report import rendering
from EARTrainingLib.evaluation.evaluate import evaluate
from EARTrainingLib.evaluation.figures import frequency_pairs
from EARTrainingLib.evaluation.figures.distributions import draw_distributions
from EARTrainingLib.evaluation.figures.sheet import DPI, Sheet, house_style
from EARTrainingLib.evaluation.tables import HEADLINES
from matplotlib.backends.backend_agg import FigureCanvasAgg


@pytest.fixture
def network_models(tmp_path, write_model):
    """EAR with and without FEM, as small as it can be; without training."""
    arguments = {"width": 2, "frequency_kernel": 1}
    return {
        "EAR": write_model(tmp_path / "with.safetensors", architecture="EAR", arguments=arguments).path,
        "No FEM": write_model(
            tmp_path / "without.safetensors",
            architecture="EAR",
            arguments={**arguments, "frequency_enhancement": False},
        ).path,
    }


@pytest.mark.usefixtures("cheap")
def test_every_kind_is_drawn_and_none_is_blank(prepared, network_models, sheets, tmp_path):
    evaluate(network_models, prepared, tmp_path / "out", device="cpu", reference="EAR")
    names = {"distributions", "reconstructions", "distances", "vertebrae", "spine", "edges", "frequency"}
    folder = tmp_path / "out" / "figures"
    assert {path.name for path in folder.iterdir()} == {f"{name}.png" for name in names} | {"captions.md"}
    for name in names:
        pixels = matplotlib.image.imread(folder / f"{name}.png")[..., :3]
        assert pixels.std() > 0.03, name
    said = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert set(said["figures"]) == {f"{name}.png" for name in names}
    captions = (folder / "captions.md").read_text()
    for name, caption in said["figures"].items():
        assert f"**{name}**: {caption}" in captions
    assert "Vertebrae chosen by rule: best, median, worst ASSD of EAR." in said["figures"]["distances.png"]
    assert "3 vertebrae (T12 to L2) of p4" in said["figures"]["spine.png"]
    assert "median ASSD of EAR" in said["figures"]["edges.png"]


@pytest.mark.usefixtures("cheap")
def test_without_a_renderer_there_is_a_note_and_the_rest(prepared, models, fake_predictions, sheets, tmp_path):
    stale = [tmp_path / "figures" / f"{name}.png" for name in ("distances", "edges", "frequency-2")]
    own = tmp_path / "figures" / "mine.png"
    own.parent.mkdir()
    for path in (*stale, own):
        path.write_bytes(b"of an earlier run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering.Studio, "picture", lambda *_: np.zeros((4, 4, 3), np.uint8))
        evaluate({"A": models["larger"]}, prepared, tmp_path)
    said = json.loads((tmp_path / "evaluation.json").read_text())
    assert set(said["figures"]) == {"distributions.png"}
    assert [path.exists() for path in (*stale, own)] == [False, False, False, True]
    (note,) = (note for note in said["notes"] if "Not drawn" in note)
    for word in ("distances.png", "reconstructions.png", "spine.png", "vertebrae.png", "software renderer"):
        assert word in note
    assert (tmp_path / "table.md").is_file()


@pytest.mark.usefixtures("cheap")
def test_few_vertebrae_are_no_spine(prepared, models, fake_predictions, sheets, tmp_path):
    evaluate({"A": models["larger"]}, prepared, tmp_path, split="train")
    said = json.loads((tmp_path / "evaluation.json").read_text())
    assert "spine.png" not in said["figures"]
    assert any("no figure of a spine" in note for note in said["notes"])
    assert "best ASSD of A" in said["figures"]["distances.png"]


@pytest.mark.parametrize("methods", [1, 2, 6])
@pytest.mark.parametrize("label", [0.32, 0.62])
def test_the_words_of_the_legend_fit_into_the_figure(methods, label):
    """One method makes the narrowest sheet, in which words that stand off its middle are cut off."""
    with house_style():
        sheet = Sheet(2, ["Truth", *["method"] * methods], label=label, legend=0.62, caption="Words.")
        sheet.figure.set_dpi(DPI)  # of the files: letters have other widths at another
        sheet.distance_bar(3.0)
        canvas = FigureCanvasAgg(sheet.figure)
        canvas.draw()
        (words,) = (axis.xaxis.label for axis in sheet.figure.axes if "mm]" in axis.get_xlabel())
        box = words.get_window_extent(canvas.get_renderer())
    assert box.x0 >= 0
    assert box.x1 <= sheet.figure.bbox.x1
    assert box.y0 >= 0


class TestPairs:
    def card(self, architecture="EAR", **arguments):
        return SimpleNamespace(card=SimpleNamespace(architecture=architecture, arguments=arguments))

    def test_pairs_differ_in_nothing_but_the_frequency_enhancement(self):
        methods = {
            "full": self.card(width=16, frequency_enhancement=True),
            "wide": self.card(width=32, frequency_enhancement=True),
            "none": self.card(width=16, frequency_enhancement=False),
            "E2E": self.card("E2E", width=16),
        }
        assert frequency_pairs(methods) == [("full", "none")]

    def test_what_a_card_does_not_say_is_on(self):
        """A bundle's arguments come from the network, which lists them all; by hand they may be fewer."""
        methods = {"full": self.card(width=16), "none": self.card(width=16, frequency_enhancement=False)}
        assert frequency_pairs(methods) == [("full", "none")]


class TestDistributions:
    def test_a_panel_for_each_metric_and_a_point_for_each_patient(self, sheets, tmp_path):
        rng = np.random.default_rng(0)
        metrics = [m for names in HEADLINES.values() for m in names]
        rows = pd.DataFrame(
            [
                {"method": method, "patient": f"p{n % 4}"} | {m: rng.normal() for m in metrics}
                for method in ("EAR", "E2E")
                for n in range(12)
            ]
        )
        rows.loc[rows["method"] == "E2E", "assd_mm"] = np.nan
        draw_distributions(tmp_path / "d.png", rows, "Words.")
        axes = {axis.get_title(): axis for axis in sheets["d.png"].axes if axis.get_title()}
        assert len(axes) == len(metrics)
        assert {"Dice ↑", "ASSD [mm] ↓"} <= set(axes)
        points = axes["Dice ↑"].collections
        assert [len(p.get_offsets()) for p in points] == [4, 4]
        own = rows[rows["method"] == "EAR"].groupby("patient")["dice"].mean()
        np.testing.assert_allclose(points[0].get_offsets()[:, 1], own)
        assert len(axes["ASSD [mm] ↓"].collections) == 1  # nothing of a method that could not be measured
        assert [t.get_text() for t in axes["Dice ↑"].get_xticklabels()] == ["EAR", "E2E"]
