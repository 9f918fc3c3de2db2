"""Dwell time: how long the best bid and offer enclosed a price."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

NOT_KNOWN = -1
"""Dwell time of a row during whose interval no two-sided book was seen."""


@njit(cache=True, nogil=True)
def dwell_ns(
    ts_ns: NDArray[np.int64],
    bid: NDArray[np.int64],
    ask: NDArray[np.int64],
    is_two_sided: NDArray[np.bool_],
    start_ns: NDArray[np.int64],
    end_ns: NDArray[np.int64],
    offsets: NDArray[np.int64],
    row: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Nanoseconds of each interval during which best bid row <= row <= best ask row.

    State ``k`` holds on [ts_ns[k], ts_ns[k+1]), the last one on. What lies before the first state, and a one-sided
    book, is not known and counts for nobody; a crossed book encloses no price.

    Args:
        ts_ns: Times of the states, ascending; int64[states], ns since the epoch.
        bid: Row of the best bid of each state; int64[states].
        ask: Row of the best ask of each state, below ``bid`` where crossed; int64[states].
        is_two_sided: Whether both sides of the state are known; bool[states].
        start_ns: Start of each interval; int64[intervals], ns since the epoch.
        end_ns: End of each interval, exclusive; int64[intervals], ns since the epoch.
        offsets: The rows of interval ``i`` are ``offsets[i]:offsets[i + 1]``; int64[intervals + 1].
        row: Rows asked for; int64[rows].

    Returns:
        int64[rows], ns; ``NOT_KNOWN`` for the rows of an interval in which no two-sided state held.
    """
    out = np.full(row.shape[0], NOT_KNOWN, np.int64)
    states = ts_ns.shape[0]
    for i in range(start_ns.shape[0]):
        first, last = offsets[i], offsets[i + 1]
        if first == last:
            continue
        low = row[first:last].min()
        high = row[first:last].max()
        # Time enters at the best bid's row and leaves above the best ask's: one running sum then serves every row.
        steps = np.zeros(high - low + 2, np.int64)
        is_known = False
        state = max(np.searchsorted(ts_ns, start_ns[i], side="right") - 1, 0)
        # An interval of no length, a bar of one trade, still has the book that held at its start.
        while state < states and ts_ns[state] < max(end_ns[i], start_ns[i] + 1):
            until = end_ns[i]
            if state + 1 < states:
                until = min(until, ts_ns[state + 1])
            lasted = until - max(ts_ns[state], start_ns[i])
            if is_two_sided[state] and (lasted > 0 or end_ns[i] == start_ns[i]):
                is_known = True
                bottom = max(bid[state], low)
                top = min(ask[state], high)
                if bottom <= top:
                    steps[bottom - low] += lasted
                    steps[top + 1 - low] -= lasted
            state += 1
        if not is_known:
            continue
        for at in range(1, steps.shape[0]):
            steps[at] += steps[at - 1]
        for at in range(first, last):
            out[at] = steps[row[at] - low]
    return out
