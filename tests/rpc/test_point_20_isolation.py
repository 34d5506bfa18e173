"""Point 20: no RPC of SlaService lets a tenant read another's, change it, or learn a byte of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from services.common.grpc_details import read_details
from services.sla.convert_values import timestamp
from services.sla.reports.canonical import canonical_json
from services.sla.reports.ledger import Facts, ReportPeriod, ReportRecord, ReportState
from services.sla.windows import Period, period_around
from tests.rpc.sla_service import DAY, MONTH, NS, Service, contract_of, running, sealed
from tests.unit.sla.reports.examples import rich_month
from threenines.sla.v1 import sla_pb2, sla_service_pb2

_RPCS = {one.name: one for one in sla_service_pb2.DESCRIPTOR.services_by_name["SlaService"].methods}
_OWNER, _MARKS = "acme", (b"7777.77", b"777777", b"Secret migration", b"gold/latency", b"31415")
_ID = "9f1c1a50-7f0e-4f52-9d9b-4ad5a9e8a9a1"


def _maintenance(tenant: str) -> sla_pb2.MaintenanceWindow:
    start, end = timestamp(MONTH + 50 * DAY), timestamp(MONTH + 51 * DAY)
    return sla_pb2.MaintenanceWindow(title="x", start_time=start, end_time=end, time_zone="UTC")


def _october() -> sla_pb2.CalendarWindow:
    window = sla_pb2.CalendarWindow(period=sla_pb2.CALENDAR_PERIOD_MONTH)
    window.inside_time.FromMilliseconds(MONTH)
    return window


# What names a tenant in each request, for every RPC that names one.
ASKS: dict[str, Callable[[str], list[dict[str, Any]]]] = {
    "GetUptime": lambda t: [{"objective": f"tenants/{t}/objectives/gold/availability"}],
    "GetLatency": lambda t: [{"objective": f"tenants/{t}/objectives/gold/latency"}],
    "GetSlaStatus": lambda t: [{"name": f"tenants/{t}/slaStatus"}],
    "BatchGetSlaStatus": lambda t: [
        {"names": [f"tenants/{t}/slaStatus"]},
        {"names": ["tenants/umbra/slaStatus", f"tenants/{t}/slaStatus"]},
        {"names": [f"tenants/{t}/slaStatus", "tenants/umbra/slaStatus"]},
    ],
    "WatchSlaStatus": lambda t: [{"name": f"tenants/{t}/slaStatus"}],
    "QuerySlices": lambda t: [{"objective": f"tenants/{t}/objectives/gold/availability"}],
    "ListDowntime": lambda t: [
        {"parent": f"tenants/{t}"},
        {"objective": f"tenants/{t}/objectives/gold/availability"},
        {"parent": f"tenants/{t}", "objective": f"tenants/{t}/objectives/gold/availability"},
    ],
    "ListContracts": lambda t: [{"parent": f"tenants/{t}"}],
    "GetContract": lambda t: [{"name": f"tenants/{t}/contracts/gold"}],
    "ListObjectives": lambda t: [
        {"parent": f"tenants/{t}"},
        {"parent": f"tenants/{t}", "contract": f"tenants/{t}/contracts/gold"},
    ],
    "CalculateSlaCredits": lambda t: [
        {"contract": f"tenants/{t}/contracts/gold"},
        {"contract": f"tenants/{t}/contracts/gold", "window": _october()},
    ],
    "GenerateSlaReport": lambda t: [
        {"contract": f"tenants/{t}/contracts/gold", "window": _october(), "request_id": _ID}
    ],
    "GetSlaReport": lambda t: [{"name": f"tenants/{t}/reports/{_REPORT}"}],
    "GetSlaReportContent": lambda t: [{"name": f"tenants/{t}/reports/{_REPORT}", "format": 1}],
    "CancelSlaReport": lambda t: [{"name": f"tenants/{t}/reports/{_REPORT}"}],
    "ListSlaReports": lambda t: [
        {"parent": f"tenants/{t}"},
        {"parent": f"tenants/{t}", "contract": f"tenants/{t}/contracts/gold"},
    ],
    "CreateMaintenanceWindow": lambda t: [
        {"parent": f"tenants/{t}", "maintenance_window": _maintenance(t), "request_id": _ID}
    ],
    "CancelMaintenanceWindow": lambda t: [{"name": f"tenants/{t}/maintenanceWindows/night"}],
    "ListMaintenanceWindows": lambda t: [{"parent": f"tenants/{t}"}],
}
_REPORT = "month-2026-11-gold-r1"
# Nobody's data is behind these: who may ask is tested with them.
WITHOUT_TENANT = {"GetPlatformHealth"}
_METHODS = sorted(ASKS)
_CALLERS = ("umbra", "outsider")


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running(contract_of("acme", fee="7777.77"), contract_of("umbra")) as found:
        await found.put(sealed(0, 31), sealed(1, 0, down_ns=NS - 777777, up_ns=777777))
        await found.put(sealed(0, 31), key="gold/latency")
        window = _maintenance("acme")
        window.title = "Secret migration"
        made = {"parent": "tenants/acme", "maintenance_window_id": "night", "maintenance_window": window}
        await found.call(
            "CreateMaintenanceWindow",
            sla_service_pb2.CreateMaintenanceWindowRequest(**made),
            "operator",
        )
        report = sla_service_pb2.GenerateSlaReportRequest(
            contract="tenants/acme/contracts/gold", window=_october()
        )
        await found.call("GenerateSlaReport", report, "operator")
        await found.reports.store([await _issued()])
        yield found


async def _issued() -> ReportRecord:
    """The report that the service was asked for, as somebody made it: with its owner's name in it."""
    report = replace(rich_month(), tenant="acme", contract="gold")
    start, end = period_around(Period.MONTH, MONTH, "Europe/Berlin")
    return ReportRecord(
        *("acme", "gold", ReportPeriod("month", "2026-11", start, end), 1, ReportState.ISSUED, end, end),
        facts=Facts("FAIL", "31415" * 12, "Europe/Berlin", (3,), end, end, 7, provisional=False),
        content=canonical_json(report),
        seq=10**6,
    )


def test_every_rpc_of_the_service_has_a_case() -> None:
    assert {*ASKS} | WITHOUT_TENANT == {*_RPCS}


@pytest.mark.parametrize("method", sorted({*_METHODS} - {"WatchSlaStatus"}))
async def test_its_owner_is_answered_by_each(service: Service, method: str) -> None:
    """Else the refusals below would say nothing: what others must not get is there."""
    for fields in ASKS[method](_OWNER)[:1]:
        request = getattr(sla_service_pb2, f"{method}Request")(**fields)
        if method == "CancelSlaReport":
            found = (await service.refusal(method, request, "operator"))[1]
            assert found == "REPORT_ISSUED"
            continue
        answer = await service.call(method, request, "operator")
        assert b"acme" in answer.SerializeToString()


@pytest.mark.parametrize("method", _METHODS)
async def test_another_tenants_name_is_refused_without_a_foreign_byte(service: Service, method: str) -> None:
    for caller in _CALLERS:
        for fields in ASKS[method](_OWNER):
            code, answer = await refused(service, method, fields, caller)

            assert code in ("PERMISSION_DENIED", "NOT_FOUND"), (caller, fields)
            assert not [mark for mark in _MARKS if mark in answer]


@pytest.mark.parametrize("method", _METHODS)
async def test_a_tenant_that_does_not_exist_looks_the_same(service: Service, method: str) -> None:
    for real, made_up in zip(ASKS[method](_OWNER), ASKS[method]("xxxx"), strict=True):
        code, answer = await refused(service, method, real, "umbra")
        other_code, other = await refused(service, method, made_up, "umbra")

        assert code == other_code
        assert answer.replace(b"acme", b"xxxx") == other


@pytest.mark.parametrize("method", [*_METHODS, *sorted(WITHOUT_TENANT)])
async def test_without_a_good_token_nothing_is_answered(service: Service, method: str) -> None:
    fields = ASKS[method](_OWNER)[0] if method in ASKS else {}
    secret = service.tokens["acme"]
    forged = f"{secret[:-4]}{'AAAA' if secret[-4:] != 'AAAA' else 'BBBB'}"
    for metadata in (
        (),
        (("authorization", "Bearer "),),
        (("authorization", secret),),
        (("authorization", f"Bearer {forged}"),),
        (("authorization", "Bearer tn_000000000000_" + "A" * 43),),
    ):
        code, answer = await refused(service, method, fields, metadata=metadata)

        assert code == "UNAUTHENTICATED"
        assert not [mark for mark in (*_MARKS, b"acme") if mark in answer]


async def test_an_empty_name_means_the_callers_own_tenant(service: Service) -> None:
    for method in ("GetSlaStatus", "BatchGetSlaStatus", "ListContracts", "ListObjectives", "ListDowntime"):
        answer = await service.call(method, getattr(sla_service_pb2, f"{method}Request")(), "umbra")

        found = answer.SerializeToString()
        assert b"acme" not in found, method
        assert not [mark for mark in (b"7777.77", b"Secret migration") if mark in found], method


async def test_what_is_refused_changes_nothing(service: Service) -> None:
    before = await service.call("ListMaintenanceWindows", _list("acme"), "acme")
    reports = await service.call("ListSlaReports", sla_service_pb2.ListSlaReportsRequest(), "acme")

    for method in (
        "CreateMaintenanceWindow",
        "CancelMaintenanceWindow",
        "GenerateSlaReport",
        "CancelSlaReport",
    ):
        for fields in ASKS[method](_OWNER):
            await refused(service, method, fields, "outsider")

    assert await service.call("ListMaintenanceWindows", _list("acme"), "acme") == before
    after = await service.call("ListSlaReports", sla_service_pb2.ListSlaReportsRequest(), "acme")
    assert after == reports


async def test_own_data_of_another_tenant_never_moves_a_figure(service: Service) -> None:
    request = sla_service_pb2.GetUptimeRequest(objective="tenants/acme/objectives/gold/availability")
    before = await service.call("GetUptime", request)
    await service.put(*(sealed(k, 0) for k in range(50)), tenant="umbra")

    after = await service.call("GetUptime", request)

    assert after.uptime.total_count == before.uptime.total_count == 200
    assert after.uptime.uptime == before.uptime.uptime


async def test_request_ids_and_page_tokens_of_one_tenant_mean_nothing_to_another(service: Service) -> None:
    """The same request id in two tenants makes two things, and a token continues its owner's list only."""
    asked = {"maintenance_window": _maintenance("x"), "request_id": _ID}
    asked["maintenance_window"].title = "Secret migration"
    first = await service.call(
        "CreateMaintenanceWindow",
        sla_service_pb2.CreateMaintenanceWindowRequest(parent="tenants/acme", **asked),
        "operator",
    )
    asked["maintenance_window"].title = "Own"
    second = await service.call(
        "CreateMaintenanceWindow",
        sla_service_pb2.CreateMaintenanceWindowRequest(parent="tenants/umbra", **asked),
        "outsider",
    )
    assert first.name.startswith("tenants/acme/")
    assert second.name.startswith("tenants/umbra/")
    assert (second.title, first.name.split("/")[-1] == second.name.split("/")[-1]) == ("Own", False)
    reports = {}
    for tenant, caller in (("acme", "operator"), ("umbra", "outsider")):
        request = sla_service_pb2.GenerateSlaReportRequest(
            contract=f"tenants/{tenant}/contracts/gold", window=_october(), request_id=_ID
        )
        reports[tenant] = (await service.call("GenerateSlaReport", request, caller)).name
    assert reports["umbra"].startswith("tenants/umbra/")

    page = await service.call("ListObjectives", _objectives("acme"), "acme")
    assert page.next_page_token
    stolen = {"parent": "tenants/umbra", "page_size": 1, "page_token": page.next_page_token}
    code, answer = await refused(service, "ListObjectives", stolen)
    assert code == "INVALID_ARGUMENT"
    assert not [mark for mark in (*_MARKS, b"acme") if mark in answer]


def _objectives(tenant: str) -> Any:
    return sla_service_pb2.ListObjectivesRequest(parent=f"tenants/{tenant}", page_size=1)


def _list(tenant: str) -> Message:
    return sla_service_pb2.ListMaintenanceWindowsRequest(parent=f"tenants/{tenant}")


async def refused(
    service: Service,
    method: str,
    fields: dict[str, Any],
    caller: str = "umbra",
    *,
    metadata: tuple[tuple[str, str], ...] | None = None,
) -> tuple[str, bytes]:
    """(code, everything that came back: text, details and other trailers)."""
    request = getattr(sla_service_pb2, f"{method}Request")(**fields)
    signed = service.signed(caller) if metadata is None else metadata
    call = getattr(service.stub, method)(request, metadata=signed)
    answer = call.read() if _RPCS[method].server_streaming else call
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(answer, 10)
    assert read_details(caught.value).reason
    trailers = [
        value if isinstance(value, bytes) else value.encode()
        for key, value in caught.value.trailing_metadata() or ()
        if key != "date"
    ]
    return caught.value.code().name, b"\n".join([(caught.value.details() or "").encode(), *trailers])
