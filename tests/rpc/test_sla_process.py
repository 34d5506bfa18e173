"""The SLA process as it runs: rows and APPLIED in, figures out, over real engines; crashes included."""

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.common.auth import MintedToken, mint_token, sha256_hex
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from services.common.config_feed import put_document
from services.common.documents import document_from_json
from services.common.grpc_details import read_details
from services.common.log import connect_nats
from services.common.migrations import load_migrations, migrate
from services.sla.model import Applied, PointKind, Series, Touched
from services.sla.payload import applied_to_json, message_from_json
from services.sla.rows_build import Point
from tests.collector_process import QUICK_RECONNECT
from tests.contract.sla_rows import insert
from tests.engines_given import (
    CLICKHOUSE_URL,
    ClickHouseServer,
    NatsLog,
    clickhouse_server,
    nats_server,
    needs_embedded,
)
from tests.engines_nats import free_port
from threenines.sla.v1 import sla_pb2, sla_service_pb2, sla_service_pb2_grpc

pytestmark = pytest.mark.engines

T = TypeVar("T")
METRIC = "http.server.request.duration"
SERVICE = "threenines.sla.v1.SlaService"
CONTRACT = {
    "time_zone": "Europe/Berlin",
    "effective_from": "2026-01-01",
    "objectives": [
        {"name": "availability", "type": "availability", "target": "99.9%", "window": "30d"},
        {"name": "latency", "type": "latency", "target": "2s", "window": "30d"},
    ],
}
GOOD = Series(
    1, 7, PointKind.EXPONENTIAL, False, "s", {"http.response.status_code": "200"}, {"service.name": "shop"}
)
BAD = Series(
    2, 7, PointKind.EXPONENTIAL, False, "s", {"http.response.status_code": "503"}, {"service.name": "shop"}
)
SERIES = {1: GOOD, 2: BAD}


@dataclass
class Suite:
    """The process under test with its engines."""

    clickhouse: ClickHouseServer
    nats: NatsLog
    database: str
    port: int = field(default_factory=free_port)
    admin: str = field(default_factory=lambda: mint_token(secrets.token_bytes).text)
    tokens: dict[str, MintedToken] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    batches: int = 0

    def start(self) -> None:
        environment = {
            **os.environ,
            "THREENINES_NATS_URL": self.nats.url,
            "THREENINES_CLICKHOUSE_URL": self.clickhouse.url,
            "THREENINES_CLICKHOUSE_DATABASE": self.database,
            "THREENINES_SLA_LISTEN": f"127.0.0.1:{self.port}",
            "THREENINES_ADMIN_TOKEN_SHA256": sha256_hex(self.admin),
        }
        self.process = subprocess.Popen([sys.executable, "-m", "services.sla.main"], env=environment)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def channel(self) -> grpc.aio.Channel:
        return grpc.aio.insecure_channel(f"127.0.0.1:{self.port}", options=QUICK_RECONNECT)

    async def configure(self, *tenants: str) -> None:
        clock = SystemClock()
        engine = await connect_nats(self.nats.url, clock=clock)
        await engine.ensure_streams()
        for tenant in tenants:
            self.tokens[tenant] = token = mint_token(secrets.token_bytes)
            for kind, name, owner, spec in (
                ("Contract", "gold", tenant, CONTRACT),
                (
                    "Token",
                    token.token_id,
                    None,
                    {
                        "token_id": token.token_id,
                        "tenant": tenant,
                        "role": "reader",
                        "sha256": token.sha256,
                    },
                ),
            ):
                data = {"kind": kind, "tenant": owner, "name": name, "spec": spec}
                await put_document(engine.log, document_from_json(data), actor="test", clock=clock)
        await engine.close()

    async def write(self, tenant: str, rows: list[Point], watermark_ms: int) -> None:
        """As the collector's writer: rows first, then word of them."""
        database = Database(ClickHouseConfig.from_url(self.clickhouse.url, self.database))
        await migrate(database, load_migrations(), SystemClock())
        for point in rows:
            await insert(database, tenant, METRIC, SERIES[point.series_id], [point])
        await database.close()
        times = [point.ts_ms for point in rows]
        self.batches += 1
        applied = Applied(
            "database",
            self.batches,
            watermark_ms * 1_000_000,
            (Touched(tenant, METRIC, min(times), max(times)),) if times else (),
        )
        engine = await connect_nats(self.nats.url, clock=SystemClock())
        await engine.log.append(
            "APPLIED", "applied.local", applied_to_json(applied), msg_id=f"test-{self.batches}"
        )
        await engine.close()

    async def published(self) -> list[tuple[str, int, int]]:
        """(objective, start, revision) of everything in SLICES."""
        engine = await connect_nats(self.nats.url, clock=SystemClock())
        entries = await engine.log.read("SLICES", 1, max_messages=10_000)
        await engine.close()
        messages = [message_from_json(entry.data) for entry in entries]
        return [
            (objective, one.slice.start_ms, one.revision)
            for message in messages
            if message is not None
            for objective, one in message.slices
        ]


@pytest.fixture
async def suite(tmp_path: Path) -> AsyncIterator[Suite]:
    clickhouse = clickhouse_server(tmp_path / "clickhouse")
    nats = nats_server(tmp_path / "nats")
    running = Suite(clickhouse, nats, clickhouse.database("threenines"))
    try:
        clickhouse.start()
        await nats.start()
        yield running
    finally:
        if running.process is not None:
            running.kill()
        await nats.stop()
        clickhouse.stop()


async def eventually(ask: Callable[[], Awaitable[T | None]], *, seconds: float = 120.0) -> T:
    """The first answer that is not None. By default there is time for the start of a process."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if (answer := await ask()) is not None:
                return answer
        except grpc.aio.AioRpcError as err:
            if err.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED):
                raise
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.1)


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def requests(series: Series, ts_ms: int, start_ms: int, count: int) -> Point:
    return Point(series.series_id, ts_ms, count, (count,), start_ms, scale=3, offset=-8)


async def test_rows_become_figures_that_only_their_tenant_sees_and_survive_crashes(suite: Suite) -> None:
    await suite.configure("acme", "umbra")
    suite.start()
    start = int(time.time()) // 60 * 60_000 - 600_000
    for k in range(1, 5):
        ts = start + k * 10_000
        rows = [requests(GOOD, ts, start, 99 * k), requests(BAD, ts, start, k)]
        await suite.write("acme", rows, ts + 500)

    async with suite.channel() as channel:
        stub = sla_service_pb2_grpc.SlaServiceStub(channel)

        async def status(total: int) -> sla_pb2.SlaStatus | None:
            answer = await stub.GetSlaStatus(
                sla_service_pb2.GetSlaStatusRequest(), metadata=bearer(suite.tokens["acme"].text)
            )
            found = answer.objectives[0].uptime.total_count == total
            return answer if found else None

        answer = await eventually(lambda: status(400))

        availability, latency = answer.objectives
        assert answer.name == "tenants/acme/slaStatus"
        assert availability.objective.name == "tenants/acme/objectives/gold/availability"
        assert (availability.uptime.good_count, availability.uptime.total_count) == (396, 400)
        assert availability.uptime.displayed_percent == "99.000"
        assert availability.verdict == sla_pb2.VERDICT_FAIL
        assert latency.latency.total_count == 400
        assert latency.latency.lower_seconds == 0.5
        assert latency.verdict == sla_pb2.VERDICT_PASS

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.GetSlaStatus(
                sla_service_pb2.GetSlaStatusRequest(name="tenants/acme/slaStatus"),
                metadata=bearer(suite.tokens["umbra"].text),
            )
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert read_details(refused.value).reason == "TENANT_MISMATCH"

    published = await suite.published()
    assert len(published) == len(set(published)), "a revision was published twice"
    suite.kill()
    suite.start()
    async with suite.channel() as channel:
        stub = sla_service_pb2_grpc.SlaServiceStub(channel)
        ts = start + 50_000
        rows = [requests(GOOD, ts, start, 99 * 5), requests(BAD, ts, start, 5)]
        await suite.write("acme", rows, ts + 500)
        await eventually(lambda: status(500))
    after = await suite.published()
    assert after[: len(published)] == published
    assert {begin for _, begin, _ in after[len(published) :]} == {start + 40_000}


async def test_without_clickhouse_the_process_stays_up_and_says_so(suite: Suite) -> None:
    needs_embedded(CLICKHOUSE_URL, why="it is stopped and started")
    suite.clickhouse.stop()
    await suite.configure("acme")
    suite.start()

    async with suite.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)

        async def state(wanted: int) -> bool | None:
            answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
            return answer.status == wanted or None

        await eventually(lambda: state(health_pb2.HealthCheckResponse.NOT_SERVING))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await sla_service_pb2_grpc.SlaServiceStub(channel).GetSlaStatus(
                sla_service_pb2.GetSlaStatusRequest(name="tenants/acme/slaStatus"),
                metadata=bearer(suite.admin),
            )
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE

        suite.clickhouse.start()
        await eventually(lambda: state(health_pb2.HealthCheckResponse.SERVING))
