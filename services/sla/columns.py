"""Slices one by one into columns: for the memory store and for writing to ClickHouse."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from services.sla.model import NS_PER_MS, Distribution, DistributionKind, Ints, Revision, Slice, SliceColumns

_NONE = Distribution(DistributionKind.NONE, ())


def columns_of(slices: Sequence[tuple[Revision, int]]) -> SliceColumns:
    """Columns of (revision, stream sequence) pairs, in their order."""
    parts = [one.slice.distribution or _NONE for one, _ in slices]

    def ints(values: list[int]) -> Ints:
        return np.array(values, np.int64)

    return SliceColumns(
        start_ms=ints([one.slice.start_ms for one, _ in slices]),
        length_ms=ints([one.slice.length_ms for one, _ in slices]),
        good=ints([one.slice.good for one, _ in slices]),
        total=ints([one.slice.total for one, _ in slices]),
        durations=np.array(
            [
                (
                    one.slice.up_ns,
                    one.slice.degraded_ns,
                    one.slice.down_ns,
                    one.slice.excluded_ns,
                    one.slice.no_data_ns,
                    one.slice.not_started_ns,
                )
                for one, _ in slices
            ],
            np.int64,
        )
        .reshape(len(slices), 6)
        .T.copy(),
        kind=ints([int(part.kind) for part in parts]),
        scale=ints([part.scale for part in parts]),
        offset=ints([part.offset for part in parts]),
        zero_count=ints([part.zero_count for part in parts]),
        at=_starts([len(part.counts) for part in parts]),
        counts=ints([n for part in parts for n in part.counts]),
        bounds_at=_starts([len(part.bounds) for part in parts]),
        bounds=np.array([b for part in parts for b in part.bounds], np.float64),
        sealed=np.array([one.slice.sealed for one, _ in slices], np.bool_),
        revision=ints([one.revision for one, _ in slices]),
        known_at_ms=ints([one.known_at_ms for one, _ in slices]),
        seq=ints([seq for _, seq in slices]),
    )


def length_ns(columns: SliceColumns) -> Ints:
    """Slice lengths in nanoseconds, as the table has them."""
    return columns.length_ms * NS_PER_MS


def distribution_at(columns: SliceColumns, k: int) -> Distribution | None:
    """The distribution of row k."""
    kind = DistributionKind(int(columns.kind[k]))
    if kind is DistributionKind.NONE:
        return None
    return Distribution(
        kind,
        tuple(columns.counts[columns.at[k] : columns.at[k + 1]].tolist()),
        scale=int(columns.scale[k]),
        offset=int(columns.offset[k]),
        zero_count=int(columns.zero_count[k]),
        bounds=tuple(columns.bounds[columns.bounds_at[k] : columns.bounds_at[k + 1]].tolist()),
    )


def revision_at(columns: SliceColumns, k: int) -> Revision:
    """Row k as a slice with its revision."""
    up, degraded, down, excluded, no_data, not_started = (int(d) for d in columns.durations[:, k])
    return Revision(
        Slice(
            start_ms=int(columns.start_ms[k]),
            length_ms=int(columns.length_ms[k]),
            good=int(columns.good[k]),
            total=int(columns.total[k]),
            up_ns=up,
            degraded_ns=degraded,
            down_ns=down,
            excluded_ns=excluded,
            no_data_ns=no_data,
            not_started_ns=not_started,
            distribution=distribution_at(columns, k),
            sealed=bool(columns.sealed[k]),
        ),
        revision=int(columns.revision[k]),
        known_at_ms=int(columns.known_at_ms[k]),
    )


def _starts(lengths: list[int] | Ints) -> Ints:
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(np.asarray(lengths, np.int64))))


def part_of(columns: SliceColumns, low_ms: int, high_ms: int) -> SliceColumns:
    """The slices with low <= start < high; views, nothing is copied."""
    low, high = (int(k) for k in np.searchsorted(columns.start_ms, (low_ms, high_ms)))
    return between(columns, low, high)


def between(columns: SliceColumns, low: int, high: int) -> SliceColumns:
    """Rows low <= k < high; views, nothing is copied."""
    if (low, high) == (0, len(columns.start_ms)):
        return columns
    rows = slice(low, high)
    first, last = int(columns.at[low]), int(columns.at[high])
    first_bound, last_bound = int(columns.bounds_at[low]), int(columns.bounds_at[high])
    return SliceColumns(
        start_ms=columns.start_ms[rows],
        length_ms=columns.length_ms[rows],
        good=columns.good[rows],
        total=columns.total[rows],
        durations=columns.durations[:, rows],
        kind=columns.kind[rows],
        scale=columns.scale[rows],
        offset=columns.offset[rows],
        zero_count=columns.zero_count[rows],
        at=columns.at[low : high + 1] - first,
        counts=columns.counts[first:last],
        bounds_at=columns.bounds_at[low : high + 1] - first_bound,
        bounds=columns.bounds[first_bound:last_bound],
        sealed=columns.sealed[rows],
        revision=columns.revision[rows],
        known_at_ms=columns.known_at_ms[rows],
        seq=columns.seq[rows],
    )


def rows_of(columns: SliceColumns, rows: Ints) -> SliceColumns:
    """The slices at these places, in that order."""
    at, counts = _taken(columns.at, columns.counts, rows)
    bounds_at, bounds = _taken(columns.bounds_at, columns.bounds, rows)
    return SliceColumns(
        start_ms=columns.start_ms[rows],
        length_ms=columns.length_ms[rows],
        good=columns.good[rows],
        total=columns.total[rows],
        durations=columns.durations[:, rows],
        kind=columns.kind[rows],
        scale=columns.scale[rows],
        offset=columns.offset[rows],
        zero_count=columns.zero_count[rows],
        at=at,
        counts=counts,
        bounds_at=bounds_at,
        bounds=bounds,
        sealed=columns.sealed[rows],
        revision=columns.revision[rows],
        known_at_ms=columns.known_at_ms[rows],
        seq=columns.seq[rows],
    )


def joined(parts: Sequence[SliceColumns]) -> SliceColumns:
    """All slices of the parts, ordered by start."""
    held = [part for part in parts if len(part.start_ms)]
    if not held:
        return columns_of(())
    if len(held) == 1:
        return held[0]

    def all_(name: str) -> Ints:
        return np.concatenate([getattr(part, name) for part in held])

    lengths, bounds = (
        np.concatenate([np.diff(getattr(part, name)) for part in held]) for name in ("at", "bounds_at")
    )
    whole = SliceColumns(
        start_ms=all_("start_ms"),
        length_ms=all_("length_ms"),
        good=all_("good"),
        total=all_("total"),
        durations=np.concatenate([part.durations for part in held], axis=1),
        kind=all_("kind"),
        scale=all_("scale"),
        offset=all_("offset"),
        zero_count=all_("zero_count"),
        at=_starts(lengths),
        counts=all_("counts"),
        bounds_at=_starts(bounds),
        bounds=np.concatenate([part.bounds for part in held]),
        sealed=np.concatenate([part.sealed for part in held]),
        revision=all_("revision"),
        known_at_ms=all_("known_at_ms"),
        seq=all_("seq"),
    )
    order = np.argsort(whole.start_ms, kind="stable")
    if bool((order[1:] > order[:-1]).all()):
        return whole
    return rows_of(whole, order)


def _taken(at: Ints, flat: np.ndarray[Any, Any], rows: Ints) -> tuple[Ints, np.ndarray[Any, Any]]:
    lengths = at[rows + 1] - at[rows]
    starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
    places = np.arange(int(starts[-1])) + np.repeat(at[rows] - starts[:-1], lengths)
    return starts, flat[places]
