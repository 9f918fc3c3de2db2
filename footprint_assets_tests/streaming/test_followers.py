"""The tables that follow the bars are the batch's, bar by bar or many at a time, from bytes or from the lake."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from footprint_assets import contracts
from footprint_assets.settings import PRICE_SCALE, FootprintSettings, OrderFlowSettings
from footprint_assets.streaming import CheckpointOfOtherStream, Driver
from footprint_assets.streaming.followers import (
    HISTORY_BARS,
    HISTORY_COLUMNS,
    TABLES,
    TRADE_COLUMNS,
    TRADES,
    Before,
    Followers,
)
from footprint_assets.streaming.parity import NEVER, difference
from footprint_assets.transforms import bar5s, bar5s_book, bar5s_ext, level_series, market_rolling, shocks
from footprint_assets_tests.kernels.bar5s_records import SYMBOL, TICK
from footprint_assets_tests.streaming.books import OPENED, SESSION, batch_of, book

ROWS = book(37, 1_700)
BEFORE = Before(
    *(
        contracts.load(key).polars_schema.to_frame()
        for key in ("silver.future.prior_sessions", "silver.future.volume_profiles")
    ),
    order_flow=OrderFlowSettings(),
    footprint=FootprintSettings(),
)
EXT, ROLLING, LEVELS = TABLES
Tables = dict[str, pl.DataFrame]


def some_trades(rows: pl.DataFrame, count: int) -> pl.DataFrame:
    """Trades over the time of a book, prices that wander, orders of one to three trades."""
    rng = np.random.default_rng(41)
    times = rows["ts_event"].to_physical()
    tick = 19_200 + np.cumsum(rng.integers(-2, 3, count))
    columns = {
        "ts_event": pl.Series(np.sort(rng.integers(times[0], times[-1], count))).cast(
            pl.Datetime("ns", "UTC")
        ),
        "session_date": [SESSION.trade_date] * count,
        "symbol": [SYMBOL] * count,
        "price": tick * TICK / PRICE_SCALE,
        "price_tick": tick,
        "size": rng.integers(1, 40, count),
        "aggressor_sign": rng.choice([-1, 0, 1], count),
        "aggressor_order_id": np.cumsum(rng.integers(0, 2, count)),
        "levels_swept": rng.integers(1, 4, count),
        "mid_px": (tick + 0.5) * TICK / PRICE_SCALE,
    }
    types = contracts.load(TRADES).polars_schema
    return pl.DataFrame(columns).select(TRADE_COLUMNS).cast({name: types[name] for name in TRADE_COLUMNS})


TAPE = some_trades(ROWS, 2_000)


@pytest.fixture(scope="module")
def batch() -> Tables:
    made = batch_of(ROWS)
    bars, book_ = made[bar5s.TABLE], made[bar5s_book.TABLE]
    assert bars.height > HISTORY_BARS + 100, "the history is cut"
    ext = bar5s_ext.bar5s_ext(bars, book_, TAPE, BEFORE.prior_sessions, SESSION, TICK, BEFORE.order_flow)
    rolling = market_rolling.market_rolling(
        bars, ext, BEFORE.volume_profiles, TAPE, made[shocks.TABLE], BEFORE.prior_sessions, SESSION
    )
    levels = level_series.level_series_5s(
        TAPE, bars, BEFORE.prior_sessions, SESSION, BEFORE.footprint, TICK / PRICE_SCALE
    )
    return made | {EXT: ext, ROLLING: rolling, LEVELS: levels}


def followed(driver: Driver, followers: Followers, rows: pl.DataFrame, cuts: list[int]) -> Tables:
    """What followers give whose driver's rows come in pieces, restored from their bytes after each."""
    parts: dict[str, list[pl.DataFrame]] = {key: [] for key in TABLES}
    times, at = TAPE["ts_event"].to_physical().to_numpy(), followers._trades.height
    for start, end in zip([0, *cuts], [*cuts, rows.height], strict=True):
        finished, last_ns = driver.push(rows[start:end]), int(rows["ts_event"].to_physical()[end - 1])
        known = int(np.searchsorted(times, last_ns, side="right"))
        followers.push(finished, TAPE[at:known])
        at = known
        for key, found in followers.follow(last_ns, driver.waiting_shocks()).items():
            parts[key].append(found)
        followers = Followers.restore(followers.checkpoint(), *followers.opened)
    followers.push(driver.finish(), TAPE[at:])
    for key, found in followers.follow(NEVER, driver.waiting_shocks()).items():
        parts[key].append(found)
    return {key: pl.concat(frames) for key, frames in parts.items()}


@pytest.mark.parametrize("cuts", [[], [900, 901, 902, 903, 1_680], list(range(100, 1_700, 100))], ids=len)
def test_followers_give_the_tables_of_the_batch(batch: Tables, cuts: list[int]) -> None:
    found = followed(Driver(*OPENED), Followers(*OPENED, BEFORE), ROWS, cuts)

    for key in TABLES:
        assert difference(key, batch[key], found[key]).is_none, (key, difference(key, batch[key], found[key]))
        assert found[key].equals(batch[key])


def test_a_wall_older_than_the_history_keeps_its_age(batch: Tables) -> None:
    """Every strong wall of the bars at one price and level: it stands since the first bar."""
    bars, made = batch[bar5s.TABLE], dict(batch)
    made[bar5s.TABLE] = bars.with_columns(
        bar5s_wall_bid_nearest_strong_levelidx_eob=pl.lit(0.0), bar5s_shape_bid_px_l00_eob=pl.lit(4_800.0)
    )
    followers = Followers(*OPENED, BEFORE)
    ages = []
    for start in range(0, bars.height, 100):
        followers.push(
            {key: made[key][start : start + 100] for key in (bar5s.TABLE, bar5s_book.TABLE)}, TAPE[:0]
        )
        found = followers.follow(NEVER, made[shocks.TABLE].clear())[EXT]
        ages += found["bar5s_wall_bid_age_bars_eob"].to_list()

    assert ages == [float(i + 1) for i in range(bars.height)]


def test_followers_may_begin_behind_what_is_published(batch: Tables) -> None:
    edge = batch[bar5s.TABLE]["bar_ts"][450]
    before = {key: batch[key].filter(pl.col("bar_ts") < edge) for key in (bar5s.TABLE, bar5s_book.TABLE, EXT)}
    before[bar5s_book.TABLE] = before[bar5s_book.TABLE].tail(HISTORY_BARS)
    before |= {
        shocks.TABLE: batch[shocks.TABLE].filter(pl.col("ts_event") < edge),
        TRADES: TAPE.filter(pl.col("ts_event") < edge),
    }
    after = {key: batch[key].filter(pl.col("bar_ts") >= edge) for key in (bar5s.TABLE, bar5s_book.TABLE)}
    after[shocks.TABLE] = batch[shocks.TABLE].filter(pl.col("ts_event") >= edge)
    followers = Followers(*OPENED, BEFORE)

    followers.begin(
        {key: rows.select(HISTORY_COLUMNS.get(key, rows.columns)) for key, rows in before.items()}
    )
    followers.push(after, TAPE.filter(pl.col("ts_event") >= edge))
    found = followers.follow(NEVER, batch[shocks.TABLE].clear())

    for key in TABLES:
        assert found[key].equals(batch[key].filter(pl.col("bar_ts") >= edge)), key


def test_a_checkpoint_of_another_past_is_refused() -> None:
    other = Before(
        BEFORE.prior_sessions,
        BEFORE.volume_profiles,
        OrderFlowSettings(large_order_pct=50),
        FootprintSettings(),
    )
    data = Followers(*OPENED, other).checkpoint()

    with pytest.raises(CheckpointOfOtherStream, match="fact=settings"):
        Followers.restore(data, *OPENED, BEFORE)
