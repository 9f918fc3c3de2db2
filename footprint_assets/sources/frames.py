"""Source columns as polars frames in a contract's types; numbers are not copied."""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint_assets.sources.columns import Columns


def to_frame(columns: Columns, schema: pl.Schema, symbol: str) -> pl.DataFrame:
    """Put source columns into the names, order and types of a bronze contract.

    Args:
        columns: Rows of one contract. Their memory may be reused by the next chunk: the frame must be used before.
        schema: The contract's polars schema.
        symbol: The contract's symbol, where the source has no column for it.

    Returns:
        A frame with exactly the schema's columns.
    """
    series = {}
    for name, dtype in schema.items():
        if name == "symbol":
            series[name] = pl.repeat(symbol, columns.rows, dtype=dtype, eager=True).alias(name)
            continue
        values = pl.Series(name, columns.arrays[name])
        is_position = isinstance(dtype, pl.Enum) and values.dtype.is_integer()  # a text of a closed set casts
        values = values.cat.to(dtype) if is_position else values.cast(dtype)
        absent = columns.nulls[name]
        if absent is not None:
            values = values.set(pl.Series(np.asarray(absent)), None)
        series[name] = values
    return pl.DataFrame(series)
