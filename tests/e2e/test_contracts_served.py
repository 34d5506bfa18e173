"""Every RPC of the contracts against the running platform: served, or UNIMPLEMENTED with a reason."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from services.common.grpc_details import read_details
from tests.e2e.platform import Up, running, until
from threenines.alerting.v1 import alert_service_pb2, incident_service_pb2
from threenines.collector.v1 import collector_service_pb2
from threenines.dr.v1 import backup_service_pb2, drill_service_pb2, failover_service_pb2
from threenines.sla.v1 import sla_service_pb2

pytestmark = [pytest.mark.engines, pytest.mark.timeout(600)]
_FILES = {
    "collector": (collector_service_pb2,),
    "sla": (sla_service_pb2,),
    "alerting": (alert_service_pb2, incident_service_pb2),
    "dr": (backup_service_pb2, drill_service_pb2, failover_service_pb2),
}
_LIST = Path(__file__).parents[1] / "rpc" / "unimplemented_rpcs.txt"
UNIMPLEMENTED = {line for line in _LIST.read_text().splitlines() if line and not line.startswith("#")}


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running(tmp_path_factory.mktemp("up")) as platform:
        yield platform


def methods(service: str) -> Iterator[tuple[str, bool]]:
    """(full name, does it stream) of each RPC of a process."""
    for module in _FILES[service]:
        for descriptor in module.DESCRIPTOR.services_by_name.values():
            for method in descriptor.methods:
                yield f"{descriptor.full_name}/{method.name}", method.server_streaming


def call(channel: grpc.Channel, method: str, streaming: bool, metadata: tuple[tuple[str, str], ...]) -> None:
    """Call with an empty request; raises grpc.RpcError."""
    if streaming:
        list(channel.unary_stream(f"/{method}")(b"", metadata=metadata, timeout=20))
    else:
        channel.unary_unary(f"/{method}")(b"", metadata=metadata, timeout=20)


def refused(
    channel: grpc.Channel, method: str, streaming: bool, metadata: tuple[tuple[str, str], ...]
) -> grpc.RpcError | None:
    """The error of a call, or None when it was served."""
    try:
        call(channel, method, streaming, metadata)
    except grpc.RpcError as error:
        return error
    return None


@pytest.mark.parametrize("service", sorted(_FILES))
def test_an_rpc_is_unimplemented_with_a_reason_exactly_when_it_is_listed(up: Up, service: str) -> None:
    found = set()
    with up.connection.channel(service) as channel:
        for method, streaming in methods(service):
            refusal = refused(channel, method, streaming, up.connection.metadata)
            if refusal is None:
                continue
            assert refusal.code() not in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL), method
            details = read_details(refusal)
            assert details.reason, method
            if details.reason == "RPC_NOT_BUILT":
                assert refusal.code() is grpc.StatusCode.UNIMPLEMENTED
                found.add(method)
    listed = {name for name in UNIMPLEMENTED if name in {method for method, _ in methods(service)}}
    assert found == listed


@pytest.mark.parametrize("service", sorted(_FILES))
def test_every_rpc_refuses_a_call_without_and_with_a_wrong_token(up: Up, service: str) -> None:
    with up.connection.channel(service) as channel:
        for method, streaming in methods(service):
            for metadata, reason in (
                ((), "TOKEN_MISSING"),
                ((("authorization", "Bearer tn_0123456789ab_" + "x" * 43),), "TOKEN_UNKNOWN"),
            ):
                with pytest.raises(grpc.RpcError) as raised:
                    call(channel, method, streaming, metadata)
                assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED, method
                assert read_details(raised.value).reason == reason, method


@pytest.mark.parametrize("service", sorted(_FILES))
def test_health_and_reflection_are_open_and_name_the_services(up: Up, service: str) -> None:
    names = {method.split("/")[0] for method, _ in methods(service)}
    with up.connection.channel(service) as channel:
        health = health_pb2_grpc.HealthStub(channel)

        def serving(name: str) -> bool:
            response = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=10)
            return bool(response.status == health_pb2.HealthCheckResponse.SERVING)

        for name in ("", *names):
            # A stalled machine makes it say otherwise for a moment. A name that it does not know is an error.
            until(partial(serving, name), 30, partial(str, name))
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([request]))
        listed = {each.name for each in next(iter(answers)).list_services_response.service}
    assert names <= listed


def test_the_embedded_clickhouse_asks_for_its_password(up: Up) -> None:
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(f"http://{up.state()['clickhouse']['address']}/?query=SELECT+1", timeout=10)
    assert raised.value.code in (401, 403)
    raised.value.close()
