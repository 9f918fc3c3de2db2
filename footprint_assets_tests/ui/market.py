"""The lake the browser looks at: one rule is broken, and one table of the newer trade date is not there yet."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import polars as pl

from footprint_assets.build import build_definitions
from footprint_assets.lake import Lake
from footprint_assets.settings import Settings
from footprint_assets_tests.small_market import BY_KEY, DAY, NEXT, republish, rows, settings_of

FRONT_MONTH = "bronze.future.front_month"
"""The table that is missing for the newer trade date."""

OHLCV = "silver.future.ohlcv"
PROFILE = "silver.future.volume_profile_price"
RULE = "volume_conserved"
"""The rule over ``PROFILE`` and the tables of the same trades that finds the volume of ``OHLCV`` different."""


def write_market(built: Settings, folder: Path) -> Settings:
    """Copy a lake of two trade dates to where the command line looks for it, and spoil it.

    Args:
        built: The lake, and its files.
        folder: The working directory; lake, files and Dagster's home lie in its ``data``.
    """
    settings = settings_of(folder / "data")
    shutil.copytree(built.lake_root.parent, folder / "data")
    lake = Lake(settings.lake_root)
    more = {symbol: frame.with_columns(pl.col("volume") + 1) for symbol, frame in rows(lake, OHLCV).items()}
    republish(lake, OHLCV, DAY, more)
    for partition in settings.lake_root.glob(f"bronze/*/*/*/table=front_month/dt={NEXT}"):
        shutil.rmtree(partition)
    assert NEXT not in lake.dates(FRONT_MONTH)
    return settings


def judge(settings: Settings) -> bool:
    """Run the table and its rule over the older date, as the daily run does; whether the rule held."""
    assets = dg.AssetSelection.assets(*(dg.AssetKey(key.split(".")) for key in BY_KEY[PROFILE].pass_keys))
    rule = dg.AssetSelection.checks(dg.AssetCheckKey(dg.AssetKey(PROFILE.split(".")), RULE))
    job = dg.define_asset_job("judge", assets | rule)
    definitions = dg.Definitions.merge(build_definitions(settings), dg.Definitions(jobs=[job]))
    with dg.DagsterInstance.get() as instance:
        result = definitions.resolve_job_def("judge").execute_in_process(
            partition_key=DAY.isoformat(), instance=instance
        )
    return all(check.passed for check in result.get_asset_check_evaluations())
