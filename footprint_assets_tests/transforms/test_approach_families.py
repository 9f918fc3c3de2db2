"""Every family of the approach table against loops over plain lists, and in a mirror."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from footprint_assets.settings import OrderFlowSettings
from footprint_assets.transforms.bar5s_ext import prior_fits
from footprint_assets_tests.transforms.approach_markets import history, inputs, made, table, with_episodes
from footprint_assets_tests.transforms.approach_reference import Row
from footprint_assets_tests.transforms.level_markets import TICK

FAMILIES = {
    "distances": "bar5s_approach_",
    "speeds": "bar5s_approach_",
    "derivatives": "bar5s_deriv_",
    "cumulated": "bar5s_cumul_",
    "setup": "bar5s_setup_",
    "tape": "bar5s_lvltrade_",
    "confluence": "bar5s_conf_",
    "profile": "bar5s_prof_",
    "touch": "bar5s_touch_",
}
LARGE = prior_fits(history(), OrderFlowSettings()).large_order


def sampled(seed: int, level: str, count: int = 12):
    """Random rows of a table, and always the trigger rows."""
    rows = table(seed, level).with_columns(pl.col("bar_ts").to_physical())
    chosen = np.random.default_rng(seed).choice(rows.height, count, replace=False)
    wanted = rows.with_row_index("nth").filter(pl.col("nth").is_in(chosen) | pl.col("is_trigger_bar"))
    for row in wanted.iter_rows(named=True):
        half = rows.filter(pl.col("episode_id") == row["episode_id"]).to_dicts()
        nth = inputs(seed, level).episodes["episode_id"].to_list().index(row["episode_id"])
        yield row, Row(inputs(seed, level), nth, row["bar_ts"], half, LARGE)


def agree(found: float | None, expected: float | None) -> bool:
    if found is None or expected is None:
        return found is expected
    return found == pytest.approx(expected, rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("level", ["PM_HIGH", "SMA_90"])
@pytest.mark.parametrize("seed", range(3))
def test_rows_say_what_plain_loops_find(seed, level):
    for row, slow in sampled(seed, level):
        for family, prefix in FAMILIES.items():
            expected = {f"{prefix}{name}": value for name, value in getattr(slow, family)().items()}
            wrong = {
                name: (row[name], value) for name, value in expected.items() if not agree(row[name], value)
            }
            assert not wrong, (row["episode_id"], row["bars_to_trigger"])


def test_every_computed_column_is_in_a_reference():
    row, slow = next(iter(sampled(0, "PM_HIGH", 1)))
    named = {f"{prefix}{name}" for family, prefix in FAMILIES.items() for name in getattr(slow, family)()}
    prefixes = tuple(set(FAMILIES.values()))
    constants = {name for name in row if name.startswith(("bar5s_approach_is_", "bar5s_approach_level_"))}
    left = {name for name in row if name.startswith(prefixes)} - named - constants
    elsewhere = {
        # Kernels of their own with their own tests, or one subtraction tested below.
        *(f"bar5s_prof_{x}" for x in ("is_hvn", "is_lvn", "is_in_value_area", "dist_to_dev_poc_pts", "naked_poc_within_8t")),
        *(f"bar5s_touch_{x}" for x in ("level_age_s", "level_drift_pts")),
        *(f"bar5s_touch_{x}_trend" for x in ("replenishment", "delta_liq", "imbal", "velocity")),
        *(f"bar5s_conf_dist_to_{x}_pts" for x in ("pm_low", "overnight_low", "prev_day_low", "prev_day_vah")),
        *(f"bar5s_conf_dist_to_{x}_pts" for x in ("prev_day_val", "put_wall", "gamma_flip")),
        *(f"bar5s_cumul_flow_net_{x}" for x in ("bid_p1_2", "bid_p2_3", "ask_p0_1", "ask_p1_2")),
    }  # fmt: skip
    assert left == elsewhere


def mirrored() -> tuple[pl.DataFrame, pl.DataFrame]:
    """A table, and that of the same market in a mirror at the level: prices turned, sides swapped."""
    given = inputs(3)
    axis = 2 * float(given.episodes["level_price"][0])
    turned = {"bid": "ask", "ask": "bid", "buy": "sell", "sell": "buy"}

    def swapped(frame: pl.DataFrame) -> pl.DataFrame:
        pairs = {
            name: "_".join(turned.get(part.removeprefix("agg"), part) for part in name.split("_"))
            for name in frame.columns
        }
        names = {
            name: other.replace("_buy_", "_aggbuy_").replace("_sell_", "_aggsell_")
            if "agg" in name
            else other
            for name, other in pairs.items()
        }
        return frame.select(pl.col(names[name]).alias(name) for name in frame.columns)

    def price(*names: str) -> list[pl.Expr]:
        return [(axis - pl.col(name)).alias(name) for name in names]

    quotes = [f"bar5s_shape_{side}_px_l00_eob" for side in ("bid", "ask")]
    signed = ["bar5s_trade_signed_vol_sum", "bar5s_state_obi0_eob", "bar5s_state_obi10_eob"]
    tick = round(axis / TICK)
    empty = given.prior_sessions.clear()
    other = replace(
        given,
        bars=swapped(given.bars).with_columns(
            *price("bar5s_microprice_eob", *quotes), *(-pl.col(name) for name in signed)
        ),
        book=swapped(given.book).with_columns(price("bar5s_microprice_twa_px")),
        price5s=swapped(given.price5s)
        .with_columns((tick - pl.col("price_tick")).cast(pl.Int32).alias("price_tick"), *price("price"))
        .sort("bar_ts", "price_tick"),
        trades_clean=given.trades_clean.with_columns(
            (tick - pl.col("price_tick")).cast(pl.Int32).alias("price_tick"),
            -pl.col("aggressor_sign"),
            *price("price"),
        ),
        session_levels=given.session_levels.with_columns(
            -pl.col("level_polarity"), *price("level_price", "level_price_raw")
        ),
        level_series=given.level_series.with_columns(price("level_price", "level_price_raw")),
        prior_sessions=empty,
    )
    return made(replace(given, prior_sessions=empty)), made(with_episodes(other))


def test_a_mirror_swaps_the_sides_and_keeps_what_is_signed_by_the_approach():
    there, back = mirrored()
    assert there.height == back.height > 500
    assert (there["approach_direction"] == -back["approach_direction"]).all()
    negated = re.compile(
        "dist_to_level_pts|bar5s_approach_(side_of_level_eob|level_polarity|dist_to_.*)|bar5s_deriv_dist_.*"
        "|bar5s_conf_dist_to_.*|bar5s_lvltrade_(imbal_.*|session_delta_at_level|touch_delta)"
        "|bar5s_cumul_(signed|flow_imbal).*|bar5s_touch_level_drift_pts"
        "|bar5s_setup_(total_signed_vol|trade_imbal_pct|flow_imbal_total|wall_imbal|obi.*_(start|end|delta))"
    )
    swaps = {"buy": "sell", "aggbuy": "aggsell", "bid": "ask"} | {
        "sell": "buy",
        "aggsell": "aggbuy",
        "ask": "bid",
    }
    families = (
        "bar5s_approach_",
        "bar5s_lvltrade_",
        "bar5s_deriv_dist",
        "bar5s_cumul_",
        "bar5s_setup_",
        "bar5s_touch_",
    )
    checked = 0
    for name in there.columns:
        is_path = name.startswith((*families, "bar5s_conf_")) and "round" not in name
        if not is_path or "bar5s_approach_is_" in name:
            continue
        parts = [swaps.get(part, part) for part in name.split("_")]
        twin, sign = "_".join(parts), -1 if negated.fullmatch(name) else 1
        if "_obi" in name and name.endswith(("_min", "_max")):
            twin, sign = name.replace("_min", "_xam").replace("_max", "_min").replace("_xam", "_max"), -1
        ours, theirs = there[name].cast(pl.Float64), sign * back[twin].cast(pl.Float64)
        assert ours.is_null().equals(theirs.is_null()), name
        assert np.allclose(ours.drop_nulls(), theirs.drop_nulls(), rtol=1e-6, atol=1e-6), name
        checked += 1
    assert checked > 190
