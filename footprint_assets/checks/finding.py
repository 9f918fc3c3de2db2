"""What a check says: one finding a contract, with the numbers behind it, and how bad it is."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from footprint_assets.resources import Workbench

Severity = Literal["ERROR", "WARN"]
Verdict = Literal["pass", "warn", "fail", "skip"]

RUN_AGAIN = "footprint-assets run --date {day}"
GET_AGAIN = "get the files of {day} again, then footprint-assets ingest --register PATH and footprint-assets run --date {day}"
LOOK = "look at the rows with footprint-assets show {table} --date {day}; the thresholds are FOOTPRINT_QUALITY__..."


@dataclass(frozen=True)
class Finding:
    """The outcome of one check for one contract of one trade date.

    Args:
        symbol: The contract (or root) it speaks of; ``*`` for all.
        passed: Whether the rule holds, or could not be judged.
        facts: The numbers it was judged by.
        severity: How bad this failure is; as bad as the check can be where ``None``.
        skipped: Why the rule could not be judged; empty where it was.
    """

    symbol: str
    passed: bool
    facts: Mapping[str, object] = field(default_factory=dict)
    severity: Severity | None = None
    skipped: str = ""

    @classmethod
    def skip(cls, symbol: str, why: str, **facts: object) -> Finding:
        """A rule that could not be judged.

        Args:
            symbol: The contract it speaks of.
            why: Why not, such as ``sessions before it: 3, needed: 5``.
            facts: The numbers that say so.
        """
        return cls(symbol, passed=True, facts={"skipped": why, **facts}, skipped=why)

    @property
    def words(self) -> str:
        """The numbers as a person reads them."""
        return in_words(self.facts)


def in_words(facts: Mapping[str, object]) -> str:
    """Facts as a person reads them; those that say nothing are left out."""
    told = {name: value for name, value in facts.items() if value not in (None, [], {})}
    return ", ".join(f"{name} {_plain(value)}".strip() for name, value in told.items())


def _plain(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


@dataclass(frozen=True)
class Limits:
    """The largest values that are still in order.

    Args:
        warn: Above it a value is a warning; never where ``None``.
        error: Above it a value is an error; never where ``None``.
    """

    warn: float | None = None
    error: float | None = None

    def judge(self, symbol: str, value: float, facts: Mapping[str, object]) -> Finding:
        """The finding of a value.

        Args:
            symbol: The contract it speaks of.
            value: What is compared.
            facts: The numbers behind it; the limits are added.
        """
        severity: Severity | None = None
        if self.error is not None and value > self.error:
            severity = "ERROR"
        elif self.warn is not None and value > self.warn:
            severity = "WARN"
        limits = {"warn_above": self.warn, "error_above": self.error}
        said = {name: limit for name, limit in limits.items() if limit is not None}
        return Finding(symbol, severity is None, dict(facts) | said, severity)

    def judge_share(
        self, symbol: str, count: int, rows: int, first: Mapping[str, object] | None, **facts: object
    ) -> Finding:
        """The finding of rows that should not be there.

        Args:
            symbol: The contract they are of.
            count: How many there are.
            rows: Rows looked at.
            first: Where the first of them is; ``None`` without any.
            facts: Further numbers.
        """
        rate = count / rows if rows else 0.0
        return self.judge(symbol, rate, {**facts, "count": count, "rows": rows, "rate": rate, "first": first})


@dataclass(frozen=True)
class Check:
    """A rule over published tables.

    Args:
        name: Snake-case name, unique.
        table: Dataset key of the asset the check is shown on.
        severity: How bad a failure of it can be: ``ERROR`` fails the run and the audit, ``WARN`` is shown.
        rule: One sentence a person can judge the numbers by.
        reads: Dataset keys that must be published before it can run.
        function: ``(bench, trade_date) -> findings``.
        warns_first: Whether a smaller breach is a ``WARN`` although a larger one is an ``ERROR``.
        remedy: What mends a failure; ``{day}``, ``{month}`` and ``{table}`` stand for the trade date, its month and the
            check's table.
    """

    name: str
    table: str
    severity: Severity
    rule: str
    reads: tuple[str, ...]
    function: Callable[[Workbench, dt.date], list[Finding]]
    warns_first: bool = False
    remedy: str = RUN_AGAIN

    @property
    def severities(self) -> tuple[Severity, ...]:
        """Every severity a failure of it can have, the mildest first."""
        return ("WARN", "ERROR") if self.warns_first else (self.severity,)

    def severity_of(self, finding: Finding) -> Severity:
        """How bad a failed finding of this check is."""
        return finding.severity or self.severity

    def verdict_of(self, finding: Finding) -> Verdict:
        """A finding in one word."""
        if finding.passed:
            return "skip" if finding.skipped else "pass"
        return "fail" if self.severity_of(finding) == "ERROR" else "warn"

    def remedy_of(self, day: dt.date) -> str:
        """What mends a failure of a trade date."""
        return self.remedy.format(day=day, month=f"{day:%Y-%m}", table=self.table)

    @classmethod
    def of(
        cls,
        function: Callable[[Workbench, dt.date], list[Finding]],
        table: str,
        severity: Severity,
        *reads: str,
        warns_first: bool = False,
        remedy: str = RUN_AGAIN,
    ) -> Check:
        """The check a function makes: its name, and the first paragraph of its docstring as the rule.

        Args:
            function: ``(bench, trade_date) -> findings``.
            table: Dataset key of the asset the check is shown on; it is read too.
            severity: How bad a failure of it can be.
            reads: Further dataset keys it reads.
            warns_first: Whether a smaller breach is a ``WARN`` although a larger one is an ``ERROR``.
            remedy: What mends a failure.
        """
        rule = " ".join((function.__doc__ or "").strip().partition("\n\n")[0].split())
        return cls(function.__name__, table, severity, rule, (table, *reads), function, warns_first, remedy)
