"""Whether any row knows what comes after it: when rows are known, markets to cut short, and other futures.

The records of a trade date are cut at the end of a bar, with nothing after it or with a future that did not happen;
every table is computed again as the graph computes it, from the bronze rows on, and what was known at the cut is
compared with the run over the whole session. ``KNOWN`` says of every table when its rows are known.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl
import polars.selectors as cs

from footprint_assets import contracts
from footprint_assets.assets import levels, tables
from footprint_assets.lake import Lake, Span
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.tables import Scope, passes
from footprint_assets.transforms.episodes import FORWARD_COLUMNS
from footprint_assets.transforms.trades import trades_from_book
from footprint_assets_tests.small_market import rows

BOOK = "bronze.future.market_by_price_10"
TRADES = "bronze.future.trades"
STATISTICS = "bronze.future.statistics"
GRID = "silver.future.market_by_price_10_bar5s"
FOOTPRINT_BAR = "silver.future.footprint_bar"
BAR_NS = 5 * 10**9

Tables = Mapping[str, pl.DataFrame]
Instants = Callable[[pl.DataFrame, Tables], pl.Series]
CutsOf = Callable[[Tables], tuple[int, ...]]


# When rows are known ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Known:
    """When a row of a table is known.

    Args:
        row: First instant at which each row of a table of a run may be used, ns UTC; null: not before the session has
            ended.
        later: Columns that are known later than their row, by the column or rule that tells since when.
        never: Columns that look beyond their row by definition and are no features.
    """

    row: Instants
    later: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    never: tuple[str, ...] = ()

    def at(self, instant: int, frame: pl.DataFrame, run: Tables) -> pl.DataFrame:
        """The rows of a run known at an instant, with a null where a column is not known yet."""
        hidden = [
            pl.when(pl.col(since).to_physical() < instant).then(pl.col(name)).alias(name)
            for since, names in self.later.items()
            for name in names
        ]
        known = (self.row(frame, run) <= instant).fill_null(value=False)
        return frame.filter(known).with_columns(hidden).drop(self.never, strict=False)


def after(column: str, ns: int = 0) -> Instants:
    return lambda frame, run: frame[column].to_physical() + ns


def at_interval_end(frame: pl.DataFrame, run: Tables) -> pl.Series:
    """A bar of trades is known when its length has passed, the daily one when the session has ended."""
    length = pl.Series([_seconds(name) for name in frame["interval"]], dtype=pl.Int64)
    return frame["bar_ts"].to_physical() + length * 10**9


def _seconds(interval: str) -> int | None:
    return None if interval == "1d" else int(interval[:-1]) * {"s": 1, "m": 60, "h": 3600}[interval[-1]]


def at_bar_end(frame: pl.DataFrame, run: Tables) -> pl.Series:
    """A time bar is known at its end, an event bar at the latest when the trade is in that opens the next one."""
    opened = pl.col("bar_ts").to_physical().shift(-1).over("bar_type", order_by="bar_id") + 1
    is_time = pl.col("bar_type").cast(pl.String).str.starts_with("time_")
    end = pl.when(is_time).then(pl.col("bar_end_ts").to_physical()).otherwise(opened).alias("known")
    keys = ["bar_type", "bar_id"]
    known = run[FOOTPRINT_BAR].select(*keys, end)
    return frame.select(keys).join(known, on=keys, how="left", maintain_order="left")["known"]


def at_bar_end_of_an_attempt(frame: pl.DataFrame, run: Tables) -> pl.Series:
    """A bar of an approach is known at its end; that it belongs to one, when the attempt is decided."""
    trigger = pl.col("bar_ts").filter(pl.col("bars_to_trigger") == 0).max().over("episode_id")
    last = pl.max_horizontal(pl.col("bar_ts"), trigger).to_physical() + BAR_NS
    return frame.select(last.alias("known"))["known"]


def from_the_open(frame: pl.DataFrame, run: Tables) -> pl.Series:
    """Facts of the sessions before."""
    return pl.repeat(0, frame.height, dtype=pl.Int64, eager=True)


def at_session_end(frame: pl.DataFrame, run: Tables) -> pl.Series:
    """Facts of the whole session, for later ones: no table of its own trade date shows them beside earlier rows."""
    return pl.repeat(None, frame.height, dtype=pl.Int64, eager=True)


BAR = Known(after("bar_ts", BAR_NS))
EVENT = Known(after("ts_event", 1))
CLOSED_BAR = Known(at_bar_end)
LABELS = contracts.load("silver.future.market_by_price_10_level_outcomes").columns_of_kind("label")
KNOWN: Mapping[str, Known] = {
    "silver.future.market_by_price_10_clean": EVENT,
    "silver.future.trades_clean": EVENT,
    "silver.future.bbo": EVENT,
    "silver.future.market_by_price_10_shocks": Known(
        after("ts_event", 1),
        later={
            "known_1s_ts": ("depth_after_1s", "recovery_ratio_1s", "known_1s_ts"),
            "recovered_ts": ("refill_ms", "recovered_ts"),
        },
    ),
    GRID: BAR,
    "silver.future.market_by_price_10_bar5s_book": BAR,
    "silver.future.market_by_price_10_price5s": BAR,
    "silver.future.market_by_price_10_bar5s_ext": BAR,
    "silver.future.market_rolling_5s": BAR,
    "silver.future.session_context_5s": BAR,
    "silver.future.level_series_5s": BAR,
    "gold.future.market_features": BAR,
    "gold.future.market_by_price_10_bar5s_filtered": BAR,
    "silver.future.ohlcv": Known(at_interval_end),
    "silver.future.footprint_price": CLOSED_BAR,
    FOOTPRINT_BAR: CLOSED_BAR,
    "gold.future.footprint_bars": CLOSED_BAR,
    "gold.future.market_by_price_10_first3h": EVENT,
    "silver.future.session_levels": Known(after("valid_from_ts")),
    "silver.future.prior_sessions": Known(from_the_open),
    "silver.future.volume_profiles": Known(from_the_open),
    "silver.future.session_summary": Known(at_session_end),
    "silver.future.volume_profile_price": Known(at_session_end),
    "silver.future.volume_profile_session": Known(at_session_end),
    levels.EPISODES: Known(after("decision_ts"), never=FORWARD_COLUMNS),
    # What an attempt came to is known, and read by later attempts, before the other labels are.
    levels.OUTCOMES: Known(after("label_end_ts"), never=tuple(set(LABELS) - {"outcome"})),
    levels.APPROACH: Known(at_bar_end_of_an_attempt),
    levels.FEATURES: Known(after("decision_ts")),
    "gold.future.levels_signals": Known(
        after("decision_ts"), never=(*FORWARD_COLUMNS, "label_end_ts", *LABELS)
    ),
    "gold.future.setup_vectors": Known(after("trigger_bar_ts", BAR_NS), never=("outcome", "outcome_score")),
}
"""By contract, which the tables of all levels share: every table of the graph beyond bronze."""


# The markets and their cuts --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Market:
    """One trade date of one contract, computed whole.

    Args:
        settings: The lake.
        day: The trade date that is cut.
        symbol: Its contract.
        bronze: The bronze rows that are cut, by table.
        whole: The rows of the whole session, by table.
        cuts: Ends of bars, ns UTC.
    """

    settings: Settings
    day: dt.date
    symbol: str
    bronze: Tables
    whole: Tables
    cuts: tuple[int, ...]

    def computed(self, bronze: Tables) -> dict[str, pl.DataFrame]:
        """Every table of the trade date made from other bronze rows, as the graph makes them but held in memory."""
        scope = Scope.of(self.day, Workbench(self.settings))
        made = dict(bronze)
        for together in passes(table for table in tables(self.settings) if layer(table.key) != "bronze"):
            first = together[0]
            inputs = first.open_inputs(scope) | {
                name: Held(self.symbol, made[key]) for name, key in first.inputs.items() if key in made
            }
            types = {table.key: table.contract.polars_schema for table in together}
            parts = {key: [schema.to_frame()] for key, schema in types.items()}
            for batch in first.function(scope, **inputs):
                if batch.frame is not None:
                    key = batch.table or first.key
                    parts[key].append(batch.frame.select(types[key].names()))
            made |= {key: pl.concat(frames) for key, frames in parts.items()}
        return {key: frame for key, frame in made.items() if layer(key) != "bronze"}


@dataclass(frozen=True)
class Held:
    """The rows of one contract, read as a ``TableInput`` and its partition are."""

    symbol: str
    rows: pl.DataFrame
    parts: tuple[int, ...] = (0,)

    @property
    def manifest(self) -> Counted:
        return Counted(self.rows.height)

    def symbols(self) -> list[str]:
        return [self.symbol]

    def frame(
        self,
        symbol: str | None = None,
        columns: Sequence[str] | None = None,
        where: pl.Expr | None = None,
    ) -> pl.DataFrame:
        rows = self.rows if where is None else self.rows.filter(where)
        return rows.select(columns) if columns else rows

    def frames(
        self,
        symbol: str | None = None,
        columns: Sequence[str] | None = None,
        part: int = 0,
        span: Span | None = None,
    ) -> Iterator[pl.DataFrame]:
        yield self.frame(
            columns=columns
        )  # a span leaves out what no row of it stands in: one frame holds all

    def open(self, symbol: str) -> AbstractContextManager[Held]:
        return nullcontext(self)


@dataclass(frozen=True)
class Counted:
    """What a reader asks of a manifest."""

    rows: int


def layer(table: str) -> str:
    return table.partition(".")[0]


def market_of(settings: Settings, day: dt.date, symbol: str, start_ns: int, cuts: CutsOf) -> Market:
    """Take the bronze rows of a trade date from an instant on, and compute the date whole.

    Args:
        settings: A lake with the bronze rows of the date.
        day: Trade date.
        symbol: Its only contract.
        start_ns: Records before it are left out: a shorter night makes the cuts cheaper and changes none.
        cuts: Chooses the instants to cut at, given the tables of the whole session.
    """
    lake = Lake(settings.lake_root)
    started = pl.col("ts_event").to_physical() >= start_ns
    book = rows(lake, BOOK, day)[symbol].filter(started)
    bronze = {BOOK: book, TRADES: trades_of(book), STATISTICS: rows(lake, STATISTICS, day)[symbol]}
    market = Market(settings, day, symbol, bronze, {}, ())
    whole = market.computed(bronze)
    return replace(market, whole=whole, cuts=cuts(whole))


def trades_of(book: pl.DataFrame) -> pl.DataFrame:
    contract = contracts.load(TRADES).polars_schema
    return trades_from_book(book).select(contract.names()).cast(dict(contract))


# What comes after the cut ----------------------------------------------------------------------------------------


def nothing(later: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The session ends at the cut."""
    return later.clear()


def mirrored(later: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """A market that goes the other way: buyers for sellers, prices mirrored on where the market stands."""
    first = later["bid_px_00"].drop_nulls()[0] + later["ask_px_00"].drop_nulls()[0]
    pivot = first // 250_000_000 * 250_000_000
    other = {"bid": "ask", "ask": "bid"}
    swapped = [
        (pivot - pl.col(f"{theirs}_px_{level:02d}")).alias(f"{side}_px_{level:02d}")
        for side, theirs in other.items()
        for level in range(10)
    ] + [
        pl.col(f"{theirs}_{what}_{level:02d}").alias(f"{side}_{what}_{level:02d}")
        for side, theirs in other.items()
        for what in ("sz", "ct")
        for level in range(10)
    ]
    side = pl.col("side").cast(pl.String).replace({"A": "B", "B": "A"}).cast(later.schema["side"])
    return later.with_columns(*swapped, (pivot - pl.col("price")).alias("price"), side)


def shuffled(later: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """The same records in another order, at the same instants."""
    clock = ["ts_recv", "ts_event", "sequence", "record_index", "ts_in_delta"]
    order = rng.permutation(later.height)
    return later.with_columns(later[order].drop(clock, strict=False).get_columns())


Future = Callable[[pl.DataFrame, np.random.Generator], pl.DataFrame]


def with_another_future(market: Market, cut: int, future: Future) -> dict[str, pl.DataFrame]:
    """The bronze rows up to a cut, and another future."""
    is_later = pl.col("ts_event").to_physical() >= cut
    book = market.bronze[BOOK]
    later = future(book.filter(is_later), np.random.default_rng(cut))
    # By the clock of the capture server, as a file has them: a late record stays where it came.
    book = pl.concat([book.filter(~is_later), later]).sort("ts_recv", maintain_order=True)
    statistics = market.bronze[STATISTICS]
    statistics = statistics.filter(pl.col("ts_event").to_physical() < cut)
    return {BOOK: book, TRADES: trades_of(book), STATISTICS: statistics}


# The comparison --------------------------------------------------------------------------------------------------


def leaks(market: Market, cut: int, future: Future) -> dict[str, str]:
    """What was known at a cut and is not the same with another future, by table."""
    other = market.computed(with_another_future(market, cut, future))
    # The grid ends with the last record: bars between it and the cut exist in a session that goes on.
    cut = min(cut, other[GRID]["bar_ts"].to_physical()[-1] + BAR_NS)
    found = {}
    shared = shared_contracts(market)
    for table, whole in market.whole.items():
        known = KNOWN[shared[table]]
        there, here = known.at(cut, whole, market.whole), known.at(cut, other[table], other)
        if difference := first_difference(there, here):
            found[table] = difference
    return found


def shared_contracts(market: Market) -> dict[str, str]:
    """Every table of a run and the contract it shares with those of other levels; its own where it is of no level."""
    named = [levels.keys_of(level).items() for level in market.settings.levels.pipelines]
    shared = {key: contract for pairs in named for contract, key in pairs}
    return {table: shared.get(table, table) for table in market.whole}


def first_difference(whole: pl.DataFrame, other: pl.DataFrame) -> str:
    """What differs first between two frames, to the bit; empty where nothing does."""
    if whole.height != other.height:
        return f"{whole.height} rows known in the whole session, {other.height} at the cut"
    if whole.equals(other, null_equal=True):
        # Equal numbers of other bits are zeros of other signs.
        differing = np.argwhere(signs(whole) != signs(other))
        names = whole.select(cs.float()).columns
        return f"{names[differing[0][1]]}: 0.0 != -0.0 in row {differing[0][0]}" if len(differing) else ""
    names = [name for name in whole.columns if not whole[name].equals(other[name], null_equal=True)]
    at = (whole[names[0]].ne_missing(other[names[0]])).arg_max()
    return f"{names} row {at}: {names[0]} {whole[names[0]][at]!r} != {other[names[0]][at]!r}"


def signs(frame: pl.DataFrame) -> np.ndarray:
    return np.signbit(frame.select(cs.float().fill_null(0.0)).to_numpy())
