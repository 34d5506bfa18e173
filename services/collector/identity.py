"""What makes two points the same series, and the 64-bit ids that tables use for it.

The lossless identity of a series is a serialised `ResourceMetrics` that holds its resource, scope
and metric header and one point with nothing but its attributes, attributes sorted by key at every
level (a repeated key: the last one wins). Of it, the ids hash only what OTLP's data model calls
identity (https://opentelemetry.io/docs/specs/otel/metrics/data-model/#opentelemetry-protocol-data-model):
resource attributes, scope (name, version, attributes, schema URL), metric name, unit, type,
temporality, monotonic and point attributes; never descriptions or dropped counts. Order of
attributes and of fields on the wire does not matter.

This module composes and reads those bytes; it knows no columns and no engine.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from services.collector.attribute_text import attribute_texts
from services.collector.model import MetricType, Temporality

DATA_FIELDS = {
    "gauge": (MetricType.GAUGE, 5, 7),
    "sum": (MetricType.SUM, 7, 7),
    "histogram": (MetricType.HISTOGRAM, 9, 9),
    "exponential_histogram": (MetricType.EXP_HISTOGRAM, 10, 1),
    "summary": (MetricType.SUMMARY, 11, 7),
}
"""OTLP's name of a metric's data: our type, its field number, and that of a point's attributes."""

_SHORT = [bytes((value,)) for value in range(128)]
"""Varints of one byte: nearly all tags and lengths."""

_NESTED = frozenset({"array_value", "kvlist_value"})


class SeriesKey(NamedTuple):
    """The ids of a series in the tables."""

    series_id: int
    sender_id: int
    metric_id: int
    identity_hash: int
    """A second hash over the same, independent of `series_id`: tells who owns an id."""


@dataclass(frozen=True, slots=True)
class SeriesDescription:
    """An identity, read for people and for the columns of the table `series`."""

    metric: str
    type: MetricType
    temporality: Temporality
    monotonic: bool
    unit: str
    description: str
    service: str
    resource_attributes: dict[str, str]
    resource_schema_url: str
    resource_dropped: int
    scope_name: str
    scope_version: str
    scope_attributes: dict[str, str]
    scope_dropped: int
    scope_schema_url: str
    attributes: dict[str, str]


def series_key(tenant: str, identity: bytes, hash64: Callable[[bytes], int] | None = None) -> SeriesKey:
    """The ids of one series of a tenant; `hash64` makes `series_id` where it is given. Another series
    may have the same: `series_ids.py` decides."""
    message = ResourceMetrics.FromString(identity)
    name = message.scope_metrics[0].metrics[0].name
    _strip(message)
    canonical = message.SerializeToString(deterministic=True)
    sender = message.resource.SerializeToString(deterministic=True)
    owned = tenant.encode() + b"\0" + canonical
    return SeriesKey(
        series_id=(hash64 or _hash64)(owned),
        sender_id=_hash64(sender),
        metric_id=metric_id(name),
        identity_hash=int.from_bytes(
            hashlib.blake2b(owned, digest_size=8, person=b"identity").digest(), "little"
        ),
    )


def metric_id(name: str) -> int:
    """First four bytes (little endian) of blake2b over the metric's name."""
    return int.from_bytes(hashlib.blake2b(name.encode()).digest()[:4], "little")


def describe(identity: bytes, shared: "SharedTexts | None" = None) -> SeriesDescription:
    """Everything that an identity says; with `shared`, those of one resource have one dictionary."""
    shared = shared or SharedTexts()
    message = ResourceMetrics.FromString(identity)
    scope = message.scope_metrics[0]
    metric = scope.metrics[0]
    field = metric.WhichOneof("data")
    assert field is not None, "an identity always has a type"
    data = getattr(metric, field)
    resource = shared.of(message.resource)
    return SeriesDescription(
        metric=metric.name,
        type=DATA_FIELDS[field][0],
        temporality=Temporality(getattr(data, "aggregation_temporality", 0)),
        monotonic=getattr(data, "is_monotonic", False),
        unit=metric.unit,
        description=metric.description,
        service=resource.get("service.name", ""),
        resource_attributes=resource,
        resource_schema_url=message.schema_url,
        resource_dropped=message.resource.dropped_attributes_count,
        scope_name=scope.scope.name,
        scope_version=scope.scope.version,
        scope_attributes=shared.of(scope.scope),
        scope_dropped=scope.scope.dropped_attributes_count,
        scope_schema_url=scope.schema_url,
        attributes=attribute_texts(data.data_points[0].attributes),
    )


class SharedTexts:
    """The attributes of resources and scopes as text, read once for all of their series."""

    def __init__(self) -> None:
        self._known: dict[tuple[type, bytes], dict[str, str]] = {}

    def of(self, owner: Resource | InstrumentationScope) -> dict[str, str]:
        """The attributes of one; not to be changed."""
        # The bytes of a scope may be those of a resource that says something else.
        what = (type(owner), owner.SerializeToString())
        if (texts := self._known.get(what)) is None:
            texts = self._known[what] = attribute_texts(owner.attributes)
        return texts


def sorted_attributes(attributes: Iterable[KeyValue]) -> list[bytes]:
    """Serialised KeyValues, each key once (its last value), sorted by key."""
    latest = {pair.key: pair for pair in attributes}
    return [_pair_bytes(latest[key]) for key in sorted(latest)]


def field_bytes(number: int, payload: bytes) -> bytes:
    """A length-delimited field on protobuf's wire; field numbers up to 15."""
    size = len(payload)
    return _SHORT[number << 3 | 2] + (_SHORT[size] if size < len(_SHORT) else _varint(size)) + payload


class MetricHeader:
    """One metric under its scope and resource: gives identities for the attributes of points."""

    __slots__ = ("_attributes_field", "_data_field", "_data_tail", "_frames", "_head", "_tail", "type")

    def __init__(self, resource: "ResourceFrame", scope: "ScopeFrame", metric: Metric, field: str) -> None:
        self.type, self._data_field, self._attributes_field = DATA_FIELDS[field]
        header = Metric(name=metric.name, description=metric.description, unit=metric.unit)
        self._head = header.SerializeToString(deterministic=True)
        self._tail = b"".join(field_bytes(12, pair) for pair in sorted_attributes(metric.metadata))
        data = getattr(metric, field)
        shape = type(data)()
        for name in ("aggregation_temporality", "is_monotonic"):
            if name in shape.DESCRIPTOR.fields_by_name:
                setattr(shape, name, getattr(data, name))
        self._data_tail = shape.SerializeToString(deterministic=True)
        self._frames = (resource, scope)

    def attributes(self, pairs: Iterable[KeyValue]) -> bytes:
        """A point that has only these attributes, serialised: tells the series of the metric apart."""
        return b"".join([field_bytes(self._attributes_field, pair) for pair in sorted_attributes(pairs)])

    def identity(self, point: bytes) -> bytes:
        """The lossless identity of the series of a point (as `attributes` gives it)."""
        data = field_bytes(self._data_field, field_bytes(1, point) + self._data_tail)
        resource, scope = self._frames
        metric = field_bytes(2, self._head + data + self._tail)
        return resource.head + field_bytes(2, scope.head + metric + scope.tail) + resource.tail


class ResourceFrame:
    """What stands before and after the scopes of one resource."""

    __slots__ = ("head", "tail")

    def __init__(self, message: ResourceMetrics) -> None:
        resource = type(message.resource)()
        resource.dropped_attributes_count = message.resource.dropped_attributes_count
        resource.entity_refs.extend(message.resource.entity_refs)
        attributes = b"".join(field_bytes(1, pair) for pair in sorted_attributes(message.resource.attributes))
        self.head = field_bytes(1, attributes + resource.SerializeToString(deterministic=True))
        self.tail = field_bytes(3, message.schema_url.encode()) if message.schema_url else b""


class ScopeFrame:
    """What stands before and after the metrics of one scope."""

    __slots__ = ("head", "tail")

    def __init__(self, message: ScopeMetrics) -> None:
        scope = message.scope
        names = type(scope)(name=scope.name, version=scope.version).SerializeToString(deterministic=True)
        attributes = b"".join(field_bytes(3, pair) for pair in sorted_attributes(scope.attributes))
        dropped = type(scope)(dropped_attributes_count=scope.dropped_attributes_count)
        self.head = field_bytes(1, names + attributes + dropped.SerializeToString(deterministic=True))
        self.tail = field_bytes(3, message.schema_url.encode()) if message.schema_url else b""


def _strip(message: ResourceMetrics) -> None:
    """Leave only what OTLP calls identity."""
    message.ClearField("schema_url")
    message.resource.ClearField("dropped_attributes_count")
    message.resource.ClearField("entity_refs")
    scope = message.scope_metrics[0]
    scope.scope.ClearField("dropped_attributes_count")
    scope.metrics[0].ClearField("description")
    scope.metrics[0].ClearField("metadata")


def _pair_bytes(pair: KeyValue) -> bytes:
    if pair.key_strindex or pair.value.WhichOneof("value") in _NESTED:
        pair = KeyValue(key=pair.key, value=_canonical(pair.value))
    return pair.SerializeToString(deterministic=True)


def _canonical(value: AnyValue) -> AnyValue:
    """The value with the keys of every map inside it sorted; the order of arrays is kept."""
    result = AnyValue()
    match value.WhichOneof("value"):
        case "kvlist_value":
            result.kvlist_value.SetInParent()
            for pair in sorted_attributes(value.kvlist_value.values):
                result.kvlist_value.values.add().MergeFromString(pair)
        case "array_value":
            result.array_value.SetInParent()
            result.array_value.values.extend(_canonical(item) for item in value.array_value.values)
        case _:
            result.CopyFrom(value)
    return result


def _hash64(data: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
