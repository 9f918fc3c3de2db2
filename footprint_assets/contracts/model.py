"""A contract and how it is loaded: ``contracts/<layer>/<product>/<table>.avsc`` is the one source of a table's shape.

The file is plain Avro with a few attributes more (docs/contracts.md). Everything the program needs of a table - the
polars, arrow and pandera schemas, the documentation, the fingerprint - is built from it, nothing is written twice.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from footprint_assets.contracts import forms
from footprint_assets.contracts.fields import Field
from footprint_assets.contracts.lint import COLUMN_NAME, LEVEL, MONTHLY_LAYER, PER_LEVEL, examine
from footprint_assets.errors import FootprintError

if TYPE_CHECKING:
    import pandera.polars as pa_polars
    import polars as pl
    import pyarrow as pa

_INSTALLED = Path(__file__).resolve().with_name("files")
CONTRACTS_DIR = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).resolve().parents[2] / "contracts"
"""The contracts: those of a checkout stand beside the package, a wheel takes them along (`setup.py`)."""


class ContractError(FootprintError):
    """Something is wrong with a contract itself."""


class ContractNotFound(ContractError):  # noqa: N818 - reads as the fact it states
    """No contract file has this dataset key."""


class BrokenContract(ContractError):  # noqa: N818 - reads as the fact it states
    """A contract file is not well formed."""


class LevelNameTaken(ContractError):  # noqa: N818 - reads as the fact it states
    """A level is named so that one of its tables would be another table."""


@dataclass(frozen=True)
class Contract:
    """The promise one table keeps, or the tables of every level share.

    Args:
        name: Dataset key, such as ``silver.future.trades_clean``.
        doc: What a row is.
        version: ``major.minor.patch``.
        key: Columns that no two rows of a partition share; empty where rows have no identity.
        sort: Columns the rows of a partition are ordered by, ascending.
        fields: The columns in physical order.
        per_level: Of a contract that the tables of every level share, the kinds of columns that carry the level's name;
            ``None`` for a table's own.
    """

    name: str
    doc: str
    version: str
    key: tuple[str, ...]
    sort: tuple[str, ...]
    fields: tuple[Field, ...]
    per_level: tuple[str, ...] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns in physical order."""
        return tuple(field.name for field in self.fields)

    def field(self, name: str) -> Field:
        """The column of that name.

        Raises:
            KeyError: The contract has no such column.
        """
        return self._by_name[name]

    def of_level(self, level: str) -> Contract:
        """The contract of one level's table.

        Args:
            level: Name of the level in lower case, such as ``pm_high``.

        Returns:
            This contract under the level's name, its columns of the kinds ``per_level`` prefixed by it. It has a
            fingerprint of its own.
        """
        assert self.per_level is not None, f"{self.name} is no contract of levels"
        return replace(
            self,
            name=_named(self.name, level),
            fields=tuple(
                replace(field, name=f"{level}_{field.name}") if field.kind in self.per_level else field
                for field in self.fields
            ),
            per_level=None,
        )

    def columns_of_kind(self, *kinds: str) -> tuple[str, ...]:
        """Names of the columns of these kinds, in physical order."""
        return tuple(field.name for field in self.fields if field.kind in kinds)

    @cached_property
    def _by_name(self) -> dict[str, Field]:
        return {field.name: field for field in self.fields}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of what the bytes of a partition depend on.

        Names, order, exact types, nullability, units, checks, key and sort; not docs, kinds or version. Avro's own
        fingerprint ignores logical types, so that ns to us (a 1,000-fold error) would go unseen.
        """
        content = {
            "name": self.name,
            "key": self.key,
            "sort": self.sort,
            "fields": [
                [field.name, field.type_name, field.nullable, field.unit, field.checks.as_dict()]
                for field in self.fields
            ],
        }
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def polars_schema(self) -> pl.Schema:
        """The polars schema, in physical order."""
        return forms.polars_schema(self)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The pyarrow schema with docs, units and the identity of the contract in its metadata."""
        return forms.arrow_schema(self)

    @cached_property
    def pandera_schema(self) -> pa_polars.DataFrameSchema:
        """The strict, ordered, non-coercing pandera schema; give it collected frames only."""
        return forms.pandera_schema(self)

    def table_columns(self) -> list[forms.TableColumn]:
        """Plain data for catalogues and user interfaces, one entry a column."""
        return forms.table_columns(self)


def parse(raw: Mapping[str, Any], key: str | None = None) -> Contract:
    """Build a contract from the JSON of its file.

    Args:
        raw: The JSON object.
        key: Dataset key its path stands for; None where there is no path.

    Returns:
        The contract.

    Raises:
        BrokenContract: The JSON is not a well-formed contract; the message lists every finding.
    """
    findings, fields = examine(raw, key)
    if findings:
        raise BrokenContract(
            "The contract is not well formed: " + "; ".join(findings) + ".",
            where={"contract": key or raw.get("name")} if isinstance(raw, Mapping) else {"contract": key},
            remedy="Correct the .avsc file; docs/contracts.md has the rules.",
        )
    return Contract(
        name=f"{raw['namespace']}.{raw['name']}",
        doc=raw["doc"],
        version=raw["version"],
        key=tuple(raw["key"]),
        sort=tuple(raw["sort"]),
        fields=tuple(fields),
        per_level=tuple(raw[PER_LEVEL]) if PER_LEVEL in raw else None,
    )


def path_of(key: str, root: Path = CONTRACTS_DIR) -> Path:
    """Where the contract of a dataset key lies."""
    return root.joinpath(*key.split(".")).with_suffix(".avsc")


def all_keys(root: Path = CONTRACTS_DIR) -> list[str]:
    """Names of every contract file, sorted: of a table, or of the tables every level has."""
    return sorted(".".join(path.relative_to(root).with_suffix("").parts) for path in root.rglob("*.avsc"))


def table_keys(levels: Iterable[str], root: Path = CONTRACTS_DIR) -> list[str]:
    """Dataset keys of every table of trade dates there is with these levels, sorted.

    Args:
        levels: Names of levels, such as ``PM_HIGH``.
        root: Directory of the contracts.

    Returns:
        The tables that have a contract file of their own, and those of each level.

    Raises:
        LevelNameTaken: A level's table would be another table.
    """
    shared = templates(root)
    own = [key for key in all_keys(root) if key not in shared and not is_monthly(key)]
    return sorted([*own, *(level_key(key, level, root) for level in levels for key in shared)])


def month_keys(root: Path = CONTRACTS_DIR) -> list[str]:
    """Dataset keys of every table of months, sorted."""
    return [key for key in all_keys(root) if is_monthly(key)]


def is_monthly(key: str) -> bool:
    """Whether the partitions of a dataset are calendar months."""
    return key.partition(".")[0] == MONTHLY_LAYER


@cache
def templates(root: Path = CONTRACTS_DIR) -> Mapping[str, Contract]:
    """The contracts that the tables of every level share, by name."""
    # Only these names may be a template's; the others are not read for it.
    named = [key for key in all_keys(root) if LEVEL in key.rpartition(".")[2].split("_")]
    return {key: contract for key in named if (contract := load(key, root)).per_level is not None}


def level_key(template: str, level: str, root: Path = CONTRACTS_DIR) -> str:
    """Dataset key of one level's table.

    Args:
        template: Name of the shared contract, such as ``gold.future.level_features``.
        level: Name of the level, such as ``PM_HIGH``; ``LEVEL`` gives the name of the contract itself.
        root: Directory of the contracts.

    Returns:
        The key, such as ``gold.future.pm_high_features``.

    Raises:
        LevelNameTaken: A table that is not a level's has this key.
    """
    key = _named(template, level.lower())
    if key != template and path_of(key, root).exists():
        raise LevelNameTaken(
            f"A level called {level} would have the table {key}, which is another table's name.",
            where={"level": level, "contract": path_of(key, root).name},
            remedy="Give the level another name in FOOTPRINT_LEVELS__PIPELINES.",
        )
    return key


@cache
def load(key: str, root: Path = CONTRACTS_DIR) -> Contract:
    """Load the contract of a dataset; later calls return the same object.

    A table has the contract file of its name. Where there is none, it may be the table of a level, whose contract is
    made of the one all levels share.

    Args:
        key: Dataset key, such as ``silver.future.trades_clean``.
        root: Directory of the contracts.

    Returns:
        The contract.

    Raises:
        ContractNotFound: There is no file for the key.
        BrokenContract: The file is not JSON or not a well-formed contract.
    """
    path = path_of(key, root)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if contract := _of_level(key, root):
            return contract
        known = ", ".join(all_keys(root)) or "none"
        raise ContractNotFound(
            "There is no contract for this dataset.", where={"table": key}, remedy=f"Use one of: {known}."
        ) from None
    try:
        raw = json.loads(text, object_pairs_hook=_unique_attributes)
    except ValueError as error:
        raise BrokenContract(f"The contract is not JSON: {error}.", where={"contract": key}) from error
    return parse(raw, key)


def _of_level(key: str, root: Path) -> Contract | None:
    """The contract of a level's table, found by its name; ``None`` where no level's table is called so."""
    found = []
    for name, template in templates(root).items():
        before, after = (re.escape(text) for text in _around_level(name))
        if match := re.fullmatch(f"{before}(?P<level>{COLUMN_NAME.pattern}){after}", key):
            found.append(template.of_level(match["level"]))
    if len(found) > 1:
        raise BrokenContract(
            "Two contracts of levels fit this dataset.",
            where={"table": key},
            remedy="Rename one of the .avsc files with the attribute per_level.",
        )
    return found[0] if found else None


def _named(template: str, level: str) -> str:
    before, after = _around_level(template)
    return f"{before}{level}{after}"


def _around_level(template: str) -> tuple[str, str]:
    """What stands before and after the part of a shared contract's name that stands for the level."""
    namespace, _, name = template.rpartition(".")
    parts = name.split("_")
    position = parts.index(LEVEL)
    before = "".join(f"{part}_" for part in parts[:position])
    return f"{namespace}.{before}", "".join(f"_{part}" for part in parts[position + 1 :])


def _unique_attributes(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse ``{"unit": ..., "unit": ...}``, of which json silently keeps the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"attribute {next(name for name in names if names.count(name) > 1)!r} appears twice")
    return found
