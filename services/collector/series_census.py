"""Counts the active series of each tenant, exactly, in this process: it owns the count.

`SeriesCensus` in process: right where one collector receives for a region, which its ports see to.
Of every series 16 bytes are kept: id and hour of the last arrival. Until what was active before
the start is loaded, everything is let in; what is loaded then counts as well. Knows neither where
that comes from nor what a series is.
"""

from collections.abc import Mapping

import numpy as np

from services.collector.model import I64, U64, Bools
from services.collector.quota_ports import KnownSeries
from services.common.clock import Clock

ACTIVE_HOURS = 24
_HOUR_NS = 3600 * 10**9
_FRESH_AT_LEAST, _FRESH_AT_MOST = 256, 1 << 17
"""Of a tenant, in a dict: an eighth of what is sorted, so that sorting costs little, and of millions less."""


class _Tenant:
    """Series of one tenant: sorted arrays, and what came since they were sorted."""

    __slots__ = ("_fresh", "_hour", "_hours", "_ids")

    def __init__(self) -> None:
        self._ids: U64 = np.zeros(0, np.uint64)
        self._hours: I64 = np.zeros(0, np.int64)
        self._fresh: dict[int, int] = {}
        self._hour = 0

    def __len__(self) -> int:
        return len(self._ids) + len(self._fresh)

    def move_to(self, hour: int) -> None:
        """Forget who was not seen for ACTIVE_HOURS whole hours."""
        if hour <= self._hour:
            return
        self._hour = hour
        self._sort()
        active = self._hours >= hour - ACTIVE_HOURS
        if not active.all():
            self._ids, self._hours = self._ids[active], self._hours[active]

    def admit(self, series: U64, limit: int) -> Bools:
        """Which are beyond the limit (0: none is); the others are seen now."""
        refused = np.zeros(len(series), np.bool_)
        for place in self._unknown(series).tolist():
            one = int(series[place])
            if one not in self._fresh and 0 < limit <= len(self):
                refused[place] = True
            else:
                self._fresh[one] = self._hour
        if len(self._fresh) > min(max(_FRESH_AT_LEAST, len(self._ids) // 8), _FRESH_AT_MOST):
            self._sort()
        return refused

    def load(self, known: KnownSeries) -> None:
        """Add what was active before; the later hour of a series counts."""
        recent = known.hours >= self._hour - ACTIVE_HOURS
        self._sort()
        self._merge(known.series[recent], known.hours[recent])

    def _unknown(self, series: U64) -> I64:
        """Places of those that are not in the arrays; the others are seen now."""
        if not len(self._ids):
            return np.arange(len(series))
        places = np.searchsorted(self._ids, series)
        places[places == len(self._ids)] = 0
        known = self._ids[places] == series
        self._hours[places[known]] = self._hour
        return np.flatnonzero(~known)

    def _sort(self) -> None:
        if self._fresh:
            fresh, self._fresh = KnownSeries.of(self._fresh), {}
            self._merge(fresh.series, fresh.hours)

    def _merge(self, ids: U64, hours: I64) -> None:
        """Millions may be there, thousands come: what is there is copied, never sorted again."""
        order = np.lexsort((-hours, ids))
        ids, hours = ids[order], hours[order]
        first = np.ones(len(ids), np.bool_)
        first[1:] = ids[1:] != ids[:-1]
        ids, hours = ids[first], hours[first]
        places = np.searchsorted(self._ids, ids)
        known = np.zeros(len(ids), np.bool_)
        inside = places < len(self._ids)
        known[inside] = self._ids[places[inside]] == ids[inside]
        there = places[known]
        self._hours[there] = np.maximum(self._hours[there], hours[known])
        self._ids = np.insert(self._ids, places[~known], ids[~known])
        self._hours = np.insert(self._hours, places[~known], hours[~known])


class LocalSeriesCensus:
    """`SeriesCensus` of one process; belongs to one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tenants: dict[str, _Tenant] = {}
        self.loaded = False
        """Whether what was active before the start is counted; until then no one is refused."""

    async def admit(self, tenant: str, series: U64, *, limit: int) -> Bools:
        """See `SeriesCensus.admit`."""
        return self._of(tenant).admit(series, limit if self.loaded else 0)

    async def active(self, tenant: str) -> int | None:
        """See `SeriesCensus.active`."""
        return self.counts().get(tenant, 0) if self.loaded else None

    def counts(self) -> dict[str, int]:
        """Active series by tenant, as far as they are known."""
        return {tenant: len(self._of(tenant)) for tenant in list(self._tenants)}

    def load(self, known: Mapping[str, KnownSeries]) -> None:
        """Count what was active before the start, and hold the limits from now on."""
        for tenant, series in known.items():
            self._of(tenant).load(series)
        self.loaded = True

    def _of(self, tenant: str) -> _Tenant:
        found = self._tenants.setdefault(tenant, _Tenant())
        found.move_to(self._clock.now_ns() // _HOUR_NS)
        return found


def hour_of(time_ns: int) -> int:
    """Whole hours since 1970 of Unix nanoseconds."""
    return time_ns // _HOUR_NS
