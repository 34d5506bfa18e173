"""The accepted points of a batch, whatever their type: times, series, order, and what they reach over.

Requests are gathered as they are; `finish` joins them and does each thing once for all points, in
kernels, so that a small request costs no more than its share. Pure; it knows no tables' columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.collector.columns import Decoded
from services.collector.identity import SeriesKey
from services.collector.kernels import rows as kernels
from services.collector.model import I64, NANOSECONDS_IN_MS, U8, U32, U64, Bools, Temporality, Touched
from services.collector.series_ids import TableKeys
from services.collector.write_arrays import constant
from services.common.native_columns import NumpyArray

_FAR_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class SeenSeries:
    """The series of one table and day of a batch, one element each, in the order of the table."""

    day: int
    tenants: tuple[str, ...]
    tenant: I64
    """Places in `tenants`."""
    metric_id: U32
    series_id: U64
    first_ms: I64
    last_ms: I64
    where: I64
    """The place of a point of each, for `origin`."""
    origin: "AllPoints"


class BatchPoints:
    """Gathers the points of requests."""

    def __init__(self) -> None:
        self._requests: list[tuple[Decoded, Bools, int]] = []
        self._tables: list[tuple[str, Decoded, TableKeys]] = []
        self._bases: dict[tuple[str, int, int], int] = {}
        self._points = self._series = 0

    def add(self, tenant: str, decoded: Decoded, accepted: Bools, keys: TableKeys) -> int:
        """Take a request; the number of its first point in the batch."""
        place = (tenant, id(decoded.series.identity), id(keys))
        base = self._bases.get(place)
        if base is None:
            base = self._bases[place] = self._series
            self._tables.append((tenant, decoded, keys))
            self._series += len(keys.series_ids)
        self._requests.append((decoded, accepted, base))
        first = self._points
        self._points += decoded.point_count
        return first

    def finish(self) -> "AllPoints":
        """All of them."""
        return AllPoints(self._requests, self._tables)


class AllPoints:
    """The points of a batch as columns; a place is a point's number in the batch."""

    def __init__(
        self,
        requests: list[tuple[Decoded, Bools, int]],
        tables: list[tuple[str, Decoded, TableKeys]],
    ) -> None:
        self._tables = tables
        self.tenants = tuple(sorted({tenant for tenant, _, _ in tables}))
        self._describe_series()
        decoded = [one for one, _, _ in requests]
        self.accepted = _joined([accepted for _, accepted, _ in requests], np.bool_)
        self.all_accepted = bool(self.accepted.all())
        self._series_of = _joined([one.series_index + base for one, _, base in requests], np.int64)
        self._flags = _joined([one.flags for one in decoded], np.uint32)
        time_ns = _joined([one.time_ns for one in decoded], np.uint64)
        start_ns = _joined([one.start_ns for one in decoded], np.uint64)
        self.ts: I64 = np.empty(len(time_ns), np.int64)
        self._start: I64 = np.empty(len(time_ns), np.int64)
        self._bits: U8 = np.empty(len(time_ns), np.uint8)
        kernels.times_to_ms(time_ns, start_ns, self.ts, self._start, self._bits)
        self._time_ns, self._start_ns = time_ns, start_ns

    def _describe_series(self) -> None:
        """One element for each series of each table of series; equal ones in two tables stay two."""
        place = {tenant: number for number, tenant in enumerate(self.tenants)}
        sizes = [len(keys.series_ids) for _, _, keys in self._tables]
        tenants = np.array([place[tenant] for tenant, _, _ in self._tables], dtype=np.int64)
        self._bases = np.cumsum([0, *sizes])
        self._tenant_of: I64 = np.repeat(tenants, sizes)
        self._metric_id = _joined([keys.metric_ids for _, _, keys in self._tables], np.uint32)
        self._series_id = _joined([keys.series_ids for _, _, keys in self._tables], np.uint64)
        temporality = _joined([one.series.temporality for _, one, _ in self._tables], np.int32)
        self._delta: Bools = temporality == Temporality.DELTA
        self._number, self._series_with = self._numbered()
        self._numbers = len(self._series_with)

    def _numbered(self) -> tuple[I64, I64]:
        """A number for each of them, in the order of a table and equal for equal ones; and one with each."""
        both = self._tenant_of << 32 | self._metric_id.astype(np.int64)
        known, ranks = np.unique(both, return_inverse=True)
        rank: I64 = ranks.reshape(-1).astype(np.int64)
        order, starts = np.empty(len(rank), np.int64), np.empty(len(known), np.int64)
        ids = self._series_id
        kernels.order_rows(np.argsort(ids), rank, ids, np.zeros(len(ids), np.int64), starts, order)
        new = np.empty(len(order), np.bool_)
        kernels.find_runs(rank[order], ids[order], new)
        numbers = np.empty(len(order), np.int64)
        numbers[order] = np.cumsum(new) - 1
        return numbers, order[new]

    def columns(self, place: I64, number: I64) -> dict[str, NumpyArray]:
        """The columns that all tables have, for the points at these places, whose series have these numbers;
        `tenant`: places in `tenants`."""
        ts, start = np.empty(len(place), np.int64), np.empty(len(place), np.int64)
        kernels.pick_times(place, self.ts, self._start, ts, start)
        tenants = self._tenant_of[self._series_with]
        return {
            "tenant": tenants[number] if len(self.tenants) > 1 else constant(np.int64(0), len(place)),
            "metric_id": self._metric_id[self._series_with][number],
            "series_id": self._series_id[self._series_with][number],
            "ts": ts,
            "point_ts": ts,
            "start": start,
            "flags": _chosen(self._flags, place),
            "bits": _chosen(self._bits, place),
        }

    def below_ms(self, place: I64) -> dict[str, NumpyArray]:
        """What the times in ms of the points at these places leave out."""
        time = below_ms(self._time_ns[place])
        return {"ts_ns": time, "point_ts_ns": time, "start_ns": below_ms(self._start_ns[place])}

    def order(self, place: I64, ts: I64) -> tuple[I64, I64]:
        """The rows of the points at `place`, with times `ts` (ms), in the order of a table, and the number of
        the series of each row in that order."""
        order, ends = np.empty(len(place), np.int64), np.empty(self._numbers, np.int64)
        kernels.order_points(
            place, self._series_of, self._number, ts, ends, np.empty(self._numbers, np.int64), order
        )
        return order, np.repeat(np.arange(self._numbers), np.diff(ends, prepend=0))

    def seen(self, place: I64, number: I64, day: int) -> SeenSeries:
        """The series of the points at these places, which have the order of a table and lie in one day."""
        new = np.ones(len(number), np.bool_)
        np.not_equal(number[1:], number[:-1], out=new[1:])
        first = np.flatnonzero(new)
        last = np.append(first[1:], len(place)) - 1
        one = self._series_of[place[first]]
        return SeenSeries(
            day=day,
            tenants=self.tenants,
            tenant=self._tenant_of[one],
            metric_id=self._metric_id[one],
            series_id=self._series_id[one],
            first_ms=self.ts[place[first]],
            last_ms=self.ts[place[last]],
            where=place[first],
            origin=self,
        )

    def identity(self, place: int) -> tuple[bytes, SeriesKey]:
        """The identity and the key of the series of one point."""
        series = int(self._series_of[place])
        table = int(np.searchsorted(self._bases, series, side="right")) - 1
        _, decoded, keys = self._tables[table]
        within = series - int(self._bases[table])
        return decoded.series.identity[within], keys.keys[within]

    def touched(self, seen: Sequence[SeenSeries]) -> tuple[Touched, ...]:
        """What the accepted points reach over, by tenant and metric; `seen` has all their series."""
        groups: dict[tuple[str, str], int] = {}
        group_of: list[I64] = []
        for tenant, _, keys in self._tables:
            numbers = [groups.setdefault((tenant, metric), len(groups)) for metric in keys.metrics]
            group_of.append(np.array(numbers, dtype=np.int64)[keys.metric])
        low, high = np.full(len(groups), _FAR_MS), np.full(len(groups), -_FAR_MS)
        group = _joined(group_of, np.int64)
        if self._delta.any():
            times = (self.ts, self._start, self._bits)
            kernels.reach(self._series_of, self.accepted, *times, self._delta, group, low, high)
        else:
            for one in seen:
                among = group[self._series_of[one.where]]
                np.minimum.at(low, among, one.first_ms)
                np.maximum.at(high, among, one.last_ms)
        told = zip(groups, low.tolist(), high.tolist(), strict=True)
        return tuple(Touched(*names, first, last) for names, first, last in sorted(told) if first <= last)


def below_ms(times_ns: U64) -> U32:
    """Unix nanoseconds to those below the whole millisecond."""
    return (times_ns % np.uint64(NANOSECONDS_IN_MS)).astype(np.uint32)


def _chosen(column: NumpyArray, place: I64) -> NumpyArray:
    """The elements at these places; nearly always all are zero, and then nothing is looked for."""
    return column[place] if column.any() else constant(column.dtype.type(0), len(place))


def _joined(parts: list[NumpyArray], dtype: type[np.generic]) -> NumpyArray:
    return np.concatenate(parts) if parts else np.zeros(0, dtype)
