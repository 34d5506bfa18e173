"""Cold start with cached kernels: a collector alone, and the whole of `threenines up`, until they serve.

Each start is a new process. A first one, which is not counted, compiles what is not in the cache. The first
request goes over a new connection to a process that has never seen one; beside it stands the tenth, so that
a compiler in the way of requests would show. `up` starts the engines too, on an empty data directory.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import grpc

from tests.bench.ingest_load import Sender
from tests.bench.processes import cpu_s
from tests.bench.report import Row
from tests.collector_process import EXPORT_METHOD
from tests.e2e.platform import running
from tests.scenario.collector_stack import CollectorStack, collector_stack

DUTY_COLLECTOR_S, DUTY_UP_S = 5.0, 10.0
_STARTS, _REQUESTS = 3, 10
_POINTS = 100


async def _requests_ms(stack: CollectorStack) -> list[float]:
    """What the first requests of a process take, one after the other."""
    took: list[float] = []
    sender = Sender(_POINTS, 0, 0)
    async with grpc.aio.insecure_channel(stack.collector.otlp_address) as channel:
        call: Any = channel.unary_unary(EXPORT_METHOD)
        for _ in range(_REQUESTS):
            raw = sender.at(time.time_ns())
            begun = time.perf_counter()
            answer = await call(raw, timeout=30)
            assert answer == b"", "all of it is in the log"
            took.append(1000 * (time.perf_counter() - begun))
    return took


async def _collector(path: Path) -> list[Row]:
    seconds: list[float] = []
    cpu: list[float] = []
    first: list[float] = []
    tenth: list[float] = []
    async with collector_stack(path) as stack:
        for _ in range(_STARTS):
            await asyncio.to_thread(stack.collector.stop)
            begun = time.perf_counter()
            stack.collector.start()
            await stack.collector.wait_serving()
            seconds.append(time.perf_counter() - begun)
            cpu.append(cpu_s(stack.collector.pid))
            took = await _requests_ms(stack)
            first.append(took[0])
            tenth.append(took[-1])
    return [
        Row("collector, from start to SERVING", statistics.median(seconds), "s", at_most=DUTY_COLLECTOR_S),
        Row("  CPU until then", statistics.median(cpu), "CPU-s"),
        Row("  its first request, of 100 points, with the connection", statistics.median(first), "ms"),
        Row("  its tenth", statistics.median(tenth), "ms"),
    ]


def _up(path: Path) -> list[Row]:
    begun = time.perf_counter()
    with running(path) as up:
        seconds = time.perf_counter() - begun
        cpu = sum(map(cpu_s, (up.process.pid, *up.pids())))
    return [
        Row("threenines up, from start to all SERVING", seconds, "s", at_most=DUTY_UP_S),
        Row("  CPU of all its processes until then", cpu, "CPU-s"),
    ]


def run() -> list[Row]:
    """The figures."""
    with tempfile.TemporaryDirectory(prefix="bench-start-") as name:
        (Path(name) / "up").mkdir()
        return [*asyncio.run(_collector(Path(name) / "collector")), *_up(Path(name) / "up")]
