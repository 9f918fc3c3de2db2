"""Values of the session so far: VWAP with sums brought along, the node last traded at, confirmed swings.

Every value reads what came before it only, and all sums are int64: a longer input leaves earlier values bit for bit.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.profile import volume_nodes
from footprint_assets.kernels.vwap import moments

NO_TICK = np.iinfo(np.int64).min
"""Stands for a price that does not exist."""


@njit(cache=True, nogil=True)
def carried_vwap(
    tick: NDArray[np.int64],
    size: NDArray[np.int64],
    first: int,
    ends: NDArray[np.int64],
    volume: int,
    tick_volume: int,
    tick2_volume: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Running VWAP and its standard deviation, of earlier trades known by their sums and of the trades since.

    Without earlier trades the result is that of ``kernels.vwap.anchored_vwap`` to the bit. The earlier sums are of whole
    prices; they are moved to offsets from their own mean while they are integers, so the variance does not cancel.

    Args:
        tick: Trade prices in event order; int64[trades], ticks.
        size: Trade sizes, above 0; int64[trades], contracts.
        first: Index of the first trade to count.
        ends: Ascending trade counts; value ``b`` covers the trades ``first:ends[b]``; int64[values].
        volume: Contracts of the earlier trades.
        tick_volume: Sum of price x size of the earlier trades, contract ticks.
        tick2_volume: Sum of price squared x size of the earlier trades, contract ticks squared.

    Returns:
        ``(vwap, std)``, float64[values] each, ticks; NaN where there is no trade at all yet.
    """
    n = ends.shape[0]
    vwap = np.full(n, np.nan)
    std = np.full(n, np.nan)
    origin = np.int64(0)
    # The origin must not depend on how many trades follow, or a later trade would move the last bit of earlier values.
    if volume > 0:
        origin = np.int64(tick_volume // volume)
    elif first < tick.shape[0]:
        origin = tick[first]
    sum_size = np.int64(volume)
    sum_ticks = np.int64(tick_volume - origin * volume)
    sum_squares = np.int64(tick2_volume - 2 * origin * tick_volume + origin * origin * volume)
    at = first
    for b in range(n):
        while at < ends[b]:
            offset = tick[at] - origin
            sum_size += size[at]
            sum_ticks += size[at] * offset
            sum_squares += size[at] * offset * offset
            at += 1
        if sum_size > 0:
            mean, std[b] = moments(sum_size, sum_ticks, sum_squares)
            vwap[b] = origin + mean
    return vwap, std


@njit(cache=True, nogil=True)
def last_high_volume_node(
    row: NDArray[np.int64], size: NDArray[np.int64], first: int, ends: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The high volume node of a growing profile that was traded at last.

    Nodes are those of ``kernels.profile.volume_nodes`` in the profile as it stands. Of their rows the one with the latest
    trade is taken.

    Args:
        row: Price row of each trade in event order; int64[trades].
        size: Trade sizes, above 0; int64[trades], contracts.
        first: Index of the first trade of the profile.
        ends: Ascending trade counts, above ``first``; value ``b`` covers the trades ``first:ends[b]``; int64[values].

    Returns:
        int64[values], rows; ``NO_TICK`` where the profile has no node anybody traded at.
    """
    n = ends.shape[0]
    out = np.full(n, NO_TICK)
    if n == 0:
        return out
    base = row[first : ends[n - 1]].min()
    rows = row[first : ends[n - 1]].max() - base + 1
    volumes = np.zeros(rows, np.int64)
    last_trade = np.full(rows, -1, np.int64)
    low = row[first] - base
    high = low
    at = first
    for b in range(n):
        if b > 0 and ends[b] == ends[b - 1]:
            out[b] = out[b - 1]
            continue
        while at < ends[b]:
            place = row[at] - base
            volumes[place] += size[at]
            last_trade[place] = at
            low = min(low, place)
            high = max(high, place)
            at += 1
        is_node, _ = volume_nodes(volumes[low : high + 1])
        latest = -1
        for place in range(low, high + 1):
            if is_node[place - low] and last_trade[place] > latest:
                latest = last_trade[place]
        if latest >= 0:
            out[b] = row[latest]
    return out


@njit(cache=True, nogil=True)
def last_swing_high(high: NDArray[np.int64], strength: int) -> NDArray[np.int64]:
    """The latest confirmed swing high as of each bar's end.

    A bar is a swing high when its high is above those of the ``strength`` bars before it and not below those of the
    ``strength`` bars after it, so the first of equal highs counts. It is known once the last of the bars after it has
    closed. Definition: the strength of NinjaTrader's Swing indicator. Swing lows are the swing highs of ``-low``.

    Args:
        high: Highs of closed bars in order; int64[bars], ticks.
        strength: Bars on each side.

    Returns:
        int64[bars], ticks; ``NO_TICK`` before the first confirmed swing.
    """
    n = high.shape[0]
    out = np.full(n, NO_TICK)
    latest = np.int64(NO_TICK)
    for t in range(n):
        centre = t - strength
        if centre >= strength:
            is_swing = True
            for k in range(1, strength + 1):
                if high[centre - k] >= high[centre] or high[centre + k] > high[centre]:
                    is_swing = False
                    break
            if is_swing:
                latest = high[centre]
        out[t] = latest
    return out
