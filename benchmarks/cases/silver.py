"""The clean book: ours beside the three engines' shortest honest way to distinct rows in event order, on disk.

Ours also tells apart what every change of size was, numbers the events, validates, hashes and publishes; the peers only
drop repeated rows, sort and write.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.market import BRONZE, CLEAN, Data, publish
from benchmarks.model import Case, Facts, Line, Prepared, Side, faster, ratio

_ORDER = ("ts_event", "sequence", "record_index")


@contextmanager
def ours(data: Data) -> Prepared:
    """The asset ``silver.future.market_by_price_10_clean``."""
    with data.lake_with([BRONZE]) as lake:
        settings = data.settings(lake)
        yield (
            lambda: publish(settings, CLEAN),
            lambda _: facts_of(lake.rglob("table=market_by_price_10_clean/**/*.parquet")),
        )


@contextmanager
def polars(data: Data) -> Prepared:
    """Scan, unique, sort, sink."""
    import polars as pl

    with data.scratch() as folder:
        out = folder / "clean.parquet"

        def work() -> None:
            scan = pl.scan_parquet(data.parts(BRONZE), hive_partitioning=False)
            scan.unique(maintain_order=False).sort(_ORDER).sink_parquet(
                out, compression="zstd", compression_level=1
            )

        yield work, lambda _: facts_of(folder.glob("*.parquet"))


@contextmanager
def duckdb(data: Data) -> Prepared:
    """``COPY (SELECT DISTINCT ... ORDER BY ...)``."""
    import duckdb as engine

    with data.scratch() as folder:
        parts = [str(part) for part in data.parts(BRONZE)]
        query = (
            f"COPY (SELECT DISTINCT * FROM read_parquet({parts}) ORDER BY {', '.join(_ORDER)}) "  # noqa: S608 - our own paths
            f"TO '{folder / 'clean.parquet'}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        )
        connection = engine.connect(config={"temp_directory": str(folder)})
        yield lambda: connection.execute(query), lambda _: facts_of(folder.glob("*.parquet"))


@contextmanager
def pandas(data: Data) -> Prepared:
    """``read_parquet``, ``drop_duplicates``, ``sort_values``, ``to_parquet``."""
    import pandas as pd

    with data.scratch() as folder:

        def work() -> None:
            frame = pd.concat([pd.read_parquet(part, partitioning=None) for part in data.parts(BRONZE)])
            frame = frame.drop_duplicates().sort_values(list(_ORDER))
            frame.to_parquet(folder / "clean.parquet", compression="zstd")

        yield work, lambda _: facts_of(folder.glob("*.parquet"))


def facts_of(files: Iterator[Path]) -> Facts:
    """Rows, contracts, and whether they stand in event order."""
    import polars as pl

    frame = pl.scan_parquet(list(files), hive_partitioning=False)
    rows, contracts = (
        frame.select(pl.len().alias("rows"), pl.col("size").cast(pl.Int64).sum()).collect().row(0)
    )
    order = frame.select(pl.col("ts_event").is_sorted().alias("sorted")).collect().item()
    return {"rows": rows, "contracts": contracts, "in_order": order}


CASE = Case(
    "silver",
    "Bronze to the clean book",
    (
        Side("ours", ours),
        Side("polars", polars, needs_gb=6.0),
        Side("DuckDB", duckdb, rounds=1, needs_gb=8.0),
        Side("pandas", pandas, rounds=1, needs_gb=14.0),
    ),
    (
        faster("clean book: wall, polars / ours", "polars", 2.0),
        Line(
            "clean book: growth of memory, polars / ours",
            ratio(("polars", "growth_mb"), ("ours", "growth_mb")),
            6.0,
            ours=("ours", "growth_mb"),
            peer=("polars", "growth_mb"),
        ),
        faster("clean book: CPU, polars / ours", "polars", None, of="cpu_s"),
        faster("clean book: wall, DuckDB / ours", "DuckDB", None),
        faster("clean book: wall, pandas / ours", "pandas", None),
    ),
    agree=("rows", "contracts", "in_order"),
)
