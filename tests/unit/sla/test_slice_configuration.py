"""What a change of the configuration makes of slices that exist: new revisions where contents change."""

from dataclasses import replace

import numpy as np
import pytest

from services.sla.kernels import intervals
from services.sla.memory import MemoryPointReader
from services.sla.model import PointKind, Series
from services.sla.rows_build import Point
from services.sla.slice_hours import HOUR_MS
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.slicing import AVAILABILITY, T0, Bench

OK = Series(1, 7, PointKind.EXPONENTIAL, False, "s", {"http.response.status_code": "200"}, {})
TEAPOT = replace(OK, series_id=2, attributes={"http.response.status_code": "418"})
MINUTE = 60_000
STRICT = replace(AVAILABILITY, bad_at_least=400)


async def write(bench, low, high):
    """Every minute nine good requests and one that only strict terms call bad."""
    for k in range(low, high):
        ts = T0 + k * MINUTE
        bench.reader.put(TENANT, METRIC, OK, Point(1, ts, 9 * k, (9 * k,), T0, scale=3))
        bench.reader.put(TENANT, METRIC, TEAPOT, Point(2, ts, k, (k,), T0, scale=3))
        await bench.apply(ts + 300, (ts, ts))


def maintenance(low_ms, high_ms):
    spans = np.array([[low_ms, high_ms]], np.int64)
    return lambda _objective, low, high: intervals.clip(spans, low, high)


async def bad_between(bench, low_ms, high_ms):
    found = [one for one in await bench.slices() if low_ms <= one.start_ms < high_ms]
    return sum(one.total - one.good for one in found)


@pytest.mark.parametrize("restart", [False, True])
async def test_maintenance_that_is_announced_afterwards_makes_new_revisions_of_its_time_only(restart):
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    await write(bench, 1, 80)
    before = len(bench.published)
    low, high = T0 + 20 * MINUTE, T0 + 25 * MINUTE
    bench.exclusions, bench.changes = maintenance(low, high), 1
    if restart:
        bench.restart()

    await write(bench, 80, 81)

    changed = {one.slice.start_ms: one.revision for m in bench.published[before:] for _, one in m.slices}
    assert {start for start in changed if start < T0 + 70 * MINUTE} == set(range(low, high, 10_000))
    slices = {one.start_ms: one for one in await bench.slices()}
    assert all(slices[start].excluded_ns == 10**10 for start in range(low, high, 10_000))
    assert all(slices[start].total == 0 for start in range(low, high, 10_000))
    hours = await bench.store.hours(TENANT, AVAILABILITY.key, low_ms=0, high_ms=2 * T0)
    assert (hours.revision.tolist(), hours.durations[3].tolist()) == ([2], [5 * MINUTE * 10**6])

    bench.exclusions, bench.changes = maintenance(0, 1), 2
    await write(bench, 81, 82)
    assert all(one.excluded_ns == 0 for one in await bench.slices())


async def test_maintenance_of_time_without_any_data_is_excluded_not_missing():
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    await write(bench, 1, 5)
    bench.exclusions = maintenance(T0 + 30 * MINUTE, T0 + 40 * MINUTE)

    await bench.apply(T0 + 50 * MINUTE)

    slices = await bench.slices()
    assert sum(one.excluded_ns for one in slices) == 10 * MINUTE * 10**6
    for one in slices:
        parts = (one.up_ns, one.degraded_ns, one.down_ns, one.excluded_ns, one.no_data_ns, one.not_started_ns)
        assert sum(parts) == 10**10


async def test_each_slice_is_computed_under_the_version_in_force_at_its_start():
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    turn = T0 + 30 * MINUTE
    bench.versions[AVAILABILITY.key] = (replace(AVAILABILITY, until_ms=turn), replace(STRICT, from_ms=turn))

    await write(bench, 1, 70)

    assert await bad_between(bench, T0, turn) == 0
    assert await bad_between(bench, turn, T0 + HOUR_MS) == 30


@pytest.mark.parametrize("restart", [False, True])
async def test_a_version_that_is_applied_afterwards_recomputes_its_time(restart):
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    await write(bench, 1, 80)
    turn = T0 + 30 * MINUTE
    bench.versions[AVAILABILITY.key] = (replace(AVAILABILITY, until_ms=turn), replace(STRICT, from_ms=turn))
    if restart:
        bench.restart()

    await write(bench, 80, 81)

    assert await bad_between(bench, T0, turn) == 0
    assert await bad_between(bench, turn, T0 + HOUR_MS) == 30
    revisions = await bench.store.current(TENANT, AVAILABILITY.key, low_ms=T0, high_ms=turn)
    assert {one.revision for one in revisions[6:]} <= {1, 2}
    before = [one for one in revisions if one.known_at_ms > T0 + 79 * MINUTE + 300]
    assert before == [], "slices under the old terms stay as they are"


async def test_a_change_that_slices_do_not_depend_on_publishes_nothing():
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    await write(bench, 1, 10)

    bench.objectives = (replace(AVAILABILITY, window_ms=1, contract_version=9),)
    bench.changes = 1

    assert await bench.apply(T0 + 9 * MINUTE + 301) == []
