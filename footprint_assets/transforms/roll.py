"""The roll map: which contract of a root is the front month of a trade date, decided by its own volume."""

from __future__ import annotations

import polars as pl

RULE = "highest volume of the trade date; ties go to the earlier expiry"


def front_month(volumes: pl.DataFrame) -> pl.DataFrame:
    """Rank the outright contracts of every root by the trade date's volume and choose the first.

    A pure function of the date's data: an earlier or later date never changes it. That a root never rolls back to an
    earlier expiry is a check over dates, not a rule here.

    Args:
        volumes: One row a contract with ``session_date``, ``symbol`` (the root), ``contract``, ``expiry`` (yyyymm, int32),
            ``instrument_id``, ``volume`` (contracts, int64) and ``source``.

    Returns:
        The rows with ``rank`` (1 = most traded), ``is_front`` and ``rule``, sorted by root and rank.
    """
    return (
        volumes.sort(
            "session_date", "symbol", pl.col("volume"), "expiry", descending=[False, False, True, False]
        )
        .with_columns(
            pl.int_range(1, pl.len() + 1).over("session_date", "symbol").cast(pl.Int16).alias("rank"),
        )
        .with_columns((pl.col("rank") == 1).alias("is_front"), pl.lit(RULE).alias("rule"))
    )
