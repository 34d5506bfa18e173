"""Two SLA processes share the shards of the slicer, and one takes over from the other after kill -9."""

import time

import pytest

from services.common.clock import SystemClock
from services.common.log import connect_nats
from services.common.shards import shard_of
from services.sla.payload import message_from_json
from tests.rpc.test_sla_process import GOOD, Suite, eventually, requests, suite

__all__ = ["suite"]

pytestmark = pytest.mark.engines

TENANTS = ("acme", "zenith")


async def holders(running: Suite) -> dict[str, bytes]:
    """Who leads which shard."""
    engine = await connect_nats(running.nats.url, clock=SystemClock())
    found = {}
    for number in range(2):
        entry = await engine.kv.get("leases", f"slicer.{number}")
        if entry is not None:
            found[f"slices.{number}"] = entry.value
    await engine.close()
    return found


async def published(running: Suite) -> list[tuple[str, str, int, int, int]]:
    """(subject, tenant, start, revision, requests) of every slice in SLICES."""
    engine = await connect_nats(running.nats.url, clock=SystemClock())
    entries = await engine.log.read("SLICES", 1, max_messages=10_000)
    await engine.close()
    found = []
    for entry in entries:
        message = message_from_json(entry.data)
        for objective, one in () if message is None else message.slices:
            if objective == "gold/availability":
                assert message is not None
                assert message.tenant is not None
                place = (one.slice.start_ms, one.revision, one.slice.total)
                found.append((entry.subject, message.tenant, *place))
    return found


async def test_the_shards_of_a_killed_process_go_on_in_the_other(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THREENINES_SLA_SHARDS", "2")
    assert [shard_of(tenant, 2) for tenant in TENANTS] == [0, 1]
    await suite.configure(*TENANTS)
    other = Suite(suite.clickhouse, suite.nats, suite.database)
    suite.start()
    other.start()
    try:

        async def shared() -> dict[str, bytes] | None:
            found = await holders(suite)
            return found if len(set(found.values())) == 2 else None

        await eventually(shared, seconds=90)
        start = int(time.time()) // 60 * 60_000 - 600_000

        async def write(k: int) -> None:
            ts = start + k * 10_000
            for tenant in TENANTS:
                await suite.write(tenant, [requests(GOOD, ts, start, 50 * k)], ts + 500)

        async def out(k: int) -> bool | None:
            """Whether the k-th export of every tenant is published, on the subject of its shard."""
            found = {(subject, tenant, begin) for subject, tenant, begin, _, n in await published(suite) if n}
            begin = start + (k - 1) * 10_000
            wanted = {(f"slices.{shard_of(one, 2)}", one, begin) for one in TENANTS}
            return wanted <= found or None

        await write(1)
        await eventually(lambda: out(1), seconds=90)

        suite.kill()
        await write(2)
        # A lease time and what it takes to begin, where the machine is slow: never is what must not be.
        await eventually(lambda: out(2), seconds=90)

        assert len(set((await holders(suite)).values())) == 1
        revisions = [one[:4] for one in await published(suite)]
        assert len(revisions) == len(set(revisions)), "a revision was published twice"
    finally:
        other.kill()
