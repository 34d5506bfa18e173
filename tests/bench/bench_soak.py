"""Ten minutes at full load: parts, what an insert costs, and questions over some 300 M points.

A closed loop keeps the collector busy, with metrics of its own for each process that sends. Every second the
active parts are counted; afterwards the rows of every request are counted and summed, as in `bench_overload`,
and the stored points are asked what people ask first: the values of an attribute, and one metric by its name.
"""

import asyncio
import json
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.bench.bench_ingest import stack_pids
from tests.bench.bench_overload import DUTY_PARTS, MEMORY_MB, Clients, stored, until_read
from tests.bench.processes import cpu_s, cpu_s_of_threads, rss_mb
from tests.bench.questions import values_ms
from tests.bench.report import Row
from tests.scenario.collector_stack import CollectorStack, collector_stack

SECONDS = 600.0
_POINTS = 2000
_DOORS = ("grpc", "grpc", "http")
_AT_ONCE = 6
_SETTLE_S = 2
_PARTS = """
SELECT table, count() FROM system.parts WHERE active AND database = currentDatabase() GROUP BY table
"""
# Each insert takes the next block number of its partition.
_INSERTED = """
SELECT table, partition, max(max_block_number) FROM system.parts WHERE database = currentDatabase()
GROUP BY table, partition
"""
_BYTES = """
SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase() AND table = 'points'
"""
_ONE_METRIC = "SELECT count() FROM otel_metrics_gauge WHERE MetricName = 'bench.metr01.7' FORMAT TSV"


@dataclass
class Seen:
    """What a look each second saw."""

    parts: dict[str, int] = field(default_factory=dict)
    """Most active parts by table."""


async def _watch(stack: CollectorStack, seen: Seen) -> None:
    while True:
        for table, parts in await stack.database.rows(_PARTS):
            seen.parts[str(table)] = max(int(parts), seen.parts.get(str(table), 0))
        await asyncio.sleep(1.0)


async def _inserted(stack: CollectorStack) -> dict[tuple[str, str], int]:
    rows = await stack.database.rows(_INSERTED)
    return {(str(table), str(day)): int(number) for table, day, number in rows}


async def _read_share(stack: CollectorStack, points: int) -> float:
    """Percent of all points that a question about one metric by its name reads."""
    async with httpx.AsyncClient(timeout=120) as client:
        params = {"database": stack.database.name}
        answer = await client.post(stack.clickhouse.url, params=params, content=_ONE_METRIC)
    assert int(answer.text), answer.text
    return 100 * int(json.loads(answer.headers["X-ClickHouse-Summary"])["read_rows"]) / points


async def _rows(path: Path, seconds: float) -> list[Row]:
    environ = {
        "THREENINES_QUOTA_POINTS_PER_SECOND": "0",
        "THREENINES_QUOTA_ACTIVE_SERIES": "0",
        "THREENINES_COLLECTOR_MEMORY_BYTES": str(MEMORY_MB << 20),
    }
    async with collector_stack(path, environ=environ) as stack:
        clients = Clients(stack, path, _POINTS, _DOORS, apart=False, own_metrics=True)
        pids, seen = stack_pids(stack), Seen()
        watching = asyncio.create_task(_watch(stack, seen))
        try:
            before, begun = await _inserted(stack), time.perf_counter()
            spent = {one: cpu_s(pid) for one, pid in pids.items()}
            merging = cpu_s_of_threads(pids["clickhouse"], "MergeMutate")
            phase = await clients.run("closed", _AT_ONCE, seconds)
            await until_read(stack)
            lasted = time.perf_counter() - begun
            merging = cpu_s_of_threads(pids["clickhouse"], "MergeMutate") - merging
            spent = {one: cpu_s(pid) - spent[one] for one, pid in pids.items()}
            inserted = await _inserted(stack)
        finally:
            watching.cancel()
            await asyncio.to_thread(clients.stop)
        await asyncio.sleep(_SETTLE_S)
        at = await stored(stack, phase.acknowledged, _POINTS)
        points = len(phase.acknowledged) * _POINTS
        million = points / 1e6
        ((size,),) = await stack.database.rows(_BYTES)
        most = max(count - before.get(place, 0) for place, count in inserted.items())
        rows = [
            Row("points acknowledged", million, "M points"),
            Row("  a second, clients on the same machine", million / lasted, "M points/s"),
            Row("requests not stored whole", at.missing, "requests", at_most=0),
            Row("  stored twice", at.doubled, "requests", at_most=0),
            Row("  other points than sent", at.wrong, "requests", at_most=0),
            Row("parts inserted, table and day with most", most / lasted, "a second", at_most=1),
        ]
        rows += [
            Row(f"most active parts of {table}", parts, "parts", at_most=DUTY_PARTS)
            for table, parts in sorted(seen.parts.items())
        ]
        outside = spent["clickhouse"] - merging
        rows += [
            Row("ClickHouse without its merges", outside / million, "CPU-s/M points"),
            Row("  its merges", merging / million, "CPU-s/M points"),
            Row("collector", spent["collector"] / million, "CPU-s/M points"),
            Row("nats", spent["nats"] / million, "CPU-s/M points"),
            Row("collector's resident memory, largest", rss_mb(pids["collector"]), "MB", at_most=MEMORY_MB),
            Row("ClickHouse's resident memory, largest", rss_mb(pids["clickhouse"]), "MB"),
            Row("points on disk", size / points, "B a point"),
            Row("values of an attribute, all series", await values_ms(stack, "pod"), "ms", at_most=100),
            Row("one metric by its name reads", await _read_share(stack, points), "% of points", at_most=5),
        ]
        return rows


def run(seconds: float = SECONDS) -> list[Row]:
    """The figures."""
    with tempfile.TemporaryDirectory(prefix="bench-soak-") as name:
        return asyncio.run(_rows(Path(name), seconds))
