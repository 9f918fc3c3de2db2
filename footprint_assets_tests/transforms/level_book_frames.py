"""Books by price made up bar by bar, wilder than a market: holes in time, crossed books, ticks seen for no time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from footprint_assets import contracts

BAR = 5_000_000_000
START = 1_718_200_800_000_000_000 // BAR * BAR
TICK = 0.25
MIDDLE = 20_000
PRICE5S = contracts.load("silver.future.market_by_price_10_price5s").polars_schema
SHOCKS = contracts.load("silver.future.market_by_price_10_shocks").polars_schema
SIDE_NUMBERS = (
    "qty_eob",
    "ct_eob",
    "max_qty",
    "add_vol",
    "pull_vol",
    "fill_vol",
    "add_cnt",
    "cancel_cnt",
    "modify_cnt",
)


@dataclass(frozen=True)
class Book:
    bars: pl.DataFrame
    price5s: pl.DataFrame
    shocks: pl.DataFrame
    rows: pl.DataFrame


def bar_grid(count):
    ts = pl.Series("bar_ts", [START + k * BAR for k in range(count)])
    return pl.DataFrame({"bar_ts": ts.cast(pl.Datetime("ns", "UTC"))})


def tick_row(bar, tick, **given):
    """A tick in sight all the bar, with nothing on it but what is given; a size given is held all the bar."""
    row = dict.fromkeys(PRICE5S.names(), 0) | {
        "bar_ts": START + bar * BAR, "symbol": "ESM4", "price_tick": tick, "price": tick * TICK,
        "visible_ns": BAR, "is_visible_eob": True,
    }  # fmt: skip
    for side in ("bid", "ask"):
        size = given.get(f"{side}_qty_eob", 0)
        row |= {f"{side}_qty_ns": size * BAR, f"{side}_max_qty": size, f"{side}_ct_eob": int(size > 0)}
    return row | given


def price5s_frame(rows):
    return pl.DataFrame(rows, schema=PRICE5S.names(), orient="row", infer_schema_length=None).cast(PRICE5S)


def shock_frame(shocks):
    """Shocks of (ts, side, tick, recovered ts or None)."""
    rows = [
        dict.fromkeys(SHOCKS.names(), None)
        | {
            "ts_event": ts, "symbol": "ESM4", "resting_side": side, "price_tick": tick, "price": tick * TICK,
            "recovered_ts": recovered, "refill_ms": None if recovered is None else (recovered - ts) / 1e6,
        }
        for ts, side, tick, recovered in sorted(shocks, key=lambda s: s[0])
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=dict.fromkeys(SHOCKS.names()), infer_schema_length=None).cast(SHOCKS)


def asked(*rows):
    """Rows of (bar, level in ticks, direction)."""
    bar, level, direction = zip(*rows, strict=True) if rows else ((), (), ())
    return pl.DataFrame(
        {
            "bar_index": pl.Series(bar, dtype=pl.Int64),
            "level_price": pl.Series([t * TICK for t in level], dtype=pl.Float64),
            "approach_direction": pl.Series(direction, dtype=pl.Int64),
        }
    )


def random_book(seed, bars=45, rows=8):
    rng = np.random.default_rng(seed)
    middle, ticks = MIDDLE, []
    for bar in range(bars):
        middle += int(rng.integers(-3, 4))
        if rng.random() < 0.08:
            continue
        ticks += _random_bar(rng, bar, middle, int(rng.integers(1, 15)), int(rng.integers(1, 15)))
    shocks = []
    for _ in range(bars * 2):
        ts = START + int(rng.integers(0, bars * BAR))
        ts -= ts % BAR if rng.random() < 0.1 else 0
        wait = int(rng.choice([0, 1_000_000, BAR, 3 * BAR])) + int(rng.integers(0, 3))
        recovered = (
            None if rng.random() < 0.3 else (ts + BAR) // BAR * BAR if rng.random() < 0.2 else ts + wait
        )
        shocks.append((ts, str(rng.choice(["BID", "ASK"])), MIDDLE + int(rng.integers(-25, 26)), recovered))
    levels = [
        (int(rng.integers(0, bars)), MIDDLE + int(rng.integers(-45, 46)), int(rng.choice([-1, 1])))
        for _ in range(rows)
    ]
    return Book(bar_grid(bars), price5s_frame(ticks), shock_frame(shocks), asked(*levels))


def _random_bar(rng, bar, middle, below, above):
    low, high = middle - below, middle + above
    first = int(rng.integers(low, high + 1))
    shown = (first, int(rng.integers(first, high + 1))) if rng.random() < 0.9 else (high + 1, high)
    rows = []
    for tick in range(low, high + 1):
        visible = shown[0] <= tick <= shown[1]
        lasted = int(rng.choice([0, 1, BAR // 3, BAR])) if not visible else int(rng.integers(1, BAR + 1))
        row = {"bar_ts": START + bar * BAR, "symbol": "ESM4", "price_tick": tick, "price": tick * TICK}
        row |= {"visible_ns": lasted, "is_visible_eob": visible, "dwell_ns": 0}
        for side, resting in (("bid", tick <= middle), ("ask", tick >= middle)):
            size = int(rng.choice([0, 1, 2, 30, 300])) if resting else 0
            flows = rng.integers(0, 40, 6) * (rng.random() < 0.4)
            row |= {f"{side}_{name}": int(x) for name, x in zip(SIDE_NUMBERS[3:], flows, strict=True)}
            row[f"{side}_qty_ns"] = int(rng.integers(0, 50)) * lasted if resting else 0
            row[f"{side}_qty_eob"] = size if visible else None
            row[f"{side}_ct_eob"] = min(size, int(rng.integers(1, 9))) if visible else None
            row[f"{side}_max_qty"] = size + int(rng.integers(0, 9)) * resting if lasted else None
        rows.append({name: row[name] for name in PRICE5S.names()})
    return rows


def cut(book, bars):
    """What was known at the end of bar ``bars - 1``."""
    end = START + bars * BAR
    known = (pl.col("recovered_ts").to_physical() < end).fill_null(False)
    return replace(
        book,
        bars=book.bars.head(bars),
        price5s=book.price5s.filter(pl.col("bar_ts").to_physical() < end),
        shocks=book.shocks.filter(pl.col("ts_event").to_physical() < end).with_columns(
            pl.when(known).then("recovered_ts").alias("recovered_ts"),
            pl.when(known).then("refill_ms").alias("refill_ms"),
        ),
        rows=book.rows.filter(pl.col("bar_index") < bars),
    )


def mirrored(book):
    """Prices reflected at ``MIDDLE``, sides swapped, approaches turned round."""
    tick = (-pl.col("price_tick") + 2 * MIDDLE).cast(pl.Int32)
    swapped = {name: _other_side(name) for name in PRICE5S.names()}
    price5s = book.price5s.with_columns(tick).rename(swapped).select(PRICE5S.names())
    opposite = (
        pl.col("resting_side")
        .cast(pl.String)
        .replace({"BID": "ASK", "ASK": "BID"})
        .cast(SHOCKS["resting_side"])
    )
    return replace(
        book,
        price5s=price5s.sort("bar_ts", "price_tick"),
        shocks=book.shocks.with_columns(tick, opposite),
        rows=book.rows.with_columns(
            -pl.col("level_price") + 2 * MIDDLE * TICK, (-pl.col("approach_direction")).cast(pl.Int8)
        ),
    )


def _other_side(name):
    return {"bid": "ask_", "ask": "bid_"}[name[:3]] + name[4:] if name[:4] in ("bid_", "ask_") else name


def scaled(book, factor):
    """Every size and flow times ``factor``; counts and times as they are."""
    sizes = [
        f"{side}_{name}"
        for side in ("bid", "ask")
        for name in ("qty_ns", "qty_eob", "max_qty", "add_vol", "pull_vol", "fill_vol")
    ]
    return replace(book, price5s=book.price5s.with_columns(pl.col(sizes) * factor))
