"""What is learned of a level: is there a move, which way, how far, how soon. One boosted model a question.

The features of a row were known at ``decision_ts``; its label is the primary outcome of `levels_signals`, judged until
``label_end_ts``. Rows whose outcome is UNDEFINED (the record ends before it is decided) teach nothing and are left out.

LightGBM is read and written as text. It comes with the ``[ml]`` extra and is imported where it is used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.errors import ExtraMissing
from footprint_assets.kernels.labels import average_uniqueness
from footprint_assets.ml.calibration import OneClass
from footprint_assets.ml.features import FeatureList, FeaturesDiffer, matrix, require_told_apart
from footprint_assets.ml.splits import Labels, Split, TooFewSessions, hold_out
from footprint_assets.settings import ModelSettings

Float32 = npt.NDArray[np.float32]
Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

HeadName = Literal["tradeability", "direction", "strength", "time_to_threshold"]

QUANTILES = (0.1, 0.5, 0.9)
"""Quantiles of ``strength``."""
BIN_ENDS = np.array([1, 2, 4, 6, 9, 12, 18, 24, 36, 48, 72, 96]) / 96
"""Ends of the time bins of ``time_to_threshold`` as shares of the horizon: 5 s to 480 s of 480 s."""
NOTHING, BREAK, BOUNCE = 0, 1, 2
"""What a time bin brings: no barrier, the one beyond the level, the one before it."""


@dataclass(frozen=True)
class Head:
    """One question.

    Args:
        name: Its name.
        rows: Which rows of `training_set` teach it.
        target: What is learned of them, float64.
        objectives: LightGBM's parameters of each of its boosters, by name.
        columns: What it says of a row, in order.
    """

    name: HeadName
    rows: pl.Expr
    target: pl.Expr
    objectives: Mapping[str, Mapping[str, object]]
    columns: tuple[str, ...]


_OUTCOME = pl.col("outcome").cast(pl.String)
_DECIDED = _OUTCOME.is_in(["BREAK", "BOUNCE"])
_KNOWN = _OUTCOME != "UNDEFINED"

HEADS: Mapping[str, Head] = {
    head.name: head
    for head in (
        Head(
            "tradeability",
            _KNOWN,
            _DECIDED.cast(pl.Float64),
            {"p": {"objective": "binary"}},
            ("p_tradeable",),
        ),
        Head(
            "direction",
            _DECIDED,
            (_OUTCOME == "BREAK").cast(pl.Float64),
            {"p": {"objective": "binary"}},
            ("p_break",),
        ),
        Head(
            "strength",
            pl.col("strength_signed_pts").is_not_null(),
            pl.col("strength_signed_pts"),
            {f"q{q * 100:.0f}": {"objective": "quantile", "alpha": q} for q in QUANTILES},
            tuple(f"strength_q{q * 100:.0f}_pts" for q in QUANTILES),
        ),
        Head(
            "time_to_threshold",
            _KNOWN,
            pl.col("first_passage_share"),
            {"hazard": {"objective": "multiclass", "num_class": 3}},
            tuple(
                f"p_{side}_by_b{bin_:02d}"
                for side in ("break", "bounce")
                for bin_ in range(1, BIN_ENDS.size + 1)
            ),
        ),
    )
}
"""Every head by name."""


@dataclass(frozen=True)
class Model:
    """A trained head, all of it text and numbers.

    Args:
        head: Name of the head.
        features: Columns it reads, in order.
        features_sha256: Of the allow list they come from.
        boosters: LightGBM's text of each booster, by name.
        rows: Rows it learned from.
        sessions: Trade dates it learned from.
    """

    head: HeadName
    features: tuple[str, ...]
    features_sha256: str
    boosters: Mapping[str, str]
    rows: int
    sessions: int

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the boosters' text."""
        return hashlib.sha256("".join(self.boosters.values()).encode()).hexdigest()

    def gain(self) -> dict[str, float]:
        """Gain of each feature over the splits of all trees, by name; the end of a time bin is none of them.

        Read from the text alone, so that it can be had where LightGBM is not installed.
        """
        total = np.zeros(len(self.features) + 1)
        for text in self.boosters.values():
            lines = [line.partition("=") for line in text.splitlines()]
            features, gains = (
                [number for name, _, values in lines if name == wanted for number in values.split()]
                for wanted in ("split_feature", "split_gain")
            )
            np.add.at(total, [int(feature) for feature in features], [float(gain) for gain in gains])
        return dict(zip(self.features, total.tolist(), strict=False))

    def predict(self, rows: pl.DataFrame, features_sha256: str) -> pl.DataFrame:
        """What the model says of rows.

        Args:
            rows: Rows with the model's features.
            features_sha256: Of the allow list the rows were made by.

        Returns:
            The head's columns, one row each, float64: probabilities, or points.

        Raises:
            FeaturesDiffer: The rows were made by another allow list, or lack a feature.
            ExtraMissing: LightGBM is not installed.
        """
        self.require(features_sha256)
        lightgbm = lightgbm_module()
        x = matrix(rows, self.features)
        said = [_predict(lightgbm.Booster(model_str=text), x) for text in self.boosters.values()]
        if self.head == "time_to_threshold":
            values = _incidence(said[0].reshape(x.shape[0], BIN_ENDS.size, 3))
        else:
            values = np.sort(np.column_stack(said), axis=1)  # quantiles are learned one by one and may cross
        return pl.DataFrame(values, schema=dict.fromkeys(HEADS[self.head].columns, pl.Float64))

    def require(self, features_sha256: str) -> None:
        """Refuse rows made by another allow list.

        Raises:
            FeaturesDiffer: They were.
        """
        if features_sha256 != self.features_sha256:
            raise FeaturesDiffer(
                "The model was made for another list of features.",
                where={"head": self.head, "model": self.features_sha256[:12], "rows": features_sha256[:12]},
                remedy="train the month again with today's features.",
            )


@dataclass(frozen=True)
class _Lesson:
    """What a booster learns from: one entry a row."""

    x: Float32
    y: Float64
    weight: Float64

    def of(self, rows: Int64) -> _Lesson:
        """Some of the rows; those that follow each other are not copied."""
        first, last = int(rows[0]), int(rows[-1])
        some = slice(first, last + 1) if last - first + 1 == rows.size else rows
        return _Lesson(self.x[some], self.y[some], self.weight[some])

    def by_bin(self) -> _Lesson:
        """Every time bin of every row until its barrier, with the bin's end as the last feature."""
        time = np.where(np.isnan(self.y), 1.0, np.abs(self.y))
        reached = np.searchsorted(BIN_ENDS, time, side="left")
        row = np.repeat(np.arange(self.y.size), reached + 1)
        bin_ = np.arange(row.size) - np.repeat(np.cumsum(reached + 1) - reached - 1, reached + 1)
        side = np.where(np.isnan(self.y), NOTHING, np.where(self.y > 0, BREAK, BOUNCE))
        happens = np.where(bin_ == reached[row], side[row], NOTHING)
        return _Lesson(_with_bin(self.x[row], bin_), happens.astype(np.float64), self.weight[row])


def train(head: Head, rows: pl.DataFrame, features: FeatureList, settings: ModelSettings) -> Model:
    """Train one head on rows that were over before what it will judge.

    The number of trees is found on the last trade dates of the rows, with an embargo before them, by trees that grew on those
    before; then all rows teach. What ``time_to_threshold`` reads is chosen by those before alone. Rows are weighted by their
    uniqueness among all levels. The same rows give the same text, whatever their order and the number of threads.

    Args:
        head: What to learn.
        rows: Rows of `training_set`.
        features: What it may read.
        settings: Sizes, rates and bounds.

    Raises:
        TooFewSessions: The rows span fewer trade dates than the settings ask for.
        OneClass: All rows have the same outcome.
        NothingKnown: No feature has two different values.
        FeaturesDiffer: The rows lack a feature.
        ExtraMissing: LightGBM is not installed.
    """
    lightgbm = lightgbm_module()
    # The features stay where they are: each copy of them is as large as everything else together.
    facts = rows.drop(features.names, strict=False).with_row_index("row").filter(head.rows)
    facts = facts.sort("session", "decision_ts", "episode_id")
    labels = Labels(
        *(facts[name].cast(pl.Int64).to_numpy() for name in ("decision_ts", "label_end_ts", "session"))
    )
    sessions = facts["session"].n_unique()
    if sessions < settings.min_sessions:
        raise TooFewSessions(
            "There is too little history to train on.",
            where={"head": head.name, "trade_dates": sessions, "needed": settings.min_sessions},
            remedy="backfill earlier trade dates, or train a later month.",
        )
    y = facts.select(head.target.cast(pl.Float64).alias("y"))["y"].fill_null(np.nan).to_numpy()
    _require_two(head, y)
    weight = average_uniqueness(labels.start_ns, labels.end_ns)
    x = matrix(rows, features.names, facts["row"].cast(pl.Int64).to_numpy())
    require_told_apart(x)
    split = hold_out(labels, share=settings.holdout_share, embargo_sessions=settings.embargo_sessions)
    lesson, names = _Lesson(x, y, weight / weight.mean()), features.names
    if head.name == "time_to_threshold":
        strongest = _strongest(lightgbm, lesson.of(split.train), settings)
        names = tuple(names[k] for k in strongest)
        lesson = _Lesson(np.ascontiguousarray(x[:, strongest]), lesson.y, lesson.weight)
    del x
    tables = _Tables.of(lightgbm, head, lesson, split, settings)
    boosters = {
        name: _fit(lightgbm, tables, _parameters(settings) | dict(objective), settings)
        for name, objective in head.objectives.items()
    }
    return Model(head.name, tuple(names), features.sha256, boosters, facts.height, sessions)


def _require_two(head: Head, y: Float64) -> None:
    classes = np.unique(np.sign(y[~np.isnan(y)])) if head.name == "time_to_threshold" else np.unique(y)
    if classes.size < 2:
        raise OneClass(
            "All rows have one outcome.",
            where={"head": head.name, "rows": y.size},
            remedy="train on more trade dates.",
        )


@dataclass(frozen=True)
class _Tables:
    """LightGBM's form of the rows, made once for all boosters of a head.

    Args:
        early: Rows that a booster grows on while the number of its trees is looked for.
        late: The last trade dates, held out.
        everything: All rows.
    """

    early: Any
    late: Any
    everything: Any

    @classmethod
    def of(
        cls, lightgbm: ModuleType, head: Head, lesson: _Lesson, split: Split, settings: ModelSettings
    ) -> _Tables:
        prepare = _Lesson.by_bin if head.name == "time_to_threshold" else lambda lesson: lesson
        early = _dataset(lightgbm, prepare(lesson.of(split.train)), settings)
        late = _dataset(lightgbm, prepare(lesson.of(split.test)), settings, early)
        return cls(early, late, _dataset(lightgbm, prepare(lesson), settings))


def _fit(
    lightgbm: ModuleType, tables: _Tables, parameters: dict[str, object], settings: ModelSettings
) -> str:
    """A booster's text: grown on all rows to the size that the last trade dates, held out, ask for."""
    grown = lightgbm.train(
        parameters,
        tables.early,
        settings.max_rounds,
        valid_sets=[tables.late],
        callbacks=[lightgbm.early_stopping(settings.patience, verbose=False)],
    )
    final = lightgbm.train(parameters, tables.everything, max(1, grown.best_iteration))
    # The parameters at the end name threads and files; the trees are the model.
    text: str = final.model_to_string().partition("\nparameters:")[0]
    return text


def _dataset(lightgbm: ModuleType, lesson: _Lesson, settings: ModelSettings, like: Any = None) -> Any:
    """Rows in LightGBM's bins, those of another table where one is given; the rows themselves are let go."""
    table = lightgbm.Dataset(
        lesson.x,
        lesson.y,
        weight=lesson.weight,
        reference=like,
        params=_parameters(settings),
        free_raw_data=True,
    )
    return table.construct()


def _parameters(settings: ModelSettings) -> dict[str, object]:
    return {
        "learning_rate": settings.learning_rate,
        "num_leaves": settings.num_leaves,
        "min_data_in_leaf": settings.min_data_in_leaf,
        "feature_fraction": settings.feature_fraction,
        "lambda_l2": settings.lambda_l2,
        "max_bin": settings.max_bin,
        # Ends of bins are found on as many rows, 12 bytes a cell: LightGBM's own 200,000 need more than all else together.
        "bin_construct_sample_cnt": 50_000,
        "num_threads": settings.num_threads,
        "seed": settings.seed,
        # All three: deterministic alone does not fix the order of sums.
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
    }


def _strongest(lightgbm: ModuleType, lesson: _Lesson, settings: ModelSettings) -> Int64:
    """Features with the most gain in telling rows that reach a barrier, in the order of the columns."""
    moves = _Lesson(lesson.x, (~np.isnan(lesson.y)).astype(np.float64), lesson.weight)
    booster = lightgbm.train(
        _parameters(settings) | {"objective": "binary"},
        _dataset(lightgbm, moves, settings),
        settings.patience,
    )
    gain = booster.feature_importance("gain")
    order = np.argsort(-gain, kind="stable")[: settings.hazard_features]
    return np.sort(order)


def _with_bin(x: Float32, bin_: Int64) -> Float32:
    return np.column_stack([x, BIN_ENDS[bin_].astype(np.float32)])


def _predict(booster: Any, x: Float32) -> Float64:
    if booster.num_feature() == x.shape[1] + 1:  # one that learned of time bins
        bins = np.tile(np.arange(BIN_ENDS.size), x.shape[0])
        x = _with_bin(np.repeat(x, BIN_ENDS.size, axis=0), bins)
    said: Float64 = booster.predict(x, num_threads=1)
    return said


def _incidence(hazard: Float64) -> Float64:
    """Chance of each barrier being the first by the end of each bin.

    Discrete-time competing risks: the chance that nothing happened before a bin, times the chance of the barrier in it,
    summed over the bins.

    Args:
        hazard: Chance of nothing, break, bounce in a bin reached without either; float64[rows, bins, 3].

    Returns:
        Break by the end of each bin, then bounce; float64[rows, 2 * bins].
    """
    alive = np.cumprod(hazard[:, :, NOTHING], axis=1)
    before = np.concatenate([np.ones((hazard.shape[0], 1)), alive[:, :-1]], axis=1)
    by_side = [np.cumsum(before * hazard[:, :, side], axis=1) for side in (BREAK, BOUNCE)]
    return np.concatenate(by_side, axis=1)


def lightgbm_module() -> ModuleType:
    """LightGBM.

    Raises:
        ExtraMissing: It is not installed.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise ExtraMissing(
            "Boosted trees need LightGBM, which is not installed.",
            remedy="pip install --editable '.[ml]' in the checkout; the retrieval model needs nothing.",
        ) from error
    module: ModuleType = lightgbm
    return module
