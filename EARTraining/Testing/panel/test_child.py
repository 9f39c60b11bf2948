"""Processes that work, crash, hang and are killed: sentences for all, and nothing left behind."""

from __future__ import annotations

import sys
import time

import pytest


@pytest.fixture
def run(driver, pretend):
    """A function: prepare with a made-up command, and wait."""

    def start(code, *, wait=True):
        folder = pretend(driver, code)
        driver.set(sources=["phantoms:3"], dataFolder=str(folder / "out"))
        driver.click("data.prepareButton")
        if wait:
            driver.wait()
        return folder

    return start


def test_progress_and_result_arrive(driver, run):
    run("""
print("torch says something about 脊椎")
for n in (1, 2):
    say("step", done=n, total=2, what="scan 脊椎")
say("end", output="there", scans=2, failed=0, vertebrae=5, by_source={"VerSe20": {"lumbar": 5}}, excluded={},
    patients={"train": 2})
""")
    assert driver.message == "5 vertebrae of 2 scans are ready in there."
    assert driver.log == "torch says something about 脊椎"
    assert driver.ui.data.resultTable.rowCount == 2
    assert not driver.sections.look.widget.collapsed


def test_an_error_is_its_sentence(driver, run):
    run('say("error", subject="a scan", cause="it is damaged", advice="Copy it again")\nsys.exit(2)')
    assert driver.message == "a scan: it is damaged. Copy it again."
    assert driver.ui.data.prepareButton.text == "Prepare"


def test_a_crash_is_a_sentence_and_its_log_is_in_the_details(driver, run, slicer):
    run('print("Traceback: first")\nraise ValueError("no such thing")')
    assert "ended unexpectedly with status 1 (ValueError: no such thing). Start again: it goes on" in driver.message
    driver.wait_until(lambda: "Traceback: first" in driver.log)
    driver.desktop.click(driver.panel.ui.detailsButton)
    assert "Traceback: first" in slicer.app.clipboard().text()


def test_workers_that_outlive_a_crash_are_ended(driver, run, processes):
    code = processes.ENDLESS.partition("for n")[0] + "sys.exit(3)"
    folder = run(code)
    assert "ended unexpectedly with status 3 (it printed nothing)" in driver.message
    assert processes.ended(lambda: processes.running(folder))


def test_one_that_is_killed_is_a_sentence(driver, run, processes):
    run("os.kill(os.getpid(), signal.SIGKILL)")
    assert "was killed, as happens when memory runs out" in driver.message


def test_cancel_ends_the_whole_tree(driver, run, processes):
    folder = run(processes.ENDLESS, wait=False)
    driver.wait_until(lambda: len(processes.pids_of(folder)) == 2 and driver.panel.ui.progressBar.value > 3)
    assert "scan 脊椎" in driver.panel.ui.progressLabel.text
    assert driver.ui.data.prepareButton.text == "Cancel"
    time.sleep(0.6)  # a double click is none
    driver.click("data.prepareButton")
    assert not driver.ui.data.prepareButton.enabled
    driver.wait()
    assert driver.message == "Preparing the data set: cancelled."
    assert processes.ended(lambda: processes.running(folder))
    assert driver.ui.data.prepareButton.text == "Prepare"


def test_what_does_not_stop_is_killed(driver, run, processes, monkeypatch):
    from EARTrainingLib.panel import child

    monkeypatch.setattr(child, "GRACE_S", 0.5)
    folder = run("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + processes.ENDLESS, wait=False)
    driver.wait_until(lambda: len(processes.pids_of(folder)) == 2)
    driver.desktop.click(driver.panel.ui.cancelButton)
    driver.wait()
    assert processes.ended(lambda: processes.running(folder))


def test_closing_the_scene_ends_it(driver, run, processes, slicer):
    folder = run(processes.ENDLESS, wait=False)
    driver.wait_until(lambda: len(processes.pids_of(folder)) == 2)
    slicer.mrmlScene.Clear()
    driver.wait()
    assert driver.message == "Preparing the data set: stopped, for the scene was closed."
    assert processes.ended(lambda: processes.running(folder))


def test_unloading_the_module_ends_it(driver, run, processes):
    folder = run(processes.ENDLESS, wait=False)
    driver.wait_until(lambda: len(processes.pids_of(folder)) == 2)
    driver.desktop.unload_module("EARTraining")
    assert processes.ended(lambda: processes.running(folder))


def test_two_quick_clicks_start_one_and_stop_none(driver, run, processes):
    folder = run(processes.ENDLESS, wait=False)
    driver.click("data.prepareButton")
    driver.wait_until(lambda: len(processes.pids_of(folder)) == 2)
    assert driver.panel.busy
    assert driver.ui.data.prepareButton.enabled
    driver.desktop.click(driver.panel.ui.cancelButton)
    driver.wait()


def test_a_long_log_comes_to_its_end_and_stays_short(driver, run):
    run("for n in range(50000): print('line', n)\nsay('cancelled')")
    driver.wait_until(lambda: driver.log.endswith("line 49999"))
    assert driver.ui.python.logText.blockCount <= 1000


def test_last_words_that_come_late_are_heard(driver, run, monkeypatch):
    """The process has ended, and the thread that reads it has not had its turn."""
    child = sys.modules["EARTrainingLib.panel.child"].Child
    read = child._read

    def late(self):
        self._process.wait()
        time.sleep(1.0)
        read(self)

    monkeypatch.setattr(child, "_read", late)
    run('print("the last line")\nsay("error", subject="a scan", cause="it is damaged", advice="Copy it again")')
    assert driver.message == "a scan: it is damaged. Copy it again."
    driver.wait_until(lambda: driver.log.endswith("the last line"))


def test_nothing_else_can_start_meanwhile(driver, run, processes):
    folder = run(processes.ENDLESS, wait=False)
    driver.wait_until(lambda: len(processes.pids_of(folder)) == 2)
    ui = driver.ui
    for button in (ui.data.checkButton, ui.data.addFolderButton, ui.data.trialButton, ui.look.showButton,
                   ui.train.trainButton, ui.evaluate.evaluateButton, ui.evaluate.useButton,
                   ui.python.checkPythonButton, ui.python.installButton):  # fmt: skip
        assert not button.enabled
        assert button.toolTip == "Wait for the work to end, or cancel it"
    driver.desktop.click(driver.panel.ui.cancelButton)
    driver.wait()
