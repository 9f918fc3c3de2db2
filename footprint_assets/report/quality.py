"""The data-quality page: what the tables of some trade dates hold, what they miss, and what the checks said.

Rows, accounts and null counts are those of manifests and Parquet footers; findings are the audit's.
"""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from footprint_assets.report.shell import Figure, Subject, empty_page, table, text_page

WORST_COLUMNS = 60
"""Columns with nulls a page lists, those with the largest share first."""


@dataclass(frozen=True)
class TableFacts:
    """What one partition says of itself.

    Args:
        trade_date: Trade date.
        table: Dataset key.
        symbol: Contract.
        rows: Rows published.
        rows_in: Rows read to make them; 0 where the table keeps no accounts.
        quarantined: Rows set aside.
        filtered: Rows left out, by named rule.
        bytes: Size, bytes.
        version: Version of the contract.
        nulls: Nulls of every column that has some.
    """

    trade_date: dt.date
    table: str
    symbol: str
    rows: int
    rows_in: int
    quarantined: int
    filtered: Mapping[str, int]
    bytes: int
    version: str
    nulls: Mapping[str, int] = field(default_factory=dict)

    @property
    def unaccounted(self) -> int:
        """Rows read that are neither published, nor set aside, nor left out by a rule."""
        return (
            self.rows_in - self.rows - self.quarantined - sum(self.filtered.values()) if self.rows_in else 0
        )


@dataclass(frozen=True)
class CheckFact:
    """What one check said of one contract and trade date.

    Args:
        trade_date: Trade date.
        check: Name of the check.
        severity: ``ERROR`` or ``WARN``.
        rule: The rule in words.
        symbol: Contract.
        passed: Whether the rule holds.
        facts: The numbers it was judged by, as text.
        skipped: Whether the rule could not be judged.
    """

    trade_date: dt.date
    check: str
    severity: str
    rule: str
    symbol: str
    passed: bool
    facts: str
    skipped: bool = False


def quality_page(
    tables: Sequence[TableFacts], findings: Sequence[CheckFact], *, simulated: bool = False
) -> str:
    """Draw the quality of some trade dates as one HTML page.

    Args:
        tables: One a table, contract and trade date.
        findings: What the checks said.
        simulated: Say on the page that the data is simulated.

    Returns:
        The HTML text, to be written as UTF-8. Without tables a page that says so.
    """
    dates = sorted({fact.trade_date for fact in tables})
    if not dates:
        return empty_page(
            Subject("Data quality", "no trade date", simulated), "Nothing is published in this range."
        )
    span = f"trade date {dates[0]}" if len(dates) == 1 else f"trade dates {dates[0]} – {dates[-1]}"
    failed = [finding for finding in findings if not finding.passed]
    errors = sum(finding.severity == "ERROR" for finding in failed)
    unaccounted = sum(fact.unaccounted != 0 for fact in tables)
    figures = [
        Figure("Trade dates", f"{len(dates):,}"),
        Figure("Tables", f"{len({fact.table for fact in tables}):,}"),
        Figure("Rows", f"{sum(fact.rows for fact in tables):,}"),
        Figure("MB", f"{sum(fact.bytes for fact in tables) / 1e6:,.1f}"),
        Figure("Set aside", f"{sum(fact.quarantined for fact in tables):,}"),
        Figure("Findings", f"{len(findings):,}"),
        Figure("Errors", f"{errors:,}", "sell" if errors else "buy"),
        Figure("Warnings", f"{len(failed) - errors:,}", "warn" if len(failed) > errors else "buy"),
        Figure("Accounts that do not add up", f"{unaccounted:,}", "sell" if unaccounted else "buy"),
    ]
    sections = (
        ("Checks", _matrix(findings, dates)),
        ("What failed", _failures(failed)),
        ("Rows and accounts", _accounts(tables)),
        ("Nulls", _nulls(tables)),
    )
    main = "".join(f"<section><h2>{title}</h2>{content}</section>" for title, content in sections if content)
    return text_page(Subject("Data quality", span, simulated), figures, f'<div class="text">{main}</div>')


def _matrix(findings: Sequence[CheckFact], dates: Sequence[dt.date]) -> str:
    """One row a check, one cell a trade date: its worst finding."""
    worst: dict[tuple[str, dt.date], str] = {}
    rules: dict[str, str] = {}
    ranks = ("not judged", "passed", "WARN", "ERROR")
    for finding in findings:
        rules[finding.check] = finding.rule
        place = (finding.check, finding.trade_date)
        state = "not judged" if finding.skipped else "passed" if finding.passed else finding.severity
        worst[place] = max(worst.get(place, "not judged"), state, key=ranks.index)

    def cell(check: str, date: dt.date) -> str:
        state = worst.get((check, date), "")
        sign = {"passed": "✓", "WARN": "!", "ERROR": "✕"}.get(state, "·")
        return (
            f'<span class="state {state.lower() or "none"}" title="{date} {state or "not run"}">{sign}</span>'
        )

    rows = (
        (html.escape(check), html.escape(rule), *(cell(check, date) for date in dates))
        for check, rule in rules.items()
    )
    return (
        table(("Check", "Rule", *(f"{date:%m-%d}" for date in dates)), rows, name="checks") if rules else ""
    )


def _failures(failed: Iterable[CheckFact]) -> str:
    rows = [
        (
            str(finding.trade_date),
            html.escape(finding.check),
            f'<span class="state {finding.severity.lower()}">{finding.severity}</span>',
            html.escape(finding.symbol),
            html.escape(finding.facts),
        )
        for finding in sorted(failed, key=lambda f: (f.severity != "ERROR", f.trade_date, f.check, f.symbol))
    ]
    headings = ("Trade date", "Check", "Severity", "Contract", "Facts")
    return table(headings, rows, name="failures") if rows else '<p class="good">Every check passed.</p>'


def _accounts(tables: Sequence[TableFacts]) -> str:
    most = {
        date: max((f.rows for f in tables if f.trade_date == date), default=0)
        for date in {f.trade_date for f in tables}
    }

    def row(fact: TableFacts) -> tuple[str, ...]:
        rules = ", ".join(f"{name} {count:,}" for name, count in sorted(fact.filtered.items()))
        kept = fact.rows_in > 0
        return (
            str(fact.trade_date),
            html.escape(fact.table),
            html.escape(fact.symbol),
            f"{fact.rows:,}",
            _bar((fact.rows / most[fact.trade_date]) ** 0.5 if most[fact.trade_date] else 0, "rows"),
            f"{fact.rows_in:,}" if kept else "–",
            _flagged(fact.quarantined, "warn"),
            html.escape(rules) or "–",
            _flagged(fact.unaccounted, "sell") if kept else "–",
            f"{fact.bytes / 1e6:,.2f}",
            html.escape(fact.version),
        )

    headings = (
        "Trade date",
        "Table",
        "Contract",
        "Rows",
        "",
        "Rows in",
        "Set aside",
        "Left out by rule",
        "Unaccounted",
        "MB",
        "Contract version",
    )
    flush = ("Rows", "Rows in", "Set aside", "Unaccounted", "MB")
    return table(headings, map(row, tables), name="accounts", numbers=flush)


def _flagged(count: int, tone: str) -> str:
    return f'<span class="{tone}">{count:,}</span>' if count else "0"


def _nulls(tables: Sequence[TableFacts]) -> str:
    """The columns with the largest share of nulls over all trade dates and contracts."""
    rows_of: dict[str, int] = {}
    nulls: dict[tuple[str, str], int] = {}
    for fact in tables:
        rows_of[fact.table] = rows_of.get(fact.table, 0) + fact.rows
        for column, count in fact.nulls.items():
            nulls[fact.table, column] = nulls.get((fact.table, column), 0) + count
    ranked = sorted(nulls, key=lambda place: (-nulls[place] / rows_of[place[0]], place))
    lines = (
        (
            html.escape(key),
            html.escape(column),
            f"{nulls[key, column]:,}",
            f"{100 * nulls[key, column] / rows_of[key]:.1f}",
            _bar(nulls[key, column] / rows_of[key], "nulls"),
        )
        for key, column in ranked[:WORST_COLUMNS]
    )
    if not ranked:
        return '<p class="good">No column has nulls.</p>'
    more = (
        f"<p>{len(ranked) - WORST_COLUMNS:,} more columns have nulls.</p>"
        if len(ranked) > WORST_COLUMNS
        else ""
    )
    headings = ("Table", "Column", "Nulls", "Share, %", "")
    return table(headings, lines, name="nulls", numbers=("Nulls", "Share, %")) + more


def _bar(share: float, kind: str) -> str:
    return f'<span class="bar {kind}"><i style="width:{100 * min(max(share, 0), 1):.1f}%"></i></span>'
