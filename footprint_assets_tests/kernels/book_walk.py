"""A book that moves as the exchange's does: adds, cancels, moves, sweeps with their fills, refills, clears, snapshots."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from footprint_assets_tests.kernels.bar5s_records import F_LAST, F_SNAPSHOT, START, TICK
from footprint_assets_tests.kernels.bar5s_reference import Record

MIDDLE = 19_200
WAITS = (0, 1, 5_000_000, 300_000_000, 1_000_000_000, 2_000_000_000, 7_000_000_000)


@dataclass
class Walk:
    """The whole book, of which records show ten levels a side; prices in ticks, sizes in contracts."""

    rng: random.Random
    ts: int = START
    records: list[Record] = field(default_factory=list)
    bids: dict[int, int] = field(default_factory=lambda: {MIDDLE - k: 3 + k for k in range(14)})
    asks: dict[int, int] = field(default_factory=lambda: {MIDDLE + 1 + k: 3 + k for k in range(14)})

    def record(self, action, side, tick, size, flags=F_LAST):
        bids = tuple((p * TICK, q, 1 + q % 3) for p, q in sorted(self.bids.items(), reverse=True)[:10])
        asks = tuple((p * TICK, q, 1 + q % 3) for p, q in sorted(self.asks.items())[:10])
        price = None if tick is None else tick * TICK
        self.records.append(Record(self.ts, action, side, flags, price, size, bids, asks))

    def side(self):
        """(DBN side, levels, best price first, step into the book) of a random side."""
        if self.rng.random() < 0.5:
            return "B", self.bids, max(self.bids, default=None), -1
        return "A", self.asks, min(self.asks, default=None), 1

    def add(self):
        side, levels, best, step = self.side()
        if best is None:
            best = min(self.asks, default=MIDDLE) - 1 if side == "B" else max(self.bids, default=MIDDLE) + 1
        tick = best + step * self.rng.randint(0, 13)
        inside = best - step
        if self.rng.random() < 0.3 and inside not in self.bids and inside not in self.asks:
            tick = inside
        size = self.rng.randint(1, 9)
        levels[tick] = levels.get(tick, 0) + size
        self.record("A", side, tick, size)

    def cancel(self, action="C"):
        side, levels, _, _ = self.side()
        if levels:
            tick = self.rng.choice(sorted(levels))
            size = self.rng.randint(1, levels[tick])
            self.take(levels, tick, size)
            self.record(action, side, tick, size)

    def move(self):
        """An order changes its price: one record, two prices."""
        side, levels, best, step = self.side()
        if levels:
            old, new = self.rng.choice(sorted(levels)), best + step * self.rng.randint(0, 12)
            size = self.rng.randint(1, levels[old])
            self.take(levels, old, size)
            levels[new] = levels.get(new, 0) + size
            self.record("M", side, new, size)

    def sweep(self):
        side, levels, _, step = self.side()
        best = sorted(levels, reverse=step < 0)[: self.rng.choice((1, 1, 2, 4))]
        filled = [(t, self.rng.choice((levels[t], self.rng.randint(1, levels[t])))) for t in best]
        for tick, size in filled:
            self.record("T", self.rng.choice("NAAA" if side == "B" else "NBBB"), tick, size, flags=0)
        for n, (tick, size) in enumerate(filled):
            self.take(levels, tick, size)
            refilled = self.rng.random() < 0.2
            if refilled:
                self.record("C", side, tick, size, flags=0)
                levels[tick] = levels.get(tick, 0) + self.rng.randint(1, 6)
            last = n == len(filled) - 1 and self.rng.random() < 0.95
            self.record("A" if refilled else "C", side, tick, size, flags=F_LAST if last else 0)

    def restart(self):
        if self.rng.random() < 0.5:
            self.record("R", "N", None, 0)
        if self.rng.random() < 0.5:
            self.take(self.bids, max(self.bids, default=MIDDLE), 10**6)
        self.record("A", "N", None, 0, flags=F_LAST | F_SNAPSHOT)

    def take(self, levels, tick, size):
        levels[tick] = levels.get(tick, 0) - size
        if levels[tick] <= 0:
            del levels[tick]


def walk(seed, size):
    """At least ``size`` records."""
    book = Walk(random.Random(seed))
    book.record("A", "B", MIDDLE, 1)
    kinds = (book.add, book.add, book.cancel, book.move, book.sweep, book.sweep)
    while len(book.records) < size:
        book.ts += book.rng.choice((*WAITS, book.rng.randint(1, 10**9)))
        book.restart() if book.rng.random() < 0.02 else book.rng.choice(kinds)()
        if book.rng.random() < 0.05:
            book.record("N", "N", None, 0)
    return book.records


def walks(longest=60):
    """Strategy of walks; a seed, so that a draw costs no time."""
    return st.builds(walk, st.integers(0, 2**32), st.integers(1, longest))


def mirrored(record):
    """The record with prices reflected and sides swapped."""
    middle = (2 * MIDDLE + 1) * TICK
    bids, asks = (
        tuple((middle - price, size, count) for price, size, count in ladder)
        for ladder in (record.asks, record.bids)
    )
    price = None if record.price is None else middle - record.price
    side = {"A": "B", "B": "A", "N": "N"}[record.side]
    return replace(record, side=side, price=price, bids=bids, asks=asks)
