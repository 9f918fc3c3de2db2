"""VPIN: volume-synchronised probability of informed trading, from exact aggressor volumes.

Volume is cut into buckets of equal size; a trade is split exactly between the buckets it falls into. The state carries
the open bucket and the last completed ones, so that a session goes on where the one before it ended.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

BUCKETS = 50
"""Completed buckets VPIN averages (Easley, Lopez de Prado and O'Hara 2012)."""


@dataclass(frozen=True)
class VpinState:
    """The open bucket and the imbalances of the last completed ones.

    Args:
        imbalance: |buys - sells| of completed buckets, contracts, a ring; int64[buckets].
        open_bucket: ``[buys, sells, buckets completed so far]``; int64[3].
    """

    imbalance: Int64
    open_bucket: Int64

    @classmethod
    def empty(cls, buckets: int = BUCKETS) -> VpinState:
        """Nothing traded yet."""
        return cls(np.zeros(buckets, np.int64), np.zeros(3, np.int64))


@njit(cache=True, nogil=True)
def _advance(buys, sells, volume, ring, opened, row, value):  # type: ignore[no-untyped-def]
    done, length = 0, ring.shape[0]
    for i in range(buys.shape[0]):
        buy, sell = buys[i], sells[i]
        while buy + sell > 0:
            room = volume - opened[0] - opened[1]
            took_buy, took_sell = buy, sell
            if buy + sell > room:  # the share of buys stays that of the print
                took_buy = buy * room // (buy + sell)
                took_sell = room - took_buy
                if took_sell > sell:
                    took_sell = sell
                    took_buy = room - sell
            opened[0] += took_buy
            opened[1] += took_sell
            buy -= took_buy
            sell -= took_sell
            if opened[0] + opened[1] == volume:
                ring[opened[2] % length] = abs(opened[0] - opened[1])
                opened[2] += 1
                opened[0] = opened[1] = 0
                if opened[2] >= length:
                    total = np.int64(0)
                    for j in range(length):
                        total += ring[j]
                    value[done] = total / (length * volume)
                else:
                    value[done] = np.nan
                row[done] = i
                done += 1
    return done


def vpin(buys: Int64, sells: Int64, bucket_volume: int, state: VpinState) -> tuple[Int64, Float64]:
    """Cut volume into buckets and average their imbalance.

    Args:
        buys: Buyer-initiated volume of every print, contracts, shape ``(prints,)``. A print may be one trade (one of
            the two is 0) or a span of them, whose share of buys is kept (to whole contracts) where it is split.
        sells: Seller-initiated volume of every print, contracts.
        bucket_volume: Size of a bucket, contracts, at least 1.
        state: Carried state, advanced in place.

    Returns:
        ``(row, value)`` of every bucket completed: the print that completed it, and VPIN = mean |buys - sells| / volume
        of the last ``len(state.imbalance)`` buckets, in [0, 1]; NaN while fewer were completed.
    """
    total = int(buys.sum() + sells.sum() + state.open_bucket[:2].sum())
    row, value = np.empty(total // bucket_volume, np.int64), np.empty(total // bucket_volume)
    done = _advance(buys, sells, bucket_volume, state.imbalance, state.open_bucket, row, value)
    assert done == len(row), "every contract lies in one bucket"
    return row, value
