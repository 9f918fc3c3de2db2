"""What is learned month by month: from earlier months alone, the same bytes every time, and nothing where it cannot be."""

from __future__ import annotations

import datetime as dt
import shutil
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import polars as pl
import pytest

pytest.importorskip("lightgbm", reason="boosted trees come with the [ml] extra")

from footprint_assets import contracts
from footprint_assets.assets import MONTH_TABLES
from footprint_assets.assets.learning import FEATURES_NOTE, INDEX, NOT_TRAINED, SPACE, embargo, known_before
from footprint_assets.errors import ExtraMissing
from footprint_assets.gold_contracts import MODELS, OUT_OF_FOLD, TRAINING_SET
from footprint_assets.lake import Lake, PartitionUnreadable
from footprint_assets.ml.artefacts import model_of, model_rows
from footprint_assets.ml.calibration import OneClass
from footprint_assets.ml.features import FeaturesDiffer, NothingKnown, allowed
from footprint_assets.ml.heads import HEADS, train
from footprint_assets.ml.splits import Labels, TooFewSessions, walk_forward
from footprint_assets.ml.training import training_rows
from footprint_assets.months import MonthScope, month_of, months_before
from footprint_assets.resources import Workbench
from footprint_assets.settings import ModelSettings, RetrievalSettings, Settings
from footprint_assets.tables import Staged, Unchanged
from footprint_assets_tests.command_line import Shell
from footprint_assets_tests.ml.gold_lake import A_DAY, first_sessions, publish, signals
from footprint_assets_tests.small_market import files_of, rows, settings_of

BY_KEY = {table.key: table for table in MONTH_TABLES}
LEARNED = [TRAINING_SET, *MODELS.values(), SPACE, INDEX, OUT_OF_FOLD]
FEBRUARY, MARCH, APRIL, MAY = map(month_of, ("2024-02", "2024-03", "2024-04", "2024-05"))
SMALL = ModelSettings(
    min_sessions=4, embargo_sessions=1, max_rounds=6, patience=3, min_data_in_leaf=5, hazard_features=12
)
DIRECTION = MODELS["direction"]


def make(settings: Settings, key: str, month: dt.date) -> Staged | Unchanged:
    """Compute and publish a table of a month without Dagster."""
    scope, table = MonthScope(month, Workbench(settings)), BY_KEY[key]
    made = table.stage(scope, table.open_inputs(scope), "run")
    if isinstance(made, Staged):
        made.stage.publish()
    return made


def restate(
    settings: Settings,
    key: str,
    month: dt.date,
    frames: Mapping[str, pl.DataFrame],
    notes: Mapping[str, object],
) -> None:
    """Publish other rows and facts in the place of those of a month, of the same lineage."""
    lake = Lake(settings.lake_root)
    known = lake.manifests(key, month)
    lineage = next(iter(known.values())).lineage
    with lake.stage(key, month, lineage=lineage, schema=contracts.load(key).arrow_schema) as stage:
        for root, frame in frames.items():
            stage.write(root, frame)
            stage.count(root, notes={**known[root].notes, **notes})
        stage.publish()


@pytest.fixture(scope="module")
def signals_of_spring(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signals of six trade dates of February and March and three of May, none of April; NQ since May."""
    root = tmp_path_factory.mktemp("spring")
    may = first_sessions("2024-05", 3)
    days = [*first_sessions("2024-02", 6), *first_sessions("2024-03", 6), *may]
    publish(Lake(settings_of(root).lake_root), pl.concat([signals(days), signals(may, "NQM4", seed=1)]))
    return root


@pytest.fixture(scope="module")
def learned_once(signals_of_spring: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same lake with the training sets of every month, and all that is learned for May."""
    root = tmp_path_factory.mktemp("learned") / "market"
    shutil.copytree(signals_of_spring, root)
    settings = settings_of(root, models=SMALL)
    for month in (FEBRUARY, MARCH):
        make(settings, TRAINING_SET, month)
    for key in LEARNED:
        make(settings, key, MAY)
    return root


@pytest.fixture
def learned(learned_once: Path, tmp_path: Path) -> Settings:
    """A copy of it, to be changed."""
    shutil.copytree(learned_once, tmp_path / "market")
    return settings_of(tmp_path / "market", models=SMALL)


def test_an_episode_whose_horizon_was_not_observed_whole_teaches_nothing() -> None:
    """Of such episodes only those that end soon have an outcome: before a gap price would always seem to decide."""
    whole = signals(first_sessions("2024-05", 2))
    cut = whole.with_columns(is_complete=pl.int_range(pl.len()) % 3 > 0)

    made, uncut = (training_rows(frame, allowed(), Settings().labels) for frame in (cut, whole))

    seen = cut.sort("session_date", "decision_ts", "episode_id")["is_complete"]
    assert 0 < seen.sum() < whole.height
    assert made.filter(seen).equals(uncut.filter(seen))
    for head in HEADS.values():
        taught = made.filter(~seen).with_columns(pl.lit(None, pl.Float64).alias("strength_signed_pts"))
        assert taught.filter(head.rows).is_empty()
    assert not made.filter(~seen)["label_complete"].any()
    assert made.filter(~seen)["first_passage_share"].null_count() == made.filter(~seen).height


def test_a_model_of_a_month_is_what_the_months_before_it_teach(learned: Settings) -> None:
    lake = Lake(learned.lake_root)
    before = pl.concat([rows(lake, TRAINING_SET, month)["ES"] for month in (FEBRUARY, MARCH)])

    for name, key in MODELS.items():
        model = model_of(name, rows(lake, key, MAY)["ES"])
        assert model == train(HEADS[name], before, allowed(), SMALL)
        assert {ref.dt for ref in lake.manifests(key, MAY)["ES"].lineage.inputs} == {FEBRUARY, MARCH}


def test_what_is_said_of_a_month_is_what_its_models_say_of_its_rows(learned: Settings) -> None:
    lake = Lake(learned.lake_root)
    judged, asked = rows(lake, OUT_OF_FOLD, MAY)["ES"], rows(lake, TRAINING_SET, MAY)["ES"]

    assert judged.height == 3 * A_DAY
    assert judged["episode_id"].equals(asked["episode_id"])
    for name, key in MODELS.items():
        model = model_of(name, rows(lake, key, MAY)["ES"])
        assert model is not None
        said = model.predict(asked, allowed().sha256)
        assert judged.select(said.columns).equals(said.with_columns(pl.col("^p_.*$").clip(0, 1)))
        assert not any(said[column].null_count() for column in said.columns)


def test_the_trade_dates_right_before_a_month_do_not_teach_it(learned: Settings) -> None:
    scope = MonthScope(MARCH, Workbench(learned))
    assert embargo(scope) == [dt.date(2024, 2, 29)]
    for sessions, taught in ((0, 6), (18, 3), (30, 0)):
        other = learned.model_copy(update={"models": SMALL.model_copy(update={"embargo_sessions": sessions})})
        scope = MonthScope(MARCH, Workbench(other))
        known = known_before(scope, "ES", BY_KEY[DIRECTION].open_inputs(scope)["rows"])
        assert len(embargo(scope)) == sessions
        assert known["session_date"].unique().sort().to_list() == first_sessions("2024-02", taught)
        with pytest.raises(TooFewSessions) if sessions else nullcontext():
            make(other, DIRECTION, MARCH)


def test_a_month_is_a_split_of_the_walk_forward(learned: Settings) -> None:
    lake, scope = Lake(learned.lake_root), MonthScope(MAY, Workbench(learned))
    every = pl.concat([rows(lake, TRAINING_SET, month)["ES"] for month in (FEBRUARY, MARCH, MAY)])
    columns = (every[name].cast(pl.Int64).to_numpy() for name in ("decision_ts", "label_end_ts", "session"))
    (split,) = walk_forward(
        Labels(*columns), test_sessions=3, embargo_sessions=SMALL.embargo_sessions, min_train_sessions=12
    )
    read = BY_KEY[DIRECTION].open_inputs(scope)["rows"]

    assert read.dates == months_before(MAY, SMALL.window_months), "no more is held than the settings say"
    assert known_before(scope, "ES", read)["episode_id"].equals(every[split.train]["episode_id"])
    assert rows(lake, OUT_OF_FOLD, MAY)["ES"]["episode_id"].equals(every[split.test]["episode_id"])


def test_a_product_with_too_little_history_has_no_model_and_keeps_none_from_others(learned: Settings) -> None:
    may = first_sessions("2024-05", 3)
    june = first_sessions("2024-06", 1)
    lake = Lake(learned.lake_root)
    publish(lake, pl.concat([signals(june), signals(june, "NQM4", seed=1)]))
    make(learned, TRAINING_SET, month_of("2024-06"))
    make(learned, DIRECTION, month_of("2024-06"))

    manifests = lake.manifests(DIRECTION, month_of("2024-06"))

    assert {root: manifest.rows for root, manifest in manifests.items()} == {"ES": 1, "NQ": 0}
    assert f"trade_dates={len(may)}" in str(manifests["NQ"].notes[NOT_TRAINED])


def test_too_little_history_fails_and_leaves_what_is_published(learned: Settings) -> None:
    before = files_of(Lake(learned.lake_root), DIRECTION)
    demanding = learned.model_copy(update={"models": SMALL.model_copy(update={"min_sessions": 50})})

    with pytest.raises(TooFewSessions, match="needed=50"):
        make(demanding, DIRECTION, MAY)
    with pytest.raises(TooFewSessions, match="No earlier month"):
        make(learned, DIRECTION, FEBRUARY)

    assert files_of(Lake(learned.lake_root), DIRECTION) == before


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"outcome": pl.lit("BREAK")}, OneClass),
        (dict.fromkeys(allowed().names, pl.lit(None)), NothingKnown),
    ],
)
def test_rows_that_teach_nothing_fail_and_leave_what_is_published(
    learned: Settings, change: dict[str, pl.Expr], error: type[Exception]
) -> None:
    lake = Lake(learned.lake_root)
    before = files_of(lake, DIRECTION)
    schema = contracts.load(TRAINING_SET).polars_schema
    for month in (FEBRUARY, MARCH):
        known = rows(lake, TRAINING_SET, month)
        cast = {name: expression.cast(schema[name]) for name, expression in change.items()}
        restate(learned, TRAINING_SET, month, {"ES": known["ES"].with_columns(**cast)}, {})

    with pytest.raises(error):
        make(learned, DIRECTION, MAY)

    assert files_of(lake, DIRECTION) == before


def test_rows_of_another_allow_list_teach_nothing(learned: Settings) -> None:
    restate(
        learned,
        TRAINING_SET,
        MARCH,
        rows(Lake(learned.lake_root), TRAINING_SET, MARCH),
        {FEATURES_NOTE: "0" * 64},
    )

    with pytest.raises(FeaturesDiffer, match="footprint-assets learn --start 2024-03 --end 2024-03"):
        make(learned, DIRECTION, MAY)


def test_a_model_of_another_allow_list_says_nothing(learned: Settings) -> None:
    lake = Lake(learned.lake_root)
    before = files_of(lake, OUT_OF_FOLD)
    other = rows(lake, DIRECTION, MAY)["ES"].with_columns(features_sha256=pl.lit("0" * 64))
    restate(learned, DIRECTION, MAY, {"ES": other}, {})

    with pytest.raises(FeaturesDiffer):
        make(learned, OUT_OF_FOLD, MAY)

    assert files_of(lake, OUT_OF_FOLD) == before


def test_a_model_whose_bytes_were_changed_says_nothing(learned: Settings) -> None:
    lake = Lake(learned.lake_root)
    before = files_of(lake, OUT_OF_FOLD)
    part = lake.layout.partition(DIRECTION, MAY, "ES") / "part-00000.parquet"
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    other = learned.model_copy(update={"retrieval": RetrievalSettings(neighbours=7)})  # else it is current

    with pytest.raises(PartitionUnreadable, match="learn --start 2024-05 --end 2024-05"):
        make(other, OUT_OF_FOLD, MAY)

    assert files_of(lake, OUT_OF_FOLD) == before


@pytest.mark.parametrize("key", [DIRECTION, MODELS["time_to_threshold"]])
def test_the_same_months_give_the_same_bytes_with_one_thread_and_with_two(
    learned: Settings, key: str
) -> None:
    lake = Lake(learned.lake_root)
    before = {name: sha for name, sha in files_of(lake, key).items() if name.endswith(".parquet")}
    two = learned.model_copy(update={"models": SMALL.model_copy(update={"num_threads": 2})})

    assert isinstance(make(two, key, MAY), Unchanged), "threads change no number"
    shutil.rmtree(lake.layout.partition(key, MAY, "ES").parent)
    assert isinstance(make(two, key, MAY), Staged)

    assert {name: sha for name, sha in files_of(lake, key).items() if name.endswith(".parquet")} == before


def test_without_lightgbm_the_month_has_no_models_and_the_rest_goes_on(
    learned: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = Lake(learned.lake_root)
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    other = learned.model_copy(update={"models": SMALL.model_copy(update={"num_leaves": 3})})
    with pytest.raises(ExtraMissing, match=r"'\.\[ml\]'"):  # never in the place of models
        make(other, DIRECTION, MAY)
    assert lake.manifests(DIRECTION, MAY)["ES"].rows == 1
    for key in (*MODELS.values(), OUT_OF_FOLD):
        shutil.rmtree(lake.layout.partition(key, MAY, "ES").parent)
        make(learned, key, MAY)

    assert {key: lake.manifests(key, MAY)["ES"].rows for key in MODELS.values()} == dict.fromkeys(
        MODELS.values(), 0
    )
    assert "pip install" in str(lake.manifests(DIRECTION, MAY)["ES"].notes[NOT_TRAINED])
    judged = rows(lake, OUT_OF_FOLD, MAY)["ES"]
    assert judged.height == 3 * A_DAY
    assert judged["p_break"].null_count() == judged.height


def test_a_model_written_down_is_the_model(learned: Settings) -> None:
    known = rows(Lake(learned.lake_root), TRAINING_SET, FEBRUARY)["ES"]
    model = train(HEADS["strength"], known, allowed(), SMALL)
    assert model_of("strength", model_rows(model)) == model
    assert model_of("strength", model_rows(model).clear()) is None


def test_a_month_that_fails_keeps_none_after_it_from_being_learned(
    signals_of_spring: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shell = Shell(tmp_path, monkeypatch, capsys)
    shutil.copytree(signals_of_spring / "lake", tmp_path / "data" / "lake")
    for name, value in SMALL.model_dump(exclude_defaults=True).items():
        monkeypatch.setenv(f"FOOTPRINT_MODELS__{name.upper()}", str(value))

    first = shell("learn --start 2024-03 --end 2024-05")
    again = shell("learn --resume")

    assert (first.code, again.code) == (1, 1), first
    assert outcomes(first.out) == {"2024-03": "published", "2024-04": "failed", "2024-05": "published"}
    assert outcomes(again.out) == {"2024-03": "unchanged", "2024-04": "failed", "2024-05": "unchanged"}
    assert "its training set alone: 0 trade dates were learned before it, 4 are needed" in first.out
    assert "is published for no trade date of 2024-04" in first.err
    lake = Lake(tmp_path / "data" / "lake")
    assert lake.dates(TRAINING_SET) == [MARCH, MAY]
    assert lake.dates(OUT_OF_FOLD) == [MAY]


def outcomes(table: str) -> dict[str, str]:
    """What became of each month, as the command's table says."""
    cells = ([cell.strip() for cell in line.strip("│").split("│")] for line in table.splitlines())
    return {row[0]: row[1] for row in cells if row[0].startswith("2024-")}
