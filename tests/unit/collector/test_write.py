"""The writer: every accepted point once, whatever fails in between."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.collector.errors import BatchMismatch
from services.collector.memory import InsertFault
from services.collector.write import Writer
from services.collector.write_batches import cut
from services.collector.write_position import BatchState
from services.common.errors import Aborted, Unavailable
from services.common.streams import APPLIED, CONTROL, OTLP
from tests.block_rows import block_rows
from tests.collector_rows import comparable
from tests.collector_store import build_batch, new_builder
from tests.otlp_requests import TABLES, Ledger, rows_of
from tests.unit.collector.writer_bench import DATABASE, WriterBench


def expect_stored(bench: WriterBench, requests: list[bytes], *, tenant: str = "acme") -> None:
    """Exactly these requests are stored, field by field."""
    ledger = Ledger()
    for raw in requests:
        ledger.add(rows_of(tenant, raw))
    found = block_rows(bench.store.blocks)
    for table in TABLES:
        assert comparable(found[table]) == comparable(ledger.rows[table])


@contextlib.asynccontextmanager
async def writing(writer: Writer) -> AsyncIterator["asyncio.Task[None]"]:
    """The writer beside the test."""
    task = asyncio.create_task(writer.write_for_ever())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_written(bench: WriterBench) -> None:
    """Return once everything in the log is written."""
    last = await bench.engine.log.last_seq(OTLP)
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(AssertionError):
                position = await bench.position()
                if position.state is BatchState.DONE and position.last >= last:
                    return
            await asyncio.sleep(0.005)


async def fails(writer: Writer, error: type[Exception]) -> None:
    """The writer ends with this error."""
    with pytest.raises(error):
        async with asyncio.timeout(10):
            await writer.write_for_ever()


async def applied(bench: WriterBench) -> list[dict[str, object]]:
    """What was published."""
    return [json.loads(entry.data) for entry in await bench.engine.log.read(APPLIED, 1)]


async def test_writes_what_was_received() -> None:
    bench = WriterBench()
    sent = await bench.send(20)

    async with writing(bench.writer()):
        await until_written(bench)

    expect_stored(bench, sent)
    position = await bench.position()
    points = sum(rows_of("acme", raw).points for raw in sent)
    assert (position.counts["acme"].logged, position.counts["acme"].written) == (points, points)


async def test_batches_are_contiguous_and_within_their_size() -> None:
    bench = WriterBench(max_points=50)
    sent = await bench.send(30)

    async with writing(bench.writer()):
        await until_written(bench)

    expect_stored(bench, sent)
    ranges = [(one["first_seq"], one["last_seq"]) for one in await applied(bench)]
    assert len(ranges) > 3
    assert [first for first, _ in ranges[1:]] == [last + 1 for _, last in ranges[:-1]]
    assert {one["database"] for one in await applied(bench)} == {DATABASE}


async def test_also_a_backlog_is_written_in_one_batch_a_period() -> None:
    bench = WriterBench(max_points=50)
    sent = await bench.send(30)
    writer = bench.writer()
    writer._config = replace(writer._config, period_s=5.0)
    begun_ns = bench.clock.monotonic_ns()

    async with writing(writer):
        await until_written(bench)

    batches = len(await applied(bench))
    assert batches > 3
    assert bench.clock.monotonic_ns() - begun_ns >= (batches - 1) * 5_000_000_000
    expect_stored(bench, sent)


async def test_a_tick_moves_the_watermark_and_touches_nothing() -> None:
    bench = WriterBench()
    await bench.tick()

    async with writing(bench.writer()):
        await until_written(bench)

    (entry,) = await bench.engine.log.read(OTLP, 1)
    (one,) = await applied(bench)
    assert (one["watermark_ns"], one["touched"]) == (entry.time_ns, [])
    assert bench.store.blocks == ()


async def test_resent_requests_are_stored_once_also_by_the_next_process() -> None:
    bench = WriterBench(max_points=40)
    sent = await bench.send(10)
    for raw in sent[:5]:
        await bench.receiver.export("acme", raw)
    async with writing(bench.writer()):
        await until_written(bench)
    for raw in sent[3:]:
        await bench.receiver.export("acme", raw)
    async with writing(bench.writer()):
        await until_written(bench)

    expect_stored(bench, sent)
    resent = sum(rows_of("acme", raw).points for raw in sent[:5] + sent[3:])
    assert (await bench.position()).counts["acme"].duplicate == resent


async def test_the_same_bytes_of_two_tenants_are_two_requests() -> None:
    bench = WriterBench()
    (raw,) = await bench.send()
    await bench.receiver.export("beta", raw)

    async with writing(bench.writer()):
        await until_written(bench)

    rows = block_rows(bench.store.blocks)
    assert {row[0] for table in TABLES for row in rows[table]} == {"acme", "beta"}


@pytest.mark.parametrize("fault", list(InsertFault))
@pytest.mark.parametrize("place", range(6))
@pytest.mark.parametrize("fresh", [True, False])
async def test_an_insert_with_an_unknown_outcome_is_counted_not_guessed(
    fault: InsertFault, place: int, fresh: bool
) -> None:
    """The insert at `place` and the first of the recovery fail; the same writer or a new one goes on."""
    bench = WriterBench()
    sent = await bench.send(30)
    writer = bench.writer()
    bench.store.fail_inserts(*([None] * place), fault, fault)
    for _ in range(2):
        await fails(writer, Unavailable)
        writer = bench.writer() if fresh else writer

    async with writing(writer):
        await until_written(bench)

    expect_stored(bench, sent)


async def test_each_attempt_has_its_own_query_id() -> None:
    bench = WriterBench()
    await bench.send(3)
    bench.store.fail_inserts(InsertFault.TOKEN_ONLY)
    writer = bench.writer()
    await fails(writer, Unavailable)
    async with writing(writer):
        await until_written(bench)

    assert len(set(bench.store.attempts)) == len(bench.store.attempts)
    assert bench.store.attempts[0].startswith(f"w-{DATABASE[:8]}-1-3-series-")
    assert bench.store.attempts[0].endswith("-1")


async def test_a_part_of_a_block_stops_the_writer() -> None:
    bench = WriterBench()
    await bench.send(30)
    bench.store.fail_inserts(None, InsertFault.STORED)
    await fails(bench.writer(), Unavailable)
    bench.store.lose_rows("points", 1)

    with pytest.raises(BatchMismatch, match=r"points of day \d{8} holds \d+ rows of batch 1-30"):
        await bench.writer().write_for_ever()


async def test_a_store_that_is_down_loses_nothing() -> None:
    bench = WriterBench()
    bench.store.set_down(True)
    sent = await bench.send(5)
    writer = bench.writer()
    await fails(writer, Unavailable)
    sent += await bench.send(5)
    bench.store.set_down(False)

    async with writing(writer):
        await until_written(bench)

    expect_stored(bench, sent)


async def test_a_log_that_fails_before_applied_is_published_publishes_it_later() -> None:
    bench = WriterBench()
    sent = await bench.send(5)
    bench.engine.log.fail_next_appends(1)
    writer = bench.writer()
    await fails(writer, Unavailable)
    assert await applied(bench) == []
    async with writing(writer):
        await until_written(bench)

    expect_stored(bench, sent)
    assert [(one["first_seq"], one["last_seq"]) for one in await applied(bench)] == [(1, 5)]


async def test_without_the_lease_nothing_is_inserted() -> None:
    bench = WriterBench()
    await bench.send(5)
    bench.leading = False

    await fails(bench.writer(), Aborted)
    assert bench.store.attempts == []


async def test_of_two_writers_one_is_fenced() -> None:
    bench = WriterBench()
    first, second = bench.writer(), bench.writer()
    async with writing(first) as one, writing(second) as two:
        await bench.tick()
        sent = await bench.send(3)
        done, _ = await asyncio.wait({one, two}, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        assert len(done) == 1
        with pytest.raises(Aborted):
            await done.pop()
        await until_written(bench)

    expect_stored(bench, sent)


async def test_a_replaced_database_starts_from_its_own_position() -> None:
    bench = WriterBench()
    sent = await bench.send(5)
    async with writing(bench.writer()) as task:
        await until_written(bench)
        blocks = len(bench.store.blocks)
        bench.store.replace_database("11111111-0000-4000-8000-000000000001")
        await asyncio.wait({task}, timeout=10)
        assert task.done()
    async with writing(bench.writer()), asyncio.timeout(10):
        while len(bench.store.blocks) < blocks:  # noqa: ASYNC110 - another task
            await asyncio.sleep(0.01)

    expect_stored(bench, sent)


async def test_a_pause_holds_between_two_batches_and_tells_the_position() -> None:
    bench = WriterBench()
    first = await bench.send(3)
    async with writing(bench.writer()):
        await until_written(bench)
        deadline = bench.clock.now_ns() + 600 * 10**9
        await bench.engine.kv.put(
            CONTROL, "pause.local", json.dumps({"id": "b1", "deadline_ns": deadline}).encode()
        )
        async with asyncio.timeout(10):
            while (answer := await bench.engine.kv.get(CONTROL, "paused.local")) is None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        second = await bench.send(2)
        await asyncio.sleep(0.1)
        expect_stored(bench, first)
        await bench.engine.kv.delete(CONTROL, "pause.local")
        await until_written(bench)

    assert json.loads(answer.value) == {"id": "b1", "position": {"OTLP": 3}, "database": DATABASE}
    assert await bench.engine.kv.get(CONTROL, "paused.local") is None
    expect_stored(bench, first + second)


async def test_a_database_exchanged_during_a_pause_gets_everything_from_its_own_position() -> None:
    bench = WriterBench()
    sent = await bench.send(3)
    async with writing(bench.writer()) as task:
        await until_written(bench)
        wish = {"id": "r1", "deadline_ns": bench.clock.now_ns() + 600 * 10**9}
        await bench.engine.kv.put(CONTROL, "pause.local", json.dumps(wish).encode())
        async with asyncio.timeout(10):
            while await bench.engine.kv.get(CONTROL, "paused.local") is None:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        bench.store.replace_database("11111111-0000-4000-8000-000000000001")
        sent += await bench.send(2)
        await bench.engine.kv.delete(CONTROL, "pause.local")
        await asyncio.wait({task}, timeout=10)
        assert task.done()
    assert bench.store.blocks == ()
    async with writing(bench.writer()), asyncio.timeout(10):
        while not any(row["last_seq"] == 5 for row in await applied(bench)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    expect_stored(bench, sent)


async def test_a_pause_ends_by_itself_at_its_deadline() -> None:
    bench = WriterBench()
    wish = {"id": "b1", "deadline_ns": bench.clock.now_ns() + 2 * 10**9}
    await bench.engine.kv.put(CONTROL, "pause.local", json.dumps(wish).encode())
    sent = await bench.send(3)

    async with writing(bench.writer()):
        await until_written(bench)

    expect_stored(bench, sent)


async def test_a_batch_is_the_same_when_it_is_read_again() -> None:
    bench = WriterBench()
    await bench.send(20)
    entries = await bench.engine.log.read(OTLP, 1)

    one, two = (build_batch(new_builder(), entries) for _ in range(2))

    assert repr(tuple(one.all_blocks())) == repr(tuple(two.all_blocks()))
    assert repr(replace(one, series=None)) == repr(replace(two, series=None))
    assert len(cut(entries, max_points=1)) == 1
    assert cut(entries, max_points=10**6) == entries
