"""Token buckets in Redis: `TokenBuckets` by one Lua script, so that taking is one step for everyone.

The only module of this service that knows Redis. What it holds may be lost: a bucket that is
missing is full.
"""

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from services.collector.quota_ports import Ask, Grant
from services.common.cancellation import heard_cancellation
from services.common.errors import Unavailable

_TIMEOUT_S = 0.25


class RedisTokenBuckets:
    """`TokenBuckets` on one Redis. Connects when it is first asked."""

    def __init__(self, url: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        self._client = redis.asyncio.Redis.from_url(
            url, socket_timeout=timeout_s, socket_connect_timeout=timeout_s, retry=None
        )
        script = (files("services.collector") / "lua" / "take_tokens.lua").read_text()
        self._take: Any = self._client.register_script(script)

    async def take(self, key: str, asks: Sequence[Ask]) -> Grant:
        """See `TokenBuckets.take`."""
        arguments = [
            value for ask in asks for value in (ask.bucket, ask.rate, ask.capacity, ask.need, ask.wish)
        ]
        try:
            with heard_cancellation():
                answer = await self._take(keys=[f"threenines:quota:{{{key}}}"], args=arguments)
        except (RedisError, OSError, TimeoutError) as err:
            raise Unavailable(f"the buckets do not answer: {err}", reason="QUOTA_STORE_UNAVAILABLE") from err
        allowed, *rest = (int(value) for value in answer)
        return Grant(tuple(rest)) if allowed else Grant((), rest[0] / 1e6)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
