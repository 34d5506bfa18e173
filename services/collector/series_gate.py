"""Which points belong to a series that the tenant may not have: they are refused, the others go on.

Stands between judging a request and putting it into the log, so that the refusal is in the record
like every other. Requests that bring the same series as before, which is nearly all of them, cost
one look-up: decoding hands out one table for them.
"""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from services.collector.columns import Decoded, SeriesTable, table_bytes
from services.collector.identity import series_key
from services.collector.model import I64, U64, Rejection
from services.collector.quota import Quota
from services.collector.quota_ports import SeriesCensus
from services.collector.series_census import hour_of
from services.collector.validate import Verdict
from services.common.clock import Clock
from services.common.errors import Unavailable
from services.common.telemetry import Counters

_MOST_IDS, _MOST_BYTES = 1 << 17, 64 << 20
"""Of all tenants; the bytes of an identity, which decoding remembers as well, are most of each."""
_MOST_TABLE_BYTES = 64 << 20
"""Of the tables of all tenants, should nobody else hold their identities any more."""
_THREAD_FROM = 64
"""More new series than this are read beside the event loop; each costs about 20 microseconds."""

Identities = tuple[bytes, ...]


class _Lane:
    """What is remembered of one tenant."""

    __slots__ = ("hour", "ids", "tables")

    def __init__(self, hour: int) -> None:
        self.hour = hour
        self.ids: dict[bytes, int] = {}
        self.tables: dict[int, Identities] = {}
        """Series tables of which every series was let in within this hour, by `id`."""


class SeriesGate:
    """Holds the limit of active series. Belongs to one event loop."""

    def __init__(
        self,
        census: SeriesCensus,
        quota_of: Callable[[str], Quota],
        clock: Clock,
        counters: Counters,
        *,
        remember: int = _MOST_IDS,
    ) -> None:
        self._census = census
        self._quota_of = quota_of
        self._clock = clock
        self._counters = counters
        self._lanes: dict[str, _Lane] = {}
        self._most_ids = remember
        self._remembered = self._bytes = self._table_bytes = 0

    async def judge(self, tenant: str, decoded: Decoded, verdict: Verdict) -> Verdict:
        """The verdict with the points of series beyond the limit refused too.

        A series counts when a point of it is accepted. When the owner of the count does not answer,
        every series is let in, and that is counted.
        """
        identity = decoded.series.identity
        lane = self._lane(tenant)
        if not identity or lane.tables.get(id(identity)) is identity:
            return verdict
        wanted = _accepted_series(decoded, verdict)
        ids = await self._ids(tenant, lane, [identity[place] for place in wanted.tolist()])
        try:
            limit = self._quota_of(tenant).active_series
            refused = await self._census.admit(tenant, ids, limit=limit)
        except Unavailable:
            self._counters.add("collector.series.uncounted", len(ids), tenant=tenant)
            return verdict
        if not refused.any():
            if len(wanted) == len(identity):
                self._remember(lane, decoded.series)
            return verdict
        return _refusing(decoded, verdict, wanted[refused])

    def forget(self) -> None:
        """See `Memory.forget`; requests that are being judged keep the lane that they have."""
        self._lanes, self._remembered, self._bytes, self._table_bytes = {}, 0, 0, 0

    def _lane(self, tenant: str) -> _Lane:
        hour = hour_of(self._clock.now_ns())
        lane = self._lanes.get(tenant)
        if lane is None:
            lane = self._lanes[tenant] = _Lane(hour)
        if lane.hour != hour:
            # Every hour each series must be seen anew by the one that counts.
            lane.hour, lane.tables = hour, {}
        return lane

    async def _ids(self, tenant: str, lane: _Lane, identities: Sequence[bytes]) -> U64:
        unknown = [identity for identity in identities if identity not in lane.ids]
        if not unknown:
            return np.fromiter(map(lane.ids.__getitem__, identities), np.uint64, len(identities))
        if len(unknown) < _THREAD_FROM:
            computed = _computed(tenant, unknown)
        else:
            computed = await asyncio.to_thread(_computed, tenant, unknown)
        found = [computed[one] if one in computed else lane.ids.get(one) for one in identities]
        self._keep(lane, computed)
        # Meanwhile another request may have had all ids forgotten.
        whole = [
            series_key(tenant, identity).series_id if one is None else one
            for identity, one in zip(identities, found, strict=True)
        ]
        return np.array(whole, np.uint64)

    def _remember(self, lane: _Lane, table: SeriesTable) -> None:
        self._table_bytes += (size := table_bytes(table))
        if self._table_bytes > _MOST_TABLE_BYTES:
            for each in list(self._lanes.values()):
                each.tables = {}
            self._table_bytes = size
        lane.tables[id(table.identity)] = table.identity

    def _keep(self, lane: _Lane, computed: dict[bytes, int]) -> None:
        size = sum(map(len, computed))
        self._remembered += len(computed)
        self._bytes += size
        if self._remembered > self._most_ids or self._bytes > _MOST_BYTES:
            for each in list(self._lanes.values()):
                each.ids, each.tables = {}, {}
            self._remembered, self._bytes = len(computed), size
        lane.ids.update(computed)


def _accepted_series(decoded: Decoded, verdict: Verdict) -> I64:
    """Places in the series table, in its order, of series with an accepted point."""
    if not verdict.rejected.any():
        return np.arange(len(decoded.series.identity))
    return np.unique(decoded.series_index[~verdict.rejected])


def _computed(tenant: str, identities: Sequence[bytes]) -> dict[bytes, int]:
    return {identity: series_key(tenant, identity).series_id for identity in identities}


def _refusing(decoded: Decoded, verdict: Verdict, places: I64) -> Verdict:
    marks = np.isin(decoded.series_index, places) & ~verdict.rejected
    reasons = {**verdict.reasons, Rejection.SERIES_LIMIT.value: int(marks.sum())}
    return Verdict(verdict.rejected | marks, reasons)
