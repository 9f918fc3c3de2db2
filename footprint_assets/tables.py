"""A lake table: the function that computes it, and everything that decides what is published.

Compute, validate, stage: the rows of one partition flow through here whoever asks for them (a Dagster run, the command
line, a notebook). Most tables have a partition a trade date (:class:`LakeTable`); those of `months` have one a calendar
month. Nothing here knows Dagster.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import inspect
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import polars as pl
from pydantic import BaseModel

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.background import ahead
from footprint_assets.code_version import code_version
from footprint_assets.errors import FootprintError
from footprint_assets.lake import (
    InputRef,
    Lake,
    Lineage,
    Manifest,
    Partition,
    PartitionMissing,
    PartitionUnreadable,
    SourceRef,
    Stage,
    remedy_for,
)
from footprint_assets.resources import Workbench
from footprint_assets.settings import PRICE_SCALE, Settings
from footprint_assets.sources.instruments import Outright, parse_symbol

COLUMNS_NAMED = 5
"""Columns an error names."""


class TooManyQuarantined(FootprintError):  # noqa: N818 - names the fact a reader meets
    """More rows were set aside than the settings allow."""


class PartitionOutdated(PartitionUnreadable):
    """A published partition was made under an older contract: it lacks a column of today's."""


class PartitionScope(Protocol):
    """What it takes to make one partition, whatever span of time it is of."""

    @property
    def bench(self) -> Workbench:
        """The settings, the lake and the drop folder."""

    @property
    def settings(self) -> Settings:
        """The settings of the run."""

    @property
    def partition_date(self) -> dt.date:
        """The date the partition has in the lake, its ``dt``."""

    def facts(self) -> Mapping[str, object]:
        """What the numbers depend on beside inputs, settings and code."""


S = TypeVar("S", bound=PartitionScope)


@dataclass(frozen=True)
class Scope:
    """What a table's function may know besides its inputs.

    Args:
        session: The trade date's session.
        bench: The settings, the lake and the drop folder.
        symbol: The contract a per-contract function works on; empty where it sees all of them.
    """

    session: cme.Session
    bench: Workbench
    symbol: str = ""

    @classmethod
    def of(cls, trade_date: dt.date, bench: Workbench) -> Scope:
        """The scope of one trade date."""
        return cls(cme.session(trade_date), bench)

    @property
    def trade_date(self) -> dt.date:
        """The partition's CME trade date."""
        return self.session.trade_date

    @property
    def partition_date(self) -> dt.date:
        """The date of the partition in the lake: the trade date."""
        return self.trade_date

    @property
    def settings(self) -> Settings:
        """The settings of the run."""
        return self.bench.settings

    def facts(self) -> Mapping[str, object]:
        """What the numbers depend on beside inputs, settings and code: the session's hours."""
        return {"session": asdict(self.session)}

    def of_contract(self, symbol: str) -> Scope:
        """The same trade date, one contract."""
        return replace(self, symbol=symbol)

    @property
    def root(self) -> str:
        """The contract's product root."""
        outright = parse_symbol(self.symbol, self.trade_date)
        assert isinstance(outright, Outright), f"{self.symbol!r} is no outright future"
        return outright.root

    @property
    def tick_size_nanos(self) -> int:
        """The contract's minimum price increment, 1e-9 points."""
        return self.settings.roots[self.root].tick_size_nanos

    @property
    def tick_size(self) -> float:
        """The contract's minimum price increment, points."""
        return self.tick_size_nanos / PRICE_SCALE


@dataclass(frozen=True)
class Batch:
    """Some rows of one contract, or only facts about it.

    Args:
        symbol: The contract the rows belong to.
        frame: The rows; ``None`` declares the contract, with no rows yet.
        table: Dataset key the rows belong to; may be empty where the pass gives one table.
        part: Number of the Parquet part the rows go to (bronze: one part a source file).
        rows_in: Rows read to make them, for the conservation equation.
        filtered: Rows left out, by named rule.
        quarantined: Rows set aside with their reason.
        notes: Facts for the manifest.
        is_last: Whether nothing more comes of the contract in this table: its files can be closed.
    """

    symbol: str
    frame: pl.DataFrame | None = None
    table: str = ""
    part: int = 0
    rows_in: int = 0
    filtered: Mapping[str, int] = field(default_factory=dict)
    quarantined: tuple[Mapping[str, object], ...] = ()
    notes: Mapping[str, object] = field(default_factory=dict)
    is_last: bool = False


@dataclass(frozen=True)
class TableInput:
    """One table at one or several dates of its partitions, opened only when its rows are needed.

    Args:
        lake: The lake it is read from.
        table: Dataset key, such as ``silver.future.trades_clean``.
        dates: The trade dates, or first days of months; several for a look-back.
        optional: Whether a date that is not published reads as no rows (look-backs) or raises.
    """

    lake: Lake
    table: str
    dates: tuple[dt.date, ...]
    optional: bool = False

    def manifests(self) -> dict[tuple[dt.date, str], Manifest]:
        """The manifest a reader would see now, by trade date and contract.

        Raises:
            PartitionMissing: A trade date is not published and the input is not optional.
        """
        found: dict[tuple[dt.date, str], Manifest] = {}
        for day in self.dates:
            published = self.lake.manifests(self.table, day)
            if not published and not self.optional:
                raise PartitionMissing(
                    f"{self.table} is not published for {day}.",
                    where={"table": self.table, "dt": day},
                    remedy=remedy_for(self.table, day),
                )
            found |= {(day, symbol): manifest for symbol, manifest in sorted(published.items())}
        return found

    def refs(self) -> tuple[InputRef, ...]:
        """The generations a reader would see now."""
        return tuple(manifest.ref() for manifest in self.manifests().values())

    def symbols(self) -> list[str]:
        """The contracts published."""
        return sorted({symbol for _, symbol in self.manifests()})

    def frame(
        self,
        symbol: str | None = None,
        columns: Sequence[str] | None = None,
        where: pl.Expr | None = None,
    ) -> pl.DataFrame:
        """The rows in contract types, in date order.

        Args:
            symbol: One contract; all of them where ``None``.
            columns: Columns to read; all where ``None``.
            where: Which rows to read; all where ``None``.

        Returns:
            The rows; none where nothing is published and the input is optional.

        Raises:
            PartitionOutdated: A partition lacks a column of the contract.
        """
        schema = contracts.load(self.table).polars_schema
        names = list(columns or schema)
        frames = []
        for day, published in self.manifests():
            if symbol in (None, published):
                with self.lake.read(self.table, day, published) as partition, _of_contract(partition, names):
                    frames.append(partition.frame(names, where=where))
        # Without an empty frame beside them: its columns cost more than the rows of a wide table.
        return pl.concat(frames) if frames else pl.DataFrame(schema={name: schema[name] for name in names})

    def frames(self, symbol: str, columns: Sequence[str] | None = None) -> Iterator[pl.DataFrame]:
        """The rows of one contract at the input's only trade date, frame by frame, in contract types.

        Args:
            symbol: The contract.
            columns: Columns to read; all where ``None``.

        Raises:
            PartitionOutdated: The partition lacks a column of the contract.
        """
        names = list(columns or contracts.load(self.table).polars_schema)
        with self.open(symbol) as partition, _of_contract(partition, names):
            yield from partition.frames(names)

    def open(self, symbol: str) -> Partition:
        """The pinned partition of one contract at the input's only trade date, for streaming."""
        (day,) = self.dates
        return self.lake.read(self.table, day, symbol)


@contextmanager
def _of_contract(partition: Partition, names: Sequence[str]) -> Iterator[None]:
    """Tell a partition made under an older contract from a mistaken query, once a column is not found."""
    try:
        yield
    except (pl.exceptions.ColumnNotFoundError, KeyError) as error:
        known = set(partition.schema.names)
        missing = [name for name in contracts.load(partition.table).polars_schema if name not in known]
        if not set(names) & set(missing):
            raise
        raise PartitionOutdated(
            "A partition was made under an older contract and lacks columns of today's.",
            where={
                "table": partition.table,
                "dt": partition.dt,
                "symbol": partition.symbol,
                "columns": ", ".join(missing[:COLUMNS_NAMED]) + (", …" if missing[COLUMNS_NAMED:] else ""),
            },
            remedy=remedy_for(partition.table, partition.dt),
        ) from error


@dataclass(frozen=True)
class Staged:
    """A table's rows of one partition, validated and written aside, waiting to be published.

    Args:
        stage: Where they wait.
        rows: Their number.
        seconds: How long their pass took.
    """

    stage: Stage
    rows: int
    seconds: float = 0.0


@dataclass(frozen=True)
class Unchanged:
    """The published partition already is what this code would make of these inputs."""

    table: str
    date: dt.date


def no_sources(_: PartitionScope) -> tuple[SourceRef, ...]:
    """The sources of a table made from other tables."""
    return ()


@dataclass(frozen=True)
class Table(ABC, Generic[S]):
    """One table of the lake, whatever span of time its partitions are of.

    Tables that one pass over the inputs gives together differ in nothing but their key.

    Args:
        key: Dataset key; asset key, lake path and contract follow from it.
        function: ``(scope, **inputs) -> Iterable[Batch]``, the rows of every contract of the partition.
        code: The function whose code decides the code version.
        inputs: Input name to dataset key, read at the same partition.
        lookback: Input name to dataset key, read at the partitions before.
        config: The settings groups the numbers depend on.
        sources: The source files of a partition (bronze).
        together: Dataset keys of every table the pass gives, in the order they are published; empty where it gives this
            table alone.
    """

    key: str
    function: Callable[..., Iterable[Batch]]
    code: Callable[..., object]
    inputs: Mapping[str, str] = field(default_factory=dict)
    lookback: Mapping[str, str] = field(default_factory=dict)
    config: Callable[[Settings], tuple[BaseModel, ...]] = lambda _: ()
    sources: Callable[[S], tuple[SourceRef, ...]] = no_sources
    together: tuple[str, ...] = ()

    @abstractmethod
    def open_inputs(self, scope: S) -> dict[str, TableInput]:
        """Every input of a partition as a lazy handle."""

    @cached_property
    def contract(self) -> contracts.Contract:
        """The table's contract."""
        return contracts.load(self.key)

    @property
    def pass_keys(self) -> tuple[str, ...]:
        """Dataset keys of every table of the pass, this one included, in the order they are published."""
        return self.together or (self.key,)

    @property
    def comes_after(self) -> set[str]:
        """Dataset keys of what must be published, by the same run or before, when this pass begins."""
        return set(self.inputs.values())

    @property
    def description(self) -> str:
        """What a row is, where a pass gives several tables, and what the function says of itself."""
        words = [self.contract.doc] if self.together else []
        return "\n\n".join([*words, inspect.getdoc(self.code) or ""])

    def lineage(self, scope: S, inputs: Mapping[str, TableInput], run_id: str = "") -> Lineage:
        """What the partition would be made of today: inputs, files, code, settings and the scope's facts."""
        groups = [
            group.model_dump(mode="json", exclude=set(getattr(group, "chooses_tables", ())) or None)
            for group in self.config(scope.settings)
        ]
        known = {"settings": groups, **scope.facts()}
        return Lineage(
            inputs=tuple(ref for table in inputs.values() for ref in table.refs()),
            sources=self.sources(scope),
            code_version=code_version(self.code),
            config_hash=hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()[
                :16
            ],
            run_id=run_id,
        )

    def is_current(self, scope: S) -> bool:
        """Whether the published partition is what this code would make of today's inputs and sources."""
        try:
            lineage = self.lineage(scope, self.open_inputs(scope))
        except (PartitionMissing, PartitionUnreadable):
            return False
        return scope.bench.lake.is_current(self.key, scope.partition_date, lineage, self.contract.fingerprint)

    def stage(self, scope: S, inputs: Mapping[str, TableInput], run_id: str) -> Staged | Unchanged:
        """Compute the partition of a table with a pass of its own; see :func:`stage_pass`."""
        (staged,) = stage_pass((self,), scope, inputs, run_id)
        return staged


@dataclass(frozen=True)
class LakeTable(Table[Scope]):
    """A table with a partition a trade date; its look-backs read the sessions before."""

    def open_inputs(self, scope: Scope) -> dict[str, TableInput]:
        """Every input of a trade date as a lazy handle."""
        lake, day = scope.bench.lake, scope.trade_date
        before = sessions_before(day, scope.settings.history.sessions)
        return {name: TableInput(lake, table, (day,)) for name, table in self.inputs.items()} | {
            name: TableInput(lake, table, before, optional=True) for name, table in self.lookback.items()
        }


AnyTable = Table[Any]
"""A table of trade dates or of months."""
T = TypeVar("T", bound=AnyTable)


def passes(tables: Iterable[T]) -> list[tuple[T, ...]]:
    """The tables by the pass that gives them, in the order of each pass's first table.

    Args:
        tables: Lake tables.

    Returns:
        One tuple a pass, its tables in the order they are published.
    """
    found: dict[tuple[str, ...], list[T]] = {}
    for table in tables:
        found.setdefault(table.pass_keys, []).append(table)
    return [
        tuple(sorted(together, key=lambda table: keys.index(table.key))) for keys, together in found.items()
    ]


def stage_pass(
    tables: Sequence[Table[S]], scope: S, inputs: Mapping[str, TableInput], run_id: str
) -> tuple[Staged | Unchanged, ...]:
    """Compute the partitions of all tables of one pass, validating every batch, and write them aside.

    Args:
        tables: Every table of the pass, in the order they are published.
        scope: The partition and the settings.
        inputs: The opened inputs.
        run_id: The run that asks.

    Returns:
        For each table the stage to publish; ``Unchanged`` for all where every published partition is current. Nothing
        is published before the rows of every table are valid, written and accounted for.

    Raises:
        ContractViolation: A batch breaks the contract of its table; every stage is discarded.
        TooManyQuarantined: More rows of a table were set aside than the settings allow.
        FootprintError: A source was refused, or rows are not accounted for.
    """
    first, lake, day = tables[0], scope.bench.lake, scope.partition_date
    if tuple(table.key for table in tables) != first.pass_keys:
        raise ValueError(
            f"one pass gives {', '.join(first.pass_keys)}: they are computed together or not at all"
        )
    inputs = {name: inputs[name] for name in (*first.inputs, *first.lookback)}
    lineage = first.lineage(scope, inputs, run_id)
    if all(lake.is_current(table.key, day, lineage, table.contract.fingerprint) for table in tables):
        return tuple(Unchanged(table.key, day) for table in tables)
    filling: dict[str, _Filling] = {}
    began = time.perf_counter()
    try:
        for table in tables:
            stage = lake.stage(table.key, day, lineage=lineage, schema=table.contract.arrow_schema)
            filling[table.key] = _Filling(table, stage)
        _fill(filling, first.function(scope, **inputs))
        for filled in filling.values():
            filled.finish(scope)
    except BaseException:  # whatever ends the computation, an interrupt included, no stage must stay
        for filled in filling.values():
            filled.stage.discard()
        raise
    seconds = time.perf_counter() - began
    return tuple(Staged(filled.stage, filled.rows, seconds) for filled in filling.values())


def _fill(filling: Mapping[str, _Filling], batches: Iterable[Batch]) -> None:
    """Judge and write the batches of a pass while the next one is computed."""
    only = next(iter(filling)) if len(filling) == 1 else ""
    with closing(ahead(iter(batches))) as computed:
        for batch in computed:
            key = batch.table or only
            if key not in filling:
                raise ValueError(f"a batch of {key or 'no table'} from the pass of {', '.join(filling)}")
            for filled in filling.values():
                # A contract of one table of the pass is a contract of all, with rows or without.
                filled.stage.declare(batch.symbol)
            filling[key].add(batch)
            del batch  # nothing holds it while the next one is waited for


@dataclass
class _Filling:
    """The stage of one table while a pass fills it, and what has gone in."""

    table: AnyTable
    stage: Stage
    rows: int = 0
    rows_in: int = 0
    quarantined: int = 0
    validators: dict[tuple[str, int], contracts.Validator] = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        contract = self.table.contract
        if batch.frame is not None and batch.frame.height:
            frame, made = batch.frame, dict.fromkeys(batch.frame.columns)
            if tuple(made) != contract.columns:
                # What a computation carried along leaves; a column it did not make is the validator's to name.
                frame = frame.select(name for name in contract.columns if name in made)
            place = batch.symbol, batch.part
            if place not in self.validators:
                self.validators[place] = contracts.Validator(contract)
            self.validators[place].validate(frame)
            self.stage.write(batch.symbol, frame, part=batch.part)
            self.rows += frame.height
        if batch.quarantined:
            self.stage.quarantine(batch.symbol, batch.quarantined)
        self.stage.count(batch.symbol, rows_in=batch.rows_in, filtered=batch.filtered, notes=batch.notes)
        self.rows_in += batch.rows_in
        self.quarantined += len(batch.quarantined)
        if batch.is_last:
            self.stage.close(batch.symbol)

    def finish(self, scope: PartitionScope) -> None:
        allowed = scope.settings.ingest.max_quarantined_share
        if self.quarantined > allowed * max(self.rows_in, 1):
            raise TooManyQuarantined(
                f"{self.quarantined} of {self.rows_in} rows were set aside; at most {allowed:.2%} may be.",
                where={"table": self.table.key, "dt": scope.partition_date},
                remedy="footprint-assets ingest shows each file's faults; get the file again or raise "
                "FOOTPRINT_INGEST__MAX_QUARANTINED_SHARE.",
            )
        self.stage.finish()


def sessions_before(day: dt.date, count: int) -> tuple[dt.date, ...]:
    """The ``count`` sessions before a trade date, oldest first, as far as the lake's calendar reaches."""
    start = max(cme.PARTITION_START, day - dt.timedelta(days=2 * count + 10))
    earlier = cme.sessions(start, day - dt.timedelta(days=1)) if start < day else []
    return tuple(earlier[max(len(earlier) - count, 0) :])


def each_contract(
    function: Callable[..., pl.DataFrame | tuple[pl.DataFrame, ...]],
    keys: Sequence[str],
    columns: Mapping[str, Sequence[str]],
    rows_of: str = "",
    streamed: Sequence[str] = (),
) -> Callable[..., Iterator[Batch]]:
    """Run a per-contract function over every contract of the first input.

    Args:
        function: ``(scope, **frames) -> rows``; receives each input's rows of one contract. Gives one frame, or one for
            each key.
        keys: Dataset keys of the tables it gives, in the order of its frames.
        columns: The columns the function reads of an input; all of them where an input is not named.
        rows_of: The input without whose rows there are none: where it is empty nothing else is read.
        streamed: The inputs the function receives frame by frame.

    Returns:
        A function for ``LakeTable.function``.
    """

    def of_contract(symbol: str, scope: Scope, inputs: Mapping[str, TableInput]) -> Iterator[Batch]:
        rows: dict[str, pl.DataFrame | Iterator[pl.DataFrame]] = {}
        for name in sorted(inputs, key=lambda name: name != rows_of):
            if name in streamed:
                rows[name] = inputs[name].frames(symbol, columns.get(name))
                continue
            rows[name] = frame = inputs[name].frame(symbol, columns.get(name))
            if name == rows_of and frame.is_empty():
                yield Batch(symbol)
                return
        made = function(scope.of_contract(symbol), **rows)
        for key, frame in zip(keys, made if isinstance(made, tuple) else (made,), strict=True):
            yield Batch(symbol, frame, key, is_last=True)

    def over_contracts(scope: Scope, **inputs: TableInput) -> Iterator[Batch]:
        for symbol in next(iter(inputs.values())).symbols():
            # A generator of its own: before the next contract is read, this one is let go.
            yield from of_contract(symbol, scope, inputs)

    return over_contracts
