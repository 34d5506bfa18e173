"""Which engine a test gets: its own process, the server that a variable names, or a clear skip."""

from pathlib import Path

import pytest

from tests.engines import EmbeddedClickHouse
from tests.engines_given import (
    CLICKHOUSE_URL,
    GIVEN,
    NATS_URL,
    REDIS_URL,
    GivenClickHouse,
    clickhouse_server,
    nats_server,
    needs_embedded,
    redis_server,
)


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GIVEN:
        monkeypatch.delenv(name, raising=False)


def test_without_variables_every_test_has_its_own_engines(tmp_path: Path) -> None:
    clickhouse = clickhouse_server(tmp_path, needs="is killed", password="x")

    assert isinstance(clickhouse, EmbeddedClickHouse)
    assert clickhouse.database("threenines") == "threenines"
    needs_embedded(CLICKHOUSE_URL, why="is killed")


def test_a_given_server_is_used_with_its_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CLICKHOUSE_URL, "http://me:s%40fe@db.example:18123/")
    monkeypatch.setenv(NATS_URL, "nats://log.example:4223")
    monkeypatch.setenv(REDIS_URL, "redis://cache.example:6380/3")

    clickhouse = clickhouse_server(tmp_path, password="x")

    assert (clickhouse.host, clickhouse.port) == ("db.example", 18123)
    assert (clickhouse.user, clickhouse.password) == ("me", "s@fe")
    assert clickhouse.url == "http://me:s%40fe@db.example:18123"
    assert nats_server(tmp_path).url == "nats://log.example:4223"
    assert redis_server(tmp_path).url == "redis://cache.example:6380/3"
    assert list(tmp_path.iterdir()) == []


def test_no_two_tests_on_a_given_server_share_a_database() -> None:
    names = {GivenClickHouse("http://db.example:8123").database("threenines") for _ in range(50)}

    assert len(names) == 50
    assert all(name.startswith("threenines_") and name.isidentifier() for name in names)


def test_what_a_given_server_cannot_stand_is_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NATS_URL, "nats://log.example:4222")

    with pytest.raises(pytest.skip.Exception, match=rf"embedded engine: it is killed \({NATS_URL} is set\)"):
        nats_server(tmp_path, needs="it is killed")
    with pytest.raises(pytest.skip.Exception, match="both are killed"):
        needs_embedded(CLICKHOUSE_URL, NATS_URL, why="both are killed")
