"""Requests as OpenTelemetry SDKs write them, of a fixed shape, for benchmarks.

The shape: 5 resource attributes, 20 metrics a request, 4 string attributes a point; a number point takes
about 133 bytes, a histogram point with 16 buckets about 414.
"""

from collections.abc import Callable

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric, NumberDataPoint

METRICS = 20
_RESOURCE = ("service.name", "service.version", "host.name", "cloud.region", "deployment.environment")
_KEYS = ("http.route", "method", "code", "pod")
START_NS = 1_700_000_000_000_000_000


def numbers(points: int, *, export: int, first_series: int = 0) -> bytes:
    """Gauges; `export` makes times and values differ from request to request."""

    def add(metric: Metric, place: int) -> NumberDataPoint:
        point = metric.gauge.data_points.add()
        point.as_double = 0.25 * place + export
        return point

    return _request(points, export, first_series, add)


def histograms(points: int, *, export: int, first_series: int = 0) -> bytes:
    """Cumulative histograms of 16 buckets, with sum, minimum and maximum."""

    def add(metric: Metric, place: int) -> HistogramDataPoint:
        metric.histogram.aggregation_temporality = 2
        point = metric.histogram.data_points.add()
        counts = [place % 7 + export] * 16
        point.bucket_counts.extend(counts)
        point.explicit_bounds.extend(0.005 * 2**bound for bound in range(15))
        point.count, point.sum, point.min, point.max = sum(counts), 12.5, 0.001, 9.5
        return point

    return _request(points, export, first_series, add)


def _request(
    points: int,
    export: int,
    first_series: int,
    add: Callable[[Metric, int], NumberDataPoint | HistogramDataPoint],
) -> bytes:
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    for key in _RESOURCE:
        resource.resource.attributes.add(key=key).value.string_value = f"value of {key}"
    scope = resource.scope_metrics.add()
    scope.scope.name, scope.scope.version = "bench", "1.0"
    for number in range(METRICS):
        metric = scope.metrics.add(name=f"bench.metric.{number}", unit="1", description="A metric.")
        for place in range(points // METRICS):
            point = add(metric, place)
            point.start_time_unix_nano = START_NS
            point.time_unix_nano = START_NS + 10_000_000_000 * (export + 1) + place
            values = ("/api/v1/carts/{cart}/items", "POST", "201", f"checkout-{first_series + place:08d}")
            for key, value in zip(_KEYS, values, strict=True):
                point.attributes.add(key=key).value.string_value = value
    return request.SerializeToString()
