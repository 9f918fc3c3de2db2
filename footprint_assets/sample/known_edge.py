"""Rows of `levels_signals` of any number, drawn from a known law without a market behind them.

They keep the contract of `gold.future.levels_signals` and the primary label is whole: outcome, first passage, end, strength. What
an attempt shows (`edge`) stands in the columns that say it in the real table (``SHOWN_AS``); weaker copies stand
in some others. All other features are noise with the company of their family and trade date, and as often null as in the
sample market. Labels of other barriers and horizons are not made: UNDEFINED, or null.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.contracts import Field
from footprint_assets.lake import Lake, Lineage
from footprint_assets.ml.features import allowed, family
from footprint_assets.sample.edge import (
    KNOWN_EDGE,
    TAPE_S,
    USUAL_SIZE,
    USUAL_TRADES,
    Edge,
    Shown,
    draw_outcomes,
)
from footprint_assets.sample.instruments import listings
from footprint_assets.settings import NANOS_PER_SECOND

Float64 = npt.NDArray[np.float64]

TABLE = "gold.future.levels_signals"
LEVELS = ("PM_HIGH", "PM_LOW", "OR_HIGH", "OR_LOW", "SMA_90")
SHOWN_AS: Mapping[str, str] = {
    "wall": "bar5s_lvldepth_rel_z0_eob",
    "flow": "bar5s_lvltrade_toward_imbal_w12",
    "tempo": "bar5s_lvltrade_trade_rate_w12",
}
"""The column that says each thing an attempt shows: size at the level, imbalance of aggressors towards it, trades a second."""
COPIES: Mapping[str, tuple[str, ...]] = {
    "wall": ("bar5s_lvlliq_depth_vs_baseline_w12", "bar5s_lvlliq_net_qty_w36"),
    "flow": ("bar5s_lvltrade_toward_imbal_w36", "bar5s_trade_cnt_imbal"),
    "tempo": ("bar5s_lvltrade_trade_rate_w36", "bar5s_trade_cnt_sum"),
}
"""Columns that tell it half as well."""

RECORDS = 100_000
"""MBP-10 records of the session that a drawn trade date would have had."""

_SPREAD: Mapping[str, float] = {"wall": 1.15, "flow": 0.25, "tempo": 0.45}
"""Standard deviation of what attempts show, in a simulated market too."""
_DRAWN = Lineage(code_version="drawn from a known law")
_BAR_NS = 5 * NANOS_PER_SECOND
_HORIZON_S = 480
_FIRST_BAR = 180
"""09:45 ET, bars from the open of the cash session."""
_NULL_COLUMNS, _GAPPY_COLUMNS = 0.13, 0.03
"""Shares of the features that are hardly ever known, and that are sometimes: what the sample market has."""
_UNDEFINED = 0.01


@dataclass(frozen=True)
class GoldRows:
    """Episodes of one trade date and what was known to who drew them.

    Args:
        signals: Rows of `levels_signals`, sorted by ``episode_id``.
        chances: Of each of them ``p_tradeable`` and, where it is decided, ``p_break``, by ``episode_id``.
    """

    signals: pl.DataFrame
    chances: pl.DataFrame


def gold_rows(
    date: dt.date,
    *,
    edge: Edge = KNOWN_EDGE,
    episodes: int = 50,
    seed: int = 7,
    features: Sequence[str] | None = None,
) -> GoldRows:
    """Draw the episodes of one trade date.

    Args:
        date: A trade date with a cash session.
        edge: How outcomes depend on what is shown.
        episodes: How many.
        seed: Of every draw; the same arguments give the same rows.
        features: The features to make, those of ``SHOWN_AS`` among them; all of ``features.json`` where ``None``.

    Raises:
        ValueError: The trade date has no cash session.
    """
    random = np.random.default_rng([seed, date.toordinal()])
    names = tuple(allowed().names if features is None else features)
    counted = _counted(random, episodes)
    shown = shown_in(counted)
    facts = _facts(random, date, episodes)
    labels = _labels(random, facts["decision_ts"], draw_outcomes(random, edge, shown))
    columns = facts | labels | _features(random, names, shown, seed) | counted
    rows = [
        _column(field, columns, episodes)
        for field in _fields()
        if field.kind != "feature" or field.name in names
    ]
    signals = pl.DataFrame(rows)
    chances = pl.DataFrame(
        {
            "episode_id": signals["episode_id"],
            "p_tradeable": edge.p_tradeable(shown),
            "p_break": edge.p_break(shown),
        }
    )
    return GoldRows(signals.sort("episode_id"), chances.sort("episode_id"))


def shown_in(columns: Mapping[str, npt.ArrayLike] | pl.DataFrame, records: int = RECORDS) -> Shown:
    """What attempts showed, by the columns of `levels_signals` that say it.

    Args:
        columns: Those of ``SHOWN_AS``.
        records: MBP-10 records of the contract in the session.
    """
    size, imbalance, rate = (
        np.asarray(columns[SHOWN_AS[what]], np.float64) for what in ("wall", "flow", "tempo")
    )
    return Shown.of(size, imbalance, TAPE_S * rate, records)


def write_gold(
    lake: Lake, dates: Iterable[dt.date], *, edge: Edge = KNOWN_EDGE, episodes: int = 50, seed: int = 7
) -> pl.DataFrame:
    """Publish drawn episodes as partitions of `levels_signals`, each held against the contract; a date without a cash session has none.

    Args:
        lake: Where to.
        dates: Trade dates.
        edge: How outcomes depend on what is shown.
        episodes: How many a trade date.
        seed: Of every draw.

    Returns:
        ``GoldRows.chances`` of all of them.
    """
    contract = contracts.load(TABLE)
    chances = []
    for date in dates:
        if cme.session(date).rth_open_ns is None:
            continue
        rows = gold_rows(date, edge=edge, episodes=episodes, seed=seed)
        contracts.Validator(contract).validate(rows.signals)
        with lake.stage(TABLE, date, lineage=_DRAWN, schema=contract.arrow_schema) as stage:
            symbol = rows.signals["symbol"][0]
            stage.write(symbol, rows.signals)
            stage.count(symbol, rows_in=episodes)
            stage.publish()
        chances.append(rows.chances)
    return pl.concat(chances)


@cache
def _fields() -> tuple[Field, ...]:
    return contracts.load(TABLE).fields


def _facts(random: np.random.Generator, date: dt.date, rows: int) -> dict[str, Any]:
    """Which attempts there were, in time order."""
    session = cme.session(date)
    if session.rth_open_ns is None or session.rth_close_ns is None:
        raise ValueError(f"{date} has no cash session")
    last = (session.rth_close_ns - session.rth_open_ns) // _BAR_NS - 1
    bars = np.sort(random.choice(np.arange(_FIRST_BAR, last), rows, replace=False))
    trigger = session.rth_open_ns + bars * _BAR_NS
    level = random.choice(LEVELS, rows)
    symbol = listings(date)[0].instrument.raw_symbol
    price = 5000.0 + 0.25 * random.integers(0, 4000, rows)
    polarity = np.array([{"H": 1, "L": -1}.get(name.rpartition("_")[2][0], 0) for name in level])
    direction = random.choice((-1, 1), rows)
    episode_id = [f"{date}_{symbol}_{name}_{at}" for name, at in zip(level, trigger, strict=True)]
    return {
        "episode_id": episode_id,
        "touch_id": episode_id,
        "session_date": [date] * rows,
        "symbol": [symbol] * rows,
        "level_type": level,
        "level_price": price,
        "level_price_raw": price,
        "level_polarity": polarity,
        "approach_direction": direction,
        "is_standard_approach": [
            None if p == 0 else bool(d == p) for d, p in zip(direction, polarity, strict=True)
        ],
        "approach_start_ts": trigger - 12 * _BAR_NS,
        "trigger_bar_ts": trigger,
        "decision_ts": trigger + _BAR_NS,
        "touch_event_ts": trigger + _BAR_NS // 2,
        "touch_penetration_ticks": random.integers(-4, 0, rows),
        "trigger_kind": ["TOUCH"] * rows,
        "attempt_index": 1 + np.arange(rows),
        "lookback_bars": [180] * rows,
        "forward_bars": [96] * rows,
        "nearby_levels": [[]] * rows,
        "config_hash": ["0" * 16] * rows,
        "label_uniqueness": np.ones(rows),
        "is_complete": [True] * rows,
    }


def _labels(random: np.random.Generator, decision: Any, outcome: npt.NDArray[np.str_]) -> dict[str, Any]:
    """The primary label: 8 ticks, 480 s."""
    rows = outcome.shape[0]
    outcome = np.where(random.random(rows) < _UNDEFINED, "UNDEFINED", outcome)
    seconds = np.minimum(random.exponential(0.3 * _HORIZON_S, rows), _HORIZON_S - 1.0)
    sign = np.where(outcome == "BREAK", 1.0, np.where(outcome == "BOUNCE", -1.0, 0.0))
    strength = sign * (2.0 + random.exponential(2.0, rows)) + random.standard_normal(rows) * 0.5
    known = outcome != "UNDEFINED"
    life = np.where(sign == 0.0, _HORIZON_S, seconds)
    return {
        "label_end_ts": np.asarray(decision) + (life * NANOS_PER_SECOND).astype(np.int64),
        "outcome": outcome,
        "outcome_8t_480s": outcome,
        "time_to_break_8t_480s_s": np.where(outcome == "BREAK", seconds, np.nan),
        "time_to_bounce_8t_480s_s": np.where(outcome == "BOUNCE", seconds, np.nan),
        "first_hit_side": [int(s) if k else None for s, k in zip(sign, known, strict=True)],
        "strength_signed_pts_480s": np.where(known, strength, np.nan),
        "strength_abs_pts_480s": np.where(known, np.abs(strength), np.nan),
    }


def _features(random: np.random.Generator, names: tuple[str, ...], shown: Shown, seed: int) -> dict[str, Any]:
    """Values of each feature within the bounds of its contract, NaN where unknown."""
    rows, families = shown.wall.shape[0], [family(name) for name in names]
    kinds = sorted(set(families))
    company = random.standard_normal((rows, len(kinds))) + random.standard_normal(len(kinds))
    place = [kinds.index(kind) for kind in families]
    raw = 0.5 * company[:, place] + random.standard_t(5, (rows, len(names)))
    for what, copies in COPIES.items():
        for name in set(copies) & set(names):
            raw[:, names.index(name)] += getattr(shown, what) / _SPREAD[what]
    by_name = {field.name: field for field in _fields()}
    unknown = random.random(raw.shape) < _null_rates(names, seed)
    return {
        name: np.where(unknown[:, k], np.nan, _within(by_name[name], raw[:, k]))
        for k, name in enumerate(names)
    }


def _counted(random: np.random.Generator, rows: int) -> dict[str, Float64]:
    """The columns of ``SHOWN_AS``, spread as in a simulated market: of a brisk tape, more goes either way."""
    pace = random.standard_normal(rows)
    trades = np.ceil(USUAL_TRADES * RECORDS * 2.0 ** (_SPREAD["tempo"] * pace))
    return {
        SHOWN_AS["wall"]: np.round(USUAL_SIZE * 2.0 ** random.uniform(-2.0, 2.0, rows)),
        SHOWN_AS["flow"]: 2.0 * random.beta(6.5, 1.4 * 2.0 ** (0.35 * pace)) - 1.0,
        SHOWN_AS["tempo"]: trades / TAPE_S,
    }


def _null_rates(names: tuple[str, ...], seed: int) -> Float64:
    """How often each feature is null, the same on every trade date."""
    random = np.random.default_rng(seed)
    kind, rate = random.random((2, len(names)))
    rates: Float64 = np.where(
        kind < _NULL_COLUMNS,
        0.9 + 0.11 * rate,
        np.where(kind < _NULL_COLUMNS + _GAPPY_COLUMNS, 0.4 * rate, 0.002 * rate),
    )
    nullable = {field.name for field in _fields() if field.nullable}
    return np.where([name in nullable for name in names], rates, 0.0)


def _within(field: Field, raw: Float64) -> Float64:
    """Numbers of any size as values of a feature."""
    checks = field.checks
    low = checks.ge if checks.ge is not None else checks.gt
    high = checks.le if checks.le is not None else checks.lt
    if field.physical == "bool":
        return (raw > 0).astype(np.float64)
    if checks.isin is not None:
        choices = np.array(sorted(checks.isin), np.float64)
        return choices[
            np.clip(np.floor((raw + 1.5) / 3 * choices.size), 0, choices.size - 1).astype(np.int64)
        ]
    if low is not None and high is not None:
        values = low + (high - low) / (1.0 + np.exp(-raw))
    elif low is not None:
        values = low + np.exp(np.minimum(raw, 8.0))
    elif high is not None:
        values = high - np.exp(np.minimum(raw, 8.0))
    else:
        values = raw
    return values if field.is_float else np.ceil(values) if low is not None else np.floor(values)


def _column(field: Field, columns: Mapping[str, Any], rows: int) -> pl.Series:
    """A column in the type of the contract; what is not made is empty: null, UNDEFINED, no or 0."""
    dtype = contracts.load(TABLE).polars_schema[field.name]
    values = columns.get(field.name)
    if values is None:
        if field.nullable:
            return pl.Series(field.name, [None] * rows, dtype)
        return pl.Series(field.name, ["UNDEFINED" if field.physical == "enum" else 0] * rows).cast(dtype)
    if isinstance(dtype, pl.Datetime):
        return pl.Series(field.name, values, pl.Int64).cast(dtype)
    if isinstance(values, np.ndarray) and values.dtype == np.float64:
        return pl.Series(field.name, values, nan_to_null=True).cast(dtype)
    return pl.Series(field.name, values).cast(dtype)
