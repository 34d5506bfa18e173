"""One client company of the demonstration: a process that serves requests and reports them.

It uses nothing of threenines: the OpenTelemetry SDK, its OTLP/gRPC exporter and the HTTP server
semantic conventions, configured by the standard OTEL_* variables only. Every second it "serves"
requests with log-normal latencies; while the file named by --fault exists, most of them fail. What
the exporter got acknowledged goes to --ledger, one JSON object a line, so that somebody else can
count.
"""

import argparse
import json
import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from services.common.clock import SystemClock

REQUESTS_A_SECOND = 40
FAILING_SHARE = 0.9
# The boundaries that the HTTP semantic conventions advise, in seconds.
_BOUNDARIES = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_ROUTES = ("/orders", "/orders/{id}", "/invoices")


class Ledger:
    """What happened, as the company itself saw it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def note(self, **facts: object) -> None:
        """Append one line."""
        self._file.write(json.dumps(facts) + "\n")


class CountingExporter(OTLPMetricExporter):
    """The SDK's exporter; notes how many points were acknowledged."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def export(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any
    ) -> MetricExportResult:
        """Export, then write to the ledger what became of it."""
        result = super().export(metrics_data, timeout_millis, **kwargs)
        points = sum(
            len(metric.data.data_points)
            for resource in metrics_data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        )
        self._ledger.note(event="export", points=points, acknowledged=result is MetricExportResult.SUCCESS)
        return result


class Company:
    """The application: a histogram, a counter and a gauge, as an HTTP framework would report them."""

    def __init__(self, name: str, ledger: Ledger, fault: Path, rng: random.Random) -> None:
        self._ledger = ledger
        self._fault = fault
        self._rng = rng
        self._served = 0
        self._failed = 0
        resource = Resource.create({"service.name": "shop", "service.instance.id": f"{name}-1"})
        reader = PeriodicExportingMetricReader(CountingExporter(ledger))
        self._provider = MeterProvider(resource=resource, metric_readers=[reader])
        meter = self._provider.get_meter("threenines.demo", "1")
        self._durations = meter.create_histogram(
            "http.server.request.duration",
            unit="s",
            description="Duration of HTTP server requests.",
            explicit_bucket_boundaries_advisory=list(_BOUNDARIES),
        )
        self._active = meter.create_up_down_counter("http.server.active_requests", unit="{request}")
        self._orders = meter.create_counter("shop.orders", unit="{order}")
        self._stock = meter.create_gauge("shop.stock", unit="{item}")

    def serve_for(self, seconds: float) -> None:
        """Record the requests of a stretch of time."""
        failing = self._fault.exists()
        for _ in range(round(REQUESTS_A_SECOND * seconds)):
            self._serve_one(failing)
        self._stock.set(self._rng.randrange(1000))

    def _serve_one(self, failing: bool) -> None:
        route = self._rng.choice(_ROUTES)
        self._served += 1
        attributes: dict[str, str | int] = {
            "http.request.method": "GET",
            "http.route": route,
            "url.scheme": "https",
            "http.response.status_code": 200,
        }
        if failing and self._rng.random() < FAILING_SHARE:
            attributes |= {"http.response.status_code": 503, "error.type": "503"}
            self._failed += 1
            if self._failed == 1:
                self._ledger.note(event="first_failure", time_ns=SystemClock().now_ns())
        else:
            self._orders.add(1, {"http.route": route})
        self._active.add(self._rng.choice((-1, 1)), {"http.request.method": "GET"})
        self._durations.record(self._rng.lognormvariate(-2.2, 0.7), attributes)

    def close(self) -> None:
        """Export what is left and stop; then say how many requests there were."""
        self._provider.shutdown()
        self._ledger.note(event="served", requests=self._served, failed=self._failed)


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True)
    parser.add_argument("--ledger", required=True, type=Path)
    parser.add_argument("--fault", required=True, type=Path)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    parent = os.getppid()
    company = Company(
        arguments.name, Ledger(arguments.ledger), arguments.fault, random.Random(arguments.seed)
    )
    # Without its parent nobody would ever stop it.
    while not stop.wait(0.25) and os.getppid() == parent:
        company.serve_for(0.25)
    company.close()


if __name__ == "__main__":
    main()
