"""Small requests to the log: coalesced into shared records, and one record each.

64 clients of one tenant, each sending the next request of 100 points when the last one is acknowledged,
to a receiver in this process over a nats-server of its own that syncs every record. CPU is that of this
process and of the server. Both ways in one run.
"""

import asyncio
import itertools
import resource
import secrets
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from services.collector.coalesce import CoalesceConfig
from services.collector.receive import ReceiveConfig, Receiver
from services.collector.tallies import Tallies
from services.collector.validate import AcceptLimits
from services.common.clock import SystemClock
from services.common.streams import OTLP
from services.common.telemetry import Counters
from tests.bench import payload
from tests.bench.report import Row
from tests.engines_nats import nats_engine

_CLIENTS, _POINTS, _ROUND_S = 64, 100, 4.0
_EVER_NS = 10**18


@dataclass(frozen=True, slots=True)
class _Round:
    requests: int
    appends: int
    seconds: float
    cpu_s: float
    p50_ms: float
    p99_ms: float
    stored_bytes: int


async def _round(coalesce: CoalesceConfig, directory: Path) -> tuple[int, int, float, list[float], int]:
    times: list[float] = []
    async with nats_engine(directory) as engine:
        receiver = Receiver(
            log=engine.log,
            tallies=Tallies(Counters(), since_ns=0),
            clock=SystemClock(),
            random_bytes=secrets.token_bytes,
            config=ReceiveConfig(limits=AcceptLimits(past_ns=_EVER_NS), coalesce=coalesce),
        )
        requests = [payload.numbers(_POINTS, export=number) for number in range(256)]
        turns = itertools.cycle(requests)
        begun = time.monotonic()

        async def client() -> None:
            while time.monotonic() - begun < _ROUND_S:
                sent = time.monotonic()
                await receiver.export("acme", next(turns))
                times.append(time.monotonic() - sent)

        await asyncio.gather(*(client() for _ in range(_CLIENTS)))
        state = await engine.log.stream_info(OTLP)
        return len(times), state.last_seq, time.monotonic() - begun, times, state.bytes


def _measure(coalesce: CoalesceConfig) -> _Round:
    def cpu_s() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + used.ru_utime + used.ru_stime

    with tempfile.TemporaryDirectory() as directory:
        before = cpu_s()
        requests, appends, seconds, times, size = asyncio.run(_round(coalesce, Path(directory)))
        spent = cpu_s() - before
    ordered = sorted(times)
    p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    return _Round(requests, appends, seconds, spent, 1000 * p50, 1000 * p99, size)


def run() -> list[Row]:
    """The rows."""
    _measure(CoalesceConfig())  # kernels and caches are warm from here on
    alone = _measure(CoalesceConfig(max_requests=1, max_in_flight=_CLIENTS))
    shared = _measure(CoalesceConfig())
    rows: list[Row] = []
    for name, one in (("one record each", alone), ("coalesced", shared)):
        rows += [
            Row(f"{name}: appends a request", one.appends / one.requests, ""),
            Row(f"{name}: requests a CPU-second", one.requests / one.cpu_s, "/s"),
            Row(f"{name}: requests a second", one.requests / one.seconds, "/s"),
            Row(f"{name}: acknowledged, p50", one.p50_ms, "ms"),
            Row(f"{name}: acknowledged, p99", one.p99_ms, "ms"),
            Row(f"{name}: bytes in the log a request", one.stored_bytes / one.requests, "B"),
        ]
    gain = (shared.requests / shared.cpu_s) / (alone.requests / alone.cpu_s)
    return [*rows, Row("coalesced against one record each, requests a CPU-second", gain, "x", at_least=1.0)]
