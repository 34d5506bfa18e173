"""The chDB engine behind typed calls: handles, settings, streams, inserts, killing.

The only importer of chdb. One process holds one engine over one directory; each request works on a handle of
its own, since USE, SET and temporary tables live on the handle. Must not know HTTP.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import chdb

from services.embedded.clickhouse_errors import from_engine
from services.embedded.clickhouse_sql import quote, quote_name

# A string setting without effect here (no server logs are sent to clients): it carries our unique tag, so
# that log_comment stays the client's.
TAG_SETTING = "send_logs_source_regexp"
# `selec` must be a syntax error as on a server, not an implicit SELECT of a column.
_HANDLE_DEFAULTS = {
    "implicit_select": "0",
    "async_insert": "0",
    # A filter on one side of a join prunes granules of the other: without it a view over points and
    # series reads every point of a tenant to answer for one metric.
    "enable_join_runtime_filters_index_analysis": "1",
}
_LIBRARY_ERRORS = (RuntimeError, chdb.ChdbError)
_KILL_FIRST_WAIT_SECONDS = 0.02
_KILL_LAST_WAIT_SECONDS = 1.0


@dataclass(slots=True)
class Statistics:
    """Rows and bytes of one statement, as X-ClickHouse-Summary reports them."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0

    def add(self, result: Any) -> None:
        """Add the counters of one engine result (the chunks of a stream count their own share)."""
        self.read_rows += result.storage_rows_read()
        self.read_bytes += result.storage_bytes_read()
        self.written_rows += result.rows_written()
        self.written_bytes += result.bytes_written()
        self.result_rows += result.rows_read()
        self.result_bytes += result.size()


@dataclass(frozen=True, slots=True)
class StatementClass:
    """What the engine's parser says about a text without running it. `count` is 0 for what does not parse."""

    count: int
    read_only: bool


class Insert:
    """An open INSERT: nothing is visible before `finish` returned. Leaving the block without it cancels."""

    def __init__(self, inserter: Any) -> None:
        self._inserter = inserter

    def append(self, data: bytes) -> None:
        """Give the engine more input bytes."""
        try:
            self._inserter.append(data)
        except RuntimeError as error:
            raise from_engine(str(error)) from error

    def finish(self) -> Statistics:
        """Commit. Returns the rows and bytes written."""
        try:
            result = self._inserter.finish()
        except RuntimeError as error:
            raise from_engine(str(error)) from error
        rows, size = int(result.rows_written), int(result.bytes_written)
        return Statistics(read_rows=rows, read_bytes=size, written_rows=rows, written_bytes=size)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, raised: BaseException | None, __: object) -> None:
        try:
            self._inserter.cancel()
        except RuntimeError as error:
            if raised is None:  # what went wrong first is what the client must hear
                raise from_engine(str(error)) from error


class Handle:
    """One connection to the engine with its own settings and database. Not for use by two threads at once."""

    def __init__(self, path: str) -> None:
        try:
            self._connection = chdb.connect(path)
        except RuntimeError as error:
            raise from_engine(str(error)) from error

    def close(self) -> None:
        """Give the handle back; open streams end."""
        self._connection.close()

    def classify(self, sql: str) -> StatementClass:
        """Parse without running."""
        found = self._connection._conn.classify_query(sql)
        return StatementClass(int(found["statement_count"]), found["query_class"].name == "READ_ONLY")

    def set(self, settings: Mapping[str, str]) -> None:
        """Apply settings to the handle. Raises ClickHouseError 115 for an unknown one."""
        if settings:
            self.run("SET " + ", ".join(f"{name} = {quote(value)}" for name, value in settings.items()))

    def unset(self, names: Iterable[str]) -> None:
        """Return settings to their defaults (the handle's own where it has one)."""
        for name in names:
            default = _HANDLE_DEFAULTS.get(name)
            self.run(f"SET {name} = " + ("DEFAULT" if default is None else quote(default)))

    def use(self, database: str) -> None:
        """Change the current database. Raises ClickHouseError 81 when it does not exist."""
        self.run(f"USE {quote_name(database)}")

    def run(self, sql: str, fmt: str = "TabSeparated", params: Mapping[str, str] | None = None) -> Any:
        """Run any one statement and return the library's result, whole in memory."""
        try:
            return self._connection.query(sql, fmt, params=dict(params or {}))
        except _LIBRARY_ERRORS as error:
            raise from_engine(str(error)) from error

    def stream(self, sql: str, fmt: str, params: Mapping[str, str]) -> Generator[Any, None, None]:
        """Run a SELECT and yield the library's chunks; the query ends when the iterator is closed."""
        try:
            result: Any = self._connection.send_query(sql, fmt, params=dict(params))
            try:
                while (chunk := result.fetch()) is not None:
                    yield chunk
            finally:
                result.cancel()
        except _LIBRARY_ERRORS as error:
            raise from_engine(str(error)) from error

    def insert(self, sql: str, fmt: str) -> Insert:
        """Open a streaming INSERT; `sql` has neither FORMAT nor data."""
        try:
            return Insert(self._connection.send_insert(sql, fmt))
        except RuntimeError as error:
            raise from_engine(str(error)) from error


class Engine:
    """The engine over one directory. Keep one object for the life of the process."""

    def __init__(self, path: Path, config_file: Path, *, max_threads: int) -> None:
        self._path = str(path)
        self._max_threads = max_threads
        # The last handle to close would shut the engine down: this one stays open.
        self._first = Handle(f"{self._path}?config-file={config_file}&max_threads={max_threads}")
        facts = self._first.run("SELECT version(), timezone(), displayName()").bytes().decode().rstrip("\n")
        self.version, self.timezone, self.display_name = facts.split("\t")

    def open_handle(self) -> Handle:
        """A fresh handle with this server's defaults."""
        handle = Handle(self._path)
        handle.set({"max_threads": str(self._max_threads), **_HANDLE_DEFAULTS})
        return handle

    def kill(self, tag: str, done: threading.Event, *, seconds: float = 30.0) -> bool:
        """End the query with this tag, trying until `done` is set (it may not have been registered yet).

        Returns whether `done` was set in time.
        """
        handle = Handle(self._path)
        try:
            wait, waited = _KILL_FIRST_WAIT_SECONDS, 0.0
            while not done.is_set() and waited < seconds:
                handle.run(f"KILL QUERY WHERE Settings['{TAG_SETTING}'] = {quote(tag)} ASYNC")
                done.wait(wait)
                waited += wait
                wait = min(wait * 2, _KILL_LAST_WAIT_SECONDS)
        finally:
            handle.close()
        return done.is_set()

    def close(self) -> None:
        """Close the first handle; with no other open the engine shuts down and flushes."""
        self._first.close()
