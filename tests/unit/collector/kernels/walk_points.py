"""The values of data points, gathered per metric type and turned into arrays: part of the oracle.

Only the walk of `walk.py` uses this. Absent is kept apart from zero wherever OTLP does so.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogramDataPoint,
    HistogramDataPoint,
    NumberDataPoint,
    SummaryDataPoint,
)

from services.collector import columns
from services.collector.identity import field_bytes, sorted_attributes
from services.collector.model import F64, I32, I64, U8, U64, ValueKind


class Numbers:
    """Points of gauges and sums."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, float]] = []

    def add(self, place: int, point: NumberDataPoint) -> None:
        """Take one point."""
        self._rows.append((place, *_number(point)))

    def finish(self) -> columns.Numbers:
        """The arrays."""
        places, kinds, ints, doubles = _columns(self._rows, 4)
        return columns.Numbers(_i64(places), _u8(kinds), _i64(ints), _f64(doubles))


class _OptionalFloats:
    def __init__(self) -> None:
        self._values: list[float] = []
        self._present: list[bool] = []

    def add(self, value: float, present: bool) -> None:
        self._values.append(value)
        self._present.append(present)

    def finish(self) -> columns.OptionalFloats:
        return columns.OptionalFloats(_f64(self._values), np.array(self._present, dtype=np.bool_))


class _Ragged:
    def __init__(self) -> None:
        self._values: list[float] = []
        self._ends: list[int] = []

    def add(self, row: Iterable[float]) -> None:
        self._values.extend(row)
        self._ends.append(len(self._values))

    def floats(self) -> columns.RaggedFloats:
        return columns.RaggedFloats(_f64(self._values), _i64(self._ends))

    def counts(self) -> columns.RaggedCounts:
        return columns.RaggedCounts(np.array(self._values, dtype=np.uint64), _i64(self._ends))


class _Aggregate:
    """What both kinds of histogram have."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int]] = []
        self.sum = _OptionalFloats()
        self.min = _OptionalFloats()
        self.max = _OptionalFloats()

    def add(self, place: int, point: HistogramDataPoint | ExponentialHistogramDataPoint) -> None:
        self.rows.append((place, point.count))
        self.sum.add(point.sum, point.HasField("sum"))
        self.min.add(point.min, point.HasField("min"))
        self.max.add(point.max, point.HasField("max"))


class Histograms:
    """Points of histograms with explicit bounds."""

    def __init__(self) -> None:
        self._aggregate = _Aggregate()
        self._bounds = _Ragged()
        self._counts = _Ragged()

    def add(self, place: int, point: HistogramDataPoint) -> None:
        """Take one point."""
        self._aggregate.add(place, point)
        self._bounds.add(point.explicit_bounds)
        self._counts.add(point.bucket_counts)

    def finish(self) -> columns.Histograms:
        """The arrays."""
        places, counts = _columns(self._aggregate.rows, 2)
        return columns.Histograms(
            point=_i64(places),
            count=_u64(counts),
            sum=self._aggregate.sum.finish(),
            min=self._aggregate.min.finish(),
            max=self._aggregate.max.finish(),
            bounds=self._bounds.floats(),
            counts=self._counts.counts(),
        )


class ExpHistograms:
    """Points of exponential histograms."""

    def __init__(self) -> None:
        self._aggregate = _Aggregate()
        self._rows: list[tuple[int, int, float, int, int]] = []
        self._positive = _Ragged()
        self._negative = _Ragged()

    def add(self, place: int, point: ExponentialHistogramDataPoint) -> None:
        """Take one point."""
        self._aggregate.add(place, point)
        self._rows.append(
            (
                point.scale,
                point.zero_count,
                point.zero_threshold,
                point.positive.offset,
                point.negative.offset,
            )
        )
        self._positive.add(point.positive.bucket_counts)
        self._negative.add(point.negative.bucket_counts)

    def finish(self) -> columns.ExpHistograms:
        """The arrays."""
        places, counts = _columns(self._aggregate.rows, 2)
        scales, zero_counts, thresholds, positive, negative = _columns(self._rows, 5)
        return columns.ExpHistograms(
            point=_i64(places),
            count=_u64(counts),
            sum=self._aggregate.sum.finish(),
            min=self._aggregate.min.finish(),
            max=self._aggregate.max.finish(),
            scale=_i32(scales),
            zero_count=_u64(zero_counts),
            zero_threshold=_f64(thresholds),
            positive_offset=_i32(positive),
            positive_counts=self._positive.counts(),
            negative_offset=_i32(negative),
            negative_counts=self._negative.counts(),
        )


class Summaries:
    """Points of summaries."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, float]] = []
        self._quantiles = _Ragged()
        self._values = _Ragged()

    def add(self, place: int, point: SummaryDataPoint) -> None:
        """Take one point."""
        self._rows.append((place, point.count, point.sum))
        self._quantiles.add(pair.quantile for pair in point.quantile_values)
        self._values.add(pair.value for pair in point.quantile_values)

    def finish(self) -> columns.Summaries:
        """The arrays."""
        places, counts, sums = _columns(self._rows, 3)
        return columns.Summaries(
            point=_i64(places),
            count=_u64(counts),
            sum=_f64(sums),
            quantiles=self._quantiles.floats(),
            quantile_values=self._values.floats(),
        )


class Exemplars:
    """Exemplars of any points."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, int, int, float, bytes, bytes, bytes]] = []

    def add(self, place: int, exemplars: Iterable[Exemplar]) -> None:
        """Take the exemplars of one point."""
        for exemplar in exemplars:
            attributes = sorted_attributes(exemplar.filtered_attributes)
            self._rows.append(
                (
                    place,
                    exemplar.time_unix_nano,
                    *_number(exemplar),
                    exemplar.trace_id,
                    exemplar.span_id,
                    b"".join(field_bytes(1, pair) for pair in attributes),
                )
            )

    def finish(self) -> columns.Exemplars:
        """The arrays."""
        places, times, kinds, ints, doubles, *_ = _columns(self._rows, 8)
        return columns.Exemplars(
            point=_i64(places),
            time_ns=_u64(times),
            kind=_u8(kinds),
            value_int=_i64(ints),
            value_double=_f64(doubles),
            trace_id=tuple(row[5] for row in self._rows),
            span_id=tuple(row[6] for row in self._rows),
            filtered_attributes=tuple(row[7] for row in self._rows),
        )


def _number(holder: NumberDataPoint | Exemplar) -> tuple[int, int, float]:
    match holder.WhichOneof("value"):
        case "as_int":
            return int(ValueKind.INT), holder.as_int, 0.0
        case "as_double":
            return int(ValueKind.DOUBLE), 0, holder.as_double
        case _:
            return int(ValueKind.NONE), 0, 0.0


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> Sequence[Sequence[object]]:
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _i64(values: Sequence[object]) -> I64:
    return np.array(values, dtype=np.int64)


def _i32(values: Sequence[object]) -> I32:
    return np.array(values, dtype=np.int32)


def _u64(values: Sequence[object]) -> U64:
    return np.array(values, dtype=np.uint64)


def _u8(values: Sequence[object]) -> U8:
    return np.array(values, dtype=np.uint8)


def _f64(values: Sequence[object]) -> F64:
    return np.array(values, dtype=np.float64)
