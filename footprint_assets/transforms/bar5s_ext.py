"""Order-flow features of five-second bars: the two book tables, the trades and the prior sessions in, one row a bar out.

Every row is made of its own bar, the bars before it, and fits on earlier sessions; nothing here reads ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels import bar5s_trades as trades_kernel
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.kernels.bar5s_trades import NO_LARGE_ORDER, NO_MID, BarTrades, bar_trades
from footprint_assets.kernels.book_events import LEVELS
from footprint_assets.kernels.fits import (
    STOIKOV_BUCKETS,
    STOIKOV_SPREADS,
    STOIKOV_STATES,
    imbalance_bucket,
    stoikov_adjustment,
)
from footprint_assets.kernels.ofi import normalised_ofi
from footprint_assets.settings import PRICE_SCALE, OrderFlowSettings
from footprint_assets.transforms.bar5s_book import STOIKOV_COLUMNS, TICK_BANDS
from footprint_assets.transforms.book_batch import SIDES
from footprint_assets.transforms.grid import require_same_bars
from footprint_assets.transforms.sessions import session_columns

TABLE = "silver.future.market_by_price_10_bar5s_ext"
WALL_MEDIAN_BARS = 180
"""Fifteen minutes of bars, over which the usual size of a level is taken."""
WALL_MEDIAN_MIN_BARS = 36
PRIOR_COLUMNS = (
    "symbol", "sessions_ago", "ofi_weights", "order_size_counts", "stoikov_stay", "stoikov_move", "stoikov_jump",
)  # fmt: skip
"""What the features need of ``silver.future.prior_sessions``."""
BAR_COLUMNS = (
    *("bar_ts", "symbol", "bar5s_state_spread_pts_twa"),
    *(f"bar5s_meta_{what}_cnt_sum" for what in ("add", "cancel", "modify", "trade")),
    *(f"bar5s_depth_{side}10_qty_twa" for side in SIDES),
    *(f"bar5s_wall_{side}_nearest_strong_levelidx_eob" for side in SIDES),
    *(
        f"bar5s_shape_{side}_{what}_l{level:02d}_eob"
        for side in SIDES
        for what in ("px", "sz")
        for level in range(LEVELS)
    ),
)
"""What they need of the five-second bars."""
TRADE_COLUMNS = (
    "ts_event", "price_tick", "size", "aggressor_sign", "aggressor_order_id", "levels_swept", "mid_px",
)  # fmt: skip
"""What they need of the clean trades."""

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]
Columns = dict[str, Float64]


@dataclass(frozen=True)
class PriorFits:
    """What the sessions before a trade date fix for it.

    Args:
        ofi_weights: First principal component of the last session's normalised order-flow imbalance, float64[10];
            None without one.
        large_order: Smallest size of a large aggressor order, contracts; None without enough history.
        stoikov_ticks: Micro-price adjustment by state, float64[20], ticks; NaN where not known.
    """

    ofi_weights: Float64 | None
    large_order: int | None
    stoikov_ticks: Float64


def prior_fits(prior_sessions: pl.DataFrame, settings: OrderFlowSettings) -> PriorFits:
    """Read the fits of one contract from its prior sessions.

    Args:
        prior_sessions: Rows of ``silver.future.prior_sessions`` of one contract, at least ``PRIOR_COLUMNS``; any order,
            none at all for a first session. The facts used have no price in them, so another expiry counts too.
        settings: How far back each fit reaches.

    Returns:
        The fits.
    """
    rows = prior_sessions.sort("sessions_ago")
    last = rows.filter((pl.col("sessions_ago") == 1) & pl.col("ofi_weights").is_not_null())
    sizes = rows.filter(pl.col("sessions_ago") <= settings.order_size_sessions)[
        "order_size_counts"
    ].drop_nulls()
    quotes = rows.filter(
        (pl.col("sessions_ago") <= settings.stoikov_sessions) & pl.col("stoikov_stay").is_not_null()
    )
    table = np.full(STOIKOV_STATES, np.nan)
    if quotes.height:
        table = stoikov_adjustment(
            *(_summed(quotes[f"stoikov_{what}"]) for what in ("stay", "move", "jump"))
        )  # fmt: skip
    return PriorFits(
        ofi_weights=np.array(last["ofi_weights"][0], np.float64) if last.height else None,
        large_order=_percentile(_summed(sizes), settings.large_order_pct)
        if len(sizes) >= settings.order_size_min_sessions
        else None,
        stoikov_ticks=table,
    )


def bar5s_ext(
    bars: pl.DataFrame,
    book: pl.DataFrame,
    trades_clean: pl.DataFrame,
    prior_sessions: pl.DataFrame,
    session: Session,
    tick_size_nanos: int,
    settings: OrderFlowSettings,
) -> pl.DataFrame:
    """Derive the order-flow features of one contract on one trade date.

    Args:
        bars: ``BAR_COLUMNS`` of ``silver.future.market_by_price_10_bar5s``.
        book: Rows of ``silver.future.market_by_price_10_bar5s_book``, the same bars.
        trades_clean: ``TRADE_COLUMNS`` of ``silver.future.trades_clean`` in their order; a trade outside the bars has no bar.
        prior_sessions: Rows of ``silver.future.prior_sessions`` of the trade date, at least ``PRIOR_COLUMNS``; those
            of the contract are read, none for a first session.
        session: The trade date's session.
        tick_size_nanos: Minimum price increment, 1e-9 points.
        settings: What is taken from the prior sessions.

    Returns:
        Rows of ``silver.future.market_by_price_10_bar5s_ext``, one a bar.

    Raises:
        GridsDiffer: If the two book tables hold different bars.
    """
    schema = contracts.load(TABLE).polars_schema
    if bars.is_empty() and book.is_empty():
        return schema.to_frame()
    require_same_bars(TABLE, bars, book=book)
    fits = prior_fits(prior_sessions.filter(pl.col("symbol") == bars["symbol"][0]), settings)
    traded = _trades_by_bar(bars["bar_ts"], trades_clean, tick_size_nanos, fits.large_order)
    columns = (
        _ratio_columns(bars, book)
        | _stoikov_columns(bars, book, fits.stoikov_ticks, tick_size_nanos)
        | _ofi_columns(bars, book, fits.ofi_weights)
        | _price_columns(book, traded, tick_size_nanos)
        | _trade_columns(traded, fits.large_order)
        | _cost_columns(bars, book, traded, tick_size_nanos)
        | _wall_columns(bars, tick_size_nanos)
    )
    labels = session_columns(bars.select(ts_event="bar_ts"), session)
    frame = book.with_columns(
        (pl.col("bar_ts") + pl.duration(nanoseconds=BAR_NS)).alias("bar_end_ts"),
        labels["session_date"],
        labels["session"],
        *(pl.Series(f"bar5s_{name}", values, nan_to_null=True) for name, values in columns.items()),
    )
    return frame.select(schema.names()).cast(schema)


def _summed(lists: pl.Series) -> Int64:
    """Element-wise sum of lists of equal length; nothing for none."""
    total: Int64 = np.array(lists.to_list(), np.int64).sum(axis=0)
    return total


def _percentile(counts: Int64, percent: int) -> int | None:
    """Smallest value that at least so many percent of the counted ones do not exceed; None without any."""
    reached = np.cumsum(counts)
    if not reached.size or reached[-1] == 0:
        return None
    return int(np.searchsorted(100 * reached, percent * reached[-1]))


def _floats(frame: pl.DataFrame, name: str) -> Float64:
    """A column of the bars, NaN for null."""
    values: Float64 = frame[f"bar5s_{name}"].to_numpy()
    return values


def _ratio(part: Float64, whole: Float64) -> Float64:
    """Part of a whole, NaN where there is no whole."""
    ratio: Float64 = part / np.where(whole > 0, whole, np.nan)
    return ratio


def _balance(bid: Float64, ask: Float64) -> Float64:
    """(bid - ask) / (bid + ask), 0 where both are."""
    whole = bid + ask
    balance: Float64 = np.where(whole == 0, 0.0, (bid - ask) / np.where(whole == 0, 1.0, whole))
    return balance


def _ratio_columns(bars: pl.DataFrame, book: pl.DataFrame) -> Columns:
    """Record counts and flows against each other."""
    records = {what: _floats(bars, f"meta_{what}_cnt_sum") for what in ("add", "cancel", "modify", "trade")}
    columns = {
        "meta_order_to_trade_ratio": (records["add"] + records["cancel"] + records["modify"])
        / np.maximum(records["trade"], 1.0),
        "meta_cancel_to_add_ratio": records["cancel"] / np.maximum(records["add"], 1.0),
    }
    for what in ("add", "pull", "fill"):
        for band in TICK_BANDS:
            columns[f"flow_{what}_imbal_{band}"] = _balance(
                *(_floats(book, f"flow_{what}_vol_{side}_{band}_sum") for side in SIDES)
            )
        best, total = (
            sum((_floats(book, f"flow_{what}_vol_{side}{band}_sum") for side in SIDES), np.zeros(book.height))
            for band in ("_t1", "")
        )
        columns[f"flow_{what}_intensity_t1"] = _ratio(best, total)
    for what, band in product(("add", "cancel"), TICK_BANDS):
        columns[f"flow_cnt_{what}_imbal_{band}"] = _balance(
            *(_floats(book, f"flow_cnt_{what}_{side}_{band}_sum") for side in SIDES)
        )
    for side in SIDES:
        added, pulled, filled = (
            _floats(book, f"flow_{what}_vol_{side}_sum") for what in ("add", "pull", "fill")
        )
        columns[f"flow_pull_to_add_ratio_{side}"] = pulled / np.maximum(added, 1.0)
        columns[f"flow_replenishment_ratio_{side}"] = added / np.maximum(pulled + filled, 1.0)
    return columns


def _stoikov_columns(
    bars: pl.DataFrame, book: pl.DataFrame, table_ticks: Float64, tick_size_nanos: int
) -> Columns:
    """Micro-price adjustment of the state at the end of the bar, and averaged over the time in each state."""
    tick = tick_size_nanos / PRICE_SCALE
    average = np.zeros(book.height)
    for name, drift in zip(STOIKOV_COLUMNS, table_ticks, strict=True):
        share = _floats(book, name)
        average += np.where(share == 0, 0.0, share * drift)
    bid, ask = (np.nan_to_num(_floats(bars, f"shape_{side}_sz_l00_eob")).astype(np.int64) for side in SIDES)
    best = [_floats(bars, f"shape_{side}_px_l00_eob") for side in SIDES]
    spread = np.rint((best[1] - best[0]) / tick)
    quoted = (spread >= 1) & (bid + ask > 0)
    wide = (spread > 1).astype(np.int64)
    drift = table_ticks[np.where(quoted, imbalance_bucket(bid, ask), 0) * STOIKOV_SPREADS + wide]
    # A balanced book is on the edge of the two middle buckets, whose drifts are opposite.
    middle = [
        table_ticks[bucket * STOIKOV_SPREADS + wide]
        for bucket in (STOIKOV_BUCKETS // 2 - 1, STOIKOV_BUCKETS // 2)
    ]
    drift = np.where(bid == ask, (middle[0] + middle[1]) / 2.0, drift)
    return {
        "state_stoikov_adj_pts_twa": average * tick,
        "state_stoikov_adj_pts_eob": np.where(quoted, drift, np.nan) * tick,
    }


def _ofi_columns(bars: pl.DataFrame, book: pl.DataFrame, weights: Float64 | None) -> Columns:
    """Order-flow imbalance by the usual size of a level, along the last session's main direction, and what is left."""
    ofi = np.column_stack([_floats(book, f"ofi_m{level:02d}_sum") for level in range(LEVELS)])
    norm = normalised_ofi(ofi, *(_floats(bars, f"depth_{side}10_qty_twa") for side in SIDES))
    columns = {f"ofi_norm_m{level:02d}_sum": norm[:, level] for level in range(LEVELS)}
    integrated = np.full(book.height, np.nan)
    if weights is not None:
        integrated, length = np.zeros(book.height), 0.0
        for level, weight in enumerate(weights):
            integrated += norm[:, level] * weight
            length += abs(weight)
        integrated /= length
    explained = np.zeros(book.height)
    for sign, side in zip((1.0, -1.0), SIDES, strict=True):
        added, pulled, filled = (_floats(book, f"ofi_{side}_{what}_sum") for what in ("add", "pull", "fill"))
        explained += sign * (added - pulled - filled)
    return columns | {"ofi_integrated_sum": integrated, "ofi_residual_sum": ofi[:, 0] - explained}


def _trades_by_bar(
    bar_ts: pl.Series, trades_clean: pl.DataFrame, tick_size_nanos: int, large_order: int | None
) -> BarTrades:
    start = int(bar_ts.to_physical()[0])
    bar = (pl.col("ts_event").to_physical() - start).floordiv(BAR_NS)
    inside = trades_clean.filter(bar.is_between(0, len(bar_ts) - 1))
    mid = (pl.col("mid_px") * (2 * PRICE_SCALE / tick_size_nanos)).round().cast(pl.Int64)
    rows = inside.select(
        pl.col("ts_event", "price_tick", "size", "aggressor_sign", "aggressor_order_id", "levels_swept")
        .to_physical()
        .cast(pl.Int64),
        bar.alias("bar"),
        mid.fill_null(int(NO_MID)).alias("mid"),
    )
    return bar_trades(
        rows["ts_event"].to_numpy(),
        rows["bar"].to_numpy(),
        rows["price_tick"].to_numpy(),
        rows["size"].to_numpy(),
        rows["aggressor_sign"].to_numpy(),
        rows["mid"].to_numpy(),
        rows["aggressor_order_id"].to_numpy(),
        rows["levels_swept"].to_numpy(),
        int(NO_LARGE_ORDER) if large_order is None else large_order,
        len(bar_ts),
    )


def _price_columns(book: pl.DataFrame, traded: BarTrades, tick_size_nanos: int) -> Columns:
    """Trade prices of the bar, and how the mid moved."""
    facts = traded.facts.astype(np.float64)
    some = facts[:, trades_kernel.TRADES] > 0
    columns = {
        f"trade_{name}_px": np.where(some, facts[:, j] * tick_size_nanos / PRICE_SCALE, np.nan)
        for j, name in (
            (trades_kernel.OPEN, "open"),
            (trades_kernel.HIGH, "high"),
            (trades_kernel.LOW, "low"),
            (trades_kernel.CLOSE, "close"),
        )
    }
    vwap = _ratio(facts[:, trades_kernel.TICK_VOLUME], facts[:, trades_kernel.VOLUME])
    mid = _mid_ticks2(book, tick_size_nanos)
    return columns | {
        "trade_vwap_px": vwap * tick_size_nanos / PRICE_SCALE,
        "trade_vwap_dist_ticks": vwap - mid / 2.0,
        "mid_ret_ticks": (mid - _before(mid)) / 2.0,
    }


def _mid_ticks2(book: pl.DataFrame, tick_size_nanos: int) -> Float64:
    """Mid at the end of the bar in half ticks, which are whole numbers; NaN where not known."""
    mid: Float64 = np.rint(_floats(book, "mid_close_px") * (2 * PRICE_SCALE / tick_size_nanos))
    return mid


def _before(values: Float64) -> Float64:
    """The value of the bar before; NaN in the first one."""
    return np.concatenate(([np.nan], values[:-1]))


def _trade_columns(traded: BarTrades, large_order: int | None) -> Columns:
    """Counts, aggressor orders, sweeps and the running delta."""
    facts = traded.facts.astype(np.float64)
    orders = facts[:, trades_kernel.ORDERS]
    buys, sells = facts[:, trades_kernel.BUY_CNT], facts[:, trades_kernel.SELL_CNT]
    bought, sold = facts[:, trades_kernel.BUY_VOL], facts[:, trades_kernel.SELL_VOL]
    columns = {
        "meta_aggressor_order_cnt_sum": orders,
        "trade_buy_cnt_sum": buys,
        "trade_sell_cnt_sum": sells,
        "trade_unknown_vol_sum": facts[:, trades_kernel.VOLUME] - bought - sold,
        "trade_sweep_buy_cnt_sum": facts[:, trades_kernel.SWEEP_BUY_CNT],
        "trade_sweep_sell_cnt_sum": facts[:, trades_kernel.SWEEP_SELL_CNT],
        "trade_sweep_buy_vol_sum": facts[:, trades_kernel.SWEEP_BUY_VOL],
        "trade_sweep_sell_vol_sum": facts[:, trades_kernel.SWEEP_SELL_VOL],
        "trade_sweep_max_levels_sum": facts[:, trades_kernel.SWEEP_LEVELS],
        "trade_imbal": _ratio(bought - sold, bought + sold),
        "trade_cnt_imbal": _ratio(buys - sells, buys + sells),
        "trade_avg_size": _ratio(facts[:, trades_kernel.ORDER_VOLUME], orders),
        "trade_max_size": np.where(orders > 0, facts[:, trades_kernel.LARGEST_ORDER], np.nan),
        "trade_delta_max": facts[:, trades_kernel.DELTA_MAX],
        "trade_delta_min": facts[:, trades_kernel.DELTA_MIN],
        "trade_arrival_cv": traded.arrival_cv,
        "trade_sign_autocorr1": _ratio(
            facts[:, trades_kernel.SIGN_PRODUCTS], facts[:, trades_kernel.SIGN_PAIRS]
        ),
    }
    for j, side in ((trades_kernel.LARGE_BUY_VOL, "buy"), (trades_kernel.LARGE_SELL_VOL, "sell")):
        columns[f"trade_large_{side}_vol_sum"] = np.where(large_order is None, np.nan, facts[:, j])
    return columns


def _cost_columns(bars: pl.DataFrame, book: pl.DataFrame, traded: BarTrades, tick_size_nanos: int) -> Columns:
    """Spreads in ticks; a bar's trades are judged by the mid one bar later, in that later bar's row."""
    facts = traded.facts.astype(np.float64)
    volume = facts[:, trades_kernel.COST_VOLUME]
    price, paid_mid = facts[:, trades_kernel.COST_PRICE], facts[:, trades_kernel.COST_MID]
    later_mid = _mid_ticks2(book, tick_size_nanos) * _before(facts[:, trades_kernel.COST_SIGNED])
    return {
        "cost_quoted_spread_tw_ticks": _floats(bars, "state_spread_pts_twa")
        * (PRICE_SCALE / tick_size_nanos),
        "cost_effective_spread_vw_ticks": _ratio(price - paid_mid, volume),
        "cost_realized_spread_lag1_vw_ticks": _ratio(_before(price) - later_mid, _before(volume)),
        "cost_price_impact_lag1_vw_ticks": _ratio(later_mid - _before(paid_mid), _before(volume)),
    }


def _wall_columns(bars: pl.DataFrame, tick_size_nanos: int) -> Columns:
    """How long the nearest strong wall has stood at its price, how large it is, and how it moved."""
    columns = {}
    for side in SIDES:
        level = _floats(bars, f"wall_{side}_nearest_strong_levelidx_eob")
        at = np.where(level >= 0, level, 0).astype(np.int64), np.arange(bars.height)
        there = level >= 0
        names = [f"bar5s_shape_{side}_sz_l{k:02d}_eob" for k in range(LEVELS)]
        usual = bars.select(pl.col(names).rolling_median(WALL_MEDIAN_BARS, min_samples=WALL_MEDIAN_MIN_BARS))
        price = np.stack([_floats(bars, f"shape_{side}_px_l{k:02d}_eob") for k in range(LEVELS)])[at]
        size = np.stack([bars[name].to_numpy() for name in names])[at]
        median = np.stack([usual[name].to_numpy() for name in names])[at]
        price = np.where(there, price, np.nan)
        same = price == _before(price)
        row = np.arange(bars.height)
        since = np.maximum.accumulate(np.where(same, 0, row))
        columns[f"wall_{side}_age_bars_eob"] = np.where(
            there, row - since + 1.0, np.where(np.isnan(level), np.nan, 0.0)
        )
        columns[f"wall_{side}_size_ratio_eob"] = np.where(there, _ratio(size, median), np.nan)
        columns[f"wall_{side}_moved_ticks_eob"] = np.rint(
            (price - _before(price)) * (PRICE_SCALE / tick_size_nanos)
        )
    return columns
