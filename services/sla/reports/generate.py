"""The use cases of reports: who may ask for one, which period it means, and what became of it.

A report is asked for here and made by the worker (`make.py`) that leads, in whichever process that is.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from services.common.auth import PLATFORM_TENANT, Role, current_principal, require_tenant
from services.common.clock import Clock
from services.common.errors import Aborted, FieldViolation
from services.sla.errors import (
    BadReportRequest,
    ContractNotFound,
    ReportIssued,
    ReportNotFound,
    ReportNotIssued,
)
from services.sla.model import NS_PER_MS, Contract
from services.sla.objectives import in_force
from services.sla.paging import Page, PageRequest
from services.sla.reports.formats import MEDIA_TYPES, Document, Format, file_name, render
from services.sla.reports.history import Histories
from services.sla.reports.ledger import Recipients, ReportPeriod, ReportRecord, ReportState, report_id
from services.sla.reports.periods import calendar_period, range_period
from services.sla.reports.ports import ReportStore
from services.sla.windows import MAX_ROLLING_MS, Calendar, Custom

_READERS = (Role.READER, Role.OPERATOR, Role.AUDITOR)
_REMEMBERED_MS = 86_400_000
_UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
_MS_PER_DAY = 86_400_000


class Contracts(Protocol):
    """Contracts that are applied."""

    def versions(self, tenant: str | None = None) -> Sequence[Contract]:
        """Every version, in order of tenant, name and effective date; of one tenant when it is given."""
        ...


@dataclass(frozen=True, slots=True)
class ReportView:
    """A report as callers see it. progress: percent, of one that is being made."""

    record: ReportRecord
    progress: int


class ProgressBoard:
    """How far this process is with the reports that it makes; percent by tenant and report."""

    def __init__(self) -> None:
        self._percent: dict[tuple[str, str], int] = {}

    def tell(self, tenant: str, report: str, percent: int) -> None:
        """It is so far; 100 takes it off the board."""
        self._percent[tenant, report] = max(0, min(99, percent))
        if percent >= 100:
            del self._percent[tenant, report]

    def of(self, record: ReportRecord) -> int:
        """Percent."""
        if record.state is not ReportState.GENERATING:
            return 100 if record.state is ReportState.ISSUED else 0
        return self._percent.get((record.tenant, record.report), 0)


class Reports:
    """What callers may do with reports. Every method raises PermissionDenied for another tenant's names, and
    Unavailable while the log or the store is away."""

    def __init__(
        self,
        *,
        contracts: Contracts,
        store: ReportStore,
        histories: Histories,
        clock: Clock,
        board: ProgressBoard,
    ) -> None:
        self._contracts = contracts
        self._store = store
        self._histories = histories
        self._clock = clock
        self._board = board

    async def generate(
        self, tenant: str, contract: str, asked: Calendar | Custom | None, request_id: str
    ) -> ReportView:
        """Start a report, or answer the one that is in the works.

        Raises:
            BadReportRequest: every wrong field. ContractNotFound.
        """
        actor = require_tenant(tenant, Role.OPERATOR).token_id
        versions = [one for one in self._contracts.versions(tenant) if one.name == contract]
        if not versions:
            raise ContractNotFound(f"tenant {tenant} has no contract {contract}", field="contract")
        now_ms = self._clock.now_ns() // NS_PER_MS
        period = _checked_period(versions, asked, request_id, now_ms)
        if request_id:
            earlier = await self._store.asked(tenant, request_id, since_ms=now_ms - _REMEMBERED_MS)
            if earlier is not None:
                if (earlier.contract, earlier.period) != (contract, period):
                    raise BadReportRequest("was used for another report", field="request_id")
                return await self.get(tenant, earlier.report)
        return self._view(await self.begin(tenant, contract, period, actor=actor, request_id=request_id))

    async def begin(
        self,
        tenant: str,
        contract: str,
        period: ReportPeriod,
        *,
        actor: str,
        request_id: str = "",
        recipients: Recipients | None = None,
    ) -> ReportRecord:
        """The same for the schedule, which has no caller. With recipients it is delivered when issued."""
        while True:
            history = await self._histories.of(tenant, contract, period)
            if history.in_the_works is not None:
                return history.in_the_works
            now_ms = self._clock.now_ns() // NS_PER_MS
            replaced = history.last_issued.revision if history.last_issued else 0
            wanted = ReportRecord(
                tenant,
                contract,
                period,
                replaced + 1,
                ReportState.GENERATING,
                at_ms=now_ms,
                created_ms=now_ms,
                actor=actor,
                request_id=request_id,
                replaces=replaced,
                scheduled=recipients is not None,
                recipients=recipients or Recipients(),
            )
            try:
                return await self._histories.append(wanted, behind=history.last_seq)
            except Aborted:
                # Somebody else has asked at the same moment; theirs is ours too.
                continue

    async def get(self, tenant: str, report: str) -> ReportView:
        """One report; a revision that turned out to hold nothing new is the one before. ReportNotFound."""
        require_tenant(tenant, *_READERS)
        return self._view(await self._record(tenant, report))

    async def document(self, tenant: str, report: str, chosen: Format) -> Document:
        """An issued report in a format.

        Raises:
            ReportNotFound. ReportNotIssued: it is not ISSUED.
        """
        require_tenant(tenant, *_READERS)
        found = await self._record(tenant, report)
        if found.facts is None or found.state is not ReportState.ISSUED:
            raise ReportNotIssued(
                f"{found.report} is {found.state.name}", next_step="Wait until it is ISSUED."
            )
        content = await asyncio.to_thread(render, found.content, chosen)
        name = file_name(tenant, found.report, chosen)
        return Document(content, MEDIA_TYPES[chosen], name, found.facts.content_sha256)

    async def cancel(self, tenant: str, report: str) -> ReportView:
        """Give up one that is being made; one that failed or was cancelled stays so.

        Raises:
            ReportNotFound. ReportIssued: it is issued, and stays.
        """
        actor = require_tenant(tenant, Role.OPERATOR).token_id
        while True:
            found = await self._record(tenant, report)
            if found.state is ReportState.ISSUED:
                raise ReportIssued(f"{found.report} is issued: it never changes")
            if found.state is not ReportState.GENERATING:
                return self._view(found)
            history = await self._histories.of(tenant, found.contract, found.period)
            if history.in_the_works is None:
                continue
            now_ms = self._clock.now_ns() // NS_PER_MS
            ended = replace(
                history.in_the_works, state=ReportState.CANCELLED, at_ms=now_ms, actor=actor, seq=0
            )
            try:
                return self._view(await self._histories.append(ended, behind=history.last_seq))
            except Aborted:
                continue

    async def page(
        self, tenant: str | None, contract: str | None, page: PageRequest, *, replaced: bool
    ) -> Page[ReportView]:
        """Reports of a tenant (None: the caller's), what happened last first. Raises BadPage."""
        if tenant is None:
            if current_principal().tenant == PLATFORM_TENANT:
                raise BadReportRequest("name the tenant: this credential has none of its own", field="parent")
            tenant = current_principal().tenant
        require_tenant(tenant, *_READERS)
        size, cursor = page.limit(default=100, most=1000), page.cursor()
        known = await self._store.reports(tenant, contract)
        newest: dict[tuple[str, str, str], int] = {}
        for one in known:
            if one.state is ReportState.ISSUED:
                name = _series(one)
                newest[name] = max(newest.get(name, 0), one.revision)
        found = [
            one
            for one in known
            if one.state is not ReportState.UNCHANGED
            and (replaced or one.revision >= newest.get(_series(one), 0))
            and (cursor is None or one.seq < cursor)
        ]
        token = page.next_token(found[size - 1].seq) if len(found) > size else ""
        return Page([self._view(one) for one in found[:size]], token)

    async def _record(self, tenant: str, report: str) -> ReportRecord:
        found = await self._store.report(tenant, report)
        if found is not None and found.state is ReportState.UNCHANGED:
            found = await self._store.report(tenant, report_id(found.contract, found.period, found.replaces))
        if found is None:
            raise ReportNotFound(f"tenant {tenant} has no report {report}")
        return found

    def _view(self, record: ReportRecord) -> ReportView:
        return ReportView(record, self._board.of(record))


def _series(record: ReportRecord) -> tuple[str, str, str]:
    return record.contract, record.period.kind, record.period.label


def _checked_period(
    versions: Sequence[Contract], asked: Calendar | Custom | None, request_id: str, now_ms: int
) -> ReportPeriod:
    wrong = []
    if request_id and not _UUID.match(request_id):
        wrong.append(FieldViolation("request_id", "must be a UUID"))
    period: ReportPeriod | None = None
    match asked:
        case None:
            wrong.append(FieldViolation("window", "is required"))
        case Custom(start_ms, end_ms):
            if start_ms >= end_ms:
                wrong.append(FieldViolation("custom_window.end_time", "must be after start_time"))
            elif end_ms - start_ms > MAX_ROLLING_MS:
                most = MAX_ROLLING_MS // _MS_PER_DAY
                wrong.append(FieldViolation("custom_window", f"is at most {most} days long"))
            else:
                period = range_period(asked)
        case Calendar(kind, inside_ms):
            at_ms = now_ms if inside_ms is None else inside_ms
            period = calendar_period(kind, at_ms, zone_at(versions, at_ms))
    if period is not None and period.start_ms >= now_ms:
        field = "custom_window.start_time" if period.kind == "range" else "window.inside_time"
        wrong.append(FieldViolation(field, "the period has not begun"))
    if wrong or period is None:
        raise BadReportRequest("the report cannot be made so", violations=wrong)
    return period


def zone_at(versions: Sequence[Contract], at_ms: int) -> str:
    """The zone of the version that holds at an instant; of the nearest one where none does."""
    for one in versions:
        if in_force(one, at_ms):
            return one.time_zone
    return versions[0].time_zone if at_ms < versions[0].effective_from_ms else versions[-1].time_zone
