"""Dwell time against a clock that looks at every nanosecond, with its conservation laws."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels.dwell import NOT_KNOWN, dwell_ns

State = tuple[int, int | None, int | None]
"""Instant, best bid row, best ask row; None where the side is empty."""

quotes = st.tuples(st.integers(0, 6) | st.none(), st.integers(0, 6) | st.none())
books = st.lists(st.tuples(st.integers(0, 20), quotes), max_size=12).map(
    lambda states: [(ts, bid, ask) for ts, (bid, ask) in sorted(states, key=lambda state: state[0])]
)
intervals = st.lists(st.tuples(st.integers(0, 22), st.integers(0, 8)), min_size=1, max_size=5).map(
    lambda spans: [(start, start + length) for start, length in spans]
)
ROWS = list(range(-1, 8))


def dwell(book: list[State], spans: list[tuple[int, int]], rows: list[int] = ROWS) -> list[list[int]]:
    ts, bid, ask = (
        np.array([0 if state[i] is None else state[i] for state in book], np.int64) for i in range(3)
    )
    two_sided = np.array([None not in state for state in book], np.bool_)
    start, end = np.array(spans, np.int64).T.copy()
    offsets = np.arange(len(spans) + 1) * len(rows)
    found = dwell_ns(ts, bid, ask, two_sided, start, end, offsets, np.array(rows * len(spans), np.int64))
    return found.reshape(len(spans), len(rows)).tolist()


def state_at(book: list[State], instant: int) -> State | None:
    return next((state for state in reversed(book) if state[0] <= instant), None)


def slow_dwell(book: list[State], start: int, end: int) -> list[int]:
    seen = [state_at(book, instant) for instant in range(start, max(end, start + 1))]
    known = [(s[1], s[2]) for s in seen if s is not None and s[1] is not None and s[2] is not None]
    if not known:
        return [NOT_KNOWN] * len(ROWS)
    return [sum(bid <= row <= ask for bid, ask in known) * (end > start) for row in ROWS]


@settings(deadline=None)  # the first call compiles
@given(books, intervals)
def test_dwell_equals_a_look_at_every_nanosecond(book: list[State], spans: list[tuple[int, int]]) -> None:
    assert dwell(book, spans) == [slow_dwell(book, *span) for span in spans]


@settings(deadline=None)  # the first call compiles
@given(books, st.lists(st.integers(0, 25), min_size=3, max_size=6, unique=True).map(sorted))
def test_dwell_adds_up_over_consecutive_intervals(book: list[State], cuts: list[int]) -> None:
    parts = dwell(book, list(pairwise(cuts)))
    (whole,) = dwell(book, [(cuts[0], cuts[-1])])
    known = [part for part in parts if part[0] != NOT_KNOWN]
    assert whole == (
        [sum(column) for column in zip(*known, strict=True)] if known else [NOT_KNOWN] * len(ROWS)
    )


@settings(deadline=None)  # the first call compiles
@given(books, st.integers(0, 10), st.integers(1, 15))
def test_over_all_rows_dwell_is_the_quoted_width_times_its_time(
    book: list[State], start: int, length: int
) -> None:
    (found,) = dwell(book, [(start, start + length)])
    expected = 0
    for instant in range(start, start + length):
        state = state_at(book, instant)
        if state is not None and state[1] is not None and state[2] is not None:
            expected += max(state[2] - state[1] + 1, 0)
    assert sum(found) == expected or (expected == 0 and found[0] == NOT_KNOWN)
    assert max(found) <= length


@settings(deadline=None)  # the first call compiles
@given(books, st.integers(0, 20), st.integers(0, 8))
def test_mirrored_quotes_mirror_dwell(book: list[State], start: int, length: int) -> None:
    mirrored = [(ts, None if ask is None else -ask, None if bid is None else -bid) for ts, bid, ask in book]
    turned = dwell(mirrored, [(start, start + length)], [-row for row in ROWS])
    assert turned == dwell(book, [(start, start + length)])


def test_a_crossed_book_encloses_no_price_and_is_known() -> None:
    assert dwell([(0, 4, 3)], [(0, 10)], [3, 4]) == [[0, 0]]


def test_a_bar_of_one_instant_dwells_nowhere_in_a_book_it_knows() -> None:
    assert dwell([(0, 3, 4)], [(5, 5)], [3]) == [[0]]
    assert dwell([(6, 3, 4)], [(5, 5)], [3]) == [[NOT_KNOWN]]


def test_without_a_state_nothing_is_known() -> None:
    assert dwell([], [(0, 9)], [3]) == [[NOT_KNOWN]]


def test_quotes_that_held_for_no_time_are_not_known() -> None:
    assert dwell([(0, None, 4), (5, 3, 4), (5, None, 4)], [(1, 9)], [3]) == [[NOT_KNOWN]]
