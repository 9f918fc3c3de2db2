"""Synthetic footprint frames: a random walk of trades, aggregated by plain loops.

The rules of imbalance and value area are deliberately simple here; the page only displays the flags it is given.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

TICK = 0.25
SESSION = dt.date(2024, 6, 10)
NS = pl.Datetime("ns", "UTC")


@dataclass(frozen=True)
class FootprintFrames:
    """The three inputs of the page."""

    price: pl.DataFrame
    bar: pl.DataFrame
    levels: pl.DataFrame


def et_ns(time: str, day: dt.date = SESSION) -> int:
    wall = dt.datetime.combine(day, dt.time.fromisoformat(time), ZoneInfo("America/New_York"))
    return int(wall.timestamp()) * 1_000_000_000


def footprint_frames(
    bars: int = 60,
    *,
    seed: int = 7,
    symbol: str = "ESM4",
    bar_type: str = "time_5m",
    first: str = "08:00:00",
    trades_per_bar: int = 260,
    minutes: int = 5,
    walk: float = 0.16,
) -> FootprintFrames:
    """Build bars of a random walk that is busier after 09:30 ET."""
    source = random.Random(seed)
    start = et_ns(first)
    rth = et_ns("09:30:00")
    tick, cum = 4 * 5360, 0
    price_rows: list[dict[str, Any]] = []
    bar_rows: list[dict[str, Any]] = []
    for bar_id in range(bars):
        begin = start + bar_id * minutes * 60_000_000_000
        end = begin + minutes * 60_000_000_000
        count = trades_per_bar * (3 if begin >= rth else 1)
        bias = source.gauss(0, 0.08)
        bid: dict[int, int] = {}
        ask: dict[int, int] = {}
        path: list[int] = []
        cum_open = cum_high = cum_low = cum
        for _ in range(count):
            size = 1 + int(source.expovariate(0.35))
            buys = source.random() < 0.5 + bias
            side = ask if buys else bid
            side[tick] = side.get(tick, 0) + size
            path.append(tick)
            cum += size if buys else -size
            cum_high, cum_low = max(cum_high, cum), min(cum_low, cum)
            if source.random() < walk * 0.5:
                tick += 1 if source.random() < 0.5 + bias * 0.6 else -1
        rows = _price_rows(bid, ask, min(path), max(path))
        shared = {
            "symbol": symbol,
            "session_date": SESSION,
            "bar_type": bar_type,
            "bar_id": bar_id,
            "bar_ts": begin,
            "bar_end_ts": end,
        }
        price_rows += [shared | row for row in rows]
        volume = sum(row["total_volume"] for row in rows)
        poc = next(row for row in rows if row["is_poc"])
        inside = [row["price"] for row in rows if row["is_in_value_area"]]
        delta = cum - cum_open
        bar_rows.append(
            shared
            | {
                "is_complete": bar_id < bars - 1,
                "open": path[0] * TICK,
                "high": max(path) * TICK,
                "low": min(path) * TICK,
                "close": path[-1] * TICK,
                "volume": volume,
                "unknown_volume": 0,
                "trades": float(count),
                "delta": delta,
                "max_delta": cum_high - cum_open,
                "min_delta": cum_low - cum_open,
                "cum_delta": cum,
                "cum_delta_open": cum_open,
                "cum_delta_high": cum_high,
                "cum_delta_low": cum_low,
                "poc_price": poc["price"],
                "vah_price": max(inside),
                "val_price": min(inside),
                "vwap": sum(row["price"] * row["total_volume"] for row in rows) / volume,
                "buy_imbalance_count": sum(bool(row["is_buy_imbalance"]) for row in rows),
                "sell_imbalance_count": sum(bool(row["is_sell_imbalance"]) for row in rows),
            }
        )
    instants = [pl.col("bar_ts").cast(NS), pl.col("bar_end_ts").cast(NS)]
    return FootprintFrames(
        pl.DataFrame(price_rows).with_columns(*instants, pl.col("price_tick").cast(pl.Int32)),
        pl.DataFrame(bar_rows).with_columns(*instants),
        level_frame(bar_rows, symbol),
    )


def _price_rows(bid: dict[int, int], ask: dict[int, int], low: int, high: int) -> list[dict[str, Any]]:
    ticks = range(low, high + 1)
    total = {tick: bid.get(tick, 0) + ask.get(tick, 0) for tick in ticks}
    poc = max(ticks, key=lambda tick: (total[tick], -tick))
    inside, taken = {poc}, total[poc]
    while 100 * taken < 70 * sum(total.values()):
        tick = max((t for t in ticks if t not in inside and {t - 1, t + 1} & inside), key=lambda t: total[t])
        inside.add(tick)
        taken += total[tick]
    buy = [tick > low and ask.get(tick, 0) >= max(10, 3 * bid.get(tick - 1, 0)) for tick in ticks]
    sell = [tick < high and bid.get(tick, 0) >= max(10, 3 * ask.get(tick + 1, 0)) for tick in ticks]
    return [
        {
            "price_tick": tick,
            "price": tick * TICK,
            "bid_volume": bid.get(tick, 0),
            "ask_volume": ask.get(tick, 0),
            "total_volume": total[tick],
            "delta": ask.get(tick, 0) - bid.get(tick, 0),
            "buy_stack_length": buy_run,
            "sell_stack_length": sell_run,
            "is_buy_imbalance": buy[tick - low],
            "is_sell_imbalance": sell[tick - low],
            "is_poc": tick == poc,
            "is_in_value_area": tick in inside,
        }
        for tick, buy_run, sell_run in zip(ticks, _runs(buy), _runs(sell), strict=True)
    ]


def _runs(flags: list[bool]) -> list[int]:
    lengths = [0] * len(flags)
    begin = 0
    for end in range(len(flags) + 1):
        if end == len(flags) or not flags[end]:
            lengths[begin:end] = [end - begin] * (end - begin)
            begin = end + 1
    return lengths


def _high(rows: list[dict[str, Any]]) -> float:
    return float(max(row["high"] for row in rows))


def _low(rows: list[dict[str, Any]]) -> float:
    return float(min(row["low"] for row in rows))


def level_frame(bar_rows: list[dict[str, Any]], symbol: str) -> pl.DataFrame:
    """Static levels of the pre-market, opening range and prior day, one dynamic and one without a price."""
    before = [row for row in bar_rows if row["bar_ts"] < et_ns("09:30:00")] or bar_rows
    opening = [row for row in bar_rows if et_ns("09:30:00") <= row["bar_ts"] < et_ns("09:45:00")] or bar_rows
    previous_evening = et_ns("18:00:00", SESSION - dt.timedelta(days=1))
    levels = [
        ("PM_HIGH", "PREMARKET", _high(before), et_ns("09:30:00"), None, False, False),
        ("PM_LOW", "PREMARKET", _low(before), et_ns("09:30:00"), None, False, True),
        ("OVERNIGHT_HIGH", "OVERNIGHT", _high(before), et_ns("09:30:00"), None, False, False),
        ("OR_HIGH", "OPENING_RANGE", _high(opening), et_ns("09:45:00"), None, False, False),
        ("OR_LOW", "OPENING_RANGE", _low(opening), et_ns("09:45:00"), None, False, False),
        ("PDH", "PRIOR_DAY", _high(bar_rows) - 2.5, previous_evening, None, False, False),
        ("PDC", "PRIOR_DAY", _low(bar_rows) + 4, previous_evening, et_ns("11:02:30"), False, False),
        ("PD_POC", "PROFILE", _high(opening) + 0.5, previous_evening, None, False, False),
        ("PWH", "PRIOR_WEEK", _high(bar_rows) + 40, previous_evening, None, False, False),
        ("SMA_90", "MOVING_AVERAGE", _low(opening) + 3, previous_evening, None, True, False),
        ("PD_SETTLE", "PRIOR_DAY", None, previous_evening, None, False, False),
        ("CALL_WALL", "OPTION", _low(bar_rows) - 10, et_ns("16:30:00"), None, False, False),
    ]
    names = (
        "level_name",
        "level_class",
        "level_price",
        "valid_from_ts",
        "valid_to_ts",
        "is_dynamic",
        "is_partial_window",
    )
    return pl.DataFrame(
        [
            dict(zip(names, level, strict=True)) | {"symbol": symbol, "session_date": SESSION}
            for level in levels
        ],
        schema_overrides={"level_price": pl.Float64, "valid_from_ts": pl.Int64, "valid_to_ts": pl.Int64},
    ).with_columns(pl.col("valid_from_ts").cast(NS), pl.col("valid_to_ts").cast(NS))
