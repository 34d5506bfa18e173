"""What the worker does when a dependency fails, and when content is damaged."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from services.common.errors import Unavailable
from services.dr.memory import MemoryBackupStore
from services.dr.model import BackupState, RestoreState, TableContent, TableShape, Trace
from services.dr.restores import NewRestore
from tests.unit.dr.dr_memory import LIVE, REGION, World

DOWN = Unavailable("ClickHouse is not reachable", reason="CLICKHOUSE_UNAVAILABLE")


class FailingStore(MemoryBackupStore):
    """A store whose named methods answer Unavailable while they are in `down`."""

    down: frozenset[str] = frozenset()

    async def content(self, database: str, shape: TableShape) -> TableContent:
        """See `BackupStore.content`."""
        self._check("content")
        return await super().content(database, shape)

    async def drop(self, database: str, *, tag: str) -> None:
        """See `BackupStore.drop`."""
        self._check("drop")
        await super().drop(database, tag=tag)

    def _check(self, method: str) -> None:
        if method in self.down:
            raise DOWN


@pytest.fixture
def world() -> World:
    """A world whose store can fail."""
    made = World()
    store = FailingStore(made.files, LIVE)
    store.databases[LIVE].tables = made.store.databases[LIVE].tables
    made.store = store
    return made


def fail(world: World, *methods: str) -> None:
    assert isinstance(world.store, FailingStore)
    world.store.down = frozenset(methods)


async def test_a_backup_while_the_store_fails_is_failed_with_its_reason_and_cleaned(world: World) -> None:
    process = world.process()
    async with process.working():
        fail(world, "content")
        backup = await process.back_up(verify=True)

    assert backup.state is BackupState.FAILED
    assert backup.failure is not None
    assert backup.failure.reason == "CLICKHOUSE_UNAVAILABLE"
    assert backup.traces == ()
    assert set(world.store.databases) == {LIVE}
    assert not await world.paused()


async def test_what_cannot_be_removed_now_is_removed_later(world: World) -> None:
    process = world.process()
    async with process.working():
        fail(world, "content", "drop")
        backup = await process.back_up()
        assert backup.traces == (Trace.CLONES,)
        assert not await world.paused()
        assert process.worker.recovery.left_something
        fail(world)
        await process.worker.recovery.sweep()
        backup = await process.backups.get(REGION, backup.backup_id)

    assert not process.worker.recovery.left_something
    assert backup.traces == ()
    assert backup.state is BackupState.FAILED
    assert set(world.store.databases) == {LIVE}


async def test_an_outage_during_a_verification_proves_nothing_either_way(world: World) -> None:
    process = world.process()
    async with process.working():
        backup = await process.back_up()
        fail(world, "content")
        given_up = await process.verify(backup.backup_id)
        fail(world)
        verified = await process.verify(backup.backup_id)

    assert given_up.state is BackupState.CREATED
    assert given_up.failure is not None
    assert given_up.failure.reason == "CLICKHOUSE_UNAVAILABLE"
    assert given_up.verified_ns is None
    assert verified.state is BackupState.VERIFIED
    assert verified.failure is None


async def test_an_outage_during_a_restore_drops_what_was_restored_so_far(world: World) -> None:
    process = world.process()
    async with process.working():
        await process.back_up(verify=True)
        fail(world, "content")
        started = await process.restores.start(NewRestore(target_database="second"))
        await process.worker.settle()
        restore = await process.restores.get(REGION, started.restore_id)

    assert restore.state is RestoreState.FAILED
    assert set(world.store.databases) == {LIVE}


async def test_a_defect_is_logged_and_leaves_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(location: str) -> None:
        raise ZeroDivisionError(location)

    world.files.make_durable = broken  # type: ignore[method-assign]
    process = world.process()
    with caplog.at_level(logging.ERROR):
        async with process.working():
            backup = await process.back_up()

    assert backup.failure is not None
    assert backup.failure.reason == "INTERNAL"
    assert "ZeroDivisionError" in caplog.text
    assert set(world.store.databases) == {LIVE}
    assert world.files.files == {}


def flip(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


@pytest.mark.parametrize("damage", [flip, lambda content: content[:-1], lambda content: content + b"0"])
async def test_any_damage_to_any_file_is_never_verified(
    world: World, damage: Callable[[bytes], bytes]
) -> None:
    process = world.process()
    async with process.working():
        backup = await process.back_up(verify=True)
        for path in sorted(world.files.files):
            good = world.files.files[path]
            world.files.files[path] = damage(good)
            assert (await process.verify(backup.backup_id)).state is BackupState.BROKEN, path
            del world.files.files[path]
            assert (await process.verify(backup.backup_id)).state is BackupState.BROKEN, path
            world.files.files[path] = good
        assert (await process.verify(backup.backup_id)).state is BackupState.VERIFIED


async def test_a_part_that_the_engine_finds_damaged_is_never_verified(world: World) -> None:
    """The hash is right and CHECK TABLE is not: a file that no column needs."""

    class Damaged(FailingStore):
        async def intact(self, database: str, table: str) -> bool:
            return table != "points"

    store = Damaged(world.files, LIVE)
    store.databases = world.store.databases
    world.store = store
    process = world.process()
    async with process.working():
        backup = await process.back_up(verify=True)

    assert backup.state is BackupState.BROKEN
    assert [each.table for each in backup.differences] == ["points"]


async def test_another_value_in_as_many_rows_is_never_verified(world: World) -> None:
    """What is read back has the right count, and the files are those of the manifest."""

    class Forgetful(FailingStore):
        async def restore(self, location: str, *, source: str, target: str, tables: Sequence[str]) -> None:
            await super().restore(location, source=source, target=target, tables=tables)
            self.databases[target].tables["points"][0] = b"other"

    store = Forgetful(world.files, LIVE)
    store.databases = world.store.databases
    world.store = store
    process = world.process()
    async with process.working():
        backup = await process.back_up(verify=True)

    assert backup.state is BackupState.BROKEN
    assert [(each.table, each.message) for each in backup.differences] == [
        ("points", "the content is another")
    ]


async def test_a_backup_without_any_file_left_still_fits_into_the_catalogue(world: World) -> None:
    world.store.databases[LIVE].tables = {f"table{number:03d}": [b"a"] for number in range(500)}
    process = world.process()
    async with process.working():
        backup = await process.back_up()
        manifest = f"{backup.backup_id}/manifest.json"
        world.files.files = {manifest: world.files.files[manifest]}
        broken = await process.verify(backup.backup_id)

    assert len(broken.differences) == 201
    assert broken.differences[-1].message == "and 300 more"
    assert broken.failure is not None
    assert "500 differences" in broken.failure.message


async def test_every_change_is_in_the_history(world: World) -> None:
    process = world.process()
    async with process.working():
        backup = await process.back_up(verify=True)

    assert [entry.state for entry in world.history.entries] == [BackupState.VERIFYING, BackupState.VERIFIED]
    assert world.history.entries[-1] == replace(backup)


async def test_a_batch_that_begins_while_tables_are_cloned_fails_the_backup(world: World) -> None:
    """No writer holds the lease, and one that should not be there writes all the same."""

    class Busy(FailingStore):
        async def clone(self, clones: str) -> None:
            await super().clone(clones)
            await world.position("inflight", last=42)

    store = Busy(world.files, LIVE)
    store.databases = world.store.databases
    world.store = store
    await world.position("done", last=41)
    process = world.process()
    async with process.working():
        backup = await process.back_up()

    assert backup.state is BackupState.FAILED
    assert backup.failure is not None
    assert backup.failure.reason == "WRITER_NOT_PAUSED"
    assert set(world.store.databases) == {LIVE}
    assert not await world.paused()


async def test_an_empty_database_is_nothing_to_back_up(world: World) -> None:
    world.store.databases[LIVE].tables = {}
    process = world.process()
    async with process.working():
        backup = await process.back_up()

    assert backup.failure is not None
    assert backup.failure.reason == "NOTHING_TO_BACK_UP"
    assert backup.failure.remedy


async def test_what_waits_when_the_worker_ends_is_interrupted_and_holds_nobody_up(world: World) -> None:
    process = world.process()
    async with process.working():
        backup = await process.back_up()
        await process.backups.verify(REGION, backup.backup_id)
    await asyncio.wait_for(process.worker.settle(), 5)

    async with process.working():
        interrupted = await process.backups.get(REGION, backup.backup_id)
    assert interrupted.state is BackupState.CREATED
    assert interrupted.failure is not None
    assert interrupted.failure.reason == "INTERRUPTED"
