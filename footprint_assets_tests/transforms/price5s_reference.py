"""The book by price the slow way: every bar by itself, every state at every tick."""

from __future__ import annotations

from footprint_assets_tests.kernels.bar5s_records import F_SNAPSHOT, TICK
from footprint_assets_tests.kernels.bar5s_reference import BAR, transitions
from footprint_assets_tests.kernels.book_flow_reference import flow_items

REACH = 1024


def levels(book, side):
    """{tick: (size, orders)} of the levels that count."""
    if book is None:
        return {}
    best = {s: book.side(s)[0][0] // TICK for s in ("bid", "ask") if book.side(s)}
    if len(best) == 2 and abs(best["ask"] - best["bid"]) > REACH:
        return {}
    return {
        price // TICK: (size, count)
        for price, size, count in book.side(side)
        if abs(price // TICK - best[side]) <= REACH
    }


def sight(book):
    """The ticks in sight."""
    shown = {*levels(book, "bid"), *levels(book, "ask")}
    return range(min(shown), max(shown) + 1) if shown else range(0)


def dwell(book):
    bids, asks = levels(book, "bid"), levels(book, "ask")
    return range(max(bids), min(asks) + 1) if bids and asks else range(0)


def reference_rows(records):
    """{(bar start, tick): row} with the table's column names."""
    steps, items = transitions(records), {}
    for item in flow_items(records):
        items.setdefault(item.row, []).append(item)
    out = {}
    for bar in range(records[0].ts // BAR, records[-1].ts // BAR + 1):
        start, end = bar * BAR, (bar + 1) * BAR
        inside = [n for n, (record, _, _) in enumerate(steps) if start <= record.ts < end]
        book = next((after for record, _, after in reversed(steps) if record.ts < start), None)
        states, since = [], start
        for n in inside:
            states.append((book, records[n].ts - since))
            book, since = steps[n][2], records[n].ts
        states.append((book, end - since))
        seen = [tick for state, _ in states for tick in sight(state)]
        for tick in range(min(seen), max(seen) + 1) if seen else ():
            out[start, tick] = row_of(tick, states, book)
        for n in inside:
            record, before, after = steps[n]
            near = {*sight(before), *sight(after)}
            for item in items.get(n, ()):
                if item.price // TICK in near:
                    row = out[start, item.price // TICK]
                    row[f"{item.side}_add_vol"] += item.added
                    row[f"{item.side}_pull_vol"] += item.pulled
                    row[f"{item.side}_fill_vol"] += item.filled
            kind = {"A": "add", "C": "cancel", "M": "modify"}.get(record.action)
            silent = record.flags & F_SNAPSHOT or before is None or record.price is None or record.side == "N"
            if kind and not silent and record.price // TICK in near:
                side = "bid" if record.side == "B" else "ask"
                out[start, record.price // TICK][f"{side}_{kind}_cnt"] += 1
    return out


def row_of(tick, states, last):
    """Everything of a tick that follows from the states of the bar; flow and counts 0."""
    visible = sum(lasted for book, lasted in states if tick in sight(book))
    row = {
        "visible_ns": visible,
        "is_visible_eob": tick in sight(last),
        "dwell_ns": sum(lasted for book, lasted in states if tick in dwell(book)),
    }
    for side in ("bid", "ask"):
        sizes = [(levels(book, side).get(tick, (0, 0))[0], lasted) for book, lasted in states]
        size, count = levels(last, side).get(tick, (0, 0)) if row["is_visible_eob"] else (None, None)
        row |= {
            f"{side}_qty_ns": sum(size * lasted for size, lasted in sizes),
            f"{side}_qty_eob": size,
            f"{side}_ct_eob": count,
            f"{side}_max_qty": max(size for size, lasted in sizes if lasted) if visible else None,
        }
        row |= dict.fromkeys((f"{side}_{what}_vol" for what in ("add", "pull", "fill")), 0)
        row |= dict.fromkeys((f"{side}_{what}_cnt" for what in ("add", "cancel", "modify")), 0)
    return row
