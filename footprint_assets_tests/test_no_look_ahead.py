"""No row knows what comes after it: a session cut short, or given another future, leaves every earlier row bit-identical."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from itertools import cycle

import numpy as np
import polars as pl
import pytest

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.assets import levels, tables
from footprint_assets.sample.market import write_sample
from footprint_assets.settings import HistorySettings, LevelSettings, Root, VectorSettings
from footprint_assets.transforms.episodes import FORWARD_COLUMNS
from footprint_assets_tests.look_ahead import (
    BAR_NS,
    FOOTPRINT_BAR,
    GRID,
    KNOWN,
    Future,
    Market,
    Tables,
    at_session_end,
    first_difference,
    layer,
    leaks,
    market_of,
    mirrored,
    nothing,
    shared_contracts,
    shuffled,
)
from footprint_assets_tests.small_market import build_lake, settings_of

HISTORY = dt.date(2024, 6, 12)
DAY = dt.date(2024, 6, 14)
RECORDS = 6000
CUTS = {"pre-market": 8, "opening range": 6, "regular hours": 12, "attempts": 14}
MINUTE_NS = 60 * 10**9
FIRST_HOURS = "gold.future.market_by_price_10_first3h"
SESSION_LEVELS = "silver.future.session_levels"
WITH_LABELS = {levels.OUTCOMES, "gold.future.levels_signals", "gold.future.setup_vectors"}
MONTHS_WITH_LABELS = {
    f"ml.future.{name}" for name in ("training_set", "retrieval_index", "out_of_fold", "predictions")
}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """The last of three simulated sessions, from two hours before the cash open on: shorter grids, the same windows."""
    root = tmp_path_factory.mktemp("sample")
    write_sample(root / "dbn", HISTORY, DAY, RECORDS)
    settings = settings_of(
        root,
        roots={"ES": Root()},
        levels=LevelSettings(pipelines=("PM_HIGH", "OR_LOW", "SMA_90")),
        history=HistorySettings(profile_days=2, profile_min_days=2),
        vectors=VectorSettings(min_rows=2),
    )
    *before, _ = cme.sessions(HISTORY, DAY)
    build_lake(settings, *before, tables=tables(settings))
    build_lake(settings, DAY, tables=[table for table in tables(settings) if layer(table.key) == "bronze"])
    opening = cme.session(DAY).rth_open_ns
    assert opening is not None
    rng = np.random.default_rng(DAY.toordinal())

    def cuts(whole: Tables) -> tuple[int, ...]:
        windows = {
            "pre-market": (opening - 90 * MINUTE_NS, opening),
            "opening range": (opening, opening + 16 * MINUTE_NS),
            "regular hours": (opening + 16 * MINUTE_NS, opening + 240 * MINUTE_NS),
        }
        found = [
            int(bar) * BAR_NS
            for name, (start, end) in windows.items()
            for bar in rng.integers(start // BAR_NS + 1, end // BAR_NS, CUTS[name])
        ]
        decided = [
            instant
            for level in settings.levels.pipelines
            for instant in whole[levels.keys_of(level)[levels.EPISODES]]["decision_ts"].to_physical()
        ]
        near = rng.integers(-3, 100, CUTS["attempts"]) * BAR_NS
        near[: len(decided)] = 0  # each attempt is cut when it is decided, then anywhere about
        return (*found, *(int(at + shift) for at, shift in zip(cycle(decided), near, strict=False)))

    return market_of(settings, DAY, "ESM4", opening - 120 * MINUTE_NS, cuts)


def test_every_table_says_when_its_rows_are_known(sample: Market) -> None:
    assert set(shared_contracts(sample).values()) == set(KNOWN)


def test_every_table_has_rows_to_compare(sample: Market) -> None:
    last = max(sample.cuts)
    compared: dict[str, int] = {}
    for table, shared in shared_contracts(sample).items():
        known = KNOWN[shared].at(last, sample.whole[table], sample.whole)
        compared[shared] = compared.get(shared, 0) + known.height
    never = {table for table in compared if KNOWN[table].row is at_session_end}
    assert {table for table, height in compared.items() if not height} == never


@pytest.mark.parametrize("nth", range(sum(CUTS.values())))
def test_a_session_cut_short_leaves_every_earlier_row_as_it_was(sample: Market, nth: int) -> None:
    assert leaks(sample, sample.cuts[nth], nothing) == {}


@pytest.mark.parametrize("future", [mirrored, shuffled])
@pytest.mark.parametrize("nth", [3, 12, 26])
def test_another_future_leaves_every_earlier_row_as_it_was(sample: Market, nth: int, future: Future) -> None:
    assert leaks(sample, sample.cuts[nth], future) == {}


def test_a_value_of_the_next_bar_is_found(sample: Market) -> None:
    """The comparison itself: tables that look one row ahead are named, and no other."""
    ahead = {
        GRID: pl.col("bar5s_trade_vol_sum").shift(-1),
        FOOTPRINT_BAR: pl.col("delta").shift(-1).over("bar_type"),
    }
    whole = {
        table: frame.with_columns(ahead[table]) if table in ahead else frame
        for table, frame in sample.whole.items()
    }
    assert set(leaks(replace(sample, whole=whole), sample.cuts[20], nothing)) == set(ahead)


def test_rows_that_differ_in_one_bit_are_found() -> None:
    frame = pl.DataFrame({"x": [0.1, None, 0.3], "n": [1, 2, 3]})
    assert first_difference(frame, frame.clone()) == ""
    assert "x" in first_difference(frame, frame.with_columns(x=pl.Series([0.1, None, 0.1 + 0.2])))
    assert "x" in first_difference(frame.with_columns(x=pl.lit(0.0)), frame.with_columns(x=pl.lit(-0.0))), (
        "a negative zero is another number"
    )
    assert "x" in first_difference(frame, frame.with_columns(pl.col("x").fill_null(0.0)))
    assert first_difference(frame, frame.head(2)) == "3 rows known in the whole session, 2 at the cut"


def test_a_level_is_not_shown_before_it_is_known(sample: Market) -> None:
    known = dict(sample.whole[SESSION_LEVELS].select("level_name", "valid_from_ts").iter_rows())
    book = sample.whole[FIRST_HOURS]
    for name in ("or_high", "or_low"):
        shown = book.select((pl.col("ts_event") >= known[name.upper()]).alias("after"), pl.col(name))
        assert shown.filter(~pl.col("after"))[name].null_count() == (~shown["after"]).sum() > 0
        assert shown.filter("after")[name].null_count() == 0

    series = sample.whole["silver.future.level_series_5s"]
    session = cme.session(DAY)
    opened = pl.col("level_name").str.starts_with("RTH_")
    assert series.filter(opened & (pl.col("bar_ts").to_physical() + BAR_NS <= session.rth_open_ns)).is_empty()
    assert series.filter(opened).height > 0


def test_no_attempt_is_made_at_a_level_before_it_is_known(sample: Market) -> None:
    known = dict(sample.whole[SESSION_LEVELS].select("level_name", "valid_from_ts").iter_rows())
    static = [level for level in sample.settings.levels.pipelines if level in known]
    attempts = [sample.whole[levels.keys_of(level)[levels.EPISODES]] for level in static]
    assert sum(frame.height for frame in attempts) > 0
    for level, frame in zip(static, attempts, strict=True):
        assert (frame["approach_start_ts"] >= known[level]).all()


def test_only_the_tables_for_training_hold_labels() -> None:
    assert {
        key for key in contracts.all_keys() if contracts.load(key).columns_of_kind("label")
    } == WITH_LABELS | MONTHS_WITH_LABELS


def test_no_label_and_nothing_that_looks_beyond_the_decision_is_a_feature() -> None:
    labelled = WITH_LABELS | MONTHS_WITH_LABELS
    labels = {name for key in labelled for name in contracts.load(key).columns_of_kind("label")}
    looks_ahead = labels | {*FORWARD_COLUMNS, "label_end_ts"}
    for key in contracts.all_keys():
        features = set(contracts.load(key).columns_of_kind("feature"))
        assert not features & looks_ahead, key


def test_no_column_is_a_feature_in_one_table_of_a_level_and_metadata_in_another() -> None:
    tables = [
        contracts.load(key) for key in (levels.EPISODES, levels.APPROACH, levels.FEATURES, *WITH_LABELS)
    ]
    features = {name for table in tables for name in table.columns_of_kind("feature")}
    others = {f.name for table in tables for f in table.fields if f.kind in ("id", "meta", "label")}
    assert not features & others
