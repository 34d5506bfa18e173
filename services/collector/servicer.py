"""CollectorService: message in, use case, message out. What is not here is not built yet."""

from typing import Any, TypeAlias

import grpc

from services.collector import convert, convert_dead_letters, convert_quota, convert_series
from services.collector.dead_letters import DeadLetterReader
from services.collector.dead_letters_replay import DeadLetterReplay
from services.collector.list_series import SeriesLister
from services.collector.set_quota import QuotaAdministration
from services.collector.status import StatusReporter
from services.collector.tenants import Tenants, own_tenant
from services.collector.usage import UsageReporter
from threenines.collector.v1 import collector_pb2, collector_service_pb2, collector_service_pb2_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class CollectorServicer(collector_service_pb2_grpc.CollectorServiceServicer):
    """The administration of the collector."""

    def __init__(
        self,
        *,
        status: StatusReporter,
        tenants: Tenants,
        series: SeriesLister,
        quotas: QuotaAdministration,
        usage: UsageReporter,
        dead_letters: DeadLetterReader,
        replay: DeadLetterReplay,
    ) -> None:
        self._status = status
        self._tenants = tenants
        self._series = series
        self._quotas = quotas
        self._usage = usage
        self._dead_letters = dead_letters
        self._replay = replay

    async def GetStatus(
        self, request: collector_service_pb2.GetStatusRequest, _context: Context
    ) -> collector_service_pb2.GetStatusResponse:
        """How far the log is written, and the counts."""
        tenant = convert.tenant_from_name(request.tenant, field="tenant") if request.tenant else None
        return convert.status_to_proto(await self._status.report(tenant))

    async def ListSeries(
        self, request: collector_service_pb2.ListSeriesRequest, _context: Context
    ) -> collector_service_pb2.ListSeriesResponse:
        """List the series that had points in a range."""
        asked = convert_series.request_from_proto(request, _parent(request.parent))
        return convert_series.page_to_proto(asked.tenant, await self._series.series(asked))

    async def ListAttributeValues(
        self, request: collector_service_pb2.ListAttributeValuesRequest, _context: Context
    ) -> collector_service_pb2.ListAttributeValuesResponse:
        """List the values of an attribute."""
        asked = convert_series.request_from_proto(request, _parent(request.parent))
        return convert_series.values_to_proto(await self._series.values(asked, request.attribute))

    async def GetTenantUsage(
        self, request: collector_service_pb2.GetTenantUsageRequest, _context: Context
    ) -> collector_pb2.TenantUsage:
        """What a tenant stored, and what makes its series many."""
        tenant = convert_quota.usage_tenant(request.name) if request.name else own_tenant()
        asked = convert_quota.usage_from_proto(request, tenant)
        return convert_quota.usage_to_proto(await self._usage.usage(asked))

    async def SetTenantQuota(
        self, request: collector_service_pb2.SetTenantQuotaRequest, _context: Context
    ) -> collector_pb2.TenantQuota:
        """Change a tenant's quota."""
        change = convert_quota.change_from_proto(request)
        return convert_quota.quota_to_proto(await self._quotas.set_quota(change))

    async def CreateTenant(
        self, request: collector_service_pb2.CreateTenantRequest, _context: Context
    ) -> collector_pb2.Tenant:
        """Create a client company."""
        wish = convert.tenant_from_proto(request)
        created = await self._tenants.create_tenant(wish.tenant, wish.display_name)
        return convert.tenant_to_proto(created)

    async def CreateToken(
        self, request: collector_service_pb2.CreateTokenRequest, _context: Context
    ) -> collector_pb2.Token:
        """Create a token and show its secret once."""
        tenant, role = _parent(request.parent), convert.role_from_proto(request.token)
        return convert.token_to_proto(await self._tenants.create_token(tenant, role, request.token_id))

    async def RevokeToken(
        self, request: collector_service_pb2.RevokeTokenRequest, _context: Context
    ) -> collector_pb2.Token:
        """Revoke a token."""
        tenant, token_id = convert.token_from_name(request.name)
        return convert.token_to_proto(await self._tenants.revoke_token(tenant, token_id))

    async def ListTokens(
        self, request: collector_service_pb2.ListTokensRequest, _context: Context
    ) -> collector_service_pb2.ListTokensResponse:
        """List a tenant's tokens."""
        page = await self._tenants.list_tokens(
            _parent(request.parent),
            page_size=request.page_size,
            page_token=request.page_token,
            show_inactive=request.show_inactive,
        )
        return convert.token_page_to_proto(page)

    async def ListDeadLetters(
        self, request: collector_service_pb2.ListDeadLettersRequest, _context: Context
    ) -> collector_service_pb2.ListDeadLettersResponse:
        """List what could not be written."""
        page = await self._dead_letters.page(
            _parent(request.parent),
            page_size=request.page_size,
            page_token=request.page_token,
            show_replayed=request.show_replayed,
        )
        return convert_dead_letters.page_to_proto(page)

    async def GetDeadLetter(
        self, request: collector_service_pb2.GetDeadLetterRequest, _context: Context
    ) -> collector_pb2.DeadLetter:
        """One dead letter, with the first of its bytes."""
        found = await self._dead_letters.one(*convert_dead_letters.letter_from_name(request.name))
        return convert_dead_letters.letter_to_proto(found, with_data=True)

    async def ReplayDeadLetter(
        self, request: collector_service_pb2.ReplayDeadLetterRequest, _context: Context
    ) -> collector_pb2.DeadLetter:
        """Append a dead letter again, once."""
        done = await self._replay.replay(*convert_dead_letters.letter_from_name(request.name))
        return convert_dead_letters.letter_to_proto(done, with_data=False)


def _parent(name: str) -> str:
    return convert.tenant_from_name(name, field="parent") if name else own_tenant()
