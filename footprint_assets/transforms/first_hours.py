"""The first three hours of the cash session, with the levels a trader has on the chart."""

from __future__ import annotations

import datetime as dt

import polars as pl

from footprint_assets.calendar import Session, et_ns

START, END = dt.time(9, 30), dt.time(12, 30)
FIRST_HOURS_RULE = "outside_0930_1230_et"
LEVELS = ("PM_HIGH", "PM_LOW", "OR_HIGH", "OR_LOW")


def first_hours_ns(session: Session) -> tuple[int, int]:
    """First instant of the window and the first beyond, ns UTC; equal on dates without a cash session."""
    start, end = (et_ns(session.trade_date, time) for time in (START, END))
    return start, start if session.rth_open_ns is None or session.rth_close_ns is None else end


def first_three_hours(book: pl.DataFrame, levels: pl.DataFrame, session: Session) -> pl.DataFrame:
    """Keep the rows of 09:30 <= ET < 12:30 and add the levels as known at each row.

    Args:
        book: Rows of ``silver.future.market_by_price_10_clean`` of one contract and trade date.
        levels: The contract's ``silver.future.session_levels``.
        session: The trade date's session.

    Returns:
        The kept rows with ``pm_high``, ``pm_low``, ``or_high``, ``or_low`` (points), null before a level is known and
        where it does not exist; no rows on dates without a cash session.
    """
    start, end = first_hours_ns(session)
    time = book["ts_event"].to_physical()
    inside = (time >= start) & (time < end)
    kept = book if inside.all() else book.filter(inside)
    known = {row["level_name"]: row for row in levels.iter_rows(named=True) if row["level_name"] in LEVELS}
    return kept.with_columns(
        (
            pl.when(pl.col("ts_event") >= pl.lit(known[name]["valid_from_ts"], book.schema["ts_event"])).then(
                known[name]["level_price"]
            )
            if name in known
            else pl.lit(None, pl.Float64)
        ).alias(name.lower())
        for name in LEVELS
    )
