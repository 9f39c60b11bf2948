"""PyTorch at the click: what is said of it, and how it is offered. Nothing is ever installed here."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import subprocess
import sys
import types
from typing import Any

import pytest


@pytest.fixture
def torch_module(desktop: Any) -> Any:
    """panel/torch.py."""
    return importlib.import_module("EARReconstructionLib.panel.torch")


@pytest.fixture
def without_torch(desktop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as nobody installs it, torch cannot be imported."""
    monkeypatch.setitem(sys.modules, "torch", None)
    desktop.pytorch.installed = False


@pytest.fixture
def without_safetensors(torch_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """safetensors is not installed."""
    found, version = torch_module._found, importlib.metadata.version

    def version_of(name: str) -> str:
        if name == "safetensors":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(torch_module, "_found", lambda name: name != "safetensors" and found(name))
    monkeypatch.setattr(importlib.metadata, "version", version_of)


class TestDescription:
    """The line beside the device."""

    def test_what_is_in_use(self, torch_module: Any) -> None:
        import torch

        assert torch_module.description().startswith(f"PyTorch {torch.__version__}: ")

    def test_a_cuda_device(self, torch_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        import torch

        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Card 9000")
        assert torch_module.description().endswith(": Card 9000")

    def test_not_installed(self, torch_module: Any, without_torch: None) -> None:
        assert torch_module.description() == (
            "PyTorch is not installed: it will be offered at the first reconstruction"
        )

    def test_half_imported(self, torch_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another thread imports it: only its version is known."""
        half = types.ModuleType("torch")
        half.__spec__ = importlib.util.find_spec("torch")
        monkeypatch.setitem(sys.modules, "torch", half)
        assert torch_module.description() == f"PyTorch {importlib.metadata.version('torch')}"


class TestRequire:
    """What happens at the click."""

    def test_all_is_there(self, desktop: Any, torch_module: Any) -> None:
        torch_module.require()
        assert (desktop.pytorch.calls, desktop.pip_calls, desktop.dialogs) == ([], [], [])

    def test_it_is_offered_once(self, desktop: Any, torch_module: Any, without_torch: None) -> None:
        desktop.pytorch.installs = True
        torch_module.require()
        assert [call["askConfirmation"] for call in desktop.pytorch.calls] == [True]
        assert desktop.pytorch.calls[0]["torchVersionRequirement"] == ">=2.4"

    def test_nobody_agrees(self, desktop: Any, torch_module: Any, without_torch: None) -> None:
        from EARReconstructionLib.errors import DeviceError

        desktop.pytorch.installs = False
        with pytest.raises(DeviceError, match="it was not installed"):
            torch_module.require()

    def test_no_extension(self, torch_module: Any, without_torch: None, monkeypatch: pytest.MonkeyPatch) -> None:
        from EARReconstructionLib.errors import DeviceError

        monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
        with pytest.raises(DeviceError, match="Install the extension PyTorch in the Extensions Manager"):
            torch_module.require()

    def test_the_network_fails(self, torch_module: Any, without_torch: None, monkeypatch: pytest.MonkeyPatch) -> None:
        import PyTorchUtils
        from EARReconstructionLib.errors import DeviceError

        def fail(*_: Any, **__: Any) -> None:
            raise subprocess.CalledProcessError(1, ["pip"])

        monkeypatch.setattr(PyTorchUtils.PyTorchUtilsLogic, "installTorch", fail)
        with pytest.raises(DeviceError, match=r"could not be installed \(Command .*\)\. Check the network"):
            torch_module.require()

    def test_too_old(self, torch_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from EARReconstructionLib.errors import DeviceError

        monkeypatch.setattr(torch_module, "_version", lambda package: "1.13.1+cu117")
        with pytest.raises(DeviceError, match=r"version 1\.13\.1\+cu117 is installed, 2\.4 or newer is needed"):
            torch_module.require()

    def test_damaged(self, torch_module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from EARReconstructionLib.errors import DeviceError

        def fail(name: str) -> None:
            raise OSError("libc10.so: cannot open shared object file")

        monkeypatch.setattr(torch_module.importlib, "import_module", fail)
        with pytest.raises(DeviceError, match=r"cannot be loaded \(libc10\.so.*Uninstall it in the module"):
            torch_module.import_torch()


class TestSafetensors:
    """Slicer ships no safetensors."""

    def test_it_is_asked_for(self, desktop: Any, torch_module: Any, without_safetensors: None, qt: Any) -> None:
        from EARReconstructionLib.errors import DeviceError

        desktop.answer(qt.QMessageBox.Ok)
        with pytest.raises(DeviceError, match="safetensors: it could not be installed"):
            torch_module.require()
        assert desktop.pip_calls == [["safetensors>=0.4"]]

    def test_before_slicer_5_12(self, desktop: Any, torch_module: Any, without_safetensors: None, qt: Any) -> None:
        from EARReconstructionLib.errors import DeviceError

        with desktop.as_slicer_5_10():
            desktop.answer(qt.QMessageBox.Ok)
            with pytest.raises(DeviceError, match="could not be installed"):
                torch_module.require()
        assert desktop.pip_calls == ["safetensors>=0.4"]

    def test_nobody_agrees(self, desktop: Any, torch_module: Any, without_safetensors: None, qt: Any) -> None:
        from EARReconstructionLib.errors import DeviceError

        with desktop.as_slicer_5_10():
            desktop.answer(qt.QMessageBox.Cancel)
            with pytest.raises(DeviceError, match="safetensors: it was not installed"):
                torch_module.require()
        assert desktop.pip_calls == []


def test_opening_the_panel_imports_no_torch(driver: Any) -> None:
    """In a process of its own: this one has imported it long ago."""
    code = (
        "import sys; sys.path[:0] = {paths!r}; from standin.desktop import Desktop; desktop = Desktop();"
        "desktop.load_module({module!r}); panel = desktop.open('EARReconstruction');"
        "panel.logic.showSampleCase(); desktop.process_events(); desktop.check();"
        "assert panel.reconstruct.ui.reconstructButton.enabled; print('torch' in sys.modules)"
    )
    module = driver.widget.resourcePath("..") + "/EARReconstruction.py"
    done = subprocess.run(
        [sys.executable, "-c", code.format(paths=[p for p in sys.path if p], module=module)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip().endswith("False"), done.stderr[-2000:]
