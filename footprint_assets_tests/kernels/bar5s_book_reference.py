"""The book measures of five-second bars the slow way: every bar by itself, exact fractions, dictionaries."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import cache

from footprint_assets_tests.kernels.bar5s_reference import (
    BAR,
    F_SNAPSHOT,
    POINT,
    Book,
    imbalance,
    shows,
    transitions,
)
from footprint_assets_tests.kernels.book_flow_reference import best_prices

TICK = 250_000_000
F_LAST = 0x80
TICK_BANDS = {"t1": (1, 1), "t2": (2, 2), "t3_4": (3, 4), "t5_8": (5, 8), "t9_10": (9, 10)}
SIDES = ("bid", "ask")
SECOND = 1_000_000_000
_EMPTY = Book((), ())


def away(best, price, side):
    """Ticks into the book from a best price, negative for better prices."""
    return (best - price if side == "bid" else price - best) // TICK


def band_at(ticks):
    """Band of a tick counted from 1; everything better than the best is at the best."""
    return next((name for name, (low, high) in TICK_BANDS.items() if max(ticks, 1) <= high), None)


def least_squares(xs, ys, degree):
    """Coefficients of the polynomial, exact, constant term first."""
    size = degree + 1
    rows = [
        [sum(x ** (i + j) for x in xs) for j in range(size)]
        + [sum(y * x**i for x, y in zip(xs, ys, strict=True))]
        for i in range(size)
    ]
    for i in range(size):
        pivot = next(r for r in range(i, size) if rows[r][i] != 0)
        rows[i], rows[pivot] = rows[pivot], rows[i]
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for r in range(size):
            if r != i:
                rows[r] = [a - rows[r][i] * b for a, b in zip(rows[r], rows[i], strict=True)]
    return [row[-1] for row in rows]


@cache
def side_values(book, side):
    ladder = book.side(side)
    depth = sum(size for _, size, _ in ladder)
    out = {}
    for name, (low, high) in TICK_BANDS.items():
        ticks = [away(ladder[0][0], price, side) + 1 for price, _, _ in ladder]
        visible = ladder and (len(ladder) < 10 or ticks[-1] >= low)
        inside = [size for (_, size, _), at in zip(ladder, ticks, strict=True) if low <= at <= high]
        out[f"depth_{side}_{name}_qty"] = Fraction(sum(inside)) if visible else None
    shares = [Fraction(size, depth) for _, size, _ in ladder] if depth else None
    out[f"depth_{side}_hhi"] = sum(f * f for f in shares) if shares else None
    out[f"depth_{side}_entropy"] = (
        Fraction(-sum(float(f) * math.log(f) for f in shares if f) / math.log(10)) if shares else None
    )
    out |= dict.fromkeys(f"depth_{side}_{what}" for what in ("com_ticks", "slope", "convexity"))
    count = ladder[0][2] if ladder else 0
    out[f"state_avg_order_{side}0"] = Fraction(ladder[0][1], count) if count else None
    if book.bids and book.asks:
        mid = Fraction(book.bids[0][0] + book.asks[0][0], 2)
        far = [(mid - price if side == "bid" else price - mid) / POINT for price, _, _ in ladder]
        if depth:
            out[f"depth_{side}_com_ticks"] = (
                sum(d * size for d, (_, size, _) in zip(far, ladder, strict=True)) / depth * POINT / TICK
            )
        heights = [sum(size for _, size, _ in ladder[: k + 1]) for k in range(len(ladder))]
        if len(ladder) >= 2:
            out[f"depth_{side}_slope"] = least_squares(far, heights, 1)[1]
        if len(ladder) >= 3:
            out[f"depth_{side}_convexity"] = least_squares(far, heights, 2)[2]
    return out


@cache
def state_values(book):
    """Every averaged quantity of a book by name, None where it is not defined."""
    total = {
        (j, n): [sum(level[j] for level in book.side(side)[:n]) for side in SIDES]
        for j in (1, 2)
        for n in (1, 3, 5, 10)
    }
    out = {
        "state_obi1": imbalance(*total[1, 1]),
        "state_obi3": imbalance(*total[1, 3]),
        "state_obi5": imbalance(*total[1, 5]),
        "state_oci0": imbalance(*total[2, 1]),
        "state_oci10": imbalance(*total[2, 10]),
    }
    names = ["mid", "micro", *(f"state_{w}_adj_pts" for w in ("microprice", "wmid5", "vamp10", "wdobp10"))]
    sweeps = {
        f"depth_sweep_{order}_q{quantity}_ticks": (order, quantity)
        for order in ("buy", "sell")
        for quantity in (50, 100, 200)
    }
    out |= dict.fromkeys([*names, *sweeps, "state_spread_gt1_frac"])
    out |= side_values(book, "bid") | side_values(book, "ask")
    if not book.bids or not book.asks:
        return out
    mid = Fraction(book.bids[0][0] + book.asks[0][0], 2 * POINT)
    out["mid"] = mid
    out["micro"] = book.reference / POINT
    out["state_microprice_adj_pts"] = out["micro"] - mid
    out["state_spread_gt1_frac"] = Fraction(int(book.asks[0][0] - book.bids[0][0] > TICK))
    pairs = list(zip(book.bids, book.asks, strict=False))
    whole = sum(b[1] + a[1] for b, a in pairs)
    crossed = sum(b[0] * a[1] + a[0] * b[1] for b, a in pairs)
    out["state_vamp10_adj_pts"] = Fraction(crossed, whole * POINT) - mid if whole else Fraction(0)
    levels = (*book.bids, *book.asks)
    depth = sum(level[1] for level in levels)
    out["state_wdobp10_adj_pts"] = (
        Fraction(sum(p * q for p, q, _ in levels), depth * POINT) - mid if depth else Fraction(0)
    )
    bid_size, ask_size = total[1, 5]
    if bid_size and ask_size:
        bid = Fraction(sum(p * q for p, q, _ in book.bids[:5]), bid_size)
        ask = Fraction(sum(p * q for p, q, _ in book.asks[:5]), ask_size)
        out["state_wmid5_adj_pts"] = (bid * ask_size + ask * bid_size) / (bid_size + ask_size) / POINT - mid
    for name, (order, quantity) in sweeps.items():
        left, cost = quantity, Fraction(0)
        for price, size, _ in book.side("ask" if order == "buy" else "bid"):
            taken = min(left, size)
            cost += taken * beyond_mid(price, mid, order)
            left -= taken
        out[name] = cost / quantity * POINT / TICK if left == 0 else None
    return out


def beyond_mid(price, mid, order):
    return Fraction(price, POINT) - mid if order == "buy" else mid - Fraction(price, POINT)


def stoikov_shares(book):
    """Shares of a book over the twenty states, None without a positive spread or any size."""
    if not book.bids or not book.asks:
        return None
    (bid, qb, _), (ask, qa, _) = book.bids[0], book.asks[0]
    if ask <= bid or qb + qa == 0:
        return None
    spread = 2 if ask - bid > TICK else 1
    share = Fraction(qb, qb + qa)
    if share == Fraction(1, 2):
        return {(4, spread): Fraction(1, 2), (5, spread): Fraction(1, 2)}
    bucket = min(math.floor(10 * share), 9) if share > Fraction(1, 2) else max(math.ceil(10 * share) - 1, 0)
    return {(bucket, spread): Fraction(1)}


def level_ofi(before, after, level):
    """Cont-Kukanov-Stoikov contribution of one level; an absent level is infinitely far and empty."""
    total = 0
    for side, sign in (("bid", 1), ("ask", -1)):
        (old, old_size), (new, new_size) = (
            (book.side(side)[level][:2] if level < len(book.side(side)) else (-sign * math.inf, 0))
            for book in (before, after)
        )
        better = sign * new >= sign * old
        worse = sign * new <= sign * old
        total += sign * ((new_size if better else 0) - (old_size if worse else 0))
    return total


def flow_items(records):
    """(record index, side, price, added, filled, pulled, best before the event group).

    Trades of the open event group explain removals as fills.
    """
    pending, opening, out = {}, None, []
    for i, (record, before, after) in enumerate(transitions(records)):
        opening = opening or best_prices(before)
        snapshot = record.flags & F_SNAPSHOT
        if record.action == "T" and not snapshot:
            for side, hit in (("bid", record.side != "B"), ("ask", record.side != "A")):
                if hit:
                    pending[side, record.price] = pending.get((side, record.price), 0) + record.size
        elif record.action not in "TNR" and not snapshot and before is not None:
            for side in SIDES:
                old = {p: q for p, q, _ in before.side(side)}
                new = {p: q for p, q, _ in after.side(side)}
                for price in sorted(old.keys() | new.keys(), reverse=side == "bid"):
                    change = new.get(price, 0) - old.get(price, 0)
                    seen = shows(before.side(side), price, side) and shows(after.side(side), price, side)
                    if seen and change:
                        filled = min(max(-change, 0), pending.get((side, price), 0))
                        if filled:
                            pending[side, price] -= filled
                        removed = max(-change, 0)
                        out.append((i, side, price, max(change, 0), filled, removed - filled, opening[side]))
        if record.flags & F_LAST:
            pending, opening = {}, None
    return out


def compared(record, before):
    return record.action not in "TNR" and not record.flags & F_SNAPSHOT and before is not None


def flow_names():
    names = [f"flow_{w}_vol_{s}_sum" for w in ("add", "pull", "fill", "net", "replenish") for s in SIDES]
    names += [f"flow_{w}_vol_{s}_{b}_sum" for w in ("add", "pull", "fill") for s in SIDES for b in TICK_BANDS]
    names += [f"flow_cnt_{w}_{s}_{b}_sum" for w in ("add", "cancel") for s in SIDES for b in TICK_BANDS]
    names += [f"ofi_m{level:02d}_sum" for level in range(10)]
    return names + [f"ofi_{s}_{w}_sum" for s in SIDES for w in ("add", "pull", "fill")]


def add_record(record, before, after, out):
    """Add a record's imbalance and count it at its own price."""
    for level in range(10):
        out[f"ofi_m{level:02d}_sum"] += level_ofi(before, after, level)
    side = {"B": "bid", "A": "ask"}.get(record.side)
    kind = {"A": "add", "C": "cancel"}.get(record.action)
    if side and kind and record.price is not None:
        best = before.side(side)[0][0] if before.side(side) else record.price
        band = band_at(away(best, record.price, side) + 1)
        if band:
            out[f"flow_cnt_{kind}_{side}_{band}_sum"] += 1


def add_item(ts, before, after, item, fills, out):
    """Add one change of size; returns the distance of every contract added or pulled."""
    _, side, price, added, filled, pulled, opening = item
    best = best_prices(before)[side]
    ticks, swept = (0 if b is None else max(away(b, price, side), 0) for b in (best, opening))
    still = best == price and after.side(side) and after.side(side)[0][0] == price
    for what, quantity in (("add", added), ("pull", pulled), ("fill", filled)):
        out[f"flow_{what}_vol_{side}_sum"] += quantity
        out[f"flow_net_vol_{side}_sum"] += quantity if what == "add" else -quantity
        if band := band_at((swept if what == "fill" else ticks) + 1):
            out[f"flow_{what}_vol_{side}_{band}_sum"] += quantity
        if still:
            out[f"ofi_{side}_{what}_sum"] += quantity
    if filled:
        fills[side, price] = ts
    elif added and ts - fills.get((side, price), -2 * SECOND) <= SECOND:
        out[f"flow_replenish_vol_{side}_sum"] += added
    return [ticks] * (added + pulled)


def flow_values(rows, items, fills, known):
    """Flow columns of one bar from its transitions and their items; ``fills`` are the fill times before, by price."""
    out, distances = dict.fromkeys(flow_names(), 0), []
    for i, (record, before, after) in rows:
        if compared(record, before):
            known = True
            add_record(record, before, after, out)
            for item in items:
                if item[0] == i:
                    distances += add_item(record.ts, before, after, item, fills, out)
    mean = Fraction(sum(distances), len(distances)) if distances else None
    spread = math.sqrt(sum((d - mean) ** 2 for d in distances) / len(distances)) if distances else None
    return (out if known else dict.fromkeys(out)) | {
        "flow_activity_centroid_ticks": mean,
        "flow_activity_dispersion_ticks": spread,
    }


def share(parts, whole):
    return Fraction(sum(parts), whole) if whole else None


def dwell_values(in_force):
    """Shares of time of one bar."""
    lasted = [t for _, t in in_force]
    two_sided = [(b, t) for b, t in in_force if b.bids and b.asks]
    spreads = [(b.asks[0][0] - b.bids[0][0], t) for b, t in two_sided]
    quoted = [(stoikov_shares(b), t) for b, t in two_sided if stoikov_shares(b)]
    out = {
        "meta_locked_frac_twa": share([t for s, t in spreads if s == 0], sum(lasted)),
        "meta_crossed_frac_twa": share([t for s, t in spreads if s < 0], sum(lasted)),
        "meta_one_sided_frac_twa": share([t for b, t in in_force if not (b.bids and b.asks)], sum(lasted)),
    }
    whole = sum(t for _, t in quoted)
    for bucket in range(10):
        for spread in (1, 2):
            out[f"state_stoikov_i{bucket}_s{spread}_frac_twa"] = share(
                [shares.get((bucket, spread), Fraction(0)) * t for shares, t in quoted], whole
            )
    return out


def last_ladder_values(book):
    out = {}
    for side in SIDES:
        ladder = () if book is None else book.side(side)
        ticks = Fraction(abs(ladder[0][0] - ladder[-1][0]), TICK) if len(ladder) == 10 else None
        out[f"ladder_{side}_visible_ticks_eob"] = ticks
        out[f"ladder_{side}_missing_ticks_eob"] = None if ticks is None else ticks - 9
    return out


def books_in_force(rows, start, end):
    """(book, time) pairs of a bar, and the book at its end."""
    book = next((after for record, _, after in reversed(rows) if record.ts < start), None)
    out, since = [], start
    for record, _, after in (row for row in rows if start <= row[0].ts < end):
        if book is not None and record.ts > since:
            out.append((book, record.ts - since))
        book, since = after, record.ts
    if book is not None:
        out.append((book, end - since))
    return out, book


def reference_book_bars(records):
    """All columns but the symbol, one dictionary a bar."""
    rows, items, fills = transitions(records), flow_items(records), {}
    out = []
    for bar in range(records[0].ts // BAR, records[-1].ts // BAR + 1):
        start, end = bar * BAR, (bar + 1) * BAR
        inside = [(i, row) for i, row in enumerate(rows) if start <= row[0].ts < end]
        in_force, book = books_in_force(rows, start, end)
        seen = [r for r, _, _ in rows if r.ts < end]
        values = {
            "meta_is_empty_eob": int(not inside),
            "meta_stale_ns_eob": end - seen[-1].ts,
            **{
                f"meta_{name}_cnt_sum": sum(1 for _, (r, _, _) in inside if r.flags & bit)
                for name, bit in (("snapshot", 0x20), ("bad_ts", 0x08), ("bad_book", 0x04))
            },
            "meta_clear_vol_sum": sum(
                sum(level[1] for level in (*before.bids, *before.asks))
                for _, (r, before, _) in inside
                if r.action == "R" and before is not None
            ),
        }
        measured = [(state_values(b), lasted) for b, lasted in in_force]
        names = {name for v, _ in measured for name in v} or set(state_values(_EMPTY))
        last = dict.fromkeys(names) if book is None else state_values(book)
        for name in names:
            parts = [(v[name], t) for v, t in measured if v[name] is not None]
            whole = sum(t for _, t in parts)
            average = sum(v * t for v, t in parts) / whole if parts else None
            if name == "mid":
                mids = [v for v, _ in parts]
                values["mid_open_px"] = mids[0] if mids else None
                values["mid_high_px"] = max(mids, default=None)
                values["mid_low_px"] = min(mids, default=None)
                values["mid_close_px"] = last["mid"]
            elif name == "micro":
                values["microprice_twa_px"] = average
            else:
                values[f"{name}_twa"] = average
                values[f"{name}_eob"] = last[name]
        values |= dwell_values(in_force) | last_ladder_values(book)
        values |= flow_values(inside, items, fills, bool(in_force))
        out.append({"bar_ts": start} | {f"bar5s_{name}": value for name, value in values.items()})
    return out
