"""Books a person can add up, in points and seconds, and the bars made of them."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets.transforms.bar5s import BarStream
from footprint_assets.transforms.book_batch import book_batches
from footprint_assets_tests.kernels.bar5s_records import F_LAST, START, TICK
from footprint_assets_tests.kernels.bar5s_reference import BAR, POINT, Record

SESSION = cme.session(dt.date(2023, 12, 26))
FIRST_BAR = START // BAR * BAR


def book_bars(rows: pl.DataFrame, cuts=()) -> pl.DataFrame:
    edges = [0, *sorted(cuts), rows.height]
    stream = BarStream(TICK)
    parts = [
        stream.push(b)[1] for b in book_batches((rows.slice(a, b - a) for a, b in pairwise(edges)), SESSION)
    ]
    return pl.concat([*parts, stream.finish()[1]])


def ladders(bid, bid_size, ask, ask_size):
    """One level a side, prices in points."""
    return ((round(bid * POINT), bid_size, 1),), ((round(ask * POINT), ask_size, 1),)


def at(second, books, action="A", side="B", price=None, size=1, flags=F_LAST):
    """A record some seconds after the start of a bar."""
    ts = FIRST_BAR + round(second * POINT)
    return Record(ts, action, side, flags, None if price is None else round(price * POINT), size, *books)


def deep(size=10, levels=10, bid=100.0, ask=100.25):
    """A ladder a person can add up: every level alike, one tick apart."""
    bids = tuple((round((bid - 0.25 * k) * POINT), size, 2) for k in range(levels))
    asks = tuple((round((ask + 0.25 * k) * POINT), size, 2) for k in range(levels))
    return bids, asks


def change(ladder, level, size):
    return (*ladder[:level], (ladder[level][0], size, ladder[level][2]), *ladder[level + 1 :])
