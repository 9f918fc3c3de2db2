"""Pages of lake tables: of what is published, or an error that says what is."""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from footprint_assets import contracts
from footprint_assets.attempts import APPROACH, Place, paths_of
from footprint_assets.calendar import MarketClosed
from footprint_assets.lake import PartitionMissing
from footprint_assets.pages import (
    NothingToDraw,
    write_footprint_page,
    write_quality_page,
    write_session_page,
)
from footprint_assets.report import CheckFact, TableFacts, quality_page
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets_tests.small_market import DAY, THIRD


def test_a_page_holds_the_contract_and_says_that_the_market_is_simulated(
    built_market: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "page.html"
    write_footprint_page(built_market, DAY, "ESM5", ["time_5m"], out, simulated=True)
    text = out.read_text(encoding="utf-8")
    assert "ESM5" in text
    assert "simulated" in text.lower()
    write_footprint_page(built_market, DAY, "ESM5", ["time_5m"], out, simulated=False)
    assert out.read_text(encoding="utf-8") != text


@pytest.mark.parametrize(
    ("symbol", "bar_type", "named"), [("CLM5", "time_5m", "ESM5, NQM5"), ("ESM5", "time_7m", "volume_1000")]
)
def test_an_unknown_contract_or_bar_type_names_the_published_ones(
    built_market: Settings, tmp_path: Path, symbol: str, bar_type: str, named: str
) -> None:
    out = tmp_path / "page.html"
    with pytest.raises(NothingToDraw, match=named):
        write_footprint_page(built_market, DAY, symbol, [bar_type], out, simulated=False)
    assert not out.exists()


def test_a_date_that_is_closed_or_not_published_is_said(built_market: Settings, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    with pytest.raises(MarketClosed, match="Good Friday"):
        write_footprint_page(built_market, dt.date(2025, 4, 18), "ESM5", ["time_5m"], out, simulated=False)
    with pytest.raises(PartitionMissing, match=f"run --date {THIRD}"):
        write_footprint_page(built_market, THIRD, "ESM5", ["time_5m"], out, simulated=False)


def data_of(page: str) -> dict[str, Any]:
    block = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert block is not None
    data: dict[str, Any] = json.loads(block[1])
    return data


@pytest.fixture(scope="module")
def session(built_market: Settings, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("session") / "session.html"
    write_session_page(built_market, DAY, "ESM5", out, simulated=True)
    return out.read_text(encoding="utf-8")


def rows_of(settings: Settings, table: str, symbol: str = "ESM5") -> pl.DataFrame:
    return Workbench(settings).lake.read(f"silver.future.{table}", DAY, symbol).frame()


def test_the_session_page_holds_every_minute_and_what_traded_in_it(
    built_market: Settings, session: str
) -> None:
    data = data_of(session)
    bars = rows_of(built_market, "footprint_bar").filter(pl.col("bar_type").cast(str) == "time_1m")
    minutes = {60 * k for k in range(len(data["t"]))}
    assert {int(at - data["t"][0]) for at in data["t"]} == minutes
    assert [volume for volume in data["bars"]["volume"] if volume is not None] == bars["volume"].to_list()
    assert data["bars"]["cum_delta"][-1] == bars["cum_delta"][-1]
    profile = rows_of(built_market, "volume_profile_price").filter(pl.col("profile_type").cast(str) == "RTH")
    assert sum(data["profiles"]["RTH"]["total"]) == profile["total_volume"].sum()


def test_a_cell_of_the_depth_is_the_mean_size_of_its_minute(built_market: Settings, session: str) -> None:
    data = data_of(session)
    depth, rows = data["depth"], rows_of(built_market, "market_by_price_10_price5s")
    cells = np.frombuffer(base64.b64decode(depth["cells"]), np.uint8).reshape(depth["rows"], len(data["t"]))
    assert (depth["ticks"], cells.max()) == (1, 255)
    first = int(
        rows_of(built_market, "footprint_bar")
        .filter(pl.col("bar_type").cast(str) == "time_1m")["bar_ts"]
        .cast(pl.Int64)[0]
    )
    row, column = (int(place) for place in np.argwhere((cells > 0) & (cells < 255))[7])
    minute = rows.filter(
        pl.col("price_tick") == depth["low"] + row,
        pl.col("bar_ts")
        .cast(pl.Int64)
        .is_between(first + column * 60 * 10**9, first + (column + 1) * 60 * 10**9, closed="left"),
    )
    size = (minute["bid_qty_ns"].sum() + minute["ask_qty_ns"].sum()) / (60 * 10**9)
    assert cells[row, column] == pytest.approx(255 * size / depth["most"], rel=0.05, abs=1)


def test_the_session_page_is_the_same_bytes_again(
    built_market: Settings, session: str, tmp_path: Path
) -> None:
    out = tmp_path / "again.html"
    write_session_page(built_market, DAY, "ESM5", out, simulated=True)
    assert out.read_text(encoding="utf-8") == session


def test_the_quality_page_has_the_accounts_and_nulls_of_every_table(
    built_market: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "quality.html"
    write_quality_page(built_market, DAY, DAY, out, simulated=False)
    text = out.read_text(encoding="utf-8")
    lake = Workbench(built_market).lake
    for key in lake.tables():
        for symbol, manifest in lake.manifests(key, DAY).items():
            assert f'<td>{key}</td><td>{symbol}</td><td class="number">{manifest.rows:,}</td>' in text
    bars = [rows_of(built_market, "footprint_bar", symbol) for symbol in ("ESM5", "NQM5")]
    nulls = sum(frame["delta_change"].null_count() for frame in bars)
    assert nulls > 0
    assert "rows_conserved" in text


def test_a_range_without_published_dates_has_no_quality(built_market: Settings, tmp_path: Path) -> None:
    with pytest.raises(NothingToDraw, match="No trade date"):
        write_quality_page(built_market, THIRD, THIRD, tmp_path / "page.html", simulated=False)


def test_a_failed_finding_and_rows_that_are_not_accounted_for_are_seen() -> None:
    fact = TableFacts(DAY, "silver.future.bbo", "<ES>", 90, 100, 1, {"odd": 2}, 1000, "1.0.0", {"x": 45})
    failed = CheckFact(DAY, "rows_conserved", "ERROR", "Rows in = rows out.", "<ES>", False, "lost=7")
    page = quality_page([fact], [failed])
    assert "<ES>" not in page
    assert '<span class="sell">7</span>' in page
    assert '<dd class="sell">1</dd>' in page
    assert "width:50.0%" in page


def test_the_path_of_an_attempt_is_its_signed_distance_from_the_decision_on(built_market: Settings) -> None:
    lake = Workbench(built_market).lake
    key = next(
        key
        for level in built_market.levels.pipelines
        if lake.read(key := contracts.level_key(APPROACH, level), DAY, "ESM5").manifest.rows
    )
    first = lake.read(key, DAY, "ESM5").frame().sort("episode_id", "bar_ts")[0]
    known = lake.read(key, DAY, "ESM5").frame().filter(pl.col("episode_id") == first["episode_id"].item())
    trigger = int(first["episode_id"].item().rpartition("_")[2])
    decision = trigger + 5 * 10**9
    level = first["level_type"].item()
    place = Place(first["episode_id"].item(), DAY, "ESM5", level, decision)
    elsewhere = Place("gone", dt.date(2025, 6, 12), "ESM5", level, decision)
    (path,) = paths_of(Workbench(built_market), [place, elsewhere]).values()
    assert path["distance_pts"].equals(
        known.sort("bar_ts")["signed_dist_pts"].cast(pl.Float64), check_names=False
    )
    at_decision = path.filter(pl.col("second") == 0)["distance_pts"]
    assert at_decision.equals(
        known.filter(pl.col("bar_ts").cast(pl.Int64) == trigger)["signed_dist_pts"].cast(pl.Float64),
        check_names=False,
    )
