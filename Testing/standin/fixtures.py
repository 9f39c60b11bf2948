"""pytest's fixtures: one desktop for all tests of a process, cleared after each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from . import why_not


@pytest.fixture(scope="session")
def desktop_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The desktop; the test is skipped where it cannot run."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    from .desktop import Desktop

    # Each conftest.py that hands this fixture on makes a fixture of its own of it.
    if not _desktops:
        _desktops.append(Desktop(tmp_path_factory.mktemp("desktop")))
    yield _desktops[0]
    _desktops[0].close()


#: The desktop of this process, once it has been made.
_desktops: list[Any] = []


@pytest.fixture
def desktop(desktop_of_session: Any) -> Iterator[Any]:
    """A desktop as after the start. The test fails when it leaves an uncaught error or an unused answer."""
    from . import dialogs, failures

    yield desktop_of_session
    desktop_of_session.process_events()
    left, unused = list(failures.uncaught), list(dialogs.answers)
    desktop_of_session.clear()
    assert not left, f"not caught by the module: {left}"
    assert not unused, f"answers to dialogs that never came: {unused}"


@pytest.fixture
def slicer(desktop: Any) -> Any:
    """The package ``slicer`` with the desktop in it."""
    import slicer

    return slicer


@pytest.fixture
def qt(desktop: Any) -> Any:
    """The module ``qt``."""
    import qt

    return qt


@pytest.fixture
def ctk(desktop: Any) -> Any:
    """The module ``ctk``."""
    import ctk

    return ctk


@pytest.fixture
def parameters(slicer: Any) -> Callable[..., Any]:
    """A function that makes a parameter node with the annotations given, and the defaults in ``defaults``."""
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    def make(defaults: dict[str, Any] | None = None, node: Any = None, **annotations: Any) -> Any:
        cls = type("Parameters", (), {"__annotations__": annotations, **(defaults or {})})
        node = node or slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
        return parameterNodeWrapper(cls)(node)

    return make
