"""Files that are wrong in one known way each: the verdict, the rule and the byte offset are part of the contract."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from footprint_assets.settings import IngestSettings
from footprint_assets.sources.dbn import DbnReader, verify
from footprint_assets.sources.errors import DbnRefused
from footprint_assets_tests.sources.dbn_files import (
    DAY,
    DAY_NS,
    END,
    INGEST,
    MAPPINGS,
    START,
    control,
    metadata,
    plain,
    records,
    skippable,
    with_ts_out,
    write,
    zst,
)

HEAD = len(metadata())
BOOK = 368
SYMBOLS_AT = 8 + 100 + 4 + 4  # prelude, fixed fields, schema definition length, number of symbols
MAPPINGS_AT = SYMBOLS_AT + 2 * 71 + 4 + 4
TOMORROW = DAY + dt.timedelta(1)


@dataclass(frozen=True)
class Case:
    """A file, what ingest must say of it, and where."""

    name: str
    content: bytes
    rule: str
    offset: int | None
    ingest: IngestSettings = INGEST


def put(content: bytes, at: int, patch: bytes) -> bytes:
    return content[:at] + patch + content[at + len(patch) :]


def rows(schema: str = "mbp-10", *, at: int = 3, **fields: Any) -> bytes:
    """An otherwise honest file whose record ``at`` has other field values."""
    out = records(schema)
    for name, value in fields.items():
        out[name][at] = value
    return plain(schema, out)


def bomb() -> bytes:
    return zst(metadata() + bytes(2**23))


def two_symbols() -> bytes:
    return metadata(mappings=[(name, ((DAY, TOMORROW, "5602"),)) for name in ("ESM4", "ESU4")])


def interval(*spans: tuple[dt.date, dt.date, str]) -> bytes:
    return metadata(mappings=[("ESM4", spans)])


def uint(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "little")


ENVELOPE = [
    Case("empty file", b"", "empty_file", 0),
    Case("dbz", b"\x50\x2a\x4d\x18" + uint(8) + b"DBZ\x01" + bytes(64), "dbz", 0),
    Case(
        "no zstd frame behind the last one",
        zst(plain()) + b"trailing garbage",
        "trailing_bytes",
        len(zst(plain())),
    ),
    Case("one byte behind the last frame", zst(plain()) + b"\x00", "trailing_bytes", len(zst(plain()))),
    Case(
        "part of a frame header at the end",
        zst(plain()) + zst(b"")[:3],
        "truncated_frame",
        len(zst(plain())) + 3,
    ),
    Case("frame cut in its blocks", zst(plain())[:-300], "truncated_frame", len(zst(plain())) - 300),
    Case("frame cut in its header", zst(plain())[:5], "truncated_frame", 5),
    Case("frame cut in its checksum", zst(plain())[:-2], "truncated_frame", len(zst(plain())) - 2),
    Case("frame without its checksum", zst(plain())[:-4], "truncated_frame", len(zst(plain())) - 4),
    Case(
        "second frame cut",
        zst(plain(), frames=2)[:-10],
        "truncated_frame",
        len(zst(plain(), frames=2)) - 10,
    ),
    Case(
        "skippable frame cut",
        zst(plain()) + skippable(bytes(50))[:-20],
        "truncated_frame",
        len(zst(plain())) + 38,
    ),
    Case("wrong checksum", put(zst(plain()), len(zst(plain())) - 4, b"\0\0\0\0"), "zstd_checksum", 0),
    Case("corrupt block", put(zst(plain()), 40, b"\xff" * 40), "zstd_corrupt", 0),
    Case("reserved block type", zst(b"")[:6] + uint(3 << 1 | 1, 3) + bytes(4), "zstd_corrupt", 6),
    Case("reserved frame header bit", put(zst(plain()), 4, bytes([zst(plain())[4] | 8])), "zstd_corrupt", 0),
    Case("needs a dictionary", b"\x28\xb5\x2f\xfd\x21\x07\x01\x01\0\0x", "zstd_dictionary", 0),
    Case("huge window", b"\x28\xb5\x2f\xfd\x04\xf8" + bytes(20), "zstd_window", 0),
    Case(
        "frame declares more than the limit",
        b"\x28\xb5\x2f\xfd\xc4\x50" + uint(2**60, 8) + bytes(9),
        "file_limit",
        0,
    ),
    Case("zstd bomb", bomb(), "compression_ratio", None),
    Case("bomb over the size limit", bomb(), "file_limit", None, IngestSettings(max_file_bytes=2**20)),
    Case(
        "plain file over the size limit",
        plain(),
        "file_limit",
        None,
        IngestSettings(max_file_bytes=HEAD + BOOK),
    ),
    Case(
        "frame without a checksum where one is required",
        zst(plain(), checksum=False),
        "frame_checksum",
        0,
        IngestSettings(require_frame_checksum=True),
    ),
    Case(
        "second frame without the required checksum",
        zst(metadata()) + zst(records("mbp-10").tobytes(), checksum=False),
        "frame_checksum",
        len(zst(metadata())),
        IngestSettings(require_frame_checksum=True),
    ),
    Case("doubly compressed", zst(zst(plain())), "doubly_compressed", 0),
]

HEADER = [
    Case("text file", b"symbol,price\nESM4,5000\n", "magic", 0),
    Case("text file in zstd", zst(b"symbol,price\nESM4,5000\n"), "magic", 0),
    Case("empty zstd frame", zst(b""), "magic", 0),
    Case("fragment", records("mbp-10").tobytes(), "fragment", 0),
    Case("fragment in zstd", zst(records("trades").tobytes()), "fragment", 0),
    Case("version 0", put(plain(), 3, b"\0"), "version", 3),
    Case("version 4", put(plain(), 3, b"\4"), "version", 3),
    Case("version 255", put(plain(), 3, b"\xff"), "version", 3),
    Case("cut in the magic", b"DB", "magic", 0),
    Case("cut in the prelude", plain()[:6], "truncated_metadata", 6),
    Case("cut in the metadata", plain()[:200], "truncated_metadata", 200),
    Case("cut in the metadata, in zstd", zst(plain()[:200]), "truncated_metadata", 200),
    Case("metadata shorter than its fixed part", put(plain(), 4, uint(99)), "metadata_length", 4),
    Case("metadata over the limit", put(plain(), 4, uint(2**32 - 1)), "metadata_limit", 4),
    Case("metadata shorter than its symbols", put(plain(), 4, uint(HEAD - 8 - 71)), "metadata_length", None),
    Case("metadata longer than its fields", put(plain(), 4, uint(HEAD - 8 + BOOK)), "metadata_length", None),
    Case("other dataset", put(plain(), 8, b"XNAS.ITCH"), "dataset", 8),
    Case("no dataset", put(plain(), 8, bytes(16)), "dataset", 8),
    Case("dataset without terminator", put(plain(), 8, b"GLBX.MDP3GLBX.MD"), "symbol", 8),
    Case("unknown schema", put(plain(), 24, uint(999, 2)), "schema", 24),
    Case("end before start", put(plain(), 34, uint(START - 1, 8)), "range", 26),
    Case("start beyond the clock", put(plain(), 26, uint(2**63, 8)), "range", 26),
    Case("unknown input symbology", put(plain(), 50, b"\x63"), "stype", 50),
    Case("no output symbology", put(plain(), 51, b"\xff"), "stype", None),
    Case("ts_out is neither yes nor no", put(plain(), 52, b"\2"), "ts_out", None),
    Case("symbols of another length", put(plain(), 53, uint(22, 2)), "symbol_length", None),
    Case("schema definition", put(plain(), 108, uint(1)), "schema_definition", None),
    Case("symbol count bomb", put(plain(), 112, uint(2**32 - 1)), "metadata_length", 112),
    Case("mapping count bomb", put(plain(), MAPPINGS_AT, uint(2**31)), "metadata_length", MAPPINGS_AT),
    Case(
        "interval count bomb",
        put(plain(), MAPPINGS_AT + 4 + 71, uint(2**30)),
        "metadata_length",
        MAPPINGS_AT + 4 + 71,
    ),
    Case("continuous symbology", put(plain(), 50, b"\3"), "symbology", None),
    Case("mappings without instrument ids", metadata(stype_out="isin"), "symbology", None),
    Case("instrument id that is no number", interval((DAY, TOMORROW, "X12")), "symbology", None),
    Case("instrument id over 32 bits", interval((DAY, TOMORROW, str(2**32))), "symbology", None),
    Case("interval that ends before it starts", interval((TOMORROW, DAY, "5602")), "mapping_interval", None),
    Case("interval of no day", interval((DAY, DAY, "5602")), "mapping_interval", None),
    Case(
        "date that is none",
        put(plain(), MAPPINGS_AT + 4 + 71 + 4, uint(20240231)),
        "mapping_interval",
        MAPPINGS_AT + 4 + 71 + 4,
    ),
    Case("two symbols for one instrument on a day", two_symbols(), "mapping_conflict", MAPPINGS_AT),
    Case(
        "two instruments for one symbol on a day",
        interval((DAY, TOMORROW, "5602"), (DAY, TOMORROW, "118")),
        "mapping_overlap",
        MAPPINGS_AT,
    ),
    Case(
        "mappings that overlap by a day",
        interval((DAY, TOMORROW + dt.timedelta(1), "5602"), (TOMORROW, TOMORROW + dt.timedelta(2), "5602")),
        "mapping_overlap",
        MAPPINGS_AT,
    ),
    *(
        Case(f"hostile symbol {symbol!r}", metadata(symbols=("ESM4", symbol)), "symbol", SYMBOLS_AT + 71)
        for symbol in (
            "../../../var/pwned", "/etc/passwd", "ES..M4", "ES\nM4", "ES*", 'ES"M4', "$(id)", "esm4", " ESM4", "-ESM4",
            "ES\\M4", "ES%2F",
        )
    ),
    Case("symbol with bytes that are no ASCII", put(plain(), SYMBOLS_AT, b"ES\xff\xfe"), "symbol", SYMBOLS_AT),
    Case("symbol without terminator", put(plain(), SYMBOLS_AT, b"E" * 71), "symbol", SYMBOLS_AT),
    Case("hostile mapped symbol", metadata(mappings=[("../ESM4", MAPPINGS[0][1])]), "symbol", MAPPINGS_AT + 4),
    Case("hostile unresolved symbol", metadata(not_found=("a;b",)), "symbol", SYMBOLS_AT + 2 * 71 + 4 + 4),
]  # fmt: skip

STREAM = [
    Case("cut in a record", plain()[:-100], "truncated_record", HEAD + 19 * BOOK),
    Case("cut in a record, in zstd", zst(plain()[:-100]), "truncated_record", HEAD + 19 * BOOK),
    Case("cut in a record header", plain()[: HEAD + 5 * BOOK + 1], "truncated_record", HEAD + 5 * BOOK),
    Case("a byte behind the last record", plain() + b"\x5c", "truncated_record", HEAD + 20 * BOOK),
    Case("zeros behind the last record", plain() + bytes(32), "record_length", HEAD + 20 * BOOK),
    Case("hole of zeros", put(plain(), HEAD + 4 * BOOK, bytes(BOOK)), "record_length", HEAD + 4 * BOOK),
    Case("record of length 0", rows(length=0), "record_length", HEAD + 3 * BOOK),
    Case("record shorter than its header", rows(length=3), "record_length", HEAD + 3 * BOOK),
    Case("record of another length than its type", rows(length=20), "record_length", HEAD + 3 * BOOK),
    Case("record of the largest length", rows(length=255), "record_length", HEAD + 3 * BOOK),
    Case("type that does not fit the length", rows(rtype=1), "record_length", HEAD + 3 * BOOK),
    Case("header says mbp-10, records are trades", metadata() + records("trades").tobytes(), "schema_mismatch", HEAD),
    Case("header says trades, records are mbp-10", metadata("trades") + records("mbp-10").tobytes(), "schema_mismatch", HEAD),
    Case("v1 statistics under a v3 header", metadata("statistics") + records("statistics", version=1).tobytes(), "record_length", HEAD),
    Case("v3 definitions under a v1 header", metadata("definition", version=1) + records("definition").tobytes(), "record_length", None),
    Case("send timestamps the header denies", metadata() + with_ts_out(records("mbp-10")), "record_length", HEAD),
    Case("send timestamps the header promises", metadata(ts_out=True) + records("mbp-10").tobytes(), "record_length", HEAD),
    Case("more records than the limit", plain(limit=19), "record_limit", None),
    Case("one byte lost in the middle", plain()[: HEAD + 3 * BOOK] + plain()[HEAD + 3 * BOOK + 1 :], "record_length", HEAD + 3 * BOOK),
    Case("one byte added in the middle", plain()[: HEAD + 3 * BOOK] + b"\0" + plain()[HEAD + 3 * BOOK :], "record_length", HEAD + 3 * BOOK),
    Case(
        "hostile symbol in a mapping message",
        metadata(None, stype_in=None, end=None, symbols=(), mappings=()) + control(22, symbol=b"../x"),
        "symbol",
        len(metadata(None, symbols=(), mappings=())),
    ),
]  # fmt: skip

AT = HEAD + 3 * BOOK
TRADE_AT = len(metadata("trades")) + 3 * 48
ROWS = [
    Case("trade in a book file", metadata() + records("mbp-10", 3).tobytes() + records("trades", 1).tobytes() + records("mbp-10", 3).tobytes(), "foreign_rtype", AT),
    Case("trade at the end of a book file", metadata() + records("mbp-10", 3).tobytes() + records("trades", 1).tobytes(), "foreign_rtype", AT),
    Case("heartbeat in a historical file", metadata() + records("mbp-10", 3).tobytes() + control(23) + records("mbp-10", 3).tobytes(), "foreign_rtype", AT),
    Case("unknown record type", rows(rtype=99), "foreign_rtype", AT),
    Case("other publisher", rows(publisher_id=2), "publisher", AT),
    Case("undefined event time", rows(ts_event=2**64 - 1), "ts_event", AT),
    Case("event time beyond the clock", rows(ts_event=2**63), "ts_event", AT),
    Case("event time 0", rows(ts_event=0), "ts_event", AT),
    Case("event two days after the end", rows(ts_event=END + 2 * DAY_NS), "ts_event", AT),
    Case("undefined receive time", rows(ts_recv=2**64 - 1), "ts_recv", AT),
    Case("received two days before the start", rows(ts_recv=START - 2 * DAY_NS), "ts_recv", AT),
    Case("unmapped instrument", rows(instrument_id=77), "instrument", AT),
    Case("received after the mapped day", rows(ts_recv=END + 1), "instrument", AT),
    Case("action that is none", rows(action=b"Z"), "action", AT),
    Case("action of zero", rows(action=b"\0"), "action", AT),
    Case("side that is none", rows(side=b"Q"), "side", AT),
    Case("size over int32", rows(size=2**32 - 1), "size", AT),
    Case("undefined trade price", rows(price=2**63 - 1, action=b"T"), "price", AT),
    Case("lowest price", rows(price=-(2**63)), "price", AT),
    Case("level size over int32", rows(bid_sz_07=2**31), "book_level", AT),
    Case("level count over int32", rows(ask_ct_09=2**32 - 1), "book_level", AT),
    Case("lowest level price", rows(ask_px_03=-(2**63)), "book_level", AT),
    Case("trades file with another action", rows("trades", action=b"A"), "action", TRADE_AT),
    Case("trade with an undefined price", rows("trades", price=2**63 - 1), "price", TRADE_AT),
    Case("trade with size -1 as unsigned", rows("trades", size=2**32 - 1), "size", TRADE_AT),
    Case("bar with an undefined close", rows("ohlcv-1d", close=2**63 - 1), "price", HEAD + 3 * 56),
    Case("bar with a volume over int64", rows("ohlcv-1d", volume=2**63), "size", HEAD + 3 * 56),
    Case("statistic with the lowest price", rows("statistics", price=-(2**63)), "price", HEAD + 3 * 80),
    Case("definition with a hostile symbol", rows("definition", raw_symbol=b"../../x"), "symbol", HEAD + 3 * 520),
    Case("definition of an unknown class", rows("definition", instrument_class=b"9"), "instrument_class", HEAD + 3 * 520),
    Case("definition with an unknown update", rows("definition", security_update_action=b"!"), "update_action", HEAD + 3 * 520),
]  # fmt: skip

REFUSED = [*ENVELOPE, *HEADER, *STREAM]


def named(cases: list[Case]) -> Callable[[Any], Any]:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def test_the_corpus_is_large_and_its_names_are_unique() -> None:
    names = [case.name for case in (*REFUSED, *ROWS)]
    assert len(names) == len(set(names))
    assert len(REFUSED) >= 60
    assert len(ROWS) >= 25


@named(REFUSED)
def test_a_doubtful_file_is_refused_with_its_rule_and_offset(tmp_path: Path, case: Case) -> None:
    path = write(tmp_path, case.content)
    verdict = verify(path, case.ingest)
    assert (verdict.status, verdict.rule) == ("refused", case.rule)
    assert isinstance(verdict.refusal, DbnRefused)
    assert verdict.refusal.remedy
    assert verdict.refusal.where["file"] == str(path)
    if case.offset is not None:
        assert verdict.offset == case.offset


@named(ROWS)
@pytest.mark.parametrize("max_records", [1, 3, 16_384])
def test_a_faulty_row_is_set_aside_and_every_other_row_comes_out(
    tmp_path: Path, case: Case, max_records: int
) -> None:
    path = write(tmp_path, zst(case.content))
    with DbnReader(path, case.ingest) as reader:
        schema = reader.header.schema
        assert schema is not None
        chunks = [
            (c.records.tobytes(), c.quarantined) for c in reader.chunks(schema, max_records=max_records)
        ]
        totals = reader.totals
    (record,) = [record for _, quarantined in chunks for record in quarantined]
    assert (record.rule, record.byte_offset, record.record_index) == (case.rule, case.offset, 3)
    raw = bytes.fromhex(record.raw_hex)
    assert case.content[record.byte_offset : record.byte_offset + len(raw)] == raw
    kept = b"".join(content for content, _ in chunks)
    head = reader.header.metadata_length
    assert kept == case.content[head : record.byte_offset] + case.content[record.byte_offset + len(raw) :]
    assert totals.quarantined == {case.rule: 1}
    assert totals.records == totals.yielded + 1


def test_a_huge_announced_length_allocates_nothing(tmp_path: Path) -> None:
    import tracemalloc

    path = write(tmp_path, put(plain(), 4, uint(2**32 - 1)))
    tracemalloc.start()
    verify(path, INGEST)
    verify(write(tmp_path, bomb()), INGEST)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * 2**20


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.dbn", tmp_path):
        assert verify(path, INGEST).rule == "unreadable"


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, plain())
    with DbnReader(path, INGEST) as reader:
        chunks = reader.chunks("mbp-10", max_records=5)
        next(chunks)
        with path.open("ab") as file:
            file.write(records("mbp-10", 1).tobytes())
        with pytest.raises(DbnRefused) as refused:
            list(chunks)
    assert refused.value.rule == "changed_while_read"


def test_a_flip_in_a_frame_without_checksum_is_what_the_checksum_setting_is_for(tmp_path: Path) -> None:
    raw = bytearray(zstandard.ZstdCompressor(level=-5, write_checksum=False).compress(plain()))
    path = write(tmp_path, bytes(raw))
    assert verify(path, INGEST).status == "accepted"
    assert verify(path, IngestSettings(require_frame_checksum=True)).rule == "frame_checksum"


def test_rows_are_conserved_when_many_of_them_are_faulty(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    out = records("mbp-10", 500)
    out["side"][rng.random(500) < 0.2] = b"?"
    out["size"][rng.random(500) < 0.2] = 2**32 - 1
    foreign = records("trades", 40).tobytes()
    content = metadata() + out[:250].tobytes() + foreign + out[250:].tobytes()
    with DbnReader(write(tmp_path, content), INGEST) as reader:
        yielded = sum(len(chunk.records) for chunk in reader.chunks("mbp-10", max_records=32))
        totals = reader.totals
    good = (out["side"] != b"?") & (out["size"] < 2**31)
    assert yielded == totals.yielded == good.sum()
    assert totals.quarantined["foreign_rtype"] == 40
    assert totals.records == 540 == totals.yielded + sum(totals.quarantined.values())
