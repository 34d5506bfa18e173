"""Quotas and usage as people meet them: over gRPC and HTTP, on real engines, through restarts."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import grpc
import httpx
import pytest
import pytest_asyncio
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from services.common.grpc_details import read_details
from tests.collector_process import EXPORT_METHOD, CollectorProcess
from tests.engines import EmbeddedClickHouse
from tests.engines_nats import EmbeddedNats, EmbeddedRedis
from threenines.collector.v1 import collector_pb2, collector_service_pb2, collector_service_pb2_grpc

_ADMIN = "tn_admin_" + "a" * 43

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


@dataclass
class Platform:
    """A collector on real engines, and its administrator."""

    process: CollectorProcess
    redis: EmbeddedRedis
    clickhouse: EmbeddedClickHouse
    tokens: dict[str, str] = field(default_factory=dict)

    async def admin(self, method: str, request: Any, *, token: str = _ADMIN) -> Any:
        """Call CollectorService."""
        async with grpc.aio.insecure_channel(self.process.admin_address) as channel:
            stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
            return await getattr(stub, method)(request, metadata=bearer(token), timeout=20)

    async def tenant(self, tenant: str, **quota: Any) -> None:
        """A new tenant with a writer's token, and a quota where one is given."""
        await self.admin("CreateTenant", collector_service_pb2.CreateTenantRequest(tenant_id=tenant))
        self.tokens[tenant] = await self.token(tenant, collector_pb2.TOKEN_ROLE_WRITER)
        if quota:
            await self.set_quota(tenant, **quota)

    async def token(self, tenant: str, role: "collector_pb2.TokenRole.ValueType") -> str:
        """A new token."""
        request = collector_service_pb2.CreateTokenRequest(
            parent=f"tenants/{tenant}", token=collector_pb2.Token(role=role)
        )
        return str((await self.admin("CreateToken", request)).secret)

    async def set_quota(
        self, tenant: str, *, mask: tuple[str, ...] = (), token: str = _ADMIN, etag: str = "", **limits: Any
    ) -> collector_pb2.TenantQuota:
        """SetTenantQuota."""
        request = collector_service_pb2.SetTenantQuotaRequest(
            quota=collector_pb2.TenantQuota(name=f"tenants/{tenant}/quota", etag=etag, **limits),
            update_mask=FieldMask(paths=mask) if mask else None,
        )
        answer: collector_pb2.TenantQuota = await self.admin("SetTenantQuota", request, token=token)
        return answer

    async def usage(self, tenant: str, *, token: str = _ADMIN, **fields: Any) -> collector_pb2.TenantUsage:
        """GetTenantUsage."""
        request = collector_service_pb2.GetTenantUsageRequest(name=f"tenants/{tenant}/usage", **fields)
        answer: collector_pb2.TenantUsage = await self.admin("GetTenantUsage", request, token=token)
        return answer

    async def export(self, tenant: str, raw: bytes) -> ExportMetricsServiceResponse:
        """Send a request over gRPC."""
        async with grpc.aio.insecure_channel(self.process.otlp_address) as channel:
            call: Any = channel.unary_unary(EXPORT_METHOD)
            answer = await call(raw, metadata=bearer(self.tokens[tenant]), timeout=20)
            return ExportMetricsServiceResponse.FromString(answer)

    async def until_refused(self, tenant: str) -> grpc.aio.AioRpcError:
        """The refusal for the rate; before it comes, more passes than a bucket holds."""
        async with asyncio.timeout(30):
            while True:
                try:
                    await self.export(tenant, points(*"abcdefghijklmnopqrstuvwxy"))
                except grpc.aio.AioRpcError as err:
                    return err
                await asyncio.sleep(0.05)

    async def until_written(self) -> None:
        """Return when everything in the log is stored."""
        async with asyncio.timeout(60):
            while True:
                request = collector_service_pb2.GetStatusRequest(tenant="tenants/-")
                found = await self.admin("GetStatus", request)
                if all(
                    one.points.logged_count == one.points.written_count + one.points.duplicate_count
                    for one in found.tenants
                ):
                    return
                await asyncio.sleep(0.1)

    async def until_tables(self) -> None:
        """Return when the writer has made the tables; before that, who asks is told to ask again."""
        async with asyncio.timeout(60):
            while True:
                try:
                    await self.usage("platform")
                except grpc.aio.AioRpcError as err:
                    told = read_details(err)
                    if err.code() is not grpc.StatusCode.UNAVAILABLE or told.retry_after_s is None:
                        raise
                    await asyncio.sleep(0.1)
                else:
                    return

    async def until_counting(self, tenant: str) -> int:
        """The active series, once what was there before is counted."""
        async with asyncio.timeout(30):
            while True:
                found = await self.usage(tenant)
                if found.HasField("active_series_count"):
                    return found.active_series_count
                await asyncio.sleep(0.1)


def bearer(token: str) -> list[tuple[str, str]]:
    """The credential as metadata."""
    return [("authorization", f"Bearer {token}")]


def points(*series: str, metric: str = "requests", seconds_ago: float = 1.0) -> bytes:
    """A request with one number point for each series."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    made = resource.scope_metrics.add().metrics.add(name=metric)
    for place, name in enumerate(series):
        when = time.time_ns() - round(seconds_ago * 1e9) + place
        point = made.gauge.data_points.add(time_unix_nano=when, as_int=1)
        point.attributes.add(key="path").value.string_value = name
    return request.SerializeToString()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """Everything, once for the module; every test has tenants of its own."""
    path = tmp_path_factory.mktemp("quotas")
    nats, redis = EmbeddedNats(path / "nats"), EmbeddedRedis(path / "redis")
    clickhouse = EmbeddedClickHouse(path / "clickhouse")
    async with AsyncExitStack() as started:
        started.push_async_callback(nats.stop)
        await nats.start()
        started.push_async_callback(redis.stop)
        await redis.start()
        started.push_async_callback(asyncio.to_thread, clickhouse.stop)
        await asyncio.to_thread(clickhouse.start)
        process = CollectorProcess(
            nats.url,
            clickhouse.url,
            path / "collector",
            auth="token",
            environ={
                "THREENINES_ADMIN_TOKEN_SHA256": hashlib.sha256(_ADMIN.encode()).hexdigest(),
                "THREENINES_REDIS_URL": redis.url,
                "THREENINES_QUOTA_ACTIVE_SERIES": "7",
            },
        )
        started.push_async_callback(asyncio.to_thread, process.stop)
        process.start()
        await process.wait_serving()
        made = Platform(process, redis, clickhouse)
        await made.until_tables()
        yield made


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    """The code and reason with which a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), read_details(caught.value).reason


async def test_a_tenant_without_a_quota_has_the_default_and_a_mask_changes_only_what_it_names(
    platform: Platform,
) -> None:
    await platform.tenant("q-set")
    before = (await platform.usage("q-set")).quota

    changed = await platform.set_quota(
        "q-set", mask=("active_series_count",), active_series_count=50, points_per_second_count=5
    )

    assert (before.points_per_second_count, before.active_series_count) == (1_000_000, 7)
    assert not before.HasField("update_time")
    assert (changed.points_per_second_count, changed.active_series_count) == (1_000_000, 50)
    assert changed.HasField("update_time")
    assert changed.etag != before.etag
    assert (await platform.usage("q-set")).quota == changed
    all_fields = await platform.set_quota("q-set", points_per_second_count=9)
    assert (all_fields.points_per_second_count, all_fields.active_series_count) == (9, 0)


async def test_an_etag_that_is_not_the_current_one_changes_nothing(platform: Platform) -> None:
    await platform.tenant("q-etag")
    first = await platform.set_quota("q-etag", active_series_count=1)
    second = await platform.set_quota("q-etag", active_series_count=2, etag=first.etag)

    late = platform.set_quota("q-etag", active_series_count=3, etag=first.etag)

    assert await refused(late) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert (await platform.usage("q-etag")).quota == second


async def test_what_cannot_be_is_refused_and_only_the_platform_sets_quotas(platform: Platform) -> None:
    await platform.tenant("q-no")
    own_admin = await platform.token("q-no", collector_pb2.TOKEN_ROLE_ADMIN)
    reader = await platform.token("q-no", collector_pb2.TOKEN_ROLE_READER)
    invalid, denied = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED

    assert (await refused(platform.set_quota("q-no", points_per_second_count=-1)))[0] is invalid
    short = platform.set_quota("q-no", points_per_second_count=10, burst_point_count=9)
    assert (await refused(short))[0] is invalid
    assert (await refused(platform.set_quota("q-no", mask=("nonsense",))))[0] is invalid
    nameless = platform.admin("SetTenantQuota", collector_service_pb2.SetTenantQuotaRequest())
    assert (await refused(nameless))[0] is invalid
    assert await refused(platform.set_quota("nobody")) == (grpc.StatusCode.NOT_FOUND, "TENANT_UNKNOWN")
    assert (await refused(platform.set_quota("q-no", token=own_admin))) == (denied, "PLATFORM_ONLY")
    assert (await refused(platform.usage("q-set", token=reader))) == (denied, "TENANT_MISMATCH")
    assert (await refused(platform.usage("q-no", token=platform.tokens["q-no"])))[0] is denied
    assert (await platform.usage("q-no", token=reader)).point_count == 0
    own = collector_service_pb2.GetTenantUsageRequest()
    assert (await platform.admin("GetTenantUsage", own, token=reader)).name == "tenants/q-no/usage"
    assert (await refused(platform.usage("q-no", top_count=-1)))[0] is invalid
    backwards = platform.usage("q-no", start_time=Timestamp(seconds=10), end_time=Timestamp(seconds=10))
    assert (await refused(backwards))[0] is invalid


async def test_over_the_rate_both_transports_say_when_to_come_again(platform: Platform) -> None:
    await platform.tenant("q-rate", points_per_second_count=10, burst_point_count=10)

    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        error = await platform.until_refused("q-rate")
        answer = await client.post(
            platform.process.otlp_http_url,
            content=points("a"),
            headers={
                "content-type": "application/x-protobuf",
                "authorization": f"Bearer {platform.tokens['q-rate']}",
            },
        )

    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    details = read_details(error)
    assert details.reason == "RATE_LIMIT"
    assert details.retry_after_s is not None
    assert 0 < details.retry_after_s < 3
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 3
    await asyncio.sleep(details.retry_after_s)
    assert not (await platform.export("q-rate", points("a"))).HasField("partial_success")


async def test_without_redis_everything_passes_and_with_it_again_the_limit_holds(platform: Platform) -> None:
    await platform.tenant("q-away", points_per_second_count=1, burst_point_count=1)
    await platform.redis.kill9()
    try:
        for _ in range(10):
            await platform.export("q-away", points("a", "b", "c"))
    finally:
        await platform.redis.start()
    await platform.until_refused("q-away")


async def test_further_series_are_refused_exactly_also_after_kill_nine_before_they_were_written(
    platform: Platform,
) -> None:
    """Known are: those in the table, and those that only the log has because ClickHouse is away."""
    await platform.tenant("q-series", active_series_count=4)
    await platform.export("q-series", points("a", "b"))
    await platform.until_written()
    await asyncio.to_thread(platform.clickhouse.kill9)
    assert (await platform.export("q-series", points("c", "d"))).partial_success.rejected_data_points == 0
    platform.process.kill9()
    await asyncio.to_thread(platform.clickhouse.start)
    platform.process.start()
    await platform.process.wait_serving()

    assert await platform.until_counting("q-series") == 4
    answer = await platform.export("q-series", points("x", "a", "y", "b", "c", "d", "x"))

    assert answer.partial_success.rejected_data_points == 3
    assert "SERIES_LIMIT: 3" in answer.partial_success.error_message
    await platform.set_quota("q-series", active_series_count=5)
    later = await platform.export("q-series", points("x", "y", "a"))
    assert later.partial_success.rejected_data_points == 1


async def test_usage_tells_what_is_stored_and_what_makes_the_series_many(platform: Platform) -> None:
    await platform.tenant("q-usage", active_series_count=0)
    await platform.export("q-usage", points("a", "b", "c"))
    await platform.export("q-usage", points("a", metric="errors"))
    await platform.export("q-usage", points("a", "b", seconds_ago=7200))
    await platform.until_written()
    start = Timestamp()
    start.FromNanoseconds(time.time_ns() - 3600 * 10**9)
    end = Timestamp()
    end.FromNanoseconds(time.time_ns() + 10**9)

    found = await platform.usage("q-usage", start_time=start, end_time=end)
    day = await platform.usage("q-usage", end_time=end, top_count=1)

    assert found.point_count == 4
    assert [(one.type, one.point_count) for one in found.types] == [(collector_pb2.METRIC_TYPE_GAUGE, 4)]
    assert (found.series_count, found.active_series_count) == (4, 4)
    assert [(one.metric, one.series_count) for one in found.top_metrics] == [("requests", 3), ("errors", 1)]
    attributes = [(one.attribute, one.value_count, one.series_count) for one in found.top_attributes]
    assert attributes == [("path", 3, 4), ("service.name", 1, 4)]
    assert day.point_count == 6
    assert len(day.top_metrics) == len(day.top_attributes) == 1
