"""What every asset and check works with: the settings, the lake, and the drop folder's catalogue."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from footprint_assets import calendar as cme
from footprint_assets.lake import Lake
from footprint_assets.settings import NANOS_PER_SECOND, Settings
from footprint_assets.sources.catalog import Catalog, covering, scan


@dataclass(frozen=True)
class Workbench:
    """One lake, one drop folder, one set of settings.

    Args:
        settings: The settings of the run.
    """

    settings: Settings

    @property
    def lake(self) -> Lake:
        """The Parquet lake under ``settings.lake_root``."""
        return Lake(self.settings.lake_root)

    @property
    def catalog_cache(self) -> Path:
        """Where the headers and hashes of the drop folder's files are remembered."""
        return self.settings.lake_root / ".cache" / "catalog.json"

    def catalog(self) -> Catalog:
        """What lies in the drop folder now; unchanged files are not opened again."""
        return scan(self.settings.dbn_dir, self.settings.ingest, self.catalog_cache)

    def covered_dates(self, start: dt.date | None = None, end: dt.date | None = None) -> list[dt.date]:
        """The trade dates the drop folder has trades or book files for.

        Args:
            start: First trade date; no bound where ``None``.
            end: Last trade date; no bound where ``None``.

        Returns:
            Sessions of which a file's header covers some of the trading hours of their own UTC day, oldest first. The
            evening before alone does not count: every UTC-day file ends with two hours of the next trade date.
        """
        catalog = self.catalog()
        ranges = [
            (entry.start_ns, entry.end_ns or entry.mtime_ns)
            for entry in catalog.entries
            if entry.problem is None
            and entry.start_ns is not None
            and entry.schema in (None, *VOLUME_SCHEMAS)
        ]
        if not ranges:
            return []
        first = max(cme.PARTITION_START, start or dt.date.min, utc_date(min(low for low, _ in ranges)))
        last = min(end or dt.date.max, utc_date(max(high for _, high in ranges)) + LONGEST_CLOSURE)
        return [day for day in cme.sessions(first, last) if covers(catalog, day)]


def covers(catalog: Catalog, trade_date: dt.date) -> bool:
    """Whether files hold some of the trading hours of a trade date's own UTC day, in a schema it can be built from."""
    start_ns, end_ns = cme.utc_midnight_ns(trade_date), cme.session(trade_date).close_ns
    return any(covering(catalog, schema, start_ns, end_ns) for schema in VOLUME_SCHEMAS)


VOLUME_SCHEMAS = ("trades", "mbp-10")
"""Schemas a trade date can be built from."""

LONGEST_CLOSURE = dt.timedelta(days=5)
"""No evening belongs to a trade date further away."""


def utc_date(ns: int) -> dt.date:
    """The UTC day of an instant, UTC ns."""
    return dt.datetime.fromtimestamp(ns // NANOS_PER_SECOND, dt.UTC).date()
