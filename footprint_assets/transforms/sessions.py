"""Session columns: where in its trade date an instant lies."""

from __future__ import annotations

import numpy as np
import polars as pl

from footprint_assets.calendar import Session, session_label_edges

SESSION_LABELS = ("ETH_ASIA", "ETH_LONDON", "RTH", "POST", "HOLIDAY", "CLOSED")


def session_columns(frame: pl.DataFrame, session: Session) -> pl.DataFrame:
    """Add the session columns to rows of one trade date.

    Args:
        frame: Rows with ``ts_event`` (Datetime ns, UTC).
        session: The CME session the rows belong to.

    Returns:
        The frame with ``ts_event_est`` (the same instant typed America/New_York), ``session_date``, ``session``,
        ``session_elapsed_ns`` (ns since the 18:00 ET open, negative before it) and ``is_rth``.
    """
    times = frame["ts_event"].to_physical().to_numpy()
    edges, labels = session_label_edges(session)
    codes = np.array([SESSION_LABELS.index(label) for label in labels], np.uint8)
    position = np.searchsorted(edges, times, side="right") - 1
    code = codes[np.clip(position, 0, len(codes) - 1)]
    is_rth = np.zeros(len(times), np.bool_)
    if session.rth_open_ns is not None and session.rth_close_ns is not None:
        is_rth = (times >= session.rth_open_ns) & (times < session.rth_close_ns)
    return frame.with_columns(
        pl.col("ts_event").dt.convert_time_zone("America/New_York").alias("ts_event_est"),
        pl.lit(session.trade_date).alias("session_date"),
        pl.Series("session", code).cat.to(pl.Enum(SESSION_LABELS)),
        pl.Series("session_elapsed_ns", times - session.open_ns),
        pl.Series("is_rth", is_rth),
    )
