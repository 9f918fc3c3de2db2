"""What Dagster shows of a table: facts and picture of a real run, lineage of columns, groups and tags."""

from __future__ import annotations

import base64
import datetime as dt
import re
import shutil
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from footprint_assets.materialization import column_lineage, group_of, materialization_facts, tags_of
from footprint_assets.page_assets import build_page_assets
from footprint_assets.report import picture
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets_tests.runs import materialized, resources, run
from footprint_assets_tests.small_market import BY_KEY, DAY, TABLES

OHLCV, PROFILE, LEVELS, VECTORS = (
    "silver.future.ohlcv",
    "silver.future.volume_profile_price",
    "silver.future.session_levels",
    "gold.future.setup_vectors",
)


def unpublish(settings: Settings, key: str) -> None:
    layout = Workbench(settings).lake.layout
    for symbol in layout.symbols(key, DAY):
        shutil.rmtree(layout.partition(key, DAY, symbol))


def svgs(markdown: str) -> Iterator[ET.Element]:
    for data in re.findall(r"!\[\w+\]\(data:image/svg\+xml;base64,([^)]*)\)", markdown):
        yield ET.fromstring(base64.b64decode(data))


def test_a_run_records_time_range_throughput_place_and_a_picture_of_each_contract(
    own_market: Settings,
) -> None:
    unpublish(own_market, OHLCV)

    recorded = materialized(run(own_market, [], OHLCV))[OHLCV]

    folder = own_market.lake_root.absolute() / "silver/product_type=future/symbol=*/table=ohlcv/dt=2025-06-04"
    assert recorded["path"] == str(folder)
    assert recorded["contract_version"] == BY_KEY[OHLCV].contract.version
    assert re.fullmatch(r"06-03 18:0\d:\d\d – 1[56]:\d\d:\d\d ET \(bar_ts\)", recorded["time_range"])
    rows = recorded["dagster/partition_row_count"]
    assert recorded["rows_per_second"] == pytest.approx(rows / recorded["pass_seconds"], rel=0.2)
    pictures = [drawn for symbol in ("ESM5", "NQM5") for drawn in svgs(recorded[f"picture_{symbol}"])]
    closes = Workbench(own_market).lake.read(OHLCV, DAY, "ESM5").frame()
    last = closes.filter(pl.col("interval").cast(str) == "5m").sort("bar_ts")["close"][-1]
    labels = [text.text for text in pictures[0].iter("{http://www.w3.org/2000/svg}text")]
    high = closes["high"].max()
    assert f"{high:g}" in labels
    assert last <= high


def test_a_partition_that_is_current_is_not_drawn_again(own_market: Settings) -> None:
    recorded = materialized(run(own_market, [], OHLCV))[OHLCV]

    assert recorded["written"] == "unchanged"
    assert "time_range" in recorded
    assert {"picture_ESM5", "rows_per_second"}.isdisjoint(recorded)


@pytest.mark.parametrize("key", [OHLCV, PROFILE, LEVELS, VECTORS])
def test_a_picture_is_small_valid_and_the_same_again(built_market: Settings, key: str) -> None:
    bench = Workbench(built_market)
    manifests = bench.lake.manifests(key, DAY)
    first, again = (
        {
            name: str(value.value)
            for name, value in materialization_facts(bench, key, DAY, manifests, seconds=1.0).items()
            if name.startswith("picture_")
        }
        for _ in range(2)
    )
    assert first == again
    assert set(first) == {f"picture_{symbol}" for symbol, manifest in manifests.items() if manifest.rows}
    for markdown in first.values():
        assert len(markdown) <= picture.LONGEST_MARKDOWN  # Dagster hides longer ones behind a link
        assert len(list(svgs(markdown))) == 1


def test_names_in_a_picture_are_text() -> None:
    hostile = '<a x="&">'
    levels = pl.DataFrame(
        {
            "level_name": [hostile],
            "level_class": ["PREMARKET"],
            "level_price": [5400.25],
            "valid_from_ts": [dt.datetime(2025, 6, 4, 13, 30, tzinfo=dt.UTC)],
        }
    )
    drawn = ET.fromstring(picture.levels_picture(levels, ["PREMARKET"]))
    assert [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")] == [hostile[:10]]


def test_tables_lead_to_their_pages(built_market: Settings) -> None:
    bench = Workbench(built_market)
    facts = materialization_facts(bench, LEVELS, DAY, bench.lake.manifests(LEVELS, DAY), seconds=0.0)
    assert facts["pages"].value == "* [page/future/session](/assets/page/future/session?partition=2025-06-04)"


@pytest.mark.parametrize(
    ("key", "column", "sources"),
    [
        (
            "silver.future.market_by_price_10_clean",
            "bid_px_00",
            ["bronze.future.market_by_price_10 bid_px_00"],
        ),
        ("silver.future.ohlcv", "high", []),
        (
            "gold.future.pm_high_features",
            "episode_id",
            ["silver.future.market_by_price_10_pm_high_approach episode_id"],
        ),
        (
            "gold.future.levels_signals",
            "outcome",
            [
                f"silver.future.market_by_price_10_{level}_outcomes outcome"
                for level in ("or_high", "or_low", "pm_high", "pm_low", "sma_90")
            ],
        ),
        ("gold.future.market_features", "fp1m_delta", ["silver.future.footprint_bar delta"]),
        ("gold.future.levels_signals", "fp1m_delta", ["gold.future.market_features fp1m_delta"]),
    ],
)
def test_the_lineage_of_a_column_is_what_the_contracts_know(
    key: str, column: str, sources: list[str]
) -> None:
    deps = column_lineage(BY_KEY[key]).deps_by_column.get(column, [])
    assert sorted(f"{'.'.join(dep.asset_key.path)} {dep.column_name}" for dep in deps) == sources


def test_lineage_names_only_columns_of_inputs_that_exist() -> None:
    schemas = {table.key: set(table.contract.columns) for table in TABLES}
    for table in TABLES:
        deps = column_lineage(table).deps_by_column
        assert set(deps) <= schemas[table.key]
        for dep in (dep for found in deps.values() for dep in found):
            source = ".".join(dep.asset_key.path)
            assert source in table.inputs.values()
            assert dep.column_name in schemas[source]


def test_the_graph_has_groups_and_tags_one_can_look_at() -> None:
    groups: dict[str, int] = {}
    for table in TABLES:
        groups[group_of(table)] = groups.get(group_of(table), 0) + 1
    assert groups == {
        "bronze": 5,
        "silver_basics": 9,
        "silver_sessions": 8,
        "silver_market": 3,
        **dict.fromkeys(
            ("silver_pm_high", "silver_pm_low", "silver_or_high", "silver_or_low", "silver_sma_90"), 3
        ),
        "gold": 11,
    }
    assert tags_of(BY_KEY["gold.future.pm_high_features"]) == {
        "layer": "gold",
        "product": "future",
        "level": "pm_high",
    }


def test_a_page_is_made_by_materializing_its_asset(built_market: Settings, tmp_path: Path) -> None:
    settings = built_market.model_copy(update={"pages_root": tmp_path})
    session, *_ = build_page_assets(settings)

    result = dg.materialize([session], partition_key=DAY.isoformat(), resources=resources(settings))

    (made,) = result.asset_materializations_for_node("page__future__session")
    assert {"ESM5", "ESM5_url", "NQM5", "dagster/uri"} <= set(made.metadata)
    file = Path(str(made.metadata["ESM5"].value))
    assert file == tmp_path / "dt=2025-06-04" / "ESM5-session.html"
    assert file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert made.metadata["ESM5_url"].value == file.as_uri()


def test_a_page_of_a_date_that_is_not_published_fails_in_plain_words(
    built_market: Settings, tmp_path: Path
) -> None:
    settings = built_market.model_copy(update={"pages_root": tmp_path})
    quality = build_page_assets(settings)[2]

    result = dg.materialize(
        [quality], partition_key="2025-06-06", resources=resources(settings), raise_on_error=False
    )

    (failure,) = (event for event in result.all_events if event.is_step_failure)
    assert "No trade date of the range is published" in str(failure.step_failure_data.user_failure_data)
    assert list(tmp_path.iterdir()) == []
