"""The simulated market through the whole graph, as ``make demo`` runs it."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import subprocess
import sys
from itertools import pairwise, product
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from footprint_assets import sample
from footprint_assets.audit import audit
from footprint_assets.jobs import LAKE_PASSES
from footprint_assets.lake import Lake
from footprint_assets.resources import Workbench
from footprint_assets.runs import PARTITION_TAG, run_dates
from footprint_assets.settings import Settings
from footprint_assets.tables import TableInput
from footprint_assets_tests.golden_counts import SAMPLE_DATES, SAMPLE_RECORDS, counts_of, golden

RECORDS = SAMPLE_RECORDS
DATES = SAMPLE_DATES
BEFORE_ROLL, ROLL, AFTER_ROLL, JUNETEENTH, LAST = DATES
PEAK_LIMIT_MB = 1_500


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("market")
    sample.write_sample(folder, sample.DEFAULT_START, sample.DEFAULT_END, RECORDS, sample.DEFAULT_SEED)
    return folder


@pytest.fixture(scope="module")
def settings(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake of the five sessions, run as the command line runs them."""
    home = tmp_path_factory.mktemp("project")
    settings = Settings(lake_root=home / "lake", dbn_dir=market)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home / "dagster_home"))
        outcomes = list(run_dates(settings, DATES))
    assert [(o.trade_date, o.outcome, o.reasons) for o in outcomes] == [
        (day, "published", ()) for day in DATES
    ]
    return settings


def rows(settings: Settings, table: str, day: dt.date, symbol: str) -> pl.DataFrame:
    return TableInput(Workbench(settings).lake, table, (day,)).frame(symbol)


def parquet_hashes(lake: Lake) -> dict[str, str]:
    return {
        str(path.relative_to(lake.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(lake.root.rglob("*.parquet"))
    }


def test_every_check_of_every_session_passes(settings):
    assert [row for row in audit(Workbench(settings)) if not row.finding.passed] == []


def test_the_tables_have_as_many_rows_as_ever(settings):
    """Where a change is meant to give other rows, ``python -m footprint_assets_tests.golden_counts`` writes them anew."""
    assert counts_of(Workbench(settings).lake, DATES) == golden("simulated_market")


def test_a_second_run_changes_nothing(settings, monkeypatch):
    before = parquet_hashes(Workbench(settings).lake)
    monkeypatch.setenv("DAGSTER_HOME", str(settings.lake_root.parent / "dagster_home"))
    assert {outcome.outcome for outcome in run_dates(settings, DATES)} == {"unchanged"}
    assert parquet_hashes(Workbench(settings).lake) == before


def test_two_workers_write_the_same_bytes_as_one(settings, market, tmp_path, monkeypatch):
    parallel = Settings(lake_root=tmp_path / "lake", dbn_dir=market)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster_home"))
    assert {o.outcome for o in run_dates(parallel, DATES, workers=2)} == {"published"}
    assert parquet_hashes(Workbench(parallel).lake) == parquet_hashes(Workbench(settings).lake)
    with dg.DagsterInstance.get() as instance:
        runs = {
            (r.dagster_run.job_name, dt.date.fromisoformat(r.dagster_run.tags[PARTITION_TAG])): r
            for r in instance.get_run_records()
        }
    assert len(runs) == len(LAKE_PASSES) * len(DATES)
    for earlier, later in pairwise(LAKE_PASSES):
        for day, seen in product(DATES, DATES):
            assert seen > day or runs[earlier, seen].end_time <= runs[later, day].start_time


def test_the_front_month_rolls_inside_the_span_and_every_table_follows(settings):
    lake = Workbench(settings).lake
    for table in (
        "bronze.future.market_by_price_10",
        "silver.future.trades_clean",
        "gold.future.footprint_bars",
    ):
        assert [lake.symbols(table, day)[0] for day in DATES] == ["ESM4", "ESU4", "ESU4", "ESU4", "ESU4"]


def test_no_calendar_spread_enters_the_lake(settings):
    roll = rows(settings, "bronze.future.front_month", ROLL, "ES")
    assert sorted(roll["contract"]) == ["ESM4", "ESU4"]


def test_a_look_back_never_mixes_two_contracts(settings):
    def levels(day: dt.date) -> set[str]:
        return set(rows(settings, "silver.future.session_levels", day, "ESU4")["level_name"])

    assert "PDH" not in levels(ROLL), "ESU4 was not the front month the day before"
    assert "PDH" in levels(AFTER_ROLL)
    prior = rows(settings, "silver.future.volume_profile_session", ROLL, "ESU4").filter(profile_type="RTH")
    pdh = rows(settings, "silver.future.session_levels", AFTER_ROLL, "ESU4").filter(level_name="PDH")
    assert pdh["level_price"].to_list() == prior["high"].to_list()


def test_a_session_without_a_cash_market_has_no_cash_levels(settings):
    names = rows(settings, "silver.future.session_levels", JUNETEENTH, "ESU4")["level_name"]
    assert not [name for name in names if name.startswith(("PM_", "OR", "IB_"))]
    assert rows(settings, "gold.future.market_by_price_10_first3h", JUNETEENTH, "ESU4").is_empty()


def test_the_opening_range_is_null_until_it_is_known(settings):
    book = rows(settings, "gold.future.market_by_price_10_first3h", LAST, "ESU4")
    minute = pl.col("ts_event_est").dt.hour().cast(pl.Int32) * 60 + pl.col("ts_event_est").dt.minute()
    forming = book.filter(minute < 9 * 60 + 45)
    assert forming.height > 0
    assert forming["or_high"].null_count() == forming.height
    assert forming["pm_high"].null_count() == 0
    assert book.filter(minute >= 9 * 60 + 45)["or_high"].null_count() == 0


def test_the_pre_open_crosses_and_the_opening_print_has_no_aggressor(settings):
    book = rows(settings, "silver.future.market_by_price_10_clean", ROLL, "ESU4")
    assert book["is_crossed"].sum() > 0
    trades = rows(settings, "silver.future.trades_clean", ROLL, "ESU4")
    assert trades["aggressor_sign"][0] == 0


def peak_of_a_run(market: Path, lake: Path) -> int:
    """Peak resident memory of one run from DBN to gold in a process of its own, MB."""
    environment = os.environ | {
        "FOOTPRINT_LAKE_ROOT": str(lake),
        "FOOTPRINT_DBN_DIR": str(market),
        "DAGSTER_HOME": str(lake.parent / "dagster_home"),
    }
    # Not ru_maxrss: a process begins with that of the one that started it, here of every test run so far.
    script = (
        "import sys\n"
        "from footprint_assets.cli import app\n"
        f"code = app(['run', '--date', '{AFTER_ROLL}'], standalone_mode=False)\n"
        "(peak,) = (line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print('peak_mb', int(peak.split()[1]) // 1024)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split("peak_mb")[1])


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak is read from Linux's /proc")
@pytest.mark.slow
@pytest.mark.usefixtures("settings")
def test_a_session_of_two_million_book_records_stays_under_one_and_a_half_gigabytes(tmp_path):
    """The first run of a machine compiles the kernels, which takes memory of its own: here that of the small sessions."""
    market = tmp_path / "market"
    sample.write_sample(market, AFTER_ROLL, AFTER_ROLL, 2_000_000, sample.DEFAULT_SEED)
    peak = peak_of_a_run(market, tmp_path / "lake")
    manifests = Lake(tmp_path / "lake").manifests("silver.future.market_by_price_10_clean", AFTER_ROLL)
    assert manifests["ESU4"].rows >= 2_000_000
    assert peak < PEAK_LIMIT_MB
