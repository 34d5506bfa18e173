"""Work in turns, so that the event loop hears of new requests faster than it works on those it has.

gRPC hands a server its calls one by one, each some passes of the event loop after the one before. A pass
that decodes a request takes milliseconds, so without turns the calls queue where nobody can see them, refuse
them or say how old they are. A turn is followed by passes that belong to whatever has arrived. Knows nothing
of requests; belongs to one event loop.
"""

import asyncio
from collections import deque

_PASSES = 6
"""Of the loop between turns: a call needs about three from the wire to its admission."""
_AT_ONCE_BYTES = 128 << 10
"""Given turns together: about a millisecond of work."""


class Turns:
    """Who waits gets a turn in the order of arrival."""

    def __init__(self, *, passes: int = _PASSES, at_once_bytes: int = _AT_ONCE_BYTES) -> None:
        self._passes = passes
        self._at_once = at_once_bytes
        self._waiting: deque[tuple[asyncio.Future[None], int]] = deque()
        self._giving: asyncio.Task[None] | None = None

    async def take(self, size: int) -> None:
        """Return when it is the caller's turn to work on `size` bytes without waiting in between."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, size))
        if self._giving is None:
            self._giving = asyncio.create_task(self._give())
        await turn

    async def _give(self) -> None:
        try:
            while self._waiting:
                given = 0
                while self._waiting and given < self._at_once:
                    turn, size = self._waiting.popleft()
                    if not turn.done():  # else its caller went away
                        turn.set_result(None)
                        given += size
                for _ in range(self._passes if given >= self._at_once else 1):
                    await asyncio.sleep(0)
        finally:
            self._giving = None
