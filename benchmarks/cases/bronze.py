"""DBN to Parquet: ours with every check against the vendor's SDK, careful hand-written code, and the bare floors.

Ours decodes strictly, keeps the front month, validates, hashes, writes, fsyncs and publishes. ``to_parquet`` keeps every
instrument (9 % more records) and checks nothing; the other peers keep the front month.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.market import BRONZE, DAY, ROLL, Data, publish
from benchmarks.model import Case, Facts, Line, Prepared, Results, Side, Spread, faster, ratio, value, within

_CHUNK = 500_000
_FLOOR_ROWS = 1_000_000


@contextmanager
def ours(data: Data) -> Prepared:
    """The asset ``bronze.future.market_by_price_10``, from the source file's hash to the published partition."""
    with data.lake_with([ROLL]) as lake:
        yield (
            lambda: publish(data.settings(lake), BRONZE),
            lambda _: facts_of(lake.rglob("table=market_by_price_10/**/*.parquet")),
        )


@contextmanager
def ours_small(data: Data) -> Prepared:
    """The same over a fifth of the records: does memory grow with the day?"""
    with ours(data.small) as (work, _):
        yield work, lambda _: {}


@contextmanager
def to_parquet(data: Data) -> Prepared:
    """``DBNStore.to_parquet`` as it comes."""
    import databento

    with data.scratch() as folder:

        def work() -> None:
            for i, file in enumerate(data.files()):
                databento.DBNStore.from_file(file).to_parquet(folder / f"{i}.parquet")

        yield work, lambda _: facts_of(folder.glob("*.parquet"), data.front()[0])


@contextmanager
def pandas(data: Data) -> Prepared:
    """``DBNStore.to_df``, the front month's rows, ``DataFrame.to_parquet``."""
    import databento

    symbol, _ = data.front()
    with data.scratch() as folder:

        def work() -> None:
            for i, file in enumerate(data.files()):
                frame = databento.DBNStore.from_file(file).to_df()
                frame[frame["symbol"] == symbol].to_parquet(folder / f"{i}.parquet", compression="zstd")

        yield work, lambda _: facts_of(folder.glob("*.parquet"))


@contextmanager
def chunked(data: Data) -> Prepared:
    """``DBNStore.to_ndarray`` in chunks, polars, pyarrow with zstd: what a careful engineer writes by hand."""
    import databento
    import numpy as np
    import polars as pl
    import pyarrow.parquet as pq

    _, instrument = data.front()
    with data.scratch() as folder:

        def work() -> None:
            for i, file in enumerate(data.files()):
                writer = None
                for chunk in databento.DBNStore.from_file(file).to_ndarray(count=_CHUNK):
                    kept = chunk[chunk["instrument_id"] == instrument]
                    columns = {name: np.ascontiguousarray(kept[name]) for name in kept.dtype.names}
                    table = pl.DataFrame(
                        {
                            name: column.view(np.uint8) if column.dtype.kind == "S" else column
                            for name, column in columns.items()
                        }
                    ).to_arrow()
                    writer = writer or pq.ParquetWriter(
                        folder / f"{i}.parquet", table.schema, compression="zstd"
                    )
                    writer.write_table(table)
                if writer is not None:
                    writer.close()

        yield work, lambda _: facts_of(folder.glob("*.parquet"))


@contextmanager
def zstd_alone(data: Data) -> Prepared:
    """Floor: the files decompressed into one reused buffer, nothing else."""
    import zstandard

    buffer = bytearray(1 << 20)

    def work() -> int:
        total = 0
        for file in data.files():
            with file.open("rb") as stream:
                reader = zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True)
                while got := reader.readinto(buffer):
                    total += got
        return total

    yield work, lambda total: {"decompressed_mb": total / 1e6}


@contextmanager
def parquet_alone(data: Data) -> Prepared:
    """Floor: as many rows of the same columns written by pyarrow, in the lake's own Parquet form, nothing else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = [pq.ParquetFile(part) for part in data.parts(BRONZE)]
    rows = sum(part.metadata.num_rows for part in parts)
    groups: list[Any] = []
    for part in reversed(parts):
        for group in range(part.num_row_groups):
            if sum(g.num_rows for g in groups) < _FLOOR_ROWS:
                groups.append(part.read_row_group(group))
    schema = groups[0].schema
    delta = [
        f.name for f in schema if pa.types.is_timestamp(f.type) or f.name in ("sequence", "record_index")
    ]
    text = [f.name for f in schema if pa.types.is_dictionary(f.type) or pa.types.is_string(f.type)]
    with data.scratch() as folder:

        def work() -> None:
            left = rows
            with pq.ParquetWriter(
                folder / "floor.parquet",
                schema,
                compression="zstd",
                compression_level=1,
                use_dictionary=text,
                column_encoding=dict.fromkeys(delta, "DELTA_BINARY_PACKED"),
            ) as writer:
                while left > 0:
                    for group in groups:
                        writer.write_table(group.slice(0, left))
                        left -= min(left, group.num_rows)

        yield work, lambda _: {"rows": rows}


def facts_of(files: Iterable[Path], symbol: str = "") -> Facts:
    """Rows, bytes a row, and a checksum of the front month's rows within trading hours (ours keeps no others)."""
    import polars as pl

    from footprint_assets import calendar as cme

    found = list(files)
    first, last = cme.session(DAY).window_ns
    frame = pl.concat([pl.scan_parquet(file, hive_partitioning=False) for file in found])
    rows = frame.select(pl.len()).collect().item()
    received = pl.col("ts_recv").cast(pl.Int64)
    front = frame.filter(
        received >= first, received < last, *([pl.col("symbol") == symbol] if symbol else [])
    )
    size, count = front.select(pl.col("size").cast(pl.Int64).sum(), pl.len().alias("rows")).collect().row(0)
    stored = sum(file.stat().st_size for file in found)
    return {
        "rows": rows,
        "file_mb": stored / 1e6,
        "bytes_a_row": stored / rows,
        "front_rows": count,
        "front_contracts": size,
    }


_PARQUET, _PANDAS, _CHUNKED = "SDK to_parquet", "SDK to_df, pandas", "SDK to_ndarray, polars, pyarrow"
_ZSTD, _WRITE, _SMALL = "floor: zstd alone", "floor: Parquet alone", "ours, a fifth of the records"


def _over_floors(results: Results) -> Spread | None:
    """Ours over what decompression and Parquet alone cost together."""
    if not {"ours", _ZSTD, _WRITE} <= results.keys():
        return None
    ours, *floors = (results[name].of("cpu_s") for name in ("ours", _ZSTD, _WRITE))
    return Spread.of([spent / sum(floor[turn] for floor in floors) for turn, spent in ours.items()])


CASE = Case(
    "bronze",
    "DBN to bronze: the ten-level book",
    (
        Side("ours", ours),
        Side(_PARQUET, to_parquet),
        Side(_CHUNKED, chunked),
        Side(_PANDAS, pandas, rounds=1, needs_gb=13.0),
        Side(_ZSTD, zstd_alone),
        Side(_WRITE, parquet_alone),
        Side(_SMALL, ours_small),
    ),
    (
        faster("bronze book: wall, SDK to_parquet / ours", _PARQUET, 6.0),
        faster("bronze book: CPU, SDK to_parquet / ours", _PARQUET, 4.0, of="cpu_s"),
        within("bronze book: wall, ours / bare zstd decode", _ZSTD, 3.5),
        Line(
            "bronze book: bytes a row, ours / SDK to_parquet",
            ratio(("ours", "bytes_a_row"), (_PARQUET, "bytes_a_row")),
            0.40,
            bound="at most",
            ours=("ours", "bytes_a_row"),
            peer=(_PARQUET, "bytes_a_row"),
        ),
        Line(
            "bronze book: growth of memory",
            value("ours", "growth_mb"),
            300.0,
            "MB",
            "at most",
            ours=("ours", "growth_mb"),
        ),
        Line(
            "bronze book: growth of memory, the session / a fifth of it",
            ratio(("ours", "growth_mb"), (_SMALL, "growth_mb")),
            1.25,
            bound="at most",
            ours=("ours", "growth_mb"),
            peer=(_SMALL, "growth_mb"),
        ),
        faster("bronze book: wall, to_df + pandas / ours", _PANDAS, None),
        faster("bronze book: wall, to_ndarray + polars + pyarrow / ours", _CHUNKED, None),
        Line(
            "bronze book: growth of memory, to_df + pandas / ours",
            ratio((_PANDAS, "growth_mb"), ("ours", "growth_mb")),
            ours=("ours", "growth_mb"),
            peer=(_PANDAS, "growth_mb"),
        ),
        Line("bronze book: CPU, ours / (zstd alone + Parquet alone)", _over_floors, bound="at most"),
    ),
    agree=("front_rows", "front_contracts"),
    needs=("small", "lake"),
)
