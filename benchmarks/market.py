"""The data of the benchmarks: one session of ES from the project's own sample market, and lakes made of it.

Everything is made once under one directory and found again: the files by name, the tables by their own currency check.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from footprint_assets.settings import Settings
    from footprint_assets.tables import LakeTable, Staged, Unchanged

DAY = dt.date(2024, 6, 20)
"""An ordinary session three days after the roll: the front month has 91 % of the records."""
SMALL = 5
"""The small market of the growth lines has a fifth of the records."""
BRONZE, CLEAN, TRADES = (
    "bronze.future.market_by_price_10",
    "silver.future.market_by_price_10_clean",
    "silver.future.trades_clean",
)
ROLL = "bronze.future.front_month"
_LAKE = (ROLL, BRONZE, "bronze.future.trades", CLEAN, TRADES)
_MIN_RECORDS = 2_000
_RUN = """
import sys
from pathlib import Path
from footprint_assets.cli import app
code = app({arguments!r}, standalone_mode=False)
(peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print("peak_mb", int(peak.split()[1]) / 1024)
sys.exit(code)
"""


@dataclass(frozen=True)
class Data:
    """Where the data lie.

    Args:
        root: Directory of everything; may be deleted.
        records: MBP-10 records of the session, all instruments.
        sessions: Sessions of the backfill.
        session_records: MBP-10 records of each of them.
    """

    root: Path
    records: int
    sessions: int = 4
    session_records: int = 50_000

    @property
    def small(self) -> Data:
        """The same session with a fifth of the records."""
        return Data(self.root, max(self.records // SMALL, _MIN_RECORDS))

    @property
    def tiny(self) -> Data:
        """As many records as a session needs, to warm a process up with."""
        return Data(self.root, _MIN_RECORDS)

    @property
    def market(self) -> Path:
        """The drop folder."""
        return self.root / f"market-{self.records}"

    @property
    def lake(self) -> Path:
        """Bronze and clean tables of the session."""
        return self.root / f"lake-{self.records}" / "lake"

    @property
    def whole(self) -> Path:
        """The whole session as ``footprint-assets run`` leaves it."""
        return self.root / f"whole-{self.records}" / "lake"

    @property
    def backfill(self) -> Path:
        """The drop folder of several sessions."""
        return self.root / f"market-{self.sessions}x{self.session_records}"

    def files(self, schema: str = "mbp-10") -> list[Path]:
        """The DBN files of a schema, in time order."""
        return sorted(self.market.glob(f"*.{schema}.dbn.zst"))

    def settings(self, lake: Path | None = None) -> Settings:
        """The settings of the session's lake, ES alone."""
        from footprint_assets.settings import Root, Settings

        return Settings(lake_root=lake or self.lake, dbn_dir=self.market, roots={"ES": Root()})

    def parts(self, table: str) -> list[Path]:
        """The Parquet files of the front month in the session's lake."""
        from footprint_assets.lake.layout import Layout

        layout = Layout(self.lake)
        (symbol,) = layout.symbols(table, DAY)
        return sorted(layout.partition(table, DAY, symbol).glob("*.parquet"))

    def front(self) -> tuple[str, int]:
        """Symbol and instrument id of the front month."""
        from footprint_assets.lake import Lake

        with Lake(self.lake).read(ROLL, DAY) as roll:
            row = roll.frame().filter("is_front").row(0, named=True)
        return row["contract"], row["instrument_id"]

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A directory for one side's output."""
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.root, prefix="scratch-") as folder:
            yield Path(folder)

    @contextmanager
    def lake_with(self, tables: Iterable[str]) -> Iterator[Path]:
        """A lake of one side's own that holds some published tables of the session's lake."""
        from footprint_assets.lake.layout import Layout

        with self.scratch() as folder:
            lake = folder / "lake"
            for table in tables:
                source = Layout(self.lake)
                for symbol in source.symbols(table, DAY):
                    there = Layout(lake).partition(table, DAY, symbol)
                    shutil.copytree(source.partition(table, DAY, symbol), there, copy_function=os.link)
            yield lake


def make_market(data: Data) -> None:
    """Write the session's DBN files, about ``data.records`` MBP-10 records in all."""
    _write(data.market, DAY, DAY, data.records)


def make_sessions(data: Data) -> list[dt.date]:
    """Write the files of several sessions; their trade dates."""
    from footprint_assets import calendar as cme

    last = DAY + dt.timedelta(days=2 * data.sessions + 10)
    days = cme.sessions(DAY, last)[: data.sessions]
    _write(data.backfill, days[0], days[-1], data.session_records)
    return days


def _write(folder: Path, first: dt.date, last: dt.date, records: int) -> None:
    from footprint_assets.sample import write_sample
    from footprint_assets.sample.instruments import listings

    if folder.exists():
        return
    shares = sum(entry.liquidity.record_share for entry in listings(first) if entry.instrument.root == "ES")
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    write_sample(unfinished, first, last, int(records / shares), roots=("ES",))
    unfinished.rename(folder)


def make_lake(data: Data) -> None:
    """Make the bronze and clean tables that other work starts from; compiles the kernels the first time."""
    make_market(data)
    for key in _LAKE:
        publish(data.settings(), key)


def make_whole(data: Data) -> None:
    """Make the whole session by the real command; nothing happens where it is current."""
    make_market(data)
    run_command(data.whole, data.market, ["run", "--date", str(DAY)])


def publish(settings: Settings, key: str) -> tuple[Staged | Unchanged, ...]:
    """Compute, validate, stage and publish the tables of the pass that gives a table."""
    from footprint_assets.resources import Workbench
    from footprint_assets.tables import Scope, stage_pass

    scope, together = Scope.of(DAY, Workbench(settings)), pass_of(settings, key)
    staged = stage_pass(together, scope, together[0].open_inputs(scope), "benchmark")
    for table in staged:
        if hasattr(table, "stage"):
            table.stage.publish()
    return staged


def pass_of(settings: Settings, key: str) -> tuple[LakeTable, ...]:
    """The tables of the pass that gives a table."""
    from footprint_assets.assets import tables
    from footprint_assets.tables import passes

    return next(p for p in passes(tables(settings)) if key in p[0].pass_keys)


def run_command(
    lake: Path, market: Path, arguments: Sequence[str], others: Mapping[str, str] | None = None
) -> float:
    """Run ``footprint-assets`` in a process of its own.

    Args:
        lake: The lake.
        market: The drop folder.
        arguments: What is typed after ``footprint-assets``.
        others: Further settings, as environment variables.

    Returns:
        The highest resident memory of the process, MB.
    """
    environment = os.environ | {
        "FOOTPRINT_LAKE_ROOT": str(lake),
        "FOOTPRINT_DBN_DIR": str(market),
        "FOOTPRINT_ROOTS": '{"ES": {}}',
        "DAGSTER_HOME": str(lake.parent / "dagster_home"),
        **(others or {}),
    }
    done = subprocess.run(
        [sys.executable, "-c", _RUN.format(arguments=list(arguments))],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"footprint-assets {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return float(done.stdout.rsplit("peak_mb", 1)[1])
