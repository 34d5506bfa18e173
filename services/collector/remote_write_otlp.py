"""Series of Prometheus as an OTLP request: what the log keeps, whatever came in.

The mapping is OpenTelemetry's compatibility specification, with the choices that docs/remote-write.md
lists. It depends on nothing but the series themselves, so that a series is the same one in every
request and in every process, and a request sent again is the same bytes. Knows no transport.

Source: OpenTelemetry specification/compatibility/prometheus_and_openmetrics.md
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Metric,
    ResourceMetrics,
    ScopeMetrics,
)

from services.collector.model import NANOSECONDS_IN_MS, NO_RECORDED_VALUE
from services.collector.remote_write_classic import ClassicHistogram, regroup
from services.collector.remote_write_model import Elements, Example, Labels, Loss, Native, Series, is_stale
from services.collector.remote_write_names import MetricShape, Origin, number_shape, origin_of, unit_of
from services.collector.remote_write_native import (
    BucketBudget,
    Untranslatable,
    check_kind,
    fill_explicit,
    fill_exponential,
    is_custom,
)
from services.collector.remote_write_read import Version, WriteRequest, read_request

_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_MAX_TIME_NS = (1 << 64) - 1
_ONE_SAMPLE = Elements(samples=1)

_MetricKey: TypeAlias = tuple[str, MetricShape, str, str, str]


@dataclass(frozen=True, slots=True)
class Conversion:
    """An OTLP request, and what of the original each of its points stands for."""

    raw: bytes
    """Serialised ExportMetricsServiceRequest; empty when nothing is left."""
    weights: list[Elements]
    """For each point, in the order of the request."""
    sent: Elements
    losses: dict[Loss, Elements]


def convert_request(version: Version, body: bytes) -> Conversion:
    """Convert the bytes of a remote write message.

    Raises:
        Undecodable: they are no message of that version.
        RequestTooLarge: it has too many elements, or its native histograms too many buckets.
    """
    request = read_request(version, body)
    target = _Target()
    for histogram in regroup(request.series):
        _add_classic(target, histogram)
    budget = BucketBudget()
    for series in request.series:
        _add_numbers(target, series)
        for native in series.natives:
            _add_native(target, series, native, budget, request)
    return Conversion(
        target.message.SerializeToString(deterministic=True),
        target.weights(),
        request.sent,
        dict(request.losses.by_reason()),
    )


class _Points:
    """The points of one metric, and what each stands for."""

    __slots__ = ("message", "weights")

    def __init__(self, metric: Metric, shape: MetricShape) -> None:
        data = getattr(metric, shape.field)
        if shape is not MetricShape.GAUGE:
            data.aggregation_temporality = _CUMULATIVE
        if shape is MetricShape.COUNTER:
            data.is_monotonic = True
        self.message = data.data_points
        self.weights: list[Elements] = []


class _Target:
    """The request as it grows; everything keeps the order in which it first appeared."""

    def __init__(self) -> None:
        self.message = ExportMetricsServiceRequest()
        self._resources: dict[Labels, ResourceMetrics] = {}
        self._scopes: dict[tuple[Labels, Labels], ScopeMetrics] = {}
        self._metrics: dict[Labels, dict[tuple[Labels, Labels], dict[_MetricKey, _Points]]] = {}

    def points(self, series: Series, origin: Origin, shape: MetricShape) -> _Points:
        """Where the points of a series go when they have that shape."""
        place = (origin.resource, origin.scope)
        metrics = self._metrics.setdefault(origin.resource, {}).setdefault(place, {})
        key = (origin.name, shape, unit_of(series.unit), series.help, series.family.name.lower())
        found = metrics.get(key)
        if found is None:
            found = metrics[key] = self._open(origin, key)
        return found

    def weights(self) -> list[Elements]:
        """What each point stands for, in the order of the request."""
        return [
            weight
            for scopes in self._metrics.values()
            for metrics in scopes.values()
            for points in metrics.values()
            for weight in points.weights
        ]

    def _open(self, origin: Origin, key: _MetricKey) -> _Points:
        name, shape, unit, description, family = key
        metric = self._scope(origin).metrics.add(name=name, unit=unit, description=description)
        if family != "unspecified":
            metric.metadata.add(key="prometheus.type").value.string_value = family
        return _Points(metric, shape)

    def _scope(self, origin: Origin) -> ScopeMetrics:
        place = (origin.resource, origin.scope)
        found = self._scopes.get(place)
        if found is None:
            found = self._scopes[place] = self._resource(origin).scope_metrics.add()
            found.scope.name = origin.scope_name
            found.scope.version = origin.scope_version
            found.schema_url = origin.scope_schema_url
            _add_pairs(found.scope.attributes, origin.scope_attributes)
        return found

    def _resource(self, origin: Origin) -> ResourceMetrics:
        found = self._resources.get(origin.resource)
        if found is None:
            found = self._resources[origin.resource] = self.message.resource_metrics.add()
            _add_pairs(found.resource.attributes, origin.resource)
        return found


def _add_numbers(target: _Target, series: Series) -> None:
    numbers = [number for number in series.numbers if not number.taken]
    if not numbers:
        return
    origin = origin_of(series.labels)
    shape = number_shape(series.name, series.family)
    points = target.points(series, origin, shape)
    for number in numbers:
        point = points.message.add()
        _set_common(point, origin, number.time_ms, 0 if shape is MetricShape.GAUGE else number.start_ms)
        if is_stale(number.value):
            point.flags = NO_RECORDED_VALUE
        else:
            point.as_double = number.value
        if number.examples:
            _add_examples(point, number.examples)
        points.weights.append(Elements(1, 0, len(number.examples)) if number.examples else _ONE_SAMPLE)


def _add_classic(target: _Target, histogram: ClassicHistogram) -> None:
    origin = origin_of(histogram.series.labels)
    points = target.points(histogram.series, origin, MetricShape.HISTOGRAM)
    point = points.message.add()
    _set_common(point, origin, histogram.time_ms, histogram.start_ms)
    if histogram.stale:
        point.flags = NO_RECORDED_VALUE
    else:
        point.count = histogram.count
        point.explicit_bounds.extend(histogram.bounds)
        point.bucket_counts.extend(histogram.counts)
    if histogram.sum is not None:
        point.sum = histogram.sum
    _add_examples(point, histogram.examples)
    points.weights.append(histogram.elements)


def _add_native(
    target: _Target, series: Series, native: Native, budget: BucketBudget, request: WriteRequest
) -> None:
    elements = Elements(histograms=1, exemplars=len(native.examples))
    custom, stale = is_custom(native.message), is_stale(native.message.sum)
    shape = MetricShape.HISTOGRAM if custom else MetricShape.EXP_HISTOGRAM
    origin = origin_of(series.labels)
    point = shape.new_point()
    try:
        check_kind(native.message)
        if not stale and custom:
            fill_explicit(point, native.message)
        elif not stale:
            fill_exponential(point, native.message, budget)
    except Untranslatable as err:
        request.losses.add(err.loss, elements)
        return
    if stale:
        point.flags = NO_RECORDED_VALUE
    _set_common(point, origin, native.time_ms, native.start_ms)
    _add_examples(point, native.examples)
    points = target.points(series, origin, shape)
    points.message.append(point)
    points.weights.append(elements)


def _set_common(point: Any, origin: Origin, time_ms: int, start_ms: int) -> None:
    point.time_unix_nano = _time_ns(time_ms)
    # An instant before 1970 is still known, and 0 would say that it is not.
    start_ns = _time_ns(start_ms) or (1 if start_ms else 0)
    if start_ns and start_ns <= point.time_unix_nano:
        point.start_time_unix_nano = start_ns
    _add_pairs(point.attributes, origin.attributes)


def _time_ns(time_ms: int) -> int:
    """Unix milliseconds, signed, as nanoseconds; what OTLP cannot say becomes the nearest that it can."""
    return min(max(0, time_ms) * NANOSECONDS_IN_MS, _MAX_TIME_NS)


def _add_examples(point: Any, examples: Iterable[Example]) -> None:
    for example in examples:
        made = point.exemplars.add(as_double=example.value, time_unix_nano=_time_ns(example.time_ms))
        for name, value in example.labels:
            if name == "trace_id" and (identifier := _identifier(value, 16)):
                made.trace_id = identifier
            elif name == "span_id" and (identifier := _identifier(value, 8)):
                made.span_id = identifier
            else:
                made.filtered_attributes.add(key=name).value.string_value = value


def _identifier(text: str, size: int) -> bytes:
    """The bytes of an identifier in hexadecimal; empty when it is none of that size."""
    try:
        identifier = bytes.fromhex(text)
    except ValueError:
        return b""
    return identifier if len(text) == 2 * size else b""


def _add_pairs(target: Any, pairs: Iterable[tuple[str, str]]) -> None:
    for name, value in pairs:
        pair = KeyValue(key=name)
        pair.value.string_value = value
        target.append(pair)
