"""What one book record leaves behind for the next, and which trades a removal may be explained by."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]

UNDEF_PRICE = np.int64(2**63 - 1)
"""DBN's price of an absent level."""

F_LAST = 0x80
F_SNAPSHOT = 0x20
LEVELS = 10
_MAX_PENDING = 256  # distinct (side, price) pairs one event group can trade at; ES sweeps stay under 30

SCRATCH = {"is_scratch": True}
"""Marks a field of a carried state that is written before it is read: two chunks need not agree on it."""

BID, ASK = 0, 1
TRADE, CLEAR, NONE = ord("T"), ord("R"), ord("N")
BUYER, SELLER = ord("B"), ord("A")


@dataclass(frozen=True)
class BookEventState:
    """What one record leaves behind for the next: the ladder, the open event group and its unmatched fills."""

    price: Int64 = field(default_factory=lambda: np.full((2, LEVELS), UNDEF_PRICE, np.int64))
    size: Int64 = field(default_factory=lambda: np.zeros((2, LEVELS), np.int64))
    pending_price: Int64 = field(default_factory=lambda: np.zeros((2, _MAX_PENDING), np.int64))
    pending_size: Int64 = field(default_factory=lambda: np.zeros((2, _MAX_PENDING), np.int64))
    # [group id, pending bids, pending asks, ladder known]
    counters: Int64 = field(default_factory=lambda: np.zeros(4, np.int64))
    # [best bid, best ask before the open group, whether a group is open]; kept by book_flow alone
    opening: Int64 = field(default_factory=lambda: np.zeros(3, np.int64))


@njit(cache=True, nogil=True)
def _in_sight(prices, side, price):  # type: ignore[no-untyped-def]
    """Whether a ladder would show a price: it is not full, or the price is no worse than its last level."""
    last = prices[side, LEVELS - 1]
    if last == UNDEF_PRICE:
        return True
    return price >= last if side == BID else price <= last


@njit(cache=True, nogil=True)
def _take_pending(pending_price, pending_size, counters, side, price, removed):  # type: ignore[no-untyped-def]
    """How much of a removal the event group's trades at that price explain; those trades are then spent."""
    for j in range(counters[1 + side]):
        if pending_price[side, j] == price:
            took = min(removed, pending_size[side, j])
            pending_size[side, j] -= took
            return took
    return np.int64(0)


@njit(cache=True, nogil=True)
def _add_pending(pending_price, pending_size, counters, side, price, size):  # type: ignore[no-untyped-def]
    count = counters[1 + side]
    j = 0
    while j < count and pending_price[side, j] != price:
        j += 1
    if j == _MAX_PENDING:
        return
    if j == count:
        pending_price[side, j] = price
        pending_size[side, j] = 0
        counters[1 + side] = count + 1
    pending_size[side, j] += size
