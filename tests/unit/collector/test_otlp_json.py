"""OTLP/JSON becomes the bytes of its protobuf twin, or an error that names the place."""

import json
import math
import random
import time
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Exemplar, NumberDataPoint

from services.collector.errors import Undecodable
from services.collector.otlp_json import request_from_json
from tests.otlp_json_writer import otlp_json
from tests.otlp_requests import RequestMaker, rows_of

_SECOND_TEXT = "1544712660300000000"

# As the examples of the specification, one metric of each kind, with what they leave out.
_EVERY_KIND = {
    "resourceMetrics": [
        {
            "resource": {
                "attributes": [{"key": "service.name", "value": {"stringValue": "my.service"}}],
                "droppedAttributesCount": 2,
                "entityRefs": [{"type": "service", "idKeys": ["service.name"]}],
            },
            "schemaUrl": "https://example.test/1",
            "scopeMetrics": [
                {
                    "scope": {
                        "name": "my.library",
                        "version": "1.0.0",
                        "attributes": [
                            {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {}]}}},
                            {
                                "key": "map",
                                "value": {
                                    "kvlistValue": {"values": [{"key": "b", "value": {"boolValue": False}}]}
                                },
                            },
                            {"key": "bytes", "value": {"bytesValue": "AP8="}},
                            {"key": "empty", "value": {"arrayValue": {}}},
                            {"key": "nan", "value": {"doubleValue": "NaN"}},
                        ],
                    },
                    "schemaUrl": "https://example.test/2",
                    "metrics": [
                        {
                            "name": "my.counter",
                            "unit": "1",
                            "description": "I am a Counter",
                            "sum": {
                                "aggregationTemporality": 1,
                                "isMonotonic": True,
                                "dataPoints": [
                                    {
                                        "asDouble": 5,
                                        "startTimeUnixNano": "1544712660300000000",
                                        "timeUnixNano": 1544712660300000001,
                                        "attributes": [{"key": "k", "value": {"stringValue": "ключ"}}],
                                        "exemplars": [
                                            {
                                                "asInt": "-3",
                                                "timeUnixNano": _SECOND_TEXT,
                                                "traceId": "5B8EFFF798038103D269B633813FC60C",
                                                "spanId": "eee19b7ec3c1b174",
                                                "filteredAttributes": [
                                                    {"key": "x", "value": {"intValue": 9007199254740993}}
                                                ],
                                            }
                                        ],
                                    }
                                ],
                            },
                            "metadata": [{"key": "m", "value": {"boolValue": True}}],
                        },
                        {
                            "name": "my.gauge",
                            "gauge": {
                                "dataPoints": [{"asDouble": "-Infinity", "timeUnixNano": _SECOND_TEXT}]
                            },
                        },
                        {
                            "name": "my.histogram",
                            "histogram": {
                                "aggregationTemporality": 2,
                                "dataPoints": [
                                    {
                                        "timeUnixNano": _SECOND_TEXT,
                                        "count": 2,
                                        "sum": 0,
                                        "bucketCounts": ["1", 1],
                                        "explicitBounds": [1],
                                        "min": 0,
                                        "flags": 1,
                                    }
                                ],
                            },
                        },
                        {
                            "name": "my.exponential",
                            "exponentialHistogram": {
                                "aggregationTemporality": 1,
                                "dataPoints": [
                                    {
                                        "timeUnixNano": _SECOND_TEXT,
                                        "count": "3",
                                        "scale": -1,
                                        "zeroCount": "1",
                                        "zeroThreshold": 1e-9,
                                        "positive": {"offset": -2, "bucketCounts": [0, "2"]},
                                        "negative": {},
                                    }
                                ],
                            },
                        },
                        {
                            "name": "my.summary",
                            "summary": {
                                "dataPoints": [
                                    {
                                        "timeUnixNano": _SECOND_TEXT,
                                        "count": "4",
                                        "sum": 1.5,
                                        "quantileValues": [{"quantile": 0.5, "value": 3}],
                                    }
                                ]
                            },
                        },
                        {"name": "no.data"},
                    ],
                }
            ],
        }
    ]
}


def _every_kind() -> ExportMetricsServiceRequest:
    """The same, written down once more as protobuf."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add(schema_url="https://example.test/1")
    resource.resource.attributes.add(key="service.name").value.string_value = "my.service"
    resource.resource.dropped_attributes_count = 2
    resource.resource.entity_refs.add(type="service", id_keys=["service.name"])
    scope = resource.scope_metrics.add(schema_url="https://example.test/2")
    scope.scope.name, scope.scope.version = "my.library", "1.0.0"
    values = scope.scope.attributes.add(key="list").value.array_value.values
    values.add(int_value=1)
    values.add()
    scope.scope.attributes.add(key="map").value.kvlist_value.values.add(key="b").value.bool_value = False
    scope.scope.attributes.add(key="bytes").value.bytes_value = b"\x00\xff"
    scope.scope.attributes.add(key="empty").value.array_value.SetInParent()
    scope.scope.attributes.add(key="nan").value.double_value = math.nan
    moment = int(_SECOND_TEXT)
    counter = scope.metrics.add(name="my.counter", unit="1", description="I am a Counter")
    counter.sum.aggregation_temporality, counter.sum.is_monotonic = 1, True
    point = counter.sum.data_points.add(as_double=5, start_time_unix_nano=moment, time_unix_nano=moment + 1)
    point.attributes.add(key="k").value.string_value = "ключ"
    exemplar = point.exemplars.add(as_int=-3, time_unix_nano=moment)
    exemplar.trace_id = bytes.fromhex("5b8efff798038103d269b633813fc60c")
    exemplar.span_id = bytes.fromhex("eee19b7ec3c1b174")
    exemplar.filtered_attributes.add(key="x").value.int_value = 9007199254740993
    counter.metadata.add(key="m").value.bool_value = True
    gauge = scope.metrics.add(name="my.gauge").gauge
    gauge.data_points.add(as_double=-math.inf, time_unix_nano=moment)
    histogram = scope.metrics.add(name="my.histogram").histogram
    histogram.aggregation_temporality = 2
    histogram.data_points.add(
        time_unix_nano=moment, count=2, sum=0, bucket_counts=[1, 1], explicit_bounds=[1], min=0, flags=1
    )
    exponential = scope.metrics.add(name="my.exponential").exponential_histogram
    exponential.aggregation_temporality = 1
    buckets = exponential.data_points.add(
        time_unix_nano=moment, count=3, scale=-1, zero_count=1, zero_threshold=1e-9
    )
    buckets.positive.offset = -2
    buckets.positive.bucket_counts.extend([0, 2])
    buckets.negative.SetInParent()
    summary = scope.metrics.add(name="my.summary").summary.data_points.add(
        time_unix_nano=moment, count=4, sum=1.5
    )
    summary.quantile_values.add(quantile=0.5, value=3)
    scope.metrics.add(name="no.data")
    return request


def converted(document: Any) -> ExportMetricsServiceRequest:
    """The message that a document becomes."""
    return ExportMetricsServiceRequest.FromString(request_from_json(json.dumps(document).encode()))


def with_point(**members: Any) -> dict[str, Any]:
    """A request of one gauge point."""
    return with_metric(gauge={"dataPoints": [members]})


def with_metric(**members: Any) -> dict[str, Any]:
    """A request of one metric."""
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [members]}]}]}


def point_of(document: Any) -> NumberDataPoint:
    """The one point of a converted request."""
    return converted(document).resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]


def exemplar_of(**members: Any) -> Exemplar:
    """The one exemplar of a converted request."""
    return point_of(with_point(exemplars=[members])).exemplars[0]


def refused(document: Any) -> tuple[str, str]:
    """The path and the text of the error."""
    with pytest.raises(Undecodable) as caught:
        request_from_json(document if isinstance(document, bytes) else json.dumps(document).encode())
    assert caught.value.reason == "OTLP_JSON_UNDECODABLE"
    (violation,) = caught.value.violations
    return violation.field, violation.reason


def test_every_kind_gives_the_bytes_of_its_protobuf_twin() -> None:
    twin = _every_kind().SerializeToString(deterministic=True)
    raw = request_from_json(json.dumps(_EVERY_KIND).encode())

    assert raw == twin
    assert rows_of("acme", raw).points == 5


@pytest.mark.parametrize("seed", range(60))
def test_random_requests_give_their_own_bytes_however_they_are_written(seed: int) -> None:
    request = RequestMaker(seed, now_ns=time.time_ns()).request()
    expected = request.SerializeToString(deterministic=True)

    assert request_from_json(otlp_json(request)) == expected
    assert request_from_json(otlp_json(request, random.Random(seed))) == expected


def test_an_empty_object_is_an_empty_request() -> None:
    assert request_from_json(b" {} ") == b""
    assert request_from_json(b'{"resourceMetrics": []}') == b""
    assert request_from_json(b'{"resourceMetrics": null}') == b""


def test_unknown_names_are_ignored_and_so_is_snake_case() -> None:
    point = point_of(
        with_point(asInt=1, as_double=2, time_unix_nano=3, traceId=4, nested={"asInt": "x", "more": [None]})
    )

    assert point == NumberDataPoint(as_int=1)


@pytest.mark.parametrize(
    "value", [2**63 - 1, str(2**63 - 1), -(2**63), str(-(2**63)), 0, "0", "-0", 1.0, 1e3]
)
def test_64_bit_integers_are_numbers_or_text(value: Any) -> None:
    assert point_of(with_point(asInt=value)).as_int == int(value)
    assert point_of(with_point(asInt=value)).WhichOneof("value") == "as_int"


@pytest.mark.parametrize(
    "value", [2**63, str(2**63), -(2**63) - 1, 1.5, "1.5", "", " 1", "0x1", "1e3", 1e19, True, [], {}]
)
def test_what_is_no_64_bit_integer_is_refused(value: Any) -> None:
    path, text = refused(with_point(asInt=value))

    assert path == "$.resourceMetrics[0].scopeMetrics[0].metrics[0].gauge.dataPoints[0].asInt"
    assert "must be an integer from -9223372036854775808" in text


@pytest.mark.parametrize("value", [-1, "-1", 2**64])
def test_unsigned_integers_have_no_sign(value: Any) -> None:
    assert refused(with_point(timeUnixNano=value))[0].endswith("dataPoints[0].timeUnixNano")


def test_32_bit_integers_keep_their_range() -> None:
    assert point_of(with_point(flags=2**32 - 1)).flags == 2**32 - 1
    assert refused(with_point(flags=2**32))[0].endswith(".flags")
    scaled = with_metric(exponentialHistogram={"dataPoints": [{"scale": -(2**31) - 1}]})
    assert refused(scaled)[0].endswith("exponentialHistogram.dataPoints[0].scale")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1.0),
        ("1", 1.0),
        ("1.5e3", 1500.0),
        (1e300, 1e300),
        ("Infinity", math.inf),
        ("-Infinity", -math.inf),
    ],
)
def test_doubles_are_numbers_text_or_names(value: Any, expected: float) -> None:
    assert point_of(with_point(asDouble=value)).as_double == expected


def test_nan_has_a_name() -> None:
    assert math.isnan(point_of(with_point(asDouble="NaN")).as_double)


@pytest.mark.parametrize("value", ["nan", "inf", "+Infinity", "1_0", "", "x", True, 10**400, [], "9" * 500])
def test_what_is_no_double_is_refused(value: Any) -> None:
    assert refused(with_point(asDouble=value))[0].endswith(".asDouble")


@pytest.mark.parametrize("bare", [b"NaN", b"Infinity", b"-Infinity"])
def test_names_of_doubles_need_quotes(bare: bytes) -> None:
    document = json.dumps(with_point(asDouble=0.25)).encode().replace(b"0.25", bare)

    assert refused(document)[0] == "$"


def test_a_number_beyond_doubles_is_refused() -> None:
    document = json.dumps(with_point(asDouble=0.25)).encode().replace(b"0.25", b"1e999")

    assert refused(document)[0].endswith(".asDouble")


@pytest.mark.parametrize("value", ["AGGREGATION_TEMPORALITY_DELTA", "1", 1.0, True, 2**31])
def test_enums_are_integers_only(value: Any) -> None:
    document = with_metric(sum={"aggregationTemporality": value})

    path, text = refused(document)

    assert path == "$.resourceMetrics[0].scopeMetrics[0].metrics[0].sum.aggregationTemporality"
    assert "integer value of the enum" in text


def test_enum_values_that_nobody_knows_yet_pass() -> None:
    request = converted(with_metric(sum={"aggregationTemporality": 77}))

    assert request.resource_metrics[0].scope_metrics[0].metrics[0].sum.aggregation_temporality == 77


@pytest.mark.parametrize("text", ["5b8efff798038103d269b633813fc60c", "5B8EFFF798038103D269B633813FC60C"])
def test_ids_are_hexadecimal_in_either_case(text: str) -> None:
    assert exemplar_of(traceId=text).trace_id == bytes.fromhex(text)
    assert exemplar_of(spanId=text[:16], traceId="").span_id == bytes.fromhex(text[:16])


@pytest.mark.parametrize(
    "value", ["W47/95gDgQPSabYzgT/GDA==", "7uGbfsPBsXQ=", "abc", "zz", "0a 0b", "0 ", 12, "é9"]
)
def test_ids_are_not_base64(value: Any) -> None:
    path, text = refused(with_point(exemplars=[{"spanId": "00"}, {"traceId": value}]))

    assert path.endswith("dataPoints[0].exemplars[1].traceId")
    assert "hexadecimal" in text


@pytest.mark.parametrize(
    ("text", "expected"), [("AP8=", b"\x00\xff"), ("AP8", b"\x00\xff"), ("_-8=", b"\xff\xef"), ("", b"")]
)
def test_bytes_are_base64(text: str, expected: bytes) -> None:
    attributes = [{"key": "k", "value": {"bytesValue": text}}]

    assert point_of(with_point(attributes=attributes)).attributes[0].value.bytes_value == expected


@pytest.mark.parametrize("value", ["00ff!", "A", 1, "?", "ü"])
def test_what_is_no_base64_is_refused(value: Any) -> None:
    attributes = [{"key": "k", "value": {"bytesValue": value}}]

    assert refused(with_point(attributes=attributes))[0].endswith("attributes[0].value.bytesValue")


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ([], "$"),
        ("text", "$"),
        ({"resourceMetrics": {}}, "$.resourceMetrics"),
        ({"resourceMetrics": [[]]}, "$.resourceMetrics[0]"),
        ({"resourceMetrics": [None]}, "$.resourceMetrics[0]"),
        ({"resourceMetrics": [{"resource": []}]}, "$.resourceMetrics[0].resource"),
        ({"resourceMetrics": [{}, {"schemaUrl": 1}]}, "$.resourceMetrics[1].schemaUrl"),
        (with_metric(name=["x"]), "$.resourceMetrics[0].scopeMetrics[0].metrics[0].name"),
        (
            with_metric(sum={"isMonotonic": 1}),
            "$.resourceMetrics[0].scopeMetrics[0].metrics[0].sum.isMonotonic",
        ),
        (
            with_metric(histogram={"dataPoints": [{"bucketCounts": [1, "x"]}]}),
            "$.resourceMetrics[0].scopeMetrics[0].metrics[0].histogram.dataPoints[0].bucketCounts[1]",
        ),
        (
            with_metric(histogram={"dataPoints": [{"explicitBounds": 1}]}),
            "$.resourceMetrics[0].scopeMetrics[0].metrics[0].histogram.dataPoints[0].explicitBounds",
        ),
    ],
)
def test_a_wrong_shape_is_refused_where_it_stands(document: Any, path: str) -> None:
    assert refused(document)[0] == path


@pytest.mark.parametrize(
    ("members", "name"),
    [({"asInt": 1, "asDouble": 2}, "asDouble"), ({"asDouble": "NaN", "asInt": "1"}, "asInt")],
)
def test_two_values_for_one_point_are_refused(members: dict[str, Any], name: str) -> None:
    path, text = refused(with_point(**members))

    assert path.endswith(f"dataPoints[0].{name}")
    assert "only one of" in text


def test_a_null_beside_a_value_is_no_value() -> None:
    assert point_of(with_point(asInt=1, asDouble=None, exemplars=None)) == NumberDataPoint(as_int=1)


def test_half_a_surrogate_pair_is_no_text() -> None:
    assert refused(b'{"resourceMetrics":[{"schemaUrl":"\\ud800"}]}')[0] == "$.resourceMetrics[0].schemaUrl"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"{}x", b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"a":1,}', b"9" * 5000, b"[" * 100_000]
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert refused(body)[0] == "$"


def _nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"intValue": 1}
    for _ in range(levels):
        value = {"arrayValue": {"values": [value]}}
    return with_point(attributes=[{"key": "k", "value": value}])


def test_nesting_ends_where_protobuf_ends_it() -> None:
    """What is accepted can be read back: no document becomes bytes that the decoder refuses."""
    accepted = 0
    for levels in range(30, 60):
        try:
            raw = request_from_json(json.dumps(_nested(levels)).encode())
        except Undecodable:
            continue
        ExportMetricsServiceRequest.FromString(raw)
        accepted = levels
    assert 40 < accepted < 55
    assert "nested deeper" in refused(_nested(59))[1]
