"""Whether a month looks like those the models learned from: features, what models say, and outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.ml.drift import SessionDrift, drift_by_session
from footprint_assets.ml.features import FeatureList, matrix
from footprint_assets.ml.measures import ALL, Measure, table
from footprint_assets.ml.questions import KNOWN, OUTCOME, QUESTIONS, with_retrieval_questions
from footprint_assets.ml.resampling import mean_band, middle
from footprint_assets.ml.retrieval import OUTCOMES
from footprint_assets.settings import JudgingSettings

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

FEATURES = "features"


def drift_report(
    now: pl.DataFrame,
    before: pl.DataFrame,
    said_now: pl.DataFrame,
    said_before: pl.DataFrame,
    features: FeatureList,
    settings: JudgingSettings,
) -> pl.DataFrame:
    """Compare a month with those before.

    Args:
        now: Rows of `training_set` of the month.
        before: Rows of `training_set` of the months before.
        said_now: Rows of `out_of_fold` of the month.
        said_before: Rows of `out_of_fold` of the months before.
        features: The columns a model reads.
        settings: Draws, and fewest rows.

    Returns:
        Rows of a report; ``rows`` and ``sessions`` are those of the month. Of the features: ``stability_index`` of each
        with where its alarm begins as the null band's upper end, ``share_moved`` of each family and of all with what chance
        moves, and ``missing_rate`` of each family with the earlier one as its reference. Of each probability its
        ``stability_index``, over all rows and by kind of level. Of ``outcomes`` the ``rate`` of each, over all rows and by kind of level, with the earlier
        rate as its reference and what trade dates drawn from both give as its null band.
    """
    measures = [*_features(now, before, features, settings)]
    for question in QUESTIONS:
        measures += _probability(question.name, said_now, said_before, settings)
    measures += _rates(now, before, settings)
    return table(measures)


def _features(
    now: pl.DataFrame, before: pl.DataFrame, features: FeatureList, settings: JudgingSettings
) -> Iterator[Measure]:
    session = _sessions(now)
    families = np.array(features.families)
    names = sorted(set(features.families))
    enough = _is_enough(FEATURES, now, before, settings)
    found = _drift(now, before, features.names, settings) if enough else None
    missing = [_missing(rows, features.names) for rows in (now, before)]
    for place, name in enumerate(features.names):
        measure = Measure.of(FEATURES, "stability_index", "feature", name, session)
        yield _stability(measure, found, place)
    for name in [ALL, *names]:
        split = ALL if name == ALL else "family"
        here = np.ones(families.size, bool) if name == ALL else families == name
        yield _share_moved(Measure.of(FEATURES, "share_moved", split, name, session), found, here)
        measure = Measure.of(FEATURES, "missing_rate", split, name, session)
        yield measure.saying(*(float(rate[here].mean()) for rate in missing)) if enough else measure


def _drift(
    now: pl.DataFrame, before: pl.DataFrame, names: Sequence[str], settings: JudgingSettings
) -> SessionDrift:
    return drift_by_session(
        matrix(before, names),
        matrix(now, names),
        _sessions(before),
        _sessions(now),
        draws=settings.draws,
        seed=settings.seed,
    )


def _stability(measure: Measure, found: SessionDrift | None, place: int) -> Measure:
    if found is None:
        return measure
    bound = float(found.bound[place])
    return measure.saying(float(found.index[place]), float(found.expected[place])).beyond(bound)


def _share_moved(measure: Measure, found: SessionDrift | None, here: npt.NDArray[np.bool_]) -> Measure:
    if found is None:
        return measure
    by_chance = found.null_alarms[here].mean(axis=0)
    measure = measure.saying(float(found.is_alarm[here].mean()), float(by_chance.mean()))
    return measure.beyond(float(np.quantile(by_chance, 0.95)))


def _missing(rows: pl.DataFrame, names: Sequence[str]) -> Float64:
    """Share of rows without a value of each feature; float64[names]."""
    known = np.isfinite(matrix(rows, names))
    rate: Float64 = 1.0 - known.mean(axis=0) if rows.height else np.full(len(names), np.nan)
    return rate


def _probability(
    name: str, now: pl.DataFrame, before: pl.DataFrame, settings: JudgingSettings
) -> Iterator[Measure]:
    kept_now, kept_before = (
        with_retrieval_questions(rows).filter(pl.col(name).fill_nan(None).is_not_null())
        for rows in (now, before)
    )
    for level, here in _kinds(kept_now):
        of_now, of_before = kept_now.filter(here), kept_before.filter(here)
        split = ALL if level == ALL else "level_type"
        measure = Measure.of(name, "stability_index", split, level, _sessions(of_now))
        found = None
        if _is_enough(name, of_now, of_before, settings):
            found = _drift(of_now, of_before, [name], settings)
        yield _stability(measure, found, 0)


def _kinds(now: pl.DataFrame) -> Iterator[tuple[str, pl.Expr]]:
    """All rows, then those of each kind of level of the month."""
    level_type = pl.col("level_type").cast(pl.String)
    yield ALL, pl.lit(True)
    for level in sorted(str(level) for level in now["level_type"].unique()):
        yield level, level_type == level


def _rates(now: pl.DataFrame, before: pl.DataFrame, settings: JudgingSettings) -> Iterator[Measure]:
    now, before = now.filter(KNOWN), before.filter(KNOWN)
    for level, here in _kinds(now):
        split = ALL if level == ALL else "level_type"
        for name in OUTCOMES:
            segment = name if level == ALL else f"{level} {name}"
            yield _rate(name, split, segment, now.filter(here), before.filter(here), settings)


def _rate(
    name: str,
    split: str,
    segment: str,
    now: pl.DataFrame,
    before: pl.DataFrame,
    settings: JudgingSettings,
) -> Measure:
    session = _sessions(now)
    measure = Measure.of("outcomes", "rate", split, segment, session)
    if not _is_enough(name, now, before, settings):
        return measure
    is_now, was = (
        rows.select(OUTCOME.eq(name).cast(pl.Float64)).to_series().to_numpy() for rows in (now, before)
    )
    return measure.saying(float(is_now.mean()), float(was.mean())).with_bands(
        mean_band(is_now, session, draws=settings.draws, seed=settings.seed),
        middle(
            _dealt(
                np.concatenate([was, is_now]), np.concatenate([_sessions(before), session]), session, settings
            )
        ),
    )


def _dealt(values: Float64, sessions: Int64, now: Int64, settings: JudgingSettings) -> Float64:
    """Means over as many trade dates as the month has, dealt from all; float64[draws]."""
    dates, place = np.unique(sessions, return_inverse=True)
    sums, rows = np.bincount(place, values), np.bincount(place)
    random, size = np.random.default_rng(settings.seed), np.unique(now).size
    dealt = [random.permutation(dates.size)[:size] for _ in range(settings.draws)]
    return np.array([sums[hand].sum() / rows[hand].sum() for hand in dealt])


def _is_enough(name: str, now: pl.DataFrame, before: pl.DataFrame, settings: JudgingSettings) -> bool:
    return all(Measure.of(name, "", "", "", _sessions(rows)).is_enough(settings) for rows in (now, before))


def _sessions(rows: pl.DataFrame) -> Int64:
    sessions: Int64 = rows["session"].cast(pl.Int64).to_numpy()
    return sessions
