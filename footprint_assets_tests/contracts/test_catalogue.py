"""Contract names equal the feature catalogue's, which lies with the design beside the repository."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from footprint_assets.contracts import all_keys, load, table_keys
from footprint_assets.settings import LevelSettings

CATALOGUE = Path(__file__).parents[3] / "shared" / "spec" / "features_catalog.csv"
pytestmark = pytest.mark.skipif(
    not CATALOGUE.is_file(), reason="the feature catalogue is not beside the repository"
)
ADDED = {"silver.future.volume_profiles": ("symbol", "session_date")}
"""Columns beyond the catalogue: a row must say whose and when it is."""
LATER = ("bronze.future.ticks_legacy", "gold.training.", ".future_option.")
"""Datasets of other pipelines."""
BY_PATTERN = {
    "silver.future.market_by_price_10_clean",
    "gold.future.market_by_price_10_first3h",
    "gold.future.market_by_price_10_bar5s_filtered",
    "gold.future.market_features",
    "gold.future.{level}_features",
}
"""Datasets the catalogue describes by a rule instead of by name; their own tests hold them to it."""


def catalogue() -> dict[str, list[str]]:
    columns = defaultdict(list)
    with CATALOGUE.open(newline="") as file:
        for row in csv.DictReader(file):
            columns[row["dataset"]].append(row["column"])
    return dict(columns)


def datasets() -> list[str]:
    if not CATALOGUE.is_file():
        return []
    return [
        dataset
        for dataset in catalogue()
        if dataset not in BY_PATTERN and not any(part in dataset for part in LATER)
    ]


@pytest.mark.parametrize("dataset", datasets())
def test_a_table_has_the_columns_of_the_catalogue_in_its_order(dataset):
    names = [name for name in load(dataset).columns if name not in ADDED.get(dataset, ())]
    assert names == catalogue()[dataset]


def test_every_futures_table_of_the_catalogue_exists():
    wanted = set(datasets())
    assert len(wanted) > 30
    assert wanted <= set(table_keys(LevelSettings().pipelines))


def test_every_column_says_what_it_is():
    for key in all_keys():
        for field in load(key).fields:
            assert field.doc.strip(), (key, field.name)
            assert field.unit, (key, field.name)
            assert field.kind, (key, field.name)
