"""`threenines up` as its own client: quotas and usage by the command, own metrics of all services."""

import time
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from typer.testing import CliRunner

from services.cli.commands.tenant import create_tenant
from services.cli.main import app
from tests.e2e.platform import Up, running, until

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


def run(up: Up, *arguments: str) -> str:
    """Run to the end, in this process; what it printed."""
    done = CliRunner().invoke(app, [*arguments, "--data-dir", str(up.files.root)])
    assert done.exit_code == 0, done.output
    return done.stdout


def rejected(up: Up, secret: str, *series: str) -> int:
    """Points of these series that are refused."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="requests")
    for name in series:
        point = metric.gauge.data_points.add(time_unix_nano=time.time_ns(), as_int=1)
        point.attributes.add(key="path").value.string_value = name
    with grpc.insecure_channel(up.connection.address("otlp")) as channel:
        metadata = (("authorization", f"Bearer {secret}"),)
        stub = MetricsServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        answer = stub.Export(request, metadata=metadata, timeout=10)
    return int(answer.partial_success.rejected_data_points)


def test_quotas_hold_usage_tells_and_every_service_reports_to_its_own_collector(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "1000")
    with running(tmp_path) as up:
        secret = create_tenant(up.connection, "acme").secret
        assert "1,000,000" in run(up, "tenant", "quota", "acme")
        shown = run(up, "tenant", "quota", "acme", "--series", "2", "--points-per-second", "5000")
        assert "5,000" in shown
        assert "50,000" in shown
        until(lambda: " of 2" in run(up, "tenant", "usage", "acme"), 20)
        until(lambda: "being counted" not in run(up, "tenant", "usage", "acme"), 20)

        assert rejected(up, secret, "a", "b", "c", "d") == 2
        until(lambda: "2 of 2" in run(up, "tenant", "usage", "acme"), 20)
        until(lambda: "path" in run(up, "tenant", "usage", "acme"), 20)
        assert "requests" in run(up, "tenant", "usage", "acme", "--start", "1h")

        def services() -> str:
            return run(up, "series", "threenines", "--values", "service.name")

        names = ("collector", "sla", "alerting", "dr")
        until(lambda: all(f"threenines-{name}" in services() for name in names), 60, services)
        stopping = time.monotonic()
    assert time.monotonic() - stopping < 30
