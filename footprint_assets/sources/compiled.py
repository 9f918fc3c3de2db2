"""One typed way to compile a loop of this room with numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(function: Function) -> Function:
    """Compile with numba, cached on disk and free of the interpreter lock, and keep the signature for the checker.

    Args:
        function: A loop over numpy arrays and integers.

    Returns:
        The compiled function.
    """
    return cast(Function, numba.njit(cache=True, nogil=True)(function))
