"""The page as a browser reads it: complete, right, escaped, and nothing in it but itself."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import vtk
from EARReconstructionLib import report, volume_io
from EARReconstructionLib.colours import distance_colours, error_colours
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.geometry import BiplanarGeometry
from EARReconstructionLib.report import rendering
from EARReconstructionLib.report.surfaces import draw_surfaces
from EARReconstructionLib.report.tables import distance_table, key_figures, vertebra_table
from EARReconstructionLib.results import write_result

MINUS = "\N{MINUS SIGN}"


def pictures(page, tmp_path, kind):
    """{label: pixels} of the inline images of a kind."""
    found = {}
    names = [attrs["aria-label"] for attrs in page.all("svg", kind)]
    of = [attrs for tag, attrs in page.tags if tag in ("svg", "image")]
    for svg, image in pairwise(of):
        if svg.get("class") == kind:
            path = tmp_path / "picture.png"
            path.write_bytes(base64.b64decode(image["href"].split(",")[1]))
            found[svg["aria-label"]] = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    assert list(found) == names
    return found


class TestContent:
    def test_who_and_how(self, page) -> None:
        said = " ".join(page.words())
        for words in (
            "test case", "not a medical device", "tiny", "EAR, protocol column", "the CPU", "0123abcd" * 8,
            "2 rebuilt: T12, L1", "views 90\N{DEGREE SIGN} apart", "bone above 0 HU",
        ):  # fmt: skip
            assert words.lower() in said.lower()
        cells = page.words("td.")
        assert cells[:2] == ["1000", "1300"]
        assert cells[6:8] == ["1000", "1300"]
        assert [cells[2], cells[8]] == ["0\N{DEGREE SIGN}", "90\N{DEGREE SIGN}"]
        assert [name for name in page.words("th.") if name in ("AP", "Lateral")] == ["AP", "Lateral"]
        (written,) = page.words("time.")
        assert abs(datetime.fromisoformat(written) - datetime.now(timezone.utc)) < timedelta(hours=1)

    def test_table_says_what_the_summary_says(self, result, tmp_path) -> None:
        summary = write_result(result, tmp_path / "out", draw=report.draw_report)
        assert "report.html" in summary["files"]
        from_page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
        rows = re.findall(r"<tr><th scope=\"row\"><i[^>]*></i>(\w+)</th>(.*?)</tr>", from_page)
        assert [level for level, _ in rows] == [row["level"] for row in summary["comparison"]]
        names = ("dice", "assd_mm", "rms_mm", "hd95_mm", "hd_mm", "mean_signed_mm")
        for (_, cells), row in zip(rows, summary["comparison"], strict=True):
            said = [float(cell.replace(MINUS, "-")) for cell in re.findall(r"<td[^>]*>(.*?)</td>", cells)]
            np.testing.assert_allclose(said, [row[name] for name in names], atol=0.0051)
        means = re.search(r'class="mean">(.*?)</tr>', from_page)
        assert means is not None
        said = [float(cell.replace(MINUS, "-")) for cell in re.findall(r"<td>(.*?)</td>", means[1])]
        expected = [np.mean([row[name] for row in summary["comparison"]]) for name in names]
        np.testing.assert_allclose(said, expected, atol=0.0051)

    def test_signs_of_too_large_and_too_small(self, page) -> None:
        signed = [cell for cell in page.words("td.") if cell[0] in f"+{MINUS}"]
        assert signed[0].startswith("+")  # T12 is too large
        assert signed[1].startswith(MINUS)

    def test_worst_point_first(self, result, page) -> None:
        worst = max(result.comparisons, key=lambda one: one.error.hd_mm)
        assert f"{worst.error.hd_mm:.2f} mm" in page.words("dd.")
        assert any(worst.level in words for words in page.words("dt."))

    @pytest.mark.parametrize(("number", "side"), [(0, "outside"), (1, "inside")])
    def test_side_of_the_worst_point(self, result, number, side) -> None:
        """T12 is too large, L1 too small."""
        one = result.comparisons[number]
        assert f"worst point, {one.level}, {side}<" in key_figures([one])

    def test_worst_of_each_column_is_bold(self, result) -> None:
        """The least Dice, the greatest of all others."""
        one = result.comparisons[0]
        made = [replace(one, level=level, dice=dice) for level, dice in (("T11", 0.9), ("T12", 0.5), ("L1", 0.7))]
        assert re.findall(r'class="worst">(0\.\d+)</td>', distance_table(made))[0] == "0.500"

    def test_extent_along_r_a_and_s(self, alone) -> None:
        box = vtk.vtkCubeSource()
        box.SetBounds(-10, 20, -5, 35, 0, 50)
        box.Update()
        cells = re.findall(
            "<td>(.*?)</td>",
            vertebra_table(replace(alone, spine=replace(alone.spine, surfaces={"T12": box.GetOutput()}))),
        )
        assert cells[2].split(" \N{MULTIPLICATION SIGN} ") == ["30", "40", "50"]

    @pytest.mark.parametrize("range_mm", [4.0, 2.5])
    def test_legend(self, result, read, range_mm) -> None:
        page = read(result, range_mm=range_mm)
        ticks = [words for words in page.words("text.tick") if "bar" not in words]
        places = [float(tag["x"]) for tag in page.all("text", "tick")][: len(ticks)]
        colours = [float(attrs["x"]) for attrs in page.all("rect", "legend")]
        assert places == pytest.approx(np.linspace(colours[0], 2 * colours[-1] - colours[-2], 5), abs=0.1)
        half = f"{range_mm / 2:g}"
        assert ticks == [f"{MINUS}{range_mm:g}", f"{MINUS}{half}", "0 mm", f"+{half}", f"+{range_mm:g}"]
        fills = [attrs["fill"] for attrs in page.all("rect", "legend")]
        first, last = ("#" + "".join(f"{round(255 * c):02x}" for c in distance_colours()[n]) for n in (0, -1))
        assert [fills[0], fills[-1]] == [first, last]
        left, right = page.words("text.inside") + page.words("text.outside")
        assert "bone missing" in left
        assert "too much" in right

    def test_histogram_has_all_points(self, result, page) -> None:
        tall = [float(attrs["height"]) for attrs in page.all("rect", "bar")]
        shares = [float(words.split()[0]) for words in page.words("title.") if words.endswith("%")]
        assert len(tall) == len(shares) == 40
        assert sum(shares) == pytest.approx(100, abs=2.5)
        assert np.argmax(tall) == np.argmax(shares)
        signed = np.concatenate(
            [d for c in result.comparisons for d in (c.error.signed_mm, c.error.reference_signed_mm)]
        )
        assert sum(shares[20:]) == pytest.approx(100 * (signed >= 0).mean(), abs=3)

    def test_without_a_reference(self, alone, read) -> None:
        page = read(alone)
        said = " ".join(page.words())
        assert "no reference" in said
        assert "ASSD" not in said
        assert page.all("svg", "chart") == []
        assert len(page.all("svg", "surface")) == 2
        cells = page.words("td.")[-8:]
        assert cells[0] == "18, 12, 22"
        assert cells[1] == "20 \N{MULTIPLICATION SIGN} 26 \N{MULTIPLICATION SIGN} 22"
        assert cells[2].split(" \N{MULTIPLICATION SIGN} ") == ["19"] * 3
        assert float(cells[3]) == pytest.approx(4 / 3 * np.pi * 9.5**3 / 1000, abs=0.1)

    def test_expected_errors(self, doubtful, read, tmp_path) -> None:
        """Without a reference the page says and shows where the surface is not to be relied on."""
        page = read(doubtful)
        heads = page.words("th.")
        assert heads[heads.index("Bone, ml") + 1 :][:2] == ["Expected error", "95 % below"]
        cells = page.words("td.")[-12:]
        assert [cells[4:6], cells[10:12]] == [["1.0", "1.0"], ["3.0", "3.0"]]
        assert len(page.all("svg", "errors")) == 1
        assert page.words("text.tick") == ["0", "1", "2", "3", "4 mm"]
        fills = [attrs["fill"] for attrs in page.all("rect", "legend")]
        assert [fills[0], fills[-1]] == [
            "#" + "".join(f"{round(255 * c):02x}" for c in error_colours()[n]) for n in (0, -1)
        ]
        surfaces = pictures(page, tmp_path, "surface")
        assert list(surfaces) == ["Rebuilt, front", "Rebuilt, right", "Exp. error, front", "Exp. error, right"]
        for name in list(surfaces)[2:]:
            upper, lower = np.split(surfaces[name].astype(float), [int(0.48 * len(surfaces[name]))])
            sure, unsure = (half[half.min(-1) < 235].mean(0) for half in (upper, lower))
            assert unsure[1] > unsure[0] + 20  # green
            assert unsure.mean() < sure.mean() - 50

    def test_a_reference_knows_better_than_expected_errors(self, doubtful, result, read) -> None:
        page = read(replace(doubtful, comparisons=result.comparisons))
        assert not page.all("svg", "errors")
        assert "Expected error" not in page.words("th.")
        assert "Distance, front" in [attrs["aria-label"] for attrs in page.all("svg", "surface")]

    def test_notes(self, page) -> None:
        assert page.words("li.") == ["A note on T12.", "A note on L1."]

    def test_no_card_no_checksum(self, result, read) -> None:
        said = " ".join(read(replace(result, card=None, checksum="")).words())
        assert "tiny" in said
        assert "SHA" not in said


class TestPictures:
    def test_none_is_blank(self, page, tmp_path) -> None:
        radiographs = pictures(page, tmp_path, "radiograph")
        assert list(radiographs) == ["AP X-ray", "Lateral X-ray"]
        for pixels in radiographs.values():
            assert pixels.std() > 20
        surfaces = pictures(page, tmp_path, "surface")
        assert set(surfaces) == {"Rebuilt, front", "Rebuilt, right", "Distance, front", "Distance, right"}
        for pixels in surfaces.values():
            assert 0.05 < (pixels.min(-1) < 240).mean() < 0.9

    def test_sides_and_colours_of_the_heat_map(self, page, tmp_path) -> None:
        """T12, above, on the patient's right and in front, is too large; L1 is too small."""
        surfaces = pictures(page, tmp_path, "surface")
        for name, large_is_left in (("Distance, front", True), ("Distance, right", False)):
            red, _, blue = np.moveaxis(surfaces[name].astype(int), -1, 0)
            rows, columns = np.nonzero(blue - red > 40)
            rows_, columns_ = np.nonzero(red - blue > 40)
            assert min(len(rows), len(rows_)) > 100
            assert rows.mean() < rows_.mean()
            assert (columns.mean() < columns_.mean()) == large_is_left
            bone = surfaces[name.replace("Distance", "Rebuilt")].astype(int)
            assert (np.abs(bone[..., 0] - bone[..., 2]) < 90).all()
        assert page.words("text.side") == ["R", "L", "P", "A"] * 3

    def test_the_scale_is_that_of_the_bone(self, result) -> None:
        """What is drawn, measured with the bar, is as high as the surfaces are."""
        low, high = np.reshape([surface.GetBounds() for surface in result.surfaces.values()], (-1, 3, 2))[:, 2].T
        for drawn in (one for pictures_ in draw_surfaces(result, 4.0) for one in pictures_):
            svg = drawn.svg(50.0)
            start, end = map(float, re.search(r'class="scale" d="M([\d.]+),.*?H([\d.]+)', svg).groups())
            said = float(re.search(r">(\d+) mm<", svg).group(1))
            rows = np.nonzero(drawn.pixels.min(-1) < 240)[0]
            paper_mm = (np.ptp(rows) + 1) / len(drawn.pixels) * 50.0 / drawn.aspect
            assert paper_mm * said / (end - start) == pytest.approx(high.max() - low.min(), rel=0.03)

    def test_names_stand_right_of_their_bone(self, result, page) -> None:
        assert sorted(page.words("text.level")) == sorted(["T12", "L1"] * 6)
        for drawn in (one for pictures_ in draw_surfaces(result, 4.0) for one in pictures_):
            height, width = drawn.pixels.shape[:2]
            bone = drawn.pixels.min(-1) < 240
            for x, y in drawn.labels.values():
                row, column = int(y * height), int(x * width)
                assert not bone[row, column:].any()
                assert bone[row, :column].any()
                assert (1 - x) * width > 0.05 * height  # room for the name

    def test_a_right_lateral_is_seen_from_the_left(self, result, read) -> None:
        frontal, lateral = result.case.geometry.views
        geometry = BiplanarGeometry(frontal, replace(lateral, alpha_deg=-90.0))
        radiograph = replace(result.case.lateral, angles_deg=(-90.0, 0.0), view=geometry.lateral)
        page = read(replace(result, case=replace(result.case, geometry=geometry, lateral=radiograph)))
        assert "Rebuilt, left" in [attrs["aria-label"] for attrs in page.all("svg", "surface")]
        assert page.words("text.side")[2:4] == ["A", "P"]

    @pytest.mark.parametrize("measured", [True, False])
    def test_a_machine_without_3d(self, result, alone, read, monkeypatch, measured) -> None:
        monkeypatch.setattr(rendering.Studio, "picture", lambda *_: np.zeros((4, 4, 3), np.uint8))
        page = read(result if measured else alone)
        assert any("no pictures of the spine" in note for note in page.words("li."))
        assert len(page.all("svg", "radiograph")) == 2
        assert page.all("svg", "surface") == []
        assert len(page.all("svg", "chart")) == measured
        assert "T12" in page.words("th.")

    def test_no_bone(self, alone, read) -> None:
        nothing = [replace(one, mask=np.zeros_like(one.mask)) for one in alone.reconstructions]
        page = read(replace(alone, reconstructions=tuple(nothing), spine=replace(alone.spine, surfaces={})))
        assert page.all("svg", "surface") == []
        assert page.words("td.").count("no bone") == 2


NASTY = "<script>alert(\"x\")</script> & 'Ärztin' 患者 \udcff\x00"


class TestSafety:
    def test_every_text_is_escaped(self, result, tmp_path) -> None:
        case = replace(result.case, name=NASTY)
        spoilt = replace(result, case=case, model=NASTY[:27], device="<cuda>", remarks=(NASTY,), checksum="<b>")
        spoilt = replace(spoilt, card=replace(result.card, protocol="<i>", architecture="&"))
        page = report.write_report(spoilt, tmp_path / "Ä report <1>.html").read_text(encoding="utf-8")
        assert "<script" not in page
        assert "<cuda" not in page.lower().replace("&lt;", "")
        assert "<i>" not in page
        assert "<b>" not in page
        assert "&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#x27;Ärztin&#x27; 患者" in page

    def test_it_needs_and_runs_nothing(self, page) -> None:
        assert {tag for tag, _ in page.tags} & {"script", "link", "iframe", "object", "form", "a"} == set()
        for _, attrs in page.tags:
            assert not [name for name in attrs if name.startswith("on")]
            assert (attrs.get("href") or "data:image/png").startswith("data:image/png")
            assert "src" not in attrs
        policy = page.all("meta")[1]
        assert policy["http-equiv"] == "Content-Security-Policy"
        assert "default-src 'none'" in policy["content"]
        assert not re.search(r"url\(|@import|https?:", report.page.CSS)

    def test_whole_or_not_at_all(self, result, tmp_path, monkeypatch) -> None:
        path = tmp_path / "report.html"
        path.write_text("earlier")

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(volume_io.os, "replace", full)
        with pytest.raises(EARError, match=r"report\.html.*No space left"):
            report.write_report(replace(result, comparisons=()), path)
        assert path.read_text() == "earlier"
        assert list(tmp_path.iterdir()) == [path]

    def test_no_torch_no_slicer_no_matplotlib(self) -> None:
        """Slicer shows the report of a loaded scene before torch is installed."""
        root = Path(report.__file__).parents[2]
        program = (
            f"import sys; sys.path.insert(0, {str(root)!r}); import EARReconstructionLib.report;"
            "print({'torch', 'slicer', 'qt', 'matplotlib'} & set(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "set()"
