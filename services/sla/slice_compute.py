"""The slices of one objective over a range: counts, distribution, and the state of each nanosecond.

Pure: increments and covered time in, slices out. The same rows give the same slices whatever the range is,
because every decision about a slice reads only what overlaps it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from services.sla.distribution import (
    WIDEST,
    explicit_distribution,
    exponential_distribution,
    merge,
    requests_within,
)
from services.sla.kernels import explicit, exponential, spread
from services.sla.model import (
    NS_PER_MS,
    Distribution,
    Ints,
    Objective,
    ObjectiveKind,
    PointKind,
    Series,
    Slice,
)
from services.sla.slice_coverage import Covered, covered_ms
from services.sla.slice_rows import BucketGroup, Increments, bad, matches, seconds_per_unit, take


class State(Enum):
    """What covered time of a slice counts as."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Grid:
    """Slices origin + k*width (milliseconds), k from 0 to count-1."""

    origin_ms: int
    width_ms: int
    count: int

    @staticmethod
    def over(low_ms: int, high_ms: int, width_ms: int) -> "Grid":
        """The slices that (low, high] touches, aligned to the epoch."""
        first = low_ms // width_ms
        last = -(-high_ms // width_ms)
        return Grid(first * width_ms, width_ms, max(0, last - first))

    @property
    def end_ms(self) -> int:
        """End of the last slice."""
        return self.origin_ms + self.width_ms * self.count


def state_of(objective: Objective, good: int, total: int) -> State:
    """Down when the bad share exceeds `down_above`, degraded when it exceeds the objective's own, else up."""
    failed = total - good
    if failed * objective.down_above.denominator > objective.down_above.numerator * total:
        return State.DOWN
    allowed = 1 - objective.good_share
    if failed * allowed.denominator > allowed.numerator * total:
        return State.DEGRADED
    return State.UP


def compute(
    objective: Objective,
    parts: Sequence[Increments],
    series: Mapping[int, Series],
    cover: Covered,
    *,
    grid: Grid,
    first_ms: int,
) -> list[Slice]:
    """Every slice of the grid, provisional.

    Args:
        objective: whose slices.
        parts: increments of each kind of histogram, with everything that overlaps the grid.
        series: what the series of the increments are.
        cover: what the objective's senders cover.
        grid: which slices.
        first_ms: the objective's first data; time before it is not started.
    """
    if objective.kind is ObjectiveKind.AVAILABILITY:
        good, total = _outcomes(objective, parts, series, grid)
        distributions: list[Distribution | None] = [None] * grid.count
    else:
        distributions = _distributions(objective, parts, series, grid)
        good, total = _within(objective, distributions)
    live = covered_ms(cover, origin_ms=grid.origin_ms, width_ms=grid.width_ms, slices=grid.count)
    return [
        _slice(objective, grid, k, (int(good[k]), int(total[k])), distributions[k], int(live[k]), first_ms)
        for k in range(grid.count)
    ]


def _slice(
    objective: Objective,
    grid: Grid,
    k: int,
    counts: tuple[int, int],
    distribution: Distribution | None,
    live_ms: int,
    first_ms: int,
) -> Slice:
    start = grid.origin_ms + k * grid.width_ms
    not_started = min(max(0, first_ms - start), grid.width_ms)
    live = min(live_ms, grid.width_ms - not_started)
    state = state_of(objective, *counts)
    return Slice(
        start_ms=start,
        length_ms=grid.width_ms,
        good=counts[0],
        total=counts[1],
        up_ns=live * NS_PER_MS if state is State.UP else 0,
        degraded_ns=live * NS_PER_MS if state is State.DEGRADED else 0,
        down_ns=live * NS_PER_MS if state is State.DOWN else 0,
        no_data_ns=(grid.width_ms - not_started - live) * NS_PER_MS,
        not_started_ns=not_started * NS_PER_MS,
        distribution=distribution,
    )


def _outcomes(
    objective: Objective, parts: Sequence[Increments], series: Mapping[int, Series], grid: Grid
) -> tuple[Ints, Ints]:
    good = np.zeros(grid.count, np.int64)
    failed = np.zeros(grid.count, np.int64)
    counted = {s: bad(one, objective) for s, one in series.items() if matches(one, objective)}
    for part in parts:
        for outcome, out in ((False, good), (True, failed)):
            rows = _rows_where(part.series, {s for s, is_bad in counted.items() if is_bad is outcome})
            spread.spread(part.start[rows], part.ts[rows], part.n[rows], grid.origin_ms, grid.width_ms, out)
    return good, good + failed


def _rows_where(series: Ints, wanted: set[int]) -> Ints:
    return np.array([i for i, s in enumerate(series.tolist()) if s in wanted], np.int64)


def _within(objective: Objective, distributions: Sequence[Distribution | None]) -> tuple[Ints, Ints]:
    """Requests surely within the threshold, and all, of each slice."""
    good = np.zeros(len(distributions), np.int64)
    total = np.zeros(len(distributions), np.int64)
    assert objective.threshold_s is not None
    for k, distribution in enumerate(distributions):
        if distribution is not None:
            good[k], _ = requests_within(distribution, objective.threshold_s)
            total[k] = distribution.total
    return good, total


def _distributions(
    objective: Objective, parts: Sequence[Increments], series: Mapping[int, Series], grid: Grid
) -> list[Distribution | None]:
    counted = {s for s, one in series.items() if matches(one, objective)}
    found: list[list[Distribution]] = [[] for _ in range(grid.count)]
    for part in parts:
        if part.kind is PointKind.EXPONENTIAL:
            _add_exponential(part, _rows_where(part.series, counted), grid, found)
            continue
        for group in part.groups:
            _add_explicit(part, group, {s: series[s] for s in counted}, grid, found)
    return [merge(one) for one in found]


def _add_exponential(part: Increments, rows: Ints, grid: Grid, found: list[list[Distribution]]) -> None:
    at, taken = take(part.at, part.counts, rows)
    counts = taken.astype(np.int64)
    shape = np.ascontiguousarray(part.shape[:, rows])
    start, ts = part.start[rows], part.ts[rows]
    place = np.array((grid.origin_ms, grid.width_ms), np.int64)
    slices = np.zeros((3, grid.count), np.int64)
    exponential.slice_shapes(start, ts, shape, at, counts, place, WIDEST, slices)
    out = np.zeros(int(slices[2].sum()), np.int64)
    exponential.slice_counts(start, ts, shape, at, counts, place, slices, out)
    zero = np.zeros(grid.count, np.int64)
    spread.spread(start, ts, part.zero[rows], grid.origin_ms, grid.width_ms, zero)
    ends = np.cumsum(slices[2])
    for k in np.flatnonzero((slices[2] > 0) | (zero > 0)).tolist():
        buckets = out[ends[k] - slices[2, k] : ends[k]]
        found[k].append(exponential_distribution(int(slices[0, k]), int(slices[1, k]), int(zero[k]), buckets))


def _add_explicit(
    part: Increments,
    group: BucketGroup,
    series: Mapping[int, Series],
    grid: Grid,
    found: list[list[Distribution]],
) -> None:
    """Series of one set of bounds, apart by unit: 2000 ms and 2000 s are other bounds."""
    units: dict[float, list[int]] = {}
    for i, row in enumerate(group.rows.tolist()):
        if (one := series.get(int(part.series[row]))) is not None:
            units.setdefault(seconds_per_unit(one), []).append(i)
    for factor, members in units.items():
        chosen = np.array(members, np.int64)
        rows = group.rows[chosen]
        out = np.zeros((grid.count, group.counts.shape[1]), np.int64)
        explicit.slice_counts(
            part.start[rows], part.ts[rows], group.counts[chosen], grid.origin_ms, grid.width_ms, out
        )
        # 2500 * 1e-3 is 2.5 when divided, and not when multiplied: bounds are decimal.
        bounds = [b / round(1 / factor) for b in group.bounds]
        for k in np.flatnonzero(out.any(axis=1)).tolist():
            found[k].append(explicit_distribution(bounds, out[k]))
