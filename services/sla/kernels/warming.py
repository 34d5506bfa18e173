"""Calls every kernel once with the smallest arrays, so that the compiler has run before any request.

The types of the arguments are what matters: a call with others compiles again. A test asks every module of
this package whether all its kernels were called.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels import (
    burn,
    coverage,
    edges,
    explicit,
    exponential,
    grouped,
    increase,
    intervals,
    merging,
    prometheus,
    quantile,
    runs,
    spread,
    states,
    wide,
    window,
    within,
    zero,
)

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Arrays:
    """Arguments that every kernel accepts; kernels may write into them."""

    one: Ints = field(default_factory=lambda: np.zeros(1, np.int64))
    two: Ints = field(default_factory=lambda: np.array((0, 10), np.int64))
    ten: Ints = field(default_factory=lambda: np.full(1, 10, np.int64))
    counts: Ints = field(default_factory=lambda: np.ones(1, np.int64))
    shape: Ints = field(default_factory=lambda: np.zeros((2, 1), np.int64))
    slices: Ints = field(default_factory=lambda: np.zeros((3, 1), np.int64))
    at: Ints = field(default_factory=lambda: np.array((0, 1), np.int64))
    table: Ints = field(default_factory=lambda: np.ones((1, 1), np.int64))
    bounds: Floats = field(default_factory=lambda: np.ones(1, np.float64))
    flag: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(1, np.bool_))


def warm() -> None:
    """Compile every kernel (or load it from the cache), so that no request pays for it."""
    for group in (_increments, _slices, _distributions, _time, _states, _windows):
        group(_Arrays())


def _increments(a: _Arrays) -> None:
    increase.count_fell(a.one, a.counts, a.flag)
    increase.increase(a.one, a.one, a.ten, a.one, a.flag, a.flag, a.one.copy(), a.one.copy())
    increase.increments(a.counts, a.one - 1, a.one.copy())
    exponential.buckets_fell(a.one, a.one, a.one, a.at, a.counts, a.flag)
    exponential.increment_shapes(a.one, a.one, a.at, a.one - 1, a.one.copy(), a.one.copy(), a.at.copy())
    exponential.increments(a.one, a.one, a.at, a.counts, a.one - 1, a.shape, a.at, a.one.copy())
    explicit.buckets_fell(a.one, a.table, a.flag)
    explicit.increments(a.table, a.one - 1, a.table.copy())


def _slices(a: _Arrays) -> None:
    spread.spread(a.one, a.ten, a.counts, 0, 10, a.one.copy())
    edges.grid(0, 10, 1)
    edges.kept(a.two, a.at.reshape(1, 2))
    edges.spread_edges(a.one, a.ten, a.counts, a.two, a.one.copy())
    edges.spread_explicit(a.one, a.ten, a.table, a.two, a.table.copy())
    explicit.slice_counts(a.one, a.ten, a.table, 0, 10, a.table.copy())
    exponential.slice_shapes(a.one, a.ten, a.shape, a.at, a.counts, a.two, 320, a.slices)
    exponential.slice_counts(a.one, a.ten, a.shape, a.at, a.counts, a.two, a.slices, a.one.copy())
    exponential.piece_shapes(a.one, a.ten, a.shape, a.at, a.counts, a.two, 320, a.slices)
    exponential.piece_counts(a.one, a.ten, a.shape, a.at, a.counts, a.two, a.slices, a.one.copy())


def _distributions(a: _Arrays) -> None:
    exponential.lower_bound(0, 0)
    explicit.coarsen(a.counts, a.one, a.one.copy())
    merging.merge_all(a.one, a.one, a.at, a.counts, 320)
    # Columns as the store read them cannot be written to, which is another type to the compiler.
    read = a.counts.copy()
    read.flags.writeable = False
    merging.merge_all(a.one, a.one, a.at, read, 320)
    threshold = zero.common_threshold(a.one, a.one, a.at, a.counts, a.bounds)
    zero.absorb(a.one, a.one, a.at, a.counts.copy(), a.one.copy(), threshold)
    quantile.exponential_quantile(0, 0, 0, a.counts, 1)
    quantile.explicit_quantile(a.bounds, np.ones(2, np.int64), 1)
    quantile.exponential_share(0, 0, 0, a.counts, 2.0)
    quantile.explicit_share(a.bounds, np.ones(2, np.int64), 2.0)
    kept = np.zeros((3, 1), np.int64)
    within.within(a.one, a.one, a.one, a.one, a.at, a.counts, a.at, a.bounds, 2.0, kept)
    prometheus.classic(a.bounds, a.bounds, 0.5)
    lower, upper, held = prometheus.buckets(0, 0, a.counts, 0, a.counts, 1, 0.0)
    prometheus.native(lower, upper, held, 3.0, 0.5, False)
    grouped.gather(a.one, a.bounds, 1)
    grouped.quantile_exact(a.bounds, a.at, 0.5, a.bounds.copy())
    grouped.nearest_rank(a.bounds, a.at, 1, 2, a.bounds.copy())


def _time(a: _Arrays) -> None:
    coverage.learn_intervals(a.one, a.ten, 100, 60, a.one.copy())
    coverage.covered_from(a.one, a.ten, a.one, a.ten.copy())
    coverage.union_lengths(a.one, a.ten, 0, 10, a.one.copy())
    intervals.ascending(a.one)
    some = intervals.normalise(a.one, a.ten)
    intervals.union(some, some)
    intervals.intersection(some, some)
    intervals.difference(some, some)
    intervals.clip(some, 0, 1)
    intervals.length(some)
    intervals.lengths(some, a.two, a.one.copy())


def _states(a: _Arrays) -> None:
    spans, held = states.timeline(a.one, a.ten, a.one, a.one, 0, 10, 0)
    states.durations(spans, held, a.two, a.table.copy())
    down = states.of_state(spans, held, 0)
    runs.bad_by_rate(a.one, a.counts, a.two, 1, a.flag)
    runs.bad_if_all_fail(a.one, a.counts, 1, a.flag)
    runs.bad_by_time(down, 0, 1, False, a.flag)
    runs.leave_out(a.one, 1, False, a.flag)
    runs.runs(a.flag, 1)
    runs.downtime(a.flag, 1, a.one)


def _windows(a: _Arrays) -> None:
    flags = np.zeros((1, 1), np.bool_)
    sums = np.zeros((1, 1, 4), np.int64)
    rows = np.zeros((4, 1), np.int64)
    running = a.at.reshape(1, 2)

    window.totals(a.table, a.one.copy())
    window.running(a.one, a.two.copy())
    window.places(a.one, a.one, a.one.copy())
    window.between(running, a.one, a.one, a.table.copy())
    window.rolling(a.one, running, a.one + 1, 1, a.table.copy())
    window.consecutive(a.one, running, a.at, a.table.copy())
    burn.window_counts(a.one, a.one, a.one, 0)
    burn.columns(a.one, a.one, np.zeros((6, 1), np.int64), rows)
    burn.many(a.at, a.one, rows, a.one, a.one, sums)
    burn.known(sums, a.table, a.two, flags)
    burn.exceeds(sums, np.ones((1, 1, 2), np.int64), 1, flags, flags.copy())
    wide.greater(0, 0, 0, 0)
