"""Order-flow data platform for futures: Databento DBN in, a checked Parquet lake of order-flow tables out.

The rooms, lowest first: ``settings`` and ``errors``; ``calendar``; ``contracts``; ``lake`` (Parquet partitions on
disk); ``sources`` (files to typed columns); ``kernels`` (numba: arrays in, arrays out); ``transforms`` (polars:
tables in, tables out). On top of them stand the rooms that know Dagster: ``partitions``, ``io_managers``,
``lake_asset``, ``assets``, ``checks``, ``jobs``, ``build``, ``definitions`` and ``cli``.
"""

import ctypes
import gc
import hashlib
import os
import platform
import sys
from pathlib import Path

# Polars' jemalloc makes four arenas a core, and each keeps the pages of its largest batch: memory would grow with the
# machine, not with the data. Pages given back lazily (MADV_FREE) would still count as ours. Polars adds its own options when
# it is first imported; whoever sets the variable decides.
os.environ.setdefault("_RJEM_MALLOC_CONF", "narenas:4,muzzy_decay_ms:0")


def _share_malloc_arenas() -> None:
    """Let all threads share two arenas of glibc's malloc.

    Each thread would get one of its own, up to eight a core, and every pass, decoder and encoder has its threads: after a
    day of two million book records they held half a gigabyte nobody used. ``MALLOC_ARENA_MAX`` says otherwise. (To give
    every large block back when it is freed would save a tenth more, and cost the book pass a sixth of its time.)
    """
    arena_max = -8  # M_ARENA_MAX of malloc.h
    if platform.libc_ver()[0] == "glibc" and "MALLOC_ARENA_MAX" not in os.environ:
        ctypes.CDLL(None).mallopt(arena_max, 2)


_share_malloc_arenas()


def _look_for_cycles_less_often() -> None:
    """Let Python look for cycles of garbage after 10,000 new objects, not 700.

    The graph and the events of a run are many small objects that stay: looking through them again and again took a quarter of
    the time to load the definitions and an eighth of a run. What is in no cycle, as frames and arrays are, is freed at once
    either way.
    """
    gc.set_threshold(10_000)


_look_for_cycles_less_often()


def _keep_compiled_kernels_apart() -> None:
    """Give every version of the kernels a cache of its own.

    Numba notices a change in the file of a compiled function, not in the files of the functions compiled into it: after
    an update it would run old code on new arrays.
    """
    package, code = Path(__file__).parent, hashlib.sha256()
    for file in sorted(package.glob("kernels/*.py")):
        code.update(file.read_bytes())
    version = f"kernels-{code.hexdigest()[:16]}"
    root = Path(os.environ.get("NUMBA_CACHE_DIR") or package / "__pycache__")
    cache = root if root.name == version else root / version  # a child process finds its parent's
    os.environ["NUMBA_CACHE_DIR"] = str(cache)
    if (numba := sys.modules.get("numba")) is not None:  # it read the environment when it was imported
        numba.config.CACHE_DIR = str(cache)


_keep_compiled_kernels_apart()
