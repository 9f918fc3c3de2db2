"""Trades by bar: every fact against the slow reference, and published numbers."""

from __future__ import annotations

import random
import statistics
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels import bar5s_trades as k

BARS = 6


def random_trades(seed, size):
    """(ts, bar, tick, size, sign, mid in half ticks or None, order, levels) of random orders, in time order."""
    rng, out, order = random.Random(seed), [], 0
    ts, tick = 0, 19_200
    while len(out) < size:
        ts += rng.choice((0, 1, 250_000_000, 2_000_000_000))
        if ts // 5_000_000_000 >= BARS:
            break
        sign, order, levels = rng.choice((1, -1, 1, -1, 0)), order + 1, rng.choice((1, 1, 1, 2, 3))
        mid = rng.choice((None, 2 * tick - sign))
        for level in (level for level in range(levels) for _ in range(rng.choice((1, 1, 2)))):
            price, quantity = tick + sign * level, rng.randint(1, 60)
            out.append((ts, ts // 5_000_000_000, price, quantity, sign, mid, order, levels))
        tick += rng.choice((-1, 0, 1))
    return out


def run(trades, large=int(k.NO_LARGE_ORDER)):
    columns = list(zip(*trades, strict=True)) or [()] * 8
    columns[5] = [k.NO_MID if mid is None else mid for mid in columns[5]]
    return k.bar_trades(*(np.array(column, np.int64) for column in columns), large, BARS)


def reference(trades, large):
    """Facts of one bar's trades by name of the layout."""
    names = [name for name in vars(k) if name.isupper() and isinstance(getattr(k, name), int)]
    out = dict.fromkeys((n for n in names if n != "FACTS" and not n.startswith("NO_")), 0)
    if not trades:
        return out
    ticks = [t[2] for t in trades]
    out |= {"TRADES": len(trades), "VOLUME": sum(t[3] for t in trades), "OPEN": ticks[0], "CLOSE": ticks[-1]}
    out |= {"HIGH": max(ticks), "LOW": min(ticks), "TICK_VOLUME": sum(t[2] * t[3] for t in trades)}
    known = [t for t in trades if t[4]]
    for name, sign in (("BUY", 1), ("SELL", -1)):
        mine = [t for t in known if t[4] == sign]
        orders = {}
        for t in mine:
            orders.setdefault((t[6], t[7]), []).append(t[3])
        sweeps = {key: sum(sizes) for key, sizes in orders.items() if key[1] >= 2}
        out |= {f"{name}_CNT": len(mine), f"{name}_VOL": sum(t[3] for t in mine)}
        out |= {f"SWEEP_{name}_CNT": len(sweeps), f"SWEEP_{name}_VOL": sum(sweeps.values())}
        out[f"LARGE_{name}_VOL"] = sum(sum(sizes) for sizes in orders.values() if sum(sizes) >= large)
        out["ORDERS"] += len(orders)
        out["ORDER_VOLUME"] += sum(map(sum, orders.values()))
        out["LARGEST_ORDER"] = max([out["LARGEST_ORDER"], *map(sum, orders.values())])
        out["SWEEP_LEVELS"] = max([out["SWEEP_LEVELS"], *(levels for _, levels in sweeps)])
    running = [0]
    for t in known:
        running.append(running[-1] + t[4] * t[3])
    out |= {"DELTA_MAX": max(running), "DELTA_MIN": min(running)}
    signs = [t[4] for t in known]
    out["SIGN_PAIRS"] = max(len(signs) - 1, 0)
    out["SIGN_PRODUCTS"] = sum(a * b for a, b in pairwise(signs))
    priced = [t for t in known if t[5] is not None]
    out |= {
        "COST_VOLUME": sum(t[3] for t in priced),
        "COST_SIGNED": sum(t[4] * t[3] for t in priced),
        "COST_PRICE": sum(t[4] * t[3] * 2 * t[2] for t in priced),
        "COST_MID": sum(t[4] * t[3] * t[5] for t in priced),
    }
    return out


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(1, 120))
def test_every_fact_equals_the_slow_reference(seed, size, large):
    trades = random_trades(seed, size)
    got = run(trades, large)
    for bar in range(BARS):
        mine = [t for t in trades if t[1] == bar]
        expected = reference(mine, large)
        assert {name: got.facts[bar, getattr(k, name)] for name in expected} == expected
        gaps = [b[0] - a[0] for a, b in pairwise(mine)]
        if len(gaps) < 2 or not any(gaps):
            assert np.isnan(got.arrival_cv[bar])
        else:
            assert got.arrival_cv[bar] == pytest.approx(statistics.pstdev(gaps) / statistics.mean(gaps))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 40), st.integers(0, 40))
def test_a_bar_does_not_depend_on_the_bars_after_it(seed, size, cut):
    trades = random_trades(seed, size)
    if not trades:
        return
    last = trades[min(cut, len(trades) - 1)][1]
    whole, part = run(trades), run([t for t in trades if t[1] <= last])
    assert np.array_equal(whole.facts[: last + 1], part.facts[: last + 1])
    assert np.array_equal(whole.arrival_cv[: last + 1], part.arrival_cv[: last + 1], equal_nan=True)


def test_the_sign_autocorrelation_of_the_published_sequence():
    trades = [(t, 0, 400, 1, sign, None, t, 1) for t, sign in enumerate((1, -1, 1, -1, -1, 1))]
    facts = run(trades).facts[0]
    assert facts[k.SIGN_PRODUCTS] / facts[k.SIGN_PAIRS] == -0.6


def test_a_trade_without_an_aggressor_breaks_no_pair_and_is_no_order():
    trades = [(t, 0, 400, 5, sign, 799, t, 1) for t, sign in enumerate((1, 0, 1))]
    facts = run(trades).facts[0]
    assert (facts[k.SIGN_PAIRS], facts[k.SIGN_PRODUCTS]) == (1, 1)
    assert facts[k.ORDERS] == 2
    assert facts[k.VOLUME] - facts[k.BUY_VOL] - facts[k.SELL_VOL] == 5
    assert facts[k.COST_VOLUME] == 10


def test_trades_of_one_order_in_one_nanosecond_are_one_sweep():
    trades = [(7, 0, 400 + level, 10, 1, 799, 3, 3) for level in range(3)]
    facts = run(trades, large=30).facts[0]
    assert (facts[k.ORDERS], facts[k.LARGEST_ORDER], facts[k.LARGE_BUY_VOL]) == (1, 30, 30)
    assert (facts[k.SWEEP_BUY_CNT], facts[k.SWEEP_BUY_VOL], facts[k.SWEEP_LEVELS]) == (1, 30, 3)
