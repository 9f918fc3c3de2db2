"""The validation report says of a range of trade dates what the rules found, what was not judged, and where rows went."""

from __future__ import annotations

import datetime as dt
from html.parser import HTMLParser
from pathlib import Path

import pytest

from footprint_assets import validation
from footprint_assets.audit import audit
from footprint_assets.checks import AUDIT_CHECKS, due_by
from footprint_assets.lake import Lake
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.validation import UnknownReportForm, Validation, as_html, as_markdown
from footprint_assets_tests.checks.tampering import on_first_row, tamper
from footprint_assets_tests.command_line import Shell
from footprint_assets_tests.small_market import DAY, NEXT, republish, rows

BOOK_CLEAN = "silver.future.market_by_price_10_clean"
TRADES_CLEAN = "silver.future.trades_clean"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="module")
def honest(built_market: Settings) -> Validation:
    return validation.validate(Workbench(built_market))


class Page(HTMLParser):
    """The tags of a page, each closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        assert not any(name in ("src", "href") for name, _ in attrs), "nothing is fetched"
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_an_honest_lake_passes_every_rule_of_every_date(honest: Validation) -> None:
    assert honest.dates == (DAY, NEXT)
    assert {check.name for check in honest.checks} == {check.name for check in AUDIT_CHECKS}
    assert not honest.failures
    assert validation.summary(honest).startswith(f"Passed: 2 trade dates, {len(AUDIT_CHECKS)} rules, ")
    for check in honest.checks:
        assert set(honest.verdicts(check)) == {DAY, NEXT}
        assert set(honest.verdicts(check).values()) <= {"pass", "skip"}


def test_the_report_names_every_rule_and_why_one_was_not_judged(honest: Validation) -> None:
    for text in (as_markdown(honest), as_html(honest)):
        for check in AUDIT_CHECKS:
            assert check.name in text
        assert "no SPY in the lake" in text
        assert "Failures and warnings" not in text


def test_row_accounts_are_whole(honest: Validation) -> None:
    books = [account for account in honest.accounts if account.table == BOOK_CLEAN]
    assert [(account.trade_date, account.symbol) for account in books] == [
        (day, symbol) for day in (DAY, NEXT) for symbol in ("ESM5", "NQM5")
    ]
    assert {account.missing for account in honest.accounts} == {0}
    assert f"| {BOOK_CLEAN} | {DAY} | ESM5 | 360 | 360 | 0 |  | 0 |" in as_markdown(honest)


def test_the_same_lake_gives_the_same_bytes(honest: Validation, built_market: Settings) -> None:
    again = validation.validate(Workbench(built_market))

    assert as_html(again) == as_html(honest)
    assert as_markdown(again) == as_markdown(honest)
    assert str(built_market.lake_root.parent) not in as_html(honest)


def test_the_page_is_whole_and_needs_nothing_else(honest: Validation) -> None:
    page = Page(as_html(honest))

    assert page.open == []
    assert "script" not in page.seen
    assert page.seen.count("table") == 5


def test_a_failure_is_shown_with_its_row_and_what_mends_it(own_market: Settings) -> None:
    tamper(own_market, BOOK_CLEAN, on_first_row("bid_sz_09", 0))
    lake = Lake(own_market.lake_root)
    republish(lake, TRADES_CLEAN, NEXT, rows(lake, TRADES_CLEAN, NEXT), counted=False)

    found = validation.validate(Workbench(own_market))

    assert found.is_error
    failed = {(row.trade_date, row.check.name): row for row in found.failures}
    assert {(DAY, "ladder_order"), (NEXT, "rows_conserved")} <= set(failed)
    (line,) = [
        text for text in as_markdown(found).splitlines() if text.startswith(f"| {DAY} | ladder_order |")
    ]
    assert "| ESM5 | ERROR | row 0, ts_event 2025-06-03T22:" in line
    assert "count 1, rows 360, rate 0.00277778, error_above 0" in line
    assert f"footprint-assets run --date {DAY}" in line
    assert '<b class="fail" title="2025-06-04 fail">' in as_html(found)


def test_what_a_file_is_called_cannot_break_the_page(own_market: Settings) -> None:
    (own_market.dbn_dir / "<b>|x.dbn.zst").write_bytes(b"no header")

    found = validation.validate(Workbench(own_market), end=DAY)

    assert Page(as_html(found)).open == []
    assert "&lt;b&gt;|x.dbn.zst" in as_html(found)
    assert "<b>\\|x.dbn.zst" in as_markdown(found)


def test_a_report_is_html_or_markdown(honest: Validation, tmp_path: Path) -> None:
    for name in ("report.html", "report.md"):
        validation.write_report(honest, tmp_path / "build" / name)
        assert (tmp_path / "build" / name).stat().st_size > 10_000
    with pytest.raises(UnknownReportForm, match=r"\.html or \.md"):
        validation.write_report(honest, tmp_path / "report.pdf")


def test_the_command_writes_the_report_and_fails_where_nothing_is_published(
    shell: Shell, own_market: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTPRINT_LAKE_ROOT", str(own_market.lake_root))
    monkeypatch.setenv("FOOTPRINT_DBN_DIR", str(own_market.dbn_dir))

    said = shell(f"validate --start {DAY} --end {DAY}")

    assert said.code == 0
    assert "Passed: 1 trade date," in said.out
    assert (
        (shell.folder / "build" / "validation.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    )
    said = shell("validate --start 2026-01-01 --out build/empty.md")
    assert said.code == 1
    assert "Nothing is published" in said.err


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2025-06-06T12:59:59+00:00", dt.date(2025, 6, 4)),  # 08:59 ET on Friday: Thursday is due in a minute
        ("2025-06-06T13:00:00+00:00", dt.date(2025, 6, 5)),
        ("2025-06-07T12:00:00+00:00", dt.date(2025, 6, 5)),
        ("2025-06-09T13:00:00+00:00", dt.date(2025, 6, 6)),
        ("2025-04-21T13:00:00+00:00", dt.date(2025, 4, 17)),  # Good Friday has no session
    ],
)
def test_a_trade_date_is_due_at_nine_of_the_next_day(now: str, due: dt.date) -> None:
    assert due_by(dt.datetime.fromisoformat(now), dt.time(9, 0)) == due


@pytest.mark.parametrize(("hour", "verdict"), [(12, "pass"), (13, "warn")])
def test_what_is_due_and_not_published_is_a_warning(built_market: Settings, hour: int, verdict: str) -> None:
    """The lake ends on Thursday: on Saturday morning Friday is due at nine, 13:00 UTC."""
    now = dt.datetime(2025, 6, 7, hour, tzinfo=dt.UTC)

    (row,) = [row for row in audit(Workbench(built_market), NEXT, fresh_at=now) if row.trade_date != DAY][-1:]

    assert (row.check.name, row.verdict) == ("published_in_time", verdict)
    assert not row.is_error
