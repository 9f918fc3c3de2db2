"""Commands that bring market data: simulated, or files that are verified."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from footprint_assets import console
from footprint_assets.cli.common import End, Json, Records, Start, settings_of_environment


class Market(StrEnum):
    """What is known about levels in a simulated market."""

    plain = "plain"
    known_edge = "known-edge"
    null = "null"


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
            out or settings_of_environment().dbn_dir,
            start or market.DEFAULT_START,
            end or market.DEFAULT_END,
            market.DEFAULT_RECORDS if records_per_session is None else records_per_session,
            market.DEFAULT_SEED if seed is None else seed,
            progress=lambda _, done, total: advance(done, total),
            mode=mode.value,
        )
    console.line(of_files(files))


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
    from footprint_assets.arrivals import trade_dates, why_it_has_no_date
    from footprint_assets.resources import Workbench

    settings = settings_of_environment()
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
        for entry in Workbench(settings).catalog().entries:
            if entry.problem is None and entry.path in kept and not trade_dates(entry):
                typer.echo(f"{entry.name} is not read: {why_it_has_no_date(entry)}.", err=as_json)
    raise typer.Exit(1 if refused else 0)


def of_files(files: Sequence[Path]) -> str:
    """How much simulated market there is now, and where."""
    size = sum(path.stat().st_size for path in files)
    return f"{len(files)} files, {size / 1e6:.1f} MB of simulated market data in {files[0].parent}"
