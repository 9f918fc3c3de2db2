"""The order of a book's ladders: which rows cannot be the state of a book."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from footprint_assets.kernels.book_events import UNDEF_PRICE

Int64 = NDArray[np.int64]


@njit(cache=True, nogil=True)
def _disordered_bids(nearer: Int64, deeper: Int64, broken: NDArray[np.bool_]) -> None:
    for i in range(len(broken)):
        falls = (deeper[i] < nearer[i]) & (nearer[i] != UNDEF_PRICE)
        broken[i] |= (deeper[i] != UNDEF_PRICE) & (not falls)


@njit(cache=True, nogil=True)
def _disordered_asks(nearer: Int64, deeper: Int64, broken: NDArray[np.bool_]) -> None:
    for i in range(len(broken)):
        # No price is above an undefined one, so that a hole is one that does not rise.
        broken[i] |= (deeper[i] != UNDEF_PRICE) & (deeper[i] <= nearer[i])


@njit(cache=True, nogil=True)
def _half_defined(price: Int64, size: NDArray[Any], broken: NDArray[np.bool_]) -> None:
    for i in range(len(broken)):
        broken[i] |= (price[i] != UNDEF_PRICE) != (size[i] > 0)


@njit(cache=True, nogil=True)
def broken_ladders(
    bid_px: tuple[Int64, ...],
    bid_sz: tuple[NDArray[Any], ...],
    ask_px: tuple[Int64, ...],
    ask_sz: tuple[NDArray[Any], ...],
) -> NDArray[np.bool_]:
    """Find the rows whose bids do not fall or asks not rise, with a hole, or with a price or a size alone.

    Args:
        bid_px: Bid prices, the nearest level first, each of shape ``(n,)``; 1e-9 points, ``UNDEF_PRICE`` where absent.
        bid_sz: Bid sizes of the same levels, each of shape ``(n,)``, contracts.
        ask_px: Ask prices; see ``bid_px``.
        ask_sz: Ask sizes; see ``bid_sz``.

    Returns:
        bool ``(n,)``, true where a defined level is not strictly beyond a defined one before it, and where a size is
        positive without a price or a price is there without one.
    """
    broken = np.zeros(len(bid_px[0]), np.bool_)
    for level in range(len(bid_px)):
        _half_defined(bid_px[level], bid_sz[level], broken)
        _half_defined(ask_px[level], ask_sz[level], broken)
    for level in range(1, len(bid_px)):
        _disordered_bids(bid_px[level - 1], bid_px[level], broken)
        _disordered_asks(ask_px[level - 1], ask_px[level], broken)
    return broken
