"""Numbered schema migrations: the same tables wherever the suite runs.

Any service may run them, at any time and several at once, so every statement must be idempotent
(`IF NOT EXISTS`). A statement ends at a line that ends with a semicolon. What has been applied is
recorded with a checksum: a file that changed afterwards, or a schema of a newer release, is
refused before anything is touched. What the tables mean is not known here.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import pairwise

from services.common.clickhouse import Database
from services.common.clickhouse_errors import TableExists
from services.common.clock import Clock
from services.common.errors import FailedPrecondition, InvalidArgument

_FILE = re.compile(r"^(\d{4})_([a-z0-9_]+)\.sql$")
_DATABASE = re.compile(r"^[A-Za-z0-9_]{1,63}$")
_RECORD_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version UInt32,
    name String,
    checksum String,
    applied_at DateTime64(3, 'UTC')
) ENGINE = ReplacingMergeTree ORDER BY (version, checksum)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: `version` orders it, `checksum` covers the statements without comments."""

    version: int
    name: str
    statements: tuple[str, ...]
    checksum: str


def load_migrations(directory: Traversable | None = None) -> tuple[Migration, ...]:
    """The migrations of a directory in order; without one, those of this release.

    Raises:
        InvalidArgument: BAD_MIGRATION; a file name is not NNNN_name.sql, a number is there twice,
            or the text after the last semicolon is not empty.
    """
    source = directory if directory is not None else files("services.common") / "schema"
    found = [_read(entry) for entry in source.iterdir() if entry.name.endswith(".sql")]
    found.sort(key=lambda migration: migration.version)
    for earlier, later in pairwise(found):
        if earlier.version == later.version:
            raise InvalidArgument(
                f"migrations {earlier.name} and {later.name} have the same number", reason="BAD_MIGRATION"
            )
    return tuple(found)


async def migrate(database: Database, migrations: Sequence[Migration], clock: Clock) -> tuple[int, ...]:
    """Bring the schema to this release; the versions that this call applied.

    Raises:
        FailedPrecondition: SCHEMA_NEWER, the database knows a migration that this release does
            not; SCHEMA_CHANGED, an applied migration has another text now.
        Unavailable: CLICKHOUSE_UNAVAILABLE; call again, what is done stays done.
    """
    await _create_database(database)
    await database.command(_RECORD_TABLE)
    applied = await _applied(database)
    _compare(applied, migrations)
    done = []
    for migration in migrations:
        if migration.version in applied:
            continue
        for statement in migration.statements:
            await database.command(statement)
        await _record(database, migration, clock)
        done.append(migration.version)
    return tuple(done)


async def _create_database(database: Database) -> None:
    if not _DATABASE.match(database.name):
        raise InvalidArgument("a database name has only letters, digits and _", reason="BAD_DATABASE_NAME")
    try:
        await database.command(
            f"CREATE DATABASE IF NOT EXISTS `{database.name}` ENGINE = Atomic", in_database=False
        )
    except TableExists:
        return  # another service made it between the check and the creation


async def _applied(database: Database) -> dict[int, set[str]]:
    rows = await database.rows(
        "SELECT version, groupUniqArray(checksum) FROM schema_migrations GROUP BY version"
    )
    return {int(version): set(checksums) for version, checksums in rows}


def _compare(applied: Mapping[int, set[str]], migrations: Sequence[Migration]) -> None:
    known = {migration.version: migration for migration in migrations}
    if newer := sorted(set(applied) - set(known)):
        raise FailedPrecondition(
            f"the database has migrations that this release does not know: {', '.join(map(str, newer))}",
            reason="SCHEMA_NEWER",
            next_step="run a release at least as new as the one that made this database",
        )
    changed = [
        f"{version:04d}_{known[version].name}"
        for version, checksums in sorted(applied.items())
        if checksums != {known[version].checksum}
    ]
    if changed:
        raise FailedPrecondition(
            f"applied migrations have another text now: {', '.join(changed)}",
            reason="SCHEMA_CHANGED",
            next_step="restore the text of the migration and put the change into a new one",
        )


async def _record(database: Database, migration: Migration, clock: Clock) -> None:
    await database.command(
        "INSERT INTO schema_migrations (version, name, checksum, applied_at)"
        " SELECT {version:UInt32}, {name:String}, {checksum:String},"
        " fromUnixTimestamp64Milli({applied_ms:Int64}, 'UTC')",
        {
            "version": migration.version,
            "name": migration.name,
            "checksum": migration.checksum,
            "applied_ms": clock.now_ns() // 1_000_000,
        },
    )


def _read(entry: Traversable) -> Migration:
    match = _FILE.match(entry.name)
    if match is None:
        raise InvalidArgument(f"{entry.name} is not named NNNN_name.sql", reason="BAD_MIGRATION")
    statements = _statements(entry.name, entry.read_text(encoding="utf-8"))
    digest = hashlib.sha256("\n;\n".join(statements).encode()).hexdigest()
    return Migration(int(match[1]), match[2], statements, digest)


def _statements(name: str, text: str) -> tuple[str, ...]:
    """Statements without comment lines; a comment may change without changing the schema."""
    statements: list[str] = []
    lines: list[str] = []
    for line in text.splitlines():
        code = line.rstrip()
        if not code or code.lstrip().startswith("--"):
            continue
        lines.append(code.removesuffix(";"))
        if code.endswith(";"):
            statements.append("\n".join(lines).strip())
            lines = []
    if lines:
        raise InvalidArgument(f"{name} does not end with a semicolon", reason="BAD_MIGRATION")
    return tuple(statement for statement in statements if statement)
