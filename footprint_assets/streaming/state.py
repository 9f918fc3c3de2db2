"""What a stream carries, as named values, and back: the one place that walks a state.

A carrier names what it carries in ``CARRIED``. What is reached from there are arrays, numbers, words, frames, and
dictionaries, dataclasses and carriers of them. A field marked ``SCRATCH`` is not carried.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.kernels.book_events import SCRATCH

Value = NDArray[Any] | pl.DataFrame | int | str | None


class Carrier(Protocol):
    """What has a state that is carried from one batch to the next."""

    CARRIED: ClassVar[tuple[str, ...]]


class StateDiffers(ValueError):  # noqa: N818 - names the fact
    """Values that are not those of the carrier: one is missing, or of another type or shape; ``args[0]`` is its name."""


def carried(carrier: Carrier) -> dict[str, Value]:
    """Everything a carrier carries.

    Args:
        carrier: The carrier.

    Returns:
        Path to value, such as ``_state/flows/counts``; arrays are the carrier's own, not copies.
    """
    return dict(_walk("", carrier))


def resume(carrier: Carrier, values: Mapping[str, Value]) -> None:
    """Give a fresh carrier what another one carried.

    Args:
        carrier: A carrier as it is before its first batch; it takes copies.
        values: What ``carried`` gave of the other one.

    Raises:
        StateDiffers: If the values are not those of such a carrier.
    """
    _resume("", carrier, values)


def _walk(path: str, value: Any) -> Iterator[tuple[str, Value]]:
    for name, part in _parts(value):
        yield from _walk(f"{path}/{name}" if path else name, part)
    if not _is_made_of_parts(value):
        yield path, value


def _is_made_of_parts(value: Any) -> bool:
    return isinstance(value, dict) or is_dataclass(value) or hasattr(value, "CARRIED")


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    """What a value is made of, by name."""
    if isinstance(value, dict):
        yield from value.items()
    elif hasattr(value, "CARRIED"):
        yield from ((name, getattr(value, name)) for name in value.CARRIED)
    elif is_dataclass(value):
        kept = (f.name for f in fields(value) if dict(f.metadata) != SCRATCH)
        yield from ((name, getattr(value, name)) for name in kept)


def _resume(path: str, owner: Any, values: Mapping[str, Value]) -> None:
    for name, present in _parts(owner):
        at = f"{path}/{name}" if path else name
        if _is_made_of_parts(present):
            _resume(at, present, values)
            continue
        if at not in values or not _is_alike(present, values[at]):
            raise StateDiffers(at)
        _put(owner, name, at, present, values[at])


def _is_alike(present: Value, value: Value) -> bool:
    if isinstance(present, np.ndarray):
        if not isinstance(value, np.ndarray) or value.dtype != present.dtype or value.ndim != present.ndim:
            return False
        if present.ndim < 2:
            return value.shape == present.shape
        # A table of rows side by side may have grown.
        return value.shape[:-1] == present.shape[:-1] and value.shape[-1] >= present.shape[-1]
    if isinstance(present, pl.DataFrame):
        return isinstance(value, pl.DataFrame) and value.schema == present.schema
    # A word may still be unknown, and rows may not wait yet.
    return type(value) is type(present) or (present is None and isinstance(value, str | pl.DataFrame))


def _put(owner: Any, name: str, at: str, present: Value, value: Value) -> None:
    copied = value.copy() if isinstance(value, np.ndarray) else value
    if isinstance(owner, dict):
        owner[name] = copied
    elif is_dataclass(owner) and vars(type(owner))["__dataclass_params__"].frozen:
        if not isinstance(present, np.ndarray) or present.shape != np.shape(copied):  # type: ignore[arg-type]  # an array, see above
            raise StateDiffers(at)
        present[...] = copied
    else:
        setattr(owner, name, copied)
