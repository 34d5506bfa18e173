"""Maintenance windows over a real server: announced, cancelled, listed, and refused with field and reason."""

import secrets
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import grpc
import pytest

from services.common.auth import Authenticator, Role, TokenTable, mint_token, sha256_hex
from services.common.auth_tokens import TokenRecord
from services.common.clock import ManualClock
from services.common.config_feed import ConfigFeed
from services.common.grpc_details import read_details
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port, build_server
from services.common.log_memory import MemoryLog
from services.common.settings import ServerConfig
from services.sla.maintenance.exclude import exclusions
from services.sla.maintenance.feed import MaintenanceBook
from services.sla.maintenance.manage import Maintenance
from services.sla.memory import MemorySliceStore
from services.sla.model import Contract, Objective, ObjectiveKind
from services.sla.serve import SlaFigures
from services.sla.servicer import SERVICE_NAME, SlaServicer
from threenines.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

H, DAY = 3_600_000, 86_400_000
BERLIN = ZoneInfo("Europe/Berlin")
NOW = round(datetime(2026, 11, 23, 12, tzinfo=BERLIN).timestamp() * 1000)
SUNDAY = round(datetime(2026, 11, 29, 2, tzinfo=BERLIN).timestamp() * 1000)


class Contracts:
    """A contract of each of two tenants; that of acme asks for 72 hours of notice."""

    def contracts(self, tenant: str | None = None) -> list[Contract]:
        return [self._one(name) for name in ("acme", "umbra") if tenant in (None, name)]

    def timeline(self, tenant: str, key: str) -> tuple[Objective, ...]:
        return ()

    def _one(self, tenant: str) -> Contract:
        objective = Objective(
            tenant, "gold", "requests", ObjectiveKind.AVAILABILITY, Fraction(999, 1000), 30 * DAY, "m"
        )
        known = replace(objective, notice_ms=72 * H, time_zone="Europe/Berlin")
        return Contract(tenant, "gold", 3, "Europe/Berlin", 0, (known,))


@dataclass
class Service:
    """A running server with callers of every sort."""

    stub: sla_service_pb2_grpc.SlaServiceStub
    tokens: dict[str, str]
    clock: ManualClock
    book: MaintenanceBook

    async def call(self, method: str, request: object, caller: str = "operator") -> object:
        metadata = (("authorization", f"Bearer {self.tokens[caller]}"),)
        return await getattr(self.stub, method)(request, metadata=metadata)

    async def create(self, caller: str = "operator", parent: str = "tenants/acme", **more: str) -> object:
        return await self.call("CreateMaintenanceWindow", asked(parent, **more), caller)

    async def refusal(self, method: str, request: object, caller: str = "operator") -> tuple[str, str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(method, request, caller)
        return caught.value.code().name, read_details(caught.value).reason


def weekly(**more: object) -> sla_pb2.MaintenanceWindow:
    window = sla_pb2.MaintenanceWindow(
        title="New disks",
        objectives=["tenants/acme/objectives/gold/requests"],
        recurrence_rule="FREQ=WEEKLY;BYDAY=SU",
        **more,
    )
    window.start_time.FromMilliseconds(SUNDAY)
    window.end_time.FromMilliseconds(SUNDAY + 2 * H)
    return window


def asked(
    parent: str = "tenants/acme", window: sla_pb2.MaintenanceWindow | None = None, **more: str
) -> sla_service_pb2.CreateMaintenanceWindowRequest:
    return sla_service_pb2.CreateMaintenanceWindowRequest(
        parent=parent, maintenance_window=weekly() if window is None else window, **more
    )


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    callers = {
        "operator": ("acme", Role.OPERATOR),
        "admin": ("acme", Role.ADMIN),
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
    clock = ManualClock(now_ns=NOW * 1_000_000)
    log, contracts = MemoryLog(clock), Contracts()
    feed = ConfigFeed(log, clock)
    await feed.start()
    maintenance = Maintenance(
        log=log, feed=feed, clock=clock, contracts=contracts, random_bytes=secrets.token_bytes
    )
    figures = SlaFigures(contracts=contracts, slices=MemorySliceStore(), clock=clock)
    server = build_server(
        config=ServerConfig(listen="127.0.0.1:0"),
        authenticator=Authenticator("token", table, sha256_hex("unused")),
        health=HealthRegistry(clock),
        service_names=[SERVICE_NAME],
    )
    sla_service_pb2_grpc.add_SlaServiceServicer_to_server(SlaServicer(figures, maintenance), server)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{bound_port(server)}") as channel:
            texts = {name: token.text for name, token in minted.items()}
            stub = sla_service_pb2_grpc.SlaServiceStub(channel)
            yield Service(stub, texts, clock, MaintenanceBook(feed))
    finally:
        await server.stop(None)
        await feed.stop()


async def test_an_announced_window_excludes_and_is_listed(service: Service) -> None:
    made = await service.create(maintenance_window_id="disks")

    assert made.name == "tenants/acme/maintenanceWindows/disks"
    assert made.title == "New disks"
    assert list(made.objectives) == ["tenants/acme/objectives/gold/requests"]
    assert (made.start_time.ToMilliseconds(), made.end_time.ToMilliseconds()) == (SUNDAY, SUNDAY + 2 * H)
    assert made.time_zone == "Europe/Berlin"
    assert made.create_time.ToMilliseconds() == NOW
    assert made.notice_kept
    assert made.creator
    assert made.state == sla_pb2.MAINTENANCE_WINDOW_STATE_PLANNED
    listing = sla_service_pb2.ListMaintenanceWindowsRequest(parent="tenants/acme")
    for caller in ("reader", "auditor", "operator", "platform"):
        listed = await service.call("ListMaintenanceWindows", listing, caller)
        assert list(listed.maintenance_windows) == [made]
    (found,) = exclusions(
        service.book.windows("acme"), "gold/requests", notice_ms=72 * H, low_ms=SUNDAY, high_ms=SUNDAY + DAY
    )
    assert (found.start_ms, found.end_ms, found.counted) == (SUNDAY, SUNDAY + 2 * H, True)


async def test_why_and_whether_it_is_about_the_past_is_kept_and_told(service: Service) -> None:
    """The contract asks for 72 hours, so what is said afterwards does not count, marked or not."""
    service.clock.advance((SUNDAY - NOW + H) / 1000)
    request = asked(maintenance_window_id="disks")
    request.maintenance_window.reason = "The old disks were full"
    request.maintenance_window.retroactive = True

    made = await service.call("CreateMaintenanceWindow", request)

    assert (made.reason, made.retroactive, made.notice_kept) == ("The old disks were full", True, False)
    (window,) = service.book.windows("acme")
    (found,) = exclusions([window], "gold/requests", notice_ms=72 * H, low_ms=NOW, high_ms=SUNDAY + DAY)
    assert not found.counted
    (without,) = exclusions([window], "gold/requests", notice_ms=0, low_ms=NOW, high_ms=SUNDAY + DAY)
    assert without.counted


async def test_late_notice_is_told_at_once(service: Service) -> None:
    service.clock.advance((SUNDAY - NOW - 72 * H + 1) / 1000)
    assert not (await service.create()).notice_kept


async def test_a_repeated_request_answers_what_the_first_call_answered(service: Service) -> None:
    request_id = str(uuid.uuid4())
    first = await service.create(request_id=request_id)
    again = await service.create(request_id=request_id)
    assert first == again
    with_id = await service.create(maintenance_window_id="disks", request_id=str(uuid.uuid4()))
    assert with_id.name.endswith("/disks")
    listing = sla_service_pb2.ListMaintenanceWindowsRequest(parent="tenants/acme")
    assert len((await service.call("ListMaintenanceWindows", listing)).maintenance_windows) == 2
    taken = await service.refusal("CreateMaintenanceWindow", asked(maintenance_window_id="disks"))
    assert taken == ("ALREADY_EXISTS", "MAINTENANCE_WINDOW_EXISTS")


async def test_a_cancellation_ends_it_now_and_twice_is_once(service: Service) -> None:
    await service.create(maintenance_window_id="disks")
    service.clock.advance((SUNDAY - NOW + H) / 1000)
    request = sla_service_pb2.CancelMaintenanceWindowRequest(
        name="tenants/acme/maintenanceWindows/disks", reason="done early"
    )

    cancelled = await service.call("CancelMaintenanceWindow", request)
    service.clock.advance(60)
    again = await service.call("CancelMaintenanceWindow", request)

    assert cancelled.state == sla_pb2.MAINTENANCE_WINDOW_STATE_CANCELLED
    assert cancelled.cancel_time.ToMilliseconds() == SUNDAY + H
    assert cancelled.create_time.ToMilliseconds() == NOW
    assert (cancelled.reason, cancelled.cancel_reason) == ("", "done early")
    assert again == cancelled
    found = exclusions(
        service.book.windows("acme"), "gold/requests", notice_ms=72 * H, low_ms=NOW, high_ms=NOW + 30 * DAY
    )
    assert [(one.start_ms, one.end_ms) for one in found if one.counted] == [(SUNDAY, SUNDAY + H)]


async def test_pages_are_newest_first_and_states_choose(service: Service) -> None:
    for name in ("a", "b", "c"):
        await service.create(maintenance_window_id=name)
    await service.call(
        "CancelMaintenanceWindow",
        sla_service_pb2.CancelMaintenanceWindowRequest(name="tenants/acme/maintenanceWindows/b"),
    )
    request = sla_service_pb2.ListMaintenanceWindowsRequest(
        parent="tenants/acme", page_size=1, states=[sla_pb2.MAINTENANCE_WINDOW_STATE_PLANNED]
    )

    names = []
    while True:
        page = await service.call("ListMaintenanceWindows", request, "reader")
        names += [one.name[-1] for one in page.maintenance_windows]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    assert names == ["c", "a"]
    request.page_token = "no token"
    assert await service.refusal("ListMaintenanceWindows", request) == ("INVALID_ARGUMENT", "BAD_PAGE")


@pytest.mark.parametrize("caller", ["reader", "auditor", "writer"])
async def test_only_operators_and_admins_announce_and_cancel(service: Service, caller: str) -> None:
    await service.create("admin", maintenance_window_id="disks")
    cancel = sla_service_pb2.CancelMaintenanceWindowRequest(name="tenants/acme/maintenanceWindows/disks")
    for method, request in (("CreateMaintenanceWindow", asked()), ("CancelMaintenanceWindow", cancel)):
        refused = await service.refusal(method, request, caller)
        assert refused == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")


async def test_another_tenant_neither_sees_nor_changes_anything(service: Service) -> None:
    await service.create(maintenance_window_id="disks")
    name = "tenants/acme/maintenanceWindows/disks"
    for method, request in (
        ("CreateMaintenanceWindow", asked()),
        ("CancelMaintenanceWindow", sla_service_pb2.CancelMaintenanceWindowRequest(name=name)),
        ("ListMaintenanceWindows", sla_service_pb2.ListMaintenanceWindowsRequest(parent="tenants/acme")),
    ):
        refused = await service.refusal(method, request, "umbra")
        assert refused == ("PERMISSION_DENIED", "TENANT_MISMATCH")
    own = await service.call(
        "ListMaintenanceWindows", sla_service_pb2.ListMaintenanceWindowsRequest(), "umbra"
    )
    assert not own.maintenance_windows
    theirs = sla_service_pb2.CancelMaintenanceWindowRequest(name="tenants/umbra/maintenanceWindows/disks")
    refused = await service.refusal("CancelMaintenanceWindow", theirs, "umbra")
    assert refused == ("NOT_FOUND", "MAINTENANCE_WINDOW_NOT_FOUND")
    foreign = await service.refusal("CreateMaintenanceWindow", asked("tenants/umbra"), "umbra")
    assert foreign == ("INVALID_ARGUMENT", "BAD_MAINTENANCE_WINDOW")


async def test_every_wrong_field_is_told_with_its_reason(service: Service) -> None:
    window = weekly(time_zone="Mars/Olympus")
    window.title = ""
    window.end_time.Clear()
    window.ClearField("end_time")
    window.objectives.append("tenants/acme/objectives/gold/nothing")
    request = asked(window=window, maintenance_window_id="A B", request_id="one")

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.call("CreateMaintenanceWindow", request)

    details = read_details(caught.value)
    assert (caught.value.code().name, details.reason) == ("INVALID_ARGUMENT", "BAD_MAINTENANCE_WINDOW")
    assert {one.field: one.reason for one in details.violations} == {
        "maintenance_window.title": "is required",
        "maintenance_window.end_time": "is required",
        "maintenance_window.objectives[1]": "there is no objective gold/nothing",
        "maintenance_window.time_zone": "must be an IANA time zone such as Europe/Berlin",
        "maintenance_window_id": "must be 1 to 63 of a-z, 0-9 and -",
        "request_id": "must be a UUID",
    }


@pytest.mark.parametrize(
    ("rule", "length_ms", "field", "reason"),
    [
        ("FREQ=HOURLY", H, "recurrence_rule", "FREQ: must be DAILY, WEEKLY, MONTHLY or YEARLY"),
        ("FREQ=WEEKLY;BYDAY=MO", H, "recurrence_rule", "the first start is not a time that the rule makes"),
        ("FREQ=WEEKLY", 0, "end_time", "must be after start"),
        ("FREQ=WEEKLY", 32 * DAY, "end_time", "an occurrence of a rule lasts at most 31d"),
    ],
)
async def test_a_window_that_cannot_be_is_refused(
    service: Service, rule: str, length_ms: int, field: str, reason: str
) -> None:
    window = weekly()
    window.recurrence_rule = rule
    window.end_time.FromMilliseconds(SUNDAY + length_ms)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.call("CreateMaintenanceWindow", asked(window=window))
    (found,) = read_details(caught.value).violations
    assert (found.field, found.reason) == (f"maintenance_window.{field}", reason)


async def test_a_platform_credential_names_the_tenant(service: Service) -> None:
    refused = await service.refusal("CreateMaintenanceWindow", asked(""), "platform")
    assert refused == ("INVALID_ARGUMENT", "BAD_MAINTENANCE_WINDOW")
    assert (await service.create("platform")).name.startswith("tenants/acme/")
    bad = sla_service_pb2.CancelMaintenanceWindowRequest(name="disks")
    assert await service.refusal("CancelMaintenanceWindow", bad) == ("INVALID_ARGUMENT", "BAD_RESOURCE_NAME")
    unknown = sla_service_pb2.ListMaintenanceWindowsRequest(parent="tenants/acme", states=[9])
    assert (await service.refusal("ListMaintenanceWindows", unknown))[1] == "BAD_MAINTENANCE_WINDOW"
