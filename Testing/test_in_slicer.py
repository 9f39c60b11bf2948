"""scripts/test_in_slicer.py, with stand-ins for Slicer, the download site and the screen."""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import os
import signal
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
GOOD = "SlicerEAR self-tests: 5 run, 0 skipped, 0 failed"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the stand-ins are shell scripts")


def script(name: str) -> ModuleType:
    """A module of scripts/ that is no package."""
    spec = util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def gone(process: Path) -> bool:
    """Whether the process of a folder of /proc has ended; nobody may have asked yet for its status (a zombie)."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """scripts/test_in_slicer.py, on a machine with a screen and without Slicer."""
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.chdir(tmp_path)
    return script("test_in_slicer")


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a shell script into a folder, which is on the PATH unless another is named."""

    def write(body: str, name: str = "Slicer", folder: str = "bin") -> Path:
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    return write


class TestFinding:
    """Which Slicer is run."""

    def test_none(self, tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
        assert tool.main([]) == tool.NO_SLICER == 2
        assert "--download" in capsys.readouterr().err

    def test_the_one_on_the_path(self, tool: ModuleType, program: Callable[..., Path]) -> None:
        wanted = program("")
        assert tool.find(None) == wanted

    @pytest.mark.parametrize("given", ["else where/Slicer", "else where"])
    def test_one_that_is_named(self, tool: ModuleType, program: Callable[..., Path], given: str) -> None:
        wanted = program(f"echo '{GOOD}'", folder="else where")
        assert tool.find(given) == wanted
        assert tool.main([given]) == tool.PASSED

    def test_one_that_is_not_there(self, tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
        assert tool.main(["nowhere/Slicer"]) == tool.NO_SLICER
        assert "nowhere/Slicer is no program" in capsys.readouterr().err

    def test_a_file_that_is_no_program(self, tool: ModuleType, program: Callable[..., Path]) -> None:
        program("").write_bytes(b"\x7fELF, but not really")
        assert tool.main([]) == tool.NO_SLICER

    def test_both_ways_at_once(self, tool: ModuleType) -> None:
        with pytest.raises(SystemExit, match="2"):
            tool.main(["Slicer", "--download", "5.12"])


class TestCommand:
    """How it is run."""

    def test_arguments(self, tool: ModuleType) -> None:
        said = tool.command(Path("/opt/Slicer"), main_window=True)
        assert said == [
            "/opt/Slicer",
            "--testing",
            "--no-splash",
            "--additional-module-paths",
            str(ROOT / "EARReconstruction"),
            str(ROOT / "EARTraining"),
            "--python-script",
            str(ROOT / "scripts" / "run_self_tests.py"),
        ]
        assert all(Path(path).exists() for path in said[4:] if path.startswith("/"))

    def test_without_main_window(self, tool: ModuleType, program: Callable[..., Path]) -> None:
        program(f'echo "$@"; echo "{GOOD}"')
        assert tool.main(["--no-main-window"]) == tool.PASSED
        assert " --no-main-window --additional-module-paths " in Path("slicer-tests.log").read_text()

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only X servers can be missing")
    def test_without_a_screen(
        self, tool: ModuleType, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("DISPLAY")
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        program(f"echo '{GOOD}'")
        program('echo "a screen: $2"; shift 2; exec "$@"', "xvfb-run")
        assert tool.main([]) == tool.PASSED
        assert "a screen: --server-args=-screen 0 1600x1000x24" in Path("slicer-tests.log").read_text()

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only X servers can be missing")
    def test_without_screen_and_xvfb(
        self, tool: ModuleType, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("DISPLAY")
        monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        program("")
        assert tool.main([]) == tool.NO_SLICER

    def test_no_foreign_python(
        self, tool: ModuleType, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in tool.FOREIGN:
            monkeypatch.setenv(name, "/alien")
        program(f"env; echo '{GOOD}'")
        assert tool.main([]) == tool.PASSED
        assert "/alien" not in Path("slicer-tests.log").read_text()


class TestOutcome:
    """What the exit status says."""

    TRACE = 'Traceback (most recent call last):\n  File "{}", line 9, in onClick\n    no()\nNameError: no\n'

    def test_passed(
        self, tool: ModuleType, program: Callable[..., Path], capfd: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        program(f"echo first; echo second >&2; echo '{GOOD}'")
        assert tool.main(["--log", str(tmp_path / "ä log.txt")]) == 0
        assert "All 5 self-tests passed." in capfd.readouterr().out
        assert (tmp_path / "ä log.txt").read_text().splitlines() == ["first", "second", GOOD]

    @pytest.mark.parametrize(
        ("said", "status", "result", "why"),
        [
            (GOOD, 0, 0, "All 5 self-tests passed."),
            (GOOD.replace("0 skipped", "2 skipped"), 0, 0, "2 skipped"),
            (GOOD.replace("0 failed", "3 failed"), 1, 1, "3 of 5"),
            (GOOD.replace("0 failed", "3 failed"), 0, 1, "3 of 5"),
            (GOOD.replace("5 run", "0 run"), 0, 1, "0 of 0"),
            ("nothing of ours", 0, 3, "before the tests were through"),
            ("nothing of ours", 1, 3, "status 1"),
            (GOOD, -11, 3, "ended with status -11"),
            (GOOD, None, 3, "too long"),
            (f"a log line {GOOD}", 0, 3, "before the tests"),
            (TRACE.format("/x/EARTraining/EARTraining.py") + GOOD, 0, 1, "NameError: no"),
            (TRACE.format("/opt/Slicer/DICOM.py") + GOOD, 0, 0, "passed"),
            (TRACE.format("/opt/A.py") + TRACE.format("/x/EARReconstruction/B.py") + GOOD, 0, 1, "nobody caught"),
        ],
    )
    def test_judgement(self, tool: ModuleType, said: str, status: int | None, result: int, why: str) -> None:
        judged, sentence = tool.judge(said + "\n", status)
        assert (judged, why in sentence) == (result, True), sentence

    def test_too_slow(self, tool: ModuleType, program: Callable[..., Path], tmp_path: Path) -> None:
        """Children of Slicer's launcher end with it."""
        program(f"sleep 60 & echo $! > child; echo '{GOOD}'; wait")
        before = time.monotonic()
        assert tool.main(["--time-limit", "1"]) == tool.STOPPED
        assert time.monotonic() - before < 20
        child = Path(f"/proc/{int((tmp_path / 'child').read_text())}")
        ended = time.monotonic() + 20  # a killed process may be seen to run for a moment; by itself it would for 60 s
        while time.monotonic() < ended and not gone(child):
            time.sleep(0.05)
        assert gone(child), "still running"

    def test_killed(self, tool: ModuleType, program: Callable[..., Path]) -> None:
        program(f"kill -{int(signal.SIGSEGV)} $$")
        assert tool.main([]) == tool.STOPPED


@pytest.fixture
def site(tool: ModuleType, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A download site with a Slicer 5.12.4 of one shell script; a test may change what it answers."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        info = tarfile.TarInfo("Slicer-5.12.4-linux-amd64/Slicer")
        content = f"#!/bin/sh\necho '{GOOD}'\n".encode()
        info.size, info.mode = len(content), 0o755
        archive.addfile(info, io.BytesIO(content))
    answers: dict[str, Any] = {"asked": [], "archive": packed.getvalue()}
    answers["record"] = {
        "version": "5.12.4",
        "download_url": "/bitstream/1",
        "sha512": hashlib.sha512(answers["archive"]).hexdigest(),
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers["asked"].append(self.path)
            found = self.path.startswith("/bitstream/") or answers["record"] is not None
            self.send_response(200 if found else 404)
            self.end_headers()
            if self.path.startswith("/bitstream/"):
                self.wfile.write(answers["archive"])
            elif found:
                self.wfile.write(json.dumps(answers["record"]).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tool.SITE = f"http://127.0.0.1:{server.server_address[1]}"
        yield answers
        server.shutdown()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="--download is for Linux")
class TestDownload:
    """A version fetched from Slicer's site into a cache folder."""

    def test_newest_of_a_version(self, tool: ModuleType, site: dict[str, Any], tmp_path: Path) -> None:
        assert tool.main(["--download", "--cache", str(tmp_path / "cache")]) == tool.PASSED
        assert site["asked"] == [f"/find?os=linux&stability=release&version={tool.NEWEST}", "/bitstream/1"]
        assert [path.name for path in (tmp_path / "cache").iterdir()] == ["Slicer-5.12.4"]

    def test_kept(self, tool: ModuleType, site: dict[str, Any], tmp_path: Path) -> None:
        for _ in range(2):
            tool.download("5.12.4", tmp_path)
        assert len(site["asked"]) == 2, "the second time it asks nobody"
        tool.download("5.12", tmp_path)
        assert len(site["asked"]) == 3, "which is the newest, only the site knows"

    def test_wrong_checksum(
        self, tool: ModuleType, site: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        site["archive"] += b"and more"
        assert tool.main(["--download", "5.12.4", "--cache", str(tmp_path / "cache")]) == tool.NO_SLICER
        assert "checksum" in capsys.readouterr().err
        assert not list((tmp_path / "cache").iterdir()), "nothing half-fetched stays behind"

    def test_no_checksum(
        self, tool: ModuleType, site: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        site["record"]["sha512"] = None
        assert tool.download("5.12.4", tmp_path).is_file()
        assert "no checksum" in capsys.readouterr().out

    @pytest.mark.parametrize("broken", ["no such version", "no archive", "an answer of another kind", "no site"])
    def test_what_cannot_be_had(
        self, tool: ModuleType, site: dict[str, Any], tmp_path: Path, broken: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        if broken == "no such version":
            site["record"] = None
        elif broken == "no archive":
            site["archive"], site["record"]["sha512"] = b"no archive", None
        elif broken == "no site":
            tool.SITE = "http://127.0.0.1:9"
        else:
            site["record"] = {"error": "under maintenance"}
        assert tool.main(["--download", "9.9.9", "--cache", str(tmp_path / "cache")]) == tool.NO_SLICER
        assert "Slicer 9.9.9 could not be fetched" in capsys.readouterr().err
