"""Millions of series that nobody saw before: memory, exactness, and questions over them.

Every point of every request begins a series, which costs a parse, an identity, an id and a row of the table
`series`, and nothing of it may be remembered without a bound. Afterwards each point is looked up under the
series that its id leads to: its value is the number of that series, so two series with one id would show.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.progress import Progress

from tests.bench.bench_ingest import stack_pids
from tests.bench.bench_overload import MEMORY_MB, until_read
from tests.bench.payload import METRICS
from tests.bench.processes import ask_process, cpu_s, resident_mb
from tests.bench.questions import values_ms
from tests.bench.report import Row
from tests.bench.series_load import SERIES
from tests.collector_process import ROOT
from tests.scenario.collector_stack import CollectorStack, collector_stack

MILLIONS = 5.0
_ROUND = 50
"""Requests of a process before memory and progress are looked at."""
_CLIENTS, _AT_ONCE = 2, 3
_BACK_S = 60
_WHOLE = """
SELECT count(), countIf(p.value_double = toFloat64(substring(s.attributes['pod'], 10)))
FROM (SELECT metric_id, series_id, value_double FROM points WHERE metric_id = {metric_id:UInt32}) AS p
INNER JOIN (
    SELECT DISTINCT series_id, attributes FROM series WHERE metric_id = {metric_id:UInt32}
) AS s ON p.series_id = s.series_id
"""


async def _sent(stack: CollectorStack, requests: int, progress: Progress) -> tuple[float, float, int]:
    """Send so many; seconds, the collector's largest resident memory in MB, and how often it refused."""
    at_ns = time.time_ns() - _BACK_S * 1_000_000_000
    processes = [_client(stack.collector.otlp_address, at_ns) for _ in range(_CLIENTS)]
    bar = progress.add_task("series sent", total=requests * SERIES)
    begun, largest, refused, first = time.perf_counter(), 0.0, 0, 0
    try:
        while first < requests:
            shares = [min(_ROUND, max(0, requests - first - place * _ROUND)) for place in range(_CLIENTS)]
            asked = asyncio.gather(
                *(
                    asyncio.to_thread(ask_process, one, f"{first + place * _ROUND} {shares[place]}\n")
                    for place, one in enumerate(processes)
                )
            )
            while not asked.done():
                largest = max(largest, resident_mb(stack.collector.pid))
                await asyncio.wait([asked], timeout=0.1)
            seen = asked.result()
            refused += sum(round(one["refused"]) for one in seen)
            assert sum(one["acknowledged"] for one in seen) == sum(shares) * SERIES
            first += sum(shares)
            progress.update(bar, completed=first * SERIES)
    finally:
        for one in processes:
            one.communicate(timeout=30)
    writing = asyncio.create_task(until_read(stack, timeout_s=600))
    while not writing.done():
        largest = max(largest, resident_mb(stack.collector.pid))
        await asyncio.wait([writing], timeout=0.1)
    writing.result()
    return time.perf_counter() - begun, largest, refused


def _client(address: str, at_ns: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.bench.series_load", address, str(at_ns), str(_AT_ONCE)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)


async def _found(stack: CollectorStack) -> tuple[int, int, int]:
    """Points, of them those that lead to their own series, and distinct series."""
    points = right = 0
    metrics = await stack.database.rows("SELECT DISTINCT metric_id FROM series")
    assert len(metrics) == METRICS
    for (metric_id,) in metrics:
        ((found, own),) = await stack.database.rows(_WHOLE, {"metric_id": metric_id})
        points, right = points + int(found), right + int(own)
    ((series,),) = await stack.database.rows("SELECT uniqExact(metric_id, series_id) FROM series")
    return points, right, int(series)


async def _rows(path: Path, requests: int) -> list[Row]:
    environ = {
        "THREENINES_QUOTA_POINTS_PER_SECOND": "0",
        "THREENINES_QUOTA_ACTIVE_SERIES": "0",
        "THREENINES_COLLECTOR_MEMORY_BYTES": str(MEMORY_MB << 20),
    }
    sent = requests * SERIES
    async with collector_stack(path, environ=environ) as stack:
        pids = stack_pids(stack)
        spent = {one: cpu_s(pid) for one, pid in pids.items()}
        with Progress() as progress:
            seconds, largest, refused = await _sent(stack, requests, progress)
        spent = {one: cpu_s(pid) - spent[one] for one, pid in pids.items()}
        points, right, series = await _found(stack)
        rows = [
            Row("new series sent, each with one point", sent / 1e6, "M series"),
            Row("  stored under an id of their own", series / 1e6, "M series", at_least=sent / 1e6),
            Row("  points that lead to another's series, or none", sent - right, "points", at_most=0),
            Row("  points stored twice", points - sent, "points", at_most=0),
            Row("until all was stored", seconds, "s"),
            Row("collector's resident memory, largest", largest, "MB", at_most=MEMORY_MB),
            Row("requests refused and sent again", refused, "requests"),
        ]
        rows += [Row(f"  {one}", 1e6 * cpu / sent, "CPU-us a new series") for one, cpu in spent.items()]
        rows += [
            Row("values of an attribute that all series share", await values_ms(stack, "host.name"), "ms"),
            Row(
                "the first 100 values of one that each pod has, of one metric",
                await values_ms(stack, "pod", metric="bench.metric.7"),
                "ms",
            ),
        ]
        return rows


def run(millions: float = MILLIONS) -> list[Row]:
    """The figures."""
    with tempfile.TemporaryDirectory(prefix="bench-series-") as name:
        return asyncio.run(_rows(Path(name), max(1, round(millions * 1e6 / SERIES))))
