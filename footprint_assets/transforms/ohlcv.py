"""OHLCV bars of every interval from one contract's trades of one trade date.

Bars are half-open and cut on multiples of the interval from the 18:00 ET open; a trade on a boundary opens the new
bar. An interval without a trade has no row. Nothing carries over from another trade date.
"""

from __future__ import annotations

import polars as pl

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.errors import FootprintError
from footprint_assets.kernels.indicators import wilder_mean
from footprint_assets.settings import NANOS_PER_SECOND, BarSettings
from footprint_assets.transforms.windows import TIMESTAMP, points, tick_size_nanos

INTERVAL_SECONDS = {"1s": 1, "10s": 10, "1m": 60, "2m": 120, "5m": 300, "30m": 1800, "1h": 3600, "1d": 86400}
ATR_LENGTH = 14
"""Bars of the average true range; the column name states it."""
TABLE = "silver.future.ohlcv"


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
    if trades_clean.is_empty():
        return contracts.load(TABLE).polars_schema.to_frame()
    wanted = [name for name, seconds in INTERVAL_SECONDS.items() if seconds in bars.ohlcv_seconds]
    return pl.concat([_bars(trades_clean, session, name) for name in wanted])


def _bars(trades: pl.DataFrame, session: Session, name: str) -> pl.DataFrame:
    schema = contracts.load(TABLE).polars_schema
    width_ns = INTERVAL_SECONDS[name] * NANOS_PER_SECOND
    since_open = pl.col("ts_event").to_physical() - session.open_ns
    # A long weekend's tile is wider than a day, yet its trade date is one bar.
    start = (
        pl.lit(session.open_ns)
        if name == "1d"
        else session.open_ns + since_open.floordiv(width_ns) * width_ns
    )
    tick, size, sign = pl.col("price_tick").cast(pl.Int64), pl.col("size"), pl.col("aggressor_sign")
    close_before = pl.col("close").shift(1)
    out = (
        trades.group_by(start.cast(pl.Int64).cast(TIMESTAMP).alias("bar_ts"), maintain_order=True)
        .agg(
            pl.col("symbol").first(),
            pl.lit(name, schema["interval"]).first().alias("interval"),
            pl.lit(session.trade_date).first().alias("session_date"),
            pl.col("price").first().alias("open"),
            pl.col("price").max().alias("high"),
            pl.col("price").min().alias("low"),
            pl.col("price").last().alias("close"),
            tick.first().alias("_first_tick"),
            ((tick - tick.first()) * size).sum().alias("_ticks_above_first"),
            size.sum().alias("volume"),
            size.filter(sign > 0).sum().alias("buy_volume"),
            size.filter(sign < 0).sum().alias("sell_volume"),
            size.filter(sign == 0).sum().alias("unknown_volume"),
            pl.len().cast(pl.Int64).alias("trade_count"),
        )
        .with_columns(
            # max_horizontal skips the null distance of the first bar.
            pl.max_horizontal(
                pl.col("high") - pl.col("low"),
                (pl.col("high") - close_before).abs(),
                (pl.col("low") - close_before).abs(),
            ).alias("true_range")
        )
    )
    first, above, volume = (out[name].to_numpy() for name in ("_first_tick", "_ticks_above_first", "volume"))
    vwap = pl.Series("vwap", points(first + above / volume, tick_size_nanos(trades)))
    average = pl.Series("atr_14", wilder_mean(out["true_range"].to_numpy(), ATR_LENGTH), nan_to_null=True)
    return out.with_columns(vwap, average).select(schema.names())
