"""Items of flow: the reference, the clean book's own split, any chunking, the changed levels."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import calendar as cme
from footprint_assets.kernels.book_events import UNDEF_PRICE, BookEventState
from footprint_assets.kernels.book_flow import BookFlow, book_flow
from footprint_assets.transforms.book import with_book_events
from footprint_assets.transforms.book_batch import BookReader
from footprint_assets_tests.kernels.bar5s_records import frame, streams
from footprint_assets_tests.kernels.bar5s_reference import transitions
from footprint_assets_tests.kernels.book_flow_reference import flow_items
from footprint_assets_tests.kernels.book_walk import walks
from footprint_assets_tests.transforms.real_book import TRADE_DATE, clean_hour

QUANTITIES = ("added", "filled", "pulled")


def flow(rows: pl.DataFrame, cuts=()) -> BookFlow:
    """The flow of some clean book rows, in chunks, put together again."""
    b, state, parts = BookReader(cme.session(TRADE_DATE)).read(rows), BookEventState(), []
    for first, end in pairwise([0, *sorted(cuts), len(b)]):
        s = slice(first, end)
        ladder = b.px[:, :, s].copy(), b.sz[:, :, s].copy()
        part = book_flow(b.action[s], b.side[s], b.flags[s], b.price[s], b.size[s], *ladder, state)
        part.row[:] += first
        part.moved[:] += first
        parts.append(part)
    return BookFlow(*(np.concatenate([getattr(p, f.name) for p in parts], axis=-1) for f in fields(BookFlow)))


@settings(max_examples=150, deadline=None)
@given(streams() | walks())
def test_the_items_equal_the_plain_reference(records):
    got, expected = flow(frame(records)), flow_items(records)
    assert len(got) == len(expected)
    for name in ("row", "price", "before", *QUANTITIES):
        assert getattr(got, name).tolist() == [getattr(item, name) for item in expected], name
    assert got.side.tolist() == [("bid", "ask").index(item.side) for item in expected]
    for name in ("best", "opening"):
        prices = [getattr(item, name) for item in expected]
        assert getattr(got, name).tolist() == [UNDEF_PRICE if p is None else p for p in prices], name


@settings(max_examples=100, deadline=None)
@given(streams() | walks())
def test_the_items_of_a_record_add_up_to_the_clean_books_split(records):
    rows = frame(records)
    got, clean = flow(rows), with_book_events(rows, BookEventState())
    assert sums(got, len(records)) == {name: clean[f"{name}_qty"].to_list() for name in QUANTITIES}


def sums(got: BookFlow, records: int) -> dict[str, list[int]]:
    total = {name: np.zeros(records, np.int64) for name in QUANTITIES}
    for name in QUANTITIES:
        np.add.at(total[name], got.row, getattr(got, name))
    return {name: values.tolist() for name, values in total.items()}


@settings(max_examples=100, deadline=None)
@given(streams() | walks(), st.data())
def test_any_chunking_gives_the_same_flow(records, data):
    rows = frame(records)
    cuts = data.draw(st.lists(st.integers(0, len(records)), max_size=6))
    whole, cut = flow(rows), flow(rows, cuts)
    for f in fields(BookFlow):
        assert np.array_equal(getattr(whole, f.name), getattr(cut, f.name)), f.name


@settings(max_examples=100, deadline=None)
@given(streams() | walks())
def test_a_level_differs_where_its_price_or_size_is_another(records):
    got = flow(frame(records)).differs
    for n, (record, before, after) in enumerate(transitions(records)):
        for s, side in enumerate(("bid", "ask")):
            expected = (1 << 10) - 1
            if record.action in "TN":
                expected = 0
            elif before is not None and after is not None:
                old, new = (
                    [level[:2] for level in book.side(side)] + [None] * (10 - len(book.side(side)))
                    for book in (before, after)
                )
                expected = sum(1 << k for k in range(10) if old[k] != new[k])
            assert got[s, n] == expected


@settings(max_examples=100, deadline=None)
@given(streams() | walks())
def test_a_record_moves_the_book_where_a_price_is_another_or_there_was_none(records):
    moved = []
    for n, (record, before, after) in enumerate(transitions(records)):
        prices = [
            book and [[price for price, *_ in book.side(side)] for side in ("bid", "ask")]
            for book in (before, after)
        ]
        if record.action not in "TN" and (None in prices or prices[0] != prices[1]):
            moved.append(n)
    assert flow(frame(records)).moved.tolist() == moved


@pytest.mark.realdata
def test_every_change_of_the_first_globex_hour_of_26_december_2023_is_told_apart(real_data, tmp_path):
    rows = clean_hour(real_data, tmp_path / "lake")
    got = flow(rows, range(4096, rows.height, 4096))
    assert sums(got, rows.height) == {name: rows[f"{name}_qty"].to_list() for name in QUANTITIES}
    assert sum(rows["filled_qty"]) > 5000
