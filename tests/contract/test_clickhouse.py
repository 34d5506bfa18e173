"""The ClickHouse client, migrations and Native blocks against the real engine."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import numpy as np
import pytest

from services.common import clickhouse_errors
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import ManualClock
from services.common.errors import FailedPrecondition, InvalidArgument, NotFound, Unavailable
from services.common.migrations import load_migrations, migrate
from services.common.native import Block
from services.common.native_columns import Arrays, CodedStrings, Maps, Nullable, PackedStrings
from tests.engines_given import ClickHouseServer, clickhouse_server

pytestmark = pytest.mark.engines

EVERY_TYPE = """
CREATE TABLE every_type (
    u8 UInt8, u64 UInt64, i8 Int8, i64 Int64, f64 Float64, flag Bool, day Date,
    ts DateTime64(3, 'UTC'), first SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    kind Enum8('none' = 0, 'low' = -128), text String, word LowCardinality(String), raw FixedString(4),
    maybe Nullable(Float64), counts Array(UInt64), bounds Array(Float64),
    labels Map(LowCardinality(String), String), texts Array(String)
) ENGINE = MergeTree ORDER BY u8
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse"), password="s3cret") as running:
        yield running


def config(server: ClickHouseServer, database: str) -> ClickHouseConfig:
    return ClickHouseConfig.from_url(server.login_url, database)


@pytest.fixture
async def database(server: ClickHouseServer, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    name = server.database(f"t_{abs(hash(request.node.name)):x}")
    database = Database(config(server, name))
    await migrate(database, (), ManualClock())
    yield database
    await database.command(f"DROP DATABASE `{name}`")
    await database.close()


def every_type_block() -> Block:
    extremes = np.array([-(2**63), 0, 2**63 - 1], dtype=np.int64)
    return (
        Block()
        .add("u8", "UInt8", np.array([0, 7, 255], dtype=np.uint8))
        .add("u64", "UInt64", np.array([0, 7, 2**64 - 1], dtype=np.uint64))
        .add("i8", "Int8", np.array([-128, 0, 127], dtype=np.int8))
        .add("i64", "Int64", extremes)
        .add("f64", "Float64", np.array([np.nan, -np.inf, 5e-324]))
        .add("flag", "Bool", np.array([True, False, True]))
        .add("day", "Date", np.array([0, 20_000, 65_535], dtype=np.uint16))
        .add("ts", "DateTime64(3, 'UTC')", np.array([0, 1_700_000_000_123, -1], dtype=np.int64))
        .add("first", "SimpleAggregateFunction(min, DateTime64(3, 'UTC'))", np.array([1, 2, 3]))
        .add("kind", "Enum8('none' = 0, 'low' = -128)", np.array([0, -128, 0], dtype=np.int8))
        .add("text", "String", PackedStrings(b"a" * 130 + "\0é".encode(), np.array([130, 130, 133])))
        .add("word", "LowCardinality(String)", CodedStrings(["GET", b"POST"], np.array([1, 0, 1])))
        .add("raw", "FixedString(4)", [b"\x00\x01\x02\x03", b"abcd", b"\xff\xfe\xfd\xfc"])
        .add("maybe", "Nullable(Float64)", Nullable.of([None, -0.0, float("inf")]))
        .add("counts", "Array(UInt64)", Arrays.of([[], [1, 2**64 - 1], []], np.uint64))
        .add("bounds", "Array(Float64)", Arrays.of([[0.5], [], [1.5, np.inf]], np.float64))
        .add("labels", "Map(LowCardinality(String), String)", Maps.of([{"a": "b"}, {}, {"": "é", "x": ""}]))
        .add("texts", "Array(String)", Arrays(["one", "two"], np.array([0, 2, 2])))
    )


async def test_every_type_comes_back_as_it_was_sent(database: Database) -> None:
    await database.command(EVERY_TYPE)
    block = every_type_block()
    written = await database.insert_native("every_type", block.to_bytes(), block.names, query_id="every-type")
    got = await database.columns("SELECT * FROM every_type ORDER BY u8")

    assert written == 3
    assert list(got) == list(block.names)
    assert got["u64"].tolist() == [0, 7, 2**64 - 1]
    assert got["i64"].tolist() == [-(2**63), 0, 2**63 - 1]
    assert got["f64"].tobytes() == np.array([np.nan, -np.inf, 5e-324]).tobytes()
    assert got["flag"].tolist() == [True, False, True]
    assert got["day"].tolist() == [0, 20_000, 65_535]
    assert got["ts"].tolist() == [0, 1_700_000_000_123, -1]
    assert got["first"].tolist() == [1, 2, 3]
    assert got["kind"].tolist() == [0, -128, 0]
    assert got["text"] == [b"a" * 130, b"", "\0é".encode()]
    assert got["word"] == [b"POST", b"GET", b"POST"]
    assert got["raw"] == [b"\x00\x01\x02\x03", b"abcd", b"\xff\xfe\xfd\xfc"]
    assert got["maybe"].nulls.tolist() == [True, False, False]
    assert np.signbit(got["maybe"].values[1])
    assert (got["counts"].values.tolist(), got["counts"].ends.tolist()) == ([1, 2**64 - 1], [0, 2, 2])
    assert (got["bounds"].values.tolist(), got["bounds"].ends.tolist()) == ([0.5, 1.5, np.inf], [1, 1, 3])
    assert (got["labels"].keys, got["labels"].values) == ([b"a", b"", b"x"], [b"b", "é".encode(), b""])
    assert got["texts"].values == [b"one", b"two"]


async def test_an_answer_of_many_blocks_is_one_set_of_columns(database: Database) -> None:
    rows = 200_000
    got = await database.columns(
        "SELECT number, toString(number) AS text, [number] AS items, map('k', toString(number)) AS labels,"
        " toLowCardinality(toString(number % 300)) AS word FROM numbers({rows:UInt64})",
        {"rows": rows},
    )

    order = np.argsort(got["number"])
    assert got["number"][order].tolist() == list(range(rows))
    assert [int(text) for text in got["text"]] == got["number"].tolist()
    assert got["items"].values.tolist() == got["number"].tolist()
    assert got["items"].ends.tolist() == list(range(1, rows + 1))
    assert [int(text) for text in got["labels"].values] == got["number"].tolist()
    assert [int(word) for word in got["word"]] == (got["number"] % 300).tolist()


async def test_an_empty_block_stores_nothing(database: Database) -> None:
    await database.command("CREATE TABLE plain (n UInt64) ENGINE = MergeTree ORDER BY n")
    block = Block().add("n", "UInt64", np.empty(0, dtype=np.uint64))
    await database.insert_native("plain", block.to_bytes(), block.names, query_id="nothing")

    assert await database.rows("SELECT count() FROM plain") == [(0,)]
    assert [len(column) for column in (await database.columns("SELECT n FROM plain")).values()] in ([], [0])


async def test_parameters_are_values_and_never_sql(database: Database) -> None:
    hostile = "'; DROP TABLE x; -- {a:String}"
    assert await database.rows("SELECT {value:String}", {"value": hostile}) == [(hostile,)]
    assert (await database.columns("SELECT {value:String} AS v", {"value": hostile}))["v"] == [
        hostile.encode()
    ]


async def test_refusals_are_told_apart_by_their_name(database: Database) -> None:
    with pytest.raises(clickhouse_errors.UnknownTable) as missing:
        await database.rows("SELECT * FROM not_there")
    with pytest.raises(clickhouse_errors.ClickHouseFailure) as wrong:
        await database.columns("SELECT not_a_column FROM system.one")
    with pytest.raises(clickhouse_errors.QueryTooSlow):
        await database.command("SELECT sleep(2)", settings={"max_execution_time": 0.1})

    assert missing.value.reason == "UNKNOWN_TABLE"
    assert isinstance(missing.value, Unavailable), "the writer makes it, or a restore: ask again"
    assert wrong.value.metadata["code"] == "47"


async def test_a_wrong_password_is_not_an_outage(server: ClickHouseServer) -> None:
    if not server.password:
        pytest.skip("the given server takes any password")
    database = Database(
        ClickHouseConfig.from_url(f"http://{server.user}:wrong@{server.host}:{server.port}", "x")
    )
    with pytest.raises(clickhouse_errors.LoginRefused):
        await database.ping()
    await database.close()


async def test_a_deduplicated_insert_is_stored_once(database: Database) -> None:
    await database.command(
        "CREATE TABLE once (n UInt64) ENGINE = MergeTree ORDER BY n"
        " SETTINGS non_replicated_deduplication_window = 10"
    )
    block = Block().add("n", "UInt64", [1, 2, 3])
    token = {"insert_deduplication_token": "batch-1"}
    for attempt in range(2):
        await database.insert_native(
            "once", block.to_bytes(), block.names, query_id=f"try-{attempt}", settings=token
        )

    assert await database.rows("SELECT count() FROM once") == [(3,)]


async def test_a_running_statement_is_found_by_its_id(database: Database) -> None:
    slow = asyncio.create_task(database.command("SELECT sleep(1.5)", settings={"query_id": "slow-one"}))
    seen = False
    deadline = time.monotonic() + 5
    while not seen and not slow.done() and time.monotonic() < deadline:
        seen = await database.running("slow-one")
    await slow

    assert seen
    assert not await database.running("slow-one")


async def test_migrations_of_this_release_apply_once_however_many_run_them(
    server: ClickHouseServer,
) -> None:
    name = server.database("together")
    databases = [Database(config(server, name)) for _ in range(4)]
    migrations = load_migrations()
    await asyncio.gather(*(migrate(database, migrations, ManualClock()) for database in databases))
    again = await migrate(databases[0], migrations, ManualClock())
    applied = await databases[0].rows("SELECT DISTINCT version FROM schema_migrations ORDER BY version")
    uuid = await databases[0].database_uuid()
    await databases[0].command(f"DROP DATABASE `{name}`")
    for database in databases:
        await database.close()

    assert again == ()
    assert [version for (version,) in applied] == [migration.version for migration in migrations]
    assert len(uuid) == 36


async def test_a_changed_migration_is_refused(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "0001_first.sql"
    file.write_text("-- why\nCREATE TABLE IF NOT EXISTS a (n UInt8)\nENGINE = MergeTree ORDER BY n;\n")
    assert await migrate(database, load_migrations(tmp_path), ManualClock()) == (1,)
    file.write_text("CREATE TABLE IF NOT EXISTS a (n UInt8)\nENGINE = MergeTree ORDER BY n;\n")
    assert await migrate(database, load_migrations(tmp_path), ManualClock()) == ()
    file.write_text("CREATE TABLE IF NOT EXISTS a (n UInt16)\nENGINE = MergeTree ORDER BY n;\n")

    with pytest.raises(FailedPrecondition) as refused:
        await migrate(database, load_migrations(tmp_path), ManualClock())
    assert refused.value.reason == "SCHEMA_CHANGED"


async def test_a_schema_of_a_newer_release_is_refused(database: Database, tmp_path: Path) -> None:
    (tmp_path / "0001_first.sql").write_text("SELECT 1;\n")
    (tmp_path / "0002_second.sql").write_text("SELECT 1;\nSELECT 2;\n")
    migrations = load_migrations(tmp_path)
    await migrate(database, migrations, ManualClock())

    with pytest.raises(FailedPrecondition) as refused:
        await migrate(database, migrations[:1], ManualClock())
    assert refused.value.reason == "SCHEMA_NEWER"


def test_two_migrations_with_one_number_are_refused(tmp_path: Path) -> None:
    (tmp_path / "0001_first.sql").write_text("SELECT 1;\n")
    (tmp_path / "0001_second.sql").write_text("SELECT 1;\n")
    with pytest.raises(InvalidArgument, match="same number"):
        load_migrations(tmp_path)


@pytest.fixture
def late_server(tmp_path: Path) -> Iterator[ClickHouseServer]:
    """Not started, but its port is known already."""
    server = clickhouse_server(tmp_path, needs="starts late and is killed")
    yield server
    server.stop()


async def test_the_client_works_once_the_server_is_there_and_after_it_crashed(
    late_server: ClickHouseServer,
) -> None:
    database = Database(ClickHouseConfig.from_url(late_server.url, "later"))
    try:
        with pytest.raises(Unavailable) as down:
            await database.ping()
        late_server.start()
        await database.ping()
        with pytest.raises(NotFound):
            await database.database_uuid()
        await migrate(database, (), ManualClock())
        late_server.kill9()
        with pytest.raises(Unavailable):
            await database.rows("SELECT 1")
        late_server.start()
        answer = await database.rows("SELECT 1")
    finally:
        await database.close()

    assert down.value.reason == "CLICKHOUSE_UNAVAILABLE"
    assert answer == [(1,)]


class _CutsInserts:
    """A TCP relay that passes an INSERT on, drops the answer and hangs up on the client."""

    def __init__(self, host: str, port: int) -> None:
        self._address = (host, port)
        self.inserts = 0

    async def relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream = await asyncio.open_connection(*self._address)
        answered = asyncio.Event()
        back = asyncio.create_task(self._copy(upstream_reader, writer, answered))
        while data := await reader.read(65536):
            cut = b"INSERT" in data
            self.inserts += cut
            upstream.write(data)
            await upstream.drain()
            if cut:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(answered.wait(), 30)
                break
        back.cancel()
        upstream.close()
        writer.close()

    @staticmethod
    async def _copy(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answered: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            # The answer to an INSERT carries its count; everything else is passed on.
            if b'"written_rows":"3"' in data:
                answered.set()
                return
            writer.write(data)
            await writer.drain()


async def _over(database: Database, query_id: str) -> None:
    """Return when the statement has ended: a server may answer a moment before."""
    for _ in range(1000):
        if not await database.running(query_id):
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"{query_id} is still running")


async def test_an_insert_whose_answer_is_lost_is_not_sent_again(
    server: ClickHouseServer, database: Database
) -> None:
    await database.command("CREATE TABLE plain (n UInt64) ENGINE = MergeTree ORDER BY n")
    relay = _CutsInserts(server.host, server.port)
    listener = await asyncio.start_server(relay.relay, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    login = f"{server.user}:{server.password}@" if server.password else ""
    through = Database(ClickHouseConfig.from_url(f"http://{login}127.0.0.1:{port}", database.name))
    block = Block().add("n", "UInt64", [1, 2, 3])
    with pytest.raises(Unavailable):
        await through.insert_native("plain", block.to_bytes(), block.names, query_id="cut")
    await through.close()
    listener.close()
    await listener.wait_closed()

    assert relay.inserts == 1
    await _over(database, "cut")
    assert await database.rows("SELECT count() FROM plain") == [(3,)]


async def test_a_failure_in_the_middle_of_an_answer_is_told(database: Database) -> None:
    sql = "SELECT number, throwIf(number = 3000000) AS late FROM numbers(4000000) SETTINGS max_threads = 1"
    with pytest.raises(clickhouse_errors.ClickHouseFailure) as by_columns:
        await database.columns(sql)
    with pytest.raises(clickhouse_errors.ClickHouseFailure) as by_rows:
        await database.rows(sql)

    assert by_columns.value.metadata["code"] == by_rows.value.metadata["code"] == "395"
