"""Whoever is cancelled in the middle of a call to an engine ends, at whatever moment it was."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from services.collector.quota_ports import Ask
from services.collector.redis import RedisTokenBuckets
from services.common.cancellation import heard_cancellation
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.streams import CONTROL, OTLP
from services.sla.figure_redis import RedisFigureCache
from tests.engines_given import clickhouse_server, redis_server
from tests.engines_nats import nats_engine

pytestmark = pytest.mark.asyncio(loop_scope="module")
Call = Callable[[], Awaitable[object]]

TIMES = 60
LONGEST_S = 0.004
"""A few times as long as a call takes: moments in all its parts, and in those of the next."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def calls(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Call]]:
    """One call of every kind."""
    names = itertools.count()
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(nats_engine(tmp_path_factory.mktemp("nats")))
        redis = redis_server(tmp_path_factory.mktemp("redis"))
        await redis.start()
        stack.push_async_callback(redis.stop)
        server = stack.enter_context(clickhouse_server(tmp_path_factory.mktemp("clickhouse")))
        database = Database(ClickHouseConfig.from_url(server.login_url, "default"))
        stack.push_async_callback(database.close)
        buckets, figures = (
            RedisTokenBuckets(redis.url, timeout_s=5.0),
            RedisFigureCache(redis.url, timeout_s=5.0),
        )
        stack.push_async_callback(buckets.close)
        stack.push_async_callback(figures.close)
        queue = await engine.queue("NOTIFY", "worker", ack_wait_s=30.0)
        await engine.questions.answer("test.cancelled", _echo)

        async def work() -> None:
            await queue.publish("notify.acme", b"one", msg_id=f"cancelled-{next(names)}")
            for job in await queue.fetch(1, wait_s=1.0):
                await job.in_progress()
                await job.ack()

        yield {
            "append": lambda: engine.log.append(OTLP, "otlp.acme", b"one", msg_id=f"cancelled-{next(names)}"),
            "read": lambda: engine.log.read(OTLP, 1, max_messages=1),
            "get": lambda: engine.kv.get(CONTROL, "one"),
            "put": lambda: engine.kv.put(CONTROL, "one", b"1"),
            "keys": lambda: engine.kv.keys(CONTROL),
            "work": work,
            "ask": lambda: engine.questions.ask("test.cancelled", b"", timeout_s=5.0),
            "buckets": lambda: buckets.take("acme", [Ask("points", 1e6, 1e6, 0, 1)]),
            "figures": lambda: figures.put({"one": b"1", "two": b"2"}),
            "clickhouse": lambda: database.rows("SELECT 1"),
        }


async def _echo(data: bytes) -> bytes:
    return data


@pytest.mark.engines
@pytest.mark.parametrize(
    "kind", ["append", "read", "get", "put", "keys", "work", "ask", "buckets", "figures", "clickhouse"]
)
async def test_a_task_that_is_cancelled_in_a_call_ends(calls: dict[str, Call], kind: str) -> None:
    call = calls[kind]
    await call()
    randomly = random.Random(kind)
    for _ in range(TIMES):
        task = asyncio.create_task(_again_and_again(call))
        await asyncio.sleep(randomly.uniform(0, LONGEST_S))
        task.cancel()
        await asyncio.wait({task}, timeout=10)
        assert task.cancelled()
    await call()


async def _again_and_again(call: Call) -> None:
    """What every loop of a service is: the next call hears nothing of what the last one lost."""
    while True:
        await call()


async def test_a_cancellation_that_a_library_swallowed_is_heard() -> None:
    reached = []

    async def swallows() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            reached.append("swallowed")

    async def work(error: Exception | None = None) -> None:
        with heard_cancellation():
            await swallows()
            if error is not None:
                raise error
        reached.append("went on")

    for error in (None, OSError("what a library makes of it")):
        task = asyncio.create_task(work(error))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
    assert reached == ["swallowed", "swallowed"]


async def test_a_timeout_around_a_swallowed_cancellation_is_a_timeout() -> None:
    async def swallows() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return

    async def work() -> None:
        async with asyncio.timeout(0.01):
            with heard_cancellation():
                await swallows()

    with pytest.raises(TimeoutError):
        await work()


async def test_cleaning_up_after_a_cancellation_may_take_its_time() -> None:
    """What was cancelled before the block is not raised again at its end."""
    cleaned = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            with heard_cancellation():
                await asyncio.sleep(0)
            cleaned.append("all")

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert cleaned == ["all"]
