"""What every store of token buckets must do; the same tests run in memory and on a real Redis."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from services.collector.quota_memory import MemoryTokenBuckets
from services.collector.quota_ports import Ask, Grant, TokenBuckets
from services.collector.redis import RedisTokenBuckets
from services.common.clock import ManualClock
from services.common.errors import Unavailable
from tests.engines_given import redis_server

pytestmark = pytest.mark.asyncio(loop_scope="module")
_names = itertools.count()


@dataclass
class Adapter:
    """A store and how time passes for it."""

    buckets: TokenBuckets
    advance: Callable[[float], Awaitable[None]]


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=["memory", pytest.param("redis", marks=pytest.mark.engines)]
)
async def adapter(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Adapter]:
    """One store for the module; every test uses keys of its own."""
    if request.param == "memory":
        clock = ManualClock()

        async def advance(seconds: float) -> None:
            clock.advance(seconds)

        yield Adapter(MemoryTokenBuckets(clock), advance)
        return
    engine = redis_server(tmp_path_factory.mktemp("redis"))
    await engine.start()
    buckets = RedisTokenBuckets(engine.url, timeout_s=5.0)
    try:
        yield Adapter(buckets, asyncio.sleep)
    finally:
        await buckets.close()
        await engine.stop()


@pytest.fixture
def key() -> str:
    """A key that no other test has."""
    return f"tenant-{next(_names)}"


def ask(need: int, *, rate: int = 1, capacity: int = 100, wish: int = 0, bucket: str = "points") -> Ask:
    """One ask of a slow bucket of 100."""
    return Ask(bucket, rate, capacity, need, max(need, wish))


async def test_a_bucket_never_seen_is_full_and_gives_what_is_needed(adapter: Adapter, key: str) -> None:
    assert await adapter.buckets.take(key, [ask(30)]) == Grant((30,))
    assert await adapter.buckets.take(key, [ask(70)]) == Grant((70,))


async def test_an_empty_bucket_refuses_and_says_for_how_long(adapter: Adapter, key: str) -> None:
    await adapter.buckets.take(key, [ask(100)])

    grant = await adapter.buckets.take(key, [ask(1)])

    assert grant.taken == ()
    assert 0 < grant.wait_s < 1.01


async def test_a_request_may_overdraw_and_the_debt_is_waited_for(adapter: Adapter, key: str) -> None:
    """Else a request larger than the bucket could never pass."""
    assert (await adapter.buckets.take(key, [ask(150)])).taken == (150,)

    grant = await adapter.buckets.take(key, [ask(1)])

    assert grant.taken == ()
    assert 49.0 < grant.wait_s < 51.01


async def test_it_fills_with_its_rate_and_never_beyond_its_capacity(adapter: Adapter, key: str) -> None:
    await adapter.buckets.take(key, [ask(100, rate=1000)])

    await adapter.advance(0.3)

    assert (await adapter.buckets.take(key, [ask(1, rate=1000, wish=1000)])).taken == (100,)


async def test_a_wish_takes_what_is_there_and_makes_no_debt(adapter: Adapter, key: str) -> None:
    assert (await adapter.buckets.take(key, [ask(10, wish=60)])).taken == (60,)
    assert (await adapter.buckets.take(key, [ask(10, wish=60)])).taken == (40,)
    assert (await adapter.buckets.take(key, [ask(10, wish=60)])).taken == ()


async def test_all_buckets_give_or_none_does(adapter: Adapter, key: str) -> None:
    await adapter.buckets.take(key, [ask(100, bucket="bytes")])

    refused = await adapter.buckets.take(key, [ask(40), ask(1, bucket="bytes")])

    assert refused.taken == ()
    assert (await adapter.buckets.take(key, [ask(1, wish=100)])).taken == (100,)


async def test_tenants_have_buckets_of_their_own(adapter: Adapter, key: str) -> None:
    await adapter.buckets.take(key, [ask(100)])

    assert (await adapter.buckets.take(key + "-other", [ask(100)])).taken == (100,)


async def test_a_smaller_quota_counts_at_once(adapter: Adapter, key: str) -> None:
    await adapter.buckets.take(key, [ask(10)])

    assert (await adapter.buckets.take(key, [ask(1, capacity=20, wish=100)])).taken == (20,)


async def test_together_takers_never_get_more_than_was_there(adapter: Adapter, key: str) -> None:
    grants = await asyncio.gather(*(adapter.buckets.take(key, [ask(7, wish=9)]) for _ in range(40)))

    taken = sum(sum(grant.taken) for grant in grants)
    assert 100 <= taken <= 100 + 7


@pytest.mark.engines
async def test_a_redis_that_dies_or_hangs_is_unavailable_in_time_and_its_return_is_noticed(
    tmp_path: Path,
) -> None:
    engine = redis_server(tmp_path, needs="is frozen and killed")
    await engine.start()
    # In time is for one of them; the other has the time that an answer takes on a busy machine.
    quick, patient = (RedisTokenBuckets(engine.url, timeout_s=timeout_s) for timeout_s in (0.1, 5.0))
    try:
        assert (await patient.take("acme", [ask(1)])).taken == (1,)
        await _answered(quick)  # so that its connection is there when Redis hangs
        engine.pause()
        async with asyncio.timeout(4):  # in less than what the other waits
            with pytest.raises(Unavailable):
                await quick.take("acme", [ask(1)])
        engine.resume()
        await engine.kill9()
        for buckets in (quick, patient):
            with pytest.raises(Unavailable):
                await buckets.take("acme", [ask(1)])
        await engine.start()
        assert (await patient.take("acme", [ask(1)])).taken == (1,)
        await _answered(quick)
    finally:
        await quick.close()
        await patient.close()
        await engine.stop()


async def _answered(buckets: TokenBuckets) -> None:
    """Return when it has got an answer: the first may come too late for it."""
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(Unavailable):
                assert (await buckets.take("acme", [ask(1)])).taken == (1,)
                return
