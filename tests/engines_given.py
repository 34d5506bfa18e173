"""Where tests get their engines from: their own processes, or servers given by URL.

`THREENINES_TEST_CLICKHOUSE_URL`, `_NATS_URL` and `_REDIS_URL` name servers that exist for tests only:
a test makes databases of its own and drops them, but it takes over the streams of NATS and the keys
of Redis. Containers (`engines_containers.py`) end as such URLs too, so there is one way beside the
embedded engines. A test that must kill an engine, restart it or read its files says so in `needs`:
with a given server it is skipped with that reason.
"""

import contextlib
import os
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import unquote, urlsplit

import nats
import pytest

from services.common.streams import BUCKETS, STREAMS, bucket_stream
from tests.engines import EmbeddedClickHouse
from tests.engines_nats import EmbeddedNats, EmbeddedRedis

CLICKHOUSE_URL = "THREENINES_TEST_CLICKHOUSE_URL"
NATS_URL = "THREENINES_TEST_NATS_URL"
REDIS_URL = "THREENINES_TEST_REDIS_URL"
GIVEN = (CLICKHOUSE_URL, NATS_URL, REDIS_URL)


class GivenClickHouse:
    """A running ClickHouse with the face of `EmbeddedClickHouse`; drops at its end what it handed out."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None, f"{CLICKHOUSE_URL} must look like http://user:password@host:port"
        self.login_url = url.rstrip("/")
        self.url = self.login_url
        self.host, self.port = parts.hostname, parts.port or 8123
        self.user, self.password = unquote(parts.username or "default"), unquote(parts.password or "")
        self._databases: list[str] = []

    def database(self, name: str) -> str:
        """A name that no other test has, starting with `name`; the database is not made."""
        self._databases.append(f"{name}_{secrets.token_hex(6)}")
        return self._databases[-1]

    def start(self) -> None:
        """Nothing to do: the first statement shows whether it is there."""

    def stop(self) -> None:
        """Drop the databases, and those that were derived from them: `<name>_<tenant>`."""
        while self._databases:
            name = self._databases.pop()
            sql = f"SELECT name FROM system.databases WHERE startsWith(name, '{name}') ORDER BY name DESC"
            for each in self._command(sql).split():
                self._command(f"DROP DATABASE IF EXISTS `{each}` SYNC")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _command(self, sql: str) -> str:
        scheme = urlsplit(self.login_url).scheme
        headers = {"X-ClickHouse-User": self.user, "X-ClickHouse-Key": self.password}
        request = urllib.request.Request(f"{scheme}://{self.host}:{self.port}/", sql.encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as err:
            raise AssertionError(f"{sql}: {err.read().decode(errors='replace')}") from err


class GivenNats:
    """A running NATS with the face of `EmbeddedNats`; `start` takes what earlier tests left in it."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def start(self) -> None:
        """Delete the streams and buckets of the system."""
        client = await nats.connect(self.url, connect_timeout=10, allow_reconnect=False)
        try:
            for name in [*(spec.name for spec in STREAMS), *map(bucket_stream, BUCKETS)]:
                with contextlib.suppress(nats.js.errors.NotFoundError):
                    await client.jetstream(timeout=30).delete_stream(name)
        finally:
            await client.close()

    async def stop(self) -> None:
        """Nothing to do: whoever comes next takes what is left."""


class GivenRedis:
    """A running Redis with the face of `EmbeddedRedis`; tests use keys of their own."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def start(self) -> None:
        """Nothing to do: the first command shows whether it is there."""

    async def stop(self) -> None:
        """Nothing to do."""


_Given = TypeVar("_Given")
_Embedded = TypeVar("_Embedded")

ClickHouseServer = EmbeddedClickHouse | GivenClickHouse
NatsLog = EmbeddedNats | GivenNats


def clickhouse_server(data_dir: Path, *, needs: str = "", **options: Any) -> ClickHouseServer:
    """A ClickHouse, not started; `options` are those of the embedded one."""
    return _choose(CLICKHOUSE_URL, needs, GivenClickHouse, lambda: EmbeddedClickHouse(data_dir, **options))


def nats_server(data_dir: Path, *, needs: str = "", **options: Any) -> NatsLog:
    """A NATS server without streams, not started; `options` are those of the embedded one."""
    return _choose(NATS_URL, needs, GivenNats, lambda: EmbeddedNats(data_dir, **options))


def redis_server(data_dir: Path, *, needs: str = "") -> EmbeddedRedis | GivenRedis:
    """A Redis, not started."""
    return _choose(REDIS_URL, needs, GivenRedis, lambda: EmbeddedRedis(data_dir))


def needs_embedded(*variables: str, why: str) -> None:
    """Skip the test when one of these servers is given: it must do something to it that needs its own."""
    given = [name for name in variables if os.environ.get(name)]
    if given:
        pytest.skip(f"needs the embedded engine: {why} ({', '.join(given)} is set)")


def _choose(
    variable: str, needs: str, given: Callable[[str], _Given], embedded: Callable[[], _Embedded]
) -> _Given | _Embedded:
    url = os.environ.get(variable)
    if not url:
        return embedded()
    if needs:
        needs_embedded(variable, why=needs)
    return given(url)
