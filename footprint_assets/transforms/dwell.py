"""How long the best bid and offer enclosed each price row of each bar or profile, from the changes of the best quotes."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.kernels import dwell as kernel

NAME = "dwell_ns"
BBO_COLUMNS = ("ts_event", "bid_tick", "ask_tick")
"""Columns read from the best bid and offer."""


def dwell(bbo: pl.DataFrame | None, rows: pl.DataFrame, ticks_per_row: int) -> pl.Series:
    """Nanoseconds of each row's interval with best bid <= price <= best ask.

    A row taller than a tick counts while any of its ticks lies between the quotes. Sums run over the time both quotes
    are known; where that was never so, the answer is null. Rows of one interval are cheapest side by side.

    Args:
        bbo: ``BBO_COLUMNS`` of ``silver.future.bbo`` of the rows' contract in event order; None where no book is held.
        rows: ``bar_ts`` and ``bar_end_ts`` (instants, the end exclusive) and ``price_tick``, the row's lowest tick:
            rows of ``silver.future.footprint_price`` are such.
        ticks_per_row: Row height, ticks.

    Returns:
        ``dwell_ns``, Int64, one value a row in the order of ``rows``; null where no two-sided book was seen.
    """
    if bbo is None or bbo.is_empty() or rows.is_empty():
        return pl.Series(NAME, [None] * rows.height, pl.Int64)
    start_ns, end_ns = _int64(rows["bar_ts"].to_physical()), _int64(rows["bar_end_ts"].to_physical())
    changed = np.flatnonzero((np.diff(start_ns) != 0) | (np.diff(end_ns) != 0)) + 1
    first = np.concatenate(([0], changed))
    is_two_sided = np.array(bbo["bid_tick"].is_not_null() & bbo["ask_tick"].is_not_null())
    bid, ask = (_int64(bbo[f"{side}_tick"].fill_null(0)) for side in ("bid", "ask"))
    # Crossed quotes may share a tall row, which would enclose what no price lies between.
    ask_row = np.where(bid > ask, bid // ticks_per_row - 1, ask // ticks_per_row)
    found = kernel.dwell_ns(
        _int64(bbo["ts_event"].to_physical()),
        bid // ticks_per_row,
        ask_row,
        is_two_sided,
        start_ns[first],
        end_ns[first],
        np.append(first, rows.height),
        _int64(rows["price_tick"]) // ticks_per_row,
    )
    return pl.select(pl.lit(pl.Series(NAME, found)).replace(kernel.NOT_KNOWN, None)).to_series()


def _int64(column: pl.Series) -> NDArray[np.int64]:
    # A copy: a read-only view of an Arrow buffer is another numba signature and would compile the kernel twice.
    return np.array(column, np.int64)
