"""What only the memory adapters have: ordered faults, and time that moves when told to."""

import asyncio

import pytest

from services.common.clock import ManualClock
from services.common.errors import Unavailable
from services.common.log_memory import MemoryEngine, MemoryLog


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def log(clock: ManualClock) -> MemoryLog:
    return MemoryLog(clock)


async def test_entries_carry_the_clocks_time(log: MemoryLog, clock: ManualClock) -> None:
    await log.append("OTLP", "otlp.0.acme", b"1", msg_id="1")
    clock.advance(1.5)
    await log.append("OTLP", "otlp.0.acme", b"2", msg_id="2")

    first, second = await log.read("OTLP", 1)
    assert second.time_ns - first.time_ns == 1_500_000_000


async def test_an_id_is_forgotten_after_the_duplicate_window(log: MemoryLog, clock: ManualClock) -> None:
    await log.append("OTLP", "otlp.0.acme", b"1", msg_id="1")
    clock.advance(120)
    assert (await log.append("OTLP", "otlp.0.acme", b"1", msg_id="1")).duplicate
    clock.advance(1)
    assert not (await log.append("OTLP", "otlp.0.acme", b"1", msg_id="1")).duplicate


@pytest.mark.parametrize("stored", [False, True])
async def test_an_ordered_fault_leaves_the_record_stored_or_not(log: MemoryLog, stored: bool) -> None:
    log.fail_next_appends(2, stored=stored)
    for n in range(2):
        with pytest.raises(Unavailable) as caught:
            await log.append("OTLP", "otlp.0.acme", b"x", msg_id=f"{n}")
        assert caught.value.reason == "LOG_UNAVAILABLE"

    assert await log.last_seq("OTLP") == (2 if stored else 0)
    assert (await log.append("OTLP", "otlp.0.acme", b"x", msg_id="0")).duplicate is stored


async def test_a_full_log_stores_nothing_until_there_is_room(log: MemoryLog) -> None:
    log.set_full(True)
    with pytest.raises(Unavailable) as caught:
        await log.append("OTLP", "otlp.0.acme", b"x", msg_id="x")
    assert caught.value.reason == "LOG_FULL"
    log.set_full(False)

    assert (await log.append("OTLP", "otlp.0.acme", b"x", msg_id="x")).seq == 1


async def test_a_waiting_read_ends_when_the_clock_says_so(log: MemoryLog, clock: ManualClock) -> None:
    reading = asyncio.create_task(log.read("OTLP", 1, wait_s=5.0))
    await asyncio.sleep(0.01)
    for _ in range(5):
        assert not reading.done()
        clock.advance(1.0)
        await asyncio.sleep(0.01)

    assert await reading == []


async def test_a_later_change_of_the_callers_buffer_does_not_reach_the_log(log: MemoryLog) -> None:
    buffer = bytearray(b"before")
    await log.append("OTLP", "otlp.0.acme", buffer, msg_id="1")  # type: ignore[arg-type]
    buffer[:] = b"after!"

    assert (await log.read("OTLP", 1))[0].data == b"before"


async def test_time_to_live_is_judged_on_the_clock(clock: ManualClock) -> None:
    kv = MemoryEngine(clock).kv
    await kv.create("leases", "s", b"a", ttl_s=10)
    clock.advance(9.9)
    assert await kv.get("leases", "s") is not None
    clock.advance(0.1)

    assert await kv.get("leases", "s") is None
    assert await kv.keys("leases") == []


async def test_workers_with_one_name_share_a_queue_and_others_do_not(clock: ManualClock) -> None:
    engine = MemoryEngine(clock)
    await (await engine.queue("NOTIFY", "a")).publish("notify.acme", b"x", msg_id="1")

    assert len(await (await engine.queue("NOTIFY", "a")).fetch(1, wait_s=0)) == 1
    assert len(await (await engine.queue("NOTIFY", "b")).fetch(1, wait_s=0)) == 0


async def test_unacknowledged_work_comes_again_after_the_ack_wait(clock: ManualClock) -> None:
    queue = await MemoryEngine(clock).queue("NOTIFY", "a", ack_wait_s=30)
    await queue.publish("notify.acme", b"x", msg_id="1")
    await queue.fetch(1, wait_s=0)
    clock.advance(29.9)
    assert list(await queue.fetch(1, wait_s=0)) == []
    clock.advance(0.1)

    (job,) = await queue.fetch(1, wait_s=0)
    assert job.deliveries == 2
