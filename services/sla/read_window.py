"""Reads the slices of a window: whole hours as their sums, edges and holes slice by slice.

The sums of any window come out the same as from slices alone; `Detail` says what else has to be kept apart.
No figure is computed here.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

import numpy as np

from services.sla.columns import joined, rows_of
from services.sla.model import NS_PER_MS, Ints, SliceColumns
from services.sla.ports import Extract, SliceStore

HOUR_MS = 3_600_000
_UP = 0
_MOST_RANGES = 100
_Range = tuple[int, int]
_T = TypeVar("_T")


class Detail(Enum):
    """How fine the rows have to be.

    HOURS: sums only. STATES: hours in which anything else than up happened are opened, so that every
    downtime is told to the slice. SLICES: nothing but slices.
    """

    HOURS = 1
    STATES = 2
    SLICES = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read of one objective: the rows that start in [low, high).

    cuts: instants that no row may lie across, such as ends of windows. sealed_ms: up to where slices are
    sealed. first_ms: start of the first slice, so that no hour before it is looked for.
    """

    tenant: str
    key: str
    low_ms: int
    high_ms: int
    first_ms: int
    sealed_ms: int
    cuts: Collection[int] = ()
    detail: Detail = Detail.HOURS
    distributions: bool = True
    as_of_ms: int | None = None


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is read first: hours as sums, the rest of the window as slices."""

    hours: Ints
    pieces: tuple[_Range, ...]


async def read_window(store: SliceStore, wanted: Wanted) -> SliceColumns:
    """The rows, ordered by start.

    Raises:
        Unavailable: the store is down.
    """
    return (await read_windows(store, [wanted]))[0]


async def read_windows(store: SliceStore, wanted: Sequence[Wanted]) -> list[SliceColumns]:
    """The rows of several objectives of one tenant, at one `as_of_ms`, read together.

    Raises:
        Unavailable: the store is down.
    """
    plans = [_plan(one) for one in wanted]
    found = await _extracts(
        store, [(one, _span(plan.hours), plan.pieces) for one, plan in _both(wanted, plans)]
    )
    parts, holes = [], []
    for (one, plan), (summed, slices) in zip(_both(wanted, plans), found, strict=True):
        useful = _useful(summed, plan.hours, one.detail)
        parts.append([useful, slices])
        holes.append(tuple(_spans(plan.hours[~np.isin(plan.hours, useful.start_ms)])))
    if any(holes):
        missing = await _extracts(store, [(one, (0, 0), ranges) for one, ranges in _both(wanted, holes)])
        for part, (_, slices) in zip(parts, missing, strict=True):
            part.append(slices)
    return [joined(part) for part in parts]


def _plan(wanted: Wanted) -> _Plan:
    low, high = max(wanted.low_ms, wanted.first_ms), wanted.high_ms
    none = np.zeros(0, np.int64)
    if low >= high:
        return _Plan(none, ())
    hours = none if wanted.detail is Detail.SLICES else _whole_hours(wanted, low, high)
    return _Plan(hours, tuple(_others(hours, low, high)) if len(hours) else ((low, high),))


def _both(wanted: Sequence[Wanted], others: Sequence[_T]) -> Iterable[tuple[Wanted, _T]]:
    return zip(wanted, others, strict=True)


def _whole_hours(wanted: Wanted, low: int, high: int) -> Ints:
    """Starts of the hours that may come as sums. The last one before the seal is not among them: its sum is
    written when all of it is sealed, and looking for it in vain costs a second query."""
    first = -(-low // HOUR_MS)
    last = min(high // HOUR_MS, wanted.sealed_ms // HOUR_MS - 1)
    cut = {at // HOUR_MS for at in wanted.cuts if at % HOUR_MS}
    return np.array([n * HOUR_MS for n in range(first, last) if n not in cut], np.int64)


def _useful(summed: SliceColumns, hours: Ints, detail: Detail) -> SliceColumns:
    # An hour that is not sealed was withdrawn: its slices cannot be summed any more.
    keep = np.isin(summed.start_ms, hours) & summed.sealed
    if detail is Detail.STATES:
        keep &= summed.durations[_UP] == HOUR_MS * NS_PER_MS
    return summed if keep.all() else rows_of(summed, np.flatnonzero(keep))


def _others(hours: Ints, low: int, high: int) -> list[tuple[int, int]]:
    """What of [low, high) is in none of the hours."""
    taken = _spans(hours)
    starts = [low, *(end for _, end in taken)]
    ends = [*(start for start, _ in taken), high]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]


def _spans(hours: Ints) -> list[tuple[int, int]]:
    """Hours that follow on each other as one range."""
    breaks = np.flatnonzero(np.diff(hours) != HOUR_MS) + 1
    return [(int(part[0]), int(part[-1]) + HOUR_MS) for part in np.split(hours, breaks) if len(part)]


def _span(hours: Ints) -> _Range:
    return (int(hours[0]), int(hours[-1]) + HOUR_MS) if len(hours) else (0, 0)


async def _extracts(
    store: SliceStore, reads: Iterable[tuple[Wanted, _Range, tuple[_Range, ...]]]
) -> list[tuple[SliceColumns, SliceColumns]]:
    """(hours, slices) of each, in as few questions as ranges fit into."""
    listed = list(reads)
    parts: list[tuple[list[SliceColumns], list[SliceColumns]]] = [([], []) for _ in listed]
    for batch in _batches([(hours, pieces) for _, hours, pieces in listed]):
        first = listed[batch[0][0]][0]
        asked = [
            Extract(listed[place][0].key, hours, pieces, listed[place][0].distributions)
            for place, hours, pieces in batch
        ]
        found = await store.extracts(first.tenant, asked, as_of_ms=first.as_of_ms)
        for (place, _, _), (hours, slices) in zip(batch, found, strict=True):
            parts[place][0].append(hours)
            parts[place][1].append(slices)
    return [(joined(hours), joined(slices)) for hours, slices in parts]


def _batches(
    reads: Sequence[tuple[_Range, tuple[_Range, ...]]],
) -> Iterator[list[tuple[int, _Range, tuple[_Range, ...]]]]:
    """(place, hours, pieces) by question: none has too many ranges, and no place comes twice in one."""
    batch: list[tuple[int, _Range, tuple[_Range, ...]]] = []
    ranges = 0
    for place, (hours, pieces) in enumerate(reads):
        for k in range(0, max(len(pieces), int(hours[0] < hours[1])), _MOST_RANGES):
            some = pieces[k : k + _MOST_RANGES]
            if batch and (k or ranges + len(some) > _MOST_RANGES):
                yield batch
                batch, ranges = [], 0
            batch.append((place, (0, 0) if k else hours, some))
            ranges += len(some)
    if batch:
        yield batch
