"""Order-flow data platform for futures: Databento DBN in, a checked Parquet lake of order-flow tables out.

The rooms, lowest first: ``settings`` and ``errors``; ``calendar``; ``contracts``; ``lake`` (Parquet partitions on
disk); ``sources`` (files to typed columns); ``kernels`` (numba: arrays in, arrays out); ``transforms`` (polars:
tables in, tables out). On top of them stand the rooms that know Dagster: ``partitions``, ``io_managers``,
``lake_asset``, ``assets``, ``checks``, ``jobs``, ``build``, ``definitions`` and ``cli``.
"""

import os

# Polars' jemalloc makes four arenas a core, and each keeps the pages of its largest batch: memory would grow with the
# machine, not with the data. Pages given back lazily (MADV_FREE) would still count as ours. Polars adds its own options when
# it is first imported; whoever sets the variable decides.
os.environ.setdefault("_RJEM_MALLOC_CONF", "narenas:4,muzzy_decay_ms:0")
