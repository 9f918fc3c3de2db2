"""Event groups and the split of every size change into added, filled and pulled."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels.book_events import F_LAST, F_SNAPSHOT, UNDEF_PRICE, BookEventState
from footprint_assets.transforms.book import book_events

TICK = 250_000_000


@dataclass
class Rows:
    """Book records written as a person would: ladders as {price in ticks: size}, best first."""

    action: list[int] = field(default_factory=list)
    side: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    price: list[int] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    ladders: list[tuple[dict[int, int], dict[int, int]]] = field(default_factory=list)

    def add(self, action, side, price, size, bids, asks, flags=F_LAST):
        self.action.append(ord(action))
        self.side.append(ord(side))
        self.flags.append(flags)
        self.price.append(price * TICK)
        self.size.append(size)
        self.ladders.append((bids, asks))
        return self

    def arrays(self):
        n = len(self.action)
        price = np.full((2, 10, n), UNDEF_PRICE, np.int64)
        size = np.zeros((2, 10, n), np.int32)
        for i, ladder in enumerate(self.ladders):
            for s, levels in enumerate(ladder):
                order = sorted(levels, reverse=s == 0)[:10]
                for k, p in enumerate(order):
                    price[s, k, i], size[s, k, i] = p * TICK, levels[p]
        return (
            np.array(self.action, np.uint8),
            np.array(self.side, np.uint8),
            np.array(self.flags, np.int16),
            np.array(self.price, np.int64),
            np.array(self.size, np.int64),
            price,
            size,
        )


def run(rows: Rows, chunk: int | None = None):
    arrays, state = rows.arrays(), BookEventState()
    step = chunk or len(rows.action)
    out = [
        book_events(*(np.ascontiguousarray(a[..., at : at + step]) for a in arrays), state)
        for at in range(0, len(rows.action), step)
    ]
    return [np.concatenate(column) for column in zip(*out, strict=True)]


BIDS, ASKS = {100: 10, 99: 20}, {101: 8, 102: 12}


def test_an_add_is_added_and_a_cancel_without_a_trade_is_pulled():
    rows = Rows().add("A", "B", 100, 10, BIDS, ASKS)
    rows.add("A", "B", 100, 5, BIDS | {100: 15}, ASKS).add(
        "C", "A", 101, 3, BIDS | {100: 15}, ASKS | {101: 5}
    )
    _, filled, pulled, added = run(rows)
    assert added.tolist() == [0, 5, 0]
    assert filled.tolist() == [0, 0, 0]
    assert pulled.tolist() == [0, 0, 3]


def test_a_removal_after_a_trade_of_the_same_event_is_a_fill_and_the_rest_a_pull():
    rows = Rows().add("A", "B", 100, 10, BIDS, ASKS).add("T", "B", 101, 3, BIDS, ASKS, flags=0)
    rows.add("M", "A", 101, 5, BIDS, ASKS | {101: 3})
    group, filled, pulled, _ = run(rows)
    assert filled.tolist() == [0, 0, 3]
    assert pulled.tolist() == [0, 0, 2]
    assert group.tolist() == [0, 1, 1]


def test_a_trade_of_an_earlier_event_group_explains_nothing():
    rows = Rows().add("A", "B", 100, 10, BIDS, ASKS).add("T", "B", 101, 3, BIDS, ASKS, flags=F_LAST)
    rows.add("C", "A", 101, 3, BIDS, ASKS | {101: 5})
    _, filled, pulled, _ = run(rows)
    assert (filled.sum(), pulled.sum()) == (0, 3)


def test_one_record_that_closes_a_sweep_of_two_prices_fills_both():
    rows = Rows().add("A", "B", 100, 10, BIDS, ASKS).add("T", "B", 101, 8, BIDS, ASKS, flags=0)
    rows.add("T", "B", 102, 2, BIDS, ASKS, flags=0).add("M", "A", 102, 10, BIDS, {102: 10})
    _, filled, pulled, _ = run(rows)
    assert (filled.sum(), pulled.sum()) == (10, 0)


def test_a_side_n_auction_print_fills_both_sides():
    rows = Rows().add("A", "B", 100, 10, {101: 5, 99: 20}, {100: 4, 102: 12})
    rows.add("T", "N", 101, 5, {101: 5, 99: 20}, {101: 5, 102: 12}, flags=0)
    rows.add("C", "N", 101, 5, {99: 20}, {102: 12})
    _, filled, _, _ = run(rows)
    assert filled[-1] == 5


def test_a_level_that_slides_into_sight_is_neither_add_nor_pull():
    deep = {100 - k: 10 for k in range(10)}
    moved = {100 - k: 10 for k in range(1, 11)}
    rows = Rows().add("A", "B", 100, 10, deep, ASKS).add("C", "B", 100, 10, moved, ASKS)
    _, _, pulled, added = run(rows)
    assert added.tolist() == [0, 0]
    assert pulled.tolist() == [0, 10]


def test_a_snapshot_and_the_first_record_after_a_clear_are_no_flow():
    rows = (
        Rows()
        .add("A", "B", 100, 10, BIDS, ASKS)
        .add("A", "B", 100, 10, {100: 99}, ASKS, flags=F_LAST | F_SNAPSHOT)
    )
    rows.add("R", "N", 0, 0, {}, {}).add("A", "B", 100, 10, BIDS, ASKS)
    _, filled, pulled, added = run(rows)
    assert added.sum() == filled.sum() == pulled.sum() == 0


ladder = st.dictionaries(st.integers(80, 120), st.integers(1, 50), max_size=14)
record = st.tuples(
    st.sampled_from("ACMTRN"), st.sampled_from("ABN"), st.integers(80, 120), st.integers(1, 60), ladder, ladder,
    st.sampled_from([0, F_LAST, F_LAST | F_SNAPSHOT]),
)  # fmt: skip


def reference(rows: Rows):  # noqa: C901 - one loop that reads like the rule
    """The rule in the plainest words: compare what both ladders show, price by price."""
    out, group, pending, before = [], 0, {}, None
    for i, action in enumerate(map(chr, rows.action)):
        side, price, size = chr(rows.side[i]), rows.price[i] // TICK, rows.size[i]
        snapshot, filled, pulled, added = bool(rows.flags[i] & F_SNAPSHOT), 0, 0, 0
        if action == "T":
            if not snapshot:
                for resting, aggressor in ((0, "B"), (1, "A")):
                    if side != aggressor:
                        pending[resting, price] = pending.get((resting, price), 0) + size
        elif action != "N":
            shown = [sorted(levels.items(), reverse=s == 0)[:10] for s, levels in enumerate(rows.ladders[i])]
            if action != "R" and not snapshot and before is not None:
                for s in (0, 1):
                    old, new = dict(before[s]), dict(shown[s])
                    for p in sorted({*old, *new}):
                        sees = [
                            len(x) < 10 or (p >= x[-1][0] if s == 0 else p <= x[-1][0])
                            for x in (before[s], shown[s])
                        ]
                        change = new.get(p, 0) - old.get(p, 0) if all(sees) else 0
                        if change > 0:
                            added += change
                        else:
                            took = min(-change, pending.get((s, p), 0))
                            if took:
                                pending[s, p] -= took
                            filled += took
                            pulled += -change - took
            before = None if action == "R" else shown
        out.append((group, filled, pulled, added))
        if rows.flags[i] & F_LAST:
            group, pending = group + 1, {}
    return [np.array(column) for column in zip(*out, strict=True)]


@settings(max_examples=300, deadline=None)
@given(st.lists(record, min_size=1, max_size=25), st.integers(1, 5))
def test_the_kernel_equals_the_plain_reference_in_any_chunking(records, chunk):
    rows = Rows()
    for action, side, price, size, bids, asks, flags in records:
        rows.add(action, side, price, size, bids, asks, flags)
    expected = reference(rows)
    for got in (run(rows), run(rows, chunk)):
        for a, b in zip(got, expected, strict=True):
            assert a.tolist() == b.tolist()
