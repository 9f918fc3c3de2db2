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
    both = np.zeros(n + TRAILING_BARS - 1)
    known = np.zeros(n + TRAILING_BARS - 1)
    for t in range(n):
        quantity = bid_qty[t] + ask_qty[t]
        is_known = not np.isnan(quantity)
        both[TRAILING_BARS - 1 + t] = quantity if is_known else 0.0
        known[TRAILING_BARS - 1 + t] = is_known
    total, count = np.zeros(n), np.zeros(n)
    # Window by window side by side, each oldest first: what is not known adds nothing.
    for i in range(TRAILING_BARS):
        member, is_there = both[i : i + n], known[i : i + n]
        for t in range(n):
            total[t] += member[t]
            count[t] += is_there[t]
    for t in range(n):
        if total[t] > 0.0:
            size = total[t] / (2 * LEVELS * count[t])
            for level in range(ofi.shape[1]):
                out[t, level] = ofi[t, level] / size
    return out
