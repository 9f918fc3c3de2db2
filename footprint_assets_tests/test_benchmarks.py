"""The benchmarks run at a tiny size: every peer gives the numbers ours gives, and the report holds every line."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import importlib.util
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from benchmarks import growth, report
from benchmarks import learning as learning_months
from benchmarks.cases import CASES, bars, day, learning
from benchmarks.market import BRONZE, ROLL, TRADES, Data, make_lake, publish
from benchmarks.model import Case, Line, Result, ratio, value
from benchmarks.process import run_here
from benchmarks.run import PeersDisagree, compare, run
from footprint_assets import calendar as cme
from footprint_assets.assets import tables
from footprint_assets.assets.learning import training_set
from footprint_assets.lake import Lake
from footprint_assets.records import asset_key
from footprint_assets.runs import dagster_home
from footprint_assets.sample import known_edge
from footprint_assets.settings import Settings
from footprint_assets.tables import passes
from footprint_assets.transforms.book_batch import INPUT_COLUMNS
from footprint_assets.transforms.book_pass import book_pass
from footprint_assets_tests import small_market
from footprint_assets_tests.conftest import REPOSITORY

needs_duckdb = pytest.mark.skipif(
    importlib.util.find_spec("duckdb") is None, reason="duckdb, a peer of the benchmarks, is not installed"
)
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is read from Linux's /proc"
)
pytestmark = [needs_duckdb, needs_proc]

RECORDS = 20_000
OWN_PROCESSES = {"day", "start", "at_once", "backfill", "accounts"}
"""Cases whose sides start the whole program; the tests of the command line do so already."""


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    data = Data(tmp_path_factory.mktemp("bench"), RECORDS)
    for made in (data, data.small, data.tiny):
        make_lake(made)
    return data


def run_case(case: Case, data: Data) -> dict[str, Result]:
    """Every side of a case whose package is there, in this process."""
    sides = [dataclasses.replace(side, warm=False, repeats=1) for side in case.sides if side.is_installed]
    return {side.name: Result({0: run_here(side, data, lambda: None)}) for side in sides}


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.name not in OWN_PROCESSES], ids=lambda case: case.name
)
def test_every_peer_gives_what_ours_gives(case: Case, data: Data) -> None:
    results = run_case(case, data)
    compare(case, results)
    if all(side.is_installed for side in case.sides):
        for fact in case.agree:
            assert sum(fact in result.last for result in results.values()) > 1, (
                f"nobody is held against {fact}"
            )
        assert all(line.figure(results) is not None for line in case.lines)


def test_a_peer_that_is_not_installed_is_named_as_not_measured(data: Data) -> None:
    absent = dataclasses.replace(learning.WEIGHTS.sides[1], name="absent", package="no_such_package")
    case = dataclasses.replace(learning.WEIGHTS, sides=(absent,))
    told: list[str] = []
    assert run([case], data, 0, told.append) == {case.name: {}}
    assert told == ["not measured: absent needs no_such_package, which is not installed"]
    document = report.as_json({learning.RETRIEVAL.name: {"ours": Result({0: _costs()})}}, data, 1)
    text = report.markdown(report.sections(document)[learning.SECTION])
    assert "Not measured, for want of the package: faiss IndexFlatL2 (`faiss`)" in text
    assert "| nearest of all rows: CPU, faiss IndexFlatL2 / ours |  |  | not measured |" in text


def test_the_bars_of_the_comparison_are_those_of_the_published_tables(data: Data) -> None:
    """What the lake publishes too, of every bar with a record."""
    symbol, _ = data.front()
    with Lake(data.lake).read(bars.CLEAN, bars.DAY, symbol) as partition:
        frames = list(partition.frames(columns=list(INPUT_COLUMNS)))
    made: dict[str, list[pl.DataFrame]] = {}
    for key, rows in book_pass(frames, cme.session(bars.DAY), data.settings().roots["ES"].tick_size_nanos):
        made.setdefault(key.removeprefix("silver.future.market_by_price_10_"), []).append(rows)
    table = pl.concat(made["bar5s"])
    published = table.filter(pl.col("bar5s_meta_msg_cnt_sum") > 0)
    with bars.polars(data) as (work, _):
        ours = work()
    np.testing.assert_array_equal(ours["records"], published["bar5s_meta_msg_cnt_sum"])
    np.testing.assert_array_equal(ours["bought"], published["bar5s_trade_aggbuy_vol_sum"])
    np.testing.assert_allclose(
        ours["spread"].to_numpy(), published["bar5s_state_spread_pts_twa"].to_numpy(), rtol=1e-9, atol=1e-12
    )
    depth = sum(ours[f"bid_sz_{k:02d}"].to_numpy() for k in range(10))
    np.testing.assert_allclose(depth, published["bar5s_depth_bid10_qty_twa"].to_numpy(), rtol=1e-9)


def test_accounts_tell_validation_from_sealing_and_put_everything_back(data: Data) -> None:
    plain = hashlib.sha256
    clock = day.Clock()
    with data.lake_with([ROLL]) as lake, day.accounted(clock):
        publish(data.settings(lake), BRONZE)
        assert hashlib.sha256(b"a").hexdigest() == plain(b"a").hexdigest()
    assert hashlib.sha256 is plain
    assert clock.spent[day.VALIDATION] > 0
    assert clock.spent[day.SEALING] > 0


def test_every_pass_belongs_to_a_stage_of_growth(data: Data) -> None:
    together = passes(tables(data.settings()))
    stages = {day.label(one): growth.stage_of(day.label(one)) for one in together}
    of_book = next(one for one in together if bars.BARS in one[0].pass_keys)
    assert [name for name, stage in stages.items() if stage == "book pass"] == [day.label(of_book)]
    assert {name for name, stage in stages.items() if stage == "clean"} == {bars.CLEAN, TRADES}
    assert {stage for name, stage in stages.items() if "approach" in name} == {"levels"}


def test_sides_that_disagree_are_refused() -> None:
    case = Case("bars", "", (), agree=("rows",))
    with pytest.raises(PeersDisagree, match="polars"):
        compare(case, {"ours": Result({0: {"rows": 10}}), "polars": Result({0: {"rows": 11}})})


def test_a_ratio_is_taken_round_by_round_and_judged_by_its_median() -> None:
    results = {
        "ours": Result({0: {"wall_s": 1.0}, 1: {"wall_s": 2.0}, 2: {"wall_s": 4.0}}),
        "peer": Result({0: {"wall_s": 8.0}, 1: {"wall_s": 8.0}, 2: {"wall_s": 8.0}}),
    }
    spread = ratio(("peer", "wall_s"), ("ours", "wall_s"))(results)
    assert spread is not None
    assert (spread.median, spread.low, spread.high) == (4.0, 2.0, 8.0)
    assert Line("", value("ours", "wall_s"), 2.0, bound="at most").holds(spread) is False
    assert Line("", value("ours", "wall_s"), 4.0).holds(spread) is True


def test_growth_of_memory_is_that_of_the_work_alone() -> None:
    script = (
        "import numpy as np\n"
        "from benchmarks.measure import measured\n"
        "gone = np.ones(300_000_000 // 8)\n"
        "del gone\n"
        "for size in (8_000_000, 200_000_000):\n"
        "    print(measured(lambda: np.ones(size // 8).sum())[0].growth_mb)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    small, large = map(float, done.stdout.split())
    assert small < 30
    assert 170 < large < 230


def test_the_report_holds_every_line_and_tells_nothing_of_this_machine(data: Data, tmp_path: Path) -> None:
    cases = {case.name: {side.name: Result({0: _costs()}) for side in case.sides} for case in CASES}
    document = report.as_json(cases, data, 1)
    report.write(document, tmp_path)
    text = (tmp_path / "results.md").read_text()
    for case in CASES:
        assert case.title in text
        assert all(line.name in text for line in case.lines)
    assert "not measured" not in text
    for secret in (str(data.root), str(REPOSITORY), Path("/etc/hostname").read_text().strip() or "-"):
        assert f" {secret} " not in text
        assert secret not in json.dumps(document["machine"]).split()


def _costs() -> dict[str, float]:
    """Invented figures for everything a line may ask for."""
    return defaultdict(lambda: 2.0)


def test_a_page_is_filled_between_its_markers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- results -->\nold\n<!-- /results -->\nafter\n")
    report.put_into(page, "results", "new")
    report.put_into(page, "results", "newer")
    assert page.read_text() == "before\n<!-- results -->\n\nnewer\n\n<!-- /results -->\nafter\n"
    with pytest.raises(ValueError, match="growth"):
        report.put_into(page, "growth", "new")


def test_the_months_to_learn_share_the_files_of_the_drawn_episodes(tmp_path: Path) -> None:
    days = learning_months.trade_dates(dt.date(2024, 7, 3), dt.date(2024, 7, 6))
    assert days == [dt.date(2024, 7, 3), dt.date(2024, 7, 5)]  # no cash session on Independence Day
    drawn, copied = Lake(tmp_path / "drawn"), Lake(tmp_path / "copied")
    learning_months.draw(drawn, days, episodes=7)
    learning_months.copy(drawn, copied)
    for date in days:
        (rows,) = small_market.rows(copied, known_edge.TABLE, date).values()
        assert rows.height == 4
    (place,) = tmp_path.glob("copied/**/dt=2024-07-05/*.parquet")
    assert place.stat().st_nlink == 2


def test_the_table_of_learning_has_each_table_over_all_months(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    dagster_home(Settings())
    with dg.DagsterInstance.get() as instance:
        for month, seconds in (("2023-02-01", 9.0), ("2023-01-01", 2.0), ("2023-03-01", 4.0)):
            facts = {"pass_seconds": dg.MetadataValue.float(seconds)}
            made = dg.AssetMaterialization(asset_key(training_set.key), partition=month, metadata=facts)
            instance.report_runless_asset_event(made)
    tables = learning_months.seconds_by_table(tmp_path)
    assert tables == {training_set.key: {"2023-01-01": 2.0, "2023-02-01": 9.0, "2023-03-01": 4.0}}
    document = {"machine": report.machine(), "months": 3, "episodes": 30, "threads": 1, "tables": tables}
    text = learning_months.markdown({**document, "wall_s": 1.0, "cpu_s": 1.0, "peak_mb": 1.0})
    assert f"| `{training_set.key}` | 15.0 | 4.0 | 4.0 |" in text
