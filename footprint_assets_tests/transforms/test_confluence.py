"""Levels that meet, twins that are one level, and untouched points of control."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from footprint_assets.settings import ApproachSettings, ConfluenceWeights, FootprintSettings, ProfileSettings
from footprint_assets.transforms.approach_rows import Day, MovingLevels
from footprint_assets.transforms.confluence import (
    NAKED_TICKS,
    PriorProfiles,
    confluence_columns,
    other_levels,
    profile_columns,
)
from footprint_assets_tests.transforms.approach_markets import inputs, made, table
from footprint_assets_tests.transforms.level_markets import BASE, LEVEL_PRICE, OPEN, SESSION, TICK, levels
from footprint_assets_tests.transforms.trade_frames import MINUTE

SEED = 3
GIVEN = inputs(SEED)
DAY = Day.of(GIVEN, SESSION, TICK)
ATTEMPT = DAY.attempts(GIVEN.episodes)[0]
AT_TRIGGER = ATTEMPT.trigger - ATTEMPT.first
NOBODY = MovingLevels.of(DAY, GIVEN.level_series.clear())


def beside(*rows: dict, level: str = "PM_HIGH") -> dict[str, float]:
    """Confluence at the trigger of the first attempt, of some levels beside the one approached."""
    others = other_levels(DAY, levels({}, *rows), NOBODY, level, ConfluenceWeights())
    columns = confluence_columns(DAY, ATTEMPT, others, ApproachSettings())
    return {name.removeprefix("bar5s_conf_"): float(values[AT_TRIGGER]) for name, values in columns.items()}


def at(name: str, ticks: float, **more: object) -> dict[str, object]:
    price = LEVEL_PRICE + ticks * TICK
    return {
        "level_name": name,
        "level_price": price,
        "level_price_raw": price,
        "level_class": "PRIOR_DAY",
    } | more


def test_a_level_alone_has_no_neighbours():
    found = beside()
    assert (found["count_20t"], found["weighted_score"]) == (0, 0)
    for name in ("min_dist_pts", "pressure", "alignment", "runway_through_pts", "runway_back_pts"):
        assert np.isnan(found[name])


def test_levels_count_by_distance_and_weight():
    found = beside(
        at("PDH", 4), at("PDL", 5, level_polarity=-1), at("PDC", -20, level_polarity=0), at("PWH", 21)
    )
    assert [found[f"count_{k}t"] for k in (4, 8, 20)] == [1, 2, 3]
    assert found["weighted_score"] == pytest.approx(0.6 * (1 - 1 / 5) + 0.6 * (1 - 1.25 / 5))
    assert found["pressure"] == pytest.approx(found["weighted_score"] / 2.4)
    assert found["min_dist_pts"] == 1


def test_runways_and_alignment_follow_the_approach():
    found = beside(at("PDH", 6 * ATTEMPT.direction), at("PDL", -3 * ATTEMPT.direction), at("PDC", 0.25))
    assert (found["runway_through_pts"], found["runway_back_pts"]) == (1.5, 0.75)
    ahead, back, here = (0.6 * (1 - d / 5) for d in (1.5, 0.75, 0.0625))
    assert found["alignment"] == pytest.approx((ahead - back) / (ahead + back + here))


def test_extremes_of_one_trade_are_one_level():
    assert beside(at("PDH", 4, extreme_ts=7), at("PWH", 4, extreme_ts=7))["count_4t"] == 1
    assert beside(at("PDH", 4, extreme_ts=7), at("PWH", 4, extreme_ts=8))["count_4t"] == 2


def test_a_twin_of_the_level_itself_does_not_count():
    twin = at("OVERNIGHT_HIGH", 0, level_class="PREMARKET")
    assert beside(twin)["count_20t"] == 0
    assert beside(twin)["dist_to_overnight_high_pts"] == 0


def test_a_twin_that_is_known_later_does_not_hide_an_earlier_one():
    later = at("IB_HIGH", 4, extreme_ts=7, valid_from_ts=OPEN + 600 * MINUTE)
    assert beside(at("PDH", 4, extreme_ts=7), later)["count_4t"] == 1


def test_a_level_counts_from_the_bar_that_knows_it():
    known = int(DAY.end_ns[ATTEMPT.trigger])
    assert beside(at("PDH", 4, valid_from_ts=known))["count_4t"] == 1
    assert beside(at("PDH", 4, valid_from_ts=known + 1))["count_4t"] == 0


def test_a_class_without_weight_takes_no_part_but_has_its_distance():
    assert beside(at("PDH", 4, level_class="ROUND"))["count_20t"] == 0
    assert beside(at("PDH", 4, level_class="ROUND"))["dist_to_prev_day_high_pts"] == -1


def test_a_level_has_no_distance_to_itself():
    assert table(SEED)["bar5s_conf_dist_to_pm_high_pts"].is_null().all()
    assert table(SEED, "SMA_90")["bar5s_conf_dist_to_sma_90_pts"].is_null().all()
    assert table(SEED, "SMA_90")["bar5s_conf_dist_to_pm_high_pts"].is_not_null().any()


def naked(row: int) -> np.ndarray:
    earlier = PriorProfiles(None, 0, np.array([row], np.int64), is_held=True)
    columns = profile_columns(DAY, ATTEMPT, earlier, FootprintSettings(), ProfileSettings())
    return columns["bar5s_prof_naked_poc_within_8t"]


def test_a_point_of_control_is_naked_until_a_trade_of_today_touches_it():
    ends, ticks = DAY.trades_so_far[ATTEMPT.rows], DAY.tape.tick
    untouched = max(int(ticks.max()) + 1, BASE)
    expected = float(abs(untouched - ATTEMPT.tick) <= NAKED_TICKS)
    assert (naked(untouched) == expected).all()
    touched_later = [
        t for t in range(BASE - 8, BASE + 9) if ends[0] <= np.flatnonzero(ticks == t)[0] < ends[-1]
    ]
    for row in touched_later:
        first = int(np.flatnonzero(ticks == row)[0])
        assert (naked(row) == (ends <= first)).all()
    assert (naked(BASE + NAKED_TICKS + 1) == 0).all()


def test_without_an_earlier_session_nothing_is_known_of_its_profile():
    found = made(replace(GIVEN, prior_sessions=GIVEN.prior_sessions.clear()))
    for name in ("prof_prev_day_vol_pctile", "prof_naked_poc_within_8t", "lvltrade_large_toward_vol_w3"):
        assert found[f"bar5s_{name}"].is_null().all()


def test_the_developing_point_of_control_is_that_of_the_level_series_convention():
    rows = table(SEED).filter(pl.col("is_trigger_bar")).with_columns(pl.col("bar_ts").to_physical())
    for bar_ns, level, found in rows.select(
        "bar_ts", "level_price", "bar5s_prof_dist_to_dev_poc_pts"
    ).iter_rows():
        ts = pl.col("ts_event").to_physical()
        cash = GIVEN.trades_clean.filter(ts >= SESSION.rth_open_ns, ts < bar_ns + 5_000_000_000)
        volume = cash.group_by("price").agg(pl.col("size").sum())
        best = volume.filter(pl.col("size") == pl.col("size").max())["price"].to_list()
        assert level - found in best
