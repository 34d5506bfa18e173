"""The past of a new objective is filled in by the hour, between live batches, and goes on after a restart."""

from dataclasses import replace
from itertools import pairwise

import pytest

from services.common.clock import ManualClock
from services.common.log_memory import MemoryEngine
from services.sla.back_fills import BackFills, Remark
from services.sla.convert_contract import objective_to_proto
from services.sla.memory import MemoryPointReader
from services.sla.model import Applied, PointKind, Series, Touched
from services.sla.rows_build import Point
from services.sla.slice_hours import HOUR_MS
from services.sla.slice_work import KvWorkStore, work_from_json, work_to_json
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.slicing import AVAILABILITY, T0, Bench

OK = Series(1, 7, PointKind.EXPONENTIAL, False, "s", {"http.response.status_code": "200"}, {})
OTHER = replace(AVAILABILITY, tenant="umbra")
MINUTE = 60_000
HOURS = 7
END = T0 + HOURS * HOUR_MS


def history(reader, *, gap=range(0), series=OK):
    """An export a minute with ten requests each; from a gap nothing was heard."""
    for k in range(1, HOURS * 60 + 1):
        if k not in gap:
            point = Point(series.series_id, T0 + k * MINUTE, 10 * k, (10 * k,), T0, scale=3)
            reader.put(TENANT, METRIC, series, point)


def touched(tenant, at_ms):
    return Applied("db", at_ms, (at_ms + 300) * 10**6, (Touched(tenant, METRIC, at_ms, at_ms),))


async def drain(bench, pieces=10_000):
    """At most so many pieces; how many slices each published."""
    sizes = []
    while len(sizes) < pieces and (plan := await bench.engine.piece()) is not None:
        await bench.publish(plan)
        sizes.append(sum(len(one) for one in plan.revisions.values()))
    return sizes


async def opened(bench, at_ms=END):
    plan = await bench.engine.plan([touched(TENANT, at_ms)])
    await bench.publish(plan)
    return plan


async def content(bench):
    return [(one.start_ms, one) for one in await bench.slices() if one.sealed]


async def there_from_the_start(**more):
    """The same requests, sliced as they came."""
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    gap = more.get("gap", range(0))
    for k in range(1, HOURS * 60 + 1):
        if k not in gap:
            point = Point(1, T0 + k * MINUTE, 10 * k, (10 * k,), T0, scale=3)
            bench.reader.put(TENANT, METRIC, OK, point)
            await bench.apply(point.ts_ms + 300, (point.ts_ms, point.ts_ms))
    return bench


async def test_live_slices_come_first_and_every_piece_is_an_hour_at_most():
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    history(bench.reader)

    live = await opened(bench)
    assert 0 < len(live.revisions[TENANT, AVAILABILITY.key]) <= 75
    sizes = await drain(bench)

    assert max(sizes) <= 360
    assert len(sizes) >= HOURS
    assert sum(one.total for one in await bench.slices()) == HOURS * 600


@pytest.mark.parametrize("gap", [range(0), range(100, 250)], ids=["", "with a gap"])
async def test_a_filled_past_is_the_same_as_one_that_was_sliced_as_it_came(gap):
    expected = await there_from_the_start(gap=gap)
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    history(bench.reader, gap=gap)

    await opened(bench)
    await drain(bench)

    filled, straight = await content(bench), dict(await content(expected))
    assert filled
    assert {start: one for start, one in filled if start in straight} == {
        start: one for start, one in straight.items() if start <= filled[-1][0]
    }
    hours = [
        await one.store.hours(TENANT, AVAILABILITY.key, low_ms=T0, high_ms=END) for one in (bench, expected)
    ]
    assert hours[0].total.tolist() == hours[1].total.tolist()
    assert len(hours[0].total) == HOURS - 1 or len(hours[0].total) == HOURS


@pytest.mark.parametrize("after", [0, 1, 2, 4])
@pytest.mark.parametrize("published", [True, False])
async def test_a_restart_goes_on_where_the_filling_was(after, published):
    whole, cut = (Bench(MemoryPointReader(), AVAILABILITY) for _ in range(2))
    for bench in (whole, cut):
        history(bench.reader)
        await opened(bench)
    await drain(whole)
    await drain(cut, after)
    if published and (plan := await cut.engine.piece()) is not None:
        # A crash between publishing and recording it.
        for key, revisions in plan.revisions.items():
            named = [(key[1], one) for one in revisions]
            hours = [(key[1], one) for one in plan.hours[key]]
            await cut.store.store(TENANT, named, seq=99, hours=hours)
    cut.restart()
    await opened(cut)
    done = await drain(cut)

    assert len(done) <= HOURS + 2 - after + 1
    everything = await cut.store.current(TENANT, AVAILABILITY.key, low_ms=0, high_ms=2 * T0)
    assert [one.slice for one in everything] == await whole.slices()
    assert {one.revision for one in everything} == {1}


async def test_what_is_left_is_told_and_shrinks_to_nothing():
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    history(bench.reader)
    await opened(bench)

    left = []
    while (work := bench.engine.works.get((TENANT, AVAILABILITY.key))) is not None:
        left.append(work.remaining_ms)
        await drain(bench, 1)

    assert left == sorted(left, reverse=True)
    assert left[0] >= (HOURS - 1) * HOUR_MS
    work = await bench.works.load(TENANT, AVAILABILITY.key)
    assert work is not None
    assert END - 11 * MINUTE <= work.until_ms <= END, "slices before it were filled in afterwards"


async def test_another_tenants_slices_do_not_wait_for_a_long_past():
    bench = Bench(MemoryPointReader(), OTHER)
    history(bench.reader)
    other = replace(OK, series_id=5)
    at = END
    bench.objectives = (AVAILABILITY, OTHER)
    for k in range(1, 6):
        at = END + k * 5_000
        bench.reader.put("umbra", METRIC, other, Point(5, at, k, (k,), END, scale=3))
        plan = await bench.engine.plan([touched("umbra", at)])
        assert plan.revisions["umbra", OTHER.key], "the live ones are in the very plan of their batch"
        assert sum(len(one) for one in plan.revisions.values()) <= 3
        await bench.publish(plan)
        await drain(bench, 1)

    await drain(bench)
    assert sum(one.total for one in await bench.slices()) == HOURS * 600


async def test_late_data_during_the_filling_is_counted_once():
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    history(bench.reader)
    await opened(bench)
    await drain(bench, 3)
    late = replace(OK, series_id=2, sender_id=9)
    for at in (T0 + 30 * MINUTE, END - 90 * MINUTE, END - 10 * MINUTE):
        bench.reader.put(TENANT, METRIC, late, Point(2, at, 5, (5,), at - MINUTE, scale=3))
        plan = await bench.engine.plan([replace(touched(TENANT, at), watermark_ns=(END + 400) * 10**6)])
        await bench.publish(plan)

    await drain(bench)

    assert sum(one.total for one in await bench.slices()) == HOURS * 600 + 15


async def test_a_long_late_past_waits_for_a_pause_and_is_computed_by_the_hour():
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    history(bench.reader)
    await opened(bench)
    await drain(bench)
    late = replace(OK, series_id=2, sender_id=9)
    for k in range(1, HOURS * 60 - 70):
        bench.reader.put(TENANT, METRIC, late, Point(2, T0 + k * MINUTE, k, (k,), T0, scale=3))
    word = Touched(TENANT, METRIC, T0, END - 71 * MINUTE)
    plan = await bench.engine.plan([Applied("db", 5, (END + 400) * 10**6, (word,))])
    assert sum(len(one) for one in plan.revisions.values()) <= 2
    await bench.publish(plan)
    bench.restart()
    await opened(bench)

    sizes = await drain(bench)

    assert 0 < max(sizes) <= 380
    assert sum(one.total for one in await bench.slices()) == HOURS * 600 + HOURS * 60 - 71


async def test_data_much_earlier_than_any_before_is_filled_in_by_the_hour():
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    bench.reader.put(TENANT, METRIC, OK, Point(1, END, 10, (10,), END - MINUTE, scale=3))
    await opened(bench)
    old = replace(OK, series_id=2)
    bench.reader.put(TENANT, METRIC, old, Point(2, T0 + MINUTE, 5, (5,), T0, scale=3))
    word = Touched(TENANT, METRIC, T0 + MINUTE, T0 + MINUTE)
    await bench.publish(await bench.engine.plan([Applied("db", 5, (END + 400) * 10**6, (word,))]))

    sizes = await drain(bench)

    slices = await bench.slices()
    assert max(sizes) <= 360
    assert [slices[0].start_ms, sum(one.total for one in slices)] == [T0, 15]
    assert all(b.start_ms == a.end_ms for a, b in pairwise(slices))


async def test_a_record_of_work_comes_back_as_it_was_kept():
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    history(bench.reader)
    await opened(bench)
    await drain(bench, 2)

    work = await bench.works.load(TENANT, AVAILABILITY.key)

    assert work is not None
    assert work.footing is not None
    assert work_from_json(work_to_json(work)) == work


async def test_the_provenance_is_read_from_the_record_and_does_without_the_log():
    clock = ManualClock()
    kv = MemoryEngine(clock).kv
    back_fills = BackFills(kv, clock)
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    bench.works = KvWorkStore(kv)
    bench.restart()
    history(bench.reader)
    assert await back_fills.remark(TENANT, AVAILABILITY.key) == Remark()

    await opened(bench)
    await drain(bench)
    clock.advance(31)

    filled_ms = (await back_fills.remark(TENANT, AVAILABILITY.key)).until_ms
    assert filled_ms is not None
    assert END - 11 * MINUTE <= filled_ms <= END
    shown = objective_to_proto(AVAILABILITY, T0, filled_ms)
    assert shown.back_fill_time.ToMilliseconds() == filled_ms
