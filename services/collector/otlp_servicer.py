"""OTLP/gRPC: `MetricsService/Export`, taking the raw bytes.

Raw, because the log keeps requests as received, and because gRPC's own deserialiser answers
INTERNAL to bytes that it cannot read, where OTLP wants INVALID_ARGUMENT. The generic handler
passes through the same interceptors as every generated one.
"""

import asyncio
from typing import NoReturn

import grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from services.collector.admission import Admission
from services.collector.defects import sent_again
from services.collector.receive import Outcome, Receiver
from services.collector.unseen import UnseenQueue
from services.common.auth import Role, current_principal, require_tenant
from services.common.clock import Clock, SystemClock
from services.common.errors import PermissionDenied
from services.common.grpc_errors import Handler

TRANSPORT = "grpc"
SERVICE_NAME = "opentelemetry.proto.collector.metrics.v1.MetricsService"

SERVER_OPTIONS = (
    # Of the calls that wait to be seen, gRPC's core drops some from the thousandth on: their clients hear
    # CANCELLED, without the reason and without a delay.
    ("grpc.server.max_pending_requests", 1 << 20),
    ("grpc.server.max_pending_requests_hard_limit", 1 << 20),
    # Or it reads ahead as much as the connection carries, of calls that nobody has seen: now 64 KiB of each.
    ("grpc.http2.bdp_probe", 0),
)
"""For a server of this service; overload is ours to answer."""


def add_metrics_service(
    server: grpc.aio.Server, receiver: Receiver, admission: Admission, clock: Clock | None = None
) -> None:
    """Serve OTLP metrics on `server`, in the running event loop."""
    unseen = UnseenQueue(clock or SystemClock(), asyncio.get_running_loop().call_soon)
    handlers = _ExportHandlers(MetricsServicer(receiver, admission), admission, unseen)
    server.add_generic_rpc_handlers((handlers,))


class MetricsServicer:
    """Export, on raw bytes."""

    def __init__(self, receiver: Receiver, admission: Admission) -> None:
        self._receiver = receiver
        self._admission = admission

    async def export(self, raw: bytes, _context: object) -> ExportMetricsServiceResponse:
        """Take one request of the caller's tenant."""
        with self._admission.enter(TRANSPORT, len(raw)) as held:
            await held.turn()
            return outcome_to_proto(await self._receiver.export(sending_tenant(), raw, held.counted))

    async def refuse(self, _requests: object, _context: object) -> NoReturn:
        """Turn a request away unread. Its client hears why while it still sends (RFC 9113 8.1)."""
        raise self._admission.refuse(TRANSPORT)


class _ExportHandlers(grpc.GenericRpcHandler):
    """Chooses when a call begins, before its request is read: take it, or turn it away."""

    def __init__(self, servicer: MetricsServicer, admission: Admission, unseen: UnseenQueue) -> None:
        self._admission = admission
        self._unseen = unseen
        self._export: Handler = grpc.unary_unary_rpc_method_handler(
            sent_again(servicer.export, "Export"),
            request_deserializer=None,
            response_serializer=ExportMetricsServiceResponse.SerializeToString,
        )
        # On the wire every call is a stream; as one, its request is not read before that is asked for.
        self._refuse: Handler = grpc.stream_stream_rpc_method_handler(servicer.refuse)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "Handler | None":
        """The handler of a call; None for a method that is not ours."""
        if handler_call_details.method != f"/{SERVICE_NAME}/Export":
            return None
        if self._admission.standing:
            self._unseen.came()
        return self._refuse if self._admission.full or self._unseen.stands else self._export


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
