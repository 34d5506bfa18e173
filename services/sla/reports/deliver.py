"""Hands issued reports to their recipients, each once, and records every attempt.

A kill between sending and recording sends again, under the same key (Message-ID, Idempotency-Key): more than
that cannot be done from this side.
"""

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from services.common.clock import Clock
from services.common.telemetry import Counters
from services.sla.model import NS_PER_MS
from services.sla.reports.formats import Format, render
from services.sla.reports.history import Histories
from services.sla.reports.ledger import DeliveryRecord, Outcome, ReportRecord, ReportState, report_id
from services.sla.reports.mail import Parcel
from services.sla.reports.ports import Answer, ReportStore
from services.sla.reports.send import Way, final

_logger = logging.getLogger(__name__)
EMAIL = "email"


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays double from first_ms up to longest_ms; given up after `most` attempts. What a receiver asks for
    by Retry-After is waited for, up to asked_ms. since_ms: older reports are not looked at."""

    first_ms: int = 30_000
    longest_ms: int = 3_600_000
    asked_ms: int = 24 * 3_600_000
    most: int = 30
    since_ms: int = 30 * 86_400_000


class ReportDelivery:
    """Delivers what was issued with recipients.

    Args:
        ways: by the part of a recipient's name before the colon: email, webhook.
    """

    look_s = 5.0

    def __init__(
        self,
        *,
        store: ReportStore,
        histories: Histories,
        ways: Mapping[str, Way],
        clock: Clock,
        backoff: Backoff | None = None,
        counters: Counters | None = None,
    ) -> None:
        self._store = store
        self._histories = histories
        self._ways = ways
        self._clock = clock
        self._backoff = Backoff() if backoff is None else backoff
        self._counters = counters or Counters()
        self._done: set[tuple[str, str, tuple[str, ...]]] = set()

    async def step(self) -> int:
        """Send all that is due; the number of attempts.

        Raises:
            Unavailable: the log or the store is away; come again.
        """
        now_ms = self._clock.now_ns() // NS_PER_MS
        attempts = 0
        for record in await self._store.to_deliver(since_ms=now_ms - self._backoff.since_ms):
            # A scheduled report that held nothing new: its recipients have to get the one that holds.
            issued = record.state is ReportState.ISSUED
            revision = record.revision if issued else record.replaces
            report = report_id(record.contract, record.period, revision)
            name = (record.tenant, report, record.recipients.names)
            if name not in self._done:
                attempts += await self._deliver(record, report, now_ms)
        return attempts

    async def _deliver(self, record: ReportRecord, report: str, now_ms: int) -> int:
        past = await self._store.deliveries(record.tenant, report)
        due, open_ = [], False
        for recipient in record.recipients.names:
            last = _last(past, recipient)
            if last is not None and last.outcome is not Outcome.RETRYING:
                continue
            open_ = True
            if last is None or last.next_ms <= now_ms:
                due.append((recipient, 1 if last is None else last.attempt + 1))
        if not open_:
            self._done.add((record.tenant, report, record.recipients.names))
        if not due:
            return 0
        issued = await self._store.report(record.tenant, report)
        if issued is None or not issued.content:
            return 0
        documents = await asyncio.to_thread(_documents, issued.content, record.recipients.formats)
        for recipient, attempt in due:
            parcel = Parcel(issued, recipient, delivery_key(issued, recipient), documents)
            await self._attempt(parcel, attempt)
        return len(due)

    async def _attempt(self, parcel: Parcel, attempt: int) -> None:
        kind, _, to = parcel.recipient.partition(":")
        answer = await self._ways[kind].send(parcel, to)
        now_ms = self._clock.now_ns() // NS_PER_MS
        next_ms = 0
        if answer.accepted:
            outcome = Outcome.DELIVERED
        elif final(answer, mail=kind == EMAIL) or attempt >= self._backoff.most:
            outcome = Outcome.GIVEN_UP
        else:
            outcome = Outcome.RETRYING
            next_ms = now_ms + self._delay_ms(answer, attempt, now_ms)
        record = parcel.record
        await self._histories.add_delivery(
            DeliveryRecord(
                tenant=record.tenant,
                contract=record.contract,
                period=record.period,
                report=record.report,
                recipient=parcel.recipient,
                attempt=attempt,
                outcome=outcome,
                at_ms=now_ms,
                status_code=answer.code,
                error=answer.text,
                next_ms=next_ms,
            )
        )
        level = logging.INFO if answer.accepted else logging.WARNING
        _logger.log(
            level,
            "report %s of %s to %s, attempt %d: %s %s",
            record.report,
            record.tenant,
            kind,
            attempt,
            outcome.name,
            answer.text,
        )

    def _delay_ms(self, answer: Answer, attempt: int, now_ms: int) -> int:
        own = min(self._backoff.first_ms << min(attempt - 1, 30), self._backoff.longest_ms)
        asked = retry_after_ms(answer.retry_after, now_ms=now_ms)
        return own if asked is None else max(own, min(asked, self._backoff.asked_ms))


def delivery_key(record: ReportRecord, recipient: str) -> str:
    """The same for every attempt to give this revision to this recipient."""
    text = "\n".join((record.tenant, record.report, recipient))
    return f"{record.report}-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def retry_after_ms(text: str | None, *, now_ms: int) -> int | None:
    """What `Retry-After` asks for: seconds or an HTTP date (RFC 9110, 10.2.3); None for anything else."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return int(text.strip()[:9]) * 1000
    try:
        return max(0, round(parsedate_to_datetime(text).timestamp() * 1000) - now_ms)
    except ValueError:
        return None


def _last(past: Sequence[DeliveryRecord], recipient: str) -> DeliveryRecord | None:
    own = [one for one in past if one.recipient == recipient]
    return own[-1] if own else None


def _documents(content: bytes, formats: Sequence[str]) -> tuple[tuple[Format, bytes], ...]:
    return tuple((chosen, render(content, chosen)) for chosen in map(Format, formats))
