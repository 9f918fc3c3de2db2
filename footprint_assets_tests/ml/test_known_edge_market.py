"""The promise of the whole of learning: what is there to know is found, and where there is nothing, nothing is claimed.

Rows of gold drawn from a known law go the way of the month tables: rows to learn from, four heads, neighbours, what they say of
trade dates they have not seen, calibrators fitted on some of those, and the reports of the rest.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

pytest.importorskip("lightgbm", reason="boosted trees come with the [ml] extra")

from footprint_assets import calendar as cme
from footprint_assets.ml.calibration_report import calibration_report
from footprint_assets.ml.calibrators import calibrate, fit_calibrators
from footprint_assets.ml.features import allowed
from footprint_assets.ml.heads import HEADS, train
from footprint_assets.ml.retrieval import OUTCOMES, Index, build_index, fit_space
from footprint_assets.ml.retrieval_report import retrieval_report
from footprint_assets.ml.scores import auc
from footprint_assets.ml.training import training_rows
from footprint_assets.sample.edge import KNOWN_EDGE, NOTHING, Edge
from footprint_assets.sample.known_edge import COPIES, SHOWN_AS, gold_rows
from footprint_assets.settings import JudgingSettings, LabelSettings, ModelSettings, RetrievalSettings

TELLING = {*SHOWN_AS.values(), *(name for names in COPIES.values() for name in names)}
FEATURES = allowed().only({*TELLING, *allowed().names[::15]})
"""What tells something, and ten times as many that tell nothing."""
DAYS = [
    day
    for day in cme.sessions(dt.date(2023, 1, 3), dt.date(2024, 6, 28))
    if cme.session(day).rth_open_ns is not None
]
LEARNED, CALIBRATED, JUDGED = 160, 50, 90
A_DAY = 60
SETTINGS = ModelSettings(max_rounds=150, learning_rate=0.08, feature_fraction=0.5, hazard_features=12)
JUDGING = JudgingSettings()


@dataclass(frozen=True)
class Judged:
    """A market, learned and judged.

    Args:
        report: Rows of the two reports.
        rows: The judged episodes with what was said of them, calibrated, and the chances they were drawn from.
    """

    report: pl.DataFrame
    rows: pl.DataFrame

    def of(self, subject: str, measure: str) -> dict[str, float]:
        """A measure over all rows."""
        return self.report.row(
            by_predicate=(pl.col("subject") == subject)
            & (pl.col("measure") == measure)
            & (pl.col("split") == "all"),
            named=True,
        )


def judged(edge: Edge) -> Judged:
    """Learn from the first trade dates, calibrate on the next, judge by the last."""
    drawn = [
        gold_rows(day, edge=edge, episodes=A_DAY, features=FEATURES.names)
        for day in DAYS[: LEARNED + CALIBRATED + JUDGED]
    ]
    rows = training_rows(pl.concat([one.signals for one in drawn]), FEATURES, LabelSettings())
    rows = rows.join(
        pl.concat([one.chances for one in drawn]).rename(
            {"p_tradeable": "true_tradeable", "p_break": "true_break"}
        ),
        on="episode_id",
        maintain_order="left",
    )
    ends = [DAYS[LEARNED], DAYS[LEARNED + CALIBRATED]]
    day = pl.col("session_date")
    known = rows.filter(day < ends[0])
    models = [train(head, known, FEATURES, SETTINGS) for head in HEADS.values()]
    gain = next(model for model in models if model.head == "direction").gain()
    index = build_index(rows.filter(day < ends[1]), fit_space(known, FEATURES, gain), RetrievalSettings())
    said = out_of_fold(rows.filter(day >= ends[0]), models, index)
    before, after = said.filter(day < ends[1]), said.filter(day >= ends[1])
    calibrators = fit_calibrators(before, FEATURES.sha256, JUDGING)
    predictions = calibrate(after, calibrators, FEATURES.sha256, JUDGING)
    reports = calibration_report(predictions, JUDGING), retrieval_report(after, index, JUDGING)
    return Judged(pl.concat(reports), predictions)


def out_of_fold(rows: pl.DataFrame, models: list, index: Index) -> pl.DataFrame:
    """Rows with what every head and the neighbours say of them."""
    found = index.ask_all(rows)
    chances = np.array([answer.chances for answer in found])
    said = [model.predict(rows, FEATURES.sha256) for model in models]
    neighbours = {f"retrieval_p_{name.lower()}": chances[:, k] for k, name in enumerate(OUTCOMES)}
    return pl.concat([rows, *said], how="horizontal").with_columns(
        pl.Series("retrieval_effective", [answer.effective for answer in found]),
        *(pl.Series(name, values) for name, values in neighbours.items()),
    )


@pytest.fixture(scope="module")
def known() -> Judged:
    return judged(KNOWN_EDGE)


@pytest.fixture(scope="module")
def null() -> Judged:
    return judged(NOTHING)


@pytest.mark.parametrize(
    ("said", "truth", "outcomes"),
    [("p_break", "true_break", ("BREAK",)), ("p_tradeable", "true_tradeable", ("BREAK", "BOUNCE"))],
)
def test_models_tell_apart_nearly_as_well_as_who_drew_the_outcomes(
    known: Judged, said: str, truth: str, outcomes
) -> None:
    asked = known.rows.filter(
        pl.col("outcome").is_in(["BREAK", "BOUNCE"] if said == "p_break" else list(OUTCOMES))
    )
    y = asked["outcome"].is_in(outcomes).cast(pl.Int64).to_numpy()
    oracle = auc(y, asked[truth].to_numpy())
    assert oracle > 0.7
    assert known.of(said, "auc")["value"] > oracle - 0.02
    assert known.of(said, "auc")["value"] > known.of(said, "auc")["null_high"]


@pytest.mark.parametrize("said", ["p_break", "p_tradeable"])
def test_probabilities_mean_what_they_say(known: Judged, null: Judged, said: str) -> None:
    for market in (known, null):
        error = market.of(said, "calibration_error")
        assert error["value"] <= error["null_high"]


def test_neighbours_share_the_outcome_where_there_is_something_to_share(known: Judged, null: Judged) -> None:
    lift = known.of("retrieval", "lift")
    assert lift["value"] > lift["null_high"]
    nothing = null.of("retrieval", "lift")
    assert nothing["null_low"] <= nothing["value"] <= nothing["null_high"]


def test_nothing_is_told_apart_where_nothing_is_to_be_known(null: Judged) -> None:
    told = null.report.filter(measure="auc", split="all")
    assert told.height >= 6
    assert told.filter("is_beyond_null").is_empty()
