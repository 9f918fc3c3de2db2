"""The command line: what it prints, where it fails, and that errors help."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from footprint_assets import console, contracts, sample
from footprint_assets.lake import Lake
from footprint_assets.settings import Settings
from footprint_assets_tests.command_line import COMMANDS, Shell
from footprint_assets_tests.small_market import DAY, KEYS, NEXT, write_drop
from footprint_assets_tests.sources.dbn_files import plain, write, zst

HEAVY = {
    "dagster",
    "databento",
    "databento_dbn",
    "numba",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "pydantic",
}
BOX = "┃│"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """An empty working directory."""
    return Shell(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="module")
def built(built_market: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with files and every table of two trade dates; read only."""
    folder = tmp_path_factory.mktemp("cli")
    shutil.copytree(built_market.lake_root.parent, folder / "data")
    return folder


@pytest.fixture
def beside(built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A shell in the working directory with the lake."""
    return Shell(built, monkeypatch, capsys)


def damage(folder: Path, schema: str, day: dt.date) -> Path:
    """Append bytes that are no zstd frame: a fault that is met after the last record."""
    path = folder / f"glbx-mdp3-{day:%Y%m%d}.{schema}.dbn.zst"
    path.write_bytes(path.read_bytes() + b"no zstd frame")
    return path


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom footprint_assets.cli import main\nsys.argv = ['footprint-assets', '--help']\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print('MODULES', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    text, _, modules = done.stdout.partition("MODULES")
    assert "Databento DBN in" in text
    assert "footprint_assets.cli" in modules.split()
    assert HEAVY.isdisjoint(modules.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(shell: Shell, command: str) -> None:
    said = shell(f"{command} --help")
    assert said.code == 0
    assert "Usage" in said.out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("run --date 2025-06-32", "write YYYY-MM-DD"),
        ("run --date 2025-06-04 --start 2025-06-04", "give --date, or --start and --end"),
        ("run --workers 0", "--workers"),
        ("show silver.future.ohlcv --head 1 --tail 1", "one of --head"),
        ("show silver.future.ohlcv --where interval=1m", "--where goes with --plot"),
        ("show silver.future.ohlcv --plot close --where interval", "COLUMN=VALUE"),
        ("ingest absent.dbn", "does not exist"),
        ("page session --date 2025-06-04", "--symbol"),
        ("ui --port 0", "--port"),
        ("nonsense", "nonsense"),
    ],
)
def test_wrong_usage_is_exit_code_2(beside: Shell, command: str, message: str) -> None:
    said = beside(command)
    assert said.code == 2
    words = " ".join(said.err.replace("│", " ").split())
    assert message in words
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("run --date 2025-04-18", ["MarketClosed", "Good Friday", "2025-04-21"]),
        ("run --start 2025-04-18 --end 2025-04-20", ["NothingToRun", "Good Friday"]),
        ("run --start 2030-01-02", ["NothingToRun", "data/dbn", "footprint-assets sample"]),
        ("show silver.future.trades_clean --date 2025-04-18", ["MarketClosed", "Good Friday"]),
        ("show silver.future.trades_cleen", ["did you mean silver.future.trades_clean"]),
        ("show absent.parquet", ["absent.parquet"]),
        (
            "page footprint --date 2025-06-06 --symbol ESM5",
            ["not published", "footprint-assets run --date 2025-06-06"],
        ),
        ("page session --date 2025-06-04 --symbol ESM9", ["ESM5, NQM5"]),
        ("sample --seed -1 --out absent", ["the seed is negative"]),
        ("ingest .", ["no DBN file"]),
    ],
)
def test_an_error_is_one_line_that_helps_and_exit_code_1(
    beside: Shell, tmp_path: Path, command: str, parts: list[str]
) -> None:
    if command == "ingest .":
        command = f"ingest {tmp_path}"
    said = beside(command)
    assert said.code == 1
    assert len(said.err.strip().splitlines()) == 1
    for part in parts:
        assert part in said.err


def test_a_full_disk_and_a_broken_database_are_told_in_a_line(beside: Shell, tmp_path: Path) -> None:
    said = beside(f"page session --date {DAY} --symbol ESM5 --out /dev/full")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("DiskRefuses: ")
    assert "No space left" in said.err
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(tmp_path))
        (tmp_path / "history" / "runs.db").mkdir(parents=True)
        said = beside("prune-runs --dry-run")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("DagsterStorageRefuses: ")
    assert len(said.err.splitlines()) == 1


def test_a_wrong_setting_is_named(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    (shell.folder / ".env").write_text("FOOTPRINT_FOOTPRINT__TICKS_PER_ROW=-1\n")
    said = shell("status")
    assert said.code == 1
    assert "FOOTPRINT_FOOTPRINT__TICKS_PER_ROW is not valid: Input should be greater than 0" in said.err
    monkeypatch.setenv("FOOTPRINT_ROOTS", "ES")
    said = shell("status")
    assert said.code == 1
    assert "FOOTPRINT_ROOTS" in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_the_environment_names_the_folders(
    beside: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOOTPRINT_LAKE_ROOT", str(tmp_path / "other"))
    said = beside("show silver.future.ohlcv")
    assert said.code == 1
    assert f"lake={tmp_path / 'other'}" in said.err


def test_the_sample_is_written_into_the_drop_folder(shell: Shell) -> None:
    said = shell("sample --start 2024-06-18 --end 2024-06-18 --records-per-session 400")
    assert said.code == 0
    files = sorted((shell.folder / "data" / "dbn").iterdir())
    assert said.out.startswith(f"{len(files)} files")
    assert {path.name.split(".")[1] for path in files} == {"mbp-10", "trades", "definition", "statistics"}


def test_ingest_says_what_became_of_every_file_and_fails_when_one_is_refused(
    shell: Shell, tmp_path: Path
) -> None:
    delivery = write_drop(tmp_path / "delivery", [DAY], ["trades"])
    assert shell(f"ingest {delivery}").code == 0
    broken = damage(delivery, "trades", DAY)

    said = shell(f"ingest {delivery} --json --register")
    assert said.code == 1
    found = {Path(verdict["path"]).name: verdict for verdict in json.loads(said.out)}
    assert set(found) == {path.name for path in delivery.iterdir()}
    refused = found.pop(broken.name)
    assert (refused["status"], refused["rule"]) == ("refused", "trailing_bytes")
    assert refused["offset"] > 0
    assert {verdict["status"] for verdict in found.values()} == {"accepted"}
    # What is not refused is registered; what is refused stays out.
    assert {path.name for path in (shell.folder / "data" / "dbn").iterdir()} == set(found)

    said = shell(f"ingest {delivery}")
    assert said.code == 1
    (row,) = [line for line in said.out.splitlines() if broken.name in line]
    assert [cell.strip() for cell in row.split("│")[1:3]] == [broken.name, "refused"]
    assert "trailing_bytes" in row
    assert str(broken) in said.err
    assert "Remedy" in said.err


def test_a_file_that_cannot_be_read_is_named_where_its_dates_are_not_found(shell: Shell) -> None:
    drop = shell.folder / "data" / "dbn"
    drop.mkdir(parents=True)
    write(drop, zst(plain("trades"))[:-40], "cut.trades.dbn.zst")
    said = shell("run")
    assert said.code == 1
    refused, nothing = said.err.splitlines()
    assert refused.startswith("cut.trades.dbn.zst is not read: ")
    assert "Remedy" in refused
    assert nothing.startswith("NothingToRun: ")


def test_what_is_registered_and_no_table_reads_is_said(shell: Shell, tmp_path: Path) -> None:
    write(tmp_path, plain("mbp-1"), "es.mbp-1.dbn")
    write(tmp_path, plain("trades"), "es.trades.dbn")
    said = shell(f"ingest {tmp_path}/es.mbp-1.dbn {tmp_path}/es.trades.dbn --register")
    assert said.code == 0, said.err
    assert said.out.splitlines()[-2:] == [
        "2 files in the drop folder data/dbn",
        "es.mbp-1.dbn is not read: no table is made of schema mbp-1.",
    ]


@pytest.mark.slow
def test_a_failed_date_is_explained_in_full_and_the_others_finish(shell: Shell) -> None:
    folder = write_drop(shell.folder / "data" / "dbn", [DAY, NEXT])
    whole = (folder / f"glbx-mdp3-{NEXT:%Y%m%d}.statistics.dbn.zst").read_bytes()
    broken = damage(folder, "statistics", NEXT)

    said = shell(f"run --start {DAY} --end {NEXT}")
    assert said.code == 1
    table = [[cell.strip() for cell in line.split("│")[1:3]] for line in said.out.splitlines() if "│" in line]
    assert table == [[str(DAY), "published"], [str(NEXT), "failed"]]
    assert "dagster" not in said.out
    (reason,) = [line for line in said.err.splitlines() if line.startswith(f"{NEXT} ")]
    for part in ("bronze", "statistics", broken.name, "offset=", "rule=trailing_bytes", "Remedy: "):
        assert part in reason

    broken.write_bytes(whole)
    said = shell(f"run --start {DAY} --end {NEXT}")
    assert said.code == 0
    table = [[cell.strip() for cell in line.split("│")[1:3]] for line in said.out.splitlines() if "│" in line]
    assert table == [[str(DAY), "unchanged"], [str(NEXT), "published"]]
    lake = Lake(shell.folder / "data" / "lake")
    assert all(lake.dates(key) == [DAY, NEXT] for key in KEYS)


@pytest.mark.slow
def test_a_date_whose_rules_are_broken_is_never_called_unchanged(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_drop(shell.folder / "data" / "dbn", [DAY])
    with monkeypatch.context() as wrong:
        wrong.setenv("FOOTPRINT_ROOTS", '{"ES": {"tick_size_nanos": 125000000}, "NQ": {}}')
        for _ in range(2):  # the tables of the second run are those of the first
            said = shell(f"run --date {DAY}")
            assert (said.code, "failed" in said.out) == (1, True)
            assert "tick_size_agrees" in said.err

    assert "published" in shell(f"run --date {DAY}").out
    assert "unchanged" in shell(f"run --date {DAY}").out


def test_scrub_names_a_file_with_one_flipped_bit(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(built, tmp_path, dirs_exist_ok=True)
    shell = Shell(tmp_path, monkeypatch, capsys)
    assert shell("scrub").code == 0
    part = sorted((tmp_path / "data" / "lake" / "silver").rglob("part-00000.parquet"))[0]
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)
    said = shell("scrub --json")
    assert said.code == 1
    assert [finding["file"] for finding in json.loads(said.out)] == [part.name]


def test_status_draws_neighbouring_dates_together(beside: Shell) -> None:
    said = beside(f"status --start {DAY}")
    assert said.code == 0
    states = json.loads(beside(f"status --json --start {DAY}").out)
    alike = [key for key in KEYS if states[str(DAY)][key] == states[str(NEXT)][key]]
    assert len(alike) > 30
    for key in alike:
        (row,) = [line for line in said.out.splitlines() if f"│ {key} " in line]
        assert f"{DAY}..{NEXT} (2)" in row
    assert set(states) == {str(DAY), str(NEXT)}
    assert list(states[str(DAY)]) == list(KEYS)
    assert list(json.loads(beside(f"status --json --start {NEXT}").out)) == [str(NEXT)]


def test_status_of_nothing_says_so(shell: Shell) -> None:
    said = shell("status")
    assert said.code == 0
    assert said.out.startswith("No trade date")
    assert str(shell.folder / "data") in said.out
    said = shell("scrub")  # intact is no word for what is not there
    assert (said.code, said.out) == (1, "")
    assert "Nothing is published" in said.err


def test_audit_counts_its_findings_and_fails_where_nothing_is_published(beside: Shell) -> None:
    said = beside("audit")
    findings = json.loads(beside("audit --json").out)
    assert said.code == 0
    assert f"{len(findings)} findings over 2 trade dates" in said.out
    assert {finding["trade_date"] for finding in findings} == {str(DAY), str(NEXT)}
    said = beside("audit --start 2026-01-01")
    assert said.code == 1
    assert "Nothing is published" in said.err


def test_an_audit_error_is_exit_code_1_with_its_facts(beside: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTPRINT_ROOTS", '{"ES": {"tick_size_nanos": 125000000}, "NQ": {}}')
    said = beside(f"audit --end {DAY}")
    assert said.code == 1
    (row,) = [line for line in said.out.splitlines() if "tick_size_agrees" in line]
    assert "ERROR" in row
    assert "configured_points 0.125" in row


def test_show_prints_rows_schema_and_plot(beside: Shell) -> None:
    said = beside(f"show silver.future.trades_clean --date {DAY} --symbol ESM5 --head 2")
    assert said.code == 0
    assert said.out.startswith(f"silver.future.trades_clean {DAY} ESM5: 120 rows")
    assert "price [pts]" in said.out
    assert "row 2" in said.out
    assert "row 3" not in said.out
    assert beside("show silver.future.trades_clean --tail 1").out.count("row ") == 1
    schema = beside("show silver.future.trades_clean --schema").out
    for field in contracts.load("silver.future.trades_clean").fields:
        assert field.doc in schema
    assert "price  " in beside("show silver.future.trades_clean --symbol ESM5 --plot price").out


@pytest.mark.parametrize(
    "command",
    [
        f"session --date {DAY} --symbol ESM5",
        f"footprint --date {DAY} --symbol ESM5 --bar-type time_5m --bar-type range_10t",
        f"quality --start {DAY} --end {DAY}",
    ],
)
def test_a_page_is_written_where_it_was_asked_for(beside: Shell, tmp_path: Path, command: str) -> None:
    said = beside(f"page {command} --out {tmp_path / 'page.html'}")
    assert (said.code, said.err) == (0, "")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!")


@pytest.mark.slow
def test_the_demo_goes_from_a_simulated_market_to_a_page(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sample, "DEFAULT_END", sample.DEFAULT_START)  # one session of the five
    said = shell("demo --records-per-session 1000")
    assert said.code == 0, said.err
    assert f"│ {sample.DEFAULT_START} │ published" in said.out
    assert ", 0 errors" in said.out
    for key in KEYS:
        assert f"│ {key} " in said.out
    for name in ("session", "footprint", "quality"):
        assert "simulated" in (shell.folder / "build" / f"{name}.html").read_text(encoding="utf-8").lower()
    assert shell("demo --records-per-session 1000").out.count("unchanged") == 1


def test_the_demo_does_not_mix_with_other_files(shell: Shell) -> None:
    folder = write_drop(shell.folder / "data" / "dbn", [DAY], ["trades"])
    before = sorted(folder.rglob("*"))
    said = shell("demo")
    assert said.code == 1
    assert "DropFolderInUse" in said.err
    assert sorted(folder.rglob("*")) == before


def test_the_generated_documentation_can_be_written_anywhere(shell: Shell) -> None:
    said = shell("docs --out reference")
    assert said.code == 0
    assert (shell.folder / "reference" / "settings.md").is_file()


FACT = "a fact of many words " * 20 + "x" * 300


def test_a_pipe_gets_every_cell_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    console.table(["fact"], [[FACT]])
    assert FACT in capsys.readouterr().out


def test_a_narrow_terminal_folds_cells_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "30")
    console.table(["fact"], [[FACT]])
    lines = capsys.readouterr().out.splitlines()
    assert Console(width=30).width == 30
    shown = "".join(line.split("│")[1] for line in lines if "│" in line)
    assert shown.replace(" ", "") == FACT.replace(" ", "")
    assert max(map(len, lines)) < 300


def test_progress_is_silent_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress("working") as advance:
        advance(1, 2)
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
