"""The revisions of one contract and period as the log has them, and appending the next step.

The log's last record of the subject is the truth; the store is read once it has come that far, so two
processes or regions can never issue two different reports under one number.
"""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from services.common.log_port import Log
from services.common.streams import REPORTS
from services.sla.reports.ledger import DeliveryRecord, ReportPeriod, ReportRecord, ReportState, subject_of
from services.sla.reports.ports import ReportStore
from services.sla.reports.records import encode


@dataclass(frozen=True, slots=True)
class History:
    """Of one contract and period: issued revisions, oldest first, and the latest step of all.

    last_seq: of the subject; 0 when nothing has happened.
    """

    issued: tuple[ReportRecord, ...]
    latest: ReportRecord | None
    last_seq: int

    @property
    def last_issued(self) -> ReportRecord | None:
        """The revision that holds."""
        return self.issued[-1] if self.issued else None

    @property
    def in_the_works(self) -> ReportRecord | None:
        """The revision that is being made."""
        if self.latest is not None and self.latest.state is ReportState.GENERATING:
            return self.latest
        return None


class Histories:
    """Reads histories and appends to them.

    Args:
        stored: waits until the record at a sequence of REPORTS is in the store.
    """

    def __init__(self, *, log: Log, store: ReportStore, stored: Callable[[int], Awaitable[None]]) -> None:
        self._log = log
        self._store = store
        self._stored = stored

    async def of(self, tenant: str, contract: str, period: ReportPeriod) -> History:
        """What has happened. Raises Unavailable."""
        last = await self._log.last_entry(REPORTS, subject_of(tenant, contract, period))
        if last is None:
            return History((), None, 0)
        await self._stored(last.seq)
        # By name: a period that a new zone of the contract has moved keeps its name and its revisions.
        name = (period.kind, period.label)
        known = await self._store.reports(tenant, contract)
        found = [one for one in known if (one.period.kind, one.period.label) == name]
        issued = sorted(
            (one for one in found if one.state is ReportState.ISSUED), key=lambda one: one.revision
        )
        return History(tuple(issued), found[0] if found else None, last.seq)

    async def append(self, record: ReportRecord, *, behind: int) -> ReportRecord:
        """Append the next step behind that record of the subject; returns it with its place, stored.

        Raises:
            Aborted: something else has happened meanwhile. Unavailable: the log or the store is away.
            InvalidArgument: RECORD_TOO_LARGE.
        """
        data = encode(record)
        # The place makes it another message when the same thing happens again within the same millisecond.
        msg_id = f"report-{behind}-" + hashlib.blake2b(data, digest_size=16).hexdigest()
        ack = await self._log.append(
            REPORTS, record.subject, data, msg_id=msg_id, expect_last_subject_seq=behind
        )
        await self._stored(ack.seq)
        return replace(record, seq=ack.seq)

    async def add_delivery(self, record: DeliveryRecord) -> DeliveryRecord:
        """Append an attempt. Raises Unavailable."""
        data = encode(record)
        msg_id = "delivery-" + hashlib.blake2b(data, digest_size=16).hexdigest()
        ack = await self._log.append(REPORTS, record.subject, data, msg_id=msg_id)
        await self._stored(ack.seq)
        return replace(record, seq=ack.seq)
