"""The embedded server's life: crashes lose nothing that was acknowledged, one directory has one server."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.engines import EmbeddedClickHouse
from tests.engines_given import CLICKHOUSE_URL, needs_embedded

pytestmark = pytest.mark.engines
CREATE = "CREATE TABLE t (writer UInt8, n UInt64, pad String) ENGINE = MergeTree ORDER BY (writer, n)"
ROUNDS = 4
ROWS = 5_000
ACKNOWLEDGED = 2
"""By each writer before each kill."""


@pytest.fixture(autouse=True)
def own_engine() -> None:
    needs_embedded(CLICKHOUSE_URL, why="it is killed and started again")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedClickHouse]:
    with EmbeddedClickHouse(tmp_path / "clickhouse") as running:
        yield running


def post(server: EmbeddedClickHouse, sql: str, body: bytes = b"", **params: str) -> httpx.Response:
    with httpx.Client(base_url=server.url, timeout=30, verify=False) as client:
        return client.post("/", params={"query": sql, **params}, content=body)


def insert_until_it_fails(server: EmbeddedClickHouse, writer: int, acknowledged: list[int]) -> None:
    """Insert numbered batches; a batch is noted when its answer says 200."""
    batch = max(acknowledged, default=-1)
    with httpx.Client(base_url=server.url, timeout=30, verify=False) as client:
        while True:
            batch += 1
            body = b"".join(b"%d\t%d\tabc\n" % (writer, batch * ROWS + i) for i in range(ROWS))
            token = {"insert_deduplication_token": f"{writer}-{batch}"}
            try:
                answer = client.post("/", params={"query": "INSERT INTO t FORMAT TSV", **token}, content=body)
            except httpx.TransportError:
                return
            assert answer.status_code == 200, answer.text
            acknowledged.append(batch)


def wait_acknowledged(writers: list[threading.Thread], batches: list[list[int]]) -> None:
    """Return when each writer has further acknowledgements, at some moment of its next insert."""
    enough = [len(each) + ACKNOWLEDGED for each in batches]
    deadline = time.monotonic() + 60
    while any(len(each) < wanted for each, wanted in zip(batches, enough, strict=True)):
        assert all(thread.is_alive() for thread in writers), "a writer has failed"
        assert time.monotonic() < deadline, "the inserts are not acknowledged"
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.2))


def test_kill_9_loses_no_acknowledged_insert_and_keeps_no_half_one(server: EmbeddedClickHouse) -> None:
    post(server, f"{CREATE} SETTINGS non_replicated_deduplication_window = 1000")
    acknowledged: dict[int, list[int]] = {1: [], 2: []}
    port = server.port
    for _ in range(ROUNDS):
        writers = [
            threading.Thread(target=insert_until_it_fails, args=(server, writer, batches))
            for writer, batches in acknowledged.items()
        ]
        for thread in writers:
            thread.start()
        wait_acknowledged(writers, list(acknowledged.values()))
        server.kill9()
        for thread in writers:
            thread.join()
        server.start()
        assert server.port == port
        per_batch = post(
            server, f"SELECT writer, intDiv(n, {ROWS}) AS b, count() FROM t GROUP BY writer, b"
        ).text
        stored = {(int(w), int(b)): int(c) for w, b, c in (line.split() for line in per_batch.splitlines())}
        for writer, batches in acknowledged.items():
            assert [b for b in batches if stored.get((writer, b)) != ROWS] == []
            unknown = {b for w, b in stored if w == writer} - set(batches)
            assert len(unknown) <= 1, "at most the batch in flight is there without its acknowledgement"
            batches.extend(unknown)
        assert set(stored.values()) == {ROWS}, "no part of a batch"
    assert sum(map(len, acknowledged.values())) >= 2 * ROUNDS * ACKNOWLEDGED


def test_a_second_server_on_the_directory_is_refused_and_names_the_first(server: EmbeddedClickHouse) -> None:
    command = [
        sys.executable,
        "-m",
        "services.embedded.clickhouse",
        "--port",
        "0",
        "--data-dir",
        str(server.data_dir),
    ]
    second = subprocess.run(
        command, capture_output=True, text=True, timeout=30, cwd=Path(__file__).parents[2]
    )
    assert second.returncode == 3
    assert f"in use by another clickhouse server (pid {server.pid})" in second.stderr
    assert post(server, "SELECT 1").text == "1\n"


def test_a_taken_port_is_refused(server: EmbeddedClickHouse, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.embedded.clickhouse", "--port", str(server.port)]
    command += ["--data-dir", str(tmp_path / "other")]
    second = subprocess.run(
        command, capture_output=True, text=True, timeout=30, cwd=Path(__file__).parents[2]
    )
    assert second.returncode == 4
    assert str(server.port) in second.stderr


def test_sigterm_lets_running_queries_end_and_exits_0(server: EmbeddedClickHouse) -> None:
    post(server, CREATE)
    answers: list[httpx.Response] = []
    sql = "INSERT INTO t SELECT 1, number, 'x' FROM numbers(10) WHERE sleepEachRow(0.1) = 0"
    thread = threading.Thread(target=lambda: answers.append(post(server, sql, query_id="slow")))
    thread.start()
    running = "SELECT count() FROM system.processes WHERE Settings['log_comment'] = 'slow'"
    while post(server, running).text == "0\n" and thread.is_alive():
        time.sleep(0.02)
    idle = socket.create_connection((server.host, server.port))
    assert server.stop() == 0
    thread.join()
    idle.close()
    assert answers[0].status_code == 200
    server.start()
    assert post(server, "SELECT count() FROM t").text == "10\n"


def test_sigterm_ends_queries_that_do_not_end(tmp_path: Path) -> None:
    with EmbeddedClickHouse(tmp_path / "clickhouse", options=("--drain-seconds", "1")) as server:
        with socket.create_connection((server.host, server.port)) as stalled:
            sql = b"SELECT number FROM numbers(1000000000000)"
            stalled.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(sql), sql))
            stalled.recv(10)
            pid = server.pid
            assert server.stop() == 0  # -9 had it not ended by itself in time
        with pytest.raises(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_the_ready_line_says_where(server: EmbeddedClickHouse) -> None:
    assert server.log.startswith(f"clickhouse: listening on 127.0.0.1:{server.port}\n")
