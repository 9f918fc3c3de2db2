"""The words of the five-second bars of the book: the grid, the bands, and what is added up record by record.

What is averaged over time is in ``bar5s_states``, how it is averaged in ``bar5s_scan``; what is a function of a bar's last
ladder alone is in ``bar5s_ladder``.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from footprint_assets.kernels.book_events import LEVELS

BAR_NS = 5_000_000_000
POINT_NANOS = 1_000_000_000
BAND_POINTS: Final = (1, 2, 3, 5, 10)
BAND_EDGES = np.array(BAND_POINTS, np.int64) * POINT_NANOS
"""Upper edges of the bands by distance from the microprice, included; 1e-9 points."""
BANDS = 5
TICK_BANDS = 5
TICK_EDGES: Final = (1, 2, 4, 8, 10)
"""Last tick of every tick band, counted from the side's own best price as tick 1."""
SWEEP_CONTRACTS: Final = (50, 100, 200)
SWEEPS = 3
REPLENISH_NS = 1_000_000_000

# Layout of a bar's counts; [side] is [bid, ask].
MSG, CLEARS, ADDS, CANCELS, MODIFIES, TRADES, OTHERS = range(7)
TRADE_CNT, TRADE_VOL, TRADE_BUY, TRADE_SELL = range(7, 11)
SNAPSHOT, BAD_TS, BAD_BOOK, CLEAR_VOL, TRANSITIONS = range(11, 16)
FLOW = 16  # [added, removed][side][band]
FLOW_CNT = FLOW + 2 * 2 * BANDS  # [add, cancel, modify][side][band]
TICK_FLOW = FLOW_CNT + 3 * 2 * BANDS  # [add, fill, pull][side][tick band]
TICK_CNT = TICK_FLOW + 3 * 2 * TICK_BANDS  # [add, cancel][side][tick band]
SIDE_FLOW = TICK_CNT + 2 * 2 * TICK_BANDS  # [add, fill, pull][side]
BEST_FLOW = SIDE_FLOW + 3 * 2  # [add, fill, pull][side], at a best price that the record left where it was
REPLENISH = BEST_FLOW + 3 * 2  # [side]
ACTIVITY = REPLENISH + 2  # contracts added and pulled, times distance, times its square
OFI = ACTIVITY + 3  # [level]
COUNTS = OFI + LEVELS
ADD, FILL, PULL = range(3)
