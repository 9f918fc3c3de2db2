"""What the trades of every five-second bar say: prices, aggressor orders, sweeps, running delta and execution cost.

Arrays in, arrays out. A bar is computed from its own trades in their order, and sums are integers: no bar depends on how
many others are computed beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

# Layout of a bar's integers.
TRADES, VOLUME, TICK_VOLUME = range(3)
OPEN, HIGH, LOW, CLOSE = range(3, 7)  # ticks; 0 without a trade
BUY_CNT, SELL_CNT, BUY_VOL, SELL_VOL = range(7, 11)
DELTA_MAX, DELTA_MIN = range(11, 13)
ORDERS, ORDER_VOLUME, LARGEST_ORDER = range(13, 16)
LARGE_BUY_VOL, LARGE_SELL_VOL = range(16, 18)
SWEEP_BUY_CNT, SWEEP_SELL_CNT, SWEEP_BUY_VOL, SWEEP_SELL_VOL, SWEEP_LEVELS = range(18, 23)
SIGN_PAIRS, SIGN_PRODUCTS = range(23, 25)
# Execution cost, over trades with a known aggressor and a mid: contracts, signed contracts, and the signed sums of
# trade price and mid before the trade, both in half ticks.
COST_VOLUME, COST_SIGNED, COST_PRICE, COST_MID = range(25, 29)
FACTS = 29

NO_MID = np.int64(-(2**63))
"""Mid of a trade without a two-sided book."""
NO_LARGE_ORDER = np.int64(2**62)
"""Threshold no order reaches."""


@dataclass(frozen=True)
class BarTrades:
    """Trades by bar.

    Args:
        facts: Integers by the module's layout; int64[bars, FACTS].
        arrival_cv: Standard deviation (population) over mean of the times between consecutive trades of the bar; NaN
            with fewer than three trades or no time between them; float64[bars].
    """

    facts: Int64
    arrival_cv: Float64


@njit(cache=True, nogil=True)
def _add_price(price, size, facts):  # type: ignore[no-untyped-def]
    if facts[TRADES] == 0:
        facts[OPEN] = facts[HIGH] = facts[LOW] = price
    facts[HIGH] = max(facts[HIGH], price)
    facts[LOW] = min(facts[LOW], price)
    facts[CLOSE] = price
    facts[TRADES] += 1
    facts[VOLUME] += size
    facts[TICK_VOLUME] += price * size


@njit(cache=True, nogil=True)
def _add_sign(price, size, sign, mid, before, facts):  # type: ignore[no-untyped-def]
    """Add a trade with a known aggressor; ``before`` is the sign of the one before it in the bar, or 0."""
    if sign > 0:
        facts[BUY_CNT] += 1
        facts[BUY_VOL] += size
    else:
        facts[SELL_CNT] += 1
        facts[SELL_VOL] += size
    delta = facts[BUY_VOL] - facts[SELL_VOL]
    facts[DELTA_MAX] = max(facts[DELTA_MAX], delta)
    facts[DELTA_MIN] = min(facts[DELTA_MIN], delta)
    if before != 0:
        facts[SIGN_PAIRS] += 1
        facts[SIGN_PRODUCTS] += sign * before
    if mid != NO_MID:
        facts[COST_VOLUME] += size
        facts[COST_SIGNED] += sign * size
        facts[COST_PRICE] += sign * size * 2 * price
        facts[COST_MID] += sign * size * mid


@njit(cache=True, nogil=True)
def _add_order(sign, size, levels, large, facts):  # type: ignore[no-untyped-def]
    """Add an aggressor order once all its trades are known."""
    buy = sign > 0
    facts[ORDERS] += 1
    facts[ORDER_VOLUME] += size
    facts[LARGEST_ORDER] = max(facts[LARGEST_ORDER], size)
    if size >= large:
        facts[LARGE_BUY_VOL if buy else LARGE_SELL_VOL] += size
    if levels >= 2:
        facts[SWEEP_BUY_CNT if buy else SWEEP_SELL_CNT] += 1
        facts[SWEEP_BUY_VOL if buy else SWEEP_SELL_VOL] += size
        facts[SWEEP_LEVELS] = max(facts[SWEEP_LEVELS], levels)


@njit(cache=True, nogil=True)
def _arrival_cv(ts, first, end):  # type: ignore[no-untyped-def]
    gaps = end - first - 1
    if gaps < 2 or ts[end - 1] == ts[first]:
        return np.nan
    mean = (ts[end - 1] - ts[first]) / gaps
    squares = 0.0
    for i in range(first + 1, end):
        away = (ts[i] - ts[i - 1]) - mean
        squares += away * away
    return np.sqrt(squares / gaps) / mean


@njit(cache=True, nogil=True)
def _scan(ts, bar, price, size, sign, mid2, order, levels, large, facts, arrival_cv):  # type: ignore[no-untyped-def]
    i, n = 0, ts.shape[0]
    while i < n:
        first, row = i, facts[bar[i]]
        before = np.int64(0)
        order_size = np.int64(0)
        while i < n and bar[i] == bar[first]:
            _add_price(price[i], size[i], row)
            if sign[i] != 0:
                _add_sign(price[i], size[i], sign[i], mid2[i], before, row)
                before = sign[i]
                order_size += size[i]
                last = i + 1 == n or order[i + 1] != order[i] or bar[i + 1] != bar[i]
                if last:
                    _add_order(sign[i], order_size, levels[i], large, row)
                    order_size = np.int64(0)
            i += 1
        arrival_cv[bar[first]] = _arrival_cv(ts, first, i)


def bar_trades(
    ts: Int64,
    bar: Int64,
    price_tick: Int64,
    size: Int64,
    sign: Int64,
    mid_ticks2: Int64,
    order: Int64,
    levels: Int64,
    large_order: int,
    bars: int,
) -> BarTrades:
    """Sum up the trades of every bar.

    Args:
        ts: Trade times, ascending, ns since the epoch; int64[n].
        bar: Row of the bar each trade belongs to, ascending; int64[n].
        price_tick: Trade price, ticks; int64[n].
        size: Contracts; int64[n].
        sign: Aggressor: +1 buyer, -1 seller, 0 unknown; int64[n].
        mid_ticks2: Mid just before the trade, half ticks, ``NO_MID`` without one; int64[n].
        order: Aggressor order, equal for its trades, which are adjacent; int64[n].
        levels: Distinct prices of that order; int64[n].
        large_order: Smallest size of a large order, contracts; ``NO_LARGE_ORDER`` for none.
        bars: Number of bars.

    Returns:
        One row a bar, zeros without a trade.

    Trades without a known aggressor count in prices, volume and arrival times only. Effective spread 2 s (p - m) as
    in Huang and Stoll (1996); lag-1 sign autocorrelation is the mean of the products of consecutive signs.
    """
    facts, arrival_cv = np.zeros((bars, FACTS), np.int64), np.full(bars, np.nan)
    _scan(ts, bar, price_tick, size, sign, mid_ticks2, order, levels, large_order, facts, arrival_cv)
    return BarTrades(facts, arrival_cv)
