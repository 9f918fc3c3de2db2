"""The filtered bars: the rows of the window, the columns that can be seen, nothing else changed."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.settings import GoldSettings
from footprint_assets.transforms.bar5s_filtered import TABLE, bar5s_filtered
from footprint_assets_tests.transforms.wide_frames import BAR, instants, random_rows

BARS = "silver.future.market_by_price_10_bar5s"
DAY = dt.date(2024, 6, 12)
HOLIDAY = dt.date(2024, 1, 15)
SETTINGS = GoldSettings()


def bars_around(day: dt.date, start: dt.time, end: dt.time):
    """Bars from one minute before a wall time to one minute after another."""
    starts = np.arange(cme.et_ns(day, start) - 12 * BAR, cme.et_ns(day, end) + 12 * BAR, BAR)
    return random_rows(BARS, len(starts), 3, {"bar_ts": instants(starts), "symbol": "ESM4"})


def test_the_bars_of_the_window_are_kept_as_they_are():
    bars = bars_around(DAY, dt.time(9, 30), dt.time(12, 30))
    table = bar5s_filtered(bars, cme.session(DAY), SETTINGS)
    assert table.equals(bars[12:-12].select(contracts.load(TABLE).columns))
    contracts.Validator(contracts.load(TABLE)).validate(table)


def test_the_end_of_the_window_is_a_setting_and_excluded():
    bars = bars_around(DAY, dt.time(9, 30), dt.time(16))
    table = bar5s_filtered(bars, cme.session(DAY), GoldSettings(filtered_end=dt.time(16)))
    assert table.height == 6.5 * 3600 / 5
    assert table["bar_ts"].to_physical().max() + BAR == cme.et_ns(DAY, dt.time(16))


def test_a_date_without_a_cash_session_has_no_row():
    bars = bars_around(HOLIDAY, dt.time(9, 30), dt.time(12, 30))
    assert bar5s_filtered(bars, cme.session(HOLIDAY), SETTINGS).height == 0


def test_the_48_columns_of_the_bands_beyond_the_ladder_are_gone_and_no_other():
    silver, gold = contracts.load(BARS), contracts.load(TABLE)
    dropped = [name for name in silver.columns if name not in gold.columns]
    assert len(dropped) == 48
    assert all("p3_5" in name or "p5_10" in name for name in dropped)
    assert list(gold.fields) == [field for field in silver.fields if field.name not in dropped]


def test_a_window_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match="after filtered_start"):
        GoldSettings(filtered_end=dt.time(9))
