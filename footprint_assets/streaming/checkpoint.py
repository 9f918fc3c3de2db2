"""The bytes of a checkpoint: a line that says what it is, its sha256, a JSON header, then npy arrays and Arrow frames.

Nothing is pickled, so reading one runs no code of its own. The hash tells a damaged file from a whole one. It is no
signature: whoever may write a checkpoint may write its hash too, so it belongs where only the process may write.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from footprint_assets.errors import FootprintError
from footprint_assets.streaming.state import Carrier, StateDiffers, Value, carried, resume

MAGIC = b"footprint-assets checkpoint 1\n"
_HASH = hashlib.sha256().digest_size
_SPARSE_FROM = 1024
"""Numbers of an integer array from which its zeros may be left out: a ring of prices is nearly all zeros."""

START_AGAIN = "drive the session again from its first record, or from a checkpoint of this code"


class CheckpointDamaged(FootprintError):  # noqa: N818 - names the fact a reader meets
    """Bytes that are no checkpoint, or no longer the ones that were written."""


class CheckpointOfOtherCode(FootprintError):  # noqa: N818 - names the fact a reader meets
    """A checkpoint of another version of the kernels, or of the libraries they run on: its numbers would not go on."""


class CheckpointOfOtherStream(FootprintError):  # noqa: N818 - names the fact a reader meets
    """A checkpoint of another contract, trade date, tick size or table contract."""


def save(carrier: Carrier, facts: Mapping[str, object]) -> bytes:
    """The checkpoint of a carrier.

    Args:
        carrier: What is to go on in another process.
        facts: What it is of, ``code`` among them; JSON.

    Returns:
        The bytes; equal facts and an equal state give equal bytes.
    """
    return pack(facts, carried(carrier))


def load(carrier: Carrier, facts: Mapping[str, object], data: bytes) -> None:
    """Give a fresh carrier the state of a checkpoint.

    Args:
        carrier: A carrier as it is before its first batch.
        facts: What it is of, ``code`` among them.
        data: The bytes of ``save``.

    Raises:
        CheckpointDamaged: If the bytes are not those of a checkpoint of such a carrier.
        CheckpointOfOtherCode: If other kernels or libraries wrote it.
        CheckpointOfOtherStream: If it is of something else.
    """
    written, values = unpack(data)
    if written.get("code") != facts["code"]:
        raise CheckpointOfOtherCode(
            "the checkpoint was written by another version of the code",
            where={"written": written.get("code"), "now": facts["code"]},
            remedy=START_AGAIN,
        )
    for name in sorted({*facts, *written}):
        if written.get(name) != facts.get(name):
            raise CheckpointOfOtherStream(
                "the checkpoint is of another stream",
                where={"fact": name, "checkpoint": written.get(name), "wanted": facts.get(name)},
                remedy=START_AGAIN,
            )
    try:
        resume(carrier, values)
    except StateDiffers as error:
        raise CheckpointDamaged(
            "the checkpoint does not hold such a state", where={"value": error.args[0]}, remedy=START_AGAIN
        ) from error


def pack(facts: Mapping[str, object], values: Mapping[str, Value]) -> bytes:
    """Write a checkpoint.

    Args:
        facts: What it is of; JSON.
        values: The state by path.

    Returns:
        The bytes; equal facts and values give equal bytes.
    """
    blobs, entries = [], {}
    for path in sorted(values):
        entries[path], blob = _packed(values[path])
        blobs.append(blob)
    header = json.dumps({"facts": facts, "values": entries}, sort_keys=True).encode()
    body = b"".join([len(header).to_bytes(8, "little"), header, *blobs])
    return MAGIC + hashlib.sha256(body).digest() + body


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Value]]:
    """Read a checkpoint.

    Args:
        data: The bytes of ``pack``.

    Returns:
        Facts and values.

    Raises:
        CheckpointDamaged: If the bytes are not those that ``pack`` gave.
    """
    start = len(MAGIC) + _HASH
    if not data.startswith(MAGIC):
        raise CheckpointDamaged("this is no checkpoint of format 1", remedy=START_AGAIN)
    body = data[start:]
    if hashlib.sha256(body).digest() != data[len(MAGIC) : start]:
        raise CheckpointDamaged(
            "the checkpoint is not the one that was written", where={"bytes": len(data)}, remedy=START_AGAIN
        )
    try:
        return _read(body)
    except (ValueError, LookupError, TypeError, EOFError, pl.exceptions.PolarsError) as error:
        raise CheckpointDamaged(
            "the checkpoint cannot be read", where={"error": type(error).__name__}, remedy=START_AGAIN
        ) from error


def _read(body: bytes) -> tuple[dict[str, Any], dict[str, Value]]:
    at = 8 + int.from_bytes(body[:8], "little")
    header = json.loads(body[8:at])
    values = {}
    for path in sorted(header["values"]):
        entry = header["values"][path]
        blob = body[at : at + entry.get("bytes", 0)]
        at += len(blob)
        values[path] = _unpacked(entry, blob)
    return dict(header["facts"]), values


def _packed(value: Value) -> tuple[dict[str, Any], bytes]:
    """What the header says of a value, and its bytes."""
    if isinstance(value, np.ndarray):
        flat = np.ascontiguousarray(value).reshape(-1)
        if flat.size >= _SPARSE_FROM and flat.dtype.kind == "i":
            places = np.flatnonzero(flat)
            if 2 * len(places) < flat.size:
                blob = _npy(places) + _npy(flat[places])
                entry = {"kind": "sparse", "bytes": len(blob), "shape": value.shape, "dtype": flat.dtype.str}
                return entry, blob
        blob = _npy(value)
        return {"kind": "array", "bytes": len(blob)}, blob
    if isinstance(value, pl.DataFrame):
        frame = io.BytesIO()
        value.rechunk().write_ipc(frame)
        return {"kind": "frame", "bytes": frame.tell()}, frame.getvalue()
    return {"kind": "plain", "value": value}, b""


def _unpacked(entry: Mapping[str, Any], blob: bytes) -> Value:
    match entry["kind"]:
        case "array":
            return _array(io.BytesIO(blob))
        case "sparse":
            parts = io.BytesIO(blob)
            places, numbers = _array(parts), _array(parts)
            out: NDArray[Any] = np.zeros(entry["shape"], entry["dtype"])
            out.reshape(-1)[places] = numbers
            return out
        case "frame":
            return pl.read_ipc(io.BytesIO(blob))
    value: Value = entry["value"]
    return value


def _npy(array: NDArray[Any]) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False)
    return out.getvalue()


def _array(source: io.BytesIO) -> NDArray[Any]:
    array: NDArray[Any] = np.lib.format.read_array(source, allow_pickle=False)
    return array
