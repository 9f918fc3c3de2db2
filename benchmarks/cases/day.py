"""A whole trade date: the real command from DBN to gold, and where the time of every table goes.

The accounts are taken inside one process, one thread, by wrapping what validates, hashes, writes manifests and fsyncs.
"""

from __future__ import annotations

import functools
import hashlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.cases.bronze import zstd_alone
from benchmarks.market import DAY, Data, run_command
from benchmarks.measure import peak_mb, reset_peak
from benchmarks.model import Case, Facts, Line, Prepared, Side, value, within

if TYPE_CHECKING:
    from footprint_assets.tables import LakeTable

_ZSTD = "floor: zstd alone"
VALIDATION, SEALING = "validation", "manifest, hash, fsync"
ALLOWED = {VALIDATION: 0.10, SEALING: 0.05}
LARGE_S = 1.0
"""A pass of less than this is mostly the disk's own time for its handful of fsyncs."""


@contextmanager
def command(data: Data) -> Prepared:
    """``footprint-assets run --date``: a new lake, every table, every check, the interpreter's start included."""
    with data.scratch() as folder:
        yield (
            lambda: run_command(folder / "lake", data.market, ["run", "--date", str(DAY)]),
            lambda peak: {"peak_mb": peak},
        )


@contextmanager
def passes_of_the_day(data: Data) -> Prepared:
    """Every pass in turn in this process, without Dagster: seconds and growth of memory of each."""
    from footprint_assets.assets import tables
    from footprint_assets.resources import Workbench
    from footprint_assets.tables import Scope, passes, stage_pass

    clock = Clock()
    with data.scratch() as folder, accounted(clock):
        settings = data.settings(folder / "lake")

        def work() -> list[Facts]:
            rows = []
            scope = Scope.of(DAY, Workbench(settings))
            for together in passes(tables(settings)):
                reset_peak()
                clock.spent.clear()
                started, cpu = time.perf_counter(), time.process_time()
                staged = stage_pass(together, scope, together[0].open_inputs(scope), "benchmark")
                for table in staged:
                    if hasattr(table, "stage"):
                        table.stage.publish()
                rows.append(
                    {
                        "table": label(together),
                        "rows": sum(getattr(table, "rows", 0) for table in staged),
                        "wall_s": time.perf_counter() - started,
                        "cpu_s": time.process_time() - cpu,
                        "peak_mb": peak_mb(),
                        VALIDATION: clock.spent[VALIDATION],
                        SEALING: clock.spent[SEALING],
                    }
                )
            return rows

        yield work, _shares


def label(together: Sequence[LakeTable]) -> str:
    """What the report calls a pass: its first table, and how many more it gives."""
    return together[0].key + (f" (+{len(together) - 1})" if len(together) > 1 else "")


def _shares(rows: list[Facts]) -> Facts:
    """The rows, and what share of the time went into validation and into sealing: of all, and the largest of one pass."""
    found: Facts = {"passes": rows}
    large = [row for row in rows if row["wall_s"] >= LARGE_S] or [max(rows, key=lambda row: row["wall_s"])]
    for kind in ALLOWED:
        found[f"{kind}, whole"] = sum(row[kind] for row in rows) / sum(row["wall_s"] for row in rows)
        found[f"{kind}, largest"] = max(row[kind] / row["wall_s"] for row in large)
    return found


class Clock:
    """Time spent in wrapped functions by kind; a wrapped function inside another counts once, for the outer one."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)
        self._inside = False

    def timed(self, kind: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added to its kind."""

        @functools.wraps(function)
        def around(*args: Any, **kwargs: Any) -> Any:
            if self._inside:
                return function(*args, **kwargs)
            self._inside, started = True, time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._inside = False
                self.spent[kind] += time.perf_counter() - started

        return around


class _TimedHash:
    """A SHA-256 whose updates are timed."""

    def __init__(self, clock: Clock, plain: Callable[..., Any], data: bytes = b"") -> None:
        self._hash = plain()
        self.update = clock.timed(SEALING, self._hash.update)
        if data:
            self.update(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hash, name)


@contextmanager
def accounted(clock: Clock) -> Iterator[None]:
    """Wrap what validates and what makes a partition durable, for as long as this lasts."""
    from footprint_assets.contracts import Validator
    from footprint_assets.lake import fsops, reader, writer

    places: list[tuple[Any, str, str]] = [(Validator, "validate", VALIDATION)]
    places += [(fsops, name, SEALING) for name in ("fsync", "fsync_dir", "write_file")]
    places += [
        (writer.Stage, "publish", SEALING),
        (writer, "time_range", SEALING),
        (reader, "file_sha256", SEALING),
    ]
    plain = [(owner, name, getattr(owner, name)) for owner, name, _ in places]
    sha256 = hashlib.sha256
    for owner, name, kind in places:
        setattr(owner, name, clock.timed(kind, getattr(owner, name)))
    hashlib.sha256 = lambda data=b"", **_: _TimedHash(clock, sha256, data)  # type: ignore[assignment]  # a stand-in
    try:
        yield
    finally:
        hashlib.sha256 = sha256
        for owner, name, function in plain:
            setattr(owner, name, function)


WHOLE = Case(
    "day",
    "DBN to gold, the whole trade date, by the real command",
    (
        Side("ours", command, warm=False),
        Side(_ZSTD, zstd_alone),
    ),
    (
        within("whole day, all tables and checks: wall, ours / bare zstd decode", _ZSTD, 12.0),
        Line(
            "whole day, all tables and checks: peak of resident memory",
            value("ours", "peak_mb"),
            1536.0,
            "MB",
            "at most",
        ),
    ),
    needs=("lake",),
)

ACCOUNTS = Case(
    "accounts",
    "Where the time of a whole trade date goes, by pass, one thread",
    (
        Side(
            "ours",
            passes_of_the_day,
            environment={"FOOTPRINT_THREADS": "1", "POLARS_MAX_THREADS": "1"},
            rounds=2,
        ),
    ),
    tuple(
        Line(f"{kind}: {what}", value("ours", f"{kind}, {which}", 100.0), 100 * ALLOWED[kind], "%", "at most")
        for kind in (VALIDATION, SEALING)
        for which, what in (
            ("whole", "share of the whole day"),
            ("largest", f"largest share of a pass of {LARGE_S:.0f} s or more"),
        )
    ),
    needs=("lake",),
)
