"""Runs one request on the engine, in a worker thread: plan the statement, feed or stream, report statistics.

Knows the engine's handles and the request, not ASGI: output goes to a `Reply`.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from services.embedded import clickhouse_formats as formats
from services.embedded import clickhouse_sql as sql_text
from services.embedded.clickhouse_body import Body
from services.embedded.clickhouse_engine import Engine, StatementClass, Statistics
from services.embedded.clickhouse_errors import ClientGoneError, Code, refuse
from services.embedded.clickhouse_form import ExternalTable, read_form
from services.embedded.clickhouse_load import (
    STATEMENT_BYTES,
    decoded,
    external_tables,
    insert_body,
    readonly_error,
    refuse_second_statement,
)
from services.embedded.clickhouse_native import block_prefix, prefix_blocks
from services.embedded.clickhouse_request import QueryRequest
from services.embedded.clickhouse_sessions import Handles, Lease, Running

_DEFAULT_FORMAT = "TabSeparated"
_TEXT_LIMIT_BYTES = 64 * 1024 * 1024
# A result up to this size is answered whole: with its length, its final statistics and a clean error status.
_WHOLE_RESULT_BYTES = 2 * 1024 * 1024
_WAITED_RESULT_BYTES = 16 * 1024 * 1024
_WHOLE_RESULT_SECONDS = 0.1
_STREAMED_WORDS = frozenset({"SELECT", "WITH", "FROM", "("})
_SESSION_WORDS = frozenset({"SET", "USE"})
# Programs ask the same few questions with other values; reading the text is a good part of a small one.
_REMEMBERED, _REMEMBERED_CHARS = 512, 16_384


@dataclass(frozen=True, slots=True)
class _Said:
    """What a statement's own text says."""

    word: str
    format: str
    writes_outfile: bool
    reads_input: bool


@dataclass(frozen=True, slots=True)
class Head:
    """What an answer's headers say. `format` is "" for a statement without a result set."""

    format: str
    statistics: Statistics
    elapsed_seconds: float

    def summary(self) -> str:
        """The X-ClickHouse-Summary value (all numbers are strings there)."""
        numbers = self.statistics
        return json.dumps(
            {
                "read_rows": str(numbers.read_rows),
                "read_bytes": str(numbers.read_bytes),
                "written_rows": str(numbers.written_rows),
                "written_bytes": str(numbers.written_bytes),
                "total_rows_to_read": str(numbers.read_rows),
                "result_rows": str(numbers.result_rows),
                "result_bytes": str(numbers.result_bytes),
                "elapsed_ns": str(int(self.elapsed_seconds * 1e9)),
            },
            separators=(",", ":"),
        )


class Reply(Protocol):
    """Where an answer goes. `stream` blocks until the client took it; ClientGoneError when it left."""

    def whole(self, head: Head, body: bytes) -> None: ...

    def stream(self, head: Head, chunks: Iterator[bytes]) -> None: ...


class QueryRunner:
    """Runs requests, each in the calling thread."""

    def __init__(
        self, engine: Engine, handles: Handles, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._handles = handles
        self._monotonic = monotonic
        self._classes: dict[tuple[str, tuple[tuple[str, str], ...]], StatementClass] = {}

    def run(self, request: QueryRequest, body: Body, reply: Reply, running: Running) -> None:
        """Execute and answer. Raises ClickHouseError before any output, ClientGoneError when nobody waits."""
        started = self._monotonic()
        tables: tuple[ExternalTable, ...] = ()
        if request.form:
            request, tables = read_form(request, _rest(b"", body))
        # The statement is the URL's part, a line feed and the body.
        parts = (request.query.encode(), body.read_up_to(STATEMENT_BYTES))
        prefix = b"\n".join(part for part in parts if part)
        # Latin-1 keeps one character per byte, so offsets into the text are offsets into the bytes.
        insert = sql_text.split_insert(prefix.decode("latin-1"))
        with self._handles.lease(request, running) as lease, external_tables(lease, tables):
            if insert is not None and insert.kind is sql_text.InsertKind.INFILE:
                raise refuse(
                    Code.UNKNOWN_TYPE_OF_QUERY, "Query has infile and was sent directly to the server."
                )
            if insert is not None and insert.kind is sql_text.InsertKind.DATA:
                statistics = insert_body(lease, request, insert, prefix=prefix, body=body, running=running)
                reply.whole(Head("", statistics, self._monotonic() - started), b"")
                return
            sql = decoded(_rest(prefix, body))
            _check_statement(self._classify(lease, request, sql), request, sql, running)
            try:
                self._query(lease, request, sql, reply=reply, started=started, running=running)
            finally:
                if not running.read_only:
                    self._handles.forget_spares()
            lease.unchanged = running.read_only and not tables

    def _classify(self, lease: Lease, request: QueryRequest, sql: str) -> StatementClass:
        """What the parser says; it says the same again of the same text under the same settings."""
        if not sql.strip():
            raise refuse(Code.SYNTAX_ERROR, "Syntax error: Empty query.")
        if lease.in_session or len(sql) > _REMEMBERED_CHARS:
            return lease.handle.classify(sql)
        key = sql, tuple(sorted(request.settings.items()))
        found = self._classes.get(key)
        if found is None:
            if len(self._classes) >= _REMEMBERED:
                self._classes.clear()
            found = self._classes[key] = lease.handle.classify(sql)
        return found

    def _query(
        self, lease: Lease, request: QueryRequest, sql: str, *, reply: Reply, started: float, running: Running
    ) -> None:
        said = _said(sql)
        word, fmt = said.word, said.format or request.default_format or _DEFAULT_FORMAT
        prefix = block_prefix(fmt, request.native_revision)
        streams = running.read_only and word in _STREAMED_WORDS and formats.chunks_concatenate(fmt)
        if streams and self._stream(lease, request, sql, fmt=fmt, reply=reply, started=started):
            return
        result = lease.handle.run(sql, fmt, request.params)
        lease.changed_database = word == "USE"
        statistics = Statistics()
        statistics.add(result)
        body = result.bytes()
        if prefix:
            body = prefix_blocks(self._engine, body, result.rows_read(), prefix)
        answered = fmt if running.read_only or body else ""
        reply.whole(Head(answered, statistics, self._monotonic() - started), body)

    def _stream(
        self, lease: Lease, request: QueryRequest, sql: str, *, fmt: str, reply: Reply, started: float
    ) -> bool:
        """Answer chunk by chunk; False when the result is empty and its format still needs a header."""
        statistics = Statistics()
        prefix = block_prefix(fmt, request.native_revision)
        chunks = _chunks(lease, request, sql, fmt=fmt, statistics=statistics, prefix=prefix)
        try:
            limit = _WAITED_RESULT_BYTES if request.wait_end_of_query else _WHOLE_RESULT_BYTES
            first: list[bytes] = []
            size = 0
            for chunk in chunks:
                first.append(chunk)
                size += len(chunk)
                late = self._monotonic() - started > _WHOLE_RESULT_SECONDS and not request.wait_end_of_query
                if size > limit or late:
                    break
            else:
                if not first and formats.has_header(fmt):
                    return False
                reply.whole(Head(fmt, statistics, self._monotonic() - started), b"".join(first))
                return True
            head = Head(fmt, statistics, self._monotonic() - started)
            reply.stream(head, itertools.chain(first, chunks))
            return True
        finally:
            chunks.close()


def _chunks(
    lease: Lease, request: QueryRequest, sql: str, *, fmt: str, statistics: Statistics, prefix: bytes
) -> Generator[bytes, None, None]:
    stream = lease.handle.stream(sql, fmt, request.params)
    try:
        for index, chunk in enumerate(stream):
            statistics.add(chunk)
            data = chunk.bytes()
            if index:
                data = data[formats.header_length(fmt, data) :]
            yield prefix + data if prefix else data
    finally:
        stream.close()


def _rest(prefix: bytes, body: Body) -> bytes:
    parts = [prefix]
    size = len(prefix)
    while (part := body.read()) is not None:
        parts.append(part)
        size += len(part)
        if size > _TEXT_LIMIT_BYTES:
            raise refuse(Code.QUERY_IS_TOO_LARGE, f"The query is longer than {_TEXT_LIMIT_BYTES} bytes.")
    return b"".join(parts)


def _said(sql: str) -> _Said:
    return _read_text(sql) if len(sql) <= _REMEMBERED_CHARS else _read_text.__wrapped__(sql)


@lru_cache(_REMEMBERED)
def _read_text(sql: str) -> _Said:
    return _Said(
        word=sql_text.first_word(sql),
        format=sql_text.output_format(sql),
        writes_outfile=sql_text.writes_outfile(sql),
        reads_input=sql_text.reads_input(sql),
    )


def _check_statement(found: StatementClass, request: QueryRequest, sql: str, running: Running) -> None:
    refuse_second_statement(found)
    said = _said(sql)
    if said.writes_outfile:
        raise refuse(Code.INTO_OUTFILE_NOT_ALLOWED, "INTO OUTFILE is not allowed.")
    # In this order: whoever notes that the client left sets its flag first and reads this one second.
    if said.reads_input:
        # The engine would find no body and store nothing, without an error.
        raise refuse(Code.NOT_IMPLEMENTED, "The embedded server has no input(): INSERT ... FORMAT instead.")
    running.read_only = found.read_only
    if running.client_gone.is_set():
        raise ClientGoneError
    # Outside a session readonly=2 on the handle says the same; on a session's handle it could not be undone.
    parses_and_writes = found.count == 1 and not found.read_only
    if parses_and_writes and not request.writes_allowed and said.word not in _SESSION_WORDS:
        raise readonly_error(request)
