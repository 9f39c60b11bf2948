"""The page of `ear app` in headless Chromium: time to the first picture, pictures per second, memory per page.

    python benchmarks/app.py [--rounds 3] [--size 1280x720] [--vertebrae 8]

The sample case, drawn by the processor (Mesa's llvmpipe), which is what a machine without a graphics card does. The
spine is turned with the mouse for some seconds, as surfaces and as a rendered volume; a picture counts when the browser
has it. Memory is what the page's process has for itself, without the files of its libraries, which all pages share: at
first, with the case open, with the spine rebuilt (torch is loaded then and stays). Writes app.csv beside this file;
README.md explains its columns.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "EARReconstruction" / "Testing" / "app"))

from driven import Browser, Server, missing, start_browser  # noqa: E402
from networks import print_table, write_csv  # noqa: E402

#: How long the spine is turned, s.
TURNING_S = 6.0

#: Notes when a picture of 3-D arrives, ms.
_NOTE_PICTURES = """
window.earPictures = [];
new MutationObserver(changes => window.earPictures.push(performance.now()))
    .observe(document.getElementById('view-spine'), {subtree: true, attributeFilter: ['src']});
"""

#: Name of a measurement -> (its unit, a value per round).
Found = dict[str, tuple[str, list[float]]]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", default="1280x720", help="of the window")
    parser.add_argument("--vertebrae", type=int, default=8, help="to rebuild, at most those of the sample")
    options = parser.parse_args()
    if lacking := missing():
        raise SystemExit(f"benchmarks/app.py: {lacking}")
    found: Found = {}
    loads, size = [], tuple(int(side) for side in options.size.split("x"))
    for n in range(options.rounds):
        print(f"round {n + 1} of {options.rounds}", flush=True)
        loads.append(os.getloadavg()[0])
        with tempfile.TemporaryDirectory() as folder:
            measure(found, Path(folder), (size[0], size[1]), options.vertebrae)
    rows = [
        {
            "measure": name,
            "unit": unit,
            "median": f"{statistics.median(values):.3g}",
            "lowest": f"{min(values):.3g}",
            "highest": f"{max(values):.3g}",
            "window": options.size,
            "vertebrae": options.vertebrae,
            "rounds": options.rounds,
            "cpu_count": os.cpu_count(),
            "load_average": f"{statistics.mean(loads):.1f}",
        }
        for name, (unit, values) in found.items()
    ]
    print_table(rows, ("measure", "unit", "median", "lowest", "highest", "load_average"))
    write_csv(Path(__file__).with_name("app.csv"), rows)


def measure(found: Found, folder: Path, size: tuple[int, int], vertebrae: int) -> None:
    """One round: a server, a browser, a page from the sample case to the turned spine."""

    def note(name: str, unit: str, value: float) -> None:
        found.setdefault(name, (unit, []))[1].append(value)

    started = time.monotonic()
    server = Server("--port", "0", "--pages", "1", log=folder / "log")
    note("server ready", "s", time.monotonic() - started)
    browser = start_browser(folder / "profile", folder, size)
    try:
        (pid,) = server.pages()
        note("page shown", "s", timed(lambda: browser.open(server.address)))
        note("memory, empty page", "MB", memory_mb(pid))
        browser.driver.execute_script("document.getElementById('open-sample').click()")
        note("sample case to first picture", "s", timed(lambda: browser.until(lambda: lit(browser, "frontal"))))
        browser.until(lambda: browser.state("step") == "reconstruct")
        note("memory, case open", "MB", memory_mb(pid))
        for row in browser.state("vertebrae")[vertebrae:]:
            browser.driver.execute_script("window.trame.trigger('delete_vertebra', [arguments[0]])", row["id"])
        browser.until(lambda: browser.state("to_rebuild") == vertebrae)
        browser.click("reconstruct")
        note("reconstruction", "s", timed(lambda: browser.until(lambda: browser.state("step") == "results", 900)))
        note("memory, spine rebuilt", "MB", memory_mb(pid))
        browser.driver.execute_script(_NOTE_PICTURES)
        for look in ("surfaces", "volume"):
            browser.click(f"look-{look}")
            browser.until(lambda look=look: browser.state("look") == look)
            time.sleep(5)  # the sharp picture that comes at rest
            note(f"turning the spine, {look}", "pictures/s", turn(browser))
            time.sleep(3)
    finally:
        browser.driver.quit()
        server.stop()


def turn(browser: Browser) -> float:
    """Pictures per second while the spine is turned with the mouse, from the first of them to the last."""
    rect = browser.rect("spine")
    browser.driver.execute_script("window.earPictures.length = 0")
    middle = rect["x"] + rect["width"] / 2, rect["y"] + rect["height"] / 2
    browser.drag((middle[0] - 150, middle[1]), (300, 60), moves=round(TURNING_S / 0.04), pause_s=0.02)
    times = browser.driver.execute_script("return window.earPictures")
    return 1000 * (len(times) - 1) / (times[-1] - times[0])


def lit(browser: Browser, role: str) -> bool:
    """Whether a view shows something bright."""
    return bool(browser.pixels(role).max() > 200 and browser.state("filled").get("EARFrontal"))


def timed(work: Callable[[], Any]) -> float:
    """Seconds that something took."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


def memory_mb(pid: int) -> float:
    """Memory that a process has for itself."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss_Anon:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


if __name__ == "__main__":
    main()
