"""Questions about the CME equity index calendar, answered in plain dates and UTC nanoseconds.

A *trade date* is a weekday on which Globex trades, named as ``dt`` in the lake. Trade dates tile time: D owns every
instant from 18:00 ET on the previous session's day until 18:00 ET on D, so each message belongs to exactly one
partition, whatever the weekends, holidays and clock changes between. Trading itself runs inside the tile, from 18:00 ET
on the eve of D until the close.

All wall times are America/New_York; all instants are int64 nanoseconds since the Unix epoch, UTC.
"""

from __future__ import annotations

import bisect
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from footprint_assets.calendar import rules
from footprint_assets.errors import FootprintError

PARTITION_START = dt.date(2010, 6, 6)
"""The first day of Databento's GLBX.MDP3 history, a Sunday: the first session is 2010-06-07."""
FIRST_MONTH = dt.date(2010, 7, 1)
"""The first calendar month the history has whole, by its first day."""
CALENDAR_END = dt.date(2030, 12, 31)
"""The last date answered. Fixed, so that equal code gives equal answers on every day; move it forward by hand."""

NEW_YORK = ZoneInfo("America/New_York")
DAY_BOUNDARY = dt.time(18, 0)
"""Where one trade date's tile ends and the next begins, ET."""
LONDON_OPEN = dt.time(3, 0)
CASH_OPEN = rules.CASH_OPEN

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_CHICAGO = ZoneInfo("America/Chicago")
_DAY = dt.timedelta(days=1)
_SATURDAY = 5
# The tile of the first trade date starts on the session before it.
_LAST_BEFORE = dt.date(2010, 6, 4)


class MarketClosed(FootprintError):  # noqa: N818  # reads as the fact it states
    """A session was asked for on a date without one."""


class OutsideCalendar(FootprintError):  # noqa: N818  # reads as the fact it states
    """A date or instant lies outside the calendar."""


@dataclass(frozen=True, slots=True)
class Session:
    """One trade date of CME equity index futures.

    Args:
        trade_date: The date the session is named after.
        window_ns: The instants the trade date owns, [start, end), UTC ns.
        open_ns: Start of Globex trading, 18:00 ET on the eve, UTC ns.
        close_ns: End of Globex trading (exclusive), early closes included, UTC ns.
        rth_open_ns: Start of the cash session, 09:30 ET, UTC ns; None when the cash market is closed.
        rth_close_ns: End of the cash session (exclusive), 16:00 ET or 13:00 ET, UTC ns; None likewise.
        is_early_close: Whether Globex closes before its regular time.
        note: Why it closes early, such as ``Thanksgiving Day``; None on a regular session.
    """

    trade_date: dt.date
    window_ns: tuple[int, int]
    open_ns: int
    close_ns: int
    rth_open_ns: int | None
    rth_close_ns: int | None
    is_early_close: bool
    note: str | None


@dataclass(frozen=True, slots=True)
class _Calendar:
    """Every trade date in order, with the days that differ."""

    dates: Sequence[dt.date]
    closures: Mapping[dt.date, str]
    short_days: Mapping[dt.date, rules.ShortDay]


@cache
def _calendar() -> _Calendar:
    years = range(PARTITION_START.year, CALENDAR_END.year + 1)
    closures = {date: name for year in years for date, name in sorted(rules.closures(year).items())}
    short_days = {date: day for year in years for date, day in sorted(rules.short_days(year).items())}
    days = map(dt.date.fromordinal, range(PARTITION_START.toordinal(), CALENDAR_END.toordinal() + 1))
    return _Calendar(
        tuple(day for day in days if day.weekday() < _SATURDAY and day not in closures), closures, short_days
    )


@cache
def _session(date: dt.date) -> Session:
    """The session of a date that has one."""
    calendar = _calendar()
    position = bisect.bisect_left(calendar.dates, date)
    before = calendar.dates[position - 1] if position else _LAST_BEFORE
    short = calendar.short_days.get(date)
    cash_close = short.cash_close if short else rules.CASH_CLOSE
    return Session(
        trade_date=date,
        window_ns=(et_ns(before, DAY_BOUNDARY), et_ns(date, DAY_BOUNDARY)),
        open_ns=_instant_ns(date - _DAY, rules.GLOBEX_OPEN, _CHICAGO),
        close_ns=_instant_ns(date, short.close if short else rules.regular_close(date), _CHICAGO),
        rth_open_ns=et_ns(date, CASH_OPEN) if cash_close else None,
        rth_close_ns=et_ns(date, cash_close) if cash_close else None,
        is_early_close=short is not None,
        note=short.name if short else None,
    )


def _require_inside(*dates: dt.date) -> None:
    for date in dates:
        if not PARTITION_START <= date <= CALENDAR_END:
            raise OutsideCalendar(
                f"The calendar answers for {PARTITION_START} to {CALENDAR_END}.",
                where={"date": date},
                remedy="Ask for a date inside it, or move CALENDAR_END forward and update the calendar tests.",
            )


def utc_midnight_ns(date: dt.date) -> int:
    """The instant a UTC day begins.

    Args:
        date: UTC day.

    Returns:
        Nanoseconds since the Unix epoch, UTC.
    """
    return _instant_ns(date, dt.time(), dt.UTC)


def et_ns(date: dt.date, time: dt.time) -> int:
    """An Eastern wall time as an instant.

    Args:
        date: The day in New York.
        time: The wall time on that day, America/New_York; the first of the two when clocks go back over it.

    Returns:
        Nanoseconds since the Unix epoch, UTC.
    """
    return _instant_ns(date, time, NEW_YORK)


def _instant_ns(date: dt.date, time: dt.time, zone: dt.tzinfo) -> int:
    instant = dt.datetime.combine(date, time, tzinfo=zone)
    return (instant - _EPOCH) // dt.timedelta(microseconds=1) * 1_000


def session(date: dt.date) -> Session:
    """The session of a trade date.

    Args:
        date: A trade date.

    Returns:
        Its session.

    Raises:
        MarketClosed: The date is a weekend day or a full closure; the message names it.
        OutsideCalendar: The date lies outside the calendar.
    """
    if is_session(date):
        return _session(date)
    calendar = _calendar()
    reason = calendar.closures.get(date, f"{date:%A}")
    raise MarketClosed(
        f"CME equity index futures have no session on {date}: {reason}.",
        where={"date": date, "reason": reason},
        remedy=f"Ask for a session, such as the next one, {next_session(date)}."
        if date < calendar.dates[-1]
        else None,
    )


def is_session(date: dt.date) -> bool:
    """Whether a date is a trade date.

    Raises:
        OutsideCalendar: The date lies outside the calendar.
    """
    _require_inside(date)
    return date.weekday() < _SATURDAY and date not in _calendar().closures


def sessions(start: dt.date, end: dt.date) -> list[dt.date]:
    """The trade dates from ``start`` to ``end``, both inclusive, ascending.

    Raises:
        OutsideCalendar: A bound lies outside the calendar.
    """
    _require_inside(start, end)
    dates = _calendar().dates
    return list(dates[bisect.bisect_left(dates, start) : bisect.bisect_right(dates, end)])


def previous_session(date: dt.date, n: int = 1) -> dt.date:
    """The n-th trade date before a date, which need not be a trade date itself.

    Raises:
        OutsideCalendar: The date or the answer lies outside the calendar.
        ValueError: ``n`` is not positive.
    """
    _require_inside(date)
    return _session_at(bisect.bisect_left(_calendar().dates, date) - _positive(n), date)


def next_session(date: dt.date, n: int = 1) -> dt.date:
    """The n-th trade date after a date, which need not be a trade date itself.

    Raises:
        OutsideCalendar: The date or the answer lies outside the calendar.
        ValueError: ``n`` is not positive.
    """
    _require_inside(date)
    return _session_at(bisect.bisect_right(_calendar().dates, date) - 1 + _positive(n), date)


def _positive(n: int) -> int:
    if n < 1:
        raise ValueError(f"n counts sessions from 1, got {n}")
    return n


def _session_at(position: int, asked: dt.date) -> dt.date:
    dates = _calendar().dates
    if not 0 <= position < len(dates):
        raise OutsideCalendar(
            f"The calendar has sessions from {dates[0]} to {dates[-1]} only.", where={"date": asked}
        )
    return dates[position]


def closures(start: dt.date, end: dt.date) -> dict[dt.date, str]:
    """The weekdays without a session and the holiday on each, ``start`` to ``end`` inclusive, ascending.

    Raises:
        OutsideCalendar: A bound lies outside the calendar.
    """
    return _between(_calendar().closures, start, end)


def early_closes(start: dt.date, end: dt.date) -> dict[dt.date, str]:
    """The sessions that close early and why, ``start`` to ``end`` inclusive, ascending.

    Raises:
        OutsideCalendar: A bound lies outside the calendar.
    """
    return _between({date: day.name for date, day in _calendar().short_days.items()}, start, end)


def _between(names: Mapping[dt.date, str], start: dt.date, end: dt.date) -> dict[dt.date, str]:
    _require_inside(start, end)
    return {date: name for date, name in names.items() if start <= date <= end}


def utc_days(date: dt.date) -> list[dt.date]:
    """The UTC days whose files hold the messages of a trade date.

    They cover the whole tile, so a Monday reads Friday's file (after 18:00 ET) to its own. Days inside a weekend or a
    closure may have no file, which is no gap.

    Args:
        date: A trade date.

    Returns:
        Consecutive UTC days, ascending.

    Raises:
        MarketClosed: The date is no trade date.
        OutsideCalendar: The date lies outside the calendar.
    """
    start_ns, end_ns = session(date).window_ns
    first, last = _utc_day(start_ns), _utc_day(end_ns - 1)
    return [first + dt.timedelta(days=day) for day in range((last - first).days + 1)]


def _utc_day(ts_ns: int) -> dt.date:
    return (_EPOCH + dt.timedelta(seconds=ts_ns // 1_000_000_000)).date()


def trade_date_of(ts_ns: int) -> dt.date:
    """The trade date that owns an instant.

    Args:
        ts_ns: Nanoseconds since the Unix epoch, UTC.

    Returns:
        The one trade date whose tile holds it, trading hours or not.

    Raises:
        OutsideCalendar: The instant lies before the first or after the last tile.
    """
    dates = _calendar().dates
    if not _session(dates[0]).window_ns[0] <= ts_ns < _session(dates[-1]).window_ns[1]:
        raise OutsideCalendar(
            f"No trade date from {dates[0]} to {dates[-1]} owns this instant.", where={"ts_ns": ts_ns}
        )
    return dates[bisect.bisect_right(dates, ts_ns, key=lambda date: _session(date).window_ns[1])]


def session_label_edges(session: Session) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """The parts of a session's tile: label i holds for ``edges[i] <= ts < edges[i + 1]``.

    ETH_ASIA runs from the open to 03:00 ET, ETH_LONDON to 09:30, RTH to the cash close and POST to the close. When the
    cash market is closed, HOLIDAY runs from 09:30 to the close instead. CLOSED is everything outside trading hours.

    Args:
        session: The session to divide.

    Returns:
        ``edges``, int64[k + 1] UTC ns, strictly ascending from the start to the end of the tile, and k labels.
    """
    date = session.trade_date
    start_ns, end_ns = session.window_ns
    parts = [(session.open_ns, "ETH_ASIA"), (et_ns(date, LONDON_OPEN), "ETH_LONDON")]
    if session.rth_open_ns is not None and session.rth_close_ns is not None:
        parts += [(session.rth_open_ns, "RTH"), (session.rth_close_ns, "POST")]
    else:
        parts += [(et_ns(date, CASH_OPEN), "HOLIDAY")]
    trading = [(edge_ns, label) for edge_ns, label in parts if edge_ns < session.close_ns]
    tile = [*trading, (session.close_ns, "CLOSED")]
    if start_ns < session.open_ns:
        tile.insert(0, (start_ns, "CLOSED"))
    edges = np.array([edge_ns for edge_ns, _ in tile] + [end_ns], dtype=np.int64)
    return edges, tuple(label for _, label in tile)
