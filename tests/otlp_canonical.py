"""One form for requests that mean the same, so that `==` can tell whether anything was lost.

What it evens out is exactly what the store may change: times are floored to milliseconds (where they are),
attributes are sorted with the last of a repeated key, entries of one resource, scope and metric
are one, points and exemplars are in a fixed order, and sub-messages that were sent empty are absent.
"""

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

_MS = 1_000_000


def canonical(
    request: ExportMetricsServiceRequest, *, to_the_ns: bool = False
) -> ExportMetricsServiceRequest:
    """The request in its one form; points of metrics without any are gone with them."""
    copy = ExportMetricsServiceRequest()
    copy.CopyFrom(request)
    groups: dict[bytes, dict[bytes, dict[bytes, list[Any]]]] = {}
    for resource in copy.resource_metrics:
        _tidy_attributes(resource.resource)
        head = _head(resource, "scope_metrics")
        for scope in resource.scope_metrics:
            _tidy_attributes(scope.scope)
            scope_head = _head(scope, "metrics")
            for metric in scope.metrics:
                field = metric.WhichOneof("data")
                if field is None or not getattr(metric, field).data_points:
                    continue
                _sort_pairs(metric.metadata)
                points = [
                    _tidied(point, 1 if to_the_ns else _MS) for point in getattr(metric, field).data_points
                ]
                del getattr(metric, field).data_points[:]
                metrics = groups.setdefault(head, {}).setdefault(scope_head, {})
                metrics.setdefault(metric.SerializeToString(deterministic=True), []).extend(points)
    return _joined(groups)


def _joined(groups: dict[bytes, dict[bytes, dict[bytes, list[Any]]]]) -> ExportMetricsServiceRequest:
    made = ExportMetricsServiceRequest()
    for head, scopes in sorted(groups.items()):
        resource = made.resource_metrics.add()
        resource.MergeFromString(head)
        resource.resource.SetInParent()
        for scope_head, metrics in sorted(scopes.items()):
            scope = resource.scope_metrics.add()
            scope.MergeFromString(scope_head)
            scope.scope.SetInParent()
            for metric_head, points in sorted(metrics.items()):
                metric = scope.metrics.add()
                metric.MergeFromString(metric_head)
                field = metric.WhichOneof("data")
                assert field is not None
                getattr(metric, field).data_points.extend(sorted(points, key=_bytes))
    return made


def _head(message: Any, held: str) -> bytes:
    copy = type(message)()
    copy.CopyFrom(message)
    copy.ClearField(held)
    for name in ("resource", "scope"):
        if name in copy.DESCRIPTOR.fields_by_name:
            getattr(copy, name).SetInParent()
    return _bytes(copy)


def _tidied(point: Any, step: int) -> Any:
    _sort_pairs(point.attributes)
    for name in ("time_unix_nano", "start_time_unix_nano"):
        setattr(point, name, getattr(point, name) // step * step)
    for exemplar in (exemplars := getattr(point, "exemplars", [])):
        exemplar.time_unix_nano = exemplar.time_unix_nano // step * step
        _sort_pairs(exemplar.filtered_attributes)
    if exemplars:
        ordered = sorted((_copy(one) for one in exemplars), key=_bytes)
        del exemplars[:]
        exemplars.extend(ordered)
    for name in ("positive", "negative"):
        if name in point.DESCRIPTOR.fields_by_name and not getattr(point, name).ByteSize():
            point.ClearField(name)
    return _copy(point)


def _tidy_attributes(holder: Any) -> None:
    _sort_pairs(holder.attributes)


def _sort_pairs(pairs: Any) -> None:
    latest = {pair.key: _copy(pair) for pair in pairs}
    for pair in latest.values():
        _tidy_value(pair.value)
    del pairs[:]
    pairs.extend(latest[key] for key in sorted(latest))


def _tidy_value(value: AnyValue) -> None:
    if value.WhichOneof("value") == "kvlist_value":
        _sort_pairs(value.kvlist_value.values)
    items: Iterable[AnyValue] = value.array_value.values if value.WhichOneof("value") == "array_value" else ()
    for item in items:
        _tidy_value(item)


def _copy(message: Any) -> Any:
    made = type(message)()
    made.CopyFrom(message)
    return made


def _bytes(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)
