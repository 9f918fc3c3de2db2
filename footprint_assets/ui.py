"""Starts the Dagster UI and its daemon on the loopback address, and ends both together."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from footprint_assets.errors import FootprintError
from footprint_assets.runs import dagster_home
from footprint_assets.settings import Settings

HOST = "127.0.0.1"
"""Whoever reaches the UI can start runs: it listens on this machine only."""

MODULE = "footprint_assets.definitions"
STOP_SECONDS = 20.0
"""Longest wait for a server to end its own processes before it is killed, s."""


class PortTaken(FootprintError):  # noqa: N818 - names the fact a reader meets
    """Another program listens on the port."""


def serve(settings: Settings, port: int) -> int:
    """Serve the UI on 127.0.0.1 until it is interrupted or terminated.

    Args:
        settings: Names the lake; the Dagster home stands beside it.
        port: TCP port.

    Returns:
        The webserver's exit code; 0 where it was stopped.

    Raises:
        PortTaken: Another program listens on the port.
    """
    _require_free(port)
    dagster_home(settings)
    # Without this a terminated launcher would leave the webserver and the daemon behind.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with (
            _running("dagster._daemon", "run", "--module-name", MODULE),
            _running(
                "dagster_webserver", "--host", HOST, "--port", str(port), "--module-name", MODULE
            ) as web,
        ):
            return web.wait()
    except KeyboardInterrupt:
        return 0


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortTaken(
                "The port cannot be used.",
                where={"host": HOST, "port": port, "error": error.strerror},
                remedy=f"footprint-assets ui --port {port + 1}",
            ) from error


@contextlib.contextmanager
def _running(module: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-m", module, *arguments])  # noqa: S603 - fixed arguments
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _interrupt(_signum: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
