"""The contracts of the wide tables, made of the contracts of the tables their columns come from: gold, and what is learned of it.

``footprint-assets contracts`` writes them; a test fails when the committed ones differ. A column keeps its type, unit,
checks and meaning on the way; only its name may change. Versions are raised here, by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from footprint_assets.contracts import CONTRACTS_DIR, ContractNotFound, path_of
from footprint_assets.ml.heads import BIN_ENDS, HEADS, Head
from footprint_assets.transforms import (
    bar5s_filtered,
    level_features,
    levels_signals,
    market_features,
    setup_vectors,
)

BARS = "silver.future.market_by_price_10_bar5s"
BARS_EXT = "silver.future.market_by_price_10_bar5s_ext"
ROLLING = "silver.future.market_rolling_5s"
CONTEXT = "silver.future.session_context_5s"
FOOTPRINT = "silver.future.footprint_bar"
EPISODES = "silver.future.market_by_price_10_level_episodes"
OUTCOMES = "silver.future.market_by_price_10_level_outcomes"
TRAINING_SET = "ml.future.training_set"
MODELS = {name: f"ml.future.model_{name}" for name in HEADS}
"""Dataset key of the models of each head."""
OUT_OF_FOLD = "ml.future.out_of_fold"
VERSIONS = {
    bar5s_filtered.TABLE: "1.0.0",
    market_features.TABLE: "1.0.0",
    level_features.TEMPLATE: "1.0.0",
    levels_signals.TABLE: "1.0.0",
    setup_vectors.TABLE: "1.0.0",
    TRAINING_SET: "1.0.0",
    **dict.fromkeys(MODELS.values(), "1.0.0"),
    OUT_OF_FOLD: "1.0.0",
}

_Json = dict[str, Any]
_ROW = ("bar_ts", "symbol")
_DECISION = "decision_ts"
_FOOTPRINT_WORDS = {"fp1m_": "1-minute", "fp5m_": "5-minute"}


@dataclass(frozen=True)
class Column:
    """A column of a gold table and where it comes from.

    Args:
        field: The column as its contract writes it.
        source: Dataset key of the table it is taken from; empty for one the gold table makes.
        source_column: Its name there.
    """

    field: _Json
    source: str = ""
    source_column: str = ""

    @property
    def name(self) -> str:
        """Name in the gold table."""
        return str(self.field["name"])


def columns_of(key: str, root: Path = CONTRACTS_DIR) -> list[Column]:
    """The columns of a generated table, in physical order, from the contracts of its sources.

    Args:
        key: Dataset key, one of ``VERSIONS``.
        root: Directory of the contracts.
    """
    return _COLUMNS[key](root)


def write_contracts(folder: Path, root: Path = CONTRACTS_DIR) -> list[Path]:
    """Write the generated contracts.

    Args:
        folder: The folder of contracts they are written to.
        root: Directory of the contracts of the sources.

    Returns:
        The files written.
    """
    written = []
    for key, text in contract_texts(root).items():
        path = path_of(key, folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def contract_texts(root: Path = CONTRACTS_DIR) -> dict[str, str]:
    """The text of every generated contract by its dataset key."""
    return {key: _text(key, columns_of(key, root)) for key in VERSIONS}


def _bars_filtered(root: Path) -> list[Column]:
    return [column for column in _taken(BARS, root) if bar5s_filtered.is_kept(column.name)]


def _market(root: Path) -> list[Column]:
    bars = _bars_filtered(root)
    columns = [column for column in bars if column.name in _ROW]
    columns += [column for column in bars if column.field["kind"] == "feature"]
    for key in (BARS_EXT, ROLLING, CONTEXT):
        columns += _features(key, root)
    for prefix in market_features.FOOTPRINT_PREFIXES:
        words = f"Of the last complete {_FOOTPRINT_WORDS[prefix]} footprint bar that had ended by bar_ts + 5 s; null before the first."
        columns += [_as(column, prefix, words) for column in _features(FOOTPRINT, root)]
    return columns


def _level(root: Path) -> list[Column]:
    known = {column.name: column for column in _taken(level_features.APPROACH, root)}
    decision = {column.name: column for column in _taken(EPISODES, root)}[_DECISION]
    metadata = [known[name] for name in level_features.METADATA]
    keyed = [_of_kind(column, "id") if column.name == "episode_id" else column for column in metadata]
    return [*keyed, decision, *_features(level_features.APPROACH, root)]


def _signals(root: Path) -> list[Column]:
    outcomes = _taken(OUTCOMES, root)
    end = next(column for column in outcomes if column.name == "label_end_ts")
    return [
        *_taken(EPISODES, root),
        _of_kind(end, "meta"),
        *_features(level_features.APPROACH, root),
        *(column for column in _market(root) if column.field["kind"] == "feature"),
        *(column for column in outcomes if column.field["kind"] == "label"),
    ]


def _vectors(root: Path) -> list[Column]:
    known = {column.name: column for column in _signals(root)}
    identity = Column(
        {
            "name": "vector_id",
            "type": "long",
            "doc": "First 63 bits of the SHA-256 of episode_id, for indices that know no text.",
            "unit": "1",
            "kind": "id",
            "checks": {"ge": 0},
        }
    )
    taken = [
        "episode_id",
        "session_date",
        *("symbol", "level_type", "level_price", "trigger_bar_ts", "approach_direction"),
        *("outcome", "outcome_score"),
    ]
    columns = [
        identity,
        *(_renamed(known[name], "dt") if name == "session_date" else known[name] for name in taken),
    ]
    for shown, name in setup_vectors.AT_TRIGGER.items():
        feature = _renamed(known[name], shown)
        columns.append(_of_kind(Column(feature.field | {"doc": f"{name}: {feature.field['doc']}"}), "meta"))
    return [*columns, *(Column(_slot(number)) for number in range(setup_vectors.WIDTH))]


def _slot(number: int) -> _Json:
    if number < len(setup_vectors.SLOTS):
        name = setup_vectors.SLOTS[number]
        group = next(group for group, names in setup_vectors.SLOT_GROUPS.items() if name in names)
        doc = f"{name} ({group}): (x - median) / IQR of earlier sessions, clipped; 0 where x is not known; null without a fit."
    else:
        doc = "Padding: 0; null without a fit."
    return {
        "name": setup_vectors.VECTOR[number],
        "type": ["null", "float"],
        "default": None,
        "doc": doc,
        "unit": "1",
        "kind": "feature",
    }


_ROOT: _Json = {
    "name": "symbol",
    "type": "string",
    "doc": "Product root, such as ES: what is learned is learned of a product, whichever contract was traded.",
    "unit": "none",
    "kind": "id",
    "checks": {"matches": "^[A-Z0-9]+$"},
}
_SESSION: _Json = {
    "name": "session",
    "type": "int",
    "doc": "Running number of the trade date in the calendar.",
    "unit": "1",
    "kind": "meta",
    "checks": {"ge": 0},
}
_COMPLETE: _Json = {
    "name": "label_complete",
    "type": "boolean",
    "doc": "The outcome is not UNDEFINED, which it is too where the primary horizon was not observed whole: the row can teach and be judged.",
    "unit": "none",
    "kind": "meta",
}
_STRENGTH: _Json = {
    "name": "strength_signed_pts",
    "type": ["null", "double"],
    "default": None,
    "doc": "mfe - |mae| within the primary horizon of the settings; null where that time is not observed whole.",
    "unit": "pts",
    "kind": "label",
}
_PASSAGE: _Json = {
    "name": "first_passage_share",
    "type": ["null", "double"],
    "default": None,
    "doc": "Time from decision_ts to the first barrier as a share of the primary horizon, above 0 for BREAK, below 0 for BOUNCE; null where neither came.",
    "unit": "1",
    "kind": "label",
    "checks": {"ge": -1, "le": 1},
}


def _training(root: Path) -> list[Column]:
    signals = {column.name: column for column in _signals(root)}
    episode = _of_kind(signals["episode_id"], "id")
    return [
        episode,
        signals["session_date"],
        Column(_SESSION),
        Column(_ROOT),
        _renamed(signals["symbol"], "contract"),
        *(signals[name] for name in ("level_type", "approach_direction", "decision_ts", "label_end_ts")),
        Column(_COMPLETE),
        signals["outcome"],
        Column(_STRENGTH),
        Column(_PASSAGE),
        *(_as_float(column) for column in signals.values() if column.field["kind"] == "feature"),
    ]


_MONTH: _Json = {
    "name": "month",
    "type": {"type": "int", "logicalType": "date"},
    "doc": "First day of the calendar month.",
    "unit": "date",
    "kind": "id",
}
_SHA256 = {"matches": "^[0-9a-f]{64}$"}
_MODEL: tuple[_Json, ...] = (
    _MONTH,
    _ROOT,
    {
        "name": "head",
        "type": "string",
        "doc": "What is learned.",
        "unit": "none",
        "kind": "id",
        "checks": {"isin": list(HEADS)},
    },
    {
        "name": "booster",
        "type": "string",
        "doc": "Name of the booster within the head: a quantile of strength, or the only one.",
        "unit": "none",
        "kind": "id",
        "checks": {"matches": "^[a-z][a-z0-9]*$"},
    },
    {
        "name": "text",
        "type": "string",
        "doc": "The booster in LightGBM's own text, without the parameters it was grown with.",
        "unit": "none",
        "kind": "derived",
    },
    {
        "name": "features",
        "type": {"type": "array", "items": "string"},
        "doc": "Columns of the training set it reads, in order; time_to_threshold reads the end of the time bin after them.",
        "unit": "none",
        "kind": "meta",
    },
    {
        "name": "features_sha256",
        "type": "string",
        "doc": "SHA-256 of the allow list, features.json, they come from.",
        "unit": "none",
        "kind": "meta",
        "checks": _SHA256,
    },
    {
        "name": "sha256",
        "type": "string",
        "doc": "SHA-256 of the text of all boosters of the head.",
        "unit": "none",
        "kind": "meta",
        "checks": _SHA256,
    },
    {
        "name": "rows",
        "type": "int",
        "doc": "Rows it learned from.",
        "unit": "rows",
        "kind": "quality",
        "checks": {"gt": 0},
    },
    {
        "name": "sessions",
        "type": "int",
        "doc": "Trade dates it learned from.",
        "unit": "days",
        "kind": "quality",
        "checks": {"gt": 0},
    },
    *(
        {
            "name": f"{which}_session_date",
            "type": {"type": "int", "logicalType": "date"},
            "doc": f"{which.capitalize()} trade date it learned from.",
            "unit": "date",
            "kind": "meta",
        }
        for which in ("first", "last")
    ),
)


def _model(_: Path) -> list[Column]:
    return [Column(field) for field in _MODEL]


def _judged(root: Path) -> list[Column]:
    training = [column for column in _training(root) if column.field["kind"] != "feature"]
    said = [_said(name, head) for head in HEADS.values() for name in head.columns]
    return [
        *(Column(column.field, TRAINING_SET, column.name) for column in training),
        *(Column(field) for field in (*said, *_RETRIEVED)),
    ]


def _said(name: str, head: Head) -> _Json:
    """A column of what a head says of a row."""
    words = {
        "p_tradeable": "Chance that the level breaks or holds within the horizon.",
        "p_break": "Chance that it breaks where it breaks or holds.",
    }
    probability = name.startswith("p_")
    if head.name == "strength":
        words[name] = f"Quantile {name.split('_')[1][1:]} % of strength_signed_pts."
    elif head.name == "time_to_threshold":
        _, side, _, bin_ = name.split("_")
        share = BIN_ENDS[int(bin_[1:]) - 1]
        words[name] = (
            f"Chance that the {side} barrier is the first, and reached by {share:.4f} of the horizon."
        )
    checks = {"checks": {"ge": 0, "le": 1}} if probability else {}
    doc = f"{words[name]} As the model says it, not calibrated; null without a model."
    unit = "1" if probability else "pts"
    return {
        "name": name,
        "type": ["null", "double"],
        "default": None,
        "doc": doc,
        "unit": unit,
        "kind": "derived",
    } | checks


_RETRIEVED: tuple[_Json, ...] = (
    *(
        {
            "name": f"retrieval_p_{outcome}",
            "type": ["null", "double"],
            "default": None,
            "doc": f"Weighted share of {outcome.upper()} among the nearest earlier episodes, drawn to the base rate; null where none was over.",
            "unit": "1",
            "kind": "derived",
            "checks": {"ge": 0, "le": 1},
        }
        for outcome in ("break", "bounce", "chop")
    ),
    {
        "name": "retrieval_effective",
        "type": ["null", "double"],
        "default": None,
        "doc": "Number of equal neighbours that would say as much; null where none was asked for.",
        "unit": "rows",
        "kind": "derived",
        "checks": {"ge": 0},
    },
)


def _as_float(column: Column) -> Column:
    """A feature as a model reads it; its bounds were checked in gold, before it was rounded."""
    kept = {name: column.field[name] for name in ("name", "doc", "unit", "kind")}
    unit = "1" if kept["unit"] == "none" else kept["unit"]
    field = kept | {"unit": unit, "type": ["null", "float"], "default": None}
    return Column(field, column.source, column.source_column)


_COLUMNS: Mapping[str, Callable[[Path], list[Column]]] = {
    bar5s_filtered.TABLE: _bars_filtered,
    market_features.TABLE: _market,
    level_features.TEMPLATE: _level,
    levels_signals.TABLE: _signals,
    setup_vectors.TABLE: _vectors,
    TRAINING_SET: _training,
    **dict.fromkeys(MODELS.values(), _model),
    OUT_OF_FOLD: _judged,
}
_HEADS: Mapping[str, _Json] = {
    bar5s_filtered.TABLE: {
        "doc": "Five-second bars of the book from 09:30 to 12:30 ET (a setting), without the bands p3_5 and p5_10.",
        "key": ["symbol", "bar_ts"],
        "sort": ["symbol", "bar_ts"],
    },
    market_features.TABLE: {
        "doc": "Every feature of the market as known at the end of a five-second bar, whatever the level: book, order flow, rolling windows, session context and the last complete footprint bars.",
        "key": ["symbol", "bar_ts"],
        "sort": ["symbol", "bar_ts"],
    },
    level_features.TEMPLATE: {
        "doc": "Every feature of the approach to one level as known at the decision, the end of the trigger bar; one row an episode.",
        "key": ["episode_id"],
        "sort": ["episode_id"],
        "per_level": ["feature"],
    },
    levels_signals.TABLE: {
        "doc": "Every episode of every level with the features of its approach and of the market at the decision, and its labels; for training.",
        "key": ["episode_id"],
        "sort": ["episode_id"],
    },
    setup_vectors.TABLE: {
        "doc": "Every episode as a vector of 256 numbers for nearest neighbours: features at the decision, scaled by earlier sessions; the manifest has the window of the fit and the feature of each slot.",
        "key": ["vector_id"],
        "sort": ["vector_id"],
    },
    TRAINING_SET: {
        "doc": "Every episode of a month as a model reads it: when its features were known, when its label was, what is to be learned, and the features of the allow list as float32.",
        "key": ["session_date", "decision_ts", "episode_id"],
        "sort": ["session_date", "decision_ts", "episode_id"],
    },
    **{
        key: {
            "doc": f"The boosted trees of {name} for a month, learned from the months before it: one row a booster; none where nothing could be learned.",
            "key": ["booster"],
            "sort": ["booster"],
        }
        for name, key in MODELS.items()
    },
    OUT_OF_FOLD: {
        "doc": "What the models of a month, and its earlier episodes, say of every episode of the month, beside what came of it: no row was seen in training.",
        "key": ["session_date", "decision_ts", "episode_id"],
        "sort": ["session_date", "decision_ts", "episode_id"],
    },
}


def _taken(key: str, root: Path) -> list[Column]:
    path = path_of(key, root)
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ContractNotFound(
            "A contract that gold is made of is missing.", where={"table": key}, remedy=f"Write {path.name}."
        ) from None
    return [Column(field, key, field["name"]) for field in raw["fields"]]


def _features(key: str, root: Path) -> list[Column]:
    return [column for column in _taken(key, root) if column.field["kind"] == "feature"]


def _renamed(column: Column, name: str) -> Column:
    return Column(column.field | {"name": name}, column.source, column.source_column)


def _of_kind(column: Column, kind: str) -> Column:
    return Column(column.field | {"kind": kind}, column.source, column.source_column)


def _as(column: Column, prefix: str, words: str) -> Column:
    """The column under a prefix, null where there is no row to take it from."""
    kept = {
        name: value for name, value in column.field.items() if name not in ("name", "type", "default", "doc")
    }
    avro = column.field["type"]
    field = {
        "name": f"{prefix}{column.name}",
        "type": avro if isinstance(avro, list) else ["null", avro],
        "default": None,
        "doc": f"{column.field['doc']} {words}",
    }
    return Column(field | kept, column.source, column.source_column)


def _text(key: str, columns: Iterable[Column]) -> str:
    """The contract file, one line a column as the hand-written ones are."""
    namespace, _, name = key.rpartition(".")
    stated = _HEADS[key]
    head = {"type": "record", "name": name, "namespace": namespace, "doc": stated["doc"]}
    head |= {"version": VERSIONS[key]} | {name: value for name, value in stated.items() if name != "doc"}
    lines = [f"  {_json(name)}: {_json(value)}," for name, value in head.items()]
    fields = ",\n".join(f"    {_json(column.field)}" for column in columns)
    return "\n".join(["{", *lines, '  "fields": [', fields, "  ]", "}"]) + "\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
