"""The lake-asset decorator: a table's function becomes a Dagster asset that publishes only what passed its contract.

Preview Dagster APIs (check specs with partitions) have two homes: here and in `asset_checks`.

| what happened                    | what is published        | check ``contract`` | the run             |
|----------------------------------|--------------------------|--------------------|---------------------|
| every batch passed               | the new partition        | passed             | goes on             |
| inputs, code, contract unchanged | nothing: it is current   | passed             | goes on             |
| a batch broke the contract       | nothing: the last stays  | failed             | fails, not retried  |
| a source or an input was refused | nothing: the last stays  | none               | fails, not retried  |
| rows are not accounted for       | nothing: the last stays  | none               | fails, not retried  |
"""

import datetime as dt
import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping

import dagster as dg
import polars as pl
from pydantic import BaseModel

from footprint_assets.contracts import ContractViolation
from footprint_assets.errors import FootprintError
from footprint_assets.lake import SourceRef
from footprint_assets.partitions import LAKE_PARTITIONS, LOOKBACK
from footprint_assets.settings import Settings
from footprint_assets.tables import Batch, LakeTable, Scope, Staged, TableInput, each_contract, no_sources

IO_MANAGER = "lake_io_manager"
WORKBENCH = "workbench"
CONTRACT_CHECK = "contract"
LAKE_TABLE = "lake_table"
"""Metadata key under which an asset carries its dataset key."""

Config = Callable[[Settings], tuple[BaseModel, ...]]


def lake_stream_asset(
    key: str,
    *,
    inputs: Mapping[str, str] | None = None,
    lookback: Mapping[str, str] | None = None,
    config: Config = lambda _: (),
    sources: Callable[[Scope], tuple[SourceRef, ...]] = no_sources,
) -> Callable[[Callable[..., Iterable[Batch]]], LakeTable]:
    """Declare a table whose function yields batches of several contracts.

    Args:
        key: Dataset key, such as ``bronze.future.trades``.
        inputs: Input name to dataset key, read at the same trade date.
        lookback: Input name to dataset key, read at the sessions before.
        config: The settings groups the numbers depend on.
        sources: The source files of a trade date.

    Returns:
        A decorator that makes a :class:`LakeTable` of ``(scope, **inputs) -> Iterable[Batch]``.
    """

    def declare(function: Callable[..., Iterable[Batch]]) -> LakeTable:
        return LakeTable(key, function, function, inputs or {}, lookback or {}, config, sources)

    return declare


def lake_asset(
    key: str,
    *,
    inputs: Mapping[str, str],
    lookback: Mapping[str, str] | None = None,
    config: Config = lambda _: (),
) -> Callable[[Callable[..., pl.DataFrame]], LakeTable]:
    """Declare a table computed contract by contract: frames of one contract in, its rows out.

    Args:
        key: Dataset key, such as ``silver.future.ohlcv``.
        inputs: Input name to dataset key, read at the same trade date.
        lookback: Input name to dataset key, read at the sessions before, no rows where there are none.
        config: The settings groups the numbers depend on.

    Returns:
        A decorator that makes a :class:`LakeTable` of ``(scope, **frames) -> DataFrame``.
    """

    def declare(function: Callable[..., pl.DataFrame]) -> LakeTable:
        return LakeTable(key, each_contract(function), function, inputs, lookback or {}, config)

    return declare


def build_asset(table: LakeTable) -> dg.AssetsDefinition:
    """Make the Dagster asset of a lake table.

    Args:
        table: The declared table.

    Returns:
        A daily-partitioned asset with its contract's schema, its inputs, and the check ``contract``.
    """
    asset_key = dg.AssetKey(table.key.split("."))
    layer, product, name = table.key.split(".")

    @dg.asset(
        name=name,
        key_prefix=[layer, product],
        ins={
            **{i: _input(source) for i, source in table.inputs.items()},
            **{i: _input(source, LOOKBACK) for i, source in table.lookback.items()},
        },
        partitions_def=LAKE_PARTITIONS,
        io_manager_key=IO_MANAGER,
        required_resource_keys={WORKBENCH},
        check_specs=[_contract_check(asset_key)],
        group_name=layer,
        kinds={"parquet", "databento"} if layer == "bronze" else {"parquet", "polars"},
        owners=["team:market-data"],
        description=inspect.getdoc(table.code),
        metadata={
            LAKE_TABLE: table.key,
            "contract_version": table.contract.version,
            "dagster/column_schema": column_schema(table),
        },
        dagster_type=dg.Any,
    )
    def step(
        context: dg.AssetExecutionContext, **opened: TableInput
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[object]]:
        scope = Scope.of(dt.date.fromisoformat(context.partition_key), context.resources.workbench)
        try:
            staged = table.stage(scope, opened, context.run.run_id)
        except ContractViolation as violation:
            yield _contract_result(asset_key, passed=False, facts={"violation": str(violation)})
            raise dg.Failure(str(violation), allow_retries=False) from violation
        except FootprintError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        rows = staged.rows if isinstance(staged, Staged) else None
        facts = {"rows_validated": rows if rows is not None else "unchanged, validated when it was published"}
        yield dg.MaterializeResult(
            value=staged, check_results=[_contract_result(asset_key, passed=True, facts=facts)]
        )

    return step


def column_schema(table: LakeTable) -> dg.TableSchema:
    """The contract as Dagster shows it: names, types, units and documentation of every column."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=column.type,
                description=column.description,
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, other=list(column.constraints)
                ),
                tags=column.tags,
            )
            for column in table.contract.table_columns()
        ]
    )


def _input(key: str, mapping: dg.PartitionMapping | None = None) -> dg.AssetIn:
    return dg.AssetIn(key=dg.AssetKey(key.split(".")), partition_mapping=mapping, dagster_type=dg.Any)


def _contract_check(asset_key: dg.AssetKey) -> dg.AssetCheckSpec:
    with warnings.catch_warnings():
        # Partitioned check specs are a preview; test_dagster_behaviour pins what we rely on.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            CONTRACT_CHECK,
            asset=asset_key,
            partitions_def=LAKE_PARTITIONS,
            description="Names, order, types, nulls, ranges, sort order and keys are exactly the contract's.",
        )


def _contract_result(
    asset_key: dg.AssetKey, *, passed: bool, facts: Mapping[str, str | int]
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=CONTRACT_CHECK,
        asset_key=asset_key,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata=dict(facts),
    )
