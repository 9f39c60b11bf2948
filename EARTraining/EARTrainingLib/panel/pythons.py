"""The Python that runs the commands: 3D Slicer's own, or one that the user chose, such as a virtual environment's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import EARReconstructionLib
import slicer
from EARReconstructionLib.errors import EARError
from EARReconstructionLib.panel import torch
from slicer.i18n import tr as _

import EARTrainingLib

from ..libraries import FOUNDATION, REQUIREMENTS

#: Setting of the user: the program, "" for Slicer's own.
SETTING = "EARTraining/Python"


@dataclass(frozen=True)
class Python:
    """program: its file. slicers: whether it is Slicer's own."""

    program: str
    slicers: bool

    @property
    def name(self) -> str:
        """For sentences."""
        return _("3D Slicer's own Python") if self.slicers else self.program


def chosen() -> Python:
    """The Python that the user wants. Raises EARError when it is not there."""
    program = setting()
    if program:
        if not Path(program).is_file():
            raise EARError(
                program, _("there is no such program"), _("Choose another Python in the section Python and log")
            )
        return Python(program, False)
    own = shutil.which("PythonSlicer")
    if own is None:
        raise EARError(
            "PythonSlicer",
            _("3D Slicer's own Python was not found"),
            _("Choose another Python, or reinstall 3D Slicer"),
        )
    return Python(own, True)


def setting() -> str:
    """The program that the user chose, "" for Slicer's own."""
    return str(slicer.app.userSettings().value(SETTING) or "")


def choose(program: str) -> None:
    """Keep the user's choice."""
    slicer.app.userSettings().setValue(SETTING, program)


def environment() -> dict[str, str]:
    """What a Python needs to find our Libs and to speak UTF-8 on every system."""
    folders = {str(Path(lib.__file__ or "").parents[1]) for lib in (EARTrainingLib, EARReconstructionLib)}
    return {"PYTHONPATH": os.pathsep.join(sorted(folders)), "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


def check(python: Python, libraries: Mapping[str, str]) -> None:
    """Raise EARError when libraries are missing. libraries: as EARTrainingLib.libraries tells them."""
    missing = [name for name, version in libraries.items() if not version]
    if not missing:
        return
    cause = _("it lacks {libraries}").format(libraries=", ".join(missing))
    if python.slicers:
        raise EARError(python.name, cause, _("Press Install libraries in the section Python and log"))
    needed = " ".join(f'"{REQUIREMENTS.get(name, name)}"' for name in missing)
    raise EARError(python.name, cause, _("Install them in a terminal: {command}").format(
        command=f"{python.program} -m pip install {needed}"))  # fmt: skip


def install(libraries: Mapping[str, str]) -> None:
    """Install what Slicer's own Python lacks, after asking. PyTorch only through its extension. Raises EARError."""
    if not libraries.get("torch"):
        torch.require()
    missing = [REQUIREMENTS[name] for name, version in libraries.items() if not version and name not in FOUNDATION]
    if not missing:
        return
    try:
        try:
            from slicer.packaging import pip_ensure
        except ImportError:  # before Slicer 5.12
            question = _("These Python packages will be installed into 3D Slicer: {names}").format(
                names=", ".join(missing)
            )
            if slicer.util.confirmOkCancelDisplay(question, _("EAR Training")):
                slicer.util.pip_install(missing)
        else:
            pip_ensure(missing, requester=_("EAR Training"))  # it asks by itself
    except Exception as error:  # whatever pip and the network come up with
        raise EARError(
            _("training libraries"),
            _("they were not installed ({reason})").format(reason=error),
            _("Check the network and the free disk space, or choose another Python"),
        ) from error
