"""Liquidity shocks the slow way: every event by itself, every later record looked at again."""

from __future__ import annotations

from footprint_assets_tests.kernels.bar5s_records import F_LAST, TICK
from footprint_assets_tests.kernels.bar5s_reference import BAR, POINT, shows, transitions
from footprint_assets_tests.kernels.book_flow_reference import flow_items

SECOND = POINT


def shown(book, side, price):
    """Size at a price, 0 where the ladder would show it, None where nobody knows."""
    if book is None or not shows(book.side(side), price, side):
        return None
    return {p: size for p, size, _ in book.side(side)}.get(price, 0)


def depth(book, side, best):
    """Size within a tick of a price, None where the ladder ends before."""
    if shown(book, side, best - TICK if side == "bid" else best + TICK) is None:
        return None
    return sum(size for p, size, _ in book.side(side) if abs(p - best) <= TICK)


def reference_shocks(records, limit):
    """Dictionaries with the table's column names, in order of time."""
    steps, items, out, first = transitions(records), flow_items(records), [], 0
    for n, record in enumerate(records):
        if not record.flags & F_LAST:
            continue
        start, now, fills = steps[first][1], steps[n][2], {}
        for item in items:
            if first <= item.row <= n and item.filled:
                fills[item.side, item.price] = fills.get((item.side, item.price), 0) + item.filled
        for (side, price), filled in fills.items():
            before = shown(start, side, price)
            if before and 2 * filled >= before:
                out.append(shock(steps, n, side, price, filled, before, start, now, limit))
        first = n + 1
    return out


def shock(steps, n, side, price, filled, before, start, now, limit):
    ts, best, after = steps[n][0].ts, start.side(side)[0][0], shown(now, side, price)
    later = [(record.ts, book) for record, _, book in steps[n:]]
    depth_before, depth_after, known = depth(start, side, best), None, None
    if later[-1][0] // BAR * BAR + BAR >= ts + SECOND:
        known = ts + SECOND
        depth_after = depth([book for at, book in later if at < known][-1], side, best)
    recovered = None
    for at, book in later if after is not None else ():
        if book is None or at > ts + limit:
            break
        size = shown(book, side, price)
        if size is not None and size >= after + (before - after) / 2:
            recovered = at
            break
    return {
        "ts_event": ts,
        "resting_side": side.upper(),
        "price_tick": price // TICK,
        "price": price / POINT,
        "is_best": price == best,
        "qty_before": before,
        "fill_vol": filled,
        "qty_after": after,
        "depth_before": depth_before,
        "depth_after_1s": depth_after,
        "recovery_ratio_1s": None if depth_after is None or not depth_before else depth_after / depth_before,
        "known_1s_ts": known,
        "recovered_ts": recovered,
        "refill_ms": None if recovered is None else (recovered - ts) / 1_000_000,
    }
