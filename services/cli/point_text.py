"""Data points as lines of text, for people who watch them arrive. Pure."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.attribute_text import attribute_texts
from services.collector.model import NO_RECORDED_VALUE


def lines_of(
    request: ExportMetricsServiceRequest, rejected: Sequence[bool], *, metric: str = ""
) -> Iterator[str]:
    """A line for each accepted point, in the order as received; `rejected` has one element per point."""
    place = 0
    for resource in request.resource_metrics:
        service = attribute_texts(resource.resource.attributes).get("service.name", "-")
        for scope in resource.scope_metrics:
            for each in scope.metrics:
                field = each.WhichOneof("data")
                for point in getattr(each, field).data_points if field is not None else ():
                    refused = rejected[place]
                    place += 1
                    if not refused and metric in ("", each.name):
                        yield f"{_time(point)}  {service}  {each.name}{_attributes(point)}  {_value(point)}"


def _time(point: Any) -> str:
    seconds, nanos = divmod(point.time_unix_nano, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}.{nanos // 1_000_000:03}"


def _attributes(point: Any) -> str:
    texts = attribute_texts(point.attributes)
    return "{" + ", ".join(f"{key}={texts[key]}" for key in sorted(texts)) + "}" if texts else ""


def _value(point: Any) -> str:
    if point.flags & NO_RECORDED_VALUE:
        return "no recorded value"
    if "value" in point.DESCRIPTOR.oneofs_by_name:
        kind = point.WhichOneof("value")
        return f"{getattr(point, kind):g}" if kind == "as_double" else str(point.as_int)
    parts = [f"count={point.count}"]
    parts += [f"{name}={getattr(point, name):g}" for name in ("sum", "min", "max") if _given(point, name)]
    parts += [f"q{pair.quantile:g}={pair.value:g}" for pair in getattr(point, "quantile_values", ())]
    return " ".join(parts)


def _given(point: Any, name: str) -> bool:
    """A summary's sum has no presence, so it always counts as given."""
    field = point.DESCRIPTOR.fields_by_name.get(name)
    return field is not None and (not field.has_presence or point.HasField(name))
