"""``footprint-assets ui`` as a process of its own, and the ways a test speaks to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from footprint_assets_tests.conftest import REPOSITORY

START_SECONDS = 120.0
STOP_SECONDS = 60.0
ANSWER_SECONDS = 60.0
UI = [sys.executable, "-c", "from footprint_assets.cli import main; main()", "ui"]


@dataclass(frozen=True)
class Answer:
    """What the server said.

    Args:
        status: HTTP status.
        body: The whole body.
    """

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Server:
    """A running UI.

    Args:
        port: Where it listens on 127.0.0.1.
        process: The launcher.
        log: What the launcher and its children print.
    """

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """Send exactly this request: the path as it stands, and no header but those given, ``Host`` and the length."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        with contextlib.closing(connection):
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in ({"Host": f"127.0.0.1:{self.port}"} | dict(headers or {})).items():
                connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(body or b"")))
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response.status, response.read())

    def graphql(self, query: str, **variables: Any) -> Any:
        """Ask as a program does: JSON, no ``Origin``."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        answer = self.ask("POST", "/graphql", {"Content-Type": "application/json"}, body)
        assert answer.status == 200, answer.body
        return answer.json()["data"]

    def is_served(self) -> bool:
        try:
            return self.ask("GET", "/server_info").status == 200
        except OSError:
            return False

    def wait_until_served(self) -> None:
        end = time.monotonic() + START_SECONDS
        while not self.is_served():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, f"not served after {START_SECONDS} s: {self.log.read_text()}"
            time.sleep(0.1)


@contextlib.contextmanager
def running_ui(
    folder: Path, *options: str, environment: Mapping[str, str] | None = None, name: str = "ui"
) -> Iterator[Server]:
    """Start the UI in a working directory; its processes are gone afterwards, whatever became of it.

    Args:
        folder: The working directory, whose lake and drop folder are the defaults.
        options: Options of ``footprint-assets ui``; a free port is chosen where none names one.
        environment: Variables beside those of the tests.
        name: Of its log.
    """
    taken = [int(options[at + 1]) for at, option in enumerate(options) if option == "--port"]
    port = taken[0] if taken else free_port()
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(("FOOTPRINT_", "DAGSTER_"))
    }
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*UI, *options, *([] if taken else ["--port", str(port)])],
            cwd=folder,
            env=inherited | {"PYTHONPATH": str(REPOSITORY)} | dict(environment or {}),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield Server(port, process, log)
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def group_is_gone(group: int) -> bool:
    end = time.monotonic() + STOP_SECONDS
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
