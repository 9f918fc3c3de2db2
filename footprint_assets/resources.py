"""What every asset and check works with: the settings, the lake, and the drop folder's catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from footprint_assets.lake import Lake
from footprint_assets.settings import Settings
from footprint_assets.sources.catalog import Catalog, scan


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
