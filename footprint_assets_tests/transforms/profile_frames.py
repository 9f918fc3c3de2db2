"""Volume profiles of hand-made trades, validated against their contracts, and the prior sessions they look back on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.settings import FootprintSettings, LevelSettings, ProfileSettings
from footprint_assets.transforms.profile import volume_profile_price
from footprint_assets.transforms.profile_session import volume_profile_session
from footprint_assets_tests.transforms.trade_frames import REGULAR_DAY, at, prints

SESSION = cme.session(REGULAR_DAY)
TWO_ROWS = FootprintSettings()
ONE_ROW = FootprintSettings(value_area_rows=1)
RULES = ProfileSettings()
LEVELS = LevelSettings()
PRIOR_SCHEMA = contracts.load("silver.future.prior_sessions").polars_schema
NO_PRIOR = PRIOR_SCHEMA.to_frame()
BBO_SCHEMA = contracts.load("silver.future.bbo").polars_schema
VOLUMES = ("bid_volume", "ask_volume", "unknown_volume", "trades")

PROFILE_A = dict(zip([100 + i / 4 for i in range(10)], [10, 20, 30, 60, 100, 70, 40, 20, 15, 5], strict=True))
"""Volume at each price of the example py-market-profile and lrvx agree on (with single rows)."""


def profile_of(
    trades: pl.DataFrame,
    session: cme.Session = SESSION,
    footprint: FootprintSettings = TWO_ROWS,
    *,
    bbo: pl.DataFrame | None = None,
    prior: pl.DataFrame = NO_PRIOR,
    rules: ProfileSettings = RULES,
) -> pl.DataFrame:
    """Checked rows of ``volume_profile_price``."""
    table = volume_profile_price(trades, bbo, prior, session, footprint, rules)
    contracts.Validator(contracts.load("silver.future.volume_profile_price")).validate(table)
    return table


def summary_of(
    trades: pl.DataFrame,
    session: cme.Session = SESSION,
    footprint: FootprintSettings = TWO_ROWS,
    *,
    statistics: pl.DataFrame | None = None,
    prior: pl.DataFrame = NO_PRIOR,
    rules: ProfileSettings = RULES,
    levels: LevelSettings = LEVELS,
) -> pl.DataFrame:
    """Checked rows of ``volume_profile_session``."""
    rows = profile_of(trades, session, footprint, prior=prior, rules=rules)
    table = volume_profile_session(rows, trades, statistics, prior, session, footprint, rules, levels)
    contracts.Validator(contracts.load("silver.future.volume_profile_session")).validate(table)
    return table


def row_of(table: pl.DataFrame, profile_type: str) -> dict[str, object]:
    """The one summary row of a profile."""
    return table.row(by_predicate=pl.col("profile_type") == profile_type, named=True)


def rows_of(table: pl.DataFrame, profile_type: str) -> pl.DataFrame:
    """The price rows of a profile."""
    return table.filter(pl.col("profile_type") == profile_type)


def at_prices(volumes: dict[float, int], wall: str = "10:00", session: cme.Session = SESSION) -> pl.DataFrame:
    """One trade a price, a nanosecond apart."""
    start = at(session, wall)
    return prints(session, [(start + i, price, size, 1) for i, (price, size) in enumerate(volumes.items())])


def walk(session: cme.Session, *stops: tuple[str, float]) -> pl.DataFrame:
    """One contract at every wall time and price."""
    return prints(session, [(at(session, wall), price, 1, 1) for wall, price in stops])


def quotes(session: cme.Session, *changes: tuple[str, float | None, float | None]) -> pl.DataFrame:
    """Rows of ``bbo``: wall time, best bid, best ask."""
    rows = [
        {
            "ts_event": at(session, wall),
            "symbol": "ESM4",
            "bid_tick": None if bid is None else round(bid * 4),
            "ask_tick": None if ask is None else round(ask * 4),
            "bid_px": bid,
            "ask_px": ask,
        }
        for wall, bid, ask in changes
    ]
    plain = {
        name: pl.Int64 if isinstance(dtype, pl.Datetime) else dtype for name, dtype in BBO_SCHEMA.items()
    }
    return pl.DataFrame(rows, schema=plain, orient="row").cast(BBO_SCHEMA)


def prior_sessions(
    today: dt.date, earlier: Sequence[pl.DataFrame], source: str = "ESM4", **facts: object
) -> pl.DataFrame:
    """Rows of ``prior_sessions`` from the trades of earlier dates, what no profile reads left empty."""
    rows = [_prior_row(today, trades, source) | facts for trades in earlier]
    plain = {
        name: pl.Int64 if isinstance(dtype, pl.Datetime) else dtype for name, dtype in PRIOR_SCHEMA.items()
    }
    return pl.DataFrame(rows, schema=plain, orient="row").cast(PRIOR_SCHEMA)


def _prior_row(today: dt.date, trades: pl.DataFrame, source: str) -> dict[str, object]:
    date = trades["session_date"][0]
    session = cme.session(date)
    row: dict[str, object] = {
        "symbol": "ESM4",
        "session_date": today,
        "sessions_ago": len(cme.sessions(date, today)) - 1,
        "source_symbol": source,
        "source_session_date": date,
        "is_complete": True,
        "open": trades["price"][0],
        **_lists(trades, "profile"),
    }
    cash = trades.clear()
    if session.rth_open_ns is not None and session.rth_close_ns is not None:
        ts = pl.col("ts_event").to_physical()
        cash = trades.filter(ts >= session.rth_open_ns, ts < session.rth_close_ns)
    row |= {"has_rth": cash.height > 0} | _lists(cash, "rth_profile")
    if cash.height:
        value = row_of(summary_of(trades, session), "RTH")
        row |= {f"rth_{name}": value[name] for name in ("open", "high", "low", "close")}
        row |= {f"rth_{name}": value[name] for name in ("poc_price", "vah_price", "val_price", "vwap")}
    return row


def _lists(trades: pl.DataFrame, prefix: str) -> dict[str, object]:
    """Volume at every traded tick, counted one trade at a time."""
    cells: dict[int, list[int]] = {}
    columns = {-1: 0, 1: 1, 0: 2}
    for tick, size, sign in trades.select("price_tick", "size", "aggressor_sign").iter_rows():
        cell = cells.setdefault(tick, [0, 0, 0, 0])
        cell[columns[sign]] += size
        cell[3] += 1
    ticks = sorted(cells)
    lists: dict[str, object] = {
        f"{prefix}_{name}": [cells[tick][i] for tick in ticks] for i, name in enumerate(VOLUMES)
    }
    return {f"{prefix}_tick": ticks, **lists}
