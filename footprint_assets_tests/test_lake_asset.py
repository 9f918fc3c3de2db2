"""The failure policy: what is published, what is recorded and how the run ends, row by row of the module's table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import dagster as dg
import polars as pl
import pytest

from footprint_assets import contracts
from footprint_assets.lake import Lake
from footprint_assets.lake_asset import LAKE_TABLE, build_assets, lake_stream_asset
from footprint_assets.settings import Settings
from footprint_assets.tables import Batch, LakeTable, Scope, TableInput
from footprint_assets_tests.runs import contract_checks, failure_of, materialized, run, was_retried
from footprint_assets_tests.small_market import BY_KEY, DAY, THIRD, files_of, republish, rows

FRONT_MONTH = "bronze.future.front_month"
TRADES = "bronze.future.trades"
PASSED, FAILED = ("SUCCEEDED", "2025-06-04"), ("FAILED", "2025-06-04")
NOT_EVALUATED = ("PLANNED", "2025-06-04")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def good(own_market: Settings) -> pl.DataFrame:
    return rows(Lake(own_market.lake_root), FRONT_MONTH)["ES"]


def table_of(*batches: Batch) -> LakeTable:
    """A lake table that yields these batches, whatever the trade date."""

    @lake_stream_asset(FRONT_MONTH)
    def table(scope: Scope) -> Iterator[Batch]:
        yield from batches

    return table


def test_rows_that_keep_the_contract_are_published_and_the_check_of_the_partition_passes(
    own_market: Settings, good: pl.DataFrame, instance: dg.DagsterInstance
) -> None:
    lake = Lake(own_market.lake_root)

    result = run(
        own_market, [table_of(Batch("ES", good.with_columns(volume=pl.lit(7, pl.Int64))))], instance=instance
    )

    assert result.success
    assert rows(lake, FRONT_MONTH)["ES"]["volume"].to_list() == [7, 7]
    assert contract_checks(instance, FRONT_MONTH) == [PASSED]
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.metadata["rows_validated"].value == 2
    recorded = materialized(result)[FRONT_MONTH]
    manifest = lake.manifests(FRONT_MONTH, DAY)["ES"]
    assert recorded["dagster/partition_row_count"] == 2
    assert recorded["symbols"] == "ES"
    assert recorded["generations"] == {"ES": manifest.generation}
    assert recorded["written"] == "published"
    assert manifest.lineage.run_id == result.run_id


def test_unchanged_inputs_code_and_contract_write_nothing_and_the_check_passes(
    own_market: Settings, good: pl.DataFrame, instance: dg.DagsterInstance
) -> None:
    table = table_of(Batch("ES", good))
    run(own_market, [table], instance=instance)
    before = files_of(Lake(own_market.lake_root))

    result = run(own_market, [table], instance=instance)

    assert result.success
    assert files_of(Lake(own_market.lake_root)) == before
    assert materialized(result)[FRONT_MONTH]["written"] == "unchanged"
    assert contract_checks(instance, FRONT_MONTH) == [PASSED, PASSED]


def test_a_broken_contract_publishes_nothing_records_the_check_and_is_not_retried(
    own_market: Settings, good: pl.DataFrame, instance: dg.DagsterInstance
) -> None:
    before = files_of(Lake(own_market.lake_root))
    broken = good.with_columns(
        volume=pl.when(pl.col("contract") == "ESU5").then(-5).otherwise("volume").cast(pl.Int64)
    )

    result = run(own_market, [table_of(Batch("ES", broken))], instance=instance)

    assert not result.success
    assert not was_retried(result)
    assert files_of(Lake(own_market.lake_root)) == before
    assert materialized(result) == {}
    assert contract_checks(instance, FRONT_MONTH) == [FAILED]
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.severity == dg.AssetCheckSeverity.ERROR
    said = evaluation.metadata["violation"].value
    assert "volume: >= 0 broken in 1 row (first: row=1" in said
    assert "contract=ESU5, volume=-5" in said
    assert "table=bronze.future.front_month, columns=volume, failures=1" in said
    assert failure_of(result).user_failure_data.description == said


def test_a_good_batch_before_a_broken_one_is_not_published_either(
    own_market: Settings, good: pl.DataFrame, instance: dg.DagsterInstance
) -> None:
    before = files_of(Lake(own_market.lake_root))
    broken = rows(Lake(own_market.lake_root), FRONT_MONTH)["NQ"].with_columns(rank=pl.lit(0, pl.Int16))

    result = run(own_market, [table_of(Batch("ES", good), Batch("NQ", broken))], instance=instance)

    assert not result.success
    assert files_of(Lake(own_market.lake_root)) == before


@pytest.mark.parametrize(
    "malform",
    [
        lambda frame: frame.with_columns(pl.col("volume").cast(pl.Int32)),
        lambda frame: frame.with_columns(pl.lit(None, pl.String).alias("contract")),
        lambda frame: frame.reverse(),
        lambda frame: pl.concat([frame[:1], frame[:1]]),
        lambda frame: frame.drop("rank"),
    ],
    ids=["type", "null", "order", "key", "column"],
)
def test_columns_types_nulls_order_and_keys_are_part_of_the_contract(
    own_market: Settings,
    good: pl.DataFrame,
    instance: dg.DagsterInstance,
    malform: Callable[[pl.DataFrame], pl.DataFrame],
) -> None:
    before = files_of(Lake(own_market.lake_root))

    result = run(own_market, [table_of(Batch("ES", malform(good)))], instance=instance)

    assert not result.success
    assert contract_checks(instance, FRONT_MONTH) == [FAILED]
    assert files_of(Lake(own_market.lake_root)) == before


def test_a_truncated_file_fails_the_date_by_file_offset_and_rule_and_the_last_good_rows_stay(
    own_market: Settings, instance: dg.DagsterInstance
) -> None:
    lake = Lake(own_market.lake_root)
    before = files_of(lake)
    path = own_market.dbn_dir / "glbx-mdp3-20250604.trades.dbn.zst"
    path.write_bytes(path.read_bytes()[:-20])

    result = run(own_market, [], TRADES, instance=instance)

    assert not result.success
    assert not was_retried(result)
    assert files_of(lake) == before
    assert contract_checks(instance, TRADES) == [NOT_EVALUATED]
    said = failure_of(result).user_failure_data.description
    assert f"file={path}" in said
    assert "rule=truncated_frame" in said
    assert "offset=" in said
    assert "Remedy: " in said


def test_a_failed_table_stops_what_is_made_from_it_and_nothing_else(
    own_market: Settings, instance: dg.DagsterInstance
) -> None:
    path = own_market.dbn_dir / "glbx-mdp3-20250604.statistics.dbn.zst"
    path.write_bytes(path.read_bytes()[:-20])
    profile = ("silver.future.volume_profile_price", "silver.future.volume_profile_session")

    result = run(own_market, [], FRONT_MONTH, "bronze.future.statistics", *profile, instance=instance)

    assert sorted(materialized(result)) == [FRONT_MONTH, "silver.future.volume_profile_price"]


def test_rows_that_are_not_accounted_for_are_refused_in_the_lakes_words_and_not_retried(
    own_market: Settings, good: pl.DataFrame, instance: dg.DagsterInstance
) -> None:
    before = files_of(Lake(own_market.lake_root))

    result = run(
        own_market, [table_of(Batch("ES", good, rows_in=10, filtered={"a_rule": 7}))], instance=instance
    )

    assert not result.success
    assert not was_retried(result)
    assert files_of(Lake(own_market.lake_root)) == before
    assert materialized(result) == {}
    said = failure_of(result).user_failure_data.description
    assert "rows read are not rows written + quarantined + filtered" in said
    assert "symbol=ES, rows_in=10, accounted=9" in said


def test_an_input_that_is_not_published_fails_the_run_naming_the_command_that_builds_it(
    own_market: Settings, instance: dg.DagsterInstance
) -> None:
    result = run(own_market, [], "silver.future.ohlcv", day=THIRD, instance=instance)

    said = failure_of(result).user_failure_data.description
    assert "silver.future.trades_clean is not published for 2025-06-06" in said
    assert "Remedy: footprint-assets run --date 2025-06-06" in said


def test_an_error_in_our_own_code_is_no_verdict_on_the_data(
    own_market: Settings, instance: dg.DagsterInstance
) -> None:
    @lake_stream_asset(FRONT_MONTH)
    def faulty(scope: Scope) -> Iterator[Batch]:
        raise ZeroDivisionError("our own fault")

    before = files_of(Lake(own_market.lake_root))
    result = run(own_market, [faulty], instance=instance)

    assert not result.success
    assert result.get_asset_check_evaluations() == []
    assert files_of(Lake(own_market.lake_root)) == before
    assert "our own fault" in str(failure_of(result).error)


def test_a_partition_published_past_the_contract_does_not_pass_as_the_contracts(
    own_market: Settings, good: pl.DataFrame, instance: dg.DagsterInstance
) -> None:
    """What another program put there is stale, so the next run replaces it by rows that were validated."""
    table = BY_KEY[FRONT_MONTH]
    lake = Lake(own_market.lake_root)
    republish(lake, FRONT_MONTH, DAY, {"ES": good[:1]}, lineage=lake.manifests(TRADES, DAY)["ESM5"].lineage)

    result = run(own_market, [table], instance=instance)

    assert materialized(result)[FRONT_MONTH]["written"] == "published"
    assert rows(lake, FRONT_MONTH)["ES"].equals(good)


def test_an_asset_shows_its_contract_before_it_ever_ran() -> None:
    (asset,) = build_assets([BY_KEY["silver.future.trades_clean"]])

    metadata = asset.metadata_by_key[asset.key]
    columns = {column.name: column for column in metadata["dagster/column_schema"].columns}

    assert metadata[LAKE_TABLE] == "silver.future.trades_clean"
    assert metadata["contract_version"] == contracts.load("silver.future.trades_clean").version
    assert list(columns) == list(contracts.load("silver.future.trades_clean").columns)
    assert all(column.description for column in columns.values())
    assert not columns["size"].constraints.nullable
    assert columns["bid_px"].constraints.nullable
    assert asset.descriptions_by_key[asset.key].startswith("Every fill once")


def test_a_table_with_inputs_reads_them_through_the_io_manager(
    own_market: Settings, instance: dg.DagsterInstance
) -> None:
    seen: list[TableInput] = []

    @lake_stream_asset("silver.future.ohlcv", inputs={"fills": "silver.future.trades_clean"})
    def reading(scope: Scope, fills: TableInput) -> Iterator[Batch]:
        seen.append(fills)
        yield Batch("ESM5", rows(scope.bench.lake, "silver.future.ohlcv")["ESM5"])

    result = run(own_market, [reading], instance=instance)

    assert result.success
    assert [(table.table, table.dates, table.optional) for table in seen] == [
        ("silver.future.trades_clean", (DAY,), False)
    ]
    lineage = Lake(own_market.lake_root).manifests("silver.future.ohlcv", DAY)["ESM5"].lineage
    assert {(ref.table, ref.symbol) for ref in lineage.inputs} == {
        ("silver.future.trades_clean", "ESM5"),
        ("silver.future.trades_clean", "NQM5"),
    }
