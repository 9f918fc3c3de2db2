"""Whether what a model learned, or was judged by, knew anything of what it was asked for.

Rules over rows of the month tables: frames in, findings out. Chance is judged by whole trade dates, as everywhere: rows of
one trade date share its path.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets import calendar as cme
from footprint_assets.ml.features import FeatureList
from footprint_assets.ml.resampling import mean_band
from footprint_assets.ml.scores import auc, auc_null_band
from footprint_assets.ml.splits import Labels, Split, overlapping, purged_k_fold

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

NULL_SHARE = 0.99
"""Share of what chance gives that a band holds: a check asks every month."""
DRAWS = 100
SEED = 11
NEAREST = 15
"""Neighbours of the plain learner that splits are compared by."""
MAX_COMPARED = 128
"""Most features it compares rows by."""
FOLDS = 5
_SMALLEST = 1e-7


@dataclass(frozen=True)
class Breach:
    """How far a rule is broken.

    Args:
        rows: Rows looked at.
        count: Rows that break it.
        first: Where the first of them is; ``None`` without any.
    """

    rows: int
    count: int
    first: Mapping[str, object] | None = None


# When things were known ------------------------------------------------------------------------------------------


def badly_timed(rows: pl.DataFrame) -> Mapping[str, Breach]:
    """Episodes that break the time contract, by rule.

    Args:
        rows: Rows of `training_set`.

    Returns:
        ``decided_outside_its_trade_date``; ``judged_before_decided``; ``judged_beyond_its_trade_date``, of labels that
        are complete; ``complete_without_outcome``, or the other way round; ``twice``, of episodes.
    """
    dates = rows["session_date"].unique().sort()
    windows = [cme.session(day).window_ns for day in dates]
    bounds = pl.DataFrame(
        {"session_date": dates, "opens": [a for a, _ in windows], "closes": [b for _, b in windows]},
        schema={"session_date": pl.Date, "opens": pl.Int64, "closes": pl.Int64},
    )
    decided, judged = (pl.col(name).to_physical() for name in ("decision_ts", "label_end_ts"))
    has_outcome = pl.col("outcome").cast(pl.String) != "UNDEFINED"
    rules = {
        "decided_outside_its_trade_date": (decided < pl.col("opens")) | (decided > pl.col("closes")),
        "judged_before_decided": judged < decided,
        "judged_beyond_its_trade_date": pl.col("label_complete") & (judged > pl.col("closes")),
        "complete_without_outcome": pl.col("label_complete") != has_outcome,
        "twice": ~pl.col("episode_id").is_first_distinct(),
    }
    timed = rows.select(
        "episode_id", "session_date", "decision_ts", "label_end_ts", "outcome", "label_complete"
    )
    timed = timed.join(bounds, on="session_date", how="left", maintain_order="left").with_row_index("row")
    return {name: _breach(timed, broken.fill_null(value=True)) for name, broken in rules.items()}


def _breach(rows: pl.DataFrame, broken: pl.Expr) -> Breach:
    wrong = rows.filter(broken)
    first = {"row": wrong["row"][0], "episode_id": wrong["episode_id"][0]} if wrong.height else None
    return Breach(rows.height, wrong.height, first)


def overlap(labels: Labels, split: Split, *, before: int = 0, after: int = 0) -> Breach:
    """Training rows that share anything with what they are judged by.

    Args:
        labels: The rows.
        split: Which of them teach and which judge.
        before: Trade dates right before one that judges which may not teach: its features look back on them.
        after: Trade dates right after one that judges which may not teach: their features look back on it.

    Returns:
        Training rows that judge too, whose label is alive while a test label is, or whose trade date judges or is held back.
    """
    test = np.zeros(len(labels), bool)
    test[split.test] = True
    apart = labels.session[split.train][:, None] - np.unique(labels.session[split.test])[None, :]
    near = ((apart >= -before) & (apart <= after)).any(axis=1)
    wrong = split.train[near | test[split.train] | overlapping(labels, test)[split.train]]
    first = {"row": int(wrong[0]), "session": int(labels.session[wrong[0]])} if wrong.size else None
    return Breach(int(split.train.size), int(wrong.size), first)


def sessions_between(taught: dt.date, judged: dt.date) -> int:
    """Trade dates of the calendar after the last that taught and before the first that is judged; below 0 where they cross.

    Args:
        taught: The last trade date a model learned from.
        judged: The first day it may be asked about.
    """
    if judged <= taught:
        return -1
    return sum(day < judged for day in cme.sessions(taught + dt.timedelta(days=1), judged))


# What is read ----------------------------------------------------------------------------------------------------


def unlisted(names: Sequence[str], features: FeatureList) -> list[str]:
    """Columns that no model may read, in their order.

    Args:
        names: Columns that are read.
        features: The allow list.
    """
    allowed = set(features.names)
    return [name for name in names if name not in allowed]


@dataclass(frozen=True)
class Alone:
    """How well one feature alone tells an outcome.

    Args:
        feature: The feature.
        target: ``decided`` of all rows, or ``break`` of those decided.
        told_by: Its ``value`` (an unknown one lies in the middle), or its ``presence``.
        auc: Chance that of two rows with different outcomes the feature puts them in the one order, or the other: 0.5 to 1.
        null: What the best of all features stays below where none knows anything, with the chance of ``NULL_SHARE``.
    """

    feature: str
    target: str
    told_by: str
    auc: float
    null: float

    def beyond(self, limit: float) -> bool:
        """Whether it tells more than a limit, and more than chance gives the best of them."""
        return self.auc > max(limit, self.null)


def alone(
    rows: pl.DataFrame, features: FeatureList, draws: int = DRAWS, seed: int = SEED
) -> tuple[Alone, ...]:
    """The feature that tells most by itself, of each outcome, by value and by presence; the strongest first.

    A feature that holds the outcome, or was known only after it, tells far more than the market lets one. Chance is that of
    the best of all: whole trade dates of outcomes are put into another order beside the features.

    Args:
        rows: Rows of `training_set`; those whose outcome is UNDEFINED are left out.
        features: The columns.
        draws: Orders drawn.
        seed: Of the draws.

    Returns:
        None of an outcome with one value or of fewer than two trade dates.
    """
    found = []
    for target, (taught, y) in _targets(rows).items():
        blocks = _blocks(taught)
        if y.size == 0 or y.min() == y.max() or len(blocks) < 2:
            continue
        random = np.random.default_rng(seed)
        orders = [np.concatenate([blocks[i] for i in random.permutation(len(blocks))]) for _ in range(draws)]
        outcomes = np.column_stack([y, *(y[order] for order in orders)]).astype(np.float64)
        x = _values(taught, features)
        for told_by, score in (("value", _ranked(x, _varying(x))), ("presence", _presence(x))):
            if not score.columns:
                continue
            told = _folded(score.to_numpy(), outcomes)
            best = int(told[:, 0].argmax())
            null = float(np.quantile(told[:, 1:].max(axis=0), NULL_SHARE))
            found.append(Alone(score.columns[best], target, told_by, float(told[best, 0]), null))
    return tuple(sorted(found, key=lambda one: -one.auc))


def _targets(rows: pl.DataFrame) -> dict[str, tuple[pl.DataFrame, Int64]]:
    """Rows and outcomes, 0 or 1, of the two questions; the rows of a trade date together."""
    outcome = pl.col("outcome").cast(pl.String)
    known = rows.filter(outcome != "UNDEFINED").sort("session_date", "decision_ts", "episode_id")
    decided = known.filter(outcome != "CHOP")
    return {
        "decided": (known, (known["outcome"].cast(pl.String) != "CHOP").cast(pl.Int64).to_numpy()),
        "break": (decided, (decided["outcome"].cast(pl.String) == "BREAK").cast(pl.Int64).to_numpy()),
    }


def _blocks(rows: pl.DataFrame) -> list[Int64]:
    """Row numbers of each trade date."""
    date = rows["session_date"].to_physical().to_numpy()
    return np.split(np.arange(date.size), np.flatnonzero(np.diff(date)) + 1)


def _values(rows: pl.DataFrame, features: FeatureList) -> pl.DataFrame:
    """The features, null where unknown."""
    return rows.select(pl.col(features.names).cast(pl.Float64).fill_nan(None))


def _varying(x: pl.DataFrame) -> list[str]:
    """Features whose values differ between rows."""
    return [
        name
        for name, varies in zip(x.columns, x.select(pl.all().min() < pl.all().max()).row(0), strict=True)
        if varies
    ]


def _ranked(x: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Rank of every row by each of some features, from 1; an unknown value lies in the middle."""
    ranks = [(pl.col(name).rank() - (pl.col(name).count() + 1) / 2).fill_null(0.0).rank() for name in names]
    return x.select(ranks)


def _presence(x: pl.DataFrame) -> pl.DataFrame:
    """The same by whether a feature has a value, of those known in some rows and not in others."""
    return x.select(
        [
            pl.col(name).is_not_null().cast(pl.Float64).rank()
            for name, unknown in zip(x.columns, x.null_count().row(0), strict=True)
            if 0 < unknown < x.height
        ]
    )


def _folded(rank: Float64, outcomes: Float64) -> Float64:
    """AUC of each feature by each column of outcomes, 0.5 to 1; float64[features, columns]."""
    ones = outcomes.sum(axis=0)
    zeros = outcomes.shape[0] - ones
    folded: Float64 = 0.5 + np.abs((rank.T @ outcomes - ones * (ones + 1) / 2) / (ones * zeros) - 0.5)
    return folded


# How it is judged ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Splits:
    """What a plain learner seems to tell of outcomes that it cannot know.

    Args:
        by_row: AUC where single rows are put into folds.
        by_session: AUC where whole trade dates are, purged and with an embargo.
        high: What the second stays below with the chance of ``NULL_SHARE``.
        rows: Rows that were judged.
    """

    by_row: float
    by_session: float
    high: float
    rows: int


def on_shuffled_outcomes(
    rows: pl.DataFrame, features: FeatureList, embargo_sessions: int, draws: int = DRAWS, seed: int = SEED
) -> Splits | None:
    """Judge neighbours by outcomes of other trade dates: nothing is there to be found.

    Whole trade dates of outcomes are put into another order, so that rows of one still agree with each other. Folds of
    single rows find that agreement, and call it skill; folds by ``session`` must find nothing, or it does not tell the trade
    dates apart.

    Args:
        rows: Rows of `training_set`.
        features: What rows are compared by; every n-th of those that vary where there are more than ``MAX_COMPARED``.
        embargo_sessions: Trade dates after a fold that are left out of training.
        draws: Orders drawn for the band.
        seed: Of the draws.

    Returns:
        ``None`` where there are fewer than two trade dates a fold, one outcome, or no feature that varies.
    """
    taught, y = _targets(rows)["decided"]
    blocks = _blocks(taught)
    if len(blocks) < 2 * FOLDS or y.min() == y.max():
        return None
    random = np.random.default_rng(seed)
    y = y[np.concatenate([blocks[i] for i in random.permutation(len(blocks))])]
    x = _values(taught, features)
    if not (names := _varying(x)):
        return None
    rank = _ranked(x, names[:: max(-(-len(names) // MAX_COMPARED), 1)]).to_numpy()
    by_row = np.full(y.size, np.nan)
    for test in np.array_split(random.permutation(y.size), FOLDS):
        train = np.setdiff1d(np.arange(y.size), test)
        by_row[test] = _near(rank, y, Split(train, test))
    labels = Labels(
        *(taught[name].cast(pl.Int64).to_numpy() for name in ("decision_ts", "label_end_ts", "session"))
    )
    by_session = np.full(y.size, np.nan)
    for split in purged_k_fold(labels, n_splits=FOLDS, embargo_sessions=embargo_sessions):
        by_session[split.test] = _near(rank, y, split)
    date = taught["session_date"].to_physical().cast(pl.Int64).to_numpy()
    _, high = auc_null_band(y, by_session, date, draws=draws, seed=seed, share=2 * NULL_SHARE - 1)
    return Splits(auc(y, by_row), auc(y, by_session), high, int(y.size))


def _near(rank: Float64, y: Int64, split: Split) -> Float64:
    """Share of outcome 1 among the nearest training rows of each test row, less that of all of them."""
    known, asked = rank[split.train], rank[split.test]
    far = (known**2).sum(axis=1)[None, :] - 2.0 * asked @ known.T
    near = np.argpartition(far, min(NEAREST, known.shape[0]) - 1, axis=1)[:, :NEAREST]
    # Folds have other base rates, which would rank the rows of one below those of another.
    share: Float64 = y[split.train][near].mean(axis=1) - y[split.train].mean()
    return share


@dataclass(frozen=True)
class Placebo:
    """What a model loses when its features are those of an earlier attempt.

    Args:
        loss: Log-loss with the features of the attempt itself, nats.
        earlier_loss: With those of the earlier one.
        low: Lower end of the second less the first, over trade dates drawn again.
        high: Upper end.
        rows: Rows judged.
    """

    loss: float
    earlier_loss: float
    low: float
    high: float
    rows: int

    @property
    def is_alarm(self) -> bool:
        """Whether features that came too early tell more than those in time."""
        return self.high < 0.0


def with_earlier_features(rows: pl.DataFrame, features: FeatureList, attempts: int) -> pl.DataFrame:
    """Rows with the features of an earlier attempt at the same kind of level, in order of time.

    Args:
        rows: Rows of `training_set`.
        features: The columns that are moved.
        attempts: How many attempts earlier.

    Returns:
        The rows that have such an earlier one.
    """
    ordered = rows.sort("level_type", "decision_ts", "episode_id")
    moved = ordered.with_columns(pl.col(features.names).shift(attempts).over("level_type"))
    nth = pl.int_range(pl.len()).over("level_type")
    return moved.filter(nth >= attempts).sort("session", "decision_ts", "episode_id")


def placebo(
    y: Int64, p: Float64, p_earlier: Float64, session: Int64, draws: int = DRAWS, seed: int = SEED
) -> Placebo:
    """Compare what a model says in time with what it says of an earlier attempt's features.

    Args:
        y: What happened, 0 or 1; int64[rows], at least one.
        p: Probability of 1 by the row's own features; float64[rows].
        p_earlier: By those of an earlier attempt; float64[rows].
        session: Trade date of each row as a number; int64[rows].
        draws: How often trade dates are drawn again.
        seed: Of the draws.
    """
    loss, earlier = (_losses(y, said) for said in (p, p_earlier))
    lost = mean_band(earlier - loss, session, draws=draws, seed=seed)
    return Placebo(float(loss.mean()), float(earlier.mean()), lost.low, lost.high, int(y.size))


def _losses(y: Int64, p: Float64) -> Float64:
    said = np.clip(np.where(y == 1, p, 1.0 - p), _SMALLEST, 1.0)
    losses: Float64 = -np.log(said)
    return losses
