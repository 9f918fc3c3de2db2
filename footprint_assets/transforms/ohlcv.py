"""OHLCV bars of every interval from one contract's trades of one trade date.

Bars are half-open and cut on multiples of the interval from the 18:00 ET open; a trade on a boundary opens the new
bar. An interval without a trade has no row. Nothing carries over from another trade date.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.errors import FootprintError
from footprint_assets.kernels.indicators import wilder_mean
from footprint_assets.settings import NANOS_PER_SECOND, BarSettings
from footprint_assets.transforms.windows import TIMESTAMP, points, tick_size_nanos, ticks_and_sizes, times_ns

INTERVAL_SECONDS = {"1s": 1, "10s": 10, "1m": 60, "2m": 120, "5m": 300, "30m": 1800, "1h": 3600, "1d": 86400}
ATR_LENGTH = 14
"""Bars of the average true range; the column name states it."""
TABLE = "silver.future.ohlcv"

Int64 = NDArray[np.int64]


class UnknownInterval(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The settings ask for an OHLCV interval the table has no name for."""


def ohlcv(trades_clean: pl.DataFrame, session: Session, bars: BarSettings) -> pl.DataFrame:
    """OHLCV bars with aggressor volumes, true range and Wilder's average true range.

    The first bar of a session has no previous close, so its true range is high - low. The daily bar is the whole trade
    date and starts at the open.

    Args:
        trades_clean: Rows of ``silver.future.trades_clean``: one contract, one trade date, event order.
        session: The trade date's session.
        bars: Intervals to build.

    Returns:
        Rows of ``silver.future.ohlcv`` sorted by interval and start.

    Raises:
        UnknownInterval: An interval of the settings is not in ``INTERVAL_SECONDS``.
    """
    unknown = set(bars.ohlcv_seconds) - set(INTERVAL_SECONDS.values())
    if unknown:
        raise UnknownInterval(
            f"No OHLCV interval lasts {min(unknown)} s.",
            where={"table": TABLE, "interval_s": min(unknown)},
            remedy=f"Choose from {', '.join(map(str, INTERVAL_SECONDS.values()))} s.",
        )
    schema = contracts.load(TABLE).polars_schema
    if trades_clean.is_empty():
        return schema.to_frame()
    columns = _Columns.of(trades_clean, session)
    wanted = [name for name, seconds in INTERVAL_SECONDS.items() if seconds in bars.ohlcv_seconds]
    found = pl.concat([_bars(columns, name) for name in wanted]).fill_nan(None)
    ids = pl.lit(trades_clean["symbol"][0]).alias("symbol"), pl.lit(session.trade_date).alias("session_date")
    return found.with_columns(ids).select(schema.names()).cast(schema)


@dataclass(frozen=True)
class _Columns:
    """The trades as arrays: int64[trades] each, but for ``price``, float64[trades], points.

    Args:
        open_ns: Open of the session, ns since the epoch.
        since_open_ns: Time of each trade, ns since the open.
        price: Price.
        tick: Price, ticks.
        size: Contracts.
        sign: Aggressor, +1 buyer, -1 seller, 0 unknown.
        tick_nanos: Minimum price increment, 1e-9 points.
    """

    open_ns: int
    since_open_ns: Int64
    price: NDArray[np.float64]
    tick: Int64
    size: Int64
    sign: Int64
    tick_nanos: int

    @classmethod
    def of(cls, trades: pl.DataFrame, session: Session) -> _Columns:
        tick, size = ticks_and_sizes(trades)
        sign = trades["aggressor_sign"].to_numpy().astype(np.int64)
        since_open_ns = times_ns(trades) - session.open_ns
        return cls(
            session.open_ns,
            since_open_ns,
            trades["price"].to_numpy(),
            tick,
            size,
            sign,
            tick_size_nanos(trades),
        )


def _bars(trades: _Columns, name: str) -> pl.DataFrame:
    width_ns = INTERVAL_SECONDS[name] * NANOS_PER_SECOND
    # A long weekend's tile is wider than a day, yet its trade date is one bar.
    bar = trades.since_open_ns // width_ns if name != "1d" else np.zeros_like(trades.since_open_ns)
    first = np.flatnonzero(np.diff(bar, prepend=bar[0] - 1))
    last = np.append(first[1:], len(bar)) - 1
    high, low = np.maximum.reduceat(trades.price, first), np.minimum.reduceat(trades.price, first)
    close = trades.price[last]
    volume, buys, sells = (
        np.add.reduceat(sizes, first)
        for sizes in (trades.size, trades.size * (trades.sign > 0), trades.size * (trades.sign < 0))
    )
    # From a price of the day, so that the sum stays exact.
    above = np.add.reduceat((trades.tick - trades.tick[0]) * trades.size, first)
    open_tick = trades.tick[first]
    from_open = above - (open_tick - trades.tick[0]) * volume
    before = np.concatenate(([np.nan], close[:-1]))
    # fmax passes over the distance of the first bar, which is not known.
    true_range = np.fmax(high - low, np.fmax(np.abs(high - before), np.abs(low - before)))
    return pl.DataFrame(
        {
            "interval": pl.repeat(name, len(first), eager=True),
            "bar_ts": pl.Series(trades.open_ns + bar[first] * width_ns).cast(TIMESTAMP),
            "open": trades.price[first],
            "high": high,
            "low": low,
            "close": close,
            "volume": volume,
            "buy_volume": buys,
            "sell_volume": sells,
            "unknown_volume": volume - buys - sells,
            "trade_count": last + 1 - first,
            "vwap": points(open_tick + from_open / volume, trades.tick_nanos),
            "true_range": true_range,
            "atr_14": wilder_mean(true_range, ATR_LENGTH),
        }
    )
