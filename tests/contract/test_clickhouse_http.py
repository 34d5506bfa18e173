"""The embedded server as any HTTP client sees it: bytes in, bytes, headers and statuses out."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import threading
import time
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import lz4.frame
import psutil
import pytest
import zstandard

from tests.engines import EmbeddedClickHouse
from tests.engines_given import CLICKHOUSE_URL, needs_embedded

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    needs_embedded(CLICKHOUSE_URL, why="its own HTTP interface is the subject")
    with EmbeddedClickHouse(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest.fixture
def http(server: EmbeddedClickHouse) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.fixture
def table(http: httpx.Client) -> str:
    name = f"t_{uuid.uuid4().hex}"
    sql = f"CREATE TABLE {name} (a UInt64, s String) ENGINE = MergeTree ORDER BY a"
    window = " SETTINGS non_replicated_deduplication_window = 100"
    assert http.post("/", content=sql + window).status_code == 200
    return name


def count(http: httpx.Client, table: str) -> int:
    return int(http.post("/", content=f"SELECT count() FROM {table}").text)


def test_ping_and_root_answer_ok(http: httpx.Client) -> None:
    assert http.get("/ping").text == "Ok.\n"
    assert http.get("/").text == "Ok.\n"
    assert http.get("/nothing-here").status_code == 404


def test_query_in_url_in_body_and_split_between_them_are_the_same(http: httpx.Client) -> None:
    assert http.get("/", params={"query": "SELECT 7, 'x'"}).text == "7\tx\n"
    assert http.post("/", content=b"SELECT 7, 'x'").text == "7\tx\n"
    assert http.post("/", params={"query": "SELECT 7,"}, content=b" 'x'").text == "7\tx\n"


def test_curl_works_unchanged(server: EmbeddedClickHouse, table: str) -> None:
    def curl(*arguments: str, data: bytes = b"") -> str:
        command = ["curl", "-sS", *arguments]
        return subprocess.run(
            command, input=data, capture_output=True, check=True, timeout=30
        ).stdout.decode()

    assert curl(f"{server.url}/?query=SELECT%201") == "1\n"
    insert = f"{server.url}/?query=INSERT%20INTO%20{table}%20FORMAT%20TSV"
    chunked = ["-H", "Transfer-Encoding: chunked", "--data-binary", "@-"]
    assert curl(insert, *chunked, data=b"1\tone\n2\ttwo\n") == ""
    assert curl(server.url, "--data-binary", f"SELECT s FROM {table} ORDER BY a") == "one\ntwo\n"


def test_a_format_clause_wins_over_default_format(http: httpx.Client) -> None:
    named = http.post("/", params={"default_format": "JSONEachRow"}, content="SELECT 1 AS a")
    assert (named.text, named.headers["x-clickhouse-format"]) == ('{"a":1}\n', "JSONEachRow")
    clause = http.post(
        "/", params={"default_format": "JSONEachRow"}, content="SELECT 1 AS a FORMAT CSVWithNames;"
    )
    assert (clause.text, clause.headers["x-clickhouse-format"]) == ('"a"\n1\n', "CSVWithNames")
    assert json.loads(http.post("/", content="SELECT 1 AS a FORMAT JSON").text)["data"] == [{"a": 1}]


@pytest.mark.parametrize(
    ("fmt", "header"),
    [
        ("TSVWithNames", b"n\n"),
        ("CSVWithNamesAndTypes", b'"n"\n"UInt64"\n'),
        ("RowBinaryWithNamesAndTypes", b"\x01\x01n\x06UInt64"),
    ],
)
def test_a_streamed_format_has_its_header_once(http: httpx.Client, fmt: str, header: bytes) -> None:
    rows = 400_000
    body = http.post("/", content=f"SELECT number AS n FROM numbers({rows}) FORMAT {fmt}").content
    plain = http.post(
        "/", content=f"SELECT number AS n FROM numbers({rows}) FORMAT {fmt.split('With')[0]}"
    ).content
    assert body == header + plain
    assert http.post("/", content=f"SELECT number AS n FROM numbers(0) FORMAT {fmt}").content == header


@pytest.mark.parametrize("sql", ["CHECK TABLE {}", "SELECT * FROM {} ORDER BY a", "DESCRIBE {}"])
def test_every_native_block_has_its_info_for_a_client_that_asks(http: httpx.Client, sql: str) -> None:
    name = f"t_{uuid.uuid4().hex}"
    http.post("/", content=f"CREATE TABLE {name} (a UInt8) ENGINE = MergeTree ORDER BY a PARTITION BY a")
    http.post("/", content=f"INSERT INTO {name} SELECT number FROM numbers(9)")
    info = bytes.fromhex("010002ffffffff00")
    sql = sql.format(name)
    plain = http.post("/", params={"default_format": "Native"}, content=sql).content
    params = {"default_format": "Native", "client_protocol_version": "54405"}
    marked = http.post("/", params=params, content=sql).content
    assert marked.count(info) == (1 if sql.startswith("DESCRIBE") else 9)
    assert sorted(marked.replace(info, b"")) == sorted(plain)  # CHECK answers part by part, in any order


def test_parameters_are_bound_never_spliced(http: httpx.Client) -> None:
    hostile = "'; DROP TABLE x; --\t\\"
    answer = http.get(
        "/", params={"query": "SELECT {s:String} = {t:String}", "param_s": "a'b", "param_t": "a'b"}
    )
    assert answer.text == "1\n"
    answer = http.get(
        "/",
        params={"query": "SELECT length({s:String})", "param_s": hostile.replace("\t", "").replace("\\", "")},
    )
    assert answer.text == f"{len(hostile) - 2}\n"


def test_settings_in_the_url_hold_for_their_request_only(http: httpx.Client) -> None:
    assert (
        http.post("/", params={"max_threads": "1"}, content="SELECT getSetting('max_threads')").text == "1\n"
    )
    assert http.post("/", content="SELECT getSetting('max_threads')").text != "1\n"
    unknown = http.post("/", params={"no_such_setting": "1"}, content="SELECT 1")
    assert (unknown.status_code, unknown.headers["x-clickhouse-exception-code"]) == (404, "115")


@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate", "lz4", "zstd"])
@pytest.mark.parametrize("chunked", [False, True])
def test_insert_bodies_of_every_encoding_arrive(
    http: httpx.Client, table: str, encoding: str, *, chunked: bool
) -> None:
    encoders = {
        "identity": bytes,
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "lz4": lz4.frame.compress,
        "zstd": zstandard.compress,
    }
    rows = b"".join(b"%d\tvalue %d\n" % (i, i) for i in range(60_000))
    data = encoders[encoding](rows)
    pieces = [data[i : i + 50_000] for i in range(0, len(data), 50_000)]
    answer = http.post(
        "/",
        params={"query": f"INSERT INTO {table} FORMAT TSV"},
        content=iter(pieces) if chunked else data,
        headers={"content-encoding": encoding},
    )
    assert (answer.status_code, answer.text) == (200, "")
    assert json.loads(answer.headers["x-clickhouse-summary"])["written_rows"] == "60000"
    assert "x-clickhouse-format" not in answer.headers
    assert http.post("/", content=f"SELECT count(), uniqExact(s) FROM {table}").text == "60000\t60000\n"


def test_a_cut_compressed_body_stores_nothing(http: httpx.Client, table: str) -> None:
    data = gzip.compress(b"".join(b"%d\tx\n" % i for i in range(50_000)))[:-20]
    answer = http.post(
        "/",
        params={"query": f"INSERT INTO {table} FORMAT TSV"},
        content=data,
        headers={"content-encoding": "gzip"},
    )
    assert (answer.status_code, answer.headers["x-clickhouse-exception-code"]) == (500, "271")
    assert count(http, table) == 0


def test_a_bad_last_row_stores_nothing(http: httpx.Client, table: str) -> None:
    data = b"".join(b"%d\tx\n" % i for i in range(1_200_000)) + b"not a number\tx\n"
    answer = http.post("/", params={"query": f"INSERT INTO {table} FORMAT TSV"}, content=data)
    assert answer.status_code == 400
    assert count(http, table) == 0


def test_an_insert_in_flight_is_seen_by_its_id_until_it_is_over(http: httpx.Client, table: str) -> None:
    running = "SELECT count() FROM system.processes WHERE Settings['log_comment'] = 'batch-9'"
    seen: list[str] = []

    def upload() -> Iterator[bytes]:
        yield b"1\tx\n" * 100_000
        deadline = time.monotonic() + 20
        with httpx.Client(base_url=http.base_url, timeout=30, verify=False) as other:
            # The server begins when it gets to it; the insert cannot be over before the last chunk.
            while (found := other.post("/", content=running).text) != "1\n" and time.monotonic() < deadline:
                time.sleep(0.02)
            seen.append(found)
            seen.append(other.post("/", content=f"SELECT count() FROM {table}").text)
        yield b"2\ty\n"

    params = {"query": f"INSERT INTO {table} FORMAT TSV", "query_id": "batch-9"}
    assert http.post("/", params=params, content=upload()).status_code == 200
    assert seen == ["1\n", "0\n"]
    assert http.post("/", content=running).text == "0\n"
    assert count(http, table) == 100_001


def test_a_client_that_leaves_in_mid_upload_stores_nothing(
    server: EmbeddedClickHouse, http: httpx.Client, table: str
) -> None:
    with socket.create_connection((server.host, server.port)) as raw:
        head = f"POST /?query=INSERT+INTO+{table}+FORMAT+TSV HTTP/1.1\r\nHost: x\r\n"
        raw.sendall(head.encode() + b"Content-Length: 9000000\r\n\r\n" + b"1\tx\n" * 500_000)
    time.sleep(0.3)
    assert count(http, table) == 0


def test_values_with_expressions_and_parameters(http: httpx.Client, table: str) -> None:
    answer = http.post(
        "/",
        params={"param_s": "it's"},
        content=f"INSERT INTO {table} VALUES (1 + 1, upper('x')), (3, {{s:String}})",
    )
    assert answer.status_code == 200, answer.text
    assert http.post("/", content=f"SELECT * FROM {table} ORDER BY a").text == "2\tX\n3\tit\\'s\n"


@pytest.mark.parametrize("value", ["tab\\tq", "back\\\\slash", 'it\'s "x"', "{a:b}", "\\N", "ü\\n"])
def test_a_parameter_means_the_same_in_an_insert_and_in_a_select(
    http: httpx.Client, table: str, value: str
) -> None:
    selected = http.post("/", params={"param_s": value}, content="SELECT {s:String}").text
    http.post("/", params={"param_s": value}, content=f"INSERT INTO {table} VALUES (1, {{s:String}})")
    assert http.post("/", content=f"SELECT s FROM {table}").text == selected


def test_a_deduplication_token_stores_once(http: httpx.Client, table: str) -> None:
    for body in ("1\tfirst\n", "1\tfirst\n", "2\tother\n"):
        params = {"query": f"INSERT INTO {table} FORMAT TSV", "insert_deduplication_token": "batch-7"}
        assert http.post("/", params=params, content=body).status_code == 200
    assert http.post("/", content=f"SELECT a, s FROM {table}").text == "1\tfirst\n"


def test_summary_headers_count(http: httpx.Client, table: str) -> None:
    http.post("/", content=f"INSERT INTO {table} SELECT number, '' FROM numbers(1000)")
    answer = http.post("/", content=f"SELECT a FROM {table} WHERE a % 100 = 5")
    summary = json.loads(answer.headers["x-clickhouse-summary"])
    assert (summary["read_rows"], summary["read_bytes"], summary["result_rows"]) == ("1000", "8000", "10")
    assert int(summary["elapsed_ns"]) > 0
    assert answer.headers["x-clickhouse-timezone"]
    assert answer.headers["x-clickhouse-server-display-name"]


@pytest.mark.parametrize(
    ("sql", "params", "status", "code"),
    [
        ("SELEC 1", {}, 400, "62"),
        ("SELECT nope", {}, 404, "47"),
        ("SELECT * FROM nope", {}, 404, "60"),
        ("SELECT 1", {"database": "nope"}, 404, "81"),
        ("SELECT toUInt8('x')", {}, 400, "6"),
        ("SELECT noSuchFunction(1)", {}, 404, "46"),
        ("SELECT 1 FORMAT NoSuchFormat", {}, 404, "73"),
        ("SELECT sleep(1)", {"max_execution_time": "0.2"}, 408, "159"),
        ("SELECT throwIf(1)", {}, 500, "395"),
        ("SELECT 1; SELECT 2", {}, 400, "62"),
        ("INSERT INTO FUNCTION null('a UInt8') VALUES (1); SELECT 2", {}, 400, "62"),
        ("SELECT 1 INTO OUTFILE '/tmp/never'", {}, 500, "358"),
        ("INSERT INTO x FROM INFILE '/etc/passwd' FORMAT CSV", {}, 404, "78"),
        ("", {}, 400, "62"),
        ("SELECT 1", {"compress": "1"}, 501, "48"),
        ("INSERT INTO FUNCTION null('a Int8') SELECT a FROM input('a Int8') FORMAT CSV", {}, 501, "48"),
    ],
)
def test_errors_have_the_status_of_the_server(
    http: httpx.Client, sql: str, params: dict[str, str], status: int, code: str
) -> None:
    answer = http.post("/", params=params, content=sql)
    assert (answer.status_code, answer.headers.get("x-clickhouse-exception-code")) == (status, code), (
        answer.text
    )
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")


def test_get_may_read_but_not_write(http: httpx.Client, table: str) -> None:
    writes = [
        f"INSERT INTO {table} VALUES (1, 'x')",
        f"DROP TABLE {table}",
        f"BACKUP TABLE {table} TO File('g')",
    ]
    for sql in writes:
        for params in ({}, {"session_id": uuid.uuid4().hex}):
            answer = http.get("/", params={"query": sql, **params})
            assert answer.headers["x-clickhouse-exception-code"] == "164", sql
    assert count(http, table) == 0


def test_a_query_id_is_echoed_tagged_and_never_used_twice_at_once(http: httpx.Client) -> None:
    seen = "SELECT Settings['log_comment'] FROM system.processes WHERE query LIKE '%sleepEachRow%numbers(3)%'"
    slow = threading.Thread(
        target=httpx.post,
        args=(str(http.base_url),),
        kwargs={"params": {"query_id": "q-1"}, "content": "SELECT sleepEachRow(0.3) FROM numbers(3)"},
    )
    slow.start()
    deadline = time.monotonic() + 5
    while "q-1" not in http.post("/", content=seen).text and time.monotonic() < deadline:
        time.sleep(0.02)
    again = http.post("/", params={"query_id": "q-1"}, content="SELECT 1")
    assert (again.status_code, again.headers["x-clickhouse-exception-code"]) == (500, "216")
    slow.join()
    for _ in range(50):  # free again as soon as the answer is there
        free = http.post("/", params={"query_id": "q-1"}, content="SELECT 1")
        assert (free.text, free.headers["x-clickhouse-query-id"]) == ("1\n", "q-1")


def test_sessions_keep_state_and_url_settings_do_not_leak_into_them(http: httpx.Client) -> None:
    session = {"session_id": uuid.uuid4().hex}
    assert http.post("/", params=session, content="CREATE TEMPORARY TABLE tmp (a UInt8)").status_code == 200
    assert (
        http.post(
            "/", params={**session, "max_block_size": "7"}, content="INSERT INTO tmp VALUES (5)"
        ).status_code
        == 200
    )
    assert http.post("/", params=session, content="SELECT a FROM tmp").text == "5\n"
    assert http.post("/", params=session, content="SELECT getSetting('max_block_size')").text != "7\n"
    assert http.post("/", params=session, content="USE system").status_code == 200
    assert (
        http.post("/", params={**session, "database": "default"}, content="SELECT currentDatabase()").text
        == "default\n"
    )
    assert http.post("/", params=session, content="SELECT currentDatabase()").text == "system\n"
    missing = http.post("/", params={"session_id": "new", "session_check": "1"}, content="SELECT 1")
    assert missing.headers["x-clickhouse-exception-code"] == "372"


def test_nothing_of_one_request_is_left_for_the_next(http: httpx.Client) -> None:
    """Handles are used again: settings, databases and comments are not."""
    asks = "SELECT currentDatabase(), getSetting('max_block_size'), getSetting('log_comment')"
    database = f"d_{uuid.uuid4().hex}"
    assert http.post("/", content=f"CREATE DATABASE {database} ENGINE = Atomic").status_code == 200
    plain = http.post("/?log_comment=a", content=asks).text
    here = {"database": database, "max_block_size": "77", "log_comment": "b"}
    for _ in range(3):
        assert http.post("/", params=here, content=asks).text == f"{database}\t77\tb\n"
        assert http.post("/?log_comment=a", content=asks).text == plain
        failed = http.post("/", params={**here, "max_block_size": "78"}, content="SELECT throwIf(1)")
        assert failed.status_code == 500
        assert http.get("/", params={**here, "query": asks}).text == f"{database}\t77\tb\n"
        assert "UNKNOWN_SETTING" in http.post("/?no_such_setting=1", content=asks).text

    assert http.post("/", content=f"DROP DATABASE {database} SYNC").status_code == 200

    gone = http.post("/", params=here, content=asks)
    assert gone.headers["X-ClickHouse-Exception-Code"] == "81"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "lz4", "zstd"])
def test_responses_are_compressed_only_when_asked(server: EmbeddedClickHouse, encoding: str) -> None:
    decoders = {
        "gzip": gzip.decompress,
        "deflate": zlib.decompress,
        "lz4": lz4.frame.decompress,
        "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
    }
    for rows in (1000, 500_000):  # whole and streamed
        url = f"{server.url}/?query=SELECT+number+FROM+numbers({rows})"
        expected = b"".join(b"%d\n" % i for i in range(rows))
        with httpx.stream("GET", url, headers={"accept-encoding": encoding}) as plain:
            assert "content-encoding" not in plain.headers
            assert b"".join(plain.iter_raw()) == expected
        with httpx.stream(
            "GET", url + "&enable_http_compression=1", headers={"accept-encoding": encoding}
        ) as packed:
            assert packed.headers["content-encoding"] == encoding
            assert decoders[encoding](b"".join(packed.iter_raw())) == expected


def test_a_gigabyte_streams_through_little_memory(server: EmbeddedClickHouse) -> None:
    process = psutil.Process(server.pid)
    sql = "SELECT number, number, number, number FROM numbers(34000000)"
    with httpx.stream(
        "POST", f"{server.url}/?default_format=RowBinary&max_threads=1", content=sql, timeout=60
    ) as answer:
        parts = answer.iter_raw(1 << 20)
        received = len(next(parts))
        before = peak = process.memory_info().rss
        for index, part in enumerate(parts):
            received += len(part)
            if index % 50 == 0:
                peak = max(peak, process.memory_info().rss)
    assert received == 34_000_000 * 32
    assert peak - before < 100 * 1024 * 1024


def test_a_reader_that_stalls_holds_the_query_back(server: EmbeddedClickHouse) -> None:
    process = psutil.Process(server.pid)
    with httpx.stream(
        "POST", server.url, content="SELECT number FROM numbers(1000000000)", timeout=60
    ) as answer:
        next(answer.iter_raw())
        time.sleep(0.5)
        before = process.cpu_times().user
        rss = process.memory_info().rss
        time.sleep(1)
        assert process.cpu_times().user - before < 0.5
        assert process.memory_info().rss - rss < 50 * 1024 * 1024


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() FROM numbers(1000000000000) WHERE number % 7 = 9",
        "SELECT number FROM numbers(1000000000000)",
    ],
)
def test_a_query_ends_when_its_client_leaves(
    server: EmbeddedClickHouse, http: httpx.Client, sql: str
) -> None:
    tag = uuid.uuid4().hex
    running = f"SELECT count() FROM system.processes WHERE Settings['log_comment'] = '{tag}'"

    def wait_for(value: str) -> bool:
        deadline = time.monotonic() + 10
        while http.post("/", content=running).text != value:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    with socket.create_connection((server.host, server.port)) as raw:
        head = f"POST /?query_id={tag} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(sql)}\r\n\r\n{sql}"
        raw.sendall(head.encode())
        assert wait_for("1\n")
    assert wait_for("0\n")


def test_an_error_in_mid_stream_is_marked_in_the_body(http: httpx.Client) -> None:
    sql = "SELECT throwIf(number = 3000000) FROM numbers(5000000) SETTINGS max_threads = 1"
    with http.stream("POST", "/", content=sql) as answer:
        assert answer.status_code == 200
        tag = answer.headers["x-clickhouse-exception-tag"]
        body = answer.read()
    tail = body[body.index(b"__exception__") :]
    assert tail.startswith(b"__exception__\r\n" + tag.encode() + b"\r\nCode: 395. DB::Exception: ")
    assert tail.endswith(tag.encode() + b"\r\n__exception__\r\n")


def test_backups_go_to_the_configured_directory_and_nowhere_else(
    server: EmbeddedClickHouse, http: httpx.Client, table: str, tmp_path: Path
) -> None:
    http.post("/", content=f"INSERT INTO {table} SELECT number, 'x' FROM numbers(1000)")
    for target in (f"File('{table}')", f"Disk('backups', '{table}_disk')"):
        made = http.post("/", content=f"BACKUP TABLE {table} TO {target}")
        assert made.text.endswith("BACKUP_CREATED\n")
        restored = http.post("/", content=f"RESTORE TABLE {table} AS {table}_again FROM {target}")
        assert restored.text.endswith("RESTORED\n")
        assert count(http, f"{table}_again") == 1000
        http.post("/", content=f"DROP TABLE {table}_again SYNC")
    assert (server.data_dir / "backups" / table).is_dir()
    outside = http.post("/", content=f"BACKUP TABLE {table} TO File('{tmp_path}/b')")
    assert outside.headers["x-clickhouse-exception-code"] == "36"
    from_outside = http.post("/", content=f"RESTORE TABLE {table} AS x FROM File('{tmp_path}/b')")
    assert from_outside.headers["x-clickhouse-exception-code"] == "36"
