"""One suite for `FigureCache`: in memory and in a real Redis; and what figures come to without it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.common.clock import ManualClock
from services.common.errors import Unavailable
from services.common.telemetry import Counters
from services.sla.columns import columns_of
from services.sla.figure_cache import FigureCache, MemoryFigureCache
from services.sla.figure_redis import RedisFigureCache
from services.sla.figures import latency_of, uptime_of
from services.sla.figures_codec import from_bytes, to_bytes
from services.sla.figures_model import Uptime
from services.sla.kept_figures import KeptFigures, key_of
from services.sla.model import Distribution, DistributionKind, Revision, Slice
from services.sla.windows import Window
from tests.engines_given import redis_server
from tests.unit.sla.slicing import AVAILABILITY, LATENCY

S = 10_000
VERSIONS = {0: AVAILABILITY}


@pytest.fixture(scope="module", autouse=True)  # before there is a loop
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    engine = redis_server(tmp_path_factory.mktemp("redis"))
    asyncio.run(engine.start())
    yield engine.url
    asyncio.run(engine.stop())


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.engines)])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[FigureCache]:
    if request.param == "memory":
        yield MemoryFigureCache()
        return
    found = RedisFigureCache(request.getfixturevalue("redis_url"), timeout_s=5.0)
    yield found
    await found.close()


def an_uptime(good: int = 99) -> Uptime:
    one = Slice(0, S, good, 100, up_ns=S * 10**6, sealed=True)
    return uptime_of(AVAILABILITY, columns_of([(Revision(one, 1, 0), 7)]), Window(0, 4 * S, S))


async def test_what_was_put_comes_back_and_nothing_else(cache: FigureCache, request: object) -> None:
    key = key_of(str(request))

    assert await cache.get(key) is None
    await cache.put(key, b"\x00figure")
    await cache.put(key + "2", b"other")

    assert await cache.get(key) == b"\x00figure"
    await cache.put(key, b"again")
    assert await cache.get(key) == b"again"


async def test_memory_forgets_what_was_used_longest_ago() -> None:
    cache = MemoryFigureCache(most=2)
    await cache.put("a", b"1")
    await cache.put("b", b"2")
    await cache.get("a")
    await cache.put("c", b"3")

    assert [await cache.get(key) for key in "abc"] == [b"1", None, b"3"]


def test_figures_survive_as_bytes_exactly() -> None:
    uptime = an_uptime()
    part = Distribution(DistributionKind.EXPLICIT, (930, 70, 3), bounds=(1.0, 2.5))
    one = Slice(0, S, 930, 1000, up_ns=S * 10**6, sealed=True, distribution=part)
    latency = latency_of(LATENCY, columns_of([(Revision(one, 1, 0), 7)]), Window(0, S, S))

    assert from_bytes(to_bytes(uptime), VERSIONS) == uptime
    assert from_bytes(to_bytes(latency), {0: LATENCY}) == latency
    with pytest.raises((ValueError, TypeError, KeyError)):
        from_bytes(b'["uptime",[1,2]]', VERSIONS)


async def test_figures_are_computed_once_for_everyone_who_asks_at_the_same_time() -> None:
    kept, computed = KeptFigures(ManualClock(), Counters(), MemoryFigureCache()), []

    async def compute() -> Uptime:
        computed.append(1)
        await asyncio.sleep(0)
        return an_uptime()

    found = await asyncio.gather(*(kept.get("k", VERSIONS, compute) for _ in range(20)))

    assert len(computed) == 1
    assert all(one == an_uptime() for one in found)


async def test_another_process_finds_what_one_has_computed(cache: FigureCache, request: object) -> None:
    key = key_of("shared", str(request))
    counters = Counters()

    async def compute() -> Uptime:
        return an_uptime()

    async def never() -> Uptime:
        raise AssertionError

    await KeptFigures(ManualClock(), Counters(), cache).get(key, VERSIONS, compute)
    found = await KeptFigures(ManualClock(), counters, cache).get(key, VERSIONS, never)

    assert found == an_uptime()
    assert counters.value("sla.cache.hits") == 1


async def test_failures_are_not_kept() -> None:
    kept, answers = KeptFigures(ManualClock(), Counters(), MemoryFigureCache()), iter([None, an_uptime()])

    async def compute() -> Uptime:
        found = next(answers)
        if found is None:
            raise Unavailable("the store is down")
        return found

    with pytest.raises(Unavailable):
        await kept.get("k", VERSIONS, compute)

    assert await kept.get("k", VERSIONS, compute) == an_uptime()


async def test_bytes_of_nobody_knows_what_are_computed_again() -> None:
    cache = MemoryFigureCache()
    await cache.put("k", b"[nonsense")

    async def compute() -> Uptime:
        return an_uptime()

    assert await KeptFigures(ManualClock(), Counters(), cache).get("k", VERSIONS, compute) == an_uptime()


async def test_a_redis_that_hangs_is_waited_for_once_and_then_left_alone(tmp_path: Path) -> None:
    clock, counters = ManualClock(), Counters()

    async def compute() -> Uptime:
        return an_uptime()

    with socket.socket() as hangs:
        hangs.bind(("127.0.0.1", 0))
        hangs.listen()
        cache = RedisFigureCache(f"redis://127.0.0.1:{hangs.getsockname()[1]}/0")
        kept = KeptFigures(clock, counters, cache)
        async with asyncio.timeout(5):
            for k in range(50):
                assert await kept.get(f"k{k}", VERSIONS, compute) == an_uptime()
        assert counters.value("sla.cache.errors") == 1
        clock.advance(10)
        await kept.get("later", VERSIONS, compute)
        assert counters.value("sla.cache.errors") == 2
        await cache.close()
