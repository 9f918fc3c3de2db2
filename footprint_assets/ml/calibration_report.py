"""Whether probabilities mean what they say and know anything: scores, calibration and discrimination beside chance.

Read from `predictions`: probabilities calibrated with what was known before their month, never with their own outcomes.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.ml.calibrators import COVERAGE
from footprint_assets.ml.heads import QUANTILES
from footprint_assets.ml.measures import ALL, Measure, segments, table
from footprint_assets.ml.questions import (
    BASELINES,
    KNOWN,
    QUESTIONS,
    RAW,
    STRENGTH,
    Answers,
    Question,
    answers,
)
from footprint_assets.ml.resampling import Band, mean_band, ratio_band
from footprint_assets.ml.scores import (
    auc,
    auc_band,
    auc_null_band,
    bins_of,
    brier,
    calibration_error,
    calibration_noise,
    decompose,
    log_loss,
    log_losses,
    pinball_losses,
    reliability,
)
from footprint_assets.settings import JudgingSettings

Float64 = npt.NDArray[np.float64]


def calibration_report(predictions: pl.DataFrame, settings: JudgingSettings) -> pl.DataFrame:
    """Judge every probability and interval.

    Args:
        predictions: Rows of `predictions` of a month and of those before; rows whose outcome is UNDEFINED are left out.
        settings: Draws, and fewest rows.

    Returns:
        Rows of a report. Of each question, over all rows, by kind of level and by month: ``log_loss`` and
        ``log_loss_skill`` (share of the base rate's that is gained), ``brier``, ``auc`` with its null band, and
        ``calibration_error`` (debiased) with the 0.95 quantile of what a perfect model has, as its null band's upper end.
        Over all rows too: the parts of the Brier score; ``reliability`` by bin (observed share, with the predicted one as
        its reference); ``less_than_retrieval``: log-loss less that of the neighbours on the same rows. A name ending in
        ``_raw`` is what the model said before calibration. Of ``strength``: ``pinball_loss``, ``interval_coverage`` and
        ``interval_width_pts``. Of Venn-Abers intervals: ``interval_width``.
    """
    known = predictions.filter(KNOWN)
    measures: list[Measure] = []
    for question in QUESTIONS:
        for split, segment, part in segments(known):
            measures += _scores(question.name, split, segment, answers(question, part), settings)
        measures += _whole(question, known, settings)
    for split, segment, part in segments(predictions):
        measures += _strength(split, segment, part, settings)
    return table(measures)


def _scores(
    subject: str, split: str, segment: str, said: Answers, settings: JudgingSettings
) -> Iterator[Measure]:
    measure = partial(Measure.of, subject, split=split, segment=segment, session=said.session)
    names = ("log_loss", "log_loss_skill", "brier", "auc", "calibration_error")
    if not measure("log_loss").is_enough(settings):
        yield from (measure(name) for name in names)
        return
    p, y, session = said.p, said.y, said.session
    draws = {"draws": settings.draws, "seed": settings.seed}
    losses, base = log_losses(y, p), log_losses(y, np.full(len(said), y.mean()))
    known = base.sum() > 0
    yield (
        measure("log_loss")
        .saying(log_loss(y, p), float(base.mean()))
        .with_bands(mean_band(losses, session, **draws))
    )
    skill = ratio_band(base - losses, base, session, **draws) if known else None
    yield (
        measure("log_loss_skill")
        .saying(1.0 - losses.sum() / base.sum() if known else np.nan, 0.0)
        .with_bands(skill)
    )
    yield (
        measure("brier")
        .saying(brier(y, p), float(y.mean() * (1 - y.mean())))
        .with_bands(mean_band((p - y) ** 2, session, **draws))
    )
    yield (
        measure("auc")
        .saying(auc(y, p), 0.5)
        .with_bands(
            auc_band(y, p, session, **draws) if 0 < y.mean() < 1 else None,
            Band(*auc_null_band(y, p, session, **draws)) if 0 < y.mean() < 1 else None,
        )
    )
    yield (
        measure("calibration_error")
        .saying(calibration_error(y, p), 0.0)
        .with_bands(null=Band(0.0, calibration_noise(p, **draws)))
    )


def _whole(question: Question, known: pl.DataFrame, settings: JudgingSettings) -> Iterator[Measure]:
    """What is told of all rows together only."""
    said = answers(question, known)
    raw = answers(question, known, question.name + RAW)
    yield from _scores(question.name + RAW, ALL, ALL, raw, settings)
    measure = partial(Measure.of, question.name, session=said.session)
    if not measure("reliability", ALL, ALL).is_enough(settings):
        return
    parts = decompose(said.y, said.p)
    for name in ("miscalibration", "discrimination", "uncertainty"):
        yield measure(name, ALL, ALL).saying(getattr(parts, name))
    yield from _reliability(question, said, settings)
    if f"{question.name}_low" in known.columns:
        yield from _interval(question, known, settings)
    if question.name in BASELINES:
        yield _against_retrieval(question, known, settings)


def _reliability(question: Question, said: Answers, settings: JudgingSettings) -> Iterator[Measure]:
    """Observed share of each bin: its band by trade dates, its null band by outcomes drawn from the probabilities."""
    bins, place = reliability(said.y, said.p), bins_of(said.p)
    random = np.random.default_rng(settings.seed)
    drawn = np.array(
        [
            np.bincount(place, random.random(len(said)) < said.p, minlength=bins.rows.size) / bins.rows
            for _ in range(settings.draws)
        ]
    )
    for number, (predicted, observed) in enumerate(zip(bins.predicted, bins.observed, strict=True)):
        here = place == number
        band = mean_band(
            said.y[here].astype(np.float64), said.session[here], draws=settings.draws, seed=settings.seed
        )
        low, high = np.quantile(drawn[:, number], [0.025, 0.975])
        yield (
            Measure.of(question.name, "reliability", "bin", f"{number:02d}", said.session[here])
            .saying(float(observed), float(predicted))
            .with_bands(band, Band(float(low), float(high)))
        )


def _interval(question: Question, known: pl.DataFrame, settings: JudgingSettings) -> Iterator[Measure]:
    rows = known.filter(question.rows).drop_nulls([f"{question.name}_low", f"{question.name}_high"])
    session = rows["session"].cast(pl.Int64).to_numpy()
    measure = Measure.of(question.name, "interval_width", ALL, ALL, session)
    if measure.is_enough(settings):
        width = (rows[f"{question.name}_high"] - rows[f"{question.name}_low"]).to_numpy()
        band = mean_band(width, session, draws=settings.draws, seed=settings.seed)
        measure = measure.saying(float(width.mean())).with_bands(band)
    yield measure


def _against_retrieval(question: Question, known: pl.DataFrame, settings: JudgingSettings) -> Measure:
    other = BASELINES[question.name]
    both = known.drop_nulls([question.name, other])
    own, baseline = answers(question, both), answers(question, both, other)
    measure = Measure.of(question.name, "less_than_retrieval", ALL, ALL, own.session)
    if not measure.is_enough(settings):
        return measure
    less = log_losses(own.y, own.p) - log_losses(baseline.y, baseline.p)
    band = mean_band(less, own.session, draws=settings.draws, seed=settings.seed)
    return measure.saying(float(less.mean()), 0.0).with_bands(band)


def _strength(split: str, segment: str, part: pl.DataFrame, settings: JudgingSettings) -> Iterator[Measure]:
    """The interval's coverage is told against the share it is made to hold."""
    said = part.drop_nulls(["strength_signed_pts", *STRENGTH]).sort("session", "decision_ts", "episode_id")
    kept = said.drop_nulls(["strength_low_pts", "strength_high_pts"])
    truth, held = said["strength_signed_pts"].to_numpy(), kept["strength_signed_pts"].to_numpy()
    low, high = kept["strength_low_pts"].to_numpy(), kept["strength_high_pts"].to_numpy()
    values = (
        (
            "pinball_loss",
            said,
            lambda: pinball_losses(truth, said.select(STRENGTH).to_numpy(), QUANTILES),
            np.nan,
        ),
        ("interval_coverage", kept, lambda: ((low <= held) & (held <= high)).astype(np.float64), COVERAGE),
        ("interval_width_pts", kept, lambda: high - low, np.nan),
    )
    for name, rows, of_rows, reference in values:
        session = rows["session"].cast(pl.Int64).to_numpy()
        measure = Measure.of("strength", name, split, segment, session)
        if measure.is_enough(settings):
            number = of_rows()
            band = mean_band(number, session, draws=settings.draws, seed=settings.seed)
            measure = measure.saying(float(number.mean()), reference).with_bands(band)
        yield measure
