"""When CME equity index futures trade: sessions, closures with names, early closes, trade date <-> UTC windows.

The one place that knows the calendar. ``rules`` states what the exchange published; ``globex`` answers questions about it with plain dates and UTC nanoseconds. Everything is pure: the calendar
runs from PARTITION_START to CALENDAR_END whatever today is, and nothing is fetched. ``docs/calendar.md`` has the
evidence behind every rule.
"""

from __future__ import annotations

from footprint_assets.calendar.globex import (
    CALENDAR_END,
    FIRST_MONTH,
    NEW_YORK,
    PARTITION_START,
    MarketClosed,
    OutsideCalendar,
    Session,
    closures,
    early_closes,
    et_ns,
    is_session,
    next_session,
    previous_session,
    session,
    session_label_edges,
    sessions,
    trade_date_of,
    utc_days,
    utc_midnight_ns,
)

__all__ = [
    "CALENDAR_END",
    "FIRST_MONTH",
    "NEW_YORK",
    "PARTITION_START",
    "MarketClosed",
    "OutsideCalendar",
    "Session",
    "closures",
    "early_closes",
    "et_ns",
    "is_session",
    "next_session",
    "previous_session",
    "session",
    "session_label_edges",
    "sessions",
    "trade_date_of",
    "utc_days",
    "utc_midnight_ns",
]
