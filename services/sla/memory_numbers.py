"""Number points in memory, for tests and for trying the service without an engine."""

from collections.abc import Sequence

import numpy as np

from services.sla.errors import StoreDown
from services.sla.model import Heartbeats, Numbers, Series
from services.sla.rows_build import NumberPoint, numbers_of, signed

_NO_RECORDED_VALUE = 1


class MemoryNumberReader:
    """`NumberReader` over what `put_numbers` and `beat` were given."""

    def __init__(self) -> None:
        self._number_series: dict[tuple[str, str], dict[int, Series]] = {}
        self._numbers: dict[tuple[str, str], list[NumberPoint]] = {}
        self._beats: list[tuple[str, int, int]] = []
        self.down = False

    def put_numbers(self, tenant: str, metric: str, series: Series, *points: NumberPoint) -> None:
        """Store points of one gauge or sum."""
        self._number_series.setdefault((tenant, metric), {})[series.series_id] = series
        self._numbers.setdefault((tenant, metric), []).extend(points)

    def beat(self, tenant: str, sender_id: int, *times_ms: int) -> None:
        """A sender reports something else."""
        self._beats.extend((tenant, sender_id, ts) for ts in times_ms)

    async def number_series(self, tenant: str, metric: str) -> Sequence[Series]:
        """See `NumberReader.number_series`."""
        self._check()
        return list(self._number_series.get((tenant, metric), {}).values())

    async def numbers(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Numbers:
        """See `NumberReader.numbers`."""
        self._check()
        chosen: list[NumberPoint] = []
        before: dict[tuple[int, int, int], NumberPoint] = {}
        after: dict[tuple[int, ...], NumberPoint] = {}
        for point in sorted(self._numbers_of(tenant, metric), key=lambda one: (one.ts_ms, one.ts_ns)):
            key = (point.series_id, point.start_ms, point.start_ns)
            if point.ts_ms <= low_ms:
                before[key] = point
            elif point.ts_ms <= high_ms:
                chosen.append(point)
            else:
                after.setdefault((point.series_id,), point)
                if point.start_ms < high_ms:
                    after.setdefault(key, point)
        return numbers_of([*chosen, *before.values(), *after.values()])

    async def last_number(self, tenant: str, metric: str, *, before_ms: int) -> int | None:
        """See `NumberReader.last_number`."""
        self._check()
        times = [one.ts_ms for one in self._numbers_of(tenant, metric) if one.ts_ms <= before_ms]
        return max(times, default=None)

    async def witnesses(self, tenant: str, metric: str, *, low_ms: int, high_ms: int) -> Heartbeats:
        """See `NumberReader.witnesses`."""
        self._check()
        reports = [(who, ts) for owner, who, ts in self._beats if owner == tenant]
        for (owner, other), points in self._numbers.items():
            if owner == tenant and other != metric:
                known = self._number_series[owner, other]
                reports.extend((known[p.series_id].sender_id, p.ts_ms) for p in points)
        return within_and_next(reports, low_ms, high_ms)

    async def number_extent(self, tenant: str, metric: str) -> tuple[int, int] | None:
        """See `NumberReader.number_extent`."""
        self._check()
        times = [point.ts_ms for point in self._numbers.get((tenant, metric), [])]
        return (min(times), max(times)) if times else None

    def _numbers_of(self, tenant: str, metric: str) -> list[NumberPoint]:
        points = self._numbers.get((tenant, metric), [])
        return [one for one in points if not one.flags & _NO_RECORDED_VALUE]

    def _check(self) -> None:
        if self.down:
            raise StoreDown("the points cannot be read")


def within_and_next(reports: Sequence[tuple[int, int]], low_ms: int, high_ms: int) -> Heartbeats:
    """Reports of (sender, time) in (low, high], and each sender's next."""
    found = [(who, ts) for who, ts in reports if low_ms < ts <= high_ms]
    after: dict[int, int] = {}
    for who, ts in sorted(reports):
        if ts > high_ms:
            after.setdefault(who, ts)
    found.extend(after.items())
    return Heartbeats(
        np.array([signed(who) for who, _ in found], np.int64), np.array([ts for _, ts in found], np.int64)
    )
