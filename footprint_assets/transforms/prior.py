"""What earlier sessions say about today: this week so far, the week before, average ranges, untouched prices.

Everything reads rows of ``silver.future.prior_sessions`` of the same contract, because prices of two expiries do not
compare; only dimensionless facts may come from another one. A fact that needs a session which is not held is not known:
a week without its Tuesday is no week. Ranges are taken over whole sessions only, a short recording would halve them.
"""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.calendar import CALENDAR_END, PARTITION_START, Session, previous_session, sessions
from footprint_assets.calendar import session as session_of
from footprint_assets.settings import PRICE_SCALE
from footprint_assets.transforms.running import Floats, PriceSums
from footprint_assets.transforms.session_summary import SHARE_BINS

ATR_LENGTH = 14
"""True ranges of the average true range; the column name states it."""
RANGE_SESSIONS = 20
"""Most sessions a mean range is taken over."""
MIN_RANGE_SESSIONS = 3
"""Fewest; below it a mean range says nothing."""
PRICE_SUM_COLUMNS = ("volume", "tick_volume", "tick2_volume")


def of_contract(prior_sessions: pl.DataFrame, symbol: str) -> pl.DataFrame:
    """The rows of the contract itself, the latest session first; only these hold comparable prices."""
    return prior_sessions.filter(pl.col("source_symbol") == symbol).sort("sessions_ago")


def days_between(own: pl.DataFrame, first: dt.date, last: dt.date) -> pl.DataFrame | None:
    """The contract's rows of every session from ``first`` to ``last``.

    Args:
        own: Rows of ``prior_sessions`` of the contract itself.
        first: First trade date wanted.
        last: Last trade date wanted; before ``first`` for none at all.

    Returns:
        The rows, the latest first, empty where no session lies between; None where one is not held.
    """
    wanted = sessions(max(first, PARTITION_START), last) if max(first, PARTITION_START) <= last else []
    rows = own.filter(pl.col("source_session_date").is_between(first, last))
    return rows if rows.height == len(wanted) else None


def _monday(day: dt.date) -> dt.date:
    return day - dt.timedelta(days=day.weekday())


def this_week(own: pl.DataFrame, session: Session) -> pl.DataFrame | None:
    """The contract's earlier sessions of the trading week, which opens on Sunday 18:00 ET; None where not all are known."""
    day = session.trade_date
    return days_between(own, _monday(day), day - dt.timedelta(days=1))


def extremes_of(days: pl.DataFrame) -> tuple[float, float]:
    """Highest and lowest trade of at least one session, points."""
    return max(days["high"].to_list()), min(days["low"].to_list())


def last_week(own: pl.DataFrame, session: Session) -> pl.DataFrame | None:
    """The contract's sessions of the trading week before; None where not all are known."""
    monday = _monday(session.trade_date)
    rows = days_between(own, monday - dt.timedelta(days=7), monday - dt.timedelta(days=1))
    return rows if rows is not None and rows.height else None


def sums_of_week(own: pl.DataFrame, session: Session) -> PriceSums | None:
    """Sums of the trades of the week before today; None where not all of its sessions are known."""
    rows = this_week(own, session)
    return None if rows is None else _sums(rows, "vwap_sum")


def sums_since_cash_extreme(own: pl.DataFrame, session: Session, side: str) -> PriceSums | None:
    """Sums of the trades from the last cash session's extreme to today's open.

    Args:
        own: Rows of ``prior_sessions`` of the contract itself.
        session: Today.
        side: ``high`` or ``low``.

    Returns:
        The sums; None where the session of the extreme, or one between it and today, is not known.
    """
    day = session.trade_date
    while True:
        if day <= PARTITION_START + dt.timedelta(days=1):
            return None
        day = previous_session(day)
        if session_of(day).rth_open_ns is not None:
            break
    rows = days_between(own, day, session.trade_date - dt.timedelta(days=1))
    if rows is None or rows.row(-1, named=True)[f"after_rth_{side}_volume"] is None:
        return None
    extreme, since = _sums(rows.tail(1), f"after_rth_{side}"), _sums(rows.head(-1), "vwap_sum")
    return PriceSums(
        extreme.volume + since.volume,
        extreme.tick_volume + since.tick_volume,
        extreme.tick2_volume + since.tick2_volume,
    )


def _sums(rows: pl.DataFrame, prefix: str) -> PriceSums:
    return PriceSums(*(int(rows[f"{prefix}_{column}"].sum()) for column in PRICE_SUM_COLUMNS))


def _unbroken(own: pl.DataFrame) -> pl.DataFrame:
    """The rows back from the last session up to the first one missing."""
    ago = np.array(own["sessions_ago"], np.int64)
    return own.head(int(np.logical_and.accumulate(ago == np.arange(1, len(ago) + 1)).sum()))


def daily_atr(own: pl.DataFrame) -> float | None:
    """Wilder's average true range of the contract's earlier sessions, 18:00 to 17:00 ET.

    Args:
        own: Rows of ``prior_sessions`` of the contract itself.

    Returns:
        Points: the mean of the first 14 true ranges held, smoothed over the later ones. A true range needs the close
        before it, so None below 15 sessions in an unbroken run.
    """
    days = _unbroken(own.filter("is_complete")).reverse()
    if days.height <= ATR_LENGTH:
        return None
    high, low, close = (days[name].to_list() for name in ("high", "low", "close"))
    ranges = [
        max(high[i] - low[i], abs(high[i] - close[i - 1]), abs(low[i] - close[i - 1]))
        for i in range(1, days.height)
    ]
    mean = float(sum(ranges[:ATR_LENGTH])) / ATR_LENGTH
    for true_range in ranges[ATR_LENGTH:]:
        mean = ((ATR_LENGTH - 1) * mean + true_range) / ATR_LENGTH
    return mean


def mean_range(own: pl.DataFrame) -> float | None:
    """Mean high - low of the contract's last whole sessions, at most 20.

    Args:
        own: Rows of ``prior_sessions`` of the contract itself.

    Returns:
        Points; None below three sessions.
    """
    days = own.filter("is_complete", pl.col("sessions_ago") <= RANGE_SESSIONS)
    if days.height < MIN_RANGE_SESSIONS:
        return None
    total: float = sum((days["high"] - days["low"]).to_list())
    return total / days.height


def naked_points_of_control(own: pl.DataFrame, ticks_per_row: int, tick_nanos: int) -> NDArray[np.int64]:
    """Points of control of earlier cash sessions that no session between then and today has traded.

    "Since" begins with the trade date after: the rest of the session's own date is not told apart. Only sessions back to
    the first that is not held are read: what traded in that one is not known.

    Args:
        own: Rows of ``prior_sessions`` of the contract itself.
        ticks_per_row: Row height, ticks.
        tick_nanos: Minimum price increment, 1e-9 points.

    Returns:
        int64[naked], price rows, ascending, each once.
    """
    naked: set[int] = set()
    traded: set[int] = set()
    for poc, ticks in _unbroken(own).select("rth_poc_price", "profile_tick").iter_rows():
        if poc is not None:
            naked |= {round(poc * PRICE_SCALE / tick_nanos) // ticks_per_row} - traded
        traded.update((np.array(ticks, np.int64) // ticks_per_row).tolist())
    return np.array(sorted(naked), np.int64)


def delta_share_rank(
    prior_sessions: pl.DataFrame, bar_type: str, delta: NDArray[np.int64], volume: NDArray[np.int64]
) -> Floats:
    """Where a bar's one-sidedness stands among the bars of its type in the earlier sessions.

    The share ``|delta| / volume`` is compared in 1 % bins; the bars of its own bin count half (mid-rank).

    Args:
        prior_sessions: Rows of ``silver.future.prior_sessions``; a share has no unit, so those of other contracts of the
            root count too.
        bar_type: Type of the bars.
        delta: int64[bars], contracts.
        volume: int64[bars], contracts, above 0.

    Returns:
        float64[bars] in [0, 1]; NaN without a bar of the type to compare with.
    """
    counts = np.zeros(SHARE_BINS, np.int64)
    columns = prior_sessions.select("delta_share_bar_type", "delta_share_counts")
    for types, held in columns.drop_nulls().iter_rows():
        if bar_type in types:
            start = types.index(bar_type) * SHARE_BINS
            counts += np.array(held[start : start + SHARE_BINS], np.int64)
    total = counts.sum()
    if total == 0:
        return np.full(len(delta), np.nan)
    share = 100 * np.abs(delta) // volume
    below = np.cumsum(counts) - counts
    return np.asarray((2 * below[share] + counts[share]) / (2 * total), np.float64)


def third_friday(year: int, month: int) -> dt.date:
    """The third Friday of a month."""
    first = dt.date(year, month, 1)
    return first + dt.timedelta(days=(4 - first.weekday()) % 7 + 14)


def expiry(year: int, month: int) -> dt.date | None:
    """Last trading day of an equity index future: the third Friday, or the cash session before where it has none.

    Source: CME rulebook, chapter 358 (E-mini S&P 500): final settlement to the opening quotation of the third Friday.

    Args:
        year: Contract year.
        month: Contract month.

    Returns:
        The date; None outside the calendar.
    """
    day = third_friday(year, month)
    if not PARTITION_START < day <= CALENDAR_END:
        return None
    for candidate in reversed(sessions(max(PARTITION_START, day - dt.timedelta(days=7)), day)):
        if session_of(candidate).rth_open_ns is not None:
            return candidate
    return None


def is_roll_week(day: dt.date) -> bool:
    """Whether a date lies in the week the quarterly contracts expire in, when volume moves to the next one.

    Source: CME equity index roll dates, the Monday before the third Friday of March, June, September and December.
    """
    friday = third_friday(day.year, day.month)
    return day.month % 3 == 0 and _monday(friday) <= day <= friday
