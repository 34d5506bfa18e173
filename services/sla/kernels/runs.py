"""Bad intervals in a row: what a contract with consecutive minutes calls a period of downtime.

Such contracts (https://cloud.google.com/vertex-ai/generative-ai/sla and the like) count only at least k
whole, aligned, consecutive bad minutes; shorter stretches and parts of minutes are no downtime. Only
integers: a share is compared as a product.
"""

import numpy as np
from numpy.typing import NDArray

from services.sla.kernels._jit import kernel
from services.sla.kernels.wide import greater

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@kernel
def bad_by_rate(good: Ints, total: Ints, above: Ints, least: int, out: Bools) -> None:
    """out[i] = bad/total > above[0]/above[1] and total >= least, exactly; never without a request.

    An interval with too few requests is not bad, so it ends a run.
    """
    for i in range(len(good)):
        enough = total[i] >= max(1, least)
        out[i] = enough and greater(total[i] - good[i], above[1], above[0], total[i])


@kernel
def bad_if_all_fail(good: Ints, total: Ints, least: int, out: Bools) -> None:
    """out[i] = every request of interval i failed, and there were at least `least` (and one)."""
    for i in range(len(good)):
        out[i] = total[i] >= max(1, least) and good[i] == 0


@kernel
def bad_by_time(bad: Ints, low: int, unit: int, partial: bool, out: Bools) -> None:
    """out[i] = the unit [low + i*unit, +unit) is bad throughout; with `partial`: bad at any time in it.

    `bad` is a set of time as `intervals` has it, in the unit of `low`. 59 bad seconds make no bad
    minute unless `partial`, and 60 do when they are one aligned minute.
    """
    first = 0
    for i in range(len(out)):
        a = low + i * unit
        b = a + unit
        while first < len(bad) and bad[first, 1] <= a:
            first += 1
        out[i] = False
        if first < len(bad):
            some = bad[first, 0] < b
            out[i] = some if partial else bad[first, 0] <= a and bad[first, 1] >= b


@kernel
def leave_out(kept: Ints, length: int, partial: bool, bad: Bools) -> None:
    """Take back what is bad where kept[i], the time of the interval that counts, is not all of it.

    With `partial` an interval may count with what is left, so only one of which nothing is left goes.
    """
    for i in range(len(bad)):
        if kept[i] < (1 if partial else length):
            bad[i] = False


@kernel
def runs(bad: Bools, at_least: int) -> Ints:
    """(n, 2): first interval and the one behind the last of every run of at least `at_least` bad ones."""
    out = np.empty((len(bad) // max(1, at_least) + 1, 2), np.int64)
    n = 0
    begun = -1
    for i in range(len(bad) + 1):
        if i < len(bad) and bad[i]:
            if begun < 0:
                begun = i
            continue
        if begun >= 0 and i - begun >= at_least:
            out[n, 0] = begun
            out[n, 1] = i
            n += 1
        begun = -1
    return out[:n].copy()


@kernel
def downtime(bad: Bools, at_least: int, length: Ints) -> int:
    """The sum of length[i] over the intervals in runs of at least `at_least`."""
    found = runs(bad, at_least)
    total = 0
    for r in range(len(found)):
        for i in range(found[r, 0], found[r, 1]):
            total += length[i]
    return total
