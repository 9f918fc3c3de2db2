"""Which tracker the settings ask for."""

from __future__ import annotations

from pathlib import Path

from footprint_assets.settings import Settings
from footprint_assets.tracking.lines import JsonLinesTracker
from footprint_assets.tracking.mlflow_store import MlflowTracker
from footprint_assets.tracking.run import TrackedRun, Tracker
from footprint_assets.tracking.wandb_offline import WandbTracker


class NoTracker:
    """Writes nothing down."""

    def record(self, run: TrackedRun) -> bool:  # noqa: ARG002 - the protocol's
        """Forget the run."""
        return False


def tracking_root(settings: Settings) -> Path:
    """The folder of every tracker: the settings', or ``tracking`` beside the lake."""
    return settings.tracking.directory or settings.lake_root.absolute().parent / "tracking"


def tracker_of(settings: Settings) -> Tracker:
    """The tracker of the settings; nothing is opened or imported yet."""
    root = tracking_root(settings)
    match settings.tracking.kind:
        case "jsonl":
            return JsonLinesTracker(root)
        case "mlflow":
            return MlflowTracker(root)
        case "wandb":
            return WandbTracker(root, settings.tracking.project)
        case _:
            return NoTracker()
