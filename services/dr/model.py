"""Backups, restores and what they hold, as values.

Nothing here knows an engine, a file system or the wire. Times are Unix nanoseconds; a state is
where something is in its life, and only `plan.py` says how it gets from one to the next.
"""

from dataclasses import dataclass
from enum import StrEnum


class BackupState(StrEnum):
    """Where a backup is in its life."""

    CREATING = "creating"
    CREATED = "created"
    VERIFYING = "verifying"
    VERIFIED = "verified"
    BROKEN = "broken"
    FAILED = "failed"
    DELETED = "deleted"
    CANCELLED = "cancelled"


class RestoreState(StrEnum):
    """Where a restore is in its life."""

    PENDING = "pending"
    RESTORING = "restoring"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Trace(StrEnum):
    """What an operation may have left behind when it is cut off."""

    WRITER_PAUSE = "writer_pause"
    CLONES = "clones"
    CONTENT = "content"
    SCRATCH = "scratch"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something failed, and what to do next."""

    reason: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Everything of a stream up to and including `sequence`; 0 means before the first record."""

    stream: str
    incarnation: str
    sequence: int
    append_time_ns: int | None = None


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table without its rows: its name, its columns as (name, type) in order, its definition."""

    table: str
    columns: tuple[tuple[str, str], ...]
    ddl: str


@dataclass(frozen=True, slots=True)
class TableContent:
    """What a table holds. `content_hash` is `{algorithm}:{hex}` over every column of every row."""

    table: str
    row_count: int
    stored_bytes: int
    content_hash: str

    def same_as(self, other: "TableContent") -> bool:
        """Whether the rows are the same; the size in the engine does not count."""
        return (self.table, self.row_count, self.content_hash) == (
            other.table,
            other.row_count,
            other.content_hash,
        )


@dataclass(frozen=True, slots=True)
class TableDifference:
    """One table that is not what was backed up; the empty name stands for the backup as a whole."""

    table: str
    message: str
    expected: TableContent | None = None
    actual: TableContent | None = None


@dataclass(frozen=True, slots=True)
class FileDigest:
    """One file of a backup: its path below the backup's directory, size in bytes, SHA-256 in hex."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup as the catalogue has it.

    `manifest_sha256` protects the manifest, which in turn protects every file. `traces` is what a
    cut-off operation may have left and somebody must still remove.
    """

    backup_id: str
    region: str
    database: str
    state: BackupState
    created_ns: int
    comment: str = ""
    creator: str = ""
    request_id: str = ""
    verify: bool = False
    completed_ns: int | None = None
    verified_ns: int | None = None
    positions: tuple[LogPosition, ...] = ()
    tables: tuple[TableContent, ...] = ()
    size_bytes: int = 0
    schema_version: int = 0
    writer_pause_ns: int = 0
    manifest_sha256: str = ""
    differences: tuple[TableDifference, ...] = ()
    failure: Failure | None = None
    progress_percent: int = 0
    traces: tuple[Trace, ...] = ()

    @property
    def under_way(self) -> bool:
        """Whether something is being done with it."""
        return self.state in (BackupState.CREATING, BackupState.VERIFYING)


@dataclass(frozen=True, slots=True)
class Restore:
    """One restore as the catalogue has it; `traces` as in Backup."""

    restore_id: str
    region: str
    backup_id: str
    target_database: str
    state: RestoreState
    created_ns: int
    creator: str = ""
    request_id: str = ""
    ended_ns: int | None = None
    reached: tuple[LogPosition, ...] = ()
    tables: tuple[TableContent, ...] = ()
    differences: tuple[TableDifference, ...] = ()
    failure: Failure | None = None
    progress_percent: int = 0
    traces: tuple[Trace, ...] = ()

    @property
    def under_way(self) -> bool:
        """Whether it has not ended."""
        return self.state in (RestoreState.PENDING, RestoreState.RESTORING, RestoreState.VERIFYING)
