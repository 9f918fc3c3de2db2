"""What the pages take from lake tables: rows of one contract and trade date, wall clocks, numbers for JSON."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.report.shell import ReportError

EASTERN = "America/New_York"
NS = pl.Datetime("ns", "UTC")
Int64 = npt.NDArray[np.int64]


def require(frame: pl.DataFrame, columns: Sequence[str], table: str) -> None:
    """Refuse a frame without the columns a page needs."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise ReportError(
            f"The table lacks columns the page needs: {', '.join(missing)}.",
            where={"table": f"silver.future.{table}"},
            remedy="Pass rows read from the lake, with all their columns.",
        )


def select(
    frame: pl.DataFrame, columns: Sequence[str], table: str, symbol: str, session_date: dt.date
) -> pl.DataFrame:
    """The columns of one contract and trade date; a frame without rows may lack them."""
    if frame.is_empty():
        return pl.DataFrame(schema={name: frame.schema.get(name, pl.Null()) for name in columns})
    require(frame, ("symbol", "session_date", *columns), table)
    return frame.filter(
        pl.col("symbol").cast(pl.String) == symbol, pl.col("session_date") == session_date
    ).select(columns)


def nanoseconds(frame: pl.DataFrame, column: str) -> Int64:
    """Instants, UTC ns since the epoch."""
    instants: Int64 = frame[column].cast(NS).cast(pl.Int64).to_numpy()
    return instants


def clock(instants: pl.Series) -> list[float | None]:
    """Wall clocks in New York as seconds since the epoch, microsecond resolution; null where there is none.

    The chart library knows no time zone: it shows these as if they were UTC.
    """
    wall = instants.cast(NS).dt.convert_time_zone(EASTERN).dt.replace_time_zone(None)
    return [None if value is None else value / 1e6 for value in wall.dt.epoch("us").to_list()]


def axis(instants: pl.Series) -> list[float]:
    """Wall clocks that increase strictly: bars that begin in the same microsecond are moved apart by one."""
    micros = np.rint(np.array(clock(instants), dtype=np.float64) * 1e6).astype(np.int64)
    steps = np.arange(micros.size)
    moved = (np.maximum.accumulate(micros - steps) + steps) / 1e6
    return [float(seconds) for seconds in moved]


def eastern(instant_ns: int, session_date: dt.date) -> str:
    """``HH:MM:SS`` in New York, with month and day where they are not the trade date's."""
    moment = pl.Series([instant_ns]).cast(NS).dt.convert_time_zone(EASTERN)
    day, time = moment.dt.to_string("%Y-%m-%d %H:%M:%S")[0].split(" ")
    return time if day == session_date.isoformat() else f"{day[5:]} {time}"


def numbers(column: pl.Series) -> list[Any]:
    """JSON numbers: what is not finite is not known, and a whole float needs no fraction."""
    if not column.dtype.is_float():
        return column.to_list()
    return [
        None if value is None or not math.isfinite(value) else int(value) if value == int(value) else value
        for value in column.to_list()
    ]


def tick_size(price: pl.Series, tick: pl.Series) -> float:
    """The tick of a table that holds prices in points and in ticks.

    Args:
        price: Points.
        tick: The same, ticks; not empty.

    Raises:
        ReportError: They contradict each other.
    """
    ticks: Int64 = tick.cast(pl.Int64).to_numpy()
    farthest = int(np.argmax(np.abs(ticks)))
    found = float(price[farthest]) / int(ticks[farthest]) if ticks[farthest] else 0.0
    if not (math.isfinite(found) and found > 0):
        raise ReportError(
            "price and price_tick contradict each other.",
            where={"price": float(price[farthest]), "price_tick": int(ticks[farthest])},
        )
    # Binary noise of the division would show up in labels and in the bytes of the page.
    return round(found, 9)


def decimals(tick: float) -> int:
    """The decimals that show every multiple of the tick: 2 for 0.25."""
    return next((digits for digits in range(9) if abs(round(tick, digits) - tick) < 1e-12), 9)


def extremes(low: pl.Series, high: pl.Series) -> tuple[float, float]:
    """The lowest of one column and the highest of another; neither is empty."""
    return float(low.to_numpy().min()), float(high.to_numpy().max())
