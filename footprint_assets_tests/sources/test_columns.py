"""Columns of the bronze tables, compared with a slow conversion of one record at a time."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.contracts import load
from footprint_assets.sources.columns import CATEGORIES, BookBuffer, BookMemory, Columns, to_columns
from footprint_assets.sources.dbn import Chunk, DbnReader
from footprint_assets.sources.frames import to_frame
from footprint_assets.sources.records import UNDEF_PRICE, upgrade
from footprint_assets_tests.conftest import REPOSITORY
from footprint_assets_tests.sources.dbn_files import DAY_NS, END, ESM4, ESU4, INGEST, START, records

ALL_TIME = (0, 2**63 - 1)
CONTRACTS = {
    "mbp-10": "market_by_price_10",
    "trades": "trades",
    "statistics": "statistics",
    "definition": "definition",
}


def chunk_of(rows: np.ndarray, first: int = 0) -> Chunk:
    return Chunk(rows, np.arange(first, first + len(rows), dtype=np.int64), ())


def slow_book(rows: np.ndarray, index: np.ndarray) -> dict[str, list[object]]:
    """One Python value per cell, None where the book has no price."""
    out: dict[str, list[object]] = {}
    for row, position in zip(rows, index, strict=True):
        cells: dict[str, object] = {"record_index": int(position)}
        for name in rows.dtype.names or ():
            value = row[name]
            if name in ("action", "side"):
                cells[name] = value.decode()
            elif name == "price" or "_px_" in name:
                cells[name] = None if int(value) == UNDEF_PRICE else int(value)
            elif name not in ("length", "ts_in_delta"):
                cells[name] = int(value)
        flags = int(row["flags"])
        for name, bit in (("last", 128), ("snapshot", 32), ("bad_ts", 8), ("bad_book", 4), ("tob", 64)):
            cells[f"is_{name}"] = bool(flags & bit)
        for name, cell in cells.items():
            out.setdefault(name, []).append(cell)
    return out


def as_lists(columns: Columns) -> dict[str, list[object]]:
    out: dict[str, list[object]] = {}
    for name, values in columns.arrays.items():
        cells: list[object] = values.tolist()
        if name in columns.categories:
            cells = [columns.categories[name][int(position)] for position in values]
        absent = columns.nulls[name]
        if absent is not None:
            cells = [None if gone else cell for cell, gone in zip(cells, absent.tolist(), strict=True)]
        out[name] = cells
    return out


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 600))
def test_the_compiled_transposition_equals_a_conversion_of_one_record_at_a_time(
    seed: int, count: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = records("mbp-10", count)
    rows["instrument_id"] = rng.choice([ESM4, ESU4, 7], count)
    rows["ts_event"] = START + rng.integers(-10, 10, count)
    rows["flags"] = rng.integers(0, 256, count)
    rows["sequence"] = rng.integers(0, 2**32, count)
    rows["depth"] = rng.integers(0, 10, count)
    rows["size"] = rng.integers(0, 2**31, count)
    rows["price"] = np.where(rng.random(count) < 0.1, UNDEF_PRICE, rng.integers(-(10**12), 10**12, count))
    rows["action"] = rng.choice([b"A", b"C", b"M", b"R", b"T", b"F", b"N"], count)
    rows["bid_px_09"][rng.random(count) < 0.2] = UNDEF_PRICE
    rows["ask_sz_04"], rows["bid_ct_03"] = rng.integers(0, 2**31, count), rng.integers(0, 2**31, count)
    columns = to_columns(chunk_of(rows, 100), "mbp-10", {ESM4, ESU4}, START - 5, START + 5)
    mine = np.isin(rows["instrument_id"], [ESM4, ESU4])
    inside = (rows["ts_event"].astype(np.int64) >= START - 5) & (
        rows["ts_event"].astype(np.int64) < START + 5
    )
    kept = mine & inside
    assert columns.rows == kept.sum()
    assert columns.skipped == {
        "other_instrument": (~mine).sum(),
        "outside_trade_date": (mine & ~inside).sum(),
    }
    if columns.rows:
        assert as_lists(columns) == slow_book(rows[kept], 100 + np.flatnonzero(kept))


@pytest.mark.parametrize("capacity", [1, 7, 256, 1000])
def test_a_full_buffer_is_given_away_and_the_chunk_goes_on_in_the_next(capacity: int) -> None:
    rows = records("mbp-10", 1000)
    rows["instrument_id"][::3] = ESU4
    buffer = BookBuffer(BookMemory(capacity), {ESM4}, START, START + 700 * 10**9)
    taken, skipped = [], 0
    for start in range(0, 1000, 300):
        chunk, seen = chunk_of(rows[start : start + 300], start), 0
        while (seen := buffer.append(chunk, seen)) < len(chunk.records):
            taken.append(buffer.take())
            assert taken[-1].rows == capacity
    taken.append(buffer.take())
    skipped = sum(sum(columns.skipped.values()) for columns in taken)
    wanted = (rows["instrument_id"] == ESM4) & (rows["ts_event"] < START + 700 * 10**9)
    assert skipped == 1000 - wanted.sum()
    given = [as_lists(columns) for columns in taken if columns.rows]
    whole = {name: [cell for part in given for cell in part[name]] for name in given[0]}
    assert whole == slow_book(rows[wanted], np.flatnonzero(wanted))


def test_chunks_collect_behind_each_other() -> None:
    rows = records("mbp-10", 30)
    buffer = BookBuffer(BookMemory(64), None, *ALL_TIME)
    for start in (0, 10, 20):
        assert buffer.append(chunk_of(rows[start : start + 10], start)) == 10
    assert as_lists(buffer.take()) == slow_book(rows, np.arange(30))
    assert buffer.take().rows == 0


def test_memory_is_filled_again_when_nobody_holds_its_rows_and_never_before() -> None:
    rows = records("mbp-10", 40)
    buffer = BookBuffer(BookMemory(10), None, *ALL_TIME)
    schema = load("bronze.future.market_by_price_10").polars_schema

    def next_frame(start: int) -> pl.DataFrame:
        buffer.append(chunk_of(rows[start : start + 10], start))
        return to_frame(buffer.take(), schema, "ESM4")

    def address(frame: pl.DataFrame) -> int:
        return frame["record_index"].to_arrow().buffers()[1].address

    held = [next_frame(start) for start in (0, 10)]
    column = held.pop()["bid_px_00"]
    third = next_frame(20)
    assert held[0]["record_index"].to_list() == list(range(10))
    assert column.to_list() == rows["bid_px_00"][10:20].tolist()
    gone = address(third)
    del third
    assert gone in {address(next_frame(start)) for start in (30, 30, 30)}


def test_the_last_rows_of_a_file_hold_none_of_the_memory() -> None:
    rows = records("mbp-10", 20)
    buffer = BookBuffer(BookMemory(1000), None, *ALL_TIME)
    buffer.append(chunk_of(rows[:10]))
    last = buffer.take()
    buffer.append(chunk_of(rows[10:], 10))
    assert as_lists(last) == slow_book(rows[:10], np.arange(10))
    held = last.arrays["price"].base
    assert held is not None
    assert held.nbytes < 1000 * 8


def test_a_price_column_without_holes_carries_no_null_mask() -> None:
    rows = records("mbp-10", 10)
    rows["ask_px_09"][4] = UNDEF_PRICE
    nulls = to_columns(chunk_of(rows), "mbp-10", None, *ALL_TIME).nulls
    assert [name for name, absent in nulls.items() if absent is not None] == ["ask_px_09"]
    absent = nulls["ask_px_09"]
    assert absent is not None
    assert absent.tolist() == [row == 4 for row in range(10)]


def test_sizes_are_signed_so_that_differences_do_not_wrap() -> None:
    columns = to_columns(chunk_of(records("mbp-10", 5)), "mbp-10", None, *ALL_TIME)
    assert columns.arrays["size"].dtype == np.int64
    assert columns.arrays["bid_sz_00"].dtype == columns.arrays["ask_ct_09"].dtype == np.int32
    assert (columns.arrays["bid_sz_00"] - columns.arrays["ask_sz_09"]).min() < 0


def test_a_definition_belongs_to_the_day_it_was_received_on() -> None:
    rows = records("definition", 3)
    rows["ts_event"] = START - 60 * DAY_NS
    columns = to_columns(chunk_of(rows), "definition", None, START, END)
    assert columns.rows == 3
    late = to_columns(chunk_of(rows), "definition", None, END, END + DAY_NS)
    assert late.skipped == {"other_instrument": 0, "outside_trade_date": 3}


def test_undefined_values_of_small_tables_are_null() -> None:
    rows = upgrade(records("statistics", 3, version=1), 24)
    statistics = as_lists(to_columns(chunk_of(rows), "statistics", None, *ALL_TIME))
    assert (statistics["quantity"], statistics["ts_ref"]) == ([None] * 3, [None] * 3)
    assert statistics["price"] == [5_000 * 10**9] * 3
    definition = as_lists(to_columns(chunk_of(records("definition", 1)), "definition", None, *ALL_TIME))
    assert definition["maturity_day"] == definition["high_limit_price"] == [None]
    assert (definition["symbol"], definition["instrument_class"]) == (["ESM4"], ["F"])
    assert (definition["maturity_month"], definition["user_defined_instrument"]) == ([6], [False])


def test_trades_keep_every_field() -> None:
    rows = records("trades", 4)
    rows["instrument_id"][2] = ESU4
    columns = to_columns(chunk_of(rows), "trades", [ESU4], START, END)
    found = {name: cells[0] for name, cells in as_lists(columns).items()}
    assert found == {
        "ts_recv": START + 3 * 10**9 + 15_000, "ts_event": START + 3 * 10**9, "rtype": 0, "publisher_id": 1,
        "instrument_id": ESU4, "action": "T", "side": "N", "depth": 0, "price": 21_002 * 250_000_000, "size": 3,
        "flags": 0x82, "ts_in_delta": 0, "sequence": 2, "record_index": 2,
    }  # fmt: skip


def test_bars_carry_their_prices_and_volume() -> None:
    columns = to_columns(chunk_of(records("ohlcv-1d", 2)), "ohlcv-1d", None, *ALL_TIME)
    assert as_lists(columns)["high"] == [5_000 * 10**9 + 1] * 2
    assert columns.arrays["volume"].tolist() == [100, 101]


@pytest.mark.parametrize("schema", sorted(CONTRACTS))
def test_columns_have_the_names_types_and_enums_of_the_contract(schema: str) -> None:
    path = REPOSITORY / "contracts" / "bronze" / "future" / f"{CONTRACTS[schema]}.avsc"
    columns = to_columns(chunk_of(records(schema, 3)), schema, None, *ALL_TIME)
    fields = {field["name"]: field for field in json.loads(path.read_text())["fields"]}
    given_by_the_lead = set() if schema == "definition" else {"symbol"}
    assert set(columns.arrays) == set(fields) - given_by_the_lead
    for name, values in columns.arrays.items():
        kind = fields[name]["type"]
        if isinstance(kind, list):
            kind = next(option for option in kind if option != "null")
        else:
            assert columns.nulls[name] is None, name
        if isinstance(kind, dict) and kind["type"] == "enum":
            assert tuple(kind["symbols"]) == CATEGORIES[name]
            assert values.dtype == np.uint8
            continue
        kind = kind["type"] if isinstance(kind, dict) else kind
        plain_types = {"long": "int64", "int": "int32", "boolean": "bool", "string": "object"}
        assert values.dtype == fields[name].get("width", plain_types[kind]), name


@pytest.mark.realdata
def test_the_volume_of_christmas_1223_is_the_vendors_own(real_data: Path) -> None:
    path = real_data / "dbn" / "glbx-mdp3-20231225.mbp-10.dbn.zst"
    day = int(np.datetime64(dt.date(2023, 12, 25), "ns").astype(np.int64))
    volumes: dict[str, int] = {"A": 0, "B": 0, "N": 0}
    with DbnReader(path, INGEST) as reader:
        for chunk in reader.chunks("mbp-10", max_records=5_000):
            columns = to_columns(chunk, "mbp-10", {17_077}, day, day + DAY_NS)
            assert columns.rows == len(chunk.records)
            trades = columns.arrays["action"] == CATEGORIES["action"].index("T")
            for code, side in enumerate(CATEGORIES["side"]):
                volumes[side] += int(columns.arrays["size"][trades & (columns.arrays["side"] == code)].sum())
    assert volumes == {"A": 4_526, "B": 5_322, "N": 44}
