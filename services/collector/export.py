"""Stored points as the OTLP request that could have brought them.

Nothing is lost on the way in and back but this: times are whole milliseconds, floored, unless the
tenant has them kept to the nanosecond; attributes are sorted by key with the last of a repeated key;
a sub-message that was sent empty is absent; and one description stands for all points of a series and
day. Points stand under one entry for each resource, scope and metric, everything in a fixed order, so
that two exports can be compared. Exemplars are joined by series, time and start: of two points that
agree in all three, the first gets them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics

from services.collector.model import MS_IN_DAY, NANOSECONDS_IN_MS, StartBits, ValueKind
from services.collector.read_ports import PointReader
from services.collector.series_model import SeriesFilter
from services.common.errors import NotFound
from services.common.native_columns import Arrays, Nullable

_Row = dict[str, Any]
_Place = tuple[int, int, int, int]
_Exemplars = dict[_Place, list[_Row]]
_Point = tuple[int, int, int, _Row, Callable[[Any, _Row], None]]
"""Time, start, place in the store, the row, and what writes it into a message."""


@dataclass(frozen=True, slots=True)
class _Frame:
    """An identity, cut where messages are nested: each part serialised, without what it holds."""

    resource: bytes
    scope: bytes
    metric: bytes
    field: str
    attributes: tuple[KeyValue, ...]


@dataclass(slots=True)
class _Metric:
    field: str
    points: list[tuple[_Point, tuple[KeyValue, ...]]]


async def export(reader: PointReader, wanted: SeriesFilter) -> ExportMetricsServiceRequest:
    """Every stored point of a tenant in a range, or those of one metric.

    Raises:
        NotFound: SERIES_UNKNOWN, points whose series is not described; nothing is left out silently.
        Unavailable: the store does not answer.
    """
    frames = {place: _frame(whole) for place, whole in (await reader.identities(wanted)).items()}
    exemplars = _by_point(_rows_of(await reader.rows(wanted, "exemplars")))
    tree: dict[bytes, dict[bytes, dict[bytes, _Metric]]] = {}
    for table, fill in _FILLERS.items():
        for place, row in enumerate(_rows_of(await reader.rows(wanted, table))):
            frame = frames.get((row["metric_id"], row["series_id"], row["ts"] // MS_IN_DAY))
            if frame is None:
                _check_missing(row, wanted)
                continue
            time, start = _ns(row, "ts"), _ns(row, "start")
            row["exemplars"] = exemplars.pop(_point_place(row, time), ())
            metrics = tree.setdefault(frame.resource, {}).setdefault(frame.scope, {})
            metric = metrics.setdefault(frame.metric, _Metric(frame.field, []))
            metric.points.append(((time, start, place, row, fill), frame.attributes))
    return _assembled(tree)


def _check_missing(row: _Row, wanted: SeriesFilter) -> None:
    """With a metric asked for, the row may be another metric's of the same id."""
    if not wanted.metric:
        raise NotFound(
            f"points of series {row['series_id']:016x} are stored and their series is not described",
            reason="SERIES_UNKNOWN",
        )


def _frame(identity: bytes) -> _Frame:
    message = ResourceMetrics.FromString(identity)
    scope = message.scope_metrics[0]
    metric = scope.metrics[0]
    field = metric.WhichOneof("data")
    assert field is not None, "an identity always has a type"
    data = getattr(metric, field)
    attributes = tuple(data.data_points[0].attributes)
    del data.data_points[:]
    whole_metric = metric.SerializeToString(deterministic=True)
    del scope.metrics[:]
    whole_scope = scope.SerializeToString(deterministic=True)
    del message.scope_metrics[:]
    return _Frame(message.SerializeToString(deterministic=True), whole_scope, whole_metric, field, attributes)


def _assembled(tree: Mapping[bytes, Mapping[bytes, Mapping[bytes, _Metric]]]) -> ExportMetricsServiceRequest:
    request = ExportMetricsServiceRequest()
    for resource, scopes in sorted(tree.items()):
        resource_metrics = request.resource_metrics.add()
        resource_metrics.MergeFromString(resource)
        for scope, metrics in sorted(scopes.items()):
            scope_metrics = resource_metrics.scope_metrics.add()
            scope_metrics.MergeFromString(scope)
            for header, found in sorted(metrics.items()):
                metric = scope_metrics.metrics.add()
                metric.MergeFromString(header)
                points = getattr(metric, found.field).data_points
                for (*_, row, fill), attributes in sorted(found.points, key=lambda one: one[0][:3]):
                    _common(point := points.add(), row, attributes)
                    fill(point, row)
    return request


def _rows_of(columns: Mapping[str, Any]) -> list[_Row]:
    """Rows as dictionaries of Python values; None where a value is absent."""
    names = list(columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*map(_values, columns.values()), strict=True)]


def _values(column: Any) -> Sequence[Any]:
    if isinstance(column, Nullable):
        pairs = zip(column.values.tolist(), column.nulls.tolist(), strict=True)
        return [None if null else value for value, null in pairs]
    if isinstance(column, Arrays):
        flat: Any = column.values
        return [flat[start:end].tolist() for start, end in pairwise([0, *column.ends.tolist()])]
    return column if isinstance(column, list) else column.tolist()


def _by_point(rows: Sequence[_Row]) -> _Exemplars:
    found: _Exemplars = {}
    for row in rows:
        found.setdefault(_point_place(row, _ns(row, "point_ts")), []).append(row)
    return found


def _point_place(row: _Row, time_ns: int) -> _Place:
    return row["metric_id"], row["series_id"], time_ns, _ns(row, "start")


def _ns(row: _Row, name: str) -> int:
    """One of the times of a row in nanoseconds, as fine as it is kept."""
    whole: int = row[name] * NANOSECONDS_IN_MS + row[f"{name}_ns"]
    return whole


def _common(point: Any, row: _Row, attributes: Sequence[KeyValue]) -> None:
    point.attributes.extend(attributes)
    point.time_unix_nano = _ns(row, "ts")
    if not row["bits"] & StartBits.ABSENT:
        point.start_time_unix_nano = _ns(row, "start")
    point.flags = row["flags"]
    for exemplar in row["exemplars"]:
        made = point.exemplars.add(
            time_unix_nano=_ns(exemplar, "ts"),
            trace_id=exemplar["trace_id"],
            span_id=exemplar["span_id"],
            filtered_attributes=KeyValueList.FromString(exemplar["filtered_attributes"]).values,
        )
        _number(made, exemplar)


def _number(holder: Any, row: _Row) -> None:
    if row["kind"] == ValueKind.INT:
        holder.as_int = row["value_int"]
    elif row["kind"] == ValueKind.DOUBLE:
        holder.as_double = row["value_double"]


def _aggregate(point: Any, row: _Row) -> None:
    point.count = row["count"]
    for name in ("sum", "min", "max"):
        if row[name] is not None:
            setattr(point, name, row[name])


def _histogram(point: Any, row: _Row) -> None:
    _aggregate(point, row)
    point.bucket_counts.extend(row["counts"])
    point.explicit_bounds.extend(row["bounds"])


def _exp_histogram(point: Any, row: _Row) -> None:
    _aggregate(point, row)
    point.scale = row["scale"]
    point.zero_count = row["zero_count"]
    point.zero_threshold = row["zero_threshold"]
    for name in ("positive", "negative"):
        offset, counts = row[f"{name}_offset"], row[f"{name}_counts"]
        if offset or counts:
            side = getattr(point, name)
            side.offset = offset
            side.bucket_counts.extend(counts)


def _summary(point: Any, row: _Row) -> None:
    point.count, point.sum = row["count"], row["sum"]
    for quantile, value in zip(row["quantiles"], row["quantile_values"], strict=True):
        point.quantile_values.add(quantile=quantile, value=value)


_FILLERS: Mapping[str, Callable[[Any, _Row], None]] = {
    "points": _number,
    "histograms": _histogram,
    "exp_histograms": _exp_histogram,
    "summaries": _summary,
}
