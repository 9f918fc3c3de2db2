"""Databento-style day files: DBN 3 metadata, records, one checksummed zstd frame, published whole under the final name."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import numpy.typing as npt
import zstandard

from footprint_assets.calendar import utc_midnight_ns
from footprint_assets.sample.instruments import Instrument

DATASET = "GLBX.MDP3"
COMPRESSION_LEVEL = 1
"""Level 3 makes the files 2 % smaller and the whole run a third slower (measured on 3.1 M records)."""


@dataclass(frozen=True)
class _Interval:
    start_date: dt.date
    end_date: dt.date
    symbol: str


@dataclass(frozen=True)
class _Mapping:
    raw_symbol: str
    intervals: list[_Interval]


def file_name(schema: str, utc_day: dt.date) -> str:
    """The vendor's name of a day file, for example ``glbx-mdp3-20240617.mbp-10.dbn.zst``."""
    return f"glbx-mdp3-{utc_day:%Y%m%d}.{schema}.dbn.zst"


def metadata(
    schema: str, utc_day: dt.date, instruments: tuple[Instrument, ...], span: tuple[int, int] | None = None
) -> bytes:
    """Encoded DBN 3 metadata of a day file requested by parent symbol.

    Args:
        schema: DBN schema name.
        utc_day: The day the file covers.
        instruments: Every instrument of the file; each is mapped for exactly this day.
        span: The instants the market was recorded, ``[start, end)`` UTC ns, where that is less than the day.

    Returns:
        The bytes that precede the first record.
    """
    next_day = utc_day + dt.timedelta(days=1)
    first, last = span or (0, utc_midnight_ns(next_day))
    # The encoder takes any objects with these attributes; its stubs name their own mapping classes.
    mappings: list[Any] = [
        _Mapping(item.raw_symbol, [_Interval(utc_day, next_day, str(item.instrument_id))])
        for item in instruments
    ]
    header: bytes = dbn.Metadata(
        dataset=DATASET,
        start=max(utc_midnight_ns(utc_day), first),
        end=min(utc_midnight_ns(next_day), last),
        stype_in=dbn.SType.from_str("parent"),
        stype_out=dbn.SType.from_str("instrument_id"),
        schema=dbn.Schema.from_str(schema),
        symbols=sorted({f"{item.root}.FUT" for item in instruments}),
        mappings=mappings,
        version=3,
    ).encode()
    return header


class DayFile:
    """One day file being written; it appears under its name only when it is complete.

    Args:
        directory: Where the file goes.
        schema: DBN schema name.
        utc_day: The day the file covers.
        instruments: Every instrument of the file.
        span: The instants the market was recorded, where that is less than the day.
    """

    def __init__(
        self,
        directory: Path,
        schema: str,
        utc_day: dt.date,
        instruments: tuple[Instrument, ...],
        span: tuple[int, int] | None = None,
    ) -> None:
        self.path = directory / file_name(schema, utc_day)
        self._partial = self.path.with_name(f".{self.path.name}.partial")
        self._stream = self._partial.open("wb")
        self._frame = zstandard.ZstdCompressor(level=COMPRESSION_LEVEL, write_checksum=True).compressobj()
        self._stream.write(self._frame.compress(metadata(schema, utc_day, instruments, span)))

    def append(self, records: npt.NDArray[Any]) -> None:
        """Add records.

        Args:
            records: Wire records of the file's schema, in time order.
        """
        self._stream.write(self._frame.compress(np.ascontiguousarray(records).view(np.uint8).data))

    def publish(self) -> Path:
        """Finish the frame and give the file its final name."""
        self._stream.write(self._frame.flush())
        self._stream.close()
        self._partial.replace(self.path)
        return self.path

    def discard(self) -> None:
        """Drop an unfinished file."""
        self._stream.close()
        self._partial.unlink(missing_ok=True)
