"""The use case behind CalculateSlaCredits: what a contract's missed promises cost in one calendar period.

Each version of the contract that was in force in the period gives its own credit, over its own part of it.
Computes and stores nothing, so asking twice gives the same; what the rules say is in `compute`.
"""

import asyncio
from dataclasses import dataclass, replace

from services.common.clock import Clock
from services.common.errors import FailedPrecondition
from services.sla.credits.calculate import credits_for
from services.sla.credits.figures import measured_of, reasons
from services.sla.credits.model import Credit
from services.sla.errors import BadWindow, ContractNotFound, ObjectiveHasNoData
from services.sla.figures import latency_of, uptime_of
from services.sla.figures_model import Figures, Latency, Uptime, UsedWindow
from services.sla.figures_source import FigureSource
from services.sla.incidents.ports import IncidentStore
from services.sla.methods.measure import Measured
from services.sla.model import NS_PER_MS, Contract, Objective, ObjectiveKind
from services.sla.ports import SliceStore
from services.sla.questions import Asked, Questions
from services.sla.serve import Contracts, allowed_tenant
from services.sla.windows import Calendar, Custom, Window, period_around

_OF_OTHERS = (ObjectiveKind.COMPOSITE, ObjectiveKind.INCIDENT_RESOLUTION)


@dataclass(frozen=True, slots=True)
class CreditFound:
    """A credit, the objective that it is for, and the window of data behind it."""

    credit: Credit
    objective: Objective
    used: UsedWindow


class ContractWithoutCredits(FailedPrecondition):
    """The contract says nothing about credits."""

    default_reason = "CONTRACT_HAS_NO_CREDITS"


class CreditCalculator:
    """Answers CalculateSlaCredits for the caller of the current RPC."""

    def __init__(
        self,
        *,
        contracts: Contracts,
        slices: SliceStore,
        clock: Clock,
        incidents: IncidentStore | None = None,
    ) -> None:
        self._contracts = contracts
        self._slices = slices
        self._clock = clock
        self._questions = Questions(
            contracts=contracts, slices=slices, clock=clock, burn_windows=lambda _objective: ()
        )
        self._source = FigureSource(slices, incidents)

    async def credits(
        self, tenant: str, name: str, window: Calendar | None, as_of_ms: int | None = None
    ) -> list[CreditFound]:
        """The credits of one period, by version, oldest first; None stands for the last complete period.

        Raises:
            PermissionDenied, ContractNotFound, ContractWithoutCredits, BadWindow, Unavailable.
        """
        allowed_tenant(tenant)
        versions = [one for one in self._contracts.versions(tenant) if one.name == name]
        if not versions:
            raise ContractNotFound(f"tenant {tenant} has no contract {name}")
        paying = [one for one in versions if one.credits is not None]
        if not paying:
            raise ContractWithoutCredits(
                f"contract {name} of tenant {tenant} says nothing about credits",
                next_step="Add `credits` to the contract and apply it.",
            )
        now_ms = as_of_ms if as_of_ms is not None else self._clock.now_ns() // NS_PER_MS
        found: list[CreditFound] = []
        for contract in paying:
            period = _part(contract, window, now_ms)
            if period is not None:
                found += await self._of_version(contract, period, as_of_ms)
        return found

    async def _of_version(
        self, contract: Contract, period: tuple[int, int], as_of_ms: int | None
    ) -> list[CreditFound]:
        terms = contract.credits
        assert terms is not None
        objective = next(one for one in contract.objectives if one.key == terms.objective)
        if objective.kind in _OF_OTHERS:
            where, figures = await self._asked(objective, period, as_of_ms)
        else:
            where, figures = await self._sliced(objective, period, as_of_ms)
        measured: dict[str, Measured] = {}
        review: tuple[str, ...] = ()
        used = UsedWindow(where, contract.time_zone, provisional=False, data_revision=0)
        if figures is not None:
            measured[terms.objective], used = measured_of(figures), figures.used
            review = reasons(figures, terms)
        made = credits_for(
            contract,
            measured,
            period=period,
            data_end_ms=where.data_end_ms,
            review={terms.objective: review},
        )
        return [CreditFound(one, objective, used) for one in made]

    async def _asked(
        self, objective: Objective, period: tuple[int, int], as_of_ms: int | None
    ) -> tuple[Window, Figures | None]:
        """Of composites and incidents, which have no slices of their own."""
        nothing = Window(period[0], period[1], period[0])
        try:
            question = await self._questions.of(objective, Asked(Custom(*period), as_of_ms))
        except (ObjectiveHasNoData, BadWindow):
            return nothing, None
        sealed = max(period[0], min(question.window.data_end_ms, question.head.sealed_ms))
        if sealed == period[0]:
            return nothing, None
        where = replace(question.window, data_end_ms=sealed)
        question = replace(question, window=where)
        if objective.kind is ObjectiveKind.INCIDENT_RESOLUTION:
            return where, (await self._source.incidents(question))[0]
        return where, (await self._source.figures([question]))[0]

    async def _sliced(
        self, objective: Objective, period: tuple[int, int], as_of_ms: int | None
    ) -> tuple[Window, Figures | None]:
        """From every single slice: some schedules look at the parts of minutes."""
        span = await self._slices.span(objective.tenant, objective.key, as_of_ms=as_of_ms)
        sealed = 0 if span is None else span[2]
        where = Window(period[0], period[1], min(period[1], max(period[0], sealed)))
        if span is None or where.data_end_ms <= where.start_ms:
            return where, None
        return where, await self._figures(objective, where, span[0], as_of_ms)

    async def _figures(
        self, objective: Objective, where: Window, first_ms: int, as_of_ms: int | None
    ) -> Uptime | Latency:
        latency = objective.kind is ObjectiveKind.LATENCY
        columns = await self._slices.pieces(
            objective.tenant,
            objective.key,
            [(where.start_ms, where.data_end_ms)],
            as_of_ms=as_of_ms,
            distributions=latency,
        )
        if latency:
            return await asyncio.to_thread(latency_of, objective, columns, where, first_ms=first_ms)
        return await asyncio.to_thread(uptime_of, objective, columns, where, first_ms=first_ms)


def _part(contract: Contract, window: Calendar | None, now_ms: int) -> tuple[int, int] | None:
    """The part of the period in which the version was in force; None where it was not.

    Raises:
        BadWindow: another kind of period than the schedule's.
    """
    assert contract.credits is not None
    kind, zone = contract.credits.period, contract.time_zone
    if window is not None and window.period is not kind:
        raise BadWindow(f"credits of {contract.name} are for a {kind.value}", field="window.period")
    if window is None or window.inside_ms is None:
        start, end = period_around(kind, now_ms, zone)
        if window is None:
            start, end = period_around(kind, start - 1, zone)
    else:
        start, end = period_around(kind, window.inside_ms, zone)
    start = max(start, contract.effective_from_ms)
    end = end if contract.until_ms is None else min(end, contract.until_ms)
    return (start, end) if start < end else None
