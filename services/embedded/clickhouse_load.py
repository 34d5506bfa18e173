"""Puts what a request carries into tables: the data of an INSERT, and external tables.

An INSERT is one commit after the last byte, or nothing. Must not know how answers are sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.embedded.clickhouse_body import Body
from services.embedded.clickhouse_engine import StatementClass, Statistics
from services.embedded.clickhouse_errors import ClickHouseError, ClientGoneError, Code, refuse
from services.embedded.clickhouse_form import ExternalTable
from services.embedded.clickhouse_request import QueryRequest
from services.embedded.clickhouse_sessions import Lease, Running
from services.embedded.clickhouse_sql import InsertHead

# The engine reads at most max_query_size (256 KiB) of statement; more than this is data of an INSERT.
STATEMENT_BYTES = 256 * 1024
# One block, one part, all or nothing: the engine squashes to these before it writes.
_ATOMIC_INSERT = {"min_insert_block_size_rows": "100000000", "min_insert_block_size_bytes": "10000000000"}


def insert_body(
    lease: Lease,
    request: QueryRequest,
    head: InsertHead,
    *,
    prefix: bytes,
    body: Body,
    running: Running,
) -> Statistics:
    """Feed an INSERT its data and commit. Nothing is stored when this raises."""
    if not request.writes_allowed:
        raise readonly_error(request)
    if head.format == "Values" and len(prefix) < STATEMENT_BYTES:
        # The engine would stop at the semicolon and say nothing of what follows.
        refuse_second_statement(lease.handle.classify(prefix.decode("utf-8", "replace")))
    sql = decoded(prefix[: head.sql_end])
    atomic = {k: v for k, v in _ATOMIC_INSERT.items() if k not in request.settings}
    # send_insert takes no parameters: they are set on the handle instead.
    parameters = {f"param_{name}": value for name, value in request.params.items()}
    lease.handle.set({**atomic, **parameters})
    try:
        with lease.handle.insert(sql, head.format) as insert:
            data: bytes | None = prefix[head.data_start :]
            while data is not None:
                if data:
                    insert.append(data)
                data = body.read()
            if running.client_gone.is_set():
                raise ClientGoneError
            return insert.finish()
    finally:
        if lease.in_session:
            # Blocks of this size are for bodies: an INSERT SELECT would hold its whole result in memory.
            lease.handle.unset(atomic)


@contextmanager
def external_tables(lease: Lease, tables: tuple[ExternalTable, ...]) -> Iterator[None]:
    """External tables are temporary tables of the handle for as long as the query runs."""
    try:
        for table in tables:
            create = f"CREATE TEMPORARY TABLE {table.name} ({table.structure})"
            refuse_second_statement(lease.handle.classify(create))
            lease.handle.run(create)
            with lease.handle.insert(f"INSERT INTO {table.name}", table.format) as insert:
                insert.append(table.data)
                insert.finish()
        yield
    finally:
        if lease.in_session:
            for table in tables:
                lease.handle.run(f"DROP TEMPORARY TABLE IF EXISTS {table.name}")


def decoded(raw: bytes) -> str:
    """A statement's text. Raises ClickHouseError 36 when it is not UTF-8."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise refuse(Code.BAD_ARGUMENTS, f"The query is not UTF-8: {error}.") from error


def refuse_second_statement(found: StatementClass) -> None:
    """Raise ClickHouseError 62 for a text of several statements: the engine would run them all."""
    if found.count > 1:
        raise refuse(
            Code.SYNTAX_ERROR,
            "Syntax error (Multi-statements are not allowed): send one statement a request.",
        )


def readonly_error(request: QueryRequest) -> ClickHouseError:
    """Error 164 for a request that may not write."""
    why = " For queries over HTTP, method GET implies readonly. Use method POST for modifying queries."
    return refuse(
        Code.READONLY, "Cannot execute query in readonly mode." + (why if request.method != "POST" else "")
    )
