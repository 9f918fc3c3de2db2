"""What every tracker is given, and what it promises."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from footprint_assets.errors import FootprintError
from footprint_assets.lake import fsops
from footprint_assets.redaction import redact

LONGEST_WAIT_S = 120.0
"""How long a process waits for its turn, s: the first open of an MLflow store takes up to ten seconds."""

_WORD = re.compile(r"[a-z][a-z0-9_]*(\.[a-z]+)?")


class TrackingBusy(FootprintError):  # noqa: N818 - names the fact a reader meets
    """Another process holds the tracker's store for too long."""


@dataclass(frozen=True)
class TrackedRun:
    """One trained head of one month.

    Args:
        experiment: What was trained, such as ``direction``.
        root: Product root it was trained of, such as ``ES``.
        partition: The month, ``YYYY-MM-01``.
        sha256: Of the model's bytes.
        params: What it was trained with.
        metrics: What it is worth; a number that is not finite is not known and is left out.
        tags: Where it comes from.
        texts: Documents by file name, such as the model card.
        champion: Identity of the run whose model is in use now; empty where none is.

    Raises:
        ValueError: A name that becomes part of a path is no plain word.
    """

    experiment: str
    root: str
    partition: str
    sha256: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    champion: str = ""

    def __post_init__(self) -> None:
        for name in (self.experiment, *self.texts):
            if not _WORD.fullmatch(name):
                raise ValueError(f"{name!r} is no plain word")

    @property
    def identity(self) -> str:
        """What makes two runs the same: experiment, root, month and bytes; 32 hexadecimal digits."""
        return identity_of(self.experiment, self.root, self.partition, self.sha256)

    @property
    def name(self) -> str:
        """How a person tells it from others of its experiment."""
        return f"{self.root}-{self.partition[:7]}-{self.sha256[:8]}"

    @property
    def facts(self) -> dict[str, str]:
        """Its tags, and what it is a run of."""
        return {"root": self.root, "partition": self.partition, "sha256": self.sha256, **self.tags}

    def published(self) -> TrackedRun:
        """The run as it may leave the process: no secrets in its texts, no number that is not one."""
        known = {name: value for name, value in sorted(self.metrics.items()) if math.isfinite(value)}
        return replace(
            self,
            params=_without_secrets(self.params),
            metrics=known,
            tags=_without_secrets(self.tags),
            texts=_without_secrets(self.texts),
        )


def identity_of(experiment: str, root: str, partition: str, sha256: str) -> str:
    """What tells a run from all others; 32 hexadecimal digits.

    Args:
        experiment: What was trained.
        root: Product root.
        partition: The month, ``YYYY-MM-01``.
        sha256: Of the model's bytes.
    """
    return hashlib.sha256(json.dumps([experiment, root, partition, sha256]).encode()).hexdigest()[:32]


def _without_secrets(texts: Mapping[str, str]) -> dict[str, str]:
    return {name: redact(text) for name, text in sorted(texts.items())}


class Tracker(Protocol):
    """Writes runs down."""

    def record(self, run: TrackedRun) -> bool:
        """Write a run down, unless it is there already.

        Args:
            run: What was trained.

        Returns:
            Whether it is new.

        Raises:
            ExtraMissing: The tracker's package is not installed.
            TrackingBusy: Another process holds the store.
        """


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """Work on a tracker's folder alone among all processes of this machine.

    Asking whether a run is there and writing it are one step this way, and so is the first open of a store.

    Args:
        folder: The tracker's folder; made where it is not there.

    Raises:
        TrackingBusy: It was not free in time.
    """
    fsops.make_dirs(folder.absolute())
    held = fsops.lock(folder / ".lock", LONGEST_WAIT_S)
    if held is None:
        raise TrackingBusy(
            "Another process holds the tracker's folder.",
            where={"folder": folder, "waited_s": LONGEST_WAIT_S},
            remedy="end the other process, or choose another FOOTPRINT_TRACKING__DIRECTORY.",
        )
    try:
        yield
    finally:
        os.close(held)
