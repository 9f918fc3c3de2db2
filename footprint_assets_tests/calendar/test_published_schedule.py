"""The calendar against what the exchange published, day by day, and against another public calendar."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pandas_market_calendars as pmc  # type: ignore[import-untyped]
import pytest

from footprint_assets import calendar as cme

FULL_CLOSURES = {
    "2023-01-02": "New Year's Day (observed)",
    "2023-12-25": "Christmas Day",
    "2024-01-01": "New Year's Day",
    "2024-03-29": "Good Friday",
    "2024-12-25": "Christmas Day",
    "2025-01-01": "New Year's Day",
    "2025-04-18": "Good Friday",
    "2025-12-25": "Christmas Day",
    "2026-01-01": "New Year's Day",
    "2026-12-25": "Christmas Day",
}

# Trade date: (Globex close, Eastern; cash close, Eastern, where the cash market is open; name).
EARLY_CLOSES = {
    "2023-01-16": ("13:00", None, "Martin Luther King Jr. Day"),
    "2023-02-20": ("13:00", None, "Presidents' Day"),
    "2023-04-07": ("09:15", None, "Good Friday"),
    "2023-05-29": ("13:00", None, "Memorial Day"),
    "2023-06-19": ("13:00", None, "Juneteenth"),
    "2023-07-03": ("13:15", "13:00", "Day before Independence Day"),
    "2023-07-04": ("13:00", None, "Independence Day"),
    "2023-09-04": ("13:00", None, "Labor Day"),
    "2023-11-23": ("13:00", None, "Thanksgiving Day"),
    "2023-11-24": ("13:15", "13:00", "Day after Thanksgiving"),
    "2024-01-15": ("13:00", None, "Martin Luther King Jr. Day"),
    "2024-02-19": ("13:00", None, "Presidents' Day"),
    "2024-05-27": ("13:00", None, "Memorial Day"),
    "2024-06-19": ("13:00", None, "Juneteenth"),
    "2024-07-03": ("13:15", "13:00", "Day before Independence Day"),
    "2024-07-04": ("13:00", None, "Independence Day"),
    "2024-09-02": ("13:00", None, "Labor Day"),
    "2024-11-28": ("13:00", None, "Thanksgiving Day"),
    "2024-11-29": ("13:15", "13:00", "Day after Thanksgiving"),
    "2024-12-24": ("13:15", "13:00", "Christmas Eve"),
    "2025-01-09": ("09:30", None, "National Day of Mourning (Jimmy Carter)"),
    "2025-01-20": ("13:00", None, "Martin Luther King Jr. Day"),
    "2025-02-17": ("13:00", None, "Presidents' Day"),
    "2025-05-26": ("13:00", None, "Memorial Day"),
    "2025-06-19": ("13:00", None, "Juneteenth"),
    "2025-07-03": ("13:15", "13:00", "Day before Independence Day"),
    "2025-07-04": ("13:00", None, "Independence Day"),
    "2025-09-01": ("13:00", None, "Labor Day"),
    "2025-11-27": ("13:00", None, "Thanksgiving Day"),
    "2025-11-28": ("13:15", "13:00", "Day after Thanksgiving"),
    "2025-12-24": ("13:15", "13:00", "Christmas Eve"),
    "2026-01-19": ("13:00", None, "Martin Luther King Jr. Day"),
    "2026-02-16": ("13:00", None, "Presidents' Day"),
    "2026-04-03": ("09:15", None, "Good Friday"),
    "2026-05-25": ("13:00", None, "Memorial Day"),
    "2026-06-19": ("13:00", None, "Juneteenth"),
    "2026-07-03": ("13:00", None, "Independence Day (observed)"),
    "2026-09-07": ("13:00", None, "Labor Day"),
    "2026-11-26": ("13:00", None, "Thanksgiving Day"),
    "2026-11-27": ("13:15", "13:00", "Day after Thanksgiving"),
    "2026-12-24": ("13:15", "13:00", "Christmas Eve"),
}

# Days the pandas_market_calendars calendar "CME Globex Equity" has wrong: (its close, ours), Eastern.
DIFFERENCES_TO_PANDAS_MARKET_CALENDARS = {
    "2012-10-29": ("regular", "09:15"),  # Hurricane Sandy
    "2012-10-30": ("regular", "09:15"),
    "2018-12-05": ("regular", "09:30"),  # national days of mourning
    "2025-01-09": ("regular", "09:30"),
    "2024-03-29": ("09:15", "closed"),  # Good Fridays without a jobs report
    "2025-04-18": ("09:15", "closed"),
    "2027-03-26": ("09:15", "closed"),
    "2028-04-14": ("09:15", "closed"),
    "2029-03-30": ("09:15", "closed"),
    "2030-04-19": ("09:15", "closed"),
}

# Sessions on which the delivered daily bars have no trade at all although the exchange was open.
SESSIONS_MISSING_FROM_THE_DAILY_BARS = {
    "2014-06-12",
    "2014-06-13",
    "2014-09-23",
    "2014-09-24",
    "2014-09-25",
    "2014-12-31",
}


def eastern(instant_ns: int | None) -> str | None:
    if instant_ns is None:
        return None
    return dt.datetime.fromtimestamp(instant_ns // 10**9, cme.NEW_YORK).strftime("%H:%M")


def iso(dates: dict[dt.date, str]) -> dict[str, str]:
    return {date.isoformat(): name for date, name in dates.items()}


def test_every_full_closure_of_2023_to_2026_has_its_published_name() -> None:
    assert iso(cme.closures(dt.date(2023, 1, 1), dt.date(2026, 12, 31))) == FULL_CLOSURES


def test_every_early_close_of_2023_to_2026_has_its_published_time_and_name() -> None:
    actual = {}
    for date, name in cme.early_closes(dt.date(2023, 1, 1), dt.date(2026, 12, 31)).items():
        session = cme.session(date)
        assert session.is_early_close
        assert session.note == name
        actual[date.isoformat()] = (eastern(session.close_ns), eastern(session.rth_close_ns), name)

    assert actual == EARLY_CLOSES


def test_every_other_weekday_of_2023_to_2026_is_a_full_session() -> None:
    for day in range((dt.date(2027, 1, 1) - dt.date(2023, 1, 1)).days):
        date = dt.date(2023, 1, 1) + dt.timedelta(days=day)
        if date.weekday() > 4 or date.isoformat() in FULL_CLOSURES or date.isoformat() in EARLY_CLOSES:
            continue
        session = cme.session(date)
        hours = tuple(
            map(eastern, (session.open_ns, session.close_ns, session.rth_open_ns, session.rth_close_ns))
        )
        assert hours == ("18:00", "17:00", "09:30", "16:00"), date
        assert not session.is_early_close
        assert session.note is None


@pytest.mark.parametrize(
    ("date", "close"),
    [
        (dt.date(2012, 11, 16), "17:30"),
        (dt.date(2012, 11, 19), "17:15"),
        (dt.date(2015, 9, 18), "17:15"),
        (dt.date(2015, 9, 21), "17:00"),
    ],
)
def test_the_regular_close_moved_twice(date: dt.date, close: str) -> None:
    assert eastern(cme.session(date).close_ns) == close
    assert not cme.session(date).is_early_close


@pytest.mark.parametrize(
    ("date", "close"),
    [
        (dt.date(2013, 7, 4), "11:30"),
        (dt.date(2014, 2, 17), "11:30"),
        (dt.date(2014, 5, 26), "13:00"),
    ],
)
def test_the_holiday_halt_moved_to_noon_in_chicago_in_2014(date: dt.date, close: str) -> None:
    assert eastern(cme.session(date).close_ns) == close


@pytest.mark.parametrize(
    ("date", "close", "name"),
    [
        (dt.date(2012, 10, 29), "09:15", "Hurricane Sandy"),
        (dt.date(2012, 10, 30), "09:15", "Hurricane Sandy"),
        (dt.date(2018, 12, 5), "09:30", "National Day of Mourning (George H. W. Bush)"),
        (dt.date(2025, 1, 9), "09:30", "National Day of Mourning (Jimmy Carter)"),
    ],
)
def test_an_announced_close_of_the_cash_market_leaves_the_overnight_session(
    date: dt.date, close: str, name: str
) -> None:
    session = cme.session(date)

    assert (eastern(session.close_ns), session.note) == (close, name)
    assert session.rth_open_ns is None


def test_a_good_friday_is_short_when_the_jobs_report_is_due_and_closed_otherwise() -> None:
    whole = (cme.PARTITION_START, cme.CALENDAR_END)
    short = [date.isoformat() for date, name in cme.early_closes(*whole).items() if name == "Good Friday"]
    closed = [date.isoformat() for date, name in cme.closures(*whole).items() if name == "Good Friday"]

    assert short == ["2012-04-06", "2015-04-03", "2021-04-02", "2023-04-07", "2026-04-03"]
    assert closed == [
        "2011-04-22",
        "2013-03-29",
        "2014-04-18",
        "2016-03-25",
        "2017-04-14",
        "2018-03-30",
        "2019-04-19",
        "2020-04-10",
        "2022-04-15",
        "2024-03-29",
        "2025-04-18",
        "2027-03-26",
        "2028-04-14",
        "2029-03-30",
        "2030-04-19",
    ]


def test_juneteenth_is_kept_from_2022() -> None:
    assert not cme.early_closes(dt.date(2021, 6, 1), dt.date(2021, 6, 30))
    assert iso(cme.early_closes(dt.date(2022, 6, 1), dt.date(2022, 6, 30))) == {
        "2022-06-20": "Juneteenth (observed)"
    }


def test_globex_closes_a_quarter_past_one_exactly_on_the_half_days_of_the_cash_market() -> None:
    for date in cme.sessions(cme.PARTITION_START, cme.CALENDAR_END):
        session = cme.session(date)
        half_day = eastern(session.rth_close_ns) == "13:00"
        assert (eastern(session.close_ns) == "13:15") == half_day, date


def test_a_session_without_cash_trading_always_closes_early() -> None:
    for date in cme.sessions(cme.PARTITION_START, cme.CALENDAR_END):
        session = cme.session(date)
        assert session.rth_open_ns is not None or session.is_early_close, date


def test_the_differences_to_pandas_market_calendars_are_exactly_the_known_ones() -> None:
    """When this fails, upstream changed: compare with the exchange's notice, then edit the list or the rules."""
    first, last = dt.date(2010, 6, 7), cme.CALENDAR_END
    schedule = pmc.get_calendar("CME Globex Equity").schedule(str(first), str(last), tz=cme.NEW_YORK.key)
    theirs = {day.date(): close.strftime("%H:%M") for day, close in schedule["market_close"].items()}
    theirs = {date: "regular" if close == "17:00" else close for date, close in theirs.items()}
    ours = {}
    for date in cme.sessions(first, last):
        session = cme.session(date)
        ours[date] = eastern(session.close_ns) if session.is_early_close else "regular"

    differences = {
        date.isoformat(): (theirs.get(date, "closed"), ours.get(date, "closed"))
        for date in sorted(theirs.keys() | ours.keys())
        if theirs.get(date) != ours.get(date)
    }

    assert differences == DIFFERENCES_TO_PANDAS_MARKET_CALENDARS


def test_the_cash_hours_are_those_of_the_new_york_stock_exchange() -> None:
    first, last = dt.date(2010, 6, 7), cme.CALENDAR_END
    schedule = pmc.get_calendar("NYSE").schedule(str(first), str(last), tz=cme.NEW_YORK.key)
    theirs = {
        day.date(): (open_.strftime("%H:%M"), close.strftime("%H:%M"))
        for day, open_, close in zip(
            schedule.index, schedule["market_open"], schedule["market_close"], strict=True
        )
    }
    sessions = [cme.session(date) for date in cme.sessions(first, last)]
    ours = {
        session.trade_date: (eastern(session.rth_open_ns), eastern(session.rth_close_ns))
        for session in sessions
        if session.rth_open_ns is not None
    }

    assert ours == theirs


@pytest.mark.realdata
def test_fifteen_years_of_traded_volume_agree_with_the_calendar(real_data: Path) -> None:
    from databento import DBNStore

    [path] = real_data.glob("dbn/glbx-mdp3-*.ohlcv-1d.dbn.zst")
    bars = DBNStore.from_file(path).to_ndarray()
    days, position = np.unique(bars["ts_event"] // (86_400 * 10**9), return_inverse=True)
    contracts = np.bincount(position, weights=bars["volume"])
    volume = {
        dt.date(1970, 1, 1) + dt.timedelta(days=int(d)): v for d, v in zip(days, contracts, strict=True)
    }
    first, last = min(volume), max(volume)

    # Only the evening after a closure trades, and none follows a Good Friday.
    closed = {date: volume.get(date, 0) for date in cme.closures(first, last)}
    evening_only = 60_000
    assert max(closed.values()) < evening_only
    assert not any(closed[date] for date, name in cme.closures(first, last).items() if name == "Good Friday")

    untraded = {date.isoformat() for date in cme.sessions(first, last) if date not in volume}
    assert untraded == SESSIONS_MISSING_FROM_THE_DAILY_BARS

    early = cme.early_closes(first, last)
    full = [volume[date] for date in cme.sessions(first, last) if date in volume and date not in early]
    without_cash = [volume[date] for date in early if cme.session(date).rth_open_ns is None]
    assert min(full) > 300_000
    assert np.median(without_cash) < 0.1 * np.median(full)
