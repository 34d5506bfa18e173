"""Which slices are computed, and how the time of each divides among the states.

Sets of time are (n, 2) milliseconds, sorted and disjoint, as `kernels.intervals` has them.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from services.sla.kernels import edges as edge_kernels
from services.sla.kernels import intervals, states
from services.sla.model import NS_PER_MS, Distribution, Ints, Slice

UP, DEGRADED, DOWN, EXCLUDED, NO_DATA, NOT_STARTED = range(6)
"""States in the order of `SliceColumns.durations`."""

_PRECEDENCE = np.array((4, 3, 2, 1, 5, 0), np.int64)
"""Where several hold: not started, which is outside of every window; then excluded, whatever else holds."""

NOTHING: Ints = np.zeros((0, 2), np.int64)
"""The empty set of time."""


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

    @property
    def edges(self) -> Ints:
        """Where slices begin, and the end of the last."""
        return edge_kernels.grid(self.origin_ms, self.width_ms, self.count)

    def starting_in(self, from_ms: int, until_ms: int | None) -> "Grid":
        """Those of the slices that start in [from, until)."""
        first = max(self.origin_ms, -(-from_ms // self.width_ms) * self.width_ms)
        end = self.end_ms
        if until_ms is not None:
            end = min(end, -(-until_ms // self.width_ms) * self.width_ms)
        return Grid(first, self.width_ms, max(0, (end - first) // self.width_ms))


@dataclass(frozen=True, slots=True)
class Pieces:
    """A grid cut where exclusions begin and end: what is kept of each slice.

    owner: the slice of each piece; kept: whether the piece is outside of the exclusions.
    """

    edges: Ints
    owner: Ints
    kept: np.ndarray[tuple[int], np.dtype[np.bool_]]
    slices: int

    @staticmethod
    def of(grid: Grid, excluded: Ints) -> "Pieces":
        """The pieces of a grid."""
        cuts = intervals.clip(excluded, grid.origin_ms, grid.end_ms)
        edges, owner, cut = edge_kernels.kept(grid.edges, cuts)
        return Pieces(edges, owner, cut == 0, grid.count)

    def counts(self, start: Ints, end: Ints, n: Ints) -> Ints:
        """Events of the intervals (start, end] in what is kept of each slice."""
        found = np.zeros(len(self.owner), np.int64)
        edge_kernels.spread_edges(start, end, n, self.edges, found)
        out = np.zeros(self.slices, np.int64)
        np.add.at(out, self.owner[self.kept], found[self.kept])
        return out


def time_in_states(
    grid: Grid, held: Iterable[tuple[int, Ints]], *, first_ms: int, excluded: Ints = NOTHING
) -> Ints:
    """Milliseconds of each slice in each state, (slices, 6); every row sums to the width.

    Args:
        grid: which slices.
        held: sets of time in which a state holds; they may overlap, a worse state decides.
        first_ms: the objective's first data; time before it is not started.
        excluded: maintenance.
    """
    low, high = grid.origin_ms, grid.end_ms
    before = np.array(((min(low, first_ms), first_ms),), np.int64)
    parts = [(state, intervals.clip(one, low, high)) for state, one in held]
    parts += [(EXCLUDED, intervals.clip(excluded, low, high)), (NOT_STARTED, before)]
    spans = np.concatenate([one for _, one in parts])
    codes = np.concatenate([np.full(len(one), state, np.int64) for state, one in parts])
    start, end = np.ascontiguousarray(spans[:, 0]), np.ascontiguousarray(spans[:, 1])
    edges, found = states.timeline(start, end, codes, _PRECEDENCE, low, high, NO_DATA)
    out = np.zeros((grid.count, 6), np.int64)
    states.durations(edges, found, grid.edges, out)
    return out


def slice_at(
    grid: Grid, k: int, times: Ints, counts: tuple[int, int], distribution: Distribution | None = None
) -> Slice:
    """Slice k, provisional; `times` is its row of `time_in_states`, `counts` are (good, total)."""
    ns = [int(ms) * NS_PER_MS for ms in times]
    return Slice(
        start_ms=grid.origin_ms + k * grid.width_ms,
        length_ms=grid.width_ms,
        good=counts[0],
        total=counts[1],
        up_ns=ns[UP],
        degraded_ns=ns[DEGRADED],
        down_ns=ns[DOWN],
        excluded_ns=ns[EXCLUDED],
        no_data_ns=ns[NO_DATA],
        not_started_ns=ns[NOT_STARTED],
        distribution=distribution,
    )
