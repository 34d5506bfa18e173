"""The RPCs of reports: each reads the request, asks the use case, writes the answer."""

import asyncio
from typing import Any

from services.common.errors import FailedPrecondition
from services.sla.convert_reports import (
    document_to_proto,
    format_from_proto,
    listed_from_proto,
    report_to_proto,
    reports_to_proto,
    wish_from_proto,
)
from services.sla.names import parse_report
from services.sla.reports.generate import Reports
from threenines.sla.v1 import sla_pb2, sla_service_pb2


class ReportRpcs:
    """The part of SlaService that is about reports."""

    _reports: Reports | None

    async def GenerateSlaReport(
        self, request: sla_service_pb2.GenerateSlaReportRequest, _context: Any
    ) -> sla_pb2.SlaReport:
        """See the contract."""
        return report_to_proto(await self._use_cases.generate(*wish_from_proto(request)))

    async def GetSlaReport(
        self, request: sla_service_pb2.GetSlaReportRequest, _context: Any
    ) -> sla_pb2.SlaReport:
        """See the contract."""
        view = await self._use_cases.get(*parse_report(request.name))
        return await asyncio.to_thread(report_to_proto, view)

    async def GetSlaReportContent(
        self, request: sla_service_pb2.GetSlaReportContentRequest, _context: Any
    ) -> sla_service_pb2.GetSlaReportContentResponse:
        """See the contract."""
        chosen = format_from_proto(request)
        return document_to_proto(await self._use_cases.document(*parse_report(request.name), chosen))

    async def CancelSlaReport(
        self, request: sla_service_pb2.CancelSlaReportRequest, _context: Any
    ) -> sla_pb2.SlaReport:
        """See the contract."""
        return report_to_proto(await self._use_cases.cancel(*parse_report(request.name)))

    async def ListSlaReports(
        self, request: sla_service_pb2.ListSlaReportsRequest, _context: Any
    ) -> sla_service_pb2.ListSlaReportsResponse:
        """See the contract."""
        tenant, contract, page = listed_from_proto(request)
        found = await self._use_cases.page(tenant, contract, page, replaced=request.show_replaced)
        return reports_to_proto(found)

    @property
    def _use_cases(self) -> Reports:
        if self._reports is None:
            raise FailedPrecondition("this process serves no reports", reason="REPORTS_NOT_SERVED")
        return self._reports
