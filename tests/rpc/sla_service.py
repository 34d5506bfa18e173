"""A whole SlaService on a port, over stores in memory: tenants of one shape, callers of every sort."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import grpc
import pytest

from services.common.auth import Authenticator, Role, TokenTable, confirm_principal, mint_token, sha256_hex
from services.common.auth_tokens import TokenRecord
from services.common.clock import ManualClock
from services.common.config_feed import ConfigFeed
from services.common.errors import Unavailable
from services.common.grpc_details import read_details
from services.common.grpc_health import HealthRegistry
from services.common.grpc_server import bound_port, build_server
from services.common.log_memory import MemoryLog
from services.common.settings import ServerConfig
from services.sla.credits.model import CreditTerms, Tier
from services.sla.credits.serve import CreditCalculator
from services.sla.downtime import DowntimeList
from services.sla.downtime_stores import SliceRunReader
from services.sla.maintenance.manage import Maintenance
from services.sla.memory import MemorySliceStore
from services.sla.model import Contract, Objective, ObjectiveKind, Revision, Slice
from services.sla.platform_health import Durations, HealthOfPlatform
from services.sla.reports.generate import ProgressBoard, Reports
from services.sla.reports.history import Histories
from services.sla.reports.store_memory import MemoryReports
from services.sla.serve import SlaFigures
from services.sla.servicer import SERVICE_NAME, SlaServicer
from services.sla.servicer_outcomes import Outcomes
from services.sla.watch import Changes, Watches
from services.sla.windows import Calendar, Period
from threenines.sla.v1 import sla_service_pb2_grpc

MONTH = 1_793_487_600_000  # 2026-11-01T00:00 in Berlin
DAY = 86_400_000
NS = 10**10
METRIC = "http.server.request.duration"
TIERS = (Tier(Fraction(999, 1000), Fraction(1, 10)), Tier(Fraction(99, 100), Fraction(1, 4)))


def contract_of(tenant: str, *, fee: str = "1000.00", **more: Any) -> Contract:
    """Availability of 99.9 % by calendar month, paid for, and p95 < 2 s."""
    month = Calendar(Period.MONTH)
    availability = Objective(
        tenant, "gold", "availability", ObjectiveKind.AVAILABILITY, Fraction(999, 1000), 31 * DAY, METRIC
    )
    latency = replace(
        availability,
        name="latency",
        kind=ObjectiveKind.LATENCY,
        good_share=Fraction(95, 100),
        threshold_s=Fraction(2),
    )
    objectives = tuple(
        replace(one, window=month, time_zone="Europe/Berlin") for one in (availability, latency)
    )
    terms = CreditTerms("gold/availability", Period.MONTH, TIERS, "EUR", Decimal(fee))
    made = Contract(tenant, "gold", 3, "Europe/Berlin", 0, objectives, credits=terms)
    return replace(made, **more)


class Contracts:
    """Contracts that a test may change."""

    def __init__(self, *contracts: Contract) -> None:
        self.found = list(contracts)

    def contracts(self, tenant: str | None = None) -> list[Contract]:
        return [one for one in self.versions(tenant) if one.until_ms is None]

    def versions(self, tenant: str | None = None) -> list[Contract]:
        return [one for one in self.found if tenant is None or one.tenant == tenant]

    def timeline(self, tenant: str, key: str) -> tuple[Objective, ...]:
        return tuple(
            replace(objective, from_ms=one.effective_from_ms, until_ms=one.until_ms)
            for one in self.versions(tenant)
            for objective in one.objectives
            if objective.key == key
        )


@dataclass
class OwnMetrics:
    """Our own metrics as a test says that they are."""

    calls: list[Durations] = field(default_factory=list)
    statements: list[Durations] = field(default_factory=list)
    counters: dict[str, dict[int, int]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    async def durations(self, metric: str, label: str, *, low_ms: int, high_ms: int) -> list[Durations]:
        return self.calls if label == "code" else self.statements

    async def counts(self, metric: str, *, low_ms: int, high_ms: int) -> Mapping[int, int]:
        return self.counters.get(metric, {})

    async def levels(self, metric: str, *, low_ms: int, high_ms: int) -> Mapping[int, int]:
        return self.counters.get(metric, {})

    async def reported(self, *, low_ms: int) -> Mapping[str, int]:
        return self.seen


@dataclass
class Service:
    """A running server."""

    stub: sla_service_pb2_grpc.SlaServiceStub
    channel: grpc.aio.Channel
    store: MemorySliceStore
    contracts: Contracts
    metrics: OwnMetrics
    changes: Changes
    clock: ManualClock
    tokens: dict[str, str]
    table: TokenTable
    records: list[TokenRecord]
    down: list[str]
    address: str
    reports: MemoryReports

    def signed(self, caller: str) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.tokens[caller]}"),)

    async def call(self, method: str, request: object, caller: str = "acme") -> Any:
        return await getattr(self.stub, method)(request, metadata=self.signed(caller))

    async def refusal(self, method: str, request: object, caller: str = "acme") -> tuple[str, str, list[str]]:
        """(code, reason, wrong fields)."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.call(method, request, caller)
        details = read_details(caught.value)
        return caught.value.code().name, details.reason, [one.field for one in details.violations]

    async def put(self, *slices: Revision, tenant: str = "acme", key: str = "gold/availability") -> None:
        await self.store.store(tenant, [(key, one) for one in slices], seq=7)
        self.changes.stored(tenant)

    def revoke(self, caller: str) -> None:
        token_id = self.tokens[caller].split("_")[1]
        self.table.replace(
            [replace(one, revoked=True) if one.token_id == token_id else one for one in self.records]
        )
        self.changes.everything()


def sealed(k: int, good: int = 100, **more: Any) -> Revision:
    """Slice k of November 2026, up unless told otherwise."""
    parts = more or {"up_ns": NS}
    slice_ = Slice(MONTH + k * 10_000, 10_000, good, 100, sealed=True, **parts)
    return Revision(slice_, 1, MONTH + k * 10_000 + 11_000)


@asynccontextmanager
async def running(*contracts: Contract) -> AsyncIterator[Service]:
    """Started with these contracts; stopped at the end."""
    callers = {
        "acme": ("acme", Role.READER),
        "umbra": ("umbra", Role.READER),
        "writer": ("acme", Role.WRITER),
        "operator": ("acme", Role.OPERATOR),
        "outsider": ("umbra", Role.ADMIN),
        "platform": ("*", Role.ADMIN),
        "crew": ("*", Role.OPERATOR),
        "viewer": ("*", Role.READER),
    }
    minted = {name: mint_token(secrets.token_bytes) for name in callers}
    records = [
        TokenRecord(minted[name].token_id, tenant, role, minted[name].sha256)
        for name, (tenant, role) in callers.items()
    ]
    table, store, known = TokenTable(records), MemorySliceStore(), Contracts(*contracts)
    clock, changes, metrics = ManualClock(now_ns=(MONTH + 40 * DAY) * 10**6), Changes(), OwnMetrics()
    log, down = MemoryLog(clock), list[str]()
    feed = ConfigFeed(log, clock)
    await feed.start()
    figures = SlaFigures(contracts=known, slices=store, clock=clock)
    maintenance = Maintenance(
        log=log, feed=feed, clock=clock, contracts=known, random_bytes=secrets.token_bytes
    )
    server = build_server(
        config=ServerConfig(listen="127.0.0.1:0"),
        authenticator=Authenticator("token", table, sha256_hex("unused")),
        health=HealthRegistry(clock),
        service_names=[SERVICE_NAME],
    )
    outcomes = Outcomes(
        downtime=DowntimeList(contracts=known, slices=store, runs=SliceRunReader(store)),
        watches=Watches(figures=figures, changes=changes, clock=clock, confirm=confirm_principal),
        credits=CreditCalculator(contracts=known, slices=store, clock=clock),
        health=HealthOfPlatform(metrics=metrics, probes={"log": _probe(down)}, clock=clock, region="local"),
    )
    reports = MemoryReports()
    servicer = SlaServicer(
        figures,
        maintenance,
        Reports(
            contracts=known,
            store=reports,
            histories=Histories(log=log, store=reports, stored=_at_once),
            clock=clock,
            board=ProgressBoard(),
        ),
        outcomes,
    )
    sla_service_pb2_grpc.add_SlaServiceServicer_to_server(servicer, server)
    await server.start()
    try:
        address = f"127.0.0.1:{bound_port(server)}"
        async with grpc.aio.insecure_channel(address) as channel:
            stub = sla_service_pb2_grpc.SlaServiceStub(channel)
            texts = {name: token.text for name, token in minted.items()}
            yield Service(
                *(stub, channel, store, known, metrics, changes, clock),
                *(texts, table, records, down, address, reports),
            )
    finally:
        await server.stop(None)
        await feed.stop()


def _probe(down: list[str]) -> Any:
    async def probe() -> None:
        if down:
            raise Unavailable(down[0])

    return probe


async def _at_once(_seq: int) -> None:
    """The store of these tests is never behind."""
