"""Section 1 with the real commands: check, prepare, stop, go on; and what its buttons say."""

from __future__ import annotations

from pathlib import Path

from EARTrainingLib.datasets.prepared import PreparedDataset


def table(driver):
    view = driver.ui.data.resultTable
    return [[view.item(n, m).text() for m in range(view.columnCount)] for n in range(view.rowCount)]


class TestSources:
    """The list of sources."""

    def test_folders_and_phantoms(self, driver, tree, qt):
        driver.desktop.answer(str(tree))
        driver.click("data.addFolderButton")
        driver.click("data.addPhantomsButton")
        driver.ui.data.phantomsSpinBox.value = 5
        driver.click("data.addPhantomsButton")
        assert list(driver.parameters.sources) == [str(tree), "phantoms:5"]
        assert driver.ui.data.sourcesList.item(1).text() == "5 made-up spines (phantoms)"
        driver.desktop.answer("")
        driver.click("data.addFolderButton")
        assert len(driver.parameters.sources) == 2

    def test_remove(self, driver):
        driver.set(sources=["a", "b"])
        button = driver.ui.data.removeButton
        assert (button.enabled, button.toolTip) == (False, "Select a source first")
        driver.ui.data.sourcesList.setCurrentRow(1)
        driver.settle()
        driver.click("data.removeButton")
        assert list(driver.parameters.sources) == ["a"]

    def test_a_trial_sets_everything_needed_in_folders_of_its_own(self, driver):
        driver.click("data.trialButton")
        driver.click("data.trialButton")
        assert driver.ui.data.prepareButton.enabled
        assert Path(driver.parameters.dataFolder).parts[-3:] == ("EARTraining", "trial", "data")
        assert driver.ui.data.sizeSpinBox.value * driver.ui.data.spacingSpinBox.value >= 96


class TestStates:
    """Every button says why it cannot be used."""

    def test_of_prepare_and_check(self, driver, place):
        for values, reason in (
            ({"sources": []}, "Add a source first"),
            ({"sources": ["phantoms:3"], "dataFolder": " "}, "Name the output folder first"),
            ({"dataFolder": "data"}, "Give the whole path of the output folder"),
            ({"dataFolder": __file__}, "The output folder is a file"),
        ):
            driver.set(**values)
            for button in (driver.ui.data.prepareButton, driver.ui.data.checkButton):
                assert (button.enabled, button.toolTip) == (False, reason)
        driver.set(dataFolder=str(place / "out"))
        assert driver.ui.data.prepareButton.enabled
        assert driver.ui.data.checkButton.enabled

    def test_of_the_engine(self, driver):
        driver.click("data.moreButton")
        assert not driver.ui.data.deepdrrPath.enabled
        driver.set(engine="deepdrr", sources=["phantoms:3"])
        for button in (driver.ui.data.checkEngineButton, driver.ui.data.prepareButton):
            assert (button.enabled, button.toolTip) == (False, "Name the Python that has DeepDRR first, under More")
        driver.ui.data.deepdrrPath.currentPath = __file__
        driver.settle()
        assert driver.ui.data.checkEngineButton.enabled

    def test_texts_follow_the_choice(self, driver):
        driver.set(acquisition="ours", protocol="in-situ")
        assert "SOD 530 to 1600 mm" in driver.ui.data.anglesLabel.text
        assert "without a CT, a made-up body" in driver.ui.data.protocolLabel.text

    def test_folders_are_typed_and_kept_with_the_scene(self, driver, place):
        driver.ui.data.dataPath.currentPath = str(place)
        driver.settle()
        assert driver.parameters.dataFolder == str(place)
        driver.scene.Clear()
        driver.widget.enter()
        driver.settle()
        assert driver.ui.data.dataPath.currentPath == driver.parameters.dataFolder != str(place)


class TestCommands:
    """The real `ear prepare` and `ear xray`."""

    def test_check_and_prepare(self, driver, tree, place):
        out = place / "out"
        driver.set(sources=[str(tree)], dataFolder=str(out), size=24, spacingMm=3.0)
        driver.click("data.checkButton")
        driver.wait()
        assert driver.message == "1 scans to prepare, 0 done already, 1 left out."
        assert table(driver) == [["to prepare", "VerSe20", "1"], ["left out", "a mask without a CT", "1"]]
        assert not out.exists()
        driver.click("data.prepareButton")
        driver.wait()
        assert driver.message == f"3 vertebrae of 1 scans are ready in {out}."
        assert ["lumbar", "VerSe20", "2"] in table(driver)
        assert len(PreparedDataset.open(out).rows) == 3
        assert driver.ui.train.trainButton.enabled
        assert driver.ui.data.prepareButton.text == "Prepare"

    def test_stop_and_go_on(self, driver, trees, place, processes):
        folder = trees.verse(place / "many", [f"sub-verse{n}" for n in range(500, 509)])
        driver.set(sources=[str(folder)], dataFolder=str(place / "out"), size=24, spacingMm=3.0, jobs=2)
        driver.click("data.prepareButton")
        driver.wait_until(lambda: len(list((place / "out").glob("scans/*.json"))) > 0)
        group = driver.child()._group
        assert len(processes.of_group(group)) >= 3
        driver.desktop.click(driver.panel.ui.cancelButton)
        driver.wait()
        assert driver.message == "Preparing the data set: cancelled."
        assert processes.ended(lambda: processes.of_group(group))
        done = len(list((place / "out").glob("scans/*.json")))
        assert 0 < done < 9
        assert driver.ui.data.prepareButton.text == "Resume"
        driver.click("data.prepareButton")
        driver.wait()
        assert "27 vertebrae of 9 scans" in driver.message

    def test_engines(self, driver):
        driver.click("data.moreButton")
        driver.click("data.checkEngineButton")
        driver.wait()
        assert "The engine torch works: a bead lies 0.0" in driver.message
