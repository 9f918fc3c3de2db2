"""The README and the documentation do what they say: their commands and snippets run, their links and names exist."""

from __future__ import annotations

import ast
import datetime as dt
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.lake import Lake
from footprint_assets.sample import write_sample
from footprint_assets.settings import Settings
from footprint_assets.table_docs import settings_page
from footprint_assets_tests.command_line import COMMANDS, Shell
from footprint_assets_tests.conftest import REPOSITORY
from footprint_assets_tests.small_market import DAY

HOWTO = REPOSITORY / "docs" / "howto"
README = REPOSITORY / "README.md"
COMMAND_LINE = REPOSITORY / "docs" / "command-line.md"
PAGES = [README, REPOSITORY / "data" / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
RUN_IN_ORDER = ("own-files", "read-the-lake", "add-a-level", "add-a-root")
"""The how-to pages that are followed one after the other, in one working directory."""

ELSEWHERE = {
    "make demo": ".ci/run",
    "make test": ".ci/run",
    "make ui": "footprint_assets_tests/ui/server.py",
    "footprint-assets ui": "footprint_assets_tests/ui/server.py",
    "footprint-assets demo": "footprint_assets_tests/test_cli.py",
    "footprint-assets backfill": "footprint_assets_tests/test_backfill.py",
    "footprint-assets learn": "footprint_assets_tests/ml/test_learning.py",
    "footprint-assets prune-runs": "footprint_assets_tests/test_prune.py",
    "footprint-assets sync-catalog": "footprint_assets_tests/test_catalog.py",
    "footprint-assets similar": "footprint_assets_tests/test_asked.py",
    "footprint-assets predict": "footprint_assets_tests/test_asked.py",
    "footprint-assets page models": "footprint_assets_tests/test_asked.py",
    "footprint-assets page setups": "footprint_assets_tests/test_asked.py",
}
"""Commands that are not run here, and what runs them."""

SNIPPETS_ELSEWHERE = {"footprint_assets.asked": "footprint_assets_tests/test_asked.py"}
"""What a snippet imports that is not run here, and what runs it."""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        language: What the fence says.
        text: What stands inside.
    """

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(language, text) for language, text in fences]


def commands(block: Block) -> Iterator[str]:
    """The commands of a shell block that are run here."""
    for line in block.text.splitlines():
        command = line.partition("#")[0].strip()
        if command and not command.startswith((*ELSEWHERE, "export ")):
            yield command


def run_command(command: str, shell: Shell) -> None:
    """Run one command of a page; it must succeed without a word on standard error."""
    program, _, arguments = command.partition(" ")
    assert program == "footprint-assets", f"{command!r}: say in ELSEWHERE what runs it"
    said = shell(arguments)
    assert (said.code, said.err) == (0, ""), command
    assert said.out


def exports(block: Block) -> dict[str, str]:
    """The environment variables a shell block sets."""
    lines = [line.removeprefix("export ") for line in block.text.splitlines() if line.startswith("export ")]
    return dict(shlex.split(line)[0].split("=", 1) for line in lines)


def run_snippet(text: str, names: dict[str, Any]) -> None:
    """Run a snippet statement by statement; one may raise what its own comment says, and nothing else."""
    for statement in ast.parse(text).body:
        decorators = getattr(statement, "decorator_list", [])
        first = min(node.lineno for node in (statement, *decorators))
        source = "\n".join(text.splitlines()[first - 1 : statement.end_lineno])
        try:
            exec(source, names)
        except Exception as error:  # any kind: the comment decides
            if type(error).__name__ not in source.partition("#")[2]:
                raise


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """An empty working directory, and a home of its own with a delivery in it."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "work"
    folder.mkdir()
    return Shell(folder, monkeypatch, capsys)


@pytest.mark.slow
def test_the_commands_and_snippets_of_the_readme_run_in_its_order(shell: Shell, tmp_path: Path) -> None:
    write_sample(tmp_path / "home" / "databento", dt.date(2024, 6, 18), dt.date(2024, 6, 20), 1000)
    names: dict[str, Any] = {}
    for block in blocks(README):
        if block.language == "bash":
            for command in commands(block):
                run_command(command, shell)
        elif block.language == "python":
            run_snippet(block.text, names)

    lake = Lake(shell.folder / "data" / "lake")
    dates = [dt.date(2024, 6, 18), dt.date(2024, 6, 19), dt.date(2024, 6, 20)]
    assert lake.dates("gold.future.footprint_bars") == dates
    # The five ways to read the lake agree with the manifests and with each other.
    trades = {
        (symbol, day): manifest.rows
        for day in dates
        for symbol, manifest in lake.manifests("silver.future.trades_clean", day).items()
    }
    assert len(names["trades"]) == trades["ESU4", dates[0]]
    assert {(row["symbol"], row["dt"]) for row in names["volume"].iter_rows(named=True)} == set(trades)
    bars = names["bars"]
    assert set(bars["symbol"].unique()) == {symbol for symbol, _ in trades}
    assert bars["volume"].sum() == names["volume"]["volume"].sum()
    assert names["quotes"]["bid_px_00"].drop_nulls().is_between(1_000, 10_000).all()
    assert names["units"]["close"] == "pts"


@pytest.mark.slow
def test_the_commands_of_the_command_line_page_run_in_its_order(shell: Shell) -> None:
    for block in blocks(COMMAND_LINE):
        for command in commands(block):
            run_command(command, shell)
    for page in ("session", "footprint", "range", "quality"):
        assert (shell.folder / f"{page}.html").is_file()


@pytest.mark.slow
def test_the_how_to_pages_can_be_followed(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sample(tmp_path / "home" / "databento", dt.date(2024, 6, 18), dt.date(2024, 6, 18), 1000)
    names: dict[str, Any] = {}
    for name in RUN_IN_ORDER:
        for block in blocks(HOWTO / f"{name}.md"):
            if block.language == "bash":
                for variable, value in exports(block).items():
                    monkeypatch.setenv(variable, value)
                for command in commands(block):
                    run_command(command, shell)
            elif block.language == "python":
                run_snippet(block.text, names)

    lake, day = Lake(shell.folder / "market" / "lake"), dt.date(2024, 6, 18)
    episodes = lake.manifests("silver.future.market_by_price_10_ema_20_episodes", day)
    assert set(names["bars"]) == set(episodes) == {"ESU4", "NQU4"}
    one = names["five_minutes"].filter(symbol="ESU4")
    with lake.read("silver.future.trades_clean", day, "ESU4") as trades:
        assert one["volume"].sum() == trades.frame(["size"])["size"].sum()
    assert names["delta"]["symbol"].to_list() == ["ESU4", "NQU4"]
    assert len(names["levels"]) > 20


def test_the_table_of_the_how_to_page_keeps_its_contract(known: dict[str, Any]) -> None:
    page = blocks(HOWTO / "add-a-table.md")
    (contract,) = [contracts.parse(json.loads(block.text)) for block in page if block.language == ""]
    (snippet,) = [block.text for block in page if block.language == "python"]
    names: dict[str, Any] = {}
    run_snippet(snippet, names)
    rows = names["minutes_of"](known["trades"])
    contracts.Validator(contract).validate(rows)
    assert contract.name == names["trade_minutes"].key == "silver.future.trade_minutes"
    assert rows["volume"].sum() == known["trades"]["size"].sum()


@pytest.fixture(scope="module")
def known(built_market: Settings) -> dict[str, Any]:
    """The names the snippets of the documentation take for granted."""
    lake = Lake(built_market.lake_root)

    def rows(table: str, layer: str = "silver") -> Any:
        with lake.read(f"{layer}.future.{table}", DAY, "ESM5") as partition:
            return partition.frame()

    return {
        "Path": Path,
        "date": dt.date,
        "settings": Settings(),
        "session": cme.session(DAY),
        "batches": [rows("trades_clean")],
        "records": rows("market_by_price_10", "bronze"),
        "trades": rows("trades_clean"),
        "price": rows("footprint_price"),
        "bar": rows("footprint_bar"),
        "levels": rows("session_levels"),
        "signals": rows("levels_signals", "gold"),
    }


@pytest.mark.parametrize(
    "page",
    [
        page
        for page in PAGES
        if page != README and page.parent != HOWTO and any(b.language == "python" for b in blocks(page))
    ],
    ids=lambda page: page.name,
)
def test_the_snippets_of_a_page_run(
    page: Path, known: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(page):
        if block.language == "python" and not any(name in block.text for name in SNIPPETS_ELSEWHERE):
            run_snippet(block.text, dict(known))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


def test_every_shell_command_is_run_here_or_by_what_is_named() -> None:
    followed = [HOWTO / f"{name}.md" for name in RUN_IN_ORDER]
    for page in PAGES:
        for block in blocks(page):
            assert block.language in ("", "bash", "python"), f"{page}: {block.language}"
            if block.language == "bash" and page not in (README, COMMAND_LINE, *followed):
                assert not list(commands(block)), f"{page}: nothing runs its commands"
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for command, runner in ELSEWHERE.items():
        program, _, name = command.partition(" ")
        if program == "make":
            assert re.search(rf"^{name}:", makefile, re.MULTILINE), command
        searched = command if runner == ".ci/run" else f'"{name}'
        assert searched in (REPOSITORY / runner).read_text(encoding="utf-8"), command


def test_a_snippet_that_is_not_run_here_is_run_by_what_is_named() -> None:
    for name, runner in SNIPPETS_ELSEWHERE.items():
        assert f'"{name}' in (REPOSITORY / runner).read_text(encoding="utf-8")


def test_the_readme_lists_every_table() -> None:
    text = README.read_text(encoding="utf-8")
    listed = re.findall(r"`((?:bronze|silver|gold|ml)\.\w+\.\w+)`", text)
    assert sorted(listed) == contracts.all_keys()


def test_the_command_line_page_has_every_command() -> None:
    headings = re.findall(r"^## ([\w-]+)$", COMMAND_LINE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(headings) == COMMANDS


def test_the_index_lists_every_page() -> None:
    index = (REPOSITORY / "docs" / "README.md").read_text(encoding="utf-8")
    for page in [*(REPOSITORY / "docs").glob("*.md"), *HOWTO.glob("*.md")]:
        name = page.relative_to(REPOSITORY / "docs").as_posix()
        assert name == "README.md" or f"({name})" in index, name


def test_every_setting_that_is_named_exists() -> None:
    exist = set(re.findall(r"`(FOOTPRINT_\w+)`", settings_page()))
    for page in PAGES:
        named = set(re.findall(r"FOOTPRINT_[A-Z0-9_]+", page.read_text(encoding="utf-8")))
        assert named <= exist, page
