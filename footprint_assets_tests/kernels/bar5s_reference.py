"""Five-second bars the slow way: every bar looked at by itself, exact fractions, dictionaries, no carried sums."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import pairwise

BAR = 5_000_000_000
POINT = 1_000_000_000
BANDS = {"p0_1": (None, 1), "p1_2": (1, 2), "p2_3": (2, 3), "p3_5": (3, 5), "p5_10": (5, 10)}
F_SNAPSHOT = 0x20


@dataclass(frozen=True)
class Record:
    """One clean book row; ladders are [(price in nanos, size, orders)], best first, at most ten."""

    ts: int
    action: str
    side: str
    flags: int
    price: int | None
    size: int
    bids: tuple[tuple[int, int, int], ...]
    asks: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Book:
    """A ladder that some record left behind."""

    bids: tuple[tuple[int, int, int], ...]
    asks: tuple[tuple[int, int, int], ...]

    def side(self, name):
        return self.bids if name == "bid" else self.asks

    @property
    def reference(self):
        if not self.bids or not self.asks:
            return None
        (bid, bid_size, _), (ask, ask_size, _) = self.bids[0], self.asks[0]
        if bid_size + ask_size == 0:
            return Fraction(bid + ask, 2)
        return Fraction(ask * bid_size + bid * ask_size, bid_size + ask_size)


def distance(reference, price, side):
    """Points away from the reference, into the book."""
    return (reference - price if side == "bid" else price - reference) / POINT


def band_of(reference, price, side):
    away = distance(reference, price, side)
    for name, (low, high) in BANDS.items():
        if (low is None or away > low) and away <= high:
            return name
    return None


@cache
def visible(book, side, band):
    if book.reference is None:
        return False
    ladder, low = book.side(side), BANDS[band][0]
    return low is None or len(ladder) < 10 or distance(book.reference, ladder[-1][0], side) > low


def shows(ladder, price, side):
    if len(ladder) < 10:
        return True
    return price >= ladder[-1][0] if side == "bid" else price <= ladder[-1][0]


def imbalance(a, b):
    return Fraction(a - b, a + b) if a + b else Fraction(0)


@cache
def state_values(book):
    """Every averaged quantity of a book by name, None where it is not defined."""
    depth = {side: sum(level[1] for level in book.side(side)) for side in ("bid", "ask")}
    best = {side: book.side(side)[0][1] if book.side(side) else 0 for side in ("bid", "ask")}
    out = {
        "state_spread_pts": None
        if book.reference is None
        else Fraction(book.asks[0][0] - book.bids[0][0], POINT),
        "state_obi0": imbalance(best["bid"], best["ask"]),
        "state_obi10": imbalance(depth["bid"], depth["ask"]),
        "depth_bid10_qty": Fraction(depth["bid"]),
        "depth_ask10_qty": Fraction(depth["ask"]),
    }
    for band in BANDS:
        quantity = {}
        for side, where in (("bid", "below"), ("ask", "above")):
            quantity[side] = None
            if visible(book, side, band):
                quantity[side] = sum(
                    level[1] for level in book.side(side) if band_of(book.reference, level[0], side) == band
                )
            known = quantity[side] is not None
            out[f"depth_{where}_{band}_qty"] = Fraction(quantity[side]) if known else None
            share = Fraction(quantity[side], depth[side]) if known and depth[side] else None
            out[f"depth_{where}_{band}_frac"] = share
        both = None not in quantity.values()
        out[f"state_cdi_{band}"] = imbalance(quantity["bid"], quantity["ask"]) if both else None
    return out


@cache
def ladder_values(book):
    """What the last ladder says, None where it is not defined."""
    out = {"microprice_eob": None, "midprice_eob": None}
    if book is not None and book.reference is not None:
        out["microprice_eob"] = book.reference / POINT
        out["midprice_eob"] = Fraction(book.bids[0][0] + book.asks[0][0], 2 * POINT)
    for side in ("bid", "ask"):
        ladder = () if book is None else book.side(side)
        for level in range(10):
            row = ladder[level] if level < len(ladder) else None
            absent = None if book is None else 0
            name = f"l{level:02d}_eob"
            out[f"shape_{side}_px_{name}"] = Fraction(row[0], POINT) if row else None
            for j, what in ((1, "sz"), (2, "ct")):
                total = sum(r[j] for r in ladder)
                out[f"shape_{side}_{what}_{name}"] = row[j] if row else absent
                out[f"shape_{side}_{what}_frac_{name}"] = (
                    Fraction(row[j] if row else 0, total) if total else None
                )
        gaps = [Fraction(abs(a[0] - b[0]), POINT) for a, b in pairwise(ladder)]
        out[f"ladder_{side}_gap_max_pts_eob"] = max(gaps) if gaps else None
        out[f"ladder_{side}_gap_mean_pts_eob"] = sum(gaps) / len(gaps) if gaps else None
        out |= wall_values(book, side, ladder)
    return out


def wall_values(book, side, ladder):
    names = ("maxz", "maxz_levelidx", "nearest_strong_dist_pts", "nearest_strong_levelidx")
    maxz, at, apart, strong = (f"wall_{side}_{name}_eob" for name in names)
    if not ladder:
        return dict.fromkeys((maxz, at, apart, strong))
    logs = [math.log(1 + size) for _, size, _ in ladder]
    mean = sum(logs) / len(logs)
    deviation = max(math.sqrt(sum((x - mean) ** 2 for x in logs) / len(logs)), 1e-9)
    sizes = [size for _, size, _ in ladder]
    z = [0.0 if len(set(sizes)) == 1 else (x - mean) / deviation for x in logs]
    level = next((n for n, value in enumerate(z) if value >= 2.0), -1)
    known = level >= 0 and book.reference is not None
    return {
        maxz: max(z),
        at: sizes.index(max(sizes)),
        apart: abs(book.reference - ladder[level][0]) / POINT if known else None,
        strong: level,
    }


def transitions(records):
    """(record, book before it, book after it); None is an unknown book."""
    book, out = None, []
    for record in records:
        before = book
        if record.action == "R":
            book = None
        elif record.action not in "TN":
            book = Book(record.bids, record.asks)
        out.append((record, before, book))
    return out


def flow_values(rows, in_force, averages):
    """Flows of the transitions of one bar."""
    flow, seen = {}, set()
    for book, _ in in_force:
        seen |= {(s, b) for s in ("bid", "ask") for b in BANDS if visible(book, s, b)}

    def add(what, side, band, amount):
        if band is not None and amount:
            flow[what, side, band] = flow.get((what, side, band), 0) + amount
            seen.add((side, band))

    for record, before, after in rows:
        silent = record.action in "TNR" or record.flags & F_SNAPSHOT
        if silent or before is None or before.reference is None:
            continue
        for side in ("bid", "ask"):
            old = {p: q for p, q, _ in before.side(side)}
            new = {p: q for p, q, _ in after.side(side)}
            for price in old.keys() | new.keys():
                if shows(before.side(side), price, side) and shows(after.side(side), price, side):
                    change = new.get(price, 0) - old.get(price, 0)
                    band = band_of(before.reference, price, side)
                    add("add" if change > 0 else "rem", side, band, abs(change))
        side = {"B": "bid", "A": "ask"}.get(record.side)
        kind = {"A": "add", "C": "cancel", "M": "modify"}.get(record.action)
        if side and kind and record.price is not None:
            add(f"cnt_{kind}", side, band_of(before.reference, record.price, side), 1)
    return flow_columns(flow, seen, averages)


def flow_columns(flow, seen, averages):
    """Flows by column name, None in a band that was never in sight."""
    out = {}
    for side in ("bid", "ask"):
        for band in BANDS:
            known = (side, band) in seen
            got = {
                what: flow.get((what, side, band), 0) if known else None
                for what in ("add", "rem", "cnt_add", "cnt_cancel", "cnt_modify")
            }
            net = got["add"] - got["rem"] if known else None
            depth = averages[f"depth_{'below' if side == 'bid' else 'above'}_{band}_qty_twa"]
            out[f"flow_add_vol_{side}_{band}_sum"] = got["add"]
            out[f"flow_rem_vol_{side}_{band}_sum"] = got["rem"]
            out[f"flow_net_vol_{side}_{band}_sum"] = net
            out[f"flow_net_volnorm_{side}_{band}_sum"] = (
                net / max(depth, Fraction(1)) if known and depth is not None else None
            )
            for kind in ("add", "cancel", "modify"):
                out[f"flow_cnt_{kind}_{side}_{band}_sum"] = got[f"cnt_{kind}"]
    return out


def count_values(records):
    names = {"clear": "R", "add": "A", "cancel": "C", "modify": "M", "trade": "T"}
    trades = [r for r in records if r.action == "T" and not r.flags & F_SNAPSHOT]
    buy, sell = (sum(r.size for r in trades if r.side == side) for side in "BA")
    return {
        "meta_msg_cnt_sum": len(records),
        **{f"meta_{n}_cnt_sum": sum(r.action == a for r in records) for n, a in names.items()},
        "trade_cnt_sum": len(trades),
        "trade_vol_sum": sum(r.size for r in trades),
        "trade_aggbuy_vol_sum": buy,
        "trade_aggsell_vol_sum": sell,
        "trade_signed_vol_sum": buy - sell,
    }


def reference_bars(records):
    """All columns but the symbol, one dictionary a bar."""
    rows = transitions(records)
    first, last = records[0].ts // BAR, records[-1].ts // BAR
    out = []
    for bar in range(first, last + 1):
        start, end = bar * BAR, (bar + 1) * BAR
        inside = [row for row in rows if start <= row[0].ts < end]
        book = next((after for record, _, after in reversed(rows) if record.ts < start), None)
        in_force, since = [], start
        for record, _, after in inside:
            if book is not None and record.ts > since:
                in_force.append((book, record.ts - since))
            book, since = after, record.ts
        if book is not None:
            in_force.append((book, end - since))
        values = [(state_values(b), lasted) for b, lasted in in_force]
        averages = {}
        for name in state_values(Book((), ())):
            parts = [(v[name], lasted) for v, lasted in values if v[name] is not None]
            whole = sum(lasted for _, lasted in parts)
            averages[f"{name}_twa"] = sum(v * lasted for v, lasted in parts) / whole if parts else None
        at_end = dict.fromkeys(state_values(Book((), ()))) if book is None else state_values(book)
        bar_values = (
            count_values([record for record, _, _ in inside])
            | averages
            | {f"{name}_eob": value for name, value in at_end.items()}
            | ladder_values(book)
            | flow_values(inside, in_force, averages)
        )
        out.append({"bar_ts": start} | {f"bar5s_{name}": value for name, value in bar_values.items()})
    return out
