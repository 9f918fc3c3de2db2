"""Flow of the book price by price: every change of resting size as one item, and which levels each record changed.

Arrays in, arrays out; the carried state makes any chunking of a day give the same bits as one pass. The rule that tells
fills from pulls is that of ``transforms.book``: per record, the items add up to its added, filled and pulled quantity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
Int32 = NDArray[np.int32]

_ITEMS_A_RECORD = 2 * 2 * LEVELS  # every price of both ladders of both sides
ALL_LEVELS = (1 << LEVELS) - 1
_MOVED = 1 << LEVELS
FIRST_LEVEL = np.array(
    [(mask & -mask).bit_length() - 1 if mask else 0 for mask in range(1 << LEVELS)], np.uint8
)
"""Best level of every set of levels, 0 for none."""
BLOCK = 2048
"""Records whose ladders are compared, and then followed, before the next: 500 kB, which a core's own cache holds."""
_ITEM = (np.int32, np.int8, np.int64, np.int32, np.int32, np.int32, np.int32, np.int64, np.int64)


@dataclass(frozen=True)
class BookFlow:
    """What the records of a chunk changed.

    Args:
        row: Record of the item within the chunk, ascending; bids before asks, best price first; int32[items].
        side: ``BID`` or ``ASK``, the resting side; int8[items].
        price: Price whose size changed, 1e-9 points; int64[items].
        before: Size shown at the price before the record, contracts; int32[items].
        added: Size gained, contracts; int32[items].
        filled: Size lost to trades of the same event group, contracts; int32[items].
        pulled: Size lost beyond those trades, contracts; int32[items].
        best: Best price of the side before the record, 1e-9 points, ``UNDEF_PRICE`` for an empty side; int64[items].
        opening: Best price of the side before the item's event group, ``UNDEF_PRICE`` where there was none; int64[items].
        differs: Bit ``k`` is set where level ``k`` of a side differs in price or size from the ladder before the record;
            all bits where there is none to compare with, none for trades; uint16[2, records].
        moved: Records that show another price than the ladder before them at any level, or have none to compare with,
            ascending; int32[moved].
    """

    row: Int32
    side: NDArray[np.int8]
    price: Int64
    before: Int32
    added: Int32
    filled: Int32
    pulled: Int32
    best: Int64
    opening: Int64
    differs: NDArray[np.uint16]
    moved: Int32

    def __len__(self) -> int:
        return len(self.row)

    @classmethod
    def of_nothing(cls) -> BookFlow:
        """The flow of no record."""
        fields: tuple[Any, ...] = (
            *(np.empty(0, dtype) for dtype in _ITEM), np.empty((2, 0), np.uint16), np.empty(0, np.int32),
        )  # fmt: skip
        return cls(*fields)


@njit(cache=True, nogil=True)
def _differ_from_previous(ladder_price, ladder_size, start, end, differs):  # type: ignore[no-untyped-def]
    """Levels of every row that differ from the row before it; level by level, so that it runs in vector registers."""
    first = max(start - 1, 0)
    for s in range(2):
        out = differs[s, first + 1 : end]
        out[:] = 0
        for k in range(LEVELS):
            price, size, bit = ladder_price[s, k, first:end], ladder_size[s, k, first:end], np.uint16(1 << k)
            for i in range(out.shape[0]):
                changed = (price[i + 1] != price[i]) | (size[i + 1] != size[i])
                out[i] |= bit if changed else np.uint16(0)


@njit(cache=True, nogil=True)
def _keep_ladder(ladder_price, ladder_size, i, price, size):  # type: ignore[no-untyped-def]
    """Copy the ladder of row ``i``."""
    for s in range(2):
        for k in range(LEVELS):
            price[s, k] = ladder_price[s, k, i]
            size[s, k] = ladder_size[s, k, i]


@njit(cache=True, nogil=True)
def _differ(before, before_size, after, after_size, side):  # type: ignore[no-untyped-def]
    """Levels of one side in which two ladders differ, and ``_MOVED`` where a price does."""
    out = 0
    for k in range(LEVELS):
        if before[side, k] != after[side, k]:
            out |= 1 << k | _MOVED
        elif before_size[side, k] != after_size[side, k]:
            out |= 1 << k
    return out


@njit(cache=True, nogil=True)
def _explode_side(  # type: ignore[no-untyped-def]
    side, before, before_size, after, after_size, pending_price, pending_size, counters, found
):
    """List the changes of one side as (price, size before, change, filled); returns their number."""
    i = j = count = 0
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
            found[0, count], found[1, count], found[2, count], found[3, count] = price, shown, change, took
            count += 1
    return count


@njit(cache=True, nogil=True, forceinline=True)
def _put(  # type: ignore[no-untyped-def]
    at, record, side, price, shown, change, took, best, opening,
    item_row, item_side, item_price, item_before, item_added, item_filled, item_pulled, item_best, item_opening,
):  # fmt: skip
    """Write item ``at``."""
    item_row[at], item_side[at], item_price[at], item_before[at] = record, side, price, shown
    item_added[at], item_filled[at], item_pulled[at] = max(change, 0), took, max(-change, 0) - took
    item_best[at], item_opening[at] = best, opening


@njit(cache=True, nogil=True)
def _explode(  # type: ignore[no-untyped-def]  # noqa: C901 - a call with a dozen arrays costs more than a record
    start, last, count, moves, action, side, flags, price, size, ladder_price, ladder_size,
    before, before_size, pending_price, pending_size, counters, opening, differs, moved,
    item_row, item_side, item_price, item_before, item_added, item_filled, item_pulled, item_best, item_opening,
):  # fmt: skip
    """Run records from ``start``, a block's first, on until another block of items may not fit.

    Returns the next record, the last one that showed a ladder (-1: none in this chunk), and the numbers of items and of
    moved records.
    """
    after, after_size = np.empty((2, LEVELS), np.int64), np.empty((2, LEVELS), np.int64)
    found = np.empty((4, 2 * LEVELS), np.int64)
    compares = last >= 0 and last == start - 1  # the row before shows the last ladder: ``differs`` is meant
    best_bid, best_ask, opening_bid, opening_ask = before[BID, 0], before[ASK, 0], opening[BID], opening[ASK]
    known, pending = counters[3] == 1, counters[1] + counters[2] > 0
    at, n = start, action.shape[0]
    while at < n:
        end = min(at + BLOCK, n)
        if count + _ITEMS_A_RECORD * (end - at) > item_row.shape[0]:
            break
        _differ_from_previous(ladder_price, ladder_size, at, end, differs)
        for i in range(at, end):
            act = action[i]
            changed = np.int64(differs[BID, i]) | np.int64(differs[ASK, i]) << LEVELS
            if act in (TRADE, NONE):
                compares = compares and changed == 0
                differs[BID, i] = differs[ASK, i] = 0
                if act == TRADE and (flags[i] & F_SNAPSHOT) == 0:
                    # A buyer (B) fills asks, a seller (A) bids, an auction print (N) both.
                    if side[i] != BUYER:
                        _add_pending(pending_price, pending_size, counters, BID, price[i], size[i])
                    if side[i] != SELLER:
                        _add_pending(pending_price, pending_size, counters, ASK, price[i], size[i])
                    pending = True
            else:
                flows = known and act != CLEAR and (flags[i] & F_SNAPSHOT) == 0
                s = BID if changed <= ALL_LEVELS else ASK
                k = FIRST_LEVEL[changed & ALL_LEVELS] if s == BID else FIRST_LEVEL[changed >> LEVELS]
                level = ladder_price[s, k, i]
                is_one = changed != 0 and changed & (changed - 1) == 0 and level != UNDEF_PRICE
                if flows and compares and is_one and ladder_price[s, k, i - 1] == level:
                    # One level's size: nearly every record. A walk over both ladders costs several times as much.
                    shown = np.int64(ladder_size[s, k, i - 1])
                    change, took = ladder_size[s, k, i] - shown, np.int64(0)
                    if pending and change < 0:
                        took = _take_pending(pending_price, pending_size, counters, s, level, -change)
                    _put(
                        count, i, s, level, shown, change, took,
                        best_bid if s == BID else best_ask, opening_bid if s == BID else opening_ask,
                        item_row, item_side, item_price, item_before, item_added, item_filled, item_pulled, item_best,
                        item_opening,
                    )  # fmt: skip
                    count += 1
                elif changed != 0 or not compares or not known or act == CLEAR:
                    if last >= 0:
                        _keep_ladder(ladder_price, ladder_size, last, before, before_size)
                    _keep_ladder(ladder_price, ladder_size, i, after, after_size)
                    is_moved = False
                    for s in (BID, ASK):
                        mask = ALL_LEVELS | _MOVED
                        if known and act != CLEAR:
                            mask = _differ(before, before_size, after, after_size, s)
                        differs[s, i] = mask & ALL_LEVELS
                        is_moved = is_moved or mask > ALL_LEVELS
                        if not flows or mask == 0:
                            continue
                        opened = opening_bid if s == BID else opening_ask
                        for j in range(
                            _explode_side(
                                s, before, before_size, after, after_size, pending_price, pending_size, counters, found
                            )
                        ):  # fmt: skip
                            _put(
                                count, i, s, found[0, j], found[1, j], found[2, j], found[3, j], before[s, 0], opened,
                                item_row, item_side, item_price, item_before, item_added, item_filled, item_pulled,
                                item_best, item_opening,
                            )  # fmt: skip
                            count += 1
                    if is_moved:
                        moved[moves] = i
                        moves += 1
                    best_bid, best_ask = after[BID, 0], after[ASK, 0]
                last, compares, known = i, True, act != CLEAR
            if (flags[i] & F_LAST) != 0:
                counters[0] += 1
                counters[1] = counters[2] = 0
                pending = False
                opening_bid = best_bid if known else UNDEF_PRICE
                opening_ask = best_ask if known else UNDEF_PRICE
        at = end
    if last >= 0:
        _keep_ladder(ladder_price, ladder_size, last, before, before_size)
    counters[3] = 1 if known else 0
    opening[BID], opening[ASK] = opening_bid, opening_ask
    return at, last, count, moves


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
    if state.opening[2] == 0:  # before the first record
        state.opening[:] = UNDEF_PRICE, UNDEF_PRICE, 1
    differs, moved = np.zeros((2, n), np.uint16), np.empty(n, np.int32)
    room = n + n // 4 + _ITEMS_A_RECORD * min(n, BLOCK)
    items: list[NDArray[Any]] = [np.empty(room, dtype) for dtype in _ITEM]
    at, last, count, moves = 0, -1, 0, 0
    while True:
        at, last, count, moves = _explode(
            at, last, count, moves, action, side, flags, price, size, ladder_price, ladder_size,
            state.price, state.size, state.pending_price, state.pending_size, state.counters, state.opening,
            differs, moved, *items,
        )  # fmt: skip
        if at == n:
            break
        items = [np.concatenate((values, np.empty_like(values))) for values in items]
    fields: tuple[Any, ...] = (*(values[:count] for values in items), differs, moved[:moves])
    return BookFlow(*fields)
