"""Whatever happens to the bytes of a file, the reader answers with a verdict and loses no record."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.sources.dbn import DbnReader, verify
from footprint_assets.sources.errors import DbnRefused
from footprint_assets_tests.sources.dbn_files import INGEST, control, metadata, plain, records, write, zst

LIVE = (
    metadata(None, stype_in=None, end=None, symbols=(), mappings=())
    + control(22)
    + records("mbp-10", 4).tobytes()
    + records("trades", 4).tobytes()
    + control(23)
    + records("mbp-10", 4).tobytes()
)
FILES = {
    "plain": plain(),
    "zstd": zst(plain(), frames=3),
    "zstd without checksum": zst(plain(), checksum=False),
    "live": LIVE,
    "definitions of v1": plain("definition", records("definition", 5, version=1), version=1),
    "statistics": plain("statistics"),
}


def check(content: bytes) -> None:
    """A verdict for any bytes, and conservation where the file is not refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), content)
        verdict = verify(path, INGEST)
        if verdict.totals is not None:
            totals = verdict.totals
            parts = totals.yielded + sum(totals.quarantined.values()) + sum(totals.other_schema.values())
            assert totals.records == parts
        try:
            with DbnReader(path, INGEST) as reader:
                seen = 0
                for chunk in reader.chunks(reader.header.schema or "trades", max_records=3):
                    assert len(chunk.records) == len(chunk.index)
                    seen += len(chunk.records) + len(chunk.quarantined)
                assert seen + sum(reader.totals.other_schema.values()) == reader.totals.records
        except DbnRefused:
            assert verdict.status == "refused"  # the size of a chunk decides which fault is met first


@settings(max_examples=400, deadline=None)
@given(kind=st.sampled_from(sorted(FILES)), at=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_changed_byte_is_accepted_set_aside_or_refused_but_never_loses_a_record(
    kind: str, at: int, value: int
) -> None:
    content = bytearray(FILES[kind])
    content[at % len(content)] = value
    check(bytes(content))


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(sorted(FILES)), cut=st.integers(0, 10**6))
def test_a_file_cut_anywhere_is_refused_unless_it_ends_between_records(kind: str, cut: int) -> None:
    content = FILES[kind]
    check(content[: cut % len(content)])


@settings(max_examples=150, deadline=None)
@given(
    kind=st.sampled_from(sorted(FILES)),
    at=st.integers(0, 10**6),
    junk=st.binary(max_size=40),
    drop=st.integers(0, 40),
)
def test_bytes_put_in_or_taken_out_never_lose_a_record(kind: str, at: int, junk: bytes, drop: int) -> None:
    content = FILES[kind]
    at %= len(content)
    check(content[:at] + junk + content[at + drop :])


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_were_never_dbn_are_refused(content: bytes) -> None:
    for start in (b"", b"DBN\x03", b"\x28\xb5\x2f\xfd", metadata()[:120]):
        check(start + content)


def test_every_cut_of_a_compressed_file_is_refused() -> None:
    content = zst(plain(rows=records("mbp-10", 3)))
    with tempfile.TemporaryDirectory() as folder:
        for cut in range(len(content)):
            assert verify(write(Path(folder), content[:cut]), INGEST).status == "refused", cut
