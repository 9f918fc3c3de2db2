"""What an attempt knows of the attempts before it, and when."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest

from footprint_assets.transforms.level_history import TRENDS
from footprint_assets_tests.transforms.approach_markets import START, inputs, made, table
from footprint_assets_tests.transforms.level_markets import BAR, OPEN, TICK

SEED = 3


def rows_of(nth: int, found: pl.DataFrame | None = None, level: str = "PM_HIGH") -> pl.DataFrame:
    """The rows of one attempt with bar ends in ns."""
    found = table(SEED, level) if found is None else found
    name = inputs(SEED, level).episodes["episode_id"][nth]
    return found.filter(pl.col("episode_id") == name).with_columns(
        (pl.col("bar_ts").to_physical() + BAR).alias("end_ns")
    )


def judged(**given: object) -> pl.DataFrame:
    """The table with other outcomes of the first attempt."""
    market = inputs(SEED)
    is_first = pl.int_range(pl.len()) == 0
    labels = market.outcomes.with_columns(
        pl.when(is_first)
        .then(pl.lit(value).cast(market.outcomes.schema[name]))
        .otherwise(pl.col(name))
        .alias(name)
        for name, value in given.items()
    )
    return made(replace(market, outcomes=labels))


def test_the_first_attempt_has_no_history():
    rows = rows_of(0)
    assert (rows["bar5s_touch_is_first_touch"] == 1).all()
    assert (rows["bar5s_touch_prior_touches_session"] == 0).all()
    for name in ("time_since_last_touch_s", "last_outcome_code", "max_excursion_since_touch_pts", *TRENDS):
        assert rows[f"bar5s_touch_{name}"].is_null().all()


@pytest.mark.parametrize(("outcome", "code"), [("BREAK", 1), ("BOUNCE", -1), ("CHOP", 0)])
def test_an_outcome_counts_from_the_bar_that_ends_when_it_is_known(outcome, code):
    second = rows_of(1)
    known = int(second["end_ns"][second.height // 2])
    for label_end, first_known in ((known, known), (known + 1, known + BAR)):
        rows = rows_of(1, judged(outcome=outcome, label_end_ts=label_end))
        before, after = (
            rows.filter(pl.col("end_ns") < first_known),
            rows.filter(pl.col("end_ns") >= first_known),
        )
        # Later attempts may end within this one's rows too: only the first is judged here.
        assert before["bar5s_touch_last_outcome_code"].is_null().all()
        assert after["bar5s_touch_last_outcome_code"][0] == code
        for kind in ("break", "bounce"):
            counted = float(outcome == kind.upper())
            assert (before[f"bar5s_touch_prior_{kind}s_session"] == 0).all()
            assert after[f"bar5s_touch_prior_{kind}s_session"][0] == counted


def test_an_undefined_outcome_is_no_outcome():
    rows = rows_of(1, judged(outcome="UNDEFINED", label_end_ts=START))
    assert rows["bar5s_touch_last_outcome_code"].is_null().all()


def test_an_earlier_touch_counts_from_its_decision():
    first, second = inputs(SEED).episodes.with_columns(pl.col(pl.Datetime).to_physical()).head(2).to_dicts()
    rows = rows_of(1)
    is_past = rows["end_ns"] >= first["decision_ts"]
    assert 0 < is_past.sum() < rows.height
    assert (rows["bar5s_touch_prior_touches_session"] == is_past.cast(pl.Float64)).all()
    at_trigger = rows.row(by_predicate=pl.col("is_trigger_bar"), named=True)
    since_s = (second["decision_ts"] - first["touch_event_ts"]) / 1e9
    assert at_trigger["bar5s_touch_time_since_last_touch_s"] == since_s


def test_a_trend_is_now_minus_the_first_attempt_at_its_decision():
    first = rows_of(0).row(by_predicate=pl.col("is_trigger_bar"), named=True)
    for nth in (1, 2):
        rows = rows_of(nth)
        is_past = rows["end_ns"] >= first["end_ns"]
        for trend, source in TRENDS.items():
            found = rows[f"bar5s_touch_{trend}"]
            assert found.filter(~is_past).is_null().all()
            assert found.filter(is_past).equals((rows[source] - first[source]).filter(is_past))
            assert found.filter(is_past).is_not_null().any()


def test_a_level_that_stands_still_is_as_old_as_its_validity_and_does_not_drift():
    rows = rows_of(0)
    age = (rows["end_ns"] - OPEN) / 1e9
    assert (rows["bar5s_touch_level_age_s"].is_null() == (age < 0)).all()
    assert (rows["bar5s_touch_level_age_s"] - age).abs().max() < 1e-6
    assert (age < 0).any()
    assert (rows.filter(pl.col("end_ns") >= OPEN)["bar5s_touch_level_drift_pts"] == 0).all()
    assert rows.filter(pl.col("end_ns") < OPEN)["bar5s_touch_level_drift_pts"].is_null().all()


def test_a_moving_level_drifts_from_the_value_the_attempt_froze():
    given, rows = inputs(SEED, "SMA_90"), rows_of(0, level="SMA_90")
    series = given.level_series.filter(pl.col("level_name") == "SMA_90")
    now = rows.select("bar_ts").join(series, on="bar_ts", how="left", maintain_order="left")[
        "level_price_raw"
    ]
    frozen = given.episodes["level_price_raw"][0]
    assert (rows["bar5s_touch_level_drift_pts"] - (now - frozen)).abs().max() == 0
    assert rows["bar5s_touch_level_drift_pts"].abs().max() >= TICK
    start = given.episodes["approach_start_ts"].to_physical()[0]
    at_start = rows.filter(pl.col("bar_ts").to_physical() == start)["bar5s_touch_level_age_s"]
    assert at_start.to_list() == [0.0]
