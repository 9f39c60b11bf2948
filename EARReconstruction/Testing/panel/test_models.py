"""Models: the list, their cards, adding one from a file, and files that are none."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from EARReconstructionLib.errors import BundleError
from EARReconstructionLib.resources import DEFAULT_MODEL


@pytest.fixture
def models(driver: Any) -> Iterator[Any]:
    """panel/models.py as the panel has it; what is added goes after the test."""
    module = importlib.import_module("EARReconstructionLib.panel.models")
    folder = module.user_folder()
    yield module
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def file(tmp_path: Path, make_model: Any) -> Path:
    """A bundle somewhere, with a name that is not ASCII."""
    return make_model(tmp_path / "Wirbelsäule.safetensors")


def shown(driver: Any) -> list[str]:
    """The models that can be chosen."""
    combo = driver.ui.modelCombo
    return [combo.itemText(n) for n in range(combo.count)]


def add(driver: Any) -> None:
    """Click the button that adds a model."""
    if not driver.ui.moreButton.checked:
        driver.click("moreButton")
    driver.click("addModelButton")


class TestList:
    """The combo box and the card."""

    def test_what_comes_with_slicer_ear(self, driver: Any) -> None:
        assert shown(driver) == ["ear-column-64", DEFAULT_MODEL, "e2e-isolated-64"]
        assert driver.ui.modelCombo.currentText == DEFAULT_MODEL
        assert driver.ui.cardLabel.text == "E2E, cube of 96 mm at 1.5 mm, T1-T12, L1-L5"

    def test_more(self, driver: Any) -> None:
        assert not driver.ui.cardText.isVisibleTo(driver.widget.parent)
        driver.click("moreButton")
        assert driver.ui.cardText.isVisibleTo(driver.widget.parent)
        text = driver.ui.cardText.toPlainText()
        assert "Angle between the views: 74 to 106 degrees" in text
        assert "CC BY-SA 4.0" in text
        assert "Known faults" in text
        driver.click("moreButton")
        assert not driver.ui.cardText.isVisibleTo(driver.widget.parent)

    def test_a_model_that_is_not_here(self, driver: Any) -> None:
        """A scene from another computer names its model."""
        driver.parameters.model = "theirs"
        driver.settle()
        assert driver.ui.modelCombo.currentText == "theirs"
        assert driver.ui.cardLabel.text.startswith("model theirs: it is not installed here")
        assert not driver.ui.reconstructButton.enabled


class TestAdding:
    """Add model from file."""

    def test_it_is_copied_and_chosen(self, driver: Any, models: Any, file: Path) -> None:
        driver.desktop.answer(str(file))
        add(driver)
        assert driver.message == "Wirbelsäule is installed."
        assert driver.parameters.model == driver.ui.modelCombo.currentText == "Wirbelsäule"
        assert sorted(os.listdir(models.user_folder())) == ["Wirbelsäule.safetensors"]
        assert models.model_path("Wirbelsäule").read_bytes() == file.read_bytes()

    def test_nothing_is_chosen(self, driver: Any) -> None:
        driver.desktop.answer("")
        add(driver)
        assert (driver.message, driver.parameters.model) == ("", DEFAULT_MODEL)

    def test_twice(self, driver: Any, models: Any, file: Path, qt: Any) -> None:
        models.add_model(file)
        driver.desktop.answer(str(file), qt.QMessageBox.No)
        add(driver)
        assert driver.parameters.model == DEFAULT_MODEL
        driver.desktop.answer(str(file), qt.QMessageBox.Yes)
        add(driver)
        assert driver.parameters.model == "Wirbelsäule"

    def test_the_name_of_one_of_ours(self, driver: Any, tmp_path: Path, make_model: Any) -> None:
        driver.desktop.answer(str(make_model(tmp_path / f"{DEFAULT_MODEL}.safetensors")))
        add(driver)
        assert driver.message.endswith("there is a model of this name already. Rename the file, then add it.")

    @pytest.mark.parametrize(
        ("name", "content", "says"),
        [
            ("cut.safetensors", "first half", "it is truncated or no safetensors file"),
            ("text.safetensors", b"hello", "it is truncated or no safetensors file"),
            ("pickle.safetensors", b"PK\3\4 and more", "could run code"),
            ("model.pth", b"PK", "models are files .safetensors"),
            ("gone.safetensors", None, "there is no such file"),
        ],
    )
    def test_a_file_that_is_none(
        self, driver: Any, models: Any, file: Path, tmp_path: Path, name: str, content: Any, says: str
    ) -> None:
        path = tmp_path / name
        if content == "first half":
            content = file.read_bytes()[: file.stat().st_size // 2]
        if content is not None:
            path.write_bytes(content)
        driver.desktop.answer(str(path))
        add(driver)
        assert says in driver.message
        assert str(path) in driver.message
        assert not models.user_folder().exists() or not os.listdir(models.user_folder())

    def test_a_full_disk(self, driver: Any, models: Any, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(path: Path, content: bytes) -> None:
            path.touch()
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", fail)
        with pytest.raises(BundleError, match=r"could not be copied to .* \(No space left on device\)"):
            models.add_model(file)
        assert not os.listdir(models.user_folder())


class TestFolder:
    """The folder of the user's models."""

    def test_it_is_opened(self, driver: Any, models: Any) -> None:
        driver.click("moreButton")
        driver.click("modelFolderButton")
        assert driver.desktop.dialogs[0].text == models.user_folder().as_uri()
        assert models.user_folder().is_dir()

    def test_the_user_says_where(self, driver: Any, models: Any, file: Path) -> None:
        importlib.import_module("EARReconstructionLib.panel.settings").setValue("ModelFolder", str(file.parent))
        driver.panel.changed()
        driver.settle()
        assert shown(driver) == ["ear-column-64", DEFAULT_MODEL, "e2e-isolated-64", "Wirbelsäule"]

    def test_a_damaged_file_in_it(self, driver: Any, models: Any) -> None:
        models.user_folder().mkdir(parents=True, exist_ok=True)
        (models.user_folder() / "broken.safetensors").write_bytes(b"broken")
        driver.click("moreButton")
        assert "broken.safetensors: it is truncated" in driver.ui.cardText.toPlainText()
        driver.parameters.model = "broken"
        driver.settle()
        assert "The file is damaged: fetch it again" in driver.ui.cardLabel.text
        assert not driver.ui.reconstructButton.enabled
