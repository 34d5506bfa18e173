"""The gRPC server of alerting: its servicers, its tokens, its port."""

import grpc

from services.alerting.list import AlertLists
from services.alerting.servicer import SERVICE_NAMES, AlertServicer
from services.common.auth_feed import build_authenticator
from services.common.config_feed import ConfigFeed
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import build_server
from services.common.settings import Settings
from services.common.telemetry import Telemetry
from threenines.alerting.v1 import alert_service_pb2_grpc, incident_service_pb2_grpc


def build_alerting_server(
    settings: Settings,
    *,
    feed: ConfigFeed,
    health: HealthRegistry,
    lists: AlertLists,
    telemetry: Telemetry | None = None,
) -> grpc.aio.Server:
    """A server that is bound and not started; tokens follow the configuration."""
    server = build_server(
        config=settings.server_config(settings.alerting_listen),
        authenticator=build_authenticator(settings, feed),
        health=health,
        service_names=SERVICE_NAMES,
        telemetry=telemetry,
    )
    alert_service_pb2_grpc.add_AlertServiceServicer_to_server(
        AlertServicer(lists),  # type: ignore[abstract]  # abstract in the stubs only
        server,
    )
    # Nothing of it is built: the generated base answers UNIMPLEMENTED.
    incident_service_pb2_grpc.add_IncidentServiceServicer_to_server(
        incident_service_pb2_grpc.IncidentServiceServicer(),  # type: ignore[abstract]  # as above
        server,
    )
    return server
