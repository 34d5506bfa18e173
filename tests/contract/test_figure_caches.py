"""One suite for `FigureCache`: in memory and in a real Redis; and what figures come to without it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
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
from services.sla.kept_figures import AskedFigures, KeptFigures, key_of
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


def figure(key: str) -> AskedFigures:
    return AskedFigures(key, VERSIONS)


async def some(*found: Uptime) -> list[Uptime]:
    return list(found)


async def test_what_was_put_comes_back_and_nothing_else(cache: FigureCache, request: object) -> None:
    key = key_of(str(request))

    assert await cache.get([key]) == [None]
    await cache.put({key: b"\x00figure", key + "3": b"third"})
    await cache.put({key + "2": b"other"})

    assert await cache.get([key]) == [b"\x00figure"]
    assert await cache.get([key + "3", key + "4", key + "2"]) == [b"third", None, b"other"]
    await cache.put({key: b"again"})
    assert await cache.get([key]) == [b"again"]


async def test_memory_forgets_what_was_used_longest_ago() -> None:
    cache = MemoryFigureCache(most=2)
    await cache.put({"a": b"1"})
    await cache.put({"b": b"2"})
    await cache.get(["a"])
    await cache.put({"c": b"3"})

    assert await cache.get(["a", "b", "c"]) == [b"1", None, b"3"]


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

    async def compute(missing: Sequence[AskedFigures]) -> list[Uptime]:
        computed.append([one.key for one in missing])
        await asyncio.sleep(0)
        return [an_uptime(int(one.key)) for one in missing]

    asked = [["1", "2"], *[["2"]] * 20, ["3", "2", "1", "4"]]
    found = await asyncio.gather(*(kept.get([figure(key) for key in keys], compute) for keys in asked))

    assert computed == [["1", "2"], ["3", "4"]]
    assert found == [[an_uptime(int(key)) for key in keys] for keys in asked]


async def test_only_what_the_cache_does_not_have_is_computed() -> None:
    cache, counters = MemoryFigureCache(), Counters()
    await KeptFigures(ManualClock(), Counters(), cache).get([figure("2")], lambda _: some(an_uptime(2)))

    async def compute(missing: Sequence[AskedFigures]) -> list[Uptime]:
        assert [one.key for one in missing] == ["1", "3"]
        return [an_uptime(1), an_uptime(3)]

    found = await KeptFigures(ManualClock(), counters, cache).get([figure(key) for key in "123"], compute)

    assert found == [an_uptime(1), an_uptime(2), an_uptime(3)]
    assert (counters.value("sla.cache.hits"), counters.value("sla.cache.misses")) == (1, 2)


async def test_another_process_finds_what_one_has_computed(cache: FigureCache, request: object) -> None:
    key = key_of("shared", str(request))
    counters = Counters()

    async def never(_missing: object) -> list[Uptime]:
        raise AssertionError

    await KeptFigures(ManualClock(), Counters(), cache).get([figure(key)], lambda _: some(an_uptime()))
    found = await KeptFigures(ManualClock(), counters, cache).get([figure(key)], never)

    assert found == [an_uptime()]
    assert counters.value("sla.cache.hits") == 1


async def test_failures_are_not_kept() -> None:
    kept, answers = KeptFigures(ManualClock(), Counters(), MemoryFigureCache()), iter([None, an_uptime()])

    async def compute(_missing: object) -> list[Uptime]:
        found = next(answers)
        if found is None:
            raise Unavailable("the store is down")
        return [found]

    told = await asyncio.gather(*(kept.get([figure("k")], compute) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in told] == [Unavailable] * 3

    assert await kept.get([figure("k")], compute) == [an_uptime()]


async def test_bytes_of_nobody_knows_what_are_computed_again() -> None:
    cache = MemoryFigureCache()
    await cache.put({"k": b"[nonsense"})
    kept = KeptFigures(ManualClock(), Counters(), cache)

    assert await kept.get([figure("k")], lambda _: some(an_uptime())) == [an_uptime()]


async def test_a_redis_that_hangs_is_waited_for_once_and_then_left_alone(tmp_path: Path) -> None:
    clock, counters = ManualClock(), Counters()

    async def compute(_missing: object) -> list[Uptime]:
        return [an_uptime()]

    with socket.socket() as hangs:
        hangs.bind(("127.0.0.1", 0))
        hangs.listen()
        cache = RedisFigureCache(f"redis://127.0.0.1:{hangs.getsockname()[1]}/0")
        kept = KeptFigures(clock, counters, cache)
        async with asyncio.timeout(5):
            for k in range(50):
                assert await kept.get([figure(f"k{k}")], compute) == [an_uptime()]
        assert counters.value("sla.cache.errors") == 1
        clock.advance(10)
        await kept.get([figure("later")], compute)
        assert counters.value("sla.cache.errors") == 2
        await cache.close()
