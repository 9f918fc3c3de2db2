"""Hand-made and random ``trades_clean`` frames for the tests of what is built from them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import databento as db
import numpy as np
import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts

TICK_NANOS = 250_000_000
REGULAR_DAY = dt.date(2024, 6, 11)
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
SCHEMA = contracts.load("silver.future.trades_clean").polars_schema

Print = tuple[int, float, int, int]
"""Time (ns since the epoch), price (points), contracts, aggressor sign."""


def at(session: cme.Session, wall: str) -> int:
    """The instant of an Eastern wall time of the trade date; from 18:00 on it is the evening before."""
    time = dt.time.fromisoformat(wall)
    since_18 = cme.et_ns(session.trade_date, time) - cme.et_ns(session.trade_date, dt.time(18))
    return session.open_ns + since_18 if since_18 >= 0 else cme.et_ns(session.trade_date, time)


def frame(
    session: cme.Session,
    ts_ns: Sequence[int] | np.ndarray,
    tick: Sequence[int] | np.ndarray,
    size: Sequence[int] | np.ndarray,
    sign: Sequence[int] | np.ndarray,
    tick_nanos: int = TICK_NANOS,
    symbol: str = "ESM4",
) -> pl.DataFrame:
    """Rows of ``trades_clean`` without a book."""
    ticks = np.asarray(tick, np.int64)
    edges, labels = cme.session_label_edges(session)
    part = np.clip(np.searchsorted(edges, np.asarray(ts_ns), side="right") - 1, 0, len(labels) - 1)
    given = pl.DataFrame(
        {
            "ts_event": pl.Series(ts_ns, dtype=pl.Int64).cast(SCHEMA["ts_event"]),
            "session_date": [session.trade_date] * len(ticks),
            "session": [labels[i] for i in part],
            "symbol": [symbol] * len(ticks),
            "price": ticks * tick_nanos / 1e9,
            "price_tick": ticks,
            "size": size,
            "aggressor_sign": sign,
            "aggressor_order_id": np.arange(len(ticks)),
            "levels_swept": [1] * len(ticks),
            "is_spread_leg": np.asarray(sign) == 0,
        }
    ).with_columns(
        pl.col("ts_event").dt.convert_time_zone("America/New_York").alias("ts_event_est"),
        *(pl.lit(None).alias(name) for name in ("bid_px", "ask_px", "mid_px")),
    )
    return given.select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())


def prints(session: cme.Session, rows: Sequence[Print]) -> pl.DataFrame:
    """Rows of ``trades_clean`` from prices in points of a quarter-point market."""
    if not rows:
        return SCHEMA.to_frame()
    ts_ns, price, size, sign = zip(*rows, strict=True)
    return frame(session, ts_ns, [round(p * 4) for p in price], size, sign)


def random_day(
    session: cme.Session, seed: int, trades: int = 4000, tick_nanos: int = TICK_NANOS
) -> pl.DataFrame:
    """A random walk over the whole trade date, with prints in the same nanosecond and unknown aggressors."""
    rng = np.random.default_rng(seed)
    ts_ns = np.sort(rng.integers(session.open_ns, session.close_ns, trades))
    repeated = rng.random(trades) < 0.1
    repeated[0] = False
    ts_ns = ts_ns[np.maximum.accumulate(np.where(repeated, 0, np.arange(trades)))]
    tick = 21_400 + np.cumsum(rng.integers(-2, 3, trades))
    return frame(
        session,
        ts_ns,
        tick,
        rng.geometric(0.3, trades),
        rng.choice([-1, 1, 0], trades, p=[0.48, 0.48, 0.04]),
        tick_nanos,
    )


def real_trades(path: Path, session: cme.Session, symbol: str) -> pl.DataFrame:
    """Rows of ``trades_clean`` of a real DBN trades file, the instrument that traded most."""
    records = db.DBNStore.from_file(path).to_ndarray()
    ids, counts = np.unique(records["instrument_id"], return_counts=True)
    records = records[records["instrument_id"] == ids[counts.argmax()]]
    sign = np.select([records["side"] == b"B", records["side"] == b"A"], [1, -1], 0)
    ticks = records["price"] // TICK_NANOS
    return frame(session, records["ts_event"].astype(np.int64), ticks, records["size"], sign, symbol=symbol)
