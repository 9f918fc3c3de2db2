"""The tape of a level: who traded around it lately, and what the session has traded at it.

Trades within ``tape_ticks`` of the frozen level in trailing windows of time, and the footprint of the trade date at the
level up to the end of each bar. "Toward" is the side of the aggressor that pushes through the level: buyers in an approach
from below, sellers in one from above.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from footprint_assets.kernels import level_tape as kernel
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.kernels.bar5s_trades import NO_LARGE_ORDER
from footprint_assets.kernels.rolling import quotient
from footprint_assets.settings import NANOS_PER_SECOND, ApproachSettings
from footprint_assets.transforms.approach_rows import Attempt, Columns, Day
from footprint_assets.transforms.running import Counts, Floats
from footprint_assets.transforms.windows import points

TAPE_WINDOWS = (3, 12, 36)
"""Windows of time, in bars of five seconds."""


@dataclass(frozen=True)
class Aggressors:
    """Who made each trade; int64[trades] each, and from which size on an order is large.

    Args:
        sign: +1 buyer, -1 seller, 0 unknown.
        order: Number of the aggressing order.
        order_size: Contracts of that order.
        levels_swept: Distinct prices it traded at.
        signed_before: Contracts of buyers minus those of sellers before each trade, and after the last; int64[trades + 1].
        large_order: Smallest size of a large order, contracts; None without enough history.
    """

    sign: Counts
    order: Counts
    order_size: Counts
    levels_swept: Counts
    signed_before: Counts
    large_order: int | None

    @classmethod
    def of(cls, trades_clean: pl.DataFrame, large_order: int | None) -> Aggressors:
        """The aggressors of ``trades_clean`` rows."""
        order_size = trades_clean.select(pl.col("size").sum().over("aggressor_order_id"))["size"]
        sign = np.array(trades_clean["aggressor_sign"], np.int64)
        return cls(
            sign=sign,
            order=np.array(trades_clean["aggressor_order_id"], np.int64),
            order_size=np.array(order_size, np.int64),
            levels_swept=np.array(trades_clean["levels_swept"], np.int64),
            signed_before=np.concatenate(([0], np.cumsum(np.array(trades_clean["size"], np.int64) * sign))),
            large_order=large_order,
        )


def tape_columns(day: Day, attempt: Attempt, aggressors: Aggressors, settings: ApproachSettings) -> Columns:
    """The trades around the level up to the end of each bar of an attempt.

    Args:
        day: The market.
        attempt: The attempt.
        aggressors: Who made its trades.
        settings: Distances.

    Returns:
        The columns. A window that would begin before the first bar of the day is null, and so are the columns "since
        the approach began" before it.
    """
    columns: Columns = {}
    for window in TAPE_WINDOWS:
        found = _window(day, attempt, aggressors, settings.tape_ticks, window)
        columns |= {f"bar5s_lvltrade_{name}_w{window}": values for name, values in found.items()}
    totals = _session(day, attempt, aggressors, settings.at_level_ticks)
    return columns | {f"bar5s_lvltrade_{name}": values for name, values in totals.items()}


def _window(day: Day, attempt: Attempt, aggressors: Aggressors, band: int, window: int) -> Columns:
    tape, rows = day.tape, attempt.rows
    begin_ns = day.end_ns[rows] - window * BAR_NS
    begin = np.searchsorted(tape.ts_ns, begin_ns, side="left").astype(np.int64)
    end = day.trades_so_far[rows]
    large = int(NO_LARGE_ORDER) if aggressors.large_order is None else aggressors.large_order
    counts = kernel.tape_windows(
        tape.tick, tape.size, aggressors.sign, aggressors.order, aggressors.order_size, aggressors.levels_swept,
        begin, end, attempt.tick, band, large,
    )  # fmt: skip
    slope = kernel.tape_slopes(tape.ts_ns, tape.tick, begin, end, attempt.tick, band)
    facts = counts.astype(np.float64)
    # Facts of buyers come right before those of sellers.
    side = 0 if attempt.direction > 0 else 1
    buy, sell = facts[:, kernel.BUY], facts[:, kernel.SELL]
    toward, away = facts[:, kernel.BUY + side], facts[:, kernel.SELL - side]
    seconds = window * BAR_NS / NANOS_PER_SECOND
    columns = {
        "buy_vol": buy,
        "sell_vol": sell,
        "imbal": quotient(buy - sell, buy + sell),
        "toward_vol": toward,
        "away_vol": away,
        "toward_imbal": quotient(toward - away, toward + away),
        "trade_rate": facts[:, kernel.COUNT] / seconds,
        "vol_rate": facts[:, kernel.VOLUME] / seconds,
        "velocity_pts_per_s": points(slope, tape.tick_nanos) * attempt.direction,
        "sweep_toward_cnt": facts[:, kernel.SWEEP_BUY_CNT + side],
        "sweep_toward_vol": facts[:, kernel.SWEEP_BUY_VOL + side],
        "large_toward_vol": facts[:, kernel.LARGE_BUY_VOL + side]
        if aggressors.large_order is not None
        else np.full(len(facts), np.nan),
        "avg_size": quotient(facts[:, kernel.VOLUME], facts[:, kernel.COUNT]),
    }
    is_full = begin_ns >= day.start_ns[0]
    return {name: np.where(is_full, values, np.nan) for name, values in columns.items()}


def _session(day: Day, attempt: Attempt, aggressors: Aggressors, band: int) -> Columns:
    """The footprint of the trade date at the level, and its part since the approach began."""
    tape, start = day.tape, attempt.start
    low = min(start, attempt.first)
    ends = day.trades_so_far[low : attempt.end]
    volume, delta, rank = kernel.footprint_at_level(
        tape.tick, tape.size, aggressors.sign, ends, attempt.tick, band
    )
    before = np.array([day.trades_before[start]], np.int64)
    volume_before, delta_before, _ = kernel.footprint_at_level(
        tape.tick, tape.size, aggressors.sign, before, attempt.tick, band
    )
    since_volume = (volume - volume_before)[start - low :].astype(np.float64)
    since_delta = (delta - delta_before)[start - low :].astype(np.float64)
    return {
        "session_vol_at_level": attempt.of_rows(volume.astype(np.float64), low),
        "session_delta_at_level": attempt.of_rows(delta.astype(np.float64), low),
        "session_vol_pctile_at_level": attempt.of_rows(rank, low),
        "touch_delta": attempt.of_rows(since_delta, start),
        "touch_vol": attempt.of_rows(since_volume, start),
        "delta_per_tick_progress": attempt.of_rows(_delta_per_tick(day, attempt, aggressors), start),
    }


def _delta_per_tick(day: Day, attempt: Attempt, aggressors: Aggressors) -> Floats:
    """Signed volume since the approach began, at any price, per tick gained; NaN below one tick."""
    since = slice(attempt.start, attempt.end)
    signed = aggressors.signed_before
    pushed = signed[day.trades_so_far[since]] - signed[day.trades_before[attempt.start]]
    path = day.distance(attempt)[since] * attempt.direction
    gained = (path - path[0]) / day.tick_size
    return quotient(pushed * float(attempt.direction), np.where(gained >= 1, gained, np.nan))
