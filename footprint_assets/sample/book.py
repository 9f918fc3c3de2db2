"""The order-book simulator: numba kernels that write finished MBP-10 wire records.

Arrays in, records out: no file, no calendar, no settings. A book side is a list of levels ordered from the best price
outward; the ten best are visible. Nothing visible changes without a record: what rests behind the tenth level is only
ever added or dropped out of sight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
U64 = npt.NDArray[np.uint64]

RECORD_WORDS = 46
"""An MBP-10 record is 368 bytes: 6 words of header and event, then 4 words for each of 10 levels."""
VISIBLE_LEVELS = 10
STORED_LEVELS = 28
MAX_EVENT_RECORDS = 128
"""Upper bound of the records one event group writes (the opening match of two full book sides is the largest)."""

NEVER = np.iinfo(np.int64).max
PREOPEN, OPENING, TRADING = 0, 1, 2

TALLY_FIELDS = 7
TALLY_OPEN, TALLY_HIGH, TALLY_LOW, TALLY_LAST = range(4)
TALLY_VOLUME, TALLY_SETTLE_VALUE, TALLY_SETTLE_VOLUME = range(4, TALLY_FIELDS)

_UNDEF_PRICE = np.iinfo(np.int64).max
_HEADER = 92 | 10 << 8 | 1 << 16
"""Length in 4-byte words, rtype MBP-10, publisher GLBX.MDP3 Globex."""


def _int64(value: int) -> int:
    # numba compiles a function anew for every literal argument, which tripled the compile time; a numpy scalar is none.
    return cast(int, np.int64(value))


_ZERO, _ONE = _int64(0), _int64(1)
_BID, _ASK = _ZERO, _ONE
_A, _C, _M, _R, _T = (_int64(ord(letter)) for letter in "ACMRT")
_SIDE_A, _SIDE_B, _SIDE_N = (_int64(ord(letter)) for letter in "ABN")
_FLAG_NONE = _ZERO
_FLAG_BOOK = _int64(0x02)
_FLAG_BOOK_LAST = _int64(0x82)
_FLAG_SNAPSHOT = _int64(0xA8)
_UNDEFINED = _int64(_UNDEF_PRICE)
_MAX_SWEEP = 5
_FAR_TICKS = 40
_LOOKAHEAD = 32

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _compiled(function: _Function) -> _Function:
    return cast(_Function, numba.njit(cache=True, nogil=True)(function))


STATE_DTYPE: np.dtype[np.void] = np.dtype(
    [
        # The book: best level first, side 0 bid, 1 ask; ticks, contracts, orders, used levels.
        ("tick", np.int64, (2, STORED_LEVELS)),
        ("size", np.int64, (2, STORED_LEVELS)),
        ("orders", np.int64, (2, STORED_LEVELS)),
        ("levels", np.int64, (2,)),
        # Progress through the session: xorshift64* state, instant of the next event (ns UTC, NEVER when done), records
        # written in this phase, position in the activity curve, fair value (ticks) and depth factor of this instant.
        ("rng", np.uint64),
        ("next_ns", np.int64),
        ("phase", np.int64),
        ("emitted", np.int64),
        ("minute", np.int64),
        ("fair", np.float64),
        ("depth_scale", np.float64),
        ("tally", np.int64, (TALLY_FIELDS,)),
        # What the plan fixes: identity and character (see instruments.Liquidity), then the hours (ns UTC) and records.
        ("instrument_id", np.int64),
        ("tick_nanos", np.int64),
        ("is_dense", np.int64),
        ("crosses", np.int64),
        ("size_scale", np.int64),
        ("depth", np.float64),
        ("push_gap", np.float64),
        ("trade_share", np.float64),
        ("preopen_ns", np.int64),
        ("open_ns", np.int64),
        ("close_ns", np.int64),
        ("quiet_from_ns", np.int64),
        ("quiet_to_ns", np.int64),
        ("settle_from_ns", np.int64),
        ("settle_to_ns", np.int64),
        ("preopen_budget", np.int64),
        ("budget", np.int64),
        # What an attempt at a level shows, where one is planted (attempts.py): the size kept at a price of a side (ticks,
        # contracts; 0 for none), how much oftener than not the aggressor of an undirected trade buys, and how many orders
        # he has.
        ("held_side", np.int64),
        ("held_tick", np.int64),
        ("held_size", np.float64),
        ("buyers", np.float64),
        ("aggressor_orders", np.int64),
    ],
    align=True,
)
"""One instrument in one session. No event starts in [quiet_from, quiet_to), the UTC midnight where files change."""

BOOK_FIELDS = ("tick", "size", "orders", "levels")
"""What an instrument takes from session to session."""

State = npt.NDArray[np.void]
Record = Any
"""One element of a ``State`` array; kernels take it by reference and change it in place."""


class Curves(NamedTuple):
    """The curves one session follows; ``n`` instruments, ``m`` minutes, ``s`` seconds.

    Attributes:
        activity: float64[n, m + 1], cumulative share of the records by minute from the open, 0 to 1.
        depth_scale: float64[m], depth relative to regular trading hours, by minute from the open.
        fair: float64[n, s], fair value by second from ``fair_start_ns``, ticks.
        fair_start_ns: Start of ``fair``, ns UTC.
    """

    activity: F64
    depth_scale: F64
    fair: F64
    fair_start_ns: int


@_compiled
def _uniform(m: Record) -> float:
    """Next xorshift64* draw in [0, 1) (Vigna, 2016, doi:10.1145/2845077)."""
    x = m.rng
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    m.rng = x
    return float((x * np.uint64(2685821657736338717)) >> np.uint64(11)) * 1.1102230246251565e-16


@_compiled
def _below(m: Record, bound: int) -> int:
    return int(_uniform(m) * bound)


@_compiled
def _exponential(m: Record) -> float:
    return float(-np.log(1.0 - _uniform(m)))


@_compiled
def _order_size(m: Record) -> int:
    """Contracts of one order: median 2, mean about 3.5, a thin tail of large ones, as in ES."""
    u = _uniform(m)
    if u < 0.45:
        size = 1
    elif u < 0.65:
        size = 2
    elif u < 0.80:
        size = 3 + _below(m, 2)
    elif u < 0.92:
        size = 5 + _below(m, 3)
    elif u < 0.985:
        size = 8 + _below(m, 8)
    else:
        size = 16 + _below(m, 45)
    return int(size * m.size_scale)


@_compiled
def _observe(m: Record, curves: Curves, i: int, ts: int) -> None:
    """Set an instrument's fair value and depth factor to those of an instant."""
    seconds = (ts - curves.fair_start_ns) * 1e-9
    last = curves.fair.shape[1] - 1
    j = min(max(int(seconds), 0), last - 1)
    w = min(max(seconds - j, 0.0), 1.0)
    m.fair = curves.fair[i, j] * (1.0 - w) + curves.fair[i, j + 1] * w
    minute = min(max((ts - m.open_ns) // 60_000_000_000, 0), curves.depth_scale.shape[0] - 1)
    m.depth_scale = curves.depth_scale[minute]


@_compiled
def _find(m: Record, side: int, tick: int) -> int:
    """Index at which ``tick`` is, or would be inserted, on a side."""
    sign = 1 if side == _ASK else -1
    k = 0
    while k < m.levels[side] and (tick - m.tick[side, k]) * sign > 0:
        k += 1
    return k


@_compiled
def _add(m: Record, side: int, tick: int, size: int) -> int:
    """Rest one order and return the level it joined; a full side drops its last, hidden level."""
    k = _find(m, side, tick)
    n = m.levels[side]
    if k < n and m.tick[side, k] == tick:
        m.size[side, k] += size
        m.orders[side, k] += 1
        return k
    if k == STORED_LEVELS:
        return k
    n = min(n, STORED_LEVELS - 1)
    for j in range(n, k, -1):
        m.tick[side, j] = m.tick[side, j - 1]
        m.size[side, j] = m.size[side, j - 1]
        m.orders[side, j] = m.orders[side, j - 1]
    m.tick[side, k] = tick
    m.size[side, k] = size
    m.orders[side, k] = 1
    m.levels[side] = n + 1
    return k


@_compiled
def _remove(m: Record, side: int, k: int, size: int, orders: int) -> None:
    """Take ``size`` contracts and ``orders`` orders off a level; an emptied level disappears."""
    m.size[side, k] -= size
    m.orders[side, k] = max(min(m.orders[side, k] - orders, m.size[side, k]), 1)
    if m.size[side, k] > 0:
        return
    for j in range(k, m.levels[side] - 1):
        m.tick[side, j] = m.tick[side, j + 1]
        m.size[side, j] = m.size[side, j + 1]
        m.orders[side, j] = m.orders[side, j + 1]
    m.levels[side] -= 1


@_compiled
def _fill_out_of_sight(m: Record) -> None:
    """Keep orders resting behind the tenth level, so that levels enter the sight when the best price moves."""
    if m.is_dense == 0:
        return
    for side in range(2):
        sign = 1 if side == _ASK else -1
        while VISIBLE_LEVELS <= m.levels[side] < VISIBLE_LEVELS + 7:
            k = m.levels[side]
            size = 1 + int(m.depth * (0.5 + _uniform(m)))
            m.tick[side, k] = m.tick[side, k - 1] + sign
            m.size[side, k] = size
            m.orders[side, k] = 1 + int(size * 0.42 / m.size_scale)
            m.levels[side] = k + 1


@_compiled
def _write(
    out: I64, channel: I64, row: int, m: Record, ts: int, price: int, size: int, action: int, side: int,
    flags: int, depth: int,
) -> int:  # fmt: skip
    """Write one record with the current book and return the next row."""
    channel[0] += 1
    u = _uniform(m)
    lag = 160_000 + int(u * 90_000)
    if u > 0.98:
        lag += int((u - 0.98) * 8e7)
    channel[1] = max(channel[1], ts + lag)
    record = out[row]
    record[0] = _HEADER | m.instrument_id << 32
    record[1] = ts
    record[2] = price
    record[3] = size | action << 32 | side << 40 | flags << 48 | depth << 56
    record[4] = channel[1]
    record[5] = (10_000 + int(u * 10_000)) | channel[0] << 32
    bids = m.levels[_BID]
    asks = m.levels[_ASK]
    nanos = m.tick_nanos
    for k in range(VISIBLE_LEVELS):
        bid_px = _UNDEF_PRICE
        ask_px = _UNDEF_PRICE
        sizes = 0
        orders = 0
        if k < bids:
            bid_px = m.tick[_BID, k] * nanos
            sizes = m.size[_BID, k]
            orders = m.orders[_BID, k]
        if k < asks:
            ask_px = m.tick[_ASK, k] * nanos
            sizes |= m.size[_ASK, k] << 32
            orders |= m.orders[_ASK, k] << 32
        record[6 + 4 * k] = bid_px
        record[7 + 4 * k] = ask_px
        record[8 + 4 * k] = sizes
        record[9 + 4 * k] = orders
    return row + 1


@_compiled
def _write_add(out: I64, channel: I64, row: int, m: Record, ts: int, side: int, tick: int, size: int) -> int:
    k = _add(m, side, tick, size)
    if k >= VISIBLE_LEVELS:
        return row
    letter = _SIDE_B if side == _BID else _SIDE_A
    return _write(out, channel, row, m, ts, tick * m.tick_nanos, size, _A, letter, _FLAG_BOOK_LAST, k)


@_compiled
def _write_cancel(
    out: I64, channel: I64, row: int, m: Record, ts: int, side: int, k: int, size: int, flags: int
) -> int:
    """Cancel one order; ``size`` is clipped to what one order of the level can hold."""
    tick = m.tick[side, k]
    whole = m.size[side, k]
    orders = m.orders[side, k]
    size = whole if orders == 1 else min(size, whole - orders + 1)
    _remove(m, side, k, size, _ONE)
    letter = _SIDE_B if side == _BID else _SIDE_A
    return _write(out, channel, row, m, ts, tick * m.tick_nanos, size, _C, letter, flags, k)


@_compiled
def _write_fill(
    out: I64, channel: I64, row: int, m: Record, ts: int, side: int, fill: int, is_last: bool
) -> int:
    """Remove ``fill`` contracts from the best level of a side: whole orders by C, a part of an order by M."""
    tick = m.tick[side, 0]
    price = tick * m.tick_nanos
    letter = _SIDE_B if side == _BID else _SIDE_A
    parts = 1 + _below(m, min(3, fill, m.orders[side, 0]))
    for part in range(parts, 0, -1):
        quantity = fill if part == 1 else 1 + _below(m, fill - part + 1)
        fill -= quantity
        flags = _FLAG_BOOK_LAST if part == 1 and is_last else _FLAG_BOOK
        left = m.size[side, 0] - quantity
        orders = m.orders[side, 0]
        fills_part_of_an_order = orders == 1 or (part == 1 and left >= orders and _uniform(m) < 0.5)
        if left > 0 and fills_part_of_an_order:
            _remove(m, side, _ZERO, quantity, _ZERO)
            remainder = 1 + _below(m, min(left - orders + 1, 9))
            row = _write(out, channel, row, m, ts, price, remainder, _M, letter, flags, _ZERO)
        else:
            _remove(m, side, _ZERO, quantity, _ONE)
            row = _write(out, channel, row, m, ts, price, quantity, _C, letter, flags, _ZERO)
    return row


@_compiled
def _record_trade(m: Record, ts: int, tick: int, size: int) -> None:
    tally = m.tally
    if tally[TALLY_VOLUME] == 0:
        tally[TALLY_OPEN] = tick
        tally[TALLY_HIGH] = tick
        tally[TALLY_LOW] = tick
    tally[TALLY_HIGH] = max(tally[TALLY_HIGH], tick)
    tally[TALLY_LOW] = min(tally[TALLY_LOW], tick)
    tally[TALLY_LAST] = tick
    tally[TALLY_VOLUME] += size
    if m.settle_from_ns <= ts < m.settle_to_ns:
        tally[TALLY_SETTLE_VALUE] += tick * size
        tally[TALLY_SETTLE_VOLUME] += size


@_compiled
def _write_trade(
    out: I64, channel: I64, row: int, m: Record, ts: int, hit: int, size: int, max_levels: int
) -> int:
    """An aggressor takes ``size`` contracts from side ``hit``: its T records, then the removals, one event group."""
    letter = _SIDE_B if hit == _ASK else _SIDE_A
    if _uniform(m) < 0.002:
        letter = _SIDE_N
    left = size
    levels = 0
    while left > 0 and levels < max_levels:
        fill = min(left, m.size[hit, levels])
        tick = m.tick[hit, levels]
        row = _write(out, channel, row, m, ts, tick * m.tick_nanos, fill, _T, letter, _FLAG_NONE, _ZERO)
        _record_trade(m, ts, tick, fill)
        left -= fill
        levels += 1
    last_tick = m.tick[hit, levels - 1]
    taken = size - left
    clears_level = taken > 0
    rests = _uniform(m) < 0.6
    for level in range(levels):
        fill = min(taken, m.size[hit, 0])
        clears_level = fill == m.size[hit, 0]
        is_last = level == levels - 1
        row = _write_fill(out, channel, row, m, ts, hit, fill, is_last and not (rests and clears_level))
        taken -= fill
    if rests and clears_level:
        own = _BID if hit == _ASK else _ASK
        row = _write_add(out, channel, row, m, ts, own, last_tick, _order_size(m))
    return row


@_compiled
def _preopen_event(out: I64, channel: I64, row: int, m: Record, ts: int) -> int:
    """Order entry before the open: resting orders on both sides, some of them through the other side."""
    reference = int(np.floor(m.fair))
    is_final = m.emitted >= m.preopen_budget - 1
    bids = m.levels[_BID]
    asks = m.levels[_ASK]
    is_built = bids >= 6 and asks >= 6
    if is_final and m.crosses == 1 and asks > 0 and (bids == 0 or m.tick[_BID, 0] < m.tick[_ASK, 0]):
        size = _order_size(m) + 4
        return _write_add(out, channel, row, m, ts, _BID, m.tick[_ASK, 0], size)
    side = _BID if _uniform(m) < 0.5 else _ASK
    if not is_built and bids != asks:
        side = _BID if bids < asks else _ASK
    u = _uniform(m)
    if is_built and u < 0.25:
        k = _below(m, min(m.levels[side], VISIBLE_LEVELS))
        return _write_cancel(out, channel, row, m, ts, side, k, _order_size(m), _FLAG_BOOK_LAST)
    sign = 1 if side == _ASK else -1
    distance = 1 + min(int(_exponential(m) * 4.0), 15)
    if is_built and m.crosses == 1 and u > 0.93:
        distance = -1 - _below(m, 12)
    tick = reference + sign * distance
    if m.crosses == 0:
        other = 1 - side
        if m.levels[other] > 0 and (m.tick[other, 0] - tick) * sign >= 0:
            tick = m.tick[other, 0] + sign
    return _write_add(out, channel, row, m, ts, side, tick, _order_size(m))


@_compiled
def _opening_print(out: I64, channel: I64, row: int, m: Record, ts: int) -> int:
    """Uncross the pre-open book: one T without aggressor for the matched volume, then what it takes off both sides."""
    volume = 0
    b = 0
    a = 0
    bid_left = m.size[_BID, 0]
    ask_left = m.size[_ASK, 0]
    tick = 0
    while b < m.levels[_BID] and a < m.levels[_ASK] and m.tick[_BID, b] >= m.tick[_ASK, a]:
        matched = min(bid_left, ask_left)
        volume += matched
        bid_left -= matched
        ask_left -= matched
        tick = m.tick[_BID, b] if bid_left > 0 else m.tick[_ASK, a]
        if bid_left == 0:
            b += 1
            bid_left = m.size[_BID, b] if b < m.levels[_BID] else 0
        if ask_left == 0:
            a += 1
            ask_left = m.size[_ASK, a] if a < m.levels[_ASK] else 0
    if volume == 0:
        return row
    row = _write(out, channel, row, m, ts, tick * m.tick_nanos, volume, _T, _SIDE_N, _FLAG_NONE, _ZERO)
    _record_trade(m, ts, tick, volume)
    for side in range(2):
        left = volume
        while left > 0:
            quantity = min(left, m.size[side, 0])
            left -= quantity
            price = m.tick[side, 0] * m.tick_nanos
            is_partial = quantity < m.size[side, 0]
            _remove(m, side, _ZERO, quantity, _ONE)
            flags = _FLAG_BOOK_LAST if side == _ASK and left == 0 else _FLAG_BOOK
            letter = _SIDE_B if side == _BID else _SIDE_A
            if is_partial:
                row = _write(out, channel, row, m, ts, price, m.size[side, 0], _M, letter, flags, _ZERO)
            else:
                row = _write(out, channel, row, m, ts, price, quantity, _C, letter, flags, _ZERO)
    return row


@_compiled
def _quote_event(out: I64, channel: I64, row: int, m: Record, ts: int, gap: float) -> int:
    """An add, cancel or modify inside the visible book that pulls each level towards its usual size."""
    side = _below(m, 2)
    sign = 1 if side == _ASK else -1
    visible = min(m.levels[side], VISIBLE_LEVELS)
    last = m.levels[side] - 1
    size = _order_size(m)
    best = m.tick[side, 0]
    if last < VISIBLE_LEVELS and abs(m.tick[side, last] - best) > _FAR_TICKS:
        return _write_cancel(out, channel, row, m, ts, side, last, size, _FLAG_BOOK_LAST)
    if visible < VISIBLE_LEVELS and _uniform(m) < (0.35 if m.is_dense == 1 else 0.12):
        step = 1 if m.is_dense == 1 else 1 + _below(m, 3)
        return _write_add(out, channel, row, m, ts, side, m.tick[side, last] + sign * step, size)
    k = min(int(_exponential(m) * 1.9), visible - 1)
    tick = m.tick[side, k]
    if k + 1 < visible and m.tick[side, k + 1] != tick + sign and _uniform(m) < 0.3:
        return _write_add(out, channel, row, m, ts, side, tick + sign, size)
    usual = m.depth * m.depth_scale * (0.6 if k == 0 else 0.95)
    if m.held_size > 0.0 and side == m.held_side and tick == m.held_tick:
        usual = m.held_size
    add_share = min(max(0.5 + 0.45 * (1.0 - m.size[side, k] / usual), 0.05), 0.95)
    would_move_best = k == 0 and m.orders[side, 0] == 1 and gap * sign < 0.2
    keeps_level = would_move_best or m.levels[side] < 3
    u = _uniform(m)
    if u < 0.08:
        old = m.size[side, k]
        if m.orders[side, k] > 1:
            old = min(_order_size(m), old - m.orders[side, k] + 1)
        size += 1 if size == old else 0
        m.size[side, k] += size - old
        letter = _SIDE_B if side == _BID else _SIDE_A
        return _write(out, channel, row, m, ts, tick * m.tick_nanos, size, _M, letter, _FLAG_BOOK_LAST, k)
    if keeps_level or _uniform(m) < add_share:
        return _write_add(out, channel, row, m, ts, side, tick, size)
    return _write_cancel(out, channel, row, m, ts, side, k, size, _FLAG_BOOK_LAST)


@_compiled
def _push_event(out: I64, channel: I64, row: int, m: Record, ts: int, gap: float) -> int:
    """Somebody moves the market towards fair value: takes the best level (or several), or pulls from it."""
    hit = _ASK if gap > 0 else _BID
    distance = abs(gap)
    levels = 1
    if distance > m.push_gap + 2.0 or (distance > m.push_gap and _uniform(m) < 0.05):
        levels = min(2 + _below(m, int(distance) + 1), _MAX_SWEEP)
    levels = min(levels, m.levels[hit] - 1)
    if levels > 0 and _uniform(m) < 0.65:
        size = 0
        for k in range(levels):
            size += m.size[hit, k]
        if levels == 1 and _uniform(m) < 0.4:
            size = max(1, size - 1 - _below(m, size))
        return _write_trade(out, channel, row, m, ts, hit, size, levels)
    size = m.size[hit, 0]
    if m.levels[hit] > 1 or m.orders[hit, 0] > 1:
        return _write_cancel(out, channel, row, m, ts, hit, _ZERO, max(3, size), _FLAG_BOOK_LAST)
    own = 1 - hit
    return _write_add(out, channel, row, m, ts, own, m.tick[own, 0], _order_size(m))


@_compiled
def _narrow_event(out: I64, channel: I64, row: int, m: Record, ts: int, gap: float) -> int:
    """A new best price inside a spread wider than a tick, on the side fair value asks for."""
    side = _BID if gap > 0 else _ASK
    best_bid = m.tick[_BID, 0]
    best_ask = m.tick[_ASK, 0]
    fair = m.fair
    if side == _BID:
        tick = min(max(int(np.floor(fair - 0.5)), best_bid + 1), best_ask - 1)
    else:
        tick = max(min(int(np.ceil(fair + 0.5)), best_ask - 1), best_bid + 1)
    return _write_add(out, channel, row, m, ts, side, tick, _order_size(m))


@_compiled
def _trading_event(out: I64, channel: I64, row: int, m: Record, ts: int) -> int:
    fair = m.fair
    for side in range(2):
        if m.levels[side] == 0:
            other = 1 - side
            sign = 1 if side == _ASK else -1
            tick = int(np.floor(fair)) + sign
            if m.levels[other] > 0:
                tick = m.tick[other, 0] + sign
            return _write_add(out, channel, row, m, ts, side, tick, _order_size(m))
    spread = m.tick[_ASK, 0] - m.tick[_BID, 0]
    gap = fair - 0.5 * (m.tick[_ASK, 0] + m.tick[_BID, 0])
    is_dense = m.is_dense == 1
    if spread > 1 and _uniform(m) < (0.95 if is_dense or spread > 3 else 0.4):
        return _narrow_event(out, channel, row, m, ts, gap)
    if abs(gap) > m.push_gap and _uniform(m) < min(0.35 * abs(gap), 0.9):
        return _push_event(out, channel, row, m, ts, gap)
    if _uniform(m) < m.trade_share:
        hit = _ASK if _uniform(m) < min(max(0.5 + 0.2 * gap, 0.2), 0.8) + m.buyers else _BID
        available = m.size[hit, 0]
        if available > 1:
            size = min(_order_size(m) * m.aggressor_orders, available - 1)
            return _write_trade(out, channel, row, m, ts, hit, size, _ONE)
    return _quote_event(out, channel, row, m, ts, gap)


@_compiled
def _due_ns(m: Record, activity: F64, count: int) -> int:
    """Instant by which the activity curve wants ``count`` records of the current phase written."""
    if m.phase == PREOPEN:
        share = count / m.preopen_budget
        return int(m.preopen_ns + (m.open_ns - 10_000_000 - m.preopen_ns) * np.sqrt(share))
    share = count / m.budget
    last = activity.shape[0] - 2
    minute = m.minute
    while minute < last and activity[minute + 1] < share:
        minute += 1
    m.minute = minute
    width = activity[minute + 1] - activity[minute]
    part = (share - activity[minute]) / width if width > 0 else 1.0
    return int(m.open_ns + (minute + min(max(part, 0.0), 1.0)) * 60e9)


@_compiled
def _schedule(m: Record, activity: F64, now: int) -> None:
    """Set the next event so that records arrive in bursts and still follow the activity curve."""
    budget = m.preopen_budget if m.phase == PREOPEN else m.budget
    end = m.open_ns - 5_000_000 if m.phase == PREOPEN else m.close_ns
    if m.emitted >= budget:
        ts = end
    else:
        ahead = min(m.emitted + _LOOKAHEAD, budget)
        mean = max(_due_ns(m, activity, ahead) - now, 0) / (ahead - m.emitted)
        burst = 0.15 if _uniform(m) < 0.6 else 2.275
        wait = mean * burst * _exponential(m)
        is_wide = (
            m.phase == TRADING
            and m.is_dense == 1
            and m.levels[_BID] > 0
            and m.levels[_ASK] > 0
            and m.tick[_ASK, 0] - m.tick[_BID, 0] > 1
        )
        if is_wide:
            wait = min(wait, 30_000.0 + 400_000.0 * _uniform(m))
        ts = now + 2_000 + int(wait)
        if ts >= end and end - now > 1_000_000_000:
            # A long pause near the end would cost the records that are still due.
            ts = now + int((end - now) * _uniform(m))
    if m.quiet_from_ns <= ts < m.quiet_to_ns:
        ts = m.quiet_to_ns + _below(m, 1_000_000)
    if ts < end:
        m.next_ns = ts
    elif m.phase == PREOPEN:
        m.phase = OPENING
        m.next_ns = m.open_ns + 200_000 + _below(m, 20_000_000)
    else:
        m.next_ns = NEVER


@_compiled
def start_session(state: State, curves: Curves) -> None:
    """Arm every instrument for the pre-open of a session.

    Args:
        state: ``STATE_DTYPE``[n], changed in place: progress and tallies start anew, books stay as they are.
        curves: The session's curves.
    """
    for i in range(state.shape[0]):
        m = state[i]
        m.phase = PREOPEN
        m.emitted = 0
        m.minute = 0
        m.tally[:] = 0
        _schedule(m, curves.activity[i], m.preopen_ns)


@_compiled
def seed_book(state: State, curves: Curves, i: int, ts: int) -> None:
    """Fill an instrument's empty book around its fair value, as orders left from the session before would.

    Args:
        state: ``STATE_DTYPE``[n], changed in place.
        curves: The session's curves.
        i: Index of the instrument.
        ts: Instant, ns UTC.
    """
    m = state[i]
    _observe(m, curves, i, ts)
    middle = int(np.floor(m.fair))
    for side in range(2):
        tick = middle if side == _BID else middle + 1
        sign = 1 if side == _ASK else -1
        for k in range(VISIBLE_LEVELS):
            size = 1 + int(m.depth * (0.3 + 0.4 * _uniform(m)))
            m.tick[side, k] = tick
            m.size[side, k] = size
            m.orders[side, k] = 1 + int(size * 0.42 / m.size_scale)
            tick += sign * (1 if m.is_dense == 1 else 1 + _below(m, 2))
        m.levels[side] = VISIBLE_LEVELS
    _fill_out_of_sight(m)


@_compiled
def write_snapshots(out: I64, channel: I64, state: State, ts: int) -> int:
    """Restate every book that is not empty: one A record of the best bid with the snapshot flags an instrument.

    Args:
        out: int64[rows, 46], records.
        channel: int64[2], last sequence and last ts_recv of the feed, changed in place.
        state: ``STATE_DTYPE``[n].
        ts: Instant, ns UTC.

    Returns:
        The number of records written.
    """
    row = _ZERO
    for i in range(state.shape[0]):
        m = state[i]
        if m.levels[_BID] > 0 and m.next_ns != NEVER:
            price = m.tick[_BID, 0] * m.tick_nanos
            row = _write(out, channel, row, m, ts, price, m.size[_BID, 0], _A, _SIDE_B, _FLAG_SNAPSHOT, _ZERO)
    return row


@_compiled
def write_clears(out: I64, channel: I64, state: State, ts: int) -> int:
    """Empty every book with an R record, as the exchange does at the start of its week.

    Args:
        out: int64[rows, 46], records.
        channel: int64[2], last sequence and last ts_recv of the feed, changed in place.
        state: ``STATE_DTYPE``[n], changed in place.
        ts: Instant, ns UTC.

    Returns:
        The number of records written.
    """
    row = _ZERO
    for i in range(state.shape[0]):
        m = state[i]
        m.levels[:] = 0
        row = _write(out, channel, row, m, ts, _UNDEFINED, _ZERO, _R, _SIDE_N, _FLAG_BOOK_LAST, _ZERO)
    return row


@_compiled
def write_size(out: I64, channel: I64, state: State, i: int, ts: int, side: int, tick: int, size: int) -> int:
    """Bring the size at a visible price behind the best to ``size``: one order joins, or orders leave one by one.

    Args:
        out: int64[rows, 46], records.
        channel: int64[2], last sequence and last ts_recv of the feed, changed in place.
        state: ``STATE_DTYPE``[n], changed in place.
        i: Index of the instrument.
        ts: Instant, ns UTC.
        side: 0 bid, 1 ask.
        tick: The price, ticks.
        size: Contracts, at least 1.

    Returns:
        The number of records written; 0 where the price is the best, better, or out of sight.
    """
    m = state[i]
    row = _ZERO
    while row < MAX_EVENT_RECORDS:
        k = _find(m, side, tick)
        if k == 0 or k >= VISIBLE_LEVELS or k >= m.levels[side]:
            break
        there = m.size[side, k] if m.tick[side, k] == tick else 0
        if there == size:
            break
        if there < size:
            row = _write_add(out, channel, row, m, ts, side, tick, size - there)
        else:
            row = _write_cancel(out, channel, row, m, ts, side, k, there - size, _FLAG_BOOK_LAST)
    return row


@_compiled
def simulate(out: I64, channel: I64, state: State, curves: Curves, stop_ns: int) -> int:
    """Run all instruments in time order until ``stop_ns`` or until the buffer is nearly full.

    Args:
        out: int64[rows, 46], receives MBP-10 wire records; more than ``MAX_EVENT_RECORDS`` rows.
        channel: int64[2], last sequence and last ts_recv of the feed, changed in place.
        state: ``STATE_DTYPE``[n], changed in place.
        curves: The session's curves.
        stop_ns: No event at or after this instant is run, ns UTC.

    Returns:
        The number of records written; ``rows - MAX_EVENT_RECORDS`` or fewer means ``stop_ns`` was reached.
    """
    row = _ZERO
    while row <= out.shape[0] - MAX_EVENT_RECORDS:
        i = _ZERO
        for j in range(1, state.shape[0]):
            if state[j].next_ns < state[i].next_ns:
                i = j
        m = state[i]
        ts = m.next_ns
        if ts >= stop_ns:
            break
        before = row
        _observe(m, curves, i, ts)
        if m.phase == PREOPEN:
            row = _preopen_event(out, channel, row, m, ts)
        elif m.phase == OPENING:
            row = _opening_print(out, channel, row, m, ts)
            m.phase = TRADING
            m.emitted = 0
            m.minute = 0
        else:
            row = _trading_event(out, channel, row, m, ts)
        _fill_out_of_sight(m)
        m.emitted += row - before
        _schedule(m, curves.activity[i], ts)
    return row
