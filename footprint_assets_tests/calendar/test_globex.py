"""Trade dates tile time, and the answers about them agree with each other."""

from __future__ import annotations

import bisect
import datetime as dt
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from footprint_assets import calendar as cme

FIRST = dt.date(2010, 6, 7)
ALL = cme.sessions(cme.PARTITION_START, cme.CALENDAR_END)
START_NS = cme.session(ALL[0]).window_ns[0]
END_NS = cme.session(ALL[-1]).window_ns[1]
HOUR_NS = 3_600 * 10**9

instants = st.integers(START_NS, END_NS - 1)
trade_dates = st.sampled_from(ALL)
dates = st.dates(dt.date(2010, 7, 1), dt.date(2030, 11, 30))


def utc(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp()) * 10**9


def label_at(ts_ns: int) -> str:
    edges, labels = cme.session_label_edges(cme.session(cme.trade_date_of(ts_ns)))
    return labels[int(np.searchsorted(edges, ts_ns, side="right")) - 1]


def et(date: dt.date, time: str) -> int:
    return cme.et_ns(date, dt.time.fromisoformat(time))


def test_the_calendar_reaches_two_years_past_the_newest_published_schedule() -> None:
    assert dt.date(2010, 6, 6) == cme.PARTITION_START
    assert ALL[0] == FIRST
    assert dt.date(2028, 12, 29) < ALL[-1] <= cme.CALENDAR_END


def test_the_tile_of_a_trade_date_ends_where_the_next_begins() -> None:
    for date, following in itertools.pairwise(ALL):
        assert cme.session(date).window_ns[1] == cme.session(following).window_ns[0], date


def test_a_tile_ends_at_six_in_the_evening_eastern_and_trading_lies_inside() -> None:
    for date in ALL:
        session = cme.session(date)
        start_ns, end_ns = session.window_ns
        assert end_ns == et(date, "18:00")
        assert session.open_ns == et(date - dt.timedelta(days=1), "18:00")
        assert start_ns <= session.open_ns < session.close_ns < end_ns
        if session.rth_open_ns is not None and session.rth_close_ns is not None:
            assert session.rth_open_ns == et(date, "09:30")
            assert session.open_ns < session.rth_open_ns < session.rth_close_ns < session.close_ns


@given(instants)
def test_every_nanosecond_is_owned_by_exactly_one_trade_date(ts_ns: int) -> None:
    owner = cme.trade_date_of(ts_ns)

    nearby = cme.sessions(
        max(owner - dt.timedelta(days=10), cme.PARTITION_START), min(owner + dt.timedelta(days=10), ALL[-1])
    )
    owners = [d for d in nearby if cme.session(d).window_ns[0] <= ts_ns < cme.session(d).window_ns[1]]
    assert owners == [owner]


@given(trade_dates)
def test_the_first_and_last_nanosecond_of_a_tile_belong_to_its_trade_date(date: dt.date) -> None:
    start_ns, end_ns = cme.session(date).window_ns

    assert cme.trade_date_of(start_ns) == date
    assert cme.trade_date_of(end_ns - 1) == date


@given(instants)
def test_a_trade_date_is_the_eastern_date_six_hours_on_moved_to_the_next_session(ts_ns: int) -> None:
    wall = dt.datetime.fromtimestamp(ts_ns // 10**9, cme.NEW_YORK).replace(tzinfo=None)
    date = (wall + dt.timedelta(hours=6)).date()

    assert cme.trade_date_of(ts_ns) == ALL[bisect.bisect_left(ALL, date)]


def test_christmas_evening_belongs_to_the_day_after() -> None:
    christmas_evening = utc("2023-12-25T23:00:00")

    assert cme.trade_date_of(christmas_evening) == dt.date(2023, 12, 26)
    assert cme.session(dt.date(2023, 12, 26)).open_ns == christmas_evening
    assert cme.session(dt.date(2023, 12, 26)).window_ns[0] == et(dt.date(2023, 12, 22), "18:00")
    assert label_at(christmas_evening - 1) == "CLOSED"
    assert label_at(christmas_evening) == "ETH_ASIA"


@pytest.mark.parametrize(
    ("date", "open_utc", "close_utc", "tile_hours"),
    [
        (dt.date(2025, 3, 7), "2025-03-06T23:00", "2025-03-07T22:00", 24),
        (dt.date(2025, 3, 10), "2025-03-09T22:00", "2025-03-10T21:00", 71),  # clocks forward on Sunday
        (dt.date(2025, 3, 11), "2025-03-10T22:00", "2025-03-11T21:00", 24),
        (dt.date(2025, 10, 31), "2025-10-30T22:00", "2025-10-31T21:00", 24),
        (dt.date(2025, 11, 3), "2025-11-02T23:00", "2025-11-03T22:00", 73),  # clocks back on Sunday
        (dt.date(2025, 11, 4), "2025-11-03T23:00", "2025-11-04T22:00", 24),
    ],
)
def test_hours_are_eastern_wall_time_through_clock_changes(
    date: dt.date, open_utc: str, close_utc: str, tile_hours: int
) -> None:
    session = cme.session(date)

    assert (session.open_ns, session.close_ns) == (utc(open_utc), utc(close_utc))
    assert session.close_ns - session.open_ns == 23 * HOUR_NS
    assert session.window_ns[1] - session.window_ns[0] == tile_hours * HOUR_NS
    assert session.rth_open_ns == et(date, "09:30")


def test_london_opens_at_three_eastern_while_europe_has_not_yet_changed_its_clocks() -> None:
    monday = dt.date(2025, 3, 10)

    assert label_at(utc("2025-03-10T06:59:59")) == "ETH_ASIA"
    assert label_at(utc("2025-03-10T07:00:00")) == "ETH_LONDON"
    assert et(monday, "03:00") == utc("2025-03-10T07:00:00")


@pytest.mark.parametrize(
    ("date", "labels"),
    [
        (dt.date(2025, 6, 5), ["ETH_ASIA", "ETH_LONDON", "RTH", "POST", "CLOSED"]),
        (dt.date(2025, 6, 9), ["CLOSED", "ETH_ASIA", "ETH_LONDON", "RTH", "POST", "CLOSED"]),  # Monday
        (dt.date(2024, 1, 15), ["CLOSED", "ETH_ASIA", "ETH_LONDON", "HOLIDAY", "CLOSED"]),  # MLK day
        (
            dt.date(2024, 11, 29),
            ["ETH_ASIA", "ETH_LONDON", "RTH", "POST", "CLOSED"],
        ),  # day after Thanksgiving
        (dt.date(2023, 4, 7), ["ETH_ASIA", "ETH_LONDON", "CLOSED"]),  # Good Friday until 09:15
        (dt.date(2025, 1, 9), ["ETH_ASIA", "ETH_LONDON", "CLOSED"]),  # day of mourning until 09:30
    ],
)
def test_the_parts_of_a_session_follow_in_order(date: dt.date, labels: list[str]) -> None:
    assert list(cme.session_label_edges(cme.session(date))[1]) == labels


@pytest.mark.parametrize(
    ("date", "time", "label"),
    [
        (dt.date(2025, 6, 5), "02:59:59", "ETH_ASIA"),
        (dt.date(2025, 6, 5), "03:00", "ETH_LONDON"),
        (dt.date(2025, 6, 5), "09:29:59", "ETH_LONDON"),
        (dt.date(2025, 6, 5), "09:30", "RTH"),
        (dt.date(2025, 6, 5), "15:59:59", "RTH"),
        (dt.date(2025, 6, 5), "16:00", "POST"),
        (dt.date(2025, 6, 5), "17:00", "CLOSED"),
        (dt.date(2025, 6, 5), "18:00", "ETH_ASIA"),
        (dt.date(2024, 11, 29), "12:59:59", "RTH"),
        (dt.date(2024, 11, 29), "13:00", "POST"),
        (dt.date(2024, 11, 29), "13:15", "CLOSED"),
        (dt.date(2024, 1, 15), "09:30", "HOLIDAY"),
        (dt.date(2024, 1, 15), "13:00", "CLOSED"),
        (dt.date(2023, 4, 7), "09:14:59", "ETH_LONDON"),
        (dt.date(2023, 4, 7), "09:15", "CLOSED"),
        (dt.date(2023, 4, 8), "12:00", "CLOSED"),
    ],
)
def test_an_instant_has_the_label_of_its_part_of_the_session(date: dt.date, time: str, label: str) -> None:
    assert label_at(et(date, time)) == label


def test_labels_cover_the_whole_tile_and_agree_with_the_session() -> None:
    for date in ALL:
        session = cme.session(date)
        edges, labels = cme.session_label_edges(session)
        assert edges.dtype == np.int64
        assert len(edges) == len(labels) + 1
        assert (np.diff(edges) > 0).all()
        assert (edges[0], edges[-1]) == session.window_ns
        part = dict(zip(labels, itertools.pairwise(edges), strict=True))
        assert part.get("RTH", (None, None)) == (session.rth_open_ns, session.rth_close_ns)
        trading = [edge for edge, label in zip(edges, labels, strict=False) if label != "CLOSED"]
        assert trading[0] == session.open_ns
        assert part["CLOSED"] == (session.close_ns, session.window_ns[1])


def test_futures_trade_on_martin_luther_king_day_without_a_cash_session() -> None:
    session = cme.session(dt.date(2024, 1, 15))

    assert (session.rth_open_ns, session.rth_close_ns) == (None, None)
    assert session.note == "Martin Luther King Jr. Day"
    assert session.close_ns == et(dt.date(2024, 1, 15), "13:00")


@pytest.mark.parametrize(
    ("date", "days"),
    [
        (dt.date(2025, 6, 5), ["2025-06-04", "2025-06-05"]),
        (dt.date(2025, 6, 9), ["2025-06-06", "2025-06-07", "2025-06-08", "2025-06-09"]),
        (dt.date(2023, 12, 26), ["2023-12-22", "2023-12-23", "2023-12-24", "2023-12-25", "2023-12-26"]),
        (dt.date(2010, 6, 7), ["2010-06-04", "2010-06-05", "2010-06-06", "2010-06-07"]),
    ],
)
def test_a_trade_date_reads_the_utc_days_its_tile_touches(date: dt.date, days: list[str]) -> None:
    assert [day.isoformat() for day in cme.utc_days(date)] == days


@given(instants)
def test_the_utc_day_of_any_instant_is_among_those_of_its_trade_date(ts_ns: int) -> None:
    day = dt.datetime.fromtimestamp(ts_ns // 10**9, dt.UTC).date()

    assert day in cme.utc_days(cme.trade_date_of(ts_ns))


@given(trade_dates)
def test_no_utc_day_is_read_in_vain(date: dt.date) -> None:
    start_ns, end_ns = cme.session(date).window_ns
    for day in cme.utc_days(date):
        midnight_ns = utc(day.isoformat())
        assert midnight_ns < end_ns
        assert midnight_ns + 24 * HOUR_NS > start_ns


@given(dates)
def test_a_weekday_is_either_a_session_or_a_named_closure(date: dt.date) -> None:
    closed = date in cme.closures(date, date)

    assert cme.is_session(date) == (date.weekday() < 5 and not closed)
    assert (cme.sessions(date, date) == [date]) == cme.is_session(date)


@given(dates, st.integers(1, 10))
def test_previous_and_next_session_count_sessions(date: dt.date, n: int) -> None:
    window = dt.timedelta(days=25)
    assert cme.previous_session(date, n) == cme.sessions(date - window, date - dt.timedelta(days=1))[-n]
    assert cme.next_session(date, n) == cme.sessions(date + dt.timedelta(days=1), date + window)[n - 1]


def test_sessions_include_both_ends() -> None:
    assert [d.isoformat() for d in cme.sessions(dt.date(2024, 3, 27), dt.date(2024, 4, 1))] == [
        "2024-03-27",
        "2024-03-28",
        "2024-04-01",
    ]
    assert cme.sessions(dt.date(2024, 3, 29), dt.date(2024, 3, 31)) == []


@pytest.mark.parametrize(
    ("date", "reason"),
    [
        (dt.date(2024, 3, 29), "Good Friday"),
        (dt.date(2024, 3, 30), "Saturday"),
        (dt.date(2010, 6, 6), "Sunday"),
    ],
)
def test_a_closed_market_names_the_holiday_and_the_next_session(date: dt.date, reason: str) -> None:
    with pytest.raises(cme.MarketClosed, match=reason) as closed:
        cme.session(date)

    assert closed.value.where == {"date": date, "reason": reason}
    assert str(cme.next_session(date)) in str(closed.value)


def test_a_closed_market_has_no_files_to_read() -> None:
    with pytest.raises(cme.MarketClosed, match="Christmas Day"):
        cme.utc_days(dt.date(2023, 12, 25))


@pytest.mark.parametrize("date", [dt.date(2010, 6, 5), dt.date(2031, 1, 1)])
def test_a_date_outside_the_calendar_is_refused_everywhere(date: dt.date) -> None:
    inside = dt.date(2024, 1, 2)
    for ask in (
        lambda: cme.session(date),
        lambda: cme.is_session(date),
        lambda: cme.sessions(*sorted((date, inside))),
        lambda: cme.closures(*sorted((date, inside))),
        lambda: cme.early_closes(*sorted((date, inside))),
        lambda: cme.previous_session(date),
        lambda: cme.next_session(date),
    ):
        with pytest.raises(cme.OutsideCalendar, match="2010-06-06 to 2030-12-31"):
            ask()


def test_the_ends_of_the_calendar_are_not_wrapped_around() -> None:
    for ask in (
        lambda: cme.previous_session(ALL[0]),
        lambda: cme.previous_session(ALL[2], 3),
        lambda: cme.next_session(ALL[-1]),
        lambda: cme.trade_date_of(START_NS - 1),
        lambda: cme.trade_date_of(END_NS),
    ):
        with pytest.raises(cme.OutsideCalendar, match="2010-06-07 to 2030-12-31"):
            ask()


@pytest.mark.parametrize("n", [0, -1])
def test_sessions_are_counted_from_one(n: int) -> None:
    with pytest.raises(ValueError, match="from 1"):
        cme.previous_session(dt.date(2024, 1, 2), n)
    with pytest.raises(ValueError, match="from 1"):
        cme.next_session(dt.date(2024, 1, 2), n)


def test_an_eastern_wall_time_keeps_its_microseconds() -> None:
    instant = cme.et_ns(dt.date(2024, 6, 10), dt.time(9, 30, 0, 1))

    assert instant == utc("2024-06-10T13:30:00") + 1_000


def test_the_calendar_answers_without_pandas_and_dagster() -> None:
    program = (
        "import datetime as dt, sys; from footprint_assets import calendar as cme; "
        "cme.session(dt.date(2024, 7, 3)); print('pandas' in sys.modules, 'dagster' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )

    assert result.stdout.split() == ["False", "False"]
