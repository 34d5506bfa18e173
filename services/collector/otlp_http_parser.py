"""An HTTP/1.1 parser that leaves offers to change the protocol alone.

Clients such as Java's offer HTTP/2 with their first request (`Upgrade: h2c`), body included. A
server may ignore that (RFC 9110 7.8), but httptools then ends the request before its body. Here
the body of such a request is counted off by its length, and parsing goes on behind it; one in
chunks cannot be, and its request must be refused (`offered`), never served without its body. To
uvicorn this is an `httptools.HttpRequestParser`.
"""

from typing import Protocol

import httptools


class Events(Protocol):
    """What is called back: httptools' own callbacks, and the end of a body that it does not see."""

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""

    def end_message(self) -> None:
        """Take the end of the message."""


class UpgradeIgnoringParser:
    """Parses one connection's requests."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._parser = httptools.HttpRequestParser(events)
        self._left = 0

    def feed_data(self, data: bytes) -> None:
        """Parse the next bytes.

        Raises:
            httptools.HttpParserError: they are no HTTP request.
        """
        while data:
            if self._left:
                data = self._feed_body(data)
                continue
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
                self._parser = httptools.HttpRequestParser(self._events)
            else:
                return

    @property
    def offered(self) -> bool:
        """Whether the request at hand offers another protocol."""
        return bool(self._parser.should_upgrade())

    def hold_back_end(self, body_length: int) -> bool:
        """Whether a message that seems complete has a body of `body_length` bytes still to come."""
        if self.offered:
            self._left = body_length
        return self._left > 0

    def _feed_body(self, data: bytes) -> bytes:
        part, rest = data[: self._left], data[self._left :]
        self._left -= len(part)
        self._events.on_body(part)
        if not self._left:
            self._events.end_message()
        return rest

    def should_upgrade(self) -> bool:
        """Never."""
        return False

    def should_keep_alive(self) -> bool:
        """Whether the client wants to go on after this request."""
        return bool(self._parser.should_keep_alive())

    def get_http_version(self) -> str:
        """Like `1.1`."""
        return str(self._parser.get_http_version())

    def get_method(self) -> bytes:
        """Like `POST`."""
        return bytes(self._parser.get_method())
