"""Large requests in parts that are valid by themselves.

A record of the log has a size limit. A request over it is cut between data points, never inside
one; each part repeats the resource, scope and metric headers of its points. The cut depends on
nothing but the bytes, so a resend gives the same parts and the same request ids.
"""

from collections.abc import Callable

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from services.collector.decode import parse
from services.collector.errors import PointTooLarge


def split_request(raw: bytes, fits: Callable[[bytes], bool]) -> list[bytes]:
    """`raw` itself when it fits, else parts with its points in the same order.

    Raises:
        PointTooLarge: one point with its headers does not fit.
    """
    if fits(raw):
        return [raw]
    request = parse(raw)
    return _halve(request, 0, _point_count(request), fits)


def _halve(
    request: ExportMetricsServiceRequest, low: int, high: int, fits: Callable[[bytes], bool]
) -> list[bytes]:
    raw = _part(request, low, high).SerializeToString(deterministic=True)
    if fits(raw):
        return [raw]
    if high - low <= 1:
        raise PointTooLarge(
            f"one data point takes {len(raw)} bytes, more than a record can hold", field="body"
        )
    middle = (low + high) // 2
    return _halve(request, low, middle, fits) + _halve(request, middle, high, fits)


def _point_count(request: ExportMetricsServiceRequest) -> int:
    return sum(
        len(getattr(metric, field).data_points)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if (field := metric.WhichOneof("data")) is not None
    )


def _part(request: ExportMetricsServiceRequest, low: int, high: int) -> ExportMetricsServiceRequest:
    """The request with only its points `low` to `high` (exclusive)."""
    part = ExportMetricsServiceRequest()
    place = 0
    for resource in request.resource_metrics:
        new_resource = None
        for scope in resource.scope_metrics:
            new_scope = None
            for metric in scope.metrics:
                if (field := metric.WhichOneof("data")) is None:
                    continue
                points = getattr(metric, field).data_points
                start, end = max(low - place, 0), min(high - place, len(points))
                place += len(points)
                if start >= end:
                    continue
                if new_resource is None:
                    new_resource = part.resource_metrics.add(schema_url=resource.schema_url)
                    new_resource.resource.CopyFrom(resource.resource)
                if new_scope is None:
                    new_scope = new_resource.scope_metrics.add(schema_url=scope.schema_url)
                    new_scope.scope.CopyFrom(scope.scope)
                _copy(metric, field, new_scope.metrics.add(), slice(start, end))
    return part


def _copy(metric: Metric, field: str, target: Metric, points: slice) -> None:
    target.name, target.description, target.unit = metric.name, metric.description, metric.unit
    target.metadata.extend(metric.metadata)
    data, new_data = getattr(metric, field), getattr(target, field)
    for name in ("aggregation_temporality", "is_monotonic"):
        if name in new_data.DESCRIPTOR.fields_by_name:
            setattr(new_data, name, getattr(data, name))
    new_data.data_points.extend(data.data_points[points])
