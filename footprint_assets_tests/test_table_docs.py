"""The generated documentation: complete, and committed as it would be written today."""

from __future__ import annotations

from pathlib import Path

import pytest

from footprint_assets.checks import AUDIT_CHECKS, FRESHNESS
from footprint_assets.table_docs import CHECKLIST, pages, table_page, write_pages
from footprint_assets.tables import LakeTable
from footprint_assets_tests.conftest import REPOSITORY
from footprint_assets_tests.small_market import TABLES

DOCS = REPOSITORY / "docs"
PAGES = pages()


def rows_of(text: str) -> list[list[str]]:
    """The cells of every table line of a page."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_the_committed_page_is_the_generated_one(name: str) -> None:
    committed = (DOCS / name).read_text(encoding="utf-8") if (DOCS / name).exists() else ""
    assert committed == PAGES[name], f"docs/{name} is out of date: run footprint-assets docs"


def test_there_is_no_page_of_a_table_that_is_gone() -> None:
    assert {f"tables/{path.name}" for path in (DOCS / "tables").iterdir()} <= set(PAGES)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.key)
def test_a_table_page_has_every_column_with_unit_and_meaning(table: LakeTable) -> None:
    cells = {row[0]: row for row in rows_of(table_page(table)) if len(row) == 6}
    for field in table.contract.fields:
        name, _, null, unit, kind, meaning = cells[f"`{field.name}`"]
        assert (name, unit, kind) == (f"`{field.name}`", field.unit, field.kind)
        assert (null == "null") == field.nullable
        assert meaning.startswith(field.doc.replace("|", "/"))
    assert len(cells) == len(table.contract.fields) + 2  # the heading and its rule


def test_a_table_page_links_inputs_and_readers() -> None:
    text = PAGES["tables/silver.future.ohlcv.md"]
    assert "| made from | [silver.future.trades_clean](silver.future.trades_clean.md) |" in text
    (used_by,) = [line for line in text.splitlines() if line.startswith("| used by |")]
    assert "silver.future.session_context_5s" in used_by


def test_every_check_is_documented_with_its_rule() -> None:
    rows = {row[0]: row for row in rows_of(PAGES["checks.md"])}
    for check in (*AUDIT_CHECKS, FRESHNESS):
        _, severity, rule, reads = rows[f"`{check.name}`"]
        assert (severity, rule) == (" or ".join(check.severities), check.rule)
        assert all(key in reads for key in check.reads)


def test_every_check_stands_in_the_checklist() -> None:
    asked = {word.strip(",;") for _, by in CHECKLIST for word in by.split()}
    assert {check.name for check in (*AUDIT_CHECKS, FRESHNESS)} <= asked


def test_writing_removes_the_page_of_a_table_that_is_gone(tmp_path: Path) -> None:
    stale = tmp_path / "tables" / "silver.future.gone.md"
    stale.parent.mkdir()
    stale.write_text("old")
    kept = tmp_path / "by-hand.md"
    kept.write_text("kept")
    written = write_pages(tmp_path)
    assert not stale.exists()
    assert kept.read_text() == "kept"
    assert {str(path.relative_to(tmp_path)) for path in written} == set(PAGES)
