"""Footprint of bars: volume at price by aggressor, and the summary of each bar read from that ladder.

Prices are int64 ticks and rows are ``tick // ticks_per_row``, so rows of different bars line up and add up. Nothing
here reads a trade outside the bar; figures that need earlier bars are made in ``indicators`` or by the transform.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.value_area import PERCENT, point_of_control, value_area

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


_VOLUME, _TRADES, _LARGEST, _FIRST_TS, _LAST_TS = 0, 3, 6, 7, 8
"""Places in the tally of a row while its trades are counted. Volume and trades are those of sellers, of nobody, of
buyers, so that the sign of a trade is where it goes."""
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
def _trade_flow(
    trades: Trades, first: int, last: int, low_row: int, tally: Any, ladder: Any, bar: Any
) -> None:
    """Add the trades ``first:last`` to the ladder and the order-dependent figures to the bar; the tally stays zeroed."""
    open_tick = trades.tick[first]
    high = low = open_tick
    delta = np.int64(0)
    max_delta = np.int64(0)
    min_delta = np.int64(0)
    delta_at_high = np.int64(0)
    delta_at_low = np.int64(0)
    sum_ticks = np.int64(0)
    sum_squares = np.int64(0)
    largest = np.int64(0)
    for i in range(first, last):
        tick = trades.tick[i]
        size = trades.size[i]
        row = trades.row[i] - low_row
        # An index, not a branch: the aggressor of the next trade is the least predictable thing in the file.
        side = np.int64(trades.sign[i] > 0) - np.int64(trades.sign[i] < 0)
        cell = tally[row]
        cell[_VOLUME + 1 + side] += size
        cell[_TRADES + 1 + side] += 1
        if cell[_LARGEST] == 0:
            cell[_FIRST_TS] = trades.ts_ns[i]
        cell[_LAST_TS] = trades.ts_ns[i]
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
    for row in range(ladder.shape[0]):
        cell = tally[row]
        ladder[row]["bid_volume"] = cell[_VOLUME]
        ladder[row]["unknown_volume"] = cell[_VOLUME + 1]
        ladder[row]["ask_volume"] = cell[_VOLUME + 2]
        ladder[row]["bid_trades"] = cell[_TRADES]
        ladder[row]["ask_trades"] = cell[_TRADES + 2]
        ladder[row]["max_trade_size"] = cell[_LARGEST]
        ladder[row]["first_ts"] = cell[_FIRST_TS]
        ladder[row]["last_ts"] = cell[_LAST_TS]
        largest = max(largest, cell[_LARGEST])
        cell[:] = 0
    bar[0]["open_tick"] = open_tick
    bar[0]["high_tick"] = high
    bar[0]["low_tick"] = low
    bar[0]["close_tick"] = trades.tick[last - 1]
    bar[0]["trades"] = last - first
    bar[0]["max_trade_size"] = largest
    bar[0]["delta"] = delta
    bar[0]["max_delta"] = max_delta
    bar[0]["min_delta"] = min_delta
    bar[0]["delta_since_high"] = delta - delta_at_high
    bar[0]["delta_since_low"] = delta - delta_at_low
    bar[0]["sum_size_ticks"] = sum_ticks
    bar[0]["sum_size_ticks_squared"] = sum_squares


@njit(cache=True, nogil=True)
def _dominates(volume: int, opposite: int, rules: Rules) -> bool:
    """Whether ``volume`` is an imbalance against the ``opposite`` side one row along the diagonal."""
    if (
        volume <= 0
        or volume < rules.imbalance_min_volume
        or volume - opposite < rules.imbalance_min_difference
    ):
        return False
    if opposite == 0 and rules.imbalance_zero != ZERO_IS_ONE:
        return rules.imbalance_zero == ZERO_IS_INFINITE
    return volume >= rules.imbalance_ratio * max(opposite, 1)


@njit(cache=True, nogil=True)
def _diagonal_imbalances(ladder: Any, bar: Any, rules: Rules) -> None:
    """Mark the rows where one aggressor dominates the other one row along the diagonal."""
    rows = ladder.shape[0]
    for row in range(rows):
        ladder[row]["buy_imbalance_ratio"] = np.nan
        ladder[row]["sell_imbalance_ratio"] = np.nan
        if row > 0:
            ask = ladder[row]["ask_volume"]
            bid = ladder[row - 1]["bid_volume"]
            if bid > 0:
                ladder[row]["buy_imbalance_ratio"] = ask / bid
            if _dominates(ask, bid, rules):
                ladder[row]["is_buy_imbalance"] = True
                bar[0]["buy_imbalance_count"] += 1
        if row < rows - 1:
            bid = ladder[row]["bid_volume"]
            ask = ladder[row + 1]["ask_volume"]
            if ask > 0:
                ladder[row]["sell_imbalance_ratio"] = bid / ask
            if _dominates(bid, ask, rules):
                ladder[row]["is_sell_imbalance"] = True
                bar[0]["sell_imbalance_count"] += 1


@njit(cache=True, nogil=True)
def _buy_stacks(ladder: Any, bar: Any, low_row: int, close_row: int, rules: Rules) -> None:
    """Runs of consecutive buy imbalances; of equally long runs the lowest is the bar's stack."""
    rows = ladder.shape[0]
    longest = 0
    row = 0
    while row < rows:
        if not ladder[row]["is_buy_imbalance"]:
            row += 1
            continue
        run = row
        while row < rows and ladder[row]["is_buy_imbalance"]:
            row += 1
        length = row - run
        for member in range(run, row):
            ladder[member]["buy_stack_length"] = length
        if length >= rules.stacked_rows:
            if length > longest:
                bar[0]["stacked_buy_low_row"] = low_row + run
                bar[0]["stacked_buy_high_row"] = low_row + row - 1
            if 3 * run >= 2 * (rows - 1) and close_row < low_row + run:
                bar[0]["is_trapped_buyers"] = True
        longest = max(longest, length)
    bar[0]["buy_stack_max"] = longest


@njit(cache=True, nogil=True)
def _sell_stacks(ladder: Any, bar: Any, low_row: int, close_row: int, rules: Rules) -> None:
    """Runs of consecutive sell imbalances; of equally long runs the highest is the bar's stack."""
    rows = ladder.shape[0]
    longest = 0
    row = rows - 1
    while row >= 0:
        if not ladder[row]["is_sell_imbalance"]:
            row -= 1
            continue
        run = row
        while row >= 0 and ladder[row]["is_sell_imbalance"]:
            row -= 1
        length = run - row
        for member in range(row + 1, run + 1):
            ladder[member]["sell_stack_length"] = length
        if length >= rules.stacked_rows:
            if length > longest:
                bar[0]["stacked_sell_low_row"] = low_row + row + 1
                bar[0]["stacked_sell_high_row"] = low_row + run
            if 3 * (rows - 1 - run) >= 2 * (rows - 1) and close_row > low_row + run:
                bar[0]["is_trapped_sellers"] = True
        longest = max(longest, length)
    bar[0]["sell_stack_max"] = longest


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
def _extremes(ladder: Any, totals: NDArray[np.int64], bar: Any, low_row: int, rules: Rules) -> None:
    """Unfinished auction, exhaustion and absorption at the high and the low of the bar."""
    rows = ladder.shape[0]
    top = rows - 1
    bar[0]["high_bid_volume"] = ladder[top]["bid_volume"]
    bar[0]["high_ask_volume"] = ladder[top]["ask_volume"]
    bar[0]["low_bid_volume"] = ladder[0]["bid_volume"]
    bar[0]["low_ask_volume"] = ladder[0]["ask_volume"]
    bar[0]["is_unfinished_high"] = ladder[top]["bid_volume"] > 0 and ladder[top]["ask_volume"] > 0
    bar[0]["is_unfinished_low"] = ladder[0]["bid_volume"] > 0 and ladder[0]["ask_volume"] > 0
    bar[0]["exhaustion_ratio_high"] = np.nan
    bar[0]["exhaustion_ratio_low"] = np.nan
    if rows > 1:
        bar[0]["exhaustion_ratio_high"] = ladder[top - 1]["ask_volume"] / max(ladder[top]["ask_volume"], 1)
        bar[0]["exhaustion_ratio_low"] = ladder[1]["bid_volume"] / max(ladder[0]["bid_volume"], 1)
    if rows > 2:
        bar[0]["is_exhaustion_high"] = _is_exhaustion(
            ladder[top]["ask_volume"],
            ladder[top - 1]["ask_volume"],
            ladder[top - 2]["ask_volume"],
            ladder[top]["bid_volume"],
            rules.exhaustion_ratio,
        )
        bar[0]["is_exhaustion_low"] = _is_exhaustion(
            ladder[0]["bid_volume"],
            ladder[1]["bid_volume"],
            ladder[2]["bid_volume"],
            ladder[0]["ask_volume"],
            rules.exhaustion_ratio,
        )
    per_row = rules.ticks_per_row
    close = bar[0]["close_tick"]
    for depth in range(min(rows, 3)):
        high_row = top - depth
        volume = ladder[high_row]["ask_volume"]
        if close <= (low_row + high_row) * per_row - rules.absorption_rejection_ticks and _is_absorbing(
            volume, totals, bar[0]["volume"], rules
        ):
            bar[0]["is_absorption_high"] = True
            bar[0]["absorption_high_volume"] = max(bar[0]["absorption_high_volume"], volume)
        volume = ladder[depth]["bid_volume"]
        # The top of the row, so that the mirrored bar is rejected by the same number of ticks.
        row_top = (low_row + depth + 1) * per_row - 1
        if close >= row_top + rules.absorption_rejection_ticks and _is_absorbing(
            volume, totals, bar[0]["volume"], rules
        ):
            bar[0]["is_absorption_low"] = True
            bar[0]["absorption_low_volume"] = max(bar[0]["absorption_low_volume"], volume)


@njit(cache=True, nogil=True)
def _volume_at_price(
    ladder: Any, side: NDArray[np.int64], bar: Any, low_row: int, rules: Rules
) -> NDArray[np.int64]:
    """Totals of the ladder, points of control, value area and clusters; returns the total of every row."""
    rows = ladder.shape[0]
    bar[0]["rows"] = rows
    for row in range(rows):
        side[row] = ladder[row]["ask_volume"]
        bar[0]["ask_volume"] += ladder[row]["ask_volume"]
        bar[0]["ask_trades"] += ladder[row]["ask_trades"]
    poc = point_of_control(side)
    bar[0]["ask_poc_row"] = NO_ROW if poc < 0 else low_row + poc
    for row in range(rows):
        side[row] = ladder[row]["bid_volume"]
        bar[0]["bid_volume"] += ladder[row]["bid_volume"]
        bar[0]["bid_trades"] += ladder[row]["bid_trades"]
    poc = point_of_control(side)
    bar[0]["bid_poc_row"] = NO_ROW if poc < 0 else low_row + poc
    for row in range(rows):
        side[row] += ladder[row]["ask_volume"] + ladder[row]["unknown_volume"]
        bar[0]["unknown_volume"] += ladder[row]["unknown_volume"]
    bar[0]["volume"] = bar[0]["ask_volume"] + bar[0]["bid_volume"] + bar[0]["unknown_volume"]
    poc, val, vah = value_area(side, rules.value_area_pct, rules.value_area_rows)
    ladder[poc]["is_poc"] = True
    bar[0]["poc_row"] = low_row + poc
    bar[0]["poc_volume"] = side[poc]
    bar[0]["poc_delta"] = ladder[poc]["ask_volume"] - ladder[poc]["bid_volume"]
    bar[0]["val_row"] = low_row + val
    bar[0]["vah_row"] = low_row + vah
    for row in range(val, vah + 1):
        ladder[row]["is_in_value_area"] = True
        bar[0]["value_area_volume"] += side[row]
    for row in range(rows):
        if side[row] * rows >= rules.cluster_mean_multiple * bar[0]["volume"]:
            bar[0]["cluster_count"] += 1
    for depth in range(min(rows, 2)):
        bar[0]["high_rows_delta"] += (
            ladder[rows - 1 - depth]["ask_volume"] - ladder[rows - 1 - depth]["bid_volume"]
        )
        bar[0]["low_rows_delta"] += ladder[depth]["ask_volume"] - ladder[depth]["bid_volume"]
    return side


@njit(cache=True, nogil=True)
def _row_ranges(
    row: NDArray[np.int64], offsets: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], np.int64, np.int64]:
    """Lowest and highest row of each bar, the largest number of rows, and an upper bound of the cells of all bars."""
    bars = offsets.shape[0] - 1
    low_rows = np.empty(bars, np.int64)
    high_rows = np.empty(bars, np.int64)
    most_rows = np.int64(1)
    cells = np.int64(0)
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
def footprint_bars(trades: Trades, offsets: NDArray[np.int64], rules: Rules, cells: Any, bars: Any) -> int:
    """Fill the price rows and the summary of every bar in one pass over the trades.

    Args:
        trades: Trades of the session in file order.
        offsets: Bar ``b`` holds the trades ``offsets[b]:offsets[b + 1]``, at least one; int64[bars + 1].
        rules: Row height, imbalance, value area and extreme definitions.
        cells: Filled by bar, then by row upwards; rows without a trade are left out; CELL[at least the rows traded].
        bars: Filled; zeroed BAR[bars].

    Returns:
        The number of cells filled.
    """
    per_row = rules.ticks_per_row
    low_rows, high_rows, most_rows, _ = _row_ranges(trades.row, offsets)
    scratch = np.zeros(most_rows, cells.dtype)
    blank = np.zeros(1, cells.dtype)
    tally = np.zeros((most_rows, _TALLY), np.int64)
    side = np.empty(most_rows, np.int64)
    filled = 0
    for b in range(bars.shape[0]):
        low_row = low_rows[b]
        rows = high_rows[b] - low_row + 1
        ladder = scratch[:rows]
        bar = bars[b : b + 1]
        bar[0]["stacked_buy_low_row"] = NO_ROW
        bar[0]["stacked_buy_high_row"] = NO_ROW
        bar[0]["stacked_sell_low_row"] = NO_ROW
        bar[0]["stacked_sell_high_row"] = NO_ROW
        _trade_flow(trades, offsets[b], offsets[b + 1], low_row, tally, ladder, bar)
        totals = _volume_at_price(ladder, side[:rows], bar, low_row, rules)
        close_row = bar[0]["close_tick"] // per_row
        _diagonal_imbalances(ladder, bar, rules)
        _buy_stacks(ladder, bar, low_row, close_row, rules)
        _sell_stacks(ladder, bar, low_row, close_row, rules)
        _extremes(ladder, totals, bar, low_row, rules)
        for row in range(rows):
            if totals[row] > 0:
                ladder[row]["bar"] = b
                ladder[row]["row"] = low_row + row
                cells[filled] = ladder[row]
                filled += 1
            ladder[row] = blank[0]
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
    most_cells = _row_ranges(trades.row, offsets)[3]
    cells = np.zeros(most_cells, CELL)
    bars = np.zeros(len(offsets) - 1, BAR)
    return cells[: footprint_bars(trades, offsets, rules, cells, bars)], bars
