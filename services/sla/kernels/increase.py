"""What each cumulative or delta point adds: its interval, its increment, and the point it builds on.

Rules: OpenTelemetry metrics data model, "Resets and Gaps" and "Overlap"
(https://opentelemetry.io/docs/specs/otel/metrics/data-model/#resets-and-gaps). Knows only arrays.
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FROM_ZERO = -1
"""`out_prev` of a point whose whole value is its increment."""

NOTHING = -2
"""`out_prev` of a point that adds nothing: it is only the base of the next one."""

START_ABSENT = 1
"""Bit of `bits`: the point carried no start time."""

START_IS_TIME = 2
"""Bit of `bits`: start equalled time on the nanosecond, which means an unknown start."""


@kernel
def increase(
    group: Ints, start: Ints, ts: Ints, bits: Ints, delta: Bools, fell: Bools, out_from: Ints, out_prev: Ints
) -> None:
    """Interval (out_from, ts] and base of each point.

    Rows are sorted by (group, ts) with ts rising strictly inside a group, where a group is one
    (series, start). `fell[i]`: the count or any bucket of row i is below that of row i-1; only read where
    both are of one cumulative group. The increment of row i is value[i] - value[out_prev[i]],
    value[i] for FROM_ZERO and 0 for NOTHING.

    A first point with a known start counts from that start; with an absent or unknown start it is only a
    base. A fall inside a group is a reset that nobody announced: the new value counts from the previous
    point. A later start is another group, so it counts from that start. A delta point is its own
    increment over (start, ts]; without a usable start it belongs to the instant of its time.
    """
    for i in range(len(ts)):
        unknown = (bits[i] & (START_ABSENT | START_IS_TIME)) != 0
        if delta[i]:
            out_prev[i] = FROM_ZERO
            out_from[i] = ts[i] if unknown else min(start[i], ts[i])
        elif i > 0 and group[i] == group[i - 1]:
            out_prev[i] = FROM_ZERO if fell[i] else i - 1
            out_from[i] = ts[i - 1]
        elif unknown:
            out_prev[i] = NOTHING
            out_from[i] = ts[i]
        else:
            out_prev[i] = FROM_ZERO
            out_from[i] = min(start[i], ts[i])


@kernel
def count_fell(group: Ints, count: Ints, out: Bools) -> None:
    """out[i] = count[i] < count[i-1] inside one group; False on the first row of a group."""
    for i in range(len(count)):
        out[i] = i > 0 and group[i] == group[i - 1] and count[i] < count[i - 1]


@kernel
def increments(count: Ints, prev: Ints, out: Ints) -> None:
    """out[i] = count[i] - count[prev[i]], with the conventions of `increase`; never negative there."""
    for i in range(len(count)):
        if prev[i] == NOTHING:
            out[i] = 0
        elif prev[i] == FROM_ZERO:
            out[i] = count[i]
        else:
            out[i] = count[i] - count[prev[i]]
