"""Twice the load that the collector can take, open loop: memory, refusals, latency of what is accepted.

First a closed loop finds what can be taken; then separate processes (`overload_load.py`) send twice that on
schedule over gRPC and HTTP, whatever they are answered. Memory is sampled against the configured cap, every
refusal is read for its delay, and afterwards each request's rows in ClickHouse are counted and summed: all of
an acknowledged one, once. Clients have a core of their own, where there are two, so that what is measured is
not how long they wait for a turn beside the server.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from tests.bench.bench_ingest import stack_pids
from tests.bench.processes import ask_process, cpu_s, resident_mb
from tests.bench.report import Row
from tests.collector_process import ROOT
from tests.scenario.collector_stack import CollectorStack, collector_stack
from threenines.collector.v1 import collector_service_pb2, collector_service_pb2_grpc

SECONDS = 180.0
MEMORY_MB = 1024
DUTY_P99_MS = 250.0
DUTY_PARTS = 100
_POINTS = 2000
_DOORS = ("grpc", "grpc", "http")
_COMMAND = (sys.executable, "-m", "tests.bench.overload_load")
_AT_ONCE = 6
"""Of each process in the closed loop: enough that the server is never idle."""
_CLOSED_S = 10.0
_WARM_S = 12.0
_SAMPLE_S = 0.05
_SYNC_EACH = 10
"""Samples between two writes that are synced."""
_CORES = sorted(os.sched_getaffinity(0)) if len(os.sched_getaffinity(0)) > 1 else []
_UNLIMITED = {"THREENINES_QUOTA_POINTS_PER_SECOND": "0", "THREENINES_QUOTA_ACTIVE_SERIES": "0"}


@dataclass
class Phase:
    """What all processes saw in one phase, and the collector's memory meanwhile."""

    acknowledged: set[int] = field(default_factory=set)
    refusals: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    late_ms: list[float] = field(default_factory=list)
    machine_late_ms: list[float] = field(default_factory=list)
    """How much later than asked this process woke, which does next to nothing: neighbours on the cores."""
    sync_ms: list[float] = field(default_factory=list)
    """What the disk takes to sync 4 KiB beside the log, which syncs each record: neighbours on the disk."""
    sent: int = 0
    seconds: float = 0.0
    resident_mb: float = 0.0

    def add(self, seen: dict[str, Any]) -> None:
        """Add one process."""
        self.acknowledged.update(seen["acknowledged"])
        self.refusals.update(seen["refusals"])
        self.latencies_ms += [one / 1000 for one in seen["latencies_us"]]
        self.refused_ms += [one / 1000 for one in seen["refused_us"]]
        self.late_ms += [one / 1000 for one in seen["late_us"]]
        self.sent += seen["sent"]
        self.seconds = max(self.seconds, seen["seconds"])

    @property
    def without_delay(self) -> int:
        """Refusals that named no delay."""
        return sum(count for why, count in self.refusals.items() if "WITHOUT" in why)


class Clients:
    """The processes that send."""

    def __init__(
        self,
        stack: CollectorStack,
        path: Path,
        points: int,
        doors: Sequence[str],
        *,
        apart: bool,
        own_metrics: bool = False,
    ) -> None:
        http = f"127.0.0.1:{stack.collector.otlp_http_port}"
        addresses = {"grpc": stack.collector.otlp_address, "http": http}
        self._pid, self._beside = stack.collector.pid, path / "synced"
        self._processes = [
            subprocess.Popen(
                [*_COMMAND, door, addresses[door], str(points), str(place), *(["apart"] * own_metrics)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                preexec_fn=_on_their_own_core if apart else _last_in_line,
            )
            for place, door in enumerate(doors)
        ]

    async def run(self, phase: str, amount: float, seconds: float) -> Phase:
        """One phase in every process: `amount` each."""
        result = Phase()
        watching = asyncio.create_task(self._watch(result))
        answers = await asyncio.gather(
            *(
                asyncio.to_thread(ask_process, one, f"{phase} {amount:g} {seconds:g}\n")
                for one in self._processes
            )
        )
        watching.cancel()
        for answer in answers:
            result.add(answer)
        return result

    async def _watch(self, result: Phase) -> None:
        while True:
            result.resident_mb = max(result.resident_mb, resident_mb(self._pid))
            begun = time.perf_counter()
            await asyncio.sleep(_SAMPLE_S)
            result.machine_late_ms.append(1000 * (time.perf_counter() - begun - _SAMPLE_S))
            if len(result.machine_late_ms) % _SYNC_EACH == 0:
                result.sync_ms.append(await asyncio.to_thread(_synced_ms, self._beside))

    @property
    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {f"client {place}": one.pid for place, one in enumerate(self._processes, start=1)}

    def stop(self) -> None:
        """End the processes."""
        for process in self._processes:
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                # What came before is what must be told.
                process.kill()
                process.communicate()


def _synced_ms(path: Path) -> float:
    begun = time.perf_counter()
    with path.open("wb") as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
    return 1000 * (time.perf_counter() - begun)


def _last_in_line() -> None:
    os.nice(5)


def _on_their_own_core() -> None:
    if _CORES:
        os.sched_setaffinity(0, _CORES[:1])


def _on_the_others(pids: Iterable[int]) -> None:
    if _CORES:
        for pid in pids:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setaffinity(int(thread.name), _CORES[1:])


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store holds of the requests of all phases, in requests."""

    missing: int
    """Acknowledged, and not all of its points are there."""
    doubled: int
    wrong: int
    """Other points than those of the sender's other requests."""
    unpromised: int
    """Stored whole, though the client was not told."""
    batches: int
    parts: int
    """Active ones of the table that has most."""


async def stored(stack: CollectorStack, acknowledged: set[int], points: int) -> Stored:
    """Count and sum the rows of every request by its millisecond."""
    rows = await stack.database.rows(
        "SELECT toUnixTimestamp64Milli(ts) AS at, count(), sum(cityHash64(metric_id, series_id))"
        " FROM points WHERE tenant = 'default' GROUP BY at"
    )
    counts = {at: (count, total) for at, count, total in rows}
    senders: dict[int, Counter[int]] = {}
    for at, (count, total) in counts.items():
        if count == points:
            senders.setdefault(at % 20, Counter())[total] += 1
    ((batches,),) = await stack.database.rows("SELECT uniqExact(batch) FROM points")
    ((parts,),) = await stack.database.rows(
        "SELECT max(parts) FROM (SELECT count() AS parts FROM system.parts"
        " WHERE active AND database = currentDatabase() GROUP BY table)"
    )
    right = {sender: totals.most_common(1)[0][0] for sender, totals in senders.items()}
    return Stored(
        missing=sum(counts.get(at, (0, 0))[0] < points for at in acknowledged),
        doubled=sum(count > points for count, _ in counts.values()),
        wrong=sum(count == points and total != right[at % 20] for at, (count, total) in counts.items()),
        unpromised=len(counts.keys() - acknowledged),
        batches=int(batches),
        parts=int(parts),
    )


async def until_read(stack: CollectorStack, *, timeout_s: float = 60.0) -> None:
    """Return when the writer has written all that the log holds."""
    deadline = time.monotonic() + timeout_s
    async with grpc.aio.insecure_channel(stack.collector.admin_address) as channel:
        stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
        last = None
        while True:
            answer = await stub.GetStatus(collector_service_pb2.GetStatusRequest(), timeout=30)
            stream = answer.streams[0]
            last = stream.log_last_sequence if last is None else last
            if stream.written_sequence >= last:
                return
            assert time.monotonic() < deadline, f"written to {stream.written_sequence} of {last}"
            await asyncio.sleep(0.2)


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that one run shows."""

    sustained: float
    """Requests a second that a closed loop got acknowledged."""
    over: Phase
    stored: Stored
    acknowledged: int
    drained_s: float
    spent: dict[str, float]
    """CPU-seconds by process, over the overload."""


async def overload(
    path: Path,
    *,
    seconds: float,
    times: float = 2.0,
    closed_s: float = _CLOSED_S,
    points: int = _POINTS,
    memory_mb: int = MEMORY_MB,
    warm_s: float = _WARM_S,
    apart: bool = True,
) -> Found:
    """Find what can be taken, offer twice that, compare; `apart`: clients on a core of their own."""
    environ = {**_UNLIMITED, "THREENINES_COLLECTOR_MEMORY_BYTES": str(memory_mb << 20)}
    async with collector_stack(path, environ=environ) as stack:
        clients = Clients(stack, path, points, _DOORS, apart=apart)
        pids = stack_pids(stack) | clients.pids
        if apart:
            _on_the_others(stack_pids(stack).values())
        try:
            phases = [
                await clients.run("closed", _AT_ONCE, warm_s),
                await clients.run("closed", _AT_ONCE, closed_s),
            ]
            sustained = len(phases[1].acknowledged) / phases[1].seconds
            spent = {one: cpu_s(pid) for one, pid in pids.items()}
            over = await clients.run("open", times * sustained / len(_DOORS), seconds)
            spent = {one: cpu_s(pid) - spent[one] for one, pid in pids.items()}
            begun = time.perf_counter()
            acknowledged = set().union(*(one.acknowledged for one in (*phases, over)))
            await until_read(stack, timeout_s=60 + seconds)
            drained_s = time.perf_counter() - begun
            # Steady again by itself: the closed loop gets what it got before.
            after = await clients.run("closed", _AT_ONCE, warm_s)
            assert len(after.acknowledged) > 0
            acknowledged |= after.acknowledged
            await until_read(stack)
            return Found(
                sustained=sustained,
                over=over,
                stored=await stored(stack, acknowledged, points),
                acknowledged=len(acknowledged),
                drained_s=drained_s,
                spent=spent,
            )
        finally:
            await asyncio.to_thread(clients.stop)


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank; 0 of nothing."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def rows_of(found: Found, points: int, memory_mb: int) -> list[Row]:
    """The table."""
    over, at = found.over, found.stored
    taken = len(over.acknowledged)
    offered = over.sent / over.seconds
    rows = [
        Row("sustained in a closed loop", found.sustained * points / 1e6, "M points/s"),
        Row("offered in the open loop", offered * points / 1e6, "M points/s"),
        Row("  times what is sustained", offered / found.sustained, "x"),
        Row("  accepted", taken / over.seconds * points / 1e6, "M points/s"),
        Row("resident memory, largest", over.resident_mb, "MB", at_most=memory_mb),
        Row("accepted, median latency", percentile(over.latencies_ms, 0.5), "ms"),
        Row("accepted, 99th percentile", percentile(over.latencies_ms, 0.99), "ms", at_most=DUTY_P99_MS),
        Row("refused, median latency", percentile(over.refused_ms, 0.5), "ms"),
        Row("refused, 99th percentile", percentile(over.refused_ms, 0.99), "ms"),
        Row("an idle process woken late, 99th percentile", percentile(over.machine_late_ms, 0.99), "ms"),
        Row("clients behind their schedule, 99th percentile", percentile(over.late_ms, 0.99), "ms"),
        Row("4 KiB synced on the log's disk, 99th percentile", percentile(over.sync_ms, 0.99), "ms"),
    ]
    rows += [Row(f"refused: {why}", count, "requests") for why, count in sorted(over.refusals.items())]
    rows += [
        Row("refused without a delay", over.without_delay, "requests", at_most=0),
        Row("all stored, after the end", found.drained_s, "s"),
        Row("acknowledged", found.acknowledged, "requests"),
        Row("  and not stored", at.missing, "requests", at_most=0),
        Row("  stored twice", at.doubled, "requests", at_most=0),
        Row("  other points than sent", at.wrong, "requests", at_most=0),
        Row("stored without an answer that said so", at.unpromised, "requests"),
        Row("batches, each a part of the table of points", at.batches, ""),
        Row("active parts afterwards, of the table with most", at.parts, "", at_most=DUTY_PARTS),
    ]
    rows += [Row(f"CPU of {one}", cpu / over.seconds, "cores") for one, cpu in found.spent.items()]
    return rows


def run(seconds: float = SECONDS) -> list[Row]:
    """The figures."""
    with tempfile.TemporaryDirectory(prefix="bench-overload-") as name:
        found = asyncio.run(overload(Path(name), seconds=seconds))
    return rows_of(found, _POINTS, MEMORY_MB)
