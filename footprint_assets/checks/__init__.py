"""Checks over more than one table, or over a published table and the calendar.

Each is a pure function of the lake: ``(bench, trade_date) -> findings``. The same functions run as partitioned asset
checks after a date's tables, and in ``lake_audit`` over a range. What one table must satisfy alone is its contract.
"""

from __future__ import annotations

from footprint_assets.checks import (
    book_quality,
    cross_table,
    feature_quality,
    feature_tables,
    lake_wide,
    learning,
    source_quality,
    stream_parity,
)
from footprint_assets.checks.finding import Check, Finding, Limits, Severity, Verdict
from footprint_assets.checks.lake_wide import FRESHNESS, due_by

CHECKS: tuple[Check, ...] = (
    *source_quality.CHECKS,
    *book_quality.CHECKS,
    *cross_table.CHECKS,
    *feature_tables.CHECKS,
    *feature_quality.CHECKS,
)
"""The checks of every run, in the order they are shown."""

AUDIT_CHECKS: tuple[Check, ...] = (*CHECKS, *lake_wide.CHECKS, *stream_parity.CHECKS)
"""The checks of the audit: those of every run, and those that read every byte or many sessions, or drive a book again."""

MONTH_CHECKS: tuple[Check, ...] = learning.CHECKS
"""The checks of a month and of its audit: ``(bench, first day of the month) -> findings``."""

__all__ = [
    "AUDIT_CHECKS",
    "CHECKS",
    "FRESHNESS",
    "MONTH_CHECKS",
    "Check",
    "Finding",
    "Limits",
    "Severity",
    "Verdict",
    "due_by",
]
