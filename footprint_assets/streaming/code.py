"""Which code and which libraries a checkpoint was written by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numba
import numpy as np
import polars as pl

from footprint_assets.code_version import code_version
from footprint_assets.source_digest import digest


@cache
def code(*functions: Callable[..., object]) -> str:
    """The version of what some numbers depend on.

    Args:
        functions: What computes them; the compute modules they reach count.

    Returns:
        16 hexadecimal digits, of that code, of this room's, and of the versions of numba, NumPy and polars.
    """
    room = sorted(Path(__file__).parent.glob("*.py"))
    parts = [numba.__version__, np.__version__, pl.__version__, *map(code_version, functions)]
    parts += [digest(path.read_bytes()).code for path in room]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]
