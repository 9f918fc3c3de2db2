"""Runs in MLflow: a SQLite store and a folder of documents, no server.

Each run is a version of the registered model of its head and product root, such as ``direction-ES``, and the alias ``champion``
names the one in use. A version points to the run's documents: the model itself is in the lake.

``MlflowClient`` and not the fluent API, whose active run is global and breaks under threads. One process at a time: several
that open a fresh store at once make its tables at once, and all fail.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from footprint_assets.errors import ExtraMissing
from footprint_assets.tracking.run import TrackedRun, turn

IDENTITY = "footprint.id"
DATABASE = "mlflow.db"
DOCUMENTS = "mlflow-documents"
ENVIRONMENT = {
    # Nothing is sent anywhere, and git is not looked for.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    # It would give loggers handlers of its own, which write into the middle of a progress display.
    "MLFLOW_CONFIGURE_LOGGING": "false",
}
"""What MLflow reads from the environment, where nobody has set it otherwise."""
CHAMPION = "champion"
"""Alias of the version whose model is in use."""
MOST_AT_ONCE = 100
"""Parameters, tags and metrics MLflow takes in one call."""


@dataclass(frozen=True)
class MlflowTracker:
    """Writes each run into the experiment of its head.

    Args:
        root: Folder of all trackers; the store is ``mlflow.db`` in it.
    """

    root: Path

    @property
    def uri(self) -> str:
        """Address of the store, as ``mlflow ui --backend-store-uri`` takes it."""
        return f"sqlite:///{self.root.absolute() / DATABASE}"

    def record(self, run: TrackedRun) -> bool:
        """Write a run with its metrics and documents, unless it is there already.

        A run that a killed process left unfinished is replaced.
        """
        mlflow = _mlflow()
        run = run.published()
        with turn(self.root):
            client = mlflow.MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)
            experiment = self._experiment(client, run.experiment)
            known = client.search_runs([experiment], f"tags.`{IDENTITY}` = '{run.identity}'")
            is_new = all(found.info.status != "FINISHED" for found in known)
            if is_new:
                for found in known:
                    client.delete_run(found.info.run_id)
                _write(mlflow, client, experiment, run)
            _appoint(client, run)
        return is_new

    def _experiment(self, client: Any, name: str) -> str:
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        folder = self.root.absolute() / DOCUMENTS / name
        return str(client.create_experiment(name, artifact_location=folder.as_uri()))


def _write(mlflow: ModuleType, client: Any, experiment: str, run: TrackedRun) -> None:
    entities, now = mlflow.entities, time.time_ns() // 1_000_000
    tags = {IDENTITY: run.identity, **run.facts}
    made = client.create_run(experiment, run_name=run.name, tags={IDENTITY: run.identity})
    run_id = made.info.run_id
    own_tags = [entities.RunTag(*pair) for pair in tags.items()]
    params = [entities.Param(*pair) for pair in run.params.items()]
    metrics = [entities.Metric(*pair, now, 0) for pair in run.metrics.items()]
    for some in _chunks(own_tags):
        client.log_batch(run_id, tags=some)
    for some in _chunks(params):
        client.log_batch(run_id, params=some)
    for some in _chunks(metrics):
        client.log_batch(run_id, metrics=some)
    for name, text in run.texts.items():
        client.log_text(run_id, text, name)
    _register(client, run, made.info)
    client.set_terminated(run_id, "FINISHED")


def _register(client: Any, run: TrackedRun, made: Any) -> None:
    """A version of the registered model for a run."""
    name = _registered(run)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(
            name,
            description=f"What {run.experiment} learned of {run.root}, month by month; the models are in the lake.",
        )
    tags = {IDENTITY: run.identity, "partition": run.partition, "sha256": run.sha256}
    client.create_model_version(name, made.artifact_uri, made.run_id, tags, await_creation_for=0)


def _appoint(client: Any, run: TrackedRun) -> None:
    """Give the alias to the version in use, where it was written down."""
    name = _registered(run)
    found = client.search_model_versions(f"name = '{name}' and tags.`{IDENTITY}` = '{run.champion}'")
    if found:
        client.set_registered_model_alias(
            name, CHAMPION, max(found, key=lambda one: int(one.version)).version
        )


def _registered(run: TrackedRun) -> str:
    """Name of the registered model a run is a version of."""
    return f"{run.experiment}-{run.root}"


def _chunks(entities: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (entities[first : first + MOST_AT_ONCE] for first in range(0, len(entities), MOST_AT_ONCE))


def _mlflow() -> ModuleType:
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        import mlflow
        import mlflow.entities
    except ImportError as error:
        raise ExtraMissing(
            "This tracker needs MLflow, which is not installed.",
            where={"tracking": "mlflow"},
            remedy="pip install --editable '.[tracking]' in the checkout, or FOOTPRINT_TRACKING__KIND=jsonl.",
        ) from error
    module: ModuleType = mlflow
    return module
