"""The RPCs of SlaService about what came of promises: downtime, credits, the live status, platform health.

A part of the servicer, kept beside it: each method reads the request, asks the use case, writes the answer.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from services.common.errors import InvalidArgument, NotBuilt
from services.sla.convert import status_to_proto
from services.sla.convert_credits import (
    credit_query_from_proto,
    credits_to_proto,
    downtime_query_from_proto,
    downtimes_to_proto,
)
from services.sla.convert_health import health_to_proto
from services.sla.convert_requests import window_from_proto
from services.sla.credits.serve import CreditCalculator
from services.sla.downtime import DowntimeList
from services.sla.names import parse_status
from services.sla.platform_health import HealthOfPlatform
from services.sla.serve import Asked
from services.sla.watch import Watches
from threenines.sla.v1 import sla_service_pb2


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The use cases behind these RPCs."""

    downtime: DowntimeList
    watches: Watches
    credits: CreditCalculator
    health: HealthOfPlatform


class OutcomeRpcs:
    """Methods of the servicer; a process without them answers that they are not built."""

    _outcomes: Outcomes | None

    async def WatchSlaStatus(
        self, request: sla_service_pb2.WatchSlaStatusRequest, _context: Any
    ) -> AsyncIterator[sla_service_pb2.WatchSlaStatusResponse]:
        """See the contract."""
        window = window_from_proto(request.window) if request.HasField("window") else None
        tenant, interval_ms = parse_status(request.name), _interval_ms(request)
        async for status in self._served().watches.watch(tenant, Asked(window), interval_ms):
            yield sla_service_pb2.WatchSlaStatusResponse(sla_status=status_to_proto(status))

    async def ListDowntime(
        self, request: sla_service_pb2.ListDowntimeRequest, _context: Any
    ) -> sla_service_pb2.ListDowntimeResponse:
        """See the contract."""
        tenant, key, asked, page = downtime_query_from_proto(request)
        found = await self._served().downtime.page(
            tenant, key, asked, page, degraded=request.include_degraded
        )
        return downtimes_to_proto(found)

    async def CalculateSlaCredits(
        self, request: sla_service_pb2.CalculateSlaCreditsRequest, _context: Any
    ) -> sla_service_pb2.CalculateSlaCreditsResponse:
        """See the contract."""
        return credits_to_proto(await self._served().credits.credits(*credit_query_from_proto(request)))

    async def GetPlatformHealth(
        self, _request: sla_service_pb2.GetPlatformHealthRequest, _context: Any
    ) -> sla_service_pb2.GetPlatformHealthResponse:
        """See the contract."""
        return health_to_proto(await self._served().health.read())

    def _served(self) -> Outcomes:
        if self._outcomes is None:
            raise NotBuilt("this process does not serve it")
        return self._outcomes


def _interval_ms(request: sla_service_pb2.WatchSlaStatusRequest) -> int | None:
    if not request.HasField("min_interval"):
        return None
    length = request.min_interval
    if not -86_400 <= length.seconds <= 86_400 or abs(length.nanos) >= 10**9:
        raise InvalidArgument("is not a length of time", field="min_interval", reason="BAD_INTERVAL")
    return length.seconds * 1000 + length.nanos // 1_000_000
