"""Footprint kernel against its reference, and the definitions case by case."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels.footprint import (
    BAR,
    CELL,
    NO_ROW,
    ZERO_IS_IGNORED,
    ZERO_IS_INFINITE,
    ZERO_IS_ONE,
    Rules,
    Trades,
    footprint,
)
from footprint_assets_tests.kernels.footprint_reference import DEFAULT_RULES, Trade, footprint_of_bar


def run(bars: list[list[Trade]], rules: Rules = DEFAULT_RULES) -> tuple[np.ndarray, np.ndarray]:
    trades = [trade for bar in bars for trade in bar]
    ts, tick, size, sign = (
        np.array([getattr(t, name) for t in trades], np.int64) for name in ("ts_ns", "tick", "size", "sign")
    )
    offsets = np.cumsum([0] + [len(bar) for bar in bars])
    return footprint(Trades(ts, tick, tick // rules.ticks_per_row, size, sign), offsets, rules)


def bar_of(trades: list[tuple[int, int, int]], rules: Rules = DEFAULT_RULES) -> np.void:
    """Summary of one bar of ``(tick, size, sign)`` trades."""
    return run([[Trade(i, *trade) for i, trade in enumerate(trades)]], rules)[1][0]


def ladder(rows: dict[int, tuple[int, int]], close: int | None = None) -> list[tuple[int, int, int]]:
    """Trades that make the ladder ``tick -> (bid volume, ask volume)`` and close at ``close``."""
    trades = [
        (tick, size, sign) for tick, sizes in rows.items() for sign, size in zip((-1, 1), sizes, strict=True)
    ]
    trades = [trade for trade in trades if trade[1] > 0]
    if close is not None:
        trades.append((close, 1, 0))
    return trades


trade = st.builds(
    Trade,
    ts_ns=st.just(0),
    tick=st.integers(-6, 8),
    size=st.one_of(st.integers(1, 6), st.integers(1, 60)),
    sign=st.sampled_from([-1, -1, 1, 1, 0]),
)
bars_of_trades = st.lists(st.lists(trade, min_size=1, max_size=40), min_size=1, max_size=3).map(
    lambda bars: [
        [Trade(100 * b + i, t.tick, t.size, t.sign) for i, t in enumerate(bar)] for b, bar in enumerate(bars)
    ]
)
rules = st.builds(
    Rules,
    ticks_per_row=st.sampled_from([1, 1, 1, 2, 3]),
    imbalance_ratio=st.sampled_from([1.5, 2.0, 3.0]),
    imbalance_min_volume=st.sampled_from([0, 1, 10]),
    imbalance_min_difference=st.sampled_from([0, 5]),
    imbalance_zero=st.sampled_from([ZERO_IS_INFINITE, ZERO_IS_ONE, ZERO_IS_IGNORED]),
    stacked_rows=st.integers(2, 3),
    value_area_pct=st.integers(1, 100),
    value_area_rows=st.sampled_from([1, 2]),
    exhaustion_ratio=st.sampled_from([1.5, 2.0]),
    absorption_quantile_pct=st.sampled_from([50, 90]),
    absorption_mean_multiple=st.sampled_from([1.0, 2.0]),
    absorption_rejection_ticks=st.integers(0, 2),
    cluster_mean_multiple=st.sampled_from([1.0, 2.0]),
)


row_volume = st.sampled_from([0, 0, 1, 2, 5, 10, 15, 30, 60, 90])


@st.composite
def lopsided_bars(draw: st.DrawFn) -> list[Trade]:
    """A bar with the rows that make stacks, exhaustion, absorption and trapped traders common."""
    rows = draw(st.lists(st.tuples(row_volume, row_volume), max_size=16))
    trades = [
        Trade(0, tick, size, sign)
        for tick, sizes in enumerate(rows, start=-4)
        for sign, size in zip((-1, 1), sizes, strict=True)
        if size > 0
    ]
    return [*draw(st.permutations(trades)), Trade(0, draw(st.integers(-5, 12)), 1, 0)]


@settings(max_examples=500, deadline=None)
@given(
    st.one_of(bars_of_trades, st.lists(lopsided_bars(), min_size=1, max_size=4)),
    st.one_of(st.just(DEFAULT_RULES), rules),
)
def test_the_kernel_equals_the_reference(bars: list[list[Trade]], chosen: Rules) -> None:
    cells, summaries = run(bars, chosen)
    for b, trades in enumerate(bars):
        expected_cells, expected = footprint_of_bar(trades, chosen)
        got_cells = cells[cells["bar"] == b]
        assert len(got_cells) == len(expected_cells)
        for name in set(CELL.names or ()) - {"bar"}:
            np.testing.assert_array_equal(
                got_cells[name], [cell[name] for cell in expected_cells], err_msg=name
            )
        for name in BAR.names or ():
            np.testing.assert_array_equal(summaries[b][name], expected[name], err_msg=name)


def mirrored(bars: list[list[Trade]]) -> list[list[Trade]]:
    return [[Trade(t.ts_ns, -t.tick, t.size, -t.sign) for t in bar] for bar in bars]


@settings(deadline=None)
@given(st.lists(lopsided_bars(), min_size=1, max_size=4))
def test_mirrored_prices_and_aggressors_swap_buying_and_selling(bars: list[list[Trade]]) -> None:
    _, straight = run(bars)
    _, swapped = run(mirrored(bars))
    for name in ("imbalance_count", "stack_max"):
        np.testing.assert_array_equal(straight[f"buy_{name}"], swapped[f"sell_{name}"])
    for high, low in (
        ("is_exhaustion_high", "is_exhaustion_low"),
        ("is_absorption_high", "is_absorption_low"),
        ("absorption_high_volume", "absorption_low_volume"),
        ("is_trapped_buyers", "is_trapped_sellers"),
        ("exhaustion_ratio_high", "exhaustion_ratio_low"),
        ("high_ask_volume", "low_bid_volume"),
        ("ask_volume", "bid_volume"),
    ):
        np.testing.assert_array_equal(straight[high], swapped[low], err_msg=high)
    for name in ("delta", "max_delta", "high_rows_delta", "delta_since_high"):
        other = name.replace("max", "min").replace("high", "low")
        np.testing.assert_array_equal(straight[name], -swapped[other], err_msg=name)
    stacked = straight["stacked_buy_low_row"] != NO_ROW
    np.testing.assert_array_equal(
        straight["stacked_buy_low_row"][stacked], -swapped["stacked_sell_high_row"][stacked]
    )


@settings(deadline=None)
@given(bars_of_trades, st.randoms())
def test_the_order_of_trades_changes_order_dependent_figures_only(
    bars: list[list[Trade]], random: object
) -> None:
    shuffled = [random.sample(bar, len(bar)) for bar in bars]  # type: ignore[attr-defined]
    cells, summaries = run(bars)
    other_cells, other = run(shuffled)
    ordered = {"open_tick", "close_tick", "max_delta", "min_delta", "delta_since_high", "delta_since_low"}
    ordered |= {"sum_size_ticks", "sum_size_ticks_squared"}  # relative to the open
    ordered |= {"is_trapped_buyers", "is_trapped_sellers"}  # read the close
    ordered |= {
        f"{kind}_{side}{what}"
        for side in ("high", "low")
        for kind, what in (("is_absorption", ""), ("absorption", "_volume"))
    }
    for name in set(BAR.names or ()) - ordered:
        np.testing.assert_array_equal(summaries[name], other[name], err_msg=name)
    for name in set(CELL.names or ()) - {"first_ts", "last_ts"}:
        np.testing.assert_array_equal(cells[name], other_cells[name], err_msg=name)


@settings(deadline=None)
@given(bars_of_trades)
def test_running_delta_brackets_zero_and_the_final_delta(bars: list[list[Trade]]) -> None:
    _, summaries = run(bars)
    delta = summaries["delta"]
    assert (summaries["min_delta"] <= np.minimum(0, delta)).all()
    assert (summaries["max_delta"] >= np.maximum(0, delta)).all()


def test_running_delta_starts_at_zero() -> None:
    # freqtrade takes the extremes over trades only, which makes the maximum of a falling bar negative.
    assert bar_of([(100, 5, -1), (99, 5, -1)])["max_delta"] == 0
    assert bar_of([(100, 5, 1), (101, 5, 1)])["min_delta"] == 0


def test_a_buyer_counts_on_the_ask_and_a_seller_on_the_bid() -> None:
    # The reference bot passed (ask, bid) into (bid, ask) and reversed every delta.
    bar = bar_of([(100, 7, 1), (100, 3, -1), (100, 2, 0)])
    assert (bar["ask_volume"], bar["bid_volume"], bar["unknown_volume"], bar["delta"]) == (7, 3, 2, 4)


def test_delta_since_the_high_starts_after_the_last_trade_there() -> None:
    bar = bar_of([(100, 1, 1), (102, 5, 1), (101, 2, -1), (102, 7, 1), (101, 3, -1), (100, 4, -1)])
    assert bar["delta_since_high"] == -7
    assert bar["delta_since_low"] == 0


def test_an_imbalance_compares_diagonally_not_on_the_same_row() -> None:
    # 30 at the ask of 101 meets 10 at the bid of 100; the 30 at the bid of 101 itself does not matter.
    cells, _ = run([[Trade(0, 100, 10, -1), Trade(1, 101, 30, 1), Trade(2, 101, 30, -1)]])
    assert cells["is_buy_imbalance"].tolist() == [False, True]
    assert cells["buy_imbalance_ratio"][1] == 3.0


@pytest.mark.parametrize(("ask", "expected"), [(30, 1), (29, 0)])
def test_the_imbalance_ratio_is_inclusive(ask: int, expected: int) -> None:
    assert bar_of([(100, 10, -1), (101, ask, 1)])["buy_imbalance_count"] == expected


def test_one_row_can_be_a_buy_and_a_sell_imbalance() -> None:
    cells, _ = run([[Trade(i, *t) for i, t in enumerate(ladder({100: (2, 0), 101: (40, 50), 102: (0, 3)}))]])
    assert cells["is_buy_imbalance"].tolist() == [False, True, False]
    assert cells["is_sell_imbalance"].tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("rule", "at_the_ask", "expected"),
    [(ZERO_IS_INFINITE, 2, 1), (ZERO_IS_ONE, 2, 0), (ZERO_IS_ONE, 3, 1), (ZERO_IS_IGNORED, 60, 0)],
)
def test_a_zero_across_the_diagonal_follows_the_configured_rule(
    rule: int, at_the_ask: int, expected: int
) -> None:
    rules = DEFAULT_RULES._replace(imbalance_zero=rule, imbalance_min_volume=1)
    bar = bar_of([(100, 5, 1), (101, at_the_ask, 1)], rules)
    assert bar["buy_imbalance_count"] == expected


def test_an_untraded_row_inside_the_range_counts_as_zero_volume() -> None:
    cells, bar = run([[Trade(0, 100, 50, -1), Trade(1, 102, 20, 1)]])
    assert cells["row"].tolist() == [100, 102]
    assert bar["rows"][0] == 3
    assert cells["is_buy_imbalance"].tolist() == [False, True]
    assert math.isnan(cells["buy_imbalance_ratio"][1])


def test_rows_outside_the_range_of_the_bar_make_no_imbalance() -> None:
    bar = bar_of([(100, 50, 1), (100, 50, -1)])
    assert (bar["buy_imbalance_count"], bar["sell_imbalance_count"]) == (0, 0)


STACKED_BUYS = dict.fromkeys(range(106, 109), (0, 12)) | dict.fromkeys(range(99, 106), (5, 1))


def test_three_consecutive_imbalances_are_a_stack() -> None:
    bar = bar_of(ladder(STACKED_BUYS, close=107))
    assert (bar["buy_stack_max"], bar["stacked_buy_low_row"], bar["stacked_buy_high_row"]) == (
        2,
        NO_ROW,
        NO_ROW,
    )
    bar = bar_of(ladder(STACKED_BUYS | {105: (4, 15)}, close=107))
    assert (bar["buy_stack_max"], bar["stacked_buy_low_row"], bar["stacked_buy_high_row"]) == (4, 105, 108)


def test_buyers_are_trapped_when_price_closes_below_their_stack() -> None:
    rows = dict.fromkeys(range(90, 105), (5, 5)) | {105: (0, 5)} | dict.fromkeys(range(106, 110), (0, 12))
    below = bar_of(ladder(rows, close=105))
    inside = bar_of(ladder(rows, close=106))
    assert (below["stacked_buy_low_row"], below["stacked_buy_high_row"]) == (106, 109)
    assert below["is_trapped_buyers"]
    assert not inside["is_trapped_buyers"]


def test_sellers_are_trapped_when_price_closes_above_their_stack() -> None:
    rows = dict.fromkeys(range(96, 111), (5, 5)) | {95: (5, 0)} | dict.fromkeys(range(91, 95), (12, 0))
    above = bar_of(ladder(rows, close=95))
    inside = bar_of(ladder(rows, close=94))
    assert (above["stacked_sell_low_row"], above["stacked_sell_high_row"]) == (91, 94)
    assert above["is_trapped_sellers"]
    assert not inside["is_trapped_sellers"]


def test_a_high_with_both_aggressors_is_unfinished() -> None:
    assert bar_of([(100, 1, 1), (101, 1, 1), (101, 1, -1)])["is_unfinished_high"]
    assert not bar_of([(100, 1, -1), (101, 1, 1)])["is_unfinished_high"]


def test_buying_that_halves_into_a_high_without_sellers_is_exhaustion() -> None:
    assert bar_of(ladder({100: (3, 40), 101: (2, 20), 102: (0, 10)}))["is_exhaustion_high"]
    assert not bar_of(ladder({100: (3, 19), 101: (2, 20), 102: (0, 10)}))["is_exhaustion_high"]


def test_selling_that_fades_over_three_rows_into_a_low_is_exhaustion_even_with_buyers_there() -> None:
    assert bar_of(ladder({100: (10, 2), 101: (20, 3), 102: (21, 3)}))["is_exhaustion_low"]
    assert not bar_of(ladder({100: (10, 2), 101: (20, 3), 102: (20, 3)}))["is_exhaustion_low"]


def test_of_two_equal_stacks_the_lower_buying_and_the_higher_selling_counts() -> None:
    block = {100: (0, 1), 101: (0, 12), 102: (0, 12), 103: (0, 12), 104: (20, 0)}
    buying = block | {tick + 5: row for tick, row in block.items()}
    bar = bar_of(ladder(buying))
    assert (bar["buy_stack_max"], bar["stacked_buy_low_row"], bar["stacked_buy_high_row"]) == (3, 101, 103)
    bar = bar_of(ladder({-tick: (ask, bid) for tick, (bid, ask) in buying.items()}))
    assert (bar["sell_stack_max"], bar["stacked_sell_low_row"], bar["stacked_sell_high_row"]) == (
        3,
        -103,
        -101,
    )


def test_heavy_buying_under_a_high_that_price_leaves_is_absorption() -> None:
    rows = dict.fromkeys(range(100, 109), (4, 4)) | {109: (0, 90), 110: (0, 5)}
    left = bar_of(ladder(rows, close=107))
    stayed = bar_of(ladder(rows, close=108))
    assert left["is_absorption_high"]
    assert left["absorption_high_volume"] == 90
    assert not stayed["is_absorption_high"]
    assert stayed["absorption_high_volume"] == 0


def test_rejection_from_a_low_is_measured_from_the_top_of_a_row_of_several_ticks() -> None:
    rules = DEFAULT_RULES._replace(ticks_per_row=2)
    rows = {100: (90, 0)} | dict.fromkeys(range(102, 122, 2), (4, 4))
    assert bar_of(ladder(rows, close=103), rules)["is_absorption_low"]
    assert not bar_of(ladder(rows, close=102), rules)["is_absorption_low"]


def test_a_bar_without_buyers_has_no_ask_point_of_control() -> None:
    assert bar_of([(100, 5, -1)])["ask_poc_row"] == NO_ROW


@pytest.mark.parametrize("ticks_per_row", [2, 4])
def test_rows_of_several_ticks_hold_the_sum_of_their_ticks(ticks_per_row: int) -> None:
    trades = [Trade(i, i - 5, i + 1, (-1) ** i) for i in range(11)]
    coarse, _ = run([trades], DEFAULT_RULES._replace(ticks_per_row=ticks_per_row))
    fine, _ = run([trades])
    for cell in coarse:
        inside = fine[fine["row"] // ticks_per_row == cell["row"]]
        assert cell["ask_volume"] == inside["ask_volume"].sum()
        assert cell["bid_volume"] == inside["bid_volume"].sum()
