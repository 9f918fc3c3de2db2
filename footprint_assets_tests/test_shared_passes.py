"""Several tables of one pass: computed once, published together or not at all, each with its own contract."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from footprint_assets import background, contracts, retries
from footprint_assets.contracts import ContractViolation
from footprint_assets.jobs import pass_of
from footprint_assets.lake import ConservationBroken, Lake, StageClosed
from footprint_assets.lake.commit import table_date_locked
from footprint_assets.lake.parquet import ROW_GROUP_ROWS
from footprint_assets.lake_asset import LAKE_TABLE, build_assets, lake_assets, lake_stream_assets
from footprint_assets.resources import Workbench
from footprint_assets.retries import MAX_RETRIES
from footprint_assets.settings import Settings
from footprint_assets.tables import Batch, LakeTable, Scope, Staged, TableInput, Unchanged, passes, stage_pass
from footprint_assets_tests.runs import contract_checks, failure_of, materialized, run, was_retried
from footprint_assets_tests.small_market import BY_KEY, DAY, NEXT, build_lake, files_of, republish, rows

TRADES_CLEAN = "silver.future.trades_clean"
OHLCV = "silver.future.ohlcv"
PRICES = "silver.future.volume_profile_price"
BARS = "silver.future.footprint_bar"
LEVELS = "silver.future.session_levels"
PAIR = (PRICES, OHLCV)

Change = Callable[[str, pl.DataFrame], pl.DataFrame]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def as_published(_: str, frame: pl.DataFrame) -> pl.DataFrame:
    return frame


def pair(change: Change = as_published, calls: list[dt.date] | None = None) -> tuple[LakeTable, ...]:
    """Two tables of the small market from one pass over its trades, in batches of seven rows, one after the other."""

    @lake_stream_assets(*PAIR, inputs={"trades": TRADES_CLEAN})
    def both(scope: Scope, trades: TableInput) -> Iterator[Batch]:
        """The bars and the profile."""
        if calls is not None:
            calls.append(scope.trade_date)
        for symbol in trades.symbols():
            frames = {key: change(key, rows(scope.bench.lake, key, scope.trade_date)[symbol]) for key in PAIR}
            batches = {key: list(frame.iter_slices(7)) for key, frame in frames.items()}
            for position in range(max(map(len, batches.values()))):
                for key in PAIR:
                    if position < len(batches[key]):
                        yield Batch(symbol, batches[key][position], key)

    return both


def left_behind(settings: Settings) -> list[str]:
    staging = Lake(settings.lake_root).layout.staging
    return [path.name for path in staging.iterdir() if path.is_dir()] if staging.exists() else []


def test_one_step_gives_both_tables_with_their_own_checks_counts_and_contracts(
    own_market: Settings, instance: dg.DagsterInstance
) -> None:
    lake = Lake(own_market.lake_root)
    before = {key: rows(lake, key) for key in PAIR}
    calls: list[dt.date] = []

    result = run(own_market, pair(calls=calls), instance=instance)

    assert result.success
    assert calls == [DAY]
    steps = {event.step_key for event in result.all_events if event.is_step_success}
    assert steps == {"silver__future__both"}
    recorded = materialized(result)
    assert list(recorded) == list(PAIR), "published in the order the pass names"
    for key in PAIR:
        after = rows(lake, key)
        assert {symbol: frame.equals(before[key][symbol]) for symbol, frame in after.items()} == {
            "ESM5": True,
            "NQM5": True,
        }
        assert recorded[key]["written"] == "published"
        assert recorded[key]["dagster/partition_row_count"] == sum(frame.height for frame in after.values())
        assert contract_checks(instance, key) == [("SUCCEEDED", "2025-06-04")]
        manifest = lake.manifests(key, DAY)["ESM5"]
        assert manifest.contract.fingerprint == contracts.load(key).fingerprint
        assert {ref.table for ref in manifest.lineage.inputs} == {TRADES_CLEAN}
    validated = {
        ".".join(e.asset_key.path): e.metadata["rows_validated"].value
        for e in result.get_asset_check_evaluations()
    }
    assert validated == {key: sum(frame.height for frame in before[key].values()) for key in PAIR}
    assert left_behind(own_market) == []


def test_a_second_run_computes_and_writes_nothing(own_market: Settings, instance: dg.DagsterInstance) -> None:
    calls: list[dt.date] = []
    tables = pair(calls=calls)
    run(own_market, tables, instance=instance)
    before = files_of(Lake(own_market.lake_root))

    result = run(own_market, tables, instance=instance)

    assert result.success
    assert calls == [DAY]
    assert files_of(Lake(own_market.lake_root)) == before
    assert {key: facts["written"] for key, facts in materialized(result).items()} == dict.fromkeys(
        PAIR, "unchanged"
    )
    assert contract_checks(instance, OHLCV) == [("SUCCEEDED", "2025-06-04")] * 2


@pytest.mark.parametrize("stale", PAIR)
def test_one_stale_table_runs_the_pass_once_for_all(own_market: Settings, stale: str) -> None:
    calls: list[dt.date] = []
    tables = pair(calls=calls)
    build_lake(own_market, DAY, tables=tables)
    scope = Scope.of(DAY, Workbench(own_market))
    lake = scope.bench.lake
    generations = {key: {s: m.generation for s, m in lake.manifests(key, DAY).items()} for key in PAIR}
    assert all(table.is_current(scope) for table in tables)
    republish(lake, stale, DAY, rows(lake, stale), lineage=lake.manifests(TRADES_CLEAN, DAY)["ESM5"].lineage)

    assert {table.key for table in tables if not table.is_current(scope)} == {stale}
    outcome = build_lake(own_market, DAY, tables=tables)

    assert set(outcome.values()) == {"published"}
    assert calls == [DAY, DAY]
    # The table that was current has the generation it had: nothing made from it is stale.
    assert generations == {
        key: {s: m.generation for s, m in lake.manifests(key, DAY).items()} for key in PAIR
    }


def test_a_changed_input_makes_every_table_of_the_pass_stale(own_market: Settings) -> None:
    tables = pair()
    build_lake(own_market, DAY, tables=tables)
    bench = Workbench(own_market)
    frames = {s: f.with_columns(pl.col("size") + 1) for s, f in rows(bench.lake, TRADES_CLEAN).items()}
    republish(bench.lake, TRADES_CLEAN, DAY, frames)

    assert not any(table.is_current(Scope.of(DAY, bench)) for table in tables)


@pytest.mark.parametrize("broken", PAIR)
def test_a_violation_in_one_table_publishes_none_and_names_it(
    own_market: Settings, instance: dg.DagsterInstance, broken: str
) -> None:
    def change(key: str, frame: pl.DataFrame) -> pl.DataFrame:
        changed = frame.with_columns(pl.lit("ESM5 ").alias("symbol")) if key == broken else frame
        return changed if changed["symbol"].item(0).startswith("ESM5") else frame

    before = files_of(Lake(own_market.lake_root))

    result = run(own_market, pair(change), instance=instance)

    assert not result.success
    assert not was_retried(result)
    assert files_of(Lake(own_market.lake_root)) == before
    assert materialized(result) == {}
    (other,) = {*PAIR} - {broken}
    assert contract_checks(instance, broken) == [("FAILED", "2025-06-04")]
    assert contract_checks(instance, other) == [("PLANNED", "2025-06-04")]
    assert f"table={broken}" in failure_of(result).user_failure_data.description
    assert left_behind(own_market) == []


def test_a_violation_at_the_very_end_discards_what_was_written_of_every_table(own_market: Settings) -> None:
    scope = Scope.of(DAY, Workbench(own_market))
    before = files_of(scope.bench.lake)

    @lake_stream_assets(*PAIR, inputs={"trades": TRADES_CLEAN})
    def late(scope: Scope, trades: TableInput) -> Iterator[Batch]:
        for key in PAIR:
            yield Batch("ESM5", rows(scope.bench.lake, key)["ESM5"], key)
        assert len(left_behind(own_market)) == 2, "one stage a table"
        yield Batch("ESM5", rows(scope.bench.lake, OHLCV)["ESM5"], OHLCV)

    with pytest.raises(ContractViolation, match="sorted"):
        stage_pass(late, scope, late[0].open_inputs(scope), "run")

    assert files_of(scope.bench.lake) == before
    assert left_behind(own_market) == []


def test_rows_of_one_table_not_accounted_for_publish_none(own_market: Settings) -> None:
    scope = Scope.of(DAY, Workbench(own_market))
    before = files_of(scope.bench.lake)

    @lake_stream_assets(*PAIR, inputs={"trades": TRADES_CLEAN})
    def lossy(scope: Scope, trades: TableInput) -> Iterator[Batch]:
        for key in PAIR:
            yield Batch("ESM5", rows(scope.bench.lake, key)["ESM5"], key)
        yield Batch("ESM5", table=OHLCV, rows_in=1_000_000)

    with pytest.raises(ConservationBroken, match=rf"table={OHLCV}"):
        stage_pass(lossy, scope, lossy[0].open_inputs(scope), "run")

    assert files_of(scope.bench.lake) == before
    assert left_behind(own_market) == []


def test_a_table_that_cannot_be_published_leaves_those_before_it_and_the_next_run_mends_it(
    own_market: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(own_market.lake_root)
    before = files_of(lake, OHLCV)
    calls: list[dt.date] = []
    tables = pair(calls=calls)
    monkeypatch.setattr(
        Workbench, "lake", property(lambda self: Lake(self.settings.lake_root, lock_timeout_s=0))
    )

    monkeypatch.setattr(retries, "FIRST_WAIT_S", 0.0)

    with table_date_locked(lake.layout, OHLCV, DAY, timeout_s=1):
        result = run(own_market, tables, instance=instance)

    assert not result.success
    assert calls == [DAY] * (1 + MAX_RETRIES), "a busy partition is worth a second try"
    assert "another process is publishing this partition" in failure_of(result).user_failure_data.description
    assert list(materialized(result)) == [PRICES]
    assert files_of(lake, OHLCV) == before
    scope = Scope.of(DAY, Workbench(own_market))
    assert [table.is_current(scope) for table in tables] == [True, False]
    assert left_behind(own_market) == []

    calls.clear()
    assert run(own_market, tables, instance=instance).success
    assert calls == [DAY]
    assert all(table.is_current(scope) for table in tables)


def test_a_process_killed_between_two_publications_is_finished_by_the_next_run(own_market: Settings) -> None:
    lake = Lake(own_market.lake_root)
    program = f"""
        import os
        from pathlib import Path
        from footprint_assets.lake.writer import Stage
        from footprint_assets_tests.small_market import DAY, build_lake, settings_of
        from footprint_assets_tests.test_shared_passes import OHLCV, pair

        publish = Stage.publish

        def killed(stage):
            if stage.table == OHLCV:
                os._exit(9)
            return publish(stage)

        Stage.publish = killed
        build_lake(settings_of(Path({str(own_market.lake_root.parent)!r})), DAY, tables=pair())
    """
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], cwd=root, check=False)
    assert done.returncode == 9
    assert len(left_behind(own_market)) == 1

    tables = pair()
    scope = Scope.of(DAY, Workbench(own_market))
    # The killed process ran the same code over the same inputs: what it published is current.
    assert [table.is_current(scope) for table in tables] == [True, False]
    lake.recover()
    assert left_behind(own_market) == []
    assert set(build_lake(own_market, DAY, tables=tables).values()) == {"published"}
    assert all(table.is_current(scope) for table in tables)


def test_a_contract_of_one_table_is_a_contract_of_all(own_market: Settings) -> None:
    scope = Scope.of(DAY, Workbench(own_market))

    @lake_stream_assets(*PAIR, inputs={"trades": TRADES_CLEAN})
    def sparse(scope: Scope, trades: TableInput) -> Iterator[Batch]:
        yield Batch("ESM5", rows(scope.bench.lake, OHLCV)["ESM5"], OHLCV)

    for staged in stage_pass(sparse, scope, sparse[0].open_inputs(scope), "run"):
        assert isinstance(staged, Staged)
        staged.stage.publish()

    assert rows(scope.bench.lake, PRICES)["ESM5"].is_empty()
    assert rows(scope.bench.lake, PRICES)["ESM5"].schema == contracts.load(PRICES).polars_schema
    assert rows(scope.bench.lake, OHLCV)["ESM5"].height > 0


def test_a_pass_that_yields_nothing_is_refused(own_market: Settings) -> None:
    scope = Scope.of(DAY, Workbench(own_market))

    @lake_stream_assets(*PAIR, inputs={"trades": TRADES_CLEAN})
    def nothing(scope: Scope, trades: TableInput) -> Iterator[Batch]:
        yield from ()

    with pytest.raises(StageClosed):
        stage_pass(nothing, scope, nothing[0].open_inputs(scope), "run")
    assert left_behind(own_market) == []


@pytest.mark.parametrize("key", ["", TRADES_CLEAN])
def test_a_batch_of_no_table_of_the_pass_is_refused(own_market: Settings, key: str) -> None:
    scope = Scope.of(DAY, Workbench(own_market))

    @lake_stream_assets(*PAIR, inputs={"trades": TRADES_CLEAN})
    def astray(scope: Scope, trades: TableInput) -> Iterator[Batch]:
        yield Batch("ESM5", table=key)

    with pytest.raises(
        ValueError, match=f"a batch of {key or 'no table'} from the pass of {PRICES}, {OHLCV}"
    ):
        stage_pass(astray, scope, astray[0].open_inputs(scope), "run")
    assert left_behind(own_market) == []


def test_a_table_of_a_shared_pass_is_not_computed_alone(own_market: Settings) -> None:
    scope = Scope.of(DAY, Workbench(own_market))
    for table in pair():
        with pytest.raises(ValueError, match="computed together or not at all"):
            table.stage(scope, table.open_inputs(scope), "run")


def test_per_contract_tables_share_a_computation_too(own_market: Settings) -> None:
    scope = Scope.of(DAY, Workbench(own_market))
    seen = []

    @lake_assets(*PAIR, inputs={"prices": PRICES, "bars": OHLCV})
    def both(scope: Scope, prices: pl.DataFrame, bars: pl.DataFrame) -> tuple[pl.DataFrame, ...]:
        seen.append((scope.symbol, set(prices["symbol"]), set(bars["symbol"])))
        return prices, bars.clear() if scope.symbol == "NQM5" else bars

    before = {key: rows(scope.bench.lake, key) for key in PAIR}
    # Over their own output: the inputs are opened before anything is published.
    inputs = both[0].open_inputs(scope)
    for staged in stage_pass(both, scope, inputs, "run"):
        assert isinstance(staged, Staged)
        staged.stage.publish()

    assert seen == [("ESM5", {"ESM5"}, {"ESM5"}), ("NQM5", {"NQM5"}, {"NQM5"})]
    assert rows(scope.bench.lake, PRICES)["NQM5"].equals(before[PRICES]["NQM5"])
    assert rows(scope.bench.lake, OHLCV)["ESM5"].equals(before[OHLCV]["ESM5"])
    assert rows(scope.bench.lake, OHLCV)["NQM5"].is_empty()


def test_a_computation_that_gives_too_few_frames_is_refused(own_market: Settings) -> None:
    @lake_assets(*PAIR, inputs={"trades": TRADES_CLEAN})
    def short(scope: Scope, trades: pl.DataFrame) -> tuple[pl.DataFrame, ...]:
        return (trades,)

    scope = Scope.of(DAY, Workbench(own_market))
    with pytest.raises((ContractViolation, ValueError)):
        stage_pass(short, scope, short[0].open_inputs(scope), "run")
    assert left_behind(own_market) == []


def test_a_stream_over_inputs_and_a_look_back_sees_every_contract_of_both(own_market: Settings) -> None:
    @lake_stream_assets(*PAIR, inputs={"trades": TRADES_CLEAN}, lookback={"before": BARS})
    def looking_back(scope: Scope, trades: TableInput, before: TableInput) -> Iterator[Batch]:
        seen.append((trades.dates, before.dates, before.optional, before.symbols(), before.frame()))
        for key in PAIR:
            yield Batch("ESM5", rows(scope.bench.lake, key, scope.trade_date)["ESM5"], key)

    seen: list[tuple[tuple[dt.date, ...], tuple[dt.date, ...], bool, list[str], pl.DataFrame]] = []
    assert run(own_market, looking_back, day=NEXT).success

    ((today, before, optional, symbols, frame),) = seen
    assert today == (NEXT,)
    assert (len(before), before[-1], optional) == (20, DAY, True)
    assert symbols == ["ESM5", "NQM5"]
    assert frame.height == sum(f.height for f in rows(Lake(own_market.lake_root), BARS, DAY).values())
    lineage = Lake(own_market.lake_root).manifests(PRICES, NEXT)["ESM5"].lineage
    assert {(ref.table, ref.dt, ref.symbol) for ref in lineage.inputs} == {
        (TRADES_CLEAN, NEXT, "ESM5"),
        (TRADES_CLEAN, NEXT, "NQM5"),
        (BARS, DAY, "ESM5"),
        (BARS, DAY, "NQM5"),
    }
    scope = Scope.of(NEXT, Workbench(own_market))
    assert looking_back[0].is_current(scope), "Dagster and the command line look back on the same sessions"
    assert pass_of(looking_back) == dict.fromkeys(PAIR, 1)


def test_tables_are_grouped_by_their_pass_where_its_first_table_stands() -> None:
    first, second = pair()
    trades, levels = BY_KEY[TRADES_CLEAN], BY_KEY[LEVELS]

    grouped = passes([trades, second, levels, first])

    assert [[table.key for table in together] for together in grouped] == [[TRADES_CLEAN], [*PAIR], [LEVELS]]


def test_every_asset_of_a_pass_shows_its_own_contract_and_they_run_together() -> None:
    (step,) = build_assets(pair())

    assert not step.can_subset
    assert step.keys == {dg.AssetKey(key.split(".")) for key in PAIR}
    assert {(check.asset_key, check.name) for check in step.check_keys} == {
        (key, "contract") for key in step.keys
    }
    for key in step.keys:
        metadata, contract = step.metadata_by_key[key], contracts.load(".".join(key.path))
        assert metadata[LAKE_TABLE] == contract.name
        assert [column.name for column in metadata["dagster/column_schema"].columns] == list(contract.columns)
        assert step.descriptions_by_key[key] == f"{contract.doc}\n\nThe bars and the profile."


def test_an_unchanged_pass_stages_nothing(own_market: Settings) -> None:
    tables = pair()
    build_lake(own_market, DAY, tables=tables)
    scope = Scope.of(DAY, Workbench(own_market))

    staged = stage_pass(tables, scope, tables[0].open_inputs(scope), "run")

    assert staged == tuple(Unchanged(key, DAY) for key in PAIR)
    assert left_behind(own_market) == []


def test_rows_of_every_table_go_to_the_disk_while_the_pass_goes_on(
    own_market: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No table waits for another: what is held is at most a row group a table."""
    monkeypatch.setattr(background, "THREADS", 1)  # so that what was given is written when the pass goes on
    scope = Scope.of(DAY, Workbench(own_market))
    keys = ("bronze.future.trades", TRADES_CLEAN)
    noise = np.random.default_rng(1).integers(1, 2**40, 4 * ROW_GROUP_ROWS)  # nothing to compress
    frames = {
        key: pl.concat([rows(scope.bench.lake, key)["ESM5"].tail(1)] * len(noise)).with_columns(
            pl.Series(name, noise)
        )
        for key, name in zip(keys, ("size", "aggressor_order_id"), strict=True)
    }
    on_disk = []

    @lake_stream_assets(*keys, inputs={"bars": OHLCV})
    def long(scope: Scope, bars: TableInput) -> Iterator[Batch]:
        for _ in range(3):
            for key in keys:
                yield Batch("ESM5", frames[key], key)
            parts = scope.bench.lake.layout.staging.rglob("part-*.parquet")
            on_disk.append(sorted(path.stat().st_size for path in parts))

    for staged in stage_pass(long, scope, long[0].open_inputs(scope), "run"):
        assert isinstance(staged, Staged)
        assert staged.rows == 12 * ROW_GROUP_ROWS
        staged.stage.discard()

    assert [len(sizes) for sizes in on_disk] == [2, 2, 2]
    assert all(0 < before[0] < after[0] for before, after in pairwise(on_disk))
