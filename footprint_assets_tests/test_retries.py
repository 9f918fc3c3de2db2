"""What is tried again: a disk or network fault and a busy partition; never what a second try cannot mend."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator

import pytest

from footprint_assets import retries
from footprint_assets.lake import PartitionBusy, PartitionMissing, WriteFailed
from footprint_assets.lake_asset import BOOK_POOL, build_assets, lake_stream_asset
from footprint_assets.retries import MAX_RETRIES, is_transient
from footprint_assets.settings import Settings
from footprint_assets.sources.errors import SourceError
from footprint_assets.tables import Batch, LakeTable, Scope, TableInput
from footprint_assets_tests.runs import failure_of, run
from footprint_assets_tests.small_market import TABLES, rows

OHLCV = "silver.future.ohlcv"


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.EIO, "input/output error"), True),
        (OSError(errno.ESTALE, "stale file handle"), True),
        (caused(WriteFailed("refused"), OSError(errno.EIO, "input/output error")), True),
        (PartitionBusy("another process holds it"), True),
        (OSError(errno.ENOSPC, "no space left on device"), False),
        (caused(WriteFailed("refused"), OSError(errno.ENOSPC, "no space left on device")), False),
        (FileNotFoundError(errno.ENOENT, "no such file"), False),
        (PartitionMissing("not published"), False),
        (caused(PartitionMissing("not published"), OSError(errno.EIO, "input/output error")), False),
        (ValueError("a row too many"), False),
    ],
    ids=str,
)
def test_only_faults_that_pass_are_transient(error: Exception, expected: bool) -> None:
    assert is_transient(error) is expected


def table_that(fails: Callable[[int], Exception | None], tries: list[int]) -> LakeTable:
    """A table whose function fails the first times it is computed."""

    @lake_stream_asset(OHLCV, inputs={"trades": "silver.future.trades_clean"})
    def ohlcv(scope: Scope, trades: TableInput) -> Iterator[Batch]:
        """The bars."""
        tries.append(len(tries))
        error = fails(len(tries))
        if error is not None:
            raise error
        for symbol, frame in rows(scope.bench.lake, OHLCV, scope.trade_date).items():
            yield Batch(symbol, frame)

    return ohlcv


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_WAIT_S", 0.0)


def test_a_fault_that_passes_is_outlived(own_market: Settings) -> None:
    tries: list[int] = []
    table = table_that(lambda count: OSError(errno.EIO, "input/output error") if count < 3 else None, tries)

    result = run(own_market, [table])

    assert result.success
    assert len(tries) == 3


def test_a_fault_that_stays_fails_in_its_own_words(own_market: Settings) -> None:
    tries: list[int] = []
    result = run(own_market, [table_that(lambda _: OSError(errno.EIO, "input/output error"), tries)])

    assert not result.success
    assert len(tries) == 1 + MAX_RETRIES
    data = failure_of(result).user_failure_data
    assert data is not None
    assert "input/output error" in str(data.description)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "no space left on device"),
        caused(SourceError("trailing bytes"), OSError(errno.EIO, "input/output error")),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_a_second_try_cannot_mend_is_tried_once(own_market: Settings, error: Exception) -> None:
    tries: list[int] = []
    result = run(own_market, [table_that(lambda _: error, tries)])

    assert not result.success
    assert len(tries) == 1


def test_a_broken_contract_is_tried_once(own_market: Settings) -> None:
    tries: list[int] = []

    @lake_stream_asset(OHLCV, inputs={"trades": "silver.future.trades_clean"})
    def ohlcv(scope: Scope, trades: TableInput) -> Iterator[Batch]:
        """Bars that break their contract."""
        tries.append(1)
        for symbol, frame in rows(scope.bench.lake, OHLCV, scope.trade_date).items():
            yield Batch(symbol, frame.reverse())

    assert not run(own_market, [ohlcv]).success
    assert len(tries) == 1


def test_a_disk_that_fails_while_publishing_is_tried_again(
    own_market: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The IO manager publishes: its faults are told apart as those of the step are."""
    from footprint_assets.lake import Stage

    publish, calls = Stage.publish, []

    def failing(stage: Stage) -> object:
        calls.append(1)
        if len(calls) == 1:
            raise PartitionBusy("another process publishes it")
        return publish(stage)

    monkeypatch.setattr(Stage, "publish", failing)
    assert run(own_market, [table_that(lambda _: None, [])]).success
    assert len(calls) == 2


def test_tables_that_hold_a_book_share_a_pool() -> None:
    pools = {
        key.to_user_string().replace("/", "."): assets.op.pool
        for assets in build_assets(TABLES)
        for key in assets.keys
    }
    assert pools["bronze.future.market_by_price_10"] == BOOK_POOL
    assert pools["silver.future.market_by_price_10_bar5s"] == BOOK_POOL
    assert pools["silver.future.ohlcv"] is None
