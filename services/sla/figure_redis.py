"""`FigureCache` in Redis, shared by every process of a region. The only module of this service that knows it.

Timeouts are short: an answer that Redis would delay is computed sooner than it would be waited for.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from services.common.cancellation import heard_cancellation
from services.common.errors import Unavailable

_TIMEOUT_S = 0.05
_KEPT_S = 3600


class RedisFigureCache:
    """`FigureCache` on one Redis. Connects when it is first asked; entries go after an hour."""

    def __init__(self, url: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._client = redis.asyncio.Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=None
        )

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """See `FigureCache.get`."""
        try:
            found: list[Any]
            with heard_cancellation():
                if len(keys) == 1:
                    found = [await self._client.get(_name(keys[0]))]
                else:
                    # Not MGET: keys of one question may lie on several nodes of a cluster.
                    found = await self._pipeline(("GET", _name(key)) for key in keys)
        except (RedisError, OSError, TimeoutError) as err:
            raise _unavailable(err) from err
        return [one if isinstance(one, bytes) else None for one in found]

    async def put(self, entries: Mapping[str, bytes]) -> None:
        """See `FigureCache.put`."""
        try:
            with heard_cancellation():
                await self._pipeline(
                    ("SET", _name(key), value, "EX", _KEPT_S) for key, value in entries.items()
                )
        except (RedisError, OSError, TimeoutError) as err:
            raise _unavailable(err) from err

    async def _pipeline(self, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
        """Commands that are sent together; their answers."""
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        found: list[Any] = await pipeline.execute()
        return found

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _name(key: str) -> str:
    return f"threenines:figure:{key}"


def _unavailable(err: Exception) -> Unavailable:
    return Unavailable(f"the cache does not answer: {err}", reason="FIGURE_CACHE_UNAVAILABLE")
