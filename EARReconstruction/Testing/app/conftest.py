"""A running `ear app`, and a browser that looks at it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from driven import Browser, Server, missing, start_browser


@pytest.fixture(scope="session")
def chromium() -> None:
    """Skips what needs a browser where there is none."""
    if lacking := missing():
        pytest.skip(lacking)


@pytest.fixture(scope="session")
def server(chromium: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it as it was."""
    running = Server("--port", "0", "--upload-mb", "40", log=tmp_path_factory.mktemp("server") / "log")
    yield running
    running.stop()


@pytest.fixture
def start_server(chromium: None, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers of one's own, which end with the test."""
    started = []

    def start(*options: str) -> Server:
        started.append(Server(*options, log=tmp_path / f"log{len(started)}"))
        return started[-1]

    yield start
    for running in started:
        running.stop()


@pytest.fixture(scope="module")
def browser(chromium: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser per file."""
    opened = start_browser(tmp_path_factory.mktemp("profile"), tmp_path_factory.mktemp("downloads"))
    yield opened
    opened.driver.quit()
