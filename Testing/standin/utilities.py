"""What the desktop adds to ``slicer.util`` of slicer-core, or has newer than it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import inspect
import sys
import types
from collections.abc import Iterator
from typing import Any

import slicer
import slicer.util
from packaging.requirements import Requirement

from . import processes

#: What a module asked pip for; nothing is ever installed.
pip_calls: list[Any] = []


class NothingIsInstalled(RuntimeError):
    """The answer of the stand-in to every installation."""


def pip_install(requirements: Any, *_: Any, **__: Any) -> None:
    """Keep what was asked for, and refuse."""
    if not isinstance(requirements, (str, list)):
        raise ValueError("pip_install requirement input must be string or list")
    pip_calls.append(requirements)
    raise NothingIsInstalled(f"the stand-in installs nothing: {requirements}")


def _requirements(given: Any) -> list[Requirement]:
    if isinstance(given, str):
        given = given.split()
    each = given if isinstance(given, list) else [given]
    return [Requirement(item) if isinstance(item, str) else item for item in each]


def pip_check(requirements: Any) -> bool:
    """Whether requirements are installed."""
    for requirement in _requirements(requirements):
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            return False
        if not requirement.specifier.contains(version, prereleases=True):
            return False
    return True


def pip_ensure(
    requirements: Any,
    constraints: Any = None,
    skip_packages: Any = None,
    prompt_install: bool = True,
    prompt_restart: bool = True,
    requester: str | None = None,
    skip_in_testing: bool = True,
    show_progress: bool = True,
) -> None:
    """Ask, then install what is missing. Raises RuntimeError when the answer is no."""
    missing = [str(each) for each in _requirements(requirements) if not pip_check(each)]
    if not missing or (skip_in_testing and slicer.app.testingEnabled()):
        return
    question = f"{len(missing)} Python packages need to be installed.\n\nThis will modify Slicer's Python environment."
    if prompt_install and not slicer.util.confirmOkCancelDisplay(question, detailedText="\n".join(missing)):
        raise RuntimeError("User declined package installation")
    pip_install(missing)


def tr(text: str) -> str:
    """``slicer.i18n.tr``: the text; every language here is English."""
    if not isinstance(text, str):
        raise TypeError(f"a text to translate is a string, not {type(text).__name__}")
    return text


def translate(context: str, text: str) -> str:
    """``slicer.i18n.translate``."""
    return tr(text)


def getContext(sourceFile: str) -> str:
    """``slicer.i18n.getContext``: the name that translators see."""
    return inspect.getmodulename(sourceFile) or sourceFile


def executePythonModule(module: str, args: list[str], **options: Any) -> None:
    """Run ``python -m module``; pip is refused."""
    if module == "pip":
        pip_install(list(args))
    process = launchConsoleProcess([sys.executable, "-m", module, *args], useStartupEnvironment=False, **options)
    if options.get("blocking", True):
        slicer.util.logProcessOutput(process)


launchConsoleProcess = processes.launchConsoleProcess


def install() -> None:
    """Put this where modules look for it."""
    for function in (launchConsoleProcess, pip_install, executePythonModule):
        setattr(slicer.util, function.__name__, function)
    slicer.util.pip_uninstall = pip_install
    slicer.util._executePythonModule = executePythonModule
    _add_module("slicer.i18n", tr=tr, translate=translate, getContext=getContext)
    _add_module("slicer.packaging", pip_check=pip_check, pip_ensure=pip_ensure, pip_install=pip_install)


@contextlib.contextmanager
def as_slicer_5_10() -> Iterator[None]:
    """Inside, what Slicer 5.12 brought is not there."""
    newer, values = sys.modules.pop("slicer.packaging"), slicer.app._d.values
    delattr(slicer, "packaging")
    slicer.util.launchConsoleProcess = processes.launch_of_5_10
    values["minorVersion"] = values["mainApplicationMinorVersion"] = 10
    slicer.app.setApplicationVersion("5.10.0")
    try:
        yield
    finally:
        sys.modules["slicer.packaging"] = slicer.packaging = newer
        slicer.util.launchConsoleProcess = launchConsoleProcess
        values["minorVersion"] = values["mainApplicationMinorVersion"] = 12
        slicer.app.setApplicationVersion("5.12.0")


def _add_module(name: str, **members: Any) -> None:
    module = types.ModuleType(name)
    vars(module).update(members)
    sys.modules[name] = module
    setattr(slicer, name.rpartition(".")[2], module)
