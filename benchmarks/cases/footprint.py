"""The footprint of five-second bars, and plain OHLCV bars, from trades in memory.

Ours makes the cells of every bar with imbalances, stacks and value-area marks, and the summary of each bar; polars and
DuckDB make the cells alone (volume at price by aggressor, trades); pandas makes cells, prices, delta, point of control
and value area.
"""

from __future__ import annotations

from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from benchmarks.market import DAY, TRADES, Data
from benchmarks.model import Case, Facts, Line, Prepared, Side, faster, rate

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

BAR_NS = 5_000_000_000
MINUTE_NS = 60_000_000_000
_REPEATS = 15


def trades_of(data: Data) -> pl.DataFrame:
    """The clean trades of the front month with instants as int64 ``ts``."""
    import polars as pl

    return pl.read_parquet(data.parts(TRADES), hive_partitioning=False).with_columns(
        pl.col("ts_event").to_physical().alias("ts")
    )


# ---------------------------------------------------------------- footprint
@contextmanager
def ours(data: Data) -> Prepared:
    """The project's kernel: cells and summary."""
    import numpy as np

    from footprint_assets import calendar as cme
    from footprint_assets.kernels import footprint as kernel
    from footprint_assets.kernels.bars import time_bars
    from footprint_assets.settings import FootprintSettings

    frame, session = trades_of(data), cme.session(DAY)
    columns = ("ts", "price_tick", "price_tick", "size", "aggressor_sign")
    trades = kernel.Trades(*(np.array(frame[name].to_numpy(), np.int64) for name in columns))
    settings = FootprintSettings().model_dump() | {"imbalance_zero": kernel.ZERO_IS_INFINITE}
    rules = kernel.Rules(**{name: settings[name] for name in kernel.Rules._fields})

    def work() -> tuple[NDArray[Any], NDArray[Any]]:
        bars = time_bars(trades.ts_ns, BAR_NS, session.open_ns, session.close_ns)
        return kernel.footprint(trades, bars.offsets, rules)

    def facts(result: tuple[NDArray[Any], NDArray[Any]]) -> Facts:
        cells, bars = result
        found = {
            "trades": frame.height,
            "bars": len(bars),
            "poc_rows": int(bars["poc_row"].sum()),
            "value_area_rows": int((bars["vah_row"] - bars["val_row"] + 1).sum()),
            "deltas": int(bars["delta"].sum()),
        }
        return found | cell_checks(cells["row"], cells["ask_volume"], cells["bid_volume"])

    yield work, facts


def cell_checks(row: NDArray[Any], bought: NDArray[Any], sold: NDArray[Any]) -> Facts:
    """Numbers that differ where a cell does."""
    return {
        "cells": len(row),
        "cell_rows": int(row.astype("int64").sum()),
        "cell_volume": int((row * bought.astype("int64") - 2 * row * sold.astype("int64")).sum()),
    }


@contextmanager
def polars(data: Data) -> Prepared:
    """``group_by`` bar and tick."""
    import polars as pl

    frame = trades_of(data).select("ts", "price_tick", "size", "aggressor_sign")
    size, sign = pl.col("size"), pl.col("aggressor_sign")
    query = (
        frame.lazy()
        .group_by((pl.col("ts") // BAR_NS).alias("bar"), "price_tick")
        .agg(
            (size * (sign > 0)).sum().alias("bought"),
            (size * (sign < 0)).sum().alias("sold"),
            (size * (sign == 0)).sum().alias("unknown"),
            pl.len().alias("trades"),
        )
        .sort("bar", "price_tick")
    )
    yield (
        query.collect,
        lambda cells: cell_checks(*(cells[n].to_numpy() for n in ("price_tick", "bought", "sold"))),
    )


@contextmanager
def duckdb(data: Data) -> Prepared:
    """``GROUP BY`` bar and tick."""
    import duckdb as engine

    connection = engine.connect()
    connection.register(
        "arrow_rows", trades_of(data).select("ts", "price_tick", "size", "aggressor_sign").to_arrow()
    )
    connection.execute("CREATE TABLE trades AS SELECT * FROM arrow_rows")
    query = f"""
        SELECT ts // {BAR_NS} AS bar, price_tick,
            sum(CASE WHEN aggressor_sign > 0 THEN size ELSE 0 END)::BIGINT AS bought,
            sum(CASE WHEN aggressor_sign < 0 THEN size ELSE 0 END)::BIGINT AS sold,
            sum(CASE WHEN aggressor_sign = 0 THEN size ELSE 0 END)::BIGINT AS unknown,
            count(*) AS trades
        FROM trades GROUP BY ALL ORDER BY bar, price_tick
    """  # noqa: S608 - no text of anybody's goes in
    yield (
        lambda: connection.execute(query).fetchnumpy(),
        lambda cells: cell_checks(*(cells[n] for n in ("price_tick", "bought", "sold"))),
    )


@contextmanager
def pandas(data: Data) -> Prepared:
    """``groupby`` for the cells, a loop over the bars for the value area."""
    import numpy as np
    import pandas as pd

    frame = trades_of(data)
    size, sign = frame["size"].to_numpy(), frame["aggressor_sign"].to_numpy()
    trades = pd.DataFrame({n: frame[n].to_numpy() for n in ("ts", "price_tick", "size")})
    trades["bar"] = trades["ts"] // BAR_NS
    trades["bought"], trades["sold"] = np.where(sign > 0, size, 0), np.where(sign < 0, size, 0)

    def work() -> tuple[Any, Any]:
        cells = trades.groupby(["bar", "price_tick"])[["bought", "sold", "size"]].sum().reset_index()
        bars = trades.groupby("bar").agg(
            open=("price_tick", "first"),
            high=("price_tick", "max"),
            low=("price_tick", "min"),
            close=("price_tick", "last"),
            volume=("size", "sum"),
            bought=("bought", "sum"),
            sold=("sold", "sum"),
        )
        bars["delta"] = bars["bought"] - bars["sold"]
        tick, volume = cells["price_tick"].to_numpy(), cells["size"].to_numpy()
        edges = np.append(np.flatnonzero(cells["bar"].diff().to_numpy() != 0), len(cells))
        areas = [_value_area(tick[a:b], volume[a:b]) for a, b in pairwise(edges)]
        bars[["poc", "val", "vah"]] = areas
        return cells, bars

    def facts(result: tuple[Any, Any]) -> Facts:
        cells, bars = result
        found = {
            "bars": len(bars),
            "poc_rows": int(bars["poc"].sum()),
            "value_area_rows": int((bars["vah"] - bars["val"] + 1).sum()),
            "deltas": int(bars["delta"].sum()),
        }
        return found | cell_checks(*(cells[n].to_numpy() for n in ("price_tick", "bought", "sold")))

    yield work, facts


def _value_area(ticks: NDArray[Any], volumes: NDArray[Any], share: int = 70) -> tuple[int, int, int]:
    """Point of control, value area low and high of one bar: 70 %, two rows a step, the project's rules for ties."""
    base = int(ticks[0])
    rows = [0] * (int(ticks[-1]) - base + 1)
    for tick, volume in zip(ticks.tolist(), volumes.tolist(), strict=True):
        rows[tick - base] = volume
    n, total = len(rows), sum(rows)
    poc = min(range(n), key=lambda row: (-rows[row], abs(2 * row - (n - 1)), row))
    low = high = poc
    inside = rows[poc]
    while 100 * inside < share * total and (low > 0 or high < n - 1):
        above, below = sum(rows[high + 1 : high + 3]), sum(rows[max(low - 2, 0) : low])
        if high == n - 1:
            up = False
        elif low == 0 or above != below:
            up = low == 0 or above > below
        else:
            up = high - poc <= poc - low
        if up:
            high, inside = min(high + 2, n - 1), inside + above
        else:
            low, inside = max(low - 2, 0), inside + below
    return base + poc, base + low, base + high


# ---------------------------------------------------------------- OHLCV
@contextmanager
def ohlcv_ours(data: Data) -> Prepared:
    """The project's function for one-minute bars: OHLC, volumes by aggressor, VWAP, true range and ATR."""
    from footprint_assets import calendar as cme
    from footprint_assets.settings import BarSettings
    from footprint_assets.transforms.ohlcv import ohlcv

    trades, session, bars = trades_of(data), cme.session(DAY), BarSettings(ohlcv_seconds=(60,))
    yield (
        lambda: ohlcv(trades, session, bars),
        lambda found: ohlcv_checks(
            *(found[n].to_numpy() for n in ("open", "close", "high", "low", "vwap", "volume"))
        ),
    )


def ohlcv_checks(*columns: NDArray[Any]) -> Facts:
    """Numbers that differ where a bar does."""
    names = ("opens", "closes", "highs", "lows", "vwaps", "volumes")
    return {"bars": len(columns[0])} | {
        name: float(column.astype("float64").sum()) for name, column in zip(names, columns, strict=True)
    }


@contextmanager
def ohlcv_polars(data: Data) -> Prepared:
    """``group_by_dynamic``."""
    import polars as pl

    price, size = pl.col("price"), pl.col("size")
    query = (
        trades_of(data)
        .select("ts_event", "price", "size")
        .lazy()
        .group_by_dynamic("ts_event", every="1m")
        .agg(
            price.first().alias("open"),
            price.last().alias("close"),
            price.max().alias("high"),
            price.min().alias("low"),
            ((price * size).sum() / size.sum()).alias("vwap"),
            size.sum().alias("volume"),
        )
    )
    yield (
        query.collect,
        lambda found: ohlcv_checks(
            *(found[n].to_numpy() for n in ("open", "close", "high", "low", "vwap", "volume"))
        ),
    )


@contextmanager
def ohlcv_duckdb(data: Data) -> Prepared:
    """``first`` and ``last`` in the order of the rows."""
    import duckdb as engine

    connection = engine.connect()
    connection.register("arrow_rows", trades_of(data).select("ts", "price", "size").to_arrow())
    connection.execute("CREATE TABLE trades AS SELECT *, row_number() OVER () AS row FROM arrow_rows")
    query = f"""
        SELECT ts // {MINUTE_NS} AS bar, arg_min(price, row) AS open, arg_max(price, row) AS close, max(price) AS high,
            min(price) AS low, sum(price * size) / sum(size) AS vwap, sum(size)::BIGINT AS volume
        FROM trades GROUP BY bar ORDER BY bar
    """  # noqa: S608 - no text of anybody's goes in
    yield (
        lambda: connection.execute(query).fetchnumpy(),
        lambda found: ohlcv_checks(*(found[n] for n in ("open", "close", "high", "low", "vwap", "volume"))),
    )


@contextmanager
def ohlcv_pandas(data: Data) -> Prepared:
    """``groupby`` the minute."""
    import pandas as pd

    frame = trades_of(data)
    trades = pd.DataFrame({n: frame[n].to_numpy() for n in ("ts", "price", "size")})

    def work() -> Any:
        groups = trades.assign(turnover=trades["price"] * trades["size"]).groupby(trades["ts"] // MINUTE_NS)
        bars = groups["price"].agg(["first", "last", "max", "min"])
        sums = groups[["turnover", "size"]].sum()
        return bars.assign(vwap=sums["turnover"] / sums["size"], volume=sums["size"])

    yield (
        work,
        lambda found: ohlcv_checks(
            *(found[n].to_numpy() for n in ("first", "last", "max", "min", "vwap", "volume"))
        ),
    )


FOOTPRINT = Case(
    "footprint",
    "Trades to the footprint of five-second bars, in memory",
    (
        Side("ours", ours, repeats=_REPEATS),
        Side("polars", polars, repeats=_REPEATS),
        Side("DuckDB", duckdb, repeats=_REPEATS),
        Side("pandas", pandas, repeats=2),
    ),
    (
        faster("footprint with summary: wall, polars' cells alone / ours", "polars", 5.0),
        faster("footprint with summary: wall, DuckDB's cells alone / ours", "DuckDB", 4.0),
        faster("footprint with summary: wall, pandas with value area / ours", "pandas", 100.0),
        Line("footprint with summary: trades a second", rate("ours", "trades"), unit="M/s"),
    ),
    agree=("bars", "cells", "cell_rows", "cell_volume", "poc_rows", "value_area_rows", "deltas"),
)

OHLCV = Case(
    "ohlcv",
    "Trades to one-minute OHLCV with VWAP, in memory",
    (
        Side("ours", ohlcv_ours, repeats=_REPEATS),
        Side("polars", ohlcv_polars, repeats=_REPEATS),
        Side("DuckDB", ohlcv_duckdb, repeats=_REPEATS),
        Side("pandas", ohlcv_pandas, repeats=_REPEATS),
    ),
    (
        faster("OHLCV with VWAP: wall, polars / ours", "polars", None),
        faster("OHLCV with VWAP: wall, DuckDB / ours", "DuckDB", None),
        faster("OHLCV with VWAP: wall, pandas / ours", "pandas", None),
    ),
    agree=("bars", "opens", "closes", "highs", "lows", "vwaps", "volumes"),
)
