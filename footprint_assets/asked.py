"""What the lake answers about one attempt: the past ones like it, and what the models in use say of it.

From Python, the command line and the pages alike. An answer about a trade date uses what was learned of the months before
its own, as if it were asked on that day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from footprint_assets.attempts import Attempt, Place
from footprint_assets.errors import ExtraMissing
from footprint_assets.learned import Learned, NothingLearned
from footprint_assets.ml.calibrators import calibrate
from footprint_assets.ml.features import allowed
from footprint_assets.ml.heads import BIN_ENDS, HEADS
from footprint_assets.ml.retrieval import OUTCOMES, Neighbours
from footprint_assets.resources import Workbench
from footprint_assets.tables import TableInput

TRAINING_SET = "ml.future.training_set"
TIMES_SHOWN = (6, 9, 12)
"""Time bins a table shows; all are in the JSON."""

_FACTS = ("episode_id", "strength_signed_pts", "first_passage_share")


@dataclass(frozen=True)
class Similar:
    """The attempts like one.

    Args:
        attempt: The one.
        month: Month of the index that was asked.
        like: The nearest first: ``episode_id``, ``decision`` (text), ``outcome``, ``passage_s`` (time to the first barrier,
            s, null where none came), ``strength_signed_pts``, ``distance`` in the space, ``share`` of the weight of all.
        chances: Of each outcome among them, drawn to the base rate; ``None`` where nothing was over by then.
        effective: Number of equal neighbours that would say as much.
    """

    attempt: Attempt
    month: dt.date
    like: pl.DataFrame
    chances: Mapping[str, float | None]
    effective: float

    def as_json(self) -> dict[str, object]:
        """Everything as JSON values."""
        return _named(self.attempt) | {
            "index_month": f"{self.month:%Y-%m}",
            "chances": dict(self.chances),
            "effective_neighbours": self.effective,
            "neighbours": self.like.to_dicts(),
        }

    def cells(self) -> tuple[list[str], list[list[object]]]:
        """Headings and rows of a table for people."""
        headings = ["", "attempt", "outcome", "after [s]", "strength [pts]", "distance", "weight [%]"]
        rows: list[list[object]] = [
            [
                number,
                row["decision"],
                row["outcome"],
                _text(row["passage_s"], ".0f"),
                _text(row["strength_signed_pts"], "+.2f"),
                f"{row['distance']:.3f}",
                f"{100 * row['share']:.1f}",
            ]
            for number, row in enumerate(self.like.iter_rows(named=True), start=1)
        ]
        return headings, rows

    @property
    def words(self) -> str:
        """What they say together, in one line."""
        chances = ", ".join(
            f"{name} {_text(chance, '.0%') or 'not known'}" for name, chance in self.chances.items()
        )
        return f"{self.like.height} attempts before {self.month:%Y-%m}, worth {self.effective:.1f} equal ones: {chances}"


@dataclass(frozen=True)
class Said:
    """One number about an attempt.

    Args:
        head: Who says it.
        what: What it is.
        value: The number; ``None`` where nothing is known.
        low: Lower end of its interval; ``None`` without one.
        high: Upper end.
        form: How it is written.
    """

    head: str
    what: str
    value: float | None
    low: float | None = None
    high: float | None = None
    form: str = ".1%"

    def cells(self) -> tuple[str, str]:
        """The number and its interval as text."""
        ends = [_text(end, self.form) for end in (self.low, self.high)]
        return _text(self.value, self.form), f"{ends[0]} … {ends[1]}" if all(ends) else ""


@dataclass(frozen=True)
class Prediction:
    """What the models in use say of an attempt.

    Args:
        attempt: The attempt.
        models: Month of the model in use, by head; heads without one are not named.
        row: What is said, as columns of `predictions`.
        horizon_s: Horizon of the primary label, s.
    """

    attempt: Attempt
    models: Mapping[str, dt.date]
    row: Mapping[str, object]
    horizon_s: int

    def as_json(self) -> dict[str, object]:
        """Everything as JSON values."""
        return _named(self.attempt) | {
            "models": {head: f"{month:%Y-%m}" for head, month in self.models.items()},
            "predictions": dict(self.row),
        }

    def said(self) -> Iterator[Said]:
        """The numbers for people, calibrated."""
        source = str(self.row["chances_from"] or "")
        for outcome in OUTCOMES:
            yield Said(source, outcome.lower(), self._number(f"chance_{outcome.lower()}"))
        yield self._with_ends("direction", "break, if decided", "p_break", "p_break_low", "p_break_high")
        yield self._with_ends(
            "strength", "strength [pts]", "strength_q50_pts", "strength_low_pts", "strength_high_pts", "+.2f"
        )
        for side in ("break", "bounce"):
            for number in TIMES_SHOWN:
                what = f"{side} within {BIN_ENDS[number - 1] * self.horizon_s:.0f} s"
                yield Said("time_to_threshold", what, self._number(f"p_{side}_by_b{number:02d}"))
        for outcome in OUTCOMES:
            yield Said("retrieval", outcome.lower(), self._number(f"retrieval_p_{outcome.lower()}"))

    def cells(self) -> tuple[list[str], list[list[object]]]:
        """Headings and rows of a table for people; what nothing is known of is left out."""
        rows: list[list[object]] = [
            [
                said.head,
                said.what,
                *said.cells(),
                f"{made:%Y-%m}" if (made := self.models.get(said.head)) else "",
            ]
            for said in self.said()
            if said.value is not None
        ]
        return ["by", "what", "said", "interval", "model of"], rows

    def _with_ends(self, head: str, what: str, value: str, low: str, high: str, form: str = ".1%") -> Said:
        return Said(head, what, *(self._number(name) for name in (value, low, high)), form)

    def _number(self, column: str) -> float | None:
        value = self.row.get(column)
        return float(value) if isinstance(value, (int, float)) else None


def similar(bench: Workbench, attempt: Attempt) -> Similar:
    """The past attempts like one: over before it was decided, of other trade dates.

    Args:
        bench: The lake.
        attempt: The one.

    Raises:
        NothingLearned: No index was made by the attempt's month.
        FeaturesDiffer: The index was made for other features than the attempt's.
    """
    learned = Learned(bench, attempt.month, attempt.root)
    index = learned.index()
    found = index.ask(attempt.row)
    rows = index.rows[found.rows.tolist()]
    facts = _facts(bench, attempt.root, rows["episode_id"].to_list())
    total = float(found.weight.sum()) or 1.0
    horizon = bench.settings.labels.primary_horizon_seconds
    like = (
        rows.select("episode_id", pl.col("outcome").cast(pl.String))
        .with_columns(
            pl.Series("decision", [Place.of(name).words for name in rows["episode_id"]], pl.String),
            pl.Series("distance", found.distance.tolist(), pl.Float64),
            pl.Series("share", (found.weight / total).tolist(), pl.Float64),
        )
        .join(facts, on="episode_id", how="left", maintain_order="left")
        .with_columns((pl.col("first_passage_share").abs() * horizon).alias("passage_s"))
        .select("episode_id", "decision", "outcome", "passage_s", "strength_signed_pts", "distance", "share")
    )
    return Similar(attempt, learned.index_month, like, _chances(found), found.effective)


def predict(bench: Workbench, attempt: Attempt) -> Prediction:
    """What the models in use in its month say of an attempt, and the past ones like it.

    Args:
        bench: The lake.
        attempt: The attempt.

    Raises:
        NothingLearned: There is neither a model in use nor an index by the attempt's month.
        FeaturesDiffer: A model was made for other features than the attempt's.
    """
    learned, features = Learned(bench, attempt.month, attempt.root), allowed()
    champions = learned.champions()
    said = [attempt.row.select("episode_id", "session", "session_date", "level_type", "decision_ts")]
    used = {}
    for head in HEADS.values():
        made = champions.get(head.name)
        try:
            columns = made.model.predict(attempt.row, features.sha256) if made else None
        except ExtraMissing:  # the past setups answer alone, as they do for a table
            columns = None
        if made and columns is not None:
            used[head.name] = made.month
        said.append(columns if columns is not None else _unknown(head.columns))
    try:
        index = learned.index()
        found = index.ask(attempt.row)
        said.append(_retrieval(found))
    except NothingLearned:
        if not used:
            raise
        said.append(_unknown((*_RETRIEVAL, "retrieval_effective")))
    row = calibrate(
        pl.concat(said, how="horizontal"), learned.calibrators(), features.sha256, bench.settings.judging
    )
    horizon = bench.settings.labels.primary_horizon_seconds
    return Prediction(attempt, used, _plain(row), horizon)


_RETRIEVAL = tuple(f"retrieval_p_{outcome.lower()}" for outcome in OUTCOMES)


def _unknown(columns: Sequence[str]) -> pl.DataFrame:
    return pl.DataFrame({name: [None] for name in columns}, schema=dict.fromkeys(columns, pl.Float64))


def _retrieval(found: Neighbours) -> pl.DataFrame:
    chances = zip(_RETRIEVAL, found.chances.tolist(), strict=True)
    return pl.DataFrame({**dict(chances), "retrieval_effective": found.effective}).fill_nan(None)


def _plain(row: pl.DataFrame) -> dict[str, object]:
    """Its numbers and words, without what tells the attempt."""
    (values,) = row.drop("session", "session_date", "level_type", "decision_ts", "episode_id").to_dicts()
    return values


def _chances(found: Neighbours) -> dict[str, float | None]:
    known = (None if chance != chance else chance for chance in found.chances.tolist())
    return dict(zip(OUTCOMES, known, strict=True))


def _facts(bench: Workbench, root: str, episodes: Sequence[str]) -> pl.DataFrame:
    """How far and how soon price went, of attempts by name."""
    months = sorted({Place.of(name).trade_date.replace(day=1) for name in episodes})
    table = TableInput(bench.lake, TRAINING_SET, tuple(months), optional=True)
    return table.frame(root, _FACTS, pl.col("episode_id").is_in(list(episodes)))


def _named(attempt: Attempt) -> dict[str, object]:
    place = attempt.place
    return {
        "episode_id": place.episode_id,
        "session_date": place.trade_date.isoformat(),
        "contract": place.contract,
        "level": place.level,
        "level_price": attempt.level_price,
        "decision_et": place.clock,
        "approach": attempt.side,
    }


def _text(value: object, form: str) -> str:
    return format(float(value), form) if isinstance(value, (int, float)) else ""
