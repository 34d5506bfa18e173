"""NOTIFY in, HTTP POST out: retries, dead letters, order, and no second message.

For each receiver and alert one KV key remembers what was settled last (accepted or dead). A job
that is handed out again after its key was written is only acknowledged; between the receiver's
answer and the key a crash may repeat a POST, with the same `Idempotency-Key`. The end of an alert
waits for its beginning to be settled.
"""

import json
import logging
from dataclasses import dataclass
from random import Random

from services.alerting import webhook
from services.alerting.answers import Judgement, Outcome, judge_answer
from services.alerting.errors import MalformedRecord
from services.alerting.notify import decode
from services.alerting.pipeline import Notification, Status
from services.alerting.ports import (
    AttemptRecorder,
    AttemptRow,
    HttpAnswer,
    HttpPoster,
    Receiver,
    ReceiverCatalog,
)
from services.alerting.snapshot import BUCKET
from services.common.clock import Clock
from services.common.errors import Unavailable
from services.common.log_port import Job, KeyValue

DELIVERED_PREFIX = "worker.0.settled."
IDEMPOTENCY_HEADER = "Idempotency-Key"
_ORDER_WAIT_S = 0.5
MAX_AGE_NS = 24 * 3600 * 1_000_000_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settled:
    """The last notification of one alert to one receiver that is done with."""

    started_ns: int
    alerts_seq: int


class Deliverer:
    """Does one job at a time, any number of them beside each other."""

    def __init__(
        self,
        *,
        kv: KeyValue,
        receivers: ReceiverCatalog,
        poster: HttpPoster,
        recorder: AttemptRecorder,
        clock: Clock,
        rng: Random,
        external_url: str = "",
    ) -> None:
        self._kv = kv
        self._receivers = receivers
        self._poster = poster
        self._recorder = recorder
        self._clock = clock
        self._rng = rng
        self._external_url = external_url

    async def handle(self, job: Job) -> None:
        """Deliver, put off or bury one notification; errors of the log leave it to come again."""
        try:
            notification = decode(job.data)
        except MalformedRecord as err:
            _log.error("a notification that cannot be read is dropped: %s", err)
            await job.drop("MALFORMED_RECORD")
            return
        settled = await self._settled(notification)
        if settled is not None and settled.alerts_seq >= notification.alerts_seq:
            await job.ack()
            return
        if _waits(notification, settled) and not self._too_old(notification):
            await job.retry(_ORDER_WAIT_S)
            return
        await self._attempt(job, notification)

    async def _attempt(self, job: Job, notification: Notification) -> None:
        started_ns = self._clock.monotonic_ns()
        receiver = self._receiver(notification)
        if receiver is None:
            judgement, answer, error = Judgement(Outcome.DEAD, "RECEIVER_GONE"), None, ""
        else:
            answer, error = await self._post(notification, receiver)
            judgement = judge_answer(
                answer, attempt=job.deliveries, now_ns=self._clock.now_ns(), rng=self._rng
            )
        if judgement.outcome is Outcome.RETRY and self._too_old(notification):
            judgement = Judgement(Outcome.DEAD, "RETRIES_EXHAUSTED")
        duration_ms = (self._clock.monotonic_ns() - started_ns) // 1_000_000
        self._record(notification, job.deliveries, judgement, answer, error, duration_ms)
        if judgement.outcome is Outcome.RETRY:
            await job.retry(judgement.delay_s)
            return
        if judgement.outcome is Outcome.DEAD:
            _log.error("notification %s to %s is dead: %s", notification.id, notification.receiver, judgement)
        await self._settle(notification)
        await job.ack()

    async def _post(self, notification: Notification, receiver: Receiver) -> tuple[HttpAnswer | None, str]:
        body = webhook.body(notification, receiver=receiver.name, external_url=self._external_url)
        headers = {
            **(receiver.headers or {}),
            "Content-Type": webhook.CONTENT_TYPE,
            IDEMPOTENCY_HEADER: notification.id,
        }
        try:
            return await self._poster.post(receiver.url, body, headers), ""
        except Unavailable as err:
            return None, err.message

    def _receiver(self, notification: Notification) -> Receiver | None:
        known = self._receivers.receivers(notification.tenant)
        return next((receiver for receiver in known if receiver.id == notification.receiver), None)

    def _too_old(self, notification: Notification) -> bool:
        return self._clock.now_ns() - notification.change.at_ns > MAX_AGE_NS

    async def _settled(self, notification: Notification) -> Settled | None:
        entry = await self._kv.get(BUCKET, _key(notification))
        return None if entry is None else Settled(**json.loads(entry.value))

    async def _settle(self, notification: Notification) -> None:
        value = {"started_ns": notification.change.started_ns, "alerts_seq": notification.alerts_seq}
        await self._kv.put(BUCKET, _key(notification), json.dumps(value).encode())

    def _record(
        self,
        notification: Notification,
        attempt: int,
        judgement: Judgement,
        answer: HttpAnswer | None,
        error: str,
        duration_ms: int,
    ) -> None:
        self._recorder.record(
            AttemptRow(
                tenant=notification.tenant,
                decided_ns=notification.change.at_ns,
                id=notification.id,
                attempt=attempt,
                receiver=notification.receiver,
                group_key=notification.group_key,
                fingerprint=notification.change.fingerprint,
                rule=notification.change.rule,
                status=notification.status.value,
                outcome=judgement.outcome.value,
                reason=judgement.reason,
                at_ns=self._clock.now_ns(),
                alerts_seq=notification.alerts_seq,
                status_code=0 if answer is None else answer.status,
                error=error,
                duration_ms=duration_ms,
                retry_after_ms=round((judgement.asked_s or 0.0) * 1000),
            )
        )


def _waits(notification: Notification, settled: Settled | None) -> bool:
    """The end of an alert must not overtake its beginning."""
    begun = settled is not None and settled.started_ns == notification.change.started_ns
    return notification.status is Status.RESOLVED and not begun


def _key(notification: Notification) -> str:
    alert = f"{notification.tenant}.{notification.receiver}.{notification.change.fingerprint}"
    return DELIVERED_PREFIX + alert
