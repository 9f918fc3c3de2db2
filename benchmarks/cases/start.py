"""What a person waits for before any work begins: the command line, the definitions, an unchanged trade date."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager

from benchmarks.market import DAY, Data, run_command
from benchmarks.model import Case, Line, Prepared, Side, value


@contextmanager
def help_page(_: Data) -> Prepared:
    """``footprint-assets --help`` in a new process."""
    yield (
        (
            lambda: _python(
                "import sys; sys.argv[1:] = ['--help']; from footprint_assets.cli import main; main()"
            )
        ),
        _none,
    )


@contextmanager
def definitions(_: Data) -> Prepared:
    """What ``dagster`` loads: the module of the definitions, in a new process."""
    yield (lambda: _python("from footprint_assets.definitions import defs; defs")), _none


@contextmanager
def unchanged(data: Data) -> Prepared:
    """A trade date whose tables are all current and whose checks held, as the command judges it."""
    from footprint_assets.resources import Workbench
    from footprint_assets.runs import run_dates

    os.environ["DAGSTER_HOME"] = str((data.whole.parent / "dagster_home").resolve())
    settings = data.settings(data.whole)
    Workbench(settings).catalog()
    yield (
        lambda: list(run_dates(settings, [DAY])),
        lambda found: {
            "outcome": found[0].outcome,
            "seconds": found[0].seconds if found[0].outcome == "unchanged" else float("nan"),
        },
    )


@contextmanager
def unchanged_command(data: Data) -> Prepared:
    """The same as a person types it, the interpreter's start and all imports included."""
    yield (lambda: run_command(data.whole, data.market, ["run", "--date", str(DAY)])), _none


def _python(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _none(_: object) -> dict[str, object]:
    return {}


CASE = Case(
    "start",
    "Before any work begins",
    (
        Side("footprint-assets --help", help_page),
        Side("definitions", definitions),
        Side("unchanged day", unchanged, warm=False),
        Side("unchanged day, whole command", unchanged_command, warm=False),
    ),
    (
        Line("footprint-assets --help", value("footprint-assets --help", "wall_s"), 0.4, "s", "at most"),
        Line("definitions load", value("definitions", "wall_s"), 2.5, "s", "at most"),
        Line("unchanged day skipped", value("unchanged day", "seconds"), 0.2, "s", "at most"),
        Line("unchanged day, the whole command", value("unchanged day, whole command", "wall_s"), unit="s"),
    ),
    needs=("whole",),
)
