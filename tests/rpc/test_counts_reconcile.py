"""The platform's metrics about itself, sent to itself, account for every point to zero difference.

The expected numbers come from the test's own ledger of what it sent and what it was told. Point 9: an
objective of 100 % stored data is kept by these counters, duplicates and refusals notwithstanding.
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from services.common.grpc_details import read_details
from services.embedded.layout import DataDir
from services.embedded.own_metrics import OWN_TENANT, grant_own_metrics, own_metrics_environment
from services.sla.clickhouse import ClickHousePointReader
from services.sla.columns import columns_of
from services.sla.figures import uptime_of
from services.sla.figures_model import Uptime
from services.sla.model import Objective, ObjectiveKind, Revision, Verdict
from services.sla.slice_compute import Grid
from services.sla.slice_grid import NOTHING
from services.sla.slice_stored_source import StoredSource
from services.sla.windows import Window
from tests.collector_process import EXPORT_METHOD, CollectorProcess
from tests.engines import EmbeddedClickHouse
from tests.engines_nats import EmbeddedNats, EmbeddedRedis
from threenines.collector.v1 import collector_pb2, collector_service_pb2, collector_service_pb2_grpc

_WEEK_MS = 7 * 86_400_000
_ADMIN = "tn_admin_" + "a" * 43
_LAST_VALUES = """
SELECT s.metric, s.attributes, argMax(if(p.kind = 'int', toFloat64(p.value_int), p.value_double), p.ts)
FROM points AS p
INNER JOIN (
    SELECT DISTINCT metric, series_id, attributes FROM series
    WHERE tenant = {tenant:String} AND startsWith(metric, 'threenines.collector.')
) AS s ON p.series_id = s.series_id
WHERE p.tenant = {tenant:String}
GROUP BY s.metric, s.attributes
"""

pytestmark = [pytest.mark.engines, pytest.mark.timeout(300)]


class Sender:
    """Sends as tenants do, and keeps its own ledger of what it was told."""

    def __init__(self, process: CollectorProcess) -> None:
        self._process = process
        self._tokens: dict[str, str] = {}
        self.ledger: dict[str, Counter[str]] = {}

    async def admin(self, method: str, request: Any) -> Any:
        """Call CollectorService as the administrator."""
        async with grpc.aio.insecure_channel(self._process.admin_address) as channel:
            stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
            return await getattr(stub, method)(request, metadata=_bearer(_ADMIN), timeout=20)

    async def tenant(self, tenant: str, **limits: Any) -> None:
        """A tenant with a token and a quota."""
        await self.admin("CreateTenant", collector_service_pb2.CreateTenantRequest(tenant_id=tenant))
        role = collector_pb2.Token(role=collector_pb2.TOKEN_ROLE_WRITER)
        asked = collector_service_pb2.CreateTokenRequest(parent=f"tenants/{tenant}", token=role)
        self._tokens[tenant] = (await self.admin("CreateToken", asked)).secret
        quota = collector_pb2.TenantQuota(name=f"tenants/{tenant}/quota", **limits)
        await self.admin("SetTenantQuota", collector_service_pb2.SetTenantQuotaRequest(quota=quota))
        self.ledger[tenant] = Counter()

    async def send(self, tenant: str, raw: bytes, *, resent: bool = False) -> None:
        """Export, and note what became of the points."""
        points = sum(
            len(metric.gauge.data_points)
            for resource in ExportMetricsServiceRequest.FromString(raw).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        )
        ledger = self.ledger[tenant]
        ledger["received"] += points
        try:
            async with grpc.aio.insecure_channel(self._process.otlp_address) as channel:
                call: Any = channel.unary_unary(EXPORT_METHOD)
                answer = await call(raw, metadata=_bearer(self._tokens[tenant]), timeout=20)
        except grpc.aio.AioRpcError as err:
            ledger[f"failed {read_details(err).reason}"] += points
            return
        rejected = ExportMetricsServiceResponse.FromString(answer).partial_success.rejected_data_points
        ledger["rejected"] += rejected
        ledger["acknowledged"] += points - rejected
        ledger["duplicate" if resent else "stored"] += points - rejected

    async def status(self) -> dict[str, collector_pb2.TenantStatus]:
        """GetStatus by tenant."""
        found = await self.admin("GetStatus", collector_service_pb2.GetStatusRequest(tenant="tenants/-"))
        return {one.tenant.removeprefix("tenants/"): one for one in found.tenants}


def _bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


def _points(*series: str, old: int = 0) -> bytes:
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="requests")
    for place, name in enumerate(series):
        when = 1 if place < old else time.time_ns() + place
        point = metric.gauge.data_points.add(time_unix_nano=when, as_int=1)
        point.attributes.add(key="path").value.string_value = name
    return request.SerializeToString()


class Running:
    """The engines, the collector that reports to itself, and its database."""

    def __init__(self, process: CollectorProcess, database: Database) -> None:
        self.process = process
        self.sender = Sender(process)
        self._database = database

    async def own_metrics(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """The last value of each series that the collector reported about itself, by short name."""
        rows = await self._database.rows(_LAST_VALUES, {"tenant": OWN_TENANT})
        prefix = "threenines.collector."
        return {
            (metric.removeprefix(prefix), tuple(sorted(attributes.items()))): float(value)
            for metric, attributes, value in rows
        }

    async def data_availability(self, tenant: str, since_ms: int) -> Uptime:
        """What an objective of 100 % stored data comes to, over all that the collector reported so far."""
        target = Fraction(1)
        objective = Objective(tenant, "gold", "stored", ObjectiveKind.DATA_AVAILABILITY, target, _WEEK_MS, "")
        grid = Grid.over(since_ms, time.time_ns() // 10**6, objective.slice_ms)
        source = StoredSource(ClickHousePointReader(self._database))
        loaded = await source.load([objective], grid.origin_ms, grid.end_ms)
        slices = loaded.slices(objective, grid=grid, first_ms=since_ms, excluded=NOTHING)
        columns = columns_of([(Revision(one, 1, 0), 1) for one in slices])
        return uptime_of(objective, columns, Window(grid.origin_ms, grid.end_ms, grid.end_ms))


@pytest_asyncio.fixture
async def running(tmp_path: Path, workers: int) -> AsyncIterator[Running]:
    """Everything, with the collector's metrics going to itself as `up` has it."""
    nats, redis = EmbeddedNats(tmp_path / "nats"), EmbeddedRedis(tmp_path / "redis")
    clickhouse = EmbeddedClickHouse(tmp_path / "clickhouse")
    await nats.start()
    await redis.start()
    await asyncio.to_thread(clickhouse.start)
    token = DataDir(tmp_path).own_metrics_token()
    await grant_own_metrics(nats.url, token, SystemClock())
    process = CollectorProcess(nats.url, clickhouse.url, tmp_path / "collector", auth="token")
    process.add_environment(
        {
            "THREENINES_ADMIN_TOKEN_SHA256": hashlib.sha256(_ADMIN.encode()).hexdigest(),
            "THREENINES_REDIS_URL": redis.url,
            "THREENINES_COLLECTOR_WORKERS": str(workers),
            **own_metrics_environment(process.otlp_address, token, {"OTEL_METRIC_EXPORT_INTERVAL": "300"}),
        }
    )
    database = Database(ClickHouseConfig.from_url(clickhouse.url, "threenines"))
    process.start()
    try:
        await process.wait_serving()
        yield Running(process, database)
    finally:
        await database.close()
        await asyncio.to_thread(process.stop)
        await asyncio.to_thread(clickhouse.stop)
        await redis.stop()
        await nats.stop()


async def drive(sender: Sender) -> None:
    """Traffic with every fate: stored, resent, refused by point and by series, over the rate."""
    await sender.tenant("acme", active_series_count=6)
    await sender.tenant("beta", points_per_second_count=5, burst_point_count=5)
    for round_ in range(5):
        raw = _points("a", "b", "c", f"new-{round_}", f"new-{round_}", "old", old=1)
        await sender.send("acme", raw)
        for _ in range(round_):
            await sender.send("acme", raw, resent=True)
    await sender.send("acme", _points("x", "y"))
    await sender.send("acme", _points("a", "b", old=2))
    for _ in range(4):
        await sender.send("beta", _points(*"abcdefghijkl"))


@pytest.mark.parametrize("workers", [1, 3])
async def test_received_rejected_acknowledged_logged_and_stored_reconcile_to_zero(running: Running) -> None:
    sender, since_ms = running.sender, time.time_ns() // 10**6 - 120_000
    await drive(sender)
    assert sender.ledger["acme"]["duplicate"] > 0
    assert sender.ledger["beta"]["failed RATE_LIMIT"] > 0

    found: dict[Any, float] = {}

    def of(name: str, tenant: str, **labels: str) -> float:
        wanted = {"tenant": tenant, **labels}.items()
        return sum(value for (metric, key), value in found.items() if metric == name and wanted <= set(key))

    def drained() -> bool:
        return all(
            of("points.received", tenant) == ledger["received"]
            and of("points.logged", tenant) == ledger["acknowledged"]
            and ("points.unread", (("tenant", tenant),)) in found
            and of("points.unread", tenant) == 0
            for tenant, ledger in sender.ledger.items()
        )

    async with asyncio.timeout(60):
        while not drained():
            await asyncio.sleep(0.3)
            found = await running.own_metrics()
    status = await sender.status()
    for tenant, ledger in sender.ledger.items():
        received, rejected = of("points.received", tenant), of("points.rejected", tenant)
        acknowledged, failed = of("points.acknowledged", tenant), of("points.failed", tenant)
        logged, stored = of("points.logged", tenant), of("points.stored", tenant)
        duplicate, dead = of("points.deduplicated", tenant), of("points.deadlettered", tenant)
        assert received - rejected - acknowledged - failed == 0
        assert logged - stored - duplicate - dead == 0
        assert [rejected, acknowledged, stored, duplicate, dead] == [
            ledger["rejected"],
            ledger["acknowledged"],
            ledger["stored"],
            ledger["duplicate"],
            0,
        ]
        assert failed == of("points.failed", tenant, reason="RATE_LIMIT") == ledger["failed RATE_LIMIT"]
        assert of("tenant.lag", tenant) == 0
        points = status[tenant].points
        assert points.received_count == received
        assert points.rejected_count == rejected == sum(one.point_count for one in status[tenant].rejections)
        assert points.acknowledged_count == acknowledged == points.logged_count == logged
        assert points.written_count + points.duplicate_count + points.dead_lettered_count == logged
        promised = await running.data_availability(tenant, since_ms)
        assert (promised.good, promised.total) == (stored, stored + dead)
        assert (promised.verdict, promised.share) == (Verdict.PASS, 1)
        for one in status[tenant].rejections:
            assert of("points.rejected", tenant, reason=one.reason) == one.point_count
    assert of("series.active", "acme") == 6
    assert of("points.received", OWN_TENANT) > 0
    assert abs(time.time() - found["watermark", ()]) < 60
    assert found["log.lag", ()] >= 0
