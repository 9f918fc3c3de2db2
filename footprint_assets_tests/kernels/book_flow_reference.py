"""Flow of the book the slow way: dictionaries of what both ladders show, price by price."""

from __future__ import annotations

from dataclasses import dataclass

from footprint_assets_tests.kernels.bar5s_records import F_LAST, F_SNAPSHOT
from footprint_assets_tests.kernels.bar5s_reference import shows, transitions


@dataclass(frozen=True)
class Item:
    """A change of the size resting at one price; prices in 1e-9 points, best None for an empty side."""

    row: int
    side: str
    price: int
    before: int
    added: int
    filled: int
    pulled: int
    best: int | None
    opening: int | None


def best_prices(book):
    """Best price of each side; None for an empty side, or without a book."""
    return {side: book.side(side)[0][0] if book and book.side(side) else None for side in ("bid", "ask")}


def flow_items(records):
    """Every change of every record, bids first, best price first."""
    out, pending, opening = [], {}, None
    for row, (record, before, after) in enumerate(transitions(records)):
        opening = opening or best_prices(before)
        if record.action == "T" and not record.flags & F_SNAPSHOT:
            for resting, aggressor in (("bid", "B"), ("ask", "A")):
                if record.side != aggressor:
                    at = resting, record.price
                    pending[at] = pending.get(at, 0) + record.size
        compared = record.action not in "TNR" and not record.flags & F_SNAPSHOT and before is not None
        for side in ("bid", "ask") if compared else ():
            old, new = ({price: size for price, size, _ in book.side(side)} for book in (before, after))
            for price in sorted({*old, *new}, reverse=side == "bid"):
                seen = all(shows(book.side(side), price, side) for book in (before, after))
                change = new.get(price, 0) - old.get(price, 0) if seen else 0
                if change:
                    filled = min(max(-change, 0), pending.get((side, price), 0))
                    pending[side, price] = pending.get((side, price), 0) - filled
                    pulled = max(-change, 0) - filled
                    size = max(change, 0), filled, pulled
                    best = best_prices(before)[side], opening[side]
                    out.append(Item(row, side, price, old.get(price, 0), *size, *best))
        if record.flags & F_LAST:
            pending, opening = {}, None
    return out
