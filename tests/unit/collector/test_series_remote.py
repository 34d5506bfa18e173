"""A worker's census: the owner's answers, asked for once, and what happens without it."""

import random

import numpy as np
import pytest

from services.collector.series_census import LocalSeriesCensus
from services.collector.series_remote import CensusOwner, RemoteSeriesCensus
from services.common.clock import ManualClock
from services.common.errors import Unavailable
from services.common.request_reply_memory import MemoryRequestReply

_SUBJECT = "census"


class Bench:
    """An owner that has loaded nothing, and its workers."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.questions = MemoryRequestReply()
        self.owner = LocalSeriesCensus(self.clock)

    async def workers(self, count: int) -> list[RemoteSeriesCensus]:
        """So many."""
        self.owner.load({})
        await self.questions.answer(_SUBJECT, CensusOwner(self.owner).answer)
        return [RemoteSeriesCensus(self.questions, _SUBJECT, self.clock) for _ in range(count)]


async def refused(
    target: RemoteSeriesCensus, *series: int, limit: int = 3, tenant: str = "acme"
) -> list[int]:
    """Which of the series are beyond the limit."""
    ids = np.array(series, np.uint64)
    return [int(one) for one in ids[await target.admit(tenant, ids, limit=limit)]]


async def test_workers_share_one_limit() -> None:
    bench = Bench()
    first, second = await bench.workers(2)

    assert await refused(first, 9, 2**64 - 1) == []
    assert await refused(second, 5, 9, 7) == [7]
    assert await refused(first, 7, 5, 9) == [7]
    assert await refused(second, 7, 8, tenant="beta") == []
    assert [await one.active("acme") for one in (first, second)] == [3, 3]
    assert await first.active("nobody") == 0


async def test_what_was_let_in_is_asked_once_an_hour() -> None:
    bench = Bench()
    (worker,) = await bench.workers(1)
    many = list(range(1, 1000))
    assert await refused(worker, *many, limit=0) == []
    asked = bench.questions.asked

    assert await refused(worker, *many, limit=0) == []
    assert await refused(worker, 4, 998, limit=2) == []
    assert bench.questions.asked == asked
    bench.clock.advance(3600)
    assert await refused(worker, *many, limit=0) == []
    assert bench.questions.asked == asked + 1


async def test_what_was_refused_is_asked_again_after_a_second_or_under_another_limit() -> None:
    bench = Bench()
    (worker,) = await bench.workers(1)
    assert await refused(worker, 1, 2, limit=1) == [2]
    asked = bench.questions.asked

    assert await refused(worker, 1, 2, limit=1) == [2]
    assert bench.questions.asked == asked
    assert await refused(worker, 2, limit=2) == []
    assert await refused(worker, 3, limit=2) == [3]
    bench.clock.advance(1.1)
    asked = bench.questions.asked
    assert await refused(worker, 3, limit=2) == [3]
    assert bench.questions.asked == asked + 1


async def test_many_series_are_asked_about_in_parts_and_in_their_order() -> None:
    bench = Bench()
    (worker,) = await bench.workers(1)
    many = list(range(1, 150_001))

    assert await refused(worker, *many, limit=100_000) == many[100_000:]


async def test_without_the_owner_nobody_waits_twice_and_series_are_counted_when_it_is_back() -> None:
    bench = Bench()
    (worker,) = await bench.workers(1)
    await refused(worker, 1)
    bench.questions.set_down(True)
    with pytest.raises(Unavailable):
        await refused(worker, 1, 2)
    asked = bench.questions.asked
    assert await refused(worker, 1) == [], "what is known needs no owner"
    with pytest.raises(Unavailable):
        await refused(worker, 1, 3)
    assert bench.questions.asked == asked

    bench.questions.set_down(False)
    bench.clock.advance(1.1)
    assert await refused(worker, 1, 2, 3, 4) == [4]
    assert await worker.active("acme") == 3


async def test_while_the_owner_looks_for_what_was_there_before_nobody_is_refused() -> None:
    bench = Bench()
    await bench.questions.answer(_SUBJECT, CensusOwner(bench.owner).answer)
    worker = RemoteSeriesCensus(bench.questions, _SUBJECT, bench.clock)

    assert await refused(worker, 1, 2, 3, 4) == []
    assert await worker.active("acme") is None


async def test_answers_are_those_of_one_census_over_many_batches() -> None:
    rng, bench = random.Random(7), Bench()
    workers = await bench.workers(3)
    taken: set[int] = set()
    for _ in range(300):
        batch = rng.sample(range(1, 400), rng.randint(1, 30))
        expected = []
        for one in batch:
            if one not in taken and len(taken) >= 200:
                expected.append(one)
            else:
                taken.add(one)
        assert await refused(rng.choice(workers), *batch, limit=200) == expected
