"""From the sample case to a reviewed spine in a real browser, one step after the other on one page."""

from __future__ import annotations

import subprocess
import sys
import time
import zipfile
from typing import Any

import numpy as np
import pytest

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


def test_boxes_are_added_filled_resized_and_deleted(page: Any) -> None:
    """With words for what cannot be."""
    page.show("vertebrae")
    for level in ("T10", "T11", "T12", "L1", "L4"):
        page.driver.execute_script("window.trame.trigger('delete_vertebra', [arguments[0]])", boxes(page)[level]["id"])
        page.until(lambda level=level: level not in boxes(page))
    assert list(boxes(page)) == ["L2", "L3", "L5"]
    page.click("fill-between")
    page.until(lambda: list(boxes(page)) == ["L2", "L3", "L4", "L5"])
    page.click("add-next")
    page.until(lambda: "L1" in boxes(page))
    assert page.state("selected") == boxes(page)["L1"]["id"]
    page.driver.execute_script("window.trame.trigger('resize_vertebra', [0, '66,5'])")
    page.until(lambda: page.state("size")[0] == 66.5)
    page.driver.execute_script("window.trame.trigger('resize_vertebra', [0, 'wide'])")
    page.until(lambda: "no size" in page.text("message"))
    page.driver.execute_script("window.trame.trigger('resize_vertebra', [0, '9999'])")
    page.until(lambda: page.state("message_kind") == "error" and "no size" not in page.text("message"))
    assert page.state("size")[0] == 66.5


def test_a_job_is_cancelled_and_the_page_answers_meanwhile(page: Any) -> None:
    """Two quick clicks start one; another arrangement is shown while it runs."""
    page.show("reconstruct")
    page.driver.execute_script("for (let n = 0; n < 2; n++) window.trame.trigger('reconstruct')")
    page.until(lambda: page.state("busy"))
    page.driver.execute_script("window.trame.trigger('arrange', ['four'])")
    page.until(lambda: page.state("arrangement") == "four", 20)
    assert page.state("busy")
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
    page.click("reconstruct")
    page.until(lambda: page.state("step") == "results")
    assert page.text("message").startswith("L3 rebuilt.")
    assert page.state("runs") == [{"name": "ear-column-64", "count": 1}]

    page.click("to-review")
    page.click("sample-reference")
    page.until(lambda: page.state("measured"))
    (row,) = page.state("measured")
    assert row["level"] == "L3"
    assert float(row["dice"]) > 0.6
    assert "mm" in page.text("worst")
    assert page.driver.find_element("css selector", ".histogram svg").is_displayed()
    page.until(lambda: legend(page) > 300)
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


def test_turning_the_spine_changes_the_picture(page: Any) -> None:
    """With the mouse, in 3-D."""
    before, rect = page.pixels("spine"), page.rect("spine")
    page.drag((rect["x"] + rect["width"] / 2, rect["y"] + rect["height"] / 2), (90, 20))
    page.until(lambda: (np.abs(page.pixels("spine").astype(int) - before).max(2) > 40).mean() > 0.01)


def test_results_are_downloaded(page: Any) -> None:
    """All files in one archive."""
    page.click("download-everything")
    path = page.downloads / "ear-results.zip"
    page.until(path.exists)
    page.until(lambda: not page.state("busy"))
    names = zipfile.ZipFile(path).namelist()
    assert {"surfaces/L3.stl", "volumes/L3.nrrd", "distances.csv", "report.html", "summary.json"} <= set(names)


def test_the_scene_opens_in_slicer(page: Any) -> None:
    """Read back by slicer-core, in a process that knows nothing of ours."""
    page.driver.execute_script("window.trame.trigger('prepare_download', ['mrb'])")
    path = page.downloads / "ear-scene.mrb"
    page.until(path.exists)
    done = subprocess.run(
        [sys.executable, "-c", _READ_SCENE, str(path)], capture_output=True, text=True, timeout=180, check=False
    )
    for name in ("'AP'", "'Lateral'", "'L3'", "'L3 surface'", "'L3 volume'", "'L3 reference'"):
        assert name in done.stdout, done.stderr[-2000:]


def test_starting_over_empties_the_page(page: Any) -> None:
    """And the next case can come."""
    page.click("start-over")
    page.until(lambda: page.state("xrays") == {} and page.state("vertebrae") == [] and page.state("runs") == [])
    assert page.state("step") == "xrays"
    assert page.driver.find_element("id", "open-sample").get_attribute("class") == "go"
