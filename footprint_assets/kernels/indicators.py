"""Indicators over the bars of one session and one bar type.

Every value at bar ``t`` reads bars up to ``t`` only. Nothing carries over from another session: an indicator is NaN
until its own window is full. Prices come in as int64 ticks, so window sums are exact and a value does not depend on
where the window started.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def rolling_moments(
    values: NDArray[np.int64], length: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and population standard deviation of the last ``length`` values, the current one included.

    Args:
        values: int64[bars].
        length: Window, bars.

    Returns:
        ``(mean, std)``, float64[bars] each, in the unit of ``values``; NaN before the window is full.
    """
    n = values.shape[0]
    mean = np.full(n, np.nan)
    std = np.full(n, np.nan)
    for t in range(length - 1, n):
        base = values[t]
        total = np.int64(0)
        squares = np.int64(0)
        for i in range(t - length + 1, t + 1):
            offset = values[i] - base
            total += offset
            squares += offset * offset
        mean[t] = base + total / length
        std[t] = np.sqrt(length * squares - total * total) / length
    return mean, std


@njit(cache=True, nogil=True)
def zscore(values: NDArray[np.int64], length: int) -> NDArray[np.float64]:
    """Distance of each value from the mean of the last ``length`` values, in population standard deviations.

    Args:
        values: int64[bars].
        length: Window including the current bar, bars.

    Returns:
        float64[bars]; NaN before the window is full and where all its values are equal.
    """
    mean, std = rolling_moments(values, length)
    out = np.full(values.shape[0], np.nan)
    for t in range(values.shape[0]):
        if std[t] > 0:
            out[t] = (values[t] - mean[t]) / std[t]
    return out


@njit(cache=True, nogil=True)
def rolling_slope(values: NDArray[np.int64], length: int) -> NDArray[np.float64]:
    """Ordinary least squares slope of the last ``length`` values on the bar number.

    Args:
        values: int64[bars].
        length: Window including the current bar, bars; at least 2.

    Returns:
        float64[bars], unit of ``values`` a bar; NaN before the window is full.
    """
    n = values.shape[0]
    out = np.full(n, np.nan)
    for t in range(length - 1, n):
        weighted = np.int64(0)
        for i in range(length):
            weighted += (2 * i - length + 1) * values[t - length + 1 + i]
        out[t] = 6 * weighted / (length * (length * length - 1))
    return out


@njit(cache=True, nogil=True)
def wilder_mean(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Wilder's smoothing: the mean of the first ``length`` values, then ``((length - 1) * previous + value) / length``.

    Source: J. W. Wilder, *New Concepts in Technical Trading Systems* (1978).

    Args:
        values: float64[bars]; a NaN leaves the running mean as it is.
        length: Smoothing length, values.

    Returns:
        float64[bars]; NaN before ``length`` values and where the value is NaN.
    """
    n = values.shape[0]
    out = np.full(n, np.nan)
    seen = 0
    mean = 0.0
    for t in range(n):
        if np.isnan(values[t]):
            continue
        seen += 1
        if seen <= length:
            mean += values[t] / length
        else:
            mean = ((length - 1) * mean + values[t]) / length
        if seen >= length:
            out[t] = mean
    return out


@njit(cache=True, nogil=True)
def wilder_rsi(close: NDArray[np.int64], length: int) -> NDArray[np.float64]:
    """Relative strength index with Wilder's smoothing.

    Source: J. W. Wilder, *New Concepts in Technical Trading Systems* (1978).

    Args:
        close: Closing prices; int64[bars], ticks.
        length: Smoothing length, bars.

    Returns:
        float64[bars] in [0, 100]; NaN for the first ``length`` bars; 50 where price has not moved at all.
    """
    n = close.shape[0]
    gains = np.full(n, np.nan)
    losses = np.full(n, np.nan)
    for t in range(1, n):
        change = close[t] - close[t - 1]
        gains[t] = max(change, 0)
        losses[t] = max(-change, 0)
    up = wilder_mean(gains, length)
    down = wilder_mean(losses, length)
    out = np.full(n, np.nan)
    for t in range(n):
        moved = up[t] + down[t]
        if moved > 0:
            out[t] = 100.0 * (up[t] / moved)  # the share first: it never exceeds one
        elif moved == 0:
            out[t] = 50.0
    return out


@njit(cache=True, nogil=True)
def wilder_bollinger(
    close: NDArray[np.int64], length: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Exponentially weighted mean and standard deviation with Wilder's weight ``1 / length``.

    The recursion starts at the first close with variance 0: ``mean += (x - mean) / length`` and
    ``var = (1 - 1 / length) * (var + (x - previous mean) ** 2 / length)``, which is the population variance of the
    exponential weights.

    Args:
        close: Closing prices; int64[bars], ticks.
        length: Smoothing length, bars.

    Returns:
        ``(mean, std)``, float64[bars] each, ticks; NaN for the first ``length - 1`` bars.
    """
    n = close.shape[0]
    mean = np.full(n, np.nan)
    std = np.full(n, np.nan)
    if n == 0:
        return mean, std
    weight = 1.0 / length
    # Relative to the first close: a variance of a few ticks must not drown in prices of 20,000.
    centre = 0.0
    variance = 0.0
    for t in range(n):
        gap = (close[t] - close[0]) - centre
        centre += weight * gap
        variance = (1.0 - weight) * (variance + weight * gap * gap)
        if t >= length - 1:
            mean[t] = close[0] + centre
            std[t] = np.sqrt(variance)
    return mean, std


@njit(cache=True, nogil=True)
def price_flow_divergence(
    cum_delta: NDArray[np.int64],
    close: NDArray[np.int64],
    delta: NDArray[np.int64],
    bar_range: NDArray[np.int64],
    length: int,
    scale_length: int,
) -> NDArray[np.float64]:
    """Angle between the trend of cumulative delta and the trend of price.

    ``atan(slope(cum_delta) / mean |delta|) - atan(slope(close) / mean range)``; the means run over the last
    ``scale_length`` bars and advance once a bar.

    Args:
        cum_delta: Session cumulative delta at bar end; int64[bars], contracts.
        close: Closing prices; int64[bars], ticks.
        delta: Bar delta; int64[bars], contracts.
        bar_range: High - low of the bar; int64[bars], ticks.
        length: Window of the two slopes, bars.
        scale_length: Window of the two means, bars.

    Returns:
        float64[bars] in degrees, (-180, 180); NaN before both windows are full or where a mean is 0.
    """
    flow = rolling_slope(cum_delta, length)
    price = rolling_slope(close, length)
    flow_scale = rolling_moments(np.abs(delta), scale_length)[0]
    price_scale = rolling_moments(bar_range, scale_length)[0]
    out = np.full(close.shape[0], np.nan)
    for t in range(close.shape[0]):
        if flow_scale[t] > 0 and price_scale[t] > 0:
            out[t] = np.degrees(np.arctan(flow[t] / flow_scale[t]) - np.arctan(price[t] / price_scale[t]))
    return out


@njit(cache=True, nogil=True)
def delta_divergence(
    high: NDArray[np.int64], low: NDArray[np.int64], delta: NDArray[np.int64], length: int
) -> NDArray[np.float64]:
    """New extremes made against the flow.

    Args:
        high: Bar highs; int64[bars], ticks.
        low: Bar lows; int64[bars], ticks.
        delta: Bar delta; int64[bars], contracts.
        length: Prior bars an extreme must exceed.

    Returns:
        float64[bars]: +1 for a low below the ``length`` prior lows with delta > 0, -1 for a high above the prior
        highs with delta < 0, else 0; NaN for the first ``length`` bars.
    """
    n = high.shape[0]
    out = np.full(n, np.nan)
    for t in range(length, n):
        out[t] = 0.0
        if delta[t] > 0 and low[t] < low[t - length : t].min():
            out[t] = 1.0
        elif delta[t] < 0 and high[t] > high[t - length : t].max():
            out[t] = -1.0
    return out


@njit(cache=True, nogil=True)
def delta_flip(delta: NDArray[np.int64], length: int) -> NDArray[np.float64]:
    """Sign changes of delta between two bars that are both large.

    Args:
        delta: Bar delta; int64[bars], contracts.
        length: Prior bars whose population standard deviation both must reach.

    Returns:
        float64[bars]: 1 where the sign changed and both ``|delta|`` reach it, else 0; NaN for the first ``length``.
    """
    n = delta.shape[0]
    std = rolling_moments(delta, length)[1]
    out = np.full(n, np.nan)
    for t in range(length, n):
        changed = delta[t] * delta[t - 1] < 0
        smaller = min(abs(delta[t]), abs(delta[t - 1]))
        out[t] = 1.0 if changed and smaller >= std[t - 1] else 0.0
    return out
