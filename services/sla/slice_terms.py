"""Which terms a slice is computed under, and what a change of the configuration does to slices that exist.

A slice that starts in [from, until) of a version is computed under that version. When the configuration
changes, `Footing`s of before and after say where slices have other contents now: those are computed again and
become new revisions, so far as raw points reach back. Nothing here reads anything.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from services.sla.kernels import intervals
from services.sla.maintenance.exclude import excluded_within, exclusions
from services.sla.maintenance.model import MaintenanceWindow
from services.sla.methods.model import RequestRatio
from services.sla.model import Effect, Ints, NoData, Objective, Reading
from services.sla.slice_compute import Grid
from services.sla.slice_grid import NOTHING
from services.sla.slice_range import Range
from services.sla.windows import Rolling

Exclusions = Callable[[Objective, int, int], Ints]
"""(objective, low_ms, high_ms) -> (n, 2): the maintenance that counts within [low, high), in milliseconds."""

_FAR_MS = 2**53


def exclusions_from(windows: Callable[[str], Sequence[MaintenanceWindow]]) -> Exclusions:
    """The exclusions of a tenant's maintenance windows, by the notice that each version asks for."""

    def within(objective: Objective, low_ms: int, high_ms: int) -> Ints:
        of_tenant = windows(objective.tenant)
        if not of_tenant:
            return NOTHING
        notice = objective.notice_ms
        found = exclusions(of_tenant, objective.key, notice_ms=notice, low_ms=low_ms, high_ms=high_ms)
        return excluded_within(found, low_ms, high_ms)

    return within


def no_exclusions(objective: Objective, low_ms: int, high_ms: int) -> Ints:  # noqa: ARG001
    """Without maintenance."""
    return NOTHING


def under_versions(timeline: Sequence[Objective], grid: Grid) -> list[tuple[Objective, Grid]]:
    """The versions in force over a grid, each with the slices that start while it holds.

    Slices in time of which no version knows the objective are of nobody and left out.
    """
    parts = [(one, grid.starting_in(one.from_ms, one.until_ms)) for one in timeline]
    return [(one, part) for one, part in parts if part.count]


def slicing_digest(objective: Objective) -> str:
    """A hash of the terms that decide what is in a slice; others, such as the window, leave it out."""
    terms = replace(
        objective,
        window_ms=0,
        window=Rolling(0),
        no_data=NoData.EXCLUDE,
        coverage_floor=objective.down_above,
        time_zone="",
        method=RequestRatio(),
        reading=Reading.MERGED,
        effect=Effect.DROP,
        notice_ms=0,
        contract_version=0,
        from_ms=0,
        until_ms=None,
    )
    text = repr(replace(terms, match=dict(sorted(objective.match.items()))))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Footing:
    """What the slices of one objective stand on: terms by time, and maintenance up to a horizon.

    terms: (from, until, digest) of each version, ascending; until None when no end is known.
    excluded: (start, end) of the maintenance that counts in [low, high).
    """

    terms: tuple[tuple[int, int | None, str], ...]
    excluded: tuple[tuple[int, int], ...]
    low_ms: int
    high_ms: int


def footing(timeline: Sequence[Objective], excluded: Exclusions, *, low_ms: int, high_ms: int) -> Footing:
    """The footing of a timeline's slices that start in [low, high)."""
    found = [NOTHING]
    for one in timeline:
        # The last slice of a version may reach beyond its end.
        until = _FAR_MS if one.until_ms is None else one.until_ms + one.slice_ms
        begin, end = max(low_ms, one.from_ms), min(high_ms, until)
        if begin < end:
            found.append(excluded(one, begin, end))
    spans = np.concatenate(found)
    joined = intervals.normalise(np.ascontiguousarray(spans[:, 0]), np.ascontiguousarray(spans[:, 1]))
    terms = tuple((one.from_ms, one.until_ms, slicing_digest(one)) for one in timeline)
    return Footing(terms, tuple((int(a), int(b)) for a, b in joined), low_ms, high_ms)


def dirty_by_configuration(before: Footing, after: Footing) -> list[Range]:
    """Where slices have other contents under `after`, ascending and disjoint: (low, high] in milliseconds.

    Exclusions are compared where both know them; behind the horizon of `before` there are no slices yet.
    """
    low, high = max(before.low_ms, after.low_ms), min(before.high_ms, after.high_ms)
    old = intervals.clip(_set(before.excluded), low, high)
    new = intervals.clip(_set(after.excluded), low, high)
    moved = intervals.union(intervals.difference(old, new), intervals.difference(new, old))
    changed = np.concatenate((moved, _set(_other_terms(before, after))))
    start, end = np.ascontiguousarray(changed[:, 0]), np.ascontiguousarray(changed[:, 1])
    return [Range(int(a), int(b)) for a, b in intervals.normalise(start, end)]


def _other_terms(before: Footing, after: Footing) -> list[tuple[int, int]]:
    """Where the terms differ, from the older of the two lows to the later of the two highs."""
    low, high = min(before.low_ms, after.low_ms), max(before.high_ms, after.high_ms)
    cuts = {low, high}
    for start, until, _ in (*before.terms, *after.terms):
        cuts.update(min(max(at, low), high) for at in (start, high if until is None else until))
    return [
        (a, b) for a, b in pairwise(sorted(cuts)) if _digest_at(before.terms, a) != _digest_at(after.terms, a)
    ]


def _digest_at(terms: Iterable[tuple[int, int | None, str]], at_ms: int) -> str:
    return next((d for a, b, d in terms if a <= at_ms and (b is None or at_ms < b)), "")


def within_raw(ranges: Iterable[Range], oldest_ms: int | None) -> tuple[list[Range], list[Range]]:
    """(what raw points still reach, what they do not): the latter stays as it was published.

    Args:
        ranges: what is dirty.
        oldest_ms: the first point that is stored; None when there is none.
    """
    kept, lost = [], []
    for one in ranges:
        if oldest_ms is None or one.high_ms <= oldest_ms:
            lost.append(one)
        elif one.low_ms < oldest_ms:
            lost.append(Range(one.low_ms, oldest_ms))
            kept.append(Range(oldest_ms, one.high_ms))
        else:
            kept.append(one)
    return kept, lost


def _set(spans: Sequence[tuple[int, int]]) -> Ints:
    return np.array(spans, np.int64).reshape(-1, 2)
