"""Run the self-tests of both modules in a real 3D Slicer.

    python3 scripts/test_in_slicer.py /path/to/Slicer       one that is installed
    python3 scripts/test_in_slicer.py                       the Slicer on the PATH, or in macOS' Applications
    python3 scripts/test_in_slicer.py --download 5.12       the newest 5.12, kept in a cache folder (Linux)

Needs Python 3.10 and nothing besides; without a screen also xvfb-run. Slicer runs with settings of its own, so that
neither your settings nor your extensions take part. Exit status: 0 all passed, 1 a test failed, 2 there is no Slicer to
run, 3 Slicer crashed or took too long.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MODULES = ("EARReconstruction", "EARTraining")
SITE = "https://download.slicer.org"
NEWEST = "5.12"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slicer-ear"
PASSED, FAILED, NO_SLICER, STOPPED = range(4)
CHUNK_BYTES = 1 << 20
# Would bring another Python or Qt into Slicer's own.
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "QT_PLUGIN_PATH", "QT_QPA_PLATFORM")


class NoSlicerError(Exception):
    """There is no Slicer to run; the text says what to do."""


def find(path: str | None) -> Path:
    """The Slicer to run: the one named, else the one on the PATH or in macOS' Applications. Raises NoSlicerError."""
    if path is not None:
        found = shutil.which(path) or shutil.which(str(Path(path) / "Slicer"))
        if found is None:
            raise NoSlicerError(f"{path} is no program. Give the path of Slicer, or of the folder that it lies in.")
        return Path(found).absolute()
    for candidate in ("Slicer", "/Applications/Slicer.app/Contents/MacOS/Slicer"):
        if found := shutil.which(candidate):
            return Path(found).absolute()
    raise NoSlicerError("No Slicer on the PATH. Give its path, or --download to fetch one.")


def download(version: str, cache: Path) -> Path:
    """The Slicer of a version such as 5.12.4, or the newest of 5.12, fetched unless the cache has it.

    Raises NoSlicerError.
    """
    if not sys.platform.startswith("linux"):
        raise NoSlicerError(f"--download works on Linux. Install Slicer from {SITE} and give its path.")
    if re.fullmatch(r"\d+\.\d+\.\d+", version) and (cache / f"Slicer-{version}" / "Slicer").is_file():
        return cache / f"Slicer-{version}" / "Slicer"
    query = urllib.parse.urlencode({"os": "linux", "stability": "release", "version": version})
    try:
        with urllib.request.urlopen(f"{SITE}/find?{query}", timeout=60) as answer:
            record = json.load(answer)
        folder = cache / f"Slicer-{record['version']}"
        if not (folder / "Slicer").is_file():
            _fetch(f"{SITE}{record['download_url']}", record.get("sha512"), folder)
    except (OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
        raise NoSlicerError(f"Slicer {version} could not be fetched from {SITE}: {error}") from error
    return folder / "Slicer"


def _fetch(url: str, sha512: str | None, folder: Path) -> None:
    """Unpack the archive at ``url`` into ``folder``, which appears when it is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as beside:
        archive, unpacked, digest = Path(beside, "archive"), Path(beside, "unpacked"), hashlib.sha512()
        print(f"Fetching {url} (about 400 MB).", flush=True)
        with urllib.request.urlopen(url, timeout=60) as answer, archive.open("wb") as file:
            while chunk := answer.read(CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
        if sha512 is None:
            print("The site gives no checksum for it.")
        elif digest.hexdigest() != sha512.lower():
            raise ValueError("the file that came does not have the checksum that the site gives")
        unpacked.mkdir()
        unpack = ["tar", "--extract", "--gzip", "--strip-components=1", "--file", archive, "--directory", unpacked]
        subprocess.run(unpack, check=True)
        if not (unpacked / "Slicer").is_file():
            raise ValueError("the archive holds no program Slicer")
        unpacked.rename(folder)


def command(slicer: Path, main_window: bool) -> list[str]:
    """What to run, with a screen of its own where there is none. Raises NoSlicerError."""
    screen = []
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        if shutil.which("xvfb-run") is None:
            raise NoSlicerError(
                "There is no screen, and xvfb-run is missing. On Debian and Ubuntu: apt-get install xvfb"
            )
        screen = ["xvfb-run", "--auto-servernum", "--server-args=-screen 0 1600x1000x24"]
    return [
        *screen,
        str(slicer),
        "--testing",
        "--no-splash",
        *([] if main_window else ["--no-main-window"]),
        "--additional-module-paths",
        *(str(ROOT / module) for module in MODULES),
        "--python-script",
        str(ROOT / "scripts" / "run_self_tests.py"),
    ]


def run(arguments: list[str], log: Path, limit_s: float) -> int | None:
    """Run a command, show and keep what it says; its exit status, or None when it ran past the limit and was ended."""
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    )
    late = threading.Event()

    def end() -> None:
        late.set()
        # Slicer's launcher and xvfb-run have children, which would live on.
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(limit_s, end)
    timer.start()
    assert process.stdout is not None
    try:
        with log.open("w", encoding="utf-8") as file:
            for line in process.stdout:
                file.write(line)
                file.flush()
                sys.stdout.write(line)
                sys.stdout.flush()
        status = process.wait()
    finally:
        timer.cancel()
    return None if late.is_set() else status


def judge(said: str, status: int | None) -> tuple[int, str]:
    """This script's exit status, and why, from what Slicer said and its exit status (None: it took too long)."""
    lines = re.findall(r"^SlicerEAR self-tests: (\d+) run, (\d+) skipped, (\d+) failed$", said, re.MULTILINE)
    if status is None:
        return STOPPED, "Slicer took too long and was ended. --time-limit gives it longer."
    if not lines:
        return STOPPED, f"Slicer ended with status {status} before the tests were through."
    tests, skipped, failed = (int(number) for number in lines[-1])
    if failed or not tests:
        return FAILED, f"{failed} of {tests} self-tests failed."
    if ours := _tracebacks_of_ours(said):
        return FAILED, f"All {tests} self-tests passed, but there is an error that nobody caught: {ours[0]}"
    if status:
        return STOPPED, f"All {tests} self-tests passed, but Slicer ended with status {status}."
    return PASSED, f"All {tests} self-tests passed" + (f", {skipped} skipped." if skipped else ".")


def _tracebacks_of_ours(said: str) -> list[str]:
    """The closing lines of tracebacks that go through a file of ours; Slicer's own modules may print others."""
    found = re.findall(r"^Traceback \(most recent call last\):\n((?:[ \t].*\n)*)(.*)", said, re.MULTILINE)
    files = tuple(f"{os.sep}{module}{os.sep}" for module in MODULES)
    return [last.strip() for frames, last in found if any(file in frames for file in files)]


def main(arguments: list[str] | None = None) -> int:
    """Find Slicer, run the self-tests in it, say how they went; the process's exit status."""
    about = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=about[0], epilog=about[2], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("slicer", nargs="?", help="path of Slicer, or of its folder")
    parser.add_argument("--download", nargs="?", const=NEWEST, metavar="VERSION", help=f"fetch one (default {NEWEST})")
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"where fetched ones are kept (default {CACHE})")
    parser.add_argument("--no-main-window", action="store_true", help="run without main window and layout")
    parser.add_argument("--time-limit", type=float, default=900, metavar="S", help="end Slicer after (default 900 s)")
    parser.add_argument("--log", type=Path, default=Path("slicer-tests.log"), help="default slicer-tests.log")
    given = parser.parse_args(arguments)
    if given.slicer and given.download:
        parser.error("give the path of a Slicer or --download, not both")
    try:
        slicer = download(given.download, given.cache) if given.download else find(given.slicer)
        to_run = command(slicer, main_window=not given.no_main_window)
        print(" ".join(to_run), flush=True)
        status = run(to_run, given.log, given.time_limit)
    except NoSlicerError as error:
        print(error, file=sys.stderr)
        return NO_SLICER
    except OSError as error:
        print(f"Slicer could not be started: {error}", file=sys.stderr)
        return NO_SLICER
    result, why = judge(given.log.read_text(encoding="utf-8"), status)
    print(f"{why} The log is in {given.log}.")
    return result


if __name__ == "__main__":
    sys.exit(main())
