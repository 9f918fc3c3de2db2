"""The one place that builds a path in the lake.

``<layer>/[source=databento/]product_type=<product>/symbol=<symbol>/table=<table>/dt=<trade date>/`` for data; staging
and locks beside the layers, where no glob over a table finds them. Every component is matched in full against its
pattern before it becomes part of a path, and the resolved path must stay under the root.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from footprint_assets.lake.errors import InvalidPath

MONTHLY_LAYER = "ml"
"""Its partitions are calendar months, named by their first day; those of the other layers are trade dates."""
LAYERS = ("bronze", "silver", "gold", MONTHLY_LAYER)
SOURCE = "databento"
MANIFEST = "_MANIFEST.json"
SUCCESS = "_SUCCESS"
QUARANTINE = "_QUARANTINE.jsonl"

_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9 .:_\-]{0,70}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WORD = re.compile(r"[a-z][a-z0-9_]{0,79}")
_STAGE = re.compile(r"[0-9a-f]{32}")
_PART = re.compile(r"part-([0-9]{5})\.parquet")
_MAX_PARTS = 100_000


@dataclass(frozen=True)
class TableKey:
    """A dataset key ``layer.product.table``, such as ``silver.future.trades_clean``.

    Args:
        layer: One of ``LAYERS``.
        product: Product type, lower snake case.
        table: Table name, lower snake case.
    """

    layer: str
    product: str
    table: str

    @classmethod
    def parse(cls, text: str) -> TableKey:
        """Read a dataset key.

        Raises:
            InvalidPath: The key has not three lower-snake-case words, or its layer is unknown.
        """
        words = text.split(".")
        if len(words) != 3 or words[0] not in LAYERS or not all(_WORD.fullmatch(word) for word in words):
            raise InvalidPath(
                "a table key is layer.product.table in lower snake case",
                where={"table": _shown(text)},
                remedy=f"Use a layer of {', '.join(LAYERS)}, such as silver.future.trades_clean.",
            )
        return cls(*words)

    def __str__(self) -> str:
        return f"{self.layer}.{self.product}.{self.table}"


def checked_date(value: dt.date | str) -> dt.date:
    """Read a trade date, as a ``date`` or in the one form ``YYYY-MM-DD``.

    Raises:
        InvalidPath: Anything else, a ``datetime`` included.
    """
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return dt.date.fromisoformat(value)
        except ValueError:
            pass
    raise InvalidPath("a trade date is YYYY-MM-DD", where={"dt": _shown(value)})


def checked_symbol(symbol: str) -> str:
    """Return the symbol if it may name a directory.

    Raises:
        InvalidPath: The symbol is not in ``[A-Z0-9][A-Z0-9 .:_-]{0,70}`` or holds ``..``.
    """
    if isinstance(symbol, str) and _SYMBOL.fullmatch(symbol) and ".." not in symbol:
        return symbol
    raise InvalidPath(
        "a symbol is 1 to 71 of A-Z 0-9 space . : _ - without '..', and begins with a letter or a digit",
        where={"symbol": _shown(symbol)},
    )


def part_name(part: int) -> str:
    """File name of a Parquet part.

    Raises:
        InvalidPath: The number is not in [0, 99999].
    """
    if not 0 <= part < _MAX_PARTS:
        raise InvalidPath("a part number is 0 to 99999", where={"part": part})
    return f"part-{part:05d}.parquet"


def part_number(name: str) -> int | None:
    """The number of a Parquet part, ``None`` for any other file name."""
    found = _PART.fullmatch(name)
    return int(found[1]) if found else None


def remedy_for(table: str, date: dt.date) -> str:
    """The command that makes a partition again."""
    if table.partition(".")[0] == MONTHLY_LAYER:
        return f"footprint-assets learn --start {date:%Y-%m} --end {date:%Y-%m}"
    return f"footprint-assets run --date {date}"


class Layout:
    """Every path of one lake.

    Args:
        root: Directory of the lake.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root).resolve()

    @property
    def staging(self) -> Path:
        """Where stages are filled."""
        return self.root / ".staging"

    @property
    def locks(self) -> Path:
        """Where the locks of (table, dt) live; they are never removed."""
        return self.root / ".locks"

    def stage(self, stage_id: str) -> Path:
        """Directory of a stage."""
        return self.staging / _checked_stage(stage_id)

    def stage_lock(self, stage_id: str) -> Path:
        """Lock file whose holder owns the stage."""
        return self.staging / f"{_checked_stage(stage_id)}.lock"

    def intent(self, stage_id: str) -> Path:
        """Record of a publication of more than one rename."""
        return self.staging / f"{_checked_stage(stage_id)}.intent.json"

    def staged(self, stage_id: str, symbol: str) -> Path:
        """Directory of a symbol inside a stage."""
        return self.stage(stage_id) / f"symbol={checked_symbol(symbol)}"

    def aside(self, stage_id: str, symbol: str) -> Path:
        """Where a publication puts a directory it takes out of the table."""
        return self.stage(stage_id) / f"replaced={checked_symbol(symbol)}"

    def table_date_lock(self, table: str, date: dt.date | str) -> Path:
        """Lock file of a table's trade date."""
        name = f"{TableKey.parse(table)}/{checked_date(date)}"
        return self.locks / hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()

    def partition(self, table: str, date: dt.date | str, symbol: str) -> Path:
        """Directory of one published partition.

        Args:
            table: Dataset key ``layer.product.table``.
            date: Trade date.
            symbol: Contract symbol.

        Returns:
            The path, absolute, whether or not it exists.

        Raises:
            InvalidPath: A component is malformed, or the path leaves the lake through a symbolic link.
        """
        key = TableKey.parse(table)
        path = (
            self._product(key)
            / f"symbol={checked_symbol(symbol)}"
            / f"table={key.table}"
            / f"dt={checked_date(date).isoformat()}"
        )
        if not path.resolve().is_relative_to(self.root):
            raise InvalidPath(
                "the path leaves the lake through a symbolic link",
                where={"table": table, "dt": date, "symbol": symbol},
                remedy="Remove the link; a lake may be a link itself, its directories may not.",
            )
        return path

    def symbols(self, table: str, date: dt.date | str) -> list[str]:
        """Symbols with a directory for a table's trade date, sorted."""
        key, day = TableKey.parse(table), checked_date(date)
        return sorted(
            symbol
            for symbol, path in self._symbol_dirs(self._product(key))
            if (path / f"table={key.table}" / f"dt={day.isoformat()}").is_dir()
        )

    def dates(self, table: str) -> list[dt.date]:
        """Trade dates with a directory for a table, sorted."""
        key = TableKey.parse(table)
        found = {
            checked_date(value)
            for _, path in self._symbol_dirs(self._product(key))
            for value in _values(path / f"table={key.table}", "dt")
            if _DATE.fullmatch(value)
        }
        return sorted(found)

    def tables(self) -> list[str]:
        """Dataset keys with at least one directory, sorted."""
        found = set()
        for layer in LAYERS:
            base = self._layer(layer)
            for product in _values(base, "product_type"):
                for _, path in self._symbol_dirs(base / f"product_type={product}"):
                    found |= {f"{layer}.{product}.{table}" for table in _values(path, "table")}
        return sorted(found)

    def _layer(self, layer: str) -> Path:
        return self.root / layer / f"source={SOURCE}" if layer == "bronze" else self.root / layer

    def _product(self, key: TableKey) -> Path:
        return self._layer(key.layer) / f"product_type={key.product}"

    def _symbol_dirs(self, product: Path) -> Iterator[tuple[str, Path]]:
        for value in _values(product, "symbol"):
            if _SYMBOL.fullmatch(value) and ".." not in value:
                yield value, product / f"symbol={value}"


def _values(directory: Path, key: str) -> list[str]:
    """Values of the ``key=value`` directories inside a directory; none where it does not exist."""
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return [name.removeprefix(f"{key}=") for name in names if name.startswith(f"{key}=")]


def is_stage_id(text: str) -> bool:
    """Whether a name is that of a stage."""
    return _STAGE.fullmatch(text) is not None


def _checked_stage(stage_id: str) -> str:
    if not is_stage_id(stage_id):
        raise InvalidPath("a stage id is 32 hexadecimal digits", where={"stage": _shown(stage_id)})
    return stage_id


def _shown(value: object) -> str:
    return repr(value)[:80]
