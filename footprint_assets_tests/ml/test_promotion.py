"""Who is champion, what families are worth, and what a card says: with models of a planted edge."""

import dataclasses
import datetime as dt
import json

import numpy as np
import polars as pl
import pytest

from footprint_assets.ml.ablation import ablation
from footprint_assets.ml.calibration_report import calibration_report
from footprint_assets.ml.calibrators import calibrate, fit_calibrators
from footprint_assets.ml.card import Judged, card, card_json, card_markdown, learned_from
from footprint_assets.ml.drift_report import drift_report
from footprint_assets.ml.heads import BIN_ENDS, HEADS, Model, train
from footprint_assets.ml.measures import Measure, table
from footprint_assets.ml.promotion import SCHEMA, Candidate, _compared, decide, in_use, row_losses
from footprint_assets.settings import JudgingSettings, LabelSettings, ModelSettings
from footprint_assets_tests.ml.known_answers import SHA, out_of_fold
from footprint_assets_tests.ml.known_edge import FEATURES, rows

JUDGING = JudgingSettings(draws=100, promotion_draws=300, retrained_families=1)
MODELS = ModelSettings(max_rounds=40, feature_fraction=1.0, patience=5, hazard_features=12)
MAY, JUNE = dt.date(2024, 5, 1), dt.date(2024, 6, 1)
EARLY = dt.date(2023, 12, 29)
SETS = {"level": FEATURES.names[:4], "market": FEATURES.names[4:]}


@pytest.fixture(scope="module")
def known():
    return rows()


@pytest.fixture(scope="module")
def judged():
    return rows(sessions=30, seed=1)


@pytest.fixture(scope="module")
def knowing(known):
    pytest.importorskip("lightgbm", reason="boosted trees come with the [ml] extra")
    return train(HEADS["direction"], known, FEATURES, MODELS)


@pytest.fixture(scope="module")
def guessing():
    """A model that learned of a market without an edge."""
    pytest.importorskip("lightgbm", reason="boosted trees come with the [ml] extra")
    return train(HEADS["direction"], rows(edge=0.0), FEATURES, MODELS)


def candidate(model, month=JUNE, **other):
    known = {"month": month, "model": model, "last_session_date": EARLY, "sha256": model.sha256}
    return Candidate(**(known | other))


def verdict(champion, challenger, judged, sha=SHA):
    return decide("direction", champion, challenger, judged, sha, JUDGING)


def test_the_first_model_is_champion(knowing, judged):
    row = verdict(None, candidate(knowing), judged)
    assert (row["champion_month"], row["is_promoted"], row["reason"]) == (JUNE, True, "the first model")
    assert row["challenger_loss"] < np.log(2)
    assert set(row) <= set(SCHEMA)


def test_a_better_challenger_takes_its_place(knowing, guessing, judged):
    row = verdict(candidate(guessing, MAY), candidate(knowing), judged)
    assert (row["champion_month"], row["is_promoted"]) == (JUNE, True)
    assert row["difference"] == pytest.approx(row["challenger_loss"] - row["champion_loss"])
    assert row["difference_high"] < 0
    assert row["p_value"] < 0.05


def test_a_worse_or_equal_challenger_does_not(knowing, guessing, judged):
    for challenger in (guessing, knowing):
        row = verdict(candidate(knowing, MAY), candidate(challenger), judged)
        assert (row["champion_month"], row["is_promoted"]) == (MAY, False)
        assert row["reason"] == "not better than the champion"
        assert row["p_value"] > 0.9


def test_better_by_chance_is_not_enough(knowing, guessing, judged):
    few = judged.filter(pl.col("session") < 5).group_by("session", maintain_order=True).head(14)
    row = verdict(candidate(guessing, MAY), candidate(knowing), few)
    assert (row["champion_month"], row["reason"]) == (MAY, "too few rows to compare")
    less = np.random.default_rng(5).normal(-0.02, 1.0, 300)
    row = _compared(candidate(guessing, MAY), candidate(knowing), less, np.repeat(np.arange(30), 10), JUDGING)
    assert row["difference"] < 0
    assert 0.05 < row["p_value"] < 0.95
    assert (row["champion_month"], row["is_promoted"]) == (MAY, False)


def test_a_challenger_that_failed_a_check_is_not_promoted_whatever_its_loss(knowing, guessing, judged):
    champion = candidate(guessing, MAY)
    seen = candidate(knowing, last_session_date=judged["session_date"].min())
    tampered = candidate(knowing, sha256="ab" * 32)
    other = candidate(dataclasses.replace(knowing, features_sha256="cd" * 32))
    for challenger, reason in (
        (seen, "it has learned from the trade dates it would be judged on"),
        (tampered, "its text is not the one that was published"),
        (other, "it reads another list of features"),
    ):
        for held in (champion, None):
            row = verdict(held, challenger, judged)
            assert row["is_promoted"] is False
            assert row["reason"] == reason
            assert row["champion_month"] == (MAY if held else None)


def test_a_champion_of_another_list_of_features_gives_way(knowing, guessing, judged):
    old = candidate(dataclasses.replace(guessing, features_sha256="cd" * 32), MAY)
    row = verdict(old, candidate(knowing), judged)
    assert (row["champion_month"], row["reason"]) == (JUNE, "the champion reads another list of features")


def test_a_month_without_a_model_keeps_the_champion(knowing, judged):
    assert verdict(candidate(knowing, MAY), None, judged)["champion_month"] == MAY
    row = verdict(None, None, judged)
    assert (row["champion_month"], row["reason"]) == (None, "no model was trained for the month")
    assert decide("direction", None, None, judged.head(0), SHA, JUDGING)["rows"] == 0


def test_the_loss_of_a_first_passage_is_the_chance_of_its_bin():
    ends = BIN_ENDS.tolist()
    judged = pl.DataFrame(
        {"outcome": ["BREAK", "BOUNCE", "CHOP"], "first_passage_share": [ends[2], -0.9 * ends[0], None]}
    )
    by_bin = {
        f"p_{side}_by_b{k:02d}": [share * k / 12] * 3
        for side, share in (("break", 0.6), ("bounce", 0.24))
        for k in range(1, 13)
    }
    losses = row_losses("time_to_threshold", judged, pl.DataFrame(by_bin))
    assert np.exp(-losses) == pytest.approx([0.6 / 12, 0.24 / 12, 0.16])


def test_the_loss_of_quantiles_is_least_at_the_quantiles():
    random = np.random.default_rng(0)
    truth = random.normal(size=4000)
    judged = pl.DataFrame({"strength_signed_pts": truth})

    def loss(*quantiles):
        said = {
            f"strength_q{q}_pts": [value] * 4000 for q, value in zip((10, 50, 90), quantiles, strict=True)
        }
        return row_losses("strength", judged, pl.DataFrame(said)).mean()

    best = loss(*np.quantile(truth, [0.1, 0.5, 0.9]))
    assert best < min(loss(-1.0, 0.0, 1.0), loss(-1.6, 0.0, 1.6), loss(-1.28, 0.3, 1.28))


def test_gain_read_from_the_text_is_that_of_the_package(knowing):
    import lightgbm

    booster = lightgbm.Booster(model_str=knowing.boosters["p"])
    gains = knowing.gain()
    assert list(gains.values()) == pytest.approx(booster.feature_importance("gain").tolist(), rel=1e-4)


@pytest.fixture(scope="module")
def families(knowing, known, judged):
    return ablation(knowing, judged, known, FEATURES, SETS, JUDGING, MODELS)


def told(made, measure, segment, split="family"):
    found = made.filter(measure=measure, split=split, segment=segment)
    assert found.height == 1
    return found.row(0, named=True)


def test_the_family_that_carries_the_edge_is_worth_something_and_the_other_is_not(families):
    worth, idle = told(families, "permutation", "ofi"), told(families, "permutation", "flow")
    assert worth["low"] > 0
    assert worth["value"] > 10 * abs(idle["value"])
    assert told(families, "gain", "ofi")["value"] > 0.6
    assert told(families, "permutation", "level", "set")["value"] == worth["value"]
    again = told(families, "retrained", "ofi")
    assert again["low"] > 0
    assert families.filter(measure="retrained").height == JUDGING.retrained_families


def test_a_head_that_could_read_nothing_else_has_no_number_without_its_only_family(knowing, known, judged):
    alone = known.with_columns(pl.lit(None, pl.Float32).alias(name) for name in FEATURES.names[4:])
    made = ablation(knowing, judged, alone, FEATURES, SETS, JUDGING, MODELS)
    assert told(made, "retrained", "ofi")["value"] is None


def test_a_champion_is_made_of_its_row_alone(knowing, judged):
    row = pl.DataFrame([verdict(None, candidate(knowing), judged)], schema=SCHEMA).row(0, named=True)
    assert in_use("direction", row) == candidate(knowing)
    nobody = pl.DataFrame([verdict(None, None, judged)], schema=SCHEMA).row(0, named=True)
    assert in_use("direction", nobody) is None


def test_without_a_model_families_are_there_without_numbers(known, judged):
    made = ablation(None, judged, known, FEATURES, SETS, JUDGING, MODELS)
    assert made.filter(measure="permutation").height == 4
    assert made["value"].null_count() == made.height


def judged_tables(families, judged):
    said = out_of_fold(sessions=30, seed=1)
    later = said.with_columns(session=pl.col("session") + 30)
    maps = fit_calibrators(out_of_fold(), SHA, JUDGING)
    champions = pl.DataFrame([decide("direction", None, None, judged, SHA, JUDGING)], schema=SCHEMA)
    return Judged(
        calibration_report(calibrate(said, maps, SHA, JUDGING), JUDGING),
        table([Measure("retrieval", "lift", "all", "all", 600, 30, 1.2, 1.0)]),
        drift_report(later, said, later, said, FEATURES, JUDGING),
        families,
        maps,
        champions,
    )


def test_a_card_says_what_was_measured_and_nothing_else(knowing, known, judged, families):
    tables = judged_tables(families, judged)
    learned = learned_from("direction", known)
    made = card("direction", JUNE, "ES", knowing, learned, tables, LabelSettings(), SHA)
    assert json.loads(card_json(made)) == made
    assert made["data"]["rows"] == known.filter(pl.col("outcome") != "CHOP").height
    assert 0 < made["data"]["effective_rows"] < made["data"]["rows"]
    assert made["families_by_permutation"][0]["family"] == made["families_by_gain"][0]["family"] == "ofi"
    auc = next(row for row in made["scores"] if row["measure"] == "auc")
    assert (
        auc["value"] == tables.calibration.filter(subject="p_break", measure="auc", split="all")["value"][0]
    )
    text = card_markdown(made)
    assert f"{auc['value']:.4g}" in text
    assert "In use after this month: the neighbours alone (no model was trained for the month)." in text
    assert f"`{SHA[:12]}`" in text
    assert "NaN" not in text
    assert made == card("direction", JUNE, "ES", knowing, learned, tables, LabelSettings(), SHA)


def test_a_card_without_a_model_says_so(families, known, judged):
    nothing = judged_tables(families.head(0), judged)
    empty = Judged(*(getattr(nothing, field.name).head(0) for field in dataclasses.fields(Judged)))
    learned = learned_from("strength", known.head(0))
    made = card("strength", JUNE, "ES", None, learned, empty, LabelSettings(), SHA)
    assert made["is_trained"] is False
    text = card_markdown(made)
    assert "Learned from 0 episodes of 0 trade dates (none to none)" in text
    assert "Nothing was measured." in text


def test_a_model_is_text_and_its_gain_needs_no_package():
    text = "split_feature=0 2 0\nsplit_gain=1.5 2 0.5\n"
    model = Model("direction", ("a", "b", "c"), SHA, {"p": text}, 1, 1)
    assert model.gain() == {"a": 2.0, "b": 0.0, "c": 2.0}
