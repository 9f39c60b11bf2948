"""Tables: read back they hold the numbers, with the best one bold and nothing of other data mixed in."""

import re

import numpy as np
import pandas as pd
import pytest
from EARTrainingLib.evaluation.paper import TABLE_1
from EARTrainingLib.evaluation.summary import differences, summarise
from EARTrainingLib.evaluation.tables import HEADLINES, cells, decimals, explanation, latex, markdown, write_tables

METRICS = [name for names in HEADLINES.values() for name in names]


@pytest.fixture
def rows():
    """Three methods on 24 vertebrae of 12 patients in two regions; B's ASSD is missing once."""
    rng = np.random.default_rng(3)
    lines = []
    for method, shift in (("EAR", 0.0), ("B_2 & co", 0.1), ("C-3", 0.3)):
        noise = np.random.default_rng(4)
        for n in range(24):
            lines.append(
                {"method": method, "id": f"v{n}", "patient": f"p{n // 2}", "level": f"{'TL'[n % 2]}{n // 6 + 1}"}
                | {"region": ("thoracic", "lumbar")[n % 2]}
                | {m: 1 + shift + 0.2 * noise.normal() + 0.01 * rng.normal() for m in METRICS}
            )
    frame = pd.DataFrame(lines)
    frame["sde_mean_mm"] = frame["sde_mean_mm"] - 1.2
    frame.loc[30, "assd_mm"] = np.nan
    return frame


@pytest.fixture
def summary(rows):
    return summarise(rows, METRICS)


@pytest.fixture
def paired(rows):
    return differences(rows, METRICS, "EAR")


def tables_of(text):
    """Heading -> lines of cells of every table of a Markdown text."""
    found = {}
    for part in text.split("## ")[1:]:
        title, *lines = part.split("\n")
        found[title] = [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line[:1] == "|"]
    return found


def numbers(text):
    return [float(x) for x in re.findall(r"-?\d+\.\d+", text)]


def close(printed, true):
    """Printed numbers are the true ones, rounded where they are cut."""
    digits = [len(x.split(".")[1]) for x in re.findall(r"-?\d+\.\d+", printed)]
    return all(abs(a - b) <= 0.5 * 10**-d + 1e-9 for a, b, d in zip(numbers(printed), true, digits, strict=True))


def line_of(frame, method, metric):
    return frame[(frame["method"] == method) & (frame["metric"] == metric)].iloc[0]


class TestMarkdown:
    def test_read_back_it_has_the_same_numbers(self, summary, paired):
        everything = tables_of(markdown(summary, paired))
        for title, metrics in HEADLINES.items():
            header, _, *lines = everything[title]
            assert len(header) == len(metrics) + 1
            assert [line[0] for line in lines] == ["EAR", "B_2 & co", "C-3"]
            for line in lines:
                for text, metric in zip(line[1:], metrics, strict=True):
                    own = line_of(summary[summary["scope"] == "all"], line[0], metric)
                    assert close(text, [own["mean"], own["sd"], own["low"], own["high"]])
            header, _, *lines = everything[f"{title}: difference to EAR"]
            for line in lines:
                for text, metric in zip(line[1:], metrics, strict=True):
                    own = line_of(paired, line[0], metric)
                    assert close(text, [own["mean"], own["low"], own["high"]])

    def test_regions_have_a_line_each(self, summary, paired):
        _, _, *lines = tables_of(markdown(summary, paired))["Volumes by region"]
        assert [(line[0], line[1]) for line in lines][::3] == [("thoracic", "EAR"), ("lumbar", "EAR")]
        own = summary.query("group == 'lumbar' and method == 'C-3' and metric == 'dice'").iloc[0]
        assert close(lines[5][4], [own["mean"], own["sd"], own["low"], own["high"]])

    def test_lengths_say_mm_and_arrows_say_where_to(self, summary, paired):
        header = " | ".join(tables_of(markdown(summary, paired))["Surfaces"][0])
        for text in ("ASSD [mm] ↓", "HD95 [mm] ↓", "NSD 1 mm ↑", "SDE mean [mm] → 0"):
            assert text in header

    def test_it_says_what_is_missing_and_how_many_patients(self, summary, paired):
        text = markdown(summary, paired, ["Remark."])
        assert "24 vertebrae of 12 patients" in text
        assert "resampled by patient" in text
        assert "B_2 & co: ASSD could not be computed for 1" in text
        assert "- Remark." in text
        assert "rough" not in text

    @pytest.mark.parametrize(("count", "words"), [(3, "Intervals from 3 patients only are rough"), (1, "no interval")])
    def test_few_patients_are_said(self, rows, count, words):
        few = rows[rows["patient"].isin([f"p{n}" for n in range(count)])]
        assert words in " ".join(explanation(summarise(few, METRICS)))

    def test_what_has_no_sd_or_mean_is_printed_without(self, rows):
        one = rows.groupby("method", sort=False).head(1)
        one = one.assign(hd95_mm=np.nan)
        summary, paired = summarise(one, METRICS), differences(one, METRICS, "EAR")
        lines = tables_of(markdown(summary, paired))["Surfaces"][2:]
        assert [line[2] for line in lines] == ["n/a"] * 3
        assert re.fullmatch(r"(\*\*)?\d\.\d\d(\*\*)?", lines[0][1])
        assert "pm" not in latex(summary, paired)

    def test_one_method_alone(self, rows):
        alone = rows[rows["method"] == "EAR"]
        text = markdown(summarise(alone, METRICS), differences(alone, METRICS, "EAR"))
        assert "**" not in text
        assert "difference" not in text


class TestBest:
    def lines(self, metric, **means):
        low_high = {"low": 0.0, "high": 0.02, "sd": 0.1}
        return pd.DataFrame([{"method": m, "metric": metric, "mean": x, **low_high} for m, x in means.items()])

    @pytest.mark.parametrize(
        ("metric", "means", "best"),
        [
            ("dice", {"A": 0.8, "B": 0.9}, {"B"}),
            ("assd_mm", {"A": 0.8, "B": 0.9}, {"A"}),
            ("sde_mean_mm", {"A": -0.8, "B": 0.1, "C": -0.05}, {"C"}),
            ("dice", {"A": 0.80004, "B": 0.80001, "C": 0.1}, {"A", "B"}),  # they print alike
            ("dice", {"A": float("nan"), "B": 0.1, "C": 0.0}, {"B"}),
            ("dice", {"A": 0.8}, set()),
        ],
    )
    def test_by_the_direction_of_the_metric(self, metric, means, best):
        printed = cells(self.lines(metric, **means), [metric])
        assert {method for (method, _), cell in printed.items() if cell.best} == best

    def test_no_number_is_printed_for_none(self):
        printed = cells(self.lines("dice", A=float("nan"), B=0.5), ["dice"])
        assert printed["A", "dice"].mean == "n/a"
        assert cells(self.lines("dice", A=-0.0000001), ["dice"])["A", "dice"].mean == "0.000"

    @pytest.mark.parametrize(
        ("metric", "half_width", "places"),
        [
            ("dice", 0.012, 3),
            ("dice", 0.0031, 4),
            ("mse", 0.3, 2),
            ("psnr_hu4096", 2.0, 2),
            ("dice", 1e-6, 4),
            ("assd_mm", 0.004, 2),
            ("dice", 0.0, 3),
        ],
    )
    def test_digits_follow_the_interval(self, metric, half_width, places):
        lines = pd.DataFrame([{"metric": metric, "low": 1 - half_width, "high": 1 + half_width, "sd": 0.0}])
        assert decimals(lines) == places


class TestLatex:
    def test_read_back_it_has_the_same_numbers(self, summary, paired):
        tabulars = re.findall(r"\\begin\{tabular\}.*?\\end\{tabular\}", latex(summary, paired), re.S)
        assert len(tabulars) == 4
        for tabular, metrics in zip(tabulars[::2], HEADLINES.values(), strict=True):
            for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
                assert rule in tabular
            lines = [line.split(" & ") for line in tabular.split("\n") if line.endswith(r"\\")]
            assert {len(line) for line in lines} == {len(metrics) + 1}
            methods = {"EAR": lines[1:3], "B_2 & co": None, "C-3": lines[5:7]}
            for method in ("EAR", "C-3"):
                means, intervals = methods[method]
                assert means[0] == method
                for n, metric in enumerate(metrics, 1):
                    own = line_of(summary[summary["scope"] == "all"], method, metric)
                    assert close(means[n].replace("$-$", "-"), [own["mean"], own["sd"]])
                    assert close(intervals[n].replace("$-$", "-"), [own["low"], own["high"]])

    def test_signs_of_latex_in_names_are_escaped(self, summary, paired):
        text = latex(summary, paired, printed={"A%": {"dice": 0.5}})
        assert r"B\_2 \& co" in text
        assert r"\textit{A\%} (paper, other data)" in text

    def test_the_best_is_bold(self, summary, paired):
        line = next(x for x in latex(summary, paired).split("\n") if x.startswith("EAR & "))
        best = [r"\textbf" in text for text in line.split(" & ")[1:]]
        found = cells(summary.query("scope == 'all'"), list(HEADLINES["Volumes"]))
        assert best == [found["EAR", m].best for m in HEADLINES["Volumes"]]
        assert any(best)


class TestPaper:
    def test_its_numbers_are_marked_and_stand_in_no_mean(self, summary, paired, tmp_path):
        before = summary.copy()
        write_tables(tmp_path, summary, paired, [], TABLE_1)
        table = tables_of((tmp_path / "table.md").read_text())
        lines = {line[0]: line[1:] for line in table["Volumes"]}
        assert lines["EAR (paper, other data)"] == ["0.2532", "0.1532", "0.8644", "23.76", "0.8013", "0.3014"]
        assert lines["PSR (paper, other data)"][3] == "21.15"
        assert not any("paper" in line[0] for line in table["Surfaces"])  # it prints none of these
        assert r"\textit{SIT} (paper, other data) & 0.4118" in (tmp_path / "table.tex").read_text()
        pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "table.csv"), before)
        assert not any(paper in (tmp_path / "table.csv").read_text() for paper in ("0.2532", "paper"))

    def test_table_1_as_printed(self):
        assert list(TABLE_1) == ["PSR", "SIT", "E2E", "BX2S", "EAR"]
        assert TABLE_1["BX2S"]["fd_minmax"] == 0.7333
        assert max(TABLE_1, key=lambda m: TABLE_1[m]["dice"]) == "EAR"


def test_csv_files_read_back_exactly(summary, paired, tmp_path):
    write_tables(tmp_path, summary, paired, [])
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "table.csv"), summary)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "differences.csv"), paired)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["differences.csv", "table.csv", "table.md", "table.tex"]
