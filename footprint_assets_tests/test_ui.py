"""The UI as a real process: it answers on the loopback address only and leaves nothing running."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from footprint_assets_tests.conftest import REPOSITORY
from footprint_assets_tests.small_market import KEYS

START_SECONDS = 120.0
STOP_SECONDS = 60.0
UI = [sys.executable, "-c", "from footprint_assets.cli import main; main()", "ui", "--port"]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running_ui(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("FOOTPRINT_", "DAGSTER_"))
    }
    with (folder / "ui.log").open("wb") as log:
        process = subprocess.Popen(
            [*UI, str(port)],
            cwd=folder,
            env=environment | {"PYTHONPATH": str(REPOSITORY)},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def fetch(port: int, path: str, body: object = None) -> object:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def wait_until_served(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            fetch(port, "/server_info")
            return
        time.sleep(0.2)
    raise AssertionError(f"not served after {START_SECONDS} s: {log.read_text()}")


def group_is_gone(group: int) -> bool:
    end = time.monotonic() + STOP_SECONDS
    while time.monotonic() < end:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_the_ui_serves_the_assets_on_the_loopback_address_and_ends_with_all_its_processes(
    tmp_path: Path, port: int
) -> None:
    with running_ui(tmp_path, port) as process:
        wait_until_served(process, port, tmp_path / "ui.log")

        answer = fetch(port, "/graphql", {"query": "{ assetNodes { assetKey { path } } }"})
        assert isinstance(answer, dict)
        keys = {".".join(node["assetKey"]["path"]) for node in answer["data"]["assetNodes"]}
        assert keys == set(KEYS)

        # Every 127.x.y.z is this machine: a server bound to all addresses would answer here.
        with pytest.raises(OSError), socket.create_connection(("127.0.0.2", port), timeout=5):
            pass

        process.terminate()
        assert process.wait(STOP_SECONDS) == 0
        assert group_is_gone(process.pid)
    assert (tmp_path / "data" / "dagster_home" / "dagster.yaml").is_file()


def test_a_port_in_use_is_one_message_and_exit_code_1(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running_ui(tmp_path, port) as process:
            assert process.wait(START_SECONDS) == 1
    said = (tmp_path / "ui.log").read_text()
    assert "PortTaken" in said
    assert f"port={port}" in said
    assert "Traceback" not in said
