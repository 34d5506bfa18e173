"""Token buckets in memory: `TokenBuckets` for tests and for one process, held to the same contract as Redis.

Shipped, not a test double. It can be told to be away.
"""

from collections.abc import Sequence

from services.collector.quota_ports import Ask, Grant
from services.common.clock import Clock
from services.common.errors import Unavailable

_ROUNDING_S = 1e-6
"""Whoever waits as long as told finds a token there, whatever floats do."""


class MemoryTokenBuckets:
    """`TokenBuckets` over a dict."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._levels: dict[tuple[str, str], tuple[float, int]] = {}
        self._down = False
        self.takes = 0
        """How often it was asked."""

    def set_down(self, down: bool) -> None:
        """While down, every call raises Unavailable."""
        self._down = down

    async def take(self, key: str, asks: Sequence[Ask]) -> Grant:
        """See `TokenBuckets.take`."""
        self.takes += 1
        if self._down:
            raise Unavailable("the buckets are away", reason="QUOTA_STORE_UNAVAILABLE")
        now_ns = self._clock.monotonic_ns()
        levels = [self._level(key, ask, now_ns) for ask in asks]
        if min(levels) < 1:
            short = [(1 - level, ask.rate) for level, ask in zip(levels, asks, strict=True) if level < 1]
            return Grant((), max(missing / rate for missing, rate in short) + _ROUNDING_S)
        taken = tuple(
            max(ask.need, min(ask.wish, int(level))) for level, ask in zip(levels, asks, strict=True)
        )
        for ask, level, tokens in zip(asks, levels, taken, strict=True):
            self._levels[key, ask.bucket] = (level - tokens, now_ns)
        return Grant(taken)

    def _level(self, key: str, ask: Ask, now_ns: int) -> float:
        level, at_ns = self._levels.get((key, ask.bucket), (float(ask.capacity), now_ns))
        return min(float(ask.capacity), level + (now_ns - at_ns) * ask.rate / 1e9)
