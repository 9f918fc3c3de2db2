"""The whole graph on real market data: numbers published by the exchange's vendor, not by us."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from footprint_assets.audit import audit
from footprint_assets.build import build_definitions
from footprint_assets.lake import Lake
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.sources.errors import DbnRefused
from footprint_assets.tables import Scope, Staged, TableInput, passes, stage_pass
from footprint_assets_tests.small_market import TABLES

pytestmark = pytest.mark.realdata

CHRISTMAS_EVENING = dt.date(2023, 12, 26)
JUNE_10 = dt.date(2024, 6, 10)
JULY_2 = dt.date(2024, 7, 2)


def build(settings: Settings, day: dt.date, *tables: str) -> None:
    """Publish tables of a trade date in graph order, without a Dagster run."""
    scope = Scope.of(day, Workbench(settings))
    for together in passes(TABLES):
        if not tables or any(table.key in tables for table in together):
            for staged in stage_pass(together, scope, together[0].open_inputs(scope), run_id="test"):
                if isinstance(staged, Staged):
                    staged.stage.publish()


@pytest.fixture(scope="module")
def settings(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(lake_root=tmp_path_factory.mktemp("real") / "lake", dbn_dir=real_data / "dbn")


@pytest.fixture(scope="module")
def lake(settings: Settings) -> Lake:
    """The three trade dates the drop folder covers; the first as a Dagster run with every check."""
    with dg.DagsterInstance.ephemeral() as instance:
        result = (
            build_definitions(settings)
            .resolve_job_def("lake_daily")
            .execute_in_process(partition_key=CHRISTMAS_EVENING.isoformat(), instance=instance)
        )
        failed = [e.check_name for e in result.get_asset_check_evaluations() if not e.passed]
    shown = {"files_as_recorded", "frames_checksummed", "sources_present"}
    assert set(failed) == shown, "two hours of a session, without checksums, definitions and statistics"
    build(settings, JUNE_10)
    build(settings, JULY_2)
    return Workbench(settings).lake


def rows(lake: Lake, table: str, day: dt.date, symbol: str, **equals: object) -> pl.DataFrame:
    frame = TableInput(lake, table, (day,)).frame(symbol)
    return frame.filter(**equals) if equals else frame


def test_an_evening_alone_is_not_yet_a_trade_date_to_run_unasked(settings):
    assert Workbench(settings).covered_dates() == [JUNE_10, JULY_2]


def test_the_first_globex_hour_of_26_december_2023_equals_the_vendors_daily_bar(lake):
    bar = rows(lake, "silver.future.ohlcv", CHRISTMAS_EVENING, "ESH4", interval="1d").row(0, named=True)
    assert (bar["open"], bar["high"], bar["low"], bar["close"]) == (4800.25, 4811.75, 4800.25, 4810.00)
    assert (bar["volume"], bar["sell_volume"], bar["buy_volume"], bar["unknown_volume"]) == (
        9892,
        4526,
        5322,
        44,
    )
    assert bar["vwap"] == pytest.approx(4808.7227, abs=5e-5)


def test_it_traded_at_46_prices_with_the_point_of_control_at_4810(lake):
    profile = rows(lake, "silver.future.volume_profile_price", CHRISTMAS_EVENING, "ESH4", profile_type="FULL")
    assert profile.filter(pl.col("total_volume") > 0).height == 46
    assert profile.height == 47, (
        "the profile is a ladder without holes; one price inside the range did not trade"
    )
    poc = profile.filter("is_poc").row(0, named=True)
    assert (poc["price"], poc["bid_volume"], poc["ask_volume"]) == (4810.00, 505, 540)


def test_its_book_is_whole_and_its_trades_are_the_books_trade_records(lake):
    book = rows(lake, "silver.future.market_by_price_10_clean", CHRISTMAS_EVENING, "ESH4")
    trades = rows(lake, "silver.future.trades_clean", CHRISTMAS_EVENING, "ESH4")
    assert (book.height, trades.height) == (40_087, 2_973)
    assert book.filter(action="T")["size"].sum() == trades["size"].sum() == 9_892
    assert book["is_crossed"].sum() == 144
    assert trades["bid_px"].null_count() == 0
    last = book.row(-1, named=True)
    assert (last["bid_px_00"], last["ask_px_00"]) == (4_810_000_000_000, 4_810_250_000_000)


def test_fills_explain_nearly_every_traded_contract(lake):
    """Measured: 9,529 of 9,892; the rest is hidden (iceberg) size that a displayed book cannot show."""
    book = rows(lake, "silver.future.market_by_price_10_clean", CHRISTMAS_EVENING, "ESH4")
    assert book["filled_qty"].sum() == 9_529


def test_the_four_minutes_of_esu4_equal_the_vendors_bars(lake):
    bars = rows(lake, "silver.future.ohlcv", JULY_2, "ESU4", interval="1m")
    assert bars.select("open", "high", "low", "close", "volume").rows() == [
        (5528.75, 5528.75, 5528.50, 5528.75, 18),
        (5528.50, 5528.75, 5528.50, 5528.75, 23),
        (5529.00, 5529.50, 5528.75, 5529.50, 175),
        (5529.25, 5529.50, 5529.25, 5529.25, 37),
    ]


def test_the_footprint_of_esu4_has_the_published_rows(lake):
    profile = rows(lake, "silver.future.volume_profile_price", JULY_2, "ESU4", profile_type="FULL")
    assert profile.sort("price", descending=True).select("price", "bid_volume", "ask_volume").rows() == [
        (5529.50, 0, 3),
        (5529.25, 34, 45),
        (5529.00, 55, 68),
        (5528.75, 19, 26),
        (5528.50, 3, 0),
    ]
    summary = rows(lake, "silver.future.volume_profile_session", JULY_2, "ESU4", profile_type="FULL").row(
        0, named=True
    )
    assert (summary["poc_price"], summary["val_price"], summary["vah_price"]) == (5529.00, 5529.00, 5529.50)
    assert summary["vwap"] == pytest.approx(5529.033597, abs=5e-7)
    minutes = rows(lake, "silver.future.footprint_bar", JULY_2, "ESU4", bar_type="time_1m")
    assert minutes["delta"].to_list() == [10, 1, 31, -11]


def test_five_minutes_of_esm4_have_the_published_volumes(lake):
    day = rows(lake, "silver.future.ohlcv", JUNE_10, "ESM4", interval="1d").row(0, named=True)
    assert (day["volume"], day["sell_volume"], day["buy_volume"]) == (12_191, 6_536, 5_655)
    profile = rows(lake, "silver.future.volume_profile_price", JUNE_10, "ESM4", profile_type="FULL")
    assert profile.height == 12
    assert profile.filter("is_poc")["price"].to_list() == [5351.00]


def test_trades_without_a_book_build_everything_that_needs_none(lake):
    assert rows(lake, "bronze.future.market_by_price_10", JUNE_10, "ESM4").is_empty()
    assert rows(lake, "silver.future.trades_clean", JUNE_10, "ESM4")["mid_px"].null_count() == 3_500
    assert rows(lake, "gold.future.footprint_bars", JUNE_10, "ESM4").height > 0
    note = lake.manifests("bronze.future.market_by_price_10", JUNE_10)["ESM4"].notes["absent"]
    assert note == "no mbp-10 file in the drop folder covers this date"


def test_the_audit_of_the_real_lake_has_no_error(settings, lake):
    assert [(row.check.name, row.trade_date) for row in audit(Workbench(settings)) if row.is_error] == []


def test_the_roll_dates_of_es_match_fifteen_years_of_daily_bars(real_data, tmp_path):
    """With daily bars alone the roll map of these UTC days changes to the next expiry exactly here."""
    folder = tmp_path / "dbn"
    folder.mkdir()
    name = "glbx-mdp3-20100606-20250924.ohlcv-1d.dbn.zst"
    shutil.copy(real_data / "dbn" / name, folder)
    settings = Settings(lake_root=tmp_path / "lake", dbn_dir=folder)
    changes = {
        dt.date(2024, 9, 16): "ESZ4",
        dt.date(2024, 12, 16): "ESH5",
        dt.date(2025, 3, 17): "ESM5",
        dt.date(2025, 6, 16): "ESU5",
        dt.date(2025, 9, 15): "ESZ5",
    }
    previous = {dt.date(2024, 9, 16): "ESU4"} | dict(
        zip(list(changes)[1:], list(changes.values())[:-1], strict=True)
    )
    lake = Workbench(settings).lake
    for day, contract in changes.items():
        before = day - dt.timedelta(days=3)  # the Friday before these Mondays
        for date, expected in ((before, previous[day]), (day, contract)):
            build(settings, date, "bronze.future.front_month")
            roll = TableInput(lake, "bronze.future.front_month", (date,)).frame("ES")
            assert roll.filter("is_front")["contract"].to_list() == [expected]
            assert roll["source"].unique().to_list() == ["ohlcv_1d"]


def test_a_truncated_file_never_stops_a_date_it_does_not_serve_and_fails_the_one_it_does(real_data, tmp_path):
    folder = tmp_path / "dbn"
    folder.mkdir()
    for name in ("truncated-20240610.mbp-1.dbn.zst", "glbx-mdp3-20240610.trades.dbn.zst"):
        shutil.copy(real_data / "dbn" / name, folder)
    whole = (real_data / "dbn" / "glbx-mdp3-20240610.trades.dbn.zst").read_bytes()
    (folder / "glbx-mdp3-20240610-second-half.trades.dbn.zst").write_bytes(whole[: len(whole) // 2])
    settings = Settings(lake_root=tmp_path / "lake", dbn_dir=folder)
    with pytest.raises(DbnRefused) as refused:
        build(settings, JUNE_10)
    assert refused.value.rule == "truncated_frame"
    assert "glbx-mdp3-20240610-second-half.trades.dbn.zst" in str(refused.value)
    (folder / "glbx-mdp3-20240610-second-half.trades.dbn.zst").unlink()
    build(settings, JUNE_10)
    assert Workbench(settings).lake.symbols("silver.future.trades_clean", JUNE_10) == ["ESM4"]
