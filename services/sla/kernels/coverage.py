"""Which time the senders cover: the intervals of their exports and their union in each slice.

A sender is one resource. Each export covers back to the sender's previous export, or to the start that
it names. Knows only arrays; times are milliseconds.
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel

Ints = NDArray[np.int64]


@kernel
def learn_intervals(sender: Ints, ts: Ints, lookback: int, default: int, out: Ints) -> None:
    """The export interval of a sender as known just before each export.

    Rows are sorted by (sender, ts), one for each export. out[i] = the lower median of the gaps that ended
    before ts[i] and began at or after ts[i] - lookback, `default` when there is none. It looks back a
    fixed time from the export itself, so the same exports give the same answer whatever else is loaded.
    """
    gaps = np.zeros(len(ts), np.int64)
    for i in range(len(ts)):
        n = 0
        j = i - 1
        while j > 0 and sender[j - 1] == sender[i] and ts[j - 1] >= ts[i] - lookback:
            gaps[n] = ts[j] - ts[j - 1]
            n += 1
            j -= 1
        out[i] = default if n == 0 else np.sort(gaps[:n])[(n - 1) // 2]


@kernel
def covered_from(sender: Ints, ts: Ints, oldest: Ints, out: Ints) -> None:
    """Where out[i] already holds the earliest start that export i names (ts[i] when it names none), put in
    the sender's previous export if that is earlier.

    Only what is not before oldest[i] covers: a longer silence is a gap.
    """
    for i in range(len(ts)):
        if i > 0 and sender[i - 1] == sender[i] and oldest[i] <= ts[i - 1] < out[i]:
            out[i] = ts[i - 1]


@kernel
def union_lengths(start: Ints, end: Ints, origin: int, width: int, out: Ints) -> None:
    """Add to out[k] the milliseconds of slice k that at least one interval covers.

    Intervals are sorted by start; slice k is origin + k*width and `width` long.
    """
    reach = origin
    limit = origin + len(out) * width
    for i in range(len(start)):
        low = max(start[i], reach)
        high = min(end[i], limit)
        while low < high:
            k = (low - origin) // width
            stop = min(high, origin + (k + 1) * width)
            out[k] += stop - low
            low = stop
        reach = max(reach, high)
