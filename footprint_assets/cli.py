"""The command line. Each command imports what it needs when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from footprint_assets import console
from footprint_assets.errors import FootprintError
from footprint_assets.redaction import redact_logs

if TYPE_CHECKING:
    from footprint_assets.audit import AuditRow
    from footprint_assets.backfill import Plan, Scope
    from footprint_assets.runs import DateOutcome
    from footprint_assets.settings import Settings
    from footprint_assets.status import State

app = typer.Typer(
    name="footprint-assets",
    help="Databento DBN in, a checked Parquet lake of order-flow tables out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
page = typer.Typer(
    help="Write a self-contained HTML page: a session, its footprint, the quality of the data, a month's models, setups.",
    no_args_is_help=True,
)
app.add_typer(page, name="page")


INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class NothingToRun(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The dates asked for hold no session, or the drop folder covers none."""


def _date(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a date; write YYYY-MM-DD.") from error


def _date_option(documentation: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(parser=_date, metavar="YYYY-MM-DD", help=documentation)
    return option


def _month(text: str) -> dt.date:
    from footprint_assets.months import month_of

    return month_of(text)


def _month_option(documentation: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(parser=_month, metavar="YYYY-MM", help=documentation)
    return option


class Layer(StrEnum):
    """A layer of the lake."""

    bronze = "bronze"
    silver = "silver"
    gold = "gold"


OneDate = Annotated[dt.date | None, _date_option("One trade date.")]
Start = Annotated[dt.date | None, _date_option("First trade date.")]
End = Annotated[dt.date | None, _date_option("Last trade date.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")]
Records = Annotated[
    int | None, typer.Option(metavar="N", help="MBP-10 records of the front ES contract a session.")
]


class Market(StrEnum):
    """What is known about levels in a simulated market."""

    plain = "plain"
    known_edge = "known-edge"
    null = "null"


def _time(text: str) -> dt.time:
    try:
        return dt.time.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a time; write HH:MM:SS.") from error


AttemptDate = Annotated[dt.date, _date_option("Trade date of the attempt.")]
Level = Annotated[str, typer.Option(help="Level it was made at, such as PM_HIGH.")]
Time = Annotated[
    dt.time,
    typer.Option(
        parser=_time, metavar="HH:MM:SS", help="New York time; the last attempt decided by then is meant."
    ),
]
Root = Annotated[str, typer.Option(help="Product root.")]
Simulated = Annotated[bool, typer.Option("--simulated", help="Say on the page that the market is simulated.")]


def main() -> None:
    """Run the command line; an error of ours is one readable message and exit code 1."""
    redact_logs()
    try:
        app()
    except FootprintError as error:
        console.problem(f"{type(error).__name__}: {error}")
        raise SystemExit(1) from error


@app.command()
def sample(
    start: Start = None,
    end: End = None,
    records_per_session: Records = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same bytes.")] = None,
    out: Annotated[Path | None, typer.Option(help="Directory; the drop folder by default.")] = None,
    mode: Annotated[
        Market,
        typer.Option(
            help="What happens at levels: nothing special, drawn from a known law, or drawn blindly."
        ),
    ] = Market.plain,
) -> None:
    """Write a simulated market as valid DBN files: MBP-10, trades, definitions, statistics."""
    from footprint_assets import sample as market

    with console.progress("simulating") as advance:
        files = market.write_sample(
            out or _settings().dbn_dir,
            start or market.DEFAULT_START,
            end or market.DEFAULT_END,
            market.DEFAULT_RECORDS if records_per_session is None else records_per_session,
            market.DEFAULT_SEED if seed is None else seed,
            progress=lambda _, done, total: advance(done, total),
            mode=mode.value,
        )
    console.line(_of_files(files))


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="DBN files, or folders of them.")],
    register: Annotated[
        bool, typer.Option("--register", help="Put the files that are not refused into the drop folder.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify DBN files record by record: accepted, quarantined (some rows set aside) or refused.

    Exit code 1 where a file is refused.
    """
    from footprint_assets import ingest as deliveries

    settings = _settings()
    files = deliveries.files_of(paths, settings.ingest)
    found = []
    with console.progress("verifying") as advance:
        for file in files:
            found.append(deliveries.verdict_of(file, settings.ingest))
            advance(len(found), len(files))
    refused = [verdict for verdict in found if verdict.status == "refused"]
    if as_json:
        console.line(json.dumps([verdict.as_json() for verdict in found], indent=2))
    else:
        console.table(
            ["file", "verdict", "schema", "records", "accepted", "set aside", "rule", "offset", "warnings"],
            [
                [
                    v.path.name,
                    v.status,
                    v.schema,
                    v.records,
                    v.yielded,
                    ", ".join(f"{rule} {count}" for rule, count in v.quarantined.items()),
                    v.rule,
                    v.offset,
                    "; ".join(v.warnings),
                ]
                for v in found
            ],
        )
        for verdict in refused:
            console.problem(f"refused: {verdict.message}")
    if register:
        kept = [deliveries.register(v, settings.dbn_dir) for v in found if v.status != "refused"]
        typer.echo(f"{len(kept)} files in the drop folder {settings.dbn_dir}", err=as_json)
    raise typer.Exit(1 if refused else 0)


@app.command()
def run(
    date: OneDate = None,
    start: Start = None,
    end: End = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Trade dates at once, each in a process of its own.")
    ] = 1,
) -> None:
    """Run trade dates from DBN to gold, with every check.

    Without dates: every date the drop folder covers. A date that fails does not stop the others; the exit code is 1.
    """
    settings = _settings()
    raise typer.Exit(1 if _run_and_report(settings, _dates(settings, date, start, end), workers) else 0)


Fresh = Annotated[
    bool, typer.Option("--fresh", help="Ask too whether the trade date that is due by now is published.")
]


@app.command()
def backfill(
    start: Start = None,
    end: End = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Trade dates at once, each in a process of its own.")
    ] = None,
    layer: Annotated[
        list[Layer] | None, typer.Option(help="Only the tables of a layer; may be given several times.")
    ] = None,
    tables: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE", help="Only these tables, such as 'silver.future.bbo' or 'silver.*footprint*'."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the last backfill: its range, its tables.")
    ] = False,
) -> None:
    """Make a range of trade dates, or some tables of it. What is current is left as it is.

    Without dates: every date the drop folder covers. Exactly the tables asked for are made, with those of the same pass;
    an input that is missing fails the trade date. Exit code 1 where a date failed, 130 after Ctrl-C.
    """
    from footprint_assets import backfill as backfills
    from footprint_assets.runs import dagster_home

    settings = _settings()
    home = _home(dagster_home(settings))
    if resume:
        if start or end or layer or tables:
            raise typer.BadParameter("--resume takes its range and tables from the last backfill.")
        plan = backfills.Plan.load(home, settings)
    else:
        dates = _dates(settings, None, start, end)
        plan = backfills.Plan(
            start or dates[0],
            end or dates[-1],
            tuple(one.value for one in layer or ()),
            tuple(name.strip() for names in tables or () for name in names.split(",")),
            workers or 1,
            str(settings.lake_root.resolve()),
        )
    scope = backfills.scope_of(settings, plan)
    plan.save(home)
    raise typer.Exit(_run_backfill(settings, plan, scope, workers or plan.workers))


@app.command()
def learn(
    start: Annotated[dt.date | None, _month_option("First month.")] = None,
    end: Annotated[dt.date | None, _month_option("Last month.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the months asked for last.")] = False,
) -> None:
    """Learn from levels month after month: each from the months before it, judged on its own. What is current stays.

    Without months: all that have signals. A month that fails does not stop those after it. Exit code 1 where one failed,
    130 after Ctrl-C.
    """
    from footprint_assets.backfill import Plan
    from footprint_assets.learn import LEARN, months_to_learn
    from footprint_assets.runs import dagster_home

    settings = _settings()
    home = _home(dagster_home(settings))
    if resume:
        if start or end:
            raise typer.BadParameter("--resume takes its months from the last time.")
        plan = Plan.load(home, settings, LEARN)
        months = months_to_learn(settings, plan.start, plan.end)
    else:
        months = months_to_learn(settings, start, end)
        plan = Plan(months[0], months[-1], lake=str(settings.lake_root.resolve()))
        plan.save(home, LEARN)
    raise typer.Exit(_learn_and_report(settings, months, plan.id))


@app.command()
def prune_runs(
    older_than: Annotated[
        int, typer.Option("--older-than", min=0, metavar="DAYS", help="Days since the run ended.")
    ] = 30,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and delete nothing.")
    ] = False,
) -> None:
    """Delete old Dagster runs that failed or were superseded, and the event files they leave.

    The run of a partition's latest materialisation or of a check's latest record is never deleted.
    """
    import dagster as dg

    from footprint_assets.prune import prune_runs as prune
    from footprint_assets.records import check_keys
    from footprint_assets.runs import dagster_home

    settings = _settings()
    _home(dagster_home(settings))
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=older_than)
    with dg.DagsterInstance.get() as instance:
        found = prune(instance, check_keys(settings), before, dry_run=dry_run)
    console.line(
        f"{found.runs} runs {'would be ' * dry_run}deleted, {found.bytes / 1e6:.1f} MB; "
        f"{found.kept} as old are the latest of a partition or check and stay"
    )


@app.command()
def sync_catalog(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what differs, and report nothing.")] = False,
) -> None:
    """Report to Dagster every published partition it does not know, and say what it claims and the lake lacks.

    Exit code 1 where the lake lacks a partition, or one cannot be read.
    """
    import dagster as dg

    from footprint_assets.assets import MONTH_TABLES, tables
    from footprint_assets.catalog import synchronise
    from footprint_assets.resources import Workbench
    from footprint_assets.runs import dagster_home

    settings = _settings()
    _home(dagster_home(settings))
    bench = Workbench(settings)
    with dg.DagsterInstance.get() as instance:
        found = synchronise(instance, bench, (*tables(settings), *MONTH_TABLES), report=not dry_run)
    count = sum(map(len, found.reported.values()))
    console.line(f"{found.agreed} partitions agree, {count} {'differ' if dry_run else 'reported to Dagster'}")
    for key, days in found.claimed.items():
        console.problem(f"{key}: Dagster has it, the lake does not: {_listed(days)}")
    for key, days in found.unreadable.items():
        console.problem(f"{key}: cannot be read: {_listed(days)}")
    raise typer.Exit(1 if found.claimed or found.unreadable else 0)


@app.command()
def audit(start: Start = None, end: End = None, fresh: Fresh = False, as_json: Json = False) -> None:
    """Run every check over the published trade dates; exit code 1 on an ERROR finding."""
    from footprint_assets.audit import audit as findings
    from footprint_assets.resources import Workbench

    rows = list(findings(Workbench(_settings()), start, end, _now(fresh)))
    if as_json:
        console.line(json.dumps([_as_json(row) for row in rows], indent=2, default=str))
    else:
        _print_findings(rows)
    if not rows:
        console.problem("Nothing is published in this range.")
    raise typer.Exit(1 if not rows or any(row.is_error for row in rows) else 0)


@app.command()
def validate(
    start: Start = None,
    end: End = None,
    fresh: Fresh = False,
    out: Annotated[Path, typer.Option(help="The report, .html or .md.")] = Path("build/validation.html"),
) -> None:
    """Write what every check says of the published trade dates as one page; exit code 1 on an ERROR finding."""
    from footprint_assets import validation
    from footprint_assets.resources import Workbench

    found = validation.validate(Workbench(_settings()), start, end, _now(fresh))
    validation.write_report(found, out)
    console.line(validation.summary(found))
    console.line(f"wrote {out}")
    if not found.dates:
        console.problem("Nothing is published in this range.")
    raise typer.Exit(1 if found.is_error or not found.dates else 0)


@app.command()
def scrub(start: Start = None, end: End = None, as_json: Json = False) -> None:
    """Compare every byte of the lake with its manifests; exit code 1 where one differs."""
    from footprint_assets.resources import Workbench

    damaged = [vars(finding) for finding in Workbench(_settings()).lake.scrub(start=start, end=end)]
    if as_json:
        console.line(json.dumps(damaged, indent=2, default=str))
    elif damaged:
        console.table(list(damaged[0]), [list(finding.values()) for finding in damaged])
    else:
        console.line("Every file is what was published.")
    raise typer.Exit(1 if damaged else 0)


@app.command()
def status(start: Start = None, end: End = None, as_json: Json = False) -> None:
    """Show which trade dates, or months, of each table are current, empty, stale or missing."""
    from footprint_assets.resources import Workbench
    from footprint_assets.status import month_status
    from footprint_assets.status import status as states_of_dates

    bench = Workbench(_settings())
    dates = {str(day): tables for day, tables in states_of_dates(bench, start, end).items()}
    months = {f"{month:%Y-%m}": tables for month, tables in month_status(bench, start, end).items()}
    if as_json:
        console.line(json.dumps(dates | months, indent=2))
        return
    if not dates and not months:
        console.line("No trade date is published or covered by the drop folder.")
        return
    shown: tuple[State, ...] = ("current", "empty", "stale", "missing")
    console.table(
        ["table", *shown],
        [
            [key, *(_ranges(states, key, state) for state in shown)]
            for states in (dates, months)
            for key in next(iter(states.values()), {})
        ],
    )


@app.command()
def show(
    table: Annotated[
        str, typer.Argument(help="A table such as silver.future.footprint_bar, or a Parquet file.")
    ],
    date: Annotated[dt.date | None, _date_option("Trade date; the newest by default.")] = None,
    symbol: Annotated[str | None, typer.Option(help="One contract, such as ESU4.")] = None,
    head: Annotated[int | None, typer.Option(min=1, help="First rows.")] = None,
    tail: Annotated[int | None, typer.Option(min=1, help="Last rows.")] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Columns with types, units and documentation.")
    ] = False,
    plot: Annotated[str | None, typer.Option(metavar="COLUMN", help="Draw a numeric column.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=VALUE", help="Rows to plot, such as bar_type=time_5m."),
    ] = None,
) -> None:
    """Show rows, the schema or a plot of any lake table or Parquet file. Prices are in points."""
    from footprint_assets import show as viewer

    if sum(option is not None for option in (head, tail, plot)) + schema > 1:
        raise typer.BadParameter("give one of --head, --tail, --schema and --plot.")
    if where and plot is None:
        raise typer.BadParameter("--where goes with --plot.")
    if schema:
        console.table(["column", "type", "null", "unit", "documentation"], viewer.describe_schema(table))
        return
    source = viewer.open_source(_settings(), table, date, symbol)
    console.line(f"{source.name}: {source.rows:,} rows")
    if plot is not None:
        console.line(viewer.plot(viewer.column_of(source, plot, dict(_equations(where or [])))))
        return
    rows = viewer.last_rows(source, tail) if tail else viewer.first_rows(source, head or viewer.DEFAULT_ROWS)
    console.table(*viewer.cells(rows, source.units))


@app.command()
def similar(date: AttemptDate, level: Level, time: Time, root: Root = "ES", as_json: Json = False) -> None:
    """Show the past attempts most like one, nearest first, and what became of them."""
    from footprint_assets import asked, attempts
    from footprint_assets.resources import Workbench

    bench = Workbench(_settings())
    found = asked.similar(bench, attempts.find_attempt(bench, date, level, time, root))
    if as_json:
        console.line(json.dumps(found.as_json(), indent=2))
        return
    console.line(found.attempt.words)
    console.table(*found.cells())
    console.line(found.words)


@app.command()
def predict(date: AttemptDate, level: Level, time: Time, root: Root = "ES", as_json: Json = False) -> None:
    """Show what the models in use say of an attempt: break, bounce or chop, how far, how soon."""
    from footprint_assets import asked, attempts
    from footprint_assets.resources import Workbench

    bench = Workbench(_settings())
    said = asked.predict(bench, attempts.find_attempt(bench, date, level, time, root))
    if as_json:
        console.line(json.dumps(said.as_json(), indent=2))
        return
    console.line(said.attempt.words)
    console.table(*said.cells())


@page.command("session")
def session_page(
    date: Annotated[dt.date, _date_option("Trade date.")],
    symbol: Annotated[str, typer.Option(help="Contract, such as ESU4.")],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("build/session.html"),
    simulated: Simulated = False,
) -> None:
    """Candles, volume profile, levels, VWAP bands, attempts with outcomes, cumulative delta, depth of the book."""
    from footprint_assets.pages import write_session_page

    write_session_page(_settings(), date, symbol, out, simulated=simulated)
    console.line(f"wrote {out}")


@page.command("footprint")
def footprint_page(
    date: Annotated[dt.date, _date_option("Trade date.")],
    symbol: Annotated[str, typer.Option(help="Contract, such as ESU4.")],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("build/footprint.html"),
    bar_type: Annotated[
        list[str] | None,
        typer.Option(
            help="Such as time_5m, range_10t, volume_1000; may be repeated. All that fit by default."
        ),
    ] = None,
    simulated: Simulated = False,
) -> None:
    """Bid x ask at every price of every bar, any bar type, with imbalances and points of control."""
    from footprint_assets.pages import write_footprint_page

    write_footprint_page(_settings(), date, symbol, bar_type or [], out, simulated=simulated)
    console.line(f"wrote {out}")


@page.command("quality")
def quality_page(
    start: Start = None,
    end: End = None,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("build/quality.html"),
    simulated: Simulated = False,
) -> None:
    """Check findings, row accounts and null rates of the published trade dates."""
    from footprint_assets.pages import write_quality_page

    write_quality_page(_settings(), start, end, out, simulated=simulated)
    console.line(f"wrote {out}")


@page.command("models")
def models_page(
    month: Annotated[str, typer.Option(metavar="YYYY-MM", help="Calendar month.")],
    root: Root = "ES",
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("build/models.html"),
    simulated: Simulated = False,
) -> None:
    """Calibration, lift, coverage, importance, signals and why, reports and cards of a month's models."""
    from footprint_assets.model_pages import write_model_page
    from footprint_assets.months import month_of

    write_model_page(_settings(), month_of(month), root, out, simulated=simulated)
    console.line(f"wrote {out}")


@page.command("setups")
def setups_page(
    date: AttemptDate,
    level: Level,
    time: Time,
    root: Root = "ES",
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("build/setups.html"),
    simulated: Simulated = False,
) -> None:
    """An attempt at a level beside the past ones most like it: how price went, and what became of them."""
    from footprint_assets.attempts import find_attempt
    from footprint_assets.model_pages import write_setups_page
    from footprint_assets.resources import Workbench

    bench = Workbench(_settings())
    write_setups_page(bench, find_attempt(bench, date, level, time, root), out, simulated=simulated)
    console.line(f"wrote {out}")


@app.command()
def demo(records_per_session: Records = None) -> None:
    """Simulated market, lake, audit, summary and HTML pages, in the folders of the settings."""
    from footprint_assets import demo as steps

    settings = _settings()
    with console.progress("simulating a market") as advance:
        files = steps.write_market(settings, records_per_session, advance)
    console.line(_of_files(files))
    failed = _run_and_report(settings, steps.dates(), workers=1)
    findings, errors = steps.audit_counts(settings)
    console.line(f"audit: {findings} findings, {errors} errors")
    console.table(*steps.summary(settings))
    console.line(f"pages of the simulated market: {', '.join(map(str, steps.write_pages(settings)))}")
    raise typer.Exit(1 if failed or errors else 0)


@app.command()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Only show: no runs, no changes, no daemon.")
    ] = False,
    anyone_may_run: Annotated[
        bool, typer.Option("--anyone-may-run", help="Let whoever reaches another address start runs.")
    ] = False,
) -> None:
    """Serve the Dagster UI behind its guard, with the daemon, until Ctrl-C."""
    from footprint_assets.ui import serve

    raise typer.Exit(serve(_settings(), port, host, read_only=read_only, anyone_may_run=anyone_may_run))


@app.command()
def docs(
    out: Annotated[Path, typer.Option(help="The folder of the documentation.")] = Path("docs"),
) -> None:
    """Write the generated documentation: one page a table, the checks, the settings, the errors."""
    from footprint_assets.table_docs import write_pages

    console.line(f"wrote {len(write_pages(out))} pages in {out}")


@app.command()
def contracts(
    out: Annotated[Path, typer.Option(help="The folder of the contracts.")] = Path("contracts"),
) -> None:
    """Write the generated contracts, of the wide gold tables, and the schema of the features, features.json."""
    from footprint_assets.feature_schema import write_schema
    from footprint_assets.gold_contracts import write_contracts

    written = [*write_contracts(out), write_schema(out)]
    console.line(f"wrote {len(written)} files in {out}")


def _settings() -> Settings:
    from footprint_assets.settings import Settings

    return Settings.from_env()


def _dates(
    settings: Settings, date: dt.date | None, start: dt.date | None, end: dt.date | None
) -> list[dt.date]:
    """The trade dates a command speaks of."""
    from footprint_assets import calendar as cme
    from footprint_assets.resources import Workbench

    if date is not None:
        if start is not None or end is not None:
            raise typer.BadParameter("give --date, or --start and --end.")
        return [cme.session(date).trade_date]
    if start is not None and end is not None:
        if not (dates := cme.sessions(start, end)):
            closed = ", ".join(f"{day} {name}" for day, name in cme.closures(start, end).items())
            raise NothingToRun(
                f"No session lies between {start} and {end}.", where={"closed": closed or "weekend"}
            )
        return dates
    if not (dates := Workbench(settings).covered_dates(start, end)):
        raise NothingToRun(
            "The drop folder has no MBP-10 or trades file for these dates.",
            where={"folder": settings.dbn_dir},
            remedy="footprint-assets ingest --register PATH... or footprint-assets sample",
        )
    return dates


def _run_and_report(settings: Settings, dates: list[dt.date], workers: int) -> int:
    """Run trade dates, print what became of them, and give the number that failed or were not run."""
    from footprint_assets.runs import run_dates

    outcomes: list[DateOutcome] = []
    with console.progress("DBN to gold") as advance:
        advance(0, len(dates))
        for outcome in run_dates(settings, dates, workers):
            outcomes.append(outcome)
            advance(len(outcomes), len(dates))
    outcomes.sort(key=lambda outcome: outcome.trade_date)
    console.table(
        ["trade date", "outcome", "seconds", "run"],
        [[o.trade_date, o.outcome, f"{o.seconds:.1f}", o.run_id[:8]] for o in outcomes],
    )
    for outcome in outcomes:
        for reason in outcome.reasons:
            console.problem(f"{outcome.trade_date} {reason}")
    done = sum(outcome.outcome in ("published", "unchanged") for outcome in outcomes)
    return len(dates) - done


def _run_backfill(settings: Settings, plan: Plan, scope: Scope, workers: int) -> int:
    """Run a backfill and print what became of it.

    Returns:
        The exit code.
    """
    from footprint_assets.backfill import BACKFILL_TAG
    from footprint_assets.runs import run_dates

    console.line(
        f"backfill {plan.id}: {len(scope.dates)} trade dates from {plan.start} to {plan.end}, {len(scope.tables)} tables"
    )
    started = time.perf_counter()
    outcomes: list[DateOutcome] = []
    selected = None if scope.is_whole else scope.tables
    with console.progress("backfill") as advance:
        advance(0, len(scope.dates))
        for outcome in run_dates(settings, scope.dates, workers, selected, {BACKFILL_TAG: plan.id}):
            outcomes.append(outcome)
            advance(len(outcomes), len(scope.dates))
            if not console.is_terminal():
                done = f"{len(outcomes)}/{len(scope.dates)}"
                console.line(f"{done} {outcome.trade_date} {outcome.outcome} {outcome.seconds:.1f} s")
            for reason in outcome.reasons:
                console.problem(f"{outcome.trade_date} {reason}")
    for day, reason in scope.skipped.items():
        console.line(f"skipped {day}: {reason}")
    _print_backfill(outcomes, scope, time.perf_counter() - started)
    left = len(scope.dates) - sum(outcome.outcome != "interrupted" for outcome in outcomes)
    if left:
        console.problem(f"{left} trade dates are left: footprint-assets backfill --resume")
        return INTERRUPTED
    return int(any(outcome.outcome == "failed" for outcome in outcomes))


def _learn_and_report(settings: Settings, months: list[dt.date], tag: str) -> int:
    """Learn months, print what became of them, and give the exit code."""
    from footprint_assets.learn import MonthOutcome, run_months

    outcomes: list[MonthOutcome] = []
    with console.progress("learning") as advance:
        advance(0, len(months))
        for outcome in run_months(settings, months, tag):
            outcomes.append(outcome)
            advance(len(outcomes), len(months))
            for reason in outcome.run.reasons:
                console.problem(f"{outcome.month:%Y-%m} {reason}")
    console.table(
        ["month", "outcome", "seconds", "run", ""],
        [
            [f"{o.month:%Y-%m}", o.run.outcome, f"{o.run.seconds:.1f}", o.run.run_id[:8], o.note]
            for o in outcomes
        ],
    )
    ended = [outcome.run.outcome for outcome in outcomes if outcome.run.outcome != "interrupted"]
    if left := len(months) - len(ended):
        console.problem(f"{left} months are left: footprint-assets learn --resume")
        return INTERRUPTED
    return int("failed" in ended)


def _print_backfill(outcomes: Sequence[DateOutcome], scope: Scope, wall: float) -> None:
    """Print the table at the end of a backfill."""
    count = Counter(outcome.outcome for outcome in outcomes)
    ran = [outcome for outcome in outcomes if outcome.run_id]
    overhead = sum(outcome.seconds - outcome.work_seconds for outcome in ran) / max(len(ran), 1)
    console.table(
        [
            "published",
            "unchanged",
            "failed",
            "skipped",
            "left",
            "wall [s]",
            "overhead a trade date [s]",
            "overhead a partition [s]",
        ],
        [
            [
                count["published"],
                count["unchanged"],
                count["failed"],
                len(scope.skipped),
                len(scope.dates) - len(outcomes) + count["interrupted"],
                f"{wall:.1f}",
                f"{overhead:.2f}",
                f"{overhead / len(scope.tables):.3f}",
            ]
        ],
    )


def _listed(days: Sequence[dt.date]) -> str:
    """Trade dates as people read them, the sessions in between left out."""
    from footprint_assets import calendar as cme

    between = {day: number for number, day in enumerate(cme.sessions(days[0], days[-1]))}
    runs: list[list[dt.date]] = []
    for day in days:
        if runs and between.get(day, -2) == between.get(runs[-1][-1], -9) + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(f"{run[0]}..{run[-1]} ({len(run)})" if run[1:] else str(run[0]) for run in runs)


def _home(home: Path) -> Path:
    """The Dagster home, with a word where its configuration is of an earlier release."""
    from footprint_assets.runs import outdated_config

    if hint := outdated_config(home):
        console.problem(hint)
    return home


def _now(asked: bool) -> dt.datetime | None:
    """This instant, where it is asked what is due by it."""
    return dt.datetime.now(dt.UTC) if asked else None


def _print_findings(rows: Sequence[AuditRow]) -> None:
    failed = [row for row in rows if not row.finding.passed]
    if failed:
        console.table(
            ["trade date", "check", "contract", "severity", "facts"],
            [
                [
                    row.trade_date,
                    row.check.name,
                    row.finding.symbol,
                    row.severity,
                    ", ".join(f"{name}={value}" for name, value in row.finding.facts.items()),
                ]
                for row in failed
            ],
        )
    dates = len({row.trade_date for row in rows})
    console.line(
        f"{len(rows)} findings over {dates} trade dates: {len(rows) - len(failed)} passed, {len(failed)} failed, "
        f"{sum(bool(row.finding.skipped) for row in rows)} of them not judged"
    )


def _as_json(row: AuditRow) -> dict[str, object]:
    return {
        "trade_date": row.trade_date,
        "check": row.check.name,
        "severity": row.severity,
        "symbol": row.finding.symbol,
        "verdict": row.verdict,
        "passed": row.finding.passed,
        "facts": row.finding.facts,
    }


def _ranges(states: Mapping[str, Mapping[str, State]], table: str, state: State) -> str:
    """The partitions of a table in one state, neighbours drawn together."""
    runs = []
    for matches, days in groupby(states, key=lambda day: states[day][table] == state):
        if matches:
            first, *rest = days
            runs.append(f"{first}..{rest[-1]} ({len(rest) + 1})" if rest else str(first))
    return ", ".join(runs)


def _equations(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign:
            raise typer.BadParameter(f"{text!r} is not COLUMN=VALUE.")
        yield name, value


def _of_files(files: Sequence[Path]) -> str:
    size = sum(path.stat().st_size for path in files)
    return f"{len(files)} files, {size / 1e6:.1f} MB of simulated market data in {files[0].parent}"
