"""From what is measured and agreed to what a report says: gathers, and leaves every decision to its owners.

Asks on nobody's behalf: who may have a report was decided when it was asked for.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from services.common.auth import PLATFORM_TENANT, Principal, Role, enter_principal, leave_principal
from services.common.clock import Clock
from services.common.errors import FailedPrecondition
from services.sla.credits.model import Credit
from services.sla.credits.serve import ContractWithoutCredits, CreditCalculator
from services.sla.errors import BadWindow, ContractNotFound, ObjectiveHasNoData
from services.sla.figures import merged
from services.sla.figures_model import WindowFigures
from services.sla.figures_source import FigureSource
from services.sla.incidents.figures import resolution_of
from services.sla.incidents.ports import IncidentStore
from services.sla.maintenance.exclude import exclusions
from services.sla.maintenance.model import MaintenanceWindow
from services.sla.model import (
    NS_PER_MS,
    Contract,
    Distribution,
    IncidentTerms,
    Objective,
    ObjectiveKind,
)
from services.sla.ports import SliceStore
from services.sla.questions import Asked, Contracts, Questions
from services.sla.read_window import Detail, Wanted, read_window
from services.sla.reports.build import ObjectiveParts, report_input
from services.sla.reports.build_objective import incident_row
from services.sla.reports.ledger import ReportPeriod
from services.sla.reports.model import IncidentRow, ReportInput
from services.sla.reports.ports import Progress
from services.sla.windows import Calendar, Custom, Period

_SYSTEM = Principal(PLATFORM_TENANT, Role.ADMIN, "reports")


class FigureReports:
    """`ReportSource` over slices, incidents, maintenance and contracts."""

    def __init__(
        self,
        *,
        contracts: Contracts,
        slices: SliceStore,
        incidents: IncidentStore,
        windows: Callable[[str], Sequence[MaintenanceWindow]],
        clock: Clock,
    ) -> None:
        self._contracts = contracts
        self._slices = slices
        self._incidents = incidents
        self._windows = windows
        self._clock = clock
        self._questions = Questions(
            contracts=contracts, slices=slices, clock=clock, burn_windows=lambda _objective: ()
        )
        self._figures = FigureSource(slices, incidents)
        self._credits = CreditCalculator(contracts=contracts, slices=slices, clock=clock, incidents=incidents)

    async def report_input(
        self, tenant: str, contract: str, period: ReportPeriod, *, progress: Progress
    ) -> ReportInput:
        """See `ReportSource.report_input`."""
        versions, held = self._versions(tenant, contract, period)
        objectives = _objectives(held)
        parts, sealed = [], []
        for done, objective in enumerate(objectives):
            found, sealed_ms = await self._parts(objective, period)
            parts.append(found)
            sealed += [sealed_ms] if sealed_ms is not None else []
            progress(100 * (done + 1) // (len(objectives) + 2))
        now_ms = self._clock.now_ns() // NS_PER_MS
        incidents = await self._tenant_incidents(held[-1], period, now_ms)
        due = await self._due(tenant, contract, period)
        return await asyncio.to_thread(
            lambda: report_input(
                held[-1],
                versions,
                label=period.label,
                start_ms=period.start_ms,
                end_ms=period.end_ms,
                watermark_ms=min(sealed, default=now_ms),
                parts=parts,
                due=due,
                incidents=incidents,
            )
        )

    def _versions(
        self, tenant: str, contract: str, period: ReportPeriod
    ) -> tuple[list[Contract], list[Contract]]:
        """All versions of a contract, and those that were in force in the period."""
        versions = [one for one in self._contracts.versions(tenant) if one.name == contract]
        held = [
            one
            for one in versions
            if one.effective_from_ms < period.end_ms
            and (one.until_ms is None or one.until_ms > period.start_ms)
        ]
        if not versions:
            raise ContractNotFound(f"tenant {tenant} has no contract {contract}")
        if not held:
            raise FailedPrecondition(
                f"no version of contract {contract} was in force in {period.label}",
                reason="NOTHING_PROMISED",
                next_step="Ask for a period in which it was in force.",
            )
        return versions, held

    async def _parts(self, objective: Objective, period: ReportPeriod) -> tuple[ObjectiveParts, int | None]:
        """Of one objective, and up to where its slices are sealed; None without slices."""
        # Clocks of incidents run through maintenance: it takes nothing out of their figures.
        incidents = objective.kind is ObjectiveKind.INCIDENT_RESOLUTION
        windows = () if incidents else self._windows(objective.tenant)
        excluded = exclusions(
            windows,
            objective.key,
            notice_ms=objective.notice_ms,
            low_ms=period.start_ms,
            high_ms=period.end_ms,
        )
        figures: WindowFigures | None = None
        distribution: Distribution | None = None
        sealed_ms: int | None = None
        asked = Asked(Custom(period.start_ms, period.end_ms))
        try:
            question = await self._questions.of(objective, asked)
        except ObjectiveHasNoData:
            pass
        else:
            figures = await self._figures.window(question)
            if objective.kind is not ObjectiveKind.INCIDENT_RESOLUTION:
                sealed_ms = question.head.sealed_ms or question.head.end_ms
            if objective.kind is ObjectiveKind.LATENCY:
                distribution = await self._distribution(
                    objective, figures.figures.used.window.data_end_ms, period, question.head.sealed_ms
                )
        found = ObjectiveParts(
            objective=objective,
            figures=figures,
            distribution=distribution,
            exclusions=excluded,
            windows={one.name: one for one in windows},
        )
        return found, sealed_ms

    async def _distribution(
        self, objective: Objective, data_end_ms: int, period: ReportPeriod, sealed_ms: int
    ) -> Distribution | None:
        """Of all requests of the period."""
        wanted = Wanted(
            tenant=objective.tenant,
            key=objective.key,
            low_ms=period.start_ms,
            high_ms=data_end_ms,
            first_ms=period.start_ms,
            sealed_ms=sealed_ms,
            cuts=[period.start_ms, data_end_ms],
            detail=Detail.HOURS,
            distributions=True,
            as_of_ms=None,
        )
        columns = await read_window(self._slices, wanted)
        return await asyncio.to_thread(merged, columns)

    async def _tenant_incidents(
        self, contract: Contract, period: ReportPeriod, now_ms: int
    ) -> tuple[IncidentRow, ...]:
        """All incidents of the tenant in the period, against no limit."""
        known_ms = min(now_ms, period.end_ms)
        events = await self._incidents.events(contract.tenant, low_ms=period.start_ms, high_ms=known_ms)
        if not events:
            return ()
        anybodys = Objective(
            contract.tenant,
            contract.name,
            "incidents",
            ObjectiveKind.INCIDENT_RESOLUTION,
            good_share=contract.objectives[0].good_share,
            window_ms=period.end_ms - period.start_ms,
            metric="",
            time_zone=contract.time_zone,
            incident=IncidentTerms("", limit_ms=1 << 50),
        )
        found = resolution_of(
            anybodys, events, start_ms=period.start_ms, end_ms=period.end_ms, now_ms=known_ms
        )
        return tuple(_unlimited(incident_row(one)) for one in found.incidents)

    async def _due(self, tenant: str, contract: str, period: ReportPeriod) -> list[Credit]:
        """Credits, if they are for this kind of period."""
        if period.kind not in {one.value for one in Period}:
            return []
        inside = Calendar(Period(period.kind), period.start_ms)
        token = enter_principal(_SYSTEM)
        try:
            return [one.credit for one in await self._credits.credits(tenant, contract, inside)]
        except (ContractWithoutCredits, BadWindow):
            return []
        finally:
            leave_principal(token)


def _objectives(held: Sequence[Contract]) -> list[Objective]:
    """Those of the last version that was in force, then those that an earlier one had besides."""
    found: dict[str, Objective] = {}
    for version in reversed(held):
        for one in version.objectives:
            found.setdefault(one.key, one)
    return list(found.values())


def _unlimited(row: IncidentRow) -> IncidentRow:
    return replace(row, limit_ns=None, in_time=None)
