"""Holds the writer between two batches, over the key-value store.

We write `pause.<region>`, the writer answers `paused.<region>` between two batches and waits until
our key is gone or its deadline has passed. What proves that it stood still is neither, but its
position key: the writer changes it by compare-and-set before it inserts anything, so a revision
that is the same before and after the clones means that no batch was under way in between. That
also holds where no writer runs.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any

from services.common.clock import Clock
from services.common.errors import Aborted, AlreadyExists
from services.common.log_port import KeyValue, KvEntry, Log
from services.common.streams import CONTROL, LEASES, OTLP, POSITIONS
from services.dr.errors import BackupUnderWay, WriterNotPaused
from services.dr.manifest import StoredPosition
from services.dr.model import LogPosition
from services.dr.ports import PausedWriter

_logger = logging.getLogger(__name__)

_POLL_S = 0.02
_DONE = "done"


class KvWriterGate:
    """`WriterGate` over `KeyValue` and `Log`.

    Args:
        answer_s: how long to wait for the writer's answer; a batch in flight may have to end first.
        pause_s: after how long the writer goes on by itself.
    """

    def __init__(
        self,
        kv: KeyValue,
        log: Log,
        clock: Clock,
        *,
        region: str,
        answer_s: float = 10.0,
        pause_s: float = 30.0,
    ) -> None:
        self._kv = kv
        self._log = log
        self._clock = clock
        self._region = region
        self._answer_s = answer_s
        self._pause_s = pause_s

    async def pause(self, operation_id: str, *, database_uuid: str) -> PausedWriter:
        """See `WriterGate.pause`."""
        await self._ask(operation_id)
        answered = await self._answered(operation_id)
        entry = await self._kv.get(POSITIONS, self._writer_key(database_uuid))
        if entry is not None and json.loads(entry.value)["state"] != _DONE:
            raise WriterNotPaused(
                f"the writer of region {self._region} has a batch in flight and did not pause within"
                f" {self._answer_s:g} s, or does not run",
                next_step="Check that the collector and ClickHouse are well (threenines status), then"
                " back up again.",
            )
        if not answered:
            _logger.warning("no writer answered in region %s; its position stands still", self._region)
        stored = await self._stored_positions(database_uuid)
        return PausedWriter(
            revision=None if entry is None else entry.revision,
            answered=answered,
            positions=tuple([await self._position(each) for each in stored]),
            stored_positions=stored,
        )

    async def still_paused(self, paused: PausedWriter, *, database_uuid: str) -> bool:
        """See `WriterGate.still_paused`."""
        entry = await self._kv.get(POSITIONS, self._writer_key(database_uuid))
        return (None if entry is None else entry.revision) == paused.revision

    async def resume(self, operation_id: str) -> None:
        """See `WriterGate.resume`."""
        held = await self._kv.get(CONTROL, self._pause_key)
        if held is None or _id_of(held) != operation_id:
            return
        try:
            await self._kv.delete(CONTROL, self._pause_key, revision=held.revision)
        except Aborted:
            # It expired and somebody else's pause is there now: not ours to end.
            _logger.info("the pause of %s had ended by itself", operation_id)

    async def hand_over(self, stored: Sequence[StoredPosition], *, database_uuid: str) -> None:
        """See `WriterGate.hand_over`."""
        for each in stored:
            await self._kv.put(POSITIONS, each.key(database_uuid), json.dumps(dict(each.value)).encode())

    async def forget(self, database_uuid: str) -> None:
        """See `WriterGate.forget`."""
        for key in await self._keys_of(database_uuid):
            await self._kv.delete(POSITIONS, key)

    @property
    def _pause_key(self) -> str:
        return f"pause.{self._region}"

    def _writer_key(self, database_uuid: str) -> str:
        return f"writer.{self._region}.{database_uuid}.{OTLP}"

    async def _ask(self, operation_id: str) -> None:
        """Write the pause key; it disappears by itself somewhat after the deadline."""
        deadline_ns = self._clock.now_ns() + round(self._pause_s * 1e9)
        value = json.dumps({"id": operation_id, "deadline_ns": deadline_ns}).encode()
        ttl_s = round(self._pause_s) + 1
        try:
            await self._kv.create(CONTROL, self._pause_key, value, ttl_s=ttl_s)
        except AlreadyExists as err:
            held = await self._kv.get(CONTROL, self._pause_key)
            if held is not None and _id_of(held) == operation_id:
                await self._kv.update(CONTROL, self._pause_key, value, revision=held.revision, ttl_s=ttl_s)
                return
            raise BackupUnderWay(
                f"another operation holds the writer of region {self._region}",
                next_step=f"Wait for it to end; its pause ends by itself within {self._pause_s:g} s.",
            ) from err

    async def _answered(self, operation_id: str) -> bool:
        give_up_ns = self._clock.monotonic_ns() + round(self._answer_s * 1e9)
        while True:
            answer = await self._kv.get(CONTROL, f"paused.{self._region}")
            if answer is not None and _id_of(answer) == operation_id:
                return True
            if self._clock.monotonic_ns() >= give_up_ns:
                return False
            if await self._kv.get(LEASES, f"writer.{self._region}") is None:
                # Nobody writes, so nobody answers.
                return False
            await self._clock.sleep(_POLL_S)

    async def _stored_positions(self, database_uuid: str) -> tuple[StoredPosition, ...]:
        found = []
        for key in await self._keys_of(database_uuid):
            entry = await self._kv.get(POSITIONS, key)
            if entry is not None:
                prefix, suffix = key.split(database_uuid, 1)
                found.append(StoredPosition(prefix, suffix, json.loads(entry.value)))
        return tuple(found)

    async def _keys_of(self, database_uuid: str) -> list[str]:
        return [key for key in await self._kv.keys(POSITIONS) if database_uuid in key]

    async def _position(self, stored: StoredPosition) -> LogPosition:
        stream = stored.suffix.rsplit(".", 1)[-1]
        sequence = int(stored.value.get("last", 0))
        return LogPosition(
            stream=stream,
            incarnation=str(stored.value.get("incarnation", "")),
            sequence=sequence,
            append_time_ns=await self._append_time_ns(stream, sequence),
        )

    async def _append_time_ns(self, stream: str, sequence: int) -> int | None:
        if sequence == 0:
            return None
        found = await self._log.read(stream, sequence, max_messages=1)
        return found[0].time_ns if found and found[0].seq == sequence else None


def _id_of(entry: KvEntry) -> Any:
    return json.loads(entry.value).get("id")
