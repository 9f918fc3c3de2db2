"""Session summaries: every fact against an independent query, what is null without a book, early closes and holidays."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import calendar as cme
from footprint_assets.kernels.fits import ofi_principal_component
from footprint_assets.kernels.ofi import normalised_ofi
from footprint_assets.settings import BarSettings, FootprintSettings
from footprint_assets.transforms.ohlcv import ohlcv
from footprint_assets.transforms.session_summary import BUCKET_BASES, BUCKETS
from footprint_assets_tests.transforms.history_frames import (
    NO_FOOTPRINT,
    NO_STATISTICS,
    book_bars,
    summary_of,
)
from footprint_assets_tests.transforms.trade_frames import (
    MINUTE,
    REGULAR_DAY,
    SECOND,
    at,
    prints,
    random_day,
)

SESSION = cme.session(REGULAR_DAY)
EARLY_CLOSE = dt.date(2024, 11, 29)
NO_CASH = dt.date(2024, 1, 15)
RTH_FACTS = [
    *(
        f"rth_{name}"
        for name in ("open", "high", "low", "close", "high_ts", "low_ts", "vwap", "longest_gap_ns")
    ),
    *(
        "rth_poc_price",
        "rth_vah_price",
        "rth_val_price",
        "after_rth_high_volume",
        "after_rth_low_tick_volume",
    ),
]
BOOK_FACTS = ["bucket_ids", "bucket_msg_cnt", "ofi_weights", "stoikov_stay", "stoikov_move", "stoikov_jump"]


def facts(trades: pl.DataFrame, session: cme.Session = SESSION, **inputs: pl.DataFrame) -> dict[str, object]:
    return summary_of(trades, session, **inputs).row(0, named=True)


def settlement_messages(*rows: dict[str, object]) -> pl.DataFrame:
    common = {"symbol": "ESM4", "stat_type": 3, "update_action": 1, "stat_flags": 1, "record_index": 0}
    common |= {"ts_ref": dt.datetime.combine(REGULAR_DAY, dt.time(), dt.UTC)}
    given_rows = pl.DataFrame([common | row for row in rows])
    return given_rows.with_columns(
        pl.lit(None, dtype).alias(name)
        for name, dtype in NO_STATISTICS.schema.items()
        if name not in given_rows.columns
    ).select(pl.col(name).cast(dtype) for name, dtype in NO_STATISTICS.schema.items())


@pytest.mark.parametrize("date", [REGULAR_DAY, dt.date(2024, 3, 11), dt.date(2024, 11, 4), EARLY_CLOSE])
def test_cash_facts_are_those_of_the_trades_in_cash_hours(date: dt.date) -> None:
    session = cme.session(date)
    trades = random_day(session, seed=1)
    cash = trades.filter(pl.col("session") == "RTH")
    row = facts(trades, session)
    assert (row["rth_open"], row["rth_close"]) == (cash["price"][0], cash["price"][-1])
    assert (row["rth_high"], row["rth_low"]) == (cash["price"].max(), cash["price"].min())
    for side in ("high", "low"):
        touched = cash.filter(pl.col("price") == row[f"rth_{side}"])
        assert row[f"rth_{side}_ts"] == touched["ts_event"][0]
    assert (row["rth_volume"], row["rth_trades"]) == (cash["size"].sum(), cash.height)
    assert row["rth_vwap"] == pytest.approx((cash["price"] * cash["size"]).sum() / cash["size"].sum())
    by_price = cash.group_by("price").agg(pl.col("size").sum())
    most = by_price.filter(pl.col("size") == pl.col("size").max())["price"]
    assert row["rth_poc_price"] in most.to_list()
    inside = by_price.filter(pl.col("price").is_between(row["rth_val_price"], row["rth_vah_price"]))
    assert inside["size"].sum() >= 0.7 * cash["size"].sum()


def test_the_whole_session_counts_every_trade_once() -> None:
    trades = random_day(SESSION, seed=2)
    row = facts(trades)
    assert row["total_volume"] == trades["size"].sum() == row["vwap_sum_volume"]
    assert row["delta"] == (trades["size"] * trades["aggressor_sign"]).sum()
    assert (row["open"], row["close"]) == (trades["price"][0], trades["price"][-1])
    parts = ("bid_volume", "ask_volume", "unknown_volume")
    assert sum(sum(row[f"profile_{part}"]) for part in parts) == row["total_volume"]
    assert sum(sum(row[f"rth_profile_{part}"]) for part in parts) == row["rth_volume"]
    assert sum(row["profile_ask_volume"]) - sum(row["profile_bid_volume"]) == row["delta"]
    assert sum(row["profile_trades"]) == trades.height
    assert sum(row["minute_buy_volume"]) - sum(row["minute_sell_volume"]) == row["delta"]
    assert row["profile_tick"] == sorted(set(trades["price_tick"]))


def test_price_sums_are_exact_and_run_from_the_extreme_trade_on() -> None:
    trades = random_day(SESSION, seed=3)
    row = facts(trades)
    since = trades.filter(pl.col("ts_event") >= row["rth_low_ts"])
    at_low = since.with_row_index().filter(pl.col("price") == row["rth_low"])["index"][0]
    for prefix, part in (("vwap_sum", trades), ("after_rth_low", since.slice(at_low))):
        pairs = list(part.select("price_tick", "size").iter_rows())
        assert row[f"{prefix}_volume"] == sum(size for _, size in pairs)
        assert row[f"{prefix}_tick_volume"] == sum(size * tick for tick, size in pairs)
        assert row[f"{prefix}_tick2_volume"] == sum(size * tick**2 for tick, size in pairs)


def test_the_kept_closes_are_the_last_two_minute_bars_of_ohlcv() -> None:
    trades = random_day(SESSION, seed=4)
    bars = ohlcv(trades, SESSION, BarSettings(ohlcv_seconds=(120,)))
    row = facts(trades)
    end_ns = bars["bar_ts"].to_physical().to_numpy() + 2 * MINUTE
    assert row["closes_2m"] == bars["close"].to_list()[-120:]
    assert row["closes_2m_end_minute"] == ((end_ns - SESSION.open_ns) // MINUTE).tolist()[-120:]


def test_minutes_are_counted_from_the_open_and_only_those_with_trades() -> None:
    trades = prints(
        SESSION,
        [
            (SESSION.open_ns, 5000, 3, 1),
            (SESSION.open_ns + MINUTE - 1, 5000, 2, -1),
            (SESSION.open_ns + MINUTE, 5000, 4, 0),
            (at(SESSION, "09:30"), 5000, 5, 1),
        ],
    )
    row = facts(trades)
    assert row["minute_start"] == [0, 1, 15 * 60 + 30]
    assert (row["minute_buy_volume"], row["minute_sell_volume"]) == ([3, 0, 5], [2, 0, 0])


def test_orders_are_counted_by_the_contracts_they_took() -> None:
    trades = prints(
        SESSION, [(SESSION.open_ns + i, 5000, size, sign) for i, (size, sign) in enumerate(SIZES)]
    )
    orders = trades.with_columns(aggressor_order_id=pl.Series([0, 0, 1, 2, 3]))
    counts = facts(orders)["order_size_counts"]
    assert len(counts) == 1001
    assert {size: count for size, count in enumerate(counts) if count} == {7: 1, 999: 1, 1000: 1}


SIZES = [(3, 1), (4, 1), (999, -1), (1500, 1), (50, 0)]


@pytest.mark.parametrize(
    ("first", "last", "is_complete"),
    [("18:04:59", "16:55", True), ("18:05", "16:55", False), ("18:00", "16:54:59", False)],
)
def test_a_session_is_complete_when_its_trades_reach_both_ends(
    first: str, last: str, is_complete: bool
) -> None:
    trades = prints(SESSION, [(at(SESSION, first), 5000, 1, 1), (at(SESSION, last), 5000, 1, 1)])
    assert facts(trades)["is_complete"] is is_complete


def test_an_early_close_is_complete_up_to_its_own_end() -> None:
    session = cme.session(EARLY_CLOSE)
    row = facts(random_day(session, seed=5), session)
    assert row["is_complete"] is True
    assert row["last_ts"] < dt.datetime.fromtimestamp(session.close_ns / 1e9, dt.UTC)


def test_a_holiday_without_a_cash_session_has_no_cash_prices_and_no_cash_volume() -> None:
    session = cme.session(NO_CASH)
    row = facts(random_day(session, seed=6), session)
    assert row["has_rth"] is False
    assert {row[name] for name in RTH_FACTS} == {None}
    assert (row["rth_volume"], row["rth_trades"], row["rth_profile_tick"]) == (0, 0, [])
    assert row["total_volume"] > 0


def test_a_cash_session_nobody_traded_in_is_none() -> None:
    row = facts(prints(SESSION, [(at(SESSION, "09:29:59"), 5000, 1, 1), (at(SESSION, "16:00"), 5000, 1, 1)]))
    assert row["has_rth"] is False
    assert row["rth_high"] is None


def test_without_a_book_its_facts_are_null_and_the_others_are_not() -> None:
    row = facts(random_day(SESSION, seed=7))
    assert {name: row[name] for name in BOOK_FACTS} == dict.fromkeys(BOOK_FACTS)
    assert row["minute_start"]


def test_buckets_sum_the_bars_of_five_minutes_and_say_how_many_there_were() -> None:
    bars, book = book_bars(SESSION, seed=8)
    held = bars.filter(pl.int_range(pl.len()) % 7 != 0)
    row = facts(random_day(SESSION, seed=8), bars=held, book=book)
    bucket = ((held["bar_ts"].to_physical() - SESSION.open_ns) // (300 * SECOND)).to_list()
    assert row["bucket_ids"] == sorted(set(bucket)) == list(range(BUCKETS))
    assert row["bucket_bars"] == [Counter(bucket)[b] for b in range(BUCKETS)]
    beside = held.join(book, on="bar_ts")
    removed = beside["bar5s_flow_pull_vol_bid_sum"] + beside["bar5s_flow_fill_vol_bid_sum"]
    for base, values in (("flow_rem_vol_bid", removed), ("msg_cnt", beside["bar5s_meta_msg_cnt_sum"])):
        expected = np.bincount(bucket, weights=values.to_numpy())
        assert row[f"bucket_{base}"] == expected.tolist()


def test_bars_after_the_close_belong_to_no_bucket() -> None:
    bars, book = book_bars(SESSION, seed=9)
    late = bars.tail(1).with_columns(pl.col("bar_ts") + pl.duration(minutes=30, time_unit="ns"))
    row = facts(random_day(SESSION, seed=9), bars=pl.concat([bars, late]), book=book)
    assert max(row["bucket_ids"]) == BUCKETS - 1
    assert row["bucket_bars"] == [60] * BUCKETS


def test_a_bucket_with_a_bar_whose_flow_is_not_known_has_no_flow_but_its_volume() -> None:
    bars, book = book_bars(SESSION, seed=10)
    unknown = book.with_columns(
        bar5s_flow_add_vol_bid_sum=pl.when(pl.int_range(pl.len()) != 61).then("bar5s_flow_add_vol_bid_sum")
    )
    row = facts(random_day(SESSION, seed=10), bars=bars, book=unknown)
    assert [b for b, value in enumerate(row["bucket_flow_add_vol_bid"]) if value is None] == [1]
    assert None not in row["bucket_flow_add_vol_ask"] + row["bucket_trade_vol"]
    assert set(BUCKET_BASES) == {
        name.removeprefix("bucket_") for name in row if name.startswith("bucket_")
    } - {
        "ids",
        "bars",
    }


def test_the_weights_are_the_first_component_of_the_normalised_imbalances() -> None:
    bars, book = book_bars(SESSION, seed=11)
    row = facts(random_day(SESSION, seed=11), bars=bars, book=book)
    ofi = book.select(f"bar5s_ofi_m{level:02d}_sum" for level in range(10)).to_numpy()
    depth = [bars[f"bar5s_depth_{side}10_qty_twa"].to_numpy() for side in ("bid", "ask")]
    expected = ofi_principal_component(normalised_ofi(np.ascontiguousarray(ofi), *depth))
    assert expected is not None
    assert row["ofi_weights"] == expected.tolist()
    assert facts(random_day(SESSION, seed=11), bars=bars.head(100), book=book)["ofi_weights"] is None


def test_quote_steps_count_states_and_half_tick_moves_between_bar_ends() -> None:
    bars, book = book_bars(SESSION, seed=12)
    quotes = [(100.0, 100.25, 9, 1), (100.0, 100.25, 1, 9), (100.0, 100.5, 5, 5), (None, 100.5, 5, 5)]
    quotes += [(100.0, 100.25, 9, 1), (100.25, 100.5, 9, 1)]
    sides = ("bid_px", "ask_px", "bid_sz", "ask_sz")
    few = bars.head(len(quotes)).with_columns(
        pl.Series(f"bar5s_shape_{side}_l00_eob", [quote[i] for quote in quotes], pl.Float64)
        for i, side in enumerate(sides)
    )
    row = facts(random_day(SESSION, seed=12), bars=few, book=book)
    bids, asks, even_wide = 9 * 2, 0, 5 * 2 + 1
    stay = np.array(row["stoikov_stay"]).reshape(20, 20)
    move = np.array(row["stoikov_move"]).reshape(20, 20)
    jump = np.array(row["stoikov_jump"]).reshape(20, 4)
    assert (stay.sum(), stay[bids, asks]) == (1, 1)
    assert (move.sum(), move[asks, even_wide], move[bids, bids]) == (2, 1, 1)
    assert jump[asks].tolist() == [0, 0, 1, 0]
    assert jump[bids].tolist() == [0, 0, 0, 1]


def test_delta_shares_are_counted_by_bar_type_in_one_percent_bins() -> None:
    rows = [
        *(("time_5m", 0, 6, 10), ("time_5m", 0, -3, 290)),
        *(("time_5m", 1, -7, 7), ("time_5m", 2, 0, 5), ("time_5m", 3, 199, 200)),
        ("time_1m", 0, -1, 2),
    ]
    names = ("bar_type", "bar_id", "delta", "total_volume")
    price = pl.DataFrame(rows, schema={name: NO_FOOTPRINT.schema[name] for name in names}, orient="row")
    row = facts(random_day(SESSION, seed=13), footprint_price=price)
    assert row["delta_share_bar_type"] == ["time_1m", "time_5m"]
    counts = np.array(row["delta_share_counts"]).reshape(2, 101)
    assert [np.flatnonzero(of_type).tolist() for of_type in counts] == [[50], [0, 1, 99, 100]]
    assert counts.max() == 1


def test_the_final_settlement_published_in_time_is_kept() -> None:
    by = {"ts_recv": dt.datetime.fromtimestamp(at(SESSION, "16:30") / 1e9, dt.UTC)}
    later = {"ts_recv": by["ts_recv"] + dt.timedelta(hours=2)}
    final = settlement_messages(
        by | {"price": 5_300_000_000_000, "stat_flags": 0},
        by | {"price": 5_301_000_000_000},
        later | {"price": 5_302_000_000_000},
    )
    trades = random_day(SESSION, seed=14)
    assert facts(trades, statistics=final)["settlement"] == 5301
    assert facts(trades, statistics=final.head(1))["settlement"] == 5300
    assert facts(trades, statistics=final.tail(1))["settlement"] is None
    assert facts(trades)["settlement"] is None


def test_a_taller_row_moves_the_value_area_to_its_lower_edges() -> None:
    trades = random_day(SESSION, seed=15)
    tall = summary_of(trades, SESSION, rules=FootprintSettings(ticks_per_row=4)).row(0, named=True)
    for name in ("rth_poc_price", "rth_vah_price", "rth_val_price"):
        assert tall[name] % 1 == 0
    assert tall["rth_profile_tick"] == facts(trades)["rth_profile_tick"]


def test_no_trades_make_no_row() -> None:
    assert summary_of(prints(SESSION, []), SESSION).is_empty()


@given(st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_trades_of_one_nanosecond_may_come_in_any_order_within_their_prices(seed: int) -> None:
    trades = random_day(SESSION, seed, trades=800)
    swapped = trades.with_columns(_key=np.random.default_rng(seed).random(trades.height))
    one, other = facts(trades), facts(swapped.sort("ts_event", "_key").drop("_key"))
    for name in ("profile_bid_volume", "rth_profile_trades", "minute_buy_volume", "vwap_sum_tick2_volume"):
        assert one[name] == other[name]
