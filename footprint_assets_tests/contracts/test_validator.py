"""What the validator says, what it carries over batch borders, and what it refuses to work with."""

from __future__ import annotations

import dataclasses
import itertools
import os
import subprocess
import sys

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandera.config import ValidationDepth, config_context

from footprint_assets.contracts import (
    Checks,
    ContractViolation,
    ValidationDisabled,
    Validator,
    load,
    refuse_if_disabled,
)
from footprint_assets_tests.contracts.frames import EPOCH_NS, valid_frame

TRADES = load("silver.future.trades_clean")
CELLS = load("silver.future.footprint_price")


def violation(contract, *batches):
    validator = Validator(contract)
    for batch in batches[:-1]:
        validator.validate(batch)
    with pytest.raises(ContractViolation) as caught:
        validator.validate(batches[-1])
    return caught.value


def at(contract, *offsets_ns):
    """Rows whose sort column stands at these offsets."""
    frame = valid_frame(contract, len(offsets_ns))
    name = contract.sort[-1]
    return frame.with_columns(
        pl.Series(name, [EPOCH_NS + offset for offset in offsets_ns]).cast(frame.schema[name])
    )


def test_the_message_names_table_column_rule_rows_and_count():
    frame = valid_frame(TRADES, 8).with_columns(size=pl.Series([0, 1, 0, 0, 0, 0, 0, 1]))
    found = violation(TRADES, frame)
    assert "silver.future.trades_clean" in str(found)
    assert "size: > 0 broken in 6 rows" in str(found)
    assert found.where["failures"] == 6
    assert [row["row"] for row in found.failures[0].rows] == [0, 2, 3, 4, 5]
    assert "ts_event" in found.failures[0].rows[0]


def test_every_broken_column_is_reported_not_only_the_first():
    frame = valid_frame(TRADES).with_columns(size=pl.lit(0).cast(pl.Int64), price=pl.lit(float("nan")))
    assert [failure.columns for failure in violation(TRADES, frame).failures] == [("price",), ("size",)]


def test_rows_are_counted_from_the_start_of_the_partition():
    good = at(TRADES, 0, 1, 2)
    bad = at(TRADES, 3, 4).with_columns(size=pl.Series([1, 0]))
    assert violation(TRADES, good, bad).failures[0].rows[0]["row"] == 4


def test_a_step_back_across_a_border_is_named_at_the_first_row_of_the_later_batch():
    found = violation(TRADES, at(TRADES, 0, 5), at(TRADES, 4, 6))
    assert found.failures[0].rule == "sorted ascending"
    assert found.failures[0].rows[0]["row"] == 2


def test_equal_times_are_in_order():
    Validator(TRADES).validate(at(TRADES, 0, 0, 1))


def test_an_empty_batch_forgets_nothing():
    empty = valid_frame(TRADES).clear()
    assert violation(TRADES, at(TRADES, 5, 6), empty, at(TRADES, 4, 7)).failures[0].rule == "sorted ascending"


def test_enum_columns_are_ordered_by_position_not_by_letter():
    by_position = ["time_5s", "time_1m"]
    frame = valid_frame(CELLS, 2).with_columns(
        bar_type=pl.Series(by_position, dtype=CELLS.polars_schema["bar_type"])
    )
    Validator(CELLS).validate(frame)
    assert violation(CELLS, frame.reverse()).failures[0].rule == "sorted ascending"


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=12), st.integers(1, 5))
def test_batches_are_judged_like_the_whole_partition(rows, batch_rows):
    schema = CELLS.polars_schema
    frame = pl.concat([valid_frame(CELLS, 1)] * len(rows)).with_columns(
        pl.Series("bar_id", [bar for bar, _ in rows], dtype=schema["bar_id"]),
        pl.Series("price_tick", [tick for _, tick in rows], dtype=schema["price_tick"]),
    )
    keeps = all(before < after for before, after in itertools.pairwise(rows))
    validator = Validator(CELLS)
    try:
        for batch in frame.iter_slices(batch_rows):
            validator.validate(batch)
        passed = True
    except ContractViolation:
        passed = False
    assert passed is keeps


def test_a_lazy_frame_is_refused_because_pandera_would_skip_its_data():
    broken = valid_frame(TRADES).with_columns(price=pl.lit(float("nan"))).lazy()
    TRADES.pandera_schema.validate(broken)
    with pytest.raises(ContractViolation, match="LazyFrame"):
        Validator(TRADES).validate(broken)


def test_a_text_is_matched_at_every_change_of_value():
    frame = valid_frame(TRADES, 5).with_columns(
        symbol=pl.Series(["ESZ5", "ESZ5", "ESZ5-ESH6", "ESZ5", "ESZ5"])
    )
    assert violation(TRADES, frame).failures[0].rows[0]["row"] == 2


def test_a_contract_whose_floats_may_be_infinite_accepts_them():
    fields = tuple(
        dataclasses.replace(field, checks=Checks(finite=False)) if field.name == "mid_px" else field
        for field in TRADES.fields
    )
    frame = valid_frame(TRADES).with_columns(mid_px=pl.lit(float("inf")))
    Validator(dataclasses.replace(TRADES, fields=fields)).validate(frame)
    violation(TRADES, frame)


def test_validation_switched_off_inside_the_process_is_refused():
    validator = Validator(TRADES)
    with (
        config_context(validation_enabled=False),
        pytest.raises(ValidationDisabled, match="any frame would pass"),
    ):
        validator.validate(valid_frame(TRADES))
    for depth in (ValidationDepth.SCHEMA_ONLY, ValidationDepth.DATA_ONLY):
        with config_context(validation_depth=depth), pytest.raises(ValidationDisabled, match=depth.value):
            refuse_if_disabled()


@pytest.mark.parametrize(
    ("name", "value", "refused"),
    [
        ("PANDERA_VALIDATION_ENABLED", "False", True),
        ("PANDERA_VALIDATION_ENABLED", "0", True),
        ("PANDERA_VALIDATION_DEPTH", "SCHEMA_ONLY", True),
        ("PANDERA_VALIDATION_DEPTH", "SCHEMA_AND_DATA", False),
        ("PANDERA_VALIDATION_ENABLED", "True", False),
    ],
)
def test_validation_switched_off_by_the_environment_is_refused(name, value, refused):
    code = "from footprint_assets.contracts import refuse_if_disabled; refuse_if_disabled()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ("ValidationDisabled" in done.stderr) is refused
    assert (done.returncode == 0) is not refused
