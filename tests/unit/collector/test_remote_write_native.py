"""Native histograms: the same buckets under OTLP's indices, exactly or not at all."""

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.decode import decode
from services.collector.errors import RequestTooLarge
from services.collector.remote_write_model import Elements, FamilyType, Loss
from services.collector.remote_write_otlp import Conversion, convert_request
from services.collector.remote_write_read import Version
from services.collector.validate import AcceptLimits, validate
from tests.remote_write_requests import STALE, TARGET, V1, V2, add_native

T = 1_700_000_000_000


def converted(version: Version, **fields: Any) -> tuple[Conversion, Any]:
    """The metric that one histogram becomes; None when it is lost."""
    request = V1() if version is Version.V1 else V2()
    series = request.add({"__name__": "lat", **TARGET})
    add_native(series, T, **fields)
    conversion = convert_request(version, request.raw())
    message = ExportMetricsServiceRequest.FromString(conversion.raw)
    if not message.resource_metrics:
        return conversion, None
    verdict = validate(decode(conversion.raw), now_ns=T * 1_000_000, limits=AcceptLimits())
    assert verdict.reasons == {}
    return conversion, message.resource_metrics[0].scope_metrics[0].metrics[0]


@pytest.mark.parametrize("version", list(Version))
def test_buckets_keep_their_counts_under_an_index_that_is_one_lower(version: Version) -> None:
    conversion, metric = converted(
        version,
        schema=3,
        count_int=19,
        sum=18.4,
        zero_threshold=0.001,
        zero_count_int=2,
        positive_spans=[(-2, 2), (3, 1)],
        positive_deltas=[1, 2, 4],
        negative_spans=[(5, 2)],
        negative_deltas=[2, 2],
    )

    assert metric.exponential_histogram.aggregation_temporality == 2
    (point,) = metric.exponential_histogram.data_points
    assert (point.scale, point.count, point.sum) == (3, 19, 18.4)
    assert (point.zero_count, point.zero_threshold) == (2, 0.001)
    assert (point.positive.offset, list(point.positive.bucket_counts)) == (-3, [1, 3, 0, 0, 0, 7])
    assert (point.negative.offset, list(point.negative.bucket_counts)) == (4, [2, 4])
    assert conversion.weights == [Elements(histograms=1)]


@pytest.mark.parametrize("schema", [-4, -1, 0, 3, 8])
def test_a_value_falls_into_the_same_bucket_in_both_worlds(schema: int) -> None:
    """Prometheus: base**(i-1) < v <= base**i. OTLP: base**i < v <= base**(i+1)."""
    base = 2.0 ** (2.0**-schema)
    for value in (0.003, 0.7, 1.0, 1.5, 4096.0):
        index = math.ceil(math.log2(value) * 2.0**schema)
        _, metric = converted(
            Version.V1, schema=schema, count_int=1, positive_spans=[(index, 1)], positive_deltas=[1]
        )
        (point,) = metric.exponential_histogram.data_points
        lower, upper = base**point.positive.offset, base ** (point.positive.offset + 1)
        assert lower * (1 - 1e-12) < value <= upper * (1 + 1e-12)


def test_float_histograms_with_whole_counts_are_taken() -> None:
    _, metric = converted(
        Version.V1,
        count_float=6.0,
        zero_count_float=1.0,
        positive_spans=[(1, 2)],
        positive_counts=[2.0, 3.0],
    )

    (point,) = metric.exponential_histogram.data_points
    assert (point.count, point.zero_count, list(point.positive.bucket_counts)) == (6, 1, [2, 3])


def test_start_unit_and_exemplars_come_with_it() -> None:
    request = V2()
    series = request.add(
        {"__name__": "lat"}, kind=FamilyType.HISTOGRAM, unit="seconds", exemplars=[({"a": "b"}, 0.5, T)]
    )
    add_native(series, T, count_int=0, start_timestamp=T - 1000)

    conversion = convert_request(Version.V2, request.raw())

    metric = (
        ExportMetricsServiceRequest.FromString(conversion.raw).resource_metrics[0].scope_metrics[0].metrics[0]
    )
    (point,) = metric.exponential_histogram.data_points
    assert (metric.unit, point.start_time_unix_nano) == ("s", (T - 1000) * 1_000_000)
    assert len(point.exemplars) == 1
    assert conversion.weights == [Elements(histograms=1, exemplars=1)]


def test_custom_buckets_become_an_explicit_histogram() -> None:
    _, metric = converted(
        Version.V2,
        schema=-53,
        count_int=9,
        sum=3.5,
        custom_values=[0.1, 0.5, 1.0],
        positive_spans=[(0, 1), (1, 2)],
        positive_deltas=[3, -1, 2],
    )

    (point,) = metric.histogram.data_points
    assert list(point.explicit_bounds) == [0.1, 0.5, 1.0]
    assert (list(point.bucket_counts), point.count, point.sum) == ([3, 0, 2, 4], 9, 3.5)


def test_a_native_histogram_that_ends_has_no_recorded_value() -> None:
    _, metric = converted(Version.V1, sum=STALE)

    (point,) = metric.exponential_histogram.data_points
    assert (point.flags, point.count, point.HasField("sum")) == (1, 0, False)


LOST: dict[str, tuple[Loss, dict[str, Any]]] = {
    "schema too fine": (Loss.NATIVE_HISTOGRAM_SCHEMA, {"schema": 9}),
    "schema too coarse": (Loss.NATIVE_HISTOGRAM_SCHEMA, {"schema": -5}),
    "schema of the future": (Loss.NATIVE_HISTOGRAM_SCHEMA, {"schema": -54}),
    "gauge": (Loss.NATIVE_HISTOGRAM_GAUGE, {"reset_hint": 3}),
    "fraction in all": (Loss.NATIVE_HISTOGRAM_FRACTIONAL, {"count_float": 0.5}),
    "fraction in zero": (Loss.NATIVE_HISTOGRAM_FRACTIONAL, {"count_float": 1.0, "zero_count_float": 0.5}),
    "fraction in a bucket": (
        Loss.NATIVE_HISTOGRAM_FRACTIONAL,
        {"count_float": 1.0, "positive_spans": [(0, 1)], "positive_counts": [0.5]},
    ),
    "infinite": (Loss.NATIVE_HISTOGRAM_INVALID, {"count_float": math.inf}),
    "not a number": (Loss.NATIVE_HISTOGRAM_INVALID, {"count_float": math.nan}),
    "negative bucket": (
        Loss.NATIVE_HISTOGRAM_INVALID,
        {"count_int": 1, "positive_spans": [(0, 2)], "positive_deltas": [1, -2]},
    ),
    "spans without counts": (Loss.NATIVE_HISTOGRAM_INVALID, {"positive_spans": [(0, 4_000_000_000)]}),
    "counts without spans": (Loss.NATIVE_HISTOGRAM_INVALID, {"positive_deltas": [1]}),
    "floats beside an integer count": (
        Loss.NATIVE_HISTOGRAM_INVALID,
        {"count_int": 1, "positive_spans": [(0, 1)], "positive_counts": [1.0]},
    ),
    "spans that go back": (
        Loss.NATIVE_HISTOGRAM_INVALID,
        {"count_int": 2, "positive_spans": [(0, 1), (-1, 1)], "positive_deltas": [1, 0]},
    ),
    "an index beyond all": (
        Loss.NATIVE_HISTOGRAM_INVALID,
        {
            "count_int": 1,
            "positive_spans": [(2**31 - 1, 0), (2**31 - 1, 1)],
            "positive_deltas": [1],
        },
    ),
    "more buckets than any client has": (
        Loss.NATIVE_HISTOGRAM_INVALID,
        {"count_int": 70_000, "positive_spans": [(0, 70_000)], "positive_deltas": [1] + [0] * 69_999},
    ),
    "more than 64 bits": (
        Loss.NATIVE_HISTOGRAM_INVALID,
        {"count_int": 1, "positive_spans": [(0, 3)], "positive_deltas": [2**63 - 1, 2**63 - 1, 2**63 - 1]},
    ),
    "custom with a zero bucket": (
        Loss.NATIVE_HISTOGRAM_INVALID,
        {"schema": -53, "count_int": 1, "zero_count_int": 1},
    ),
    "custom with negative buckets": (
        Loss.NATIVE_HISTOGRAM_INVALID,
        {"schema": -53, "count_int": 1, "negative_spans": [(0, 1)], "negative_deltas": [1]},
    ),
    "custom past the bounds": (
        Loss.NATIVE_HISTOGRAM_INVALID,
        {
            "schema": -53,
            "count_int": 1,
            "custom_values": [1.0],
            "positive_spans": [(2, 1)],
            "positive_deltas": [1],
        },
    ),
    "custom before the bounds": (
        Loss.NATIVE_HISTOGRAM_INVALID,
        {"schema": -53, "count_int": 1, "positive_spans": [(-1, 1)], "positive_deltas": [1]},
    ),
}


@pytest.mark.parametrize("case", LOST)
def test_what_otlp_cannot_say_is_lost_with_its_reason(case: str) -> None:
    loss, fields = LOST[case]
    conversion, metric = converted(Version.V1, **fields)

    assert metric is None
    assert (conversion.losses, conversion.weights) == ({loss: Elements(histograms=1)}, [])


def test_buckets_far_apart_are_merged_until_they_are_few_and_no_count_is_lost() -> None:
    """At schema 8, from 2**-1000 to 2**1000: half a million buckets that two counts stand for."""
    _, metric = converted(
        Version.V1,
        schema=8,
        count_int=12,
        positive_spans=[(-256_000, 1), (511_998, 1)],
        positive_deltas=[5, 2],
    )

    (point,) = metric.exponential_histogram.data_points
    assert len(point.positive.bucket_counts) <= 4096
    assert (sum(point.positive.bucket_counts), point.scale) == (12, 1)
    assert point.positive.offset / 2 < -1000 <= (point.positive.offset + 1) / 2


def test_gaps_of_all_histograms_together_have_a_cap() -> None:
    request = V1()
    series = request.add({"__name__": "lat"})
    for place in range(600):
        add_native(series, T + place, count_int=2, positive_spans=[(0, 1), (4000, 1)], positive_deltas=[1, 0])

    with pytest.raises(RequestTooLarge, match="too many buckets"):
        convert_request(Version.V1, request.raw())


@settings(deadline=None)
@given(
    st.integers(-4, 8),
    st.dictionaries(st.integers(-3000, 3000), st.integers(1, 2**40), max_size=30),
    st.dictionaries(st.integers(-3000, 3000), st.integers(1, 2**40), max_size=30),
    st.integers(0, 1000),
)
def test_every_count_arrives_under_its_index(
    schema: int, positive: dict[int, int], negative: dict[int, int], zero: int
) -> None:
    highest = 1000 * 2.0**schema
    positive = {index: count for index, count in positive.items() if abs(index) < highest}
    negative = {index: count for index, count in negative.items() if abs(index) < highest}
    fields: dict[str, Any] = {}
    for name, buckets in (("positive", positive), ("negative", negative)):
        places = sorted(buckets)
        gaps = [after - before - 1 for before, after in pairwise(places)]
        counts = [0, *(buckets[place] for place in places)]
        fields[f"{name}_spans"] = [(gap, 1) for gap in [*places[:1], *gaps]]
        fields[f"{name}_deltas"] = [after - before for before, after in pairwise(counts)]
    total = sum(positive.values()) + sum(negative.values()) + zero

    _, metric = converted(Version.V1, schema=schema, count_int=total, zero_count_int=zero, **fields)

    (point,) = metric.exponential_histogram.data_points
    shift = schema - point.scale
    for found, buckets in ((point.positive, positive), (point.negative, negative)):
        expected: dict[int, int] = {}
        for index, count in buckets.items():
            expected[(index - 1) >> shift] = expected.get((index - 1) >> shift, 0) + count
        dense = {found.offset + place: count for place, count in enumerate(found.bucket_counts) if count}
        assert dense == expected
