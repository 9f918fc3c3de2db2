"""List columns: profiles and counts of a session kept in one row."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from footprint_assets.contracts import Checks, Contract, ContractViolation, Validator, parse
from footprint_assets.contracts.forms import arrow_schema
from footprint_assets.lake import Lake, Lineage
from footprint_assets_tests.contracts.frames import valid_frame
from footprint_assets_tests.contracts.test_lint import GOOD, SIZES
from footprint_assets_tests.contracts.test_mutations import shape_mutations, value_mutations

DAY = dt.date(2025, 6, 5)


def a_list(
    name: str, items: object, width: str | None = None, *, nullable: bool = False
) -> dict[str, object]:
    avro: object = {"type": "array", "items": items}
    field = SIZES | {"name": name, "type": ["null", avro] if nullable else avro}
    field |= {"default": None} if nullable else {}
    if items == "string" or items == "boolean":
        field["unit"] = "none"
    del field["width"]
    return field | ({"width": width} if width else {})


@pytest.fixture(scope="module")
def contract() -> Contract:
    lists = [
        a_list("ticks", "int"),
        a_list("volumes", "long"),
        a_list("small", ["null", "int"], "int16"),
        a_list("weights", "double", nullable=True),
        a_list("shares", ["null", "float"], "float32", nullable=True),
        a_list("names", "string"),
        a_list("flags", "boolean"),
    ]
    return parse(GOOD | {"sort": ["symbol", "ts_event"], "fields": [*GOOD["fields"], *lists]})


def test_a_list_column_has_one_type_in_every_form(contract):
    assert contract.polars_schema["small"] == pl.List(pl.Int16)
    assert contract.polars_schema["shares"] == pl.List(pl.Float32)
    assert valid_frame(contract).to_arrow().schema.types == contract.arrow_schema.types
    assert contract.pandera_schema.dtypes["volumes"].type == pl.List(pl.Int64)
    types = {column.name: column.type for column in contract.table_columns()}
    assert types["ticks"] == "list<int32>"
    assert types["small"] == "list<int16?>"


def test_a_file_gives_lists_back(contract, tmp_path):
    frame, path = valid_frame(contract), tmp_path / "part.parquet"
    pq.write_table(frame.to_arrow().cast(arrow_schema(contract)), path)
    assert pl.read_parquet(path).equals(frame)
    assert pl.read_parquet_schema(path) == contract.polars_schema


def test_the_lake_gives_lists_back_whole_in_batches_and_lazily(contract, tmp_path: Path):
    lake, frame = Lake(tmp_path), valid_frame(contract, 6)
    lineage = Lineage(code_version="1", config_hash="c", run_id="run")
    with lake.stage(contract.name, DAY, lineage=lineage, schema=contract.arrow_schema) as stage:
        for batch in frame.iter_slices(2):
            stage.write("ESZ5", batch)
        stage.publish()
    with lake.read(contract.name, DAY, "ESZ5", verify="sha256") as partition:
        assert partition.frame().equals(frame)
        assert partition.frame().schema == contract.polars_schema
        assert partition.frame(["volumes"]).equals(frame.select("volumes"))
        assert pl.concat(partition.frames()).equals(frame)
        assert partition.scan().filter(pl.col("ticks").list.len() > 2).collect().height == 3


def test_every_wrong_list_is_caught_and_named(contract):
    frame = valid_frame(contract)
    judged = 0
    for field in [field for field in contract.fields if field.is_list]:
        mutations = [(column, mutated) for _, column, mutated in shape_mutations(frame, field)]
        mutations += [(field.name, mutated) for _, mutated in value_mutations(frame, field)]
        for column, mutated in mutations:
            judged += 1
            with pytest.raises(ContractViolation) as caught:
                Validator(contract).validate(mutated)
            assert column in {name for failure in caught.value.failures for name in failure.columns}
    assert judged > 35


def test_a_null_item_stands_only_where_items_may_be_null(contract):
    frame = valid_frame(contract, 3)
    Validator(contract).validate(
        frame.with_columns(small=pl.Series([[1, None], [], [None]], dtype=pl.List(pl.Int16)))
    )
    broken = frame.with_columns(volumes=pl.Series([[1, None], [], [2]]))
    with pytest.raises(ContractViolation, match="no null item") as caught:
        Validator(contract).validate(broken)
    assert caught.value.failures[0].rows[0]["row"] == 0


def test_an_infinite_item_passes_only_where_the_contract_says_so(contract):
    frame = valid_frame(contract, 2).with_columns(weights=pl.Series([[1.0, float("inf")], None]))
    with pytest.raises(ContractViolation, match="finite items"):
        Validator(contract).validate(frame)
    fields = tuple(
        dataclasses.replace(field, checks=Checks(finite=False)) if field.name == "weights" else field
        for field in contract.fields
    )
    Validator(dataclasses.replace(contract, fields=fields)).validate(frame)
