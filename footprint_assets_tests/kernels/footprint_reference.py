"""Slow, obvious footprint of one bar: dictionaries and exact fractions, written from the definitions, not the kernel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from footprint_assets.kernels.footprint import NO_ROW, ZERO_IS_IGNORED, ZERO_IS_INFINITE, Rules

DEFAULT_RULES = Rules(
    ticks_per_row=1,
    imbalance_ratio=3.0,
    imbalance_min_volume=10,
    imbalance_min_difference=0,
    imbalance_zero=ZERO_IS_INFINITE,
    stacked_rows=3,
    value_area_pct=70,
    value_area_rows=2,
    exhaustion_ratio=2.0,
    absorption_quantile_pct=90,
    absorption_mean_multiple=2.0,
    absorption_rejection_ticks=2,
    cluster_mean_multiple=2.0,
)


@dataclass(frozen=True)
class Trade:
    ts_ns: int
    tick: int
    size: int
    sign: int


def point_of_control(volumes: list[int]) -> int:
    """Most volume, then nearest the middle of the range, then lowest; -1 without volume."""
    middle = Fraction(len(volumes) - 1, 2)
    if sum(volumes) == 0:
        return -1
    return min(range(len(volumes)), key=lambda row: (-volumes[row], abs(row - middle), row))


def value_area(volumes: list[int], pct: int, step_rows: int) -> tuple[int, int, int]:
    poc = point_of_control(volumes)
    if poc < 0:
        return -1, -1, -1
    taken = {poc}
    while sum(volumes[row] for row in taken) < Fraction(pct, 100) * sum(volumes):
        above = [row for row in range(max(taken) + 1, max(taken) + 1 + step_rows) if row < len(volumes)]
        below = [row for row in range(min(taken) - step_rows, min(taken)) if row >= 0]
        if not above and not below:
            break
        volume_above = sum(volumes[row] for row in above)
        volume_below = sum(volumes[row] for row in below)
        if not below:
            choice = above
        elif not above:
            choice = below
        elif volume_above != volume_below:
            choice = above if volume_above > volume_below else below
        else:
            choice = above if max(taken) - poc <= poc - min(taken) else below
        taken |= set(choice)
    return poc, min(taken), max(taken)


def is_imbalance(volume: int, opposite: int, rules: Rules) -> bool:
    if (
        volume == 0
        or volume < rules.imbalance_min_volume
        or volume - opposite < rules.imbalance_min_difference
    ):
        return False
    if opposite == 0:
        if rules.imbalance_zero == ZERO_IS_INFINITE:
            return True
        if rules.imbalance_zero == ZERO_IS_IGNORED:
            return False
        opposite = 1
    return volume >= Fraction(rules.imbalance_ratio) * opposite


def runs(flags: list[bool]) -> list[range]:
    found: list[range] = []
    for row, flag in enumerate(flags):
        if not flag:
            continue
        if found and found[-1].stop == row:
            found[-1] = range(found[-1].start, row + 1)
        else:
            found.append(range(row, row + 1))
    return found


def running_delta(trades: list[Trade]) -> list[int]:
    total = [0]
    for trade in trades:
        total.append(total[-1] + trade.size * trade.sign)
    return total


def footprint_of_bar(trades: list[Trade], rules: Rules) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Cells from low to high (rows without a trade left out) and the summary of one bar."""
    per_row = rules.ticks_per_row
    low_row = min(t.tick for t in trades) // per_row
    high_row = max(t.tick for t in trades) // per_row
    rows = high_row - low_row + 1

    def volume(row: int, sign: int) -> int:
        return sum(t.size for t in trades if t.tick // per_row == low_row + row and t.sign == sign)

    ask = [volume(row, 1) for row in range(rows)]
    bid = [volume(row, -1) for row in range(rows)]
    unknown = [volume(row, 0) for row in range(rows)]
    total = [a + b + u for a, b, u in zip(ask, bid, unknown, strict=True)]
    poc, val, vah = value_area(total, rules.value_area_pct, rules.value_area_rows)
    is_buy = [row > 0 and is_imbalance(ask[row], bid[row - 1], rules) for row in range(rows)]
    is_sell = [row < rows - 1 and is_imbalance(bid[row], ask[row + 1], rules) for row in range(rows)]

    cells = []
    for row in range(rows):
        here = [t for t in trades if t.tick // per_row == low_row + row]
        if not here:
            continue
        cells.append(
            {
                "row": low_row + row,
                "bid_volume": bid[row],
                "ask_volume": ask[row],
                "unknown_volume": unknown[row],
                "bid_trades": sum(t.sign == -1 for t in here),
                "ask_trades": sum(t.sign == 1 for t in here),
                "max_trade_size": max(t.size for t in here),
                "first_ts": here[0].ts_ns,
                "last_ts": here[-1].ts_ns,
                "buy_imbalance_ratio": ask[row] / bid[row - 1] if row > 0 and bid[row - 1] else math.nan,
                "sell_imbalance_ratio": bid[row] / ask[row + 1]
                if row < rows - 1 and ask[row + 1]
                else math.nan,
                "buy_stack_length": next((len(run) for run in runs(is_buy) if row in run), 0),
                "sell_stack_length": next((len(run) for run in runs(is_sell) if row in run), 0),
                "is_buy_imbalance": is_buy[row],
                "is_sell_imbalance": is_sell[row],
                "is_poc": row == poc,
                "is_in_value_area": val <= row <= vah,
            }
        )

    ticks = [t.tick for t in trades]
    high, low, close = max(ticks), min(ticks), ticks[-1]
    deltas = running_delta(trades)
    last_at = {tick: max(i for i, t in enumerate(trades) if t.tick == tick) for tick in (high, low)}
    stacks_buy = [run for run in runs(is_buy) if len(run) >= rules.stacked_rows]
    stacks_sell = [run for run in runs(is_sell) if len(run) >= rules.stacked_rows]
    best_buy = max(stacks_buy, key=lambda run: (len(run), -run.start), default=None)
    best_sell = max(stacks_sell, key=lambda run: (len(run), run.start), default=None)
    close_row = close // per_row - low_row
    mean_row_volume = Fraction(sum(total), rows)
    quantile = sorted(total)[math.ceil(Fraction(rules.absorption_quantile_pct * rows, 100)) - 1]

    def absorbs(side: list[int], row: int) -> bool:
        return (
            side[row] > 0
            and side[row] >= quantile
            and side[row] >= Fraction(rules.absorption_mean_multiple) * mean_row_volume
        )

    absorbed_high = [
        ask[row]
        for row in range(max(rows - 3, 0), rows)
        if absorbs(ask, row) and close <= (low_row + row) * per_row - rules.absorption_rejection_ticks
    ]
    absorbed_low = [
        bid[row]
        for row in range(min(rows, 3))
        if absorbs(bid, row) and close >= (low_row + row + 1) * per_row - 1 + rules.absorption_rejection_ticks
    ]

    def exhausted(side: list[int], opposite: int) -> bool:
        """``side`` from the extreme inwards."""
        if rows < 3:
            return False
        first, second, third = side[:3]
        dried_up = opposite == 0 and first <= Fraction(min(second, third)) / Fraction(rules.exhaustion_ratio)
        fading = (
            Fraction(second, max(first, 1)) >= Fraction(rules.exhaustion_ratio) and third > second > first
        )
        return dried_up or fading

    ask_poc, bid_poc = point_of_control(ask), point_of_control(bid)
    bar = {
        "open_tick": ticks[0],
        "high_tick": high,
        "low_tick": low,
        "close_tick": close,
        "rows": rows,
        "volume": sum(total),
        "ask_volume": sum(ask),
        "bid_volume": sum(bid),
        "unknown_volume": sum(unknown),
        "trades": len(trades),
        "ask_trades": sum(t.sign == 1 for t in trades),
        "bid_trades": sum(t.sign == -1 for t in trades),
        "max_trade_size": max(t.size for t in trades),
        "delta": deltas[-1],
        "max_delta": max(deltas),
        "min_delta": min(deltas),
        "delta_since_high": sum(t.size * t.sign for t in trades[last_at[high] + 1 :]),
        "delta_since_low": sum(t.size * t.sign for t in trades[last_at[low] + 1 :]),
        "high_rows_delta": sum(ask[-2:]) - sum(bid[-2:]),
        "low_rows_delta": sum(ask[:2]) - sum(bid[:2]),
        "sum_size_ticks": sum(t.size * (t.tick - ticks[0]) for t in trades),
        "sum_size_ticks_squared": sum(t.size * (t.tick - ticks[0]) ** 2 for t in trades),
        "poc_row": low_row + poc,
        "poc_volume": total[poc],
        "poc_delta": ask[poc] - bid[poc],
        "ask_poc_row": low_row + ask_poc if ask_poc >= 0 else NO_ROW,
        "bid_poc_row": low_row + bid_poc if bid_poc >= 0 else NO_ROW,
        "vah_row": low_row + vah,
        "val_row": low_row + val,
        "value_area_volume": sum(total[val : vah + 1]),
        "buy_imbalance_count": sum(is_buy),
        "sell_imbalance_count": sum(is_sell),
        "buy_stack_max": max(map(len, runs(is_buy)), default=0),
        "sell_stack_max": max(map(len, runs(is_sell)), default=0),
        "stacked_buy_low_row": low_row + best_buy[0] if best_buy else NO_ROW,
        "stacked_buy_high_row": low_row + best_buy[-1] if best_buy else NO_ROW,
        "stacked_sell_low_row": low_row + best_sell[0] if best_sell else NO_ROW,
        "stacked_sell_high_row": low_row + best_sell[-1] if best_sell else NO_ROW,
        "high_bid_volume": bid[-1],
        "high_ask_volume": ask[-1],
        "low_bid_volume": bid[0],
        "low_ask_volume": ask[0],
        "absorption_high_volume": max(absorbed_high, default=0),
        "absorption_low_volume": max(absorbed_low, default=0),
        "cluster_count": sum(v >= Fraction(rules.cluster_mean_multiple) * mean_row_volume for v in total),
        "exhaustion_ratio_high": ask[-2] / max(ask[-1], 1) if rows > 1 else math.nan,
        "exhaustion_ratio_low": bid[1] / max(bid[0], 1) if rows > 1 else math.nan,
        "is_unfinished_high": bid[-1] > 0 and ask[-1] > 0,
        "is_unfinished_low": bid[0] > 0 and ask[0] > 0,
        "is_exhaustion_high": exhausted(ask[::-1], bid[-1]),
        "is_exhaustion_low": exhausted(bid, ask[0]),
        "is_absorption_high": bool(absorbed_high),
        "is_absorption_low": bool(absorbed_low),
        "is_trapped_buyers": any(
            run[0] >= Fraction(2 * (rows - 1), 3) and close_row < run[0] for run in stacks_buy
        ),
        "is_trapped_sellers": any(
            run[-1] <= Fraction(rows - 1, 3) and close_row > run[-1] for run in stacks_sell
        ),
    }
    return cells, bar
