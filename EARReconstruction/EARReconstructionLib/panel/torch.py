"""PyTorch, and safetensors that reads model files: what is there, and how to get it at the click that needs it.

Nothing here imports torch on the main thread: that takes seconds, and the window would stand still.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
import sys
from types import ModuleType

import slicer
from slicer.i18n import tr as _

from ..errors import DeviceError

#: What pyproject.toml asks for.
MINIMUM = (2, 4)
SAFETENSORS = "safetensors>=0.4"

_REQUESTER = "EAR Reconstruction"


def description() -> str:
    """Build of PyTorch and the device that it sees, as far as this can be known without importing it."""
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "cuda"):  # not while another thread imports it
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else _("no CUDA device, uses the CPU")
        return _("PyTorch {version}: {device}").format(version=torch.__version__, device=device)
    if _found("torch"):
        return _("PyTorch {version}").format(version=_version("torch"))
    return _("PyTorch is not installed: it will be offered at the first reconstruction")


def missing() -> list[str]:
    """What a reconstruction needs and is not installed."""
    return [package for package in ("torch", "safetensors") if not _found(package)]


def require() -> None:
    """Offer to install what a reconstruction needs, on the main thread, and return when it is there.

    Raises DeviceError when it is not: nobody agreed, the extension is missing, or the installation failed.
    """
    if not _found("torch"):
        _install_torch()
    have = tuple(int(part) for part in re.findall(r"\d+", _version("torch"))[:2])
    if have and have < MINIMUM:
        raise DeviceError(
            "PyTorch",
            _("version {version} is installed, {minimum} or newer is needed").format(
                version=_version("torch"), minimum=".".join(map(str, MINIMUM))
            ),
            _("Uninstall it in the module PyTorch Utils, restart 3D Slicer, then reconstruct again"),
        )
    if not _found("safetensors"):
        _install_safetensors()


def import_torch() -> ModuleType:
    """Import torch, on any thread. Raises DeviceError when it is damaged."""
    try:
        return importlib.import_module("torch")
    except (ImportError, OSError) as error:  # a library of its own that is missing is an OSError
        raise DeviceError(
            "PyTorch",
            _("it is installed but cannot be loaded ({reason})").format(reason=error),
            _("Uninstall it in the module PyTorch Utils, restart 3D Slicer, then reconstruct again"),
        ) from error


def _install_torch() -> None:
    try:
        import PyTorchUtils
    except ImportError:
        raise DeviceError(
            "PyTorch",
            _("it is not installed, and neither is the extension PyTorch that can do it"),
            _("Install the extension PyTorch in the Extensions Manager, restart 3D Slicer, then reconstruct again"),
        ) from None
    minimum = ".".join(map(str, MINIMUM))
    try:
        installed = PyTorchUtils.PyTorchUtilsLogic().installTorch(
            askConfirmation=True, torchVersionRequirement=f">={minimum}"
        )
    except Exception as error:  # whatever pip and the network come up with
        raise _not_installed("PyTorch", error) from error
    importlib.invalidate_caches()
    if installed is None:
        raise DeviceError("PyTorch", _("it was not installed"), _("Reconstruct again when it may be installed"))


def _install_safetensors() -> None:
    try:
        try:
            from slicer.packaging import pip_ensure
        except ImportError:  # before Slicer 5.12
            question = _("The Python package safetensors, which reads model files, will be installed (0.5 MB).")
            if slicer.util.confirmOkCancelDisplay(question, _REQUESTER):
                slicer.util.pip_install(SAFETENSORS)
        else:
            pip_ensure(SAFETENSORS, requester=_REQUESTER)  # it asks by itself
    except Exception as error:  # whatever pip and the network come up with
        raise _not_installed("safetensors", error) from error
    importlib.invalidate_caches()
    if not _found("safetensors"):
        raise DeviceError("safetensors", _("it was not installed"), _("Reconstruct again when it may be installed"))


def _not_installed(package: str, error: Exception) -> DeviceError:
    return DeviceError(
        package,
        _("it could not be installed ({reason})").format(reason=error),
        _("Check the network connection and the free disk space, then reconstruct again"),
    )


def _found(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""
