"""The audit goes over the published trade dates and counts a table that is not there as a failure."""

from __future__ import annotations

import datetime as dt
import shutil

import pytest

from footprint_assets.audit import audit, published_dates
from footprint_assets.checks import AUDIT_CHECKS
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets_tests.small_market import DAY, NEXT


def test_every_check_of_every_published_date_has_a_row(built_market: Settings) -> None:
    found = list(audit(Workbench(built_market)))

    assert {(row.trade_date, row.check.name) for row in found} == {
        (day, check.name) for day in (DAY, NEXT) for check in AUDIT_CHECKS
    }
    assert not any(row.is_error for row in found)


@pytest.mark.parametrize(
    ("start", "end", "dates"),
    [
        (None, None, [DAY, NEXT]),
        (NEXT, None, [NEXT]),
        (None, DAY, [DAY]),
        (DAY, NEXT, [DAY, NEXT]),
        (dt.date(2025, 6, 6), None, []),
    ],
)
def test_a_range_includes_both_its_ends(
    built_market: Settings, start: dt.date | None, end: dt.date | None, dates: list[dt.date]
) -> None:
    assert published_dates(Workbench(built_market), start, end) == dates
    assert sorted({row.trade_date for row in audit(Workbench(built_market), start, end)}) == dates


def test_a_table_that_is_not_published_fails_the_checks_that_read_it_and_no_other(
    own_market: Settings,
) -> None:
    shutil.rmtree(own_market.lake_root / "silver" / "product_type=future" / "symbol=ESM5" / "table=ohlcv")
    shutil.rmtree(own_market.lake_root / "silver" / "product_type=future" / "symbol=NQM5" / "table=ohlcv")

    errors = [row for row in audit(Workbench(own_market), end=DAY) if row.is_error]

    readers = [row for row in errors if row.check.name != "inputs_current"]
    assert [(row.check.name, row.finding.symbol) for row in readers] == [("volume_conserved", "*")]
    assert readers[0].finding.facts == {"not_published": ["silver.future.ohlcv"]}
    stale = {row.finding.facts["table"] for row in errors if row not in readers}
    assert "silver.future.session_context_5s" in stale, "what was made of a table that is gone is stale"


def test_an_empty_lake_has_nothing_to_audit(own_market: Settings) -> None:
    shutil.rmtree(own_market.lake_root)

    assert list(audit(Workbench(own_market))) == []


def test_a_torn_table_fails_the_checks_that_read_it_and_hides_no_other(own_market: Settings) -> None:
    (ohlcv,) = own_market.lake_root.glob(f"silver/*/symbol=ESM5/table=ohlcv/dt={DAY}")
    (ohlcv / "_SUCCESS").unlink()

    rows = list(audit(Workbench(own_market), end=DAY))

    errors = {row.check.name: row.finding for row in rows if row.is_error}
    assert set(errors) == {"volume_conserved", "inputs_current", "files_unharmed"}
    assert f"footprint-assets run --date {DAY}" in str(errors["volume_conserved"].facts["unreadable"])
    assert {row.check.name for row in rows} == {check.name for check in AUDIT_CHECKS}
