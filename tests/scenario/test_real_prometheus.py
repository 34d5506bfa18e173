"""A real Prometheus scrapes an exporter and itself and writes to the collector: nothing fails."""

import asyncio
import contextlib
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from tests.engines_nats import free_port
from tests.rpc.otlp_doors import Doors, open_doors

PROMETHEUS = shutil.which("prometheus")

pytestmark = pytest.mark.skipif(
    PROMETHEUS is None, reason="no prometheus on PATH (Debian and Ubuntu: apt-get install prometheus)"
)

EXPOSED = """\
# TYPE shop_orders counter
shop_orders_total{kind="cake"} 17.0 # {trace_id="0af7651916cd43dd8448eb211c80319c"} 1.0
# TYPE shop_queue gauge
shop_queue 3.0
# TYPE shop_latency histogram
shop_latency_bucket{le="0.1"} 3
shop_latency_bucket{le="0.5"} 3
shop_latency_bucket{le="+Inf"} 8
shop_latency_count 8
shop_latency_sum 2.25
# EOF
"""

CONFIG = """\
global: {{scrape_interval: 1s}}
scrape_configs:
  - {{job_name: shop/api, static_configs: [{{targets: ["127.0.0.1:{exporter}"]}}]}}
  - {{job_name: prometheus, static_configs: [{{targets: ["127.0.0.1:{own}"]}}]}}
remote_write:
  - url: {url}
    authorization: {{credentials: "{token}"}}
    send_exemplars: true
    send_native_histograms: true
    queue_config: {{min_shards: 1, max_shards: 1, batch_send_deadline: 200ms}}
"""


@contextlib.asynccontextmanager
async def exporter() -> AsyncIterator[asyncio.Server]:
    """Serves EXPOSED in the OpenMetrics format."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        media = "application/openmetrics-text; version=1.0.0; charset=utf-8"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length: {len(EXPOSED)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n{EXPOSED}".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server
    finally:
        server.close()
        await server.wait_closed()


@contextlib.contextmanager
def prometheus(doors: Doors, target: int, own: int, where: Path) -> Iterator[None]:
    """A Prometheus that scrapes both and writes to the HTTP door."""
    url = doors.url.replace("/v1/metrics", "/api/v1/write")
    config = where / "prometheus.yml"
    config.write_text(CONFIG.format(exporter=target, own=own, url=url, token=doors.tokens["writer"]))
    assert PROMETHEUS is not None
    with (where / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                PROMETHEUS,
                f"--config.file={config}",
                f"--storage.tsdb.path={where / 'data'}",
                f"--web.listen-address=127.0.0.1:{own}",
                "--enable-feature=exemplar-storage,native-histograms",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield
    finally:
        process.kill()
        process.wait(10)


async def metrics(doors: Doors, service: str) -> list[Metric]:
    """Everything in the log of one service."""
    found: list[Metric] = []
    for raw in await doors.logged():
        for each in ExportMetricsServiceRequest.FromString(raw).resource_metrics:
            names = {pair.key: pair.value.string_value for pair in each.resource.attributes}
            if names.get("service.name") == service:
                found += [metric for scope in each.scope_metrics for metric in scope.metrics]
    return found


async def until(reached: Callable[[list[Metric]], bool], doors: Doors) -> list[Metric]:
    """The service's metrics once they are as wanted."""
    async with asyncio.timeout(40):
        while not reached(found := await metrics(doors, "api")):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)
    return found


def gone(found: list[Metric]) -> bool:
    """Whether the target's series have ended and the last word about it is that it is down."""
    ups = [p.as_double for m in found if m.name == "up" for p in m.gauge.data_points]
    queue = [p for m in found if m.name == "shop_queue" for p in m.gauge.data_points]
    return any(p.flags == 1 for p in queue) and bool(ups) and ups[-1] == 0


async def own_counters(port: int) -> dict[str, float]:
    """What Prometheus counts of its remote write, by name without labels."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("prometheus_remote_storage_")]
    return {line.partition("{")[0]: float(line.rpartition(" ")[2]) for line in lines}


async def test_what_prometheus_scrapes_is_in_the_log(tmp_path: Path) -> None:
    own = free_port()
    async with open_doors() as doors, exporter() as server:
        target = server.sockets[0].getsockname()[1]
        with prometheus(doors, target, own, tmp_path):
            found = await until(lambda all_: sum(m.name == "shop_latency" for m in all_) >= 3, doors)
            shapes = {(metric.name, metric.WhichOneof("data")) for metric in found}
            assert {
                ("shop_orders_total", "sum"),
                ("shop_queue", "gauge"),
                ("shop_latency", "histogram"),
                ("up", "gauge"),
            } <= shapes
            latency = next(m for m in found if m.name == "shop_latency").histogram.data_points[0]
            assert list(latency.explicit_bounds) == [0.1, 0.5]
            assert (list(latency.bucket_counts), latency.count, latency.sum) == ([3, 0, 5], 8, 2.25)
            orders = [p for m in found if m.name == "shop_orders_total" for p in m.sum.data_points]
            assert {exemplar.trace_id.hex() for p in orders for exemplar in p.exemplars} == {
                "0af7651916cd43dd8448eb211c80319c"
            }

            server.close()
            # Not the first stale marker: a scrape that a slow machine did not answer in time leaves one too.
            await until(gone, doors)

            counted = await own_counters(own)
            assert counted["prometheus_remote_storage_samples_total"] > 1000
            for kind in ("samples", "exemplars", "histograms", "metadata"):
                assert counted[f"prometheus_remote_storage_{kind}_failed_total"] == 0, kind
                assert counted[f"prometheus_remote_storage_{kind}_retried_total"] == 0, kind
            names = {metric.name for metric in await metrics(doors, "prometheus")}
            print(len(names), counted)
            assert "prometheus_http_request_duration_seconds" in names
            assert "prometheus_http_request_duration_seconds_bucket" not in names
