"""Rolling windows over consecutive bars: sums, means, differences, extremes and least squares.

Every window is recomputed from its members, oldest first: a running sum would drift, and a bar must not depend on what lay
before its window. A window with an unknown member (NaN), or one not yet full, is NaN. float64 in, float64 out.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


# The windows of many bars are gone through side by side, member by member: each value is still made of its own members,
# oldest first, and a processor adds several at a time.


@njit(cache=True, nogil=True)
def _sum(values, window):  # type: ignore[no-untyped-def]
    out = np.full(values.shape[0], np.nan)
    full = out[window - 1 :]
    full[:] = 0.0
    for i in range(window):
        member = values[i : i + full.shape[0]]
        for t in range(full.shape[0]):
            full[t] += member[t]
    return out


@njit(cache=True, nogil=True)
def _extreme(values, window, sign):  # type: ignore[no-untyped-def]
    out = np.full(values.shape[0], np.nan)
    full = out[window - 1 :]
    full[:] = values[window - 1 :]
    for i in range(window - 1):
        member = values[i : i + full.shape[0]]
        for t in range(full.shape[0]):
            is_beyond = member[t] * sign > full[t] * sign
            full[t] = member[t] if is_beyond | np.isnan(member[t]) else full[t]
    return out


@njit(cache=True, nogil=True)
def _least_squares(x, y, window):  # type: ignore[no-untyped-def]
    """Slope and R2 of y on x with an intercept, from centred sums."""
    n = x.shape[0]
    slope, r2 = np.full(n, np.nan), np.full(n, np.nan)
    mean_x, mean_y = _sum(x, window)[window - 1 :] / window, _sum(y, window)[window - 1 :] / window
    bars = mean_x.shape[0]
    xx, xy, yy = np.zeros(bars), np.zeros(bars), np.zeros(bars)
    for i in range(window):
        member_x, member_y = x[i : i + bars], y[i : i + bars]
        for t in range(bars):
            dx, dy = member_x[t] - mean_x[t], member_y[t] - mean_y[t]
            xx[t] += dx * dx
            xy[t] += dx * dy
            yy[t] += dy * dy
    for t in range(bars):
        if xx[t] > 0.0:
            slope[window - 1 + t] = xy[t] / xx[t]
            if yy[t] > 0.0:
                r2[window - 1 + t] = min(xy[t] * xy[t] / (xx[t] * yy[t]), 1.0)
    return slope, r2


def rolling_sum(values: Float64, window: int) -> Float64:
    """Sum of the last ``window`` values.

    Args:
        values: One value a bar, shape ``(bars,)``.
        window: Bars.

    Returns:
        float64[bars]; NaN until the window is full, and where a member is NaN.
    """
    total: Float64 = _sum(np.ascontiguousarray(values, np.float64), window)
    return total


def rolling_mean(values: Float64, window: int) -> Float64:
    """Mean of the last ``window`` values; NaN as in :func:`rolling_sum`."""
    return rolling_sum(values, window) / window


def rolling_max(values: Float64, window: int) -> Float64:
    """Largest of the last ``window`` values; NaN as in :func:`rolling_sum`."""
    highest: Float64 = _extreme(np.ascontiguousarray(values, np.float64), window, 1.0)
    return highest


def rolling_min(values: Float64, window: int) -> Float64:
    """Smallest of the last ``window`` values; NaN as in :func:`rolling_sum`."""
    lowest: Float64 = _extreme(np.ascontiguousarray(values, np.float64), window, -1.0)
    return lowest


def change(values: Float64, lag: int) -> Float64:
    """``values[t] - values[t - lag]``; NaN for the first ``lag`` bars."""
    out = np.full(len(values), np.nan)
    out[lag:] = values[lag:] - values[:-lag]
    return out


def slope_per_bar(values: Float64, lag: int) -> tuple[Float64, Float64]:
    """First and second difference quotient over ``lag`` bars.

    Args:
        values: One value a bar, shape ``(bars,)``.
        lag: Bars.

    Returns:
        ``(d1, d2)``: d1 = (x_t - x_(t-lag)) / lag, d2 = (d1_t - d1_(t-lag)) / lag; NaN where a value is missing.
    """
    first = change(values, lag) / lag
    return first, change(first, lag) / lag


def least_squares(x: Float64, y: Float64, window: int) -> tuple[Float64, Float64]:
    """Ordinary least squares of ``y`` on ``x`` with an intercept, over the last ``window`` bars.

    Args:
        x: Regressor, shape ``(bars,)``.
        y: Response, shape ``(bars,)``.
        window: Bars.

    Returns:
        ``(slope, r2)``; both NaN until the window is full, where a member is NaN or ``x`` does not vary; r2 also where
        ``y`` does not vary.
    """
    slope, r2 = _least_squares(
        np.ascontiguousarray(x, np.float64), np.ascontiguousarray(y, np.float64), window
    )
    return slope, r2


def quotient(part: Float64, whole: Float64) -> Float64:
    """``part / whole``, NaN where the divisor is zero or not known; float64[bars]."""
    share: Float64 = np.divide(part, whole, out=np.full_like(part, np.nan), where=whole != 0)
    return share
