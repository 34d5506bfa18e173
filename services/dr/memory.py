"""The ports in memory: for tests, and for trying the service without an engine.

Rows are opaque bytes. `MemoryBackupStore` writes its backups through `MemoryFileStore`, one file a
table, so that damage to a file is seen the same way as on the real ones. The gate and the
catalogue need none: they are over the key-value port, which has its own memory.
"""

import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from services.dr.errors import TargetExists, UnreadableContent
from services.dr.model import Backup, FileDigest, Restore, TableContent, TableShape

_MANIFEST = "manifest.json"
_COLUMNS = (("row", "String"),)


@dataclass(slots=True)
class MemoryDatabase:
    """A database: rows by table."""

    tag: str
    tables: dict[str, list[bytes]]
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    damaged: set[str] = field(default_factory=set)


class MemoryFileStore:
    """`FileStore` in memory; `files` is {location/path: bytes} and may be damaged at will."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def location(self, backup_id: str) -> str:
        """See `FileStore.location`."""
        return f"{backup_id}/data"

    async def make_durable(self, backup_id: str) -> None:
        """See `FileStore.make_durable`; memory has nothing to sync."""

    async def inventory(self, backup_id: str) -> tuple[FileDigest, ...]:
        """See `FileStore.inventory`."""
        start = self.location(backup_id) + "/"
        return tuple(
            FileDigest(path.removeprefix(start), len(content), hashlib.sha256(content).hexdigest())
            for path, content in sorted(self.files.items())
            if path.startswith(start)
        )

    async def write_manifest(self, backup_id: str, encoded: bytes) -> None:
        """See `FileStore.write_manifest`."""
        self.files[f"{backup_id}/{_MANIFEST}"] = encoded

    async def read_manifest(self, backup_id: str) -> bytes:
        """See `FileStore.read_manifest`."""
        try:
            return self.files[f"{backup_id}/{_MANIFEST}"]
        except KeyError as err:
            raise UnreadableContent(f"{_MANIFEST} is missing", reason="MANIFEST_MISSING") from err

    async def delete(self, backup_id: str) -> None:
        """See `FileStore.delete`."""
        for path in [path for path in self.files if path.startswith(f"{backup_id}/")]:
            del self.files[path]


class MemoryBackupStore:
    """`BackupStore` in memory."""

    def __init__(self, files: MemoryFileStore, database: str = "threenines") -> None:
        self._files = files
        self._database = database
        self.databases = {database: MemoryDatabase("", {})}

    @property
    def database(self) -> str:
        """See `BackupStore.database`."""
        return self._database

    async def database_uuid(self, database: str) -> str | None:
        """See `BackupStore.database_uuid`."""
        held = self.databases.get(database)
        return None if held is None else held.uuid

    async def schema_version(self) -> int:
        """See `BackupStore.schema_version`."""
        return 1

    async def create(self, database: str, *, tag: str) -> None:
        """See `BackupStore.create`."""
        held = self.databases.setdefault(database, MemoryDatabase(tag, {}))
        if held.tag != tag:
            raise TargetExists(f"database {database} exists already")

    async def clone(self, clones: str) -> None:
        """See `BackupStore.clone`."""
        live = self.databases[self._database].tables
        self.databases[clones].tables = {table: list(rows) for table, rows in live.items()}

    async def shapes(self, database: str) -> tuple[TableShape, ...]:
        """See `BackupStore.shapes`."""
        tables = self.databases[database].tables if database in self.databases else {}
        return tuple(TableShape(table, _COLUMNS, f"CREATE TABLE {table}") for table in sorted(tables))

    async def content(self, database: str, shape: TableShape) -> TableContent:
        """See `BackupStore.content`."""
        held = self.databases.get(database)
        if held is None or shape.table not in held.tables:
            raise UnreadableContent(f"table {shape.table} cannot be read: it is not there")
        rows = held.tables[shape.table]
        total = sum(int.from_bytes(hashlib.sha256(row).digest()[:16], "little") for row in rows)
        return TableContent(
            table=shape.table,
            row_count=len(rows),
            stored_bytes=sum(map(len, rows)),
            content_hash=f"memory:{total % (1 << 128):032x}",
        )

    async def intact(self, database: str, table: str) -> bool:
        """See `BackupStore.intact`."""
        return table not in self.databases[database].damaged

    async def store(self, database: str, location: str) -> None:
        """See `BackupStore.store`."""
        for table, rows in self.databases[database].tables.items():
            encoded = json.dumps([row.hex() for row in rows]).encode()
            self._files.files[f"{location}/data/{database}/{table}/rows"] = encoded

    async def restore(self, location: str, *, source: str, target: str, tables: Sequence[str]) -> None:
        """See `BackupStore.restore`."""
        for table in tables:
            encoded = self._files.files.get(f"{location}/data/{source}/{table}/rows")
            if encoded is None:
                raise UnreadableContent(f"the backup cannot be read back: no {table}")
            try:
                rows = [bytes.fromhex(row) for row in json.loads(encoded)]
            except ValueError as err:
                raise UnreadableContent(f"the backup cannot be read back: {table}") from err
            self.databases[target].tables[table] = rows

    async def release(self, database: str) -> None:
        """See `BackupStore.release`; nothing merges here."""

    async def drop(self, database: str, *, tag: str) -> None:
        """See `BackupStore.drop`."""
        if database in self.databases and self.databases[database].tag == tag:
            del self.databases[database]


class MemoryHistory:
    """`History` in memory."""

    def __init__(self) -> None:
        self.entries: list[Backup | Restore] = []

    async def record(self, entry: Backup | Restore) -> None:
        """See `History.record`."""
        self.entries.append(entry)
