"""A decoded request as columns: what `decode` gives and the writer sorts into blocks.

All arrays over points have one element per data point in the order as received; the tables of one
metric type have one element per point of that type and say which point by `point`. Times are
uint64 Unix nanoseconds as sent. No protobuf, no engine.
"""

from dataclasses import dataclass, field

import numpy as np

from services.collector.model import F64, I32, I64, U8, U32, U64, Bools


@dataclass(frozen=True, slots=True)
class RaggedFloats:
    """Lists of doubles: row i is `values[ends[i-1]:ends[i]]`."""

    values: F64
    ends: I64


@dataclass(frozen=True, slots=True)
class RaggedCounts:
    """Lists of unsigned counts: row i is `values[ends[i-1]:ends[i]]`."""

    values: U64
    ends: I64


@dataclass(frozen=True, slots=True)
class OptionalFloats:
    """Doubles that may be absent; absent ones hold 0."""

    values: F64
    present: Bools


@dataclass(frozen=True, slots=True)
class SeriesTable:
    """The distinct series of a request, in order of first appearance.

    `identity` is the lossless identity of `identity.py`; `temporality` is as sent, so it may be a
    number that OTLP does not know.
    """

    identity: tuple[bytes, ...]
    metric: tuple[str, ...]
    temporality: I32
    identity_bytes: int = field(init=False)
    """Of all identities: each has everything of its resource, so it may be many times the request's bytes."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity_bytes", sum(map(len, self.identity)))


@dataclass(frozen=True, slots=True)
class Numbers:
    """Points of gauges and sums."""

    point: I64
    kind: U8
    value_int: I64
    value_double: F64


@dataclass(frozen=True, slots=True)
class Histograms:
    """Points of histograms with explicit bounds."""

    point: I64
    count: U64
    sum: OptionalFloats
    min: OptionalFloats
    max: OptionalFloats
    bounds: RaggedFloats
    counts: RaggedCounts


@dataclass(frozen=True, slots=True)
class ExpHistograms:
    """Points of exponential histograms."""

    point: I64
    count: U64
    sum: OptionalFloats
    min: OptionalFloats
    max: OptionalFloats
    scale: I32
    zero_count: U64
    zero_threshold: F64
    positive_offset: I32
    positive_counts: RaggedCounts
    negative_offset: I32
    negative_counts: RaggedCounts


@dataclass(frozen=True, slots=True)
class Summaries:
    """Points of summaries."""

    point: I64
    count: U64
    sum: F64
    quantiles: RaggedFloats
    quantile_values: RaggedFloats


@dataclass(frozen=True, slots=True)
class Exemplars:
    """Exemplars of any points; several rows may name one point."""

    point: I64
    time_ns: U64
    kind: U8
    value_int: I64
    value_double: F64
    trace_id: tuple[bytes, ...]
    span_id: tuple[bytes, ...]
    filtered_attributes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """One OTLP request: its points, and the tables of their types."""

    series: SeriesTable
    type: U8
    series_index: I64
    time_ns: U64
    start_ns: U64
    flags: U32
    numbers: Numbers
    histograms: Histograms
    exp_histograms: ExpHistograms
    summaries: Summaries
    exemplars: Exemplars

    @property
    def point_count(self) -> int:
        """Data points of the request."""
        return len(self.type)


def row_sums(ragged: RaggedCounts) -> U64:
    """Sum of each row, modulo 2**64."""
    running = np.concatenate((np.zeros(1, dtype=np.uint64), np.cumsum(ragged.values, dtype=np.uint64)))
    ends = np.concatenate((np.zeros(1, dtype=np.int64), ragged.ends))
    sums: U64 = running[ends[1:]] - running[ends[:-1]]
    return sums


def row_lengths(ragged: RaggedFloats | RaggedCounts) -> I64:
    """Length of each row."""
    return np.diff(ragged.ends, prepend=np.int64(0))


_POINT_BYTES = 96
"""Of the fixed part of a point, with what the kernels' tables hold beside it."""


def held_bytes(decoded: Decoded) -> int:
    """About the memory that a decoded request holds, without its table of series, which others may share."""
    histograms, exponential, summaries = decoded.histograms, decoded.exp_histograms, decoded.summaries
    rows = len(histograms.point) + len(exponential.point) + len(summaries.point)
    size = _POINT_BYTES * (decoded.point_count + rows)
    if rows:
        size += histograms.bounds.values.nbytes + histograms.counts.values.nbytes
        size += exponential.positive_counts.values.nbytes + exponential.negative_counts.values.nbytes
        size += 2 * summaries.quantiles.values.nbytes
    for told in decoded.exemplars.filtered_attributes:
        size += 4 * _POINT_BYTES + len(told)
    return size


def table_bytes(table: SeriesTable) -> int:
    """About the memory that a table of series holds, when nobody else holds its identities."""
    return table.identity_bytes + _POINT_BYTES * len(table.identity)
