"""Small markets around a level for the tests of episodes and outcomes: bars, trades and levels written by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets_tests.transforms.trade_frames import REGULAR_DAY, SECOND, TICK_NANOS, at, frame

SESSION = cme.session(REGULAR_DAY)
TICK = 0.25
BASE = 21_400
"""The level of the small markets, ticks."""
LEVEL_PRICE = BASE * TICK
BAR = 5 * SECOND
OPEN = at(SESSION, "09:30")
TIMESTAMP = pl.Datetime("ns", "UTC")
NO_SERIES = contracts.load("silver.future.level_series_5s").polars_schema.to_frame()
NO_OHLCV = contracts.load("silver.future.ohlcv").polars_schema.to_frame()

Trade = tuple[int, int, int]
"""Time (ns since the epoch), price (ticks from the level), contracts."""


@dataclass(frozen=True)
class Market:
    """Bars and trades of one contract."""

    bars: pl.DataFrame
    trades: pl.DataFrame

    def until(self, end_ns: int) -> Market:
        """The market as recorded up to a bar end."""
        return Market(
            self.bars.filter(pl.col("bar_ts").to_physical() + BAR <= end_ns),
            self.trades.filter(pl.col("ts_event").to_physical() < end_ns),
        )

    def then(self, other: Market, from_ns: int) -> Market:
        """This market up to a bar end and another one from there on."""
        before = self.until(from_ns)
        return Market(
            pl.concat([before.bars, other.bars.filter(pl.col("bar_ts").to_physical() >= from_ns)]),
            pl.concat([before.trades, other.trades.filter(pl.col("ts_event").to_physical() >= from_ns)]),
        )

    def without_bars(self, numbers: Sequence[int]) -> Market:
        """The market without some bars, counted from its first one; their trades stay."""
        keep = pl.Series(np.isin(np.arange(self.bars.height), numbers, invert=True))
        return Market(self.bars.filter(keep), self.trades)


def mids(ticks: Sequence[float | None], start_ns: int = OPEN, messages: int = 10) -> pl.DataFrame:
    """Consecutive bars by their microprice, in ticks from the level; the quotes are the ticks around it."""
    price = [None if t is None else (BASE + t) * TICK for t in ticks]
    bid = [None if t is None else (BASE + np.ceil(t) - 1) * TICK for t in ticks]
    ask = [None if t is None else (BASE + np.floor(t) + 1) * TICK for t in ticks]
    return pl.DataFrame(
        {
            "bar_ts": pl.Series(start_ns + BAR * np.arange(len(ticks))).cast(TIMESTAMP),
            "symbol": ["ESM4"] * len(ticks),
            "bar5s_microprice_eob": pl.Series(price, dtype=pl.Float64),
            "bar5s_meta_msg_cnt_sum": pl.Series([messages] * len(ticks), dtype=pl.Float64),
            "bar5s_shape_bid_px_l00_eob": pl.Series(bid, dtype=pl.Float64),
            "bar5s_shape_ask_px_l00_eob": pl.Series(ask, dtype=pl.Float64),
        }
    )


def trades_of(trades: Sequence[Trade]) -> pl.DataFrame:
    """Rows of ``trades_clean`` from prices in ticks from the level."""
    ts_ns, ticks, size = (np.array([t[k] for t in trades], np.int64) for k in range(3))
    return frame(SESSION, ts_ns, BASE + ticks, size, np.ones(len(trades), np.int64))


def market(ticks: Sequence[float], start_ns: int = OPEN, further: Sequence[Trade] = ()) -> Market:
    """A market whose bars each trade one contract at the microprice, a second after their start."""
    prints = [(start_ns + BAR * i + SECOND, round(t), 1) for i, t in enumerate(ticks)]
    return Market(mids(ticks, start_ns), trades_of(sorted([*prints, *further], key=lambda t: t[0])))


def random_market(seed: int, bars: int = 900, start_ns: int = OPEN) -> Market:
    """A random walk around the level with up to four trades a bar, some bars without one, some without a book."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.integers(-24, 25, bars)) / 8 + rng.integers(-20, 21)
    before = np.concatenate((walk[:1], walk[:-1]))
    trades: list[Trade] = []
    for i, (a, b) in enumerate(zip(before, walk, strict=True)):
        low, high = int(np.floor(min(a, b))), int(np.ceil(max(a, b)))
        n = int(rng.integers(0, 5))
        times = np.sort(rng.integers(0, BAR, n)) + start_ns + BAR * i
        ticks, sizes = rng.integers(low, high + 1, n), rng.geometric(0.3, n)
        trades += [(int(t), int(p), int(v)) for t, p, v in zip(times, ticks, sizes, strict=True)]
    quoted = [None if rng.random() < 0.01 else float(x) for x in walk]
    return Market(mids(quoted, start_ns), trades_of(trades))


def mirrored(given: Market) -> Market:
    """The market seen in a mirror at the level."""
    around = 2 * BASE * TICK
    bid, ask = pl.col("bar5s_shape_bid_px_l00_eob"), pl.col("bar5s_shape_ask_px_l00_eob")
    return Market(
        given.bars.with_columns(
            (around - pl.col("bar5s_microprice_eob")).alias("bar5s_microprice_eob"),
            (around - ask).alias("bar5s_shape_bid_px_l00_eob"),
            (around - bid).alias("bar5s_shape_ask_px_l00_eob"),
        ),
        given.trades.with_columns(
            (around - pl.col("price")).alias("price"),
            (2 * BASE - pl.col("price_tick")).cast(pl.Int32).alias("price_tick"),
        ),
    )


def levels(*rows: Mapping[str, object]) -> pl.DataFrame:
    """Rows of ``session_levels``; what a row does not say is an ordinary PM_HIGH at the level."""
    schema = contracts.load("silver.future.session_levels").polars_schema
    full = []
    for row in rows or ({},):
        name = row.get("level_name", "PM_HIGH")
        base: dict[str, object] = {
            "symbol": "ESM4",
            "session_date": SESSION.trade_date,
            "level_name": name,
            "level_type": name,
            "level_class": "PREMARKET",
            "is_dynamic": False,
            "level_polarity": 1,
            "level_price": LEVEL_PRICE,
            "level_price_raw": LEVEL_PRICE,
            "formation_start_ts": OPEN - BAR,
            "valid_from_ts": OPEN,
            "window_trades": 1,
            "window_volume": 1,
            "is_partial_window": False,
            "source_session_date": SESSION.trade_date,
        }
        full.append(base | row)
    return pl.DataFrame(full, schema=schema)


def series(name: str, ticks: Sequence[float | None], start_ns: int = OPEN) -> pl.DataFrame:
    """Rows of ``level_series_5s`` for consecutive bars, in ticks from the level; None has no row."""
    schema = contracts.load("silver.future.level_series_5s").polars_schema
    rows = [
        {
            "bar_ts": start_ns + BAR * i,
            "symbol": "ESM4",
            "level_name": name,
            "level_price": np.floor(BASE + t + 0.5) * TICK_NANOS / 1e9,
            "level_price_raw": (BASE + t) * TICK,
            "level_slope_pts_per_min": None,
            "level_age_s": 0.0,
        }
        for i, t in enumerate(ticks)
        if t is not None
    ]
    return pl.DataFrame(rows, schema=schema)
