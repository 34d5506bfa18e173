"""The slicer: follows APPLIED, publishes SLICES. One in the whole system for each shard, by lease and fence.

Its position moves only after everything of a batch is in the stream. After a crash in between it computes
the same slices again and finds nothing to publish. While ClickHouse is away it waits, and nothing is lost.
"""

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from services.common.clock import Clock
from services.common.errors import Unavailable
from services.common.lease import FencedWriter, Lease, run_while_leading
from services.common.log_port import Entry, KeyValue, Log
from services.common.streams import APPLIED, POSITIONS, SLICES
from services.common.telemetry import Counters
from services.sla.model import Applied, Objective, Revision, SliceMessage
from services.sla.payload import applied_from_json, message_to_json
from services.sla.ports import PointReader, SliceStore
from services.sla.slice_engine import Plan, SliceEngine
from services.sla.store_slices import SliceStorer

_logger = logging.getLogger(__name__)

SHARD = "slicer.0"
SUBJECT = "slices.0"
_MESSAGE_SLICES = 500
_TICK_NS = 1_000_000_000
_PATIENCE_S = 30.0
_RETRY_S = 1.0
_READ_WAIT_S = 1.0
_T = TypeVar("_T")


class Slicer:
    """Computes and publishes slices while it holds the lease of its shard.

    Args:
        log, kv, clock: the engines.
        reader, store: ClickHouse, as this service needs it.
        storer: puts SLICES into that same ClickHouse; what was published before comes back from there.
        objectives: the present objectives.
        region: whose APPLIED records to follow.
        holder: names this process in the lease.
    """

    def __init__(
        self,
        *,
        log: Log,
        kv: KeyValue,
        clock: Clock,
        reader: PointReader,
        store: SliceStore,
        storer: SliceStorer,
        objectives: Callable[[], Sequence[Objective]],
        region: str,
        holder: str,
        counters: Counters | None = None,
    ) -> None:
        self._log = log
        self._kv = kv
        self._clock = clock
        self._reader = reader
        self._store = store
        self._storer = storer
        self._objectives = objectives
        self._region = region
        self._lease = Lease(kv, clock, name=SHARD, holder=holder)
        self._counters = counters or Counters()
        self._reported_ns = 0
        self._log_seq = 0

    async def run(self) -> None:
        """Lead whenever possible, until cancelled."""
        await run_while_leading(self._lease, self.lead)

    async def lead(self, token: int) -> None:
        """Slice from the recorded position on; ends only by an error.

        Raises:
            Unavailable: an engine was away for longer than the patience; the lease should move on.
            Aborted: another slicer has taken over.
        """
        await self._patiently(self._storer.probe)
        writer = FencedWriter(self._log, SLICES, SUBJECT)
        epoch = await writer.open(_epoch(token))
        await self._patiently(lambda: self._storer.reached(epoch))
        engine = SliceEngine(reader=self._reader, store=self._store, objectives=self._objectives)
        seq = await self._position()
        while True:
            seq = await self.step(engine, writer, seq)

    async def step(self, engine: SliceEngine, writer: FencedWriter, seq: int) -> int:
        """Read once behind `seq`, slice what came and publish it; the new position."""
        entries = await self._log.read(APPLIED, seq + 1, wait_s=_READ_WAIT_S)
        if not entries:
            return seq
        batch = self._own(entries)
        if batch:
            plan = await self._patiently(lambda: engine.plan(batch))
            await self._publish(writer, plan, entries[-1].seq)
            engine.commit(plan)
        await self._kv.put(POSITIONS, SHARD, self._place(entries[-1].seq, batch))
        return entries[-1].seq

    def _own(self, entries: Sequence[Entry]) -> list[Applied]:
        batch = []
        for entry in entries:
            if entry.subject != f"applied.{self._region}":
                continue
            try:
                batch.append(applied_from_json(entry.data))
            except (ValueError, KeyError, TypeError):
                _logger.exception("APPLIED record %d cannot be read and is skipped", entry.seq)
        return batch

    async def _publish(self, writer: FencedWriter, plan: Plan, seq: int) -> None:
        """The revisions, and log time with the last of them: then all before it is out."""
        chunks: list[tuple[str, list[tuple[str, Revision]]]] = []
        by_tenant: dict[str, list[tuple[str, Revision]]] = {}
        for (tenant, objective), revisions in sorted(plan.revisions.items()):
            by_tenant.setdefault(tenant, []).extend((objective, one) for one in revisions)
        for tenant, slices in by_tenant.items():
            chunks.extend(
                (tenant, slices[i : i + _MESSAGE_SLICES]) for i in range(0, len(slices), _MESSAGE_SLICES)
            )
        for place, (tenant, part) in enumerate(chunks, start=1):
            complete = plan.watermark_ns if place == len(chunks) else self._reported_ns
            await self._append(writer, SliceMessage(tenant, complete, seq, tuple(part)))
            self._count(tenant, part)
        if chunks:
            self._reported_ns = plan.watermark_ns
        elif plan.watermark_ns >= self._reported_ns + _TICK_NS:
            await self._append(writer, SliceMessage(None, plan.watermark_ns, seq))
            self._reported_ns = plan.watermark_ns

    def _count(self, tenant: str, part: Sequence[tuple[str, Revision]]) -> None:
        for _, one in part:
            sealed = "true" if one.slice.sealed else "false"
            self._counters.add("sla.slices.published", tenant=tenant, sealed=sealed)

    async def _append(self, writer: FencedWriter, message: SliceMessage) -> None:
        data = message_to_json(message)
        msg_id = "slices-" + hashlib.blake2b(data, digest_size=16).hexdigest()
        await self._patiently(lambda: writer.append(data, msg_id=msg_id))

    async def _patiently(self, op: Callable[[], Awaitable[_T]]) -> _T:
        """Wait for an engine that is away, up to the time after which another region should lead."""
        deadline_ns = self._clock.monotonic_ns() + round(_PATIENCE_S * 1e9)
        while True:
            try:
                return await op()
            except Unavailable as err:
                if self._clock.monotonic_ns() >= deadline_ns:
                    raise
                _logger.warning("the slicer waits: %s", err)
                await self._clock.sleep(err.retry_after_s or _RETRY_S)

    async def _position(self) -> int:
        """The sequence of APPLIED behind which to go on.

        Another region's slicer stopped at a place in the log, not at one of our records: go back to our
        first record that holds anything later.
        """
        entry = await self._kv.get(POSITIONS, SHARD)
        if entry is None:
            return 0
        place = json.loads(entry.value)
        self._reported_ns = int(place["watermark_ns"])
        self._log_seq = int(place["log_seq"])
        if place["region"] == self._region:
            return int(place["seq"])
        seq = 0
        while entries := await self._log.read(APPLIED, seq + 1):
            for one in entries:
                batch = self._own([one])
                if batch and batch[0].last_seq > place["log_seq"]:
                    return seq
                seq = one.seq
        return seq

    def _place(self, seq: int, batch: Sequence[Applied]) -> bytes:
        if batch:
            self._log_seq = batch[-1].last_seq
        place = {
            "region": self._region,
            "seq": seq,
            "log_seq": self._log_seq,
            "watermark_ns": self._reported_ns,
        }
        return json.dumps(place).encode()


def _epoch(token: int) -> bytes:
    return json.dumps({"version": 1, "type": "epoch", "token": token}).encode()
