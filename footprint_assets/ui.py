"""Starts the Dagster UI behind its guard, with the daemon, and ends both together."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

from footprint_assets.errors import FootprintError
from footprint_assets.guard import TOKEN, report_token
from footprint_assets.runs import dagster_home
from footprint_assets.settings import Settings

MODULE = "footprint_assets.definitions"
LOOPBACK = "127.0.0.1"
"""Whoever reaches the UI can start runs: unless told otherwise it listens on this machine only."""

STOP_SECONDS = 20.0
"""Longest wait for a server to end its own processes before it is killed, s."""


class PortTaken(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The UI cannot listen on this address and port; most often another program does."""


class OpenToOthers(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The address is one that other machines reach, and they could start runs."""


def serve(
    settings: Settings,
    port: int,
    host: str = LOOPBACK,
    *,
    read_only: bool = False,
    anyone_may_run: bool = False,
) -> int:
    """Serve the UI until it is interrupted or terminated.

    Args:
        settings: Names the lake; the Dagster home stands beside it.
        port: TCP port.
        host: Address to listen on.
        read_only: Only show: Dagster refuses every change, and no daemon is started.
        anyone_may_run: Whether others may start runs where the address is not of this machine alone.

    Returns:
        The webserver's exit code; 0 where it was stopped.

    Raises:
        OpenToOthers: Others reach the address, and nobody said that they may.
        PortTaken: The address and port are not free.
        TokenTooShort: The token of the report endpoints can be guessed.
    """
    if not (_is_loopback(host) or read_only or anyone_may_run):
        raise OpenToOthers(
            "Whoever reaches this address could start runs: the UI knows no users.",
            where={"host": host},
            remedy=f"footprint-assets ui --host {host} --read-only; or --anyone-may-run in a network you trust.",
        )
    _require_free(host, port)
    dagster_home(settings)
    secret = {TOKEN: token} if (token := report_token()) else {}
    # Without this a terminated launcher would leave the webserver and the daemon behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asked = ["--host", host, "--port", str(port), *["--read-only"] * read_only, "--module-name", MODULE]
    try:
        with contextlib.ExitStack() as servers:
            if not read_only:
                servers.enter_context(_running("dagster._daemon", "run", "--module-name", MODULE))
            return servers.enter_context(_running("footprint_assets.webserver", *asked, **secret)).wait()
    except KeyboardInterrupt:
        return 0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _require_free(host: str, port: int) -> None:
    try:
        (family, *_), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise PortTaken(
            "The port cannot be used.",
            where={"host": host, "port": port, "error": error.strerror},
            remedy=f"footprint-assets ui --port {port + 1}",
        ) from error


@contextlib.contextmanager
def _running(module: str, *arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(  # noqa: S603 - fixed arguments
        [sys.executable, "-m", module, *arguments], env=os.environ | environment
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
