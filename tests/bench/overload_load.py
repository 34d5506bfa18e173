"""Load for `bench_overload`, in a process of its own: a closed loop to find what a collector can take,
then an open loop that offers more than that.

    python -m tests.bench.overload_load grpc|http <address> <points a request> <number of process> [apart]

`apart`: metrics of its own instead of those of the other processes.

Each line on stdin, `closed <at once> <seconds>` or `open <requests a second> <seconds>`, runs one phase and
prints one line of JSON: what was acknowledged (as the millisecond that all points of the request have, which
no other request has), every refusal by code, reason and whether it named a delay, and latencies. An open
loop sends on schedule whatever the answers are, and sends nothing again.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np

from tests.bench.ingest_load import METRIC, Sender
from tests.bench.overload_doors import DOORS, Answer, Door

_SENDERS = 4
_STEP_MS = 20
"""Between two requests of a sender; there may be five processes of four senders."""
_BACK_NS = 3 * 60 * 60 * 1_000_000_000
_AGAIN_S = 0.02
"""A lane of the closed loop that was refused; the delay that it is told would leave the server idle."""
_MOST_OPEN = 4000
"""Calls under way from one process; beyond it the schedule slips, which is told."""


@dataclass
class Seen:
    """What one process saw in one phase."""

    acknowledged: list[int] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    refused_latencies: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    """How much later than planned a request was sent: what the sending process itself could not do."""
    sent: int = 0
    seconds: float = 0.0

    def add(self, moment_ms: int, answer: Answer, seconds: float) -> None:
        """Note an answer."""
        if answer.accepted:
            self.acknowledged.append(moment_ms)
            self.latencies.append(seconds)
            return
        delay = "with a delay" if answer.delay_s > 0 else "WITHOUT a delay"
        self.refusals[f"{answer.code} {answer.reason} {delay}"] += 1
        self.refused_latencies.append(seconds)

    def as_json(self) -> str:
        """One line; latencies in whole microseconds."""
        whole = [np.rint(1e6 * np.array(one)).astype(int).tolist() for one in (self.latencies, self.late)]
        return json.dumps(
            {
                "acknowledged": self.acknowledged,
                "refusals": self.refusals,
                "latencies_us": whole[0],
                "late_us": whole[1],
                "refused_us": np.rint(1e6 * np.array(self.refused_latencies)).astype(int).tolist(),
                "sent": self.sent,
                "seconds": self.seconds,
            }
        )


class Exports:
    """Requests whose points all have one millisecond, never used by another request of any process."""

    def __init__(self, points: int, process: int, *, apart: bool = False) -> None:
        now_ms = (time.time_ns() - _BACK_NS) // 1_000_000 // _STEP_MS * _STEP_MS
        name = b"bench.metr%02d." % process if apart else METRIC
        self._senders = [
            Sender(points, (process * _SENDERS + one) * 100_000, 0, name) for one in range(_SENDERS)
        ]
        self._first_ms = now_ms + process * _SENDERS
        self._number = 0

    def next(self) -> tuple[int, bytes]:
        """The millisecond and the bytes of the next request."""
        step, sender = divmod(self._number, _SENDERS)
        self._number += 1
        moment_ms = self._first_ms + step * _STEP_MS + sender
        return moment_ms, self._senders[sender].at(moment_ms * 1_000_000)


async def closed(door: Door, exports: Exports, seen: Seen, *, at_once: int, seconds: float) -> None:
    """Send the next request of each lane when the one before is answered."""
    end = time.perf_counter() + seconds

    async def lane() -> None:
        while time.perf_counter() < end:
            refused = seen.refusals.total()
            await _one(door, *exports.next(), seen)
            if seen.refusals.total() > refused:
                await asyncio.sleep(_AGAIN_S)

    await asyncio.gather(*(lane() for _ in range(at_once)))


async def opened(door: Door, exports: Exports, seen: Seen, *, rate: float, seconds: float) -> None:
    """Send on schedule."""
    begun, tasks = time.perf_counter(), set[asyncio.Task[None]]()
    for number in range(round(rate * seconds)):
        due = begun + number / rate
        while (left := due - time.perf_counter()) > 0 or len(tasks) >= _MOST_OPEN:  # noqa: ASYNC110 - a schedule
            await asyncio.sleep(max(left, 0.001))
        seen.late.append(max(0.0, time.perf_counter() - due))
        task = asyncio.create_task(_one(door, *exports.next(), seen))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        if number % 8 == 0:
            await asyncio.sleep(0)  # answers are read even when the schedule is behind
    await asyncio.gather(*tasks)


async def _one(door: Door, moment_ms: int, raw: bytes, seen: Seen) -> None:
    seen.sent += 1
    begun = time.perf_counter()
    answer = await door.export(raw)
    seen.add(moment_ms, answer, time.perf_counter() - begun)


async def serve(door: Door, exports: Exports) -> None:
    """Phase after phase, until the end of stdin."""
    read: Callable[[], Awaitable[str]] = lambda: asyncio.to_thread(sys.stdin.readline)  # noqa: E731
    while line := await read():
        phase, amount, seconds = line.split()
        seen, begun = Seen(), time.perf_counter()
        if phase == "closed":
            await closed(door, exports, seen, at_once=int(amount), seconds=float(seconds))
        else:
            await opened(door, exports, seen, rate=float(amount), seconds=float(seconds))
        seen.seconds = time.perf_counter() - begun
        sys.stdout.write(seen.as_json() + "\n")
        sys.stdout.flush()
    await door.close()


async def _main(name: str, address: str, points: int, process: int, *, apart: bool) -> None:
    await serve(DOORS[name](address), Exports(points, process, apart=apart))


if __name__ == "__main__":
    own = sys.argv[5:] == ["apart"]
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), apart=own))
