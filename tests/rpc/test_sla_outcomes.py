"""Downtime, credits, the live status and platform health over a real server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from services.common.auth import Principal, Role, enter_principal, leave_principal
from services.common.clock import SystemClock
from services.common.grpc_details import read_details
from services.sla.platform_health import STEP_MS, Durations
from services.sla.serve import Asked, Status
from services.sla.watch import Changes, Watches
from tests.rpc.sla_service import DAY, MONTH, NS, Service, contract_of, running, sealed
from threenines.sla.v1 import sla_pb2, sla_service_pb2

MONTH_END = MONTH + 30 * DAY
NAME = "tenants/acme/objectives/gold/"
DOWN = {"down_ns": NS}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with running(contract_of("acme"), contract_of("umbra")) as found:
        yield found


def month() -> sla_pb2.Window:
    window = sla_pb2.Window(calendar=sla_pb2.CalendarWindow(period=sla_pb2.CALENDAR_PERIOD_MONTH))
    window.calendar.inside_time.FromMilliseconds(MONTH)
    return window


async def test_downtime_is_listed_newest_first_page_by_page(service: Service) -> None:
    await service.put(*(sealed(k, 10, **DOWN) if k in (2, 3, 7, 11) else sealed(k) for k in range(12)))
    await service.put(*(sealed(k, 10, **DOWN) for k in (3,)), key="gold/latency")
    request = sla_service_pb2.ListDowntimeRequest(parent="tenants/acme", page_size=1, window=month())
    found = []
    while True:
        page = await service.call("ListDowntime", request)
        found += page.downtimes
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token

    starts = [((one.start_time.ToMilliseconds() - MONTH) // 10_000, one.objective[-7:]) for one in found]
    assert starts == [(11, "ability"), (7, "ability"), (3, "latency"), (2, "ability")]
    assert not found[0].HasField("end_time"), "it lasts"
    assert (found[3].slice_count, found[3].down_nanos, found[3].bad_count) == (2, 2 * NS, 180)
    only = sla_service_pb2.ListDowntimeRequest(objective=NAME + "latency", window=month())
    assert len((await service.call("ListDowntime", only)).downtimes) == 1


async def test_degraded_time_is_listed_on_request(service: Service) -> None:
    await service.put(sealed(0), sealed(1, 99, degraded_ns=NS), sealed(2, 0, **DOWN), sealed(3))
    request = sla_service_pb2.ListDowntimeRequest(parent="tenants/acme", window=month())
    alone = (await service.call("ListDowntime", request)).downtimes
    request.include_degraded = True
    both = (await service.call("ListDowntime", request)).downtimes

    assert [one.slice_count for one in (*alone, *both)] == [1, 2]
    assert both[0].degraded_nanos == NS


BAD = [
    ("ListDowntime", {"parent": "acme"}, ("INVALID_ARGUMENT", "BAD_RESOURCE_NAME", ["parent"])),
    ("ListDowntime", {"objective": "x"}, ("INVALID_ARGUMENT", "BAD_RESOURCE_NAME", ["objective"])),
    ("ListDowntime", {"page_size": -1}, ("INVALID_ARGUMENT", "BAD_PAGE", ["page_size"])),
    ("ListDowntime", {"objective": NAME + "none"}, ("NOT_FOUND", "OBJECTIVE_NOT_FOUND", [])),
    (
        "ListDowntime",
        {"parent": "tenants/acme", "objective": "tenants/umbra/objectives/gold/latency"},
        ("INVALID_ARGUMENT", "BAD_RESOURCE_NAME", ["objective"]),
    ),
    ("CalculateSlaCredits", {}, ("INVALID_ARGUMENT", "BAD_RESOURCE_NAME", ["contract"])),
    (
        "CalculateSlaCredits",
        {"contract": "tenants/acme/contracts/none"},
        ("NOT_FOUND", "CONTRACT_NOT_FOUND", []),
    ),
    (
        "CalculateSlaCredits",
        {"contract": "tenants/acme/contracts/gold", "window": sla_pb2.CalendarWindow(period=1)},
        ("INVALID_ARGUMENT", "BAD_WINDOW", ["window.period"]),
    ),
    (
        "CalculateSlaCredits",
        {"contract": "tenants/acme/contracts/gold", "window": sla_pb2.CalendarWindow()},
        ("INVALID_ARGUMENT", "BAD_WINDOW", ["window.period"]),
    ),
]


@pytest.mark.parametrize(("method", "fields", "answer"), BAD)
async def test_bad_requests_are_told_the_field_and_the_reason(
    service: Service, method: str, fields: dict[str, Any], answer: tuple[str, str, list[str]]
) -> None:
    assert await service.refusal(method, getattr(sla_service_pb2, f"{method}Request")(**fields)) == answer


async def credit(service: Service, caller: str = "acme", **more: Any) -> sla_pb2.SlaCredit:
    request = sla_service_pb2.CalculateSlaCreditsRequest(contract="tenants/acme/contracts/gold", **more)
    (found,) = (await service.call("CalculateSlaCredits", request, caller)).credits
    return found


async def test_a_missed_month_gives_the_credit_of_its_tier(service: Service) -> None:
    # One slice a day is enough for a verdict of requests; coverage is another matter.
    await service.put(sealed(0, 60), sealed(1), sealed(30 * 8640 - 1), sealed(30 * 8640))
    inside = sla_pb2.CalendarWindow(period=sla_pb2.CALENDAR_PERIOD_MONTH)
    inside.inside_time.FromMilliseconds(MONTH)
    found = await credit(service, window=inside)

    assert found.name == "tenants/acme/contracts/gold/credits/2026-11-01.v3"
    assert (found.measured.numerator, found.measured.denominator) == (13, 15)
    assert (found.amount.units, found.amount.currency_code) == (250, "EUR")
    assert found.state == sla_pb2.CREDIT_STATE_REVIEW_REQUIRED
    assert any("of the time is known" in sentence for sentence in found.trace)
    assert found.amount == found.amount_so_far


async def test_a_running_month_says_what_it_is_now_and_what_it_comes_to(service: Service) -> None:
    await service.put(*(sealed(k, 0 if k < 3 else 100) for k in range(2000)))
    window = sla_pb2.CalendarWindow(period=sla_pb2.CALENDAR_PERIOD_MONTH)
    window.inside_time.FromMilliseconds(MONTH)
    found = await credit(service, window=window)

    assert found.state == sla_pb2.CREDIT_STATE_RUNNING
    assert found.amount_so_far.units == 100
    assert not found.HasField("amount"), "diluted by the rest of the month"
    assert found.projected.denominator > 0


async def test_each_version_in_force_gives_its_own_credit(service: Service) -> None:
    turn = MONTH + 10 * DAY
    service.contracts.found = [
        contract_of("acme", version=2, until_ms=turn),
        contract_of("acme", version=3, effective_from_ms=turn, fee="2000.00"),
    ]
    await service.put(sealed(0, 60), sealed(30 * 8640 - 1, 60), sealed(30 * 8640))
    window = sla_pb2.CalendarWindow(period=sla_pb2.CALENDAR_PERIOD_MONTH)
    window.inside_time.FromMilliseconds(MONTH)
    request = sla_service_pb2.CalculateSlaCreditsRequest(
        contract="tenants/acme/contracts/gold", window=window
    )
    found = (await service.call("CalculateSlaCredits", request)).credits

    assert [(one.contract_version, one.amount.units) for one in found] == [(2, 250), (3, 500)]
    assert found[0].window.end_time == found[1].window.start_time
    assert {one.state for one in found} == {sla_pb2.CREDIT_STATE_REVIEW_REQUIRED}
    assert any("in force for a part" in sentence for sentence in found[0].trace)


async def test_a_contract_without_credits_says_so(service: Service) -> None:
    service.contracts.found = [contract_of("acme", credits=None)]
    request = sla_service_pb2.CalculateSlaCreditsRequest(contract="tenants/acme/contracts/gold")

    assert (await service.refusal("CalculateSlaCredits", request))[:2] == (
        "FAILED_PRECONDITION",
        "CONTRACT_HAS_NO_CREDITS",
    )


def watch(service: Service, caller: str = "acme", interval_s: float = 0, **more: Any) -> Any:
    interval = Duration()
    interval.FromNanoseconds(round(interval_s * 1e9))
    request = sla_service_pb2.WatchSlaStatusRequest(min_interval=interval, **more)
    return service.stub.WatchSlaStatus(request, metadata=service.signed(caller))


def requests_of(answer: sla_service_pb2.WatchSlaStatusResponse) -> int:
    return int(answer.sla_status.objectives[0].uptime.total_count)


async def test_a_watch_tells_the_status_now_and_after_each_change(service: Service) -> None:
    await service.put(sealed(0))
    call = watch(service)

    first = await call.read()
    await service.put(sealed(0), tenant="umbra")
    service.changes.stored("acme")  # nothing of its figures changed: not told
    await asyncio.sleep(0.05)
    await service.put(sealed(1))
    second = await asyncio.wait_for(call.read(), 5)

    assert (requests_of(first), requests_of(second)) == (100, 200)
    call.cancel()
    await until_free(service)


async def test_a_slow_reader_gets_the_newest_status(service: Service) -> None:
    await service.put(sealed(0))
    call = watch(service, interval_s=60)
    await call.read()
    service.clock.advance(59)
    for k in range(1, 50):
        await service.put(sealed(k))
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    service.changes.stored("acme")
    newest = asyncio.ensure_future(call.read())
    for _ in range(200):
        # It may begin to wait at any moment: time goes on until it has waited enough, and it looks at each
        # change, since it waits in real time.
        service.clock.advance(1)
        service.changes.stored("acme")
        if (await asyncio.wait([newest], timeout=0.05))[0]:
            break

    assert requests_of(await asyncio.wait_for(newest, 5)) == 5000
    call.cancel()
    await until_free(service)


async def test_what_changes_while_a_status_is_on_its_way_is_not_forgotten() -> None:
    class Source:
        asked = 0

        async def status(self, tenant: str | None, asked: Asked) -> Status:
            self.asked += 1
            return Status("acme", (), self.asked, MONTH)

    changes = Changes()
    caller = Principal("acme", Role.READER, "t")
    watches = Watches(figures=Source(), changes=changes, clock=SystemClock(), confirm=lambda: caller)
    token = enter_principal(caller)
    try:
        statuses = watches.watch(None, Asked(), 50)
        await anext(statuses)
        changes.stored("acme")  # the first one is not sent yet: nobody waits for changes
        assert (await asyncio.wait_for(anext(statuses), 10)).watermark_ms == 2
    finally:
        leave_principal(token)


async def until_free(service: Service) -> None:
    """Nothing is kept of a watch that has ended."""
    for _ in range(200):
        if not service.changes._flags and not service.changes._count:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the watch is still there")


@pytest.mark.parametrize(
    ("end", "code", "reason"),
    [
        (lambda service: service.revoke("acme"), "UNAUTHENTICATED", "TOKEN_REVOKED"),
        (lambda service: service.changes.drain(), "UNAVAILABLE", "DRAINING"),
    ],
    ids=["revoked", "draining"],
)
async def test_a_watch_ends_with_its_permission_and_with_the_server(
    service: Service, end: Any, code: str, reason: str
) -> None:
    await service.put(sealed(0))
    call = watch(service, interval_s=60)
    await call.read()

    end(service)

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asyncio.wait_for(call.read(), 5)
    assert (caught.value.code().name, read_details(caught.value).reason) == (code, reason)
    await until_free(service)


@pytest.mark.parametrize(("seconds", "window"), [(-1, None), (3601, None)])
async def test_a_watch_with_a_bad_interval_is_refused(service: Service, seconds: int, window: None) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await watch(service, interval_s=seconds).read()
    details = read_details(caught.value)
    assert (details.reason, [one.field for one in details.violations]) == ("BAD_INTERVAL", ["min_interval"])


def steady(service: Service, label: str, seconds: float, *, last: float | None = None) -> list[Durations]:
    """An hour and a half of steps of 60 calls, the last one perhaps otherwise."""
    now = service.clock.now_ns() // 10**6 // STEP_MS
    return [
        Durations("threenines-sla", label, now - k, 60, 60 * (last if k == 1 and last else seconds))
        for k in range(1, 19)
    ]


async def test_platform_health_tells_figures_beside_their_baseline(service: Service) -> None:
    now_ms = service.clock.now_ns() // 10**6
    service.metrics.seen = {f"threenines-{name}": now_ms - 5000 for name in ("alerting", "collector", "sla")}
    service.metrics.seen["threenines-collector"] = now_ms - 200_000
    service.metrics.calls = steady(service, "OK", 0.01, last=0.2)
    service.metrics.statements = steady(service, "read", 0.005)

    health = await service.call("GetPlatformHealth", sla_service_pb2.GetPlatformHealthRequest(), "crew")

    parts = {one.component: one for one in health.components}
    assert [*parts] == ["alerting", "clickhouse", "collector", "dr", "log", "sla"]
    assert health.state == sla_pb2.COMPONENT_STATE_DOWN
    assert parts["collector"].message == "has not reported for 200 s"
    assert parts["sla"].state == sla_pb2.COMPONENT_STATE_DEGRADED
    assert parts["sla"].message == (
        "response time is 200,000 us, usually 10,000 us: above the limit of 30,000"
    )
    assert parts["dr"].state == sla_pb2.COMPONENT_STATE_UNSPECIFIED
    (read,) = parts["clickhouse"].indicators
    assert (read.current, read.baseline, read.samples) == (5000, 5000, 17)
    assert parts["clickhouse"].state == parts["log"].state == sla_pb2.COMPONENT_STATE_HEALTHY


async def test_a_part_that_does_not_answer_is_down(service: Service) -> None:
    service.down.append("no quorum")

    health = await service.call("GetPlatformHealth", sla_service_pb2.GetPlatformHealthRequest(), "platform")

    (log,) = (one for one in health.components if one.component == "log")
    assert (log.state, log.message) == (sla_pb2.COMPONENT_STATE_DOWN, "no quorum")


@pytest.mark.parametrize(
    ("caller", "reason"),
    [("acme", "PLATFORM_ONLY"), ("outsider", "PLATFORM_ONLY"), ("viewer", "ROLE_NOT_ALLOWED")],
)
async def test_platform_health_is_for_those_who_run_the_platform(
    service: Service, caller: str, reason: str
) -> None:
    request = sla_service_pb2.GetPlatformHealthRequest()

    assert (await service.refusal("GetPlatformHealth", request, caller))[:2] == ("PERMISSION_DENIED", reason)
