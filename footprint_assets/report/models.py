"""The model page of a month: are its probabilities honest, what do they gain, what are they made of.

Everything is judged on the episodes of the month, by models that had seen earlier months only.
"""

from __future__ import annotations

import datetime as dt
import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from footprint_assets.report.diagrams import Axis, Curve, Point, bar, covering, figure, two_sided_bar
from footprint_assets.report.markdown import as_html
from footprint_assets.report.shell import Figure, Subject, empty_page, table, text_page

MOST_FAMILIES = 15
"""Families a table lists, the strongest first."""
RELIABILITY = "reliability"
"""Measure whose rows are drawn: the observed share of a bin, beside the predicted one as its reference."""
MOST_ROWS = 120
"""Rows of a report a page lists, those beyond chance first."""
PARTS_SHOWN = 8
"""Families a signal's contributions name; the rest are added up."""

_CALIBRATION_NOTE = (
    "A point is a bin of episodes of like probability, its bar where 95 % of histories drawn from the trade dates have it. "
    "Grey: where a perfect forecast would lie by chance."
)
_LIFT_NOTE = (
    "How much oftener the outcome came among the episodes it was most expected of. Grey: outcomes that have nothing to do "
    "with the probabilities, whole trade dates in another order."
)
_COVERAGE_NOTE = "How often what was given a chance happened: a point on the line is honest."


@dataclass(frozen=True)
class Signals:
    """What a head said of some episodes, and why.

    Args:
        unit: Of the contributions.
        rows: One row an episode: ``episode_id``, ``decision`` (text), ``said`` (text), ``outcome``.
        parts: One row each: ``base``, then one column a family.
    """

    unit: str
    rows: pl.DataFrame
    parts: pl.DataFrame


@dataclass(frozen=True)
class ModelTables:
    """What a month's models are worth; a part that is not there is left out of the page.

    Args:
        figures: Figures of the header.
        lift: Title to rows of `ml.curves.lift_curve`.
        coverage: Title to rows of `ml.curves.coverage_curve`; several curves of one title by name.
        families: Head to rows of `ml.explain.importance`.
        signals: Head to what it said of some episodes.
        reports: Title to rows of a report, as `ml.measures` shapes them.
        cards: Head to the Markdown of its card.
    """

    figures: Sequence[Figure] = ()
    lift: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    coverage: Mapping[str, Mapping[str, pl.DataFrame]] = field(default_factory=dict)
    families: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    signals: Mapping[str, Signals] = field(default_factory=dict)
    reports: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    cards: Mapping[str, str] = field(default_factory=dict)


def model_page(tables: ModelTables, *, root: str, month: dt.date, simulated: bool = False) -> str:
    """Draw a month's models as one HTML page.

    Args:
        tables: What is known of them.
        root: Product root, such as ``ES``.
        month: First day of the month.
        simulated: Say on the page that the data is simulated.

    Returns:
        The HTML text, to be written as UTF-8. A month without anything gives a page that says so.
    """
    subject = Subject(root, f"{month:%Y-%m} · models of level outcomes", simulated)
    sections = [
        ("Calibration", _note(_CALIBRATION_NOTE, _calibration(tables.reports.values()))),
        ("Lift", _note(_LIFT_NOTE, _lift(tables.lift))),
        ("Coverage", _note(_COVERAGE_NOTE, _coverage(tables.coverage))),
        ("What the models look at", _families(tables.families)),
        ("Signals and why", "".join(_signals(head, told) for head, told in tables.signals.items())),
        *((title, _report(title, rows)) for title, rows in tables.reports.items()),
        ("Model cards", _cards(tables.cards)),
    ]
    main = "".join(
        f"<section><h2>{html.escape(title)}</h2>{content}</section>" for title, content in sections if content
    )
    if not main:
        return empty_page(subject, "No model of this month is published.")
    return text_page(subject, tables.figures, f'<div class="text">{main}</div>')


def _note(words: str, content: str) -> str:
    return f'<p class="note">{words}</p>{content}' if content else ""


def _grid(figures: Iterable[str]) -> str:
    drawn = "".join(figures)
    return f'<div class="figures">{drawn}</div>' if drawn else ""


def _calibration(reports: Iterable[pl.DataFrame]) -> str:
    along, up = Axis("predicted", 0.0, 1.0, True), Axis("observed", 0.0, 1.0, True)
    bins = [rows.filter(pl.col("measure") == RELIABILITY) for rows in reports]
    return _grid(
        figure(str(subject), [Curve(_points(rows, "reference", "value"))], along, up)
        for of_report in bins
        for (subject,), rows in of_report.sort("subject", "reference").group_by(
            "subject", maintain_order=True
        )
    )


def _lift(curves: Mapping[str, pl.DataFrame]) -> str:
    def one(title: str, rows: pl.DataFrame) -> str:
        drawn = [Curve(_points(rows, "share", "lift"))]
        along = Axis("share of the episodes", 0.0, 1.0, True)
        return figure(title, drawn, along, covering(drawn, "lift", include=1.0), reference=1.0)

    return _grid(one(title, rows) for title, rows in curves.items() if rows["lift"].is_finite().any())


def _coverage(curves: Mapping[str, Mapping[str, pl.DataFrame]]) -> str:
    def one(title: str, of_title: Mapping[str, pl.DataFrame]) -> str:
        drawn = _named(of_title, "nominal", "observed")
        most = max((point.x for curve in drawn for point in curve.points), default=1.0)
        high = max(most * 1.05, covering(drawn, "", include=0.0).high)
        along = Axis("chance given", 0.0, min(high, 1.0), True)
        return figure(title, drawn, along, Axis("happened", 0.0, min(high, 1.0), True))

    return _grid(one(title, of_title) for title, of_title in curves.items())


def _named(of_title: Mapping[str, pl.DataFrame], x: str, y: str) -> list[Curve]:
    """The curves of one figure; the second is drawn in the second colour, and all are named where there are several."""
    several = len(of_title) > 1
    return [
        Curve(_points(rows, x, y), "second" if number else "first", name if several else "")
        for number, (name, rows) in enumerate(of_title.items())
    ]


def _points(rows: pl.DataFrame, x: str, y: str) -> list[Point]:
    ends = ("low", "high", "null_low", "null_high")
    return [
        Point(
            _known(row[x]),
            _known(row[y]),
            **{name: _known(row.get(name)) for name in ends},
            words=", ".join(f"{name} {_number(value)}" for name, value in row.items() if _is_told(value)),
        )
        for row in rows.iter_rows(named=True)
    ]


def _families(families: Mapping[str, pl.DataFrame]) -> str:
    def one(head: str, rows: pl.DataFrame) -> str:
        shown = rows.head(MOST_FAMILIES)
        total, most = rows["mean_size"].sum(), shown["mean_size"][0]
        lines = (
            (html.escape(family), f"{size:.4f}", f"{100 * size / total:.1f}", bar(size / most, "parts"))
            for family, size in shown.select("family", "mean_size").iter_rows()
        )
        headings = ("Family", "Mean size", "Share, %", "")
        listed = table(headings, lines, name=f"families-{html.escape(head)}", numbers=headings[1:3])
        return f"<div><h3>{html.escape(head)}</h3>{listed}</div>"

    drawn = [
        one(head, rows) for head, rows in families.items() if rows.height and rows["mean_size"].sum() > 0
    ]
    words = "Mean size of what each family of features adds to a prediction, over the episodes of the month."
    return _note(words, f'<div class="figures">{"".join(drawn)}</div>') if drawn else ""


def _signals(head: str, told: Signals) -> str:
    if told.rows.is_empty():
        return ""
    families = [name for name in told.parts.columns if name != "base"]
    cells = []
    for facts, parts in zip(told.rows.iter_rows(named=True), told.parts.iter_rows(named=True), strict=True):
        strongest = sorted(families, key=lambda name: (-abs(parts[name]), name))
        most = max(abs(parts[strongest[0]]), 1e-12) if strongest else 1.0
        shown = [(name, parts[name]) for name in strongest[:PARTS_SHOWN]]
        if rest := strongest[PARTS_SHOWN:]:
            shown.append((f"{len(rest)} more", sum(parts[name] for name in rest)))
        cells.append(_signal(facts, [("base", parts["base"]), *shown], most))
    return (
        f"<h3>{html.escape(head)}</h3>"
        f'<p class="note">Parts add up to what the model said, {html.escape(told.unit)}.</p>'
        f'<div class="cards">{"".join(cells)}</div>'
    )


def _signal(facts: Mapping[str, object], parts: Sequence[tuple[str, float]], most: float) -> str:
    lines = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{two_sided_bar(value, most)}</td>"
        f'<td class="number">{value:+.3f}</td></tr>'
        for name, value in parts
    )
    return (
        f'<article class="card"><h4>{html.escape(str(facts["decision"]))}</h4>'
        f"<p>{html.escape(str(facts['said']))} · {outcome_mark(facts['outcome'])}</p><table>{lines}</table></article>"
    )


def outcome_mark(outcome: object) -> str:
    """An outcome in its colour."""
    name = "" if outcome is None else str(outcome)
    tone = {"BOUNCE": "bounce", "BREAK": "break"}.get(name, "chop")
    return f'<span class="mark {tone}">{html.escape(name) or "–"}</span>'


def _report(title: str, rows: pl.DataFrame) -> str:
    told = rows.filter(pl.col("measure") != RELIABILITY)
    if told.is_empty():
        return ""
    beyond = pl.col("is_beyond_null").fill_null(value=False)
    shown = told.sort(beyond, descending=True, maintain_order=True).head(MOST_ROWS)
    shown = shown.sort("subject", "measure", "split", "segment")
    headings = ("Of", "Measure", "Rows of", "Value", "Band", "By chance", "Rows", "Trade dates")
    name = "report-" + "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    lines = map(_report_line, shown.iter_rows(named=True))
    more = f"<p>{told.height - shown.height:,} more.</p>" if told.height > shown.height else ""
    return f'<div class="figures">{table(headings, lines, name=name, numbers=headings[3:])}</div>{more}'


def _report_line(row: Mapping[str, object]) -> tuple[str, ...]:
    segment = "all" if row["split"] == "all" else f"{row['split']} {row['segment']}"
    value = _number(row["value"])
    return (
        html.escape(str(row["subject"])),
        html.escape(str(row["measure"])),
        html.escape(segment),
        f'<b class="strong">{value}</b>' if row["is_beyond_null"] else value,
        _span(row["low"], row["high"]),
        _span(row["null_low"], row["null_high"]),
        _number(row["rows"]),
        _number(row["sessions"]),
    )


def _cards(cards: Mapping[str, str]) -> str:
    return "".join(
        f"<details><summary>{html.escape(head)}</summary>"
        f'<div class="markdown">{as_html(text)}</div></details>'
        for head, text in cards.items()
    )


def _span(low: object, high: object) -> str:
    ends = [_number(value) for value in (low, high)]
    return "–" if ends == ["–", "–"] else " … ".join(ends)


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "–" if value is None else html.escape(str(value))
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if math.isfinite(value) else "–"


def _is_told(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _known(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
