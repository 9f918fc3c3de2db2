"""Frames that keep a contract, built from the contract alone, for the tests that break them one rule at a time."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl

from footprint_assets.contracts import Contract, Field
from footprint_assets.contracts.forms import polars_dtype

EPOCH_NS = 1_700_000_000_000_000_000
TEXT = "ESZ5"


def valid_frame(contract: Contract, rows: int = 4) -> pl.DataFrame:
    """A frame that keeps the contract: its last sort column rises, the others stay, nulls stand where they may."""
    rising = contract.field(contract.sort[-1]) if contract.sort else None
    if rising is not None and rising.physical == "enum":
        rows = min(rows, len(rising.symbols))
    return pl.DataFrame([column(field, rows, counting=field is rising) for field in contract.fields])


def column(field: Field, rows: int, *, counting: bool = False) -> pl.Series:
    """Values that keep the checks of one column: rising when counting, else one value with a null in the second row.

    Lists are of every length from none, and hold a null where their items may be null.
    """
    values = _values(field, rows, counting=counting)
    if field.is_list:
        tail = [None] if field.nullable_items else []
        values = [values[:length] + tail for length in range(rows)]
    if field.nullable and rows > 1:
        values[1] = None
    return pl.Series(field.name, values, dtype=polars_dtype(field), strict=True)


def _values(field: Field, rows: int, *, counting: bool) -> list[object]:
    checks, steps = field.checks, (range(rows) if counting else [0] * rows)
    if field.physical == "enum":
        return [field.symbols[min(step, len(field.symbols) - 1)] for step in steps]
    if field.physical == "string":
        return [text_like(checks.matches or "", step if counting else None) for step in steps]
    if field.physical == "bool":
        return [bool(step % 2) for step in steps]
    if field.physical == "date":
        return [dt.date(2025, 9, 1) + dt.timedelta(days=step) for step in steps]
    if field.physical.startswith("timestamp"):
        return [EPOCH_NS + step for step in steps]
    if checks.isin is not None:
        return [checks.isin[0]] * rows
    low = next((v for v in (checks.ge, checks.gt) if v is not None), None)
    high = next((v for v in (checks.le, checks.lt) if v is not None), None)
    base = low + (checks.gt is not None) if low is not None else (high if high is not None else 1)
    number = float if field.is_float else int
    return [number(base + step) for step in steps]


def text_like(pattern: str, step: int | None) -> str:
    """A text that matches a contract's pattern; another one for every step, in rising order."""
    text = TEXT if step is None else f"{step:04d}Z5"
    likes = {
        "^[A-Z][A-Z": f"L{text}",
        "^[0-9]{4}-": f"2025-09-01_ESZ5_PM_HIGH_{step or 0}",
        "^[0-9a-f]{": f"{step or 0:x}".zfill(int(pattern[10:12])) if pattern[:10] == "^[0-9a-f]{" else "",
        "^[a-z][a-z": f"q{text}".lower(),
        "^[0-2][0-9": "18:05:00",
        "^[A-Za-z]*": "ABC",
        "^(trees|re": "trees",
    }
    return likes.get(pattern[:10], text)


def broken_value(field: Field, check: str) -> object:
    """A value of the right type that breaks one check of a column."""
    value = getattr(field.checks, check, None)
    number = float if field.is_float else int
    match check:
        case "ge":
            return number(np.floor(value) - 1)
        case "le":
            return number(np.ceil(value) + 1)
        case "gt" | "lt":
            return number(value)
        case "isin":
            return max(value) + 1
        case "items_not_null":
            return [None]
        case "matches":
            return "not a value-of this column"
    raise ValueError(check)
