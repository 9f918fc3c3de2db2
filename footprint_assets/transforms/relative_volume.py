"""Relative volume: every five-second bar against what earlier sessions did at that time of day.

The profile is one of five-minute buckets of sixty bars: a bar is compared with mean/60 and deviation/sqrt(60) of its
bucket, as if the bars of a bucket were independent. Without a profile there is nothing to compare with: null.
"""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.calendar import Session
from footprint_assets.kernels.rolling import quotient, rolling_max, rolling_mean, rolling_sum
from footprint_assets.settings import NANOS_PER_SECOND
from footprint_assets.transforms.session_summary import BUCKET_MINUTES, BUCKET_SOURCES, BUCKETS

Float64 = NDArray[np.float64]

BUCKET_NS = BUCKET_MINUTES * 60 * NANOS_PER_SECOND
BARS_PER_BUCKET = 60
LOOKBACK, RECENT = 180, 12
"""Bars of the trailing window, and of its end."""
ELEVATED, DEPRESSED = 1.5, 0.5
"""Ratios beyond which a bar counts as busy or quiet."""
RATIOS = {
    "trade_vol": "trade_vol",
    "trade_cnt": "trade_cnt",
    "trade_aggbuy": "trade_aggbuy_vol",
    "trade_aggsell": "trade_aggsell_vol",
    "flow_add_bid": "flow_add_vol_bid",
    "flow_add_ask": "flow_add_vol_ask",
    "flow_net_bid": "flow_net_vol_bid",
    "flow_net_ask": "flow_net_vol_ask",
}
"""Name in ``rvol_{name}_ratio`` and ``_zscore`` to base of the profile."""


def relative_volume(
    bars: pl.DataFrame, volume_profiles: pl.DataFrame, session: Session
) -> dict[str, Float64]:
    """The ``rvol_*`` columns of the bars.

    Args:
        bars: Every column that ``BUCKET_SOURCES`` reads, and ``bar_ts``, one row a bar of the grid.
        volume_profiles: Rows of ``silver.future.volume_profiles`` of the contract and date.
        session: The trade date's session.

    Returns:
        Column name to float64[bars]; NaN where not known.
    """
    start = bars["bar_ts"].to_physical().to_numpy()
    actual = {
        base: bars.select(source.cast(pl.Float64).fill_null(np.nan)).to_series().to_numpy()
        for base, source in BUCKET_SOURCES.items()
    }
    mean, deviation = _usual(volume_profiles, (start - session.open_ns) // BUCKET_NS)
    ratio = {base: quotient(actual[base], mean[base]) for base in BUCKET_SOURCES}
    zscore = {base: quotient(actual[base] - mean[base], deviation[base]) for base in BUCKET_SOURCES}
    columns = {f"rvol_{name}_ratio": ratio[base] for name, base in RATIOS.items()}
    columns |= {f"rvol_{name}_zscore": zscore[base] for name, base in RATIOS.items()}
    added, usual = (values["flow_add_vol_bid"] + values["flow_add_vol_ask"] for values in (actual, mean))
    columns["rvol_flow_add_total_ratio"] = quotient(added, usual)
    columns["rvol_flow_add_total_zscore"] = quotient(
        added - usual, np.sqrt(deviation["flow_add_vol_bid"] ** 2 + deviation["flow_add_vol_ask"] ** 2)
    )
    sides = {"add": "flow_add_vol", "rem": "flow_rem_vol", "net": "flow_net_vol"}
    for name, base in sides.items():
        columns[f"rvol_bid_ask_{name}_asymmetry"] = zscore[f"{base}_bid"] - zscore[f"{base}_ask"]
    columns["rvol_aggbuy_aggsell_asymmetry"] = zscore["trade_aggbuy_vol"] - zscore["trade_aggsell_vol"]
    return (
        columns
        | _since_the_cash_open(actual, mean, start, session)
        | _lookback(ratio["trade_vol"], columns["rvol_bid_ask_net_asymmetry"])
    )


def _usual(
    profiles: pl.DataFrame, bucket: NDArray[np.int64]
) -> tuple[dict[str, Float64], dict[str, Float64]]:
    """Mean and deviation of one bar of the bucket each bar lies in."""
    inside = (bucket >= 0) & (bucket < BUCKETS)
    place = np.where(inside, bucket, 0)

    def of_bars(name: str, scale: float) -> Float64:
        by_bucket = np.full(BUCKETS, np.nan)
        values = profiles[name].to_numpy() if profiles.height else np.empty(0)
        by_bucket[profiles["bucket_id"].to_numpy()] = values
        return np.where(inside, by_bucket[place], np.nan) / scale

    mean = {base: of_bars(f"{base}_mean", BARS_PER_BUCKET) for base in BUCKET_SOURCES}
    deviation = {base: of_bars(f"{base}_std", math.sqrt(BARS_PER_BUCKET)) for base in BUCKET_SOURCES}
    return mean, deviation


def _since_the_cash_open(
    actual: dict[str, Float64], mean: dict[str, Float64], start: NDArray[np.int64], session: Session
) -> dict[str, Float64]:
    """Running surplus over the profile from 09:30; not known before it, and from the first unknown bar on."""
    names = ("trade_vol_dev", "trade_vol_dev_pct", "flow_imbal_dev", "msg_dev")
    columns = {f"rvol_cumul_{name}": np.full(len(start), np.nan) for name in names}
    if session.rth_open_ns is None:
        return columns
    cash = start >= session.rth_open_ns

    def running(values: Float64) -> Float64:
        # np.cumsum adds one by one, oldest first: a later bar cannot change an earlier sum.
        return np.cumsum(values[cash])

    imbalance, usual = (values["flow_net_vol_bid"] - values["flow_net_vol_ask"] for values in (actual, mean))
    surplus, expected = running(actual["trade_vol"] - mean["trade_vol"]), running(mean["trade_vol"])
    columns["rvol_cumul_trade_vol_dev"][cash] = surplus
    columns["rvol_cumul_trade_vol_dev_pct"][cash] = quotient(surplus, expected)
    columns["rvol_cumul_flow_imbal_dev"][cash] = running(imbalance - usual)
    columns["rvol_cumul_msg_dev"][cash] = running(actual["msg_cnt"] - mean["msg_cnt"])
    return columns


def _lookback(ratio: Float64, asymmetry: Float64) -> dict[str, Float64]:
    """The trailing quarter of an hour, never the whole of an episode."""
    third = LOOKBACK // 3
    last_third = rolling_mean(ratio, third)
    first_third = np.full(len(ratio), np.nan)
    first_third[LOOKBACK - third :] = last_third[: max(len(ratio) - (LOOKBACK - third), 0)]
    mean, recent = rolling_mean(ratio, LOOKBACK), rolling_mean(ratio, RECENT)
    asymmetry_mean = rolling_mean(asymmetry, LOOKBACK)
    unknown = np.isnan(ratio)
    return {
        "rvol_lookback_trade_vol_mean_ratio": mean,
        "rvol_lookback_trade_vol_max_ratio": rolling_max(ratio, LOOKBACK),
        "rvol_lookback_trade_vol_trend": last_third - first_third,
        "rvol_lookback_elevated_bars": rolling_sum(np.where(unknown, np.nan, ratio > ELEVATED), LOOKBACK),
        "rvol_lookback_depressed_bars": rolling_sum(np.where(unknown, np.nan, ratio < DEPRESSED), LOOKBACK),
        "rvol_lookback_asymmetry_mean": asymmetry_mean,
        "rvol_recent_vs_lookback_vol_ratio": quotient(recent, mean),
        "rvol_recent_vs_lookback_asymmetry": rolling_mean(asymmetry, RECENT) - asymmetry_mean,
    }
