"""Runs in Weights & Biases, offline: folders that ``wandb sync`` sends when a person asks for it; nothing is sent here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from footprint_assets.errors import ExtraMissing
from footprint_assets.lake import fsops
from footprint_assets.tracking.run import TrackedRun, turn

FOLDER = "wandb"
FINISHED = ".finished"


@dataclass(frozen=True)
class WandbTracker:
    """Writes each run into a folder of its own below ``wandb``.

    Args:
        root: Folder of all trackers.
        project: Project the runs belong to.
    """

    root: Path
    project: str

    def record(self, run: TrackedRun) -> bool:
        """Write a run with its metrics, unless it is there already.

        A run that a killed process left unfinished is written again.
        """
        wandb = _wandb()
        run = run.published()
        with turn(self.root):
            mark = self.root / FOLDER / f"{run.identity}{FINISHED}"
            if mark.exists():
                return False
            _write(wandb, self.root.absolute(), self.project, run)
            fsops.write_file(mark, b"")
            fsops.fsync_dir(mark.parent)
        return True


def _write(wandb: ModuleType, root: Path, project: str, run: TrackedRun) -> None:
    made = wandb.init(
        project=project,
        group=run.experiment,
        name=f"{run.experiment}-{run.name}",
        id=run.identity,
        dir=root,
        mode="offline",
        config={"params": dict(run.params), "tags": dict(run.facts)},
        reinit="create_new",
        save_code=False,
        # Neither the machine nor its packages and command line are written down, and nothing is printed.
        settings=wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        ),
    )
    made.log(dict(run.metrics))
    made.summary.update({"texts": dict(run.texts)})
    made.finish()


def _wandb() -> ModuleType:
    try:
        import wandb
    except ImportError as error:
        raise ExtraMissing(
            "This tracker needs Weights & Biases, which is not installed.",
            where={"tracking": "wandb"},
            remedy="pip install --editable '.[wandb]' in the checkout, or FOOTPRINT_TRACKING__KIND=jsonl.",
        ) from error
    module: ModuleType = wandb
    return module
