"""How a window divides into its states, to the nanosecond, from slices and from sums of hours alike."""

import numpy as np

from services.sla.kernels import window
from services.sla.model import NS_PER_MS, SliceColumns
from services.sla.verdict import Times


def totals_of(
    columns: SliceColumns, start_ms: int, end_ms: int, first_ms: int | None = None
) -> tuple[int, int, Times]:
    """(good, total, times) of [start, end); the times sum to its length.

    columns: the slices that start in it. first_ms: start of the objective's first slice ever; before it the
    objective had not started, after it time without a slice is without data. None: the first of `columns`.
    """
    table = np.vstack((columns.good, columns.total, columns.durations))
    out = np.zeros(8, np.int64)
    window.totals(np.ascontiguousarray(table), out)
    good, total, *durations = (int(n) for n in out)
    begin = first_ms
    if begin is None:
        begin = int(columns.start_ms[0]) if len(columns.start_ms) else end_ms
    missing = (end_ms - start_ms) * NS_PER_MS - sum(durations)
    before = min(max(0, begin - start_ms), end_ms - start_ms) * NS_PER_MS
    before = min(before, missing)
    times = Times(*durations)
    return (
        good,
        total,
        Times(
            times.up_ns,
            times.degraded_ns,
            times.down_ns,
            times.excluded_ns,
            times.no_data_ns + missing - before,
            times.not_started_ns + before,
        ),
    )


def added(parts: list[Times], not_started_ns: int = 0) -> Times:
    """The times of windows that follow on each other, with time in which nothing was promised."""
    return Times(
        up_ns=sum(one.up_ns for one in parts),
        degraded_ns=sum(one.degraded_ns for one in parts),
        down_ns=sum(one.down_ns for one in parts),
        excluded_ns=sum(one.excluded_ns for one in parts),
        no_data_ns=sum(one.no_data_ns for one in parts),
        not_started_ns=not_started_ns + sum(one.not_started_ns for one in parts),
    )
