"""What later sessions need to know of one session, in one row: the only table a look-back reads.

Prices, profiles, sums and counts of one contract on one trade date. Facts of the book are null where no book is held.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels.fits import (
    UNDEFINED_BUCKET,
    imbalance_bucket,
    ofi_principal_component,
    stoikov_counts,
)
from footprint_assets.kernels.ofi import LEVELS, normalised_ofi
from footprint_assets.kernels.value_area import value_area
from footprint_assets.settings import NANOS_PER_SECOND, PRICE_SCALE, FootprintSettings
from footprint_assets.transforms.grid import floats
from footprint_assets.transforms.settlement import settlement
from footprint_assets.transforms.windows import between, longest_gap_ns, points, ticks_and_sizes, times_ns

TABLE = "silver.future.session_summary"
MINUTE_NS = 60 * NANOS_PER_SECOND
EDGE_MINUTES = 5
"""A session is complete if its trades reach this close to its open and its close."""
CLOSE_MINUTES = 2
CLOSES_KEPT = 120
"""More than any moving average of two-minute closes reads."""
BUCKET_MINUTES = 5
BUCKETS = 276
"""Five-minute buckets from 18:00 to 17:00 ET."""
ORDER_SIZES = 1001
"""Order sizes 0 to 999, and all larger ones."""
SHARE_BINS = 101
"""0 to under 1 %, ..., 99 to under 100 %, exactly 100 %."""
BUCKET_SOURCES = {
    "trade_vol": pl.col("bar5s_trade_vol_sum"),
    "trade_cnt": pl.col("bar5s_trade_cnt_sum"),
    "trade_aggbuy_vol": pl.col("bar5s_trade_aggbuy_vol_sum"),
    "trade_aggsell_vol": pl.col("bar5s_trade_aggsell_vol_sum"),
    "trade_signed_vol": pl.col("bar5s_trade_signed_vol_sum"),
    "flow_add_vol_bid": pl.col("bar5s_flow_add_vol_bid_sum"),
    "flow_add_vol_ask": pl.col("bar5s_flow_add_vol_ask_sum"),
    "flow_rem_vol_bid": pl.col("bar5s_flow_pull_vol_bid_sum") + pl.col("bar5s_flow_fill_vol_bid_sum"),
    "flow_rem_vol_ask": pl.col("bar5s_flow_pull_vol_ask_sum") + pl.col("bar5s_flow_fill_vol_ask_sum"),
    "flow_net_vol_bid": pl.col("bar5s_flow_net_vol_bid_sum"),
    "flow_net_vol_ask": pl.col("bar5s_flow_net_vol_ask_sum"),
    "msg_cnt": pl.col("bar5s_meta_msg_cnt_sum"),
}
"""What a five-minute bucket sums, from the five-second bars and the book measures beside them."""
BUCKET_BASES = tuple(BUCKET_SOURCES)
_OFI_COLUMNS = [f"bar5s_ofi_m{level:02d}_sum" for level in range(LEVELS)]
BOOK_COLUMNS = (
    *_OFI_COLUMNS,
    *(
        f"bar5s_flow_{what}_vol_{side}_sum"
        for what in ("add", "pull", "fill", "net")
        for side in ("bid", "ask")
    ),
)
"""Columns read from the book measures of the five-second bars."""
BAR_COLUMNS = (
    "bar_ts",
    "bar5s_meta_msg_cnt_sum",
    *(f"bar5s_trade_{what}_sum" for what in ("vol", "cnt", "aggbuy_vol", "aggsell_vol", "signed_vol")),
    *(f"bar5s_depth_{side}10_qty_twa" for side in ("bid", "ask")),
    *(f"bar5s_shape_{side}_{what}_l00_eob" for side in ("bid", "ask") for what in ("px", "sz")),
)
"""Columns read from the five-second bars."""

Facts = dict[str, object]


def session_summary(
    trades_clean: pl.DataFrame,
    bars: pl.DataFrame,
    book: pl.DataFrame,
    footprint_price: pl.DataFrame,
    statistics: pl.DataFrame,
    session: Session,
    footprint: FootprintSettings,
    tick_size: float,
) -> pl.DataFrame:
    """The facts of one contract's session that later sessions are compared with.

    Args:
        trades_clean: Rows of ``silver.future.trades_clean``: one contract, one trade date, event order.
        bars: ``BAR_COLUMNS`` of ``silver.future.market_by_price_10_bar5s``; empty without a book.
        book: ``bar_ts`` and ``BOOK_COLUMNS`` of ``silver.future.market_by_price_10_bar5s_book``; empty without a book.
        footprint_price: Rows of ``silver.future.footprint_price``: bar type and id, delta and total volume.
        statistics: Rows of ``bronze.future.statistics``; may be empty.
        session: The trade date's session.
        footprint: Row height and value area.
        tick_size: Minimum price increment, points.

    Returns:
        One row of ``silver.future.session_summary``; none where nothing traded.
    """
    schema = contracts.load(TABLE).polars_schema
    if trades_clean.is_empty():
        return schema.to_frame()
    symbol = trades_clean["symbol"][0]
    tick_nanos = round(tick_size * PRICE_SCALE)
    row = {
        "symbol": symbol,
        "session_date": session.trade_date,
        **_extent(trades_clean, session),
        **_prices(trades_clean, ""),
        "settlement": settlement(statistics, symbol, session),
        **_cash_facts(trades_clean, session, footprint, tick_nanos),
        "total_volume": trades_clean["size"].sum(),
        "delta": (trades_clean["size"] * trades_clean["aggressor_sign"]).sum(),
        "trades": trades_clean.height,
        **_price_sums(trades_clean, "vwap_sum"),
        **_profile(trades_clean, "profile"),
        **_minutes(trades_clean, session),
        **_closes(trades_clean, session),
        "order_size_counts": _order_sizes(trades_clean),
        **_buckets(bars, book, session),
        **_fits(bars, book, tick_nanos),
        **_delta_shares(footprint_price),
    }
    return pl.DataFrame([row], schema=schema)


def two_minute_closes(
    trades_clean: pl.DataFrame, session: Session
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Closes of the two-minute trade bars cut from the Globex open on; a bar without a trade does not exist.

    Args:
        trades_clean: Rows of ``silver.future.trades_clean`` in event order; may be empty.
        session: The trade date's session.

    Returns:
        ``(close, end)``, int64[bars] each: ticks, and the end of the bar in minutes since the open.
    """
    bar = (times_ns(trades_clean) - session.open_ns) // (CLOSE_MINUTES * MINUTE_NS)
    last = np.flatnonzero(np.append(bar[1:] != bar[:-1], True)[: len(bar)])
    tick, _ = ticks_and_sizes(trades_clean)
    return tick[last], (bar[last] + 1) * CLOSE_MINUTES


def _extent(trades: pl.DataFrame, session: Session) -> Facts:
    first_ns, last_ns = times_ns(trades)[[0, -1]].tolist()
    edge_ns = EDGE_MINUTES * MINUTE_NS
    return {
        "first_ts": first_ns,
        "last_ts": last_ns,
        "is_complete": first_ns < session.open_ns + edge_ns and last_ns >= session.close_ns - edge_ns,
    }


def _prices(trades: pl.DataFrame, prefix: str) -> Facts:
    price = trades["price"]
    return {
        f"{prefix}open": price[0],
        f"{prefix}high": price.max(),
        f"{prefix}low": price.min(),
        f"{prefix}close": price[-1],
    }


def _cash_facts(
    trades: pl.DataFrame, session: Session, footprint: FootprintSettings, tick_nanos: int
) -> Facts:
    """What happened between the cash open and the cash close; prices are null where nothing traded."""
    cash = trades.clear()
    if session.rth_open_ns is not None and session.rth_close_ns is not None:
        cash = between(trades, session.rth_open_ns, session.rth_close_ns)
    counts: Facts = {
        "has_rth": cash.height > 0,
        "rth_volume": cash["size"].sum(),
        "rth_trades": cash.height,
        **_profile(cash, "rth_profile"),
    }
    if cash.is_empty():
        return counts
    assert session.rth_open_ns is not None
    assert session.rth_close_ns is not None
    tick, size = ticks_and_sizes(cash)
    ts_ns = times_ns(cash)
    row = tick // footprint.ticks_per_row
    bottom = int(row.min())
    # Counts of contracts are exact in float64, which bincount adds in.
    volumes = np.bincount(row - bottom, weights=size).astype(np.int64)
    area = value_area(volumes, footprint.value_area_pct, footprint.value_area_rows)
    poc, val, vah = (points((bottom + place) * footprint.ticks_per_row, tick_nanos) for place in area)
    volume, tick_volume = int(size.sum()), int((tick * size).sum())
    extremes = {"high": int(tick.argmax()), "low": int(tick.argmin())}
    start = int(np.searchsorted(times_ns(trades), session.rth_open_ns))
    return {
        **counts,
        **_prices(cash, "rth_"),
        **{f"rth_{side}_ts": int(ts_ns[place]) for side, place in extremes.items()},
        "rth_poc_price": poc,
        "rth_vah_price": vah,
        "rth_val_price": val,
        "rth_vwap": points(
            tick_volume // volume + (tick_volume % volume) / volume,
            tick_nanos,
        ),
        "rth_longest_gap_ns": longest_gap_ns(ts_ns, session.rth_open_ns, session.rth_close_ns),
        **_price_sums(trades.slice(start + extremes["high"]), "after_rth_high"),
        **_price_sums(trades.slice(start + extremes["low"]), "after_rth_low"),
    }


def _price_sums(trades: pl.DataFrame, prefix: str) -> Facts:
    """Sums a VWAP goes on from, in whole prices: every session's can be added."""
    tick, size = ticks_and_sizes(trades)
    return {
        f"{prefix}_volume": int(size.sum()),
        f"{prefix}_tick_volume": int((size * tick).sum()),
        f"{prefix}_tick2_volume": int((size * tick * tick).sum()),
    }


def _profile(trades: pl.DataFrame, prefix: str) -> Facts:
    size, sign = pl.col("size"), pl.col("aggressor_sign")
    rows = (
        trades.group_by(pl.col("price_tick").alias("tick"))
        .agg(
            size.filter(sign < 0).sum().alias("bid_volume"),
            size.filter(sign > 0).sum().alias("ask_volume"),
            size.filter(sign == 0).sum().alias("unknown_volume"),
            pl.len().cast(pl.Int64).alias("trades"),
        )
        .sort("tick")
    )
    return {f"{prefix}_{column.name}": column.to_list() for column in rows}


def _minutes(trades: pl.DataFrame, session: Session) -> Facts:
    size, sign = pl.col("size"), pl.col("aggressor_sign")
    minute = (pl.col("ts_event").to_physical() - session.open_ns).floordiv(MINUTE_NS)
    rows = trades.group_by(minute.alias("minute"), maintain_order=True).agg(
        buy=size.filter(sign > 0).sum(), sell=size.filter(sign < 0).sum()
    )
    return {
        "minute_start": rows["minute"].to_list(),
        "minute_buy_volume": rows["buy"].to_list(),
        "minute_sell_volume": rows["sell"].to_list(),
    }


def _closes(trades: pl.DataFrame, session: Session) -> Facts:
    _, end = two_minute_closes(trades, session)
    # The prices as traded: the closes are ticks only where they are averaged.
    last = np.searchsorted(times_ns(trades), session.open_ns + end * MINUTE_NS) - 1
    return {
        "closes_2m": trades["price"].gather(last[-CLOSES_KEPT:]).to_list(),
        "closes_2m_end_minute": end[-CLOSES_KEPT:].tolist(),
    }


def _order_sizes(trades: pl.DataFrame) -> list[int]:
    """Aggressing orders by the contracts they took; trades without an aggressor are nobody's order."""
    orders = (
        trades.filter(pl.col("aggressor_sign") != 0).group_by("aggressor_order_id").agg(pl.col("size").sum())
    )
    counts: list[int] = np.bincount(
        np.minimum(orders["size"].to_numpy(), ORDER_SIZES - 1), minlength=ORDER_SIZES
    ).tolist()
    return counts


def _beside(bars: pl.DataFrame, book: pl.DataFrame) -> pl.DataFrame:
    """The bars with their book measures, null where a bar has none."""
    return bars.select(BAR_COLUMNS).join(
        book.select("bar_ts", *BOOK_COLUMNS), on="bar_ts", how="left", maintain_order="left"
    )


def _buckets(bars: pl.DataFrame, book: pl.DataFrame, session: Session) -> Facts:
    """Five-minute sums; a sum of bars one of which is not known is not known either."""
    if bars.is_empty():
        return {}
    bucket = (pl.col("bar_ts").to_physical() - session.open_ns).floordiv(BUCKET_MINUTES * MINUTE_NS)
    rows = (
        _beside(bars, book)
        .select(bucket.alias("bucket"), *(value.alias(base) for base, value in BUCKET_SOURCES.items()))
        .filter(pl.col("bucket").is_between(0, BUCKETS - 1))
        .group_by("bucket", maintain_order=True)
        .agg(
            pl.len().alias("bars"),
            *(pl.when(pl.col(base).null_count() == 0).then(pl.col(base).sum()) for base in BUCKET_BASES),
        )
    )
    return {
        "bucket_ids": rows["bucket"].to_list(),
        "bucket_bars": rows["bars"].to_list(),
        **{f"bucket_{base}": rows[base].to_list() for base in BUCKET_BASES},
    }


def _fits(bars: pl.DataFrame, book: pl.DataFrame, tick_nanos: int) -> Facts:
    if bars.is_empty():
        return {}
    rows = _beside(bars, book)
    depth = [floats(rows[f"bar5s_depth_{side}10_qty_twa"]) for side in ("bid", "ask")]
    ofi = np.column_stack([floats(rows[name]) for name in _OFI_COLUMNS])
    weights = ofi_principal_component(normalised_ofi(ofi, *depth))
    stay, move, jump = _quote_steps(rows, tick_nanos)
    return {
        "ofi_weights": None if weights is None else weights.tolist(),
        "stoikov_stay": stay.ravel().tolist(),
        "stoikov_move": move.ravel().tolist(),
        "stoikov_jump": jump.ravel().tolist(),
    }


def _quote_steps(
    rows: pl.DataFrame, tick_nanos: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Steps of the best quote between the ends of consecutive bars."""
    price = [floats(rows[f"bar5s_shape_{side}_px_l00_eob"]) for side in ("bid", "ask")]
    size = [floats(rows[f"bar5s_shape_{side}_sz_l00_eob"]) for side in ("bid", "ask")]
    known = ~np.isnan(np.stack([*price, *size])).any(axis=0)
    bid, ask = (
        np.rint(np.where(known, side, 0) * PRICE_SCALE / tick_nanos).astype(np.int64) for side in price
    )
    bid_size, ask_size = (np.where(known, side, 0).astype(np.int64) for side in size)
    bucket = np.where(known, imbalance_bucket(bid_size, ask_size), UNDEFINED_BUCKET)
    return stoikov_counts(bucket, ask - bid, bid + ask)


def _delta_shares(footprint_price: pl.DataFrame) -> Facts:
    """Bars of each type by how one-sided they were."""
    bars = footprint_price.group_by("bar_type", "bar_id").agg(pl.col("delta", "total_volume").sum())
    types = sorted(bars["bar_type"].unique().to_list())
    counts: list[int] = []
    for bar_type in types:
        of_type = bars.filter(pl.col("bar_type") == bar_type)
        share = 100 * np.abs(of_type["delta"].to_numpy()) // of_type["total_volume"].to_numpy()
        counts += np.bincount(share, minlength=SHARE_BINS).tolist()
    return {"delta_share_bar_type": types, "delta_share_counts": counts}
