"""The book by price in five-second bars: time-weighted size, flow and dwell of every tick in sight.

Arrays in, arrays out; all sums are integers and the carried state makes any chunking of a day give the same bits as one
pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.kernels.book_events import (
    ASK,
    BID,
    BUYER,
    CLEAR,
    F_SNAPSHOT,
    LEVELS,
    NONE,
    SCRATCH,
    SELLER,
    TRADE,
    UNDEF_PRICE,
)
from footprint_assets.kernels.book_flow import ALL_LEVELS, FIRST_LEVEL, BookFlow

Int64 = NDArray[np.int64]

REACH_TICKS = 1024
"""A level farther behind the best price of its side is a stub quote; so is a book with a wider spread. Not counted."""
WINDOW_TICKS = 16_384
"""Ticks one bar may span: a power of two, the size of the ring of cells."""
ROWS = 65_544
"""Rows handed out together: a frame of two dozen columns costs as much as the rows in it. No power of two, lest all
columns compete for the same lines of the cache."""
NO_VALUE = -1
"""A size, count or largest size that is not known."""

# Layout of an output row: [bid, ask] fields follow at SIDE_FIELDS + side * FIELDS.
START, TICK, VISIBLE_NS, IS_VISIBLE, DWELL_NS = range(5)
SIDE_FIELDS = 5
QTY_NS, QTY_EOB, CT_EOB, MAX_QTY, ADDED, PULLED, FILLED, ADDS, CANCELS, MODIFIES = range(10)
FIELDS = 10
COLUMNS = SIDE_FIELDS + 2 * FIELDS

# A cell of the ring is an output row in the making: QTY_EOB holds the size shown, CT_EOB the instant it is summed up to.
_SINCE = CT_EOB
_EVENT_FIELD = np.zeros(256, np.int64)
"""Where an add, cancel or modify is counted, by the action's ASCII code; 0 for anything else."""
for _action, _field in (("A", ADDS), ("C", CANCELS), ("M", MODIFIES)):
    _EVENT_FIELD[ord(_action)] = SIDE_FIELDS + _field
_EMPTY_LOW, _EMPTY_HIGH = (
    np.int64(2**62),
    np.int64(-(2**62)),
)  # a range of no tick, the neutral element of a union
(
    _BAR, _KNOWN, _LOW, _HIGH, _RANGE_SINCE, _BAR_LOW, _BAR_HIGH, _ROWS,
) = range(8)  # fmt: skip
_DONE, _OUTPUT_FULL, _OFF_GRID, _TOO_WIDE = range(4)


def _new_clock() -> Int64:
    clock = np.zeros(8, np.int64)
    clock[_BAR] = -1
    clock[[_LOW, _BAR_LOW]] = _EMPTY_LOW
    clock[[_HIGH, _BAR_HIGH]] = _EMPTY_HIGH
    return clock


def _new_rows() -> Int64:
    return np.empty((COLUMNS, ROWS), np.int64)


@dataclass
class Price5sState:
    """The open bar, and the ladder the next record meets."""

    price: Int64 = field(default_factory=lambda: np.full((2, LEVELS), UNDEF_PRICE, np.int64))
    tick: Int64 = field(default_factory=lambda: np.zeros((2, LEVELS), np.int64))
    count: NDArray[np.int32] = field(default_factory=lambda: np.zeros((2, LEVELS), np.int32))
    # Levels of a side that are counted: those present and within reach.
    levels: Int64 = field(default_factory=lambda: np.zeros(2, np.int64))
    clock: Int64 = field(default_factory=_new_clock)
    cells: Int64 = field(default_factory=lambda: np.zeros((WINDOW_TICKS, COLUMNS), np.int64))
    rows: Int64 = field(default_factory=_new_rows, metadata=SCRATCH)  # once those that wait are handed out


class OffTickGrid(ValueError):  # noqa: N818 - names the fact
    """A price is no multiple of the tick; ``args[0]`` is the price in 1e-9 points."""


class TooWide(ValueError):  # noqa: N818 - names the fact
    """The book moved over more than ``WINDOW_TICKS`` ticks within one bar; ``args[0]`` is the bar's start."""


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _settle(cells, tick, side, now):  # type: ignore[no-untyped-def]
    """Sum the size shown at a tick up to an instant."""
    slot, at = tick & (WINDOW_TICKS - 1), SIDE_FIELDS + side * FIELDS
    lasted = now - cells[slot, at + _SINCE]
    if lasted > 0:
        size = cells[slot, at + QTY_EOB]
        cells[slot, at + QTY_NS] += size * lasted
        if size > cells[slot, at + MAX_QTY]:
            cells[slot, at + MAX_QTY] = size
        cells[slot, at + _SINCE] = now


@njit(cache=True, nogil=True, error_model="numpy")
def _settle_range(cells, tick, levels, clock, now):  # type: ignore[no-untyped-def]
    """Sum the time in sight, and the time between the best prices, up to an instant."""
    lasted = now - clock[_RANGE_SINCE]
    clock[_RANGE_SINCE] = now
    if lasted <= 0:
        return
    for at in range(clock[_LOW], clock[_HIGH] + 1):
        cells[at & (WINDOW_TICKS - 1), VISIBLE_NS] += lasted
    if levels[BID] > 0 and levels[ASK] > 0:
        for at in range(tick[BID, 0], tick[ASK, 0] + 1):
            cells[at & (WINDOW_TICKS - 1), DWELL_NS] += lasted


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _first_level(changed):  # type: ignore[no-untyped-def]
    return LEVELS if changed == 0 else np.int64(FIRST_LEVEL[changed])


@njit(cache=True, nogil=True, error_model="numpy")
def _take_levels(ladder_price, i, side, first, tick_size, price, tick, levels):  # type: ignore[no-untyped-def]
    """Take over the prices of a side from level ``first`` on; returns whether all lie on the tick grid."""
    levels[side] = min(levels[side], first)
    for k in range(first, LEVELS):
        at = ladder_price[side, k, i]
        if at != price[side, k] and at != UNDEF_PRICE:
            tick[side, k] = at // tick_size
            if tick[side, k] * tick_size != at:
                price[0, 0] = at
                return False
        price[side, k] = at
        is_next = levels[side] == k and at != UNDEF_PRICE
        if is_next and abs(tick[side, k] - tick[side, 0]) <= REACH_TICKS:
            levels[side] = k + 1
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def _drop(side, first, now, tick, levels, cells):  # type: ignore[no-untyped-def]
    """Show no size any more at the levels of a side from ``first`` on."""
    for k in range(first, levels[side]):
        _settle(cells, tick[side, k], side, now)
        cells[tick[side, k] & (WINDOW_TICKS - 1), SIDE_FIELDS + side * FIELDS + QTY_EOB] = 0


@njit(cache=True, nogil=True, error_model="numpy")
def _restate(  # type: ignore[no-untyped-def]
    ladder_price, ladder_size, i, clear, differs, tick_size, now, price, tick, levels, clock, cells
):
    """Replace the ladder by that of record ``i``, by none after a clear; returns a status."""
    _settle_range(cells, tick, levels, clock, now)
    if (
        clear or levels[BID] == 0 or levels[ASK] == 0
    ):  # a side may be empty because the other one is too far away
        bid_first = ask_first = 0
    else:
        bid_first, ask_first = _first_level(differs[BID, i]), _first_level(differs[ASK, i])
    _drop(BID, bid_first, now, tick, levels, cells)
    _drop(ASK, ask_first, now, tick, levels, cells)
    clock[_LOW], clock[_HIGH] = _EMPTY_LOW, _EMPTY_HIGH
    if clear:
        levels[:] = 0
        return _DONE
    for side, first in ((BID, bid_first), (ASK, ask_first)):
        if not _take_levels(ladder_price, i, side, first, tick_size, price, tick, levels):
            return _OFF_GRID
    if levels[BID] > 0 and levels[ASK] > 0 and abs(tick[ASK, 0] - tick[BID, 0]) > REACH_TICKS:
        levels[BID], levels[ASK] = min(levels[BID], bid_first), min(levels[ASK], ask_first)
        _drop(BID, 0, now, tick, levels, cells)
        _drop(ASK, 0, now, tick, levels, cells)
        levels[:] = 0
    for side in (BID, ASK):
        for k in range(levels[side]):
            clock[_LOW] = min(clock[_LOW], tick[side, k])
            clock[_HIGH] = max(clock[_HIGH], tick[side, k])
    clock[_BAR_LOW] = min(clock[_BAR_LOW], clock[_LOW])
    clock[_BAR_HIGH] = max(clock[_BAR_HIGH], clock[_HIGH])
    if clock[_BAR_HIGH] - clock[_BAR_LOW] >= WINDOW_TICKS:
        return _TOO_WIDE
    for side, first in ((BID, bid_first), (ASK, ask_first)):
        for k in range(first, levels[side]):
            slot, at = tick[side, k] & (WINDOW_TICKS - 1), SIDE_FIELDS + side * FIELDS
            cells[slot, at + QTY_EOB] = ladder_size[side, k, i]
            cells[slot, at + _SINCE] = now
    return _DONE


@njit(cache=True, nogil=True, error_model="numpy")
def _close(clock, tick, levels, cells, count, row, out):  # type: ignore[no-untyped-def]
    """Write the rows of the open bar and open the next one."""
    at, end = clock[_ROWS], clock[_BAR] + BAR_NS
    low, high = clock[_BAR_LOW], clock[_BAR_HIGH]
    _settle_range(cells, tick, levels, clock, end)
    for side in (BID, ASK):
        for k in range(levels[side]):
            _settle(cells, tick[side, k], side, end)
    for price_tick in range(low, high + 1):
        cell, b = cells[price_tick & (WINDOW_TICKS - 1)], at + price_tick - low
        out[START, b], out[TICK, b] = clock[_BAR], price_tick
        out[VISIBLE_NS, b], out[DWELL_NS, b] = cell[VISIBLE_NS], cell[DWELL_NS]
        visible = clock[_LOW] <= price_tick <= clock[_HIGH]
        out[IS_VISIBLE, b] = visible
        for field_ in range(SIDE_FIELDS, COLUMNS):
            out[field_, b] = cell[field_]
        for side in (BID, ASK):
            first = SIDE_FIELDS + side * FIELDS
            out[first + CT_EOB, b] = 0
            if not visible:
                out[first + QTY_EOB, b] = out[first + CT_EOB, b] = NO_VALUE
            if cell[VISIBLE_NS] == 0:
                out[first + MAX_QTY, b] = NO_VALUE
            shown = cell[first + QTY_EOB]
            cell[first : first + FIELDS] = 0
            cell[first + QTY_EOB], cell[first + _SINCE] = shown, end
        cell[VISIBLE_NS] = cell[DWELL_NS] = 0
    for side in (BID, ASK):
        for k in range(levels[side]):
            out[SIDE_FIELDS + side * FIELDS + CT_EOB, at + tick[side, k] - low] = count[side, k, row]
    clock[_BAR] = end
    clock[_BAR_LOW], clock[_BAR_HIGH] = clock[_LOW], clock[_HIGH]
    clock[_ROWS] = at + max(high - low + 1, 0)


@njit(cache=True, nogil=True, error_model="numpy")
def _scan(  # type: ignore[no-untyped-def]  # noqa: C901 - a call with a dozen arrays costs more than a record
    start, item, move, last, until, tick_size,
    ts, action, side, flags, price, ladder_price, ladder_size, ladder_count, differs, moved,
    item_row, item_side, item_price, item_before, item_added, item_filled, item_pulled,
    state_price, tick, count, levels, clock, cells, out,
):  # fmt: skip
    """Run records from ``start`` on.

    Returns (status, next record, next item, next moved record, last record with a ladder).
    """
    n, items, moves = ts.shape[0], item_row.shape[0], moved.shape[0]
    for i in range(start, n + 1):
        now = ts[i] if i < n else until
        while clock[_BAR] + BAR_NS <= now:
            if clock[_BAR_HIGH] - clock[_BAR_LOW] >= out.shape[1] - clock[_ROWS]:
                return _OUTPUT_FULL, i, item, move, last
            if last >= 0:
                _close(clock, tick, levels, cells, ladder_count, last, out)
            else:
                _close(clock, tick, levels, cells, count, 0, out)
        if i == n or action[i] in (TRADE, NONE):
            continue
        act = action[i]
        low, high = clock[_LOW], clock[_HIGH]
        flows = act != CLEAR and clock[_KNOWN] == 1 and (flags[i] & F_SNAPSHOT) == 0
        clock[_KNOWN] = 0 if act == CLEAR else 1
        last = i
        level, level_tick = (
            UNDEF_PRICE,
            np.int64(0),
        )  # a price whose tick is known: divisions cost more than the rest
        if move < moves and moved[move] == i:
            move += 1
            status = _restate(
                ladder_price, ladder_size, i, act == CLEAR, differs, tick_size, now,
                state_price, tick, levels, clock, cells,
            )  # fmt: skip
            if status != _DONE:
                return status, i, item, move, last
        else:
            changed, own = np.int64(differs[BID, i]) | np.int64(differs[ASK, i]) << LEVELS, item
            while changed != 0:  # a level's size: nearly always one
                s = BID if changed & ALL_LEVELS != 0 else ASK
                k = np.int64(FIRST_LEVEL[(changed if s == BID else changed >> LEVELS) & ALL_LEVELS])
                changed &= changed - 1
                level, level_tick = state_price[s, k], tick[s, k]
                if own < items and item_row[own] == i and item_price[own] == level:
                    # Items lie side by side, the columns of a ladder far apart.
                    size = item_before[own] + item_added[own] - item_filled[own] - item_pulled[own]
                    own += 1
                else:
                    size = np.int64(ladder_size[s, k, i])
                if k < levels[s]:
                    _settle(cells, level_tick, s, now)
                    cells[level_tick & (WINDOW_TICKS - 1), SIDE_FIELDS + s * FIELDS + QTY_EOB] = size
        while item < items and item_row[item] == i:
            at = level_tick if item_price[item] == level else item_price[item] // tick_size
            if low <= at <= high or clock[_LOW] <= at <= clock[_HIGH]:
                slot, first = at & (WINDOW_TICKS - 1), SIDE_FIELDS + item_side[item] * FIELDS
                cells[slot, first + ADDED] += item_added[item]
                cells[slot, first + FILLED] += item_filled[item]
                cells[slot, first + PULLED] += item_pulled[item]
            item += 1
        event, letter = _EVENT_FIELD[act], side[i]
        if flows and event != 0 and price[i] != UNDEF_PRICE and letter in (BUYER, SELLER):
            at = level_tick if price[i] == level else price[i] // tick_size
            if low <= at <= high or clock[_LOW] <= at <= clock[_HIGH]:
                cells[at & (WINDOW_TICKS - 1), event + (0 if letter == BUYER else FIELDS)] += 1
    return _DONE, n, item, move, last


def price5s(
    ts: Int64,
    action: NDArray[np.uint8],
    side: NDArray[np.uint8],
    flags: NDArray[np.int16],
    price: Int64,
    ladder_price: Int64,
    ladder_size: NDArray[np.int32],
    ladder_count: NDArray[np.int32],
    flow: BookFlow,
    tick_size: int,
    state: Price5sState,
) -> Iterator[Int64]:
    """Run book records through the open bar and hand out the rows of closed bars.

    A state holds on [t_k, t_k+1), from the record that left it to the next one, and over the boundaries of bars. Its
    ticks in sight run from the lowest to the highest price its two ladders show. A bar has a row for every tick from
    the lowest to the highest one in sight of any of its states, the carried one included. Bars lie on multiples of
    ``BAR_NS``, from the first record's on; a bar without a record repeats the carried ladder.

    Args:
        ts: Event times, ascending, ns since the epoch, shape ``(n,)``; never before an earlier chunk's last.
        action: ASCII codes of the DBN action, shape ``(n,)``.
        side: ASCII codes of the DBN side, shape ``(n,)``.
        flags: DBN flag bits, shape ``(n,)``.
        price: Event price, 1e-9 points, ``UNDEF_PRICE`` where absent, shape ``(n,)``.
        ladder_price: Post-event prices by column, shape ``(2, 10, n)``, bids first, 1e-9 points.
        ladder_size: Post-event sizes by column, shape ``(2, 10, n)``, contracts.
        ladder_count: Post-event order counts by column, shape ``(2, 10, n)``.
        flow: What these records changed.
        tick_size: Minimum price increment, 1e-9 points.
        state: Carried state, advanced in place.

    Yields:
        Rows of closed bars by bar and tick, as soon as about ``ROWS`` of them wait, the others with a later chunk; in the
        module's layout, int64[COLUMNS, rows], ``NO_VALUE`` where a size, count or largest size is not known.

    Raises:
        OffTickGrid: If a ladder price is no multiple of the tick.
        TooWide: If the book moved over more than ``WINDOW_TICKS`` ticks within one bar.
    """
    if len(ts) == 0:
        return
    if state.clock[_BAR] < 0:
        state.clock[_BAR] = state.clock[_RANGE_SINCE] = ts[0] // BAR_NS * BAR_NS
    records = ts, action, side, flags, price, ladder_price, ladder_size, ladder_count
    yield from _run(records, flow, tick_size, int(ts[-1]), state)


def close(until_ns: int, tick_size: int, state: Price5sState) -> Iterator[Int64]:
    """Close the bars that end by an instant, the last ladder held until there, and hand out what waits.

    Args:
        until_ns: No record before it is to come; ns since the epoch.
        tick_size: Minimum price increment, 1e-9 points.
        state: Carried state, advanced in place.

    Yields:
        All rows not yet handed out, as ``price5s`` yields them; none when no record was ever seen.
    """
    clock = state.clock
    if clock[_BAR] < 0 or (clock[_ROWS] == 0 and until_ns < clock[_BAR] + BAR_NS):
        return
    none, letters, size = np.empty(0, np.int64), np.empty(0, np.uint8), np.empty((2, LEVELS, 0), np.int32)
    records = (
        none,
        letters,
        letters,
        np.empty(0, np.int16),
        none,
        np.empty((2, LEVELS, 0), np.int64),
        size,
        size,
    )
    yield from _run(records, BookFlow.of_nothing(), tick_size, until_ns, state)
    yield state.rows[:, : clock[_ROWS]].copy()
    clock[_ROWS] = 0


def _run(
    records: tuple[NDArray[Any], ...], flow: BookFlow, tick_size: int, until: int, state: Price5sState
) -> Iterator[Int64]:
    ladder_count = records[-1]
    at, item, move, last = 0, 0, 0, -1
    while True:
        status, at, item, move, last = _scan(  # type: ignore[call-arg]  # the records come in a tuple
            at, item, move, last, until, tick_size, *records, flow.differs, flow.moved,
            flow.row, flow.side, flow.price, flow.before, flow.added, flow.filled, flow.pulled,
            state.price, state.tick, state.count[:, :, None], state.levels, state.clock, state.cells, state.rows,
        )  # fmt: skip
        if status == _OFF_GRID:
            raise OffTickGrid(int(state.price[0, 0]))
        if status == _TOO_WIDE:
            raise TooWide(int(state.clock[_BAR]))
        if status == _DONE:
            break
        full = state.rows[:, : state.clock[_ROWS]]
        state.rows, state.clock[_ROWS] = _new_rows(), 0  # the full ones are their reader's now
        yield full
    if last >= 0:
        state.count[:] = ladder_count[:, :, last]
