"""Sets of time: union, intersection, difference, lengths. For maintenance, outages and coverage.

A set is an (n, 2) int64 array of half-open intervals [start, end) in any one unit, sorted, disjoint and not
touching: what `normalise` gives. The other kernels expect such sets and return such sets, so that no
nanosecond is counted twice however maintenance windows and outages overlap.
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel

Ints = NDArray[np.int64]


@kernel
def ascending(values: Ints) -> Ints:
    """The places of the values in ascending order. One kernel, because sorting takes long to compile."""
    return np.argsort(values)


@kernel
def normalise(start: Ints, end: Ints) -> Ints:
    """The set of the intervals [start[i], end[i]), in any order and overlapping; empty ones vanish."""
    order = ascending(start)
    out = np.empty((len(start), 2), np.int64)
    n = 0
    for i in order:
        if start[i] >= end[i]:
            continue
        if n > 0 and start[i] <= out[n - 1, 1]:
            out[n - 1, 1] = max(out[n - 1, 1], end[i])
        else:
            out[n, 0] = start[i]
            out[n, 1] = end[i]
            n += 1
    return out[:n].copy()


@kernel
def union(a: Ints, b: Ints) -> Ints:
    """What is in a or in b."""
    start = np.concatenate((a[:, 0], b[:, 0]))
    end = np.concatenate((a[:, 1], b[:, 1]))
    return normalise(start, end)


@kernel
def intersection(a: Ints, b: Ints) -> Ints:
    """What is in both."""
    out = np.empty((len(a) + len(b), 2), np.int64)
    n = 0
    i = 0
    j = 0
    while i < len(a) and j < len(b):
        low = max(a[i, 0], b[j, 0])
        high = min(a[i, 1], b[j, 1])
        if low < high:
            out[n, 0] = low
            out[n, 1] = high
            n += 1
        if a[i, 1] < b[j, 1]:
            i += 1
        else:
            j += 1
    return out[:n].copy()


@kernel
def difference(a: Ints, b: Ints) -> Ints:
    """What is in a and not in b."""
    out = np.empty((len(a) + len(b), 2), np.int64)
    n = 0
    j = 0
    for i in range(len(a)):
        low = a[i, 0]
        while j < len(b) and b[j, 1] <= low:
            j += 1
        m = j
        while m < len(b) and b[m, 0] < a[i, 1]:
            if b[m, 0] > low:
                out[n, 0] = low
                out[n, 1] = b[m, 0]
                n += 1
            low = max(low, b[m, 1])
            m += 1
        if low < a[i, 1]:
            out[n, 0] = low
            out[n, 1] = a[i, 1]
            n += 1
    return out[:n].copy()


@kernel
def clip(a: Ints, low: int, high: int) -> Ints:
    """What lies in [low, high)."""
    window = np.empty((1, 2), np.int64)
    window[0, 0] = low
    window[0, 1] = max(low, high)
    return intersection(a, window)


@kernel
def length(a: Ints) -> int:
    """The length of all of it."""
    total = 0
    for i in range(len(a)):
        total += a[i, 1] - a[i, 0]
    return total


@kernel
def lengths(a: Ints, edges: Ints, out: Ints) -> None:
    """Add to out[k] the length of the set within [edges[k], edges[k+1]); edges are ascending."""
    i = 0
    for k in range(len(out)):
        while i < len(a) and a[i, 1] <= edges[k]:
            i += 1
        m = i
        while m < len(a) and a[m, 0] < edges[k + 1]:
            out[k] += max(0, min(a[m, 1], edges[k + 1]) - max(a[m, 0], edges[k]))
            m += 1
