"""The OpenTelemetry SDK for Python over gRPC and HTTP: sent is stored, and the SDK has no complaint."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from tests.scenario.collector_stack import CollectorStack, collector_stack

pytestmark = pytest.mark.engines

_ROUNDS = 8
_TABLES = {
    "Gauge": "points",
    "Sum": "points",
    "Histogram": "histograms",
    "ExponentialHistogram": "exp_histograms",
}


class Ledger(MetricExporter):
    """Hands everything on to a real exporter and counts the points that were delivered, by table."""

    def __init__(self, exporter: MetricExporter) -> None:
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self.exporter = exporter
        self.sent: Counter[str] = Counter()
        self.last_requests = 0

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Send."""
        result = self.exporter.export(metrics_data, timeout_millis, **kwargs)
        assert result is MetricExportResult.SUCCESS
        for resource in metrics_data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    self.sent[_TABLES[type(metric.data).__name__]] += len(metric.data.data_points)
                    if metric.name == "requests":
                        self.last_requests = sum(int(point.value) for point in metric.data.data_points)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Nothing waits here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """End."""
        self.exporter.shutdown(timeout_millis, **kwargs)


def grpc_exporter(stack: CollectorStack) -> MetricExporter:
    return GrpcExporter(endpoint=f"http://{stack.collector.otlp_address}", insecure=True)


def http_exporter(compression: Compression, **options: Any) -> Callable[[CollectorStack], MetricExporter]:
    return lambda stack: HttpExporter(
        endpoint=stack.collector.otlp_http_url, compression=compression, **options
    )


EXPORTERS = {
    "grpc": grpc_exporter,
    "http": http_exporter(Compression.NoCompression),
    "http-gzip": http_exporter(Compression.Gzip),
    "http-deflate": http_exporter(Compression.Deflate),
    "http-delta": http_exporter(
        Compression.Gzip, preferred_temporality={Histogram: AggregationTemporality.DELTA}
    ),
}


def serve_requests(name: str, exporter: MetricExporter) -> Ledger:
    """A service that counts, measures and observes, and exports `_ROUNDS` times."""
    ledger = Ledger(exporter)
    provider = MeterProvider(
        metric_readers=[PeriodicExportingMetricReader(ledger, export_interval_millis=3_600_000)],
        resource=Resource.create({"service.name": f"sdk-{name}"}),
        views=[View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation())],
    )
    meter = provider.get_meter("shop", "1.2.3", schema_url="https://example.test/schema")

    def observe(_options: CallbackOptions) -> list[Observation]:
        return [Observation(0.25, {"core": core}) for core in range(4)]

    requests, open_now = meter.create_counter("requests"), meter.create_up_down_counter("open")
    duration, size = meter.create_histogram("duration", unit="s"), meter.create_histogram("size", unit="By")
    meter.create_observable_gauge("load", [observe])
    for number in range(_ROUNDS):
        for route in ("/", "/cart", "/ключ"):
            requests.add(number + 1, {"route": route, "ok": number % 2 == 0})
            open_now.add(1 - 2 * (number % 2), {"route": route})
            duration.record(0.1 * number, {"route": route})
            size.record(2.0**number, {"route": route})
        assert provider.force_flush()
    provider.shutdown()
    return ledger


async def test_what_the_sdk_sent_is_stored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="opentelemetry")
    async with collector_stack(tmp_path) as stack:
        ledgers = {
            name: await asyncio.to_thread(serve_requests, name, make(stack))
            for name, make in EXPORTERS.items()
        }
        total = sum((ledger.sent for ledger in ledgers.values()), Counter[str]())
        counts = await stack.until_written(total.total())
        stored = {
            table: int((await stack.database.rows(f"SELECT count() FROM {table}"))[0][0]) for table in total
        }

    assert total.total() > 5 * _ROUNDS * 13
    assert {ledger.last_requests for ledger in ledgers.values()} == {3 * sum(range(1, _ROUNDS + 1))}
    assert stored == dict(total)
    assert (counts.rejected_count, counts.acknowledged_count) == (0, total.total())
    assert [record.getMessage() for record in caplog.records if record.name.startswith("opentelemetry")] == []
