"""Several partitions at once: do they slow each other down, and what do two workers gain?"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.market import Data, make_sessions, run_command
from benchmarks.model import Case, Facts, Line, Prepared, Side, faster, ratio
from benchmarks.process import side_command, told_by

ONE_THREAD = {"FOOTPRINT_THREADS": "1", "POLARS_MAX_THREADS": "1"}


def _at_once(processes: int) -> Side:
    @contextmanager
    def prepare(data: Data) -> Prepared:
        """The bronze book in some processes at once, one thread each; they start together, everything loaded."""
        started = [
            subprocess.Popen(
                side_command("bronze", "ours", data),
                env=os.environ | ONE_THREAD | {"BENCH_WAIT": "1"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(processes)
        ]
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()  # it is ready

        yield (
            (lambda: list(_answers(started))),
            lambda told: {"slowest_s": max(one["wall_s"] for one in told)},
        )

    return Side(f"{processes} at once", prepare, warm=False)


def _answers(processes: list[subprocess.Popen[str]]) -> Iterator[Facts]:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        yield told_by(process.communicate()[0])


def _workers(workers: int) -> Side:
    @contextmanager
    def prepare(data: Data) -> Prepared:
        """``footprint-assets run --workers``: several sessions into a new lake."""
        days = make_sessions(data)
        arguments = ["run", "--start", str(days[0]), "--end", str(days[-1]), "--workers", str(workers)]
        with data.scratch() as folder:
            yield (
                lambda: run_command(folder / "lake", data.backfill, arguments),
                lambda peak: {"peak_mb": peak},
            )

    return Side(
        f"{workers} worker{'s' * (workers > 1)}", prepare, warm=False, environment=ONE_THREAD, rounds=2
    )


AT_ONCE = Case(
    "at_once",
    "Two partitions at once (the bronze book, one thread each)",
    (_at_once(1), _at_once(2)),
    (
        Line(
            "two partitions at once / one",
            ratio(("2 at once", "slowest_s"), ("1 at once", "slowest_s")),
            1.1,
            bound="at most",
            ours=("2 at once", "slowest_s"),
            peer=("1 at once", "slowest_s"),
        ),
    ),
    needs=("lake",),
)

BACKFILL = Case(
    "backfill",
    "Several sessions by the real command, one worker and two",
    (_workers(2), _workers(1)),
    (faster("backfill: wall, one worker / two", "1 worker", 1.7, ours="2 workers"),),
    needs=("sessions",),
    only_full=True,
)
