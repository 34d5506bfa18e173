"""OTLP/gRPC: `MetricsService/Export`, taking the raw bytes.

Raw, because the log keeps requests as received, and because gRPC's own deserialiser answers
INTERNAL to bytes that it cannot read, where OTLP wants INVALID_ARGUMENT. The generic handler
passes through the same interceptors as every generated one.
"""

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from services.collector.receive import Outcome, Receiver
from services.common.auth import Role, current_principal, require_tenant
from services.common.errors import PermissionDenied

SERVICE_NAME = "opentelemetry.proto.collector.metrics.v1.MetricsService"


def add_metrics_service(server: grpc.aio.Server, receiver: Receiver) -> None:
    """Serve OTLP metrics on `server`."""
    export: grpc.RpcMethodHandler[bytes, ExportMetricsServiceResponse]
    export = grpc.unary_unary_rpc_method_handler(
        MetricsServicer(receiver).export,
        request_deserializer=None,
        response_serializer=ExportMetricsServiceResponse.SerializeToString,
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE_NAME, {"Export": export}),))


class MetricsServicer:
    """Export, on raw bytes."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    async def export(self, raw: bytes, _context: object) -> ExportMetricsServiceResponse:
        """Take one request of the caller's tenant."""
        return outcome_to_proto(await self._receiver.export(sending_tenant(), raw))


def sending_tenant() -> str:
    """The tenant whose credential sends telemetry.

    Raises:
        PermissionDenied: ROLE_NOT_ALLOWED, or TENANT_REQUIRED for a platform credential: data must
            belong to a tenant.
    """
    principal = current_principal()
    if principal.platform:
        raise PermissionDenied(
            "a platform credential belongs to no tenant, so it cannot send telemetry",
            reason="TENANT_REQUIRED",
            next_step="Create a token of the tenant with the role writer.",
        )
    return require_tenant(principal.tenant, Role.WRITER).tenant


def outcome_to_proto(outcome: Outcome) -> ExportMetricsServiceResponse:
    """The response; `partial_success` stays unset when every point was accepted."""
    response = ExportMetricsServiceResponse()
    if outcome.rejected:
        reasons = ", ".join(f"{reason}: {count}" for reason, count in sorted(outcome.reasons.items()))
        response.partial_success.rejected_data_points = outcome.rejected
        response.partial_success.error_message = (
            f"{outcome.rejected} of {outcome.points} points were rejected ({reasons})"
        )
    return response
