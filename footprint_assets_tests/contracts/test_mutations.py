"""Every way one column of one table can go wrong is caught, for every contract in the repository."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import polars as pl
import pytest
from pandera.errors import SchemaError

from footprint_assets.contracts import Contract, ContractViolation, Failure, Field, Validator, all_keys, load
from footprint_assets.contracts.forms import polars_dtype, rules_of
from footprint_assets_tests.contracts.frames import broken_value, valid_frame

KEYS = all_keys()


def other_dtype(field: Field) -> pl.DataType:
    """The nearest wrong type: the one a careless step would write."""
    if field.is_list:
        return pl.List(other_dtype(dataclasses.replace(field, is_list=False)))
    near = {
        "int8": pl.Int16(),
        "int16": pl.Int32(),
        "int32": pl.Int64(),
        "int64": pl.UInt64(),
        "float64": pl.Float32(),
        "float32": pl.Float64(),
        "bool": pl.Int8(),
        "string": pl.Categorical(),
        "date": pl.Datetime("us"),
        "enum": pl.String(),
        "timestamp[ns, UTC]": pl.Datetime("us", "UTC"),
        "timestamp[ns, America/New_York]": pl.Datetime("ns", "UTC"),
    }
    return near[field.physical]


def with_last(frame: pl.DataFrame, field: Field, value: object) -> pl.DataFrame:
    """The frame with another value in the last row of one column."""
    is_last = pl.int_range(pl.len()) == pl.len() - 1
    wrong = pl.lit(value, dtype=polars_dtype(field))
    return frame.with_columns(pl.when(is_last).then(wrong).otherwise(pl.col(field.name)).alias(field.name))


def shape_mutations(frame: pl.DataFrame, field: Field) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Mutation, column the report must name, frame."""
    name, names = field.name, frame.columns
    position = names.index(name)
    neighbour = position + 1 if position + 1 < len(names) else position - 1
    swapped = list(names)
    swapped[position], swapped[neighbour] = swapped[neighbour], swapped[position]
    extra = pl.lit(0).alias("extra")
    yield "drop", name, frame.drop(name)
    yield "rename", name, frame.rename({name: f"{name}_x"})
    yield "extra", "extra", frame.select(*names[:position], extra, *names[position:])
    yield "swap", name, frame.select(swapped)
    yield "type", name, frame.with_columns(pl.col(name).cast(other_dtype(field)))


def value_mutations(frame: pl.DataFrame, field: Field) -> Iterator[tuple[str, pl.DataFrame]]:
    """Rule broken, frame."""
    if not field.nullable:
        yield "not null", with_last(frame, field, None)
    for rule in rules_of(field):
        not_finite: list[object] = [float("nan"), float("inf"), float("-inf")]
        if rule.check == "finite":
            values = not_finite
        elif rule.check == "items_finite":
            values = [[1.0, value] for value in not_finite]
        else:
            values = [broken_value(field, rule.check)]
        for value in values:
            yield rule.name, with_last(frame, field, value)


@pytest.mark.parametrize("key", KEYS)
def test_a_frame_that_keeps_its_contract_passes(key):
    contract = load(key)
    frame = valid_frame(contract)
    Validator(contract).validate(frame)
    Validator(contract).validate(frame.clear())
    contract.pandera_schema.validate(frame)


@pytest.mark.parametrize("key", KEYS)
def test_every_wrong_shape_of_every_column_is_caught_and_named(key):
    for contract in pieces(load(key)):
        frame = valid_frame(contract)
        for field in contract.fields:
            for mutation, column, mutated in shape_mutations(frame, field):
                found = failures_of(contract, mutated)
                assert column in {name for failure in found for name in failure.columns}, (
                    field.name,
                    mutation,
                )


@pytest.mark.parametrize("key", KEYS)
def test_every_wrong_value_of_every_column_is_caught_and_named_with_its_row(key):
    for contract in pieces(load(key)):
        frame = valid_frame(contract)
        for field in contract.fields:
            for rule, mutated in value_mutations(frame, field):
                named = [
                    f for f in failures_of(contract, mutated) if f.rule == rule and f.columns == (field.name,)
                ]
                assert len(named) == 1, (field.name, rule)
                assert named[0].count == 1
                assert named[0].rows[0]["row"] == frame.height - 1


@pytest.mark.parametrize("key", KEYS)
def test_the_pandera_schema_of_people_and_the_one_of_batches_judge_alike(key):
    contract = load(key)
    checked = [field for field in contract.fields if field.checks.as_dict()]
    fields = [contract.fields[0], contract.fields[-1], *checked[:1]]
    contract = dataclasses.replace(contract, key=(), sort=(), fields=tuple(dict.fromkeys(fields)))
    frame = valid_frame(contract)
    for field in contract.fields:
        mutated = [m for _, _, m in shape_mutations(frame, field)] + [
            m for _, m in value_mutations(frame, field)
        ]
        for broken in mutated:
            failures_of(contract, broken)
            with pytest.raises(SchemaError):
                contract.pandera_schema.validate(broken)


@pytest.mark.parametrize("key", KEYS)
def test_rows_out_of_order_are_caught_within_a_batch_and_across_a_border(key):
    contract = load(key)
    frame = valid_frame(contract)
    backwards = frame.reverse()
    assert "sorted ascending" in {failure.rule for failure in failures_of(contract, backwards)}
    assert "sorted ascending" in {
        failure.rule for failure in failures_of(contract, backwards.head(1), backwards.tail(1))
    }


@pytest.mark.parametrize("key", KEYS)
def test_a_repeated_row_is_caught_where_rows_have_a_key_and_kept_where_they_have_none(key):
    contract = load(key)
    frame = valid_frame(contract)
    repeated = pl.concat([frame, frame.tail(1)])
    if contract.key:
        assert {failure.rule for failure in failures_of(contract, repeated)} == {"unique"}
        assert {failure.rule for failure in failures_of(contract, frame, frame.tail(1))} == {"unique"}
    else:
        Validator(contract).validate(repeated)


def pieces(contract: Contract, width: int = 10) -> list[Contract]:
    """Columns of every kind the contract has, in runs: pandera takes time by the column, and columns are judged alone.

    Columns of one type, nullability and set of checks are judged by the same rule; the first of each stands for all.
    """
    kinds = {
        (f.type_name, f.nullable, *sorted(map(str, f.checks.as_dict().items()))): f
        for f in reversed(contract.fields)
    }
    fields = list(kinds.values())
    starts = range(0, max(len(fields) - 1, 1), width)
    runs = [tuple(fields[start : start + width + 1]) for start in starts]
    assert {field for run in runs for field in run} == set(fields)
    return [dataclasses.replace(contract, key=(), sort=(), fields=run) for run in runs]


def failures_of(contract: Contract, *batches: pl.DataFrame) -> tuple[Failure, ...]:
    """What the validator says of a partition given in batches, of which the last is broken."""
    validator = Validator(contract)
    for batch in batches[:-1]:
        validator.validate(batch)
    with pytest.raises(ContractViolation) as caught:
        validator.validate(batches[-1])
    return caught.value.failures
