"""A lake table is computed again when, and only when, something it is made of has changed."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from footprint_assets import background, contracts
from footprint_assets.contracts import ContractViolation
from footprint_assets.lake import Lake, Lineage, PartitionMissing
from footprint_assets.lake_asset import lake_asset, lake_stream_asset
from footprint_assets.resources import Workbench
from footprint_assets.settings import (
    BarSettings,
    FootprintSettings,
    IngestSettings,
    LabelSettings,
    LevelSettings,
    OrderFlowSettings,
    Root,
    Settings,
    VectorSettings,
)
from footprint_assets.tables import (
    Batch,
    LakeTable,
    PartitionOutdated,
    Scope,
    TableInput,
    TooManyQuarantined,
    Unchanged,
    sessions_before,
)
from footprint_assets_tests.small_market import (
    BY_KEY,
    DAY,
    KEYS,
    MARKET,
    NEXT,
    THIRD,
    build_lake,
    files_of,
    records_by_schema,
    republish,
    rows,
    settings_of,
    with_what_is_made_of,
    write_drop,
    write_file,
)

FRONT_MONTH = "bronze.future.front_month"
TRADES = "bronze.future.trades"
TRADES_CLEAN = "silver.future.trades_clean"
OHLCV = "silver.future.ohlcv"
FOOTPRINT_PRICE = "silver.future.footprint_price"
FOOTPRINT_BAR = "silver.future.footprint_bar"
PROFILE_PRICE = "silver.future.volume_profile_price"
PROFILE = "silver.future.volume_profile_session"
LEVELS = "silver.future.session_levels"
SUMMARY = "silver.future.session_summary"
PRIOR_SESSIONS = "silver.future.prior_sessions"
SERIES = "silver.future.level_series_5s"
CONTEXT = "silver.future.session_context_5s"
EXT = "silver.future.market_by_price_10_bar5s_ext"
VECTORS = "gold.future.setup_vectors"
APPROACHES = tuple(key for key in KEYS if key.endswith("_approach"))
FIRST_HOURS = "gold.future.market_by_price_10_first3h"
FLAT_BARS = "gold.future.footprint_bars"


def run_again(settings: Settings, *dates: dt.date) -> dict[dt.date, set[str]]:
    """The tables published by another run, by trade date."""
    outcome = build_lake(settings, *dates)
    return {day: {key for key in KEYS if outcome[f"{key} {day}"] == "published"} for day in dates}


def changed(settings: Settings, **groups: object) -> Settings:
    return settings_of(settings.lake_root.parent, **groups)


def test_a_second_run_over_the_same_files_writes_nothing(own_market: Settings) -> None:
    lake = Lake(own_market.lake_root)
    before = files_of(lake)

    assert run_again(own_market, DAY, NEXT) == {DAY: set(), NEXT: set()}
    assert files_of(lake) == before
    assert len(before) > 100


def test_two_lakes_of_the_same_files_are_byte_identical(
    built_market: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("elsewhere")
    write_drop(root / "dbn", (DAY, NEXT))
    again = settings_of(root)
    build_lake(again, DAY)

    def data(settings: Settings) -> dict[str, str]:
        found = files_of(Lake(settings.lake_root), day=DAY)
        return {name: digest for name, digest in found.items() if name.endswith(".parquet")}

    assert data(again) == data(built_market)


def test_a_file_that_was_only_touched_changes_nothing(own_market: Settings) -> None:
    for path in own_market.dbn_dir.iterdir():
        os.utime(path, ns=(10**18, 10**18))

    assert run_again(own_market, DAY) == {DAY: set()}


def test_a_changed_file_runs_the_dates_it_covers_again_and_no_other(own_market: Settings) -> None:
    first_day = dt.date(2025, 6, 3)  # the UTC day whose evening belongs to DAY, and to no later date
    trades = records_by_schema((DAY,))["trades"]
    trades["size"][0] += 1
    write_file(own_market.dbn_dir, "trades", trades, first_day, DAY)
    bench = Workbench(own_market)

    stale = {
        day: {table for table in KEYS if not BY_KEY[table].is_current(Scope.of(day, bench))}
        for day in (DAY, NEXT)
    }

    assert stale == {DAY: {FRONT_MONTH, TRADES}, NEXT: set()}
    assert run_again(own_market, DAY)[DAY] == set(KEYS)
    # The later date looks back on the session that has changed.
    assert run_again(own_market, NEXT)[NEXT] == with_what_is_made_of({PRIOR_SESSIONS})


@pytest.mark.parametrize(
    ("groups", "dependent"),
    [
        ({"bars": BarSettings(tick_trades=())}, {OHLCV, FOOTPRINT_PRICE, FOOTPRINT_BAR}),
        (
            {"footprint": FootprintSettings(value_area_pct=68)},
            {
                FOOTPRINT_PRICE,
                SUMMARY,
                PROFILE_PRICE,
                PROFILE,
                LEVELS,
                SERIES,
                FOOTPRINT_BAR,
                CONTEXT,
                FLAT_BARS,
            }
            | set(APPROACHES),
        ),
        ({"levels": LevelSettings(opening_range_minutes=5)}, {LEVELS, PROFILE}),
        ({"order_flow": OrderFlowSettings(large_order_pct=95)}, {EXT, *APPROACHES}),
        ({"labels": LabelSettings(stop_ticks=6)}, {key for key in KEYS if key.endswith("_outcomes")}),
        ({"vectors": VectorSettings(min_rows=5)}, {VECTORS}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_changed_constant_recomputes_exactly_what_depends_on_it_and_what_is_made_of_that(
    own_market: Settings, groups: dict[str, object], dependent: set[str]
) -> None:
    settings = changed(own_market, **groups)
    scope = Scope.of(DAY, Workbench(settings))

    assert {key for key in KEYS if not BY_KEY[key].is_current(scope)} == dependent
    assert run_again(settings, DAY) == {DAY: with_what_is_made_of(dependent)}


@pytest.mark.parametrize(
    "groups",
    [
        {"ingest": IngestSettings(max_quarantined_share=0.5)},
        {"roots": {"ES": Root(point_value=5.0), "NQ": Root()}},
        {"roots": {"ES": Root(), "RTY": Root(point_value=20.0)}},
    ],
    ids=["ingest", "roots", "root names"],
)
def test_a_changed_constant_of_the_sources_recomputes_everything(
    own_market: Settings, groups: dict[str, object]
) -> None:
    assert run_again(changed(own_market, **groups), DAY) == {DAY: set(KEYS)}


def test_a_changed_contract_or_code_makes_a_table_stale(built_market: Settings) -> None:
    scope = Scope.of(DAY, Workbench(built_market))
    table = BY_KEY[OHLCV]
    other_code = dataclasses.replace(table, code=run_again)
    other_contract = dataclasses.replace(table)
    other_contract.__dict__["contract"] = contracts.load(TRADES_CLEAN)

    assert table.is_current(scope)
    assert not other_code.is_current(scope)
    assert not other_contract.is_current(scope)


def test_a_table_whose_prior_session_changed_is_stale(own_market: Settings) -> None:
    bench = Workbench(own_market)
    assert BY_KEY[LEVELS].is_current(Scope.of(NEXT, bench))

    frames = {
        symbol: frame.with_columns(pl.col("high") + 1)
        for symbol, frame in rows(bench.lake, SUMMARY, DAY).items()
    }
    republish(bench.lake, SUMMARY, DAY, frames)

    stale = {key for key in KEYS if not BY_KEY[key].is_current(Scope.of(NEXT, bench))}
    assert stale == {PRIOR_SESSIONS}
    assert run_again(own_market, NEXT) == {NEXT: with_what_is_made_of({PRIOR_SESSIONS})}


def test_a_table_whose_input_is_not_published_is_not_current_and_says_what_builds_it(
    own_market: Settings,
) -> None:
    scope = Scope.of(THIRD, Workbench(own_market))
    table = BY_KEY[OHLCV]

    assert not table.is_current(scope)
    with pytest.raises(PartitionMissing) as caught:
        table.stage(scope, table.open_inputs(scope), "run")
    assert TRADES_CLEAN in str(caught.value)
    assert "dt=2025-06-06" in str(caught.value)
    assert caught.value.remedy == "footprint-assets run --date 2025-06-06"


def staged_table(frame: pl.DataFrame, **batch: object) -> LakeTable:
    @lake_stream_asset(FRONT_MONTH)
    def table(scope: Scope) -> Iterator[Batch]:
        yield Batch("ES", frame, **batch)

    return table


def left_behind(settings: Settings) -> list[str]:
    staging = Lake(settings.lake_root).layout.staging
    return [path.name for path in staging.iterdir() if path.is_dir()] if staging.exists() else []


def test_rows_that_break_the_contract_leave_no_stage_and_the_last_good_rows(own_market: Settings) -> None:
    scope = Scope.of(DAY, Workbench(own_market))
    lake = scope.bench.lake
    before = files_of(lake)
    table = staged_table(rows(lake, FRONT_MONTH)["ES"].with_columns(volume=pl.lit(-1, pl.Int64)))

    with pytest.raises(ContractViolation, match="volume: >= 0 broken in 2 rows"):
        table.stage(scope, {}, "run")

    assert files_of(lake) == before
    assert left_behind(own_market) == []


def test_an_interrupt_leaves_no_stage(own_market: Settings) -> None:
    scope = Scope.of(DAY, Workbench(own_market))
    frame = rows(scope.bench.lake, FRONT_MONTH)["ES"]

    @lake_stream_asset(FRONT_MONTH)
    def interrupted(scope: Scope) -> Iterator[Batch]:
        yield Batch("ES", frame)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted.stage(scope, {}, "run")

    assert left_behind(own_market) == []


def test_order_and_keys_are_judged_over_batch_borders(own_market: Settings) -> None:
    scope = Scope.of(DAY, Workbench(own_market))
    frame = rows(scope.bench.lake, FRONT_MONTH)["ES"]

    @lake_stream_asset(FRONT_MONTH)
    def twice(scope: Scope) -> Iterator[Batch]:
        yield Batch("ES", frame)
        yield Batch("ES", frame)

    with pytest.raises(ContractViolation, match=r"sorted|unique"):
        twice.stage(scope, {}, "run")


@pytest.mark.parametrize(
    ("rows_in", "allowed", "refused"), [(100, 0.01, False), (100, 0.009, True), (0, 1, False)]
)
def test_more_rows_set_aside_than_the_settings_allow_fail_the_table(
    own_market: Settings, rows_in: int, allowed: float, refused: bool
) -> None:
    settings = changed(own_market, ingest=IngestSettings(max_quarantined_share=allowed))
    scope = Scope.of(DAY, Workbench(settings))
    frame = rows(scope.bench.lake, FRONT_MONTH)["ES"]
    filtered = {"another rule": rows_in - 3} if rows_in else {}
    table = staged_table(frame, rows_in=rows_in, filtered=filtered, quarantined=({"rule": "some rule"},))

    if refused:
        with pytest.raises(TooManyQuarantined, match=r"1 of 100 rows were set aside; at most 0\.90% may be"):
            table.stage(scope, {}, "run")
        assert left_behind(settings) == []
    else:
        staged = table.stage(scope, {}, "run")
        assert not isinstance(staged, Unchanged)
        staged.stage.discard()


def test_a_per_contract_table_sees_one_contract_at_a_time_and_holds_no_other(
    own_market: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        background, "THREADS", 1
    )  # with two, one contract is written while the next is computed
    scope = Scope.of(DAY, Workbench(own_market))
    seen = []
    frames: list[weakref.ref[pl.DataFrame]] = []

    @lake_asset(OHLCV, inputs={"ohlcv": OHLCV})
    def copy(scope: Scope, ohlcv: pl.DataFrame) -> pl.DataFrame:
        seen.append((scope.symbol, set(ohlcv["symbol"]), scope.tick_size))
        assert [frame() for frame in frames] == [None] * len(frames)
        made = ohlcv.clone()
        frames.extend((weakref.ref(ohlcv), weakref.ref(made)))
        return made

    staged = copy.stage(scope, copy.open_inputs(scope), "run")
    assert not isinstance(staged, Unchanged)
    staged.stage.discard()

    assert seen == [("ESM5", {"ESM5"}, 0.25), ("NQM5", {"NQM5"}, 0.25)]


def test_where_the_input_of_its_rows_is_empty_a_table_is_without_reading_the_others(
    own_market: Settings,
) -> None:
    scope = Scope.of(DAY, Workbench(own_market))
    empty = "silver.future.market_by_price_10_pm_low_episodes"
    assert set(TableInput(Lake(own_market.lake_root), empty, (DAY,)).frame()["symbol"]) < {"ESM5", "NQM5"}
    seen = []

    @lake_asset(OHLCV, inputs={"ohlcv": OHLCV, "episodes": empty}, rows_of="episodes")
    def copy(scope: Scope, ohlcv: pl.DataFrame, episodes: pl.DataFrame) -> pl.DataFrame:
        seen.append(scope.symbol)
        return ohlcv

    batches = list(copy.function(scope, **copy.open_inputs(scope)))

    assert [batch.symbol for batch in batches] == ["ESM5", "NQM5"]
    assert [batch.symbol for batch in batches if batch.frame is not None] == seen


def test_an_input_reads_the_contracts_and_columns_asked_for(built_market: Settings) -> None:
    table = TableInput(Lake(built_market.lake_root), TRADES_CLEAN, (DAY, NEXT))

    assert table.symbols() == ["ESM5", "NQM5"]
    assert table.frame("NQM5", ["size", "symbol"]).columns == ["size", "symbol"]
    assert table.frame().height == 2 * (120 + 60)
    large = table.frame("NQM5", ["price", "size"], where=pl.col("size") > 1)
    assert large.equals(table.frame("NQM5", ["price", "size"]).filter(pl.col("size") > 1))
    assert 0 < large.height < 120
    assert table.frame("NQM5")["session_date"].unique().sort().to_list() == [DAY, NEXT]
    assert {(ref.dt, ref.symbol) for ref in table.refs()} == {
        (day, symbol) for day in (DAY, NEXT) for symbol in ("ESM5", "NQM5")
    }


def test_a_partition_of_an_older_contract_says_which_and_what_mends_it(
    built_market: Settings, tmp_path: Path
) -> None:
    older = contracts.load(OHLCV).arrow_schema
    older = older.remove(older.get_field_index("vwap"))
    lake = Lake(tmp_path / "lake")
    with lake.stage(OHLCV, DAY, lineage=Lineage(), schema=older) as stage:
        stage.write("ESM5", rows(Lake(built_market.lake_root), OHLCV, DAY)["ESM5"].drop("vwap"))
        stage.publish()
    table = TableInput(lake, OHLCV, (DAY,))

    said = rf"table={OHLCV}, dt={DAY}, symbol=ESM5, columns=vwap.*footprint-assets run --date {DAY}"
    for read in (table.frame, lambda: list(table.frames("ESM5")), lambda: table.frame("ESM5", ["vwap"])):
        with pytest.raises(PartitionOutdated, match=said):
            read()
    assert table.frame("ESM5", ["volume"]).height, "what it has is read"
    with pytest.raises(pl.exceptions.ColumnNotFoundError):  # a mistake of the caller's own
        table.frame("ESM5", ["no_such_column"])


def test_an_absent_date_has_no_rows_in_a_look_back_and_is_an_error_otherwise(built_market: Settings) -> None:
    lake = Lake(built_market.lake_root)

    optional = TableInput(lake, TRADES_CLEAN, (THIRD,), optional=True).frame()

    assert optional.is_empty()
    assert optional.schema == contracts.load(TRADES_CLEAN).polars_schema
    with pytest.raises(PartitionMissing):
        TableInput(lake, TRADES_CLEAN, (THIRD,)).frame()


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (dt.date(2025, 6, 4), [dt.date(2025, 5, 30), dt.date(2025, 6, 2), dt.date(2025, 6, 3)]),
        (dt.date(2025, 4, 21), [dt.date(2025, 4, 15), dt.date(2025, 4, 16), dt.date(2025, 4, 17)]),
        (dt.date(2010, 6, 8), [dt.date(2010, 6, 7)]),
        (dt.date(2010, 6, 7), []),
    ],
)
def test_the_look_back_without_dagster_is_the_one_dagster_maps(day: dt.date, expected: list[dt.date]) -> None:
    assert list(sessions_before(day, 3)) == expected


def test_the_market_of_these_tests_is_what_its_lake_holds(built_market: Settings) -> None:
    lake = Lake(built_market.lake_root)

    trades = {symbol: frame.height for symbol, frame in rows(lake, TRADES).items()}

    assert trades == {c.symbol: c.trades for c in MARKET if c.symbol != "ESU5"}
