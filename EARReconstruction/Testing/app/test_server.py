"""Who may come in, what becomes of pages whose browser goes, and of all when the server does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest


def ask(port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> HTTPResponse:
    """One request, redirects not followed."""
    connection = HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
    response = connection.getresponse()
    response.text = response.read().decode()  # type: ignore[attr-defined]
    return response


def folder_of(pid: int) -> Path:
    """The private folder of a page's process."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return Path(words[words.index("EARReconstructionLib.app.page") + 1])


def alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except OSError:
        return False


def wait(what: Callable[[], Any]) -> Any:
    """Until something is so."""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if answer := what():
            return answer
        time.sleep(0.1)
    pytest.fail("it did not happen")


def test_strangers_are_sent_away(server: Any) -> None:
    """Under another name, from another page, without a page's key, and at the door of a page's process."""
    assert ask(server.port, "/", Host=f"evil.example:{server.port}").status == 403
    assert ask(server.port, "/", Origin="http://evil.example").status == 403
    assert ask(server.port, "/page/guess/index.html").getheader("Location") == "/"
    assert ask(server.port, "/page/guess/ws").status == 410
    for port in wait(lambda: [one for pid in server.pages() for one in listening(pid)]):
        assert ask(port, "/index.html").status == 403


def listening(pid: int) -> set[int]:
    """Ports on which a process listens, all on loopback."""
    sockets = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    found = [row[1].split(":") for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]
    assert all(address == "0100007F" for address, _ in found)
    return {int(port, 16) for _, port in found}


def test_pages_load_nothing_from_elsewhere(server: Any) -> None:
    """Says the browser's own rule."""
    policy = ask(server.port, "/page/guess/index.html").getheader("Content-Security-Policy")
    assert policy.startswith("default-src 'self'")
    assert "*" not in policy


def test_a_closed_tab_ends_its_work(server: Any, browser: Any) -> None:
    """In the middle of a reconstruction: the process goes, its folder goes, the server stays."""
    browser.open(server.address)
    browser.click("open-sample")
    browser.until(lambda: browser.state("step") == "reconstruct")
    browser.click("reconstruct")
    browser.until(lambda: browser.state("busy"))
    folders = {pid: folder_of(pid) for pid in server.pages()}
    assert {folder.stat().st_mode & 0o777 for folder in folders.values()} == {0o700}
    browser.driver.get("about:blank")
    ended = wait(lambda: [pid for pid in folders if not alive(pid)])
    wait(lambda: not folders[ended[0]].exists())
    browser.open(server.address)
    assert browser.state("xrays") == {}


def test_elsewhere_asks_for_the_token_and_a_killed_server_leaves_nothing(start_server: Any, browser: Any) -> None:
    """Served to others: nobody comes in without the token, no more pages than allowed. Killed: the page says so, its
    process and its folder go, and its link leads to the server's next life, which asks for a new token."""
    server = start_server("--port", "0", "--host", "0.0.0.0", "--pages", "1")
    assert ask(server.port, "/").status == 401
    assert ask(server.port, "/?token=wrong").status == 401
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    assert "not the token" in ask(server.port, "/token", "POST", b"token=wrong", **form).text
    let_in = ask(server.port, f"/?token={server.token}")
    assert (let_in.status, let_in.getheader("Location")) == (303, "/")
    cookie = let_in.getheader("Set-Cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie

    browser.driver.get(f"http://127.0.0.1:{server.port}/")
    browser.driver.find_element("id", "token").send_keys(server.token)
    browser.driver.find_element("css selector", "form button").click()
    browser.until(lambda: browser.there("open-sample"))
    assert "token" not in browser.driver.current_url
    assert "Images stay on the server" in browser.driver.page_source
    full = ask(server.port, "/", Cookie=cookie.split(";")[0])
    assert full.status == 503
    assert "1 pages are open" in full.text
    address = browser.driver.current_url.removeprefix(f"http://127.0.0.1:{server.port}")
    assert ask(server.port, address).status == 401

    folders = {pid: folder_of(pid) for pid in server.pages()}
    assert len(folders) == 1
    server.stop(signal.SIGKILL)
    wait(lambda: not any(alive(pid) or folder.exists() for pid, folder in folders.items()))
    browser.until(lambda: "lost its server" in browser.driver.page_source)
    start_server("--port", str(server.port), "--host", "0.0.0.0", "--pages", "1")
    browser.driver.find_element("css selector", ".lost a").click()
    browser.until(lambda: browser.there("token"))


def test_a_taken_port_is_a_sentence(server: Any) -> None:
    """And no traceback."""
    words = ["-c", "from EARTrainingLib.cli import main; main()", "app", "--no-browser", "--port", str(server.port)]
    root = Path(__file__).resolve().parents[3]
    paths = os.pathsep.join(str(root / name) for name in ("EARReconstruction", "EARTraining"))
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}, check=False
    )
    assert done.returncode == 2
    assert "cannot listen" in done.stderr
    assert "Traceback" not in done.stderr
