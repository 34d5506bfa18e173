"""The rate: who is over it waits, who is not asks seldom, and a dead store of buckets costs nothing."""

import pytest

from services.collector.errors import RateExceeded
from services.collector.quota import Quota
from services.collector.quota_memory import MemoryTokenBuckets
from services.collector.rate import RateGate
from services.common.clock import ManualClock
from services.common.telemetry import Counters


class Bench:
    """A gate over buckets in memory; every tenant has `quota`."""

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self.clock = ManualClock()
        self.counters = Counters()
        self.buckets = MemoryTokenBuckets(self.clock)
        self.gate = RateGate(self.buckets, lambda _tenant: self.quota, self.clock, self.counters)

    async def passes(self, points: int, *, size: int = 1, tenant: str = "acme") -> bool:
        """Whether a request may go on."""
        try:
            await self.gate.enter(tenant, points=points, size=size)
        except RateExceeded:
            return False
        return True

    async def sent(self, seconds: float, *, points: int) -> int:
        """Points that pass when requests come every millisecond."""
        passed = 0
        for _ in range(round(seconds * 1000)):
            passed += points * await self.passes(points)
            self.clock.advance(0.001)
        return passed


async def test_over_time_the_rate_passes_and_no_more() -> None:
    bench = Bench(Quota(points_per_second=1000, burst_points=2000))

    passed = await bench.sent(10.0, points=10)

    assert 12_000 - 100 <= passed <= 12_000 + 100


async def test_who_is_refused_hears_when_to_come_and_may_then() -> None:
    bench = Bench(Quota(points_per_second=100, burst_points=100))
    assert await bench.passes(300)

    with pytest.raises(RateExceeded) as caught:
        await bench.gate.enter("acme", points=1, size=1)

    assert caught.value.reason == "RATE_LIMIT"
    wait_s = caught.value.retry_after_s or 0.0
    assert wait_s == pytest.approx(2.0, abs=0.02)
    bench.clock.advance(1.9)
    assert not await bench.passes(1)
    bench.clock.advance(wait_s - 1.9)
    assert await bench.passes(1)


async def test_a_refused_tenant_asks_nobody_until_its_time_and_hinders_no_other() -> None:
    bench = Bench(Quota(points_per_second=10, burst_points=10))
    await bench.passes(50)
    await bench.passes(1)
    asked = bench.buckets.takes

    assert not any([await bench.passes(1) for _ in range(100)])
    assert bench.buckets.takes == asked
    assert await bench.passes(1, tenant="beta")


async def test_bytes_have_a_limit_of_their_own() -> None:
    bench = Bench(Quota(bytes_per_second=100))
    assert await bench.passes(1, size=1000)

    assert not await bench.passes(1, size=1)


async def test_most_requests_within_the_rate_ask_nobody() -> None:
    bench = Bench(Quota(points_per_second=1_000_000))

    assert all([await bench.passes(100) for _ in range(1000)])
    assert bench.buckets.takes <= 3


async def test_without_limits_or_points_nobody_is_asked() -> None:
    bench = Bench(Quota(active_series=5))
    assert await bench.passes(10**9)
    bench.quota = Quota(points_per_second=1, burst_points=1)
    assert await bench.passes(0)

    assert bench.buckets.takes == 0


async def test_a_new_quota_counts_at_once() -> None:
    bench = Bench(Quota(points_per_second=1_000_000))
    assert await bench.passes(1)
    bench.quota = Quota(points_per_second=10, burst_points=10)

    assert await bench.passes(100)
    assert not await bench.passes(1)


async def test_dead_buckets_let_everything_pass_are_asked_seldom_and_used_again_when_back() -> None:
    bench = Bench(Quota(points_per_second=10, burst_points=10))
    bench.buckets.set_down(True)

    passed = await bench.sent(20.0, points=100)

    assert passed == 20_000 * 100
    assert bench.counters.value("collector.quota.unchecked") == 20_000
    assert bench.counters.value("collector.quota.unchecked", reason="failed") == bench.buckets.takes <= 6
    bench.buckets.set_down(False)
    bench.clock.advance(8.0)
    assert await bench.passes(100)
    assert not await bench.passes(1)
