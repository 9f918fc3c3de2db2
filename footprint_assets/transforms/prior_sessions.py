"""The sessions before a trade date: the one place where rows of earlier dates enter the graph."""

from __future__ import annotations

import datetime as dt
import re

import polars as pl

from footprint_assets import contracts
from footprint_assets.calendar import Session

TABLE = "silver.future.prior_sessions"
_MONTH_AND_YEAR = "[FGHJKMNQUVXZ][0-9]{1,2}"


def prior_sessions(
    summaries: pl.DataFrame, contract: str, root: str, session: Session, sessions_before: tuple[dt.date, ...]
) -> pl.DataFrame:
    """What a contract's trade date looks back on: one row an earlier session of its root that is held.

    Sessions are counted on the calendar: a date that is not held leaves a gap, and no older one moves up.

    Args:
        summaries: Rows of ``silver.future.session_summary`` of earlier trade dates, of any root.
        contract: Raw symbol of the contract that looks back.
        root: Product root of the contract.
        session: The trade date that looks back.
        sessions_before: The sessions of the calendar before it, as far back as the look-back reaches, in any order.

    Returns:
        Rows of ``silver.future.prior_sessions`` sorted by source date.
    """
    ago = {day: n for n, day in enumerate(sorted(sessions_before, reverse=True), start=1)}
    earlier = summaries.filter(
        pl.col("symbol").str.contains(f"^{re.escape(root)}{_MONTH_AND_YEAR}$"),
        pl.col("session_date").is_in(list(ago)),
    )
    named = earlier.with_columns(
        pl.lit(contract).alias("symbol"),
        pl.lit(session.trade_date).alias("session_date"),
        pl.col("session_date").replace_strict(ago, default=None, return_dtype=pl.Int16).alias("sessions_ago"),
        pl.col("symbol").alias("source_symbol"),
        pl.col("session_date").alias("source_session_date"),
    )
    return named.select(contracts.load(TABLE).polars_schema.names()).sort("source_session_date")
