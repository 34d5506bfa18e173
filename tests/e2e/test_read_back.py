"""What was sent, read back by the command: series, values, points as they arrive, export, views."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from typer.testing import CliRunner

from services.cli.commands.tenant import create_tenant
from services.cli.main import app
from tests.e2e.platform import Up, running, until
from tests.otlp_canonical import canonical
from tests.otlp_requests import RequestMaker

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running(tmp_path_factory.mktemp("up")) as platform:
        yield platform


def command(up: Up, *arguments: str) -> list[str]:
    """The command line of `threenines` for this platform."""
    return [sys.executable, "-m", "services.cli.main", *arguments, "--data-dir", str(up.files.root)]


def run(up: Up, *arguments: str) -> str:
    """Run to the end, in this process; what it printed."""
    done = CliRunner().invoke(app, [*arguments, "--data-dir", str(up.files.root)])
    assert done.exit_code == 0, done.output
    return done.stdout


def send(up: Up, tenant: str, request: Message) -> None:
    """Export as that tenant."""
    secret = create_tenant(up.connection, tenant).secret
    with grpc.insecure_channel(up.connection.address("otlp")) as channel:
        metadata = (("authorization", f"Bearer {secret}"),)
        stub = MetricsServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
        stub.Export(request, metadata=metadata, timeout=10)


def names(request: ExportMetricsServiceRequest) -> set[str]:
    """The metrics of a request that have points."""
    return {
        metric.name
        for resource in canonical(request).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def _hears_ctrl_c() -> None:
    """A shell starts its background jobs with SIGINT ignored, and what they start inherits that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_everything_that_was_sent_can_be_read_back(up: Up, tmp_path: Path) -> None:
    sent = RequestMaker(3, now_ns=time.time_ns()).request(60)
    points = tmp_path / "points.bin"
    with (tmp_path / "tail").open("wb") as out, (tmp_path / "said").open("wb") as said:
        watching = subprocess.Popen(
            command(up, "tail", "acme"), stdout=out, stderr=said, preexec_fn=_hears_ctrl_c
        )
    try:
        until(lambda: "Ctrl-C" in (tmp_path / "said").read_text(), 30)
        send(up, "acme", sent)
        until(lambda: (tmp_path / "tail").read_text().count("\n") >= 10, 20)
    finally:
        watching.send_signal(signal.SIGINT)
        ended = watching.wait(20)
    assert ended == 130, (tmp_path / "said").read_text()

    wanted = canonical(sent).SerializeToString(deterministic=True)

    def exported() -> bytes:
        run(up, "export", "acme", "--start", "2h", "--format", "protobuf", "--to", str(points))
        read = canonical(ExportMetricsServiceRequest.FromString(points.read_bytes()))
        return read.SerializeToString(deterministic=True)

    # A batch is one insert for each table: in between some of its points can be read already.
    with contextlib.suppress(AssertionError):
        until(lambda: exported() == wanted, 30)
    assert exported() == wanted

    (*lines, _) = run(up, "export", "acme", "--start", "2h").split("\n")
    assert all("resourceMetrics" in json.loads(line) for line in lines)

    shown = json.loads(run(up, "series", "acme", "--start", "2h", "-o", "json"))["series"]
    assert {one["metric"] for one in shown} == names(sent)
    services = run(up, "series", "acme", "--start", "2h", "--values", "service.name").split()
    assert services == sorted({one["resource_attributes"]["service.name"] for one in shown})
    assert "last point" in run(up, "series", "acme", "--start", "2h")
    assert "threenines_acme" in run(up, "grafana", "acme")
