"""Bad and total events of windows that end with the data, from which burn rates follow.

Burn rate = (bad/total) / (1 - target) over one window (Site Reliability Workbook, chapter 5:
https://sre.google/workbook/alerting-on-slos/). The division is left to callers, who do it in rationals; a
threshold is compared here as a product, exactly. A window counts only when enough of it is known.
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel
from services.sla.kernels.wide import greater

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

BAD, TOTAL, NO_DATA, VALID = 0, 1, 2, 3
"""Rows of what `many` takes and the last axis of what it gives; VALID includes NO_DATA."""


@kernel
def window_counts(start: Ints, good: Ints, total: Ints, begin: int) -> tuple[int, int]:
    """(bad, total) of the slices with start >= begin; slices are ordered by start. (0, 0) for none."""
    bad = 0
    all_ = 0
    k = len(start) - 1
    while k >= 0 and start[k] >= begin:
        bad += total[k] - good[k]
        all_ += total[k]
        k -= 1
    return bad, all_


@kernel
def columns(good: Ints, total: Ints, durations: Ints, out: Ints) -> None:
    """Fill `out`, (4, slices), with what `many` takes from the columns of slices.

    durations is (6, slices): up, degraded, down, excluded, no_data, not_started. Valid is all that is
    neither excluded nor before the start.
    """
    for k in range(len(good)):
        out[BAD, k] = total[k] - good[k]
        out[TOTAL, k] = total[k]
        out[NO_DATA, k] = durations[4, k]
        out[VALID, k] = durations[0, k] + durations[1, k] + durations[2, k] + durations[4, k]


@kernel
def many(at: Ints, start: Ints, slices: Ints, anchor: Ints, windows: Ints, out: Ints) -> None:
    """Sums over every window of every objective, each slice read once.

    Args:
        at: the slices of objective i are at[i]:at[i+1].
        start: of each slice, ascending within an objective. Slices may differ in length, hours first and
            ten seconds last, as long as windows begin where a slice does.
        slices: (4, all slices): bad, total, no_data, valid.
        anchor: per objective the end of its windows: the watermark of its data, never the wall clock.
        windows: lengths, ascending, in the unit of start.
        out: (objectives, windows, 4), overwritten. Slice s is in a window of length w when
            anchor - w <= start[s] < anchor.
    """
    for i in range(len(at) - 1):
        k = at[i + 1] - 1
        while k >= at[i] and start[k] >= anchor[i]:
            k -= 1
        bad, total, no_data, valid = 0, 0, 0, 0
        for w in range(len(windows)):
            begin = anchor[i] - windows[w]
            while k >= at[i] and start[k] >= begin:
                bad += slices[BAD, k]
                total += slices[TOTAL, k]
                no_data += slices[NO_DATA, k]
                valid += slices[VALID, k]
                k -= 1
            out[i, w, BAD] = bad
            out[i, w, TOTAL] = total
            out[i, w, NO_DATA] = no_data
            out[i, w, VALID] = valid


@kernel
def known(sums: Ints, missing: Ints, floor: Ints, out: Bools) -> None:
    """out[i, w] = coverage 1 - no_data/valid >= floor[0]/floor[1], exactly; False when nothing is valid.

    Args:
        sums: as `many` gives them.
        missing: (objectives, windows): time of the window that no slice tells of, but should; it counts
            as no data. Zeros where slices leave no hole.
        floor: the coverage floor as a fraction.
    """
    for i in range(sums.shape[0]):
        for w in range(sums.shape[1]):
            valid = sums[i, w, VALID] + missing[i, w]
            told = sums[i, w, VALID] - sums[i, w, NO_DATA]
            out[i, w] = valid > 0 and not greater(floor[0], valid, told, floor[1])


@kernel
def exceeds(sums: Ints, limit: Ints, least_bad: int, usable: Bools, out: Bools) -> None:
    """out[i, w] = bad/total > limit and bad >= least_bad, exactly; never where the window is not usable.

    Args:
        sums: as `many` gives them.
        limit: (objectives, windows, 2): the share of bad requests as a fraction, which is the burn rate's
            factor times (1 - target). 0/1 for a target of 100 %: any failure exceeds it.
        least_bad: fewer bad requests never exceed.
        usable: as `known` gives it.
    """
    for i in range(sums.shape[0]):
        for w in range(sums.shape[1]):
            bad = sums[i, w, BAD]
            over = greater(bad, limit[i, w, 1], limit[i, w, 0], sums[i, w, TOTAL])
            out[i, w] = usable[i, w] and over and bad >= max(1, least_bad)
