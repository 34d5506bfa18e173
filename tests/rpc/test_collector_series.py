"""ListSeries and ListAttributeValues as clients see them, over OTLP, the log, the writer and ClickHouse."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.common.auth_tokens import sha256_hex
from tests.collector_process import EXPORT_METHOD, CollectorProcess
from tests.engines_given import clickhouse_server, nats_server
from tests.otlp_requests import attribute
from threenines.collector.v1 import collector_pb2, collector_service_pb2, collector_service_pb2_grpc

_ADMIN = "tn_admin_" + "a" * 43
_SERIES = 7

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module")]


@dataclass
class Served:
    """A collector whose tenants sent seven series each."""

    stub: collector_service_pb2_grpc.CollectorServiceStub
    readers: dict[str, str]
    writer: str

    async def series(
        self, token: str, parent: str = "", **fields: Any
    ) -> collector_service_pb2.ListSeriesResponse:
        request = collector_service_pb2.ListSeriesRequest(parent=parent, **fields)
        return await self.stub.ListSeries(request, metadata=bearer(token), timeout=10)

    async def values(
        self, token: str, attribute: str, **fields: Any
    ) -> collector_service_pb2.ListAttributeValuesResponse:
        request = collector_service_pb2.ListAttributeValuesRequest(attribute=attribute, **fields)
        return await self.stub.ListAttributeValues(request, metadata=bearer(token), timeout=10)


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


def request(tenant: str) -> bytes:
    """Seven series, each with a point now."""
    made = ExportMetricsServiceRequest()
    resource = made.resource_metrics.add()
    resource.resource.attributes.append(attribute("service.name", f"shop of {tenant}"))
    metric = resource.scope_metrics.add().metrics.add(name="requests", unit="1")
    metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, 2  # type: ignore[assignment]
    for place in range(_SERIES):
        point = metric.sum.data_points.add(time_unix_nano=time.time_ns() - 10**9, as_int=place)
        point.attributes.append(attribute("place", place))
    return made.SerializeToString()


async def stored(made: Served, reader: str) -> int:
    """How many series are there; none before the writer has made the database."""
    try:
        return len((await made.series(reader)).series)
    except grpc.aio.AioRpcError as err:
        if err.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    path = tmp_path_factory.mktemp("series")
    nats, engine = nats_server(path / "nats"), clickhouse_server(path / "clickhouse")
    await nats.start()
    await asyncio.to_thread(engine.start)
    environ = {
        "THREENINES_ADMIN_TOKEN_SHA256": sha256_hex(_ADMIN),
        "THREENINES_CLICKHOUSE_DATABASE": engine.database("threenines"),
    }
    process = CollectorProcess(nats.url, engine.login_url, path / "collector", auth="token", environ=environ)
    process.start()
    try:
        await process.wait_serving()
        async with (
            grpc.aio.insecure_channel(process.otlp_address) as otlp,
            grpc.aio.insecure_channel(process.admin_address) as channel,
        ):
            stub = collector_service_pb2_grpc.CollectorServiceStub(channel)
            made = Served(stub, {}, "")
            for tenant in ("acme", "beta"):
                created = collector_service_pb2.CreateTenantRequest(tenant_id=tenant)
                await stub.CreateTenant(created, metadata=bearer(_ADMIN), timeout=10)
                made.writer = await token(stub, tenant, collector_pb2.TOKEN_ROLE_WRITER)
                made.readers[tenant] = await token(stub, tenant, collector_pb2.TOKEN_ROLE_READER)
                export = otlp.unary_unary(EXPORT_METHOD)
                await export(request(tenant), metadata=bearer(made.writer), timeout=10)
            async with asyncio.timeout(30):
                for reader in made.readers.values():
                    while await stored(made, reader) < _SERIES:  # noqa: ASYNC110 - others write
                        await asyncio.sleep(0.2)
            yield made
    finally:
        await asyncio.to_thread(process.stop)
        await asyncio.to_thread(engine.stop)
        await nats.stop()


async def token(
    stub: collector_service_pb2_grpc.CollectorServiceStub,
    tenant: str,
    role: "collector_pb2.TokenRole.ValueType",
) -> str:
    """A new token."""
    asked = collector_service_pb2.CreateTokenRequest(
        parent=f"tenants/{tenant}", token=collector_pb2.Token(role=role)
    )
    return (await stub.CreateToken(asked, metadata=bearer(_ADMIN), timeout=10)).secret


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    """The code and reason with which a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    found, status = error_details_pb2.ErrorInfo(), rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    for each in status.details if status is not None else ():
        each.Unpack(found)
    return caught.value.code(), found.reason


async def test_a_reader_sees_the_series_of_its_own_tenant(served: Served) -> None:
    found = await served.series(served.readers["acme"])

    assert {each.resource_attributes["service.name"] for each in found.series} == {"shop of acme"}
    assert sorted(each.attributes["place"] for each in found.series) == [str(one) for one in range(_SERIES)]
    (first, *_) = found.series
    assert (first.metric, first.unit, first.monotonic) == ("requests", "1", True)
    assert first.type == collector_pb2.METRIC_TYPE_SUM
    assert first.temporality == collector_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert first.name.startswith("tenants/acme/series/")
    assert 0 < time.time() - first.last_seen_time.ToSeconds() < 600


async def test_pages_join_to_the_whole(served: Served) -> None:
    reader = served.readers["acme"]
    names, page = [], await served.series(reader, page_size=3)
    while True:
        names += [each.name for each in page.series]
        if not page.next_page_token:
            break
        page = await served.series(reader, page_size=3, page_token=page.next_page_token)

    assert names == sorted(names)
    assert len(names) == _SERIES


async def test_filters_and_values(served: Served) -> None:
    reader = served.readers["beta"]
    one = await served.series(reader, metric="requests", attributes={"place": "3"})

    assert [each.attributes["place"] for each in one.series] == ["3"]
    assert not (await served.series(reader, metric="unheard.of")).series
    assert (await served.values(reader, "service.name")).values == ["shop of beta"]
    assert list((await served.values(reader, "place", page_size=2)).values) == ["0", "1"]


async def test_who_may_not_read_is_told_so(served: Served) -> None:
    denied = grpc.StatusCode.PERMISSION_DENIED

    other = served.series(served.readers["acme"], parent="tenants/beta")
    assert await refused(other) == (denied, "TENANT_MISMATCH")
    assert await refused(served.series(served.writer)) == (denied, "ROLE_NOT_ALLOWED")
    assert await refused(served.values(served.writer, "place")) == (denied, "ROLE_NOT_ALLOWED")


async def test_wrong_requests_are_told_the_field(served: Served) -> None:
    reader, wrong = served.readers["acme"], (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT")

    assert await refused(served.series(reader, page_size=-1)) == wrong
    assert await refused(served.series(reader, page_token="x")) == wrong
    assert await refused(served.series(reader, parent="acme")) == wrong
    assert await refused(served.values(reader, "")) == wrong
    assert await refused(served.series(_ADMIN)) == wrong
