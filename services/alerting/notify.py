"""ALERTS in, one message for each receiver and beginning or end of an alert into NOTIFY.

Runs under the evaluator's lease. A message is published before its memory is written and the
position moves last, so a crash repeats and never loses; repeats carry the same id, which NOTIFY,
the memory and at last the worker recognise. Knows no HTTP.
"""

import json
import logging
from typing import Any

from services.alerting import records
from services.alerting.errors import MalformedRecord
from services.alerting.model import Transition
from services.alerting.pipeline import (
    Candidate,
    Decision,
    Notification,
    Queued,
    Reason,
    Status,
    decide,
    digest,
)
from services.alerting.ports import AttemptRecorder, AttemptRow, Receiver, ReceiverCatalog
from services.alerting.snapshot import BUCKET
from services.common.clock import Clock
from services.common.errors import Aborted, AlreadyExists
from services.common.log_port import KeyValue, Log, WorkQueue

STREAM = "NOTIFY"
POSITION_KEY = "notifier.0.position"
QUEUED_PREFIX = "notifier.0.queued."
_VERSION = 1
_BATCH = 200

_log = logging.getLogger(__name__)


class Notifier:
    """Folds ALERTS into NOTIFY from its recorded position on."""

    def __init__(
        self,
        *,
        log: Log,
        kv: KeyValue,
        queue: WorkQueue,
        receivers: ReceiverCatalog,
        recorder: AttemptRecorder,
        clock: Clock,
    ) -> None:
        self._log = log
        self._kv = kv
        self._queue = queue
        self._receivers = receivers
        self._recorder = recorder
        self._clock = clock
        self._position = 0
        self._revision: int | None = None

    async def take_over(self) -> None:
        """Continue where the last holder stopped."""
        entry = await self._kv.get(BUCKET, POSITION_KEY)
        self._position = 0 if entry is None else int(json.loads(entry.value)["alerts_seq"])
        self._revision = None if entry is None else entry.revision

    async def step(self, *, wait_s: float) -> int:
        """Decide about the transitions that have come; the number of records read.

        Raises:
            Aborted: FENCED; another holder has taken over.
            Unavailable: the log does not answer; take over anew.
        """
        entries = await self._log.read(records.STREAM, self._position + 1, max_messages=_BATCH, wait_s=wait_s)
        for entry in entries:
            try:
                record = records.decode(entry.data)
            except MalformedRecord as err:
                _log.error("ALERTS record %d is passed over: %s", entry.seq, err)
                continue
            if isinstance(record, Transition):
                for receiver in self._receivers.receivers(record.tenant):
                    await self._tell(record, entry.seq, receiver)
        if entries:
            await self._save(entries[-1].seq)
        return len(entries)

    async def _tell(self, change: Transition, seq: int, receiver: Receiver) -> None:
        key = f"{QUEUED_PREFIX}{change.tenant}.{receiver.id}.{change.fingerprint}"
        known = await self._kv.get(BUCKET, key)
        queued = None if known is None else Queued(**json.loads(known.value))
        decision = decide(Candidate(change, seq, receiver, queued))
        notification = decision.notification
        if notification is not None:
            await self._queue.publish(f"notify.{change.tenant}", encode(notification), msg_id=notification.id)
            memory = {"started_ns": change.started_ns, "alerts_seq": seq}
            await self._kv.put(BUCKET, key, json.dumps(memory).encode())
        if decision.reason is not Reason.ALREADY_QUEUED:
            self._recorder.record(self._row(change, seq, receiver, decision))

    def _row(self, change: Transition, seq: int, receiver: Receiver, decision: Decision) -> AttemptRow:
        sent = decision.notification
        return AttemptRow(
            tenant=change.tenant,
            decided_ns=change.at_ns,
            id=digest(change.tenant, receiver.id, change.id) if sent is None else sent.id,
            attempt=0,
            receiver=receiver.id,
            group_key="" if sent is None else sent.group_key,
            fingerprint=change.fingerprint,
            rule=change.rule,
            status=(Status.FIRING if change.new.active else Status.RESOLVED).value,
            outcome="held" if sent is None else "queued",
            reason=decision.reason.value,
            at_ns=self._clock.now_ns(),
            alerts_seq=seq,
        )

    async def _save(self, seq: int) -> None:
        value = json.dumps({"version": _VERSION, "alerts_seq": seq}).encode()
        if self._revision is None:
            try:
                self._revision = await self._kv.create(BUCKET, POSITION_KEY, value)
            except AlreadyExists as err:
                raise Aborted("another notifier began meanwhile", reason="FENCED") from err
        else:
            self._revision = await self._kv.update(BUCKET, POSITION_KEY, value, revision=self._revision)
        self._position = seq


def encode(notification: Notification) -> bytes:
    """The message as it is queued; the same notification always gives the same bytes."""
    change = notification.change
    body = {
        "version": _VERSION,
        "id": notification.id,
        "tenant": notification.tenant,
        "receiver": notification.receiver,
        "group_key": notification.group_key,
        "group_labels": dict(notification.group_labels),
        "status": notification.status.value,
        "reason": notification.reason.value,
        "alerts": [json.loads(records.encode(change))],
        "alerts_seq": notification.alerts_seq,
    }
    return json.dumps(body, separators=(",", ":"), sort_keys=True).encode()


def decode(data: bytes) -> Notification:
    """Raises MalformedRecord when it is no notification that this release knows."""
    try:
        body: dict[str, Any] = json.loads(data)
        change = records.decode(json.dumps(body["alerts"][0]).encode())
        if int(body["version"]) != _VERSION or not isinstance(change, Transition):
            raise ValueError("another version, or no transition inside")
        return Notification(
            id=str(body["id"]),
            tenant=str(body["tenant"]),
            receiver=str(body["receiver"]),
            group_key=str(body["group_key"]),
            group_labels=dict(body["group_labels"]),
            status=Status(body["status"]),
            reason=Reason(body["reason"]),
            change=change,
            alerts_seq=int(body["alerts_seq"]),
        )
    except (KeyError, IndexError, TypeError, ValueError) as err:
        raise MalformedRecord(f"not a notification: {err!r}") from err
