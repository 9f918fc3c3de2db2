"""Random books for the five-second bars, as records and as clean book rows."""

from __future__ import annotations

import random

import polars as pl
from hypothesis import strategies as st

from footprint_assets import contracts
from footprint_assets_tests.kernels.bar5s_reference import Record

TICK = 250_000_000
START = 1_703_545_201_300_000_000  # 2023-12-25 23:00:01.3 UTC, trade date 26 December
F_LAST, F_SNAPSHOT = 0x80, 0x20
SYMBOL = "ESH4"
CLEAN = "silver.future.market_by_price_10_clean"

WAITS = (0, 0, 1, 250_000_000, 1_300_000_000, 3_700_000_000, 5_000_000_000, 11_000_000_000)


def random_ladder(rng, low, high, best_first):
    """One side: often all ten levels, sometimes few or none, sometimes crossed with the other side."""
    levels = rng.choice((10, 10, 10, 7, 2, 1, 0))
    ticks = sorted(rng.sample(range(low, high), levels), reverse=best_first)
    return tuple(
        (tick * TICK, rng.choice((0, 1, 7, rng.randint(0, 60), 400)), rng.randint(0, 9)) for tick in ticks
    )


def random_book(rng):
    """Two ladders over a narrow or a wide range of prices."""
    reach = rng.choice((10, 12, 20, 50))
    bids = random_ladder(rng, 19_203 - reach, 19_203, best_first=True)
    return bids, random_ladder(rng, 19_200, 19_200 + reach, best_first=False)


def altered(rng, book):
    """The book with one level's size changed, or one level gone."""
    bids, asks = (list(ladder) for ladder in book)
    ladder = rng.choice((bids, asks))
    if ladder:
        level = rng.randrange(len(ladder))
        price, _, count = ladder[level]
        ladder[level : level + 1] = rng.choice(([], [(price, rng.randint(0, 60), count)]))
    return tuple(bids), tuple(asks)


def random_stream(seed, size):
    """Records in event order, ladders that change on some events and stay on others."""
    rng = random.Random(seed)
    ts, book, out = START, random_book(rng), []
    for _ in range(size):
        ts += rng.choice((*WAITS, rng.randint(1, 2_000_000_000)))
        book = rng.choice((book, random_book(rng), altered(rng, book), altered(rng, book)))
        action, side = rng.choice("AAACCCMMTTNR"), rng.choice("ABN")
        flags = rng.choice((F_LAST, F_LAST, 0, F_LAST | F_SNAPSHOT))
        price = rng.choice((None, *(rng.randint(19_155, 19_245) * TICK for _ in range(4))))
        out.append(Record(ts, action, side, flags, price, rng.randint(0, 60), *book))
    return out


def streams():
    """Strategy of random streams; a seed, so that a thousand draws cost no time."""
    return st.builds(random_stream, st.integers(0, 2**32), st.integers(1, 16))


def frame(records):
    """The records as rows of the clean book, in the columns the bars read."""
    schema = contracts.load(CLEAN).polars_schema
    data = {
        "ts_event": [r.ts for r in records],
        "action": [r.action for r in records],
        "side": [r.side for r in records],
        "flags": [r.flags for r in records],
        "price": [r.price for r in records],
        "size": [r.size for r in records],
        "symbol": [SYMBOL] * len(records),
    }
    for j, (what, absent) in enumerate((("px", None), ("sz", 0), ("ct", 0))):
        for side in ("bid", "ask"):
            for level in range(10):
                data[f"{side}_{what}_{level:02d}"] = [
                    ladder[level][j] if level < len(ladder) else absent
                    for ladder in (r.bids if side == "bid" else r.asks for r in records)
                ]
    plain = {name: pl.Int64 if name == "ts_event" else schema[name] for name in data}
    return pl.DataFrame(data, schema=plain).cast({"ts_event": schema["ts_event"]})
