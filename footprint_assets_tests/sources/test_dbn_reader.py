"""The reader gives every record of an honest file, as the vendor's own decoder does."""

from __future__ import annotations

import hashlib
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import pytest
import zstandard

from footprint_assets.settings import IngestSettings
from footprint_assets.sources.dbn import Chunk, DbnReader, Totals, read_header, verify
from footprint_assets.sources.errors import DbnRefused, SourceError
from footprint_assets.sources.records import RTYPES, current_dtype
from footprint_assets_tests.sources.dbn_files import (
    ESM4,
    ESU4,
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


def drain(path: Path, schema: str, ingest: IngestSettings = INGEST, **how: Any) -> tuple[np.ndarray, Totals]:
    """All records of a file, copied out of the reused buffers, and the totals."""
    with DbnReader(path, ingest) as reader:
        parts = [chunk.records.copy() for chunk in reader.chunks(schema, **how)]
        return np.concatenate([np.zeros(0, current_dtype(RTYPES[schema])), *parts]), reader.totals


def test_every_record_of_a_file_comes_out_once_and_in_order(tmp_path: Path) -> None:
    rows = records("mbp-10", 1000)
    path = write(tmp_path, zst(plain(rows=rows)), "a.dbn.zst")
    found, totals = drain(path, "mbp-10", max_records=64)
    assert found.tobytes() == rows.tobytes()
    assert (totals.records, totals.yielded, totals.quarantined, totals.other_schema) == (1000, 1000, {}, {})


def test_the_sha256_of_a_verdict_is_that_of_the_bytes_judged(tmp_path: Path) -> None:
    for name, content in (("a.dbn", plain()), ("b.dbn.zst", zst(plain()))):
        verdict = verify(write(tmp_path, content, name), INGEST)
        assert verdict.sha256 == hashlib.sha256(content).hexdigest()
        assert (totals := verdict.totals) is not None
        assert totals.compressed_bytes == len(content)
        assert totals.decompressed_bytes == len(plain())


def test_chunks_are_read_only_and_numbered_by_position_in_the_file(tmp_path: Path) -> None:
    with DbnReader(write(tmp_path, plain()), INGEST) as reader:
        indexes = []
        for chunk in reader.chunks("mbp-10", max_records=7):
            assert not chunk.records.flags.writeable
            indexes += chunk.index.tolist()
    assert indexes == list(range(20))


@pytest.mark.parametrize("frames", [1, 2, 7, 50])
def test_records_may_straddle_frames(tmp_path: Path, frames: int) -> None:
    content = skippable(b"note") + zst(plain(), frames=frames) + skippable(b"") + zst(b"")
    found, totals = drain(write(tmp_path, content), "mbp-10", max_records=3)
    assert found.tobytes() == records("mbp-10").tobytes()
    assert totals.frames == frames + 1
    assert totals.frames_without_checksum == 0


def test_a_frame_without_a_checksum_is_accepted_counted_and_warned_about(tmp_path: Path) -> None:
    path = write(tmp_path, zst(plain(), checksum=False))
    verdict = verify(path, INGEST)
    assert verdict.status == "accepted"
    assert verdict.warnings == ("1 of 1 zstd frames carry no checksum",)


def test_a_pull_that_stopped_at_its_limit_is_warned_about(tmp_path: Path) -> None:
    verdict = verify(write(tmp_path, plain(limit=20)), INGEST)
    assert (verdict.status, verdict.warnings) == (
        "accepted",
        ("the pull stopped at its limit of 20 records",),
    )


def test_send_timestamps_are_dropped_from_ts_out_files(tmp_path: Path) -> None:
    for schema in ("mbp-10", "trades", "statistics"):
        rows = records(schema)
        found, totals = drain(write(tmp_path, metadata(schema, ts_out=True) + with_ts_out(rows)), schema)
        assert found.tobytes() == rows.tobytes()
        assert totals.yielded == len(rows)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("schema", ["mbp-10", "mbp-1", "trades", "ohlcv-1d", "statistics", "definition"])
def test_older_versions_are_upgraded_as_the_vendor_upgrades_them(
    tmp_path: Path, schema: str, version: int
) -> None:
    content = plain(schema, records(schema, version=version), version=version)
    found, _ = drain(write(tmp_path, content), schema)
    assert_equal_to_vendor(found, content, RTYPES[schema])


def assert_equal_to_vendor(found: np.ndarray, content: bytes, rtype: int) -> None:
    """Compare field by field with ``databento_dbn.DBNDecoder``."""
    decoder = dbn.DBNDecoder(upgrade_policy=dbn.VersionUpgradePolicy.UPGRADE_TO_V3)  # type: ignore[arg-type]
    decoder.write(content)
    expected = [record for record in decoder.decode() if not isinstance(record, dbn.Metadata)]
    wire = b"".join(bytes(record) for record in expected)
    assert len(found) == len(expected)
    ours, theirs = found, np.frombuffer(wire, current_dtype(rtype))
    for name in ours.dtype.names or ():
        if not name.startswith("_"):
            assert ours[name].tolist() == theirs[name].tolist(), name


def live(*parts: bytes) -> bytes:
    return metadata(None, stype_in=None, end=None, symbols=(), mappings=()) + b"".join(parts)


def test_a_live_recording_yields_only_the_wanted_schema(tmp_path: Path) -> None:
    book, trades = records("mbp-10", 5), records("trades", 3)
    path = write(
        tmp_path,
        live(
            control(22),
            control(23),
            book[:2].tobytes(),
            trades.tobytes(),
            control(21),
            book[2:].tobytes(),
            control(23),
        ),
    )
    found, totals = drain(path, "mbp-10", max_records=2)
    assert found.tobytes() == book.tobytes()
    assert totals.other_schema == {"symbol-mapping": 1, "system": 2, "trades": 3, "error": 1}
    assert drain(path, "trades")[0].tobytes() == trades.tobytes()
    with DbnReader(path, INGEST) as reader:
        indexes = np.concatenate([chunk.index for chunk in reader.chunks("mbp-10", max_records=3)])
        assert indexes.tolist() == [2, 3, 8, 9, 10]
        assert [(m.instrument_id, m.raw_symbol, m.start_ns) for m in reader.live_mappings] == [
            (ESM4, "ESM4", None)
        ]


@pytest.mark.parametrize("max_records", [2, 5, 64])
def test_a_chunk_stands_until_the_next_one_is_made(tmp_path: Path, max_records: int) -> None:
    book, other = records("mbp-10", 40), control(23) * 9
    pieces = [book[at : at + 4].tobytes() + (other if at % 8 else b"") for at in range(0, 40, 4)]
    with DbnReader(write(tmp_path, live(*pieces)), INGEST) as reader:
        before: list[tuple[Chunk, bytes]] = []
        for chunk in reader.chunks("mbp-10", max_records=max_records):
            assert [held.records.tobytes() for held, _ in before] == [content for _, content in before]
            before = [(chunk, chunk.records.tobytes())]


def test_a_live_recording_is_verified_for_every_schema_in_it(tmp_path: Path) -> None:
    trades = records("trades", 3)
    trades["side"][1] = b"Q"
    verdict = verify(
        write(tmp_path, live(control(23), records("mbp-10", 5).tobytes(), trades.tobytes())), INGEST
    )
    assert verdict.totals is not None
    assert (verdict.totals.records, verdict.totals.yielded) == (9, 7)
    assert (verdict.totals.quarantined, verdict.totals.other_schema) == ({"side": 1}, {"system": 1})
    assert (verdict.status, verdict.rule) == ("quarantined", "side")


def test_a_file_without_records_is_an_empty_one(tmp_path: Path) -> None:
    found, totals = drain(write(tmp_path, metadata("trades")), "trades")
    assert (len(found), found.dtype) == (0, current_dtype(0))
    assert totals.records == 0


def test_facts_of_the_market_are_accepted(tmp_path: Path) -> None:
    rows = records("mbp-10", 6)
    rows["bid_px_00"][0] = rows["ask_px_00"][0] + 250_000_000  # crossed
    rows["bid_px_00"][1] = rows["ask_px_00"][1]  # locked
    for field, value in (("bid_px_09", 2**63 - 1), ("bid_sz_09", 0), ("bid_ct_09", 0)):
        rows[field][2] = value  # a missing level
    rows["action"][3], rows["side"][3], rows["price"][3] = b"R", b"N", 2**63 - 1  # a clear
    rows["price"][4] = 1  # off the tick grid
    rows["flags"][5], rows["ts_event"][5] = 0xA8, START - 30 * 86_400 * 10**9  # a snapshot of an old order
    found, totals = drain(write(tmp_path, plain(rows=rows)), "mbp-10")
    assert found.tobytes() == rows.tobytes()
    assert totals.quarantined == {}


def test_a_set_aside_row_names_its_place_and_keeps_its_bytes(tmp_path: Path) -> None:
    rows = records("trades", 10)
    rows["side"][4] = b"Q"
    rows["instrument_id"][7] = 99
    header = metadata("trades")
    path = write(tmp_path, header + rows.tobytes())
    with DbnReader(path, INGEST) as reader:
        (chunk,) = [Chunk(c.records.copy(), c.index, c.quarantined) for c in reader.chunks("trades")]
    assert chunk.index.tolist() == [0, 1, 2, 3, 5, 6, 8, 9]
    assert [(q.record_index, q.byte_offset, q.rule) for q in chunk.quarantined] == [
        (4, len(header) + 4 * 48, "side"),
        (7, len(header) + 7 * 48, "instrument"),
    ]
    assert bytes.fromhex(chunk.quarantined[0].raw_hex) == rows[4].tobytes()


def test_an_instrument_id_counts_only_on_its_mapped_days(tmp_path: Path) -> None:
    rows = records("trades", 3, instrument=ESU4)
    rows["ts_recv"][2] = rows["ts_event"][2] = START + 86_400 * 10**9 + 1  # the day after the mapping
    _, totals = drain(write(tmp_path, plain("trades", rows)), "trades")
    assert totals.quarantined == {"instrument": 1}


def test_the_header_alone_is_read_without_the_records(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).bytes(2**17)
    path = write(tmp_path, zst(metadata()) + zst(noise) + b"garbage that only a whole read would meet")
    header = read_header(path, INGEST)
    assert (header.schema, header.version, header.compressed, header.start_ns) == ("mbp-10", 3, True, START)
    assert [(m.raw_symbol, m.instrument_id) for m in header.mappings] == [("ESM4", ESM4), ("ESU4", ESU4)]


def test_mappings_are_read_in_both_directions(tmp_path: Path) -> None:
    inverse = [(s, ((a, b, name),)) for name, ((a, b, s),) in MAPPINGS]
    content = metadata(stype_in="instrument_id", stype_out="raw_symbol", symbols=("5602",), mappings=inverse)
    there = read_header(write(tmp_path, metadata()), INGEST).mappings
    assert read_header(write(tmp_path, content), INGEST).mappings == there


def test_the_totals_are_refused_before_the_last_chunk(tmp_path: Path) -> None:
    with DbnReader(write(tmp_path, plain()), INGEST) as reader:
        with pytest.raises(SourceError, match="after its last chunk"):
            _ = reader.totals
        list(reader.chunks("mbp-10"))
        with pytest.raises(SourceError, match="once"):
            list(reader.chunks("mbp-10"))


def test_another_schema_than_that_of_the_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DbnRefused) as refused:
        drain(write(tmp_path, plain("trades", records("trades"))), "mbp-10")
    assert refused.value.rule == "wrong_schema"


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.dbn.zst"
    block = zst(np.tile(records("mbp-10", 1000), 10).tobytes())
    with path.open("wb") as file:
        file.write(zst(metadata()))
        for _ in range(60):
            file.write(block)
    list_of = []
    with DbnReader(path, IngestSettings(max_compression_ratio=10_000)) as reader:
        for chunk in reader.chunks("mbp-10"):
            list_of.append(len(chunk.records))
            if len(list_of) == 5:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        assert reader.totals.yielded == 600_000
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20_000, f"{grown} kB more for 220 MB of records"


CORPUS = "dbn_corpus/databento__dbn"


def corpus_dataset(path: Path) -> str:
    return "XNAS.ITCH" if any(word in path.name for word in ("definition", "imbalance")) else "GLBX.MDP3"


@pytest.mark.realdata
def test_the_vendors_corpus_decodes_as_the_vendor_decodes_it(real_data: Path) -> None:
    compared = 0
    for path in sorted((real_data / CORPUS).iterdir()):
        if ".frag" in path.name or path.suffix == ".dbz":
            continue
        ingest = IngestSettings(dataset=corpus_dataset(path))
        schema = read_header(path, ingest).schema
        assert schema is not None
        found, totals = drain(path, schema, ingest)
        assert totals.yielded == totals.records
        content = path.read_bytes()
        if path.suffix == ".zst":
            content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
        assert_equal_to_vendor(found, content, RTYPES[schema])
        compared += 1
    assert compared == 64


@pytest.mark.realdata
def test_fragments_and_dbz_files_of_the_vendors_corpus_are_refused(real_data: Path) -> None:
    rules = {}
    for path in sorted((real_data / CORPUS).iterdir()):
        if ".frag" in path.name or path.suffix == ".dbz":
            with pytest.raises(DbnRefused) as refused:
                read_header(path, IngestSettings(dataset=corpus_dataset(path)))
            rules[path.name] = refused.value.rule
    assert {name: "dbz" if name.endswith(".dbz") else "fragment" for name in rules} == rules
    assert len(rules) == 17


@pytest.mark.realdata
def test_real_files_are_accepted_whole(real_data: Path) -> None:
    counts = {}
    for path in sorted((real_data / "dbn").glob("[eg]*.dbn.zst")):
        verdict = verify(path, INGEST)
        assert verdict.status == "accepted", verdict
        assert verdict.totals is not None
        counts[path.name.removesuffix(".dbn.zst")] = verdict.totals.yielded
    assert counts == {
        "es-fut.definition": 2,
        "es-futspread.definition": 2,
        "es-opt-20240509.mbp-1": 560,
        "es-opt.definition": 2,
        "glbx-mdp3-20100606-20250924.ohlcv-1d": 46_941,
        "glbx-mdp3-20231225.mbp-10": 40_087,
        "glbx-mdp3-20231225.trades": 2_973,
        "glbx-mdp3-20240610.trades": 3_500,
        "glbx-mdp3-20240701T2340.ohlcv-1m": 60,
        "glbx-mdp3-20240701T2358.mbp-1": 2_288,
        "glbx-mdp3-20240701T2358.trades": 120,
    }


@pytest.mark.realdata
def test_the_truncated_download_is_refused_where_it_was_cut(real_data: Path) -> None:
    path = real_data / "dbn" / "truncated-20240610.mbp-1.dbn.zst"
    verdict = verify(path, INGEST)
    assert (verdict.status, verdict.rule, verdict.offset) == (
        "refused",
        "truncated_frame",
        path.stat().st_size,
    )
    assert verdict.refusal is not None
    assert "download the file again" in str(verdict.refusal)


def test_the_reader_imports_neither_polars_nor_dagster_nor_the_vendor_client() -> None:
    code = (
        "import sys, footprint_assets.sources.columns, footprint_assets.sources.catalog;"
        "print(sorted({'polars', 'dagster', 'databento', 'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
