"""The book by price: the slow reference, conservation, causality, symmetry, and what a person would check by hand."""

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
from footprint_assets.kernels.book_events import BookEventState
from footprint_assets.transforms.bar5s import bar5s
from footprint_assets.transforms.book import with_book_events
from footprint_assets.transforms.book_batch import BookRowsRefused
from footprint_assets.transforms.price5s import TABLE, price5s
from footprint_assets_tests.kernels.bar5s_records import F_LAST, F_SNAPSHOT, START, TICK, frame, streams
from footprint_assets_tests.kernels.bar5s_reference import BAR, POINT, Record
from footprint_assets_tests.kernels.book_walk import MIDDLE, mirrored, walks
from footprint_assets_tests.transforms.price5s_reference import reference_rows

SESSION = cme.session(dt.date(2023, 12, 26))
SIDES = ("bid", "ask")
FLOWS = {"add": "added_qty", "pull": "pulled_qty", "fill": "filled_qty"}


def rows(book: pl.DataFrame, cuts=()) -> pl.DataFrame:
    edges = [0, *sorted(cuts), book.height]
    parts = [book.slice(a, b - a) for a, b in pairwise(edges)]
    empty = contracts.load(TABLE).polars_schema.to_frame()
    return pl.concat([empty, *price5s(parts, SESSION, TICK)])


def at(second, bids, asks, action="A", side="B", tick=19_200, size=1, flags=F_LAST):
    """A record some seconds after the start of a bar; ladders as {tick: size}, one order each."""
    ladders = (
        tuple((p * TICK, q, 1) for p, q in sorted(bids.items(), reverse=True)),
        tuple((p * TICK, q, 1) for p, q in sorted(asks.items())),
    )
    return Record(
        START // BAR * BAR + round(second * POINT), action, side, flags, tick * TICK, size, *ladders
    )


def row(out, tick, bar=0):
    return out.filter(
        pl.col("price_tick") == tick, pl.col("bar_ts").to_physical() == START // BAR * BAR + bar * BAR
    ).row(0, named=True)


BIDS, ASKS = {19_200: 10, 19_199: 20}, {19_201: 8, 19_202: 12}


@settings(max_examples=120, deadline=None)
@given(streams() | walks(40))
def test_every_column_equals_the_slow_reference(records):
    out = rows(frame(records)).with_columns(pl.col("bar_ts").to_physical()).drop("symbol", "price")
    got = {(r.pop("bar_ts"), r.pop("price_tick")): r for r in out.iter_rows(named=True)}
    expected = reference_rows(records)
    assert [*got] == sorted(expected)
    for key, wanted in expected.items():
        assert got[key] == wanted, key


@settings(max_examples=60, deadline=None)
@given(streams() | walks(), st.data())
def test_any_chunking_of_a_day_gives_the_same_bits(records, data):
    book = frame(records)
    cuts = data.draw(st.lists(st.integers(0, len(records)), max_size=6))
    assert_frame_equal(rows(book, cuts), rows(book), check_exact=True)


@settings(max_examples=60, deadline=None)
@given(streams() | walks(), st.integers(0, 20))
def test_bars_before_a_cut_do_not_know_what_comes_after(records, nth):
    book = frame(records)
    cut = (START // BAR + 1 + nth) * BAR
    whole = rows(book).filter(pl.col("bar_ts").to_physical() < cut)
    before = book.filter(pl.col("ts_event").to_physical() < cut)
    assert_frame_equal(rows(before), whole.head(rows(before).height), check_exact=True)


@settings(max_examples=60, deadline=None)
@given(streams() | walks())
def test_the_flow_of_a_bar_adds_up_to_the_clean_books(records):
    book = frame(records)
    out = rows(book).with_columns(pl.col("bar_ts").to_physical())
    clean = with_book_events(book, BookEventState()).with_columns(
        bar_ts=pl.col("ts_event").to_physical() // BAR * BAR
    )
    for name, source in FLOWS.items():
        expected = dict(clean.group_by("bar_ts").agg(pl.col(source).sum()).iter_rows())
        total = pl.sum_horizontal(pl.col(f"{side}_{name}_vol") for side in SIDES)
        got = dict(out.group_by("bar_ts").agg(total.sum()).iter_rows())
        assert {bar: v for bar, v in got.items() if v} == {bar: v for bar, v in expected.items() if v}, name


@settings(max_examples=60, deadline=None)
@given(walks())
def test_a_price_in_sight_keeps_what_was_added_less_what_was_pulled_and_filled(records):
    apart = [replace(record, ts=record.ts + n) for n, record in enumerate(records)]
    out = rows(frame(apart)).with_columns(pl.col("bar_ts").to_physical())
    restated = {r.ts // BAR * BAR for r in apart if r.action == "R" or r.flags & F_SNAPSHOT}
    at_end = {(r["bar_ts"], r["price_tick"]): r for r in out.iter_rows(named=True)}
    for (bar, tick), now in at_end.items():
        then = at_end.get((bar - BAR, tick))
        if then is None or not then["is_visible_eob"] or now["visible_ns"] < BAR or bar in restated:
            continue
        for side in SIDES:
            net = now[f"{side}_add_vol"] - now[f"{side}_pull_vol"] - now[f"{side}_fill_vol"]
            assert now[f"{side}_qty_eob"] - then[f"{side}_qty_eob"] == net


@settings(max_examples=40, deadline=None)
@given(walks())
def test_swapping_the_sides_swaps_the_columns(records):
    there, back = rows(frame(records)), rows(frame([mirrored(r) for r in records]))
    swapped = {f"{a}_{n[4:]}": n for a, b in (SIDES, SIDES[::-1]) for n in there.columns if n.startswith(b)}
    reflected = back.rename({old: new for new, old in swapped.items()}).with_columns(
        price_tick=2 * MIDDLE + 1 - pl.col("price_tick")
    )
    same = there.columns.copy()
    same.remove("price")
    assert_frame_equal(
        there.select(same), reflected.select(same).sort("bar_ts", "price_tick"), check_exact=True
    )


@settings(max_examples=20, deadline=None)
@given(walks())
def test_the_table_keeps_its_contract_and_its_bounds(records):
    book = frame(records)
    out = rows(book)
    contract = contracts.load(TABLE)
    assert out.schema == contract.polars_schema
    contracts.Validator(contract).validate(out)
    assert {*out["bar_ts"]} <= {*pl.concat([*bar5s([book], SESSION, TICK)])["bar_ts"]}
    assert (out["dwell_ns"] <= out["visible_ns"]).all()
    for side in SIDES:
        largest = out[f"{side}_max_qty"].fill_null(0) * out["visible_ns"]
        assert (out[f"{side}_qty_ns"] <= largest).all()


def test_size_is_summed_over_the_time_it_was_shown():
    out = rows(frame([at(0, BIDS, ASKS), at(2, BIDS | {19_200: 4}, ASKS), at(4.5, BIDS, ASKS)]))
    best = row(out, 19_200)
    assert best["bid_qty_ns"] == (10 * 2 + 4 * 2.5 + 10 * 0.5) * POINT
    assert best["bid_max_qty"] == best["bid_qty_eob"] == 10
    assert (best["bid_add_vol"], best["bid_pull_vol"], best["bid_add_cnt"]) == (6, 6, 2)
    assert best["price"] == 4800.0


def test_a_bar_without_a_record_repeats_the_ladder():
    out = rows(frame([at(0, BIDS, ASKS), at(11, BIDS, ASKS)]))
    empty = row(out, 19_200, bar=1)
    assert empty["visible_ns"] == empty["dwell_ns"] == BAR
    assert empty["bid_qty_ns"] == 10 * BAR
    assert empty["bid_add_cnt"] == empty["bid_add_vol"] == 0
    assert out.height == 3 * 4


def test_a_fill_is_told_from_a_pull_at_its_own_price():
    out = rows(
        frame(
            [
                at(0, BIDS, ASKS),
                at(1, BIDS, ASKS, action="T", side="B", tick=19_201, size=5, flags=0),
                at(1, BIDS, ASKS | {19_201: 2}, action="C", side="A", tick=19_201, size=6),
            ]
        )
    )
    asks = row(out, 19_201)
    assert (asks["ask_fill_vol"], asks["ask_pull_vol"], asks["ask_cancel_cnt"]) == (5, 1, 1)


def test_an_empty_price_in_sight_is_0_and_a_price_out_of_sight_is_null():
    wide = at(0, {19_200: 10, 19_195: 20}, ASKS)
    out = rows(frame([wide, at(1, {19_200: 10}, ASKS)]))
    gap = row(out, 19_197)
    assert (gap["is_visible_eob"], gap["visible_ns"], gap["bid_qty_eob"]) == (False, POINT, None)
    assert (gap["bid_max_qty"], gap["bid_qty_ns"]) == (0, 0)
    assert row(out, 19_195)["bid_pull_vol"] == 20
    touch = row(out, 19_201)
    assert (touch["bid_qty_eob"], touch["bid_ct_eob"], touch["ask_qty_eob"]) == (0, 0, 8)


def test_the_spread_is_dwelt_in_with_its_two_edges():
    out = rows(frame([at(0, {19_200: 1, 19_199: 1}, {19_202: 1}), at(3, {19_200: 1}, {19_201: 1})]))
    dwelt = {r["price_tick"]: r["dwell_ns"] // POINT for r in out.iter_rows(named=True)}
    assert dwelt == {19_199: 0, 19_200: 5, 19_201: 5, 19_202: 3}


def test_an_unknown_book_has_no_row():
    out = rows(
        frame([at(0, {}, {}, action="R"), at(6, BIDS, ASKS), at(8, {}, {}, action="R"), at(16, {}, {}, "R")])
    )
    assert {*out["bar_ts"].to_physical()} == {START // BAR * BAR + BAR}
    assert row(out, 19_200, bar=1)["visible_ns"] == 2 * POINT


def test_stub_quotes_far_from_the_market_are_not_counted():
    out = rows(frame([at(0, BIDS | {4: 1}, ASKS), at(1, BIDS | {4: 2}, ASKS), at(2, {4: 2}, {90_000: 1})]))
    assert out["price_tick"].to_list() == [19_199, 19_200, 19_201, 19_202]
    assert row(out, 19_200)["visible_ns"] == 2 * POINT


def test_prices_off_the_tick_grid_are_refused():
    with pytest.raises(BookRowsRefused, match="off the tick grid"):
        rows(frame([replace(at(0, BIDS, ASKS), bids=((19_200 * TICK + 1, 1, 1),))]))


def test_a_book_that_jumps_across_the_world_within_a_bar_is_refused():
    with pytest.raises(BookRowsRefused, match="within one bar"):
        rows(frame([at(0, BIDS, ASKS), at(1, {50_000: 1}, {50_001: 1})]))


def test_no_rows_are_no_rows():
    assert list(price5s([], SESSION, TICK)) == []
