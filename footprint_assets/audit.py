"""The audit: every cross-table check over a range of trade dates, for CI and for a person."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from footprint_assets import calendar as cme
from footprint_assets.checks import CHECKS, Check, Finding
from footprint_assets.lake import PartitionUnreadable
from footprint_assets.resources import Workbench


@dataclass(frozen=True)
class AuditRow:
    """One finding of the audit.

    Args:
        trade_date: The trade date it speaks of.
        check: The rule.
        finding: What it found; failed with the tables missing where they are not published.
    """

    trade_date: dt.date
    check: Check
    finding: Finding

    @property
    def is_error(self) -> bool:
        """Whether it fails the audit."""
        return not self.finding.passed and self.check.severity == "ERROR"


def audit(bench: Workbench, start: dt.date | None = None, end: dt.date | None = None) -> Iterator[AuditRow]:
    """Run every check over the published trade dates.

    Args:
        bench: The lake.
        start: First trade date; the first published where ``None``.
        end: Last trade date; the last published where ``None``.

    Yields:
        One row a check, trade date and contract. A table a check reads that is not published or
        cannot be read is a failed finding.
    """
    for day in published_dates(bench, start, end):
        for check in CHECKS:
            for finding in _findings(bench, check, day):
                yield AuditRow(day, check, finding)


def _findings(bench: Workbench, check: Check, day: dt.date) -> list[Finding]:
    try:
        reads = check.tables(bench.settings.levels.pipelines)
        if missing := [key for key in reads if not bench.lake.manifests(key, day)]:
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
