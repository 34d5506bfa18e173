"""The writer is kept going whatever it raises, and loses its lease only to another writer."""

import asyncio
import logging

import pytest

from services.collector.errors import BatchMismatch
from services.collector.write_runner import WriterRunner, write_lease
from services.common.errors import Aborted, FailedPrecondition, Unavailable
from services.common.kv_memory import MemoryKeyValue
from services.common.lease import Lease
from tests.engines_nats import ScaledClock


async def outcomes(*errors: Exception | None) -> int:
    """Run a writer that ends so, time after time; how often it was run within the test."""
    clock = ScaledClock(200.0)
    runs = asyncio.Queue[int]()
    waiting = list(errors)

    async def write_for_ever() -> None:
        runs.put_nowait(1)
        if not waiting:
            await asyncio.Event().wait()
        error = waiting.pop(0)
        if error is not None:
            raise error

    lease = Lease(MemoryKeyValue(clock), clock, name=write_lease("local"), holder="me")
    task = asyncio.create_task(WriterRunner(lease, write_for_ever, clock).run())
    try:
        async with asyncio.timeout(10):
            for _ in range(len(errors) + 1):
                await runs.get()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return len(errors) + 1


async def test_goes_on_after_every_kind_of_end(caplog: pytest.LogCaptureFixture) -> None:
    away = Unavailable("away", reason="CLICKHOUSE_UNAVAILABLE")
    with caplog.at_level(logging.WARNING):
        runs = await outcomes(
            None, away, away, BatchMismatch("half"), ValueError("defect"), Aborted("fenced")
        )

    assert runs == 7
    told = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert told.count(("WARNING", "the writer waits: away (CLICKHOUSE_UNAVAILABLE)")) == 1
    assert ("CRITICAL", "the writer stands still: half") in told
    assert any(level == "CRITICAL" and "unexpected" in text for level, text in told)


@pytest.mark.parametrize("error", [BatchMismatch("half a block"), ValueError("defect")])
async def test_a_writer_that_stands_still_is_not_well(error: Exception) -> None:
    clock = ScaledClock(200.0)
    stopped = asyncio.Event()

    async def write_for_ever() -> None:
        stopped.set()
        raise error

    lease = Lease(MemoryKeyValue(clock), clock, name=write_lease("local"), holder="me")
    runner = WriterRunner(lease, write_for_ever, clock)
    await runner.probe()
    task = asyncio.create_task(runner.run())
    await stopped.wait()
    with pytest.raises(FailedPrecondition, match="stands still"):
        await runner.probe()
    runner.wrote()
    await runner.probe()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
