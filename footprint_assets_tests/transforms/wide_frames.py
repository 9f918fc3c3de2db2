"""Random frames of wide tables, built from their contracts, for the tests of what joins them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl

from footprint_assets import contracts
from footprint_assets.contracts.forms import polars_dtype

INSTANT = pl.Datetime("ns", "UTC")
SECOND = 1_000_000_000
BAR = 5 * SECOND
NULL_SHARE = 0.1


def instants(ns: Sequence[int] | np.ndarray) -> pl.Series:
    return pl.Series(np.asarray(ns, np.int64)).cast(INSTANT)


def random_rows(key: str, rows: int, seed: int, known: Mapping[str, object]) -> pl.DataFrame:
    """Rows of a table with some columns given and the others random, a tenth null where they may be.

    Args:
        key: Dataset key.
        rows: Number of rows.
        seed: Of the random numbers.
        known: Values of columns, one for every row or one for all of them.
    """
    rng = np.random.default_rng(seed)
    columns = []
    for field in contracts.load(key).fields:
        dtype = polars_dtype(field)
        if field.name in known:
            value = known[field.name]
            many = isinstance(value, pl.Series | list)
            columns.append(pl.Series(field.name, value if many else [value] * rows).cast(dtype))
            continue
        column = pl.Series(field.name, _values(field, rows, rng), dtype=dtype)
        if field.nullable:
            column = column.scatter(np.flatnonzero(rng.random(rows) < NULL_SHARE), None)
        columns.append(column)
    return pl.DataFrame(columns)


def _values(field: contracts.Field, rows: int, rng: np.random.Generator) -> list[object]:
    checks = field.checks
    if field.is_list:
        return [[]] * rows
    if field.physical == "enum":
        return [field.symbols[i] for i in rng.integers(len(field.symbols), size=rows)]
    if field.physical == "string":
        return ["0" * 16 if field.name == "config_hash" else "TEXT"] * rows
    if field.physical == "bool":
        return [bool(i) for i in rng.integers(2, size=rows)]
    if checks.isin is not None:
        return [checks.isin[i] for i in rng.integers(len(checks.isin), size=rows)]
    low = next((v for v in (checks.ge, checks.gt) if v is not None), None)
    high = next((v for v in (checks.le, checks.lt) if v is not None), None)
    low = low if low is not None else (high - 50 if high is not None else -50)
    high = high if high is not None else low + 100
    if field.is_float:
        return list(low + (high - low) * (0.01 + 0.98 * rng.random(rows)))
    return [int(i) for i in rng.integers(int(low) + (checks.gt is not None), int(high) + 1, size=rows)]
