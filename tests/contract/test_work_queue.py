"""What every work queue must do; the same tests run in memory and on JetStream."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from services.common.clock import Clock, SystemClock
from services.common.log import Engine, WorkQueue
from services.common.log_memory import MemoryEngine
from tests.engines_nats import nats_engine

pytestmark = pytest.mark.asyncio(loop_scope="module")
Open = Callable[..., Awaitable[WorkQueue]]
_names = itertools.count()
_ACK_WAIT_S = 3.0
"""Far more than a test takes from a fetch to the ack, on a machine that stalls too."""
_AT_MOST_S = 30.0
"""For work that must come; it comes at once or after the ack wait."""


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
    """One engine for the module; every test leaves the queue empty."""
    if adapter == "memory":
        yield MemoryEngine(clock)
    else:
        async with nats_engine(tmp_path_factory.mktemp("nats")) as connected:
            yield connected


@pytest_asyncio.fixture(loop_scope="module")
async def queue(engine: Engine) -> AsyncIterator[WorkQueue]:
    """The NOTIFY queue with a short ack wait."""
    opened = await engine.queue("NOTIFY", "worker", ack_wait_s=_ACK_WAIT_S)
    yield opened
    await asyncio.sleep(0)
    while jobs := await opened.fetch(100, wait_s=0.05):
        for job in jobs:
            await job.ack()


def _id() -> str:
    return f"id-{SystemClock().now_ns()}-{next(_names)}"


async def test_work_is_handed_out_once_and_gone_after_the_ack(queue: WorkQueue) -> None:
    await queue.publish("notify.acme", b"one", msg_id=_id())
    await queue.publish("notify.zeta", b"two", msg_id=_id())

    jobs = [*await queue.fetch(1, wait_s=_AT_MOST_S), *await queue.fetch(1, wait_s=_AT_MOST_S)]
    assert [(job.subject, job.data, job.deliveries) for job in jobs] == [
        ("notify.acme", b"one", 1),
        ("notify.zeta", b"two", 1),
    ]
    for job in jobs:
        await job.ack()
    assert list(await queue.fetch(10, wait_s=_ACK_WAIT_S + 0.7)) == []


async def test_nothing_to_do_is_an_empty_answer_in_time(clock: Clock, queue: WorkQueue) -> None:
    took_s = []
    for _ in range(3):
        began_ns = clock.monotonic_ns()
        assert list(await queue.fetch(10, wait_s=0.2)) == []
        took_s.append((clock.monotonic_ns() - began_ns) / 1e9)

    assert min(took_s) < 2.0  # one may meet a stall of the machine


async def test_the_same_message_id_is_one_piece_of_work_also_after_its_ack(queue: WorkQueue) -> None:
    msg_id = _id()
    first = await queue.publish("notify.acme", b"x", msg_id=msg_id)
    again = await queue.publish("notify.acme", b"x", msg_id=msg_id)
    assert (first.duplicate, again.duplicate, again.seq) == (False, True, first.seq)
    (job,) = await queue.fetch(1, wait_s=_AT_MOST_S)
    await job.ack()

    assert (await queue.publish("notify.acme", b"x", msg_id=msg_id)).duplicate
    assert list(await queue.fetch(10, wait_s=0.1)) == []


async def test_a_waiting_fetch_returns_when_work_arrives(clock: Clock, queue: WorkQueue) -> None:
    waiting = asyncio.create_task(queue.fetch(10, wait_s=2 * _AT_MOST_S))
    await clock.sleep(0.1)
    await queue.publish("notify.acme", b"x", msg_id=_id())

    (job,) = await asyncio.wait_for(waiting, _AT_MOST_S)
    await job.ack()


async def test_a_retry_comes_again_after_its_delay(queue: WorkQueue) -> None:
    await queue.publish("notify.acme", b"x", msg_id=_id())
    (job,) = await queue.fetch(1, wait_s=_AT_MOST_S)
    await job.retry(2.0)

    assert list(await queue.fetch(1, wait_s=0.1)) == []
    (again,) = await queue.fetch(1, wait_s=_AT_MOST_S)
    assert (again.data, again.deliveries) == (b"x", 2)
    await again.ack()


async def test_what_is_not_acknowledged_comes_again(queue: WorkQueue) -> None:
    """A worker that died: its work is handed to the next after the ack wait."""
    await queue.publish("notify.acme", b"x", msg_id=_id())
    (first,) = await queue.fetch(1, wait_s=_AT_MOST_S)
    assert first.deliveries == 1

    (again,) = await queue.fetch(1, wait_s=_AT_MOST_S)
    assert again.deliveries == 2
    await again.ack()


async def test_work_in_progress_is_not_handed_out_again(clock: Clock, queue: WorkQueue) -> None:
    await queue.publish("notify.acme", b"x", msg_id=_id())
    (job,) = await queue.fetch(1, wait_s=_AT_MOST_S)
    for _ in range(round(1.4 * _ACK_WAIT_S / 0.5)):
        await clock.sleep(0.5)
        await job.in_progress()
        assert list(await queue.fetch(1, wait_s=0.05)) == []
    await job.ack()


async def test_dropped_work_never_comes_again(queue: WorkQueue) -> None:
    await queue.publish("notify.acme", b"x", msg_id=_id())
    (job,) = await queue.fetch(1, wait_s=_AT_MOST_S)
    await job.drop("the receiver is gone")

    assert list(await queue.fetch(1, wait_s=_ACK_WAIT_S + 0.7)) == []


async def test_two_workers_share_the_work(engine: Engine, queue: WorkQueue) -> None:
    other = await engine.queue("NOTIFY", "worker", ack_wait_s=_ACK_WAIT_S)
    for n in range(6):
        await queue.publish("notify.acme", b"%d" % n, msg_id=_id())

    jobs = [*await queue.fetch(3, wait_s=_AT_MOST_S), *await other.fetch(3, wait_s=_AT_MOST_S)]

    assert sorted(job.data for job in jobs) == [b"0", b"1", b"2", b"3", b"4", b"5"]
    for job in jobs:
        await job.ack()
