"""Which time an objective's senders cover. Zero traffic of a live sender is covered time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.sla.kernels import coverage
from services.sla.model import Exports, Ints, Series

LOOKBACK_MS = 600_000
"""How far before an export its interval is learned, and the longest silence that can count as covered."""

DEFAULT_INTERVAL_MS = 60_000
"""Export interval of a sender that has shown none: the default of the OpenTelemetry SDKs."""

TOLERANCE = 5
"""A silence of more than this many export intervals covers nothing."""


@dataclass(frozen=True, slots=True)
class Covered:
    """One element an export, sorted by sender and time: (start, ts] is covered."""

    sender: Ints
    start: Ints
    ts: Ints
    interval: Ints


@dataclass(frozen=True, slots=True)
class Sender:
    """The last that is known of a sender."""

    last_ms: int
    interval_ms: int


def covered(exports: Exports, senders: Mapping[int, int]) -> Covered:
    """The intervals that exports cover; `senders` maps a series to its sender, others are left out."""
    sender = np.array([senders.get(s, -1) for s in exports.series.tolist()], np.int64)
    known = np.array([s in senders for s in exports.series.tolist()], np.bool_)
    pairs = np.stack((sender[known], exports.ts[known]), axis=1)
    unique, member = np.unique(pairs, axis=0, return_inverse=True)
    who = np.ascontiguousarray(unique[:, 0])
    ts = np.ascontiguousarray(unique[:, 1])
    interval = np.zeros(len(ts), np.int64)
    coverage.learn_intervals(who, ts, LOOKBACK_MS, DEFAULT_INTERVAL_MS, interval)
    oldest = ts - np.minimum(TOLERANCE * interval, LOOKBACK_MS)
    start = ts.copy()
    named = exports.start[known]
    member = member.reshape(-1)
    usable = (named > 0) & (named >= oldest[member])
    np.minimum.at(start, member[usable], named[usable])
    coverage.covered_from(who, ts, oldest, start)
    return Covered(who, start, ts, interval)


def covered_ms(intervals: Covered, *, origin_ms: int, width_ms: int, slices: int) -> Ints:
    """Milliseconds of each slice that at least one sender covers."""
    order = np.argsort(intervals.start, kind="stable")
    out = np.zeros(slices, np.int64)
    coverage.union_lengths(intervals.start[order], intervals.ts[order], origin_ms, width_ms, out)
    return out


def latest(intervals: Covered) -> dict[int, Sender]:
    """The last export of each sender with the interval learned by then."""
    return {
        int(who): Sender(int(ts), int(interval))
        for who, ts, interval in zip(intervals.sender, intervals.ts, intervals.interval, strict=True)
    }


def sender_ids(series: Mapping[int, Series]) -> dict[int, int]:
    """Series to sender."""
    return {series_id: one.sender_id for series_id, one in series.items()}
