"""Slices from signals instead of requests: probes that say up or down, and heartbeats that come or do not.

Pure: reports in, slices out. The rules:

- The time between two reports of one probe has the state of the later one, as an export covers the time that
  it ends. A silence of more than five report intervals is no data, and so is the time before the first.
- At an instant, the probes that are covered vote: up while at least `up_at_least` of them say 1 (degraded
  when not all of them do), otherwise down; no data where none is covered.
- A heartbeat says up from its report until `every` later, as far as anything of the tenant was heard.
  Behind that comes silence: down where anything else of the tenant is covered, no data where nothing is.
  The next report ends it.
- Counts are reports: `total` those of the slice, `good` those that say up.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from services.sla.kernels import intervals
from services.sla.methods.model import Probe
from services.sla.model import Exports, Heartbeats, Ints, Numbers, Series, Slice
from services.sla.rows_build import kept_numbers
from services.sla.slice_coverage import Covered, covered, covered_time
from services.sla.slice_grid import DEGRADED, DOWN, NOTHING, UP, Grid, Pieces, slice_at, time_in_states

_SAYS_UP = 1.0
_NO_BEATS = Heartbeats(np.zeros(0, np.int64), np.zeros(0, np.int64))
_Held = Sequence[tuple[int, Ints]]


def reports_covered(numbers: Numbers) -> Covered:
    """What each series of number points covers by itself; `sender` is the series."""
    unknown = np.zeros(len(numbers), np.int64)
    series = {s: s for s in numbers.series.tolist()}
    return covered(Exports(numbers.series, numbers.ts, unknown), _NO_BEATS, series)


def probe_slices(
    signal: Probe, numbers: Numbers, cover: Covered, *, grid: Grid, first_ms: int, excluded: Ints = NOTHING
) -> list[Slice]:
    """Slices of an objective that probes watch.

    Args:
        signal: how many of them must be up.
        numbers: reports of the probes that the objective counts.
        cover: `reports_covered` of them.
        grid, first_ms, excluded: as for `slice_compute.compute`.
    """
    says_up = _says_up(numbers)
    up = np.array(
        [says_up[key] for key in zip(cover.sender.tolist(), cover.ts.tolist(), strict=True)], np.bool_
    )
    held = vote(cover, up, signal.up_at_least)
    reports = np.ones(len(cover.ts), np.int64)
    return _slices(grid, held, (cover.ts, reports, up.astype(np.int64)), first_ms=first_ms, excluded=excluded)


def _says_up(numbers: Numbers) -> Mapping[tuple[int, int], bool]:
    """What each report says; of two at one time that differ, down: which came first must not matter."""
    found: dict[tuple[int, int], bool] = {}
    for series, ts, value in zip(
        numbers.series.tolist(), numbers.ts.tolist(), numbers.value.tolist(), strict=True
    ):
        found[series, ts] = value >= _SAYS_UP and found.get((series, ts), True)
    return found


def vote(cover: Covered, up: np.ndarray[tuple[int], np.dtype[np.bool_]], at_least: Fraction) -> _Held:
    """The sets of time in which the covered probes are up, partly up, and down."""
    times = np.unique(np.concatenate((cover.start, cover.ts)))
    if len(times) < 2:
        return []
    heard = _running(times, cover.start, cover.ts)
    said_up = _running(times, cover.start[up], cover.ts[up])
    enough = (heard > 0) & (said_up * at_least.denominator >= at_least.numerator * heard)
    states = (
        (UP, enough & (said_up == heard)),
        (DEGRADED, enough & (said_up < heard)),
        (DOWN, (heard > 0) & ~enough),
    )
    return [(state, intervals.normalise(times[:-1][where], times[1:][where])) for state, where in states]


def _running(times: Ints, start: Ints, end: Ints) -> Ints:
    """How many of the intervals hold between each two of the times, which contain all their ends."""
    steps = np.zeros(len(times), np.int64)
    np.add.at(steps, np.searchsorted(times, start), 1)
    np.add.at(steps, np.searchsorted(times, end), -1)
    return np.cumsum(steps)[:-1]


def heartbeat_slices(
    alive: Ints, reports_ms: Ints, others: Covered, *, grid: Grid, first_ms: int, excluded: Ints = NOTHING
) -> list[Slice]:
    """Slices of an objective whose reports have to come.

    Args:
        alive: the set of time that reports speak for.
        reports_ms: when any of them came.
        others: what else of the tenant is covered.
        grid, first_ms, excluded: as for `slice_compute.compute`.
    """
    silent = intervals.difference(covered_time(others), alive)
    one = np.ones(len(reports_ms), np.int64)
    held = [(UP, alive), (DOWN, silent)]
    return _slices(grid, held, (reports_ms, one, one), first_ms=first_ms, excluded=excluded)


def _slices(
    grid: Grid, held: _Held, counted: tuple[Ints, Ints, Ints], *, first_ms: int, excluded: Ints
) -> list[Slice]:
    """`counted`: times of reports, how many there were, and how many of them said up."""
    if grid.count == 0:
        return []
    ts, reports, ups = counted
    pieces = Pieces.of(grid, excluded)
    total, good = pieces.counts(ts, ts, reports), pieces.counts(ts, ts, ups)
    times = time_in_states(grid, held, first_ms=first_ms, excluded=excluded)
    return [slice_at(grid, k, times[k], (int(good[k]), int(total[k]))) for k in range(grid.count)]


def of_series(numbers: Numbers, wanted: Mapping[int, Series]) -> Numbers:
    """The points of the wanted series only."""
    keep = np.isin(numbers.series, np.array(sorted(wanted), np.int64))
    return kept_numbers(numbers, keep)
