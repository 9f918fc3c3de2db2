"""The forms one contract takes: polars, pyarrow and pandera schemas, and plain rows for catalogues.

Pandera and pyarrow are imported where they are used: loading a contract costs neither.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from footprint_assets.contracts.fields import BOUNDS, Field

if TYPE_CHECKING:
    import pandera.polars as pa_polars
    import pyarrow as pa

    from footprint_assets.contracts.model import Contract

_POLARS = {
    "int8": pl.Int8(),
    "int16": pl.Int16(),
    "int32": pl.Int32(),
    "int64": pl.Int64(),
    "uint8": pl.UInt8(),
    "uint16": pl.UInt16(),
    "uint32": pl.UInt32(),
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "bool": pl.Boolean(),
    "string": pl.String(),
    "date": pl.Date(),
}
_PRICE_UNITS = ("1e-9 pts", "pts")
_BOUND_SIGNS = dict(zip(BOUNDS, (">=", ">", "<=", "<"), strict=True))


@dataclass(frozen=True)
class TableColumn:
    """One column as plain data, for a catalogue or a user interface.

    Args:
        name: Column name.
        type: Physical type.
        description: Meaning, with unit and kind.
        nullable: Whether null is allowed.
        constraints: Checks in words.
        tags: ``unit`` and ``kind``.
    """

    name: str
    type: str
    description: str
    nullable: bool
    constraints: tuple[str, ...]
    tags: dict[str, str]


def polars_dtype(field: Field) -> pl.DataType:
    """The polars type of a column."""
    if field.is_list:
        return pl.List(_POLARS[field.physical])
    if field.physical == "enum":
        return pl.Enum(field.symbols)
    if field.physical.startswith("timestamp"):
        return pl.Datetime("ns", _zone(field))
    return _POLARS[field.physical]


def polars_schema(contract: Contract) -> pl.Schema:
    """The polars schema of a contract, in physical order."""
    return pl.Schema({field.name: polars_dtype(field) for field in contract.fields})


def arrow_schema(contract: Contract) -> pa.Schema:
    """The pyarrow schema of a contract, as it is written into the Parquet footer.

    Args:
        contract: The contract.

    Returns:
        A schema whose types are those ``polars.DataFrame.to_arrow`` gives, required columns non-null, ``doc``,
        ``unit`` and ``kind`` in the field metadata and ``contract``, ``contract_version``, ``contract_sha256``,
        ``price_unit`` in the schema metadata.
    """
    import pyarrow as pa

    units = {field.unit for field in contract.fields}
    metadata = {
        "contract": contract.name,
        "contract_version": contract.version,
        "contract_sha256": contract.fingerprint,
        "price_unit": ", ".join(unit for unit in _PRICE_UNITS if unit in units) or "none",
    }
    fields = [
        pa.field(field.name, _arrow_type(field), nullable=field.nullable, metadata=_arrow_metadata(field))
        for field in contract.fields
    ]
    return pa.schema(fields, metadata=metadata)


def _arrow_type(field: Field) -> pa.DataType:
    import pyarrow as pa

    if field.physical == "enum":
        index = pa.uint8() if len(field.symbols) <= 255 else pa.uint16()
        return pa.dictionary(index, pa.large_string(), ordered=True)
    if field.physical.startswith("timestamp"):
        return pa.timestamp("ns", tz=_zone(field))
    special = {"bool": pa.bool_(), "string": pa.large_string(), "date": pa.date32()}
    found: pa.DataType = special.get(field.physical) or getattr(pa, field.physical)()
    return pa.large_list(pa.field("item", found)) if field.is_list else found


def _arrow_metadata(field: Field) -> dict[str, str]:
    metadata = {"doc": field.doc, "unit": field.unit, "kind": field.kind}
    if field.physical == "enum":
        # Without this polars reads a dictionary column as Categorical. Each value is written as its length in bytes,
        # a semicolon and the text (polars 2.1; a test writes with pyarrow and reads with polars).
        metadata["_PL_ENUM_VALUES2"] = "".join(f"{len(symbol.encode())};{symbol}" for symbol in field.symbols)
    return metadata


def pandera_schema(contract: Contract) -> pa_polars.DataFrameSchema:
    """The pandera schema of a contract: strict, ordered, no coercion, every check of every column.

    Args:
        contract: The contract.

    Returns:
        A schema for collected frames. For a LazyFrame pandera looks at the types only, without saying so: use
        ``Validator``, which refuses one.
    """
    import pandera.polars as pa_polars

    return pa_polars.DataFrameSchema(
        {
            field.name: pa_polars.Column(
                polars_dtype(field),
                checks=_pandera_checks(field),
                nullable=field.nullable,
                coerce=False,
                description=f"{field.doc} [{field.unit}]",
            )
            for field in contract.fields
        },
        name=contract.name,
        description=contract.doc,
        strict=True,
        ordered=True,
        coerce=False,
    )


def _pandera_checks(field: Field) -> list[Any]:
    import pandera.polars as pa_polars

    return [
        pa_polars.Check(
            lambda data, rule=rule: data.lazyframe.select(~rule.broken(data.key)),
            name=rule.name,
            error=rule.name,
            ignore_na=False,
        )
        for rule in rules_of(field)
    ]


@dataclass(frozen=True)
class Rule:
    """One value check of a column as a polars expression.

    Args:
        name: The rule in words, such as ``>= 0``.
        check: Attribute of the contract it comes from (``ge``, ``isin``, ...).
        value: What the check compares with.
    """

    name: str
    check: str
    value: Any = None

    def broken(self, column: str) -> pl.Expr:
        """True where a value breaks the rule; null never does."""
        values = pl.col(column)
        match self.check:
            case "not_null":
                return values.is_null()
            case "finite":
                found = ~values.is_finite()
            case "items_finite":
                found = values.list.eval(~pl.element().is_finite()).list.any()
            case "items_not_null":
                found = values.list.eval(pl.element().is_null()).list.any()
            case "ge":
                found = values < self.value
            case "gt":
                found = values <= self.value
            case "le":
                found = values > self.value
            case "lt":
                found = values >= self.value
            case "isin":
                found = ~values.is_in(list(self.value))
            case "matches":
                found = ~values.str.contains(self.value)
            case _:
                raise ValueError(f"no check is called {self.check!r}")
        return found.fill_null(value=False)

    def keeps(self, values: pl.Series) -> bool:
        """Whether no value breaks the rule: what ``broken`` says, mostly in one pass that takes no memory."""
        if self.check == "matches":
            # A text column repeats one value for long (a partition is one symbol): it is matched where it changes.
            values = values.filter(values.ne_missing(values.shift(1)))
        return self._is_plain(values) or not values.to_frame().select(self.broken(values.name).any()).item()

    def _is_plain(self, values: pl.Series) -> bool:
        """Whether sum, least or greatest value tell that the rule is kept; NaN shows in the sum and the greatest."""
        match self.check:
            case "finite":
                return math.isfinite(values.sum())
            case "ge" | "gt":
                bound = values.min()
            case "le" | "lt":
                bound = values.nan_max() if values.dtype.is_float() else values.max()
            case _:
                return False
        return bound is None or bool(getattr(operator, self.check)(bound, self.value))


def rules_of(field: Field) -> list[Rule]:
    """The value checks of a column; null is not among them, the type says whether it is allowed."""
    checks = field.checks
    if field.is_list:
        rules = [] if field.nullable_items else [Rule("no null item", "items_not_null")]
        return [*rules, Rule("finite items", "items_finite")] if field.is_float and checks.finite else rules
    rules = [Rule("finite", "finite")] if field.is_float and checks.finite else []
    rules += [
        Rule(f"{_BOUND_SIGNS[name]} {value}", name, value)
        for name in BOUNDS
        if (value := getattr(checks, name)) is not None
    ]
    if checks.isin is not None:
        rules.append(Rule(f"in {list(checks.isin)}", "isin", checks.isin))
    if checks.matches is not None:
        rules.append(Rule(f"matches {checks.matches}", "matches", checks.matches))
    return rules


def table_columns(contract: Contract) -> list[TableColumn]:
    """The columns of a contract as plain data.

    Args:
        contract: The contract.

    Returns:
        One entry a column, in physical order.
    """
    return [
        TableColumn(
            name=field.name,
            type=field.type_name,
            description=f"{field.doc} [{field.unit}]",
            nullable=field.nullable,
            constraints=tuple(rule.name for rule in rules_of(field)),
            tags={"unit": field.unit, "kind": field.kind},
        )
        for field in contract.fields
    ]


def _zone(field: Field) -> str:
    return field.physical.removeprefix("timestamp[ns, ").removesuffix("]")
