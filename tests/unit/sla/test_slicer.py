"""The slicer over its streams: order, positions, fences, and the engines that go away."""

import asyncio
import contextlib
import json

import pytest

from services.common.clock import ManualClock
from services.common.errors import Aborted, Unavailable
from services.common.lease import FencedWriter
from services.common.log_memory import MemoryEngine
from services.sla.memory import MemoryPointReader, MemorySliceStore
from services.sla.model import Applied, PointKind, Series, Touched
from services.sla.payload import applied_to_json, message_from_json
from services.sla.rows_build import Point
from services.sla.slice import Slicer
from services.sla.slice_engine import Configuration
from services.sla.slice_sources import Sources
from services.sla.store_slices import SliceStorer
from tests.unit.sla.clients import METRIC, TENANT
from tests.unit.sla.slicing import AVAILABILITY, T0

SERIES = Series(1, 7, PointKind.EXPONENTIAL, False, "s", {"http.response.status_code": "200"}, {})


class Region:
    """Slicer and storer of one region over engines in memory."""

    def __init__(self, engine, name="local"):
        self.log, self.kv, self.name = engine.log, engine.kv, name
        self.clock = ManualClock()
        self.reader, self.store = MemoryPointReader(), MemorySliceStore()
        self.database = "db-1"
        self.storer = SliceStorer(
            log=self.log,
            kv=self.kv,
            clock=self.clock,
            store=self.store,
            database_id=self.identity,
            region=name,
        )
        self.slicer = Slicer(
            log=self.log,
            kv=self.kv,
            clock=self.clock,
            source=Sources(self.reader),
            store=self.store,
            storer=self.storer,
            configuration=Configuration(lambda: [AVAILABILITY]),
            region=name,
            holder=name,
        )
        self.applied = 0

    async def identity(self):
        if self.reader.down:
            raise Unavailable("down")
        return self.database

    async def write(self, k):
        """The k-th export of 5 s, ten requests each, and word of it."""
        ts = T0 + 5_000 * k
        self.reader.put(TENANT, METRIC, SERIES, Point(1, ts, 10 * k, (10 * k,), T0, scale=3))
        touched = (Touched(TENANT, METRIC, ts, ts),)
        await self.announce(Applied("db", k, (ts + 300) * 1_000_000, touched))

    async def announce(self, applied):
        self.applied += 1
        await self.log.append(
            "APPLIED",
            f"applied.{self.name}",
            applied_to_json(applied),
            msg_id=f"{self.name}-{self.applied}",
        )

    async def run(self, until):
        """Run both until something holds."""
        tasks = [asyncio.create_task(self.slicer.run()), asyncio.create_task(self.storer.run())]
        try:
            for _ in range(10_000):
                # The slicer computes in threads: those need real time, and a told clock that ran away
                # meanwhile would end its lease.
                await asyncio.sleep(0.001)
                self.clock.advance(0.01)
                if await until():
                    return
                for task in tasks:
                    assert not task.done(), task.exception()
            pytest.fail("did not come about")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def position(self):
        entry = await self.kv.get("positions", "slicer.0")
        return 0 if entry is None else json.loads(entry.value)["seq"]

    async def until_position(self, seq):
        await self.run(lambda: _reached(self.position, seq))

    async def published(self):
        """(watermark, [(start, revision)]) of each message with or without slices."""
        entries = await self.log.read("SLICES", 1, max_messages=1000)
        messages = [message_from_json(entry.data) for entry in entries]
        return [
            (m.watermark_ns, [(one.slice.start_ms - T0, one.revision) for _, one in m.slices])
            for m in messages
            if m is not None
        ]


async def _reached(position, seq):
    return await position() >= seq


@pytest.fixture
def engine():
    return MemoryEngine(ManualClock())


@pytest.fixture
def region(engine):
    return Region(engine)


async def test_each_batch_is_published_with_its_log_time_and_stored(region):
    for k in (1, 2, 3):
        await region.write(k)

    await region.until_position(3)

    published = await region.published()
    assert [part for _, slices in published for part in slices] == [(0, 1), (10_000, 1)]
    assert published[-1][0] == (T0 + 15_300) * 1_000_000


async def test_log_time_moves_without_data_at_most_once_a_second(region):
    for k in range(1, 8):
        await region.announce(Applied("db", k, (T0 + 400 * k) * 1_000_000, ()))
        await region.until_position(k)

    assert [watermark // 1_000_000 - T0 for watermark, _ in await region.published()] == [400, 1600, 2800]


async def test_a_crash_between_publishing_and_position_publishes_nothing_again(region):
    await region.write(1)
    await region.until_position(1)
    before = await region.published()
    await region.kv.delete("positions", "slicer.0")
    await region.write(2)

    await region.until_position(2)

    after = await region.published()
    assert after[: len(before)] == before
    assert [part for _, slices in after for part in slices] == [(0, 1), (0, 2)]


async def test_while_the_points_cannot_be_read_it_waits_and_loses_nothing(region):
    await region.write(1)
    region.reader.down = True
    with contextlib.suppress(pytest.fail.Exception):
        await region.until_position(1)
    assert await region.position() == 0
    region.reader.down = False

    await region.until_position(1)

    assert [part for _, slices in await region.published() for part in slices] == [(0, 1)]


async def test_an_old_slicer_cannot_publish_after_a_new_one(region):
    await region.write(1)
    old, new = (FencedWriter(region.log, "SLICES", region.slicer.shard.subject) for _ in range(2))
    await old.open(b'{"version":1,"type":"epoch"}')
    await new.open(b'{"version":1,"type":"epoch"}')
    engine = region.slicer.new_engine(old)

    with pytest.raises(Aborted):
        await region.slicer.step(engine, old, 0)

    assert await region.position() == 0


async def test_another_region_goes_on_where_the_log_was_left(engine):
    first, second = Region(engine, "north"), Region(engine, "south")
    for k in (1, 2):
        await first.write(k)
        await second.write(k)
    await first.until_position(3)
    await first.write(3)
    await second.write(3)
    second.store = second.storer._store = second.slicer._store = first.store

    await second.until_position(6)

    assert [part for _, slices in await second.published() for part in slices] == [(0, 1), (10_000, 1)]


async def test_a_restored_database_is_filled_from_the_beginning(region):
    await region.write(1)

    async def filled():
        return await region.storer._store.span(TENANT, AVAILABILITY.key) is not None

    await region.run(filled)
    copy = MemorySliceStore()
    region.database, region.storer._store = "db-2", copy

    await region.run(filled)

    assert await copy.span(TENANT, AVAILABILITY.key) == await region.store.span(TENANT, AVAILABILITY.key)


async def test_a_record_that_cannot_be_read_is_skipped_and_said(region, caplog):
    await region.log.append("APPLIED", "applied.local", b'{"version":9}', msg_id="broken")
    await region.write(1)

    await region.until_position(2)

    assert [part for _, slices in await region.published() for part in slices] == [(0, 1)]
    assert "cannot be read and is skipped" in caplog.text
