"""Episodes as a table: what a row says, what it cannot know, and the real hour."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.resources import Workbench
from footprint_assets.settings import EpisodeSettings, Settings
from footprint_assets.tables import Scope, Staged, TableInput, passes, stage_pass
from footprint_assets.transforms.episodes import FORWARD_COLUMNS, TABLE, config_hash, episodes
from footprint_assets_tests.small_market import TABLES
from footprint_assets_tests.transforms.level_markets import (
    BAR,
    BASE,
    LEVEL_PRICE,
    NO_SERIES,
    OPEN,
    SESSION,
    TICK,
    Market,
    levels,
    market,
    mids,
    mirrored,
    random_market,
    series,
)
from footprint_assets_tests.transforms.trade_frames import SECOND, at

CONTRACT = contracts.load(TABLE)
RULES = EpisodeSettings()
SEEDS = range(25)


def found(
    given: Market,
    session_levels: pl.DataFrame | None = None,
    level_series: pl.DataFrame = NO_SERIES,
    level: str = "PM_HIGH",
    rules: EpisodeSettings = RULES,
) -> pl.DataFrame:
    static = levels() if session_levels is None else session_levels
    table = episodes(given.bars, given.trades, static, level_series, level, SESSION, TICK, rules)
    contracts.Validator(CONTRACT).validate(table)
    return table


def one(*args: object, **kwargs: object) -> dict[str, object]:
    table = found(*args, **kwargs)
    assert table.height == 1
    return table.with_columns(pl.col(pl.Datetime).to_physical()).row(0, named=True)


def test_random_markets_attempt_the_level_again_and_again():
    tables = [found(random_market(seed)) for seed in SEEDS]
    assert sum(table.height for table in tables) > 60
    for table in tables:
        assert table["attempt_index"].to_list() == list(range(1, table.height + 1))
        triggers = table["trigger_bar_ts"].to_physical().to_list()
        assert all(b - a >= 24 * BAR for a, b in pairwise(triggers))
        assert table["episode_id"].n_unique() == table.height
        assert (table["touch_event_ts"] >= table["trigger_bar_ts"]).all()
        assert (table["touch_event_ts"] <= table["decision_ts"]).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_comes_after_the_decision_changes_only_the_columns_that_say_so(seed):
    before = random_market(seed)
    cut = OPEN + BAR * int(np.random.default_rng(seed).integers(200, 900))
    shuffled = before.then(random_market(seed + 1_000), cut)
    for other in (shuffled, before.until(cut)):
        whole, again = (
            found(m).filter(pl.col("decision_ts").to_physical() <= cut).drop(FORWARD_COLUMNS)
            for m in (before, other)
        )
        assert_frame_equal(again, whole, check_exact=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mirrored_market_turns_the_direction_and_keeps_the_rest(seed):
    given = random_market(seed)
    turned = levels({"level_polarity": -1})
    flips = ("level_polarity", "approach_direction")
    here, there = found(given), found(mirrored(given), turned)
    assert_frame_equal(there.with_columns(-pl.col(name) for name in flips), here, check_exact=True)


@pytest.mark.parametrize(
    ("polarity", "ticks", "direction", "is_standard"),
    [
        (1, [-15, -2], 1, True),
        (1, [15, 2], -1, False),
        (-1, [15, 2], -1, True),
        (-1, [-15, -2], 1, False),
        (0, [15, 2], -1, None),
    ],
)
def test_a_high_from_below_and_a_low_from_above_are_the_standard_approach(
    polarity, ticks, direction, is_standard
):
    row = one(market(ticks), levels({"level_polarity": polarity}))
    assert (row["approach_direction"], row["is_standard_approach"]) == (direction, is_standard)


def test_a_row_tells_the_attempt():
    row = one(market([-30, -15, -10, -2, -3], further=[(OPEN + 3 * BAR + 3 * SECOND, -1, 5)]))
    trigger = OPEN + 3 * BAR
    name = f"2024-06-11_ESM4_PM_HIGH_{trigger}"
    assert (row["episode_id"], row["touch_id"], row["level_type"]) == (name, name, "PM_HIGH")
    assert row["level_price"] == row["level_price_raw"] == LEVEL_PRICE
    assert (row["approach_start_ts"], row["trigger_bar_ts"]) == (OPEN + BAR, trigger)
    assert (row["decision_ts"], row["touch_event_ts"]) == (trigger + BAR, trigger + SECOND)
    assert (row["trigger_kind"], row["touch_penetration_ticks"]) == ("TOUCH", -2)
    assert (row["lookback_bars"], row["is_truncated_lookback"]) == (3, True)
    assert (row["forward_bars"], row["is_truncated_forward"]) == (1, True)
    assert (row["has_gap"], row["has_empty_book"], row["nearby_levels"]) == (False, False, [])


def test_quotes_that_cross_without_a_trade_have_no_touch_before_the_decision():
    given = market([-15, 12])
    quiet = Market(given.bars, given.trades.head(1))
    row = one(quiet)
    assert (row["trigger_kind"], row["touch_event_ts"]) == ("CROSS", row["decision_ts"])
    assert row["touch_penetration_ticks"] == 12


def test_a_level_is_not_touched_before_it_is_known():
    given = market([-15, -2, -15, -15, -15, -15, -15, -15, -15, -2])
    assert one(given, levels({"valid_from_ts": OPEN + 6 * BAR}))["trigger_bar_ts"] == OPEN + 9 * BAR
    assert found(given, levels({"valid_from_ts": OPEN + 11 * BAR})).is_empty()


def test_a_level_that_does_not_exist_has_no_episodes():
    assert found(market([-15, -2]), level="OR_HIGH").is_empty()
    assert found(Market(mids([]), market([0]).trades.head(0))).is_empty()


def test_levels_are_watched_in_cash_hours_unless_the_settings_say_otherwise():
    night = at(SESSION, "04:00")
    given = market([-15, -2], night)
    known = levels({"valid_from_ts": night})
    assert found(given, known).is_empty()
    assert found(given, known, rules=EpisodeSettings(sessions=("ETH_LONDON",))).height == 1


def test_the_lookback_reaches_before_the_cash_open():
    given = market([-30.0] * 300 + [-15, -2], OPEN - 300 * BAR)
    row = one(given)
    assert (row["lookback_bars"], row["is_truncated_lookback"]) == (180, False)


def test_the_lookback_does_not_reach_before_the_globex_open():
    start = SESSION.open_ns - 10 * BAR
    given = market([-30.0] * 20 + [-15, -2], start)
    rules = EpisodeSettings(sessions=("ETH_ASIA",))
    assert one(given, levels({"valid_from_ts": start}), rules=rules)["lookback_bars"] == 11


def test_a_moving_level_is_frozen_where_the_approach_began():
    moving = series("SMA_90", [-0.3, 0.6, 5, 9])
    row = one(market([-30, -15, -10, -2]), level_series=moving, level="SMA_90")
    assert row["level_price"] == LEVEL_PRICE + TICK
    assert row["level_price_raw"] == pytest.approx(LEVEL_PRICE + 0.6 * TICK, abs=1e-9)
    assert (row["level_polarity"], row["is_standard_approach"]) == (0, None)


def test_the_level_lies_on_the_tick_grid_whatever_forms_it():
    """A level of microprices never equals a book price: sizes at the level would be 0 for ever."""
    for seed in SEEDS:
        drift = np.random.default_rng(seed).normal(0, 0.3, 900).cumsum().tolist()
        table = found(random_market(seed), level_series=series("SMA_90", drift), level="SMA_90")
        assert (table["level_price"] % TICK == 0).all()
        assert ((table["level_price"] - table["level_price_raw"]).abs() <= TICK / 2 + 1e-9).all()


def test_a_missing_bar_a_long_pause_and_an_empty_book_are_told():
    ticks = [-30.0] * 40 + [-15, -2]
    given = market(ticks)
    assert one(given)["has_gap"] is False
    assert one(given.without_bars([20]))["has_gap"] is True
    assert one(given.without_bars([20]))["lookback_bars"] == 40
    for bars, has_gap in ((12, False), (13, True)):
        pause = pl.int_range(pl.len()).is_between(5, 4 + bars)
        messages = pl.when(pause).then(0.0).otherwise(10.0).alias("bar5s_meta_msg_cnt_sum")
        assert one(Market(given.bars.with_columns(messages), given.trades))["has_gap"] is has_gap
    empty = Market(mids([None if i == 7 else t for i, t in enumerate(ticks)]), given.trades)
    assert (one(empty)["has_gap"], one(empty)["has_empty_book"]) == (False, True)


def test_holes_after_the_trigger_are_none_of_the_approach():
    given = market([-30, -15, -2, -2, -2, -2]).without_bars([4])
    assert (one(given)["has_gap"], one(given)["forward_bars"]) == (False, 2)


def test_a_touch_within_the_cooldown_extends_what_is_shown():
    row = one(market([-10, -2, *[-9] * 8, -2, *[-9] * 250]))
    assert (row["extension_count"], row["is_extended_forward"]) == (1, True)
    assert (row["forward_bars"], row["is_truncated_forward"]) == (192, False)


def test_nearby_levels_are_the_others_known_when_the_level_was_frozen():
    def near(name: str, ticks: int, **more: object) -> dict[str, object]:
        return {"level_name": name, "level_price": (BASE + ticks) * TICK, **more}

    static = levels(
        {},
        near("PDH", 4),
        near("PDC", -4),
        near("PDL", 5),
        near("OR_HIGH", 0, valid_from_ts=OPEN + 2 * BAR + 1),
    )
    moving = pl.concat([series("SMA_90", [9, 2, 9]), series("EMA_20", [0, 30, 0])])
    row = one(market([-30, -15, -2]), static, moving)
    assert row["nearby_levels"] == ["PDC", "PDH", "SMA_90"]


def test_the_configuration_hash_follows_the_settings():
    row = one(market([-15, -2]))
    assert row["config_hash"] == config_hash(EpisodeSettings())
    assert config_hash(EpisodeSettings()) != config_hash(EpisodeSettings(touch_ticks=5))


def test_nothing_in_an_episode_is_a_feature():
    """Forward counts of episodes were once taken for features: the best ones, for they knew the future."""
    assert {field.kind for field in CONTRACT.fields} == {"id", "meta"}
    assert set(FORWARD_COLUMNS) < {field.name for field in CONTRACT.fields}


@pytest.mark.realdata
def test_the_high_of_the_first_ten_real_minutes_is_attempted_once_from_below_and_retested_once(
    real_data, tmp_path
):
    day = cme.session(dt.date(2023, 12, 26))
    bar5s, trades_clean = "silver.future.market_by_price_10_bar5s", "silver.future.trades_clean"
    inputs = {
        "bronze.future.definition", "bronze.future.trades", "bronze.future.front_month",
        "bronze.future.market_by_price_10", "silver.future.market_by_price_10_clean", bar5s, trades_clean,
    }  # fmt: skip
    scope = Scope.of(
        day.trade_date, Workbench(Settings(lake_root=tmp_path / "lake", dbn_dir=real_data / "dbn"))
    )
    for together in passes(table for table in TABLES if inputs.intersection(table.pass_keys)):
        for staged in stage_pass(together, scope, together[0].open_inputs(scope), run_id="test"):
            assert isinstance(staged, Staged)
            staged.stage.publish()
    bars, trades = (
        TableInput(scope.bench.lake, key, (day.trade_date,)).frame("ESH4") for key in (bar5s, trades_clean)
    )
    formed = day.open_ns + 600 * SECOND
    high = trades.filter(pl.col("ts_event").to_physical() < formed)["price"].max()
    level = {"level_name": "FIRST_HIGH", "level_price": high, "level_price_raw": high}
    static = levels({**level, "valid_from_ts": formed})
    rules = EpisodeSettings(sessions=("ETH_ASIA",))
    table = episodes(bars, trades, static, NO_SERIES, "FIRST_HIGH", day, TICK, rules)
    assert high == 4807.75
    assert table["is_standard_approach"].to_list() == [True, False]
    assert table["trigger_bar_ts"].dt.strftime("%H:%M:%S").to_list() == ["23:10:45", "23:52:30"]
