"""Tables with a partition a calendar month: what is learned from the trade dates of a month, and of the months before.

A month table is a lake table (layer ``ml``) whose ``dt`` is the first of the month and whose ``symbol`` is the product root,
such as ``ES``. It is computed, validated and published as the tables of trade dates are (`tables`); only its inputs are
found otherwise. Made one month after the other these tables are the walk-forward evaluation: no month reads a later one.
Nothing here knows Dagster.
"""

from __future__ import annotations

import calendar as days_of
import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from footprint_assets import calendar as cme
from footprint_assets.errors import FootprintError
from footprint_assets.resources import Workbench
from footprint_assets.settings import Settings
from footprint_assets.sources.instruments import Outright, parse_symbol
from footprint_assets.tables import Batch, Table, TableInput

MonthsBack = int | Callable[[Settings], int]
"""How many months before its own a table reads, at most; a number of the settings as a function of them."""
Config = Callable[[Settings], tuple[BaseModel, ...]]


class NoSuchMonth(FootprintError):  # noqa: N818 - names the fact a reader meets
    """A text is no calendar month of the lake."""


@dataclass(frozen=True)
class MonthScope:
    """What the function of a month table may know besides its inputs.

    Args:
        month: First day of the month.
        bench: The settings and the lake.
    """

    month: dt.date
    bench: Workbench

    @property
    def partition_date(self) -> dt.date:
        """The date of the partition in the lake: the first of the month."""
        return self.month

    @property
    def settings(self) -> Settings:
        """The settings of the run."""
        return self.bench.settings

    @property
    def sessions(self) -> tuple[dt.date, ...]:
        """The trade dates of the month, oldest first."""
        return sessions_of(self.month)

    def facts(self) -> Mapping[str, object]:
        """What the numbers depend on beside inputs, settings and code: which trade dates the month has."""
        return {"sessions": self.sessions}


@dataclass(frozen=True)
class MonthTable(Table[MonthScope]):
    """A table with a partition a calendar month.

    Its ``inputs`` are tables of the month's trade dates, as far as they are published, or of the month itself; its
    ``lookback`` are month tables of earlier months, as far as they are published.

    Args:
        days: Names of the inputs that are tables of trade dates.
        months_back: How many months before its own each look-back reads, at most.
    """

    days: frozenset[str] = frozenset()
    months_back: Mapping[str, MonthsBack] = field(default_factory=dict)

    @property
    def comes_after(self) -> set[str]:
        """As Dagster orders steps: a look-back's table of the month itself comes before, and where it fails nothing follows.

        Begun before it, a model would be published or not by who is faster, and later months would read it or not.
        """
        return {*self.inputs.values(), *self.lookback.values()} - {self.key}

    @property
    def description(self) -> str:
        """What a row is, and what the function says of itself: one function may give the tables of several heads."""
        return f"{self.contract.doc}\n\n{super().description}"

    def back(self, name: str, settings: Settings) -> int:
        """How many months a look-back reads, at most."""
        months = self.months_back[name]
        return months if isinstance(months, int) else months(settings)

    def open_inputs(self, scope: MonthScope) -> dict[str, TableInput]:
        """Every input of a month as a lazy handle."""
        lake = scope.bench.lake
        inputs = {
            name: TableInput(lake, key, scope.sessions, optional=True)
            if name in self.days
            else TableInput(lake, key, (scope.month,))
            for name, key in self.inputs.items()
        }
        return inputs | {
            name: TableInput(
                lake, key, months_before(scope.month, self.back(name, scope.settings)), optional=True
            )
            for name, key in self.lookback.items()
        }


def month_asset(
    key: str,
    *,
    days: Mapping[str, str] | None = None,
    months: Mapping[str, str] | None = None,
    earlier: Mapping[str, tuple[str, MonthsBack]] | None = None,
    config: Config = lambda _: (),
) -> Callable[[Callable[..., Iterable[Batch]]], MonthTable]:
    """Declare a month table.

    Args:
        key: Dataset key, such as ``ml.future.training_set``.
        days: Input name to dataset key of a table of trade dates; those of the month that are published are read.
        months: Input name to dataset key of a month table, read at the same month.
        earlier: Input name to dataset key of a month table, and how many months before this one are read, at most; those
            that are published.
        config: The settings groups the numbers depend on.

    Returns:
        A decorator that makes a :class:`MonthTable` of ``(scope, **inputs) -> Iterable[Batch]``, each batch with a product
        root as its symbol.
    """
    by_day, before = dict(days or {}), dict(earlier or {})

    def declare(function: Callable[..., Iterable[Batch]]) -> MonthTable:
        return MonthTable(
            key,
            function,
            function,
            by_day | dict(months or {}),
            {name: table for name, (table, _) in before.items()},
            config,
            days=frozenset(by_day),
            months_back={name: back for name, (_, back) in before.items()},
        )

    return declare


def sessions_of(month: dt.date) -> tuple[dt.date, ...]:
    """The trade dates of a month, oldest first.

    Args:
        month: First day of the month.
    """
    last = month.replace(day=days_of.monthrange(month.year, month.month)[1])
    return tuple(cme.sessions(month, last))


def months_before(month: dt.date, count: int) -> tuple[dt.date, ...]:
    """First days of the ``count`` months before a month, oldest first, as far as the lake's calendar reaches."""
    first, number = (day.year * 12 + day.month - 1 for day in (cme.FIRST_MONTH, month))
    return tuple(dt.date(n // 12, n % 12 + 1, 1) for n in range(max(number - count, first), number))


def months_from(first: dt.date, last: dt.date) -> list[dt.date]:
    """First days of the months from one to another, both included, oldest first."""
    return [*months_before(last, (last.year - first.year) * 12 + last.month - first.month), last]


def month_of(text: str) -> dt.date:
    """First day of the month a text such as ``2024-06`` names.

    Raises:
        NoSuchMonth: It names none, or one the lake cannot have.
    """
    try:
        month = dt.datetime.strptime(text, "%Y-%m").replace(tzinfo=dt.UTC).date()
    except ValueError:
        month = None
    if month is None or f"{month:%Y-%m}" != text or not cme.FIRST_MONTH <= month <= cme.CALENDAR_END:
        raise NoSuchMonth(
            f"{text!r} is no month of the lake.",
            where={"first": f"{cme.FIRST_MONTH:%Y-%m}", "last": f"{cme.CALENDAR_END:%Y-%m}"},
            remedy="write YYYY-MM.",
        )
    return month


def root_of(contract: str, month: dt.date) -> str:
    """Product root of a contract traded in a month, such as ``ES`` of ``ESM4``."""
    outright = parse_symbol(contract, month)
    assert isinstance(outright, Outright), f"{contract!r} is no outright future"
    return outright.root


def contracts_by_root(table: TableInput, month: dt.date) -> dict[str, list[str]]:
    """The contracts published of a table of trade dates in a month, by product root; both sorted."""
    found: dict[str, list[str]] = {}
    for contract in table.symbols():
        found.setdefault(root_of(contract, month), []).append(contract)
    return dict(sorted(found.items()))
