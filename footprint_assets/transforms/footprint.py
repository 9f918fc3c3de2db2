"""Footprints: from the clean trades of one contract and trade date to price rows and bar summaries.

A bar row reads trades up to the end of its bar only. What a bar owes to the session around it and to earlier sessions
comes from ``footprint_levels``. The definitions are in docs/footprint.md, the columns in the contracts of the two tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.errors import FootprintError
from footprint_assets.kernels import bars as bar_kernels
from footprint_assets.kernels import footprint as kernel
from footprint_assets.kernels import indicators
from footprint_assets.kernels.bars import Bars
from footprint_assets.settings import NANOS_PER_SECOND, PRICE_SCALE, BarSettings, FootprintSettings
from footprint_assets.transforms.dwell import NAME as DWELL
from footprint_assets.transforms.dwell import dwell
from footprint_assets.transforms.footprint_levels import LevelInputs, context_columns, is_context_column
from footprint_assets.transforms.running import Tape

PRICE_TABLE = "silver.future.footprint_price"
BAR_TABLE = "silver.future.footprint_bar"

MAX_ROWS = 1_000_000
"""Price rows between the lowest and the highest trade; more means a corrupt price, not a market."""

_ZERO_RULES = {
    "infinite": kernel.ZERO_IS_INFINITE,
    "one": kernel.ZERO_IS_ONE,
    "ignore": kernel.ZERO_IS_IGNORED,
}


class MalformedTradesError(FootprintError):
    """Trades a footprint cannot be built from."""


class UnknownBarTypeError(FootprintError):
    """A configured bar the contract has no name for."""


class SessionTimes(Protocol):
    """The instants of a session that a footprint needs, ns since the epoch."""

    @property
    def open_ns(self) -> int:
        """Open of trading hours, 18:00 ET."""

    @property
    def close_ns(self) -> int:
        """Close of trading hours, early close aware."""

    @property
    def rth_open_ns(self) -> int | None:
        """Open of regular trading hours, 09:30 ET; None where the cash market is closed."""


@dataclass(frozen=True)
class _Ticks:
    """Conversion between prices in points, ticks and rows."""

    tick_size_points: float
    ticks_per_row: int

    def price(self, ticks: NDArray[np.int64]) -> NDArray[np.float64]:
        # Through nanos, because 3 * 0.1 is not 0.3: the result must equal the price of the trade bit for bit.
        nanos = round(self.tick_size_points * PRICE_SCALE)
        return ticks * nanos / PRICE_SCALE

    def row_price(self, rows: NDArray[np.int64]) -> pl.Series:
        """Price of the lowest tick of each row, null for ``NO_ROW``."""
        exists = rows != kernel.NO_ROW
        return _series(np.where(exists, self.price(np.where(exists, rows, 0) * self.ticks_per_row), np.nan))


def footprint_price(
    trades: pl.DataFrame,
    bbo: pl.DataFrame | None,
    session: SessionTimes,
    bars: BarSettings,
    rules: FootprintSettings,
    tick_size_points: float,
) -> pl.DataFrame:
    """Volume at price inside every bar of one contract on one trade date.

    Args:
        trades: Rows of ``silver.future.trades_clean`` of one symbol and one session date, sorted by ``ts_event``.
        bbo: Rows of ``silver.future.bbo`` of the same symbol and date; None where no book is held.
        session: Open and close of the session.
        bars: Which bars to build.
        rules: Row height, imbalance and value area definitions.
        tick_size_points: Minimum price increment, points.

    Returns:
        Rows of ``silver.future.footprint_price`` in the sort order of the contract.

    Raises:
        MalformedTradesError: The trades are not sorted, mix symbols or dates, or hold a size or price no market makes.
        UnknownBarTypeError: A configured bar has no name in the contract.
    """
    schema = contracts.load(PRICE_TABLE).polars_schema
    without_dwell = pl.Schema({name: dtype for name, dtype in schema.items() if name != DWELL})
    ticks = _Ticks(tick_size_points, rules.ticks_per_row)
    frames = [
        _price_rows(built.cells, built.summary, built.ids, ticks)
        for built in _built(trades, session, bars, rules)
    ]
    if not frames:
        return schema.to_frame()
    rows = _conform(pl.concat(frames), without_dwell)
    return rows.with_columns(dwell(bbo, rows, rules.ticks_per_row)).select(schema.names())


def footprint_bar(
    trades: pl.DataFrame,
    levels: LevelInputs,
    session: Session,
    bars: BarSettings,
    rules: FootprintSettings,
    tick_size_points: float,
) -> pl.DataFrame:
    """Every footprint bar of one contract on one trade date, and where its close stood.

    Args:
        trades: Rows of ``silver.future.trades_clean`` of one symbol and one session date, sorted by ``ts_event``.
        levels: Levels of the date and facts of the sessions before it.
        session: The trade date's session.
        bars: Which bars to build.
        rules: Row height, imbalance and value area definitions.
        tick_size_points: Minimum price increment, points.

    Returns:
        Rows of ``silver.future.footprint_bar`` in the sort order of the contract.

    Raises:
        MalformedTradesError: The trades are not sorted, mix symbols or dates, or hold a size or price no market makes.
        UnknownBarTypeError: A configured bar has no name in the contract.
    """
    schema = contracts.load(BAR_TABLE).polars_schema
    rows = bars_of_trades(trades, session, bars, rules, tick_size_points)
    if rows.is_empty():
        return schema.to_frame()
    tape = Tape.of(trades, session, round(tick_size_points * PRICE_SCALE))
    return rows.with_columns(context_columns(rows, tape, levels, session, rules)).select(schema.names())


def bars_of_trades(
    trades: pl.DataFrame,
    session: SessionTimes,
    bars: BarSettings,
    rules: FootprintSettings,
    tick_size_points: float,
) -> pl.DataFrame:
    """The columns of ``silver.future.footprint_bar`` that need nothing but the trades of the session.

    Args:
        trades: Rows of ``silver.future.trades_clean`` of one symbol and one session date, sorted by ``ts_event``.
        session: Open and close of the session.
        bars: Which bars to build.
        rules: Row height, imbalance and value area definitions.
        tick_size_points: Minimum price increment, points.

    Returns:
        One row a bar in the sort order of the contract.

    Raises:
        MalformedTradesError: The trades are not sorted, mix symbols or dates, or hold a size or price no market makes.
        UnknownBarTypeError: A configured bar has no name in the contract.
    """
    schema = contracts.load(BAR_TABLE).polars_schema
    own = pl.Schema({name: dtype for name, dtype in schema.items() if not is_context_column(name)})
    ticks = _Ticks(tick_size_points, rules.ticks_per_row)
    running, summaries = [], []
    for built in _built(trades, session, bars, rules):
        running.append(_running_columns(built, session, ticks))
        summaries.append(built.summary)
    if not running:
        return own.to_frame()
    return _conform(_bar_rows(pl.concat(running), np.concatenate(summaries), ticks), own)


@dataclass(frozen=True)
class _Built:
    """The bars of one type: their trades, price cells, summaries and ids."""

    trades: kernel.Trades
    bars: Bars
    cells: NDArray[Any]
    summary: NDArray[Any]
    ids: pl.DataFrame


def _built(
    trades: pl.DataFrame, session: SessionTimes, bars: BarSettings, footprint: FootprintSettings
) -> Iterator[_Built]:
    """The footprints of every configured bar type, in the order of the contract."""
    if trades.is_empty():
        return
    columns = _trade_arrays(trades, footprint.ticks_per_row)
    rules = _rules(footprint)
    known = _bar_types(contracts.load(BAR_TABLE).polars_schema)
    for bar_type, built in sorted(
        _bars(columns, session, bars, known), key=lambda item: known.index(item[0])
    ):
        cells, summary = kernel.footprint(columns, built.offsets, rules)
        yield _Built(columns, built, cells, summary, _bar_ids(trades, bar_type, built))


def _trade_arrays(trades: pl.DataFrame, ticks_per_row: int) -> kernel.Trades:
    """Views of the trades for the kernels; sizes become int64 here, so that a negated uint32 cannot wrap."""
    where: dict[str, object] = {"table": "silver.future.trades_clean", "symbol": trades["symbol"][0]}
    remedy = "rebuild silver.future.trades_clean for this date"
    for column in ("symbol", "session_date"):
        if trades[column].n_unique() != 1:
            raise MalformedTradesError(f"trades of more than one {column}", where=where, remedy=remedy)
    times = trades["ts_event"].to_physical()
    if not times.is_sorted():
        raise MalformedTradesError("trades are not sorted by ts_event", where=where, remedy=remedy)
    size = trades["size"].cast(pl.Int64).to_numpy()
    if size.min() < 1:
        row = int(np.flatnonzero(size < 1)[0])
        raise MalformedTradesError("a trade of no contracts", where=where | {"row": row}, remedy=remedy)
    tick = trades["price_tick"].cast(pl.Int64).to_numpy()
    rows = tick // ticks_per_row
    if rows.max() - rows.min() >= MAX_ROWS:
        where |= {"low_tick": int(tick.min()), "high_tick": int(tick.max())}
        raise MalformedTradesError(
            "trade prices further apart than any market moves", where=where, remedy=remedy
        )
    sign = trades["aggressor_sign"].cast(pl.Int64).to_numpy()
    # Copies: read-only views of Arrow buffers are another numba signature and would compile everything twice.
    return kernel.Trades(
        *(np.array(values, np.int64) for values in (times.to_numpy(), tick, rows, size, sign))
    )


def _rules(settings: FootprintSettings) -> kernel.Rules:
    return kernel.Rules(
        ticks_per_row=settings.ticks_per_row,
        imbalance_ratio=float(settings.imbalance_ratio),
        imbalance_min_volume=settings.imbalance_min_volume,
        imbalance_min_difference=settings.imbalance_min_difference,
        imbalance_zero=_ZERO_RULES[settings.imbalance_zero],
        stacked_rows=settings.stacked_rows,
        value_area_pct=settings.value_area_pct,
        value_area_rows=settings.value_area_rows,
        exhaustion_ratio=float(settings.exhaustion_ratio),
        absorption_quantile_pct=settings.absorption_quantile_pct,
        absorption_mean_multiple=float(settings.absorption_mean_multiple),
        absorption_rejection_ticks=settings.absorption_rejection_ticks,
        cluster_mean_multiple=float(settings.cluster_mean_multiple),
    )


def time_bar_type(seconds: int) -> str:
    """Name of a time bar, such as ``time_5s``, ``time_2m`` or ``time_1h``."""
    for unit, unit_seconds in (("h", 3600), ("m", 60)):
        if seconds % unit_seconds == 0:
            return f"time_{seconds // unit_seconds}{unit}"
    return f"time_{seconds}s"


def _bar_types(schema: pl.Schema) -> list[str]:
    dtype = schema["bar_type"]
    assert isinstance(dtype, pl.Enum)
    return dtype.categories.to_list()


def _bars(
    trades: kernel.Trades, session: SessionTimes, settings: BarSettings, known: list[str]
) -> Iterator[tuple[str, Bars]]:
    ts, tick, size = trades.ts_ns, trades.tick, trades.size

    def named(bar_type: str, bars: Bars) -> tuple[str, Bars]:
        if bar_type not in known:
            raise UnknownBarTypeError(
                f"the contract has no bar type {bar_type}",
                where={"table": BAR_TABLE, "known": ", ".join(known)},
                remedy=f"add {bar_type} to bar_type of {PRICE_TABLE} and {BAR_TABLE}, or drop it from the settings",
            )
        return bar_type, bars

    for seconds in settings.time_seconds:
        width_ns = seconds * NANOS_PER_SECOND
        yield named(
            time_bar_type(seconds), bar_kernels.time_bars(ts, width_ns, session.open_ns, session.close_ns)
        )
    for range_ticks in settings.range_ticks:
        yield named(f"range_{range_ticks}t", bar_kernels.range_bars(ts, tick, range_ticks))
    for contracts_ in settings.volume_contracts:
        yield named(f"volume_{contracts_}", bar_kernels.volume_bars(ts, size, contracts_))
    for count in settings.tick_trades:
        yield named(f"tick_{count}", bar_kernels.tick_bars(ts, count))


def _bar_ids(trades: pl.DataFrame, bar_type: str, bars: Bars) -> pl.DataFrame:
    return pl.DataFrame({"bar_ts": bars.start_ns, "bar_end_ts": bars.end_ns}).select(
        pl.lit(trades["symbol"][0]).alias("symbol"),
        pl.lit(trades["session_date"][0]).alias("session_date"),
        pl.lit(bar_type).alias("bar_type"),
        pl.int_range(pl.len(), dtype=pl.Int64).alias("bar_id"),
        "bar_ts",
        "bar_end_ts",
    )


def _price_rows(
    cells: NDArray[Any], summary: NDArray[Any], bar_ids: pl.DataFrame, ticks: _Ticks
) -> pl.DataFrame:
    """One row a traded price of each bar."""
    columns = {name: _series(cells[name]) for name in kernel.CELL.names or () if name not in ("bar", "row")}
    total = pl.col("bid_volume") + pl.col("ask_volume") + pl.col("unknown_volume")
    known_volume = pl.col("ask_volume") + pl.col("bid_volume")
    delta = pl.col("ask_volume") - pl.col("bid_volume")
    return pl.DataFrame(columns).with_columns(
        *bar_ids[cells["bar"]],
        pl.Series("price_tick", cells["row"] * ticks.ticks_per_row),
        ticks.row_price(cells["row"]).alias("price"),
        total.alias("total_volume"),
        delta.alias("delta"),
        (100 * delta / known_volume).alias("delta_pct"),
        (100 * total / pl.Series(summary["volume"][cells["bar"]])).alias("volume_pct"),
    )


def _running_columns(built: _Built, session: SessionTimes, ticks: _Ticks) -> pl.DataFrame:
    """What a bar owes to the bars of its type before it: ids, the session so far, indicators, changes."""
    trades, bars, summary = built.trades, built.bars, built.summary
    return built.ids.with_columns(
        *_session_columns(trades, bars, summary, session),
        *_indicator_columns(trades, bars, summary, ticks),
        pl.Series("is_complete", bars.is_complete),
        _value_area_overlap(summary).alias("value_area_overlap"),
        _series(summary["delta"]).diff().alias("delta_change"),
        (_series(summary["poc_row"]).diff() * ticks.ticks_per_row).alias("poc_change_ticks"),
    )


def _bar_rows(running: pl.DataFrame, summary: NDArray[Any], ticks: _Ticks) -> pl.DataFrame:
    """One row a bar, of all types: what the bars before it say, and its own summary."""
    duration = pl.col("bar_end_ts") - pl.col("bar_ts")
    seconds = duration / NANOS_PER_SECOND
    low_row = pl.col("low_tick") // ticks.ticks_per_row
    height = pl.col("high_tick") - pl.col("low_tick")
    known_volume = pl.col("ask_volume") + pl.col("bid_volume")
    return running.with_columns(
        *(_series(summary[name], name) for name in kernel.BAR.names or ()),
        *_price_columns(summary, ticks),
        pl.Series("vwap", (summary["open_tick"] + _mean_offset(summary)) * ticks.tick_size_points),
        pl.Series("vwap_std", _tick_std(summary) * ticks.tick_size_points),
    ).with_columns(
        (pl.col("volume") / pl.col("trades")).alias("avg_trade_size"),
        pl.col("poc_volume").alias("max_cluster_volume"),
        (100 * pl.col("delta") / known_volume).alias("delta_pct"),
        (100 * pl.col("value_area_volume") / pl.col("volume")).alias("value_area_volume_pct"),
        (pl.col("buy_imbalance_count") - pl.col("sell_imbalance_count")).alias("imbalance_net"),
        _position(pl.col("poc_row") - low_row, pl.col("rows") - 1).alias("poc_position"),
        _position(pl.col("close_tick") - pl.col("low_tick"), height).alias("close_position"),
        duration.alias("duration_ns"),
        pl.when(duration > 0).then(pl.col("volume") / seconds).alias("volume_per_second"),
        pl.when(duration > 0).then(pl.col("trades") / seconds).alias("trades_per_second"),
    )


def _position(above_low: pl.Expr, height: pl.Expr) -> pl.Expr:
    return pl.when(height > 0).then(above_low / height).otherwise(0.5)


def _price_columns(summary: NDArray[Any], ticks: _Ticks) -> Iterator[pl.Series]:
    for name in ("open", "high", "low", "close"):
        yield pl.Series(name, ticks.price(summary[f"{name}_tick"]))
    for name in ("poc", "ask_poc", "bid_poc", "vah", "val"):
        yield ticks.row_price(summary[f"{name}_row"]).alias(f"{name}_price")
    for name in ("stacked_buy_low", "stacked_buy_high", "stacked_sell_low", "stacked_sell_high"):
        yield ticks.row_price(summary[f"{name}_row"]).alias(name)
    yield ticks.row_price(summary["poc_row"]).alias("max_cluster_price")


def _mean_offset(summary: NDArray[Any]) -> NDArray[np.float64]:
    """Volume-weighted mean distance from the open of the bar, ticks."""
    return np.asarray(summary["sum_size_ticks"] / summary["volume"], np.float64)


def _tick_std(summary: NDArray[Any]) -> NDArray[np.float64]:
    """Volume-weighted population standard deviation of the trade prices, ticks.

    The sums move to the whole tick below the mean before they become floats, so the subtraction left over is of
    numbers of the size of the variance itself.
    """
    volume, total, squares = summary["volume"], summary["sum_size_ticks"], summary["sum_size_ticks_squared"]
    whole, rest = np.divmod(total, volume)
    centred = squares - 2 * whole * total + whole * whole * volume
    return np.asarray(np.sqrt(np.maximum(centred / volume - (rest / volume) ** 2, 0.0)), np.float64)


def _value_area_overlap(summary: NDArray[Any]) -> pl.Series:
    """Rows in both value areas over rows in either, with the bar before."""
    low, high = summary["val_row"], summary["vah_row"]
    shared = np.maximum(np.minimum(high[1:], high[:-1]) - np.maximum(low[1:], low[:-1]) + 1, 0)
    height = high - low + 1
    return _series(np.concatenate(([np.nan], shared / (height[1:] + height[:-1] - shared))))


def _session_columns(
    trades: kernel.Trades, bars: Bars, summary: NDArray[Any], session: SessionTimes
) -> Iterator[pl.Series]:
    """Cumulative delta of the session at the end of, and inside, each bar."""
    flow = trades.size * trades.sign
    last = bars.offsets[1:] - 1
    cum_delta = np.cumsum(flow)[last]
    opening = cum_delta - summary["delta"]
    yield pl.Series("cum_delta", cum_delta)
    yield pl.Series("cum_delta_open", opening)
    yield pl.Series("cum_delta_high", opening + summary["max_delta"])
    yield pl.Series("cum_delta_low", opening + summary["min_delta"])
    if session.rth_open_ns is None:
        yield pl.Series("cum_delta_rth", [None] * len(bars), pl.Int64)
        return
    regular = trades.ts_ns >= session.rth_open_ns
    cum_delta_rth = pl.Series("cum_delta_rth", np.cumsum(flow * regular)[last])
    yield cum_delta_rth.set(pl.Series(~regular[last]), None)


def _indicator_columns(
    trades: kernel.Trades, bars: Bars, summary: NDArray[Any], ticks: _Ticks
) -> Iterator[pl.Series]:
    """Indicators over the bars of this type so far in the session."""
    point = ticks.tick_size_points
    close, high, low, delta = (
        np.ascontiguousarray(summary[name]) for name in ("close_tick", "high_tick", "low_tick", "delta")
    )
    last = bars.offsets[1:] - 1
    cum_delta = np.cumsum(trades.size * trades.sign)[last]
    yield _series(indicators.delta_divergence(high, low, delta, 20), "is_delta_divergence")
    yield _series(indicators.delta_flip(delta, 20), "is_delta_flip")
    zscore = indicators.zscore(delta, 11)
    yield _series(zscore, "delta_zscore_11")
    yield _series(indicators.rolling_slope(cum_delta, 5), "cum_delta_slope_5")
    for length in (5, 10):
        divergence = indicators.price_flow_divergence(cum_delta, close, delta, high - low, length, 10)
        yield _series(divergence, f"price_cum_delta_divergence_{length}")
    offset = np.cumsum(trades.size * (trades.tick - trades.tick[0]))[last]
    session_vwap_ticks = trades.tick[0] + offset / np.cumsum(trades.size)[last]
    reversal = zscore * (close - session_vwap_ticks) * point
    yield _series(reversal, "interaction_reversal")
    yield _series(indicators.wilder_mean(np.abs(reversal), 20), "interaction_reversal_avg20")
    yield _series(indicators.wilder_rsi(close, 14), "rsi_14")
    middle, std = (values * point for values in indicators.rolling_moments(close, 20))
    with np.errstate(divide="ignore", invalid="ignore"):
        percent_b = np.where(std > 0, 0.5 + (close * point - middle) / (4 * std), np.nan)
    yield _series(middle, "bb_middle_20")
    yield _series(middle + 2 * std, "bb_upper_20_2")
    yield _series(middle - 2 * std, "bb_lower_20_2")
    yield _series(4 * std / middle, "bb_width_20_2")
    yield _series(percent_b, "bb_percent_b")
    middle, std = (values * point for values in indicators.wilder_bollinger(close, 21))
    yield _series(middle, "bbw_middle_21")
    yield _series(middle + 2.4 * std, "bbw_upper_21_2_4")
    yield _series(middle - 2.4 * std, "bbw_lower_21_2_4")
    yield _series(4.8 * std, "bbw_width_21_2_4")


def _series(values: NDArray[Any], name: str = "") -> pl.Series:
    """A column from an array, field of a record or not."""
    return pl.Series(name, np.ascontiguousarray(values))


def _conform(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """The columns of the contract in its order and types; NaN, which a 0/0 ratio is, becomes null."""
    made = frame.schema
    return frame.select(
        (pl.col(name).fill_nan(None) if made[name].is_float() else pl.col(name)).cast(dtype)
        for name, dtype in schema.items()
    )
