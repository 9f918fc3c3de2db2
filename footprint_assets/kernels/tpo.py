"""Time-price opportunities (TPO): which half hours traded at each price row, and what their pattern says.

A row's brackets are one bit each of an int64, bit 0 the first bracket, so that a session may have 63 of them.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

MAX_BRACKETS = 63


@njit(cache=True, nogil=True)
def bracket_masks(row: NDArray[np.int64], bracket: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """The brackets that traded at every row.

    Args:
        row: Price row of each trade, 0 at the lowest; int64[trades].
        bracket: Bracket of each trade, 0 to ``MAX_BRACKETS`` - 1; int64[trades].
        rows: Rows of the profile.

    Returns:
        int64[rows], bit ``b`` set where bracket ``b`` traded.
    """
    masks = np.zeros(rows, np.int64)
    for i in range(row.shape[0]):
        masks[row[i]] |= np.int64(1) << bracket[i]
    return masks


@njit(cache=True, nogil=True)
def tpo_counts(masks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Distinct brackets that traded at every row; int64[rows] of int64[rows] masks."""
    counts = np.zeros(masks.shape[0], np.int64)
    for i in range(masks.shape[0]):
        rest = masks[i]
        while rest:
            rest &= rest - 1
            counts[i] += 1
    return counts


@njit(cache=True, nogil=True)
def _run(masks: NDArray[np.int64], first: int, step: int, last_bracket: np.int64) -> int:
    length = 0
    at = first
    while 0 <= at < masks.shape[0]:
        mask = masks[at]
        if mask == 0 or mask & (mask - 1) or mask == last_bracket:
            break
        length += 1
        at += step
    return length


@njit(cache=True, nogil=True)
def tails(masks: NDArray[np.int64], min_rows: int) -> tuple[int, int]:
    """Rows of the buying tail at the low and of the selling tail at the high.

    A tail is a run of single prints that begins at the extreme (Dalton, *Mind over Markets*, chapter 2). A print of
    the last bracket ends the run: the market had no time left to reject that price.

    Args:
        masks: Brackets that traded at every row from low to high; int64[rows].
        min_rows: Shortest run that makes a tail, rows.

    Returns:
        ``(buying, selling)`` rows, 0 without a tail. The two never overlap.
    """
    traded = np.int64(0)
    for mask in masks:
        traded |= mask
    last_bracket = np.int64(0)
    while traded:
        last_bracket = traded & -traded
        traded &= traded - 1
    buying = _run(masks, 0, 1, last_bracket)
    selling = _run(masks, masks.shape[0] - 1, -1, last_bracket)
    return (buying if buying >= min_rows else 0), (selling if selling >= min_rows else 0)


@njit(cache=True, nogil=True)
def rotation_factor(tick: NDArray[np.int64], bracket: NDArray[np.int64]) -> int:
    """Sum over brackets of sign(high - previous high) + sign(low - previous low) (Dalton, chapter 4).

    A bracket without a trade is passed over: the next one is compared with the last that traded.

    Args:
        tick: Trade prices in event order; int64[trades], ticks.
        bracket: Bracket of each trade, ascending; int64[trades].

    Returns:
        The factor, 0 for a single bracket.
    """
    total = 0
    has_previous = False
    previous_high = np.int64(0)
    previous_low = np.int64(0)
    at = 0
    n = tick.shape[0]
    while at < n:
        high = tick[at]
        low = tick[at]
        here = bracket[at]
        while at < n and bracket[at] == here:
            high = max(high, tick[at])
            low = min(low, tick[at])
            at += 1
        if has_previous:
            total += (high > previous_high) - (high < previous_high)
            total += (low > previous_low) - (low < previous_low)
        previous_high = high
        previous_low = low
        has_previous = True
    return total
