"""What a check says: one finding a contract, with the numbers behind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from footprint_assets import contracts
from footprint_assets.resources import Workbench

Severity = Literal["ERROR", "WARN"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check for one contract of one trade date.

    Args:
        symbol: The contract (or root) it speaks of.
        passed: Whether the rule holds.
        facts: The numbers it was judged by.
    """

    symbol: str
    passed: bool
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """A rule over published tables.

    Args:
        name: Snake-case name, unique.
        table: Dataset key of the asset the check is shown on.
        severity: ``ERROR`` fails the audit, ``WARN`` is shown.
        rule: One sentence a person can judge the numbers by.
        reads: Dataset keys that must be published before it can run; the name of a contract that levels share stands
            for the table of every level.
        function: ``(bench, trade_date) -> findings``.
    """

    name: str
    table: str
    severity: Severity
    rule: str
    reads: tuple[str, ...]
    function: Callable[[Workbench, dt.date], list[Finding]]

    def tables(self, levels: Iterable[str]) -> list[str]:
        """The tables that must be published before it can run.

        Args:
            levels: Names of the levels that have tables, such as ``PM_HIGH``.
        """
        names, shared = list(levels), contracts.templates()
        return [
            key
            for read in self.reads
            for key in ([contracts.level_key(read, name) for name in names] if read in shared else [read])
        ]

    @classmethod
    def of(
        cls,
        function: Callable[[Workbench, dt.date], list[Finding]],
        table: str,
        severity: Severity,
        *reads: str,
    ) -> Check:
        """The check a function makes: its name, and its docstring as the rule.

        Args:
            function: ``(bench, trade_date) -> findings``.
            table: Dataset key of the asset the check is shown on; it is read too.
            severity: ``ERROR`` or ``WARN``.
            reads: Further dataset keys it reads.
        """
        return cls(
            function.__name__, table, severity, (function.__doc__ or "").strip(), (table, *reads), function
        )
