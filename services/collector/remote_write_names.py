"""What labels and names say: whose series it is, and which OTLP shape its numbers have.

Source: OpenTelemetry specification/compatibility/prometheus_and_openmetrics.md
"""

from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
)

from services.collector.remote_write_model import METRIC_NAME, FamilyType, Labels

SCOPE_NAME = "threenines.remote_write"
"""Of series that name no instrumentation scope: who made OTLP of them."""

_SCOPE = "otel_scope_"
_COUNTER_SUFFIXES = ("_total", "_count", "_sum", "_bucket")
_UNITS = MappingProxyType(
    {
        "days": "d",
        "hours": "h",
        "minutes": "min",
        "seconds": "s",
        "milliseconds": "ms",
        "microseconds": "us",
        "nanoseconds": "ns",
        "bytes": "By",
        "kibibytes": "KiBy",
        "mebibytes": "MiBy",
        "gibibytes": "GiBy",
        "tibibytes": "TiBy",
        "kilobytes": "KBy",
        "megabytes": "MBy",
        "gigabytes": "GBy",
        "terabytes": "TBy",
        "meters": "m",
        "volts": "V",
        "amperes": "A",
        "joules": "J",
        "watts": "W",
        "grams": "g",
        "celsius": "Cel",
        "hertz": "Hz",
        "ratio": "1",
        "percent": "%",
    }
)
_PER = MappingProxyType({"second": "s", "minute": "min", "hour": "h", "day": "d"})


class MetricShape(Enum):
    """An OTLP metric type with its monotonicity; cumulative where that has a meaning."""

    GAUGE = "gauge"
    COUNTER = "sum"
    UP_DOWN = "non-monotonic sum"
    HISTOGRAM = "histogram"
    EXP_HISTOGRAM = "exponential_histogram"

    @property
    def field(self) -> str:
        """The field of opentelemetry's Metric."""
        return "sum" if self is MetricShape.UP_DOWN else self.value

    def new_point(self) -> Any:
        """An empty data point."""
        if self is MetricShape.HISTOGRAM:
            return HistogramDataPoint()
        return ExponentialHistogramDataPoint() if self is MetricShape.EXP_HISTOGRAM else NumberDataPoint()


@dataclass(frozen=True, slots=True)
class Origin:
    """A label set, taken apart."""

    name: str
    resource: Labels
    """Attributes of the resource."""
    scope: Labels
    """The labels of the instrumentation scope, as they came: they tell scopes apart."""
    attributes: Labels
    """Of the points."""

    @property
    def scope_name(self) -> str:
        """The scope's name; this translation's where there is none."""
        return dict(self.scope).get("otel_scope_name", SCOPE_NAME)

    @property
    def scope_version(self) -> str:
        """The scope's version."""
        return dict(self.scope).get("otel_scope_version", "")

    @property
    def scope_schema_url(self) -> str:
        """The schema of the scope."""
        return dict(self.scope).get("otel_scope_schema_url", "")

    @property
    def scope_attributes(self) -> Labels:
        """What else is said about the scope."""
        known = ("otel_scope_name", "otel_scope_version", "otel_scope_schema_url")
        return tuple((key.removeprefix(_SCOPE), value) for key, value in self.scope if key not in known)


def origin_of(labels: Labels) -> Origin:
    """Sort labels into name, resource, scope and attributes."""
    name = ""
    resource: list[tuple[str, str]] = []
    scope: list[tuple[str, str]] = []
    attributes: list[tuple[str, str]] = []
    for key, value in labels:
        if key == METRIC_NAME:
            name = value
        elif key == "job":
            resource += _service(value)
        elif key == "instance":
            resource.append(("service.instance.id", value))
        elif key.startswith(_SCOPE) and key != _SCOPE:
            scope.append((key, value))
        else:
            attributes.append((key, value))
    return Origin(name, tuple(sorted(resource)), tuple(scope), tuple(attributes))


def number_shape(name: str, family: FamilyType) -> MetricShape:
    """The shape of a series of numbers, by its type where that is known, else by its name.

    A name that says counter makes a sum in both versions of the protocol, so that a sender that
    learns the type later does not begin another series.
    """
    match family:
        case FamilyType.COUNTER:
            return MetricShape.COUNTER
        case FamilyType.GAUGE | FamilyType.GAUGEHISTOGRAM:
            return MetricShape.GAUGE
        case FamilyType.INFO | FamilyType.STATESET:
            return MetricShape.UP_DOWN
    return MetricShape.COUNTER if name.endswith(_COUNTER_SUFFIXES) else MetricShape.GAUGE


def unit_of(unit: str) -> str:
    """A unit of Prometheus in OTLP's spelling (UCUM); what is not known stays as it is."""
    amount, per, time = unit.partition("_per_")
    if not per:
        return _UNITS.get(unit, unit)
    return f"{_UNITS.get(amount, amount)}/{_PER.get(time, time)}"


def _service(job: str) -> Labels:
    """`namespace/name`, as OpenTelemetry writes jobs; anything else is a name."""
    namespace, slash, name = job.partition("/")
    if slash and namespace and name and "/" not in name:
        return (("service.name", name), ("service.namespace", namespace))
    return (("service.name", job),)
