"""Shards: tenants divided among slicers by hash, slicers among processes by lease, each one fenced."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

import pytest

from services.common.clock import ManualClock
from services.common.errors import Aborted
from services.common.lease import FencedWriter
from services.common.log_memory import MemoryEngine
from services.common.shards import shard_of
from services.sla.engines import Replica
from services.sla.memory import MemoryPointReader, MemorySliceStore
from services.sla.model import Applied, PointKind, Series, Touched
from services.sla.payload import applied_to_json, message_from_json
from services.sla.rows_build import Point
from services.sla.slice_assembly import build_slicers
from services.sla.slice_engine import Configuration
from services.sla.slice_shards import Shard, ShardLayout
from services.sla.store_slices import SliceStorer
from tests.unit.sla.clients import METRIC
from tests.unit.sla.slicing import AVAILABILITY, T0

TENANTS = ("acme", "umbra", "zenith", "orion")
OBJECTIVES = [replace(AVAILABILITY, tenant=tenant) for tenant in TENANTS]
OK = Series(1, 7, PointKind.EXPONENTIAL, False, "s", {"http.response.status_code": "200"}, {})
TTL_S = 10


class System:
    """Processes over one log and one database."""

    def __init__(self):
        self.clock = ManualClock()
        self.engine = MemoryEngine(self.clock)
        self.reader, self.store = MemoryPointReader(), MemorySliceStore()
        self.tasks: dict[str, list[asyncio.Task[None]]] = {}
        self.pools = {}
        self.k = 0

    def start(self, name, shards=2):
        storer = SliceStorer(
            log=self.engine.log,
            kv=self.engine.kv,
            clock=self.clock,
            store=self.store,
            database_id=self.identity,
            region="local",
        )
        pool = build_slicers(
            Replica(
                log=self.engine.log,
                kv=self.engine.kv,
                clock=self.clock,
                region="local",
                holder=name,
            ),
            reader=self.reader,
            store=self.store,
            storer=storer,
            configuration=Configuration(lambda: OBJECTIVES),
            shards=shards,
            lease_ttl_s=TTL_S,
        )
        self.pools[name] = pool
        self.tasks[name] = [asyncio.create_task(pool.run()), asyncio.create_task(storer.run())]

    async def identity(self):
        return "db"

    async def stop(self, name):
        """As kill -9: what it held it does not give back."""
        held = {key: await self.engine.kv.get("leases", key) for key in await self.engine.kv.keys("leases")}
        for task in self.tasks.pop(name):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        self.pools.pop(name)
        for key, entry in held.items():
            if entry is not None and entry.value == name.encode():
                await self.engine.kv.create("leases", key, entry.value, ttl_s=TTL_S)

    async def write(self):
        self.k += 1
        ts = T0 + 5_000 * self.k
        for tenant in TENANTS:
            self.reader.put(tenant, METRIC, OK, Point(1, ts, 10 * self.k, (10 * self.k,), T0, scale=3))
        touched = tuple(Touched(tenant, METRIC, ts, ts) for tenant in TENANTS)
        applied = Applied("db", self.k, (ts + 300) * 10**6, touched)
        await self.engine.log.append(
            "APPLIED", "applied.local", applied_to_json(applied), msg_id=f"a-{self.k}"
        )

    async def until(self, holds, seconds=60.0):
        """Let told time pass until it holds; how much passed."""
        begun = self.clock.monotonic_ns()
        while self.clock.monotonic_ns() - begun < seconds * 1e9:
            if await holds():
                return (self.clock.monotonic_ns() - begun) / 1e9
            await asyncio.sleep(0.0005)
            self.clock.advance(0.02)
        raise AssertionError("did not come about")

    async def sliced(self):
        """Whether everything written is published and stored."""
        totals = []
        for one in OBJECTIVES:
            found = await self.store.current(one.tenant, one.key, low_ms=0, high_ms=2 * T0)
            totals.append(sum(revision.slice.total for revision in found))
        return totals == [10 * self.k] * len(TENANTS)

    def leads(self):
        return {
            name: [one.shard.number for one in pool.slicers if one.leading]
            for name, pool in self.pools.items()
        }

    async def published(self):
        entries = await self.engine.log.read("SLICES", 1, max_messages=5000)
        return [(entry.subject, message_from_json(entry.data)) for entry in entries]

    async def end(self):
        for name in list(self.tasks):
            await self.stop(name)


@pytest.fixture
async def system():
    running = System()
    yield running
    await running.end()


def test_a_tenants_shard_never_changes():
    assert [shard_of(tenant, 2) for tenant in TENANTS] == [0, 0, 1, 1]
    assert [shard_of(tenant, 8) for tenant in TENANTS] == [0, 6, 3, 7]
    assert shard_of("anybody", 1) == 0
    spread = Counter(shard_of(f"tenant-{k}", 4) for k in range(4000))
    assert max(spread.values()) - min(spread.values()) < 200


async def test_two_processes_share_the_shards_and_each_tenant_has_one_subject(system):
    system.start("one")
    await system.until(lambda: led(system, {"one": [0, 1]}))
    system.start("two")
    await system.until(lambda: shared(system))
    for _ in range(4):
        await system.write()
    await system.until(system.sliced)

    for subject, message in await system.published():
        if message is not None and message.tenant is not None:
            assert subject == f"slices.{shard_of(message.tenant, 2)}"
            assert (message.shard, message.shards) == (shard_of(message.tenant, 2), 2)
    revisions = Counter(
        (message.tenant, one.slice.start_ms, one.revision)
        for _, message in await system.published()
        if message is not None
        for _, one in message.slices
    )
    assert set(revisions.values()) == {1}, "a revision was published twice"


async def test_what_a_killed_process_led_is_taken_over_within_a_lease_time(system):
    system.start("one")
    system.start("two")
    await system.until(lambda: shared(system))
    await system.write()
    await system.until(system.sliced)

    await system.stop("one")
    await system.write()
    took_s = await system.until(lambda: led(system, {"two": [0, 1]}))
    await system.until(system.sliced)

    assert took_s <= TTL_S + 5


async def test_the_old_holder_of_a_shard_cannot_write_any_more(system):
    system.start("one")
    await system.write()
    await system.until(system.sliced)
    slicer = system.pools["one"].slicers[1]
    writers = [FencedWriter(system.engine.log, "SLICES", slicer.shard.subject) for _ in range(2)]
    old, new = writers
    await old.open(b'{"version":1,"type":"epoch"}')
    await new.open(b'{"version":1,"type":"epoch"}')

    with pytest.raises(Aborted):
        await old.append(b"late", msg_id="late")


async def test_another_number_of_shards_is_refused_while_a_process_has_the_old_one(system, caplog):
    system.start("one", shards=2)
    await system.write()
    await system.until(system.sliced)
    system.start("two", shards=4)
    await system.write()
    await system.until(system.sliced)

    await asyncio.sleep(0.01)
    assert system.leads()["two"] == []
    assert "this process is configured with 4 shards, the system works with 2" in caplog.text


@pytest.mark.parametrize(("before", "after"), [(1, 4), (4, 1), (3, 2)])
async def test_a_changed_number_moves_every_tenant_once_the_old_processes_are_gone(system, before, after):
    system.start("one", shards=before)
    for _ in range(3):
        await system.write()
    await system.until(system.sliced)
    old = FencedWriter(system.engine.log, "SLICES", Shard(0, before).subject)
    already = len(await system.published())
    await system.stop("one")
    await old.open(b'{"version":1,"type":"epoch"}')
    system.start("two", shards=after)
    for _ in range(3):
        await system.write()

    await system.until(system.sliced)

    with pytest.raises(Aborted):
        await old.append(b"of a process that was frozen", msg_id="late")
    revisions = Counter(
        (message.tenant, one.slice.start_ms, one.revision)
        for _, message in await system.published()
        if message is not None
        for _, one in message.slices
    )
    assert set(revisions.values()) == {1}, "what was published before was published again"
    later = (await system.published())[already:]
    assert {m.shards for _, m in later if m is not None and m.tenant} == {after}


async def test_a_process_of_the_old_number_stops_at_the_fence(system):
    layout = ShardLayout(system.engine.log, system.engine.kv, shards=1)
    await layout.settle()
    await layout.check()

    await ShardLayout(system.engine.log, system.engine.kv, shards=2).settle()

    with pytest.raises(Aborted, match="configured with 1 shards"):
        await layout.check()
    entry = await system.engine.kv.get("positions", "slicer.layout")
    assert entry is not None
    assert json.loads(entry.value)["fence"] == 0


async def led(system, wanted):
    return system.leads() == wanted


async def shared(system):
    return sorted(map(len, system.leads().values())) == [1, 1]
