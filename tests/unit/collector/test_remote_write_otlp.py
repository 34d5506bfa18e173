"""Every row of the table in docs/remote-write.md: what Prometheus sends, and what it becomes in OTLP."""

from typing import Any

import pytest
from google.protobuf import text_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from services.collector.decode import decode
from services.collector.errors import Undecodable
from services.collector.remote_write_model import Elements, FamilyType, Loss
from services.collector.remote_write_otlp import Conversion, convert_request
from services.collector.remote_write_read import Version
from tests.remote_write_requests import STALE, TARGET, V1, V2

T = 1_700_000_000_000


def converted(request: V1 | V2) -> tuple[Conversion, ExportMetricsServiceRequest]:
    version = Version.V1 if isinstance(request, V1) else Version.V2
    conversion = convert_request(version, request.raw())
    message = ExportMetricsServiceRequest.FromString(conversion.raw)
    assert len(conversion.weights) == decode(conversion.raw).point_count
    return conversion, message


def only_metric(message: ExportMetricsServiceRequest) -> Metric:
    ((metric,),) = [scope.metrics for each in message.resource_metrics for scope in each.scope_metrics]
    return metric


def attributes(pairs: Any) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in pairs}


def test_a_whole_request_of_version_1_becomes_this_whole_otlp_request() -> None:
    request = V1()
    request.add({"__name__": "up", **TARGET}, (1.0, T))
    request.add({"__name__": "http_requests_total", "code": "200", **TARGET}, (17.0, T), (18.0, T + 1000))

    _, message = converted(request)

    expected = """
    resource_metrics {
      resource {
        attributes { key: "service.instance.id" value { string_value: "10.0.0.1:9090" } }
        attributes { key: "service.name" value { string_value: "api" } }
        attributes { key: "service.namespace" value { string_value: "shop" } }
      }
      scope_metrics {
        scope { name: "threenines.remote_write" }
        metrics {
          name: "up"
          gauge { data_points { time_unix_nano: 1700000000000000000 as_double: 1 } }
        }
        metrics {
          name: "http_requests_total"
          sum {
            aggregation_temporality: AGGREGATION_TEMPORALITY_CUMULATIVE
            is_monotonic: true
            data_points {
              attributes { key: "code" value { string_value: "200" } }
              time_unix_nano: 1700000000000000000
              as_double: 17
            }
            data_points {
              attributes { key: "code" value { string_value: "200" } }
              time_unix_nano: 1700000001000000000
              as_double: 18
            }
          }
        }
      }
    }
    """
    assert message == text_format.Parse(expected, ExportMetricsServiceRequest())


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        ("api", {"service.name": "api"}),
        ("shop/api", {"service.name": "api", "service.namespace": "shop"}),
        ("a/b/c", {"service.name": "a/b/c"}),
        ("/api", {"service.name": "/api"}),
        ("api/", {"service.name": "api/"}),
    ],
)
def test_a_job_is_the_service_with_its_namespace(job: str, expected: dict[str, str]) -> None:
    request = V1()
    request.add({"__name__": "up", "job": job}, (1.0, T))

    _, message = converted(request)

    assert attributes(message.resource_metrics[0].resource.attributes) == expected


def test_labels_of_the_scope_become_the_scope() -> None:
    request = V1()
    scope = {"otel_scope_name": "http", "otel_scope_version": "2", "otel_scope_schema_url": "https://s/1"}
    request.add({"__name__": "up", **scope, "otel_scope_animal": "bear", "zone": "a"}, (1.0, T))

    _, message = converted(request)

    (found,) = message.resource_metrics[0].scope_metrics
    assert (found.scope.name, found.scope.version, found.schema_url) == ("http", "2", "https://s/1")
    assert attributes(found.scope.attributes) == {"animal": "bear"}
    assert attributes(found.metrics[0].gauge.data_points[0].attributes) == {"zone": "a"}


@pytest.mark.parametrize(
    ("name", "kind", "field", "monotonic"),
    [
        ("x", FamilyType.COUNTER, "sum", True),
        ("x_total", FamilyType.GAUGE, "gauge", None),
        ("x_total", FamilyType.UNSPECIFIED, "sum", True),
        ("x_count", FamilyType.UNSPECIFIED, "sum", True),
        ("x_sum", FamilyType.UNSPECIFIED, "sum", True),
        ("x_bucket", FamilyType.UNSPECIFIED, "sum", True),
        ("x", FamilyType.UNSPECIFIED, "gauge", None),
        ("x_count", FamilyType.SUMMARY, "sum", True),
        ("x_sum", FamilyType.SUMMARY, "sum", True),
        ("x", FamilyType.SUMMARY, "gauge", None),
        ("x_bucket", FamilyType.HISTOGRAM, "sum", True),
        ("x_bucket", FamilyType.GAUGEHISTOGRAM, "gauge", None),
        ("x_info", FamilyType.INFO, "sum", False),
        ("x", FamilyType.STATESET, "sum", False),
    ],
)
def test_the_type_of_numbers_is_that_of_the_metadata_else_of_the_name(
    name: str, kind: FamilyType, field: str, monotonic: bool | None
) -> None:
    request = V2()
    request.add({"__name__": name}, (1.0, T), kind=kind)

    metric = only_metric(converted(request)[1])

    assert metric.WhichOneof("data") == field
    if monotonic is not None:
        assert (metric.sum.is_monotonic, metric.sum.aggregation_temporality) == (monotonic, 2)
    known = {} if kind is FamilyType.UNSPECIFIED else {"prometheus.type": kind.name.lower()}
    assert attributes(metric.metadata) == known


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("seconds", "s"), ("bytes", "By"), ("ratio", "1"), ("bytes_per_second", "By/s"), ("cakes", "cakes")],
)
def test_unit_and_help_come_from_the_metadata(unit: str, expected: str) -> None:
    request = V2()
    request.add({"__name__": "x"}, (1.0, T), kind=FamilyType.GAUGE, unit=unit, description="How much.")

    metric = only_metric(converted(request)[1])

    assert (metric.unit, metric.description) == (expected, "How much.")


def test_metadata_of_version_1_changes_nothing_so_that_a_series_stays_one() -> None:
    request, described = V1(), V1()
    for one in (request, described):
        one.add({"__name__": "x"}, (1.0, T))
    described.message.metadata.add(type="METRIC_TYPE_COUNTER", metric_family_name="x", unit="seconds")
    alone = V1()
    alone.message.metadata.add(type="METRIC_TYPE_COUNTER", metric_family_name="x")

    assert converted(described)[0].raw == converted(request)[0].raw
    assert converted(alone)[0].raw == b""


@pytest.mark.parametrize(
    ("start_ms", "created_ms", "expected"),
    [
        (T - 5000, 0, (T - 5000) * 1_000_000),
        (0, T - 7000, (T - 7000) * 1_000_000),
        (T - 5000, T - 7000, (T - 5000) * 1_000_000),
        (T, 0, T * 1_000_000),
        (0, 0, 0),
        (-1, 0, 1),
        (T + 1, 0, 0),
    ],
)
def test_counting_began_at_the_start_time_and_zero_is_unknown(
    start_ms: int, created_ms: int, expected: int
) -> None:
    request = V2()
    request.add({"__name__": "x"}, (1.0, T, start_ms), kind=FamilyType.COUNTER, created_ms=created_ms)

    (point,) = only_metric(converted(request)[1]).sum.data_points

    assert point.start_time_unix_nano == expected


def test_a_gauge_has_no_start_time() -> None:
    request = V2()
    request.add({"__name__": "x"}, (1.0, T, T - 1), kind=FamilyType.GAUGE)

    assert only_metric(converted(request)[1]).gauge.data_points[0].start_time_unix_nano == 0


def test_a_stale_marker_is_no_recorded_value_and_another_nan_is_a_value() -> None:
    request = V1()
    request.add({"__name__": "x"}, (STALE, T), (float("nan"), T + 1), (float("inf"), T + 2))

    end, nan, infinite = only_metric(converted(request)[1]).gauge.data_points

    assert (end.flags, end.WhichOneof("value")) == (1, None)
    assert (nan.flags, str(nan.as_double)) == (0, "nan")
    assert (infinite.flags, infinite.as_double) == (0, float("inf"))


@pytest.mark.parametrize(
    ("time_ms", "expected"), [(-5, 0), (0, 0), (1, 1_000_000), (2**63 - 1, 2**64 - 1), (-(2**63), 0)]
)
def test_a_time_that_otlp_cannot_say_becomes_the_nearest(time_ms: int, expected: int) -> None:
    request = V1()
    request.add({"__name__": "x"}, (1.0, time_ms))

    assert only_metric(converted(request)[1]).gauge.data_points[0].time_unix_nano == expected


def test_exemplars_keep_trace_and_labels_and_go_to_the_sample_that_includes_them() -> None:
    labels = {"__name__": "x_total"}
    pairs = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331", "user": "a"}
    request = V1()
    request.add(labels, (1.0, T), (2.0, T + 10))
    request.add(labels, exemplars=[(pairs, 0.5, T + 1), ({"trace_id": "short"}, 0.7, T + 99)])

    conversion, message = converted(request)

    first, second = only_metric(message).sum.data_points
    traced, untraced = second.exemplars
    assert not first.exemplars
    assert traced.trace_id.hex() == pairs["trace_id"]
    assert traced.span_id.hex() == pairs["span_id"]
    assert (traced.as_double, traced.time_unix_nano) == (0.5, (T + 1) * 1_000_000)
    assert attributes(traced.filtered_attributes) == {"user": "a"}
    assert (untraced.trace_id, attributes(untraced.filtered_attributes)) == (b"", {"trace_id": "short"})
    assert conversion.weights == [Elements(1), Elements(1, 0, 2)]


def test_an_exemplar_without_any_sample_is_lost_and_counted() -> None:
    request = V1()
    request.add({"__name__": "x"}, exemplars=[({}, 0.5, T)])

    conversion, _ = converted(request)

    assert (conversion.raw, conversion.sent) == (b"", Elements(exemplars=1))
    assert conversion.losses == {Loss.EXEMPLAR_WITHOUT_SAMPLE: Elements(exemplars=1)}


def test_order_of_labels_and_empty_values_do_not_make_another_series() -> None:
    request, shuffled = V1(), V1()
    request.add([("__name__", "x"), ("a", "1"), ("b", "2")], (1.0, T))
    shuffled.add([("b", "2"), ("c", ""), ("__name__", "x"), ("a", "1")], (1.0, T))

    assert converted(shuffled)[0].raw == converted(request)[0].raw


def test_pieces_of_a_series_in_one_request_are_one_series() -> None:
    request, cut = V1(), V1()
    request.add({"__name__": "x"}, (1.0, T), (2.0, T + 1))
    cut.add({"__name__": "x"}, (1.0, T))
    cut.add({"__name__": "x"}, (2.0, T + 1))

    assert converted(cut)[0].raw == converted(request)[0].raw


@pytest.mark.parametrize(
    ("labels", "loss"),
    [
        ([("a", "1")], Loss.METRIC_NAME_MISSING),
        ([], Loss.METRIC_NAME_MISSING),
        ([("__name__", "")], Loss.METRIC_NAME_MISSING),
        ([("__name__", "x"), ("", "1")], Loss.LABEL_NAME_EMPTY),
        ([("__name__", "x"), ("a", "1"), ("a", "1")], Loss.LABEL_REPEATED),
        ([("a", "2"), ("__name__", "x"), ("b", "2"), ("a", "1")], Loss.LABEL_REPEATED),
    ],
)
def test_a_series_with_wrong_labels_is_left_out_and_the_others_go_on(
    labels: list[tuple[str, str]], loss: Loss
) -> None:
    request = V1()
    request.add(labels, (1.0, T), (2.0, T + 1))
    request.add({"__name__": "good"}, (1.0, T))

    conversion, message = converted(request)

    assert only_metric(message).name == "good"
    assert conversion.losses == {loss: Elements(samples=2)}
    assert conversion.sent == Elements(samples=3)


def test_references_past_the_symbols_and_half_pairs_leave_the_series_out() -> None:
    request = V2()
    request.add({"__name__": "good"}, (1.0, T))
    request.add({"__name__": "past"}, (1.0, T)).labels_refs.extend([1, 99])
    request.add({"__name__": "half"}, (1.0, T)).labels_refs.append(1)
    request.add({"__name__": "help"}, (1.0, T)).metadata.help_ref = 99
    request.add({"__name__": "unit"}, (1.0, T)).metadata.unit_ref = 99

    conversion, message = converted(request)

    assert only_metric(message).name == "good"
    assert conversion.losses == {Loss.SYMBOL_UNKNOWN: Elements(samples=4)}


def test_version_2_wants_either_samples_or_histograms_in_a_series() -> None:
    request = V2()
    request.add({"__name__": "empty"})
    request.add({"__name__": "mixed"}, (1.0, T)).histograms.add(timestamp=T)

    conversion, _ = converted(request)

    assert conversion.losses == {
        Loss.SERIES_EMPTY: Elements(),
        Loss.SERIES_MIXED: Elements(samples=1, histograms=1),
    }


def test_an_empty_request_is_empty_and_one_of_the_other_version_is_refused() -> None:
    first, second = V1(), V2()
    first.add({"__name__": "x"}, (1.0, T))
    second.add({"__name__": "x"}, (1.0, T))

    assert converted(V1())[0].raw == b""
    assert convert_request(Version.V2, b"").raw == b""
    for version, raw in ((Version.V1, second.raw()), (Version.V2, first.raw())):
        with pytest.raises(Undecodable, match="holds nothing"):
            convert_request(version, raw)


@pytest.mark.parametrize("raw", [b"junk", b"\x0a\x05", b"\x2a\x03\x0a\x01\xff\xff"])
@pytest.mark.parametrize("version", list(Version))
def test_bytes_that_are_no_message_are_refused(version: Version, raw: bytes) -> None:
    with pytest.raises(Undecodable):
        convert_request(version, raw)


def test_symbols_that_do_not_begin_with_the_empty_string_are_refused() -> None:
    request = V2()
    request.message.symbols[0] = "x"

    with pytest.raises(Undecodable, match="first of the symbols"):
        converted(request)


def test_the_same_request_gives_the_same_bytes() -> None:
    """A request that is sent again must be recognised as one that the log has."""
    request = V2()
    for name in ("b", "a", "c_total"):
        request.add({"__name__": name, **TARGET, "z": "1", "k": "2"}, (1.0, T), kind=FamilyType.COUNTER)

    assert converted(request)[0].raw == converted(request)[0].raw
