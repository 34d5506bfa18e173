"""What ClickHouse holds, in the same form as the ledger of `otlp_requests.py`."""

from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics

from services.common.clickhouse import Database
from tests.otlp_requests import plain_attributes

_COLUMNS = {
    "points": ("toInt8(kind)", "value_int", "value_double"),
    "histograms": ("count", "sum", "min", "max", "bounds", "counts"),
    "exp_histograms": (
        *("count", "sum", "min", "max", "scale", "zero_count", "zero_threshold"),
        *("positive_offset", "positive_counts", "negative_offset", "negative_counts"),
    ),
    "summaries": ("count", "sum", "quantiles", "quantile_values"),
    "exemplars": (
        *("toUnixTimestamp64Milli(point_ts)", "toInt8(kind)", "value_int", "value_double"),
        *("hex(trace_id)", "hex(span_id)", "hex(filtered_attributes)"),
    ),
}


async def stored_identities(database: Database) -> dict[tuple[str, int], tuple[Any, ...]]:
    """Metric name, resource attributes and point attributes of each series."""
    rows = await database.rows(
        "SELECT tenant, series_id, any(metric), any(hex(identity)) FROM series GROUP BY tenant, series_id"
    )
    found: dict[tuple[str, int], tuple[Any, ...]] = {}
    for tenant, series_id, metric_name, identity in rows:
        message = ResourceMetrics.FromString(bytes.fromhex(identity))
        metric = message.scope_metrics[0].metrics[0]
        assert metric.name == metric_name
        field_name = metric.WhichOneof("data")
        assert field_name is not None
        point = getattr(metric, field_name).data_points[0]
        found[tenant, series_id] = (
            metric.name,
            plain_attributes(message.resource.attributes),
            plain_attributes(point.attributes),
        )
    return found


async def stored_rows(database: Database, table: str) -> list[tuple[Any, ...]]:
    """All rows of a table."""
    series = await stored_identities(database)
    columns = ", ".join(_COLUMNS[table])
    rows = await database.rows(
        "SELECT tenant, series_id, toUnixTimestamp64Milli(ts), toUnixTimestamp64Milli(start), flags, bits,"
        f" {columns} FROM {table}"
    )
    return [_row(table, series, row) for row in rows]


def _row(table: str, series: dict[tuple[str, int], tuple[Any, ...]], row: tuple[Any, ...]) -> tuple[Any, ...]:
    metric, resource, attributes = series[row[0], row[1]]
    values = [tuple(value) if isinstance(value, list) else value for value in row[2:]]
    if table == "exemplars":
        *values, trace, span, filtered = values
        message = KeyValueList.FromString(bytes.fromhex(filtered))
        values += [bytes.fromhex(trace), bytes.fromhex(span), plain_attributes(message.values)]
    return (row[0], metric, resource, attributes, *values)


def comparable(rows: list[tuple[Any, ...]]) -> list[str]:
    """Rows as sorted texts: NaN equals itself, -0.0 differs from 0.0, repeated rows count."""
    return sorted(map(repr, rows))
