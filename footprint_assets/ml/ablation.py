"""What each family of features is worth to the direction head, on rows it has not seen.

Taking a family away by putting its values to other rows asks what the trained model makes of it, at the price of a
prediction. Training again without it asks what the other families cannot make up for, at the price of a training; how many
families that is asked of is a setting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.ml.features import FeatureList, NothingKnown
from footprint_assets.ml.heads import HEADS, Head, Model, train
from footprint_assets.ml.measures import Measure, table
from footprint_assets.ml.questions import QUESTIONS, Answers, answers
from footprint_assets.ml.resampling import mean_band
from footprint_assets.ml.scores import log_losses
from footprint_assets.settings import JudgingSettings, ModelSettings

Float64 = npt.NDArray[np.float64]

HEAD: Head = HEADS["direction"]
(_QUESTION,) = (question for question in QUESTIONS if question.head == HEAD.name)


def ablation(
    model: Model | None,
    rows: pl.DataFrame,
    earlier: pl.DataFrame,
    features: FeatureList,
    sets: Mapping[str, Sequence[str]],
    judging: JudgingSettings,
    models: ModelSettings,
) -> pl.DataFrame:
    """Take families and sets of features away from the direction head.

    Args:
        model: The head of the month; ``None`` where there is none: the report is there, without numbers.
        rows: Rows of `training_set` of the month, which the model has not seen.
        earlier: Rows of `training_set` that the model learned from.
        features: The columns it may read.
        sets: Names of features by the name of a set.
        judging: Orders and draws, and how many families are taken away by training again.
        models: How the head is trained.

    Returns:
        Rows of a report about ``p_break``, by family and by set. ``gain``: share of the trees' gain.
        ``permutation``: log-loss of the month's rows with the values put to other rows, less that with their own;
        ``retrained``: log-loss of the head trained without them, less that of the head; without a number where no other
        feature has a value. Above 0 they are worth something.
    """
    groups = {
        ("family", name): [
            of for of, family in zip(features.names, features.families, strict=True) if family == name
        ]
        for name in sorted(set(features.families))
    } | {("set", name): list(names) for name, names in sorted(sets.items())}
    judged = rows.filter(HEAD.rows).sort("session", "decision_ts", "episode_id")
    return table(_measures(model, judged, earlier, features, groups, judging, models))


def _measures(
    model: Model | None,
    rows: pl.DataFrame,
    earlier: pl.DataFrame,
    features: FeatureList,
    groups: Mapping[tuple[str, str], Sequence[str]],
    judging: JudgingSettings,
    models: ModelSettings,
) -> Iterator[Measure]:
    own = _answers(model, rows) if model is not None and rows.height else None
    gain = model.gain() if model is not None else {}
    total = sum(gain.values())
    worth: dict[tuple[str, str], float] = {}
    for group, names in groups.items():
        session = rows["session"].cast(pl.Int64).to_numpy()
        measure = Measure.of(_QUESTION.name, "gain", *group, session)
        yield measure.saying(sum(gain.get(name, 0.0) for name in names) / total) if total else measure
        measure = Measure.of(_QUESTION.name, "permutation", *group, session)
        if model is not None and own is not None and measure.is_enough(judging):
            more = _permuted(model, rows, own, names, judging)
            measure = _with(measure, more, own, judging)
            if group[0] == "family":
                worth[group] = measure.value
        yield measure
    dearest = sorted(worth, key=lambda group: (-worth[group], group))[: judging.retrained_families]
    for group in dearest:
        assert own is not None
        measure = Measure.of(_QUESTION.name, "retrained", *group, own.session)
        try:
            other = train(HEAD, earlier, features.without(group[1]), models)
        except NothingKnown:  # nothing else tells rows apart: there is no head without this one
            yield measure
            continue
        yield _with(measure, _losses(_answers(other, rows)) - _losses(own), own, judging)


def _permuted(
    model: Model, rows: pl.DataFrame, own: Answers, names: Sequence[str], judging: JudgingSettings
) -> Float64:
    """Loss of each row with these features taken from another row, less its own; mean over the orders."""
    read = [name for name in names if name in frozenset(model.features)]
    if not read:
        return np.zeros(len(own))
    random = np.random.default_rng(judging.seed)
    more = np.zeros(len(own))
    for _ in range(judging.permutations):
        order = random.permutation(rows.height)
        more += _losses(_answers(model, rows.with_columns(pl.col(read).gather(order)))) - _losses(own)
    return more / judging.permutations


def _answers(model: Model, rows: pl.DataFrame) -> Answers:
    return answers(_QUESTION, rows.with_columns(model.predict(rows, model.features_sha256).to_series()))


def _losses(said: Answers) -> Float64:
    return log_losses(said.y, said.p)


def _with(measure: Measure, more: Float64, own: Answers, judging: JudgingSettings) -> Measure:
    band = mean_band(more, own.session, draws=judging.draws, seed=judging.seed)
    return measure.saying(float(more.mean()), 0.0).with_bands(band)
