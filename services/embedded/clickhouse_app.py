"""The ASGI application: routes, login, bodies in, answers out, clients that leave.

Runs on the event loop; whatever may block runs in worker threads through QueryRunner. Must not know SQL.
"""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor

from services.embedded.clickhouse_engine import Engine
from services.embedded.clickhouse_errors import ClickHouseError, ClientGoneError, Code, refuse
from services.embedded.clickhouse_exchange import (
    Exchange,
    Headers,
    Receive,
    Scope,
    Send,
    header_value,
    send_whole,
)
from services.embedded.clickhouse_request import check_login, header_map, parse_request
from services.embedded.clickhouse_run import QueryRunner
from services.embedded.clickhouse_sessions import Running, RunningQueries

_log = logging.getLogger(__name__)
_KILLERS = 8
_NO_HANDLE = (
    "There is no handle {path}\n\nUse / or /ping for health checks.\n"
    "Send queries from your program with POST method or GET /?query=...\n"
)


class ClickHouseApp:
    """The HTTP interface over one engine. `login` is (user, password); an empty password asks for none."""

    def __init__(
        self, engine: Engine, runner: QueryRunner, queries: RunningQueries, *, login: tuple[str, str]
    ) -> None:
        self._engine = engine
        self._runner = runner
        self._queries = queries
        self._user, self._password = login
        # A thread for each query that may run: readers that stall must not hold up the others.
        self._workers = ThreadPoolExecutor(queries.limit, thread_name_prefix="query")
        # Killing must not wait behind the queries it is to end.
        self._killers = ThreadPoolExecutor(_KILLERS, thread_name_prefix="kill")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        plain: Headers = [(b"content-type", b"text/plain; charset=UTF-8")]
        if path in {"/ping", "/replicas_status"} or (
            path == "/" and not scope["query_string"] and method == "GET"
        ):
            await send_whole(send, 200, plain, b"Ok.\n")
        elif path not in {"/", "/query"}:
            await send_whole(send, 404, plain, _NO_HANDLE.format(path=path).encode())
        elif method not in {"GET", "HEAD", "POST"}:
            await send_whole(send, 501, plain, b"Only GET, HEAD and POST are answered.\n")
        else:
            await self._serve(scope, receive, send)

    def kill_all(self) -> None:
        """End every running query (used when draining took too long)."""
        for running in self._queries.all():
            running.client_gone.set()
            self._killers.submit(self._engine.kill, running.tag, running.done, seconds=2.0)

    def close(self) -> None:
        """Take no more work."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._killers.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = header_map(scope["headers"])
        common: Headers = [(b"x-clickhouse-server-display-name", self._engine.display_name.encode())]
        try:
            check_login(scope["query_string"], headers, user=self._user, password=self._password)
            request = parse_request(scope["method"], scope["query_string"], headers)
            running = self._queries.begin(request.query_id)
        except ClickHouseError as error:
            await self._send_error(send, error, common)
            return
        common.append((b"x-clickhouse-query-id", header_value(running.query_id)))
        zone = request.settings.get("session_timezone") or self._engine.timezone
        common.append((b"x-clickhouse-timezone", header_value(zone)))
        exchange = Exchange(request, running, receive=receive, send=send, common=common)
        try:
            await exchange.run(self._workers, self._runner, self._queries, on_gone=self._client_gone)
        except ClickHouseError as error:
            await self._send_error(send, error, common)
        except ClientGoneError:
            _log.info("client of query %s left", running.query_id)
        except Exception as error:  # a defect of ours must still be an answer that the client can read
            _log.exception("query %s", running.query_id)
            if exchange.begun:
                raise
            await self._send_error(send, refuse(Code.UNKNOWN_EXCEPTION, f"{type(error).__name__}."), common)

    def _client_gone(self, running: Running) -> None:
        """Reads end when nobody waits for them; writes that have all their data are left to finish."""
        running.client_gone.set()
        if running.read_only:
            self._killers.submit(self._engine.kill, running.tag, running.done)

    async def _send_error(self, send: Send, error: ClickHouseError, common: Headers) -> None:
        headers = [
            *common,
            (b"content-type", b"text/plain; charset=UTF-8"),
            (b"x-clickhouse-exception-code", str(error.code).encode()),
        ]
        await send_whole(send, error.http_status, headers, (error.text + "\n").encode())
