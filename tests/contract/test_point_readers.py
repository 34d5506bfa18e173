"""What every reader of stored points must do: the same tests on the memory adapter and on ClickHouse."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.clickhouse import ClickHousePointStore
from services.collector.clickhouse_read import ClickHouseReader
from services.collector.memory import MemoryPointStore
from services.collector.memory_read import MemoryReader
from services.collector.model import MetricType, Temporality
from services.collector.series_model import Extent, SeriesFilter, SeriesInfo, SeriesPlace
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from tests.collector_store import StoreWriter
from tests.engines_given import clickhouse_server
from tests.otlp_requests import attribute

pytestmark = pytest.mark.asyncio(loop_scope="module")

_DAY_MS = 86_400_000
_MIDNIGHT = SystemClock().now_ns() // 10**6 // _DAY_MS * _DAY_MS - 2 * _DAY_MS
_FIRST = SeriesPlace()
_Reader = MemoryReader | ClickHouseReader


def request(
    metric: str, times: list[int], *, kind: str = "gauge", zone: str = "eu", **attributes: Any
) -> bytes:
    """Points of one series."""
    made = ExportMetricsServiceRequest()
    resource = made.resource_metrics.add()
    resource.resource.attributes.append(attribute("zone", zone))
    scope = resource.scope_metrics.add()
    scope.scope.name, scope.scope.version = "meter", "2"
    data = getattr(scope.metrics.add(name=metric, unit="s"), kind)
    if kind != "gauge" and kind != "summary":
        data.aggregation_temporality = 1
    for time in times:
        point = data.data_points.add(time_unix_nano=time * 10**6 + 999_999)
        point.attributes.extend(attribute(key, value) for key, value in attributes.items())
        if kind in ("gauge", "sum"):
            point.as_int = time
    return made.SerializeToString()


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=["memory", pytest.param("clickhouse", marks=pytest.mark.engines)],
)
async def reader(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[_Reader]:
    """A reader over the same points; nothing changes them."""
    if request.param == "memory":
        store = MemoryPointStore()
        await write(StoreWriter(store))
        yield MemoryReader(store)
        return
    engine = clickhouse_server(tmp_path_factory.mktemp("clickhouse"))
    await asyncio.to_thread(engine.start)
    database = Database(ClickHouseConfig.from_url(engine.url, engine.database("threenines")))
    try:
        made = ClickHousePointStore(database, SystemClock())
        await made.database_id()
        await write(StoreWriter(made))
        yield ClickHouseReader(database)
    finally:
        await database.close()
        await asyncio.to_thread(engine.stop)


async def write(writer: StoreWriter) -> None:
    """Two days of five series of `acme`, and one of `beta` that looks like the first of them."""
    hour = 3_600_000
    acme = [
        request("a.gauge", [_MIDNIGHT, _MIDNIGHT + hour, _MIDNIGHT + _DAY_MS], route="/pay", code=200),
        request("a.gauge", [_MIDNIGHT + 2 * hour], route="/ask", code=500),
        request("b.histogram", [_MIDNIGHT + hour], kind="histogram", zone="us"),
        request("b.exp", [_MIDNIGHT + hour], kind="exponential_histogram", zone="us"),
        request("b.summary", [_MIDNIGHT + hour], kind="summary", zone="eu"),
    ]
    await writer.write("acme", acme[:2], now_ns=_MIDNIGHT * 10**6)
    await writer.write("acme", acme[2:], now_ns=_MIDNIGHT * 10**6)
    beta = request("a.gauge", [_MIDNIGHT], route="/pay", code=200)
    await writer.write("beta", [beta], now_ns=_MIDNIGHT * 10**6)


def wanted(
    tenant: str = "acme",
    *,
    start_ms: int = _MIDNIGHT,
    end_ms: int = _MIDNIGHT + 2 * _DAY_MS,
    metric: str = "",
    attributes: Mapping[str, str] | None = None,
) -> SeriesFilter:
    """A filter; both days unless said."""
    return SeriesFilter(tenant, start_ms, end_ms, metric, attributes or {})


async def listed(reader: _Reader, filtered: SeriesFilter) -> list[SeriesInfo]:
    """All candidates."""
    return list(await reader.candidates(filtered, after=_FIRST, limit=100))


async def test_each_series_is_listed_once_in_order(reader: _Reader) -> None:
    found = await listed(reader, wanted())

    assert [one.place.metric for one in found] == ["a.gauge", "a.gauge", "b.exp", "b.histogram", "b.summary"]
    assert found[0].place.series_id < found[1].place.series_id
    assert [one.place for one in found] == sorted(one.place for one in found)


async def test_a_series_says_what_its_points_share(reader: _Reader) -> None:
    (found,) = await listed(reader, wanted(metric="b.histogram"))

    assert found.type is MetricType.HISTOGRAM
    assert found.temporality is Temporality.DELTA
    assert (found.monotonic, found.unit) == (False, "s")
    assert (found.scope_name, found.scope_version) == ("meter", "2")
    assert (found.resource_attributes, found.attributes) == ({"zone": "us"}, {})


async def test_every_page_starts_after_the_one_before(reader: _Reader) -> None:
    found: list[SeriesInfo] = []
    place = _FIRST
    while page := await reader.candidates(wanted(), after=place, limit=2):
        found += page
        place = page[-1].place

    assert found == await listed(reader, wanted())


@pytest.mark.parametrize(
    ("attributes", "metrics"),
    [
        ({"zone": "us"}, ["b.exp", "b.histogram"]),
        ({"route": "/pay"}, ["a.gauge"]),
        ({"route": "/pay", "code": "200", "zone": "eu"}, ["a.gauge"]),
        ({"route": "/pay", "code": "500"}, []),
        ({"nothing": ""}, []),
    ],
)
async def test_attributes_of_resource_and_point_narrow_the_list(
    reader: _Reader, attributes: dict[str, str], metrics: list[str]
) -> None:
    found = await listed(reader, wanted(attributes=attributes))

    assert [one.place.metric for one in found] == metrics


async def test_other_tenants_and_days_are_not_seen(reader: _Reader) -> None:
    own = await listed(reader, wanted())
    other = await listed(reader, wanted("beta"))

    assert [one.place.metric for one in other] == ["a.gauge"]
    assert other[0].place not in [one.place for one in own]
    assert [one.attributes for one in await listed(reader, wanted(start_ms=_MIDNIGHT + _DAY_MS))] == [
        {"route": "/pay", "code": "200"}
    ]
    assert await listed(reader, wanted(end_ms=_MIDNIGHT, start_ms=_MIDNIGHT - 1)) == []


async def test_the_extent_counts_only_points_in_the_range(reader: _Reader) -> None:
    series = await listed(reader, wanted())
    pay = next(one for one in series if one.attributes.get("route") == "/pay")
    place = pay.metric_id, pay.place.series_id
    hour = 3_600_000

    whole = await reader.extents(wanted(), series)
    assert len(whole) == 5
    assert whole[place] == Extent(_MIDNIGHT, _MIDNIGHT + _DAY_MS)

    part = wanted(start_ms=_MIDNIGHT + 1, end_ms=_MIDNIGHT + 2 * hour)
    found = await reader.extents(part, series)
    assert len(found) == 4
    assert found[place] == Extent(_MIDNIGHT + hour, _MIDNIGHT + hour)
    assert await reader.extents(part, [pay]) == {place: found[place]}


async def test_values_of_an_attribute_are_distinct_and_sorted(reader: _Reader) -> None:
    assert await reader.values(wanted(), "zone", after=None, limit=9) == ["eu", "us"]
    assert await reader.values(wanted(), "zone", after="eu", limit=9) == ["us"]
    assert await reader.values(wanted(), "route", after=None, limit=1) == ["/ask"]
    assert await reader.values(wanted(metric="b.exp"), "zone", after=None, limit=9) == ["us"]
    assert await reader.values(wanted(attributes={"code": "500"}), "route", after=None, limit=9) == ["/ask"]
    assert await reader.values(wanted("nobody"), "zone", after=None, limit=9) == []


async def test_rows_and_identities_are_those_of_tenant_metric_and_range(reader: _Reader) -> None:
    gauge = wanted(metric="a.gauge", end_ms=_MIDNIGHT + _DAY_MS)
    rows: Mapping[str, Any] = await reader.rows(gauge, "points")
    identities = await reader.identities(gauge)

    assert sorted(rows["ts"].tolist()) == [_MIDNIGHT, _MIDNIGHT + 3_600_000, _MIDNIGHT + 7_200_000]
    assert rows["value_int"].tolist() == rows["ts"].tolist()
    assert {series for _, series, _ in identities} == set(rows["series_id"].tolist())
    assert not await reader.rows(wanted("nobody"), "points")
    assert not await reader.rows(wanted(), "exemplars")
    assert len(await reader.identities(wanted())) == 6
