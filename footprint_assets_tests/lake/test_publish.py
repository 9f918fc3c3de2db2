"""What a stage makes public: exactly its rows, accounted for, under a generation that names the content."""

from __future__ import annotations

import dataclasses
import datetime as dt
import errno
import json
import time
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from footprint_assets.lake import (
    ConservationBroken,
    InputRef,
    Lake,
    Lineage,
    PartitionMissing,
    PublishInterrupted,
    Recovery,
    SchemaMismatch,
    SourceRef,
    StageClosed,
    fsops,
)
from footprint_assets.lake.commit import table_date_locked
from footprint_assets.lake.parquet import ROW_GROUP_ROWS, PartFile, conform
from footprint_assets_tests.lake.support import DAY, LINEAGE, SCHEMA, TABLE, publish, published, rows


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def staging(lake: Lake) -> list[str]:
    return [path.name for path in lake.layout.staging.iterdir()]


def directory(lake: Lake, symbol: str = "ESU5") -> Path:
    return lake.layout.partition(TABLE, DAY, symbol)


def test_a_publication_is_visible_whole_and_leaves_nothing_staged(lake: Lake) -> None:
    publish(lake, {"ESU5": 1, "NQU5": 2})
    assert published(lake) == {"ESU5": 1, "NQU5": 2}
    assert lake.symbols(TABLE, DAY) == ["ESU5", "NQU5"]
    assert lake.dates(TABLE) == [DAY]
    assert lake.tables() == [TABLE]
    assert staging(lake) == []
    names = sorted(path.name for path in directory(lake).iterdir())
    assert names == ["_MANIFEST.json", "_SUCCESS", "part-00000.parquet"]


def test_nothing_is_published_before_publish_or_after_an_error(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
        stage.write("ESU5", rows("ESU5", size=2))
        assert published(lake) == {"ESU5": 1}

    def interrupted() -> None:
        with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
            stage.write("ESU5", rows("ESU5", size=2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert published(lake) == {"ESU5": 1}
    assert staging(lake) == []


def test_an_unpublished_partition_is_missing_by_name_and_the_message_says_how_to_build_it(lake: Lake) -> None:
    with pytest.raises(
        PartitionMissing, match=r"table=silver\.future\.trades_clean, dt=2025-06-05.*--date 2025-06-05"
    ):
        lake.read(TABLE, DAY, "ESU5")
    with pytest.raises(FileNotFoundError):
        lake.read(TABLE, DAY)
    assert lake.manifests(TABLE, DAY) == {}
    assert lake.dates(TABLE) == []
    assert lake.recover().swept == ()


def test_a_roll_takes_the_stale_contract_out_with_the_same_publication(lake: Lake) -> None:
    publish(lake, {"ESM5": 1, "NQM5": 1})
    publish(lake, {"ESU5": 2, "NQM5": 2})
    assert published(lake) == {"ESU5": 2, "NQM5": 2}
    assert lake.layout.symbols(TABLE, DAY) == ["ESU5", "NQM5"]
    assert {m.publication.sequence for m in lake.manifests(TABLE, DAY).values()} == {2}


def test_another_trade_date_of_a_stale_contract_stays(lake: Lake) -> None:
    before = DAY - dt.timedelta(days=1)
    publish(lake, {"ESM5": 1}, day=before)
    publish(lake, {"ESM5": 1})
    publish(lake, {"ESU5": 2})
    assert lake.symbols(TABLE, before) == ["ESM5"]
    assert lake.dates(TABLE) == [before, DAY]


def test_the_symbols_are_those_of_the_newest_publication_that_is_whole(lake: Lake) -> None:
    """A crash between two renames: the new contract is in place, the other symbol is still the old one."""
    publish(lake, {"ESM5": 1, "NQM5": 1})
    other = Lake(lake.root.parent / "other")
    publish(other, {"ESM5": 1, "NQM5": 1})
    publish(other, {"ESU5": 2, "NQM5": 2})
    directory(lake, "ESU5").parent.mkdir(parents=True)
    directory(other, "ESU5").rename(directory(lake, "ESU5"))
    assert lake.layout.symbols(TABLE, DAY) == ["ESM5", "ESU5", "NQM5"]
    assert published(lake) == {"ESM5": 1, "NQM5": 1}
    assert lake.symbols(TABLE, DAY) == ["ESM5", "NQM5"]


def test_an_identical_run_gives_the_same_generation_and_the_same_bytes(lake: Lake) -> None:
    first = publish(lake, {"ESU5": 1}, count=1000)
    data = (directory(lake) / "part-00000.parquet").read_bytes()
    again = publish(lake, {"ESU5": 1}, count=1000, lineage=dataclasses.replace(LINEAGE, run_id="another"))
    assert (directory(lake) / "part-00000.parquet").read_bytes() == data
    assert again.manifests["ESU5"].generation == first.manifests["ESU5"].generation
    assert again.ref.id == first.ref.id
    changed = publish(lake, {"ESU5": 1}, count=1000, lineage=dataclasses.replace(LINEAGE, code_version="2"))
    assert changed.manifests["ESU5"].generation != first.manifests["ESU5"].generation


def test_the_bytes_do_not_depend_on_how_the_rows_were_cut_into_batches(lake: Lake) -> None:
    count = ROW_GROUP_ROWS + 5_000
    table = rows("ESU5", count)
    contents = []
    for cuts in ([count], [1, 35_000, ROW_GROUP_ROWS + 3, count], range(9_999, count + 9_999, 9_999)):
        with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
            start = 0
            for end in cuts:
                stage.write("ESU5", table.slice(start, min(end, count) - start))
                start = min(end, count)
            manifest = stage.publish().manifests["ESU5"]
        contents.append(manifest.files[0].sha256)
        assert (manifest.rows, manifest.files[0].row_groups) == (count, 2)
    assert len(set(contents)) == 1


def test_pages_of_long_texts_do_not_follow_the_batches_borders(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("id", pa.large_string(), nullable=False)])
    table = pa.table({"id": pa.array([f"{n:040d}" for n in range(60_000)], pa.large_string())}, schema=schema)
    hashes = set()
    for cut in (60_000, 777):
        part = PartFile(tmp_path / f"part-{cut:05d}.parquet", schema)
        for start in range(0, 60_000, cut):
            part.append(table.slice(start, cut))
        hashes.add(part.close().sha256)
    assert len(hashes) == 1


def test_polars_and_arrow_rows_give_the_same_bytes(lake: Lake) -> None:
    table = rows("ESU5", 1000)
    hashes = set()
    for batch in (table, table.combine_chunks().to_batches()[0], pl.from_arrow(table)):
        with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
            stage.write("ESU5", batch)
            hashes.add(stage.publish().manifests["ESU5"].files[0].sha256)
    assert len(hashes) == 1


def test_bronze_keeps_one_part_a_source_file_with_its_facts(lake: Lake) -> None:
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
        stage.write("ESU5", rows("ESU5", 5, size=2), part=1, facts={"source": "20250605.dbn.zst"})
        stage.write("ESU5", rows("ESU5", 10, size=1), part=0, facts={"source": "20250604.dbn.zst"})
        manifest = stage.publish().manifests["ESU5"]
    assert [(e.name, e.rows, e.facts) for e in manifest.files] == [
        ("part-00000.parquet", 10, {"source": "20250604.dbn.zst"}),
        ("part-00001.parquet", 5, {"source": "20250605.dbn.zst"}),
    ]
    with lake.read(TABLE, DAY, "ESU5") as partition:
        assert partition.parts == (0, 1)
        assert partition.frame(["size"])["size"].to_list() == [1] * 10 + [2] * 5
        assert [b.num_rows for b in partition.batches(part=1)] == [5]
        whole, second = partition.manifest.time_range, partition.time_range(1)
    assert whole is not None
    assert second == dataclasses.replace(whole, max_ns=whole.min_ns + 4)


def test_a_declared_symbol_without_rows_is_an_empty_partition_of_the_right_types(lake: Lake) -> None:
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
        stage.declare("ESU5")
        manifest = stage.publish().manifests["ESU5"]
    assert (manifest.rows, manifest.time_range, manifest.parts) == (0, None, ())
    with lake.read(TABLE, DAY, "ESU5") as partition:
        assert partition.frame().schema == pl.from_arrow(rows("ESU5")).schema
        assert partition.scan().collect().is_empty()
        assert list(partition.batches()) == []


def test_a_stage_without_symbols_is_not_published(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage, pytest.raises(StageClosed):
        stage.publish()
    assert published(lake) == {"ESU5": 1}


def test_rows_set_aside_are_kept_beside_the_data_counted_and_hashed(lake: Lake) -> None:
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
        stage.write("ESU5", rows("ESU5", 7))
        stage.quarantine("ESU5", [{"rule": "off_tick", "price": float("nan"), "on": dt.date(2025, 6, 5)}])
        stage.quarantine("ESU5", iter([{"rule": "late_event", "sequence": 3}]))
        stage.count("ESU5", rows_in=10, filtered={"redelivered_copy": 1}, notes={"gaps": 2, "from": DAY})
        stage.publish()
    with lake.read(TABLE, DAY, "ESU5", verify="sha256") as partition:
        manifest = partition.manifest
        assert list(partition.quarantined()) == [
            {"rule": "off_tick", "price": "nan", "on": "2025-06-05"},
            {"rule": "late_event", "sequence": 3},
        ]
    assert (manifest.rows_in, manifest.rows, manifest.quarantined, manifest.filtered) == (
        10,
        7,
        2,
        {"redelivered_copy": 1},
    )
    assert manifest.notes == {"from": "2025-06-05", "gaps": 2}


def test_a_row_lost_without_a_rule_stops_the_publication(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
        stage.write("ESU5", rows("ESU5", 7, size=2))
        stage.count("ESU5", rows_in=9, filtered={"redelivered_copy": 1})
        with pytest.raises(ConservationBroken, match="rows_in=9, accounted=8"):
            stage.publish()
        with pytest.raises(StageClosed):
            stage.publish()
    assert published(lake) == {"ESU5": 1}
    assert staging(lake) == []


def test_lists_are_compressed_too(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("prices", pa.large_list(pa.int64())), pa.field("symbol", pa.large_string())])
    part = PartFile(tmp_path / "part-00000.parquet", schema)
    part.append(pa.table({"prices": [[1, 2], []], "symbol": ["ESU5", "ESU5"]}, schema))
    part.close()
    group = pq.read_metadata(part.path).row_group(0)
    assert {group.column(i).compression for i in range(group.num_columns)} == {"ZSTD"}


def test_the_manifest_tells_first_and_last_instant_contract_and_writers(lake: Lake) -> None:
    manifest = publish(lake, {"ESU5": 1}, count=100).manifests["ESU5"]
    first = rows("ESU5", 1)["ts_event"].cast("int64")[0].as_py()
    assert manifest.time_range is not None
    assert (manifest.time_range.column, manifest.time_range.min_ns) == ("ts_event", first)
    assert manifest.time_range.max_ns == first + 99
    assert (manifest.contract.name, manifest.contract.version) == (TABLE, "1.0.0")
    assert manifest.contract_fingerprint == "f" * 64
    assert set(manifest.writers) == {"pyarrow", "polars", "python"}
    stored = json.loads((directory(lake) / "_MANIFEST.json").read_bytes())
    assert stored["generation"] == manifest.generation
    assert list(stored) == sorted(stored)


def test_the_footer_names_the_contract_and_the_price_unit(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    schema = pq.read_schema(directory(lake) / "part-00000.parquet")
    assert schema.metadata[b"contract"] == TABLE.encode()
    assert schema.metadata[b"contract_sha256"] == b"f" * 64
    assert schema.metadata[b"price_unit"] == b"1e-9 pts, pts"
    assert not schema.field("price").nullable
    assert schema.field("bid_px").nullable


def test_instants_are_delta_encoded_repeating_values_get_dictionaries_and_numbers_are_split(
    lake: Lake,
) -> None:
    publish(lake, {"ESU5": 1})
    group = pq.read_metadata(directory(lake) / "part-00000.parquet").row_group(0)
    columns = {group.column(i).path_in_schema: group.column(i) for i in range(group.num_columns)}
    encodings = {name: set(column.encodings) for name, column in columns.items()}
    assert "DELTA_BINARY_PACKED" in encodings["ts_event"]
    assert "RLE_DICTIONARY" in encodings["side"] & encodings["price"]
    assert "BYTE_STREAM_SPLIT" in encodings["size"]
    assert "PLAIN" in encodings["bid_px"] & encodings["symbol"] - encodings["ts_event"]
    compressions = {name: column.compression for name, column in columns.items()}
    assert {compressions.pop(name) for name in ("ts_event", "ts_event_est")} == {"UNCOMPRESSED"}
    assert set(compressions.values()) == {"ZSTD"}
    bounded = [name for name, column in columns.items() if column.statistics is not None]
    assert bounded == ["ts_event", "ts_event_est", "session_date"]


def _mutations() -> dict[str, pa.Table]:
    table = rows("ESU5", 3)
    other_set = pl.from_arrow(table).with_columns(
        pl.col("side").cast(pl.String).cast(pl.Enum(["N", "B", "A"]))
    )
    side = pa.DictionaryArray.from_arrays(
        pa.array([0, 0, 0], pa.uint8()), pa.array(["X"], pa.large_string()), ordered=True
    )
    return {
        "a column is dropped": table.drop_columns(["size"]),
        "a column is extra": table.append_column("extra", pa.array([1, 2, 3])),
        "a column is renamed": table.rename_columns({"size": "volume"}),
        "two columns are swapped": table.select([*table.column_names[:-2], *table.column_names[:-3:-1]]),
        "an integer is narrower": table.set_column(6, "size", table["size"].cast(pa.int32())),
        "a price is a float": table.set_column(4, "price", table["price"].cast(pa.float64())),
        "an instant is in us": table.set_column(
            0, "ts_event", table["ts_event"].cast(pa.int64()).cast(pa.timestamp("us", "UTC"))
        ),
        "an instant has no zone": table.set_column(0, "ts_event", table["ts_event"].cast(pa.timestamp("ns"))),
        "an instant has another zone": table.set_column(1, "ts_event_est", table["ts_event"]),
        "a required column holds a null": table.set_column(6, "size", pa.array([1, None, 3])),
        "a closed set is text": table.set_column(8, "side", table["side"].cast(pa.large_string())),
        "a closed set is in another order": other_set,
        "a closed set has another value": table.set_column(8, "side", side),
        "a symbol is another": rows("NQU5", 3),
        "one symbol is another": pa.concat_tables([rows("ESU5", 1), rows("NQU5", 1), rows("ESU5", 1)]),
    }


@pytest.mark.parametrize("case", sorted(_mutations()))
def test_rows_that_are_not_the_contracts_are_refused_and_end_the_stage(lake: Lake, case: str) -> None:
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
        with pytest.raises(SchemaMismatch):
            stage.write("ESU5", _mutations()[case])
        with pytest.raises(StageClosed, match="broken by an earlier error"):
            stage.publish()
    assert lake.symbols(TABLE, DAY) == []
    assert staging(lake) == []


def test_rows_of_the_contract_are_taken_as_they_are_without_a_copy() -> None:
    table = rows("ESU5", 1000)
    taken = conform(table, SCHEMA, "ESU5")
    assert taken.schema.equals(SCHEMA, check_metadata=True)
    for before, after in zip(table.columns, taken.columns, strict=True):
        assert [b.address for b in before.chunk(0).buffers() if b] == [
            b.address for b in after.chunk(0).buffers() if b
        ]


def test_a_schema_without_a_contract_is_refused(lake: Lake) -> None:
    with pytest.raises(SchemaMismatch, match="which contract"):
        lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA.remove_metadata())


INPUT = InputRef(table="bronze.future.trades", dt=DAY, symbol="ESU5", generation="a" * 64)
SOURCE = SourceRef(name="x.dbn.zst", sha256="b" * 64, bytes=10, pulled="2025-06-06T01:00:00Z")
FULL = Lineage(inputs=(INPUT,), sources=(SOURCE,), code_version="1", config_hash="c", run_id="r")


def test_an_unchanged_partition_is_current_whatever_run_asks(lake: Lake) -> None:
    publish(lake, {"ESU5": 1, "NQU5": 1}, lineage=FULL)
    pulled_again = dataclasses.replace(SOURCE, pulled="2025-06-07T01:00:00Z", facts={"host": "other"})
    assert lake.is_current(TABLE, DAY, FULL, "f" * 64)
    assert lake.is_current(
        TABLE, DAY, dataclasses.replace(FULL, run_id="s", sources=(pulled_again,)), "f" * 64
    )


@pytest.mark.parametrize(
    "change",
    [
        {"code_version": "2"},
        {"config_hash": "d"},
        {"inputs": ()},
        {"inputs": (dataclasses.replace(INPUT, generation="0" * 64),)},
        {"inputs": (INPUT, dataclasses.replace(INPUT, symbol="NQU5"))},
        {"sources": ()},
        {"sources": (dataclasses.replace(SOURCE, sha256="0" * 64),)},
    ],
    ids=str,
)
def test_a_changed_lineage_is_not_current(lake: Lake, change: dict[str, object]) -> None:
    publish(lake, {"ESU5": 1}, lineage=FULL)
    assert not lake.is_current(TABLE, DAY, dataclasses.replace(FULL, **change), "f" * 64)


def test_existence_alone_is_never_current(lake: Lake) -> None:
    assert not lake.is_current(TABLE, DAY, FULL, "f" * 64)
    publish(lake, {"ESU5": 1}, lineage=FULL)
    assert not lake.is_current(TABLE, DAY, FULL, "0" * 64)
    part = directory(lake) / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    assert not lake.is_current(TABLE, DAY, FULL, "f" * 64)
    part.unlink()
    assert not lake.is_current(TABLE, DAY, FULL, "f" * 64)
    (directory(lake) / "_SUCCESS").write_text("0" * 64)
    assert not lake.is_current(TABLE, DAY, FULL, "f" * 64)


def test_a_damaged_partition_is_replaced_by_publishing_anew(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    (directory(lake) / "_MANIFEST.json").write_text("{}")
    publish(lake, {"ESU5": 2})
    assert published(lake) == {"ESU5": 2}


def test_an_abandoned_stage_is_swept_only_when_its_owner_is_gone(lake: Lake) -> None:
    stage = lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA)
    stage.write("ESU5", rows("ESU5"))
    assert lake.recover().swept == ()
    stage._owned._lock.close()  # what the kernel does when the process ends
    assert len(lake.recover().swept) == 1
    assert staging(lake) == []


def test_an_interrupted_publication_is_kept_until_its_partition_is_free_and_then_finished(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake, {"ESU5": 1, "NQU5": 1})
    exchange, done = fsops.rename_exchange, []

    def once(source: Path, target: Path) -> None:
        if done:
            raise OSError(errno.EIO, "Input/output error")
        done.append(target)
        exchange(source, target)

    monkeypatch.setattr(fsops, "rename_exchange", once)
    with pytest.raises(PublishInterrupted, match=r"error=EIO.*footprint-assets run finishes it"):
        publish(lake, {"ESU5": 2, "NQU5": 2})
    monkeypatch.undo()
    with table_date_locked(lake.layout, TABLE, DAY, timeout_s=1):
        assert lake.recover() == Recovery()
    recovery = lake.recover()
    assert recovery.finished == ((TABLE, DAY),)
    assert len(recovery.swept) == 1
    assert published(lake) == {"ESU5": 2, "NQU5": 2}
    assert staging(lake) == []


def test_a_publication_finishes_the_one_that_was_interrupted_before_it(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(lake, {"ESU5": 1, "NQU5": 1})

    def refused(source: Path, target: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fsops, "rename_exchange", refused)
    with pytest.raises(PublishInterrupted):
        publish(lake, {"ESU5": 2, "CLU5": 2})  # CLU5 is in place, ESU5 and the removal of NQU5 are not
    monkeypatch.undo()
    assert published(lake) == {"ESU5": 1, "NQU5": 1}
    publish(lake, {"ESU5": 3})
    assert published(lake) == {"ESU5": 3}
    assert lake.layout.symbols(TABLE, DAY) == ["ESU5"]
    assert lake.recover().finished == ()
    assert staging(lake) == []


def test_recovery_leaves_files_it_does_not_know(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    (lake.layout.staging / "notes.txt").write_text("keep")
    lake.recover()
    assert staging(lake) == ["notes.txt"]


def test_a_published_or_discarded_stage_takes_no_more_rows(lake: Lake) -> None:
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
        stage.declare("ESU5")
        stage.publish()
        with pytest.raises(StageClosed, match="was published"):
            stage.write("ESU5", rows("ESU5"))
    stage = lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA)
    stage.discard()
    stage.discard()
    with pytest.raises(StageClosed, match="was discarded"):
        stage.declare("ESU5")


def test_a_finished_stage_takes_no_more_rows_and_is_published_as_it_is(lake: Lake) -> None:
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
        stage.write("ESU5", rows("ESU5"))
        stage.finish()
        assert lake.symbols(TABLE, DAY) == []
        with pytest.raises(StageClosed, match="the stage was finished"):
            stage.write("ESU5", rows("ESU5"))
        stage.finish()
        stage.publish()
    assert published(lake) == {"ESU5": 1}


def test_a_closed_symbol_takes_no_more_rows_while_others_still_do(lake: Lake) -> None:
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
        stage.write("ESU5", rows("ESU5"))
        stage.close("ESU5")
        stage.declare("ESU5")
        stage.write("NQU5", rows("NQU5"))
        stage.publish()
    assert published(lake) == {"ESU5": 1, "NQU5": 1}
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
        stage.close("ESU5")
        with pytest.raises(StageClosed, match="the files of ESU5 were closed"):
            stage.write("ESU5", rows("ESU5"))


def test_rows_that_are_not_accounted_for_end_a_stage_before_it_is_published(lake: Lake) -> None:
    with lake.stage(TABLE, DAY, lineage=LINEAGE, schema=SCHEMA) as stage:
        stage.write("ESU5", rows("ESU5"))
        stage.count("ESU5", rows_in=201)
        with pytest.raises(ConservationBroken):
            stage.finish()
        with pytest.raises(StageClosed):
            stage.publish()
    assert staging(lake) == []


def test_a_manifest_carries_no_clock(lake: Lake) -> None:
    publish(lake, {"ESU5": 1})
    first = (directory(lake) / "_MANIFEST.json").read_bytes()
    time.sleep(0.01)
    publish(Lake(lake.root.parent / "other"), {"ESU5": 1})
    assert (directory(Lake(lake.root.parent / "other")) / "_MANIFEST.json").read_bytes() == first
