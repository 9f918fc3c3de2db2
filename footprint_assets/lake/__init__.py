"""The lake: Hive-partitioned Parquet published whole or not at all, and read without ever mixing two generations.

Paths (`layout`), file-system calls (`fsops`), the commit protocol and its recovery (`commit`), manifests, Parquet
form, the stage a writer fills, pinned reads and the scrub live here. No Dagster and no market logic: contracts arrive
as pyarrow schemas, so that the command line, notebooks and training use the same doors.
"""

from footprint_assets.lake.commit import Recovery
from footprint_assets.lake.errors import (
    ConservationBroken,
    InvalidPath,
    LakeError,
    PartitionBusy,
    PartitionCorrupt,
    PartitionMissing,
    PartitionTorn,
    PartitionUnreadable,
    PublishInterrupted,
    SchemaMismatch,
    StageClosed,
    WriteFailed,
)
from footprint_assets.lake.layout import remedy_for
from footprint_assets.lake.manifest import FileEntry, InputRef, Lineage, Manifest, SourceRef
from footprint_assets.lake.reader import Partition, Snapshot, Span
from footprint_assets.lake.scrub import Finding
from footprint_assets.lake.store import Lake
from footprint_assets.lake.writer import Publication, Stage

__all__ = [
    "ConservationBroken",
    "FileEntry",
    "Finding",
    "InputRef",
    "InvalidPath",
    "Lake",
    "LakeError",
    "Lineage",
    "Manifest",
    "Partition",
    "PartitionBusy",
    "PartitionCorrupt",
    "PartitionMissing",
    "PartitionTorn",
    "PartitionUnreadable",
    "Publication",
    "PublishInterrupted",
    "Recovery",
    "SchemaMismatch",
    "Snapshot",
    "SourceRef",
    "Span",
    "Stage",
    "StageClosed",
    "WriteFailed",
    "remedy_for",
]
