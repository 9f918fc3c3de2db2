"""Profiles against an independent package, MarketProfile (py-market-profile), where its rules are ours.

It grows the value area by single rows. It differs in what the profiles compared avoid: it goes on at a target met
exactly (``<=``), goes up at every tie, knows traded rows only and rounds a price up to its row, its nodes are raw local
extremes inside the range, and its opening windows run from the first trade and include their end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.settings import ProfileSettings
from footprint_assets_tests.transforms.profile_frames import (
    ONE_ROW,
    PROFILE_A,
    SESSION,
    at_prices,
    row_of,
    summary_of,
)
from footprint_assets_tests.transforms.trade_frames import at, frame, random_day

RAW_EXTREMES = ProfileSettings(smoothing_rows=1, hvn_multiple=0.001, lvn_multiple=1000)
"""Every local extreme of the raw volumes is a node."""

distinct = st.lists(st.integers(1, 500), min_size=3, max_size=30, unique=True)


def market_profile(trades: pl.DataFrame) -> Any:
    package = pytest.importorskip("market_profile", reason="MarketProfile is not installed")
    pandas = pytest.importorskip("pandas")
    price = trades["price"].to_numpy()
    index = pandas.DatetimeIndex(trades["ts_event"].to_physical().to_numpy(), tz="UTC")
    columns = dict.fromkeys(("Open", "High", "Low", "Close"), price)
    table = pandas.DataFrame(columns | {"Volume": trades["size"].to_numpy()}, index=index)
    profile = package.MarketProfile(table, tick_size=0.25, open_range_size=pandas.Timedelta("30min"))
    return profile[table.index[0] : table.index[-1]]


def on_a_ladder(volumes: list[int]) -> pl.DataFrame:
    return at_prices({100 + i / 4: volume for i, volume in enumerate(volumes)})


def test_profile_a_has_the_value_area_of_py_market_profile() -> None:
    oracle = market_profile(at_prices(PROFILE_A))
    row = row_of(summary_of(at_prices(PROFILE_A), footprint=ONE_ROW), "FULL")
    assert (row["val_price"], row["vah_price"]) == oracle.value_area == (100.75, 101.5)
    assert (row["poc_price"], row["balanced_target"]) == (oracle.poc_price, oracle.balanced_target)


@given(distinct)
@settings(max_examples=40, deadline=None)
def test_untied_profiles_equal_those_of_py_market_profile(volumes: list[int]) -> None:
    trades = on_a_ladder(volumes)
    oracle = market_profile(trades)
    row = row_of(summary_of(trades, footprint=ONE_ROW, rules=RAW_EXTREMES), "FULL")
    assert (row["low"], row["high"]) == oracle.profile_range
    assert (row["poc_price"], row["balanced_target"]) == (oracle.poc_price, oracle.balanced_target)
    ours = (row["val_price"], row["vah_price"])
    if 10 * sum(volumes[round(4 * (p - 100))] for p in np.arange(ours[0], ours[1] + 0.1, 0.25)) == 7 * sum(
        volumes
    ):
        assert ours[0] >= oracle.value_area[0]
        assert ours[1] <= oracle.value_area[1]
    else:
        assert ours == oracle.value_area
    ends = (row["low"], row["high"])
    assert [
        price for price in row["hvn_prices"] if price not in ends
    ] == oracle.high_value_nodes.index.to_list()
    assert row["lvn_prices"] == oracle.low_value_nodes.index.to_list()


@pytest.mark.parametrize("seed", range(5))
def test_the_initial_balance_is_that_of_py_market_profile(seed: int) -> None:
    trades = random_day(SESSION, seed)
    opening, closing = at(SESSION, "09:30"), at(SESSION, "16:00")
    cash = trades.filter(pl.col("ts_event").to_physical().is_between(opening, closing, closed="left"))
    first = frame(SESSION, [opening], [cash["price_tick"][0]], [1], [1])
    cash = pl.concat((first, cash))
    oracle = market_profile(cash)
    row = row_of(summary_of(cash), "RTH")
    assert (row["ib_low"], row["ib_high"]) == oracle.initial_balance()
    low, high = oracle.open_range()
    assert row["ib_low"] <= low <= high <= row["ib_high"]
