"""Book events: event groups, and what each book record added, lost to fills, or lost to cancels.

Arrays in, arrays out; the carried state makes any chunking of a day give the same bits as one pass.
"""

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


@njit(cache=True, nogil=True)
def _compare(  # type: ignore[no-untyped-def]
    before_price, before_size, after_price, after_size, side, pending_price, pending_size, counters
):
    """Added, filled and pulled over the prices of one side that both ladders show; best prices come first."""
    added = filled = pulled = np.int64(0)
    i = j = 0
    while i < LEVELS or j < LEVELS:
        old = before_price[side, i] if i < LEVELS else UNDEF_PRICE
        new = after_price[side, j] if j < LEVELS else UNDEF_PRICE
        if old == UNDEF_PRICE and new == UNDEF_PRICE:
            break
        if new == UNDEF_PRICE or (old != UNDEF_PRICE and (old > new if side == BID else old < new)):
            change = -before_size[side, i] if _in_sight(after_price, side, old) else np.int64(0)
            price = old
            i += 1
        elif old == UNDEF_PRICE or old != new:
            change = after_size[side, j] if _in_sight(before_price, side, new) else np.int64(0)
            price = new
            j += 1
        else:
            change = after_size[side, j] - before_size[side, i]
            price = old
            i += 1
            j += 1
        if change > 0:
            added += change
        elif change < 0:
            took = _take_pending(pending_price, pending_size, counters, side, price, -change)
            filled += took
            pulled += -change - took
    return added, filled, pulled


@njit(cache=True, nogil=True)
def _attribute(  # type: ignore[no-untyped-def]
    action,
    side,
    flags,
    price,
    size,
    ladder_price,
    ladder_size,
    state_price,
    state_size,
    pending_price,
    pending_size,
    counters,
    group,
    added,
    filled,
    pulled,
):
    for i in range(action.shape[0]):
        act = action[i]
        snapshot = (flags[i] & F_SNAPSHOT) != 0
        group[i] = counters[0]
        added[i] = filled[i] = pulled[i] = 0
        if act == TRADE:
            if not snapshot:  # a buyer (B) fills asks, a seller (A) bids, an auction print (N) both
                if side[i] != BUYER:
                    _add_pending(pending_price, pending_size, counters, BID, price[i], size[i])
                if side[i] != SELLER:
                    _add_pending(pending_price, pending_size, counters, ASK, price[i], size[i])
        elif act != NONE:
            if act != CLEAR and not snapshot and counters[3] == 1:
                for s in (BID, ASK):
                    more, took, left = _compare(
                        state_price, state_size, ladder_price[i], ladder_size[i], s,
                        pending_price, pending_size, counters,
                    )  # fmt: skip
                    added[i] += more
                    filled[i] += took
                    pulled[i] += left
            state_price[:] = ladder_price[i]
            state_size[:] = ladder_size[i]
            counters[3] = 0 if act == CLEAR else 1
        if (flags[i] & F_LAST) != 0:
            counters[0] += 1
            counters[1] = 0
            counters[2] = 0


def book_events(
    action: NDArray[np.uint8],
    side: NDArray[np.uint8],
    flags: NDArray[np.int16],
    price: Int64,
    size: Int64,
    ladder_price: Int64,
    ladder_size: Int64,
    state: BookEventState,
) -> tuple[Int64, Int64, Int64, Int64]:
    """Split every change of the resting size into added, filled and pulled quantity.

    A trade (``T``) leaves the book as it is; the records that follow it in the same event group, up to ``F_LAST``,
    remove the liquidity it took. The two ladders around a record are compared at every price both of them show, so a
    modify that moves an order, and a record that closes a sweep of several prices, count at each price they changed. A
    removal is a fill as far as the group's trades at that price are not yet matched, and a pull beyond that. A price
    that enters or leaves the ten visible levels is unknown: no flow. Snapshot rows restate the book, and the first
    record after a clear (``R``) has nothing to compare with: no flow either.

    Args:
        action: ASCII codes of the DBN action, shape ``(n,)``.
        side: ASCII codes of the DBN side, shape ``(n,)``; the aggressor for trades, the resting side otherwise.
        flags: DBN flag bits, shape ``(n,)``.
        price: Event price, 1e-9 points, ``UNDEF_PRICE`` where absent.
        size: Event size, contracts.
        ladder_price: Post-event prices, shape ``(n, 2, 10)``, bids first, 1e-9 points.
        ladder_size: Post-event sizes, shape ``(n, 2, 10)``, contracts.
        state: Carried state, advanced in place.

    Returns:
        ``(event_group_id, added, filled, pulled)``, int64 arrays of shape ``(n,)``; quantities in contracts.

    The rule is that of the exchange's event structure: one matching event is one group closed by ``F_LAST``.
    """
    n = len(action)
    group, added, filled, pulled = (np.empty(n, np.int64) for _ in range(4))
    _attribute(
        action, side, flags, price, size, ladder_price, ladder_size,
        state.price, state.size, state.pending_price, state.pending_size, state.counters,
        group, added, filled, pulled,
    )  # fmt: skip
    return group, added, filled, pulled
