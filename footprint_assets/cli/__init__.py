"""The command line. Each command imports what it needs when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

import typer

from footprint_assets import console
from footprint_assets.cli import asking, checking, making, market, pages, project, records
from footprint_assets.errors import FootprintError
from footprint_assets.redaction import redact_logs

COMMANDS = (
    market.sample,
    market.ingest,
    making.run,
    making.backfill,
    making.learn,
    records.prune_runs,
    records.sync_catalog,
    checking.audit,
    checking.validate,
    checking.scrub,
    checking.status,
    asking.show,
    asking.similar,
    asking.predict,
    project.demo,
    project.ui,
    project.docs,
    project.contracts,
)
"""Every command, as ``--help`` lists them; a group of its own are the pages."""
PAGES = (pages.session, pages.footprint, pages.quality, pages.models, pages.setups)

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
for command in COMMANDS:
    app.command()(command)
for command_of_page in PAGES:
    page.command()(command_of_page)
app.add_typer(page, name="page")


def main() -> None:
    """Run the command line; an error of ours is one readable message and exit code 1."""
    redact_logs()
    try:
        app()
    except FootprintError as error:
        console.problem(f"{type(error).__name__}: {error}")
        raise SystemExit(1) from error
