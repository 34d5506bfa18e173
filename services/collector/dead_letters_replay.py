"""Appending a dead letter's requests to the log again, so that the writer takes them: once.

They get ids of their own, made from what the letter is about: the writer would take the old ones for
resends. Before anything is appended, the log's end is noted in the bucket `control`; whoever continues
after a crash looks from there on whether the record is in the log already.

Not seen: a database restored from before the record whose newer release can read it stores it from the
log, and then the replay, too.
"""

import asyncio
import hashlib
import json
from dataclasses import dataclass, replace

from services.collector.dead_letters import DeadLetterReader, KeptLetter, Replay, read_letters, replay_key
from services.collector.decode import decode
from services.collector.errors import CorruptRecord, Undecodable
from services.collector.model import LoggedRequest
from services.collector.poison import DeadLetter, readable_heads, rejected_text
from services.collector.record import REQUEST_ID_BYTES, decode_record, encode_requests
from services.collector.validate import AcceptLimits, validate
from services.collector.write_position import Position
from services.collector.write_window import read_past
from services.common.auth import Role, current_principal, require_tenant
from services.common.clock import Clock
from services.common.errors import AlreadyExists, FailedPrecondition
from services.common.log_port import KeyValue, Log
from services.common.streams import AUDIT, CONTROL, OTLP, POSITIONS

_MISJUDGED = frozenset({"POINT_COUNT_MISMATCH", "BITMAP_LENGTH_MISMATCH"})
"""The verdict that was logged is not one on these points: they are judged again."""


@dataclass(frozen=True, slots=True)
class _Again:
    """What is appended."""

    subject: str
    data: bytes
    first_id: bytes
    points: int


class DeadLetterReplay:
    """The use case; it checks who asks."""

    def __init__(
        self, reader: DeadLetterReader, log: Log, kv: KeyValue, clock: Clock, limits: AcceptLimits
    ) -> None:
        self._reader = reader
        self._log = log
        self._kv = kv
        self._clock = clock
        self._limits = limits

    async def replay(self, tenant: str, number: int) -> KeptLetter:
        """Append it, unless it was; the letter with its replay.

        Raises:
            NotFound: DEAD_LETTER_UNKNOWN.
            PermissionDenied: another tenant, or a role that may not.
            FailedPrecondition: STILL_POISON, WRITTEN_ELSEWHERE, NOTHING_TO_REPLAY.
            Unavailable: the log does not answer; call again.
        """
        require_tenant(tenant, Role.OPERATOR)
        kept = await self._reader.find(tenant, number)
        if kept.replayed:
            return kept
        letter = kept.letter
        await self._check_regions(letter)
        again = await self._again(letter)
        begun = kept.replay or await self._begin(letter)
        seq = None if kept.replay is None else await self._find(begun.since_seq, again)
        if seq is None:
            ack = await self._log.append(OTLP, again.subject, again.data, msg_id=f"replay:{letter.place}")
            seq = ack.seq
        await self._audit(tenant, number, letter, again.points)
        done = Replay(begun.since_seq, seq, self._clock.now_ns())
        await self._kv.put(CONTROL, replay_key(letter), done.to_json())
        return replace(kept, replay=done)

    async def _begin(self, letter: DeadLetter) -> Replay:
        begun = Replay(await self._log.last_seq(OTLP))
        try:
            await self._kv.create(CONTROL, replay_key(letter), begun.to_json())
        except AlreadyExists:
            # Somebody does the same now: the log takes equal records once for two minutes, the writer for 20.
            return await self._reader.replay_of(letter) or begun
        return begun

    async def _find(self, since_seq: int, again: _Again) -> int | None:
        """The sequence of the record, if an earlier call appended it."""
        seq = since_seq + 1
        while entries := await self._log.read(OTLP, seq):
            for entry in entries:
                heads = readable_heads(entry)
                if heads is not None and again.first_id in {one.request_id for one in heads.requests}:
                    return entry.seq
            seq = entries[-1].seq + 1
        return None

    async def _check_regions(self, letter: DeadLetter) -> None:
        """Every region that writes must have told of it: one that wrote it would store it twice."""
        letters = read_letters(self._log)
        told = {other.head["region"] async for _, other in letters if other.place == letter.place}
        for key in await self._kv.keys(POSITIONS, "writer."):
            region, entry = key.split(".")[1], await self._kv.get(POSITIONS, key)
            if region in told or entry is None:
                continue
            if str(Position.from_json(entry.value).incarnation) == letter.head["incarnation"]:
                raise FailedPrecondition(
                    f"region {region} did not tell that it cannot write it: it wrote it, or has yet to",
                    reason="WRITTEN_ELSEWHERE",
                )

    async def _again(self, letter: DeadLetter) -> _Again:
        try:
            if not letter.head["complete"]:
                letter = await self._completed(letter)
            if letter.head["request"] is None:
                found = await self._of_record(letter)
            else:
                found = [await asyncio.to_thread(self._of_request, letter)]
        except (CorruptRecord, Undecodable) as err:
            raise FailedPrecondition(
                f"this release cannot read it either: {err}",
                reason="STILL_POISON",
                next_step="Install a release that can, then replay it.",
            ) from err
        if not found:
            raise FailedPrecondition("each of its requests was a resend", reason="NOTHING_TO_REPLAY")
        named = [replace(one, request_id=_new_id(letter, place)) for place, one in enumerate(found)]
        points = sum(one.point_count - one.rejected_count for one in named)
        record = encode_requests(letter.head["tenant"], named)
        return _Again(letter.head["subject"], record, named[0].request_id, points)

    async def _completed(self, letter: DeadLetter) -> DeadLetter:
        """With what was too large to keep, from the log."""
        seq, request = int(letter.head["seq"]), letter.head["request"]
        entries = await self._log.read(OTLP, seq, max_messages=1) if await self._same_log(letter) else []
        if not entries or entries[0].seq != seq:
            raise CorruptRecord("its bytes were too large to keep, and the log has them no longer")
        if request is None:
            return DeadLetter(letter.head, entries[0].data)
        logged = decode_record(entries[0].data).requests[request]
        return DeadLetter({**letter.head, "rejected": rejected_text(logged.rejected)}, logged.raw)

    async def _of_record(self, letter: DeadLetter) -> list[LoggedRequest]:
        """Its requests without those that were resends when the record was met."""
        record, head = await asyncio.to_thread(decode_record, letter.data), letter.head
        if record.tenant != head["tenant"]:
            raise CorruptRecord(f"the record names tenant {record.tenant}")
        if not await self._same_log(letter):
            raise CorruptRecord("its log is gone: which of its requests were resends cannot be told")
        past = await read_past(self._log, written_seq=int(head["seq"]) - 1, log_time_ns=0)
        look, time_ns = past.window.look(), max(past.log_time_ns, int(head["append_ns"]))
        return [one for one in record.requests if not look.resent(one.request_id, time_ns)]

    def _of_request(self, letter: DeadLetter) -> LoggedRequest:
        raw, head = letter.data, letter.head
        decoded = decode(raw)
        if "rejected" in head and head["reason"] not in _MISJUDGED:
            return LoggedRequest(b"", raw, decoded.point_count, letter.rejected)
        verdict = validate(decoded, now_ns=int(head["append_ns"]), limits=self._limits)
        return LoggedRequest(b"", raw, decoded.point_count, verdict.bitmap())

    async def _same_log(self, letter: DeadLetter) -> bool:
        return str((await self._log.stream_info(OTLP)).created_ns) == str(letter.head["incarnation"])

    async def _audit(self, tenant: str, number: int, letter: DeadLetter, points: int) -> None:
        entry = {
            "version": 1,
            "time_ns": self._clock.now_ns(),
            "actor": current_principal().token_id,
            "action": "replay",
            "tenant": tenant,
            "resource": f"tenants/{tenant}/deadLetters/{number}",
            "outcome": "OK",
            "points": points,
        }
        await self._log.append(
            AUDIT, "audit.collector", json.dumps(entry).encode(), msg_id=f"replay:{letter.place}"
        )


def _new_id(letter: DeadLetter, place: int) -> bytes:
    text = f"replay {letter.place} {place}"
    return hashlib.sha256(text.encode()).digest()[:REQUEST_ID_BYTES]
