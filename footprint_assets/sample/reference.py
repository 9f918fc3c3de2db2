"""Definition and statistics records of the sample market, as structured arrays in the DBN 3 wire layout."""

from __future__ import annotations

import datetime as dt

import databento_dbn as dbn
import numpy as np
import numpy.typing as npt

from footprint_assets import calendar as cme
from footprint_assets.sample import book
from footprint_assets.sample.book import I64
from footprint_assets.sample.instruments import Instrument, Listing
from footprint_assets.settings import NANOS_PER_SECOND

Records = npt.NDArray[np.void]

DEFINITION_DTYPE: np.dtype[np.void] = np.dtype(dbn.InstrumentDefMsg._dtypes)
STATISTICS_DTYPE: np.dtype[np.void] = np.dtype(dbn.StatMsg._dtypes)

OPENING_DELAY_NS = 60 * NANOS_PER_SECOND
SETTLEMENT_DELAY_NS = 20 * 60 * NANOS_PER_SECOND
CLEARING_DELAY_NS = 35 * 60 * NANOS_PER_SECOND

OPENING_PRICE, SETTLEMENT, SESSION_LOW, SESSION_HIGH, CLEARED_VOLUME, OPEN_INTEREST = 1, 3, 4, 5, 6, 9
"""``stat_type`` of the records written here (databento_dbn.StatType)."""
_FINAL_ACTUAL = 0b11
_PUBLISHER, _CHANNEL = 1, 310
_DEFINITION_RTYPE, _STATISTICS_RTYPE = 19, 24
_UNDEF_I64 = np.iinfo(np.int64).max
_FEED_DELAY_NS = 150_000
_POINT_VALUE = {"ES": 50, "NQ": 20}


def definitions(instruments: tuple[Instrument, ...], utc_day: dt.date) -> Records:
    """One definition record an instrument, published at the start of a UTC day.

    Args:
        instruments: The instruments of the day's files.
        utc_day: The day.

    Returns:
        Structured array of ``InstrumentDefMsg`` records.
    """
    out = np.zeros(len(instruments), dtype=DEFINITION_DTYPE)
    for name in DEFINITION_DTYPE.names or ():
        kind = DEFINITION_DTYPE[name]
        if kind.kind in "iu":
            # The format's "undefined" is the largest value of an integer field.
            out[name] = np.iinfo(kind).max
    start = cme.utc_midnight_ns(utc_day)
    for row, instrument in zip(out, instruments, strict=True):
        _fill_definition(row, instrument)
    out["ts_event"] = start + np.arange(len(instruments))
    out["ts_recv"] = start + _FEED_DELAY_NS + np.arange(len(instruments))
    return out


def _fill_definition(row: np.void, instrument: Instrument) -> None:
    is_spread = instrument.is_spread
    values: dict[str, int | bytes] = {
        "length": DEFINITION_DTYPE.itemsize // 4,
        "rtype": _DEFINITION_RTYPE,
        "publisher_id": _PUBLISHER,
        "instrument_id": instrument.instrument_id,
        "raw_instrument_id": instrument.instrument_id,
        "min_price_increment": instrument.tick_nanos,
        "display_factor": 10_000_000,
        "expiration": instrument.expiration_ns,
        "activation": instrument.expiration_ns - 455 * 86_400 * NANOS_PER_SECOND,
        "unit_of_measure_qty": _UNDEF_I64 if is_spread else _POINT_VALUE[instrument.root] * NANOS_PER_SECOND,
        "min_price_increment_amount": instrument.tick_nanos * _POINT_VALUE[instrument.root],
        "inst_attrib_value": 0,
        "underlying_id": 0,
        "market_depth_implied": 2 if is_spread else 0,
        "market_depth": 10,
        "market_segment_id": 64,
        "max_trade_vol": 3000,
        "min_trade_vol": 1,
        "min_lot_size": 0,
        "min_lot_size_block": 0,
        "min_lot_size_round_lot": 0,
        # A spread's legs are named by its symbol; like the vendor's upgraded files, no leg records are written.
        "leg_count": 0,
        "leg_index": 0,
        "leg_instrument_id": 0,
        "leg_underlying_id": 0,
        "leg_ratio_price_numerator": 0,
        "leg_ratio_price_denominator": 0,
        "leg_ratio_qty_numerator": 0,
        "leg_ratio_qty_denominator": 0,
        "leg_side": b"N",
        "appl_id": _CHANNEL,
        "channel_id": _CHANNEL,
        "maturity_year": instrument.maturity.year,
        "maturity_month": instrument.maturity.month,
        "currency": b"USD",
        "secsubtype": b"EQ" if is_spread else b"",
        "raw_symbol": instrument.raw_symbol.encode(),
        "group": instrument.root.encode(),
        "exchange": b"XCME",
        "asset": instrument.root.encode(),
        "cfi": b"FMIXSX" if is_spread else b"FFIXSX",
        "security_type": b"FUT",
        "unit_of_measure": b"CTRCT" if is_spread else b"IPNT",
        "instrument_class": b"S" if is_spread else b"F",
        "match_algorithm": b"F",
        "underlying_product": 5,
        "security_update_action": b"A",
        "user_defined_instrument": b"N",
    }
    for name, value in values.items():
        row[name] = value


def opening_statistics(session: cme.Session, listed: tuple[Listing, ...], tally: I64) -> Records:
    """The opening price of every instrument, published when the first minute has traded.

    Args:
        session: The session.
        listed: Its instruments.
        tally: int64[n, 7], session statistics of the simulator (``book.TALLY_*``).

    Returns:
        Structured array of ``StatMsg`` records; an instrument without a trade has none.
    """
    rows = [
        _price(session, entry.instrument, OPENING_PRICE, int(tally[i, book.TALLY_OPEN]))
        for i, entry in enumerate(listed)
        if tally[i, book.TALLY_VOLUME] > 0
    ]
    return _stamp(rows, session.open_ns + OPENING_DELAY_NS)


def closing_statistics(session: cme.Session, listed: tuple[Listing, ...], tally: I64, middle: I64) -> Records:
    """What the exchange publishes after the close: high, low, settlement, cleared volume and open interest.

    Args:
        session: The session.
        listed: Its instruments.
        tally: int64[n, 7], session statistics of the simulator (``book.TALLY_*``).
        middle: int64[n], last mid price in ticks, the settlement of an instrument that did not trade.

    Returns:
        Structured array of ``StatMsg`` records in time order. The settlement is the volume-weighted price of the
        settlement window, else the last trade, rounded to the tick.
    """
    extremes, settlements, clearing = [], [], []
    for i, entry in enumerate(listed):
        counts = [int(value) for value in tally[i]]
        volume = counts[book.TALLY_VOLUME]
        if volume > 0:
            extremes.append(_price(session, entry.instrument, SESSION_HIGH, counts[book.TALLY_HIGH]))
            extremes.append(_price(session, entry.instrument, SESSION_LOW, counts[book.TALLY_LOW]))
        ticks = counts[book.TALLY_LAST] if volume > 0 else int(middle[i])
        if counts[book.TALLY_SETTLE_VOLUME] > 0:
            ticks = round(counts[book.TALLY_SETTLE_VALUE] / counts[book.TALLY_SETTLE_VOLUME])
        settlements.append(_price(session, entry.instrument, SETTLEMENT, ticks, stat_flags=_FINAL_ACTUAL))
        clearing.append(_quantity(session, entry.instrument, CLEARED_VOLUME, volume))
        clearing.append(_quantity(session, entry.instrument, OPEN_INTEREST, 1000 + 3 * volume))
    return np.concatenate(
        [
            _stamp(extremes, session.close_ns + NANOS_PER_SECOND),
            _stamp(settlements, session.close_ns + SETTLEMENT_DELAY_NS),
            _stamp(clearing, session.close_ns + CLEARING_DELAY_NS),
        ]
    )


def _statistic(session: cme.Session, instrument: Instrument, stat_type: int) -> Records:
    row = np.zeros(1, dtype=STATISTICS_DTYPE)
    row["length"] = STATISTICS_DTYPE.itemsize // 4
    row["rtype"] = _STATISTICS_RTYPE
    row["publisher_id"] = _PUBLISHER
    row["instrument_id"] = instrument.instrument_id
    row["ts_ref"] = cme.utc_midnight_ns(session.trade_date)
    row["price"] = _UNDEF_I64
    row["quantity"] = _UNDEF_I64
    row["stat_type"] = stat_type
    row["channel_id"] = _CHANNEL
    row["update_action"] = 1
    return row


def _price(
    session: cme.Session, instrument: Instrument, stat_type: int, ticks: int, stat_flags: int = 0
) -> Records:
    row = _statistic(session, instrument, stat_type)
    row["price"] = ticks * instrument.tick_nanos
    row["stat_flags"] = stat_flags
    return row


def _quantity(session: cme.Session, instrument: Instrument, stat_type: int, contracts: int) -> Records:
    row = _statistic(session, instrument, stat_type)
    row["quantity"] = contracts
    return row


def _stamp(rows: list[Records], start_ns: int) -> Records:
    """Put records a microsecond apart, from ``start_ns``."""
    out = np.concatenate(rows) if rows else np.zeros(0, dtype=STATISTICS_DTYPE)
    offsets = np.arange(out.shape[0], dtype=np.uint64) * 1000
    out["ts_event"] = np.uint64(start_ns) + offsets
    out["ts_recv"] = out["ts_event"] + np.uint64(_FEED_DELAY_NS)
    out["ts_in_delta"] = 12_000
    out["sequence"] = 1 + np.arange(out.shape[0])
    return out
