"""Footprint tables: contract, conservation, causality and the session figures."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal, assert_series_equal

from footprint_assets.calendar import Session, session
from footprint_assets.contracts import Validator, load
from footprint_assets.kernels import indicators
from footprint_assets.settings import BarSettings, FootprintSettings
from footprint_assets.transforms.footprint import (
    BAR_TABLE,
    PRICE_TABLE,
    MalformedTradesError,
    UnknownBarTypeError,
    bars_of_trades,
    footprint_bar,
    footprint_price,
    time_bar_type,
)
from footprint_assets_tests.transforms.histories import NO_LEVELS

DATE = dt.date(2024, 6, 11)
SESSION = session(DATE)
SECOND = 1_000_000_000
SMALL_BARS = BarSettings(
    time_seconds=(5, 60, 120, 300, 1800), range_ticks=(10,), volume_contracts=(1000,), tick_trades=(2000,)
)


def trades_of(
    ts_ns: list[int], tick: list[int], size: list[int], sign: list[int], tick_size: float = 0.25
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "ts_event": pl.Series(ts_ns, dtype=pl.Int64).cast(pl.Datetime("ns", "UTC")),
            "session_date": pl.Series([DATE] * len(ts_ns), dtype=pl.Date),
            "symbol": pl.Series(["ESM4"] * len(ts_ns), dtype=pl.String),
            "price": pl.Series([t * tick_size for t in tick], dtype=pl.Float64),
            "price_tick": pl.Series(tick, dtype=pl.Int32),
            "size": pl.Series(size, dtype=pl.Int64),
            "aggressor_sign": pl.Series(sign, dtype=pl.Int8),
        }
    )


def random_day(seed: int, trades: int, hours: float = 20.0, start_ns: int = SESSION.open_ns) -> pl.DataFrame:
    """A random walk with bursts of trades of one instant."""
    rng = np.random.default_rng(seed)
    ts = np.sort(rng.integers(0, int(hours * 3600), trades)) * SECOND + start_ns
    ts[rng.random(trades) < 0.2] += SECOND // 2
    tick = 21_400 + np.cumsum(rng.integers(-1, 2, trades) * (rng.random(trades) < 0.7))
    size = rng.geometric(0.08, trades)
    sign = rng.choice([-1, 1, 0], trades, p=[0.48, 0.48, 0.04])
    return trades_of(np.sort(ts).tolist(), tick.tolist(), size.tolist(), sign.tolist())


def build(
    trades: pl.DataFrame,
    bars: BarSettings = SMALL_BARS,
    rules: FootprintSettings | None = None,
    within: Session = SESSION,
    tick_size: float = 0.25,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    rules = rules or FootprintSettings()
    rows = footprint_price(trades, None, within, bars, rules, tick_size)
    return rows, footprint_bar(trades, NO_LEVELS, within, bars, rules, tick_size)


def only(**chosen: tuple[int, ...]) -> BarSettings:
    """Settings with the named bars and no others."""
    nothing: dict[str, tuple[int, ...]] = dict.fromkeys(
        ("time_seconds", "range_ticks", "volume_contracts", "tick_trades"), ()
    )
    return BarSettings(**(nothing | chosen))


@pytest.fixture(scope="module")
def day() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    trades = random_day(7, 20_000)
    return trades, *build(trades)


def test_the_tables_pass_their_contracts(day: tuple[pl.DataFrame, ...]) -> None:
    _, rows, bars = day
    Validator(load(PRICE_TABLE)).validate(rows)
    Validator(load(BAR_TABLE)).validate(bars)
    assert bars["bar_type"].unique().len() == 8


def test_no_trades_give_typed_empty_tables() -> None:
    rows, bars = build(trades_of([], [], [], []))
    assert rows.is_empty()
    assert rows.schema == load(PRICE_TABLE).polars_schema
    assert bars.is_empty()
    assert bars.schema == load(BAR_TABLE).polars_schema


def test_no_configured_bars_give_typed_empty_tables() -> None:
    rows, bars = build(random_day(1, 10), only())
    assert rows.schema == load(PRICE_TABLE).polars_schema
    assert bars.schema == load(BAR_TABLE).polars_schema
    assert bars.is_empty()


def test_one_trade_makes_a_bar_of_one_row_with_nothing_undefined_written_as_zero() -> None:
    _, bars = build(trades_of([SESSION.open_ns], [21_400], [3], [0]), only(tick_trades=(2000,)))
    bar = bars.row(0, named=True)
    assert bar["open"] == bar["high"] == bar["low"] == bar["close"] == bar["vwap"] == 5350.0
    assert (bar["poc_position"], bar["close_position"]) == (0.5, 0.5)
    for name in (
        "delta_pct",
        "delta_change",
        "volume_per_second",
        "ask_poc_price",
        "exhaustion_ratio_high",
        "rsi_14",
    ):
        assert bar[name] is None, name


def test_volume_is_conserved_in_every_bar_type(day: tuple[pl.DataFrame, ...]) -> None:
    trades, rows, bars = day
    sums = trades.group_by("aggressor_sign").agg(pl.col("size").sum())
    expected = dict(sums.iter_rows())
    for table in (rows, bars):
        for bar_type, part in table.group_by("bar_type"):
            assert part["ask_volume"].sum() == expected[1], bar_type
            assert part["bid_volume"].sum() == expected[-1], bar_type
            assert part["unknown_volume"].sum() == expected[0], bar_type


def test_the_rows_of_a_bar_add_up_to_the_bar(day: tuple[pl.DataFrame, ...]) -> None:
    _, rows, bars = day
    summed = rows.group_by("bar_type", "bar_id", maintain_order=True).agg(
        pl.col("total_volume").sum().alias("volume"),
        pl.col("ask_volume", "bid_volume", "unknown_volume", "delta", "ask_trades", "bid_trades").sum(),
        pl.col("max_trade_size").max(),
        pl.col("total_volume").max().alias("poc_volume"),
        pl.col("total_volume").filter("is_poc").sum().alias("max_cluster_volume"),
        pl.col("is_buy_imbalance").sum().cast(pl.Int64).alias("buy_imbalance_count"),
        pl.col("buy_stack_length").max().cast(pl.Int64).alias("buy_stack_max"),
        pl.col("price").filter("is_poc").first().alias("poc_price"),
        pl.col("volume_pct").filter("is_in_value_area").sum().round(6).alias("value_area_volume_pct"),
    )
    assert_frame_equal(
        summed,
        bars.select(summed.columns).with_columns(pl.col("value_area_volume_pct").round(6)),
        abs_tol=1e-5,
        check_dtypes=False,
    )


@pytest.mark.parametrize(
    ("fine", "coarse", "seconds"), [("time_5s", "time_1m", 60), ("time_1m", "time_30m", 1800)]
)
def test_fine_time_bars_add_up_to_coarse_ones(
    day: tuple[pl.DataFrame, ...], fine: str, coarse: str, seconds: int
) -> None:
    _, rows, _ = day
    volumes = (
        "bid_volume",
        "ask_volume",
        "unknown_volume",
        "total_volume",
        "delta",
        "bid_trades",
        "ask_trades",
    )
    regrouped = (
        rows.filter(bar_type=fine)
        .group_by(pl.col("bar_ts").dt.truncate(f"{seconds}s"), "price_tick")
        .agg(pl.col(*volumes).sum(), pl.col("first_ts").min(), pl.col("last_ts").max())
        .sort("bar_ts", "price_tick")
    )
    assert_frame_equal(regrouped, rows.filter(bar_type=coarse).select(regrouped.columns))


def test_the_bars_of_the_trades_alone_are_the_bars_of_the_table(day: tuple[pl.DataFrame, ...]) -> None:
    trades, _, bars = day
    alone = bars_of_trades(trades, SESSION, SMALL_BARS, FootprintSettings(), 0.25)
    assert_frame_equal(alone, bars.select(alone.columns), check_exact=True)
    assert len(bars.columns) - len(alone.columns) == 41


def test_a_price_dwells_while_the_best_quotes_enclose_it() -> None:
    start = SESSION.open_ns
    trades = trades_of([start + SECOND, start + 6 * SECOND], [400, 401], [1, 1], [1, 1])
    bbo = pl.DataFrame(
        {
            "ts_event": pl.Series([start, start + 2 * SECOND]).cast(pl.Datetime("ns", "UTC")),
            "bid_tick": pl.Series([399, 400], dtype=pl.Int32),
            "ask_tick": pl.Series([400, 401], dtype=pl.Int32),
        }
    )
    bars = only(time_seconds=(5, 60))
    rows = footprint_price(trades, bbo, SESSION, bars, FootprintSettings(), 0.25)
    assert rows.select("bar_type", "price_tick", "dwell_ns").rows() == [
        ("time_5s", 400, 5 * SECOND),
        ("time_5s", 401, 5 * SECOND),
        ("time_1m", 400, 60 * SECOND),
        ("time_1m", 401, 58 * SECOND),
    ]
    Validator(load(PRICE_TABLE)).validate(rows)


def test_without_a_book_no_dwell_time_is_known(day: tuple[pl.DataFrame, ...]) -> None:
    _, rows, _ = day
    assert rows["dwell_ns"].null_count() == rows.height


def test_the_row_order_is_the_sort_order_of_the_contract_whatever_the_settings_say() -> None:
    bars = BarSettings(time_seconds=(1800, 5), range_ticks=(), volume_contracts=(1000,), tick_trades=())
    _, table = build(random_day(3, 500), bars)
    assert table["bar_type"].unique(maintain_order=True).to_list() == ["time_5s", "time_30m", "volume_1000"]


def test_cumulative_delta_telescopes(day: tuple[pl.DataFrame, ...]) -> None:
    _, _, bars = day
    for _, part in bars.group_by("bar_type", maintain_order=True):
        assert_series_equal(part["cum_delta"], part["delta"].cum_sum(), check_names=False)
        assert_series_equal(part["cum_delta_open"], part["cum_delta"] - part["delta"], check_names=False)
        assert (part["cum_delta_low"] <= part["cum_delta"]).all()
        assert (part["cum_delta_high"] >= part["cum_delta"]).all()


def test_regular_hours_cumulative_delta_starts_at_0930_and_is_null_before() -> None:
    assert SESSION.rth_open_ns is not None
    opening = SESSION.rth_open_ns
    trades = trades_of(
        [opening - SECOND, opening, opening + 60 * SECOND], [21_400] * 3, [7, 5, 2], [1, 1, -1]
    )
    _, bars = build(trades, only(time_seconds=(60,)))
    assert bars["cum_delta"].to_list() == [7, 12, 10]
    assert bars["cum_delta_rth"].to_list() == [None, 5, 3]
    # An event bar across 09:30 counts only its trades from 09:30 on.
    _, bars = build(trades, only(tick_trades=(2000,)))
    assert bars["cum_delta_rth"].to_list() == [3]


def test_a_holiday_session_without_regular_hours_has_no_regular_cumulative_delta() -> None:
    holiday = session(dt.date(2024, 1, 15))
    assert holiday.rth_open_ns is None
    trades = trades_of([holiday.open_ns, holiday.open_ns + 16 * 3600 * SECOND], [21_400] * 2, [7, 5], [1, 1])
    _, bars = build(trades, only(time_seconds=(60,)), within=holiday)
    assert bars["cum_delta_rth"].to_list() == [None, None]


def test_sizes_read_as_unsigned_do_not_wrap_when_negated() -> None:
    # -size of a uint32 is 4,294,967,295 for one contract; it once gave a max_delta of 2.3e11.
    trades = trades_of([SESSION.open_ns], [21_400], [1], [-1]).with_columns(pl.col("size").cast(pl.UInt32))
    _, bars = build(trades)
    assert bars["delta"].to_list() == [-1] * len(bars)
    assert bars["max_delta"].to_list() == [0] * len(bars)


def test_vwap_deviation_keeps_every_digit() -> None:
    # Prices 100, 101, 100.5, 102 with 10, 20, 10, 20 contracts; a running mean gives the wrong 0.565450.
    ticks = [400, 404, 402, 408]
    _, bars = build(
        trades_of([SESSION.open_ns] * 4, ticks, [10, 20, 10, 20], [1, 1, -1, 0]), only(tick_trades=(2000,))
    )
    assert bars["vwap"][0] == pytest.approx(101.08333333333333, abs=1e-12)
    assert bars["vwap_std"][0] == pytest.approx(0.731247032282677, abs=1e-14)


@given(st.lists(st.tuples(st.integers(-40, 40), st.integers(1, 10_000)), min_size=1, max_size=30))
@settings(deadline=None, max_examples=40)
def test_vwap_deviation_equals_exact_arithmetic(trades: list[tuple[int, int]]) -> None:
    ticks, sizes = [80_000 + t for t, _ in trades], [v for _, v in trades]
    _, bars = build(
        trades_of([SESSION.open_ns] * len(trades), ticks, sizes, [1] * len(trades)), only(tick_trades=(2000,))
    )
    volume = sum(sizes)
    first = sum(t * v for t, v in trades)
    scaled_variance = volume * sum(t * t * v for t, v in trades) - first * first
    assert bars["vwap_std"][0] == pytest.approx(
        0.25 * math.sqrt(scaled_variance) / volume, rel=1e-9, abs=1e-12
    )
    assert min(ticks) * 0.25 <= bars["vwap"][0] <= max(ticks) * 0.25


def test_prices_equal_the_prices_of_the_trades_for_any_tick_size() -> None:
    # 3 * 0.1 is 0.30000000000000004; the trade says 0.3.
    trades = trades_of([SESSION.open_ns] * 3, [3, 6, 7], [1, 1, 1], [1, 1, 1])
    rows, bars = build(trades, only(tick_trades=(2000,)), tick_size=0.1)
    assert rows["price"].to_list() == [0.3, 0.6, 0.7]
    assert (bars["low"][0], bars["high"][0]) == (0.3, 0.7)


def test_rows_of_four_ticks_are_named_by_their_lowest_price() -> None:
    trades = trades_of([SESSION.open_ns] * 3, [21_401, 21_403, 21_404], [5, 6, 7], [1, -1, 1])
    rows, bars = build(trades, only(tick_trades=(2000,)), FootprintSettings(ticks_per_row=4))
    assert rows["price_tick"].to_list() == [21_400, 21_404]
    assert rows["price"].to_list() == [5350.0, 5351.0]
    assert rows["total_volume"].to_list() == [11, 7]
    bar = bars.row(0, named=True)
    assert (bar["rows"], bar["low"], bar["poc_price"], bar["poc_position"]) == (2, 5350.25, 5350.0, 0.0)


def test_value_area_overlap_and_poc_change_compare_with_the_bar_before() -> None:
    minute = 60 * SECOND
    ts = [SESSION.open_ns + k for k in (0, 1, minute, minute + 1, 2 * minute)]
    trades = trades_of(ts, [100, 101, 101, 102, 200], [50, 49, 50, 49, 9], [1] * 5)
    _, bars = build(trades, only(time_seconds=(60,)))
    assert bars["value_area_overlap"].to_list() == [None, pytest.approx(1 / 3), 0.0]
    assert bars["poc_change_ticks"].to_list() == [None, 1.0, 99.0]
    assert bars["delta_change"].to_list() == [None, 0, -90]


def test_cumulative_delta_inside_a_bar_covers_its_start_and_every_trade() -> None:
    ts = [SESSION.open_ns + k for k in (0, 60 * SECOND, 60 * SECOND + 1, 60 * SECOND + 2)]
    _, bars = build(trades_of(ts, [100] * 4, [10, 4, 9, 2], [1, 1, -1, 1]), only(time_seconds=(60,)))
    last = bars.row(1, named=True)
    assert [last[f"cum_delta{x}"] for x in ("_open", "_high", "_low", "")] == [10, 14, 5, 7]


def test_rates_divide_by_the_duration_of_the_bar() -> None:
    trades = trades_of([SESSION.open_ns, SESSION.open_ns + 1], [100, 103], [10, 20], [1, -1])
    _, bars = build(trades, only(time_seconds=(5,)))
    bar = bars.row(0, named=True)
    assert (bar["duration_ns"], bar["volume_per_second"], bar["trades_per_second"]) == (5 * SECOND, 6.0, 0.4)
    assert (bar["avg_trade_size"], bar["close_position"]) == (15.0, 1.0)


def test_every_indicator_has_the_window_its_name_says(day: tuple[pl.DataFrame, ...]) -> None:
    _, _, bars = day
    part = bars.filter(bar_type="time_5m")
    tick = {n: (part[n] * 4).cast(pl.Int64).to_numpy() for n in ("high", "low", "close")}
    delta, cum_delta = part["delta"].to_numpy(), part["cum_delta"].to_numpy()
    spread = tick["high"] - tick["low"]
    weighted = part["close"].ewm_mean(alpha=1 / 21, adjust=False)
    deviation = part["close"].ewm_std(alpha=1 / 21, adjust=False, bias=True)
    first = pl.Series([None] * 20 + [0.0] * (len(part) - 20), dtype=pl.Float64)
    expected = {
        "rsi_14": indicators.wilder_rsi(tick["close"], 14),
        "delta_zscore_11": indicators.zscore(delta, 11),
        "cum_delta_slope_5": indicators.rolling_slope(cum_delta, 5),
        "price_cum_delta_divergence_5": indicators.price_flow_divergence(
            cum_delta, tick["close"], delta, spread, 5, 10
        ),
        "price_cum_delta_divergence_10": indicators.price_flow_divergence(
            cum_delta, tick["close"], delta, spread, 10, 10
        ),
        "is_delta_divergence": indicators.delta_divergence(tick["high"], tick["low"], delta, 20),
        "is_delta_flip": indicators.delta_flip(delta, 20),
        "interaction_reversal_avg20": indicators.wilder_mean(
            part["interaction_reversal"].abs().fill_null(math.nan).to_numpy(), 20
        ),
        "bbw_middle_21": weighted + first,
        "bbw_upper_21_2_4": weighted + 2.4 * deviation + first,
        "bbw_lower_21_2_4": weighted - 2.4 * deviation + first,
        "bbw_width_21_2_4": 4.8 * deviation + first,
    }
    for name, values in expected.items():
        assert 0 < part[name].null_count() < len(part), name
        wanted = pl.Series(name, values, strict=False).fill_nan(None)
        assert_series_equal(part[name].cast(pl.Float64), wanted, rel_tol=1e-9, abs_tol=1e-6)


def test_bar_numbers_restart_for_every_bar_type(day: tuple[pl.DataFrame, ...]) -> None:
    _, _, bars = day
    for _, part in bars.group_by("bar_type"):
        assert part["bar_id"].sort().to_list() == list(range(len(part)))


def test_the_bollinger_bands_are_two_population_deviations_of_twenty_closes(
    day: tuple[pl.DataFrame, ...],
) -> None:
    _, _, bars = day
    part = bars.filter(bar_type="time_5m")
    middle = part["close"].rolling_mean(20)
    std = part["close"].rolling_std(20, ddof=0)
    assert_series_equal(part["bb_middle_20"], middle, check_names=False, rel_tol=1e-9)
    assert_series_equal(part["bb_upper_20_2"], middle + 2 * std, check_names=False, rel_tol=1e-9)
    percent_b = (part["close"] - (middle - 2 * std)) / (4 * std)
    assert_series_equal(part["bb_percent_b"], percent_b, check_names=False, rel_tol=1e-6, abs_tol=1e-8)
    assert_series_equal(part["bb_width_20_2"], 4 * std / middle, check_names=False, rel_tol=1e-6)


def test_interaction_reversal_is_the_delta_zscore_times_the_distance_to_the_session_vwap(
    day: tuple[pl.DataFrame, ...],
) -> None:
    _, _, bars = day
    part = bars.filter(bar_type="time_5m")
    session_vwap = (part["vwap"] * part["volume"]).cum_sum() / part["volume"].cum_sum()
    window = part["delta"].cast(pl.Float64)
    zscore = (window - window.rolling_mean(11)) / window.rolling_std(11, ddof=0)
    expected = zscore * (part["close"] - session_vwap)
    assert_series_equal(part["interaction_reversal"], expected, check_names=False, rel_tol=1e-6, abs_tol=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 50), data=st.data())
def test_later_trades_never_change_an_earlier_row(seed: int, data: st.DataObject) -> None:
    bars = only(time_seconds=(5, 60, 300), range_ticks=(10,), volume_contracts=(1000,), tick_trades=(2000,))
    trades = random_day(seed, 3000, hours=2.0)
    cut = data.draw(st.integers(1, len(trades)), label="cut")
    rows, summaries = build(trades, bars)
    tail = trades[cut:]
    shuffled = tail.sample(fraction=1.0, shuffle=True, seed=seed).with_columns(tail["ts_event"])
    for changed in (trades[:cut], pl.concat([trades[:cut], shuffled])):
        other_rows, other = build(changed, bars)
        # Bars known to have ended by the cut. That a range bar has is known only with the trade that breaks it.
        last_known = pl.when(pl.col("bar_type") == "range_10t").then(cut - 1).otherwise(cut)
        ended = (
            summaries.with_columns(pl.col("trades").cum_sum().over("bar_type").alias("seen"))
            .filter(pl.col("seen") <= last_known)
            .drop("seen")
        )
        keys = ["bar_type", "bar_id"]
        kept = other.join(ended.select(keys), on=keys, how="semi", maintain_order="left")
        assert_frame_equal(kept, ended, check_exact=True)
        assert_frame_equal(
            other_rows.join(ended.select(keys), on=keys, how="semi", maintain_order="left"),
            rows.join(ended.select(keys), on=keys, how="semi", maintain_order="left"),
            check_exact=True,
        )


ORDER_DEPENDENT = ("open", "close", "max_delta", "min_delta", "delta_since_high", "delta_since_low")


def test_the_order_of_trades_of_one_instant_changes_order_dependent_columns_only() -> None:
    trades = random_day(11, 4000, hours=0.5)
    groups = trades.with_columns(pl.int_range(pl.len()).shuffle(seed=5).alias("_draw"))
    shuffled = groups.sort("ts_event", "_draw").drop("_draw")
    assert not shuffled.equals(trades)
    rows, bars = build(trades, only(time_seconds=(5, 60)))
    other_rows, other = build(shuffled, only(time_seconds=(5, 60)))
    assert_frame_equal(rows, other_rows, check_exact=True)
    names = bars.columns[: bars.columns.index("poc_price")]
    names += [
        "poc_price",
        "poc_volume",
        "vah_price",
        "val_price",
        "value_area_overlap",
        "buy_imbalance_count",
    ]
    names += ["cum_delta_slope_5", "delta_zscore_11", "is_unfinished_high", "cluster_count"]
    stable = [n for n in names if n not in (*ORDER_DEPENDENT, "cum_delta_high", "cum_delta_low")]
    assert_frame_equal(bars.select(stable), other.select(stable), check_exact=True)
    assert_series_equal(bars["vwap"], other["vwap"], rel_tol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"symbol": pl.Series(["ESM4", "ESU4"])}, "more than one symbol"),
        ({"session_date": pl.Series([DATE, dt.date(2024, 6, 12)])}, "more than one session_date"),
        ({"ts_event": pl.Series([2, 1]).cast(pl.Datetime("ns", "UTC"))}, "not sorted"),
        ({"size": pl.Series([1, 0])}, "no contracts"),
        ({"price_tick": pl.Series([0, 2_000_000], dtype=pl.Int32)}, "further apart"),
    ],
)
def test_trades_a_footprint_cannot_be_built_from_are_refused(change: dict[str, Any], message: str) -> None:
    trades = trades_of([SESSION.open_ns, SESSION.open_ns + 1], [1, 2], [1, 1], [1, 1]).with_columns(**change)
    with pytest.raises(MalformedTradesError, match=message) as caught:
        build(trades)
    assert caught.value.where["symbol"] == "ESM4"
    assert caught.value.remedy


def test_a_bar_the_contract_has_no_name_for_is_refused() -> None:
    with pytest.raises(UnknownBarTypeError, match="time_7s"):
        build(random_day(1, 10), only(time_seconds=(7,)))


@pytest.mark.parametrize(
    ("seconds", "name"),
    [(5, "time_5s"), (60, "time_1m"), (90, "time_90s"), (1800, "time_30m"), (3600, "time_1h")],
)
def test_time_bars_are_named_by_their_largest_whole_unit(seconds: int, name: str) -> None:
    assert time_bar_type(seconds) == name


def test_the_default_settings_build_every_bar_type_of_the_contract() -> None:
    _, bars = build(random_day(2, 200), BarSettings())
    dtype = load(BAR_TABLE).polars_schema["bar_type"]
    assert isinstance(dtype, pl.Enum)
    assert bars["bar_type"].unique(maintain_order=True).to_list() == dtype.categories.to_list()
