"""Liquidity shocks: the slow reference, what is known when, symmetry, and what a person would check by hand."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.transforms.book_batch import BookRowsRefused
from footprint_assets.transforms.shocks import RECOVERY_LIMIT_NS, TABLE, shocks
from footprint_assets_tests.kernels.bar5s_records import F_LAST, START, TICK, frame, streams
from footprint_assets_tests.kernels.bar5s_reference import BAR, POINT, Record
from footprint_assets_tests.kernels.book_walk import MIDDLE, mirrored, walk, walks
from footprint_assets_tests.transforms.shocks_reference import reference_shocks

SESSION = cme.session(dt.date(2023, 12, 26))
BIDS, ASKS = {19_200: 10, 19_199: 20, 19_198: 5}, {19_201: 8, 19_202: 12, 19_203: 30}
INSTANTS = ("ts_event", "known_1s_ts", "recovered_ts")


def found(book: pl.DataFrame, cuts=(), limit=RECOVERY_LIMIT_NS) -> pl.DataFrame:
    edges = [0, *sorted(cuts), book.height]
    parts = [book.slice(a, b - a) for a, b in pairwise(edges)]
    empty = contracts.load(TABLE).polars_schema.to_frame()
    out = pl.concat([empty, *shocks(parts, SESSION, TICK, limit)])
    return out.with_columns(pl.col(INSTANTS).to_physical(), pl.col("resting_side").cast(pl.String))


def at(second, bids=None, asks=None, action="C", side="A", tick=19_201, size=1, flags=F_LAST):
    """A record some seconds after the start; ladders as {tick: size}, sizes of 0 left out."""
    ladders = (
        tuple((p * TICK, q, 1) for p, q in sorted((bids or BIDS).items(), reverse=True) if q),
        tuple((p * TICK, q, 1) for p, q in sorted((asks or ASKS).items()) if q),
    )
    return Record(START + round(second * POINT), action, side, flags, tick * TICK, size, *ladders)


def trade(second, size, tick=19_201, side="B"):
    return at(second, action="T", side=side, tick=tick, size=size, flags=0)


def buy(second, size, left):
    """A buyer takes some of the best ask, some is left."""
    return [trade(second, size), at(second, asks=ASKS | {19_201: left})]


@settings(max_examples=200, deadline=None)
@given(streams() | walks(), st.sampled_from((0, 400_000_000, 3 * POINT, RECOVERY_LIMIT_NS)))
def test_every_column_equals_the_slow_reference(records, limit):
    got = found(frame(records), limit=limit).drop("symbol")
    assert got.to_dicts() == reference_shocks(records, limit)


@settings(max_examples=80, deadline=None)
@given(walks(), st.data())
def test_any_chunking_of_a_day_gives_the_same_rows(records, data):
    book = frame(records)
    cuts = data.draw(st.lists(st.integers(0, len(records)), max_size=6))
    assert_frame_equal(found(book, cuts), found(book), check_exact=True)


def test_a_thousand_waiting_shocks_are_carried_in_order():
    records = walk(1, 12_000)
    book = frame(records)
    whole = found(book, limit=10**15)
    assert whole.height > 2000
    assert whole["ts_event"].is_sorted()
    assert_frame_equal(found(book, range(100, book.height, 100), limit=10**15), whole, check_exact=True)


@settings(max_examples=80, deadline=None)
@given(walks(), st.integers(1, 12))
def test_what_comes_later_than_it_is_known_changes_nothing(records, bars):
    book = frame(records)
    seen = book.filter(pl.col("ts_event").to_physical() < (START // BAR + bars) * BAR)
    if seen.is_empty():
        return
    last = seen["ts_event"].to_physical()[-1]
    unknown, waiting = pl.col("known_1s_ts") > last // BAR * BAR + BAR, pl.col("recovered_ts") > last
    expected = (
        found(book)
        .filter(pl.col("ts_event") <= last)
        .with_columns(
            pl.when(~unknown).then(pl.col("depth_after_1s", "recovery_ratio_1s", "known_1s_ts")),
            pl.when(~waiting).then(pl.col("recovered_ts", "refill_ms")),
        )
    )
    assert_frame_equal(found(seen), expected, check_exact=True)


@settings(max_examples=60, deadline=None)
@given(walks())
def test_swapping_the_sides_swaps_the_sides(records):
    there, back = found(frame(records)), found(frame([mirrored(r) for r in records]))
    reflected = back.with_columns(
        resting_side=pl.col("resting_side").replace({"BID": "ASK", "ASK": "BID"}),
        price_tick=2 * MIDDLE + 1 - pl.col("price_tick"),
    )
    order = ["ts_event", "resting_side", "price_tick", "qty_before", "fill_vol"]
    assert_frame_equal(there.drop("price").sort(order), reflected.drop("price").sort(order), check_exact=True)


@settings(max_examples=20, deadline=None)
@given(walks())
def test_the_table_keeps_its_contract(records):
    for out in shocks([frame(records)], SESSION, TICK):
        assert out.schema == contracts.load(TABLE).polars_schema
        contracts.Validator(contracts.load(TABLE)).validate(out)


def test_half_of_the_size_is_a_shock_and_less_is_none():
    assert found(frame([at(0), *buy(1, 4, 4)]))["fill_vol"].to_list() == [4]
    assert found(frame([at(0), *buy(1, 3, 5)])).is_empty()


def test_a_cancel_of_everything_is_no_shock():
    assert found(frame([at(0), at(1, asks=ASKS | {19_201: 0})])).is_empty()


def test_a_shock_that_comes_back_within_the_second():
    refilled = at(1.3, asks=ASKS | {19_201: 5})
    one = found(frame([at(0), *buy(1, 6, 2), at(1.1, asks=ASKS | {19_201: 4}), refilled, at(9)]))
    row = one.row(0, named=True)
    assert (row["resting_side"], row["price_tick"], row["is_best"]) == ("ASK", 19_201, True)
    assert (row["qty_before"], row["fill_vol"], row["qty_after"]) == (8, 6, 2)
    assert (row["depth_before"], row["depth_after_1s"], row["recovery_ratio_1s"]) == (20, 17, 0.85)
    assert row["known_1s_ts"] == START + 2 * POINT
    assert row["refill_ms"] == 300.0


def test_a_record_at_the_very_end_of_the_second_is_not_in_the_depth_after_it():
    row = found(frame([at(0), *buy(1, 8, 0), at(2, asks={19_202: 99})])).row(0, named=True)
    assert row["known_1s_ts"] == START + 2 * POINT
    assert row["depth_after_1s"] == 12


def test_a_shock_in_the_last_second_of_the_last_bar_is_not_measured():
    assert START % BAR == 1.3 * POINT
    row = found(frame([at(0), *buy(2.8, 8, 0), at(3.6, asks={19_202: 12})])).row(0, named=True)
    assert row["known_1s_ts"] is row["depth_after_1s"] is row["recovery_ratio_1s"] is None


def test_the_last_book_stands_to_the_end_of_its_bar():
    """A session cut at a bar's end would otherwise not know of a shock what the bar knew."""
    row = found(frame([at(0), *buy(2.7, 8, 0), at(3, asks={19_202: 12})])).row(0, named=True)
    assert row["known_1s_ts"] == START + 3.7 * POINT
    assert row["depth_after_1s"] == 12


def test_a_recovery_after_the_limit_is_none():
    records = [at(0), *buy(1, 8, 0), at(4, asks=ASKS)]
    assert found(frame(records), limit=3 * POINT)["refill_ms"].to_list() == [3000.0]
    assert found(frame(records), limit=3 * POINT - 1)["refill_ms"].to_list() == [None]


def test_a_hidden_order_that_refills_within_the_event_recovers_at_once():
    gone = at(1, asks=ASKS | {19_201: 0}, flags=0)
    row = found(frame([at(0), trade(1, 8), gone, at(1, asks=ASKS, action="A")])).row(0, named=True)
    assert (row["qty_after"], row["refill_ms"]) == (8, 0.0)


def test_a_sweep_is_a_shock_at_every_price_it_emptied():
    swept = at(1, asks={19_203: 30})
    out = found(frame([at(0), trade(1, 8), trade(1, 12, tick=19_202), swept]))
    assert out["price_tick"].to_list() == [19_201, 19_202]
    assert out["is_best"].to_list() == [True, False]
    assert out["depth_before"].to_list() == [20, 20]


def test_a_cleared_book_ends_the_wait_for_recovery_and_for_depth():
    cleared = at(1.5, {1: 0}, {1: 0}, action="R", side="N")
    row = found(frame([at(0), *buy(1, 8, 0), cleared, at(4)])).row(0, named=True)
    assert row["known_1s_ts"] == START + 2 * POINT
    assert row["depth_after_1s"] is row["recovered_ts"] is None


def test_an_event_that_starts_in_a_cleared_book_has_nothing_to_compare_with():
    cleared, restated = at(0.5, action="R", side="N"), at(1, action="A", flags=0)
    assert found(frame([at(0), cleared, restated, *buy(1, 8, 0)])).is_empty()


def test_an_event_that_was_never_closed_is_no_shock():
    open_event = [trade(1, 8), at(1, asks=ASKS | {19_201: 0}, flags=0)]
    assert found(frame([at(0), *open_event])).is_empty()


def test_a_filled_price_off_the_tick_grid_is_refused():
    with pytest.raises(BookRowsRefused, match="off the tick grid"):
        list(shocks([frame([at(0), *buy(1, 8, 0)])], SESSION, 11 * TICK))
