"""Volume and time at each price: the profiles of one contract on one trade date, row by row.

Three profiles of the date, ``RTH`` (09:30 ET to the cash close), ``ETH`` (everything else) and ``FULL``, and three that
reach back, ``WEEK``, ``COMPOSITE_5D`` and ``COMPOSITE_20D``. Their summaries are in ``transforms.profile_session``.
"""

from __future__ import annotations

import datetime as dt
import string

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels import tpo
from footprint_assets.kernels.profile import PER_MILLE, volume_nodes
from footprint_assets.kernels.value_area import value_area
from footprint_assets.settings import NANOS_PER_SECOND, FootprintSettings, ProfileSettings
from footprint_assets.transforms.dwell import dwell
from footprint_assets.transforms.footprint import MAX_ROWS, MalformedTradesError
from footprint_assets.transforms.profile_parts import VOLUMES, Profile, brackets, profile_parts
from footprint_assets.transforms.windows import TIMESTAMP, points, tick_size_nanos, times_ns

TABLE = "silver.future.volume_profile_price"
LETTERS = string.ascii_uppercase + string.ascii_lowercase
"""Names of the brackets: A to Z, then a to z."""


def volume_profile_price(
    trades_clean: pl.DataFrame,
    bbo: pl.DataFrame | None,
    prior_sessions: pl.DataFrame,
    session: Session,
    footprint: FootprintSettings,
    profile: ProfileSettings,
) -> pl.DataFrame:
    """Volume by aggressor, half hours and dwell time at each price, with point of control, value area and nodes.

    A profile is dense: every row from the lowest to the highest trade, so a row nobody traded at has volume 0 and can
    be a low volume node or the edge of a two-row value area. Conventions: ``kernels.value_area``, ``kernels.profile``,
    ``kernels.tpo``. Half hours and dwell times are of today's trades: null in a profile of several sessions.

    Args:
        trades_clean: Rows of ``silver.future.trades_clean``: one contract, one trade date, event order.
        bbo: Rows of ``silver.future.bbo`` of the same contract and trade date; None where no book is held.
        prior_sessions: Rows of ``silver.future.prior_sessions`` of the trade date; may be empty.
        session: The trade date's session.
        footprint: Row height and value area.
        profile: TPO brackets, tails and volume nodes.

    Returns:
        Rows of ``silver.future.volume_profile_price`` sorted by profile and price; no rows for a profile nobody traded,
        nor for one that lacks a session it needs.

    Raises:
        MalformedTradesError: The trades are too far apart to make a ladder of.
    """
    schema = contracts.load(TABLE).polars_schema
    if trades_clean.is_empty():
        return schema.to_frame()
    symbol, tick_nanos = trades_clean["symbol"][0], tick_size_nanos(trades_clean)
    known_until = _last_evidence_ns(trades_clean, bbo)
    frames = []
    for part in profile_parts(trades_clean, prior_sessions, session):
        rows = _volumes(part, symbol, session.trade_date, footprint, profile)
        extra = _no_times(rows.height)
        if part.is_of_today:
            extra = _times(part, rows, bbo, known_until, footprint, profile)
        ids = {"symbol": symbol, "session_date": session.trade_date, "profile_type": part.name}
        prices = pl.Series("price", points(rows["price_tick"].to_numpy(), tick_nanos))
        frame = pl.concat((rows, extra), how="horizontal").with_columns(
            prices, *(pl.lit(value).alias(name) for name, value in ids.items())
        )
        frames.append(frame.select(schema.names()).cast(schema))
    return pl.concat(frames)


def _volumes(
    part: Profile, symbol: str, trade_date: dt.date, footprint: FootprintSettings, profile: ProfileSettings
) -> pl.DataFrame:
    """The dense price rows of a profile and what their volumes say."""
    height = footprint.ticks_per_row
    traded = (
        part.ticks.group_by(pl.col("tick").floordiv(height).alias("row"))
        .agg(pl.col(VOLUMES).sum())
        .sort("row")
    )
    low, high = int(traded["row"][0]), int(traded["row"][-1])
    if high - low >= MAX_ROWS:
        raise MalformedTradesError(
            "Trade prices lie further apart than any market moves.",
            where={
                "table": "silver.future.trades_clean",
                "symbol": symbol,
                "dt": trade_date,
                "profile": part.name,
            },
            remedy="Look for a corrupt price in the DBN file, then materialise trades_clean again.",
        )
    rows = pl.DataFrame({"row": np.arange(low, high + 1)})
    dense = rows.join(traded, on="row", how="left", maintain_order="left").with_columns(
        pl.col(VOLUMES).fill_null(0)
    )
    dense = dense.with_columns(total_volume=pl.sum_horizontal(VOLUMES[:3]))
    volumes = np.array(dense["total_volume"], np.int64)
    is_poc, is_inside = _value_area_flags(volumes, footprint)
    is_hvn, is_lvn = volume_nodes(
        volumes,
        profile.smoothing_rows,
        round(profile.hvn_multiple * PER_MILLE),
        round(profile.lvn_multiple * PER_MILLE),
    )
    return dense.select(
        (pl.col("row") * height).alias("price_tick"),
        *VOLUMES,
        "total_volume",
        (pl.col("ask_volume") - pl.col("bid_volume")).alias("delta"),
        pl.Series("is_poc", is_poc),
        pl.Series("is_in_value_area", is_inside),
        pl.Series("is_hvn", is_hvn),
        pl.Series("is_lvn", is_lvn),
    )


def _times(
    part: Profile,
    rows: pl.DataFrame,
    bbo: pl.DataFrame | None,
    known_until_ns: int,
    footprint: FootprintSettings,
    profile: ProfileSettings,
) -> pl.DataFrame:
    """Half hours and dwell time of the rows of a profile of today."""
    height, low = footprint.ticks_per_row, int(rows["price_tick"][0])
    place = (np.array(part.trades["price_tick"], np.int64) - low) // height
    bracket = brackets(part, profile.tpo_minutes * 60 * NANOS_PER_SECOND)
    masks = tpo.bracket_masks(place, bracket, rows.height)
    counts = tpo.tpo_counts(masks)
    is_poc, is_inside = _value_area_flags(counts, footprint)
    buying, selling = tpo.tails(masks, profile.tail_rows)
    at = np.arange(rows.height)
    is_buying, is_selling = at < buying, at >= rows.height - selling
    held = [
        dwell(
            bbo,
            rows.select(
                "price_tick",
                bar_ts=pl.lit(start_ns).cast(TIMESTAMP),
                bar_end_ts=pl.lit(max(min(end_ns, known_until_ns), start_ns)).cast(TIMESTAMP),
            ),
            height,
        )
        for start_ns, end_ns in part.hours
    ]
    return pl.DataFrame(
        {
            "tpo_count": counts,
            "tpo_letters": _letters(masks),
            # Hours in which no book was seen add nothing to those in which one was.
            "dwell_ns": pl.select(
                pl.when(pl.any_horizontal(series.is_not_null() for series in held)).then(
                    pl.sum_horizontal(held)
                )
            ).to_series(),
            "is_tpo_poc": is_poc,
            "is_in_tpo_value_area": is_inside,
            "is_single_print": (counts == 1) & ~is_buying & ~is_selling,
            "is_buying_tail": is_buying,
            "is_selling_tail": is_selling,
        }
    )


def _no_times(height: int) -> pl.DataFrame:
    names = (
        "tpo_count", "tpo_letters", "dwell_ns", "is_tpo_poc", "is_in_tpo_value_area", "is_single_print",
        "is_buying_tail", "is_selling_tail",
    )  # fmt: skip
    return pl.DataFrame({name: pl.Series([None] * height, dtype=pl.Null) for name in names})


def _value_area_flags(
    weights: NDArray[np.int64], footprint: FootprintSettings
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    poc, val, vah = value_area(weights, footprint.value_area_pct, footprint.value_area_rows)
    place = np.arange(len(weights))
    return place == poc, (place >= val) & (place <= vah)


def _letters(masks: NDArray[np.int64]) -> pl.Series:
    """The brackets of every row by letter, in bracket order."""
    used = int(np.bitwise_or.reduce(masks)).bit_length()
    parts = [pl.Series(np.where(masks >> b & 1, LETTERS[b], "")).alias(LETTERS[b]) for b in range(used)]
    return pl.select(pl.concat_str(parts)).to_series()


def _last_evidence_ns(trades: pl.DataFrame, bbo: pl.DataFrame | None) -> int:
    """The last trade or change of the best quotes: data that end early must not dwell on until the close."""
    last = int(times_ns(trades)[-1])
    return last if bbo is None or bbo.is_empty() else max(last, int(bbo["ts_event"].to_physical()[-1]))
