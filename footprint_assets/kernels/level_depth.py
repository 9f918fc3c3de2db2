"""Resting size around a level: bands, single ticks, the queue in front of it, and walls."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from footprint_assets.kernels.bar5s import BANDS
from footprint_assets.kernels.bar5s_ladder import STRONG_Z
from footprint_assets.kernels.book_events import ASK, BID
from footprint_assets.kernels.level_book import (
    FAR,
    FIELDS,
    ORDERS,
    QTY,
    VISIBLE,
    BookGrid,
    Float64,
    Int64,
    Rows,
    span,
    total,
)

BELOW, ABOVE = 0, 1
REL_REACH = 4
"""Ticks on either side of the level whose size is given singly."""
LONGEST_CHANGE = 24
"""Bars the changes of size at the level look back."""

# Layout of the result. Bands: [below, above][band].
BAND_AVERAGE = 0
BAND_EOB = BAND_AVERAGE + 2 * BANDS
ALL_AVERAGE = BAND_EOB + 2 * BANDS
ALL_EOB = ALL_AVERAGE + 1
SIDE_EOB = ALL_EOB + 1  # [below, above]
REL = SIDE_EOB + 2  # level - REL_REACH .. level + REL_REACH, in approach direction
BID_SIZE = REL + 2 * REL_REACH + 1
ASK_SIZE = BID_SIZE + 1
IS_VISIBLE = ASK_SIZE + 1
BOOK_INDEX = IS_VISIBLE + 1  # [bid, ask]
IS_WALL = BOOK_INDEX + 2
ORDER_COUNT = IS_WALL + 1
QUEUE_AHEAD = ORDER_COUNT + 1
CHANGE_3 = QUEUE_AHEAD + 1
CHANGE_12 = CHANGE_3 + 1
CHANGE_OF_CHANGE_12 = CHANGE_12 + 1
WALL_TICKS = CHANGE_OF_CHANGE_12 + 1  # [bid, ask]
FIELDS_OUT = WALL_TICKS + 2


@njit(cache=True, nogil=True)
def _both(grid, bar, first, last):  # type: ignore[no-untyped-def]
    """Size of both sides at the end of a bar; NaN where none of the ticks is in sight."""
    if bar < 0 or total(grid, bar, first, last, VISIBLE) == 0:
        return np.nan
    return float(total(grid, bar, first, last, QTY) + total(grid, bar, first, last, FIELDS + QTY))


@njit(cache=True, nogil=True)
def _average_bands(grid, bar, level, edges, out):  # type: ignore[no-untyped-def]
    """Time-weighted size by band, nearest tick first, so that a mirrored book adds up in the same order."""
    first, last = span(grid, bar, -FAR, FAR)
    at = first + level - grid.low[bar]
    whole = np.zeros(2)
    seen = False
    for where in (BELOW, ABOVE):
        step = -1 if where == BELOW else 1
        row = min(at - 1, last - 1) if where == BELOW else max(at + 1, first)
        while first <= row < last:
            size = grid.average[row, BID] + grid.average[row, ASK]
            if not np.isnan(size):
                seen = True
                whole[where] += size
                distance = abs(row - at)
                for k in range(BANDS):
                    if edges[k] < distance <= edges[k + 1]:
                        field = BAND_AVERAGE + where * BANDS + k
                        out[field] = size if np.isnan(out[field]) else out[field] + size
            row += step
    here = 0.0
    if first <= at < last and not np.isnan(grid.average[at, BID]):
        seen = True
        here = grid.average[at, BID] + grid.average[at, ASK]
    if seen:
        out[ALL_AVERAGE] = here + (whole[BELOW] + whole[ABOVE])


@njit(cache=True, nogil=True)
def _side(grid, bar, level, side, out):  # type: ignore[no-untyped-def]
    """Walls of one side, best price first, and where the level stands in its ladder."""
    first, last = span(grid, bar, -FAR, FAR)
    column = side * FIELDS + QTY
    size = np.empty(last - first)
    tick = np.empty(last - first, np.int64)
    n = 0
    for i in range(last - first):
        row = last - 1 - i if side == BID else first + i
        quantity = grid.sums[row + 1, column] - grid.sums[row, column]
        if quantity > 0:
            size[n] = math.log1p(quantity)
            tick[n] = grid.low[bar] + row - first
            n += 1
    if n == 0:
        return
    mean = 0.0
    for i in range(n):
        mean += size[i]
    mean /= n
    variance = 0.0
    for i in range(n):
        variance += (size[i] - mean) * (size[i] - mean)
    deviation = max(math.sqrt(variance / n), 1e-9)
    nearest = np.nan
    for i in range(n):
        at_level = tick[i] == level
        if at_level:
            out[BOOK_INDEX + side] = i
        if (size[i] - mean) / deviation >= STRONG_Z:
            distance = float(abs(tick[i] - level))
            if np.isnan(nearest) or distance < nearest:
                nearest = distance
            if at_level:
                out[IS_WALL] = 1.0
    out[WALL_TICKS + side] = nearest


@njit(cache=True, nogil=True)
def _at_level(grid, bar, level, direction, out):  # type: ignore[no-untyped-def]
    """Size, orders and queue at the level's own price."""
    out[IS_VISIBLE] = float(total(grid, bar, level, level, VISIBLE))
    if out[IS_VISIBLE] == 0.0:
        _side(grid, bar, level, BID, out)
        _side(grid, bar, level, ASK, out)
        return
    out[BOOK_INDEX] = out[BOOK_INDEX + 1] = -1.0
    out[IS_WALL] = 0.0
    _side(grid, bar, level, BID, out)
    _side(grid, bar, level, ASK, out)
    out[BID_SIZE] = total(grid, bar, level, level, QTY)
    out[ASK_SIZE] = total(grid, bar, level, level, FIELDS + QTY)
    out[ORDER_COUNT] = total(grid, bar, level, level, ORDERS) + total(
        grid, bar, level, level, FIELDS + ORDERS
    )
    if direction > 0:
        out[QUEUE_AHEAD] = total(grid, bar, -FAR, level - 1, FIELDS + QTY)
    else:
        out[QUEUE_AHEAD] = total(grid, bar, level + 1, FAR, QTY)


@njit(cache=True, nogil=True)
def _run(grid, rows, edges, out):  # type: ignore[no-untyped-def]
    for r in range(rows.bar.shape[0]):
        bar, level, direction = rows.bar[r], rows.level[r], rows.direction[r]
        row = out[r]
        _average_bands(grid, bar, level, edges, row)
        for k in range(BANDS):
            near, far = edges[k] + 1, edges[k + 1]
            row[BAND_EOB + k] = _both(grid, bar, level - far, level - near)
            row[BAND_EOB + BANDS + k] = _both(grid, bar, level + near, level + far)
        row[ALL_EOB] = _both(grid, bar, -FAR, FAR)
        row[SIDE_EOB + BELOW] = _both(grid, bar, -FAR, level - 1)
        row[SIDE_EOB + ABOVE] = _both(grid, bar, level + 1, FAR)
        for k in range(-REL_REACH, REL_REACH + 1):
            tick = level + k * direction
            row[REL + REL_REACH + k] = _both(grid, bar, tick, tick)
        _at_level(grid, bar, level, direction, row)
        now, before_12 = _both(grid, bar, level, level), _both(grid, bar - 12, level, level)
        row[CHANGE_3] = (now - _both(grid, bar - 3, level, level)) / 3
        row[CHANGE_12] = (now - before_12) / 12
        earlier = (before_12 - _both(grid, bar - LONGEST_CHANGE, level, level)) / 12
        row[CHANGE_OF_CHANGE_12] = (row[CHANGE_12] - earlier) / 12


def level_depth(grid: BookGrid, rows: Rows, edges: Int64) -> Float64:
    """Resting size around a level at and over a bar.

    Args:
        grid: The book by price.
        rows: Levels and bars.
        edges: Bands, see :func:`footprint_assets.kernels.level_book.band_edges`.

    Returns:
        float64[rows, FIELDS_OUT] by the module's layout, contracts, orders and ticks; NaN where not in sight.
    """
    out = np.full((len(rows.bar), FIELDS_OUT), np.nan, order="F")
    _run(grid, rows, edges, out)
    return out
