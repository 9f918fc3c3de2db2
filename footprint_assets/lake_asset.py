"""The lake-asset decorators: a table's function becomes a Dagster asset that publishes only what passed its contract.

Tables of trade dates (:func:`build_assets`) and of months (:func:`build_month_assets`) become steps the same way.

Where one function gives several tables, the outcomes below are those of all of them together.

Preview Dagster APIs (check specs with partitions) have two homes: here and in `asset_checks`.

| what happened                    | what is published        | check ``contract`` | the run             |
|----------------------------------|--------------------------|--------------------|---------------------|
| every batch passed               | the new partition        | passed             | goes on             |
| inputs, code, contract unchanged | nothing: it is current   | passed             | goes on             |
| a batch broke the contract       | nothing: the last stays  | failed             | fails, not retried  |
| a source or an input was refused | nothing: the last stays  | none               | fails, not retried  |
| rows are not accounted for       | nothing: the last stays  | none               | fails, not retried  |
| the disk or network failed       | nothing: the last stays  | none               | tries again, later  |
"""

import datetime as dt
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic

import dagster as dg
import polars as pl
from pydantic import BaseModel

from footprint_assets.contracts import ContractViolation
from footprint_assets.errors import FootprintError
from footprint_assets.gold_contracts import MODELS
from footprint_assets.lake import SourceRef
from footprint_assets.materialization import column_lineage, group_of, tags_of
from footprint_assets.months import MonthScope, MonthTable
from footprint_assets.partitions import (
    LAKE_PARTITIONS,
    LOOKBACK,
    MONTH_PARTITIONS,
    days_of_month,
    months_before,
)
from footprint_assets.resources import Workbench
from footprint_assets.retries import failure_of
from footprint_assets.settings import Settings
from footprint_assets.side_by_side import Made, Pass, Refused, Runs
from footprint_assets.tables import (
    AnyTable,
    Batch,
    LakeTable,
    PartitionScope,
    Scope,
    T,
    Unchanged,
    each_contract,
    no_sources,
    passes,
)

IO_MANAGER = "lake_io_manager"
WORKBENCH = "workbench"
CONTRACT_CHECK = "contract"
LAKE_TABLE = "lake_table"
"""Metadata key under which an asset carries its dataset key."""

BOOK_POOL = "order_book"
"""How many runs that hold an order book may be in progress is a limit of the Dagster instance."""
BOOKS = frozenset({"bronze.future.market_by_price_10", "silver.future.market_by_price_10_clean"})

Config = Callable[[Settings], tuple[BaseModel, ...]]
Mappings = Mapping[str, dg.PartitionMapping | None]
"""What a step reads: dataset key to the partitions of it, ``None`` for the step's own."""


@dataclass(frozen=True)
class Grain(Generic[T]):
    """What the assets of a kind of partition share.

    Args:
        partitions: The partitions.
        scope_of: The scope of a partition key.
        reads: What a table reads, and at which partitions.
    """

    partitions: dg.PartitionsDefinition
    scope_of: Callable[[str, Workbench], PartitionScope]
    reads: Callable[[T], Mappings]


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
        lookback: Input name to dataset key, read at the sessions before. The function sees every contract of them.
        config: The settings groups the numbers depend on.
        sources: The source files of a trade date.

    Returns:
        A decorator that makes a :class:`LakeTable` of ``(scope, **inputs) -> Iterable[Batch]``.
    """

    def declare(function: Callable[..., Iterable[Batch]]) -> LakeTable:
        return LakeTable(key, function, function, inputs or {}, lookback or {}, config, sources)

    return declare


def lake_stream_assets(
    *keys: str,
    inputs: Mapping[str, str] | None = None,
    lookback: Mapping[str, str] | None = None,
    config: Config = lambda _: (),
    sources: Callable[[Scope], tuple[SourceRef, ...]] = no_sources,
) -> Callable[[Callable[..., Iterable[Batch]]], tuple[LakeTable, ...]]:
    """Declare several tables that one pass over the inputs gives.

    All are published after the last batch of all, or none is. One that is missing or stale runs the pass again for all.

    Args:
        keys: Dataset keys, in the order the tables are published.
        inputs: Input name to dataset key, read at the same trade date.
        lookback: Input name to dataset key, read at the sessions before. The function sees every contract of them.
        config: The settings groups the numbers of any of the tables depend on.
        sources: The source files of a trade date.

    Returns:
        A decorator that makes a tuple of :class:`LakeTable`, one a key, of ``(scope, **inputs) -> Iterable[Batch]``,
        each batch with the key of its table.
    """

    def declare(function: Callable[..., Iterable[Batch]]) -> tuple[LakeTable, ...]:
        one = LakeTable(keys[0], function, function, inputs or {}, lookback or {}, config, sources, keys)
        return tuple(replace(one, key=key) for key in keys)

    return declare


def lake_asset(
    key: str,
    *,
    inputs: Mapping[str, str],
    columns: Mapping[str, Sequence[str]] | None = None,
    config: Config = lambda _: (),
    rows_of: str = "",
    streamed: Sequence[str] = (),
) -> Callable[[Callable[..., pl.DataFrame]], LakeTable]:
    """Declare a table computed contract by contract: frames of one contract in, its rows out.

    Args:
        key: Dataset key, such as ``silver.future.ohlcv``.
        inputs: Input name to dataset key, read at the same trade date.
        columns: Input name to the columns the function reads of it; all of them where an input is not named.
        config: The settings groups the numbers depend on.
        rows_of: The input without whose rows the table has none: where it is empty nothing else is read.
        streamed: Inputs the function receives frame by frame, because a day of them may not fit.

    Returns:
        A decorator that makes a :class:`LakeTable` of ``(scope, **frames) -> DataFrame``.
    """

    def declare(function: Callable[..., pl.DataFrame]) -> LakeTable:
        of_each = each_contract(function, [key], columns or {}, rows_of, streamed)
        return LakeTable(key, of_each, function, inputs, {}, config)

    return declare


def lake_assets(
    *keys: str,
    inputs: Mapping[str, str],
    columns: Mapping[str, Sequence[str]] | None = None,
    config: Config = lambda _: (),
) -> Callable[[Callable[..., tuple[pl.DataFrame, ...]]], tuple[LakeTable, ...]]:
    """Declare several tables one computation gives, contract by contract.

    Args:
        keys: Dataset keys, in the order of the function's frames and of publishing.
        inputs: Input name to dataset key, read at the same trade date.
        columns: Input name to the columns the function reads of it; all of them where an input is not named.
        config: The settings groups the numbers of any of the tables depend on.

    Returns:
        A decorator that makes a tuple of :class:`LakeTable`, one a key, of ``(scope, **frames) -> (DataFrame, ...)``.
    """

    def declare(function: Callable[..., tuple[pl.DataFrame, ...]]) -> tuple[LakeTable, ...]:
        one = LakeTable(
            keys[0], each_contract(function, keys, columns or {}), function, inputs, {}, config, together=keys
        )
        return tuple(replace(one, key=key) for key in keys)

    return declare


def build_assets(
    tables: Iterable[LakeTable],
    lookback: dg.TimeWindowPartitionMapping = LOOKBACK,
    runs: Runs | None = None,
) -> list[dg.AssetsDefinition]:
    """Make the Dagster assets of lake tables, one step a pass.

    Args:
        tables: The declared tables.
        lookback: The sessions a look-back reads.
        runs: Where a run of these steps may have begun its passes; a run that has not begins them at its first step.

    Returns:
        Daily-partitioned assets with their contracts' schemas, their inputs, and the check ``contract`` each.
    """
    by_day = Grain[LakeTable](
        LAKE_PARTITIONS,
        lambda key, bench: Scope.of(dt.date.fromisoformat(key), bench),
        lambda table: _reads_of_day(table, lookback),
    )
    return _build(passes(tables), by_day, runs)


def build_month_assets(
    tables: Iterable[MonthTable], settings: Settings, runs: Runs | None = None
) -> list[dg.AssetsDefinition]:
    """Make the Dagster assets of month tables, one step a pass.

    Args:
        tables: The declared tables.
        settings: Say how many months back a table reads.
        runs: Where a run of these steps begins its passes.

    Returns:
        Monthly-partitioned assets with their contracts' schemas, their inputs, and the check ``contract`` each.
    """
    by_month = Grain[MonthTable](
        MONTH_PARTITIONS,
        lambda key, bench: MonthScope(dt.date.fromisoformat(key), bench),
        lambda table: _reads_of_month(table, settings),
    )
    return _build(passes(tables), by_month, runs)


def _build(
    graph: Sequence[tuple[T, ...]], grain: Grain[T], runs: Runs | None = None
) -> list[dg.AssetsDefinition]:
    """One step a pass."""
    step_of = {together[0].key: _step_name(together[0]) for together in graph}
    runs = runs or Runs()

    def made(context: dg.AssetExecutionContext, together: Pass, scope: PartitionScope) -> Made:
        """What came of a pass in the run of its step."""
        run_id = context.run.run_id
        begun = runs.of(run_id)
        if begun is None:
            steps = steps_of_run(context)
            wanted = {key for key, step in step_of.items() if step in steps}
            begun = runs.begin(run_id, graph, wanted, scope)
        return begun.made(together)

    return [_build_step(together, grain, made) for together in graph]


def steps_of_run(context: dg.AssetExecutionContext) -> set[str]:
    """The steps the run of a step executes, that step included."""
    return set(context.run.step_keys_to_execute or (node.name for node in context.job_def.nodes))


def _build_step(
    tables: tuple[T, ...],
    grain: Grain[T],
    made_in_run: Callable[[dg.AssetExecutionContext, Pass, PartitionScope], Made],
) -> dg.AssetsDefinition:
    """One step that computes every table of a pass: they run together or not at all."""
    first = tables[0]

    @dg.multi_asset(
        name=_step_name(first),
        deps=[
            dg.AssetDep(dg.AssetKey(key.split(".")), partition_mapping=mapping)
            for key, mapping in sorted(grain.reads(first).items())
        ],
        outs={table.key.replace(".", "__"): _output(table) for table in tables},
        partitions_def=grain.partitions,
        required_resource_keys={WORKBENCH},
        check_specs=[_contract_check(_asset_key(table), grain.partitions) for table in tables],
        can_subset=False,
        pool=BOOK_POOL if _holds_a_book(tables) else None,
    )
    def step(
        context: dg.AssetExecutionContext,
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[object]]:
        scope = grain.scope_of(context.partition_key, context.resources.workbench)
        try:
            pass_made = made_in_run(context, tables, scope)
        except ContractViolation as violation:
            yield _contract_result(violation.table, passed=False, facts={"violation": str(violation)})
            raise dg.Failure(str(violation), allow_retries=False) from violation
        except (FootprintError, OSError) as error:
            raise failure_of(error, context.retry_number) from error
        for table, made in zip(tables, pass_made, strict=True):
            if isinstance(made, Refused):
                raise failure_of(made.error, context.retry_number) from made.error
            rows = "unchanged, validated when it was published" if isinstance(made, Unchanged) else made.rows
            yield dg.MaterializeResult(
                asset_key=_asset_key(table),
                value=made,
                check_results=[_contract_result(table.key, passed=True, facts={"rows_validated": rows})],
            )

    return step


def _reads_of_day(table: LakeTable, lookback: dg.TimeWindowPartitionMapping) -> Mappings:
    """What a step reads. The step opens it itself: Dagster would record two events for each input it opens.

    Dagster takes an asset once, so one read at its own and at earlier trade dates is read from the look-back's start to
    today.
    """
    through_today = dg.TimeWindowPartitionMapping(start_offset=lookback.start_offset, end_offset=0)
    today, before = set(table.inputs.values()), set(table.lookback.values())
    return (
        dict.fromkeys(today, None)
        | dict.fromkeys(before, lookback)
        | dict.fromkeys(today & before, through_today)
    )


def _reads_of_month(table: MonthTable, settings: Settings) -> Mappings:
    """What a step reads; a table read at its own and at earlier months is read from the first of them to its own."""
    back: dict[str, int] = {}
    for name, key in table.lookback.items():
        back[key] = max(back.get(key, 0), table.back(name, settings))
    found: dict[str, dg.PartitionMapping | None] = {key: months_before(count) for key, count in back.items()}
    for name, key in table.inputs.items():
        own = days_of_month() if name in table.days else None
        found[key] = months_before(back[key], last=0) if key in back else own
    return found


def _holds_a_book(tables: tuple[AnyTable, ...]) -> bool:
    """Whether a pass reads or writes whole order books, which is what takes memory."""
    return any(BOOKS & {table.key, *table.inputs.values()} for table in tables)


def _step_name(table: AnyTable) -> str:
    """The name of the step: the table's own, or that of the function of a pass."""
    layer, product, name = table.key.split(".")
    return f"{layer}__{product}__{table.code.__name__ if table.together else name}"


def _output(table: AnyTable) -> dg.AssetOut:
    return dg.AssetOut(
        key=_asset_key(table),
        dagster_type=dg.Any,
        io_manager_key=IO_MANAGER,
        group_name=group_of(table),
        kinds={"parquet", _made_with(table.key)},
        owners=["team:market-data"],
        description=table.description,
        tags=tags_of(table),
        metadata={
            LAKE_TABLE: table.key,
            "contract_version": table.contract.version,
            "dagster/column_schema": column_schema(table),
            "dagster/column_lineage": column_lineage(table),
        },
    )


def _made_with(key: str) -> str:
    if key.startswith("bronze."):
        return "databento"
    return "lightgbm" if key in MODELS.values() else "polars"


def _asset_key(table: AnyTable) -> dg.AssetKey:
    return dg.AssetKey(table.key.split("."))


def column_schema(table: AnyTable) -> dg.TableSchema:
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


def _contract_check(asset_key: dg.AssetKey, partitions: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
    with warnings.catch_warnings():
        # Partitioned check specs are a preview; test_dagster_behaviour pins what we rely on.
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.AssetCheckSpec(
            CONTRACT_CHECK,
            asset=asset_key,
            partitions_def=partitions,
            description="Names, order, types, nulls, ranges, sort order and keys are exactly the contract's.",
        )


def _contract_result(table: str, *, passed: bool, facts: Mapping[str, str | int]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=CONTRACT_CHECK,
        asset_key=dg.AssetKey(table.split(".")),
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata=dict(facts),
    )
