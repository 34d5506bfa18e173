"""Runs of flags in a row, and runs of time. Index arithmetic on arrays; knows no method."""

import numpy as np

from services.sla.methods.intervals import Flags
from services.sla.model import Ints


def runs_of(flags: Flags) -> tuple[Ints, Ints]:
    """(first, behind the last) index of each run of true flags."""
    edges = np.diff(flags.astype(np.int8), prepend=np.int8(0), append=np.int8(0))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def keep_long_runs(flags: Flags, at_least: int) -> Flags:
    """The flags that are in runs of `at_least` or more."""
    first, behind = runs_of(flags)
    long = behind - first >= at_least
    steps = np.zeros(len(flags) + 1, np.int64)
    steps[first[long]] = 1
    steps[behind[long]] -= 1
    return np.cumsum(steps[:-1]) > 0


def joined(starts: Ints, ends: Ints) -> tuple[tuple[int, int], ...]:
    """Spans of time, ordered and not overlapping, with those that touch made one."""
    if len(starts) == 0:
        return ()
    apart = starts[1:] != ends[:-1]
    first = starts[np.concatenate((np.ones(1, np.bool_), apart))]
    last = ends[np.concatenate((apart, np.ones(1, np.bool_)))]
    return tuple(zip(first.tolist(), last.tolist(), strict=True))
