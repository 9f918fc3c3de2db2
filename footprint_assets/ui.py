"""Starts the Dagster UI and its daemon on the loopback address."""

from __future__ import annotations

import subprocess
import sys

from footprint_assets.runs import dagster_home
from footprint_assets.settings import Settings

MODULE = "footprint_assets.definitions"


def serve(settings: Settings, port: int) -> int:
    """Serve the UI on 127.0.0.1 until interrupted.

    Args:
        settings: Names the lake; the Dagster home stands beside it.
        port: TCP port.

    Returns:
        The webserver's exit code.
    """
    dagster_home(settings)
    daemon = subprocess.Popen([sys.executable, "-m", "dagster._daemon", "run", "--module-name", MODULE])  # noqa: S603 - fixed arguments
    try:
        server = [
            sys.executable,
            "-m",
            "dagster_webserver",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--module-name",
            MODULE,
        ]
        return subprocess.call(server)  # noqa: S603 - fixed arguments
    except KeyboardInterrupt:
        return 0
    finally:
        daemon.terminate()
        daemon.wait()
