"""Five-second bars of the book: flows, time-weighted states, and where each bar's last state stands.

Arrays in, arrays out; the carried state makes any chunking of a day give the same bits as one pass. What is a function
of a bar's last ladder alone lives in ``bar5s_ladder``.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numba import njit
from numpy.typing import NDArray

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
Float64 = NDArray[np.float64]

BAR_NS = 5_000_000_000
POINT_NANOS = 1_000_000_000
BAND_EDGES = np.array([1, 2, 3, 5, 10], np.int64) * POINT_NANOS
"""Upper edges of the distance bands, included; 1e-9 points."""
BANDS = 5
NO_STATE, CARRIED = -2, -1
"""Values of ``ClosedBars.last_row`` that are no row of the chunk."""

# Layout of a bar's counts: what is added up record by record.
MSG, CLEARS, ADDS, CANCELS, MODIFIES, TRADES = range(6)
TRADE_CNT, TRADE_VOL, TRADE_BUY, TRADE_SELL, TRADE_SIGNED = range(6, 11)
FLOW = 11  # [added, removed][bid, ask][band]
FLOW_CNT = FLOW + 2 * 2 * BANDS  # [add, cancel, modify][bid, ask][band]
COUNTS = FLOW_CNT + 3 * 2 * BANDS

# Layout of a state: what is averaged over time. NaN is "not visible" or "not defined".
SPREAD, OBI0, OBI10 = range(3)
CDI = 3  # [band]
DEPTH = CDI + BANDS  # [bid, ask]
BAND_QTY = DEPTH + 2  # [bid, ask][band]
BAND_FRAC = BAND_QTY + 2 * BANDS  # [bid, ask][band]
STATES = BAND_FRAC + 2 * BANDS

_ADD, _CANCEL, _MODIFY = ord("A"), ord("C"), ord("M")
# Ladders are kept by priority: the price of a bid, minus the price of an ask. Best is largest on both sides, so one
# code serves both, and an absent level is worse than any price.
_ABSENT = -UNDEF_PRICE
_BAR, _SINCE, _KNOWN, _HAS_REFERENCE = range(4)
_WEIGHT, _FIRST, _SUM, _LOW, _HIGH = range(5)


@dataclass(frozen=True)
class BarState:
    """The open bar, and the book that the next record meets."""

    priority: Int64 = field(default_factory=lambda: np.full((2, LEVELS), _ABSENT, np.int64))
    size: Int64 = field(default_factory=lambda: np.zeros((2, LEVELS), np.int64))
    # [start of the open bar or -1, the averages run up to here, ladder known, both sides quoted]
    clock: Int64 = field(default_factory=lambda: np.array([-1, 0, 0, 0], np.int64))
    bounds: Int64 = field(default_factory=lambda: np.zeros((2, BANDS), np.int64))
    counts: Int64 = field(default_factory=lambda: np.zeros(COUNTS, np.int64))
    averages: Float64 = field(default_factory=lambda: np.zeros((5, STATES), np.float64))
    seen: NDArray[np.bool_] = field(default_factory=lambda: np.zeros((2, BANDS), np.bool_))


@dataclass(frozen=True)
class ClosedBars:
    """Consecutive bars whose end has passed.

    Args:
        start_ns: Start of the bar; int64[bars], ns since the epoch, multiples of ``BAR_NS``.
        counts: Flows and counts by the module's layout; int64[bars, COUNTS].
        seen: Whether a band of a side was in sight at some time of the bar; bool[bars, 2, BANDS].
        average: Time-weighted average of the state; float64[bars, STATES], NaN where never defined.
        last: State at the end of the bar; float64[bars, STATES], NaN where not defined.
        last_row: Row of the chunk that left the last state; ``CARRIED`` from an earlier chunk, ``NO_STATE``; int64[bars].
    """

    start_ns: Int64
    counts: Int64
    seen: NDArray[np.bool_]
    average: Float64
    last: Float64
    last_row: Int64

    def __len__(self) -> int:
        return len(self.start_ns)

    @classmethod
    def empty(cls, bars: int) -> ClosedBars:
        """Room for some bars."""
        return cls(
            np.empty(bars, np.int64),
            np.empty((bars, COUNTS), np.int64),
            np.empty((bars, 2, BANDS), np.bool_),
            np.empty((bars, STATES), np.float64),
            np.empty((bars, STATES), np.float64),
            np.empty(bars, np.int64),
        )


@njit(cache=True, nogil=True, error_model="numpy")
def _band(priority, bounds):  # type: ignore[no-untyped-def]
    """Distance band of a price on the side whose bounds are given; BANDS when it is farther than the last one."""
    for k in range(BANDS):
        if priority >= bounds[k]:
            return k
    return BANDS


@njit(cache=True, nogil=True, error_model="numpy")
def _set_bounds(priority, size, clock, bounds):  # type: ignore[no-untyped-def]
    """The farthest price of every band, from the microprice as an exact fraction of the spread above the bid."""
    bid, ask = priority[BID, 0], -priority[ASK, 0]
    clock[_HAS_REFERENCE] = 1 if priority[BID, 0] != _ABSENT and priority[ASK, 0] != _ABSENT else 0
    if clock[_HAS_REFERENCE] == 0:
        return
    share, whole = size[BID, 0], size[BID, 0] + size[ASK, 0]
    if whole == 0:
        share, whole = np.int64(1), np.int64(2)
    above_bid = (ask - bid) * share
    floor, ceil = above_bid // whole, -((-above_bid) // whole)
    for k in range(BANDS):
        bounds[BID, k] = bid + ceil - BAND_EDGES[k]
        bounds[ASK, k] = -(bid + floor + BAND_EDGES[k])


@njit(cache=True, nogil=True, error_model="numpy")
def _imbalance(bid, ask):  # type: ignore[no-untyped-def]
    return (bid - ask) / (bid + ask) if bid + ask > 0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _measure_bands(priority, size, bounds, side, depth, values):  # type: ignore[no-untyped-def]
    """Size by distance band of one side, and its share of the side."""
    at, share_at = BAND_QTY + side * BANDS, BAND_FRAC + side * BANDS
    last, level = priority[LEVELS - 1], 0
    whole = depth if depth > 0.0 else np.nan
    for k in range(BANDS):
        inside = np.int64(0)
        while level < LEVELS and priority[level] >= bounds[k]:
            inside += size[level]
            level += 1
        # A full ladder hides what lies beyond its last level.
        quantity = float(inside) if k == 0 or last < bounds[k - 1] else np.nan
        values[at + k] = quantity
        values[share_at + k] = quantity / whole


@njit(cache=True, nogil=True, error_model="numpy")
def _measure(priority, size, clock, bounds, values):  # type: ignore[no-untyped-def]
    """Every averaged quantity of one ladder."""
    values[:] = np.nan
    if clock[_KNOWN] == 0:
        return
    for side in (BID, ASK):
        depth = np.int64(0)
        for k in range(LEVELS):
            depth += size[side, k]
        values[DEPTH + side] = depth
    values[OBI0] = _imbalance(size[BID, 0], size[ASK, 0])
    values[OBI10] = _imbalance(values[DEPTH + BID], values[DEPTH + ASK])
    if clock[_HAS_REFERENCE] == 0:
        return
    values[SPREAD] = (-priority[ASK, 0] - priority[BID, 0]) / POINT_NANOS
    for side in (BID, ASK):
        _measure_bands(priority[side], size[side], bounds[side], side, values[DEPTH + side], values)
    for k in range(BANDS):
        below, above = values[BAND_QTY + k], values[BAND_QTY + BANDS + k]
        values[CDI + k] = (below - above) / (below + above) if below + above != 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _hold(until, clock, values, averages, seen):  # type: ignore[no-untyped-def]
    """Let the current state count for the time since the last one, up to an instant."""
    lasted = until - clock[_SINCE]
    clock[_SINCE] = until
    if clock[_KNOWN] == 0 or lasted <= 0:
        return
    for j in range(STATES):
        value = values[j]
        if np.isnan(value):
            continue
        if averages[_WEIGHT, j] == 0.0:
            averages[_FIRST, j] = averages[_LOW, j] = averages[_HIGH, j] = value
        # Sums run over the difference to the bar's first value: a book that rests averages to itself, to the bit.
        averages[_WEIGHT, j] += lasted
        averages[_SUM, j] += (value - averages[_FIRST, j]) * lasted
        if value < averages[_LOW, j]:
            averages[_LOW, j] = value
        elif value > averages[_HIGH, j]:
            averages[_HIGH, j] = value
    for side in (BID, ASK):
        for k in range(BANDS):
            seen[side, k] |= not np.isnan(values[BAND_QTY + side * BANDS + k])


@njit(cache=True, nogil=True, error_model="numpy")
def _flow(before, before_size, after, after_size, side, bounds, counts, seen):  # type: ignore[no-untyped-def]
    """Add what one side of the book gained and lost at every price both ladders show, by band."""
    i = 0
    while i < LEVELS and before[side, i] == after[side, i] and before_size[side, i] == after_size[side, i]:
        i += 1
    j = i
    while i < LEVELS or j < LEVELS:
        old = before[side, i] if i < LEVELS else _ABSENT
        new = after[side, j] if j < LEVELS else _ABSENT
        price = max(old, new)
        if price == _ABSENT:
            break
        change = np.int64(0)
        if old > new:
            change = -before_size[side, i] if price >= after[side, LEVELS - 1] else np.int64(0)
            i += 1
        elif new > old:
            change = after_size[side, j] if price >= before[side, LEVELS - 1] else np.int64(0)
            j += 1
        else:
            change = after_size[side, j] - before_size[side, i]
            i += 1
            j += 1
        if change != 0:
            k = _band(price, bounds[side])
            if k < BANDS:
                counts[FLOW + ((0 if change > 0 else 2) + side) * BANDS + k] += abs(change)
                seen[side, k] = True


@njit(cache=True, nogil=True, error_model="numpy")
def _count(act, side, size, snapshot, counts):  # type: ignore[no-untyped-def]
    """Count a record by its action, and a trade by its aggressor."""
    counts[MSG] += 1
    if act == CLEAR:
        counts[CLEARS] += 1
    elif act == _ADD:
        counts[ADDS] += 1
    elif act == _CANCEL:
        counts[CANCELS] += 1
    elif act == _MODIFY:
        counts[MODIFIES] += 1
    elif act == TRADE:
        counts[TRADES] += 1
        if not snapshot:
            counts[TRADE_CNT] += 1
            counts[TRADE_VOL] += size
            if side == BUYER:
                counts[TRADE_BUY] += size
                counts[TRADE_SIGNED] += size
            elif side == SELLER:
                counts[TRADE_SELL] += size
                counts[TRADE_SIGNED] -= size


@njit(cache=True, nogil=True, error_model="numpy")
def _count_in_band(act, side, price, bounds, counts, seen):  # type: ignore[no-untyped-def]
    """Count an add, cancel or modify in the band of its own price."""
    if price == UNDEF_PRICE or (side != BUYER and side != SELLER):
        return
    kind = 0 if act == _ADD else 1 if act == _CANCEL else 2 if act == _MODIFY else -1
    resting = BID if side == BUYER else ASK
    k = _band(price if resting == BID else -price, bounds[resting])
    if kind >= 0 and k < BANDS:
        counts[FLOW_CNT + (kind * 2 + resting) * BANDS + k] += 1
        seen[resting, k] = True


@njit(cache=True, nogil=True, error_model="numpy")
def _close(  # type: ignore[no-untyped-def]
    b, row, clock, values, counts, averages, seen,
    out_start, out_counts, out_seen, out_average, out_last, out_row,
):  # fmt: skip
    """Write the open bar as bar ``b`` and open the next one."""
    end = clock[_BAR] + BAR_NS
    _hold(end, clock, values, averages, seen)
    out_start[b] = clock[_BAR]
    out_counts[b] = counts
    out_seen[b] = seen
    out_last[b] = values
    out_row[b] = row if clock[_KNOWN] == 1 else NO_STATE
    for j in range(STATES):
        weight = averages[_WEIGHT, j]
        mean = averages[_FIRST, j] + averages[_SUM, j] / weight if weight > 0.0 else np.nan
        out_average[b, j] = min(max(mean, averages[_LOW, j]), averages[_HIGH, j]) if weight > 0.0 else np.nan
    counts[:] = 0
    averages[:] = 0.0
    seen[:] = False
    clock[_BAR] = end


@njit(cache=True, nogil=True, error_model="numpy")
def _scan(  # type: ignore[no-untyped-def]
    ts, action, side, flags, price, size, ladder_price, ladder_size, until,
    priority, resting, clock, bounds, counts, averages, seen,
    out_start, out_counts, out_seen, out_average, out_last, out_row,
):  # fmt: skip
    n, b, row = ts.shape[0], 0, CARRIED
    values = np.empty(STATES)
    after, after_size = np.empty((2, LEVELS), np.int64), np.empty((2, LEVELS), np.int64)
    _measure(priority, resting, clock, bounds, values)
    measured = True
    i = 0
    while True:
        if not measured:
            _measure(priority, resting, clock, bounds, values)
            measured = True
        stop = ts[i] if i < n else until
        while clock[_BAR] + BAR_NS <= stop:
            _close(
                b, row, clock, values, counts, averages, seen,
                out_start, out_counts, out_seen, out_average, out_last, out_row,
            )  # fmt: skip
            b += 1
        if i >= n:
            break
        _hold(stop, clock, values, averages, seen)
        while i < n and ts[i] == stop:  # states that last no time are never measured
            act, snapshot = action[i], (flags[i] & F_SNAPSHOT) != 0
            _count(act, side[i], size[i], snapshot, counts)
            if act != TRADE and act != NONE:
                for level in range(LEVELS):
                    bid, ask = ladder_price[BID, level, i], ladder_price[ASK, level, i]
                    after[BID, level] = bid if bid != UNDEF_PRICE else _ABSENT
                    after[ASK, level] = -ask
                    after_size[BID, level] = ladder_size[BID, level, i]
                    after_size[ASK, level] = ladder_size[ASK, level, i]
                if (
                    act != CLEAR and not snapshot and clock[_KNOWN] == 1 and clock[_HAS_REFERENCE] == 1
                ):  # fmt: skip
                    _flow(priority, resting, after, after_size, BID, bounds, counts, seen)
                    _flow(priority, resting, after, after_size, ASK, bounds, counts, seen)
                    _count_in_band(act, side[i], price[i], bounds, counts, seen)
                priority[:] = after
                resting[:] = after_size
                clock[_KNOWN] = 0 if act == CLEAR else 1
                _set_bounds(priority, resting, clock, bounds)
                row = i
                measured = False
            i += 1
    return b


def scan(
    ts: Int64,
    action: NDArray[np.uint8],
    side: NDArray[np.uint8],
    flags: NDArray[np.int16],
    price: Int64,
    size: Int64,
    ladder_price: Int64,
    ladder_size: NDArray[np.int32],
    state: BarState,
) -> ClosedBars:
    """Run book records through the open bar and hand out the bars they close.

    A state holds on [t_k, t_k+1), from the record that left it to the next one; a time-weighted average runs over the
    whole bar, first and last interval included, as far as the value was defined. Bands are distances from the
    microprice: of the state itself for depth, of the state before the event for flow. The flow of an event is the
    change of size at every price both ladders show (the rule of ``book_events``); snapshot rows, clears, and the first
    ladder after a clear are no flow. After a clear there is no state until a record shows one.

    Args:
        ts: Event times, ascending, ns since the epoch, shape ``(n,)``; never before an earlier chunk's last.
        action: ASCII codes of the DBN action, shape ``(n,)``.
        side: ASCII codes of the DBN side, shape ``(n,)``; the aggressor for trades, the resting side otherwise.
        flags: DBN flag bits, shape ``(n,)``.
        price: Event price, 1e-9 points, ``UNDEF_PRICE`` where absent, shape ``(n,)``.
        size: Event size, contracts, shape ``(n,)``.
        ladder_price: Post-event prices by column, shape ``(2, 10, n)``, bids first, 1e-9 points, ``UNDEF_PRICE``
            where absent. Spread times best size must stay within int64.
        ladder_size: Post-event sizes by column, shape ``(2, 10, n)``, contracts.
        state: Carried state, advanced in place.

    Returns:
        The bars that end at or before the last record, bars without a record included.

    TWA over [t0, t1) = (1/T) sum of state times duration; microprice (Gatheral and Oomen 2010) = (a0 qb0 + b0 qa0) /
    (qb0 + qa0); order-book imbalance = (qb - qa) / (qb + qa).
    """
    if len(ts) == 0:
        return ClosedBars.empty(0)
    if state.clock[_BAR] < 0:
        state.clock[_BAR] = state.clock[_SINCE] = ts[0] // BAR_NS * BAR_NS
    return _run(ts, action, side, flags, price, size, ladder_price, ladder_size, int(ts[-1]), state)


def finish(state: BarState) -> ClosedBars:
    """Close the open bar at its own end, the last state held until there.

    Args:
        state: Carried state; must not be used again.

    Returns:
        One bar, or none when no record was ever seen.
    """
    if state.clock[_BAR] < 0:
        return ClosedBars.empty(0)
    none = np.empty(0, np.int64)
    letters = np.empty(0, np.uint8)
    return _run(
        none, letters, letters, np.empty(0, np.int16), none, none,
        np.empty((2, LEVELS, 0), np.int64), np.empty((2, LEVELS, 0), np.int32),
        int(state.clock[_BAR]) + BAR_NS, state,
    )  # fmt: skip


def _run(
    ts: Int64,
    action: NDArray[np.uint8],
    side: NDArray[np.uint8],
    flags: NDArray[np.int16],
    price: Int64,
    size: Int64,
    ladder_price: Int64,
    ladder_size: NDArray[np.int32],
    until: int,
    state: BarState,
) -> ClosedBars:
    out = ClosedBars.empty((until - int(state.clock[_BAR])) // BAR_NS)
    closed = _scan(
        ts, action, side, flags, price, size, ladder_price, ladder_size, until,
        state.priority, state.size, state.clock, state.bounds, state.counts, state.averages, state.seen,
        out.start_ns, out.counts, out.seen, out.average, out.last, out.last_row,
    )  # fmt: skip
    assert closed == len(out), "every bar of the grid is closed once"
    return out
