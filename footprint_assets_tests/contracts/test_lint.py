"""A badly formed contract file is refused with the reason, and those of the repository are well formed."""

from __future__ import annotations

import copy
import json

import pytest

from footprint_assets.contracts import BrokenContract, ContractNotFound, all_keys, load, parse, path_of
from footprint_assets.contracts.lint import lint

GOOD = {
    "type": "record",
    "name": "prints",
    "namespace": "silver.future",
    "doc": "Trades.",
    "version": "1.0.0",
    "key": ["ts_event", "symbol"],
    "sort": ["symbol", "ts_event", "side"],
    "fields": [
        {
            "name": "ts_event",
            "type": {"type": "long", "logicalType": "timestamp-nanos"},
            "doc": "Time.",
            "unit": "ns UTC",
            "kind": "id",
        },
        {
            "name": "symbol",
            "type": "string",
            "doc": "Symbol.",
            "unit": "none",
            "kind": "id",
            "checks": {"matches": "^ES"},
        },
        {
            "name": "side",
            "type": {"type": "enum", "name": "Side", "symbols": ["A", "B", "N"]},
            "doc": "Side.",
            "unit": "none",
            "kind": "raw",
        },
        {
            "name": "size",
            "type": "int",
            "width": "uint16",
            "doc": "Size.",
            "unit": "contracts",
            "kind": "raw",
            "checks": {"ge": 0, "le": 100},
        },
        {
            "name": "bid_px",
            "type": ["null", "double"],
            "default": None,
            "doc": "Best bid.",
            "unit": "pts",
            "kind": "derived",
        },
        {
            "name": "span",
            "type": "string",
            "doc": "Length.",
            "unit": "none",
            "kind": "id",
            "checks": {"isin": ["1s", "1m"]},
        },
    ],
}
TS, SYMBOL, SIDE, SIZE, BID, SPAN = range(6)
SIZES = {
    "name": "sizes",
    "type": {"type": "array", "items": ["null", "int"]},
    "width": "int16",
    "doc": "Sizes of the parts.",
    "unit": "contracts",
    "kind": "derived",
}


def set_record(**attributes):
    return lambda raw: raw.update(attributes)


def drop_record(name):
    return lambda raw: raw.pop(name)


def set_field(position, **attributes):
    return lambda raw: raw["fields"][position].update(attributes)


def drop_field(position, name):
    return lambda raw: raw["fields"][position].pop(name)


def set_type(position, **attributes):
    return lambda raw: raw["fields"][position]["type"].update(attributes)


def add(field, *, record=None, **attributes):
    """A change that appends a field, with attributes of it and of the record set."""

    def change(raw):
        raw["fields"].append({**copy.deepcopy(field), **attributes})
        raw.update(record or {})

    return change


BROKEN = [
    ("duplicate name", set_field(SYMBOL, name="ts_event"), "'ts_event' appears 2 times"),
    ("name with a space", set_field(SIZE, name="bid px"), "not snake_case"),
    ("name with a capital", set_field(SIZE, name="bidPx"), "not snake_case"),
    ("name with a double underscore", set_field(SIZE, name="bid__px"), "not snake_case"),
    ("name from a digit", set_field(SIZE, name="1size"), "not snake_case"),
    ("name that is no text", set_field(SIZE, name=7), "not snake_case"),
    ("no doc", drop_field(SIZE, "doc"), "'doc' is missing"),
    ("blank doc", set_field(SIZE, doc=" "), "'doc' is empty"),
    ("no unit", drop_field(SIZE, "unit"), "'unit' is missing"),
    ("empty unit", set_field(SIZE, unit=""), "unit ''"),
    ("unknown unit", set_field(SIZE, unit="furlongs"), "unit 'furlongs'"),
    ("unit on text", set_field(SYMBOL, unit="pts"), "does not fit string"),
    ("number without a unit", set_field(SIZE, unit="none"), "does not fit uint16"),
    ("instant in points", set_field(TS, unit="pts"), "'ns UTC'"),
    ("no kind", drop_field(SIZE, "kind"), "'kind' is missing"),
    ("unknown kind", set_field(SIZE, kind="metric"), "kind 'metric'"),
    ("unknown field attribute", set_field(SIZE, units="contracts"), "'units' is unknown"),
    ("unknown record attribute", set_record(owner="me"), "'owner' is unknown"),
    ("unknown type attribute", set_type(TS, logicaltype="date"), "'logicaltype' is unknown"),
    ("required with a default", set_field(SIZE, default=0), "has no default"),
    ("nullable without a default", drop_field(BID, "default"), "has default null"),
    ("nullable with a default of 0", set_field(BID, default=0), "has default null"),
    ("null second", set_field(BID, type=["double", "null"]), "null first"),
    ("union of three", set_field(BID, type=["null", "double", "long"]), "null first"),
    ("unknown type", set_field(SIZE, type="decimal"), "'decimal' is unknown"),
    ("unknown width", set_field(SIZE, width="uint24"), "'uint24' does not fit"),
    ("uint32 over int", set_field(SIZE, width="uint32"), "'uint32' does not fit"),
    ("width on text", set_field(SYMBOL, width="int8"), "'int8' does not fit"),
    ("unknown logical type", set_type(TS, logicalType="timestamp-micros"), "'timestamp-micros'"),
    ("logical type over the wrong type", set_type(TS, type="int"), "over 'int'"),
    ("unknown time zone", set_type(TS, timezone="CET"), "'CET'"),
    ("enum without symbols", set_type(SIDE, symbols=[]), "no symbols"),
    ("enum symbol twice", set_type(SIDE, symbols=["A", "A"]), "appears twice"),
    ("enum symbol that is no Avro name", set_type(SIDE, symbols=["1m"]), "not an Avro name"),
    ("enum without a name", set_type(SIDE, name=None), "no valid name"),
    (
        "enum defined twice",
        set_field(SPAN, type=copy.deepcopy(GOOD["fields"][SIDE]["type"]), checks={}),
        "2 times",
    ),
    ("list of lists", add(SIZES, type={"type": "array", "items": SIZES["type"]}), "no primitive type"),
    (
        "list of instants",
        add(SIZES, type={"type": "array", "items": GOOD["fields"][TS]["type"]}),
        "primitive",
    ),
    ("list of nothing", add(SIZES, type={"type": "array"}), "no primitive type"),
    ("list with a default", add(SIZES, type={**SIZES["type"], "default": []}), "'default' is unknown"),
    ("list wider than its items", add(SIZES, width="uint32"), "'uint32' does not fit"),
    ("bound on a list", add(SIZES, checks={"ge": 0}), "do not fit list<int16?>"),
    ("expression on a list", add(SIZES, checks={"matches": "a"}), "matches does not fit"),
    ("finite on a list of integers", add(SIZES, checks={"finite": False}), "finite does not fit"),
    ("list of numbers without a unit", add(SIZES, unit="none"), "does not fit list<int16?>"),
    ("list as a key", add(SIZES, record={"key": ["sizes"], "sort": ["sizes"]}), "which is a list"),
    ("empty checks", set_field(SIZE, checks={}), "not a filled object"),
    ("unknown check", set_field(SIZE, checks={"min": 0}), "['min'] are unknown"),
    ("bound that is text", set_field(SIZE, checks={"ge": "0"}), "not a number"),
    ("bound that is a flag", set_field(SIZE, checks={"ge": True}), "not a number"),
    ("bound on text", set_field(SYMBOL, checks={"ge": 0}), "do not fit string"),
    ("bounds that cross", set_field(SIZE, checks={"ge": 2, "le": 1}), "contradict"),
    ("two lower bounds", set_field(SIZE, checks={"ge": 0, "gt": 0}), "contradict"),
    ("isin of nothing", set_field(SIZE, checks={"isin": []}), "distinct values"),
    ("isin value twice", set_field(SPAN, checks={"isin": ["1s", "1s"]}), "distinct values"),
    ("isin of text on a number", set_field(SIZE, checks={"isin": ["a"]}), "lists integers"),
    ("isin of numbers on text", set_field(SPAN, checks={"isin": [1, 2]}), "lists texts"),
    ("matches on a number", set_field(SIZE, checks={"matches": "a"}), "matches does not fit"),
    ("matches that does not compile", set_field(SYMBOL, checks={"matches": "("}), "regular expression"),
    ("finite on an integer", set_field(SIZE, checks={"finite": False}), "finite does not fit"),
    ("finite true", set_field(BID, checks={"finite": True}), "only false"),
    ("key that is no field", set_record(key=["ts"], sort=["ts"]), "'ts', which is no field"),
    ("sort that is no field", set_record(sort=["ts_event", "symbol", "time"]), "'time', which is no field"),
    ("key twice", set_record(key=["symbol", "symbol"]), "distinct columns"),
    ("key that is no list", set_record(key="symbol"), "distinct columns"),
    ("nullable key", set_record(key=["bid_px"], sort=["bid_px"]), "which is nullable"),
    (
        "sort that does not start with the key",
        set_record(sort=["side", "symbol", "ts_event"]),
        "does not start",
    ),
    ("no sort", drop_record("sort"), "'sort' is missing"),
    ("no version", drop_record("version"), "'version' is missing"),
    ("two-part version", set_record(version="1.0"), "major.minor.patch"),
    ("version with a leading zero", set_record(version="1.01.0"), "major.minor.patch"),
    ("name against the path", set_record(name="trades"), "its path says silver.future.prints"),
    ("namespace against the path", set_record(namespace="gold.future"), "its path says silver.future.prints"),
    ("unknown layer", set_record(namespace="platinum.future"), "'platinum.future'"),
    ("no product", set_record(namespace="silver"), "'silver'"),
    ("blank table doc", set_record(doc=""), "'doc' is empty"),
    ("no record", set_record(type="enum"), "not 'record'"),
    ("no fields", set_record(fields=[]), "not a filled list"),
    ("field that is no object", lambda raw: raw["fields"].append("price"), "is not an object"),
]


def test_a_well_formed_contract_has_no_findings():
    assert lint(GOOD, "silver.future.prints") == []


@pytest.mark.parametrize(
    "change",
    [
        add(SIZES),
        add(SIZES, type=["null", {"type": "array", "items": "int"}], default=None),
        add(SIZES, type={"type": "array", "items": "float"}, width="float32", checks={"finite": False}),
        add(SIZES, type={"type": "array", "items": "string"}, unit="none", width=None),
    ],
)
def test_a_list_column_is_well_formed(change):
    raw = copy.deepcopy(GOOD)
    change(raw)
    if raw["fields"][-1]["width"] is None:
        del raw["fields"][-1]["width"]
    assert lint(raw, "silver.future.prints") == []


@pytest.mark.parametrize(
    ("change", "finding"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN]
)
def test_a_badly_formed_contract_is_refused_with_the_reason(change, finding):
    raw = copy.deepcopy(GOOD)
    change(raw)
    findings = lint(raw, "silver.future.prints")
    assert any(finding in text for text in findings), findings
    with pytest.raises(BrokenContract, match="not well formed"):
        parse(raw, "silver.future.prints")


def test_what_is_no_object_is_refused():
    assert lint([]) == ["a contract is a JSON object"]


def test_every_finding_is_reported_at_once():
    raw = copy.deepcopy(GOOD)
    raw["fields"][SIZE].update(unit="", doc="")
    assert len(lint(raw)) == 2


@pytest.mark.parametrize("key", all_keys())
def test_the_contracts_of_the_repository_are_well_formed(key):
    assert lint(json.loads(path_of(key).read_text()), key) == []


def test_an_unknown_dataset_names_the_known_ones(tmp_path):
    with pytest.raises(ContractNotFound, match=r"silver\.future\.trades_clean"):
        load("silver.future.trade_clean")
    with pytest.raises(ContractNotFound, match="none"):
        load("silver.future.trades_clean", tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [('{"type": ', "not JSON"), ('{"type": "record", "type": "record"}', "'type' appears twice")],
)
def test_a_file_that_is_no_json_or_repeats_an_attribute_is_refused(tmp_path, text, reason):
    path = path_of("silver.future.prints", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(BrokenContract, match=reason):
        load("silver.future.prints", tmp_path)


def test_a_dataset_key_cannot_leave_the_contract_directory(tmp_path):
    with pytest.raises(ContractNotFound):
        load("../secret", tmp_path)
