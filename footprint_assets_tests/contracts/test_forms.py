"""The forms of one contract agree with each other and survive a Parquet file."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from footprint_assets.contracts import Field, all_keys, load
from footprint_assets.contracts.forms import arrow_schema, polars_schema, rules_of
from footprint_assets_tests.contracts.frames import valid_frame

KEYS = all_keys()


@pytest.fixture(params=KEYS)
def contract(request):
    return load(request.param)


@pytest.fixture
def written(contract, tmp_path):
    """A frame of the contract written by pyarrow with the contract's own schema."""
    path = tmp_path / "part.parquet"
    frame = valid_frame(contract)
    pq.write_table(frame.to_arrow().cast(contract.arrow_schema), path)
    return frame, path


def test_polars_reads_back_the_contract_from_a_file_pyarrow_wrote(contract, written):
    frame, path = written
    assert pl.read_parquet(path).equals(frame)
    assert pl.read_parquet_schema(path) == contract.polars_schema
    assert pl.scan_parquet(path).collect_schema() == contract.polars_schema
    assert pl.read_parquet(path, use_pyarrow=True).schema == contract.polars_schema


def test_the_arrow_types_are_those_polars_exports(contract):
    exported = valid_frame(contract).to_arrow().schema
    assert exported.types == contract.arrow_schema.types
    assert exported.names == contract.arrow_schema.names


def test_the_parquet_footer_names_the_contract(contract, written):
    _, path = written
    metadata = pq.read_schema(path).metadata
    assert metadata[b"contract"].decode() == contract.name
    assert metadata[b"contract_version"].decode() == contract.version
    assert metadata[b"contract_sha256"].decode() == contract.fingerprint
    assert metadata[b"price_unit"]


def test_the_parquet_footer_explains_every_column(contract, written):
    _, path = written
    schema = pq.read_schema(path)
    for field in contract.fields:
        stored = schema.field(field.name)
        assert stored.nullable is field.nullable
        assert stored.metadata[b"doc"].decode() == field.doc
        assert stored.metadata[b"unit"].decode() == field.unit


def test_pyarrow_refuses_a_null_in_a_required_column(contract):
    required = next(field for field in contract.fields if not field.nullable)
    frame = valid_frame(contract).with_columns(
        pl.lit(None, contract.polars_schema[required.name]).alias(required.name)
    )
    with pytest.raises(ValueError, match="non-nullable"):
        frame.to_arrow().cast(contract.arrow_schema)


def test_the_plain_columns_say_what_the_schemas_say(contract):
    columns = contract.table_columns()
    assert [column.name for column in columns] == contract.polars_schema.names()
    assert [column.nullable for column in columns] == [field.nullable for field in contract.arrow_schema]
    assert all(column.tags["unit"] and column.description for column in columns)
    with_checks = [field.name for field in contract.fields if rules_of(field)]
    assert [column.name for column in columns if column.constraints] == with_checks


def test_the_pandera_schema_has_the_types_of_the_polars_schema(contract):
    schema = contract.pandera_schema
    assert {name: dtype.type for name, dtype in schema.dtypes.items()} == dict(contract.polars_schema)
    assert (schema.strict, schema.ordered, schema.coerce) == (True, True, False)


@pytest.mark.parametrize("values", [("A",), ("é", "日本"), tuple(f"value_{i}" for i in range(300))])
def test_enum_values_of_any_length_and_number_survive_a_file(tmp_path, values):
    base = load("silver.future.trades_clean")
    field = Field("code", "enum", nullable=True, doc="Code.", unit="none", kind="raw", symbols=values)
    contract = dataclasses.replace(base, fields=(field,), key=(), sort=())
    frame = pl.DataFrame({"code": [*values, None]}, schema=polars_schema(contract))
    path = tmp_path / "part.parquet"
    pq.write_table(frame.to_arrow().cast(arrow_schema(contract)), path)
    assert pl.read_parquet(path).equals(frame)
    assert pl.read_parquet_schema(path)["code"] == pl.Enum(values)


def test_the_same_instant_is_typed_in_both_time_zones():
    schema = load("silver.future.trades_clean").polars_schema
    assert schema["ts_event"] == pl.Datetime("ns", "UTC")
    assert schema["ts_event_est"] == pl.Datetime("ns", "America/New_York")


def test_a_text_limited_to_listed_values_is_an_enum():
    assert load("silver.future.ohlcv").polars_schema["interval"] == pl.Enum(
        ["1s", "10s", "1m", "2m", "5m", "30m", "1h", "1d"]
    )


def test_a_footer_with_one_price_unit_names_it_alone():
    assert load("bronze.future.trades").arrow_schema.metadata[b"price_unit"] == b"1e-9 pts"
    assert load("silver.future.trades_clean").arrow_schema.metadata[b"price_unit"] == b"pts"
    assert load("bronze.future.front_month").arrow_schema.metadata[b"price_unit"] == b"none"
    assert pa.types.is_int64(load("bronze.future.trades").arrow_schema.field("price").type)


def test_loading_contracts_imports_neither_pandera_nor_pyarrow():
    code = (
        "import sys; from footprint_assets.contracts import all_keys, load; "
        "[load(key).polars_schema for key in all_keys()]; "
        "print(*{'pandera', 'pyarrow', 'dagster'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
