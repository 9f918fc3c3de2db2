"""A drop folder as vendors and users fill it, and looks at it through the real sensor."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.instigation_logger import get_instigation_log_records

from footprint_assets import calendar as cme
from footprint_assets.build import build_definitions
from footprint_assets.lake_asset import WORKBENCH
from footprint_assets.resources import Workbench
from footprint_assets.sensors import build_sensors
from footprint_assets.settings import AutomationSettings, Settings
from footprint_assets_tests.small_market import DAY, settings_of
from footprint_assets_tests.sources.dbn_files import metadata, write, zst

LATER = dt.datetime(2026, 1, 2, 12, tzinfo=cme.NEW_YORK)
EVE = DAY - dt.timedelta(1)


def deliver(folder: Path, *utc_days: dt.date, schema: str = "trades", name: str = "") -> list[Path]:
    """Write files of UTC days that hold no records: who looks at the folder reads headers alone."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write(
            folder,
            zst(
                metadata(
                    schema, start=cme.utc_midnight_ns(day), end=cme.utc_midnight_ns(day + dt.timedelta(1))
                )
            ),
            name or f"glbx-mdp3-{day:%Y%m%d}.{schema}.dbn.zst",
        )
        for day in utc_days
    ]


def rewrite(path: Path, content: bytes | None = None) -> None:
    """Deliver a file again, at another time; with other bytes where given."""
    if content is not None:
        path.write_bytes(content)
    later = path.stat().st_mtime_ns + 10**9
    os.utime(path, ns=(later, later))


def claim(path: Path, **changes: Any) -> dict[str, Any]:
    """What a vendor's manifest says of a file."""
    content = path.read_bytes()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return {"filename": path.name, "size": len(content), "hash": digest, "urls": {}} | changes


def write_manifest(folder: Path, claims: Iterable[Mapping[str, Any]]) -> Path:
    """Write a batch folder's manifest."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({"job_id": "GLBX-20250606-TEST", "files": list(claims)}))
    return path


class Watched:
    """A drop folder with its sensor and a Dagster instance.

    Args:
        root: Where the drop folder and the lake lie.
        instance: Where ticks and runs are recorded.
        automation: The sensor's settings.

    Attributes:
        cursor: What the last tick left.
        now: The clock of the next tick.
        skipped: Why the last tick requested nothing; empty where it did.
        said: What the last tick logged, a line a note.
    """

    def __init__(self, root: Path, instance: dg.DagsterInstance, **automation: Any) -> None:
        self.settings = settings_of(root, automation=AutomationSettings(**automation))
        self.folder = self.settings.dbn_dir
        self.folder.mkdir(parents=True, exist_ok=True)
        self.instance = instance
        self.cursor: str | None = None
        self.now = LATER
        self.skipped = ""
        self.said: list[str] = []

    def tick(self) -> list[str]:
        """The trade dates one tick of the sensor requests."""
        return [str(request.partition_key) for request in self.requests()]

    def requests(self) -> list[dg.RunRequest]:
        """The run requests of one tick of the sensor."""
        (sensor,) = build_sensors(self.settings.automation, lambda: self.now)
        with dg.build_sensor_context(
            instance=self.instance,
            instance_ref=self.instance.get_ref(),
            cursor=self.cursor,
            resources={WORKBENCH: Workbench(self.settings)},
            definitions=graph(),
            repository_name=uuid.uuid4().hex,  # names the log of the tick
            sensor_name=sensor.name,
        ) as context:
            data = sensor.evaluate_tick(context)
        self.cursor, self.skipped = data.cursor, data.skip_message or ""
        records = get_instigation_log_records(self.instance, data.log_key) if data.log_key else []
        self.said = [record["msg"].partition(f" - {sensor.name} - ")[2] for record in records]
        return list(data.run_requests or [])

    def settle(self) -> list[str]:
        """Two ticks: the first sees what is new, the second that it does not grow any more."""
        return [*self.tick(), *self.tick()]


@cache
def graph() -> dg.Definitions:
    """The graph, for the jobs a sensor or schedule names; where the lake lies is said by the resources of a tick."""
    return build_definitions(Settings(_env_file=None))
