"""The tables: cloned, hashed, backed up and restored by ClickHouse itself.

What matters here (all seen on the engine):
* `BACKUP_CREATED`, `RESTORED` and `count()` prove nothing: data with a flipped byte restores and
  counts. So `content` reads every column of every row.
* A merge changes rows (it folds the series table, it drops what its TTL ended), so merges stop in
  clones, scratch and new databases before their content is looked at; for a restore that means to
  create the tables first, stop merges, then bring the data.
* The hash of a row is sipHash128 over its RowBinary form, which has all lengths and NULL flags in
  it and every bit of a float. cityHash64 and sipHash64 over the columns themselves would not do:
  they hash NULL to NULL, and arrays without their lengths. The hashes of all rows are added up
  modulo 2^128: independent of order and parts, and two equal rows count twice (under XOR they
  would vanish).
"""

from collections.abc import Sequence
from typing import Any, NoReturn

from services.common.clickhouse import Database
from services.common.clickhouse_errors import ClickHouseFailure, TableExists, UnknownDatabase, UnknownTable
from services.common.clock import Clock
from services.common.errors import ThreeninesError, Unavailable
from services.dr.errors import TargetExists, UnreadableContent
from services.dr.model import TableContent, TableShape

ALGORITHM = "rowbinary-siphash128-sum"

# Not the content's fault: the engine has no room, no rights, or is doing something else.
_NOT_CONTENT = {
    "NOT_ENOUGH_SPACE",
    "CANNOT_RESERVE_SPACE",
    "CANNOT_WRITE_TO_FILE_DESCRIPTOR",
    "CONCURRENT_ACCESS_NOT_SUPPORTED",
    "PATH_ACCESS_DENIED",
    "TOO_MANY_PARTS",
    "TABLE_IS_READ_ONLY",
}
_SETTLE_POLL_S = 0.1
_SETTLE_S = 60.0
# Dropping a clone frees nothing but names; the guard against dropping large tables is not for it.
_NO_DROP_LIMIT = {"max_table_size_to_drop": 0, "max_partition_size_to_drop": 0}


class ClickHouseBackupStore:
    """`BackupStore` on ClickHouse. Names of databases and tables are ours and quoted."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    @property
    def database(self) -> str:
        """See `BackupStore.database`."""
        return self._db.name

    async def database_uuid(self, database: str) -> str | None:
        """See `BackupStore.database_uuid`."""
        found = await self._rows(
            "SELECT toString(uuid) FROM system.databases WHERE name = {name:String}", name=database
        )
        return str(found[0][0]) if found else None

    async def schema_version(self) -> int:
        """See `BackupStore.schema_version`."""
        try:
            found = await self._rows(f"SELECT max(version) FROM {_quoted(self.database)}.schema_migrations")
        except UnknownTable:
            return 0
        return int(found[0][0])

    async def create(self, database: str, *, tag: str) -> None:
        """See `BackupStore.create`."""
        try:
            await self._command(f"CREATE DATABASE {_quoted(database)} ENGINE = Atomic COMMENT {_text(tag)}")
        except TableExists as err:
            if await self._tag(database) != tag:
                raise TargetExists(
                    f"database {database} exists already",
                    next_step="Name another database, or drop that one first.",
                ) from err

    async def clone(self, clones: str) -> None:
        """See `BackupStore.clone`."""
        for shape in await self.shapes(self.database):
            name = f"{_quoted(clones)}.{_quoted(shape.table)}"
            source = f"{_quoted(self.database)}.{_quoted(shape.table)}"
            await self._command(f"CREATE TABLE {name} CLONE AS {source}")
            await self._command(f"SYSTEM STOP MERGES {name}")

    async def shapes(self, database: str) -> tuple[TableShape, ...]:
        """See `BackupStore.shapes`."""
        tables = await self._rows(
            "SELECT name, create_table_query FROM system.tables"
            " WHERE database = {name:String} AND engine LIKE '%MergeTree' ORDER BY name",
            name=database,
        )
        columns: dict[str, list[tuple[str, str]]] = {}
        for table, column, kind in await self._rows(
            "SELECT table, name, type FROM system.columns"
            " WHERE database = {name:String} AND default_kind NOT IN ('ALIAS', 'EPHEMERAL')"
            " ORDER BY table, position",
            name=database,
        ):
            columns.setdefault(str(table), []).append((str(column), str(kind)))
        return tuple(TableShape(str(name), tuple(columns[str(name)]), str(ddl)) for name, ddl in tables)

    async def content(self, database: str, shape: TableShape) -> TableContent:
        """See `BackupStore.content`."""
        columns = ", ".join(_quoted(name) for name, _ in shape.columns)
        try:
            rows = await self._rows(
                "SELECT count(), lower(hex(sum(reinterpretAsUInt128(sipHash128("
                f"formatRow('RowBinary', {columns})))))) FROM {_quoted(database)}.{_quoted(shape.table)}"
            )
        except (ClickHouseFailure, UnknownTable, UnknownDatabase) as err:
            _unreadable(err, f"table {shape.table} cannot be read")
        return TableContent(
            table=shape.table,
            row_count=int(rows[0][0]),
            stored_bytes=await self._stored_bytes(database, shape.table),
            content_hash=f"{ALGORITHM}:{rows[0][1]}",
        )

    async def intact(self, database: str, table: str) -> bool:
        """See `BackupStore.intact`."""
        answer = await self._command(
            f"CHECK TABLE {_quoted(database)}.{_quoted(table)}",
            settings={"check_query_single_value_result": 1},
        )
        return str(answer).strip() == "1"

    async def store(self, database: str, location: str) -> None:
        """See `BackupStore.store`."""
        tables = [_quoted(shape.table) for shape in await self.shapes(database)]
        listed = ", ".join(f"TABLE {_quoted(database)}.{table}" for table in tables)
        await self._command(f"BACKUP {listed} TO File({_text(location)})")

    async def restore(self, location: str, *, source: str, target: str, tables: Sequence[str]) -> None:
        """See `BackupStore.restore`."""
        pairs = [(f"{_quoted(source)}.{_quoted(t)}", f"{_quoted(target)}.{_quoted(t)}") for t in tables]
        listed = ", ".join(f"TABLE {stored} AS {new}" for stored, new in pairs)
        statement = f"RESTORE {listed} FROM File({_text(location)}) SETTINGS"
        try:
            await self._command(f"{statement} structure_only = 1")
            for _, new in pairs:
                await self._command(f"SYSTEM STOP MERGES {new}")
            await self._command(f"{statement} create_table = 0")
        except (ClickHouseFailure, UnknownTable, UnknownDatabase) as err:
            _unreadable(err, "the backup cannot be read back")

    async def release(self, database: str) -> None:
        """See `BackupStore.release`."""
        for shape in await self.shapes(database):
            await self._command(f"SYSTEM START MERGES {_quoted(database)}.{_quoted(shape.table)}")

    async def drop(self, database: str, *, tag: str) -> None:
        """See `BackupStore.drop`."""
        if await self._tag(database) != tag:
            return
        await self._settle(database)
        await self._command(f"DROP DATABASE IF EXISTS {_quoted(database)} SYNC", settings=_NO_DROP_LIMIT)

    async def _settle(self, database: str) -> None:
        """Wait until no statement that names the database is running: a BACKUP or RESTORE goes on
        in the server when the one who asked for it has died."""
        give_up_ns = self._clock.monotonic_ns() + round(_SETTLE_S * 1e9)
        while await self._busy(database):
            if self._clock.monotonic_ns() > give_up_ns:
                raise Unavailable(
                    f"ClickHouse is still working on database {database}", reason="DATABASE_BUSY"
                )
            await self._clock.sleep(_SETTLE_POLL_S)

    async def _busy(self, database: str) -> bool:
        found = await self._rows(
            "SELECT count() FROM system.processes WHERE query_kind IN ('Backup', 'Restore')"
            " AND position(query, {name:String}) > 0",
            name=_quoted(database),
        )
        return int(found[0][0]) > 0

    async def _tag(self, database: str) -> str | None:
        found = await self._rows(
            "SELECT comment FROM system.databases WHERE name = {name:String}", name=database
        )
        return str(found[0][0]) if found else None

    async def _stored_bytes(self, database: str, table: str) -> int:
        found = await self._rows(
            "SELECT sum(bytes_on_disk) FROM system.parts"
            " WHERE active AND database = {database:String} AND table = {table:String}",
            database=database,
            table=table,
        )
        return int(found[0][0])

    async def _rows(self, sql: str, **parameters: str) -> list[tuple[Any, ...]]:
        return await self._db.rows(sql, parameters)

    async def _command(self, sql: str, *, settings: dict[str, Any] | None = None) -> Any:
        return await self._db.command(sql, settings=settings or {}, in_database=False)


def _unreadable(err: ThreeninesError, what: str) -> NoReturn:
    if err.reason in _NOT_CONTENT:
        raise err
    raise UnreadableContent(f"{what}: {err.reason}", metadata={"clickhouse": err.reason}) from err


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
