"""What exists, what is stale and what is missing, table by table."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import polars as pl

from footprint_assets.assets.levels import keys_of
from footprint_assets.resources import Workbench
from footprint_assets.settings import LevelSettings, Settings
from footprint_assets.status import status
from footprint_assets.transforms.book_pass import TABLES as TABLES_OF_BOOK
from footprint_assets_tests.small_market import (
    DAY,
    KEYS,
    NEXT,
    THIRD,
    build_lake,
    republish,
    rows,
    settings_of,
    write_drop,
)

PROFILE = "silver.future.volume_profile_session"
SUMMARY = "silver.future.session_summary"


def test_a_built_lake_is_current(built_market: Settings) -> None:
    found = status(Workbench(built_market), DAY, NEXT)

    assert list(found) == [DAY, NEXT]
    assert all(list(tables) == list(KEYS) for tables in found.values())
    assert {state for tables in found.values() for state in tables.values()} <= {"current", "empty"}
    assert {key for key, state in found[NEXT].items() if state == "empty"} < {
        key for key in KEYS if "_pm_" in key or "_or_" in key or "_sma_" in key or "pm_" in key
    }


def test_a_date_with_files_and_no_lake_is_missing(own_market: Settings) -> None:
    write_drop(own_market.dbn_dir, (DAY, NEXT, THIRD))

    found = status(Workbench(own_market), THIRD, THIRD)

    assert found == {THIRD: dict.fromkeys(KEYS, "missing")}


def test_a_table_without_a_source_is_empty_and_current(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    write_drop(settings.dbn_dir, schemas=("trades",))
    build_lake(settings, DAY)

    found = status(Workbench(settings), DAY, DAY)[DAY]

    assert {table for table, state in found.items() if state == "empty"} == {
        "bronze.future.market_by_price_10",
        "bronze.future.definition",
        "bronze.future.statistics",
        "silver.future.market_by_price_10_clean",
        *TABLES_OF_BOOK,
        "silver.future.level_series_5s",
        "silver.future.prior_sessions",
        "silver.future.market_by_price_10_bar5s_ext",
        "silver.future.market_rolling_5s",
        "silver.future.session_context_5s",
        *(key for level in LevelSettings().pipelines for key in keys_of(level).values()),
        "gold.future.market_by_price_10_first3h",
        "gold.future.market_by_price_10_bar5s_filtered",
        "gold.future.market_features",
        "gold.future.levels_signals",
        "gold.future.setup_vectors",
    }
    assert set(found.values()) == {"empty", "current"}


def test_a_changed_setting_makes_its_tables_stale(own_market: Settings) -> None:
    settings = settings_of(own_market.lake_root.parent, levels=LevelSettings(opening_range_minutes=5))

    found = status(Workbench(settings), DAY, DAY)[DAY]

    # What is made of a stale table is told once that one is made again.
    assert {table for table, state in found.items() if state == "stale"} == {
        "silver.future.session_levels",
        PROFILE,
    }


def test_a_changed_prior_session_makes_what_the_next_looks_back_on_stale(own_market: Settings) -> None:
    lake = Workbench(own_market).lake
    frames = {s: f.with_columns(pl.col("high") + 1) for s, f in rows(lake, SUMMARY).items()}
    republish(lake, SUMMARY, DAY, frames)

    found = status(Workbench(own_market), NEXT, NEXT)[NEXT]

    assert [table for table, state in found.items() if state == "stale"] == ["silver.future.prior_sessions"]


def test_a_published_date_whose_files_are_gone_is_stale_not_forgotten(own_market: Settings) -> None:
    shutil.rmtree(own_market.dbn_dir)

    found = status(Workbench(own_market))

    assert list(found) == [DAY, NEXT]
    assert found[DAY]["bronze.future.trades"] == "stale"
    assert found[DAY]["silver.future.ohlcv"] == "current"


def test_a_weekend_is_never_listed(own_market: Settings) -> None:
    assert status(Workbench(own_market), dt.date(2025, 6, 7), dt.date(2025, 6, 8)) == {}


def test_a_torn_table_and_what_is_made_of_it_are_stale(own_market: Settings) -> None:
    (prices,) = own_market.lake_root.glob(f"silver/*/symbol=ESM5/table=volume_profile_price/dt={DAY}")
    (prices / "_SUCCESS").unlink()

    found = status(Workbench(own_market), DAY, DAY)[DAY]

    assert {table for table, state in found.items() if state == "stale"} == {
        "silver.future.volume_profile_price",
        PROFILE,
    }
