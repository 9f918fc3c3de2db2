"""Five-second bars of the morning, without the depth bands an ES book never shows."""

from __future__ import annotations

import polars as pl

from footprint_assets import contracts
from footprint_assets.calendar import Session, et_ns
from footprint_assets.settings import GoldSettings

TABLE = "gold.future.market_by_price_10_bar5s_filtered"
WINDOW_RULE = "outside_the_window"
DROPPED_BANDS = ("_p3_5_", "_p5_10_")
"""Ten levels of an ES book reach 2.5 points: these bands are beyond them and always null."""


def is_kept(column: str) -> bool:
    """Whether a column of ``market_by_price_10_bar5s`` is of a band that can be seen, or of none."""
    return not any(band in column for band in DROPPED_BANDS)


def bar5s_filtered(bars: pl.DataFrame, session: Session, settings: GoldSettings) -> pl.DataFrame:
    """Keep the bars of the window, and the columns of the bands that can be seen.

    Args:
        bars: Rows of ``silver.future.market_by_price_10_bar5s`` of one contract and trade date.
        session: The trade date's session.
        settings: The window, Eastern wall time; a bar belongs to it by its start.

    Returns:
        Rows of ``gold.future.market_by_price_10_bar5s_filtered``; none on dates without a cash session. The rows left
        out are counted under ``WINDOW_RULE``.
    """
    start, end = (
        et_ns(session.trade_date, time) for time in (settings.filtered_start, settings.filtered_end)
    )
    if session.rth_open_ns is None:
        end = start
    started = pl.col("bar_ts").to_physical()
    return bars.filter((started >= start) & (started < end)).select(contracts.load(TABLE).columns)
