"""The book pass: one reading gives what every table gives by itself, whatever the cut into frames."""

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
from footprint_assets.transforms.bar5s import TABLE as BAR5S
from footprint_assets.transforms.bar5s import bar5s
from footprint_assets.transforms.book_batch import BookRowsRefused, book_batches
from footprint_assets.transforms.book_pass import STREAMS, book_pass
from footprint_assets_tests.kernels.bar5s_records import START, TICK, frame, random_stream

SESSION = cme.session(dt.date(2023, 12, 26))


def tables(rows: pl.DataFrame, cuts=()) -> dict[str, pl.DataFrame]:
    edges = [0, *sorted(cuts), rows.height]
    found: dict[str, list[pl.DataFrame]] = {}
    for key, part in book_pass((rows.slice(a, b - a) for a, b in pairwise(edges)), SESSION, TICK):
        assert part.height
        found.setdefault(key, []).append(part)
    return {key: pl.concat(parts) for key, parts in found.items()}


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 30), st.data())
def test_any_cut_into_frames_gives_the_same_tables(seed, size, data):
    rows = frame(random_stream(seed, size))
    cuts = data.draw(st.lists(st.integers(0, rows.height), max_size=4))
    whole, parts = tables(rows), tables(rows, cuts)
    assert whole.keys() == parts.keys()
    for key, table in whole.items():
        assert_frame_equal(parts[key], table, check_exact=True)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 30))
def test_the_pass_gives_what_each_stream_gives_alone(seed, size):
    rows = frame(random_stream(seed, size))
    together = tables(rows)
    assert_frame_equal(together[BAR5S], pl.concat(list(bar5s([rows], SESSION, TICK))))
    for keys, opened in STREAMS.items():
        stream = opened(TICK)
        frames = [*map(stream.push, book_batches([rows], SESSION)), stream.finish()]
        for j, key in enumerate(keys):
            alone = pl.concat(f if isinstance(f, pl.DataFrame) else f[j] for f in frames)
            assert alone.schema == contracts.load(key).polars_schema
            assert_frame_equal(together.get(key, alone.clear()), alone)


def test_no_rows_are_no_tables():
    rows = frame(random_stream(1, 5))
    assert list(book_pass([], SESSION, TICK)) == []
    assert list(book_pass([rows.clear()], SESSION, TICK)) == []


def test_frames_out_of_order_are_refused_before_any_table_sees_them():
    rows = frame([r for r in random_stream(3, 20) if r.ts > START])
    with pytest.raises(BookRowsRefused, match="event order"):
        list(book_pass([rows.tail(1), rows.head(1)], SESSION, TICK))
