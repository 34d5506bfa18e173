"""Stores in memory, for tests and for trying the service without an engine."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from services.sla.columns import columns_of
from services.sla.errors import StoreDown
from services.sla.memory_numbers import MemoryNumberReader, within_and_next
from services.sla.model import Exports, Head, Heartbeats, PointKind, Revision, Rows, Series, SliceColumns
from services.sla.ports import Extract
from services.sla.rows_build import Point, rows_of, signed

_NO_RECORDED_VALUE = 1
_HOUR_MS = 3_600_000
_Held = dict[tuple[str, str], dict[tuple[int, int], tuple[Revision, int]]]


class MemoryPointReader(MemoryNumberReader):
    """`PointReader` over what `put` was given."""

    def __init__(self) -> None:
        super().__init__()
        self._series: dict[tuple[str, str], dict[int, Series]] = {}
        self._points: dict[tuple[str, str], list[Point]] = {}

    def put(self, tenant: str, metric: str, series: Series, *points: Point) -> None:
        """Store points of one series."""
        self._series.setdefault((tenant, metric), {})[series.series_id] = series
        self._points.setdefault((tenant, metric), []).extend(points)

    async def series(self, tenant: str, metric: str) -> Sequence[Series]:
        """See `PointReader.series`."""
        self._check()
        return list(self._series.get((tenant, metric), {}).values())

    async def rows(self, tenant: str, metric: str, kind: PointKind, *, low_ms: int, high_ms: int) -> Rows:
        """See `PointReader.rows`."""
        self._check()
        chosen: list[Point] = []
        before: dict[tuple[int, int, int], Point] = {}
        after: dict[tuple[int, int, int], Point] = {}
        for point in sorted(self._valued(tenant, metric, kind), key=lambda one: (one.ts_ms, one.ts_ns)):
            key = (point.series_id, point.start_ms, point.start_ns)
            if low_ms < point.ts_ms <= high_ms:
                chosen.append(point)
            elif point.ts_ms <= low_ms:
                before[key] = point
            elif point.start_ms < high_ms:
                after.setdefault(key, point)
        return rows_of(kind, [*chosen, *before.values(), *after.values()])

    async def exports(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Exports:
        """See `PointReader.exports`."""
        self._check()
        inside = [p for p in self._points.get((tenant, metric), []) if low_ms < p.ts_ms <= high_ms]
        after: dict[int, Point] = {}
        for point in self._points.get((tenant, metric), []):
            known = after.get(point.series_id)
            if point.ts_ms > high_ms and (known is None or point.ts_ms < known.ts_ms):
                after[point.series_id] = point
        found = [*inside, *after.values()]
        return Exports(
            series=np.array([signed(p.series_id) for p in found], np.int64),
            ts=np.array([p.ts_ms for p in found], np.int64),
            start=np.array([0 if p.bits else p.start_ms for p in found], np.int64),
        )

    async def heartbeats(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Heartbeats:
        """See `PointReader.heartbeats`."""
        self._check()
        senders = {one.sender_id for one in self._series.get((tenant, metric), {}).values()}
        reports = [(who, ts) for owner, who, ts in self._beats if owner == tenant and who in senders]
        return within_and_next(reports, low_ms, high_ms)

    async def extent(self, tenant: str, metric: str) -> tuple[int, int] | None:
        """See `PointReader.extent`."""
        self._check()
        times = [point.ts_ms for point in self._points.get((tenant, metric), [])]
        return (min(times), max(times)) if times else None

    def _valued(self, tenant: str, metric: str, kind: PointKind) -> list[Point]:
        series = self._series.get((tenant, metric), {})
        return [
            point
            for point in self._points.get((tenant, metric), [])
            if series[point.series_id].kind is kind and not point.flags & _NO_RECORDED_VALUE
        ]


class MemorySliceStore:
    """`SliceStore` in a dictionary."""

    def __init__(self) -> None:
        self._held: _Held = {}
        self._hours: _Held = {}
        self.down = False
        self.reads = 0

    async def store(
        self,
        tenant: str,
        slices: Sequence[tuple[str, Revision]],
        *,
        seq: int,
        hours: Sequence[tuple[str, Revision]] = (),
    ) -> None:
        """See `SliceStore.store`."""
        self._check()
        for kept, rows in ((self._held, slices), (self._hours, hours)):
            for objective, one in rows:
                held = kept.setdefault((tenant, objective), {})
                held[one.slice.start_ms, one.revision] = (one, seq)

    async def current(
        self, tenant: str, objective: str, *, low_ms: int, high_ms: int, as_of_ms: int | None = None
    ) -> list[Revision]:
        """See `SliceStore.current`."""
        found = self._current(self._held, tenant, objective, [(low_ms, high_ms)], as_of_ms)
        return [one for one, _ in found]

    async def columns(
        self, tenant: str, objective: str, *, low_ms: int, high_ms: int, as_of_ms: int | None = None
    ) -> SliceColumns:
        """See `SliceStore.columns`."""
        return await self.pieces(tenant, objective, [(low_ms, high_ms)], as_of_ms=as_of_ms)

    async def pieces(
        self,
        tenant: str,
        objective: str,
        ranges: Sequence[tuple[int, int]],
        *,
        as_of_ms: int | None = None,
        distributions: bool = True,
    ) -> SliceColumns:
        """See `SliceStore.pieces`."""
        self.reads += 1
        found = self._current(self._held, tenant, objective, ranges, as_of_ms)
        return columns_of(found if distributions else _bare(found))

    async def hours(
        self,
        tenant: str,
        objective: str,
        *,
        low_ms: int,
        high_ms: int,
        as_of_ms: int | None = None,
        distributions: bool = True,
    ) -> SliceColumns:
        """See `SliceStore.hours`."""
        self.reads += 1
        last = high_ms - _HOUR_MS + 1
        found = self._current(self._hours, tenant, objective, [(low_ms, last)], as_of_ms)
        return columns_of(found if distributions else _bare(found))

    async def extracts(
        self, tenant: str, wanted: Sequence[Extract], *, as_of_ms: int | None = None
    ) -> list[tuple[SliceColumns, SliceColumns]]:
        """See `SliceStore.extracts`."""
        self.reads += 1
        out = []
        for one in wanted:
            low, high = one.hours
            kinds = ((self._hours, [(low, high - _HOUR_MS + 1)]), (self._held, one.pieces))
            rows = [self._current(kept, tenant, one.objective, ranges, as_of_ms) for kept, ranges in kinds]
            hours, slices = (columns_of(held if one.distributions else _bare(held)) for held in rows)
            out.append((hours, slices))
        return out

    async def heads(self, tenants: Sequence[str]) -> dict[tuple[str, str], Head]:
        """See `SliceStore.heads`."""
        self._check()
        found: dict[tuple[str, str], Head] = {}
        for (tenant, objective), held in self._held.items():
            span = await self.span(tenant, objective)
            if tenant in tenants and span is not None:
                known = max(one.known_at_ms for one, _ in held.values())
                found[tenant, objective] = Head("memory", *span, known, max(s for _, s in held.values()))
        return found

    async def span(
        self, tenant: str, objective: str, *, as_of_ms: int | None = None
    ) -> tuple[int, int, int] | None:
        """See `SliceStore.span`."""
        known = [
            one.slice
            for one, _ in self._held.get((tenant, objective), {}).values()
            if as_of_ms is None or one.known_at_ms <= as_of_ms
        ]
        self._check()
        if not known:
            return None
        sealed = max((one.end_ms for one in known if one.sealed), default=0)
        return min(one.start_ms for one in known), max(one.end_ms for one in known), sealed

    def _current(
        self,
        kept: _Held,
        tenant: str,
        objective: str,
        ranges: Sequence[tuple[int, int]],
        as_of_ms: int | None,
    ) -> list[tuple[Revision, int]]:
        self._check()
        best: dict[int, tuple[Revision, int]] = {}
        for (start, revision), (one, seq) in sorted(kept.get((tenant, objective), {}).items()):
            inside = any(low <= start < high for low, high in ranges)
            if inside and (as_of_ms is None or one.known_at_ms <= as_of_ms):
                assert revision == one.revision
                best[start] = (one, seq)
        return [best[start] for start in sorted(best)]

    def _check(self) -> None:
        if self.down:
            raise StoreDown("the slices cannot be read")


def _bare(found: list[tuple[Revision, int]]) -> list[tuple[Revision, int]]:
    return [(replace(one, slice=replace(one.slice, distribution=None)), seq) for one, seq in found]
