"""The views that existing SQL and dashboards are written for: names, types, values, tenants, cost."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.clickhouse import ClickHousePointStore
from services.collector.clickhouse_views import VIEWS, create_tenant_views, create_views
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from services.common.errors import FailedPrecondition, InvalidArgument
from tests.collector_store import StoreWriter
from tests.engines import EmbeddedClickHouse
from tests.engines_given import ClickHouseServer, clickhouse_server
from tests.otlp_requests import attribute

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module")]

_SECOND = 1_000_000_000
_TIME = SystemClock().now_ns() // (3600 * _SECOND) * 3600 * _SECOND - 7200 * _SECOND + 123_000_000
_TRACE, _SPAN = bytes(range(16)), bytes(range(8))

# The exporter's tables: exporter/clickhouseexporter/internal/sqltemplates of opentelemetry-collector-contrib.
_MAP = "Map(LowCardinality(String), String)"
_COMMON = f"""
ResourceAttributes {_MAP}; ResourceSchemaUrl String; ScopeName String; ScopeVersion String;
ScopeAttributes {_MAP}; ScopeDroppedAttrCount UInt32; ScopeSchemaUrl String;
ServiceName LowCardinality(String); MetricName String;
MetricDescription String; MetricUnit String; Attributes {_MAP}; StartTimeUnix DateTime64(9);
TimeUnix DateTime64(9);"""
_EXEMPLARS = f"""
Exemplars.FilteredAttributes Array({_MAP}); Exemplars.TimeUnix Array(DateTime64(9));
Exemplars.Value Array(Float64); Exemplars.SpanId Array(String); Exemplars.TraceId Array(String);"""
_GAUGE = f"{_COMMON} Value Float64; Flags UInt32; {_EXEMPLARS}"
_TAIL = f"{_EXEMPLARS} Flags UInt32; Min Float64; Max Float64; AggregationTemporality Int32;"
_EXPORTER = {
    "otel_metrics_gauge": _GAUGE,
    "otel_metrics_sum": f"{_GAUGE} AggregationTemporality Int32; IsMonotonic Bool;",
    "otel_metrics_histogram": f"""{_COMMON} Count UInt64; Sum Float64; BucketCounts Array(UInt64);
        ExplicitBounds Array(Float64); {_TAIL}""",
    "otel_metrics_exp_histogram": f"""{_COMMON} Count UInt64; Sum Float64; Scale Int32; ZeroCount UInt64;
        PositiveOffset Int32; PositiveBucketCounts Array(UInt64); NegativeOffset Int32;
        NegativeBucketCounts Array(UInt64); {_TAIL}""",
    "otel_metrics_summary": f"""{_COMMON} Count UInt64; Sum Float64; ValueAtQuantiles.Quantile Array(Float64);
        ValueAtQuantiles.Value Array(Float64); Flags UInt32;""",
}


def described(ddl: str) -> list[tuple[str, ...]]:
    """(column, type) in order."""
    return [tuple(one.split(" ", 1)) for one in re.sub(r"\s+", " ", ddl).strip(" ;").split("; ")]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseServer]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(engine: ClickHouseServer) -> AsyncIterator[Database]:
    """The same points under two tenants, told apart by their values; views for `acme`."""
    made = Database(ClickHouseConfig.from_url(engine.url, engine.database("threenines")))
    try:
        store = ClickHousePointStore(made, SystemClock())
        await store.database_id()
        writer = StoreWriter(store)
        await writer.write("acme", [request(1).SerializeToString()], now_ns=_TIME)
        await writer.write("beta", [request(1000).SerializeToString()], now_ns=_TIME)
        # The same series described again, as after a restart of the writer.
        await writer.write("acme", [request(5, later_s=10).SerializeToString()], now_ns=_TIME)
        await create_tenant_views(made, "acme")
        yield made
    finally:
        await made.close()


def request(value: int, *, later_s: int = 0) -> ExportMetricsServiceRequest:
    """One point of each type."""
    made = ExportMetricsServiceRequest()
    resource = made.resource_metrics.add(schema_url="https://resource/1")
    resource.resource.attributes.extend([attribute("service.name", "shop"), attribute("zone", 3)])
    scope = resource.scope_metrics.add(schema_url="https://scope/1")
    scope.scope.name, scope.scope.version, scope.scope.dropped_attributes_count = "meter", "2", 7
    scope.scope.attributes.append(attribute("library", True))
    for kind in ("gauge", "sum", "histogram", "exponential_histogram", "summary"):
        metric = scope.metrics.add(name=f"the.{kind}", description="text", unit="s")
        data = getattr(metric, kind)
        point = data.data_points.add(time_unix_nano=_TIME + later_s * _SECOND)
        point.start_time_unix_nano = _TIME - _SECOND
        point.attributes.extend([attribute("route", "/pay"), attribute("codes", [200, "x"])])
        if hasattr(data, "aggregation_temporality"):
            data.aggregation_temporality = 2
        _fill(kind, data, point, value)
    return made


def _fill(kind: str, data: Any, point: Any, value: int) -> None:
    match kind:
        case "gauge":
            point.as_int = value
            for place, number in enumerate((2.5, 1)):
                exemplar = point.exemplars.add(time_unix_nano=_TIME - place * 1_000_000)
                exemplar.trace_id, exemplar.span_id = _TRACE, _SPAN
                exemplar.filtered_attributes.append(attribute("user", number))
                exemplar.as_double = number
        case "sum":
            data.is_monotonic = True
            point.as_double, point.flags = float(value), 1
        case "histogram":
            point.count, point.sum = 3 * value, 1.5
            point.bucket_counts.extend([value, 2 * value])
            point.explicit_bounds.append(0.5)
        case "exponential_histogram":
            point.count, point.scale, point.zero_count, point.max = 2 * value, -1, value, 9.5
            point.positive.offset = 4
            point.positive.bucket_counts.append(value)
        case "summary":
            point.count, point.sum = value, 2.5
            point.quantile_values.add(quantile=0.5, value=0.25)


@pytest.mark.parametrize("place", ["{}", "{}_acme"])
@pytest.mark.parametrize("view", VIEWS)
async def test_a_view_has_exactly_the_exporters_columns(database: Database, view: str, place: str) -> None:
    rows = await database.rows(f"DESCRIBE TABLE `{place.format(database.name)}`.{view}")

    assert [(name, kind) for name, kind, *_ in rows] == described(_EXPORTER[view])


async def test_a_tenants_views_hold_its_points_and_nobody_elses(database: Database) -> None:
    for view, column, factor in (
        ("gauge", "Value", 1),
        ("sum", "Value", 1),
        ("histogram", "Count", 3),
        ("exp_histogram", "Count", 2),
        ("summary", "Count", 1),
    ):
        own = await database.rows(f"SELECT {column} FROM {database.name}_acme.otel_metrics_{view} ORDER BY 1")
        every = await database.rows(
            f"SELECT {column} FROM otel_metrics_{view} WHERE ServiceName = 'shop' ORDER BY 1"
        )

        assert own == [(factor,), (5 * factor,)]
        assert every == [(factor,), (5 * factor,), (1000 * factor,)]


async def test_what_a_point_means_is_joined_from_its_series(database: Database) -> None:
    rows = await database.rows(
        "SELECT ResourceAttributes, ResourceSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes,"
        " ScopeDroppedAttrCount, ScopeSchemaUrl, ServiceName, MetricName, MetricDescription, MetricUnit,"
        " Attributes, toUnixTimestamp64Nano(StartTimeUnix), toUnixTimestamp64Nano(TimeUnix),"
        " AggregationTemporality, IsMonotonic, Value, Flags"
        f" FROM {database.name}_acme.otel_metrics_sum ORDER BY TimeUnix LIMIT 1"
    )

    assert rows == [
        (
            *({"service.name": "shop", "zone": "3"}, "https://resource/1", "meter", "2", {"library": "true"}),
            *(7, "https://scope/1", "shop", "the.sum", "text", "s"),
            {"route": "/pay", "codes": '[200,"x"]'},
            *(_TIME - _SECOND, _TIME, 2, True, 1.0, 1),
        )
    ]


async def test_exemplars_come_with_their_point_in_order_of_time(database: Database) -> None:
    rows = await database.rows(
        "SELECT `Exemplars.Value`, `Exemplars.TraceId`, `Exemplars.SpanId`, `Exemplars.FilteredAttributes`,"
        " arrayMap(one -> toUnixTimestamp64Nano(one), `Exemplars.TimeUnix`)"
        f" FROM {database.name}_acme.otel_metrics_gauge ORDER BY TimeUnix LIMIT 1"
    )
    bare = await database.rows("SELECT DISTINCT `Exemplars.Value` FROM otel_metrics_sum")

    traces, spans = [_TRACE.hex()] * 2, [_SPAN.hex()] * 2
    texts = [{"user": "1"}, {"user": "2.5"}]
    assert rows == [([1.0, 2.5], traces, spans, texts, [_TIME - 1_000_000, _TIME])]
    assert bare == [([],)]


async def test_absent_values_read_zero_as_with_the_exporter(database: Database) -> None:
    sql = f"SELECT Sum, Min, Max FROM {database.name}_acme.otel_metrics_{{}} LIMIT 1"

    assert await database.rows(sql.format("histogram")) == [(1.5, 0.0, 0.0)]
    assert await database.rows(sql.format("exp_histogram")) == [(0.0, 0.0, 9.5)]


async def test_a_query_with_only_a_metric_name_reads_a_small_part_of_the_points(
    database: Database, engine: ClickHouseServer
) -> None:
    """100 metrics of 20 series: the filter on the series reaches the key of the points."""
    grid = (
        "(SELECT number % 1000 AS t, intDiv(number, 1000) % 20 AS s, intDiv(number, 20000) AS m FROM numbers"
    )
    day = {"day": _TIME // (86_400 * _SECOND) - 1}
    await database.command(
        "INSERT INTO points (tenant, metric_id, series_id, ts, kind, value_double)"
        " SELECT 'big', m * 7919, cityHash64(m, s), toDateTime64(toDate({day:UInt16}), 3, 'UTC') + t,"
        f" 'double', t FROM {grid}(2000000))",
        day,
    )
    await database.command(
        "INSERT INTO series (tenant, metric, metric_id, series_id, day, type, temporality)"
        " SELECT 'big', concat('m', toString(m)), m * 7919, cityHash64(m, s), toDate({day:UInt16}),"
        f" 'gauge', 'unspecified' FROM {grid}(2000000)) WHERE t = 0",
        day,
    )
    await create_tenant_views(database, "big")

    async with httpx.AsyncClient() as client:
        answer = await client.post(
            engine.url,
            params={"database": f"{database.name}_big", **_profile(engine)},
            content="SELECT count(), sum(Value) FROM otel_metrics_gauge WHERE MetricName = 'm5' FORMAT TSV",
        )

    assert answer.text == "20000\t9990000\n"
    assert int(json.loads(answer.headers["X-ClickHouse-Summary"])["read_rows"]) <= 0.05 * 2_000_000


def _profile(engine: ClickHouseServer) -> dict[str, str]:
    """The embedded engine has this setting by itself; docs/sql.md tells clusters to have it."""
    embedded = isinstance(engine, EmbeddedClickHouse)
    return {} if embedded else {"enable_join_runtime_filters_index_analysis": "1"}


async def test_renewing_the_views_of_the_platform_renews_those_of_its_tenants(database: Database) -> None:
    await database.command(f"DROP VIEW {database.name}_acme.otel_metrics_sum")

    await create_views(database)

    assert await database.rows(f"SELECT count() FROM {database.name}_acme.otel_metrics_sum") == [(2,)]


async def test_a_name_that_is_no_tenant_makes_no_database(database: Database) -> None:
    with pytest.raises(InvalidArgument):
        await create_tenant_views(database, "a' OR 'a")


async def test_a_database_with_points_of_its_own_is_left_alone(database: Database) -> None:
    """Such as a restored one whose name happens to be that of a tenant's views."""
    other = f"{database.name}_restored"
    await database.command(f"CREATE DATABASE `{other}` ENGINE = Atomic", in_database=False)
    await database.command(f"CREATE TABLE `{other}`.points (x UInt8) ENGINE = MergeTree ORDER BY x")

    with pytest.raises(FailedPrecondition):
        await create_tenant_views(database, "restored")

    await create_views(database)
    assert await database.rows(f"SHOW TABLES FROM `{other}`") == [("points",)]
