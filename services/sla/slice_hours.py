"""Hours: the exact sum of all sealed slices of a whole UTC hour, which is what long windows read.

Pure. An hour has a sum only where its slices tile it and their latencies are of one kind with one set of
bounds; merging others would lose what the slices know. A sum that was published and stopped to exist is
withdrawn: published again as not sealed, and readers take the slices.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from services.sla.distribution import merge
from services.sla.model import Distribution, Revision, Slice

HOUR_MS = 3_600_000
_ADDED = (
    "good",
    "total",
    "up_ns",
    "degraded_ns",
    "down_ns",
    "excluded_ns",
    "no_data_ns",
    "not_started_ns",
)


def hour_of(time_ms: int) -> int:
    """The start of the UTC hour that holds it."""
    return time_ms // HOUR_MS * HOUR_MS


def has_hours(slice_ms: int) -> bool:
    """Whether slices of this length tile hours."""
    return HOUR_MS % slice_ms == 0


def summed(start_ms: int, slices: Iterable[Slice | None]) -> Slice | None:
    """The sum of the slices of the hour, in any order; None where it has none.

    Args:
        start_ms: of the hour.
        slices: those that start in it; None stands for one that does not exist.
    """
    parts = []
    for one in slices:
        if one is None or not one.sealed:
            return None
        parts.append(one)
    if sum(one.length_ms for one in parts) != HOUR_MS:
        return None
    populated = [one.distribution for one in parts if one.distribution is not None]
    if len({(one.kind, one.bounds) for one in populated}) > 1:
        return None
    numbers = {name: sum(getattr(one, name) for one in parts) for name in _ADDED}
    distribution: Distribution | None = merge(populated)
    return Slice(start_ms, HOUR_MS, **numbers, distribution=distribution, sealed=True)


def revised(
    hours: Iterable[int],
    *,
    slice_ms: int,
    at: Callable[[int], Slice | None],
    known: Mapping[int, Revision],
    known_at_ms: int,
) -> list[Revision]:
    """The hours whose sum is new, each as the next revision, in order.

    Args:
        hours: starts of those of which some slice was computed again.
        slice_ms: length of the slices.
        at: the current slice of a start, the newest of all.
        known: what was published of each hour.
        known_at_ms: log time.
    """
    out = []
    for start in sorted(hours):
        before = known.get(start)
        now = summed(start, (at(begin) for begin in range(start, start + HOUR_MS, slice_ms)))
        if now is None and before is not None:
            now = replace(before.slice, sealed=False)
        if now is None or (before is not None and before.slice == now):
            continue
        out.append(Revision(now, 1 if before is None else before.revision + 1, known_at_ms))
    return out
