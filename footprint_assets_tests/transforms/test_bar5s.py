"""Five-second bars as a table: every column against the slow reference, causality, symmetry, real data."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.transforms.bar5s import INPUT_COLUMNS, TABLE, BookRowsRefused, bar5s
from footprint_assets_tests.kernels.bar5s_records import F_LAST, F_SNAPSHOT, START, TICK, frame, streams
from footprint_assets_tests.kernels.bar5s_reference import BANDS, BAR, POINT, Record, reference_bars
from footprint_assets_tests.transforms.real_book import clean_hour

SESSION = cme.session(dt.date(2023, 12, 26))
SIDES = ("bid", "ask")


def bars(rows: pl.DataFrame, cuts=()) -> pl.DataFrame:
    edges = [0, *sorted(cuts), rows.height]
    parts = [rows.slice(a, b - a) for a, b in pairwise(edges)]
    return pl.concat(list(bar5s(parts, SESSION, TICK)))


def book(bid=19_200, ask=19_201, levels=10, size=10, step=1):
    """A ladder a person can add up: every level alike."""
    bids = tuple(((bid - step * k) * TICK, size, 2) for k in range(levels))
    asks = tuple(((ask + step * k) * TICK, size, 2) for k in range(levels))
    return bids, asks


def at(second, action="A", side="B", ladders=None, tick=19_200, size=1, flags=F_LAST):
    """A record some seconds after the start of a bar."""
    ts = START // BAR * BAR + round(second * POINT)
    return Record(ts, action, side, flags, tick * TICK, size, *(ladders or book()))


def change(ladder, level, size):
    """The ladder with another size at a level."""
    return (*ladder[:level], (ladder[level][0], size, ladder[level][2]), *ladder[level + 1 :])


@settings(max_examples=120, deadline=None)
@given(streams())
def test_every_column_equals_the_slow_reference(records):
    got = bars(frame(records)).drop("symbol").with_columns(pl.col("bar_ts").to_physical())
    expected = reference_bars(records)
    assert got.height == len(expected)
    assert {*got.columns} == {*expected[0]}
    for row, wanted in zip(got.iter_rows(named=True), expected, strict=True):
        for name, value in wanted.items():
            if value is None or row[name] is None:
                assert row[name] is value, name
            else:
                assert row[name] == pytest.approx(float(value), rel=1e-12, abs=1e-12), name


@settings(max_examples=60, deadline=None)
@given(streams(), st.data())
def test_any_chunking_of_a_day_gives_the_same_bits(records, data):
    rows = frame(records)
    cuts = data.draw(st.lists(st.integers(0, len(records)), max_size=6))
    assert_frame_equal(bars(rows, cuts), bars(rows), check_exact=True)


@settings(max_examples=60, deadline=None)
@given(streams(), st.integers(0, 20))
def test_bars_before_a_cut_do_not_know_what_comes_after(records, nth):
    rows = frame(records)
    whole = bars(rows)
    cut = whole["bar_ts"][min(nth, whole.height - 1)] + pl.select(pl.duration(seconds=5)).item()
    before = bars(rows.filter(pl.col("ts_event") < cut))
    assert_frame_equal(before, whole.head(before.height), check_exact=True)


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
    for one, other in (("bid", "ask"), ("below", "above"), ("aggbuy", "aggsell")):
        if f"_{one}" in name:
            return name.replace(f"_{one}", f"_{other}")
        if f"_{other}" in name:
            return name.replace(f"_{other}", f"_{one}")
    return name


@settings(max_examples=40, deadline=None)
@given(streams())
def test_swapping_the_sides_negates_imbalances_and_keeps_the_rest(records):
    there, back = bars(frame(records)), bars(frame([mirrored(r) for r in records]))
    absolute = [n for n in there.columns if "_px_" in n or "price_" in n] + ["symbol", "bar_ts"]
    for name in there.drop(absolute).columns:
        sign = -1 if "obi" in name or "cdi" in name or name == "bar5s_trade_signed_vol_sum" else 1
        for one, other in zip(there[name], back[swapped(name)], strict=True):
            assert (one is None) == (other is None), name
            assert one is None or one == pytest.approx(sign * other, rel=1e-9, abs=1e-9), name


@settings(max_examples=20, deadline=None)
@given(streams())
def test_the_invariants_of_the_table_hold(records):
    out = bars(frame(records))
    contracts.Validator(contracts.load(TABLE)).validate(out)
    assert out["bar5s_meta_msg_cnt_sum"].sum() == len(records)
    assert (out["bar_ts"].to_physical() % BAR == 0).all()
    assert (out["bar_ts"].to_physical().diff().drop_nulls() == BAR).all()
    for row in out.iter_rows(named=True):
        for side, where in (("bid", "below"), ("ask", "above")):
            shares = [row[f"bar5s_depth_{where}_{band}_frac_eob"] for band in BANDS]
            far = row[f"bar5s_shape_{side}_px_l09_eob"]
            reference = row["bar5s_microprice_eob"]
            if None not in shares and (far is None or abs(far - reference) <= 10):
                assert sum(shares) <= 1 + 1e-12
            for band in BANDS:
                net, add, rem = (row[f"bar5s_flow_{w}_vol_{side}_{band}_sum"] for w in ("net", "add", "rem"))
                assert (net is None) == (add is None) == (rem is None)
                assert net is None or net == add - rem
        if row["bar5s_microprice_eob"] is not None:
            best = sorted(row[f"bar5s_shape_{side}_px_l00_eob"] for side in SIDES)
            assert best[0] <= row["bar5s_microprice_eob"] <= best[1]


@settings(max_examples=60, deadline=None)
@given(streams())
def test_every_record_counts_as_what_it_is(records):
    out = bars(frame(records))
    kinds = {"A": "add", "C": "cancel", "M": "modify", "R": "clear", "T": "trade"}
    for action, name in kinds.items():
        assert out[f"bar5s_meta_{name}_cnt_sum"].sum() == sum(r.action == action for r in records)
    if all(r.action in kinds for r in records):
        counted = pl.sum_horizontal(f"bar5s_meta_{name}_cnt_sum" for name in kinds.values())
        assert out.select((counted == pl.col("bar5s_meta_msg_cnt_sum")).all()).item()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 2499), st.integers(0, 4), st.integers(0, 40)), max_size=12))
def test_the_average_of_a_bar_is_the_mean_of_its_halves(changes):
    """A bar stretched to two bars: each half takes the time of a whole one."""

    def average(factor):
        ladders, records = book(), [at(0)]
        for millis, level, size in sorted(changes):
            ladders = (change(ladders[0], level, size + 1), ladders[1])
            records.append(at(factor * 2 * millis / 1000, ladders=ladders))
        return (
            bars(frame(records)).head(factor)
            if factor == 1
            else bars(frame([*records, at(9.999, ladders=ladders)]))
        )

    (whole,), halves = average(1).to_dicts(), average(2)
    assert halves.height == 2
    for name in ("bar5s_state_obi0_twa", "bar5s_state_obi10_twa", "bar5s_depth_bid10_qty_twa"):
        assert halves[name].mean() == pytest.approx(whole[name], rel=1e-12)


def test_the_columns_are_the_contract_and_no_feature_is_a_price():
    contract = contracts.load(TABLE)
    out = bars(frame([at(0)]))
    assert out.schema == contract.polars_schema
    assert len(out.columns) == 257
    assert len(contract.columns_of_kind("feature")) == 233
    assert len(contract.columns_of_kind("context")) == 22
    prices = {n for n in out.columns if "_px_" in n or "microprice" in n or "midprice" in n}
    assert prices == set(contract.columns_of_kind("context"))


def test_an_average_includes_the_first_and_the_last_interval_of_the_bar():
    wide, narrow = book(ask=19_205), book()
    out = bars(frame([at(-1, ladders=wide), at(1, ladders=narrow), at(4, ladders=wide), at(5, ladders=wide)]))
    assert out["bar5s_state_spread_pts_twa"][1] == pytest.approx((1.25 * 1 + 0.25 * 3 + 1.25 * 1) / 5)
    assert out["bar5s_state_spread_pts_eob"][1] == 1.25


def test_an_event_on_the_boundary_belongs_to_the_new_bar():
    out = bars(frame([at(0), at(5, ladders=book(ask=19_205))]))
    assert out["bar5s_meta_msg_cnt_sum"].to_list() == [1, 1]
    assert out["bar5s_state_spread_pts_eob"].to_list() == [0.25, 1.25]


def test_a_bar_without_a_record_carries_the_state_and_has_no_flow():
    out = bars(frame([at(0), at(1, ladders=book(size=7)), at(17, ladders=book(size=7))]))
    assert out.height == 4
    empty = out.row(1, named=True)
    for name, value in empty.items():
        if name.endswith("_twa"):
            assert value == empty[name.replace("_twa", "_eob")], name
        if name.endswith("_sum"):
            assert not value, name
    assert empty["bar5s_depth_bid10_qty_eob"] == 70


def test_a_book_that_rests_averages_to_itself_to_the_bit():
    bids, asks = book(size=7)
    records = [at(k / 7, "T", ladders=(change(bids, 0, 3), asks)) for k in range(1, 60)]
    out = bars(frame([at(0, ladders=(change(bids, 0, 3), asks)), *records]))
    averages = [name for name in out.columns if name.endswith("_twa")]
    for name in averages:
        assert out[name].to_list() == out[name.replace("_twa", "_eob")].to_list(), name


def test_before_the_first_state_nothing_of_the_book_is_known():
    out = bars(frame([at(0, "T", "B", size=3), at(6)]))
    first = out.row(0, named=True)
    known = {name for name, value in first.items() if value is not None}
    assert known == {"bar_ts", "symbol"} | {n for n in first if n[:11] in ("bar5s_meta_", "bar5s_trade")}
    assert first["bar5s_trade_vol_sum"] == 3


def test_an_average_runs_over_the_time_the_state_was_known():
    out = bars(frame([at(0, "R"), at(4, ladders=book(size=7))]))
    assert out["bar5s_depth_bid10_qty_twa"].to_list() == [70]


def test_bands_beyond_ten_levels_of_es_are_null_and_not_zero():
    row = bars(frame([at(0), at(1)])).row(0, named=True)
    for side, where in (("bid", "below"), ("ask", "above")):
        for band in ("p3_5", "p5_10"):
            assert row[f"bar5s_depth_{where}_{band}_qty_twa"] is None
            assert row[f"bar5s_flow_add_vol_{side}_{band}_sum"] is None
            assert row[f"bar5s_flow_cnt_add_{side}_{band}_sum"] is None
            assert row[f"bar5s_flow_net_volnorm_{side}_{band}_sum"] is None
        assert sum(row[f"bar5s_depth_{where}_{band}_frac_eob"] for band in ("p0_1", "p1_2", "p2_3")) == 1
    # microprice 4800.125: levels 0.125, 0.375, ... 2.375 points away
    assert [row[f"bar5s_depth_below_{band}_qty_eob"] for band in ("p0_1", "p1_2", "p2_3")] == [40, 40, 20]


def test_an_absent_level_has_no_price_and_no_size():
    row = bars(frame([at(0, ladders=book(levels=3))])).row(0, named=True)
    assert row["bar5s_shape_bid_px_l03_eob"] is None
    assert row["bar5s_shape_bid_sz_l03_eob"] == row["bar5s_shape_bid_ct_l03_eob"] == 0
    assert row["bar5s_depth_below_p5_10_qty_eob"] == 0, "a ladder of three levels is all there is"


def test_flow_is_banded_by_the_microprice_before_the_event():
    bids, asks = book()
    records = [
        at(0),
        at(1, "A", "B", (change(bids, 5, 25), asks), tick=19_195, size=15),
        at(2, "C", "B", (change(bids, 5, 21), asks), tick=19_195, size=4),
    ]
    row = bars(frame(records)).row(0, named=True)
    assert row["bar5s_flow_add_vol_bid_p1_2_sum"] == 15
    assert row["bar5s_flow_rem_vol_bid_p1_2_sum"] == 4
    assert row["bar5s_flow_net_vol_bid_p1_2_sum"] == 11
    assert row["bar5s_flow_cnt_add_bid_p1_2_sum"] == row["bar5s_flow_cnt_cancel_bid_p1_2_sum"] == 1
    depth = (40 * 1 + 55 * 1 + 51 * 3) / 5
    assert row["bar5s_flow_net_volnorm_bid_p1_2_sum"] == pytest.approx(11 / depth)


def test_a_snapshot_restates_the_book_without_flow():
    restated = at(1, ladders=book(size=30), flags=F_LAST | F_SNAPSHOT)
    row = bars(frame([at(0), restated])).row(0, named=True)
    assert row["bar5s_depth_bid10_qty_eob"] == 300
    assert sum(row[f"bar5s_flow_{w}_vol_bid_p0_1_sum"] for w in ("add", "rem")) == 0
    assert row["bar5s_flow_cnt_add_bid_p0_1_sum"] == 0
    assert row["bar5s_meta_add_cnt_sum"] == 2


def test_a_side_n_trade_counts_in_volume_but_in_neither_aggressor():
    records = [
        at(0),
        *(at(1, "T", side, size=size, flags=0) for side, size in (("B", 5), ("A", 3), ("N", 2))),
    ]
    row = bars(frame(records)).row(0, named=True)
    names = ("cnt", "vol", "aggbuy_vol", "aggsell_vol", "signed_vol")
    assert [row[f"bar5s_trade_{name}_sum"] for name in names] == [3, 10, 5, 3, 2]


def test_the_microprice_leans_to_the_thin_side():
    """Published golden case: bids 100.00x10, 99.75x20, 99.50x30; asks 100.25x30, 100.50x25, 100.75x20."""
    bids = tuple((tick * TICK, size, 1) for tick, size in ((400, 10), (399, 20), (398, 30)))
    asks = tuple((tick * TICK, size, 1) for tick, size in ((401, 30), (402, 25), (403, 20)))
    row = bars(frame([at(0, ladders=(bids, asks))])).row(0, named=True)
    assert row["bar5s_microprice_eob"] == 100.0625
    assert row["bar5s_state_obi0_eob"] == -0.5
    assert row["bar5s_state_obi10_eob"] == pytest.approx(-1 / 9)


def test_a_wall_is_the_nearest_level_that_stands_out():
    bids, asks = book()
    row = bars(frame([at(0, ladders=(change(bids, 4, 500), asks))])).row(0, named=True)
    assert row["bar5s_wall_bid_maxz_eob"] == pytest.approx(3.0)
    assert row["bar5s_wall_bid_maxz_levelidx_eob"] == row["bar5s_wall_bid_nearest_strong_levelidx_eob"] == 4
    assert row["bar5s_wall_bid_nearest_strong_dist_pts_eob"] == pytest.approx(1.125)
    assert row["bar5s_wall_ask_maxz_eob"] == row["bar5s_wall_ask_maxz_levelidx_eob"] == 0
    assert row["bar5s_wall_ask_nearest_strong_levelidx_eob"] == -1
    assert row["bar5s_wall_ask_nearest_strong_dist_pts_eob"] is None


def test_a_crossed_book_keeps_its_negative_spread():
    row = bars(frame([at(0, ladders=book(bid=19_203, ask=19_201))])).row(0, named=True)
    assert row["bar5s_state_spread_pts_eob"] == -0.5


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([at(2), at(1)], "event order"),
        ([at(-6 * 86_400), at(0)], "outside the trade date"),
        ([replace(at(0), bids=((19_200 * TICK + 1, 1, 1),))], "off the tick grid"),
    ],
)
def test_rows_that_cannot_be_cut_into_bars_are_refused(rows, said):
    with pytest.raises(BookRowsRefused, match=said):
        bars(frame(rows))


def test_rows_of_two_contracts_are_refused():
    rows = frame([at(0), at(1)]).with_columns(symbol=pl.Series(["ESH4", "ESM4"]))
    with pytest.raises(BookRowsRefused, match="several contracts"):
        bars(rows)


def test_no_rows_are_no_bars():
    assert list(bar5s([], SESSION, TICK)) == []
    assert list(bar5s([frame([at(0)]).clear()], SESSION, TICK)) == []


@pytest.mark.realdata
def test_the_first_globex_hour_of_26_december_2023_is_conserved(real_data, tmp_path):
    """Totals of the vendor's file, and of the clean book's own split of every size change."""
    rows = clean_hour(real_data, tmp_path)
    out = bars(rows.select(INPUT_COLUMNS), cuts=range(4096, rows.height, 4096))
    contracts.Validator(contracts.load(TABLE)).validate(out)
    assert_frame_equal(out, bars(rows), check_exact=True)

    total = {name: out[name].sum() for name in out.columns if name.endswith("_sum")}
    assert total["bar5s_meta_msg_cnt_sum"] == rows.height == 40_087
    names = ("cnt", "vol", "aggbuy_vol", "aggsell_vol", "signed_vol")
    assert [total[f"bar5s_trade_{name}_sum"] for name in names] == [2973, 9892, 5322, 4526, 796]
    added, removed = (
        sum(total[f"bar5s_flow_{what}_vol_{side}_{band}_sum"] for side in SIDES for band in BANDS)
        for what in ("add", "rem")
    )
    assert added == rows["added_qty"].sum()
    assert removed == rows["filled_qty"].sum() + rows["pulled_qty"].sum()
    last = out.row(-1, named=True)
    assert last["bar5s_shape_bid_px_l00_eob"] * POINT == rows["bid_px_00"][-1]
    assert last["bar5s_shape_ask_sz_l09_eob"] == rows["ask_sz_09"][-1]
