"""Price levels on a page: where each may be drawn, and the list of all of them."""

from __future__ import annotations

import datetime as dt
import html
import math
from typing import Any

import polars as pl

from footprint_assets.report.frames import NS, clock, decimals, eastern, select
from footprint_assets.report.shell import table

LEVEL_COLUMNS = (
    "level_name",
    "level_class",
    "is_dynamic",
    "level_price",
    "valid_from_ts",
    "valid_to_ts",
    "is_partial_window",
)


def placed_levels(
    levels: pl.DataFrame, symbol: str, session_date: dt.date, start_ns: int, end_ns: int
) -> list[dict[str, Any]]:
    """The levels of a contract and what becomes of each on a chart that spans ``[start_ns, end_ns)``.

    Args:
        levels: Rows of ``silver.future.session_levels``.
        symbol: Contract.
        session_date: Trade date.
        start_ns: First instant of the chart, UTC ns.
        end_ns: End of the chart, UTC ns.

    Returns:
        One mapping a level, highest first: ``from`` and ``to`` are wall clocks of the line where ``state`` is ``drawn``.
    """
    rows = select(levels, LEVEL_COLUMNS, "session_levels", symbol, session_date)
    if rows.is_empty():
        return []
    rows = rows.with_columns(
        pl.col("level_name", "level_class").cast(pl.String), pl.col("valid_from_ts", "valid_to_ts").cast(NS)
    ).sort("level_price", "level_name", "valid_from_ts", descending=[True, False, False], nulls_last=True)
    begins, ends = (clock(rows[name]) for name in ("valid_from_ts", "valid_to_ts"))
    placed = []
    instants = rows.with_columns(pl.col("valid_from_ts", "valid_to_ts").cast(pl.Int64))
    for row, begin, end in zip(instants.iter_rows(named=True), begins, ends, strict=True):
        since, until = row["valid_from_ts"], row["valid_to_ts"]
        state = _state(row, start_ns, end_ns)
        placed.append(
            {
                "name": row["level_name"],
                "class": row["level_class"],
                "price": None if state == "no price" else row["level_price"],
                "known": None if since is None else eastern(since, session_date),
                "ended": None if until is None else eastern(until, session_date),
                "partial": bool(row["is_partial_window"]),
                "state": state,
                "from": begin if state == "drawn" else None,
                "to": end if state == "drawn" else None,
            }
        )
    return placed


def _state(row: dict[str, Any], start_ns: int, end_ns: int) -> str:
    price, since, until = row["level_price"], row["valid_from_ts"], row["valid_to_ts"]
    if row["is_dynamic"]:
        return "moving"
    if price is None or not math.isfinite(price):
        return "no price"
    if since is None or since >= end_ns:
        return "not known yet"
    return "expired" if until is not None and until <= max(since, start_ns) else "drawn"


def levels_table(levels: list[dict[str, Any]], tick: float) -> str:
    """The list of the levels under a chart, folded."""
    if not levels:
        return ""
    digits = decimals(tick)
    rows = (
        (
            html.escape(str(level["name"])),
            html.escape(str(level["class"])),
            "–" if level["price"] is None else f"{level['price']:.{digits}f}",
            level["known"] or "–",
            level["ended"] or "–",
            level["state"] + (", partial window" if level["partial"] else ""),
        )
        for level in levels
    )
    headings = ("Level", "Class", "Price", "Known from, ET", "Until, ET", "On the chart")
    listed = table(headings, rows, name="levels", numbers=("Price",))
    return f"<details><summary>Levels ({len(levels)})</summary>{listed}</details>"
