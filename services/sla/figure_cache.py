"""Where computed figures are kept between questions. Adapters: here in memory, `figure_redis.py`; one suite.

A key says everything that a figure follows from, so an entry never becomes wrong: it is only not asked for
any more. Losing entries loses time and nothing else.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Protocol


class FigureCache(Protocol):
    """Bytes by key. What was put MAY be gone at any time; it MUST NOT come back as other bytes."""

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """What was put under each key, in one question; None for one that is not there.

        Raises:
            Unavailable: the store does not answer; soon, not after a long wait.
        """
        ...

    async def put(self, entries: Mapping[str, bytes]) -> None:
        """Keep bytes by key. Raises Unavailable as `get`."""
        ...

    async def close(self) -> None:
        """Close connections, if there are any."""
        ...


class MemoryFigureCache:
    """`FigureCache` of this process: the entries that were used last."""

    def __init__(self, most: int = 4096) -> None:
        self._held: OrderedDict[str, bytes] = OrderedDict()
        self._most = most

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `FigureCache.get`."""
        for key in keys:
            if key in self._held:
                self._held.move_to_end(key)
        return [self._held.get(key) for key in keys]

    async def put(self, entries: Mapping[str, bytes]) -> None:
        """See `FigureCache.put`."""
        for key, value in entries.items():
            self._held[key] = value
            self._held.move_to_end(key)
        while len(self._held) > self._most:
            self._held.popitem(last=False)

    async def close(self) -> None:
        """See `FigureCache.close`."""
