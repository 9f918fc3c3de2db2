"""What the lake answers about one attempt, its pages and its trackers: of models and past setups that were learned before."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

pytest.importorskip("lightgbm", reason="boosted trees come with the [ml] extra")

from footprint_assets import contracts
from footprint_assets.asked import Prediction, Similar, predict, similar
from footprint_assets.assets import MONTH_TABLES
from footprint_assets.assets.judging import ABLATION, CALIBRATOR, CHAMPION
from footprint_assets.attempts import Attempt, NoSuchAttempt, find_attempt
from footprint_assets.calendar import NEW_YORK, MarketClosed
from footprint_assets.gold_contracts import MODELS, TRAINING_SET
from footprint_assets.lake import Lake, Lineage, PartitionCorrupt, PartitionMissing
from footprint_assets.learned import Learned, NothingLearned
from footprint_assets.ml.artefacts import model_of
from footprint_assets.ml.calibrators import calibrate
from footprint_assets.ml.features import FeaturesDiffer, allowed
from footprint_assets.ml.heads import HEADS
from footprint_assets.model_pages import last_attempts, write_model_page
from footprint_assets.month_page_assets import build_month_page_assets
from footprint_assets.months import MonthScope, month_of
from footprint_assets.pages import NothingToDraw
from footprint_assets.resources import Workbench
from footprint_assets.settings import JudgingSettings, ModelSettings, Settings, TrackingSettings
from footprint_assets.tables import Staged
from footprint_assets.tracked_runs import TRACKED_RUNS, track
from footprint_assets_tests.command_line import Shell
from footprint_assets_tests.conftest import REPOSITORY
from footprint_assets_tests.ml.gold_lake import first_sessions, publish, signals
from footprint_assets_tests.runs import resources
from footprint_assets_tests.small_market import rows, settings_of
from footprint_assets_tests.test_readme import blocks, run_snippet

APRIL, JUNE = map(month_of, ("2024-04", "2024-06"))
ASKED = dt.date(2024, 6, 18)
NOON = dt.time(12)
LEARNING = REPOSITORY / "docs" / "learning.md"
SNIPPETS = ("footprint_assets.asked",)
"""What the snippets import that are run here."""
SMALL = {
    "models": ModelSettings(
        min_sessions=4, embargo_sessions=1, max_rounds=6, patience=3, min_data_in_leaf=5, hazard_features=12
    ),
    "judging": JudgingSettings(
        draws=20, promotion_draws=20, permutations=1, min_segment_rows=20, min_segment_sessions=2
    ),
}


def publish_nothing(lake: Lake, key: str) -> None:
    """Publish a table of April without rows."""
    with lake.stage(key, APRIL, lineage=Lineage(), schema=contracts.load(key).arrow_schema) as stage:
        stage.declare("ES")
        stage.publish()


@pytest.fixture(scope="module")
def learned_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with all that is learned for April, from February and March, and the signals of a trade date of June."""
    root = tmp_path_factory.mktemp("asked")
    settings = settings_of(root / "data", **SMALL)
    days = [day for month in ("2024-02", "2024-03") for day in first_sessions(month, 6)]
    publish(Lake(settings.lake_root), signals([*days, *first_sessions("2024-04", 3), ASKED], edge=3.0))
    bench = Workbench(settings)
    wanted = [
        (month_of(month), table)
        for month in ("2024-02", "2024-03")
        for table in MONTH_TABLES
        if table.key == TRAINING_SET
    ]
    for month, table in [*wanted, *((APRIL, table) for table in MONTH_TABLES)]:
        if table.key == ABLATION:  # costs more than all others together, and is not asked for here
            publish_nothing(bench.lake, ABLATION)
            continue
        scope = MonthScope(month, bench)
        made = table.stage(scope, table.open_inputs(scope), "run")
        assert isinstance(made, Staged)
        made.stage.publish()
    return root


@pytest.fixture(scope="module")
def bench(learned_once: Path) -> Workbench:
    """The lake; read only."""
    return Workbench(settings_of(learned_once / "data", **SMALL))


@pytest.fixture
def own(learned_once: Path, tmp_path: Path) -> Workbench:
    """A copy of it, to be changed."""
    shutil.copytree(learned_once / "data", tmp_path / "data")
    return Workbench(settings_of(tmp_path / "data", **SMALL))


@pytest.fixture(scope="module")
def attempt(bench: Workbench) -> Attempt:
    return find_attempt(bench, ASKED, "PM_HIGH", NOON, "ES")


@pytest.fixture(scope="module")
def near(bench: Workbench, attempt: Attempt) -> Similar:
    return similar(bench, attempt)


@pytest.fixture(scope="module")
def told(bench: Workbench, attempt: Attempt) -> Prediction:
    return predict(bench, attempt)


@dataclass(frozen=True)
class Made:
    """What the assets of April wrote: their metadata by key, and the folder."""

    facts: dict[str, Mapping[str, dg.MetadataValue]]
    folder: Path
    settings: Settings

    def page(self, name: str) -> str:
        return (self.folder / "pages" / "month=2024-04" / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def made(bench: Workbench, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The pages and the tracked runs of April, as Dagster makes them."""
    folder = tmp_path_factory.mktemp("made")
    settings = bench.settings.model_copy(
        update={"pages_root": folder / "pages", "tracking": TrackingSettings(directory=folder / "tracking")}
    )
    assets = build_month_page_assets()
    job = dg.define_asset_job("run", dg.AssetSelection.assets(*(asset.key for asset in assets)))
    definitions = dg.Definitions(assets, jobs=[job], resources=resources(settings))
    done = definitions.resolve_job_def("run").execute_in_process(partition_key="2024-04-01")
    facts = {
        event.asset_key.to_user_string().replace("/", "."): event.materialization.metadata  # type: ignore[union-attr]
        for event in done.get_asset_materialization_events()
    }
    return Made(facts, folder, settings)


def restate(bench: Workbench, key: str, frame: pl.DataFrame) -> None:
    """Publish other rows of April in the place of those of the lake."""
    known = bench.lake.manifests(key, APRIL)["ES"]
    with bench.lake.stage(
        key, APRIL, lineage=known.lineage, schema=contracts.load(key).arrow_schema
    ) as stage:
        stage.write("ES", frame)
        stage.count("ES", notes=known.notes)
        stage.publish()


class TestAttempt:
    def signals_of(self, bench: Workbench) -> pl.DataFrame:
        found = rows(bench.lake, "gold.future.levels_signals", ASKED)["ESM4"]
        return found.filter(pl.col("level_type") == "PM_HIGH").sort("decision_ts")

    def test_is_the_last_one_decided_by_the_second(self, bench: Workbench) -> None:
        known = self.signals_of(bench)
        third = known["decision_ts"].dt.convert_time_zone(NEW_YORK.key)[2]
        at = third.time().replace(microsecond=0)
        found = find_attempt(bench, ASKED, "PM_HIGH", at, "ES")
        assert found.place.episode_id == known["episode_id"][2]
        assert found.place.clock == f"{at:%H:%M:%S}"
        before = (third - dt.timedelta(seconds=1)).time()
        assert find_attempt(bench, ASKED, "PM_HIGH", before, "ES").place.episode_id == known["episode_id"][1]

    def test_before_the_first_there_is_none_and_the_first_is_named(self, bench: Workbench) -> None:
        first = self.signals_of(bench)["decision_ts"].dt.convert_time_zone(NEW_YORK.key)[0]
        with pytest.raises(NoSuchAttempt, match=f"{first:%H:%M:%S} ET"):
            find_attempt(bench, ASKED, "PM_HIGH", dt.time(9, 29), "ES")

    def test_the_evening_belongs_to_the_next_trade_date(self, bench: Workbench) -> None:
        with pytest.raises(NoSuchAttempt):
            find_attempt(bench, ASKED, "PM_HIGH", dt.time(19), "ES")

    @pytest.mark.parametrize(
        ("level", "root", "says"),
        [
            ("PM_LOW", "ES", "no attempt.* this trade date: OR_LOW, PM_HIGH"),
            ("PM_HIGH", "NQ", "no contract of NQ"),
        ],
    )
    def test_another_level_or_root_is_said(self, bench: Workbench, level: str, root: str, says: str) -> None:
        with pytest.raises(NoSuchAttempt, match=says):
            find_attempt(bench, ASKED, level, NOON, root)

    def test_a_date_that_is_closed_or_not_published_is_said(self, bench: Workbench) -> None:
        with pytest.raises(MarketClosed):
            find_attempt(bench, dt.date(2024, 6, 15), "PM_HIGH", NOON, "ES")
        with pytest.raises(PartitionMissing):
            find_attempt(bench, dt.date(2024, 6, 20), "PM_HIGH", NOON, "ES")


class TestSimilar:
    def test_they_are_the_neighbours_of_the_index_with_what_became_of_them(
        self, bench: Workbench, attempt: Attempt, near: Similar
    ) -> None:
        found = near
        index = Learned(bench, JUNE, "ES").index()
        assert index is not None
        answer = index.ask(attempt.row)
        assert (
            found.like["episode_id"].to_list()
            == index.rows["episode_id"].gather(answer.rows.tolist()).to_list()
        )
        assert found.like["distance"].is_sorted()
        assert found.like["share"].sum() == pytest.approx(1.0)
        assert sum(chance or 0 for chance in found.chances.values()) == pytest.approx(1.0)
        known = pl.concat(
            [rows(bench.lake, TRAINING_SET, month_of(month))["ES"] for month in ("2024-02", "2024-03")]
        )
        facts = found.like.join(known, on="episode_id")
        assert facts.height == found.like.height
        assert facts["outcome"].cast(pl.String).equals(facts["outcome_right"].cast(pl.String))
        assert facts["strength_signed_pts"].equals(facts["strength_signed_pts_right"])
        decided = facts.filter(pl.col("outcome") != "CHOP")
        assert decided["passage_s"].to_list() == pytest.approx(
            (480 * decided["first_passage_share"].abs()).to_list()
        )
        assert facts["session_date"].max() < ASKED

    def test_a_month_before_anything_was_learned_has_none(self, bench: Workbench) -> None:
        early = find_attempt(bench, first_sessions("2024-02", 2)[1], "PM_HIGH", NOON, "ES")
        for ask in (similar, predict):
            with pytest.raises(NothingLearned, match="learn --start 2024-02"):
                ask(bench, early)


class TestPredict:
    def test_it_is_what_the_model_in_use_says_calibrated(
        self, bench: Workbench, attempt: Attempt, near: Similar, told: Prediction
    ) -> None:
        said = told
        assert said.models == dict.fromkeys(HEADS, APRIL)
        sha256 = allowed().sha256
        raw = [attempt.row]
        for name, key in MODELS.items():
            model = model_of(name, rows(bench.lake, key, APRIL)["ES"])
            assert model is not None
            raw.append(model.predict(attempt.row, sha256))
        chances = {f"retrieval_p_{name.lower()}": [chance] for name, chance in near.chances.items()}
        raw.append(pl.DataFrame({**chances, "retrieval_effective": [near.effective]}))
        calibrators = rows(bench.lake, CALIBRATOR, APRIL)["ES"]
        (expected,) = calibrate(
            pl.concat(raw, how="horizontal"), calibrators, sha256, bench.settings.judging
        ).to_dicts()
        assert said.row.keys() <= expected.keys()
        assert all(value == pytest.approx(expected[name], nan_ok=True) for name, value in said.row.items())
        three = [float(str(said.row[f"chance_{name}"])) for name in ("break", "bounce", "chop")]
        assert sum(three) == pytest.approx(1.0)

    def test_no_model_that_saw_the_month_is_asked(self, bench: Workbench) -> None:
        day = first_sessions("2024-04", 1)[0]
        said = predict(bench, find_attempt(bench, day, "PM_HIGH", NOON, "ES"))
        assert said.models == {}
        assert said.row["chances_from"] == "retrieval"
        assert said.row["p_break"] is None

    def test_without_lightgbm_the_past_setups_answer_alone(
        self, bench: Workbench, attempt: Attempt, told: Prediction, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "lightgbm", None)
        alone = predict(bench, attempt)
        assert alone.models == {}
        assert alone.row["chances_from"] == "retrieval"
        assert alone.row["retrieval_p_break"] == told.row["retrieval_p_break"]

    @pytest.mark.parametrize(
        ("key", "column"),
        [
            (CHAMPION, "champion_features_sha256"),
            (CALIBRATOR, "features_sha256"),
            ("ml.future.retrieval_index", "features_sha256"),
        ],
    )
    def test_what_was_made_for_other_features_is_refused(
        self, own: Workbench, attempt: Attempt, key: str, column: str
    ) -> None:
        restate(own, key, rows(own.lake, key, APRIL)["ES"].with_columns(pl.lit("0" * 64).alias(column)))
        with pytest.raises(FeaturesDiffer):
            predict(own, attempt)

    def test_a_model_in_use_is_the_one_that_was_judged_though_its_month_was_learned_again(
        self, own: Workbench, attempt: Attempt, told: Prediction
    ) -> None:
        for head, key in MODELS.items():
            restate(own, key, rows(own.lake, key, APRIL)["ES"].with_columns(text=pl.lit(f"not {head}")))
        assert predict(own, attempt).row == told.row

    def test_a_tampered_model_is_refused(self, own: Workbench, attempt: Attempt) -> None:
        folder = own.lake.layout.partition(CHAMPION, APRIL, "ES")
        (file,) = folder.glob("*.parquet")
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(bytes(content))
        with pytest.raises(PartitionCorrupt):
            predict(own, attempt)


class TestCommandLine:
    @pytest.fixture
    def shell(
        self, learned_once: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Shell:
        return Shell(learned_once, monkeypatch, capsys)

    def test_similar_prints_a_table_or_json(self, shell: Shell, attempt: Attempt, near: Similar) -> None:
        where = f"--date {ASKED} --level PM_HIGH --time 12:00:00"
        said = shell(f"similar {where}")
        assert (said.code, said.err) == (0, "")
        assert attempt.words in said.out
        assert said.out.count("ET ESM4") == 1 + near.like.height
        known = json.loads(shell(f"similar {where} --json").out)
        assert known == json.loads(json.dumps(near.as_json()))
        assert known["neighbours"][0].keys() >= {"episode_id", "outcome", "distance", "share"}

    def test_predict_prints_a_table_or_json(self, shell: Shell, told: Prediction) -> None:
        where = f"--date {ASKED} --level PM_HIGH --time 12:00:00"
        said = shell(f"predict {where}")
        assert (said.code, said.err) == (0, "")
        for words in ("break, if decided", "strength [pts]", "bounce within 480 s", "2024-04"):
            assert words in said.out
        known = json.loads(shell(f"predict {where} --json").out)
        assert known["models"] == dict.fromkeys(HEADS, "2024-04")
        assert known["predictions"] == dict(told.row)

    def test_the_snippet_of_the_documentation_runs(self, shell: Shell) -> None:
        (text,) = [block.text for block in blocks(LEARNING) if any(name in block.text for name in SNIPPETS)]
        names: dict[str, Any] = {}
        run_snippet(text, names)
        assert names["attempt"].place.trade_date == ASKED

    def test_what_cannot_be_answered_is_one_line_that_helps(self, shell: Shell) -> None:
        said = shell(f"predict --date {ASKED} --level PM_LOW --time 12:00")
        assert said.code == 1
        assert said.err.startswith("NoSuchAttempt: ")
        assert shell(f"similar --date {ASKED} --level PM_HIGH --time noon").code == 2

    def test_the_pages_are_those_of_the_assets(
        self, shell: Shell, bench: Workbench, made: Made, tmp_path: Path
    ) -> None:
        assert shell(f"page models --month 2024-04 --out {tmp_path}/models.html").code == 0
        assert (tmp_path / "models.html").read_text(encoding="utf-8") == made.page("ES-models.html")
        place = next(one.place for one in last_attempts(bench, APRIL, "ES") if one.place.level == "PM_HIGH")
        where = f"--date {place.trade_date} --level {place.level} --time {place.clock}"
        assert shell(f"page setups {where} --out {tmp_path}/setups.html").code == 0
        assert (tmp_path / "setups.html").read_text(encoding="utf-8") == made.page("ES_PM_HIGH-setups.html")


class TestPages:
    def test_the_model_page_shows_what_the_tables_hold(self, bench: Workbench, made: Made) -> None:
        page = made.page("ES-models.html")
        for heading in (
            "Lift",
            "Coverage",
            "What the models look at",
            "Signals and why",
            "Drift",
            "Model cards",
        ):
            assert f"<h2>{heading}</h2>" in page
        episodes = rows(bench.lake, TRAINING_SET, APRIL)["ES"].height
        assert f'<dt>Episodes of the month</dt><dd class="">{episodes}</dd>' in page

    def test_a_month_or_root_without_predictions_is_said(self, bench: Workbench, tmp_path: Path) -> None:
        for month, root in ((JUNE, "ES"), (APRIL, "NQ")):
            with pytest.raises(NothingToDraw, match="no predictions"):
                write_model_page(bench.settings, month, root, tmp_path / "x.html", simulated=False)

    def test_a_path_that_is_not_in_the_lake_is_said(self, made: Made) -> None:
        page = made.page("ES_PM_HIGH-setups.html")
        assert page.count("The path is not in the lake.") == page.count('<article class="card') > 1

    def test_the_last_attempts_of_a_month_are_one_a_kind_of_level(self, bench: Workbench) -> None:
        known = rows(bench.lake, TRAINING_SET, APRIL)["ES"].sort("decision_ts")
        last = known.group_by("level_type").last()
        found = {one.place.level: one.place.episode_id for one in last_attempts(bench, APRIL, "ES")}
        assert found == dict(last.select(pl.col("level_type").cast(pl.String), "episode_id").iter_rows())

    def test_dagster_has_their_links(self, made: Made) -> None:
        for name in ("ES-models.html", "ES_PM_HIGH-setups.html", "ES_OR_LOW-setups.html"):
            uri = (made.folder / "pages" / "month=2024-04" / name).as_uri()
            facts = made.facts[f"page.future.{'models' if 'models' in name else 'setups'}"]
            assert uri in str(facts["pages"].value)


class TestTrackedRuns:
    def test_a_training_is_written_down_with_what_it_is_worth(self, bench: Workbench, made: Made) -> None:
        lines = [
            json.loads(line) for line in (made.folder / "tracking" / "runs.jsonl").read_text().splitlines()
        ]
        assert sorted(line["experiment"] for line in lines) == sorted(HEADS)
        direction = next(line for line in lines if line["experiment"] == "direction")
        model = rows(bench.lake, MODELS["direction"], APRIL)["ES"].row(0, named=True)
        assert direction["sha256"] == model["sha256"]
        assert direction["metrics"]["rows"] == model["rows"]
        assert "p_break.auc" in direction["metrics"]
        assert direction["params"]["max_rounds"] == "6"
        assert direction["texts"]["card.md"].startswith("#")
        tags = direction["tags"]
        assert tags["dagster/run_id"]
        assert tags["dagster/asset_key"] == "ml/future/model_direction"
        assert tags["dagster/partition"] == "2024-04-01"
        assert tags["feature_spec_sha"] == allowed().sha256
        assert tags["train_first_session"] == str(first_sessions("2024-02", 1)[0])
        assert tags["data_versions"].count("training_set@") == 2

    def test_the_same_month_is_no_second_run(self, made: Made) -> None:
        again = track(Workbench(made.settings), APRIL, "another")
        assert again.recorded == ()
        assert sorted(again.known) == sorted(f"{head} ES" for head in HEADS)
        assert "direction ES" in str(made.facts[TRACKED_RUNS]["recorded"].value)
