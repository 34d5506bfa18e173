"""Slices that are not all of one width: what `spread` does on a grid, over any ascending edges.

Piece k is (edges[k], edges[k+1]]. Where maintenance cuts slices into pieces, the events of an interval are
shared out over the pieces by the same cumulative floor rule, so the pieces of a slice sum to what the
slice would hold. Times are milliseconds, as for `spread`. Edges are ascending; a piece of no length is empty.
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel
from services.sla.kernels.spread import mul_div

Ints = NDArray[np.int64]


@kernel
def grid(origin: int, width: int, count: int) -> Ints:
    """The edges of `count` slices of one width."""
    out = np.empty(count + 1, np.int64)
    for k in range(count + 1):
        out[k] = origin + k * width
    return out


@kernel
def below(edges: Ints, value: int) -> int:
    """How many edges are < value."""
    low = 0
    high = len(edges)
    # Edges are mostly nearly even: a guess that is right within two needs no search. 14 -> 7 ms for
    # 100 000 intervals over a day.
    if high > 8 and edges[0] < value <= edges[high - 1] and edges[0] < edges[high - 1]:
        guess = int((value - edges[0]) / (edges[high - 1] - edges[0]) * (high - 1))
        if guess > 1 and edges[guess - 2] < value:
            low = guess - 1
        if guess + 2 < high and edges[guess + 2] >= value:
            high = guess + 2
    while low < high:
        middle = (low + high) // 2
        if edges[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def pieces(s: int, e: int, edges: Ints) -> tuple[int, int]:
    """First and last piece that (s, e] touches; first > last when there is none.

    An instant (s == e) touches the one piece that it ends or lies in.
    """
    after = below(edges, e)
    last = min(after - 1, len(edges) - 2)
    if s == e:
        return (last, last) if 0 < after < len(edges) else (0, -1)
    return max(0, below(edges, s + 1) - 1), last


@kernel
def before(n: int, s: int, e: int, t: int) -> int:
    """How many of the n events of (s, e] happened until t: floor(n * (t - s) / (e - s))."""
    if t >= e:
        return n
    if t <= s:
        return 0
    return mul_div(n, t - s, e - s)


@kernel
def spread_edges(start: Ints, end: Ints, n: Ints, edges: Ints, out: Ints) -> None:
    """Add each interval's n events (start, end] to the pieces; out has len(edges) - 1 elements.

    On the edges of `grid` the same as `spread.spread`. What falls outside the edges is not counted.
    """
    for i in range(len(n)):
        if n[i] == 0:
            continue
        first, last = pieces(start[i], end[i], edges)
        done = before(n[i], start[i], end[i], edges[first]) if first <= last else 0
        for k in range(first, last + 1):
            until = before(n[i], start[i], end[i], edges[k + 1])
            out[k] += until - done
            done = until


@kernel
def spread_explicit(start: Ints, end: Ints, counts: Ints, edges: Ints, out: Ints) -> None:
    """Add the buckets of every interval to the pieces; counts is (rows, n), out (pieces, n)."""
    for i in range(len(start)):
        first, last = pieces(start[i], end[i], edges)
        for j in range(counts.shape[1] if first <= last else 0):
            n = counts[i, j]
            if n == 0:
                continue
            done = before(n, start[i], end[i], edges[first])
            for k in range(first, last + 1):
                until = before(n, start[i], end[i], edges[k + 1])
                out[k, j] += until - done
                done = until


@kernel
def kept(edges: Ints, cuts: Ints) -> tuple[Ints, Ints, Ints]:
    """The pieces into which intervals cut slices: (their edges, the slice of each, 1 where it is cut out).

    `edges` are those of the slices; `cuts` is (n, 2), sorted and disjoint, as `intervals.normalise` gives
    it. Counts over the pieces with 0 are what is left of a slice.
    """
    size = len(edges) + 2 * len(cuts)
    out = np.empty(size, np.int64)
    owner = np.empty(size, np.int64)
    cut = np.empty(size, np.int64)
    total = 0
    c = 0
    for k in range(len(edges) - 1):
        at = edges[k]
        while at < edges[k + 1]:
            while c < len(cuts) and cuts[c, 1] <= at:
                c += 1
            inside = c < len(cuts) and cuts[c, 0] <= at
            stop = edges[k + 1]
            if c < len(cuts):
                stop = min(stop, cuts[c, 1] if inside else cuts[c, 0])
            out[total] = at
            owner[total] = k
            cut[total] = 1 if inside else 0
            total += 1
            at = stop
    out[total] = edges[-1]
    return out[: total + 1].copy(), owner[:total].copy(), cut[:total].copy()
