"""A TCP relay in front of ClickHouse that can hold one INSERT half-way.

It reads whole HTTP/1.1 requests with a Content-Length, which is how the driver sends them, and
passes everything on unless it was told to hold the next insert.
"""

import asyncio
import contextlib
import re
from dataclasses import dataclass, field
from enum import Enum, auto

TABLES = ("series", "points", "histograms", "exp_histograms", "summaries", "exemplars")

_READ_BYTES = 1 << 16


class HoldAt(Enum):
    """Where an insert stops."""

    HALF_BODY = auto()
    """The server has the statement and half of the rows; the rest never comes."""
    ANSWER = auto()
    """The server has stored everything, the answer does not come back."""
    WHOLE_BODY = auto()
    """Everything is under way and reaches the server after `release`, when nobody waits for it."""


@dataclass
class Held:
    """One insert to hold; `begun` when it stands still, `release` to let the relay go on."""

    at: HoldAt
    skip: int
    tables: tuple[str, ...]
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    request: bytes = b""
    """The whole request as the writer sent it."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server has acknowledged it to the relay; nobody else learns of it."""
    looked_for: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when somebody asks the server whether it is still being executed."""

    @property
    def query_id(self) -> bytes:
        """Of the insert."""
        found = re.search(rb"query_id=(w-[\w-]+)", self.request)
        assert found is not None, "only inserts are held"
        return found[1]


class InsertRelay:
    """Relays from its own port to the server's."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener: asyncio.Server | None = None
        self._held: Held | None = None
        self._last: Held | None = None
        """That was held last."""
        self._connections: set[asyncio.Task[None]] = set()
        self._insert_seen = asyncio.Event()

    @property
    def url(self) -> str:
        """What the collector connects to."""
        assert self._listener is not None, "not started"
        return f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    async def start(self) -> None:
        """Listen on a free port."""
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def stop(self) -> None:
        """Close everything."""
        assert self._listener is not None, "not started"
        self._listener.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._listener.wait_closed()

    def hold(self, at: HoldAt, *, skip: int = 0, tables: tuple[str, ...] = TABLES) -> Held:
        """Hold the insert after the next `skip` ones into these tables."""
        self._held = Held(at, skip, tables)
        return self._held

    async def next_insert(self, *, skip: int = 0) -> None:
        """Return when the insert after the next `skip` ones has just been passed on."""
        for _ in range(skip + 1):
            self._insert_seen.clear()
            await self._insert_seen.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._relay(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server = await asyncio.open_connection("127.0.0.1", self._server_port)
        back = asyncio.create_task(_copy(server_reader, writer))
        try:
            while request := await _request(reader):
                held = self._hold_this(request)
                if held is not None:
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                    await self._stand_still(held, server_reader, server)
                    return
                if self._last is not None and _looks_for(request, self._last):
                    self._last.looked_for.set()
                server.write(request)
                await server.drain()
                if table_of(request) is not None:
                    self._insert_seen.set()
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)
            server.close()

    def _hold_this(self, request: bytes) -> Held | None:
        held = self._held
        if held is None or table_of(request) not in held.tables:
            return None
        if held.skip:
            held.skip -= 1
            return None
        self._held, self._last = None, held
        held.request = request
        return held

    async def _stand_still(
        self, held: Held, reader: asyncio.StreamReader, server: asyncio.StreamWriter
    ) -> None:
        body = held.request.index(b"\r\n\r\n") + 4
        match held.at:
            case HoldAt.HALF_BODY:
                server.write(held.request[: (body + len(held.request)) // 2])
                await server.drain()
            case HoldAt.ANSWER:
                await _acknowledged(held, reader, server)
            case HoldAt.WHOLE_BODY:
                pass
        held.begun.set()
        await held.release.wait()
        if held.at is HoldAt.WHOLE_BODY:
            await _acknowledged(held, reader, server)


def table_of(request: bytes) -> str | None:
    """Where the writer's insert goes, by its query id; None for every other request."""
    target = request[: request.index(b"\r\n")].decode()
    return next((table for table in TABLES if "query_id=w-" in target and f"-{table}-" in target), None)


def _looks_for(request: bytes, held: Held) -> bool:
    return b"system.processes" in request and held.query_id in request


async def _acknowledged(held: Held, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
    server.write(held.request)
    if (await reader.readline()).startswith(b"HTTP/1.1 200"):
        held.answered.set()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """One whole request; empty at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
    assert b"transfer-encoding" not in fields, head
    return head + await reader.readexactly(int(fields.get(b"content-length", b"0")))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers back; the end of the server's connection is the end of the client's."""
    with contextlib.suppress(OSError):
        while data := await reader.read(_READ_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
