"""Load for `bench_series`, in a process of its own: requests of which every series is new.

    python -m tests.bench.series_load <address> <time of all points, Unix ns> <requests at once>

Each line on stdin, `<first request> <requests>`, sends those, again after each refusal until they are taken,
and prints one line of JSON. Request n has the pods from 100 n on, under each of 20 metrics; the value of a
point is the number of its pod, so that whoever reads a point under another's series sees it.
"""

import asyncio
import json
import struct
import sys
import time
from collections.abc import Iterator
from typing import Any

import grpc
import numpy as np

from tests.bench import payload
from tests.bench.ingest_load import EXPORT

PODS = 100
SERIES = PODS * payload.METRICS
"""Of a request, each with one point."""
_DIGITS = 8
_REFUSED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
_AGAIN_S = 0.1
_VALUE_AFTER = 19
"""Bytes from the tag of a point's start to its value."""


class Requests:
    """The bytes of each request, from one template."""

    def __init__(self, time_ns: int) -> None:
        text = payload.numbers(SERIES, export=0)
        starts = _places(text, b"\x11" + struct.pack("<Q", payload.START_NS) + b"\x19")
        pods = _places(text, b"checkout-")
        assert len(starts) == len(pods) == SERIES
        self._template = np.frombuffer(text, np.uint8).copy()
        eight = np.arange(8)
        self._put(starts[:, None] + 10 + eight, np.full(SERIES, time_ns, np.uint64))
        self._values = starts[:, None] + _VALUE_AFTER + eight
        self._digits = pods[:, None] + len(b"checkout-") + np.arange(_DIGITS)
        self._tens = 10 ** np.arange(_DIGITS - 1, -1, -1)

    def request(self, number: int) -> bytes:
        """Request `number`."""
        pods = np.tile(number * PODS + np.arange(PODS), payload.METRICS)
        self._put(self._values, pods.astype(np.float64))
        self._template[self._digits] = pods[:, None] // self._tens % 10 + ord("0")
        return self._template.tobytes()

    def _put(self, where: "np.ndarray[Any, Any]", numbers: "np.ndarray[Any, Any]") -> None:
        self._template[where] = numbers.view(np.uint8).reshape(len(numbers), 8)


def _places(text: bytes, wanted: bytes) -> "np.ndarray[Any, Any]":
    found, place = [], text.find(wanted)
    while place >= 0:
        found.append(place)
        place = text.find(wanted, place + 1)
    return np.array(found)


async def send(call: Any, requests: Requests, numbers: Iterator[int], at_once: int) -> dict[str, float]:
    """Send all, `at_once` at a time."""
    seen = {"acknowledged": 0, "refused": 0}

    async def lane() -> None:
        for number in numbers:
            raw = requests.request(number)
            while not await _taken(call, raw):
                seen["refused"] += 1
                await asyncio.sleep(_AGAIN_S)
            seen["acknowledged"] += SERIES

    begun = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(at_once)))
    return {**seen, "seconds": time.perf_counter() - begun}


async def _taken(call: Any, raw: bytes) -> bool:
    try:
        answer = await call(raw, timeout=60)
    except grpc.aio.AioRpcError as err:
        if err.code() not in _REFUSED:
            raise
        return False
    assert not answer, "some points were rejected"
    return True


async def _main(address: str, time_ns: int, at_once: int) -> None:
    requests = Requests(time_ns)
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(EXPORT)
        while line := await asyncio.to_thread(sys.stdin.readline):
            first, count = map(int, line.split())
            seen = await send(call, requests, iter(range(first, first + count)), at_once)
            sys.stdout.write(json.dumps(seen) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
