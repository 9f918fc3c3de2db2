"""How long the UI waits for the asset graph: every table with a thousand partitions, 32 readers at once.

The queries are those the page of the graph sends; a browser opens it and they are taken down. The events are written the way
Dagster records what it did not run itself, once; the folder is found again.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.resources
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.report import machine, table

CLIENTS = 32
WANTED_S = 1.0
"""Longest wait of 19 readers in 20, s."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Query:
    """A GraphQL request of the page.

    Args:
        name: The operation, with the number of assets it names.
        body: What is sent.
    """

    name: str
    body: bytes


def measure(root: Path, partitions: int, rounds: int, tell: Tell) -> dict[str, Any]:
    """Fill an instance, serve it, and let readers ask for the graph at the same time.

    Args:
        root: Where the instance is made, and found again.
        partitions: Partitions of each table and check.
        rounds: How often each reader asks.
        tell: Called with one line a step.

    Returns:
        What was measured, for ``graph-load.json``.
    """
    home = root / f"graph-{partitions}"
    events = fill(home, partitions, tell)
    with served(home) as address:
        queries = queries_of_the_page(address)
        rows = []
        for query in queries:
            waits = ask_at_once(address, query, CLIENTS, rounds)
            alone = ask_at_once(address, query, 1, rounds)
            rows.append(
                {
                    "query": query.name,
                    "alone_s": sorted(alone)[len(alone) // 2],
                    "p50_s": sorted(waits)[len(waits) // 2],
                    "p95_s": quantiles(waits, n=20)[-1],
                }
            )
            tell(f"{query.name}: p95 {rows[-1]['p95_s']:.3f} s")
    return {
        "machine": machine(),
        "partitions": partitions,
        "clients": CLIENTS,
        "events": events,
        "queries": rows,
    }


def fill(home: Path, partitions: int, tell: Tell) -> int:
    """Report every table and check of the graph for some trade dates into a new instance, unless it is there.

    Args:
        home: The Dagster home.
        partitions: Trade dates.
        tell: Called now and then.

    Returns:
        The events in it.
    """
    import dagster as dg

    from footprint_assets.build import build_definitions
    from footprint_assets.partitions import LAKE_PARTITIONS
    from footprint_assets.settings import Settings

    graph = build_definitions(Settings()).resolve_asset_graph()
    keys, checks = sorted(graph.get_all_asset_keys()), sorted(graph.asset_check_keys)
    days = LAKE_PARTITIONS.get_partition_keys()[-partitions:]
    events = len(days) * (len(keys) + len(checks))
    if home.exists():
        return events
    unfinished = home.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    configuration = importlib.resources.files("footprint_assets").joinpath("dagster.yaml").read_text()
    (unfinished / "dagster.yaml").write_text(configuration)
    with _home(unfinished), dg.DagsterInstance.get() as instance:
        for done, day in enumerate(days):
            if not done % 50:
                tell(f"{done} of {len(days)} partitions reported")
            for key in keys:
                instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day))
            for check in checks:
                instance.report_runless_asset_event(
                    dg.AssetCheckEvaluation(
                        asset_key=check.asset_key,
                        check_name=check.name,
                        passed=True,
                        metadata={},
                        partition=day,
                    )
                )
    unfinished.rename(home)
    return events


@contextlib.contextmanager
def _home(home: Path) -> Iterator[None]:
    before = os.environ.get("DAGSTER_HOME")
    os.environ["DAGSTER_HOME"] = str(home.resolve())
    try:
        yield
    finally:
        os.environ.pop("DAGSTER_HOME")
        if before is not None:
            os.environ["DAGSTER_HOME"] = before


@contextlib.contextmanager
def served(home: Path) -> Iterator[str]:
    """``footprint-assets ui --read-only`` over an instance; its address, ``host:port``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = "from footprint_assets.cli import main; main()"
    server = subprocess.Popen(
        [sys.executable, "-c", command, "ui", "--read-only", "--port", str(port)],
        env=os.environ | {"DAGSTER_HOME": str(home.resolve())},
        stdout=subprocess.DEVNULL,
    )
    try:
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if server.poll() is not None:
                raise RuntimeError(f"the UI ended with exit code {server.returncode}")
            time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def queries_of_the_page(address: str) -> list[Query]:
    """What the page of the whole graph asks for until it is quiet, each query once."""
    from playwright.sync_api import Request, sync_playwright

    found: dict[bytes, Query] = {}

    def note(request: Request) -> None:
        if urlsplit(request.url).path == "/graphql" and request.method == "POST" and request.post_data_buffer:
            asked: dict[str, Any] = request.post_data_json or {}
            assets = asked["variables"].get("assetKeys", [])
            name = asked.get("operationName") or parse_qs(urlsplit(request.url).query).get("op", ["?"])[0]
            found[request.post_data_buffer] = Query(
                f"{name}, {len(assets)} tables" if assets else name, request.post_data_buffer
            )

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page()
        page.on("request", note)
        page.goto(f"http://{address}/asset-groups", timeout=120_000)
        page.get_by_text("gold", exact=True).last.wait_for(timeout=120_000)
        page.wait_for_timeout(10_000)
        browser.close()
    return list(found.values())


def ask_at_once(address: str, query: Query, clients: int, rounds: int) -> list[float]:
    """How long each answer took, s, while some readers ask the same again and again.

    Args:
        address: Host and port.
        query: What is asked.
        clients: Readers, each with a connection of its own.
        rounds: Answers each waits for.
    """

    def reader(_: int) -> list[float]:
        waits = []
        with contextlib.closing(http.client.HTTPConnection(address, timeout=300)) as connection:
            for _turn in range(rounds):
                started = time.perf_counter()
                connection.request("POST", "/graphql", query.body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                body = answer.read()
                waits.append(time.perf_counter() - started)
                if answer.status != 200 or b'"errors"' in body[-2000:]:
                    raise RuntimeError(f"{query.name}: {answer.status} {body[:500]!r}")
        return waits

    with ThreadPoolExecutor(clients) as readers:
        return [wait for waits in readers.map(reader, range(clients)) for wait in waits]


def markdown(document: Mapping[str, Any]) -> str:
    """The table of a document of :func:`measure`."""
    rows: Sequence[Mapping[str, Any]] = document["queries"]
    return "\n".join(
        [
            f"{document['events']:,} events, {document['partitions']:,} partitions, {document['clients']} readers:",
            "",
            *table(
                ["query of the page", "alone, s", "p50, s", "p95, s", f"p95 below {WANTED_S:g} s"],
                [
                    [
                        row["query"],
                        f"{row['alone_s']:.3f}",
                        f"{row['p50_s']:.3f}",
                        f"{row['p95_s']:.3f}",
                        "yes" if row["p95_s"] < WANTED_S else "no",
                    ]
                    for row in rows
                ],
            ),
        ]
    )
