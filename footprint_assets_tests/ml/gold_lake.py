"""A lake with nothing but `gold.future.levels_signals`, whose outcomes follow known chances: what months are learned from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.lake import Lake, Lineage
from footprint_assets.ml.features import allowed
from footprint_assets.months import sessions_of
from footprint_assets_tests.ml import known_edge

SIGNALS = "gold.future.levels_signals"
HORIZON_S = 480
A_DAY = 30
FEATURES = tuple(
    field.name
    for field in contracts.load(SIGNALS).fields
    if field.kind == "feature"
    and field.physical == "float64"
    and field.nullable
    and not field.checks.as_dict()
)[: len(known_edge.FEATURES.names)]
"""Features that carry what `known_edge` planted; all others are not known, or alike in every row."""
CONTRACT_OF = {"ES": "ESM4", "NQ": "NQM4"}


def first_sessions(month: str, count: int) -> list[dt.date]:
    """The first trade dates of a month such as ``2024-03``."""
    return list(sessions_of(dt.date.fromisoformat(f"{month}-01"))[:count])


def signals(
    days: Iterable[dt.date], contract: str = "ESM4", seed: int = 0, edge: float = 1.2
) -> pl.DataFrame:
    """Rows of `levels_signals` of some trade dates, in contract types.

    Args:
        days: The trade dates.
        contract: Raw symbol.
        seed: Other seeds give other rows.
        edge: Strength of what is planted; 0 plants nothing.
    """
    dates = list(days)
    made = known_edge.rows(len(dates), A_DAY, seed, edge)
    opens = pl.Series([cme.session(day).rth_open_ns for day in dates])
    day = made["session"].cast(pl.Int64)
    start = opens.gather(day) + made["decision_ts"] - day * 86_400 * known_edge.NS_PER_SECOND
    start = start // (5 * known_edge.NS_PER_SECOND) * (5 * known_edge.NS_PER_SECOND)
    share = made["first_passage_share"].clip(-0.999, 0.999)
    planted = dict(zip(known_edge.FEATURES.names, FEATURES, strict=True))
    names = pl.Series([f"{dates[d]}_{contract}_PM_HIGH_{k}" for k, d in enumerate(day)])
    known = made.select(
        episode_id=names,
        touch_id=names,
        session_date=pl.Series(dates).gather(day),
        symbol=pl.lit(contract),
        config_hash=pl.lit("0" * 16),
        level_type="level_type",
        approach_direction="approach_direction",
        decision_ts=start,
        label_end_ts=start + made["label_end_ts"] - made["decision_ts"],
        outcome="outcome",
        is_complete=True,
        strength_signed_pts_480s="strength_signed_pts",
        time_to_break_8t_480s_s=pl.when(share > 0).then(share * HORIZON_S),
        time_to_bounce_8t_480s_s=pl.when(share < 0).then(-share * HORIZON_S),
        **{name: pl.col(source).cast(pl.Float64) for source, name in planted.items()},
    )
    fields = contracts.load(SIGNALS).fields
    schema = contracts.load(SIGNALS).polars_schema
    others = [
        _alike(field).cast(schema[field.name]).alias(field.name)
        for field in fields
        if field.name not in known.columns
    ]
    return known.with_columns(others).cast(dict(schema)).select(list(schema))


def publish(lake: Lake, rows: pl.DataFrame) -> None:
    """Publish rows of `levels_signals`, trade date by trade date, each with all its contracts."""
    schema = contracts.load(SIGNALS).arrow_schema
    for (day,), of_day in rows.sort("episode_id").group_by("session_date", maintain_order=True):
        with lake.stage(SIGNALS, day, lineage=Lineage(), schema=schema) as stage:
            for (contract,), frame in of_day.group_by("symbol", maintain_order=True):
                stage.write(contract, frame)
            stage.publish()


def _alike(field: contracts.Field) -> pl.Expr:
    """The same value in every row, as little as the contract allows."""
    if field.nullable:
        return pl.lit(None)
    if field.is_list:
        return pl.lit([])
    if field.symbols:
        return pl.lit(field.symbols[0])
    return pl.lit(field.checks.isin[0] if field.checks.isin else field.checks.ge or 0)


assert set(FEATURES) <= set(allowed().names)
