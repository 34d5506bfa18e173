"""The manifest keeps what it was given, and names the table of every wrong file."""

import pytest

from services.dr.errors import UnreadableContent
from services.dr.manifest import Manifest, StoredPosition, compare_files, decode, digest, encode, table_of
from services.dr.model import FileDigest, LogPosition, TableContent, TableShape

MANIFEST = Manifest(
    backup_id="b",
    region="r",
    database="threenines",
    database_uuid="u",
    stored_database="threenines_backup_b",
    created_ns=1,
    schema_version=30,
    positions=(LogPosition("OTLP", "7", 41, 5),),
    stored_positions=(StoredPosition("writer.r.", ".OTLP", {"last": 41}),),
    shapes=(TableShape("points", (("tenant", "LowCardinality(String)"),), "CREATE TABLE"),),
    tables=(TableContent("points", 2, 3, "x:00"),),
    files=(FileDigest("data/d/points/all_1_1_0/data.bin", 4, "aa"),),
)


def test_what_is_written_is_read_back() -> None:
    encoded = encode(MANIFEST)

    assert decode(encoded, expected_sha256=digest(encoded)) == MANIFEST


def test_any_other_manifest_is_refused() -> None:
    encoded = encode(MANIFEST)

    with pytest.raises(UnreadableContent) as caught:
        decode(encoded.replace(b"41", b"42"), expected_sha256=digest(encoded))
    assert caught.value.reason == "MANIFEST_DAMAGED"


def test_a_manifest_of_a_newer_release_is_refused() -> None:
    encoded = encode(MANIFEST).replace(b'"version": 1', b'"version": 2')

    with pytest.raises(UnreadableContent) as caught:
        decode(encoded, expected_sha256=digest(encoded))
    assert caught.value.reason == "MANIFEST_TOO_NEW"


def test_a_position_belongs_to_whichever_database_it_is_given() -> None:
    assert MANIFEST.stored_positions[0].key("v") == "writer.r.v.OTLP"


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ((), "is missing"),
        ((FileDigest(MANIFEST.files[0].path, 3, "aa"),), "has 3 bytes instead of 4"),
        ((FileDigest(MANIFEST.files[0].path, 4, "ab"),), "another SHA-256"),
        ((*MANIFEST.files, FileDigest("data/d/points/x", 0, "")), "does not belong"),
    ],
)
def test_every_wrong_file_is_named_with_its_table(found: tuple[FileDigest, ...], message: str) -> None:
    (difference,) = compare_files(MANIFEST.files, found)

    assert difference.table == "points"
    assert message in difference.message


@pytest.mark.parametrize(
    ("path", "table"),
    [
        ("data/d/points/20261120_1_1_0/data.bin", "points"),
        ("metadata/d/points.sql", "points"),
        (".backup", ""),
        ("metadata/d.sql", ""),
    ],
)
def test_the_table_of_a_file_is_known_from_its_path(path: str, table: str) -> None:
    assert table_of(path) == table
