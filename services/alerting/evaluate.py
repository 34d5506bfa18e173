"""Evaluation as a process: SLICES in, transitions out into ALERTS, exactly once.

The order of writes is what makes a crash harmless at any point:
    1. a transition is appended to ALERTS (fenced; its id is a hash of what it is),
    2. the instance's key is replaced by it,
    3. now and then the position is saved: everything before it has gone through 1 and 2.
After a crash the messages behind the position are folded again and give the same transitions with
the same ids. Those that ALERTS holds already are recognised by reading its end, which works
however long the break was; the stream's duplicate window is not needed for it.
"""

import logging
from collections.abc import Iterable
from hashlib import blake2b

from services.alerting import records
from services.alerting.errors import MalformedRecord
from services.alerting.fold import Fold
from services.alerting.log_times import LogTimes
from services.alerting.model import Transition
from services.alerting.ports import AlertsWriter, RuleCatalog
from services.alerting.records import RulesRecord
from services.alerting.slices import STREAM, decode_slices
from services.alerting.snapshot import Loaded, Position, SnapshotStore
from services.common.clock import Clock
from services.common.errors import FailedPrecondition
from services.common.log_port import KeyValue, Log
from services.common.telemetry import Counters

_log = logging.getLogger(__name__)

_BATCH = 500
CHECKPOINT_NS = 5_000_000_000
CHECKPOINT_MESSAGES = 1000


class Evaluator:
    """One holder's evaluation of one shard, from taking over until the fence is lost."""

    def __init__(
        self,
        *,
        log: Log,
        kv: KeyValue,
        catalog: RuleCatalog,
        clock: Clock,
        checkpoint_messages: int = CHECKPOINT_MESSAGES,
        counters: Counters | None = None,
    ) -> None:
        self._log = log
        self._catalog = catalog
        self._clock = clock
        self._store = SnapshotStore(kv)
        self._checkpoint_messages = checkpoint_messages
        self._counters = counters or Counters()
        self._writer: AlertsWriter | None = None
        self._reset()

    def _reset(self) -> None:
        self.fold = Fold()
        self._alerts_seq = 0
        self._epoch_seq = 0
        self._recorded: dict[str, int] = {}
        self._recorded_rules: list[tuple[int, RulesRecord]] = []
        self._recorded_to = 0
        self._catalog_version = -1
        self._saved_seq = -1
        self._saved_at_ns = self._clock.monotonic_ns()

    async def take_over(self, writer: AlertsWriter, *, epoch_seq: int) -> None:
        """Make the state that the last holder had, or would have had, and claim the snapshot.

        `epoch_seq` is our EPOCH record: everything of earlier holders is before it.

        Raises:
            FailedPrecondition: STREAM_BEHIND_STATE; another stream has taken the place of SLICES.
        """
        self._reset()
        self._writer = writer
        self._epoch_seq = epoch_seq
        loaded = await self._store.load()
        await self._check_stream(loaded.position)
        await self._read_recorded(loaded.position)
        await self._rebuild(loaded)
        await self._checkpoint()

    async def step(self, *, wait_s: float) -> int:
        """Fold what has come, at most one batch; the number of messages.

        Raises:
            Aborted: FENCED; another holder has taken over.
            Unavailable: the log does not answer; take over anew, since outcomes are unknown.
        """
        entries = await self._log.read(STREAM, self.fold.position + 1, max_messages=_BATCH, wait_s=wait_s)
        # After the wait: slices of a new contract must not be folded before its rules are known.
        await self._adopt_recorded()
        await self._adopt_configured()
        for entry in entries:
            await self._take(entry.seq, entry.data)
            await self._adopt_recorded()
        if self._checkpoint_due():
            await self._checkpoint()
        return len(entries)

    async def _take(self, seq: int, data: bytes) -> None:
        try:
            message = decode_slices(data)
        except MalformedRecord as err:
            _log.error("SLICES record %d is passed over: %s", seq, err)
            self._counters.add("alerting.evaluations.failed", tenant="", reason=err.reason)
            message = None
        if message is None:
            self.fold.skip(seq)
            return
        await self._emit(self.fold.apply(seq, message))

    async def _emit(self, changes: Iterable[Transition]) -> None:
        for change in changes:
            seq = self._recorded.pop(change.id, None)
            if seq is None:
                seq = await self._append(records.encode(change), msg_id=change.id)
                self._counters.add("alerting.transitions", tenant=change.tenant, to=change.new.state.value)
            self._alerts_seq = max(self._alerts_seq, seq)
            await self._store.save_instance(change)

    async def _append(self, data: bytes, *, msg_id: str) -> int:
        assert self._writer is not None, "take_over comes first"
        return (await self._writer.append(data, msg_id=msg_id)).seq

    # -- rules ------------------------------------------------------------------------------

    async def _adopt_recorded(self) -> None:
        """Rules that an earlier holder adopted at this position."""
        while self._recorded_rules and self._recorded_rules[0][1].slices_seq <= self.fold.position:
            seq, record = self._recorded_rules.pop(0)
            await self._checkpoint()
            await self._adopt(record, seq=seq)

    async def _adopt_configured(self) -> None:
        """Rules that were configured since; only once nothing recorded lies ahead."""
        behind = self._recorded_rules or self.fold.position < self._recorded_to
        if behind or self._catalog.version == self._catalog_version:
            return
        version = self._catalog.version
        for tenant in sorted(self._catalog.tenants() | self.fold.tenants):
            rules = self._catalog.rules(tenant)
            if sorted(rules, key=lambda rule: rule.key) == sorted(
                self.fold.rules(tenant), key=lambda rule: rule.key
            ):
                continue
            await self._checkpoint()
            record = RulesRecord(tenant, self.fold.position, rules)
            data = records.encode(record)
            digest = blake2b(data + str(self._alerts_seq).encode(), digest_size=16).hexdigest()
            await self._adopt(record, seq=await self._append(data, msg_id=f"rules-{digest}"))
        self._catalog_version = version

    async def _adopt(self, record: RulesRecord, *, seq: int) -> None:
        """Rules change between two saved positions, so that their key is never ahead of one."""
        await self._emit(self.fold.adopt(record.tenant, record.rules))
        await self._store.save_rules(record)
        self._alerts_seq = max(self._alerts_seq, seq)
        await self._checkpoint()

    # -- snapshot ---------------------------------------------------------------------------

    async def _check_stream(self, position: Position) -> None:
        last_seq = await self._log.last_seq(STREAM)
        if position.slices_seq > last_seq:
            raise FailedPrecondition(
                f"SLICES ends at {last_seq}, and we have folded it up to {position.slices_seq}",
                reason="STREAM_BEHIND_STATE",
                next_step="The stream and the bucket alert_state belong together: restore or empty both.",
            )

    async def _read_recorded(self, position: Position) -> None:
        """What earlier holders appended after the snapshot's position."""
        self._alerts_seq = position.alerts_seq
        self._recorded_to = position.slices_seq
        at = position.alerts_seq + 1
        while at < self._epoch_seq:
            entries = await self._log.read(records.STREAM, at, max_messages=_BATCH)
            if not entries:
                break
            for entry in entries:
                at = entry.seq + 1
                if entry.seq >= self._epoch_seq:
                    break
                record = records.decode(entry.data)
                if record is None:
                    continue
                self._recorded_to = max(self._recorded_to, record.slices_seq)
                if isinstance(record, RulesRecord):
                    self._recorded_rules.append((entry.seq, record))
                else:
                    self._recorded[record.id] = entry.seq

    async def _rebuild(self, loaded: Loaded) -> None:
        position, fold = loaded.position, self.fold
        for tenant, record in loaded.rules.items():
            fold.adopt(tenant, record.rules)
        fold.restore({key: change.new for key, change in loaded.instances.items()})
        fold.position = position.slices_seq
        fold.times = LogTimes.from_list(list(position.log_times), latest_ns=position.watermark_ns)
        fold.restore_windows(position.marks)
        at = min((mark.from_seq for mark in position.marks.values() if mark.from_seq), default=0)
        while at and at <= position.slices_seq:
            entries = await self._log.read(STREAM, at, max_messages=_BATCH)
            if not entries:
                break
            for entry in entries:
                at = entry.seq + 1
                if entry.seq <= position.slices_seq:
                    self._replay(entry.seq, entry.data)
        self._saved_seq = -1

    def _replay(self, seq: int, data: bytes) -> None:
        try:
            message = decode_slices(data)
        except MalformedRecord:
            return  # reported when it was first passed over
        if message is not None:
            self.fold.replay(seq, message)

    def _checkpoint_due(self) -> bool:
        behind = self.fold.position - self._saved_seq
        old = self._clock.monotonic_ns() - self._saved_at_ns >= CHECKPOINT_NS
        return behind >= self._checkpoint_messages or (behind > 0 and old)

    async def _checkpoint(self) -> None:
        await self._store.save_position(
            Position(
                slices_seq=self.fold.position,
                alerts_seq=self._alerts_seq,
                watermark_ns=self.fold.watermark_ns,
                log_times=tuple(self.fold.times.as_list()),
                epoch_seq=self._epoch_seq,
                marks=self.fold.marks(),
            )
        )
        self._saved_seq = self.fold.position
        self._saved_at_ns = self._clock.monotonic_ns()
