"""Commands about the whole: the demonstration, the UI, and what is generated of the code."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from footprint_assets import console
from footprint_assets.cli.common import Records, settings_of_environment
from footprint_assets.cli.making import INTERRUPTED, run_and_report
from footprint_assets.cli.market import of_files


def demo(records_per_session: Records = None) -> None:
    """Simulated market, lake, audit, summary and HTML pages, in the folders of the settings."""
    from footprint_assets import demo as steps

    settings = settings_of_environment()
    with console.progress("simulating a market") as advance:
        files = steps.write_market(settings, records_per_session, advance)
    console.line(of_files(files))
    failed = run_and_report(settings, steps.dates(), workers=1)
    if failed == INTERRUPTED:
        raise typer.Exit(INTERRUPTED)
    findings, errors = steps.audit_counts(settings)
    console.line(f"audit: {findings} findings, {errors} errors")
    console.table(*steps.summary(settings))
    console.line(f"pages of the simulated market: {', '.join(map(str, steps.write_pages(settings)))}")
    raise typer.Exit(1 if failed or errors else 0)


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

    raise typer.Exit(
        serve(settings_of_environment(), port, host, read_only=read_only, anyone_may_run=anyone_may_run)
    )


def docs(
    out: Annotated[Path, typer.Option(help="The folder of the documentation.")] = Path("docs"),
) -> None:
    """Write the generated documentation: one page a table, the checks, the settings, the errors."""
    from footprint_assets.table_docs import write_pages

    console.line(f"wrote {len(write_pages(out))} pages in {out}")


def contracts(
    out: Annotated[Path, typer.Option(help="The folder of the contracts.")] = Path("contracts"),
) -> None:
    """Write the generated contracts, of the wide gold tables, and the schema of the features, features.json."""
    from footprint_assets.feature_schema import write_schema
    from footprint_assets.gold_contracts import write_contracts

    written = [*write_contracts(out), write_schema(out)]
    console.line(f"wrote {len(written)} files in {out}")
