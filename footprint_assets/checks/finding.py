"""What a check says: one finding a contract, with the numbers behind it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

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
        reads: Dataset keys that must be published before it can run.
        function: ``(bench, trade_date) -> findings``.
    """

    name: str
    table: str
    severity: Severity
    rule: str
    reads: tuple[str, ...]
    function: Callable[[Workbench, dt.date], list[Finding]]
