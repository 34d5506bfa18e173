"""Stores in memory, for tests and for trying the service without an engine."""

from collections.abc import Sequence

import numpy as np

from services.sla.columns import columns_of
from services.sla.errors import StoreDown
from services.sla.model import Exports, Heartbeats, PointKind, Revision, Rows, Series, SliceColumns
from services.sla.rows_build import Point, rows_of, signed

_NO_RECORDED_VALUE = 1


class MemoryPointReader:
    """`PointReader` over what `put` was given."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], dict[int, Series]] = {}
        self._points: dict[tuple[str, str], list[Point]] = {}
        self._beats: list[tuple[str, int, int]] = []
        self.down = False

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
        before: dict[tuple[int, int], Point] = {}
        after: dict[tuple[int, int], Point] = {}
        for point in self._valued(tenant, metric, kind):
            key = (point.series_id, point.start_ms)
            if low_ms < point.ts_ms <= high_ms:
                chosen.append(point)
            elif point.ts_ms <= low_ms:
                if key not in before or point.ts_ms > before[key].ts_ms:
                    before[key] = point
            elif point.start_ms < high_ms and (key not in after or point.ts_ms < after[key].ts_ms):
                after[key] = point
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

    def beat(self, tenant: str, sender_id: int, *times_ms: int) -> None:
        """A sender reports something else."""
        self._beats.extend((tenant, sender_id, ts) for ts in times_ms)

    async def heartbeats(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Heartbeats:
        """See `PointReader.heartbeats`."""
        self._check()
        senders = {one.sender_id for one in self._series.get((tenant, metric), {}).values()}
        reports = sorted((who, ts) for owner, who, ts in self._beats if owner == tenant and who in senders)
        found = [(who, ts) for who, ts in reports if low_ms < ts <= high_ms]
        after: dict[int, int] = {}
        for who, ts in reports:
            if ts > high_ms:
                after.setdefault(who, ts)
        found.extend(after.items())
        return Heartbeats(
            np.array([signed(who) for who, _ in found], np.int64), np.array([ts for _, ts in found], np.int64)
        )

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

    def _check(self) -> None:
        if self.down:
            raise StoreDown("the points cannot be read")


class MemorySliceStore:
    """`SliceStore` in a dictionary."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], dict[tuple[int, int], tuple[Revision, int]]] = {}
        self.down = False

    async def store(self, tenant: str, slices: Sequence[tuple[str, Revision]], *, seq: int) -> None:
        """See `SliceStore.store`."""
        self._check()
        for objective, one in slices:
            held = self._held.setdefault((tenant, objective), {})
            held[one.slice.start_ms, one.revision] = (one, seq)

    async def current(
        self, tenant: str, objective: str, *, low_ms: int, high_ms: int, as_of_ms: int | None = None
    ) -> list[Revision]:
        """See `SliceStore.current`."""
        return [one for one, _ in self._current(tenant, objective, (low_ms, high_ms), as_of_ms)]

    async def columns(
        self, tenant: str, objective: str, *, low_ms: int, high_ms: int, as_of_ms: int | None = None
    ) -> SliceColumns:
        """See `SliceStore.columns`."""
        return columns_of(self._current(tenant, objective, (low_ms, high_ms), as_of_ms))

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
        self, tenant: str, objective: str, span: tuple[int, int], as_of_ms: int | None
    ) -> list[tuple[Revision, int]]:
        self._check()
        best: dict[int, tuple[Revision, int]] = {}
        for (start, revision), (one, seq) in sorted(self._held.get((tenant, objective), {}).items()):
            if span[0] <= start < span[1] and (as_of_ms is None or one.known_at_ms <= as_of_ms):
                assert revision == one.revision
                best[start] = (one, seq)
        return [best[start] for start in sorted(best)]

    def _check(self) -> None:
        if self.down:
            raise StoreDown("the slices cannot be read")
