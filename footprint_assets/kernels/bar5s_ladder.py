"""What a bar's last ladder says by itself: reference prices, gaps, shares of the levels, walls.

Vectorised over bars: ladders are ``(10, bars)`` arrays of one side, best level first, NaN price where the book has no
such level. NaN in a result is "not defined". Nothing is carried.

Sums run level by level and logarithms one by one: NumPy's own reductions and SIMD loops round differently with the number
of bars, and a bar must not depend on how many others are computed beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

STRONG_Z = 2.0
"""A level this many deviations above its side's mean log size is a wall."""
_MIN_DEVIATION = 1e-9


@dataclass(frozen=True)
class Walls:
    """The largest level of a side, and the nearest one that stands out; float64[bars] each.

    Args:
        max_z: Largest z-score; NaN on an empty side.
        max_level: Its level, the nearest on ties; NaN on an empty side.
        strong_level: Nearest level with a z-score of at least ``STRONG_Z``; -1 if none, NaN on an empty side.
        strong_distance: Its distance from the microprice, points; NaN if none or without a microprice.
    """

    max_z: Float64
    max_level: Float64
    strong_level: Float64
    strong_distance: Float64


@njit(cache=True, nogil=True)
def _log_size(size):  # type: ignore[no-untyped-def]
    """ln(1 + size)."""
    out = np.empty_like(size)
    for level in range(size.shape[0]):
        for bar in range(size.shape[1]):
            out[level, bar] = math.log1p(size[level, bar])
    return out


def _total(levels: Float64) -> Float64:
    """Sum over the levels, nearest first; absent ones (NaN) count 0."""
    total = np.zeros(levels.shape[1])
    for level in levels:
        total += np.where(np.isnan(level), 0.0, level)
    return total


def midprice(bid: Float64, ask: Float64) -> Float64:
    """Mean of best bid and best ask.

    Args:
        bid: Best bid, points, float64[bars].
        ask: Best ask, points, float64[bars].

    Returns:
        Points, float64[bars]; NaN on a one-sided book.
    """
    middle: Float64 = (bid + ask) / 2
    return middle


def microprice(bid: Float64, ask: Float64, bid_size: Float64, ask_size: Float64) -> Float64:
    """Best prices weighted by the size of the opposite side (Gatheral and Oomen 2010); the mid when both are 0.

    Args:
        bid: Best bid, points, float64[bars].
        ask: Best ask, points, float64[bars].
        bid_size: Size at the best bid, contracts.
        ask_size: Size at the best ask, contracts.

    Returns:
        Points, float64[bars], between bid and ask; NaN on a one-sided book.
    """
    whole = bid_size + ask_size
    share = np.divide(bid_size, whole, out=np.full_like(whole, 0.5), where=whole > 0)
    price: Float64 = np.clip(bid + (ask - bid) * share, np.minimum(bid, ask), np.maximum(bid, ask))
    return price


def gaps(price: Float64) -> tuple[Float64, Float64]:
    """Largest and mean distance between neighbouring levels.

    Args:
        price: Prices of one side, points, float64[10, bars].

    Returns:
        ``(max, mean)``, points, float64[bars]; NaN where the side has fewer than two levels.
    """
    gap = np.abs(np.diff(price, axis=0))
    pairs = np.isfinite(gap)
    count = pairs.sum(axis=0)
    largest = np.max(gap, axis=0, where=pairs, initial=0.0)
    mean = _total(gap) / np.maximum(count, 1)
    return np.where(count > 0, largest, np.nan), np.where(count > 0, mean, np.nan)


def shares(amount: Float64) -> Float64:
    """Every level's share of its side.

    Args:
        amount: Sizes or order counts of one side, float64[10, bars].

    Returns:
        Shares, float64[10, bars], adding up to 1; NaN where the side is empty.
    """
    total = np.broadcast_to(_total(amount), amount.shape)
    share: Float64 = np.divide(amount, total, out=np.full_like(amount, np.nan), where=total > 0)
    return share


def walls(price: Float64, size: Float64, reference: Float64) -> Walls:
    """Levels that stand out of their side by z-score of log size.

    Args:
        price: Prices of one side, points, float64[10, bars].
        size: Sizes of one side, contracts, float64[10, bars].
        reference: Microprice, points, float64[bars].

    Returns:
        The walls; z_n = (ln(1 + Q_n) - mean) / max(population deviation, 1e-9) over the levels the book has.
    """
    present = np.isfinite(price)
    count = present.sum(axis=0)
    some, divisor = count > 0, np.maximum(count, 1)
    log_size = np.where(present, _log_size(np.ascontiguousarray(size)), np.nan)
    apart = log_size - _total(log_size) / divisor
    deviation = np.sqrt(_total(apart * apart) / divisor)
    highest = np.max(size, axis=0, where=present, initial=0.0)
    lowest = np.min(size, axis=0, where=present, initial=np.inf)
    z = np.where(highest == lowest, 0.0, apart / np.maximum(deviation, _MIN_DEVIATION))
    z = np.where(present, z, -np.inf)
    strong = z >= STRONG_Z
    nearest = np.argmax(strong, axis=0)
    found = strong.any(axis=0)
    distance = np.abs(reference - np.take_along_axis(price, nearest[None], axis=0)[0])
    return Walls(
        max_z=np.where(some, z.max(axis=0), np.nan),
        max_level=np.where(some, z.argmax(axis=0), np.nan),
        strong_level=np.where(some, np.where(found, nearest, -1), np.nan),
        strong_distance=np.where(found, distance, np.nan),
    )
