"""Where computed figures are kept between questions. Adapters: here in memory, `figure_redis.py`; one suite.

A key says everything that a figure follows from, so an entry never becomes wrong: it is only not asked for
any more. Losing entries loses time and nothing else.
"""

from collections import OrderedDict
from typing import Protocol


class FigureCache(Protocol):
    """Bytes by key. What was put MAY be gone at any time; it MUST NOT come back as other bytes."""

    async def get(self, key: str) -> bytes | None:
        """What was put under the key; None when it is not there.

        Raises:
            Unavailable: the store does not answer; soon, not after a long wait.
        """
        ...

    async def put(self, key: str, value: bytes) -> None:
        """Keep bytes. Raises Unavailable as `get`."""
        ...

    async def close(self) -> None:
        """Close connections, if there are any."""
        ...


class MemoryFigureCache:
    """`FigureCache` of this process: the entries that were used last."""

    def __init__(self, most: int = 4096) -> None:
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._most = most

    async def get(self, key: str) -> bytes | None:
        """See `FigureCache.get`."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    async def put(self, key: str, value: bytes) -> None:
        """See `FigureCache.put`."""
        self._held[key] = value
        self._held.move_to_end(key)
        while len(self._held) > self._most:
            self._held.popitem(last=False)

    async def close(self) -> None:
        """See `FigureCache.close`."""
