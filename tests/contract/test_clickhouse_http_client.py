"""clickhouse-connect, sync and async, unchanged on the embedded server: its public behaviours."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator

import clickhouse_connect
import numpy as np
import pandas as pd
import pytest
import zstandard
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError
from clickhouse_connect.driver.external import ExternalData

from tests.engines_given import ClickHouseServer, clickhouse_server

pytestmark = pytest.mark.engines
FAILING = "SELECT number, throwIf(number = 3000000) FROM numbers(5000000) SETTINGS max_threads = 1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse"), password="s3cret") as running:
        yield running


@pytest.fixture
def client(server: ClickHouseServer) -> Iterator[Client]:
    with clickhouse_connect.get_client(
        host=server.host, port=server.port, username=server.user, password=server.password
    ) as connected:
        yield connected


@pytest.fixture
async def aclient(server: ClickHouseServer) -> AsyncIterator[AsyncClient]:
    async with await clickhouse_connect.get_async_client(
        host=server.host, port=server.port, username=server.user, password=server.password
    ) as connected:
        yield connected


@pytest.fixture
def table(client: Client) -> Iterator[str]:
    name = f"t_{uuid.uuid4().hex}"
    client.command(
        f"CREATE TABLE {name} (a UInt64, x Float64, s LowCardinality(String), t DateTime64(3, 'UTC'))"
        " ENGINE = MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 100"
    )
    yield name
    client.command(f"DROP TABLE {name}")


def native_block(rows: int) -> bytes:
    """A Native block (a UInt64, x Float64) written by hand."""
    varint = bytes([rows & 0x7F | 0x80, rows >> 7 & 0x7F | 0x80, rows >> 14])
    a = np.arange(rows, dtype="<u8")
    return b"".join(
        [
            b"\x02",
            varint,
            b"\x01a\x06UInt64",
            a.tobytes(),
            b"\x01x\x07Float64",
            (a / 2).astype("<f8").tobytes(),
        ]
    )


def test_insert_and_query_round_trip(client: Client, table: str) -> None:
    rows = [
        [1, 0.5, "one", pd.Timestamp("2026-01-02T03:04:05.678Z")],
        [2, 1.5, "two", pd.Timestamp(0, tz="UTC")],
    ]
    summary = client.insert(table, rows, column_names=["a", "x", "s", "t"])
    assert summary.written_rows == 2
    assert client.query(f"SELECT a, x, s FROM {table} ORDER BY a").result_rows == [
        (1, 0.5, "one"),
        (2, 1.5, "two"),
    ]
    assert client.command(f"SELECT count() FROM {table}") == 2
    assert client.query_np(f"SELECT a, x FROM {table} ORDER BY a").tolist() == [(1, 0.5), (2, 1.5)]
    assert client.query_df(f"SELECT a, s FROM {table} ORDER BY a")["s"].tolist() == ["one", "two"]


def test_insert_df_and_raw_native_blocks(client: Client, table: str) -> None:
    frame = pd.DataFrame({"a": [7, 8], "x": [0.1, 0.2], "s": ["p", "q"]})
    assert client.insert_df(table, frame).written_rows == 2
    block = native_block(100_000)
    assert client.raw_insert(table, ["a", "x"], block, fmt="Native").written_rows == 100_000
    assert (
        client.raw_insert(
            table,
            ["a", "x"],
            zstandard.compress(block),
            fmt="Native",
            compression="zstd",
            settings={"insert_deduplication_token": "other"},
        ).written_rows
        == 100_000
    )
    assert client.query(f"SELECT count(), sum(a) FROM {table}").first_row == (
        200_002,
        2 * sum(range(100_000)) + 15,
    )


def test_one_insert_of_many_rows_is_one_part(client: Client, table: str) -> None:
    client.command(f"SYSTEM STOP MERGES {table}")
    client.raw_insert(table, ["a", "x"], native_block(1_500_000) + native_block(1_500_000), fmt="Native")
    parts = f"SELECT count(), sum(rows) FROM system.parts WHERE table = '{table}' AND active"
    assert client.query(parts).first_row == (1, 3_000_000)


async def test_a_token_stores_once_sync_and_async(client: Client, aclient: AsyncClient, table: str) -> None:
    settings = {"insert_deduplication_token": "batch-1"}
    client.raw_insert(table, ["a", "x"], native_block(20_000), settings=settings)
    await aclient.raw_insert(table, ["a", "x"], native_block(20_000), settings=settings)
    await aclient.raw_insert(
        table, ["a", "x"], native_block(30_000), settings={"insert_deduplication_token": "2"}
    )
    assert client.command(f"SELECT count() FROM {table}") == 50_000


def test_native_arrives_with_block_info(client: Client) -> None:
    assert client.protocol_version == 54405
    result = client.query("SELECT number, toLowCardinality(toString(number % 3)) AS s FROM numbers(300000)")
    assert len(result.result_rows) == 300_000
    assert result.result_rows[-1] == (299_999, "2")
    assert client.query("DESCRIBE TABLE system.one").result_rows[0][:2] == ("dummy", "UInt8")
    assert client.query("SELECT 1 AS a WHERE 0").result_rows == []
    assert client.query("SELECT number AS n FROM numbers(5) LIMIT 0").column_names == ("n",)


def test_many_blocks_from_a_statement_that_is_no_select_are_read_whole(client: Client) -> None:
    names = client.query("SHOW FUNCTIONS").result_rows
    assert len(names) == client.command("SELECT count() FROM system.functions")


def test_parameters_and_settings_reach_the_engine(client: Client, table: str) -> None:
    result = client.query(
        "SELECT {n:UInt64} + 1, {s:String}", parameters={"n": 6, "s": "a'b\\c"}, settings={"max_threads": 1}
    )
    assert result.first_row == (7, "a'b\\c")
    assert client.query("SELECT %(x)s", parameters={"x": "it's"}).first_row == ("it's",)
    client.command("INSERT INTO {t:Identifier} (a) VALUES ({n:UInt64})", parameters={"t": table, "n": 9})
    assert client.command(f"SELECT a FROM {table}") == 9
    assert client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 77}).first_row == (
        77,
    )
    assert client.query("SELECT getSetting('max_block_size')").first_row != (77,)


async def test_long_parameters_and_external_tables_travel_as_forms(
    client: Client, aclient: AsyncClient
) -> None:
    numbers = list(range(20_000))
    sql = "SELECT length({a:Array(UInt32)}), arraySum({a:Array(UInt32)})"
    assert client.query(sql, parameters={"a": numbers}).first_row == (20_000, sum(numbers))
    result = await aclient.query(sql, parameters={"a": numbers})
    assert result.first_row == (20_000, sum(numbers))
    ext = ExternalData(file_name="ext.csv", data=b"1,one\n2,two\n", fmt="CSV", structure="n UInt8, s String")
    for _ in range(2):  # gone after each query, also in a session
        rows = client.query("SELECT s FROM ext ORDER BY n DESC", external_data=ext).result_rows
        assert rows == [("two",), ("one",)]


def test_summaries_say_what_was_read_and_written(client: Client, table: str) -> None:
    client.command(f"INSERT INTO {table} (a) SELECT number FROM numbers(5000)")
    summary = client.query(f"SELECT sum(a) FROM {table}").summary
    assert (summary["read_rows"], summary["result_rows"]) == ("5000", "1")
    assert client.command(f"CREATE TABLE {table}_b AS {table}").written_rows == 0


def test_streams_give_every_row(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(2000000)") as stream:
        assert sum(len(block) for block in stream) == 2_000_000
    with client.query_np_stream("SELECT number AS n FROM numbers(2000000)") as blocks:
        assert sum(int(block.sum()) for block in blocks) == sum(range(2_000_000))
    with client.raw_stream("SELECT number FROM numbers(100000)", fmt="TSV") as raw:
        assert raw.read().count(b"\n") == 100_000


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
async def test_an_error_in_mid_stream_is_an_exception(server: ClickHouseServer, compress: bool | str) -> None:
    login = {"host": server.host, "port": server.port, "compress": compress}
    login |= {"username": server.user, "password": server.password}
    with clickhouse_connect.get_client(**login) as client:
        stream = client.query_row_block_stream(FAILING)
        with pytest.raises(StreamFailureError, match="395"), stream:
            for _ in stream:
                pass
        with pytest.raises(StreamFailureError, match="395"):
            client.query(FAILING).result_rows  # noqa: B018 (the sync client reads lazily)
    async with await clickhouse_connect.get_async_client(**login) as aclient:
        with pytest.raises(StreamFailureError, match="395"):
            await aclient.query(FAILING)


def test_errors_carry_code_and_text(client: Client) -> None:
    with pytest.raises(DatabaseError, match=r"Code: 60\. DB::Exception: .*nope") as caught:
        client.query("SELECT * FROM nope")
    assert caught.value.code == 60
    with pytest.raises(DatabaseError, match="UNKNOWN_DATABASE"):
        client.query("SELECT 1", settings={"database": "nope"})


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_wrong_or_missing_password_is_refused(server: ClickHouseServer, password: str) -> None:
    with pytest.raises(DatabaseError, match="516"):
        clickhouse_connect.get_client(
            host=server.host, port=server.port, username=server.user, password=password
        )


async def test_fifty_parallel_queries_and_inserts(aclient: AsyncClient, table: str) -> None:
    async def one(i: int) -> int:
        await aclient.insert(table, [[i, 1.0]], column_names=["a", "x"])
        result = await aclient.query("SELECT {i:UInt64} * 2", parameters={"i": i})
        return int(result.first_row[0])

    assert await asyncio.gather(*(one(i) for i in range(50))) == [2 * i for i in range(50)]
    assert (await aclient.query(f"SELECT count() FROM {table}")).first_row == (50,)


async def test_async_streams(aclient: AsyncClient) -> None:
    rows = 0
    async with await aclient.query_row_block_stream("SELECT number FROM numbers(1000000)") as stream:
        async for block in stream:
            rows += len(block)
    assert rows == 1_000_000
