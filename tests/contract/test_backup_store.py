"""What every store of tables and of backup files must do: in memory, and on ClickHouse and a disk."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from services.dr.clickhouse import ClickHouseBackupStore
from services.dr.errors import TargetExists, UnreadableContent
from services.dr.files import DirectoryFileStore
from services.dr.memory import MemoryBackupStore, MemoryFileStore
from services.dr.model import TableContent
from services.dr.ports import BackupStore, FileStore
from tests.engines_given import clickhouse_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIVE = "live"


@dataclass
class Stores:
    """Both stores, and how to put rows into a live table."""

    tables: BackupStore
    files: FileStore
    fill: Callable[[str, list[bytes]], Awaitable[None]]

    async def content(self, database: str, table: str) -> TableContent:
        """What a table holds."""
        shapes = {shape.table: shape for shape in await self.tables.shapes(database)}
        return await self.tables.content(database, shapes[table])


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=["memory", pytest.param("clickhouse", marks=pytest.mark.engines)],
)
async def stores(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stores]:
    """One world for the module; every test uses names of its own."""
    if request.param == "memory":
        files = MemoryFileStore()
        memory = MemoryBackupStore(files, LIVE)

        async def fill_memory(table: str, rows: list[bytes]) -> None:
            memory.databases[LIVE].tables[table] = list(rows)

        yield Stores(memory, files, fill_memory)
        return
    directory = tmp_path_factory.mktemp("store")
    engine = clickhouse_server(
        directory / "ch",
        needs="reads a backup's files from the server's disk",
        options=("--backups-dir", str(directory / "backups")),
    )
    await asyncio.to_thread(engine.start)
    database = Database(ClickHouseConfig.from_url(engine.url, LIVE))

    async def fill(table: str, rows: list[bytes]) -> None:
        await database.command(f"DROP TABLE IF EXISTS {table} SYNC")
        await database.command(f"CREATE TABLE {table} (row String) ENGINE = MergeTree ORDER BY tuple()")
        for row in rows:
            await database.command(f"INSERT INTO {table} SELECT unhex('{row.hex()}')")

    try:
        await database.command(f"CREATE DATABASE {LIVE}", in_database=False)
        store = ClickHouseBackupStore(database, SystemClock())
        yield Stores(store, DirectoryFileStore(directory / "backups", region="local"), fill)
    finally:
        await database.close()
        await asyncio.to_thread(engine.stop)


async def test_a_database_with_another_tag_is_neither_taken_nor_dropped(stores: Stores) -> None:
    await stores.tables.create("theirs", tag="theirs")
    uuid = await stores.tables.database_uuid("theirs")

    with pytest.raises(TargetExists):
        await stores.tables.create("theirs", tag="ours")
    await stores.tables.drop("theirs", tag="ours")
    await stores.tables.create("theirs", tag="theirs")
    assert await stores.tables.database_uuid("theirs") == uuid

    await stores.tables.drop("theirs", tag="theirs")
    await stores.tables.drop("theirs", tag="theirs")
    assert await stores.tables.database_uuid("theirs") is None


async def test_equal_rows_count_twice_and_order_does_not_matter(stores: Stores) -> None:
    await stores.fill("once", [b"a", b"b"])
    await stores.fill("twice", [b"a", b"b", b"b"])
    await stores.fill("pairs", [b"a", b"b", b"c", b"c"])
    await stores.fill("others", [b"a", b"b", b"d", b"d"])
    await stores.fill("turned", [b"b", b"a"])
    found = {
        table: await stores.content(LIVE, table) for table in ("once", "twice", "pairs", "others", "turned")
    }

    assert found["once"].row_count == 2
    assert found["once"].content_hash == found["turned"].content_hash
    assert len({each.content_hash for each in found.values()}) == 4


async def test_clones_do_not_follow_the_live_tables(stores: Stores) -> None:
    await stores.fill("moving", [b"a"])
    before = await stores.content(LIVE, "moving")
    await stores.tables.create("clones", tag="t")
    await stores.tables.clone("clones")
    await stores.fill("moving", [b"a", b"b"])

    assert (await stores.content("clones", "moving")).same_as(before)
    await stores.tables.drop("clones", tag="t")
    assert (await stores.content(LIVE, "moving")).row_count == 2


async def test_what_was_stored_comes_back_under_another_name(stores: Stores) -> None:
    await stores.fill("kept", [b"a", b"\x00\xff", b"'\\"])
    await stores.fill("empty", [])
    await stores.tables.create("c1", tag="t")
    await stores.tables.clone("c1")
    await stores.tables.store("c1", stores.files.location("b1"))
    await stores.tables.create("r1", tag="t")
    await stores.tables.restore(
        stores.files.location("b1"), source="c1", target="r1", tables=["kept", "empty"]
    )
    await stores.tables.release("r1")

    assert [shape.table for shape in await stores.tables.shapes("r1")] == ["empty", "kept"]
    for table in ("kept", "empty"):
        assert (await stores.content("r1", table)).same_as(await stores.content(LIVE, table))
        assert await stores.tables.intact("r1", table)
    for database in ("c1", "r1"):
        await stores.tables.drop(database, tag="t")


async def test_restoring_from_what_is_gone_is_damage_and_not_an_outage(stores: Stores) -> None:
    await stores.tables.create("r2", tag="t")

    with pytest.raises(UnreadableContent):
        await stores.tables.restore(stores.files.location("never"), source="c2", target="r2", tables=["kept"])
    await stores.tables.drop("r2", tag="t")


async def test_a_table_that_is_gone_cannot_be_read(stores: Stores) -> None:
    await stores.fill("shape", [b"a"])
    shape = next(each for each in await stores.tables.shapes(LIVE) if each.table == "shape")

    with pytest.raises(UnreadableContent):
        await stores.tables.content("nowhere", shape)


async def test_files_are_listed_with_their_digests_until_deleted(stores: Stores) -> None:
    await stores.fill("filed", [b"a"])
    await stores.tables.create("c3", tag="t")
    await stores.tables.clone("c3")
    await stores.tables.store("c3", stores.files.location("b3"))
    await stores.files.write_manifest("b3", b"{}")
    listed = await stores.files.inventory("b3")
    await stores.tables.drop("c3", tag="t")

    assert listed == await stores.files.inventory("b3")
    assert any("/filed/" in each.path for each in listed)
    assert all(len(each.sha256) == 64 and each.size > 0 for each in listed)
    assert all("manifest" not in each.path for each in listed)
    assert await stores.files.read_manifest("b3") == b"{}"
    await stores.files.delete("b3")
    await stores.files.delete("b3")
    assert await stores.files.inventory("b3") == ()
    with pytest.raises(UnreadableContent):
        await stores.files.read_manifest("b3")
