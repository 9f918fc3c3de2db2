"""The model page of a month: are its probabilities honest, what do they gain, what are they made of.

Everything is judged on episodes that the models had not seen: scores and calibration over all months of the report, the rest
on those of the month.
"""

from __future__ import annotations

import datetime as dt
import html
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from footprint_assets.report.diagrams import Axis, Curve, Point, bar, covering, figure, square, two_sided_bar
from footprint_assets.report.markdown import as_html
from footprint_assets.report.shell import Figure, Subject, empty_page, table, text_page

MOST_FAMILIES = 15
"""Families a table lists, the strongest first."""
RELIABILITY = "reliability"
"""Measure whose rows are drawn: the observed share of a bin, beside the predicted one as its reference."""
MOST_ROWS = 120
"""Rows of a table of a report, those beyond chance first."""
BY_STRENGTH = ("family", "feature", "set")
"""Parts of a report whose segments come the strongest first, not by name."""
PARTS_SHOWN = 8
"""Families a signal's contributions name; the rest are added up."""

_CALIBRATION_NOTE = (
    "A point is a bin of episodes of like probability, its bar where 95 % of histories drawn from the trade dates have it. "
    "Grey: where a perfect forecast would lie by chance."
)
_LIFT_NOTE = (
    "Of the month. How much oftener the outcome came among the episodes it was most expected of. Grey: outcomes that have "
    "nothing to do with the probabilities, whole trade dates in another order."
)
_COVERAGE_NOTE = "Of the month. How often what was given a chance happened: a point on the line is honest."
_REPORT_NOTE = (
    "Bold: beyond what chance gives. Below a number its 0.95 band, or where there is none what chance reaches; beside: the "
    "number where there is nothing to report."
)


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
        in_use: Rows of `champion` without the models' texts: which model of each head is in use, and why.
        lift: Title to rows of `ml.curves.lift_curve`.
        coverage: Title to rows of `ml.curves.coverage_curve`; several curves of one title by name.
        families: Head to rows of `ml.explain.importance`.
        signals: Head to what it said of some episodes.
        reports: Title to rows of a report, as `ml.measures` shapes them.
        cards: Head to the Markdown of its card.
    """

    figures: Sequence[Figure] = ()
    in_use: pl.DataFrame | None = None
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
        ("In use after the month", _in_use(tables.in_use)),
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


def _in_use(champions: pl.DataFrame | None) -> str:
    if champions is None or champions.is_empty():
        return ""
    headings = ("Head", "Model of", "Loss", "Its loss", "Challenger's", "p", "Why")
    lines = (
        (
            html.escape(str(row["head"])),
            "–" if row["champion_month"] is None else f"{row['champion_month']:%Y-%m}",
            html.escape(str(row["loss"] or "–")),
            *(_number(row[name]) for name in ("champion_loss", "challenger_loss", "p_value")),
            html.escape(str(row["reason"] or "")),
        )
        for row in champions.iter_rows(named=True)
    )
    return table(headings, lines, name="in-use", numbers=headings[3:6])


def _grid(figures: Iterable[str]) -> str:
    drawn = "".join(figures)
    return f'<div class="figures">{drawn}</div>' if drawn else ""


def _calibration(reports: Iterable[pl.DataFrame]) -> str:
    def one(subject: str, rows: pl.DataFrame) -> str:
        drawn = [Curve(_points(rows, "reference", "value"))]
        along, up = square(drawn, "predicted", "observed")
        return figure(_titled(subject, rows["rows"].cast(pl.Int64).to_list()), drawn, along, up)

    bins = [rows.filter(pl.col("measure") == RELIABILITY) for rows in reports]
    return _grid(
        one(str(subject), rows)
        for of_report in bins
        for (subject,), rows in of_report.sort("subject", "reference").group_by(
            "subject", maintain_order=True
        )
    )


def _titled(subject: str, rows: Sequence[int]) -> str:
    return f"{subject} · {sum(rows):,} episodes"


def _lift(curves: Mapping[str, pl.DataFrame]) -> str:
    def one(title: str, rows: pl.DataFrame) -> str:
        drawn = [Curve(_points(rows, "share", "lift"))]
        along = Axis("share of the episodes", 0.0, 1.0, True)
        title = _titled(title, rows["rows"].cast(pl.Int64).to_list()[-1:])
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
    words = (
        "Mean size of what each family of features adds to a prediction, over the episodes of the month. A feature's family is "
        "the first word of its name: lvltrade of bar5s_lvltrade_buy_vol_w3."
    )
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
        cells.append(_signal(facts, parts["base"], shown, most))
    return (
        f"<h3>{html.escape(head)}</h3>"
        f'<p class="note">Parts and the base, which is alike for all, add up to what the model said, {html.escape(told.unit)}.</p>'
        f'<div class="cards">{"".join(cells)}</div>'
    )


def _signal(facts: Mapping[str, object], base: float, parts: Sequence[tuple[str, float]], most: float) -> str:
    lines = [("base", "", base), *((name, two_sided_bar(value, most), value) for name, value in parts)]
    lines.append(("together", "", base + sum(value for _, value in parts)))
    rows = "".join(
        f'<tr><td>{html.escape(name)}</td><td>{drawn}</td><td class="number">{value:+.3f}</td></tr>'
        for name, drawn, value in lines
    )
    return (
        f'<article class="card"><h4>{html.escape(str(facts["decision"]))}</h4>'
        f"<p>{html.escape(str(facts['said']))} · {outcome_mark(facts['outcome'])}</p><table>{rows}</table></article>"
    )


def outcome_mark(outcome: object) -> str:
    """An outcome in its colour."""
    name = "" if outcome is None else str(outcome)
    return f'<span class="mark {outcome_tone(outcome)}">{html.escape(name) or "–"}</span>'


def outcome_tone(outcome: object) -> str:
    """The CSS class of an outcome's colour."""
    return {"BOUNCE": "bounce", "BREAK": "break"}.get(str(outcome), "chop")


def _report(title: str, rows: pl.DataFrame) -> str:
    """Tables of all rows, and of each way to part them behind a click: a line an object, a column a measure."""
    name = "report-" + "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    told = rows.filter(pl.col("measure") != RELIABILITY)
    told = told.sort(pl.col("split") != "all", maintain_order=True)
    shown: list[str] = []
    for (split,), part in told.group_by("split", maintain_order=True):
        listed = "".join(_tables(str(split), part, f"{name}-{split}"))
        if split != "all":
            words = html.escape(str(split).replace("_", " "))
            listed = f"<details{'' if shown else ' open'}><summary>By {words}</summary>{listed}</details>"
        shown.append(listed)
    return _note(_REPORT_NOTE, "".join(shown))


def _tables(split: str, rows: pl.DataFrame, name: str) -> Iterator[str]:
    """One table for each kind of object: those whose first measure is the same have the same measures."""
    kind = pl.col("measure").min().over("subject")
    for (first,), alike in rows.sort(kind, maintain_order=True).group_by(kind, maintain_order=True):
        yield _measures(split, alike, f"{name}-{first}")


def _measures(split: str, rows: pl.DataFrame, name: str) -> str:
    measures = rows["measure"].unique(maintain_order=True).to_list()
    lines: dict[tuple[str, str], dict[str, Mapping[str, object]]] = {}
    for row in rows.iter_rows(named=True):
        lines.setdefault((str(row["subject"]), str(row["segment"])), {})[str(row["measure"])] = row
    order = list(lines)
    if split in BY_STRENGTH:
        order.sort(key=lambda key: _strength(lines[key], measures))
    is_one = rows["subject"].n_unique() == 1
    headings = ("Of", "Rows", "Trade dates", *(measure.replace("_", " ") for measure in measures))
    cells = (
        (
            html.escape(_object(*key, is_one=is_one)),
            *(_most(row[count] for row in lines[key].values()) for count in ("rows", "sessions")),
            *(_cell(lines[key].get(measure)) for measure in measures),
        )
        for key in order[:MOST_ROWS]
    )
    more = f"<p>{len(order) - MOST_ROWS:,} more.</p>" if len(order) > MOST_ROWS else ""
    return table(headings, cells, name=html.escape(name), numbers=headings[1:]) + more


def _most(counts: Iterable[object]) -> str:
    return _number(max((count for count in counts if isinstance(count, int)), default=None))


def _object(subject: str, segment: str, *, is_one: bool) -> str:
    if segment == "all":
        return subject
    return segment if is_one else f"{subject} · {segment}"


def _strength(measures: Mapping[str, Mapping[str, object]], names: Sequence[str]) -> tuple[float, ...]:
    """What puts a line before others: beyond chance, then its first measure."""
    beyond = any(row["is_beyond_null"] for row in measures.values())
    first = next(measures[name] for name in names if name in measures)
    value = _known(first["value"])
    return (-float(beyond), -value if math.isfinite(value) else math.inf)


def _cell(row: Mapping[str, object] | None) -> str:
    """A number with what it is to be held against."""
    if row is None:
        return ""
    value = _number(row["value"])
    ends, chance = _span(row["low"], row["high"]), _span(row["null_low"], row["null_high"])
    facts = {"reference": _number(row["reference"]), "0.95 band": ends, "by chance": chance}
    below = [ends] if ends != "–" else [f"chance {chance}"] if chance != "–" else []
    if chance == "–" and row["reference"]:
        below.append(f"beside {facts['reference']}")
    words = ", ".join(f"{name} {fact}" for name, fact in facts.items() if fact != "–")
    said = f'<b class="strong">{value}</b>' if row["is_beyond_null"] else value
    return f'<span title="{words}">{said}{"".join(f"<small>{line}</small>" for line in below)}</span>'


def _cards(cards: Mapping[str, str]) -> str:
    return "".join(
        f"<details><summary>{html.escape(head)}</summary>"
        f'<div class="markdown">{as_html(text)}</div></details>'
        for head, text in cards.items()
    )


def _span(low: object, high: object) -> str:
    first, last = _number(low), _number(high)
    if first == last == "–":
        return "–"
    return f"to {last}" if first == "–" else f"{first} … {last}"


def _number(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return "–" if value is None else html.escape(str(value))
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return "–"
    return f"{value:.4g}" if abs(value) >= 1 else f"{round(value, 4) + 0.0:g}"


def _is_told(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _known(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
