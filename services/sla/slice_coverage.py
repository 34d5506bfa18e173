"""Which time an objective's senders cover. Zero traffic of a live sender is covered time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.sla.kernels import coverage, intervals
from services.sla.model import Exports, Heartbeats, Ints, Series

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


def covered(exports: Exports, beats: Heartbeats, senders: Mapping[int, int]) -> Covered:
    """The intervals that reports cover; `senders` maps a series to its sender, others are left out."""
    sender = np.array([senders.get(s, -1) for s in exports.series.tolist()], np.int64)
    known = np.array([s in senders for s in exports.series.tolist()], np.bool_)
    alive = np.isin(beats.sender, np.array(sorted(set(senders.values())), np.int64))
    pairs = np.stack(
        (
            np.concatenate((sender[known], beats.sender[alive])),
            np.concatenate((exports.ts[known], beats.ts[alive])),
        ),
        axis=1,
    )
    unique, member = np.unique(pairs, axis=0, return_inverse=True)
    who = np.ascontiguousarray(unique[:, 0])
    ts = np.ascontiguousarray(unique[:, 1])
    interval = np.zeros(len(ts), np.int64)
    coverage.learn_intervals(who, ts, LOOKBACK_MS, DEFAULT_INTERVAL_MS, interval)
    oldest = ts - np.minimum(TOLERANCE * interval, LOOKBACK_MS)
    start = ts.copy()
    named = exports.start[known]
    member = member.reshape(-1)[: len(named)]
    usable = (named > 0) & (named >= oldest[member])
    np.minimum.at(start, member[usable], named[usable])
    coverage.covered_from(who, ts, oldest, start)
    return Covered(who, start, ts, interval)


def covered_time(cover: Covered) -> Ints:
    """The set of time that at least one sender covers, (n, 2) milliseconds."""
    return intervals.normalise(cover.start, cover.ts)


def latest(intervals: Covered) -> dict[int, Sender]:
    """The last export of each sender with the interval learned by then."""
    return {
        int(who): Sender(int(ts), int(interval))
        for who, ts, interval in zip(intervals.sender, intervals.ts, intervals.interval, strict=True)
    }


@dataclass(frozen=True, slots=True)
class Reports:
    """When processes reported. Of one resource there may be several at a time.

    A cumulative process is known by its start: `times` in order by (sender, start). The series of one delta
    process come in one export: `starts` is the latest start by (sender, time).
    """

    times: Mapping[tuple[int, int], Ints]
    starts: Mapping[tuple[int, int], int]

    def before(self, series: Series, *, start_ms: int, ts_ms: int) -> int:
        """The last report of the process before its point of (start, ts]; 0 when none is known."""
        if series.delta:
            return self.starts.get((series.sender_id, ts_ms), 0)
        times = self.times.get((series.sender_id, start_ms))
        place = 0 if times is None else int(np.searchsorted(times, ts_ms))
        return 0 if times is None or place == 0 else int(times[place - 1])


def reports_of(exports: Exports, series: Mapping[int, Series]) -> Reports:
    """When each process reported, from the exports that are at hand."""
    times: dict[tuple[int, int], set[int]] = {}
    starts: dict[tuple[int, int], int] = {}
    for series_id, ts, start in zip(
        exports.series.tolist(), exports.ts.tolist(), exports.start.tolist(), strict=True
    ):
        one = series.get(series_id)
        if one is None or start == 0:
            continue
        if one.delta:
            key = (one.sender_id, ts)
            starts[key] = max(starts.get(key, 0), start)
        else:
            times.setdefault((one.sender_id, start), set()).add(ts)
    return Reports({key: np.array(sorted(found), np.int64) for key, found in times.items()}, starts)
