"""Applies a method to the slices of a window: one exact share, and how much of it is in doubt.

Pure: columns in, integers and fractions out. Knows no target and no credit; who judges the share asks
`doubts` whether time without data could move it over an edge.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from services.sla.methods.intervals import (
    Flags,
    Intervals,
    calm_slices,
    intervals_of,
    requests_in,
    slices_fit,
)
from services.sla.methods.mean import mean_error_rate
from services.sla.methods.model import AllFail, ErrorRate, MeanErrorRate, Method, RequestRatio, Uptime
from services.sla.methods.runs import joined, keep_long_runs, runs_of
from services.sla.model import NS_PER_MS, Ints, NoData, SliceColumns
from services.sla.verdict import Times, percent_of, request_ratio

__all__ = ["Intervals", "Measured", "doubts", "intervals_of", "measure"]

_DOWN, _NO_DATA = 2, 4
_INT64_SAFE = 2**62


@dataclass(frozen=True, slots=True)
class Measured:
    """What a method makes of a window.

    share: available share; None without anything to measure. bad_ns of valid_ns: time that counts as down
    of the time that counts (for RequestRatio and MeanErrorRate by the states of slices: there it does not
    decide). downtimes: runs [start, end) in ms, to the slice or interval. ambiguous: why a person should
    look before money moves. low, high: the share if the time without data had been all down, and all up;
    equal to `share` where a policy of the contract counts that time.
    """

    share: Fraction | None
    bad_ns: int
    valid_ns: int
    downtimes: tuple[tuple[int, int], ...]
    ambiguous: tuple[str, ...] = ()
    low: Fraction | None = None
    high: Fraction | None = None


@dataclass(frozen=True, slots=True)
class _Window:
    columns: SliceColumns
    start_ms: int
    end_ms: int
    times: Times
    no_data: NoData
    up: bool

    @property
    def counted(self) -> bool:
        """Whether anything was seen; a month of no data is no verdict, whatever it counts as."""
        only_excluded = self.up and self.times.excluded_ns > 0 and self.times.no_data_ns == 0
        return self.times.covered_ns > 0 or only_excluded


def measure(
    method: Method,
    columns: SliceColumns,
    *,
    start_ms: int,
    end_ms: int,
    times: Times,
    no_data: NoData,
    excluded_counts_up: bool,
    anchor_ms: int = 0,
) -> Measured:
    """The available share of [start, end).

    Args:
        method: how the contract measures.
        columns: current slices of the window, ordered by start.
        start_ms, end_ms: the window; of a running period so much as there is data for.
        times: how it divides, time without slices included.
        no_data: what time without data counts as.
        excluded_counts_up: maintenance counts as up; otherwise it is left out.
        anchor_ms: where an interval of the method starts, see `intervals_of`.
    """
    where = _Window(columns, start_ms, end_ms, times, no_data, excluded_counts_up)
    match method:
        case RequestRatio():
            return _bounded(where, _request_share)
        case Uptime():
            return _bounded(where, _uptime)
        case AllFail() | ErrorRate() | MeanErrorRate():
            if not slices_fit(columns, method.interval_ms, start_ms, end_ms, anchor_ms=anchor_ms):
                return _too_coarse(method.interval_ms)
            intervals = intervals_of(columns, method.interval_ms, start_ms, end_ms, anchor_ms=anchor_ms)
            if isinstance(method, MeanErrorRate):
                return _bounded(where, lambda one: _mean_share(one, intervals))
            return _from_flags(where, method, intervals)


def doubts(measured: Measured, edges: Iterable[Fraction]) -> tuple[str, ...]:
    """Why the share may lie on the other side of an edge: a sentence for each edge within the bounds."""
    if measured.low is None or measured.high is None:
        return ()
    low, high = measured.low, measured.high
    return tuple(
        f"Time without data could decide whether the share is below {percent_of(edge)} %: it is between"
        f" {percent_of(low)} % (all of it down) and {percent_of(high)} % (all of it up)."
        for edge in edges
        if low < edge <= high
    )


def _bounded(where: _Window, share_of: Callable[[_Window], Fraction | None]) -> Measured:
    """For methods in which missing time counts in proportion: bounds are the two other policies."""
    share = share_of(where) if where.counted else None
    low = high = share
    if share is not None and where.no_data is NoData.EXCLUDE and where.times.no_data_ns:
        low = share_of(replace(where, no_data=NoData.COUNT_DOWN))
        high = share_of(replace(where, no_data=NoData.COUNT_UP))
    bad, valid = _by_state(where)
    return Measured(share, bad, valid, _downtimes_by_state(where), (), low, high)


def _request_share(where: _Window) -> Fraction | None:
    good, total = requests_in(where.columns, where.start_ms, where.end_ms)
    share = request_ratio(good, total, where.times, where.no_data)
    valid = _by_state(where)[1]
    if share is None or not where.up or not valid:
        return share
    return 1 - (1 - share) * Fraction(valid - where.times.excluded_ns, valid)


def _uptime(where: _Window) -> Fraction | None:
    bad, valid = _by_state(where)
    return Fraction(valid - bad, valid) if valid else None


def _mean_share(where: _Window, intervals: Intervals) -> Fraction | None:
    rate = mean_error_rate(intervals, where.no_data, excluded_counts_up=where.up)
    return None if rate is None else 1 - rate


def _by_state(where: _Window) -> tuple[int, int]:
    times = where.times
    missing = times.no_data_ns
    bad = times.down_ns + (missing if where.no_data is NoData.COUNT_DOWN else 0)
    valid = times.covered_ns + (0 if where.no_data is NoData.EXCLUDE else missing)
    return bad, valid + (times.excluded_ns if where.up else 0)


def _downtimes_by_state(where: _Window) -> tuple[tuple[int, int], ...]:
    columns = where.columns
    inside = (columns.start_ms >= where.start_ms) & (columns.start_ms < where.end_ms)
    starts, ends = columns.start_ms, columns.start_ms + columns.length_ms
    bad = columns.durations[_DOWN] > 0
    if where.no_data is not NoData.COUNT_DOWN:
        return joined(starts[bad & inside], ends[bad & inside])
    bad |= columns.durations[_NO_DATA] > 0
    ends_inside = ends[inside]
    nexts = np.append(starts[inside][1:], where.end_ms)[: len(ends_inside)]
    hole = nexts > ends_inside
    all_starts = np.concatenate((starts[bad & inside], ends_inside[hole]))
    all_ends = np.concatenate((ends[bad & inside], nexts[hole]))
    order = np.argsort(all_starts, kind="stable")
    return joined(all_starts[order], all_ends[order])


def _from_flags(where: _Window, method: AllFail | ErrorRate, intervals: Intervals) -> Measured:
    """Time in bad intervals: what is known decides, what is missing gives the bounds."""
    seen, possible = _flags(where, method, intervals)
    complete = intervals.no_data_ns == 0
    k = method.consecutive if isinstance(method, ErrorRate) else 1
    bad = keep_long_runs(seen, k)
    covered, missing = intervals.covered_ns, intervals.no_data_ns
    excluded = int(intervals.excluded_ns.sum()) if where.up else 0
    bad_ns, valid_ns = int(covered[bad].sum()), int(covered.sum()) + excluded
    if where.no_data is not NoData.EXCLUDE:
        valid_ns += int(missing.sum())
    if where.no_data is NoData.COUNT_DOWN:
        bad_ns += int(missing.sum())
    share = Fraction(valid_ns - bad_ns, valid_ns) if valid_ns and where.counted else None
    low = high = share
    if share is not None and where.no_data is NoData.EXCLUDE and not complete.all():
        whole_ns = valid_ns + int(missing.sum())
        worst = int((covered + missing)[keep_long_runs(seen | possible, k)].sum())
        best = int(covered[keep_long_runs(seen & complete, k)].sum())
        low = min(share, Fraction(whole_ns - worst, whole_ns))
        high = max(share, Fraction(whole_ns - best, whole_ns))
    shown = bad | (missing > 0) if where.no_data is NoData.COUNT_DOWN else bad
    return Measured(share, bad_ns, valid_ns, _downtimes(where, intervals, shown), (), low, high)


def _flags(where: _Window, method: AllFail | ErrorRate, intervals: Intervals) -> tuple[Flags, Flags]:
    """(bad by what was seen, possibly bad by what was not)."""
    enough = intervals.total >= max(method.min_requests, 1)
    gap = intervals.no_data_ns > 0
    if isinstance(method, AllFail):
        none_good = intervals.good == 0
        return enough & none_good, gap & none_good
    over = enough & _above(intervals.total - intervals.good, intervals.total, method.above)
    if method.partial_intervals:
        return over, gap
    columns = where.columns
    slices_over = _above(columns.total - columns.good, columns.total, method.above)
    calm = calm_slices(columns, slices_over, intervals, (where.start_ms, where.end_ms))
    able = intervals.whole & (calm == 0)
    return over & able, gap & able


def _above(bad: Ints, total: Ints, share: Fraction) -> Flags:
    """bad / total > share, in integers; where int64 could overflow, in Python's."""
    largest = int(total.max(initial=0)) * max(share.numerator, share.denominator)
    if largest < _INT64_SAFE:
        return bad * share.denominator > total * share.numerator
    exact = bad.astype(object) * share.denominator > total.astype(object) * share.numerator
    return np.asarray(exact, np.bool_)


def _downtimes(where: _Window, intervals: Intervals, bad: Flags) -> tuple[tuple[int, int], ...]:
    first, behind = runs_of(bad)
    starts = np.maximum(intervals.start_ms[first], where.start_ms)
    ends = np.minimum(intervals.start_ms[behind - 1] + intervals.length_ms, where.end_ms)
    return tuple(zip(starts.tolist(), ends.tolist(), strict=True))


def _too_coarse(interval_ms: int) -> Measured:
    seconds = Fraction(interval_ms * NS_PER_MS, 10**9)
    return Measured(
        None,
        0,
        0,
        (),
        (f"The slices do not fit into the intervals of {seconds} s that the contract judges.",),
    )
