"""How far apart are two versions of a contract, and did the version number move accordingly?

PATCH: words alone. MINOR: old partitions and old readers still serve. MAJOR: one of them does not; it needs a new
table name or a migration of the partitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from footprint_assets.contracts.fields import Checks, Field
from footprint_assets.contracts.model import Contract, ContractError

_WIDENS = {
    "int8": {"int16", "int32", "int64"},
    "int16": {"int32", "int64"},
    "int32": {"int64"},
    "uint8": {"int16", "int32", "int64", "uint16", "uint32"},
    "uint16": {"int32", "int64", "uint32"},
    "uint32": {"int64"},
    "float32": {"float64"},
}
_SELECTED_BY_MODELS = {"feature", "label"}


class Level(IntEnum):
    """How much of the version a change moves."""

    NONE = 0
    PATCH = 1
    MINOR = 2
    MAJOR = 3


@dataclass(frozen=True)
class Change:
    """One difference of two contracts."""

    level: Level
    reason: str


@dataclass(frozen=True)
class Verdict:
    """Every difference of two contracts; the level is that of the gravest."""

    changes: tuple[Change, ...]

    @property
    def level(self) -> Level:
        """The gravest level."""
        return max((change.level for change in self.changes), default=Level.NONE)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Each difference in words, the gravest first."""
        return tuple(f"{c.level.name}: {c.reason}" for c in sorted(self.changes, key=lambda c: -c.level))


class VersionNotMoved(ContractError):  # noqa: N818 - reads as the fact it states
    """The contract changed and its version does not say so."""


def compare(old: Contract, new: Contract) -> Verdict:
    """Say what a change of a contract means for readers and for partitions already written.

    Args:
        old: The contract before.
        new: The contract after.

    Returns:
        Every difference with its level.
    """
    return Verdict(tuple(_record_changes(old, new)))


def check_version_move(old: Contract, new: Contract) -> Verdict:
    """Hold a changed contract to a version that moved by one step of at least the verdict's level.

    Args:
        old: The contract before.
        new: The contract after.

    Returns:
        The verdict.

    Raises:
        VersionNotMoved: The version moved too little, went back, skipped, or moved without a change.
    """
    verdict = compare(old, new)
    allowed = (
        [old.version]
        if verdict.level is Level.NONE
        else [_bump(old.version, level) for level in Level if level >= verdict.level]
    )
    if new.version not in allowed:
        raise VersionNotMoved(
            f"The contract changed ({verdict.level.name}) and its version went from {old.version} to {new.version}: "
            + ("; ".join(verdict.reasons) or "nothing else changed")
            + ".",
            where={"contract": new.name},
            remedy=f"Set the version to {allowed[0]}.",
        )
    return verdict


def _bump(version: str, level: Level) -> str:
    major, minor, patch = (int(part) for part in version.split("."))
    if level is Level.MAJOR:
        return f"{major + 1}.0.0"
    return f"{major}.{minor + 1}.0" if level is Level.MINOR else f"{major}.{minor}.{patch + 1}"


def _record_changes(old: Contract, new: Contract) -> Iterator[Change]:
    if old.name != new.name:
        yield Change(Level.MAJOR, f"renamed from {old.name} to {new.name}")
    if old.doc != new.doc:
        yield Change(Level.PATCH, "the doc of the table changed")
    for label, before, after in (("key", old.key, new.key), ("sort", old.sort, new.sort)):
        if before != after:
            yield Change(Level.MAJOR, f"{label} went from {list(before)} to {list(after)}")
    yield from _column_changes(old, new)
    shared = [name for name in old.columns if name in new.columns]
    reordered = [name for name in new.columns if name in old.columns]
    if shared != reordered:
        moved = [name for name, other in zip(shared, reordered, strict=True) if name != other]
        yield Change(Level.MAJOR, f"the order of {', '.join(moved)} changed")
    for name in shared:
        yield from _field_changes(old.field(name), new.field(name))
    if old.per_level != new.per_level:
        yield Change(Level.MAJOR, "the columns that carry the name of a level changed")


def _column_changes(old: Contract, new: Contract) -> Iterator[Change]:
    gone = [field for field in old.fields if field.name not in new.columns]
    come = [field for field in new.fields if field.name not in old.columns]
    for field in gone:
        position = old.columns.index(field.name)
        heir = new.fields[position] if position < len(new.fields) else None
        if heir in come and heir is not None and heir.type_name == field.type_name:
            come.remove(heir)
            yield Change(Level.MAJOR, f"{field.name} was renamed to {heir.name}")
        else:
            yield Change(Level.MAJOR, f"{field.name} was removed")
    for field in come:
        if field.nullable:
            yield Change(Level.MINOR, f"{field.name} was added, nullable")
        else:
            yield Change(Level.MAJOR, f"{field.name} was added, required: old partitions do not have it")


def _field_changes(old: Field, new: Field) -> Iterator[Change]:
    name = old.name
    if (old.physical, old.symbols, old.is_list) != (new.physical, new.symbols, new.is_list):
        yield _type_change(old, new)
    elif old.nullable_items != new.nullable_items:
        level, words = (Level.MINOR, "nullable") if new.nullable_items else (Level.MAJOR, "required")
        yield Change(level, f"the items of {name} became {words}")
    if old.nullable != new.nullable:
        level, words = (Level.MINOR, "nullable") if new.nullable else (Level.MAJOR, "required")
        yield Change(level, f"{name} became {words}")
    if old.unit != new.unit:
        yield Change(Level.MAJOR, f"the unit of {name} went from {old.unit} to {new.unit}")
    if old.doc != new.doc:
        yield Change(Level.PATCH, f"the doc of {name} changed")
    if old.kind != new.kind:
        level = Level.MAJOR if {old.kind, new.kind} & _SELECTED_BY_MODELS else Level.PATCH
        yield Change(level, f"the kind of {name} went from {old.kind} to {new.kind}")
    yield from _check_changes(name, old.checks, new.checks)


def _type_change(old: Field, new: Field) -> Change:
    words = f"{old.name} went from {old.type_name} to {new.type_name}"
    lists = ((old.is_list, old.nullable_items), (new.is_list, new.nullable_items))
    if new.physical in _WIDENS.get(old.physical, ()) and lists[0] == lists[1]:
        return Change(Level.MINOR, f"{words}, wider")
    if old.physical == new.physical == "enum" and new.symbols[: len(old.symbols)] == old.symbols:
        return Change(Level.MINOR, f"{words}, values added at the end")
    return Change(Level.MAJOR, words)


def _check_changes(name: str, old: Checks, new: Checks) -> Iterator[Change]:
    changes = [
        _bound_change("lower", _lower(old), _lower(new)),
        _bound_change("upper", _upper(old), _upper(new)),
        _isin_change(old.isin, new.isin),
    ]
    if old.matches != new.matches:
        changes.append((Level.MAJOR if new.matches else Level.MINOR, "matches"))
    if old.finite != new.finite:
        changes.append((Level.MAJOR if new.finite else Level.MINOR, "finite"))
    for change in changes:
        if change is not None:
            level, check = change
            yield Change(
                level, f"the {check} check of {name} was {'tightened' if level is Level.MAJOR else 'relaxed'}"
            )


def _bound_change(
    label: str, old: tuple[float, int] | None, new: tuple[float, int] | None
) -> tuple[Level, str] | None:
    """Bounds as (value, strictness) with larger meaning tighter."""
    if old == new:
        return None
    tighter = new is not None and (old is None or new > old)
    return (Level.MAJOR if tighter else Level.MINOR, f"{label} bound")


def _lower(checks: Checks) -> tuple[float, int] | None:
    if checks.ge is not None:
        return (checks.ge, 0)
    return None if checks.gt is None else (checks.gt, 1)


def _upper(checks: Checks) -> tuple[float, int] | None:
    if checks.le is not None:
        return (-checks.le, 0)
    return None if checks.lt is None else (-checks.lt, 1)


def _isin_change(old: tuple[object, ...] | None, new: tuple[object, ...] | None) -> tuple[Level, str] | None:
    if old == new or (old and new and set(old) == set(new)):
        return None
    relaxed = new is None or (old is not None and set(old) < set(new))
    return (Level.MINOR if relaxed else Level.MAJOR, "isin")
