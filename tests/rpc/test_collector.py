"""The collector as clients see it: OTLP by the real stub and by raw bytes, tenants, tokens, status.

ClickHouse is not there at all: receiving and administration must not need it.
"""

import asyncio
import gzip
import hashlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub

from tests.collector_process import EXPORT_METHOD, CollectorProcess
from tests.engines_given import NATS_URL, NatsLog, nats_server, needs_embedded
from tests.engines_nats import free_port
from tests.otlp_requests import RequestMaker, rows_of
from threenines.collector.v1 import collector_pb2, collector_service_pb2, collector_service_pb2_grpc

_ADMIN = "tn_admin_" + "a" * 43

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module")]


@dataclass
class Served:
    """A collector with two tenants and their writers' tokens."""

    process: CollectorProcess
    nats: NatsLog
    otlp: grpc.aio.Channel
    admin: collector_service_pb2_grpc.CollectorServiceStub
    acme: str
    beta: str

    def maker(self, seed: int) -> RequestMaker:
        return RequestMaker(seed, now_ns=time.time_ns())

    async def export(self, raw: bytes, token: str | None, **options: Any) -> bytes:
        """Send raw bytes."""
        answer: bytes = await self.otlp.unary_unary(EXPORT_METHOD)(
            raw, metadata=bearer(token), timeout=10, **options
        )
        return answer

    async def token(self, tenant: str, role: "collector_pb2.TokenRole.ValueType") -> str:
        """A new token."""
        request = collector_service_pb2.CreateTokenRequest(
            parent=f"tenants/{tenant}", token=collector_pb2.Token(role=role)
        )
        return (await self.admin.CreateToken(request, metadata=bearer(_ADMIN), timeout=10)).secret

    async def status(self, tenant: str, token: str) -> collector_service_pb2.GetStatusResponse:
        """GetStatus."""
        request = collector_service_pb2.GetStatusRequest(tenant=tenant)
        return await self.admin.GetStatus(request, metadata=bearer(token), timeout=10)


def bearer(token: str | None) -> list[tuple[str, str]]:
    """The credential as metadata."""
    return [] if token is None else [("authorization", f"Bearer {token}")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """One collector for the module."""
    path = tmp_path_factory.mktemp("collector")
    nats = nats_server(path / "nats")
    await nats.start()
    process = CollectorProcess(
        nats.url,
        f"http://127.0.0.1:{free_port()}",
        path / "collector",
        auth="token",
        environ={"THREENINES_ADMIN_TOKEN_SHA256": hashlib.sha256(_ADMIN.encode()).hexdigest()},
    )
    process.start()
    try:
        await process.wait_serving()
        async with (
            grpc.aio.insecure_channel(process.otlp_address) as otlp,
            grpc.aio.insecure_channel(process.admin_address) as channel,
        ):
            admin = collector_service_pb2_grpc.CollectorServiceStub(channel)
            made = Served(process, nats, otlp, admin, "", "")
            for tenant in ("acme", "beta"):
                request = collector_service_pb2.CreateTenantRequest(tenant_id=tenant)
                await admin.CreateTenant(request, metadata=bearer(_ADMIN), timeout=10)
            made.acme = await made.token("acme", collector_pb2.TOKEN_ROLE_WRITER)
            made.beta = await made.token("beta", collector_pb2.TOKEN_ROLE_WRITER)
            yield made
    finally:
        await asyncio.to_thread(process.stop)
        await nats.stop()


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    """The code and reason with which a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), str(detail(caught.value, error_details_pb2.ErrorInfo).reason)


async def unavailable(call: Any) -> bool:
    """Whether a call is refused as UNAVAILABLE; any other refusal is raised."""
    try:
        await call
    except grpc.aio.AioRpcError as err:
        if err.code() is grpc.StatusCode.UNAVAILABLE:
            return True
        raise
    return False


def detail(error: grpc.aio.AioRpcError, kind: Callable[[], Any]) -> Any:
    """The detail of that kind; an empty one when there is none."""
    found, status = kind(), rpc_status.from_call(error)  # type: ignore[arg-type]
    for each in status.details if status is not None else ():
        if each.Is(found.DESCRIPTOR):
            each.Unpack(found)
    return found


async def test_the_real_stub_exports_and_hears_nothing_but_success(served: Served) -> None:
    request = served.maker(1).request()

    answer = await MetricsServiceStub(served.otlp).Export(request, metadata=bearer(served.acme), timeout=10)

    assert answer == ExportMetricsServiceResponse()
    assert not answer.HasField("partial_success")


async def test_gzip_is_accepted(served: Served) -> None:
    raw = served.maker(2).request(200).SerializeToString()
    assert len(gzip.compress(raw)) < len(raw)

    assert await served.export(raw, served.acme, compression=grpc.Compression.Gzip) == b""


async def test_an_empty_request_is_a_success(served: Served) -> None:
    assert await served.export(b"", served.acme) == b""


async def test_refused_points_are_counted_with_their_reasons(served: Served) -> None:
    request = served.maker(3).request()
    points = rows_of("acme", request.SerializeToString()).points
    metric = request.resource_metrics[0].scope_metrics[0].metrics.add(name="wrong")
    metric.gauge.data_points.add(time_unix_nano=1, as_int=1)
    metric.gauge.data_points.add(time_unix_nano=time.time_ns())

    answer = await MetricsServiceStub(served.otlp).Export(request, metadata=bearer(served.acme), timeout=10)

    assert answer.partial_success.rejected_data_points == 2
    assert answer.partial_success.error_message == (
        f"2 of {points + 2} points were rejected (POINT_TOO_OLD: 1, POINT_WITHOUT_VALUE: 1)"
    )


@pytest.mark.parametrize("raw", [b"\x0a\x05\x01", b"junk", b"\x0a\x04\x1a\x02\xff\xfe"])
async def test_undecodable_bytes_are_an_invalid_argument(served: Served, raw: bytes) -> None:
    assert await refused(served.export(raw, served.acme)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "OTLP_UNDECODABLE",
    )


@pytest.mark.parametrize(
    ("token", "reason"),
    [(None, "TOKEN_MISSING"), ("tn_000000000000_" + "x" * 43, "TOKEN_UNKNOWN"), ("junk", "TOKEN_UNKNOWN")],
)
async def test_a_wrong_or_missing_token_is_unauthenticated(
    served: Served, token: str | None, reason: str
) -> None:
    raw = served.maker(4).request().SerializeToString()
    expected = (grpc.StatusCode.UNAUTHENTICATED, reason)

    assert await refused(served.export(raw, token)) == expected
    assert await refused(served.export(b"junk", token)) == expected
    status = served.admin.GetStatus(
        collector_service_pb2.GetStatusRequest(), metadata=bearer(token), timeout=10
    )
    assert await refused(status) == expected


async def test_a_reader_and_the_platform_cannot_send(served: Served) -> None:
    raw = served.maker(5).request().SerializeToString()
    reader = await served.token("acme", collector_pb2.TOKEN_ROLE_READER)

    assert await refused(served.export(raw, reader)) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "ROLE_NOT_ALLOWED",
    )
    assert await refused(served.export(raw, _ADMIN)) == (grpc.StatusCode.PERMISSION_DENIED, "TENANT_REQUIRED")


async def test_data_belongs_to_the_tenant_of_the_token_whatever_it_says(served: Served) -> None:
    before = {one.tenant: one.points for one in (await served.status("tenants/-", _ADMIN)).tenants}
    raw = served.maker(6).request().SerializeToString()
    await served.export(raw, served.beta)
    after = {one.tenant: one.points for one in (await served.status("tenants/-", _ADMIN)).tenants}

    empty = collector_pb2.PointCounts()
    added = after["tenants/beta"].acknowledged_count - before.get("tenants/beta", empty).acknowledged_count
    assert added == rows_of("beta", raw).points
    assert after.get("tenants/acme", empty) == before.get("tenants/acme", empty)


async def test_a_tenant_sees_its_own_status_and_no_other(served: Served) -> None:
    await served.export(served.maker(7).request().SerializeToString(), served.acme)
    own = await served.status("", served.acme)

    assert [one.tenant for one in own.tenants] == ["tenants/acme"]
    assert not own.streams[0].HasField("points"), "sums over all tenants are not a tenant's business"
    assert not own.store_reachable
    assert own.streams[0].log_last_sequence > 0
    assert own.tenants[0].points.logged_count >= own.tenants[0].points.acknowledged_count > 0
    assert await refused(served.status("tenants/beta", served.acme)) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "TENANT_MISMATCH",
    )
    assert await refused(served.status("tenants/-", served.acme)) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "PLATFORM_ONLY",
    )


async def test_a_tenants_admin_rules_its_own_tokens_only(served: Served) -> None:
    admin = await served.token("acme", collector_pb2.TOKEN_ROLE_ADMIN)
    token = collector_pb2.Token(role=collector_pb2.TOKEN_ROLE_READER)
    for parent, expected in (("tenants/acme", None), ("", None), ("tenants/beta", "TENANT_MISMATCH")):
        call = served.admin.CreateToken(
            collector_service_pb2.CreateTokenRequest(parent=parent, token=token),
            metadata=bearer(admin),
            timeout=10,
        )
        if expected is None:
            assert (await call).name.startswith("tenants/acme/tokens/")
        else:
            assert await refused(call) == (grpc.StatusCode.PERMISSION_DENIED, expected)
    for name, request in (
        ("ListTokens", collector_service_pb2.ListTokensRequest(parent="tenants/beta")),
        ("RevokeToken", collector_service_pb2.RevokeTokenRequest(name="tenants/beta/tokens/x")),
    ):
        call = getattr(served.admin, name)(request, metadata=bearer(admin), timeout=10)
        assert await refused(call) == (grpc.StatusCode.PERMISSION_DENIED, "TENANT_MISMATCH")
    create = served.admin.CreateTenant(
        collector_service_pb2.CreateTenantRequest(tenant_id="mine"), metadata=bearer(admin), timeout=10
    )
    assert await refused(create) == (grpc.StatusCode.PERMISSION_DENIED, "PLATFORM_ONLY")


async def test_a_revoked_token_is_refused_at_once_and_listed_when_asked(served: Served) -> None:
    raw = served.maker(8).request().SerializeToString()
    created = await served.admin.CreateToken(
        collector_service_pb2.CreateTokenRequest(
            parent="tenants/beta", token=collector_pb2.Token(role=collector_pb2.TOKEN_ROLE_WRITER)
        ),
        metadata=bearer(_ADMIN),
        timeout=10,
    )
    await served.export(raw, created.secret)
    for _ in range(2):
        revoked = await served.admin.RevokeToken(
            collector_service_pb2.RevokeTokenRequest(name=created.name), metadata=bearer(_ADMIN), timeout=10
        )
        assert (revoked.name, revoked.secret, revoked.HasField("revoke_time")) == (created.name, "", True)

    assert await refused(served.export(raw, created.secret)) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "TOKEN_REVOKED",
    )
    for inactive in (False, True):
        page = await served.admin.ListTokens(
            collector_service_pb2.ListTokensRequest(parent="tenants/beta", show_inactive=inactive),
            metadata=bearer(_ADMIN),
            timeout=10,
        )
        assert (created.name in {one.name for one in page.tokens}) == inactive
        assert not any(one.secret for one in page.tokens)


async def test_tokens_come_in_pages_newest_first(served: Served) -> None:
    request = collector_service_pb2.CreateTenantRequest(tenant_id="paged")
    await served.admin.CreateTenant(request, metadata=bearer(_ADMIN), timeout=10)
    secrets = [await served.token("paged", collector_pb2.TOKEN_ROLE_READER) for _ in range(5)]
    names, page_token = [], ""
    while True:
        page = await served.admin.ListTokens(
            collector_service_pb2.ListTokensRequest(
                parent="tenants/paged", page_size=2, page_token=page_token
            ),
            metadata=bearer(_ADMIN),
            timeout=10,
        )
        names += [one.name.rpartition("/")[2] for one in page.tokens]
        page_token = page.next_page_token
        if not page_token:
            break

    assert names == [secret.split("_")[1] for secret in reversed(secrets)]


@pytest.mark.parametrize(
    ("rpc", "request_message", "code", "reason"),
    [
        ("CreateTenant", {"tenant_id": "acme"}, "ALREADY_EXISTS", "TENANT_EXISTS"),
        ("CreateTenant", {"tenant_id": "Acme!"}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("CreateTenant", {"tenant_id": "tick"}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("CreateToken", {"parent": "tenants/nobody", "token": {"role": 1}}, "NOT_FOUND", "TENANT_UNKNOWN"),
        ("CreateToken", {"parent": "tenants/acme"}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("CreateToken", {"parent": "acme", "token": {"role": 1}}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("RevokeToken", {"name": "tenants/acme/tokens/nothing"}, "NOT_FOUND", "TOKEN_UNKNOWN"),
        ("RevokeToken", {"name": "nothing"}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("ListTokens", {"parent": "tenants/acme", "page_size": -1}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("ListTokens", {"parent": "tenants/acme", "page_token": "?"}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        ("ListSeries", {}, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_a_reason(
    served: Served, rpc: str, request_message: dict[str, Any], code: str, reason: str
) -> None:
    message = getattr(collector_service_pb2, f"{rpc}Request")(**request_message)
    call = getattr(served.admin, rpc)(message, metadata=bearer(_ADMIN), timeout=10)

    assert await refused(call) == (grpc.StatusCode[code], reason)


async def test_without_the_log_export_is_unavailable_and_says_when_to_retry(served: Served) -> None:
    raw = served.maker(9).request().SerializeToString()
    needs_embedded(NATS_URL, why="it is frozen")
    served.nats.pause()
    try:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.export(raw, served.acme)
    finally:
        served.nats.resume()

    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    retry = detail(caught.value, error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToTimedelta().total_seconds() > 0
    async with asyncio.timeout(20):
        while await unavailable(served.export(raw, served.acme)):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)


async def test_a_request_over_64_mib_is_exhausted_for_good(served: Served) -> None:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.schema_url = "x" * ((64 << 20) + 1)
    call = served.export(request.SerializeToString(), served.acme, compression=grpc.Compression.Gzip)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call

    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert detail(caught.value, error_details_pb2.RetryInfo).retry_delay.ToTimedelta().total_seconds() == 0
