"""The partitions Dagster sees are the sessions of the calendar, no more and no fewer."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.partitions.mapping import UpstreamPartitionsResult
from dagster._core.definitions.partitions.snap import TimeWindowPartitionsSnap

from footprint_assets import calendar as cme
from footprint_assets.months import sessions_of
from footprint_assets.partitions import (
    LAKE_PARTITIONS,
    LOOKBACK,
    MONTH_PARTITIONS,
    days_of_month,
    is_partition,
    lake_partitions,
    lookback,
    months_before,
)
from footprint_assets.settings import HistorySettings

AFTER_THE_CALENDAR = dt.datetime(2035, 1, 1, tzinfo=cme.NEW_YORK)


def keys_at(now: dt.datetime) -> list[str]:
    return list(LAKE_PARTITIONS.get_partition_keys(current_time=now))


def upstream_of(key: str) -> UpstreamPartitionsResult:
    return LOOKBACK.get_upstream_mapped_partitions_result_for_partitions(
        LAKE_PARTITIONS.subset_with_partition_keys([key]),
        LAKE_PARTITIONS,
        LAKE_PARTITIONS,
        current_time=AFTER_THE_CALENDAR,
    )


def test_the_partition_keys_are_exactly_the_sessions_of_the_calendar() -> None:
    expected = [date.isoformat() for date in cme.sessions(cme.PARTITION_START, cme.CALENDAR_END)]

    assert keys_at(AFTER_THE_CALENDAR) == expected


def test_the_first_partition_is_the_monday_after_the_sunday_the_history_starts_on() -> None:
    assert keys_at(AFTER_THE_CALENDAR)[0] == "2010-06-07"


@pytest.mark.parametrize(
    "now",
    [
        dt.datetime(2025, 6, 5, 23, 59, 59),
        dt.datetime(2025, 6, 6, 0, 0),
        dt.datetime(2025, 4, 19, 0, 0),  # after a closed Good Friday
        dt.datetime(2025, 3, 9, 12, 0),  # clocks went forward
        dt.datetime(2025, 11, 3, 0, 0),  # clocks went back the day before
    ],
)
def test_a_date_is_a_partition_where_dagster_says_so(now: dt.datetime) -> None:
    now = now.replace(tzinfo=cme.NEW_YORK)
    days = [now.date() + dt.timedelta(n) for n in range(-7, 8)]

    assert [str(day) for day in days if is_partition(day, now)] == [
        key for key in keys_at(now) if key >= str(days[0])
    ]


def test_no_date_past_the_calendar_ever_becomes_a_partition() -> None:
    assert keys_at(AFTER_THE_CALENDAR)[-1] == "2030-12-31"


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        (dt.datetime(2025, 6, 5, 23, 59), "2025-06-04"),
        (dt.datetime(2025, 6, 6, 0, 0), "2025-06-05"),
        (dt.datetime(2025, 6, 8, 12, 0), "2025-06-06"),  # Sunday
        (dt.datetime(2025, 4, 19, 12, 0), "2025-04-17"),  # the Saturday after a closed Good Friday
        (dt.datetime(2025, 3, 10, 0, 0), "2025-03-07"),  # clocks went forward the night before
    ],
)
def test_a_trade_date_becomes_a_partition_at_midnight_in_new_york_after_it_ends(
    now: dt.datetime, newest: str
) -> None:
    assert keys_at(now.replace(tzinfo=cme.NEW_YORK))[-1] == newest


def test_early_closes_stay_partitions_and_full_closures_do_not() -> None:
    keys = set(keys_at(AFTER_THE_CALENDAR))

    early = cme.early_closes(cme.PARTITION_START, cme.CALENDAR_END)
    closed = cme.closures(cme.PARTITION_START, cme.CALENDAR_END)
    assert {date.isoformat() for date in early} <= keys
    assert not {date.isoformat() for date in closed} & keys


@pytest.mark.parametrize(
    ("key", "prior"),
    [
        (
            "2024-01-16",
            ["2024-01-11", "2024-01-12", "2024-01-15"],
        ),  # Martin Luther King Jr. Day is a partition
        ("2025-04-21", ["2025-04-15", "2025-04-16", "2025-04-17"]),  # a closed Good Friday is not
        ("2026-04-06", ["2026-04-01", "2026-04-02", "2026-04-03"]),  # a Good Friday with the jobs report is
        ("2023-12-26", ["2023-12-20", "2023-12-21", "2023-12-22"]),
    ],
)
def test_a_look_back_steps_over_weekends_and_closures(key: str, prior: list[str]) -> None:
    keys = list(upstream_of(key).partitions_subset.get_partition_keys())
    assert keys[-3:] == prior
    assert len(keys) == HistorySettings().sessions


def test_a_look_back_reads_the_sessions_the_calendar_calls_previous() -> None:
    for date in cme.sessions(dt.date(2024, 12, 1), dt.date(2025, 1, 31)):
        prior = [cme.previous_session(date, n).isoformat() for n in range(20, 0, -1)]
        assert list(upstream_of(date.isoformat()).partitions_subset.get_partition_keys()) == prior


@pytest.mark.parametrize(("key", "prior"), [("2010-06-07", []), ("2010-06-09", ["2010-06-07", "2010-06-08"])])
def test_the_first_sessions_of_the_lake_look_back_on_fewer_and_still_run(key: str, prior: list[str]) -> None:
    upstream = upstream_of(key)

    assert list(upstream.partitions_subset.get_partition_keys()) == prior
    assert not list(upstream.required_but_nonexistent_subset.get_partition_keys())


def test_the_look_back_is_as_long_as_the_history_settings_say() -> None:
    assert lookback(HistorySettings(sessions=5)) == dg.TimeWindowPartitionMapping(
        start_offset=-5, end_offset=-1
    )
    assert lookback(HistorySettings()) == LOOKBACK


def test_the_definition_survives_the_trip_to_the_daemon_unchanged() -> None:
    snap = TimeWindowPartitionsSnap.from_def(LAKE_PARTITIONS)

    received = dg.deserialize_value(
        dg.serialize_value(snap), TimeWindowPartitionsSnap
    ).get_partitions_definition()

    assert received.get_partition_keys(current_time=AFTER_THE_CALENDAR) == keys_at(AFTER_THE_CALENDAR)


def test_two_loads_of_the_code_give_the_same_definition() -> None:
    assert lake_partitions() == LAKE_PARTITIONS
    program = "from footprint_assets.partitions import LAKE_PARTITIONS as p; print(p.get_serializable_unique_identifier())"

    fingerprints = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parents[1],
            env=os.environ | {"PYTHONHASHSEED": seed, "TZ": zone},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }

    assert len(fingerprints) == 1


def read_by_month(key: str, mapping: dg.PartitionMapping, upstream: dg.PartitionsDefinition) -> list[str]:
    found = mapping.get_upstream_mapped_partitions_result_for_partitions(
        MONTH_PARTITIONS.subset_with_partition_keys([key]),
        MONTH_PARTITIONS,
        upstream,
        current_time=AFTER_THE_CALENDAR,
    )
    assert not found.required_but_nonexistent_subset
    return list(found.partitions_subset.get_partition_keys())


def test_the_months_are_those_of_the_calendar_by_their_first_day() -> None:
    keys = MONTH_PARTITIONS.get_partition_keys(current_time=AFTER_THE_CALENDAR)

    assert (keys[0], keys[1], keys[-1], len(keys)) == ("2010-07-01", "2010-08-01", "2030-12-01", 246)


def test_a_month_becomes_a_partition_when_its_last_day_has_ended_in_new_york() -> None:
    before, after = dt.datetime(2024, 6, 30, 23, 59), dt.datetime(2024, 7, 1)
    last = [
        MONTH_PARTITIONS.get_partition_keys(current_time=now.replace(tzinfo=cme.NEW_YORK))[-1]
        for now in (before, after)
    ]
    assert last == ["2024-05-01", "2024-06-01"]


def test_a_month_is_made_of_its_trade_dates() -> None:
    days = [day.isoformat() for day in sessions_of(dt.date(2024, 7, 1))]
    assert read_by_month("2024-07-01", days_of_month(), LAKE_PARTITIONS) == days
    # To Dagster the Friday lasts until Monday, and so into June, which began on a Saturday.
    days = ["2024-05-31", *(day.isoformat() for day in sessions_of(dt.date(2024, 6, 1)))]
    assert read_by_month("2024-06-01", days_of_month(), LAKE_PARTITIONS) == days


def test_earlier_months_end_where_the_calendar_begins() -> None:
    two = ["2024-04-01", "2024-05-01"]
    assert read_by_month("2024-06-01", months_before(2), MONTH_PARTITIONS) == two
    assert read_by_month("2024-06-01", months_before(2, last=0), MONTH_PARTITIONS) == [*two, "2024-06-01"]
    assert read_by_month("2010-08-01", months_before(12), MONTH_PARTITIONS) == ["2010-07-01"]
    assert read_by_month("2010-07-01", months_before(12), MONTH_PARTITIONS) == []
