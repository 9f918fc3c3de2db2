"""The audit: every check over a range of trade dates, for CI and for a person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from footprint_assets import calendar as cme
from footprint_assets.checks import (
    AUDIT_CHECKS,
    FRESHNESS,
    MONTH_CHECKS,
    Check,
    Finding,
    Severity,
    Verdict,
    due_by,
)
from footprint_assets.gold_contracts import TRAINING_SET
from footprint_assets.lake import PartitionUnreadable
from footprint_assets.months import sessions_of
from footprint_assets.resources import Workbench


@dataclass(frozen=True)
class AuditRow:
    """One finding of the audit.

    Args:
        trade_date: The trade date it speaks of; of a month the first day.
        check: The rule.
        finding: What it found; failed with the tables missing where they are not published.
    """

    trade_date: dt.date
    check: Check
    finding: Finding

    @property
    def severity(self) -> Severity:
        """How bad it is, or would be."""
        return self.check.severity_of(self.finding)

    @property
    def verdict(self) -> Verdict:
        """The finding in one word."""
        return self.check.verdict_of(self.finding)

    @property
    def is_error(self) -> bool:
        """Whether it fails the audit."""
        return self.verdict == "fail"


def audit(
    bench: Workbench,
    start: dt.date | None = None,
    end: dt.date | None = None,
    fresh_at: dt.datetime | None = None,
) -> Iterator[AuditRow]:
    """Run every check over the published trade dates, and over the months of them that something was learned from.

    Args:
        bench: The lake.
        start: First trade date; the first published where ``None``.
        end: Last trade date; the last published where ``None``.
        fresh_at: Ask whether the trade date due at this instant is published; do not ask where ``None``.

    Yields:
        One row a check, trade date and contract. A table a check reads that is not published or
        cannot be read is a failed finding.
    """
    for day in published_dates(bench, start, end):
        for check in AUDIT_CHECKS:
            for finding in _findings(bench, check, day):
                yield AuditRow(day, check, finding)
    for month in published_months(bench, start, end):
        for check in MONTH_CHECKS:
            if bench.lake.manifests(check.table, month):
                for finding in _findings(bench, check, month):
                    yield AuditRow(month, check, finding)
    if fresh_at is not None:
        due = due_by(fresh_at, bench.settings.quality.fresh_by)
        for finding in _findings(bench, FRESHNESS, due):
            yield AuditRow(due, FRESHNESS, finding)


def _findings(bench: Workbench, check: Check, day: dt.date) -> list[Finding]:
    try:
        if missing := [key for key in check.reads if not bench.lake.manifests(key, day)]:
            return [Finding("*", passed=False, facts={"not_published": missing})]
        return check.function(bench, day)
    except PartitionUnreadable as error:  # one damaged partition hides no other finding
        return [Finding("*", passed=False, facts={"unreadable": str(error)})]


def published_dates(
    bench: Workbench, start: dt.date | None = None, end: dt.date | None = None
) -> list[dt.date]:
    """The trade dates of the range that have a roll map, the first thing a run publishes."""
    dates = bench.lake.dates("bronze.future.front_month")
    return [
        day
        for day in dates
        if (start is None or day >= start) and (end is None or day <= end) and cme.is_session(day)
    ]


def published_months(
    bench: Workbench, start: dt.date | None = None, end: dt.date | None = None
) -> list[dt.date]:
    """First days of the months with a trade date in the range that have a training set, the first thing learning makes."""
    return [
        month
        for month in bench.lake.dates(TRAINING_SET)
        if (start is None or sessions_of(month)[-1] >= start) and (end is None or month <= end)
    ]
