"""What every bar counts and adds up record by record, and how long every ladder lasts.

Arrays in, arrays out; all sums are integers and the carried state makes any chunking of a day give the same bits as one
pass.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.bar5s import (
    ACTIVITY,
    ADD,
    ADDS,
    BAD_BOOK,
    BAD_TS,
    BAND_EDGES,
    BANDS,
    BAR_NS,
    BEST_FLOW,
    CANCELS,
    CLEAR_VOL,
    CLEARS,
    COUNTS,
    FILL,
    FLOW,
    FLOW_CNT,
    MODIFIES,
    MSG,
    OFI,
    OTHERS,
    PULL,
    REPLENISH,
    REPLENISH_NS,
    SIDE_FLOW,
    SNAPSHOT,
    TICK_BANDS,
    TICK_CNT,
    TICK_EDGES,
    TICK_FLOW,
    TRADE_BUY,
    TRADE_CNT,
    TRADE_SELL,
    TRADE_VOL,
    TRADES,
    TRANSITIONS,
)
from footprint_assets.kernels.book_events import (
    ASK,
    BID,
    BUYER,
    CLEAR,
    F_SNAPSHOT,
    LEVELS,
    NONE,
    SELLER,
    TRADE,
    UNDEF_PRICE,
)

Int64 = NDArray[np.int64]

NO_STATE: Final = -2
CARRIED: Final = -1
"""Rows of a state that are no rows of the chunk: the book is not known, or was left by an earlier chunk."""
F_BAD_TS, F_BAD_BOOK = 0x08, 0x04

_TICK_EDGES = np.array(TICK_EDGES)
# Ladders are kept by priority: the price of a bid, minus the price of an ask. Best is largest on both sides, so one
# code serves both, and an absent level is worse than any price.
_ABSENT = -UNDEF_PRICE
_NOWHERE = np.int64(2**62)  # a microprice that is far from every price
_DEPTH, _Q_LOG_Q, _MICRO = range(0, 6, 2)  # sums of a side, + side; the microprice as a priority
_BEST_LEVELS = 1 | 1 << LEVELS
_DE_BRUIJN = 0x077CB531
_FILLS = 1024
"""Prices remembered as filled, by tick: of two prices this far apart the one filled later."""
_LOGS = 1 << 14
_LOG_UNIT = float(1 << 32)


def _kind_of_action() -> Int64:
    kinds = np.full(256, OTHERS, np.int64)
    for letter, kind in (("R", CLEARS), ("A", ADDS), ("C", CANCELS), ("M", MODIFIES), ("T", TRADES)):
        kinds[ord(letter)] = kind
    return kinds


def _level_of() -> Int64:
    levels = np.zeros(32, np.int64)
    for level in range(2 * LEVELS):
        levels[((1 << level) * _DE_BRUIJN >> 27) & 31] = level
    return levels


def _q_log_q() -> Int64:
    """Size times its logarithm as whole numbers, so that it can be added and taken off without a trace."""
    return np.array([round(q * math.log(q or 1) * _LOG_UNIT) for q in range(_LOGS)], np.int64)


_KINDS: Final = _kind_of_action()
_LEVEL_OF: Final = _level_of()
"""Which bit is set, by the top five bits of its product with a de Bruijn sequence (Leiserson et al. 1998)."""
_Q_LOG_Q_OF: Final = _q_log_q()


@dataclass(frozen=True)
class FlowState:
    """The open bar's counts, the book that the next record meets, and when prices were last filled."""

    counts: Int64 = field(default_factory=lambda: np.zeros(COUNTS, np.int64))
    priorities: Int64 = field(default_factory=lambda: np.full(2 * LEVELS, _ABSENT, np.int64))
    sizes: Int64 = field(default_factory=lambda: np.zeros(2 * LEVELS, np.int64))
    sums: Int64 = field(default_factory=lambda: np.array([0, 0, 0, 0, _NOWHERE, _NOWHERE], np.int64))
    # [side][price, time of its last fill][tick modulo _FILLS]
    fills: Int64 = field(default_factory=lambda: np.zeros((2, 2, _FILLS), np.int64))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _band(away):  # type: ignore[no-untyped-def]
    """Band of a distance from the microprice, 1e-9 points; BANDS when it is farther than the last one."""
    band = 0
    for k in range(BANDS):
        band += 1 if away > BAND_EDGES[k] else 0
    return band


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _tick_band(away, tick_size):  # type: ignore[no-untyped-def]
    """Band of a distance from the own best price, 0 at it or better; TICK_BANDS beyond the last band."""
    band = 0
    for k in range(TICK_BANDS):
        band += 1 if away >= _TICK_EDGES[k] * tick_size else 0
    return band


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _behind(best, price, side):  # type: ignore[no-untyped-def]
    """Distance from a best price into the book, 0 at it, better than it, or where there is none."""
    return 0 if best == UNDEF_PRICE else max((best - price) * (1 - 2 * side), 0)


@njit(cache=True, nogil=True, error_model="numpy")
def hold(ts, action, end, first_bar, known, since, lasted, opening, shown):  # type: ignore[no-untyped-def]
    """How long every ladder lasts within its bar.

    Args:
        ts: Event times, int64[n].
        action: DBN actions, uint8[n].
        end: First row after a bar, int64[bars + 1]; the last bar is open.
        first_bar: Start of the first bar, ns.
        known: Whether the book is known before the chunk.
        since: From when on the state before the chunk lasts, ns.
        lasted: Time a record's ladder lasts within its bar; float64[n], ns, zeros on entry.
        opening: Time that the ladder from before a bar, or before the chunk, lasts in it; int64[bars + 1].
        shown: Row that left the state after a record; int64[n], ``NO_STATE`` or ``CARRIED`` where it is none.

    Returns:
        The time from which on the last state lasts.
    """
    row = CARRIED if known else NO_STATE
    for b in range(end.shape[0]):
        first = end[b - 1] if b > 0 else 0
        opening[b] = 0
        for i in range(first, end[b]):
            if action[i] != TRADE and action[i] != NONE:
                if row >= first:
                    lasted[row] = ts[i] - since
                elif row != NO_STATE:
                    opening[b] = ts[i] - since
                row, since = i if action[i] != CLEAR else NO_STATE, ts[i]
            shown[i] = row
        if b < end.shape[0] - 1:
            bar_end = first_bar + (b + 1) * BAR_NS
            if row >= first:
                lasted[row] = bar_end - since
            elif row != NO_STATE:
                opening[b] = bar_end - since
            since = bar_end
    return since


@njit(cache=True, nogil=True, error_model="numpy")
def count(action, side, flags, size, end, counts):  # type: ignore[no-untyped-def]
    """Count records by action and flags, trades by aggressor."""
    first = 0
    for b in range(end.shape[0]):
        row = counts[b]
        row[MSG] += end[b] - first
        for i in range(first, end[b]):
            row[_KINDS[action[i]]] += 1
            if flags[i] & (F_SNAPSHOT | F_BAD_TS | F_BAD_BOOK) != 0:
                row[SNAPSHOT] += 1 if (flags[i] & F_SNAPSHOT) != 0 else 0
                row[BAD_TS] += 1 if (flags[i] & F_BAD_TS) != 0 else 0
                row[BAD_BOOK] += 1 if (flags[i] & F_BAD_BOOK) != 0 else 0
            if action[i] == TRADE and (flags[i] & F_SNAPSHOT) == 0:
                row[TRADE_CNT] += 1
                row[TRADE_VOL] += size[i]
                row[TRADE_BUY] += size[i] if side[i] == BUYER else 0
                row[TRADE_SELL] += size[i] if side[i] == SELLER else 0
        first = end[b]


@njit(cache=True, nogil=True, error_model="numpy")
def follow(  # type: ignore[no-untyped-def]  # noqa: C901 - a call with a dozen arrays costs more than a record
    begin, stop, b, action, side, flags, price, ladder_price, ladder_size, differs, end, shown, known, tick_size,
    priorities, sizes, sums, counts, micro, entropy,
):  # fmt: skip
    """Follow the ladder over some records, the first of bar ``b``; returns how many prices are off the tick grid.

    Counts order-flow imbalance, records by the band of their own price, and what a clear wipes out. Ladders come as
    ``[20, n]``, bids first. Writes the microprice before each record as a priority of either side (``micro``, ``[2, n]``),
    and the entropy of a side's sizes after it in units of ten equal levels (``entropy``, ``[2, stop - begin]``).
    """
    unit, off = 1.0 / (_LOG_UNIT * math.log(LEVELS)), 0
    spread_bid = _entropy(sums[_DEPTH + BID], sums[_Q_LOG_Q + BID]) * unit
    spread_ask = _entropy(sums[_DEPTH + ASK], sums[_Q_LOG_Q + ASK]) * unit
    row = counts[b]
    for i in range(begin, stop):
        if i >= end[b]:
            while i >= end[b]:
                b += 1
            row = counts[b]
        micro[BID, i], micro[ASK, i] = sums[_MICRO + BID], sums[_MICRO + ASK]
        act = action[i]
        if act != TRADE and act != NONE:
            before = (shown[i - 1] if i > 0 else known) != NO_STATE
            flows = act != CLEAR and (flags[i] & F_SNAPSHOT) == 0 and before
            if act == CLEAR and before:
                row[CLEAR_VOL] += sums[_DEPTH + BID] + sums[_DEPTH + ASK]
            if flows:
                row[TRANSITIONS] += 1
                # The next record's action, side and level cannot be foretold: arithmetic is cheaper than branches.
                own, kind = np.int64(side[i] != BUYER), _KINDS[act] - ADDS
                sign = 1 - 2 * own
                if price[i] != UNDEF_PRICE and (side[i] == BUYER or side[i] == SELLER):
                    priority, best = price[i] * sign, priorities[own * LEVELS]
                    band = _band(sums[_MICRO + own] - priority)
                    if 0 <= kind < 3 and band < BANDS:
                        row[FLOW_CNT + (kind * 2 + own) * BANDS + band] += 1
                    band = _tick_band(0 if best == _ABSENT else best - priority, tick_size)
                    if 0 <= kind < 2 and band < TICK_BANDS:
                        row[TICK_CNT + (kind * 2 + own) * TICK_BANDS + band] += 1
            mask = np.int64(differs[BID, i]) | (np.int64(differs[ASK, i]) << LEVELS)
            touched = mask & _BEST_LEVELS != 0
            while mask != 0:
                level = _LEVEL_OF[((mask & -mask) * _DE_BRUIJN >> 27) & 31]
                mask &= mask - 1
                own = np.int64(level >= LEVELS)
                sign = 1 - 2 * own
                shown_price = ladder_price[level, i]
                old, new = priorities[level], _ABSENT if shown_price == UNDEF_PRICE else shown_price * sign
                old_size, new_size = sizes[level], np.int64(ladder_size[level, i])
                if new != old:
                    priorities[level] = new
                    off += 1 if new != _ABSENT and new % tick_size != 0 else 0
                sizes[level] = new_size
                sums[_DEPTH + own] += new_size - old_size
                sums[_Q_LOG_Q + own] += _q_log_q_of(new_size) - _q_log_q_of(old_size)
                if flows:  # order-flow imbalance; an absent level is the worst price, size 0
                    gain = (new_size if new >= old else 0) - (old_size if new <= old else 0)
                    row[OFI + level - LEVELS * own] += gain * sign
            if touched:
                sums[_MICRO + BID], sums[_MICRO + ASK] = _microprice(
                    priorities[0], -priorities[LEVELS], sizes[0], sizes[LEVELS]
                )
            spread_bid = _entropy(sums[_DEPTH + BID], sums[_Q_LOG_Q + BID]) * unit
            spread_ask = _entropy(sums[_DEPTH + ASK], sums[_Q_LOG_Q + ASK]) * unit
        entropy[BID, i - begin], entropy[ASK, i - begin] = spread_bid, spread_ask
    return off


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _q_log_q_of(size):  # type: ignore[no-untyped-def]
    if size < _LOGS:
        return _Q_LOG_Q_OF[size]
    return np.int64(np.rint(size * math.log(float(size)) * _LOG_UNIT))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _entropy(depth, q_log_q):  # type: ignore[no-untyped-def]
    """Ln D - (1/D) sum q ln q, in log units."""
    return (_q_log_q_of(depth) - q_log_q) / depth if depth > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _microprice(bid, ask, bid_size, ask_size):  # type: ignore[no-untyped-def]
    """The microprice as a priority of either side, an exact fraction of the spread above the bid.

    A bid is within a distance of it if it is of the microprice rounded up, an ask if it is of it rounded down.
    """
    if bid == _ABSENT or ask == UNDEF_PRICE:
        return _NOWHERE, _NOWHERE
    share, whole = bid_size, bid_size + ask_size
    if whole == 0:
        share, whole = np.int64(1), np.int64(2)
    above_bid = (ask - bid) * share
    floor = above_bid // whole
    return bid + floor + (0 if floor * whole == above_bid else 1), -(bid + floor)


@njit(cache=True, nogil=True, error_model="numpy")
def add_flow(  # type: ignore[no-untyped-def]
    ts, ladder_price, end, micro, tick_size,
    item_row, item_side, item_price, item_best, item_opening, item_added, item_filled, item_pulled, fills, counts,
):  # fmt: skip
    """Add every change of size at one price: what was added, filled and pulled, by band."""
    b, per_tick = 0, 1.0 / tick_size
    row = counts[0]
    for item in range(item_row.shape[0]):
        i, side, price, best = item_row[item], item_side[item], item_price[item], item_best[item]
        added, filled, pulled = item_added[item], item_filled[item], item_pulled[item]
        if i >= end[b]:
            while i >= end[b]:
                b += 1
            row = counts[b]
        less = np.int64(added == 0)
        band = _band(micro[side, i] - price * (1 - 2 * side))
        if band < BANDS:
            row[FLOW + (2 * less + side) * BANDS + band] += added + filled + pulled
        behind = _behind(best, price, side)
        band, away = _tick_band(behind, tick_size), np.int64(behind * per_tick + 0.5)
        still = np.int64((price == best) & (price == ladder_price[side, 0, i]))
        moved, what = added + pulled, ADD + (PULL - ADD) * less
        row[SIDE_FLOW + what * 2 + side] += moved
        row[BEST_FLOW + what * 2 + side] += moved * still
        if band < TICK_BANDS:
            row[TICK_FLOW + (what * 2 + side) * TICK_BANDS + band] += moved
        row[ACTIVITY] += moved
        row[ACTIVITY + 1] += moved * away
        row[ACTIVITY + 2] += moved * away * away
        slot = np.int64(price * per_tick + 0.5) & (_FILLS - 1)
        if filled > 0:
            # A sweep takes one best price after the other: its fills are as deep as they lay before it.
            band = _tick_band(_behind(item_opening[item], price, side), tick_size)
            row[SIDE_FLOW + FILL * 2 + side] += filled
            row[BEST_FLOW + FILL * 2 + side] += filled * still
            if band < TICK_BANDS:
                row[TICK_FLOW + (FILL * 2 + side) * TICK_BANDS + band] += filled
            fills[side, 0, slot], fills[side, 1, slot] = price, ts[i]
        else:
            back = (fills[side, 0, slot] == price) & (ts[i] - fills[side, 1, slot] <= REPLENISH_NS)
            row[REPLENISH + side] += added if back else 0
