"""Attempts at levels in the lake: one that is named by trade date, level and time, and how price went around it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.errors import FootprintError
from footprint_assets.ml.features import allowed
from footprint_assets.ml.training import columns_read, training_rows
from footprint_assets.months import root_of
from footprint_assets.resources import Workbench
from footprint_assets.settings import NANOS_PER_SECOND
from footprint_assets.tables import TableInput

LEVELS_SIGNALS = "gold.future.levels_signals"
APPROACH = "silver.future.market_by_price_10_level_approach"
BAR_S = 5
EVENING = dt.time(18)
"""From then on a wall time belongs to the next trade date."""

PLACE_COLUMNS = ("episode_id", "session_date", "contract", "level_type", "decision_ts")
"""Columns of `training_set` that say where and when an attempt was made."""


class NoSuchAttempt(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The lake has no attempt at this level at or before this time of the trade date."""


@dataclass(frozen=True)
class Place:
    """Where and when an attempt was made.

    Args:
        episode_id: Its name.
        trade_date: CME trade date.
        contract: Raw symbol.
        level: Name of the level.
        decision_ns: End of its trigger bar, UTC ns.
    """

    episode_id: str
    trade_date: dt.date
    contract: str
    level: str
    decision_ns: int

    @property
    def clock(self) -> str:
        """Time of the decision in New York."""
        instant = dt.datetime.fromtimestamp(self.decision_ns // NANOS_PER_SECOND, cme.NEW_YORK)
        return f"{instant:%H:%M:%S}"

    @property
    def words(self) -> str:
        """The attempt as a person names it."""
        return f"{self.trade_date} {self.clock} ET {self.contract} {self.level}"


def places(rows: pl.DataFrame) -> list[Place]:
    """Where and when the attempts of rows were made.

    Args:
        rows: Rows with :data:`PLACE_COLUMNS`.
    """
    return [
        Place(*facts)
        for facts in rows.select(
            *PLACE_COLUMNS[:3], pl.col("level_type").cast(pl.String), pl.col("decision_ts").cast(pl.Int64)
        ).iter_rows()
    ]


@dataclass(frozen=True)
class Attempt:
    """One attempt at a level, with what a model may know of it.

    Args:
        place: Where and when.
        root: Product root.
        level_price: Price of the level, points.
        row: Its one row of `training_set`, outcome and features included.
    """

    place: Place
    root: str
    level_price: float
    row: pl.DataFrame

    @property
    def month(self) -> dt.date:
        """First day of its month."""
        return self.place.trade_date.replace(day=1)

    @property
    def side(self) -> str:
        """Where price came from."""
        return "from below" if int(self.row["approach_direction"].item()) > 0 else "from above"

    @property
    def words(self) -> str:
        """The attempt in one line."""
        return f"{self.place.words}, {self.side}, level {self.level_price:.2f}"


def find_attempt(bench: Workbench, day: dt.date, level: str, at: dt.time, root: str) -> Attempt:
    """The last attempt at a level that was decided at or before a time.

    Args:
        bench: The lake.
        day: Trade date.
        level: Name of the level, such as ``PM_HIGH``.
        at: Wall time in New York; of a whole second, the second counts in full.
        root: Product root, such as ``ES``.

    Raises:
        MarketClosed: The date is no trade date.
        PartitionMissing: The signals of the trade date are not published.
        NoSuchAttempt: There is no attempt at the level by then.
    """
    cme.session(day)
    signals = TableInput(bench.lake, LEVELS_SIGNALS, (day,))
    traded = [symbol for symbol in signals.symbols() if root_of(symbol, day) == root]
    features, labels = allowed(), bench.settings.labels
    columns = list(dict.fromkeys([*columns_read(features, labels), "level_price"]))
    wanted = pl.col("level_type").cast(pl.String) == level
    found = pl.concat([signals.frame(symbol, columns, wanted) for symbol in traded]) if traded else None
    until = _until(day, at)
    if found is not None and found.height:
        decided = found.filter(pl.col("decision_ts").cast(pl.Int64) < until)
        if decided.height:
            last = decided.sort("decision_ts", "episode_id")[-1]
            row = training_rows(last, features, labels).rename({"symbol": "contract"})
            (place,) = places(row)
            return Attempt(place, root, float(last["level_price"].item()), row)
    tried = {name for symbol in traded for name in signals.frame(symbol, ["level_type"])["level_type"]}
    raise _none(day, level, at, root, found, tried)


def _until(day: dt.date, at: dt.time) -> int:
    """The first instant after a wall time of a trade date."""
    date = day - dt.timedelta(days=1) if at >= EVENING else day
    return cme.et_ns(date, at) + (NANOS_PER_SECOND if not at.microsecond else 1)


def _none(
    day: dt.date, level: str, at: dt.time, root: str, found: pl.DataFrame | None, tried: Collection[str]
) -> NoSuchAttempt:
    where: dict[str, object] = {"dt": day, "root": root, "level": level, "until": f"{at} ET"}
    if found is None:
        return NoSuchAttempt(
            f"{LEVELS_SIGNALS} has no contract of {root} on {day}.",
            where=where,
            remedy=f"footprint-assets show {LEVELS_SIGNALS} --date {day}",
        )
    if found.is_empty():
        remedy = (
            f"ask for a level with attempts on this trade date: {', '.join(sorted(tried))}."
            if tried
            else "ask about another trade date; this one has no attempts at any level."
        )
    else:
        first, *_ = places(found.rename({"symbol": "contract"}).sort("decision_ts"))
        remedy = f"ask for {first.clock} ET, the first of the trade date, or later."
    return NoSuchAttempt("There is no attempt at this level by then.", where=where, remedy=remedy)


def paths_of(bench: Workbench, attempts: Iterable[Place]) -> dict[str, pl.DataFrame]:
    """How price went around attempts.

    Args:
        bench: The lake.
        attempts: Where and when.

    Returns:
        By name of the attempt ``second`` (end of each five-second bar, from the decision) and ``distance_pts`` (of the microprice from the
        level, above 0 beyond it), by ``second``. An attempt whose bars are not in the lake is left out.
    """
    of_table: dict[tuple[str, dt.date], list[Place]] = {}
    for place in attempts:
        key = contracts.level_key(APPROACH, place.level)
        of_table.setdefault((key, place.trade_date), []).append(place)
    found: dict[str, pl.DataFrame] = {}
    for (key, day), of_day in of_table.items():
        table = TableInput(bench.lake, key, (day,), optional=True)
        published = set(table.symbols())
        for place in of_day:
            if place.contract in published:
                rows = table.frame(
                    place.contract,
                    ("episode_id", "bar_ts", "signed_dist_pts"),
                    pl.col("episode_id") == place.episode_id,
                )
                if rows.height:
                    found[place.episode_id] = _path(rows, place.decision_ns)
    return found


def _path(rows: pl.DataFrame, decision_ns: int) -> pl.DataFrame:
    end = pl.col("bar_ts").cast(pl.Int64) + BAR_S * NANOS_PER_SECOND
    return rows.select(
        ((end - decision_ns) // NANOS_PER_SECOND).alias("second"),
        pl.col("signed_dist_pts").cast(pl.Float64).alias("distance_pts"),
    ).sort("second")
