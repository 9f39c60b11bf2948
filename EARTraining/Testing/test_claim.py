"""One worker per piece of work."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time

import psutil
import pytest
from EARReconstructionLib.errors import EARError
from EARTrainingLib import claim
from EARTrainingLib.claim import LEFT_BEHIND_S, SAME_START_S, Claim, Claimed, alone


def left(path, host, process, age_s=0.0, started=0.0):
    """A claim that somebody wrote so long ago."""
    path.write_text(json.dumps({"host": host, "process": process, "started": started}))
    then = time.time() - age_s
    os.utime(path, (then, then))


def ended_process():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


class TestClaim:
    def test_is_there_while_it_is_held(self, tmp_path):
        path = tmp_path / "folder" / "claim"
        with Claim(path):
            assert json.loads(path.read_text())["process"] == os.getpid()
        assert list(path.parent.iterdir()) == []

    def test_goes_when_the_work_fails(self, tmp_path):
        with pytest.raises(ZeroDivisionError), Claim(tmp_path / "claim"):
            raise ZeroDivisionError
        assert list(tmp_path.iterdir()) == []

    def test_nobody_else_gets_it(self, tmp_path):
        path = tmp_path / "claim"
        with Claim(path):
            held = path.read_text()
            with pytest.raises(Claimed, match=f"{os.getpid()} on {socket.gethostname()}"), Claim(path):
                pass
            assert path.read_text() == held
        assert list(tmp_path.iterdir()) == []

    def test_another_machines_is_respected_while_it_is_renewed(self, tmp_path):
        path = tmp_path / "claim"
        left(path, "elsewhere", 1, LEFT_BEHIND_S - 30)
        with pytest.raises(Claimed, match="process 1 on elsewhere"), Claim(path):
            pass
        assert json.loads(path.read_text())["host"] == "elsewhere"

    def test_one_left_behind_on_another_machine_is_taken_over(self, tmp_path):
        path = tmp_path / "claim"
        left(path, "elsewhere", 1, LEFT_BEHIND_S + 30)
        with Claim(path):
            assert json.loads(path.read_text())["process"] == os.getpid()
        assert list(tmp_path.iterdir()) == []

    def test_one_of_a_killed_process_is_taken_over_at_once(self, tmp_path):
        path = tmp_path / "claim"
        left(path, socket.gethostname(), ended_process())
        with Claim(path):
            pass
        assert list(tmp_path.iterdir()) == []

    def test_one_of_a_running_process_is_respected(self, tmp_path):
        path = tmp_path / "claim"
        left(path, socket.gethostname(), os.getppid(), started=psutil.Process(os.getppid()).create_time())
        with pytest.raises(Claimed), Claim(path):
            pass

    @pytest.mark.parametrize("whose", [os.getpid, os.getppid])
    def test_a_number_that_another_process_has_by_now_is_none(self, tmp_path, whose):
        """In a container that was started again, even one's own."""
        path, process = tmp_path / "claim", whose()
        before = psutil.Process(process).create_time() - 2 * SAME_START_S
        left(path, socket.gethostname(), process, started=before)
        with Claim(path):
            assert json.loads(path.read_text())["started"] > before

    @pytest.mark.skipif(os.name == "nt", reason="a killed process is gone there")
    def test_a_killed_process_that_nobody_waits_for_is_dead(self, tmp_path):
        path = tmp_path / "claim"
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        left(path, socket.gethostname(), process.pid, started=psutil.Process(process.pid).create_time())
        with pytest.raises(Claimed), Claim(path):
            pass
        process.kill()
        while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        with Claim(path):
            pass
        process.communicate()

    def test_a_damaged_one_is_respected_until_it_is_old(self, tmp_path):
        path = tmp_path / "claim"
        path.write_text("{")
        with pytest.raises(Claimed), Claim(path):
            pass
        old = time.time() - 2 * LEFT_BEHIND_S
        os.utime(path, (old, old))
        with Claim(path):
            pass

    def test_is_renewed(self, tmp_path, monkeypatch):
        monkeypatch.setattr(claim, "RENEWED_S", 0.02)
        path = tmp_path / "claim"
        with Claim(path):
            os.utime(path, (0, 0))
            deadline = time.monotonic() + 10
            while path.stat().st_mtime == 0 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert path.stat().st_mtime > time.time() - 60

    def test_one_that_was_taken_over_is_left_to_its_new_holder(self, tmp_path):
        path = tmp_path / "claim"
        with Claim(path):
            left(path, "elsewhere", 1)
        assert json.loads(path.read_text())["host"] == "elsewhere"
        assert [p.name for p in tmp_path.iterdir()] == ["claim"]


class TestAlone:
    def test_a_second_run_is_told_who_has_the_folder_and_what_to_do(self, tmp_path):
        with alone(tmp_path / "out"):
            with pytest.raises(Claimed) as caught, alone(tmp_path / "out"):
                pass
            (tmp_path / "out" / "result").touch()
        assert caught.value.subject == str(tmp_path / "out")
        assert f"process {os.getpid()} on {socket.gethostname()} is at work" in caught.value.cause
        assert "another folder" in caught.value.advice
        assert "minutes" not in caught.value.advice
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["result"]

    def test_on_another_machine_it_may_take_minutes(self, tmp_path):
        left(tmp_path / ".at-work", "elsewhere", 1)
        with pytest.raises(Claimed, match="try again in 5 minutes"), alone(tmp_path):
            pass

    def test_a_folder_that_nothing_was_written_to_goes(self, tmp_path):
        with pytest.raises(ZeroDivisionError), alone(tmp_path / "out"):
            raise ZeroDivisionError
        assert list(tmp_path.iterdir()) == []

    def test_no_place_to_write(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(EARError, match=r"file.*could not be written.*write access"), alone(tmp_path / "file"):
            pass
