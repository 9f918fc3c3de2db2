"""Is a contract file well formed? Avro parsers accept duplicate fields, bad names and unknown attributes; this does not.

Works on the JSON alone and reports every finding at once, so that one run shows a person all there is to mend.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from footprint_assets.contracts.fields import (
    AVRO_PHYSICAL,
    BOUNDS,
    KINDS,
    LOGICAL,
    TIMEZONES,
    UNITS,
    WIDTHS,
    Field,
    is_array,
    parse_field,
    unwrap,
)

MONTHLY_LAYER = "ml"
"""Tables of this layer have a partition a calendar month, all others one a trade date."""
LAYERS = ("bronze", "silver", "gold", MONTHLY_LAYER)
COLUMN_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
SEMVER = re.compile(r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)")
_AVRO_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RECORD_ATTRIBUTES = ("type", "name", "namespace", "doc", "version", "key", "sort", "fields")
PER_LEVEL = "per_level"
"""Record attribute of a contract that the tables of every level share: the kinds of columns that carry its name."""
LEVEL = "level"
"""Part of such a contract's name that stands for the name of a level."""
_FIELD_REQUIRED = ("name", "type", "doc", "unit", "kind")
_FIELD_ATTRIBUTES = {*_FIELD_REQUIRED, "width", "checks", "default"}
_CHECKS = {*BOUNDS, "isin", "matches", "finite"}
_UNITLESS = {"bool", "string", "enum"}


def lint(raw: Any, key: str | None = None) -> list[str]:
    """Find everything wrong with a contract file.

    Args:
        raw: The parsed JSON of the file.
        key: Dataset key its path stands for, such as ``silver.future.trades_clean``; None where there is no path.

    Returns:
        One sentence a finding; empty for a well-formed contract.
    """
    return examine(raw, key)[0]


def examine(raw: Any, key: str | None = None) -> tuple[list[str], list[Field]]:
    """Find everything wrong with a contract file, and read its fields.

    Args:
        raw: The parsed JSON of the file.
        key: Dataset key its path stands for; None where there is no path.

    Returns:
        The findings of :func:`lint`, and the fields that are well formed.
    """
    if not isinstance(raw, dict):
        return ["a contract is a JSON object"], []
    findings = [f"attribute {name!r} is missing" for name in _RECORD_ATTRIBUTES if name not in raw]
    findings += [
        f"attribute {name!r} is unknown" for name in raw if name not in (*_RECORD_ATTRIBUTES, PER_LEVEL)
    ]
    if findings:
        return findings, []
    findings += _lint_record(raw, key)
    if not isinstance(raw["fields"], list) or not raw["fields"]:
        return [*findings, "'fields' is not a filled list"], []
    fields: list[Field] = []
    for position, field in enumerate(raw["fields"]):
        found = list(_lint_field(field))
        label = field.get("name", position) if isinstance(field, dict) else position
        findings += [f"field {label!r}: {finding}" for finding in found]
        if not found:
            fields.append(parse_field(field))
    names = [field.get("name") for field in raw["fields"] if isinstance(field, dict)]
    findings += [
        f"field {name!r} appears {count} times" for name, count in Counter(names).items() if count > 1
    ]
    findings += _lint_enum_names(raw["fields"])
    findings += _lint_order(raw, names, {field.name: field for field in fields})
    if PER_LEVEL in raw:
        findings += _lint_per_level(raw, fields)
    return findings, fields


def _lint_record(raw: dict[str, Any], key: str | None) -> Iterator[str]:
    if raw["type"] != "record":
        yield f"'type' is {raw['type']!r}, not 'record'"
    if not _text(raw["doc"]):
        yield "'doc' is empty"
    if not (isinstance(raw["version"], str) and SEMVER.fullmatch(raw["version"])):
        yield f"'version' {raw['version']!r} is not major.minor.patch"
    name, namespace = raw["name"], raw["namespace"]
    if not (isinstance(name, str) and COLUMN_NAME.fullmatch(name)):
        yield f"'name' {name!r} is not snake_case"
    parts = namespace.split(".") if isinstance(namespace, str) else []
    if len(parts) != 2 or parts[0] not in LAYERS or not COLUMN_NAME.fullmatch(parts[1]):
        yield f"'namespace' {namespace!r} is not <{'|'.join(LAYERS)}>.<product>"
    if key is not None and f"{namespace}.{name}" != key:
        yield f"is {namespace}.{name}, its path says {key}"


def _lint_field(raw: Any) -> Iterator[str]:
    if not isinstance(raw, dict):
        yield "is not an object"
        return
    missing = [name for name in _FIELD_REQUIRED if name not in raw]
    yield from (f"attribute {name!r} is missing" for name in missing)
    yield from (f"attribute {name!r} is unknown" for name in raw if name not in _FIELD_ATTRIBUTES)
    if missing:
        return
    if not (isinstance(raw["name"], str) and COLUMN_NAME.fullmatch(raw["name"])):
        yield "the name is not snake_case"
    if not _text(raw["doc"]):
        yield "'doc' is empty"
    if raw["unit"] not in UNITS:
        yield f"unit {raw['unit']!r} is not one of the known units"
    if raw["kind"] not in KINDS:
        yield f"kind {raw['kind']!r} is not one of {', '.join(KINDS)}"
    type_findings = [*_lint_type(raw["type"]), *_lint_width(raw)]
    yield from type_findings
    yield from _lint_default(raw)
    if not type_findings:
        yield from _lint_checks(raw)


def _lint_type(avro: Any) -> Iterator[str]:
    inner, nullable = unwrap(avro)
    if isinstance(avro, list) and not nullable:
        yield 'a union is ["null", T], null first'
    elif is_array(inner):
        yield from (f"type attribute {name!r} is unknown" for name in inner if name not in ("type", "items"))
        items, _ = unwrap(inner.get("items"))
        if not isinstance(items, str) or items not in AVRO_PHYSICAL:
            yield f"items {inner.get('items')!r} are no primitive type"
    elif isinstance(inner, dict):
        yield from _lint_complex_type(inner)
    elif not isinstance(inner, str) or inner not in AVRO_PHYSICAL:
        yield f"type {inner!r} is unknown"


def _lint_complex_type(avro: dict[str, Any]) -> Iterator[str]:
    if avro.get("type") == "enum":
        yield from (
            f"type attribute {name!r} is unknown" for name in avro if name not in ("type", "name", "symbols")
        )
        symbols = avro.get("symbols")
        if not (isinstance(avro.get("name"), str) and _AVRO_NAME.fullmatch(avro["name"])):
            yield "the enum has no valid name"
        if not isinstance(symbols, list) or not symbols:
            yield "the enum has no symbols"
        elif not all(isinstance(symbol, str) and _AVRO_NAME.fullmatch(symbol) for symbol in symbols):
            yield "an enum symbol is not an Avro name; use a string with checks.isin"
        elif len(set(symbols)) != len(symbols):
            yield "an enum symbol appears twice"
        return
    known = ("type", "logicalType", "timezone")
    yield from (f"type attribute {name!r} is unknown" for name in avro if name not in known)
    logical = LOGICAL.get((str(avro.get("type")), str(avro.get("logicalType"))))
    if logical is None:
        yield f"logical type {avro.get('logicalType')!r} over {avro.get('type')!r} is unknown"
    if "timezone" in avro and (logical != "timestamp" or avro["timezone"] not in TIMEZONES):
        yield f"time zone {avro['timezone']!r} is unknown here"


def _lint_width(raw: dict[str, Any]) -> Iterator[str]:
    inner, _ = unwrap(raw["type"])
    if is_array(inner):
        inner, _ = unwrap(inner.get("items"))
    allowed = WIDTHS.get(inner, ()) if isinstance(inner, str) else ()
    if "width" in raw and raw["width"] not in allowed:
        yield f"width {raw['width']!r} does not fit type {inner!r}"


def _lint_default(raw: dict[str, Any]) -> Iterator[str]:
    _, nullable = unwrap(raw["type"])
    if nullable and ("default" not in raw or raw["default"] is not None):
        yield "a nullable field has default null"
    if not nullable and "default" in raw:
        yield "a required field has no default"


def _lint_checks(raw: dict[str, Any]) -> Iterator[str]:
    checks = raw.get("checks", {})
    if not isinstance(checks, dict) or ("checks" in raw and not checks):
        yield "'checks' is not a filled object"
        return
    if unknown := [name for name in checks if name not in _CHECKS]:
        yield f"checks {unknown} are unknown"
        return
    bounds = {name: checks[name] for name in BOUNDS if name in checks}
    isin = checks.get("isin", [None])
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in bounds.values()):
        yield "a bound is not a number"
    elif not isinstance(isin, list) or not isin or len({str(value) for value in isin}) != len(isin):
        yield "'isin' is not a list of distinct values"
    elif "matches" in checks and not _compiles(checks["matches"]):
        yield "'matches' is not a regular expression"
    elif checks.get("finite", False) is not False:
        yield "'finite' says only false; every float is finite unless it says so"
    else:
        yield from _lint_checks_fit(parse_field(raw), raw.get("unit"))


def _lint_checks_fit(field: Field, unit: Any) -> Iterator[str]:
    """Checks and unit against the type they stand beside."""
    checks, numeric = field.checks, not field.is_list and (field.is_float or "int" in field.physical)
    low = [value for value in (checks.ge, checks.gt) if value is not None]
    high = [value for value in (checks.le, checks.lt) if value is not None]
    if (low or high or checks.isin) and not numeric:
        yield f"bounds and isin do not fit {field.type_name}"
    if checks.isin and any(isinstance(value, bool) or not isinstance(value, int) for value in checks.isin):
        yield "isin over numbers lists integers"
    if field.symbols and not all(isinstance(symbol, str) for symbol in field.symbols):
        yield "isin over text lists texts"
    if len(low) > 1 or len(high) > 1 or (low and high and low[0] > high[0]):
        yield "the bounds contradict each other"
    if checks.matches is not None and field.type_name != "string":
        yield f"matches does not fit {field.type_name}"
    if not checks.finite and not field.is_float:
        yield f"finite does not fit {field.type_name}"
    if (field.physical in _UNITLESS) != (unit == "none"):
        yield f"unit {unit!r} does not fit {field.type_name}"
    if field.physical.startswith("timestamp") and unit != "ns UTC":
        yield "an instant has the unit 'ns UTC'"


def _lint_enum_names(fields: list[Any]) -> Iterator[str]:
    types = [unwrap(field.get("type"))[0] for field in fields if isinstance(field, dict)]
    names = Counter(
        str(avro.get("name")) for avro in types if isinstance(avro, dict) and avro.get("type") == "enum"
    )
    yield from (f"enum {name!r} is defined {count} times" for name, count in names.items() if count > 1)


def _lint_order(raw: dict[str, Any], names: list[Any], fields: dict[str, Field]) -> Iterator[str]:
    key, sort = raw["key"], raw["sort"]
    for label, columns in (("key", key), ("sort", sort)):
        if not isinstance(columns, list) or len({str(column) for column in columns}) != len(columns):
            yield f"{label!r} is not a list of distinct columns"
            return
        yield from (
            f"{label!r} names {column!r}, which is no field" for column in columns if column not in names
        )
        nullable = [column for column in columns if column in fields and fields[column].nullable]
        yield from (f"{label!r} names {column!r}, which is nullable" for column in nullable)
        lists = [column for column in columns if column in fields and fields[column].is_list]
        yield from (f"{label!r} names {column!r}, which is a list" for column in lists)
        floats = [column for column in columns if column in fields and fields[column].is_float]
        yield from (f"{label!r} names {column!r}, which is a float" for column in floats)
    if set(sort[: len(key)]) != set(key):
        yield "'sort' does not start with the columns of 'key', so uniqueness cannot be seen from neighbours"


def _lint_per_level(raw: dict[str, Any], fields: list[Field]) -> Iterator[str]:
    kinds = raw[PER_LEVEL]
    if not isinstance(kinds, list) or any(kind not in KINDS or kinds.count(kind) > 1 for kind in kinds):
        yield f"{PER_LEVEL!r} is not a list of distinct kinds of columns"
        return
    if str(raw["name"]).split("_").count(LEVEL) != 1:
        yield f"'name' {raw['name']!r} has not one part {LEVEL!r}, which would stand for the name of a level"
    prefixed = [field.name for field in fields if field.kind in kinds]
    for label in ("key", "sort"):
        shared = [name for name in prefixed if isinstance(raw[label], list) and name in raw[label]]
        yield from (f"{label!r} names {name!r}, which every level calls otherwise" for name in shared)


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _compiles(pattern: Any) -> bool:
    try:
        re.compile(pattern)
    except (re.error, TypeError):
        return False
    return True
