"""`FigureCache` in Redis, shared by every process of a region. The only module of this service that knows it.

Timeouts are short: an answer that Redis would delay is computed sooner than it would be waited for.
"""

from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from services.common.errors import Unavailable

_TIMEOUT_S = 0.05
_KEPT_S = 3600


class RedisFigureCache:
    """`FigureCache` on one Redis. Connects when it is first asked; entries go after an hour."""

    def __init__(self, url: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._client = redis.asyncio.Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=None
        )

    async def get(self, key: str) -> bytes | None:
        """See `FigureCache.get`."""
        try:
            found: Any = await self._client.get(_name(key))
        except (RedisError, OSError, TimeoutError) as err:
            raise _unavailable(err) from err
        return found if isinstance(found, bytes) else None

    async def put(self, key: str, value: bytes) -> None:
        """See `FigureCache.put`."""
        try:
            await self._client.set(_name(key), value, ex=_KEPT_S)
        except (RedisError, OSError, TimeoutError) as err:
            raise _unavailable(err) from err

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


def _name(key: str) -> str:
    return f"threenines:figure:{key}"


def _unavailable(err: Exception) -> Unavailable:
    return Unavailable(f"the cache does not answer: {err}", reason="FIGURE_CACHE_UNAVAILABLE")
