"""The state machine of a level against its slow statement, on 200 random walks with missing bars."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest

from footprint_assets.kernels.episodes import LevelState, Thresholds, first_touch, longest_pause, scan

A, H, T, R, OUT_BARS, COOLDOWN = 20, 4, 4, 8, 6, 24
THRESHOLDS = Thresholds(A, H, T, R, OUT_BARS, COOLDOWN)
BASE = 20_000
WALKS = 200


@dataclass(frozen=True)
class Walk:
    """Bars of one session: numbers, microprice, level, trade range."""

    bar: np.ndarray
    mid: np.ndarray
    level: np.ndarray
    is_known: np.ndarray
    low: np.ndarray
    high: np.ndarray
    traded: np.ndarray

    def __getitem__(self, rows: slice) -> Walk:
        return Walk(*(values[rows].copy() for values in vars(self).values()))

    def __len__(self) -> int:
        return len(self.bar)


def walk(seed: int, bars: int = 1500) -> Walk:
    """A random walk with jumps around a level that stands still (even seeds) or drifts; bars are missing or empty."""
    rng = np.random.default_rng(seed)
    jumps = np.where(rng.random(bars) < 0.02, rng.choice([-25, 25], bars), 0)
    mid = BASE + np.cumsum(rng.integers(-24, 25, bars) / 8 + jumps)
    # A bar after a jump trades at the new price only.
    before = np.where(jumps == 0, np.concatenate((mid[:1], mid[:-1])), mid)
    drift = np.cumsum(rng.integers(-1, 2, bars)) // 4 if seed % 2 else np.zeros(bars, np.int64)
    there = rng.random(bars) > 0.05
    rows = Walk(
        bar=np.arange(1_000, 1_000 + bars),
        mid=np.where(rng.random(bars) < 0.03, np.nan, mid),
        level=(BASE + rng.integers(-15, 16) + drift).astype(np.int64),
        is_known=rng.random(bars) > 0.02,
        low=np.floor(np.minimum(mid, before)).astype(np.int64) - rng.integers(0, 3, bars),
        high=np.ceil(np.maximum(mid, before)).astype(np.int64) + rng.integers(0, 3, bars),
        traded=rng.random(bars) > 0.2,
    )
    return Walk(*(values[there].copy() for values in vars(rows).values()))


def run(rows: Walk, state: LevelState | None = None) -> list[tuple[int, ...]]:
    """Triggers as (bar, start, direction, attempt, is_cross, level), then the re-touches."""
    found = scan(**vars(rows), thresholds=THRESHOLDS, state=state or LevelState())
    names = ("bar", "start", "direction", "attempt", "is_cross", "level")
    triggers = [*zip(*(getattr(found, name).tolist() for name in names), strict=True)]
    return [*triggers, *((n,) for n in found.retouched.tolist())]


def reference(rows: Walk) -> list[tuple[int, ...]]:  # noqa: C901 - one loop, as the specification prints it
    """The machine as the specification prints it, one bar a step."""
    state, side, frozen, last, attempt, start, out_run = "FAR", 0, None, -float("inf"), 0, None, 0
    triggers: list[tuple[int, ...]] = []
    retouches: list[tuple[int, ...]] = []
    for i, t in enumerate(rows.bar.tolist()):
        lvl = frozen if state != "FAR" else (int(rows.level[i]) if rows.is_known[i] else None)
        if lvl is None or np.isnan(rows.mid[i]):
            continue
        d = float(rows.mid[i]) - lvl
        in_band = bool(rows.traded[i]) and rows.high[i] >= lvl - T and rows.low[i] <= lvl + T
        crossed = not in_band and ((side == +1 and d > T) or (side == -1 and d < -T))
        if state == "TOUCH":
            out_run = 0 if in_band else out_run + 1
            if out_run >= OUT_BARS and abs(d) >= R:
                state, side, frozen = "FAR", +1 if d < 0 else -1, None
        elif in_band or crossed:
            if side == 0:
                continue
            if state == "FAR":
                start, frozen = t, lvl
            if t >= last + COOLDOWN:
                attempt += 1
                last = t
                triggers.append((t, start, side, attempt, crossed, frozen))
            else:
                retouches.append((attempt,))
            state, out_run = "TOUCH", 0
        elif state == "APPROACH":
            if abs(d) > A + H:
                state, frozen, side = "FAR", None, +1 if d < 0 else -1
        else:
            if abs(d) > T:
                side = +1 if d < 0 else -1
            if side and abs(d) <= A:
                state, start, frozen = "APPROACH", t, lvl
    return triggers + retouches


def path(mid: list[float], level: int = BASE, traded: bool = True) -> Walk:
    """Bars whose only trade is at the microprice, given relative to the level."""
    ticks = np.array(mid, float) + level
    whole = np.rint(ticks).astype(np.int64)
    n = len(mid)
    return Walk(np.arange(n), ticks, np.full(n, level), np.ones(n, bool), whole, whole, np.full(n, traded))


def triggers(found: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    return [row for row in found if len(row) > 1]


def test_the_machine_equals_its_statement_on_random_walks():
    found = [run(walk(seed)) for seed in range(WALKS)]
    assert found == [reference(walk(seed)) for seed in range(WALKS)]
    events = [row for rows in found for row in triggers(rows)]
    assert len(events) > 1_000
    assert {row[4] for row in events} == {True, False}
    assert any(len(row) == 1 for rows in found for row in rows), "re-touches happen"


def test_any_chunking_of_a_session_gives_the_same_triggers():
    for seed in range(0, WALKS, 4):
        rows = walk(seed)
        cuts = sorted(np.random.default_rng(seed).integers(0, len(rows), 5).tolist())
        state = LevelState()
        found = [row for a, b in pairwise([0, *cuts, len(rows)]) for row in run(rows[a:b], state)]
        assert sorted(found) == sorted(run(rows))


def test_triggers_before_a_cut_do_not_know_what_comes_after():
    for seed in range(WALKS):
        rows = walk(seed)
        cut = int(np.random.default_rng(seed).integers(1, len(rows)))
        before = [row for row in triggers(run(rows)) if row[0] < rows.bar[cut]]
        assert triggers(run(rows[:cut])) == before


def test_a_mirrored_market_triggers_at_the_same_bars_from_the_other_side():
    for seed in range(WALKS):
        rows = walk(seed)
        mirrored = replace(
            rows,
            mid=2 * BASE - rows.mid,
            level=2 * BASE - rows.level,
            low=2 * BASE - rows.high,
            high=2 * BASE - rows.low,
        )
        wanted = [
            (t, s, -side, n, cross, 2 * BASE - level) for t, s, side, n, cross, level in triggers(run(rows))
        ]
        assert triggers(run(mirrored)) == wanted


def test_attempts_count_from_one_and_keep_the_cooldown():
    for seed in range(WALKS):
        found = triggers(run(walk(seed)))
        assert [row[3] for row in found] == list(range(1, len(found) + 1))
        assert all(b[0] - a[0] >= COOLDOWN for a, b in pairwise(found))
        assert all(start <= bar for bar, start, *_ in found)


def test_a_market_that_opens_on_the_level_has_no_side_to_come_from():
    assert run(path([0, 2, -3, 4])) == []
    assert run(path([0, 2, 10, 3])) == [(3, 2, -1, 1, False, BASE)]


def test_an_approach_freezes_the_level_until_it_is_given_up():
    rows = path([-30, -15, -10, -3])
    moving = replace(rows, level=np.array([BASE, BASE, BASE + 5, BASE + 9]))
    assert run(moving) == [(3, 1, 1, 1, False, BASE)]
    left = path([-15, -25, -10, 0])
    moving = replace(left, level=np.array([BASE, BASE, BASE + 2, BASE + 2]))
    assert run(moving) == [(3, 2, 1, 1, False, BASE + 2)]


def test_quotes_that_jump_the_band_are_a_cross():
    quiet = path([-15, 12], traded=False)
    assert run(quiet) == [(1, 0, 1, 1, True, BASE)]


def test_a_touch_ends_after_six_bars_outside_and_eight_ticks():
    again = [-10, -2, *[-6] * 30, -2]
    assert len(run(path(again))) == 1, "never eight ticks away"
    far = [-10, -2, *[-8] * 5, -2, *[-8] * 30]
    assert len(run(path(far))) == 1, "only five bars outside"
    back = [-10, -2, *[-8] * 30, -2]
    assert [row[3] for row in run(path(back))] == [1, 2]


def test_a_touch_within_the_cooldown_belongs_to_the_running_attempt():
    assert run(path([-10, -2, *[-9] * 8, -2])) == [(1, 0, 1, 1, False, BASE), (1,)]


def test_the_side_after_a_touch_is_where_price_stands_when_it_has_left():
    through = [-10, 0, *[12] * 30, 3]
    assert [row[2] for row in run(path(through))] == [1, -1]


def test_a_level_that_is_not_known_yet_cannot_be_armed():
    rows = path([-15, -10, -2])
    assert run(replace(rows, is_known=np.array([False, False, True]))) == []


@pytest.mark.parametrize(
    ("ticks", "direction", "nth"),
    [
        ([-9, -5, -4, 0], 1, 2),
        ([9, 5, 4, 0], -1, 2),
        ([-9, 7, 8], 1, 1),
        ([9, -7, 8], 1, 0),
        ([-9, -8], 1, -1),
        ([], 1, -1),
    ],
)
def test_the_touching_trade_is_the_first_in_the_band_or_else_beyond_it(ticks, direction, nth):
    assert first_touch(np.array(ticks, np.int64) + BASE, BASE, direction, T) == nth


def test_the_longest_pause_counts_consecutive_quiet_bars():
    assert longest_pause(np.array([1, 1, 0, 1, 1, 1, 0], bool)) == 3
    assert longest_pause(np.zeros(0, bool)) == 0
