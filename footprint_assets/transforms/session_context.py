"""Where a five-second bar stands in its session: anchored VWAPs, the developing profile, the calendar, ranges.

One row a bar of the book's grid. A row reads trades before ``bar_ts`` + 5 s, levels valid by then, minute bars closed by
then, the calendar, and earlier sessions of the same contract. The definitions are in docs/session-context.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.settings import PRICE_SCALE, FootprintSettings
from footprint_assets.sources.instruments import Outright, parse_symbol
from footprint_assets.transforms import prior
from footprint_assets.transforms.running import (
    Counts,
    Developing,
    Floats,
    PriceSums,
    Tape,
    as_of,
    developing_profile,
    extremes_so_far,
    last_price,
    level_at,
    vwap_so_far,
)
from footprint_assets.transforms.session_summary import BUCKET_MINUTES, BUCKETS, MINUTE_NS

TABLE = "silver.future.session_context_5s"
CHANGE_BARS = 60
"""Bars a slope or move looks back, five minutes; ``w60`` in the column names."""
ANCHORS = ("globex", "rth", "week", "avwap_prev_high", "avwap_prev_low")
SLOPED_ANCHORS = ("globex", "rth")
PROFILE_PRICES = ("poc", "vah", "val", "high", "low")
RANGES = {
    "overnight": ("OVERNIGHT_HIGH", "OVERNIGHT_LOW"),
    "pm": ("PM_HIGH", "PM_LOW"),
    "or": ("OR_HIGH", "OR_LOW"),
    "ib": ("IB_HIGH", "IB_LOW"),
    "prior": ("PDH", "PDL"),
}
"""``ctx_<key>_range_pts`` is the first level minus the second."""

Columns = dict[str, pl.Series]


@dataclass(frozen=True)
class _Grid:
    """The bars: their starts and ends, the trades before each end, and the last price by then.

    Args:
        start_ns: int64[bars], ns since the epoch.
        end_ns: int64[bars], ns since the epoch.
        trades: int64[bars].
        close: float64[bars], points; NaN before the first trade.
    """

    start_ns: Counts
    end_ns: Counts
    trades: Counts
    close: Floats


def session_context_5s(
    trades_clean: pl.DataFrame,
    bars: pl.DataFrame,
    session_levels: pl.DataFrame,
    prior_sessions: pl.DataFrame,
    ohlcv: pl.DataFrame,
    session: Session,
    footprint: FootprintSettings,
    tick_size: float,
) -> pl.DataFrame:
    """The session around every five-second bar.

    Args:
        trades_clean: Rows of ``silver.future.trades_clean``: one contract, one trade date, event order; may be empty.
        bars: ``bar_ts`` and ``symbol`` of ``silver.future.market_by_price_10_bar5s`` of the same.
        session_levels: Rows of ``silver.future.session_levels`` of the same; may be empty.
        prior_sessions: Rows of ``silver.future.prior_sessions`` of the same; may be empty.
        ohlcv: Rows of ``silver.future.ohlcv`` of the same; may be empty.
        session: The trade date's session.
        footprint: Row height and value area of the developing profile.
        tick_size: Minimum price increment, points.

    Returns:
        Rows of ``silver.future.session_context_5s``, one a bar, in the order of the bars.
    """
    schema = contracts.load(TABLE).polars_schema
    if bars.is_empty():
        return schema.to_frame()
    symbol = bars["symbol"][0]
    tape = Tape.of(trades_clean, session, round(tick_size * PRICE_SCALE))
    grid = _grid(bars, tape)
    own = prior.of_contract(prior_sessions, symbol)
    columns = (
        {"bar_ts": bars["bar_ts"], "symbol": bars["symbol"]}
        | _vwap_columns(grid, tape, own, session)
        | _profile_columns(grid, developing_profile(tape, grid.trades, footprint), tape.tick_nanos)
        | _calendar_columns(grid, symbol, session)
        | _range_columns(grid, tape, session_levels, own, ohlcv)
    )
    return pl.DataFrame(columns).select(schema.names()).cast(schema)


def _grid(bars: pl.DataFrame, tape: Tape) -> _Grid:
    start_ns = np.array(bars["bar_ts"].to_physical(), np.int64)
    end_ns = start_ns + BAR_NS
    trades = np.searchsorted(tape.ts_ns, end_ns, side="left")
    return _Grid(start_ns, end_ns, trades, last_price(tape, trades))


def _vwap_columns(grid: _Grid, tape: Tape, own: pl.DataFrame, session: Session) -> Columns:
    """Anchored VWAPs, their deviations, the distance of the close in points and in deviations, and slopes."""
    anchored = {
        "globex": vwap_so_far(tape, grid.trades),
        "rth": vwap_so_far(tape, np.minimum(grid.trades, tape.after_cash), first=tape.first_cash),
        "week": _carried(grid, tape, prior.sums_of_week(own, session)),
        "avwap_prev_high": _carried(grid, tape, prior.sums_since_cash_extreme(own, session, "high")),
        "avwap_prev_low": _carried(grid, tape, prior.sums_since_cash_extreme(own, session, "low")),
    }
    columns: Columns = {}
    for anchor in ANCHORS:
        vwap, std = anchored[anchor]
        distance = grid.close - vwap
        is_spread = std > 0
        sigmas = np.full(len(std), np.nan)
        sigmas[is_spread] = distance[is_spread] / std[is_spread]
        columns |= {
            f"{anchor}_vwap": _nullable(vwap),
            f"{anchor}_vwap_std": _nullable(std),
            f"{anchor}_vwap_dist_pts": _nullable(distance),
            f"{anchor}_vwap_dist_sigma": _nullable(sigmas),
        }
    for anchor in SLOPED_ANCHORS:
        change = _change(anchored[anchor][0])
        columns[f"{anchor}_vwap_slope_w{CHANGE_BARS}"] = _nullable(change / CHANGE_BARS)
    return columns


def _carried(grid: _Grid, tape: Tape, earlier: PriceSums | None) -> tuple[Floats, Floats]:
    if earlier is None:
        unknown = np.full(len(grid.trades), np.nan)
        return unknown, unknown
    return vwap_so_far(tape, grid.trades, earlier=earlier)


def _profile_columns(grid: _Grid, developing: Developing, tick_nanos: int) -> Columns:
    columns: Columns = {}
    for name in PROFILE_PRICES:
        price = getattr(developing, name)
        columns[f"dev_{name}_price"] = _nullable(price)
        columns[f"dev_{name}_dist_pts"] = _nullable(grid.close - price)
    move = np.rint(_change(developing.poc) * PRICE_SCALE / tick_nanos)
    # At the first cash trade another profile begins; the step to it is no move of either.
    is_same = _change(developing.is_cash.astype(np.float64)) == 0
    columns[f"dev_poc_move_ticks_w{CHANGE_BARS}"] = _nullable(np.where(is_same, move, np.nan))
    return columns


def _calendar_columns(grid: _Grid, symbol: str, session: Session) -> Columns:
    """What the calendar says of a bar. Flags and the bucket are those of its start, minutes count to its end."""
    bars = len(grid.start_ns)
    bucket = (grid.start_ns - session.open_ns) // (BUCKET_MINUTES * MINUTE_NS)
    is_outside = pl.Series((bucket < 0) | (bucket >= BUCKETS))
    columns: Columns = {
        "ctx_minutes_since_globex_open": pl.Series((grid.end_ns - session.open_ns) / MINUTE_NS),
        "ctx_minutes_since_rth_open": _unknown(bars),
        "ctx_minutes_to_rth_close": _unknown(bars),
        "ctx_bucket_5m": pl.Series(bucket).set(is_outside, None),
        **{name: _constant(False, bars) for name in ("ctx_is_rth", "ctx_is_first_15m", "ctx_is_first_60m")},
        "ctx_day_of_week": _constant(session.trade_date.isoweekday(), bars),
        "ctx_is_roll_week": _constant(prior.is_roll_week(session.trade_date), bars),
        "ctx_is_early_close": _constant(session.is_early_close, bars),
        "ctx_days_to_expiry": _constant(_days_to_expiry(symbol, session), bars),
        "ctx_minutes_to_next_econ_event": _unknown(bars),
    }
    if session.rth_open_ns is not None and session.rth_close_ns is not None:
        in_cash = (grid.start_ns >= session.rth_open_ns) & (grid.start_ns < session.rth_close_ns)
        columns |= {
            "ctx_minutes_since_rth_open": pl.Series((grid.end_ns - session.rth_open_ns) / MINUTE_NS),
            "ctx_minutes_to_rth_close": pl.Series((session.rth_close_ns - grid.end_ns) / MINUTE_NS),
            "ctx_is_rth": pl.Series(in_cash),
        }
        for minutes in (15, 60):
            first = in_cash & (grid.start_ns < session.rth_open_ns + minutes * MINUTE_NS)
            columns[f"ctx_is_first_{minutes}m"] = pl.Series(first)
    return columns


def _days_to_expiry(symbol: str, session: Session) -> int | None:
    instrument = parse_symbol(symbol, session.trade_date)
    if not isinstance(instrument, Outright):
        return None
    last_day = prior.expiry(instrument.year, instrument.month)
    return None if last_day is None else (last_day - session.trade_date).days


def _range_columns(
    grid: _Grid, tape: Tape, session_levels: pl.DataFrame, own: pl.DataFrame, ohlcv: pl.DataFrame
) -> Columns:
    """Ranges and gaps from the instant they are known, and average ranges."""

    def level(name: str) -> Floats:
        return level_at(session_levels, name, grid.end_ns)

    high, low = extremes_so_far(tape, grid.trades)
    atr, mean_range = prior.daily_atr(own), prior.mean_range(own)
    return {
        "ctx_gap_pts": _nullable(level("RTH_OPEN") - level("PDC")),
        **{
            f"ctx_{key}_range_pts": _nullable(level(top) - level(bottom))
            for key, (top, bottom) in RANGES.items()
        },
        "ctx_atr_1m_14_pts": _nullable(_minute_atr(ohlcv, grid.end_ns)),
        "ctx_atr_1d_14_pts": _constant(atr, len(grid.end_ns)),
        "ctx_range_used_ratio": _nullable((high - low) / (mean_range or np.nan)),
        "ctx_prev_close_dist_pts": _nullable(grid.close - level("PDC")),
    }


def _minute_atr(ohlcv: pl.DataFrame, end_ns: Counts) -> Floats:
    """ATR of the one-minute bars closed by each instant."""
    minutes = ohlcv.filter(pl.col("interval") == "1m").sort("bar_ts")
    closed_ns = np.array(minutes["bar_ts"].to_physical(), np.int64) + MINUTE_NS
    return as_of(closed_ns, np.array(minutes["atr_14"].fill_null(np.nan), np.float64), end_ns)


def _change(values: Floats) -> Floats:
    """Difference to the value ``CHANGE_BARS`` bars before; NaN before there is one."""
    out = np.full(len(values), np.nan)
    out[CHANGE_BARS:] = values[CHANGE_BARS:] - values[:-CHANGE_BARS]
    return out


def _nullable(values: NDArray[np.float64]) -> pl.Series:
    return pl.Series(values, nan_to_null=True)


def _constant(value: bool | float | None, bars: int) -> pl.Series:
    return pl.repeat(value, bars, eager=True) if value is not None else _unknown(bars)


def _unknown(bars: int) -> pl.Series:
    return pl.repeat(None, bars, dtype=pl.Float64, eager=True)
