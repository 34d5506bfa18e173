"""Is a tenant within its rate? Buckets that all receivers share decide, asked as rarely as can be.

Tokens are taken in small portions and spent here, so that most requests ask nobody: never more
than the bucket had, at most a portion early. A tenant that was refused is refused here until its
bucket fills. When the buckets do not answer, requests pass, are counted as unchecked, and for a
while nobody asks again: a limit that fails must cost neither data nor time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from services.collector.errors import RateExceeded
from services.collector.quota import Quota
from services.collector.quota_ports import Ask, TokenBuckets
from services.common.clock import Clock
from services.common.errors import Unavailable
from services.common.telemetry import Counters

_PORTIONS_A_SECOND = 20
_FIRST_PAUSE_NS = 1_000_000_000
_LONGEST_PAUSE_NS = 8_000_000_000
_SMALLEST_WAIT_S = 0.1


@dataclass(slots=True)
class _Purse:
    """What is taken for a tenant and not spent: points, bytes."""

    quota: Quota
    left: list[int] = field(default_factory=lambda: [0, 0])
    empty_until_ns: int = 0


class RateGate:
    """Lets requests in, or says when to come again. Belongs to one event loop."""

    def __init__(
        self, buckets: TokenBuckets, quota_of: Callable[[str], Quota], clock: Clock, counters: Counters
    ) -> None:
        self._buckets = buckets
        self._quota_of = quota_of
        self._clock = clock
        self._counters = counters
        self._purses: dict[str, _Purse] = {}
        self._closed_until_ns = 0
        self._pause_ns = _FIRST_PAUSE_NS

    async def enter(self, tenant: str, *, points: int, size: int) -> None:
        """Return when a request with so many accepted points and bytes may go on.

        Raises:
            RateExceeded: with the delay; nothing was taken.
        """
        quota = self._quota_of(tenant)
        if not points or not (quota.points_per_second or quota.bytes_per_second):
            return
        purse = self._purse(tenant, quota)
        need = [points if quota.points_per_second else 0, size if quota.bytes_per_second else 0]
        if purse.left[0] >= need[0] and purse.left[1] >= need[1]:
            purse.left = [have - cost for have, cost in zip(purse.left, need, strict=True)]
            return
        now_ns = self._clock.monotonic_ns()
        if now_ns < purse.empty_until_ns:
            raise _exceeded(tenant, (purse.empty_until_ns - now_ns) / 1e9)
        if now_ns < self._closed_until_ns:
            self._unchecked("away")
            return
        await self._take(tenant, purse, need)

    def _purse(self, tenant: str, quota: Quota) -> _Purse:
        purse = self._purses.get(tenant)
        if purse is None or purse.quota != quota:
            purse = self._purses[tenant] = _Purse(quota)
        return purse

    async def _take(self, tenant: str, purse: _Purse, need: list[int]) -> None:
        asks = _asks(purse.quota, need)
        trying = self._closed_until_ns != 0
        if trying:
            # They were away: this request tries them, the others go on meanwhile.
            self._close()
        try:
            grant = await self._buckets.take(tenant, [ask for _, ask in asks])
        except Unavailable:
            self._unchecked("failed")
            self._pause_ns = min(2 * self._pause_ns, _LONGEST_PAUSE_NS) if trying else _FIRST_PAUSE_NS
            self._close()
            return
        self._closed_until_ns, self._pause_ns = 0, _FIRST_PAUSE_NS
        if not grant.taken:
            purse.empty_until_ns = self._clock.monotonic_ns() + round(grant.wait_s * 1e9)
            raise _exceeded(tenant, grant.wait_s)
        for (place, ask), taken in zip(asks, grant.taken, strict=True):
            purse.left[place] += taken - ask.need

    def _close(self) -> None:
        self._closed_until_ns = self._clock.monotonic_ns() + self._pause_ns

    def _unchecked(self, why: str) -> None:
        self._counters.add("collector.quota.unchecked", reason=why)


def _asks(quota: Quota, need: list[int]) -> list[tuple[int, Ask]]:
    """What to ask for, with the place of each in the purse."""
    limits = (
        ("points", quota.points_per_second, quota.points_at_once),
        ("bytes", quota.bytes_per_second, quota.bytes_at_once),
    )
    return [
        (place, Ask(bucket, rate, capacity, need[place], max(need[place], rate // _PORTIONS_A_SECOND)))
        for place, (bucket, rate, capacity) in enumerate(limits)
        if rate
    ]


def _exceeded(tenant: str, wait_s: float) -> RateExceeded:
    return RateExceeded(
        f"tenant {tenant} sends more than its quota allows; nothing was stored",
        next_step="Send the same bytes again after the delay, or ask for a larger quota.",
        retry_after_s=max(wait_s, _SMALLEST_WAIT_S),
        metadata={"tenant": tenant},
    )
