"""Golden row counts: how many rows every table of two known markets has, kept in git.

A change that gives a table more or fewer rows shows in the diff of ``golden/``. Where it is meant, write them anew:
``python -m footprint_assets_tests.golden_counts``.
"""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from footprint_assets import sample
from footprint_assets.lake import Lake
from footprint_assets.settings import Settings
from footprint_assets_tests import small_market

FOLDER = Path(__file__).with_name("golden")
SAMPLE_RECORDS = 4_000
SAMPLE_DATES = [dt.date(2024, 6, day) for day in (14, 17, 18, 19, 20)]

Counts = dict[str, dict[str, dict[str, int]]]


def counts_of(lake: Lake, dates: Iterable[dt.date]) -> Counts:
    """Rows by trade date, table and contract."""
    return {
        day.isoformat(): {
            table: {symbol: manifest.rows for symbol, manifest in sorted(published.items())}
            for table in lake.tables()
            if (published := lake.manifests(table, day))
        }
        for day in dates
    }


def golden(name: str) -> Counts:
    """The committed counts of a market."""
    found: Counts = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def build_markets(root: Path) -> dict[str, Counts]:
    """Build both markets and count."""
    small = small_market.settings_of(root / "small")
    small_market.write_drop(small.dbn_dir, (small_market.DAY, small_market.NEXT))
    small_market.build_lake(small, small_market.DAY, small_market.NEXT)
    simulated = Settings(_env_file=None, lake_root=root / "sample" / "lake", dbn_dir=root / "sample" / "dbn")
    sample.write_sample(
        simulated.dbn_dir, SAMPLE_DATES[0], SAMPLE_DATES[-1], SAMPLE_RECORDS, sample.DEFAULT_SEED
    )
    small_market.build_lake(simulated, *SAMPLE_DATES)
    return {
        "small_market": counts_of(Lake(small.lake_root), (small_market.DAY, small_market.NEXT)),
        "simulated_market": counts_of(Lake(simulated.lake_root), SAMPLE_DATES),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name, counts in build_markets(Path(folder)).items():
            text = json.dumps(counts, indent=1, sort_keys=True) + "\n"
            (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")
