"""The wire layouts of DBN 1, 2 and 3, and their upgrade to the layout of DBN 3.

Layouts come from ``databento_dbn``; only three record types changed between versions: definitions, statistics and
the control messages of live streams.
"""

from __future__ import annotations

from typing import Any, Final

import databento_dbn as dbn
import numpy as np
import numpy.typing as npt

Records = npt.NDArray[Any]
"""A structured array of DBN records."""

HEADER_BYTES: Final = 16
WORD_BYTES: Final = 4
"""The header's length byte counts words of this size."""
UNDEF_PRICE: Final = 2**63 - 1
UNDEF_TIMESTAMP: Final = 2**64 - 1
UNDEF_STAT_QUANTITY: Final = 2**63 - 1
F_LAST, F_TOB, F_SNAPSHOT, F_BAD_TS_RECV, F_MAYBE_BAD_BOOK = 0x80, 0x40, 0x20, 0x08, 0x04
SYMBOL_MAPPING: Final = 22
CONTROL_RTYPES: Final = {21: "error", SYMBOL_MAPPING: "symbol-mapping", 23: "system"}

SCHEMAS: Final = (
    "mbo", "mbp-1", "mbp-10", "tbbo", "trades", "ohlcv-1s", "ohlcv-1m", "ohlcv-1h", "ohlcv-1d", "definition",
    "statistics", "status", "imbalance", "ohlcv-eod", "cmbp-1", "cbbo-1s", "cbbo-1m", "tcbbo", "bbo-1s", "bbo-1m",
)  # fmt: skip
"""Schema names in the order of their codes in the metadata."""

RTYPES: Final[dict[str, int]] = {
    "trades": 0, "mbp-1": 1, "tbbo": 1, "mbp-10": 10, "status": 18, "definition": 19, "imbalance": 20,
    "statistics": 24, "ohlcv-1s": 32, "ohlcv-1m": 33, "ohlcv-1h": 34, "ohlcv-1d": 35, "ohlcv-eod": 36,
    "mbo": 160, "cmbp-1": 177, "cbbo-1s": 192, "cbbo-1m": 193, "tcbbo": 194, "bbo-1s": 195, "bbo-1m": 196,
}  # fmt: skip
"""Record type byte of each schema."""

PUBLISHERS: Final[dict[str, tuple[int, ...]]] = {
    "GLBX.MDP3": (1,), "XNAS.ITCH": (2,), "IFEU.IMPACT": (57, 84), "NDEX.IMPACT": (58, 85), "IFUS.IMPACT": (97, 98),
    "IFLL.IMPACT": (99, 100), "XEUR.EOBI": (101, 103), "XEEE.EOBI": (102, 104), "XCBF.PITCH": (105, 106),
}  # fmt: skip
"""Publisher ids of the datasets known here; the publishers of other datasets are not checked."""

_CLASSES: Final[dict[int, Any]] = {
    0: dbn.TradeMsg, 1: dbn.MBP1Msg, 10: dbn.MBP10Msg, 17: dbn.OHLCVMsg, 18: dbn.StatusMsg, 19: dbn.InstrumentDefMsg,
    20: dbn.ImbalanceMsg, 21: dbn.ErrorMsg, 22: dbn.SymbolMappingMsg, 23: dbn.SystemMsg, 24: dbn.StatMsg,
    32: dbn.OHLCVMsg, 33: dbn.OHLCVMsg, 34: dbn.OHLCVMsg, 35: dbn.OHLCVMsg, 36: dbn.OHLCVMsg, 160: dbn.MBOMsg,
    177: dbn.CMBP1Msg, 192: dbn.CBBOMsg, 193: dbn.CBBOMsg, 194: dbn.CMBP1Msg, 195: dbn.BBOMsg, 196: dbn.BBOMsg,
}  # fmt: skip
_OLDER: Final[dict[tuple[int, int], Any]] = {
    (1, 19): dbn.InstrumentDefMsgV1, (2, 19): dbn.InstrumentDefMsgV2, (1, 21): dbn.ErrorMsgV1,
    (1, 22): dbn.SymbolMappingMsgV1, (1, 23): dbn.SystemMsgV1, (1, 24): dbn.StatMsgV1, (2, 24): dbn.StatMsgV1,
}  # fmt: skip
_DEFINITION_DEFAULTS: Final[dict[str, object]] = {
    "leg_price": UNDEF_PRICE,
    "leg_delta": UNDEF_PRICE,
    "leg_side": b"N",
}
_UNDEF_STAT_QUANTITY_V1: Final = 2**31 - 1


def current_dtype(rtype: int) -> np.dtype[Any]:
    """The DBN 3 layout of a record type.

    Args:
        rtype: Record type byte.

    Returns:
        A structured dtype.

    Raises:
        KeyError: The record type is unknown.
    """
    layout: np.dtype[Any] = np.dtype(_CLASSES[rtype]._dtypes)
    return layout


def wire_dtype(rtype: int, version: int) -> np.dtype[Any]:
    """The layout a record type has in a file of a DBN version, without ``ts_out``.

    Args:
        rtype: Record type byte.
        version: DBN version of the file: 1, 2 or 3.

    Returns:
        A structured dtype.

    Raises:
        KeyError: The record type is unknown.
    """
    layout: np.dtype[Any] = np.dtype(_OLDER.get((version, rtype), _CLASSES[rtype])._dtypes)
    return layout


def record_lengths(version: int, *, ts_out: bool) -> npt.NDArray[np.int64]:
    """The length every record type must have in a file.

    Args:
        version: DBN version of the file.
        ts_out: Whether the file appends a send timestamp of eight bytes to each record.

    Returns:
        int64 array of 256 lengths in bytes, indexed by record type; 0 for an unknown type.
    """
    lengths = np.zeros(256, np.int64)
    for rtype in _CLASSES:
        lengths[rtype] = wire_dtype(rtype, version).itemsize + (8 if ts_out else 0)
    return lengths


def rtype_name(rtype: int) -> str:
    """The name under which records of a type are counted: the schema, or the control message.

    Args:
        rtype: Record type byte.

    Returns:
        Such as ``mbp-10``, ``system`` or, for an unknown type, ``rtype-99``.
    """
    if rtype in CONTROL_RTYPES:
        return CONTROL_RTYPES[rtype]
    return next((schema for schema, value in RTYPES.items() if value == rtype), f"rtype-{rtype}")


def upgrade(records: Records, rtype: int) -> Records:
    """Copy records of any DBN version into the layout of DBN 3, as the vendor's decoder does.

    Args:
        records: Structured array in the wire layout of its file.
        rtype: Record type of all of them.

    Returns:
        A new structured array in the layout of ``current_dtype(rtype)``.
    """
    target = current_dtype(rtype)
    out = np.zeros(len(records), target)
    if rtype == RTYPES["definition"]:
        for name, default in _DEFINITION_DEFAULTS.items():
            out[name] = default
    for name in records.dtype.names or ():
        if name in (target.names or ()) and not name.startswith("_"):
            out[name] = records[name]
    out["length"] = target.itemsize // WORD_BYTES
    if rtype == RTYPES["statistics"] and records.dtype["quantity"].itemsize == 4:
        out["quantity"][records["quantity"] == _UNDEF_STAT_QUANTITY_V1] = UNDEF_STAT_QUANTITY
    return out
