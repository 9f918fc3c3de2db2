"""Rolling market measures on the five-second grid: derivatives, volatility, impact, toxicity, resiliency, relative volume.

Every value of a bar is made of that bar and earlier ones of the same trade date, of what earlier sessions left in
``prior_sessions``, and of shocks whose outcome was known at the end of the bar. A window that is not full is null.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.kernels.impact import amihud, signed_root_volume
from footprint_assets.kernels.resiliency import resiliency
from footprint_assets.kernels.rolling import (
    change,
    least_squares,
    quotient,
    rolling_max,
    rolling_mean,
    rolling_min,
    rolling_sum,
    slope_per_bar,
)
from footprint_assets.kernels.volatility import parkinson, volatility
from footprint_assets.kernels.vpin import BUCKETS, VpinState, vpin
from footprint_assets.settings import NANOS_PER_SECOND
from footprint_assets.transforms.book_batch import SIDES
from footprint_assets.transforms.grid import floats, require_same_bars
from footprint_assets.transforms.relative_volume import relative_volume
from footprint_assets.transforms.session_summary import BAR_COLUMNS as BARS_OF_PROFILE
from footprint_assets.transforms.session_summary import BOOK_COLUMNS as BOOK_OF_PROFILE
from footprint_assets.transforms.windows import times_ns

TABLE = "silver.future.market_rolling_5s"
DERIVATIVE_WINDOWS = (3, 12, 36, 72)
ROLLING_WINDOWS = (3, 12, 36, 72, 180)
VOLATILITY_WINDOWS = (12, 60, 180)
IMPACT_WINDOWS = (60, 180)
RESILIENCY_WINDOWS = (36, 180)
"""Bars of five seconds."""
DERIVATIVES = {
    "obi0": "bar5s_state_obi0_eob",
    "obi10": "bar5s_state_obi10_eob",
    "cdi01": "bar5s_state_cdi_p0_1_eob",
    "cdi12": "bar5s_state_cdi_p1_2_eob",
    "dbid10": "bar5s_depth_bid10_qty_eob",
    "dask10": "bar5s_depth_ask10_qty_eob",
    "dbelow01": "bar5s_depth_below_p0_1_qty_eob",
    "dabove01": "bar5s_depth_above_p0_1_qty_eob",
    "wbidz": "bar5s_wall_bid_maxz_eob",
    "waskz": "bar5s_wall_ask_maxz_eob",
}
SUMS = {
    "trade_vol": "bar5s_trade_vol_sum",
    "signed_vol": "bar5s_trade_signed_vol_sum",
    "msg_cnt": "bar5s_meta_msg_cnt_sum",
    "ofi_m00": "bar5s_ofi_m00_sum",
    "ofi_integrated": "bar5s_ofi_integrated_sum",
}
MEANS = {
    "spread_twa": "bar5s_state_spread_pts_twa",
    "obi0_twa": "bar5s_state_obi0_twa",
    "microprice_adj": "bar5s_state_microprice_adj_pts_twa",
}
BAR_COLUMNS = tuple(
    dict.fromkeys(
        (
            *("bar_ts", "symbol", "bar5s_midprice_eob", "bar5s_state_spread_pts_twa", "bar5s_state_obi0_twa"),
            *DERIVATIVES.values(),
            *BARS_OF_PROFILE,
        )
    )
)
"""Columns read from the five-second bars."""
EXT_COLUMNS = (
    *("bar_ts", "symbol", "bar5s_mid_high_px", "bar5s_mid_low_px"),
    *("bar5s_state_microprice_adj_pts_twa", "bar5s_ofi_integrated_sum"),
    *BOOK_OF_PROFILE,
)
"""Columns read from the order flow of the five-second bars."""
TRADE_COLUMNS = ("ts_event", "size", "aggressor_sign")
"""Columns read from the clean trades."""
PRIOR_COLUMNS = ("sessions_ago", "minute_buy_volume", "minute_sell_volume")
"""Columns read from the prior sessions."""
NEVER = np.iinfo(np.int64).max

Float64 = NDArray[np.float64]
Columns = dict[str, Float64]


def market_rolling(
    bars: pl.DataFrame,
    ext: pl.DataFrame,
    volume_profiles: pl.DataFrame,
    trades_clean: pl.DataFrame,
    shocks: pl.DataFrame,
    prior_sessions: pl.DataFrame,
    session: Session,
) -> pl.DataFrame:
    """The rolling measures of every five-second bar.

    Args:
        bars: ``BAR_COLUMNS`` of ``silver.future.market_by_price_10_bar5s`` of one contract.
        ext: ``EXT_COLUMNS`` of ``silver.future.market_by_price_10_bar5s_ext``, the same bars.
        volume_profiles: Rows of ``silver.future.volume_profiles``; without them relative volume is null.
        trades_clean: ``TRADE_COLUMNS`` of ``silver.future.trades_clean``.
        shocks: Rows of ``silver.future.market_by_price_10_shocks``.
        prior_sessions: ``PRIOR_COLUMNS`` of ``silver.future.prior_sessions``; without them VPIN is null.
        session: The trade date's session.

    Returns:
        Rows of ``silver.future.market_rolling_5s``, one a bar.

    Raises:
        GridsDiffer: If ``bars`` and ``ext`` are not of the same bars.
    """
    schema = contracts.load(TABLE).polars_schema
    require_same_bars(TABLE, bars, ext=ext)
    if bars.is_empty():
        return schema.to_frame()
    both = pl.concat([bars, ext.drop("bar_ts", "symbol")], how="horizontal")
    end = bars["bar_ts"].to_physical().to_numpy() + BAR_NS
    columns = (
        _derivatives(both)
        | _sums_and_means(both)
        | _volatility(both)
        | _impact(both, trades_clean, end)
        | _toxicity(trades_clean, prior_sessions, end)
        | _resiliency(shocks, end)
        | relative_volume(both, volume_profiles, session)
    )
    return (
        bars.select(
            "bar_ts",
            "symbol",
            *(pl.Series(name, values, nan_to_null=True) for name, values in columns.items()),
        )
        .select(schema.names())
        .cast(schema)
    )


def _derivatives(rows: pl.DataFrame) -> Columns:
    """First and second difference quotients of the state at bar end."""
    columns: Columns = {}
    for name, source in DERIVATIVES.items():
        values = floats(rows[source])
        for window in DERIVATIVE_WINDOWS:
            first, second = slope_per_bar(values, window)
            columns[f"bar5s_deriv_{name}_d1_w{window}"] = first
            columns[f"bar5s_deriv_{name}_d2_w{window}"] = second
    return columns


def _sums_and_means(rows: pl.DataFrame) -> Columns:
    """Flows added up, states averaged, and two imbalances of added-up flows."""
    known_vol = floats(rows["bar5s_trade_aggbuy_vol_sum"]) + floats(rows["bar5s_trade_aggsell_vol_sum"])
    signed_vol = floats(rows[SUMS["signed_vol"]])
    net = {side: floats(rows[f"bar5s_flow_net_vol_{side}_sum"]) for side in SIDES}
    columns: Columns = {}
    for window in ROLLING_WINDOWS:
        for name, source in SUMS.items():
            columns[f"roll_{name}_w{window}"] = rolling_sum(floats(rows[source]), window)
        for name, source in MEANS.items():
            columns[f"roll_{name}_w{window}"] = rolling_mean(floats(rows[source]), window)
        columns[f"roll_trade_imbal_w{window}"] = quotient(
            rolling_sum(signed_vol, window), rolling_sum(known_vol, window)
        )
        columns[f"roll_net_flow_imbal_w{window}"] = quotient(
            rolling_sum(net["bid"] - net["ask"], window),
            rolling_sum(np.abs(net["bid"]) + np.abs(net["ask"]), window),
        )
    return columns


def _volatility(rows: pl.DataFrame) -> Columns:
    """Realised measures of five-second mid returns, in points."""
    returns = change(floats(rows["bar5s_midprice_eob"]), 1)
    high, low = floats(rows["bar5s_mid_high_px"]), floats(rows["bar5s_mid_low_px"])
    columns: Columns = {}
    for window in VOLATILITY_WINDOWS:
        measures = volatility(returns, window)
        columns |= {
            f"rv_{name}_w{window}": getattr(measures, name)
            for name in ("rv", "bv", "jump", "rs_plus", "rs_minus", "rq", "roll_spread", "autocov1")
        }
        columns[f"rv_parkinson_w{window}"] = parkinson(rolling_max(high, window), rolling_min(low, window))
    return columns


def _impact(rows: pl.DataFrame, trades: pl.DataFrame, end: NDArray[np.int64]) -> Columns:
    """Mid changes against the volume and the order flow of the same bars."""
    returns = change(floats(rows["bar5s_midprice_eob"]), 1)
    volume, signed = floats(rows[SUMS["trade_vol"]]), floats(rows[SUMS["signed_vol"]])
    bar = np.searchsorted(end, times_ns(trades), side="right")
    inside = bar < len(end)
    root = signed_root_volume(
        bar[inside],
        trades["aggressor_sign"].to_numpy()[inside],
        trades["size"].to_numpy()[inside],
        len(end),
    )
    ofi = floats(rows[SUMS["ofi_m00"]])
    columns: Columns = {}
    for window in IMPACT_WINDOWS:
        columns[f"impact_kyle_lambda_w{window}"], columns[f"impact_kyle_r2_w{window}"] = least_squares(
            signed, returns, window
        )
        columns[f"impact_amihud_w{window}"] = amihud(returns, volume, window)
        columns[f"impact_ofi_beta_w{window}"], columns[f"impact_ofi_r2_w{window}"] = least_squares(
            ofi, returns, window
        )
        columns[f"impact_hasbrouck_lambda_w{window}"] = least_squares(root, returns, window)[0]
    return columns


def _toxicity(trades: pl.DataFrame, prior_sessions: pl.DataFrame, end: NDArray[np.int64]) -> Columns:
    """VPIN as of bar end, its rank among the earlier sessions', and the age of its last bucket.

    Earlier sessions are known by the minute: a minute that spans two buckets gives both the same share of buys. Volume
    of unknown side is in no bucket.
    """
    value, rank, age = (np.full(len(end), np.nan) for _ in range(3))
    names = ("tox_vpin", "tox_vpin_cdf", "tox_vpin_bucket_age_s")
    history = prior_sessions.sort("sessions_ago", descending=True)
    minutes = history.select(
        pl.col("minute_buy_volume").explode(), pl.col("minute_sell_volume").explode()
    ).drop_nulls()
    buys, sells = (np.array(minutes[name], np.int64) for name in minutes.columns)
    bucket_volume = int(buys.sum() + sells.sum()) // (BUCKETS * max(history.height, 1))
    if bucket_volume > 0:
        state = VpinState.empty()
        before = vpin(buys, sells, bucket_volume, state)[1]
        usual = np.sort(before[~np.isnan(before)])
        sign, size = trades["aggressor_sign"].to_numpy(), np.array(trades["size"], np.int64)
        row, found = vpin(np.where(sign > 0, size, 0), np.where(sign < 0, size, 0), bucket_volume, state)
        ts = times_ns(trades)[row]
        last = np.searchsorted(ts, end) - 1
        done = last >= 0
        carried = before[-1] if len(before) else np.nan
        value = np.where(done, found[last] if len(found) else np.nan, carried)
        age[done] = (end[done] - ts[last[done]]) / NANOS_PER_SECOND
        if len(usual):
            known = ~np.isnan(value)
            rank[known] = np.searchsorted(usual, value[known], side="right") / len(usual)
    return dict(zip(names, (value, rank, age), strict=True))


def _resiliency(shocks: pl.DataFrame, end: NDArray[np.int64]) -> Columns:
    """What became of the shocks at the best quote."""
    columns: Columns = {}
    for side in SIDES:
        at_best = shocks.filter(pl.col("is_best"), pl.col("resting_side") == side.upper())
        known, recovered = (
            at_best[name].to_physical().fill_null(int(NEVER)).to_numpy()
            for name in ("known_1s_ts", "recovered_ts")
        )
        for window in RESILIENCY_WINDOWS:
            found = resiliency(
                end, window * BAR_NS, times_ns(at_best), known,
                floats(at_best["recovery_ratio_1s"]), recovered, floats(at_best["refill_ms"]),
            )  # fmt: skip
            for name in ("recovery_ratio_1s", "half_life_ms", "shock_cnt"):
                columns[f"resil_{side}_{name}_w{window}"] = getattr(found, name)
    return columns
