"""Leases second by second, on a clock that moves when told to."""

import asyncio
from collections.abc import Callable

import pytest

from services.common.clock import ManualClock
from services.common.errors import Aborted, Unavailable
from services.common.kv_memory import MemoryKeyValue
from services.common.lease import FencedWriter, Lease, run_while_leading
from services.common.log_memory import MemoryLog


class _Away(MemoryKeyValue):
    """A store that can be away."""

    away = False
    hangs = False

    async def update(
        self, bucket: str, key: str, value: bytes, *, revision: int, ttl_s: int | None = None
    ) -> int:
        if self.away:
            raise Unavailable("away")
        if self.hangs:
            await asyncio.Event().wait()
        return await super().update(bucket, key, value, revision=revision, ttl_s=ttl_s)

    async def create(self, bucket: str, key: str, value: bytes, *, ttl_s: int | None = None) -> int:
        if self.away:
            raise Unavailable("away")
        return await super().create(bucket, key, value, ttl_s=ttl_s)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def kv(clock: ManualClock) -> _Away:
    return _Away(clock)


async def _run(clock: ManualClock, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """Let `seconds` pass in steps of 100 ms, or until something holds."""
    for _ in range(round(seconds * 10)):
        for _ in range(20):
            await asyncio.sleep(0)
        if until():
            return
        clock.advance(0.1)
    for _ in range(20):
        await asyncio.sleep(0)


async def _end(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_it_is_held_for_eight_of_its_ten_seconds(clock: ManualClock, kv: _Away) -> None:
    lease, other = (Lease(kv, clock, name="s", holder=holder) for holder in "ab")
    assert await lease.acquire()
    clock.advance(7.9)
    assert lease.held
    clock.advance(0.1)
    assert not lease.held
    assert not await other.acquire()
    clock.advance(2.0)
    assert await other.acquire()


async def test_a_renewal_counts_from_before_its_request(clock: ManualClock, kv: _Away) -> None:
    lease = Lease(kv, clock, name="s", holder="a")
    assert await lease.acquire()
    clock.advance(3)
    assert await lease.renew()
    clock.advance(7.9)

    assert lease.held
    assert lease.remaining_s() == pytest.approx(0.1)


@pytest.mark.parametrize("renew_s", [0.0, 8.0, 9.0])
def test_a_lease_that_cannot_be_renewed_in_time_is_refused(
    clock: ManualClock, kv: _Away, renew_s: float
) -> None:
    with pytest.raises(ValueError, match="cannot be renewed"):
        Lease(kv, clock, name="s", holder="a", renew_s=renew_s)


async def test_the_leader_stays_while_it_can_renew(clock: ManualClock, kv: _Away) -> None:
    tokens: list[int] = []

    async def body(token: int) -> None:
        tokens.append(token)
        await asyncio.Event().wait()

    leading = asyncio.create_task(run_while_leading(Lease(kv, clock, name="s", holder="a"), body))
    await _run(clock, 60)
    await _end(leading)

    assert len(tokens) == 1
    assert await kv.get("leases", "s") is None  # released


async def test_the_leader_survives_a_store_that_is_away_for_less_than_the_lease(
    clock: ManualClock, kv: _Away
) -> None:
    started = 0

    async def body(token: int) -> None:
        nonlocal started
        started += 1
        await asyncio.Event().wait()

    leading = asyncio.create_task(run_while_leading(Lease(kv, clock, name="s", holder="a"), body))
    await _run(clock, 4)
    kv.away = True
    await _run(clock, 4)
    kv.away = False
    await _run(clock, 10)
    await _end(leading)

    assert started == 1


async def test_the_leader_stops_in_time_when_the_store_hangs(clock: ManualClock, kv: _Away) -> None:
    """No answer, no error: only our own clock says that the lease is over."""
    stopped_after_s: list[float] = []

    async def body(token: int) -> None:
        began_ns = clock.monotonic_ns()
        kv.hangs = True
        try:
            await asyncio.Event().wait()
        finally:
            stopped_after_s.append((clock.monotonic_ns() - began_ns) / 1e9)

    leading = asyncio.create_task(run_while_leading(Lease(kv, clock, name="s", holder="a"), body))
    await _run(clock, 12, lambda: bool(stopped_after_s))
    await _end(leading)

    assert 7.5 < stopped_after_s[0] <= 8.2


async def test_the_leader_stops_before_anybody_else_can_start(clock: ManualClock, kv: _Away) -> None:
    """The store is away for the first holder only: it must have stopped when the second leads."""
    running: set[str] = set()
    most = 0

    def body_of(holder: str) -> Callable[[int], "asyncio.Future[None]"]:
        async def body(token: int) -> None:
            nonlocal most
            running.add(holder)
            most = max(most, len(running))
            try:
                await asyncio.Event().wait()
            finally:
                running.discard(holder)

        return lambda token: asyncio.ensure_future(body(token))

    other_kv = MemoryKeyValue(clock)
    other_kv._buckets = kv._buckets
    first = asyncio.create_task(run_while_leading(Lease(kv, clock, name="s", holder="a"), body_of("a")))
    await _run(clock, 5, lambda: running == {"a"})
    second = asyncio.create_task(
        run_while_leading(Lease(other_kv, clock, name="s", holder="b"), body_of("b"))
    )
    await _run(clock, 1)
    kv.away = True
    await _run(clock, 20, lambda: running == {"b"})

    assert running == {"b"}
    assert most == 1
    await _end(first, second)


@pytest.mark.parametrize("error", [Aborted("fenced"), Unavailable("away")])
async def test_a_body_that_lost_its_fence_stands_in_line_again(
    clock: ManualClock, kv: _Away, error: Exception
) -> None:
    tokens: list[int] = []

    async def body(token: int) -> None:
        tokens.append(token)
        if len(tokens) < 3:
            raise error
        await asyncio.Event().wait()

    leading = asyncio.create_task(run_while_leading(Lease(kv, clock, name="s", holder="a"), body))
    await _run(clock, 10, lambda: len(tokens) == 3)
    await _end(leading)

    assert len(tokens) == 3
    assert tokens == sorted(set(tokens))


async def test_any_other_error_of_the_body_is_the_callers_and_the_lease_is_released(
    clock: ManualClock, kv: _Away
) -> None:
    async def body(token: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run_while_leading(Lease(kv, clock, name="s", holder="a"), body)

    assert await kv.get("leases", "s") is None


async def test_a_body_may_end_the_leading(clock: ManualClock, kv: _Away) -> None:
    async def body(token: int) -> None:
        return

    await run_while_leading(Lease(kv, clock, name="s", holder="a"), body, forever=False)

    assert await kv.get("leases", "s") is None


async def test_the_lease_is_waited_for_while_the_store_is_away(clock: ManualClock, kv: _Away) -> None:
    led = asyncio.Event()

    async def body(token: int) -> None:
        led.set()
        await asyncio.Event().wait()

    kv.away = True
    leading = asyncio.create_task(run_while_leading(Lease(kv, clock, name="s", holder="a"), body))
    await _run(clock, 30)
    assert not led.is_set()
    kv.away = False
    await _run(clock, 5, led.is_set)
    await _end(leading)

    assert led.is_set()


async def test_a_writer_that_does_not_know_goes_on_with_the_same_record(clock: ManualClock) -> None:
    """Stored, but the answer was lost: the same id again is a success, a new record is fenced."""
    log = MemoryLog(clock)
    writer = FencedWriter(log, "SLICES", "slices.0")
    await writer.open(b"epoch")
    log.fail_next_appends(1, stored=True)
    with pytest.raises(Unavailable):
        await writer.append(b"1", msg_id="1")
    with pytest.raises(Aborted):
        await writer.append(b"2", msg_id="2")

    assert (await writer.append(b"1", msg_id="1")).duplicate
    await writer.append(b"2", msg_id="2")
    assert [entry.data for entry in await log.read("SLICES", 1)] == [b"epoch", b"1", b"2"]


async def test_a_writer_must_be_opened_first(clock: ManualClock) -> None:
    with pytest.raises(RuntimeError, match="open"):
        await FencedWriter(MemoryLog(clock), "SLICES", "slices.0").append(b"1", msg_id="1")
