"""Volume-weighted average price anchored at a trade, and its standard deviation, on exact integer sums.

The sums run over int64 tick offsets, so the variance does not cancel however far the price lies from zero, and the
value at a trade never depends on the trades after it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def moments(sum_size: np.int64, sum_ticks: np.int64, sum_squares: np.int64) -> tuple[float, float]:
    """Mean and population standard deviation from the sums of a volume-weighted sample.

    The sums are moved to the whole tick below the mean while they are still integers, which leaves a fraction below
    one tick to square in floating point.

    Args:
        sum_size: Sum of sizes, contracts, above 0.
        sum_ticks: Sum of size x offset, contract ticks.
        sum_squares: Sum of size x offset squared, contract ticks squared.

    Returns:
        ``(mean, std)``, ticks.
    """
    base = sum_ticks // sum_size
    fraction = (sum_ticks - base * sum_size) / sum_size
    centred = sum_squares - 2 * base * sum_ticks + base * base * sum_size
    variance = centred / sum_size - fraction * fraction
    return base + fraction, np.sqrt(max(variance, 0.0))


@njit(cache=True, nogil=True)
def anchored_vwap(
    tick: NDArray[np.int64], size: NDArray[np.int64], first: int, ends: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Running VWAP and its volume-weighted population standard deviation since an anchor trade.

    vwap = p0 + sum(v k) / sum(v), variance = sum(v k^2) / sum(v) - (sum(v k) / sum(v))^2, with k the whole ticks
    between a trade and the anchor trade's price p0.

    Args:
        tick: Trade prices in event order; int64[trades], ticks.
        size: Trade sizes, above 0; int64[trades], contracts.
        first: Index of the anchor trade.
        ends: Ascending trade counts; value ``b`` covers the trades ``first:ends[b]``; int64[values].

    Returns:
        ``(vwap, std)``, float64[values] each, ticks; NaN where no trade since the anchor is covered.
    """
    n = ends.shape[0]
    vwap = np.full(n, np.nan)
    std = np.full(n, np.nan)
    sum_size = np.int64(0)
    sum_ticks = np.int64(0)
    sum_squares = np.int64(0)
    at = first
    for b in range(n):
        while at < ends[b]:
            offset = tick[at] - tick[first]
            sum_size += size[at]
            sum_ticks += size[at] * offset
            sum_squares += size[at] * offset * offset
            at += 1
        if sum_size > 0:
            mean, std[b] = moments(sum_size, sum_ticks, sum_squares)
            vwap[b] = tick[first] + mean
    return vwap, std
