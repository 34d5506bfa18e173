"""The views hold what the Collector's exporter would have stored, row by row, for random requests.

The expected rows are made here by the exporter's own rules (internal/metrics of
exporter/clickhouseexporter): integers become doubles, absent values zero, attributes text.
"""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.attribute_text import attribute_texts
from services.collector.clickhouse import ClickHousePointStore
from services.collector.clickhouse_views import create_tenant_views
from services.common.clickhouse import ClickHouseConfig, Database
from services.common.clock import SystemClock
from tests.collector_store import StoreWriter
from tests.engines_given import clickhouse_server
from tests.otlp_requests import RequestMaker

pytestmark = [pytest.mark.engines, pytest.mark.asyncio(loop_scope="module")]

_NOW = SystemClock().now_ns()
_COMMON = (
    "ResourceAttributes, ResourceSchemaUrl, ScopeName, ScopeVersion, ScopeAttributes, ScopeDroppedAttrCount,"
    " ScopeSchemaUrl, ServiceName, MetricName, MetricDescription, MetricUnit, Attributes,"
    " toUnixTimestamp64Milli(StartTimeUnix), toUnixTimestamp64Milli(TimeUnix), Flags"
)
_EXEMPLARS = (
    "`Exemplars.FilteredAttributes`, arrayMap(at -> toUnixTimestamp64Milli(at), `Exemplars.TimeUnix`),"
    " `Exemplars.Value`, `Exemplars.SpanId`, `Exemplars.TraceId`"
)
_BOTH = f"Count, Sum, {_EXEMPLARS}, Min, Max, AggregationTemporality"
_COLUMNS = {
    "gauge": f"Value, {_EXEMPLARS}",
    "sum": f"Value, {_EXEMPLARS}, AggregationTemporality, IsMonotonic",
    "histogram": f"{_BOTH}, BucketCounts, ExplicitBounds",
    "exp_histogram": f"{_BOTH}, Scale, ZeroCount, PositiveOffset, PositiveBucketCounts, NegativeOffset,"
    " NegativeBucketCounts",
    "summary": "Count, Sum, `ValueAtQuantiles.Quantile`, `ValueAtQuantiles.Value`",
}
_FIELDS = {view: view for view in _COLUMNS} | {"exp_histogram": "exponential_histogram"}


@pytest.fixture(scope="module")
def requests() -> list[ExportMetricsServiceRequest]:
    """One to a service, so that nobody disagrees about what does not identify a series."""
    return [RequestMaker(seed, now_ns=_NOW, service=f"s{seed}").request(120) for seed in range(3)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def database(
    requests: list[ExportMetricsServiceRequest], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Database]:
    with clickhouse_server(tmp_path_factory.mktemp("clickhouse")) as engine:
        made = Database(ClickHouseConfig.from_url(engine.url, engine.database("threenines")))
        try:
            store = ClickHousePointStore(made, SystemClock())
            await store.database_id()
            writer = StoreWriter(store)
            for each in requests:
                await writer.write("acme", [each.SerializeToString()], now_ns=_NOW)
            await create_tenant_views(made, "acme")
            yield made
        finally:
            await made.close()


def exported(request: ExportMetricsServiceRequest, field: str) -> Iterator[tuple[Any, ...]]:
    """The exporter's rows for one type."""
    for resource in request.resource_metrics:
        texts = _texts(resource.resource.attributes)
        for scope in resource.scope_metrics:
            head = (
                *(texts, resource.schema_url, scope.scope.name, scope.scope.version),
                *(_texts(scope.scope.attributes), scope.scope.dropped_attributes_count),
                *(scope.schema_url, texts.get("service.name", "")),
            )
            for metric in scope.metrics:
                if metric.WhichOneof("data") != field:
                    continue
                data = getattr(metric, field)
                for point in data.data_points:
                    times = (point.start_time_unix_nano // 10**6, point.time_unix_nano // 10**6)
                    yield (
                        *(*head, metric.name, metric.description, metric.unit),
                        *(_texts(point.attributes), *times, point.flags),
                        *_values(field, data, point),
                    )


def _texts(attributes: Any) -> dict[str, str]:
    """Attributes as text; the exporter writes maps as JSON with their keys sorted."""
    return {
        key: json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")) if text[:1] == "{" else text
        for key, text in sorted(attribute_texts(attributes).items())
    }


def _values(field: str, data: Any, point: Any) -> tuple[Any, ...]:
    if field == "summary":
        pairs = point.quantile_values
        return point.count, point.sum, [one.quantile for one in pairs], [one.value for one in pairs]
    exemplars = _exemplars(point)
    if field in ("gauge", "sum"):
        value = (_number(point), *exemplars)
        return value if field == "gauge" else (*value, data.aggregation_temporality, data.is_monotonic)
    both = (point.count, point.sum, *exemplars, point.min, point.max, data.aggregation_temporality)
    if field == "histogram":
        return (*both, list(point.bucket_counts), list(point.explicit_bounds))
    sides = [(side.offset, list(side.bucket_counts)) for side in (point.positive, point.negative)]
    return (*both, point.scale, point.zero_count, *sides[0], *sides[1])


def _exemplars(point: Any) -> tuple[list[Any], ...]:
    rows = [
        (
            _texts(one.filtered_attributes),
            one.time_unix_nano // 10**6,
            _number(one),
            one.span_id.hex(),
            one.trace_id.hex(),
        )
        for one in point.exemplars
    ]
    # Those of one point have one time here, and then the view orders them by their other columns.
    rows.sort(key=repr)
    return tuple([row[place] for row in rows] for place in range(5))


def _number(holder: Any) -> float:
    return float(holder.as_int) if holder.WhichOneof("value") == "as_int" else holder.as_double


def _ordered(row: tuple[Any, ...], columns: str) -> tuple[Any, ...]:
    """A row of the view with its exemplars in the order of `_exemplars`."""
    if "Exemplars" not in columns:
        return row
    start = 16 if columns.startswith("Value") else 17
    items = sorted(zip(*row[start : start + 5], strict=True), key=repr)
    return (
        *row[:start],
        *([item[place] for item in items] for place in range(5)),
        *row[start + 5 :],
    )


@pytest.mark.parametrize("view", _COLUMNS)
async def test_a_view_holds_the_exporters_rows(
    database: Database, requests: list[ExportMetricsServiceRequest], view: str
) -> None:
    columns = _COLUMNS[view]
    rows = await database.rows(f"SELECT {_COMMON}, {columns} FROM {database.name}_acme.otel_metrics_{view}")

    found = [_ordered(row, columns) for row in rows]
    expected = [row for request in requests for row in exported(request, _FIELDS[view])]
    assert len(expected) > 20
    assert sorted(map(_text, found)) == sorted(map(_text, expected))


def _text(row: tuple[Any, ...]) -> str:
    """Comparable: keys of maps sorted, numbers exact."""
    return repr([sorted(value.items()) if isinstance(value, dict) else _sorted(value) for value in row])


def _sorted(value: Any) -> Any:
    if isinstance(value, list):
        return [sorted(one.items()) if isinstance(one, dict) else one for one in value]
    return value
