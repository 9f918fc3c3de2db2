"""Five-second bars of the book: what each counts, and what each ladder's states average to over its time.

Arrays in, arrays out; the carried state makes any chunking of a day give the same bits as one pass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.bar5s import BAR_NS, COUNTS, POINT_NANOS
from footprint_assets.kernels.bar5s_flows import CARRIED, NO_STATE, FlowState, add_flow, count, follow, hold
from footprint_assets.kernels.bar5s_states import (
    AVERAGED,
    ENTROPIES,
    FIRST_STATE,
    MID,
    STATES,
    STOIKOV,
    TILE,
    load,
    measure,
    new_tile,
)
from footprint_assets.kernels.book_events import LEVELS, SCRATCH
from footprint_assets.kernels.book_flow import BookFlow
from footprint_assets.kernels.fits import STOIKOV_STATES
from footprint_assets.kernels.lanes import LANES, add_weighted, lane_total

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


_BAR, _SINCE, _STATE, _LAST_EVENT, _RECORDS, _LANE = range(6)


class OffTickGrid(ValueError):  # noqa: N818 - names the fact
    """A price is no multiple of the tick."""


@dataclass(frozen=True)
class BarState:
    """The open bar, and the book that the next record meets."""

    # [start of the open bar or -1, the state lasts from here on, whether there is one, last event,
    #  records of the open bar so far, number within the bar of the record that left the state]
    clock: Int64 = field(default_factory=lambda: np.array([-1, 0, NO_STATE, 0, 0, 0], np.int64))
    flows: FlowState = field(default_factory=FlowState)
    tile: Float64 = field(default_factory=new_tile, metadata=SCRATCH)
    weights: Float64 = field(default_factory=lambda: np.zeros(TILE + 2 * LANES), metadata=SCRATCH)
    # States of the last ladder shown, and of the bar: first known value, lanes of its sum and of its time.
    held: Float64 = field(default_factory=lambda: np.full(STATES, np.nan))
    first: Float64 = field(default_factory=lambda: np.full(AVERAGED, np.nan))
    lanes: Float64 = field(default_factory=lambda: np.zeros(AVERAGED * 2 * LANES))
    # lowest and highest mid of the bar
    mid: Float64 = field(default_factory=lambda: np.array([np.inf, -np.inf]))
    # time of the bar by state of the best quote
    dwell: Float64 = field(default_factory=lambda: np.zeros(STOIKOV_STATES))


@dataclass(frozen=True)
class ClosedBars:
    """Consecutive bars whose end has passed.

    Args:
        start_ns: Start of the bar; int64[bars], ns since the epoch, multiples of ``BAR_NS``.
        counts: Flows and counts by the layout of ``bar5s``; int64[bars, COUNTS].
        average: Time-weighted average of the states of ``bar5s_states``; float64[bars, AVERAGED], NaN where never
            defined while it lasted.
        last: State at the end of the bar; float64[bars, STATES], NaN where not defined.
        mid: First, lowest and highest mid that lasted, half ticks; float64[bars, 3].
        quote: Shares of the quoted time by state of the best quote in the table of ``fits``; float64[bars, STOIKOV_STATES],
            NaN where it was never quoted with a positive spread.
        stale_ns: Time from the last event to the end of the bar; int64[bars], ns.
        last_row: Row of the chunk that left the last state; ``CARRIED`` from an earlier chunk, ``NO_STATE``; int64[bars].
    """

    start_ns: Int64
    counts: Int64
    average: Float64
    last: Float64
    mid: Float64
    quote: Float64
    stale_ns: Int64
    last_row: Int64

    def __len__(self) -> int:
        return len(self.start_ns)

    @classmethod
    def empty(cls, bars: int) -> ClosedBars:
        """Room for some bars."""
        return cls(
            np.empty(bars, np.int64),
            np.empty((bars, COUNTS), np.int64),
            np.empty((bars, AVERAGED), np.float64),
            np.empty((bars, STATES), np.float64),
            np.empty((bars, 3), np.float64),
            np.empty((bars, STOIKOV_STATES), np.float64),
            np.empty(bars, np.int64),
            np.empty(bars, np.int64),
        )

    @classmethod
    def joined(cls, parts: Sequence[ClosedBars]) -> ClosedBars:
        """Some runs of consecutive bars as one."""
        return cls(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(cls)))


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _dwell(time, one, other, dwell):  # type: ignore[no-untyped-def]
    """Add the time a best quote lasted, half to either of its states."""
    if one == one:
        dwell[int(one)] += time / 2
        dwell[int(other)] += time / 2


@njit(cache=True, nogil=True, error_model="numpy")
def _hold(time, lane, held, first, lanes, mid, dwell):  # type: ignore[no-untyped-def]
    """Let the state of an earlier bar or chunk count for the time it lasted."""
    if time == 0:
        return
    for j in range(AVERAGED):
        value = held[j]
        if value == value:
            if first[j] != first[j]:
                first[j] = value
            lanes[j * 2 * LANES + lane] += (value - first[j]) * time
            lanes[j * 2 * LANES + LANES + lane] += time
    _dwell(time, held[STOIKOV], held[STOIKOV + 1], dwell)
    if held[MID] == held[MID]:
        mid[0], mid[1] = min(mid[0], held[MID]), max(mid[1], held[MID])


@njit(cache=True, nogil=True, error_model="numpy")
def _average(begin, count, lane, lasted, tile, weights, first, lanes, scratch, mid, dwell):  # type: ignore[no-untyped-def]
    """Add some ladders of a tile to the open bar; ``lane`` is the number of the first one within the bar, modulo 8."""
    blocks = (lane + count + LANES - 1) // LANES
    weights[:LANES] = 0.0
    weights[(blocks - 1) * LANES : blocks * LANES] = 0.0
    weights[lane : lane + count] = lasted
    start = FIRST_STATE + begin - lane
    for j in range(AVERAGED):
        if first[j] == first[j]:
            add_weighted(tile, start + j * TILE, weights, blocks, first[j], lanes, j * 2 * LANES)
            continue
        add_weighted(tile, start + j * TILE, weights, blocks, 0.0, scratch, 0)
        lane_total(scratch, 0)
        if lane_total(scratch, LANES) == 0.0:
            continue
        i, at = 0, FIRST_STATE + j * TILE + begin
        while tile[at + i] != tile[at + i] or lasted[i] == 0.0:
            i += 1
        first[j] = tile[at + i]
        add_weighted(tile, start + j * TILE, weights, blocks, first[j], lanes, j * 2 * LANES)
    for i in range(count):
        value = tile[FIRST_STATE + MID * TILE + begin + i]
        if lasted[i] > 0.0 and value == value:
            mid[0], mid[1] = min(mid[0], value), max(mid[1], value)
            at = FIRST_STATE + STOIKOV * TILE + begin + i
            _dwell(lasted[i], tile[at], tile[at + TILE], dwell)


@njit(cache=True, nogil=True, error_model="numpy")
def _close(held, first, lanes, mid, dwell, out_average, out_last, out_mid, out_quote):  # type: ignore[no-untyped-def]
    """Write the open bar and open the next one."""
    quoted = 0.0
    for j in range(STOIKOV_STATES):
        quoted += dwell[j]
    for j in range(STOIKOV_STATES):
        out_quote[j] = dwell[j] / quoted
        dwell[j] = 0.0
    seen = first[MID] == first[MID]
    out_mid[0] = first[MID]
    out_mid[1], out_mid[2] = mid[0] if seen else np.nan, mid[1] if seen else np.nan
    mid[0], mid[1] = np.inf, -np.inf
    for j in range(AVERAGED):
        # Sums run over the difference to the bar's first value: a book that rests averages to itself, to the bit.
        total, time = lane_total(lanes, j * 2 * LANES), lane_total(lanes, j * 2 * LANES + LANES)
        out_average[j] = first[j] + total / time
        first[j] = np.nan
    for j in range(STATES):
        out_last[j] = held[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _take(row, tile, held):  # type: ignore[no-untyped-def]
    """Keep the states of a ladder of the tile; of none, if the book is not known."""
    for j in range(STATES):
        held[j] = tile[FIRST_STATE + j * TILE + row] if row >= 0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _run(  # type: ignore[no-untyped-def]
    action, side, flags, price, prices, sizes, differs, kept_priorities, kept_sizes, kept_sums, counts, micro,
    ladder_price, ladder_size, ladder_orders, tick_size, per_tick, per_point,
    lasted, opening, shown, end, closed, carried, records, held_lane,
    tile, entropy, weights, held, first, lanes, mid, dwell, out_average, out_last, out_mid, out_quote, out_row,
):  # fmt: skip
    """Average the states of a chunk."""
    n, b, off, begin, taken = ladder_price.shape[2], 0, 0, 0, CARRIED
    scratch = np.zeros(2 * LANES)
    _hold(opening[0], held_lane % LANES, held, first, lanes, mid, dwell)
    for tile_begin in range(0, n, TILE):
        tile_end = min(tile_begin + TILE, n)
        load(tile_begin, ladder_price, ladder_size, ladder_orders, tick_size, tile)
        off += follow(
            tile_begin, tile_end, b, action, side, flags, price, prices, sizes, differs, end, shown, carried, tick_size,
            kept_priorities, kept_sizes, kept_sums, counts, micro, entropy,
        )  # fmt: skip
        measure(per_tick, per_point, tile)
        while True:
            stop = min(end[b], tile_end)
            if stop > begin:
                _average(
                    begin - tile_begin,
                    stop - begin,
                    records % LANES,
                    lasted[begin:stop],
                    tile,
                    weights,
                    first,
                    lanes,
                    scratch,
                    mid,
                    dwell,
                )
                records += stop - begin
                begin = stop
            if stop > 0:
                row = shown[stop - 1]
                if row != taken and row != CARRIED:
                    _take(row - tile_begin if row >= 0 else row, tile, held)
                    taken = row
            if end[b] > tile_end or b == closed:
                break
            _close(held, first, lanes, mid, dwell, out_average[b], out_last[b], out_mid[b], out_quote[b])
            out_row[b] = shown[stop - 1] if stop > 0 else carried
            b += 1
            records = 0
            _hold(opening[b], 0, held, first, lanes, mid, dwell)
    return off


def scan(
    ts: Int64,
    action: NDArray[np.uint8],
    side: NDArray[np.uint8],
    flags: NDArray[np.int16],
    price: Int64,
    size: Int64,
    ladder_price: Int64,
    ladder_size: NDArray[np.int32],
    ladder_orders: NDArray[np.int32],
    flow: BookFlow,
    tick_size_nanos: int,
    state: BarState,
) -> ClosedBars:
    """Run book records through the open bar and hand out the bars they close.

    A state holds on [t_k, t_k+1), from the record that left it to the next one; a time-weighted average runs over the
    whole bar, first and last interval included, as far as the value was defined. Bands are distances from the
    microprice, tick bands ticks from the side's own best price: of the state itself for depth, of the state before the
    event for flow. The flow of an event is the change of size at every price both ladders show (the rule of
    ``book_events``); snapshot rows, clears, and the first ladder after a clear are no flow. Order-flow imbalance runs over
    every record that shows a ladder after a known one. After a clear there is no state until a record shows one.

    Args:
        ts: Event times, ascending, ns since the epoch, shape ``(n,)``; never before an earlier chunk's last.
        action: ASCII codes of the DBN action, shape ``(n,)``.
        side: ASCII codes of the DBN side, shape ``(n,)``; the aggressor for trades, the resting side otherwise.
        flags: DBN flag bits, shape ``(n,)``.
        price: Event price, 1e-9 points, ``UNDEF_PRICE`` where absent, shape ``(n,)``.
        size: Event size, contracts, shape ``(n,)``.
        ladder_price: Post-event prices by column, shape ``(2, 10, n)``, bids first, best first, 1e-9 points,
            ``UNDEF_PRICE`` where absent. Spread times best size must stay within int64.
        ladder_size: Post-event sizes by column, shape ``(2, 10, n)``, contracts, 0 where absent.
        ladder_orders: Post-event order counts by column, shape ``(2, 10, n)``, 0 where absent.
        flow: What these records changed, price by price.
        tick_size_nanos: Minimum price increment, 1e-9 points.
        state: Carried state, advanced in place.

    Returns:
        The bars that end at or before the last record, bars without a record included.

    Raises:
        OffTickGrid: If a price of a ladder is no multiple of the tick.

    TWA over [t0, t1) = (1/T) sum of state times duration; microprice (Gatheral and Oomen 2010) = (a0 qb0 + b0 qa0) /
    (qb0 + qa0); order-book imbalance = (qb - qa) / (qb + qa). Order-flow imbalance: Cont, Kukanov and Stoikov (2014); at
    every level: Xu, Gould and Howison (2018).
    """
    if len(ts) == 0:
        return ClosedBars.empty(0)
    if state.clock[_BAR] < 0:
        state.clock[_BAR] = state.clock[_SINCE] = ts[0] // BAR_NS * BAR_NS
    clock, carried, n, tick_size = state.clock, state.flows, len(ts), tick_size_nanos
    closed = int(ts[-1] - clock[_BAR]) // BAR_NS
    out = ClosedBars.empty(closed)
    out.start_ns[:] = clock[_BAR] + BAR_NS * np.arange(closed)
    end = np.append(np.searchsorted(ts, out.start_ns + BAR_NS), n)
    last_event = np.where(end[:-1] > 0, ts[end[:-1] - 1], clock[_LAST_EVENT])
    out.stale_ns[:] = out.start_ns + BAR_NS - last_event
    before = int(clock[_STATE])
    lasted, opening, shown = np.zeros(n), np.empty(closed + 1, np.int64), np.empty(n, np.int64)
    since = hold(ts, action, end, clock[_BAR], before != NO_STATE, clock[_SINCE], lasted, opening, shown)

    counts = np.zeros((closed + 1, COUNTS), np.int64)
    counts[0] = carried.counts
    micro = np.empty((2, n), np.int64)
    count(action, side, flags, size, end, counts)
    unit = math.gcd(tick_size, POINT_NANOS)
    off = _run(
        action, side, flags, price, ladder_price.reshape(2 * LEVELS, n), ladder_size.reshape(2 * LEVELS, n), flow.differs,
        carried.priorities, carried.sizes, carried.sums, counts, micro,
        ladder_price, ladder_size, ladder_orders, tick_size, tick_size / unit, POINT_NANOS / unit,
        lasted, opening, shown, end, closed, before, clock[_RECORDS], clock[_LANE],
        state.tile, state.tile[ENTROPIES * TILE : (ENTROPIES + 2) * TILE].reshape(2, TILE),
        state.weights, state.held, state.first, state.lanes, state.mid, state.dwell,
        out.average, out.last, out.mid, out.quote, out.last_row,
    )  # fmt: skip
    if off:
        raise OffTickGrid
    add_flow(
        ts, ladder_price, end, micro, tick_size,
        flow.row, flow.side, flow.price, flow.best, flow.opening, flow.added, flow.filled, flow.pulled,
        carried.fills, counts,
    )  # fmt: skip
    out.counts[:] = counts[:closed]
    carried.counts[:] = counts[closed]
    _carry(ts, end, shown, since, clock)
    return out


def _carry(ts: Int64, end: Int64, shown: Int64, since: int, clock: Int64) -> None:
    """Leave the clock as the next chunk meets it."""
    closed, n = len(end) - 1, len(ts)
    # The open bar's first row, negative where earlier chunks have rows of it.
    begin = int(end[-2]) if closed else -int(clock[_RECORDS])
    if shown[-1] >= max(begin, 0):
        clock[_LANE] = shown[-1] - begin
    elif closed:
        clock[_LANE] = 0
    clock[_BAR] += closed * BAR_NS
    clock[_SINCE], clock[_STATE] = since, NO_STATE if shown[-1] == NO_STATE else CARRIED
    clock[_LAST_EVENT], clock[_RECORDS] = ts[-1], n - begin


def finish(state: BarState) -> ClosedBars:
    """Close the open bar at its own end, the last state held until there.

    Args:
        state: Carried state; the records that follow are of later bars.

    Returns:
        One bar, or none when no record was seen since the last one closed.
    """
    clock = state.clock
    if clock[_RECORDS] == 0:
        return ClosedBars.empty(0)
    out, end = ClosedBars.empty(1), clock[_BAR] + BAR_NS
    out.start_ns[0], out.counts[0] = clock[_BAR], state.flows.counts
    out.stale_ns[0], out.last_row[0] = end - clock[_LAST_EVENT], clock[_STATE]
    if clock[_STATE] != NO_STATE:
        _hold(
            end - clock[_SINCE], clock[_LANE] % LANES,
            state.held, state.first, state.lanes, state.mid, state.dwell,
        )  # fmt: skip
    _close(
        state.held, state.first, state.lanes, state.mid, state.dwell,
        out.average[0], out.last[0], out.mid[0], out.quote[0],
    )  # fmt: skip
    state.flows.counts[:] = 0
    clock[_BAR] = clock[_SINCE] = end
    clock[_RECORDS] = clock[_LANE] = 0
    return out
