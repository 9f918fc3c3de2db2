"""Equal rows of one event are counted, whatever stands between them; the order itself is tested with its stream."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets.kernels.event_order import earlier_equals


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 1)] * 5), max_size=20))
def test_the_earlier_rows_counted_are_those_equal_in_every_column(rows):
    rows.sort(key=lambda row: row[:2])
    ts_event, sequence, price, size, side = np.array(rows, np.int64).reshape(-1, 5).T.copy()
    found = earlier_equals(ts_event, sequence, price, size, side.astype(np.uint8))
    assert found.tolist() == [rows[:n].count(row) for n, row in enumerate(rows)]
