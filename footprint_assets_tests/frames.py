"""Frames written as a person would, in the types of their contract."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from footprint_assets import contracts

SECOND = 1_000_000_000
DEFAULTS: dict[str, object] = {
    "rtype": 0, "publisher_id": 1, "instrument_id": 7, "action": "T", "side": "B", "depth": 0, "flags": 0,
    "ts_in_delta": 10_000, "symbol": "ESH4", "size": 1, "price": 4800 * SECOND, "is_last": True,
    "is_snapshot": False, "is_bad_ts": False, "is_bad_book": False, "is_tob": False,
}  # fmt: skip


def rows_of(table: str, rows: list[Mapping[str, object]], **constants: object) -> pl.DataFrame:
    """Rows of a bronze table; what a row does not say is ordinary.

    ``ts_event`` defaults to the row's position in seconds, ``ts_recv`` to a microsecond later, ``sequence`` and
    ``record_index`` to the position; absent book levels are null prices and zero sizes.
    """
    schema = contracts.load(table).polars_schema
    full = []
    for i, row in enumerate(rows):
        ts = row.get("ts_event", i * SECOND)
        base = (
            DEFAULTS
            | {"ts_event": ts, "ts_recv": ts + 1000, "sequence": i, "record_index": i}
            | constants
            | dict(row)
        )
        base |= {
            name: 0
            for name in schema
            if name[:7] in ("bid_sz_", "ask_sz_", "bid_ct_", "ask_ct_") and name not in base
        }
        full.append({name: base.get(name) for name in schema})
    plain = {name: pl.Int64 if isinstance(dtype, pl.Datetime) else dtype for name, dtype in schema.items()}
    return pl.DataFrame(full, schema=plain, orient="row").cast(dict(schema))
