"""Passes side by side: what is begun when, what a failure stops, and that nothing is published after the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import dagster as dg
import polars as pl
import pytest

from footprint_assets import background
from footprint_assets.contracts import ContractViolation
from footprint_assets.lake import Lake
from footprint_assets.lake_asset import build_assets, lake_stream_asset
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.side_by_side import Published, Runs, SideBySide
from footprint_assets.tables import Batch, LakeTable, Scope, TableInput, Unchanged
from footprint_assets_tests.runs import materialized, resources, run
from footprint_assets_tests.small_market import BY_KEY, DAY, files_of, rows

TRADES = "silver.future.trades_clean"
OHLCV = "silver.future.ohlcv"
PRICES = "silver.future.volume_profile_price"
LEVELS = "silver.future.session_levels"
WAIT_S = 60


class Market:
    """Three tables of the small market, written again as they are: bars and prices of the trades, levels of the bars.

    Args:
        settings: A lake of its own.
        fails: Tables whose rows break their contract.
    """

    def __init__(self, settings: Settings, fails: tuple[str, ...] = ()) -> None:
        self.settings = settings
        self.begun = {key: threading.Event() for key in (OHLCV, PRICES, LEVELS)}
        self.calls = dict.fromkeys(self.begun, 0)
        self.may_end = {key: threading.Event() for key in self.begun}
        self.tables = {
            key: (self._table(key, source, key in fails),)
            for key, source in ((OHLCV, TRADES), (PRICES, TRADES), (LEVELS, OHLCV))
        }

    def _table(self, key: str, source: str, fails: bool) -> LakeTable:
        published = rows(Lake(self.settings.lake_root), key, DAY)

        @lake_stream_asset(key, inputs={"source": source})
        def table(scope: Scope, source: TableInput) -> Iterator[Batch]:
            self.calls[key] += 1
            self.begun[key].set()
            assert self.may_end[key].wait(WAIT_S)
            for symbol, frame in published.items():
                yield Batch(symbol, frame.with_columns(pl.lit(1).alias(frame.columns[0])) if fails else frame)

        return table

    def side_by_side(self, present: frozenset[str] = frozenset({TRADES})) -> SideBySide:
        scope = Scope.of(DAY, Workbench(self.settings))
        return SideBySide(list(self.tables.values()), present, scope, "run")

    def let_go(self, *keys: str) -> None:
        for key in keys:
            self.may_end[key].set()

    def made_of(self, key: str) -> str:
        return Lake(self.settings.lake_root).manifests(key, DAY)["ESM5"].lineage.run_id


def test_a_pass_is_computed_beside_the_one_asked_for_and_followed_by_what_reads_it(
    own_market: Settings,
) -> None:
    market = Market(own_market)
    passes = market.side_by_side()
    asked = threading.Thread(target=passes.made, args=(market.tables[PRICES],))
    asked.start()

    assert market.begun[PRICES].wait(WAIT_S)
    assert market.begun[OHLCV].wait(WAIT_S)
    assert not market.begun[LEVELS].is_set(), "its bars are not published yet"
    market.let_go(OHLCV)
    assert market.begun[LEVELS].wait(WAIT_S)
    market.let_go(LEVELS, PRICES)
    asked.join(WAIT_S)

    assert [type(made) for key in (OHLCV, LEVELS) for made in passes.made(market.tables[key])] == [
        Published
    ] * 2
    assert {market.made_of(key) for key in market.tables} == {"run"}


def test_a_pass_that_was_current_counts_for_those_after_it(own_market: Settings) -> None:
    market = Market(own_market)
    market.let_go(*market.tables)
    first = market.side_by_side()
    for together in market.tables.values():
        first.made(together)

    again = market.side_by_side()

    assert all(isinstance(again.made(together)[0], Unchanged) for together in market.tables.values())


def test_an_input_somebody_else_makes_is_waited_for(own_market: Settings) -> None:
    market = Market(own_market)
    market.let_go(*market.tables)
    passes = market.side_by_side(present=frozenset())

    passes.made(market.tables[PRICES])

    assert not market.begun[OHLCV].is_set()
    assert isinstance(passes.made(market.tables[OHLCV])[0], Published)


def test_what_reads_a_failed_pass_is_not_begun_and_others_are(own_market: Settings) -> None:
    market = Market(own_market, fails=(OHLCV,))
    market.let_go(*market.tables)
    before = files_of(Lake(own_market.lake_root), OHLCV)
    passes = market.side_by_side()

    with pytest.raises(ContractViolation):
        passes.made(market.tables[OHLCV])

    assert isinstance(passes.made(market.tables[PRICES])[0], Published)
    assert not market.begun[LEVELS].is_set()
    assert files_of(Lake(own_market.lake_root), OHLCV) == before


def test_nothing_is_begun_or_published_after_a_run_was_stopped(own_market: Settings) -> None:
    market = Market(own_market)
    before = files_of(Lake(own_market.lake_root))
    passes = market.side_by_side()
    refusals: list[BaseException] = []

    def ask() -> None:
        try:
            passes.made(market.tables[PRICES])
        except InterruptedError as error:
            refusals.append(error)

    asked = threading.Thread(target=ask)
    asked.start()
    assert market.begun[OHLCV].wait(WAIT_S)

    stopping = threading.Thread(target=passes.stop)
    stopping.start()
    market.let_go(*market.tables)
    stopping.join(WAIT_S)
    asked.join(WAIT_S)

    assert len(refusals) == 1
    assert not stopping.is_alive()
    assert not market.begun[LEVELS].is_set()
    assert files_of(Lake(own_market.lake_root)) == before


@pytest.mark.parametrize("threads", [1, 2])
def test_a_dagster_run_records_the_same_whatever_the_threads(
    own_market: Settings, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr(background, "THREADS", threads)
    market = Market(own_market)
    market.let_go(*market.tables)

    with dg.DagsterInstance.ephemeral() as instance:
        tables = [together[0] for together in market.tables.values()]
        result = run(own_market, tables, instance=instance)

    assert result.success
    assert {key: facts["written"] for key, facts in materialized(result).items()} == dict.fromkeys(
        market.tables, "published"
    )
    assert {market.made_of(key) for key in market.tables} == {result.run_id}


def test_a_run_of_some_steps_computes_no_others(
    own_market: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decision: what is computed ahead is read off the run; a step left out of it must stay as it is."""
    monkeypatch.setattr(background, "THREADS", 2)
    market = Market(own_market)
    market.let_go(*market.tables)

    with dg.DagsterInstance.ephemeral() as instance:
        tables = [together[0] for together in market.tables.values()]
        assert run(own_market, tables, PRICES, instance=instance).success

    assert not market.begun[OHLCV].is_set()
    assert not market.begun[LEVELS].is_set()


def test_a_run_begun_before_its_first_step_computes_each_pass_once(
    own_market: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "THREADS", 2)
    market, runs = Market(own_market), Runs()
    market.let_go(*market.tables)
    tables = [together[0] for together in market.tables.values()]
    job = dg.Definitions(
        build_assets(tables, runs=runs), resources=resources(own_market)
    ).resolve_implicit_global_asset_job_def()
    run_id = "5e6f1d5c-0000-4000-8000-000000000000"

    graph = [(BY_KEY[TRADES],), *market.tables.values()]  # the run reads the trades as they are
    runs.begin(run_id, graph, market.tables.keys(), Scope.of(DAY, Workbench(own_market)))
    assert market.begun[OHLCV].wait(WAIT_S)
    result = job.execute_in_process(partition_key=DAY.isoformat(), run_id=run_id)
    runs.end()

    assert result.success
    assert market.calls == dict.fromkeys(market.tables, 1)
    assert runs.of(run_id) is None
