"""`ear app` in a process, and a browser that looks at it with a real mouse; for the tests and for benchmarks/app.py."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[3]

#: A page ends so soon after its browser has gone, s: nobody waits for it to come back.
GRACE_S = 2.0

#: The machine that tests may be busy: nothing here measures time.
PATIENCE_S = 60.0

#: Of the page's state, what tells why something did not happen.
_TOLD = ("message", "step", "busy", "job_title", "sending")


class Server:
    """One `ear app` in a process of its own."""

    def __init__(self, *options: str, log: Path) -> None:
        paths = [str(ROOT / "EARReconstruction"), str(ROOT / "EARTraining")]
        program = (
            "from EARReconstructionLib.app import pages; from EARTrainingLib.cli import main; "
            f"pages.GRACE_S = {GRACE_S}; main()"
        )
        self._log = log.open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, "app", "--no-browser", *options],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "2"},
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"open at (http://(\S+):(\d+)/(?:\?token=(\S+))?)", line):
                self.address, self.port, self.token = found[1], int(found[3]), found[4]
                return
        raise RuntimeError(f"the server did not start: {log.read_text()}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it as Ctrl-C does, or in another way."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        self.process.wait(60)
        self._log.close()

    def pages(self) -> list[int]:
        """Process ids of its pages."""
        return [
            int(pid.name)
            for pid in Path("/proc").glob("[0-9]*")
            if f"\nPPid:\t{self.process.pid}\n" in _read(pid / "status") and "app.page" in _read(pid / "cmdline")
        ]


class Browser:
    """A tab of headless Chromium."""

    def __init__(self, driver: Any, downloads: Path) -> None:
        self.driver, self.downloads = driver, downloads

    def open(self, address: str) -> None:
        """Go to an address and wait for the page."""
        self.driver.get(address)
        self.until(lambda: self.there("open-sample"))

    def there(self, element_id: str) -> bool:
        """Whether an element is there."""
        return bool(self.driver.find_elements("id", element_id))

    def text(self, element_id: str) -> str:
        """The text of an element."""
        return str(self.driver.find_element("id", element_id).text)

    def state(self, name: str) -> Any:
        """A value of the page's state."""
        return self.driver.execute_script("return window.trame.state.get(arguments[0])", name)

    def states(self, *names: str) -> list[Any]:
        """Values of the page's state at one moment: read one by one, each may be of another."""
        values: list[Any] = self.driver.execute_script("return arguments[0].map(n => window.trame.state.get(n))", names)
        return values

    def click(self, element_id: str) -> None:
        """Click an element, once it can be: it is there, enabled, and nothing that still moves lies over it."""

        def clicked() -> bool:
            element = self.driver.find_element("id", element_id)
            if not element.is_enabled():
                return False
            self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
            element.click()
            return True

        self.until(clicked)

    def show(self, step: str) -> None:
        """Open a step."""
        if self.state("step") != step:
            self.click(f"{step}-head")

    def call(self, name: str, *arguments: Any) -> None:
        """What a click would call."""
        self.driver.execute_script("window.trame.trigger(arguments[0], arguments[1])", name, list(arguments))

    def upload(self, purpose: str, path: Path) -> None:
        """Give a file to the field for a purpose."""
        field = self.driver.find_element("id", f"file-{purpose}")
        self.driver.execute_script("arguments[0].value = ''", field)  # the same file again is a change too
        field.send_keys(str(path))

    def until(self, what: Callable[[], Any], patience_s: float = PATIENCE_S) -> Any:
        """Wait until something is so."""
        from selenium.common.exceptions import WebDriverException

        end, answer = time.monotonic() + patience_s, None
        while time.monotonic() < end:
            try:
                answer = what()
            except WebDriverException as error:
                answer = None
                trouble = str(error)
            else:
                trouble = ""
            if answer:
                return answer
            time.sleep(0.1)
        picture = self.downloads / "timeout.png"
        self.driver.save_screenshot(str(picture))
        now = dict(zip(_TOLD, self.states(*_TOLD), strict=True))
        raise TimeoutError(f"it did not happen ({trouble}); {picture}; the page's state is {now}")

    def pixels(self, role: str) -> NDArray[np.uint8]:
        """(H, W, 3) of a view as the browser shows it."""
        from PIL import Image

        rect = self.rect(role)
        image = Image.open(io.BytesIO(self.driver.get_screenshot_as_png())).convert("RGB")
        x, y = int(rect["x"]), int(rect["y"])
        return np.asarray(image)[y : y + int(rect["height"]), x : x + int(rect["width"])]

    def rect(self, role: str) -> dict[str, float]:
        """Place of a view in the page."""
        rect: dict[str, float] = self.driver.find_element("id", f"view-{role}").rect
        return rect

    def drag(self, start: tuple[float, float], step: tuple[float, float], moves: int = 6, pause_s: float = 0.1) -> None:
        """Press the left button, move and release it, in pixels of the page; pause_s: between two moves."""
        from selenium.webdriver.common.action_chains import ActionChains

        actions = ActionChains(self.driver, duration=20)
        mouse = actions.w3c_actions.pointer_action
        mouse.move_to_location(round(start[0]) + 2, round(start[1]))
        mouse.pause(0.4)
        mouse.move_to_location(round(start[0]), round(start[1]))
        mouse.pause(0.4)
        mouse.pointer_down()
        mouse.pause(0.3)
        for n in range(1, moves + 1):
            mouse.move_to_location(round(start[0] + step[0] * n / moves), round(start[1] + step[1] * n / moves))
            mouse.pause(pause_s)
        mouse.pause(0.4)
        mouse.pointer_up()
        actions.perform()


def start_browser(profile: Path, downloads: Path, size: tuple[int, int] = (1280, 720)) -> Browser:
    """Debian's Chromium without a screen; ``missing`` says whether it is there."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for word in (
        "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --hide-scrollbars "
        f"--disable-background-networking --disable-component-update --disable-sync --user-data-dir={profile}"
    ).split():
        options.add_argument(word)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
    return Browser(driver, downloads)


def missing() -> str:
    """What a browser test lacks here, as a sentence; empty when all is there."""
    for name in ("trame_slicer", "selenium", "torch"):
        if find_spec(name) is None:
            return f"{name} is not installed"
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        return "there is no Chromium: apt-get install chromium chromium-driver"
    return ""


def _read(path: Path) -> str:
    """Text of a file of /proc; nothing when its process has gone."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
