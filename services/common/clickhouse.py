"""The one way to ClickHouse, embedded or a cluster: its HTTP interface.

A service makes one `Database` and may do so while ClickHouse is down: each call connects when it
has to, and a failed connection is tried again by the next call. Driver errors leave here as ours,
told apart by the server's error name and never by its text. This module knows no table and no
tenant; every statement comes from the caller with its values as bound parameters.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from clickhouse_connect import get_async_client
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.summary import QuerySummary

from services.common.clickhouse_errors import UnknownDatabase, failure_in, unavailable, wrap
from services.common.clock import SystemClock
from services.common.errors import InvalidArgument, NotFound
from services.common.http_pieces import PiecesPayload
from services.common.native_columns import Bytes
from services.common.native_read import ReadColumn, read_columns

Parameters = Mapping[str, Any]
Observer = Callable[[str, str, float], None]
"""Told after each statement: its kind (read, insert, command), outcome (ok, failed) and seconds."""

_CLOCK = SystemClock()
_NO_PARAMETERS: Parameters = {}
_DEFAULT_PORTS = {"http": 8123, "https": 8443}
# Larger answers are taken apart beside the event loop.
_SMALL_ANSWER_BYTES = 256 << 10
# Inserts must be acknowledged when they are stored, not when they are buffered.
_ALWAYS: Mapping[str, Any] = {"async_insert": 0}


@dataclass(frozen=True, slots=True)
class ClickHouseConfig:
    """Where ClickHouse is and as whom we come. The repr hides the password."""

    host: str
    port: int
    secure: bool
    user: str
    password: str = field(repr=False)
    database: str
    connect_timeout_s: float = 5.0
    request_timeout_s: float = 60.0

    @classmethod
    def from_url(cls, url: str, database: str) -> Self:
        """From `http[s]://user:password@host:port`.

        Raises:
            InvalidArgument: BAD_CLICKHOUSE_URL; the message does not repeat the URL, it may hold a password.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as err:
            raise InvalidArgument("the ClickHouse URL has a bad port", reason="BAD_CLICKHOUSE_URL") from err
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise InvalidArgument(
                "the ClickHouse URL must look like http://user:password@host:port",
                reason="BAD_CLICKHOUSE_URL",
            )
        return cls(
            host=parts.hostname,
            port=port or _DEFAULT_PORTS[parts.scheme],
            secure=parts.scheme == "https",
            user=unquote(parts.username or "default"),
            password=unquote(parts.password or ""),
            database=database,
        )


class Database:
    """One database of one ClickHouse, for one event loop.

    Every method raises Unavailable (CLICKHOUSE_UNAVAILABLE) when the server cannot be reached or
    does not answer in time, and a child of `clickhouse_errors.ClickHouseFailure` when it refuses.
    After Unavailable the outcome of a write is unknown: nothing is sent twice behind your back.
    """

    def __init__(self, config: ClickHouseConfig) -> None:
        self._config = config
        self._observe: Observer | None = None
        self._client: AsyncClient | None = None
        self._connecting = asyncio.Lock()

    @property
    def name(self) -> str:
        """The database that unqualified table names belong to."""
        return self._config.database

    def measured_by(self, observe: Observer) -> None:
        """From now on tell `observe` how long each statement took."""
        self._observe = observe

    async def rows(self, sql: str, parameters: Parameters = _NO_PARAMETERS) -> list[tuple[Any, ...]]:
        """Rows of a SELECT as Python values; DateTime64 as datetime."""
        client = await self._connected()
        with self._measured("read"), wrap():
            result = await client.query(sql, parameters=dict(parameters), settings=dict(_ALWAYS))
            return [tuple(row) for row in result.result_rows]

    async def columns(self, sql: str, parameters: Parameters = _NO_PARAMETERS) -> dict[str, ReadColumn]:
        """Columns of a SELECT by name: NumPy arrays for numbers, `list[bytes]` for strings.

        DateTime64(3) is int64 milliseconds, Enum8 its code, Nullable, Array and Map as in
        `native_columns`. A result without rows may come back as an empty dict.
        """
        client = await self._connected()
        with self._measured("read"), wrap():
            body = await client.raw_query(
                sql, parameters=dict(parameters), settings=dict(_ALWAYS), fmt="Native"
            )
        if len(body) <= _SMALL_ANSWER_BYTES:
            return _columns_of(body)
        return await asyncio.to_thread(_columns_of, body)

    async def command(
        self,
        sql: str,
        parameters: Parameters = _NO_PARAMETERS,
        *,
        settings: Mapping[str, Any] = _NO_PARAMETERS,
        in_database: bool = True,
    ) -> Any:
        """Run a statement; the first value when it has a result, else None.

        `in_database=False` runs it without a current database: for CREATE DATABASE.
        """
        client = await self._connected()
        with self._measured("command"), wrap():
            result = await client.command(
                sql, parameters=dict(parameters), settings={**_ALWAYS, **settings}, use_database=in_database
            )
        return None if isinstance(result, QuerySummary) else result

    async def insert_native(
        self,
        table: str,
        block: bytes | Sequence[Bytes],
        columns: Sequence[str],
        *,
        query_id: str,
        settings: Mapping[str, Any] = _NO_PARAMETERS,
    ) -> int:
        """Insert one Native block, whole or in pieces; the rows written (also when the server deduplicated
        them).

        Sent exactly once. On Unavailable the insert may still be running: ask `running(query_id)`.
        """
        client = await self._connected()
        body: Any = PiecesPayload((block,) if isinstance(block, bytes) else block)
        with self._measured("insert"), wrap():
            # The driver repeats bodies that it can read again after a lost connection: not one of ours.
            result = await client.raw_insert(
                table, columns, body, settings={**_ALWAYS, **settings, "query_id": query_id}, fmt="Native"
            )
        return int(result.written_rows)

    async def running(self, query_id: str) -> bool:
        """Whether a statement with that id is still being executed.

        The embedded server cannot set the engine's query id and tags the statement in its
        log_comment instead; the server knows both places.
        """
        found = await self.rows(
            "SELECT count() FROM system.processes"
            " WHERE query_id = {id:String} OR Settings['log_comment'] = {id:String}",
            {"id": query_id},
        )
        return int(found[0][0]) > 0

    async def database_uuid(self) -> str:
        """Identity of this database: a restored copy has another one.

        Raises:
            NotFound: UNKNOWN_DATABASE; it has not been created yet.
        """
        try:
            found = await self.rows(
                "SELECT toString(uuid) FROM system.databases WHERE name = {name:String}", {"name": self.name}
            )
        except UnknownDatabase:
            found = []
        if not found:
            raise NotFound(f"database {self.name} does not exist", reason="UNKNOWN_DATABASE")
        return str(found[0][0])

    async def ping(self) -> None:
        """Return when the server answers a query now; for health probes.

        Raises:
            Unavailable: it does not.
        """
        await self.command("SELECT 1", in_database=False)

    async def close(self) -> None:
        """Close the connections; the next call would open them again."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @contextmanager
    def _measured(self, kind: str) -> Iterator[None]:
        if self._observe is None:
            yield
            return
        began, outcome = _CLOCK.monotonic_ns(), "failed"
        try:
            yield
            outcome = "ok"
        finally:
            self._observe(kind, outcome, (_CLOCK.monotonic_ns() - began) / 1e9)

    async def _connected(self) -> AsyncClient:
        async with self._connecting:
            if self._client is None:
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> AsyncClient:
        config = self._config
        with wrap():
            client = await get_async_client(
                host=config.host,
                port=config.port,
                interface="https" if config.secure else "http",
                username=config.user,
                password=config.password,
                connect_timeout=config.connect_timeout_s,
                send_receive_timeout=config.request_timeout_s,
                query_retries=0,
                # Loopback and cluster networks are faster than lz4 in Python.
                compress=False,
                tz_mode="aware",
                autogenerate_session_id=False,
            )
        # Set after the handshake, which would fail in a database that migrations have yet to make.
        client.database = config.database
        return client


def _columns_of(body: bytes) -> dict[str, ReadColumn]:
    """The columns, or the failure that ended the answer early."""
    try:
        return read_columns(body)
    except (IndexError, ValueError, TypeError) as err:
        if (failure := failure_in(body)) is not None:
            raise failure from err
        if isinstance(err, TypeError):
            raise  # a column type that the reader does not know
        raise unavailable(err) from err
