"""Builders of small DBN files: honest ones, from which the tests make dishonest ones."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import databento_dbn as dbn
import numpy as np
import zstandard

from footprint_assets.settings import IngestSettings
from footprint_assets.sources.records import RTYPES, UNDEF_PRICE, current_dtype, wire_dtype

INGEST = IngestSettings()
DAY = dt.date(2024, 6, 10)
START = int(np.datetime64(DAY, "ns").astype(np.int64))
DAY_NS = 86_400 * 10**9
END = START + DAY_NS
ESM4, ESU4, SPREAD = 5602, 118, 3000
MAPPINGS = (
    ("ESM4", ((DAY, DAY + dt.timedelta(1), "5602"),)),
    ("ESU4", ((DAY, DAY + dt.timedelta(1), "118"),)),
)
Mapping = tuple[str, tuple[tuple[dt.date, dt.date, str], ...]]


def metadata(
    schema: str | None = "mbp-10",
    *,
    version: int = 3,
    dataset: str = "GLBX.MDP3",
    start: int = START,
    end: int | None = END,
    limit: int | None = None,
    stype_in: str | None = "raw_symbol",
    stype_out: str = "instrument_id",
    symbols: Sequence[str] = ("ESM4", "ESU4"),
    partial: Sequence[str] = (),
    not_found: Sequence[str] = (),
    mappings: Sequence[Mapping] = MAPPINGS,
    ts_out: bool = False,
) -> bytes:
    """The encoded DBN header."""
    return bytes(
        dbn.Metadata(
            dataset=dataset,
            start=start,
            end=end,
            limit=limit,
            schema=None if schema is None else dbn.Schema.from_str(schema),
            stype_in=None if stype_in is None else dbn.SType.from_str(stype_in),
            stype_out=dbn.SType.from_str(stype_out),
            symbols=list(symbols),
            partial=list(partial),
            not_found=list(not_found),
            mappings=[
                SimpleNamespace(
                    raw_symbol=name,
                    intervals=[SimpleNamespace(start_date=a, end_date=b, symbol=s) for a, b, s in intervals],
                )
                for name, intervals in mappings
            ],
            ts_out=ts_out,
            version=version,
        ).encode()
    )


def records(
    schema: str, count: int = 20, *, version: int = 3, instrument: int = ESM4
) -> np.ndarray[Any, Any]:
    """Plausible records of a schema in the wire layout of a DBN version."""
    rtype = RTYPES[schema]
    out = np.zeros(count, wire_dtype(rtype, version))
    out["length"], out["rtype"], out["publisher_id"] = out.dtype.itemsize // 4, rtype, 1
    out["instrument_id"] = instrument
    out["ts_event"] = START + 10**9 * (1 + np.arange(count))
    names = out.dtype.names or ()
    if "ts_recv" in names:
        out["ts_recv"] = out["ts_event"] + 15_000
    if "sequence" in names:
        out["sequence"] = np.arange(count)
    if schema in ("mbp-10", "mbp-1", "tbbo", "trades"):
        ticks = 21_000 + np.arange(count) % 7
        out["price"], out["size"], out["flags"] = ticks * 250_000_000, 1 + np.arange(count) % 5, 0x82
        out["action"] = (
            b"T" if schema in ("trades", "tbbo") else np.resize(np.array([b"A", b"C", b"M", b"T"]), count)
        )
        out["side"] = np.resize(np.array([b"A", b"B", b"N"]), count)
        for level in range({"mbp-10": 10, "trades": 0}.get(schema, 1)):
            out[f"bid_px_{level:02d}"] = (ticks - 1 - level) * 250_000_000
            out[f"ask_px_{level:02d}"] = (ticks + level) * 250_000_000
            for at, what in enumerate(("bid_sz", "ask_sz", "bid_ct", "ask_ct")):
                out[f"{what}_{level:02d}"] = 10 * level + at + 1 + np.arange(count) % 3
    if schema.startswith("ohlcv"):
        for at, name in enumerate(("open", "high", "low", "close")):
            out[name] = 5_000 * 10**9 + at
        out["volume"] = 100 + np.arange(count)
    if schema == "statistics":
        out["ts_ref"] = 2**64 - 1
        out["price"], out["stat_type"], out["update_action"] = 5_000 * 10**9, 3, 1
        out["quantity"] = np.iinfo(out.dtype["quantity"]).max
    if schema == "definition":
        out["raw_symbol"], out["asset"], out["security_type"] = b"ESM4", b"ES", b"FUT"
        out["exchange"], out["currency"], out["unit_of_measure"] = b"XCME", b"USD", b"IPNT"
        out["instrument_class"], out["security_update_action"] = b"F", b"A"
        out["user_defined_instrument"] = b"N"
        out["expiration"], out["activation"] = START + 11 * DAY_NS, START - 400 * DAY_NS
        out["min_price_increment"], out["high_limit_price"] = 250_000_000, UNDEF_PRICE
        out["maturity_year"], out["maturity_month"], out["maturity_day"] = 2024, 6, 255
    return out


def with_ts_out(rows: np.ndarray[Any, Any]) -> bytes:
    """The records with a send timestamp behind each of them."""
    wide = np.zeros((len(rows), rows.dtype.itemsize + 8), np.uint8)
    wide[:, : rows.dtype.itemsize] = rows.view(np.uint8).reshape(len(rows), -1)
    wide[:, 0] = wide.shape[1] // 4
    wide[:, -8:] = (rows["ts_event"] + 20_000).view(np.uint8).reshape(len(rows), 8)
    return wide.tobytes()


def control(rtype: int, *, symbol: bytes = b"ESM4", instrument: int = ESM4) -> bytes:
    """A control message of a live recording: 21 error, 22 symbol mapping, 23 system."""
    out = np.zeros(1, current_dtype(rtype))
    out["length"], out["rtype"], out["ts_event"] = out.dtype.itemsize // 4, rtype, START
    out["instrument_id"] = instrument
    if rtype == 22:
        out["stype_in_symbol"], out["stype_out_symbol"] = b"ES.FUT", symbol
        out["start_ts"] = out["end_ts"] = 2**64 - 1
    return out.tobytes()


def zst(content: bytes, *, checksum: bool = True, frames: int = 1) -> bytes:
    """Content in one or more zstd frames."""
    compressor = zstandard.ZstdCompressor(level=3, write_checksum=checksum)
    step = -(-len(content) // frames) or 1
    return b"".join(
        compressor.compress(content[at : at + step]) for at in range(0, max(len(content), 1), step)
    )


def skippable(payload: bytes) -> bytes:
    """A zstd skippable frame."""
    return b"\x5a\x2a\x4d\x18" + len(payload).to_bytes(4, "little") + payload


def plain(schema: str = "mbp-10", rows: np.ndarray[Any, Any] | None = None, **header: Any) -> bytes:
    """A whole uncompressed file."""
    body = records(schema) if rows is None else rows
    return metadata(schema, **header) + body.tobytes()


def write(folder: Path, content: bytes, name: str = "file.dbn") -> Path:
    """Write a file and give its path."""
    path = folder / name
    path.write_bytes(content)
    return path
