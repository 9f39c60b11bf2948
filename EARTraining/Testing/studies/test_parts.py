"""What studies are made of: data, paces, records, texts."""

from __future__ import annotations

import json
import shutil
from functools import partial

import pytest
import torch
from EARReconstructionLib.errors import EARError
from EARTrainingLib.datasets.readers import phantoms as phantoms_reader
from EARTrainingLib.studies import pace
from EARTrainingLib.studies.pace import Pace, Stopwatch, read_pace
from EARTrainingLib.studies.phantom_data import made_data, phantoms
from EARTrainingLib.studies.record import begin, check_begun
from EARTrainingLib.studies.scales import SCALES, Phantoms, StudyError
from EARTrainingLib.studies.texts import TextTable, document, latex_document

CPU = torch.device("cpu")

WANTED = Phantoms((1, 1, 1), ("L1",), 32, 3.5)


@pytest.fixture(scope="module")
def small_spines():
    """Of the spines' other vertebrae, only two are made at all."""
    with pytest.MonkeyPatch.context() as patch:
        few = partial(phantoms_reader.phantom_volumes, levels=("T12", "L1", "L2"))
        patch.setattr(phantoms_reader, "phantom_volumes", few)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory, small_spines):
    return made_data(WANTED, tmp_path_factory.mktemp("made") / "data", 1, None)


class TestPhantoms:
    def test_every_spine_has_its_split_and_its_levels(self):
        found = phantoms(Phantoms((2, 1, 3), ("T12", "L1"), 32, 3.5))
        assert [scan.split for scan in found] == ["train"] * 2 + ["validation"] + ["test"] * 3
        assert {scan.targets for scan in found} == {("T12", "L1")}
        assert len({scan.phantom_seed for scan in found}) == 6

    @pytest.mark.parametrize("name", [name for name, scale in SCALES.items() if scale.phantoms])
    def test_scales_have_several_patients_to_test_on(self, name):
        assert SCALES[name].phantoms.spines[2] >= 2, "one patient gives no interval"

    def test_data_are_as_wanted(self, made):
        assert (made.size, made.spacing_mm) == (32, 3.5)
        assert made.settings["protocol"] == "isolated"
        assert made.settings["scenes"], "the study of angles makes its X-rays anew"
        assert [row.split for row in made.rows] == ["train", "validation", "test"]
        assert {row.level for row in made.rows} == {"L1"}

    def test_what_is_there_is_not_made_again(self, made):
        before = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")}
        again = made_data(WANTED, made.folder, 1, None)
        assert again.fingerprint == made.fingerprint
        assert before == {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")}

    def test_what_was_begun_is_gone_on_with(self, made, tmp_path, small_spines):
        begun = shutil.copytree(made.folder, tmp_path / "data")
        header = json.loads((begun / "dataset.json").read_text())
        (begun / "dataset.json").write_text(json.dumps({**header, "statistics": None}))
        (begun / "scans/phantom-phantom0002.json").unlink()
        assert made_data(WANTED, begun, 1, None).fingerprint == made.fingerprint


class TestPace:
    @staticmethod
    def events(*steps):
        """(epoch, step, seconds), and the end of each epoch."""
        for n, (epoch, step, seconds) in enumerate(steps):
            yield {"event": "step", "epoch": epoch, "step": step, "seconds": seconds}
            if n + 1 == len(steps) or steps[n + 1][0] != epoch:
                yield {"event": "epoch", "epoch": epoch, "step": step, "seconds": seconds + 50}

    def test_neither_first_steps_nor_validations_count(self, tmp_path):
        watch = Stopwatch(tmp_path / "pace.json", CPU)
        for event in self.events((1, 1, 30.0), (1, 2, 32.0), (1, 3, 33.0), (2, 4, 90.0), (2, 5, 94.0)):
            watch.note(event)
        found = read_pace(tmp_path / "pace.json")
        assert (found.step_s, found.steps) == (2.0, 3)  # of 2, 1 and 4
        assert "CPU" in found.device

    def test_the_longest_session_counts(self, tmp_path):
        path = tmp_path / "pace.json"
        for start, count in ((0, 3), (3, 9), (12, 2)):
            watch = Stopwatch(path, CPU)
            for event in self.events(*((1, start + n, float(n * count)) for n in range(count))):
                watch.note(event)
        assert len(json.loads(path.read_text())) == 3
        assert read_pace(path) == Pace(9.0, 8, pace._processor())

    def test_a_run_of_single_steps_has_none(self, tmp_path):
        watch = Stopwatch(tmp_path / "pace.json", CPU)
        for event in self.events((1, 1, 1.0), (2, 2, 2.0)):
            watch.note(event)
        assert read_pace(tmp_path / "pace.json") is None


class TestRecord:
    def test_the_same_again_is_welcome(self, tmp_path):
        begin(tmp_path / "s", {"scale": "tiny"})
        begin(tmp_path / "s", {"scale": "tiny", "runs": {"A": {"epochs": 2, "losses": {"edge": 0.1}}}})
        begin(tmp_path / "s", {"scale": "tiny", "runs": {"A": {"epochs": 2, "losses": {"edge": 0.1}}}})
        assert json.loads((tmp_path / "s/study.json").read_text())["runs"]["A"]["epochs"] == 2

    def test_what_differs_is_named(self, tmp_path):
        begin(tmp_path / "s", {"scale": "tiny", "runs": {"A": {"epochs": 2, "losses": {"edge": 0.1}}}})
        before = (tmp_path / "s/study.json").read_bytes()
        with pytest.raises(StudyError, match=r"runs A losses edge: 0\.1 earlier, 0\.2 now"):
            begin(tmp_path / "s", {"scale": "tiny", "runs": {"A": {"epochs": 2, "losses": {"edge": 0.2}}}})
        with pytest.raises(StudyError, match="scale: 'tiny' earlier, 'paper' now"):
            check_begun(tmp_path / "s", {"scale": "paper"})
        assert (tmp_path / "s/study.json").read_bytes() == before

    def test_many_differences_are_counted(self, tmp_path):
        begin(tmp_path / "s", {"runs": {name: {"epochs": 2} for name in "ABCDEF"}})
        with pytest.raises(StudyError, match=r"runs A epochs: 2 earlier, 3 now.*and 2 more"):
            begin(tmp_path / "s", {"runs": {name: {"epochs": 3} for name in "ABCDEF"}})

    def test_a_folder_of_something_else_is_left_alone(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("mine")
        with pytest.raises(StudyError, match="holds other files"):
            begin(tmp_path, {"scale": "tiny"})
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    @pytest.mark.parametrize("text", ["{", "[]", '{"format": "EAR dataset", "version": 1}'])
    def test_a_damaged_record_is_told(self, tmp_path, text):
        (tmp_path / "study.json").write_text(text)
        with pytest.raises(EARError, match=r"study\.json: it cannot be read"):
            check_begun(tmp_path, {"scale": "tiny"})


class TestTexts:
    table = TextTable(
        "A & B", ["", "Dice ↑"], [["one_1", "**0.5** ± 0.1 [0.4, 0.6]"], ["a|b", "3°"]], [["theirs", "0.9"]]
    )

    def test_markdown(self):
        lines = document("Title", [self.table], ["a note"], ["more"]).splitlines()
        assert lines[0] == "# Title"
        assert lines[4:9] == [
            "|  | Dice ↑ |",
            "| --- | ---: |",
            "| one_1 | **0.5** ± 0.1 [0.4, 0.6] |",
            r"| a\|b | 3° |",
            "| theirs | 0.9 |",
        ]
        assert "- a note" in lines
        assert lines[-1] == "more"

    def test_latex(self):
        text = latex_document([self.table], ["a note"])
        assert r" & Dice $\uparrow$ \\" in text
        assert r"one\_1 & \textbf{0.5} $\pm$ 0.1 [0.4, 0.6] \\" in text
        assert r"a|b & 3$^\circ$ \\" in text
        assert text.index(r"3$^\circ$") < text.rindex(r"\midrule") < text.index("theirs")
        assert text.isascii()
        assert "% a note" in text
