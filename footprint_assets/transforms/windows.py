"""Windows of trades, and what every table built from them needs: its tick size, its longest hole.

Windows are half-open, [start, end): a trade at the end belongs to the next one.
"""

from __future__ import annotations

from typing import overload

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.settings import PRICE_SCALE

TIMESTAMP = pl.Datetime("ns", "UTC")
"""Type of an instant in the lake."""
TRADE_COLUMNS = ("ts_event", "session_date", "symbol", "price", "price_tick", "size", "aggressor_sign")
"""What a table of prices and volumes reads of ``silver.future.trades_clean``: neither quotes nor orders."""


def times_ns(trades: pl.DataFrame) -> NDArray[np.int64]:
    """Trade times of ``trades_clean`` rows; int64[trades], ns since the epoch."""
    return trades["ts_event"].to_physical().to_numpy()


def ticks_and_sizes(trades: pl.DataFrame) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Prices and sizes of ``trades_clean`` rows for the kernels; int64[trades], ticks and contracts."""
    # Copies: a read-only view of an Arrow buffer is another numba signature and would compile every kernel twice.
    return np.array(trades["price_tick"], np.int64), np.array(trades["size"], np.int64)


def between(trades: pl.DataFrame, start_ns: int, end_ns: int) -> pl.DataFrame:
    """Trades with ``start_ns <= ts_event < end_ns``.

    Args:
        trades: ``trades_clean`` rows sorted by ``ts_event``.
        start_ns: First instant of the window, ns since the epoch.
        end_ns: First instant after it, ns since the epoch.

    Returns:
        A slice of the trades, empty where the window is.
    """
    first, last = np.searchsorted(times_ns(trades), [start_ns, end_ns])
    return trades.slice(int(first), max(int(last - first), 0))


def longest_gap_ns(ts_ns: NDArray[np.int64], start_ns: int, end_ns: int) -> int:
    """Longest time without a trade in a window, from its start to its end.

    Args:
        ts_ns: Times of the window's trades, ascending; int64[trades], ns since the epoch.
        start_ns: Start of the window, ns since the epoch.
        end_ns: End of the window, ns since the epoch.

    Returns:
        Nanoseconds; the whole window where nothing traded.
    """
    return int(np.diff(np.concatenate(([start_ns], ts_ns, [end_ns]))).max())


def tick_size_nanos(trades: pl.DataFrame) -> int:
    """Minimum price increment the price ladder of ``trades_clean`` rows was cut with.

    Args:
        trades: At least one ``trades_clean`` row.

    Returns:
        1e-9 points; 0 where every trade is at price 0.
    """
    farthest = trades.row(int(trades["price_tick"].abs().arg_max() or 0), named=True)
    return round(farthest["price"] * PRICE_SCALE / farthest["price_tick"]) if farthest["price_tick"] else 0


@overload
def points(ticks: NDArray[np.float64] | NDArray[np.int64], tick_nanos: int) -> NDArray[np.float64]: ...
@overload
def points(ticks: float, tick_nanos: int) -> float: ...
def points(
    ticks: NDArray[np.float64] | NDArray[np.int64] | float, tick_nanos: int
) -> NDArray[np.float64] | float:
    """A price in points, correctly rounded: exactly a quarter where the tick is one.

    Multiplying before dividing rounds once, so a mean of prices never leaves their range. No polars expressions here:
    polars divides by a scalar through its reciprocal, which misses the last bit of one price in seven.

    Args:
        ticks: Prices, ticks.
        tick_nanos: Minimum price increment, 1e-9 points.

    Returns:
        Prices, points.
    """
    return ticks * tick_nanos / PRICE_SCALE


def fixed_to_points(prices: pl.Series) -> pl.Series:
    """Fixed-point prices in points, correctly rounded.

    Args:
        prices: int64, 1e-9 points; null where absent.

    Returns:
        float64 of the same name, points; null where absent.
    """
    # Not a polars expression, for the reason ``points`` gives.
    return pl.Series(prices.name, prices.to_numpy() / PRICE_SCALE, nan_to_null=True)
