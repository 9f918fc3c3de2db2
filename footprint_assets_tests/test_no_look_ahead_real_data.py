"""No row of a real hour knows what comes after it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from footprint_assets.assets import tables
from footprint_assets.lake import Lake
from footprint_assets.settings import EpisodeSettings, LevelSettings
from footprint_assets_tests.look_ahead import (
    BAR_NS,
    GRID,
    Future,
    Market,
    Tables,
    first_difference,
    leaks,
    market_of,
    mirrored,
    nothing,
    shuffled,
)
from footprint_assets_tests.small_market import build_lake, rows, settings_of

pytestmark = pytest.mark.realdata

CHRISTMAS_EVENING = dt.date(2023, 12, 26)
CUTS = 12
WARM_UP_BARS = 12


@pytest.fixture(scope="module")
def hour(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Market:
    """The first Globex hour of ESH4 on 26 December 2023, with attempts at the levels an hour has."""
    root = tmp_path_factory.mktemp("hour")
    (root / "dbn").symlink_to(real_data / "dbn")
    settings = settings_of(
        root,
        levels=LevelSettings(pipelines=("DEV_POC", "EMA_20", "GLOBEX_VWAP_PLUS_1SD")),
        episodes=EpisodeSettings(sessions=("ETH_ASIA",)),
    )
    build_lake(settings, CHRISTMAS_EVENING, tables=tables(settings))
    rng = np.random.default_rng(CHRISTMAS_EVENING.toordinal())

    def cuts(whole: Tables) -> tuple[int, ...]:
        ends = whole[GRID]["bar_ts"].to_physical().to_numpy() + BAR_NS
        return tuple(rng.choice(ends[WARM_UP_BARS:-1], CUTS, replace=False).tolist())

    return market_of(settings, CHRISTMAS_EVENING, "ESH4", 0, cuts)


@pytest.mark.parametrize("nth", range(CUTS))
def test_an_hour_cut_short_leaves_every_earlier_row_as_it_was(hour: Market, nth: int) -> None:
    assert leaks(hour, hour.cuts[nth], nothing) == {}


@pytest.mark.parametrize("future", [mirrored, shuffled])
def test_another_future_leaves_every_earlier_row_as_it_was(hour: Market, future: Future) -> None:
    assert leaks(hour, hour.cuts[0], future) == {}


def test_the_tables_held_in_memory_are_those_the_graph_publishes(hour: Market) -> None:
    lake = Lake(hour.settings.lake_root)
    published = {table: rows(lake, table, CHRISTMAS_EVENING)["ESH4"] for table in hour.whole}
    assert {
        table for table, frame in hour.whole.items() if first_difference(frame, published[table])
    } == set()


def test_the_hour_has_attempts(hour: Market) -> None:
    assert sum(frame.height for table, frame in hour.whole.items() if table.endswith("_episodes")) > 0
