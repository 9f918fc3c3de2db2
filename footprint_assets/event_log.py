"""Where Dagster keeps its runs: its own SQLite files, held open between two events.

Dagster opens a database anew, and compiles the statement anew, for each of the thousand events of a trade date; and it
works out partition by partition where a check passed (`check_states`). Processes that begin together open the files one
after the other. Nothing else is different: the same files in the same
place, which any other Dagster storage of this kind reads.
"""

from __future__ import annotations

import fcntl
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dagster import AssetCheckKey, PartitionsDefinition
from dagster._core.storage.asset_check_state import AssetCheckState
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData

from footprint_assets.check_states import check_states

OPEN_FILES = 4
"""Databases held open: the index and the newest runs."""


class OpenEventLogStorage(SqliteEventLogStorage):
    """The event log of Dagster's SQLite storage, its newest files held open."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, sa.Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[sa.Connection]:
        with self._db_lock, self._engine(shard).begin() as connection:
            yield connection

    def _engine(self, shard: str) -> sa.Engine:
        engine = self._engines.get(shard)
        if engine is None:
            engine = sa.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=sa.StaticPool,  # the lock leaves it to one thread at a time
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
            )
            sa.event.listen(engine, "connect", _without_sync)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        while len(self._engines) > OPEN_FILES:
            self._engines.popitem(last=False)[1].dispose()
        return engine

    def get_asset_check_state(
        self, keys: Sequence[tuple[AssetCheckKey, PartitionsDefinition[str] | None]]
    ) -> Mapping[AssetCheckKey, AssetCheckState]:
        """In which partitions each check passed."""
        if any(definition is None for _, definition in keys):
            return super().get_asset_check_state(keys)
        return check_states(self._instance, keys)

    def dispose(self) -> None:
        """Close the files."""
        with self._db_lock:
            while self._engines:
                self._engines.popitem()[1].dispose()
        super().dispose()


def _without_sync(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
    # With a write-ahead log a power cut may then take the last events with it, but not the file.
    connection.execute("PRAGMA synchronous=NORMAL")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let one process after the other open, and where they are not there create, the databases of a directory.

    Two that create one at the same moment both write its revision, after which nobody can open it any more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "storage.lock").open("ab") as file:  # given back when it is closed, or its process ends
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class OpenSqliteStorage(DagsterSqliteStorage):
    """Dagster's SQLite storage with :class:`OpenEventLogStorage`.

    Args:
        base_dir: Directory of the instance.
        inst_data: How Dagster makes the storage again in another process.
    """

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        with _alone_in(Path(base_dir)):
            super().__init__(base_dir, inst_data)
            self._event_log_storage = OpenEventLogStorage(self._event_log_storage._base_dir)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]
    ) -> OpenSqliteStorage:
        """Make the storage from the instance's configuration."""
        return cls.from_local(inst_data=inst_data, **config_value)
