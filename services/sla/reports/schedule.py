"""Reports that contracts promise: each period once, when its data is final; again when late data changes it.

What is due follows from contracts, time and what was issued, so a period that was missed while nothing ran
is made later, and nothing is made twice.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.common.clock import Clock
from services.sla.model import NS_PER_MS, Contract, Head
from services.sla.reports.generate import Reports
from services.sla.reports.ledger import Recipients, ReportPeriod, ReportRecord, ReportState
from services.sla.reports.periods import SCHEDULES, periods_between
from services.sla.reports.ports import Changes, ReportStore

_logger = logging.getLogger(__name__)
ACTOR = "schedule"
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Patience:
    """settle_ms: after a period's end, before its report; data that is on its way arrives in it.
    grace_ms: after this the report is made even though some sender never reported past the end.
    late_ms: for so long after the end every look is for late data; older periods are looked at each hour.
    again_ms: after a failure. most: periods of one contract that are looked at."""

    settle_ms: int = 15 * _MINUTE_MS
    grace_ms: int = 6 * 60 * _MINUTE_MS
    late_ms: int = 9 * _DAY_MS
    again_ms: int = 60 * _MINUTE_MS
    most: int = 40


class Contracts(Protocol):
    """Contracts that are applied."""

    def contracts(self, tenant: str | None = None) -> Sequence[Contract]:
        """The versions in force now."""
        ...

    def versions(self, tenant: str | None = None) -> Sequence[Contract]:
        """Every version."""
        ...


class Heads(Protocol):
    """How far objectives are."""

    async def heads(self, tenants: Sequence[str]) -> Mapping[tuple[str, str], Head]:
        """By tenant and key, those that have slices."""
        ...


class ReportSchedule:
    """Asks for what is due.

    Args:
        applied_ms: when this version of a contract was applied; periods that ended before are not due.
    """

    look_s = 30.0

    def __init__(
        self,
        *,
        contracts: Contracts,
        reports: Reports,
        store: ReportStore,
        changes: Changes,
        heads: Heads,
        clock: Clock,
        applied_ms: Callable[[Contract], int],
        patience: Patience | None = None,
    ) -> None:
        self._contracts = contracts
        self._reports = reports
        self._store = store
        self._changes = changes
        self._heads = heads
        self._clock = clock
        self._applied_ms = applied_ms
        self._patience = Patience() if patience is None else patience
        self._answered: dict[tuple[str, str, str], tuple[int, tuple[int, ...]]] = {}
        self._asking: dict[tuple[str, str, str], tuple[int, tuple[int, ...]]] = {}
        self._deep_ms = 0

    async def step(self) -> int:
        """Ask for every report that is due; how many.

        Raises:
            Unavailable: an engine is away; come again.
        """
        now_ms = self._clock.now_ns() // NS_PER_MS
        deep = now_ms - self._deep_ms >= 60 * _MINUTE_MS
        asked = 0
        for contract in self._contracts.contracts():
            if contract.reports is not None:
                asked += await self._of(contract, now_ms, deep=deep)
        if deep:
            self._deep_ms = now_ms
        return asked

    async def _of(self, contract: Contract, now_ms: int, *, deep: bool) -> int:
        assert contract.reports is not None
        kind = SCHEDULES[contract.reports.schedule]
        known = await self._store.reports(contract.tenant, contract.name)
        since_ms = self._since(contract, [one for one in known if one.period.kind == kind.value])
        due = list(periods_between(kind, since_ms, now_ms - self._patience.settle_ms, contract.time_zone))[
            -self._patience.most :
        ]
        asked = 0
        for period in due:
            own = [one for one in known if (one.period.kind, one.period.label) == (period.kind, period.label)]
            recent = now_ms - period.end_ms < self._patience.late_ms
            if (recent or deep or not own) and await self._due(contract, period, own, now_ms):
                terms = contract.reports
                who = Recipients(terms.formats, terms.email, terms.webhook)
                await self._reports.begin(contract.tenant, contract.name, period, actor=ACTOR, recipients=who)
                name = (contract.tenant, contract.name, period.label)
                if name in self._asking:
                    self._answered[name] = self._asking.pop(name)
                _logger.info("report of %s %s %s is due", contract.tenant, contract.name, period.label)
                asked += 1
        return asked

    def _since(self, contract: Contract, known: Sequence[ReportRecord]) -> int:
        """Periods that end after this are due: from the first one that the schedule made, so that a contract
        that is applied again keeps what it missed; before there is one, since the contract was applied."""
        made = [one.period.start_ms for one in known if one.scheduled]
        applied_ms = max(contract.effective_from_ms, self._applied_ms(contract))
        return min([applied_ms, *made])

    async def _due(
        self, contract: Contract, period: ReportPeriod, own: Sequence[ReportRecord], now_ms: int
    ) -> bool:
        """own: the latest records of this period, newest first."""
        if own and own[0].state is ReportState.GENERATING:
            return False
        if own and own[0].state is ReportState.CANCELLED:
            return False
        if own and own[0].state is ReportState.FAILED:
            return now_ms - own[0].at_ms >= self._patience.again_ms
        whole = self._whole(own)
        if whole is None:
            return await self._final(contract, period, now_ms)
        return await self._stale(contract, period, own, whole)

    def _whole(self, own: Sequence[ReportRecord]) -> ReportRecord | None:
        """The newest revision, if the schedule knows that it was made after the period's end."""
        for one in own:
            if one.state is ReportState.ISSUED:
                known = [other for other in own if other.scheduled and other.created_ms >= one.period.end_ms]
                return one if known else None
        return None

    async def _final(self, contract: Contract, period: ReportPeriod, now_ms: int) -> bool:
        """Whether all that is measured is sealed up to the end, or was waited for long enough."""
        if now_ms >= period.end_ms + self._patience.grace_ms:
            return True
        heads = await self._heads.heads([contract.tenant])
        keys = [(contract.tenant, one.key) for one in contract.objectives]
        sealed = [heads[key].sealed_ms for key in keys if key in heads]
        return bool(sealed) and min(sealed) >= period.end_ms

    async def _stale(
        self,
        contract: Contract,
        period: ReportPeriod,
        own: Sequence[ReportRecord],
        whole: ReportRecord,
    ) -> bool:
        """Whether slices or terms of the period have changed since it was last looked at."""
        versions = [
            one
            for one in self._contracts.versions(contract.tenant)
            if one.name == contract.name
            and one.effective_from_ms < period.end_ms
            and (one.until_ms is None or one.until_ms > period.start_ms)
        ]
        keys = sorted({objective.key for one in versions for objective in one.objectives})
        newest = await self._changes.newest(
            contract.tenant, keys, low_ms=period.start_ms, high_ms=period.end_ms
        )
        numbers = tuple(sorted(one.version for one in versions))
        name = (contract.tenant, contract.name, period.label)
        answered = self._answered.get(name)
        if answered is None:
            known = max(one.data_revision for one in own)
            terms = () if whole.facts is None else tuple(sorted(whole.facts.versions))
            stale = newest > known or numbers != terms
        else:
            stale = answered != (newest, numbers)
        # What was asked for once is not asked for again, also when the report turns out to say the same.
        (self._asking if stale else self._answered)[name] = (newest, numbers)
        return stale
