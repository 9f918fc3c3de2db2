"""Volume profiles of one contract on one trade date: volume at each price, and one summary row a profile.

Three profiles a date: ``RTH`` (09:30 ET to the cash close), ``ETH`` (everything else) and ``FULL``. A date without a
cash session has no ``RTH`` profile and equal ``ETH`` and ``FULL`` ones.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.errors import FootprintError
from footprint_assets.kernels.profile import volume_nodes
from footprint_assets.kernels.value_area import value_area
from footprint_assets.kernels.vwap import anchored_vwap
from footprint_assets.settings import PRICE_SCALE, FootprintSettings
from footprint_assets.transforms.footprint import MAX_ROWS, MalformedTradesError
from footprint_assets.transforms.windows import (
    between,
    longest_gap_ns,
    points,
    tick_size_nanos,
    ticks_and_sizes,
    times_ns,
)

PRICE_TABLE = "silver.future.volume_profile_price"
SESSION_TABLE = "silver.future.volume_profile_session"

SETTLEMENT_STAT_TYPE = 3
DELETE_UPDATE = 2
FINAL_FLAG = 0x01
"""Bits of a settlement's ``stat_flags`` (FIX tag 731, SettlPriceType): final rather than preliminary ..."""
INTRADAY_FLAG = 0x08
"""... and an intraday mark, which is no daily settlement."""


class ProfileOfOtherTrades(FootprintError):  # noqa: N818 - names the fact a reader meets
    """A profile's rows do not hold the volume of the trades they are summarised with."""


def volume_profile_price(
    trades_clean: pl.DataFrame, session: Session, footprint: FootprintSettings
) -> pl.DataFrame:
    """Volume by aggressor at each price, with point of control, value area and volume nodes.

    A profile is dense: every row from the lowest to the highest trade, so a row nobody traded at has volume 0 and can
    be a low volume node or the edge of a two-row value area. Conventions: ``kernels.value_area``, ``kernels.profile``.

    Args:
        trades_clean: Rows of ``silver.future.trades_clean``: one contract, one trade date, event order.
        session: The trade date's session.
        footprint: Row height and value area.

    Returns:
        Rows of ``silver.future.volume_profile_price`` sorted by profile and price; no rows for a profile nobody traded.

    Raises:
        MalformedTradesError: The trades are too far apart to make a ladder of.
    """
    if trades_clean.is_empty():
        return contracts.load(PRICE_TABLE).polars_schema.to_frame()
    tick_nanos = tick_size_nanos(trades_clean)
    parts = _profile_trades(trades_clean, session)
    return pl.concat(
        _ladder(trades, name, session.trade_date, tick_nanos, footprint) for name, trades in parts.items()
    )


def volume_profile_session(
    profile_price: pl.DataFrame, trades_clean: pl.DataFrame, statistics: pl.DataFrame | None, session: Session
) -> pl.DataFrame:
    """One row a profile: prices, value area, VWAP and moments.

    The VWAP and the moments are of the trades, not of the rows, so a taller row changes none of them.

    Args:
        profile_price: Rows of ``silver.future.volume_profile_price`` of the same trades.
        trades_clean: Rows of ``silver.future.trades_clean``: one contract, one trade date, event order.
        statistics: Rows of ``bronze.future.statistics``, or None where the venue's statistics are not held.
        session: The trade date's session.

    Returns:
        Rows of ``silver.future.volume_profile_session`` sorted by profile.

    Raises:
        ProfileOfOtherTrades: A profile does not hold the volume of its trades.
    """
    schema = contracts.load(SESSION_TABLE).polars_schema
    if trades_clean.is_empty():
        return schema.to_frame()
    tick_nanos = tick_size_nanos(trades_clean)
    symbol = trades_clean["symbol"][0]
    settlement = None if statistics is None else _settlement(statistics, symbol, session)
    rows = []
    for name, trades in _profile_trades(trades_clean, session).items():
        ladder = profile_price.filter(pl.col("profile_type") == name)
        _require_same_volume(ladder, trades, name, session.trade_date)
        rows.append(
            {
                "symbol": symbol,
                "session_date": session.trade_date,
                "profile_type": name,
                **_value_area_facts(ladder),
                "high": trades["price"].max(),
                "low": trades["price"].min(),
                "open": trades["price"][0],
                "close": trades["price"][-1],
                "settlement": settlement,
                "delta": (trades["size"] * trades["aggressor_sign"]).sum(),
                "trades": trades.height,
                **_moments(trades, tick_nanos),
                "longest_gap_ns": _longest_gap_ns(name, trades, session),
            }
        )
    return pl.DataFrame(rows, schema=schema)


def _profile_trades(trades: pl.DataFrame, session: Session) -> dict[str, pl.DataFrame]:
    """The trades of each profile that has any, in the order of the contract's enum."""
    parts = {"RTH": trades.clear(), "ETH": trades, "FULL": trades}
    if session.rth_open_ns is not None and session.rth_close_ns is not None:
        times = times_ns(trades)
        is_rth = pl.Series((times >= session.rth_open_ns) & (times < session.rth_close_ns))
        parts |= {"RTH": trades.filter(is_rth), "ETH": trades.filter(~is_rth)}
    return {name: part for name, part in parts.items() if part.height}


def _ladder(
    trades: pl.DataFrame, name: str, trade_date: dt.date, tick_nanos: int, footprint: FootprintSettings
) -> pl.DataFrame:
    """The dense price rows of one profile."""
    height = footprint.ticks_per_row
    row = pl.col("price_tick").cast(pl.Int64).floordiv(height).alias("row")
    size, sign = pl.col("size"), pl.col("aggressor_sign")
    traded = trades.group_by(row).agg(
        size.filter(sign < 0).sum().alias("bid_volume"),
        size.filter(sign > 0).sum().alias("ask_volume"),
        size.filter(sign == 0).sum().alias("unknown_volume"),
        pl.len().cast(pl.Int64).alias("trades"),
    )
    low, high = traded.select(low=pl.col("row").min(), high=pl.col("row").max()).row(0)
    if high - low >= MAX_ROWS:
        raise MalformedTradesError(
            "Trade prices lie further apart than any market moves.",
            where={"table": "silver.future.trades_clean", "symbol": trades["symbol"][0], "dt": trade_date},
            remedy="Look for a corrupt price in the DBN file, then materialise trades_clean again.",
        )
    rows = pl.DataFrame({"row": np.arange(low, high + 1)})
    dense = rows.join(traded, on="row", how="left", maintain_order="left").with_columns(pl.all().fill_null(0))
    dense = dense.with_columns(
        (pl.col("bid_volume") + pl.col("ask_volume") + pl.col("unknown_volume")).alias("total")
    )
    volumes = np.array(dense["total"], np.int64)
    poc, val, vah = value_area(volumes, footprint.value_area_pct, footprint.value_area_rows)
    is_hvn, is_lvn = volume_nodes(volumes)
    place = np.arange(len(volumes))
    return dense.select(
        pl.lit(trades["symbol"][0]).alias("symbol"),
        pl.lit(trade_date).alias("session_date"),
        pl.lit(name, contracts.load(PRICE_TABLE).polars_schema["profile_type"]).alias("profile_type"),
        (pl.col("row") * height).cast(pl.Int32).alias("price_tick"),
        pl.Series("price", points(dense["row"].to_numpy() * height, tick_nanos)),
        "bid_volume",
        "ask_volume",
        "unknown_volume",
        pl.col("total").alias("total_volume"),
        (pl.col("ask_volume") - pl.col("bid_volume")).alias("delta"),
        "trades",
        pl.Series("is_poc", place == poc),
        pl.Series("is_in_value_area", (place >= val) & (place <= vah)),
        pl.Series("is_hvn", is_hvn),
        pl.Series("is_lvn", is_lvn),
    )


def _require_same_volume(ladder: pl.DataFrame, trades: pl.DataFrame, name: str, trade_date: dt.date) -> None:
    held, traded = ladder["total_volume"].sum(), trades["size"].sum()
    if held != traded:
        raise ProfileOfOtherTrades(
            f"The {name} profile holds {held} contracts, its trades {traded}.",
            where={"table": PRICE_TABLE, "symbol": trades["symbol"][0], "dt": trade_date},
            remedy="Materialise volume_profile_price again from the published trades_clean.",
        )


def _value_area_facts(ladder: pl.DataFrame) -> dict[str, float | int]:
    inside = ladder.filter("is_in_value_area")
    total = int(ladder["total_volume"].sum())
    poc = int(ladder["is_poc"].arg_max() or 0)
    return {
        "poc_price": ladder["price"][poc],
        "vah_price": inside["price"][-1],
        "val_price": inside["price"][0],
        "value_area_pct": 100 * int(inside["total_volume"].sum()) / total,
        "total_volume": total,
        "poc_position": poc / (ladder.height - 1) if ladder.height > 1 else 0.5,
    }


def _moments(trades: pl.DataFrame, tick_nanos: int) -> dict[str, float | None]:
    """VWAP, its deviation and the standardised third and fourth moments of the volume-weighted price."""
    tick, size = ticks_and_sizes(trades)
    (vwap,), (std,) = anchored_vwap(tick, size, 0, np.array([len(tick)]))
    out: dict[str, float | None] = {
        "vwap": points(float(vwap), tick_nanos),
        "vwap_std": points(float(std), tick_nanos),
        "profile_skew": None,
        "profile_kurtosis": None,
    }
    if std > 0:
        scaled = (tick - vwap) / std
        out["profile_skew"] = float(np.average(scaled**3, weights=size))
        out["profile_kurtosis"] = float(np.average(scaled**4, weights=size))
    return out


def _longest_gap_ns(name: str, trades: pl.DataFrame, session: Session) -> int:
    """Longest time without a trade inside the profile's trading hours."""
    hours = [(session.open_ns, session.close_ns)]
    if session.rth_open_ns is not None and session.rth_close_ns is not None and name != "FULL":
        rth_open, rth_close = session.rth_open_ns, session.rth_close_ns
        hours = (
            [(rth_open, rth_close)]
            if name == "RTH"
            else [(session.open_ns, rth_open), (rth_close, session.close_ns)]
        )
    return max(longest_gap_ns(_times_inside(trades, start, end), start, end) for start, end in hours)


def _times_inside(trades: pl.DataFrame, start_ns: int, end_ns: int) -> NDArray[np.int64]:
    return times_ns(between(trades, start_ns, end_ns))


def _settlement(statistics: pl.DataFrame, symbol: str, session: Session) -> float | None:
    """The daily settlement of the trade date that was public by the end of the date, points.

    ``ts_ref`` names the trading date of a settlement (Databento, ``StatType.SETTLEMENT_PRICE``); without it the date
    is not known, since Friday's final price arrives in Monday's tile. A final price beats a preliminary one, then the later message wins; a deletion voids what came before it. What
    arrives after 18:00 ET belongs to the next trade date's knowledge.
    """
    flags = pl.col("stat_flags").cast(pl.Int64)
    messages = statistics.filter(
        pl.col("symbol") == symbol,
        pl.col("stat_type") == SETTLEMENT_STAT_TYPE,
        pl.col("ts_ref").dt.date() == session.trade_date,
        pl.col("ts_recv").to_physical().is_between(*session.window_ns, closed="left"),
        flags & INTRADAY_FLAG == 0,
    ).sort("ts_recv", "record_index", maintain_order=True)
    deletions = (messages["update_action"] == DELETE_UPDATE).arg_true()
    standing = messages.slice(int(deletions[-1]) + 1 if deletions.len() else 0).filter(
        pl.col("price").is_not_null()
    )
    best = standing.sort((flags & FINAL_FLAG) > 0, maintain_order=True).tail(1)
    return best["price"][0] / PRICE_SCALE if best.height else None
