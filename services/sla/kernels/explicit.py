"""Explicit buckets: differences and shares of rows that have the same bounds.

Bucket j covers (bounds[j-1], bounds[j]], the last one reaches to infinity; counts are per bucket.
Rows with other bounds are another call: only equal buckets may be subtracted or added.
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel
from services.sla.kernels.edges import grid, spread_explicit
from services.sla.kernels.increase import FROM_ZERO, NOTHING

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@kernel
def buckets_fell(group: Ints, counts: Ints, out: Bools) -> None:
    """Set out[i] where any bucket of row i is below that of row i-1 of its group; counts is (rows, n)."""
    for i in range(1, len(group)):
        if group[i] != group[i - 1]:
            continue
        for j in range(counts.shape[1]):
            if counts[i, j] < counts[i - 1, j]:
                out[i] = True
                break


@kernel
def increments(counts: Ints, prev: Ints, out: Ints) -> None:
    """out[i] = counts[i] - counts[prev[i]] per bucket, with the conventions of `increase`."""
    for i in range(counts.shape[0]):
        for j in range(counts.shape[1]):
            if prev[i] == NOTHING:
                out[i, j] = 0
            elif prev[i] == FROM_ZERO:
                out[i, j] = counts[i, j]
            else:
                out[i, j] = counts[i, j] - counts[prev[i], j]


@kernel
def slice_counts(start: Ints, end: Ints, counts: Ints, origin: int, width: int, out: Ints) -> None:
    """Add the shares of every interval (start, end] to the slices; out is (slices, buckets)."""
    spread_explicit(start, end, counts, grid(origin, width, out.shape[0]), out)


@kernel
def coarsen(counts: Ints, target: Ints, out: Ints) -> None:
    """Add bucket j of `counts` into out[target[j]]: the sum over buckets whose inner bounds are dropped."""
    for j in range(len(counts)):
        out[target[j]] += counts[j]
