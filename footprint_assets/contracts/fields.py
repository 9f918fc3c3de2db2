"""What one column of a contract is: its physical type, nullability, unit, kind and checks.

Plain values only: nothing here knows polars, pyarrow or pandera.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

AVRO_PHYSICAL = {
    "boolean": "bool",
    "int": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "string",
}
WIDTHS = {
    "int": ("int8", "int16", "int32", "uint8", "uint16"),
    "long": ("uint32",),
    "float": ("float32",),
}
"""Widths Avro cannot say, by the Avro type that holds every value of them."""
LOGICAL = {("long", "timestamp-nanos"): "timestamp", ("int", "date"): "date"}
TIMEZONES = ("UTC", "America/New_York")
KINDS = ("id", "raw", "derived", "meta", "context", "quality", "feature", "label")
UNITS = frozenset(
    {
        *("none", "1", "bits", "level", "ratio", "%", "z", "deg", "sigma", "USD"),
        *("date", "year", "month", "day", "yyyymm", "ns", "ns UTC", "s", "min"),
        *("pts", "ticks", "rows", "bars", "1e-9", "1e-9 pts", "1e-9 currency", "pts/bar", "ticks/bar"),
        *("contracts", "orders", "trades", "contracts/s", "trades/s", "contracts/bar"),
    }
)
BOUNDS = ("ge", "gt", "le", "lt")


@dataclass(frozen=True, slots=True)
class Checks:
    """What the values of a column must satisfy; null satisfies everything.

    Args:
        ge: Smallest value, included.
        gt: Smallest value, excluded.
        le: Largest value, included.
        lt: Largest value, excluded.
        isin: The only values allowed.
        matches: Regular expression a text must contain (anchor it to match the whole).
        finite: Whether a float must be finite; NaN and the infinities fail.
    """

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None
    isin: tuple[Any, ...] | None = None
    matches: str | None = None
    finite: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The checks that say something, as the contract file writes them."""
        found = {name: getattr(self, name) for name in (*BOUNDS, "isin", "matches")}
        said = {name: value for name, value in found.items() if value is not None}
        return said if self.finite else {**said, "finite": False}


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a contract.

    Args:
        name: Column name.
        physical: ``int8`` to ``int64``, ``uint8`` to ``uint32``, ``float32``, ``float64``, ``bool``, ``string``,
            ``date``, ``timestamp[ns, <time zone>]`` or ``enum``.
        nullable: Whether null is a value: not visible or not known.
        doc: What the column means.
        unit: Unit of the values; ``1`` for dimensionless numbers, ``none`` for text, enums and flags.
        kind: Role of the column, one of ``KINDS``.
        symbols: Values of an ``enum`` in physical order.
        checks: What the values must satisfy.
    """

    name: str
    physical: str
    nullable: bool
    doc: str
    unit: str
    kind: str
    symbols: tuple[str, ...] = ()
    checks: Checks = Checks()

    @property
    def is_float(self) -> bool:
        """Whether the column holds floats."""
        return self.physical.startswith("float")

    @property
    def type_name(self) -> str:
        """The physical type in one word for people, enum values included."""
        return f"enum({', '.join(self.symbols)})" if self.physical == "enum" else self.physical


def parse_field(raw: dict[str, Any]) -> Field:
    """Read one linted field of a contract file.

    Args:
        raw: The field as JSON.

    Returns:
        The field. A text limited to a list of values is an enum, because Avro enums cannot spell ``1m`` or ``~``.
    """
    avro, nullable = unwrap(raw["type"])
    listed = dict(raw.get("checks", {}))
    if isinstance(avro, dict) and avro["type"] == "enum":
        physical, symbols = "enum", tuple(avro["symbols"])
    elif avro == "string" and "isin" in listed:
        physical, symbols = "enum", tuple(listed.pop("isin"))
    else:
        physical, symbols = _physical(avro, raw.get("width")), ()
    if "isin" in listed:
        listed["isin"] = tuple(listed["isin"])
    return Field(
        name=raw["name"],
        physical=physical,
        nullable=nullable,
        doc=raw["doc"],
        unit=raw["unit"],
        kind=raw["kind"],
        symbols=symbols,
        checks=Checks(**listed),
    )


def unwrap(avro: Any) -> tuple[Any, bool]:
    """Split ``["null", T]`` into T and True, anything else into itself and False."""
    if isinstance(avro, list) and len(avro) == 2 and avro[0] == "null":
        return avro[1], True
    return avro, False


def _physical(avro: Any, width: str | None) -> str:
    if isinstance(avro, dict):
        logical = LOGICAL[avro["type"], avro["logicalType"]]
        return f"timestamp[ns, {avro.get('timezone', 'UTC')}]" if logical == "timestamp" else logical
    return width or AVRO_PHYSICAL[avro]
