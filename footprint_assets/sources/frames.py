"""Source columns as polars frames in a contract's types; numbers are not copied."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from footprint_assets.sources.columns import Array, Columns


def to_frame(columns: Columns, schema: pl.Schema, symbol: str) -> pl.DataFrame:
    """Put source columns into the names, order and types of a bronze contract.

    Args:
        columns: Rows of one contract. The frame holds their memory.
        schema: The contract's polars schema.
        symbol: The contract's symbol, where the source has no column for it.

    Returns:
        A frame with exactly the schema's columns.
    """
    series = []
    for name, dtype in schema.items():
        if name == "symbol":
            series.append(pl.repeat(symbol, columns.rows, dtype=dtype, eager=True).alias(name))
            continue
        values = _series(name, columns.arrays[name], columns.nulls[name])
        is_position = isinstance(dtype, pl.Enum) and values.dtype.is_integer()  # a text of a closed set casts
        series.append(values.cat.to(dtype) if is_position else values.cast(dtype))
    return pl.DataFrame(series)


def _series(name: str, values: Array, absent: npt.NDArray[np.bool_] | None) -> pl.Series:
    """The values as they lie in memory; polars would copy an array, which costs fresh memory, and not a buffer."""
    if values.dtype.kind not in "iu":
        return pl.Series(name, values)
    nulls = None if absent is None else pa.py_buffer(np.packbits(~absent, bitorder="little"))
    kind = pa.from_numpy_dtype(values.dtype)
    return pl.Series(name, pa.Array.from_buffers(kind, len(values), [nulls, pa.py_buffer(values)]))
