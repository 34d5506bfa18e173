"""What disaster recovery needs from outside.

Adapters: `clickhouse.py`, `files.py`, `gate.py` and `catalogue.py` (both over the key-value port);
in memory: `memory.py`, and the latter two over the key-value store in memory. One contract suite
for each port holds them together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from services.dr.manifest import StoredPosition
from services.dr.model import Backup, FileDigest, LogPosition, Restore, TableContent, TableShape


class BackupStore(Protocol):
    """The engine that holds the tables.

    Every method raises Unavailable while the engine does not answer. Databases that we create
    carry a tag; `drop` MUST leave alone what has another one.
    """

    @property
    def database(self) -> str:
        """The live database."""
        ...

    async def database_uuid(self, database: str) -> str | None:
        """Identity of a database, None when there is none of that name."""
        ...

    async def schema_version(self) -> int:
        """The highest migration of the live database, 0 without any."""
        ...

    async def create(self, database: str, *, tag: str) -> None:
        """Create an empty database. A second call with the same tag changes nothing.

        Raises:
            TargetExists: a database of that name with another tag exists.
        """
        ...

    async def clone(self, clones: str) -> None:
        """Clone every table of the live database into the empty database `clones`, in no time and
        without copying rows. From then on nothing changes the clones, merges included."""
        ...

    async def shapes(self, database: str) -> tuple[TableShape, ...]:
        """The tables of a database, ordered by name."""
        ...

    async def content(self, database: str, shape: TableShape) -> TableContent:
        """What a table holds; reads every column of every row.

        The hash MUST NOT depend on the order of rows or on parts, and MUST change when a row is
        there twice.

        Raises:
            UnreadableContent: the table or its data cannot be read.
        """
        ...

    async def intact(self, database: str, table: str) -> bool:
        """The engine's own check of every part of a table."""
        ...

    async def store(self, database: str, location: str) -> None:
        """Write all tables of a database to a place that MUST be empty; returns when written."""
        ...

    async def restore(self, location: str, *, source: str, target: str, tables: Sequence[str]) -> None:
        """Read tables, stored as those of `source`, into the database `target`, which must exist
        and be empty. Nothing merges or expires there until `release`.

        Raises:
            UnreadableContent: what is stored cannot be read.
        """
        ...

    async def release(self, database: str) -> None:
        """Let the engine merge and expire rows of a restored database."""
        ...

    async def drop(self, database: str, *, tag: str) -> None:
        """Drop a database with this tag; nothing happens when it is gone or has another tag.
        Waits for a store or restore of it that is still running."""
        ...


class FileStore(Protocol):
    """The backup store as files, where the engine writes them."""

    def location(self, backup_id: str) -> str:
        """Where the engine shall put a backup's files."""
        ...

    async def make_durable(self, backup_id: str) -> None:
        """Return when no power failure can take a backup's files away any more."""
        ...

    async def inventory(self, backup_id: str) -> tuple[FileDigest, ...]:
        """Every file of a backup with its digest, read in full, ordered by path."""
        ...

    async def write_manifest(self, backup_id: str, encoded: bytes) -> None:
        """Put the manifest beside the files; returns when it is durable."""
        ...

    async def read_manifest(self, backup_id: str) -> bytes:
        """The manifest as it is now.

        Raises:
            UnreadableContent: MANIFEST_MISSING.
        """
        ...

    async def delete(self, backup_id: str) -> None:
        """Remove a backup's files and its manifest; nothing happens when there are none."""
        ...


@dataclass(frozen=True, slots=True)
class PausedWriter:
    """Where the writer stands. `revision` of its position proves that no batch began since;
    None (and no position) when it has never written to this database. `answered` tells whether a
    running writer said so itself."""

    revision: int | None
    answered: bool
    positions: tuple[LogPosition, ...]
    stored_positions: tuple[StoredPosition, ...]


class WriterGate(Protocol):
    """Holds the region's writer between two batches."""

    async def pause(self, operation_id: str, *, database_uuid: str) -> PausedWriter:
        """Ask the writer to wait; it goes on by itself after a deadline, should we die.

        Raises:
            WriterNotPaused: it did not answer, and a batch is in flight.
            BackupUnderWay: another operation holds it.
        """
        ...

    async def still_paused(self, paused: PausedWriter, *, database_uuid: str) -> bool:
        """Whether no batch has begun since `pause`."""
        ...

    async def resume(self, operation_id: str) -> None:
        """Let the writer go on; nothing happens when this operation does not hold it."""
        ...

    async def hand_over(self, stored: Sequence[StoredPosition], *, database_uuid: str) -> None:
        """Write the positions for another database, whose writer will go on from there."""
        ...

    async def forget(self, database_uuid: str) -> None:
        """Remove the positions of a database that is about to be dropped."""
        ...


class Catalogue(Protocol):
    """What backups and restores there are. Durable before `save_*` returns."""

    async def backup(self, backup_id: str) -> Backup | None:
        """One backup."""
        ...

    async def backups(self) -> tuple[Backup, ...]:
        """All backups of the region, newest first."""
        ...

    async def save_backup(self, backup: Backup) -> None:
        """Write it, whatever was there."""
        ...

    async def restore(self, restore_id: str) -> Restore | None:
        """One restore."""
        ...

    async def restores(self) -> tuple[Restore, ...]:
        """All restores of the region, newest first."""
        ...

    async def save_restore(self, restore: Restore) -> None:
        """Write it, whatever was there."""
        ...


class History(Protocol):
    """A copy of the catalogue that can be queried; may lose entries, never fails."""

    async def record(self, entry: Backup | Restore) -> None:
        """Add what the catalogue says now."""
        ...
