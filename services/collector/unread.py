"""Requests that are read only to be dropped: what a call sends that is turned away before it is read.

Knows neither gRPC nor the admission: it reads what it is given, a few at a time.
"""

import asyncio
from collections.abc import AsyncIterator

_AT_ONCE = 16
"""Read at once when there is no memory: each may have 64 MiB."""
_DROP_S, _LINE_S = 2.0, 5.0
"""For reading one of them, and for waiting until it is read; who does not send is not waited for."""


class Unread:
    """Takes requests off the wire so that their callers hear the answer."""

    def __init__(self) -> None:
        self._line = asyncio.Semaphore(_AT_ONCE)

    async def drop(self, requests: AsyncIterator[bytes]) -> None:
        """Read and drop; returns when all is read, or when its time is over."""
        try:
            async with asyncio.timeout(_LINE_S), self._line, asyncio.timeout(_DROP_S):
                async for _ in requests:
                    pass
        except TimeoutError:
            pass  # it does not send, or too many do
