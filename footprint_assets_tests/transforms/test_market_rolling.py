"""Rolling market measures: what each family reads, and that no bar reads a later one."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from footprint_assets import calendar as cme
from footprint_assets.contracts import Validator, load
from footprint_assets.kernels.bar5s import BAR_NS
from footprint_assets.transforms.grid import GridsDiffer
from footprint_assets.transforms.market_rolling import TABLE, market_rolling

DAY = dt.date(2024, 6, 18)
SESSION = cme.session(DAY)
SYMBOL = "ESU4"
BARS = 420
START = SESSION.rth_open_ns - 100 * BAR_NS
BAR_KEY, EXT_KEY = "silver.future.market_by_price_10_bar5s", "silver.future.market_by_price_10_bar5s_ext"


def some_frame(key, rows, rng, **given):
    """Rows of a contract: the given columns, everything else small whole numbers."""
    columns = {
        field.name: given.get(field.name, rng.integers(0, 9, rows).astype(float))
        for field in load(key).fields
        if field.name in given or field.physical == "float64"
    }
    return pl.DataFrame(columns)


def market(seed=1, bars=BARS):
    rng = np.random.default_rng(seed)
    start = pl.Series(START + BAR_NS * np.arange(bars)).cast(pl.Datetime("ns", "UTC"))
    mid = 5500 + np.cumsum(rng.choice([-0.125, 0, 0.125], bars))
    grid = {"bar_ts": start, "symbol": [SYMBOL] * bars}
    buys, sells = rng.integers(0, 30, (2, bars)).astype(float)
    frames = {
        "bars": some_frame(
            BAR_KEY,
            bars,
            rng,
            **grid,
            bar5s_midprice_eob=mid,
            bar5s_state_obi0_twa=rng.random(bars) * 2 - 1,
            bar5s_trade_aggbuy_vol_sum=buys,
            bar5s_trade_aggsell_vol_sum=sells,
            bar5s_trade_signed_vol_sum=buys - sells,
            bar5s_trade_vol_sum=buys + sells,
        ),
        "ext": some_frame(
            EXT_KEY, bars, rng, **grid, bar5s_mid_high_px=mid + 0.25, bar5s_mid_low_px=mid - 0.25
        ),
        "volume_profiles": profiles(rng),
    }
    count = bars * 3
    frames["trades_clean"] = pl.DataFrame(
        {
            "ts_event": np.sort(rng.integers(START, START + bars * BAR_NS, count)),
            "aggressor_sign": rng.choice([-1, 0, 1], count).astype(np.int8),
            "size": rng.integers(1, 40, count),
        },
        schema_overrides={"ts_event": pl.Datetime("ns", "UTC")},
    )
    shocks = 80
    ts = np.sort(rng.integers(START, START + bars * BAR_NS, shocks))
    half = rng.integers(1, 40_000, shocks).astype(float)
    frames["shocks"] = pl.DataFrame(
        {
            "ts_event": ts,
            "resting_side": rng.choice(["BID", "ASK"], shocks),
            "is_best": rng.random(shocks) < 0.8,
            "recovery_ratio_1s": rng.random(shocks),
            "known_1s_ts": ts + 1_000_000_000,
            "recovered_ts": ts + (half * 1e6).astype(np.int64),
            "refill_ms": half,
        }
    ).cast({name: pl.Datetime("ns", "UTC") for name in ("ts_event", "known_1s_ts", "recovered_ts")})
    minutes = list(range(600))
    frames["prior_sessions"] = pl.DataFrame(
        {
            "sessions_ago": [2, 1],
            "minute_buy_volume": [rng.integers(0, 20, 600).tolist() for _ in range(2)],
            "minute_sell_volume": [rng.integers(0, 20, 600).tolist() for _ in range(2)],
            "minute_start": [minutes, minutes],
        }
    )
    return frames


def profiles(rng):
    schema = load("silver.future.volume_profiles").polars_schema
    values = {
        name: rng.integers(20, 400, 276).astype(float)
        for name in schema.names()
        if name.endswith(("_mean", "_std"))
    }
    return pl.DataFrame({"bucket_id": np.arange(276), **values})


def known_at(frames, bars):
    """The same market as it was known at the end of a bar."""
    end = pl.lit(START + bars * BAR_NS).cast(pl.Datetime("ns", "UTC"))
    shocks = frames["shocks"].filter(pl.col("ts_event") < end)
    is_known = pl.col("known_1s_ts") <= end
    is_back = pl.col("recovered_ts") <= end
    shocks = shocks.with_columns(
        recovery_ratio_1s=pl.when(is_known).then("recovery_ratio_1s"),
        known_1s_ts=pl.when(is_known).then("known_1s_ts"),
        refill_ms=pl.when(is_back).then("refill_ms"),
        recovered_ts=pl.when(is_back).then("recovered_ts"),
    )
    return frames | {
        "bars": frames["bars"].head(bars),
        "ext": frames["ext"].head(bars),
        "trades_clean": frames["trades_clean"].filter(pl.col("ts_event") < end),
        "shocks": shocks,
    }


def rolling(frames):
    return market_rolling(**frames, session=SESSION)


@pytest.fixture(scope="module")
def frames():
    return market()


@pytest.fixture(scope="module")
def whole(frames):
    return rolling(frames)


def test_the_table_keeps_its_contract_and_the_bars_grid(frames, whole):
    Validator(load(TABLE)).validate(whole)
    assert whole["bar_ts"].equals(frames["bars"]["bar_ts"])
    unknown = [name for name in whole.columns if whole[name].null_count() == whole.height]
    assert unknown == []


@pytest.mark.parametrize("cut", [1, 2, 13, 100, 101, 181, 250, 333, 419])
def test_no_bar_reads_what_came_after_it(frames, whole, cut):
    assert_frame_equal(rolling(known_at(frames, cut)), whole.head(cut), check_exact=True)


def test_a_different_future_leaves_the_past_as_it_was(frames, whole):
    other = market(seed=99)
    cut = 300
    end = pl.lit(START + cut * BAR_NS).cast(pl.Datetime("ns", "UTC"))
    past = known_at(frames, cut)
    mixed = frames | {
        name: pl.concat([past[name], other[name].slice(cut).select(past[name].columns)])
        for name in ("bars", "ext")
    }
    for name in ("trades_clean", "shocks"):
        mixed[name] = pl.concat([past[name], other[name].filter(pl.col("ts_event") >= end)])
    assert_frame_equal(rolling(mixed).head(cut), whole.head(cut), check_exact=True)


def test_flows_are_summed_and_states_averaged_over_full_windows(frames, whole):
    volume = frames["bars"]["bar5s_trade_vol_sum"].to_numpy()
    spread = frames["bars"]["bar5s_state_spread_pts_twa"].to_numpy()
    assert whole["roll_trade_vol_w12"].null_count() == 11
    assert whole["roll_trade_vol_w12"][200] == volume[189:201].sum()
    assert whole["roll_spread_twa_w3"][200] == spread[198:201].sum() / 3


def test_the_halves_of_the_realised_variance_make_the_whole(whole):
    known = whole.drop_nulls("rv_rv_w60")
    assert known.height > 300
    assert (known["rv_rs_plus_w60"] + known["rv_rs_minus_w60"] == known["rv_rv_w60"]).all()


def test_swapping_the_sides_negates_signed_measures(frames, whole):
    swap = {
        "bar5s_trade_aggbuy_vol_sum": "bar5s_trade_aggsell_vol_sum",
        "bar5s_flow_net_vol_bid_sum": "bar5s_flow_net_vol_ask_sum",
    }
    swap |= {new: old for old, new in swap.items()}

    def swapped(frame):
        frame = frame.rename({name: swap[name] for name in frame.columns if name in swap})
        return frame.with_columns(-pl.col("^bar5s_trade_signed_vol_sum$"))

    mirrored = rolling(frames | {name: swapped(frames[name]) for name in ("bars", "ext")})
    for name in ("roll_signed_vol_w36", "roll_trade_imbal_w36", "roll_net_flow_imbal_w36"):
        assert_frame_equal(mirrored.select(-pl.col(name)), whole.select(name), check_exact=True)


def test_relative_volume_compares_with_a_sixtieth_of_the_bucket(frames, whole):
    row = 200
    bucket = (START + row * BAR_NS - SESSION.open_ns) // (300 * 10**9)
    usual = frames["volume_profiles"].row(int(bucket), named=True)
    volume = frames["bars"]["bar5s_trade_vol_sum"][row]
    assert whole["rvol_trade_vol_ratio"][row] == pytest.approx(volume / (usual["trade_vol_mean"] / 60))
    assert whole["rvol_trade_vol_zscore"][row] == pytest.approx(
        (volume - usual["trade_vol_mean"] / 60) / (usual["trade_vol_std"] / 60**0.5)
    )


def test_surplus_runs_from_the_cash_open(whole):
    assert whole["rvol_cumul_trade_vol_dev"].head(100).null_count() == 100
    assert whole["rvol_cumul_trade_vol_dev"].slice(100).null_count() == 0


def test_vpin_goes_on_from_the_sessions_before(frames, whole):
    assert whole["tox_vpin"].null_count() == 0
    assert whole["tox_vpin_bucket_age_s"].null_count() > 0
    alone = rolling(frames | {"prior_sessions": frames["prior_sessions"].clear()})
    for name in ("tox_vpin", "tox_vpin_cdf", "tox_vpin_bucket_age_s"):
        assert alone[name].null_count() == BARS


def test_without_a_profile_relative_volume_is_not_known(frames):
    alone = rolling(frames | {"volume_profiles": frames["volume_profiles"].clear()})
    names = [name for name in alone.columns if name.startswith("rvol_")]
    assert len(names) == 34
    assert all(alone[name].null_count() == BARS for name in names)


def test_shocks_away_from_the_best_price_do_not_count(frames):
    without = rolling(frames | {"shocks": frames["shocks"].filter("is_best")})
    assert_frame_equal(without, rolling(frames), check_exact=True)


def test_tables_of_different_bars_are_refused(frames):
    with pytest.raises(GridsDiffer, match="ext has"):
        rolling(frames | {"ext": frames["ext"].slice(1)})


def test_no_bars_give_an_empty_table_of_the_contract(frames):
    empty = frames | {name: frames[name].clear() for name in ("bars", "ext", "trades_clean", "shocks")}
    assert rolling(empty).schema == load(TABLE).polars_schema
