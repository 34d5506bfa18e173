"""The slicers of one process: one for each shard, of which it leads its fair share.

Every process contends for every shard, so that any of them takes over from one that died. One that leads more
than shards divided by processes gives the last of them up. A process whose number of shards is not the
system's slices nothing.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from functools import partial

from services.common.clock import Clock
from services.common.errors import Aborted, Unavailable
from services.common.lease import TTL_S, run_while_leading
from services.common.log_port import KeyValue
from services.common.streams import LEASES
from services.sla.slice import Slicer
from services.sla.slice_shards import MEMBER, ShardLayout, lease_for, member_key
from services.sla.slice_shelf import Key
from services.sla.slice_work import Work

_logger = logging.getLogger(__name__)

_LOOK_S = 2.0


class SlicerPool:
    """All slicers of a process.

    Args:
        slicers: one for each shard.
        layout: the system's number of shards.
        holder: names this process.
    """

    def __init__(
        self,
        slicers: Sequence[Slicer],
        *,
        kv: KeyValue,
        clock: Clock,
        layout: ShardLayout,
        holder: str,
        lease_ttl_s: int = TTL_S,
    ) -> None:
        self._slicers = tuple(slicers)
        self._kv = kv
        self._clock = clock
        self._layout = layout
        self._fair = len(self._slicers)
        name = member_key(len(self._slicers), holder)
        self._member = lease_for(kv, clock, name=name, holder=holder, ttl_s=lease_ttl_s)

    @property
    def slicers(self) -> tuple[Slicer, ...]:
        """One for each shard, in order."""
        return self._slicers

    @property
    def works(self) -> Mapping[Key, Work]:
        """What is left of the past of each objective that this process slices."""
        return {key: work for one in self._slicers for key, work in one.works.items()}

    @property
    def failing(self) -> list[Key]:
        """Objectives that a defect keeps from being computed, of those that this process slices."""
        return [key for one in self._slicers for key in one.failing]

    async def probe(self) -> None:
        """Raises Unavailable while an objective cannot be computed: it has no figures from then on."""
        if self.failing:
            names = ", ".join(f"{tenant} {objective}" for tenant, objective in self.failing[:5])
            raise Unavailable(
                f"{len(self.failing)} objectives cannot be computed: {names}", reason="OBJECTIVES_FAILING"
            )

    async def run(self) -> None:
        """Lead whatever is this process's part, until cancelled."""
        await run_while_leading(self._member, self._work)

    async def _work(self, _token: int) -> None:
        while True:
            try:
                await self._layout.settle()
                break
            except (Aborted, Unavailable) as err:
                _logger.warning("this process slices nothing: %s", err)
                await self._clock.sleep(_LOOK_S)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._count())
            for slicer in self._slicers:
                tasks.create_task(slicer.run(partial(self._fairly, slicer)))

    async def _count(self) -> None:
        """Keep in mind how many processes share the shards."""
        while True:
            try:
                members = await self._kv.keys(LEASES, f"{MEMBER}{len(self._slicers)}.")
                self._fair = -(-len(self._slicers) // max(1, len(members)))
            except Unavailable as err:
                _logger.info("the processes cannot be counted: %s", err)
            await self._clock.sleep(_LOOK_S)

    async def _fairly(self, slicer: Slicer, token: int) -> None:
        """Lead until it ends by itself, or until another process should have the shard."""
        leading = asyncio.ensure_future(slicer.lead(token))
        watching = asyncio.ensure_future(self._until_surplus(slicer))
        try:
            await asyncio.wait({leading, watching}, return_when=asyncio.FIRST_COMPLETED)
            if leading.done():
                await leading
        finally:
            for task in (leading, watching):
                task.cancel()
            await asyncio.gather(leading, watching, return_exceptions=True)
        raise Aborted(f"{slicer.shard.lease} is another process's part", reason="SHARD_SURPLUS")

    async def _until_surplus(self, slicer: Slicer) -> None:
        while True:
            led = [one for one in self._slicers if one.leading]
            if slicer in led[self._fair :]:
                return
            await self._clock.sleep(_LOOK_S)
