"""Hours: the exact sum of the sealed slices of a whole UTC hour, in one message with what changed it."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.sla.columns import revision_at
from services.sla.distribution import merge
from services.sla.memory import MemoryPointReader
from services.sla.model import PointKind, Series
from services.sla.rows_build import Point
from services.sla.slice_hours import HOUR_MS, summed
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.slicing import AVAILABILITY, LATENCY, T0, Bench

OK = Series(1, 7, PointKind.EXPONENTIAL, False, "s", {"http.response.status_code": "200"}, {})
BAD = replace(OK, series_id=2, attributes={"http.response.status_code": "503"})
STEPPED = replace(OK, series_id=3, sender_id=8, kind=PointKind.EXPLICIT)
NUMBERS = ("good", "total", "up_ns", "degraded_ns", "down_ns", "excluded_ns", "no_data_ns", "not_started_ns")
MINUTE = 60_000


def point(series, k, count, *, index=0, scale=3, step=MINUTE):
    return Point(series.series_id, T0 + k * step, count, (count,), T0, scale=scale, offset=index)


async def feed(bench, *rows, watermark_ms=None):
    for series, one in rows:
        bench.reader.put(TENANT, METRIC, series, one)
    times = [one.ts_ms for _, one in rows]
    return await bench.apply(watermark_ms or max(times) + 300, (min(times), max(times)))


async def hours(bench, objective, as_of_ms=None):
    found = await bench.store.hours(TENANT, objective.key, low_ms=0, high_ms=T0 * 2, as_of_ms=as_of_ms)
    return [revision_at(found, k) for k in range(len(found.start_ms))]


async def check(bench, objective, as_of_ms=None):
    """Every hour is the sum of its slices; every hour whose slices are all sealed is there."""
    slices = [
        one.slice
        for one in await bench.store.current(
            TENANT, objective.key, low_ms=0, high_ms=T0 * 2, as_of_ms=as_of_ms
        )
    ]
    by_hour = {}
    for one in slices:
        by_hour.setdefault(one.start_ms // HOUR_MS * HOUR_MS, []).append(one)
    whole = {
        start: found
        for start, found in by_hour.items()
        if len(found) == HOUR_MS // objective.slice_ms and all(one.sealed for one in found)
    }
    published = {one.slice.start_ms: one.slice for one in await hours(bench, objective, as_of_ms)}
    assert set(published) == set(whole)
    for start, hour in published.items():
        for name in NUMBERS:
            assert getattr(hour, name) == sum(getattr(one, name) for one in whole[start])
        assert hour.distribution == merge(one.distribution for one in whole[start] if one.distribution)
        assert (hour.length_ms, hour.sealed) == (HOUR_MS, True)
    return published


async def two_hours(bench, rng):
    totals = Counter()
    for k in range(1, 130):
        rows = []
        for series in (OK, BAD):
            totals[series.series_id] += rng.randrange(60)
            rows.append((series, point(series, k, totals[series.series_id], index=-3, scale=3)))
        await feed(bench, *rows)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.booleans())
async def test_an_hour_is_the_sum_of_its_slices_after_late_data_too(seed, restart):
    rng = random.Random(seed)
    bench = Bench(MemoryPointReader())
    await two_hours(bench, rng)
    for _ in range(4):
        if restart:
            bench.restart()
        late = replace(OK, series_id=rng.randrange(10, 10**6), sender_id=9)
        at = rng.randrange(1, 125)
        await feed(
            bench,
            (late, point(late, at, rng.randrange(1, 90), index=rng.randrange(9))),
            watermark_ms=T0 + 129 * MINUTE + 400,
        )

    for objective in (AVAILABILITY, LATENCY):
        published = await check(bench, objective)
        assert set(published) == {T0, T0 + HOUR_MS}


async def test_an_hour_comes_with_the_last_of_its_slices_and_again_with_each_revision():
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    await two_hours(bench, random.Random(1))
    late = replace(OK, series_id=9)
    await feed(bench, (late, point(late, 20, 5)), watermark_ms=T0 + 130 * MINUTE)

    seen = [
        (one.slice.start_ms - T0, one.revision, {s.slice.start_ms // HOUR_MS for _, s in message.slices})
        for message in bench.published
        for _, one in message.hours
    ]
    assert [(start, revision) for start, revision, _ in seen] == [(0, 1), (HOUR_MS, 1), (0, 2)]
    assert all((T0 + start) // HOUR_MS in touched for start, _, touched in seen)


async def test_no_hour_is_published_twice_or_forgotten_by_a_restart_at_any_batch():
    whole, cut = (Bench(MemoryPointReader(), AVAILABILITY) for _ in range(2))
    for k in range(1, 67):
        for bench in (whole, cut):
            await feed(bench, (OK, point(OK, k, 3 * k)))
        if k >= 59:
            # Published, and the position was not written: the same batch comes again.
            before = len(cut.published)
            cut.restart()
            await feed(cut, (OK, point(OK, k, 3 * k)))
            assert len(cut.published) == before

    assert await hours(cut, AVAILABILITY) == await hours(whole, AVAILABILITY)
    assert [one.revision for one in await hours(cut, AVAILABILITY)] == [1]


async def test_an_hour_in_which_the_objective_began_has_no_sum():
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    for k in range(30, 126):
        await feed(bench, (OK, Point(1, T0 + k * MINUTE, k, (k,), T0 + 29 * MINUTE, scale=3)))

    assert [one.slice.start_ms for one in await hours(bench, AVAILABILITY)] == [T0 + HOUR_MS]


async def test_an_hour_of_two_kinds_of_histogram_is_withdrawn():
    bench = Bench(MemoryPointReader(), LATENCY)
    await two_hours(bench, random.Random(2))
    stepped = Point(3, T0 + 10 * MINUTE, 4, (4, 0), T0, bounds=(0.5,))

    await feed(bench, (STEPPED, stepped), watermark_ms=T0 + 130 * MINUTE)

    first = (await hours(bench, LATENCY))[0]
    assert (first.slice.start_ms, first.revision, first.slice.sealed) == (T0, 2, False)


@pytest.mark.parametrize("missing", ["a slice", "a seal"])
async def test_an_hour_that_is_not_complete_has_no_sum(missing):
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    await two_hours(bench, random.Random(3))
    slices = [one for one in await bench.slices() if T0 <= one.start_ms < T0 + HOUR_MS]
    assert summed(T0, slices) is not None

    broken = [*slices[:-1], None if missing == "a slice" else replace(slices[-1], sealed=False)]

    assert summed(T0, broken) is None
