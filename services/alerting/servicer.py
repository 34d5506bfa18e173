"""AlertService over gRPC: each method asks one question and converts the answer."""

from typing import Any

from services.alerting import convert
from services.alerting.list import AlertLists, PageRequest
from threenines.alerting.v1 import alert_service_pb2 as service_pb2
from threenines.alerting.v1 import alert_service_pb2_grpc as service_grpc

SERVICE_NAMES = (
    "threenines.alerting.v1.AlertService",
    "threenines.alerting.v1.IncidentService",
)


class AlertServicer(service_grpc.AlertServiceServicer):
    """What exists; the rest of the contract answers UNIMPLEMENTED by the generated base."""

    def __init__(self, lists: AlertLists) -> None:
        self._lists = lists

    async def ListAlerts(
        self,
        request: service_pb2.ListAlertsRequest,
        context: Any,  # noqa: ARG002
    ) -> service_pb2.ListAlertsResponse:
        """Alerts as the evaluator keeps them."""
        return convert.alerts_to_proto(await self._lists.alerts(convert.alert_query(request)))

    async def ListRules(
        self,
        request: service_pb2.ListRulesRequest,
        context: Any,  # noqa: ARG002
    ) -> service_pb2.ListRulesResponse:
        """Rules as they are evaluated, refused ones included."""
        page = PageRequest(request.page_size, request.page_token)
        return convert.rules_to_proto(await self._lists.rules(request.parent, page))

    async def ListNotifications(
        self,
        request: service_pb2.ListNotificationsRequest,
        context: Any,  # noqa: ARG002
    ) -> service_pb2.ListNotificationsResponse:
        """Notifications with every attempt."""
        query = convert.notification_query(request)
        return convert.notifications_to_proto(await self._lists.notifications(query))
