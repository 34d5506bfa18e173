"""What one HTTP connection may cost: uvicorn's protocol with ends to what it takes for granted.

uvicorn waits for ever for a request that never ends, reads a head of any size, and loses the body
of a request that offers another protocol. Knows no OTLP.
"""

import asyncio
from asyncio.events import TimerHandle
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.collector.otlp_http_parser import UpgradeIgnoringParser

_MAX_HEAD_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of a connection."""

    request_timeout_s: float = 40.0
    """From the first byte of a request, or from the connection, to the request's last byte."""
    keep_alive_s: float = 75.0
    """Between two requests; longer than the usual 60 s between two exports."""
    max_connections: int = 4096


def protocol_class(limits: HttpLimits) -> type[HttpToolsProtocol]:
    """The class whose instances uvicorn makes, one a connection."""

    class Limited(LimitedProtocol):
        """With the limits of this server."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.limits = limits

    return Limited


class LimitedProtocol(HttpToolsProtocol):
    """A connection that ends when a request takes too long to arrive or its head is too large."""

    limits: HttpLimits

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._requests = UpgradeIgnoringParser(self)
        self.parser = self._requests  # type: ignore[assignment]  # it has what is used of the other
        self._deadline: TimerHandle | None = None
        self._in_head = True
        self._heads = self._ends = 0
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; one connection too many ends at once."""
        super().connection_made(transport)
        if len(self.connections) > self.limits.max_connections:
            transport.close()
            return
        self._start_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse; the parser says nothing of a header line before its end, so bytes are counted."""
        before = self._heads, self._ends
        super().data_received(data)
        # Data that ends a body belongs to the body: what it begins of the next head is counted from then on.
        if self._in_head and before == (self._heads, self._ends):
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too large.")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        if self._deadline is None:
            self._start_deadline()

    def on_headers_complete(self) -> None:
        """The end of its head."""
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > _MAX_HEAD_BYTES:
            # Inside the parser this means a bad request: 400, and the connection ends.
            raise ValueError("the head of the request is too large")
        if self._requests.offered and any(name == b"transfer-encoding" for name, _ in self.headers):
            raise ValueError("a body in chunks cannot be read behind an offer of another protocol")
        self._in_head, self._head_bytes = False, 0
        self._heads += 1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Its end, as far as the parser can see."""
        lengths = [value for name, value in self.headers if name == b"content-length"]
        if not self._requests.hold_back_end(int(lengths[0]) if lengths else 0):
            self.end_message()

    def end_message(self) -> None:
        """Its end."""
        self._in_head = True
        self._ends += 1
        self._stop_deadline()
        super().on_message_complete()

    def _start_deadline(self) -> None:
        self._deadline = self.loop.call_later(self.limits.request_timeout_s, self._too_slow)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        self.transport.close()
