"""Clean trades: quotes, aggressor orders, sweeps, and what has no place on the tick grid."""

from __future__ import annotations

import datetime as dt

import polars as pl

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.transforms.book import clean_book
from footprint_assets.transforms.deliveries import DeliveryTally
from footprint_assets.transforms.trades import clean_trades, trades_from_book
from footprint_assets_tests.frames import SECOND, rows_of

SESSION = cme.session(dt.date(2024, 6, 10))
TICK = 250_000_000
OPEN = SESSION.rth_open_ns
P = 5350 * SECOND


def book(*rows):
    quotes = {
        "bid_px_00": P,
        "bid_sz_00": 5,
        "bid_ct_00": 1,
        "ask_px_00": P + TICK,
        "ask_sz_00": 5,
        "ask_ct_00": 1,
    }
    return rows_of("bronze.future.market_by_price_10", [quotes | dict(row) for row in rows])


def clean(trades, book_rows=None):
    tally = DeliveryTally()
    book_rows = book() if book_rows is None else book_rows
    clean_rows = list(clean_book([[book_rows]], SESSION, DeliveryTally()))
    empty = contracts.load("silver.future.market_by_price_10_clean").polars_schema.to_frame()
    quotes = (pl.concat(clean_rows) if clean_rows else empty).filter(pl.col("action") == "T")
    return clean_trades([trades], quotes, SESSION, TICK, tally)


def at(offset_s, **row):
    return {"ts_event": OPEN + offset_s * SECOND, "price": P, **row}


def test_a_buyer_lifts_the_ask_and_a_seller_hits_the_bid_and_n_is_unknown():
    frame, _ = clean(rows_of("bronze.future.trades", [at(0, side="B"), at(1, side="A"), at(2, side="N")]))
    assert frame["aggressor_sign"].to_list() == [1, -1, 0]
    assert frame["is_spread_leg"].to_list() == [False, False, True]


def test_a_sweep_of_three_prices_is_one_aggressor_order():
    rows = [at(0, price=P + k * TICK, sequence=9) for k in range(3)] + [at(0, side="A", sequence=10)]
    frame, _ = clean(rows_of("bronze.future.trades", rows))
    assert frame["levels_swept"].to_list() == [3, 3, 3, 1]
    assert frame["aggressor_order_id"].to_list() == [0, 0, 0, 1]


def test_two_orders_of_one_instant_are_told_apart_by_their_event_groups():
    trade = {"action": "T", "rtype": 10, "flags": 0x80, "is_last": True}
    rows = book(at(0, sequence=1, **trade), at(0, sequence=2, **trade))
    frame, _ = clean(
        trades_from_book(rows).select(contracts.load("bronze.future.trades").polars_schema.names()), rows
    )
    assert frame["aggressor_order_id"].to_list() == [0, 1]


def test_the_quote_is_the_one_just_before_the_trade_and_null_without_a_book():
    rows = book(at(0, action="T", rtype=10))
    trades = trades_from_book(rows).select(contracts.load("bronze.future.trades").polars_schema.names())
    with_book, _ = clean(trades, rows)
    without, _ = clean(trades)
    assert with_book.select("bid_px", "ask_px", "mid_px").row(0) == (5350.0, 5350.25, 5350.125)
    assert without.select("bid_px", "ask_px", "mid_px").row(0) == (None, None, None)


def test_a_price_off_the_tick_grid_is_set_aside_not_rounded():
    frame, off_tick = clean(rows_of("bronze.future.trades", [at(0), at(1, price=P + 1)]))
    assert (frame.height, off_tick.height) == (1, 1)


def test_trades_taken_from_a_book_keep_what_the_trades_file_says():
    row = at(0, action="T", side="A", size=3)
    from_book = trades_from_book(book(row | {"rtype": 10}))
    from_file = rows_of("bronze.future.trades", [row])
    names = [name for name in from_file.columns if name != "ts_in_delta"]
    assert from_book.select(names).equals(from_file.select(names))


def test_the_session_column_follows_the_clock_of_new_york():
    times = {"ETH_ASIA": -10 * 3600, "ETH_LONDON": -60, "RTH": 0, "POST": 23401, "CLOSED": 27000}
    frame, _ = clean(rows_of("bronze.future.trades", [at(offset) for offset in times.values()]))
    assert frame["session"].to_list() == list(times)
    assert frame["ts_event_est"].dtype == pl.Datetime("ns", "America/New_York")
    assert frame["ts_event_est"].dt.hour()[2] == 9


def test_every_quarter_point_price_is_exact():
    ticks = range(16_000, 26_000)
    frame, _ = clean(
        rows_of("bronze.future.trades", [at(k, price=tick * TICK) for k, tick in enumerate(ticks)])
    )
    assert frame["price"].to_list() == [tick / 4 for tick in ticks]
