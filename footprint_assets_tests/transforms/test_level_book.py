"""The book at a level: the slow reference, what is known when, symmetry, and what a person would check by hand."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from footprint_assets import calendar as cme
from footprint_assets import contracts
from footprint_assets.settings import LevelLiquiditySettings
from footprint_assets.transforms import level_book as transform
from footprint_assets.transforms.bar5s import bar5s
from footprint_assets.transforms.level_book import (
    INPUT_COLUMNS,
    SHOCK_COLUMNS,
    LevelBookRefused,
    heavy_fills,
    level_book,
    rows_asked,
)
from footprint_assets.transforms.price5s import price5s
from footprint_assets_tests.kernels.bar5s_records import TICK as TICK_NANOS
from footprint_assets_tests.kernels.bar5s_records import frame
from footprint_assets_tests.kernels.book_walk import MIDDLE as WALK_MIDDLE
from footprint_assets_tests.kernels.book_walk import walks
from footprint_assets_tests.transforms.level_book_frames import (
    BAR,
    MIDDLE,
    START,
    TICK,
    Book,
    asked,
    bar_grid,
    cut,
    mirrored,
    price5s_frame,
    random_book,
    scaled,
    shock_frame,
    tick_row,
)
from footprint_assets_tests.transforms.level_book_reference import BANDS, SIDES, Reference

APPROACH = "silver.future.market_by_price_10_level_approach"
SESSION = cme.session(dt.date(2023, 12, 26))
FAMILIES = tuple(
    f"bar5s_{family}_" for family in ("lvldepth", "lvl", "lvlliq", "lvlflow", "lvlwall", "lvlofi")
)
DEFAULTS = LevelLiquiditySettings()
TIGHT = LevelLiquiditySettings(
    zone_ticks=2, baseline_bars=5, ofi_ticks=3, strong_flow_contracts=20, weak_depth_contracts=300
)
SEEDS = st.integers(0, 2**32 - 1)


def at_level(book: Book, limits=DEFAULTS, height=50) -> pl.DataFrame:
    start_ns = book.bars["bar_ts"].to_physical().to_numpy()
    rows = rows_asked(*(np.array(column) for column in book.rows), book.bars.height, TICK)
    frames = book.price5s.select(INPUT_COLUMNS).iter_slices(height)
    shocks = heavy_fills(book.shocks.select(SHOCK_COLUMNS))
    measures = level_book(frames, start_ns, rows, shocks, TICK, limits)
    states = {name: pl.Int8 for name in measures if "_state_" in name}
    return pl.DataFrame(measures).fill_nan(None).cast(states)


def one(ticks, level=MIDDLE, direction=1, shocks=(), bars=1) -> dict:
    """The measures of the last of some bars, without the prefix of the table."""
    book = Book(
        bar_grid(bars), price5s_frame(ticks), shock_frame(shocks), asked((bars - 1, level, direction))
    )
    return {name.removeprefix("bar5s_"): value for name, value in at_level(book).to_dicts()[0].items()}


def ladder(bar=0, best_bid=MIDDLE - 1, size=10, depth=10, **flows):
    """Ten ticks a side of one size; flows as ``{"tick": {column: value}}``."""
    rows = []
    for tick in range(best_bid - depth + 1, best_bid + depth + 1):
        side = "bid" if tick <= best_bid else "ask"
        rows.append(tick_row(bar, tick, **{f"{side}_qty_eob": size}, **flows.get(str(tick), {})))
    return rows


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.sampled_from((DEFAULTS, TIGHT)))
def test_every_column_equals_the_slow_reference(seed, limits):
    book = random_book(seed)
    slow = Reference(book.bars, book.price5s, book.shocks, TICK, limits)
    got = at_level(book, limits)
    expected = pl.DataFrame([slow.row(*row) for row in book.rows.rows()], infer_schema_length=None)
    assert sorted(got.columns) == sorted(expected.columns)
    assert_frame_equal(got, expected.select(got.columns).cast(got.schema), rel_tol=1e-12, abs_tol=1e-9)


@settings(max_examples=10, deadline=None)
@given(SEEDS, st.integers(1, 400), st.integers(1, 2000), st.sampled_from((DEFAULTS, TIGHT)))
def test_a_row_does_not_depend_on_where_the_book_is_cut(seed, height, stretch, limits):
    book = random_book(seed)
    whole = at_level(book, limits, height=10**6)
    with patch.object(transform, "STRETCH_ROWS", stretch):
        assert_frame_equal(at_level(book, limits, height), whole, check_exact=True)


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.integers(1, 44))
def test_a_row_knows_nothing_after_the_end_of_its_bar(seed, bars):
    book = random_book(seed, rows=30)
    whole = at_level(book).filter(book.rows["bar_index"] < bars)
    assert_frame_equal(at_level(cut(book, bars)), whole, check_exact=True)


@settings(max_examples=5, deadline=None)
@given(SEEDS)
def test_a_row_does_not_depend_on_the_rows_beside_it(seed):
    book = random_book(seed, rows=7)
    alone = [at_level(replace(book, rows=book.rows.slice(k, 1))) for k in range(7)]
    assert_frame_equal(pl.concat(alone), at_level(book), check_exact=True)


NEGATED = ("cdi", "_imbal_eob", "_imbal_p", "above_below", "centroid", "lvlofi")
TURNS_ROUND = ("lvldepth_below", "lvldepth_above", "lvlofi_above", "lvlofi_below")


def reflected(name):
    """(column of the mirrored book that says the same, its sign)."""
    swaps = {"below": "above", "above": "below", "bid": "ask", "ask": "bid"}
    other = name
    if (
        name.startswith(tuple(f"bar5s_{start}" for start in TURNS_ROUND))
        or "_bid_" in name
        or "_ask_" in name
    ):
        other = "_".join(swaps.get(word, word) for word in name.split("_"))
    elif name.endswith(("_bid", "_ask")):
        other = name[:-3] + swaps[name[-3:]]
    return other, -1 if any(part in name for part in NEGATED) else 1


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_a_mirrored_book_says_the_same_of_the_mirrored_level(seed):
    book = random_book(seed, rows=20)
    got, other = at_level(book), at_level(mirrored(book))
    back = {}
    for name in got.columns:
        source, sign = reflected(name)
        back[name] = other[source] * sign
    assert_frame_equal(pl.DataFrame(back).cast(got.schema), got, check_exact=True)


SIZES = (
    "_qty_",
    "rel_",
    "_vol_",
    "d1_w",
    "d2_w",
    "lvlofi",
    "toward_net",
    "away_net",
    "toward_away",
    "absorption",
)
SCALE_FREE = (
    "frac", "cdi", "imbal_", "pull_share", "vs_baseline", "latency", "iceberg", "intensity", "centroid", "dispersion",
    "is_visible", "index", "count", "cnt",
)  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_sizes_scale_with_the_book_and_shares_do_not(seed):
    book = random_book(seed)
    small, large = at_level(book), at_level(scaled(book, 4))
    sizes = [n for n in small.columns if any(part in n for part in SIZES) and "frac" not in n]
    shares = [n for n in small.columns if n not in sizes and any(part in n for part in SCALE_FREE)]
    assert len(sizes) > 80
    assert len(shares) > 60
    assert_frame_equal(large.select(sizes), small.select(pl.col(sizes) * 4), check_exact=True)
    assert_frame_equal(large.select(shares), small.select(shares), rel_tol=1e-12)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_the_bands_add_up_to_the_flow_of_the_book_within_ten_points(seed):
    book = random_book(seed)
    got = at_level(book)
    for k, (bar, level, _) in enumerate(book.rows.rows()):
        reach = book.price5s.filter(
            pl.col("bar_ts").to_physical() == START + bar * BAR, (pl.col("price") - level).abs() <= 10
        )
        for side in SIDES:
            added = sum(got[f"bar5s_lvlflow_add_vol_{side}_{band}_sum"][k] or 0 for band in BANDS)
            removed = sum(got[f"bar5s_lvlflow_rem_vol_{side}_{band}_sum"][k] or 0 for band in BANDS)
            assert added == reach[f"{side}_add_vol"].sum()
            assert removed == reach[f"{side}_pull_vol"].sum() + reach[f"{side}_fill_vol"].sum()


def test_size_at_the_level_is_neither_below_nor_above_it():
    got = one(ladder(size=10), level=MIDDLE)
    parts = ("lvldepth_below_total_qty_eob", "lvl_total_size_at_level_eob", "lvldepth_above_total_qty_eob")
    assert [got[name] for name in parts] == [100, 10, 90]
    assert got["lvldepth_imbal_eob"] == pytest.approx(10 / 190)
    assert (got["lvldepth_below_p0_1_qty_twa"], got["lvldepth_below_p0_1_frac_twa"]) == (40, 0.2)


def test_a_level_out_of_sight_is_null_and_never_zero():
    got = one(ladder(), level=MIDDLE + 200)
    assert got["lvl_level_is_visible"] == 0
    known = {"lvl_level_is_visible", "lvldepth_below_total_qty_eob"}
    known |= {f"lvlofi_below_w{w}" for w in (6, 12, 24, 60)}
    assert {name for name, value in got.items() if value is not None} == known


def test_a_band_cut_by_the_visible_range_counts_what_is_in_sight():
    got = one(ladder(size=10), level=MIDDLE + 8)
    assert got["lvldepth_above_p0_1_qty_eob"] == 10  # the ask ladder ends one tick above the level
    assert got["lvldepth_above_p1_2_qty_eob"] is None
    assert got["lvldepth_cdi_p0_1_eob"] == pytest.approx((40 - 10) / 50)
    assert got["lvldepth_cdi_p1_2_eob"] is None


def test_ticks_beyond_the_level_are_counted_in_the_direction_of_the_approach():
    rows = [tick_row(0, t, ask_qty_eob=t - MIDDLE + 5) for t in range(MIDDLE - 4, MIDDLE + 5)]
    up, down = one(rows, direction=1), one(rows, direction=-1)
    names = [f"lvldepth_rel_{k}_eob" for k in ("m4", "m3", "m2", "m1", "z0", "p1", "p2", "p3", "p4")]
    assert [up[n] for n in names] == list(range(1, 10))
    assert [down[n] for n in names] == list(range(9, 0, -1))


def test_the_queue_ahead_is_what_the_defenders_show_before_the_level():
    from_below = one(ladder(size=10), level=MIDDLE + 3)
    assert (from_below["lvl_queue_ahead_qty_eob"], from_below["lvl_level_book_index_ask"]) == (30, 3)
    assert from_below["lvl_level_book_index_bid"] == -1
    from_above = one(ladder(size=10), level=MIDDLE - 3, direction=-1)
    assert (from_above["lvl_queue_ahead_qty_eob"], from_above["lvl_level_book_index_bid"]) == (20, 2)
    behind = one(ladder(size=10), level=MIDDLE - 3, direction=1)
    assert behind["lvl_queue_ahead_qty_eob"] == 0


def test_size_at_the_level_changes_by_the_bar():
    rows = [tick_row(bar, MIDDLE, ask_qty_eob=bar**2) for bar in range(26)]
    got = one(rows, bars=26)
    assert got["lvl_size_at_level_d1_w3"] == (25**2 - 22**2) / 3
    assert got["lvl_size_at_level_d1_w12"] == (25**2 - 13**2) / 12
    assert got["lvl_size_at_level_d2_w12"] == 2.0  # of a square
    assert one(rows[:24], bars=24)["lvl_size_at_level_d2_w12"] is None


def test_a_wall_stands_out_of_its_own_side():
    rows = ladder(size=10)
    wall = MIDDLE + 2
    rows = [tick_row(0, wall, ask_qty_eob=500) if row["price_tick"] == wall else row for row in rows]
    here, below = one(rows, level=wall), one(rows, level=wall - 5)
    assert (here["lvl_wall_at_level"], below["lvl_wall_at_level"]) == (1, 0)
    assert below["lvlwall_ask_nearest_strong_dist_pts_eob"] == 1.25
    assert below["lvlwall_bid_nearest_strong_dist_pts_eob"] is None


def test_the_zone_hears_only_the_side_that_defends_the_level():
    flows = {str(MIDDLE + 2): {"ask_add_vol": 30, "ask_pull_vol": 10, "ask_fill_vol": 5, "bid_add_vol": 99}}
    got = one(ladder(**flows), level=MIDDLE + 1)
    names = (
        "added_qty",
        "pulled_qty",
        "filled_qty",
        "net_qty",
        "churn_qty",
        "replenishment_ratio",
        "pull_share",
    )
    assert [got[f"lvlliq_{name}_w3"] for name in names] == [30, 10, 5, 15, 45, 2.0, pytest.approx(2 / 3)]
    other = one(ladder(**flows), level=MIDDLE + 1, direction=-1)
    assert [other[f"lvlliq_{name}_w3"] for name in names[:3]] == [99, 0, 0]


def test_the_zone_reaches_eight_ticks_and_three_bars():
    edge, beyond = str(MIDDLE + 8), str(MIDDLE + 9)
    rows = []
    for bar in range(4):
        flows = {edge: {"ask_add_vol": 10**bar}, beyond: {"ask_add_vol": 5000}}
        rows += ladder(bar, **flows)
    got = one(rows, bars=4)
    assert (got["lvlliq_added_qty_w3"], got["lvlliq_added_qty_w12"]) == (1110, 1111)


def test_the_usual_size_is_looked_up_at_the_same_distance_from_the_best_price():
    rows = []
    for bar in range(3):  # the book climbs; the size 3 ticks behind the best ask is always 70
        best_bid = MIDDLE - 1 + 20 * bar
        flows = {str(best_bid + 4): {"ask_qty_eob": 70}}
        rows += [row | flows.get(str(row["price_tick"]), {}) for row in ladder(bar, best_bid)]
    got = one(rows, level=MIDDLE + 40 + 3, bars=3)
    assert (got["lvlliq_depth_in_zone_qty_w3"], got["lvlliq_depth_vs_baseline_w36"]) == (160, 1.0)
    assert one(ladder())["lvlliq_depth_vs_baseline_w3"] is None


def test_a_recovery_counts_once_it_has_come():
    end = START + BAR
    fills = [
        (START, "ASK", MIDDLE, START + 200_000_000),
        (START + 1, "ASK", MIDDLE + 8, START + 1 + 400_000_000),
        (START + 2, "ASK", MIDDLE, end),  # a record at the end of the bar belongs to the next one
        (START + 3, "ASK", MIDDLE + 9, START + 4),
        (START + 4, "BID", MIDDLE, START + 5),
    ]
    assert one(ladder(), shocks=fills)["lvlliq_refill_latency_ms_w3"] == 300
    assert one(ladder(), shocks=fills[2:])["lvlliq_refill_latency_ms_w3"] is None


def test_more_traded_than_ever_shown_is_an_iceberg():
    flows = {str(MIDDLE): {"ask_fill_vol": 45}, str(MIDDLE + 1): {"ask_fill_vol": 500}}
    assert one(ladder(size=10, **flows))["lvlliq_iceberg_ratio_w3"] == 4.5


def test_absorption_is_what_was_filled_for_every_tick_gained():
    filled = {str(MIDDLE): {"ask_fill_vol": 60}}
    still = ladder(0) + ladder(1, **filled)
    moved = ladder(0) + ladder(1, best_bid=MIDDLE + 2, **filled)
    assert one(still, bars=2)["lvlliq_absorption_ratio_w3"] == 60
    assert one(moved, bars=2)["lvlliq_absorption_ratio_w3"] == 20


STATES = [
    ("VACUUM", 1, {"ask_add_vol": 10, "ask_pull_vol": 150}),
    ("WALL", 2, {"ask_add_vol": 400, "ask_pull_vol": 100}),
    ("CONSUMED", 3, {"ask_add_vol": 100, "ask_pull_vol": 50, "ask_fill_vol": 160}),
    ("ABSORPTION", 4, {"ask_add_vol": 60, "ask_fill_vol": 50}),
    ("WEAK", 5, {"ask_pull_vol": 5}),
    ("NEUTRAL", 0, {"ask_pull_vol": 60, "ask_fill_vol": 10}),
    ("ABSORPTION of balanced churn", 4, {"ask_add_vol": 60, "ask_pull_vol": 60}),
]


@pytest.mark.parametrize(("name", "code", "flows"), STATES, ids=[name for name, _, _ in STATES])
def test_the_zone_is_called_by_the_first_state_that_holds(name, code, flows):
    size = 1 if name == "WEAK" else 10
    assert one(ladder(size=size, **{str(MIDDLE): flows}))["lvlliq_state_w3"] == code


def test_a_threshold_is_not_beyond_itself():
    drained = {str(MIDDLE): {"ask_pull_vol": 100}}  # net is -100, and a vacuum lies beyond it
    assert one(ladder(**drained))["lvlliq_state_w3"] == 0
    assert one(ladder(**{str(MIDDLE): {"ask_pull_vol": 101}}))["lvlliq_state_w3"] == 1


def test_flow_gathers_around_its_centre():
    flows = {str(MIDDLE + 2): {"ask_add_vol": 30}, str(MIDDLE - 6): {"bid_pull_vol": 10}}
    got = one(ladder(**flows))
    assert got["lvlflow_centroid_pts"] == 0.0
    assert got["lvlflow_dispersion_pts"] == pytest.approx(0.25 * (30 * 4 + 10 * 36) ** 0.5 / 40**0.5)
    assert (got["lvlflow_add_above_below_imbal"], got["lvlflow_pull_above_below_imbal"]) == (1, -1)
    assert (got["lvlflow_add_intensity_p0_1"], got["lvlflow_pull_intensity_p0_1"]) == (1, 0)
    assert (got["lvlflow_near_far_add_ratio"], got["lvlflow_near_far_pull_ratio"]) == (30, 0)


def test_a_price_seen_for_no_time_was_seen_if_something_happened_there():
    quiet = [*ladder(), tick_row(0, MIDDLE + 10, visible_ns=0, is_visible_eob=False)]
    busy = [*quiet[:-1], quiet[-1] | {"ask_add_vol": 7, "ask_add_cnt": 1}]
    name, level = "lvlflow_add_vol_ask_p0_1_sum", MIDDLE + 14
    assert (one(quiet, level)[name], one(busy, level)[name]) == (None, 7)


@pytest.mark.parametrize(
    ("change", "fact"),
    [
        (lambda b: replace(b, rows=asked((1, MIDDLE, 1))), "a bar that does not exist"),
        (lambda b: replace(b, rows=b.rows.with_columns(pl.col("level_price") + 0.1)), "tick grid"),
        (lambda b: replace(b, price5s=price5s_frame(ladder(1))), "other bars"),
        (lambda b: replace(b, price5s=b.price5s.filter(pl.col("price_tick") != MIDDLE)), "hole"),
    ],
)
def test_tables_that_do_not_belong_together_are_refused(change, fact):
    book = Book(bar_grid(1), price5s_frame(ladder()), shock_frame(()), asked((0, MIDDLE, 1)))
    with pytest.raises(LevelBookRefused, match=fact):
        at_level(change(book))


def test_nothing_asked_gives_no_rows_and_an_unknown_book_only_nulls():
    book = Book(bar_grid(2), price5s_frame([]), shock_frame(()), asked((1, MIDDLE, 1)))
    got = at_level(book)
    assert [name for name in got.columns if got[name].null_count() == 0] == ["bar5s_lvl_level_is_visible"]
    assert_frame_equal(at_level(replace(book, rows=asked())), got.clear())


def test_columns_are_those_of_the_contract_in_its_order():
    schema = contracts.load(APPROACH).polars_schema
    ours = [name for name in schema.names() if name.startswith(FAMILIES)]
    got = at_level(random_book(1))
    assert got.schema == pl.Schema({name: schema[name] for name in ours})
    assert len(ours) == 224


@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_values_lie_within_the_ranges_of_the_contract(seed):
    got = at_level(random_book(seed, rows=20))
    for column in contracts.load(APPROACH).fields:
        if column.name in got.columns:
            known = got[column.name].drop_nulls()
            assert known.is_finite().all(), column.name
            assert column.nullable or len(known) == got.height, column.name
            if len(known):
                assert column.checks.ge is None or known.min() >= column.checks.ge, column.name
                assert column.checks.le is None or known.max() <= column.checks.le, column.name


@settings(max_examples=25, deadline=None)
@given(walks(120), st.integers(-12, 12))
def test_around_any_level_lies_the_depth_and_stand_the_walls_of_the_five_second_bars(records, away):
    clean = frame(records)
    bars = pl.concat(bar5s([clean], SESSION, TICK_NANOS))
    rows = asked(*((k, WALK_MIDDLE + away, 1) for k in range(bars.height)))
    by_price = pl.concat([price5s_frame([]), *price5s([clean], SESSION, TICK_NANOS)])
    got = at_level(Book(bars, by_price, shock_frame(()), rows))
    parts = ("lvldepth_below_total_qty_eob", "lvl_total_size_at_level_eob", "lvldepth_above_total_qty_eob")
    whole = got.select(pl.sum_horizontal(f"bar5s_{part}" for part in parts)).to_series()
    depth = bars.select(pl.sum_horizontal(r"^bar5s_depth_(bid|ask)10_qty_eob$")).to_series()
    assert whole.to_list() == depth.to_list()
    for side in SIDES:
        walls, market = f"bar5s_lvlwall_{side}_nearest_strong_dist_pts_eob", f"bar5s_wall_{side}_maxz_eob"
        strong = (bars[market] >= 2).fill_null(False)
        assert got[walls].is_not_null().to_list() == strong.to_list()
