"""Feature tables that contradict the trades, the book or each other are found, with the numbers."""

from __future__ import annotations

import polars as pl
import pytest

from footprint_assets.lake import Lake
from footprint_assets.settings import Settings
from footprint_assets_tests.checks.tampering import Alter, failing, findings, on_first_row, tamper
from footprint_assets_tests.small_market import DAY, NEXT, rows

FOOTPRINT_PRICE = "silver.future.footprint_price"
BARS = "silver.future.market_by_price_10_bar5s"
BARS_EXT = "silver.future.market_by_price_10_bar5s_ext"
PRICE5S = "silver.future.market_by_price_10_price5s"
SESSION_LEVELS = "silver.future.session_levels"
SESSION_CONTEXT = "silver.future.session_context_5s"
SIGNALS = "gold.future.levels_signals"
VOLUMES = ("bid_volume", "ask_volume", "unknown_volume")
LAST_ROW = pl.int_range(pl.len()) == pl.len() - 1
FIVE_SECONDS = pl.duration(seconds=5, time_unit="ns")


def on_last_row(column: str, value: pl.Expr) -> Alter:
    return lambda frame: frame.with_columns(pl.when(LAST_ROW).then(value).otherwise(column).alias(column))


def on_first_of(bar_type: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Give one contract of a seller to a buyer in the first row of a bar type."""
    is_type = pl.col("bar_type") == bar_type
    first = is_type & (is_type.cum_sum() == 1)
    change = pl.when(first).then(1).otherwise(0)
    return frame.with_columns(pl.col("ask_volume") + change, pl.col("bid_volume") - change)


def test_a_contract_given_to_the_other_aggressor_is_found_in_the_bars_that_have_it(
    own_market: Settings,
) -> None:
    tamper(own_market, FOOTPRINT_PRICE, lambda frame: on_first_of("time_2m", frame))

    found = findings(own_market, "footprints_add_up")

    assert found["ESM5", ""].facts == {
        "bar_types": 8,
        "differ_from_profile": ["time_2m"],
        "differ_from_shorter": ["time_2m"],
    }
    assert found["NQM5", ""].passed
    assert failing(own_market) == {"footprints_add_up"}


def test_the_shortest_bars_are_held_against_every_longer_one(own_market: Settings) -> None:
    tamper(own_market, FOOTPRINT_PRICE, lambda frame: on_first_of("time_5s", frame))

    facts = findings(own_market, "footprints_add_up")["ESM5", ""].facts

    assert facts["differ_from_profile"] == ["time_5s"]
    assert facts["differ_from_shorter"] == ["time_1m", "time_2m", "time_5m", "time_30m"]


def test_volume_at_its_price_but_in_another_bar_is_found(own_market: Settings) -> None:
    in_other_bars = [
        pl.when(pl.col("bar_type") == "time_1m")
        .then(pl.col(name).reverse().over("bar_type", "price_tick"))
        .otherwise(name)
        .alias(name)
        for name in VOLUMES
    ]
    tamper(own_market, FOOTPRINT_PRICE, lambda frame: frame.with_columns(in_other_bars))

    facts = findings(own_market, "footprints_add_up")["ESM5", ""].facts

    assert (facts["differ_from_profile"], facts["differ_from_shorter"]) == ([], ["time_1m"])


@pytest.mark.parametrize("column", ["vol_sum", "cnt_sum", "aggbuy_vol_sum", "aggsell_vol_sum"])
def test_a_bar_of_the_book_with_another_trade_is_found(own_market: Settings, column: str) -> None:
    name = f"bar5s_trade_{column}"
    tamper(own_market, BARS, on_first_row(name, pl.col(name) + 1))
    first = rows(Lake(own_market.lake_root), BARS)["ESM5"]["bar_ts"][0]

    facts = findings(own_market, "bars_hold_trades")["ESM5", ""].facts

    assert facts["differ"] == 1
    assert str(facts["first"]).startswith(first.isoformat()[:19])
    assert failing(own_market) == {"bars_hold_trades"}


def test_every_flow_of_the_small_market_has_a_price_and_a_band(built_market: Settings) -> None:
    for finding in findings(built_market, "flows_conserved").values():
        assert (finding.facts["beyond_prices"], finding.facts["beyond_bands"]) == (0, 0)


@pytest.mark.parametrize(
    ("table", "column", "rule"),
    [
        (BARS_EXT, "bar5s_flow_net_vol_bid_sum", "net_differs"),
        (PRICE5S, "bid_fill_vol", "more_than_bar"),
        (PRICE5S, "ask_add_vol", "more_than_bar"),
        (BARS, "bar5s_flow_rem_vol_ask_p0_1_sum", "more_than_bar"),
    ],
)
def test_flow_that_is_not_of_the_bar_is_found(
    own_market: Settings, table: str, column: str, rule: str
) -> None:
    tamper(own_market, table, on_first_row(column, pl.col(column) + 1))

    facts = findings(own_market, "flows_conserved")["ESM5", ""].facts

    assert {name: facts[name] for name in ("net_differs", "more_than_bar")} == {
        "net_differs": 0,
        "more_than_bar": 0,
    } | {rule: 1}
    assert failing(own_market) == {"flows_conserved"}


@pytest.mark.parametrize(
    ("column", "value", "fact"),
    [
        ("globex_vwap", pl.col("globex_vwap") + 1000, "globex_vwap_outside"),
        ("rth_vwap_std", pl.lit(-0.25), "rth_vwap_outside"),
        ("rth_vwap", pl.col("rth_vwap") + 0.001, "rth_vwap_last_differs"),
    ],
)
def test_a_vwap_that_no_trade_explains_is_found(
    own_market: Settings, column: str, value: pl.Expr, fact: str
) -> None:
    tamper(own_market, SESSION_CONTEXT, on_last_row(column, value))

    assert findings(own_market, "vwaps_in_range")["ESM5", ""].facts[fact] == 1
    assert failing(own_market) == {"vwaps_in_range"}


def on_level(name: str, column: str, value: pl.Expr) -> Alter:
    named = pl.col("level_name") == name
    return lambda frame: frame.with_columns(pl.when(named).then(value).otherwise(column).alias(column))


@pytest.mark.parametrize(
    ("level", "column", "value"),
    [
        ("PM_HIGH", "level_price_raw", pl.col("level_price_raw") - 0.25),
        ("OR_LOW", "extreme_ts", pl.col("extreme_ts") + pl.duration(nanoseconds=1, time_unit="ns")),
        ("IB_HIGH", "window_trades", pl.col("window_trades") - 1),
        ("OVERNIGHT_LOW", "formation_start_ts", pl.col("valid_from_ts") - 1000 * FIVE_SECONDS),
    ],
)
def test_a_range_that_its_trades_do_not_make_is_found(
    own_market: Settings, level: str, column: str, value: pl.Expr
) -> None:
    tamper(own_market, SESSION_LEVELS, on_level(level, column, value))

    facts = findings(own_market, "ranges_are_extremes")["ESM5", ""].facts

    assert facts == {"ranges": 14, "differ": [level]}
    assert failing(own_market) == {"ranges_are_extremes"}


def second_attempt(after: pl.Expr) -> Alter:
    """Add an attempt at the level of the first row, some time after it."""
    later = [(pl.col(name) + after).alias(name) for name in ("trigger_bar_ts", "decision_ts")]
    return lambda frame: pl.concat(
        [
            frame,
            frame.head(1).with_columns(
                *later, pl.lit(2).cast(frame.schema["attempt_index"]).alias("attempt_index")
            ),
        ]
    )


@pytest.mark.parametrize(
    ("alter", "fact"),
    [
        (on_first_row("attempt_index", 2), "misnumbered"),
        (on_first_row("decision_ts", pl.col("decision_ts") + FIVE_SECONDS), "decided_elsewhere"),
        (second_attempt(23 * FIVE_SECONDS), "too_close"),
    ],
)
def test_attempts_out_of_order_are_found(own_market: Settings, alter: Alter, fact: str) -> None:
    tamper(own_market, SIGNALS, alter)

    assert findings(own_market, "attempts_in_order")["ESM5", ""].facts[fact] == 1
    of_another_bar = {"features_of_decision"} if fact != "misnumbered" else set()
    assert failing(own_market) == {"attempts_in_order"} | of_another_bar


def test_an_attempt_as_soon_as_the_cooldown_is_over_passes(own_market: Settings) -> None:
    tamper(own_market, SIGNALS, second_attempt(24 * FIVE_SECONDS))

    assert findings(own_market, "attempts_in_order")["ESM5", ""].facts["attempts"] == 2
    assert failing(own_market) == {"features_of_decision"}, "it is shown the market of the attempt before"


@pytest.mark.parametrize(
    ("alter", "broken"),
    [
        (on_first_row("outcome_8t_240s", "BREAK"), "8t_240s"),
        (on_first_row("outcome_16t_480s", "BOUNCE"), "16t_480s"),
        (on_first_row("time_to_break_16t_120s_s", 121.0), "16t_120s"),
        (on_first_row("time_to_bounce_16t_120s_s", 60.0), "16t_120s"),
    ],
    ids=["a break that went nowhere", "a bounce that went nowhere", "a hit too late", "a hit in a chop"],
)
def test_an_outcome_its_path_does_not_show_is_found(own_market: Settings, alter: Alter, broken: str) -> None:
    assert rows(Lake(own_market.lake_root), SIGNALS)["ESM5"]["outcome_8t_480s"].to_list() == ["CHOP"]
    tamper(own_market, SIGNALS, alter)

    assert findings(own_market, "outcomes_reach_barriers")["ESM5", ""].facts["broken"] == {broken: 1}
    assert failing(own_market) == {"outcomes_reach_barriers"}


def of_outcome(name: str, count: int) -> Alter:
    """Attempts at as many levels, all with one outcome."""
    return lambda frame: pl.concat([frame.head(1)] * count).with_columns(
        pl.lit(name).alias("outcome"), pl.format("L_{}", pl.int_range(pl.len())).alias("level_type")
    )


def test_a_class_that_takes_nearly_all_attempts_is_a_warning(own_market: Settings) -> None:
    tamper(own_market, SIGNALS, of_outcome("CHOP", 100))

    facts = findings(own_market, "labels_balanced")["ESM5", ""].facts

    assert facts == {"attempts": 100, "decided": 100, "BREAK": 0.0, "BOUNCE": 0.0, "CHOP": 1.0} | {
        "low": 0.05,
        "high": 0.85,
    }
    assert failing(own_market) == {"labels_balanced"}
    assert "labels_balanced" in failing(own_market, NEXT), "the sessions before count"


@pytest.mark.parametrize(("name", "count"), [("CHOP", 99), ("UNDEFINED", 200)])
def test_too_few_decided_attempts_are_not_judged(own_market: Settings, name: str, count: int) -> None:
    tamper(own_market, SIGNALS, of_outcome(name, count))

    assert findings(own_market, "labels_balanced", DAY)["ESM5", ""].skipped.endswith("needed: 100")
