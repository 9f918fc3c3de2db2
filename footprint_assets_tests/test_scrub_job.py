"""The scrub as a job: an honest lake passes with its size, a damaged one fails and says what mends it, which mends it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from footprint_assets.build import build_definitions
from footprint_assets.lake import Lake
from footprint_assets.scrub_job import LAKE_SCRUB
from footprint_assets.settings import Settings
from footprint_assets_tests.runs import failure_of
from footprint_assets_tests.small_market import BY_KEY, DAY, KEYS, build_lake


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def scrub(settings: Settings, instance: dg.DagsterInstance, **config: Any) -> dg.ExecuteInProcessResult:
    return (
        build_definitions(settings)
        .resolve_job_def(LAKE_SCRUB)
        .execute_in_process(
            run_config={"ops": {"scrub_lake": {"config": config}}}, instance=instance, raise_on_error=False
        )
    )


def parquet_of(lake: Lake, key: str) -> list[Path]:
    return [
        path
        for symbol in lake.symbols(key, DAY)
        for path in sorted(lake.layout.partition(key, DAY, symbol).glob("*.parquet"))
    ]


def test_an_honest_lake_passes_and_says_how_much_was_read(
    built_market: Settings, instance: dg.DagsterInstance
) -> None:
    result = scrub(built_market, instance)

    assert result.success
    (event,) = [e for e in result.all_events if e.event_type == dg.DagsterEventType.STEP_OUTPUT]
    facts = {name: value.value for name, value in event.step_output_data.metadata.items()}
    files = [path for path in built_market.lake_root.rglob("*.parquet") if "dt=" in str(path)]
    assert facts["tables"] == len(KEYS)
    assert facts["trade_dates"] == 2 * len(KEYS)
    assert facts["bytes"] >= sum(path.stat().st_size for path in files)
    assert facts["damaged_files"] == 0


def test_one_flipped_bit_fails_it_and_what_it_says_mends_it(
    own_market: Settings, instance: dg.DagsterInstance
) -> None:
    lake, key = Lake(own_market.lake_root), "gold.future.footprint_bars"
    path = parquet_of(lake, key)[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    result = scrub(own_market, instance)

    failure = failure_of(result).user_failure_data
    assert (
        "1 files of 2025-06-04 are not what was published. Remedy: remove the partitions"
        in failure.description
    )
    (row,) = re.findall(
        rf"^\| (\S+) \| {path.name} \| \w+ \| \w+ \|$", failure.metadata["damaged"].value, re.M
    )
    assert lake.root / row == path.parent
    assert scrub(own_market, instance, start="2025-06-05").success

    shutil.rmtree(lake.root / row)
    build_lake(own_market, DAY, tables=[BY_KEY[key]])
    assert bytes(content) != path.read_bytes()
    assert scrub(own_market, instance).success


def test_a_lost_manifest_does_not_hide_the_rest(own_market: Settings, instance: dg.DagsterInstance) -> None:
    lake = Lake(own_market.lake_root)
    for key in ("silver.future.bbo", "silver.future.ohlcv"):
        (parquet_of(lake, key)[0].parent / "_MANIFEST.json").unlink()

    failure = failure_of(scrub(own_market, instance)).user_failure_data

    assert failure.metadata["damaged_files"].value == 2
    assert failure.metadata["damaged"].value.count("_MANIFEST.json") == 2
