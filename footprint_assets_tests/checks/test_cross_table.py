"""Every rule between tables holds on an honest lake and names the numbers on a dishonest one."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from footprint_assets import contracts
from footprint_assets.checks import CHECKS
from footprint_assets.lake import Lake
from footprint_assets.lake.reader import BATCH_ROWS
from footprint_assets.resources import Workbench
from footprint_assets.settings import FootprintSettings, Root, Settings
from footprint_assets_tests.checks.tampering import (
    FIRST_ROW,
    Alter,
    failing,
    findings,
    on_first_row,
    tamper,
)
from footprint_assets_tests.small_market import (
    DAY,
    NEXT,
    TABLES,
    Contract,
    build_lake,
    records_by_schema,
    republish,
    rows,
    settings_of,
    write_drop,
    write_file,
)

FRONT_MONTH = "bronze.future.front_month"
BOOK = "bronze.future.market_by_price_10"
TRADES = "bronze.future.trades"
DEFINITION = "bronze.future.definition"
BOOK_CLEAN = "silver.future.market_by_price_10_clean"
TRADES_CLEAN = "silver.future.trades_clean"
OHLCV = "silver.future.ohlcv"
FOOTPRINT_PRICE = "silver.future.footprint_price"
FOOTPRINT_BAR = "silver.future.footprint_bar"
PROFILE_PRICE = "silver.future.volume_profile_price"
SESSION_LEVELS = "silver.future.session_levels"
FIRST_HOURS = "gold.future.market_by_price_10_first3h"


def test_a_check_speaks_of_every_contract(built_market: Settings) -> None:
    for check in CHECKS:
        symbols = {finding.symbol for finding in check.function(Workbench(built_market), DAY)}
        assert symbols in ({"ESM5", "NQM5"}, {"ES", "NQ"}, {"*"}), check.name


def test_rows_without_an_account_are_found(own_market: Settings) -> None:
    lake = Lake(own_market.lake_root)
    republish(lake, TRADES_CLEAN, DAY, rows(lake, TRADES_CLEAN), counted=False)

    finding = findings(own_market, "rows_conserved")["ESM5", TRADES_CLEAN]

    assert not finding.passed
    assert (finding.facts["rows_in"], finding.facts["rows_out"]) == (0, 120)
    assert failing(own_market) == {"rows_conserved"}


@pytest.mark.parametrize(
    ("table", "volume", "group"),
    [
        (OHLCV, "volume", "interval"),
        (FOOTPRINT_PRICE, "total_volume", "bar_type"),
        (PROFILE_PRICE, "total_volume", "profile_type"),
    ],
)
def test_one_contract_more_than_was_traded_is_found(
    own_market: Settings, table: str, volume: str, group: str
) -> None:
    traded = rows(Lake(own_market.lake_root), TRADES_CLEAN)["ESM5"]["size"].sum()
    altered_group = rows(Lake(own_market.lake_root), table)["ESM5"][group][0]
    tamper(own_market, table, on_first_row(volume, pl.col(volume) + 1))

    failed = findings(own_market, "volume_conserved")

    name = {"RTH": "RTH + ETH", "ETH": "RTH + ETH"}.get(altered_group, altered_group)
    assert failed["ESM5", ""].facts["differ"] == {f"{table}[{name}]": traded + 1}
    assert failed["ESM5", ""].facts["trades"] == traded
    assert failed["NQM5", ""].passed
    assert failing(own_market) == {"volume_conserved"}


def test_a_missing_bar_is_found_by_its_volume(own_market: Settings) -> None:
    traded = rows(Lake(own_market.lake_root), TRADES_CLEAN)["ESM5"]["size"].sum()
    first = rows(Lake(own_market.lake_root), OHLCV)["ESM5"][0]
    tamper(own_market, OHLCV, lambda frame: frame[1:])

    differ = findings(own_market, "volume_conserved")["ESM5", ""].facts["differ"]

    assert differ == {f"{OHLCV}[{first['interval'].item()}]": traded - first["volume"].item()}


@pytest.mark.parametrize(
    ("table", "kept", "differ"),
    [
        (OHLCV, pl.col("interval") != "1d", {f"{OHLCV}[1 interval absent]": 0}),
        (FOOTPRINT_BAR, pl.col("bar_type") != "range_10t", {f"{FOOTPRINT_BAR}[1 bar_type absent]": 0}),
        (OHLCV, pl.lit(value=False), {f"{OHLCV}[8 interval absent]": 0}),
        (
            PROFILE_PRICE,
            pl.lit(value=False),
            {f"{PROFILE_PRICE}[FULL]": 0, f"{PROFILE_PRICE}[RTH + ETH]": 0},
        ),
    ],
    ids=["an interval", "a bar type", "every bar", "every profile"],
)
def test_what_is_absent_altogether_is_found(
    own_market: Settings, table: str, kept: pl.Expr, differ: dict[str, int]
) -> None:
    tamper(own_market, table, lambda frame: frame.filter(kept))

    assert findings(own_market, "volume_conserved")["ESM5", ""].facts["differ"] == differ
    of_prices = {"footprints_add_up"} if table == PROFILE_PRICE else set()
    assert failing(own_market) == {"volume_conserved"} | of_prices


def test_book_and_trades_that_disagree_are_found(own_market: Settings) -> None:
    traded = rows(Lake(own_market.lake_root), TRADES)["ESM5"]["size"].sum()
    tamper(own_market, TRADES, on_first_row("size", pl.col("size") + 3))

    finding = findings(own_market, "book_trades_match")["ESM5", ""]

    assert finding.facts["trades"] == traded + 3
    assert finding.facts["book_trade_records"] == traded
    assert finding.severity == "ERROR"
    assert failing(own_market) == {"book_trades_match"}


@pytest.mark.parametrize("schema", ["trades", "mbp-10"])
def test_a_delivery_that_came_twice_counts_once_against_the_other_table(tmp_path: Path, schema: str) -> None:
    settings = settings_of(tmp_path)
    write_drop(settings.dbn_dir)
    again = write_file(
        settings.dbn_dir,
        schema,
        records_by_schema((DAY,))[schema],
        DAY,
        NEXT,
        name=f"again.{schema}.dbn.zst",
    )
    build_lake(settings, DAY)

    table = TRADES if schema == "trades" else BOOK
    sources = Lake(settings.lake_root).manifests(table, DAY)["ESM5"].lineage.sources
    assert again.name in {source.name for source in sources}
    assert failing(settings) == {"copies_delivered"}


@pytest.mark.parametrize("table", [BOOK, TRADES])
def test_a_row_of_another_instrument_is_found(own_market: Settings, table: str) -> None:
    tamper(own_market, table, on_first_row("instrument_id", 14160))

    finding = findings(own_market, "one_instrument")["ESM5", table]

    assert finding.facts["instrument_ids"] == [4916, 14160]
    assert failing(own_market) == {"one_instrument"}


def chosen(contract: str) -> Alter:
    return lambda frame: frame.with_columns(
        is_front=pl.col("contract") == contract,
        rank=pl.when(pl.col("contract") == contract).then(1).otherwise(2),
    )


def test_rows_of_a_contract_that_is_not_the_front_month_are_found(own_market: Settings) -> None:
    tamper(own_market, FRONT_MONTH, chosen("ESU5"), "ES")

    finding = findings(own_market, "one_instrument")["ESM5", TRADES]

    assert finding.facts["front_months"] == ["ESU5", "NQM5"]
    assert failing(own_market) == {"one_instrument"}


def test_a_roll_that_goes_back_to_an_earlier_expiry_is_found_on_the_later_date(own_market: Settings) -> None:
    tamper(own_market, FRONT_MONTH, chosen("ESU5"), "ES", day=DAY)

    finding = findings(own_market, "roll_never_goes_back", NEXT)["ES", ""]

    assert finding.facts == {"front_month": "ESM5", "expiry": 202506, "latest_expiry_before": 202509}
    assert findings(own_market, "roll_never_goes_back", NEXT)["NQ", ""].passed
    assert failing(own_market, NEXT) == {"roll_never_goes_back"}


def test_a_roll_to_the_next_expiry_passes(own_market: Settings) -> None:
    tamper(own_market, FRONT_MONTH, chosen("ESU5"), "ES", day=NEXT)

    assert findings(own_market, "roll_never_goes_back", NEXT)["ES", ""].passed


@pytest.mark.parametrize(
    "alter",
    [
        on_first_row("bid_px_01", pl.col("bid_px_00")),
        on_first_row("ask_px_05", pl.col("ask_px_04") - 250_000_000),
        on_first_row("ask_px_03", None),
        on_first_row("bid_sz_09", 0),
    ],
    ids=["two bids at one price", "asks fall", "a hole", "a price without size"],
)
def test_a_broken_ladder_is_found_and_the_record_named(own_market: Settings, alter: Alter) -> None:
    first = rows(Lake(own_market.lake_root), BOOK_CLEAN)["ESM5"]["record_index"][0]
    tamper(own_market, BOOK_CLEAN, alter)

    finding = findings(own_market, "ladder_order")["ESM5", ""]

    assert (finding.facts["rows"], finding.facts["count"]) == (360, 1)
    assert finding.facts["first"]["record_index"] == first
    assert failing(own_market) == {"ladder_order"}


def test_the_first_of_several_broken_ladders_is_named_however_far_into_the_day(own_market: Settings) -> None:
    index = rows(Lake(own_market.lake_root), BOOK_CLEAN)["ESM5"]["record_index"]
    crossed = pl.when(pl.int_range(pl.len()).is_in([70_000, 70_001])).then("ask_px_00").otherwise("ask_px_01")
    tamper(own_market, BOOK_CLEAN, lambda frame: pl.concat([frame] * 200).with_columns(ask_px_01=crossed))

    finding = findings(own_market, "ladder_order")["ESM5", ""]

    assert len(index) * 200 > 70_000 > BATCH_ROWS
    assert (finding.facts["rows"], finding.facts["count"]) == (len(index) * 200, 2)
    assert finding.facts["first"]["record_index"] == index[70_000 % len(index)]
    assert finding.facts["first"]["row"] == 70_000


def test_a_thin_book_with_nothing_behind_its_first_levels_is_in_order(own_market: Settings) -> None:
    absent = [
        pl.lit(None).alias(f"{side}_px_{level:02d}") for side in ("bid", "ask") for level in range(3, 10)
    ]
    empty = [
        pl.lit(0).alias(f"{side}_{what}_{level:02d}")
        for side in ("bid", "ask") for what in ("sz", "ct") for level in range(3, 10)
    ]  # fmt: skip
    tamper(own_market, BOOK_CLEAN, lambda frame: frame.with_columns(*absent, *empty))

    assert findings(own_market, "ladder_order")["ESM5", ""].passed


@pytest.mark.parametrize(
    ("column", "value", "facts"),
    [
        ("session_date", NEXT, {"outside_window": 1, "outside_trading_hours": 0}),
        (
            "ts_event",
            pl.col("ts_event") - pl.duration(days=2),
            {"outside_window": 1, "outside_trading_hours": 0},
        ),
        ("session", "CLOSED", {"outside_window": 0, "outside_trading_hours": 1}),
    ],
)
def test_a_trade_outside_its_trade_date_or_its_hours_is_found(
    own_market: Settings, column: str, value: object, facts: dict[str, int]
) -> None:
    tamper(own_market, TRADES_CLEAN, on_first_row(column, value))

    assert findings(own_market, "sessions_aligned")["ESM5", ""].facts == {"trades": 120} | facts
    of_time = {"bars_hold_trades", "ranges_are_extremes"} if column == "ts_event" else set()
    assert failing(own_market) == {"sessions_aligned"} | of_time


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("close", pl.col("high") + 0.25, "prices_in_range"),
        ("vwap", pl.col("low") - 0.01, "prices_in_range"),
        ("vah_price", pl.col("poc_price") - 0.25, "poc_in_value_area"),
        ("value_area_volume_pct", 69.5, "value_area_share"),
        ("unknown_volume", pl.col("unknown_volume") + 1, "volume"),
        ("max_delta", pl.min_horizontal("delta", 0) - 1, "running_delta"),
        ("min_delta", pl.max_horizontal("delta", 0) + 1, "running_delta"),
    ],
)
def test_a_bar_that_contradicts_itself_is_found(
    own_market: Settings, column: str, value: object, rule: str
) -> None:
    tamper(own_market, FOOTPRINT_BAR, on_first_row(column, value))

    facts = findings(own_market, "bars_invariant")["ESM5", ""].facts

    assert facts[rule] == 1
    assert sum(facts[name] for name in facts.keys() - {"bars", "cum_delta_telescopes"}) == 1
    assert failing(own_market) == {"bars_invariant"}


def test_rows_of_several_ticks_may_begin_below_the_low(built_market: Settings, tmp_path: Path) -> None:
    tall = settings_of(tmp_path, footprint=FootprintSettings(ticks_per_row=4)).model_copy(
        update={"dbn_dir": built_market.dbn_dir}
    )
    build_lake(tall, DAY)

    bars = rows(Lake(tall.lake_root), FOOTPRINT_BAR)["ESM5"]
    assert bars.filter(pl.col("poc_price") < pl.col("low")).height > 0
    assert failing(tall) == set()

    tamper(tall, FOOTPRINT_BAR, on_first_row("poc_price", pl.col("low") - 1.0))
    assert findings(tall, "bars_invariant")["ESM5", ""].facts["prices_in_range"] == 1


def test_a_delta_that_is_not_ask_minus_bid_is_found(own_market: Settings) -> None:
    larger = pl.max_horizontal("delta", 0) + 1
    tamper(
        own_market,
        FOOTPRINT_BAR,
        lambda frame: frame.with_columns(
            pl.when(FIRST_ROW).then(larger).otherwise("delta").alias("delta"),
            pl.when(FIRST_ROW).then(larger).otherwise("max_delta").alias("max_delta"),
        ),
    )

    facts = findings(own_market, "bars_invariant")["ESM5", ""].facts

    assert (facts["delta"], facts["cum_delta_telescopes"]) == (1, False)
    assert failing(own_market) == {"bars_invariant"}


def test_a_cumulative_delta_that_does_not_add_up_is_found(own_market: Settings) -> None:
    tamper(own_market, FOOTPRINT_BAR, on_first_row("cum_delta", pl.col("cum_delta") + 1))

    assert findings(own_market, "bars_invariant")["ESM5", ""].facts["cum_delta_telescopes"] is False
    assert failing(own_market) == {"bars_invariant"}


def test_a_table_made_of_an_earlier_generation_is_found_with_the_input_that_moved(
    own_market: Settings,
) -> None:
    tamper(own_market, SESSION_LEVELS, on_first_row("level_price", pl.col("level_price") + 0.25))

    found = findings(own_market, "inputs_current")

    readers = {table.key for table in TABLES if SESSION_LEVELS in table.inputs.values()}
    assert {table for _, table in found} == readers > {"silver.future.footprint_bar", FIRST_HOURS}
    for finding in found.values():
        assert not finding.passed
        assert finding.facts["contract"] is True
        assert f"{SESSION_LEVELS}/ESM5/{DAY}" in finding.facts["stale_inputs"]
    assert failing(own_market) == set()


def test_a_contract_that_left_the_trade_date_makes_what_was_made_of_it_stale(own_market: Settings) -> None:
    lake = Lake(own_market.lake_root)
    frames = rows(lake, SESSION_LEVELS)
    republish(lake, SESSION_LEVELS, DAY, {"ESM5": frames["ESM5"]})

    facts = findings(own_market, "inputs_current")["NQM5", "silver.future.footprint_bar"].facts

    assert f"{SESSION_LEVELS}/NQM5/{DAY}" in facts["stale_inputs"]


def test_rows_under_an_earlier_contract_are_found(own_market: Settings) -> None:
    lake = Lake(own_market.lake_root)
    schema = contracts.load(OHLCV).arrow_schema
    earlier = schema.with_metadata(schema.metadata | {b"contract_sha256": b"0" * 64})
    republish(lake, OHLCV, DAY, rows(lake, OHLCV), schema=earlier)

    assert findings(own_market, "inputs_current")["ESM5", OHLCV].facts == {
        "table": OHLCV,
        "stale_inputs": [],
        "contract": False,
    }


def test_a_tick_that_is_not_the_exchanges_is_found(own_market: Settings) -> None:
    tamper(own_market, DEFINITION, on_first_row("min_price_increment", 500_000_000))

    assert findings(own_market, "tick_size_agrees")["ESM5", ""].facts == {
        "configured_points": 0.25,
        "defined_nanos": [500_000_000],
    }
    assert failing(own_market) == {"tick_size_agrees"}


def test_a_root_that_begins_like_another_has_its_own_tick(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, roots={"ES": Root(tick_size_nanos=500_000_000), "ESX": Root()})
    write_drop(settings.dbn_dir, market=[Contract("ESXM5", 77, 23_800, 60)])
    build_lake(settings, DAY)

    assert findings(settings, "tick_size_agrees")["ESXM5", ""].passed


def test_an_absent_source_is_a_warning_that_names_it(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    write_drop(settings.dbn_dir, schemas=("trades",))
    build_lake(settings, DAY)

    assert findings(settings, "sources_present")["ESM5", ""].facts == {
        "without_a_source_file": [BOOK, DEFINITION, "bronze.future.statistics"],
        "unreadable_files": [],
    }
    assert failing(settings) == {"sources_present"}
    assert [check.severity for check in CHECKS if check.name == "sources_present"] == ["WARN"]


def test_an_unreadable_file_is_a_warning_that_names_it(own_market: Settings) -> None:
    (own_market.dbn_dir / "half.dbn.zst").write_bytes(b"half a header")

    facts = findings(own_market, "sources_present")["ESM5", ""].facts

    assert facts == {"without_a_source_file": [], "unreadable_files": ["half.dbn.zst"]}
    assert failing(own_market) == {"sources_present"}


def test_staleness_is_judged_when_every_table_is_there() -> None:
    (check,) = [check for check in CHECKS if check.name == "inputs_current"]
    read = {key for table in TABLES for key in (*table.inputs.values(), *table.lookback.values())}

    last = {table.key for table in TABLES} - read

    assert set(check.reads) == last
