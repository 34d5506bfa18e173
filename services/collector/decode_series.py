"""What only protobuf's messages tell: the identities of series not seen before, attributes of exemplars."""

from collections.abc import Iterator, Sequence

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, Metric

from services.collector.errors import RequestTooLarge
from services.collector.identity import (
    MetricHeader,
    ResourceFrame,
    ScopeFrame,
    field_bytes,
    sorted_attributes,
)
from services.collector.series_directory import SeriesFacts

_FREE_BYTES, _SERIES_BYTES, _MOST_BYTES = 16 << 20, 4096, 128 << 20
"""What new series of one request may take together, each beyond that, and all whatever their number. Every
series of a resource has all of the resource in its identity: one of a megabyte with three thousand points
would take 3 GB."""


def read_series(
    request: ExportMetricsServiceRequest, places: Sequence[int], *, bounded: bool = False
) -> list[SeriesFacts]:
    """The series of the points at `places` (rising) of a request, as protobuf's parser read it.

    Raises:
        RequestTooLarge: REQUEST_SERIES_TOO_LARGE, when it is `bounded`.
    """
    wanted = iter(places)
    place: int | None = next(wanted, None)
    first = 0
    series: list[SeriesFacts] = []
    room = min(_FREE_BYTES + _SERIES_BYTES * len(places), _MOST_BYTES)
    for metric, field, header in _metrics(request):
        data = getattr(metric, field)
        points_of = data.data_points
        while place is not None and place < first + len(points_of):
            attributes = header.attributes(points_of[place - first].attributes)
            temporality = getattr(data, "aggregation_temporality", 0)
            identity = header.identity(attributes)
            room -= len(identity)
            if bounded and room < 0:
                raise _too_large()
            series.append(SeriesFacts(identity, metric.name, temporality))
            place = next(wanted, None)
        first += len(points_of)
    return series


def _too_large() -> RequestTooLarge:
    return RequestTooLarge(
        "the attributes of the request's series take too much, those of its resources once for each series",
        reason="REQUEST_SERIES_TOO_LARGE",
        next_step="send shorter attributes, or fewer points per request",
    )


def _metrics(request: ExportMetricsServiceRequest) -> Iterator[tuple[Metric, str, MetricHeader]]:
    for resource_metrics in request.resource_metrics:
        resource = ResourceFrame(resource_metrics)
        for scope_metrics in resource_metrics.scope_metrics:
            scope = ScopeFrame(scope_metrics)
            for metric in scope_metrics.metrics:
                field = metric.WhichOneof("data")
                if field is not None:
                    yield metric, field, MetricHeader(resource, scope, metric, field)


def filtered_attributes(exemplar: bytes) -> bytes:
    """The attributes of a serialised exemplar, sorted, each as field 1 of a message."""
    message = Exemplar.FromString(exemplar)
    message.DiscardUnknownFields()
    return b"".join(field_bytes(1, pair) for pair in sorted_attributes(message.filtered_attributes))
