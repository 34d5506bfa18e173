"""Leases and fences on every store and log: in memory and on JetStream."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from services.common import lease as lease_module
from services.common.clock import Clock, SystemClock
from services.common.errors import Aborted
from services.common.lease import FencedWriter, Lease, lease_holder, run_while_leading, wait_acquire
from services.common.log import Engine
from services.common.log_memory import MemoryEngine
from tests.engines_nats import nats_engine

pytestmark = pytest.mark.asyncio(loop_scope="module")
_names = itertools.count()
_LONG_S = 60
"""Does not end while a test runs, even on a machine that stalls: who has it, keeps it or gives it away."""
_RENEWED_S = 4
"""Short enough to be outlived by renewals, eight times as long as the pause between them."""
_SHORT_S = 2
"""For leases whose end is awaited."""
_AT_MOST_S = 30
"""For what must come; before the end of a long lease."""


@pytest.fixture(scope="module", params=["memory", pytest.param("nats", marks=pytest.mark.engines)])
def adapter(request: pytest.FixtureRequest) -> str:
    """Which adapter is under test."""
    return str(request.param)


@pytest.fixture(scope="module")
def clock(adapter: str) -> Clock:
    """What the adapter under test takes its time from."""
    return SystemClock()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(
    adapter: str, clock: Clock, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Engine]:
    """One engine for the module; every test has a lease and a subject of its own."""
    if adapter == "memory":
        yield MemoryEngine(clock)
    else:
        async with nats_engine(tmp_path_factory.mktemp("nats")) as connected:
            yield connected


@pytest.fixture
def name() -> str:
    """A name that no other test has, also not of an earlier run."""
    return f"shard{SystemClock().now_ns()}.{next(_names)}"


@pytest.fixture
def patient_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """A release may take the time it takes: these tests are about what follows it."""
    monkeypatch.setattr(lease_module, "_RELEASE_S", float(_AT_MOST_S))


def _lease(engine: Engine, clock: Clock, name: str, holder: str, *, ttl_s: int = _LONG_S) -> Lease:
    """Renewed more often than a real one, so that the tests are quick."""
    return Lease(engine.kv, clock, name=name, holder=holder, ttl_s=ttl_s, renew_s=0.5, margin_s=0.5)


async def _acquired(lease: Lease) -> None:
    """Return when it is held; a short lease may be over before its holder hears that it is his."""
    async with asyncio.timeout(_AT_MOST_S):
        await wait_acquire(lease)


async def test_one_holder_at_a_time(clock: Clock, engine: Engine, name: str) -> None:
    first, second = _lease(engine, clock, name, "a"), _lease(engine, clock, name, "b")

    assert await first.acquire()
    assert not await second.acquire()
    assert (first.held, second.held) == (True, False)


async def test_of_many_who_want_it_one_gets_it(clock: Clock, engine: Engine, name: str) -> None:
    leases = [_lease(engine, clock, name, f"h{n}") for n in range(10)]

    assert sorted(await asyncio.gather(*(lease.acquire() for lease in leases))) == [False] * 9 + [True]


@pytest.mark.usefixtures("patient_release")
async def test_a_released_lease_is_free_at_once_and_its_token_rises(
    clock: Clock, engine: Engine, name: str
) -> None:
    first, second = _lease(engine, clock, name, "a"), _lease(engine, clock, name, "b")
    assert await first.acquire()
    await first.release()

    assert not first.held
    assert await second.acquire()
    assert second.token > first.token


async def test_a_lease_that_is_not_renewed_is_not_held_before_it_is_free(
    clock: Clock, engine: Engine, name: str
) -> None:
    first, second = _lease(engine, clock, name, "a", ttl_s=_SHORT_S), _lease(engine, clock, name, "b")
    await _acquired(first)
    await _acquired(second)

    assert not first.held
    assert not await first.renew()
    assert second.held


async def test_a_renewed_lease_outlives_its_time_and_keeps_its_token(
    clock: Clock, engine: Engine, name: str
) -> None:
    first, second = _lease(engine, clock, name, "a", ttl_s=_RENEWED_S), _lease(engine, clock, name, "b")
    await _acquired(first)
    token = first.token
    for _ in range(round((_RENEWED_S + 1.5) / 0.5)):
        await clock.sleep(0.5)
        assert await first.renew()
        assert not await second.acquire()

    assert first.held
    assert first.token == token


async def test_a_renewed_lease_still_expires(clock: Clock, engine: Engine, name: str) -> None:
    """A renewal that dropped the time to live would make the lease permanent."""
    first, second = _lease(engine, clock, name, "a", ttl_s=_SHORT_S), _lease(engine, clock, name, "b")
    await _acquired(first)
    async with asyncio.timeout(_AT_MOST_S):
        while not await first.renew():  # a stall was longer than the lease
            await wait_acquire(first)

    await _acquired(second)


async def test_a_late_release_does_not_take_it_from_the_next(clock: Clock, engine: Engine, name: str) -> None:
    first = _lease(engine, clock, name, "a", ttl_s=_SHORT_S)
    second, third = (_lease(engine, clock, name, holder) for holder in "bc")
    await _acquired(first)
    await _acquired(second)
    await first.release()

    assert not await third.acquire()


@pytest.mark.usefixtures("patient_release")
async def test_lease_holder_renews_and_releases(clock: Clock, engine: Engine, name: str) -> None:
    other = _lease(engine, clock, name, "b")
    async with lease_holder(_lease(engine, clock, name, "a", ttl_s=_RENEWED_S)) as lease:
        await clock.sleep(_RENEWED_S + 1.0)
        assert lease.held
        assert not await other.acquire()

    assert await other.acquire()


class _Refused(Lease):
    """A lease that says when somebody else was found to have it."""

    def __init__(self, engine: Engine, clock: Clock, name: str, holder: str) -> None:
        super().__init__(engine.kv, clock, name=name, holder=holder, ttl_s=_LONG_S, renew_s=0.5, margin_s=0.5)
        self.refused = asyncio.Event()

    async def acquire(self) -> bool:
        """See `Lease.acquire`."""
        acquired = await super().acquire()
        if not acquired:
            self.refused.set()
        return acquired


@pytest.mark.usefixtures("patient_release")
async def test_the_second_leader_runs_after_the_first_is_cancelled(
    clock: Clock, engine: Engine, name: str
) -> None:
    events: list[str] = []
    leases = {holder: _Refused(engine, clock, name, holder) for holder in "ab"}
    leads = {holder: asyncio.Event() for holder in "ab"}

    async def lead(holder: str) -> None:
        async def body(token: int) -> None:
            events.append(f"{holder} leads")
            leads[holder].set()
            try:
                await asyncio.Event().wait()
            finally:
                events.append(f"{holder} stops")

        await run_while_leading(leases[holder], body)

    first = asyncio.create_task(lead("a"))
    await asyncio.wait_for(leads["a"].wait(), _AT_MOST_S)
    second = asyncio.create_task(lead("b"))
    await asyncio.wait_for(leases["b"].refused.wait(), _AT_MOST_S)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await asyncio.wait_for(leads["b"].wait(), _AT_MOST_S)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)

    assert events == ["a leads", "a stops", "b leads", "b stops"]


async def test_the_body_is_cancelled_when_the_lease_is_lost(clock: Clock, engine: Engine, name: str) -> None:
    stopped, led = asyncio.Event(), asyncio.Event()

    async def body(token: int) -> None:
        led.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    leading = asyncio.create_task(run_while_leading(_lease(engine, clock, name, "a"), body))
    await asyncio.wait_for(led.wait(), _AT_MOST_S)
    await engine.kv.put("leases", name, b"an operator took it")
    await asyncio.wait_for(stopped.wait(), _AT_MOST_S)
    leading.cancel()
    await asyncio.gather(leading, return_exceptions=True)


async def test_the_old_writer_is_fenced_off_by_the_new_epoch(engine: Engine, name: str) -> None:
    subject = f"slices.{name}"
    old, new = (FencedWriter(engine.log, "SLICES", subject) for _ in range(2))
    await old.open(b"epoch 1")
    await old.append(b"1", msg_id=f"{name}-1")
    epoch = await new.open(b"epoch 2")

    with pytest.raises(Aborted) as caught:
        await old.append(b"late", msg_id=f"{name}-late")

    assert caught.value.reason == "FENCED"
    ack = await new.append(b"2", msg_id=f"{name}-2")
    assert ack.seq > epoch == new.epoch_seq
    first = (await engine.log.last_entry("SLICES", subject)).seq - 3  # type: ignore[union-attr]
    entries = [e for e in await engine.log.read("SLICES", first) if e.subject == subject]
    assert [entry.data for entry in entries] == [b"epoch 1", b"1", b"epoch 2", b"2"]


async def test_of_two_epochs_at_the_same_time_one_writes(engine: Engine, name: str) -> None:
    writers = [FencedWriter(engine.log, "SLICES", f"slices.{name}") for _ in range(8)]
    opened = await asyncio.gather(*(writer.open(b"epoch") for writer in writers), return_exceptions=True)
    able = []
    for n, (writer, result) in enumerate(zip(writers, opened, strict=True)):
        if isinstance(result, int):
            try:
                await writer.append(b"x", msg_id=f"{name}-{n}")
                able.append(n)
            except Aborted:
                continue

    assert len(able) == 1


async def test_concurrent_appends_of_one_writer_keep_their_order(engine: Engine, name: str) -> None:
    writer = FencedWriter(engine.log, "SLICES", f"slices.{name}")
    epoch = await writer.open(b"epoch")
    acks = await asyncio.gather(*(writer.append(b"%d" % n, msg_id=f"{name}-{n}") for n in range(20)))

    assert [ack.seq for ack in acks] == list(range(epoch + 1, epoch + 21))


async def test_a_new_holder_may_repeat_what_the_old_one_wrote(engine: Engine, name: str) -> None:
    """Ids made of what is said: a replay after a takeover says nothing twice."""
    old, new = (FencedWriter(engine.log, "SLICES", f"slices.{name}") for _ in range(2))
    await old.open(b"epoch 1")
    first = await old.append(b"1", msg_id=f"{name}-1")
    await new.open(b"epoch 2")

    again = await new.append(b"1", msg_id=f"{name}-1")
    assert (again.seq, again.duplicate) == (first.seq, True)
    assert (await new.append(b"2", msg_id=f"{name}-2")).seq == new.epoch_seq + 1
