"""Slices one by one into columns: for the memory store and for writing to ClickHouse."""

from collections.abc import Sequence

import numpy as np

from services.sla.model import NS_PER_MS, Distribution, DistributionKind, Revision, Slice, SliceColumns

_NONE = Distribution(DistributionKind.NONE, ())


def columns_of(slices: Sequence[tuple[Revision, int]]) -> SliceColumns:
    """Columns of (revision, stream sequence) pairs, in their order."""
    parts = [one.slice.distribution or _NONE for one, _ in slices]

    def ints(values: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
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


def length_ns(columns: SliceColumns) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
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


def _starts(lengths: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.concatenate(([0], np.cumsum(np.array(lengths, np.int64)))).astype(np.int64)
