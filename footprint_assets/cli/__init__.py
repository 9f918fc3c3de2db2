"""The command line. Each command imports what it needs when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

import errno
import sys

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


NOT_OURS = (errno.EACCES, errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.EPERM, errno.EROFS)
"""What a file system says that is no fault of the program."""


class DiskRefuses(FootprintError):  # noqa: N818 - names the fact a reader meets
    """A file cannot be read or written: the disk is full, read-only or broken, or the file is somebody else's."""


class DagsterStorageRefuses(FootprintError):  # noqa: N818 - names the fact a reader meets
    """The database in which Dagster keeps its runs cannot be used."""


def main() -> None:
    """Run the command line; what a person can mend is one readable message and exit code 1."""
    redact_logs()
    try:
        app()
    except Exception as error:
        if (known := _known(error)) is None:
            raise
        console.problem(f"{type(known).__name__}: {known}")
        raise SystemExit(1) from error


def _known(error: Exception) -> FootprintError | None:
    """An error a person can act on; ``None`` where it is a fault of the program."""
    if isinstance(error, FootprintError):
        return error
    if isinstance(error, OSError) and error.errno in NOT_OURS:
        return DiskRefuses(
            "The file system refuses a file.",
            where={"file": error.filename, "error": error.strerror},
            remedy="free space, or choose a folder that you may write; what is published is as it was.",
        )
    database = sys.modules.get("sqlalchemy.exc")  # loaded where there is a database that may have failed
    for cause in (error, error.__cause__, error.__context__):
        if database and isinstance(cause, database.OperationalError):
            return DagsterStorageRefuses(
                "Dagster cannot use the database of its runs.",
                where={"error": " ".join(str(cause.orig).split())},
                remedy="look at the disk of DAGSTER_HOME, or at DAGSTER_POSTGRES_URL; the lake is as it was.",
            )
    return None
