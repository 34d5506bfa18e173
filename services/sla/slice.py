"""The slicer: follows APPLIED, publishes SLICES. One in the whole system for each shard, by lease and fence.

Its position moves only after everything of a batch is in the stream. After a crash in between it computes
the same slices again and finds nothing to publish. While ClickHouse is away it waits, and nothing is lost.
What is live comes first: the past of a new objective is filled in while nothing waits to be read.
"""

import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from services.common.clock import Clock
from services.common.errors import Unavailable
from services.common.lease import TTL_S, FencedWriter, run_while_leading
from services.common.log_port import Entry, KeyValue, Log
from services.common.streams import APPLIED, POSITIONS, SLICES
from services.common.telemetry import Counters
from services.sla.model import Applied, Objective, SliceMessage
from services.sla.payload import applied_from_json, message_to_json
from services.sla.ports import SliceStore
from services.sla.slice_engine import Configuration, Plan, SliceEngine
from services.sla.slice_publish import messages
from services.sla.slice_shards import Shard, ShardLayout, lease_for
from services.sla.slice_shelf import Key
from services.sla.slice_source import Source
from services.sla.slice_work import KvWorkStore, Work
from services.sla.store_slices import SliceStorer

_logger = logging.getLogger(__name__)

_TICK_NS = 1_000_000_000
_PATIENCE_S = 30.0
_RETRY_S = 1.0
_READ_WAIT_S = 1.0
_LIVE_AT_MOST = 16
"""After so many batches in a row that were there already, the past gets one piece."""

_ONLY = Shard(0, 1)
_T = TypeVar("_T")


class Slicer:
    """Computes and publishes the slices of one shard's tenants while it holds the shard's lease.

    Args:
        log, kv, clock: the engines.
        source, store: ClickHouse, as this service needs it.
        storer: puts SLICES into that same ClickHouse; what was published before comes back from there.
        configuration: what is promised to all tenants.
        region: whose APPLIED records to follow.
        holder: names this process in the lease.
        shard: which tenants.
        layout: how many shards the system has; the slicer works only while its own count is that.
    """

    def __init__(
        self,
        *,
        log: Log,
        kv: KeyValue,
        clock: Clock,
        source: Source,
        store: SliceStore,
        storer: SliceStorer,
        configuration: Configuration,
        region: str,
        holder: str,
        shard: Shard = _ONLY,
        layout: ShardLayout | None = None,
        lease_ttl_s: int = TTL_S,
        counters: Counters | None = None,
    ) -> None:
        self._log = log
        self._kv = kv
        self._clock = clock
        self._source = source
        self._store = store
        self._storer = storer
        self._region = region
        self._shard = shard
        self._layout = layout or ShardLayout(log, kv, shards=shard.shards)
        self._configuration = replace(configuration, objectives=self._own_objectives(configuration))
        self._lease = lease_for(kv, clock, name=shard.lease, holder=holder, ttl_s=lease_ttl_s)
        self._counters = counters or Counters()
        self._reported_ns = 0
        self._log_seq = 0
        self._applied_seq = 0
        self._in_a_row = 0
        self._engine: SliceEngine | None = None

    @property
    def shard(self) -> Shard:
        """Whose slices."""
        return self._shard

    @property
    def leading(self) -> bool:
        """Whether it works now."""
        return self._lease.held

    @property
    def works(self) -> dict[Key, Work]:
        """What is left of the past, by (tenant, objective); nothing while another process leads."""
        return self._engine.works if self._engine is not None and self.leading else {}

    @property
    def failing(self) -> list[Key]:
        """(tenant, objective) that a defect keeps from being computed."""
        return self._engine.failing if self._engine is not None and self.leading else []

    async def run(self, body: Callable[[int], Awaitable[None]] | None = None) -> None:
        """Lead whenever possible, until cancelled; `body` is what leading means, `lead` itself by default."""
        await run_while_leading(self._lease, body or self.lead)

    async def lead(self, token: int) -> None:
        """Slice from the recorded position on; ends only by an error.

        Raises:
            Unavailable: an engine was away for longer than the patience; the lease should move on.
            Aborted: another slicer has taken over, or the system has another number of shards.
        """
        await self._patiently(self._storer.probe)
        await self._layout.settle()
        writer = FencedWriter(self._log, SLICES, self._shard.subject)
        epoch = await writer.open(_epoch(token))
        # Again, behind the fence: from here on nobody changes it without stopping this writer.
        await self._layout.check()
        await self._patiently(lambda: self._storer.reached(epoch))
        engine = self._engine = self.new_engine(writer)
        seq = await self._position()
        while True:
            seq = await self.step(engine, writer, seq)

    def new_engine(self, writer: FencedWriter) -> SliceEngine:
        """An engine that knows only what the stores know."""
        return SliceEngine(
            source=self._source,
            store=self._store,
            configuration=self._configuration,
            works=KvWorkStore(self._kv),
            settled=lambda: self._patiently(lambda: self._storer.reached(writer.last_seq)),
            counters=self._counters,
        )

    async def step(self, engine: SliceEngine, writer: FencedWriter, seq: int) -> int:
        """Read once behind `seq`, slice what came and publish it; the new position.

        While nothing comes, an hour of the past.
        """
        wait_s = 0.0 if engine.due else _READ_WAIT_S
        entries = await self._log.read(APPLIED, seq + 1, wait_s=wait_s)
        if entries:
            await self._take(engine, writer, entries)
            seq = entries[-1].seq
            self._in_a_row += 1
        if not entries or self._in_a_row > _LIVE_AT_MOST:
            self._in_a_row = 0
            await self._past(engine, writer)
        return seq

    async def _take(self, engine: SliceEngine, writer: FencedWriter, entries: Sequence[Entry]) -> None:
        batch = self._own(entries)
        self._applied_seq = entries[-1].seq
        if batch:
            plan = await self._patiently(lambda: engine.plan(batch))
            await self._publish(writer, plan)
            engine.commit(plan)
            await engine.save()
        await self._kv.put(POSITIONS, self._shard.lease, self._place(entries[-1].seq, batch))

    async def _past(self, engine: SliceEngine, writer: FencedWriter) -> None:
        """One piece of what is left to do, if anything is due."""
        plan = await self._patiently(engine.piece)
        if plan is not None:
            await self._publish(writer, plan)
            engine.commit(plan)
            await engine.save()

    def _own_objectives(self, configuration: Configuration) -> Callable[[], Sequence[Objective]]:
        return lambda: [one for one in configuration.objectives() if self._shard.owns(one.tenant)]

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

    async def _publish(self, writer: FencedWriter, plan: Plan) -> None:
        """The revisions, and log time with the last of them: then all before it is out."""
        found = messages(plan, applied_seq=self._applied_seq, reported_ns=self._reported_ns)
        if not found and plan.watermark_ns >= self._reported_ns + _TICK_NS:
            found = [SliceMessage(None, plan.watermark_ns, self._applied_seq)]
        for message in found:
            await self._append(writer, message)
            self._count(message)
        if found:
            self._reported_ns = plan.watermark_ns

    def _count(self, message: SliceMessage) -> None:
        tenant = message.tenant or ""
        for _, one in message.slices:
            sealed = "true" if one.slice.sealed else "false"
            self._counters.add("sla.slices.published", tenant=tenant, sealed=sealed)
        if message.hours:
            self._counters.add("sla.hours.published", len(message.hours), tenant=tenant)

    async def _append(self, writer: FencedWriter, message: SliceMessage) -> None:
        data = message_to_json(replace(message, shard=self._shard.number, shards=self._shard.shards))
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
        entry = await self._kv.get(POSITIONS, self._shard.lease)
        if entry is None:
            return await self._layout.start(self._region)
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
