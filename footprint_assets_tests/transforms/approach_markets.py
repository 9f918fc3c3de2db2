"""Random markets with everything an approach table reads, and the table made of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import polars as pl

from footprint_assets import contracts
from footprint_assets.settings import (
    ApproachSettings,
    EpisodeSettings,
    FootprintSettings,
    LabelSettings,
    LevelLiquiditySettings,
    OrderFlowSettings,
    ProfileSettings,
)
from footprint_assets.transforms.approach import Market, approach
from footprint_assets.transforms.approach_rows import BOOK_COLUMNS, ApproachInputs, ApproachRules
from footprint_assets.transforms.episodes import episodes
from footprint_assets.transforms.outcomes import outcomes
from footprint_assets_tests.transforms.histories import prior_of, random_history
from footprint_assets_tests.transforms.level_markets import (
    BAR,
    BASE,
    LEVEL_PRICE,
    OPEN,
    SESSION,
    TICK,
    TIMESTAMP,
    levels,
    mids,
    series,
)
from footprint_assets_tests.transforms.trade_frames import MINUTE, frame

BARS = 800
START = OPEN - 250 * BAR
"""The first bar: some before the cash open, so that a lookback reaches into the night."""
RULES = ApproachRules(
    ApproachSettings(),
    EpisodeSettings(),
    OrderFlowSettings(),
    FootprintSettings(),
    ProfileSettings(),
    LevelLiquiditySettings(),
)
BARS_SCHEMA, PRICE_SCHEMA, SHOCK_SCHEMA, OHLCV_SCHEMA = (
    contracts.load(f"silver.future.{table}").polars_schema
    for table in (
        "market_by_price_10_bar5s",
        "market_by_price_10_price5s",
        "market_by_price_10_shocks",
        "ohlcv",
    )
)
LEVELS = levels(
    {"extreme_ts": OPEN - BAR},
    {"level_name": "OVERNIGHT_HIGH", "level_class": "OVERNIGHT", "extreme_ts": OPEN - BAR},
    *(
        {
            "level_name": name,
            "level_class": "OPENING_RANGE",
            "level_price": LEVEL_PRICE + away * TICK,
            "level_price_raw": LEVEL_PRICE + away * TICK,
            "level_polarity": polarity,
            "valid_from_ts": OPEN + minutes * MINUTE,
            "extreme_ts": OPEN + 7,
        }
        for name, away, polarity, minutes in (
            ("OR5_HIGH", 3, 1, 5),
            ("OR_HIGH", 3, 1, 15),
            ("OR15_HIGH", 3, 1, 15),
            ("OR_LOW", -15, -1, 15),
            ("OR30_HIGH", 9, 1, 30),
        )
    ),
    *(
        {
            "level_name": name,
            "level_class": kind,
            "level_price": LEVEL_PRICE + round(away) * TICK,
            "level_price_raw": LEVEL_PRICE + away * TICK,
            "level_polarity": polarity,
            "valid_from_ts": SESSION.open_ns,
        }
        for name, kind, away, polarity in (
            ("PDH", "PRIOR_DAY", 22, 1),
            ("PDL", "PRIOR_DAY", -41, -1),
            ("PDC", "PRIOR_DAY", 4, 0),
            ("PD_MID", "PRIOR_DAY", -9.5, 0),
            ("PD_POC", "PROFILE", -12, 0),
            ("PD_HVN_1", "PROFILE", -12, 0),
            ("ROUND_25_ABOVE_1", "ROUND", 0, 0),
        )
    ),
)  # fmt: skip


@dataclass(frozen=True)
class LevelInputs(ApproachInputs):
    """A market with the episodes of one level and what came of them."""

    episodes: pl.DataFrame
    outcomes: pl.DataFrame


@cache
def history() -> pl.DataFrame:
    """Two earlier sessions around the level."""
    return prior_of(random_history(SESSION.trade_date, 2), SESSION.trade_date)


def _returning_walk(rng: np.random.Generator) -> np.ndarray:
    """Eighths of a tick from the level."""
    walk = np.zeros(BARS)
    walk[0] = rng.integers(-20, 21)
    for i in range(1, BARS):
        walk[i] = np.round((0.985 * walk[i - 1]) * 8 + rng.integers(-24, 25)) / 8
    return walk


def _trades(walk: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    """Up to four aggressor orders a bar, each at one to three prices in one instant."""
    rows: list[tuple[int, int, int, int, int, int]] = []
    before = np.concatenate((walk[:1], walk[:-1]))
    order = 0
    for i, (a, b) in enumerate(zip(before, walk, strict=True)):
        low, high = int(np.floor(min(a, b))), int(np.ceil(max(a, b)))
        for ts in np.sort(rng.choice(BAR, int(rng.integers(0, 5)), replace=False)):
            order += 1
            sign, prices = int(rng.choice([-1, 1, 0], p=[0.45, 0.45, 0.1])), int(rng.integers(1, 4))
            first = int(rng.integers(low, high + 1))
            for k in range(prices):
                tick, size = first + k * (sign or 1), int(rng.geometric(0.3))
                rows.append((START + BAR * i + int(ts), tick, size, sign, order, prices))
    ts_ns, tick, size, sign, orders, swept = (
        np.array(column, np.int64) for column in zip(*rows, strict=True)
    )
    return frame(SESSION, ts_ns, BASE + tick, size, sign).with_columns(
        pl.Series("aggressor_order_id", orders), pl.Series("levels_swept", swept).cast(pl.Int16)
    )


def _bars(walk: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    quoted = [None if rng.random() < 0.002 else float(x) for x in walk]
    given = mids(quoted, START)
    columns: dict[str, pl.Series] = {}
    for name, dtype in BARS_SCHEMA.items():
        if name in given.columns or dtype != pl.Float64:
            continue
        values = rng.integers(0, 9, BARS).astype(float)
        if "_obi" in name:
            values = np.round(rng.random(BARS) * 2 - 1, 3)
        if "maxz" in name:
            values = np.round(rng.random(BARS) * 3, 3)
        if "p2_3" in name or "maxz" in name:
            values[rng.random(BARS) < 0.3] = np.nan
        columns[name] = pl.Series(name, values, nan_to_null=True)
    bought, sold = (pl.col(f"bar5s_trade_agg{side}_vol_sum") for side in ("buy", "sell"))
    return (
        given.with_columns(columns.values())
        .with_columns(
            (bought + sold + 1).alias("bar5s_trade_vol_sum"),
            (bought - sold).alias("bar5s_trade_signed_vol_sum"),
        )
        .select(BARS_SCHEMA.names())
    )


def _book(bars: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    nets = {name: rng.integers(-20, 21, BARS).astype(float) for name in BOOK_COLUMNS[1:]}
    twa = bars["bar5s_microprice_eob"] + pl.Series(np.round(rng.random(BARS) - 0.5, 3))
    return bars.select("bar_ts", "symbol").with_columns(
        twa.alias(BOOK_COLUMNS[0]), *(pl.Series(name, values) for name, values in nets.items())
    )


def _price5s(walk: np.ndarray, rng: np.random.Generator) -> pl.DataFrame:
    """Eleven ticks in sight on each side of every bar's price."""
    reach = 11
    tick = (BASE + np.rint(walk).astype(np.int64))[:, None] + np.arange(-reach, reach + 1)
    n = tick.size
    is_bid = np.broadcast_to(np.arange(-reach, reach + 1) < 0, tick.shape).ravel()
    columns: dict[str, object] = {
        "bar_ts": np.repeat(START + BAR * np.arange(BARS), tick.shape[1]),
        "symbol": ["ESM4"] * n,
        "price_tick": tick.ravel(),
        "price": tick.ravel() * TICK,
        "visible_ns": np.full(n, BAR),
        "is_visible_eob": np.full(n, True),
        "dwell_ns": np.zeros(n, np.int64),
    }
    for side, shown in (("bid", is_bid), ("ask", ~is_bid)):
        size = np.where(shown, rng.integers(1, 60, n), 0)
        columns |= {
            f"{side}_qty_ns": size * BAR,
            f"{side}_qty_eob": size,
            f"{side}_ct_eob": np.where(shown, rng.integers(1, 9, n), 0),
            f"{side}_max_qty": size,
            **{
                f"{side}_{flow}": np.where(shown, rng.integers(0, 9, n), 0)
                for flow in ("add_vol", "pull_vol", "fill_vol", "add_cnt", "cancel_cnt", "modify_cnt")
            },
        }
    return pl.DataFrame(columns).select(pl.col(name).cast(dtype) for name, dtype in PRICE_SCHEMA.items())


def _minutes(rng: np.random.Generator) -> pl.DataFrame:
    first = START // MINUTE * MINUTE
    ts = np.arange(first, START + BARS * BAR, MINUTE)
    atr = np.round(rng.random(len(ts)) * 3, 2)
    atr[:14] = np.nan
    known = pl.DataFrame(
        {"bar_ts": pl.Series(ts).cast(TIMESTAMP), "atr_14": pl.Series(atr, nan_to_null=True)}
    )
    return known.select(
        (pl.col(name) if name in known.columns else pl.lit("1m" if name == "interval" else None))
        .cast(dtype)
        .alias(name)
        for name, dtype in OHLCV_SCHEMA.items()
    )


def with_episodes(given: LevelInputs, level: str = "PM_HIGH") -> LevelInputs:
    """The tables with the episodes and outcomes they hold."""
    found = episodes(
        given.bars, given.trades_clean, given.session_levels, given.level_series, level, SESSION, TICK, RULES.episodes
    )  # fmt: skip
    labels = outcomes(found, given.trades_clean, given.bars, given.ohlcv, SESSION, TICK, LabelSettings())
    return replace(given, episodes=found, outcomes=labels)


@cache
def inputs(seed: int, level: str = "PM_HIGH") -> LevelInputs:
    """A market that keeps coming back to the level, and what surrounds it."""
    rng = np.random.default_rng(seed)
    walk = _returning_walk(rng)
    bars = _bars(walk, rng)
    moving = {
        "SMA_90": np.cumsum(rng.integers(-4, 5, BARS)) / 8,
        "GLOBEX_VWAP": np.cumsum(rng.integers(-4, 5, BARS)) / 16 - 6,
        "DEV_POC": np.round(np.cumsum(rng.integers(-1, 2, BARS) * (rng.random(BARS) < 0.1))),
    }
    bare = LevelInputs(
        episodes=pl.DataFrame(),
        outcomes=pl.DataFrame(),
        bars=bars,
        book=_book(bars, rng),
        price5s=_price5s(walk, rng),
        shocks=SHOCK_SCHEMA.to_frame(),
        trades_clean=_trades(walk, rng),
        session_levels=LEVELS,
        level_series=pl.concat(series(name, values.tolist(), START) for name, values in moving.items()),
        prior_sessions=history(),
        ohlcv=_minutes(rng),
    )
    return with_episodes(bare, level)


def made(given: LevelInputs, level: str = "PM_HIGH", rules: ApproachRules = RULES) -> pl.DataFrame:
    """The validated approach table."""
    market = Market.of(replace(given, price5s=given.price5s.iter_slices(500)), SESSION, TICK, rules)
    table = approach(market, given.episodes, given.outcomes, level)
    contracts.Validator(contracts.load("silver.future.market_by_price_10_level_approach")).validate(table)
    return table


@cache
def table(seed: int, level: str = "PM_HIGH") -> pl.DataFrame:
    """The table of a random market."""
    return made(inputs(seed, level), level)


def until(given: LevelInputs, end_ns: int, level: str = "PM_HIGH") -> LevelInputs:
    """What was known at the end of a bar."""
    bar, ts = pl.col("bar_ts").to_physical(), pl.col("ts_event").to_physical()
    return with_episodes(
        replace(
            given,
            **{
                name: getattr(given, name).filter(bar + BAR <= end_ns)
                for name in ("bars", "book", "price5s", "level_series")
            },
            trades_clean=given.trades_clean.filter(ts < end_ns),
            session_levels=given.session_levels.filter(pl.col("valid_from_ts").to_physical() <= end_ns),
            ohlcv=given.ohlcv.filter(bar + MINUTE <= end_ns),
        ),
        level,
    )


def then(given: LevelInputs, other: LevelInputs, from_ns: int, level: str = "PM_HIGH") -> LevelInputs:
    """These tables up to a bar end and other ones from there on."""
    before = until(given, from_ns, level)
    bar, ts = pl.col("bar_ts").to_physical(), pl.col("ts_event").to_physical()
    later = {
        name: getattr(other, name).filter(bar >= from_ns)
        for name in ("bars", "book", "price5s", "level_series")
    }
    later["trades_clean"] = other.trades_clean.filter(ts >= from_ns).with_columns(
        pl.col("aggressor_order_id") + 1_000_000
    )
    later["ohlcv"] = other.ohlcv.filter(bar + MINUTE > from_ns)
    both = {name: pl.concat([getattr(before, name), rows]) for name, rows in later.items()}
    return with_episodes(replace(before, **both, session_levels=given.session_levels), level)
