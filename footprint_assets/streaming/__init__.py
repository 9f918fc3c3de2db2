"""The tables of the book made as its records come: the batch's kernels, fed an event or a few at a time.

Here lives what a process that follows the market needs beside the kernels: records put in order (``cleaner``) or taken as
they come (``intake``), tables handed out as they are complete (``driver``, ``followers``), a state that survives the
process (``state``, ``checkpoint``), and the proof that the result is the batch's, bit for bit (``parity``). No formula
lives here. The source of live records comes later.
"""

from __future__ import annotations

from footprint_assets.streaming.checkpoint import (
    CheckpointDamaged,
    CheckpointOfOtherCode,
    CheckpointOfOtherStream,
)
from footprint_assets.streaming.cleaner import Cleaner
from footprint_assets.streaming.driver import TABLES, Driver, DriverFinished
from footprint_assets.streaming.followers import Before, Followers

__all__ = [
    "TABLES",
    "Before",
    "CheckpointDamaged",
    "CheckpointOfOtherCode",
    "CheckpointOfOtherStream",
    "Cleaner",
    "Driver",
    "DriverFinished",
    "Followers",
]
