"""The DBN header, parsed field by field: nothing is trusted before it is checked.

The vendor's decoder takes version 0, unchecked symbols and two symbols for one instrument on one day; here each of
them refuses the file with the byte offset of the fault.
"""

from __future__ import annotations

import datetime as dt
import re
import struct
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, NoReturn

from footprint_assets.settings import IngestSettings
from footprint_assets.sources.envelope import DBN_MAGIC, ZSTD_MAGIC, Envelope
from footprint_assets.sources.errors import PULL_AGAIN, MetadataRefused
from footprint_assets.sources.records import SCHEMAS, WORD_BYTES, record_lengths

PRELUDE_BYTES: Final = 8
FIXED_BYTES: Final = 100
"""Fixed part of the metadata after the prelude, the same in every version."""
SYMBOL_PATTERN: Final = re.compile(r"[A-Z0-9][A-Z0-9 .:_\-]{0,70}")
"""Symbols become directory names: nothing else may pass."""
_INT64_MAX: Final = 2**63 - 1
_UNDEF: Final = 2**64 - 1
_SYMBOL_BYTES: Final = {1: 22, 2: 71, 3: 71}
_STYPES: Final = (
    "instrument_id", "raw_symbol", "smart", "continuous", "parent", "nasdaq_symbol", "cms_symbol", "isin", "us_code",
    "bbg_comp_id", "bbg_comp_ticker", "figi", "figi_ticker", "listing_id", "issuer_id", "security_id",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MappedInterval:
    """One symbol of one instrument over the UTC days ``[start_date, end_date)``."""

    raw_symbol: str
    start_date: dt.date
    end_date: dt.date
    instrument_id: int


@dataclass(frozen=True, slots=True)
class DbnHeader:
    """What a DBN file says about itself.

    ``schema`` and ``stype_in`` are None in live recordings. ``start_ns`` and ``end_ns`` bound the request,
    ``[start, end)`` in UTC nanoseconds of the receive time; ``end_ns`` is None where the recording was open-ended.
    ``metadata_length`` counts the bytes before the first record.
    """

    version: int
    dataset: str
    schema: str | None
    start_ns: int
    end_ns: int | None
    limit: int | None
    stype_in: str | None
    stype_out: str
    ts_out: bool
    symbols: tuple[str, ...]
    partial: tuple[str, ...]
    not_found: tuple[str, ...]
    mappings: tuple[MappedInterval, ...]
    compressed: bool
    metadata_length: int


def is_safe_symbol(symbol: str) -> bool:
    """Tell whether a symbol may name an instrument, and so a directory.

    Args:
        symbol: Such as ``ESH4``, ``ESH4-ESM4``, ``ESM4 P5230`` or ``UD:1V: VT 2830794``.
    """
    return SYMBOL_PATTERN.fullmatch(symbol) is not None and ".." not in symbol


def read_header(path: Path, ingest: IngestSettings) -> DbnHeader:
    """Read the header of a DBN file and nothing behind it.

    Args:
        path: A ``.dbn`` or ``.dbn.zst`` file.
        ingest: What is accepted.

    Returns:
        The checked header.

    Raises:
        DbnRefused: The file is no DBN file, or its header cannot be trusted.
    """
    envelope = Envelope(path, ingest, read_bytes=2**16)
    try:
        return parse_header(envelope, ingest)
    finally:
        envelope.close()


def parse_header(envelope: Envelope, ingest: IngestSettings) -> DbnHeader:
    """Parse the header from the first bytes of an envelope, which stands at the first record afterwards.

    Args:
        envelope: A freshly opened file.
        ingest: What is accepted.

    Returns:
        The checked header.

    Raises:
        DbnRefused: The header is cut, lies about its lengths, or names what is not accepted.
    """
    fields = _Fields(envelope.path)
    prelude = bytearray(PRELUDE_BYTES)
    got = envelope.fill(memoryview(prelude))
    if bytes(prelude[:3]) != DBN_MAGIC:
        _refuse_magic(fields, bytes(prelude[:got]))
    if got < PRELUDE_BYTES:
        fields.refuse("truncated_metadata", "the file ends inside the DBN prelude", got)
    version, length = prelude[3], int.from_bytes(prelude[4:], "little")
    if version not in _SYMBOL_BYTES:
        fields.refuse(
            "version", f"DBN version {version} is not 1, 2 or 3", 3, remedy="pull the file again as DBN 3"
        )
    if length < FIXED_BYTES + 16:
        fields.refuse("metadata_length", f"metadata of {length} bytes cannot hold its own fields", 4)
    if length > ingest.max_metadata_bytes:
        fields.refuse(
            "metadata_limit",
            f"metadata of {length} bytes is over the limit",
            4,
            remedy="raise FOOTPRINT_INGEST__MAX_METADATA_BYTES if the file is honest",
        )
    body = bytearray(length)
    got = envelope.fill(memoryview(body))
    if got < length:
        fields.refuse("truncated_metadata", "the file ends inside the metadata", PRELUDE_BYTES + got)
    fields.body = bytes(body)
    return _parse_body(fields, version, ingest, compressed=envelope.compressed)


class _Fields:
    """A cursor over the metadata bytes; offsets in errors count from the start of the DBN stream."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.body = b""
        self.at = 0

    def refuse(
        self, rule: str, message: str, offset: int, *, remedy: str = PULL_AGAIN, **facts: object
    ) -> NoReturn:
        raise MetadataRefused(rule, message, path=self.path, offset=offset, remedy=remedy, **facts)

    def refuse_here(self, rule: str, message: str, *, remedy: str = PULL_AGAIN) -> NoReturn:
        self.refuse(rule, message, PRELUDE_BYTES + self.at, remedy=remedy)

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.body):
            self.refuse_here("metadata_length", "the metadata ends inside a field")
        value = self.body[self.at : self.at + size]
        self.at += size
        return value

    def unsigned(self, size: int) -> int:
        return int.from_bytes(self.take(size), "little")

    def text(self, size: int) -> str:
        raw = self.take(size)
        value, terminator, _ = raw.partition(b"\0")
        if not terminator or not value.isascii():
            self.at -= size
            self.refuse_here("symbol", "a text field is not NUL-terminated ASCII")
        return value.decode("ascii")

    def symbol(self, size: int) -> str:
        value = self.text(size)
        if not is_safe_symbol(value):
            self.at -= size
            self.refuse_here("symbol", f"symbol {value!r} has characters no symbol may have")
        return value

    def count(self, item_bytes: int) -> int:
        count = self.unsigned(4)
        if count * item_bytes > len(self.body) - self.at:
            self.at -= 4
            self.refuse_here(
                "metadata_length", f"the metadata has no room for the {count} entries it announces"
            )
        return count

    def symbols(self, size: int) -> tuple[str, ...]:
        return tuple(self.symbol(size) for _ in range(self.count(size)))


def _refuse_magic(fields: _Fields, head: bytes) -> NoReturn:
    if head.startswith(ZSTD_MAGIC):
        fields.refuse(
            "doubly_compressed", "the zstd frames hold zstd frames", 0, remedy="decompress the file once"
        )
    looks_like_record = len(head) == PRELUDE_BYTES and any(
        head[0] * WORD_BYTES == record_lengths(version, ts_out=False)[head[1]] for version in _SYMBOL_BYTES
    )
    if looks_like_record:
        fields.refuse(
            "fragment",
            "the file holds DBN records without metadata",
            0,
            remedy="use the file the fragment was split from",
        )
    fields.refuse("magic", "the file is no DBN file", 0, remedy="take it out of the drop folder")


def _parse_body(fields: _Fields, version: int, ingest: IngestSettings, *, compressed: bool) -> DbnHeader:
    dataset = fields.text(16)
    if dataset != ingest.dataset:
        fields.at = 0
        fields.refuse_here(
            "dataset",
            f"the file is of dataset {dataset!r}, not {ingest.dataset!r}",
            remedy="take it out of the drop folder, or set FOOTPRINT_INGEST__DATASET",
        )
    schema = _code(fields, 2, SCHEMAS, "schema")
    start, end = _range(fields)
    limit = fields.unsigned(8) or None
    if version == 1:
        fields.take(8)  # record_count, deprecated and unreliable
    stype_in = _code(fields, 1, _STYPES, "stype_in")
    stype_out = _code(fields, 1, _STYPES, "stype_out")
    if stype_out is None:
        fields.refuse_here("stype", "the metadata names no output symbology")
    if stype_in == "continuous":
        fields.refuse_here(
            "symbology",
            "continuous symbols name no contract",
            remedy="pull with stype_in raw_symbol or parent; the roll map is made here",
        )
    ts_out = fields.unsigned(1)
    if ts_out > 1:
        fields.refuse_here("ts_out", f"the ts_out flag is {ts_out}, not 0 or 1")
    symbol_bytes = _SYMBOL_BYTES[version]
    if version > 1 and (stated := fields.unsigned(2)) != symbol_bytes:
        fields.refuse_here("symbol_length", f"symbols of {stated} bytes in DBN {version}, where they have 71")
    fields.at = FIXED_BYTES
    if fields.unsigned(4):
        fields.refuse_here(
            "schema_definition", "the metadata holds a schema definition, which DBN does not define"
        )
    symbols = fields.symbols(symbol_bytes)
    partial = fields.symbols(symbol_bytes)
    not_found = fields.symbols(symbol_bytes)
    mappings = _mappings(fields, symbol_bytes, stype_in, stype_out)
    padding = fields.body[fields.at :]
    if len(padding) >= 8 or any(padding):
        fields.refuse_here("metadata_length", f"{len(padding)} bytes of the metadata belong to no field")
    return DbnHeader(
        version=version,
        dataset=dataset,
        schema=schema,
        start_ns=start,
        end_ns=end,
        limit=limit,
        stype_in=stype_in,
        stype_out=stype_out,
        ts_out=bool(ts_out),
        symbols=symbols,
        partial=partial,
        not_found=not_found,
        mappings=mappings,
        compressed=compressed,
        metadata_length=PRELUDE_BYTES + len(fields.body),
    )


def _code(fields: _Fields, size: int, names: tuple[str, ...], field: str) -> str | None:
    """Read an enumeration whose largest value means "none"."""
    value = fields.unsigned(size)
    if value == 256**size - 1:
        return None
    if value >= len(names):
        fields.at -= size
        fields.refuse_here("schema" if field == "schema" else "stype", f"{field} code {value} is unknown")
    return names[value]


def _range(fields: _Fields) -> tuple[int, int | None]:
    start, end = struct.unpack("<QQ", fields.take(16))
    open_ended = end in (0, _UNDEF)
    if start > _INT64_MAX or (not open_ended and not start <= end <= _INT64_MAX):
        fields.at -= 16
        fields.refuse_here("range", f"the time range [{start}, {end}) is no range of UTC nanoseconds")
    return start, None if open_ended else end


def _mappings(
    fields: _Fields, symbol_bytes: int, stype_in: str | None, stype_out: str
) -> tuple[MappedInterval, ...]:
    first = fields.at
    intervals: list[MappedInterval] = []
    inverse = stype_in == "instrument_id" and stype_out != "instrument_id"
    mapped = stype_in != stype_out
    count = fields.count(symbol_bytes + 4)
    if count and mapped and not inverse and stype_out != "instrument_id":
        fields.refuse_here("symbology", f"mappings from {stype_in} to {stype_out} name no instrument id")
    for _ in range(count):
        name = fields.symbol(symbol_bytes)
        for _ in range(fields.count(symbol_bytes + 8)):
            start, end = _date(fields), _date(fields)
            if start >= end:
                fields.refuse_here(
                    "mapping_interval", f"{name!r} is mapped from {start} to {end}, which is no interval"
                )
            other = fields.text(symbol_bytes)
            if not other or not mapped:
                continue  # the vendor writes an empty symbol for days on which the name did not resolve
            symbol, number = (other, name) if inverse else (name, other)
            if not is_safe_symbol(symbol):
                fields.refuse_here("symbol", f"symbol {symbol!r} has characters no symbol may have")
            if not (number.isdigit() and len(number) <= 10 and int(number) < 2**32):
                fields.refuse_here("symbology", f"{number!r} is no instrument id")
            intervals.append(MappedInterval(symbol, start, end, int(number)))
    _refuse_overlaps(fields, first, intervals)
    return tuple(intervals)


def _date(fields: _Fields) -> dt.date:
    value = fields.unsigned(4)
    try:
        return dt.date(value // 10_000, value // 100 % 100, value % 100)
    except ValueError:
        fields.at -= 4
        fields.refuse_here("mapping_interval", f"{value} is no date")


def _refuse_overlaps(fields: _Fields, offset: int, intervals: Iterable[MappedInterval]) -> None:
    """Refuse a symbol with two instruments, or an instrument with two symbols, on one day."""
    by_symbol: defaultdict[str, list[MappedInterval]] = defaultdict(list)
    by_instrument: defaultdict[int, list[MappedInterval]] = defaultdict(list)
    for interval in intervals:
        by_symbol[interval.raw_symbol].append(interval)
        by_instrument[interval.instrument_id].append(interval)
    for rule, groups in (
        ("mapping_overlap", by_symbol.values()),
        ("mapping_conflict", by_instrument.values()),
    ):
        for group in groups:
            group.sort(key=lambda interval: interval.start_date)
            for before, after in pairwise(group):
                if after.start_date < before.end_date:
                    fields.refuse(
                        rule,
                        f"on {after.start_date} {before.raw_symbol!r} is {before.instrument_id} and "
                        f"{after.raw_symbol!r} is {after.instrument_id}",
                        PRELUDE_BYTES + offset,
                        remedy="pull the symbols one by one, or with instrument ids from the definitions",
                    )
