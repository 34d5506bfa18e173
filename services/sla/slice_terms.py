"""Under which terms a slice is computed: the version of the contract in force at its start, and maintenance.

Pure. Before the first version the first one holds, so that history can be looked at under the terms that came
later; where a version does not have the objective, the one before it goes on.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np

from services.sla.kernels import intervals
from services.sla.model import Ints, Objective
from services.sla.slice_range import Range
from services.sla.slice_work import Terms

Exclusions = Callable[[Objective, int, int], Ints]
"""Maintenance of an objective over [low, high): (n, 2) milliseconds, sorted and disjoint."""

NOTHING: Ints = np.zeros((0, 2), np.int64)
_FOREVER_MS = 1 << 62


def no_exclusions(_objective: Objective, _low_ms: int, _high_ms: int) -> Ints:
    """Nobody announced anything."""
    return NOTHING


def spans_of(versions: Sequence[Objective]) -> Iterator[tuple[Objective, int, int]]:
    """(version, from, until): it decides about the slices that start in [from, until). They tile all time."""
    for place, one in enumerate(versions):
        low = one.from_ms if place else 0
        high = versions[place + 1].from_ms if place + 1 < len(versions) else _FOREVER_MS
        if low < high:
            yield one, low, high


def terms_of(versions: Sequence[Objective]) -> tuple[Terms, ...]:
    """What of the versions decides about contents of slices."""
    return tuple(Terms(low, _digest(one)) for one, low, _ in spans_of(versions))


def _digest(one: Objective) -> str:
    parts = (
        one.kind,
        one.good_share,
        one.metric,
        one.threshold_s,
        sorted(one.match.items()),
        one.bad_attribute,
        one.bad_at_least,
        one.down_above,
        one.signal,
    )
    return blake2b(repr(parts).encode(), digest_size=8).hexdigest()


def of_width(versions: Sequence[Objective], slice_ms: int) -> tuple[Objective, ...]:
    """The versions with the slices that there are: two lengths would count the same time twice."""
    return tuple(one if one.slice_ms == slice_ms else replace(one, slice_ms=slice_ms) for one in versions)


def excluded_over(versions: Sequence[Objective], exclusions: Exclusions, low_ms: int, high_ms: int) -> Ints:
    """Maintenance over [low, high), by the version in force at each time."""
    found = [NOTHING]
    for one, low, high in spans_of(versions):
        begin, end = max(low, low_ms), min(high, high_ms)
        if begin < end:
            found.append(intervals.clip(exclusions(one, begin, end), begin, end))
    joined = np.concatenate(found)
    return intervals.normalise(np.ascontiguousarray(joined[:, 0]), np.ascontiguousarray(joined[:, 1]))


def differing(old: Ints, new: Ints, low_ms: int, high_ms: int) -> list[Range]:
    """The time of [low, high) that is in one of the sets only."""
    if low_ms >= high_ms:
        return []
    before, now = intervals.clip(old, low_ms, high_ms), intervals.clip(new, low_ms, high_ms)
    changed = intervals.union(intervals.difference(before, now), intervals.difference(now, before))
    return [Range(int(low), int(high)) for low, high in changed]


def overlap_ms(spans: Ints, low_ms: int, high_ms: int) -> int:
    """How much of [low, high) the set holds."""
    if len(spans) == 0 or low_ms >= high_ms:
        return 0
    inside = intervals.clip(spans, low_ms, high_ms)
    return int((inside[:, 1] - inside[:, 0]).sum())
