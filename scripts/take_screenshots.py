"""Take the pictures of the README and the tutorial into Resources/Screenshots.

The modules' panels and views are drawn without a screen, by the desktop stand-in of the tests (Testing/standin): the
panels are the real ones, the views are Slicer's own, the frame around them is plain; that of the page is taken in
Chromium. Needs what `make test` installs, and some minutes on a CPU. Look at the pictures before you commit them.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "Resources" / "Screenshots"
WINDOW_PX = (1500, 940)
WIDEST_PX, LARGEST_BYTES, COLOURS = 1600, 290_000, 256

sys.path[:0] = [str(ROOT / folder) for folder in ("Testing", "EARReconstruction", "EARTraining")]
sys.path.append(str(ROOT / "EARReconstruction" / "Testing" / "app"))


def save(pixels: npt.NDArray[np.uint8], name: str, folder: Path) -> None:
    """Write a picture (height, width, 3) with few colours, narrower if need be, so that the repository stays small."""
    from PIL import Image

    picture = Image.fromarray(pixels)
    width = min(picture.width, WIDEST_PX)
    path = folder / f"{name}.png"
    while True:
        smaller = picture.resize((width, picture.height * width // picture.width), Image.Resampling.LANCZOS)
        # The octree keeps rare colours, such as those of the legend; dithering is done with a palette given only.
        palette = smaller.quantize(COLOURS, Image.Quantize.FASTOCTREE)
        smaller.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
        if path.stat().st_size <= LARGEST_BYTES:
            break
        width = width * 9 // 10
    print(f"{path.name}: {width} pixels wide, {path.stat().st_size // 1000} kB", flush=True)


def command_line(folder: Path) -> None:
    """The picture that `ear demo` draws."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as scratch:
        results = Path(scratch, "results")
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path[:3])}
        subprocess.run([sys.executable, "-m", "EARTrainingLib.cli", "demo", "-o", results], env=environment, check=True)
        with Image.open(results / "picture.png") as picture:
            save(np.asarray(picture.convert("RGB")), "EARReconstruction", folder)


def page(folder: Path) -> None:
    """The sample case rebuilt and compared in the page of `ear app`, as Chromium shows it."""
    from driven import Server, missing, start_browser
    from PIL import Image

    if lacking := missing():
        raise RuntimeError(lacking)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as ends:
        server = Server("--port", "0", log=Path(scratch, "log"))
        ends.callback(server.stop)
        browser = start_browser(Path(scratch, "profile"), Path(scratch))
        ends.callback(browser.driver.quit)
        browser.open(server.address)
        browser.click("open-sample")
        browser.until(lambda: browser.state("step") == "reconstruct")
        browser.click("reconstruct")
        browser.until(lambda: browser.state("step") == "results", patience_s=1800)
        browser.click("to-review")
        browser.click("sample-reference")
        browser.until(lambda: browser.state("measured"), patience_s=600)
        time.sleep(10)  # the last frame of the 3-D view comes when nothing else is to be done
        picture = Image.open(io.BytesIO(browser.driver.get_screenshot_as_png()))
        save(np.asarray(picture.convert("RGB")), "EARBrowser", folder)


class Module:
    """One module in the main window, whose widgets are found by their names in the .ui files."""

    def __init__(self, desktop: Any, name: str, folder: Path) -> None:
        self.desktop, self.name, self.folder = desktop, name, folder
        desktop.load_module(ROOT / name / f"{name}.py")
        self.window = desktop.show_main_window(WINDOW_PX)
        self.panel = desktop.open(name)

    def widget(self, name: str) -> Any:
        """A widget of the panel."""
        import slicer

        return slicer.util.findChild(self.panel.parent, name)

    def click(self, name: str) -> None:
        """Click a button."""
        self.desktop.click(self.widget(name))

    def wait(self, happened: Callable[[], bool], timeout_s: float = 1800.0) -> None:
        """Let work go on until something is true. Raises RuntimeError when the work ends without it."""
        panel = self.panel.panel
        self.desktop.wait_until(lambda: happened() or not panel.busy, timeout_s)
        if not happened():
            raise RuntimeError(f"{self.name}: {panel.ui.messageLabel.text}")

    def turn(self, azimuth_deg: float, zoom: float) -> None:
        """Look at the whole scene in 3-D from a side, without the box around it. 0 degrees: from the front."""
        import slicer

        view = slicer.app.layoutManager().threeDWidget(0).threeDView()
        view.mrmlViewNode().SetBoxVisible(False)
        view.lookFromAxis(5)  # ctkAxesWidget.Anterior
        view.resetFocalPoint()
        camera = view.cameraNode().GetCamera()
        camera.Azimuth(azimuth_deg)
        camera.Zoom(zoom)

    def picture(self, name: str, top: str | None = None) -> None:
        """Take the whole window, with a widget of the panel scrolled into view."""
        if top is not None:
            self.widget("scrollArea").ensureWidgetVisible(self.widget(top))
        self.desktop.wait_until(lambda: True)
        save(self.desktop.grab(self.window), f"{self.name}-{name}", self.folder)


def reconstruction(desktop: Any, folder: Path) -> None:
    """The surgeon's way through EAR Reconstruction with the sample case."""
    module = Module(desktop, "EARReconstruction", folder)
    module.click("sampleButton")
    module.picture("XRays")
    module.click("reconstructButton")
    module.wait(lambda: module.widget("compareButton").enabled)
    module.click("compareButton")
    module.wait(lambda: module.widget("worstButton").enabled)
    module.turn(-60, 1.05)
    module.picture("Review", top="saveButton")


def training(desktop: Any, folder: Path) -> None:
    """The trial of EAR Training, on made-up spines: a vertebra with its X-rays, and the curves of a small network."""
    module = Module(desktop, "EARTraining", folder)
    node = module.panel.logic.getParameterNode()
    scratch = Path(tempfile.gettempdir(), "EARTraining")  # it is seen in the pictures
    shutil.rmtree(scratch, ignore_errors=True)
    for name in ("data", "run", "evaluation"):
        setattr(node, f"{name}Folder", str(scratch / name))
    module.widget("pythonPath").currentPath = sys.executable
    module.widget("otherRadioButton").checked = True
    module.click("trialButton")
    module.click("prepareButton")
    module.wait(lambda: module.widget("showButton").enabled)
    node.vertebra = "phantom-phantom0000-L1"
    module.click("showButton")
    module.picture("Look")
    module.click("trainButton")
    module.wait(lambda: bool(node.models))
    node.figures = False
    data, look, train, evaluate, *_ = module.panel.panel.sections
    data.widget.collapsed = look.widget.collapsed = True
    train.widget.collapsed = evaluate.widget.collapsed = False
    module.click("evaluateButton")
    module.wait(lambda: not module.panel.panel.busy)
    module.picture("Train", top="evaluateButton")
    shutil.rmtree(scratch)


def main() -> int:
    """Take all pictures, or those that are named; the process's exit status."""
    alone = {"command-line": command_line, "page": page}
    on_desktop = {"reconstruction": reconstruction, "training": training}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", nargs="*", choices=[*alone, *on_desktop, []], help="default: all")
    parser.add_argument("--output", type=Path, default=FOLDER, metavar="FOLDER")
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    wanted = given.pictures or [*alone, *on_desktop]
    from standin import why_not

    if reason := why_not():
        print(reason, file=sys.stderr)
        return 1
    for name in (name for name in alone if name in wanted):
        alone[name](given.output)
    from standin.desktop import Desktop

    desktop = Desktop()
    try:
        for name in (name for name in on_desktop if name in wanted):
            on_desktop[name](desktop, given.output)
            desktop.clear()
    finally:
        desktop.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
