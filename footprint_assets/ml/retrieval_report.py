"""Whether past setups like one say anything: lift, precision and coverage, each beside what chance gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.ml.measures import ALL, Measure, segments, table
from footprint_assets.ml.questions import KNOWN
from footprint_assets.ml.resampling import mean_band, null_band, ratio_band
from footprint_assets.ml.retrieval import OUTCOMES, Agreement, Index, Neighbours, agreement
from footprint_assets.settings import JudgingSettings

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

SUBJECT = "retrieval"
KS = (1, 5, 10, 25, 50)
"""Numbers of nearest neighbours whose precision is told."""


@dataclass(frozen=True)
class _Asked:
    """Rows, what was found for them, and how far the neighbours agree; one entry a row with a neighbour."""

    rows: pl.DataFrame
    answers: list[Neighbours]
    both: Agreement

    def part(self, rows: pl.DataFrame) -> Int64:
        """Which entries are of some of the rows."""
        of_part = self.rows["episode_id"].is_in(rows["episode_id"].implode()).to_numpy()
        return np.flatnonzero(of_part[self.both.rows])

    @cached_property
    def session(self) -> Int64:
        """Trade date of each entry as a number."""
        session: Int64 = self.rows["session"].cast(pl.Int64).to_numpy()[self.both.rows]
        return session


def retrieval_report(rows: pl.DataFrame, index: Index, settings: JudgingSettings) -> pl.DataFrame:
    """Ask an index of the past for every row and judge what it says by what became of the row.

    Args:
        rows: Rows of `training_set` of one month, after everything in the index.
        index: Episodes of earlier months.
        settings: Draws, and fewest rows.

    Returns:
        Rows of a report. ``lift``: how much oftener neighbours share the outcome than the segment has it, for all rows, by
        kind of level and by outcome; ``precision_at_k``: share of the nearest ``k`` with the outcome; their null bands come
        from outcomes put to other trade dates. ``coverage``: share of rows with enough effective neighbours;
        ``neighbours`` and ``effective_neighbours``: their mean numbers; ``hubness``: how often the episode found most often
        was found, over how often the average one was.
    """
    rows = rows.filter(KNOWN).sort("session", "decision_ts", "episode_id")
    found = index.ask_all(rows)
    sizes = sorted({min(k, index.settings.neighbours) for k in (*KS, index.settings.neighbours)})
    asked = _Asked(rows, found, agreement(index, rows, found, sizes))
    return table([*_agreements(asked, sizes, settings), *_coverages(asked, settings)])


def _agreements(asked: _Asked, sizes: list[int], settings: JudgingSettings) -> Iterator[Measure]:
    for split, segment, part in segments(asked.rows):
        if split != "month":
            yield _lift(asked, split, segment, asked.part(part), settings)
    for outcome, name in enumerate(OUTCOMES):
        yield _lift(asked, "outcome", name, np.flatnonzero(asked.both.outcome == outcome), settings, outcome)
    for place, k in enumerate(sizes):
        yield _precision(asked, k, asked.both.among[:, place], settings)


def _lift(
    asked: _Asked, split: str, segment: str, part: Int64, settings: JudgingSettings, outcome: int = -1
) -> Measure:
    """Lift over some entries. That of one outcome has its null band over all entries, of which others are drawn."""
    both, session = asked.both, asked.session
    measure = Measure.of(SUBJECT, "lift", split, segment, session[part])
    if not measure.is_enough(settings):
        return measure
    own, among, base = both.outcome, both.among[:, -1], both.base
    scope = np.arange(own.size) if outcome >= 0 else part

    def over(order: Int64) -> float:
        drawn = own[scope][order]
        entry = scope[drawn == outcome] if outcome >= 0 else scope
        told = drawn[drawn == outcome] if outcome >= 0 else drawn
        return float(among[entry, told].sum() / base[entry, told].sum())

    seen, expected = among[part, own[part]], base[part, own[part]]
    draws = {"draws": settings.draws, "seed": settings.seed}
    return measure.saying(float(seen.sum() / expected.sum()), 1.0).with_bands(
        ratio_band(seen, expected, session[part], **draws), null_band(over, session[scope], **draws)
    )


def _precision(asked: _Asked, k: int, among: Float64, settings: JudgingSettings) -> Measure:
    both, session = asked.both, asked.session
    measure = Measure.of(SUBJECT, "precision_at_k", "k", f"{k:03d}", session)
    if not measure.is_enough(settings):
        return measure
    row = np.arange(session.size)
    draws = {"draws": settings.draws, "seed": settings.seed}
    shared = among[row, both.outcome]
    return measure.saying(float(shared.mean()), float(both.base[row, both.outcome].mean())).with_bands(
        mean_band(shared, session, **draws),
        null_band(lambda order: float(among[row, both.outcome[order]].mean()), session, **draws),
    )


def _coverages(asked: _Asked, settings: JudgingSettings) -> Iterator[Measure]:
    facts = asked.rows.select("level_type", "session", "session_date").with_columns(
        pl.Series("neighbours", [float(answer.rows.size) for answer in asked.answers], pl.Float64),
        pl.Series("effective_neighbours", [answer.effective for answer in asked.answers], pl.Float64),
    )
    facts = facts.with_columns(
        (pl.col("effective_neighbours") >= settings.min_effective).cast(pl.Float64).alias("coverage")
    )
    for split, segment, part in segments(facts):
        if split == "month":
            continue
        session = part["session"].cast(pl.Int64).to_numpy()
        for name in ("coverage", "neighbours", "effective_neighbours"):
            measure = Measure.of(SUBJECT, name, split, segment, session)
            if measure.is_enough(settings):
                values = part[name].to_numpy()
                band = mean_band(values, session, draws=settings.draws, seed=settings.seed)
                measure = measure.saying(float(values.mean())).with_bands(band)
            yield measure
    yield _hubness(asked, settings)


def _hubness(asked: _Asked, settings: JudgingSettings) -> Measure:
    measure = Measure.of(SUBJECT, "hubness", ALL, ALL, asked.session)
    if not measure.is_enough(settings):
        return measure
    found = np.bincount(np.concatenate([answer.rows for answer in asked.answers]))
    return measure.saying(float(found.max() / found[found > 0].mean()), 1.0)
