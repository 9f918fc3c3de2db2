"""Rows as they come: those that are late or come a second time are counted by name and left out.

A batch sees a whole delivery and can put a row back in its place. Here what was handed out is not taken back, so a row
after a later event is late at once. A source that delivers out of order is put in order before (``transforms.book``).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.kernels.book_events import UNDEF_PRICE
from footprint_assets.kernels.event_order import event_order, newest_of_none
from footprint_assets.transforms.deliveries import EVENT_ORDER

LATE, COPIED = "late_event", "redelivered_copy"
"""The names the batch's accounts use."""
IDENTITY = (*EVENT_ORDER, "flags", "price", "size")
"""What makes two rows the same record of one file."""
REMEMBERED = 512
"""Rows a late one is compared with: older ones count as late, not as copies."""

_AT_ONCE_NS = -1  # no row waits for an earlier one


class Intake:
    """Lets rows in that follow those before, and counts the others."""

    CARRIED: ClassVar[tuple[str, ...]] = ("_newest", "_recent", "_counts")

    def __init__(self) -> None:
        self._newest = newest_of_none()
        self._recent = np.empty((len(IDENTITY), 0), np.int64)
        self._counts = np.zeros(2, np.int64)

    @property
    def counts(self) -> dict[str, int]:
        """Rows left out so far, by name."""
        return dict(zip((LATE, COPIED), self._counts.tolist(), strict=True))

    def take(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that follow those before them.

        Args:
            rows: Rows with the columns of ``IDENTITY``, in any order.

        Returns:
            Those in event order, none a second time.
        """
        keys = np.stack([_numbers(rows[name]) for name in IDENTITY])
        keys.flags.writeable = (
            False  # as in the batch: for another kind of array the kernel is compiled again
        )
        late, _ = event_order(keys[0], keys[1], keys[2], keys[0], _AT_ONCE_NS, self._newest)
        known = self._recent.shape[1]
        again = sum(bool((self._recent == key[:, None]).all(axis=0).any()) for key in keys[:, late].T)
        self._recent = np.concatenate((self._recent, keys[:, ~late]), axis=1)
        repeats = (self._recent[:, 1:] == self._recent[:, :-1]).all(axis=0)
        copied = np.concatenate((np.zeros(1, np.bool_), repeats))[known : self._recent.shape[1]]
        self._counts += int(late.sum()) - again, again + int(copied.sum())
        self._recent = self._recent[:, -REMEMBERED:]
        if not late.any() and not copied.any():
            return rows
        is_kept = ~late
        is_kept[np.flatnonzero(is_kept)[copied]] = False
        return rows.filter(is_kept)

    def close(self, until_ns: int) -> None:
        """Let no row in any more that is from before an instant, ns since the epoch."""
        if until_ns > self._newest[0]:
            self._newest[:] = newest_of_none()
            self._newest[0] = until_ns


def _numbers(column: pl.Series) -> NDArray[np.int64]:
    # A query of polars, such as to_physical, would cost a single row more than all kernels.
    known = column.fill_null(int(UNDEF_PRICE)) if column.null_count() else column
    found = known.to_numpy()
    return found.view(np.int64) if found.dtype.kind == "M" else found.astype(np.int64)
