"""Many new series at once: the memory that they take is bounded in a record and in a batch."""

import asyncio
import random
from collections.abc import Sequence

import pytest

from services.collector.coalesce import CoalesceConfig, Coalescer
from services.collector.decode import Decoder, fresh_secrets
from services.collector.identity import SeriesKey
from services.collector.memory import InsertFault
from services.collector.model import LoggedRequest
from services.collector.record import decode_record, request_id
from services.collector.series_ids import SeriesIds
from services.collector.write import Writer
from services.common.clock import ManualClock
from services.common.errors import Unavailable
from services.common.log_memory import MemoryLog
from services.common.streams import OTLP
from services.common.telemetry import Counters
from tests.unit.collector.test_fat_series import fat
from tests.unit.collector.writer_bench import WriterBench

SERIES, ATTRIBUTE_BYTES = 4000, 2500
"""Of a request: its identities take 10 MB, so the second of a record or a batch comes to its 16 MiB."""


def raw(name: str, now_ns: int) -> bytes:
    """A request whose series no other name has."""
    request = fat(SERIES, ATTRIBUTE_BYTES, name)
    for point in request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points:
        point.time_unix_nano = now_ns
    return request.SerializeToString()


async def rows_of_batches(bench: WriterBench, writer: Writer) -> list[int]:
    """Rows of points of each batch, once all of the log is written; Unavailable when the writer ends."""
    last = await bench.engine.log.last_seq(OTLP)
    task = asyncio.create_task(writer.write_for_ever())
    try:
        async with asyncio.timeout(60):
            while not task.done() and _remembered(writer) < last:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
        if task.done():
            await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return [block.rows for block in bench.store.blocks if block.table == "points"]


def _remembered(writer: Writer) -> int:
    """Up to where it has written and remembers the series."""
    return 0 if writer._remembered is None else writer._remembered[0][2]


async def received(bench: WriterBench, names: str, *, later_ns: int = 0) -> None:
    """A record of the log for each name."""
    for name in names:
        await bench.receiver.export("acme", raw(name, bench.start_ns + later_ns))


class Bench(WriterBench):
    """With the instant at which it was made."""

    def __init__(self) -> None:
        super().__init__()
        self.start_ns = self.clock.now_ns()


async def test_requests_of_new_series_share_no_record_beyond_its_bound() -> None:
    decoder, log = Decoder(fresh_secrets()), MemoryLog(ManualClock())
    coalescer = Coalescer(log, Counters(), random.Random(1).randbytes, CoalesceConfig())
    raws = [raw(name, 1) for name in "abcdef"]

    taken = [(LoggedRequest(request_id("acme", one), one, SERIES), decoder.decode(one)) for one in raws]
    await asyncio.gather(*(coalescer.append("acme", *one) for one in taken))

    entries = await log.read(OTLP, 1, max_messages=100)
    assert [len(decode_record(entry.data).requests) for entry in entries] == [1] * 6


async def test_a_batch_ends_with_the_record_whose_new_series_fill_it() -> None:
    bench = Bench()
    await received(bench, "abcde")

    assert await rows_of_batches(bench, bench.writer()) == [2 * SERIES, 2 * SERIES, SERIES]


async def test_the_same_new_series_again_and_again_fill_it_once() -> None:
    bench = Bench()
    for second in range(4):
        await received(bench, "a", later_ns=second * 10**9)
    await received(bench, "bc")

    assert await rows_of_batches(bench, bench.writer()) == [5 * SERIES, SERIES]


async def test_the_same_series_of_two_tenants_are_new_twice() -> None:
    bench = Bench()
    for tenant in ("acme", "beta", "gamma"):
        await bench.receiver.export(tenant, raw("a", bench.start_ns + 10**6 * len(tenant)))

    assert await rows_of_batches(bench, bench.writer()) == [2 * SERIES, SERIES]


async def test_new_series_are_looked_up_once_however_many_requests_of_a_batch_have_them() -> None:
    bench, looked = Bench(), []

    class Watched(SeriesIds):
        def find(self, tenant: str, identities: Sequence[bytes]) -> tuple[list[SeriesKey], list[int]]:
            looked.append(len(identities))
            return super().find(tenant, identities)

    for second in range(5):
        await received(bench, "a", later_ns=second * 10**9)

    assert await rows_of_batches(bench, bench.writer(new_ids=Watched)) == [5 * SERIES]
    assert looked == [SERIES]


async def test_known_series_fill_no_batch() -> None:
    bench = Bench()
    writer = bench.writer()
    await received(bench, "abcde")
    await rows_of_batches(bench, writer)
    await received(bench, "abcde", later_ns=10**9)

    assert (await rows_of_batches(bench, writer))[3:] == [5 * SERIES]


async def test_a_recorded_range_stays_one_batch_for_a_writer_that_knows_none_of_its_series() -> None:
    bench = Bench()
    writer = bench.writer()
    await received(bench, "abcde")
    await rows_of_batches(bench, writer)
    await received(bench, "abcde", later_ns=10**9)
    bench.store.fail_inserts(InsertFault.LOST)
    with pytest.raises(Unavailable):
        await rows_of_batches(bench, writer)

    assert (await rows_of_batches(bench, bench.writer()))[3:] == [5 * SERIES]
