"""The tables that judge the models: what a month reads, what it says, and what it leaves alone."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from footprint_assets import contracts
from footprint_assets.assets import judging
from footprint_assets.assets.judging import (
    CALIBRATOR,
    CHAMPION,
    MODEL_CARD,
    PREDICTIONS,
    RETRIEVAL_TABLES,
    TABLES,
    champion_of,
)
from footprint_assets.assets.learning import FEATURES_NOTE, INDEX, SPACE, embargo
from footprint_assets.gold_contracts import MODELS, OUT_OF_FOLD, TRAINING_SET
from footprint_assets.lake import Lake, Lineage
from footprint_assets.ml import measures
from footprint_assets.ml.artefacts import model_rows
from footprint_assets.ml.features import FeatureList, FeaturesDiffer, allowed
from footprint_assets.ml.heads import HEADS, train
from footprint_assets.months import MonthScope, month_of, months_before, sessions_of
from footprint_assets.resources import Workbench
from footprint_assets.settings import JudgingSettings, ModelSettings, Settings
from footprint_assets.tables import Staged, Unchanged
from footprint_assets_tests.ml.gold_lake import FEATURES as PLANTED
from footprint_assets_tests.ml.known_answers import out_of_fold, without_trees
from footprint_assets_tests.ml.known_edge import FEATURES, NS_PER_SECOND
from footprint_assets_tests.small_market import rows, settings_of

BY_KEY = {table.key: table for table in (*RETRIEVAL_TABLES, *TABLES)}
FEBRUARY, MARCH, APRIL, MAY = MONTHS = tuple(map(month_of, ("2024-02", "2024-03", "2024-04", "2024-05")))
DAYS = 8
"""Trade dates of each month that have rows."""
JUDGING = JudgingSettings(
    min_rows=100, min_sessions=5, min_segment_rows=40, min_segment_sessions=4, draws=30, promotion_draws=200
)
TREES = ModelSettings(max_rounds=40, min_sessions=5, feature_fraction=1.0, patience=5, embargo_sessions=1)


def episodes(month: dt.date, edge: float = 2.0) -> pl.DataFrame:
    """Rows of a month with what honest models say of them, in contract types but for features nobody planted."""
    days = sessions_of(month)[:DAYS]
    made = out_of_fold(DAYS, 30, seed=month.month, edge=edge)
    day = made["session"].cast(pl.Int64)
    numbers = pl.Series([(date - dt.date(2024, 1, 1)).days for date in days])
    at = numbers.gather(day)
    shift = (at - day) * 86_400 * NS_PER_SECOND
    planted = dict(zip(FEATURES.names, PLANTED, strict=True))
    return made.rename(planted).with_columns(
        episode_id=pl.Series([f"{days[d]}_ESM4_PM_HIGH_{k}" for k, d in enumerate(day)]),
        session_date=pl.Series(days).gather(day),
        session=at.cast(pl.Int32),
        symbol=pl.lit("ES"),
        contract=pl.lit("ESM4"),
        decision_ts=pl.col("decision_ts") + shift,
        label_end_ts=pl.col("label_end_ts") + shift,
        label_complete=pl.lit(value=True),
    )


def publish(
    lake: Lake, key: str, month: dt.date, frame: pl.DataFrame | None, made_by: str = allowed().sha256
) -> None:
    """Put rows in the place of a table's month, whatever was there."""
    schema = contracts.load(key).polars_schema
    with lake.stage(key, month, lineage=Lineage(), schema=contracts.load(key).arrow_schema) as stage:
        stage.declare("ES")
        if frame is not None:
            known = [
                (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
                for name, dtype in schema.items()
            ]
            order = contracts.load(key).sort
            stage.write("ES", frame.select(known).sort(order))
        stage.count("ES", notes={FEATURES_NOTE: made_by})
        stage.publish()


def publish_episodes(lake: Lake, month: dt.date, frame: pl.DataFrame) -> None:
    publish(lake, TRAINING_SET, month, frame)
    publish(lake, OUT_OF_FOLD, month, frame)


def trained(month: dt.date, edge: float) -> pl.DataFrame:
    """The direction model of a month, learned of the months before with a planted edge."""
    features = FeatureList(PLANTED, FEATURES.families, allowed().sha256)
    known = pl.concat([episodes(earlier, edge) for earlier in MONTHS if earlier < month])
    return model_rows(train(HEADS["direction"], known, features, TREES)).with_columns(
        month=pl.lit(month),
        symbol=pl.lit("ES"),
        first_session_date=pl.lit(known["session_date"].min()),
        last_session_date=pl.lit(known["session_date"].max()),
    )


def make(settings: Settings, key: str, month: dt.date) -> Staged | Unchanged:
    """Compute and publish a table of a month without Dagster."""
    scope, table = MonthScope(month, Workbench(settings)), BY_KEY[key]
    made = table.stage(scope, table.open_inputs(scope), "run")
    if isinstance(made, Staged):
        made.stage.publish()
    return made


def fill(root: Path, models: Mapping[dt.date, pl.DataFrame], *, trees: bool) -> Path:
    """A lake with what was said of four months, and everything that judges the last of them."""
    settings = settings_of(root, judging=JUDGING, models=TREES)
    lake = Lake(settings.lake_root)
    for month in MONTHS:
        made = episodes(month)
        publish_episodes(lake, month, made if trees else without_trees(made))
        for head, key in MODELS.items():
            publish(lake, key, month, models.get(month) if head == "direction" else None)
        for key in (CALIBRATOR, PREDICTIONS, CHAMPION) if trees and month != MAY else ():
            make(settings, key, month)
    for key in BY_KEY:
        make(settings, key, MAY)
    return root


@pytest.fixture(scope="module")
def with_trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four months; the model of March learned of no edge, those of April and May of the planted one."""
    pytest.importorskip("lightgbm", reason="boosted trees come with the [ml] extra")
    models = {month: trained(month, edge) for month, edge in ((MARCH, 0.0), (APRIL, 2.0), (MAY, 2.0))}
    return fill(tmp_path_factory.mktemp("trees") / "market", models, trees=True)


@pytest.fixture
def judged(with_trees: Path, tmp_path: Path) -> Settings:
    """A copy of it, to be changed."""
    shutil.copytree(with_trees, tmp_path / "market")
    return settings_of(tmp_path / "market", judging=JUDGING, models=TREES)


def read(settings: Settings, key: str, month: dt.date) -> pl.DataFrame:
    return rows(Lake(settings.lake_root), key, month)["ES"]


def test_the_maps_of_a_month_read_earlier_months_alone(judged: Settings) -> None:
    before = read(judged, CALIBRATOR, MAY)
    known = before.row(by_predicate=pl.col("name") == "p_break", named=True)
    assert known["method"] == "platt"
    assert known["sessions"] == 3 * DAYS
    assert known["last_session_date"] < MAY
    lake, turned = Lake(judged.lake_root), episodes(MAY).with_columns(outcome=pl.lit("BOUNCE"))

    publish_episodes(lake, MAY, turned)
    assert isinstance(make(judged, CALIBRATOR, MAY), Unchanged)

    publish_episodes(lake, APRIL, episodes(APRIL).with_columns(p_break=1 - pl.col("p_break")))
    make(judged, CALIBRATOR, MAY)
    assert not read(judged, CALIBRATOR, MAY).equals(before)


def test_the_first_months_have_maps_that_change_nothing_and_say_why(judged: Settings) -> None:
    first = read(judged, CALIBRATOR, FEBRUARY)
    assert set(first["method"]) == {"identity"}
    assert set(first["reason"]) == {"no earlier predictions"}
    said = read(judged, PREDICTIONS, FEBRUARY)
    assert said["p_break"].equals(said["p_break_raw"])


def test_predictions_are_the_rows_of_the_month_with_honest_chances(judged: Settings) -> None:
    said = read(judged, PREDICTIONS, MAY)
    assert said["episode_id"].equals(read(judged, OUT_OF_FOLD, MAY)["episode_id"])
    three = said.select("chance_break", "chance_bounce", "chance_chop").sum_horizontal()
    assert three.to_numpy() == pytest.approx(1.0)
    assert (said["p_break_low"] <= said["p_break_high"]).all()
    assert not said["p_break"].equals(said["p_break_raw"])


def test_a_space_counts_features_by_the_gain_of_the_month_s_model(judged: Settings) -> None:
    space = read(judged, SPACE, MAY)
    assert set(space["weighted_by"]) == {"gain"}
    assert set(space["name"]) <= set(PLANTED)
    heaviest = space.sort("weight", descending=True)["name"].to_list()[:2]
    assert set(heaviest) == set(PLANTED[:2])
    index = read(judged, INDEX, MAY)
    assert index["label_end_ts"].max() < episodes(MAY)["decision_ts"].cast(index["label_end_ts"].dtype).min()
    assert index["vector"].list.len().unique().to_list() == [space.height]
    for key in (SPACE, INDEX):
        make(judged, key, FEBRUARY)
        assert read(judged, key, FEBRUARY).height == 0


def test_neighbours_and_trees_are_found_to_know_something(judged: Settings) -> None:
    lift = read(judged, judging.RETRIEVAL_REPORT, MAY).filter(measure="lift", split="all").row(0, named=True)
    assert lift["is_beyond_null"]
    auc = read(judged, judging.CALIBRATION_REPORT, MAY).filter(subject="p_break", measure="auc", split="all")
    assert auc["is_beyond_null"].to_list() == [True]
    assert auc["sessions"].to_list() == [len(MONTHS) * DAYS]
    worth = read(judged, judging.ABLATION, MAY).filter(measure="permutation", split="family")
    best = worth.sort("value", descending=True)["segment"][0]
    assert best in {PLANTED[0].removeprefix("bar5s_").partition("_")[0]}
    quiet = read(judged, judging.DRIFT_REPORT, MAY).filter(
        subject="features", measure="share_moved", split="all"
    )
    assert quiet["is_beyond_null"].to_list() == [False]


def test_reports_read_as_many_months_as_the_settings_say_their_own_among_them(judged: Settings) -> None:
    scope = MonthScope(MAY, Workbench(judged))
    opened = {key: BY_KEY[key].open_inputs(scope) for key in (CALIBRATOR, judging.CALIBRATION_REPORT)}
    assert opened[CALIBRATOR]["said"].dates == months_before(MAY, JUDGING.window_months)
    before = opened[judging.CALIBRATION_REPORT]["before"].dates
    assert (*before, MAY) == (*months_before(MAY, JUDGING.window_months - 1), MAY)


def test_a_head_trained_again_without_a_family_reads_no_trade_date_of_the_embargo(
    judged: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = TREES.model_copy(update={"embargo_sessions": 15})
    scope = MonthScope(MAY, Workbench(judged.model_copy(update={"models": models})))
    taught: list[pl.DataFrame] = []
    monkeypatch.setattr(
        judging,
        "worth_of_families",
        lambda _model, _rows, earlier, *_: taught.append(earlier) or measures.table(()),
    )
    list(BY_KEY[judging.ABLATION].function(scope, **BY_KEY[judging.ABLATION].open_inputs(scope)))
    known = {day for month in MONTHS[:-1] for day in sessions_of(month)[:DAYS]}
    assert set(taught[0]["session_date"]) == known - set(embargo(scope)) != known


def test_the_champion_changes_only_for_a_better_one(judged: Settings) -> None:
    history = {
        month: read(judged, CHAMPION, month).row(by_predicate=pl.col("head") == "direction", named=True)
        for month in MONTHS
    }
    in_use = [history[month]["champion_month"] for month in MONTHS]
    assert in_use == [None, MARCH, APRIL, APRIL]
    assert history[FEBRUARY]["reason"] == "no model was trained for the month"
    assert history[MARCH]["reason"] == "the first model"
    assert history[APRIL]["p_value"] < 0.05
    assert history[MAY]["is_promoted"] is False
    lake = Lake(judged.lake_root)
    publish(lake, MODELS["direction"], MARCH, None)
    assert isinstance(make(judged, CHAMPION, MAY), Unchanged)  # it has its model itself
    newest = champion_of(lake, "direction", "ES")
    assert newest is not None
    assert (newest["month"], newest["champion_month"]) == (MAY, APRIL)
    assert champion_of(lake, "direction", "NQ") is None
    assert champion_of(lake, "strength", "ES")["champion_month"] is None


def test_a_card_a_head_says_what_is_in_use(judged: Settings) -> None:
    cards = read(judged, MODEL_CARD, MAY)
    assert cards["head"].to_list() == list(HEADS)
    card = json.loads(cards.filter(head="direction")["card_json"].item())
    assert card["champion"]["champion_month"] == str(APRIL)
    assert "champion_texts" not in card["champion"]
    assert card["data"]["sessions"] == 3 * DAYS
    assert "the model of 2024-04" in cards.filter(head="direction")["card_markdown"].item()
    assert json.loads(cards.filter(head="strength")["card_json"].item())["is_trained"] is False


def test_artefacts_of_another_list_of_features_are_refused_and_nothing_is_overwritten(
    judged: Settings,
) -> None:
    before = read(judged, PREDICTIONS, MAY)
    other = read(judged, CALIBRATOR, MAY).with_columns(features_sha256=pl.lit("cd" * 32))
    publish(Lake(judged.lake_root), CALIBRATOR, MAY, other)
    with pytest.raises(FeaturesDiffer, match="another list of features"):
        make(judged, PREDICTIONS, MAY)
    assert read(judged, PREDICTIONS, MAY).equals(before)


@pytest.mark.parametrize(("key", "month"), [(CALIBRATOR, APRIL), (PREDICTIONS, MAY)])
def test_what_was_said_by_models_of_another_list_of_features_is_not_calibrated(
    judged: Settings, key: str, month: dt.date
) -> None:
    before = read(judged, key, MAY)
    publish(Lake(judged.lake_root), OUT_OF_FOLD, month, episodes(month, edge=1.0), "cd" * 32)
    with pytest.raises(FeaturesDiffer, match=f"learn --start {month:%Y-%m}"):
        make(judged, key, MAY)
    assert read(judged, key, MAY).equals(before)


def test_every_table_is_the_same_when_it_is_made_again(judged: Settings) -> None:
    scope = MonthScope(MAY, Workbench(judged))
    for key, table in BY_KEY.items():
        (again,) = (batch.frame for batch in table.function(scope, **table.open_inputs(scope)))
        published = read(judged, key, MAY)
        assert again is not None
        assert again.select(published.columns).cast(dict(published.schema)).equals(published), key


def test_without_trees_every_table_is_there_and_the_neighbours_answer(tmp_path: Path) -> None:
    settings = settings_of(fill(tmp_path / "market", {}, trees=False), judging=JUDGING, models=TREES)
    said = read(settings, PREDICTIONS, MAY)
    assert set(said["chances_from"]) == {"retrieval"}
    assert said["p_break"].null_count() == said.height
    assert np.isfinite(said["retrieval_p_break_if_decided_low"].to_numpy()).all()
    assert set(read(settings, SPACE, MAY)["weighted_by"]) == {"families alike"}
    assert read(settings, judging.ABLATION, MAY)["value"].null_count() > 0
    assert read(settings, CHAMPION, MAY)["champion_month"].null_count() == len(HEADS)
    assert "the neighbours alone" in read(settings, MODEL_CARD, MAY)["card_markdown"][0]
