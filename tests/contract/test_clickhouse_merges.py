"""The embedded engine's merges come last, whoever runs it: what waits for an answer goes before them."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from services.embedded.clickhouse_merges import NICE
from tests.engines import EmbeddedClickHouse
from tests.engines_given import CLICKHOUSE_URL, needs_embedded


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedClickHouse]:
    needs_embedded(CLICKHOUSE_URL, why="threads of its own process are the subject")
    with EmbeddedClickHouse(tmp_path) as running:
        yield running


def niceness(pid: int, name: str) -> list[int]:
    """Of the threads of that name."""
    threads = [
        one for one in Path(f"/proc/{pid}/task").iterdir() if (one / "comm").read_text().strip() == name
    ]
    return [os.getpriority(os.PRIO_PROCESS, int(one.name)) for one in threads]


def test_threads_that_merge_have_the_lowest_priority_and_no_others_have(server: EmbeddedClickHouse) -> None:
    assert niceness(server.pid, "MergeMutate") == []
    with httpx.Client(base_url=server.url, timeout=30) as client:
        client.post("/", content="CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a").raise_for_status()
        deadline = time.monotonic() + 20
        while niceness(server.pid, "MergeMutate") != [NICE, NICE]:
            assert time.monotonic() < deadline, niceness(server.pid, "MergeMutate")
            time.sleep(0.1)
        for number in range(3):
            client.post("/", content=f"INSERT INTO t SELECT {number}").raise_for_status()
        client.post("/", content="OPTIMIZE TABLE t FINAL").raise_for_status()
        assert client.post("/", content="SELECT sum(a) FROM t").text == "3\n"
    assert niceness(server.pid, "MergeMutate") == [NICE, NICE]
    assert NICE not in niceness(server.pid, "ThreadPool")
