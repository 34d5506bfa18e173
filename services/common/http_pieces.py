"""The body of a request from pieces of memory as they are: never joined, never copied on the way out.

The HTTP client would read a large body in copies of 64 KiB, each of them a turn of the event loop. It knows
nothing of what the pieces are.
"""

from collections.abc import Iterator, Sequence

from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import Payload

_WRITE_BYTES = 1 << 20
"""Given to the transport at once; it waits then until the receiver has taken most of it."""
_JOIN_BYTES = 16 << 10
"""Smaller pieces are joined: a system call for each would cost more than the copy."""


class PiecesPayload(Payload):
    """Sends the pieces one after the other, with their length; they must not change before it is done."""

    def __init__(self, pieces: Sequence[bytes | memoryview]) -> None:
        super().__init__(pieces, content_type="application/octet-stream")
        self._pieces = [memoryview(piece).cast("B") for piece in pieces if len(piece)]
        self._bytes = self._size = sum(len(piece) for piece in self._pieces)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Send all."""
        await self.write_with_length(writer, None)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Send the first `content_length` bytes, all of them where it is None."""
        left = self._bytes if content_length is None else content_length
        for part in _parts(self._pieces):
            if left <= 0:
                return
            await writer.write(part[:left])
            left -= len(part)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The body as text."""
        return b"".join(self._pieces).decode(encoding, errors)


def _parts(pieces: Sequence[memoryview]) -> Iterator[memoryview]:
    """The pieces as what is written at once: small neighbours joined, large ones cut."""
    small: list[memoryview] = []
    for piece in pieces:
        if len(piece) < _JOIN_BYTES:
            small.append(piece)
            continue
        if small:
            yield memoryview(b"".join(small))
            small = []
        for first in range(0, len(piece), _WRITE_BYTES):
            yield piece[first : first + _WRITE_BYTES]
    if small:
        yield memoryview(b"".join(small))
