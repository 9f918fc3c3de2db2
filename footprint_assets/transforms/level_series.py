"""Price levels that move: the value of each at the end of every five-second bar, from what had happened by then.

A bar's values read trades before ``bar_ts`` + 5 s, two-minute bars closed by then, and earlier sessions of the same
contract. A level that is not known yet has no row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets import contracts
from footprint_assets.calendar import Session
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.kernels.indicators import rolling_moments
from footprint_assets.kernels.level_series import exponential_mean, last_changes
from footprint_assets.settings import NANOS_PER_SECOND, PRICE_SCALE, FootprintSettings
from footprint_assets.transforms.level import half_up
from footprint_assets.transforms.prior import of_contract, sums_of_week, this_week
from footprint_assets.transforms.running import (
    Tape,
    as_of,
    developing_profile,
    extremes_so_far,
    vwap_so_far,
)
from footprint_assets.transforms.session_summary import CLOSES_KEPT, MINUTE_NS, two_minute_closes
from footprint_assets.transforms.windows import points

TABLE = "silver.future.level_series_5s"
SLOPE_BARS = 12
"""One minute of bars: a difference over it is a slope a minute."""
SMA_LENGTH = 90
EMA_LENGTH = 20
"""Two-minute closes of the moving averages; the level names state them."""
SETTLED_NS = 60 * NANOS_PER_SECOND
"""Age at which a trade may make the session's high or low: a level has to stand before price can come back to it."""
BAND_SIGMAS = (1, 2, 3)

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class _Grid:
    """The ends of the bars, and how many trades came before each; int64[bars]."""

    end_ns: Counts
    trades: Counts


def level_series_5s(
    trades_clean: pl.DataFrame,
    bars: pl.DataFrame,
    prior_sessions: pl.DataFrame,
    session: Session,
    footprint: FootprintSettings,
    tick_size: float,
) -> pl.DataFrame:
    """Every dynamic level at every bar end.

    Args:
        trades_clean: Rows of ``silver.future.trades_clean``: one contract, one trade date, event order.
        bars: ``symbol`` and ``bar_ts`` of ``silver.future.market_by_price_10_bar5s`` of the same, ascending.
        prior_sessions: Rows of ``silver.future.prior_sessions`` of the contract and date; may be empty.
        session: The trade date's session.
        footprint: Row height and value area of the developing profile.
        tick_size: Minimum price increment, points.

    Returns:
        Rows of ``silver.future.level_series_5s`` sorted by bar and level.
    """
    schema = contracts.load(TABLE).polars_schema
    if bars.is_empty():
        return schema.to_frame()
    symbol, tick_nanos = bars["symbol"][0], round(tick_size * PRICE_SCALE)
    tape = Tape.of(trades_clean, session, tick_nanos)
    end_ns = np.array(bars["bar_ts"].to_physical(), np.int64) + BAR_NS
    grid = _Grid(end_ns, np.searchsorted(tape.ts_ns, end_ns))
    own = of_contract(prior_sessions, symbol)
    found = sorted(
        [
            *_moving_averages(trades_clean, own, session, grid, tick_nanos),
            *_vwaps(tape, own, session, grid),
            *_developing_profile(tape, grid, footprint),
            *_extremes(tape, own, session, grid),
        ],
        key=lambda series: series[0],
    )
    return _long([name for name, _ in found], [values for _, values in found], bars, tick_nanos)


def _moving_averages(
    trades: pl.DataFrame, own: pl.DataFrame, session: Session, grid: _Grid, tick_nanos: int
) -> Iterator[tuple[str, Floats]]:
    """Averages of two-minute closes, going on from the sessions right before this one."""
    close, end_minute = two_minute_closes(trades, session)
    before = _closes_before(own, tick_nanos)
    closes = np.concatenate([before, close])
    known_ns = session.open_ns + np.concatenate([np.zeros_like(before), end_minute * MINUTE_NS])
    for name, values in (
        ("SMA_90", rolling_moments(closes, SMA_LENGTH)[0]),
        ("EMA_20", exponential_mean(closes, EMA_LENGTH)),
    ):
        # A grid may begin before the open, where yesterday's last value still stands.
        yield (
            name,
            points(as_of(np.where(known_ns > session.open_ns, known_ns, 0), values, grid.end_ns), tick_nanos),
        )


def _closes_before(own: pl.DataFrame, tick_nanos: int) -> Counts:
    """The last two-minute closes before today, ticks: of the sessions without a gap before it, as many as are kept."""
    closes: list[float] = []
    for expected, (ago, held) in enumerate(own.select("sessions_ago", "closes_2m").iter_rows(), start=1):
        if ago != expected or len(closes) >= CLOSES_KEPT:
            break
        closes = held + closes
    return np.rint(np.array(closes[-CLOSES_KEPT:]) * PRICE_SCALE / tick_nanos).astype(np.int64)


def _vwaps(tape: Tape, own: pl.DataFrame, session: Session, grid: _Grid) -> Iterator[tuple[str, Floats]]:
    cash = np.minimum(grid.trades, tape.after_cash)
    anchors = {
        "GLOBEX_VWAP": vwap_so_far(tape, grid.trades),
        "RTH_VWAP": vwap_so_far(tape, cash, tape.first_cash),
    }
    for name, (vwap, std) in anchors.items():
        yield name, vwap
        for k in BAND_SIGMAS:
            yield f"{name}_PLUS_{k}SD", vwap + k * std
            yield f"{name}_MINUS_{k}SD", vwap - k * std
    week = sums_of_week(own, session)
    if week is not None:
        yield "WEEK_VWAP", vwap_so_far(tape, grid.trades, earlier=week)[0]


def _developing_profile(
    tape: Tape, grid: _Grid, footprint: FootprintSettings
) -> Iterator[tuple[str, Floats]]:
    """The profile's levels, the night's and the cash session's apart: the step from one to the other is no slope."""
    profile = developing_profile(tape, grid.trades, footprint)
    for name, values in (("DEV_POC", profile.poc), ("DEV_VAH", profile.vah), ("DEV_VAL", profile.val)):
        yield name, np.where(profile.is_cash, np.nan, values)
        yield name, np.where(profile.is_cash, values, np.nan)


def _extremes(tape: Tape, own: pl.DataFrame, session: Session, grid: _Grid) -> Iterator[tuple[str, Floats]]:
    settled = np.searchsorted(tape.ts_ns, grid.end_ns - SETTLED_NS)
    high, low = extremes_so_far(tape, settled)
    yield "SESSION_HIGH", high
    yield "SESSION_LOW", low
    earlier = this_week(own, session)
    if earlier is None:
        return
    high, low = extremes_so_far(tape, grid.trades)
    if earlier.height:
        # fmax and fmin pass over the NaN before today's first trade.
        high, low = np.fmax(high, float(earlier["high"].max())), np.fmin(low, float(earlier["low"].min()))  # type: ignore[arg-type]  # columns of floats
    yield "CURRENT_WEEK_HIGH", high
    yield "CURRENT_WEEK_LOW", low


def _long(names: list[str], series: list[Floats], bars: pl.DataFrame, tick_nanos: int) -> pl.DataFrame:
    """One row a bar and known level; a name may come twice as long as one of the two is known at a time.

    Args:
        names: Ascending names, one a series.
        series: float64[bars] each, points, NaN where not known.
        bars: ``symbol`` and ``bar_ts``.
        tick_nanos: Minimum price increment, 1e-9 points.

    Returns:
        Rows of the table.
    """
    schema = contracts.load(TABLE).polars_schema
    raw = np.column_stack(series)
    slope = np.full(raw.shape, np.nan)
    slope[SLOPE_BARS:] = raw[SLOPE_BARS:] - raw[:-SLOPE_BARS]
    starts = np.column_stack([last_changes(values) for values in series])
    age_s = (np.arange(len(raw))[:, None] - starts) * (BAR_NS / NANOS_PER_SECOND)
    bar, level = np.nonzero(~np.isnan(raw))
    price = raw[bar, level]
    return pl.DataFrame(
        {
            "bar_ts": bars["bar_ts"].gather(bar),
            "symbol": pl.repeat(bars["symbol"][0], len(bar), dtype=pl.String, eager=True),
            "level_name": pl.Series(names).gather(level),
            "level_price": points(half_up(price, tick_nanos), tick_nanos),
            "level_price_raw": price,
            "level_slope_pts_per_min": pl.Series(slope[bar, level], nan_to_null=True),
            "level_age_s": age_s[bar, level],
        },
        schema=schema,
    )
