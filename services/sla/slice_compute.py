"""The slices of one objective over a range: counts, distribution, and the state of each nanosecond.

Pure: increments and covered time in, slices out. The same rows give the same slices whatever the range is,
because every decision about a slice reads only what overlaps it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from services.sla.distribution import (
    WIDEST,
    explicit_distribution,
    exponential_distribution,
    merge,
    requests_within,
)
from services.sla.kernels import edges, exponential
from services.sla.model import (
    Distribution,
    Floats,
    Ints,
    Objective,
    ObjectiveKind,
    Overlap,
    PointKind,
    Series,
    Slice,
)
from services.sla.slice_coverage import Covered, covered_time
from services.sla.slice_grid import NOTHING, UP, Grid, Pieces, slice_at, time_in_states
from services.sla.slice_overlap import without_superseded
from services.sla.slice_rows import BucketGroup, Increments, bad, matches, seconds_per_unit, take

__all__ = ["Grid", "State", "compute", "in_state", "state_of"]


class State(Enum):
    """What covered time of a slice counts as."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"


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
    excluded: Ints = NOTHING,
) -> list[Slice]:
    """Every slice of the grid, provisional.

    Args:
        objective: whose slices.
        parts: increments of each kind of histogram, with everything that overlaps the grid.
        series: what the series of the increments are.
        cover: what the objective's senders cover.
        grid: which slices.
        first_ms: the objective's first data; time before it is not started.
        excluded: maintenance: counts and distributions are those of the time outside of it.
    """
    if grid.count == 0:
        return []
    pieces = Pieces.of(grid, excluded)
    if objective.overlap is Overlap.DROP:
        parts = [without_superseded(part) for part in parts]
    if objective.kind is ObjectiveKind.AVAILABILITY:
        good, total = _outcomes(objective, parts, series, pieces)
        distributions: list[Distribution | None] = [None] * grid.count
    else:
        distributions = _distributions(objective, parts, series, pieces)
        good, total = _within(objective, distributions)
    times = time_in_states(grid, [(UP, covered_time(cover))], first_ms=first_ms, excluded=excluded)
    out = []
    for k in range(grid.count):
        counts = int(good[k]), int(total[k])
        one = slice_at(grid, k, times[k], counts, distributions[k])
        out.append(in_state(one, state_of(objective, *counts)))
    return out


def in_state(one: Slice, state: State) -> Slice:
    """The slice with its covered time, which is given as up, in one state."""
    match state:
        case State.UP:
            return one
        case State.DEGRADED:
            return replace(one, up_ns=0, degraded_ns=one.up_ns)
        case State.DOWN:
            return replace(one, up_ns=0, down_ns=one.up_ns)


def _outcomes(
    objective: Objective, parts: Sequence[Increments], series: Mapping[int, Series], pieces: Pieces
) -> tuple[Ints, Ints]:
    good = np.zeros(pieces.slices, np.int64)
    failed = np.zeros(pieces.slices, np.int64)
    counted = {s: bad(one, objective) for s, one in series.items() if matches(one, objective)}
    for part in parts:
        for outcome, out in ((False, good), (True, failed)):
            rows = _rows_where(part.series, {s for s, is_bad in counted.items() if is_bad is outcome})
            out += pieces.counts(part.start[rows], part.ts[rows], part.n[rows])
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
    objective: Objective, parts: Sequence[Increments], series: Mapping[int, Series], pieces: Pieces
) -> list[Distribution | None]:
    counted = {s: one for s, one in series.items() if matches(one, objective)}
    by_piece: list[list[Distribution]] = [[] for _ in pieces.owner]
    for part in parts:
        if part.kind is PointKind.EXPONENTIAL:
            _add_exponential(objective, part, _rows_where(part.series, set(counted)), pieces, by_piece)
            continue
        for group in part.groups:
            _add_explicit(part, group, counted, pieces, by_piece)
    found: list[list[Distribution]] = [[] for _ in range(pieces.slices)]
    for m in np.flatnonzero(pieces.kept).tolist():
        found[int(pieces.owner[m])].extend(by_piece[m])
    return [merge(one) for one in found]


def _add_exponential(
    objective: Objective, part: Increments, rows: Ints, pieces: Pieces, found: list[list[Distribution]]
) -> None:
    at, taken = take(part.at, part.counts, rows)
    counts = taken.astype(np.int64)
    shape = np.ascontiguousarray(part.shape[:, rows])
    start, ts = part.start[rows], part.ts[rows]
    shapes = np.zeros((3, len(pieces.owner)), np.int64)
    exponential.piece_shapes(start, ts, shape, at, counts, pieces.edges, WIDEST, shapes)
    out = np.zeros(int(shapes[2].sum()), np.int64)
    exponential.piece_counts(start, ts, shape, at, counts, pieces.edges, shapes, out)
    below = _zero_is_below(objective, part.zero_threshold[rows])
    zero = np.zeros(len(pieces.owner), np.int64)
    edges.spread_edges(start[below], ts[below], part.zero[rows][below], pieces.edges, zero)
    ends = np.cumsum(shapes[2])
    for k in np.flatnonzero((shapes[2] > 0) | (zero > 0)).tolist():
        buckets = out[ends[k] - shapes[2, k] : ends[k]]
        found[k].append(exponential_distribution(int(shapes[0, k]), int(shapes[1, k]), int(zero[k]), buckets))
    for i in np.flatnonzero(~below & (part.zero[rows] > 0)).tolist():
        _add_wide_zeros(part, int(rows[i]), pieces, found)


def _zero_is_below(objective: Objective, threshold: Floats) -> NDArray[np.bool_]:
    """Whether all of a zero bucket lies within the objective's threshold: then it is as good as zero."""
    assert objective.threshold_s is not None
    return np.array([Fraction(one) <= objective.threshold_s for one in threshold.tolist()], np.bool_)


def _add_wide_zeros(part: Increments, row: int, pieces: Pieces, found: list[list[Distribution]]) -> None:
    """Zeros of which nobody can tell on which side of the threshold they are: (-inf, zero threshold]."""
    one = slice(row, row + 1)
    zero = np.zeros(len(pieces.owner), np.int64)
    edges.spread_edges(part.start[one], part.ts[one], part.zero[one], pieces.edges, zero)
    bounds = (float(part.zero_threshold[row]),)
    for k in np.flatnonzero(zero).tolist():
        found[k].append(explicit_distribution(bounds, np.array((zero[k], 0), np.int64)))


def _add_explicit(
    part: Increments,
    group: BucketGroup,
    series: Mapping[int, Series],
    pieces: Pieces,
    found: list[list[Distribution]],
) -> None:
    """Series of one set of bounds, apart by unit: 2000 ms and 2000 s are other bounds."""
    units: dict[Fraction, list[int]] = {}
    for i, row in enumerate(group.rows.tolist()):
        if (one := series.get(int(part.series[row]))) is not None:
            units.setdefault(seconds_per_unit(one), []).append(i)
    for unit, members in units.items():
        chosen = np.array(members, np.int64)
        rows = group.rows[chosen]
        out = np.zeros((len(pieces.owner), group.counts.shape[1]), np.int64)
        edges.spread_explicit(part.start[rows], part.ts[rows], group.counts[chosen], pieces.edges, out)
        # 2500 * 1e-3 is 2.5 when divided, and not when multiplied: bounds are decimal.
        bounds = [b * unit.numerator / unit.denominator for b in group.bounds]
        for k in np.flatnonzero(out.any(axis=1)).tolist():
            found[k].append(explicit_distribution(bounds, out[k]))
