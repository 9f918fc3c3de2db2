"""Setups like this one: the nearest earlier episodes at the same kind of level, and what became of them.

Distances are Euclidean in a space where every feature is spread alike (its rank as a Gaussian) and counts by its weight; an
unknown value lies in the middle. Neighbours had their outcome before the question was asked, belong to another trade date,
and no trade date gives more than a few: episodes of one day share its path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets.kernels.nearest import nearest, pack
from footprint_assets.kernels.ranks import gauss_ranks
from footprint_assets.ml.features import FeatureList, Float32, matrix, require_known
from footprint_assets.settings import RetrievalSettings

Float64 = npt.NDArray[np.float64]
Int64 = npt.NDArray[np.int64]

KNOTS = 257
"""Quantiles that describe how a feature is spread."""
OUTCOMES = ("BREAK", "BOUNCE", "CHOP")
SEGMENT = ("level_type", "approach_direction")
"""Neighbours are of the same kind of level, approached from the same side."""

_GAUSS = np.array([NormalDist().inv_cdf((rank + 0.5) / KNOTS) for rank in range(KNOTS)])


@dataclass(frozen=True)
class Space:
    """Where setups are compared.

    Args:
        features: Columns, in order.
        features_sha256: Of the allow list they come from.
        knots: Quantiles of each column, rising; float32[features, KNOTS]; NaN for a column without a value.
        weight: Weight of each column; float32[features], the squares adding up to 1.
    """

    features: tuple[str, ...]
    features_sha256: str
    knots: Float32
    weight: Float32

    def place(self, x: Float32) -> Float32:
        """Rows in the space.

        Args:
            x: The features as they are; float32[rows, features].

        Returns:
            float32[rows, features]; 0 where a value is unknown.
        """
        return gauss_ranks(x, self.knots, _GAUSS, self.weight)


def fit_space(rows: pl.DataFrame, features: FeatureList, gain: Mapping[str, float] | None = None) -> Space:
    """Learn how features are spread, and how much each counts.

    Args:
        rows: Rows of `training_set`.
        features: What setups are compared by.
        gain: Gain of each feature in a boosted model of the same rows: a feature counts by its share. Without it every
            family counts alike, and every feature of a family.

    Raises:
        NothingKnown: No feature has a value.
        FeaturesDiffer: The rows lack a feature.
    """
    x = matrix(rows, features.names)
    require_known(x)
    knots = np.full((len(features.names), KNOTS), np.nan, np.float32)
    for column in range(x.shape[1]):
        values = x[np.isfinite(x[:, column]), column]
        if values.size:
            knots[column] = np.quantile(values, np.linspace(0.0, 1.0, KNOTS))
    if gain is None:
        size = {family: features.families.count(family) for family in set(features.families)}
        share = np.array([1.0 / size[family] for family in features.families])
    else:
        share = np.array([gain.get(name, 0.0) for name in features.names])
    weight = np.sqrt(share / share.sum())
    return Space(features.names, features.sha256, knots, weight.astype(np.float32))


@dataclass(frozen=True)
class Neighbours:
    """Episodes like one that was asked for, the nearest first.

    Args:
        rows: Row numbers in ``Index.rows``; int64[found].
        distance: Distances in the space; float32[found].
        weight: How much each counts, by distance and age; float64[found].
        chances: Of BREAK, BOUNCE, CHOP among them, drawn to the base rate of the segment; float64[3]. NaN where the segment
            has no episode that was over by then.
        effective: Number of equal neighbours that would say as much: ``(sum w)^2 / sum w^2``.
    """

    rows: Int64
    distance: Float32
    weight: Float64
    chances: Float64
    effective: float


@dataclass(frozen=True)
class Index:
    """Past episodes by segment, and within it by the end of their label: what was over by an instant is one run of rows.

    Args:
        rows: Facts of each episode: ``episode_id``, ``session``, ``level_type``, ``approach_direction``,
            ``label_end_ts``, ``outcome``.
        space: Where they are compared.
        vectors: Each of them in the space; float32[rows, features].
        settings: How many neighbours, of how many trade dates, and how they count.
    """

    rows: pl.DataFrame
    space: Space
    vectors: Float32
    settings: RetrievalSettings

    def ask(self, row: pl.DataFrame) -> Neighbours:
        """The neighbours of one episode.

        Args:
            row: One row with ``session``, ``level_type``, ``approach_direction``, ``decision_ts`` and the features.

        Raises:
            FeaturesDiffer: The row lacks a feature.
        """
        (answer,) = self.ask_all(row)
        return answer

    def ask_all(self, rows: pl.DataFrame) -> list[Neighbours]:
        """The neighbours of several episodes, each as if it were asked for alone.

        Args:
            rows: Rows with ``session``, ``level_type``, ``approach_direction``, ``decision_ts`` and the features.

        Raises:
            FeaturesDiffer: The rows lack a feature.
        """
        queries = np.zeros((rows.height, self._packed.shape[1]), np.float32)
        queries[:, : len(self.space.features)] = self.space.place(matrix(rows, self.space.features))
        now, session = (rows[name].cast(pl.Int64).to_list() for name in ("decision_ts", "session"))
        segments = rows.select(SEGMENT).rows()
        return [self._nearest(*asked) for asked in zip(queries, segments, now, session, strict=True)]

    def _nearest(self, query: Float32, segment: tuple[object, ...], now: int, session: int) -> Neighbours:
        first, stop = self._over_by(segment, now)
        found, squared = nearest(
            self._packed,
            query,
            first,
            stop,
            self._session,
            session,
            self.settings.neighbours,
            self.settings.per_session,
        )
        return self._judged(found, np.sqrt(squared), slice(first, stop), session)

    def _over_by(self, segment: tuple[object, ...], now: int) -> tuple[int, int]:
        """Rows of a segment whose label had ended by an instant."""
        first, stop = self._segments.get(segment, (0, 0))
        return first, first + int(np.searchsorted(self._end[first:stop], now, side="right"))

    def _judged(self, found: Int64, distance: Float32, known: slice, session: int) -> Neighbours:
        age = session - self._session[found]
        scale = float(distance[-1]) if distance.size and distance[-1] > 0 else 1.0
        weight = np.exp(-0.5 * (distance / scale) ** 2) * 0.5 ** (age / self.settings.half_life_sessions)
        base = self._is_outcome[known].mean(axis=0) if known.stop > known.start else np.full(3, np.nan)
        drawn = self.settings.prior_rows
        total = float(weight.sum())
        chances = (weight @ self._is_outcome[found] + drawn * base) / (total + drawn)
        effective = total**2 / float((weight**2).sum()) if found.size else 0.0
        return Neighbours(found, distance, weight, chances, effective)

    @cached_property
    def _packed(self) -> Float32:
        return pack(self.vectors)

    @cached_property
    def _session(self) -> Int64:
        # A copy: the kernel is compiled once more for an array that must not be written.
        return np.array(self.rows["session"], np.int64)

    @cached_property
    def _end(self) -> Int64:
        return self.rows["label_end_ts"].cast(pl.Int64).to_numpy()

    @cached_property
    def _is_outcome(self) -> Float64:
        outcome = self.rows["outcome"].cast(pl.String)
        return np.column_stack([(outcome == name).to_numpy() for name in OUTCOMES]).astype(np.float64)

    @cached_property
    def _segments(self) -> dict[tuple[object, ...], tuple[int, int]]:
        """First row and the row after the last of each segment."""
        runs = self.rows.group_by(SEGMENT, maintain_order=True).len()
        stops = runs["len"].cum_sum().to_list()
        return {
            tuple(key): (stop - length, stop)
            for *key, length, stop in zip(
                *(runs[name].to_list() for name in (*SEGMENT, "len")), stops, strict=True
            )
        }


def build_index(rows: pl.DataFrame, space: Space, settings: RetrievalSettings) -> Index:
    """Make an index of episodes whose outcome is known.

    Args:
        rows: Rows of `training_set`; those whose outcome is UNDEFINED are left out.
        space: Where they are compared.
        settings: How many neighbours, of how many trade dates, and how they count.

    Raises:
        FeaturesDiffer: The rows lack a feature of the space.
    """
    facts = rows.select("episode_id", "session", *SEGMENT, "label_end_ts", "outcome").with_row_index("row")
    kept = facts.filter(pl.col("outcome").cast(pl.String) != "UNDEFINED").sort(
        *SEGMENT, "label_end_ts", "episode_id"
    )
    x = matrix(rows, space.features, kept["row"].cast(pl.Int64).to_numpy())
    return Index(kept.drop("row"), space, space.place(x), settings)


@dataclass(frozen=True)
class Agreement:
    """What the neighbours of rows had in common with them; rows without a neighbour are left out.

    Args:
        rows: Row numbers among those asked for, rising; int64[found].
        outcome: Place of each row's outcome in ``OUTCOMES``; int64[found].
        among: Share of each outcome among the first ``k`` neighbours of each row; float64[found, ks, 3].
        base: Share of each outcome in the row's segment; float64[found, 3].
    """

    rows: Int64
    outcome: Int64
    among: Float64
    base: Float64


def agreement(
    index: Index, asked: pl.DataFrame, found: Sequence[Neighbours], ks: Sequence[int] = ()
) -> Agreement:
    """Compare outcomes of rows with those of their neighbours and of their segments.

    Args:
        index: The index that was asked.
        asked: The rows it was asked for, with their outcomes.
        found: Its answers, one a row.
        ks: How many of the nearest neighbours; all of them where empty, and where there are fewer.
    """
    outcomes = {name: k for k, name in enumerate(OUTCOMES)}
    own = np.array([outcomes.get(name, -1) for name in asked["outcome"].cast(pl.String)], np.int64)
    kept = np.flatnonzero((own >= 0) & np.array([answer.rows.size > 0 for answer in found], bool))
    base = {
        segment: index._is_outcome[first:stop].mean(axis=0)
        for segment, (first, stop) in index._segments.items()
    }
    segments = asked.select(SEGMENT).rows()
    sizes = tuple(ks) or (index.settings.neighbours,)
    among = [[index._is_outcome[found[row].rows[:k]].mean(axis=0) for k in sizes] for row in kept.tolist()]
    return Agreement(
        kept,
        own[kept],
        np.array(among, np.float64).reshape(kept.size, len(sizes), len(OUTCOMES)),
        np.array([base[segments[row]] for row in kept.tolist()], np.float64).reshape(
            kept.size, len(OUTCOMES)
        ),
    )


def lift(index: Index, asked: pl.DataFrame, found: Sequence[Neighbours]) -> float:
    """How much oftener a neighbour shares the outcome than chance has it.

    Args:
        index: The index that was asked.
        asked: The rows it was asked for, with their outcomes.
        found: Its answers, one a row.

    Returns:
        Mean share of neighbours with the outcome of the row, over the mean share of that outcome in its segment; 1 where
        neighbours tell nothing. NaN where no row had a neighbour.
    """
    both = agreement(index, asked, found)
    if not both.rows.size:
        return float("nan")
    row = np.arange(both.rows.size)
    return float(both.among[row, 0, both.outcome].sum() / both.base[row, both.outcome].sum())
