"""What the slicer's record says of an objective's slices, to be shown beside its figures: which were filled
in afterwards, and which series are left out and why.

It is a remark and no figure, so it is read at most once in a while, and without the log there is none.
"""

from dataclasses import dataclass

from services.common.clock import Clock
from services.common.errors import Unavailable
from services.common.log_port import KeyValue
from services.sla.slice_work import KvWorkStore

_FRESH_NS = 30_000_000_000


@dataclass(frozen=True, slots=True)
class Remark:
    """until_ms: slices that begin before it were filled in from raw data; None: none were.

    left_out: why series are in no slice, a sentence each.
    """

    until_ms: int | None = None
    left_out: tuple[str, ...] = ()


class BackFills:
    """Remarks by (tenant, objective key)."""

    def __init__(self, kv: KeyValue, clock: Clock) -> None:
        self._works = KvWorkStore(kv)
        self._clock = clock
        self._known: dict[tuple[str, str], tuple[int, Remark]] = {}

    async def remark(self, tenant: str, objective: str) -> Remark:
        """What there is to say, up to half a minute old."""
        now_ns = self._clock.monotonic_ns()
        known = self._known.get((tenant, objective))
        if known is not None and now_ns - known[0] < _FRESH_NS:
            return known[1]
        try:
            work = await self._works.load(tenant, objective)
        except Unavailable:
            return Remark() if known is None else known[1]
        found = Remark() if work is None else Remark(work.until_ms or None, work.left_out)
        self._known[tenant, objective] = now_ns, found
        return found
