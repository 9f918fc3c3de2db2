"""Outcomes as a table: a slow statement of every barrier label, symmetry, what is not known, the judged trade."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint_assets import contracts
from footprint_assets.settings import HORIZONS, EpisodeSettings, LabelSettings
from footprint_assets.transforms.episodes import episodes
from footprint_assets.transforms.outcomes import (
    BARRIER_TICKS,
    BEST_ASK,
    BEST_BID,
    TABLE,
    outcomes,
)
from footprint_assets_tests.transforms.level_markets import (
    BAR,
    NO_OHLCV,
    NO_SERIES,
    OPEN,
    SESSION,
    TICK,
    TIMESTAMP,
    Market,
    Trade,
    levels,
    market,
    mids,
    mirrored,
    random_market,
    trades_of,
)
from footprint_assets_tests.transforms.trade_frames import MINUTE, SECOND

CONTRACT = contracts.load(TABLE)
RULES = LabelSettings()
WATCH = EpisodeSettings()
SEEDS = range(20)
MINUTES_BEFORE = 30


def minutes(atr_pts: float | None = 1.5) -> pl.DataFrame:
    """One-minute bars of the half hour before and the hour after the open, all with one average true range."""
    starts = [OPEN + k * MINUTE for k in range(-MINUTES_BEFORE, 60)]
    return (
        pl.DataFrame({"bar_ts": pl.Series(starts).cast(TIMESTAMP)})
        .with_columns(
            *(
                pl.lit(None, dtype).alias(name)
                for name, dtype in NO_OHLCV.schema.items()
                if name not in ("bar_ts", "interval", "atr_14")
            ),
            pl.lit("1m").cast(NO_OHLCV.schema["interval"]).alias("interval"),
            pl.lit(atr_pts, pl.Float64).alias("atr_14"),
        )
        .select(NO_OHLCV.columns)
    )


def attempts(given: Market, polarity: int = 1) -> pl.DataFrame:
    static = levels({"level_polarity": polarity})
    return episodes(given.bars, given.trades, static, NO_SERIES, "PM_HIGH", SESSION, TICK, WATCH)


def labelled(
    given: Market, rows: pl.DataFrame, ohlcv: pl.DataFrame, rules: LabelSettings = RULES
) -> pl.DataFrame:
    table = outcomes(rows, given.trades, given.bars, ohlcv, SESSION, TICK, rules)
    contracts.Validator(CONTRACT).validate(table)
    assert table["episode_id"].to_list() == rows["episode_id"].to_list()
    return table


def after_touch(
    path: Sequence[tuple[float, int]] = (),
    rules: LabelSettings = RULES,
    *,
    last: int = -2,
    bars: int = 96,
    direction: int = 1,
    atr_pts: float | None = 1.5,
    sizes: Sequence[int] | None = None,
) -> dict[str, object]:
    """Labels of a touch from below: trades as (seconds after the decision, ticks from the level).

    The market is quoted at the level -2, a tick wide on each side, whatever trades. ``direction`` -1 mirrors it all.
    """
    ticks = [-15.0, float(last)] + [-2.0] * bars
    decision = OPEN + 2 * BAR
    further: list[Trade] = [
        (decision + round(t * SECOND), x, v) for (t, x), v in zip(path, sizes or [1] * len(path), strict=True)
    ]
    prints: list[Trade] = [(OPEN + SECOND, -15, 1), (OPEN + BAR + SECOND, last, 1)]
    given = Market(mids(ticks), trades_of([*prints, *further]))
    given = given if direction > 0 else mirrored(given)
    rows = attempts(given, direction).head(1)
    assert rows["decision_ts"].to_physical().to_list() == [decision]
    table = labelled(given, rows, minutes(atr_pts), rules)
    return table.with_columns(pl.col(pl.Datetime).to_physical() - decision).row(0, named=True)


def barrier_labels(episode: dict[str, object], given: Market, ticks: int, seconds: int) -> tuple[object, ...]:
    """Outcome and both first passages, by looking at one trade after the other."""
    decision, direction = episode["decision_ts"], episode["approach_direction"]
    bars = set(given.bars["bar_ts"].to_physical().to_list())
    trades = zip(given.trades["ts_event"].to_physical(), given.trades["price"], strict=True)
    at_decision, path = None, []
    for ts, price in trades:
        x = round((price - episode["level_price"]) / TICK) * direction
        if decision - BAR <= ts < decision:
            at_decision = x
        elif decision <= ts < decision + seconds * SECOND:
            path.append((ts - decision, x))
    if at_decision is not None and (episode["trigger_kind"] == "TOUCH" or at_decision > 0):
        path.insert(0, (0, at_decision))
    holes = [k for k in range(seconds // 5) if decision + k * BAR not in bars]
    path = [(t, x) for t, x in path if not holes or t < holes[0] * BAR]
    breaks = [t for t, x in path if x >= ticks]
    bounces = [t for t, x in path if x <= -ticks]
    first = next((x for _, x in path if abs(x) >= ticks), 0)
    outcome = "BREAK" if first > 0 else "BOUNCE" if first < 0 else "UNDEFINED" if holes else "CHOP"
    return (outcome, *(times[0] / SECOND if times else None for times in (breaks, bounces)))


@pytest.mark.parametrize("seed", SEEDS)
def test_barrier_labels_equal_their_slow_statement(seed):
    given = random_market(seed)
    if seed % 3 == 0:
        given = given.without_bars(np.random.default_rng(seed).integers(0, 900, 8).tolist())
    rows = attempts(given)
    table = labelled(given, rows, minutes(1.6))
    plain = rows.with_columns(pl.col(pl.Datetime).to_physical())
    barriers = {**BARRIER_TICKS, "atr1": 6}
    for episode, row in zip(plain.iter_rows(named=True), table.iter_rows(named=True), strict=True):
        for (name, ticks), seconds in product(barriers.items(), HORIZONS):
            columns = f"{name}_{seconds}s"
            got = (
                row[f"outcome_{columns}"],
                row[f"time_to_break_{columns}_s"],
                row[f"time_to_bounce_{columns}_s"],
            )
            assert got == barrier_labels(episode, given, ticks, seconds), columns


def test_random_markets_break_bounce_and_chop():
    tables = [labelled(m, attempts(m), minutes()) for m in map(random_market, SEEDS)]
    labels = pl.concat(tables)
    assert {*labels["outcome"]} == {"BREAK", "BOUNCE", "UNDEFINED"}
    assert {*labels["outcome_16t_480s"]} == {"BREAK", "BOUNCE", "CHOP", "UNDEFINED"}
    assert labels["outcome"].to_list() == labels["outcome_8t_480s"].to_list()
    for (name, ticks), seconds in product(BARRIER_TICKS.items(), HORIZONS):
        outcome = pl.col(f"outcome_{name}_{seconds}s")
        up, down = (pl.col(f"time_to_{what}_{name}_{seconds}s_s") for what in ("break", "bounce"))
        broken = labels.filter(outcome == "BREAK")
        assert (broken[f"mfe_pts_{seconds}s"].drop_nulls() >= ticks * TICK).all()
        assert broken.filter(up.is_null() | (up > down)).is_empty()
        assert labels.filter(outcome == "BOUNCE").filter(down.is_null() | (down > up)).is_empty()
        assert labels.filter(outcome == "CHOP").filter(up.is_not_null() | down.is_not_null()).is_empty()
        assert labels.filter((up > seconds) | (down > seconds)).is_empty()
    assert (labels["label_end_ts"] >= labels["decision_ts"]).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mirrored_path_keeps_every_label(seed):
    given = random_market(seed)
    turned = mirrored(given)
    here = labelled(given, attempts(given), minutes())
    there = labelled(turned, attempts(turned, -1), minutes())
    assert_frame_equal(there, here, check_exact=True)


@pytest.mark.parametrize("direction", [1, -1])
def test_a_break_a_bounce_and_a_chop(direction):
    row = after_touch([(3, 0), (10.5, 8), (50, -8)], direction=direction)
    assert (row["outcome"], row["outcome_4t_120s"], row["outcome_16t_480s"]) == ("BREAK", "BREAK", "CHOP")
    assert (row["time_to_break_8t_480s_s"], row["time_to_bounce_8t_480s_s"]) == (10.5, 50.0)
    assert (row["first_hit_side"], row["both_sides_hit_flag"]) == (1, True)
    row = after_touch([(3, 0), (130, -8)], direction=direction)
    assert (row["outcome"], row["outcome_8t_120s"], row["first_hit_side"]) == ("BOUNCE", "CHOP", -1)
    row = after_touch([(3, 0)], direction=direction)
    assert (row["outcome"], row["first_hit_side"], row["both_sides_hit_flag"]) == ("CHOP", 0, False)


def test_the_horizon_is_half_open_and_the_decision_belongs_to_the_path():
    assert after_touch([(120, 8)])["outcome_8t_120s"] == "CHOP"
    assert after_touch([(120 - 1e-9, 8)])["outcome_8t_120s"] == "BREAK"
    row = after_touch([(0, 8)])
    assert (row["outcome"], row["time_to_break_8t_120s_s"], row["label_end_ts"]) == ("BREAK", 0.0, 1)


def test_price_beyond_the_barrier_at_the_decision_breaks_at_time_zero():
    given = market([-15, -2, *[0.0] * 96], further=[(OPEN + BAR + 2 * SECOND, 9, 1)])
    row = labelled(given, attempts(given).head(1), minutes()).row(0, named=True)
    assert (row["outcome"], row["time_to_break_8t_480s_s"]) == ("BREAK", 0.0)
    assert row["label_end_ts"] == row["decision_ts"]
    assert row["mfe_pts_480s"] == 9 * TICK


def test_a_last_trade_before_a_level_the_quotes_have_crossed_is_no_price_of_the_path():
    given = Market(mids([-15.0] + [12.0] * 97), trades_of([(OPEN + BAR + SECOND, -15, 1)]))
    rows = attempts(given)
    assert rows["trigger_kind"].to_list() == ["CROSS"]
    row = labelled(given, rows, minutes()).row(0, named=True)
    assert (row["outcome_8t_480s"], row["mae_pts_480s"]) == ("CHOP", None)


@pytest.mark.parametrize(("bars", "outcome"), [(96, "CHOP"), (95, "UNDEFINED"), (0, "UNDEFINED")])
def test_a_path_that_is_not_observed_to_its_horizon_is_undefined_not_chop(bars, outcome):
    row = after_touch([(3, 0)] if bars else [], bars=bars)
    assert (row["outcome"], row["is_complete"]) == (outcome, bars == 96)
    known = (row["first_hit_side"], row["failed_break_flag"], row["label_uniqueness"], row["mfe_pts_480s"])
    assert known == ((0, False, 1.0, 0.0) if bars == 96 else (None,) * 4)
    assert row["label_end_ts"] == 480 * SECOND


def test_a_hit_before_the_record_ends_is_known_and_one_after_a_hole_is_not():
    row = after_touch([(3, 8)], bars=10)
    assert (row["outcome"], row["is_complete"], row["both_sides_hit_flag"]) == ("BREAK", False, None)
    ticks = [-15.0, *[-2.0] * 97]
    trades = trades_of([(OPEN + BAR + SECOND, -2, 1), (OPEN + 20 * BAR, 8, 1)])
    holed = Market(mids(ticks), trades).without_bars([10])
    assert labelled(holed, attempts(holed), minutes())["outcome"].to_list() == ["UNDEFINED"]


def test_nothing_is_observed_after_the_close():
    close = SESSION.close_ns
    start = close - 60 * BAR
    rules = EpisodeSettings(sessions=("POST",))
    given = market([-15.0, *[-2.0] * 119], start)
    static = levels()
    rows = episodes(given.bars, given.trades, static, NO_SERIES, "PM_HIGH", SESSION, TICK, rules)
    row = labelled(given, rows, minutes()).row(0, named=True)
    assert (row["outcome_8t_240s"], row["outcome_8t_480s"]) == ("CHOP", "UNDEFINED")


def test_excursions_are_in_points_and_signed_by_the_approach():
    row = after_touch([(3, 6), (10, -5), (20, 1), (130, 30)])
    wanted = {"mfe": 6, "mae": -5, "close_dist": 1, "strength_signed": 1, "strength_abs": 6}
    assert {what: row[f"{what}_pts_120s"] / TICK for what in wanted} == wanted
    assert (row["time_to_mfe_120s_s"], row["time_to_mae_120s_s"]) == (3.0, 10.0)
    assert (row["mfe_pts_240s"], row["time_to_mfe_240s_s"]) == (30 * TICK, 130.0)


@pytest.mark.parametrize(
    ("atr_pts", "ticks"), [(0.3, 4), (1.124, 4), (1.125, 5), (2.5, 10)], ids=["floor", "down", "up", "whole"]
)
def test_the_atr_barrier_is_a_whole_number_of_ticks_and_at_least_four(atr_pts, ticks):
    reached = after_touch([(3, ticks)], atr_pts=atr_pts)
    missed = after_touch([(3, ticks - 1)], atr_pts=atr_pts)
    assert (reached["outcome_atr1_120s"], missed["outcome_atr1_120s"]) == ("BREAK", "CHOP")


def test_without_an_atr_its_labels_are_undefined_and_the_others_stand():
    row = after_touch([(3, 40)], atr_pts=None)
    assert [row[f"outcome_atr1_{h}s"] for h in HORIZONS] == ["UNDEFINED"] * 3
    assert [row[f"time_to_break_atr1_{h}s_s"] for h in HORIZONS] == [None] * 3
    assert row["outcome"] == "BREAK"


def test_the_atr_is_of_the_last_minute_that_had_ended():
    given = market([-15.0] * 11 + [-2.0] + [0.0] * 100, further=[(OPEN + 13 * BAR, 6, 1)])
    grown = minutes(1.0).with_columns(
        pl.when(pl.col("bar_ts").to_physical() >= OPEN).then(50.0).otherwise("atr_14").alias("atr_14")
    )
    rows = attempts(given)
    assert rows["decision_ts"].to_physical().to_list() == [OPEN + MINUTE]
    assert labelled(given, rows, grown)["outcome_atr1_120s"].to_list() == ["CHOP"], "ended at the decision"
    later = grown.with_columns(pl.col("bar_ts").dt.offset_by("5s"))
    assert labelled(given, rows, later)["outcome_atr1_120s"].to_list() == ["BREAK"], "ends five seconds later"


def test_a_break_that_comes_back_through_the_level_has_failed():
    failed = after_touch([(3, 8), (20, -2)])
    assert (failed["outcome"], failed["failed_break_flag"], failed["retest_flag"]) == ("BREAK", True, False)
    retested = after_touch([(3, 8), (20, 2), (30, -1), (40, 9)])
    assert (retested["failed_break_flag"], retested["retest_flag"]) == (False, True)
    clean = after_touch([(3, 8), (20, 3)])
    assert (clean["failed_break_flag"], clean["retest_flag"]) == (False, False)
    bounced = after_touch([(3, -8), (20, 9), (30, -2)])
    assert (bounced["failed_break_flag"], bounced["retest_flag"]) == (False, False)


def test_whether_an_unfinished_break_fails_is_not_known_until_it_does():
    unsure = after_touch([(3, 8), (20, 1)], bars=10)
    assert (unsure["failed_break_flag"], unsure["retest_flag"]) == (None, None)
    failed = after_touch([(3, 8), (20, -3)], bars=10)
    assert (failed["failed_break_flag"], failed["retest_flag"]) == (True, False)


def test_scores_weigh_distance_by_volume():
    row = after_touch([(10, 4), (20, 8), (240, -12), (359, -4)], sizes=[3, 1, 1, 1])
    assert (row["vw_signed_dist_w1_pts"], row["vw_signed_dist_w2_pts"]) == (5 * TICK, -8 * TICK)
    assert row["outcome_score"] == -1.5 * TICK
    held = after_touch([(10, 4)])
    assert held["vw_signed_dist_w2_pts"] == 1.0, "nothing traded: price stood still"
    short = after_touch([(10, 4)], bars=48)
    assert (short["vw_signed_dist_w1_pts"], short["vw_signed_dist_w2_pts"]) == (1.0, None)
    assert (short["outcome_score"], short["outcome5"]) == (None, "UNDEFINED")


@pytest.mark.parametrize(
    ("first", "second", "wanted"),
    [
        (5, 9, "STRONG_BREAK"),
        (5, 8, "WEAK_BREAK"),
        (5, -9, "WEAK_BREAK"),
        (4, 30, "CHOP"),
        (-4, -30, "CHOP"),
        (-5, -8, "WEAK_BOUNCE"),
        (-5, -9, "STRONG_BOUNCE"),
    ],
)
def test_five_classes_by_one_and_two_points(first, second, wanted):
    assert after_touch([(10, first), (250, second)])["outcome5"] == wanted


@pytest.mark.parametrize("direction", [1, -1])
def test_the_judged_trade_enters_behind_the_opposite_quote(direction):
    """Quoted -3 at -1 and a tick of slippage: with the approach from 0, against it from -4."""
    won = after_touch([(3, 4), (9, 8)], direction=direction)
    assert (won["tradeable_1"], won["tradeable_2"]) == (True, True)
    assert won["r_multiple_break"] == pytest.approx((8 * TICK - 0.04) / 1.0)
    assert won["r_multiple_bounce"] == pytest.approx((-8 * TICK - 0.04) / 1.0), "the stop fills at the trade"
    half = after_touch([(3, 4), (9, -4)], direction=direction)
    assert (half["tradeable_1"], half["tradeable_2"]) == (True, False)
    assert half["r_multiple_break"] == pytest.approx((-4 * TICK - 0.04) / 1.0)
    expired = after_touch([(3, 3), (9, -3)], direction=direction)
    assert (expired["tradeable_1"], expired["tradeable_2"]) == (False, False)
    assert expired["r_multiple_break"] == pytest.approx((-3 * TICK - 0.04) / 1.0)
    assert expired["r_multiple_bounce"] == pytest.approx((-7 * TICK - 0.04) / 1.0)


def test_a_trade_still_open_where_the_record_ends_or_without_a_quote_is_not_judged():
    row = after_touch([(3, 5)], bars=10)
    assert (row["tradeable_1"], row["tradeable_2"], row["r_multiple_break"]) == (True, None, None)
    given = market([-15.0, -2.0, *[-2.0] * 96])
    unquoted = Market(
        given.bars.with_columns(pl.lit(None, pl.Float64).alias(name) for name in (BEST_BID, BEST_ASK)),
        given.trades,
    )
    table = labelled(unquoted, attempts(given), minutes())
    names = ("tradeable_1", "tradeable_2", "r_multiple_break", "r_multiple_bounce")
    assert table.select(names).row(0) == (None,) * 4


def test_labels_alive_together_share_their_time():
    """Two chops 120 s apart: each is alone for 120 s and shared for 360 s."""
    leave = [-2.0] + [-9.0] * 24
    given = market([-15.0, *leave, *[-2.0] * 130])
    rules = LabelSettings(primary_barrier="16t")
    table = labelled(given, attempts(given), minutes(), rules)
    assert table["outcome"].to_list() == ["CHOP", "CHOP"]
    gap = (table["decision_ts"][1] - table["decision_ts"][0]).total_seconds()
    assert gap == 125.0
    assert table["label_uniqueness"].to_list() == pytest.approx([(gap + (480 - gap) / 2) / 480] * 2)


def test_the_primary_label_is_the_one_the_settings_name():
    rules = LabelSettings(primary_barrier="4t", primary_horizon_seconds=120)
    row = after_touch([(3, 5), (130, -20)], rules)
    assert (row["outcome"], row["both_sides_hit_flag"]) == (row["outcome_4t_120s"], False)
    assert row["label_end_ts"] == 3 * SECOND + 1


def test_no_episodes_have_no_outcomes():
    given = market([-15.0] * 5)
    assert labelled(given, attempts(given), minutes()).is_empty()


def test_no_outcome_is_a_feature():
    assert {field.kind for field in CONTRACT.fields} == {"id", "label"}


def test_points_are_exact_multiples_of_the_tick():
    labels = pl.concat([labelled(m, attempts(m), minutes()) for m in map(random_market, range(5))])
    for seconds in HORIZONS:
        values = labels[f"mae_pts_{seconds}s"].drop_nulls().to_list()
        assert all(math.fmod(v, TICK) == 0 for v in values)
