"""Reading: pinned to one generation, checked against the manifest, typed errors whatever the damage."""

from __future__ import annotations

import os
import random
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest

from footprint_assets.lake import Lake, PartitionCorrupt, PartitionTorn, PartitionUnreadable, Span, reader
from footprint_assets.lake.manifest import newest
from footprint_assets.lake.parquet import ROW_GROUP_ROWS, closed_set, polars_schema
from footprint_assets.lake.reader import file_sha256
from footprint_assets_tests.lake.support import DAY, LINEAGE, SCHEMA, SIDES, TABLE, publish, published, rows


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def part(lake: Lake, symbol: str = "ESU5") -> Path:
    return lake.layout.partition(TABLE, DAY, symbol) / "part-00000.parquet"


def expected(count: int = 200, size: int = 1) -> pl.DataFrame:
    return pl.from_arrow(rows("ESU5", count, size))


def test_rows_come_back_in_contract_types_and_order(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    with lake.read(TABLE, DAY, "ESU5") as partition:
        frame = partition.frame()
        assert frame.equals(expected(), null_equal=True)
        assert frame.schema == expected().schema
        assert frame.schema["side"] == pl.Enum(SIDES)
        assert frame.schema["ts_event_est"] == pl.Datetime("ns", "America/New_York")
        assert partition.scan().collect_schema() == frame.schema
        assert partition.frame(["size", "price"]).columns == ["size", "price"]
        assert closed_set(partition.schema.field("side")) == SIDES


@pytest.mark.parametrize("batch_rows", [1, 7, 65_536])
def test_streamed_batches_are_the_frame_in_pieces(lake: Lake, batch_rows: int) -> None:
    publish(lake, {"ESU5": 1}, count=50)
    with lake.read(TABLE, DAY, "ESU5") as partition:
        frames = list(partition.frames(rows=batch_rows))
        assert pl.concat(frames).equals(partition.frame())
        assert all(frame.schema == partition.frame().schema for frame in frames)
        assert max(frame.height for frame in frames) <= batch_rows


def test_a_stream_crosses_row_groups_without_losing_or_repeating_a_row(lake: Lake) -> None:
    count = 2 * ROW_GROUP_ROWS + 10
    publish(lake, {"ESU5": 1}, count=count)
    with lake.read(TABLE, DAY, "ESU5") as partition:
        columns = [batch.column(0).cast("int64").to_numpy() for batch in partition.batches(["ts_event"])]
        instants = pl.Series([value for column in columns for value in column.tolist()])
    assert len(instants) == count
    assert instants.diff().drop_nulls().unique().to_list() == [1]


def test_a_stream_of_a_span_leaves_out_the_row_groups_without_it_and_cuts_no_other(lake: Lake) -> None:
    publish(lake, {"ESU5": 1}, count=3 * ROW_GROUP_ROWS)
    with lake.read(TABLE, DAY, "ESU5") as partition:
        first = partition.frame(["ts_event"])["ts_event"].to_physical()[0]

        def groups_read(low: int, high: int) -> int:
            span = Span("ts_event", first + low, first + high)
            frames = pl.concat([partition.frame(["size"]).clear(), *partition.frames(["size"], span=span)])
            assert frames.height == sum(b.num_rows for b in partition.batches(["size"], span=span))
            return frames.height // ROW_GROUP_ROWS

        assert groups_read(0, 1) == groups_read(ROW_GROUP_ROWS - 1, ROW_GROUP_ROWS) == 1
        assert groups_read(ROW_GROUP_ROWS - 1, ROW_GROUP_ROWS + 1) == 2
        assert groups_read(-5, 0) == groups_read(3 * ROW_GROUP_ROWS, 9**15) == 0


def test_a_stream_left_early_lets_go(lake: Lake) -> None:
    publish(lake, {"ESU5": 1}, count=100)
    with lake.read(TABLE, DAY, "ESU5") as partition:
        stream = partition.batches(rows=10)
        assert next(stream).num_rows == 10
        stream.close()


def test_fixed_point_prices_are_offered_exactly_in_points_and_absent_stays_absent(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    with lake.read(TABLE, DAY, "ESU5") as partition:
        for frame in (
            partition.frame(["price", "bid_px"], prices="points"),
            partition.scan(["price", "bid_px"], prices="points").collect(),
            pl.concat(partition.frames(["price", "bid_px"], prices="points")),
        ):
            assert frame.schema == {"price": pl.Float64, "bid_px": pl.Float64}
            assert frame["price"][:3].to_list() == [6000.25, 6000.5, 6000.75]
            assert frame["bid_px"][:2].to_list() == [None, 6000.0]
            assert frame["price"].to_list() == [
                price / 10**9 for price in partition.frame(["price"])["price"]
            ]
        assert partition.scan(prices="points").filter(pl.col("price") > 6009.9).collect().height == 5
        assert partition.frame(["size"], prices="points").schema == {"size": pl.Int64}


def test_a_lazy_query_filters_and_projects_in_the_file_and_keeps_its_generation(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    with lake.read(TABLE, DAY, "ESU5") as partition:
        query = partition.scan().filter(pl.col("size") == 1).select("side", "size").head(5)
    publish(lake, {"ESU5": 2}, count=10)
    publish(lake, {"ESU5": 3}, count=10)
    assert query.collect()["size"].to_list() == [1] * 5
    assert published(lake) == {"ESU5": 3}


def test_a_slice_before_a_filter_stays_before_it(lake: Lake) -> None:
    publish(lake, {"ESU5": 1}, count=100)
    with lake.read(TABLE, DAY, "ESU5") as partition:
        lazy, eager = partition.scan(), partition.frame()
        assert (
            lazy.head(10)
            .filter(pl.col("side") == "B")
            .collect()
            .equals(eager.head(10).filter(pl.col("side") == "B"))
        )
        assert (
            lazy.filter(pl.col("side") == "B")
            .head(10)
            .collect()
            .equals(eager.filter(pl.col("side") == "B").head(10))
        )
        assert lazy.select(pl.len()).collect().item() == 100


def test_an_open_partition_survives_its_replacement(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    with lake.read(TABLE, DAY, "ESU5") as partition:
        publish(lake, {"NQU5": 2})
        assert lake.symbols(TABLE, DAY) == ["NQU5"]
        assert partition.frame().equals(expected())
        assert sum(batch.num_rows for batch in partition.batches()) == 200
    with pytest.raises(ValueError, match="closed"):
        partition.frame()


def test_every_symbol_is_read_from_one_publication(lake: Lake) -> None:
    publish(lake, {"ESU5": 1, "NQU5": 1})
    with lake.read(TABLE, DAY) as snapshot:
        publish(lake, {"ESU5": 2, "NQU5": 2})
        assert snapshot.symbols == ("ESU5", "NQU5")
        assert snapshot.frame(["size"])["size"].unique().to_list() == [1]
        assert snapshot.scan().group_by("symbol").len().collect()["len"].to_list() == [200, 200]
        assert sum(batch.num_rows for batch in snapshot.batches()) == 400
        assert snapshot["NQU5"].symbol == "NQU5"
        assert [ref.generation for ref in snapshot.refs] == [
            m.generation for m in snapshot.manifests.values()
        ]


def test_descriptors_are_let_go_when_the_last_user_is_gone(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        with lake.read(TABLE, DAY) as snapshot:
            query = snapshot.scan()
            snapshot.frame()
            list(snapshot.batches())
        query.collect()
    del query
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2


def test_a_mistaken_query_is_not_blamed_on_the_file(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    with lake.read(TABLE, DAY, "ESU5") as partition:
        with pytest.raises(pl.exceptions.ColumnNotFoundError):
            partition.frame(["no_such_column"])
        with pytest.raises(pl.exceptions.PolarsError):
            partition.scan().filter(pl.col("size") > pl.col("side")).collect()


# ---- what the common engines see when they open a partition directly ------------------------------------------------


@pytest.mark.parametrize("hive", [True, False])
def test_polars_by_path_sees_the_same_rows(lake: Lake, hive: bool) -> None:
    publish(lake, {"ESU5": 1})
    frame = pl.scan_parquet(part(lake).parent / "part-*.parquet", hive_partitioning=hive).collect()
    assert frame.select(expected().columns).equals(expected())
    extra = ["product_type", "table", "dt"] if hive else []
    assert frame.columns == [*expected().columns, *extra]
    assert frame.schema["side"] == pl.Enum(SIDES)
    assert frame.schema["price"] == pl.Int64


def test_duckdb_by_path_sees_the_same_rows(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    relation = connection.execute(
        "SELECT count(*), min(price), count(bid_px), min(epoch_ns(ts_event_est)), any_value(typeof(price)), "
        "any_value(typeof(ts_event_est)), any_value(symbol), any_value(dt), count(*) FILTER (side = 'A') "
        "FROM read_parquet(?, hive_partitioning=true)",
        [str(part(lake))],
    )
    first = expected()["ts_event"].cast(pl.Int64)[0]
    found = relation.fetchall()[0]
    assert found[:4] == (200, 6_000_250_000_000, 100, first)
    assert found[4:] == ("BIGINT", "TIMESTAMPTZ_NS", "ESU5", DAY, 67)


def test_pandas_by_path_sees_the_same_rows(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    frame = pd.read_parquet(part(lake), engine="pyarrow", partitioning=None)
    assert len(frame) == 200
    assert str(frame["ts_event_est"].dtype) == "datetime64[ns, America/New_York]"
    assert frame["price"].dtype == "int64"
    assert frame["bid_px"].isna().sum() == 100
    assert list(frame["side"].cat.categories) == list(SIDES)


def test_arrow_datasets_see_the_rows_of_every_symbol(lake: Lake) -> None:
    publish(lake, {"ESU5": 1, "NQU5": 1})
    base = lake.root / "silver" / "product_type=future"
    table = pa.dataset.dataset(
        sorted(base.glob("symbol=*/table=*/dt=*/part-*.parquet")), format="parquet"
    ).to_table()
    assert table.num_rows == 400
    assert table.schema.field("ts_event_est").type == pa.timestamp("ns", "America/New_York")
    assert table.schema.field("price").type == pa.int64()
    assert table["bid_px"].null_count == 200


def test_a_glob_over_the_tables_never_meets_a_stage(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    stage = lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA)
    stage.write("ESU5", rows("ESU5", size=2))
    found = pl.scan_parquet(lake.root / "silver/**/part-*.parquet").select(pl.len()).collect().item()
    stage.discard()
    assert found == 200


def test_the_reader_types_of_a_schema_are_polars_own() -> None:
    assert polars_schema(SCHEMA) == expected().schema


# ---- damage ---------------------------------------------------------------------------------------------------------


def test_every_bit_flip_is_named_by_the_hash_check_and_by_the_scrub(lake: Lake) -> None:
    publish(lake, {"ESU5": 1}, count=2000)
    path = part(lake)
    data = path.read_bytes()
    recorded = lake.manifests(TABLE, DAY)["ESU5"].files[0].sha256
    chance = random.Random(1)
    for _ in range(200):
        flipped = bytearray(data)
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(PartitionCorrupt) as caught:
            lake.read(TABLE, DAY, "ESU5", verify="sha256")
        assert caught.value.where["file"] == path.name
        assert caught.value.where["expected"] == recorded != caught.value.where["actual"]
        (finding,) = lake.scrub()
        assert (finding.table, finding.dt, finding.symbol, finding.file) == (TABLE, DAY, "ESU5", path.name)
        assert (finding.expected, finding.actual) == (recorded, caught.value.where["actual"])


def test_a_flipped_bit_in_a_page_never_gives_wrong_streamed_rows_even_without_a_hash(lake: Lake) -> None:
    """Page checksums: a stream gives the rows that were written or a typed error; only the footer needs the hash."""
    publish(lake, {"ESU5": 1}, count=500)
    path, right = part(lake), expected(500)
    data = path.read_bytes()
    pages = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    chance, refused = random.Random(2), 0
    for position in range(4, pages):
        flipped = bytearray(data)
        flipped[position] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            with lake.read(TABLE, DAY, "ESU5", verify="size") as partition:
                assert pl.concat(partition.frames()).equals(right)
        except PartitionUnreadable:
            refused += 1
    assert refused > pages / 2


def test_no_decoder_exception_leaves_the_reader_untyped(lake: Lake) -> None:
    publish(lake, {"ESU5": 1}, count=500)
    path = part(lake)
    data = path.read_bytes()
    chance, refused = random.Random(3), 0
    for _ in range(100):
        flipped = bytearray(data)
        for _ in range(20):
            # The footer is where decoders allocate, index and panic.
            flipped[chance.randrange(len(data) - 4000, len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        try:
            with lake.read(TABLE, DAY, "ESU5", verify="size") as partition:
                partition.frame()
                partition.scan().collect()
        except PartitionUnreadable:
            refused += 1
    assert refused > 50


def test_a_file_is_hashed_unless_this_process_wrote_or_hashed_it_since_it_was_touched(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = []
    monkeypatch.setattr(reader, "file_sha256", lambda fd: hashed.append(fd) or file_sha256(fd))
    publish(lake, {"ESU5": 1})
    path = part(lake)
    lake.read(TABLE, DAY)
    assert len(hashed) == 0
    os.utime(path, ns=(0, 0))
    lake.read(TABLE, DAY)
    lake.read(TABLE, DAY)
    assert len(hashed) == 1
    lake.read(TABLE, DAY, verify="sha256")
    assert len(hashed) == 2
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(PartitionCorrupt):
        lake.read(TABLE, DAY)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_torn_before_anything_is_decoded(lake: Lake, share: float) -> None:
    publish(lake, {"ESU5": 1})
    path = part(lake)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(PartitionTorn, match=r"expected_bytes=\d+, actual_bytes=\d+"):
        lake.read(TABLE, DAY, "ESU5", verify="size")


@pytest.mark.parametrize("name", ["_SUCCESS", "_MANIFEST.json", "part-00000.parquet"])
def test_a_missing_file_is_torn_and_named(lake: Lake, name: str) -> None:
    publish(lake, {"ESU5": 1})
    (part(lake).parent / name).unlink()
    with pytest.raises(PartitionTorn, match=f"file={name}"):
        lake.read(TABLE, DAY, "ESU5", verify="size")
    assert [(f.file, f.actual) for f in lake.scrub()] == [(name, "missing")]


def test_a_partition_moved_to_another_symbol_is_refused(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    target = lake.layout.partition(TABLE, DAY, "NQU5")
    target.parent.mkdir(parents=True)
    part(lake).parent.rename(target)
    with pytest.raises(PartitionTorn, match="another partition"):
        lake.read(TABLE, DAY, "NQU5")


def test_an_edited_manifest_is_refused_with_or_without_its_marker(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    manifest = part(lake).parent / "_MANIFEST.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"rows": 200', b'"rows": 201'))
    with pytest.raises(PartitionTorn, match="marker"):
        lake.read(TABLE, DAY, "ESU5")
    (finding,) = lake.scrub()
    assert finding.file == "_MANIFEST.json"
    (manifest.parent / "_SUCCESS").write_text(finding.actual)
    with (
        lake.read(TABLE, DAY, "ESU5", verify="size") as partition,
        pytest.raises(PartitionCorrupt, match="footer"),
    ):
        partition.frame()
    manifest.write_text("not json")
    with pytest.raises(PartitionTorn):
        lake.read(TABLE, DAY, "ESU5")


def test_a_file_nobody_published_is_found_by_the_scrub_and_not_read(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    (part(lake).parent / "part-00001.parquet").write_bytes(part(lake).read_bytes())
    assert published(lake) == {"ESU5": 1}
    with lake.read(TABLE, DAY, "ESU5") as partition:
        assert partition.frame().height == 200
    assert [(f.file, f.expected) for f in lake.scrub()] == [("part-00001.parquet", "not in the manifest")]


def test_the_scrub_looks_only_where_it_is_told(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    part(lake).unlink()
    assert len(list(lake.scrub([TABLE], start=DAY, end=DAY))) == 1
    assert list(lake.scrub(["silver.future.ohlcv"])) == []
    assert list(lake.scrub(end=DAY.replace(day=4))) == []


def test_a_symbol_published_half_is_not_read_and_the_message_names_recovery(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "_WAIT_S", 0.02)
    publish(lake, {"ESU5": 1, "NQU5": 1})
    publish(Lake(lake.root.parent / "other"), {"ESU5": 2, "NQU5": 2})
    replaced = lake.layout.partition(TABLE, DAY, "NQU5")
    replaced.rename(lake.root / "gone")
    with pytest.raises(PartitionTorn, match="footprint-assets run finishes it"):
        lake.read(TABLE, DAY)
    assert newest({}) is None
