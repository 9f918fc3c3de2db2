"""The book measures of five-second bars: every column against the slow reference, goldens, conservation, causality."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import accumulate

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint_assets import contracts
from footprint_assets.transforms.bar5s import bar5s
from footprint_assets.transforms.bar5s_book import TABLE, TICK_BANDS
from footprint_assets_tests.kernels.bar5s_book_reference import reference_book_bars
from footprint_assets_tests.kernels.bar5s_records import F_LAST, F_SNAPSHOT, TICK, frame, streams
from footprint_assets_tests.kernels.bar5s_reference import POINT
from footprint_assets_tests.transforms.hand_books import SESSION, at, book_bars, change, deep, ladders

SIDES = ("bid", "ask")


def one_bar(*records):
    out = book_bars(frame(list(records)))
    assert out.height == 1
    return {name.removeprefix("bar5s_"): value for name, value in out.row(0, named=True).items()}


@settings(max_examples=100, deadline=None)
@given(streams())
def test_every_column_equals_the_slow_reference(records):
    got = book_bars(frame(records)).drop("symbol").with_columns(pl.col("bar_ts").to_physical())
    expected = reference_book_bars(records)
    assert got.height == len(expected)
    assert {*got.columns} == {*expected[0]}
    for row, wanted in zip(got.iter_rows(named=True), expected, strict=True):
        for name, value in wanted.items():
            if value is None or row[name] is None:
                assert row[name] is value, name
            else:
                assert row[name] == pytest.approx(float(value), rel=1e-9, abs=1e-9), name


@settings(max_examples=60, deadline=None)
@given(streams(), st.data())
def test_any_chunking_of_a_day_gives_the_same_bits(records, data):
    rows = frame(records)
    cuts = data.draw(st.lists(st.integers(0, len(records)), max_size=6))
    assert_frame_equal(book_bars(rows, cuts), book_bars(rows), check_exact=True)


@settings(max_examples=60, deadline=None)
@given(streams(), st.integers(0, 20))
def test_bars_before_a_cut_do_not_know_what_comes_after(records, nth):
    rows = frame(records)
    whole = book_bars(rows)
    cut = whole["bar_ts"][min(nth, whole.height - 1)] + pl.select(pl.duration(seconds=5)).item()
    before = book_bars(rows.filter(pl.col("ts_event") < cut))
    assert_frame_equal(before, whole.head(before.height), check_exact=True)


@settings(max_examples=15, deadline=None)
@given(streams())
def test_the_bars_are_those_of_bar5s_and_keep_their_contract(records):
    rows = frame(records)
    out = book_bars(rows)
    contracts.Validator(contracts.load(TABLE)).validate(out)
    beside = pl.concat(list(bar5s([rows], SESSION, TICK)))
    assert out["bar_ts"].equals(beside["bar_ts"])
    assert out["bar5s_mid_close_px"].equals(beside["bar5s_midprice_eob"])
    assert out["bar5s_state_obi1_twa"].equals(beside["bar5s_state_obi0_twa"])


@settings(max_examples=60, deadline=None)
@given(streams())
def test_what_stays_of_the_imbalance_at_fixed_best_prices_is_adds_less_pulls_less_fills(records):
    """Cont, Kukanov and Stoikov: OFI = (Lb - Cb - Ms) - (La - Ca - Mb), no residual while the best prices rest."""
    first = next((r for r in records if r.action not in "TNR" and r.bids and r.asks), None)
    if first is None:
        return
    rested = []
    for record in records:
        both = []
        for ladder, fixed in ((record.bids, first.bids), (record.asks, first.asks)):
            size = ladder[0][1] if ladder else 5
            both.append(((fixed[0][0], size, 1), *fixed[1:]))
        rested.append(replace(record, bids=both[0], asks=both[1]))
    out = book_bars(frame(rested)).drop_nulls("bar5s_ofi_m00_sum")
    total = {name: out[name].sum() for name in out.columns if "ofi" in name}
    bid, ask = (
        total[f"bar5s_ofi_{s}_add_sum"] - total[f"bar5s_ofi_{s}_pull_sum"] - total[f"bar5s_ofi_{s}_fill_sum"]
        for s in SIDES
    )
    assert total["bar5s_ofi_m00_sum"] == bid - ask


@settings(max_examples=60, deadline=None)
@given(streams(), st.integers(1, 4_999))
def test_imbalance_and_flow_add_up_over_any_bars(records, millis):
    """The same records on a clock some milliseconds late fall into other bars and sum to the same."""
    late = [replace(r, ts=r.ts + millis * 1_000_000) for r in records]
    sums = [n for n in book_bars(frame(records)).columns if "_ofi_" in n or "_flow_" in n]
    sums = [n for n in sums if n.endswith("_sum") and "replenish" not in n]
    total, shifted = (book_bars(frame(some)).select(pl.col(sums).sum()).row(0) for some in (records, late))
    assert total == shifted


def test_order_flow_imbalance_of_the_published_sequence():
    states = (
        (100, 5, 101, 4), (100, 8, 101, 4), (100, 8, 101, 9), (100.25, 2, 101, 9),
        (100, 8, 101, 9), (100, 8, 100.75, 3), (100, 8, 101, 9), (100.25, 6, 101.25, 7),
    )  # fmt: skip
    rows = frame([at(5 * k, ladders(*state)) for k, state in enumerate(states)])
    assert book_bars(rows)["bar5s_ofi_m00_sum"].to_list() == [0, 3, -5, 2, -2, -3, 3, 15]
    together = one_bar(*(at(k / 10, ladders(*state)) for k, state in enumerate(states)))
    assert together["ofi_m00_sum"] == sum((3, -5, 2, -2, -3, 3, 15)) == 13
    assert [together[f"ofi_m{level:02d}_sum"] for level in range(1, 10)] == [0] * 9


def test_order_flow_imbalance_equals_that_of_wickra():
    wickra = pytest.importorskip("wickra", reason="the independent oracle is in the test extra")
    rng, bid, states = random.Random(7), 400, []
    for _ in range(300):
        bid += rng.choice((-1, 0, 0, 1))
        states.append((bid / 4, rng.randint(1, 50), (bid + rng.choice((1, 1, 2))) / 4, rng.randint(1, 50)))
    indicator = wickra.OrderFlowImbalance(1)
    theirs = [indicator.update([bid], [qb], [ask], [qa]) for bid, qb, ask, qa in states]
    rows = frame([at(5 * k, ladders(*state)) for k, state in enumerate(states)])
    assert book_bars(rows)["bar5s_ofi_m00_sum"].to_list()[1:] == theirs[1:]


def test_the_published_book_has_its_published_slopes_and_imbalances():
    """Golden case: bids 100.00x10, 99.75x20, 99.50x30; asks 100.25x30, 100.50x25, 100.75x20."""
    bids = tuple((round(p * POINT), q, 1) for p, q in ((100.0, 10), (99.75, 20), (99.5, 30)))
    asks = tuple((round(p * POINT), q, 1) for p, q in ((100.25, 30), (100.5, 25), (100.75, 20)))
    row = one_bar(at(0, (bids, asks)))
    assert row["microprice_twa_px"] == 100.0625
    assert row["state_microprice_adj_pts_eob"] == -0.0625
    assert row["state_obi1_eob"] == -0.5
    assert row["state_obi3_eob"] == pytest.approx(-1 / 9)
    assert (row["depth_bid_slope_eob"], row["depth_ask_slope_eob"]) == pytest.approx((100, 90))
    assert [row[f"depth_ask_{band}_qty_eob"] for band in TICK_BANDS] == [30, 25, 20, 0, 0]
    # A buyer of 50 takes 30 at 0.5 and 20 at 1.5 ticks from the mid.
    assert row["depth_sweep_buy_q50_ticks_eob"] == pytest.approx((30 * 0.5 + 20 * 1.5) / 50)
    assert row["depth_sweep_buy_q100_ticks_eob"] is None


def test_no_imbalance_runs_across_a_snapshot_or_a_clear():
    small, large = deep(size=10), deep(size=30)
    restated = one_bar(at(0, small), at(1, large, flags=F_LAST | F_SNAPSHOT), at(2, large))
    assert restated["ofi_m00_sum"] == restated["flow_add_vol_bid_sum"] == 0
    assert restated["meta_snapshot_cnt_sum"] == 1
    cleared = one_bar(at(0, small), at(1, ((), ()), "R", "N"), at(2, large))
    assert cleared["ofi_m00_sum"] == cleared["flow_pull_vol_bid_sum"] == 0
    assert cleared["meta_clear_vol_sum"] == 200


def test_a_ladder_that_returns_unchanged_after_a_clear_is_the_book_again():
    ladder = deep()
    cleared, alone = (
        book_bars(frame(records))
        for records in (
            [at(0, ladder), at(1, ladder, "R", "N"), at(6, ladder), at(7, ladder, "T")],
            [at(6, ladder), at(7, ladder, "T")],
        )
    )
    of_book = [
        n for n in alone.columns if "_state_" in n or "_depth_" in n or "_mid_" in n or "_ladder_" in n
    ]
    assert alone.select(of_book).row(-1) == cleared.select(of_book).row(-1)
    assert cleared.select(n for n in of_book if n.endswith("_eob")).row(0) == (None,) * sum(
        n.endswith("_eob") for n in of_book
    )


def test_a_fill_is_told_from_a_pull_and_what_comes_back_within_a_second_is_replenished():
    bids, asks = deep()
    taken = (bids, change(asks, 0, 4))
    row = one_bar(
        at(0.0, (bids, asks)),
        at(0.5, (bids, asks), "T", "B", 100.25, 6, flags=0),
        at(0.5, taken, "C", "A", 100.25, 6),
        at(1.5, (bids, change(asks, 0, 9)), "A", "A", 100.25, 5),
        at(1.6, (bids, change(asks, 0, 12)), "A", "A", 100.25, 3),
        at(2.0, (bids, change(asks, 0, 10)), "C", "A", 100.25, 2),
    )
    assert row["flow_fill_vol_ask_sum"] == row["flow_fill_vol_ask_t1_sum"] == row["ofi_ask_fill_sum"] == 6
    assert row["flow_add_vol_ask_sum"] == 8
    assert row["flow_pull_vol_ask_sum"] == 2
    assert row["flow_net_vol_ask_sum"] == 0
    assert row["flow_replenish_vol_ask_sum"] == 5, "the add 1.1 s after the fill is a new order"
    assert row["flow_cnt_cancel_ask_t1_sum"] == 2
    assert row["ofi_m00_sum"] == 0


def test_a_fill_elsewhere_does_not_shorten_the_second_in_which_a_price_is_replenished():
    bids, asks = deep()
    gone = (bids, asks[1:])
    row = one_bar(
        at(0.5, (bids, asks)),
        at(0.5, (bids, asks), "T", "B", 100.25, 10, flags=0),
        at(0.5, gone, "C", "A", 100.25, 10),
        at(1.5, gone, "T", "B", 100.5, 4, flags=0),
        at(1.5, (bids, change(gone[1], 0, 6)), "C", "A", 100.5, 4),
        at(1.5, (bids, (asks[0], *change(gone[1], 0, 6))), "A", "A", 100.25, 10),
    )
    assert row["flow_replenish_vol_ask_sum"] == 10


def test_depth_and_flow_are_banded_by_ticks_from_the_own_best_price():
    bids, asks = deep()
    row = one_bar(at(0, (bids, asks)), at(1, (change(bids, 5, 25), asks), "A", "B", 98.75, 15))
    assert [row[f"depth_bid_{band}_qty_eob"] for band in TICK_BANDS] == [10, 10, 20, 55, 20]
    assert [row[f"flow_add_vol_bid_{band}_sum"] for band in TICK_BANDS] == [0, 0, 0, 15, 0]
    assert [row[f"flow_cnt_add_bid_{band}_sum"] for band in TICK_BANDS] == [0, 0, 0, 1, 0]
    assert row["flow_activity_centroid_ticks"] == 5
    assert row["flow_activity_dispersion_ticks"] == 0


def test_ten_levels_that_reach_farther_hide_the_ticks_between_nothing():
    bids, asks = deep()
    gapped = (*bids[:9], (bids[9][0] - 5 * TICK, 10, 2))
    row = one_bar(at(0, (gapped, asks)))
    assert row["depth_bid_t9_10_qty_eob"] == 10
    assert (row["ladder_bid_visible_ticks_eob"], row["ladder_bid_missing_ticks_eob"]) == (14, 5)
    assert (row["ladder_ask_visible_ticks_eob"], row["ladder_ask_missing_ticks_eob"]) == (9, 0)


def test_a_balanced_book_is_half_in_each_middle_bucket_of_the_imbalance():
    row = one_bar(at(0, deep()))
    shares = {name: value for name, value in row.items() if "stoikov" in name and value}
    assert shares == {f"state_stoikov_i{bucket}_s1_frac_twa": 0.5 for bucket in (4, 5)}


def test_the_mid_of_a_bar_opens_with_the_carried_one():
    first = deep()
    out = book_bars(
        frame([at(0, first), at(7, deep(bid=101.0, ask=101.25)), at(8, deep(bid=99.0, ask=99.25))])
    )
    prices = [out[f"bar5s_mid_{name}_px"][1] for name in ("open", "high", "low", "close")]
    assert prices == [100.125, 101.125, 99.125, 99.125]


def test_a_bar_without_a_record_carries_the_state_and_has_no_flow():
    out = book_bars(frame([at(0, deep()), at(1, deep(size=7)), at(17, deep(size=7))]))
    empty = out.row(1, named=True)
    for name, value in empty.items():
        if name.endswith("_eob") and name.replace("_eob", "_twa") in empty:
            assert value == empty[name.replace("_eob", "_twa")], name
        if name.endswith("_sum"):
            assert value == 0, name
    assert (empty["bar5s_meta_is_empty_eob"], empty["bar5s_meta_stale_ns_eob"]) == (1, 9e9)


def test_a_book_that_rests_averages_to_itself_to_the_bit():
    bids, asks = deep(size=7)
    resting = (change(bids, 0, 3), asks)
    out = book_bars(frame([at(0, resting), *(at(k / 7, resting, "T") for k in range(1, 60))]))
    for name in (n for n in out.columns if n.endswith("_twa") and n.replace("_twa", "_eob") in out.columns):
        assert out[name].equals(out[name.replace("_twa", "_eob")]), name


def test_a_bar_of_an_unknown_book_has_no_flow_to_speak_of():
    out = book_bars(frame([at(0, deep(), "T", "B", 100.25, 3), at(6, deep())]))
    first = out.row(0, named=True)
    known = {name for name, value in first.items() if value is not None}
    assert known == {"bar_ts", "symbol"} | {n for n in first if "_meta_" in n and not n.endswith("_frac_twa")}


def mirrored(record):
    """Prices reflected, sides swapped."""
    middle = 2 * 19_200 * TICK
    swap = {"A": "B", "B": "A", "N": "N"}
    bids, asks = (
        tuple((middle - price, size, count) for price, size, count in ladder)
        for ladder in (record.asks, record.bids)
    )
    price = None if record.price is None else middle - record.price
    return replace(record, side=swap[record.side], price=price, bids=bids, asks=asks)


def swapped(name):
    for one, other in (("_bid", "_ask"), ("_buy", "_sell")):
        if one in name:
            return name.replace(one, other)
        if other in name:
            return name.replace(other, one)
    if "stoikov_i" in name:
        bucket = int(name.split("_i")[1][0])
        return name.replace(f"_i{bucket}", f"_i{9 - bucket}")
    return name


@settings(max_examples=40, deadline=None)
@given(streams())
def test_swapping_the_sides_negates_what_leans_to_one_of_them_and_keeps_the_rest(records):
    there, back = book_bars(frame(records)), book_bars(frame([mirrored(r) for r in records]))
    for name in (n for n in there.columns if not n.endswith("_px") and n not in ("bar_ts", "symbol")):
        leans = any(part in name for part in ("obi", "oci", "adj_pts", "ofi_m0"))
        for one, other in zip(there[name], back[swapped(name)], strict=True):
            assert (one is None) == (other is None), name
            assert one is None or one == pytest.approx((-1 if leans else 1) * other, rel=1e-9, abs=1e-9), name


@settings(max_examples=40, deadline=None)
@given(streams())
def test_bands_and_best_prices_never_hold_more_than_the_whole_side(records):
    out = book_bars(frame(records)).drop_nulls("bar5s_ofi_m00_sum")
    for what in ("add", "pull", "fill"):
        for side in SIDES:
            bands = [out[f"bar5s_flow_{what}_vol_{side}_{band}_sum"] for band in TICK_BANDS]
            *_, banded = accumulate(bands)
            assert (banded <= out[f"bar5s_flow_{what}_vol_{side}_sum"]).all()
            assert (out[f"bar5s_ofi_{side}_{what}_sum"] <= bands[0]).all()
    shares = [n for n in out.columns if "stoikov" in n]
    total = out.drop_nulls(shares[0]).select(pl.sum_horizontal(shares)).to_series()
    assert ((total - 1).abs() < 1e-12).all()
