"""The roll map is the volume leader of its own date, whatever other dates say."""

from __future__ import annotations

import datetime as dt

import polars as pl

from footprint_assets.transforms.roll import front_month

DAY = dt.date(2024, 9, 16)


def volumes(*rows):
    return pl.DataFrame(
        [
            {
                "session_date": DAY,
                "symbol": "ES",
                "contract": s,
                "expiry": e,
                "instrument_id": i,
                "volume": v,
                "source": "trades",
            }
            for i, (s, e, v) in enumerate(rows)
        ]
    )


def test_the_most_traded_outright_is_the_front_month():
    roll = front_month(volumes(("ESU4", 202409, 500), ("ESZ4", 202412, 900)))
    assert roll.filter("is_front")["contract"].to_list() == ["ESZ4"]
    assert roll["rank"].to_list() == [1, 2]


def test_a_tie_goes_to_the_earlier_expiry():
    roll = front_month(volumes(("ESZ4", 202412, 500), ("ESU4", 202409, 500)))
    assert roll.filter("is_front")["contract"].to_list() == ["ESU4"]


def test_every_root_has_its_own_front_month():
    both = pl.concat(
        [volumes(("ESU4", 202409, 5)), volumes(("NQU4", 202409, 9)).with_columns(symbol=pl.lit("NQ"))]
    )
    assert front_month(both).filter("is_front")["contract"].to_list() == ["ESU4", "NQU4"]
