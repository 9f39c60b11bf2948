"""From the sample case to a reviewed spine in a real browser, one step after the other on one page."""

from __future__ import annotations

import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from EARReconstructionLib.resources import DEFAULT_MODEL, MODELS, SAMPLE_CASE

#: Controls that are seen and have no name, or that Tab does not reach.
_UNNAMED = """
return [...document.querySelectorAll('button, input, select, a[href]')]
  .filter(one => one.offsetParent && !one.closest('.v-overlay'))
  .filter(one => one.tabIndex < 0 || !(one.innerText.trim() || one.title || one.getAttribute('aria-label')
    || (one.labels && one.labels.length)))
  .map(one => one.outerHTML)
"""

#: Prints the names of our nodes in an .mrb. Reading one needs what the desktop has: legends and a cache.
_READ_SCENE = """
import os, sys, tempfile, slicer
from trame_slicer.core import SlicerApp
app = SlicerApp()
app.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
remote, data = slicer.vtkMRMLRemoteIOLogic(), slicer.vtkDataIOManagerLogic()
for logic in (remote, data):
    logic.SetMRMLApplicationLogic(app.app_logic)
    logic.SetMRMLScene(app.scene)
with tempfile.TemporaryDirectory() as folder:
    remote.GetCacheManager().SetRemoteCacheDirectory(folder)
    data.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    assert app.scene.ReadFromMRB(sys.argv[1], True)
    print([node.GetName() for node in list(app.scene.GetNodes()) if node.GetAttribute("EAR.kind")], flush=True)
os._exit(0)
"""


@pytest.fixture(scope="module")
def page(server: Any, browser: Any) -> Any:
    """The page, with the sample case open."""
    browser.open(server.address)
    assert "Nothing leaves this machine" in browser.driver.page_source
    assert browser.driver.find_element("id", "open-sample").get_attribute("class") == "go"
    browser.click("open-sample")
    browser.until(lambda: browser.state("step") == "reconstruct")
    browser.until(lambda: browser.pixels("frontal").max() > 200 and browser.pixels("lateral").max() > 200)
    return browser


def boxes(page: Any) -> dict[str, dict[str, Any]]:
    """Level -> row of the list."""
    return {row["level"]: row for row in page.state("vertebrae")}


def coloured(page: Any, role: str, css: str) -> np.ndarray:
    """(N, 2) pixels of the page, x and y, in which a view shows a colour."""
    wanted = np.array([int(part) for part in css.removeprefix("rgb(").removesuffix(")").split(",")])
    found = np.argwhere(np.abs(page.pixels(role).astype(int) - wanted).max(2) < 25)[:, ::-1]
    rect = page.rect(role)
    return found + np.array([int(rect["x"]), int(rect["y"])])


def test_images_and_letters_are_seen(page: Any) -> None:
    """Bone white on black; R is left and A right, as a surgeon looks at them."""
    for role, (left, right) in {"frontal": ("R", "L"), "lateral": ("P", "A")}.items():
        pixels = page.pixels(role)
        assert np.median(pixels) < 30, (left, right)
        assert (pixels.min(2) > 200).sum() > 500


@pytest.mark.parametrize(("role", "moved"), [("frontal", 0), ("lateral", 1)])
def test_a_box_follows_the_mouse(page: Any, role: str, moved: int) -> None:
    """Its right side dragged outwards: wider in AP, deeper in the lateral view, in millimetres."""
    page.show("vertebrae")
    row = boxes(page)["L5"]
    if page.state("selected") != row["id"]:
        page.click("vertebra-L5")
    page.until(lambda: len(page.state("size")) == 3 and page.state("selected") == row["id"])
    before = page.state("size")
    time.sleep(1)  # the picture with its handles
    found = coloured(page, role, row["colour"])
    low, high = found.min(0), found.max(0)
    page.drag((high[0] - 1, (low[1] + high[1]) / 2), (24, 0))
    expected = before[moved] + 24 * before[moved] / (high[0] - low[0])
    page.until(lambda: page.state("size")[moved] == pytest.approx(expected, abs=2))
    after = settled(page)
    assert [after[n] for n in range(3) if n != moved] == pytest.approx(
        [before[n] for n in range(3) if n != moved], abs=0.6
    )


def settled(page: Any) -> list[float]:
    """The size of the selected box when the last move of the mouse has arrived."""
    before, now = None, page.state("size")
    while now != before:
        time.sleep(0.8)
        before, now = now, page.state("size")
    return list(now)


def test_contrast_changes_the_picture(page: Any) -> None:
    """One slider per X-ray; bone black turns the picture round."""
    page.show("xrays")
    page.driver.execute_script("document.getElementById('contrast').open = true")
    before = page.state("xrays")["frontal"]["shown"]
    white, dark = bright(page, "frontal"), bright(page, "lateral")
    slider = page.driver.find_elements("css selector", "#contrast .v-slider-thumb")[1].rect
    page.drag((slider["x"] + slider["width"] / 2, slider["y"] + slider["height"] / 2), (-120, 0))
    page.until(lambda: page.state("xrays")["frontal"]["shown"][1] < before[1] / 2)
    page.until(lambda: bright(page, "frontal") > white + 0.02)
    page.click("bone-white")
    page.until(lambda: bright(page, "lateral") > 2 * dark)
    page.click("bone-white")
    page.call("choose_contrast", "frontal", *before)
    page.until(lambda: bright(page, "lateral") < 1.2 * dark)


def bright(page: Any, role: str) -> float:
    """Share of a view that is nearly white."""
    return float((page.pixels(role).min(2) > 200).mean())


def test_boxes_are_added_filled_resized_and_deleted(page: Any) -> None:
    """With words for what cannot be."""
    page.show("vertebrae")
    for level in ("T10", "T11", "T12", "L1", "L4"):
        page.call("delete_vertebra", boxes(page)[level]["id"])
        page.until(lambda level=level: level not in boxes(page))
    assert list(boxes(page)) == ["L2", "L3", "L5"]
    page.click("undo")
    page.until(lambda: list(boxes(page)) == ["L2", "L3", "L4", "L5"])
    page.call("delete_vertebra", boxes(page)["L4"]["id"])
    page.until(lambda: list(boxes(page)) == ["L2", "L3", "L5"])
    page.click("fill-between")
    page.until(lambda: list(boxes(page)) == ["L2", "L3", "L4", "L5"])
    page.until(lambda: page.state("next_level") == "L1")
    page.click("add-next")
    page.until(lambda: "L1" in boxes(page))
    assert page.state("selected") == boxes(page)["L1"]["id"]
    page.call("resize_vertebra", 0, "66,5")
    page.until(lambda: page.state("size")[0] == 66.5)
    page.call("resize_vertebra", 0, "wide")
    page.until(lambda: "no size" in page.text("message"))
    page.call("resize_vertebra", 0, "9999")
    page.until(lambda: page.state("message_kind") == "error" and "no size" not in page.text("message"))
    assert page.state("size")[0] == 66.5


def test_a_job_is_cancelled_and_the_page_answers_meanwhile(page: Any) -> None:
    """Two quick clicks start one; another arrangement is shown while it runs, and a file is told to wait."""
    page.show("reconstruct")
    page.driver.execute_script("for (let n = 0; n < 2; n++) window.trame.trigger('reconstruct')")
    page.until(lambda: page.state("busy"))
    page.call("arrange", "four")
    page.until(lambda: page.state("arrangement") == "four", 20)
    assert page.state("busy")
    page.upload("model", MODELS / f"{DEFAULT_MODEL}.safetensors")
    page.until(lambda: "another step is running" in page.state("message"))
    page.click("cancel")
    page.until(lambda: not page.state("busy"))
    assert page.text("message") == "Reconstruction: cancelled."
    assert page.state("runs") == []


def test_a_vertebra_is_rebuilt_and_compared(page: Any) -> None:
    """The heat map colours it, the legend stands beside it, and both go when it is switched off."""
    page.show("vertebrae")
    if page.state("selected") != boxes(page)["L3"]["id"]:
        page.click("vertebra-L3")
    page.show("reconstruct")
    page.click("only-selected")
    page.until(lambda: page.state("to_rebuild") == 1)
    page.click("expected-error")
    page.until(lambda: page.state("expected_error"))
    page.click("reconstruct")
    page.until(lambda: page.state("step") == "results")
    assert page.text("message").startswith("L3 rebuilt.")
    assert page.state("runs") == [{"name": DEFAULT_MODEL, "count": 1}]
    page.until(lambda: greens(page) > 300)
    assert legend(page) == 0

    page.click("to-review")
    page.click("sample-reference")
    page.until(lambda: page.state("measured"))
    (row,) = page.state("measured")
    assert row["level"] == "L3"
    assert float(row["dice"]) > 0.6
    assert "mm" in page.text("worst")
    assert page.driver.find_element("css selector", ".histogram svg").is_displayed()
    page.until(lambda: legend(page) > 300)
    assert (page.state("expected_error"), greens(page)) == (False, 0)
    page.click("heat-map")
    page.until(lambda: legend(page) == 0)
    page.click("heat-map")
    page.until(lambda: legend(page) > 300)
    page.click("on-reference")
    page.until(lambda: page.state("on_reference"))
    page.click("worst")
    page.click("on-rebuilt")
    page.until(lambda: not page.state("busy") and not page.state("on_reference"))
    assert page.state("message_kind") != "error"


def legend(page: Any) -> int:
    """Pixels of the legend at the right edge of the 3-D view: its red half or its blue half, whichever is less."""
    strip = page.pixels("spine")[:, -24:].astype(int)
    redder = strip[..., 0] - strip[..., 2]
    return int(min((redder > 60).sum(), (redder < -60).sum()))


def greens(page: Any) -> int:
    """Pixels of the legend of expected errors at the right edge of the 3-D view."""
    strip = page.pixels("spine")[:, -24:].astype(int)
    return int((strip[..., 1] - strip[..., [0, 2]].max(-1) > 40).sum())


def test_turning_the_spine_changes_the_picture(page: Any) -> None:
    """With the mouse, in 3-D."""
    before, rect = page.pixels("spine"), page.rect("spine")
    page.drag((rect["x"] + rect["width"] / 2, rect["y"] + rect["height"] / 2), (90, 20))
    page.until(lambda: (np.abs(page.pixels("spine").astype(int) - before).max(2) > 40).mean() > 0.01)


def test_a_ct_is_compared_above_its_threshold(page: Any, tmp_path: Path) -> None:
    """L3 of the sample's truth as HU: with a higher threshold nothing is left, and a sentence says so."""
    labels = sitk.ReadImage(str(SAMPLE_CASE / "reference" / "segmentation.seg.nrrd"))
    values = sitk.GetArrayFromImage(labels)
    number = next(n for n in range(8) if labels.GetMetaData(f"Segment{n}_Name") == "L3")
    bone = values == int(labels.GetMetaData(f"Segment{number}_LabelValue"))
    image = sitk.GetImageFromArray(np.where(bone, 400, -800).astype(np.int16))
    image.CopyInformation(labels)
    sitk.WriteImage(image, str(tmp_path / "truth.nrrd"), True)
    page.show("review")
    before = page.state("measured")
    page.upload("reference", tmp_path / "truth.nrrd")
    page.until(lambda: page.state("reference") == "truth.nrrd" and not page.state("busy"))
    assert page.state("reference_is_ct")
    page.driver.find_element("id", "threshold").send_keys("\ue009a", "\ue000", "900\t")  # Ctrl-A, then the number
    page.until(lambda: page.state("threshold_hu") == 900)
    page.click("compare")
    page.until(lambda: "nothing above 900 HU" in page.state("message"))
    page.call("type_threshold", "0")
    page.until(lambda: page.state("threshold_hu") == 0)
    page.click("compare")
    page.until(lambda: page.states("busy", "message") == [False, ""])
    assert float(page.state("measured")[0]["assd"]) == pytest.approx(float(before[0]["assd"]), abs=0.3)


def test_models_are_compared_side_by_side_and_undone(page: Any, tmp_path: Path) -> None:
    """A second model from a file; a view for each and for the reference, turned together; then it is taken back."""
    from EARReconstructionLib.bundle import load_bundle, save_bundle

    bundle = load_bundle(MODELS / f"{DEFAULT_MODEL}.safetensors")
    second = tmp_path / "second.safetensors"
    save_bundle(second, replace(bundle.card, name="second"), bundle.network())
    page.show("reconstruct")
    page.upload("model", second)
    page.until(lambda: page.state("model") == "second")
    page.click("reconstruct")
    page.until(lambda: page.state("step") == "results")
    assert [row["name"] for row in page.state("runs")] == [DEFAULT_MODEL, "second"]

    page.click("compare-models")
    page.until(lambda: page.state("arrangement") == "compared")
    views = [view["tag"] for view in page.state("compared")]
    assert [view["title"] for view in page.state("compared")] == [DEFAULT_MODEL, "second", "Reference"]
    for view in views:
        page.until(lambda view=view: (page.pixels(view).max(2) > 90).mean() > 0.02)
    before, rect = [page.pixels(view).astype(int) for view in views], page.rect(views[0])
    page.drag((rect["x"] + rect["width"] / 2, rect["y"] + rect["height"] / 2), (80, 10))
    for view, old in zip(views, before, strict=True):
        page.until(lambda view=view, old=old: (np.abs(page.pixels(view) - old).max(2) > 40).mean() > 0.01)

    page.click("take-back")
    page.until(lambda: [row["name"] for row in page.state("runs")] == [DEFAULT_MODEL])
    assert page.state("arrangement") == "spine"
    assert page.state("compared") == []
    page.until(lambda: legend(page) > 300)
    assert not page.there("take-back")


def test_every_control_has_a_name(page: Any) -> None:
    """For those who hear the page; all can be reached by the keyboard, and one button at a time is the first choice."""
    for step in ("xrays", "vertebrae", "reconstruct", "results", "review"):
        page.show(step)
        page.until(lambda step=step: page.there(f"{step}-body"))
        assert page.driver.execute_script(_UNNAMED) == []
        assert len(page.driver.find_elements("css selector", ".panel .go")) == 1, step
    page.driver.execute_script("document.getElementById('xrays-head').focus()")
    page.driver.switch_to.active_element.send_keys("\ue007")
    page.until(lambda: page.state("step") == "xrays")


def test_results_are_downloaded(page: Any) -> None:
    """All files in one archive."""
    page.show("review")
    page.click("download-everything")
    path = page.downloads / "ear-results.zip"
    page.until(path.exists)
    page.until(lambda: not page.state("busy"))
    names = zipfile.ZipFile(path).namelist()
    assert {"surfaces/L3.stl", "volumes/L3.nrrd", "distances.csv", "report.html", "summary.json"} <= set(names)


def test_the_scene_opens_in_slicer(page: Any) -> None:
    """Read back by slicer-core, in a process that knows nothing of ours."""
    page.click("download")
    page.click("download-mrb")
    path = page.downloads / "ear-scene.mrb"
    page.until(path.exists)
    done = subprocess.run(
        [sys.executable, "-c", _READ_SCENE, str(path)], capture_output=True, text=True, timeout=180, check=False
    )
    for name in ("'AP'", "'Lateral'", "'L3'", "'L3 surface'", "'L3 volume'", "'L3 reference'"):
        assert name in done.stdout, done.stderr[-2000:]


def test_starting_over_empties_the_page_and_a_saved_scene_fills_it(page: Any) -> None:
    """The .mrb that was downloaded: X-rays, boxes, the spine, its heat map and legend, and its numbers."""
    measured, sizes = page.state("measured"), list(boxes(page))
    page.click("start-over")
    page.until(lambda: page.state("xrays") == {} and page.state("vertebrae") == [] and page.state("runs") == [])
    assert (page.state("step"), page.state("reference"), page.state("measured")) == ("xrays", "", [])
    assert page.driver.find_element("id", "open-sample").get_attribute("class") == "go"
    page.upload("scene", page.downloads / "ear-scene.mrb")
    page.until(lambda: page.state("runs") and not page.state("busy"))
    assert page.text("message") == "ear-scene.mrb is open."
    assert list(boxes(page)) == sizes
    assert page.state("measured") == measured
    assert page.state("reference") == "truth"
    page.until(lambda: page.pixels("frontal").max() > 200 and legend(page) > 300)


def test_a_whole_spine_is_started(page: Any) -> None:
    """Three boxes from which the others are filled in."""
    page.call("start_over")
    page.until(lambda: page.state("xrays") == {})
    page.click("open-sample")
    page.until(lambda: page.state("step") == "reconstruct")
    page.show("vertebrae")
    for row in page.state("vertebrae"):
        page.call("delete_vertebra", row["id"])
    page.click("whole-spine")
    page.until(lambda: list(boxes(page)) == ["T1", "T9", "L5"])
