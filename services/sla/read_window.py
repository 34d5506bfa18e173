"""Reads the slices of a window: whole hours as their sums, edges and holes slice by slice.

The sums of any window come out the same as from slices alone; `Detail` says what else has to be kept apart.
No figure is computed here.
"""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from services.sla.columns import columns_of, joined, rows_of
from services.sla.model import NS_PER_MS, Ints, SliceColumns
from services.sla.ports import SliceStore

HOUR_MS = 3_600_000
_UP = 0


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


async def read_window(store: SliceStore, wanted: Wanted) -> SliceColumns:
    """The rows, ordered by start.

    Raises:
        Unavailable: the store is down.
    """
    low, high = max(wanted.low_ms, wanted.first_ms), wanted.high_ms
    if low >= high:
        return columns_of(())
    if wanted.detail is Detail.SLICES:
        return await _slices(store, wanted, [(low, high)])
    hours = _whole_hours(wanted, low, high)
    if not len(hours):
        return await _slices(store, wanted, [(low, high)])
    summed, edges = await asyncio.gather(
        store.hours(
            wanted.tenant,
            wanted.key,
            low_ms=int(hours[0]),
            high_ms=int(hours[-1]) + HOUR_MS,
            as_of_ms=wanted.as_of_ms,
            distributions=wanted.distributions,
        ),
        _slices(store, wanted, _others(hours, low, high)),
    )
    summed = _useful(summed, hours, wanted.detail)
    holes = hours[~np.isin(hours, summed.start_ms)]
    parts = [summed, edges]
    if len(holes):
        parts.append(await _slices(store, wanted, _spans(holes)))
    return joined(parts)


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


_MOST_RANGES = 100


async def _slices(store: SliceStore, wanted: Wanted, ranges: Iterable[tuple[int, int]]) -> SliceColumns:
    listed = list(ranges)
    if not listed:
        return columns_of(())
    parts = [
        await store.pieces(
            wanted.tenant,
            wanted.key,
            listed[k : k + _MOST_RANGES],
            as_of_ms=wanted.as_of_ms,
            distributions=wanted.distributions,
        )
        for k in range(0, len(listed), _MOST_RANGES)
    ]
    return joined(parts)
