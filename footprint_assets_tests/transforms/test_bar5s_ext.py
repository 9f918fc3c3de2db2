"""Order-flow features of five-second bars: hand-made days, published numbers, prior fits, causality."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint_assets import contracts
from footprint_assets.kernels.fits import ofi_principal_component, stoikov_adjustment, stoikov_counts
from footprint_assets.settings import OrderFlowSettings
from footprint_assets.transforms.bar5s import bar5s
from footprint_assets.transforms.bar5s_ext import (
    PRIOR_COLUMNS,
    TABLE,
    WALL_MEDIAN_MIN_BARS,
    bar5s_ext,
    prior_fits,
)
from footprint_assets.transforms.grid import GridsDiffer
from footprint_assets_tests.kernels.bar5s_records import SYMBOL, TICK, frame, random_stream
from footprint_assets_tests.kernels.bar5s_reference import BAR, POINT
from footprint_assets_tests.kernels.test_fits import factor_bars, quote_walk
from footprint_assets_tests.transforms.hand_books import FIRST_BAR, SESSION, at, book_bars, change, deep
from footprint_assets_tests.transforms.trade_frames import frame as trade_frame

SETTINGS = OrderFlowSettings()
PRIOR_SCHEMA = contracts.load("silver.future.prior_sessions").polars_schema
NO_PRIOR = pl.Schema({name: PRIOR_SCHEMA[name] for name in PRIOR_COLUMNS}).to_frame()


def prior(*sessions):
    """Rows of ``prior_sessions`` of the contract, the columns the features read; one dictionary a session."""
    rows = [dict.fromkeys(PRIOR_COLUMNS) | {"symbol": SYMBOL} | session for session in sessions]
    return pl.DataFrame(rows, schema=NO_PRIOR.schema)


def trades(*rows):
    """(second, price, size, sign, mid or None) prints; equal seconds and signs are one aggressor order."""
    out = trade_frame(
        SESSION,
        [FIRST_BAR + round(row[0] * POINT) for row in rows],
        [round(row[1] * 4) for row in rows],
        [row[2] for row in rows],
        [row[3] for row in rows],
        symbol=SYMBOL,
    )
    order = pl.struct("ts_event", "aggressor_sign").rle_id().cast(pl.Int64)
    return out.with_columns(
        aggressor_order_id=order, mid_px=pl.Series([row[4] for row in rows], dtype=pl.Float64)
    ).with_columns(levels_swept=pl.col("price_tick").n_unique().over("aggressor_order_id").cast(pl.Int16))


NO_TRADES = trades()


def ext(records, prints=NO_TRADES, history=NO_PRIOR, given_settings=SETTINGS):
    rows = frame(records)
    bars = pl.concat(list(bar5s([rows], SESSION, TICK)))
    return bar5s_ext(bars, book_bars(rows), prints, history, SESSION, TICK, given_settings)


def column(out, name):
    return out[f"bar5s_{name}"].to_list()


def quiet(bars, books=None):
    """One record at the start of every bar."""
    return [at(5 * k, books[k] if books else deep()) for k in range(bars)]


def full_history(seed=1):
    stay, move, jump = stoikov_counts(*quote_walk(seed))
    return prior(
        {
            "sessions_ago": 1,
            "ofi_weights": ofi_principal_component(factor_bars(seed)),
            "order_size_counts": [0, 50, 40, 8, 1, 1, *([0] * 995)],
            "stoikov_stay": stay.ravel(),
            "stoikov_move": move.ravel(),
            "stoikov_jump": jump.ravel(),
        }
    )


def random_day(seed, size):
    """A random book with random prints over its bars and a little beyond."""
    records = random_stream(seed, size)
    rng = random.Random(seed)
    last = records[-1].ts - FIRST_BAR
    seconds = sorted(rng.choice((rng.uniform(-3, last / POINT + 8), 2.5)) for _ in range(rng.randint(0, 25)))
    prints = [
        (
            s,
            4800 + rng.randint(-8, 8) / 4,
            rng.randint(1, 9),
            rng.choice((1, -1, 0)),
            rng.choice((None, 4800.125)),
        )
        for s in seconds
    ]
    return records, trades(*prints)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 20))
def test_the_bars_are_those_of_bar5s_and_keep_their_contract(seed, size):
    records, prints = random_day(seed, size)
    out = ext(records, prints, full_history(seed % 5))
    contracts.Validator(contracts.load(TABLE)).validate(out)
    book = book_bars(frame(records))
    shared = [name for name in out.columns if name in book.columns]
    assert_frame_equal(out.select(shared), book.select(shared), check_exact=True)
    assert (out["bar_end_ts"] - out["bar_ts"]).dt.total_nanoseconds().unique().to_list() == [BAR]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 20), st.integers(0, 30))
def test_bars_before_a_cut_do_not_know_what_comes_after(seed, size, nth):
    records, prints = random_day(seed, size)
    history = full_history()
    whole = ext(records, prints, history)
    cut = whole["bar_end_ts"][min(nth, whole.height - 1)]
    known = [r for r in records if r.ts < cut.timestamp() * 1e9]
    before = ext(known, prints.filter(pl.col("ts_event") < cut), history)
    assert_frame_equal(before, whole.head(before.height), check_exact=True)


def test_truncation_holds_over_windows_that_fill_and_slide():
    rng = random.Random(4)
    books = []
    for _ in range(420):
        bids, asks = deep(size=rng.randint(1, 30), bid=100 + rng.randint(-2, 2) / 4)
        books.append((change(bids, 3, 400) if rng.random() < 0.6 else bids, asks))
    records, history = quiet(420, books), full_history()
    whole = ext(records, history=history)
    for cut in (1, 35, 36, 37, 181, 359, 361, 402):
        assert_frame_equal(ext(records[:cut], history=history), whole.head(cut), check_exact=True)


def test_a_first_session_has_no_fits_and_everything_else():
    out = ext(quiet(3))
    for name in ("ofi_integrated_sum", "trade_large_buy_vol_sum", "state_stoikov_adj_pts_twa"):
        assert column(out, name) == [None] * 3
    assert column(out, "ofi_norm_m00_sum") == [0, 0, 0]


def test_the_published_trade_pays_its_effective_spread_as_realised_spread_and_impact():
    """Buy at 100.25, mid 100.125, mid later 100.375: 0.25 = -0.25 + 0.5 points, here in ticks, in the later bar's row."""
    records = [at(0, deep()), at(5, deep(bid=100.25, ask=100.5))]
    out = ext(records, trades((1, 100.25, 3, 1, 100.125)))
    assert column(out, "cost_effective_spread_vw_ticks") == [1, None]
    assert column(out, "cost_realized_spread_lag1_vw_ticks") == [None, -1]
    assert column(out, "cost_price_impact_lag1_vw_ticks") == [None, 2]
    assert column(out, "cost_quoted_spread_tw_ticks") == [1, 1]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 20))
def test_effective_spread_is_realised_spread_plus_impact_one_bar_later(seed, size):
    out = ext(*random_day(seed, size))
    effective = out["bar5s_cost_effective_spread_vw_ticks"].shift(1)
    realised, impact = (
        out[f"bar5s_cost_{name}_lag1_vw_ticks"] for name in ("realized_spread", "price_impact")
    )
    assert (realised.is_null() == impact.is_null()).all()
    assert ((effective - realised - impact).abs().drop_nulls() < 1e-9).all()


def test_trades_are_summed_up_in_their_bar():
    prints = trades(
        (0.5, 100.25, 4, 1, 100.125), (0.5, 100.5, 2, 1, 100.125),  # one order, two prices
        (1.0, 100.0, 1, -1, 100.125), (2.5, 100.0, 3, 0, None), (3.0, 100.0, 9, -1, 100.125),
        (5.0, 100.25, 1, 1, 100.125),
    )  # fmt: skip
    out = ext(quiet(3), prints)
    wanted = {
        "trade_open_px": 100.25, "trade_high_px": 100.5, "trade_low_px": 100.0, "trade_close_px": 100.0,
        "trade_vwap_px": (4 * 100.25 + 2 * 100.5 + 13 * 100) / 19,
        "trade_buy_cnt_sum": 2, "trade_sell_cnt_sum": 2, "trade_unknown_vol_sum": 3,
        "trade_sweep_buy_cnt_sum": 1, "trade_sweep_buy_vol_sum": 6, "trade_sweep_max_levels_sum": 2,
        "trade_sweep_sell_cnt_sum": 0, "trade_imbal": (6 - 10) / 16, "trade_cnt_imbal": 0,
        "meta_aggressor_order_cnt_sum": 3, "trade_avg_size": 16 / 3, "trade_max_size": 9,
        "trade_delta_max": 6, "trade_delta_min": -4, "trade_sign_autocorr1": 1 / 3,
        "cost_effective_spread_vw_ticks": (4 * 1 + 2 * 3 + 10 * 1) / 16,
    }  # fmt: skip
    for name, value in wanted.items():
        assert column(out, name)[0] == pytest.approx(value), name
    assert column(out, "trade_vwap_dist_ticks")[0] == pytest.approx((wanted["trade_vwap_px"] - 100.125) * 4)
    assert column(out, "trade_buy_cnt_sum") == [2, 1, 0], "a trade on the boundary belongs to the new bar"
    assert [column(out, name)[2] for name in ("trade_open_px", "trade_imbal", "trade_avg_size")] == [None] * 3
    assert [column(out, f"trade_delta_{name}")[2] for name in ("max", "min")] == [0, 0]


def test_trades_outside_the_bars_of_the_book_have_no_bar():
    out = ext(quiet(2), trades((-1, 100, 7, 1, None), (1, 100, 5, 1, None), (10, 100, 8, 1, None)))
    assert column(out, "trade_max_size") == [5, None]


def test_a_large_order_reaches_the_99th_percentile_of_the_prior_sessions():
    history = prior(
        {"sessions_ago": 1, "order_size_counts": [0, 90, 0, 0, 0, *([0] * 996)]},
        {"sessions_ago": 2, "order_size_counts": [0, 8, 0, 1, 1, *([0] * 996)]},
    )
    assert prior_fits(history, SETTINGS).large_order == 3
    assert prior_fits(history, OrderFlowSettings(order_size_sessions=1)).large_order == 1
    assert prior_fits(history, OrderFlowSettings(order_size_min_sessions=3)).large_order is None
    out = ext(quiet(1), trades((1, 100, 2, 1, None), (2, 100, 3, 1, None), (3, 100, 4, -1, None)), history)
    assert column(out, "trade_large_buy_vol_sum") == [3]
    assert column(out, "trade_large_sell_vol_sum") == [4]


def test_imbalance_is_normalised_by_the_mean_size_of_a_level_over_half_an_hour():
    books = [deep(size=10), deep(size=20), deep(size=10)]
    out = ext(quiet(3, books))
    assert column(out, "ofi_m00_sum") == [0, 0, 0]
    bids, asks = deep()
    out = ext([at(0, (bids, asks)), at(2.5, (change(bids, 0, 30), asks))])
    # Ten levels a side of 10 each; from half the bar on the best bid has 30.
    assert column(out, "ofi_norm_m00_sum") == pytest.approx([20 / ((100 + 10 + 100) / 20)])


def test_the_integrated_imbalance_uses_the_weights_of_the_last_session_only():
    weights = [0.5, -0.25, *([0.1] * 8)]
    bids, asks = deep()
    moved = [at(0, (bids, asks)), at(1, (change(change(bids, 0, 13), 1, 16), asks))]
    out = ext(moved, history=prior({"sessions_ago": 1, "ofi_weights": weights}))
    first, second = (column(out, f"ofi_norm_m{level:02d}_sum")[0] for level in (0, 1))
    assert column(out, "ofi_integrated_sum")[0] == pytest.approx((0.5 * first - 0.25 * second) / 1.55)
    older = ext(moved, history=prior({"sessions_ago": 2, "ofi_weights": weights}))
    assert column(older, "ofi_integrated_sum") == [None]


def test_another_contract_s_history_is_not_read():
    history = full_history().with_columns(symbol=pl.lit("ESM4"))
    assert column(ext(quiet(1), history=history), "ofi_integrated_sum") == [None]


def test_the_micro_price_is_that_of_the_state_of_the_best_quote():
    bids, asks = deep()
    heavy = (change(bids, 0, 90), asks)
    wide = deep(bid=99.75, ask=100.25)
    history = full_history()
    counts = (history[f"stoikov_{what}"][0].to_numpy() for what in ("stay", "move", "jump"))
    table = stoikov_adjustment(*counts)
    out = ext(
        [at(0, heavy), at(4, (bids, asks)), at(5, heavy), at(10, (change(wide[0], 0, 30), wide[1]))],
        history=history,
    )
    narrow, loose = table[9 * 2], table[7 * 2 + 1]
    assert column(out, "state_stoikov_adj_pts_eob") == pytest.approx([0, narrow / 4, loose / 4])
    assert column(out, "state_stoikov_adj_pts_twa") == pytest.approx(
        [0.8 * narrow / 4, narrow / 4, loose / 4]
    )


def test_counts_of_several_sessions_are_fitted_together():
    one, other = stoikov_counts(*quote_walk(1)), stoikov_counts(*quote_walk(2))
    rows = [
        {"sessions_ago": ago}
        | {f"stoikov_{what}": c.ravel() for what, c in zip(("stay", "move", "jump"), counts, strict=True)}
        for ago, counts in ((2, one), (5, other), (6, stoikov_counts(*quote_walk(3))))
    ]
    table = prior_fits(prior({"sessions_ago": 1}, *rows), SETTINGS).stoikov_ticks
    assert np.array_equal(table, stoikov_adjustment(*(a + b for a, b in zip(one, other, strict=True))))


def test_ratios_of_flows_and_records():
    bids, asks = deep()
    records = [
        at(0, (bids, asks)),
        at(1, (change(bids, 0, 16), asks), "A", "B", 100.0, 6),
        at(2, (change(bids, 0, 12), asks), "C", "B", 100.0, 4),
        at(3, (change(bids, 0, 12), change(asks, 1, 12)), "A", "A", 100.5, 2),
    ]
    row = ext(records).row(0, named=True)
    wanted = {
        "flow_add_imbal_t1": 1, "flow_add_imbal_t2": -1, "flow_pull_imbal_t1": 1, "flow_fill_imbal_t1": 0,
        "flow_cnt_add_imbal_t1": 1, "flow_cnt_cancel_imbal_t2": 0, "flow_add_intensity_t1": 6 / 8,
        "flow_pull_intensity_t1": 1, "flow_fill_intensity_t1": None,
        "flow_pull_to_add_ratio_bid": 4 / 6, "flow_replenishment_ratio_bid": 6 / 4,
        "flow_replenishment_ratio_ask": 2, "meta_order_to_trade_ratio": 4, "meta_cancel_to_add_ratio": 1 / 3,
        "ofi_m00_sum": 2, "ofi_residual_sum": 0,
    }  # fmt: skip
    for name, value in wanted.items():
        assert row[f"bar5s_{name}"] == (None if value is None else pytest.approx(value)), name


def test_the_residual_is_what_moved_a_best_price():
    bids, _ = deep()
    better = (((bids[0][0] + TICK, 4, 1), *bids[:9]), deep(bid=100.25, ask=100.5)[1])
    row = ext([at(0, (bids, deep(bid=100.25, ask=100.5)[1])), at(1, better)]).row(0, named=True)
    assert row["bar5s_ofi_m00_sum"] == row["bar5s_ofi_residual_sum"] == 4


def test_a_fill_at_a_resting_best_price_leaves_no_residual():
    bids, asks = deep()
    hit = (change(bids, 0, 7), asks)
    records = [
        at(0, (bids, asks)),
        at(1, (bids, asks), "T", "A", 100.0, 3, flags=0),
        at(1, hit, "C", "B", 100.0, 3),
        at(2, (hit[0], change(asks, 0, 8)), "C", "A", 100.25, 2),
    ]
    row = ext(records).row(0, named=True)
    assert (row["bar5s_ofi_bid_fill_sum"], row["bar5s_ofi_ask_pull_sum"]) == (3, 2)
    assert (row["bar5s_ofi_m00_sum"], row["bar5s_ofi_residual_sum"]) == (-1, 0)


def test_a_wall_ages_while_it_stands_and_moves_when_its_price_does():
    plain, standing = deep(), (change(deep()[0], 4, 500), deep()[1])
    nearer = (change(deep()[0], 3, 500), deep()[1])
    books = [plain] * WALL_MEDIAN_MIN_BARS + [standing, standing, nearer, plain, nearer]
    out = ext(quiet(len(books), books)).tail(6)
    assert column(out, "wall_bid_age_bars_eob") == [0, 1, 2, 1, 0, 1]
    assert column(out, "wall_bid_moved_ticks_eob") == [None, None, 0, 1, None, None]
    assert column(out, "wall_bid_size_ratio_eob") == [None, 50, 50, 50, None, 50]
    assert column(out, "wall_ask_age_bars_eob") == [0] * 6
    early = ext(quiet(2, [standing, standing]))
    assert column(early, "wall_bid_size_ratio_eob") == [None, None], "too few bars to know what is usual"


def test_the_mid_returns_from_bar_end_to_bar_end():
    out = ext([at(0, deep()), at(5, deep(bid=100.25, ask=100.75)), at(11, deep(bid=99.0, ask=99.25))])
    assert column(out, "mid_ret_ticks") == [None, 1.5, -5.5]


def test_bars_of_another_book_are_refused():
    rows = frame(quiet(3))
    bars = pl.concat(list(bar5s([rows], SESSION, TICK)))
    with pytest.raises(GridsDiffer):
        bar5s_ext(bars.head(2), book_bars(rows), NO_TRADES, NO_PRIOR, SESSION, TICK, SETTINGS)


def test_no_bars_are_no_rows():
    rows = frame(quiet(1))
    bars = pl.concat(list(bar5s([rows], SESSION, TICK))).clear()
    out = bar5s_ext(bars, book_bars(rows).clear(), NO_TRADES, NO_PRIOR, SESSION, TICK, SETTINGS)
    assert out.is_empty()
    assert out.schema == contracts.load(TABLE).polars_schema
