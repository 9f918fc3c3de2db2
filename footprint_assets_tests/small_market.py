"""A market of a few hundred records as DBN files, and lakes made of it in a second or two.

Two ES expiries and NQ, traded from the evening open to the close, each trade also in a ten-level book. What the rows
say is ordinary, so that a test changes the one thing it is about.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.assets import tables_with
from footprint_assets.lake import Lake, Lineage
from footprint_assets.resources import Workbench
from footprint_assets.settings import LevelSettings, Settings
from footprint_assets.tables import LakeTable, Scope, Staged, passes, stage_pass
from footprint_assets_tests.sources.dbn_files import DAY_NS, control, metadata, records, write, zst

Records = np.ndarray[Any, Any]
TICK = 250_000_000
SCHEMAS = ("trades", "mbp-10", "definition", "statistics")
EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True)
class Contract:
    """A future of the small market.

    Args:
        symbol: Raw symbol.
        instrument_id: The venue's id.
        tick: Price of the first trade, ticks.
        trades: Trades a trade date.
    """

    symbol: str
    instrument_id: int
    tick: int
    trades: int


ES_JUNE = Contract("ESM5", 4916, 23_800, 120)
ES_SEPTEMBER = Contract("ESU5", 14160, 24_000, 20)
NQ_JUNE = Contract("NQM5", 4378, 86_000, 60)
MARKET = (ES_JUNE, ES_SEPTEMBER, NQ_JUNE)
DAY = dt.date(2025, 6, 4)  # a Wednesday
NEXT = dt.date(2025, 6, 5)
THIRD = dt.date(2025, 6, 6)
TABLES = tables_with(LevelSettings().pipelines)
"""The tables of the settings as they come."""
KEYS = tuple(table.key for table in TABLES)
BY_KEY = {table.key: table for table in TABLES}


def with_what_is_made_of(keys: Iterable[str]) -> set[str]:
    """Tables and everything made of them at the same trade date."""
    found = set(keys)
    for table in TABLES:  # each after its inputs
        if found.intersection(table.inputs.values()):
            found.update(table.pass_keys)
    return found


def records_of(contract: Contract, day: dt.date) -> dict[str, Records]:
    """The records of one contract and trade date, by schema, in receive order."""
    rng = np.random.default_rng([contract.instrument_id, day.toordinal()])
    session, count = cme.session(day), contract.trades
    minute = 60 * 10**9
    at = np.concatenate(
        [
            session.open_ns + rng.integers(minute, 15 * 60 * minute, count - count // 2),
            session.rth_open_ns + rng.integers(minute, 6 * 60 * minute, count // 2),
        ]
    )
    at.sort()
    side = rng.choice(np.array([b"A", b"B", b"N"]), count, p=[0.47, 0.47, 0.06])
    size = rng.integers(1, 40, count)
    bid = contract.tick + np.cumsum(rng.integers(-2, 3, count))
    at[5], side[5], size[5], bid[5] = at[4], side[4], size[4], bid[4]  # two fills of one order at one price
    tick = bid + (side == b"B")

    book = records(
        "mbp-10", 3 * count, instrument=contract.instrument_id
    )  # trade, what it took, what came back
    book["ts_event"] = np.repeat(at, 3)
    book["ts_event"][2::3] += 1000
    book["ts_event"][14] = at[4]
    book["sequence"] = np.repeat(np.arange(count), 3) * 4 + np.tile([0, 1, 2], count)
    book["sequence"][15:18] = book["sequence"][12:15]  # both fills are of one event
    book["action"], book["size"] = np.tile(np.array([b"T", b"C", b"A"]), count), np.repeat(size, 3)
    resting = np.where(side == b"B", b"A", b"B")
    book["side"] = np.stack([side, resting, resting], axis=1).ravel()
    book["price"] = np.repeat(tick, 3) * TICK
    book["flags"] = np.tile([0, 0x80, 0x80], count)
    for level in range(10):
        book[f"bid_px_{level:02d}"] = (np.repeat(bid, 3) - level) * TICK
        book[f"ask_px_{level:02d}"] = (np.repeat(bid, 3) + 1 + level) * TICK
        for name in ("bid", "ask"):
            book[f"{name}_sz_{level:02d}"], book[f"{name}_ct_{level:02d}"] = 60 + 10 * level, 12 + level
    taken = np.where(np.arange(3 * count) % 3 == 1, np.repeat(size, 3), 0).astype(np.uint32)
    book["bid_sz_00"] -= np.where(np.repeat(side != b"B", 3), taken, 0).astype(np.uint32)
    book["ask_sz_00"] -= np.where(np.repeat(side == b"B", 3), taken, 0).astype(np.uint32)
    book["ts_recv"] = book["ts_event"] + 15_000

    trades = records("trades", count, instrument=contract.instrument_id)
    for name in ("ts_event", "ts_recv", "sequence", "price", "size", "side"):
        trades[name] = book[name][::3]

    definition = records("definition", 1, instrument=contract.instrument_id)
    definition["raw_symbol"], definition["asset"] = contract.symbol.encode(), contract.symbol[:-2].encode()
    definition["maturity_year"] = 2025
    definition["maturity_month"] = {"M": 6, "U": 9}[contract.symbol[-2]]
    definition["expiration"] = _ns(dt.date(2025, 12, 31))
    definition["activation"] = _ns(dt.date(2024, 1, 1))
    definition["ts_event"] = session.open_ns + minute
    definition["ts_recv"] = definition["ts_event"] + 1000

    statistics = records("statistics", 1, instrument=contract.instrument_id)
    statistics["price"], statistics["ts_ref"] = tick[-1] * TICK, _ns(day)
    statistics["ts_event"] = session.rth_close_ns + minute
    statistics["ts_recv"] = statistics["ts_event"] + 1000
    return {"trades": trades, "mbp-10": book, "definition": definition, "statistics": statistics}


def records_by_schema(dates: Iterable[dt.date], market: Iterable[Contract] = MARKET) -> dict[str, Records]:
    """The records of a market over some trade dates, by schema, in receive order."""
    parts = [records_of(contract, day) for day in dates for contract in market]
    return {schema: in_receive_order(np.concatenate([part[schema] for part in parts])) for schema in SCHEMAS}


def in_receive_order(rows: Records) -> Records:
    """The records as a file holds them."""
    return rows[np.argsort(rows["ts_recv"], kind="stable")]


def write_file(
    folder: Path,
    schema: str,
    rows: Records,
    start: dt.date,
    end: dt.date,
    *,
    market: Iterable[Contract] = MARKET,
    name: str = "",
) -> Path:
    """Write one file of the UTC days ``[start, end)``.

    Args:
        folder: The drop folder.
        schema: DBN schema.
        rows: The records of any time; those received in the UTC days are written.
        start: First UTC day.
        end: UTC day after the last.
        market: The contracts of the header's mappings.
        name: File name; the vendor's own where empty.
    """
    start_ns, end_ns = _ns(start), _ns(end)
    kept = rows[(rows["ts_recv"] >= start_ns) & (rows["ts_recv"] < end_ns)]
    mappings = [(c.symbol, ((start, end, str(c.instrument_id)),)) for c in market]
    header = metadata(
        schema, start=start_ns, end=end_ns, symbols=[symbol for symbol, _ in mappings], mappings=mappings
    )
    folder.mkdir(parents=True, exist_ok=True)
    return write(folder, zst(header + kept.tobytes()), name or f"glbx-mdp3-{start:%Y%m%d}.{schema}.dbn.zst")


def write_live(folder: Path, rows: Mapping[str, Records], market: Iterable[Contract] = MARKET) -> Path:
    """Write a live recording: no input symbology, no end, mapping messages first, then every schema by receive time."""
    messages = [control(22, symbol=c.symbol.encode(), instrument=c.instrument_id) for c in market]
    timed = sorted(
        (int(row["ts_recv"]), at, row.tobytes()) for at, some in enumerate(rows.values()) for row in some
    )
    header = metadata(None, start=timed[0][0], end=None, stype_in=None, symbols=[], mappings=[])
    folder.mkdir(parents=True, exist_ok=True)
    return write(folder, zst(header + b"".join([*messages, *(raw for _, _, raw in timed)])), "live.dbn.zst")


def write_drop(
    folder: Path,
    dates: Iterable[dt.date] = (DAY,),
    schemas: Iterable[str] = SCHEMAS,
    market: Iterable[Contract] = MARKET,
) -> Path:
    """Write the UTC-day files of some trade dates, as the vendor delivers them."""
    days, contracts_ = list(dates), list(market)
    rows = records_by_schema(days, contracts_)
    for utc_day in sorted({utc for day in days for utc in cme.utc_days(day)}):
        for schema in schemas:
            write_file(folder, schema, rows[schema], utc_day, utc_day + dt.timedelta(1), market=contracts_)
    return folder


def settings_of(root: Path, **changes: Any) -> Settings:
    """Settings whose lake and drop folder lie under a directory."""
    return Settings(_env_file=None, lake_root=root / "lake", dbn_dir=root / "dbn", **changes)


def build_lake(settings: Settings, *dates: dt.date, tables: Iterable[LakeTable] = TABLES) -> dict[str, str]:
    """Compute and publish tables of trade dates without Dagster.

    Returns:
        ``table dt`` to ``published`` or ``unchanged``.
    """
    bench, outcome = Workbench(settings), {}
    for day in dates:
        scope = Scope.of(day, bench)
        for together in passes(tables):
            inputs = together[0].open_inputs(scope)
            for table, made in zip(together, stage_pass(together, scope, inputs, "run"), strict=True):
                if isinstance(made, Staged):
                    made.stage.publish()
                outcome[f"{table.key} {day}"] = "published" if isinstance(made, Staged) else "unchanged"
    return outcome


def republish(
    lake: Lake,
    table: str,
    day: dt.date,
    frames: Mapping[str, pl.DataFrame],
    *,
    lineage: Lineage | None = None,
    schema: pa.Schema | None = None,
    counted: bool = True,
) -> None:
    """Publish altered rows past the contract's checks, as a faulty program might.

    Args:
        lake: The lake.
        table: Dataset key.
        day: Trade date.
        frames: Every contract's rows in contract types.
        lineage: What the rows claim to be made of; what the published ones are where ``None``.
        schema: Arrow schema with the contract's identity; today's where ``None``.
        counted: Whether the rows are accounted for.
    """
    known = next(iter(lake.manifests(table, day).values())).lineage
    schema = schema or contracts.load(table).arrow_schema
    with lake.stage(table, day, lineage=lineage or known, schema=schema) as stage:
        for symbol, frame in frames.items():
            stage.write(symbol, frame)
            stage.count(symbol, rows_in=frame.height if counted else 0)
        stage.publish()


def rows(lake: Lake, table: str, day: dt.date = DAY) -> dict[str, pl.DataFrame]:
    """The published rows, by contract."""
    with lake.read(table, day) as snapshot:
        return {partition.symbol: partition.frame() for partition in snapshot}


def files_of(lake: Lake, table: str = "", day: dt.date | None = None) -> dict[str, str]:
    """sha256 of every published file, by its path in the lake; of one table or date where named."""
    wanted_table, wanted_day = f"table={table.rpartition('.')[2]}", f"dt={day}"
    return {
        path.relative_to(lake.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for layer in ("bronze", "silver", "gold", "ml")
        for path in sorted((lake.root / layer).rglob("*"))
        if path.is_file()
        and (not table or wanted_table in path.parts)
        and (day is None or wanted_day in path.parts)
    }


def _ns(day: dt.date) -> int:
    return (day - EPOCH).days * DAY_NS
