"""Pure arithmetic over arrays: increments, slices, buckets, quantiles, coverage.

Kernels take C-contiguous int64 and float64 arrays that their callers have checked, and know nothing of
services, engines or time zones.
"""

import numpy as np

from services.sla.kernels import (
    burn,
    coverage,
    edges,
    explicit,
    exponential,
    increase,
    intervals,
    merging,
    quantile,
    spread,
    window,
)

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
    coverage.learn_intervals(one, ten, 100, 60, one.copy())
    coverage.covered_from(one, ten, one, ten.copy())
    coverage.union_lengths(one, ten, 0, 10, one.copy())
    window.totals(table, one.copy())
    burn.window_counts(one, one, counts, 0)
