"""OTLP/gRPC in to acknowledged and stored, all processes counted.

NATS with a sync for every append, the embedded ClickHouse and the collector, each its own process, under
load from separate processes (`ingest_load.py`), whose CPU is not counted. The clock of CPU runs until
every acknowledged point is stored; merges that begin or go on after that have a row of their own, since
they work on what the warm-up wrote too. The warm-up makes the series known and the processes as large as
they stay. In the same run, where they are installed: Rotel's agent writes the exporter's stock table in the
same engine, and VictoriaMetrics gets the load of the large requests.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from services.collector.decode import Decoder, fresh_secrets
from tests.bench import payload
from tests.bench.bench_decode import rate
from tests.bench.processes import cpu_s, rss_mb
from tests.bench.report import Row
from tests.bench.rival_rotel import Rotel, agent
from tests.bench.rival_victoria import victoria
from tests.collector_process import ROOT
from tests.engines import EmbeddedClickHouse
from tests.scenario.collector_stack import CollectorStack, collector_stack

MILLION = 1_000_000
DUTY_POINTS = 1.0
_CLIENTS = 2


@dataclass(frozen=True, slots=True)
class Load:
    """What every client process sends."""

    points: int
    senders: int
    exports: int
    at_once: int
    warm: int
    """Exports before the measurement begins."""
    encoding: str = "identity"
    """What the messages of gRPC are compressed with."""


LARGE = Load(points=2000, senders=4, exports=240, at_once=6, warm=40)
ZIPPED = replace(LARGE, exports=120, encoding="gzip")
SMALL = Load(points=100, senders=40, exports=80, at_once=32, warm=20)
RIVAL = Load(points=2000, senders=4, exports=40, at_once=6, warm=5)
"""Less, since it takes longer; what is compared is CPU-seconds a point."""
_IDLE_S = 8
_MERGES_S = 10.0


class Clients:
    """The processes that send."""

    def __init__(self, address: str, load: Load) -> None:
        self._processes = [self._start(address, load, place) for place in range(_CLIENTS)]

    def prepare(self, first: int, exports: int) -> None:
        """Serialise the requests of these exports."""
        for process in self._processes:
            self._say(process, f"{first} {exports}")
        for process in self._processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"

    def send(self) -> list[dict[str, float]]:
        """Send them; what each process saw."""
        for process in self._processes:
            self._say(process, "go")
        return [json.loads(process.stdout.readline()) for process in self._processes if process.stdout]

    def stop(self) -> None:
        """End the processes."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)

    def _say(self, process: "subprocess.Popen[str]", text: str) -> None:
        assert process.stdin is not None
        process.stdin.write(text + "\n")
        process.stdin.flush()

    def _start(self, address: str, load: Load, place: int) -> "subprocess.Popen[str]":
        numbers = (load.points, (place + 1) * 1_000_000, load.senders, load.at_once)
        given = [address, *map(str, numbers), load.encoding]
        command = [sys.executable, "-m", "tests.bench.ingest_load", *given]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)


async def _measured(name: str, stack: CollectorStack, load: Load, duty: float | None) -> list[Row]:
    """CPU-seconds by process over one load, from the first request until all is stored."""
    pids = stack_pids(stack)
    clients = Clients(stack.collector.otlp_address, load)
    try:
        before = (await stack.counts()).written_count
        await asyncio.to_thread(clients.prepare, 0, load.warm)
        sent = await asyncio.to_thread(clients.send)
        before += round(sum(one["acknowledged"] for one in sent))
        await stack.until_written(before)
        await asyncio.to_thread(clients.prepare, load.warm, load.exports)
        spent, begun = {one: cpu_s(pid) for one, pid in pids.items()}, time.perf_counter()
        sent = await asyncio.to_thread(clients.send)
        acknowledged = round(sum(one["acknowledged"] for one in sent))
        counts = await stack.until_written(before + acknowledged)
        seconds = time.perf_counter() - begun
        spent = {one: cpu_s(pid) - spent[one] for one, pid in pids.items()}
        merging = cpu_s(pids["clickhouse"])
        await _merged(stack)
        merging = cpu_s(pids["clickhouse"]) - merging
    finally:
        await asyncio.to_thread(clients.stop)
    assert acknowledged > 0
    assert counts.written_count == before + acknowledged, "stored is not what was acknowledged"
    rows = [Row(name, acknowledged / sum(spent.values()) / MILLION, "M points/CPU-s", duty)]
    for one, cpu in spent.items():
        rows.append(Row(f"  {one}", cpu / acknowledged * MILLION, "CPU-s/M points"))
    rows.append(
        Row("  merges after that, not counted above", merging / acknowledged * MILLION, "CPU-s/M points")
    )
    rows.append(Row("  points acknowledged and stored", acknowledged / MILLION, "M points"))
    rows.append(Row("  requests refused", sum(one["refused"] for one in sent), "requests"))
    rows.append(
        Row("  wall rate, clients on the same machine", acknowledged / seconds / MILLION, "M points/s")
    )
    rows.append(Row("  latency, 99th percentile", 1000 * max(one["p99"] for one in sent), "ms"))
    rows.append(Row("  collector's resident memory, largest", rss_mb(pids["collector"]), "MB"))
    return rows


async def _merged(stack: CollectorStack) -> None:
    """Return when no merge runs."""
    deadline = time.monotonic() + _MERGES_S
    while (await stack.database.rows("SELECT count() FROM system.merges"))[0][0]:
        assert time.monotonic() < deadline, "merges do not end"
        await asyncio.sleep(0.2)


def stack_pids(stack: CollectorStack) -> dict[str, int]:
    """Process ids by name."""
    assert isinstance(stack.clickhouse, EmbeddedClickHouse)
    return {
        "collector": stack.collector.pid,
        "nats": stack.nats._process.pid,  # type: ignore[union-attr]
        "clickhouse": stack.clickhouse.pid,
    }


async def _ours(path: Path) -> list[Row]:
    async with collector_stack(path) as stack:
        rows = await _measured("threenines, 2000 points a request", stack, LARGE, DUTY_POINTS)
        # Neighbours on the same cores slow everything down: this tells by how much, beside bench_decode.
        requests = [payload.numbers(2000, export=export) for export in range(8)]
        alone = await asyncio.to_thread(rate, Decoder(fresh_secrets()).decode, requests, 2000)
        rows.append(Row("  the decode kernel alone, right after it", alone, "M points/CPU-s"))
        rows += await _measured("threenines, 2000 points a request, gzip", stack, ZIPPED, None)
        return rows + await _measured("threenines, 100 points a request", stack, SMALL, None)


async def _rival(path: Path, ours: float) -> list[Row]:
    """Rotel on the same load, as far as it stores it in a given time."""
    binary = agent()
    if binary is None:
        return [Row("Rotel: not here (its wheel is for Linux on x86-64); not compared", float("nan"), "")]
    rotel = Rotel(binary, path)
    await rotel.start()
    clients = Clients(rotel.address, RIVAL)
    try:
        await asyncio.to_thread(clients.prepare, 0, RIVAL.warm)
        sent = await asyncio.to_thread(clients.send)
        before = await _stored_by(rotel, round(sum(one["acknowledged"] for one in sent)))
        await asyncio.to_thread(clients.prepare, RIVAL.warm, RIVAL.exports)
        spent = {one: cpu_s(pid) for one, pid in rotel.pids.items()}
        sent = await asyncio.to_thread(clients.send)
        acknowledged = round(sum(one["acknowledged"] for one in sent))
        stored = await _stored_by(rotel, before + acknowledged) - before
        spent = {one: cpu_s(pid) - spent[one] for one, pid in rotel.pids.items()}
    finally:
        await asyncio.to_thread(clients.stop)
        await rotel.stop()
    assert stored, rotel.log
    rate = stored / sum(spent.values()) / MILLION
    rows = [Row("Rotel to the exporter's stock table, 2000 points a request", rate, "M points/CPU-s")]
    rows += [Row(f"  {one}", cpu / stored * MILLION, "CPU-s/M points") for one, cpu in spent.items()]
    rows.append(Row("  points acknowledged", acknowledged / MILLION, "M points"))
    rows.append(Row("  points stored", stored / MILLION, "M points"))
    rows.append(Row("threenines : Rotel", ours / rate, "x"))
    return rows


async def _stored_by(rotel: Rotel, expected: int) -> int:
    """Rows that Rotel has stored: all that it acknowledged, or what there is when nothing more comes."""
    stored, idle = -1, 0
    while idle < _IDLE_S:
        before, stored = stored, await rotel.stored()
        if stored >= expected:
            break
        idle = 0 if stored != before else idle + 1
        await asyncio.sleep(1.0)
    return stored


def run() -> list[Row]:
    """The figures of both sizes of requests, Rotel's and VictoriaMetrics'."""
    with tempfile.TemporaryDirectory(prefix="bench-ingest-") as name:
        path = Path(name)
        ours = asyncio.run(_ours(path / "ours"))
        rows = ours + asyncio.run(_rival(path / "rival", ours[0].value))
        load = (LARGE.points, LARGE.senders, LARGE.exports, LARGE.at_once)
        return rows + asyncio.run(victoria(path / "victoria", ours[0].value, load=load))
