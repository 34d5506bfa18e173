"""SlaService over gRPC: each method reads the request, asks the use case, writes the answer."""

from typing import Any

from services.sla.convert import (
    contracts_to_proto,
    latency_to_proto,
    objectives_to_proto,
    slices_to_proto,
    uptime_to_proto,
)
from services.sla.convert_contract import contract_to_proto
from services.sla.convert_maintenance import (
    cancel_from_proto,
    maintenance_to_proto,
    maintenances_to_proto,
    states_from_proto,
    wish_from_proto,
)
from services.sla.convert_requests import (
    asked_from_proto,
    page_from_proto,
    quantile_from_proto,
    slice_query_from_proto,
)
from services.sla.convert_statuses import StatusMessages
from services.sla.maintenance.manage import Maintenance
from services.sla.names import parse_contract, parse_objective, parse_parent, parse_status
from services.sla.reports.generate import Reports
from services.sla.reports.servicer import ReportRpcs
from services.sla.serve import SlaFigures
from services.sla.servicer_outcomes import OutcomeRpcs, Outcomes
from threenines.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

SERVICE_NAME = sla_service_pb2.DESCRIPTOR.services_by_name["SlaService"].full_name


class SlaServicer(ReportRpcs, OutcomeRpcs, sla_service_pb2_grpc.SlaServiceServicer):
    """What this release answers; every other method of the contract says that it is not built."""

    def __init__(
        self,
        figures: SlaFigures,
        maintenance: Maintenance,
        reports: Reports | None = None,
        outcomes: Outcomes | None = None,
    ) -> None:
        self._figures = figures
        self._reports = reports
        self._outcomes = outcomes
        self._maintenance = maintenance
        self._messages = StatusMessages()

    async def GetUptime(
        self, request: sla_service_pb2.GetUptimeRequest, _context: Any
    ) -> sla_service_pb2.GetUptimeResponse:
        """See the contract."""
        uptime = await self._figures.uptime(*parse_objective(request.objective), asked_from_proto(request))
        return sla_service_pb2.GetUptimeResponse(uptime=uptime_to_proto(uptime))

    async def GetLatency(
        self, request: sla_service_pb2.GetLatencyRequest, _context: Any
    ) -> sla_service_pb2.GetLatencyResponse:
        """See the contract."""
        asked, quantile = asked_from_proto(request), quantile_from_proto(request)
        latency = await self._figures.latency(*parse_objective(request.objective), asked, quantile)
        return sla_service_pb2.GetLatencyResponse(latency=latency_to_proto(latency))

    async def GetSlaStatus(
        self, request: sla_service_pb2.GetSlaStatusRequest, _context: Any
    ) -> sla_pb2.SlaStatus:
        """See the contract."""
        status = await self._figures.status(parse_status(request.name), asked_from_proto(request))
        return self._messages.of(status)

    async def BatchGetSlaStatus(
        self, request: sla_service_pb2.BatchGetSlaStatusRequest, _context: Any
    ) -> sla_service_pb2.BatchGetSlaStatusResponse:
        """See the contract."""
        tenants = [parse_status(name, field="names") for name in request.names]
        found = await self._figures.batch_status(tenants, asked_from_proto(request))
        return sla_service_pb2.BatchGetSlaStatusResponse(
            sla_statuses=[self._messages.of(status) for status in found]
        )

    async def QuerySlices(
        self, request: sla_service_pb2.QuerySlicesRequest, _context: Any
    ) -> sla_service_pb2.QuerySlicesResponse:
        """See the contract."""
        query, page = slice_query_from_proto(request), page_from_proto(request)
        found = await self._figures.slices(*parse_objective(request.objective), query, page)
        return slices_to_proto(found, distributions=request.include_distributions)

    async def ListContracts(
        self, request: sla_service_pb2.ListContractsRequest, _context: Any
    ) -> sla_service_pb2.ListContractsResponse:
        """See the contract."""
        tenant, page = parse_parent(request.parent), page_from_proto(request)
        found = self._figures.contracts(tenant, page, all_versions=request.show_all_versions)
        return contracts_to_proto(found)

    async def GetContract(
        self, request: sla_service_pb2.GetContractRequest, _context: Any
    ) -> sla_pb2.Contract:
        """See the contract."""
        found = self._figures.contract(*parse_contract(request.name), version=request.version)
        return contract_to_proto(found)

    async def ListObjectives(
        self, request: sla_service_pb2.ListObjectivesRequest, _context: Any
    ) -> sla_service_pb2.ListObjectivesResponse:
        """See the contract."""
        tenant = parse_parent(request.parent)
        contract = parse_contract(request.contract, field="contract")[1] if request.contract else None
        return objectives_to_proto(self._figures.objectives(tenant, contract, page_from_proto(request)))

    async def CreateMaintenanceWindow(
        self, request: sla_service_pb2.CreateMaintenanceWindowRequest, _context: Any
    ) -> sla_pb2.MaintenanceWindow:
        """See the contract."""
        tenant = self._maintenance.tenant(parse_parent(request.parent))
        view = await self._maintenance.create(tenant, wish_from_proto(request, tenant))
        return maintenance_to_proto(view)

    async def CancelMaintenanceWindow(
        self, request: sla_service_pb2.CancelMaintenanceWindowRequest, _context: Any
    ) -> sla_pb2.MaintenanceWindow:
        """See the contract."""
        return maintenance_to_proto(await self._maintenance.cancel(*cancel_from_proto(request)))

    async def ListMaintenanceWindows(
        self, request: sla_service_pb2.ListMaintenanceWindowsRequest, _context: Any
    ) -> sla_service_pb2.ListMaintenanceWindowsResponse:
        """See the contract."""
        states, page = states_from_proto(request), page_from_proto(request)
        tenant = self._maintenance.tenant(parse_parent(request.parent))
        return maintenances_to_proto(self._maintenance.page(tenant, states, page))
