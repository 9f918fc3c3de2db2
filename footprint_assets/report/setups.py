"""The page of setups like one: an attempt at a level and the nearest past ones side by side, with what became of them.

Every path is the signed distance from the level, above zero beyond it, on one scale; time zero is the decision.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from footprint_assets.report.diagrams import bar
from footprint_assets.report.frames import numbers
from footprint_assets.report.models import outcome_mark, outcome_tone
from footprint_assets.report.shell import Figure, ReportError, Subject, drawn_page, table

SHOWN = 11
"""Attempts drawn beside the one asked for."""
LONGEST_S = 900
"""How much of a path before and after the decision is drawn, s."""

ATTEMPT_COLUMNS = (
    "episode_id",
    "decision",
    "outcome",
    "distance",
    "share",
    "strength_signed_pts",
    "passage_s",
)
LEGEND = """<ul class="legend">
<li><span class="key before"></span>before the decision</li>
<li><span class="mark bounce">—</span>bounced</li>
<li><span class="mark break">—</span>broke</li>
<li><span class="mark chop">—</span>neither</li>
<li><span class="key at-level"></span>the level; dotted: where a break or a bounce is decided</li>
</ul>"""


@dataclass(frozen=True)
class Setups:
    """An attempt and those like it.

    Args:
        asked: One row, :data:`ATTEMPT_COLUMNS`; ``outcome`` null where it is not known yet. ``distance`` and ``share`` are
            not read.
        like: The attempts like it, the nearest first: ``distance`` in the space, ``share`` of the weight of all, 0 to 1.
        paths: Path by episode: ``second`` (from the decision) and ``distance_pts``, by ``second``. An episode whose path is
            not in the lake is not named.
        barrier_pts: Distance at which a break or a bounce is decided, points; ``None`` where it differs by attempt.
        figures: Figures of the header.
        predictions: What the models say of it: ``what``, ``value`` as text.
    """

    asked: pl.DataFrame
    like: pl.DataFrame
    paths: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    barrier_pts: float | None = None
    figures: Sequence[Figure] = ()
    predictions: Sequence[tuple[str, str]] = ()


def setups_page(setups: Setups, *, subject: str, simulated: bool = False) -> str:
    """Draw an attempt and those like it as one HTML page.

    Args:
        setups: The attempts and their paths.
        subject: The heading, such as ``PM_HIGH 2024-06-18 10:31:05 ET``.
        simulated: Say on the page that the data is simulated.

    Returns:
        The HTML text, to be written as UTF-8.

    Raises:
        ReportError: A column is missing.
    """
    _require(setups.asked)
    _require(setups.like)
    attempts = [setups.asked.row(0, named=True), *setups.like.head(SHOWN).iter_rows(named=True)]
    cards, drawn = [], []
    for number, attempt in enumerate(attempts):
        path = setups.paths.get(attempt["episode_id"])
        shown = None if path is None else _path(path)
        cards.append(_card(number, attempt, is_drawn=shown is not None))
        if shown is not None:
            drawn.append({"card": number, "outcome": attempt["outcome"], **shown})
    data = {"decimals": 2, "tick": 0.25, "barrier": setups.barrier_pts, "paths": drawn, "levels": []}
    main = (
        f'<div class="text"><div class="figures">{_predictions(setups.predictions)}{_outcomes(setups.like)}</div>'
        f'<div class="cards setups">{"".join(cards)}</div></div>'
    )
    about = Subject(subject, "setups like this one", simulated)
    return drawn_page(about, setups.figures, main, LEGEND if drawn else "", data, "setups.js")


def _require(rows: pl.DataFrame) -> None:
    if missing := [name for name in ATTEMPT_COLUMNS if name not in rows.columns]:
        raise ReportError("The attempts lack columns the page needs.", where={"missing": ", ".join(missing)})


def _path(path: pl.DataFrame) -> dict[str, Any] | None:
    rows = path.filter(
        pl.col("second").is_between(-LONGEST_S, LONGEST_S), pl.col("distance_pts").is_not_null()
    ).sort("second")
    if rows.is_empty():
        return None
    return {"t": rows["second"].to_list(), "x": numbers(rows["distance_pts"].round(4))}


def _card(number: int, attempt: Mapping[str, Any], *, is_drawn: bool) -> str:
    place = "asked" if number == 0 else f"{number}"
    like = (
        ""
        if number == 0
        else f" · distance {attempt['distance']:.3f} · {100 * attempt['share']:.1f} % of the weight"
    )
    path = '<div class="path"></div>' if is_drawn else '<p class="path none">The path is not in the lake.</p>'
    return (
        f'<article class="card{" asked" if number == 0 else ""}" id="card-{number}">'
        f'<h4><span class="place">{place}</span> {html.escape(str(attempt["decision"]))}</h4>'
        f"<p>{outcome_mark(attempt['outcome'])}{_became(attempt)}{like}</p>{path}</article>"
    )


def _became(attempt: Mapping[str, Any]) -> str:
    words = ""
    seconds, strength = attempt["passage_s"], attempt["strength_signed_pts"]
    if seconds is not None and math.isfinite(seconds):
        words += f" after {abs(seconds):.0f} s"
    if strength is not None and math.isfinite(strength):
        words += f" · strength {strength:+.2f} pts"
    return words


def _predictions(said: Sequence[tuple[str, str]]) -> str:
    if not said:
        return ""
    rows = [(html.escape(what), html.escape(value)) for what, value in said]
    return f"<section><h2>What the models say</h2>{table(('', 'Said'), rows, name='said', numbers=('Said',))}</section>"


def _outcomes(like: pl.DataFrame) -> str:
    """How often each outcome came among them, plainly and by weight."""
    if like.is_empty():
        return '<p class="empty">No attempt of this kind was over by then.</p>'
    found = (
        like.with_columns(pl.col("outcome").cast(pl.String))
        .group_by("outcome")
        .agg(pl.len().alias("attempts"), pl.col("share").sum())
        .sort("share", "outcome", descending=[True, False])
    )
    rows = (
        (outcome_mark(outcome), f"{attempts}", f"{100 * share:.1f}", bar(share, outcome_tone(outcome)))
        for outcome, attempts, share in found.iter_rows()
    )
    headings = ("Outcome", "Attempts", "Weight, %", "")
    listed = table(headings, rows, name="outcomes", numbers=headings[1:3])
    return f"<section><h2>What became of them</h2>{listed}</section>"
