"""Best bid and offer: one row a change, nothing lost, dwell from it equals the dwell of the book by price."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.transforms.bbo import TABLE, bbo
from footprint_assets.transforms.book_batch import BookRowsRefused
from footprint_assets.transforms.price5s import price5s
from footprint_assets_tests.kernels.bar5s_records import TICK, frame, streams
from footprint_assets_tests.kernels.bar5s_reference import BAR, POINT, transitions
from footprint_assets_tests.kernels.book_walk import MIDDLE, mirrored, walk, walks

SESSION = cme.session(dt.date(2023, 12, 26))


def quotes(book: pl.DataFrame, cuts=()) -> pl.DataFrame:
    edges = [0, *sorted(cuts), book.height]
    parts = [book.slice(a, b - a) for a, b in pairwise(edges)]
    return pl.concat([contracts.load(TABLE).polars_schema.to_frame(), *bbo(parts, SESSION, TICK)])


def best(book, side):
    return book.side(side)[0][0] // TICK if book is not None and book.side(side) else None


@settings(max_examples=150, deadline=None)
@given(streams() | walks())
def test_a_row_is_a_change_of_either_price(records):
    expected, last = [], (None, None)
    for record, _, book in transitions(records):
        now = best(book, "bid"), best(book, "ask")
        if now != last:
            expected.append((record.ts, *now))
        last = now
    out = quotes(frame(records))
    got = out.select(pl.col("ts_event").to_physical(), "bid_tick", "ask_tick").rows()
    assert got == expected
    for side in ("bid", "ask"):
        prices = [None if tick is None else tick * TICK / POINT for tick in out[f"{side}_tick"]]
        assert out[f"{side}_px"].to_list() == prices
    assert out.schema == contracts.load(TABLE).polars_schema
    contracts.Validator(contracts.load(TABLE)).validate(out)


@settings(max_examples=60, deadline=None)
@given(streams() | walks(), st.data())
def test_any_chunking_of_a_day_gives_the_same_rows(records, data):
    book = frame(records)
    cuts = data.draw(st.lists(st.integers(0, len(records)), max_size=6))
    assert_frame_equal(quotes(book, cuts), quotes(book), check_exact=True)


@settings(max_examples=40, deadline=None)
@given(streams() | walks(), st.integers(1, 60))
def test_a_row_does_not_know_what_comes_after(records, many):
    book = frame(records)
    before = quotes(book.head(many))
    assert_frame_equal(before, quotes(book).head(before.height), check_exact=True)


@settings(max_examples=40, deadline=None)
@given(walks())
def test_swapping_the_sides_swaps_bid_and_ask(records):
    there, back = quotes(frame(records)), quotes(frame([mirrored(r) for r in records]))
    assert there["bid_tick"].to_list() == (2 * MIDDLE + 1 - back["ask_tick"]).to_list()
    assert there["ask_tick"].to_list() == (2 * MIDDLE + 1 - back["bid_tick"]).to_list()


@settings(max_examples=40, deadline=None)
@given(walks(40))
def test_the_time_between_the_best_prices_is_the_dwell_of_the_book_by_price(records):
    book = frame(records)
    changes = quotes(book).select(pl.col("ts_event").to_physical(), "bid_tick", "ask_tick").rows()
    end = (records[-1].ts // BAR + 1) * BAR
    dwelt = {}
    for (ts, bid, ask), (until, *_) in pairwise([*changes, (end, None, None)]):
        for tick in range(bid, ask + 1) if bid is not None and ask is not None else ():
            dwelt[tick] = dwelt.get(tick, 0) + until - ts
    table = pl.concat([*price5s([book], SESSION, TICK)]).group_by("price_tick").agg(pl.col("dwell_ns").sum())
    assert {tick: ns for tick, ns in table.iter_rows() if ns} == {t: ns for t, ns in dwelt.items() if ns}


def test_a_best_price_off_the_tick_grid_is_refused():
    with pytest.raises(BookRowsRefused, match="off the tick grid"):
        quotes(frame([replace(walk(0, 1)[0], bids=((MIDDLE * TICK + 1, 1, 1),))]))


def test_no_rows_are_no_rows():
    assert list(bbo([], SESSION, TICK)) == []
