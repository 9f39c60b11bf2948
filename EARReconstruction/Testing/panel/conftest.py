"""The module in the desktop stand-in, with a main window, opened."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "Testing"))

from standin.fixtures import ctk, desktop, desktop_of_session, parameters, qt, slicer

__all__ = ["ctk", "desktop", "desktop_of_session", "parameters", "qt", "slicer"]

MODULE = Path(__file__).resolve().parents[2] / "EARReconstruction.py"


class Driver:
    """The opened module as a person uses it. widget: the module's widget; ui: the widgets of all sections by name."""

    def __init__(self, desktop: Any) -> None:
        import slicer

        self.desktop = desktop
        self.scene = slicer.mrmlScene
        desktop.load_module(MODULE)
        self.open()

    def open(self) -> None:
        """Open the module's panel, anew after a reload."""
        self.widget = self.desktop.open("EARReconstruction")
        self.panel = self.widget.panel
        self.ui = SimpleNamespace(**vars(self.panel.ui))
        for section in self.panel.sections:
            vars(self.ui).update(vars(section.ui))
        self.settle()

    def settle(self) -> None:
        """Let everything that waits happen. Raises what a slot, an observer or a thread raised."""
        self.desktop.process_events()
        self.desktop.check()

    def click(self, name: str) -> None:
        """Click a button by its name in the .ui files."""
        self.desktop.click(getattr(self.ui, name))
        self.settle()

    def choose(self, name: str, index: int) -> None:
        """Choose an item of a combo box."""
        combo = getattr(self.ui, name)
        assert combo.enabled, f"{name} is disabled"
        combo.setCurrentIndex(index)
        combo.activated.emit(index)
        self.settle()

    def wait(self, timeout_s: float = 60.0) -> None:
        """Wait for the work of the panel to end."""
        self.desktop.wait_until(lambda: not self.panel.busy, timeout_s)
        self.settle()

    @property
    def message(self) -> str:
        """What the message line says."""
        return str(self.panel.ui.messageLabel.text)

    @property
    def parameters(self) -> Any:
        """The parameter node."""
        return self.panel.parameterNode

    def view(self, name: str) -> Any:
        """A slice view ("EARFrontal", "EARLateral", "Red") or the 3-D view ("1")."""
        layouts = self.desktop.layout_manager()
        widget = layouts.threeDWidget(0) if name == "1" else layouts.sliceWidget(name)
        return widget.threeDView() if name == "1" else widget.sliceView()

    def drag(self, name: str, start_ras: Any, end_ras: Any) -> None:
        """Drag the mouse over a slice view, from and to points in RAS mm."""
        view = self.view(name)
        view.forceRender()  # handles are placed when they are drawn
        self.desktop.drag(view, *(view.convertRASToXYZ(tuple(point))[:2] for point in (start_ras, end_ras)))
        self.settle()

    def grab(self, path: Path | None = None) -> NDArray[np.uint8]:
        """A picture of the whole window."""
        return self.desktop.grab(self.desktop.window, path)


@pytest.fixture
def driver(desktop: Any) -> Driver:
    """The module, opened on an empty scene."""
    return Driver(desktop)


@pytest.fixture(scope="session")
def make_model() -> Callable[[Path], Path]:
    """A function that writes a bundle of a network so small that it takes no time. What it draws is no vertebra."""
    import torch
    from EARReconstructionLib.bundle import Bundle, save_bundle
    from EARReconstructionLib.case import read_case
    from EARReconstructionLib.model_card import ModelCard
    from EARReconstructionLib.networks import build
    from EARReconstructionLib.reconstruction import reconstruct
    from EARReconstructionLib.resources import SAMPLE_CASE
    from EARReconstructionLib.vertebra import LEVELS

    torch.manual_seed(0)
    network = build("EAR", width=2)
    card = ModelCard(
        name="tiny",
        architecture="EAR",
        arguments={"width": 2},
        size=32,
        spacing_mm=3.0,
        lift="backproject",
        hu_mean=0.0,
        hu_sd=500.0,
        threshold_hu=0.0,
        angle_range_deg=(74.0, 106.0),
        sod_range_mm=(530.0, 1600.0),
        protocol="in-situ",
        levels=LEVELS,
        data_licence="none",
    )
    case = read_case(SAMPLE_CASE)
    one = reconstruct(
        case.radiographs, case.geometry, case.rois[:1], Bundle(card, network.state_dict(), "0"), device="cpu"
    )[0]
    card = replace(card, threshold_hu=float(np.percentile(one.volume_hu, 80)))  # or nothing is bone, or all is

    def make(path: Path) -> Path:
        save_bundle(path, replace(card, name=path.stem), network)
        return path

    return make


@pytest.fixture
def case(driver: Driver, make_model: Callable[[Path], Path], tmp_path: Path) -> Driver:
    """The module with the sample case, and a model that takes no time."""
    driver.click("sampleButton")
    driver.parameters.model = str(make_model(tmp_path / "tiny.safetensors"))
    driver.settle()
    return driver


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Event:
    """A reconstruction that waits before its second vertebra until it is cancelled, or until this is set."""
    from EARReconstructionLib import reconstruction

    run, count, go_on = reconstruction.run_network, iter(range(1000)), Event()

    def slowly(*arguments: Any) -> Any:
        if next(count) == 1:
            go_on.wait(30)
        return run(*arguments)

    monkeypatch.setattr(reconstruction, "run_network", slowly)
    return go_on


@pytest.fixture(scope="session")
def rebuilt() -> list[Any]:
    """L1 and L2 of the sample case, by the model that draws edges too."""
    from EARReconstructionLib.bundle import load_bundle
    from EARReconstructionLib.case import read_case
    from EARReconstructionLib.reconstruction import reconstruct
    from EARReconstructionLib.resources import SAMPLE_CASE, find_model

    case = read_case(SAMPLE_CASE)
    rois = [roi for roi in case.rois if roi.level in ("L1", "L2")]
    return reconstruct(case.radiographs, case.geometry, rois, load_bundle(find_model("ear-column-64")), device="cpu")


@pytest.fixture
def results(driver: Driver, rebuilt: list[Any]) -> Driver:
    """The module with the sample case and L1 and L2 rebuilt, as if the button had done it."""
    from EARReconstructionLib.scene.results import show_results

    driver.click("sampleButton")
    show_results(driver.scene, rebuilt)
    driver.parameters.run = rebuilt[0].model
    driver.settle()
    return driver
