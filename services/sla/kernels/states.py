"""The one state of each instant, from events that overlap: up, degraded, down, excluded, no data.

Every event is an interval with a state; where several overlap, the one whose state comes first in the
order of precedence decides; where there is none, a state that the caller names. So each instant has exactly
one state, and the durations of a slice sum to its length to the unit (nanoseconds, usually).
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel
from services.sla.kernels.intervals import ascending

Ints = NDArray[np.int64]


@kernel
def timeline(
    start: Ints, end: Ints, state: Ints, order: Ints, low: int, high: int, default: int
) -> tuple[Ints, Ints]:
    """(edges, states) of [low, high): states[k] holds in [edges[k], edges[k+1]), and neighbours differ.

    Args:
        start, end: half-open intervals in any order, overlapping or not; empty ones do not count.
        state: of each interval, from 0 to len(order) - 1.
        order: order[s] is the place of state s in the precedence: the lowest decides. No two are equal.
        low, high: which time; low == high gives no state.
        default: of the time in no interval.
    """
    n = len(start)
    times = np.empty(2 * n, np.int64)
    for i in range(n):
        times[2 * i] = min(max(start[i], low), high)
        times[2 * i + 1] = min(max(end[i], low), high)
    active = np.zeros(len(order), np.int64)
    edges = np.empty(2 * n + 2, np.int64)
    states = np.empty(2 * n + 1, np.int64)
    edges[0] = low
    if low >= high:
        return edges[:1].copy(), states[:0].copy()
    states[0] = default
    last = 0
    by_time = ascending(times)
    for place in range(len(by_time)):
        m = by_time[place]
        i = m // 2
        if start[i] < end[i]:
            active[state[i]] += 1 if m % 2 == 0 else -1
        at = times[m]
        if at >= high:
            break
        if place + 1 < len(by_time) and times[by_time[place + 1]] == at:
            continue
        now = _deciding(active, order, default)
        if at == low:
            states[0] = now
        elif now != states[last]:
            last += 1
            edges[last] = at
            states[last] = now
    edges[last + 1] = high
    return edges[: last + 2].copy(), states[: last + 1].copy()


@kernel
def _deciding(active: Ints, order: Ints, default: int) -> int:
    """The state with the lowest place among those that hold now."""
    found = -1
    for s in range(len(active)):
        if active[s] > 0 and (found < 0 or order[s] < order[found]):
            found = s
    return default if found < 0 else found


@kernel
def durations(edges: Ints, states: Ints, slices: Ints, out: Ints) -> None:
    """Add to out[k, s] how long state s held in [slices[k], slices[k+1]); `edges, states` as of `timeline`.

    Where the timeline covers the slices, out[k] sums to the slice's length.
    """
    first = 0
    for k in range(out.shape[0]):
        while first < len(states) and edges[first + 1] <= slices[k]:
            first += 1
        m = first
        while m < len(states) and edges[m] < slices[k + 1]:
            out[k, states[m]] += max(0, min(edges[m + 1], slices[k + 1]) - max(edges[m], slices[k]))
            m += 1


@kernel
def of_state(edges: Ints, states: Ints, wanted: int) -> Ints:
    """The set of time (as of `intervals`) in which one state held: the down intervals of a report."""
    n = 0
    for k in range(len(states)):
        n += states[k] == wanted
    out = np.empty((n, 2), np.int64)
    n = 0
    for k in range(len(states)):
        if states[k] == wanted:
            out[n, 0] = edges[k]
            out[n, 1] = edges[k + 1]
            n += 1
    return out
