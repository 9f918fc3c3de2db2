"""The lake seen by a Dagster asset: rows in the form its annotation asks for, several contracts, past sessions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import polars as pl
import pytest

from footprint_assets import contracts
from footprint_assets.lake import Lake, PartitionMissing
from footprint_assets.lake_asset import IO_MANAGER, lake_stream_asset
from footprint_assets.partitions import LAKE_PARTITIONS, lookback
from footprint_assets.settings import HistorySettings, Settings
from footprint_assets.tables import Batch, LakeTable, Scope, TableInput
from footprint_assets_tests.runs import failure_of, materialized, run
from footprint_assets_tests.small_market import DAY, NEXT, THIRD, rows

FRONT_MONTH = "bronze.future.front_month"
TRADES_CLEAN = "silver.future.trades_clean"


def reader(
    annotation: Any, keep: Callable[[Any], None], mapping: dg.PartitionMapping | None = None
) -> dg.AssetsDefinition:
    """A researcher's own asset that reads the clean trades as it likes."""

    def study(trades: Any) -> None:
        keep(trades)

    study.__annotations__ = {"trades": annotation}
    return dg.asset(
        partitions_def=LAKE_PARTITIONS,
        ins={
            "trades": dg.AssetIn(
                key=TRADES_CLEAN.split("."), input_manager_key=IO_MANAGER, partition_mapping=mapping
            )
        },
    )(study)


def read(settings: Settings, annotation: Any, day: dt.date = DAY, mapping: Any = None) -> Any:
    seen: list[Any] = []
    result = run(settings, [reader(annotation, seen.append, mapping)], day=day)
    assert result.success
    return seen[0]


def test_a_data_frame_holds_the_rows_of_every_contract(built_market: Settings) -> None:
    frame = read(built_market, pl.DataFrame)

    assert isinstance(frame, pl.DataFrame)
    assert frame.schema == contracts.load(TRADES_CLEAN).polars_schema
    assert dict(frame.group_by("symbol").len().iter_rows()) == {"ESM5": 120, "NQM5": 60}
    assert frame["session_date"].unique().to_list() == [DAY]


def test_a_lazy_frame_holds_the_same_rows(built_market: Settings) -> None:
    lazy = read(built_market, pl.LazyFrame)

    assert isinstance(lazy, pl.LazyFrame)
    assert lazy.collect().equals(read(built_market, pl.DataFrame))


def test_a_table_input_opens_nothing_before_it_is_read(built_market: Settings) -> None:
    table = read(built_market, TableInput, day=THIRD)

    assert (table.table, table.dates, table.optional) == (TRADES_CLEAN, (THIRD,), False)
    with pytest.raises(PartitionMissing):
        table.frame()


@pytest.mark.parametrize(
    ("day", "dates", "published"),
    [
        (NEXT, (dt.date(2025, 6, 2), dt.date(2025, 6, 3), DAY), [DAY]),
        (dt.date(2025, 6, 9), (DAY, NEXT, THIRD), [DAY, NEXT]),
        (DAY, (dt.date(2025, 5, 30), dt.date(2025, 6, 2), dt.date(2025, 6, 3)), []),
    ],
)
def test_a_look_back_reads_what_the_sessions_before_have_and_never_the_day_itself(
    built_market: Settings, day: dt.date, dates: tuple[dt.date, ...], published: list[dt.date]
) -> None:
    three = lookback(HistorySettings(sessions=3))
    table = read(built_market, TableInput, day, three)
    frame = read(built_market, pl.DataFrame, day, three)

    assert (table.dates, table.optional) == (dates, True)
    assert frame["session_date"].unique().sort().to_list() == published
    assert frame.schema == contracts.load(TRADES_CLEAN).polars_schema


def test_a_look_back_of_one_session_is_still_a_look_back(built_market: Settings) -> None:
    yesterday = dg.TimeWindowPartitionMapping(start_offset=-1, end_offset=-1)

    table = read(built_market, TableInput, THIRD, yesterday)

    assert (table.dates, table.optional) == ((NEXT,), True)


@pytest.mark.parametrize("annotation", [pl.DataFrame, pl.LazyFrame])
def test_a_missing_partition_names_the_table_the_date_and_the_command(
    built_market: Settings, annotation: Any
) -> None:
    result = run(built_market, [reader(annotation, lambda _: None)], day=THIRD)

    failure = failure_of(result)
    assert failure.user_failure_data.description == (
        "silver.future.trades_clean is not published for 2025-06-06. [table=silver.future.trades_clean, dt=2025-06-06] "
        "Remedy: footprint-assets run --date 2025-06-06"
    )
    assert failure.error.cause.cls_name == "PartitionMissing"


def roll_map(*symbols: str) -> LakeTable:
    @lake_stream_asset(FRONT_MONTH, config=lambda settings: (settings.footprint,))
    def table(scope: Scope) -> Iterator[Batch]:
        published = rows(scope.bench.lake, "bronze.future.front_month")
        for symbol in symbols:
            yield Batch(symbol, published.get(symbol, published["ES"]).with_columns(symbol=pl.lit(symbol)))

    return table


def test_two_contracts_of_a_date_are_one_materialization_and_one_publication(own_market: Settings) -> None:
    result = run(own_market, [], FRONT_MONTH, TRADES_CLEAN, "bronze.future.trades")

    recorded = materialized(result)[TRADES_CLEAN]
    manifests = Lake(own_market.lake_root).manifests(TRADES_CLEAN, DAY)
    assert recorded["symbols"] == "ESM5, NQM5"
    assert recorded["dagster/partition_row_count"] == 180
    assert recorded["bytes"] == sum(manifest.bytes for manifest in manifests.values())
    assert len({manifest.publication.id for manifest in manifests.values()}) == 1
    assert "| ESM5 | 120 | 120 | 0 | none |" in recorded["conservation"]
    assert "| NQM5 | 60 | 60 | 0 | none |" in recorded["conservation"]


def test_a_run_again_takes_out_the_contract_that_is_no_longer_there(own_market: Settings) -> None:
    lake = Lake(own_market.lake_root)
    gone = lake.layout.partition(FRONT_MONTH, DAY, "NQ")
    assert gone.is_dir()

    result = run(own_market, [roll_map("ES")])

    assert result.success
    assert lake.symbols(FRONT_MONTH, DAY) == ["ES"]
    assert not gone.exists()
    assert lake.symbols(FRONT_MONTH, NEXT) == ["ES", "NQ"]


def test_an_asset_that_is_no_lake_table_cannot_write_to_the_lake(own_market: Settings) -> None:
    @dg.asset(
        name="ohlcv",
        key_prefix=["silver", "future"],
        partitions_def=LAKE_PARTITIONS,
        io_manager_key=IO_MANAGER,
    )
    def loose() -> pl.DataFrame:
        return pl.DataFrame({"price": [1.0]})

    result = run(own_market, [loose])

    assert "silver/future/ohlcv gave a DataFrame; declare it with lake_asset" in str(
        failure_of(result).error.cause
    )
