"""Dagster's record follows the lake: reported once, and only where it differs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from footprint_assets.catalog import synchronise
from footprint_assets.lake import Lake
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets_tests.command_line import Shell
from footprint_assets_tests.partition_state import in_the_lake, recorded
from footprint_assets_tests.runs import run
from footprint_assets_tests.small_market import BY_KEY, DAY, KEYS, NEXT, TABLES, republish, rows

OHLCV = "silver.future.ohlcv"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def test_a_lake_dagster_knows_nothing_of_is_reported_once(
    built_market: Settings, instance: dg.DagsterInstance
) -> None:
    bench = Workbench(built_market)

    first = synchronise(instance, bench, TABLES)
    second = synchronise(instance, bench, TABLES)

    assert first.reported == {key: [DAY, NEXT] for key in KEYS}
    assert (first.agreed, second.agreed, second.reported) == (0, 2 * len(KEYS), {})
    assert recorded(instance, KEYS) == in_the_lake(built_market, KEYS)
    asset = dg.AssetKey(OHLCV.split("."))
    assert instance.get_materialized_partitions(asset) == {str(DAY), str(NEXT)}
    assert len(instance.fetch_materializations(asset, limit=10).records) == 2


def test_comparing_alone_reports_nothing(built_market: Settings, instance: dg.DagsterInstance) -> None:
    found = synchronise(instance, Workbench(built_market), TABLES, report=False)

    assert found.reported == {key: [DAY, NEXT] for key in KEYS}
    assert instance.all_asset_keys() == []


def test_a_run_needs_no_report_and_a_partition_published_past_dagster_does(
    own_market: Settings, instance: dg.DagsterInstance
) -> None:
    bench, lake, table = Workbench(own_market), Lake(own_market.lake_root), BY_KEY[OHLCV]
    synchronise(instance, bench, [table])
    run(own_market, [], OHLCV, instance=instance)
    assert synchronise(instance, bench, [table]).reported == {}

    frames = {symbol: frame.tail(-1) for symbol, frame in rows(lake, OHLCV).items()}
    republish(lake, OHLCV, DAY, frames)

    assert synchronise(instance, bench, [table]).reported == {OHLCV: [DAY]}
    assert recorded(instance, [OHLCV]) == in_the_lake(own_market, [OHLCV])


def test_what_the_lake_lacks_and_what_is_torn_is_told(
    own_market: Settings, instance: dg.DagsterInstance
) -> None:
    bench, lake = Workbench(own_market), Lake(own_market.lake_root)
    synchronise(instance, bench, TABLES)
    for symbol in lake.symbols(OHLCV, DAY):
        shutil.rmtree(lake.layout.partition(OHLCV, DAY, symbol))
    (lake.layout.partition("silver.future.bbo", NEXT, "ESM5") / "_MANIFEST.json").write_text("{")

    found = synchronise(instance, bench, TABLES)

    assert found.claimed == {OHLCV: [DAY]}
    assert found.unreadable == {"silver.future.bbo": [NEXT]}
    assert found.reported == {}


def test_the_command_says_what_it_did_and_fails_where_the_lake_lacks_something(
    built_market: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(built_market.lake_root, tmp_path / "data" / "lake")
    shell = Shell(tmp_path, monkeypatch, capsys)

    said = shell("sync-catalog --dry-run")
    assert (said.code, said.out) == (0, f"0 partitions agree, {2 * len(KEYS)} differ\n")
    said = shell("sync-catalog")
    assert (said.code, said.out) == (0, f"0 partitions agree, {2 * len(KEYS)} reported to Dagster\n")
    lake = Lake(tmp_path / "data" / "lake")
    for symbol in lake.symbols(OHLCV, DAY):
        shutil.rmtree(lake.layout.partition(OHLCV, DAY, symbol))
    said = shell("sync-catalog")
    assert (said.code, said.out) == (1, f"{2 * len(KEYS) - 1} partitions agree, 0 reported to Dagster\n")
    assert said.err == f"{OHLCV}: Dagster has it, the lake does not: {DAY}\n"
