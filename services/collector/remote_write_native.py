"""Native histograms, as OTLP's exponential or explicit ones.

Prometheus' bucket i of schema s covers (base**(i - 1), base**i] and OTLP's bucket i of scale s
covers (base**i, base**(i + 1)], base = 2**(2**-s) in both: the same buckets under an index that is
one lower. Counts are kept exactly or not at all. Knows no labels and no transport.

Source: https://prometheus.io/docs/specs/native_histograms/ and OpenTelemetry's
specification/compatibility/prometheus_and_openmetrics.md
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, TypeAlias

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
)

from services.collector.errors import RequestTooLarge
from services.collector.remote_write_model import Loss
from services.common.errors import InvalidArgument

CUSTOM_BUCKETS = -53
SCHEMAS = range(-4, 9)

_RESET_HINT_GAUGE = 3
_MAX_WIDTH = 4096
"""Sparse buckets become dense ones; wider than this, neighbours are merged first."""
_MAX_BUCKETS = 1 << 16
"""Of one sign, as sent; clients keep to hundreds."""
_MAX_UINT64 = (1 << 64) - 1
_INT32 = range(-(1 << 31), 1 << 31)

_Indexed: TypeAlias = list[tuple[int, int]]


class Untranslatable(InvalidArgument):
    """A histogram that OTLP cannot say; `loss` is why."""

    def __init__(self, loss: Loss) -> None:
        super().__init__("OTLP cannot say this histogram", reason=loss.value)
        self.loss = loss


class BucketBudget:
    """How many buckets the histograms of one request may have together, once gaps are filled.

    A span of a few bytes can stand for thousands of empty buckets.
    """

    def __init__(self, buckets: int = 2_000_000) -> None:
        self._left = buckets

    def take(self, buckets: int) -> None:
        """Use up some.

        Raises:
            RequestTooLarge: there are not that many left.
        """
        self._left -= buckets
        if self._left < 0:
            raise RequestTooLarge(
                "the native histograms of the request have too many buckets once gaps are filled",
                next_step="send fewer samples per request",
            )


def is_custom(message: Any) -> bool:
    """Whether a histogram has bounds of its own, so that it becomes an explicit one."""
    return bool(message.schema == CUSTOM_BUCKETS)


def check_kind(message: Any) -> None:
    """Refuse what is no cumulative histogram of a known schema.

    Raises:
        Untranslatable.
    """
    if message.schema != CUSTOM_BUCKETS and message.schema not in SCHEMAS:
        raise Untranslatable(Loss.NATIVE_HISTOGRAM_SCHEMA)
    if message.reset_hint == _RESET_HINT_GAUGE:
        raise Untranslatable(Loss.NATIVE_HISTOGRAM_GAUGE)


def fill_exponential(point: ExponentialHistogramDataPoint, message: Any, budget: BucketBudget) -> None:
    """Set count, sum, scale and buckets of `point`.

    Raises:
        Untranslatable: counts are fractional, or spans and counts contradict each other.
        RequestTooLarge: `budget` is used up.
    """
    positive = _indexed(message.positive_spans, message.positive_deltas, message.positive_counts, message)
    negative = _indexed(message.negative_spans, message.negative_deltas, message.negative_counts, message)
    zero = message.zero_count_float if _is_float(message) else message.zero_count_int
    shift = 0
    while max(_width(positive, shift), _width(negative, shift)) > _MAX_WIDTH:
        shift += 1
    point.count = _total(message)
    point.sum = message.sum
    point.scale = message.schema - shift
    point.zero_count = _whole(zero)
    point.zero_threshold = message.zero_threshold
    for target, buckets in ((point.positive, positive), (point.negative, negative)):
        if buckets:
            budget.take(_width(buckets, shift))
            _fill_dense(target, buckets, shift)


def fill_explicit(point: HistogramDataPoint, message: Any) -> None:
    """Set count, sum, bounds and buckets of `point` from custom buckets.

    Raises:
        Untranslatable: counts are fractional, or spans, counts and bounds contradict each other.
    """
    zero = message.zero_count_float if _is_float(message) else message.zero_count_int
    if zero or message.negative_spans or message.negative_deltas or message.negative_counts:
        raise Untranslatable(Loss.NATIVE_HISTOGRAM_INVALID)
    counts = [0] * (len(message.custom_values) + 1)
    for index, count in _indexed(
        message.positive_spans, message.positive_deltas, message.positive_counts, message
    ):
        if not 0 <= index < len(counts):
            raise Untranslatable(Loss.NATIVE_HISTOGRAM_INVALID)
        counts[index] = count
    point.count = _total(message)
    point.sum = message.sum
    point.explicit_bounds.extend(message.custom_values)
    point.bucket_counts.extend(counts)


def _is_float(message: Any) -> bool:
    return bool(message.WhichOneof("count") == "count_float")


def _total(message: Any) -> int:
    return _whole(message.count_float if _is_float(message) else message.count_int)


def _whole(count: float) -> int:
    if not 0 <= count <= _MAX_UINT64:
        raise Untranslatable(Loss.NATIVE_HISTOGRAM_INVALID)
    if count != int(count):
        raise Untranslatable(Loss.NATIVE_HISTOGRAM_FRACTIONAL)
    return int(count)


def _indexed(spans: Sequence[Any], deltas: Sequence[int], floats: Sequence[float], message: Any) -> _Indexed:
    """The buckets that hold anything, by Prometheus' index, in order."""
    if max(len(deltas), len(floats)) > _MAX_BUCKETS:
        raise Untranslatable(Loss.NATIVE_HISTOGRAM_INVALID)
    given: Iterable[float] = floats if _is_float(message) else accumulate(deltas)
    counts = [_whole(count) for count in given]
    if sum(span.length for span in spans) != len(counts):
        raise Untranslatable(Loss.NATIVE_HISTOGRAM_INVALID)
    buckets: _Indexed = []
    index = place = 0
    for number, span in enumerate(spans):
        if number and span.offset < 0:
            raise Untranslatable(Loss.NATIVE_HISTOGRAM_INVALID)
        index += span.offset
        for count in counts[place : place + span.length]:
            if count:
                buckets.append((index, count))
            index += 1
        place += span.length
    return buckets


def _width(buckets: _Indexed, shift: int) -> int:
    """Buckets from the first to the last, once 2**shift neighbours are one."""
    if not buckets:
        return 0
    return (_otlp_index(buckets[-1][0], shift) - _otlp_index(buckets[0][0], shift)) + 1


def _otlp_index(index: int, shift: int) -> int:
    return (index - 1) >> shift


def _fill_dense(target: ExponentialHistogramDataPoint.Buckets, buckets: _Indexed, shift: int) -> None:
    first = _otlp_index(buckets[0][0], shift)
    if first not in _INT32:
        raise Untranslatable(Loss.NATIVE_HISTOGRAM_INVALID)
    dense = [0] * _width(buckets, shift)
    for index, count in buckets:
        dense[_otlp_index(index, shift) - first] += count
    if max(dense) > _MAX_UINT64:
        raise Untranslatable(Loss.NATIVE_HISTOGRAM_INVALID)
    target.offset = first
    target.bucket_counts.extend(dense)
