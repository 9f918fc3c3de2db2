"""The clean book of the real market data: the first Globex hour of 26 December 2023."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl

from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.tables import Scope, Staged, TableInput
from footprint_assets_tests.small_market import TABLES

TRADE_DATE = dt.date(2023, 12, 26)
_UP_TO_THE_BOOK = (
    "bronze.future.definition",
    "bronze.future.trades",
    "bronze.future.front_month",
    "bronze.future.market_by_price_10",
    "silver.future.market_by_price_10_clean",
)


def clean_hour(real_data: Path, lake_root: Path) -> pl.DataFrame:
    """Rows of ``silver.future.market_by_price_10_clean`` of ESH4, made from the vendor's file in a lake of their own."""
    scope = Scope.of(TRADE_DATE, Workbench(Settings(lake_root=lake_root, dbn_dir=real_data / "dbn")))
    for table in (table for table in TABLES if table.key in _UP_TO_THE_BOOK):
        staged = table.stage(scope, table.open_inputs(scope), run_id="test")
        assert isinstance(staged, Staged)
        staged.stage.publish()
    return TableInput(scope.bench.lake, _UP_TO_THE_BOOK[-1], (TRADE_DATE,)).frame("ESH4")
