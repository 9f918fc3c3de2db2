"""Realised volatility of a window of returns: variance, its continuous part, its halves, jumps and bounce.

Returns are differences of the mid between bar ends, in points; the definitions hold in any unit. Windows follow
``rolling``: recomputed from their members, NaN until full.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True)
class Volatility:
    """Realised measures of the last ``n`` returns r_1..r_n; float64[bars] each.

    Args:
        rs_plus: Sum of squared positive returns (Barndorff-Nielsen, Kinnebrock and Shephard 2010).
        rs_minus: Sum of squared negative returns.
        rv: Realised variance, ``rs_plus + rs_minus``.
        bv: Bipower variation (pi/2) n/(n-1) sum |r_i||r_(i-1)| (Barndorff-Nielsen and Shephard 2004).
        jump: max(rv - bv, 0).
        rq: Realised quarticity n/3 sum r^4.
        autocov1: First autocovariance of the returns about their mean.
        roll_spread: Roll's (1984) effective spread 2 sqrt(max(0, -autocov1)).
    """

    rs_plus: Float64
    rs_minus: Float64
    rv: Float64
    bv: Float64
    jump: Float64
    rq: Float64
    autocov1: Float64
    roll_spread: Float64


@njit(cache=True, nogil=True)
def _sums(returns, window):  # type: ignore[no-untyped-def]
    """Columns: positive squares, negative squares, products of neighbours' sizes, fourth powers, autocovariance."""
    n = returns.shape[0]
    out = np.full((5, n), np.nan)
    for t in range(window - 1, n):
        start = t - window + 1
        plus = minus = product = fourth = mean = 0.0
        for i in range(start, t + 1):
            r = returns[i]
            mean += r
            square = r * r
            if r > 0.0:
                plus += square
            else:
                minus += square
            fourth += square * square
            if i > start:
                product += abs(r) * abs(returns[i - 1])
        mean /= window
        covariance = 0.0
        for i in range(start + 1, t + 1):
            covariance += (returns[i] - mean) * (returns[i - 1] - mean)
        if not np.isnan(mean):
            out[0, t], out[1, t], out[2, t], out[3, t] = plus, minus, product, fourth
            out[4, t] = covariance / (window - 1)
    return out


def volatility(returns: Float64, window: int) -> Volatility:
    """Realised measures over the last ``window`` returns.

    Args:
        returns: One return a bar, shape ``(bars,)``, NaN where unknown.
        window: Returns, at least 2.

    Returns:
        The measures; NaN until the window is full, and where a member is NaN.
    """
    plus, minus, product, fourth, covariance = _sums(np.ascontiguousarray(returns, np.float64), window)
    rv = plus + minus
    bv = math.pi / 2 * window / (window - 1) * product
    return Volatility(
        rs_plus=plus,
        rs_minus=minus,
        rv=rv,
        bv=bv,
        jump=np.maximum(rv - bv, 0.0),
        rq=window / 3 * fourth,
        autocov1=covariance,
        roll_spread=2 * np.sqrt(np.maximum(-covariance, 0.0)),
    )


def parkinson(high: Float64, low: Float64) -> Float64:
    """Parkinson's (1980) range variance (high - low)^2 / (4 ln 2), in squared units of the prices.

    Args:
        high: Highest price of the window, shape ``(bars,)``.
        low: Lowest price of the window.

    Returns:
        float64[bars].
    """
    spread = high - low
    variance: Float64 = spread * spread / (4 * math.log(2))
    return variance
