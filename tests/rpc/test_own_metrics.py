"""The suite's own metrics leave the process as OTLP, and only when there is an endpoint."""

import asyncio

import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc

from services.common.auth import Authenticator, TokenTable
from services.common.clock import SystemClock
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port, build_server
from services.common.settings import ServerConfig
from services.common.telemetry import Telemetry


class Receiver(metrics_service_pb2_grpc.MetricsServiceServicer):
    """Keeps what it is sent."""

    def __init__(self):
        self.requests = asyncio.Queue()

    async def Export(self, request, context):  # noqa: N802 - the contract names it
        await self.requests.put(request)
        return metrics_service_pb2.ExportMetricsServiceResponse()


@pytest.fixture
async def receiver():
    server = build_server(
        config=ServerConfig("127.0.0.1:0"),
        authenticator=Authenticator("none", TokenTable()),
        health=HealthRegistry(SystemClock()),
        service_names=[],
    )
    keeps = Receiver()
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(keeps, server)
    await server.start()
    yield keeps, bound_port(server)
    await server.stop(0)


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_counts_arrive_at_the_endpoint(receiver, scheme):
    keeps, port = receiver
    telemetry = Telemetry("threenines-sla", endpoint=f"{scheme}127.0.0.1:{port}", export_interval_ms=100)
    telemetry.counters.add("sla.figures.served", 3, rpc="GetSlaStatus")
    request = await asyncio.wait_for(keeps.requests.get(), 20)
    await asyncio.to_thread(telemetry.shutdown)

    resource = request.resource_metrics[0]
    attributes = {each.key: each.value.string_value for each in resource.resource.attributes}
    metrics = {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}
    assert (attributes["service.name"], attributes["deployment.region"]) == ("threenines-sla", "local")
    assert metrics["threenines.sla.figures.served"].sum.data_points[0].as_int == 3


async def test_an_endpoint_that_is_down_delays_neither_counting_nor_the_end():
    async with asyncio.timeout(15):
        telemetry = Telemetry("threenines-sla", endpoint="http://127.0.0.1:1", export_interval_ms=100)
        telemetry.counters.add("sla.figures.served")
        await asyncio.sleep(0.2)
        await asyncio.to_thread(telemetry.shutdown)

    assert telemetry.counters.value("sla.figures.served") == 1
