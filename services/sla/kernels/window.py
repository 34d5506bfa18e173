"""Sums over the slices of windows. Additive, so any cut of a window gives the same figures."""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel

Ints = NDArray[np.int64]

_MOST = (1 << 63) - 1


@kernel
def totals(columns: Ints, out: Ints) -> None:
    """out[c] += the sum of columns[c, :]; one row for each of good, total and the six durations."""
    for c in range(columns.shape[0]):
        sum_ = 0
        for k in range(columns.shape[1]):
            sum_ += columns[c, k]
        out[c] += sum_


@kernel
def running(values: Ints, out: Ints) -> bool:
    """out[k] = the sum of the first k values, which are >= 0; out has one element more than values.

    False, with `out` unusable, when a value is negative or a sum would not fit into 63 bits: that never
    happens with nanoseconds of a life-time or requests of this world, so it means a broken slice.
    """
    out[0] = 0
    for k in range(len(values)):
        if values[k] < 0 or out[k] > _MOST - values[k]:
            return False
        out[k + 1] = out[k] + values[k]
    return True


@kernel
def places(start: Ints, at: Ints, out: Ints) -> None:
    """out[i] = how many slices start before at[i]; both ascending, one walk over both."""
    k = 0
    for i in range(len(at)):
        while k < len(start) and start[k] < at[i]:
            k += 1
        out[i] = k


@kernel
def between(sums: Ints, begin: Ints, end: Ints, out: Ints) -> None:
    """out[c, i] = the sum of column c over the slices begin[i]:end[i] (of `places`).

    `sums` is (columns, slices + 1), each row as `running` gives it. Rolling windows at every step and
    calendar windows are the same to this: two places each. A window of no slices gives 0.
    """
    for c in range(out.shape[0]):
        for i in range(len(begin)):
            out[c, i] = sums[c, end[i]] - sums[c, begin[i]] if end[i] > begin[i] else 0


@kernel
def rolling(start: Ints, sums: Ints, steps: Ints, length: int, out: Ints) -> None:
    """out[c, i] = the sum of column c over the slices with steps[i] - length <= start < steps[i].

    The window of `length` that ends at each step; steps are ascending, `sums` as for `between`.
    """
    begin = np.empty(len(steps), np.int64)
    end = np.empty(len(steps), np.int64)
    places(start, steps - length, begin)
    places(start, steps, end)
    between(sums, begin, end, out)


@kernel
def consecutive(start: Ints, sums: Ints, edges: Ints, out: Ints) -> None:
    """out[c, i] = the sum of column c over the slices with edges[i] <= start < edges[i+1].

    Days, weeks, months: edges are ascending and come from the contract's calendar; `sums` as for `between`.
    """
    at = np.empty(len(edges), np.int64)
    places(start, edges, at)
    between(sums, at[:-1], at[1:], out)
