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
    in [ts[i] - lookback, ts[i]) of that sender, `default` when there is none. It looks back a fixed time
    from the export itself, so the same exports give the same answer whatever else is loaded.
    """
    gaps = np.empty(len(ts), np.int64)
    for i in range(len(ts)):
        n = 0
        j = i - 1
        while j > 0 and sender[j] == sender[i] and ts[j] >= ts[i] - lookback:
            if sender[j - 1] == sender[i]:
                gaps[n] = ts[j] - ts[j - 1]
                n += 1
            j -= 1
        out[i] = default if n == 0 else np.sort(gaps[:n])[(n - 1) // 2]


@kernel
def covered_from(sender: Ints, ts: Ints, start: Ints, interval: Ints, tolerance: int, out: Ints) -> None:
    """From when each export covers: the earliest of the sender's previous export and its own start.

    start[i] = the earliest start that the export names and that is no older than tolerance intervals, or
    -1. A candidate older than `tolerance` intervals covers nothing; with no candidate out[i] = ts[i].
    """
    for i in range(len(ts)):
        oldest = ts[i] - tolerance * interval[i]
        out[i] = ts[i]
        if i > 0 and sender[i - 1] == sender[i] and ts[i - 1] >= oldest:
            out[i] = ts[i - 1]
        if start[i] >= oldest and 0 <= start[i] < out[i]:
            out[i] = start[i]


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
