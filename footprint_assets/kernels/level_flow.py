"""Flow of the book by its distance from a level: one bar's by band, and trailing order flow imbalance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.bar5s import BANDS
from footprint_assets.kernels.book_events import ASK, BID
from footprint_assets.kernels.level_book import (
    ADDED,
    FAR,
    FIELDS,
    FILLED,
    PULLED,
    SEEN,
    BookGrid,
    Float64,
    Int64,
    Rows,
    span,
    total,
)

FLOWS = FIELDS - ADDED
"""Added, pulled and filled size, then add, cancel and modify records: the fields of a side from ``ADDED`` on."""
NEAR, OVER, UNDER = range(3)
AREAS = 3


class LevelFlow(NamedTuple):
    """Flow of one bar around a level.

    Args:
        band: Flow by [bid, ask], band of |price - level| and kind, int64[rows, 2, BANDS, FLOWS].
        seen: Whether the band was in sight or had flow at any time, bool[rows, BANDS].
        average: Time-weighted size by [bid, ask] and band, contracts, float64[rows, 2, BANDS]; 0 where not in sight.
        around: Added, pulled and filled size of both sides [below, above] the level within reach, int64[rows, 2, 3].
        around_seen: Whether a price [below, above] within reach was in sight, bool[rows, 2].
        moments: Sum of size, size x distance and size x distance squared over all that was added, pulled and filled
            within reach, distance = price - level in ticks, int64[rows, 3].
    """

    band: Int64
    seen: NDArray[np.bool_]
    average: Float64
    around: Int64
    around_seen: NDArray[np.bool_]
    moments: Int64


@njit(cache=True, nogil=True)
def _average(grid, bar, level, near, far):  # type: ignore[no-untyped-def]
    """Time-weighted [bid, ask] size at a distance of ``near`` to ``far`` ticks, the nearest first."""
    first, last = span(grid, bar, -FAR, FAR)
    at = first + level - grid.low[bar]
    bid = ask = 0.0
    reach = max(at - first, last - 1 - at)
    for distance in range(near, min(far, reach) + 1):
        low, high = at - distance, at + distance
        bid_here = ask_here = 0.0
        if first <= low < last and not np.isnan(grid.average[low, BID]):
            bid_here, ask_here = grid.average[low, BID], grid.average[low, ASK]
        if distance > 0 and first <= high < last and not np.isnan(grid.average[high, BID]):
            bid_here += grid.average[high, BID]
            ask_here += grid.average[high, ASK]
        bid += bid_here
        ask += ask_here
    return bid, ask


@njit(cache=True, nogil=True)
def _bands(grid, bar, level, edges, r, band, seen, average):  # type: ignore[no-untyped-def]
    for k in range(BANDS):
        near, far = (0 if k == 0 else edges[k] + 1), edges[k + 1]
        if near == 0:
            a, b = span(grid, bar, level - far, level + far)
            c, d = a, a
        else:
            a, b = span(grid, bar, level - far, level - near)
            c, d = span(grid, bar, level + near, level + far)
        seen[r, k] = grid.sums[b, SEEN] - grid.sums[a, SEEN] + grid.sums[d, SEEN] - grid.sums[c, SEEN] > 0
        for side in (BID, ASK):
            for flow in range(FLOWS):
                x = side * FIELDS + ADDED + flow
                band[r, side, k, flow] = grid.sums[b, x] - grid.sums[a, x] + grid.sums[d, x] - grid.sums[c, x]
        average[r, BID, k], average[r, ASK, k] = _average(grid, bar, level, near, far)


@njit(cache=True, nogil=True)
def _around(grid, bar, level, reach, r, around, around_seen, moments):  # type: ignore[no-untyped-def]
    for where in range(2):
        first, last = (level - reach, level - 1) if where == 0 else (level + 1, level + reach)
        around_seen[r, where] = total(grid, bar, first, last, SEEN) > 0
        for flow in range(3):
            x = ADDED + flow
            around[r, where, flow] = total(grid, bar, first, last, x) + total(
                grid, bar, first, last, FIELDS + x
            )
    a, b = span(grid, bar, level - reach, level + reach)
    for row in range(a, b):
        size = np.int64(0)
        for x in (ADDED, PULLED, FILLED):
            size += grid.sums[row + 1, x] - grid.sums[row, x]
            size += grid.sums[row + 1, FIELDS + x] - grid.sums[row, FIELDS + x]
        distance = grid.low[bar] + row - grid.offset[bar] - level
        moments[r, 0] += size
        moments[r, 1] += size * distance
        moments[r, 2] += size * distance * distance


@njit(cache=True, nogil=True)
def _run_bar(grid, rows, edges, flow):  # type: ignore[no-untyped-def]
    for r in range(rows.bar.shape[0]):
        bar, level = rows.bar[r], rows.level[r]
        _bands(grid, bar, level, edges, r, flow.band, flow.seen, flow.average)
        _around(grid, bar, level, edges[BANDS], r, flow.around, flow.around_seen, flow.moments)


def level_flow(grid: BookGrid, rows: Rows, edges: Int64) -> LevelFlow:
    """Flow of the bar by distance from the level.

    Args:
        grid: The book by price.
        rows: Levels and bars.
        edges: Bands, see :func:`footprint_assets.kernels.level_book.band_edges`; the last edge is the reach.

    Returns:
        The flow, exact integers.
    """
    n = len(rows.bar)
    flow = LevelFlow(
        band=np.zeros((n, 2, BANDS, FLOWS), np.int64, order="F"),
        seen=np.zeros((n, BANDS), np.bool_, order="F"),
        average=np.zeros((n, 2, BANDS), order="F"),
        around=np.zeros((n, 2, 3), np.int64, order="F"),
        around_seen=np.zeros((n, 2), np.bool_),
        moments=np.zeros((n, 3), np.int64, order="F"),
    )
    _run_bar(grid, rows, edges, flow)
    return flow


@njit(cache=True, nogil=True)
def _run_imbalance(grid, rows, windows, near, value, seen):  # type: ignore[no-untyped-def]
    for r in range(rows.bar.shape[0]):
        bar, level = rows.bar[r], rows.level[r]
        for area in range(AREAS):
            first, last = level - near, level + near
            if area == OVER:
                first, last = level + 1, level + FAR
            elif area == UNDER:
                first, last = level - FAR, level - 1
            gained, known, j = np.int64(0), False, bar
            for k in range(windows.shape[0]):
                while j > bar - windows[k] and j >= 0:
                    a, b = span(grid, j, first, last)
                    known |= grid.sums[b, SEEN] > grid.sums[a, SEEN]
                    gained += _gained(grid, a, b, BID) - _gained(grid, a, b, ASK)
                    j -= 1
                value[r, area, k], seen[r, area, k] = gained, known


@njit(cache=True, nogil=True)
def _gained(grid, a, b, side):  # type: ignore[no-untyped-def]
    """Size a side gained in the rows from ``a`` to ``b``."""
    x = side * FIELDS
    added = grid.sums[b, x + ADDED] - grid.sums[a, x + ADDED]
    pulled = grid.sums[b, x + PULLED] - grid.sums[a, x + PULLED]
    return added - pulled - (grid.sums[b, x + FILLED] - grid.sums[a, x + FILLED])


def level_imbalance(
    grid: BookGrid, rows: Rows, windows: Int64, near_ticks: int
) -> tuple[Int64, NDArray[np.bool_]]:
    """Order flow imbalance by where it happens: bid size gained less ask size gained.

    Args:
        grid: The book by price.
        rows: Levels and bars.
        windows: Trailing windows, ascending, bars; a window has the bars there are.
        near_ticks: Reach of the area ``NEAR``; ``OVER`` and ``UNDER`` are all prices above and below the level.

    Returns:
        ``(imbalance, seen)``, int64 and bool, both [rows, AREAS, windows]: contracts, and whether a price of the area was
        in sight at any time of the window.
    """
    shape = (len(rows.bar), AREAS, len(windows))
    value, seen = np.zeros(shape, np.int64, order="F"), np.zeros(shape, np.bool_, order="F")
    _run_imbalance(grid, rows, windows, near_ticks, value, seen)
    return value, seen
