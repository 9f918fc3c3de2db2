"""How the lake is partitioned for Dagster: trade dates for market data, calendar months for what is learned of them.

The only module that knows exclusions and mappings. The partition key of a trade date is its date; weekends and full
closures are excluded, half days are not. The key of a month is its first day, which need not be a trade date. A trade date
becomes a partition at midnight in New York after it ends, a month with the last of its days.
"""

from __future__ import annotations

import datetime as dt

import dagster as dg

from footprint_assets import calendar as cme
from footprint_assets.settings import HistorySettings

WEEKENDS = "0 0 * * 6,0"


def lake_partitions() -> dg.DailyPartitionsDefinition:
    """The trade dates of the lake, as Dagster partitions.

    ``end_offset`` stays 0: with exclusions a positive one runs past the day it means (dagster issue 33551).

    Returns:
        A daily definition whose keys are exactly the sessions of the calendar, from PARTITION_START to CALENDAR_END.
    """
    closures = cme.closures(cme.PARTITION_START, cme.CALENDAR_END)
    return dg.DailyPartitionsDefinition(
        start_date=_midnight(cme.PARTITION_START),
        end_date=_midnight(cme.CALENDAR_END + dt.timedelta(days=1)),
        timezone=cme.NEW_YORK.key,
        end_offset=0,
        exclusions=[WEEKENDS, *(_midnight(date) for date in closures)],
    )


def is_partition(date: dt.date, now: dt.datetime) -> bool:
    """Whether a trade date is a partition at an instant: from midnight in New York after it ends.

    Args:
        date: A trade date.
        now: The instant, with a time zone.
    """
    return cme.is_session(date) and now >= _midnight(date + dt.timedelta(days=1))


def lookback(history: HistorySettings) -> dg.TimeWindowPartitionMapping:
    """The prior sessions a look-back reads: offsets count partitions, so weekends and closures are stepped over.

    Args:
        history: How many sessions to look back.

    Returns:
        A mapping to that many partitions before a partition. The first sessions of the lake have fewer.
    """
    return dg.TimeWindowPartitionMapping(start_offset=-history.sessions, end_offset=-1)


def month_partitions() -> dg.MonthlyPartitionsDefinition:
    """The calendar months of the lake, as Dagster partitions; the key is the first day, as in the lake."""
    return dg.MonthlyPartitionsDefinition(
        start_date=_midnight(cme.FIRST_MONTH),
        end_date=_midnight(cme.CALENDAR_END + dt.timedelta(days=1)),
        timezone=cme.NEW_YORK.key,
    )


def is_month(month: dt.date, now: dt.datetime) -> bool:
    """Whether a month is a partition at an instant: from midnight in New York after its last day.

    Args:
        month: First day of a month.
        now: The instant, with a time zone.
    """
    return cme.FIRST_MONTH <= month <= cme.CALENDAR_END and now >= _midnight(
        (month + dt.timedelta(days=31)).replace(day=1)
    )


def days_of_month() -> dg.TimeWindowPartitionMapping:
    """The trade dates of a month, as Dagster draws them.

    To Dagster a trade date lasts until the next one begins: where a month begins on a weekend or a closure, its graph has
    the last trade date of the month before as well. The step reads the month's own.
    """
    return dg.TimeWindowPartitionMapping()


def months_before(first: int, last: int = 1) -> dg.TimeWindowPartitionMapping:
    """Earlier months.

    Args:
        first: How many months back the first lies.
        last: How many months back the last lies; 0 for the month itself.
    """
    return dg.TimeWindowPartitionMapping(start_offset=-first, end_offset=-last)


def _midnight(date: dt.date) -> dt.datetime:
    return dt.datetime.combine(date, dt.time(), tzinfo=cme.NEW_YORK)


LAKE_PARTITIONS = lake_partitions()
MONTH_PARTITIONS = month_partitions()
LOOKBACK = lookback(HistorySettings())
