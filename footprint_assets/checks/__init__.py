"""Checks over more than one table, or over a published table and the calendar.

Each is a pure function of the lake: ``(bench, trade_date) -> findings``. The same functions run as partitioned asset
checks after a date's tables, and in ``lake_audit`` over a range. What one table must satisfy alone is its contract.
"""

from __future__ import annotations

from footprint_assets.checks import cross_table, feature_tables
from footprint_assets.checks.finding import Check, Finding, Severity

CHECKS: tuple[Check, ...] = (*cross_table.CHECKS, *feature_tables.CHECKS)
"""Every check, in the order it is shown."""

__all__ = ["CHECKS", "Check", "Finding", "Severity"]
