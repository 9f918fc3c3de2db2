"""Trackers against the real packages: what is written down, once, by how many processes it may be."""

from __future__ import annotations

import json
import logging
import multiprocessing
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from footprint_assets.errors import ExtraMissing
from footprint_assets.settings import Settings
from footprint_assets.tracking import (
    TrackedRun,
    Tracker,
    TrackingBusy,
    tracker_of,
    tracking_root,
)
from footprint_assets.tracking import run as run_module
from footprint_assets.tracking.lines import FILE, JsonLinesTracker
from footprint_assets.tracking.mlflow_store import IDENTITY, MlflowTracker
from footprint_assets.tracking.run import turn

SPAWN = multiprocessing.get_context("spawn")
KEY = "db-" + "A1b2" * 7 + "C"


def run_of(month: str = "2024-06-01", sha256: str = "ab" * 32, **changes: Any) -> TrackedRun:
    facts: dict[str, Any] = {
        "params": {"learning_rate": "0.05", "num_leaves": "15"},
        "metrics": {"log_loss": 0.61, "auc": float("nan")},
        "tags": {"dagster/run_id": "r1", "dagster/partition": month, "feature_spec_sha": "cd" * 32},
        "texts": {"card.md": "# direction"},
    }
    return TrackedRun("direction", "ES", month, sha256, **(facts | changes))


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FILE).read_text(encoding="utf-8").splitlines()]


def settings_with(folder: Path, kind: str) -> Settings:
    return Settings(_env_file=None, lake_root=folder / "lake", tracking={"kind": kind})  # type: ignore[arg-type]


def write_in_a_process(settings: Settings, months: list[str], gate: Any) -> None:
    """Several runs by a tracker of its own, once all processes are there."""
    gate.wait()
    tracker = tracker_of(settings)
    for month in months:
        assert tracker.record(run_of(month))
    # What the first open of a store says goes where everything goes, not to a handler of its own.
    assert logging.getLogger("mlflow").handlers == []


def together(settings: Settings, processes: int, runs: int) -> None:
    gate = SPAWN.Barrier(processes)
    started = [
        SPAWN.Process(
            target=write_in_a_process,
            args=(settings, [f"20{year + 10}-{month + 1:02d}-01" for month in range(runs)], gate),
        )
        for year in range(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join(120)
    assert [process.exitcode for process in started] == [0] * processes


def test_the_default_is_json_lines_beside_the_lake(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, lake_root=tmp_path / "lake")  # type: ignore[call-arg]
    assert tracker_of(settings) == JsonLinesTracker(tmp_path / "tracking")
    assert tracker_of(settings).record(run_of())
    (line,) = lines_of(tracking_root(settings))
    assert line["params"] == {"learning_rate": "0.05", "num_leaves": "15"}
    assert line["metrics"] == {"log_loss": 0.61}  # what is not known is not written
    assert line["texts"] == {"card.md": "# direction"}


def test_nothing_is_written_where_nothing_is_wanted(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "none")
    assert not tracker_of(settings).record(run_of())
    assert not tracking_root(settings).exists()


def test_the_same_month_with_the_same_bytes_is_no_second_run(tmp_path: Path) -> None:
    tracker = JsonLinesTracker(tmp_path)
    again = run_of(tags={"dagster/run_id": "r2"})
    other_bytes, other_month = run_of(sha256="ef" * 32), run_of("2024-07-01")
    assert [tracker.record(run) for run in (run_of(), again, other_bytes, other_month)] == [
        True,
        False,
        True,
        True,
    ]
    assert [line["tags"].get("dagster/run_id") for line in lines_of(tmp_path)] == ["r1", "r1", "r1"]


def test_a_line_a_killed_process_left_is_cut_off(tmp_path: Path) -> None:
    tracker = JsonLinesTracker(tmp_path)
    tracker.record(run_of())
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole + whole[: len(whole) // 2])
    assert tracker.record(run_of("2024-07-01"))
    assert (tmp_path / FILE).read_bytes().startswith(whole)
    assert [line["partition"] for line in lines_of(tmp_path)] == ["2024-06-01", "2024-07-01"]


def test_no_line_of_several_processes_is_lost_or_torn(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "jsonl")
    together(settings, processes=3, runs=12)
    assert len({line["id"] for line in lines_of(tracking_root(settings))}) == 36


def test_a_folder_somebody_holds_is_a_typed_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "LONGEST_WAIT_S", 0.05)
    with turn(tmp_path), pytest.raises(TrackingBusy, match="FOOTPRINT_TRACKING__DIRECTORY"):
        JsonLinesTracker(tmp_path).record(run_of())


def test_a_secret_is_not_written_down(tmp_path: Path) -> None:
    JsonLinesTracker(tmp_path).record(run_of(tags={"source": f"key {KEY}"}, texts={"card.md": KEY}))
    assert KEY not in (tmp_path / FILE).read_text(encoding="utf-8")


@pytest.mark.parametrize("names", [{"experiment": "../evil"}, {"texts": {"../../card.md": ""}}])
def test_a_name_that_leaves_its_folder_is_refused(names: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="plain word"):
        TrackedRun(
            **({"experiment": "direction", "root": "ES", "partition": "2024-06-01", "sha256": "ab"} | names)
        )


@pytest.mark.parametrize(
    ("kind", "package", "extra"), [("mlflow", "mlflow", "tracking"), ("wandb", "wandb", "wandb")]
)
def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(ExtraMissing, match=rf"\[{extra}\]"):
        tracker_of(settings_with(tmp_path, kind)).record(run_of())


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every address outside this machine is refused."""
    connect = socket.socket.connect

    def refuse(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a connection to {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture(scope="class")
def store(tmp_path_factory: pytest.TempPathFactory) -> MlflowTracker:
    """A fresh store that three processes opened at once, each for two runs."""
    pytest.importorskip("mlflow", reason="MLflow comes with the [tracking] extra")
    settings = settings_with(tmp_path_factory.mktemp("mlflow"), "mlflow")
    together(settings, processes=3, runs=2)
    return MlflowTracker(tracking_root(settings))


class TestMlflow:
    def runs_of(self, store: MlflowTracker, where: str = "") -> list[Any]:
        import mlflow

        client = mlflow.MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
        return list(client.search_runs([client.get_experiment_by_name("direction").experiment_id], where))

    def test_three_processes_may_open_a_fresh_store_at_once(self, store: MlflowTracker) -> None:
        assert len({run.data.tags[IDENTITY] for run in self.runs_of(store)}) == 6

    def test_a_run_is_written_once_with_all_that_is_known_of_it(
        self, store: MlflowTracker, no_network: None
    ) -> None:
        many = {f"m{k:03d}": float(k) for k in range(230)}
        assert store.record(run_of(metrics=many))
        assert not store.record(run_of(tags={"dagster/run_id": "r2"}))
        (found,) = self.runs_of(store, f"tags.`{IDENTITY}` = '{run_of().identity}'")
        assert found.info.status == "FINISHED"
        assert found.data.metrics == many
        assert found.data.params["num_leaves"] == "15"
        wanted = {"dagster/run_id", "dagster/partition", "feature_spec_sha", "root", "sha256"}
        assert wanted <= set(found.data.tags)
        assert found.data.tags["dagster/run_id"] == "r1"
        written = store.root / "mlflow-documents" / "direction" / found.info.run_id
        assert [path.read_text() for path in written.rglob("card.md")] == ["# direction"]

    def test_a_run_left_unfinished_is_replaced(self, store: MlflowTracker) -> None:
        import mlflow

        run = run_of("2031-01-01")
        client = mlflow.MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
        experiment = client.get_experiment_by_name("direction").experiment_id
        client.create_run(experiment, tags={IDENTITY: run.identity})
        assert store.record(run)
        known = self.runs_of(store, f"tags.`{IDENTITY}` = '{run.identity}'")
        assert [one.info.status for one in known] == ["FINISHED"]

    def test_the_version_in_use_is_the_champion(self, store: MlflowTracker) -> None:
        import mlflow

        def in_use() -> str:
            return str(client.get_model_version_by_alias("direction-ES", "champion").tags["partition"])

        client = mlflow.MlflowClient(tracking_uri=store.uri, registry_uri=store.uri)
        first, second = run_of("2032-01-01"), run_of("2032-02-01")
        store.record(replace(first, champion=first.identity))
        store.record(replace(second, champion=first.identity))
        assert in_use() == "2032-01-01"
        store.record(replace(second, champion=second.identity))  # the run is known, the decision is new
        assert in_use() == "2032-02-01"
        (version,) = client.search_model_versions(f"tags.`{IDENTITY}` = '{second.identity}'")
        assert client.get_run(version.run_id).data.tags["partition"] == "2032-02-01"


class TestWandb:
    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("wandb", reason="Weights & Biases comes with the [wandb] extra")

    def test_a_run_is_written_once_and_nothing_is_sent(
        self, tmp_path: Path, no_network: None, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        settings = settings_with(tmp_path, "wandb")
        tracker: Tracker = tracker_of(settings)
        assert tracker.record(run_of())
        assert not tracker.record(run_of(tags={"dagster/run_id": "r2"}))
        (written,) = (tracking_root(settings) / "wandb").glob("offline-run-*")
        assert (written / f"run-{run_of().identity}.wandb").stat().st_size > 0
        text = b"".join(path.read_bytes() for path in written.rglob("*") if path.is_file())
        assert b"learning_rate" in text
        # Nothing of the machine: no command line, no packages.
        assert [path.name for path in (written / "files").iterdir()] == []
        assert b"pytest" not in text.replace(str(tmp_path).encode(), b"")
