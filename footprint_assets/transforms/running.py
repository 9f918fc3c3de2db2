"""The session so far: what the first ``n`` trades of a trade date, and the levels known at an instant, say.

Shared by every table that compares a close with a running value, so that footprint bars and five-second bars never
disagree about a developing point of control or a VWAP. "So far" is a trade count, not a clock: an event bar may end
between two trades of one nanosecond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.calendar import Session
from footprint_assets.kernels.profile import developing_value_area
from footprint_assets.kernels.session_context import NO_TICK, carried_vwap, last_high_volume_node
from footprint_assets.settings import FootprintSettings
from footprint_assets.transforms.windows import points, ticks_and_sizes, times_ns

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class PriceSums:
    """Trades known by their sums alone.

    Args:
        volume: Contracts.
        tick_volume: Sum of price x size, contract ticks.
        tick2_volume: Sum of price squared x size, contract ticks squared.
    """

    volume: int = 0
    tick_volume: int = 0
    tick2_volume: int = 0


@dataclass(frozen=True)
class Developing:
    """A developing profile; float64[values] each, points, NaN before its first trade.

    Args:
        poc: Lowest price of the point of control's row.
        vah: Lowest price of the top row of the value area.
        val: Lowest price of its bottom row.
        high: Highest trade.
        low: Lowest trade.
        is_cash: Whether the profile is that of the cash session; bool[values].
    """

    poc: Floats
    vah: Floats
    val: Floats
    high: Floats
    low: Floats
    is_cash: NDArray[np.bool_]


@dataclass(frozen=True)
class Tape:
    """The trades of one contract and trade date as the kernels want them.

    Args:
        ts_ns: Trade times; int64[trades], ns since the epoch.
        tick: Prices; int64[trades], ticks.
        size: Sizes; int64[trades], contracts.
        first_cash: Index of the first trade of the cash session; the number of trades where it has none.
        after_cash: Index of the first trade after it; likewise.
        tick_nanos: Minimum price increment, 1e-9 points.
    """

    ts_ns: Counts
    tick: Counts
    size: Counts
    first_cash: int
    after_cash: int
    tick_nanos: int

    @classmethod
    def of(cls, trades: pl.DataFrame, session: Session, tick_nanos: int) -> Tape:
        """The tape of ``trades_clean`` rows in event order; without a row it is empty."""
        ts_ns = np.array(times_ns(trades), np.int64)
        first = after = len(ts_ns)
        if session.rth_open_ns is not None and session.rth_close_ns is not None:
            first, after = map(int, np.searchsorted(ts_ns, [session.rth_open_ns, session.rth_close_ns]))
            if after == first:
                first = after = len(ts_ns)
        return cls(ts_ns, *ticks_and_sizes(trades), first, after, tick_nanos)


def vwap_so_far(
    tape: Tape, ends: Counts, first: int = 0, earlier: PriceSums | None = None
) -> tuple[Floats, Floats]:
    """VWAP and its volume-weighted population deviation since an anchor.

    Args:
        tape: The trades.
        ends: Ascending trade counts; int64[values].
        first: Index of the first trade to count.
        earlier: Sums of the trades between the anchor and the trade date; None without any.

    Returns:
        ``(vwap, std)``, float64[values] each, points; NaN where there is no trade since the anchor.
    """
    sums = earlier or PriceSums()
    vwap, std = carried_vwap(
        tape.tick, tape.size, first, ends, sums.volume, sums.tick_volume, sums.tick2_volume
    )
    return points(vwap, tape.tick_nanos), points(std, tape.tick_nanos)


def developing_profile(tape: Tape, ends: Counts, rules: FootprintSettings) -> Developing:
    """The electronic session's profile until the first cash trade, then the cash session's, at rest after its close.

    Args:
        tape: The trades.
        ends: Ascending trade counts; int64[values].
        rules: Row height and value area.

    Returns:
        One value a count.
    """
    row = tape.tick // rules.ticks_per_row
    ticks = np.full((5, len(ends)), np.nan)
    for chosen, first, counts in _profiles(tape, ends):
        centre, bottom, top = developing_value_area(
            row, tape.size, first, counts, rules.value_area_pct, rules.value_area_rows
        )
        ticks[:3, chosen] = np.array([centre, top, bottom]) * rules.ticks_per_row
        ticks[3:, chosen] = _extremes(tape.tick[first:], counts - first)
    poc, vah, val, high, low = points(ticks, tape.tick_nanos)
    return Developing(poc, vah, val, high, low, is_cash=ends > tape.first_cash)


def last_node_so_far(tape: Tape, ends: Counts, rules: FootprintSettings) -> Floats:
    """The high volume node last traded at, of the profile ``developing_profile`` follows.

    Args:
        tape: The trades.
        ends: Ascending trade counts; int64[values].
        rules: Row height.

    Returns:
        float64[values], points; NaN without a node.
    """
    out = np.full(len(ends), np.nan)
    row = tape.tick // rules.ticks_per_row
    for chosen, first, last in _profiles(tape, ends):
        node = last_high_volume_node(row, tape.size, first, last)
        exists = node != NO_TICK
        price = points(np.where(exists, node, 0) * rules.ticks_per_row, tape.tick_nanos)
        out[chosen] = np.where(exists, price, np.nan)
    return out


def _profiles(tape: Tape, ends: Counts) -> list[tuple[NDArray[np.bool_], int, Counts]]:
    """Which values each of the two profiles answers for, its first trade, and the trade count of every value."""
    cash = ends > tape.first_cash
    night = (ends > 0) & ~cash
    return [
        (night, 0, ends[night]),
        (cash, tape.first_cash, np.minimum(ends[cash], tape.after_cash)),
    ]


def extremes_so_far(tape: Tape, ends: Counts) -> tuple[Floats, Floats]:
    """Highest and lowest of the first ``ends[b]`` trades; float64[values] each, points, NaN before the first."""
    ticks = np.full((2, len(ends)), np.nan)
    ticks[:, ends > 0] = _extremes(tape.tick, ends[ends > 0])
    high, low = points(ticks, tape.tick_nanos)
    return high, low


def _extremes(tick: Counts, counts: Counts) -> NDArray[np.int64]:
    """Highest and lowest of the first ``counts`` ticks, counts above 0; int64[2, values]."""
    return np.array([np.maximum.accumulate(tick)[counts - 1], np.minimum.accumulate(tick)[counts - 1]])


def last_price(tape: Tape, ends: Counts) -> Floats:
    """Price of the last of the first ``ends[b]`` trades; float64[values], points, NaN before the first."""
    out = np.full(len(ends), np.nan)
    out[ends > 0] = points(tape.tick[ends[ends > 0] - 1], tape.tick_nanos)
    return out


def level_at(session_levels: pl.DataFrame, name: str, end_ns: Counts) -> Floats:
    """A static level where it is valid at an instant.

    Args:
        session_levels: Rows of ``silver.future.session_levels`` of one contract and date; may be empty.
        name: Name of the level.
        end_ns: Instants; int64[values], ns since the epoch.

    Returns:
        The unrounded price, float64[values], points; NaN where the level is not known or no longer used.
    """
    out = np.full(len(end_ns), np.nan)
    # A few dozen levels, asked for one by one: lists are quicker than a query for each.
    names, prices, valid_from, valid_to = (
        session_levels[column].to_physical().to_list()
        for column in ("level_name", "level_price_raw", "valid_from_ts", "valid_to_ts")
    )
    for found, price, from_ns, to_ns in zip(names, prices, valid_from, valid_to, strict=True):
        if found == name:
            out[(end_ns >= from_ns) & ((end_ns < to_ns) if to_ns is not None else True)] = price
    return out


def as_of(known_ns: Counts, values: Floats, end_ns: Counts) -> Floats:
    """The last value known at each instant.

    Args:
        known_ns: When each value became known, ascending; int64[values], ns since the epoch.
        values: float64[values].
        end_ns: Instants; int64[instants], ns since the epoch.

    Returns:
        float64[instants]; NaN before the first value.
    """
    place = np.searchsorted(known_ns, end_ns, side="right") - 1
    out = np.full(len(end_ns), np.nan)
    out[place >= 0] = values[place[place >= 0]]
    return out
