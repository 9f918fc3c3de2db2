"""Secrets stay out of what is written: log records, messages, events, run configuration, manifests."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from footprint_assets import console
from footprint_assets.lake import WriteFailed
from footprint_assets.lake_asset import lake_stream_asset
from footprint_assets.redaction import HIDDEN, redact, redact_logs
from footprint_assets.settings import Settings
from footprint_assets.tables import Batch, Scope, TableInput
from footprint_assets_tests.command_line import Shell
from footprint_assets_tests.runs import run
from footprint_assets_tests.small_market import DAY, write_drop

KEY = "db-Canary1234567890abcdefghijklmn"[:32]
PASSWORD = "canary-in-a-coal-mine"
URL = f"postgresql://someone:{PASSWORD}@localhost:5432/runs"


@pytest.fixture
def _logs() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    redact_logs()
    yield
    logging.setLogRecordFactory(before)


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Secrets in the environment of a run."""
    given = {"DATABENTO_API_KEY": KEY, "PGPASSWORD": PASSWORD, "SLACK_TOKEN": "canary-token-0815"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return tuple(given.values())


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (f"key {KEY}.", f"key {HIDDEN}."),
        (f"could not connect to {URL}", f"could not connect to postgresql://someone:{HIDDEN}@localhost:5432/runs"),
        (f"postgresql+psycopg2://:{PASSWORD}@db/runs", f"postgresql+psycopg2://:{HIDDEN}@db/runs"),
        (f"host=db password={PASSWORD} user=me", f"host=db password={HIDDEN} user=me"),
        (f"host=db PASSWORD = '{PASSWORD} 2' user=me", f"host=db PASSWORD = {HIDDEN} user=me"),
        ("ESU4 db-short data/lake https://docs.dagster.io/guides", "ESU4 db-short data/lake https://docs.dagster.io/guides"),
        ("the password is in the environment", "the password is in the environment"),
    ],
)  # fmt: skip
def test_a_text_keeps_all_but_its_secrets(text: str, clean: str) -> None:
    assert redact(text) == clean


def test_what_the_environment_calls_a_secret_is_one(secrets: tuple[str, ...]) -> None:
    assert redact(f"<{secrets[2]}>") == f"<{HIDDEN}>"


@pytest.mark.usefixtures("_logs")
def test_no_handler_sees_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("somebody's library")
    logger.warning("connecting to %s with %s", URL, KEY)
    try:
        raise ValueError(f"cannot reach {URL}")
    except ValueError:
        logger.exception("connecting failed")

    assert len(caplog.records) == 2
    assert "someone" in caplog.text
    assert PASSWORD not in caplog.text
    assert KEY not in caplog.text


def test_the_terminal_sees_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    console.problem(f"cannot reach {URL}")
    assert capsys.readouterr().err == f"cannot reach postgresql://someone:{HIDDEN}@localhost:5432/runs\n"


@pytest.mark.usefixtures("_logs")
def test_events_of_a_run_hold_no_secret_its_log_or_its_error_named(
    own_market: Settings, secrets: tuple[str, ...]
) -> None:
    @lake_stream_asset("silver.future.ohlcv", inputs={"trades": "silver.future.trades_clean"})
    def ohlcv(scope: Scope, trades: TableInput) -> Iterator[Batch]:
        """A table that talks too much."""
        dg.get_dagster_logger().warning("the key is %s", KEY)
        raise WriteFailed(f"cannot reach {URL} with {secrets[2]}")
        yield

    with dg.DagsterInstance.ephemeral() as instance:
        result = run(own_market, [ohlcv], instance=instance)
        events = [entry.to_json() for entry in instance.all_logs(result.run_id)]

    assert any("the key is" in event for event in events)
    assert any("cannot reach postgresql" in event for event in events)
    said = [event for event in events if "error_info" not in event]
    assert not [event for event in said for secret in (*secrets, PASSWORD) if secret in event]


@pytest.mark.slow
def test_a_canary_in_the_environment_is_nowhere_after_a_run(
    secrets: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shell = Shell(tmp_path, monkeypatch, capsys)
    write_drop(tmp_path / "data" / "dbn")
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "")

    assert shell(f"backfill --start {DAY} --end {DAY} --layer bronze").code == 0

    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and "dbn" not in path.parts]
    assert any(path.name == "_MANIFEST.json" for path in files)
    assert any(path.suffix == ".db" for path in files)
    found = [path for path in files for secret in secrets if secret.encode() in path.read_bytes()]
    assert found == []
