"""Months of slices as columns at once: a list of 43 200 slices costs more than what is tested on it."""

import numpy as np

from services.sla.methods.measure import measure
from services.sla.model import NoData, SliceColumns
from services.sla.verdict import Times

NS = 10**6


def month_of(start_ms, length_ms, good, total, down_ns=0):
    """Slices in a row, covered throughout; good, total and down_ns by slice, or one for all."""
    count = max(np.size(good), np.size(total), np.size(down_ns))
    none = np.zeros(count, np.int64)
    durations = np.zeros((6, count), np.int64)
    durations[2] = down_ns
    durations[0] = length_ms * NS - durations[2]
    return SliceColumns(
        start_ms=start_ms + np.arange(count, dtype=np.int64) * length_ms,
        length_ms=none + length_ms,
        good=none + good,
        total=none + total,
        durations=durations,
        kind=none,
        scale=none,
        offset=none,
        zero_count=none,
        at=np.zeros(count + 1, np.int64),
        counts=none[:0],
        bounds_at=np.zeros(count + 1, np.int64),
        bounds=np.zeros(0, np.float64),
        sealed=none == 0,
        revision=none,
        known_at_ms=none,
        seq=none,
    )


def measured_month(method, columns, no_data=NoData.EXCLUDE):
    """The share of a month without gaps, from its first slice to its last."""
    return measure(
        method,
        columns,
        start_ms=int(columns.start_ms[0]),
        end_ms=int(columns.start_ms[-1] + columns.length_ms[-1]),
        times=Times(*(int(ns) for ns in columns.durations.sum(axis=1))),
        no_data=no_data,
        excluded_counts_up=False,
    )
