"""The validation report: what every rule says of a range of trade dates, as one page for a person.

The same lake gives the same bytes: no clock and no path is in it. Markdown and HTML hold the same words; the HTML needs
no network and has no script.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from footprint_assets import contracts
from footprint_assets.audit import AuditRow, audit, published_dates
from footprint_assets.checks import Check, Severity, Verdict
from footprint_assets.checks.finding import in_words
from footprint_assets.errors import FootprintError
from footprint_assets.lake import PartitionUnreadable
from footprint_assets.resources import Workbench

VERDICTS: tuple[Verdict, ...] = ("fail", "warn", "skip", "pass")
"""The worst first."""
WORDS: Mapping[Severity, str] = {"WARN": "warning", "ERROR": "error"}
LAYERS = {"bronze": "Source and bronze", "silver": "Silver", "gold": "Gold"}
SHOWN_DATES = 6
LONGEST_SHORT = 30
"""Letters of a cell that is never broken."""
SHOWN_FAILURES = 500


class UnknownReportForm(FootprintError):  # noqa: N818 - names the fact a reader meets
    """A report is asked for in a form there is none of."""


@dataclass(frozen=True)
class Account:
    """The rows of one partition of a table that keeps accounts.

    Args:
        table: Dataset key.
        trade_date: Trade date.
        symbol: Contract.
        rows_in: Rows read.
        rows: Rows published.
        quarantined: Rows set aside.
        filtered: Rows left out, by named rule.
    """

    table: str
    trade_date: dt.date
    symbol: str
    rows_in: int
    rows: int
    quarantined: int
    filtered: Mapping[str, int]

    @property
    def missing(self) -> int:
        """Rows read that are nowhere; 0 where the account is whole."""
        return self.rows_in - self.rows - self.quarantined - sum(self.filtered.values())


@dataclass(frozen=True)
class Validation:
    """What the rules say of a range.

    Args:
        dates: The published trade dates of the range.
        rows: Every finding, by date.
        accounts: Where the rows of every table went that keeps accounts.
    """

    dates: tuple[dt.date, ...]
    rows: tuple[AuditRow, ...]
    accounts: tuple[Account, ...]

    @property
    def checks(self) -> tuple[Check, ...]:
        """The rules judged, in the order they are shown."""
        return tuple({row.check.name: row.check for row in self.rows}.values())

    @property
    def failures(self) -> tuple[AuditRow, ...]:
        """Failed findings, errors before warnings, each by date."""
        failed = [row for row in self.rows if not row.finding.passed]
        return tuple(sorted(failed, key=lambda row: (row.verdict != "fail", row.trade_date)))

    @property
    def is_error(self) -> bool:
        """Whether a rule failed."""
        return any(row.is_error for row in self.rows)

    def verdicts(self, check: Check) -> dict[dt.date, Verdict]:
        """What a rule says of each date: the worst of its findings, and ``skip`` where none was judged."""
        found: dict[dt.date, set[Verdict]] = {}
        for row in self.rows:
            if row.check.name == check.name:
                found.setdefault(row.trade_date, set()).add(row.verdict)
        return {day: _worst(said) for day, said in found.items()}


def _worst(said: set[Verdict]) -> Verdict:
    """A rule that could be judged for one contract was judged."""
    judged = said - {"skip"} or said
    return next(verdict for verdict in VERDICTS if verdict in judged)


def validate(
    bench: Workbench,
    start: dt.date | None = None,
    end: dt.date | None = None,
    fresh_at: dt.datetime | None = None,
) -> Validation:
    """Judge the published trade dates of a range by every rule.

    Args:
        bench: The lake.
        start: First trade date; the first published where ``None``.
        end: Last trade date; the last published where ``None``.
        fresh_at: Ask whether the trade date due at this instant is published; do not ask where ``None``.
    """
    dates = tuple(published_dates(bench, start, end))
    return Validation(dates, tuple(audit(bench, start, end, fresh_at)), tuple(_accounts(bench, dates)))


def _accounts(bench: Workbench, dates: Iterable[dt.date]) -> list[Account]:
    found = []
    keys = contracts.table_keys(bench.settings.levels.pipelines)
    for key in sorted(keys, key=lambda key: (list(LAYERS).index(key.partition(".")[0]), key)):
        for day in dates:
            try:
                manifests = bench.lake.manifests(key, day)
            except PartitionUnreadable:
                continue  # the findings name it
            for symbol, m in manifests.items():
                if m.rows_in:
                    found.append(
                        Account(key, day, symbol, m.rows_in, m.rows, m.quarantined, dict(m.filtered))
                    )
    return found


def write_report(validation: Validation, path: Path) -> None:
    """Write the report.

    Args:
        validation: What the rules say.
        path: A file that ends in ``.html`` or ``.md``.

    Raises:
        UnknownReportForm: It ends otherwise.
    """
    forms = {".html": as_html, ".md": as_markdown}
    if path.suffix not in forms:
        raise UnknownReportForm(
            f"A report is written as {' or '.join(forms)}.", where={"file": path}, remedy="name such a file."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(forms[path.suffix](validation), encoding="utf-8")


# What both forms say ---------------------------------------------------------------------------------------------


def _title(validation: Validation) -> str:
    if not validation.dates:
        return "Validation: nothing is published"
    first, last = validation.dates[0], validation.dates[-1]
    return f"Validation of {first}" if first == last else f"Validation of {first} to {last}"


def summary(validation: Validation) -> str:
    """The report in one sentence."""
    count = Counter(row.verdict for row in validation.rows)
    verdict = "Failed" if count["fail"] else "Passed with warnings" if count["warn"] else "Passed"
    return (
        f"{verdict}: {_number(len(validation.dates), 'trade date')}, {_number(len(validation.checks), 'rule')}, "
        f"{_number(len(validation.rows), 'finding')}: {count['fail']} failed, {count['warn']} warned, "
        f"{count['skip']} not judged, {count['pass']} passed."
    )


def _number(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


RULE_HEADINGS = (
    "rule",
    "what must hold",
    "severity",
    "pass",
    "warn",
    "fail",
    "not judged",
    "dates not passed",
)
FAILURE_HEADINGS = (
    "trade date",
    "rule",
    "contract",
    "severity",
    "first offending row",
    "numbers",
    "what mends it",
)
SKIP_HEADINGS = ("rule", "why it was not judged", "findings")
ACCOUNT_HEADINGS = (
    "table",
    "trade date",
    "contract",
    "rows in",
    "rows out",
    "set aside",
    "left out",
    "missing",
)

Cells = list[list[str]]


def _rules(validation: Validation, layer: str) -> Cells:
    rows = []
    for check in validation.checks:
        if check.table.partition(".")[0] != layer:
            continue
        verdicts = validation.verdicts(check)
        count = Counter(verdicts.values())
        bad = [day for day, verdict in verdicts.items() if verdict in ("fail", "warn")]
        more = f" and {len(bad) - SHOWN_DATES} more" if len(bad) > SHOWN_DATES else ""
        rows.append(
            [
                check.name,
                check.rule,
                " or ".join(WORDS[severity] for severity in check.severities),
                *(str(count[verdict]) for verdict in ("pass", "warn", "fail", "skip")),
                ", ".join(map(str, bad[:SHOWN_DATES])) + more,
            ]
        )
    return rows


def _failures(validation: Validation) -> Cells:
    return [
        [
            str(row.trade_date),
            row.check.name,
            row.finding.symbol,
            row.severity,
            in_words(_mapping(row.finding.facts.get("first"))),
            in_words({name: fact for name, fact in row.finding.facts.items() if name != "first"}),
            row.check.remedy_of(row.trade_date),
        ]
        for row in validation.failures[:SHOWN_FAILURES]
    ]


def _mapping(first: object) -> Mapping[str, object]:
    if first is None:
        return {}
    return first if isinstance(first, Mapping) else {"": first}


def _skips(validation: Validation) -> Cells:
    count = Counter((row.check.name, row.finding.skipped) for row in validation.rows if row.finding.skipped)
    return [[name, why, str(findings)] for (name, why), findings in sorted(count.items())]


def _account_rows(validation: Validation) -> Cells:
    return [
        [
            account.table,
            str(account.trade_date),
            account.symbol,
            f"{account.rows_in:,}",
            f"{account.rows:,}",
            f"{account.quarantined:,}",
            ", ".join(f"{rule} {rows:,}" for rule, rows in sorted(account.filtered.items()) if rows),
            f"{account.missing:,}",
        ]
        for account in validation.accounts
    ]


# Markdown --------------------------------------------------------------------------------------------------------


def as_markdown(validation: Validation, *, accounts: bool = True) -> str:
    """The report in Markdown.

    Args:
        validation: What the rules say.
        accounts: Whether the row accounts of every partition are in it.
    """
    parts = [f"# {_title(validation)}", summary(validation)]
    if failures := _failures(validation):
        parts += ["## Failures and warnings", _md_table(FAILURE_HEADINGS, failures)]
    for layer, heading in LAYERS.items():
        if rules := _rules(validation, layer):
            parts += [f"## {heading}", _md_table(RULE_HEADINGS, rules)]
    if skips := _skips(validation):
        parts += ["## Not judged", _md_table(SKIP_HEADINGS, skips)]
    if accounts and validation.accounts:
        parts += ["## Row accounts", _md_table(ACCOUNT_HEADINGS, _account_rows(validation))]
    return "\n\n".join(parts) + "\n"


def _md_table(headings: Sequence[str], rows: Cells) -> str:
    lines = [list(headings), ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(_md_cell(cell) for cell in line)} |" for line in lines)


def _md_cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


# HTML ------------------------------------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; --line: #8884; --pass: #2e7d32; --warn: #b26a00; --fail: #c62828; --skip: #888; }
@media (prefers-color-scheme: dark) { :root { --pass: #66bb6a; --warn: #ffb74d; --fail: #ef5350; --skip: #9e9e9e; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 90rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 2rem; font-size: 13px; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid var(--line); }
td { overflow-wrap: break-word; } td.short { white-space: nowrap; }
td.number { white-space: nowrap; text-align: right; font-variant-numeric: tabular-nums; }
code { font-size: 12px; } .days { display: flex; flex-wrap: wrap; gap: 2px; min-width: 6rem; }
.days b { width: 10px; height: 14px; border-radius: 2px; font-size: 0; }
.pass { background: var(--pass); } .warn { background: var(--warn); } .fail { background: var(--fail); }
.skip { background: none; border: 1px solid var(--skip); box-sizing: border-box; }
.legend b { display: inline-block; width: 10px; height: 14px; border-radius: 2px; margin: 0 .3rem 0 1rem; vertical-align: -2px; }
.ERROR { color: var(--fail); font-weight: 600; } .WARN { color: var(--warn); font-weight: 600; }
"""
LEGEND = "".join(
    f'<b class="{verdict}"></b>{word}'
    for verdict, word in (
        ("pass", "passed"),
        ("warn", "warned"),
        ("fail", "failed"),
        ("skip", "not judged"),
    )
)


def as_html(validation: Validation) -> str:
    """The report as one HTML page: no script, nothing from a network."""
    title = escape(_title(validation))
    parts = [f"<h1>{title}</h1>", f"<p><strong>{escape(summary(validation))}</strong></p>"]
    if failures := _failures(validation):
        parts += ["<h2>Failures and warnings</h2>", _html_table(FAILURE_HEADINGS, failures)]
    parts.append(f'<p class="legend">One mark a trade date, the oldest first:{LEGEND}</p>')
    for layer, heading in LAYERS.items():
        if rules := _rules(validation, layer):
            days = [_days(validation, check) for check in validation.checks if _layer_of(check) == layer]
            parts += [f"<h2>{heading}</h2>", _html_table((*RULE_HEADINGS, "by date"), rules, days)]
    if skips := _skips(validation):
        parts += ["<h2>Not judged</h2>", _html_table(SKIP_HEADINGS, skips)]
    if validation.accounts:
        parts += ["<h2>Row accounts</h2>", _html_table(ACCOUNT_HEADINGS, _account_rows(validation))]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _layer_of(check: Check) -> str:
    return check.table.partition(".")[0]


def _days(validation: Validation, check: Check) -> str:
    """One mark a trade date, with words for those who do not see it."""
    marks = "".join(
        f'<b class="{verdict}" title="{day} {verdict}">{day} {verdict} </b>'
        for day, verdict in validation.verdicts(check).items()
    )
    return f'<td><div class="days">{marks}</div></td>'


def _html_table(headings: Sequence[str], rows: Cells, last: Sequence[str] = ()) -> str:
    """A table; ``last`` are cells already in HTML, one a row."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    ends = last or [""] * len(rows)
    body = "\n".join(
        f"<tr>{''.join(map(_html_cell, row))}{end}</tr>" for row, end in zip(rows, ends, strict=True)
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _html_cell(text: str) -> str:
    if text in ("ERROR", "WARN"):
        return f'<td class="{text}">{text}</td>'
    kind = "number" if text.replace(",", "").isdigit() else "short" if len(text) <= LONGEST_SHORT else ""
    return f'<td class="{kind}">{escape(text)}</td>' if kind else f"<td>{escape(text)}</td>"
