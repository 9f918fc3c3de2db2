"""Nothing learned for a month changes, to the byte, when everything from that month on is another market."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("lightgbm", reason="boosted trees come with the [ml] extra")

from footprint_assets.assets import MONTH_TABLES
from footprint_assets.gold_contracts import MODELS, OUT_OF_FOLD, TRAINING_SET
from footprint_assets.lake import Lake
from footprint_assets.months import MonthScope, MonthTable
from footprint_assets.resources import Workbench
from footprint_assets.settings import JudgingSettings, ModelSettings, Settings
from footprint_assets.tables import Staged
from footprint_assets_tests.ml.gold_lake import FEATURES, SIGNALS, first_sessions, publish, signals
from footprint_assets_tests.small_market import files_of, rows, settings_of

FEBRUARY, MARCH, APRIL = dt.date(2024, 2, 1), dt.date(2024, 3, 1), dt.date(2024, 4, 1)
BY_KEY = {table.key: table for table in MONTH_TABLES}
CALIBRATOR, PREDICTIONS = "ml.future.calibrator", "ml.future.predictions"
SPACE, INDEX = "ml.future.retrieval_space", "ml.future.retrieval_index"
LEARNED = (*MODELS.values(), SPACE, INDEX, CALIBRATOR)
"""What a month begins with."""
EPISODES = (TRAINING_SET, OUT_OF_FOLD, PREDICTIONS)
"""What it says of its episodes, one by one."""
SMALL = ModelSettings(
    min_sessions=4, embargo_sessions=1, max_rounds=6, patience=3, min_data_in_leaf=5, hazard_features=12
)
JUDGING = JudgingSettings(min_rows=20, min_sessions=2)
DAYS = first_sessions("2024-04", 3)


def make(settings: Settings, table: MonthTable, month: dt.date) -> None:
    scope = MonthScope(month, Workbench(settings))
    made = table.stage(scope, table.open_inputs(scope), "run")
    assert isinstance(made, Staged)
    made.stage.publish()


def scrambled(found: pl.DataFrame) -> pl.DataFrame:
    """Another market: outcomes turned, features of other attempts and far larger, labels that end later."""
    outcome = pl.col("outcome").cast(pl.String)
    return found.with_columns(
        outcome.replace({"BREAK": "CHOP", "BOUNCE": "BREAK", "CHOP": "BOUNCE"}).cast(found.schema["outcome"]),
        (pl.col("label_end_ts") + pl.duration(seconds=90)).cast(found.schema["label_end_ts"]),
        *(pl.col(name).reverse() * 1e6 - 3.0 for name in FEATURES),
    )


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Settings]:
    """February teaches March, both teach April; and the same where all but the first trade date of April is another."""
    root = tmp_path_factory.mktemp("months")
    one, other = (settings_of(root / name, models=SMALL, judging=JUDGING) for name in ("one", "other"))
    before = [*first_sessions("2024-02", 5), *first_sessions("2024-03", 3)]
    publish(Lake(one.lake_root), signals([*before, *DAYS], edge=2.0))
    for month in (FEBRUARY, MARCH):
        make(one, BY_KEY[TRAINING_SET], month)
    for key in (*MODELS.values(), SPACE, INDEX, OUT_OF_FOLD):
        make(one, BY_KEY[key], MARCH)
    shutil.copytree(root / "one", root / "other")
    later = pl.concat([rows(Lake(one.lake_root), SIGNALS, day)["ESM4"] for day in DAYS[1:]])
    publish(Lake(other.lake_root), scrambled(later))
    for settings in (one, other):
        for table in MONTH_TABLES:
            if table.key in (*LEARNED, *EPISODES):
                make(settings, table, APRIL)
    return one, other


def bytes_of(settings: Settings, key: str, month: dt.date) -> set[str]:
    """SHA-256 of every Parquet file of a table and month."""
    return {
        sha
        for name, sha in files_of(Lake(settings.lake_root), key, month).items()
        if name.endswith(".parquet")
    }


def test_the_other_market_is_another(lakes: tuple[Settings, Settings]) -> None:
    for key in EPISODES:
        here, there = (rows(Lake(settings.lake_root), key, APRIL)["ES"] for settings in lakes)
        of_day = pl.col("session_date") > DAYS[0]
        assert here.filter(of_day).height == there.filter(of_day).height > 0
        assert not here.filter(of_day).equals(there.filter(of_day)), key


@pytest.mark.parametrize("key", LEARNED)
def test_what_a_month_begins_with_is_the_same_to_the_byte(lakes: tuple[Settings, Settings], key: str) -> None:
    here, there = (bytes_of(settings, key, APRIL) for settings in lakes)
    assert here == there
    assert sum(rows(Lake(lakes[0].lake_root), key, APRIL)["ES"].height for _ in here) > 0


@pytest.mark.parametrize("key", EPISODES)
def test_what_is_said_of_an_episode_does_not_change_with_later_ones(
    lakes: tuple[Settings, Settings], key: str
) -> None:
    here, there = (
        rows(Lake(settings.lake_root), key, APRIL)["ES"].filter(pl.col("session_date") == DAYS[0])
        for settings in lakes
    )
    assert here.height > 0
    assert here.equals(there, null_equal=True)


def test_a_month_cut_short_leaves_its_earlier_episodes_as_they_were(
    lakes: tuple[Settings, Settings], tmp_path: Path
) -> None:
    whole = lakes[0]
    shutil.copytree(whole.lake_root, tmp_path / "lake")
    cut = settings_of(tmp_path, models=SMALL, judging=JUDGING)
    for day in DAYS[1:]:
        for path in list((tmp_path / "lake" / "gold").rglob(f"dt={day}")):
            shutil.rmtree(path)
    for key in (TRAINING_SET, OUT_OF_FOLD):
        make(cut, BY_KEY[key], APRIL)
        short, long = (rows(Lake(settings.lake_root), key, APRIL)["ES"] for settings in (cut, whole))
        assert short.equals(long.filter(pl.col("session_date") == DAYS[0]), null_equal=True)


@pytest.mark.parametrize("key", [MODELS["direction"], INDEX])
def test_a_table_that_reads_its_own_month_is_found(
    lakes: tuple[Settings, Settings], key: str, tmp_path: Path
) -> None:
    """The comparison itself: declared to learn of the month it judges, it is not the same in the other market."""
    table = BY_KEY[key]
    leaking = replace(table, inputs={**table.inputs, "rows": TRAINING_SET}, lookback={}, months_back={})
    found = []
    for number, settings in enumerate(lakes):
        shutil.copytree(settings.lake_root, tmp_path / str(number) / "lake")
        copy = settings_of(
            tmp_path / str(number), models=SMALL.model_copy(update={"min_sessions": 2}), judging=JUDGING
        )
        make(copy, leaking, APRIL)
        found.append(bytes_of(copy, key, APRIL))
    assert found[0] != found[1]
