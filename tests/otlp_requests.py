"""Random OTLP metric requests of all five types, with the rows that must come out of them.

Deterministic from a seed. The expected rows are taken from the messages by this file's own walk,
which shares no code with the collector: it is the test's ledger.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, Metric, ScopeMetrics

TABLES = ("points", "histograms", "exp_histograms", "summaries", "exemplars")
_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND


@dataclass
class Ledger:
    """Rows by table, as plain tuples of comparable values; see `rows_of`."""

    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: {table: [] for table in TABLES})
    points: int = 0

    def add(self, other: "Ledger") -> None:
        """Add everything of another."""
        self.points += other.points
        for table, rows in other.rows.items():
            self.rows[table] += rows


class RequestMaker:
    """Makes requests whose points never repeat: every point has a time of its own."""

    def __init__(self, seed: int, *, now_ns: int, service: str = "shop") -> None:
        self._rng = random.Random(seed)
        self._time_ns = now_ns - 3600 * _SECOND
        if self._time_ns % _DAY > _DAY - 600 * _SECOND:
            self._time_ns -= 1800 * _SECOND  # points of one request are of one day
        self._service = service

    def requests(self, count: int, *, points: int = 10) -> Iterator[bytes]:
        """That many serialised requests with about `points` points each."""
        for _ in range(count):
            yield self.request(points).SerializeToString()

    def request(self, points: int = 10) -> ExportMetricsServiceRequest:
        """One request with about `points` points of all types."""
        request = ExportMetricsServiceRequest()
        for _ in range(self._rng.randint(1, 2)):
            resource = request.resource_metrics.add(schema_url=self._rng.choice(["", "https://schema/1"]))
            name = f"{self._service}-{self._rng.randint(0, 2)}"
            resource.resource.attributes.append(attribute("service.name", name))
            resource.resource.attributes.extend(self._attributes())
            resource.resource.dropped_attributes_count = self._rng.randint(0, 2)
            scope = resource.scope_metrics.add(schema_url=self._rng.choice(["", "https://scope/1"]))
            scope.scope.name, scope.scope.version = "meter", self._rng.choice(["1", "2"])
            scope.scope.attributes.extend(self._attributes())
            for _ in range(max(1, points // 4)):
                self._metric(scope)
        return request

    def _metric(self, scope: ScopeMetrics) -> None:
        kind = self._rng.choice(["gauge", "sum", "histogram", "exponential_histogram", "summary"])
        metric = scope.metrics.add(
            name=f"{kind}.{self._rng.randint(0, 3)}", unit=self._rng.choice(["", "s"]), description="text"
        )
        data = getattr(metric, kind)
        if kind in ("sum", "histogram", "exponential_histogram"):
            data.aggregation_temporality = self._rng.choice([1, 2])
        if kind == "sum":
            data.is_monotonic = self._rng.random() < 0.5
        for _ in range(self._rng.randint(1, 3)):
            point = data.data_points.add()
            self._common(point)
            getattr(self, f"_{kind}")(point)

    def _common(self, point: Any) -> None:
        self._time_ns += self._rng.randint(1, 3) * 1_000_003
        point.time_unix_nano = self._time_ns
        point.start_time_unix_nano = self._rng.choice([0, self._time_ns, self._time_ns - 10 * _SECOND])
        point.attributes.extend(self._attributes())

    def _gauge(self, point: Any) -> None:
        if self._rng.random() < 0.1:
            point.flags = 1
        elif self._rng.random() < 0.5:
            point.as_int = self._rng.choice([0, -1, 2**63 - 1, -(2**63), self._rng.randint(0, 1000)])
        else:
            point.as_double = self._rng.choice([0.0, -0.0, float("inf"), 1e-300, self._rng.random()])
        self._exemplars(point)

    _sum = _gauge

    def _optional(self, point: Any, *names: str) -> None:
        for name in names:
            if self._rng.random() < 0.6:
                setattr(point, name, self._rng.uniform(-10, 10))

    def _histogram(self, point: Any) -> None:
        buckets = self._rng.choice([0, 1, 5])
        if buckets:
            point.bucket_counts.extend(self._rng.randint(0, 9) for _ in range(buckets))
            point.explicit_bounds.extend(float(bound) for bound in range(buckets - 1))
        point.count = sum(point.bucket_counts) if buckets else self._rng.randint(0, 9)
        self._optional(point, "sum", "min", "max")
        self._exemplars(point)

    def _exponential_histogram(self, point: Any) -> None:
        point.scale = self._rng.randint(-2, 8)
        point.zero_count = self._rng.randint(0, 3)
        point.zero_threshold = self._rng.choice([0.0, 1e-6])
        for side in (point.positive, point.negative):
            side.offset = self._rng.randint(-20, 20)
            side.bucket_counts.extend(self._rng.randint(0, 9) for _ in range(self._rng.randint(0, 6)))
        point.count = point.zero_count + sum(point.positive.bucket_counts) + sum(point.negative.bucket_counts)
        self._optional(point, "sum", "min", "max")
        self._exemplars(point)

    def _summary(self, point: Any) -> None:
        point.count, point.sum = self._rng.randint(0, 100), self._rng.random()
        for quantile in (0.0, 0.5, 1.0)[: self._rng.randint(0, 3)]:
            point.quantile_values.add(quantile=quantile, value=self._rng.random())

    def _exemplars(self, point: Any) -> None:
        for _ in range(self._rng.choice([0, 0, 0, 1, 2])):
            exemplar: Exemplar = point.exemplars.add(time_unix_nano=self._time_ns - 5)
            if self._rng.random() < 0.5:
                exemplar.as_int = self._rng.randint(-5, 5)
            else:
                exemplar.as_double = self._rng.random()
            exemplar.trace_id, exemplar.span_id = self._rng.randbytes(16), self._rng.randbytes(8)
            exemplar.filtered_attributes.extend(self._attributes())

    def _attributes(self) -> list[KeyValue]:
        values: list[Any] = ["GET", 200, True, 1.5, b"\x00\xff", ["a", 1], {"b": 1, "a": "x"}]
        keys = self._rng.sample(["method", "code", "zone", "route"], self._rng.randint(0, 3))
        return [attribute(key, self._rng.choice(values)) for key in keys]


def attribute(key: str, value: Any) -> KeyValue:
    """A KeyValue with a Python value."""
    return KeyValue(key=key, value=any_value(value))


def any_value(value: Any) -> AnyValue:
    """An AnyValue with a Python value."""
    result = AnyValue()
    match value:
        case bool():
            result.bool_value = value
        case str():
            result.string_value = value
        case int():
            result.int_value = value
        case float():
            result.double_value = value
        case bytes():
            result.bytes_value = value
        case list():
            result.array_value.values.extend(any_value(item) for item in value)
        case dict():
            result.kvlist_value.values.extend(attribute(key, item) for key, item in value.items())
        case _:
            raise TypeError(type(value))
    return result


def rows_of(tenant: str, raw: bytes, accept: Callable[[str, Any, Any], bool] | None = None) -> Ledger:
    """The rows that every point of a request must become, or every point that `accept` (of the
    type's name, its data and the point) lets through.

    A row starts with tenant, metric, the attributes of resource and point in a comparable form,
    ts and start in ms, flags and bits; then the values in the order of the table's columns.
    """
    ledger = Ledger()
    request = ExportMetricsServiceRequest.FromString(raw)
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                field_name = metric.WhichOneof("data")
                if field_name is not None:
                    head = (tenant, metric.name, plain_attributes(resource.resource.attributes))
                    _add_points(ledger, head, metric, field_name, accept)
    return ledger


def _add_points(
    ledger: Ledger,
    head: tuple[Any, ...],
    metric: Metric,
    field_name: str,
    accept: Callable[[str, Any, Any], bool] | None,
) -> None:
    data = getattr(metric, field_name)
    for point in data.data_points:
        if accept is not None and not accept(field_name, data, point):
            continue
        ledger.points += 1
        start, time = point.start_time_unix_nano, point.time_unix_nano
        bits = (1 if start == 0 else 0) | (2 if start != 0 and start == time else 0)
        series = (*head, plain_attributes(point.attributes))
        moment = (time // 10**6, start // 10**6, point.flags, bits)
        table, values = _values(field_name, point)
        ledger.rows[table].append((*series, *moment, *values))
        for exemplar in getattr(point, "exemplars", ()):
            attributes = KeyValueList(values=exemplar.filtered_attributes)
            ledger.rows["exemplars"].append(
                (
                    *series,
                    exemplar.time_unix_nano // 10**6,
                    *moment[1:],
                    time // 10**6,
                    *_number(exemplar),
                    exemplar.trace_id,
                    exemplar.span_id,
                    plain_attributes(attributes.values),
                )
            )


def _values(field_name: str, point: Any) -> tuple[str, tuple[Any, ...]]:
    if field_name in ("gauge", "sum"):
        return "points", _number(point)
    if field_name == "summary":
        pairs = point.quantile_values
        quantiles, values = tuple(p.quantile for p in pairs), tuple(p.value for p in pairs)
        return "summaries", (point.count, point.sum, quantiles, values)
    optional = [getattr(point, name) if point.HasField(name) else None for name in ("sum", "min", "max")]
    if field_name == "histogram":
        shape = (tuple(point.explicit_bounds), tuple(point.bucket_counts))
        return "histograms", (point.count, *optional, *shape)
    sides = [(side.offset, tuple(side.bucket_counts)) for side in (point.positive, point.negative)]
    numbers = (point.scale, point.zero_count, point.zero_threshold)
    return "exp_histograms", (point.count, *optional, *numbers, *sides[0], *sides[1])


def _number(holder: Any) -> tuple[int, int, float]:
    kind = holder.WhichOneof("value")
    return (
        {None: 0, "as_int": 1, "as_double": 2}[kind],
        holder.as_int if kind == "as_int" else 0,
        holder.as_double if kind == "as_double" else 0.0,
    )


def plain_attributes(attributes: Any) -> tuple[tuple[str, Any], ...]:
    """Attributes as sorted pairs of comparable values; the last of a repeated key wins."""
    return tuple(sorted({pair.key: plain_value(pair.value) for pair in attributes}.items()))


def plain_value(value: AnyValue) -> Any:
    """A value with its type, comparable."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return kind, tuple(plain_value(item) for item in value.array_value.values)
    if kind == "kvlist_value":
        return kind, plain_attributes(value.kvlist_value.values)
    return kind, repr(getattr(value, kind)) if kind is not None else ""
