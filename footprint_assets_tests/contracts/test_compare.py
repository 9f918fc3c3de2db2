"""A change of a contract is judged by what it does to old partitions and old readers."""

from __future__ import annotations

import copy

import pytest

from footprint_assets.contracts import parse
from footprint_assets.contracts.compare import Level, VersionNotMoved, check_version_move, compare
from footprint_assets_tests.contracts.test_lint import (
    BID,
    GOOD,
    SIDE,
    SIZE,
    SIZES,
    SPAN,
    SYMBOL,
    TS,
    add,
    drop_field,
    set_field,
    set_record,
    set_type,
)

NULLABLE = {"name": "ask_px", "type": ["null", "double"], "default": None, "doc": "Best ask.", "unit": "pts"}
REQUIRED = {"name": "ask_px", "type": "double", "doc": "Best ask.", "unit": "pts", "kind": "derived"}


def insert(position, field):
    return lambda raw: raw["fields"].insert(position, {"kind": "derived", **field})


def remove(position):
    return lambda raw: raw["fields"].pop(position)


def swap(raw):
    raw["fields"][SIZE], raw["fields"][BID] = raw["fields"][BID], raw["fields"][SIZE]


def same(_raw):
    return None


VERDICTS = [
    ("nothing", same, Level.NONE, ""),
    ("version alone", set_record(version="1.0.1"), Level.NONE, ""),
    ("table doc", set_record(doc="Prints."), Level.PATCH, "doc of the table"),
    ("column doc", set_field(SIZE, doc="Contracts."), Level.PATCH, "doc of size"),
    ("kind models do not select by", set_field(SIZE, kind="meta"), Level.PATCH, "kind of size"),
    ("kind becomes a feature", set_field(SIZE, kind="feature"), Level.MAJOR, "kind of size"),
    ("nullable column at the end", insert(6, NULLABLE), Level.MINOR, "ask_px was added, nullable"),
    ("nullable column in the middle", insert(2, NULLABLE), Level.MINOR, "ask_px was added, nullable"),
    ("required column", insert(6, REQUIRED), Level.MAJOR, "ask_px was added, required"),
    ("column removed", remove(BID), Level.MAJOR, "bid_px was removed"),
    ("column renamed", set_field(BID, name="best_bid"), Level.MAJOR, "bid_px was renamed to best_bid"),
    ("columns swapped", swap, Level.MAJOR, "order of"),
    ("wider integer", set_field(SIZE, width="int32"), Level.MINOR, "wider"),
    ("narrower integer", set_field(SIZE, width="uint8"), Level.MAJOR, "from uint16 to uint8"),
    ("sign at the same width", set_field(SIZE, width="int16"), Level.MAJOR, "from uint16 to int16"),
    ("integer to float", set_field(SIZE, type="double", width=None), Level.MAJOR, "to float64"),
    ("narrower float", set_field(BID, type=["null", "float"]), Level.MAJOR, "to float32"),
    ("time zone", set_type(TS, timezone="America/New_York"), Level.MAJOR, "New_York"),
    ("enum value at the end", set_type(SIDE, symbols=["A", "B", "N", "X"]), Level.MINOR, "added at the end"),
    ("enum value in the middle", set_type(SIDE, symbols=["A", "X", "B", "N"]), Level.MAJOR, "enum"),
    ("enum values reordered", set_type(SIDE, symbols=["B", "A", "N"]), Level.MAJOR, "enum"),
    ("enum value removed", set_type(SIDE, symbols=["A", "B"]), Level.MAJOR, "enum"),
    (
        "listed value at the end",
        set_field(SPAN, checks={"isin": ["1s", "1m", "5m"]}),
        Level.MINOR,
        "at the end",
    ),
    ("enum to text", set_field(SIDE, type="string"), Level.MAJOR, "to string"),
    ("becomes nullable", set_field(SIZE, type=["null", "int"], default=None), Level.MINOR, "became nullable"),
    ("becomes required", set_field(BID, type="double", default=...), Level.MAJOR, "became required"),
    ("unit", set_field(BID, unit="ticks"), Level.MAJOR, "from pts to ticks"),
    ("lower bound relaxed", set_field(SIZE, checks={"ge": -5, "le": 100}), Level.MINOR, "relaxed"),
    ("lower bound tightened", set_field(SIZE, checks={"ge": 1, "le": 100}), Level.MAJOR, "tightened"),
    ("lower bound made strict", set_field(SIZE, checks={"gt": 0, "le": 100}), Level.MAJOR, "tightened"),
    ("upper bound raised", set_field(SIZE, checks={"ge": 0, "le": 200}), Level.MINOR, "relaxed"),
    ("upper bound lowered", set_field(SIZE, checks={"ge": 0, "lt": 100}), Level.MAJOR, "tightened"),
    ("bounds removed", drop_field(SIZE, "checks"), Level.MINOR, "relaxed"),
    ("bound added", set_field(BID, checks={"ge": 0}), Level.MAJOR, "tightened"),
    (
        "list of numbers added",
        set_field(SIZE, checks={"ge": 0, "le": 100, "isin": [1, 2]}),
        Level.MAJOR,
        "isin",
    ),
    ("expression removed", drop_field(SYMBOL, "checks"), Level.MINOR, "matches"),
    ("expression changed", set_field(SYMBOL, checks={"matches": "^NQ"}), Level.MAJOR, "matches"),
    ("not-a-number allowed", set_field(BID, checks={"finite": False}), Level.MINOR, "finite"),
    ("key", set_record(key=["symbol"]), Level.MAJOR, "key went"),
    ("sort", set_record(sort=["symbol", "ts_event"]), Level.MAJOR, "sort went"),
    ("table name", set_record(name="trades"), Level.MAJOR, "renamed from silver.future.prints"),
    ("layer", set_record(namespace="gold.future"), Level.MAJOR, "to gold.future.prints"),
]


LIST_VERDICTS = [
    ("wider items", {"width": "int32"}, Level.MINOR, "from list<int16?> to list<int32?>, wider"),
    ("narrower items", {"width": "int8"}, Level.MAJOR, "from list<int16?> to list<int8?>"),
    (
        "items required",
        {"type": {"type": "array", "items": "int"}},
        Level.MAJOR,
        "items of sizes became required",
    ),
    ("no list", {"type": ["null", "int"], "default": None}, Level.MAJOR, "from list<int16?> to int16"),
]


@pytest.mark.parametrize(
    ("attributes", "level", "reason"), [v[1:] for v in LIST_VERDICTS], ids=[v[0] for v in LIST_VERDICTS]
)
def test_verdict_on_a_list_column(attributes, level, reason):
    old, new = (parse(changed(change)) for change in (add(SIZES), add(SIZES, **attributes)))
    verdict = compare(old, new)
    assert verdict.level is level, verdict.reasons
    assert reason in " ".join(verdict.reasons)
    assert old.fingerprint != new.fingerprint


def test_items_of_a_list_may_become_nullable():
    strict = {"type": "array", "items": "int"}
    old, new = (parse(changed(change)) for change in (add(SIZES, type=strict), add(SIZES)))
    assert compare(old, new).level is Level.MINOR
    assert old.fingerprint != new.fingerprint


def changed(change):
    raw = copy.deepcopy(GOOD)
    change(raw)
    for field in raw["fields"]:
        if field.get("width", ...) is None:
            del field["width"]
        if field.get("default") is ...:
            del field["default"]
    return raw


@pytest.mark.parametrize(
    ("change", "level", "reason"), [v[1:] for v in VERDICTS], ids=[v[0] for v in VERDICTS]
)
def test_verdict(change, level, reason):
    old, new = parse(GOOD), parse(changed(change))
    verdict = compare(old, new)
    assert verdict.level is level, verdict.reasons
    assert not verdict.reasons or reason in verdict.reasons[0]


@pytest.mark.parametrize(("change", "level"), [(v[1], v[2]) for v in VERDICTS], ids=[v[0] for v in VERDICTS])
def test_the_fingerprint_moves_with_the_bytes_and_not_with_the_words(change, level):
    old, new = parse(GOOD), parse(changed(change))
    bytes_changed = (
        any("the kind of" not in reason for reason in compare(old, new).reasons) and level >= Level.MINOR
    )
    assert (old.fingerprint != new.fingerprint) is bytes_changed


def test_opening_a_check_and_closing_it_again_are_opposite_verdicts():
    old, new = parse(GOOD), parse(changed(set_field(BID, checks={"finite": False})))
    assert compare(old, new).level is Level.MINOR
    assert compare(new, old).level is Level.MAJOR


def test_the_gravest_of_several_changes_decides_and_stands_first():
    def both(raw):
        raw["doc"] = "Prints."
        raw["fields"].pop(BID)

    verdict = compare(parse(GOOD), parse(changed(both)))
    assert verdict.level is Level.MAJOR
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["MAJOR", "PATCH"]


@pytest.mark.parametrize(
    ("change", "version", "accepted"),
    [
        (same, "1.0.0", True),
        (same, "1.0.1", False),
        (set_record(doc="Prints."), "1.0.0", False),
        (set_record(doc="Prints."), "1.0.1", True),
        (set_record(doc="Prints."), "1.1.0", True),
        (set_record(doc="Prints."), "1.0.2", False),
        (insert(6, NULLABLE), "1.0.1", False),
        (insert(6, NULLABLE), "1.1.0", True),
        (insert(6, NULLABLE), "1.1.1", False),
        (remove(BID), "1.1.0", False),
        (remove(BID), "2.0.0", True),
        (remove(BID), "3.0.0", False),
        (remove(BID), "0.9.0", False),
    ],
)
def test_the_version_moves_one_step_of_at_least_the_verdict(change, version, accepted):
    raw = changed(change) | {"version": version}
    if accepted:
        check_version_move(parse(GOOD), parse(raw))
    else:
        with pytest.raises(VersionNotMoved, match="Set the version to"):
            check_version_move(parse(GOOD), parse(raw))
