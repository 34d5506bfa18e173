"""Single-node VictoriaMetrics, where it is on the PATH, under the load of `bench_ingest`.

Debian's package is older than VictoriaMetrics' OTLP: it gets the same points as Prometheus remote write, one
series of ten labels a point. A release that takes OTLP gets the very bytes that threenines got. It
acknowledges what is in memory, so this is throughput without the promise.

    python -m tests.bench.rival_victoria <url> <otlp|remote-write> <points> <first series> <senders> <at once>

is the client, with the protocol of `ingest_load`: a line `<first export> <exports>`, "ready", "go", JSON.
"""

import asyncio
import http.client
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import cramjam
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from prometheus.write.v1 import write_pb2
from tests.bench import payload
from tests.bench.ingest_load import Sender
from tests.bench.processes import cpu_s, rss_mb
from tests.bench.report import Row
from tests.collector_process import ROOT
from tests.engines_nats import free_port

PATHS = {"otlp": "/opentelemetry/v1/metrics", "remote-write": "/api/v1/write"}
NAMES = {"otlp": "OTLP", "remote-write": "the same points as remote write, it has no OTLP"}
_HEADERS = {
    "otlp": {"Content-Type": "application/x-protobuf"},
    "remote-write": {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    },
}
_CLIENTS, _PATIENCE_S = 2, 60.0
_BACK_NS = 30 * 60 * 1_000_000_000
_MILLION = 1_000_000


def binary() -> str | None:
    """The server's program; None when there is none."""
    return shutil.which("victoria-metrics") or shutil.which("victoria-metrics-prod")


class Remote:
    """As `ingest_load.Sender`: the same points of one service, written as Prometheus would."""

    def __init__(self, points: int, first_series: int, base_ns: int) -> None:
        raw = payload.numbers(points, export=0, first_series=first_series)
        self._request, self._base_ms = write_pb2.WriteRequest(), base_ns // 1_000_000
        (resource,) = ExportMetricsServiceRequest.FromString(raw).resource_metrics
        shared = {each.key: each.value.string_value for each in resource.resource.attributes}
        for metric in resource.scope_metrics[0].metrics:
            for point in metric.gauge.data_points:
                labels = {each.key: each.value.string_value for each in point.attributes}
                series = self._request.timeseries.add()
                series.samples.add(value=point.as_double)
                for name, value in sorted({**shared, **labels, "__name__": metric.name}.items()):
                    series.labels.add(name=name, value=value)

    def export(self, number: int) -> bytes:
        """The request of the export with that number, compressed."""
        for place, series in enumerate(self._request.timeseries):
            series.samples[0].timestamp = self._base_ms + 1000 * number + place // 8
        return bytes(cramjam.snappy.compress_raw(self._request.SerializeToString()))


class Server:
    """A running VictoriaMetrics; its own API is what counts its points."""

    def __init__(self, program: str, path: Path) -> None:
        self._log, self._port = path / "victoria.log", free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        path.mkdir(parents=True, exist_ok=True)
        command = [program, f"-storageDataPath={path / 'data'}", f"-httpListenAddr=127.0.0.1:{self._port}"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen([*command, "-retentionPeriod=1"], stdout=log, stderr=log)
        deadline = time.monotonic() + _PATIENCE_S
        while not self._answers():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What it said."""
        return self._log.read_text(errors="replace")[-2000:]

    def takes_otlp(self) -> bool:
        """Whether this release has an OTLP receiver."""
        return self._ask("POST", PATHS["otlp"], {**_HEADERS["otlp"], "Content-Length": "0"})[0] < 300

    def queryable(self) -> int:
        """Points in its parts, those that are searched, while none waits to get there."""
        _, text = self._ask("GET", "/metrics")
        rows = re.findall(r'^vm_rows\{type="storage/[^"]*"\} (\S+)$', text, re.MULTILINE)
        waiting = re.findall(r'^vm_pending_rows\{type="storage"\} (\S+)$', text, re.MULTILINE)
        return 0 if any(float(one) for one in waiting) else round(sum(map(float, rows)))

    def counted(self) -> int:
        """Points that a query counts."""
        query = quote('sum(count_over_time({__name__=~"bench.+"}[2h]))')
        _, text = self._ask("GET", f"/api/v1/query?query={query}&nocache=1")
        (found,) = json.loads(text)["data"]["result"]
        return round(float(found["value"][1]))

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(30)

    def _answers(self) -> bool:
        try:
            return self._ask("GET", "/health")[0] == 200
        except OSError:
            return False

    def _ask(self, method: str, path: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)
        try:
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def send(url: str, how: str, requests: list[bytes], points: int, at_once: int) -> dict[str, float]:
    """Send all, `at_once` at a time."""
    waiting: Iterator[bytes] = iter(requests)

    def lane(_number: int) -> int:
        connection, refused = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60), 0
        for raw in waiting:
            connection.request("POST", PATHS[how], raw, _HEADERS[how])
            answer = connection.getresponse()
            answer.read()
            refused += answer.status >= 300
        connection.close()
        return refused

    begun = time.perf_counter()
    with ThreadPoolExecutor(at_once) as pool:
        refused = sum(pool.map(lane, range(at_once)))
    seconds = time.perf_counter() - begun
    return {"acknowledged": (len(requests) - refused) * points, "refused": refused, "seconds": seconds}


def main() -> None:
    """See the module."""
    url, how, (points, first, senders, at_once) = sys.argv[1], sys.argv[2], map(int, sys.argv[3:7])
    base_ns = time.time_ns() - _BACK_NS
    make = Sender if how == "otlp" else Remote
    several = [make(points, first + 1000 * place, base_ns) for place in range(senders)]
    for line in sys.stdin:
        export, count = map(int, line.split())
        requests = [one.export(number) for number in range(export, export + count) for one in several]
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        sys.stdout.write(json.dumps(send(url, how, requests, points, at_once)) + "\n")
        sys.stdout.flush()


class _Clients:
    def __init__(self, url: str, how: str, numbers: tuple[int, int, int]) -> None:
        points, senders, at_once = numbers
        self._processes = []
        for place in range(_CLIENTS):
            given = [url, how, *map(str, (points, (place + 1) * _MILLION, senders, at_once))]
            command = [sys.executable, "-m", "tests.bench.rival_victoria", *given]
            pipe = subprocess.PIPE
            self._processes.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT))

    def say(self, text: str) -> list[str]:
        """Tell each a line, then hear a line of each."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(text + "\n")
            process.stdin.flush()
        return [process.stdout.readline() for process in self._processes if process.stdout is not None]

    def send(self, first: int, exports: int) -> int:
        """Points acknowledged of these exports."""
        self.prepare(first, exports)
        return self.go()

    def prepare(self, first: int, exports: int) -> None:
        """Serialise these exports."""
        assert self.say(f"{first} {exports}") == ["ready\n"] * _CLIENTS

    def go(self) -> int:
        """Send what is ready; points acknowledged."""
        return sum(int(json.loads(line)["acknowledged"]) for line in self.say("go"))

    def stop(self) -> None:
        """End them."""
        for process in self._processes:
            process.communicate(timeout=10)


def _until_queryable(server: Server, points: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while server.queryable() < points:
        assert time.monotonic() < deadline, f"{server.queryable()} of {points} points\n{server.log}"
        time.sleep(0.2)


def _measured(program: str, path: Path, load: tuple[int, int, int, int], ours: float) -> list[Row]:
    points, senders, exports, at_once = load
    server = Server(program, path)
    how = "otlp" if server.takes_otlp() else "remote-write"
    clients = _Clients(server.url, how, (points, senders, at_once))
    try:
        # As for threenines, a first export makes the series known and is not measured.
        before = clients.send(0, 1)
        _until_queryable(server, before)
        clients.prepare(1, exports)
        spent = cpu_s(server.pid)
        acknowledged = clients.go()
        _until_queryable(server, before + acknowledged)
        spent = cpu_s(server.pid) - spent
        counted, memory = server.counted() - before, rss_mb(server.pid)
    finally:
        clients.stop()
        server.stop()
    assert counted == acknowledged > 0, server.log
    rate = acknowledged / spent / _MILLION
    return [
        Row(f"VictoriaMetrics, {NAMES[how]}, {points} points a request", rate, "M points/CPU-s"),
        Row("  points acknowledged, and counted by its query", acknowledged / _MILLION, "M points"),
        Row("  its resident memory, largest", memory, "MB"),
        Row("threenines : VictoriaMetrics", ours / rate, "x"),
    ]


async def victoria(path: Path, ours: float, *, load: tuple[int, int, int, int]) -> list[Row]:
    """Its figures under `load` (points, senders, exports, at once); `ours` in M points/CPU-s."""
    program = binary()
    if program is None:
        absent = "VictoriaMetrics: not here (Debian: apt-get install victoria-metrics); not compared"
        return [Row(absent, float("nan"), "")]
    return await asyncio.to_thread(_measured, program, path, load, ours)


if __name__ == "__main__":
    main()
