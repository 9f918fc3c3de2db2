"""The book by price, laid out so that any range of ticks of any bar is summed in one step.

The measures at a level (``level_depth``, ``level_liquidity``, ``level_flow``) read one :class:`BookGrid`. Counts and
sizes are prefix sums of exact integers: a sum does not depend on the bars beside it. Ticks are int64.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.bar5s import BAND_EDGES

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

# Columns of the prefix sums: the fields of [bid, ask] at side * FIELDS, then those of the tick.
QTY, ORDERS, ADDED, PULLED, FILLED, ADDS, CANCELS, MODIFIES = range(8)
FIELDS = 8
VISIBLE = 2 * FIELDS
SEEN = VISIBLE + 1
COLUMNS = SEEN + 1

NO_TICK = np.int64(-(2**62))
"""Best price of a side without one."""
FAR = np.int64(2**40)
"""More ticks than any two prices lie apart."""


class BookGrid(NamedTuple):
    """The book by price of one contract and trade date; rows run by bar and tick, dense within a bar.

    Args:
        offset: Row at which a bar begins, int64[bars + 1].
        low: Tick of a bar's first row, int64[bars].
        sums: Prefix sums by the module's columns, int64[rows + 1, COLUMNS]. Sizes and orders are those of the end of
            the bar; ``VISIBLE`` counts ticks in sight then, ``SEEN`` those in sight or with flow at any time.
        average: Size over the time the tick was in sight, contracts, [bid, ask], float64[rows, 2]; NaN where it never was.
        largest: Largest size shown, contracts, [bid, ask], int64[rows, 2]; 0 where none was.
        best: Best price at the end of the bar, ticks, [bid, ask], int64[bars, 2]; ``NO_TICK`` where there is none.
    """

    offset: Int64
    low: Int64
    sums: Int64
    average: Float64
    largest: Int64
    best: Int64


class Rows(NamedTuple):
    """What is asked of the grid: a level at a bar.

    Args:
        bar: Index of the bar, int64[rows].
        level: Price of the level, ticks, int64[rows].
        direction: +1 the level is approached from below and asks defend it, -1 from above and bids do, int64[rows].
    """

    bar: Int64
    level: Int64
    direction: Int64


def band_edges(tick_nanos: int) -> Int64:
    """Largest distance of each band, in ticks.

    Args:
        tick_nanos: Minimum price increment, 1e-9 points.

    Returns:
        int64[BANDS + 1]: band ``k`` holds the distances above ``edges[k]`` up to ``edges[k + 1]``; ``edges[0]`` is 0.
    """
    edges: Int64 = np.concatenate([np.zeros(1, np.int64), BAND_EDGES // tick_nanos])
    return edges


@njit(cache=True, nogil=True)
def span(grid, bar, first, last):  # type: ignore[no-untyped-def]
    """Rows of the prefix sums that enclose the ticks ``first`` to ``last`` of a bar; equal where it has none of them."""
    begin, end = grid.offset[bar], grid.offset[bar + 1]
    low = grid.low[bar]
    a = min(max(begin + first - low, begin), end)
    b = min(max(begin + last - low + 1, a), end)
    return a, b


@njit(cache=True, nogil=True)
def total(grid, bar, first, last, column):  # type: ignore[no-untyped-def]
    """Sum of a column over the ticks ``first`` to ``last`` of a bar."""
    a, b = span(grid, bar, first, last)
    return grid.sums[b, column] - grid.sums[a, column]


@njit(cache=True, nogil=True)
def lay_out(start, ts, tick):  # type: ignore[no-untyped-def]
    """Where each bar's rows begin, and the first row that is out of place.

    Args:
        start: Starts of the bars, ascending, int64[bars], ns since the epoch.
        ts: Bar starts of the rows, int64[rows], ns since the epoch.
        tick: Prices of the rows, int64[rows], ticks.

    Returns:
        ``(offset, low, stray, hole)``: as in :class:`BookGrid`, then the first row that is in no bar, or in an earlier
        one than the row before, and the first that leaves out a tick; -1 each where there is none.
    """
    bars, rows = start.shape[0], ts.shape[0]
    offset, low = np.full(bars + 1, rows), np.zeros(bars, np.int64)
    bar, known = -1, 0
    for row in range(rows):
        if bar >= 0 and ts[row] == start[bar]:
            if tick[row] != tick[row - 1] + 1:
                return offset, low, -1, row
            continue
        bar += 1
        while bar < bars and start[bar] < ts[row]:
            bar += 1
        if bar == bars or start[bar] != ts[row]:
            return offset, low, row, -1
        offset[known : bar + 1] = row
        low[bar] = tick[row]
        known = bar + 1
    return offset, low, -1, -1


_BLOCK = 256
"""Rows whose prefix sums fit the first-level cache."""


@njit(cache=True, nogil=True)
def prefix_sums(sizes, counts, shown, visible):  # type: ignore[no-untyped-def]
    """Prefix sums over the rows of the book by price.

    Args:
        sizes: ``QTY``, ``ADDED``, ``PULLED`` and ``FILLED`` of the bid, then of the ask; a tuple of int64[rows].
        counts: ``ORDERS``, ``ADDS``, ``CANCELS`` and ``MODIFIES`` likewise; a tuple of int32[rows].
        shown: Time in sight, int64[rows], ns.
        visible: Whether in sight at the end of the bar, uint8[rows].

    Returns:
        ``sums`` of :class:`BookGrid`.
    """
    rows = shown.shape[0]
    sums = np.empty((rows + 1, COLUMNS), np.int64)
    sums[0] = 0
    for begin in range(0, rows, _BLOCK):
        end = min(begin + _BLOCK, rows)
        seen = shown[begin:end] > 0
        for k in range(8):
            size, count = sizes[k], counts[k]
            x = (k // 4) * FIELDS + (QTY, ADDED, PULLED, FILLED)[k % 4]
            y = (k // 4) * FIELDS + (ORDERS, ADDS, CANCELS, MODIFIES)[k % 4]
            of_size, of_count = sums[begin, x], sums[begin, y]
            for row in range(begin, end):
                of_size += size[row]
                of_count += count[row]
                sums[row + 1, x], sums[row + 1, y] = of_size, of_count
                # Size and orders at the end of a bar are no flow: the price may have been out of sight until then.
                seen[row - begin] |= k % 4 > 0 and (size[row] > 0 or count[row] > 0)
        for row in range(begin, end):
            sums[row + 1, VISIBLE] = sums[row, VISIBLE] + visible[row]
            sums[row + 1, SEEN] = sums[row, SEEN] + seen[row - begin]
    return sums


@njit(cache=True, nogil=True)
def average_sizes(held_bid, held_ask, shown):  # type: ignore[no-untyped-def]
    """Size over the time in sight of every row, ``average`` of :class:`BookGrid`; of contracts x ns and ns, int64[rows]."""
    average = np.full((shown.shape[0], 2), np.nan)
    for row in range(shown.shape[0]):
        if shown[row] > 0:
            average[row, 0] = held_bid[row] / shown[row]
            average[row, 1] = held_ask[row] / shown[row]
    return average


@njit(cache=True, nogil=True)
def best_prices(offset, low, bid_size, ask_size):  # type: ignore[no-untyped-def]
    """Best bid and best ask at the end of every bar, ticks, int64[bars, 2]; ``NO_TICK`` where there is none."""
    bars = low.shape[0]
    out = np.full((bars, 2), NO_TICK)
    for bar in range(bars):
        for row in range(offset[bar], offset[bar + 1]):
            tick = low[bar] + row - offset[bar]
            if bid_size[row] > 0:
                out[bar, 0] = tick
            if ask_size[row] > 0 and out[bar, 1] == NO_TICK:
                out[bar, 1] = tick
    return out
