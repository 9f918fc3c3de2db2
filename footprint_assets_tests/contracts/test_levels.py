"""Contracts that the tables of every level share."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from footprint_assets.contracts import (
    BrokenContract,
    ContractNotFound,
    LevelNameTaken,
    all_keys,
    level_key,
    load,
    parse,
    path_of,
    table_keys,
    templates,
)
from footprint_assets.contracts.compare import Level, compare
from footprint_assets.contracts.lint import lint
from footprint_assets_tests.contracts.test_lint import BID, GOOD, SIZE

EPISODES = "silver.future.book_level_episodes"
FEATURES = "gold.future.level_features"


def contract_of(key: str, **attributes: object) -> dict[str, object]:
    namespace, _, name = key.rpartition(".")
    return copy.deepcopy(GOOD) | {"namespace": namespace, "name": name} | attributes


def put(root: Path, key: str, **attributes: object) -> None:
    path = path_of(key, root)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(contract_of(key, **attributes)))


def features(**attributes: object) -> dict[str, object]:
    """A shared contract whose size and bid are features."""
    raw = contract_of(FEATURES, per_level=["feature"], **attributes)
    for position in (SIZE, BID):
        raw["fields"][position]["kind"] = "feature"  # type: ignore[index]
    return raw


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, "silver.future.prints")
    put(tmp_path, "silver.future.level_series")  # a table of its own, whatever its name
    put(tmp_path, EPISODES, per_level=[])
    path_of(FEATURES, tmp_path).parent.mkdir(parents=True)
    path_of(FEATURES, tmp_path).write_text(json.dumps(features()))
    return tmp_path


@pytest.mark.parametrize("level", ["pm_high", "sma_90", "x"])
def test_the_table_of_any_level_has_the_shared_contract_under_its_own_name(root: Path, level: str) -> None:
    shared, own = load(EPISODES, root), load(f"silver.future.book_{level}_episodes", root)

    assert own.name == f"silver.future.book_{level}_episodes"
    assert (own.fields, own.key, own.sort, own.version) == (
        shared.fields,
        shared.key,
        shared.sort,
        shared.version,
    )
    assert own.fingerprint != shared.fingerprint
    assert own.arrow_schema.metadata[b"contract"].decode() == own.name
    assert load(own.name, root) is own


def test_the_columns_models_read_carry_the_name_of_the_level_and_the_others_do_not(root: Path) -> None:
    own = load("gold.future.pm_high_features", root)

    assert own.columns == ("ts_event", "symbol", "side", "pm_high_size", "pm_high_bid_px", "span")
    assert own.polars_schema.names() == list(own.columns)
    assert [field.doc for field in own.fields] == [field["doc"] for field in GOOD["fields"]]
    assert load("gold.future.pm_low_features", root).fingerprint != own.fingerprint


@pytest.mark.parametrize(
    "key",
    [
        "silver.future.book__episodes",
        "silver.future.book_episodes",
        "silver.future.book_PM_episodes",
        "silver.future.book_pm_high_episodes_x",
        "silver.future.bookxpm_high_episodes",
        "silver.option.book_pm_high_episodes",
        "gold.future.book_pm_high_episodes",
        "silver.future.pm_high_series",
    ],
)
def test_what_is_no_levels_table_is_not_found(root: Path, key: str) -> None:
    with pytest.raises(ContractNotFound):
        load(key, root)


def test_only_a_contract_that_says_so_is_shared(root: Path) -> None:
    assert set(templates(root)) == {EPISODES, FEATURES}
    assert load("silver.future.level_series", root).per_level is None
    assert load(EPISODES, root).per_level == ()
    assert load("silver.future.book_pm_high_episodes", root).per_level is None


def test_the_tables_there_are_follow_from_the_levels(root: Path) -> None:
    assert all_keys(root) == [FEATURES, EPISODES, "silver.future.level_series", "silver.future.prints"]
    assert table_keys((), root) == ["silver.future.level_series", "silver.future.prints"]
    assert table_keys(("PM_HIGH", "SMA_90"), root) == [
        "gold.future.pm_high_features",
        "gold.future.sma_90_features",
        "silver.future.book_pm_high_episodes",
        "silver.future.book_sma_90_episodes",
        "silver.future.level_series",
        "silver.future.prints",
    ]


def test_a_table_of_its_own_keeps_its_name_from_a_level(tmp_path: Path) -> None:
    put(tmp_path, FEATURES, per_level=[])
    put(tmp_path, "gold.future.market_features", doc="The market.")

    assert load("gold.future.market_features", tmp_path).doc == "The market."
    with pytest.raises(
        LevelNameTaken, match=r"called MARKET would have the table gold\.future\.market_features"
    ):
        level_key(FEATURES, "MARKET", tmp_path)
    with pytest.raises(LevelNameTaken):
        table_keys(("PM_HIGH", "MARKET"), tmp_path)
    assert level_key(FEATURES, "PM_HIGH", tmp_path) == "gold.future.pm_high_features"
    assert level_key(FEATURES, "LEVEL", tmp_path) == FEATURES


def test_two_shared_contracts_that_fit_one_name_are_refused(tmp_path: Path) -> None:
    put(tmp_path, FEATURES, per_level=[])
    put(tmp_path, "gold.future.pm_level_features", per_level=[])

    assert load("gold.future.or_high_features", tmp_path).name == "gold.future.or_high_features"
    with pytest.raises(BrokenContract, match="Two contracts of levels"):
        load("gold.future.pm_high_features", tmp_path)


@pytest.mark.parametrize(
    ("raw", "finding"),
    [
        (contract_of("silver.future.prints", per_level=[]), "has not one part 'level'"),
        (contract_of("silver.future.levels_of_day", per_level=[]), "has not one part 'level'"),
        (contract_of("silver.future.level_to_level", per_level=[]), "has not one part 'level'"),
        (contract_of(FEATURES, per_level="feature"), "not a list of distinct kinds"),
        (contract_of(FEATURES, per_level=["feature", "feature"]), "not a list of distinct kinds"),
        (contract_of(FEATURES, per_level=["features"]), "not a list of distinct kinds"),
        (contract_of(FEATURES, per_level=["id"]), "'key' names 'symbol', which every level calls otherwise"),
    ],
)
def test_a_badly_formed_shared_contract_is_refused_with_the_reason(
    raw: dict[str, object], finding: str
) -> None:
    assert any(finding in text for text in lint(raw)), lint(raw)


def test_other_prefixed_columns_are_a_major_change() -> None:
    old = parse(features())
    verdict = compare(old, parse(features() | {"per_level": []}))
    assert (verdict.level, verdict.reasons) == (
        Level.MAJOR,
        ("MAJOR: the columns that carry the name of a level changed",),
    )
    # Beside the shared contract, one level's own is a rename of the table and of its features.
    assert compare(old, old.of_level("pm_high")).level is Level.MAJOR


def test_no_two_shared_contracts_of_the_repository_fit_one_name() -> None:
    for key in table_keys(("PM_HIGH", "OR_LOW", "SMA_90")):
        assert load(key).name == key
