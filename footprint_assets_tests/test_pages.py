"""Footprint pages of lake tables: of what is published, or an error that says what is."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from footprint_assets.calendar import MarketClosed
from footprint_assets.lake import PartitionMissing
from footprint_assets.pages import NothingToDraw, write_footprint_page
from footprint_assets.settings import Settings
from footprint_assets_tests.small_market import DAY, NEXT, build_lake, settings_of, write_drop


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    found = settings_of(tmp_path_factory.mktemp("pages"))
    write_drop(found.dbn_dir, [DAY])
    build_lake(found, DAY)
    return found


def test_a_page_holds_the_contract_and_says_that_the_market_is_simulated(
    settings: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "page.html"
    write_footprint_page(settings, DAY, "ESM5", "time_5m", out, simulated=True)
    text = out.read_text(encoding="utf-8")
    assert "ESM5" in text
    assert "simulated" in text.lower()
    write_footprint_page(settings, DAY, "ESM5", "time_5m", out, simulated=False)
    assert out.read_text(encoding="utf-8") != text


@pytest.mark.parametrize(
    ("symbol", "bar_type", "named"), [("CLM5", "time_5m", "ESM5, NQM5"), ("ESM5", "time_7m", "volume_1000")]
)
def test_an_unknown_contract_or_bar_type_names_the_published_ones(
    settings: Settings, tmp_path: Path, symbol: str, bar_type: str, named: str
) -> None:
    out = tmp_path / "page.html"
    with pytest.raises(NothingToDraw, match=named):
        write_footprint_page(settings, DAY, symbol, bar_type, out, simulated=False)
    assert not out.exists()


def test_a_date_that_is_closed_or_not_published_is_said(settings: Settings, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    with pytest.raises(MarketClosed, match="Good Friday"):
        write_footprint_page(settings, dt.date(2025, 4, 18), "ESM5", "time_5m", out, simulated=False)
    with pytest.raises(PartitionMissing, match=f"run --date {NEXT}"):
        write_footprint_page(settings, NEXT, "ESM5", "time_5m", out, simulated=False)
