"""What cannot be written must not stop what can.

A record is poison when its bytes cannot be read back, or a request in it cannot be decoded or
turned into rows. Whether it is follows from its bytes and this release alone, so a batch that is
read again after a crash leaves out the same. A request is judged by itself: the others of its
record are written.

What is left out goes to the stream DEADLETTER as received, before the position passes it, and an
entry about it to AUDIT. Told again after a crash, it has the same id.

    DEADLETTER: "TND1" | u32 length of the head | head (JSON) | the record, or the one request, as logged
"""

import base64
import json
import logging
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.collector.errors import CorruptRecord
from services.collector.model import Poison, Record
from services.collector.record import decode_heads
from services.common.errors import Unavailable
from services.common.log_port import MAX_RECORD_BYTES, Entry, Log
from services.common.streams import AUDIT, DEADLETTER, OTLP
from services.common.telemetry import Counters

_log = logging.getLogger(__name__)

MAGIC = b"TND1"
BUILD_FAILED = "BUILD_FAILED"
TENANT_MISMATCH = "TENANT_MISMATCH"
_HEAD = struct.Struct("<4sI")
_DETAIL_LENGTH = 500
_MAX_DATA_BYTES = MAX_RECORD_BYTES - (64 << 10)


def subject_tenant(entry: Entry) -> str:
    """The tenant of a record by its subject, which stands also where its bytes do not."""
    return entry.subject.rpartition(".")[2]


def readable_heads(entry: Entry) -> Record | None:
    """The record without its payload; None when not even that can be read.

    Everything that looks at heads only (where a batch ends, the window of resends, what is not
    yet written) goes through here, so that all of it passes over the same records.
    """
    try:
        record = decode_heads(entry.data)
    except CorruptRecord:
        return None
    return record if record.tenant == subject_tenant(entry) else None


def poison_of(entry: Entry, err: Exception, *, request: int | None, points: int, data: bytes) -> Poison:
    """The account of one failure; `data` is what goes to the dead letters."""
    return Poison(
        seq=entry.seq,
        request=request,
        subject=entry.subject,
        tenant=subject_tenant(entry),
        append_ns=entry.time_ns,
        reason=getattr(err, "reason", BUILD_FAILED),
        detail=f"{type(err).__name__}: {err}"[:_DETAIL_LENGTH],
        points=points,
        data=data,
        rejected=_rejected(entry, request),
    )


def _rejected(entry: Entry, request: int | None) -> bytes:
    heads = readable_heads(entry) if request is not None else None
    return heads.requests[request].rejected if heads is not None and request is not None else b""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record of the stream DEADLETTER, read."""

    head: dict[str, Any]
    data: bytes

    @property
    def rejected(self) -> bytes:
        """Of a request: the points that were refused when it was received, as logged."""
        return base64.b64decode(self.head.get("rejected", ""))

    @property
    def place(self) -> str:
        """What it is about, the same in every region: incarnation, sequence and request."""
        request = self.head["request"]
        return f"{self.head['incarnation']}.{self.head['seq']}.{'record' if request is None else request}"


def rejected_text(bitmap: bytes) -> str:
    """Refused points as a head has them."""
    return base64.b64encode(bitmap).decode()


def encode_dead_letter(poison: Poison, *, incarnation: int, region: str) -> bytes:
    """The record of the stream DEADLETTER. Data that would not fit is left in OTLP: `complete` says so."""
    rejected = rejected_text(poison.rejected)
    complete = len(poison.data) + len(rejected) <= _MAX_DATA_BYTES
    head = {
        "version": 1,
        "stream": OTLP,
        "incarnation": str(incarnation),
        "seq": poison.seq,
        "request": poison.request,
        "subject": poison.subject,
        "tenant": poison.tenant,
        "append_ns": poison.append_ns,
        "region": region,
        "reason": poison.reason,
        "detail": poison.detail,
        "points": poison.points,
        "complete": complete,
        "rejected": rejected if complete else "",
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    return _HEAD.pack(MAGIC, len(text)) + text + (poison.data if complete else b"")


def decode_dead_letter(data: bytes) -> DeadLetter:
    """The inverse of `encode_dead_letter`.

    Raises:
        CorruptRecord: not a dead letter.
    """
    try:
        magic, length = _HEAD.unpack_from(data)
        end = _HEAD.size + length
        head = json.loads(data[_HEAD.size : end])
    except (struct.error, ValueError) as err:
        raise CorruptRecord("this is no dead letter") from err
    if magic != MAGIC or len(data) < end:
        raise CorruptRecord(f"a dead letter with magic {magic!r} that should have {end} bytes or more")
    return DeadLetter(head, data[end:])


class DeadLetters:
    """Tells of poison; the writer calls it before it passes a batch."""

    def __init__(self, log: Log, counters: Counters, *, region: str) -> None:
        self._log = log
        self._counters = counters
        self._region = region

    async def publish(self, found: Sequence[Poison], *, incarnation: int) -> None:
        """Keep each and write it into the audit trail.

        Raises:
            Unavailable: the log does not answer; call again. A full DEADLETTER or AUDIT is no reason
                to stand still: the record is in OTLP, and our own log says where.
        """
        for one in found:
            _log.critical(
                "record %d of %s (%s) cannot be written: %s, %s",
                *(one.seq, OTLP, one.subject, one.reason, one.detail),
            )
            identifier = f"dead:{self._region}:{incarnation}:{one.seq}:{one.request}"
            data = encode_dead_letter(one, incarnation=incarnation, region=self._region)
            await self._append(DEADLETTER, f"deadletter.{OTLP}.{one.reason}", data, identifier)
            entry = self._audit_entry(one, incarnation)
            await self._append(AUDIT, "audit.collector", json.dumps(entry).encode(), identifier)
            self._counters.add("collector.deadletters", tenant=one.tenant, reason=one.reason)

    async def _append(self, stream: str, subject: str, data: bytes, identifier: str) -> None:
        try:
            await self._log.append(stream, subject, data, msg_id=identifier)
        except Unavailable as err:
            if err.reason != "LOG_FULL":
                raise
            _log.critical("%s is full: %s is not in it", stream, identifier)

    def _audit_entry(self, one: Poison, incarnation: int) -> dict[str, object]:
        return {
            "version": 1,
            "time_ns": one.append_ns,
            "actor": f"services/collector/{self._region}",
            "action": "deadletter",
            "tenant": one.tenant,
            "resource": f"streams/{OTLP}/{incarnation}/records/{one.seq}",
            "request": one.request,
            "outcome": one.reason,
            "points": one.points,
        }
