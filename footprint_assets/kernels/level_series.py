"""What a series of prices becomes as a dynamic level: exponential means, and how long a value has stood.

Every value at position ``t`` reads positions up to ``t`` only.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray


@njit(cache=True, nogil=True)
def exponential_mean(values: NDArray[np.int64], length: int) -> NDArray[np.float64]:
    """Exponential moving average with weight ``2 / (length + 1)``, started at the mean of the first ``length`` values.

    Args:
        values: int64[values].
        length: Smoothing length, values.

    Returns:
        float64[values], in the unit of ``values``; NaN before ``length`` values.
    """
    n = values.shape[0]
    out = np.full(n, np.nan)
    if n < length:
        return out
    total = np.int64(0)
    for t in range(length):
        total += values[t]
    mean = total / length
    out[length - 1] = mean
    for t in range(length, n):
        mean += (values[t] - mean) * 2.0 / (length + 1)
        out[t] = mean
    return out


@njit(cache=True, nogil=True)
def last_changes(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Position at which each value was first seen in its present run of equal values.

    Args:
        values: float64[positions]; NaN where there is no value.

    Returns:
        int64[positions]; a NaN is a run of its own.
    """
    n = values.shape[0]
    out = np.empty(n, np.int64)
    for t in range(n):
        out[t] = out[t - 1] if t > 0 and values[t] == values[t - 1] else t
    return out
