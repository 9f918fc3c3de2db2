"""The daily settlement among the exchange's statistics."""

from __future__ import annotations

import polars as pl

from footprint_assets.calendar import Session
from footprint_assets.settings import PRICE_SCALE

SETTLEMENT_STAT_TYPE = 3
DELETE_UPDATE = 2
FINAL_FLAG = 0x01
"""Bits of a settlement's ``stat_flags`` (FIX tag 731, SettlPriceType): final rather than preliminary ..."""
INTRADAY_FLAG = 0x08
"""... and an intraday mark, which is no daily settlement."""


def settlement(statistics: pl.DataFrame, symbol: str, session: Session) -> float | None:
    """The daily settlement of the trade date that was public by the end of the date, points.

    ``ts_ref`` names the trading date of a settlement (Databento, ``StatType.SETTLEMENT_PRICE``); without it the date
    is not known, since Friday's final price arrives in Monday's tile. A final price beats a preliminary one, then the
    later message wins; a deletion voids what came before it. What arrives after 18:00 ET belongs to the next trade
    date's knowledge.

    Args:
        statistics: Rows of ``bronze.future.statistics``; may be empty.
        symbol: Raw symbol of the contract.
        session: The trade date's session.

    Returns:
        Points; None where none was public.
    """
    flags = pl.col("stat_flags").cast(pl.Int64)
    messages = statistics.filter(
        pl.col("symbol") == symbol,
        pl.col("stat_type") == SETTLEMENT_STAT_TYPE,
        pl.col("ts_ref").dt.date() == session.trade_date,
        pl.col("ts_recv").to_physical().is_between(*session.window_ns, closed="left"),
        flags & INTRADAY_FLAG == 0,
    ).sort("ts_recv", "record_index", maintain_order=True)
    deletions = (messages["update_action"] == DELETE_UPDATE).arg_true()
    standing = messages.slice(int(deletions[-1]) + 1 if deletions.len() else 0).filter(
        pl.col("price").is_not_null()
    )
    best = standing.sort((flags & FINAL_FLAG) > 0, maintain_order=True).tail(1)
    return best["price"][0] / PRICE_SCALE if best.height else None
