"""Columns of points from single ones and from several reads: what both adapters need."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.sla.model import Numbers, PointKind, Rows


@dataclass(frozen=True, slots=True)
class Point:
    """One histogram point as it was received. start_ms 0 and bits as the tables have them; start_ns and
    ts_ns are what the times have below the millisecond."""

    series_id: int
    ts_ms: int
    count: int
    counts: tuple[int, ...] = ()
    start_ms: int = 0
    bits: int = 0
    flags: int = 0
    bounds: tuple[float, ...] = ()
    scale: int = 0
    offset: int = 0
    zero_count: int = 0
    zero_threshold: float = 0.0
    start_ns: int = 0
    ts_ns: int = 0


@dataclass(frozen=True, slots=True)
class NumberPoint:
    """One point of a gauge or a sum as it was received. Times and bits as of `Point`."""

    series_id: int
    ts_ms: int
    value: int | float
    start_ms: int = 0
    bits: int = 0
    flags: int = 0
    start_ns: int = 0
    ts_ns: int = 0


def signed(series_id: int) -> int:
    """The int64 with the bits of a UInt64, as arrays hold ids."""
    return series_id - (1 << 64) if series_id >= 1 << 63 else series_id


def rows_of(kind: PointKind, points: Sequence[Point]) -> Rows:
    """Single points as columns."""
    smooth = points if kind is PointKind.EXPONENTIAL else ()

    def ints(values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return np.array(values, np.int64)

    return Rows(
        kind=kind,
        series=ints([signed(p.series_id) for p in points]),
        start=ints([p.start_ms for p in points]),
        start_ns=ints([p.start_ns for p in points]),
        ts=ints([p.ts_ms for p in points]),
        ts_ns=ints([p.ts_ns for p in points]),
        bits=ints([p.bits for p in points]),
        count=ints([p.count for p in points]),
        at=_starts([len(p.counts) for p in points]),
        counts=ints([n for p in points for n in p.counts]),
        scale=ints([p.scale for p in smooth]),
        offset=ints([p.offset for p in smooth]),
        zero_count=ints([p.zero_count for p in smooth]),
        zero_threshold=np.array([p.zero_threshold for p in smooth], np.float64),
        bounds=np.array([b for p in points for b in p.bounds], np.float64),
        bounds_at=_starts([len(p.bounds) for p in points]),
    )


def numbers_of(points: Sequence[NumberPoint]) -> Numbers:
    """Single number points as columns."""
    return Numbers(
        series=np.array([signed(p.series_id) for p in points], np.int64),
        start=np.array([p.start_ms for p in points], np.int64),
        start_ns=np.array([p.start_ns for p in points], np.int64),
        ts=np.array([p.ts_ms for p in points], np.int64),
        ts_ns=np.array([p.ts_ns for p in points], np.int64),
        bits=np.array([p.bits for p in points], np.int64),
        count=np.array([math.floor(p.value) for p in points], np.int64),
        value=np.array([p.value for p in points], np.float64),
    )


def kept_numbers(numbers: Numbers, keep: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Numbers:
    """The points that a mask keeps."""
    return Numbers(
        series=numbers.series[keep],
        start=numbers.start[keep],
        start_ns=numbers.start_ns[keep],
        ts=numbers.ts[keep],
        ts_ns=numbers.ts_ns[keep],
        bits=numbers.bits[keep],
        count=numbers.count[keep],
        value=numbers.value[keep],
    )


def joined_numbers(first: Numbers, second: Numbers) -> Numbers:
    """The points of both."""
    return Numbers(
        series=np.concatenate((first.series, second.series)),
        start=np.concatenate((first.start, second.start)),
        start_ns=np.concatenate((first.start_ns, second.start_ns)),
        ts=np.concatenate((first.ts, second.ts)),
        ts_ns=np.concatenate((first.ts_ns, second.ts_ns)),
        bits=np.concatenate((first.bits, second.bits)),
        count=np.concatenate((first.count, second.count)),
        value=np.concatenate((first.value, second.value)),
    )


def joined(first: Rows, second: Rows) -> Rows:
    """The points of both."""
    return Rows(
        kind=first.kind,
        series=np.concatenate((first.series, second.series)),
        start=np.concatenate((first.start, second.start)),
        start_ns=np.concatenate((first.start_ns, second.start_ns)),
        ts=np.concatenate((first.ts, second.ts)),
        ts_ns=np.concatenate((first.ts_ns, second.ts_ns)),
        bits=np.concatenate((first.bits, second.bits)),
        count=np.concatenate((first.count, second.count)),
        at=np.concatenate((first.at, second.at[1:] + first.at[-1])),
        counts=np.concatenate((first.counts, second.counts)),
        scale=np.concatenate((first.scale, second.scale)),
        offset=np.concatenate((first.offset, second.offset)),
        zero_count=np.concatenate((first.zero_count, second.zero_count)),
        zero_threshold=np.concatenate((first.zero_threshold, second.zero_threshold)),
        bounds=np.concatenate((first.bounds, second.bounds)),
        bounds_at=np.concatenate((first.bounds_at, second.bounds_at[1:] + first.bounds_at[-1])),
    )


def _starts(lengths: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.concatenate(([0], np.cumsum(np.array(lengths, np.int64)))).astype(np.int64)
