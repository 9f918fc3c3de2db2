"""Liquidity shocks: fills that take at least half of what one price showed, and how the book came back.

Arrays in, arrays out; the carried state makes any chunking of a day give the same bits as one pass.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.book_events import (
    ASK,
    BID,
    CLEAR,
    F_LAST,
    LEVELS,
    UNDEF_PRICE,
    _in_sight,
)
from footprint_assets.kernels.book_flow import ALL_LEVELS, FIRST_LEVEL, BookFlow

Int64 = NDArray[np.int64]

SECOND_NS = 1_000_000_000
NO_VALUE = -1
"""A size, depth or instant that is not known."""

# Layout of a shock.
TS, SIDE, PRICE, IS_BEST, BEFORE, FILLED, AFTER, DEPTH_BEFORE, DEPTH_AFTER, KNOWN_TS, RECOVERED_TS = range(11)
COLUMNS = 11
_BEST, _OPEN, _NEXT = (
    11,
    12,
    13,
)  # reference price of the depth; still waiting for recovery; next shock of its bucket
_FIELDS = 14

_BUCKETS = 1024
_NEVER = np.iinfo(np.int64).max
_MAX_FILLS = 512  # distinct (side, price) pairs one event group can fill: those book_events keeps
_KNOWN, _IN_GROUP, _GROUP_KNOWN, _FILLS, _SHOCKS, _DUE = range(6)
_SHOWN_PRICE, _SHOWN_SIZE = range(2)


def _new_ladder() -> Int64:
    ladder = np.zeros((2, 2, LEVELS), np.int64)
    ladder[_SHOWN_PRICE] = UNDEF_PRICE
    return ladder


@dataclass
class ShockState:
    """The ladder, the open event group, and the shocks that still wait."""

    ladder: Int64 = field(default_factory=_new_ladder)  # [price, size][bid, ask][level]
    group: Int64 = field(default_factory=_new_ladder)  # the ladder just before the open group
    fills: Int64 = field(
        default_factory=lambda: np.zeros((3, _MAX_FILLS), np.int64)
    )  # [side, price, quantity]
    counters: Int64 = field(default_factory=lambda: np.zeros(6, np.int64))
    shocks: Int64 = field(default_factory=lambda: np.zeros((_FIELDS, 4 * _MAX_FILLS), np.int64))
    buckets: Int64 = field(default_factory=lambda: np.full((2, _BUCKETS), -1, np.int64))


@njit(cache=True, nogil=True)
def _bucket(price):  # type: ignore[no-untyped-def]
    """Multiplicative hash: prices are multiples of a tick, so their low bits are all alike."""
    return np.int64((np.uint64(price) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(54))


@njit(cache=True, nogil=True)
def _shown(ladder, side, price):  # type: ignore[no-untyped-def]
    """Size shown at a price: 0 where the ladder would show it and does not, ``NO_VALUE`` out of sight."""
    for k in range(LEVELS):
        if ladder[_SHOWN_PRICE, side, k] == price:
            return ladder[_SHOWN_SIZE, side, k]
    return np.int64(0) if _in_sight(ladder[_SHOWN_PRICE], side, price) else np.int64(NO_VALUE)


@njit(cache=True, nogil=True)
def _depth(ladder, side, best, tick_size):  # type: ignore[no-untyped-def]
    """Size within one tick of a price; ``NO_VALUE`` where the ladder ends before."""
    if not _in_sight(ladder[_SHOWN_PRICE], side, best - tick_size if side == BID else best + tick_size):
        return np.int64(NO_VALUE)
    depth = np.int64(0)
    for k in range(LEVELS):
        price = ladder[_SHOWN_PRICE, side, k]
        if price != UNDEF_PRICE and abs(price - best) <= tick_size:
            depth += ladder[_SHOWN_SIZE, side, k]
    return depth


@njit(cache=True, nogil=True)
def _look_back(now, ladder, counters, shocks, tick_size):  # type: ignore[no-untyped-def]
    """Measure the shocks whose second is over: ``ladder`` is the state just before it ended."""
    n = counters[_DUE]
    while n < counters[_SHOCKS] and shocks[TS, n] + SECOND_NS <= now:
        shocks[KNOWN_TS, n] = shocks[TS, n] + SECOND_NS
        if counters[_KNOWN] == 1:
            shocks[DEPTH_AFTER, n] = _depth(ladder, shocks[SIDE, n], shocks[_BEST, n], tick_size)
        n += 1
    counters[_DUE] = n


@njit(cache=True, nogil=True)
def _recover(now, side, price, size, limit, shocks, buckets):  # type: ignore[no-untyped-def]
    """Settle the waiting shocks of a price that shows a size, and forget those that waited too long."""
    b = _bucket(price)
    previous, n = np.int64(-1), buckets[side, b]
    while n >= 0:
        following = shocks[_NEXT, n]
        expired = now - shocks[TS, n] > limit
        recovered = shocks[PRICE, n] == price and 2 * size >= shocks[BEFORE, n] + shocks[AFTER, n]
        if recovered and not expired:
            shocks[RECOVERED_TS, n] = now
        if recovered or expired:
            shocks[_OPEN, n] = 0
            if previous < 0:
                buckets[side, b] = following
            else:
                shocks[_NEXT, previous] = following
        else:
            previous = n
        n = following


@njit(cache=True, nogil=True)
def _note_fill(side, price, filled, fills, counters):  # type: ignore[no-untyped-def]
    """Add a fill to those of the open group."""
    j = 0
    while j < counters[_FILLS] and not (fills[0, j] == side and fills[1, j] == price):
        j += 1
    if j == counters[_FILLS]:
        fills[0, j], fills[1, j], fills[2, j] = side, price, 0
        counters[_FILLS] += 1
    fills[2, j] += filled


@njit(cache=True, nogil=True)
def _close_group(now, tick_size, ladder, group, fills, counters, shocks, buckets):  # type: ignore[no-untyped-def]
    """Turn the fills of the group into shocks where they took at least half."""
    for j in range(counters[_FILLS]):
        side, price, filled = fills[0, j], fills[1, j], fills[2, j]
        before = _shown(group, side, price) if counters[_GROUP_KNOWN] == 1 else np.int64(NO_VALUE)
        if before <= 0 or 2 * filled < before:
            continue
        n = counters[_SHOCKS]
        counters[_SHOCKS] = n + 1
        best = group[_SHOWN_PRICE, side, 0]
        after = _shown(ladder, side, price) if counters[_KNOWN] == 1 else np.int64(NO_VALUE)
        shocks[TS, n], shocks[SIDE, n], shocks[PRICE, n] = now, side, price
        shocks[IS_BEST, n] = 1 if price == best else 0
        shocks[BEFORE, n], shocks[FILLED, n], shocks[AFTER, n] = before, filled, after
        shocks[DEPTH_BEFORE, n], shocks[_BEST, n] = _depth(group, side, best, tick_size), best
        shocks[DEPTH_AFTER, n] = shocks[KNOWN_TS, n] = shocks[RECOVERED_TS, n] = NO_VALUE
        shocks[_OPEN, n], shocks[_NEXT, n] = 0, -1
        if after >= before:  # a hidden order refilled the price within the event
            shocks[RECOVERED_TS, n] = now
        elif after >= 0:
            b = _bucket(price)
            shocks[_OPEN, n], shocks[_NEXT, n] = 1, buckets[side, b]
            buckets[side, b] = n
    counters[_FILLS] = 0


@njit(cache=True, nogil=True)
def _give_up(counters, shocks, buckets):  # type: ignore[no-untyped-def]
    """End every wait: the book was cleared."""
    shocks[_OPEN, : counters[_SHOCKS]] = 0
    buckets[:] = -1


@njit(cache=True, nogil=True, forceinline=True)
def _due_ns(counters, shocks):  # type: ignore[no-untyped-def]
    """When the second of the oldest unmeasured shock is over."""
    n = counters[_DUE]
    return shocks[TS, n] + SECOND_NS if n < counters[_SHOCKS] else np.int64(_NEVER)


@njit(cache=True, nogil=True)
def _scan(  # type: ignore[no-untyped-def]  # noqa: C901 - a call with a dozen arrays costs more than a record
    start, item, move, tick_size, limit, ts, action, flags, ladder_price, ladder_size, differs, moved,
    item_row, item_side, item_price, item_before, item_added, item_filled, item_pulled,
    ladder, group, fills, counters, shocks, buckets,
):  # fmt: skip
    """Run records from ``start`` on until the shocks are full; returns the next record, item and moved record."""
    n, items, moves, room = ts.shape[0], item_row.shape[0], moved.shape[0], shocks.shape[1] - _MAX_FILLS
    due_ns = _due_ns(counters, shocks)
    for i in range(start, n):
        if counters[_SHOCKS] > room:
            return i, item, move
        act, now = action[i], ts[i]
        ends = (flags[i] & F_LAST) != 0
        if now >= due_ns:
            _look_back(now, ladder, counters, shocks, tick_size)
            due_ns = _due_ns(counters, shocks)
        if counters[_IN_GROUP] == 0 and not ends:  # an event of one record has no trade that could fill
            for s in (BID, ASK):
                for level in range(LEVELS):
                    group[_SHOWN_PRICE, s, level] = ladder[_SHOWN_PRICE, s, level]
                    group[_SHOWN_SIZE, s, level] = ladder[_SHOWN_SIZE, s, level]
            counters[_GROUP_KNOWN] = counters[_KNOWN]
        counters[_IN_GROUP] = 0 if ends else 1
        if move < moves and moved[move] == i:
            move += 1
            for s in (BID, ASK):
                for level in range(LEVELS):
                    if (differs[s, i] >> level) & 1 == 0:
                        continue
                    price, size = ladder_price[s, level, i], np.int64(ladder_size[s, level, i])
                    ladder[_SHOWN_PRICE, s, level], ladder[_SHOWN_SIZE, s, level] = price, size
                    if act != CLEAR and buckets[s, _bucket(price)] >= 0:
                        _recover(now, s, price, size, limit, shocks, buckets)
            counters[_KNOWN] = 0 if act == CLEAR else 1
            if act == CLEAR:
                _give_up(counters, shocks, buckets)
        else:
            changed, own = np.int64(differs[BID, i]) | np.int64(differs[ASK, i]) << LEVELS, item
            while changed != 0:  # a level's size: nearly always one
                s = BID if changed & ALL_LEVELS != 0 else ASK
                k = np.int64(FIRST_LEVEL[(changed if s == BID else changed >> LEVELS) & ALL_LEVELS])
                changed &= changed - 1
                price, before = ladder[_SHOWN_PRICE, s, k], ladder[_SHOWN_SIZE, s, k]
                if own < items and item_row[own] == i and item_price[own] == price:
                    # Items lie side by side, the columns of a ladder far apart.
                    size = np.int64(item_before[own] + item_added[own] - item_filled[own] - item_pulled[own])
                    own += 1
                else:
                    size = np.int64(ladder_size[s, k, i])
                ladder[_SHOWN_SIZE, s, k] = size
                # A price that stays in sight recovers by growing.
                if (size > before) & (buckets[s, _bucket(price)] >= 0):
                    _recover(now, s, price, size, limit, shocks, buckets)
        while item < items and item_row[item] == i:
            if item_filled[item] > 0:
                _note_fill(item_side[item], item_price[item], item_filled[item], fills, counters)
            item += 1
        if ends and counters[_FILLS] > 0:
            _close_group(now, tick_size, ladder, group, fills, counters, shocks, buckets)
            due_ns = _due_ns(counters, shocks)
    return n, item, move


@njit(cache=True, nogil=True)
def _settled(now, limit, counters, shocks):  # type: ignore[no-untyped-def]
    """Number of oldest shocks that wait for nothing more."""
    n = 0
    while n < counters[_DUE] and (shocks[_OPEN, n] == 0 or now - shocks[TS, n] > limit):
        n += 1
    return n


@njit(cache=True, nogil=True)
def _drop(oldest, counters, shocks, buckets):  # type: ignore[no-untyped-def]
    """Forget the oldest shocks; the others move up and find their buckets anew."""
    left = counters[_SHOCKS] - oldest
    for j in range(_FIELDS):
        for n in range(left):
            shocks[j, n] = shocks[j, n + oldest]
    counters[_SHOCKS] = left
    counters[_DUE] -= oldest
    buckets[:] = -1
    for n in range(left):
        if shocks[_OPEN, n] == 1:
            b = _bucket(shocks[PRICE, n])
            shocks[_NEXT, n] = buckets[shocks[SIDE, n], b]
            buckets[shocks[SIDE, n], b] = n


def shocks(
    ts: Int64,
    action: NDArray[np.uint8],
    flags: NDArray[np.int16],
    ladder_price: Int64,
    ladder_size: NDArray[np.int32],
    flow: BookFlow,
    tick_size: int,
    limit_ns: int,
    state: ShockState,
) -> Int64:
    """Find the shocks of some book records and hand out those that wait for nothing more.

    A shock is an event group (closed by ``F_LAST``) whose trades filled at least half of the size one price of one side
    showed just before the group. It is measured twice more: the depth of the side within one tick of its former best
    price, just before one second has passed; and the first record that shows at least half of the lost size again.

    Args:
        ts: Event times, ascending, ns since the epoch, shape ``(n,)``; never before an earlier chunk's last.
        action: ASCII codes of the DBN action, shape ``(n,)``.
        flags: DBN flag bits, shape ``(n,)``.
        ladder_price: Post-event prices by column, shape ``(2, 10, n)``, bids first, 1e-9 points.
        ladder_size: Post-event sizes by column, shape ``(2, 10, n)``, contracts.
        flow: What these records changed.
        tick_size: Minimum price increment, 1e-9 points.
        limit_ns: Longest time a recovery is waited for, included, ns.
        state: Carried state, advanced in place.

    Returns:
        Shocks in order of ``TS`` by the module's layout, int64[COLUMNS, shocks], prices in 1e-9 points; ``NO_VALUE``
        where a size, depth or instant is not known. A shock follows all earlier ones, whatever the chunks.

    Resiliency after Large (2007), measured on the fills of single events.
    """
    parts = []
    at = item = move = 0
    while True:
        at, item, move = _scan(
            at, item, move, tick_size, limit_ns, ts, action, flags, ladder_price, ladder_size, flow.differs, flow.moved,
            flow.row, flow.side, flow.price, flow.before, flow.added, flow.filled, flow.pulled,
            state.ladder, state.group, state.fills, state.counters, state.shocks, state.buckets,
        )  # fmt: skip
        if len(ts) == 0:
            break
        now = int(ts[at]) if at < len(ts) else int(ts[-1])
        oldest = _settled(now, limit_ns, state.counters, state.shocks)
        parts.append(state.shocks[:COLUMNS, :oldest].copy())
        _drop(oldest, state.counters, state.shocks, state.buckets)
        if at == len(ts):
            break
        if 2 * state.counters[_SHOCKS] > state.shocks.shape[1]:
            state.shocks = np.concatenate((state.shocks, np.zeros_like(state.shocks)), axis=1)
    return np.concatenate(parts, axis=1) if parts else np.empty((COLUMNS, 0), np.int64)


def settled(until_ns: int, tick_size: int, limit_ns: int, state: ShockState) -> Int64:
    """The shocks that wait for nothing more as no record before an instant is to come.

    Args:
        until_ns: The instant, at most that up to which the last record's book is known to stand; ns since the epoch.
        tick_size: Minimum price increment, 1e-9 points.
        limit_ns: Longest time a recovery is waited for, included, ns.
        state: Carried state, advanced in place.

    Returns:
        The shocks, as ``shocks`` returns them.
    """
    if state.counters[_SHOCKS] == 0:
        return np.empty((COLUMNS, 0), np.int64)
    _look_back(until_ns, state.ladder, state.counters, state.shocks, tick_size)
    oldest = _settled(until_ns, limit_ns, state.counters, state.shocks)
    found = state.shocks[:COLUMNS, :oldest].copy()
    _drop(oldest, state.counters, state.shocks, state.buckets)
    return found


def finish(end_ns: int, tick_size: int, state: ShockState) -> Int64:
    """The shocks that still wait when the records end; what they wait for beyond the end stays unknown.

    Args:
        end_ns: Instant up to which the last record's book is known to stand, ns since the epoch.
        tick_size: Minimum price increment, 1e-9 points.
        state: Carried state; must not be used again.

    Returns:
        The shocks, as ``shocks`` returns them. An event group that was never closed is no event.
    """
    _look_back(end_ns, state.ladder, state.counters, state.shocks, tick_size)
    found = waiting(state)
    state.counters[[_SHOCKS, _DUE]] = 0
    return found


def waiting(state: ShockState) -> Int64:
    """The shocks that wait for something more, with what is known of them so far, as ``shocks`` returns them."""
    return state.shocks[:COLUMNS, : state.counters[_SHOCKS]].copy()
