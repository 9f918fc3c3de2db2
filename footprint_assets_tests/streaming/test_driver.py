"""The driver gives what the batch gives, however its rows come and wherever it dies."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import calendar as cme
from footprint_assets.streaming import TABLES, Driver, DriverFinished
from footprint_assets.transforms.book_batch import BookRowsRefused
from footprint_assets_tests.kernels.bar5s_records import START, SYMBOL, TICK
from footprint_assets_tests.streaming.books import (
    OPENED,
    SESSION,
    batch_of,
    book,
    differences,
    driven,
    together,
)

BAR_NS = 5 * 10**9
BARS, BOOK, PRICES, SHOCKS, BBO = TABLES
SEEDS = st.integers(0, 2**32)


@pytest.mark.parametrize("size", [1, 7, 1000, None], ids=["one by one", "seven", "a thousand", "all at once"])
def test_rows_give_the_tables_of_the_batch_however_many_come_at_a_time(size: int | None) -> None:
    rows = book(7, 120 if size == 1 else 1_200)
    batch = batch_of(rows)

    assert all(table.height for table in batch.values())
    assert differences(batch, driven(rows, range(0, rows.height, size or rows.height))) == {}


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.integers(1, 30), st.data())
def test_a_driver_may_die_before_any_event(seed: int, size: int, data: st.DataObject) -> None:
    rows = book(seed, size)
    places = st.lists(st.integers(0, size - 1), max_size=5)

    assert differences(batch_of(rows), driven(rows, data.draw(places), data.draw(places))) == {}


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.integers(2, 16), st.data())
def test_rows_late_or_twice_are_counted_by_the_names_of_the_batch_and_change_nothing(
    seed: int, size: int, data: st.DataObject
) -> None:
    rows, driver, parts = book(seed, size), Driver(*OPENED), []
    copies = late = 0
    for i in range(size):
        parts.append(driver.push(rows[i]))
        what = data.draw(st.sampled_from(["on", "copy", "older copy", "late"]))
        if what == "copy":
            again = rows[i]
        elif what == "older copy":
            again = rows[data.draw(st.integers(0, i))]
        elif what == "late":
            again = rows[data.draw(st.integers(0, i))].with_columns(pl.col("sequence") - 1, size=99)
        else:
            continue
        parts.append(driver.push(again))
        copies, late = copies + ("copy" in what), late + (what == "late")

    assert driver.left_out == {"late_event": late, "redelivered_copy": copies}
    assert differences(batch_of(rows), together([*parts, driver.finish()])) == {}


def test_rows_out_of_order_within_one_push_are_late() -> None:
    rows, driver = (
        book(3, 12).with_columns(pl.int_range(12).alias("sequence").cast(pl.Int64)),
        Driver(*OPENED),
    )

    parts = [driver.push(pl.concat([rows[:4], rows[5:8], rows[4], rows[7], rows[8:]])), driver.finish()]

    assert driver.left_out == {"late_event": 1, "redelivered_copy": 1}
    assert differences(batch_of(pl.concat([rows[:4], rows[5:]])), together(parts)) == {}


@settings(max_examples=8, deadline=None)
@given(SEEDS, st.integers(2, 16), st.data())
def test_a_watermark_hands_out_the_bar_of_the_last_record_and_changes_no_row(
    seed: int, size: int, data: st.DataObject
) -> None:
    rows, driver, parts = book(seed, size), Driver(*OPENED), []
    ts = rows["ts_event"].to_physical().to_list()
    for i in range(size):
        parts.append(driver.push(rows[i]))
        if i + 1 < size and data.draw(st.booleans()):
            parts.append(driver.watermark(data.draw(st.integers(ts[i], ts[i + 1]))))
        if data.draw(st.booleans()):
            driver = Driver.restore(driver.checkpoint(), *OPENED)
    parts.append(driver.watermark(SESSION.window_ns[1]))
    bars = together(parts)[BARS]["bar_ts"].to_physical()
    parts.append(driver.finish())

    assert bars[-1] == ts[-1] // BAR_NS * BAR_NS, "the last bar waits for no record where none is to come"
    assert differences(batch_of(rows), together(parts)) == {}


def test_a_row_from_before_the_watermark_is_late() -> None:
    rows, driver = book(5, 3), Driver(*OPENED)
    driver.push(rows[0])
    driver.watermark(int(rows["ts_event"].to_physical()[1]) + 1)

    assert driver.push(rows[1]) == {}
    assert driver.left_out["late_event"] == 1


def test_bars_without_a_record_come_out_with_the_record_after_them() -> None:
    rows = book(11, 2)
    gap = pl.Series([START, START + 7 * BAR_NS]).cast(pl.Datetime("ns", "UTC"))
    rows = rows.with_columns(gap.alias("ts_event"))
    driver = Driver(*OPENED)

    first = driver.push(rows[0])
    quiet = driver.watermark(START + 6 * BAR_NS)
    second = driver.push(rows[1])

    assert BARS not in first
    assert quiet[BARS].height == quiet[BOOK].height == 1
    assert second[BARS].height == 6, "all but the one the record lies in"
    assert second[BARS]["bar5s_meta_msg_cnt_sum"].to_list() == [0.0] * 6
    assert differences(batch_of(rows), together([first, quiet, second, driver.finish()])) == {}


def test_a_session_ends_with_its_last_bar_and_the_next_one_starts_from_nothing() -> None:
    rows, next_session = book(13, 40), cme.session(dt.date(2023, 12, 27))
    shift = next_session.open_ns - SESSION.open_ns
    tomorrow = rows.with_columns(pl.col("ts_event") + pl.duration(nanoseconds=shift))
    driver = Driver(*OPENED)
    driver.push(rows)

    with pytest.raises(BookRowsRefused, match="outside the trade date"):
        driver.push(tomorrow)

    driver = Driver(*OPENED)
    today = together([driver.push(rows), driver.finish()])
    driver = Driver(next_session, SYMBOL, TICK)
    after = together([driver.push(tomorrow), driver.finish()])
    for key, table in today.items():
        times = [name for name, kind in table.schema.items() if isinstance(kind, pl.Datetime)]
        moved = table.with_columns(pl.col(times) + pl.duration(nanoseconds=shift))
        assert moved.equals(after[key]), key


def test_a_driver_that_has_ended_its_session_is_not_used_again() -> None:
    driver = Driver(*OPENED)
    driver.push(book(17, 5))
    driver.finish()

    for use in (
        driver.finish,
        driver.checkpoint,
        lambda: driver.push(book(17, 5)),
        lambda: driver.watermark(0),
    ):
        with pytest.raises(DriverFinished, match="2023-12-26"):
            use()


def test_a_session_without_a_record_has_no_row() -> None:
    driver = Driver(*OPENED)

    assert (driver.push(book(1, 1).clear()), driver.watermark(START), driver.finish()) == ({}, {}, {})


def test_rows_of_another_contract_are_refused() -> None:
    with pytest.raises(BookRowsRefused, match="several contracts"):
        Driver(SESSION, "ESM4", TICK).push(book(19, 2))


def test_a_shock_that_waits_is_told_as_far_as_it_is_known() -> None:
    driver, whole = Driver(*OPENED), book(23, 400)[:190]  # the walk alone: it is shocked to its end
    known = together([driver.push(whole)])[SHOCKS]
    waiting = driver.waiting_shocks()
    rest = together([driver.finish()])[SHOCKS]

    assert waiting.height == rest.height > 0
    assert waiting["ts_event"].equals(rest["ts_event"])
    assert known.height + rest.height == batch_of(whole)[SHOCKS].height
    assert driver.waiting_shocks().is_empty()
