"""The manifest of a backup: all that is needed to prove it and to go on from it.

It lies beside the backup's files as JSON; its own SHA-256 is kept in the catalogue. Pure: reads
and writes no file.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from services.dr.errors import UnreadableContent
from services.dr.model import FileDigest, LogPosition, TableContent, TableDifference, TableShape

MANIFEST_VERSION = 1


@dataclass(frozen=True, slots=True)
class StoredPosition:
    """A key of the positions bucket that belongs to the database, as it was.

    `suffix` and `prefix` are the parts of the key around the database's uuid.
    """

    prefix: str
    suffix: str
    value: Mapping[str, Any]

    def key(self, database_uuid: str) -> str:
        """The same position for another database."""
        return f"{self.prefix}{database_uuid}{self.suffix}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One backup. `stored_database` is the name that its tables have inside the backup."""

    backup_id: str
    region: str
    database: str
    database_uuid: str
    stored_database: str
    created_ns: int
    schema_version: int
    positions: tuple[LogPosition, ...]
    stored_positions: tuple[StoredPosition, ...]
    shapes: tuple[TableShape, ...]
    tables: tuple[TableContent, ...]
    files: tuple[FileDigest, ...]


def encode(manifest: Manifest) -> bytes:
    """As JSON; equal manifests give equal bytes."""
    body = {"version": MANIFEST_VERSION, **asdict(manifest)}
    return json.dumps(body, sort_keys=True, indent=1).encode()


def digest(encoded: bytes) -> str:
    """SHA-256 of an encoded manifest, hex."""
    return hashlib.sha256(encoded).hexdigest()


def decode(encoded: bytes, *, expected_sha256: str) -> Manifest:
    """The manifest that the catalogue vouches for.

    Raises:
        UnreadableContent: MANIFEST_DAMAGED, its digest is another; MANIFEST_TOO_NEW.
    """
    if digest(encoded) != expected_sha256:
        raise UnreadableContent("manifest.json is not the one that was sealed", reason="MANIFEST_DAMAGED")
    body = json.loads(encoded)
    version = body.pop("version")
    if version != MANIFEST_VERSION:
        raise UnreadableContent(f"manifest version {version} is not known", reason="MANIFEST_TOO_NEW")
    body["positions"] = tuple(LogPosition(**each) for each in body["positions"])
    body["stored_positions"] = tuple(StoredPosition(**each) for each in body["stored_positions"])
    body["shapes"] = tuple(
        TableShape(each["table"], tuple((name, kind) for name, kind in each["columns"]), each["ddl"])
        for each in body["shapes"]
    )
    body["tables"] = tuple(TableContent(**each) for each in body["tables"])
    body["files"] = tuple(FileDigest(**each) for each in body["files"])
    return Manifest(**body)


def compare_files(
    sealed: tuple[FileDigest, ...], found: tuple[FileDigest, ...]
) -> tuple[TableDifference, ...]:
    """What is wrong with the files, one difference a file, naming the table it belongs to."""
    expected = {each.path: each for each in sealed}
    actual = {each.path: each for each in found}
    wrong: list[tuple[str, str]] = []
    for path in sorted(expected.keys() | actual.keys()):
        if path not in actual:
            wrong.append((path, "is missing"))
        elif path not in expected:
            wrong.append((path, "does not belong to the backup"))
        elif actual[path].size != expected[path].size:
            wrong.append((path, f"has {actual[path].size} bytes instead of {expected[path].size}"))
        elif actual[path].sha256 != expected[path].sha256:
            wrong.append((path, "has another SHA-256 than was sealed"))
    return tuple(TableDifference(table_of(path), f"file {path} {what}") for path, what in wrong)


def table_of(path: str) -> str:
    """The table that a file of a backup belongs to; empty when it belongs to the whole.

    ClickHouse writes `data/<database>/<table>/<part>/<file>` and `metadata/<database>/<table>.sql`.
    """
    parts = path.split("/")
    if len(parts) > 3 and parts[0] == "data":
        return parts[2]
    if len(parts) == 3 and parts[0] == "metadata":
        return parts[2].removesuffix(".sql")
    return ""
