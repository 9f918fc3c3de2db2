"""Trades around one price level: trailing windows, the session's footprint at the level, the nearest and deepest print.

Prices are ticks, times ns since the epoch, sizes contracts. A row is given by a range of trades, so that nothing here
knows a clock. Sums are integers; the one regression is a plain loop over the trades of its window, oldest first, so a row
does not depend on the rows beside it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

COUNT, VOLUME = 0, 1
BUY, SELL = 2, 3
SWEEP_BUY_CNT, SWEEP_SELL_CNT = 4, 5
SWEEP_BUY_VOL, SWEEP_SELL_VOL = 6, 7
LARGE_BUY_VOL, LARGE_SELL_VOL = 8, 9
FACTS = 10
"""Columns of :func:`tape_windows`."""
SWEEP_LEVELS = 2
"""Fewest prices an aggressor order trades at to be a sweep, as in the five-second bars."""
NANOS = 1_000_000_000
NO_PRINT = np.iinfo(np.int64).min
"""Where a bar holds no trade."""


@njit(cache=True, nogil=True)
def tape_windows(
    tick: Int64,
    size: Int64,
    sign: Int64,
    order: Int64,
    order_size: Int64,
    levels_swept: Int64,
    begin: Int64,
    end: Int64,
    level: int,
    band: int,
    large: int,
) -> Int64:
    """Count the trades of each window that are within a band of the level.

    Args:
        tick: Price; int64[trades].
        size: Contracts; int64[trades].
        sign: +1 buyer, -1 seller, 0 unknown aggressor; int64[trades].
        order: Number of the aggressing order, whose trades follow each other; int64[trades].
        order_size: Contracts of that order at any price; int64[trades].
        levels_swept: Distinct prices of that order; int64[trades].
        begin: First trade of each window; int64[windows].
        end: First trade after it; int64[windows].
        level: The level, ticks.
        band: Farthest distance counted, ticks.
        large: Smallest size of a large order, contracts.

    Returns:
        int64[windows, FACTS]. Of a sweep or large order only what traded inside the band has volume; a sweep counts once
        if any of it did.
    """
    out = np.zeros((begin.shape[0], FACTS), np.int64)
    for w in range(begin.shape[0]):
        facts = out[w]
        last = np.int64(-1)
        for i in range(begin[w], end[w]):
            if abs(tick[i] - level) > band:
                continue
            facts[COUNT] += 1
            facts[VOLUME] += size[i]
            if sign[i] == 0:
                continue
            side = 0 if sign[i] > 0 else 1
            facts[BUY + side] += size[i]
            if order_size[i] >= large:
                facts[LARGE_BUY_VOL + side] += size[i]
            if levels_swept[i] >= SWEEP_LEVELS:
                facts[SWEEP_BUY_VOL + side] += size[i]
                if order[i] != last:
                    facts[SWEEP_BUY_CNT + side] += 1
                last = order[i]
    return out


@njit(cache=True, nogil=True)
def tape_slopes(ts: Int64, tick: Int64, begin: Int64, end: Int64, level: int, band: int) -> Float64:
    """Least-squares slope of trade price on time over the trades of each window within a band of the level.

    Args:
        ts: Trade times; int64[trades], ns.
        tick: Price; int64[trades].
        begin: First trade of each window; int64[windows].
        end: First trade after it; int64[windows].
        level: The level, ticks.
        band: Farthest distance counted, ticks.

    Returns:
        float64[windows], ticks/s; NaN where the trades do not lie at two instants at least.
    """
    out = np.full(begin.shape[0], np.nan)
    for w in range(begin.shape[0]):
        count, mean_s, mean_tick = 0, 0.0, 0.0
        for i in range(begin[w], end[w]):
            if abs(tick[i] - level) <= band:
                count += 1
                mean_s += (ts[i] - ts[begin[w]]) / NANOS
                mean_tick += tick[i] - level
        if count < 2:
            continue
        mean_s /= count
        mean_tick /= count
        xx, xy = 0.0, 0.0
        first, last = np.int64(0), np.int64(0)
        for i in range(begin[w], end[w]):
            if abs(tick[i] - level) <= band:
                first = ts[i] if first == 0 else first
                last = ts[i]
                away = (ts[i] - ts[begin[w]]) / NANOS - mean_s
                xx += away * away
                xy += away * (tick[i] - level - mean_tick)
        if last > first:
            out[w] = xy / xx
    return out


@njit(cache=True, nogil=True)
def nearest_and_deepest(
    tick: Int64, begin: Int64, end: Int64, level: int, direction: int
) -> tuple[Int64, Int64]:
    """The print of each bar closest to the level and the one farthest through it.

    Args:
        tick: Price; int64[trades].
        begin: First trade of each bar; int64[bars].
        end: First trade after it; int64[bars].
        level: The level, ticks.
        direction: +1 for an approach from below, -1 from above.

    Returns:
        ``(nearest, deepest)``, int64[bars] each: distances signed by the direction, positive beyond the level;
        ``NO_PRINT`` without a trade. Of two prints equally close the one before the level is the nearest.
    """
    nearest = np.full(begin.shape[0], NO_PRINT, np.int64)
    deepest = np.full(begin.shape[0], NO_PRINT, np.int64)
    for b in range(begin.shape[0]):
        for i in range(begin[b], end[b]):
            distance = (tick[i] - level) * direction
            if i == begin[b] or abs(distance) < abs(nearest[b]) or distance == -abs(nearest[b]):
                nearest[b] = distance
            if i == begin[b] or distance > deepest[b]:
                deepest[b] = distance
    return nearest, deepest


@njit(cache=True, nogil=True)
def footprint_at_level(
    tick: Int64, size: Int64, sign: Int64, ends: Int64, level: int, band: int
) -> tuple[Int64, Int64, Float64]:
    """What traded at a level since the first trade, and how that ranks among the session's prices.

    Args:
        tick: Price; int64[trades].
        size: Contracts; int64[trades].
        sign: +1 buyer, -1 seller, 0 unknown aggressor; int64[trades].
        ends: Ascending trade counts; int64[rows].
        level: The level, ticks.
        band: Distance that is still the level, ticks.

    Returns:
        ``(volume, delta, rank)`` of each row: int64 contracts at ``level +- band``, int64 buyer minus seller-initiated
        contracts there, and the mid-rank of that volume among the volumes at ``price +- band`` of every price from the
        lowest to the highest trade so far, float64 in [0, 1], NaN before the first trade.
    """
    n = ends.shape[0]
    volume = np.zeros(n, np.int64)
    delta = np.zeros(n, np.int64)
    rank = np.full(n, np.nan)
    if n == 0 or ends[n - 1] == 0:
        return volume, delta, rank
    base = tick[: ends[n - 1]].min()
    ladder = np.zeros(tick[: ends[n - 1]].max() - base + 1, np.int64)
    low, high = tick[0] - base, tick[0] - base
    here, signed = np.int64(0), np.int64(0)
    at = 0
    for row in range(n):
        while at < ends[row]:
            place = tick[at] - base
            ladder[place] += size[at]
            low, high = min(low, place), max(high, place)
            if abs(tick[at] - level) <= band:
                here += size[at]
                signed += size[at] * sign[at]
            at += 1
        volume[row], delta[row] = here, signed
        if at:
            rank[row] = _band_rank(ladder[low : high + 1], here, band)
    return volume, delta, rank


@njit(cache=True, nogil=True)
def _band_rank(ladder, here, band):  # type: ignore[no-untyped-def]
    """Mid-rank of a volume among the sums of ``2 * band + 1`` neighbouring prices, one around every price."""
    n = ladder.shape[0]
    total = np.int64(0)
    for i in range(min(band, n)):
        total += ladder[i]
    below, equal = 0, 0
    for i in range(n):
        if i + band < n:
            total += ladder[i + band]
        if i - band > 0:
            total -= ladder[i - band - 1]
        below += total < here
        equal += total == here
    return (2 * below + equal) / (2 * n)
