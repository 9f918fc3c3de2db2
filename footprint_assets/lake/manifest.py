"""What a partition says about itself: files and hashes, contract, lineage, conservation, publication.

Frozen records and their canonical JSON. A *generation* names the content of one partition: it follows from the file
hashes, the contract, the accounts and the lineage, but not from the run or a clock, so that an identical re-run gives
the same generation. A *publication* names the set of symbols that one materialisation of (table, dt) made public.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from collections.abc import Mapping

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from footprint_assets.lake.errors import PartitionTorn
from footprint_assets.lake.layout import part_number

Scalar = str | int | float | bool | None
_CONFIG = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_CONFIG)
class InputRef:
    """A partition that was read to make another.

    Args:
        table: Dataset key.
        dt: Trade date.
        symbol: Contract symbol.
        generation: Generation that was read.
    """

    table: str
    dt: dt.date
    symbol: str
    generation: str


@dataclass(frozen=True, config=_CONFIG)
class SourceRef:
    """A file from outside the lake that was read to make a partition.

    Args:
        name: File name.
        sha256: Hash of the file, hexadecimal.
        bytes: Size, bytes.
        pulled: When it was fetched, ISO 8601, where known. Not part of the identity.
        facts: Anything else worth keeping. Not part of the identity.
    """

    name: str
    sha256: str
    bytes: int
    pulled: str | None = None
    facts: dict[str, Scalar] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, config=_CONFIG)
class Lineage:
    """What a partition was made of, and by what.

    Args:
        inputs: Partitions read.
        sources: Outside files read.
        code_version: Version of the code that computed it.
        config_hash: Hash of the settings it depends on.
        run_id: The run that made it. Not part of the identity.
    """

    inputs: tuple[InputRef, ...] = ()
    sources: tuple[SourceRef, ...] = ()
    code_version: str = ""
    config_hash: str = ""
    run_id: str = ""

    def identity(self) -> dict[str, object]:
        """What decides whether work has to be done again, independent of order, run and clock."""
        return {
            "inputs": sorted([i.table, i.dt.isoformat(), i.symbol, i.generation] for i in self.inputs),
            "sources": sorted([s.name, s.sha256, s.bytes] for s in self.sources),
            "code_version": self.code_version,
            "config_hash": self.config_hash,
        }


@dataclass(frozen=True, config=_CONFIG)
class ContractRef:
    """The contract the rows satisfy.

    Args:
        name: Dataset key of the contract.
        version: Semantic version.
        fingerprint: Hash of everything in the contract that matters.
    """

    name: str
    version: str
    fingerprint: str


@dataclass(frozen=True, config=_CONFIG)
class FileEntry:
    """One file of a partition.

    Args:
        name: File name inside the partition.
        bytes: Size, bytes.
        rows: Rows (lines of a quarantine file).
        row_groups: Parquet row groups, 0 for other files.
        sha256: Hash of the content, hexadecimal.
        facts: Facts of a part, such as the source file it came from.
    """

    name: str
    bytes: int
    rows: int
    row_groups: int
    sha256: str
    facts: dict[str, Scalar] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True, config=_CONFIG)
class TimeRange:
    """First and last instant of a partition, from the Parquet statistics.

    Args:
        column: The first timestamp column of the contract.
        min_ns: Smallest value, ns since the epoch UTC.
        max_ns: Largest value, ns since the epoch UTC.
    """

    column: str
    min_ns: int
    max_ns: int


@dataclass(frozen=True, config=_CONFIG)
class PublicationRef:
    """The set of symbols a partition was published with.

    Args:
        id: Hash of the symbols and their generations.
        sequence: Number of the publication of this table and trade date, from 1; the largest is the newest.
        generations: Symbol to generation of every partition published together.
    """

    id: str
    sequence: int
    generations: dict[str, str]


@dataclass(frozen=True, config=_CONFIG)
class Manifest:
    """Everything known about one published partition.

    Args:
        table: Dataset key.
        dt: Trade date.
        symbol: Contract symbol.
        generation: Name of the content.
        contract: The contract the rows satisfy.
        files: Parquet parts in order of their number.
        quarantine: The quarantine file, if any row was set aside.
        rows_in: Rows read to make the partition; 0 where the table keeps no accounts (aggregates).
        filtered: Rows left out, by named rule.
        notes: Facts about the partition.
        time_range: First and last instant, if the contract has a timestamp column and there are rows.
        lineage: What it was made of.
        publication: The symbols it was published with.
        writers: Versions of the libraries that wrote the files.
    """

    table: str
    dt: dt.date
    symbol: str
    generation: str
    contract: ContractRef
    files: tuple[FileEntry, ...]
    quarantine: FileEntry | None
    rows_in: int
    filtered: dict[str, int]
    notes: dict[str, object]
    time_range: TimeRange | None
    lineage: Lineage
    publication: PublicationRef
    writers: dict[str, str]

    @property
    def rows(self) -> int:
        """Rows of all parts."""
        return sum(entry.rows for entry in self.files)

    @property
    def bytes(self) -> int:
        """Size of all files, bytes."""
        return sum(entry.bytes for entry in self.all_files)

    @property
    def quarantined(self) -> int:
        """Rows set aside in the quarantine file."""
        return self.quarantine.rows if self.quarantine else 0

    @property
    def contract_fingerprint(self) -> str:
        """Fingerprint of the contract the rows satisfy."""
        return self.contract.fingerprint

    @property
    def all_files(self) -> tuple[FileEntry, ...]:
        """Parts and quarantine file."""
        return (*self.files, self.quarantine) if self.quarantine else self.files

    @property
    def parts(self) -> tuple[int, ...]:
        """Numbers of the parts that hold rows."""
        numbers = ((part_number(entry.name), entry.rows) for entry in self.files)
        return tuple(number for number, rows in numbers if number is not None and rows)

    def to_json(self) -> str:
        """The manifest as canonical JSON."""
        return canonical_json(_MANIFEST.dump_python(self, mode="json")).decode()

    def ref(self) -> InputRef:
        """This partition as the input of another."""
        return InputRef(table=self.table, dt=self.dt, symbol=self.symbol, generation=self.generation)


_MANIFEST = TypeAdapter(Manifest)


def parse_manifest(data: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        PartitionTorn: The data is not a manifest this version can read.
    """
    try:
        return _MANIFEST.validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise PartitionTorn(
            "the manifest does not have the expected form",
            where={"field": ".".join(str(name) for name in first["loc"]), "problem": first["msg"]},
        ) from error


def canonical_json(value: object) -> bytes:
    """Encode plain data: sorted keys, one spelling, a final line break; NaN and infinity are refused."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, indent=1)
    return f"{text}\n".encode()


def sha256(data: bytes) -> str:
    """Hash of bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def generation_of(
    key: tuple[str, dt.date, str],
    contract: ContractRef,
    files: tuple[FileEntry, ...],
    lineage: Lineage,
    accounts: Mapping[str, object],
) -> str:
    """Name the content of a partition.

    Args:
        key: Table, trade date and symbol.
        contract: The contract the rows satisfy.
        files: Parts and quarantine file.
        lineage: What it was made of.
        accounts: Conservation facts.

    Returns:
        A sha256, hexadecimal, equal for an identical re-run.
    """
    identity = {
        "key": [key[0], key[1].isoformat(), key[2]],
        "contract": [contract.name, contract.version, contract.fingerprint],
        "files": [[entry.name, entry.sha256] for entry in files],
        "lineage": lineage.identity(),
        "accounts": accounts,
    }
    return sha256(canonical_json(identity))


def publication_of(generations: Mapping[str, str], sequence: int) -> PublicationRef:
    """Name a set of symbols published together."""
    ordered = dict(sorted(generations.items()))
    return PublicationRef(id=sha256(canonical_json(ordered)), sequence=sequence, generations=ordered)


def newest(manifests: Mapping[str, Manifest]) -> dict[str, Manifest] | None:
    """The partitions of the newest publication that is whole.

    While a publication of several symbols is under way its first directories are already in place; the one before it
    stays the answer for as long as all of its partitions are there.

    Args:
        manifests: Every manifest of a table's trade date, by symbol.

    Returns:
        Symbol to manifest, sorted by symbol, or ``None`` where no publication is whole.
    """
    publications = sorted(
        {m.publication.sequence: m.publication for m in manifests.values()}.items(), reverse=True
    )
    for _, publication in publications:
        if all(
            symbol in manifests and manifests[symbol].generation == generation
            for symbol, generation in publication.generations.items()
        ):
            return {symbol: manifests[symbol] for symbol in publication.generations}
    return None
