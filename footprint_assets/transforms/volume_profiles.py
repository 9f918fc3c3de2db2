"""What is usual at a time of day: mean and deviation of volume, flow and messages by five-minute bucket."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.settings import HistorySettings
from footprint_assets.transforms.session_summary import BUCKET_BASES, BUCKET_MINUTES, BUCKETS

TABLE = "silver.future.volume_profiles"
_OPEN = dt.datetime(2000, 1, 1, 18)
BUCKET_TIMES = tuple(
    f"{_OPEN + dt.timedelta(minutes=BUCKET_MINUTES * bucket):%H:%M:%S}" for bucket in range(BUCKETS)
)
"""Start of every bucket, Eastern wall time. Clocks change while the market is closed, so a bucket has one wall time."""


def volume_profiles(
    prior_sessions: pl.DataFrame, symbol: str, session: Session, history: HistorySettings
) -> pl.DataFrame:
    """Time-of-day profiles over the last complete sessions of the root, whatever contract was its front month.

    A bucket is averaged over the last ``profile_days`` complete sessions that hold it: after a short session the
    afternoon reads one session further back.

    Args:
        prior_sessions: Rows of ``silver.future.prior_sessions`` of the contract and date; may be empty.
        symbol: Raw symbol of the contract.
        session: The trade date's session.
        history: Sessions averaged, and fewest sessions.

    Returns:
        276 rows of ``silver.future.volume_profiles`` sorted by bucket.
    """
    complete = prior_sessions.filter("is_complete", pl.col("bucket_ids").is_not_null()).sort("sessions_ago")
    sums, is_held = _sums_by_bucket(complete)
    is_used = is_held & (np.cumsum(is_held, axis=0) <= history.profile_days)
    days = is_used.sum(axis=0)
    mean, std = _mean_and_std(sums, is_used)
    unknown = days < history.profile_min_days
    mean[unknown] = std[unknown] = np.nan
    columns = {
        f"{base}_{name}": values[:, place]
        for place, base in enumerate(BUCKET_BASES)
        for name, values in (("mean", mean), ("std", std))
    }
    return pl.DataFrame(
        {
            "symbol": [symbol] * BUCKETS,
            "session_date": [session.trade_date] * BUCKETS,
            "bucket_id": np.arange(BUCKETS),
            "bucket_start_time": BUCKET_TIMES,
            **{name: pl.Series(values, nan_to_null=True) for name, values in columns.items()},
            "days_in_lookback": days,
        }
    ).cast(contracts.load(TABLE).polars_schema)


def _sums_by_bucket(complete: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Sums by session, bucket and base, NaN where not known, and whether a session holds a bucket."""
    sums = np.full((complete.height, BUCKETS, len(BUCKET_BASES)), np.nan)
    is_held = np.zeros((complete.height, BUCKETS), np.bool_)
    columns = complete.select("bucket_ids", *(f"bucket_{base}" for base in BUCKET_BASES))
    for day, (buckets, *values) in enumerate(columns.iter_rows()):
        is_held[day, buckets] = True
        sums[day, buckets] = np.array(values, np.float64).T
    return sums, is_held


def _mean_and_std(
    sums: NDArray[np.float64], is_used: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and sample deviation over the sessions used, NaN where one of them is not known or there are too few."""
    count = is_used.sum(axis=0)[:, None]
    used = is_used[:, :, None]
    mean = np.where(used, sums, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
    squares = np.where(used, (sums - mean) ** 2, 0.0).sum(axis=0)
    return mean, np.sqrt(squares / np.where(count > 1, count - 1, np.nan))
