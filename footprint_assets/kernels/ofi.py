"""Order-flow imbalance made comparable across quiet and busy markets."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

LEVELS = 10
TRAILING_BARS = 360
"""Thirty minutes of five-second bars."""


@njit(cache=True, nogil=True)
def normalised_ofi(
    ofi: NDArray[np.float64], bid_qty: NDArray[np.float64], ask_qty: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Order-flow imbalance in units of the mean size of a level over the trailing thirty minutes.

    Args:
        ofi: Order-flow imbalance by bar and level, float64[bars, levels], contracts.
        bid_qty: Time-weighted bid size of the ten levels; float64[bars], contracts; NaN where the book is not known.
        ask_qty: The same of the asks.

    Returns:
        ofi / Q, float64[bars, levels], Q = mean over the levels and the last 360 bars, the current one included, of
        (bid + ask) / 2; NaN where none of those bars knows its book, or all of them are empty.

    Cont, Cucuringu and Zhang (2023), *Cross-impact of order flow imbalance in equity markets*, eq. 3.
    """
    n = ofi.shape[0]
    out = np.full(ofi.shape, np.nan)
    for t in range(n):
        total = 0.0
        known = 0
        for i in range(max(t - TRAILING_BARS + 1, 0), t + 1):
            both = bid_qty[i] + ask_qty[i]
            if not np.isnan(both):
                total += both
                known += 1
        if total > 0.0:
            size = total / (2 * LEVELS * known)
            for level in range(ofi.shape[1]):
                out[t, level] = ofi[t, level] / size
    return out
