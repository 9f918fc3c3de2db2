"""A column that travels from one table to the next keeps its meaning on the way."""

from __future__ import annotations

from collections import defaultdict

import pytest

from footprint_assets.contracts import all_keys, load

CHAINS = [
    ("bronze.future.market_by_price_10", "silver.future.market_by_price_10_clean"),
    ("silver.future.market_by_price_10_clean", "gold.future.market_by_price_10_first3h"),
]


@pytest.mark.parametrize(("earlier", "later"), CHAINS)
def test_the_book_keeps_every_column_in_its_place(earlier, later):
    before, after = load(earlier), load(later)
    assert after.fields[: len(before.fields)] == before.fields


def test_gold_footprint_bars_are_the_closed_silver_bars_with_more_columns():
    silver, gold = load("silver.future.footprint_bar"), load("gold.future.footprint_bars")
    carried = [field for field in silver.fields if field.name != "is_complete"]
    assert list(gold.fields[: len(carried)]) == carried


@pytest.mark.parametrize("attribute", ["physical", "is_list", "symbols"])
def test_a_name_in_one_unit_has_one_type_within_a_layer_and_product(attribute):
    meanings = defaultdict(set)
    for key in all_keys():
        layer, product, _ = key.split(".")
        for field in load(key).fields:
            meanings[layer, product, field.name, field.unit].add(getattr(field, attribute))
    assert {name: found for name, found in meanings.items() if len(found) > 1} == {}


def test_no_feature_is_an_absolute_price():
    for key in all_keys():
        contract = load(key)
        prices = {name for name in contract.columns if name.endswith("_price")}
        prices |= {"price", "open", "high", "low", "close", "vwap"} & set(contract.columns)
        assert not prices & set(contract.columns_of_kind("feature", "label")), key


def test_every_table_says_which_trade_date_and_contract_a_row_belongs_to():
    for key in all_keys():
        contract = load(key)
        assert "symbol" in contract.columns, key
        assert {"session_date", "dt", "ts_event", "bar_ts", "month"} & set(contract.columns), key
