"""The generated contracts and the feature schema: committed as they would be written today, and apart from each other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from footprint_assets import contracts
from footprint_assets.contracts import CONTRACTS_DIR
from footprint_assets.feature_schema import (
    FILE,
    feature_schema,
    schema_text,
    sha256_of,
    shared_names,
    write_schema,
)
from footprint_assets.gold_contracts import VERSIONS, contract_texts, write_contracts
from footprint_assets.settings import LevelSettings

MARKET, LEVEL = "gold.future.market_features", "gold.future.level_features"
SIGNALS, VECTORS = "gold.future.levels_signals", "gold.future.setup_vectors"
PIPELINES = LevelSettings().pipelines
SCHEMA = feature_schema()


@pytest.fixture
def own_contracts(tmp_path: Path) -> Path:
    shutil.copytree(CONTRACTS_DIR, tmp_path / "contracts")
    return tmp_path / "contracts"


@pytest.mark.parametrize("key", VERSIONS)
def test_the_committed_contract_is_the_generated_one(key: str):
    committed = contracts.path_of(key).read_text(encoding="utf-8")
    assert committed == contract_texts()[key], "run footprint-assets contracts"


def test_the_committed_feature_schema_is_the_generated_one():
    assert (CONTRACTS_DIR / FILE).read_text(encoding="utf-8") == schema_text(), (
        "run footprint-assets contracts"
    )


def test_a_change_of_a_source_reaches_the_wide_tables_and_the_schema(own_contracts: Path):
    source = contracts.path_of("silver.future.market_rolling_5s", own_contracts)
    source.write_text(source.read_text().replace('"name": "tox_vpin_cdf"', '"name": "tox_vpin_rank"'))
    before = json.loads((own_contracts / FILE).read_text())
    write_contracts(own_contracts, own_contracts)
    after = json.loads(write_schema(own_contracts, own_contracts).read_text())
    assert contracts.load(MARKET, own_contracts).field("tox_vpin_rank")
    assert {row["name"] for row in after["features"]} ^ {row["name"] for row in before["features"]} == {
        "tox_vpin_rank",
        "tox_vpin_cdf",
    }
    assert after["sha256"] != before["sha256"]


def test_a_feature_stays_as_old_as_it_was(own_contracts: Path):
    path = own_contracts / FILE
    known = json.loads(path.read_text())
    known["features"][0]["since"] = "0.9.0"
    path.write_text(json.dumps(known))
    rows = json.loads(write_schema(own_contracts, own_contracts).read_text())["features"]
    assert rows[0]["since"] == "0.9.0"
    assert {row["since"] for row in rows[1:]} == {"1.0.0"}


def test_writing_twice_gives_the_same_file(own_contracts: Path):
    first = write_schema(own_contracts, own_contracts).read_bytes()
    assert write_schema(own_contracts, own_contracts).read_bytes() == first


def test_the_files_can_be_written_anywhere(tmp_path: Path):
    written = [*write_contracts(tmp_path / "new"), write_schema(tmp_path / "new")]
    for path in written:
        committed = CONTRACTS_DIR / path.relative_to(tmp_path / "new")
        assert path.read_bytes() == committed.read_bytes()


def test_no_name_is_of_a_level_and_of_the_market():
    assert shared_names(PIPELINES) == {}


def test_a_name_of_both_pipelines_is_found(own_contracts: Path):
    write_contracts(own_contracts, own_contracts)
    path = contracts.path_of(MARKET, own_contracts)
    path.write_text(
        path.read_text()
        .replace('"name": "tox_vpin"', '"name": "bar5s_conf_count_4t"')
        .replace('"name": "tox_vpin_cdf"', '"name": "pm_low_bar5s_conf_count_4t"')
    )
    assert shared_names(PIPELINES, own_contracts) == {
        "OR_HIGH": ["bar5s_conf_count_4t"],
        "OR_LOW": ["bar5s_conf_count_4t"],
        "PM_HIGH": ["bar5s_conf_count_4t"],
        "PM_LOW": ["bar5s_conf_count_4t", "pm_low_bar5s_conf_count_4t"],
        "SMA_90": ["bar5s_conf_count_4t"],
    }


@pytest.mark.parametrize("level", PIPELINES)
def test_every_level_feature_has_the_level_in_its_name_and_no_market_feature_has(level: str):
    prefix = f"{level.lower()}_"
    features = contracts.load(contracts.level_key(LEVEL, level)).columns_of_kind("feature")
    assert all(name.startswith(prefix) for name in features)
    assert not any(name.startswith(prefix) for name in contracts.load(MARKET).columns_of_kind("feature"))


def test_the_schema_has_every_feature_once_and_nothing_that_is_none():
    names = [row["name"] for row in SCHEMA["features"]]
    assert len(names) == len(set(names))
    assert set(names) == {
        *contracts.load(MARKET).columns_of_kind("feature"),
        *contracts.load(LEVEL).columns_of_kind("feature"),
    }
    assert names == list(contracts.load(SIGNALS).columns_of_kind("feature"))
    others = {row["name"] for part in ("labels", "metadata") for row in SCHEMA[part]}
    assert not others & set(names)
    assert others == {
        field.name
        for key in (MARKET, LEVEL, SIGNALS)
        for field in contracts.load(key).fields
        if field.kind != "feature"
    }


def test_the_schema_lists_every_label_of_the_outcomes():
    outcomes = contracts.load("silver.future.market_by_price_10_level_outcomes")
    assert [row["name"] for row in SCHEMA["labels"]] == list(outcomes.columns_of_kind("label"))


def test_a_feature_leads_back_to_the_column_it_is_taken_from():
    for row in SCHEMA["features"]:
        field = contracts.load(row["source"]).field(row["source_column"])
        assert field.kind == "feature"
        assert (row["dtype"], row["unit"]) == (field.physical, field.unit)
        assert row["formula"].startswith(field.doc)


def test_the_hash_of_the_schema_is_of_its_content():
    committed = json.loads((CONTRACTS_DIR / FILE).read_text(encoding="utf-8"))
    assert sha256_of(committed) == committed["sha256"]
    assert sha256_of(committed | {"version": "9.9.9"}) != committed["sha256"]


@pytest.mark.parametrize("key", VERSIONS)
def test_no_feature_is_a_price_an_instant_or_a_text(key: str):
    contract = contracts.load(key)
    for name in contract.columns_of_kind("feature"):
        physical = contract.field(name).physical
        assert physical == "bool" or physical.startswith(("float", "int")), name
        assert not name.endswith(("_price", "_px", "_px_eob", "_ts")), name


def test_what_looks_beyond_the_decision_is_no_feature():
    contract = contracts.load(SIGNALS)
    beyond = {
        "forward_bars",
        "is_truncated_forward",
        "is_extended_forward",
        "extension_count",
        "label_end_ts",
    }
    assert beyond <= set(contract.columns_of_kind("meta"))


def test_setup_vectors_have_the_columns_of_the_catalogue():
    shown = [
        *("vector_id", "episode_id", "dt", "symbol", "level_type", "level_price", "trigger_bar_ts"),
        *("approach_direction", "outcome", "outcome_score"),
        *("velocity_at_trigger", "obi0_at_trigger", "wall_imbal_at_trigger"),
    ]
    assert list(contracts.load(VECTORS).columns) == [*shown, *(f"v_{slot}" for slot in range(256))]
