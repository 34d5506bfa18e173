"""Probes, heartbeats and stored data through the engine: what touches them, what other terms change."""

from dataclasses import replace

import pytest

from services.sla.maintenance.model import MaintenanceWindow
from services.sla.memory import MemoryPointReader
from services.sla.methods.model import Probe
from services.sla.model import Applied, Touched
from services.sla.slice_stored import LOGGED, OWN_TENANT, STORED, UNREAD
from services.sla.slice_terms import exclusions_from
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.signals import at, gauge, said
from tests.unit.sla.slicing import AVAILABILITY, Bench
from tests.unit.sla.test_point_09_stored_data import DATA, Collector
from tests.unit.sla.test_slice_engine import OK, point
from tests.unit.sla.test_slice_signals import BEAT, PROBE, seconds


async def touch(running, watermark, *touched):
    """One batch that wrote (tenant, metric, low, high) in seconds; the revisions that it published."""
    running.seq += 1
    parts = tuple(Touched(tenant, metric, at(low), at(high)) for tenant, metric, low, high in touched)
    plan = await running.engine.plan([Applied("db", running.seq, at(watermark) * 10**6, parts)])
    await running.publish(plan)
    while (piece := await running.engine.piece()) is not None:
        await running.publish(piece)
    return [one for revisions in plan.revisions.values() for one in revisions]


async def test_a_probe_that_says_down_makes_a_down_slice_at_once():
    running = Bench(MemoryPointReader(), PROBE)
    for k in range(1, 8):
        up = int(k < 5)
        running.reader.put_numbers(TENANT, "probe.success", gauge(1), *said(1, (5 * k, up)))
        found = await touch(running, 5 * k + 0.3, (TENANT, "probe.success", 5 * k, 5 * k))
        if k == 5:
            assert [one.slice.down_ns // 10**9 for one in found] == [5]

    slices = await running.slices(PROBE)

    # Covered from the first report at 5; down from the report at 20 until the one at 25, which said so.
    assert [seconds(one)[:3] for one in slices] == [(5, 0, 0), (10, 0, 0), (0, 0, 10), (0, 0, 5)]
    assert seconds(slices[0])[5] == 5


@pytest.mark.parametrize("also_a_feed", [False, True])
async def test_a_silent_heartbeat_is_down_as_soon_as_others_report(also_a_feed):
    others = replace(PROBE, name="probe", signal=Probe("process.uptime"), metric="process.uptime")
    running = Bench(MemoryPointReader(), BEAT, *([others] if also_a_feed else []))
    running.reader.put_numbers(TENANT, "import.finished", gauge(1), *said(1, (0, 1)))
    await touch(running, 0.3, (TENANT, "import.finished", 0, 0))
    for k in range(1, 13):
        running.reader.put_numbers(TENANT, "process.uptime", gauge(2, 8), *said(2, (5 * k, 1)))
        await touch(running, 5 * k + 0.3, (TENANT, "process.uptime", 5 * k, 5 * k))

    slices = await running.slices(BEAT)

    assert [seconds(one)[0] for one in slices] == [10, 10, 10, 0, 0, 0]
    assert [seconds(one)[2] for one in slices] == [0, 0, 0, 10, 10, 10]


async def test_the_collectors_counts_make_slices_of_every_tenant():
    other = replace(DATA, tenant="umbra")
    running = Bench(MemoryPointReader(), DATA, other)
    own, umbra = Collector(running.reader), Collector(running.reader, series=40)
    for k in range(1, 5):
        own.count(acknowledged=10, logged=10, stored=10 - (k == 3), dead=k == 3)
        own.report(10 * k)
        umbra.count(acknowledged=7, logged=7, stored=7)
        umbra.report(10 * k, tenant="umbra")
        names = (STORED, LOGGED, UNREAD)
        found = await touch(running, 10 * k + 0.3, *((OWN_TENANT, name, 10 * k, 10 * k) for name in names))
        if k == 3:
            # The first lost point is published with the report that tells of it, not sealed yet.
            (lost,) = [one.slice for one in found if one.slice.total > one.slice.good]
            assert (lost.good, lost.total, lost.start_ms) == (9, 10, at(20))

    assert [(one.good, one.total) for one in await running.slices(DATA)] == [
        (10, 10),
        (10, 10),
        (9, 10),
        (10, 10),
    ]
    revisions = await running.store.current("umbra", other.key, low_ms=0, high_ms=at(1000))
    assert [one.slice.total for one in revisions] == [7] * 4


async def served(running, until):
    """Ten requests in each ten seconds, reported and applied one by one."""
    for k in range(1, until // 10 + 1):
        running.reader.put(TENANT, METRIC, OK, point(OK, 10 * k, 10 * k))
        await touch(running, 10 * k + 0.3, (TENANT, METRIC, 10 * k, 10 * k))


async def test_a_version_that_begins_in_the_past_gives_new_revisions_from_its_date_on():
    running = Bench(MemoryPointReader(), AVAILABILITY)
    await served(running, 100)
    before = await running.store.current(TENANT, AVAILABILITY.key, low_ms=0, high_ms=at(1000))

    # From 45 on only requests to /b count, of which there are none.
    old = replace(AVAILABILITY, until_ms=at(45))
    new = replace(AVAILABILITY, from_ms=at(45), match={"service.name": "till"})
    running.versions = {AVAILABILITY.key: (old, new)}
    running.objectives, running.changes = (new,), 1
    await touch(running, 101)

    after = await running.store.current(TENANT, AVAILABILITY.key, low_ms=0, high_ms=at(1000))
    assert after[:5] == before[:5]
    assert [
        (one.slice.total, one.revision > was.revision)
        for one, was in zip(after[5:10], before[5:], strict=True)
    ] == [(0, True)] * 5


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_window_that_is_announced_later_gives_new_revisions_of_what_it_touches(restarted):
    retroactive = MaintenanceWindow(
        TENANT, "w", "w", (), at(33), at(52), announced_ms=at(90), retroactive=True
    )
    running = Bench(MemoryPointReader(), AVAILABILITY)
    await served(running, 100)
    before = await running.store.current(TENANT, AVAILABILITY.key, low_ms=0, high_ms=at(1000))

    running.exclusions, running.changes = exclusions_from(lambda _: [retroactive]), 1
    if restarted:
        running.restart()
    await touch(running, 101)

    after = await running.store.current(TENANT, AVAILABILITY.key, low_ms=0, high_ms=at(1000))
    assert [one.slice.excluded_ns // 10**9 for one in after] == [0, 0, 0, 7, 10, 2, 0, 0, 0, 0]
    assert [one.slice.total for one in after] == [10, 10, 10, 3, 0, 8, 10, 10, 10, 10]
    moved = [one.revision - was.revision for one, was in zip(after, before, strict=True)]
    assert [bool(one) for one in moved] == [False] * 3 + [True] * 3 + [False] * 4

    # Cancelled as if it had never been: the slices are what they were, as revisions of their own.
    running.exclusions, running.changes = exclusions_from(lambda _: []), 2
    await touch(running, 102)

    again = await running.store.current(TENANT, AVAILABILITY.key, low_ms=0, high_ms=at(1000))
    assert [one.slice for one in again] == [one.slice for one in before]
    assert again[3].revision == after[3].revision + 1
