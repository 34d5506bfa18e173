"""Which slices of an objective were filled in afterwards: the provenance that is shown beside its figures.

Reads the slicer's record of work. It is a remark and no figure, so it is read at most once in a while, and
without the log there is none.
"""

from services.common.clock import Clock
from services.common.errors import Unavailable
from services.common.log_port import KeyValue
from services.sla.slice_work import KvWorkStore

_FRESH_NS = 30_000_000_000


class BackFills:
    """Back-fill times by (tenant, objective key)."""

    def __init__(self, kv: KeyValue, clock: Clock) -> None:
        self._works = KvWorkStore(kv)
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[int, int | None]] = {}

    async def time_of(self, tenant: str, objective: str) -> int | None:
        """Slices that begin before this (ms) were filled in from raw data; None when none were."""
        now_ns = self._clock.monotonic_ns()
        known = self._known.get((tenant, objective))
        if known is not None and now_ns - known[0] < _FRESH_NS:
            return known[1]
        try:
            work = await self._works.load(tenant, objective)
        except Unavailable:
            return None if known is None else known[1]
        found = None if work is None or work.until_ms == 0 else work.until_ms
        self._known[tenant, objective] = now_ns, found
        return found
