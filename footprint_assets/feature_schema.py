"""``contracts/features.json``: what a model may read, and what it may not, generated from the contracts.

The list of features is an allow list: a column that is not in it is no input of a model. ``footprint-assets contracts``
writes the file; a test fails when the committed one differs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from footprint_assets import contracts
from footprint_assets.contracts import CONTRACTS_DIR, Contract, Field
from footprint_assets.gold_contracts import Column, columns_of, contract_texts
from footprint_assets.transforms import level_features, levels_signals, market_features

FILE = "features.json"
VERSION = "1.0.0"
"""Version of the schema; a feature's ``since`` is the one it first appeared in."""
LEVEL_PREFIX = "{level}_"
"""Stands for a level's name in lower case in the names of its table and of the table's features."""

_Json = dict[str, Any]
_TEMPLATE_NAME = "gold.future.{level}_features"
_TABLES = {
    market_features.TABLE: (market_features.TABLE, "bar_ts + 5 s"),
    level_features.TEMPLATE: (_TEMPLATE_NAME, "decision_ts"),
    levels_signals.TABLE: (levels_signals.TABLE, "decision_ts"),
}
"""Contract of each table, its name here, and when the features of a row are known."""
_AVAILABLE = {"MARKET": "bar_ts + 5 s", "LEVEL": "decision_ts"}


def write_schema(folder: Path, root: Path = CONTRACTS_DIR) -> Path:
    """Write ``features.json``.

    Args:
        folder: The folder of contracts it is written to.
        root: Directory of the contracts it is made of.

    Returns:
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_text(schema_text(root), encoding="utf-8")
    return path


def schema_text(root: Path = CONTRACTS_DIR) -> str:
    """The text of ``features.json``, one line a column.

    Args:
        root: Directory of the contracts. The file there tells since when its features exist.
    """
    schema = feature_schema(root, _since(root / FILE))
    parts = []
    for name, value in schema.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            rows = ",\n".join(f"    {json.dumps(row, ensure_ascii=False)}" for row in value)
            parts.append(f"  {json.dumps(name)}: [\n{rows}\n  ]")
        else:
            parts.append(f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def feature_schema(root: Path = CONTRACTS_DIR, since: Mapping[str, str] | None = None) -> _Json:
    """What ``features.json`` says.

    Args:
        root: Directory of the contracts.
        since: Version a feature first appeared in, by name; ``VERSION`` for those not named.

    Returns:
        ``version``, ``sha256`` of everything else in canonical JSON, ``tables``, ``features``, ``labels``, ``metadata``.
    """
    known = since or {}
    texts = contract_texts(root)
    tables = {key: contracts.parse(json.loads(texts[key]), key) for key in _TABLES}
    signals = tables[levels_signals.TABLE]
    sources = {column.name: column for key in _TABLES for column in columns_of(key, root) if column.source}
    levels = set(tables[level_features.TEMPLATE].columns_of_kind("feature"))
    content = {
        "version": VERSION,
        "tables": [_table(contract) for contract in tables.values()],
        "features": [
            _feature(signals.field(name), sources[name], "LEVEL" if name in levels else "MARKET", known)
            for name in signals.columns_of_kind("feature")
        ],
        "labels": [_column(signals.field(name), sources[name]) for name in signals.columns_of_kind("label")],
        "metadata": _metadata(tables, sources),
    }
    return {"version": VERSION, "sha256": sha256_of(content)} | content


def sha256_of(schema: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of a schema in canonical JSON, without its own ``sha256``."""
    content = {name: value for name, value in schema.items() if name != "sha256"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def shared_names(levels: Iterable[str], root: Path = CONTRACTS_DIR) -> dict[str, list[str]]:
    """Features that the LEVEL and the MARKET pipeline both have: there must be none.

    Args:
        levels: Names of levels, such as ``PM_HIGH``.
        root: Directory of the contracts.

    Returns:
        By level, the features that ``market_features`` shares with the level's table or, where they carry no level's
        name, with ``levels_signals``; levels without any are left out.
    """
    market = contracts.load(market_features.TABLE, root).columns_of_kind("feature")
    generic = contracts.load(level_features.TEMPLATE, root).columns_of_kind("feature")
    found = {}
    for level in levels:
        key = contracts.level_key(level_features.TEMPLATE, level, root)
        prefixed = contracts.load(key, root).columns_of_kind("feature")
        found[level] = sorted({*prefixed, *generic} & set(market))
    return {level: names for level, names in found.items() if names}


def _table(contract: Contract) -> _Json:
    name, available = _TABLES[contract.name]
    return {
        "name": name,
        "doc": contract.doc,
        "key": list(contract.key),
        "contract": contract.name,
        "contract_version": contract.version,
        "contract_sha256": contract.fingerprint,
        "available_at": available,
        "features": len(contract.columns_of_kind("feature")),
    }


def _feature(field: Field, source: Column, pipeline: str, since: Mapping[str, str]) -> _Json:
    own = (
        {_TEMPLATE_NAME: f"{LEVEL_PREFIX}{field.name}"}
        if pipeline == "LEVEL"
        else {market_features.TABLE: field.name}
    )
    return (
        {"name": field.name, "pipeline": pipeline}
        | _described(field)
        | {
            "available_at": _AVAILABLE[pipeline],
            "since": since.get(field.name, VERSION),
            "source": source.source,
            "source_column": source.source_column,
            "tables": own | {levels_signals.TABLE: field.name},
        }
    )


def _column(field: Field, source: Column) -> _Json:
    values = {"values": list(field.symbols)} if field.symbols else {}
    return {"name": field.name} | _described(field) | values | {"source": source.source}


def _metadata(tables: Mapping[str, Contract], sources: Mapping[str, Column]) -> list[_Json]:
    found: dict[str, _Json] = {}
    for key, contract in tables.items():
        for field in contract.fields:
            if field.kind not in ("feature", "label"):
                row = found.setdefault(field.name, _column(field, sources[field.name]) | {"tables": []})
                row["tables"].append(_TABLES[key][0])
    return list(found.values())


def _described(field: Field) -> _Json:
    dtype = f"list<{field.physical}>" if field.is_list else field.physical
    return {
        "kind": field.kind,
        "dtype": dtype,
        "nullable": field.nullable,
        "unit": field.unit,
        "formula": field.doc,
    }


def _since(path: Path) -> dict[str, str]:
    """Since when the features of the committed file exist; the contracts do not say."""
    if not path.exists():
        return {}
    return {row["name"]: row["since"] for row in json.loads(path.read_text(encoding="utf-8"))["features"]}
