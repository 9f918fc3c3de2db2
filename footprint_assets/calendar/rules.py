"""The exchange's own rules for equity index futures on CME Globex, in Chicago wall time.

Only rules live here, each a published fact or a stated inference (``docs/calendar.md`` says which), as an
``exchange_calendars`` calendar. This is the only module that imports exchange_calendars and pandas; together they take
over a second, so ``globex`` imports it on first use.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from dateutil.relativedelta import MO, TH  # type: ignore[import-untyped]
from exchange_calendars.exchange_calendar import ExchangeCalendar, HolidayCalendar
from exchange_calendars.exchange_calendar_xnys import XNYSExchangeCalendar
from pandas.tseries.holiday import Holiday, nearest_workday, sunday_to_monday
from pandas.tseries.offsets import DateOffset, Day, Easter

_MONDAY_TO_THURSDAY = (0, 1, 2, 3)
_MONDAY_TO_FRIDAY = (0, 1, 2, 3, 4)


def _good_fridays() -> list[pd.Timestamp]:
    rule = Holiday("Good Friday", month=1, day=1, offset=[Easter(), Day(-2)])
    return list(rule.dates(pd.Timestamp("2010-01-01"), pd.Timestamp("2099-12-31")))


def _is_jobs_report_day(good_friday: pd.Timestamp) -> bool:
    # The employment situation report comes out on the first Friday of April even when that is Good Friday.
    return good_friday.month == 4 and good_friday.day <= 7


def _cash_holidays(start_date: str | None = None, end_date: str | None = None) -> list[Holiday]:
    """Holidays of the cash market on which Globex trades until a midday halt."""
    within: Any = {"start_date": start_date, "end_date": end_date}
    return [
        Holiday("Martin Luther King Jr. Day", month=1, day=1, offset=DateOffset(weekday=MO(3)), **within),
        Holiday("Presidents' Day", month=2, day=1, offset=DateOffset(weekday=MO(3)), **within),
        Holiday("Memorial Day", month=5, day=25, offset=DateOffset(weekday=MO(1)), **within),
        Holiday("Independence Day", month=7, day=4, observance=nearest_workday, **within),
        Holiday("Labor Day", month=9, day=1, offset=DateOffset(weekday=MO(1)), **within),
        Holiday("Thanksgiving Day", month=11, day=1, offset=DateOffset(weekday=TH(4)), **within),
    ]


CLOSED_GOOD_FRIDAYS = [day for day in _good_fridays() if not _is_jobs_report_day(day)]
SHORT_GOOD_FRIDAYS = [day for day in _good_fridays() if _is_jobs_report_day(day)]

FULL_CLOSURES = [
    Holiday("New Year's Day", month=1, day=1, observance=sunday_to_monday, days_of_week=_MONDAY_TO_FRIDAY),
    Holiday("Christmas Day", month=12, day=25, observance=nearest_workday),
]

# Early closes made by rule: (Chicago closing time, holidays).
EARLY_CLOSES = [
    # The midday halt moved from 10:30 to 12:00 CT between Presidents' Day and Memorial Day 2014.
    (dt.time(10, 30), _cash_holidays(end_date="2014-03-31")),
    (
        dt.time(12, 0),
        [
            *_cash_holidays(start_date="2014-04-01"),
            Holiday("Juneteenth", month=6, day=19, observance=nearest_workday, start_date="2022-01-01"),
        ],
    ),
    # On the half days of the cash market: a quarter of an hour after its 13:00 ET close.
    (
        dt.time(12, 15),
        [
            Holiday("Day before Independence Day", month=7, day=3, days_of_week=_MONDAY_TO_THURSDAY),
            Holiday("Day after Thanksgiving", month=11, day=1, offset=[DateOffset(weekday=TH(4)), Day(1)]),
            Holiday("Christmas Eve", month=12, day=24, days_of_week=_MONDAY_TO_THURSDAY),
        ],
    ),
]

# Early closes the exchange announced day by day: (date, Chicago closing time, name).
ANNOUNCED_EARLY_CLOSES = [
    *((day.date(), dt.time(8, 15), "Good Friday") for day in SHORT_GOOD_FRIDAYS),
    (dt.date(2012, 10, 29), dt.time(8, 15), "Hurricane Sandy"),
    (dt.date(2012, 10, 30), dt.time(8, 15), "Hurricane Sandy"),
    (dt.date(2018, 12, 5), dt.time(8, 30), "National Day of Mourning (George H. W. Bush)"),
    (dt.date(2025, 1, 9), dt.time(8, 30), "National Day of Mourning (Jimmy Carter)"),
]


class CmeEquityIndexCalendar(ExchangeCalendar):  # type: ignore[misc]  # exchange_calendars ships no types
    """Equity index futures on CME Globex: open at 17:00 CT the evening before, close at 16:00 CT.

    A session of this calendar is a date with Globex trading that ends on it, so holidays on which only the cash market
    is closed are sessions too. The 15:15-15:30 CT pause of trade dates before 2021-06-28 is not modelled.
    """

    name = "CME_EQUITY_INDEX"
    tz = ZoneInfo("America/Chicago")
    open_times = ((None, dt.time(17)),)
    close_times = (
        (None, dt.time(16, 30)),
        (pd.Timestamp("2012-11-19"), dt.time(16, 15)),
        (pd.Timestamp("2015-09-21"), dt.time(16)),
    )

    @property
    def open_offset(self) -> int:
        """Days from a session to the day it opens on."""
        return -1

    @property
    def regular_holidays(self) -> HolidayCalendar:
        """The full closures at a fixed date."""
        return HolidayCalendar(FULL_CLOSURES)

    @property
    def adhoc_holidays(self) -> list[pd.Timestamp]:
        """The full closures that move with Easter."""
        return CLOSED_GOOD_FRIDAYS

    @property
    def special_closes(self) -> list[tuple[dt.time, HolidayCalendar]]:
        """The early closes made by rule."""
        return [(time, HolidayCalendar(rules)) for time, rules in EARLY_CLOSES]

    @property
    def special_closes_adhoc(self) -> list[tuple[dt.time, pd.DatetimeIndex]]:
        """The early closes announced once."""
        return [(time, pd.DatetimeIndex([date])) for date, time, _ in ANNOUNCED_EARLY_CLOSES]


def schedules(start: dt.date, end: dt.date) -> tuple[Any, Any]:
    """The schedules of both markets a futures session needs.

    Args:
        start: First date, inclusive.
        end: Last date, inclusive.

    Returns:
        Two data frames indexed by session with UTC ``open`` and ``close``: Globex, then the cash market (XNYS).
    """
    bounds = {"start": pd.Timestamp(start), "end": pd.Timestamp(end)}
    return CmeEquityIndexCalendar(**bounds).schedule, XNYSExchangeCalendar(**bounds).schedule


def closure_names(start: dt.date, end: dt.date) -> dict[dt.date, str]:
    """The name of the holiday on every weekday without a session, ``start`` to ``end`` inclusive."""
    fixed = _names(FULL_CLOSURES, start, end)
    moving = {day.date(): "Good Friday" for day in CLOSED_GOOD_FRIDAYS if start <= day.date() <= end}
    return dict(sorted((fixed | moving).items()))


def early_close_names(start: dt.date, end: dt.date) -> dict[dt.date, str]:
    """The name of the day on every session that closes early, ``start`` to ``end`` inclusive."""
    by_rule = _names([rule for _, rules in EARLY_CLOSES for rule in rules], start, end)
    announced = {date: name for date, _, name in ANNOUNCED_EARLY_CLOSES if start <= date <= end}
    return dict(sorted((by_rule | announced).items()))


def _names(rules: Iterable[Holiday], start: dt.date, end: dt.date) -> dict[dt.date, str]:
    names = {}
    for rule in rules:
        for day in rule.dates(pd.Timestamp(start), pd.Timestamp(end)):
            observed = rule.observance in (nearest_workday, sunday_to_monday) and day.day != rule.day
            names[day.date()] = f"{rule.name} (observed)" if observed else rule.name
    return names
