"""What the lake answers about one attempt: the past ones like it, and what the models in use say of it.

From Python, the command line and the pages alike. An answer about a trade date uses what was learned of the months before
its own, as if it were asked on that day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from footprint_assets.attempts import PLACE_COLUMNS, Attempt, Place, places
from footprint_assets.errors import ExtraMissing
from footprint_assets.gold_contracts import TRAINING_SET
from footprint_assets.learned import Learned
from footprint_assets.ml.calibrators import calibrate
from footprint_assets.ml.features import allowed
from footprint_assets.ml.heads import BIN_ENDS, HEADS
from footprint_assets.ml.out_of_fold import head_columns, retrieval_columns
from footprint_assets.ml.retrieval import OUTCOMES, Neighbours
from footprint_assets.resources import Workbench
from footprint_assets.tables import TableInput

TIMES_SHOWN = (6, 9, 12)
"""Time bins a table shows; all are in the JSON."""

_FACTS = (*PLACE_COLUMNS, "strength_signed_pts", "first_passage_share")


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
        places: Where and when each of them was made, by name.
    """

    attempt: Attempt
    month: dt.date
    like: pl.DataFrame
    chances: Mapping[str, float | None]
    effective: float
    places: Mapping[str, Place]

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
        said, ends = self._number(value), [self._number(low), self._number(high)]
        # The map and the interval are two methods: where they part by a little, a person is shown an interval of both.
        first, last = (
            None if said is None or end is None else pick(said, end)
            for pick, end in zip((min, max), ends, strict=True)
        )
        return Said(head, what, said, first, last, form)

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
    index, month = learned.index(), learned.index_month
    if index is None or month is None:
        raise learned.nothing()
    found = index.ask(attempt.row)
    rows = index.rows[found.rows.tolist()]
    facts = _facts(bench, attempt.root, rows["episode_id"].to_list())
    made = {place.episode_id: place for place in places(facts)}
    total = float(found.weight.sum()) or 1.0
    horizon = bench.settings.labels.primary_horizon_seconds
    like = (
        rows.select("episode_id", pl.col("outcome").cast(pl.String))
        .with_columns(
            pl.Series("decision", [_words(made, name) for name in rows["episode_id"]], pl.String),
            pl.Series("distance", found.distance.tolist(), pl.Float64),
            pl.Series("share", (found.weight / total).tolist(), pl.Float64),
        )
        .join(facts, on="episode_id", how="left", maintain_order="left")
        .with_columns((pl.col("first_passage_share").abs() * horizon).alias("passage_s"))
        .select("episode_id", "decision", "outcome", "passage_s", "strength_signed_pts", "distance", "share")
    )
    return Similar(attempt, month, like, _chances(found), found.effective, made)


def predict(bench: Workbench, attempt: Attempt) -> Prediction:
    """What the models in use in its month say of an attempt, and the past ones like it.

    Args:
        bench: The lake.
        attempt: The attempt.

    Raises:
        NothingLearned: There is neither a model in use nor an index by the attempt's month.
        FeaturesDiffer: A model was made for other features than the attempt's.
    """
    learned, sha256 = Learned(bench, attempt.month, attempt.root), allowed().sha256
    index, models = learned.index(), learned.champions()
    said = [attempt.row]
    used: dict[str, dt.date] = {}
    for head in HEADS.values():
        in_use = models.get(head.name)
        try:
            columns = head_columns(head, in_use.model if in_use else None, attempt.row, sha256)
        except ExtraMissing:  # the past setups answer alone, as they do where no model was trained
            in_use, columns = None, head_columns(head, None, attempt.row, sha256)
        said.append(columns)
        if in_use:
            used[head.name] = in_use.month
    if not used and index is None:
        raise learned.nothing()
    said.append(retrieval_columns(index, attempt.row, sha256))
    row = calibrate(
        pl.concat(said, how="horizontal"), learned.calibrators(), sha256, bench.settings.judging
    ).drop(attempt.row.columns)
    return Prediction(attempt, used, row.row(0, named=True), bench.settings.labels.primary_horizon_seconds)


def _chances(found: Neighbours) -> dict[str, float | None]:
    known = (None if chance != chance else chance for chance in found.chances.tolist())
    return dict(zip(OUTCOMES, known, strict=True))


def _facts(bench: Workbench, root: str, episodes: Sequence[str]) -> pl.DataFrame:
    """Where and when attempts were made, how far and how soon price went, by name, which begins with the trade date."""
    months = sorted({dt.date.fromisoformat(name[:10]).replace(day=1) for name in episodes})
    table = TableInput(bench.lake, TRAINING_SET, tuple(months), optional=True)
    return table.frame(root, _FACTS, pl.col("episode_id").is_in(list(episodes)))


def _words(made: Mapping[str, Place], name: str) -> str:
    """An attempt as a person names it; its name where its row is not in the lake any more."""
    return made[name].words if name in made else name


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
