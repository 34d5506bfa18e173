"""Coalescing: fewer appends, and never an acknowledgement that the log does not back."""

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from services.collector.coalesce import CoalesceConfig, Coalescer
from services.collector.model import LoggedRequest
from services.collector.record import decode_record
from services.common.clock import ManualClock
from services.common.errors import InvalidArgument, Unavailable
from services.common.log_memory import MemoryLog
from services.common.log_port import Ack
from services.common.streams import OTLP
from services.common.telemetry import Counters


class SlowLog(MemoryLog):
    """The memory log, whose appends take a while; the test may hold them back."""

    def __init__(self, rng: random.Random | None = None) -> None:
        super().__init__(ManualClock())
        self._rng = rng
        self.gate = asyncio.Event()
        self.gate.set()
        self.appends = 0
        self.under_way = 0

    async def append(self, stream: str, subject: str, data: bytes, **options: Any) -> Ack:
        """See `Log.append`."""
        self.appends += 1
        self.under_way += 1
        try:
            await self.gate.wait()
            for _ in range(self._rng.randint(0, 5) if self._rng else 0):
                await asyncio.sleep(0)
            return await super().append(stream, subject, data, **options)
        finally:
            self.under_way -= 1

    async def held(self) -> Counter[tuple[str, bytes]]:
        """(tenant, bytes) of the requests that the log holds, with how often."""
        records = [decode_record(entry.data) for entry in await self.read(OTLP, 1, max_messages=10**6)]
        return Counter((record.tenant, one.raw) for record in records for one in record.requests)


def coalescer(log: MemoryLog, **config: Any) -> Coalescer:
    return Coalescer(log, Counters(), random.Random(1).randbytes, CoalesceConfig(**config))


def request(number: int, size: int = 8) -> LoggedRequest:
    return LoggedRequest(number.to_bytes(16, "little"), number.to_bytes(size, "little"), 1)


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_request_alone_leaves_at_once() -> None:
    log = SlowLog()

    await coalescer(log).append("acme", request(1))

    assert log.appends == 1


async def test_requests_that_arrive_during_an_append_share_the_next_record() -> None:
    log = SlowLog()
    made = coalescer(log)
    log.gate.clear()
    first = asyncio.create_task(made.append("acme", request(0)))
    await settle()
    others = [asyncio.create_task(made.append("acme", request(number))) for number in range(1, 10)]
    await settle()
    assert (log.appends, made.held_bytes > 0) == (1, True)
    log.gate.set()
    await asyncio.gather(first, *others)

    assert log.appends == 2
    assert await log.held() == {("acme", request(number).raw): 1 for number in range(10)}
    assert made.held_bytes == 0


async def test_under_load_a_record_waits_a_moment_to_be_filled_and_alone_it_does_not() -> None:
    log = SlowLog()
    made = coalescer(log, linger_s=0.05)
    await asyncio.gather(*(made.append("acme", request(number)) for number in range(2)))
    early = asyncio.create_task(made.append("acme", request(2)))
    await settle()
    assert log.appends == 1
    late = asyncio.create_task(made.append("acme", request(3)))
    await asyncio.gather(early, late)
    assert log.appends == 2

    await made.append("acme", request(4))  # the last one that waits: nobody joined it
    quiet = asyncio.create_task(made.append("acme", request(5)))
    await settle()
    assert quiet.done()


async def test_requests_of_two_tenants_never_share_a_record() -> None:
    log = SlowLog()
    made = coalescer(log)
    await asyncio.gather(*(made.append(tenant, request(1)) for tenant in ("acme", "beta", "acme")))

    assert log.appends == 2
    assert await log.held() == {("acme", request(1).raw): 2, ("beta", request(1).raw): 1}


@pytest.mark.parametrize(
    ("config", "records"),
    [({"max_requests": 3}, 4), ({"max_bytes": 3 * (100 + 32)}, 4), ({"max_requests": 1}, 10)],
)
async def test_a_record_is_bounded_and_a_full_one_does_not_wait(config: dict[str, int], records: int) -> None:
    log = SlowLog()
    made = coalescer(log, max_in_flight=20, **config)
    log.gate.clear()
    tasks = [asyncio.create_task(made.append("acme", request(number, 100))) for number in range(10)]
    await settle()

    assert log.under_way >= 3
    log.gate.set()
    await asyncio.gather(*tasks)
    assert log.appends == records
    assert sum((await log.held()).values()) == 10


async def test_a_record_grows_over_its_limit_only_for_a_request_that_is_over_it_alone() -> None:
    log = SlowLog()
    made = coalescer(log, max_bytes=500, max_in_flight=1)
    log.gate.clear()
    sizes = [8, 100, 200, 300, 100, 900, 50, 60]
    tasks = [asyncio.create_task(made.append("acme", request(n, size))) for n, size in enumerate(sizes)]
    await settle()
    log.gate.set()
    await asyncio.gather(*tasks)

    records = [decode_record(entry.data) for entry in await log.read(OTLP, 1)]
    found = [[len(one.raw) for one in record.requests] for record in records]
    assert sorted(size for record in found for size in record) == sorted(sizes)
    assert all(sum(record) <= 500 or record == [900] for record in found)


async def test_no_more_appends_of_a_tenant_are_under_way_than_configured() -> None:
    log = SlowLog()
    made = coalescer(log, max_requests=1, max_in_flight=2)
    log.gate.clear()
    tasks = [asyncio.create_task(made.append("acme", request(number))) for number in range(5)]
    await settle()

    assert log.under_way == 2
    log.gate.set()
    await asyncio.gather(*tasks)
    assert sum((await log.held()).values()) == 5


async def test_a_failed_append_fails_all_its_callers_with_an_error_of_their_own() -> None:
    log = SlowLog()
    log.fail_next_appends(1)
    made = coalescer(log)

    outcomes = await asyncio.gather(
        *(made.append("acme", request(number)) for number in range(5)), return_exceptions=True
    )

    assert len({id(one) for one in outcomes}) == 5
    for one in outcomes:
        assert isinstance(one, Unavailable)
        assert one.retry_after_s is not None
    await made.append("acme", request(9))


async def test_who_waits_behind_an_append_that_fails_is_told_at_once() -> None:
    """A log that is away answers after seconds: two of those would outlast the deadline of a client."""
    log = SlowLog()
    log.fail_next_appends(1)
    made = coalescer(log)
    log.gate.clear()
    first = asyncio.create_task(made.append("acme", request(0)))
    await settle()
    behind = [asyncio.create_task(made.append("acme", request(number))) for number in range(1, 4)]
    await settle()
    log.gate.set()

    outcomes = await asyncio.gather(first, *behind, return_exceptions=True)

    assert all(isinstance(one, Unavailable) and one.retry_after_s for one in outcomes)
    assert (log.appends, made.held_bytes) == (1, 0)
    await made.append("acme", request(9))


async def test_a_refusal_stays_a_refusal() -> None:
    with pytest.raises(InvalidArgument):
        await coalescer(SlowLog()).append("not a tenant", request(1))


async def test_an_unexpected_error_is_an_invitation_to_send_again(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(SlowLog):
        async def append(self, stream: str, subject: str, data: bytes, **options: Any) -> Ack:
            raise RuntimeError("a defect")

    with pytest.raises(Unavailable) as caught:
        await coalescer(Broken()).append("acme", request(1))

    assert caught.value.retry_after_s is not None
    assert "a defect" in caplog.text


async def test_a_caller_that_leaves_takes_nobody_along() -> None:
    log = SlowLog()
    made = coalescer(log)
    log.gate.clear()
    tasks = [asyncio.create_task(made.append("acme", request(0)))]
    await settle()
    tasks += [asyncio.create_task(made.append("acme", request(number))) for number in range(1, 5)]
    await settle()
    for gone in (0, 2):
        tasks[gone].cancel()
    await settle()
    log.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert [isinstance(one, asyncio.CancelledError) for one in outcomes] == [True, False, True, False, False]
    # The first had left already; the other never left.
    assert await log.held() == {("acme", request(number).raw): 1 for number in (0, 1, 3, 4)}
    assert made.held_bytes == 0


async def test_a_process_that_ends_acknowledges_nothing_and_begins_nothing() -> None:
    log = SlowLog()
    made = coalescer(log, max_requests=2, max_in_flight=1)
    log.gate.clear()
    callers = [asyncio.create_task(made.append("acme", request(number))) for number in range(5)]
    await settle()
    for task in asyncio.all_tasks() - {asyncio.current_task(), *callers}:
        task.cancel()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)

    assert all(isinstance(one, asyncio.CancelledError) for one in outcomes)
    assert (log.appends, log.under_way, made.held_bytes) == (1, 0, 0)


async def test_what_waits_is_bounded_and_the_rest_is_refused_retryably() -> None:
    log = SlowLog()
    made = coalescer(log, max_waiting_bytes=1000)
    log.gate.clear()
    tasks = [asyncio.create_task(made.append("acme", request(number, 268))) for number in range(5)]
    await settle()

    assert made.held_bytes == 900
    log.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    refused = [one for one in outcomes if isinstance(one, Unavailable)]
    assert [(one.reason, one.retry_after_s) for one in refused] == [("RECEIVER_MEMORY_FULL", 1.0)] * 2
    assert sum((await log.held()).values()) == 3


@pytest.mark.parametrize("seed", range(20))
async def test_acknowledged_is_in_the_log_whatever_fails_and_whoever_leaves(seed: int) -> None:
    """Random clients, tenants, sizes, faults and cancellations. Acknowledged means stored, every
    request is stored at most as often as it was sent, and one that is stored but not acknowledged
    was told to send again or left."""
    rng = random.Random(seed)
    log = SlowLog(rng)
    made = coalescer(
        log, max_requests=rng.choice([1, 3, 100]), max_bytes=rng.choice([200, 10**6]), thread_from_bytes=10**6
    )
    acknowledged: Counter[tuple[str, bytes]] = Counter()
    unknown: Counter[tuple[str, bytes]] = Counter()

    async def client(number: int) -> None:
        tenant = f"t{number % 3}"
        for turn in range(8):
            one = request(number * 100 + turn, rng.randint(8, 120))
            if rng.random() < 0.15:
                log.fail_next_appends(1, stored=rng.random() < 0.5)
            try:
                async with asyncio.timeout(None if rng.random() < 0.9 else 0):
                    await made.append(tenant, one)
            except (Unavailable, TimeoutError):
                unknown[tenant, one.raw] += 1
            else:
                acknowledged[tenant, one.raw] += 1
            if rng.random() < 0.5:
                await asyncio.sleep(0)

    async with asyncio.timeout(20):
        await asyncio.gather(*(client(number) for number in range(15)))
        await settle()
    held = await log.held()

    assert acknowledged <= held
    assert held <= acknowledged + unknown
    assert len(unknown) > 0
    assert made.held_bytes == 0


async def test_each_append_that_the_log_confirmed_tells_how_long_it_took_and_no_other() -> None:
    log, took = SlowLog(), list[float]()
    coalescer = Coalescer(log, Counters(), random.Random(1).randbytes, CoalesceConfig(), took=took.append)

    log.gate.clear()
    waiting = asyncio.create_task(coalescer.append("acme", request(1)))
    await settle()
    assert log.under_way == 1  # what it does before is not the log's time
    await asyncio.sleep(0.05)
    log.gate.set()
    await waiting
    assert [0.04 < one < 5 for one in took] == [True]

    log.fail_next_appends(1, stored=False)
    with pytest.raises(Unavailable):
        await coalescer.append("acme", request(2))
    assert len(took) == 1
