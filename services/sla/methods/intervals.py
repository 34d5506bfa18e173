"""Slices into the intervals that a method judges: minutes, five minutes, hours.

Integer sums over columns, no loop over slices. Intervals lie on a grid of the clock, not of the window, so
that a rolling window sees the same minutes wherever it starts.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.sla.model import NS_PER_MS, Ints, SliceColumns

Flags = NDArray[np.bool_]
_EXCLUDED, _NO_DATA, _NOT_STARTED = 3, 4, 5


@dataclass(frozen=True, slots=True)
class Intervals:
    """What lies in each interval, one element an interval; the first and the last may be cut by the window.

    good, total: requests outside of slices that are excluded as a whole.
    inside_ns: the part of the interval in the window. It is the sum of excluded_ns, no_data_ns,
    not_started_ns and `covered_ns`; time for which there is no slice is without data, or not started when
    it lies before the first one.
    """

    start_ms: Ints
    length_ms: int
    good: Ints
    total: Ints
    excluded_ns: Ints
    no_data_ns: Ints
    not_started_ns: Ints
    inside_ns: Ints

    @property
    def covered_ns(self) -> Ints:
        """Time with data."""
        return self.inside_ns - self.excluded_ns - self.no_data_ns - self.not_started_ns

    @property
    def whole(self) -> Flags:
        """Intervals that lie in the window from end to end, with none of their time excluded."""
        complete = self.inside_ns == self.length_ms * NS_PER_MS
        whole: Flags = complete & (self.excluded_ns == 0) & (self.not_started_ns == 0)
        return whole


def intervals_of(
    columns: SliceColumns, interval_ms: int, start_ms: int, end_ms: int, *, anchor_ms: int = 0
) -> Intervals:
    """Add up the slices of [start, end) by interval.

    Args:
        columns: current slices ordered by start, without overlap.
        interval_ms: length of an interval; each slice must lie in one of them (`slices_fit`).
        start_ms, end_ms: the window, or so much of it as there can be data for.
        anchor_ms: an instant at which an interval starts; for hours of a zone that is off by half of one.

    Raises:
        ValueError: a slice reaches over the end of its interval.
    """
    if not slices_fit(columns, interval_ms, start_ms, end_ms, anchor_ms=anchor_ms):
        raise ValueError(f"slices do not fit into intervals of {interval_ms} ms")
    part = _inside(columns, start_ms, end_ms)
    first = anchor_ms + (start_ms - anchor_ms) // interval_ms * interval_ms
    starts = np.arange(first, end_ms, interval_ms, dtype=np.int64)
    inside = (np.minimum(starts + interval_ms, end_ms) - np.maximum(starts, start_ms)) * NS_PER_MS
    at = (columns.start_ms[part] - first) // interval_ms
    known = sum_by(columns.length_ms[part] * NS_PER_MS, at, len(starts))
    begin = int(columns.start_ms[part][0]) if len(at) else end_ms
    before = np.clip((begin - np.maximum(starts, start_ms)) * NS_PER_MS, 0, inside)
    live = counted_slices(columns, start_ms, end_ms)
    durations = columns.durations
    return Intervals(
        start_ms=starts,
        length_ms=interval_ms,
        good=sum_by(columns.good[part] * live, at, len(starts)),
        total=sum_by(columns.total[part] * live, at, len(starts)),
        excluded_ns=sum_by(durations[_EXCLUDED, part], at, len(starts)),
        no_data_ns=sum_by(durations[_NO_DATA, part], at, len(starts)) + inside - known - before,
        not_started_ns=sum_by(durations[_NOT_STARTED, part], at, len(starts)) + before,
        inside_ns=inside,
    )


def slices_fit(
    columns: SliceColumns, interval_ms: int, start_ms: int, end_ms: int, *, anchor_ms: int = 0
) -> bool:
    """Whether each slice of the window lies in one interval; hourly merges do not lie in minutes."""
    part = _inside(columns, start_ms, end_ms)
    starts = columns.start_ms[part] - anchor_ms
    ends = starts + columns.length_ms[part]
    return bool(np.all((ends - 1) // interval_ms == starts // interval_ms)) and (
        len(starts) == 0 or int(ends[-1]) + anchor_ms <= end_ms
    )


def calm_slices(columns: SliceColumns, over: Flags, intervals: Intervals, window: tuple[int, int]) -> Ints:
    """For each interval the number of its slices that have requests and are not `over`."""
    if not len(intervals.start_ms):
        return intervals.total
    part = _inside(columns, *window)
    live = counted_slices(columns, *window) & (columns.total[part] > 0)
    at = (columns.start_ms[part] - int(intervals.start_ms[0])) // intervals.length_ms
    return sum_by((live & ~over[part]).astype(np.int64), at, len(intervals.start_ms))


def counted_slices(columns: SliceColumns, start_ms: int, end_ms: int) -> Flags:
    """Of the slices of the window those that are not excluded as a whole."""
    part = _inside(columns, start_ms, end_ms)
    return columns.durations[_EXCLUDED, part] < columns.length_ms[part] * NS_PER_MS


def requests_in(columns: SliceColumns, start_ms: int, end_ms: int) -> tuple[int, int]:
    """(good, total) of the window, without slices that are excluded as a whole."""
    part = _inside(columns, start_ms, end_ms)
    live = counted_slices(columns, start_ms, end_ms)
    return int((columns.good[part] * live).sum()), int((columns.total[part] * live).sum())


def sum_by(values: Ints, at: Ints, size: int) -> Ints:
    """Sums of `values` by the non-decreasing index `at`."""
    out = np.zeros(size, np.int64)
    if len(at):
        firsts = np.flatnonzero(np.concatenate((np.ones(1, np.bool_), at[1:] != at[:-1])))
        out[at[firsts]] = np.add.reduceat(values, firsts)
    return out


def _inside(columns: SliceColumns, start_ms: int, end_ms: int) -> slice:
    low, high = np.searchsorted(columns.start_ms, (start_ms, end_ms))
    return slice(int(low), int(high))
