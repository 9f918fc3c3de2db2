"""The Dagster webserver behind the guard: ``python -m footprint_assets.webserver``, as ``footprint-assets ui`` starts it.

The one place that knows how Dagster puts its webserver together, which it does not document.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
from collections.abc import Iterator

import dagster as dg
import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_webserver.app import create_app_from_workspace_process_context
from dagster_webserver.version import __version__

from footprint_assets import console
from footprint_assets.guard import Access, Application, Guard, report_token
from footprint_assets.settings import Settings

POLL_MS = 2000
"""How often the pages ask for news, ms."""

CLOSE_SECONDS = 5
"""Longest wait for open answers when the server ends, s."""

STATEMENT_MS, RECYCLE_SECONDS, MORE_CONNECTIONS = 15_000, 3_600, 20
"""Dagster's own: longest statement, age of a connection, connections beyond the pool (Postgres)."""


@contextlib.contextmanager
def web_application(module: str, *, read_only: bool) -> Iterator[Application]:
    """Dagster's web application over the definitions of a module, and the code server it asks.

    Args:
        module: Where the definitions are.
        read_only: Whether Dagster refuses every change.
    """
    with dg.DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_MS, RECYCLE_SECONDS, MORE_CONNECTIONS)
        target = ModuleTarget(module, attribute=None, working_directory=None, location_name=None)
        with WorkspaceProcessContext(
            instance, version=__version__, read_only=read_only, workspace_load_target=target
        ) as context:
            yield create_app_from_workspace_process_context(context, live_data_poll_rate=POLL_MS)


def main() -> None:
    """Serve until the process is interrupted or terminated."""
    parser = argparse.ArgumentParser("python -m footprint_assets.webserver", description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--module-name", required=True)
    asked = parser.parse_args()
    # uvicorn hands the signal on when it has closed its connections; the code server is ended on the way out.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    access = Access(frozenset({_in_url(asked.host), *Settings.from_env().ui.hosts}), report_token())
    with (
        contextlib.suppress(KeyboardInterrupt),
        web_application(asked.module_name, read_only=asked.read_only) as application,
    ):
        console.line(f"The Dagster UI is on http://{_in_url(asked.host)}:{asked.port}; Ctrl-C ends it.")
        uvicorn.run(
            Guard(application, access),
            host=asked.host,
            port=asked.port,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=CLOSE_SECONDS,
        )


def _in_url(host: str) -> str:
    """An address as it stands in a URL and in the header ``Host``."""
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    main()
