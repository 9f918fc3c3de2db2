"""What can go wrong in the lake, by name. No message carries file content."""

# ruff: noqa: N818 - the names state the fact a caller meets (PartitionMissing), as in the rest of the project.

from __future__ import annotations

from footprint_assets.errors import FootprintError


class LakeError(FootprintError):
    """The base of every error of the lake."""


class InvalidPath(LakeError, ValueError):
    """A table key, trade date or symbol that may not become a path, or a path that leaves the lake."""


class SchemaMismatch(LakeError):
    """Rows whose names, order, types or nulls are not the contract's."""


class ConservationBroken(LakeError):
    """Rows read are not rows written + quarantined + filtered by a named rule."""


class StageClosed(LakeError):
    """A stage was used after it was published, discarded or broken by an earlier error, or holds nothing."""


class WriteFailed(LakeError):
    """The file system refused a write; the published partition is as it was."""


class PublishInterrupted(LakeError):
    """A publication of several directories stopped in the middle; recovery will finish it."""


class PartitionBusy(LakeError, TimeoutError):
    """Another process held the table's trade date longer than the timeout."""


class PartitionMissing(LakeError, FileNotFoundError):
    """Nothing is published for the table, trade date and symbol."""


class PartitionUnreadable(LakeError):
    """The base of errors about a published partition that must not be read."""


class PartitionTorn(PartitionUnreadable):
    """A directory whose marker, manifest and files do not belong together."""


class PartitionCorrupt(PartitionUnreadable):
    """A file whose content is not what the manifest recorded."""
