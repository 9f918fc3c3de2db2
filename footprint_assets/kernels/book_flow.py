"""Flow of the book price by price: every change of resting size as one item, and which levels each record changed.

Arrays in, arrays out; the carried state makes any chunking of a day give the same bits as one pass. The rule that tells
fills from pulls is that of ``transforms.book``: per record, the items add up to its added, filled and pulled quantity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.book_events import (
    ASK,
    BID,
    BUYER,
    CLEAR,
    F_LAST,
    F_SNAPSHOT,
    LEVELS,
    NONE,
    SELLER,
    TRADE,
    UNDEF_PRICE,
    BookEventState,
    _add_pending,
    _in_sight,
    _take_pending,
)

Int64 = NDArray[np.int64]

_ITEMS_A_RECORD = 2 * 2 * LEVELS  # every price of both ladders of both sides
_ALL_LEVELS = (1 << LEVELS) - 1


@dataclass(frozen=True)
class BookFlow:
    """What the records of a chunk changed.

    Args:
        row: Record of the item within the chunk, ascending; bids before asks, best price first; int64[items].
        side: ``BID`` or ``ASK``, the resting side; int8[items].
        price: Price whose size changed, 1e-9 points; int64[items].
        before: Size shown at the price before the record, contracts; int64[items].
        added: Size gained, contracts; int64[items].
        filled: Size lost to trades of the same event group, contracts; int64[items].
        pulled: Size lost beyond those trades, contracts; int64[items].
        best: Best price of the side before the record, 1e-9 points, ``UNDEF_PRICE`` for an empty side; int64[items].
        opening: Best price of the side before the item's event group, ``UNDEF_PRICE`` where there was none; int64[items].
        differs: Bit ``k`` is set where level ``k`` of a side differs in price or size from the ladder before the record;
            all bits where there is none to compare with, none for trades; uint16[2, records].
    """

    row: Int64
    side: NDArray[np.int8]
    price: Int64
    before: Int64
    added: Int64
    filled: Int64
    pulled: Int64
    best: Int64
    opening: Int64
    differs: NDArray[np.uint16]

    def __len__(self) -> int:
        return len(self.row)


@njit(cache=True, nogil=True)
def _differ_from_previous(ladder_price, ladder_size, differs):  # type: ignore[no-untyped-def]
    """Levels of every row that differ from the row before it; level by level, so that it runs in vector registers."""
    for s in range(2):
        out = differs[s]
        out[:] = 0
        for k in range(LEVELS):
            price, size, bit = ladder_price[s, k], ladder_size[s, k], np.uint16(1 << k)
            for i in range(1, out.shape[0]):
                out[i] |= bit if (price[i] != price[i - 1]) | (size[i] != size[i - 1]) else np.uint16(0)


@njit(cache=True, nogil=True)
def _differ(state_price, state_size, side, ladder_price, ladder_size, i):  # type: ignore[no-untyped-def]
    """Levels of row ``i`` that differ from the ladder kept."""
    out = 0
    for k in range(LEVELS):
        if state_price[side, k] != ladder_price[side, k, i] or state_size[side, k] != ladder_size[side, k, i]:
            out |= 1 << k
    return out


@njit(cache=True, nogil=True)
def _put(items, count, record, side, price, shown, change, took, best, opening):  # type: ignore[no-untyped-def]
    """Write one item; returns the number of items so far."""
    items[0, count] = record
    items[1, count] = side
    items[2, count] = price
    items[3, count] = shown
    items[4, count] = max(change, 0)
    items[5, count] = took
    items[6, count] = max(-change, 0) - took
    items[7, count] = best
    items[8, count] = opening
    return count + 1


@njit(cache=True, nogil=True)
def _explode_side(  # type: ignore[no-untyped-def]
    record, side, first, before, before_size, after, after_size, opening,
    pending_price, pending_size, counters, items, count,
):  # fmt: skip
    """Write the items of one side from its first changed level on; returns the number of items so far."""
    i = j = first
    while i < LEVELS or j < LEVELS:
        old = before[side, i] if i < LEVELS else UNDEF_PRICE
        new = after[side, j] if j < LEVELS else UNDEF_PRICE
        if old == UNDEF_PRICE and new == UNDEF_PRICE:
            break
        shown = change = np.int64(0)
        price = new
        if new == UNDEF_PRICE or (old != UNDEF_PRICE and (old > new if side == BID else old < new)):
            price, shown = old, before_size[side, i]
            if _in_sight(after, side, old):
                change = -shown
            i += 1
        elif old != new:
            if _in_sight(before, side, new):
                change = after_size[side, j]
            j += 1
        else:
            shown = before_size[side, i]
            change = after_size[side, j] - shown
            i += 1
            j += 1
        if change != 0:
            took = np.int64(0)
            if change < 0:
                took = _take_pending(pending_price, pending_size, counters, side, price, -change)
            count = _put(
                items, count, record, side, price, shown, change, took, before[side, 0], opening[side]
            )
    return count


@njit(cache=True, nogil=True)
def _explode(  # type: ignore[no-untyped-def]  # noqa: C901 - a call with a dozen arrays costs more than a record
    start, last, action, side, flags, price, size, ladder_price, ladder_size,
    state_price, state_size, pending_price, pending_size, counters, opening, items, count, differs,
):  # fmt: skip
    """Run records from ``start`` on until the items are full.

    Returns the next record, the last one that showed a ladder (-1: none in this chunk), and the number of items.
    """
    after, after_size = np.empty((2, LEVELS), np.int64), np.empty((2, LEVELS), np.int64)
    room = items.shape[1] - _ITEMS_A_RECORD
    for i in range(start, action.shape[0]):
        if count > room:
            return i, last, count
        act = action[i]
        snapshot = (flags[i] & F_SNAPSHOT) != 0
        if opening[2] == 0:
            opening[BID] = state_price[BID, 0] if counters[3] == 1 else UNDEF_PRICE
            opening[ASK] = state_price[ASK, 0] if counters[3] == 1 else UNDEF_PRICE
            opening[2] = 1
        if act in (TRADE, NONE):
            differs[BID, i] = differs[ASK, i] = 0
            if (
                act == TRADE and not snapshot
            ):  # a buyer (B) fills asks, a seller (A) bids, an auction print (N) both
                if side[i] != BUYER:
                    _add_pending(pending_price, pending_size, counters, BID, price[i], size[i])
                if side[i] != SELLER:
                    _add_pending(pending_price, pending_size, counters, ASK, price[i], size[i])
        else:
            comparable = act != CLEAR and counters[3] == 1
            flows = comparable and not snapshot
            for s in (BID, ASK):
                mask = np.int64(differs[s, i])
                if not comparable:
                    mask = np.int64(_ALL_LEVELS)
                elif last < 0 or last != i - 1:
                    mask = _differ(state_price, state_size, s, ladder_price, ladder_size, i)
                differs[s, i] = mask
                if mask == 0:
                    continue
                first = 0
                while (mask >> first) & 1 == 0:
                    first += 1
                if flows and mask >> first == 1 and state_price[s, first] == ladder_price[s, first, i]:
                    # One level's size: nearly every record. A walk over both ladders costs several times as much.
                    at, shown = state_price[s, first], state_size[s, first]
                    change, took = ladder_size[s, first, i] - shown, np.int64(0)
                    if change < 0:
                        took = _take_pending(pending_price, pending_size, counters, s, at, -change)
                    count = _put(items, count, i, s, at, shown, change, took, state_price[s, 0], opening[s])
                    state_size[s, first] += change
                    continue
                for k in range(first, LEVELS):
                    after[s, k] = ladder_price[s, k, i]
                    after_size[s, k] = ladder_size[s, k, i]
                if flows:
                    count = _explode_side(
                        i, s, first, state_price, state_size, after, after_size, opening,
                        pending_price, pending_size, counters, items, count,
                    )  # fmt: skip
                for k in range(first, LEVELS):
                    state_price[s, k] = after[s, k]
                    state_size[s, k] = after_size[s, k]
            last = i
            counters[3] = 0 if act == CLEAR else 1
        if (flags[i] & F_LAST) != 0:
            counters[0] += 1
            counters[1] = 0
            counters[2] = 0
            opening[2] = 0
    return action.shape[0], last, count


def book_flow(
    action: NDArray[np.uint8],
    side: NDArray[np.uint8],
    flags: NDArray[np.int16],
    price: Int64,
    size: Int64,
    ladder_price: Int64,
    ladder_size: NDArray[np.int32],
    state: BookEventState,
) -> BookFlow:
    """Split every record into the prices whose resting size it changed.

    Args:
        action: ASCII codes of the DBN action, shape ``(n,)``.
        side: ASCII codes of the DBN side, shape ``(n,)``; the aggressor for trades, the resting side otherwise.
        flags: DBN flag bits, shape ``(n,)``.
        price: Event price, 1e-9 points, ``UNDEF_PRICE`` where absent, shape ``(n,)``.
        size: Event size, contracts, shape ``(n,)``.
        ladder_price: Post-event prices by column, shape ``(2, 10, n)``, bids first, 1e-9 points, ``UNDEF_PRICE``
            where absent.
        ladder_size: Post-event sizes by column, shape ``(2, 10, n)``, contracts.
        state: Carried state, advanced in place.

    Returns:
        The items, and the levels each record changed.

    The rule is that of ``transforms.book.book_events``: a change counts at every price both ladders show; a removal is a
    fill as far as unmatched trades of its event group explain it; snapshot rows, clears and the first ladder after a
    clear are no flow.
    """
    n = len(action)
    differs = np.empty((2, n), np.uint16)
    _differ_from_previous(ladder_price, ladder_size, differs)
    items = np.empty((9, n + n // 4 + 2 * _ITEMS_A_RECORD), np.int64)
    at, last, count = 0, -1, 0
    while True:
        at, last, count = _explode(
            at, last, action, side, flags, price, size, ladder_price, ladder_size,
            state.price, state.size, state.pending_price, state.pending_size, state.counters, state.opening,
            items, count, differs,
        )  # fmt: skip
        if at == n:
            break
        items = np.concatenate((items, np.empty_like(items)), axis=1)
    row, resting, at_price, before, added, filled, pulled, best, opening = items[:, :count]
    return BookFlow(
        row, resting.astype(np.int8), at_price, before, added, filled, pulled, best, opening, differs
    )
