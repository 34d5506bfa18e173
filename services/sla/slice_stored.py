"""Slices of data availability: of the points that were acknowledged, how many are stored.

The evidence is what the collector counts about itself, which it stores as tenant `threenines`. Pure: its
counters in, slices out. Storing lags behind acknowledging, by minutes while ClickHouse is away; that is no
loss, so the two are never subtracted at one time:

- `total` grows where the writer has accounted for points: those it stored and those it could not and put
  among the dead letters. Both come from one batch of the log, whatever the lag: equal positions.
  Resent points, which are stored already, do not count.
- Points that were acknowledged and that the log does not have never reach the writer. They show as a balance
  acknowledged - logged that does not come back after everything was read: `lost_points`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.sla.model import Exports, Heartbeats, Ints, Numbers, Objective, Series, Slice
from services.sla.rows_build import kept_numbers
from services.sla.slice_compute import in_state, state_of
from services.sla.slice_coverage import Covered, covered, covered_time, reports_of
from services.sla.slice_grid import NOTHING, UP, Grid, Pieces, slice_at, time_in_states
from services.sla.slice_numbers import NumberIncrements, number_increments

OWN_TENANT = "threenines"
ACKNOWLEDGED = "threenines.collector.points.acknowledged"
LOGGED = "threenines.collector.points.logged"
STORED = "threenines.collector.points.stored"
DEAD = "threenines.collector.points.deadlettered"
UNREAD = "threenines.collector.points.unread"
BALANCED = (ACKNOWLEDGED, LOGGED, UNREAD)
METRICS = (*BALANCED, STORED, DEAD)

SETTLE_MS = 30_000
"""How much later than its acknowledgement a point is in the log's counts, once the writer has caught up."""

WINDOW_MS = 3_600_000
"""How far back the balance of acknowledged and logged points is looked at."""

_MANY = 2**62
_NO_BEATS = Heartbeats(np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclass(frozen=True, slots=True)
class Counted:
    """Points of one of the collector's own metrics, with their series."""

    numbers: Numbers
    series: Mapping[int, Series]

    def of_tenant(self, tenant: str) -> "Counted":
        """Those that count one tenant's points."""
        own = {s: one for s, one in self.series.items() if one.attributes.get("tenant") == tenant}
        keep = np.isin(self.numbers.series, np.array(sorted(own), np.int64))
        return Counted(kept_numbers(self.numbers, keep), own)

    @property
    def exports(self) -> Exports:
        """When they were reported."""
        start = np.where(self.numbers.bits == 0, self.numbers.start, 0)
        return Exports(self.numbers.series, self.numbers.ts, start)

    def increments(self) -> NumberIncrements:
        """What each report adds."""
        return number_increments(self.numbers, self.series, reports_of(self.exports, self.series))


def stored_cover(counted: Mapping[str, Counted]) -> Covered:
    """What the collectors cover with their reports about a tenant."""
    found = [counted[name] for name in (ACKNOWLEDGED, STORED)]
    series = np.concatenate([one.exports.series for one in found])
    ts = np.concatenate([one.exports.ts for one in found])
    start = np.concatenate([one.exports.start for one in found])
    senders = {s: one.sender_id for each in found for s, one in each.series.items()}
    return covered(Exports(series, ts, start), _NO_BEATS, senders)


def stored_slices(
    objective: Objective,
    counted: Mapping[str, Counted],
    cover: Covered,
    *,
    grid: Grid,
    first_ms: int,
    excluded: Ints = NOTHING,
) -> list[Slice]:
    """Slices of an objective on stored data.

    Args:
        objective: whose slices.
        counted: each of METRICS, of the objective's tenant; BALANCED from WINDOW + 2 SETTLE before the grid.
        cover: `stored_cover` of them.
        grid, first_ms, excluded: as for `slice_compute.compute`.
    """
    if grid.count == 0:
        return []
    pieces = Pieces.of(grid, excluded)
    stored, dead = counted[STORED].increments(), counted[DEAD].increments()
    good = pieces.counts(stored.start, stored.ts, stored.n)
    total = good + pieces.counts(dead.start, dead.ts, dead.n)
    ts, lost = lost_points(counted, low_ms=grid.origin_ms, high_ms=grid.end_ms)
    total += pieces.counts(ts, ts, lost)
    times = time_in_states(grid, [(UP, covered_time(cover))], first_ms=first_ms, excluded=excluded)
    out = []
    for k in range(grid.count):
        counts = int(good[k]), int(total[k])
        out.append(in_state(slice_at(grid, k, times[k], counts), state_of(objective, *counts)))
    return out


def lost_points(counted: Mapping[str, Counted], *, low_ms: int, high_ms: int) -> tuple[Ints, Ints]:
    """(times, points) in (low, high]: acknowledged points of which it became sure that no log has them.

    Judged at reports of a writer that has nothing unread. There acknowledged(t - SETTLE) - logged(t) is at
    most the balance that counts always had plus what was lost, because everything acknowledged until then
    would be logged by now. The balance is at most the least acknowledged(v + SETTLE) - logged(v) of earlier
    v, and at most what it was before the last start of a process, which has nothing under way. Counts of
    a process that died with reports outstanding shift the balance, so nothing older is looked at. What an
    earlier report found is not found again.

    So every loss is found, to the point, where traffic pauses for twice SETTLE within WINDOW, or a process
    started in it; under traffic that never pauses, what exceeds the traffic of twice SETTLE is.
    """
    acknowledged, logged = counted[ACKNOWLEDGED], counted[LOGGED]
    sent, read = _Trail.of(acknowledged), _Trail.of(logged)
    ts = np.unique(logged.numbers.ts)
    if len(ts) == 0:
        return ts, ts
    caught_up = _caught_up(counted[UNREAD].numbers)
    births = np.sort(np.concatenate((_births(acknowledged.numbers), _births(logged.numbers))))
    sure = sent.until(ts - SETTLE_MS) - read.until(ts)
    balance = sent.until(sent.next_after(ts + SETTLE_MS)) - read.until(ts)
    judged = np.array([int(one) in caught_up for one in ts.tolist()], np.bool_)
    lost = np.zeros(len(ts), np.int64)
    for i in np.flatnonzero(judged & (ts > low_ms) & (ts <= high_ms)).tolist():
        since = max(int(births[np.searchsorted(births, ts[i], side="right") - 1]), int(ts[i]) - WINDOW_MS)
        if ts[i] - SETTLE_MS < since:
            continue
        found = judged & (ts >= since + SETTLE_MS) & (ts < ts[i])
        least = balance[(ts >= since) & (ts + SETTLE_MS <= ts[i])].min(initial=_MANY)
        if since in births:
            before = np.array((since - 1,), np.int64)
            least = min(least, (sent.until(before) - read.until(before))[0])
        known = max(int(least), int(sure[found].max(initial=-_MANY)))
        lost[i] = max(0, int(sure[i]) - known)
    return ts, lost


@dataclass(frozen=True, slots=True)
class _Trail:
    """A count as it grew, over all series together; total[i] is reached at ts[i]."""

    ts: Ints
    total: Ints

    @staticmethod
    def of(counted: Counted) -> "_Trail":
        added = counted.increments()
        order = np.argsort(added.ts, kind="stable")
        return _Trail(added.ts[order], np.cumsum(added.n[order]))

    def until(self, times: Ints) -> Ints:
        """The count at these times."""
        place = np.searchsorted(self.ts, times, side="right")
        return np.concatenate((np.zeros(1, np.int64), self.total))[place]

    def next_after(self, times: Ints) -> Ints:
        """The first report at or after each time; the last one where there is none."""
        if len(self.ts) == 0:
            return times
        return self.ts[np.minimum(np.searchsorted(self.ts, times), len(self.ts) - 1)]


def _caught_up(unread: Numbers) -> set[int]:
    """Times at which nothing that was accepted waited for a writer."""
    waiting = set(unread.ts[unread.value > 0].tolist())
    return set(unread.ts.tolist()) - waiting


def _births(numbers: Numbers) -> Ints:
    """When each (series, start) was heard of first."""
    order = np.lexsort((numbers.ts, numbers.start, numbers.series))
    series, start, ts = numbers.series[order], numbers.start[order], numbers.ts[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (series[1:] != series[:-1]) | (start[1:] != start[:-1])
    return ts[new]


__all__ = ["METRICS", "Counted", "lost_points", "stored_cover", "stored_slices"]
