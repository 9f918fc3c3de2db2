"""What learning costs at its real size: ``footprint-assets learn`` over months of drawn episodes with every feature.

The rows are drawn from a known law (`footprint_assets.sample.known_edge`) and lie in a lake as `gold.future.levels_signals`; they
are found again. The command runs in a process of its own, over a lake of its own, and everything counts. Where its time goes
is what Dagster's records of its runs say of each table.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.market import run_command
from benchmarks.measure import measured
from benchmarks.report import machine, table

if TYPE_CHECKING:
    from footprint_assets.lake import Lake

FIRST = dt.date(2023, 1, 1)

Tell = Callable[[str], None]
Seconds = Mapping[str, Mapping[str, float]]
"""Table to month to how long its pass took, s."""


def measure(root: Path, months: int, episodes: int, threads: int, tell: Tell) -> dict[str, Any]:
    """Draw the episodes where they are not there yet, then learn every month by the command line into a lake of its own.

    Args:
        root: Directory of the lakes.
        months: How many.
        episodes: Episodes in all of them.
        threads: Threads of the boosted trees.
        tell: Called with one line a step.

    Returns:
        What was measured, for ``learning.json``.
    """
    from footprint_assets.lake import Lake

    firsts = [dt.date(FIRST.year + k // 12, k % 12 + 1, 1) for k in range(months + 1)]
    drawn = Lake(root / f"learning-{months}x{episodes}" / "lake")
    cost, _ = measured(lambda: draw(drawn, trade_dates(firsts[0], firsts[-1]), episodes))
    tell(f"drawn: {cost.wall_s:.1f} s")
    folder = root / f"learned-{months}x{episodes}"
    shutil.rmtree(folder, ignore_errors=True)
    copy(drawn, Lake(folder / "lake"))
    (folder / "dbn").mkdir()
    arguments = ["learn", "--start", f"{firsts[0]:%Y-%m}", "--end", f"{firsts[-2]:%Y-%m}"]
    threads_of_trees = {"FOOTPRINT_MODELS__NUM_THREADS": str(threads)}
    work, peak = measured(lambda: run_command(folder / "lake", folder / "dbn", arguments, threads_of_trees))
    return {
        "machine": machine(),
        "months": months,
        "episodes": episodes,
        "threads": threads,
        "wall_s": work.wall_s,
        "cpu_s": work.cpu_s,
        "peak_mb": peak,
        "tables": seconds_by_table(folder / "dagster_home"),
    }


def trade_dates(first: dt.date, after: dt.date) -> list[dt.date]:
    """The trade dates with a cash session from one day up to another, which is excluded."""
    from footprint_assets import calendar as cme

    days = cme.sessions(first, after - dt.timedelta(days=1))
    return [day for day in days if cme.session(day).rth_open_ns is not None]


def draw(lake: Lake, days: Sequence[dt.date], episodes: int) -> None:
    """Publish drawn episodes, equally many a trade date, where there are none yet."""
    from footprint_assets.sample.known_edge import TABLE, write_gold

    there = set(lake.layout.dates(TABLE))
    if missing := [day for day in days if day not in there]:
        write_gold(lake, missing, episodes=-(-episodes // len(days)))


def copy(drawn: Lake, into: Lake) -> None:
    """Give another lake the drawn episodes; the files are shared."""
    from footprint_assets.sample.known_edge import TABLE

    for day in drawn.layout.dates(TABLE):
        for symbol in drawn.layout.symbols(TABLE, day):
            shutil.copytree(
                drawn.layout.partition(TABLE, day, symbol),
                into.layout.partition(TABLE, day, symbol),
                copy_function=os.link,
            )


def seconds_by_table(home: Path) -> Seconds:
    """How long every table took, month by month, the oldest first; a month that only taught has its training set alone.

    Args:
        home: Dagster's directory of the runs.
    """
    import dagster as dg

    from footprint_assets.assets import MONTH_TABLES
    from footprint_assets.records import asset_key

    os.environ["DAGSTER_HOME"] = str(home)  # the configuration that lies there names it
    found: dict[str, dict[str, float]] = {}
    with dg.DagsterInstance.get() as instance:
        for key in (one.key for one in MONTH_TABLES):
            told = instance.fetch_materializations(asset_key(key), limit=1_000, ascending=True).records
            made = [record.asset_materialization for record in told]
            seconds = {
                one.partition: one.metadata["pass_seconds"].value
                for one in made
                if one and one.partition and "pass_seconds" in one.metadata
            }
            if seconds:
                found[key] = {month: float(str(seconds[month])) for month in sorted(seconds)}
    return found


def markdown(document: Mapping[str, Any]) -> str:
    """The result as a table."""
    tables: Seconds = document["tables"]
    rows = [
        [f"`{key}`", *(f"{told:,.1f}" for told in _told(list(seconds.values())))]
        for key, seconds in tables.items()
    ]
    head = (
        f"{document['months']} months, {document['episodes']:,} episodes, threads of the trees: {document['threads']}; "
        f"the whole command: {document['wall_s']:,.0f} s of wall, {document['cpu_s']:,.0f} s of CPU, highest resident memory "
        f"{document['peak_mb']:,.0f} MB. "
        + ", ".join(f"{name} {said}" for name, said in document["machine"].items())
        + "."
    )
    return "\n".join(
        [head, "", *table(["table", "all months, s", "a month, s (median)", "the last month, s"], rows)]
    )


def _told(seconds: Sequence[float]) -> tuple[float, float, float]:
    return sum(seconds), statistics.median(seconds), seconds[-1]
