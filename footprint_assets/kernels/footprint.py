"""Footprint of bars: volume at price by aggressor, and the summary of each bar read from that ladder.

Prices are int64 ticks and rows are ``tick // ticks_per_row``, so rows of different bars line up and add up. Nothing
here reads a trade outside the bar; figures that need earlier bars are made in ``indicators`` or by the transform.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.value_area import PERCENT, expanded, leads

NO_ROW = np.iinfo(np.int64).min
"""A price row that does not exist: the ask point of control of a bar without buyers, a stack nobody built."""

ZERO_IS_INFINITE, ZERO_IS_ONE, ZERO_IS_IGNORED = 0, 1, 2
"""What a zero on the other side of the diagonal means."""

CELL = np.dtype(
    [
        ("bar", np.int64),
        ("row", np.int64),
        ("bid_volume", np.int64),
        ("ask_volume", np.int64),
        ("unknown_volume", np.int64),
        ("bid_trades", np.int64),
        ("ask_trades", np.int64),
        ("max_trade_size", np.int64),
        ("first_ts", np.int64),
        ("last_ts", np.int64),
        ("buy_imbalance_ratio", np.float64),
        ("sell_imbalance_ratio", np.float64),
        ("buy_stack_length", np.int64),
        ("sell_stack_length", np.int64),
        ("is_buy_imbalance", np.bool_),
        ("is_sell_imbalance", np.bool_),
        ("is_poc", np.bool_),
        ("is_in_value_area", np.bool_),
    ],
    align=True,
)
"""One price row of one bar. Ratios are NaN without a neighbour row or with a zero denominator."""

_BAR_COUNTS = (
    *("open_tick", "high_tick", "low_tick", "close_tick", "rows"),
    *(
        "volume",
        "ask_volume",
        "bid_volume",
        "unknown_volume",
        "trades",
        "ask_trades",
        "bid_trades",
        "max_trade_size",
    ),
    *(
        "delta",
        "max_delta",
        "min_delta",
        "delta_since_high",
        "delta_since_low",
        "high_rows_delta",
        "low_rows_delta",
    ),
    *("sum_size_ticks", "sum_size_ticks_squared"),
    *(
        "poc_row",
        "poc_volume",
        "poc_delta",
        "ask_poc_row",
        "bid_poc_row",
        "vah_row",
        "val_row",
        "value_area_volume",
    ),
    *("buy_imbalance_count", "sell_imbalance_count", "buy_stack_max", "sell_stack_max"),
    *("stacked_buy_low_row", "stacked_buy_high_row", "stacked_sell_low_row", "stacked_sell_high_row"),
    *("high_bid_volume", "high_ask_volume", "low_bid_volume", "low_ask_volume"),
    *("absorption_high_volume", "absorption_low_volume", "cluster_count"),
)
_BAR_RATIOS = ("exhaustion_ratio_high", "exhaustion_ratio_low")
_BAR_FLAGS = (
    *("is_unfinished_high", "is_unfinished_low", "is_exhaustion_high", "is_exhaustion_low"),
    *("is_absorption_high", "is_absorption_low", "is_trapped_buyers", "is_trapped_sellers"),
)
BAR = np.dtype(
    [(name, np.int64) for name in _BAR_COUNTS]
    + [(name, np.float64) for name in _BAR_RATIOS]
    + [(name, np.bool_) for name in _BAR_FLAGS],
    align=True,
)
"""Summary of one bar. ``sum_size_ticks`` and its square are relative to ``open_tick``, which keeps them exact."""


# The tally of a row. Volume and trades are those of sellers, of nobody, of buyers, so that the sign of a trade is where
# it goes.
_BID, _UNKNOWN, _ASK, _BID_TRADES, _, _ASK_TRADES, _LARGEST, _FIRST_TS, _LAST_TS = range(9)
_IS_BUY, _IS_SELL, _BUY_STACK, _SELL_STACK = range(9, 13)
_TALLY = 16
"""Length of the tally: two cache lines."""


class Rules(NamedTuple):
    """Definitions a footprint is read with; the field documents them in FootprintSettings."""

    ticks_per_row: int
    imbalance_ratio: float
    imbalance_min_volume: int
    imbalance_min_difference: int
    imbalance_zero: int
    stacked_rows: int
    value_area_pct: int
    value_area_rows: int
    exhaustion_ratio: float
    absorption_quantile_pct: int
    absorption_mean_multiple: float
    absorption_rejection_ticks: int
    cluster_mean_multiple: float


class Trades(NamedTuple):
    """Trades of one session in file order; int64[trades] each.

    ``row`` is ``tick // ticks_per_row``; ``sign`` is +1 for an aggressive buyer, -1 for a seller, 0 unknown.
    """

    ts_ns: NDArray[np.int64]
    tick: NDArray[np.int64]
    row: NDArray[np.int64]
    size: NDArray[np.int64]
    sign: NDArray[np.int64]


@njit(cache=True, nogil=True)
def _trade_flow(trades: Trades, first: int, last: int, low_row: int, tally: Any, bar: Any) -> None:
    """Add the trades ``first:last`` to the tally of their rows and the order-dependent figures to the bar."""
    # Slices, because an index that might be negative costs more than the sum it is for.
    ticks, sizes, rows = trades.tick[first:last], trades.size[first:last], trades.row[first:last]
    signs, times = trades.sign[first:last], trades.ts_ns[first:last]
    open_tick = ticks[0]
    high = low = open_tick
    delta = np.int64(0)
    max_delta = np.int64(0)
    min_delta = np.int64(0)
    delta_at_high = np.int64(0)
    delta_at_low = np.int64(0)
    sum_ticks = np.int64(0)
    sum_squares = np.int64(0)
    for i in range(ticks.shape[0]):
        tick = ticks[i]
        size = sizes[i]
        # An index, not a branch: the aggressor of the next trade is the least predictable thing in the file.
        side = np.int64(signs[i] > 0) - np.int64(signs[i] < 0)
        cell = tally[np.uint64(rows[i] - low_row)]
        cell[np.uint64(_UNKNOWN + side)] += size
        cell[np.uint64(_UNKNOWN + 3 + side)] += 1
        if cell[_LARGEST] == 0:
            cell[_FIRST_TS] = times[i]
        cell[_LAST_TS] = times[i]
        cell[_LARGEST] = max(cell[_LARGEST], size)
        delta += size * side
        max_delta = max(max_delta, delta)
        min_delta = min(min_delta, delta)
        if tick >= high:
            high = tick
            delta_at_high = delta
        if tick <= low:
            low = tick
            delta_at_low = delta
        offset = tick - open_tick
        sum_ticks += size * offset
        sum_squares += size * offset * offset
    bar.open_tick = open_tick
    bar.high_tick = high
    bar.low_tick = low
    bar.close_tick = ticks[ticks.shape[0] - 1]
    bar.trades = last - first
    bar.delta = delta
    bar.max_delta = max_delta
    bar.min_delta = min_delta
    bar.delta_since_high = delta - delta_at_high
    bar.delta_since_low = delta - delta_at_low
    bar.sum_size_ticks = sum_ticks
    bar.sum_size_ticks_squared = sum_squares


@njit(cache=True, nogil=True)
def _dominates(volume: int, opposite: int, rules: Rules) -> bool:
    """Whether ``volume`` is an imbalance against the ``opposite`` side one row along the diagonal."""
    # Arithmetic, not branches: no row foretells the next.
    enough = (
        (volume > 0)
        & (volume >= rules.imbalance_min_volume)
        & (volume - opposite >= rules.imbalance_min_difference)
    )
    against_zero = (opposite == 0) & (rules.imbalance_zero != ZERO_IS_ONE)
    is_many_times = volume >= rules.imbalance_ratio * max(opposite, 1)
    return bool(enough & (rules.imbalance_zero == ZERO_IS_INFINITE if against_zero else is_many_times))


@njit(cache=True, nogil=True)
def _buy_stacks(tally: Any, rows: int, bar: Any, low_row: int, close_row: int, rules: Rules) -> None:
    """Runs of consecutive buy imbalances; of equally long runs the lowest is the bar's stack."""
    longest = 0
    row = 0
    while row < rows:
        if not tally[row, _IS_BUY]:
            row += 1
            continue
        run = row
        while row < rows and tally[row, _IS_BUY]:
            row += 1
        length = row - run
        for member in range(run, row):
            tally[member, _BUY_STACK] = length
        if length >= rules.stacked_rows:
            if length > longest:
                bar.stacked_buy_low_row = low_row + run
                bar.stacked_buy_high_row = low_row + row - 1
            if 3 * run >= 2 * (rows - 1) and close_row < low_row + run:
                bar.is_trapped_buyers = True
        longest = max(longest, length)
    bar.buy_stack_max = longest


@njit(cache=True, nogil=True)
def _sell_stacks(tally: Any, rows: int, bar: Any, low_row: int, close_row: int, rules: Rules) -> None:
    """Runs of consecutive sell imbalances; of equally long runs the highest is the bar's stack."""
    longest = 0
    row = rows - 1
    while row >= 0:
        if not tally[row, _IS_SELL]:
            row -= 1
            continue
        run = row
        while row >= 0 and tally[row, _IS_SELL]:
            row -= 1
        length = run - row
        for member in range(row + 1, run + 1):
            tally[member, _SELL_STACK] = length
        if length >= rules.stacked_rows:
            if length > longest:
                bar.stacked_sell_low_row = low_row + row + 1
                bar.stacked_sell_high_row = low_row + run
            if 3 * (rows - 1 - run) >= 2 * (rows - 1) and close_row > low_row + run:
                bar.is_trapped_sellers = True
        longest = max(longest, length)
    bar.sell_stack_max = longest


@njit(cache=True, nogil=True)
def _is_exhaustion(extreme: int, second: int, third: int, opposite: int, ratio: float) -> bool:
    """Whether the aggressor who made the extreme ran dry there; see section "Extremes" of docs/footprint.md."""
    dried_up = opposite == 0 and ratio * extreme <= min(second, third)
    fading = second >= ratio * max(extreme, 1) and third > second > extreme
    return dried_up or fading


@njit(cache=True, nogil=True)
def _is_absorbing(volume: int, totals: NDArray[np.int64], bar_volume: int, rules: Rules) -> bool:
    """Whether a row's aggressive volume is large among the rows of its bar (nearest-rank quantile and mean)."""
    rows = totals.shape[0]
    if volume <= 0 or volume * rows < rules.absorption_mean_multiple * bar_volume:
        return False
    not_larger = 0
    for row in range(rows):
        if totals[row] <= volume:
            not_larger += 1
    return bool(PERCENT * not_larger >= rules.absorption_quantile_pct * rows)


@njit(cache=True, nogil=True)
def _extremes(tally: Any, totals: NDArray[np.int64], bar: Any, low_row: int, rules: Rules) -> None:
    """Unfinished auction, exhaustion and absorption at the high and the low of the bar."""
    rows = totals.shape[0]
    top = rows - 1
    bar.high_bid_volume = tally[top, _BID]
    bar.high_ask_volume = tally[top, _ASK]
    bar.low_bid_volume = tally[0, _BID]
    bar.low_ask_volume = tally[0, _ASK]
    bar.is_unfinished_high = tally[top, _BID] > 0 and tally[top, _ASK] > 0
    bar.is_unfinished_low = tally[0, _BID] > 0 and tally[0, _ASK] > 0
    bar.exhaustion_ratio_high = np.nan
    bar.exhaustion_ratio_low = np.nan
    if rows > 1:
        bar.exhaustion_ratio_high = tally[top - 1, _ASK] / max(tally[top, _ASK], 1)
        bar.exhaustion_ratio_low = tally[1, _BID] / max(tally[0, _BID], 1)
    if rows > 2:
        bar.is_exhaustion_high = _is_exhaustion(
            tally[top, _ASK],
            tally[top - 1, _ASK],
            tally[top - 2, _ASK],
            tally[top, _BID],
            rules.exhaustion_ratio,
        )
        bar.is_exhaustion_low = _is_exhaustion(
            tally[0, _BID],
            tally[1, _BID],
            tally[2, _BID],
            tally[0, _ASK],
            rules.exhaustion_ratio,
        )
    for depth in range(min(rows, 2)):
        bar.high_rows_delta += tally[top - depth, _ASK] - tally[top - depth, _BID]
        bar.low_rows_delta += tally[depth, _ASK] - tally[depth, _BID]
    per_row = rules.ticks_per_row
    close = bar.close_tick
    for depth in range(min(rows, 3)):
        high_row = top - depth
        volume = tally[high_row, _ASK]
        if close <= (low_row + high_row) * per_row - rules.absorption_rejection_ticks and _is_absorbing(
            volume, totals, bar.volume, rules
        ):
            bar.is_absorption_high = True
            bar.absorption_high_volume = max(bar.absorption_high_volume, volume)
        volume = tally[depth, _BID]
        # The top of the row, so that the mirrored bar is rejected by the same number of ticks.
        row_top = (low_row + depth + 1) * per_row - 1
        if close >= row_top + rules.absorption_rejection_ticks and _is_absorbing(
            volume, totals, bar.volume, rules
        ):
            bar.is_absorption_low = True
            bar.absorption_low_volume = max(bar.absorption_low_volume, volume)


@njit(cache=True, nogil=True)
def _volume_at_price(tally: Any, totals: NDArray[np.int64], bar: Any, low_row: int, rules: Rules) -> int:
    """Totals of the rows and of the bar, its points of control, and the diagonal imbalances.

    One loop: a bar has a few rows, and where a loop ends costs more than what it does. Returns the row of the point of
    control.
    """
    rows = totals.shape[0]
    ask = bid = unknown = ask_trades = bid_trades = largest = 0
    most = most_ask = most_bid = before = 0
    bought = sold = 0
    poc = ask_poc = bid_poc = -1
    for row in range(rows):
        own = tally[row]
        own_ask, own_bid = own[_ASK], own[_BID]
        volume = own_ask + own_bid + own[_UNKNOWN]
        totals[row] = volume
        ask += own_ask
        bid += own_bid
        unknown += own[_UNKNOWN]
        ask_trades += own[_ASK_TRADES]
        bid_trades += own[_BID_TRADES]
        largest = max(largest, own[_LARGEST])
        if leads(volume, row, most, poc, rows):
            poc, most = row, volume
        if leads(own_ask, row, most_ask, ask_poc, rows):
            ask_poc, most_ask = row, own_ask
        if leads(own_bid, row, most_bid, bid_poc, rows):
            bid_poc, most_bid = row, own_bid
        if row > 0:
            is_buy, is_sell = _dominates(own_ask, before, rules), _dominates(before, own_ask, rules)
            own[_IS_BUY], tally[row - 1, _IS_SELL] = is_buy, is_sell
            bought += is_buy
            sold += is_sell
        before = own_bid
    bar.rows = rows
    bar.ask_volume, bar.bid_volume, bar.unknown_volume = ask, bid, unknown
    bar.volume = ask + bid + unknown
    bar.ask_trades, bar.bid_trades, bar.max_trade_size = ask_trades, bid_trades, largest
    bar.buy_imbalance_count, bar.sell_imbalance_count = bought, sold
    bar.poc_row, bar.poc_volume = low_row + poc, most
    bar.poc_delta = tally[poc, _ASK] - tally[poc, _BID]
    bar.ask_poc_row = NO_ROW if ask_poc < 0 else low_row + ask_poc
    bar.bid_poc_row = NO_ROW if bid_poc < 0 else low_row + bid_poc
    return poc


@njit(cache=True, nogil=True)
def _write(tally: Any, row: int, rows: int, cell: Any) -> None:
    """Turn the tally of a row into a cell."""
    own = tally[row]
    cell.bid_volume, cell.unknown_volume, cell.ask_volume = own[_BID], own[_UNKNOWN], own[_ASK]
    cell.bid_trades, cell.ask_trades, cell.max_trade_size = own[_BID_TRADES], own[_ASK_TRADES], own[_LARGEST]
    cell.first_ts, cell.last_ts = own[_FIRST_TS], own[_LAST_TS]
    below = tally[row - 1, _BID] if row > 0 else np.int64(0)
    above = tally[row + 1, _ASK] if row < rows - 1 else np.int64(0)
    cell.buy_imbalance_ratio = own[_ASK] / below if below > 0 else np.nan
    cell.sell_imbalance_ratio = own[_BID] / above if above > 0 else np.nan
    cell.buy_stack_length, cell.sell_stack_length = own[_BUY_STACK], own[_SELL_STACK]
    cell.is_buy_imbalance, cell.is_sell_imbalance = own[_IS_BUY] == 1, own[_IS_SELL] == 1


@njit(cache=True, nogil=True)
def _row_ranges(
    row: NDArray[np.int64], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int]:
    """Lowest and highest row of each bar, the largest number of rows, and an upper bound of the cells of all bars."""
    bars = offsets.shape[0] - 1
    low_rows = np.empty(bars, np.int64)
    high_rows = np.empty(bars, np.int64)
    most_rows, cells = 1, 0
    for b in range(bars):
        of_bar = row[offsets[b] : offsets[b + 1]]
        low = high = of_bar[0]
        for i in range(1, of_bar.shape[0]):
            low = min(low, of_bar[i])
            high = max(high, of_bar[i])
        low_rows[b] = low
        high_rows[b] = high
        rows = high - low + 1
        most_rows = max(most_rows, rows)
        cells += min(rows, offsets[b + 1] - offsets[b])
    return low_rows, high_rows, most_rows, cells


@njit(cache=True, nogil=True)
def _fill(
    trades: Trades,
    offsets: NDArray[np.int64],
    low_rows: NDArray[np.int64],
    high_rows: NDArray[np.int64],
    most_rows: int,
    rules: Rules,
    cells: Any,
    bars: Any,
) -> int:
    """Fill the cells and the summary of every bar in one pass over the trades; returns the number of cells."""
    per_row = rules.ticks_per_row
    tally = np.zeros((most_rows, _TALLY), np.int64)
    volumes = np.empty(most_rows, np.int64)
    filled = 0
    for b in range(bars.shape[0]):
        low_row = low_rows[b]
        rows = high_rows[b] - low_row + 1
        totals, bar = volumes[:rows], bars[b]
        bar.stacked_buy_low_row = bar.stacked_buy_high_row = NO_ROW
        bar.stacked_sell_low_row = bar.stacked_sell_high_row = NO_ROW
        _trade_flow(trades, offsets[b], offsets[b + 1], low_row, tally, bar)
        poc = _volume_at_price(tally, totals, bar, low_row, rules)
        val, vah, inside = expanded(totals, poc, bar.volume, rules.value_area_pct, rules.value_area_rows)
        bar.val_row, bar.vah_row, bar.value_area_volume = low_row + val, low_row + vah, inside
        close_row = bar.close_tick // per_row
        if bar.buy_imbalance_count > 0:
            _buy_stacks(tally, rows, bar, low_row, close_row, rules)
        if bar.sell_imbalance_count > 0:
            _sell_stacks(tally, rows, bar, low_row, close_row, rules)
        _extremes(tally, totals, bar, low_row, rules)
        clusters, least = 0, rules.cluster_mean_multiple * bar.volume
        for row in range(rows):
            clusters += 1 if totals[row] * rows >= least else 0
            if totals[row] > 0:
                cell = cells[filled]
                cell.bar, cell.row = b, low_row + row
                cell.is_poc, cell.is_in_value_area = row == poc, val <= row <= vah
                _write(tally, row, rows, cell)
                filled += 1
        bar.cluster_count = clusters
        for row in range(rows):
            for place in range(_TALLY):
                tally[row, place] = 0
    return filled


def footprint(trades: Trades, offsets: NDArray[np.int64], rules: Rules) -> tuple[NDArray[Any], NDArray[Any]]:
    """Price rows and summaries of bars.

    Args:
        trades: Trades of the session in file order; sizes are positive.
        offsets: Bar ``b`` holds the trades ``offsets[b]:offsets[b + 1]``, at least one; int64[bars + 1].
        rules: Row height, imbalance, value area and extreme definitions.

    Returns:
        ``(cells, bars)``: CELL records of the rows that traded, sorted by bar and row, and one BAR record a bar.
    """
    low_rows, high_rows, most_rows, most_cells = _row_ranges(trades.row, offsets)
    cells = np.zeros(most_cells, CELL)
    bars = np.zeros(len(offsets) - 1, BAR)
    return cells[: _fill(trades, offsets, low_rows, high_rows, most_rows, rules, cells, bars)], bars
