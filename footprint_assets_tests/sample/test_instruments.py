from __future__ import annotations

import datetime as dt

import pytest

from footprint_assets.sample.instruments import expiration_date, listings, roll_date

ES_ROLLS_SEEN = [
    (2024, 9, "2024-09-16"),
    (2024, 12, "2024-12-16"),
    (2025, 3, "2025-03-17"),
    (2025, 6, "2025-06-16"),
    (2025, 9, "2025-09-15"),
]
"""Days on which the next ES expiry first led the volume in Databento's daily bars."""


@pytest.mark.parametrize(("year", "month", "seen"), ES_ROLLS_SEEN)
def test_the_roll_falls_on_the_day_volume_really_moved(year: int, month: int, seen: str) -> None:
    assert roll_date(year, month) == dt.date.fromisoformat(seen)


@pytest.mark.parametrize(
    ("year", "month", "expected"),
    [(2024, 6, "2024-06-21"), (2023, 12, "2023-12-15"), (2025, 3, "2025-03-21"), (2026, 6, "2026-06-18")],
)
def test_contracts_expire_on_the_third_friday_or_the_session_before(
    year: int, month: int, expected: str
) -> None:
    assert expiration_date(year, month) == dt.date.fromisoformat(expected)


def test_the_leader_changes_on_the_roll_and_the_pair_after_the_expiry() -> None:
    names = {
        day: [entry.instrument.raw_symbol for entry in listings(dt.date(2024, 6, day))]
        for day in (14, 17, 21, 24)
    }
    assert names[14] == ["ESM4", "ESU4", "ESM4-ESU4", "NQM4"]
    assert names[17] == ["ESU4", "ESM4", "ESM4-ESU4", "NQU4"]
    assert names[21] == ["ESU4", "ESM4", "ESM4-ESU4", "NQU4"]
    assert names[24] == ["ESU4", "ESZ4", "ESU4-ESZ4", "NQU4"]


def test_ids_do_not_collide_over_the_decade_in_which_symbols_repeat() -> None:
    days = [dt.date(year, month, 1) for year in range(2011, 2030) for month in (2, 5, 8, 11)]
    seen: dict[int, tuple[str, dt.date]] = {}
    for day in days:
        while day.weekday() > 4 or (day.month, day.day) == (1, 1):
            day += dt.timedelta(days=1)
        for entry in listings(day):
            identity = (entry.instrument.raw_symbol, entry.instrument.maturity)
            assert seen.setdefault(entry.instrument.instrument_id, identity) == identity
    assert len(seen) > 190


def test_only_the_spread_has_legs_and_a_twentieth_of_a_point_as_tick() -> None:
    for entry in listings(dt.date(2024, 6, 14)):
        assert entry.instrument.is_spread == ("-" in entry.instrument.raw_symbol)
        assert entry.instrument.tick_nanos == (50_000_000 if entry.instrument.is_spread else 250_000_000)
