"""Ladders out of order: every fault alone, and the rule row by row on random books."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels.book_events import UNDEF_PRICE
from footprint_assets.kernels.ladder import broken_ladders

Ladder = list[tuple[int | None, int]]
"""Price, ``None`` where absent, and size of each level."""

BIDS: Ladder = [(-1, 5), (-2, 6), (-3, 7)]
ASKS: Ladder = [(0, 5), (1, 6), (2, 7)]

honest = st.just((None, 0)) | st.tuples(st.integers(-3, 3), st.just(1))
ladders = st.lists(
    honest | st.tuples(st.none() | st.integers(-3, 3), st.integers(0, 1)), min_size=3, max_size=3
)


def found(books: list[tuple[Ladder, Ladder]]) -> list[bool]:
    columns = []
    for ladder in zip(*books, strict=True):
        by_level = list(zip(*ladder, strict=True))
        columns.append(
            tuple(
                np.array([UNDEF_PRICE if px is None else px for px, _ in level], np.int64)
                for level in by_level
            )
        )
        columns.append(tuple(np.array([size for _, size in level], np.int32) for level in by_level))
    return list(broken_ladders(*columns))


def is_broken(ladder: Ladder, direction: int) -> bool:
    """From the definition: what is defined comes first, moves away from the other side, and has a size."""
    prices = [px for px, _ in ladder if px is not None]
    has_hole = any(nearer is None and deeper is not None for (nearer, _), (deeper, _) in pairwise(ladder))
    in_order = all((deeper - nearer) * direction > 0 for nearer, deeper in pairwise(prices))
    return has_hole or not in_order or any((px is not None) != (size > 0) for px, size in ladder)


@given(st.lists(st.tuples(ladders | st.just(BIDS), ladders | st.just(ASKS)), min_size=1, max_size=20))
@settings(deadline=None)
def test_a_row_is_broken_where_one_of_its_ladders_is(books: list[tuple[Ladder, Ladder]]) -> None:
    assert found(books) == [is_broken(bids, -1) or is_broken(asks, 1) for bids, asks in books]


@pytest.mark.parametrize(
    ("bids", "asks", "broken"),
    [
        (BIDS, ASKS, False),
        ([(-1, 5), (None, 0), (None, 0)], ASKS, False),
        (BIDS, [(None, 0), (None, 0), (None, 0)], False),
        ([(-1, 5), (-1, 6), (-3, 7)], ASKS, True),
        ([(-2, 5), (-1, 6), (-3, 7)], ASKS, True),
        ([(None, 0), (-2, 6), (-3, 7)], ASKS, True),
        ([(None, 5), (None, 0), (None, 0)], ASKS, True),
        (BIDS, [(0, 5), (0, 6), (2, 7)], True),
        (BIDS, [(1, 5), (0, 6), (2, 7)], True),
        (BIDS, [(0, 5), (None, 0), (2, 7)], True),
        (BIDS, [(0, 5), (1, 6), (2, 0)], True),
    ],
)
def test_each_fault_breaks_the_row_alone(bids: Ladder, asks: Ladder, broken: bool) -> None:
    assert found([(BIDS, ASKS), (bids, asks), (BIDS, ASKS)]) == [False, broken, False]
