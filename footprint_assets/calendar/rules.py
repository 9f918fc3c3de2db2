"""The exchange's own rules for equity index futures on CME Globex, and the hours of the cash market beside it.

Only rules live here, each a published fact or a stated inference (``docs/calendar.md`` says which), as plain dates and
wall times: Globex in Chicago time, the cash market in New York time. ``globex`` answers questions about them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

GLOBEX_OPEN = dt.time(17)
"""Globex opens on the evening before a session, Chicago."""
CASH_OPEN = dt.time(9, 30)
CASH_CLOSE = dt.time(16)
CASH_HALF_DAY_CLOSE = dt.time(13)
"""The hours of the cash market (XNYS), New York."""

_MONDAY, _THURSDAY, _FRIDAY, _SATURDAY, _SUNDAY = 0, 3, 4, 5, 6
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class ShortDay:
    """A session that ends before its regular time.

    Args:
        name: The day's name.
        close: End of Globex trading, Chicago.
        cash_close: End of the cash session, New York; None where the cash market is closed.
    """

    name: str
    close: dt.time
    cash_close: dt.time | None = None


ANNOUNCED_EARLY_CLOSES = {
    dt.date(2012, 10, 29): ShortDay("Hurricane Sandy", dt.time(8, 15)),
    dt.date(2012, 10, 30): ShortDay("Hurricane Sandy", dt.time(8, 15)),
    dt.date(2018, 12, 5): ShortDay("National Day of Mourning (George H. W. Bush)", dt.time(8, 30)),
    dt.date(2025, 1, 9): ShortDay("National Day of Mourning (Jimmy Carter)", dt.time(8, 30)),
}
"""Early closes the exchange announced day by day."""


def regular_close(date: dt.date) -> dt.time:
    """End of Globex trading on a regular session, Chicago."""
    if date < dt.date(2012, 11, 19):
        return dt.time(16, 30)
    return dt.time(16, 15) if date < dt.date(2015, 9, 21) else dt.time(16)


def closures(year: int) -> dict[dt.date, str]:
    """The weekdays of a year without Globex trading, and the holiday on each."""
    good_friday = _good_friday(year)
    new_year = dt.date(year, 1, 1)
    found = dict([_observed("Christmas Day", dt.date(year, 12, 25))])
    if new_year.weekday() != _SATURDAY:  # one on a Saturday is not made up for
        found |= [_observed("New Year's Day", new_year)]
    if not _is_jobs_report_day(good_friday):
        found[good_friday] = "Good Friday"
    return found


def short_days(year: int) -> dict[dt.date, ShortDay]:
    """The sessions of a year that end before their regular time."""
    good_friday = _good_friday(year)
    found = {
        # The midday halt moved from 10:30 to 12:00 CT between Presidents' Day and Memorial Day 2014.
        date: ShortDay(name, dt.time(10, 30) if date < dt.date(2014, 4, 1) else dt.time(12))
        for date, name in _cash_holidays(year)
    }
    # On the half days of the cash market: a quarter of an hour after its 13:00 ET close.
    found |= {date: ShortDay(name, dt.time(12, 15), CASH_HALF_DAY_CLOSE) for date, name in _half_days(year)}
    if _is_jobs_report_day(good_friday):
        found[good_friday] = ShortDay("Good Friday", dt.time(8, 15))
    return found | {date: day for date, day in ANNOUNCED_EARLY_CLOSES.items() if date.year == year}


def _cash_holidays(year: int) -> Iterator[tuple[dt.date, str]]:
    """Holidays of the cash market on which Globex trades until a midday halt."""
    yield _nth(_MONDAY, 3, year, 1), "Martin Luther King Jr. Day"
    yield _nth(_MONDAY, 3, year, 2), "Presidents' Day"
    yield _nth(_MONDAY, 1, year, 5, from_day=25), "Memorial Day"
    if year >= 2022:
        yield _observed("Juneteenth", dt.date(year, 6, 19))
    yield _observed("Independence Day", dt.date(year, 7, 4))
    yield _nth(_MONDAY, 1, year, 9), "Labor Day"
    yield _nth(_THURSDAY, 4, year, 11), "Thanksgiving Day"


def _half_days(year: int) -> Iterator[tuple[dt.date, str]]:
    for date, name in (
        (dt.date(year, 7, 3), "Day before Independence Day"),
        (dt.date(year, 12, 24), "Christmas Eve"),
    ):
        if date.weekday() < _FRIDAY:
            yield date, name
    yield _nth(_THURSDAY, 4, year, 11) + _DAY, "Day after Thanksgiving"


def _nth(weekday: int, n: int, year: int, month: int, from_day: int = 1) -> dt.date:
    """The n-th weekday of its kind in a month, counted from a day on."""
    first = dt.date(year, month, from_day)
    return first + _DAY * ((weekday - first.weekday()) % 7 + 7 * (n - 1))


def _observed(name: str, date: dt.date) -> tuple[dt.date, str]:
    """The weekday a holiday is kept on, the nearest to it, and its name there."""
    moved = {_SATURDAY: -_DAY, _SUNDAY: _DAY}.get(date.weekday())
    return (date + moved, f"{name} (observed)") if moved else (date, name)


def _good_friday(year: int) -> dt.date:
    # Easter by the anonymous Gregorian computus (Meeus, Astronomical Algorithms, chapter 8).
    century, of_century = divmod(year, 100)
    golden = year % 19
    leaps, shift = century // 4, (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leaps - shift + 15) % 30
    to_sunday = (32 + 2 * (century % 4) + 2 * (of_century // 4) - epact - of_century % 4) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return dt.date(year, month, day + 1) - 2 * _DAY


def _is_jobs_report_day(good_friday: dt.date) -> bool:
    # The employment situation report comes out on the first Friday of April even when that is Good Friday.
    return good_friday.month == 4 and good_friday.day <= 7
