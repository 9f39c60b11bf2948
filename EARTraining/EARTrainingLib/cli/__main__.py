"""`python -m EARTrainingLib.cli`: the command `ear` for programs that start it, such as the module EAR Training."""

from __future__ import annotations

import json
import os
import signal
import sys

_AS_EVENTS = "--progress-json" in sys.argv


def _start() -> None:
    """Say who we are before anything that takes time, and stop at SIGTERM as at Ctrl-C.

    A group of its own lets the program that started us end our workers with us, though it only knows a launcher.
    """
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(json.dumps({"event": "start", "pid": os.getpid()}), flush=True)


def _fail(subject: str, cause: str, advice: str) -> None:
    """As cli.common.reported, for what goes wrong outside of it."""
    if _AS_EVENTS:
        print(json.dumps({"event": "error", "subject": subject, "cause": cause, "advice": advice}), flush=True)
    else:
        print(f"Error: {subject}: {cause}. {advice}.", file=sys.stderr)


def _run() -> int:
    """The whole command; the exit status."""
    try:
        from EARTrainingLib.cli import app

        return int(app(standalone_mode=False) or 0)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("EAR"):
            raise
        library = error.name.partition(".")[0]
        cause = f"its library {library} is missing"
        _fail(sys.executable, cause, "Install the training libraries, or choose another Python")
    except Exception as error:
        if not hasattr(error, "format_message"):  # not a slip in the arguments: typer has its own classes for those
            raise
        _fail(" ".join(["ear", *sys.argv[1:2]]), error.format_message().rstrip("."), "See its --help")
    return 2


if __name__ == "__main__":
    if _AS_EVENTS:
        _start()
    sys.exit(_run())
