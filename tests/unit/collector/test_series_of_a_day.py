"""The first batch of a day describes all its series again: in blocks, so that a million take no gigabytes."""

import asyncio
import tracemalloc
from collections import Counter
from collections.abc import Iterable

import pytest

from services.collector import write_series
from services.collector.memory import InsertFault
from services.collector.model import LoggedRequest
from services.collector.ports import TableBlock
from services.collector.record import encode_requests, request_id
from services.collector.write import Writer
from services.common.clock import SystemClock
from services.common.errors import Unavailable
from services.common.log_port import Entry
from services.common.streams import OTLP
from tests.block_rows import values
from tests.collector_store import build_batch, new_builder
from tests.unit.collector.test_fat_series import fat
from tests.unit.collector.writer_bench import WriterBench

SERIES = 2500
_DAY_NS = 86_400 * 10**9


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand series stand for thirty thousand."""
    monkeypatch.setattr(write_series, "_BLOCK_SERIES", 1000)


def noon() -> int:
    """Yesterday's, so that some seconds later are the same day; Unix nanoseconds."""
    return SystemClock().now_ns() // _DAY_NS * _DAY_NS - _DAY_NS // 2


def request(time_ns: int, *, attribute_bytes: int = 100) -> bytes:
    made = fat(SERIES, attribute_bytes)
    for point in made.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points:
        point.time_unix_nano = time_ns
    return made.SerializeToString()


async def written(bench: WriterBench, writer: Writer) -> None:
    """Return when the writer has stored all of the log; raises what it raised."""
    last = await bench.engine.log.last_seq(OTLP)
    task = asyncio.create_task(writer.write_for_ever())
    try:
        async with asyncio.timeout(60):
            while not task.done():
                if writer._remembered is not None and writer._remembered[0][2] == last:
                    return
                await asyncio.sleep(0.01)
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def series_of(blocks: Iterable[TableBlock]) -> Counter[tuple[int, int]]:
    """How often each series was described, by day and id."""
    found: Counter[tuple[int, int]] = Counter()
    for block in blocks:
        if block.table == "series":
            (ids,) = [values(column.data) for column in block.columns if column.name == "series_id"]
            found.update((block.day, one) for one in ids)
    return found


async def test_known_series_are_described_for_another_day_block_by_block() -> None:
    bench, today = WriterBench(), noon()
    writer = bench.writer()
    await bench.receiver.export("acme", request(today))
    await written(bench, writer)
    before = len(bench.store.blocks)
    await bench.receiver.export("acme", request(today - _DAY_NS))
    await bench.receiver.export("acme", request(today + 10**9))
    await written(bench, writer)

    blocks = [(block.table, block.rows) for block in bench.store.blocks[before:]]
    assert blocks[:3] == [("series", 1000), ("series", 1000), ("series", 500)]
    assert sorted(blocks[3:]) == [("points", SERIES), ("points", SERIES)]
    found = series_of(bench.store.blocks)
    assert set(found.values()) == {1}
    assert len(found) == 2 * SERIES
    assert len(set(bench.store.attempts)) == len(bench.store.attempts)


async def test_a_block_ends_where_identities_fill_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_series, "_BLOCK_BYTES", 1 << 20)
    bench = WriterBench()
    await bench.receiver.export("acme", request(noon(), attribute_bytes=4000))
    await written(bench, bench.writer())

    sizes = [block.rows for block in bench.store.blocks if block.table == "series"]
    assert sum(sizes) == SERIES
    assert len(set(sizes[:-1])) == 1
    assert (1 << 20) // 4100 <= sizes[0] <= (1 << 20) // 4000


async def test_a_block_of_series_that_was_lost_is_written_by_whoever_recovers() -> None:
    bench, today = WriterBench(), noon()
    await bench.receiver.export("acme", request(today))
    bench.store.fail_inserts(None, InsertFault.LOST)
    with pytest.raises(Unavailable):
        await written(bench, bench.writer())
    assert [block.rows for block in bench.store.blocks] == [1000]

    await written(bench, bench.writer())

    assert set(series_of(bench.store.blocks)) == set(series_of(whole(request(today))))
    assert [block.rows for block in bench.store.blocks if block.table == "points"] == [SERIES]


def test_descriptions_are_in_memory_a_block_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = build_batch(new_builder(), [entry(request(noon()))])

    def peak(block_series: int) -> int:
        monkeypatch.setattr(write_series, "_BLOCK_SERIES", block_series)
        tracemalloc.start()
        rows = sum(block.rows for block in batch.series.blocks())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert rows == SERIES
        return most

    assert peak(100) < peak(SERIES) / 4


def entry(raw: bytes) -> Entry:
    """A record of the log with one request."""
    logged = LoggedRequest(request_id("acme", raw), raw, SERIES)
    return Entry(1, "otlp.0.acme", 1, encode_requests("acme", [logged]), {})


def whole(raw: bytes) -> list[TableBlock]:
    """The blocks of a batch of this request."""
    return list(build_batch(new_builder(), [entry(raw)]).all_blocks())
