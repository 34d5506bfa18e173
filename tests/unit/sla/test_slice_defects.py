"""A defect of one objective's data or terms stops no other, is told, and is made good once it is gone."""

from dataclasses import replace

import pytest

from services.common.telemetry import Counters
from services.sla.memory import MemoryPointReader
from services.sla.model import Applied, PointKind, Series, Touched
from services.sla.rows_build import Point
from services.sla.slice_engine import Configuration, SliceEngine
from services.sla.slice_sources import Sources
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.slicing import AVAILABILITY, T0, Bench

OK = Series(1, 7, PointKind.EXPONENTIAL, False, "s", {"http.response.status_code": "200"}, {})
OTHER = replace(AVAILABILITY, tenant="umbra")
BESIDE = replace(AVAILABILITY, name="beside")


class Poisoned(Sources):
    """A source in which what belongs to one objective cannot be computed while `broken`."""

    def __init__(self, reader, key):
        super().__init__(reader)
        self.key, self.broken, self.asked = key, True, 0

    async def load(self, objectives, low_ms, high_ms, *, rows=True):
        if self.broken and any((one.tenant, one.key) == self.key for one in objectives):
            self.asked += 1
            raise ZeroDivisionError("a defect")
        return await super().load(objectives, low_ms, high_ms, rows=rows)


@pytest.fixture
def bench():
    found = Bench(MemoryPointReader(), AVAILABILITY, BESIDE, OTHER)
    found.source = Poisoned(found.reader, (TENANT, AVAILABILITY.key))
    found.restart()
    return found


async def write(bench, k):
    """An export of every tenant each five seconds."""
    ts = T0 + 5_000 * k
    for tenant in (TENANT, "umbra"):
        bench.reader.put(tenant, METRIC, OK, Point(1, ts, 10 * k, (10 * k,), T0, scale=3))
    touched = tuple(Touched(tenant, METRIC, ts, ts) for tenant in (TENANT, "umbra"))
    await bench.publish(await bench.engine.plan([Applied("db", k, (ts + 300) * 10**6, touched)]))
    while (piece := await bench.engine.piece()) is not None:
        await bench.publish(piece)


async def totals(bench):
    found = {}
    for one in bench.objectives:
        slices = await bench.store.current(one.tenant, one.key, low_ms=0, high_ms=2 * T0)
        found[one.tenant, one.name] = sum(revision.slice.total for revision in slices)
    return found


async def test_the_others_go_on_and_the_broken_one_is_told(bench, caplog):
    for k in range(1, 9):
        await write(bench, k)

    assert await totals(bench) == {
        (TENANT, "availability"): 0,
        (TENANT, "beside"): 80,
        ("umbra", "availability"): 80,
    }
    assert bench.engine.failing == [(TENANT, AVAILABILITY.key)]
    assert "cannot be computed and waits" in caplog.text
    assert bench.source.asked < 8, "it is not tried again with every batch"


@pytest.mark.parametrize("restart", [False, True])
async def test_what_was_missed_is_computed_once_the_defect_is_gone(bench, restart):
    bench.source.broken = False
    for k in range(1, 4):
        await write(bench, k)
    bench.source.broken = True
    for k in range(4, 30):
        await write(bench, k)
    before = await bench.slices()
    assert sum(one.total for one in before) == 30
    assert not any(one.sealed for one in before[1:]), "what was not computed must not be sealed as no data"
    if restart:
        bench.restart()
    bench.source.broken = False
    for k in range(30, 40):
        await write(bench, k)

    assert await totals(bench) == dict.fromkeys(await totals(bench), 390)
    assert bench.engine.failing == []
    assert all(one.no_data_ns == 0 for one in (await bench.slices())[:-1])


async def test_every_failure_is_counted():
    counters = Counters()
    bench = Bench(MemoryPointReader(), AVAILABILITY)
    bench.engine = SliceEngine(
        source=Poisoned(bench.reader, (TENANT, AVAILABILITY.key)),
        store=bench.store,
        configuration=Configuration(lambda: [AVAILABILITY]),
        counters=counters,
    )

    await write(bench, 1)

    assert counters.value("sla.objectives.failed", tenant=TENANT) == 1
