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
        *(
            "ms",
            "days",
            "bps",
            "pts^2",
            "pts^4",
            "pts/min",
            "pts/min^2",
            "pts/s",
            "pts/contract",
            "1/contract",
        ),
        *("ticks/contract", "contracts/pt", "contracts/pt^2", "contracts/tick", "contracts*ns", "USD/pt"),
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
            ``date``, ``timestamp[ns, <time zone>]`` or ``enum``; of a list column the type of its items.
        nullable: Whether null is a value: not visible or not known.
        doc: What the column means.
        unit: Unit of the values; ``1`` for dimensionless numbers, ``none`` for text, enums and flags.
        kind: Role of the column, one of ``KINDS``.
        symbols: Values of an ``enum`` in physical order.
        checks: What the values must satisfy.
        is_list: Whether a value is a list, of any length, of the physical type.
        nullable_items: Whether the items of a list may be null.
    """

    name: str
    physical: str
    nullable: bool
    doc: str
    unit: str
    kind: str
    symbols: tuple[str, ...] = ()
    checks: Checks = Checks()
    is_list: bool = False
    nullable_items: bool = False

    @property
    def is_float(self) -> bool:
        """Whether the column holds floats, or lists of them."""
        return self.physical.startswith("float")

    @property
    def type_name(self) -> str:
        """The physical type in one word for people, enum values included."""
        if self.is_list:
            return f"list<{self.physical}{'?' if self.nullable_items else ''}>"
        return f"enum({', '.join(self.symbols)})" if self.physical == "enum" else self.physical


def parse_field(raw: dict[str, Any]) -> Field:
    """Read one linted field of a contract file.

    Args:
        raw: The field as JSON.

    Returns:
        The field. A text limited to a list of values is an enum, because Avro enums cannot spell ``1m`` or ``~``.
    """
    avro, nullable = unwrap(raw["type"])
    is_list, nullable_items = is_array(avro), False
    if is_list:
        avro, nullable_items = unwrap(avro["items"])
    listed = dict(raw.get("checks", {}))
    if isinstance(avro, dict) and avro["type"] == "enum":
        physical, symbols = "enum", tuple(avro["symbols"])
    elif avro == "string" and "isin" in listed and not is_list:
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
        is_list=is_list,
        nullable_items=nullable_items,
    )


def unwrap(avro: Any) -> tuple[Any, bool]:
    """Split ``["null", T]`` into T and True, anything else into itself and False."""
    if isinstance(avro, list) and len(avro) == 2 and avro[0] == "null":
        return avro[1], True
    return avro, False


def is_array(avro: Any) -> bool:
    """Whether an Avro type is an array: the column holds lists."""
    return isinstance(avro, dict) and avro.get("type") == "array"


def _physical(avro: Any, width: str | None) -> str:
    if isinstance(avro, dict):
        logical = LOGICAL[avro["type"], avro["logicalType"]]
        return f"timestamp[ns, {avro.get('timezone', 'UTC')}]" if logical == "timestamp" else logical
    return width or AVRO_PHYSICAL[avro]
