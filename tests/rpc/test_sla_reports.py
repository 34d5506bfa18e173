"""Reports over a real server: asked for, made, read, listed, cancelled, and refused with field and reason."""

import asyncio
import hashlib
import secrets
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import grpc
import pytest

from services.common.auth import Authenticator, Role, TokenTable, mint_token, sha256_hex
from services.common.auth_tokens import TokenRecord
from services.common.clock import SystemClock
from services.common.config_feed import ConfigFeed
from services.common.errors import FailedPrecondition
from services.common.grpc_details import read_details
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port, build_server
from services.common.settings import ServerConfig
from services.sla.maintenance.manage import Maintenance
from services.sla.memory import MemorySliceStore
from services.sla.serve import SlaFigures
from services.sla.servicer import SERVICE_NAME, SlaServicer
from tests.unit.sla.reports.examples import END_MS, START_MS, flawless_month
from tests.unit.sla.reports.office import Contracts, Office, office
from threenines.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

GENERATING, ISSUED = sla_pb2.SLA_REPORT_STATE_GENERATING, sla_pb2.SLA_REPORT_STATE_ISSUED
NAME = "tenants/acme/reports/month-2026-10-gold-r1"
FORMATS = {
    sla_pb2.SLA_REPORT_FORMAT_JSON: b"{",
    sla_pb2.SLA_REPORT_FORMAT_CSV: b"section,",
    sla_pb2.SLA_REPORT_FORMAT_HTML: b"<!doctype html>",
    sla_pb2.SLA_REPORT_FORMAT_PDF: b"%PDF-",
}


@dataclass
class Service:
    """A running server with callers of every sort."""

    stub: sla_service_pb2_grpc.SlaServiceStub
    tokens: dict[str, str]
    office: Office
    address: str

    async def call(self, method: str, request: object, caller: str = "operator") -> object:
        metadata = (("authorization", f"Bearer {self.tokens[caller]}"),)
        return await getattr(self.stub, method)(request, metadata=metadata)

    async def generate(self, caller: str = "operator", **more: str) -> sla_pb2.SlaReport:
        return await self.call("GenerateSlaReport", month(**more), caller)

    async def get(self, name: str = NAME, caller: str = "reader") -> sla_pb2.SlaReport:
        return await self.call("GetSlaReport", sla_service_pb2.GetSlaReportRequest(name=name), caller)

    async def finished(self, name: str = NAME) -> sla_pb2.SlaReport:
        for _ in range(500):
            found = await self.get(name)
            if found.state != GENERATING:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError("the report was not made in 5 s")

    async def listed(self, caller: str = "reader", **more: object) -> list[str]:
        request = sla_service_pb2.ListSlaReportsRequest(parent="tenants/acme", **more)
        names = []
        while True:
            page = await self.call("ListSlaReports", request, caller)
            names += [one.name for one in page.sla_reports]
            request.page_token = page.next_page_token
            if not request.page_token:
                return names

    async def refusal(self, method: str, request: object, caller: str = "operator") -> tuple[str, str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(method, request, caller)
        return caught.value.code().name, read_details(caught.value).reason


def month(contract: str = "tenants/acme/contracts/gold", **more: str) -> object:
    request = sla_service_pb2.GenerateSlaReportRequest(contract=contract, **more)
    request.window.period = sla_pb2.CALENDAR_PERIOD_MONTH
    request.window.inside_time.FromMilliseconds((START_MS + END_MS) // 2)
    return request


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    callers = {
        "operator": ("acme", Role.OPERATOR),
        "reader": ("acme", Role.READER),
        "auditor": ("acme", Role.AUDITOR),
        "writer": ("acme", Role.WRITER),
        "umbra": ("umbra", Role.OPERATOR),
        "platform": ("*", Role.ADMIN),
    }
    minted = {name: mint_token(secrets.token_bytes) for name in callers}
    table = TokenTable(
        [TokenRecord(minted[name].token_id, *callers[name], minted[name].sha256) for name in callers]
    )
    clock, contracts = SystemClock(), Contracts()
    async with office(contracts=contracts) as running:
        feed = ConfigFeed(running.log, clock)
        maintenance = Maintenance(
            log=running.log, feed=feed, clock=clock, contracts=contracts, random_bytes=secrets.token_bytes
        )
        figures = SlaFigures(contracts=contracts, slices=MemorySliceStore(), clock=clock)
        server = build_server(
            config=ServerConfig(listen="127.0.0.1:0"),
            authenticator=Authenticator("token", table, sha256_hex("unused")),
            health=HealthRegistry(clock),
            service_names=[SERVICE_NAME],
        )
        servicer = SlaServicer(figures, maintenance, reports=running.parts.reports)
        sla_service_pb2_grpc.add_SlaServiceServicer_to_server(servicer, server)
        await server.start()
        try:
            address = f"127.0.0.1:{bound_port(server)}"
            async with grpc.aio.insecure_channel(address) as channel:
                stub = sla_service_pb2_grpc.SlaServiceStub(channel)
                yield Service(stub, {name: one.text for name, one in minted.items()}, running, address)
        finally:
            await server.stop(None)


async def test_a_report_is_made_and_read_in_every_format(service: Service) -> None:
    asked = await service.generate()
    assert (asked.name, asked.state, asked.revision, asked.replaces) == (NAME, GENERATING, 1, "")

    made = await service.finished()

    assert (made.state, made.progress_percent, made.period_label) == (ISSUED, 100, "2026-10")
    assert (made.window.start_time.ToMilliseconds(), made.window.end_time.ToMilliseconds()) == (
        START_MS,
        END_MS,
    )
    assert made.objectives
    assert made.credits
    (incidents,) = [one.incident_resolution for one in made.objectives if one.HasField("incident_resolution")]
    assert (incidents.in_time_count, incidents.late_count, incidents.running_count) == (1, 1, 1)
    assert (incidents.worst_case_share.numerator, incidents.worst_case_share.denominator) == (1, 3)
    assert (incidents.limit.seconds, incidents.longest.seconds) == (4 * 3600, 5 * 3600)
    for format_, start in FORMATS.items():
        request = sla_service_pb2.GetSlaReportContentRequest(name=NAME, format=format_)
        document = await service.call("GetSlaReportContent", request, "auditor")
        assert document.content.lower().startswith(start.lower())
        assert document.content_sha256 == made.content_sha256
        again = await service.call("GetSlaReportContent", request)
        assert again == document
    json = await service.call(
        "GetSlaReportContent", sla_service_pb2.GetSlaReportContentRequest(name=NAME, format=1)
    )
    assert hashlib.sha256(json.content).hexdigest() == made.content_sha256
    assert json.file_name == "acme-month-2026-10-gold-r1.json"


async def test_asking_again_without_news_leads_to_the_same_report(service: Service) -> None:
    await service.generate()
    first = await service.finished()
    again = await service.generate()
    assert again.name.endswith("-r2")
    assert again.replaces == NAME
    found = await service.finished(again.name)
    assert found == first
    assert await service.listed() == [NAME]
    assert service.office.figures.asked == 2


async def test_a_request_id_answers_the_first_call_and_no_other_report(service: Service) -> None:
    request_id = str(uuid.uuid4())
    await service.generate(request_id=request_id)
    first = await service.finished()
    service.office.figures.now = flawless_month()
    assert await service.generate(request_id=request_id) == first
    assert service.office.figures.asked == 1
    other = month(request_id=request_id)
    other.window.period = sla_pb2.CALENDAR_PERIOD_DAY
    assert await service.refusal("GenerateSlaReport", other) == ("INVALID_ARGUMENT", "BAD_REPORT_REQUEST")


async def test_two_at_once_get_one_report(service: Service) -> None:
    service.office.figures.gate.clear()
    first, second = await asyncio.gather(service.generate(), service.generate("platform"))
    assert first.name == second.name == NAME
    for _ in range(200):
        running = await service.get()
        if running.progress_percent:
            break
        await asyncio.sleep(0.01)
    assert 0 < running.progress_percent < 100
    content = sla_service_pb2.GetSlaReportContentRequest(name=NAME, format=1)
    assert await service.refusal("GetSlaReportContent", content) == (
        "FAILED_PRECONDITION",
        "REPORT_NOT_ISSUED",
    )
    service.office.figures.gate.set()
    assert (await service.finished()).state == ISSUED
    assert service.office.figures.asked == 1


async def test_a_cancelled_report_is_not_issued_and_can_be_asked_for_again(service: Service) -> None:
    service.office.figures.gate.clear()
    await service.generate()
    cancel = sla_service_pb2.CancelSlaReportRequest(name=NAME)
    assert (await service.call("CancelSlaReport", cancel)).state == sla_pb2.SLA_REPORT_STATE_CANCELLED
    service.office.figures.gate.set()
    await asyncio.sleep(0.1)
    assert (await service.get()).state == sla_pb2.SLA_REPORT_STATE_CANCELLED
    await service.generate()
    assert (await service.finished()).state == ISSUED
    assert await service.refusal("CancelSlaReport", cancel) == ("FAILED_PRECONDITION", "REPORT_ISSUED")


async def test_a_failure_says_why_and_what_to_do(service: Service) -> None:
    service.office.figures.failure = FailedPrecondition(
        "nothing is promised then", reason="NOTHING_PROMISED", next_step="Ask for a later period."
    )
    await service.generate()
    failed = await service.finished()
    assert failed.state == sla_pb2.SLA_REPORT_STATE_FAILED
    assert failed.failure.reason == "NOTHING_PROMISED"
    assert failed.failure.remedy == "Ask for a later period."
    service.office.figures.failure = RuntimeError("a defect")
    await service.generate()
    assert (await service.finished()).failure.reason == "INTERNAL"


async def test_lists_show_the_revision_that_holds_and_others_on_request(service: Service) -> None:
    await service.generate()
    await service.finished()
    service.office.figures.now = replace(flawless_month(), tenant="acme")
    second = await service.generate()
    await service.finished(second.name)
    assert await service.listed() == [second.name]
    assert await service.listed(show_replaced=True, page_size=1) == [second.name, NAME]
    assert await service.listed("auditor", contract="tenants/acme/contracts/silver") == []
    bad = sla_service_pb2.ListSlaReportsRequest(parent="tenants/acme", page_token="no token")
    assert await service.refusal("ListSlaReports", bad) == ("INVALID_ARGUMENT", "BAD_PAGE")


@pytest.mark.parametrize("caller", ["reader", "auditor", "writer"])
async def test_only_operators_and_admins_generate_and_cancel(service: Service, caller: str) -> None:
    await service.generate("platform")
    cancel = sla_service_pb2.CancelSlaReportRequest(name=NAME)
    for method, request in (("GenerateSlaReport", month()), ("CancelSlaReport", cancel)):
        refused = await service.refusal(method, request, caller)
        assert refused == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")


async def test_another_tenant_neither_sees_nor_changes_anything(service: Service) -> None:
    await service.generate()
    await service.finished()
    foreign = "tenants/umbra/reports/month-2026-10-gold-r1"
    for method, kind, field in (
        ("GetSlaReport", sla_service_pb2.GetSlaReportRequest, "name"),
        ("GetSlaReportContent", sla_service_pb2.GetSlaReportContentRequest, "name"),
        ("CancelSlaReport", sla_service_pb2.CancelSlaReportRequest, "name"),
    ):
        more = {"format": 1} if method == "GetSlaReportContent" else {}
        refused = await service.refusal(method, kind(**{field: NAME}, **more), "umbra")
        assert refused == ("PERMISSION_DENIED", "TENANT_MISMATCH")
        refused = await service.refusal(method, kind(**{field: foreign}, **more), "umbra")
        assert refused == ("NOT_FOUND", "REPORT_NOT_FOUND")
    assert await service.refusal("GenerateSlaReport", month(), "umbra") == (
        "PERMISSION_DENIED",
        "TENANT_MISMATCH",
    )
    lists = sla_service_pb2.ListSlaReportsRequest(parent="tenants/acme")
    assert await service.refusal("ListSlaReports", lists, "umbra") == ("PERMISSION_DENIED", "TENANT_MISMATCH")
    own = await service.call("ListSlaReports", sla_service_pb2.ListSlaReportsRequest(), "umbra")
    assert not own.sla_reports


async def test_every_wrong_field_is_told_with_its_reason(service: Service) -> None:
    request = sla_service_pb2.GenerateSlaReportRequest(
        contract="tenants/acme/contracts/gold", request_id="one"
    )
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.call("GenerateSlaReport", request)
    details = read_details(caught.value)
    assert (caught.value.code().name, details.reason) == ("INVALID_ARGUMENT", "BAD_REPORT_REQUEST")
    assert {one.field: one.reason for one in details.violations} == {
        "window": "is required",
        "request_id": "must be a UUID",
    }
    future = month()
    future.window.inside_time.FromMilliseconds(4_000_000_000_000)
    assert await service.refusal("GenerateSlaReport", future) == ("INVALID_ARGUMENT", "BAD_REPORT_REQUEST")
    unknown = month("tenants/acme/contracts/none")
    assert await service.refusal("GenerateSlaReport", unknown) == ("NOT_FOUND", "CONTRACT_NOT_FOUND")
    both = month()
    both.custom_window.start_time.FromMilliseconds(START_MS)
    assert await service.refusal("GenerateSlaReport", both) == ("INVALID_ARGUMENT", "BAD_REPORT_REQUEST")
    no_format = sla_service_pb2.GetSlaReportContentRequest(name=NAME)
    assert await service.refusal("GetSlaReportContent", no_format) == (
        "INVALID_ARGUMENT",
        "BAD_REPORT_REQUEST",
    )
    bad_name = sla_service_pb2.GetSlaReportRequest(name="r1")
    assert await service.refusal("GetSlaReport", bad_name) == ("INVALID_ARGUMENT", "BAD_RESOURCE_NAME")


async def test_a_given_range_has_a_report_of_its_own(service: Service) -> None:
    request = sla_service_pb2.GenerateSlaReportRequest(contract="tenants/acme/contracts/gold")
    request.custom_window.start_time.FromMilliseconds(START_MS)
    request.custom_window.end_time.FromMilliseconds(START_MS + 3_600_000)
    made = await service.call("GenerateSlaReport", request)
    assert made.name == "tenants/acme/reports/range-20260930t220000-20260930t230000-gold-r1"
    assert (await service.finished(made.name)).state == ISSUED
