"""The Python that works: Slicer's own or another one, what it lacks, and how to get it."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def bare(place):
    """A Python without any library."""
    program = place / "bare" / "PythonSlicer"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return program


@pytest.fixture
def own(driver, bare, monkeypatch):
    """Slicer's own Python is the bare one."""
    import os

    monkeypatch.setenv("PATH", f"{bare.parent}{os.pathsep}{os.environ['PATH']}")
    return driver


def use(driver, program):
    driver.ui.python.otherRadioButton.checked = True
    driver.ui.python.pythonPath.currentPath = str(program)
    driver.settle()


def test_one_that_has_everything(driver):
    driver.click("python.checkPythonButton")
    driver.wait()
    assert driver.message == "This Python has all that is needed."
    assert "lightning 2" in driver.ui.python.librariesLabel.text
    button = driver.ui.python.installButton
    assert (button.enabled, button.toolTip) == (False, "Nothing is missing")


def test_another_one_that_lacks_libraries(driver, bare):
    use(driver, bare)
    driver.set(sources=["phantoms:3"])
    driver.sections.python.widget.collapsed = True
    driver.click("data.checkButton")
    driver.wait()
    assert "it lacks torch, numpy" in driver.message
    assert f'Install them in a terminal: {bare} -m pip install "torch" "numpy"' in driver.message
    assert '"lightning>=2.6"' in driver.message
    assert not driver.sections.python.widget.collapsed
    assert driver.ui.python.installButton.toolTip == "Only 3D Slicer's own Python is changed from here"
    assert driver.ui.data.checkButton.enabled


def test_slicers_own_lacks_libraries(own, slicer):
    own.set(sources=["phantoms:3"])
    assert own.ui.python.installButton.toolTip == "Press Check first"
    own.click("data.checkButton")
    own.wait()
    assert own.message.startswith("3D Slicer's own Python: it lacks torch")
    assert own.message.endswith("Press Install libraries in the section Python and log.")
    assert own.ui.python.installButton.enabled


def test_pytorch_comes_from_its_extension_and_the_rest_from_pip(own, monkeypatch):
    from EARReconstructionLib.panel import torch

    asked = []
    monkeypatch.setattr(torch, "require", lambda: asked.append("torch"))
    own.click("python.checkPythonButton")
    own.wait()
    installed = []
    monkeypatch.setattr("slicer.packaging.pip_ensure", lambda *args, **options: installed.append((args, options)))
    own.click("python.installButton")
    own.wait()
    assert asked == ["torch"]
    ((requirements,), options) = installed[0]
    assert "lightning>=2.6" in requirements
    assert not any(one.startswith(("torch", "numpy", "SimpleITK", "vtk")) for one in requirements)
    assert options == {"requester": "EAR Training"}
    assert "it lacks" in own.message  # nothing was really installed, and that is said


def test_pip_that_fails_is_a_sentence(own, monkeypatch):
    from EARReconstructionLib.panel import torch

    def fail(*_, **__):
        raise RuntimeError("no network")

    monkeypatch.setattr(torch, "require", lambda: None)
    monkeypatch.setattr("slicer.packaging.pip_ensure", fail)
    own.click("python.checkPythonButton")
    own.wait()
    own.click("python.installButton")
    assert own.message.startswith("training libraries: they were not installed (no network). Check the network")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "none", "there is no such program"),
        (lambda folder: _text(folder / "text"), "it cannot be started"),
        (lambda folder: _program(folder / "strange", "echo hello"), "ended unexpectedly with status 0 (hello)"),
        (lambda folder: _program(folder / "fails", "exit 3"), "ended unexpectedly with status 3"),
    ],
)
def test_what_is_no_python_is_a_sentence(driver, place, make, words):
    use(driver, make(place))
    driver.click("python.checkPythonButton")
    driver.wait()
    assert words in driver.message
    assert driver.ui.python.checkPythonButton.enabled


def _text(path):
    path.write_text("no program", encoding="utf-8")
    return path


def _program(path, line):
    path.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_the_choice_is_remembered(driver, bare):
    from EARTrainingLib.panel import pythons

    use(driver, bare)
    assert pythons.chosen() == pythons.Python(str(bare), False)
    driver.ui.python.ownRadioButton.checked = True
    driver.settle()
    assert pythons.chosen().slicers
    assert not driver.ui.python.pythonPath.enabled


def test_slicer_5_10_starts_the_same(driver, tree, place):
    driver.set(sources=[str(tree)], dataFolder=str(place / "out"))
    with driver.desktop.as_slicer_5_10():
        driver.click("python.checkPythonButton")
        driver.wait()
    assert driver.message == "This Python has all that is needed."
