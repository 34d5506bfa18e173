"""The one process that makes, schedules and delivers reports: whoever holds the lease.

Woken by what is put into REPORTS, and by time. What there is to do comes from the store each time, so a
new leader needs nothing from the old one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from services.common.clock import Clock
from services.common.lease import Lease, run_while_leading
from services.common.log_port import KeyValue, Log
from services.common.streams import REPORTS

LEASE = "reports.0"
_WAIT_S = 1.0


class Part(Protocol):
    """One kind of work. look_s: do it again after this time, also when nothing came into REPORTS."""

    look_s: float

    async def step(self) -> int:
        """Do what there is to do now; how much it was. Raises Unavailable: come again."""
        ...


class ReportWorker:
    """Runs the parts beside each other while it leads.

    Args:
        stored: waits until the record at a sequence of REPORTS is in the store.
        parts: what there is to do.
    """

    def __init__(
        self,
        *,
        log: Log,
        kv: KeyValue,
        clock: Clock,
        stored: Callable[[int], Awaitable[None]],
        parts: Sequence[Part],
        holder: str,
    ) -> None:
        self._log = log
        self._clock = clock
        self._stored = stored
        self.parts = tuple(parts)
        self._lease = Lease(kv, clock, name=LEASE, holder=holder)

    async def run(self) -> None:
        """Lead whenever possible, until cancelled."""
        await run_while_leading(self._lease, self.lead)

    async def lead(self, _token: int) -> None:
        """Work; ends only by an error.

        Raises:
            Unavailable: an engine is away; the lease may move on.
        """
        loops = [asyncio.create_task(self._repeat(part)) for part in self.parts]
        try:
            # Slow mail must not keep reports from being made: each part has its own pace.
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_EXCEPTION)
            for one in done:
                one.result()
        finally:
            for one in loops:
                one.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def _repeat(self, part: Part) -> None:
        seq = await self._log.last_seq(REPORTS)
        await self._stored(seq)
        while True:
            await part.step()
            began_ns = self._clock.monotonic_ns()
            while self._clock.monotonic_ns() - began_ns < round(part.look_s * 1e9):
                if entries := await self._log.read(REPORTS, seq + 1, wait_s=_WAIT_S):
                    seq = entries[-1].seq
                    await self._stored(seq)
                    break
