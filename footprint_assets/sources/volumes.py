"""Volume by instrument from any schema that tells it: trades, the book's trade records, or bars."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import numpy as np
import polars as pl

from footprint_assets.sources.dbn import Chunk
from footprint_assets.sources.instruments import InstrumentMap, Outright

_TRADE_FIELDS = ("ts_recv", "ts_event", "instrument_id", "sequence", "price", "size", "side")
_DAY_NS = 86_400 * 10**9
_EPOCH = dt.date(1970, 1, 1)
NO_VOLUME = pl.DataFrame(schema={"instrument_id": pl.Int64, "day": pl.Int64, "volume": pl.Int64})
"""What files without traded volume hold."""


def volume_rows(chunk: Chunk, schema: str, start_ns: int, end_ns: int) -> pl.DataFrame:
    """The rows of a chunk that carry traded volume, of every instrument.

    Args:
        chunk: Records of ``trades``, ``mbp-10`` (its ``T`` records count) or ``ohlcv-*``.
        schema: The chunk's schema.
        start_ns: First ``ts_event`` kept, UTC ns.
        end_ns: First ``ts_event`` after those kept, UTC ns.

    Returns:
        ``ts_recv``, ``instrument_id``, ``day`` (UTC day of the event, days since the epoch), ``volume`` (contracts),
        ``record_index`` and, for trades, the columns that tell a fill from another.
    """
    records = chunk.records
    bars = schema.startswith("ohlcv")
    kept = (records["ts_event"] >= start_ns) & (records["ts_event"] < end_ns)
    if not bars:
        kept &= records["action"] == b"T"
    rows = records[kept]
    names = ("ts_event", "instrument_id", "volume") if bars else _TRADE_FIELDS
    frame = pl.DataFrame(
        {name: rows[name].view(np.uint8) if name == "side" else rows[name].astype(np.int64) for name in names}
    )
    if bars:
        frame = frame.with_columns(pl.col("ts_event").alias("ts_recv"), pl.lit(0).alias("sequence"))
    else:
        frame = frame.with_columns(pl.col("size").alias("volume"))
    return frame.with_columns(
        (pl.col("ts_event") // _DAY_NS).alias("day"), pl.Series("record_index", chunk.index[kept])
    )


def outright_volumes(
    batches: Iterable[pl.DataFrame], instruments: InstrumentMap, roots: Iterable[str], trade_date: dt.date
) -> pl.DataFrame:
    """Sum volume over the outright futures of some roots.

    Args:
        batches: Frames of ``volume_rows``.
        instruments: What each instrument is.
        roots: Product roots.
        trade_date: The trade date the rows belong to.

    Returns:
        One row an outright: ``session_date``, ``symbol`` (the root), ``contract``, ``instrument_id``, ``expiry`` (yyyymm), ``volume``.
    """
    wanted, found = frozenset(roots), []
    total = pl.concat(
        [batch.group_by("instrument_id", "day").agg(pl.col("volume").sum()) for batch in batches]
    )
    for number, day, volume in total.group_by("instrument_id", "day").agg(pl.col("volume").sum()).iter_rows():
        utc_day = _EPOCH + dt.timedelta(days=day)
        kind = instruments.instrument(number, utc_day)
        if isinstance(kind, Outright) and kind.root in wanted:
            expiry = kind.year * 100 + kind.month
            found.append((trade_date, kind.root, instruments.symbol(number, utc_day), number, expiry, volume))
    schema = {
        "session_date": pl.Date, "symbol": pl.String, "contract": pl.String, "instrument_id": pl.Int64,
        "expiry": pl.Int32, "volume": pl.Int64,
    }  # fmt: skip
    frame = pl.DataFrame(found, schema=schema, orient="row")
    return (
        frame.group_by("session_date", "symbol", "contract", "expiry", maintain_order=True)
        .agg(pl.col("instrument_id").sort_by("volume").last(), pl.col("volume").sum())
        .select(*schema)
    )
