"""Tables on the five-second grid: that they lie side by side, and their columns as the kernels want them."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.errors import FootprintError

_ROW = ("symbol", "bar_ts")


class GridsDiffer(FootprintError):  # noqa: N818 - reads as the fact it states
    """Tables that have one row a bar do not have the same bars."""


def require_same_bars(table: str, bars: pl.DataFrame, **others: pl.DataFrame) -> None:
    """Refuse tables that do not have the rows of the five-second bars.

    Args:
        table: Dataset key of what is made of them.
        bars: ``bar_ts``, and ``symbol`` where it was read, of the five-second bars.
        others: The other tables, by the name of the input.

    Raises:
        GridsDiffer: A table has other bars.
    """
    for name, other in others.items():
        row = [column for column in _ROW if column in bars.columns and column in other.columns]
        if not other.select(row).equals(bars.select(row)):
            raise GridsDiffer(
                f"{name} has {other.height} bars and the five-second bars are {bars.height}, "
                "or they start at other times.",
                where={"table": table, "input": name},
                remedy="footprint-assets run --date D, which computes the tables of a trade date from the same bars",
            )


def floats(values: pl.Series) -> NDArray[np.float64]:
    """A column with NaN for null; float64[rows], a copy: a read-only view would compile every kernel twice."""
    return np.array(values.cast(pl.Float64).fill_null(np.nan), np.float64)
