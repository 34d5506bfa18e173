"""Load for `bench_ingest`, in a process of its own so that its CPU is not the servers'.

    python -m tests.bench.ingest_load <address> <points a request> <first series> <senders> <at once> [gzip]

Requests are serialised before anything is sent: one template a sender, of which only the times change
from export to export. Each line on stdin, `<first export> <exports>`, sends those exports of every sender
and prints one line of JSON: points acknowledged and refused, seconds, the 99th percentile of latency.
"""

import asyncio
import itertools
import json
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np

from tests.bench import payload

EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
METRIC = b"bench.metric."
_CHANNELS = 4
_STEP_NS = 1_000_000_000
_BACK_NS = 30 * 60 * 1_000_000_000


class Sender:
    """One service with its series: gives the bytes of its exports."""

    def __init__(self, points: int, first_series: int, base_ns: int, name: bytes = METRIC) -> None:
        """`name` begins the names of its metrics, as long as `METRIC`."""
        raw = payload.numbers(points, export=0, first_series=first_series)
        template = np.frombuffer(raw.replace(METRIC, name), np.uint8)
        assert len(raw) == len(template)
        head = b"\x11" + struct.pack("<Q", payload.START_NS) + b"\x19"
        text, places = template.tobytes(), []
        place = text.find(head)
        while place >= 0:
            places.append(place)
            place = text.find(head, place + 1)
        assert len(places) == points
        self._template, self._base_ns = template, base_ns
        self._starts = np.array(places)[:, None] + 1 + np.arange(8)
        self._times = self._starts + 9

    def export(self, number: int) -> bytes:
        """The request of the export with that number: 1 s after the one before it, milliseconds apart."""
        count = len(self._starts)
        times = self._base_ns + number * _STEP_NS + 1_000_000 * np.arange(count, dtype=np.uint64) // 8
        return self._with(self._base_ns - _STEP_NS, times.astype(np.uint64))

    def at(self, time_ns: int) -> bytes:
        """A request whose points all have that time."""
        return self._with(time_ns - _STEP_NS, np.full(len(self._starts), time_ns, np.uint64))

    def _with(self, start_ns: int, times: "np.ndarray[Any, np.dtype[np.uint64]]") -> bytes:
        raw, count = self._template.copy(), len(self._starts)
        raw[self._starts] = np.full(count, start_ns, np.uint64).view(np.uint8).reshape(count, 8)
        raw[self._times] = times.view(np.uint8).reshape(count, 8)
        return raw.tobytes()


async def send(
    address: str, requests: list[bytes], points: int, at_once: int, encoding: str = "identity"
) -> dict[str, float]:
    """Send all, `at_once` at a time; a refused or failed request counts none of its points."""
    zipped = grpc.Compression.Gzip if encoding == "gzip" else grpc.Compression.NoCompression
    options = [("grpc.max_send_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options) for _ in range(_CHANNELS)]
    calls: Iterator[Any] = itertools.cycle([channel.unary_unary(EXPORT) for channel in channels])
    waiting: Iterator[bytes] = iter(requests)
    latencies: list[float] = []
    refused = 0

    async def lane() -> None:
        nonlocal refused
        for raw in waiting:
            begun = time.perf_counter()
            try:
                answer = await next(calls)(raw, timeout=60, compression=zipped)
            except grpc.aio.AioRpcError as err:
                refused += 1
                if refused == 1:
                    sys.stderr.write(f"{err.code()}: {err.details()}\n")
                continue
            refused += bool(answer)
            latencies.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(at_once)))
    seconds = time.perf_counter() - begun
    for channel in channels:
        await channel.close()
    accepted = len(requests) - refused
    p99 = sorted(latencies)[int(0.99 * len(latencies))] if latencies else 0.0
    return {"acknowledged": accepted * points, "refused": refused, "seconds": seconds, "p99": p99}


def main() -> None:
    """See the module."""
    address, (points, first, senders, at_once) = sys.argv[1], map(int, sys.argv[2:6])
    base_ns = time.time_ns() - _BACK_NS
    several = [Sender(points, first + 1000 * place, base_ns) for place in range(senders)]
    for line in sys.stdin:
        export, count = map(int, line.split())
        requests = [one.export(number) for number in range(export, export + count) for one in several]
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        sys.stdout.write(
            json.dumps(asyncio.run(send(address, requests, points, at_once, *sys.argv[6:]))) + "\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
