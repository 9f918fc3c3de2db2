"""Reading sample files back with the vendor's SDK, and the slow, obvious order book that judges them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import databento as db
import numpy as np

UNDEF_PRICE = 2**63 - 1
F_LAST, F_SNAPSHOT = 0x80, 0x20
Level = tuple[int, int, int]
"""Price (1e-9 points), size, orders."""
Ladder = list[Level]


def day_of(path: Path) -> str:
    return path.name.split("-")[2].split(".")[0]


def schema_of(path: Path) -> str:
    return path.name.split(".")[1]


def read(path: Path) -> np.ndarray:
    return db.DBNStore.from_file(path).to_ndarray()


def symbols_of(path: Path) -> dict[int, str]:
    mappings = db.DBNStore.from_file(path).mappings
    return {int(interval["symbol"]): raw for raw, intervals in mappings.items() for interval in intervals}


def read_all(paths: list[Path], schema: str) -> np.ndarray:
    return np.concatenate([read(path) for path in sorted(paths) if schema_of(path) == schema])


def ladders(row: Any) -> dict[str, Ladder]:
    """Both sides of a record, best level first, defined levels only."""
    sides: dict[str, Ladder] = {}
    for side, name in (("B", "bid"), ("A", "ask")):
        levels = [
            (int(row[f"{name}_px_{k:02d}"]), int(row[f"{name}_sz_{k:02d}"]), int(row[f"{name}_ct_{k:02d}"]))
            for k in range(10)
        ]
        defined = [level for level in levels if level[0] != UNDEF_PRICE]
        assert levels[len(defined) :] == [(UNDEF_PRICE, 0, 0)] * (10 - len(defined)), "a hole before a level"
        sides[side] = defined
    return sides


@dataclass(frozen=True)
class Change:
    """What a book record claims: its action, side, price and size."""

    action: str
    side: str
    price: int
    size: int


def change_of(row: Any) -> Change:
    return Change(row["action"].decode(), row["side"].decode(), int(row["price"]), int(row["size"]))


def explains(before: dict[str, Ladder], after: dict[str, Ladder], change: Change) -> str:
    """Why a record does not explain the step from one book to the next; empty when it does.

    Only the level at the record's price may change, by the record's size; a level may enter the sight in the tenth
    place when one above it left, and the tenth leaves the sight when one above it appeared.
    """
    if change.action == "T":
        return "" if before == after else "a trade changed the book"
    if change.action == "R":
        return "" if after == {"B": [], "A": []} else "a clear left levels"
    other = "A" if change.side == "B" else "B"
    if before[other] != after[other]:
        return "the other side changed"
    old = {price: (size, orders) for price, size, orders in before[change.side]}
    new = {price: (size, orders) for price, size, orders in after[change.side]}
    size, orders = old.pop(change.price, (0, 0))
    new_size, new_orders = new.pop(change.price, (0, 0))
    fault = _fault_of_level(change, (size, orders), (new_size, new_orders))
    if fault:
        return fault
    entered = sorted(set(new) - set(old))
    left = sorted(set(old) - set(new))
    if any(old[price] != new[price] for price in set(old) & set(new)):
        return "another level changed"
    if entered and not (len(entered) == 1 and new_size == 0 and after[change.side][-1][0] == entered[0]):
        return "a level entered unexplained"
    if left and not (
        len(left) == 1 and size == 0 and before[change.side][-1][0] == left[0] and len(old) == 10
    ):
        return "a level left unexplained"
    return ""


def _fault_of_level(change: Change, old: tuple[int, int], new: tuple[int, int]) -> str:
    if change.action == "A":
        return "" if new == (old[0] + change.size, old[1] + 1) else "an add of another size"
    if change.action == "C":
        if new[0] != old[0] - change.size:
            return "a cancel of another size"
        return "" if new[1] < old[1] else "a cancel that takes no order"
    if change.action == "M":
        return "" if new[0] != old[0] and new[0] >= change.size else "a modify without effect"
    return f"unknown action {change.action}"
