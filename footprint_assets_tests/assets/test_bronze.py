"""What the lake holds when files are absent, recorded live, delivered twice, of other days, or broken."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from footprint_assets.assets.bronze import NoSource
from footprint_assets.lake import Lake
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.sources.errors import EnvelopeRefused
from footprint_assets_tests.small_market import (
    BY_KEY,
    DAY,
    ES_JUNE,
    ES_SEPTEMBER,
    KEYS,
    MARKET,
    NEXT,
    NQ_JUNE,
    SCHEMAS,
    Contract,
    build_lake,
    files_of,
    records_by_schema,
    rows,
    settings_of,
    write_drop,
    write_file,
    write_live,
)
from footprint_assets_tests.sources.dbn_files import plain, zst

FRONT_MONTH = "bronze.future.front_month"
BOOK = "bronze.future.market_by_price_10"
TRADES = "bronze.future.trades"
FIRST_UTC_DAY, AFTER = dt.date(2025, 6, 3), dt.date(2025, 6, 5)
MADE_OF_FILES = {key for key in KEYS if key.startswith("bronze.")}
MADE_OF_ROWS = [key for key in KEYS if key not in MADE_OF_FILES]
NEED_A_BOOK = {
    BOOK,
    "silver.future.market_by_price_10_clean",
    "gold.future.market_by_price_10_first3h",
}


def built(root: Path, schemas: tuple[str, ...] = SCHEMAS, market: tuple[Contract, ...] = MARKET) -> Lake:
    settings = settings_of(root)
    write_drop(settings.dbn_dir, schemas=schemas, market=market)
    build_lake(settings, DAY)
    return Lake(settings.lake_root)


def same(one: Lake, other: Lake, table: str, without: tuple[str, ...] = ()) -> bool:
    ours, theirs = rows(one, table), rows(other, table)
    return ours.keys() == theirs.keys() and all(
        ours[symbol].drop(without, strict=False).equals(theirs[symbol].drop(without, strict=False))
        for symbol in ours
    )


def test_without_a_trades_file_the_books_trade_records_make_every_later_table_the_same(
    tmp_path: Path, built_market: Settings
) -> None:
    lake = built(tmp_path, ("mbp-10", "definition", "statistics"))
    whole = Lake(built_market.lake_root)

    assert {key for key in MADE_OF_ROWS if not same(lake, whole, key, ("record_index",))} == set()
    manifest = lake.manifests(TRADES, DAY)["ESM5"]
    assert manifest.notes["taken_from"] == BOOK
    assert manifest.lineage.sources == ()
    assert rows(lake, TRADES)["ESM5"]["ts_in_delta"].is_null().all()
    assert rows(lake, FRONT_MONTH)["ES"]["source"].unique().to_list() == ["market_by_price_10"]
    assert rows(whole, FRONT_MONTH)["ES"]["source"].unique().to_list() == ["trades"]


def test_without_a_book_every_table_that_needs_none_is_built_and_quotes_are_unknown(
    tmp_path: Path, built_market: Settings
) -> None:
    lake = built(tmp_path, ("trades", "definition", "statistics"))
    whole = Lake(built_market.lake_root)
    quotes = ("bid_px", "ask_px", "mid_px", "aggressor_order_id", "levels_swept")

    for key in NEED_A_BOOK:
        assert {symbol: frame.height for symbol, frame in rows(lake, key).items()} == {"ESM5": 0, "NQM5": 0}
    assert same(lake, whole, "silver.future.trades_clean", quotes)
    clean = rows(lake, "silver.future.trades_clean")["ESM5"]
    assert clean.select(pl.col("bid_px", "ask_px", "mid_px").is_null().all()).row(0) == (True, True, True)
    untouched = ("silver.future.ohlcv", "silver.future.session_levels")
    assert [key for key in untouched if not same(lake, whole, key)] == []
    assert same(lake, whole, "silver.future.volume_profile_price", ("dwell_ns",))
    assert "no mbp-10 file" in str(lake.manifests(BOOK, DAY)["ESM5"].notes["absent"])


@pytest.mark.parametrize("absent", ["definition", "statistics"])
def test_without_definitions_or_statistics_the_table_is_empty_and_says_so(
    tmp_path: Path, built_market: Settings, absent: str
) -> None:
    lake = built(tmp_path, tuple(schema for schema in SCHEMAS if schema != absent))

    manifest = lake.manifests(f"bronze.future.{absent}", DAY)["ESM5"]

    assert manifest.rows == 0
    assert f"no {absent} file" in str(manifest.notes["absent"])
    assert same(lake, Lake(built_market.lake_root), "silver.future.footprint_price")


def test_without_statistics_the_settlement_is_unknown_and_with_them_it_is_the_exchanges(
    tmp_path: Path, built_market: Settings
) -> None:
    key = "silver.future.volume_profile_session"

    assert rows(built(tmp_path, ("trades",)), key)["ESM5"]["settlement"].is_null().all()
    assert rows(Lake(built_market.lake_root), key)["ESM5"]["settlement"].is_not_null().any()


def test_without_trades_and_book_the_date_fails_naming_the_files_that_are_needed(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    write_drop(settings.dbn_dir, schemas=("definition", "statistics"))

    with pytest.raises(NoSource) as caught:
        build_lake(settings, DAY)

    assert "2025-06-03, 2025-06-04" in str(caught.value.remedy)
    assert not Lake(settings.lake_root).tables()


def test_a_live_recording_of_every_schema_gives_the_lake_of_the_vendors_files(
    tmp_path: Path, built_market: Settings
) -> None:
    settings = settings_of(tmp_path)
    write_live(settings.dbn_dir, records_by_schema((DAY,)))
    build_lake(settings, DAY)
    lake, whole = Lake(settings.lake_root), Lake(built_market.lake_root)

    assert {key for key in MADE_OF_ROWS if not same(lake, whole, key, ("record_index",))} == set()
    counted = lake.manifests(BOOK, DAY)["ESM5"]
    assert counted.filtered["other_schema_trades"] == 200
    assert counted.rows_in == counted.rows + sum(counted.filtered.values())


def test_the_front_month_is_the_contract_with_the_most_volume(tmp_path: Path) -> None:
    rolled = (
        Contract(ES_JUNE.symbol, ES_JUNE.instrument_id, ES_JUNE.tick, 30),
        Contract(ES_SEPTEMBER.symbol, ES_SEPTEMBER.instrument_id, ES_SEPTEMBER.tick, 90),
        NQ_JUNE,
    )

    lake = built(tmp_path, ("trades",), rolled)

    ranks = rows(lake, FRONT_MONTH)["ES"].sort("rank").select("contract", "rank", "is_front").rows()
    assert ranks == [("ESU5", 1, True), ("ESM5", 2, False)]
    assert lake.symbols(TRADES, DAY) == ["ESU5", "NQM5"]


def test_a_roll_found_by_a_run_again_takes_the_old_contract_out_of_every_table(tmp_path: Path) -> None:
    lake = built(tmp_path, ("trades",))
    assert lake.symbols("silver.future.ohlcv", DAY) == ["ESM5", "NQM5"]
    more = Contract(ES_SEPTEMBER.symbol, ES_SEPTEMBER.instrument_id, ES_SEPTEMBER.tick, 400)

    lake = built(tmp_path, ("trades",), (ES_JUNE, more, NQ_JUNE))

    assert {key: lake.symbols(key, DAY) for key in KEYS if key != FRONT_MONTH} == {
        key: ["ESU5", "NQM5"] for key in KEYS if key != FRONT_MONTH
    }
    assert not [path for path in files_of(lake) if "symbol=ESM5" in path]


@pytest.mark.parametrize("schema", ["trades", "mbp-10"])
def test_a_file_delivered_under_two_names_changes_no_silver_row(
    own_market: Settings, built_market: Settings, schema: str
) -> None:
    for path in list(own_market.dbn_dir.glob(f"*.{schema}.dbn.zst")):
        path.with_name(f"again-{path.name}").write_bytes(path.read_bytes())
    build_lake(own_market, DAY)
    lake, whole = Lake(own_market.lake_root), Lake(built_market.lake_root)

    assert {key for key in MADE_OF_ROWS if not same(lake, whole, key, ("record_index",))} == set()
    bronze = {"trades": TRADES, "mbp-10": BOOK}[schema]
    assert rows(lake, bronze)["ESM5"].height == 2 * rows(whole, bronze)["ESM5"].height
    silver = {"trades": "silver.future.trades_clean", "mbp-10": "silver.future.market_by_price_10_clean"}[
        schema
    ]
    assert lake.manifests(silver, DAY)["ESM5"].filtered == {
        "redelivered_copy": rows(whole, bronze)["ESM5"].height
    }


def test_two_pulls_that_overlap_by_half_give_the_silver_of_one(
    tmp_path: Path, built_market: Settings
) -> None:
    settings = settings_of(tmp_path)
    for schema, some in records_by_schema((DAY,)).items():
        for name, part in (("early", some[: 2 * len(some) // 3]), ("late", some[len(some) // 3 :])):
            write_file(settings.dbn_dir, schema, part, FIRST_UTC_DAY, AFTER, name=f"{name}.{schema}.dbn.zst")
    build_lake(settings, DAY)
    lake, whole = Lake(settings.lake_root), Lake(built_market.lake_root)

    assert {key for key in MADE_OF_ROWS if not same(lake, whole, key, ("record_index",))} == set()


def test_two_equal_fills_of_one_order_stay_two(built_market: Settings) -> None:
    clean = rows(Lake(built_market.lake_root), "silver.future.trades_clean")["ESM5"]

    assert (
        clean.filter(clean.select("ts_event", "price", "size", "aggressor_sign").is_duplicated()).height == 2
    )
    # Both have the quote that stood before their order.
    assert clean["bid_px"].null_count() == 0


def test_files_of_other_dates_and_schemas_do_not_touch_a_date_whether_they_can_be_read_or_not(
    own_market: Settings,
) -> None:
    before = files_of(Lake(own_market.lake_root))
    folder = own_market.dbn_dir
    month = dt.date(2025, 3, 3)
    honest = write_file(
        folder, "trades", records_by_schema((month,))["trades"], month, month + dt.timedelta(1)
    )
    broken = honest.read_bytes()
    honest.with_name("truncated-of-march.trades.dbn.zst").write_bytes(broken[: len(broken) // 2])
    (folder / "header-only.dbn.zst").write_bytes(b"\x28\xb5\x2f\xfd")
    (folder / "nothing.dbn").touch()
    (folder / "other-dataset.dbn.zst").write_bytes(zst(plain("trades", dataset="XNAS.ITCH")))
    (folder / "readme.txt").write_text("no market data")
    (folder / "bars.dbn.zst").write_bytes(zst(plain("ohlcv-1m", start=_ns(FIRST_UTC_DAY), end=_ns(AFTER))))

    outcome = build_lake(own_market, DAY)

    assert set(outcome.values()) == {"unchanged"}
    assert files_of(Lake(own_market.lake_root)) == before
    problems = {entry.name for entry in Workbench(own_market).catalog().problems}
    assert {"header-only.dbn.zst", "nothing.dbn", "other-dataset.dbn.zst"} <= problems


def test_a_broken_file_of_the_date_fails_the_tables_made_of_it_and_no_other(own_market: Settings) -> None:
    path = own_market.dbn_dir / "glbx-mdp3-20250604.statistics.dbn.zst"
    path.write_bytes(path.read_bytes()[:-20])
    others = [BY_KEY[key] for key in KEYS if key not in ("bronze.future.statistics",)]

    with pytest.raises(EnvelopeRefused) as caught:
        build_lake(own_market, DAY, tables=[BY_KEY["bronze.future.statistics"]])

    assert caught.value.where["file"] == str(path)
    assert caught.value.where["rule"]
    assert "offset" in caught.value.where
    assert set(build_lake(own_market, DAY, tables=others).values()) == {"unchanged"}


def test_rows_on_the_utc_midnight_of_two_files_are_taken_once(own_market: Settings) -> None:
    settings = own_market
    trades = records_by_schema((DAY,))["trades"]
    es = trades[trades["instrument_id"] == ES_JUNE.instrument_id]

    taken = rows(Lake(settings.lake_root), TRADES)["ESM5"]

    assert taken.height == len(es)
    assert taken["ts_event"].to_physical().to_list() == np.sort(es["ts_event"]).tolist()
    assert Lake(settings.lake_root).manifests(TRADES, DAY)["ESM5"].lineage.sources != ()
    assert rows(Lake(settings.lake_root), TRADES, NEXT)["ESM5"]["ts_event"].min() > taken["ts_event"].max()


def _ns(day: dt.date) -> int:
    return int(np.datetime64(day, "ns").astype(np.int64))
