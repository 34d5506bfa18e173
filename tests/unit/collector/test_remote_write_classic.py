"""Classic histograms: complete ones become one point with the same counts, others stay numbers."""

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from services.collector.decode import decode
from services.collector.remote_write_model import Elements, FamilyType
from services.collector.remote_write_otlp import convert_request
from services.collector.remote_write_read import Version
from services.collector.validate import AcceptLimits, validate
from tests.remote_write_requests import STALE, TARGET, V1, V2, classic

T = 1_700_000_000_000
BOUNDS = (0.1, 0.5, 1.0)

Row = tuple[dict[str, str], float, int]


def metrics_of(rows: list[Row]) -> dict[str, Metric]:
    request = V1()
    for labels, value, time_ms in rows:
        request.add(labels, (value, time_ms))
    message = ExportMetricsServiceRequest.FromString(convert_request(Version.V1, request.raw()).raw)
    return {
        metric.name: metric
        for each in message.resource_metrics
        for scope in each.scope_metrics
        for metric in scope.metrics
    }


def test_buckets_count_and_sum_become_one_point() -> None:
    metrics = metrics_of(classic("lat", [3, 0, 4, 1], BOUNDS, T, total=2.25))

    assert list(metrics) == ["lat"]
    (point,) = metrics["lat"].histogram.data_points
    assert metrics["lat"].histogram.aggregation_temporality == 2
    assert list(point.explicit_bounds) == list(BOUNDS)
    assert list(point.bucket_counts) == [3, 0, 4, 1]
    assert (point.count, point.sum, point.time_unix_nano) == (8, 2.25, T * 1_000_000)
    assert (point.start_time_unix_nano, len(point.attributes)) == (0, 0)


def test_order_of_series_does_not_matter_and_histograms_are_kept_apart_by_labels_and_time() -> None:
    rows = classic("lat", [3, 0, 4, 1], BOUNDS, T) + classic("lat", [3, 1, 4, 1], BOUNDS, T + 15_000)
    rows += [({**labels, "zone": "b"}, value, time_ms) for labels, value, time_ms in rows]
    random.Random(3).shuffle(rows)

    points = metrics_of(rows)["lat"].histogram.data_points

    found = sorted((len(p.attributes), p.time_unix_nano, list(p.bucket_counts)) for p in points)
    times = (T * 1_000_000, (T + 15_000) * 1_000_000)
    assert found == [
        (zones, time_ns, counts)
        for zones in (0, 1)
        for time_ns, counts in zip(times, ([3, 0, 4, 1], [3, 1, 4, 1]), strict=True)
    ]


def test_without_a_sum_the_point_has_none() -> None:
    (point,) = metrics_of(classic("lat", [1, 2], [0.5], T)[:-1])["lat"].histogram.data_points

    assert (point.HasField("sum"), point.count) == (False, 3)


def test_one_bucket_is_a_histogram_too() -> None:
    (point,) = metrics_of(classic("lat", [5], [], T))["lat"].histogram.data_points

    assert (list(point.explicit_bounds), list(point.bucket_counts)) == ([], [5])


def changed(rows: list[Row], place: int, value: float) -> list[Row]:
    labels, _, time_ms = rows[place]
    return [*rows[:place], (labels, value, time_ms), *rows[place + 1 :]]


COMPLETE = classic("lat", [3, 0, 4, 1], BOUNDS, T)
INCOMPLETE = {
    "no +Inf": COMPLETE[:3] + COMPLETE[4:],
    "no count": COMPLETE[:4] + COMPLETE[5:],
    "a bucket of another time": [*COMPLETE[:1], (COMPLETE[1][0], 3.0, T + 1), *COMPLETE[2:]],
    "a bucket twice": [*COMPLETE, COMPLETE[1]],
    "one bound by two names": [*COMPLETE, ({**COMPLETE[2][0], "le": "1"}, 7.0, T)],
    "count differs": changed(COMPLETE, 4, 9.0),
    "buckets go down": changed(COMPLETE, 1, 2.0),
    "a fraction": changed(COMPLETE, 0, 2.5),
    "a negative count": changed(COMPLETE, 0, -1.0),
    "not a number": changed(COMPLETE, 0, math.nan),
    "infinite": [*changed(changed(COMPLETE, 3, math.inf), 4, math.inf)],
    "one stale": changed(COMPLETE, 0, STALE),
    "sum alone stale": changed(COMPLETE, 5, STALE),
}


@pytest.mark.parametrize("case", INCOMPLETE)
def test_what_is_not_complete_stays_numbers_and_nothing_is_lost(case: str) -> None:
    rows = INCOMPLETE[case]
    metrics = metrics_of(rows)

    assert "lat" not in metrics
    found = [point for metric in metrics.values() for point in metric.sum.data_points]
    assert len(found) == len(rows)
    assert all(metric.sum.is_monotonic for metric in metrics.values())


def test_a_histogram_with_fewer_bounds_than_its_siblings_is_not_complete() -> None:
    """As when Prometheus sends through several shards: each request has some of the buckets."""
    sibling = [({**labels, "path": "/b"}, value, time_ms) for labels, value, time_ms in COMPLETE]
    elsewhere = [({**labels, "instance": "b"}, value, time_ms) for labels, value, time_ms in COMPLETE]

    metrics = metrics_of([*COMPLETE, *sibling[1:]])

    assert len(metrics["lat_bucket"].sum.data_points) == 3
    assert [len(p.explicit_bounds) for p in metrics["lat"].histogram.data_points] == [3]
    assert len(metrics_of([*COMPLETE, *sibling])["lat"].histogram.data_points) == 2
    assert "lat_bucket" not in metrics_of([*COMPLETE, *elsewhere[1:]]), "another target may differ"


@pytest.mark.parametrize("bound", ["nan", "-Inf", "high", ""])
def test_a_bound_that_bounds_nothing_stays_a_number_beside_its_histogram(bound: str) -> None:
    odd = ({**COMPLETE[0][0], "le": bound}, 3.0, T)
    metrics = metrics_of([*COMPLETE, odd])

    assert set(metrics) == {"lat", "lat_bucket"}
    assert len(metrics["lat_bucket"].sum.data_points) == 1


def test_a_histogram_that_ends_is_one_point_without_a_value() -> None:
    (point,) = metrics_of([(labels, STALE, T) for labels, _, _ in COMPLETE])["lat"].histogram.data_points

    assert (point.flags, point.count, list(point.bucket_counts)) == (1, 0, [])


@pytest.mark.parametrize(
    "kind", [FamilyType.GAUGEHISTOGRAM, FamilyType.SUMMARY, FamilyType.COUNTER, FamilyType.GAUGE]
)
def test_what_says_that_it_is_no_histogram_is_none(kind: FamilyType) -> None:
    request = V2()
    for labels, value, time_ms in COMPLETE:
        request.add(labels, (value, time_ms), kind=kind)

    message = ExportMetricsServiceRequest.FromString(convert_request(Version.V2, request.raw()).raw)

    names = {metric.name for metric in message.resource_metrics[0].scope_metrics[0].metrics}
    assert names == {"lat_bucket", "lat_count", "lat_sum"}


def test_start_unit_help_type_and_exemplars_come_with_it() -> None:
    request = V2()
    for labels, value, time_ms in COMPLETE:
        exemplars = [({"user": labels["le"]}, 0.3, T - 5)] if "le" in labels else []
        request.add(
            labels,
            (value, time_ms, T - 60_000),
            kind=FamilyType.HISTOGRAM,
            unit="seconds",
            description="Latency.",
            exemplars=exemplars,
        )

    conversion = convert_request(Version.V2, request.raw())

    message = ExportMetricsServiceRequest.FromString(conversion.raw)
    (metric,) = message.resource_metrics[0].scope_metrics[0].metrics
    (point,) = metric.histogram.data_points
    assert (metric.unit, metric.description, len(metric.metadata)) == ("s", "Latency.", 1)
    assert point.start_time_unix_nano == (T - 60_000) * 1_000_000
    users = [exemplar.filtered_attributes[0].value.string_value for exemplar in point.exemplars]
    assert users == ["0.1", "0.5", "1.0", "+Inf"]
    assert conversion.weights == [Elements(samples=6, exemplars=4)]


@st.composite
def histograms(draw: st.DrawFn) -> tuple[list[float], list[int]]:
    bounds = sorted(draw(st.sets(st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: x + 0.0), max_size=12)))
    # Floats hold integers up to 2**53, and counts travel as floats.
    counts = draw(st.lists(st.integers(0, 2**48), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    return bounds, counts


@settings(deadline=None)
@given(histograms(), st.randoms(use_true_random=False), st.integers(0, 14))
def test_counts_are_preserved_whatever_the_order_and_whatever_is_missing(
    histogram: tuple[list[float], list[int]], rng: random.Random, missing: int
) -> None:
    bounds, counts = histogram
    rows = classic("lat", counts, bounds, T)
    rng.shuffle(rows)
    lost = rows[missing:][:1]
    request = V1()
    for labels, value, time_ms in rows[:missing] + rows[missing + 1 :]:
        request.add(labels, (value, time_ms))

    conversion = convert_request(Version.V1, request.raw())

    decoded = decode(conversion.raw)
    verdict = validate(decoded, now_ns=T * 1_000_000, limits=AcceptLimits())
    assert (verdict.rejected_count, conversion.losses) == (0, {})
    assert sum(weight.samples for weight in conversion.weights) == len(rows) - len(lost)
    message = ExportMetricsServiceRequest.FromString(conversion.raw)
    metrics = {m.name: m for each in message.resource_metrics for m in each.scope_metrics[0].metrics}
    if not lost or lost[0][0]["__name__"] == "lat_sum":
        (point,) = metrics["lat"].histogram.data_points
        assert (list(point.explicit_bounds), list(point.bucket_counts)) == (bounds, counts)
        assert point.count == sum(counts)
    elif "lat" in metrics:
        # A bucket that is missing is part of the next one.
        (point,) = metrics["lat"].histogram.data_points
        gone = bounds.index(float(lost[0][0]["le"]))
        merged = [*counts[:gone], counts[gone] + counts[gone + 1], *counts[gone + 2 :]]
        assert (list(point.bucket_counts), point.count) == (merged, sum(counts))
    else:
        running = dict(zip([*bounds, math.inf], itertools.accumulate(counts), strict=True))
        for point in metrics["lat_bucket"].sum.data_points if "lat_bucket" in metrics else ():
            assert point.as_double == running[float(point.attributes[0].value.string_value)]


def test_labels_of_the_target_are_part_of_what_keeps_histograms_apart() -> None:
    other = [({**labels, "instance": "b"}, value, time_ms) for labels, value, time_ms in COMPLETE]

    assert TARGET["instance"] != "b"
    assert "lat" not in metrics_of(COMPLETE[:4] + other[4:])
