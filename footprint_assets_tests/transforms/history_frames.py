"""Earlier sessions and five-second grids for the tests of what looks back or runs along."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import numpy as np
import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.settings import FootprintSettings
from footprint_assets.transforms.prior_sessions import prior_sessions
from footprint_assets.transforms.session_summary import BAR_COLUMNS, BOOK_COLUMNS, session_summary
from footprint_assets_tests.transforms.trade_frames import SECOND

BAR = 5 * SECOND
LOOKBACK = 20
NO_STATISTICS = contracts.load("bronze.future.statistics").polars_schema.to_frame()
NO_FOOTPRINT = contracts.load("silver.future.footprint_price").polars_schema.to_frame()


def _empty(table: str, columns: tuple[str, ...]) -> pl.DataFrame:
    return contracts.load(table).polars_schema.to_frame().select(columns)


NO_BARS = _empty("silver.future.market_by_price_10_bar5s", BAR_COLUMNS)
NO_BOOK = _empty("silver.future.market_by_price_10_bar5s_book", ("bar_ts", *BOOK_COLUMNS))


def grid(start_ns: int, bars: int, symbol: str = "ESM4") -> pl.DataFrame:
    """``symbol`` and ``bar_ts`` of consecutive five-second bars."""
    stamps = pl.Series(start_ns + BAR * np.arange(bars)).cast(NO_BARS.schema["bar_ts"])
    return pl.DataFrame({"symbol": pl.repeat(symbol, bars, eager=True), "bar_ts": stamps})


def full_grid(session: cme.Session, symbol: str = "ESM4") -> pl.DataFrame:
    """The bars of the session's trading hours."""
    return grid(session.open_ns, (session.close_ns - session.open_ns) // BAR, symbol)


def book_bars(session: cme.Session, seed: int, share: float = 1.0) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Random bars of the book and their book measures, from the open over a share of the session."""
    rng = np.random.default_rng(seed)
    stamps = full_grid(session)["bar_ts"]
    stamps = stamps.head(int(share * len(stamps)))
    bars = {name: rng.integers(0, 50, len(stamps)).astype(float) for name in BAR_COLUMNS[1:]}
    bid = 21_400 + np.cumsum(rng.integers(-1, 2, len(stamps)))
    bars |= {
        "bar5s_shape_bid_px_l00_eob": bid / 4,
        "bar5s_shape_ask_px_l00_eob": (bid + rng.integers(1, 3, len(stamps))) / 4,
    }
    book = {name: rng.integers(0, 50, len(stamps)).astype(float) for name in BOOK_COLUMNS}
    return pl.DataFrame({"bar_ts": stamps, **bars}), pl.DataFrame({"bar_ts": stamps, **book})


def summary_of(
    trades: pl.DataFrame,
    session: cme.Session,
    bars: pl.DataFrame = NO_BARS,
    book: pl.DataFrame = NO_BOOK,
    footprint_price: pl.DataFrame = NO_FOOTPRINT,
    statistics: pl.DataFrame = NO_STATISTICS,
    rules: FootprintSettings | None = None,
) -> pl.DataFrame:
    """The validated ``session_summary`` row of some trades."""
    row = session_summary(
        trades, bars, book, footprint_price, statistics, session, rules or FootprintSettings(), 0.25
    )
    contracts.Validator(contracts.load("silver.future.session_summary")).validate(row)
    return row


def sessions_before(day: dt.date) -> tuple[dt.date, ...]:
    """The twenty sessions of the calendar before a date."""
    return tuple(cme.previous_session(day, n) for n in range(1, LOOKBACK + 1))


def look_back(
    day: dt.date, held: Mapping[dt.date, pl.DataFrame] | pl.DataFrame, symbol: str = "ESM4"
) -> pl.DataFrame:
    """The validated ``prior_sessions`` rows of a date, from the trades or the summaries of earlier dates."""
    if not isinstance(held, pl.DataFrame):
        rows = [summary_of(trades, cme.session(date)) for date, trades in held.items()]
        held = pl.concat([contracts.load("silver.future.session_summary").polars_schema.to_frame(), *rows])
    table = prior_sessions(held, symbol, "ES", cme.session(day), sessions_before(day))
    contracts.Validator(contracts.load("silver.future.prior_sessions")).validate(table)
    return table
