"""A backup is made, proven and restored on the real engines."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from services.common.clickhouse_errors import ServerBusy
from services.common.clock import SystemClock
from services.common.streams import CONTROL, LEASES, OTLP, POSITIONS
from services.dr.backups import NewBackup
from services.dr.catalogue import KvCatalogue
from services.dr.clickhouse import ClickHouseBackupStore
from services.dr.errors import TargetExists
from services.dr.files import DirectoryFileStore
from services.dr.manifest import decode, digest, encode
from services.dr.model import BackupState, RestoreState, TableContent
from services.dr.restores import NewRestore
from tests.scenario.dr_stack import DATABASE, REGION, DrStack, dr_stack, writer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.engines]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DrStack]:
    """One for the module: every backup has an id of its own."""
    async with dr_stack(tmp_path_factory.mktemp("dr")) as made:
        yield made


async def test_brings_every_row_and_the_position_back_into_a_new_database(stack: DrStack) -> None:
    before = await stack.databases()
    async with writer(stack, last=41):
        backup = await stack.back_up(verify=True)
        assert backup.failure is None
        assert backup.state is BackupState.VERIFIED
        assert {each.table: each.row_count for each in backup.tables}["points"] == 2002
        assert [(each.stream, each.sequence) for each in backup.positions] == [(OTLP, 41)]
        restore = await stack.ended(await stack.parts.restores.start(NewRestore(target_database="second")))

    assert restore.failure is None
    assert restore.state is RestoreState.SUCCEEDED
    hashes = {each.table: each.content_hash for each in backup.tables}
    assert {each.table: each.content_hash for each in restore.tables} == hashes
    assert len(set(hashes.values())) > 7
    assert await stack.databases() == before | {"second"}
    uuid = (await stack.database.rows("SELECT toString(uuid) FROM system.databases WHERE name = 'second'"))[
        0
    ][0]
    kept = await stack.engine.kv.get(POSITIONS, f"writer.{REGION}.{uuid}.{OTLP}")
    assert kept is not None
    assert json.loads(kept.value) == {
        "first": 1,
        "last": 41,
        "attempt": 1,
        "state": "done",
        "incarnation": 7,
    }
    assert await stack.engine.kv.get(CONTROL, f"pause.{REGION}") is None


async def test_refuses_to_restore_into_the_live_database(stack: DrStack) -> None:
    await stack.back_up(verify=True)

    with pytest.raises(TargetExists):
        await stack.parts.restores.start(NewRestore(target_database=DATABASE))
    assert (await stack.database.rows("SELECT count() FROM points"))[0][0] == 2002


async def test_a_database_made_meanwhile_is_left_alone(stack: DrStack) -> None:
    """Between the request and the work somebody creates a database of that name."""
    await stack.back_up(verify=True)
    # A writer that never answers: the restore has to wait behind this backup.
    await stack.engine.kv.put(LEASES, f"writer.{REGION}", b"silent")
    await stack.parts.backups.create(NewBackup())
    started = await stack.parts.restores.start(NewRestore(target_database="theirs"))
    await stack.database.command("CREATE DATABASE theirs", in_database=False)
    await stack.database.command("CREATE TABLE theirs.t (x UInt8) ENGINE = MergeTree ORDER BY x")
    await stack.database.command("INSERT INTO theirs.t VALUES (1)")
    restore = await stack.ended(started)
    await stack.engine.kv.delete(LEASES, f"writer.{REGION}")

    assert restore.state is RestoreState.FAILED
    assert restore.failure is not None
    assert restore.failure.reason == "TARGET_EXISTS"
    assert (await stack.database.rows("SELECT count() FROM theirs.t"))[0][0] == 1


async def test_the_same_rows_in_other_parts_and_order_are_the_same_content(stack: DrStack) -> None:
    first = await stack.back_up()
    await stack.database.command("OPTIMIZE TABLE histograms FINAL")
    await stack.database.command("OPTIMIZE TABLE points FINAL")
    second = await stack.back_up()

    def hashes(tables: tuple[TableContent, ...]) -> dict[str, str]:
        # The history itself grows with every backup.
        return {each.table: each.content_hash for each in tables if each.table != "backups"}

    assert hashes(first.tables) == hashes(second.tables)


async def test_damage_that_was_sealed_in_is_found_by_reading_the_rows(stack: DrStack) -> None:
    """The bytes are what the manifest says, because the manifest was made after the damage."""
    backup = await stack.back_up()
    directory = stack.backups_dir / REGION / backup.backup_id
    found = sorted(directory.glob("data/data/*/points/*/data.bin"))
    content = bytearray(found[0].read_bytes())
    content[len(content) // 2] ^= 1
    found[0].write_bytes(content)
    await _seal_again(stack, backup.backup_id)
    verified = await stack.verify(backup)

    assert verified.state is BackupState.BROKEN
    assert [each.table for each in verified.differences] == ["points"]
    assert not [name for name in await stack.databases() if "_verify_" in name]


async def test_a_lost_part_is_found_although_every_file_is_intact(stack: DrStack) -> None:
    """The manifest claims one row more, as if a part had not been written."""
    backup = await stack.back_up()
    await _seal_again(stack, backup.backup_id, rows_more=1)
    verified = await stack.verify(backup)

    assert verified.state is BackupState.BROKEN
    assert {each.message for each in verified.differences} == {"the content is another"}


async def test_other_values_in_as_many_rows_are_found(stack: DrStack) -> None:
    """The manifest is that of another moment: same tables, same counts, one value different."""
    before = await stack.back_up()
    await stack.database.command(
        "ALTER TABLE points UPDATE value_double = 0.5 WHERE value_double = 1 SETTINGS mutations_sync = 1"
    )
    after = await stack.back_up()
    counts = [{each.table: each.row_count for each in made.tables} for made in (before, after)]
    assert counts[0]["points"] == counts[1]["points"]
    await _seal_again(stack, after.backup_id, tables=before.tables)
    verified = await stack.verify(after)

    assert verified.state is BackupState.BROKEN
    found = {each.table: each.message for each in verified.differences}
    assert found["points"] == "the content is another"
    assert set(found) <= {"points", "backups"}


async def test_nothing_merges_in_clones_and_restored_tables_until_released(stack: DrStack) -> None:
    """A merge folds rows and ends those whose time is over, which would look like damage."""
    store = ClickHouseBackupStore(stack.database, SystemClock())
    for database in ("still_clones", "still_restored"):
        await store.create(database, tag="t")
    await store.clone("still_clones")
    await store.store("still_clones", str(stack.backups_dir / "still"))
    await store.restore(
        str(stack.backups_dir / "still"),
        source="still_clones",
        target="still_restored",
        tables=["points", "series"],
    )
    for database in ("still_clones", "still_restored"):
        with pytest.raises(ServerBusy, match="Cancelled merging"):
            await stack.database.command(f"OPTIMIZE TABLE {database}.points FINAL")
    await store.release("still_restored")
    await stack.database.command("OPTIMIZE TABLE still_restored.points FINAL")
    for database in ("still_clones", "still_restored"):
        await store.drop(database, tag="t")


async def test_a_writer_in_the_middle_of_a_batch_that_does_not_answer_fails_the_backup(
    stack: DrStack,
) -> None:
    uuid = await stack.database.database_uuid()
    key = f"writer.{REGION}.{uuid}.{OTLP}"
    inflight = {"first": 1, "last": 9, "attempt": 1, "state": "inflight", "incarnation": 7}
    await stack.engine.kv.put(POSITIONS, key, json.dumps(inflight).encode())
    try:
        backup = await stack.back_up(verify=True)
    finally:
        await stack.engine.kv.delete(POSITIONS, key)

    assert backup.state is BackupState.FAILED
    assert backup.failure is not None
    assert backup.failure.reason == "WRITER_NOT_PAUSED"
    assert backup.failure.remedy
    assert await stack.engine.kv.get(CONTROL, f"pause.{REGION}") is None


async def _seal_again(
    stack: DrStack, backup_id: str, *, rows_more: int = 0, tables: tuple[TableContent, ...] = ()
) -> None:
    """Make the manifest anew over the files as they are now, and have the catalogue vouch for it."""
    catalogue = KvCatalogue(stack.engine.kv, REGION)
    backup = await catalogue.backup(backup_id)
    assert backup is not None
    files = DirectoryFileStore(stack.backups_dir, region=REGION)
    manifest = decode(await files.read_manifest(backup_id), expected_sha256=backup.manifest_sha256)
    manifest = replace(
        manifest,
        files=await files.inventory(backup_id),
        tables=tuple(
            replace(each, row_count=each.row_count + rows_more) for each in tables or manifest.tables
        ),
    )
    encoded = encode(manifest)
    await files.write_manifest(backup_id, encoded)
    await catalogue.save_backup(replace(backup, manifest_sha256=digest(encoded)))
