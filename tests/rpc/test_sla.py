"""SlaService over a real server: who may ask what, what is refused and why, what the answers hold."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from fractions import Fraction

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from services.common.auth import Authenticator, Role, TokenTable, mint_token, sha256_hex
from services.common.auth_tokens import TokenRecord
from services.common.clock import ManualClock
from services.common.config_feed import ConfigFeed
from services.common.grpc_details import read_details
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port, build_server
from services.common.log_memory import MemoryLog
from services.common.settings import ServerConfig
from services.sla.maintenance.manage import Maintenance
from services.sla.memory import MemorySliceStore
from services.sla.model import (
    Contract,
    Distribution,
    DistributionKind,
    Objective,
    ObjectiveKind,
    Revision,
    Slice,
)
from services.sla.serve import SlaFigures
from services.sla.servicer import SERVICE_NAME, SlaServicer
from threenines.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

T0 = 1_795_392_000_000
DAY = 86_400_000
METRIC = "http.server.request.duration"
ACME = "tenants/acme/objectives/gold/"
LATENCIES = Distribution(DistributionKind.EXPONENTIAL, (90, 0, 10), scale=0, offset=-2)


def contract(tenant: str, name: str = "gold") -> Contract:
    availability = Objective(
        tenant, name, "availability", ObjectiveKind.AVAILABILITY, Fraction(999, 1000), 30 * DAY, METRIC
    )
    latency = Objective(
        tenant,
        name,
        "latency",
        ObjectiveKind.LATENCY,
        Fraction(95, 100),
        30 * DAY,
        METRIC,
        threshold_s=Fraction(2),
    )
    return Contract(tenant, name, 3, "Europe/Berlin", T0 - DAY, (availability, latency))


class Contracts:
    """Some contracts."""

    def __init__(self, *contracts: Contract) -> None:
        self._contracts = list(contracts)

    def contracts(self, tenant: str | None = None) -> list[Contract]:
        return [one for one in self.versions(tenant) if one.until_ms is None]

    def versions(self, tenant: str | None = None) -> list[Contract]:
        return [one for one in self._contracts if tenant is None or one.tenant == tenant]

    def timeline(self, tenant: str, key: str) -> tuple[Objective, ...]:
        return ()


@dataclass
class Service:
    """A running server with callers of every sort."""

    stub: sla_service_pb2_grpc.SlaServiceStub
    store: MemorySliceStore
    tokens: dict[str, str]
    address: str

    async def call(self, method: str, request: object, caller: str = "acme") -> object:
        metadata = (("authorization", f"Bearer {self.tokens[caller]}"),)
        return await getattr(self.stub, method)(request, metadata=metadata)

    async def refusal(self, method: str, request: object, caller: str = "acme") -> tuple[str, str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(method, request, caller)
        return caught.value.code().name, read_details(caught.value).reason


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    callers = {"acme": "acme", "umbra": "umbra", "writer": "acme", "platform": "*"}
    minted = {name: mint_token(secrets.token_bytes) for name in callers}
    roles = {"writer": Role.WRITER, "platform": Role.ADMIN}
    table = TokenTable(
        [
            TokenRecord(minted[name].token_id, tenant, roles.get(name, Role.READER), minted[name].sha256)
            for name, tenant in callers.items()
        ]
    )
    store = MemorySliceStore()
    earlier = replace(contract("acme"), version=2, effective_from_ms=T0 - 9 * DAY, until_ms=T0 - DAY)
    contracts = Contracts(earlier, contract("acme"), contract("acme", "silver"), contract("umbra"))
    figures = SlaFigures(contracts=contracts, slices=store, clock=ManualClock())
    clock = ManualClock()
    log = MemoryLog(clock)
    maintenance = Maintenance(
        log=log,
        feed=ConfigFeed(log, clock),
        clock=clock,
        contracts=contracts,
        random_bytes=secrets.token_bytes,
    )
    server = build_server(
        config=ServerConfig(listen="127.0.0.1:0"),
        authenticator=Authenticator("token", table, sha256_hex("unused")),
        health=HealthRegistry(ManualClock()),
        service_names=[SERVICE_NAME],
    )
    sla_service_pb2_grpc.add_SlaServiceServicer_to_server(SlaServicer(figures, maintenance), server)
    await server.start()
    try:
        address = f"127.0.0.1:{bound_port(server)}"
        async with grpc.aio.insecure_channel(address) as channel:
            texts = {name: token.text for name, token in minted.items()}
            yield Service(sla_service_pb2_grpc.SlaServiceStub(channel), store, texts, address)
    finally:
        await server.stop(None)


def sealed(k: int, good: int = 100, total: int = 100, **more: object) -> Revision:
    slice_ = Slice(T0 + k * 10_000, 10_000, good, total, up_ns=10**10, sealed=True, **more)
    return Revision(slice_, 1, T0 + k * 10_000 + 11_000)


async def fill(service: Service, tenant: str = "acme") -> None:
    slices = [("gold/availability", sealed(k, 99 if k == 5 else 100)) for k in range(12)]
    slices += [("gold/latency", sealed(k, distribution=LATENCIES)) for k in range(12)]
    await service.store.store(tenant, slices, seq=41)


def rolling(seconds: int) -> sla_pb2.Window:
    return sla_pb2.Window(rolling_period=Duration(seconds=seconds))


async def test_uptime_of_a_window(service: Service) -> None:
    await fill(service)

    answer = await service.call(
        "GetUptime",
        sla_service_pb2.GetUptimeRequest(objective=ACME + "availability", window=rolling(120)),
    )

    uptime = answer.uptime
    assert (uptime.good_count, uptime.total_count) == (1199, 1200)
    assert uptime.verdict == sla_pb2.VERDICT_PASS
    assert uptime.displayed_percent == "99.916"
    assert uptime.up_nanos == 120 * 10**9
    assert (uptime.uptime.numerator, uptime.uptime.denominator) == (1199, 1200)
    assert (uptime.coverage.numerator, uptime.coverage.denominator) == (1, 1)
    assert uptime.window.end_time.ToMilliseconds() == T0 + 120_000
    assert not uptime.window.provisional
    assert uptime.window.data_revision == 41
    assert (uptime.budget.total_count, uptime.budget.consumed_count) == (1, 1)
    assert [rate.window.seconds for rate in uptime.burn_rates] == [
        300,
        1800,
        3600,
        7200,
        21600,
        86400,
        259200,
    ]


async def test_latency_of_a_window(service: Service) -> None:
    await fill(service)

    answer = await service.call(
        "GetLatency", sla_service_pb2.GetLatencyRequest(objective=ACME + "latency", window=rolling(120))
    )

    latency = answer.latency
    assert latency.total_count == 1200
    assert (latency.lower_seconds, latency.upper_seconds) == (1.0, 2.0)
    assert latency.estimate_seconds == pytest.approx(4 / 3)
    assert latency.verdict == sla_pb2.VERDICT_PASS
    assert (latency.share_below_lower.numerator, latency.share_below_lower.denominator) == (1, 1)


async def test_status_holds_every_objective_and_the_worst_verdict(service: Service) -> None:
    await fill(service)

    status = await service.call("GetSlaStatus", sla_service_pb2.GetSlaStatusRequest())

    assert status.name == "tenants/acme/slaStatus"
    assert [(one.objective.name, one.absent_reason) for one in status.objectives] == [
        (ACME + "availability", ""),
        (ACME + "latency", ""),
        ("tenants/acme/objectives/silver/availability", "OBJECTIVE_HAS_NO_DATA"),
        ("tenants/acme/objectives/silver/latency", "OBJECTIVE_HAS_NO_DATA"),
    ]
    assert status.verdict == sla_pb2.VERDICT_NO_DATA


async def test_as_of_answers_what_was_known_then(service: Service) -> None:
    await fill(service)
    as_of = Timestamp()
    as_of.FromMilliseconds(T0 + 31_000)

    answer = await service.call(
        "GetUptime", sla_service_pb2.GetUptimeRequest(objective=ACME + "availability", as_of_time=as_of)
    )

    assert answer.uptime.total_count == 300


async def test_a_batch_without_names_is_what_the_caller_may_read(service: Service) -> None:
    request = sla_service_pb2.BatchGetSlaStatusRequest()

    own = await service.call("BatchGetSlaStatus", request)
    everybody = await service.call("BatchGetSlaStatus", request, "platform")

    assert [one.name for one in own.sla_statuses] == ["tenants/acme/slaStatus"]
    assert [one.name for one in everybody.sla_statuses] == [
        "tenants/acme/slaStatus",
        "tenants/umbra/slaStatus",
    ]


async def test_pages_of_slices_hold_each_slice_once(service: Service) -> None:
    await fill(service)
    request = sla_service_pb2.QuerySlicesRequest(objective=ACME + "latency", page_size=5)
    request.include_distributions = True
    found, sizes = [], []
    while True:
        page = await service.call("QuerySlices", request)
        found += [one.start_time.ToMilliseconds() for one in page.slices]
        sizes.append(len(page.slices))
        assert all(one.distribution.count == 100 for one in page.slices)
        if not (token := page.next_page_token):
            break
        request.page_token = token

    assert found == [T0 + 10_000 * k for k in range(12)]
    assert sizes == [5, 5, 2]
    request.include_provisional = True
    assert await service.refusal("QuerySlices", request) == ("INVALID_ARGUMENT", "BAD_PAGE")


async def test_contracts_and_objectives_are_listed_by_name(service: Service) -> None:
    contracts = await service.call("ListContracts", sla_service_pb2.ListContractsRequest())
    objectives = await service.call("ListObjectives", sla_service_pb2.ListObjectivesRequest(page_size=3))
    gold = await service.call(
        "GetContract", sla_service_pb2.GetContractRequest(name="tenants/acme/contracts/gold")
    )

    assert [one.name for one in contracts.contracts] == [
        "tenants/acme/contracts/gold",
        "tenants/acme/contracts/silver",
    ]
    assert len(objectives.objectives) == 3
    assert objectives.next_page_token
    assert gold.version == 3
    assert gold.objectives[1].threshold_seconds == 2.0
    assert gold.objectives[0].target == sla_pb2.Ratio(numerator=999, denominator=1000)


async def test_every_version_of_a_contract_can_be_read(service: Service) -> None:
    listed = await service.call("ListContracts", sla_service_pb2.ListContractsRequest(show_all_versions=True))
    old = await service.call(
        "GetContract", sla_service_pb2.GetContractRequest(name="tenants/acme/contracts/gold", version=2)
    )

    assert [(one.name.rpartition("/")[2], one.version) for one in listed.contracts] == [
        ("gold", 2),
        ("gold", 3),
        ("silver", 3),
    ]
    assert old == listed.contracts[0]
    assert old.effective_end_time == listed.contracts[1].effective_start_time
    assert not listed.contracts[1].HasField("effective_end_time")


FOREIGN = [
    ("GetUptime", sla_service_pb2.GetUptimeRequest(objective=ACME + "availability")),
    ("GetLatency", sla_service_pb2.GetLatencyRequest(objective=ACME + "latency")),
    ("GetSlaStatus", sla_service_pb2.GetSlaStatusRequest(name="tenants/acme/slaStatus")),
    (
        "BatchGetSlaStatus",
        sla_service_pb2.BatchGetSlaStatusRequest(names=["tenants/acme/slaStatus", "tenants/umbra/slaStatus"]),
    ),
    ("QuerySlices", sla_service_pb2.QuerySlicesRequest(objective=ACME + "availability")),
    ("ListContracts", sla_service_pb2.ListContractsRequest(parent="tenants/acme")),
    ("GetContract", sla_service_pb2.GetContractRequest(name="tenants/acme/contracts/gold")),
    ("ListObjectives", sla_service_pb2.ListObjectivesRequest(parent="tenants/acme")),
]


@pytest.mark.parametrize(("method", "request_"), FOREIGN, ids=[method for method, _ in FOREIGN])
async def test_nobody_reads_another_tenants_figures(service: Service, method: str, request_: object) -> None:
    await fill(service)

    assert await service.refusal(method, request_, "umbra") == ("PERMISSION_DENIED", "TENANT_MISMATCH")
    assert await service.refusal(method, request_, "writer") == ("PERMISSION_DENIED", "ROLE_NOT_ALLOWED")
    assert await service.call(method, request_, "platform")


def custom(start_s: int, end_s: int) -> sla_pb2.Window:
    window = sla_pb2.Window()
    window.custom.start_time.FromSeconds(start_s)
    window.custom.end_time.FromSeconds(end_s)
    return window


REFUSED = [
    ("GetUptime", {"objective": "gold/availability"}, "INVALID_ARGUMENT", "BAD_RESOURCE_NAME"),
    ("GetUptime", {"objective": ACME + "missing"}, "NOT_FOUND", "OBJECTIVE_NOT_FOUND"),
    ("GetUptime", {"objective": ACME + "latency"}, "INVALID_ARGUMENT", "WRONG_OBJECTIVE_TYPE"),
    (
        "GetUptime",
        {"objective": "tenants/acme/objectives/silver/availability"},
        "FAILED_PRECONDITION",
        "OBJECTIVE_HAS_NO_DATA",
    ),
    (
        "GetUptime",
        {"objective": ACME + "availability", "window": rolling(7)},
        "INVALID_ARGUMENT",
        "BAD_WINDOW",
    ),
    (
        "GetUptime",
        {"objective": ACME + "availability", "window": custom(20, 10)},
        "INVALID_ARGUMENT",
        "BAD_WINDOW",
    ),
    (
        "GetUptime",
        {"objective": ACME + "availability", "window": sla_pb2.Window(calendar=sla_pb2.CalendarWindow())},
        "INVALID_ARGUMENT",
        "BAD_WINDOW",
    ),
    (
        "GetLatency",
        {"objective": ACME + "latency", "quantile": sla_pb2.Ratio(numerator=1, denominator=1)},
        "INVALID_ARGUMENT",
        "BAD_QUANTILE",
    ),
    ("GetContract", {"name": "tenants/acme/contracts/none"}, "NOT_FOUND", "CONTRACT_NOT_FOUND"),
    (
        "GetContract",
        {"name": "tenants/acme/contracts/gold", "version": 9},
        "NOT_FOUND",
        "CONTRACT_NOT_FOUND",
    ),
    ("ListObjectives", {"page_size": -1}, "INVALID_ARGUMENT", "BAD_PAGE"),
    ("ListObjectives", {"page_token": "x"}, "INVALID_ARGUMENT", "BAD_PAGE"),
    (
        "BatchGetSlaStatus",
        {"names": ["tenants/acme/slaStatus"] * 2},
        "INVALID_ARGUMENT",
        "BAD_RESOURCE_NAME",
    ),
    ("ListDowntime", {}, "UNIMPLEMENTED", "RPC_NOT_BUILT"),
]


@pytest.mark.parametrize(("method", "fields", "code", "reason"), REFUSED)
async def test_what_cannot_be_answered_says_why(
    service: Service, method: str, fields: dict[str, object], code: str, reason: str
) -> None:
    await fill(service)
    request = getattr(sla_service_pb2, f"{method}Request")(**fields)

    assert await service.refusal(method, request) == (code, reason)


async def test_the_platform_has_to_name_the_tenant(service: Service) -> None:
    request = sla_service_pb2.GetSlaStatusRequest()

    assert await service.refusal("GetSlaStatus", request, "platform") == (
        "INVALID_ARGUMENT",
        "BAD_RESOURCE_NAME",
    )


async def test_without_the_store_figures_are_unavailable(service: Service) -> None:
    service.store.down = True

    refused = await service.refusal("GetSlaStatus", sla_service_pb2.GetSlaStatusRequest())

    assert refused == ("UNAVAILABLE", "STORE_DOWN")


async def test_a_month_of_the_contracts_zone_is_answered(service: Service) -> None:
    await fill(service)
    window = sla_pb2.Window(calendar=sla_pb2.CalendarWindow(period=sla_pb2.CALENDAR_PERIOD_MONTH))

    answer = await service.call(
        "GetUptime", sla_service_pb2.GetUptimeRequest(objective=ACME + "availability", window=window)
    )

    used = answer.uptime.window
    assert (used.end_time.ToMilliseconds() - used.start_time.ToMilliseconds()) % DAY == 0
    assert used.watermark_time.ToMilliseconds() == T0 + 120_000
    assert answer.uptime.total_count == 1200
