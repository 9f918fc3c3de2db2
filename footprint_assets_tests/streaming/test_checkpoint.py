"""A checkpoint is the whole state and nothing else, and one that is not is told from one that is."""

from __future__ import annotations

import datetime as dt
import hashlib
import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footprint_assets import calendar as cme
from footprint_assets.streaming import (
    CheckpointDamaged,
    CheckpointOfOtherCode,
    CheckpointOfOtherStream,
    Driver,
    driver,
)
from footprint_assets.streaming.checkpoint import MAGIC, pack, unpack
from footprint_assets.streaming.state import carried
from footprint_assets_tests.kernels.bar5s_records import SYMBOL, TICK
from footprint_assets_tests.streaming.books import OPENED, SESSION, book

ROWS = book(29, 60)


@pytest.fixture(scope="module")
def data() -> bytes:
    opened = Driver(*OPENED)
    opened.push(ROWS)
    return opened.checkpoint()


def resealed(body: bytes) -> bytes:
    """A body with the hash that is right for it."""
    return MAGIC + hashlib.sha256(body).digest() + body


def body_of(data: bytes) -> bytes:
    return data[len(MAGIC) + hashlib.sha256().digest_size :]


def test_a_restored_driver_writes_the_bytes_it_was_restored_from(data: bytes) -> None:
    assert Driver.restore(data, *OPENED).checkpoint() == data


def test_the_same_records_in_the_same_pieces_give_the_same_bytes(data: bytes) -> None:
    opened = Driver(*OPENED)
    opened.push(ROWS)

    assert opened.checkpoint() == data


def test_a_checkpoint_is_small_and_holds_nothing_that_runs(data: bytes) -> None:
    assert len(data) < 100_000
    size = int.from_bytes(body_of(data)[:8], "little")
    kinds = {entry["kind"] for entry in json.loads(body_of(data)[8 : 8 + size])["values"].values()}
    assert kinds == {"array", "sparse", "plain"}


def test_all_kinds_of_values_come_back_as_they_were() -> None:
    values = {
        "ring": np.bincount([5, 900, 4_000], minlength=5_000).reshape(50, 100),
        "full": np.arange(2_000, dtype=np.int32),
        "floats": np.array([[0.0, -0.0, np.nan, 5e-324]]),
        "scalar": np.array(3),
        "none": None,
        "word": "ESH4",
        "number": 2**62,
        "frame": pl.DataFrame({"a": [1, None], "b": ["x", "y"]}),
    }

    facts, found = unpack(pack({"code": "x"}, values))

    assert facts == {"code": "x"}
    assert found.keys() == values.keys()
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
            assert found[name].tobytes() == value.tobytes(), name
        elif isinstance(value, pl.DataFrame):
            assert found[name].equals(value)
        else:
            assert found[name] == value


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_byte_changed_or_cut_off_is_damage(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data) - 1))
    changed = bytearray(data)
    changed[at] ^= draw.draw(st.integers(1, 255))
    for damaged in (bytes(changed), data[:at]):
        with pytest.raises(CheckpointDamaged, match="Remedy: drive the session again"):
            Driver.restore(damaged, *OPENED)


def test_a_state_of_another_shape_is_damage_even_under_a_right_hash(data: bytes) -> None:
    facts, values = unpack(data)
    clock = next(path for path in values if path.endswith("_state/clock"))
    for other in (np.zeros(2, np.int64), values[clock].astype(float), 7):
        with pytest.raises(CheckpointDamaged, match=clock):
            Driver.restore(pack(facts, values | {clock: other}), *OPENED)
    with pytest.raises(CheckpointDamaged, match=clock):
        Driver.restore(pack(facts, {path: v for path, v in values.items() if path != clock}), *OPENED)


def test_bytes_that_say_nothing_are_damage_even_under_a_right_hash() -> None:
    for body in (b"", b"\xff" * 40, (2).to_bytes(8, "little") + b"{}"):
        with pytest.raises(CheckpointDamaged):
            Driver.restore(resealed(body), *OPENED)


def test_a_checkpoint_of_other_code_is_refused(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "code", lambda *_: "0123456789abcdef")

    with pytest.raises(CheckpointOfOtherCode, match="now=0123456789abcdef"):
        Driver.restore(data, *OPENED)


@pytest.mark.parametrize(
    ("opened", "fact"),
    [
        ((SESSION, "ESM4", TICK), "symbol"),
        ((cme.session(dt.date(2023, 12, 27)), SYMBOL, TICK), "trade_date"),
        ((SESSION, SYMBOL, 2 * TICK), "tick_size_nanos"),
    ],
)
def test_a_checkpoint_of_another_stream_is_refused(data: bytes, opened: tuple, fact: str) -> None:
    with pytest.raises(CheckpointOfOtherStream, match=f"fact={fact}"):
        Driver.restore(data, *opened)


def test_what_is_carried_is_all_there_is(data: bytes) -> None:
    """Every array a stream's kernels keep is carried or scratch: none was forgotten."""
    restored = Driver.restore(data, *OPENED)
    paths = set(carried(restored))

    assert {path.split("/")[0] for path in paths} == {"_intake", "_reader", "_streams"}
    assert not [path for path in paths if path.endswith(("/tile", "/weights", "/rows"))]
    assert len(paths) > 40
