"""What learning costs at its real size: months of drawn episodes with every feature, each month's models made of the months before.

The rows are drawn from a known law (`footprint_assets.sample.known_edge`) and lie in a lake as `gold.future.levels_signals`; they
are found again. ``command``: ``footprint-assets learn`` over all months in a process of its own, everything counted. ``functions``: the
pure functions that the month tables are thin layers over, one by one: rows to learn from, four heads, their predictions of
the month, the space and the index of earlier episodes, the neighbours of the month's.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.market import run_command
from benchmarks.measure import measured, peak_mb
from benchmarks.report import machine, table

if TYPE_CHECKING:
    import polars as pl

FIRST = dt.date(2023, 1, 1)
MONTHS, EPISODES = 24, 25_000
PARTS = ("rows", "heads", "predictions", "index", "neighbours")

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Month:
    """A month's costs.

    Args:
        first: Its first day.
        learned: Episodes its models learned from.
        judged: Its own episodes.
        wall_s: Wall time of each of ``PARTS``, s; the heads also by name.
        cpu_s: Processor time of the same, s.
        peak_mb: Highest resident memory of the process during each, MB.
    """

    first: dt.date
    learned: int
    judged: int
    wall_s: dict[str, float]
    cpu_s: dict[str, float]
    peak_mb: dict[str, float]


def measure_command(root: Path, months: int, episodes: int, threads: int, tell: Tell) -> dict[str, Any]:
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
    from footprint_assets.sample.known_edge import TABLE

    dates = _dates(months)
    drawn = Lake(root / f"learning-{months}x{episodes}" / "lake")
    cost, _ = measured(lambda: _draw(drawn, dates, episodes))
    tell(f"drawn: {cost.wall_s:.1f} s")
    folder = root / f"learned-{months}x{episodes}"
    shutil.rmtree(folder, ignore_errors=True)
    for day in drawn.layout.dates(TABLE):
        for symbol in drawn.layout.symbols(TABLE, day):
            there = Lake(folder / "lake").layout.partition(TABLE, day, symbol)
            shutil.copytree(drawn.layout.partition(TABLE, day, symbol), there, copy_function=os.link)
    (folder / "dbn").mkdir()
    first, last = min(dates), max(dates)
    arguments = ["learn", "--start", f"{first:%Y-%m}", "--end", f"{last:%Y-%m}"]
    threads_of_trees = {"FOOTPRINT_MODELS__NUM_THREADS": str(threads)}
    work, peak = measured(lambda: run_command(folder / "lake", folder / "dbn", arguments, threads_of_trees))
    total = {"wall_s": work.wall_s, "cpu_s": work.cpu_s, "peak_mb": peak}
    return {
        "machine": machine(),
        "months": months,
        "episodes": episodes,
        "threads": threads,
        **total,
        "parts": {"footprint-assets learn": total},
    }


def measure(
    root: Path, months: int, episodes: int, threads: int, window: int | None, tell: Tell
) -> dict[str, Any]:
    """Draw the episodes where they are not there yet, then learn and judge every month.

    Args:
        root: Directory of the lake; found again.
        months: How many.
        episodes: Episodes in all of them.
        threads: Threads of the boosted trees.
        window: Months that models learn from, at most; all where ``None``.
        tell: Called with one line a month.

    Returns:
        What was measured, for ``learning.json``.
    """
    from footprint_assets.lake import Lake

    dates = _dates(months)
    lake = Lake(root / f"learning-{months}x{episodes}" / "lake")
    drawn, _ = measured(lambda: _draw(lake, dates, episodes))
    tell(f"drawn: {drawn.wall_s:.1f} s")
    costs = _learn(lake, dates, threads, window, tell)
    totals = {
        part: {
            "wall_s": sum(month.wall_s.get(part, 0.0) for month in costs),
            "cpu_s": sum(month.cpu_s.get(part, 0.0) for month in costs),
            "peak_mb": max(month.peak_mb.get(part, 0.0) for month in costs),
        }
        for part in sorted({name for month in costs for name in month.wall_s})
    }
    return {
        "machine": machine(),
        "months": months,
        "episodes": sum(month.judged for month in costs),
        "threads": threads,
        **{kind: sum(totals[part][kind] for part in PARTS if part in totals) for kind in ("wall_s", "cpu_s")},
        "peak_mb": max(part["peak_mb"] for part in totals.values()),
        "parts": totals,
        "by_month": [month.__dict__ | {"first": month.first.isoformat()} for month in costs],
    }


def markdown(document: dict[str, Any]) -> str:
    """The result as a table."""
    costs = document["parts"] | {"**all**": document}
    rows = [
        [name, f"{cost['wall_s']:.1f}", f"{cost['cpu_s']:.1f}", f"{cost['peak_mb']:,.0f}"]
        for name, cost in costs.items()
    ]
    head = (
        f"{document['months']} months, {document['episodes']:,} episodes, threads of the trees: {document['threads']}; "
        + ", ".join(f"{name} {said}" for name, said in document["machine"].items())
        + "."
    )
    return "\n".join([head, "", *table(["what", "wall, s", "CPU, s", "highest memory, MB"], rows)])


def _dates(months: int) -> dict[dt.date, list[dt.date]]:
    """The trade dates with a cash session of each month."""
    from footprint_assets import calendar as cme

    firsts = [dt.date(FIRST.year + k // 12, k % 12 + 1, 1) for k in range(months + 1)]
    return {
        first: [
            day
            for day in cme.sessions(first, after - dt.timedelta(1))
            if cme.session(day).rth_open_ns is not None
        ]
        for first, after in pairwise(firsts)
    }


def _draw(lake: Any, dates: dict[dt.date, list[dt.date]], episodes: int) -> None:
    from footprint_assets.sample.known_edge import TABLE, write_gold

    days = [day for month in dates.values() for day in month]
    there = set(lake.layout.dates(TABLE))
    a_day = -(-episodes // len(days))
    missing = [day for day in days if day not in there]
    if missing:
        write_gold(lake, missing, episodes=a_day)


def _learn(
    lake: Any, dates: dict[dt.date, list[dt.date]], threads: int, window: int | None, tell: Tell
) -> list[Month]:
    import polars as pl

    from footprint_assets.ml.splits import TooFewSessions

    earlier: list[pl.DataFrame] = []
    costs = []
    for first, days in dates.items():
        rows_cost, own = measured(partial(_rows, lake, days))
        known = earlier[-window:] if window else earlier
        month = Month(first, sum(part.height for part in known), own.height, {}, {}, {})
        _note(month, "rows", rows_cost)
        if known:
            with suppress(TooFewSessions):  # the first months teach
                _judge(month, pl.concat(known), own, threads)
        costs.append(month)
        earlier.append(own)
        tell(
            f"{first:%Y-%m} {month.learned} rows, {sum(month.wall_s[p] for p in PARTS if p in month.wall_s):.1f} s"
        )
    return costs


def _rows(lake: Any, days: Sequence[dt.date]) -> pl.DataFrame:
    """What the training set of a month holds."""
    import polars as pl

    from footprint_assets.ml.features import allowed
    from footprint_assets.ml.training import training_rows
    from footprint_assets.sample.known_edge import TABLE
    from footprint_assets.settings import LabelSettings

    signals = []
    for day in days:
        with lake.read(TABLE, day) as snapshot:
            signals += [partition.frame() for partition in snapshot]
    return training_rows(pl.concat(signals), allowed(), LabelSettings())


def _judge(month: Month, known: pl.DataFrame, own: pl.DataFrame, threads: int) -> None:
    from footprint_assets.ml.features import allowed
    from footprint_assets.ml.heads import HEADS, train
    from footprint_assets.ml.retrieval import build_index, fit_space
    from footprint_assets.settings import ModelSettings, RetrievalSettings

    features, settings = allowed(), ModelSettings(num_threads=threads)
    for name, head in HEADS.items():
        cost, model = measured(partial(train, head, known, features, settings))
        _note(month, "heads", cost)
        _note(month, f"heads: {name}", cost)
        cost, _ = measured(partial(model.predict, own, features.sha256))
        _note(month, "predictions", cost)
    cost, index = measured(lambda: build_index(known, fit_space(known, features), RetrievalSettings()))
    _note(month, "index", cost)
    cost, _ = measured(partial(index.ask_all, own))
    _note(month, "neighbours", cost)


def _note(month: Month, part: str, cost: Any) -> None:
    month.wall_s[part] = month.wall_s.get(part, 0.0) + cost.wall_s
    month.cpu_s[part] = month.cpu_s.get(part, 0.0) + cost.cpu_s
    month.peak_mb[part] = max(month.peak_mb.get(part, 0.0), peak_mb())
