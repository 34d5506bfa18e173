"""One request and its answer: the bridge between the event loop (ASGI) and the worker that runs the query.

The worker pulls the body and pushes the result; both block it until the other side is ready, which is the
back-pressure. Must not know SQL, logins or the engine.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from services.embedded.clickhouse_body import Body, encoder
from services.embedded.clickhouse_errors import ClickHouseError, ClientGoneError
from services.embedded.clickhouse_formats import content_type
from services.embedded.clickhouse_request import QueryRequest
from services.embedded.clickhouse_run import Head, QueryRunner
from services.embedded.clickhouse_sessions import Running, RunningQueries

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_PREFETCH_BYTES = 256 * 1024
_PULL_BYTES = 1024 * 1024
_SMALL_BODY_BYTES = 512
_TAG_BYTES = 8  # 16 characters in hexadecimal


class Exchange:
    """Carries one request through a worker thread. Implements `Reply` for it."""

    def __init__(
        self, request: QueryRequest, running: Running, *, receive: Receive, send: Send, common: Headers
    ) -> None:
        self._request = request
        self._running = running
        self._receive = receive
        self._send = send
        self._common = common
        self._loop = asyncio.get_running_loop()
        self._on_gone: Callable[[Running], None] = lambda _: None
        self._watcher: asyncio.Task[None] | None = None
        self._body_complete = False
        self.begun = False  # whether a status has been sent
        self._whole: tuple[Headers, bytes] | None = None

    async def run(
        self,
        workers: ThreadPoolExecutor,
        runner: QueryRunner,
        queries: RunningQueries,
        *,
        on_gone: Callable[[Running], None],
    ) -> None:
        """Run the query in a worker and finish the answer.

        Raises ClickHouseError when the query failed before any output, ClientGoneError when the client left.
        """
        self._on_gone = on_gone
        try:
            first = await self._prefetch()
        except BaseException:
            queries.end(self._running)
            raise

        def job() -> None:
            body = Body(first, self._pull, self._request.content_encoding)
            runner.run(self._request, body, self, self._running)

        future = workers.submit(job)
        # Registered before anybody waits: the id is free before the client can see the end of the answer.
        future.add_done_callback(lambda _: queries.end(self._running))
        try:
            await asyncio.wrap_future(future)
        finally:
            if self._watcher is not None:
                self._watcher.cancel()
        if self._whole is None:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await send_whole(self._send, 200, *self._whole)

    def whole(self, head: Head, body: bytes) -> None:
        """Keep a complete answer; it is sent when the worker is done."""
        headers = self._headers(head)
        if self._request.accept_encoding and len(body) > _SMALL_BODY_BYTES:
            compressor = encoder(self._request.accept_encoding)
            body = compressor.compress(body) + compressor.flush()
            headers.append((b"content-encoding", self._request.accept_encoding.encode()))
        self._whole = (headers, body)

    def stream(self, head: Head, chunks: Iterator[bytes]) -> None:
        """Send an answer piece by piece. A failure on the way goes into the body, marked by a tag."""
        tag = secrets.token_hex(_TAG_BYTES)
        headers = [*self._headers(head), (b"x-clickhouse-exception-tag", tag.encode())]
        name = self._request.accept_encoding
        if name:
            headers.append((b"content-encoding", name.encode()))
        compressor = encoder(name) if name else None
        self.begun = True
        self._blocking_send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            for chunk in chunks:
                self._push(compressor.compress(chunk) if compressor else chunk)
        except ClickHouseError as error:
            text = exception_block(error.text, tag)
            self._push(compressor.compress(text) if compressor else text)
        if compressor is not None:
            self._push(compressor.flush())

    def _headers(self, head: Head) -> Headers:
        headers = [
            *self._common,
            (b"content-type", content_type(head.format).encode()),
            (b"x-clickhouse-summary", head.summary().encode()),
        ]
        if head.format:
            headers.append((b"x-clickhouse-format", header_value(head.format)))
        return headers

    def _push(self, data: bytes) -> None:
        if data:
            self._blocking_send({"type": "http.response.body", "body": data, "more_body": True})

    def _blocking_send(self, message: Message) -> None:
        asyncio.run_coroutine_threadsafe(_awaited(self._send(message)), self._loop).result()
        if self._running.client_gone.is_set():
            raise ClientGoneError

    async def _prefetch(self) -> bytes:
        """Take what fits in memory before a worker is bothered: most bodies are complete after this."""
        parts: list[bytes] = []
        size = 0
        while not self._body_complete and size < _PREFETCH_BYTES:
            part = await self._next_part()
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    async def _next_part(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            self._running.client_gone.set()
            raise ClientGoneError
        if not message.get("more_body", False):
            self._body_complete = True
            self._watcher = asyncio.ensure_future(self._watch())
        return bytes(message.get("body", b""))

    def _pull(self) -> bytes | None:
        if self._body_complete:
            return None
        return asyncio.run_coroutine_threadsafe(self._several_parts(), self._loop).result()

    async def _several_parts(self) -> bytes:
        """Parts are small: a worker that came for each of them would mostly wait for its turn."""
        parts: list[bytes] = []
        size = 0
        while not self._body_complete and size < _PULL_BYTES:
            parts.append(await self._next_part())
            size += len(parts[-1])
        return b"".join(parts)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._on_gone(self._running)


async def send_whole(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Answer with a complete body and its length."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def header_value(text: str) -> bytes:
    """Text as a header value: what a client sent must not end the header and begin another."""
    return "".join(char if char.isprintable() else "?" for char in text).encode()


def exception_block(text: str, tag: str) -> bytes:
    """The tail of a body whose query failed after the status was sent, as a server of 25.11 writes it."""
    message = text.encode("utf-8", "replace") + b"\n"
    mark = tag.encode()
    return b"__exception__\r\n%b\r\n%b%d %b\r\n__exception__\r\n" % (mark, message, len(message), mark)


async def _awaited(pending: Awaitable[None]) -> None:
    await pending
