"""A small contract and rows of it, for every test of the lake."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa

from footprint_assets.lake import Lake, Lineage, Publication

TABLE = "silver.future.trades_clean"
DAY = dt.date(2025, 6, 5)
OPEN_NS = 1_749_160_800_000_000_000  # 2025-06-05 18:00 in New York
SIDES = ("A", "B", "N")

SCHEMA = pa.schema(
    [
        pa.field("ts_event", pa.timestamp("ns", "UTC"), nullable=False),
        pa.field("ts_event_est", pa.timestamp("ns", "America/New_York"), nullable=False),
        pa.field("session_date", pa.date32(), nullable=False),
        pa.field("symbol", pa.large_string(), nullable=False),
        pa.field("price", pa.int64(), nullable=False, metadata={"unit": "1e-9 pts"}),
        pa.field("bid_px", pa.int64(), metadata={"unit": "1e-9 pts"}),
        pa.field("size", pa.int64(), nullable=False, metadata={"unit": "contracts"}),
        pa.field("mid_px", pa.float64(), metadata={"unit": "pts"}),
        pa.field(
            "side",
            pa.dictionary(pa.uint8(), pa.large_string(), ordered=True),
            nullable=False,
            metadata={"_PL_ENUM_VALUES2": "".join(f"{len(side)};{side}" for side in SIDES)},
        ),
    ],
    metadata={
        "contract": TABLE,
        "contract_version": "1.0.0",
        "contract_sha256": "f" * 64,
        "price_unit": "1e-9 pts, pts",
    },
)
LINEAGE = Lineage(code_version="1", config_hash="c", run_id="run")


def rows(symbol: str, count: int = 200, size: int = 1) -> pa.Table:
    """Trades of one symbol; every second bid is absent; ``size`` tells generations apart."""
    instants = pa.array(range(OPEN_NS, OPEN_NS + count), pa.int64())
    columns = [
        instants.cast(pa.timestamp("ns", "UTC")),
        instants.cast(pa.timestamp("ns", "America/New_York")),
        pa.array([DAY] * count, pa.date32()),
        pa.array([symbol] * count, pa.large_string()),
        pa.array([6_000_250_000_000 + 250_000_000 * (i % 40) for i in range(count)], pa.int64()),
        pa.array([6_000_000_000_000 if i % 2 else None for i in range(count)], pa.int64()),
        pa.array([size] * count, pa.int64()),
        pa.array([6_000.125 if i % 2 else None for i in range(count)], pa.float64()),
        pa.DictionaryArray.from_arrays(
            pa.array([i % 3 for i in range(count)], pa.uint8()),
            pa.array(SIDES, pa.large_string()),
            ordered=True,
        ),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def publish(
    lake: Lake, sizes: dict[str, int], count: int = 200, lineage: Lineage = LINEAGE, day: dt.date = DAY
) -> Publication:
    """Publish rows of the given sizes, by symbol."""
    with lake.stage(TABLE, day, lineage=lineage, schema=SCHEMA) as stage:
        for symbol, size in sizes.items():
            stage.write(symbol, rows(symbol, count, size))
        return stage.publish()


def published(lake: Lake) -> dict[str, int]:
    """Symbol to size of what a reader of every symbol sees, each partition hashed and of one generation."""
    found = {}
    with lake.read(TABLE, DAY, verify="sha256") as snapshot:
        for partition in snapshot:
            # pyarrow, not polars: the crash tests read in forked children by the hundred.
            (size,) = {
                value for batch in partition.batches(["size"]) for value in batch.column(0).to_pylist()
            }
            found[partition.symbol] = size
    return found
