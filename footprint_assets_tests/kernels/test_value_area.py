"""Point of control and value area: published examples, ties, and the reference."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels.value_area import point_of_control, value_area
from footprint_assets_tests.kernels import footprint_reference as reference

profiles = st.lists(st.integers(0, 60), min_size=1, max_size=40)
steps = st.sampled_from([1, 2])


def area(volumes: list[int], pct: int = 70, step_rows: int = 2) -> tuple[int, int, int]:
    return value_area(np.array(volumes, np.int64), pct, step_rows)


PROFILE_A = [10, 20, 30, 60, 100, 70, 40, 20, 15, 5]
"""100.00 upwards in quarters: point of control 101.00."""


def test_the_two_row_value_area_of_profile_a_is_100_50_to_101_50() -> None:
    assert area(PROFILE_A) == (4, 2, 6)


def test_the_one_row_value_area_of_profile_a_agrees_with_py_market_profile() -> None:
    assert area(PROFILE_A, step_rows=1) == (4, 3, 6)


def test_a_tie_at_equal_distance_goes_up() -> None:
    assert area([5, 10, 40, 100, 40, 10, 5]) == (3, 3, 5)
    assert area([5, 10, 40, 100, 40, 10, 5], step_rows=1) == (3, 2, 4)


def test_a_tie_goes_to_the_boundary_nearer_the_point_of_control() -> None:
    # Up first (21 > 20), then 20 against 20: the lower boundary is still at the point of control.
    assert area([1, 20, 50, 21, 20, 1], pct=75, step_rows=1) == (2, 1, 3)


CBOT = [14, 44, 70, 150, 90, 80, 50, 56]
"""103 upwards; 105 to 109 and the total of 554 are the published example."""


def test_the_cbot_example_with_single_rows_is_105_to_108() -> None:
    assert sum(CBOT) == 554
    poc, val, vah = area(CBOT, step_rows=1)
    assert (103 + poc, 103 + val, 103 + vah) == (106, 105, 108)
    assert sum(CBOT[val : vah + 1]) == 390


def test_the_cbot_example_with_pairs_is_104_to_108() -> None:
    poc, val, vah = area([14, 44, 70, 150, 90, 80, 50, 12, 44])
    assert (103 + poc, 103 + val, 103 + vah) == (106, 104, 108)


def test_the_cbot_example_with_pairs_holds_434_contracts() -> None:
    volumes = [14, 44, 70, 150, 90, 80, 50, 12, 44]
    _, val, vah = area(volumes)
    assert sum(volumes[val : vah + 1]) == 434


@pytest.mark.parametrize(("step_rows", "held"), [(2, 300), (1, 270)])
def test_the_value_area_of_profile_a_stops_at_the_published_volume(step_rows: int, held: int) -> None:
    assert 70 * sum(PROFILE_A) == 100 * 259
    _, val, vah = area(PROFILE_A, step_rows=step_rows)
    assert sum(PROFILE_A[val : vah + 1]) == held


def test_mind_over_markets_takes_the_heavier_lower_pair_first() -> None:
    volumes = [21_873, 21_900, 22_168, 17_300, 17_191]
    assert sum(volumes[3:]) == 34_491
    assert sum(volumes[:2]) == 43_773
    assert area(volumes, pct=65) == (2, 0, 2)


def test_equal_volumes_put_the_point_of_control_in_the_middle_of_the_range() -> None:
    assert point_of_control(np.array([9, 1, 9, 1, 1, 9])) == 2
    assert area([7, 7, 7])[0] == 1


def test_a_point_of_control_tied_around_the_middle_is_the_lower_price() -> None:
    assert area([1, 9, 9, 1])[0] == 1


def test_an_exhausted_side_is_never_chosen() -> None:
    assert area([100, 0, 0, 0, 90], pct=100) == (0, 0, 4)
    assert area([90, 0, 0, 0, 100], pct=100) == (4, 0, 4)


def test_a_target_met_exactly_stops_the_expansion() -> None:
    assert area([30, 70, 0]) == (1, 1, 1)


def test_a_profile_without_volume_has_no_point_of_control() -> None:
    assert area([0, 0]) == (-1, -1, -1)
    assert area([]) == (-1, -1, -1)


@settings(deadline=None)  # the first call compiles
@given(profiles, st.integers(1, 100), steps)
def test_the_kernel_equals_the_reference(volumes: list[int], pct: int, step_rows: int) -> None:
    assert area(volumes, pct, step_rows) == reference.value_area(volumes, pct, step_rows)


@settings(deadline=None)  # the first call compiles
@given(profiles.filter(any), st.integers(1, 100), steps)
def test_the_value_area_holds_its_share_around_the_point_of_control(
    volumes: list[int], pct: int, step_rows: int
) -> None:
    poc, val, vah = area(volumes, pct, step_rows)
    assert 0 <= val <= poc <= vah < len(volumes)
    assert volumes[poc] == max(volumes)
    assert 100 * sum(volumes[val : vah + 1]) >= pct * sum(volumes)


@settings(deadline=None)  # the first call compiles
@given(profiles.filter(any), st.integers(1, 100), steps)
def test_without_the_rows_taken_last_the_value_area_holds_too_little(
    volumes: list[int], pct: int, step_rows: int
) -> None:
    total = sum(volumes)
    held, grown = 0, area(volumes, 1, step_rows)
    while 100 * held < pct * total:
        before = held
        # One contract more than is held: the reference takes one step that adds volume.
        grown = reference.value_area(volumes, Fraction(100 * (held + 1), total), step_rows)
        held = sum(volumes[grown[1] : grown[2] + 1])
    assert area(volumes, pct, step_rows) == grown
    assert 100 * before < pct * total <= 100 * held


@settings(deadline=None)  # the first call compiles
@given(profiles.filter(any), steps, st.integers(2, 1000))
def test_scaling_every_volume_leaves_the_value_area(volumes: list[int], step_rows: int, factor: int) -> None:
    assert area([factor * v for v in volumes], 70, step_rows) == area(volumes, 70, step_rows)


@settings(deadline=None)  # the first call compiles
@given(st.permutations([2**k for k in range(12)]), steps)
def test_a_mirrored_profile_without_ties_has_the_mirrored_value_area(
    volumes: list[int], step_rows: int
) -> None:
    top = len(volumes) - 1
    poc, val, vah = area(volumes, 70, step_rows)
    assert area(volumes[::-1], 70, step_rows) == (top - poc, top - vah, top - val)


@pytest.mark.parametrize("step_rows", [1, 2])
def test_volumes_beyond_32_bits_do_not_wrap(step_rows: int) -> None:
    huge = 2**40
    assert area([v * huge for v in PROFILE_A], 70, step_rows) == area(PROFILE_A, 70, step_rows)
