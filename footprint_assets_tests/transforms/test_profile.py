"""Volume profiles row by row: conservation, half hours, dwell time, nodes, and the profiles that reach back."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import calendar as cme
from footprint_assets.settings import FootprintSettings, ProfileSettings
from footprint_assets.transforms.footprint import MalformedTradesError
from footprint_assets_tests.transforms.profile_frames import (
    PROFILE_A,
    SESSION,
    at_prices,
    prior_sessions,
    profile_of,
    quotes,
    rows_of,
    walk,
)
from footprint_assets_tests.transforms.trade_frames import (
    REGULAR_DAY,
    SECOND,
    at,
    prints,
    random_day,
    real_trades,
)

NO_CASH = dt.date(2024, 1, 15)
EARLY_CLOSE = dt.date(2024, 11, 29)
TIMES = (
    "tpo_count", "tpo_letters", "dwell_ns", "is_tpo_poc", "is_in_tpo_value_area", "is_single_print",
    "is_buying_tail", "is_selling_tail",
)  # fmt: skip
SINGLE = ("buying_tail", "selling_tail", "single_print")
VOLUMES = ["bid_volume", "ask_volume", "unknown_volume", "trades"]


def by_price(table: pl.DataFrame, profile_type: str, column: str) -> dict[float, object]:
    return dict(rows_of(table, profile_type).select("price", column).rows())


def sums(table: pl.DataFrame, profile_type: str) -> tuple[int, ...]:
    return rows_of(table, profile_type).select(pl.col(VOLUMES).sum()).row(0)


def traded(trades: pl.DataFrame) -> tuple[int, ...]:
    size, sign = trades["size"], trades["aggressor_sign"]
    return (*(size.filter(sign == side).sum() for side in (-1, 1, 0)), trades.height)


@pytest.mark.realdata
def test_the_real_four_minutes_have_the_published_footprint(real_data: Path) -> None:
    session = cme.session(dt.date(2024, 7, 2))
    trades = real_trades(real_data / "dbn" / "glbx-mdp3-20240701T2358.trades.dbn.zst", session, "ESU4")
    assert rows_of(profile_of(trades, session), "FULL").select(
        "price", "bid_volume", "ask_volume"
    ).rows() == [
        (5528.50, 3, 0),
        (5528.75, 19, 26),
        (5529.00, 55, 68),
        (5529.25, 34, 45),
        (5529.50, 0, 3),
    ]


@pytest.mark.realdata
def test_the_real_first_hour_has_46_traded_rows_and_its_point_of_control_at_4810(real_data: Path) -> None:
    session = cme.session(dt.date(2023, 12, 26))
    trades = real_trades(real_data / "dbn" / "glbx-mdp3-20231225.trades.dbn.zst", session, "ESH4")
    ladder = rows_of(profile_of(trades, session), "FULL")
    assert ladder.filter(pl.col("total_volume") > 0).height == 46
    assert ladder.filter("is_poc").select("price", "bid_volume", "ask_volume").row(0) == (4810, 505, 540)
    assert set("".join(ladder["tpo_letters"].unique())) == {"A", "B"}


def test_regular_hours_are_half_open() -> None:
    opening, closing = at(SESSION, "09:30"), at(SESSION, "16:00")
    rows = [(opening - 1, 1.0, 1, 1), (opening, 2.0, 2, 1), (closing - 1, 3.0, 4, 1), (closing, 4.0, 8, 1)]
    table = profile_of(prints(SESSION, rows))
    assert {name: sums(table, name)[1] for name in ("RTH", "ETH", "FULL")} == {"RTH": 6, "ETH": 9, "FULL": 15}


def test_regular_hours_end_early_on_an_early_close() -> None:
    session = cme.session(EARLY_CLOSE)
    table = profile_of(
        prints(session, [(at(session, "12:59:59"), 1.0, 1, 1), (at(session, "13:00"), 2.0, 2, 1)]), session
    )
    assert [sums(table, name)[1] for name in ("RTH", "ETH", "FULL")] == [1, 2, 3]


def test_a_date_without_a_cash_session_has_no_regular_profile() -> None:
    session = cme.session(NO_CASH)
    table = profile_of(random_day(session, seed=1), session)
    assert table["profile_type"].unique(maintain_order=True).to_list() == ["ETH", "FULL", "WEEK"]
    assert rows_of(table, "ETH").drop("profile_type").equals(rows_of(table, "FULL").drop("profile_type"))


def test_a_contract_that_only_traded_at_night_has_no_regular_profile() -> None:
    table = profile_of(walk(SESSION, ("20:00", 100.0)))
    assert table["profile_type"].to_list() == ["ETH", "FULL"]


@pytest.mark.parametrize("ticks_per_row", [1, 4])
@pytest.mark.parametrize("seed", [2, 3])
def test_profiles_hold_the_volume_of_their_trades(ticks_per_row: int, seed: int) -> None:
    trades = random_day(SESSION, seed)
    table = profile_of(trades, footprint=FootprintSettings(ticks_per_row=ticks_per_row))
    cash = trades.filter(pl.col("session") == "RTH")
    night = trades.filter(pl.col("session") != "RTH")
    for name, part in (("RTH", cash), ("ETH", night), ("FULL", trades)):
        assert sums(table, name) == traded(part)
    total = pl.sum_horizontal(VOLUMES[:3])
    assert table.filter(pl.col("total_volume") != total).is_empty()
    assert table.filter(pl.col("delta") != pl.col("ask_volume") - pl.col("bid_volume")).is_empty()


def test_a_profile_has_every_row_from_low_to_high() -> None:
    ladder = rows_of(profile_of(at_prices({100.0: 5, 101.0: 7})), "FULL")
    assert ladder["price"].to_list() == [100, 100.25, 100.5, 100.75, 101]
    assert ladder["total_volume"].to_list() == [5, 0, 0, 0, 7]
    assert ladder["tpo_count"].to_list() == [1, 0, 0, 0, 1]
    assert ladder["tpo_letters"][1] == ""


def test_a_taller_row_is_named_by_its_lowest_price() -> None:
    trades = at_prices({99.75: 1, 100.0: 2, 100.75: 3, 101.0: 4})
    table = profile_of(trades, footprint=FootprintSettings(ticks_per_row=4))
    assert rows_of(table, "FULL").select("price", "total_volume").rows() == [(99, 1), (100, 5), (101, 4)]


def test_high_and_low_volume_nodes_are_marked_on_the_ladder() -> None:
    hill = [5, 30, 80, 100, 80, 30, 5]
    volumes = dict(zip(np.arange(100, 200, 0.25), [*hill, 1, 1, 1, 1, 1, *hill], strict=False))
    ladder = rows_of(profile_of(at_prices(volumes)), "FULL")
    assert ladder.filter("is_hvn")["price"].to_list() == [100.75, 103.75]
    assert ladder.filter("is_lvn")["price"].to_list() == [102.25]
    strict = ProfileSettings(hvn_multiple=9, lvn_multiple=0.001)
    assert not profile_of(at_prices(volumes), rules=strict).select(pl.any("is_hvn", "is_lvn")).row(0)[0]


STEPS = (
    ("09:30", 100.0), ("09:59:59", 100.25), ("10:00", 100.25), ("10:15", 100.5), ("11:00", 100.5),
    ("15:59", 100.75),
)  # fmt: skip


def test_brackets_are_half_hours_from_the_cash_open_and_from_the_globex_open() -> None:
    table = profile_of(walk(SESSION, ("18:00", 99.75), ("17:59:59", 99.75), *STEPS).sort("ts_event"))
    assert by_price(table, "RTH", "tpo_letters") == {100.0: "A", 100.25: "AB", 100.5: "BD", 100.75: "M"}
    assert by_price(table, "RTH", "tpo_count") == {100.0: 1, 100.25: 2, 100.5: 2, 100.75: 1}
    # 31 half hours lie between 18:00 and 09:30; a print after the close belongs to the last one, 16:30 to 17:00.
    full = by_price(table, "FULL", "tpo_letters")
    assert full == {99.75: "At", 100.0: "f", 100.25: "fg", 100.5: "gi", 100.75: "r"}
    assert by_price(table, "ETH", "tpo_letters") == {99.75: "At"}


def test_the_length_of_a_bracket_is_a_setting() -> None:
    table = profile_of(walk(SESSION, *STEPS), rules=ProfileSettings(tpo_minutes=90))
    assert by_price(table, "RTH", "tpo_letters") == {100.0: "A", 100.25: "A", 100.5: "AB", 100.75: "E"}


@given(st.integers(0, 10**6), st.sampled_from([1, 2, 4]))
@settings(max_examples=10, deadline=None)
def test_half_hours_and_value_areas_keep_their_rules(seed: int, ticks_per_row: int) -> None:
    trades = random_day(SESSION, seed, trades=400)
    table = profile_of(trades, footprint=FootprintSettings(ticks_per_row=ticks_per_row))
    for name in ("RTH", "ETH", "FULL"):
        rows = rows_of(table, name)
        used = len(set("".join(rows["tpo_letters"])))
        assert rows["tpo_count"].max() <= used
        assert rows["tpo_count"].to_list() == [len(letters) for letters in rows["tpo_letters"]]
        assert all(list(letters) == sorted(letters) for letters in rows["tpo_letters"])
        assert (rows["tpo_count"] > 0).equals((rows["total_volume"] > 0).alias("tpo_count"))
        for poc, inside, weight in (
            ("is_poc", "is_in_value_area", "total_volume"),
            ("is_tpo_poc", "is_in_tpo_value_area", "tpo_count"),
        ):
            assert rows.filter(poc)[weight].to_list() == [rows[weight].max()]
            assert rows.filter(pl.col(poc) & ~pl.col(inside)).is_empty()
            assert 100 * rows.filter(inside)[weight].sum() >= 70 * rows[weight].sum()
            assert re.fullmatch("0*1+0*", "".join(str(int(flag)) for flag in rows[inside]))


def test_single_prints_tails_and_their_last_bracket() -> None:
    table = profile_of(
        walk(
            SESSION,
            ("09:30", 100.0), ("09:31", 100.25), ("09:32", 100.5), ("10:00", 100.5), ("10:01", 100.75),
            ("10:31", 101.0), ("10:32", 101.25), ("11:00", 101.0), ("11:01", 101.5), ("11:02", 101.75),
        )
    )  # fmt: skip
    flags = {name: rows_of(table, "RTH").filter(f"is_{name}")["price"].to_list() for name in SINGLE}
    assert flags == {
        "buying_tail": [100.0, 100.25],
        "selling_tail": [],  # 101.50 and 101.75 are of the last bracket
        "single_print": [100.75, 101.25, 101.5, 101.75],
    }


def test_dwell_is_the_time_the_best_quotes_enclosed_the_row_in_the_hours_of_the_profile() -> None:
    book = quotes(SESSION, ("09:00", 100.0, 100.25), ("10:00", 100.25, 100.5), ("16:30", 100.0, 100.25))
    trades = walk(SESSION, ("09:10", 100.0), ("09:40", 100.0), ("15:00", 100.5), ("16:40", 100.5))
    table = profile_of(trades, bbo=book)
    minutes = {
        name: [ns / 60 / SECOND for ns in rows_of(table, name)["dwell_ns"]] for name in ("RTH", "ETH", "FULL")
    }
    # The last trade, at 16:40, is the last that is known of the book.
    assert minutes["RTH"] == [30, 390, 360]
    assert minutes["ETH"] == [30 + 10, 30 + 30 + 10, 30]
    assert minutes["FULL"] == [70, 460, 390]


@pytest.mark.parametrize("seed", range(3))
def test_dwell_of_cash_and_other_hours_adds_up_to_the_full_session(seed: int) -> None:
    rng = np.random.default_rng(seed)
    trades = random_day(SESSION, seed, trades=300)
    middle = trades["price"].to_numpy() + rng.integers(-4, 4, trades.height) / 4
    book = quotes(SESSION, ("18:00", 1.0, 1.25)).clear()
    book = pl.DataFrame(
        {
            "ts_event": trades["ts_event"],
            "symbol": trades["symbol"],
            "bid_tick": pl.Series((4 * middle).astype(np.int32)),
            "ask_tick": pl.Series(
                (4 * middle).astype(np.int32) + rng.integers(1, 4, trades.height).astype(np.int32)
            ),
            "bid_px": middle,
            "ask_px": middle,
        },
        schema=book.schema,
    )
    table = profile_of(trades, bbo=book)
    parts = (
        pl.concat((rows_of(table, "RTH"), rows_of(table, "ETH")))
        .group_by("price_tick")
        .agg(pl.col("dwell_ns").sum())
    )
    full = rows_of(table, "FULL").select("price_tick", "dwell_ns")
    both = full.join(parts, on="price_tick")
    # A row of one part may lie outside the range of the other, whose time there it does not list.
    assert (both["dwell_ns"] >= both["dwell_ns_right"]).all()
    inside = [rows_of(table, name)["price_tick"] for name in ("RTH", "ETH")]
    low, high = max(int(t.min()) for t in inside), min(int(t.max()) for t in inside)
    shared = both.filter(pl.col("price_tick").is_between(low, high))
    assert shared.height > 0
    assert (shared["dwell_ns"] == shared["dwell_ns_right"]).all()


def test_without_a_book_dwell_is_null_and_half_hours_are_not() -> None:
    table = profile_of(at_prices(PROFILE_A))
    assert table["dwell_ns"].null_count() == table.height
    assert table["tpo_count"].null_count() == 0


def dates_before(date: dt.date, count: int) -> list[dt.date]:
    """The last ``count`` sessions with cash hours, oldest first."""
    days = [day for day in cme.sessions(date - dt.timedelta(days=60), date) if day != date]
    return [day for day in days if cme.session(day).rth_open_ns is not None][-count:]


FRIDAY = dt.date(2024, 6, 14)


def history(dates: list[dt.date], today: dt.date = FRIDAY) -> tuple[list[pl.DataFrame], pl.DataFrame]:
    days = [random_day(cme.session(day), seed=day.day, trades=200) for day in dates]
    return days, prior_sessions(today, days)


def test_a_week_is_its_earlier_sessions_and_today() -> None:
    days, prior = history([day for day in cme.sessions(dt.date(2024, 6, 3), FRIDAY) if day != FRIDAY])
    today = random_day(cme.session(FRIDAY), seed=1)
    table = profile_of(today, cme.session(FRIDAY), prior=prior)
    week = pl.concat((*days[-4:], today))
    assert sums(table, "WEEK") == traded(week)
    at_price = week.group_by("price").agg(pl.col("size").sum())
    joined = (
        rows_of(table, "WEEK")
        .join(at_price, on="price", how="left")
        .with_columns(pl.col("size").fill_null(0))
    )
    assert (joined["total_volume"] == joined["size"]).all()
    assert joined["price"].to_list()[:: joined.height - 1] == [week["price"].min(), week["price"].max()]
    assert rows_of(table, "WEEK").select(TIMES).null_count().row(0) == (joined.height,) * len(TIMES)


def test_on_a_monday_the_week_is_the_date() -> None:
    monday = cme.session(dt.date(2024, 6, 10))
    table = profile_of(random_day(monday, seed=5), monday)
    drop = ("profile_type", *TIMES)
    assert rows_of(table, "WEEK").drop(drop).equals(rows_of(table, "FULL").drop(drop))


@pytest.mark.parametrize(("name", "count"), [("COMPOSITE_5D", 5), ("COMPOSITE_20D", 20)])
def test_a_composite_is_the_last_cash_sessions_with_todays(name: str, count: int) -> None:
    days, prior = history(dates_before(FRIDAY, count - 1))
    today = random_day(cme.session(FRIDAY), seed=1)
    table = profile_of(today, cme.session(FRIDAY), prior=prior)
    cash = pl.concat((*days, today)).filter(pl.col("session") == "RTH")
    assert sums(table, name) == traded(cash)
    assert rows_of(table, name)["price"].min() == cash["price"].min()


def test_a_composite_steps_over_a_date_without_a_cash_session() -> None:
    date = dt.date(2024, 6, 21)  # Juneteenth was two days before
    days, prior = history(dates_before(date, 4), date)
    assert dt.date(2024, 6, 19) not in [day["session_date"][0] for day in days]
    table = profile_of(random_day(cme.session(date), seed=1), cme.session(date), prior=prior)
    assert "COMPOSITE_5D" in table["profile_type"]
    assert "WEEK" not in table["profile_type"]  # the holiday's own trades are not held


def test_a_profile_that_lacks_a_session_it_needs_does_not_exist() -> None:
    _, prior = history(dates_before(FRIDAY, 4))
    today, session = random_day(cme.session(FRIDAY), seed=1), cme.session(FRIDAY)

    def names(held: pl.DataFrame) -> list[str]:
        return profile_of(today, session, prior=held)["profile_type"].unique(maintain_order=True).to_list()

    assert names(prior) == ["RTH", "ETH", "FULL", "WEEK", "COMPOSITE_5D"]
    for missing in range(4):
        held = prior.filter(pl.int_range(pl.len()) != missing)
        assert names(held) == ["RTH", "ETH", "FULL"]


def test_a_date_whose_cash_hours_did_not_trade_leaves_no_composite() -> None:
    days, _ = history(dates_before(FRIDAY, 4))
    days[1] = days[1].filter(pl.col("session") != "RTH")
    today, session = random_day(cme.session(FRIDAY), seed=1), cme.session(FRIDAY)
    table = profile_of(today, session, prior=prior_sessions(FRIDAY, days))
    assert table["profile_type"].unique(maintain_order=True).to_list() == ["RTH", "ETH", "FULL", "WEEK"]


def test_another_contracts_sessions_make_no_profile_of_this_one() -> None:
    days = [random_day(cme.session(day), seed=1, trades=50) for day in dates_before(FRIDAY, 4)]
    table = profile_of(
        random_day(cme.session(FRIDAY), seed=1),
        cme.session(FRIDAY),
        prior=prior_sessions(FRIDAY, days, source="ESH4"),
    )
    assert table["profile_type"].unique(maintain_order=True).to_list() == ["RTH", "ETH", "FULL"]


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.9])
def test_later_trades_leave_the_profiles_of_finished_hours_alone(cut: float) -> None:
    trades = random_day(SESSION, seed=4)
    _, prior = history(dates_before(REGULAR_DAY, 4), REGULAR_DAY)
    known = trades.filter(pl.col("ts_event").to_physical() < at(SESSION, "16:00") + int(cut * 3600 * SECOND))
    for name in ("RTH", "COMPOSITE_5D"):
        whole = rows_of(profile_of(trades, prior=prior), name)
        assert whole.height > 0
        assert rows_of(profile_of(known, prior=prior), name).equals(whole)


def test_no_trades_make_a_typed_table_without_rows() -> None:
    assert profile_of(prints(SESSION, [])).is_empty()


def test_a_corrupt_price_is_refused_before_it_becomes_a_ladder() -> None:
    with pytest.raises(MalformedTradesError, match="further apart"):
        profile_of(at_prices({100.0: 1, 500_000_000.0: 1}))


def test_a_profile_does_not_depend_on_when_within_a_half_hour_its_trades_were() -> None:
    trades = at_prices(PROFILE_A)
    later = trades.with_columns((pl.col("ts_event").to_physical() + SECOND).cast(trades["ts_event"].dtype))
    assert profile_of(trades).equals(profile_of(later))


def test_trades_of_one_instant_in_another_order_make_the_same_profile() -> None:
    trades = at_prices(PROFILE_A).with_columns(pl.col("ts_event").first())
    assert profile_of(trades).equals(profile_of(trades.reverse()))


def test_a_smoothing_window_without_a_centre_is_refused() -> None:
    with pytest.raises(ValueError, match="odd number of rows"):
        ProfileSettings(smoothing_rows=4)
