"""The command line. Each command imports what it needs when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

import datetime as dt
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from footprint_assets import console

if TYPE_CHECKING:
    from footprint_assets.runs import DateOutcome
    from footprint_assets.settings import Settings

app = typer.Typer(
    name="footprint-assets",
    help="Databento DBN in, a checked Parquet lake of order-flow tables out.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

Date = Annotated[str, typer.Option(metavar="YYYY-MM-DD")]
OptionalDate = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD")]
JsonFlag = Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")]


def main() -> None:
    """Run the command line; an error of ours is one readable message and exit code 1."""
    from footprint_assets.errors import FootprintError

    try:
        app()
    except FootprintError as error:
        typer.secho(f"{type(error).__name__}: {error}", fg="red", err=True)
        raise SystemExit(1) from error


@app.command()
def sample(
    start: OptionalDate = None,
    end: OptionalDate = None,
    records_per_session: Annotated[
        int | None, typer.Option(min=1000, help="MBP-10 records of the front ES contract.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same bytes.")] = None,
    out: Annotated[Path | None, typer.Option(help="Directory; the drop folder by default.")] = None,
) -> None:
    """Write a simulated market as valid DBN files: MBP-10, trades, definitions, statistics."""
    from footprint_assets import sample as market

    with console.progress("simulating") as advance:
        files = market.write_sample(
            out or _settings().dbn_dir,
            _date(start) or market.DEFAULT_START,
            _date(end) or market.DEFAULT_END,
            market.DEFAULT_RECORDS if records_per_session is None else records_per_session,
            market.DEFAULT_SEED if seed is None else seed,
            progress=advance,
        )
    size = sum(path.stat().st_size for path in files)
    typer.echo(f"{len(files)} files, {size / 1e6:.1f} MB of simulated market data in {files[0].parent}")


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="DBN files, or folders of them.")],
    register: Annotated[
        bool, typer.Option("--register", help="Put accepted files into the drop folder.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Verify DBN files record by record: accepted, quarantined (some rows set aside) or refused."""
    from footprint_assets.ingest import register_file, verdicts

    settings = _settings()
    found = list(verdicts(paths, settings.ingest))
    if register:
        for verdict in found:
            if verdict.status != "refused":
                register_file(verdict.path, settings.dbn_dir)
    if as_json:
        typer.echo(json.dumps([verdict.as_json() for verdict in found], indent=2))
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
    if any(verdict.status == "refused" for verdict in found):
        raise typer.Exit(1)


@app.command()
def run(
    date: Annotated[str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="One trade date.")] = None,
    start: OptionalDate = None,
    end: OptionalDate = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Trade dates at once, each in a process of its own.")
    ] = 1,
) -> None:
    """Run trade dates from DBN to gold, with every check. Without dates: every date the drop folder covers."""
    dates = _dates(_settings(), date, start, end)
    failed = _run_and_report(_settings(), dates, workers)
    raise typer.Exit(1 if failed else 0)


@app.command()
def audit(start: OptionalDate = None, end: OptionalDate = None, as_json: JsonFlag = False) -> None:
    """Run every cross-table check over the published trade dates; exit 1 on an ERROR finding."""
    from footprint_assets.audit import audit as rows_of_audit
    from footprint_assets.resources import Workbench

    rows = list(rows_of_audit(Workbench(_settings()), _date(start), _date(end)))
    if as_json:
        typer.echo(
            json.dumps(
                [
                    {
                        "trade_date": str(row.trade_date),
                        "check": row.check.name,
                        "severity": row.check.severity,
                        "symbol": row.finding.symbol,
                        "passed": row.finding.passed,
                        "facts": row.finding.facts,
                    }
                    for row in rows
                ],
                indent=2,
                default=str,
            )
        )
    else:
        failed = [row for row in rows if not row.finding.passed]
        if failed:
            console.table(
                ["trade date", "check", "contract", "severity", "facts"],
                [
                    [r.trade_date, r.check.name, r.finding.symbol, r.check.severity, dict(r.finding.facts)]
                    for r in failed
                ],
            )
        dates = len({row.trade_date for row in rows})
        typer.echo(
            f"{len(rows)} findings over {dates} trade dates: {len(rows) - len(failed)} passed, {len(failed)} failed"
        )
    if not rows:
        typer.secho("nothing is published in this range", fg="red", err=True)
    if not rows or any(row.is_error for row in rows):
        raise typer.Exit(1)


@app.command()
def status(start: OptionalDate = None, end: OptionalDate = None, as_json: JsonFlag = False) -> None:
    """Show which partitions are current, stale, empty or missing."""
    from footprint_assets.resources import Workbench
    from footprint_assets.status import status as states_of_dates

    states = states_of_dates(Workbench(_settings()), _date(start), _date(end))
    if as_json:
        typer.echo(json.dumps({str(day): tables for day, tables in states.items()}, indent=2))
        return
    keys = list(next(iter(states.values()), {}))
    console.table(
        ["table", *(str(day) for day in states)],
        [[key, *(tables[key] for tables in states.values())] for key in keys],
    )


class View(StrEnum):
    """Which rows ``show`` prints."""

    HEAD = "head"
    TAIL = "tail"


@app.command()
def show(
    table: Annotated[
        str, typer.Argument(help="Dataset key such as silver.future.footprint_bar, or a Parquet file.")
    ],
    date: Annotated[
        str | None, typer.Option("--date", metavar="YYYY-MM-DD", help="Trade date of a lake table.")
    ] = None,
    symbol: Annotated[str | None, typer.Option(help="One contract.")] = None,
    head: Annotated[int | None, typer.Option(min=1, help="First rows.")] = None,
    tail: Annotated[int | None, typer.Option(min=1, help="Last rows.")] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Columns with types, units and documentation.")
    ] = False,
    plot: Annotated[str | None, typer.Option(metavar="COLUMN", help="Draw a numeric column.")] = None,
) -> None:
    """Show rows, the schema or a plot of any lake table or Parquet file."""
    from footprint_assets.show import describe_schema, read_rows, sparkline

    if schema:
        console.table(["column", "type", "null", "unit", "documentation"], describe_schema(table))
        return
    frame = read_rows(_settings(), table, _date(date), symbol, head=head, tail=tail, column=plot)
    if plot:
        typer.echo(sparkline(frame, plot))
    else:
        import polars as pl

        with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_hide_dataframe_shape=False, fmt_str_lengths=40):
            typer.echo(str(frame))


@app.command()
def page(
    date: Date,
    symbol: Annotated[str, typer.Option(help="Contract, such as ESU4.")],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("build/footprint.html"),
    bar_type: Annotated[str, typer.Option(help="Such as time_5m, range_10t, volume_1000.")] = "time_5m",
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Say on the page that the market is simulated.")
    ] = False,
) -> None:
    """Write one self-contained HTML page with the footprint chart of a trade date."""
    from footprint_assets.pages import write_footprint_page

    day = _date(date)
    assert day is not None
    write_footprint_page(_settings(), day, symbol, bar_type, out, simulated=simulated)
    typer.echo(f"wrote {out}")


@app.command()
def demo(records_per_session: Annotated[int | None, typer.Option(min=1000)] = None) -> None:
    """Simulated market -> lake -> audit -> summary and a footprint page, in the folders of the settings."""
    from footprint_assets import demo as steps

    settings = _settings()
    with console.progress("simulating a market") as advance:
        steps.write_market(settings, records_per_session, advance)
    failed = _run_and_report(settings, _dates(settings, None, None, None), workers=1)
    findings, errors = steps.audit_counts(settings)
    typer.echo(f"audit: {findings} findings, {errors} errors")
    console.table(*steps.summary(settings))
    typer.echo(f"footprint page: {steps.write_page(settings)} (the market is simulated)")
    raise typer.Exit(1 if failed or errors else 0)


@app.command()
def ui(port: Annotated[int, typer.Option(min=1, max=65535)] = 3000) -> None:
    """Open the Dagster UI on 127.0.0.1 with its daemon."""
    from footprint_assets.ui import serve

    raise typer.Exit(serve(_settings(), port))


def _settings() -> Settings:
    from footprint_assets.settings import Settings

    return Settings.from_env()


def _date(text: str | None) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a date; write YYYY-MM-DD") from error


def _dates(settings: Settings, date: str | None, start: str | None, end: str | None) -> list[dt.date]:
    """The trade dates a command speaks of."""
    from footprint_assets import calendar as cme
    from footprint_assets.resources import Workbench

    if date is not None:
        day = _date(date)
        assert day is not None
        return [cme.session(day).trade_date]
    first, last = _date(start), _date(end)
    if first is not None and last is not None:
        return cme.sessions(first, last)
    dates = Workbench(settings).covered_dates(first, last)
    if not dates:
        raise typer.BadParameter(
            f"no MBP-10 or trades file in {settings.dbn_dir}; see footprint-assets sample or ingest"
        )
    return dates


def _run_and_report(settings: Settings, dates: list[dt.date], workers: int) -> int:
    from footprint_assets.runs import run_dates

    outcomes: list[DateOutcome] = []
    with console.progress("DBN to gold", total=len(dates)) as advance:
        for outcome in run_dates(settings, dates, workers):
            outcomes.append(outcome)
            advance(1)
    console.table(
        ["trade date", "outcome", "seconds", "run", "reasons"],
        [
            [o.trade_date, o.outcome, f"{o.seconds:.1f}", o.run_id[:8], "\n".join(o.reasons)]
            for o in sorted(outcomes, key=lambda o: o.trade_date)
        ],
    )
    return sum(outcome.outcome == "failed" for outcome in outcomes)
