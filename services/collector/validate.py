"""Which points of a request are refused for good, and why.

The rules are those of OTLP's data model: a number point has a value, buckets fit bounds and
count, quantiles lie in [0, 1]; and ours: a point has a time, not older than `accept_past` and not
ahead by more than `accept_ahead`. A point flagged "no recorded value" carries no values to judge.
The first reason that applies counts. Decided once, here, against the receiver's clock: the writer
reads the verdict from the log.
"""

from dataclasses import dataclass

import numpy as np

from services.collector.columns import Decoded, ExpHistograms, RaggedCounts, row_lengths, row_sums
from services.collector.kernels.judge import suspicious
from services.collector.model import (
    F64,
    I32,
    I64,
    NANOSECONDS_IN_S,
    NO_RECORDED_VALUE,
    U64,
    Bools,
    Rejection,
    Temporality,
    ValueKind,
)

_DOUBLE_MAX_EXPONENT = 1024.0
_DOUBLE_MIN_EXPONENT = -1075.0
_SCALE_CLIP = 4096
"""Beyond this every non-zero index is outside the range of doubles, or every one is inside."""


@dataclass(frozen=True, slots=True)
class AcceptLimits:
    """How far a point's time may lie from the receiver's clock, and how many points a request may have."""

    past_ns: int = 7 * 86_400 * NANOSECONDS_IN_S
    ahead_ns: int = 600 * NANOSECONDS_IN_S
    most_points: int = 1_000_000
    """Decoded, an empty point of two bytes takes about 250: a body's size does not bound what it costs."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which points are refused (in order as received), and how many for which reason."""

    rejected: Bools
    reasons: dict[str, int]

    @property
    def rejected_count(self) -> int:
        """Points refused."""
        return int(np.count_nonzero(self.rejected))

    def bitmap(self) -> bytes:
        """The refused points as bits, LSB first; empty when none is."""
        return np.packbits(self.rejected, bitorder="little").tobytes() if self.rejected_count else b""


def unpack_bitmap(bitmap: bytes, points: int) -> Bools:
    """The inverse of `Verdict.bitmap`."""
    if not bitmap:
        return np.zeros(points, dtype=np.bool_)
    bits = np.unpackbits(np.frombuffer(bitmap, dtype=np.uint8), count=points, bitorder="little")
    return bits.astype(np.bool_)


def validate(decoded: Decoded, *, now_ns: int, limits: AcceptLimits) -> Verdict:
    """Judge every point of a request at `now_ns` (Unix nanoseconds)."""
    oldest_ns, newest_ns = max(1, now_ns - limits.past_ns), now_ns + limits.ahead_ns
    judge = _Judge(decoded)
    if suspicious(
        decoded.time_ns,
        oldest_ns,
        newest_ns,
        decoded.flags,
        decoded.series_index,
        decoded.series.temporality,
        decoded.numbers.point,
        decoded.numbers.kind,
    ):
        _judge_points(judge, decoded, oldest_ns, newest_ns)
    if len(decoded.histograms.point):
        _judge_histograms(judge, decoded)
    if len(decoded.exp_histograms.point):
        _judge_exp_histograms(judge, decoded)
    if len(decoded.summaries.point):
        _judge_summaries(judge, decoded)
    return Verdict(judge.rejected, judge.reasons)


def _judge_points(judge: "_Judge", decoded: Decoded, oldest_ns: int, newest_ns: int) -> None:
    times = decoded.time_ns
    judge.reject(Rejection.POINT_TIME_MISSING, times == 0)
    judge.reject(Rejection.POINT_TOO_OLD, times < np.uint64(oldest_ns))
    judge.reject(Rejection.POINT_TOO_NEW, times > np.uint64(newest_ns))
    temporality = decoded.series.temporality[decoded.series_index]
    judge.reject(Rejection.TEMPORALITY_UNKNOWN, ~np.isin(temporality, [int(known) for known in Temporality]))
    _judge_numbers(judge, decoded)


class _Judge:
    def __init__(self, decoded: Decoded) -> None:
        self.rejected = np.zeros(decoded.point_count, dtype=np.bool_)
        self.reasons: dict[str, int] = {}
        self._flags = decoded.flags

    def reject(self, reason: Rejection, wrong: Bools) -> None:
        """Refuse the points that `wrong` marks, unless an earlier reason did."""
        fresh = wrong & ~self.rejected
        if count := int(fresh.sum()):
            self.rejected |= fresh
            self.reasons[reason.value] = self.reasons.get(reason.value, 0) + count

    def reject_rows(self, reason: Rejection, points: I64, wrong: Bools) -> None:
        """As `reject`, for the rows of one type's table."""
        marks = np.zeros(len(self.rejected), dtype=np.bool_)
        marks[points[wrong]] = True
        self.reject(reason, marks & ((self._flags & np.uint32(NO_RECORDED_VALUE)) == 0))


def _judge_numbers(judge: _Judge, decoded: Decoded) -> None:
    numbers = decoded.numbers
    judge.reject_rows(Rejection.POINT_WITHOUT_VALUE, numbers.point, numbers.kind == ValueKind.NONE)


def _judge_histograms(judge: _Judge, decoded: Decoded) -> None:
    rows = decoded.histograms
    bounds, buckets = row_lengths(rows.bounds), row_lengths(rows.counts)
    neither = (bounds == 0) & (buckets == 0)
    judge.reject_rows(Rejection.HISTOGRAM_BUCKETS_MISMATCH, rows.point, ~neither & (bounds + 1 != buckets))
    rising = np.ones(len(rows.bounds.values), dtype=np.bool_)
    rising[1:] = rows.bounds.values[1:] > rows.bounds.values[:-1]
    first = rows.bounds.ends - bounds
    rising[first[bounds > 0]] = ~np.isnan(rows.bounds.values[first[bounds > 0]])
    flat = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(~rising)))
    unsorted = flat[rows.bounds.ends] - flat[first] > 0
    judge.reject_rows(Rejection.HISTOGRAM_BOUNDS_UNSORTED, rows.point, unsorted)
    wrong = ~neither & ~_adds_up([rows.counts], np.zeros(len(rows.count), dtype=np.uint64), rows.count)
    judge.reject_rows(Rejection.HISTOGRAM_COUNT_MISMATCH, rows.point, wrong)


def _judge_exp_histograms(judge: _Judge, decoded: Decoded) -> None:
    rows = decoded.exp_histograms
    outside = _outside_doubles(rows, rows.positive_offset, rows.positive_counts)
    outside |= _outside_doubles(rows, rows.negative_offset, rows.negative_counts)
    judge.reject_rows(Rejection.EXP_HISTOGRAM_OUT_OF_RANGE, rows.point, outside)
    adds_up = _adds_up([rows.positive_counts, rows.negative_counts], rows.zero_count, rows.count)
    judge.reject_rows(Rejection.EXP_HISTOGRAM_COUNT_MISMATCH, rows.point, ~adds_up)


def _judge_summaries(judge: _Judge, decoded: Decoded) -> None:
    rows = decoded.summaries
    bad = ~((rows.quantiles.values >= 0) & (rows.quantiles.values <= 1))
    marks = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(bad)))
    first = rows.quantiles.ends - row_lengths(rows.quantiles)
    wrong = marks[rows.quantiles.ends] - marks[first] > 0
    judge.reject_rows(Rejection.SUMMARY_QUANTILE_OUT_OF_RANGE, rows.point, wrong)


def _outside_doubles(rows: ExpHistograms, offsets: I32, counts: RaggedCounts) -> Bools:
    """Rows that have a bucket which no double can fall into.

    Bucket i covers (2**(i * 2**-scale), 2**((i + 1) * 2**-scale)]; it must meet (2**-1075, 2**1024).
    """
    lengths = row_lengths(counts)
    exponent = -np.clip(rows.scale.astype(np.int64), -_SCALE_CLIP, _SCALE_CLIP)
    width = np.ldexp(1.0, np.clip(exponent, -1000, 1000).astype(np.int32))
    lowest_upper = (offsets.astype(np.float64) + 1.0) * width
    highest_lower = (offsets.astype(np.float64) + lengths - 1.0) * width
    outside: Bools = (lowest_upper <= _DOUBLE_MIN_EXPONENT) | (highest_lower >= _DOUBLE_MAX_EXPONENT)
    return outside & (lengths > 0)


def _adds_up(parts: list[RaggedCounts], extra: U64, count: U64) -> Bools:
    """Rows whose buckets plus `extra` are exactly `count`, sums above 64 bits included."""
    wrapped = extra.copy()
    magnitude = extra.astype(np.float64)
    for part in parts:
        wrapped += row_sums(part)
        magnitude += _float_sums(part)
    equal: Bools = wrapped == count
    for row in np.flatnonzero(equal & (magnitude > 2.0**63)):
        exact = int(extra[row]) + sum(_exact_sum(part, int(row)) for part in parts)
        equal[row] = exact == int(count[row])
    return equal


def _float_sums(part: RaggedCounts) -> F64:
    starts = part.ends - row_lengths(part)
    sums = np.zeros(len(part.ends), dtype=np.float64)
    rows = np.flatnonzero(part.ends > starts)
    if len(rows):
        sums[rows] = np.add.reduceat(part.values.astype(np.float64), starts[rows])
    return sums


def _exact_sum(part: RaggedCounts, row: int) -> int:
    start = int(part.ends[row - 1]) if row else 0
    return sum(part.values[start : int(part.ends[row])].tolist())
