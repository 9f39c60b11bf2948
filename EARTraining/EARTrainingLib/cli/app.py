"""`ear app`: the page in a browser."""

from __future__ import annotations

import secrets
import webbrowser
from typing import Annotated

import typer
from EARReconstructionLib.errors import EARError

from .common import reported


def app(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where to listen; 0 takes a free one.")] = 8407,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Anything but this machine's own asks visitors for a token.")
    ] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address.")] = False,
    pages: Annotated[int, typer.Option(min=1, max=64, help="Pages that may be open at once; each is a process.")] = 4,
    upload_mb: Annotated[int, typer.Option(min=1, help="Largest file that a page takes, MB.")] = 512,
) -> None:
    """Open EAR in a browser: two X-rays to a reviewed spine, without 3D Slicer's desktop.

    Every page has a scene of its own. What is uploaded goes when its page is closed.
    """
    with reported(cancelled="Stopped."):
        try:
            from EARReconstructionLib.app.gate import is_loopback
            from EARReconstructionLib.app.server import Settings, serve
        except ModuleNotFoundError as error:
            raise EARError(
                "ear app", f"{error.name} is missing", 'Install what the page needs: pip install "slicer-ear[app]"'
            ) from error
        token = None if is_loopback(host) else secrets.token_urlsafe(12)

        def ready(address: str) -> None:
            print(f"EAR is open at {address}", flush=True)
            if token:
                print("The connection is not encrypted: use it in a network you trust, or through an SSH tunnel.")
            print("Stop with Ctrl-C.", flush=True)
            if not no_browser:
                webbrowser.open(address)

        print("Starting EAR...", flush=True)
        serve(Settings(host, port, token, pages, upload_mb), ready)
