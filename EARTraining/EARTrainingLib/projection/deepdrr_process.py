"""The process that runs DeepDRR: started when it is needed, asked line by line, ended with everything that uses it."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import textwrap
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from .errors import EngineError

WORKER = Path(__file__).with_name("deepdrr_worker.py")

#: The release that the worker is written for.
DEEPDRR_VERSION = "1.2.2"

#: Seconds to wait: for the imports, and for one volume. The first one compiles the kernels.
START_TIMEOUT_S, ANSWER_TIMEOUT_S = 300.0, 900.0

#: Characters of what went wrong that are told: some of DeepDRR's own messages are pages.
LONGEST_CAUSE = 250

_CHECK = "Run `ear xray --check-engine deepdrr --deepdrr-python PYTHON` to see what is missing"


class DeepDRRProcess:
    """A worker under another Python. It ends with ``close``, and by itself when this process dies.

    After a failure the next request starts a new worker.
    """

    def __init__(
        self,
        python: str | Path,
        start_timeout_s: float = START_TIMEOUT_S,
        answer_timeout_s: float = ANSWER_TIMEOUT_S,
    ) -> None:
        self.python = Path(python)
        self._start_timeout_s, self._answer_timeout_s = start_timeout_s, answer_timeout_s
        self._process: subprocess.Popen[str] | None = None
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._last_words: deque[str | None] = deque(maxlen=6)
        self._listener = threading.Thread()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send a request and wait for its answer. Raises EngineError when there is none or it tells of a failure."""
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(OSError):  # it has ended: the answer says how
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return self._answer(self._answer_timeout_s)

    def close(self) -> None:
        """End the worker."""
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None
        process.kill()
        process.wait()
        with suppress(OSError):  # what was not read any more
            process.stdin.close()

    def _start(self) -> None:
        self._answers, self._last_words = queue.Queue(), deque(maxlen=6)
        self._process = run_worker(self.python)
        self._listen(self._process.stdout, self._answers.put)
        self._listener = self._listen(self._process.stderr, self._last_words.append)
        found = self._answer(self._start_timeout_s).get("versions", {}).get("deepdrr", "")
        if found != DEEPDRR_VERSION:
            raise self._failed(f"it has DeepDRR {found or 'of an unknown version'}, not {DEEPDRR_VERSION}")

    def _answer(self, timeout_s: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            raise self._failed(f"the DeepDRR process did not answer within {timeout_s:g} s{self._words()}") from None
        if line is None:
            assert self._process is not None
            status = self._process.wait()
            self._listener.join(5)
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            raise self._failed(f"the DeepDRR process has ended ({how}){self._words()}")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._failed(f"the DeepDRR process answered {line.strip()!r}")
        if "error" in answer:  # after a failure on the GPU nothing that follows can be trusted
            raise self._failed(answer["error"])
        return answer

    def _failed(self, cause: str) -> EngineError:
        self.close()
        return EngineError(self.python, textwrap.shorten(cause, LONGEST_CAUSE), _CHECK)

    def _listen(self, stream: Any, keep: Callable[[str | None], None]) -> threading.Thread:
        """Keep each line of a stream as it comes, and None at its end."""

        def listen() -> None:
            with stream:
                for line in stream:
                    keep(line)
            keep(None)

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        return thread

    def _words(self) -> str:
        """The worker's last lines on stderr."""
        words = " / ".join(line.strip() for line in list(self._last_words) if line and line.strip())
        return f"; its last words: {words}" if words else ""


def run_worker(python: Path, *arguments: str) -> subprocess.Popen[str]:
    """Start the worker with pipes on all three streams. Raises EngineError when the program cannot be run."""
    # What points our own Python (or Slicer's) to its packages would mislead the other one.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            [str(python), str(WORKER), *arguments],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=environment,
        )
    except OSError as error:
        raise EngineError(
            python,
            f"it cannot be run ({error.strerror or error})",
            "Give the program python of an environment that has DeepDRR (--deepdrr-python)",
        ) from error
