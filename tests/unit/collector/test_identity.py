"""Identities: the same series however it is written down, another one for any difference."""

import random

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from services.collector.decode import decode
from services.collector.identity import SharedTexts, describe, metric_id, series_key
from services.collector.model import MetricType, Temporality
from tests.otlp_requests import RequestMaker, any_value, attribute

_NESTED = {"b": 1, "a": {"z": [1, {"q": 2, "p": 3}], "y": b"\x00"}}


def message() -> ResourceMetrics:
    """A series with everything."""
    resource = ResourceMetrics(schema_url="https://resource")
    resource.resource.attributes.extend([attribute("service.name", "shop"), attribute("nested", _NESTED)])
    resource.resource.dropped_attributes_count = 3
    resource.resource.entity_refs.add(type="service", id_keys=["service.name"])
    scope = resource.scope_metrics.add(schema_url="https://scope")
    scope.scope.name, scope.scope.version, scope.scope.dropped_attributes_count = "meter", "1.0", 2
    scope.scope.attributes.append(attribute("s", True))
    metric = scope.metrics.add(name="requests", unit="1", description="how many")
    metric.metadata.append(attribute("m", 1))
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
    point = metric.sum.data_points.add(time_unix_nano=1, as_int=1)
    point.attributes.extend([attribute("code", 200), attribute("route", "/")])
    return resource


def identity_of(resource: ResourceMetrics) -> bytes:
    """The identity of the first series."""
    raw = ExportMetricsServiceRequest(resource_metrics=[resource]).SerializeToString()
    return decode(raw).series.identity[0]


def metric_of(resource: ResourceMetrics) -> Metric:
    """Its only metric."""
    return resource.scope_metrics[0].metrics[0]


def test_the_identity_is_lossless() -> None:
    kept = ResourceMetrics.FromString(identity_of(message()))

    expected = message()
    del metric_of(expected).sum.data_points[0].attributes[:]
    metric_of(expected).sum.data_points[0].Clear()
    metric_of(expected).sum.data_points[0].attributes.extend(
        [attribute("code", 200), attribute("route", "/")]
    )
    del expected.resource.attributes[:]
    nested = {"a": {"y": b"\x00", "z": [1, {"p": 3, "q": 2}]}, "b": 1}
    expected.resource.attributes.extend([attribute("nested", nested), attribute("service.name", "shop")])
    assert kept == expected


@pytest.mark.parametrize("seed", range(20))
def test_order_of_attributes_does_not_matter(seed: int) -> None:
    rng = random.Random(seed)
    resource = RequestMaker(seed, now_ns=10**18).request().resource_metrics[0]
    shuffled = ResourceMetrics()
    shuffled.CopyFrom(resource)
    attributes = list(resource.resource.attributes)
    rng.shuffle(attributes)
    del shuffled.resource.attributes[:]
    shuffled.resource.attributes.extend(attributes)

    assert identity_of(shuffled) == identity_of(resource)


def test_the_last_value_of_a_repeated_key_wins() -> None:
    once, twice = message(), message()
    twice.resource.attributes.insert(0, attribute("service.name", "another"))

    assert identity_of(twice) == identity_of(once)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.resource.attributes.append(attribute("zone", "a")),
        lambda m: m.resource.attributes[0].value.CopyFrom(any_value("other")),
        lambda m: setattr(m.scope_metrics[0].scope, "name", "x"),
        lambda m: setattr(m.scope_metrics[0].scope, "version", "x"),
        lambda m: setattr(m.scope_metrics[0], "schema_url", "x"),
        lambda m: m.scope_metrics[0].scope.attributes.append(attribute("t", 1)),
        lambda m: setattr(metric_of(m), "name", "x"),
        lambda m: setattr(metric_of(m), "unit", "x"),
        lambda m: setattr(metric_of(m).sum, "is_monotonic", False),
        lambda m: setattr(metric_of(m).sum, "aggregation_temporality", 1),
        lambda m: metric_of(m).sum.data_points[0].attributes[0].value.CopyFrom(any_value("200")),
    ],
)
def test_anything_of_the_identity_makes_another_series(change: object) -> None:
    changed = message()
    assert callable(change)
    change(changed)

    assert (
        series_key("acme", identity_of(changed)).series_id
        != series_key("acme", identity_of(message())).series_id
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m, "schema_url", ""),
        lambda m: setattr(m.resource, "dropped_attributes_count", 0),
        lambda m: m.resource.ClearField("entity_refs"),
        lambda m: setattr(m.scope_metrics[0].scope, "dropped_attributes_count", 0),
        lambda m: setattr(metric_of(m), "description", "other words"),
        lambda m: metric_of(m).ClearField("metadata"),
    ],
)
def test_descriptions_and_dropped_counts_are_not_identity(change: object) -> None:
    changed = message()
    assert callable(change)
    change(changed)

    assert identity_of(changed) != identity_of(message())
    assert series_key("acme", identity_of(changed)) == series_key("acme", identity_of(message()))


def test_tenants_share_no_series_but_senders() -> None:
    one, other = series_key("acme", identity_of(message())), series_key("beta", identity_of(message()))

    assert one.series_id != other.series_id
    assert (one.sender_id, one.metric_id) == (other.sender_id, other.metric_id)
    assert one.metric_id == metric_id("requests")


def test_series_of_one_resource_have_one_sender() -> None:
    other = message()
    metric_of(other).name = "errors"

    one, two = series_key("acme", identity_of(message())), series_key("acme", identity_of(other))
    assert (one.sender_id == two.sender_id, one.series_id == two.series_id) == (True, False)


def test_describes_an_identity() -> None:
    told = describe(identity_of(message()))

    assert (told.metric, told.type, told.temporality) == ("requests", MetricType.SUM, Temporality.CUMULATIVE)
    assert (told.monotonic, told.unit, told.description, told.service) == (True, "1", "how many", "shop")
    assert told.attributes == {"code": "200", "route": "/"}
    assert told.resource_attributes["nested"] == '{"a":{"y":"AA==","z":[1,{"p":3,"q":2}]},"b":1}'
    assert (told.resource_schema_url, told.resource_dropped) == ("https://resource", 3)
    assert (told.scope_name, told.scope_version, told.scope_dropped) == ("meter", "1.0", 2)
    assert (told.scope_attributes, told.scope_schema_url) == ({"s": "true"}, "https://scope")


def test_a_scope_with_the_bytes_of_a_resource_does_not_lend_it_its_attributes() -> None:
    resource = Resource()
    resource.attributes.add(key="service.name").value.string_value = "checkout"
    scope = InstrumentationScope(name=resource.SerializeToString()[2:].decode())
    assert scope.SerializeToString() == resource.SerializeToString()
    shared = SharedTexts()

    assert shared.of(scope) == {}
    assert shared.of(resource) == {"service.name": "checkout"}
    assert shared.of(resource) is shared.of(resource)
