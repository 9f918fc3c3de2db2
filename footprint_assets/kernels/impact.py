"""Price impact and illiquidity of trading: per-bar sums the regressions of ``rolling`` run on.

Kyle's lambda (1985) is the slope of the mid change on signed volume; Hasbrouck's (2009) on signed root volume; the order
flow impact of Cont, Kukanov and Stoikov (2014) on order flow imbalance; Amihud's (2002) ratio is |return| / volume.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.rolling import Float64

Int64 = NDArray[np.int64]


@njit(cache=True, nogil=True)
def _signed_root_volume(bar, sign, size, out):  # type: ignore[no-untyped-def]
    for i in range(bar.shape[0]):
        out[bar[i]] += sign[i] * np.sqrt(size[i])


@njit(cache=True, nogil=True)
def _amihud(returns, volume, window):  # type: ignore[no-untyped-def]
    out = np.full(returns.shape[0], np.nan)
    for t in range(window - 1, returns.shape[0]):
        total, count = 0.0, 0
        for i in range(t - window + 1, t + 1):
            if volume[i] > 0.0:
                total += abs(returns[i]) / volume[i]
                count += 1
            elif np.isnan(volume[i]) or np.isnan(returns[i]):
                total = np.nan
        if count > 0:
            out[t] = total / count
    return out


def signed_root_volume(bar: Int64, sign: NDArray[np.int8], size: Int64, bars: int) -> Float64:
    """Sum of sign x sqrt(size) over the trades of every bar.

    Args:
        bar: Bar of every trade, shape ``(trades,)``, in event order.
        sign: Aggressor, +1 buyer, -1 seller, 0 unknown.
        size: Contracts.
        bars: Number of bars.

    Returns:
        float64[bars], square-root contracts; 0 in a bar without trades.
    """
    out = np.zeros(bars)
    _signed_root_volume(bar, sign, size, out)
    return out


def amihud(returns: Float64, volume: Float64, window: int) -> Float64:
    """Mean |return| / volume over the bars of the window that traded.

    Args:
        returns: Mid changes, shape ``(bars,)``.
        volume: Contracts traded, shape ``(bars,)``.
        window: Bars.

    Returns:
        float64[bars]; NaN until the window is full, where a member is NaN or none traded.
    """
    ratio: Float64 = _amihud(np.ascontiguousarray(returns), np.ascontiguousarray(volume), window)
    return ratio
