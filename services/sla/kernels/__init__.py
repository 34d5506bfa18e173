"""Pure arithmetic over arrays: increments, slices, buckets, quantiles, coverage.

Kernels take C-contiguous int64 and float64 arrays that their callers have checked, and know nothing of
services, engines or time zones.
"""

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
    zero,
)

Ints = NDArray[np.int64]

_ONE = (0, 10)


def warm() -> None:
    """Compile every kernel (or load it from the cache), so that no request pays for it."""
    one = np.zeros(1, np.int64)
    two = np.array(_ONE, np.int64)
    flag = np.zeros(1, np.bool_)
    counts = np.ones(1, np.int64)
    shape = np.zeros((2, 1), np.int64)
    slices = np.zeros((3, 1), np.int64)
    at = np.array((0, 1), np.int64)
    table = np.ones((1, 1), np.int64)
    ten = np.full(1, 10, np.int64)
    bounds = np.ones(1, np.float64)

    increase.count_fell(one, counts, flag)
    increase.increase(one, one, ten, one, flag, flag, one.copy(), one.copy())
    increase.increments(counts, one - 1, one.copy())
    spread.spread(one, ten, counts, 0, 10, one.copy())
    exponential.buckets_fell(one, one, one, at, counts, flag)
    exponential.increment_shapes(one, one, at, one - 1, one.copy(), one.copy(), at.copy())
    exponential.increments(one, one, at, counts, one - 1, shape, at, one.copy())
    exponential.slice_shapes(one, ten, shape, at, counts, two, 320, slices)
    exponential.slice_counts(one, ten, shape, at, counts, two, slices, one.copy())
    exponential.lower_bound(0, 0)
    merging.merge_all(one, one, at, counts, 320)
    explicit.buckets_fell(one, table, flag)
    explicit.increments(table, one - 1, table.copy())
    explicit.slice_counts(one, ten, table, 0, 10, table.copy())
    explicit.coarsen(counts, one, one.copy())
    quantile.exponential_quantile(0, 0, 0, counts, 1)
    quantile.explicit_quantile(bounds, np.ones(2, np.int64), 1)
    quantile.exponential_share(0, 0, 0, counts, 2.0)
    quantile.explicit_share(bounds, np.ones(2, np.int64), 2.0)
    pair = at.reshape(1, 2)
    edges.spread_edges(one, ten, counts, two, one.copy())
    edges.spread_explicit(one, ten, table, two, table.copy())
    edges.kept(two, pair)
    edges.grid(0, 10, 1)
    exponential.piece_shapes(one, ten, shape, at, counts, two, 320, slices)
    exponential.piece_counts(one, ten, shape, at, counts, two, slices, one.copy())
    intervals.normalise(one, ten)
    intervals.union(pair, pair)
    intervals.intersection(pair, pair)
    intervals.difference(pair, pair)
    intervals.clip(pair, 0, 1)
    intervals.length(pair)
    intervals.lengths(pair, two, one.copy())
    grouped.gather(one, bounds, 1)
    grouped.quantile_exact(bounds, at, 0.5, bounds.copy())
    grouped.nearest_rank(bounds, at, 1, 2, bounds.copy())
    zero.absorb(one, one, at, counts.copy(), one.copy(), zero.common_threshold(one, one, at, counts, bounds))
    prometheus.classic(bounds, bounds, 0.5)
    prometheus.native(*prometheus.buckets(0, 0, counts, 0, counts, 1, 0.0), 3.0, 0.5, False)
    coverage.learn_intervals(one, ten, 100, 60, one.copy())
    coverage.covered_from(one, ten, one, ten.copy())
    coverage.union_lengths(one, ten, 0, 10, one.copy())
    spans, held = states.timeline(one, ten, one, one, 0, 10, 0)
    states.durations(spans, held, two, table.copy())
    states.of_state(spans, held, 0)
    runs.bad_by_rate(one, counts, two, 1, flag)
    runs.bad_if_all_fail(one, counts, 1, flag)
    runs.bad_by_time(pair, 0, 1, False, flag)
    runs.leave_out(one, 1, False, flag)
    runs.runs(flag, 1)
    runs.downtime(flag, 1, one)
    _warm_windows(one, two, table)


def _warm_windows(one: Ints, two: Ints, table: Ints) -> None:
    flags = np.zeros((1, 1), np.bool_)
    sums = np.zeros((1, 1, 4), np.int64)
    slices = np.zeros((4, 1), np.int64)
    at = np.array((0, 1), np.int64)

    window.totals(table, one.copy())
    window.running(one, two.copy())
    window.rolling(one, at.reshape(1, 2), one + 1, 1, table.copy())
    window.consecutive(one, at.reshape(1, 2), at, table.copy())
    window.places(one, one, one.copy())
    window.between(at.reshape(1, 2), one, one, table.copy())
    burn.window_counts(one, one, one, 0)
    burn.columns(one, one, np.zeros((6, 1), np.int64), slices)
    burn.many(at, one, slices, one, one, sums)
    burn.known(sums, table, two, flags)
    burn.exceeds(sums, np.ones((1, 1, 2), np.int64), 1, flags, flags.copy())
    wide.greater(0, 0, 0, 0)
