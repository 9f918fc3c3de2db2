"""The rule that the stream gives what the batch gave: rows of the published book, driven again as if they came now."""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.checks.finding import Check, Finding
from footprint_assets.checks.reading import instant, symbols, table
from footprint_assets.lake import Span
from footprint_assets.resources import Workbench
from footprint_assets.settings import NANOS_PER_SECOND
from footprint_assets.streaming.driver import COLUMNS, TABLES, Driver
from footprint_assets.streaming.followers import (
    HISTORY_BARS,
    HISTORY_COLUMNS,
    TRADE_COLUMNS,
    Before,
    Followers,
)
from footprint_assets.streaming.followers import TABLES as FOLLOWING
from footprint_assets.streaming.parity import difference, redrive, time_of
from footprint_assets.tables import Scope

BOOK_CLEAN = "silver.future.market_by_price_10_clean"
TRADES_CLEAN = "silver.future.trades_clean"
PRIOR_SESSIONS = "silver.future.prior_sessions"
VOLUME_PROFILES = "silver.future.volume_profiles"
BARS_EXT = "silver.future.market_by_price_10_bar5s_ext"
BARS = "silver.future.market_by_price_10_bar5s"
BARS_BOOK = "silver.future.market_by_price_10_bar5s_book"
SHOCKS = "silver.future.market_by_price_10_shocks"
F_LAST = 0x80
BAR_NS = 5 * NANOS_PER_SECOND
SETTLED_NS = 65 * NANOS_PER_SECOND
"""Longer than anything but the ladder is remembered: a recovery is waited for a minute, and a bar is five seconds."""

Int64 = NDArray[np.int64]


@dataclass(frozen=True)
class Stretch:
    """The part of a session that is driven, and the part of it that is compared.

    Args:
        first: First row that is driven.
        end: Row after the last one that is driven.
        from_ns: First instant whose rows are compared, ns since the epoch.
        until_ns: First instant whose rows are no longer compared.
    """

    first: int
    end: int
    from_ns: int
    until_ns: int


def stream_parity(bench: Workbench, day: dt.date) -> list[Finding]:
    """Book rows driven again in micro-batches, saved and restored at random, give the published tables bit for bit.

    Half an hour of the session (``parity_minutes``; 0 is all of it), drawn by trade date and contract from its rows: the
    busier, the likelier. Driven from a ladder a minute earlier, so that nothing before it matters.
    """
    return [_parity(bench, day, symbol) for symbol in symbols(bench, BOOK_CLEAN, day)]


def _parity(bench: Workbench, day: dt.date, symbol: str) -> Finding:
    rows = table(bench, BOOK_CLEAN, day).frame(symbol, ["ts_event", "action", "flags"])
    if rows.is_empty():
        return Finding.skip(symbol, "no book record")
    rng = np.random.default_rng([day.toordinal(), zlib.crc32(symbol.encode())])
    part = stretch(rows, bench.settings.quality.parity_minutes, rng)
    scope = Scope.of(day, bench).of_contract(symbol)
    driven = redrive(
        _frames(bench, day, symbol, rows, part),
        Driver(scope.session, symbol, scope.tick_size_nanos),
        rng,
        _followers(scope, part),
        table(bench, TRADES_CLEAN, day).frame(symbol, list(TRADE_COLUMNS), _from(TRADES_CLEAN, part)),
        part.from_ns,
    )
    differences = {}
    for key, made in driven.tables.items():
        where = _from(key, part) & (pl.col(time_of(key)).to_physical() < part.until_ns)
        published = table(bench, key, day).frame(symbol, where=where)
        differences[key] = difference(key, published, made.filter(where))
    differ = {
        key.rpartition(".")[2]: asdict(found) for key, found in differences.items() if not found.is_none
    }
    left_out = {name: count for name, count in driven.left_out.items() if count}
    facts = {
        "rows": driven.rows,
        "batches": driven.batches,
        "restores": driven.lives,
        "from": instant(part.from_ns),
        "until": instant(part.until_ns),
        "compared": sum(found.rows for found in differences.values()),
        "max_ulp": max(found.max_ulp for found in differences.values()),
        "left_out": left_out,
        "differ": differ,
    }
    return Finding(symbol, not differ and not left_out, facts)


def _from(key: str, part: Stretch) -> pl.Expr:
    return pl.col(time_of(key)).to_physical() >= part.from_ns


def _followers(scope: Scope, part: Stretch) -> Followers:
    """Followers of the bars of a stretch, behind what is published before it."""
    day, symbol, settings = scope.trade_date, scope.symbol, scope.settings
    past = {key: table(scope.bench, key, day).frame(symbol) for key in (PRIOR_SESSIONS, VOLUME_PROFILES)}
    before = Before(past[PRIOR_SESSIONS], past[VOLUME_PROFILES], settings.order_flow, settings.footprint)
    followers = Followers(scope.session, symbol, scope.tick_size_nanos, before)
    remembered = {BARS_BOOK: part.from_ns - HISTORY_BARS * BAR_NS}
    followers.begin(
        {
            key: table(scope.bench, key, day).frame(
                symbol,
                HISTORY_COLUMNS.get(key),
                pl.col(time_of(key))
                .to_physical()
                .is_between(remembered.get(key, 0), part.from_ns, closed="left"),
            )
            for key in (BARS, BARS_BOOK, BARS_EXT, SHOCKS, TRADES_CLEAN)
        }
    )
    return followers


def stretch(rows: pl.DataFrame, minutes: int, rng: np.random.Generator) -> Stretch:
    """Choose what is driven and compared.

    Args:
        rows: ``ts_event``, ``action`` and ``flags`` of the clean book, at least one row.
        minutes: Length of what is compared; 0 for everything.
        rng: Where the place comes from.

    Returns:
        The stretch.
    """
    ts = rows["ts_event"].to_physical().to_numpy()
    first_ns, end_ns = ts[0] // BAR_NS * BAR_NS, (ts[-1] // BAR_NS + 1) * BAR_NS
    length_ns = minutes * 60 * NANOS_PER_SECOND
    if minutes == 0 or end_ns - first_ns <= length_ns:
        return Stretch(0, len(ts), int(first_ns), int(end_ns))
    drawn_ns = int(ts[rng.integers(len(ts))]) // BAR_NS * BAR_NS
    from_ns = min(drawn_ns, int(end_ns) - length_ns)
    shows_a_ladder = rows.select(
        ~pl.col("action").cast(pl.String).is_in(["T", "N", "R"]) & (pl.col("flags") & F_LAST != 0)
    ).to_series()
    places = np.flatnonzero(shows_a_ladder.to_numpy()[: np.searchsorted(ts, from_ns - SETTLED_NS)])
    end = np.searchsorted(ts, from_ns + length_ns + SETTLED_NS) + 1
    return Stretch(
        int(places[-1]) if len(places) else 0, min(int(end), len(ts)), from_ns, from_ns + length_ns
    )


def _frames(
    bench: Workbench, day: dt.date, symbol: str, rows: pl.DataFrame, part: Stretch
) -> Iterator[pl.DataFrame]:
    """The rows that are driven, as they lie in the partition."""
    ts = rows["ts_event"].to_physical().to_numpy()
    low, high = int(ts[part.first]), int(ts[part.end - 1]) + 1
    skipped, left = part.first - int(np.searchsorted(ts, low)), part.end - part.first
    within = pl.col("ts_event").to_physical().is_between(low, high, closed="left")
    with table(bench, BOOK_CLEAN, day).open(symbol) as partition:
        for frame in partition.frames(list(COLUMNS), span=Span("ts_event", low, high)):
            found = frame.filter(within)
            kept = found.slice(skipped, left)
            skipped -= min(skipped, found.height)
            left -= kept.height
            if kept.height:
                yield kept


CHECKS: tuple[Check, ...] = (
    Check.of(
        stream_parity,
        BOOK_CLEAN,
        "ERROR",
        *(*TABLES, TRADES_CLEAN, PRIOR_SESSIONS, VOLUME_PROFILES, *FOLLOWING),
    ),
)
