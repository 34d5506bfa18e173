"""Which points are refused, and why."""

import math
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from services.collector.decode import decode
from services.collector.validate import AcceptLimits, Verdict, unpack_bitmap, validate
from tests.otlp_requests import RequestMaker

_NOW = 1_800_000_000_000_000_000
_DAY = 86_400 * 10**9


def verdict(kind: str, *points: dict[str, Any], temporality: int = 2) -> Verdict:
    """The verdict on a request with these points of one metric."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="m")
    data = getattr(metric, kind)
    if hasattr(data, "aggregation_temporality"):
        data.aggregation_temporality = temporality
    data.SetInParent()
    for point in points:
        data.data_points.add(**({"time_unix_nano": _NOW} | point))
    return validate(decode(request.SerializeToString()), now_ns=_NOW, limits=AcceptLimits())


@pytest.mark.parametrize(
    ("time_ns", "reason"),
    [
        (0, "POINT_TIME_MISSING"),
        (_NOW - 7 * _DAY, None),
        (_NOW - 7 * _DAY - 1, "POINT_TOO_OLD"),
        (_NOW + 600 * 10**9, None),
        (_NOW + 600 * 10**9 + 1, "POINT_TOO_NEW"),
        (2**64 - 1, "POINT_TOO_NEW"),
    ],
)
def test_times(time_ns: int, reason: str | None) -> None:
    found = verdict("gauge", {"time_unix_nano": time_ns, "as_int": 1})

    assert found.reasons == ({} if reason is None else {reason: 1})


@pytest.mark.parametrize(
    ("kind", "point", "reason"),
    [
        ("gauge", {}, "POINT_WITHOUT_VALUE"),
        ("gauge", {"flags": 1}, None),
        ("gauge", {"as_double": math.nan}, None),
        ("sum", {"as_int": 0}, None),
        ("histogram", {"count": 4}, None),
        ("histogram", {"count": 4, "bucket_counts": [4]}, None),
        ("histogram", {"count": 4, "bucket_counts": [1, 3], "explicit_bounds": [0.5]}, None),
        (
            "histogram",
            {"count": 4, "bucket_counts": [4], "explicit_bounds": [1.0]},
            "HISTOGRAM_BUCKETS_MISMATCH",
        ),
        ("histogram", {"count": 4, "explicit_bounds": [1.0]}, "HISTOGRAM_BUCKETS_MISMATCH"),
        ("histogram", {"count": 4, "explicit_bounds": [1.0], "flags": 1}, None),
        (
            "histogram",
            {"count": 3, "bucket_counts": [1, 1, 1], "explicit_bounds": [1.0, 1.0]},
            "HISTOGRAM_BOUNDS_UNSORTED",
        ),
        (
            "histogram",
            {"count": 2, "bucket_counts": [1, 1], "explicit_bounds": [math.nan]},
            "HISTOGRAM_BOUNDS_UNSORTED",
        ),
        ("histogram", {"count": 3, "bucket_counts": [4]}, "HISTOGRAM_COUNT_MISMATCH"),
        # 2**64 more than the count: equal only modulo 2**64.
        (
            "histogram",
            {"count": 1, "bucket_counts": [2**63, 2**63, 1], "explicit_bounds": [0.0, 1.0]},
            "HISTOGRAM_COUNT_MISMATCH",
        ),
        (
            "histogram",
            {"count": 2**64 - 1, "bucket_counts": [2**63, 2**63 - 1], "explicit_bounds": [0.0]},
            None,
        ),
        ("exponential_histogram", {"count": 3, "zero_count": 3}, None),
        ("exponential_histogram", {"count": 4, "zero_count": 3}, "EXP_HISTOGRAM_COUNT_MISMATCH"),
        (
            "exponential_histogram",
            {
                "count": 3,
                "zero_count": 1,
                "positive": {"bucket_counts": [1]},
                "negative": {"bucket_counts": [1]},
            },
            None,
        ),
        ("exponential_histogram", {"count": 1, "positive": {"offset": 1023, "bucket_counts": [1]}}, None),
        (
            "exponential_histogram",
            {"count": 1, "positive": {"offset": 1024, "bucket_counts": [1]}},
            "EXP_HISTOGRAM_OUT_OF_RANGE",
        ),
        (
            "exponential_histogram",
            {"count": 1, "negative": {"offset": -1077, "bucket_counts": [1]}},
            "EXP_HISTOGRAM_OUT_OF_RANGE",
        ),
        ("exponential_histogram", {"count": 1, "scale": -(2**31), "positive": {"bucket_counts": [1]}}, None),
        (
            "exponential_histogram",
            {"count": 1, "scale": -20, "positive": {"offset": 5, "bucket_counts": [1]}},
            "EXP_HISTOGRAM_OUT_OF_RANGE",
        ),
        ("summary", {"count": 1, "quantile_values": [{"quantile": 1.0, "value": 1}]}, None),
        ("summary", {"count": 1, "quantile_values": [{"quantile": 1.1}]}, "SUMMARY_QUANTILE_OUT_OF_RANGE"),
        (
            "summary",
            {"count": 1, "quantile_values": [{"quantile": math.nan}]},
            "SUMMARY_QUANTILE_OUT_OF_RANGE",
        ),
    ],
)
def test_values(kind: str, point: dict[str, Any], reason: str | None) -> None:
    good = {"as_int": 1} if kind in ("gauge", "sum") else {}
    found = verdict(kind, good, point, good)

    assert found.reasons == ({} if reason is None else {reason: 1})
    assert found.rejected.tolist() == [False, reason is not None, False]


@pytest.mark.parametrize(("temporality", "refused"), [(0, 0), (1, 0), (2, 0), (3, 2), (-1, 2)])
def test_a_temporality_that_otlp_does_not_know(temporality: int, refused: int) -> None:
    found = verdict("sum", {"as_int": 1}, {"as_int": 1}, temporality=temporality)

    assert found.reasons == ({"TEMPORALITY_UNKNOWN": 2} if refused else {})


def test_a_point_is_refused_once_for_its_first_reason() -> None:
    found = verdict("gauge", {"time_unix_nano": 0}, {"time_unix_nano": 1})

    assert found.reasons == {"POINT_TIME_MISSING": 1, "POINT_TOO_OLD": 1}
    assert found.rejected_count == 2


def test_random_requests_are_accepted() -> None:
    for seed in range(30):
        raw = RequestMaker(seed, now_ns=_NOW).request(30).SerializeToString()
        assert validate(decode(raw), now_ns=_NOW, limits=AcceptLimits()).reasons == {}


@pytest.mark.parametrize("points", [1, 7, 8, 9, 100])
def test_the_bitmap_comes_back(points: int) -> None:
    rejected = np.arange(points) % 3 == 0

    assert unpack_bitmap(Verdict(rejected, {}).bitmap(), points).tolist() == rejected.tolist()
    assert Verdict(rejected & False, {}).bitmap() == b""
    assert unpack_bitmap(b"", points).tolist() == [False] * points
