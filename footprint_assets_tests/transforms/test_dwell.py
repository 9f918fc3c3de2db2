"""Dwell time of footprint and profile rows: attachment, tall rows, what is not known."""

from __future__ import annotations

import polars as pl
import pytest

from footprint_assets.transforms.dwell import dwell
from footprint_assets_tests.transforms.profile_frames import BBO_SCHEMA, SESSION, quotes
from footprint_assets_tests.transforms.trade_frames import SECOND, at

OPEN = at(SESSION, "10:00")
INSTANT = pl.Datetime("ns", "UTC")


def cells(*rows: tuple[int, int, float]) -> pl.DataFrame:
    """Start and end (s after 10:00) and lowest price of each row."""
    return pl.DataFrame(
        {
            "bar_ts": pl.Series([OPEN + start * SECOND for start, *_ in rows]).cast(INSTANT),
            "bar_end_ts": pl.Series([OPEN + end * SECOND for _, end, _ in rows]).cast(INSTANT),
            "price_tick": pl.Series([round(price * 4) for *_, price in rows], dtype=pl.Int32),
        }
    )


BOOK = quotes(SESSION, ("10:00", 100.0, 100.25), ("10:00:04", 100.25, 100.75), ("10:01", None, 100.75))


def seconds(
    rows: pl.DataFrame, ticks_per_row: int = 1, book: pl.DataFrame | None = BOOK
) -> list[float | None]:
    found = dwell(book, rows, ticks_per_row)
    assert (found.name, found.dtype) == ("dwell_ns", pl.Int64)
    return [None if ns is None else ns / SECOND for ns in found.to_list()]


def test_a_row_dwells_while_the_best_quotes_enclose_it() -> None:
    bar = [(0, 5, price) for price in (99.75, 100.0, 100.25, 100.5, 100.75, 101.0)]
    assert seconds(cells(*bar)) == [0, 4, 5, 1, 1, 0]


def test_bars_of_several_types_stand_below_each_other() -> None:
    rows = cells((0, 5, 100.0), (0, 5, 100.5), (0, 60, 100.0), (0, 60, 100.5), (3, 5, 100.0))
    assert seconds(rows) == [4, 1, 4, 56, 1]


def test_a_tall_row_dwells_while_any_of_its_ticks_is_enclosed() -> None:
    assert seconds(cells((0, 5, 100.0), (0, 5, 101.0)), ticks_per_row=4) == [5, 0]
    assert seconds(cells((0, 5, 99.0), (0, 5, 100.0)), ticks_per_row=2) == [0, 5]


def test_crossed_quotes_inside_a_tall_row_enclose_nothing() -> None:
    crossed = quotes(SESSION, ("10:00", 100.5, 100.25))
    assert seconds(cells((0, 5, 100.0)), ticks_per_row=4, book=crossed) == [0]


def test_negative_prices_have_rows_too() -> None:
    book = quotes(SESSION, ("10:00", -0.25, 0.0))
    assert seconds(cells((0, 5, -1.0), (0, 5, 0.0)), ticks_per_row=4, book=book) == [5, 5]


def test_a_one_sided_book_is_not_known() -> None:
    assert seconds(cells((60, 65, 100.5), (58, 65, 100.5))) == [None, 2]


@pytest.mark.parametrize("book", [None, BBO_SCHEMA.to_frame(), quotes(SESSION, ("10:02", 100.0, 100.25))])
def test_without_a_book_dwell_is_null(book: pl.DataFrame | None) -> None:
    assert seconds(cells((0, 60, 100.0)), book=book) == [None]


def test_no_rows_have_no_dwell() -> None:
    assert seconds(cells()) == []


def test_bars_of_a_type_add_up_to_the_bar_that_spans_them() -> None:
    prices = [99.75 + i / 4 for i in range(6)]
    parts = [seconds(cells(*[(start, start + 7, price) for price in prices])) for start in range(0, 56, 7)]
    whole = seconds(cells(*[(0, 56, price) for price in prices]))
    assert whole == [sum(part[i] or 0 for part in parts) for i in range(6)]
