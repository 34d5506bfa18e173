"""Counting active series: exact over many batches, over hours, and with what was there before."""

import random

import numpy as np

from services.collector.quota_ports import KnownSeries
from services.collector.series_census import ACTIVE_HOURS, LocalSeriesCensus, hour_of
from services.common.clock import ManualClock

_HOUR_S = 3600.0


def census(clock: ManualClock | None = None) -> LocalSeriesCensus:
    """One that has loaded, nothing."""
    made = LocalSeriesCensus(clock or ManualClock())
    made.load({})
    return made


async def refused(target: LocalSeriesCensus, *series: int, limit: int = 3, tenant: str = "acme") -> list[int]:
    """Which of the series are beyond the limit."""
    ids = np.array(series, np.uint64)
    return [int(one) for one in ids[await target.admit(tenant, ids, limit=limit)]]


async def test_new_series_are_let_in_in_order_until_the_limit_and_known_ones_always() -> None:
    target = census()

    assert await refused(target, 9, 1, 5, 2, 2**64 - 1) == [2, 2**64 - 1]
    assert await refused(target, 5, 9, 1, 7) == [7]
    assert await target.active("acme") == 3


async def test_a_series_that_is_there_twice_counts_once() -> None:
    target = census()

    assert await refused(target, 4, 4, 4, 5, 4) == []
    assert await target.active("acme") == 2


async def test_tenants_are_counted_apart_and_zero_is_no_limit() -> None:
    target = census()
    await refused(target, 1, 2, 3)

    assert await refused(target, 4, tenant="beta") == []
    assert await refused(target, *range(100), limit=0) == []
    assert await target.active("acme") == 100


async def test_a_lower_limit_takes_nothing_away_and_lets_nothing_in() -> None:
    target = census()
    await refused(target, 1, 2, 3)

    assert await refused(target, 1, 2, 3, 4, limit=1) == [4]


async def test_a_series_that_is_silent_for_a_day_makes_room() -> None:
    clock = ManualClock()
    target = census(clock)
    await refused(target, 1, 2, 3)
    clock.advance(ACTIVE_HOURS * _HOUR_S)
    assert await refused(target, 1, 4) == [4]

    clock.advance(_HOUR_S)

    assert await target.active("acme") == 1
    assert await refused(target, 4, 5, 6) == [6]


async def test_until_what_was_before_is_loaded_nobody_is_refused_and_then_all_of_it_counts() -> None:
    clock = ManualClock()
    target = LocalSeriesCensus(clock)
    assert await refused(target, 1, 2, 3, 4, 5) == []
    assert await target.active("acme") is None
    hour = hour_of(clock.now_ns())

    known = KnownSeries.of({7: hour, 8: hour - ACTIVE_HOURS, 9: hour - ACTIVE_HOURS - 1, 1: hour - 3})
    target.load({"acme": known})

    assert await target.active("acme") == 7
    assert await refused(target, 9, 8, 1, limit=7) == [9]
    clock.advance(_HOUR_S * (ACTIVE_HOURS - 1))
    assert await refused(target, 1, limit=1) == []


async def test_it_agrees_with_a_plain_set_over_many_batches() -> None:
    rng, clock = random.Random(5), ManualClock()
    target = census(clock)
    naive: dict[int, int] = {}
    for _ in range(60):
        batch = [rng.randrange(30_000) for _ in range(1000)]
        now = hour_of(clock.now_ns())
        naive = {one: hour for one, hour in naive.items() if hour >= now - ACTIVE_HOURS}
        expected = []
        for one in batch:
            if one in naive or len(naive) < 12_000:
                naive[one] = now
            else:
                expected.append(one)
        assert await refused(target, *batch, limit=12_000) == expected
        assert await target.active("acme") == len(naive)
        clock.advance(rng.choice([0.0, _HOUR_S, 2 * _HOUR_S]))
